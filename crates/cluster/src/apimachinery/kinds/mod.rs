//! What the API server knows of each built-in kind: defaults, what may not change, what is wrong.
//!
//! In: an object about to be stored, its predecessor. Out: the same object completed, or complaints. Pure: admission that needs other
//! objects (the namespace, the service account) is in [`crate::registry::admission`].

pub mod admissionregistration;
pub mod autoscaler;
mod batch;
mod job_policies;
mod pod_defaults;
mod policy;
mod schedule;
mod service;
mod storage;
mod workload_validation;
mod workloads;

use serde_json::{Value, json};

pub use pod_defaults::quality_of_service;
pub use service::drop_of_other_type;

use super::allowance::{limits, security};
use super::meta::write_empty;
use super::resources::Resource;
use super::schema::Path;
use super::status::FieldError;
use super::validation::{
    Complaints, access, claim, config, network, pod, service as service_rules, storage as storage_rules, warnings,
};
use super::{crd, meta};

/// Store key of HorizontalPodAutoscalers, of both versions.
pub const AUTOSCALERS: &str = "horizontalpodautoscalers.autoscaling";

/// Fills what may be left out, as the API server stores it.
pub fn default(resource: &Resource, object: &mut Value) {
    if resource.custom.is_some() {
        return;
    }
    give_structures(&resource.key, object);
    match &*resource.key {
        "pods" => {
            pod_defaults::default(object);
            pod_defaults::default_pod(object);
        }
        "services" => service::default(object),
        "persistentvolumeclaims" => storage::default_claim(object),
        "persistentvolumes" => storage::default_volume(object),
        "storageclasses.storage.k8s.io" => storage::default_class(object),
        "priorityclasses.scheduling.k8s.io" if object["preemptionPolicy"].is_null() => {
            object["preemptionPolicy"] = "PreemptLowerPriority".into();
        }
        "limitranges" => limits::default(object),
        AUTOSCALERS => autoscaler::default(&resource.version, object),
        "deployments.apps" => workloads::default_deployment(object),
        "replicasets.apps" => workloads::default_replica_set(object),
        "replicationcontrollers" => workloads::default_replication_controller(object),
        "statefulsets.apps" => workloads::default_stateful_set(object),
        "daemonsets.apps" => workloads::default_daemon_set(object),
        "jobs.batch" => batch::default_job(object),
        "cronjobs.batch" => batch::default_cron_job(object),
        crd::DEFINITIONS => crd::prepare(object),
        "secrets" => default_secret(object),
        "roles.rbac.authorization.k8s.io" | "clusterroles.rbac.authorization.k8s.io" => {
            write_empty(object, "rules");
        }
        "networkpolicies.networking.k8s.io" => default_policy(object),
        "endpointslices.discovery.k8s.io" => default_slice(object),
        "ingresses.networking.k8s.io" => default_ingress(object),
        "rolebindings.rbac.authorization.k8s.io" | "clusterrolebindings.rbac.authorization.k8s.io" => {
            default_binding(object);
        }
        key if key.ends_with(".admissionregistration.k8s.io") => admissionregistration::default(&resource.kind, object),
        "namespaces" => default_namespace(object),
        _ => {}
    }
}

/// Structures that a decoded object has, whether they were written or not.
fn give_structures(key: &str, object: &mut Value) {
    let paths: &[&str] = match key {
        "deployments.apps" | "replicasets.apps" | "statefulsets.apps" | "daemonsets.apps" | "jobs.batch" => {
            &["spec", "template", "spec"]
        }
        "cronjobs.batch" => &["spec", "jobTemplate", "spec", "template", "spec"],
        "persistentvolumeclaims"
        | "networkpolicies.networking.k8s.io"
        | "leases.coordination.k8s.io"
        | "resourcequotas"
        | "poddisruptionbudgets.policy"
        | "limitranges" => &["spec"],
        _ => return,
    };
    let mut at = object;
    for field in paths {
        if !at.is_object() {
            return;
        }
        set_missing(at, field, || json!({}));
        at = &mut at[*field];
    }
}

