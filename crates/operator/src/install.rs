//! What a cluster must hold for the operator to run in it, as objects. Pure.
//!
//! In: [`Options`], which are the values of the chart. Out: objects in the order in which they are applied. The chart and the
//! kustomization in `deploy` give the same objects; tests compare them. The rules are what a test has seen the operator use under real
//! RBAC, verb by verb, and no more.
//! - [`values`]: the chart's defaults, and values files laid over them
//! - [`published`]: what of the published chart's values has no effect here, and why
//! - `deployment`, `webhook`, `extras`, `console`: objects
//! - [`progress`]: what has become of them
//! - [`rules`]: what the operator and its drivers may do

mod console;
mod deployment;
mod extras;
pub mod progress;
pub mod published;
pub mod rules;
pub mod values;
mod webhook;

use serde_json::{Map, Value, json};

pub use rules::all_rules;
use rules::rules_of;
pub use values::Values;

/// What can be chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Name of the installation: helm's release.
    pub name: String,
    /// Namespace of the operator.
    pub namespace: String,
    /// Values of the chart.
    pub values: Values,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: "spark-operator".to_owned(),
            namespace: "spark-operator".to_owned(),
            values: Values::default(),
        }
    }
}

/// Where a name ends: others are made of it.
const LONGEST_NAME: usize = 40;
/// Registry and tag of the image are the chart's.
const IMAGE: &str = "stoke";

const RBAC: &str = "rbac.authorization.k8s.io/v1";
const COMPONENT: &str = "app.kubernetes.io/component";

impl Options {
    /// The same with one more value; `path` is dotted.
    #[must_use]
    pub fn with(mut self, path: &str, value: impl Into<Value>) -> Self {
        self.values.set(path, value.into());
        self
    }

    fn chart_name(&self) -> String {
        match self.values.text("nameOverride") {
            "" => "spark-operator".to_owned(),
            name => cut(name),
        }
    }

    /// What the names of all objects begin with.
    #[must_use]
    pub fn prefix(&self) -> String {
        let chart = self.chart_name();
        match self.values.text("fullnameOverride") {
            "" if self.name.contains(&chart) => cut(&self.name),
            "" => cut(&format!("{}-{chart}", self.name)),
            name => cut(name),
        }
    }

    fn named(&self, suffix: &str) -> String {
        format!("{}-{suffix}", self.prefix())
    }

    /// Name of the Deployment.
    #[must_use]
    pub fn controller(&self) -> String {
        self.named("controller")
    }

    fn account(&self) -> String {
        given_or(self.values.text("controller.serviceAccount.name"), || self.controller())
    }

    fn driver_account(&self) -> String {
        given_or(self.values.text("spark.serviceAccount.name"), || self.named("spark"))
    }

    /// The image; where a values file names the published operator's, ours.
    #[must_use]
    pub fn image(&self) -> String {
        let values = &self.values;
        let theirs = published::is_published("repositories", values.text("image.repository"));
        let registry = values.text("image.registry");
        let registry = match registry.trim_end_matches('/') {
            "" => String::new(),
            _ if theirs && published::is_published("registries", registry) => String::new(),
            registry => format!("{registry}/"),
        };
        let version = env!("CARGO_PKG_VERSION");
        if theirs {
            return format!("{registry}{IMAGE}:{version}");
        }
        let tag = given_or(values.text("image.tag"), || version.to_owned());
        format!("{registry}{}:{tag}", values.text("image.repository"))
    }

    /// Names an image as one text.
    pub fn set_image(&mut self, image: &str) {
        let (repository, tag) = match image.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, tag),
            _ => (image, "latest"),
        };
        for (key, part) in [("registry", ""), ("repository", repository), ("tag", tag)] {
            self.values.set(&format!("image.{key}"), part.into());
        }
    }

    /// Operators side by side: as many as work or answer reviews; none when the controller is scaled to none.
    #[must_use]
    pub fn replicas(&self) -> u64 {
        let asked = self.values.number("controller.replicas");
        match self.values.is("webhook.enable") && asked > 0 {
            true => asked.max(self.values.number("webhook.replicas")),
            false => asked,
        }
    }

    /// Namespaces of applications by name; the empty name is all of them.
    fn job_namespaces(&self) -> Vec<&str> {
        self.values.texts("spark.jobNamespaces")
    }

    /// The labels of namespaces of applications as a text: the values may have an object.
    fn job_selector(&self) -> String {
        match self.values.get("spark.jobNamespaceSelector") {
            Value::String(text) => text.clone(),
            Value::Object(selector) => webhook::selector_text(selector),
            _ => String::new(),
        }
    }

    fn everywhere(&self) -> bool {
        let names = self.job_namespaces();
        names.contains(&"") || names.is_empty() && self.job_selector().is_empty()
    }

    fn selected(&self) -> bool {
        !self.everywhere() && !self.job_selector().is_empty()
    }

    fn judges(&self) -> bool {
        let list = |path: &str| !self.values.texts(path).is_empty();
        self.values.is("policies.configMaps") || list("policies.packs") || list("policies.directories")
    }

    fn labels(&self, component: &str) -> Map<String, Value> {
        let mut labels = self.values.map("commonLabels");
        labels.extend(self.selector());
        labels.insert(COMPONENT.to_owned(), component.into());
        labels.insert("app.kubernetes.io/version".to_owned(), env!("CARGO_PKG_VERSION").into());
        labels
    }

    /// By these the published operator's tools find it.
    fn selector(&self) -> Map<String, Value> {
        let labels = [
            ("app.kubernetes.io/name", self.chart_name()),
            ("app.kubernetes.io/instance", self.name.clone()),
            (COMPONENT, "controller".to_owned()),
        ];
        labels
            .map(|(key, value)| (key.to_owned(), value.into()))
            .into_iter()
            .collect()
    }
}

