//! Compiled grammars of Spark: any bytes are a grammar or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| stoke_sql::fuzz::grammar(bytes));
