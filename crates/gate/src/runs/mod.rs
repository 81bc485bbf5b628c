//! What is run for a job outside of this room, and what came of it.
//!
//! Four gates judge what only running or asking shows: the job's own tests ([`tests`]), what an API server says of its objects and pods ([`cluster`]), what a policy says of its
//! images ([`images`]), and whether its Spark starts with its configuration and finds its classes ([`spark`]). Each part here says what is to be run, which is a pure function of the job,
//! and has the types of what came back. Who runs it is the command line; it runs nothing that no one asked for.

pub mod cluster;
pub mod images;
pub mod spark;
pub mod tests;

/// What was run. `None`: no one asked for it.
#[derive(Clone, Debug, Default)]
pub struct Runs {
    /// The job's own tests.
    pub tests: Option<Vec<tests::Ran>>,
    /// Answers of an API server.
    pub cluster: Option<cluster::ClusterAnswers>,
    /// What was said of images.
    pub images: Option<Vec<images::ImageAnswer>>,
    /// Starts of Spark.
    pub spark: Option<Vec<spark::Started>>,
}
