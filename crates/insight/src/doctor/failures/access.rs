//! Permissions: RBAC of the driver, quotas, admission webhooks, Pod Security.

use stoke_model::waiting::refused::{self, quota_fix};

use super::class::{Class, END, NONE_COME, THROWN, class, words};
use super::texts::{Match, TextRule, hurts};
use crate::text::{after, between, short};
use stoke_diagnostics::Fix;

const SPARK_RBAC: &str = "https://spark.apache.org/docs/latest/running-on-kubernetes.html#rbac";
const FOLLOWS: &[&[&str]] = &[END, THROWN, NONE_COME, &["rbac-denied"]];

static RBAC_DENIED: Class = class(
    "rbac-denied",
    875,
    "the driver's ServiceAccount must be allowed to get, list, watch, create, patch and delete pods, services, configmaps and persistentvolumeclaims",
    SPARK_RBAC,
    FOLLOWS,
);
pub(super) static QUOTA_EXCEEDED: Class = class(
    "quota-exceeded",
    885,
    "a ResourceQuota refuses pods that would take the namespace over its limits (403 on creation)",
    "https://kubernetes.io/docs/concepts/policy/resource-quotas/",
    FOLLOWS,
);
static POD_SECURITY: Class = class(
    "pod-security-denied",
    884,
    "Pod Security admission refuses pods that violate the level the namespace enforces",
    "https://kubernetes.io/docs/concepts/security/pod-security-standards/",
    FOLLOWS,
);
static ADMISSION_DENIED: Class = class(
    "admission-denied",
    883,
    "an admission webhook or policy refused an object of the application",
    "https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/",
    FOLLOWS,
);
static LIMIT_RANGE: Class = class(
    "limit-range-exceeded",
    882,
    "a LimitRange refuses pods whose requests or limits are outside of its bounds",
    "https://kubernetes.io/docs/concepts/policy/limit-range/",
    FOLLOWS,
);
pub(super) static SERVICE_ACCOUNT_MISSING: Class = class(
    "service-account-missing",
    890,
    "a pod's ServiceAccount must exist in its namespace before the pod is made",
    SPARK_RBAC,
    FOLLOWS,
);
static POD_INVALID: Class = class(
    "pod-invalid",
    878,
    "the API server refuses objects that break the rules of their kind (422)",
    "https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/",
    FOLLOWS,
);

/// The classes of this family.
pub(super) static CLASSES: [&Class; 7] = [
    &RBAC_DENIED,
    &QUOTA_EXCEEDED,
    &POD_SECURITY,
    &ADMISSION_DENIED,
    &LIMIT_RANGE,
    &SERVICE_ACCOUNT_MISSING,
    &POD_INVALID,
];

/// Its rules over texts.
pub(super) const RULES: &[TextRule] = &[
    hurts(&QUOTA_EXCEEDED, &[&["exceeded quota"], &["failed quota"]], |matched| {
        Some(quota(matched.line, matched.context.namespace()))
    }),
    hurts(&POD_SECURITY, &[&["violates PodSecurity"]], |matched| {
        Some(pod_security(matched.line))
    }),
    hurts(
        &LIMIT_RANGE,
        &[
            &["is forbidden", "usage per "],
            &["must be less than or equal to", "limit"],
        ],
        |matched| matched.line.contains("usage per").then(|| limit_range(matched.line)),
    ),
    hurts(
        &ADMISSION_DENIED,
        &[
            &["admission webhook", "denied the request"],
            &["failed calling webhook"],
            &["ValidatingAdmissionPolicy", "denied request"],
        ],
        |matched| Some(admission(matched.line)),
    ),
    hurts(
        &SERVICE_ACCOUNT_MISSING,
        &[&["error looking up service account"], &["serviceaccount", "not found"]],
        |matched| Some(service_account(matched.line, matched.context.namespace())),
    ),
    hurts(&RBAC_DENIED, &[&["is forbidden", "cannot"]], |matched| {
        rbac(matched.line, matched.context.namespace())
    }),
    hurts(
        &RBAC_DENIED,
        &[&["Forbidden!Configured service account doesn't have access"]],
        unnamed_rbac,
    ),
    hurts(
        &POD_INVALID,
        &[&["Pod ", " is invalid: "], &["Pod \\\"", "is invalid"]],
        |matched| {
            let why =
                after(matched.line, "is invalid: ").map(|why| why.split(". Received status").next().unwrap_or(why));
            Some((
                format!(
                    "The API server refused a pod as invalid: {}",
                    short(why.unwrap_or(matched.line), 250)
                ),
                words("correct the field it names in the manifest or in the pod template"),
            ))
        },
    ),
];

