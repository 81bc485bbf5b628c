//! Refusals, as the `Status` objects Kubernetes clients expect.

use std::fmt;

use serde_json::{Value, json};

/// One complaint about one field, printed like the API server prints it.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldError {
    /// Cause code, for example `FieldValueRequired`.
    pub reason: &'static str,
    /// Path of the field.
    pub field: String,
    /// The complaint without the path.
    pub message: String,
}

impl FieldError {
    fn new(reason: &'static str, field: &str, head: String, detail: &str) -> FieldError {
        let message = if detail.is_empty() {
            head
        } else {
            format!("{head}: {detail}")
        };
        FieldError {
            reason,
            field: field.to_owned(),
            message,
        }
    }

    /// `Required value`.
    pub fn required(field: &str, detail: &str) -> FieldError {
        FieldError::new("FieldValueRequired", field, "Required value".into(), detail)
    }

    /// `Invalid value: …`.
    pub fn invalid(field: &str, value: &Value, detail: &str) -> FieldError {
        FieldError::new("FieldValueInvalid", field, format!("Invalid value: {value}"), detail)
    }

    /// `Invalid value: …` of the wrong type.
    pub fn type_invalid(field: &str, value: &Value, detail: &str) -> FieldError {
        FieldError::new(
            "FieldValueTypeInvalid",
            field,
            format!("Invalid value: {value}"),
            detail,
        )
    }

    pub fn forbidden(field: &str, detail: &str) -> FieldError {
        FieldError::new("FieldValueForbidden", field, "Forbidden".into(), detail)
    }

    /// `Duplicate value: …`.
    pub fn duplicate(field: &str, value: &Value) -> FieldError {
        FieldError::new("FieldValueDuplicate", field, format!("Duplicate value: {value}"), "")
    }

    pub fn not_found(field: &str, value: &Value) -> FieldError {
        FieldError::new("FieldValueNotFound", field, format!("Not found: {value}"), "")
    }

    /// `Unsupported value: …`, with the values that are supported.
    pub fn not_supported(field: &str, value: &Value, supported: &[Value]) -> FieldError {
        let supported: Vec<String> = supported.iter().map(Value::to_string).collect();
        let detail = format!("supported values: {}", supported.join(", "));
        FieldError::new(
            "FieldValueNotSupported",
            field,
            format!("Unsupported value: {value}"),
            &detail,
        )
    }

    pub fn too_many(field: &str, found: usize, most: i64) -> FieldError {
        let head = format!("Too many: {found}");
        FieldError::new(
            "FieldValueTooMany",
            field,
            head,
            &format!("must have at most {most} items"),
        )
    }

    pub fn too_long(field: &str, detail: &str) -> FieldError {
        FieldError::new("FieldValueTooLong", field, "Too long".into(), detail)
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.field, self.message)
    }
}

/// A reason that others gave, if it is one of Kubernetes' own.
pub fn known_reason(reason: &str) -> &'static str {
    const REASONS: [&str; 17] = [
        "Unauthorized",
        "Forbidden",
        "NotFound",
        "AlreadyExists",
        "Conflict",
        "Gone",
        "Invalid",
        "ServerTimeout",
        "Timeout",
        "TooManyRequests",
        "BadRequest",
        "MethodNotAllowed",
        "NotAcceptable",
        "RequestEntityTooLarge",
        "UnsupportedMediaType",
        "InternalError",
        "ServiceUnavailable",
    ];
    REASONS.into_iter().find(|known| *known == reason).unwrap_or("")
}

/// A refused request: HTTP code, reason word, sentence, details.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Status {
    /// HTTP status code.
    pub code: u16,
    /// Kubernetes reason.
    pub reason: &'static str,
    /// Sentence for the user.
    pub message: String,
    /// `details` of the Status.
    pub details: Value,
}

impl Status {
    /// A refusal without details.
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Status {
        Status {
            code,
            reason,
            message: message.into(),
            details: Value::Null,
        }
    }

    /// 400.
    pub fn bad_request(message: impl Into<String>) -> Status {
        Status::new(400, "BadRequest", message)
    }

