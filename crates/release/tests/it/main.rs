//! Tests of this room that need nothing else.

mod evidence;
