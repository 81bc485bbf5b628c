//! Why a grammar cannot be had, and where a text stops being SQL.

use std::path::PathBuf;

use crate::atn::AtnError;
use crate::class::ClassError;

/// Why a grammar cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum GrammarError {
    /// There is no such jar.
    #[error("{0}: there is no spark-sql-api_….jar, which has the SQL parser since Spark 3.5")]
    NoJar(PathBuf),
    /// The jar cannot be read, or has no parser.
    #[error("{place}: {cause}")]
    Jar {
        /// The file.
        place: String,
        /// Why.
        cause: String,
    },
    /// The parser's class is not what ANTLR generates.
    #[error("{place}: {cause}")]
    Class {
        /// The class.
        place: &'static str,
        /// Why.
        cause: ClassError,
    },
    /// Its tables are not what is known.
    #[error("{place}: {cause}")]
    Tables {
        /// The class.
        place: &'static str,
        /// Why.
        cause: AtnError,
    },
    /// A condition this Stoke does not know: nothing can be told of this Spark's SQL.
    #[error("the SQL grammar of this Spark has a condition that this Stoke does not know: {0}")]
    Condition(String),
}

/// Where a text stops being SQL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct SyntaxError {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The name Spark has for it.
    pub condition: &'static str,
    /// What is wrong there.
    pub message: String,
}

impl SyntaxError {
    /// One at a character of a text.
    pub(crate) fn at(text: &[char], index: usize, condition: &'static str, message: String) -> SyntaxError {
        let before = &text[..index.min(text.len())];
        let line_start = before.iter().rposition(|c| *c == '\n').map_or(0, |place| place + 1);
        SyntaxError {
            line: before.iter().filter(|c| **c == '\n').count() + 1,
            column: before.len() - line_start + 1,
            condition,
            message,
        }
    }
}

/// The condition of a text that may be SQL, and is not read: it would take too long. Spark's own parser has the same when its stack is full.
pub const TOO_COMPLEX: &str = "FAILED_TO_PARSE_TOO_COMPLEX";

pub(super) fn too_complex(text: &[char], at: usize) -> SyntaxError {
    let message = "the statement is too deep, or can be read in too many ways: from here on it was not read";
    SyntaxError::at(text, at, TOO_COMPLEX, message.to_owned())
}
