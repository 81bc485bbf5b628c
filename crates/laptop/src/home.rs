//! The one directory everything lives under.

use std::path::{Path, PathBuf};

use crate::error::{LaptopError, Outcome};

/// `STOKE_HOME`, by default the user's data directory.
#[derive(Clone, Debug)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// Finds the home: `STOKE_HOME`, else `$XDG_DATA_HOME/stoke`, else `~/.local/share/stoke`. Writes nothing.
    pub fn find(explicit: Option<PathBuf>) -> Outcome<Self> {
        let from = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let root = explicit
            .or_else(|| from("XDG_DATA_HOME").map(|data| data.join("stoke")))
            .or_else(|| from("HOME").map(|home| home.join(".local/share/stoke")))
            .ok_or_else(|| {
                LaptopError::environment(
                    "stoke::home::unknown",
                    "neither STOKE_HOME nor HOME is set, so there is no place for Stoke's files",
                )
                .fix("set STOKE_HOME to a directory you may write")
            })?;
        let root = std::path::absolute(&root)?;
        Ok(Home { root })
    }

    /// The home of a command that keeps nothing: no one has to have one, and it is not created.
    pub fn unused(explicit: Option<PathBuf>) -> Self {
        let nowhere = |_| Home {
            root: std::env::temp_dir().join("stoke"),
        };
        Self::find(explicit).unwrap_or_else(nowhere)
    }

    /// Creates the directory with mode 0700, unless it is there.
    pub fn create(&self) -> Outcome<()> {
        create_private(&self.root).map_err(|error| {
            LaptopError::environment(
                "stoke::home::not-writable",
                format!("{} cannot be created: {error}", self.root.display()),
            )
            .fix("set STOKE_HOME to a directory you may write")
        })
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where clusters keep their state.
    pub fn clusters(&self) -> PathBuf {
        self.root.join("clusters")
    }

    /// Where what steps of applications find of data is kept, one directory for each namespace.
    pub fn quality(&self) -> PathBuf {
        self.root.join("quality")
    }

    /// The cluster of `stoke up`.
    pub fn default_cluster(&self) -> PathBuf {
        self.clusters().join("default")
    }
}

/// Creates a directory and its parents, readable by the user alone.
pub fn create_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}
