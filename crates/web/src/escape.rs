//! Texts of others in pages: markup is text, and what cannot be seen is made visible.

use std::fmt::{Result, Write};

use askama::filters::Escaper;

/// Escapes markup, shows control characters as their pictures (`␛`) and names what turns or hides text (`⟨U+202E⟩`).
#[derive(Debug, Clone, Copy, Default)]
pub struct Visible;

impl Escaper for Visible {
    fn write_escaped_str<W: Write>(&self, mut out: W, text: &str) -> Result {
        let mut plain = 0;
        for (at, letter) in text.char_indices() {
            let entity = match letter {
                '&' => "&amp;",
                '<' => "&lt;",
                '>' => "&gt;",
                '"' => "&quot;",
                '\'' => "&#39;",
                _ => "",
            };
            if entity.is_empty() && !is_hidden(letter) {
                continue;
            }
            out.write_str(&text[plain..at])?;
            plain = at + letter.len_utf8();
            match letter as u32 {
                _ if !entity.is_empty() => out.write_str(entity)?,
                code @ 0..=0x1f => out.write_char(char::from_u32(0x2400 + code).unwrap_or('\u{fffd}'))?,
                0x7f => out.write_char('\u{2421}')?,
                code => write!(out, "⟨U+{code:04X}⟩")?,
            }
        }
        out.write_str(&text[plain..])
    }
}

/// What is not to be seen as it stands: control characters but line ends and tabs, and what changes the direction or the joining of text.
fn is_hidden(letter: char) -> bool {
    match letter {
        '\n' | '\t' => false,
        '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' => true,
        '\u{e0000}'..='\u{e007f}' | '\u{61c}' | '\u{ad}' => true,
        letter => letter.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_texts_are_shown_as_text() {
        for (text, shown) in [
            ("plain größe 世界", "plain größe 世界"),
            (
                "<script>alert('x')</script>",
                "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;",
            ),
            ("\" onload=\"x & y", "&quot; onload=&quot;x &amp; y"),
            ("\u{1b}[31mred\u{1b}[0m", "␛[31mred␛[0m"),
            ("a\0b\r\n\tc\u{7f}", "a␀b␍\n\tc␡"),
            ("gpj.\u{202e}exe", "gpj.⟨U+202E⟩exe"),
            ("\u{9b}2J\u{200b}x\u{feff}", "⟨U+009B⟩2J⟨U+200B⟩x⟨U+FEFF⟩"),
            ("", ""),
        ] {
            let mut out = String::new();
            Visible.write_escaped_str(&mut out, text).unwrap();
            assert_eq!(out, shown, "{text:?}");
        }
    }
}
