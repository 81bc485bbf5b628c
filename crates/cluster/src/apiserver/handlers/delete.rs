//! delete and deletecollection: at once, gracefully (pods), or after finalizers.

use std::sync::{Arc, PoisonError};

use axum::response::Response;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::create::attempt_namespace;
use super::objects::{from_storage, json_response, object_response, parse_body};
use super::options::{ListOptions, check_deletion, number};
use super::{read, respond};
use crate::apiserver::admission::{self as user_admission, Attempt, Operation};
use crate::apiserver::auth::Identity;
use crate::apiserver::meta::rfc3339;
use crate::apiserver::resources::Resource;
use crate::apiserver::server::{Call, Server};
use crate::apiserver::status::ApiError;
use crate::store::{Key, Object, Write, WriteError, WriteKind};

/// Namespaces the cluster cannot do without.
const PROTECTED_NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];
const MOST_TRIES: usize = 20;

/// What a client asks of a deletion.
#[derive(Clone, Debug, Default)]
struct Options {
    grace: Option<i64>,
    propagation: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    dry_run: bool,
}

fn options(call: &Call) -> Result<Options, ApiError> {
    let body = if call.body.is_empty() {
        Value::Null
    } else {
        parse_body(call)?
    };
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let query = |name: &str| call.query.get(name).map(str::to_owned);
    let grace = query("gracePeriodSeconds").map(|text| number(&text)).transpose()?;
    let grace = grace.or(body["gracePeriodSeconds"].as_i64());
    if grace.is_some_and(|seconds| seconds < 0) {
        return Err(ApiError::bad_request(
            "gracePeriodSeconds: Invalid value: must be greater than or equal to 0",
        ));
    }
    let orphan = body["orphanDependents"]
        .as_bool()
        .or_else(|| query("orphanDependents").map(|text| text == "true"));
    let propagation = query("propagationPolicy").or_else(|| text(&body["propagationPolicy"]));
    check_deletion(propagation.as_deref(), orphan, &body["dryRun"])?;
    Ok(Options {
        grace,
        propagation: propagation
            .or_else(|| orphan.map(|orphan| if orphan { "Orphan" } else { "Background" }.to_owned())),
        uid: text(&body["preconditions"]["uid"]),
        resource_version: text(&body["preconditions"]["resourceVersion"]),
        dry_run: call.query.dry_run() || body["dryRun"].as_array().is_some_and(|list| !list.is_empty()),
    })
}

/// Handles DELETE of one object.
pub(super) async fn delete(call: Call) -> Result<Response, ApiError> {
    let options = options(&call)?;
    let mut said = Vec::new();
    let removed = remove(
        &call.server,
        &call.identity,
        call.resource(),
        &call.key(),
        &options,
        &mut said,
    )
    .await;
    *call.admitted.lock().unwrap_or_else(PoisonError::into_inner) = said;
    match removed? {
        Removed::Waiting(object) => Ok(respond(&call, 200, object_response(&call, &object))),
        Removed::Gone(object) => {
            let resource = call.resource();
            let mut details = json!({"name": call.name(), "group": resource.group, "kind": resource.plural, "uid": &*object.fields.uid});
            if resource.group.is_empty() {
                details.as_object_mut().map(|fields| fields.shift_remove("group"));
            }
            let status =
                json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details});
            let whole = matches!(
                &*resource.key,
                "pods" | "services" | "serviceaccounts" | "persistentvolumeclaims" | "persistentvolumes"
            );
            let response = if whole {
                object_response(&call, &object)
            } else {
                json_response(&status)
            };
            Ok(respond(&call, 200, response))
        }
    }
}

/// Handles DELETE of a collection: everything the selectors let through.
pub(super) async fn delete_collection(call: Call) -> Result<Response, ApiError> {
    let options = options(&call)?;
    let page = read::page(&call, &ListOptions::read(&call.query)?)?;
    let mut items = Vec::new();
    for object in &page.items {
        let mut said = Vec::new();
        match remove(
            &call.server,
            &call.identity,
            call.resource(),
            &object.key,
            &options,
            &mut said,
        )
        .await
        {
            Ok(Removed::Waiting(object) | Removed::Gone(object)) => {
                let mut value = object.value();
                from_storage(call.resource(), &mut value);
                items.push(value);
            }
            Err(error) if error.code == 404 => {}
            Err(error) => return Err(error),
        }
    }
    let resource = call.resource();
    Ok(respond(
        &call,
        200,
        json_response(&json!({
            "kind": resource.list_kind(), "apiVersion": resource.api_version(),
            "metadata": {"resourceVersion": call.server.store.revision().to_string()}, "items": items,
        })),
    ))
}

