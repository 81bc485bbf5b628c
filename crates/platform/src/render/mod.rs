//! A platform in an environment becomes Kubernetes objects. Pure: the same file gives the same bytes.
//!
//! - [`pod`]: pods, and what runs them
//! - `network`: who reaches whom
//! - `outside`: what is reached from outside of the cluster
//! - [`secrets`]: Secrets out of stores and files
//! - [`tree`]: the objects as files: plain, for kustomize, Argo CD or Flux
//! - [`chart`]: the objects as a Helm chart
//!
//! Every object carries the labels of [`LABEL_PLATFORM`] and [`LABEL_ENVIRONMENT`]: what bears them is the platform's, and is removed when the file no longer names it.

pub mod chart;
mod network;
mod outside;
pub mod pod;
pub mod secrets;
pub mod tree;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::component::Gives;
use crate::encrypted::EncryptedFile;
use crate::spec::components::ObjectStore;
use crate::spec::{Component, Database, Login, Platform, Security, Spark};

/// Label: the platform that an object is of.
pub const LABEL_PLATFORM: &str = "platform.stoke.dev/name";
/// Label: the environment that an object is of.
pub const LABEL_ENVIRONMENT: &str = "platform.stoke.dev/environment";
/// Label of pods that use a component, followed by its name.
pub const LABEL_USES: &str = "platform.stoke.dev/uses-";
/// Annotation: objects with a smaller number are applied and ready first.
pub const WAVE: &str = "platform.stoke.dev/wave";
/// The environment of a file that is used as it stands.
pub const NO_ENVIRONMENT: &str = "default";
/// The service account of Spark's drivers.
pub const SPARK_ACCOUNT: &str = "spark";

/// A platform as it is in one environment. All references lead somewhere: the file was checked.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    pub platform: &'a Platform,
    pub environment: &'a str,
    /// Files with encrypted Secrets.
    pub encrypted: &'a [EncryptedFile],
}

/// A database, and how it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached<'a> {
    pub host: String,
    pub port: u16,
    pub database: String,
    pub login: &'a Login,
    /// The image with `psql`.
    pub image: String,
}

