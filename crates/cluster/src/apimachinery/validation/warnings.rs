//! Warnings: what the author of an object should know about it, although it is accepted.

use serde_json::Value;

use super::{entries, is_empty, items, resources, text, words};
use crate::apimachinery::schema::Path;

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// Warnings as they are found.
#[derive(Debug, Default)]
pub struct Warnings(pub Vec<String>);

impl Warnings {
    fn say(&mut self, at: &Path<'_>, what: impl std::fmt::Display) {
        self.0.push(format!("{at}: {what}"));
    }
}

/// A name that pods are called after, or their hosts.
pub fn name(object: &Value, used_in: &str, told: &mut Warnings) {
    let broken = words::label(text(&object["metadata"]["name"]));
    if !broken.is_empty() {
        let why = format!(
            "this is used in {used_in}, which can result in surprising behavior; a DNS label is recommended: [{}]",
            broken.join(" ")
        );
        told.say(&Path::Start("metadata.name"), why);
    }
}

/// A pod, or a template of pods, of which `at` is the place of its `spec`.
pub fn pod(spec: &Value, at: &Path<'_>, told: &mut Warnings) {
    selectors(spec, at, told);
    pull_secrets(spec, at, told);
    aliases(spec, at, told);
    for (index, volume) in items(&spec["volumes"]) {
        let list = at.field("volumes");
        of_volume(volume, &list.item(index), told);
    }
    for list in ["initContainers", "containers"] {
        let place = at.field(list);
        for (index, container) in items(&spec[list]) {
            let at = place.item(index);
            of_container(container, &at, told);
        }
    }
    ports(spec, at, told);
}

fn selectors(spec: &Value, at: &Path<'_>, told: &mut Warnings) {
    const NONE: &str = "a null labelSelector results in matching no pod";
    let affinity = at.field("affinity");
    for kind in ["podAffinity", "podAntiAffinity"] {
        let at = affinity.field(kind);
        let list = at.field(REQUIRED);
        for (index, term) in items(&spec["affinity"][kind][REQUIRED]) {
            if term["labelSelector"].is_null() {
                told.say(&list.item(index).field("labelSelector"), NONE);
            }
        }
        let list = at.field(PREFERRED);
        for (index, term) in items(&spec["affinity"][kind][PREFERRED]) {
            if term["podAffinityTerm"]["labelSelector"].is_null() {
                let at = list.item(index);
                told.say(&at.field("podAffinityTerm").field("labelSelector"), NONE);
            }
        }
    }
    let node = affinity.field("nodeAffinity");
    let list = node.field(PREFERRED);
    for (index, term) in items(&spec["affinity"]["nodeAffinity"][PREFERRED]) {
        let at = list.item(index);
        let at = at.field("preference");
        let list = at.field("matchExpressions");
        for (index, expression) in items(&term["preference"]["matchExpressions"]) {
            let at = list.item(index);
            let values = at.field("values");
            for (index, value) in items(&expression["values"]) {
                for rule in words::label_value(text(value)) {
                    told.say(&values.item(index), format!("{} is invalid, {rule}", text(value)));
                }
            }
        }
    }
    let list = at.field("topologySpreadConstraints");
    for (index, constraint) in items(&spec["topologySpreadConstraints"]) {
        if constraint["labelSelector"].is_null() {
            told.say(&list.item(index).field("labelSelector"), NONE);
        }
    }
}

fn pull_secrets(spec: &Value, at: &Path<'_>, told: &mut Warnings) {
    let list = at.field("imagePullSecrets");
    let mut known = Vec::new();
    for (index, secret) in items(&spec["imagePullSecrets"]) {
        let (name, item) = (text(&secret["name"]), list.item(index));
        let at = item.field("name");
        if name.is_empty() {
            told.say(&at, "invalid empty name \"\"");
        } else if known.contains(&name) {
            told.say(&at, format!("duplicate name {name:?}"));
        }
        known.push(name);
    }
}

fn aliases(spec: &Value, at: &Path<'_>, told: &mut Warnings) {
    let list = at.field("hostAliases");
    let mut known = Vec::new();
    for (index, alias) in items(&spec["hostAliases"]) {
        let address = text(&alias["ip"]);
        if known.contains(&address) {
            told.say(&list.item(index).field("ip"), format!("duplicate ip {address:?}"));
        }
        known.push(address);
    }
}

