//! Complaints about a configuration, before Spark sees it.

use stoke_diagnostics::{Diagnostic, Place, Severity, Source};

use super::catalogue::{Catalogue, Known, recommendable};
use super::suggest;
use super::table::{Default, Entry, Kind};
use super::value::{Refusal, Rule, Scalar, ValueType, java_trim, parse_bool};

/// From this many keys on, a word after `spark.` is Spark's alone: `spark.executor.`, not `spark.checkpoint.` or `spark.app.`.
const SPARKS_OWN: usize = 10;
/// Most pairs of a configuration that are looked at; no Spark has a fifth as many keys.
pub const MOST_PAIRS: usize = 10_000;
const OF_OTHERS: &str = "keep it only if your own code or a library reads it";

/// The side of the pair a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    Key,
    Value,
}

/// A correction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Suggestion {
    /// Write this key instead.
    ReplaceKey(String),
    /// Write this value instead.
    ReplaceValue(String),
    /// Advice in words.
    Text(String),
}

impl std::fmt::Display for Suggestion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Suggestion::ReplaceKey(key) => write!(f, "write {key}"),
            Suggestion::ReplaceValue(value) => write!(f, "write {value}"),
            Suggestion::Text(text) => f.write_str(text),
        }
    }
}

/// What the catalogue says of a pair. Where the pair stands only its reader knows: see [`Lint::diagnostic`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lint {
    /// Stable code: `conf-unknown-key`, `conf-wrong-case`, `conf-wrong-type`, `conf-bad-value`, `conf-removed`, `conf-deprecated`, `conf-newer`,
    /// `conf-no-prefix`, `conf-whitespace`, `conf-unknown-namespace`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The key as written.
    pub key: String,
    /// Which side of the pair it is about.
    pub on: On,
    /// What is wrong, in one sentence.
    pub message: String,
    /// What to write instead, when that is known.
    pub suggestion: Option<Suggestion>,
}

impl Lint {
    /// The diagnostic of a pair at a place; `about` names the pair in the message.
    #[must_use]
    pub fn diagnostic(&self, source: &Source, place: Place, path: &str, about: &str) -> Diagnostic {
        let message = format!("`{about}`: {}", self.message);
        let found = Diagnostic::at(self.severity, self.code, source, place, path, message);
        match &self.suggestion {
            Some(suggestion) => found.with_fix(suggestion.to_string()),
            None => found,
        }
    }
}

