//! Schemas of the built-in types, generated at run time from `k8s-openapi`, with the list types its JSON Schema leaves out.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, OnceLock, PoisonError};

use k8s_openapi::schemars::generate::SchemaSettings;
use k8s_openapi::schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value};

use super::{Kind, ListType, Schema};
use crate::apimachinery::protobuf::go;

/// Types whose content is free: unknown fields are kept.
const OPAQUE: &[&str] = &[
    "io.k8s.apimachinery.pkg.runtime.RawExtension",
    "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps",
];

/// Lists that are not atomic, from the published API: type, field, keys (none: a set).
const LISTS: &[(&str, &str, &[&str])] = &[
    ("api.core.v1.Container", "env", &["name"]),
    ("api.core.v1.Container", "ports", &["containerPort", "protocol"]),
    ("api.core.v1.Container", "volumeDevices", &["devicePath"]),
    ("api.core.v1.Container", "volumeMounts", &["mountPath"]),
    ("api.core.v1.ContainerStatus", "volumeMounts", &["mountPath"]),
    ("api.core.v1.EphemeralContainer", "env", &["name"]),
    (
        "api.core.v1.EphemeralContainer",
        "ports",
        &["containerPort", "protocol"],
    ),
    ("api.core.v1.EphemeralContainer", "volumeDevices", &["devicePath"]),
    ("api.core.v1.EphemeralContainer", "volumeMounts", &["mountPath"]),
    ("api.core.v1.NamespaceStatus", "conditions", &["type"]),
    ("api.core.v1.NodeSpec", "podCIDRs", &[]),
    ("api.core.v1.NodeStatus", "addresses", &["type"]),
    ("api.core.v1.NodeStatus", "conditions", &["type"]),
    ("api.core.v1.PersistentVolumeClaimStatus", "conditions", &["type"]),
    ("api.core.v1.PodSpec", "containers", &["name"]),
    ("api.core.v1.PodSpec", "ephemeralContainers", &["name"]),
    ("api.core.v1.PodSpec", "hostAliases", &["ip"]),
    ("api.core.v1.PodSpec", "imagePullSecrets", &["name"]),
    ("api.core.v1.PodSpec", "initContainers", &["name"]),
    ("api.core.v1.PodSpec", "resourceClaims", &["name"]),
    ("api.core.v1.PodSpec", "schedulingGates", &["name"]),
    (
        "api.core.v1.PodSpec",
        "topologySpreadConstraints",
        &["topologyKey", "whenUnsatisfiable"],
    ),
    ("api.core.v1.PodSpec", "volumes", &["name"]),
    ("api.core.v1.PodStatus", "conditions", &["type"]),
    ("api.core.v1.PodStatus", "podIPs", &["ip"]),
    ("api.core.v1.ReplicationControllerStatus", "conditions", &["type"]),
    ("api.core.v1.ResourceRequirements", "claims", &["name"]),
    ("api.core.v1.ServiceAccount", "secrets", &["name"]),
    ("api.core.v1.ServiceSpec", "ports", &["port", "protocol"]),
    ("api.core.v1.ServiceStatus", "conditions", &["type"]),
    ("api.apps.v1.DaemonSetStatus", "conditions", &["type"]),
    ("api.apps.v1.DeploymentStatus", "conditions", &["type"]),
    ("api.apps.v1.ReplicaSetStatus", "conditions", &["type"]),
    ("api.apps.v1.StatefulSetStatus", "conditions", &["type"]),
    ("api.batch.v1.JobStatus", "conditions", &["type"]),
    (
        "api.admissionregistration.v1.MutatingWebhookConfiguration",
        "webhooks",
        &["name"],
    ),
    (
        "api.admissionregistration.v1.ValidatingWebhookConfiguration",
        "webhooks",
        &["name"],
    ),
    (
        "api.admissionregistration.v1.MutatingWebhook",
        "matchConditions",
        &["name"],
    ),
    (
        "api.admissionregistration.v1.ValidatingWebhook",
        "matchConditions",
        &["name"],
    ),
    (
        "api.admissionregistration.v1.ValidatingAdmissionPolicySpec",
        "matchConditions",
        &["name"],
    ),
    (
        "api.admissionregistration.v1.ValidatingAdmissionPolicySpec",
        "variables",
        &["name"],
    ),
    ("api.discovery.v1.Endpoint", "addresses", &[]),
    ("api.policy.v1.PodDisruptionBudgetStatus", "conditions", &["type"]),
    (
        "apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinitionStatus",
        "conditions",
        &["type"],
    ),
    ("apimachinery.pkg.apis.meta.v1.ObjectMeta", "finalizers", &[]),
    ("apimachinery.pkg.apis.meta.v1.ObjectMeta", "ownerReferences", &["uid"]),
    (
        "api.admissionregistration.v1.ValidatingAdmissionPolicyBindingSpec",
        "validationActions",
        &[],
    ),
    (
        "api.admissionregistration.v1.ValidatingAdmissionPolicyStatus",
        "conditions",
        &["type"],
    ),
    (
        "api.autoscaling.v2.HorizontalPodAutoscalerStatus",
        "conditions",
        &["type"],
    ),
    ("api.batch.v1.PodFailurePolicyOnExitCodesRequirement", "values", &[]),
    ("api.batch.v1.UncountedTerminatedPods", "failed", &[]),
    ("api.batch.v1.UncountedTerminatedPods", "succeeded", &[]),
    ("api.core.v1.ContainerRestartRuleOnExitCodes", "values", &[]),
    ("api.core.v1.ContainerStatus", "allocatedResourcesStatus", &["name"]),
    ("api.core.v1.PodStatus", "resourceClaimStatuses", &["name"]),
    ("api.core.v1.ResourceStatus", "resources", &["resourceID"]),
];

