//! What is added to or refused of a new object because of other objects: its namespace, its service account, its class, its address.

use std::sync::Arc;

use serde_json::{Value, json};

use super::store_new;
use crate::apiserver::allowance::{limits, security};
use crate::apiserver::crd;
use crate::apiserver::meta::suffix;
use crate::apiserver::resources::Resource;
use crate::apiserver::server::Server;
use crate::apiserver::status::ApiError;
use crate::store::{Key, Object};

/// Where a pod finds its service account's token.
const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Service accounts that every namespace has, with permission to run Spark: Kubernetes' own, and the one the Spark operator's chart makes.
pub const SPARK_ACCOUNTS: [&str; 2] = ["default", "spark-operator-spark"];

/// Refuses objects in namespaces that do not exist or are ending.
pub(super) fn check_namespace(
    server: &Server,
    resource: &Resource,
    namespace: &str,
    name: &str,
) -> Result<(), ApiError> {
    if !resource.namespaced {
        return Ok(());
    }
    let found = server.store.get(&Key::new(&"namespaces".into(), "", namespace));
    let found = found.ok_or_else(|| ApiError::not_found("namespaces", namespace))?;
    if found.fields.deleting {
        let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
        let mut error = ApiError::forbidden(&resource.qualified(), name, why);
        error.details["causes"] = json!([{"reason": "NamespaceTerminating", "message": format!("namespace {namespace} is being terminated"), "field": "metadata.namespace"}]);
        return Err(error);
    }
    Ok(())
}

/// Adds what the cluster decides.
pub(super) fn admit_create(server: &Server, resource: &Resource, object: &mut Value) -> Result<(), ApiError> {
    if resource.custom.is_some() {
        return Ok(());
    }
    match &*resource.key {
        "pods" => {
            check_runtime(object)?;
            admit_pod(server, object)?;
            keep_limits(server, object)
        }
        "priorityclasses.scheduling.k8s.io" => one_default_priority(server, object),
        "services" => server.service_addresses.give(server, object),
        "persistentvolumeclaims" => {
            give_class(server, object);
            keep_limits(server, object)
        }
        _ => Ok(()),
    }
}

/// Gives a new definition its first conditions, and the finalizer that holds it until its objects are gone.
pub(super) fn begin_definition(server: &Server, definition: &mut Value) {
    definition["status"] = json!({"storedVersions": [], "acceptedNames": {"plural": "", "kind": ""}});
    crd::prepare(definition);
    let others = server
        .store
        .list(&crd::DEFINITIONS.into(), None, None, usize::MAX, |_| true)
        .items;
    if let Some((reason, message)) = crd::name_conflict(definition, others.iter().map(|other| other.value())) {
        crd::set_condition(definition, "NamesAccepted", "False", reason, &message);
        crd::set_condition(
            definition,
            "Established",
            "False",
            "NotAccepted",
            "not all names are accepted",
        );
        definition["status"]["acceptedNames"] = json!({"plural": "", "kind": ""});
    }
    let finalizers = &mut definition["metadata"]["finalizers"];
    if !finalizers.is_array() {
        *finalizers = json!([]);
    }
    if let Some(list) = finalizers
        .as_array_mut()
        .filter(|list| !list.iter().any(|name| name == crd::CLEANUP))
    {
        list.push(crd::CLEANUP.into());
    }
}

/// Gives a pod or a claim the defaults of its namespace's LimitRanges, and refuses what is beyond their bounds.
fn keep_limits(server: &Server, object: &mut Value) -> Result<(), ApiError> {
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
    let ranges = server
        .store
        .list(&"limitranges".into(), Some(namespace), None, usize::MAX, |_| true)
        .items;
    let ranges: Vec<Value> = ranges.iter().map(|range| range.value()).collect();
    let is_pod = object["spec"]["containers"].is_array();
    let mut violations = Vec::new();
    for range in &ranges {
        if is_pod {
            limits::apply(range, object);
        }
    }
    for range in &ranges {
        violations.extend(if is_pod {
            limits::of_pod_violations(range, object)
        } else {
            limits::of_claim_violations(range, object)
        });
    }
    let Some(why) = limits::sentence(violations) else {
        return Ok(());
    };
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let resource = if is_pod { "pods" } else { "persistentvolumeclaims" };
    Err(ApiError::forbidden(resource, name, why))
}

