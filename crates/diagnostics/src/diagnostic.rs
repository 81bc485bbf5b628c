//! The type.

use std::borrow::Cow;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::render::{self, Style};
use super::source::{Excerpt, Place, Source};

/// How bad it is, in ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It works, and costs more time or money than it has to.
    Advice,
    /// It works, but perhaps not as meant, or not the next time.
    Warning,
    /// It does not work, or ended a run.
    Error,
}

impl Severity {
    /// Its name in text and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Advice => "advice",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What shows that a diagnostic holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// Where: `stage 3 (attempt 0)`, `pod etl-driver`, `log etl-driver:120`, `spark.executor.memory`.
    pub place: String,
    /// What is seen there, with units; a line of a log as it stands.
    pub seen: String,
}

impl Evidence {
    /// A piece of evidence.
    pub fn new(place: impl Into<String>, seen: impl Into<String>) -> Evidence {
        Evidence {
            place: place.into(),
            seen: seen.into(),
        }
    }
}

/// The rule behind a diagnostic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Rule {
    /// What it says, with its thresholds.
    pub text: &'static str,
    /// Where it comes from: an address, or a configuration key of Spark's documentation.
    pub source: &'static str,
}

/// What to do about it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Fix {
    /// In words.
    pub text: String,
    /// A JSON merge patch of the object (RFC 7386), where a change of the manifest fixes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch: Option<Value>,
}

impl<T: Into<String>> From<T> for Fix {
    fn from(text: T) -> Fix {
        Fix {
            text: text.into(),
            patch: None,
        }
    }
}

/// What the fix is expected to give.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Gain {
    /// In words, with how it was computed.
    pub text: String,
    /// Milliseconds of the run's time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub milliseconds: Option<u64>,
}

/// One thing that is wrong, or could be better: what every command and room reports.
///
/// Displayed, it reads like a compiler's diagnostic. Serialised, it is the same without the source line; absent parts are left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Diagnostic")]
pub struct Diagnostic {
    /// Stable name of the kind, for example `unknown-field`; `stoke explain CODE` says more.
    pub code: Cow<'static, str>,
    /// How bad it is.
    pub severity: Severity,
    /// True when it could not be determined: something that is needed was missing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cannot_tell: bool,
    /// Name of the file; empty when it is about no file.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub file: String,
    /// Line, from 1; 0 for the file as a whole.
    #[serde(skip_serializing_if = "is_zero")]
    pub line: usize,
    /// Column in characters, from 1; 0 for the file as a whole.
    #[serde(skip_serializing_if = "is_zero")]
    pub column: usize,
    /// Line of the character after the last; 0 when only the beginning is known.
    #[serde(skip_serializing_if = "is_zero")]
    pub end_line: usize,
    /// Column of the character after the last; 0 when only the beginning is known.
    #[serde(skip_serializing_if = "is_zero")]
    pub end_column: usize,
    /// The field, for example `spec.driver.cores`; empty where there is none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// Why, when the message leaves it open: the error underneath.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// What shows it, the strongest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    /// The rule that says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<Fix>,
    /// What doing it is expected to give, where that can be computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gain: Option<Gain>,
    /// The page that explains the code, as a path in the repository.
    pub page: String,
    /// The line it points at.
    #[serde(skip)]
    pub excerpt: Excerpt,
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl Diagnostic {
    /// About no file.
    pub fn new(severity: Severity, code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        let code = code.into();
        Self {
            page: page_of(&code),
            code,
            severity,
            cannot_tell: false,
            file: String::new(),
            line: 0,
            column: 0,
            end_line: 0,
            end_column: 0,
            path: String::new(),
            message: message.into(),
            cause: None,
            evidence: Vec::new(),
            rule: None,
            fix: None,
            gain: None,
            excerpt: Excerpt::default(),
        }
    }

    /// About a place of a text.
    pub fn at(
        severity: Severity,
        code: impl Into<Cow<'static, str>>,
        source: &Source,
        place: Place,
        path: &str,
        message: impl Into<String>,
    ) -> Self {
        let end = if place.end > place.start {
            source.place_at(place.end)
        } else {
            Place::default()
        };
        Self {
            line: place.line,
            column: place.column,
            end_line: end.line,
            end_column: end.column,
            path: path.to_owned(),
            excerpt: source.excerpt(place),
            ..Self::of_file(severity, code, source.name(), message)
        }
    }

    /// About a file as a whole.
    pub fn of_file(
        severity: Severity,
        code: impl Into<Cow<'static, str>>,
        file: &str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            file: file.to_owned(),
            ..Self::new(severity, code, message)
        }
    }

