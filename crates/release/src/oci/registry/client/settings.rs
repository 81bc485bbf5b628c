//! How a registry is spoken with, and whose certificates are trusted.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::oci::error::{Kind, OciError, OciResult};
use crate::oci::registry::credentials::Credentials;

/// How a registry is spoken with.
#[derive(Debug, Clone)]
pub struct Settings {
    pub credentials: Credentials,
    /// Files with certificates of authorities, besides those that the machine trusts.
    pub authorities: Vec<PathBuf>,
    /// Directories with a directory per registry (`host:port`), with certificates `*.crt` in it.
    pub certificates: Vec<PathBuf>,
    /// How often a request is sent at most.
    pub tries: u32,
    /// The first wait before it is sent again; each further one is twice as long.
    pub wait: Duration,
    /// How long nothing may move before a try counts as failed.
    pub idle: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            credentials: Credentials::default(),
            authorities: Vec::new(),
            certificates: Vec::new(),
            tries: 5,
            wait: Duration::from_millis(300),
            idle: Duration::from_secs(30),
        }
    }
}

impl Settings {
    /// As the environment of this process says, and where Docker and Podman keep certificates.
    #[must_use]
    pub fn of_this_machine() -> Self {
        let variable = |name: &str| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let mut certificates = vec![
            PathBuf::from("/etc/docker/certs.d"),
            PathBuf::from("/etc/containers/certs.d"),
        ];
        if let Some(home) = variable("HOME") {
            certificates.insert(0, home.join(".config/containers/certs.d"));
        }
        Self {
            credentials: Credentials::found(variable),
            certificates,
            ..Self::default()
        }
    }
}

/// Certificates that are given for a registry.
pub(super) fn authorities(host: &str, settings: &Settings) -> OciResult<Vec<CertificateDer<'static>>> {
    let mut files = settings.authorities.clone();
    for directory in &settings.certificates {
        let mut found: Vec<PathBuf> = std::fs::read_dir(directory.join(host))
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "crt"))
            .collect();
        found.sort();
        files.extend(found);
    }
    let mut all = Vec::new();
    for file in files {
        all.extend(certificates(&file)?);
    }
    Ok(all)
}

fn certificates(file: &Path) -> OciResult<Vec<CertificateDer<'static>>> {
    let failed = |why: String| {
        OciError::new(Kind::Tls, format!("{}: {why}", file.display())).with_fix("name a file with certificates in PEM")
    };
    let text = std::fs::read(file).map_err(|error| failed(error.to_string()))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|error| failed(error.to_string()))?;
    match found.is_empty() {
        true => Err(failed("it has no certificate".to_owned())),
        false => Ok(found),
    }
}
