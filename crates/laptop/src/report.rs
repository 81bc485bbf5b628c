//! How a long call says what it does: the caller shows it, or not.

/// Is called with what is being done.
pub trait Reporter {
    /// Something longer begins: `Spark 4.1.4: downloading`.
    fn begins(&mut self, doing: &str);
    /// How far it is; often.
    fn status(&mut self, status: &str);
    /// Something that is not an error and should be known.
    fn warns(&mut self, text: &str);
    /// It is over.
    fn ends(&mut self);
}

/// Something longer begins, of which there is no more to say until its end.
pub(crate) fn say(doing: &str, reporter: &mut dyn Reporter) {
    reporter.begins(doing);
    reporter.status(doing);
}
