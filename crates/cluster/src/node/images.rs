//! Container images as the node needs them: the seam to where they come from, and to tests.

use std::any::Any;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

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
    /// The user's name, where the image says one instead of a number.
    pub user_name: Option<String>,
    /// The group when the pod names none.
    pub group: u32,
    /// Users that it knows.
    pub accounts: Vec<Account>,
    /// Its files, on top of its own tree, or of the machine's programs and libraries.
    pub mounts: Vec<Mount>,
    /// Directories it lets its user write to, besides `/tmp`.
    pub writable: Vec<PathBuf>,
    /// Whether it has a file tree of its own, which [`Images::tree`] gives. Else containers have the machine's programs and libraries, and the
    /// image is what it is here: no registry is asked for it.
    pub has_tree: bool,
}

/// A user that an image knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub user: u32,
    pub group: u32,
    /// The home directory.
    pub home: String,
}

/// The file tree of an image, for one user. It stays as long as this value does.
#[derive(Clone)]
pub struct Tree {
    /// Where it is; nothing of it is changed.
    pub path: PathBuf,
    /// What keeps it there.
    pub held: Arc<dyn Any + Send + Sync>,
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tree").field(&self.path).finish()
    }
}

/// Who a tree is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Viewer {
    pub user: u32,
    pub group: u32,
    /// Groups that the pod adds.
    pub groups: Vec<u32>,
}

/// Credentials for registries, out of a Secret of the pod's namespace.
#[derive(Clone, PartialEq, Eq)]
pub struct PullSecret {
    /// What it is called in messages.
    pub place: String,
    /// As Docker's `config.json` has them.
    pub text: String,
}

impl fmt::Debug for PullSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PullSecret").field(&self.place).finish()
    }
}

/// Why an image cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// The text is no name of an image.
    Name(String),
    /// The name leads to nothing, or to something that does not run here: a sentence that says why, and what to do about it.
    Image(String),
}

impl From<String> for Refused {
    fn from(sentence: String) -> Refused {
        Refused::Image(sentence)
    }
}

impl Refused {
    /// The sentence.
    pub fn into_message(self) -> String {
        match self {
            Refused::Name(sentence) | Refused::Image(sentence) => sentence,
        }
    }
}

/// Where images come from. All calls may block.
pub trait Images: Send + Sync + 'static {
    /// The image if it can be had at once, without downloading anything.
    ///
    /// # Errors
    /// Why the name leads to nothing.
    fn present(&self, image: &str) -> Result<Option<Image>, Refused>;

    /// The image, downloaded if need be with these credentials or the machine's own. One with a tree of its own is asked for at its registry
    /// also when it is there.
    ///
    /// # Errors
    /// Why it cannot be had.
    fn pull(&self, image: &str, secrets: &[PullSecret]) -> Result<Image, Refused>;

    /// The tree of an image that has one.
    ///
    /// # Errors
    /// Why it cannot be had.
    fn tree(&self, image: &str, found: &Image, viewer: &Viewer, secrets: &[PullSecret]) -> Result<Tree, Refused> {
        let _ = (found, viewer, secrets);
        Err(Refused::Image(format!("image {image:?} has no file tree of its own")))
    }

    /// What [`Images::pull`] will download, in words for an event; none when that is not known.
    fn to_download(&self, _image: &str) -> Option<String> {
        None
    }
}
