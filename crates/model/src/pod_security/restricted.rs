//! Controls of `restricted`, on top of those of `baseline`. Each function is one control in one of its versions.
//!
//! From 1.25 on, pods that say they are of Windows are spared what only Linux knows; from 1.35 on, pods with a user namespace are spared what is about root.

use serde_json::Value;

use super::baseline::{bad_profile, beyond_in_words, capabilities_beyond, listed};
use super::pod::{Found, Pod, Setters, counted, quoted};

/// Volume types that are allowed.
const VOLUMES: [&str; 9] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

/// What a control finds of a pod that is not of Windows.
fn of_linux(pod: &Pod<'_>, check: fn(&Pod<'_>) -> Option<Found>) -> Option<Found> {
    if pod.windows() { None } else { check(pod) }
}

/// What a control finds of a pod that shares the host's users.
fn outside_user_namespace(pod: &Pod<'_>, check: fn(&Pod<'_>) -> Option<Found>) -> Option<Found> {
    if pod.user_namespace() { None } else { check(pod) }
}

pub(super) fn escalation(pod: &Pod<'_>) -> Option<Found> {
    pod.blame_containers("allowPrivilegeEscalation", |context| {
        context["allowPrivilegeEscalation"] != false
    })
    .found(
        "allowPrivilegeEscalation != false",
        "must set securityContext.allowPrivilegeEscalation=false",
    )
}

pub(super) fn escalation_of_linux(pod: &Pod<'_>) -> Option<Found> {
    of_linux(pod, escalation)
}

pub(super) fn capabilities(pod: &Pod<'_>) -> Option<Found> {
    let keeps = |context: &Value| {
        let mut drops = context["capabilities"]["drop"].as_array().into_iter().flatten();
        !drops.any(|name| name == "ALL")
    };
    let keeping = pod.blame_containers("capabilities.drop", keeps);
    let (adding, beyond) = capabilities_beyond(pod, &["NET_BIND_SERVICE"]);
    let parts = [
        keeping.found("", "must set securityContext.capabilities.drop=[\"ALL\"]"),
        adding.found("", &beyond_in_words(&beyond)),
    ];
    let (details, paths): (Vec<String>, Vec<Vec<String>>) = parts
        .into_iter()
        .flatten()
        .map(|part| (part.detail, part.paths))
        .unzip();
    (!details.is_empty()).then(|| Found {
        reason: "unrestricted capabilities".to_owned(),
        detail: details.join("; "),
        paths: paths.concat(),
    })
}

pub(super) fn capabilities_of_linux(pod: &Pod<'_>) -> Option<Found> {
    of_linux(pod, capabilities)
}

/// The source of a volume that is not allowed; of a volume without any source none, since it becomes an `emptyDir`.
fn forbidden_source(volume: &Value) -> Option<&str> {
    let fields = volume.as_object().into_iter().flatten();
    let mut sources = fields.filter(|(field, value)| *field != "name" && !value.is_null());
    let first = sources.next()?.0.as_str();
    let allowed = VOLUMES.contains(&first) || sources.any(|(field, _)| VOLUMES.contains(&field.as_str()));
    (!allowed).then_some(first)
}

pub(super) fn volumes(pod: &Pod<'_>) -> Option<Found> {
    let (mut names, mut kinds, mut paths) = (Vec::new(), Vec::new(), Vec::new());
    let volumes = pod.spec["volumes"].as_array().into_iter().flatten().enumerate();
    for (index, volume) in volumes {
        if let Some(kind) = forbidden_source(volume) {
            names.push(volume["name"].as_str().unwrap_or_default());
            paths.push(format!("spec.volumes[{index}].{kind}"));
            kinds.push(kind);
        }
    }
    let verb = if names.len() == 1 { "uses" } else { "use" };
    let kinds = counted("restricted volume type", &listed(kinds));
    (!names.is_empty()).then(|| Found {
        reason: "restricted volume types".to_owned(),
        detail: format!("{} {verb} {kinds}", counted("volume", &names)),
        paths,
    })
}

/// What pod and containers say of a setting that containers take over from the pod.
struct Inherited<'a> {
    /// Those that say something forbidden.
    wrong: Setters<'a>,
    /// Containers that say nothing while the pod says nothing good either.
    silent: Setters<'a>,
}

impl<'a> Inherited<'a> {
    fn of(
        pod: &Pod<'a>,
        field: &str,
        set: impl Fn(&Value) -> bool,
        good: impl Fn(&Value) -> bool,
        mut wrong: impl FnMut(&'a Value),
    ) -> Self {
        let pod_good = set(pod.context()) && good(pod.context());
        let bad = pod.blame(field, |context| {
            let bad = set(context) && !good(context);
            if bad {
                wrong(context);
            }
            bad
        });
        let silent = pod.blame_containers(field, |context| !pod_good && !set(context));
        Self { wrong: bad, silent }
    }

    /// What is wrong is said first, what is missing only when nothing is wrong.
    fn found(self, reason: &str, wrong: &str, missing: &str) -> Option<Found> {
        if !self.wrong.is_empty() {
            return self.wrong.found(reason, wrong);
        }
        let mut found = self.silent.found(reason, missing)?;
        found.detail = format!("pod or {}", found.detail);
        Some(found)
    }
}

pub(super) fn non_root(pod: &Pod<'_>) -> Option<Found> {
    let set = |context: &Value| context["runAsNonRoot"].is_boolean();
    let good = |context: &Value| context["runAsNonRoot"] == true;
    Inherited::of(pod, "runAsNonRoot", set, good, |_| ()).found(
        "runAsNonRoot != true",
        "must not set securityContext.runAsNonRoot=false",
        "must set securityContext.runAsNonRoot=true",
    )
}

pub(super) fn non_root_outside_user_namespace(pod: &Pod<'_>) -> Option<Found> {
    outside_user_namespace(pod, non_root)
}

pub(super) fn root_user(pod: &Pod<'_>) -> Option<Found> {
    pod.blame("runAsUser", |context| context["runAsUser"].as_f64() == Some(0.0))
        .found("runAsUser=0", "must not set runAsUser=0")
}

pub(super) fn root_user_outside_user_namespace(pod: &Pod<'_>) -> Option<Found> {
    outside_user_namespace(pod, root_user)
}

pub(super) fn seccomp(pod: &Pod<'_>) -> Option<Found> {
    let set = |context: &Value| !context["seccompProfile"].is_null();
    let good = |context: &Value| bad_profile(&context["seccompProfile"]).is_none();
    let mut kinds = Vec::new();
    let inherited = Inherited::of(pod, "seccompProfile.type", set, good, |context| {
        kinds.extend(bad_profile(&context["seccompProfile"]));
    });
    inherited.found(
        "seccompProfile",
        &format!(
            "must not set securityContext.seccompProfile.type to {}",
            quoted(&listed(kinds))
        ),
        "must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\"",
    )
}

pub(super) fn seccomp_of_linux(pod: &Pod<'_>) -> Option<Found> {
    of_linux(pod, seccomp)
}
