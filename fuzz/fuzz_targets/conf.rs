//! Spark properties and their lint: any text is answered; what is stored is read back; every finding names a pair that was given.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use stoke_model::conf::Catalogue;
use stoke_model::conf::properties::{read, read_pairs, store};

fuzz_target!(|text: &str| {
    let _ = read(text);
    let Ok(pairs) = read_pairs(text) else { return };
    let conf: BTreeMap<String, String> = pairs.into_iter().map(|pair| (pair.key, pair.value)).collect();
    let stored = store(&conf, ["fuzz"]);
    let again: BTreeMap<String, String> =
        read_pairs(&stored).unwrap().into_iter().map(|pair| (pair.key, pair.value)).collect();
    assert_eq!(again, conf);
    for version in ["3.5.9", "4.1.4"] {
        let catalogue = Catalogue::for_version(version);
        for finding in catalogue.lint(conf.iter().map(|(key, value)| (key.as_str(), value.as_str()))) {
            assert!(conf.contains_key(&finding.key));
            assert!(!finding.message.is_empty());
        }
    }
});
