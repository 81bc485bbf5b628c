//! Room `connect`: a client of Spark Connect.
//!
//! In: an address `sc://…` ([`Remote`]) or any connection to a server, a text of SQL and [`Limits`]. Out: the columns and rows of the answer as JSON
//! values ([`Rows`]), or the server's own error ([`ConnectError`]).
//! - `call`: gRPC over HTTP/2 (`h2`), for one answer or a stream of them
//! - `messages`: the few messages that are needed, with the field numbers of Spark's `spark/connect/*.proto`
//! - [`statement`]: what a text is, and in which form it is sent so that it can only read (pure)
//! - `cells`: Arrow becomes columns and values
//! - [`session`]: a session, its queries, their limits and their end
//! - [`greeting`]: whether a server is there and answers
//!
//! A result is never held whole: one batch of rows at a time, and the server waits until it is taken. A query that reaches a limit, and one that is
//! dropped, is interrupted on the server.
//! Never: sends a text whose analysis may already write (a script, `EXECUTE IMMEDIATE`) unless writing is allowed; keeps a session; prints.

mod call;
mod cells;
mod error;
#[doc(hidden)]
pub mod fuzz;
pub mod greeting;
mod messages;
pub mod remote;
pub mod session;
pub mod statement;

pub use cells::{Column, text_of};
pub use error::ConnectError;
pub use greeting::greet;
pub use remote::{Login, Remote, RemoteError};
pub use session::{Limits, Rows, Session, Stop};
pub use statement::{Statement, StatementError};
