//! What the values of a file mean together: names, references, versions that go together, secrets, sizes, needs. Pure, without places; reading adds them.
//!
//! - `components`: one component by itself
//! - `parts`: what several of them have
//! - `store`: object stores
//! - `secrets`: where Secrets come from
//! - `together`: what names what, and what goes with what

mod components;
mod parts;
mod secrets;
mod store;
mod together;

use std::fmt::Display;

use serde_json::Value;
use stoke_diagnostics::Severity;

use crate::environment::Resolved;
use crate::spec::Platform;

/// Something that is wrong, at a path of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Issue {
    pub severity: Severity,
    pub code: &'static str,
    pub path: String,
    pub message: String,
    pub fix: String,
    /// The value that is surely right at the path.
    pub instead: Option<Value>,
}

/// Issues, gathered.
#[derive(Default)]
struct Issues(Vec<Issue>);

impl Issues {
    fn error(&mut self, code: &'static str, path: impl Into<String>, message: impl Display, fix: impl Display) {
        self.push(Severity::Error, code, path.into(), message, fix, None);
    }

    fn warning(&mut self, code: &'static str, path: impl Into<String>, message: impl Display, fix: impl Display) {
        self.push(Severity::Warning, code, path.into(), message, fix, None);
    }

    /// An error with the value that is surely right.
    fn instead(
        &mut self,
        code: &'static str,
        path: impl Into<String>,
        message: impl Display,
        fix: impl Display,
        value: Value,
    ) {
        self.push(Severity::Error, code, path.into(), message, fix, Some(value));
    }

    fn push(
        &mut self,
        severity: Severity,
        code: &'static str,
        path: String,
        message: impl Display,
        fix: impl Display,
        instead: Option<Value>,
    ) {
        self.0.push(Issue {
            severity,
            code,
            path,
            message: message.to_string(),
            fix: fix.to_string(),
            instead,
        });
    }
}

/// Everything that is wrong with the file in one environment. `file` is what stands in it for all of them.
#[must_use]
pub fn examine(resolved: &Resolved, file: &Platform, environment: Option<&str>) -> Vec<Issue> {
    let mut issues = Issues::default();
    components::look(resolved, environment, &mut issues);
    secrets::look(resolved, &mut issues);
    together::look(resolved, file, environment, &mut issues);
    issues.0
}

/// What is wrong with a component by itself and with where it is placed and reached: what its sizes and places may make wrong.
#[must_use]
pub(crate) fn examine_one(resolved: &Resolved, component: &str) -> Vec<Issue> {
    let mut issues = Issues::default();
    components::look_at(resolved, component, &mut issues);
    together::placed(resolved, &mut issues);
    issues.0
}