impl Catalogue {
    /// Everything that is wrong with a configuration, in its order. A value that holds a reference (`${spark.x}`, `${env:X}`, `${system:x}`) is not
    /// judged. A key of a family of other products is never judged.
    pub fn lint<'a>(&self, conf: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<Lint> {
        let mut findings = Vec::new();
        for (key, value) in conf {
            self.lint_pair(key, value, &mut findings);
        }
        findings
    }

    fn lint_pair(&self, key: &str, value: &str, findings: &mut Vec<Lint>) {
        let trimmed = key.trim();
        if trimmed != key {
            let message = "blanks around the key: Spark takes them as a part of it".to_owned();
            let suggestion = Some(Suggestion::ReplaceKey(trimmed.to_owned()));
            findings.push(finding(
                "conf-whitespace",
                Severity::Error,
                key,
                On::Key,
                message,
                suggestion,
            ));
        }
        match self.find(trimmed) {
            Known::Entry(entry) => self.lint_entry(entry, key, value, findings),
            Known::Family(family) => {
                if let Some(meant) = suggest::slip_within(self, family, trimmed) {
                    let message = format!(
                        "Spark {} does not know this key; it passes it on as one of {}",
                        self.name(),
                        family.pattern
                    );
                    let suggestion = Some(Suggestion::ReplaceKey(meant));
                    findings.push(finding(
                        "conf-unknown-key",
                        Severity::Warning,
                        key,
                        On::Key,
                        message,
                        suggestion,
                    ));
                }
                check_value(&family.value_type, &Rule::Any, "", key, value, findings)
            }
            Known::Newer(entry) => {
                let since = if entry.since.is_empty() {
                    Catalogue::first_version(entry)
                } else {
                    entry.since
                };
                let message = format!("Spark {} does not know this key: it came with {since}", self.name());
                let advice = format!("use Spark {since} or later, or remove the key");
                findings.push(finding(
                    "conf-newer",
                    Severity::Error,
                    key,
                    On::Key,
                    message,
                    Some(Suggestion::Text(advice)),
                ));
            }
            Known::Gone(entry) => {
                let message = format!(
                    "Spark {} no longer has this key: it went away with {}",
                    self.name(),
                    Catalogue::gone_since(entry)
                );
                let suggestion = match entry.deprecation.as_ref().map(|(_, message)| message.as_ref()) {
                    Some(message) if !message.is_empty() => Suggestion::Text(message.to_owned()),
                    _ => match entry.new_key {
                        Some(new) => Suggestion::ReplaceKey(new.to_owned()),
                        None => Suggestion::Text("remove it".to_owned()),
                    },
                };
                findings.push(finding(
                    "conf-removed",
                    Severity::Error,
                    key,
                    On::Key,
                    message,
                    Some(suggestion),
                ));
            }
            Known::Unknown => findings.push(self.unknown(trimmed, key)),
        }
    }

    fn lint_entry(&self, entry: &'static Entry, key: &str, value: &str, findings: &mut Vec<Lint>) {
        if self.later_patch(entry.since) {
            let message = format!(
                "Spark {} may not know this key: it came with {}",
                self.name(),
                entry.since
            );
            findings.push(finding("conf-newer", Severity::Warning, key, On::Key, message, None));
        }
        match entry.kind {
            Kind::Removed => {
                let (version, advice) = deprecation(entry);
                // Spark refuses a removed SQL key only when the value is not the former default.
                let harmless = matches!(&entry.default, Default::Text(text) if text.as_ref() == value);
                let severity = if harmless { Severity::Warning } else { Severity::Error };
                let message = format!("removed in Spark {version}");
                findings.push(finding(
                    "conf-removed",
                    severity,
                    key,
                    On::Key,
                    message,
                    Some(replacement(advice)),
                ));
                return;
            }
            Kind::OldName => {
                let (version, advice) = deprecation(entry);
                let works = entry
                    .new_key
                    .and_then(|new| self.get(new))
                    .filter(|new| new.old_names.iter().any(|(old, _)| *old == entry.key));
                let found = match works {
                    Some(new) => {
                        let since = if version.is_empty() {
                            String::new()
                        } else {
                            format!(" since Spark {version}")
                        };
                        let message = format!("deprecated{since}: the key is now {}", new.key);
                        let suggestion = if advice.is_empty() || !converted(entry.key) {
                            Suggestion::ReplaceKey(new.key.to_owned())
                        } else {
                            Suggestion::Text(advice.to_owned())
                        };
                        finding(
                            "conf-deprecated",
                            Severity::Warning,
                            key,
                            On::Key,
                            message,
                            Some(suggestion),
                        )
                    }
                    None => {
                        let message = format!("has no effect since Spark {version}");
                        finding(
                            "conf-removed",
                            Severity::Error,
                            key,
                            On::Key,
                            message,
                            Some(replacement(advice)),
                        )
                    }
                };
                findings.push(found);
                return;
            }
            Kind::Entry | Kind::Plain => {}
        }
        if entry.deprecation.is_some() {
            let (version, advice) = deprecation(entry);
            let message = format!("deprecated since Spark {version}");
            findings.push(finding(
                "conf-deprecated",
                Severity::Warning,
                key,
                On::Key,
                message,
                Some(replacement(advice)),
            ));
        }
        check_value(&entry.value_type, &entry.rule, entry.rule_message, key, value, findings);
    }

    fn unknown(&self, trimmed: &str, key: &str) -> Lint {
        if let Some(exact) = self
            .entries()
            .find(|entry| entry.key.eq_ignore_ascii_case(trimmed) && recommendable(entry))
        {
            let message = format!("Spark's keys are case-sensitive; it knows {}", exact.key);
            let suggestion = Some(Suggestion::ReplaceKey(exact.key.to_owned()));
            return finding("conf-wrong-case", Severity::Error, key, On::Key, message, suggestion);
        }
        let guess = suggest::near_misses(self, trimmed).into_iter().next();
        if !trimmed.starts_with("spark.") {
            let message = "Spark ignores keys that do not begin with spark.".to_owned();
            let suggestion = suggest::with_prefix(self, trimmed)
                .or(guess)
                .map(Suggestion::ReplaceKey);
            return finding("conf-no-prefix", Severity::Warning, key, On::Key, message, suggestion);
        }
        let segment = trimmed.split('.').nth(1).unwrap_or_default();
        let keys = self
            .entries()
            .filter(|entry| entry.place != "python" && entry.key.split('.').nth(1) == Some(segment))
            .take(SPARKS_OWN)
            .count();
        // A word with few keys of Spark's is one that applications use for keys of their own, too.
        if guess.is_none() && (1..SPARKS_OWN).contains(&keys) {
            let message = format!(
                "Spark {} does not know this key, and none of its keys below spark.{segment} resembles it",
                self.name()
            );
            let advice = Suggestion::Text(OF_OTHERS.to_owned());
            return finding(
                "conf-unknown-key",
                Severity::Warning,
                key,
                On::Key,
                message,
                Some(advice),
            );
        }
        if keys > 0 || guess.is_some() {
            let message = format!("Spark {} does not know this key", self.name());
            return finding(
                "conf-unknown-key",
                Severity::Error,
                key,
                On::Key,
                message,
                guess.map(Suggestion::ReplaceKey),
            );
        }
        let message = format!("Spark {} reads nothing under spark.{segment}", self.name());
        let advice = OF_OTHERS.to_owned();
        finding(
            "conf-unknown-namespace",
            Severity::Warning,
            key,
            On::Key,
            message,
            Some(Suggestion::Text(advice)),
        )
    }
}

