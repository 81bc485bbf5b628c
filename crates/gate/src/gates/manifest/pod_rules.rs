//! What an API server refuses of a pod, or a kubelet cannot start, beyond the fields that a pod has: volumes that are not there, names of ports, images,
//! policies of restart; and parts of pods within our own kinds, against Kubernetes' own types.
//!
//! Source of the rules: `pkg/apis/core/validation`, `pkg/apis/batch/validation` and `pkg/apis/apps/validation` of Kubernetes, and the grammar of references of
//! `distribution/reference`.

mod names;

use std::collections::BTreeSet;

use stoke_diagnostics::{Diagnostic, Place, Severity};
use stoke_model::cron::Schedule;
use stoke_model::distribution;
use stoke_model::kubernetes::{self, Release, fields};
use stoke_model::manifest::{Document, Node, join, join_index, nearest};
use stoke_model::schema;

use names::{image, port_name};

use crate::gates::pods::template;

/// Parts of our kinds that are of Kubernetes' types: field of the spec or of a role, and the type; `[]` for a list of them.
const OF_SPEC: [(&str, &str); 3] = [
    ("volumes", "[]core.v1.Volume"),
    ("sparkUIOptions", SERVICE),
    ("driverIngressOptions", SERVICE_LIST),
];
const SERVICE: &str = "service";
const SERVICE_LIST: &str = "[]service";
const OF_ROLE: [(&str, &str); 12] = [
    ("affinity", "core.v1.Affinity"),
    ("dnsConfig", "core.v1.PodDNSConfig"),
    ("env", "[]core.v1.EnvVar"),
    ("envFrom", "[]core.v1.EnvFromSource"),
    ("hostAliases", "[]core.v1.HostAlias"),
    ("initContainers", "[]core.v1.Container"),
    ("lifecycle", "core.v1.Lifecycle"),
    ("podSecurityContext", "core.v1.PodSecurityContext"),
    ("securityContext", "core.v1.SecurityContext"),
    ("sidecars", "[]core.v1.Container"),
    ("tolerations", "[]core.v1.Toleration"),
    ("volumeMounts", "[]core.v1.VolumeMount"),
];
const ROLES: [&str; 3] = ["driver", "executor", "server"];
/// What `ServiceType` may be.
const SERVICE_TYPES: [&str; 4] = ["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"];

/// What is wrong with the pods that a document has or makes.
pub(super) fn look(document: &Document, release: Release) -> Vec<Diagnostic> {
    let mut rules = Rules {
        document,
        found: Vec::new(),
    };
    if document.is_ours() {
        rules.ours(release);
    } else if let Some((path, _)) = template(document) {
        let pod = if path.is_empty() {
            Some(&document.node)
        } else {
            document.node.lookup(path)
        };
        let spec = join_path(path, "spec");
        if let Some(node) = pod.and_then(|pod| pod.get("spec")) {
            let claims = document
                .node
                .lookup("spec.volumeClaimTemplates")
                .map_or(&[][..], Node::items);
            let claims: Vec<&str> = claims
                .iter()
                .filter_map(|claim| claim.lookup("metadata.name")?.as_str())
                .collect();
            rules.pod(node, &spec, &claims, true);
            rules.restart(node, &spec);
        }
        rules.selector(pod);
        rules.schedule();
    }
    rules.found
}

fn join_path(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        join(path, key)
    }
}

struct Rules<'a> {
    document: &'a Document,
    found: Vec<Diagnostic>,
}

impl<'a> Rules<'a> {
    fn say(&mut self, code: &'static str, place: Place, path: &str, message: String, fix: String) {
        // What the schema has said already is not said again.
        if self
            .found
            .iter()
            .any(|known| (known.line, known.column, &*known.code) == (place.line, place.column, code))
        {
            return;
        }
        let finding = Diagnostic::at(Severity::Error, code, &self.document.source, place, path, message);
        self.found.push(finding.with_fix(fix));
    }

