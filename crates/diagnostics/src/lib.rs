//! Room `diagnostics`: what is wrong, where, why, and how it is fixed; one type for every room and command.
//!
//! In: a [`Severity`], a code, a message, a [`Place`] in a [`Source`], a [`Fix`]. Out: a [`Diagnostic`], for people ([`render`]), as JSON (serde; the
//! schema is `docs/reference/diagnostic.schema.json`), as [`sarif`](sarif::sarif) or [`junit`](junit::junit).
//!
//! Each room lists its codes in a [`codes::Table`]; together they are the [`codes::Registry`] behind `stoke explain CODE` and `docs/reference/codes.md`.
//!
//! A verdict (pass, fail, cannot tell) is not a diagnostic. This room reads no files and prints nothing.
//!
//! ```
//! use stoke_diagnostics::{Diagnostic, Place, Severity, Source};
//!
//! let source = Source::new("app.yaml", "spec:\n  mode: client\n");
//! let place = Place { start: 14, end: 20, line: 2, column: 9 };
//! let found = Diagnostic::at(Severity::Error, "client-mode", &source, place, "spec.mode", "the driver must run in the cluster")
//!     .with_fix("write `mode: cluster`");
//! assert_eq!(
//!     found.to_string(),
//!     "error[client-mode]: the driver must run in the cluster
//!  --> app.yaml:2:9
//!   |
//! 2 |   mode: client
//!   |         ^^^^^^
//!   |
//!   = field: spec.mode
//!   = help: write `mode: cluster`"
//! );
//! assert_eq!(serde_json::to_value(&found)?["fix"]["text"], "write `mode: cluster`");
//! # Ok::<(), serde_json::Error>(())
//! ```

pub mod codes;
mod diagnostic;
pub mod junit;
pub mod render;
pub mod sarif;
mod source;

pub use diagnostic::{Diagnostic, Evidence, Fix, Gain, Rule, Severity, has_errors, page_of};
pub use render::printable;
pub use source::{Excerpt, Place, Source};