/// Refuses a pod that its namespace's Pod Security level forbids; says what would be warned of, also of the templates of workloads.
pub(super) fn keep_secure(server: &Server, resource: &Resource, object: &Value) -> Result<Option<String>, ApiError> {
    let template = match &*resource.key {
        "pods" => object,
        "cronjobs.batch" => &object["spec"]["jobTemplate"]["spec"]["template"],
        "podtemplates" => &object["template"],
        "deployments.apps"
        | "replicasets.apps"
        | "statefulsets.apps"
        | "daemonsets.apps"
        | "jobs.batch"
        | "replicationcontrollers" => &object["spec"]["template"],
        _ => return Ok(None),
    };
    let name = object["metadata"]["namespace"].as_str().unwrap_or_default();
    let Some(space) = server.store.get(&Key::new(&"namespaces".into(), "", name)) else {
        return Ok(None);
    };
    let space = space.value();
    let says = |mode: &str| security::violation(&space, mode, &template["metadata"], &template["spec"]);
    if &*resource.key == "pods"
        && let Some(why) = says("enforce")
    {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let why = why.replacen("violate", "violates", 1);
        return Err(ApiError::forbidden("pods", name, why));
    }
    Ok(says("warn").map(|why| format!("would {why}")))
}

/// There are no runtime classes here: what needs one is refused as where one is missing.
fn check_runtime(pod: &Value) -> Result<(), ApiError> {
    let why = match (&pod["spec"]["runtimeClassName"], &pod["spec"]["overhead"]) {
        (Value::String(name), _) => format!("pod rejected: RuntimeClass {name:?} not found"),
        (_, Value::Object(_)) => {
            "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead".to_owned()
        }
        _ => return Ok(()),
    };
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    Err(ApiError::forbidden("pods", name, why))
}

/// Refuses a second priority class that is the default of all pods.
fn one_default_priority(server: &Server, class: &Value) -> Result<(), ApiError> {
    if class["globalDefault"] != true {
        return Ok(());
    }
    let key = "priorityclasses.scheduling.k8s.io".into();
    let others = server.store.list(&key, None, None, usize::MAX, |_| true).items;
    let other = others.iter().find(|other| other.value()["globalDefault"] == true);
    let name = class["metadata"]["name"].as_str().unwrap_or_default();
    match other.filter(|other| *other.key.name != *name) {
        None => Ok(()),
        Some(other) => {
            let why = format!(
                "PriorityClass {} is already marked as default. Only one default can exist",
                other.key.name
            );
            Err(ApiError::forbidden("priorityclasses.scheduling.k8s.io", name, why))
        }
    }
}

/// What follows the creation of an object at once, so that clients need not wait for a controller.
pub(super) async fn after_create(server: &Arc<Server>, resource: &Resource, object: &Object) {
    match &*resource.key {
        "namespaces" => furnish_namespace(server, &object.key.name).await,
        "customresourcedefinitions.apiextensions.k8s.io" => server.reload_custom_resources(),
        "services" => {
            let service = object.value();
            let address = service["spec"]["clusterIP"].as_str().unwrap_or_default();
            let stored = &server.service_addresses;
            stored.stored(&object.key.namespace, &object.key.name, address);
        }
        _ => {}
    }
}

/// Gives a namespace its service accounts, its copy of the cluster's certificate, and the right to run Spark in it.
pub async fn furnish_namespace(server: &Arc<Server>, namespace: &str) {
    let registry = server.registry();
    let accounts = SPARK_ACCOUNTS.map(|name| ("", "v1", "serviceaccounts", json!({"metadata": {"name": name}})));
    let subjects: Vec<Value> = SPARK_ACCOUNTS
        .iter()
        .map(|name| json!({"kind": "ServiceAccount", "name": name, "namespace": namespace}))
        .collect();
    let certificate = json!({"metadata": {"name": "kube-root-ca.crt", "annotations": {
        "kubernetes.io/description": "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters."}},
        "data": {"ca.crt": server.settings.authority_pem}});
    let binding = json!({"metadata": {"name": "stoke-spark", "annotations": {
        "kubernetes.io/description": "Lets Spark drivers of this embedded cluster create their executors without further set-up."}},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"}, "subjects": subjects});
    let objects = accounts.into_iter().chain([
        ("", "v1", "configmaps", certificate),
        ("rbac.authorization.k8s.io", "v1", "rolebindings", binding),
    ]);
    for (group, version, plural, object) in objects {
        let Some(resource) = registry.find(group, version, plural) else {
            continue;
        };
        if let Err(error) = store_new(server, &resource, namespace, object).await {
            tracing::warn!(namespace, plural, error = %error.message, "a new namespace could not be furnished");
        }
    }
}

fn admit_pod(server: &Server, pod: &mut Value) -> Result<(), ApiError> {
    let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default().to_owned();
    let name = pod["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let account = pod["spec"]["serviceAccountName"]
        .as_str()
        .filter(|name| !name.is_empty())
        .unwrap_or("default")
        .to_owned();
    let found = server
        .store
        .get(&Key::new(&"serviceaccounts".into(), &namespace, &account))
        .ok_or_else(|| {
            let why =
                format!("error looking up service account {namespace}/{account}: serviceaccount {account:?} not found");
            ApiError::forbidden("pods", &name, why)
        })?;
    let account_object = found.value();
    let spec = &mut pod["spec"];
    spec["serviceAccountName"] = account.clone().into();
    spec["serviceAccount"] = account.into();
    if spec["imagePullSecrets"].is_null()
        && account_object["imagePullSecrets"]
            .as_array()
            .is_some_and(|list| !list.is_empty())
    {
        spec["imagePullSecrets"] = account_object["imagePullSecrets"].clone();
    }
    let wanted = spec["automountServiceAccountToken"]
        .as_bool()
        .or(account_object["automountServiceAccountToken"].as_bool());
    if wanted.unwrap_or(true) {
        mount_token(spec);
    }
    tolerate_short_outages(spec);
    set_priority(server, &name, spec)
}

/// Mounts the service account's token into every container that does not already mount something there.
fn mount_token(spec: &mut Value) {
    let volume = format!("kube-api-access-{}", suffix());
    let mut mounted = false;
    for list in ["initContainers", "containers"] {
        let containers = spec.get_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            let there = container["volumeMounts"]
                .as_array()
                .is_some_and(|mounts| mounts.iter().any(|mount| mount["mountPath"] == TOKEN_PATH));
            if there {
                continue;
            }
            if !container["volumeMounts"].is_array() {
                container["volumeMounts"] = json!([]);
            }
            if let Some(mounts) = container["volumeMounts"].as_array_mut() {
                mounts.push(json!({"name": volume, "readOnly": true, "mountPath": TOKEN_PATH}));
                mounted = true;
            }
        }
    }
    if !mounted {
        return;
    }
    if !spec["volumes"].is_array() {
        spec["volumes"] = json!([]);
    }
    if let Some(volumes) = spec["volumes"].as_array_mut() {
        volumes.push(json!({"name": volume, "projected": {"sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
        ], "defaultMode": 420}}));
    }
}

fn tolerate_short_outages(spec: &mut Value) {
    if !spec["tolerations"].is_array() {
        spec["tolerations"] = json!([]);
    }
    let Some(tolerations) = spec["tolerations"].as_array_mut() else {
        return;
    };
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let tolerated = tolerations.iter().any(|toleration| {
            let for_key = toleration["key"].is_null() || toleration["key"] == key;
            for_key && (toleration["effect"].is_null() || toleration["effect"] == "NoExecute")
        });
        if !tolerated {
            tolerations
                .push(json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}));
        }
    }
}