impl<'a> Scope<'a> {
    #[must_use]
    pub fn namespace(&self) -> &'a str {
        &self.platform.namespace
    }

    #[must_use]
    pub fn component(&self, name: &str) -> Option<&'a Component> {
        self.platform.components.get(name)
    }

    #[must_use]
    pub fn spark(&self, name: &str) -> Option<&'a Spark> {
        self.platform.sparks.get(name)
    }

    /// The object store of this name.
    #[must_use]
    pub fn store(&self, name: &str) -> Option<&'a ObjectStore> {
        match self.component(name)? {
            Component::ObjectStore(store) => Some(store),
            _ => None,
        }
    }

    /// The name of a component's Service in the whole cluster.
    #[must_use]
    pub fn host(&self, name: &str) -> String {
        let service = match self.component(name) {
            Some(Component::SparkConnect(_)) => stoke_model::names::connect_server(name),
            _ => name.to_owned(),
        };
        format!("{service}.{}.svc", self.namespace())
    }

    /// How a component reaches its database.
    #[must_use]
    pub fn database(&self, user: &str, database: &Database) -> Option<Reached<'a>> {
        let Some(Component::Postgresql(server)) = self.component(&database.component) else {
            return None;
        };
        let (host, port) = match &server.outside {
            Some(outside) => (outside.host.clone(), outside.port),
            None => (self.host(&database.component), 5432),
        };
        Some(Reached {
            host,
            port,
            // An identifier that needs no quotes.
            database: database.name.clone().unwrap_or_else(|| user.replace('-', "_")),
            login: &server.login,
            image: pod::image(&server.run, &format!("postgres:{}", server.version)),
        })
    }

    /// Labels by which the pods of a component are found.
    #[must_use]
    pub fn selector(&self, name: &str) -> Value {
        json!({"app.kubernetes.io/instance": name, LABEL_PLATFORM: self.platform.name})
    }

    /// How many components must be ready before this one.
    #[must_use]
    pub fn wave(&self, name: &str) -> usize {
        self.waves_of([name]).remove(name).unwrap_or(0)
    }

    /// The waves of some components, and of those that they wait for.
    fn waves_of<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> BTreeMap<String, usize> {
        fn depth(scope: &Scope<'_>, name: &str, left: usize, known: &mut BTreeMap<String, usize>) -> usize {
            if let Some(known) = known.get(name) {
                return *known;
            }
            let Some(component) = scope.component(name).filter(|_| left > 0) else {
                return 0;
            };
            let all = scope
                .uses(name, component)
                .into_iter()
                .chain(component.after().iter().cloned());
            let deepest = all
                .map(|other| 1 + depth(scope, &other, left - 1, known))
                .max()
                .unwrap_or(0);
            known.insert(name.to_owned(), deepest);
            deepest
        }
        let mut known = BTreeMap::new();
        for name in names {
            depth(self, name, self.platform.components.len(), &mut known);
        }
        // Secrets are there before the first of them.
        let first = usize::from(self.has_secrets());
        known.values_mut().for_each(|depth| *depth += first);
        known
    }

    /// All components with their waves, in the order in which they start.
    #[must_use]
    pub fn in_order(&self) -> Vec<(usize, &str)> {
        let names = || self.platform.components.keys().map(String::as_str);
        let waves = self.waves_of(names());
        let mut all: Vec<(usize, &str)> = names()
            .map(|name| (waves.get(name).copied().unwrap_or(0), name))
            .collect();
        all.sort_unstable();
        all
    }

    /// Components whose programs this one speaks to, by itself or through a catalog, each once.
    #[must_use]
    pub fn uses(&self, name: &str, component: &Component) -> Vec<String> {
        let mut all: Vec<String> = component.needs().iter().map(|need| need.component.to_owned()).collect();
        if let Component::SparkConnect(connect) = component {
            let of_spark = self.spark(&connect.spark).and_then(|spark| spark.catalog.clone());
            all.extend(connect.catalog.clone().or(of_spark));
        }
        // Spark reads the files of a catalog and of a history itself.
        if matches!(component, Component::SparkConnect(_)) {
            let through: Vec<String> = all
                .iter()
                .filter_map(|used| self.component(used))
                .filter(|used| {
                    used.about()
                        .gives
                        .iter()
                        .any(|gives| matches!(gives, Gives::Catalog | Gives::History))
                })
                .flat_map(|used| used.needs().into_iter().filter(|need| need.wants == Gives::Files))
                .map(|need| need.component.to_owned())
                .collect();
            all.extend(through);
        }
        all.sort();
        all.dedup();
        all.retain(|used| used != name);
        all
    }
}

/// The objects of a platform in an environment, in the order in which they are applied.
#[must_use]
pub fn objects(scope: &Scope<'_>) -> Vec<Value> {
    let mut all = vec![namespace(scope)];
    if needs_spark(scope) {
        all.extend(spark_account(scope));
    }
    all.extend(secrets::objects(scope));
    for (wave, name) in scope.in_order() {
        all.extend(of_component(scope, name, wave));
    }
    let external: Vec<String> = scope.external().into_iter().map(|secret| secret.name).collect();
    for object in &mut all {
        own(scope, object);
        secrets::restart(scope, &external, object);
    }
    all
}

/// The objects of one component.
fn of_component(scope: &Scope<'_>, name: &str, wave: usize) -> Vec<Value> {
    let Some(component) = scope.component(name) else {
        return Vec::new();
    };
    let mut objects = component.objects(name, scope);
    if component.runs() {
        if component.run().is_some() {
            objects.insert(0, account(scope, name, component));
        }
        objects.extend(network::policy(scope, name, component));
        objects.extend(outside::ways(scope, name, component));
        objects.extend(monitor(scope, name, component));
    }
    for object in &mut objects {
        let metadata = &mut object["metadata"];
        metadata["labels"]["app.kubernetes.io/instance"] = json!(name);
        metadata["labels"]["app.kubernetes.io/name"] = json!(component.about().kind);
        metadata["annotations"][WAVE] = json!(wave.to_string());
    }
    objects
}