fn finding(
    code: &'static str,
    severity: Severity,
    key: &str,
    on: On,
    message: String,
    suggestion: Option<Suggestion>,
) -> Lint {
    Lint {
        code,
        severity,
        key: key.to_owned(),
        on,
        message,
        suggestion,
    }
}

fn deprecation(entry: &'static Entry) -> (&'static str, &'static str) {
    entry
        .deprecation
        .as_ref()
        .map_or(("", ""), |(version, message)| (version, message.as_ref()))
}

/// Spark's advice in words, or the key it names when that is all it says.
fn replacement(advice: &str) -> Suggestion {
    if advice.trim_end_matches('.').eq_ignore_ascii_case("Not used anymore") {
        return Suggestion::Text("remove it".to_owned());
    }
    let words = advice
        .trim_end_matches('.')
        .trim_end_matches(" instead of it")
        .trim_end_matches(" instead");
    for lead in [
        "Please use ",
        "Use ",
        "This config was replaced by ",
        "Not used anymore. Please use ",
    ] {
        let Some(rest) = words.strip_prefix(lead) else { continue };
        let key = rest.trim_matches(['\'', '`']);
        if key.starts_with("spark.")
            && key
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        {
            return Suggestion::ReplaceKey(key.to_owned());
        }
    }
    Suggestion::Text(if advice.is_empty() {
        "remove it".to_owned()
    } else {
        advice.trim().to_owned()
    })
}

/// Old names whose value has another unit than that of the new key: replacing the key alone would change the meaning.
fn converted(key: &str) -> bool {
    [".mb", ".kb", ".seconds", ".maxBytes", ".waitTries", ".maxMbInFlight"]
        .iter()
        .any(|end| key.ends_with(end))
}

fn check_value(
    value_type: &ValueType,
    rule: &Rule,
    rule_message: &str,
    key: &str,
    value: &str,
    findings: &mut Vec<Lint>,
) {
    if has_reference(value) {
        return;
    }
    let mut refuse = |code, message| {
        let suggestion = suggest::value(value_type, rule, value).map(Suggestion::ReplaceValue);
        findings.push(finding(code, Severity::Error, key, On::Value, message, suggestion));
    };
    match value_type.check(rule, value) {
        Ok(()) => {}
        Err(Refusal::Form(expected)) => {
            return refuse("conf-wrong-type", format!("{value:?} is not {expected}"));
        }
        Err(Refusal::Rule(demand)) => {
            let said = if rule_message.is_empty() {
                String::new()
            } else {
                format!(" (Spark: {rule_message})")
            };
            return refuse("conf-bad-value", format!("{value:?} {demand}{said}"));
        }
    }
    let free_text = value_type.list || key.ends_with("JavaOptions") || value.trim().is_empty();
    if value_type.scalar == Scalar::Text && !free_text && java_trim(value) != value {
        let message = "blanks around the value: Spark takes them as a part of it".to_owned();
        let suggestion = Some(Suggestion::ReplaceValue(java_trim(value).to_owned()));
        findings.push(finding(
            "conf-whitespace",
            Severity::Warning,
            key,
            On::Value,
            message,
            suggestion,
        ));
    }
}

/// Whether the value holds a reference that Spark replaces: `${spark.x}`, `${env:X}`, `${system:x}`.
pub(super) fn has_reference(value: &str) -> bool {
    value.split("${").skip(1).any(|rest| {
        rest.split_once('}').is_some_and(|(name, _)| {
            ["spark.", "env:", "system:"]
                .iter()
                .any(|prefix| name.len() > prefix.len() && name.starts_with(prefix))
        })
    })
}

/// What a text that people write for a truth value means.
pub(super) fn meant_bool(text: &str) -> Option<bool> {
    let text = java_trim(text).to_ascii_lowercase();
    match text.as_str() {
        "yes" | "y" | "on" | "1" | "t" | "enabled" | "enable" => Some(true),
        "no" | "n" | "off" | "0" | "f" | "disabled" | "disable" => Some(false),
        other => parse_bool(other.trim_matches(['"', '\''])),
    }
}
