//! What a verifier of images said of those that a job's applications name.

/// One image of one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageAnswer {
    /// Name of the job's file.
    pub file: String,
    /// Which of its documents, from 0.
    pub document: usize,
    pub image: String,
    pub said: Answer,
}

/// What was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It may run.
    Admitted,
    /// It may not, and why.
    Refused(String),
    /// It could not be found out, and why.
    Unknown(String),
}
