//! Rows as a Connect server sends them: any bytes are rows or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| stoke_connect::fuzz::batch(bytes));
