//! A sigstore instance: a certificate authority, a log of certificates, a transparency log, each a key; and bundles as cosign makes them with it.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType, SerialNumber,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use stoke_release::evidence::{Algorithm, PrivateKey, Statement};

/// Midnight of the day on which everything is signed, in seconds since 1970.
pub const MIDNIGHT: i64 = 1_768_435_200;

pub fn b64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn key() -> PrivateKey {
    PrivateKey::generate(Algorithm::EcdsaP256).unwrap()
}

fn pair(key: &PrivateKey) -> KeyPair {
    KeyPair::from_pem(&key.to_pem(None).unwrap()).unwrap()
}

/// The `SubjectPublicKeyInfo` of a key.
fn spki(key: &PrivateKey) -> Vec<u8> {
    let pem = key.public().to_pem();
    let text: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    STANDARD.decode(text).unwrap()
}

pub struct World {
    authority: PrivateKey,
    certificate: Vec<u8>,
    params: CertificateParams,
    certificates: PrivateKey,
    log: PrivateKey,
}

/// What is asked of a signature, and what is done wrong.
#[derive(Clone)]
pub struct Ask {
    pub name: SanType,
    pub issuer: &'static str,
    /// Seconds after midnight at which the log took it; certificates are valid for the first ten minutes.
    pub after: i64,
    pub certificate_log: bool,
    pub code_signing: bool,
}

impl Default for Ask {
    fn default() -> Ask {
        Ask {
            name: SanType::Rfc822Name("ada@example.com".try_into().unwrap()),
            issuer: "https://accounts.example.com",
            after: 30,
            certificate_log: true,
            code_signing: true,
        }
    }
}