enum Removed {
    Gone(Arc<Object>),
    Waiting(Arc<Object>),
}

async fn remove(
    server: &Arc<Server>,
    identity: &Identity,
    resource: &Resource,
    key: &Key,
    options: &Options,
    said: &mut Vec<String>,
) -> Result<Removed, ApiError> {
    let qualified = resource.qualified();
    if &*resource.key == "namespaces" && PROTECTED_NAMESPACES.contains(&&*key.name) {
        return Err(ApiError::forbidden(
            "namespaces",
            &key.name,
            "this namespace may not be deleted",
        ));
    }
    for _ in 0..MOST_TRIES {
        let current = server
            .store
            .get(key)
            .ok_or_else(|| ApiError::not_found(&qualified, &key.name))?;
        // The real server names the kind here, not the resource.
        let told = crate::apiserver::resources::qualified(&resource.kind, &resource.group);
        if let Some(uid) = options.uid.as_ref().filter(|uid| ***uid != *current.fields.uid) {
            let why = format!(
                "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have been deleted and then recreated",
                current.fields.uid
            );
            return Err(ApiError::conflict(&told, &key.name, why));
        }
        if let Some(version) = options
            .resource_version
            .as_ref()
            .filter(|version| **version != current.revision.to_string())
        {
            let why = format!(
                "the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record ({}). The object might have been modified",
                current.revision
            );
            return Err(ApiError::conflict(&told, &key.name, why));
        }
        let mut object = current.value();
        if user_admission::is_configured(server) {
            let mut old = object.clone();
            from_storage(resource, &mut old);
            let attempt = Attempt {
                server,
                identity,
                operation: Operation::Delete,
                resource,
                subresource: "",
                namespace: attempt_namespace(resource, &key.namespace, &key.name),
                name: &key.name,
                old: Some(&old),
                dry_run: options.dry_run,
            };
            said.clear();
            // A mutating webhook may refuse a deletion; there is nothing to change.
            user_admission::mutate(&attempt, &mut Value::Null, |_| {}, said).await?;
            user_admission::validate(&attempt, None, said).await?;
        }
        let step = next_step(resource, &mut object, options, crate::clock::now());
        if options.dry_run {
            return Ok(if step == Step::Remove {
                Removed::Gone(current)
            } else {
                Removed::Waiting(current)
            });
        }
        let expected = current.revision;
        let kind = match step {
            Step::Nothing => return Ok(Removed::Waiting(current)),
            Step::Mark => WriteKind::Update { expected },
            Step::Remove => WriteKind::Delete { expected },
        };
        match server.store.write(Write::new(key.clone(), kind, &mut object)).await {
            Ok(done) => {
                if &*resource.key == crate::apiserver::crd::DEFINITIONS {
                    server.reload_custom_resources();
                }
                return Ok(if step == Step::Remove {
                    Removed::Gone(done)
                } else {
                    Removed::Waiting(done)
                });
            }
            Err(WriteError::Conflict) => {}
            Err(error) => return Err(ApiError::from_write(error, &qualified, &key.name)),
        }
    }
    Err(ApiError::modified(&qualified, &key.name))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// It waits already.
    Nothing,
    /// It is marked as ending and stays until someone finishes it.
    Mark,
    /// It goes now.
    Remove,
}

/// Decides a deletion and marks the object accordingly.
fn next_step(resource: &Resource, object: &mut Value, options: &Options, now: Timestamp) -> Step {
    let ending = !object["metadata"]["deletionTimestamp"].is_null();
    let grace = if &*resource.key == "pods" {
        pod_grace(object, options.grace)
    } else {
        0
    };
    let finalizers = propagation_finalizers(object, options.propagation.as_deref());
    let changed = finalizers != object["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
    let emptying = &*resource.key == "namespaces"
        && object["spec"]["finalizers"]
            .as_array()
            .is_some_and(|list| !list.is_empty());
    if finalizers.is_empty() && grace == 0 && !emptying {
        return Step::Remove;
    }
    let before = object["metadata"]["deletionGracePeriodSeconds"].as_i64();
    let shorter = before.is_some_and(|before| grace < before);
    if ending && !shorter && !changed {
        return Step::Nothing;
    }
    if changed || !finalizers.is_empty() {
        object["metadata"]["finalizers"] = finalizers.into();
    }
    if !ending || shorter {
        let end = now.checked_add(SignedDuration::from_secs(grace)).unwrap_or(now);
        object["metadata"]["deletionTimestamp"] = rfc3339(end).into();
        object["metadata"]["deletionGracePeriodSeconds"] = grace.into();
        if let Some(generation) = object["metadata"]["generation"].as_i64() {
            object["metadata"]["generation"] = (generation + i64::from(!ending)).into();
        }
    }
    if emptying {
        object["status"]["phase"] = "Terminating".into();
    }
    Step::Mark
}

/// Seconds a pod is given: none if it never ran or has ended.
fn pod_grace(pod: &Value, asked: Option<i64>) -> i64 {
    let unscheduled = pod["spec"]["nodeName"].as_str().is_none_or(str::is_empty);
    if unscheduled || matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed")) {
        return 0;
    }
    asked
        .or(pod["spec"]["terminationGracePeriodSeconds"].as_i64())
        .unwrap_or(30)
        .max(0)
}