/// Sets whose `patchStrategy` is published as `merge`; a strategic merge replaces the others whole.
pub const MERGED_SETS: &[&str] = &["finalizers", "podCIDRs"];

/// Maps and structures that are one value for patches.
const ATOMIC: &[&str] = &[
    "api.core.v1.ConfigMapKeySelector",
    "api.core.v1.LocalObjectReference",
    "api.core.v1.NodeSelector",
    "api.core.v1.NodeSelectorTerm",
    "api.core.v1.ObjectFieldSelector",
    "api.core.v1.ObjectReference",
    "api.core.v1.ResourceFieldSelector",
    "api.core.v1.SecretKeySelector",
    "api.core.v1.SecretReference",
    "api.core.v1.TypedLocalObjectReference",
    "api.rbac.v1.RoleRef",
    "api.rbac.v1.Subject",
    "apimachinery.pkg.apis.meta.v1.LabelSelector",
    "apimachinery.pkg.apis.meta.v1.OwnerReference",
    "api.admissionregistration.v1.MatchResources",
    "api.admissionregistration.v1.NamedRuleWithOperations",
    "api.admissionregistration.v1.ParamKind",
    "api.admissionregistration.v1.ParamRef",
    "api.admissionregistration.v1.Variable",
    "api.core.v1.EndpointAddress",
    "api.core.v1.EndpointPort",
    "api.core.v1.FileKeySelector",
    "api.core.v1.ScopeSelector",
    "api.core.v1.TopologySelectorTerm",
    "api.discovery.v1.EndpointPort",
    "api.networking.v1.ServiceBackendPort",
];

/// Maps that are one value for patches: type and field.
const ATOMIC_FIELDS: &[(&str, &str)] = &[
    ("api.core.v1.PodSpec", "nodeSelector"),
    ("api.core.v1.ServiceSpec", "selector"),
    ("api.core.v1.ReplicationControllerSpec", "selector"),
    ("api.node.v1.Scheduling", "nodeSelector"),
];

/// Where the schema of a named type is, once it has been generated. Types refer to each other, and to themselves, through these.
pub type Cell = OnceLock<Schema>;

type Generate = fn(&mut SchemaGenerator);

macro_rules! roots {
    ($($path:path),+ $(,)?) => { [ $( (<$path as JsonSchema>::schema_name(), (|generator| { generator.subschema_for::<$path>(); }) as Generate) ),+ ] };
}

/// The types that requests name: everything else is reached from them.
fn roots() -> &'static HashMap<String, Generate> {
    static ROOTS: OnceLock<HashMap<String, Generate>> = OnceLock::new();
    ROOTS.get_or_init(|| {
        all_roots()
            .into_iter()
            .map(|(name, generate)| (name.into_owned(), generate))
            .collect()
    })
}

