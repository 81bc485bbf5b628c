//! Claims: the default storage class, and the finalizer that protects a claim in use.

use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::{Admission, Attempt, ready};
use crate::apimachinery::status::Status;
use crate::registry::Registry;

/// Gives a claim without a class the default one, and its protection.
pub(super) struct ClaimDefaults;

impl Admission for ClaimDefaults {
    fn handles(&self, attempt: &Attempt<'_>) -> bool {
        attempt.creates("persistentvolumeclaims")
    }

    fn admit<'a>(
        &'a self,
        attempt: &'a Attempt<'_>,
        object: &'a mut Value,
        _: &'a mut Vec<String>,
    ) -> BoxFuture<'a, Result<(), Status>> {
        ready({
            give_class(attempt.registry, object);
            Ok(())
        })
    }
}

/// Gives a claim without a class the default one, and the finalizer that protects it while a pod uses it.
fn give_class(registry: &Registry, claim: &mut Value) {
    if claim["spec"]["storageClassName"].is_null() {
        let key = "storageclasses.storage.k8s.io".into();
        let classes = registry.store.list(&key, None, None, usize::MAX, |_| true).items;
        let default = classes
            .iter()
            .map(|class| class.value())
            .find(|class| class["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"] == "true");
        if let Some(class) = default {
            claim["spec"]["storageClassName"] = class["metadata"]["name"].clone();
        }
    }
    let finalizers = &mut claim["metadata"]["finalizers"];
    if !finalizers.is_array() {
        *finalizers = json!([]);
    }
    if let Some(list) = finalizers
        .as_array_mut()
        .filter(|list| !list.iter().any(|name| name == "kubernetes.io/pvc-protection"))
    {
        list.push("kubernetes.io/pvc-protection".into());
    }
}
