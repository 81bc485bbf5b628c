//! What can be told of Rego before it is parsed.

use std::borrow::Cow;

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

/// Words after which a parenthesis on the next line goes on with what was begun.
const GOES_ON: [&str; 13] = [
    "as", "contains", "default", "else", "every", "if", "import", "in", "not", "package", "some", "with", "null",
];

/// The text as the interpreter has to have it to read it as OPA does. Lines stay; so do columns, but for the rest of a line where something was put in.
///
/// - To OPA a call has its parenthesis right behind the name; the interpreter also takes one on the next line, which begins an expression of its own.
/// - Rego v0 chains bodies (`head { … } { … }`), which the interpreter does not take behind a set: the head is written again.
pub(crate) fn as_opa_reads(text: &str) -> Cow<'_, str> {
    let bare = bare(text);
    let mut put: Vec<(usize, Option<char>, String)> = separated(&bare);
    put.extend(chained(&bare, text));
    if put.is_empty() {
        return Cow::Borrowed(text);
    }
    put.sort_by_key(|(at, ..)| *at);
    let mut rewritten = String::with_capacity(text.len() + put.len() * 32);
    let mut from = 0;
    for (at, instead, what) in put {
        rewritten.push_str(text.get(from..at).unwrap_or_default());
        rewritten.push_str(&what);
        from = at + instead.map_or(0, char::len_utf8);
    }
    rewritten.push_str(text.get(from..).unwrap_or_default());
    Cow::Owned(rewritten)
}

/// Where a semicolon parts a reference from a parenthesis on a later line, and the blank it stands for.
fn separated(bare: &str) -> Vec<(usize, Option<char>, String)> {
    let mut found = Vec::new();
    for (at, _) in bare.match_indices('(') {
        let before = bare[..at].trim_end();
        let blank = &bare[before.len()..at];
        let name = &before[before.trim_end_matches(|c: char| c.is_alphanumeric() || c == '_').len()..];
        let ends = before.ends_with(']') || (!name.is_empty() && !GOES_ON.contains(&name));
        if !blank.contains('\n') || !ends {
            continue;
        }
        match blank.chars().next_back().filter(|last| matches!(last, ' ' | '\t')) {
            Some(last) => found.push((at - last.len_utf8(), Some(last), ";".to_owned())),
            None => found.push((at, None, ";".to_owned())),
        }
    }
    found
}

/// Where a further body of a set begins, and the head it is given.
fn chained(bare: &str, text: &str) -> Vec<(usize, Option<char>, String)> {
    let mut found = Vec::new();
    let mut depth = 0usize;
    // Where the head began; where it ended, once its first body was met.
    let (mut begun, mut head, mut otherwise) = (0, None::<usize>, false);
    let (mut line_begins, mut last) = (true, ' ');
    for (at, character) in bare.char_indices() {
        if character == '\n' {
            line_begins = true;
            continue;
        }
        if character.is_whitespace() {
            continue;
        }
        let body = character == '{' && depth == 0 && !matches!(last, '=' | ':' | ',');
        if depth == 0 && !body && (line_begins || (last == '}' && head.is_some())) {
            otherwise = bare[at..].starts_with("else");
            if !otherwise {
                (begun, head) = (at, None);
            }
        }
        if body {
            match head {
                None => head = Some(at),
                Some(end) => {
                    let written = bare[begun..end].trim_end();
                    let is_set = written.ends_with(']') || written.contains(" contains ");
                    if is_set && !otherwise && !written.ends_with(" if") {
                        let again = text.get(begun..begun + written.len()).unwrap_or(written);
                        let again = again.replace(['\n', '\r'], " ");
                        found.push((at, None, format!("{again} ")));
                    }
                }
            }
        }
        match character {
            '{' | '[' | '(' => depth += 1,
            '}' | ']' | ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        (line_begins, last) = (false, character);
    }
    found
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
    fn parentheses_on_a_line_of_their_own_are_no_calls() {
        for (text, expected) in [
            ("x {\n  a.b\n  (c)\n}", "x {\n  a.b\n ;(c)\n}"),
            ("x {\n  a[_] # (d)\n\n\t(c)\n}", "x {\n  a[_] # (d)\n\n;(c)\n}"),
            ("x {\n  a\n(c)\n}", "x {\n  a\n;(c)\n}"),
            ("x {\n  f(c)\n  not\n  (c)\n}", "x {\n  f(c)\n  not\n  (c)\n}"),
            ("x {\n  1 +\n  (c)\n}", "x {\n  1 +\n  (c)\n}"),
            (
                "x {\n  \u{102e81}\n(c) # \u{102e81}\n}",
                "x {\n  \u{102e81}\n(c) # \u{102e81}\n}",
            ),
            ("x { f (c); `a\n(b)` }", "x { f (c); `a\n(b)` }"),
        ] {
            assert_eq!(as_opa_reads(text), expected, "{text}");
        }
    }

    #[test]
    fn chained_bodies_of_sets_have_their_head_again() {
        for (text, expected) in [
            (
                "v[{\"m\": m}] {\n a\n} {\n b\n}\nw[x] { c }",
                "v[{\"m\": m}] {\n a\n} v[{\"m\": m}] {\n b\n}\nw[x] { c }",
            ),
            (
                "v[x] { a }\n{ b }\n# c\n{ d }",
                "v[x] { a }\nv[x] { b }\n# c\nv[x] { d }",
            ),
            ("v[x] { a } w[y] { b } { c }", "v[x] { a } w[y] { b } w[y] { c }"),
            ("f(x) { a } { b }", "f(x) { a } { b }"),
            ("f[x] = y { a } else = z { b }", "f[x] = y { a } else = z { b }"),
            (
                "x = {\"a\"}\ny := {z | z := 1} { a }",
                "x = {\"a\"}\ny := {z | z := 1} { a }",
            ),
            (
                "package a\nimport data.b\nv[x] { a } { b }",
                "package a\nimport data.b\nv[x] { a } v[x] { b }",
            ),
        ] {
            assert_eq!(as_opa_reads(text), expected, "{text}");
        }
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