fn cut(name: &str) -> String {
    let name: String = name.chars().take(LONGEST_NAME).collect();
    name.strip_suffix('-').unwrap_or(&name).to_owned()
}

fn given_or(given: &str, otherwise: impl FnOnce() -> String) -> String {
    match given {
        "" => otherwise(),
        given => given.to_owned(),
    }
}

/// The value, unless it is empty.
fn filled(value: &Value) -> Option<&Value> {
    let empty = match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(truth) => !truth,
        Value::Number(number) => number.as_f64() == Some(0.0),
    };
    (!empty).then_some(value)
}

/// Rights in the making: roles and who has them.
struct Rights<'a> {
    options: &'a Options,
    objects: Vec<Value>,
}

/// Whom rights are for.
struct Grant<'a> {
    name: &'a str,
    namespace: Option<&'a str>,
    component: &'a str,
    /// Where the annotations of the objects are in the values.
    annotations: &'a str,
}

impl Rights<'_> {
    fn allow(&mut self, grant: &Grant<'_>, rules: Value, subject: &Value) {
        let (role, binding) = match grant.namespace {
            Some(_) => ("Role", "RoleBinding"),
            None => ("ClusterRole", "ClusterRoleBinding"),
        };
        let reference = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": role, "name": grant.name});
        let bodies = [
            (role, json!({ "rules": rules })),
            (binding, json!({"roleRef": reference, "subjects": [subject]})),
        ];
        for (kind, body) in bodies {
            let mut object = object(
                self.options,
                (RBAC, kind),
                grant.name,
                grant.namespace,
                grant.component,
                body,
            );
            annotate(&mut object, self.options.values.get(grant.annotations));
            self.objects.push(object);
        }
    }
}

/// The objects, without the CRDs.
#[must_use]
pub fn objects(options: &Options) -> Vec<Value> {
    let values = &options.values;
    let own = Some(options.namespace.as_str());
    let mut objects = vec![json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": options.namespace}})];
    if values.is("controller.serviceAccount.create") {
        objects.push(account(options, &options.account(), &options.namespace, "controller"));
    }
    let mut rights = Rights { options, objects };
    if values.is("controller.rbac.create") {
        rights_of_controller(&mut rights, own);
    }
    let spark = options.named("spark");
    let named: Vec<&str> = options
        .job_namespaces()
        .into_iter()
        .filter(|name| !name.is_empty())
        .collect();
    for namespace in &named {
        if values.is("spark.rbac.create") {
            let grant = Grant {
                name: &spark,
                namespace: Some(namespace),
                component: "controller",
                annotations: "spark.rbac.annotations",
            };
            let subject = subject(&options.driver_account(), namespace);
            rights.allow(&grant, rules_of(&rules::DRIVER_RULES), &subject);
        }
    }
    let mut objects = rights.objects;
    if values.is("spark.serviceAccount.create") {
        objects.extend(
            named
                .iter()
                .map(|namespace| account(options, &options.driver_account(), namespace, "spark")),
        );
    }
    objects.push(deployment::deployment(options));
    objects.extend(extras::objects(options));
    objects.extend(console::objects(options));
    if values.is("webhook.enable") {
        objects.extend(webhook::objects(options));
    }
    objects
}

fn rights_of_controller(rights: &mut Rights<'_>, own: Option<&str>) {
    let options = rights.options;
    let values = &options.values;
    let me = subject(&options.account(), &options.namespace);
    let controller = options.controller();
    let grant = |name: &str, namespace: Option<&str>, rights: &mut Rights<'_>, rules: Value| {
        let annotations = "controller.rbac.annotations";
        let grant = Grant {
            name,
            namespace,
            component: "controller",
            annotations,
        };
        rights.allow(&grant, rules, &me);
    };
    grant(
        &format!("{controller}-leases"),
        own,
        rights,
        rules_of(&rules::OWN_RULES),
    );
    if values.is("policies.configMaps") {
        grant(
            &format!("{controller}-policies"),
            own,
            rights,
            rules_of(&rules::POLICY_RULES),
        );
    }
    if values.is("webhook.enable") && values.is("webhook.rbac.create") {
        webhook::rights(rights, &me);
    }
    let mut job_rules = rules_of(&rules::RULES);
    if options.judges() {
        extend(&mut job_rules, rules_of(&rules::POLICY_JOB_RULES));
    }
    if values.is("webhook.enable") {
        extend(&mut job_rules, rules_of(&rules::JOB_RULES));
    }
    if options.selected() {
        extend(&mut job_rules, rules_of(&rules::NAMESPACE_RULES));
    }
    if options.everywhere() || options.selected() {
        return grant(&controller, None, rights, job_rules);
    }
    for namespace in options.job_namespaces() {
        grant(&controller, Some(namespace), rights, job_rules.clone());
    }
}