/// A new object has no status yet, whatever was sent; nodes and definitions bring theirs.
pub fn drop_status(resource: &Resource, object: &mut Value) {
    if resource.status
        && &*resource.key != "nodes"
        && &*resource.key != crd::DEFINITIONS
        && let Some(fields) = object.as_object_mut()
    {
        fields.shift_remove("status");
    }
}

/// Brings an object into the state every new one starts in.
pub fn prepare_create(resource: &Resource, object: &mut Value) {
    if resource.custom.is_some() || !object.is_object() {
        return;
    }
    match &*resource.key {
        "pods" => {
            let qos = pod_defaults::quality_of_service(&object["spec"]);
            object["status"] = json!({"phase": "Pending", "qosClass": qos});
            if object["spec"]["schedulingGates"]
                .as_array()
                .is_some_and(|gates| !gates.is_empty())
            {
                object["status"]["conditions"] = json!([{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated",
                    "message": "Scheduling is blocked due to non-empty scheduling gates", "lastProbeTime": null, "lastTransitionTime": meta::now()}]);
            }
        }
        "services" | "ingresses.networking.k8s.io" => object["status"] = json!({"loadBalancer": {}}),
        "resourcequotas" => object["status"] = json!({}),
        "poddisruptionbudgets.policy" => {
            object["status"] =
                json!({"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0});
        }
        "persistentvolumeclaims" | "persistentvolumes" => object["status"] = json!({"phase": "Pending"}),
        "namespaces" => object["status"] = json!({"phase": "Active"}),
        key => {
            if key == "jobs.batch" {
                batch::generate_selector(object);
            }
            if key == "daemonsets.apps" {
                object["metadata"]["annotations"]["deprecated.daemonset.template.generation"] = "1".into();
            }
            if let Some(status) = workloads::first_status(key) {
                object["status"] = status;
            }
        }
    }
}

/// Complaints about an object.
pub fn validate(resource: &Resource, object: &Value) -> Vec<FieldError> {
    if resource.custom.is_some() {
        return Vec::new();
    }
    match &*resource.key {
        "pods" => complaints(|said| pod::check(object, &Path::Start("spec"), said)),
        "services" => complaints(|said| service_rules::check(object, said)),
        "persistentvolumeclaims" => complaints(|said| claim::check(&object["spec"], &Path::Start("spec"), said)),
        "deployments.apps" => workload_validation::validate_deployment(object),
        "replicasets.apps" => workload_validation::validate_replica_set(object),
        "replicationcontrollers" => workload_validation::validate_replication_controller(object),
        "statefulsets.apps" => workload_validation::validate_stateful_set(object),
        "daemonsets.apps" => workload_validation::validate_daemon_set(object),
        "jobs.batch" => batch::validate_job(object),
        "cronjobs.batch" => batch::validate_cron_job(object),
        "namespaces" => {
            let mut errors = security::check_labels(object);
            errors.extend(complaints(|said| config::check_finalizers(object, said)));
            errors
        }
        "configmaps" => complaints(|said| config::check_map(object, said)),
        "secrets" => complaints(|said| config::check_secret(object, said)),
        crd::DEFINITIONS => crd::validate(object),
        key if key.ends_with(".admissionregistration.k8s.io") => {
            admissionregistration::validate(&resource.kind, object)
        }
        "roles.rbac.authorization.k8s.io" | "clusterroles.rbac.authorization.k8s.io" => {
            complaints(|said| access::check_role(object, resource.namespaced, said))
        }
        "rolebindings.rbac.authorization.k8s.io" | "clusterrolebindings.rbac.authorization.k8s.io" => {
            complaints(|said| access::check_binding(object, resource.namespaced, said))
        }
        "storageclasses.storage.k8s.io" => complaints(|said| storage_rules::check_class(object, said)),
        "persistentvolumes" => complaints(|said| storage_rules::check_volume(object, said)),
        "ingresses.networking.k8s.io" => complaints(|said| network::check_ingress(object, said)),
        "networkpolicies.networking.k8s.io" => complaints(|said| network::check_policy(object, said)),
        "endpointslices.discovery.k8s.io" => complaints(|said| network::check_slice(object, said)),
        "leases.coordination.k8s.io" => complaints(|said| network::check_lease(object, said)),
        "priorityclasses.scheduling.k8s.io" => policy::validate_priority_class(object),
        "resourcequotas" => policy::validate_quota(object),
        "limitranges" => policy::validate_limit_range(object),
        AUTOSCALERS => autoscaler::validate(object),
        "poddisruptionbudgets.policy" => policy::validate_budget(object),
        _ => Vec::new(),
    }
}

/// Complaints about an object that is new, besides [`validate`]'s.
pub fn validate_create(resource: &Resource, object: &Value) -> Vec<FieldError> {
    match &*resource.key {
        "pods" => complaints(|said| pod::check_create(object, said)),
        "statefulsets.apps" => workload_validation::validate_new_stateful_set(object),
        "priorityclasses.scheduling.k8s.io" => policy::validate_new_priority_class(object),
        _ => Vec::new(),
    }
}

fn complaints(check: impl FnOnce(&mut Complaints)) -> Vec<FieldError> {
    let mut said = Complaints::default();
    check(&mut said);
    said.0
}

/// What the author of an object should know of it, though it is taken.
pub fn warnings(resource: &Resource, object: &Value) -> Vec<String> {
    const PODS: &str = "Pod names and hostnames";
    let mut told = warnings::Warnings::default();
    if resource.custom.is_some() {
        return told.0;
    }
    let template = |told: &mut warnings::Warnings| {
        let at = Path::Start("spec.template.spec");
        warnings::pod(&object["spec"]["template"]["spec"], &at, told);
    };
    match &*resource.key {
        "pods" => {
            warnings::name(object, "the Pod's hostname", &mut told);
            warnings::pod(&object["spec"], &Path::Start("spec"), &mut told);
        }
        "deployments.apps" | "replicasets.apps" | "replicationcontrollers" => {
            warnings::name(object, PODS, &mut told);
            template(&mut told);
        }
        "jobs.batch" => {
            // Its own words ask for a label where its pods have one.
            if object["spec"]["completionMode"] != "Indexed" {
                warnings::name(object, PODS, &mut told);
            }
            template(&mut told);
        }
        "daemonsets.apps" => template(&mut told),
        "statefulsets.apps" => {
            template(&mut told);
            warnings::stateful_set(object, &mut told);
        }
        "cronjobs.batch" => {
            warnings::name(object, PODS, &mut told);
            let template = &object["spec"]["jobTemplate"]["spec"]["template"]["spec"];
            warnings::pod(template, &Path::Start("spec.jobTemplate.spec.template.spec"), &mut told);
        }
        "persistentvolumeclaims" => warnings::claim(&object["spec"], &Path::Start("spec"), &mut told),
        "persistentvolumes" => warnings::volume(object, &mut told),
        "secrets" => warnings::secret(object, &mut told),
        "endpointslices.discovery.k8s.io" => warnings::slice(object, &mut told),
        "ingresses.networking.k8s.io" => warnings::ingress(object, &mut told),
        "services" => {
            told.0.extend(service::warnings(object).map(str::to_owned));
            warnings::service(object, &mut told);
        }
        _ => {}
    }
    told.0
}

/// Complaints about a change.
pub fn validate_update(resource: &Resource, old: &Value, new: &Value) -> Vec<FieldError> {
    if resource.custom.is_some() {
        return Vec::new();
    }
    match &*resource.key {
        "pods" => complaints(|said| pod::check_update(old, new, said)),
        "services" => service::validate_update(old, new),
        "persistentvolumeclaims" => storage::validate_claim_update(old, new),
        "deployments.apps" | "replicasets.apps" | "daemonsets.apps" => workload_validation::same_selector(old, new),
        "statefulsets.apps" => workload_validation::validate_stateful_set_update(old, new),
        "jobs.batch" => batch::validate_job_update(old, new),
        "priorityclasses.scheduling.k8s.io" => policy::validate_priority_class_update(old, new),
        "resourcequotas" if old["spec"]["scopes"] != new["spec"]["scopes"] => {
            vec![FieldError::invalid(
                "spec.scopes",
                &new["spec"]["scopes"],
                "field is immutable",
            )]
        }
        "controllerrevisions.apps" if old["data"] != new["data"] => {
            vec![FieldError::invalid("data", &new["data"], "field is immutable")]
        }
        "configmaps" => validate_immutable(old, new),
        "secrets" => {
            let mut errors = validate_immutable(old, new);
            if old["type"] != new["type"] {
                errors.push(FieldError::invalid("type", &new["type"], "field is immutable"));
            }
            errors
        }
        "storageclasses.storage.k8s.io" => complaints(|said| storage_rules::check_class_update(old, new, said)),
        "endpointslices.discovery.k8s.io" => complaints(|said| network::check_slice_update(old, new, said)),
        crd::DEFINITIONS => crd::validate_update(old, new),
        "rolebindings.rbac.authorization.k8s.io" | "clusterrolebindings.rbac.authorization.k8s.io"
            if old["roleRef"] != new["roleRef"] =>
        {
            let word = |field: &str| new["roleRef"][field].as_str().unwrap_or_default();
            let told = json!({"APIGroup": word("apiGroup"), "Kind": word("kind"), "Name": word("name")});
            vec![FieldError::invalid("roleRef", &told, "cannot change roleRef")]
        }
        _ => Vec::new(),
    }
}

fn default_secret(secret: &mut Value) {
    set_missing(secret, "type", || "Opaque".into());
    // stringData is written in clear and stored encoded.
    if let Some(Value::Object(clear)) = secret
        .as_object_mut()
        .and_then(|fields| fields.shift_remove("stringData"))
    {
        use base64::Engine;
        if !secret["data"].is_object() {
            secret["data"] = json!({});
        }
        for (key, text) in clear {
            let text = text.as_str().unwrap_or_default();
            secret["data"][key] = base64::engine::general_purpose::STANDARD.encode(text).into();
        }
    }
}

fn default_policy(policy: &mut Value) {
    for rules in ["ingress", "egress"] {
        for rule in items_mut(policy, &format!("/spec/{rules}")) {
            for port in items_mut(rule, "/ports") {
                set_missing(port, "protocol", || "TCP".into());
            }
        }
    }
    if !policy["spec"].is_object() {
        return;
    }
    let spec = &mut policy["spec"];
    let egress = spec["egress"].as_array().is_some_and(|rules| !rules.is_empty());
    set_missing(spec, "policyTypes", || {
        if egress {
            json!(["Ingress", "Egress"])
        } else {
            json!(["Ingress"])
        }
    });
    set_missing(spec, "podSelector", || json!({}));
}

fn default_slice(slice: &mut Value) {
    write_empty(slice, "endpoints");
    write_empty(slice, "ports");
    for endpoint in items_mut(slice, "/endpoints") {
        set_missing(endpoint, "conditions", || json!({}));
    }
    for port in items_mut(slice, "/ports") {
        set_missing(port, "name", || "".into());
        set_missing(port, "protocol", || "TCP".into());
    }
}

/// A backend of another kind names its group, if only to say that it has none.
fn default_ingress(ingress: &mut Value) {
    let complete = |backend: Option<&mut Value>| {
        if let Some(resource) = backend.and_then(|backend| backend.get_mut("resource")) {
            set_missing(resource, "apiGroup", || Value::Null);
        }
    };
    complete(ingress.pointer_mut("/spec/defaultBackend"));
    for rule in items_mut(ingress, "/spec/rules") {
        for path in items_mut(rule, "/http/paths") {
            complete(path.get_mut("backend"));
        }
    }
}

fn default_binding(binding: &mut Value) {
    const GROUP: &str = "rbac.authorization.k8s.io";
    if binding["roleRef"].is_null() {
        binding["roleRef"] = json!({});
    }
    if binding["roleRef"].is_object() {
        let role = &mut binding["roleRef"];
        if role["apiGroup"] == "" {
            role["apiGroup"] = GROUP.into();
        }
        set_missing(role, "apiGroup", || GROUP.into());
    }
    for subject in items_mut(binding, "/subjects") {
        if matches!(subject["kind"].as_str(), Some("User" | "Group")) {
            set_missing(subject, "apiGroup", || GROUP.into());
        }
    }
}

fn default_namespace(namespace: &mut Value) {
    let name = namespace["metadata"]["name"].clone();
    if name.is_string() {
        namespace["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
    }
    if namespace["spec"]["finalizers"].is_null() && namespace["metadata"]["deletionTimestamp"].is_null() {
        namespace["spec"]["finalizers"] = json!(["kubernetes"]);
    }
}

fn validate_immutable(old: &Value, new: &Value) -> Vec<FieldError> {
    if old["immutable"] != true {
        return Vec::new();
    }
    let mut errors = Vec::new();
    if new["immutable"] != true {
        errors.push(FieldError::forbidden(
            "immutable",
            "field is immutable when `immutable` is set",
        ));
    }
    for part in ["data", "binaryData"] {
        if old[part] != new[part] {
            errors.push(FieldError::forbidden(
                part,
                "field is immutable when `immutable` is set",
            ));
        }
    }
    errors
}

/// Brings a changed object into the state its predecessor leaves it in.
pub fn prepare_update(resource: &Resource, old: &Value, new: &mut Value) {
    const GENERATION: &str = "deprecated.daemonset.template.generation";
    if &*resource.key == "daemonsets.apps" && new["metadata"].is_object() {
        let before = old["metadata"]["annotations"][GENERATION].as_str();
        let before: i64 = before.and_then(|text| text.parse().ok()).unwrap_or(1);
        let changed = old["spec"]["template"] != new["spec"]["template"];
        new["metadata"]["annotations"][GENERATION] = (before + i64::from(changed)).to_string().into();
    }
}

/// A selector as complaints show it: labels sorted, conditions with all their fields.
pub(super) fn told_selector(selector: &Value) -> Value {
    if !selector.is_object() {
        return selector.clone();
    }
    let mut told = json!({});
    let labels = &selector["matchLabels"];
    if labels.as_object().is_some_and(|labels| !labels.is_empty()) {
        told["matchLabels"] = sorted(labels);
    }
    let condition = |condition: &Value| {
        let word = |field: &str| condition[field].as_str().unwrap_or_default();
        let mut told = json!({"key": word("key"), "operator": word("operator")});
        if condition["values"].as_array().is_some_and(|values| !values.is_empty()) {
            told["values"] = condition["values"].clone();
        }
        told
    };
    if let Some(list) = selector["matchExpressions"].as_array().filter(|list| !list.is_empty()) {
        told["matchExpressions"] = list.iter().map(condition).collect();
    }
    told
}

/// A map sorted by its keys, as Go writes maps.
pub fn sorted(map: &Value) -> Value {
    let Some(fields) = map.as_object() else {
        return map.clone();
    };
    let ordered: std::collections::BTreeMap<&String, &Value> = fields.iter().collect();
    let ordered = ordered.into_iter().map(|(key, value)| (key.clone(), value.clone()));
    Value::Object(ordered.collect())
}

/// Sets a field that is missing or null.
pub(super) fn set_missing(object: &mut Value, field: &str, value: impl FnOnce() -> Value) {
    if let Some(fields) = object.as_object_mut()
        && fields.get(field).is_none_or(Value::is_null)
    {
        fields.insert(field.to_owned(), value());
    }
}

/// Items of the list at a JSON pointer; none if there is no list. (Indexing a `Value` for writing would create the path.)
pub fn items_mut<'a>(value: &'a mut Value, pointer: &str) -> impl Iterator<Item = &'a mut Value> {
    value
        .pointer_mut(pointer)
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
}

#[cfg(test)]
mod tests;