fn set_priority(server: &Server, pod: &str, spec: &mut Value) -> Result<(), ApiError> {
    let key = "priorityclasses.scheduling.k8s.io".into();
    let class = match spec["priorityClassName"].as_str().filter(|name| !name.is_empty()) {
        Some(name) => {
            let class = server.store.get(&Key::new(&key, "", name));
            let why = || format!("no PriorityClass with name {name} was found");
            Some(class.ok_or_else(|| ApiError::forbidden("pods", pod, why()))?.value())
        }
        None => {
            let all = server.store.list(&key, None, None, usize::MAX, |_| true).items;
            all.iter()
                .map(|class| class.value())
                .find(|class| class["globalDefault"] == true)
        }
    };
    let class = class.unwrap_or_else(|| json!({"value": 0}));
    if spec["priority"].is_number() && spec["priority"] != class["value"] {
        let why = format!(
            "the integer value of priority ({}) must not be provided in pod spec; priority admission controller computed {} from the given PriorityClass name",
            spec["priority"], class["value"]
        );
        return Err(ApiError::forbidden("pods", pod, why));
    }
    spec["priority"] = class["value"].clone();
    if class["metadata"]["name"].is_string() {
        spec["priorityClassName"] = class["metadata"]["name"].clone();
    }
    let policy = class["preemptionPolicy"].as_str().unwrap_or("PreemptLowerPriority");
    if let Some(given) = spec["preemptionPolicy"].as_str().filter(|given| *given != policy) {
        let why = format!(
            "the string value of PreemptionPolicy ({given}) must not be provided in pod spec; priority admission controller computed {policy} from the given PriorityClass name"
        );
        return Err(ApiError::forbidden("pods", pod, why));
    }
    spec["preemptionPolicy"] = policy.into();
    Ok(())
}

/// Gives a claim without a class the default one, and the finalizer that protects it while a pod uses it.
fn give_class(server: &Server, claim: &mut Value) {
    if claim["spec"]["storageClassName"].is_null() {
        let key = "storageclasses.storage.k8s.io".into();
        let classes = server.store.list(&key, None, None, usize::MAX, |_| true).items;
        let default = classes
            .iter()
            .map(|class| class.value())
            .find(|class| class["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"] == "true");
        if let Some(class) = default {
            claim["spec"]["storageClassName"] = class["metadata"]["name"].clone();
        }
    }
    let finalizers = &mut claim["metadata"]["finalizers"];
    if !finalizers.is_array() {
        *finalizers = json!([]);
    }
    if let Some(list) = finalizers
        .as_array_mut()
        .filter(|list| !list.iter().any(|name| name == "kubernetes.io/pvc-protection"))
    {
        list.push("kubernetes.io/pvc-protection".into());
    }
}
