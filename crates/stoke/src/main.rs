//! The `stoke` binary.
fn main() {}
