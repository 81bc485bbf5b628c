//! The eviction subresource of pods: a deletion that keeps to PodDisruptionBudgets, as drains do it.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::delete::DeleteOptions;
use super::{Registry, Request, refused_write};
use crate::apimachinery::meta::{now, rfc3339};
use crate::apimachinery::selectors::LabelSelector;
use crate::apimachinery::status::Status;
use crate::store::{Write, WriteError, WriteKind};

/// Times a budget is read again when someone else drew on it meanwhile.
const MOST_TRIES: usize = 20;
/// Pods that may be on their way out of one budget.
const MOST_DISRUPTED: usize = 2000;

impl Registry {
    /// Deletes the pod of a request if the budget it falls under allows.
    ///
    /// # Errors
    /// 429 while the budget does not allow it, or what [`Registry::delete`] refuses.
    pub async fn evict(
        &self,
        request: &Request,
        options: &DeleteOptions,
        warnings: &mut Vec<String>,
    ) -> Result<(), Status> {
        let pod = self
            .store
            .get(&request.key())
            .ok_or_else(|| Status::not_found("pods", request.name()))?;
        let value = pod.value();
        let phase = value["status"]["phase"].as_str().unwrap_or_default();
        let free = pod.fields.deleting || matches!(phase, "Succeeded" | "Failed" | "Pending");
        if !free {
            self.draw_on_budget(request, &value, options.dry_run).await?;
        }
        if !options.dry_run && !pod.fields.deleting {
            self.mark_evicted(request, value).await;
        }
        let mut request = request.clone();
        request.target.subresource = None;
        self.delete(&request, options, warnings).await.map(drop)
    }

    /// Takes one disruption of the pod's budget, or says why there is none.
    async fn draw_on_budget(&self, request: &Request, pod: &Value, dry_run: bool) -> Result<(), Status> {
        let store = &self.store;
        let fields = crate::store::fields_of(pod);
        for _ in 0..MOST_TRIES {
            let budgets = store.list(
                &"poddisruptionbudgets.policy".into(),
                Some(request.namespace()),
                None,
                usize::MAX,
                |_| true,
            );
            let mut found = budgets.items.into_iter().filter(|budget| {
                let selector = budget.value()["spec"]["selector"].clone();
                selector.is_object() && LabelSelector::from_selector(&selector).matches(&fields)
            });
            let Some(object) = found.next() else { return Ok(()) };
            if found.next().is_some() {
                let message =
                    "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
                return Err(Status::internal(message));
            }
            let mut budget = object.value();
            let status = &budget["status"];
            let number = |field: &str| status[field].as_i64().unwrap_or(0);
            if !ready(pod) {
                let always = budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow";
                let well = number("currentHealthy") >= number("desiredHealthy") && number("desiredHealthy") > 0;
                if always || well {
                    return Ok(());
                }
            }
            let name = &object.key.name;
            if number("observedGeneration") < budget["metadata"]["generation"].as_i64().unwrap_or(0) {
                return Err(too_many(format!(
                    "The disruption budget {name} is still being processed by the server."
                )));
            }
            if status["disruptedPods"]
                .as_object()
                .is_some_and(|pods| pods.len() > MOST_DISRUPTED)
            {
                let why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller";
                return Err(Status::forbidden("poddisruptionbudgets.policy", name, why));
            }
            if number("disruptionsAllowed") <= 0 {
                return Err(too_many(format!(
                    "The disruption budget {name} needs {} healthy pods and has {} currently",
                    number("desiredHealthy"),
                    number("currentHealthy")
                )));
            }
            if dry_run {
                return Ok(());
            }
            draw(&mut budget, request.name(), crate::clock::now());
            let expected = object.revision;
            match store
                .write(Write::new(
                    object.key.clone(),
                    WriteKind::Update { expected },
                    &mut budget,
                ))
                .await
            {
                Ok(_) => return Ok(()),
                Err(WriteError::Conflict | WriteError::NotFound) => {}
                Err(error) => return Err(refused_write(error, "poddisruptionbudgets.policy", name)),
            }
        }
        Err(too_many(
            "The disruption budget is being changed by others at this moment.".into(),
        ))
    }

    /// Notes on the pod why it ends. A pod that changes meanwhile is evicted without the note.
    async fn mark_evicted(&self, request: &Request, mut pod: Value) {
        let target = json!({"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
            "message": "Eviction API: evicting", "lastProbeTime": null, "lastTransitionTime": now()});
        let conditions = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let others = conditions
            .into_iter()
            .filter(|condition| condition["type"] != "DisruptionTarget");
        pod["status"]["conditions"] = others.chain([target]).collect();
        let expected = pod["metadata"]["resourceVersion"]
            .as_str()
            .and_then(|text| text.parse().ok())
            .unwrap_or(0);
        let write = Write::new(request.key(), WriteKind::Update { expected }, &mut pod);
        if let Err(error) = self.store.write(write).await {
            tracing::debug!(pod = request.name(), %error, "an evicted pod could not be marked");
        }
    }
}

/// Notes in a budget's status that a pod is being evicted.
pub(crate) fn draw(budget: &mut Value, pod: &str, now: Timestamp) {
    let allowed = budget["status"]["disruptionsAllowed"].as_i64().unwrap_or(0);
    budget["status"]["disruptionsAllowed"] = (allowed - 1).into();
    budget["status"]["disruptedPods"][pod] = rfc3339(now).into();
}
fn ready(pod: &Value) -> bool {
    let mut conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

fn too_many(cause: String) -> Status {
    let mut error = Status::new(
        429,
        "TooManyRequests",
        "Cannot evict pod as it would violate the pod's disruption budget.",
    );
    error.details = json!({"causes": [{"reason": "DisruptionBudget", "message": cause}]});
    error
}
