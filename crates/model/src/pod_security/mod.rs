//! Pod Security Standards: what the published levels `baseline` and `restricted` forbid, in each of their versions.
//!
//! In: a level, a version of the standard, the metadata and the spec of a pod (or of a pod template). Out: [`Violation`]s, in the order
//! and in the words of Kubernetes' own admission, each with the fields at fault and what to do. Nothing is read but these two objects: no namespace, no
//! labels, no exemptions; those belong to admission.
//!
//! - `version`: levels and versions, and how namespace labels write them
//! - `controls`: the table of controls, each with the versions it changed in
//! - `baseline`, `restricted`: the controls themselves
//! - `pod`: walking a pod, and saying who set what
//!
//! Source: <https://kubernetes.io/docs/concepts/security/pod-security-standards/>, and for versions and words the behaviour of the `PodSecurity`
//! admission plugin. A control that a release changed *without* a new version of the standard is here as newer releases behave, whatever version
//! is asked for: AppArmor fields (checked since 1.30), `image` volumes (allowed since 1.33). User namespaces relax controls from 1.35 on only; before, that was
//! a feature gate that was off by default.
//!
//! Objects are taken as an API server has them after defaulting: `null` is absent, and a volume without any source is an `emptyDir`.

mod baseline;
mod controls;
mod pod;
mod restricted;
mod version;

pub use controls::{ControlInfo, controls};
pub use version::{Level, Version, VersionError};

use serde::Serialize;
use serde_json::Value;

/// One control that a pod violates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Stable name of the control, as Kubernetes names its checks, for example `allowPrivilegeEscalation`.
    pub control: &'static str,
    /// Fields at fault, for example `spec.containers[0].securityContext.privileged`; of a field that is missing, where it belongs.
    pub paths: Vec<String>,
    /// What is forbidden, in Kubernetes' words, for example `host namespaces`.
    pub reason: String,
    /// Who does it, in Kubernetes' words, for example `hostNetwork=true`.
    pub detail: String,
    /// What to do about it.
    pub fix: &'static str,
}

impl std::fmt::Display for Violation {
    /// `reason (detail)`, as the API server writes it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.reason, self.detail)
    }
}

/// What a level of a version forbids of a pod; empty when it forbids nothing.
///
/// ```
/// use stoke_model::pod_security::{Level, Version, check};
/// let spec = serde_json::json!({"hostPID": true, "containers": []});
/// let found = check(Level::Baseline, Version::LATEST, &serde_json::Value::Null, &spec);
/// assert_eq!(found[0].to_string(), "host namespaces (hostPID=true)");
/// assert_eq!((found[0].control, found[0].paths[0].as_str()), ("hostNamespaces", "spec.hostPID"));
/// ```
pub fn check(level: Level, version: Version, metadata: &Value, spec: &Value) -> Vec<Violation> {
    let pod = pod::Pod { metadata, spec };
    controls::active(level, version)
        .filter_map(|(control, check)| {
            let found = check(&pod)?;
            Some(Violation {
                control: control.id,
                paths: found.paths,
                reason: found.reason,
                detail: found.detail,
                fix: control.fix,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod version_tests;
