//! The cluster's keys and certificates, and its TLS listener.
//!
//! Everything is made once and kept in the `pki` directory of the cluster's home, readable by its owner only: the authority, the server's
//! certificate, the administrator's, and the key that signs service-account tokens.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};
use ring::rand::{SecureRandom, SystemRandom};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::registry::identity::Identity;

/// Names the server answers to, besides its address.
const NAMES: [&str; 5] = [
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
];

/// Why the keys cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file could not be read or written.
    #[error("cannot use {path}: {cause}")]
    File {
        /// The file.
        path: String,
        /// The system's message.
        cause: io::Error,
    },
    /// A certificate could not be made.
    #[error("cannot make the cluster's certificates: {0}")]
    Certificate(#[from] rcgen::Error),
    /// TLS refuses the keys.
    #[error("the cluster's certificates cannot be used: {0}. Remove its pki directory to have them made again")]
    Tls(String),
    /// No randomness.
    #[error("the system gives no random numbers")]
    Random,
}

/// The cluster's keys.
pub struct Pki {
    /// The authority's certificate, PEM.
    pub authority: String,
    /// The administrator's certificate and key, PEM.
    pub admin: (String, String),
    /// Key of service-account tokens.
    pub token_key: Vec<u8>,
    server: (String, String),
}

impl Pki {
    /// Reads the keys from a directory, making what is missing. `address` must be the server's.
    pub fn load_or_create(directory: &Path, address: Ipv4Addr) -> Result<Pki, PkiError> {
        let complain = |path: &Path| {
            let path = path.display().to_string();
            move |cause| PkiError::File { path, cause }
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(complain(directory))?;
        let read = |name: &str| fs::read_to_string(directory.join(name)).ok();
        let write = |name: &str, text: &[u8]| {
            let path = directory.join(name);
            write_private(&path, text).map_err(complain(&path))
        };
        let authority = match (read("ca.crt"), read("ca.key")) {
            (Some(certificate), Some(key)) => (certificate, key),
            _ => {
                let made = new_authority()?;
                write("ca.key", made.1.as_bytes())?;
                write("ca.crt", made.0.as_bytes())?;
                // Certificates of another authority are worth nothing now.
                for name in ["admin.crt", "server.crt"] {
                    let _ = fs::remove_file(directory.join(name));
                }
                made
            }
        };
        let issuer = Issuer::new(authority_parameters(), KeyPair::from_pem(&authority.1)?);
        let admin = match (read("admin.crt"), read("admin.key")) {
            (Some(certificate), Some(key)) => (certificate, key),
            _ => {
                let made = issue(&issuer, "kubernetes-admin", Some("system:masters"), None)?;
                write("admin.key", made.1.as_bytes())?;
                write("admin.crt", made.0.as_bytes())?;
                made
            }
        };
        // The address may be another than last time, so the server's certificate is made at every start.
        let server = issue(&issuer, "kube-apiserver", None, Some(address))?;
        let token_key = match fs::read(directory.join("sa.key")) {
            Ok(key) if key.len() >= 32 => key,
            _ => {
                let mut key = vec![0; 64];
                SystemRandom::new().fill(&mut key).map_err(|_| PkiError::Random)?;
                write("sa.key", &key)?;
                key
            }
        };
        Ok(Pki {
            authority: authority.0,
            admin,
            token_key,
            server,
        })
    }

    /// TLS for the listener: HTTP/2 and HTTP/1.1, client certificates of our authority welcome but not required.
    pub fn server_config(&self) -> Result<ServerConfig, PkiError> {
        let failed = |cause: &dyn std::fmt::Display| PkiError::Tls(cause.to_string());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        let authority = CertificateDer::from_pem_slice(self.authority.as_bytes()).map_err(|cause| failed(&cause))?;
        roots.add(authority).map_err(|cause| failed(&cause))?;
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .allow_unauthenticated()
            .build()
            .map_err(|cause| failed(&cause))?;
        let certificate = CertificateDer::from_pem_slice(self.server.0.as_bytes()).map_err(|cause| failed(&cause))?;
        let key = PrivateKeyDer::from_pem_slice(self.server.1.as_bytes()).map_err(|cause| failed(&cause))?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|cause| failed(&cause))?
            .with_client_cert_verifier(clients)
            .with_single_cert(vec![certificate], key)
            .map_err(|cause| failed(&cause))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// What every authority of ours says of itself; with its key this is all that issuing needs.
fn authority_parameters() -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, "kubernetes");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::CrlSign,
    ];
    parameters
}

fn new_authority() -> Result<(String, String), PkiError> {
    let key = KeyPair::generate()?;
    let certificate = authority_parameters().self_signed(&key)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

fn issue(
    issuer: &Issuer<'_, KeyPair>,
    common_name: &str,
    organization: Option<&str>,
    server: Option<Ipv4Addr>,
) -> Result<(String, String), PkiError> {
    let key = KeyPair::generate()?;
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, common_name);
    if let Some(organization) = organization {
        parameters
            .distinguished_name
            .push(DnType::OrganizationName, organization);
    }
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    match server {
        Some(address) => {
            parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            parameters
                .subject_alt_names
                .push(SanType::IpAddress(IpAddr::V4(address)));
            for name in NAMES {
                parameters.subject_alt_names.push(SanType::DnsName(name.try_into()?));
            }
        }
        None => parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth],
    }
    let certificate = parameters.signed_by(&key, issuer)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

/// Writes a file that only its owner can read, whole or not at all.
fn write_private(path: &Path, text: &[u8]) -> io::Result<()> {
    use std::io::Write;
    let draft = path.with_extension("new");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&draft, path)
}

/// The user named by a client certificate that TLS has verified.
pub fn certificate_identity(certificate: &CertificateDer<'_>) -> Option<Identity> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let subject = parsed.subject();
    let common_name = subject.iter_common_name().next()?.as_str().ok()?.to_owned();
    let organizations = subject
        .iter_organization()
        .filter_map(|name| name.as_str().ok().map(str::to_owned))
        .collect();
    Some(Identity::certificate(&common_name, organizations))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn keys_are_private_kept_and_name_the_administrator() {
        let directory = tempfile::tempdir().unwrap();
        let pki = directory.path().join("pki");
        let first = Pki::load_or_create(&pki, Ipv4Addr::new(127, 70, 0, 1)).unwrap();
        let again = Pki::load_or_create(&pki, Ipv4Addr::new(127, 71, 0, 1)).unwrap();
        assert_eq!(
            (&first.authority, &first.admin, &first.token_key),
            (&again.authority, &again.admin, &again.token_key)
        );
        for entry in fs::read_dir(&pki).unwrap() {
            let mode = entry.unwrap().metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        again.server_config().unwrap();
        let certificate = CertificateDer::from_pem_slice(first.admin.0.as_bytes()).unwrap();
        assert_eq!(certificate_identity(&certificate).unwrap(), Identity::admin());
    }
}
