//! What others may rely on.
#![allow(clippy::unwrap_used)]

mod schema;
