//! Environment markers of PEP 508 (`python_version < "3.9" and sys_platform == "linux"`): whether a requirement holds where Spark's images run.
//!
//! Images of Spark are CPython on Linux; which Python, only the image knows. So a marker is asked for each Python that Spark supports, and a requirement
//! counts when it holds for any of them, or when it asks for something no one knows here.

use std::str::FromStr;

use pep440_rs::{Version, VersionSpecifier};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Marker {
    /// One holds.
    Any(Vec<Marker>),
    /// All hold.
    All(Vec<Marker>),
    /// One comparison.
    Compare(Value, String, Value),
}

/// A side of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A variable of the environment.
    Variable(String),
    /// A text in quotes.
    Text(String),
}

/// All variables of PEP 508.
const VARIABLES: [&str; 12] = [
    "os_name",
    "sys_platform",
    "platform_machine",
    "platform_python_implementation",
    "platform_release",
    "platform_system",
    "platform_version",
    "python_version",
    "python_full_version",
    "implementation_name",
    "implementation_version",
    "extra",
];
const OPERATORS: [&str; 10] = ["===", "<=", "!=", "==", ">=", "~=", "<", ">", "in", "not in"];
/// Markers deeper than this are no one's.
const DEEPEST: usize = 64;

impl Marker {
    /// True when it may hold for one of some Pythons, `3.11` and so on.
    #[must_use]
    pub fn may_hold(&self, pythons: &[&str]) -> bool {
        pythons.is_empty()
            || pythons.iter().any(|python| {
                // The last part of the full version is not known: the first and any late one.
                ["0", "99"]
                    .iter()
                    .any(|patch| self.holds(python, &format!("{python}.{patch}")) != Some(false))
            })
    }

    /// Whether it holds; `None` when that cannot be known.
    fn holds(&self, python: &str, full: &str) -> Option<bool> {
        match self {
            Marker::Any(parts) => {
                let all: Vec<_> = parts.iter().map(|part| part.holds(python, full)).collect();
                if all.contains(&Some(true)) {
                    Some(true)
                } else {
                    all.into_iter().collect::<Option<Vec<_>>>().map(|_| false)
                }
            }
            Marker::All(parts) => {
                let all: Vec<_> = parts.iter().map(|part| part.holds(python, full)).collect();
                if all.contains(&Some(false)) {
                    Some(false)
                } else {
                    all.into_iter().collect::<Option<Vec<_>>>().map(|_| true)
                }
            }
            Marker::Compare(left, operator, right) => {
                compare(&left.text(python, full)?, operator, &right.text(python, full)?)
            }
        }
    }
}

impl Value {
    fn text(&self, python: &str, full: &str) -> Option<String> {
        let variable = match self {
            Value::Text(text) => return Some(text.clone()),
            Value::Variable(variable) => variable.as_str(),
        };
        let text = match variable {
            "os_name" => "posix",
            "sys_platform" => "linux",
            "platform_system" => "Linux",
            "platform_python_implementation" => "CPython",
            "implementation_name" => "cpython",
            "python_version" => python,
            "python_full_version" | "implementation_version" => full,
            // Requirements of a file are asked for without extras.
            "extra" => "",
            _ => return None,
        };
        Some(text.to_owned())
    }
}

fn compare(left: &str, operator: &str, right: &str) -> Option<bool> {
    match operator {
        "in" => return Some(right.contains(left)),
        "not in" => return Some(!right.contains(left)),
        _ => {}
    }
    if let (Ok(version), Ok(wanted)) = (
        Version::from_str(left),
        VersionSpecifier::from_str(&format!("{operator}{right}")),
    ) {
        return Some(wanted.contains(&version));
    }
    match operator {
        "==" | "===" => Some(left == right),
        "!=" => Some(left != right),
        "<" => Some(left < right),
        "<=" => Some(left <= right),
        ">" => Some(left > right),
        ">=" => Some(left >= right),
        _ => None,
    }
}

impl FromStr for Marker {
    type Err = String;

