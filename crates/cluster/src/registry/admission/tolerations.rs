//! Tolerations that pods have if they say nothing else.

use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::{Admission, Attempt, ready};
use crate::apimachinery::status::Status;

/// Lets pods stay for five minutes on a node that is not ready or cannot be reached.
pub(super) struct DefaultTolerationSeconds;

impl Admission for DefaultTolerationSeconds {
    fn handles(&self, attempt: &Attempt<'_>) -> bool {
        attempt.creates("pods")
    }

    fn admit<'a>(
        &'a self,
        _: &'a Attempt<'_>,
        object: &'a mut Value,
        _: &'a mut Vec<String>,
    ) -> BoxFuture<'a, Result<(), Status>> {
        ready({
            tolerate_short_outages(&mut object["spec"]);
            Ok(())
        })
    }
}

fn tolerate_short_outages(spec: &mut Value) {
    if !spec["tolerations"].is_array() {
        spec["tolerations"] = json!([]);
    }
    let Some(tolerations) = spec["tolerations"].as_array_mut() else {
        return;
    };
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let tolerated = tolerations.iter().any(|toleration| {
            let for_key = toleration["key"].is_null() || toleration["key"] == key;
            for_key && (toleration["effect"].is_null() || toleration["effect"] == "NoExecute")
        });
        if !tolerated {
            tolerations
                .push(json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}));
        }
    }
}
