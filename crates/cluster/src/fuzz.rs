//! Doors for the fuzz targets, which stand outside of this crate. Nothing here is an interface.
//!
//! Each function takes anything and must neither panic nor run away; what it can check of the result, it asserts.

use serde_json::Value;

use crate::apimachinery::cel;
use crate::apimachinery::cel::check::Type;
use crate::apimachinery::cel::{Budget, Program};
use crate::apimachinery::patch;
use crate::apimachinery::protobuf;
use crate::apimachinery::schema::builtin;
use crate::apimachinery::selectors::{FieldSelector, LabelSelector};

/// Steps an expression may take here.
const STEPS: u64 = 100_000;

/// Parses, checks and evaluates an expression over any object.
pub fn expression(text: &str, object: &Value) {
    let program = match Program::parse(text) {
        Ok(program) => program,
        Err(error) => {
            let _ = error.describe(text);
            return;
        }
    };
    if let Err(error) = program.check(&[("self", Type::Dyn), ("object", Type::Dyn)]) {
        let _ = error.describe(text);
    }
    let variables = [
        ("self", cel::Value::of(object, None)),
        ("object", cel::Value::of(object, None)),
    ];
    if let Ok(value) = program.eval(&variables, &Budget::new(STEPS)) {
        let _ = (value.json(), value.display());
    }
}

/// Parses both kinds of selectors; a label selector that is read is printed as text that reads as the same.
pub fn selectors(text: &str) {
    if let Ok(selector) = LabelSelector::parse(text) {
        let printed = selector.to_string();
        let again = LabelSelector::parse(&printed);
        assert_eq!(
            again.as_ref().ok(),
            Some(&selector),
            "{text:?} is printed as {printed:?}"
        );
    }
    let _ = FieldSelector::parse(text, "pods", None);
}

/// Applies a patch of every type; a merge patch applied twice changes nothing more.
pub fn patches(target: &Value, change: &Value) {
    let _ = patch::json_patch(target, change);
    let mut once = target.clone();
    patch::merge_patch(&mut once, change);
    let mut twice = once.clone();
    patch::merge_patch(&mut twice, change);
    assert_eq!(once, twice);
    if let Some(schema) = builtin::schema("io.k8s.api.core.v1.Pod") {
        let mut pod = target.clone();
        patch::strategic_merge_patch(&mut pod, change, schema);
    }
}

/// Reads any bytes as a protobuf body; what is read is written again, and read again.
pub fn protobuf_body(body: &[u8]) {
    let Ok(object) = protobuf::decode(body) else { return };
    if let Ok(written) = protobuf::encode(&object) {
        assert!(
            protobuf::decode(&written).is_ok(),
            "what was written cannot be read: {object}"
        );
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// JSON that looks a little like objects and patches.
    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a-c]{0,2}".prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            let names = prop_oneof![
                Just("spec"),
                Just("containers"),
                Just("name"),
                Just("$patch"),
                Just("$retainKeys"),
                Just("a"),
                Just("$setElementOrder/containers")
            ];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map(names, inner, 0..4)
                    .prop_map(|map| map.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn any_expression_is_answered(text in r#"([a-z]{1,4}|[0-9]{1,3}|[-+*/%!?:.,<>=&|(){}\[\]'"\\ ]|self|\.all\(x, |size\(){0,16}"#) {
            expression(&text, &json!({"a": [1, 2], "b": {"c": "d"}}));
        }

        #[test]
        fn any_selector_is_answered(text in r#"([a-c]{1,3}|[=!,()<> ]|in|notin){0,10}"#) {
            selectors(&text);
        }

        #[test]
        fn any_patch_is_answered(target in json(), change in json()) {
            patches(&target, &change);
        }
    }
}
