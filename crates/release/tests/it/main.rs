//! Tests of this room that need nothing else.
#![allow(clippy::unwrap_used)]

mod evidence;