/// Quota: name, requested, used, limited. Where several are exceeded the message has each with a comma.
pub(super) fn quota(line: &str, namespace: &str) -> (String, Fix) {
    let name = refused::quota(line);
    let part = |name: &str, end: &str| {
        let rest = after(line, name)?;
        Some(
            rest.split(end)
                .next()
                .unwrap_or(rest)
                .trim()
                .trim_end_matches('.')
                .to_owned(),
        )
    };
    let name = name.unwrap_or("?");
    if line.contains("must specify") {
        let what = part("must specify ", ". ").unwrap_or_default();
        return (
            format!("The quota {name} wants every pod to state {what}"),
            words(format!(
                "state {what} in the manifest (driver and executor), or have a LimitRange supply defaults"
            )),
        );
    }
    let requested = part("requested: ", ", used").unwrap_or_default();
    let used = part("used: ", ", limited").unwrap_or_default();
    let limited = part("limited: ", ". ").unwrap_or_default();
    let limited = limited.split(". Received").next().unwrap_or_default().to_owned();
    (
        format!(
            "The quota {name} does not allow another pod: requested {requested}, used {used}, limited to {limited}"
        ),
        words(quota_fix(name, namespace)),
    )
}

pub(super) fn pod_security(line: &str) -> (String, Fix) {
    let level = between(line, "violates PodSecurity \"", "\"")
        .or_else(|| between(line, "violates PodSecurity \\\"", "\\\""))
        .unwrap_or("?");
    let what = after(line, "violates PodSecurity")
        .and_then(|rest| rest.split_once(": "))
        .map_or("", |(_, what)| what);
    let what = what.split(". Received status").next().unwrap_or(what);
    (
        format!(
            "The namespace enforces the Pod Security level {level}, which a pod violates: {}",
            short(what, 250)
        ),
        words(
            "set the security context it names (spec.driver.securityContext, podSecurityContext and the executor's, or the pod template): for restricted runAsNonRoot: true, allowPrivilegeEscalation: false, capabilities drop ALL, seccompProfile RuntimeDefault",
        ),
    )
}

fn limit_range(line: &str) -> (String, Fix) {
    let why = after(line, "is forbidden: ").unwrap_or(line);
    (
        format!("A LimitRange of the namespace refuses a pod: {}", short(why, 250)),
        words(
            "keep within the bounds it names (cores, memory and memoryOverhead of driver and executor), or have the LimitRange changed",
        ),
    )
}

pub(super) fn admission(line: &str) -> (String, Fix) {
    let line = &line.replace("\\\"", "\"");
    let name = between(line, "admission webhook \"", "\"")
        .or_else(|| between(line, "webhook \"", "\""))
        .unwrap_or("?");
    if line.contains("failed calling webhook") {
        let why = after(line, "failed calling webhook").unwrap_or(line);
        return (
            format!("The admission webhook {name} could not be asked: {}", short(why, 250)),
            words(format!(
                "see that the webhook's service runs: kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations; it is not the application's fault ({name})"
            )),
        );
    }
    // A webhook "denied the request: why"; a ValidatingAdmissionPolicy 'x' with binding 'y' "denied request: why".
    let policy =
        between(line, "ValidatingAdmissionPolicy '", "'").or_else(|| between(line, "MutatingAdmissionPolicy '", "'"));
    let who = match policy {
        Some(policy) => format!("The admission policy {policy}"),
        None => format!("The admission webhook {name}"),
    };
    let why = after(line, "denied the request")
        .or_else(|| after(line, "denied request"))
        .unwrap_or(line)
        .trim_start_matches([':', ' ']);
    let why = why.split(". Received status").next().unwrap_or(why);
    (
        format!("{who} refused an object: {}", short(why, 250)),
        words(
            "change the manifest as the message asks, or have the policy make an exception (whoever administers it can)",
        ),
    )
}

pub(super) fn service_account(line: &str, namespace: &str) -> (String, Fix) {
    let named = after(line, "service account ")
        .and_then(|rest| rest.split([':', ',', ' ']).next())
        .and_then(|name| name.split_once('/'));
    let quoted = between(line, "serviceaccount \"", "\"").or_else(|| between(line, "serviceaccounts \"", "\""));
    let (namespace, name) = match (named, quoted) {
        (Some(named), _) => named,
        (None, Some(name)) => (namespace, name),
        (None, None) => (namespace, "spark"),
    };
    (
        format!("The ServiceAccount {name} does not exist in the namespace {namespace}"),
        words(format!(
            "name one that exists in spec.driver.serviceAccount, or make it: kubectl -n {namespace} create serviceaccount {name}, and let it manage pods: kubectl -n {namespace} create rolebinding {name}-edit --clusterrole=edit --serviceaccount={namespace}:{name}"
        )),
    )
}