fn all_roots() -> impl IntoIterator<Item = (Cow<'static, str>, Generate)> {
    use k8s_openapi::api;
    roots![
        api::core::v1::Namespace,
        api::core::v1::Pod,
        api::core::v1::Service,
        api::core::v1::ConfigMap,
        api::core::v1::Secret,
        api::core::v1::PersistentVolumeClaim,
        api::core::v1::PersistentVolume,
        api::core::v1::ServiceAccount,
        api::core::v1::Event,
        api::core::v1::Node,
        api::core::v1::Endpoints,
        api::core::v1::ResourceQuota,
        api::core::v1::LimitRange,
        api::core::v1::Binding,
        api::core::v1::ReplicationController,
        api::core::v1::PodTemplate,
        api::apps::v1::ControllerRevision,
        api::apps::v1::Deployment,
        api::apps::v1::StatefulSet,
        api::apps::v1::ReplicaSet,
        api::apps::v1::DaemonSet,
        api::batch::v1::Job,
        api::batch::v1::CronJob,
        api::policy::v1::PodDisruptionBudget,
        api::policy::v1::Eviction,
        api::autoscaling::v1::Scale,
        api::autoscaling::v1::HorizontalPodAutoscaler,
        api::autoscaling::v2::HorizontalPodAutoscaler,
        api::node::v1::RuntimeClass,
        api::networking::v1::NetworkPolicy,
        api::networking::v1::Ingress,
        api::networking::v1::IngressClass,
        api::rbac::v1::Role,
        api::rbac::v1::RoleBinding,
        api::rbac::v1::ClusterRole,
        api::rbac::v1::ClusterRoleBinding,
        api::scheduling::v1::PriorityClass,
        api::storage::v1::StorageClass,
        api::coordination::v1::Lease,
        api::discovery::v1::EndpointSlice,
        api::events::v1::Event,
        api::admissionregistration::v1::MutatingWebhookConfiguration,
        api::admissionregistration::v1::ValidatingWebhookConfiguration,
        api::admissionregistration::v1::ValidatingAdmissionPolicy,
        api::admissionregistration::v1::ValidatingAdmissionPolicyBinding,
        api::admissionregistration::v1beta1::MutatingAdmissionPolicy,
        api::admissionregistration::v1beta1::MutatingAdmissionPolicyBinding,
        api::authentication::v1::TokenReview,
        api::authentication::v1::TokenRequest,
        api::authentication::v1::SelfSubjectReview,
        api::authorization::v1::SubjectAccessReview,
        api::authorization::v1::SelfSubjectAccessReview,
        api::authorization::v1::LocalSubjectAccessReview,
        api::authorization::v1::SelfSubjectRulesReview,
        k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
        k8s_openapi::apimachinery::pkg::apis::meta::v1::DeleteOptions,
        k8s_openapi::apimachinery::pkg::apis::meta::v1::Status,
        k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
    ]
}

/// JSON Schema of these built-in types and of all they refer to, by published names. Generating takes a few milliseconds.
pub fn documents<'a>(names: impl Iterator<Item = &'a str>) -> Map<String, Value> {
    let roots = roots();
    let mut documents = documents_of(names.filter_map(|name| roots.get(name)));
    for (name, schema) in &mut documents {
        correct_required(name, schema);
    }
    documents
}

/// What clients may leave out is not required, whatever the Rust types say.
fn correct_required(name: &str, schema: &mut Value) {
    let mut parts = name.rsplit('.');
    let (Some(message), Some(version), Some(group)) = (parts.next(), parts.next(), parts.next()) else {
        return;
    };
    let package = format!("{group}/{version}");
    let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) else {
        return;
    };
    required.retain(|field| !go::may_be_absent(&package, message, field.as_str().unwrap_or_default()));
    if required.is_empty() {
        schema.as_object_mut().map(|fields| fields.shift_remove("required"));
    }
}

