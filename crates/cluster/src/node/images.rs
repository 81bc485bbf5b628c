//! Container images as the node needs them: the seam to the `runtime` room, and to tests.

use std::path::PathBuf;

use stoke_sandbox::Mount;

/// What an image contributes to a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// Its identity, as in `status.containerStatuses[].imageID`.
    pub id: String,
    /// The environment it sets.
    pub environment: Vec<(String, String)>,
    /// The command when the container names none.
    pub entrypoint: Vec<String>,
    /// The arguments when the container names neither command nor arguments.
    pub arguments: Vec<String>,
    /// The working directory when the container names none.
    pub working_directory: PathBuf,
    /// The user when the pod names none.
    pub user: u32,
    /// The group when the pod names none.
    pub group: u32,
    /// Its files, on top of the machine's programs and libraries.
    pub mounts: Vec<Mount>,
    /// Directories it lets its user write to, besides `/tmp`.
    pub writable: Vec<PathBuf>,
}

/// Where images come from. Both calls may block.
pub trait Images: Send + Sync + 'static {
    /// The image if it can be had at once, without downloading anything.
    ///
    /// # Errors
    /// A sentence that says why the name leads to nothing, and what to do about it.
    fn present(&self, image: &str) -> Result<Option<Image>, String>;

    /// The image, downloaded if need be.
    ///
    /// # Errors
    /// A sentence that says why it cannot be had, and what to do about it.
    fn pull(&self, image: &str) -> Result<Image, String>;

    /// What [`Images::pull`] will download, in words for an event; none when that is not known.
    fn to_download(&self, _image: &str) -> Option<String> {
        None
    }
}
