//! The words of an expression.

use super::CompileError;

/// One word.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Name(String),
    /// A whole number without sign.
    Int(u64),
    /// A whole number marked `u`.
    Uint(u64),
    /// A number with a fraction or an exponent.
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
    /// An operator or a bracket.
    Sign(&'static str),
    End,
}

const SIGNS: [&str; 26] = [
    "==", "!=", "<=", ">=", "&&", "||", "[?", ".?", "(", ")", "[", "]", "{", "}", ".", ",", "?", ":", "+", "-", "*",
    "/", "%", "!", "<", ">",
];

/// Splits a text into words with their byte offsets; the last is [`Token::End`].
pub(super) fn lex(text: &str) -> Result<Vec<(usize, Token)>, CompileError> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let start = at;
        if byte.is_ascii_whitespace() {
            at += 1;
        } else if text[at..].starts_with("//") {
            at += text[at..].find('\n').unwrap_or(text.len() - at);
        } else if let Some((token, length)) =
            quoted(&text[at..]).map_err(|message| CompileError { place: start, message })?
        {
            tokens.push((start, token));
            at += length;
        } else if byte.is_ascii_alphabetic() || byte == b'_' {
            let length = text[at..]
                .bytes()
                .take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
                .count();
            tokens.push((start, Token::Name(text[at..at + length].to_owned())));
            at += length;
        } else if byte == b'`' {
            let length = text[at + 1..].find('`').ok_or_else(|| CompileError {
                place: start,
                message: "Syntax error: token recognition error: unterminated identifier".into(),
            })?;
            tokens.push((start, Token::Name(text[at + 1..at + 1 + length].to_owned())));
            at += length + 2;
        } else if byte.is_ascii_digit() || (byte == b'.' && bytes.get(at + 1).is_some_and(u8::is_ascii_digit)) {
            let (token, length) = number(&text[at..]).map_err(|message| CompileError { place: start, message })?;
            tokens.push((start, token));
            at += length;
        } else if let Some(sign) = SIGNS.iter().find(|sign| text[at..].starts_with(**sign)) {
            tokens.push((start, Token::Sign(sign)));
            at += sign.len();
        } else {
            let character = text[at..].chars().next().unwrap_or_default();
            return Err(CompileError {
                place: start,
                message: format!("Syntax error: token recognition error at: '{character}'"),
            });
        }
    }
    tokens.push((text.len(), Token::End));
    Ok(tokens)
}

fn number(text: &str) -> Result<(Token, usize), String> {
    let bytes = text.as_bytes();
    if text.starts_with("0x") || text.starts_with("0X") {
        let digits = text[2..].bytes().take_while(u8::is_ascii_hexdigit).count();
        let value = u64::from_str_radix(&text[2..2 + digits], 16).map_err(|_| "invalid int literal".to_owned())?;
        let unsigned = matches!(bytes.get(2 + digits), Some(b'u' | b'U'));
        let token = if unsigned {
            Token::Uint(value)
        } else {
            Token::Int(value)
        };
        return Ok((token, 2 + digits + usize::from(unsigned)));
    }
    let digits = |from: usize| text[from..].bytes().take_while(u8::is_ascii_digit).count();
    let mut end = digits(0);
    let mut fraction = false;
    if bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
        fraction = true;
        end += 1 + digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits(end + 1 + sign);
        if exponent > 0 {
            fraction = true;
            end += 1 + sign + exponent;
        }
    }
    if fraction {
        let value = text[..end].parse().map_err(|_| "invalid double literal".to_owned())?;
        return Ok((Token::Double(value), end));
    }
    let value = text[..end].parse().map_err(|_| "invalid int literal".to_owned())?;
    if matches!(bytes.get(end), Some(b'u' | b'U')) {
        return Ok((Token::Uint(value), end + 1));
    }
    Ok((Token::Int(value), end))
}

/// A text or bytes literal at the start, with its length; `None` if there is none.
fn quoted(text: &str) -> Result<Option<(Token, usize)>, String> {
    let (mut raw, mut bytes, mut head) = (false, false, 0);
    for byte in text.bytes().take(2) {
        match byte {
            b'r' | b'R' if !raw => raw = true,
            b'b' | b'B' if !bytes => bytes = true,
            _ => break,
        }
        head += 1;
    }
    let body = &text[head..];
    let Some(quote) = ["\"\"\"", "'''", "\"", "'"]
        .into_iter()
        .find(|quote| body.starts_with(quote))
    else {
        return Ok(None);
    };
    let mut value: Vec<u8> = Vec::new();
    let mut at = quote.len();
    loop {
        let rest = &body[at..];
        if rest.starts_with(quote) {
            at += quote.len();
            break;
        }
        let Some(character) = rest.chars().next() else {
            return Err("Syntax error: token recognition error: unterminated string".into());
        };
        if character == '\n' && quote.len() == 1 {
            return Err("Syntax error: token recognition error: newline in string".into());
        }
        if character == '\\' && !raw {
            at += escape(rest, bytes, &mut value)?;
        } else {
            value.extend_from_slice(&rest.as_bytes()[..character.len_utf8()]);
            at += character.len_utf8();
        }
    }
    let token = if bytes {
        Token::Bytes(value)
    } else {
        Token::Text(String::from_utf8(value).map_err(|_| "invalid string literal".to_owned())?)
    };
    Ok(Some((token, head + at)))
}

/// Reads one escape sequence; gives its length.
fn escape(rest: &str, bytes: bool, value: &mut Vec<u8>) -> Result<usize, String> {
    let wrong = || "Syntax error: invalid escape sequence".to_owned();
    let kind = rest.as_bytes().get(1).copied().ok_or_else(wrong)?;
    let simple = match kind {
        b'n' => Some(b'\n'),
        b't' => Some(b'\t'),
        b'r' => Some(b'\r'),
        b'a' => Some(7),
        b'b' => Some(8),
        b'f' => Some(12),
        b'v' => Some(11),
        b'\\' | b'\'' | b'"' | b'`' | b'?' => Some(kind),
        _ => None,
    };
    if let Some(byte) = simple {
        value.push(byte);
        return Ok(2);
    }
    let (start, length, radix) = match kind {
        b'x' | b'X' => (2, 2, 16),
        b'u' => (2, 4, 16),
        b'U' => (2, 8, 16),
        b'0'..=b'3' => (1, 3, 8),
        _ => return Err(wrong()),
    };
    let digits = rest.get(start..start + length).ok_or_else(wrong)?;
    let code = u32::from_str_radix(digits, radix).map_err(|_| wrong())?;
    match (bytes, u8::try_from(code)) {
        (true, Ok(byte)) => value.push(byte),
        _ => {
            let character = char::from_u32(code).ok_or_else(wrong)?;
            value.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    Ok(start + length)
}
