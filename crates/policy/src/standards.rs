//! Pod Security Standards beside other policies: the same violations, for the same places.

use serde_json::{Value, json};
use stoke_model::pod_security::{Level, Version, check};

use crate::outcome::{Effect, Violation};
use crate::subject::Subject;

/// What a level of the Pod Security Standards has against a subject: a pod, derived or written. Others are none of its business.
///
/// The policy is `pod-security/<level>:<version>`, the rule the control; `details` has `fix` and all `paths`.
///
/// ```
/// use stoke_model::pod_security::{Level, Version};
/// use stoke_policy::{Subject, pod_security};
/// let pod = serde_json::json!({"kind": "Pod", "metadata": {"name": "a"}, "spec": {"hostPID": true}});
/// let found = pod_security(Level::Baseline, Version::LATEST, &Subject::Object(&pod));
/// assert_eq!(found[0].to_string(), "deny: Pod a: host namespaces (hostPID=true) [pod-security/baseline:latest.hostNamespaces]");
/// assert_eq!(found[0].path.as_deref(), Some("spec.hostPID"));
/// ```
pub fn pod_security(level: Level, version: Version, subject: &Subject<'_>) -> Vec<Violation> {
    let pod: &Value = match subject {
        Subject::Pod { pod, .. } => pod,
        Subject::Object(object) if object["kind"] == "Pod" => object,
        _ => return Vec::new(),
    };
    let found = check(level, version, &pod["metadata"], &pod["spec"]);
    let violations = found.into_iter().map(|violation| Violation {
        policy: format!("pod-security/{level}:{version}"),
        rule: violation.control.to_owned(),
        effect: Effect::Deny,
        message: violation.to_string(),
        subject: subject.to_string(),
        details: Some(json!({"fix": violation.fix, "paths": violation.paths})),
        path: violation.paths.into_iter().next(),
        file: String::new(),
        line: 0,
    });
    violations.collect()
}
