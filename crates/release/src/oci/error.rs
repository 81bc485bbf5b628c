//! What goes wrong with images: a kind with a stable code, the place and cause, the fix.

use std::fmt;
use std::io;
use std::path::Path;

use stoke_diagnostics::{Diagnostic, Severity};

/// What kind of thing went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Reference,
    Unauthorized,
    Denied,
    NotFound,
    TooManyRequests,
    /// Not reached, not answered in time, or an answer of 5xx.
    Unavailable,
    Digest,
    Size,
    Malformed,
    Unsupported,
    Limit,
    Disk,
    DiskFull,
    Credentials,
    Tls,
    Layer,
}

impl Kind {
    /// The code that `stoke explain` knows.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Reference => "stoke::oci::reference",
            Self::Unauthorized => "stoke::oci::unauthorized",
            Self::Denied => "stoke::oci::denied",
            Self::NotFound => "stoke::oci::not-found",
            Self::TooManyRequests => "stoke::oci::too-many-requests",
            Self::Unavailable => "stoke::oci::unavailable",
            Self::Digest => "stoke::oci::digest",
            Self::Size => "stoke::oci::size",
            Self::Malformed => "stoke::oci::malformed",
            Self::Unsupported => "stoke::oci::unsupported",
            Self::Limit => "stoke::oci::limit",
            Self::Disk => "stoke::oci::disk",
            Self::DiskFull => "stoke::oci::disk-full",
            Self::Credentials => "stoke::oci::credentials",
            Self::Tls => "stoke::oci::tls",
            Self::Layer => "stoke::oci::layer",
        }
    }

    fn fix(self) -> &'static str {
        match self {
            Self::Reference => "write REGISTRY/REPOSITORY:TAG, oci:DIRECTORY[:TAG] or archive:FILE[:TAG]",
            Self::Unauthorized => {
                "log in (`docker login`, `skopeo login`), so that Docker's config.json has credentials for it"
            }
            Self::Denied => "ask the owner of the repository for the right to pull or push",
            Self::NotFound => "check the name; `stoke image list REGISTRY/REPOSITORY` lists its tags",
            Self::TooManyRequests => "wait, or log in: limits are higher then",
            Self::Unavailable => {
                "check the address, the network and the registry, then give the command again: what has arrived is kept"
            }
            Self::Digest => "ask the owner of the registry or file; nothing of it was kept",
            Self::Size => "give the command again; when it stays, ask the owner of the registry",
            Self::Malformed => "name an image of the OCI or Docker format",
            Self::Unsupported => "use an image of a form that the message names",
            Self::Limit => "check where it comes from",
            Self::Disk => "check the path and the rights",
            Self::DiskFull => "free some space, or run `stoke image prune`",
            Self::Credentials => "fix the file or the helper that the message names",
            Self::Tls => "put its authority into /etc/docker/certs.d/HOST/ca.crt, or name it with --ca",
            Self::Layer => "do not run that image; ask who made it",
        }
    }
}

/// What went wrong, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OciError {
    kind: Kind,
    message: String,
    fix: Option<String>,
}

pub type OciResult<T> = Result<T, OciError>;

impl OciError {
    /// An error; the message names the place and the cause.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            fix: None,
        }
    }

    /// The same with a fix that says more than that of its kind.
    #[must_use]
    pub fn with_fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// A failure of the file system at a path; a full one has a kind of its own.
    pub fn io(path: &Path, error: &io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Kind::DiskFull,
            _ => Kind::Disk,
        };
        Self::new(kind, format!("{}: {error}", path.display()))
    }

    /// As [`OciError::io`], for `map_err`.
    pub fn at(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |error| match error.get_ref().and_then(|inner| inner.downcast_ref::<Self>()) {
            Some(own) => own.clone(),
            None => Self::io(path, &error),
        }
    }

    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    #[must_use]
    pub fn code(&self) -> &'static str {
        self.kind.code()
    }

    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    #[must_use]
    pub fn fix(&self) -> &str {
        self.fix.as_deref().unwrap_or(self.kind.fix())
    }

    /// Whether the input is wrong, and not the machine, the network or the registry.
    #[must_use]
    pub fn is_input(&self) -> bool {
        matches!(self.kind, Kind::Reference | Kind::Unsupported)
    }

    /// As commands report it.
    #[must_use]
    pub fn to_diagnostic(&self) -> Diagnostic {
        Diagnostic::new(Severity::Error, self.code(), self.message.clone()).with_fix(self.fix())
    }
}

impl fmt::Display for OciError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for OciError {}

/// So that a reader that verifies can say why it stopped.
impl From<OciError> for io::Error {
    fn from(error: OciError) -> Self {
        io::Error::other(error)
    }
}
