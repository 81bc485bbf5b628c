//! A shell script's simple commands: words with their places, variables filled in where their value is known.
//!
//! Quotes, comments, continued lines, assignments and parameters (`$A`, `${A}`, `${A:-b}`) are read as POSIX says. What only a run can tell
//! (substituted commands, positional parameters, variables no one set) stays in the word as written and is listed with it. Control flow,
//! pipes and redirections are recorded, not followed.

use std::collections::BTreeMap;

use stoke_diagnostics::{Place, Source};

/// A word of a command.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Word {
    /// The word after expansion.
    pub(crate) text: String,
    /// Where it is written.
    pub(crate) place: Place,
    /// What was left in place, as written.
    pub(crate) unresolved: Vec<String>,
}

/// A simple command.
#[derive(Debug, Clone, Default)]
pub(crate) struct Command {
    /// Its words, the program first; none for bare assignments.
    pub(crate) words: Vec<Word>,
    /// Assignments before the program.
    pub(crate) assignments: Vec<(String, Word)>,
    /// Redirections, as written.
    pub(crate) redirections: Vec<Word>,
    /// What ends it, when that is more than a line end or `;`: `|`, `&&`, `||`, `&`.
    pub(crate) operator: Option<(&'static str, Place)>,
}

/// Variables whose value is known.
pub(crate) type Variables = BTreeMap<String, String>;

/// `text` as a shell reads it back.
pub(crate) fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=,@%+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// The commands of a script, in order. `given` are variables set outside, which win over the script's own.
pub(crate) fn commands(source: &Source, given: &Variables) -> Vec<Command> {
    let mut reader = Reader {
        source,
        text: source.text(),
        at: 0,
        variables: given.clone(),
        given,
        command: Command::default(),
        commands: Vec::new(),
        heredocs: Vec::new(),
    };
    reader.read();
    reader.commands
}

struct Reader<'a> {
    source: &'a Source,
    text: &'a str,
    at: usize,
    variables: Variables,
    given: &'a Variables,
    command: Command,
    commands: Vec<Command>,
    /// Ends of the documents that begin after this line.
    heredocs: Vec<String>,
}

/// A word while it is read. An unquoted expansion may end it and begin others.
#[derive(Default)]
struct Draft {
    text: String,
    begun: bool,
    quoted: bool,
    unresolved: Vec<String>,
    done: Vec<(String, Vec<String>)>,
}

