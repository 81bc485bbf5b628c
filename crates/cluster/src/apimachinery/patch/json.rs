//! JSON patch, RFC 6902, with the leniency of the API server's library.

use serde_json::Value;

use crate::apimachinery::json_words;
use crate::apimachinery::status::Status;

/// Operations accepted in one patch.
const MOST_OPERATIONS: usize = 10_000;

/// Applies the operations in order; none is applied if one fails.
pub fn json_patch(target: &Value, patch: &Value) -> Result<Value, Status> {
    let operations = patch.as_array().ok_or_else(|| {
        let found = json_words::called(patch);
        Status::bad_request(format!(
            "error decoding patch: json: cannot unmarshal {found} into Go value of type []handlers.jsonPatchOp"
        ))
    })?;
    if operations.len() > MOST_OPERATIONS {
        let message = format!(
            "The allowed maximum operations in a JSON patch is {MOST_OPERATIONS}, got {}",
            operations.len()
        );
        return Err(Status::new(413, "RequestEntityTooLarge", message));
    }
    let mut value = target.clone();
    for operation in operations {
        if operation["op"] == "test" {
            test(&value, operation)?;
            continue;
        }
        let decoded: json_patch::PatchOperation = serde_json::from_value(operation.clone()).map_err(|_| rejected())?;
        json_patch::patch(&mut value, std::slice::from_ref(&decoded)).map_err(|_| rejected())?;
    }
    Ok(value)
}

/// A test of a missing field against null holds: finalizer code relies on it.
fn test(value: &Value, operation: &Value) -> Result<(), Status> {
    let path = operation["path"].as_str().ok_or_else(rejected)?;
    if value.pointer(path).unwrap_or(&Value::Null) == &operation["value"] {
        return Ok(());
    }
    Err(rejected())
}

/// The real server does not say which operation it was, nor what was wrong with it.
fn rejected() -> Status {
    Status::new(
        422,
        "Invalid",
        "the server rejected our request due to an error in our request",
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::json_patch;

    #[test]
    fn a_test_of_a_missing_field_against_null_holds() {
        let patch = json!([{"op": "test", "path": "/metadata/finalizers", "value": null},
            {"op": "add", "path": "/metadata/finalizers", "value": ["a"]}]);
        let value = json_patch(&json!({"metadata": {}}), &patch).unwrap();
        assert_eq!(value["metadata"]["finalizers"], json!(["a"]));
        assert_eq!(json_patch(&value, &patch).unwrap_err().code, 422);
    }

    #[test]
    fn wrong_patches_are_refused_whole() {
        let target = json!({"a": 1});
        assert_eq!(json_patch(&target, &json!({})).unwrap_err().code, 400);
        assert_eq!(
            json_patch(&target, &json!([{"op": "fly", "path": "/a"}]))
                .unwrap_err()
                .code,
            422
        );
        assert_eq!(
            json_patch(&target, &json!([{"op": "remove", "path": "/b"}]))
                .unwrap_err()
                .code,
            422
        );
    }
}
