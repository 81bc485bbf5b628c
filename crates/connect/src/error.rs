//! What goes wrong between a client and a server.

use std::time::Duration;

use crate::remote::RemoteError;
use crate::statement::StatementError;

/// gRPC's code of a call that the server knows but does not take from this client.
const PERMISSION_DENIED: u32 = 7;
/// gRPC's code of a call that the server does not know.
const UNIMPLEMENTED: u32 = 12;
/// gRPC's code for a call without the credentials the server wants.
const UNAUTHENTICATED: u32 = 16;

/// Why there is no answer, or no more of it.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address is not one.
    #[error(transparent)]
    Address(#[from] RemoteError),
    /// The text is not sent as it is.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// The server cannot be reached.
    #[error("{place} cannot be reached: {cause}")]
    Unreachable {
        /// Host and port.
        place: String,
        /// What the network says.
        cause: String,
    },
    /// The connection broke, or does not speak HTTP/2.
    #[error("the connection does not carry HTTP/2: {0}")]
    Connection(#[from] h2::Error),
    /// The call was answered with an error.
    #[error("gRPC status {code}: {message}")]
    Refused {
        /// gRPC's status code.
        code: u32,
        /// What the server says.
        message: String,
    },
    /// Spark's own error about the text or its run.
    #[error("{message}")]
    Spark {
        /// Spark's error class, for example `TABLE_OR_VIEW_NOT_FOUND`.
        class: String,
        /// Spark's message, with the class and without plans and stack traces.
        message: String,
    },
    /// The answer is not that of a Connect server.
    #[error("{0}")]
    NotConnect(String),
    /// One message is more than what may be held.
    #[error("the answer is more than {0} bytes")]
    TooLong(usize),
    /// Nothing came in time.
    #[error("no answer within {} s", .0.as_secs())]
    Late(Duration),
}

impl ConnectError {
    /// A call that was refused: Spark's own errors have a class in brackets.
    pub(crate) fn refused(code: u32, message: &str) -> Self {
        let trimmed = message.trim();
        let class = trimmed.strip_prefix('[').and_then(|rest| Some(rest.split_once(']')?.0));
        let is_class = |class: &&str| {
            !class.is_empty()
                && class
                    .chars()
                    .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || "_.".contains(c))
        };
        match class.filter(is_class) {
            Some(class) => ConnectError::Spark {
                class: class.to_owned(),
                message: without_plan(trimmed).to_owned(),
            },
            None => ConnectError::Refused {
                code,
                message: if trimmed.is_empty() { "no message" } else { trimmed }.to_owned(),
            },
        }
    }

    /// The server wants credentials that were not given.
    pub fn wants_credentials(&self) -> bool {
        matches!(
            self,
            ConnectError::Refused {
                code: UNAUTHENTICATED | PERMISSION_DENIED,
                ..
            }
        )
    }

    /// The stable code, as `stoke explain` knows it.
    pub fn code(&self) -> &'static str {
        match self {
            ConnectError::Address(_) => "stoke::sql::address",
            ConnectError::Statement(error) => error.code(),
            ConnectError::Unreachable { .. } => "stoke::sql::unreachable",
            ConnectError::Spark { .. } => "stoke::sql::failed",
            ConnectError::Late(_) => "stoke::sql::timeout",
            ConnectError::TooLong(_) => "stoke::sql::too-long",
            refused if refused.wants_credentials() => "stoke::sql::credentials",
            ConnectError::Connection(_) | ConnectError::Refused { .. } | ConnectError::NotConnect(_) => {
                "stoke::sql::protocol"
            }
        }
    }

    /// What to do about it.
    pub fn fix(&self) -> Option<&'static str> {
        Some(match self {
            ConnectError::Address(error) => error.fix(),
            ConnectError::Statement(error) => error.fix(),
            ConnectError::Unreachable { .. } => {
                "check host and port; `stoke connect NAME` opens a server of a cluster at a local address"
            }
            ConnectError::Refused {
                code: UNIMPLEMENTED, ..
            }
            | ConnectError::Connection(_)
            | ConnectError::NotConnect(_) => {
                "check that a Spark Connect server listens at this port, and `use_ssl=true` if it wants TLS"
            }
            refused if refused.wants_credentials() => "give the server's token: `sc://host:port/;token=…`",
            ConnectError::TooLong(_) => "take fewer rows, select fewer columns, or shorten them with substring()",
            ConnectError::Late(_) => "ask for less, or raise the limit of time",
            ConnectError::Refused { .. } | ConnectError::Spark { .. } => return None,
        })
    }
}

/// Spark appends the plan to what it says of an analysis, and the text to what it says of its parse.
fn without_plan(message: &str) -> &str {
    let ends = [";\n", "\n\n== SQL", "\n== SQL", "\n\nJVM stacktrace"];
    let end = ends.iter().filter_map(|end| message.find(end)).min();
    end.map_or(message, |end| &message[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sparks_errors_have_a_class_and_no_plan() {
        for (message, class, says) in [
            (
                "[UNRESOLVED_COLUMN.WITHOUT_SUGGESTION] A column cannot be resolved.  SQLSTATE: 42703; line 1 pos 7;\n'Project ['nope]",
                Some("UNRESOLVED_COLUMN.WITHOUT_SUGGESTION"),
                "[UNRESOLVED_COLUMN.WITHOUT_SUGGESTION] A column cannot be resolved.  SQLSTATE: 42703; line 1 pos 7",
            ),
            (
                "\n[PARSE_SYNTAX_ERROR] Syntax error. SQLSTATE: 42601 (line 1, pos 0)\n\n== SQL ==\nSELEC\n^^^\n",
                Some("PARSE_SYNTAX_ERROR"),
                "[PARSE_SYNTAX_ERROR] Syntax error. SQLSTATE: 42601 (line 1, pos 0)",
            ),
            ("[] odd", None, "gRPC status 13: [] odd"),
            ("[lower] odd", None, "gRPC status 13: [lower] odd"),
            ("", None, "gRPC status 13: no message"),
        ] {
            let error = ConnectError::refused(13, message);
            assert_eq!(error.to_string(), says);
            let found = match &error {
                ConnectError::Spark { class, .. } => Some(class.as_str()),
                _ => None,
            };
            assert_eq!(found, class, "{message}");
        }
    }

    #[test]
    fn every_error_but_sparks_own_has_a_fix() {
        assert!(ConnectError::refused(16, "").wants_credentials());
        assert_eq!(ConnectError::refused(16, "").code(), "stoke::sql::credentials");
        assert!(ConnectError::refused(12, "").fix().is_some());
        assert!(ConnectError::refused(13, "[A_B] x").fix().is_none());
        assert!(ConnectError::Late(Duration::from_secs(3)).fix().is_some());
    }
}
