//! What can be told of Rego before it is parsed.

/// Steps a reference may have. The interpreter goes down each of them, on the stack.
const MAX_STEPS: usize = 64;

/// The text with blanks for comments and underscores for what is in quotes; everything stays where it is.
fn bare(text: &str) -> String {
    let mut bare = String::with_capacity(text.len());
    let mut quote = None;
    let mut escaped = false;
    for character in text.chars() {
        let hidden = match quote {
            Some('#') => character != '\n',
            Some(mark) => {
                let ends = character == mark && !escaped || (mark == '"' && character == '\n');
                escaped = mark == '"' && character == '\\' && !escaped;
                if ends {
                    quote = None;
                    escaped = false;
                    bare.push(character);
                    continue;
                }
                true
            }
            None => {
                if matches!(character, '"' | '`' | '#') {
                    quote = Some(character);
                }
                character == '#'
            }
        };
        if quote == Some('#') && !hidden {
            quote = None;
        }
        if hidden && character != '\n' {
            // As many bytes as before, so that offsets stay.
            let blank = if quote == Some('#') { ' ' } else { '_' };
            bare.extend(std::iter::repeat_n(blank, character.len_utf8()));
        } else {
            bare.push(character);
        }
    }
    bare
}

/// True for a text that uses words of Rego v1 without importing them: it is not meant to be v0, in which they are names.
pub(crate) fn is_v1_only(text: &str) -> bool {
    let bare = bare(text);
    if bare.contains("future.keywords") || bare.contains("rego.v1") {
        return false;
    }
    let mut words = bare.split_whitespace().peekable();
    while let Some(word) = words.next() {
        match word {
            "if" | "every" => return true,
            "contains" if words.peek().is_some_and(|next| !next.starts_with('(')) => return true,
            _ => {}
        }
    }
    false
}

/// Offset of a reference with more steps than are taken.
pub(crate) fn endless_reference(text: &str) -> Option<usize> {
    let (mut steps, mut begun) = (0, None);
    for (offset, character) in bare(text).char_indices() {
        match character {
            '.' | '[' => steps += 1,
            ']' | '"' | '`' | '_' => {}
            character if character.is_alphanumeric() => {}
            _ => (steps, begun) = (0, None),
        }
        begun = begun.or_else(|| (steps > 0).then_some(offset));
        if steps > MAX_STEPS {
            return begun;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_comments_are_no_code() {
        assert_eq!(
            bare("a # if \"b\nc \"if \\\" x\" d `if\nif` e"),
            "a        \nc \"_______\" d `__\n__` e"
        );
        assert_eq!(bare("ä := \"ö\""), "ä := \"__\"");
        assert_eq!(bare("\"open\nif"), "\"____\nif");
    }

    #[test]
    fn versions_are_guessed_from_words() {
        assert!(is_v1_only("package a\nx if true"));
        assert!(is_v1_only("package a\ndeny contains \"x\""));
        for v0 in [
            "package a\n# x if y\nx { contains(input.a, \"if b\") }",
            "package a\nimport future.keywords\nx if true",
            "package a\nx { contains (input.a, \"b\") }",
        ] {
            assert!(!is_v1_only(v0), "{v0}");
        }
    }

    #[test]
    fn references_have_an_end() {
        let chain = |count: usize| format!("x := input{}", ".a".repeat(count));
        assert_eq!(endless_reference(&chain(64)), None);
        assert_eq!(endless_reference(&chain(65)), Some(10));
        assert!(endless_reference(&format!("x := input{}", "[0]".repeat(100))).is_some());
        assert!(endless_reference(&format!("x := input{}", "[\"a\"]".repeat(100))).is_some());
        assert_eq!(
            endless_reference(&format!("# {}\nx := `{}`", ".a".repeat(100), ".".repeat(100))),
            None
        );
        assert_eq!(endless_reference(&"a.b.c[_].d == 1; ".repeat(100)), None);
    }
}
