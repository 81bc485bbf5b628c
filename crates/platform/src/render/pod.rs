//! Pods as the security profile wants them, and the Deployments and StatefulSets that run them.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{LABEL_USES, Reached, Scope, secret_variable, variable};
use crate::component::About;
use crate::spec::components::ObjectStore;
use crate::spec::{Resources, Run, Security, Storage};
use crate::store::volume;

/// Annotation of pods: what their configuration is, so that they start again when it changes.
const CONFIG: &str = "platform.stoke.dev/config";

/// What a pod of a component is made of.
#[derive(Clone, Debug, Default)]
pub struct Pod {
    pub image: String,
    pub command: Vec<String>,
    pub args: Vec<String>,
    pub env: Vec<Value>,
    /// Name and number.
    pub ports: Vec<(&'static str, u16)>,
    /// How health is asked for, without times.
    pub probe: Value,
    /// Seconds between two questions.
    pub period: u32,
    pub init: Vec<Value>,
    /// Further containers, with the same security.
    pub beside: Vec<Value>,
    pub volumes: Vec<Value>,
    pub mounts: Vec<Value>,
    /// What makes pods start again when it changes.
    pub config: String,
    /// Whether it speaks to the API server.
    pub token: bool,
    /// Seconds it is given to end.
    pub grace: u32,
    /// Which of a component's programs it is, where there are several.
    pub role: &'static str,
    /// Further labels.
    pub labels: Vec<(&'static str, &'static str)>,
}

/// The label of a component's program, where there are several.
const ROLE: &str = "app.kubernetes.io/component";

/// Labels by which the pods of one program are found.
fn selector(name: &str, role: &str, scope: &Scope<'_>) -> Value {
    let mut labels = scope.selector(name);
    if !role.is_empty() {
        labels[ROLE] = json!(role);
    }
    labels
}

/// The name of what runs a program.
fn named(name: &str, role: &str) -> String {
    if role.is_empty() {
        name.to_owned()
    } else {
        format!("{name}-{role}")
    }
}

/// The image of a component: what the file says, else the project's; with the digest it must have.
#[must_use]
pub fn image(run: &Run, usual: &str) -> String {
    let image = run.image.as_deref().unwrap_or(usual);
    match &run.digest {
        Some(digest) => format!("{image}@{digest}"),
        None => image.to_owned(),
    }
}

/// Resources of a container.
fn resources(given: Option<&Resources>, usual: (&str, &str)) -> Value {
    let given = given.cloned().unwrap_or_default();
    let cpu = given.cpu.map_or_else(|| json!(usual.0), |cpu| json!(cpu));
    let memory = given.memory.map_or_else(|| json!(usual.1), |memory| json!(memory));
    let mut limits = json!({"memory": memory});
    if let Some(cpu) = given.cpu_limit {
        limits["cpu"] = json!(cpu);
    }
    json!({"requests": {"cpu": cpu, "memory": memory}, "limits": limits})
}

/// The security context of a container.
fn container_security(security: Security) -> Value {
    match security {
        Security::Baseline => json!({}),
        Security::Restricted | Security::Openshift => {
            json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}})
        }
    }
}

/// The security context of a pod, where its images run as `user`.
fn pod_security(security: Security, user: i64) -> Value {
    let seccomp = json!({"type": "RuntimeDefault"});
    match security {
        Security::Baseline => json!({"fsGroup": user, "seccompProfile": seccomp}),
        Security::Restricted => {
            json!({"runAsNonRoot": true, "runAsUser": user, "runAsGroup": user, "fsGroup": user, "seccompProfile": seccomp})
        }
        Security::Openshift => json!({"runAsNonRoot": true, "seccompProfile": seccomp}),
    }
}

impl Pod {
    /// What a store is asked with: variables, and a file where its login is one.
    pub fn ask(&mut self, store: &ObjectStore) {
        self.env.extend(store.variables());
        self.labels.extend(store.pod_label());
        if let Some((key, path)) = store.mounted() {
            self.volumes.push(volume(key));
            self.mounts
                .push(json!({"name": "google", "mountPath": path, "readOnly": true}));
        }
    }

