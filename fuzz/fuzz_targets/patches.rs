//! Patches of every type: any object and any patch are answered.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str)| {
    let (target, change) = input;
    let (Ok(target), Ok(change)) = (serde_json::from_str(target), serde_json::from_str(change)) else { return };
    stoke_cluster::fuzz::patches(&target, &change);
});
