//! Cluster roles that gather the rules of others have them written into their `rules`.

use std::sync::Arc;

use serde_json::Value;

use super::client::Client;
use super::{Cursor, note};
use crate::registry::Registry;
use crate::registry::rbac::{GROUP, aggregated_rules, is_aggregated};
use crate::store::{Interest, ResourceKey};

pub(super) async fn run(registry: Arc<Registry>) {
    let client = Client::new(&registry, "clusterrole-aggregation-controller");
    let key = ResourceKey::from(format!("clusterroles.{GROUP}"));
    let mut cursor = Cursor::new(&registry, Interest::one(&key));
    gather(&client, &key).await;
    while cursor.next().await.is_some() {
        gather(&client, &key).await;
    }
}

/// Writes the rules of every gathering role that lacks some or has too many. What changed is an event: roles that gather from it follow.
async fn gather(client: &Client, key: &ResourceKey) {
    let roles = client.registry.store.list(key, None, None, usize::MAX, |_| true).items;
    let values: Vec<Value> = roles.iter().map(|role| role.value()).collect();
    for (role, value) in roles.iter().zip(&values) {
        if !is_aggregated(value) || !value["metadata"]["deletionTimestamp"].is_null() {
            continue;
        }
        let rules = Value::from(aggregated_rules(value, &values));
        let done = client.change(role, "", |value| {
            let differs = value["rules"] != rules;
            if differs {
                value["rules"] = rules.clone();
            }
            differs
        });
        note("aggregation", role, done.await);
    }
}
