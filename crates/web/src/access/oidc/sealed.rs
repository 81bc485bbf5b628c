//! What a browser keeps for us and can neither read nor change: sealed with a key of this process.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};

/// A key that lives as long as the process.
pub struct Seal(LessSafeKey);

/// What it is sealed for: nothing else is taken.
const ABOUT: &[u8] = b"stoke console sign-in 1";

impl Seal {
    /// With a new key.
    ///
    /// # Errors
    /// When there are no random numbers.
    pub fn new() -> Result<Seal, String> {
        let mut key = [0; 32];
        let made = SystemRandom::new()
            .fill(&mut key)
            .and_then(|()| UnboundKey::new(&CHACHA20_POLY1305, &key));
        let key = made.map_err(|_| "no random numbers are to be had")?;
        Ok(Seal(LessSafeKey::new(key)))
    }

    /// Plain bytes as a text that only this key opens; empty when there are no random numbers.
    pub fn close(&self, plain: &[u8]) -> String {
        let mut nonce = [0; NONCE_LEN];
        let mut bytes = plain.to_vec();
        let filled = SystemRandom::new().fill(&mut nonce);
        let closed = filled.and_then(|()| {
            let once = Nonce::assume_unique_for_key(nonce);
            self.0.seal_in_place_append_tag(once, Aad::from(ABOUT), &mut bytes)
        });
        match closed {
            Ok(()) => URL_SAFE_NO_PAD.encode([&nonce[..], &bytes[..]].concat()),
            Err(_) => String::new(),
        }
    }

    /// What was closed, if it was with this key.
    pub fn open(&self, closed: &str) -> Option<Vec<u8>> {
        let bytes = URL_SAFE_NO_PAD.decode(closed).ok()?;
        let (nonce, rest) = bytes.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut rest = rest.to_vec();
        let plain = self.0.open_in_place(nonce, Aad::from(ABOUT), &mut rest).ok()?;
        Some(plain.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_closed_here_opens() {
        let (ours, other) = (Seal::new().unwrap(), Seal::new().unwrap());
        let closed = ours.close(b"next");
        assert_eq!(ours.open(&closed).unwrap(), b"next");
        assert_ne!(closed, ours.close(b"next"));
        assert!(other.open(&closed).is_none());
        let mut changed = closed.clone().into_bytes();
        let last = changed.len() - 3;
        changed[last] = if changed[last] == b'A' { b'B' } else { b'A' };
        for text in ["", "x", "AAAA", std::str::from_utf8(&changed).unwrap()] {
            assert!(ours.open(text).is_none(), "{text}");
        }
    }
}
