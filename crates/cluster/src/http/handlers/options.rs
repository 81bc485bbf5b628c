//! The options of a request: which may stand together, in the words of the API server.

use axum::body::Bytes;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::apimachinery::json_words;
use crate::apimachinery::request::Query;
use crate::apimachinery::status::{FieldError, Status};
use crate::http::call::Call;
use crate::store::Place;

/// Longest name of a field manager, in characters.
const MOST_MANAGER: usize = 128;

/// At which state of the cluster a list is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// The newest there is.
    Now,
    /// At least as new as this.
    NotOlderThan(u64),
    Exactly(u64),
}

/// What a list asks for.
#[derive(Clone, Debug)]
pub(super) struct ListOptions {
    /// State of the cluster.
    pub at: At,
    /// Objects in one answer.
    pub limit: usize,
    /// Where to go on.
    pub after: Option<Place>,
    /// It goes on with a list that was begun at another state.
    pub continues: bool,
    /// How many objects were left after the page before, if that is known.
    pub left: Option<usize>,
}

impl ListOptions {
    /// Reads the query of a list.
    pub fn read(query: &Query) -> Result<ListOptions, Status> {
        check_versions(query, false)?;
        let limit = match query.get("limit") {
            None => 0,
            Some(text) => number(text)?,
        };
        let limit = usize::try_from(limit)
            .ok()
            .filter(|limit| *limit > 0)
            .unwrap_or(usize::MAX);
        let asked = query.get("resourceVersion").map(|text| {
            revision(text).map_err(|error| Status::bad_request(format!("invalid resource version: {}", error.message)))
        });
        let asked = asked.transpose()?;
        if let Some(token) = query.get("continue") {
            if asked.is_some_and(|asked| asked != 0) {
                return Err(Status::bad_request(
                    "specifying resource version is not allowed when using continue",
                ));
            }
            let (version, place, left) = read_continue(token)?;
            let at = u64::try_from(version).map_or(At::Now, At::Exactly);
            return Ok(ListOptions {
                at,
                limit,
                after: Some(place),
                continues: true,
                left,
            });
        }
        let at = match (asked, query.get("resourceVersionMatch")) {
            (None | Some(0), _) => At::Now,
            (Some(asked), Some("Exact")) => At::Exactly(asked),
            (Some(asked), Some(_)) => At::NotOlderThan(asked),
            // Without a match a limit makes it exact, as it always did.
            (Some(asked), None) if limit != usize::MAX => At::Exactly(asked),
            (Some(asked), None) => At::NotOlderThan(asked),
        };
        Ok(ListOptions {
            at,
            limit,
            after: None,
            continues: false,
            left: None,
        })
    }
}

