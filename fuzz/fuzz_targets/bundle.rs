//! Bundles: any bytes are a bundle or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| stoke_insight::fuzz::bundle(bytes));