fn of_container(container: &Value, at: &Path<'_>, told: &mut Warnings) {
    let list = at.field("env");
    let mut known = Vec::new();
    for (index, variable) in items(&container["env"]) {
        let name = text(&variable["name"]);
        if known.contains(&name) {
            let why = format!("hides previous definition of {name:?}, which may be dropped when using apply");
            told.say(&list.item(index), why);
        }
        known.push(name);
    }
    let amounts = at.field("resources");
    for part in ["limits", "requests"] {
        fractions(&container["resources"][part], &amounts.field(part), told);
    }
    let list = at.field("ports");
    for (index, port) in items(&container["ports"]) {
        let host = port["hostPort"].as_i64().unwrap_or(0);
        let address = text(&port["hostIP"]);
        if !address.is_empty() && host == 0 {
            let why = format!(
                "hostIP set without hostPort: {{Name:{} HostPort:0 ContainerPort:{} Protocol:{} HostIP:{address}}}",
                text(&port["name"]),
                port["containerPort"].as_i64().unwrap_or(0),
                text(&port["protocol"]),
            );
            told.say(&list.item(index), why);
        }
    }
}

/// Amounts of bytes that are not whole numbers.
fn fractions(amounts: &Value, at: &Path<'_>, told: &mut Warnings) {
    for (name, amount) in entries(amounts) {
        let bytes = matches!(name, "memory" | "ephemeral-storage" | "storage");
        if bytes && resources::amount(amount).is_some_and(|nanos| nanos % 1_000_000_000 != 0) {
            let why = format!(
                "fractional byte value {:?} is invalid, must be an integer",
                text(amount)
            );
            told.say(&at.named(name), why);
        }
    }
}

/// Ports that pods have twice: for a name or a host's port one of them is lost.
fn ports(spec: &Value, at: &Path<'_>, told: &mut Warnings) {
    let mut known: Vec<(&Value, String)> = Vec::new();
    for list in ["initContainers", "containers"] {
        let containers = at.field(list);
        for (index, container) in items(&spec[list]) {
            let item = containers.item(index);
            let ports = item.field("ports");
            // A name within one container is a complaint, not a warning.
            let outside = known.len();
            for (index, port) in items(&container["ports"]) {
                let at = ports.item(index);
                let name = text(&port["name"]);
                let named = |other: &&(&Value, String)| !name.is_empty() && text(&other.0["name"]) == name;
                if let Some((_, other)) = known[..outside].iter().find(named) {
                    let why = format!(
                        "duplicate port name {name:?} with {other}, services and probes that select ports by name will use {other}"
                    );
                    told.say(&at, why);
                }
                if let Some((other, place)) = known.iter().find(|(other, _)| same_port(other, port)) {
                    let address =
                        |port: &Value| (port["hostPort"].as_i64().unwrap_or(0), text(&port["hostIP"]).to_owned());
                    let what = if address(other) == address(port) {
                        "duplicate"
                    } else {
                        "overlapping"
                    };
                    told.say(&at, format!("{what} port definition with {place}"));
                }
                known.push((port, at.to_string()));
            }
        }
    }
}

fn same_port(one: &Value, other: &Value) -> bool {
    one["containerPort"] == other["containerPort"] && text(&one["protocol"]) == text(&other["protocol"])
}

fn of_volume(volume: &Value, at: &Path<'_>, told: &mut Warnings) {
    let name = text(&volume["name"]);
    for (field, kind, own) in [("configMap", "ConfigMap", "name"), ("secret", "Secret", "secretName")] {
        let source = &volume[field];
        let place = format!("volume {name:?} ({kind} {:?})", text(&source[own]));
        overlaps(&paths_of(source, ""), &place, told);
    }
    let place = format!("volume {name:?} (DownwardAPI)");
    overlaps(&paths_of(&volume["downwardAPI"], ""), &place, told);
    let projected = &volume["projected"];
    if projected.is_object() {
        let place = format!("volume {name:?} (Projected)");
        let sources: Vec<&Value> = items(&projected["sources"]).map(|(_, source)| source).collect();
        let kinds = [
            "configMap",
            "secret",
            "downwardAPI",
            "serviceAccountToken",
            "clusterTrustBundle",
            "podCertificate",
        ];
        let empty = |source: &&Value| kinds.iter().all(|kind| source[*kind].is_null());
        if sources.iter().any(empty) {
            told.0.push(format!("{place} has no sources provided"));
        }
        let paths: Vec<(String, String)> = sources.iter().flat_map(|source| projected_paths(source)).collect();
        overlaps(&paths, &place, told);
    }
    let template = &volume["ephemeral"]["volumeClaimTemplate"]["spec"];
    let at = at.field("ephemeral");
    let at = at.field("volumeClaimTemplate");
    claim(template, &at.field("spec"), told);
}

/// Where the items of a source go, and the kind of source to name in a warning.
fn paths_of(source: &Value, kind: &str) -> Vec<(String, String)> {
    items(&source["items"])
        .map(|(_, item)| (text(&item["path"]).to_owned(), kind.to_owned()))
        .collect()
}

