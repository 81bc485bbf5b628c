//! Digests, codes of authentication made with them, and what tokens say.

use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::{Digest as _, Md5};
use regorus::Value;
use sha1::Sha1;
use sha2::{Sha256, Sha512};

use super::{builtin, text, texts};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

macro_rules! digest {
    ($name:ident, $digest:ty) => {
        pub(super) fn $name(arguments: &[Value]) -> Option<Value> {
            Some(Value::from(hex(&<$digest>::digest(text(arguments, 0)?))))
        }
    };
}

macro_rules! code {
    ($name:ident, $digest:ty) => {
        pub(super) fn $name(arguments: &[Value]) -> Option<Value> {
            let [value, key] = texts(arguments)?;
            let mut code = Hmac::<$digest>::new_from_slice(key.as_bytes()).ok()?;
            code.update(value.as_bytes());
            Some(Value::from(hex(&code.finalize().into_bytes())))
        }
    };
}

digest!(md5, Md5);
digest!(sha1, Sha1);
digest!(sha256, Sha256);
code!(hmac_md5, Md5);
code!(hmac_sha1, Sha1);
code!(hmac_sha256, Sha256);
code!(hmac_sha512, Sha512);

pub(super) fn hmac_equal(arguments: &[Value]) -> Option<Value> {
    let [left, right] = texts(arguments)?;
    Some(Value::from(left == right))
}

/// Header and payload of a token, and its signature in hexadecimal digits; the signature is not verified.
pub(super) fn jwt_decode(arguments: &[Value]) -> Option<Value> {
    let parts: Vec<&str> = text(arguments, 0)?.split('.').collect();
    let [header, payload, signature] = parts.as_slice() else {
        return None;
    };
    let object = |part: &str| {
        let decoded = builtin("base64url.decode(input[0])", &[Value::from(part)])?;
        let value = Value::from_json_str(decoded.as_string().ok()?).ok()?;
        value.as_object().is_ok().then_some(value)
    };
    let signature = base64url(signature)?;
    Some(Value::from(vec![
        object(header)?,
        object(payload)?,
        Value::from(hex(&signature)),
    ]))
}

/// Bytes in the alphabet of URLs, without padding.
fn base64url(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    if text.len() % 4 == 1 {
        return None;
    }
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0_u32);
    for byte in text.bytes() {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(digit)) & 0xffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
    }
    Some(bytes)
}
