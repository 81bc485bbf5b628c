//! The published schema is that of the type.

use stoke_diagnostics::Diagnostic;
use stoke_testkit::generated;

#[test]
fn the_generated_schema_is_that_of_the_type() {
    let schema = schemars::SchemaGenerator::new(schemars::generate::SchemaSettings::draft2020_12().for_serialize())
        .into_root_schema_for::<Diagnostic>();
    let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    assert_eq!(generated::file("docs/reference/diagnostic.schema.json", &text), Ok(()));
}