fn subject(account: &str, namespace: &str) -> Value {
    json!({"kind": "ServiceAccount", "name": account, "namespace": namespace})
}

/// A service account; `of` is where its values are.
fn account(options: &Options, name: &str, namespace: &str, of: &str) -> Value {
    let values = |key: &str| options.values.get(&format!("{of}.serviceAccount.{key}"));
    let body = json!({"automountServiceAccountToken": values("automountServiceAccountToken") == true});
    let mut account = object(
        options,
        ("v1", "ServiceAccount"),
        name,
        Some(namespace),
        "controller",
        body,
    );
    annotate(&mut account, values("annotations"));
    account
}

fn annotate(object: &mut Value, annotations: &Value) {
    if let Some(annotations) = filled(annotations) {
        object["metadata"]["annotations"] = annotations.clone();
    }
}

fn extend(rules: &mut Value, more: Value) {
    if let (Some(rules), Value::Array(more)) = (rules.as_array_mut(), more) {
        rules.extend(more);
    }
}

fn object(
    options: &Options,
    (api, kind): (&str, &str),
    name: &str,
    namespace: Option<&str>,
    component: &str,
    body: Value,
) -> Value {
    let labels = options.labels(component);
    let mut object = json!({"apiVersion": api, "kind": kind, "metadata": {"name": name, "labels": labels}});
    if let Some(namespace) = namespace {
        object["metadata"]["namespace"] = json!(namespace);
    }
    if let (Some(object), Value::Object(body)) = (object.as_object_mut(), body) {
        object.extend(body);
    }
    object
}

#[cfg(test)]
mod tests {
    use super::rules::{JOB_RULES, POLICY_JOB_RULES, RULES};
    use super::*;

