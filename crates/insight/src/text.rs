//! Small readings of text: what stands between two marks, numbers, sizes for people.

/// What stands between the first `from` and the next `to` after it.
pub(crate) fn between<'a>(text: &'a str, from: &str, to: &str) -> Option<&'a str> {
    let rest = &text[text.find(from)? + from.len()..];
    Some(&rest[..rest.find(to)?])
}

/// What follows the first `mark`, up to the end of the line.
pub(crate) fn after<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    let rest = &text[text.find(mark)? + mark.len()..];
    Some(rest.lines().next().unwrap_or_default())
}

/// The number at the beginning of a text.
pub(crate) fn leading_number(text: &str) -> Option<i64> {
    let text = text.trim_start();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    text[..digits].parse().ok()
}

/// At most `most` characters, with a mark where something was cut off.
pub(crate) fn short(text: &str, most: usize) -> String {
    let text = text.trim();
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", text[..at].trim_end()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings() {
        assert_eq!(between("a [b] c", "[", "]"), Some("b"));
        assert_eq!(between("a ]b[ c", "[", "]"), None);
        assert_eq!(after("x: y z\nw", "x: "), Some("y z"));
        assert_eq!(leading_number(" 137(SIGKILL)"), Some(137));
        assert_eq!(leading_number("x"), None);
        assert_eq!(short("äöü", 2), "äö…");
    }
}
