//! Scalars of documents whose type is not fixed.

use std::fmt;

use super::{Content, Node};

/// A scalar as a file writes it; what reads the file decides which type it is compared as.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// Nothing.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// Any other number.
    Float(f64),
    /// A text; of a date, time or timestamp in ISO 8601.
    Text(String),
}

impl Literal {
    /// A scalar of a document; none for lists and mappings.
    pub fn of(node: &Node) -> Option<Self> {
        Some(match &node.content {
            Content::Null => Self::Null,
            Content::Bool(value) => Self::Bool(*value),
            Content::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
                (Some(value), _, _) => Self::Int(value.into()),
                (_, Some(value), _) => Self::Int(value.into()),
                (_, _, Some(value)) => Self::Float(value),
                _ => return None,
            },
            Content::String(text) => Self::Text(text.clone()),
            Content::List(_) | Content::Map(_) => return None,
        })
    }

    /// The number, when it is one.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Int(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            Self::Null | Self::Bool(_) | Self::Text(_) => None,
        }
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
            Self::Text(text) => write!(f, "{text:?}"),
        }
    }
}
