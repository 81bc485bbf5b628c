//! ControllerRevisions: the templates that StatefulSets and DaemonSets have had.

use serde::Deserialize;
use serde_json::{Value, json};

use super::client::Client;
use super::deployments::revisions::{hash, same_template};
use super::facts::{Meta, controller_reference};
use super::ownership::{HasMeta, claimed};
use crate::apimachinery::selectors::LabelSelector;
use crate::apimachinery::status::Status;

const REVISIONS: &str = "controllerrevisions.apps";

/// A stored template.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Revision {
    pub metadata: Meta,
    pub revision: i64,
    pub data: Value,
}

impl HasMeta for Revision {
    fn meta(&self) -> &Meta {
        &self.metadata
    }
}

impl Revision {
    pub fn template(&self) -> &Value {
        &self.data["spec"]["template"]
    }
}

/// The revisions of an owner, the oldest first, with the current template as the last; it is stored if it is not yet.
pub(super) async fn revisions(client: &Client, owner: &Value) -> Result<Vec<Revision>, Status> {
    let selector = LabelSelector::from_selector(&owner["spec"]["selector"]);
    let found = claimed::<Revision>(client, owner, &selector, REVISIONS, |_| true).await?;
    let mut revisions: Vec<Revision> = found.into_iter().map(|(_, revision)| revision).collect();
    revisions.sort_by_key(|revision| (revision.revision, revision.metadata.name.clone()));
    let template = &owner["spec"]["template"];
    let highest = revisions.last().map_or(0, |revision| revision.revision);
    if let Some(place) = revisions
        .iter()
        .rposition(|revision| same_template(revision.template(), template))
    {
        let mut current = revisions.remove(place);
        if current.revision < highest {
            // A template of before is the newest again.
            let patch = json!({"metadata": {"uid": current.metadata.uid}, "revision": highest + 1});
            client
                .patch(REVISIONS, &current.metadata.namespace, &current.metadata.name, &patch)
                .await?;
            current.revision = highest + 1;
        }
        revisions.push(current);
        return Ok(revisions);
    }
    let suffix = hash(template, owner["status"]["collisionCount"].as_i64());
    let name = format!("{}-{suffix}", owner["metadata"]["name"].as_str().unwrap_or_default());
    let mut labels = template["metadata"]["labels"].clone();
    labels["controller.kubernetes.io/hash"] = suffix.into();
    let mut stored = template.clone();
    stored["$patch"] = "replace".into();
    let value = json!({"apiVersion": "apps/v1", "kind": "ControllerRevision", "revision": highest + 1,
        "metadata": {"name": name, "labels": labels, "ownerReferences": [controller_reference(owner)]},
        "data": {"spec": {"template": stored}}});
    let namespace = owner["metadata"]["namespace"].as_str().unwrap_or_default();
    let made = client.create(REVISIONS, namespace, &value).await?;
    revisions.push(serde_json::from_value(made).unwrap_or_default());
    Ok(revisions)
}

/// Deletes the oldest revisions that nothing uses, beyond the limit.
pub(super) async fn forget(client: &Client, revisions: &[Revision], used: &[&str], limit: usize) -> Result<(), Status> {
    let idle: Vec<&Revision> = revisions
        .iter()
        .filter(|revision| !used.contains(&revision.metadata.name.as_str()))
        .collect();
    for revision in idle.iter().take(idle.len().saturating_sub(limit)) {
        let meta = &revision.metadata;
        client
            .delete(REVISIONS, &meta.namespace, &meta.name, &meta.uid, "Background")
            .await?;
    }
    Ok(())
}
