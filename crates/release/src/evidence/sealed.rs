//! Private keys as cosign encrypts them: a JSON text inside PEM, the key derived by scrypt, the cipher NaCl's secretbox.
//!
//! Source of the form: the `encrypted` package of the Secure Systems Lab's Go library, which cosign and Notary use.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crypto_secretbox::aead::{Aead, KeyInit};
use crypto_secretbox::{Nonce, XSalsa20Poly1305};
use ring::rand::SecureRandom;
use serde::{Deserialize, Serialize};

use super::error::EvidenceError;

/// What scrypt may take, in bytes: `128 * N * r`. A file must not make the reader fill its memory.
const MOST_MEMORY: u64 = 256 << 20;
/// The work of new keys, as cosign sets it.
const N: u64 = 65_536;

#[derive(Serialize, Deserialize)]
struct Sealed {
    kdf: Kdf,
    cipher: Cipher,
    ciphertext: String,
}

#[derive(Serialize, Deserialize)]
struct Kdf {
    name: String,
    params: Params,
    salt: String,
}

#[derive(Serialize, Deserialize)]
struct Params {
    #[serde(rename = "N")]
    n: u64,
    r: u32,
    p: u32,
}

#[derive(Serialize, Deserialize)]
struct Cipher {
    name: String,
    nonce: String,
}

fn malformed(what: impl Into<String>) -> EvidenceError {
    EvidenceError::new(
        "evidence-key",
        format!("the encrypted private key cannot be read: {}", what.into()),
        "take the file as `cosign generate-key-pair` or `stoke keygen` wrote it",
    )
}

fn key(password: &[u8], salt: &[u8], params: &Params) -> Result<[u8; 32], EvidenceError> {
    let memory = params.n.saturating_mul(u64::from(params.r)).saturating_mul(128);
    if !params.n.is_power_of_two() || memory > MOST_MEMORY || params.p == 0 || params.p > 16 {
        return Err(malformed(format!(
            "its scrypt parameters N={}, r={}, p={} are not valid, or need more than {} MiB",
            params.n,
            params.r,
            params.p,
            MOST_MEMORY >> 20
        )));
    }
    let log = u8::try_from(params.n.trailing_zeros()).unwrap_or(u8::MAX);
    let params = scrypt::Params::new(log, params.r, params.p, 32).map_err(|error| malformed(error.to_string()))?;
    let mut key = [0; 32];
    scrypt::scrypt(password, salt, &params, &mut key).map_err(|error| malformed(error.to_string()))?;
    Ok(key)
}

/// Opens what [`seal`] or cosign sealed.
pub(super) fn open(text: &[u8], password: &[u8]) -> Result<Vec<u8>, EvidenceError> {
    let sealed: Sealed = serde_json::from_slice(text).map_err(|error| malformed(error.to_string()))?;
    if sealed.kdf.name != "scrypt" || sealed.cipher.name != "nacl/secretbox" {
        return Err(malformed(format!(
            "it is encrypted by {} and {}, not by scrypt and nacl/secretbox",
            sealed.kdf.name, sealed.cipher.name
        )));
    }
    let bytes = |text: &str| STANDARD.decode(text).map_err(|error| malformed(error.to_string()));
    let salt = bytes(&sealed.kdf.salt)?;
    let nonce: [u8; 24] = bytes(&sealed.cipher.nonce)?
        .try_into()
        .map_err(|_| malformed("its nonce does not have 24 bytes"))?;
    let key = key(password, &salt, &sealed.kdf.params)?;
    XSalsa20Poly1305::new(&key.into())
        .decrypt(&Nonce::from(nonce), bytes(&sealed.ciphertext)?.as_slice())
        .map_err(|_| {
            EvidenceError::new(
                "evidence-password",
                "the password does not open the private key",
                "set COSIGN_PASSWORD to the password it was made with",
            )
        })
}

/// Seals a key with a password.
pub(super) fn seal(plain: &[u8], password: &[u8], random: &dyn SecureRandom) -> Result<Vec<u8>, EvidenceError> {
    let unseeded = |_| malformed("the machine gives no random numbers");
    let mut salt = [0; 32];
    let mut nonce = [0; 24];
    random.fill(&mut salt).map_err(unseeded)?;
    random.fill(&mut nonce).map_err(unseeded)?;
    let params = Params { n: N, r: 8, p: 1 };
    let key = key(password, &salt, &params)?;
    let ciphertext = XSalsa20Poly1305::new(&key.into())
        .encrypt(&Nonce::from(nonce), plain)
        .map_err(|_| malformed("it could not be encrypted"))?;
    let sealed = Sealed {
        kdf: Kdf {
            name: "scrypt".to_owned(),
            params,
            salt: STANDARD.encode(salt),
        },
        cipher: Cipher {
            name: "nacl/secretbox".to_owned(),
            nonce: STANDARD.encode(nonce),
        },
        ciphertext: STANDARD.encode(ciphertext),
    };
    serde_json::to_vec(&sealed).map_err(|error| malformed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_with_its_password_only() {
        let random = ring::rand::SystemRandom::new();
        let sealed = seal(b"secret", b"word", &random).unwrap();
        assert_eq!(open(&sealed, b"word").unwrap(), b"secret");
        assert_eq!(open(&sealed, b"other").unwrap_err().code, "evidence-password");
        let text = String::from_utf8(sealed).unwrap();
        for (from, to) in [
            ("\"N\":65536", "\"N\":1073741824"),
            ("\"N\":65536", "\"N\":65535"),
            ("\"r\":8", "\"r\":0"),
            ("\"p\":1", "\"p\":4000000"),
            ("scrypt", "pbkdf2"),
            ("secretbox", "box"),
        ] {
            let changed = text.replace(from, to);
            assert_ne!(changed, text);
            assert_eq!(
                open(changed.as_bytes(), b"word").unwrap_err().code,
                "evidence-key",
                "{to}"
            );
        }
        assert_eq!(open(b"{", b"").unwrap_err().code, "evidence-key");
    }
}