    /// Parts of one of our objects.
    fn ours(&mut self, release: Release) {
        let document = self.document;
        let at = document.spec_path();
        let Some(spec) = document.node.lookup(at) else { return };
        for (field, kind) in OF_SPEC {
            self.part(spec, at, field, kind, release);
        }
        let shared: Vec<&str> = volumes(spec);
        let of_conf: Vec<&str> = spec
            .get("sparkConf")
            .map_or(&[][..], Node::entries)
            .iter()
            .filter_map(|entry| of_conf(&entry.key))
            .collect();
        let given = || shared.iter().chain(&of_conf).copied();
        for role in ROLES {
            let Some(node) = spec.get(role) else { continue };
            let path = join(at, role);
            for (field, kind) in OF_ROLE {
                self.part(node, &path, field, kind, release);
            }
            for list in ["sidecars", "initContainers"] {
                let containers = node.get(list).map_or(&[][..], Node::items);
                for (index, container) in containers.iter().enumerate() {
                    self.container(container, &join_index(&join(&path, list), index));
                }
            }
            self.ports(node, &path);
            if let Some(image) = node.get("image") {
                self.image(image, &join(&path, "image"));
            }
            let Some(template) = node.get("template") else { continue };
            let path = join(&path, "template");
            if let Some(schema) = kubernetes::part("core.v1.PodTemplateSpec", release) {
                // Spark adds what is missing.
                let all = schema::lint(&document.source, template, &schema).into_iter();
                for mut complaint in all.filter(|complaint| complaint.code != "missing-field") {
                    complaint.path = rooted(&path, &complaint.path);
                    self.found.push(complaint);
                }
            }
            if let Some(pod) = template.get("spec") {
                let given: Vec<&str> = given().collect();
                self.pod(pod, &join(&path, "spec"), &given, false);
                // Mounts of the role may be of the template's volumes.
                let all: Vec<&str> = volumes(pod).into_iter().chain(given).collect();
                self.mounts(node, &join(at, role), &all);
            }
        }
        self.image_version(spec, at);
        for field in ["image", "initContainerImage"] {
            if let Some(image) = spec.get(field) {
                self.image(image, &join(at, field));
            }
        }
        if let Some(port) = spec.lookup("monitoring.prometheus.port") {
            self.port(port, &format!("{at}.monitoring.prometheus.port"));
        }
    }

    /// A field against Kubernetes' own type of it: our schema knows the fields, Kubernetes' the values that they take.
    fn part(&mut self, of: &Node, at: &str, field: &str, kind: &str, release: Release) {
        let Some(node) = of.get(field) else { return };
        let path = join(at, field);
        let (items, kind) = match kind.strip_prefix("[]") {
            Some(kind) => (
                node.items()
                    .iter()
                    .enumerate()
                    .map(|(index, item)| (join_index(&path, index), item))
                    .collect(),
                kind,
            ),
            None => (vec![(path, node)], kind),
        };
        if kind == SERVICE {
            for (path, item) in items {
                let named = item.get("serviceType");
                let Some((node, text)) = named.and_then(|node| Some((node, node.as_str()?))) else {
                    continue;
                };
                if SERVICE_TYPES.contains(&text) {
                    continue;
                }
                let message = format!("`serviceType` cannot be `{text}`");
                self.say(
                    "bad-value",
                    node.place,
                    &join(&path, "serviceType"),
                    message,
                    one_of(text, &SERVICE_TYPES),
                );
            }
            return;
        }
        let Some(schema) = kubernetes::part(kind, release) else {
            return;
        };
        for (path, item) in items {
            let all = schema::lint(&self.document.source, item, &schema).into_iter();
            for mut complaint in all.filter(|complaint| complaint.code == "bad-value") {
                complaint.path = rooted(&path, &complaint.path);
                self.found.push(complaint);
            }
        }
    }

    /// A pod: `given` are volumes it has beside its own; `whole` where nothing is put to it later.
    fn pod(&mut self, spec: &'a Node, path: &str, given: &[&str], whole: bool) {
        let own = volumes(spec);
        let all: Vec<&str> = own.iter().chain(given).copied().collect();
        self.twice(spec, path, "volumes", "volume");
        let mut names = BTreeSet::new();
        for list in ["initContainers", "containers"] {
            let containers = spec.get(list).map_or(&[][..], Node::items);
            for (index, container) in containers.iter().enumerate() {
                let path = join_index(&join(path, list), index);
                self.mounts(container, &path, &all);
                self.container(container, &path);
                let Some((name, text)) = container.get("name").and_then(|name| Some((name, name.as_str()?))) else {
                    continue;
                };
                if !names.insert(text) {
                    let message = format!("two containers of the pod are called `{text}`: it is refused");
                    self.say(
                        "duplicate-name",
                        name.place,
                        &join(&path, "name"),
                        message,
                        "give one of them another name".to_owned(),
                    );
                }
            }
        }
        if whole && spec.get("containers").is_some_and(|list| list.items().is_empty()) {
            let place = spec.place_of("containers");
            self.say(
                "missing-field",
                place,
                &join(path, "containers"),
                "the pod has no container: it is refused".to_owned(),
                "add one".to_owned(),
            );
        }
    }

