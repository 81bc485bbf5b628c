//! Memory and time strings: any text is answered; what is read is printed as something that reads as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stoke_model::duration::{TimeUnit, parse_go, parse_spark};
use stoke_model::memory::{ByteUnit, Memory};

fuzz_target!(|text: &str| {
    if let Ok(memory) = Memory::parse(text, ByteUnit::Mib) {
        assert_eq!(Memory::parse(&memory.to_string(), ByteUnit::Mib), Ok(memory));
    }
    if let Ok(memory) = Memory::parse_limit(text) {
        assert_eq!(Memory::parse_limit(&memory.to_string()), Ok(memory));
    }
    let _ = parse_spark(text, TimeUnit::Millisecond);
    let _ = parse_go(text);
});
