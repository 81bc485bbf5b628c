//! delete: at once, gracefully (pods), or after finalizers.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::admission::{self, Attempt, Operation};
use super::create::attempt_namespace;
use super::{Registry, Request, refused_write};
use crate::apimachinery::meta::rfc3339;
use crate::apimachinery::objects::from_storage;
use crate::apimachinery::resources::{Resource, qualified as qualified_kind};
use crate::apimachinery::status::Status;
use crate::store::{Object, Write, WriteError, WriteKind};

/// Times a deletion is decided again when someone else wrote meanwhile.
const MOST_TRIES: usize = 20;

/// What a client asks of a deletion.
#[derive(Clone, Debug, Default)]
pub struct DeleteOptions {
    /// Seconds a pod is given to end.
    pub grace: Option<i64>,
    /// What becomes of what it owns: `Foreground`, `Background` or `Orphan`.
    pub propagation: Option<String>,
    /// Only the object with this UID.
    pub uid: Option<String>,
    /// Only the object at this version.
    pub resource_version: Option<String>,
    /// Nothing is deleted.
    pub dry_run: bool,
}

/// What a deletion came to.
pub enum Deleted {
    /// The object is gone; this was its last state.
    Gone(Arc<Object>),
    /// It is marked, and goes when nothing holds it any more.
    Waiting(Arc<Object>),
}

impl Registry {
    /// Deletes the object of a request.
    ///
    /// # Errors
    /// It is not there or not the one that is meant, or admission refuses.
    pub async fn delete(
        &self,
        request: &Request,
        options: &DeleteOptions,
        warnings: &mut Vec<String>,
    ) -> Result<Deleted, Status> {
        let (resource, key) = (request.resource(), request.key());
        let qualified = resource.qualified();
        for _ in 0..MOST_TRIES {
            let current = self
                .store
                .get(&key)
                .ok_or_else(|| Status::not_found(&qualified, &key.name))?;
            // The real server names the kind here, not the resource.
            let told = qualified_kind(&resource.kind, &resource.group);
            if let Some(uid) = options.uid.as_ref().filter(|uid| ***uid != *current.fields.uid) {
                let why = format!(
                    "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have been deleted and then recreated",
                    current.fields.uid
                );
                return Err(Status::conflict(&told, &key.name, why));
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
                return Err(Status::conflict(&told, &key.name, why));
            }
            let mut object = current.value();
            let mut old = object.clone();
            from_storage(resource, &mut old);
            let attempt = Attempt {
                registry: self,
                identity: &request.identity,
                operation: Operation::Delete,
                resource,
                subresource: "",
                namespace: attempt_namespace(resource, &key.namespace, &key.name),
                name: &key.name,
                old: Some(&old),
                dry_run: options.dry_run,
                users: self.asks_users(),
                settle: &|_| {},
            };
            warnings.clear();
            // A mutating webhook may refuse a deletion; there is nothing to change.
            admission::admit(&attempt, &mut Value::Null, warnings).await?;
            admission::validate(&attempt, None, warnings).await?;
            let step = next_step(resource, &mut object, options, crate::clock::now());
            if options.dry_run {
                return Ok(if step == Step::Remove {
                    Deleted::Gone(current)
                } else {
                    Deleted::Waiting(current)
                });
            }
            let expected = current.revision;
            let kind = match step {
                Step::Nothing => return Ok(Deleted::Waiting(current)),
                Step::Mark => WriteKind::Update { expected },
                Step::Remove => WriteKind::Delete { expected },
            };
            match self.store.write(Write::new(key.clone(), kind, &mut object)).await {
                Ok(done) => {
                    if &*resource.key == crate::apimachinery::crd::DEFINITIONS {
                        self.reload_custom_resources();
                    }
                    return Ok(if step == Step::Remove {
                        Deleted::Gone(done)
                    } else {
                        Deleted::Waiting(done)
                    });
                }
                Err(WriteError::Conflict) => {}
                Err(error) => return Err(refused_write(error, &qualified, &key.name)),
            }
        }
        Err(Status::modified(&qualified, &key.name))
    }
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
fn next_step(resource: &Resource, object: &mut Value, options: &DeleteOptions, now: Timestamp) -> Step {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::apimachinery::resources::Resources;

    fn step(plural: &str, mut object: Value, options: &DeleteOptions) -> (Step, Value) {
        let resource = Resources::built_in().find("", "v1", plural).unwrap();
        let step = next_step(&resource, &mut object, options, Timestamp::from_second(1000).unwrap());
        (step, object["metadata"].clone())
    }

    #[test]
    fn pods_end_gracefully_only_when_they_run() {
        let running = json!({"metadata": {}, "spec": {"nodeName": "n", "terminationGracePeriodSeconds": 5}, "status": {"phase": "Running"}});
        let (decided, metadata) = step("pods", running.clone(), &DeleteOptions::default());
        assert_eq!(
            (decided, &metadata["deletionGracePeriodSeconds"]),
            (Step::Mark, &json!(5))
        );
        assert_eq!(metadata["deletionTimestamp"], "1970-01-01T00:16:45Z");
        let now = DeleteOptions {
            grace: Some(0),
            ..DeleteOptions::default()
        };
        assert_eq!(step("pods", running, &now).0, Step::Remove);
        assert_eq!(
            step("pods", json!({"metadata": {}, "spec": {}}), &DeleteOptions::default()).0,
            Step::Remove
        );
        let ended = json!({"metadata": {}, "spec": {"nodeName": "n"}, "status": {"phase": "Failed"}});
        assert_eq!(step("pods", ended, &DeleteOptions::default()).0, Step::Remove);
    }

    #[test]
    fn a_second_deletion_can_only_shorten_the_wait() {
        let ending = json!({"metadata": {"deletionTimestamp": "x", "deletionGracePeriodSeconds": 30}, "spec": {"nodeName": "n"}});
        let longer = DeleteOptions {
            grace: Some(60),
            ..DeleteOptions::default()
        };
        assert_eq!(step("pods", ending.clone(), &longer).0, Step::Nothing);
        let shorter = DeleteOptions {
            grace: Some(3),
            ..DeleteOptions::default()
        };
        assert_eq!(step("pods", ending, &shorter).0, Step::Mark);
    }

    #[test]
    fn finalizers_and_propagation_hold_an_object_back() {
        let held = json!({"metadata": {"finalizers": ["x/y"]}});
        assert_eq!(step("configmaps", held, &DeleteOptions::default()).0, Step::Mark);
        let foreground = DeleteOptions {
            propagation: Some("Foreground".into()),
            ..DeleteOptions::default()
        };
        let (decided, metadata) = step("configmaps", json!({"metadata": {}}), &foreground);
        assert_eq!(
            (decided, &metadata["finalizers"]),
            (Step::Mark, &json!(["foregroundDeletion"]))
        );
    }
}
