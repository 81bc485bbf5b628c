//! Jars and wheels of a job: any bytes are read, or reported as damaged.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| stoke_gate::fuzz::archive(bytes));