    /// A volume with the files of a ConfigMap at a path.
    pub fn mount_config(&mut self, map: &str, path: &str) {
        self.volumes.push(json!({"name": "config", "configMap": {"name": map}}));
        self.mounts
            .push(json!({"name": "config", "mountPath": path, "readOnly": true}));
    }

    /// The files of a ConfigMap below a path, each by itself, without the links of a mounted directory.
    pub fn mount_files<'a>(&mut self, map: &str, files: impl IntoIterator<Item = &'a String>, path: &str) {
        self.volumes.push(json!({"name": "config", "configMap": {"name": map}}));
        self.mounts.extend(files.into_iter().map(
            |file| json!({"name": "config", "mountPath": format!("{path}/{file}"), "subPath": file, "readOnly": true}),
        ));
    }

    /// An empty directory at a path.
    pub fn mount_empty(&mut self, name: &str, path: &str) {
        self.volumes.push(json!({"name": name, "emptyDir": {}}));
        self.mounts.push(json!({"name": name, "mountPath": path}));
    }

    /// Makes the database before anything else runs; it also waits for the server.
    pub fn make_database(&mut self, reached: &Reached<'_>) {
        let name = &reached.database;
        let script = format!(
            "psql -d postgres -tAc \"SELECT 1 FROM pg_database WHERE datname = '{name}'\" | grep -q 1 || psql -d postgres -c 'CREATE DATABASE \"{name}\"'"
        );
        self.init.push(
            json!({"name": "database", "image": reached.image, "command": ["sh", "-ec", script], "env": [
                variable("PGHOST", &reached.host),
                variable("PGPORT", reached.port.to_string()),
                secret_variable("PGUSER", &reached.login.secret, &reached.login.user),
                secret_variable("PGPASSWORD", &reached.login.secret, &reached.login.password),
            ]}),
        );
    }

    /// The template of pods.
    fn template(self, name: &str, run: &Run, about: &About, scope: &Scope<'_>) -> Value {
        let security = scope.platform.security;
        let user = about.user;
        let mut labels = selector(name, self.role, scope);
        labels["app.kubernetes.io/name"] = json!(about.kind);
        for (key, value) in &self.labels {
            labels[*key] = json!(value);
        }
        for used in scope
            .component(name)
            .map(|component| scope.uses(name, component))
            .unwrap_or_default()
        {
            labels[format!("{LABEL_USES}{used}")] = json!("true");
        }
        let ports: Vec<Value> = self
            .ports
            .iter()
            .map(|(name, port)| json!({"name": name, "containerPort": port}))
            .collect();
        let probe = |failures: u32| {
            let mut probe = self.probe.clone();
            probe["periodSeconds"] = json!(self.period);
            probe["timeoutSeconds"] = json!(self.period);
            probe["failureThreshold"] = json!(failures);
            probe
        };
        let mut main = json!({
            "name": about.kind, "image": self.image, "imagePullPolicy": "IfNotPresent", "env": self.env, "ports": ports,
            "startupProbe": probe(60), "readinessProbe": probe(3),
            "resources": resources(run.resources.as_ref(), about.usual), "volumeMounts": self.mounts,
        });
        if !self.command.is_empty() {
            main["command"] = json!(self.command);
        }
        if !self.args.is_empty() {
            main["args"] = json!(self.args);
        }
        let mut containers = vec![main];
        containers.extend(self.beside);
        let mut init = self.init;
        for container in containers.iter_mut().chain(&mut init) {
            let context = container_security(security);
            if context.as_object().is_some_and(|context| !context.is_empty()) {
                container["securityContext"] = context;
            }
            if container["resources"].is_null() {
                container["resources"] = resources(run.resources.as_ref(), about.usual);
            }
        }
        let mut spec = json!({
            "serviceAccountName": name, "automountServiceAccountToken": self.token, "enableServiceLinks": false,
            "terminationGracePeriodSeconds": self.grace, "securityContext": pod_security(security, user),
            "containers": containers,
        });
        if !init.is_empty() {
            spec["initContainers"] = json!(init);
        }
        if !self.volumes.is_empty() {
            spec["volumes"] = json!(self.volumes);
        }
        if let Some(nodes) = run.nodes.as_ref().and_then(|nodes| scope.platform.nodes.get(nodes)) {
            spec["nodeSelector"] = json!(nodes.labels);
            spec["tolerations"] = tolerations(&nodes.taints);
        }
        let mut metadata = json!({"labels": labels});
        if !self.config.is_empty() {
            metadata["annotations"] = json!({CONFIG: short_digest(&self.config)});
        }
        json!({"metadata": metadata, "spec": spec})
    }
}

