//! Words of SQL, without a grammar: enough to take a file apart into statements, as Spark's own command line does, and to look for habits.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A keyword or a name.
    Word,
    /// A name in backquotes.
    Quoted,
    /// A text in quotes.
    Text,
    /// Anything else, one character.
    Sign(char),
}

/// A token; places are counted in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Its first character.
    pub from: usize,
    /// The character after its last.
    pub to: usize,
}

/// Something that begins and does not end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unclosed {
    /// Where it begins.
    pub from: usize,
    pub what: &'static str,
}

/// A text as tokens. Comments are left out; so are hints, which are written as comments.
///
/// # Errors
/// When a text, a quoted name or a comment does not end.
pub fn tokens(text: &[char]) -> Result<Vec<Token>, Unclosed> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&character) = text.get(at) {
        let next = text.get(at + 1).copied();
        let from = at;
        match (character, next) {
            _ if character.is_whitespace() => at += 1,
            ('-', Some('-')) => {
                // A backslash at the end of the line carries the comment on.
                while at < text.len() && (text[at] != '\n' || text[at - 1] == '\\') {
                    at += 1;
                }
            }
            ('/', Some('*')) => at = comment(text, from)?,
            ('$', Some('{')) => {
                let length = text[from..].iter().position(|c| *c == '}');
                at =
                    from + length.ok_or(Unclosed {
                        from,
                        what: "a variable",
                    })? + 1;
                tokens.push(Token {
                    kind: Kind::Word,
                    from,
                    to: at,
                });
            }
            ('\'' | '"', _) => {
                let raw = tokens.last().is_some_and(|last: &Token| {
                    last.to == from && last.to - last.from == 1 && matches!(text[last.from], 'r' | 'R')
                });
                at = quoted(text, from, !raw).ok_or(Unclosed { from, what: "a text" })?;
                tokens.push(Token {
                    kind: Kind::Text,
                    from,
                    to: at,
                });
            }
            ('`', _) => {
                at = quoted(text, from, false).ok_or(Unclosed {
                    from,
                    what: "a quoted name",
                })?;
                tokens.push(Token {
                    kind: Kind::Quoted,
                    from,
                    to: at,
                });
            }
            _ if character.is_alphanumeric() || character == '_' => {
                while text.get(at).is_some_and(|c| c.is_alphanumeric() || *c == '_') {
                    at += 1;
                }
                tokens.push(Token {
                    kind: Kind::Word,
                    from,
                    to: at,
                });
            }
            _ => {
                at += 1;
                tokens.push(Token {
                    kind: Kind::Sign(character),
                    from,
                    to: at,
                });
            }
        }
    }
    Ok(tokens)
}

/// The end of a comment in brackets, which may hold others.
fn comment(text: &[char], from: usize) -> Result<usize, Unclosed> {
    let (mut depth, mut at) = (0, from);
    while at + 1 < text.len() {
        match (text[at], text[at + 1]) {
            ('/', '*') => (depth, at) = (depth + 1, at + 2),
            ('*', '/') => {
                (depth, at) = (depth - 1, at + 2);
                if depth == 0 {
                    return Ok(at);
                }
            }
            _ => at += 1,
        }
    }
    Err(Unclosed {
        from,
        what: "a comment",
    })
}

/// The end of what is quoted; a quote that is doubled begins another such text, which is the same to us.
fn quoted(text: &[char], from: usize, escapes: bool) -> Option<usize> {
    let quote = text[from];
    let mut at = from + 1;
    loop {
        match text.get(at)? {
            '\\' if escapes => at += 2,
            c if *c == quote => return Some(at + 1),
            _ => at += 1,
        }
    }
}

/// The statements of a text, each as a range of its tokens: what stands between semicolons, without what is empty.
pub fn statements(tokens: &[Token]) -> Vec<std::ops::Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    let ends = tokens
        .iter()
        .enumerate()
        .filter(|(_, token)| token.kind == Kind::Sign(';'))
        .map(|(index, _)| index);
    for end in ends.chain([tokens.len()]) {
        if start < end {
            found.push(start..end);
        }
        start = end + 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Vec<String> {
        let text: Vec<char> = text.chars().collect();
        let tokens = tokens(&text).unwrap();
        let written = |range: std::ops::Range<usize>| {
            text[tokens[range.start].from..tokens[range.end - 1].to]
                .iter()
                .collect()
        };
        statements(&tokens).into_iter().map(written).collect()
    }

    #[test]
    fn statements_end_at_semicolons_that_are_not_quoted() {
        let cases = [
            ("SELECT 1; SELECT 2", vec!["SELECT 1", "SELECT 2"]),
            ("SELECT ';' ;; SELECT \";\"", vec!["SELECT ';'", "SELECT \";\""]),
            ("SELECT 1 -- a; b\n; SELECT 2", vec!["SELECT 1", "SELECT 2"]),
            ("/* ; /* ; */ ; */ SELECT 1", vec!["SELECT 1"]),
            ("SELECT `a;b`", vec!["SELECT `a;b`"]),
            ("SELECT 'a\\';b'", vec!["SELECT 'a\\';b'"]),
            ("SELECT r'a\\'; SELECT 2", vec!["SELECT r'a\\'", "SELECT 2"]),
            ("SELECT 'a'';b'", vec!["SELECT 'a'';b'"]),
            ("SELECT ${a;b}", vec!["SELECT ${a;b}"]),
            ("-- only a comment", vec![]),
            (" ; ", vec![]),
            (
                "SELECT 1 -- a \\\n still; a comment\n, 2",
                vec!["SELECT 1 -- a \\\n still; a comment\n, 2"],
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(parts(text), expected, "{text}");
        }
    }

    #[test]
    fn what_does_not_end_is_told_where_it_begins() {
        for (text, from, what) in [
            ("SELECT 'a", 7, "a text"),
            ("a /* b", 2, "a comment"),
            ("`a", 0, "a quoted name"),
            ("x ${a", 2, "a variable"),
        ] {
            let text: Vec<char> = text.chars().collect();
            assert_eq!(tokens(&text), Err(Unclosed { from, what }));
        }
    }
}