/// A number of a query, as Go reads it.
pub(super) fn number(text: &str) -> Result<i64, Status> {
    text.parse()
        .map_err(|_| Status::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax")))
}

/// Reads a resource version.
pub fn revision(text: &str) -> Result<u64, Status> {
    text.parse().map_err(|_| {
        Status::bad_request(format!(
            "resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax"
        ))
    })
}

fn invalid(kind: &str, error: FieldError) -> Status {
    Status::invalid("meta.k8s.io", kind, "", &[error])
}

/// Which of `resourceVersion`, `resourceVersionMatch`, `sendInitialEvents` and `continue` may stand together.
pub fn check_versions(query: &Query, watch: bool) -> Result<(), Status> {
    let matching = query.get("resourceVersionMatch");
    let initial = query.get("sendInitialEvents");
    let forbidden = |field: &str, why: &str| Err(invalid("ListOptions", FieldError::forbidden(field, why)));
    if let Some(matching) = matching.filter(|matching| !matches!(*matching, "Exact" | "NotOlderThan")) {
        let supported = ["Exact", "NotOlderThan", ""].map(Value::from);
        let error = FieldError::not_supported("resourceVersionMatch", &matching.into(), &supported);
        return Err(invalid("ListOptions", error));
    }
    if watch {
        query.get("limit").map(number).transpose()?;
        if initial.is_none() && matching == Some("Exact") {
            let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            let field = "resourceVersionMatch";
            let only = ["NotOlderThan".into()];
            let errors = [
                FieldError::forbidden(field, why),
                FieldError::not_supported(field, &"Exact".into(), &only),
            ];
            return Err(Status::invalid("meta.k8s.io", "ListOptions", "", &errors));
        }
        return match (initial, matching) {
            (Some(_), Some("NotOlderThan")) | (None, None) => Ok(()),
            (Some(_), _) => forbidden(
                "resourceVersionMatch",
                "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            ),
            (None, Some(_)) => forbidden(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            ),
        };
    }
    if initial.is_some() {
        return forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list");
    }
    let Some(matching) = matching else { return Ok(()) };
    if query.get("continue").is_some() {
        return forbidden(
            "resourceVersionMatch",
            "resourceVersionMatch is forbidden when continue is provided",
        );
    }
    match query.get("resourceVersion") {
        None => forbidden(
            "resourceVersionMatch",
            "resourceVersionMatch is forbidden unless resourceVersion is provided",
        ),
        Some("0") if matching == "Exact" => forbidden(
            "resourceVersionMatch",
            "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
        ),
        Some(_) => Ok(()),
    }
}

/// Options of writes.
pub(super) fn check_write(verb: &str, call: &Call) -> Result<(), Status> {
    let kind = match verb {
        "create" => "CreateOptions",
        "update" => "UpdateOptions",
        "patch" => "PatchOptions",
        "delete" | "deletecollection" => "DeleteOptions",
        _ => return Ok(()),
    };
    let one_of = |field: &str, allowed: &[&str]| match call.query.get(field) {
        Some(value) if !allowed.contains(&value) => {
            let supported: Vec<Value> = allowed.iter().map(|value| Value::from(*value)).collect();
            // How often it may come is checked elsewhere; the complaint shows a list.
            let told = if field == "dryRun" {
                json!([value])
            } else {
                value.into()
            };
            Err(invalid(kind, FieldError::not_supported(field, &told, &supported)))
        }
        _ => Ok(()),
    };
    one_of("dryRun", &["All"])?;
    one_of("fieldValidation", &["", "Ignore", "Strict", "Warn"])?;
    if let Some(manager) = call.query.get("fieldManager") {
        if manager.chars().count() > MOST_MANAGER {
            let error = FieldError::too_long("fieldManager", &format!("may not be more than {MOST_MANAGER} bytes"));
            return Err(invalid(kind, error));
        }
        if let Some((place, character)) = manager
            .chars()
            .enumerate()
            .find(|(_, character)| character.is_control())
        {
            let code = u32::from(character);
            let mut error = FieldError::invalid("fieldManager", &Value::Null, "");
            error.message = format!(
                "Invalid value: {}: invalid character U+{code:04X} (at position {place})",
                stoke_model::go::quoted(manager)
            );
            return Err(invalid(kind, error));
        }
    }
    if verb == "patch"
        && call.content_type.starts_with("application/apply-patch")
        && call.query.get("fieldManager").is_none()
    {
        let error = FieldError::required("fieldManager", "is required for apply patch");
        return Err(invalid(kind, error));
    }
    if verb == "patch" && call.query.get("force").is_some() && !call.content_type.starts_with("application/apply-patch")
    {
        let error = FieldError::forbidden("force", "may not be specified for non-apply patch");
        return Err(invalid(kind, error));
    }
    Ok(())
}

/// Options of a deletion, once read.
pub(super) fn check_deletion(propagation: Option<&str>, orphan: Option<bool>, dry_run: &Value) -> Result<(), Status> {
    if let Some(policy) = propagation {
        if orphan.is_some() {
            let detail = "orphanDependents and deletionPropagation cannot be both set";
            return Err(invalid(
                "DeleteOptions",
                FieldError::invalid("propagationPolicy", &policy.into(), detail),
            ));
        }
        if !matches!(policy, "Foreground" | "Background" | "Orphan") {
            let supported = ["Foreground", "Background", "Orphan", "nil"].map(Value::from);
            let error = FieldError::not_supported("propagationPolicy", &policy.into(), &supported);
            return Err(invalid("DeleteOptions", error));
        }
    }
    for value in dry_run.as_array().into_iter().flatten() {
        if value != "All" {
            let error = FieldError::not_supported("dryRun", &dry_run.clone(), &["All".into()]);
            return Err(invalid("DeleteOptions", error));
        }
    }
    Ok(())
}

/// Where a list goes on: the revision it was begun at (-1: whatever is newest), the last place it has shown, and how many are left.
/// The number travels with the client, so that no page has to count what follows it.
pub(super) fn write_continue(version: i64, place: &Place, left: Option<usize>) -> String {
    let mut token = json!({"v": "meta.k8s.io/v1", "rv": version, "namespace": &*place.0, "name": &*place.1});
    if let Some(left) = left {
        token["left"] = left.into();
    }
    URL_SAFE_NO_PAD.encode(token.to_string())
}

fn read_continue(text: &str) -> Result<(i64, Place, Option<usize>), Status> {
    let wrong = |why: &str| Status::bad_request(format!("continue key is not valid: {why}"));
    let bytes: Bytes = URL_SAFE_NO_PAD
        .decode(text.trim_end_matches('='))
        .map_err(|_| wrong("illegal base64 data"))?
        .into();
    let value: Value = serde_json::from_slice(&bytes).map_err(|error| {
        let why = json_words::why(&bytes, &error);
        Status::bad_request(format!("invalid continue token: continue key is not valid: {why}"))
    })?;
    let version = value["rv"].as_i64().filter(|version| *version == -1 || *version > 0);
    match (
        value["v"] == "meta.k8s.io/v1",
        version,
        value["namespace"].as_str(),
        value["name"].as_str(),
    ) {
        (true, Some(version), Some(namespace), Some(name)) => {
            let left = value["left"].as_u64().and_then(|left| usize::try_from(left).ok());
            Ok((version, (namespace.into(), name.into()), left))
        }
        _ => Err(wrong("it was not given by this server")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<ListOptions, String> {
        let query = Query(
            pairs
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
        );
        ListOptions::read(&query).map_err(|error| format!("{} {}", error.code, error.message))
    }

    #[test]
    fn versions_and_matches_mean_what_the_reference_says() {
        for (query, expected) in [
            (&[][..], At::Now),
            (&[("resourceVersion", "0")], At::Now),
            (
                &[("resourceVersion", "0"), ("resourceVersionMatch", "NotOlderThan")],
                At::Now,
            ),
            (&[("resourceVersion", "7")], At::NotOlderThan(7)),
            (&[("resourceVersion", "7"), ("limit", "5")], At::Exactly(7)),
            (
                &[("resourceVersion", "7"), ("resourceVersionMatch", "Exact")],
                At::Exactly(7),
            ),
            (
                &[
                    ("resourceVersion", "7"),
                    ("resourceVersionMatch", "NotOlderThan"),
                    ("limit", "5"),
                ],
                At::NotOlderThan(7),
            ),
        ] {
            assert_eq!(read(query).unwrap().at, expected, "{query:?}");
        }
    }

    #[test]
    fn what_may_not_stand_together_is_refused() {
        for (query, expected) in [
            (
                &[("resourceVersionMatch", "Exact")][..],
                "422 ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided",
            ),
            (
                &[("resourceVersion", "0"), ("resourceVersionMatch", "Exact")],
                "422 ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
            ),
            (
                &[("resourceVersion", "1"), ("resourceVersionMatch", "Nearly")],
                "422 ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Unsupported value: \"Nearly\": supported values: \"Exact\", \"NotOlderThan\", \"\"",
            ),
            (
                &[("sendInitialEvents", "true")],
                "422 ListOptions.meta.k8s.io \"\" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list",
            ),
            (
                &[("continue", "nonsense!")],
                "400 continue key is not valid: illegal base64 data",
            ),
        ] {
            assert_eq!(read(query).unwrap_err(), expected, "{query:?}");
        }
        let token = write_continue(5, &("a".into(), "b".into()), Some(7));
        let read = read(&[("continue", &token)]).unwrap();
        assert_eq!(
            (read.at, read.after, read.continues, read.left),
            (At::Exactly(5), Some(("a".into(), "b".into())), true, Some(7))
        );
    }
}