fn projected_paths(source: &Value) -> Vec<(String, String)> {
    let mut paths = Vec::new();
    for (field, kind) in [("configMap", "ConfigMap"), ("secret", "Secret")] {
        let told = format!(" ({kind} {:?})", text(&source[field]["name"]));
        paths.extend(paths_of(&source[field], &told));
    }
    paths.extend(paths_of(&source["downwardAPI"], " (DownwardAPI)"));
    for (field, told) in [
        ("serviceAccountToken", " (ServiceAccountToken)"),
        ("clusterTrustBundle", " (ClusterTrustBundle)"),
    ] {
        if source[field].is_object() {
            paths.push((text(&source[field]["path"]).to_owned(), told.to_owned()));
        }
    }
    paths
}

/// Two files in one place, or one where the other has its folder.
fn overlaps(paths: &[(String, String)], place: &str, told: &mut Warnings) {
    for (index, (path, kind)) in paths.iter().enumerate() {
        let within = |inner: &str, outer: &str| inner == outer || inner.starts_with(&format!("{outer}/"));
        let before = paths[..index].iter();
        for (other, of) in before.filter(|(other, _)| within(path, other) || within(other, path)) {
            told.0
                .push(format!("{place}: overlapping paths: {path:?}{kind} with {other:?}{of}"));
        }
    }
}

/// The specification of a claim.
pub fn claim(spec: &Value, at: &Path<'_>, told: &mut Warnings) {
    let amounts = at.field("resources");
    for part in ["limits", "requests"] {
        fractions(&spec["resources"][part], &amounts.field(part), told);
    }
}

/// A StatefulSet, besides its template.
pub fn stateful_set(set: &Value, told: &mut Warnings) {
    let spec = &set["spec"];
    if spec["revisionHistoryLimit"].as_i64().is_some_and(|limit| limit < 0) {
        let why = "a negative value retains all historical revisions; a value >= 0 is recommended";
        told.say(&Path::Start("spec.revisionHistoryLimit"), why);
    }
    let list = Path::Start("spec.volumeClaimTemplates");
    for (index, template) in items(&spec["volumeClaimTemplates"]) {
        claim(&template["spec"], &list.item(index), told);
    }
}

/// A Secret whose type promises a certificate that is none.
pub fn secret(secret: &Value, told: &mut Warnings) {
    use base64::Engine;
    let bytes = base64::engine::general_purpose::STANDARD.decode(text(&secret["data"]["tls.crt"]));
    let has_block = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).contains("-----BEGIN ");
    if secret["type"] == "kubernetes.io/tls" && !bytes.is_ok_and(has_block) {
        told.0
            .push("tls: failed to find any PEM data in certificate input".to_owned());
    }
}

/// Slices of endpoints with names for addresses.
pub fn slice(slice: &Value, told: &mut Warnings) {
    if slice["addressType"] == "FQDN" {
        told.say(&Path::Start("spec.addressType"), "FQDN endpoints are deprecated");
    }
}

/// Fields of a Service that its type leaves without effect.
pub fn service(service: &Value, told: &mut Warnings) {
    let spec = &service["spec"];
    let external = spec["type"] == "ExternalName";
    if !external && !text(&spec["externalName"]).is_empty() {
        let why = "spec.externalName is ignored when spec.type is not \"ExternalName\"";
        told.0.push(why.to_owned());
    }
    if external && !is_empty(&spec["externalIPs"]) {
        let why = "spec.externalIPs is ignored when spec.type is \"ExternalName\"";
        told.0.push(why.to_owned());
    }
    if !external && spec["clusterIP"] == "None" {
        if !is_empty(&spec["externalIPs"]) {
            told.0
                .push("spec.externalIPs is ignored for headless services".to_owned());
        }
        if spec["sessionAffinity"] == "ClientIP" {
            told.0
                .push("spec.SessionAffinity is ignored for headless services".to_owned());
        }
    }
}

/// A volume that is emptied for the next claim.
pub fn volume(volume: &Value, told: &mut Warnings) {
    if volume["spec"]["persistentVolumeReclaimPolicy"] == "Recycle" {
        let why = "The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.";
        told.say(&Path::Start("spec.persistentVolumeReclaimPolicy"), why);
    }
}

/// A class that is named as it was before it had a field.
pub fn ingress(ingress: &Value, told: &mut Warnings) {
    let class = "kubernetes.io/ingress.class";
    if !text(&ingress["metadata"]["annotations"][class]).is_empty() {
        told.0.push(format!(
            "annotation {class:?} is deprecated, please use 'spec.ingressClassName' instead"
        ));
    }
}
