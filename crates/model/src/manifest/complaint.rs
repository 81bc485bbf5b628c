//! What is wrong with a manifest, where, and what to do about it.

use std::fmt;

use serde::Serialize;

use super::source::{Excerpt, Place, Source};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It works, but perhaps not as meant.
    Warning,
    /// It does not work.
    Error,
}

impl From<crate::conf::Severity> for Severity {
    fn from(severity: crate::conf::Severity) -> Self {
        match severity {
            crate::conf::Severity::Warning => Self::Warning,
            crate::conf::Severity::Error => Self::Error,
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// One thing that is wrong with a manifest.
///
/// Displayed, it reads like a compiler's diagnostic: severity and code, the message, `file:line:column`, the line with a mark under
/// the place, the path of the field, and the fix. Serialised, it is the same without the line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Complaint {
    /// Stable name of the kind of complaint, for example `unknown-field`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Name of the source.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The field, for example `spec.driver.cores`; empty for the document itself.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// What is wrong and why.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
    /// The line it points at.
    #[serde(skip)]
    pub excerpt: Excerpt,
}

impl Complaint {
    /// A complaint about a place.
    pub fn new(
        severity: Severity,
        code: &'static str,
        source: &Source,
        place: Place,
        path: &str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            code,
            severity,
            file: source.name().to_owned(),
            line: place.line,
            column: place.column,
            path: path.to_owned(),
            message: message.into(),
            suggestion: None,
            excerpt: source.excerpt(place),
        }
    }

    /// The same with a fix.
    #[must_use]
    pub fn with_suggestion(mut self, suggestion: impl Into<String>) -> Self {
        self.suggestion = Some(suggestion.into());
        self
    }

    /// True when the manifest cannot be used as it is.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The text a person reads, without colours and without a line end; see the type.
    pub fn render(&self) -> String {
        self.to_string().trim_end().to_owned()
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        writeln!(f, "{}[{}]: {}", self.severity, self.code, self.message)?;
        writeln!(f, "{margin}--> {}:{}:{}", self.file, self.line, self.column)?;
        if !self.excerpt.text.is_empty() {
            // Tabs stay tabs before the mark, so that it stands under its place whatever their width.
            let indent: String = self
                .excerpt
                .text
                .chars()
                .take(self.excerpt.before)
                .map(|c| if c == '\t' { '\t' } else { ' ' })
                .collect();
            writeln!(f, "{margin} |")?;
            writeln!(f, "{number} | {}", printable(&self.excerpt.text))?;
            writeln!(f, "{margin} | {indent}{}", "^".repeat(self.excerpt.width.max(1)))?;
        }
        if !self.path.is_empty() {
            writeln!(f, "{margin} = field: {}", self.path)?;
        }
        if let Some(suggestion) = &self.suggestion {
            writeln!(f, "{margin} = help: {suggestion}")?;
        }
        Ok(())
    }
}

/// Control characters other than tabs could command the terminal; they are shown as `\u{fffd}`.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c })
        .collect()
}

impl std::error::Error for Complaint {}

/// True when any complaint is an error.
pub fn has_errors(complaints: &[Complaint]) -> bool {
    complaints.iter().any(Complaint::is_error)
}
