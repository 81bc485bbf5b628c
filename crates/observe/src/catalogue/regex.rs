//! Regular expressions as Prometheus reads them: Go's, which are not quite Rust's.

use regex_automata::dfa;

/// An automaton of an anchored expression, small enough to walk.
pub(crate) type Automaton = dfa::dense::DFA<Vec<u32>>;

/// The automaton of a regular expression; none when it is not one, or a large one.
pub(crate) fn automaton(expression: &str) -> Option<Automaton> {
    const MOST: usize = 1 << 20;
    let config = dfa::dense::Config::new()
        .start_kind(dfa::StartKind::Anchored)
        .dfa_size_limit(Some(MOST))
        .determinize_size_limit(Some(MOST));
    dfa::dense::Builder::new()
        .configure(config)
        .syntax(bytes())
        .build(&format!("^(?s:{})$", of_go(expression).ok()?))
        .ok()
}

/// Reads a regular expression as names and values are matched: byte by byte.
pub(crate) fn syntax(expression: &str) -> Result<(), String> {
    regex_automata::util::syntax::parse_with(&of_go(expression)?, &bytes())
        .map(drop)
        .map_err(|error| error.to_string())
}

fn bytes() -> regex_automata::util::syntax::Config {
    regex_automata::util::syntax::Config::new().unicode(false).utf8(false)
}

/// The most often that Go repeats something by a number.
const MOST_TIMES: u32 = 1000;

/// The same for Rust's library: a brace that is no repetition is itself, within a class brackets, `&` and `~` are, and any sign with a backslash is.
///
/// # Errors
/// What Go refuses and Rust takes: a repetition of a repetition, and one of more than a thousand times.
fn of_go(expression: &str) -> Result<String, String> {
    let mut out = String::with_capacity(expression.len());
    let mut rest = expression;
    let (mut in_class, mut repeats) = (false, false);
    while let Some(first) = rest.chars().next() {
        let mut length = first.len_utf8();
        let repeated = std::mem::take(&mut repeats);
        match first {
            '\\' => {
                let escaped = rest[1..].chars().next().unwrap_or_default();
                length += escaped.len_utf8().min(rest.len() - 1);
                if matches!(escaped, '<' | '>') {
                    out.push(escaped);
                } else {
                    out.push_str(&rest[..length]);
                }
            }
            '[' if in_class && !rest.starts_with("[:") => out.push_str("\\["),
            '&' | '~' if in_class => {
                out.push('\\');
                out.push(first);
            }
            ']' if in_class => {
                in_class = false;
                out.push(first);
            }
            '[' if !in_class => {
                in_class = true;
                // A bracket that closes at once is one of the class.
                length = match rest {
                    _ if rest.starts_with("[^]") => 3,
                    _ if rest.starts_with("[]") || rest.starts_with("[^") => 2,
                    _ => 1,
                };
                out.push_str(&rest[..length].replace(']', "\\]"));
            }
            '[' if in_class => {
                // `[:alpha:]`
                length = rest.find(":]").map_or(1, |end| end + 2);
                out.push_str(&rest[..length]);
            }
            '*' | '+' | '?' | '{' if !in_class => {
                let counted = times(rest)?;
                match (first, counted) {
                    ('{', None) => out.push_str("\\{"),
                    _ => {
                        length = counted.unwrap_or(1);
                        length += usize::from(rest[length..].starts_with('?'));
                        let operator = &rest[..length];
                        if repeated {
                            return Err(format!("`{operator}` repeats a repetition"));
                        }
                        repeats = true;
                        out.push_str(operator);
                    }
                }
            }
            _ => out.push(first),
        }
        rest = &rest[length..];
    }
    Ok(out)
}

/// The length of `{2}`, `{2,}` or `{2,3}` at the beginning of a text; none where it begins otherwise.
fn times(text: &str) -> Result<Option<usize>, String> {
    let Some((inner, _)) = text.strip_prefix('{').and_then(|rest| rest.split_once('}')) else {
        return Ok(None);
    };
    let is_number = |text: &str| {
        let is_short = text == "0" || !text.starts_with('0');
        !text.is_empty() && is_short && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let (least, most) = inner.split_once(',').unwrap_or((inner, ""));
    if !is_number(least) || !(most.is_empty() || is_number(most)) {
        return Ok(None);
    }
    let is_many = |text: &str| !text.is_empty() && text.parse::<u32>().map_or(true, |times| times > MOST_TIMES);
    match is_many(least) || is_many(most) {
        true => Err(format!("`{{{inner}}}` repeats more than {MOST_TIMES} times")),
        false => Ok(Some(inner.len() + 2)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_read_as_go_reads_them() {
        let takes = |expression: &str, text: &str| {
            automaton(expression).is_some_and(|automaton| super::super::matches(&automaton, text))
        };
        for (expression, text) in [
            ("x{", "x{"),
            ("{", "{"),
            ("x{,5}", "x{,5}"),
            ("x{05}", "x{05}"),
            ("x{2}", "xx"),
            ("x{2,3}?y", "xxy"),
            ("[[]", "["),
            ("[]a]+", "]a"),
            ("[^]a]", "b"),
            ("[a&&b]", "&"),
            ("[[:digit:]]{2,}", "123"),
            (r"\<a\>", "<a>"),
            (r"\{a\}", "{a}"),
            ("5..|<error>", "<error>"),
            (".*?", "anything"),
        ] {
            assert!(takes(expression, text), "{expression} {text}");
            assert_eq!(syntax(expression), Ok(()), "{expression}");
        }
        for wrong in [
            "x**",
            "x*+",
            "x+?*",
            "x{2}{3}",
            "x{2}*",
            "x{1001}",
            "x{2,1001}",
            "*",
            "(",
            "[a",
            "a)",
            "\\",
        ] {
            assert!(syntax(wrong).is_err() && automaton(wrong).is_none(), "{wrong}");
        }
    }
}
