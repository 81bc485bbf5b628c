//! LimitRanges: defaults and bounds of what pods and claims ask for.

use futures::future::BoxFuture;
use serde_json::Value;

use super::{Admission, Attempt, Operation, ready};
use crate::apimachinery::allowance::limits;
use crate::apimachinery::status::Status;
use crate::registry::ledger::Reservation;

/// Gives pods the defaults of their namespace's LimitRanges, and refuses pods and claims beyond their bounds.
pub(super) struct LimitRanger;

impl Admission for LimitRanger {
    fn handles(&self, attempt: &Attempt<'_>) -> bool {
        attempt.operation == Operation::Create && matches!(&*attempt.resource.key, "pods" | "persistentvolumeclaims")
    }

    fn admit<'a>(
        &'a self,
        attempt: &'a Attempt<'_>,
        object: &'a mut Value,
        _: &'a mut Vec<String>,
    ) -> BoxFuture<'a, Result<(), Status>> {
        if &*attempt.resource.key == "pods" {
            for range in ranges(attempt) {
                limits::apply(&range, object);
            }
        }
        ready(Ok(()))
    }

    fn validate<'a>(
        &'a self,
        attempt: &'a Attempt<'_>,
        object: Option<&'a Value>,
        _: &'a mut Vec<String>,
    ) -> BoxFuture<'a, Result<Option<Reservation>, Status>> {
        ready(within(attempt, object).map(|()| None))
    }
}

fn ranges(attempt: &Attempt<'_>) -> Vec<Value> {
    let key = "limitranges".into();
    let page = attempt
        .registry
        .store
        .list(&key, Some(attempt.namespace), None, usize::MAX, |_| true);
    page.items.iter().map(|range| range.value()).collect()
}

fn within(attempt: &Attempt<'_>, object: Option<&Value>) -> Result<(), Status> {
    let Some(object) = object else { return Ok(()) };
    let violations = match &*attempt.resource.key {
        "pods" => limits::of_pod_violations,
        _ => limits::of_claim_violations,
    };
    let found = ranges(attempt)
        .iter()
        .flat_map(|range| violations(range, object))
        .collect();
    match limits::sentence(found) {
        None => Ok(()),
        Some(why) => Err(Status::forbidden(&attempt.resource.key, attempt.name, why)),
    }
}
