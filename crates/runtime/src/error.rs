//! What can go wrong, each with a stable code, the cause and the fix.

use std::path::PathBuf;

use crate::version::Version;

/// Why an image cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The name is not an image name.
    #[error("{0}")]
    InvalidName(#[from] crate::reference::InvalidReference),
    /// The name is well formed, but maps to no Spark.
    #[error("no local Spark is known for image \"{image}\": {reason}.\n{}", how_to_map(.image, .mapping))]
    Unmapped {
        /// The image name as written.
        image: String,
        /// Why the name says nothing.
        reason: &'static str,
        /// The mapping file.
        mapping: PathBuf,
    },
    /// The mapping file is wrong.
    #[error("{}: {reason}", .file.display())]
    MappingInvalid {
        /// The mapping file.
        file: PathBuf,
        /// Place and cause.
        reason: String,
    },
    /// The mapping file exists and cannot be read.
    #[error("{} cannot be read: {source}", .file.display())]
    MappingUnreadable {
        /// The mapping file.
        file: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The version is understood and not installed yet: install it, then resolve again.
    #[error("Spark {0} is not installed yet; `stoke runtime install {0}` installs it")]
    NotInstalled(Version),
    /// The installed runtime is damaged.
    #[error("{0}")]
    Corrupt(#[from] Corruption),
    /// A directory that is to be a Spark installation is none.
    #[error("{} is not a Spark installation: {reason}", .home.display())]
    NotASpark {
        /// The directory.
        home: PathBuf,
        /// What is missing there.
        reason: String,
    },
    /// The directory with which containers of this Spark start cannot be written.
    #[error("{} cannot be made ready: {source}", .directory.display())]
    Launch {
        directory: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// No suitable Java.
    #[error("{0}")]
    Java(#[from] JavaError),
    /// An image of a platform component.
    #[error("{0}")]
    Program(#[from] crate::programs::ProgramError),
}

impl ImageError {
    /// A stable code for machines.
    pub fn code(&self) -> &'static str {
        match self {
            ImageError::InvalidName(_) => "stoke::image::invalid-name",
            ImageError::Unmapped { .. } => "stoke::image::unmapped",
            ImageError::MappingInvalid { .. } | ImageError::MappingUnreadable { .. } => "stoke::image::mapping",
            ImageError::NotInstalled(_) => "stoke::runtime::not-installed",
            ImageError::Corrupt(_) => "stoke::runtime::corrupt",
            ImageError::NotASpark { .. } => "stoke::runtime::not-a-spark",
            ImageError::Launch { .. } => "stoke::runtime::launch",
            ImageError::Java(error) => error.code(),
            ImageError::Program(error) => error.code(),
        }
    }
}

fn how_to_map(image: &str, mapping: &std::path::Path) -> String {
    format!(
        "To map it, add to {}:\n  images:\n    - image: \"{image}\"\n      spark: \"{}\"    # or home: /path/to/spark",
        mapping.display(),
        crate::known::NEWEST,
    )
}

/// An installed runtime that differs from what was installed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} is damaged: {} {problem}; `stoke runtime install {name} --force` installs it again", .file.display())]
pub struct Corruption {
    /// What it is: `Spark 4.1.4`.
    pub what: String,
    /// What it is called in commands: `4.1.4`.
    pub name: String,
    pub file: PathBuf,
    /// What is wrong with it.
    pub problem: String,
}

/// Why no Java could be chosen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JavaError {
    /// None was found at all.
    #[error(
        "Java {minimum} or newer is needed for Spark {version} and none was found (looked at JAVA_HOME, PATH and the usual places).\n{}",
        java_fix(*.minimum)
    )]
    Missing {
        /// The Spark version.
        version: Version,
        /// The oldest Java that will do.
        minimum: u32,
    },
    /// Only too old ones were found.
    #[error("Spark {version} needs Java {minimum} or newer; found only {found}.\n{}", java_fix(*.minimum))]
    TooOld {
        /// The Spark version.
        version: Version,
        /// The oldest Java that will do.
        minimum: u32,
        /// The ones found, with their places.
        found: String,
    },
    /// Only ones were found on which that Spark is known to fail, or which are too old.
    #[error(
        "Spark {version} runs on Java {minimum} to {maximum}; found only {found}. On Java 24 and newer its Hadoop fails at the first file: `getSubject is not supported`.\n{}",
        java_fix(*.minimum)
    )]
    TooNew {
        /// The Spark version.
        version: Version,
        /// The oldest Java that will do.
        minimum: u32,
        /// The newest Java its documentation lists.
        maximum: u32,
        /// The ones found, with their places.
        found: String,
    },
}

impl JavaError {
    /// A stable code for machines.
    pub fn code(&self) -> &'static str {
        match self {
            JavaError::Missing { .. } => "stoke::java::missing",
            JavaError::TooOld { .. } => "stoke::java::too-old",
            JavaError::TooNew { .. } => "stoke::java::too-new",
        }
    }
}

fn java_fix(minimum: u32) -> String {
    let package = minimum.max(17);
    let system = if cfg!(target_os = "macos") {
        format!("brew install openjdk@{package}")
    } else {
        format!("sudo apt-get install -y openjdk-{package}-jre-headless")
    };
    format!(
        "Install one with `{system}`, or let Stoke put a private one into its home with `stoke runtime install-java`."
    )
}

