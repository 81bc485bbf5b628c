//! ResourceQuotas: what objects use of them, held until the write is done.

use futures::future::BoxFuture;
use serde_json::Value;

use super::{Admission, Attempt, Operation};
use crate::apimachinery::status::Status;
use crate::registry::ledger::Reservation;

/// Refuses what is beyond the quotas of its namespace. It comes last, so that nothing is held for what others refuse.
pub(super) struct ResourceQuota;

impl Admission for ResourceQuota {
    fn handles(&self, attempt: &Attempt<'_>) -> bool {
        attempt.operation != Operation::Delete && attempt.resource.namespaced && attempt.subresource != "status"
    }

    fn validate<'a>(
        &'a self,
        attempt: &'a Attempt<'_>,
        object: Option<&'a Value>,
        _: &'a mut Vec<String>,
    ) -> BoxFuture<'a, Result<Option<Reservation>, Status>> {
        Box::pin(async move {
            let Some(object) = object else { return Ok(None) };
            let registry = attempt.registry;
            let (store, resources) = (&registry.store, registry.resources());
            let ledger = &registry.ledger;
            ledger
                .reserve(store, &resources, attempt.resource, attempt.old, object)
                .await
        })
    }
}
