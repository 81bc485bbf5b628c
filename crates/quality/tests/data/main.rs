//! Contracts over real files: every layout, type and fault.
#![allow(clippy::unwrap_used, clippy::panic)]

mod contracts;
mod documents;
mod formats;
mod pieces;
mod quarantine;
mod support;
mod types;
