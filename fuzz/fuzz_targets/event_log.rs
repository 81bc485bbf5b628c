//! Event logs: any bytes, in any compression, end in an application that can be shown, or in a report of what is wrong.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| stoke_history::fuzz::event_log(bytes));
