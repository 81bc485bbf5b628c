//! The published schema is that of the type.

use std::path::Path;

use stoke_diagnostics::Diagnostic;

/// `STOKE_WRITE_DOCS=1` writes it.
#[test]
fn the_published_schema_is_that_of_the_type() {
    let schema = schemars::SchemaGenerator::new(schemars::generate::SchemaSettings::draft2020_12().for_serialize())
        .into_root_schema_for::<Diagnostic>();
    let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/diagnostic.schema.json");
    if std::env::var_os("STOKE_WRITE_DOCS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(&path).unwrap_or_default(),
        text,
        "STOKE_WRITE_DOCS=1 renews it"
    );
}
