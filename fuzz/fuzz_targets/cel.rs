//! CEL expressions: any text is answered, within its budget, whatever the object is.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str)| {
    let (text, object) = input;
    stoke_cluster::fuzz::expression(text, &serde_json::from_str(object).unwrap_or_default());
});
