//! Cluster roles that gather the rules of others have them written into their `rules`.

use std::sync::Arc;

use serde_json::Value;

use super::{Cursor, note, update};
use crate::apiserver::rbac::{GROUP, aggregated_rules, is_aggregated};
use crate::apiserver::server::Server;
use crate::store::{Interest, ResourceKey};

pub(super) async fn run(server: Arc<Server>) {
    let key = ResourceKey::from(format!("clusterroles.{GROUP}"));
    let mut cursor = Cursor::new(&server, Interest::one(&key));
    gather(&server, &key).await;
    while cursor.next().await.is_some() {
        gather(&server, &key).await;
    }
}

/// Writes the rules of every gathering role that lacks some or has too many. What changed is an event: roles that gather from it follow.
async fn gather(server: &Arc<Server>, key: &ResourceKey) {
    let roles = server.store.list(key, None, None, usize::MAX, |_| true).items;
    let values: Vec<Value> = roles.iter().map(|role| role.value()).collect();
    for (role, value) in roles.iter().zip(&values) {
        if !is_aggregated(value) || !value["metadata"]["deletionTimestamp"].is_null() {
            continue;
        }
        let rules = Value::from(aggregated_rules(value, &values));
        let done = update(server, role, |value| {
            let differs = value["rules"] != rules;
            if differs {
                value["rules"] = rules.clone();
            }
            differs
        });
        note("aggregation", role, done.await);
    }
}
