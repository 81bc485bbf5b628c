//! CEL, the Common Expression Language, as the API server speaks it: rules of custom resources, match conditions, admission policies.
//!
//! In: the text of an expression and, where there is a schema, the types of its variables ([`check`]). Out: a [`Program`] that is
//! evaluated over borrowed JSON ([`eval`]) with the libraries of Kubernetes ([`functions`], [`kubernetes`]), within a [`Budget`].
//! It is our own because the crates for it (`cel` 0.15, `kube-cel` 0.8) can neither be stopped when an expression costs too much nor check
//! types, which is how the API server refuses a wrong rule at once. It never runs without a budget, never reads a clock and never panics.

pub mod check;
mod eval;
mod functions;
mod kubernetes;
mod lex;
mod lists;
mod parse;
mod signatures;
mod text;
mod tree;
mod value;

pub use eval::{Budget, EvalError, Variables};
pub use kubernetes::Question;
pub(crate) use text::parse_duration;
pub use value::Value;

use tree::Node;

/// Cost units one expression may use, as published.
pub const EXPRESSION_BUDGET: u64 = 10_000_000;
/// Cost units all rules of one object, or all policies of one request, may use.
pub const TOTAL_BUDGET: u64 = 100_000_000;
/// Longest expression, in bytes.
const MOST_BYTES: usize = 128 << 10;

/// A parsed expression.
#[derive(Debug)]
pub struct Program {
    text: Box<str>,
    root: Node,
}

/// Why an expression is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileError {
    /// Byte offset.
    pub place: usize,
    /// What is wrong there.
    pub message: String,
}

impl CompileError {
    /// The complaint as the API server prints it, with the line and a mark below the place.
    pub fn describe(&self, text: &str) -> String {
        let before = text.get(..self.place).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |index| index + 1);
        let column = before[start..].chars().count() + 1;
        let source = text.lines().nth(line - 1).unwrap_or_default();
        format!(
            "ERROR: <input>:{line}:{column}: {}\n | {source}\n | {}^",
            self.message,
            ".".repeat(column - 1)
        )
    }
}

impl Program {
    /// Parses an expression.
    pub fn parse(text: &str) -> Result<Program, CompileError> {
        if text.len() > MOST_BYTES {
            return Err(CompileError {
                place: 0,
                message: format!(
                    "expression code point size exceeds limit: size: {}, limit {MOST_BYTES}",
                    text.len()
                ),
            });
        }
        Ok(Program {
            text: text.into(),
            root: parse::parse(text)?,
        })
    }

    /// The text it was parsed from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Type of the result; complains about unknown names, fields, functions and operands of wrong types.
    pub fn check<'s>(&self, variables: &[(&str, check::Type<'s>)]) -> Result<check::Type<'s>, CompileError> {
        check::check(&self.root, variables)
    }

    /// Whether a variable is named anywhere in it.
    pub fn uses(&self, variable: &str) -> bool {
        self.root.names(variable)
    }

    /// Evaluates it; stops with an error when the budget is used up.
    pub fn eval<'a>(&self, variables: &dyn Variables<'a>, budget: &Budget) -> Result<Value<'a>, EvalError> {
        eval::run(&self.root, variables, budget)
    }

    /// Evaluates a condition.
    pub fn holds<'a>(&self, variables: &dyn Variables<'a>, budget: &Budget) -> Result<bool, EvalError> {
        match self.eval(variables, budget)? {
            Value::Bool(truth) => Ok(truth),
            other => Err(EvalError::new(format!(
                "the result is of type {}, not bool",
                other.type_name()
            ))),
        }
    }
}

#[cfg(test)]
mod tests;