fn documents_of<'a>(roots: impl Iterator<Item = &'a Generate>) -> Map<String, Value> {
    let mut settings = SchemaSettings::openapi3();
    settings.definitions_path = "/components/schemas".into();
    let mut generator = SchemaGenerator::new(settings);
    roots.for_each(|generate| generate(&mut generator));
    let mut documents = generator.take_definitions(true);
    for (name, schema) in &mut documents {
        if name.ends_with(".JSONSchemaPropsOrBool") || name.ends_with(".JSONSchemaPropsOrArray") {
            *schema = serde_json::json!({"description": schema["description"]});
        }
        mark_lists(name, schema);
    }
    documents
}

fn mark_lists(name: &str, schema: &mut Value) {
    let name = name.strip_prefix("io.k8s.").unwrap_or(name);
    for (_, field, keys) in LISTS.iter().filter(|(type_name, ..)| *type_name == name) {
        let Some(list) = schema["properties"].get_mut(*field) else {
            continue;
        };
        list["x-kubernetes-list-type"] = if keys.is_empty() { "set" } else { "map" }.into();
        if !keys.is_empty() {
            list["x-kubernetes-list-map-keys"] = (*keys).into();
            list["x-kubernetes-patch-merge-key"] = keys[0].into();
        }
        // Server-side apply merges every set; a strategic merge only those that are published so.
        if !keys.is_empty() || MERGED_SETS.contains(field) {
            list["x-kubernetes-patch-strategy"] = "merge".into();
        }
    }
    if ATOMIC.contains(&name) {
        schema["x-kubernetes-map-type"] = "atomic".into();
    }
    for (_, field) in ATOMIC_FIELDS.iter().filter(|(type_name, _)| *type_name == name) {
        schema["properties"][*field]["x-kubernetes-map-type"] = "atomic".into();
    }
}

/// The cell of a type, the same for every caller.
fn cell(name: &str) -> &'static Cell {
    static CELLS: Mutex<BTreeMap<String, &'static Cell>> = Mutex::new(BTreeMap::new());
    let mut cells = CELLS.lock().unwrap_or_else(PoisonError::into_inner);
    // One small cell per type of the published API, for the life of the process.
    cells
        .entry(name.to_owned())
        .or_insert_with(|| Box::leak(Box::default()))
}

/// Generates a type and what it refers to.
fn generate(root: Generate) {
    let find = |reference: &str| reference.rsplit('/').next().map(cell);
    for (name, json) in &documents_of([root].iter()) {
        let mut schema = Schema::parse(json, &find);
        // What must be there is a matter of each kind's validation; a decoder only knows types.
        forget_required(&mut schema);
        if OPAQUE.contains(&name.as_str()) {
            schema.kind = Kind::Any;
        } else if name == "io.k8s.apimachinery.pkg.api.resource.Quantity" {
            schema.kind = Kind::Quantity;
        }
        // Another root may have brought it already.
        let _ = cell(name).set(schema);
    }
}

fn forget_required(schema: &mut Schema) {
    match &mut schema.kind {
        Kind::Object(object) => {
            object.required.clear();
            object.properties.values_mut().for_each(forget_required);
            object.additional.iter_mut().for_each(forget_required);
        }
        Kind::Array { items, .. } => forget_required(items),
        _ => {}
    }
}

/// The type in a cell. Types are handed out only after all they refer to was generated, so the cell is full.
pub(super) fn definition(cell: &'static Cell) -> &'static Schema {
    static ANY: Cell = Cell::new();
    cell.get().unwrap_or_else(|| ANY.get_or_init(Schema::any))
}

/// The built-in type with this published name, for example `io.k8s.api.core.v1.Pod`. It is generated when it is first asked for.
pub fn schema(name: &str) -> Option<&'static Schema> {
    static GENERATED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let root = *roots().get(name)?;
    let mut generated = GENERATED.lock().unwrap_or_else(PoisonError::into_inner);
    if !generated.contains(name) {
        generate(root);
        generated.insert(name.to_owned());
    }
    drop(generated);
    cell(name).get()
}

/// Schema of `ObjectMeta`.
pub fn object_meta() -> &'static Schema {
    static FALLBACK: OnceLock<Schema> = OnceLock::new();
    schema("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta").unwrap_or_else(|| FALLBACK.get_or_init(Schema::any))
}

/// How a strategic merge patch merges a list: the key its items are named by.
pub fn merge_key(list: &ListType) -> Option<&str> {
    match list {
        ListType::Map(keys) => keys.first().map(String::as_str),
        _ => None,
    }
}