    /// Two items of a list with one name.
    fn twice(&mut self, of: &'a Node, path: &str, list: &str, what: &str) {
        let mut names = BTreeSet::new();
        for (index, item) in of.get(list).map_or(&[][..], Node::items).iter().enumerate() {
            let Some((name, text)) = item.get("name").and_then(|name| Some((name, name.as_str()?))) else {
                continue;
            };
            if !names.insert(text) {
                let path = join(&join_index(&join(path, list), index), "name");
                let message = format!("two {what}s of the pod are called `{text}`: it is refused");
                self.say(
                    "duplicate-name",
                    name.place,
                    &path,
                    message,
                    "give one of them another name".to_owned(),
                );
            }
        }
    }

    fn mounts(&mut self, container: &Node, path: &str, volumes: &[&str]) {
        let mounts = container.get("volumeMounts").map_or(&[][..], Node::items);
        for (index, mount) in mounts.iter().enumerate() {
            let Some((name, text)) = mount.get("name").and_then(|name| Some((name, name.as_str()?))) else {
                continue;
            };
            if volumes.contains(&text) || text.contains('$') || text.starts_with("spark-local-dir-") {
                continue;
            }
            let fix = match nearest(text, volumes.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("add a volume named `{text}`"),
            };
            let path = join(&join_index(&join(path, "volumeMounts"), index), "name");
            self.say(
                "unknown-volume",
                name.place,
                &path,
                format!("no volume is named `{text}`"),
                fix,
            );
        }
    }

    fn container(&mut self, container: &Node, path: &str) {
        if let Some(image) = container.get("image") {
            self.image(image, &join(path, "image"));
        }
        self.ports(container, path);
        for (index, variable) in container.get("env").map_or(&[][..], Node::items).iter().enumerate() {
            let Some((node, text)) = variable
                .lookup("valueFrom.fieldRef.fieldPath")
                .and_then(|node| Some((node, node.as_str()?)))
            else {
                continue;
            };
            let single = ["metadata.labels['", "metadata.annotations['"]
                .iter()
                .any(|begin| text.starts_with(begin) && text.ends_with("']"));
            if fields::OF_VARIABLES.contains(&text) || single {
                continue;
            }
            let path = format!("{}.valueFrom.fieldRef.fieldPath", join_index(&join(path, "env"), index));
            let message = format!("a variable cannot be the pod's field `{text}`: the pod is refused");
            self.say(
                "bad-value",
                node.place,
                &path,
                message,
                one_of(text, fields::OF_VARIABLES),
            );
        }
    }

    fn ports(&mut self, of: &Node, path: &str) {
        for (index, port) in of.get("ports").map_or(&[][..], Node::items).iter().enumerate() {
            let path = join_index(&join(path, "ports"), index);
            if let Some(number) = port.get("containerPort") {
                self.port(number, &join(&path, "containerPort"));
            }
            let Some((node, text)) = port.get("name").and_then(|node| Some((node, node.as_str()?))) else {
                continue;
            };
            let Some(wrong) = port_name(text) else { continue };
            let message = format!("`{text}` cannot be the name of a port: {wrong}");
            let fix = "write at most 15 small letters, digits and dashes, a letter among them".to_owned();
            self.say("bad-name", node.place, &join(&path, "name"), message, fix);
        }
    }

    fn port(&mut self, node: &Node, path: &str) {
        let stoke_model::manifest::Content::Number(number) = &node.content else {
            return;
        };
        if number.as_i64().is_none_or(|number| (1..=65_535).contains(&number)) {
            return;
        }
        let message = format!("there is no port {number}: they go from 1 to 65535");
        self.say(
            "out-of-range",
            node.place,
            path,
            message,
            "write a port from 1 to 65535".to_owned(),
        );
    }

    fn image(&mut self, node: &Node, path: &str) {
        let Some(text) = node.as_str() else { return };
        let Some(wrong) = image(text) else { return };
        let message = format!("`{text}` is not a name of an image: {wrong}; no node pulls it");
        let fix = "write registry/repository:tag, the repository in small letters".to_owned();
        self.say("bad-image", node.place, path, message, fix);
    }

    /// The tag of an image of Spark's own project tells its version.
    fn image_version(&mut self, spec: &Node, at: &str) {
        let text = |field: &str| spec.lookup(field).and_then(|node| Some((node, node.as_str()?)));
        let Some((_, version)) = text("sparkVersion") else {
            return;
        };
        for field in ["image", "driver.image", "executor.image"] {
            let Some((node, image)) = text(field).filter(|(_, image)| distribution::is_official(image)) else {
                continue;
            };
            let tag = image
                .split('@')
                .next()
                .unwrap_or_default()
                .rsplit_once(':')
                .map_or("", |(_, tag)| tag);
            let of_tag = tag
                .strip_prefix('v')
                .unwrap_or(tag)
                .split('-')
                .next()
                .unwrap_or_default();
            let is_version = of_tag.contains('.') && of_tag.split('.').all(|number| number.parse::<u32>().is_ok());
            if !is_version || distribution::minor(of_tag) == distribution::minor(version) {
                continue;
            }
            let path = format!("{at}.{field}");
            let message = format!(
                "the image has Spark {of_tag}, and `sparkVersion` says {version}: what is checked is not what runs"
            );
            let finding = Diagnostic::at(
                Severity::Warning,
                "image-version",
                &self.document.source,
                node.place,
                &path,
                message,
            );
            self.found.push(finding.with_fix(format!(
                "write `sparkVersion: {of_tag}`, or take the image of {version}"
            )));
        }
    }