    /// What could not be determined about a file, or about nothing in particular when `file` is empty. It does not pass.
    pub fn cannot_tell(code: impl Into<Cow<'static, str>>, file: &str, message: impl Into<String>) -> Self {
        Self::of_file(Severity::Error, code, file, message).unknown()
    }

    /// The same as something that could not be determined, which does not pass.
    #[must_use]
    pub fn unknown(mut self) -> Self {
        self.severity = Severity::Error;
        self.cannot_tell = true;
        self
    }

    /// The same with a fix.
    #[must_use]
    pub fn with_fix(mut self, fix: impl Into<Fix>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// The same with the error underneath.
    #[must_use]
    pub fn with_cause(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// The same with what shows it, the strongest first.
    #[must_use]
    pub fn with_evidence(mut self, evidence: Vec<Evidence>) -> Self {
        self.evidence = evidence;
        self
    }

    /// The same with the rule that says so.
    #[must_use]
    pub fn with_rule(mut self, rule: Rule) -> Self {
        self.rule = Some(rule);
        self
    }

    /// The same with what its fix gives, where that is known.
    #[must_use]
    pub fn with_gain(mut self, gain: impl Into<Option<Gain>>) -> Self {
        self.gain = gain.into();
        self
    }

    /// The same, with a message of the form `cause; fix`, or with the fix on further lines, divided into both.
    #[must_use]
    pub fn divided(mut self) -> Self {
        let message = &self.message;
        if let Some((cause, fix)) = message.split_once('\n').or_else(|| message.split_once("; ")) {
            let (cause, fix) = (cause.to_owned(), Fix::from(fix));
            (self.message, self.fix) = (cause, Some(fix));
        }
        self
    }

    /// The same under another code.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<Cow<'static, str>>) -> Self {
        self.code = code.into();
        self.page = page_of(&self.code);
        self
    }

    /// The same at a place of a text.
    #[must_use]
    pub fn placed(self, source: &Source, place: Place) -> Self {
        let at = Self::at(self.severity, "", source, place, "", "");
        Self {
            file: at.file,
            line: at.line,
            column: at.column,
            end_line: at.end_line,
            end_column: at.end_column,
            excerpt: at.excerpt,
            ..self
        }
    }

    /// The same about no file, for a text that its author never saw.
    #[must_use]
    pub fn without_place(self) -> Self {
        Self {
            file: String::new(),
            line: 0,
            column: 0,
            end_line: 0,
            end_column: 0,
            excerpt: Excerpt::default(),
            ..self
        }
    }

    /// The same about a field.
    #[must_use]
    pub fn with_path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// True when it does not work as it is.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// What to do about it, in words; empty when that is not known.
    #[must_use]
    pub fn fix_text(&self) -> &str {
        self.fix.as_ref().map_or("", |fix| &fix.text)
    }

    /// The change of the manifest that fixes it, as a JSON merge patch.
    #[must_use]
    pub fn patch(&self) -> Option<&Value> {
        self.fix.as_ref().and_then(|fix| fix.patch.as_ref())
    }

    /// `file:line:column`, as much of it as there is; empty when it is about no file.
    #[must_use]
    pub fn place(&self) -> String {
        match self.line {
            0 => self.file.clone(),
            line => format!("{}:{line}:{}", self.file, self.column),
        }
    }

    /// In one line, without the place: `path: message; fix [code]`. For messages of an API and for logs.
    #[must_use]
    pub fn line(&self) -> String {
        let path = if self.path.is_empty() {
            String::new()
        } else {
            format!("{}: ", self.path)
        };
        let fix = match self.fix_text() {
            "" => String::new(),
            fix => format!("; {fix}"),
        };
        format!("{path}{}{fix} [{}]", self.message, self.code)
    }

    /// The text for people, without colours and without a line end.
    #[must_use]
    pub fn render(&self) -> String {
        render::text(self, Style::Plain)
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render())
    }
}

impl std::error::Error for Diagnostic {}

/// True when any of them is an error.
#[must_use]
pub fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(Diagnostic::is_error)
}

/// The page that explains a code. Codes of a family (`policy/team.deny`) share the entry of the family.
#[must_use]
pub fn page_of(code: &str) -> String {
    let family = code.split_once('/').map_or(code, |(family, _)| family);
    // As code hosts make an anchor of a heading.
    let anchor: String = family
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
        .collect();
    format!("docs/reference/codes.md#{}", anchor.to_lowercase())
}