impl World {
    pub fn new() -> World {
        let authority = key();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "test-authority");
        params.not_before = rcgen::date_time_ymd(2025, 1, 1);
        params.not_after = rcgen::date_time_ymd(2036, 1, 1);
        let certificate = params.self_signed(&pair(&authority)).unwrap().der().to_vec();
        World {
            authority,
            certificate,
            params,
            certificates: key(),
            log: key(),
        }
    }

    /// `trusted_root.json`.
    pub fn trust_root(&self) -> Value {
        let valid = json!({"start": "2025-01-01T00:00:00Z"});
        let log = |key: &PrivateKey, url: &str| {
            json!({
                "baseUrl": url,
                "hashAlgorithm": "SHA2_256",
                "publicKey": {"rawBytes": b64(spki(key)), "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": valid},
                "logId": {"keyId": b64(Sha256::digest(spki(key)))},
            })
        };
        json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log(&self.log, "https://rekor.example.com")],
            "certificateAuthorities": [{
                "subject": {"organization": "example", "commonName": "test-authority"},
                "uri": "https://fulcio.example.com",
                "certChain": {"certificates": [{"rawBytes": b64(&self.certificate)}]},
                "validFor": valid,
            }],
            "ctlogs": [log(&self.certificates, "https://ctfe.example.com")],
            "timestampAuthorities": [],
        })
    }

    /// A certificate for a key, with its timestamp of the log of certificates.
    fn certify(&self, key: &PrivateKey, ask: &Ask) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.serial_number = Some(SerialNumber::from(vec![1, 2, 3, 4]));
        params.subject_alt_names = vec![ask.name.clone()];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        if ask.code_signing {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        }
        params.use_authority_key_identifier_extension = true;
        params.not_before = rcgen::date_time_ymd(2026, 1, 15);
        params.not_after = params.not_before + Duration::from_secs(600);
        let text = ask.issuer.as_bytes();
        let issuer = [&[0x0c, text.len() as u8][..], text].concat();
        params.custom_extensions = vec![CustomExtension::from_oid_content(
            &[1, 3, 6, 1, 4, 1, 57264, 1, 8],
            issuer,
        )];
        let pair_of_authority = pair(&self.authority);
        let authority = Issuer::from_params(&self.params, &pair_of_authority);
        let subject = pair(key);
        let bare = params.signed_by(&subject, &authority).unwrap();
        if !ask.certificate_log {
            return bare.der().to_vec();
        }
        // RFC 6962: what is signed is the certificate without the timestamp, and the hash of its issuer's key.
        let tbs = first_element(bare.der());
        let time = (MIDNIGHT as u64 * 1000).to_be_bytes();
        let issuer_key = Sha256::digest(spki(&self.authority));
        let length = &(tbs.len() as u32).to_be_bytes()[1..];
        let message = [&[0, 0][..], &time, &[0, 1], &issuer_key, length, tbs, &[0, 0]].concat();
        let signature = self.certificates.sign(&message).unwrap();
        let id = Sha256::digest(spki(&self.certificates));
        let size = (signature.len() as u16).to_be_bytes();
        let stamp = [&[0][..], &id, &time, &[0, 0], &[4, 3], &size, &signature].concat();
        let size = (stamp.len() as u16).to_be_bytes();
        let list = [&size[..], &stamp].concat();
        let size = (list.len() as u16).to_be_bytes();
        let list = [&size[..], &list].concat();
        // DER wants the shortest form of a length.
        let length = list.len() as u8;
        let head = match length < 0x80 {
            true => vec![0x04, length],
            false => vec![0x04, 0x81, length],
        };
        let content = [head, list].concat();
        let oid = [1, 3, 6, 1, 4, 1, 11129, 2, 4, 2];
        params
            .custom_extensions
            .push(CustomExtension::from_oid_content(&oid, content));
        params.signed_by(&subject, &authority).unwrap().der().to_vec()
    }

    /// A bundle of a statement, as cosign makes it with a log of Rekor 1.
    pub fn sign(&self, statement: &Statement, ask: &Ask) -> Value {
        let key = key();
        let certificate = self.certify(&key, ask);
        let payload = serde_json::to_vec(statement).unwrap();
        let kind = "application/vnd.in-toto+json";
        let message = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len());
        let signature = b64(key.sign(&[message.as_bytes(), &payload].concat()).unwrap());
        let envelope = json!({"payload": b64(&payload), "payloadType": kind, "signatures": [{"sig": signature}]});
        let pem = format!(
            "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
            wrapped(&b64(&certificate))
        );
        let body = json!({"apiVersion": "0.0.1", "kind": "dsse", "spec": {
            "envelopeHash": {"algorithm": "sha256", "value": hex(&Sha256::digest(envelope.to_string()))},
            "payloadHash": {"algorithm": "sha256", "value": hex(&Sha256::digest(&payload))},
            "signatures": [{"signature": signature, "verifier": b64(pem)}],
        }});
        let entry = self.entry(body.to_string().as_bytes(), MIDNIGHT + ask.after);
        json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {
                "certificate": {"rawBytes": b64(certificate)},
                "tlogEntries": [entry],
            },
            "dsseEnvelope": envelope,
        })
    }

    /// An entry of the log: the second of two.
    fn entry(&self, body: &[u8], time: i64) -> Value {
        let id = Sha256::digest(spki(&self.log));
        let promise = format!(
            "{{\"body\":\"{}\",\"integratedTime\":{time},\"logID\":\"{}\",\"logIndex\":7}}",
            b64(body),
            hex(&id)
        );
        let leaf = Sha256::digest([&[0][..], body].concat());
        let other = Sha256::digest(b"another entry");
        let root = Sha256::digest([&[1][..], &other, &leaf].concat());
        let note = format!("rekor.example.com - 1\n2\n{}\n", b64(root));
        let signed = [&id[..4], &self.log.sign(note.as_bytes()).unwrap()].concat();
        let checkpoint = format!("{note}\n\u{2014} rekor.example.com {}\n", b64(signed));
        json!({
            "logIndex": "7",
            "logId": {"keyId": b64(id)},
            "kindVersion": {"kind": "dsse", "version": "0.0.1"},
            "integratedTime": time.to_string(),
            "inclusionPromise": {"signedEntryTimestamp": b64(self.log.sign(promise.as_bytes()).unwrap())},
            "inclusionProof": {
                "logIndex": "1",
                "rootHash": b64(root),
                "treeSize": "2",
                "hashes": [b64(other)],
                "checkpoint": {"envelope": checkpoint},
            },
            "canonicalizedBody": b64(body),
        })
    }
}

/// The first element of a sequence: of a certificate, what is signed.
fn first_element(der: &[u8]) -> &[u8] {
    let header = |at: usize| match der[at + 1] {
        short if short < 0x80 => (2, usize::from(short)),
        0x81 => (3, usize::from(der[at + 2])),
        _ => (4, usize::from(der[at + 2]) << 8 | usize::from(der[at + 3])),
    };
    let (outer, _) = header(0);
    let (inner, length) = header(outer);
    &der[outer..outer + inner + length]
}

fn wrapped(text: &str) -> String {
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    lines.join("\n")
}
