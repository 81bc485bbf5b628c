//! Any bytes are answered; a complaint points into the text; what was read survives JSON and is read again as itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stoke_diagnostics::Source;
use stoke_model::manifest;

fuzz_target!(|bytes: &[u8]| {
    let (documents, complaints) = manifest::check_bytes("fuzz.yaml", bytes);
    for complaint in &complaints {
        assert!(complaint.line >= 1 && complaint.column >= 1);
        assert!(complaint.line <= bytes.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count() + 1);
        let _ = (complaint.render(), serde_json::to_string(complaint));
    }
    for document in documents {
        let json = document.value.to_string();
        let (again, complaints) = manifest::read(&Source::new("again.json", &json));
        // YAML allows keys of at most 1024 characters in front of a colon on the same line; JSON has no such rule.
        if complaints.is_empty() && document.value != serde_json::Value::Null {
            assert_eq!(again[0].to_value(), document.value);
        }
    }
});