    /// 401.
    pub fn unauthorized() -> Status {
        Status::new(401, "Unauthorized", "Unauthorized")
    }

    /// 403.
    pub fn forbidden(resource: &str, name: &str, why: impl fmt::Display) -> Status {
        let message = if resource.is_empty() {
            format!("forbidden: {why}")
        } else if name.is_empty() {
            format!("{resource} is forbidden: {why}")
        } else {
            format!("{resource} {name:?} is forbidden: {why}")
        };
        Status::new(403, "Forbidden", message).about(resource, name)
    }

    /// 404 for an object; `resource` is the plural with its group.
    pub fn not_found(resource: &str, name: &str) -> Status {
        Status::new(404, "NotFound", format!("{resource} {name:?} not found")).about(resource, name)
    }

    /// 404 for a path no resource answers.
    pub fn no_such_path() -> Status {
        let mut error = Status::new(404, "NotFound", "the server could not find the requested resource");
        // Clients look into the details of a 404 without asking whether there are any.
        error.details = json!({});
        error
    }

    /// 404 for a path below a group that nothing serves: no answer of an API at all.
    pub fn no_such_group() -> Status {
        Status::new(404, "", "404 page not found\n")
    }

    /// 405.
    pub fn method_not_allowed() -> Status {
        Status::new(
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        )
    }

    /// 409 for a create of something that exists.
    pub fn already_exists(resource: &str, name: &str) -> Status {
        Status::new(409, "AlreadyExists", format!("{resource} {name:?} already exists")).about(resource, name)
    }

    /// 409 for a write against an old version.
    pub fn conflict(resource: &str, name: &str, why: impl fmt::Display) -> Status {
        let message = format!("Operation cannot be fulfilled on {resource} {name:?}: {why}");
        Status::new(409, "Conflict", message).about(resource, name)
    }

    /// 409 with the words used when an update lost a race.
    pub fn modified(resource: &str, name: &str) -> Status {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Status::conflict(resource, name, why)
    }

    /// 410 for a watch or list from a revision that is gone.
    pub fn expired(message: impl Into<String>) -> Status {
        Status::new(410, "Expired", message)
    }

    /// 422 with every complaint.
    pub fn invalid(group: &str, kind: &str, name: &str, errors: &[FieldError]) -> Status {
        // The same complaint is given once.
        let mut texts: Vec<String> = Vec::new();
        for text in errors.iter().map(ToString::to_string) {
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        let text = if texts.len() == 1 {
            texts.concat()
        } else {
            format!("[{}]", texts.join(", "))
        };
        let head = if group.is_empty() {
            kind.to_owned()
        } else {
            format!("{kind}.{group}")
        };
        let causes: Vec<Value> = errors
            .iter()
            .map(|error| json!({"reason": error.reason, "message": error.message, "field": error.field}))
            .collect();
        let mut details = json!({"name": name, "group": group, "kind": kind, "causes": causes});
        if group.is_empty() {
            details.as_object_mut().map(|fields| fields.remove("group"));
        }
        Status {
            code: 422,
            reason: "Invalid",
            message: format!("{head} {name:?} is invalid: {text}"),
            details,
        }
    }

    /// 500.
    pub fn internal(message: impl Into<String>) -> Status {
        Status::new(500, "InternalError", message)
    }

    /// Names the object in `details`.
    fn about(mut self, resource: &str, name: &str) -> Status {
        let (kind, group) = resource.split_once('.').unwrap_or((resource, ""));
        let mut details = json!({});
        for (key, text) in [("name", name), ("group", group), ("kind", kind)] {
            if !text.is_empty() {
                details[key] = text.into();
            }
        }
        self.details = details;
        self
    }

    /// The Status object, as JSON.
    pub fn to_json(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason,
        });
        if !self.details.is_null() {
            status["details"] = self.details.clone();
        }
        // The token to go on with stands where a list has it.
        if let Some(token) = status["details"]
            .as_object_mut()
            .and_then(|details| details.shift_remove("continue"))
        {
            status["metadata"]["continue"] = token;
        }
        status["code"] = self.code.into();
        status
    }
}
