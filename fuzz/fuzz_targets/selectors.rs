//! Label and field selectors: any text is answered; what is read is printed as text that reads as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| stoke_cluster::fuzz::selectors(text));