/// `pods is forbidden: User "system:serviceaccount:ns:sa" cannot create resource "pods" in API group "" in the namespace "ns"`.
pub(super) fn rbac(line: &str, namespace: &str) -> Option<(String, Fix)> {
    let line = line.replace("\\\"", "\"");
    let user = between(&line, "User \"", "\"")?;
    let rest = after(&line, &format!("User \"{user}\" cannot "))?;
    let verb = rest.split(' ').next()?;
    let resource = between(rest, "resource \"", "\"")?;
    let group = between(rest, "API group \"", "\"").unwrap_or_default();
    let place = between(rest, "in the namespace \"", "\"");
    let target = place.unwrap_or(namespace);
    let kind = match group {
        "" => resource.to_owned(),
        group => format!("{resource}.{group}"),
    };
    let whose = match user
        .strip_prefix("system:serviceaccount:")
        .and_then(|rest| rest.split_once(':'))
    {
        Some((of, name)) => (
            format!("The ServiceAccount {of}/{name}"),
            format!("--serviceaccount={of}:{name}"),
            name.to_owned(),
        ),
        None => (format!("The user {user}"), format!("--user={user}"), "spark".to_owned()),
    };
    let where_ = match place {
        Some(place) => format!("in the namespace {place}"),
        None => "in the whole cluster".to_owned(),
    };
    let (who, subject, name) = whose;
    let fix = format!(
        "kubectl -n {target} create role {name}-spark --verb=get,list,watch,create,update,patch,delete,deletecollection --resource=pods,services,configmaps,persistentvolumeclaims && kubectl -n {target} create rolebinding {name}-spark --role={name}-spark {subject}"
    );
    let fix = match resource {
        "pods" | "services" | "configmaps" | "persistentvolumeclaims" => fix,
        _ => format!(
            "kubectl -n {target} create role {name}-{resource} --verb={verb} --resource={kind} && kubectl -n {target} create rolebinding {name}-{resource} --role={name}-{resource} {subject}"
        ),
    };
    Some((
        format!("{who} may not {verb} {kind} {where_}"),
        words(format!("bind a role that allows it: {fix}")),
    ))
}

fn unnamed_rbac(matched: &Match<'_>) -> Option<(String, Fix)> {
    let rest = after(matched.line, "POST at: ")
        .or_else(|| after(matched.line, "GET at: "))
        .unwrap_or(matched.line);
    let namespace = matched.context.namespace();
    Some((
        format!(
            "The driver's ServiceAccount may not do what Spark needs: {}",
            short(rest, 200)
        ),
        words(format!(
            "bind a role to the driver's ServiceAccount: kubectl -n {namespace} create rolebinding spark-edit --clusterrole=edit --serviceaccount={namespace}:NAME"
        )),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_verb_resource_namespace_and_account() {
        let line = r#"Message: pods is forbidden: User "system:serviceaccount:team-a:etl" cannot create resource "pods" in API group "" in the namespace "team-a". Received status: Status"#;
        let (cause, fix) = rbac(line, "default").unwrap();
        assert_eq!(
            cause,
            "The ServiceAccount team-a/etl may not create pods in the namespace team-a"
        );
        assert!(
            fix.text
                .contains("kubectl -n team-a create role etl-spark --verb=get,list,watch,create"),
            "{}",
            fix.text
        );
        assert!(fix.text.contains("--serviceaccount=team-a:etl"));
        let line = r#"volcano jobs is forbidden: User "jane" cannot get resource "jobs" in API group "batch.volcano.sh" at the cluster scope"#;
        let (cause, fix) = rbac(line, "default").unwrap();
        assert_eq!(
            cause,
            "The user jane may not get jobs.batch.volcano.sh in the whole cluster"
        );
        assert!(fix.text.contains("--user=jane"));
        assert_eq!(rbac("x is forbidden: cannot", "default"), None);
    }

    #[test]
    fn a_quota_tells_its_numbers() {
        let line = r#"pods "etl-exec-3" is forbidden: exceeded quota: team, requested: limits.memory=4505Mi, used: limits.memory=14Gi, limited: limits.memory=16Gi. Received status: Status(…)"#;
        let (cause, _) = quota(line, "default");
        assert_eq!(
            cause,
            "The quota team does not allow another pod: requested limits.memory=4505Mi, used limits.memory=14Gi, limited to limits.memory=16Gi"
        );
    }

    #[test]
    fn who_denied_is_named_with_why() {
        for (line, cause) in [
            (
                r#"Message: pods "adm-exec-1" is forbidden: ValidatingAdmissionPolicy 'costs' with binding 'costs-here' denied request: executors need a cost centre. Received status: Status(apiVersion=v1)"#,
                "The admission policy costs refused an object: executors need a cost centre",
            ),
            (
                r#"admission webhook "validate.policy.example.com" denied the request: images must come from registry.corp"#,
                "The admission webhook validate.policy.example.com refused an object: images must come from registry.corp",
            ),
            (
                r#"Message: admission webhook \"p.corp\" denied the request: [no-root] runs as root. Received status: Status(x)"#,
                "The admission webhook p.corp refused an object: [no-root] runs as root",
            ),
        ] {
            assert_eq!(admission(line).0, cause);
        }
    }

    #[test]
    fn a_missing_account_is_named() {
        for (line, name) in [
            (
                r#"pods "etl-driver" is forbidden: error looking up service account team-a/etl: serviceaccount "etl" not found"#,
                "team-a",
            ),
            (r#"serviceaccount "etl" not found"#, "default"),
        ] {
            assert_eq!(
                service_account(line, "default").0,
                format!("The ServiceAccount etl does not exist in the namespace {name}")
            );
        }
    }
}
