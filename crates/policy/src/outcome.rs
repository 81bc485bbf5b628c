//! What evaluation gives.

use std::fmt;

use serde::Serialize;
use serde_json::Value;
use stoke_diagnostics::Severity;

use crate::problem::Problem;

/// What a rule does to a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Refuses it: `deny`, `violation`.
    Deny,
    /// Says something and lets it pass: `warn`.
    Warn,
    /// Says something to those who look: a Gatekeeper constraint with `enforcementAction: dryrun`.
    DryRun,
}

impl Effect {
    /// How bad it is in a diagnostic.
    #[must_use]
    pub fn severity(self) -> Severity {
        match self {
            Self::Deny => Severity::Error,
            Self::Warn | Self::DryRun => Severity::Warning,
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deny => "deny",
            Self::Warn => "warn",
            Self::DryRun => "dryrun",
        })
    }
}

/// One thing a rule has against a subject.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Violation {
    /// The package of the rule, dotted; of Gatekeeper `Kind/name` of the constraint.
    pub policy: String,
    pub rule: String,
    /// What it does.
    #[serde(rename = "severity")]
    pub effect: Effect,
    /// What the rule says.
    pub message: String,
    /// What it is said of, for example `SparkApplication spark/pi`.
    pub subject: String,
    /// The field it is about, when the message or its details name one, for example `spec.driver.image`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Everything a rule gave besides its message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
    /// The file of the rule; empty for rules that are in no file.
    pub file: String,
    /// The line of the rule's first definition, from 1; 0 for rules that are in no file.
    pub line: usize,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}: {} [{}.{}]",
            self.effect, self.subject, self.message, self.policy, self.rule
        )
    }
}

/// Everything policies say of a subject.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Outcome {
    /// What they have against it, in the order of their files.
    pub violations: Vec<Violation>,
    /// What they would have against it, did an `exception` not speak for it.
    pub excepted: Vec<Violation>,
    /// Rules that could not be evaluated. A gate that cannot decide must not let pass.
    pub problems: Vec<Problem>,
}

impl Outcome {
    /// True when nothing denies it and every rule could be evaluated.
    pub fn allowed(&self) -> bool {
        self.problems.is_empty() && self.denials().next().is_none()
    }

    /// What denies it.
    pub fn denials(&self) -> impl Iterator<Item = &Violation> {
        self.violations
            .iter()
            .filter(|violation| violation.effect == Effect::Deny)
    }

    /// Adds what was said of another subject.
    pub fn extend(&mut self, other: Self) {
        self.violations.extend(other.violations);
        self.excepted.extend(other.excepted);
        self.problems.extend(other.problems);
    }
}

/// One message with what came with it.
#[derive(Debug, PartialEq)]
pub(crate) struct Message {
    pub message: String,
    pub details: Option<Value>,
}

/// Messages in the value of a rule: a set or list of texts or of objects with `msg`; one of them; or `true`. `Err` says what else it is.
pub(crate) fn messages(value: Value, rule: &str) -> Result<Vec<Message>, String> {
    match value {
        Value::Array(items) => items.into_iter().map(message).collect(),
        Value::Bool(false) | Value::Null => Ok(Vec::new()),
        Value::Bool(true) => Ok(vec![Message {
            message: format!("{rule} is true"),
            details: None,
        }]),
        other => message(other).map(|said| vec![said]),
    }
}

fn message(value: Value) -> Result<Message, String> {
    match value {
        Value::String(message) => Ok(Message { message, details: None }),
        Value::Object(mut fields) => match fields.remove("msg") {
            Some(Value::String(message)) => Ok(Message {
                message,
                details: (!fields.is_empty()).then_some(Value::Object(fields)),
            }),
            Some(other) => Err(format!("`msg` is {other}, not a text")),
            None => Err("an object without `msg`".to_owned()),
        },
        other => Err(format!("{other} is neither a text nor an object with `msg`")),
    }
}

/// The field that details or a message name: a path that begins with a field the input has.
pub(crate) fn named_path(said: &Message, input: &Value) -> Option<String> {
    let details = said.details.as_ref();
    let nested = details.and_then(|details| details.get("details"));
    let given = [details, nested].into_iter().flatten().find_map(|details| {
        let field = ["path", "field"]
            .into_iter()
            .find_map(|name| details.get(name)?.as_str());
        field.map(str::to_owned)
    });
    given.or_else(|| {
        let words = said.message.split(|character: char| {
            character.is_whitespace() || matches!(character, '"' | '\'' | '`' | ',' | ';' | ':' | '(' | ')' | '=')
        });
        let mut words = words.map(|word| word.trim_end_matches(['.', '!', '?']));
        words.find(|word| is_path_in(word, input)).map(str::to_owned)
    })
}

/// True for `a.b…` when the input has a field `a` that is an object; `b` may be what is missing.
fn is_path_in(word: &str, input: &Value) -> bool {
    let Some((root, rest)) = word.split_once('.') else {
        return false;
    };
    let sane = |character: char| character.is_ascii_alphanumeric() || "._-[]/".contains(character);
    !rest.is_empty() && rest.chars().all(sane) && input.get(root).is_some_and(Value::is_object)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn messages_are_texts_or_objects() {
        let of = |value: Value| {
            messages(value, "data.a.deny").map(|said| said.into_iter().map(|said| said.message).collect::<Vec<_>>())
        };
        assert_eq!(
            of(json!(["a", {"msg": "b", "x": 1}])),
            Ok(vec!["a".to_owned(), "b".to_owned()])
        );
        assert_eq!(of(json!("a")), Ok(vec!["a".to_owned()]));
        assert_eq!(of(json!(true)), Ok(vec!["data.a.deny is true".to_owned()]));
        for nothing in [json!([]), json!(false), json!(null)] {
            assert_eq!(of(nothing), Ok(vec![]));
        }
        for (wrong, why) in [
            (json!([{"message": "a"}]), "an object without `msg`"),
            (json!([{"msg": 1}]), "`msg` is 1, not a text"),
            (json!([1]), "1 is neither a text nor an object with `msg`"),
            (json!(7), "7 is neither a text nor an object with `msg`"),
        ] {
            assert_eq!(of(wrong), Err(why.to_owned()));
        }
    }

    #[test]
    fn fields_are_found_where_they_are_named() {
        let input = json!({"spec": {"driver": {}}, "conf": {}, "kind": "Pod"});
        let path = |message: &str, details: Option<Value>| {
            let said = Message {
                message: message.to_owned(),
                details,
            };
            named_path(&said, &input)
        };
        assert_eq!(
            path("the image of spec.driver.image is old.", None).as_deref(),
            Some("spec.driver.image")
        );
        assert_eq!(
            path("`spec.deps[0].jar`: no", None).as_deref(),
            Some("spec.deps[0].jar")
        );
        assert_eq!(path("see kind.x or https://spec.example", None), None);
        assert_eq!(
            path("nothing here.", Some(json!({"path": "a.b"}))).as_deref(),
            Some("a.b")
        );
        assert_eq!(
            path("x", Some(json!({"details": {"field": "c"}}))).as_deref(),
            Some("c")
        );
    }
}