    fn from_str(text: &str) -> Result<Marker, String> {
        let tokens = tokens(text)?;
        let mut reader = Reader { tokens: &tokens, at: 0 };
        let marker = reader.any(0)?;
        match reader.next() {
            None => Ok(marker),
            Some(Token::Word(word) | Token::Text(word)) => Err(format!("`{word}` is too much in its marker")),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\'' | '"' => {
                let end = rest[1..]
                    .find(first)
                    .ok_or("a text in its marker has no closing quote")?;
                tokens.push(Token::Text(rest[1..=end].to_owned()));
                end + 2
            }
            '(' | ')' => {
                tokens.push(Token::Word(first.to_string()));
                1
            }
            '<' | '>' | '=' | '!' | '~' => {
                let end = rest.find(|letter| !"<>=!~".contains(letter)).unwrap_or(rest.len());
                tokens.push(Token::Word(rest[..end].to_owned()));
                end
            }
            first if first.is_ascii_alphanumeric() => {
                let end = rest
                    .find(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_' || letter == '.'))
                    .unwrap_or(rest.len());
                tokens.push(Token::Word(rest[..end].to_owned()));
                end
            }
            other => return Err(format!("`{}` does not belong into a marker", other.escape_default())),
        };
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn takes(&mut self, word: &str) -> bool {
        let is = matches!(self.tokens.get(self.at), Some(Token::Word(next)) if next == word);
        self.at += usize::from(is);
        is
    }

    fn any(&mut self, depth: usize) -> Result<Marker, String> {
        let mut parts = vec![self.all(depth)?];
        while self.takes("or") {
            parts.push(self.all(depth)?);
        }
        Ok(Marker::Any(parts))
    }

    fn all(&mut self, depth: usize) -> Result<Marker, String> {
        let mut parts = vec![self.one(depth)?];
        while self.takes("and") {
            parts.push(self.one(depth)?);
        }
        Ok(Marker::All(parts))
    }

    fn one(&mut self, depth: usize) -> Result<Marker, String> {
        if depth > DEEPEST {
            return Err("its marker has too many brackets".to_owned());
        }
        if self.takes("(") {
            let inner = self.any(depth + 1)?;
            return match self.takes(")") {
                true => Ok(inner),
                false => Err("a bracket in its marker is not closed".to_owned()),
            };
        }
        let left = self.value()?;
        let operator = match self.next() {
            Some(Token::Word(word)) if word == "not" && self.takes("in") => "not in".to_owned(),
            Some(Token::Word(word)) if OPERATORS.contains(&word.as_str()) => word,
            _ => return Err("its marker compares nothing".to_owned()),
        };
        Ok(Marker::Compare(left, operator, self.value()?))
    }

    fn value(&mut self) -> Result<Value, String> {
        match self.next() {
            Some(Token::Text(text)) => Ok(Value::Text(text)),
            Some(Token::Word(word)) if VARIABLES.contains(&word.as_str()) => Ok(Value::Variable(word)),
            Some(Token::Word(word)) => Err(format!("its marker knows no `{word}`")),
            None => Err("its marker ends too early".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_hold_for_some_python_on_linux() {
        let pythons = ["3.10", "3.11"];
        let cases = [
            ("python_version >= '3.10'", true),
            ("python_version < '3.10'", false),
            ("python_version > '3.10'", true),
            ("python_version == '3.9' or sys_platform == \"linux\"", true),
            ("python_version == '3.9' and sys_platform == 'linux'", false),
            ("sys_platform == 'win32'", false),
            ("platform_system != 'Windows'", true),
            ("python_full_version < '3.10.4'", true),
            ("python_full_version < '3.10'", false),
            ("extra == 'test'", false),
            ("platform_machine == 'x86_64'", true),
            ("platform_machine == 'x86_64' and sys_platform == 'darwin'", false),
            (
                "(os_name == 'nt' or os_name == 'posix') and implementation_name == 'cpython'",
                true,
            ),
            ("'linux' in sys_platform", true),
            ("sys_platform not in 'linux darwin'", false),
            ("python_version ~= '3.10'", true),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<Marker>().unwrap().may_hold(&pythons), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_marker_is_refused() {
        for text in [
            "",
            "python_version",
            "python_version >=",
            "python_version >= '3",
            "python >= '3'",
            "(os_name == 'nt'",
            "os_name == 'nt' extra",
            "os_name = 'nt'",
            "os_name == 'nt' &",
            "os_name ==  'é' or é",
        ] {
            assert!(text.parse::<Marker>().is_err(), "{text}");
        }
        assert!(format!("{}os_name == 'a'", "(".repeat(9999)).parse::<Marker>().is_err());
    }
}
