//! Taking over applications that another operator of the same API left running, without restarting them.
//!
//! In: what the API server has: applications with the other operator's status, their driver pods, the services and ingresses it made. Out:
//! for every application a [`Plan`]: what is seen, whether it is adopted or left and why, and the [`Step`]s that make the objects such as our own
//! operator would have made them. [`carry_out`] takes the steps, the status last and only if nothing changed meanwhile, so that an
//! interrupted adoption is begun again and a finished one finds nothing to do.
//! - [`judge`]: facts to plan (pure)
//! - [`look`]: reads the facts
//! - [`rivals`]: who else works in the cluster
//!
//! Never: the start, restart or deletion of a pod. What follows from a driver's end is the running operator's business.

mod judge;
mod look;
mod rivals;
#[cfg(test)]
mod tests;

use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::Value;

use crate::names::COMPONENT;

pub use judge::{Facts, Intent, Plan, Step, judge};
pub use look::look;
pub use rivals::{Rival, rivals};

/// What came of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carried {
    /// Every step was taken.
    Done,
    /// Something changed since the look; looking and judging again tells what to do now.
    Changed(String),
}

/// Takes the steps of a plan, in order.
///
/// # Errors
/// The API server not reached, or a request refused. What was done stays done; the same again finds it done.
pub async fn carry_out(client: &Client, plan: &Plan) -> Result<Carried, kube::Error> {
    for step in &plan.steps {
        let (group, version, kind) = step.kind();
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &plan.namespace, &resource);
        let written = match step {
            Step::Pod { name, body, .. } => {
                let parameters = PatchParams::apply(COMPONENT).force();
                api.patch(name, &parameters, &Patch::Apply(body)).await
            }
            Step::Companion { name, body, .. } => api.patch(name, &by_us(), &Patch::Merge(body)).await,
            Step::Status { body } => api.patch_status(&plan.name, &by_us(), &Patch::Merge(body)).await,
        };
        match written {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 409 || status.code == 404 => {
                return Ok(Carried::Changed(status.message));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Carried::Done)
}

fn by_us() -> PatchParams {
    PatchParams {
        field_manager: Some(COMPONENT.to_owned()),
        ..PatchParams::default()
    }
}

/// An empty text for what is not there.
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
