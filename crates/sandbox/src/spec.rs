//! The vocabulary: what a container is to be, and how it ended.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// One container to run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Spec {
    /// The host name inside (at most 64 bytes).
    pub hostname: String,
    /// The user id the workload sees as its own. On the host it is the user who started the sandbox.
    pub user: u32,
    /// The group id the workload sees as its own.
    pub group: u32,
    /// The command: program and arguments. The program is looked up in the `PATH` of [`Spec::environment`].
    pub command: Vec<String>,
    /// The complete environment; later duplicates win.
    pub environment: Vec<(String, String)>,
    /// The working directory, made if the root allows it.
    pub working_directory: PathBuf,
    /// What the file tree begins with; `/proc` and `/dev` are made in it.
    pub root: Root,
    /// What the container sees of the host, on top of its root. Order does not matter, but of two mounts with one target the
    /// later wins.
    pub mounts: Vec<Mount>,
    /// Whether the root itself (not the mounts) is read-only.
    pub read_only_root: bool,
    /// The memory limit in bytes. Above it all processes are killed and [`Exit::out_of_memory`] is set.
    pub memory_limit: Option<u64>,
    /// What the main process has as its standard input.
    pub input: Input,
    /// The log of standard output and standard error, in the CRI format (`time stream F|P line`). It is appended to.
    pub log: PathBuf,
}

/// What a container's file tree begins with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Root {
    /// An empty tree with `/tmp`, `/var/tmp` and `/run`, in memory.
    Memory {
        /// Its limit in bytes.
        size: u64,
    },
    /// A directory of the host that is not changed, with what the container changes above it (overlayfs). Where the kernel
    /// refuses that, starting fails with [`crate::Error::Overlay`].
    Overlay {
        /// The tree.
        lower: PathBuf,
        /// Where changes go.
        changes: Changes,
    },
    /// A directory of the host that the container writes to.
    Directory(PathBuf),
}

impl Root {
    /// The tree that is there before the container starts.
    pub(crate) fn tree(&self) -> Option<&Path> {
        match self {
            Root::Memory { .. } => None,
            Root::Overlay { lower, .. } => Some(lower),
            Root::Directory(directory) => Some(directory),
        }
    }
}

/// Where the changes of a container to its tree go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Changes {
    /// Into this directory of the host, which is empty and the container's alone.
    Directory(PathBuf),
    /// Into memory.
    Memory {
        /// Their limit in bytes.
        size: u64,
    },
}

/// The standard input of a main process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    /// Nothing to read.
    #[default]
    Closed,
    /// A pipe, written through [`crate::Sandbox::input`].
    Pipe,
    /// A terminal, which is its standard output and error too. What it shows is logged as standard output.
    Terminal,
}

/// Something placed in the container's file tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Absolute path in the container.
    pub target: PathBuf,
    /// What appears there.
    pub source: Source,
    /// Whether the container may not write to it.
    pub read_only: bool,
}

impl Mount {
    /// A host file or directory at `target`.
    pub fn bind(source: impl Into<PathBuf>, target: impl Into<PathBuf>, read_only: bool) -> Mount {
        Mount {
            target: target.into(),
            source: Source::Bind(source.into()),
            read_only,
        }
    }

    /// A directory in memory of at most `size` bytes.
    pub fn tmpfs(target: impl Into<PathBuf>, size: Option<u64>) -> Mount {
        Mount {
            target: target.into(),
            source: Source::Tmpfs { size, mode: 0o1777 },
            read_only: false,
        }
    }

    /// A small generated file.
    pub fn file(target: impl Into<PathBuf>, content: impl Into<String>) -> Mount {
        Mount {
            target: target.into(),
            source: Source::Content(content.into()),
            read_only: false,
        }
    }
}

/// What a mount shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// A file or directory of the host.
    Bind(PathBuf),
    /// A directory in memory.
    Tmpfs {
        /// Bytes; none means half of the machine's memory, as the kernel has it.
        size: Option<u64>,
        /// Permission bits of the directory.
        mode: u32,
    },
    /// A file with this content, on the container's root.
    Content(String),
    /// A symbolic link to this path.
    Symlink(PathBuf),
}

/// A further command to run in a running container.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Exec {
    /// Program and arguments.
    pub command: Vec<String>,
    /// The complete environment.
    pub environment: Vec<(String, String)>,
    pub working_directory: PathBuf,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// The exit code, when it exited by itself.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Whether it was ended because the container was above its memory limit.
    pub out_of_memory: bool,
}

impl Exit {
    /// The code container runtimes report: the exit code, or 128 plus the signal number.
    pub fn container_code(&self) -> i32 {
        match (self.code, self.signal) {
            (Some(code), _) => code,
            (None, Some(signal)) => 128 + signal,
            (None, None) => 137,
        }
    }

    /// The end of a container whose supervision vanished: killed, cause unknown.
    pub(crate) fn vanished() -> Exit {
        Exit {
            code: None,
            signal: Some(9),
            out_of_memory: false,
        }
    }
}

/// Memory in use by a container.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Private pages of all processes, in bytes. Pages shared after a fork are counted once per process.
    pub anonymous: u64,
    /// Shared memory and files in memory-backed directories, in bytes.
    pub shared: u64,
    /// Number of processes, the init not counted.
    pub processes: u32,
}

impl Usage {
    /// The figure compared with the limit.
    pub fn total(&self) -> u64 {
        self.anonymous + self.shared
    }
}