fn propagation_finalizers(object: &Value, policy: Option<&str>) -> Vec<Value> {
    let mut finalizers = object["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
    let (wanted, other) = match policy {
        Some("Orphan") => ("orphan", "foregroundDeletion"),
        Some("Foreground") => ("foregroundDeletion", "orphan"),
        Some("Background") => {
            finalizers.retain(|name| name != "orphan" && name != "foregroundDeletion");
            return finalizers;
        }
        _ => return finalizers,
    };
    finalizers.retain(|name| name != other);
    if !finalizers.iter().any(|name| name == wanted) {
        finalizers.push(wanted.into());
    }
    finalizers
}

/// Deletes an object from within the cluster, as a background deletion without preconditions but for its UID. Absence is success.
pub async fn finish_deletion(
    server: &Arc<Server>,
    resource: &Resource,
    key: &Key,
    uid: &str,
    propagation: &str,
) -> Result<(), ApiError> {
    let options = Options {
        uid: Some(uid.to_owned()),
        propagation: Some(propagation.to_owned()),
        ..Options::default()
    };
    // Controllers delete in the name of the garbage collector.
    let account = "system:serviceaccount:kube-system:generic-garbage-collector";
    let groups = [
        "system:serviceaccounts",
        "system:serviceaccounts:kube-system",
        "system:masters",
    ];
    let identity = Identity::certificate(account, groups.map(str::to_owned).to_vec());
    match remove(server, &identity, resource, key, &options, &mut Vec::new()).await {
        Err(error) if error.code != 404 && error.code != 409 => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apiserver::resources::Registry;

    fn step(plural: &str, mut object: Value, options: &Options) -> (Step, Value) {
        let resource = Registry::built_in().find("", "v1", plural).unwrap();
        let step = next_step(&resource, &mut object, options, Timestamp::from_second(1000).unwrap());
        (step, object["metadata"].clone())
    }

    #[test]
    fn pods_end_gracefully_only_when_they_run() {
        let running = json!({"metadata": {}, "spec": {"nodeName": "n", "terminationGracePeriodSeconds": 5}, "status": {"phase": "Running"}});
        let (decided, metadata) = step("pods", running.clone(), &Options::default());
        assert_eq!(
            (decided, &metadata["deletionGracePeriodSeconds"]),
            (Step::Mark, &json!(5))
        );
        assert_eq!(metadata["deletionTimestamp"], "1970-01-01T00:16:45Z");
        let now = Options {
            grace: Some(0),
            ..Options::default()
        };
        assert_eq!(step("pods", running, &now).0, Step::Remove);
        assert_eq!(
            step("pods", json!({"metadata": {}, "spec": {}}), &Options::default()).0,
            Step::Remove
        );
        let ended = json!({"metadata": {}, "spec": {"nodeName": "n"}, "status": {"phase": "Failed"}});
        assert_eq!(step("pods", ended, &Options::default()).0, Step::Remove);
    }

    #[test]
    fn a_second_deletion_can_only_shorten_the_wait() {
        let ending = json!({"metadata": {"deletionTimestamp": "x", "deletionGracePeriodSeconds": 30}, "spec": {"nodeName": "n"}});
        let longer = Options {
            grace: Some(60),
            ..Options::default()
        };
        assert_eq!(step("pods", ending.clone(), &longer).0, Step::Nothing);
        let shorter = Options {
            grace: Some(3),
            ..Options::default()
        };
        assert_eq!(step("pods", ending, &shorter).0, Step::Mark);
    }

    #[test]
    fn finalizers_and_propagation_hold_an_object_back() {
        let held = json!({"metadata": {"finalizers": ["x/y"]}});
        assert_eq!(step("configmaps", held, &Options::default()).0, Step::Mark);
        let foreground = Options {
            propagation: Some("Foreground".into()),
            ..Options::default()
        };
        let (decided, metadata) = step("configmaps", json!({"metadata": {}}), &foreground);
        assert_eq!(
            (decided, &metadata["finalizers"]),
            (Step::Mark, &json!(["foregroundDeletion"]))
        );
    }
}