/// Puts an object into the namespace, with the labels that all have.
fn own(scope: &Scope<'_>, object: &mut Value) {
    if object["kind"] != "Namespace" {
        object["metadata"]["namespace"] = json!(scope.namespace());
    }
    let labels = &mut object["metadata"]["labels"];
    labels["app.kubernetes.io/managed-by"] = json!("stoke");
    labels["app.kubernetes.io/part-of"] = json!(scope.platform.name);
    labels[LABEL_PLATFORM] = json!(scope.platform.name);
    labels[LABEL_ENVIRONMENT] = json!(scope.environment);
}

fn namespace(scope: &Scope<'_>) -> Value {
    let level = match scope.platform.security {
        Security::Baseline => "baseline",
        Security::Restricted | Security::Openshift => "restricted",
    };
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": scope.namespace(),
        "labels": {"pod-security.kubernetes.io/enforce": level}}})
}

fn needs_spark(scope: &Scope<'_>) -> bool {
    let submits = |component: &Component| matches!(component, Component::SparkConnect(_) | Component::Airflow(_));
    !scope.platform.sparks.is_empty() || scope.platform.components.values().any(submits)
}

/// The service account of drivers: each makes its executors, their Service, ConfigMap and volumes.
fn spark_account(scope: &Scope<'_>) -> Vec<Value> {
    let mut account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": SPARK_ACCOUNT}});
    let stores = scope.platform.components.values();
    let stores = stores.filter_map(|component| match component {
        Component::ObjectStore(store) => Some(store),
        _ => None,
    });
    acts_for(&mut account, stores);
    let all = [
        "create",
        "get",
        "list",
        "watch",
        "update",
        "patch",
        "delete",
        "deletecollection",
    ];
    vec![
        account,
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": SPARK_ACCOUNT},
            "rules": [{"apiGroups": [""], "resources": ["pods", "services", "configmaps", "persistentvolumeclaims"], "verbs": all}]}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": SPARK_ACCOUNT},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": SPARK_ACCOUNT},
            "subjects": [{"kind": "ServiceAccount", "name": SPARK_ACCOUNT, "namespace": scope.namespace()}]}),
    ]
}

/// The service account of a component.
fn account(scope: &Scope<'_>, name: &str, component: &Component) -> Value {
    let mut account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}});
    let stores = component.needs().into_iter().filter(|need| need.wants == Gives::Files);
    acts_for(&mut account, stores.filter_map(|need| scope.store(need.component)));
    account
}

/// Lets a service account ask stores as someone: of each cloud as the first.
fn acts_for<'a>(account: &mut Value, stores: impl Iterator<Item = &'a ObjectStore>) {
    for (key, value) in stores.flat_map(ObjectStore::identity) {
        let annotations = &mut account["metadata"]["annotations"];
        if annotations[key].is_null() {
            annotations[key] = json!(value);
        }
    }
}

/// A monitor of the Prometheus Operator, where a component has metrics.
fn monitor(scope: &Scope<'_>, name: &str, component: &Component) -> Option<Value> {
    let (port, path) = component.about().metrics.filter(|_| scope.platform.monitors)?;
    Some(
        json!({"apiVersion": "monitoring.coreos.com/v1", "kind": "PodMonitor", "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": scope.selector(name)}, "podMetricsEndpoints": [{"port": port, "path": path}]}}),
    )
}

/// A variable with a value.
#[must_use]
pub fn variable(name: &str, value: impl AsRef<str>) -> Value {
    json!({"name": name, "value": value.as_ref()})
}

/// A variable out of a Secret.
#[must_use]
pub fn secret_variable(name: &str, secret: &str, key: &str) -> Value {
    json!({"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}})
}

/// A ConfigMap of files.
#[must_use]
pub fn config_map(name: &str, files: &BTreeMap<String, String>) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": files})
}