/// Why a runtime could not be installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// No Python at all.
    #[error(
        "Python 3 is needed for the installation and was not found.\nInstall it with `{}`.",
        python_fix("python3 python3-venv", "python")
    )]
    PythonMissing,
    /// Python is too old for this Spark.
    #[error(
        "{what} needs Python {}.{} or newer; found only {found}.\nInstall a newer Python (or name one with STOKE_PYTHON); older Sparks need less.",
        .minimum.0, .minimum.1
    )]
    PythonTooOld {
        /// What was to be installed: `Spark 4.1.4`.
        what: String,
        /// The oldest Python that will do.
        minimum: (u32, u32),
        /// Those found, with their places.
        found: String,
    },
    /// The `venv` or `ensurepip` module is missing.
    #[error("{} has no module `{module}`, which makes the private environment that packages are put into.\nInstall it with `{}`.", .python.display(), python_fix("python3-venv", "python"))]
    VenvMissing {
        python: PathBuf,
        /// The missing module.
        module: String,
    },
    /// The package index could not be reached.
    #[error(
        "{what} is not installed, and the package index cannot be reached: {cause}.\nCheck the network, or the index and proxy pip uses (`pip config list`); an existing Spark can be used with SPARK_HOME."
    )]
    NoNetwork {
        /// What was to be installed: `Spark 4.1.4`.
        what: String,
        /// pip's own words.
        cause: String,
    },
    /// A repository of Maven's layout does not give a file.
    #[error(
        "{what} is not installed: {url} cannot be fetched: {cause}.\nCheck the network; STOKE_MAVEN_REPOSITORY names another repository of Maven's layout."
    )]
    NoArtifact {
        /// What was to be installed.
        what: String,
        /// The file.
        url: String,
        cause: String,
    },
    /// It is made for other machines.
    #[error("{what} cannot be installed on this machine: {reason}.\nRun it on a real cluster, or on x86_64.")]
    NotForThisMachine {
        /// What was to be installed.
        what: String,
        reason: String,
    },
    /// The index has no such version.
    #[error("the package index has no {package} {version}{}.", instead(.near))]
    NoSuchVersion {
        package: String,
        /// The version asked for.
        version: String,
        /// Versions it has, nearest first.
        near: Vec<String>,
    },
    /// The file system is full.
    #[error("not enough disk space in {}: {detail}.\nFree some, or set STOKE_HOME to a directory on a larger disk.", .directory.display())]
    DiskFull {
        directory: PathBuf,
        /// Figures, where known.
        detail: String,
    },
    /// The download differs from the pinned checksum.
    #[error(
        "{package} {version} as downloaded does not have the expected SHA-256 and was not installed.\n{detail}\nIf a mirror serves altered files, ask its owner; otherwise try again."
    )]
    Checksum {
        package: String,
        version: String,
        /// pip's own words.
        detail: String,
    },
    /// pip failed for another reason.
    #[error("installing {package} {version} failed (pip exited with {status}):\n{output}")]
    Pip {
        package: String,
        version: String,
        /// The exit status.
        status: String,
        /// The end of pip's output.
        output: String,
    },
    /// What pip installed is not what was asked for.
    #[error("{} was installed but is not usable: {reason}", .directory.display())]
    Unusable {
        directory: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// Any other failure of the file system.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
}

impl InstallError {
    /// A stable code for machines.
    pub fn code(&self) -> &'static str {
        match self {
            InstallError::PythonMissing => "stoke::python::missing",
            InstallError::PythonTooOld { .. } => "stoke::python::too-old",
            InstallError::VenvMissing { .. } => "stoke::python::no-venv",
            InstallError::NoNetwork { .. } | InstallError::NoArtifact { .. } => "stoke::runtime::no-network",
            InstallError::NotForThisMachine { .. } => "stoke::runtime::not-for-this-machine",
            InstallError::NoSuchVersion { .. } => "stoke::runtime::no-such-version",
            InstallError::DiskFull { .. } => "stoke::runtime::disk-full",
            InstallError::Checksum { .. } => "stoke::runtime::checksum",
            InstallError::Pip { .. } => "stoke::runtime::pip",
            InstallError::Unusable { .. } => "stoke::runtime::unusable",
            InstallError::Io { .. } => "stoke::runtime::io",
        }
    }

    /// An I/O error at a path; a full file system becomes [`InstallError::DiskFull`].
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> InstallError {
        let path = path.into();
        move |source| match source.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => InstallError::DiskFull {
                directory: path,
                detail: source.to_string(),
            },
            _ => InstallError::Io { path, source },
        }
    }
}

fn python_fix(debian: &str, homebrew: &str) -> String {
    if cfg!(target_os = "macos") {
        format!("brew install {homebrew}")
    } else {
        format!("sudo apt-get install -y {debian}")
    }
}

fn instead(versions: &[String]) -> String {
    if versions.is_empty() {
        String::new()
    } else {
        format!("; it has {}", versions.join(", "))
    }
}