    /// Which policies a workload's pods may have.
    fn restart(&mut self, spec: &Node, path: &str) {
        let policy = spec.get("restartPolicy");
        let text = policy.and_then(Node::as_str);
        let (allowed, wrong): (&[&str], bool) = match self.document.kind.as_str() {
            "Job" | "CronJob" => (&["Never", "OnFailure"], matches!(text, None | Some("Always"))),
            "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" | "ReplicationController" => {
                (&["Always"], matches!(text, Some("Never" | "OnFailure")))
            }
            _ => return,
        };
        if !wrong {
            return;
        }
        let kind = &self.document.kind;
        let field = join(path, "restartPolicy");
        let place = policy.map_or_else(|| self.document.node.place_of(path), |node| node.place);
        let message = match text {
            Some(text) => format!("the pods of a {kind} cannot have `restartPolicy: {text}`: it is refused"),
            None => {
                format!("the pods of a {kind} need `restartPolicy`; without, they have `Always`, and it is refused")
            }
        };
        let code = if text.is_some() { "bad-value" } else { "missing-field" };
        self.say(
            code,
            place,
            &field,
            message,
            format!("write `restartPolicy: {}`", allowed.join("` or `")),
        );
    }

    /// A workload that does not select the pods it makes.
    fn selector(&mut self, pod: Option<&Node>) {
        if !matches!(
            self.document.kind.as_str(),
            "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet"
        ) {
            return;
        }
        let path = "spec.selector.matchLabels";
        let labels = pod.and_then(|pod| pod.lookup("metadata.labels"));
        let wanted = self.document.node.lookup(path).map_or(&[][..], Node::entries);
        for entry in wanted {
            let Some(value) = entry.value.as_str() else { continue };
            let has = labels.and_then(|labels| labels.get(&entry.key)).and_then(Node::as_str);
            if has == Some(value) || value.contains('$') {
                continue;
            }
            let message = format!(
                "the {} selects pods with `{}: {value}`, and its own have {}: it is refused",
                self.document.kind,
                entry.key,
                has.map_or_else(|| "no such label".to_owned(), |has| format!("`{has}`"))
            );
            let fix = "write the same in `selector.matchLabels` and in `template.metadata.labels`".to_owned();
            self.say(
                "selector-mismatch",
                entry.value.place,
                &join(path, &entry.key),
                message,
                fix,
            );
        }
    }

    fn schedule(&mut self) {
        if self.document.kind != "CronJob" {
            return;
        }
        let Some((node, text)) = self
            .document
            .node
            .lookup("spec.schedule")
            .and_then(|node| Some((node, node.as_str()?)))
        else {
            return;
        };
        if text.contains(['$', '{']) {
            return;
        }
        if let Err(wrong) = Schedule::parse(text, "UTC") {
            let fix = "write five fields, or @daily, @hourly, @every 1h".to_owned();
            self.say("bad-schedule", node.place, "spec.schedule", wrong.to_string(), fix);
        }
    }
}

fn one_of(text: &str, values: &[&str]) -> String {
    match nearest(text, values.iter().copied()) {
        Some(near) => format!("write `{near}`"),
        None => format!("write one of {}", values.join(", ")),
    }
}

fn rooted(path: &str, rest: &str) -> String {
    match rest {
        "" => path.to_owned(),
        rest if rest.starts_with('[') => format!("{path}{rest}"),
        rest => format!("{path}.{rest}"),
    }
}

/// Names of the volumes of a pod, or of our spec.
fn volumes(of: &Node) -> Vec<&str> {
    let all = of.get("volumes").map_or(&[][..], Node::items).iter();
    all.filter_map(|volume| volume.get("name")?.as_str()).collect()
}

/// The name of a volume that a key of Spark brings.
fn of_conf(key: &str) -> Option<&str> {
    let rest = key.strip_prefix("spark.kubernetes.")?;
    let rest = rest
        .strip_prefix("driver.volumes.")
        .or_else(|| rest.strip_prefix("executor.volumes."))?;
    rest.split('.').nth(1)
}

#[cfg(test)]
mod tests;