/// `key=value` and `key` as tolerations.
#[must_use]
pub fn tolerations(taints: &[String]) -> Value {
    let toleration = |taint: &String| match taint.split_once('=') {
        Some((key, value)) => json!({"key": key, "operator": "Equal", "value": value}),
        None => json!({"key": taint, "operator": "Exists"}),
    };
    taints.iter().map(toleration).collect()
}

/// Sixteen hexadecimal digits that say what a text is.
fn short_digest(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Pods that are alike and keep nothing.
#[must_use]
pub fn deployment(name: &str, replicas: i32, run: &Run, about: &About, pod: Pod, scope: &Scope<'_>) -> Vec<Value> {
    let (object, selector) = (named(name, pod.role), selector(name, pod.role, scope));
    let template = pod.template(name, run, about, scope);
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": object},
        "spec": {"replicas": replicas, "selector": {"matchLabels": selector}, "template": template}});
    std::iter::once(deployment)
        .chain(budget(&object, replicas, &selector))
        .collect()
}

/// Pods with names and volumes of their own. The volumes stay when a pod goes.
#[must_use]
pub fn stateful_set(
    name: &str,
    replicas: i32,
    run: &Run,
    about: &About,
    pod: Pod,
    volume: Volume<'_>,
    scope: &Scope<'_>,
) -> Vec<Value> {
    let mut pod = pod;
    pod.mounts.push(json!({"name": "data", "mountPath": volume.path}));
    let (object, selector) = (named(name, pod.role), selector(name, pod.role, scope));
    let template = pod.template(name, run, about, scope);
    let storage = volume.storage.cloned().unwrap_or_default();
    let size = storage.size.map_or_else(|| json!(volume.usual), |size| json!(size));
    let mut claim = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}});
    if let Some(class) = &storage.class {
        claim["storageClassName"] = json!(class);
    }
    let mut labels = scope.selector(name);
    labels[super::LABEL_ENVIRONMENT] = json!(scope.environment);
    let set = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": object}, "spec": {
        "replicas": replicas, "serviceName": volume.service, "podManagementPolicy": "Parallel",
        "selector": {"matchLabels": selector}, "template": template,
        "volumeClaimTemplates": [{"apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data", "labels": labels}, "spec": claim}],
    }});
    std::iter::once(set)
        .chain(budget(&object, replicas, &selector))
        .collect()
}

/// The volume of each pod of a StatefulSet.
#[derive(Clone, Copy, Debug)]
pub struct Volume<'a> {
    pub storage: Option<&'a Storage>,
    /// Its size where none is said.
    pub usual: &'static str,
    pub path: &'static str,
    /// The Service that gives pods their names.
    pub service: &'a str,
}

/// One pod at most is moved at a time.
fn budget(name: &str, replicas: i32, selector: &Value) -> Option<Value> {
    (replicas > 1).then(|| {
        json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name},
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": selector}}})
    })
}

/// A Service in front of a component's pods.
#[must_use]
pub fn service(name: &str, ports: &[(&'static str, u16)], scope: &Scope<'_>) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"selector": scope.selector(name), "ports": service_ports(ports)}})
}

/// A Service that gives each pod a name, also before it is ready.
#[must_use]
pub fn headless(name: &str, of: &str, role: &str, ports: &[(&'static str, u16)], scope: &Scope<'_>) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"clusterIP": "None", "publishNotReadyAddresses": true, "selector": selector(of, role, scope), "ports": service_ports(ports)}})
}

fn service_ports(ports: &[(&'static str, u16)]) -> Value {
    ports
        .iter()
        .map(|(name, port)| json!({"name": name, "port": port, "targetPort": name}))
        .collect()
}
