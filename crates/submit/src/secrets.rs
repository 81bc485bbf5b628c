//! Secrets as volumes (`spark.kubernetes.{driver,executor}.secrets.NAME=PATH`) and as environment variables (`….secretKeyRef.ENV=NAME:KEY`).

use serde_json::json;

use crate::conf::{Conf, invalid};
use crate::error::PlanError;
use crate::object::{Draft, array};

/// Mounts secrets.
pub(crate) fn mount(draft: &mut Draft, conf: &Conf, role: &str) {
    for (secret, path) in conf.with_prefix(&format!("spark.kubernetes.{role}.secrets.")) {
        let volume = format!("{secret}-volume");
        draft.add_volume(json!({"name": volume, "secret": {"secretName": secret}}));
        draft.add_mount(json!({"mountPath": path, "name": volume}));
    }
}

/// Sets environment variables from keys of secrets.
pub(crate) fn env(draft: &mut Draft, conf: &Conf, role: &str) -> Result<(), PlanError> {
    let prefix = format!("spark.kubernetes.{role}.secretKeyRef.");
    for (name, reference) in conf.with_prefix(&prefix) {
        // Java's split drops empty parts at the end.
        let parts: Vec<&str> = reference.trim_end_matches(':').split(':').collect();
        let [secret, key] = parts[..] else {
            return Err(invalid(
                &format!("{prefix}{name}"),
                &reference,
                "write the secret's name and its key, as name:key",
            ));
        };
        array(&mut draft.container, "env")
            .push(json!({"name": name, "valueFrom": {"secretKeyRef": {"key": key, "name": secret}}}));
    }
    Ok(())
}
