//! What is wrong with policies themselves: always with a file and a line.

use std::sync::Arc;

use stoke_diagnostics::{Diagnostic, Place, Severity, Source};

/// Why policies cannot be loaded, or a rule cannot be evaluated.
///
/// | code | what |
/// | --- | --- |
/// | `rego-syntax` | a file is Rego of neither version |
/// | `rego-analysis` | names or rules that cannot be resolved |
/// | `rego-builtin` | a builtin that is not available here |
/// | `rego-function` | a function that is defined nowhere |
/// | `rego-type` | what can never be, by the kinds of its values |
/// | `rego-recursion` | functions that call themselves, rules that depend on others through very many steps |
/// | `rego-evaluation` | a rule that failed, or took too long |
/// | `rule-result` | a rule that says something other than messages |
/// | `rule-name` | a rule whose name begins like a decision's but is none |
/// | `policy-data` | data files that cannot be read or that contradict each other |
/// | `gatekeeper` | a template or constraint that cannot be used |
/// | `policy-example` | an example that belongs to no policy |
/// | `policy-empty` | no rule that decides anything |
pub type Problem = Diagnostic;

/// A problem at a place of a source.
pub(crate) fn at(source: &Arc<Source>, place: Place, code: &'static str, message: impl Into<String>) -> Problem {
    Diagnostic::at(Severity::Error, code, source, place, "", message)
}

/// The place of a line and a column, both from 1.
pub(crate) fn place(source: &Source, line: usize, column: usize) -> Place {
    let text = source.text();
    let mut start = 0;
    for _ in 1..line {
        match text[start..].find('\n') {
            Some(end) => start += end + 1,
            None => break,
        }
    }
    let rest = text[start..].chars().take_while(|character| *character != '\n');
    let skipped: usize = rest.take(column.saturating_sub(1)).map(char::len_utf8).sum();
    let at = start + skipped;
    let word: usize = text[at..]
        .chars()
        .take_while(|character| character.is_alphanumeric() || *character == '_')
        .map(char::len_utf8)
        .sum();
    Place {
        start: at,
        end: at + word,
        line,
        column,
    }
}

/// What the interpreter says of an error: `\n--> file:line:column`, the line, and `error: message`.
pub(crate) struct EngineError {
    pub file: Option<String>,
    pub line: usize,
    pub column: usize,
    pub message: String,
}

impl EngineError {
    /// Takes the text of an error apart. A text without a place is all message.
    pub fn parse(text: &str) -> Self {
        let nowhere = || Self {
            file: None,
            line: 1,
            column: 1,
            message: text.trim().to_owned(),
        };
        let Some((_, after)) = text.split_once("--> ") else {
            return nowhere();
        };
        let (place, rest) = after.split_once('\n').unwrap_or((after, ""));
        let mut parts = place.rsplitn(3, ':');
        let numbers = (
            parts.next().and_then(|text| text.parse().ok()),
            parts.next().and_then(|text| text.parse().ok()),
        );
        let (Some(column), Some(line), Some(file)) = (numbers.0, numbers.1, parts.next()) else {
            return nowhere();
        };
        let message = rest.split_once("\nerror: ").map_or(rest, |(_, message)| message);
        let message = message.split("\n--> ").next().unwrap_or(message);
        Self {
            file: Some(file.to_owned()),
            line,
            column,
            message: message.split_whitespace().collect::<Vec<_>>().join(" "),
        }
    }

    /// The problem, in the source it is of, or else at another place.
    pub fn problem<'a>(
        self,
        code: &'static str,
        mut sources: impl Iterator<Item = &'a Arc<Source>>,
        otherwise: (&Arc<Source>, Place),
    ) -> Problem {
        match sources.find(|source| self.file.as_deref() == Some(source.name())) {
            Some(source) => at(source, place(source, self.line, self.column), code, self.message),
            None => at(otherwise.0, otherwise.1, code, self.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_interpreter_are_taken_apart() {
        let said = EngineError::parse(
            "\n--> a:b.rego:3:7\n  |\n3 | x := y\n  |      ^\nerror: use of undefined variable `y` is unsafe",
        );
        assert_eq!(said.file.as_deref(), Some("a:b.rego"));
        assert_eq!((said.line, said.column), (3, 7));
        assert_eq!(said.message, "use of undefined variable `y` is unsafe");
        let bare = EngineError::parse("execution exceeded");
        assert_eq!((bare.file, bare.message.as_str()), (None, "execution exceeded"));
        assert_eq!(EngineError::parse("--> nonsense").message, "--> nonsense");
    }

    #[test]
    fn places_outside_of_a_text_are_harmless() {
        let source = Source::new("a", "ä b\nc\n");
        assert_eq!(place(&source, 1, 3).start, 3);
        assert_eq!(place(&source, 2, 1).end, 6);
        for line in 0..9 {
            for column in 0..9 {
                source.excerpt(place(&source, line, column));
            }
        }
    }
}
