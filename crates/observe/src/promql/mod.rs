//! Prometheus' query language: a text becomes an expression in which every part has its place.
//!
//! The grammar is that of Prometheus 3 (quoted names, durations as numbers) and of 2; what either refuses (types, arguments, matching) is refused here, with
//! the place. In texts of dashboards, variables (`$name`, `${name:format}`, `[[name]]`) may stand where a name, a value, a number or a duration does.
//!
//! ```
//! use stoke_observe::promql::{Node, Variables, parse};
//!
//! let expression = parse("sum by (pod) (rate(container_cpu_usage_seconds_total[5m])) > 0.5", Variables::None)?;
//! assert!(matches!(expression.node, Node::Binary(_)));
//! assert_eq!(parse("rate(up)", Variables::None).unwrap_err().span.start, 5);
//! # Ok::<(), stoke_observe::promql::Wrong>(())
//! ```

mod ast;
mod functions;
mod lex;
mod parse;
#[cfg(test)]
mod tests;
mod types;

pub use ast::{
    Aggregate, Binary, Call, Duration, Expr, Group, Grouping, Match, Matcher, Matching, Node, Op, Selector, Span,
    Subquery,
};
pub use functions::{AGGREGATIONS, Function, Type, function};
pub use lex::{ANY, Variables};
pub use parse::parse;

/// A duration such as `1h30m`, in seconds.
#[must_use]
pub fn seconds(text: &str) -> Option<f64> {
    lex::duration(text)
}

/// Why a text is not an expression, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    pub span: Span,
    pub message: String,
    /// What to write, where that is known.
    pub fix: Option<String>,
    /// True where the text reads well and its types do not go together.
    pub is_type: bool,
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Wrong {}
