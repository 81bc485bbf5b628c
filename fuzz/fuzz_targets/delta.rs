//! Commits of a Delta table: any bytes are a table or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| stoke_quality::fuzz::delta(bytes));
