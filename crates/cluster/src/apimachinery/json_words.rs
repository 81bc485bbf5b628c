//! What Go's JSON decoder says of a body that is not valid JSON: the words that people know and search for.

use serde_json::Value;

/// How much of a body a complaint shows, in bytes.
const SHOWN: usize = 30;

/// Why a text is not valid JSON.
pub fn why(body: &[u8], error: &serde_json::Error) -> String {
    if error.is_eof() {
        return "unexpected end of JSON input".to_owned();
    }
    let said = error.to_string();
    let place = match () {
        () if said.starts_with("key must be a string") => "looking for beginning of object key string",
        () if said.starts_with("trailing comma") => "looking for beginning of value",
        () if said.starts_with("expected `,` or `}`") => "after object key:value pair",
        () if said.starts_with("expected `,` or `]`") => "after array element",
        () if said.starts_with("expected `:`") => "after object key",
        () if said.starts_with("trailing characters") => "after top-level value",
        () if said.starts_with("control character") => "in string literal",
        () if said.starts_with("invalid escape") => "in string escape code",
        () => "looking for beginning of value",
    };
    let line = body.split(|byte| *byte == b'\n').nth(error.line().saturating_sub(1));
    let at = line.and_then(|line| line.get(error.column().saturating_sub(1)));
    match at.copied().unwrap_or_default() {
        b'\'' => format!("invalid character '\\'' {place}"),
        byte if byte.is_ascii_graphic() || byte == b' ' => format!("invalid character '{}' {place}", char::from(byte)),
        byte if byte < 0x80 => format!("invalid character '\\x{byte:02x}' {place}"),
        // Bytes are taken for characters.
        byte if byte < 0xa0 || byte == 0xad => format!("invalid character '\\u{byte:04x}' {place}"),
        byte => format!("invalid character '{}' {place}", char::from(byte)),
    }
}

/// The beginning of a body as a complaint shows it: text where it may be an object, hexadecimal numbers otherwise.
pub fn beginning(body: &[u8]) -> String {
    let (shown, more) = match body.get(..SHOWN) {
        Some(shown) if body.len() > SHOWN => (shown, " ..."),
        _ => (body, ""),
    };
    if shown.is_empty() {
        return "<empty>".to_owned();
    }
    if body.trim_ascii_start().starts_with(b"{") {
        return format!("{}{more}", String::from_utf8_lossy(shown));
    }
    let numbers: String = shown.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{numbers}{more}")
}

/// What Go calls a JSON value.
pub fn called(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The same where a whole number is wanted: a number comes with its value, because its value is what does not fit.
pub fn called_for(whole: bool, value: &Value) -> String {
    match value {
        Value::Number(number) if whole => format!("number {number}"),
        value => called(value).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_complained_of_in_the_words_of_go() {
        for (body, expected) in [
            ("", "unexpected end of JSON input"),
            ("{\"a\": [", "unexpected end of JSON input"),
            (
                "{nonsense",
                "invalid character 'n' looking for beginning of object key string",
            ),
            ("{\"a\" 1}", "invalid character '1' after object key"),
            ("{\"a\": 1 2}", "invalid character '2' after object key:value pair"),
        ] {
            let error = serde_json::from_slice::<Value>(body.as_bytes()).unwrap_err();
            assert_eq!(why(body.as_bytes(), &error), expected, "{body}");
        }
        assert_eq!(beginning(b""), "<empty>");
        assert_eq!(beginning(b"[]"), "5b5d");
        assert_eq!(beginning(&[b'{'; 40]), format!("{} ...", "{".repeat(30)));
    }
}