impl Draft {
    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.begun = true;
    }

    /// The value of an unquoted parameter: blanks in it separate words.
    fn push_fields(&mut self, value: &str) {
        let mut pieces = value.split_whitespace().peekable();
        let opens = value.starts_with(char::is_whitespace);
        if opens && self.begun {
            self.finish();
        }
        while let Some(piece) = pieces.next() {
            self.push(piece);
            if pieces.peek().is_some() || value.ends_with(char::is_whitespace) {
                self.finish();
            }
        }
    }

    fn finish(&mut self) {
        if self.begun {
            self.done
                .push((std::mem::take(&mut self.text), std::mem::take(&mut self.unresolved)));
        }
        self.begun = false;
    }
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let character = self.peek()?;
        self.at += character.len_utf8();
        Some(character)
    }

    fn eat(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    fn place(&self, start: usize) -> Place {
        Place {
            end: self.at,
            ..self.source.place_at(start)
        }
    }

    fn read(&mut self) {
        while let Some(character) = self.peek() {
            let start = self.at;
            if self.eat("\\\n") || self.eat("\\\r\n") {
                continue;
            }
            match character {
                '\n' => {
                    self.next();
                    self.end_command(None);
                    self.skip_heredocs();
                }
                '#' => {
                    let line = self.rest().find('\n').unwrap_or(self.rest().len());
                    self.at += line;
                }
                ';' => {
                    self.next();
                    self.end_command(None);
                }
                '|' | '&' if !self.rest().starts_with("&>") => {
                    let operator = ["&&", "||", "|", "&"].into_iter().find(|operator| self.eat(operator));
                    let place = self.place(start);
                    self.end_command(operator.map(|operator| (operator, place)));
                }
                '<' | '>' | '&' => self.redirection(start),
                _ if character.is_whitespace() => {
                    self.next();
                }
                '(' | ')' => {
                    self.next();
                    let word = Word {
                        text: character.to_string(),
                        place: self.place(start),
                        unresolved: Vec::new(),
                    };
                    self.command.words.push(word);
                    self.end_command(None);
                }
                _ => self.word(start),
            }
        }
        self.end_command(None);
    }

    fn redirection(&mut self, start: usize) {
        let heredoc = self.rest().starts_with("<<") && !self.rest().starts_with("<<<");
        while matches!(self.peek(), Some('<' | '>' | '&' | '|' | '-')) {
            self.next();
        }
        while matches!(self.peek(), Some(' ' | '\t')) {
            self.next();
        }
        let draft = self.draft();
        if heredoc {
            self.heredocs.push(draft.text.clone());
        }
        let text = self.text.get(start..self.at).unwrap_or_default().to_owned();
        let word = Word {
            text,
            place: self.place(start),
            unresolved: Vec::new(),
        };
        self.command.redirections.push(word);
    }

    fn skip_heredocs(&mut self) {
        for end in std::mem::take(&mut self.heredocs) {
            while self.at < self.text.len() {
                let line = self.rest().split_inclusive('\n').next().unwrap_or_default();
                let (length, ended) = (line.len(), line.trim() == end);
                self.at += length;
                if ended {
                    break;
                }
            }
        }
    }

    fn word(&mut self, start: usize) {
        let draft = self.draft();
        // A number before a redirection is part of it.
        if matches!(self.peek(), Some('<' | '>')) && !draft.quoted && draft.text.parse::<u8>().is_ok() {
            return self.redirection(start);
        }
        let place = self.place(start);
        let mut words: Vec<Word> = Vec::new();
        let last = draft.begun.then_some((draft.text, draft.unresolved));
        for (text, unresolved) in draft.done.into_iter().chain(last) {
            words.push(Word {
                text,
                place,
                unresolved,
            });
        }
        let written = self.text.get(start..self.at).unwrap_or_default();
        if self.command.words.is_empty() && is_assignment(written) {
            // The value of an assignment is not split.
            let text: Vec<String> = words.iter().map(|word| word.text.clone()).collect();
            let unresolved = words.into_iter().flat_map(|word| word.unresolved).collect();
            let text = text.join(" ");
            let (name, value) = text.split_once('=').unwrap_or((&text, ""));
            let value = Word {
                text: value.to_owned(),
                place,
                unresolved,
            };
            self.command.assignments.push((name.to_owned(), value));
            return;
        }
        self.command.words.extend(words);
    }

    /// Reads up to the end of the word.
    fn draft(&mut self) -> Draft {
        let mut draft = Draft::default();
        while let Some(character) = self.peek() {
            match character {
                _ if self.rest().starts_with("\\\n") || self.rest().starts_with("\\\r\n") => {
                    self.at += if self.rest().starts_with("\\\n") { 2 } else { 3 };
                }
                '\\' => {
                    self.next();
                    if let Some(escaped) = self.next() {
                        draft.push(escaped.encode_utf8(&mut [0; 4]));
                    }
                }
                '\'' => {
                    self.next();
                    let end = self.rest().find('\'').unwrap_or(self.rest().len());
                    let inner = self.rest().get(..end).unwrap_or_default().to_owned();
                    draft.push(&inner);
                    draft.quoted = true;
                    self.at = (self.at + end + 1).min(self.text.len());
                }
                '"' => {
                    self.next();
                    draft.push("");
                    draft.quoted = true;
                    self.double_quoted(&mut draft);
                }
                '$' | '`' => self.expansion(&mut draft, false),
                '|' | '&' | ';' | '<' | '>' | '(' | ')' => break,
                _ if character.is_whitespace() => break,
                _ => {
                    self.next();
                    draft.push(character.encode_utf8(&mut [0; 4]));
                }
            }
        }
        draft
    }

    fn double_quoted(&mut self, draft: &mut Draft) {
        while let Some(character) = self.peek() {
            match character {
                '"' => {
                    self.next();
                    return;
                }
                '\\' => {
                    self.next();
                    match self.next() {
                        Some('\n') | None => {}
                        Some(escaped @ ('$' | '`' | '"' | '\\')) => draft.push(escaped.encode_utf8(&mut [0; 4])),
                        Some(other) => {
                            draft.push("\\");
                            draft.push(other.encode_utf8(&mut [0; 4]));
                        }
                    }
                }
                '$' | '`' => self.expansion(draft, true),
                _ => {
                    self.next();
                    draft.push(character.encode_utf8(&mut [0; 4]));
                }
            }
        }
    }

    /// `$…` or a command in back quotes.
    fn expansion(&mut self, draft: &mut Draft, quoted: bool) {
        let start = self.at;
        let mut value = None;
        if self.eat("`") {
            let end = self.rest().find('`').map_or(self.rest().len(), |end| end + 1);
            self.at += end;
        } else if self.eat("$(") {
            self.balanced('(', ')');
        } else if self.eat("${") {
            let inner_start = self.at;
            self.balanced('{', '}');
            let inner = self
                .text
                .get(inner_start..self.at.saturating_sub(1))
                .unwrap_or_default();
            value = self.parameter(inner);
        } else {
            self.next();
            let length = self
                .rest()
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                .count();
            let name = self.rest().get(..length).unwrap_or_default().to_owned();
            if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
                match self.peek() {
                    Some('@' | '*' | '#' | '?' | '$' | '!' | '-' | '0'..='9') => {
                        self.next();
                    }
                    // A dollar sign that means itself.
                    _ => {
                        draft.push("$");
                        return;
                    }
                }
            } else {
                self.at += length;
                value = self.variables.get(&name).cloned();
            }
        }
        match value {
            Some(value) if quoted => draft.push(&value),
            Some(value) => draft.push_fields(&value),
            // A command that is only a comment, as people write one between options.
            None if self
                .text
                .get(start..self.at)
                .is_some_and(|written| written.starts_with("`#")) => {}
            None => {
                let written = self.text.get(start..self.at).unwrap_or_default().to_owned();
                draft.push(&written);
                draft.unresolved.push(written);
            }
        }
    }

    /// `A`, `A:-b`, `A-b`, `A:=b`; other forms only a shell knows.
    fn parameter(&self, inner: &str) -> Option<String> {
        let length = inner
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
            .count();
        let (name, rest) = inner.split_at_checked(length)?;
        let known = self.variables.get(name);
        match rest {
            "" => known.cloned(),
            _ if [":-", ":=", ":?", "?", "-", "="]
                .iter()
                .any(|operator| rest.starts_with(operator)) =>
            {
                known.cloned()
            }
            _ => None,
        }
    }

    fn balanced(&mut self, open: char, close: char) {
        let mut depth = 1;
        while depth > 0 {
            match self.next() {
                Some(character) if character == open => depth += 1,
                Some(character) if character == close => depth -= 1,
                Some(_) => {}
                None => return,
            }
        }
    }

    fn end_command(&mut self, operator: Option<(&'static str, Place)>) {
        let mut command = std::mem::take(&mut self.command);
        command.operator = operator;
        let exported: Vec<(String, Word)> = match command.words.split_first() {
            Some((program, words)) if matches!(program.text.as_str(), "export" | "readonly" | "declare" | "local") => {
                let pairs = words.iter().filter_map(|word| {
                    let (name, value) = word.text.split_once('=')?;
                    let value = Word {
                        text: value.to_owned(),
                        ..word.clone()
                    };
                    Some((name.to_owned(), value))
                });
                pairs.collect()
            }
            _ => Vec::new(),
        };
        let lasting = if command.words.is_empty() {
            command.assignments.iter()
        } else {
            exported.iter()
        };
        for (name, word) in lasting {
            if word.unresolved.is_empty() && !self.given.contains_key(name) {
                self.variables.insert(name.clone(), word.text.clone());
            }
        }
        command.assignments.extend(exported);
        if !command.words.is_empty() || !command.assignments.is_empty() || !command.redirections.is_empty() {
            self.commands.push(command);
        }
    }
}