    fn kinds(options: &Options) -> Vec<String> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let line = |object: &Value| {
            format!(
                "{} {} {}",
                text(&object["kind"]),
                text(&object["metadata"]["namespace"]),
                text(&object["metadata"]["name"])
            )
        };
        objects(options).iter().map(line).collect()
    }

    fn arguments(options: &Options) -> String {
        let objects = objects(options);
        let deployment = objects.iter().find(|object| object["kind"] == "Deployment").unwrap();
        deployment["spec"]["template"]["spec"]["containers"][0]["args"].to_string()
    }

    #[test]
    fn names_of_namespaces_need_no_right_in_the_cluster() {
        let options = Options::default()
            .with("spark.jobNamespaces", json!(["a", "b"]))
            .with("webhook.enable", false);
        let kinds = kinds(&options);
        assert!(
            kinds
                .iter()
                .all(|kind| !kind.contains("Cluster") && !kind.contains("webhook")),
            "{kinds:?}"
        );
        for needed in [
            "Role a spark-operator-controller",
            "RoleBinding b spark-operator-spark",
            "ServiceAccount b spark-operator-spark",
        ] {
            assert!(kinds.iter().any(|kind| kind == needed), "{needed}: {kinds:?}");
        }
        assert!(arguments(&options).contains("\"--namespaces=a,b\""));
    }

    #[test]
    fn all_namespaces_and_selected_ones_need_a_cluster_role() {
        let all = Options::default().with("spark.jobNamespaces", json!([""]));
        assert!(kinds(&all).contains(&"ClusterRole  spark-operator-controller".to_owned()));
        assert!(!arguments(&all).contains("--namespace"));
        let selected = Options::default()
            .with("spark.jobNamespaces", json!([]))
            .with("spark.jobNamespaceSelector", "spark=yes");
        let role = objects(&selected)
            .into_iter()
            .find(|object| object["kind"] == "ClusterRole" && object["metadata"]["name"] == "spark-operator-controller")
            .unwrap();
        let rules = role["rules"].as_array().unwrap();
        assert_eq!(rules.last().unwrap()["resources"], json!(["namespaces"]));
        assert_eq!(rules.len(), RULES.len() + POLICY_JOB_RULES.len() + JOB_RULES.len() + 1);
    }

    #[test]
    fn names_and_labels_together_mean_either() {
        let both = Options::default()
            .with("spark.jobNamespaces", json!(["a"]))
            .with("spark.jobNamespaceSelector", json!({"matchLabels": {"team": "x"}}));
        let said = arguments(&both);
        assert!(
            said.contains("--namespaces=a") && said.contains("--namespace-selector=team=x"),
            "{said}"
        );
        let kinds = kinds(&both);
        for needed in [
            "ClusterRole  spark-operator-controller",
            "ServiceAccount a spark-operator-spark",
            "Role a spark-operator-spark",
        ] {
            assert!(kinds.iter().any(|kind| kind == needed), "{needed}: {kinds:?}");
        }
    }

    #[test]
    fn the_webhook_needs_two_named_objects_of_the_cluster_and_no_more() {
        let of_cluster: Vec<Value> = objects(&Options::default())
            .into_iter()
            .filter(|object| object["kind"] == "ClusterRole")
            .collect();
        assert_eq!(of_cluster.len(), 1);
        for rule in of_cluster[0]["rules"].as_array().unwrap() {
            assert_eq!(rule["resourceNames"], json!(["spark-operator-webhook"]));
        }
        let published = [
            "MutatingWebhookConfiguration  spark-operator-webhook",
            "ValidatingWebhookConfiguration  spark-operator-webhook",
            "Service spark-operator spark-operator-webhook-svc",
        ];
        let kinds = kinds(&Options::default());
        assert!(
            published.iter().all(|name| kinds.contains(&(*name).to_owned())),
            "{kinds:?}"
        );
    }

    #[test]
    fn names_and_images_are_made_as_the_published_chart_makes_them() {
        let named = |name: &str, more: &[(&str, &str)]| {
            let options = Options {
                name: name.to_owned(),
                ..Options::default()
            };
            more.iter()
                .fold(options, |options, (key, value)| options.with(key, *value))
                .prefix()
        };
        assert_eq!(named("spark-operator", &[]), "spark-operator");
        assert_eq!(named("my-spark-operator-2", &[]), "my-spark-operator-2");
        assert_eq!(named("team", &[]), "team-spark-operator");
        assert_eq!(named("team", &[("nameOverride", "stoke")]), "team-stoke");
        assert_eq!(named("team", &[("fullnameOverride", "x")]), "x");
        let image = |parts: [&str; 3]| {
            let keys = ["image.registry", "image.repository", "image.tag"];
            let options = keys
                .iter()
                .zip(parts)
                .fold(Options::default(), |options, (key, part)| options.with(key, part));
            options.image()
        };
        let ours = concat!("stoke:", env!("CARGO_PKG_VERSION"));
        assert_eq!(image(["", "stoke", ""]), ours);
        assert_eq!(image(["r.example.com/x/", "s", "1"]), "r.example.com/x/s:1");
        assert_eq!(image(["ghcr.io", "kubeflow/spark-operator/controller", "2.4.0"]), ours);
        assert_eq!(
            image(["mirror.example.com", "kubeflow/spark-operator/controller", ""]),
            format!("mirror.example.com/{ours}")
        );
        for (text, expected) in [
            ("localhost:5000/stoke:1", "localhost:5000/stoke:1"),
            ("localhost:5000/stoke", "localhost:5000/stoke:latest"),
            ("r/stoke@sha256:abc", "r/stoke@sha256:abc"),
        ] {
            let mut options = Options::default();
            options.set_image(text);
            assert_eq!(options.image(), expected);
        }
    }

    #[test]
    fn every_operator_answers_reviews_so_there_are_as_many_as_the_webhook_asks_for() {
        let replicas = |controller: u64, webhook: u64, enabled: bool| {
            let options = Options::default()
                .with("controller.replicas", controller)
                .with("webhook.replicas", webhook)
                .with("webhook.enable", enabled);
            options.replicas()
        };
        assert_eq!((replicas(1, 3, true), replicas(1, 3, false)), (3, 1));
        assert_eq!((replicas(4, 3, true), replicas(0, 3, true)), (4, 0));
    }
}