fn is_assignment(written: &str) -> bool {
    let Some((name, _)) = written.split_once('=') else {
        return false;
    };
    let mut characters = name.chars();
    characters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && characters.all(|character| character.is_ascii_alphanumeric() || character == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<Vec<String>> {
        let source = Source::new("s.sh", text);
        let commands = commands(&source, &Variables::new());
        commands
            .iter()
            .map(|command| command.words.iter().map(|word| word.text.clone()).collect())
            .collect()
    }

    #[test]
    fn words_are_those_of_a_shell() {
        let table: [(&str, &[&[&str]]); 12] = [
            ("a b  c", &[&["a", "b", "c"]]),
            ("a \\\n  b # c\nd", &[&["a", "b"], &["d"]]),
            ("a 'b c' \"d e\" f\\ g", &[&["a", "b c", "d e", "f g"]]),
            ("a --conf 'k=v w'\"x\" ''", &[&["a", "--conf", "k=v wx", ""]]),
            (
                "A=1\nB=\"x y\"\nrun $A \"$B\" $B",
                &[&[], &[], &["run", "1", "x y", "x", "y"]],
            ),
            ("export A=1 B=2; run $A$B", &[&["export", "A=1", "B=2"], &["run", "12"]]),
            (
                "run ${A:-b} $1 \"$@\" $(date +%F) `x` $",
                &[&["run", "${A:-b}", "$1", "$@", "$(date +%F)", "`x`", "$"]],
            ),
            ("a && b || c | d &", &[&["a"], &["b"], &["c"], &["d"]]),
            ("run a > log 2>&1", &[&["run", "a"]]),
            ("cat <<EOF\nspark-submit x\nEOF\nrun", &[&["cat"], &["run"]]),
            (
                "run a#b 'it''s' \"\\$x \\\" \\n\"",
                &[&["run", "a#b", "its", "$x \" \\n"]],
            ),
            ("run \\\r\n b\r\n", &[&["run", "b"]]),
        ];
        for (text, expected) in table {
            assert_eq!(words(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_known_is_listed_at_its_place() {
        let source = Source::new("s.sh", "run a\nrun \"x-${DAY}\" \\\n  $OTHER");
        let commands = commands(&source, &Variables::new());
        let word = &commands[1].words[1];
        assert_eq!(
            (word.text.as_str(), word.place.line, word.place.column),
            ("x-${DAY}", 2, 5)
        );
        assert_eq!(word.unresolved, ["${DAY}"]);
        assert_eq!(commands[1].words[2].place.line, 3);
        let given = Variables::from([("DAY".to_owned(), "1 2".to_owned())]);
        assert_eq!(super::commands(&source, &given)[1].words[1].text, "x-1 2");
    }

    #[test]
    fn quoted_words_read_back() {
        for word in ["", "a", "a b", "it's", "$x", "--conf=a=b", "\"", "\\", "ä\nb"] {
            assert_eq!(words(&format!("run {}", quote(word))), [["run", word]]);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_word_reads_back_and_any_text_is_answered(word in "\\PC*", text in "[a-c$`'\"\\\\(){}<>|&;#= \n]*") {
            proptest::prop_assert_eq!(words(&format!("run {}", quote(&word))), vec![vec!["run".to_owned(), word]]);
            let _ = words(&text);
        }
    }
}
