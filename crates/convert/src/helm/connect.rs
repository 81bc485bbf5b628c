//! The server and its executors.

use serde_json::{Map, Value, json};
use stoke_model::manifest::{Node, join, refused_spark_conf};
use stoke_model::names;
use stoke_submit::argv::spark_version_of_image;

use super::blank::is_secret;
use super::executors::{driver_memory, whole_cores};
use super::values::{Scalar, Values};
use crate::Options;
use crate::report::Report;

/// Keys that are carried; what a misspelt one is compared with.
pub(super) const KNOWN: [&str; 34] = [
    "connect.enabled",
    "connect.replicas",
    "connect.image.repository",
    "connect.image.tag",
    "connect.image.pullPolicy",
    "connect.service.type",
    "connect.service.port",
    "connect.resources",
    "connect.backendMode",
    "connect.driver.host",
    "connect.driver.port",
    "connect.driver.blockManagerPort",
    "connect.executor.cores",
    "connect.executor.coresLimit",
    "connect.executor.memory",
    "connect.executor.memoryLimit",
    "connect.executor.memoryOverhead",
    "connect.executor.gpu.enabled",
    "connect.executor.gpu.count",
    "connect.dynamicAllocation.enabled",
    "connect.dynamicAllocation.minExecutors",
    "connect.dynamicAllocation.maxExecutors",
    "connect.dynamicAllocation.initialExecutors",
    "connect.eventLog.enabled",
    "connect.eventLog.dir",
    "connect.sparkConf",
    "connect.nodeSelector",
    "connect.tolerations",
    "global.s3.endpoint",
    "global.s3.accessKey",
    "global.s3.secretKey",
    "global.s3.existingSecret",
    "hiveMetastore.uri",
    "celeborn.masterEndpoints",
];

/// The server in the making.
pub(super) struct Server {
    pub(super) name: String,
    namespace: Option<String>,
    /// Spark's version, when it is known.
    pub(super) version: Option<String>,
    pub(super) conf: Map<String, Value>,
    pub(super) packages: Vec<String>,
    pub(super) server: Map<String, Value>,
    pub(super) executor: Map<String, Value>,
    image: Option<String>,
    pub(super) allocation: Map<String, Value>,
}

/// The server of an environment; none where the chart renders none.
pub(super) fn convert(
    values: &Values<'_>,
    environment: Option<&str>,
    options: &Options,
    report: &mut Report,
) -> Option<Server> {
    if let Some(enabled) = values.text("connect.enabled")
        && enabled.text != "true"
    {
        report.idle(
            enabled.place,
            &enabled.path,
            "the server is not rendered: `connect.enabled` is not true",
            "",
        );
        values.take("connect");
        values.take("environments");
        return None;
    }
    let base = options.name.clone().unwrap_or_else(|| "connect".to_owned());
    let name = environment.map_or_else(|| base.clone(), |environment| format!("{base}-{environment}"));
    let mut server = Server {
        name,
        namespace: options.namespace.clone(),
        version: options
            .spark_version
            .as_ref()
            .map(|version| version.as_str().to_owned()),
        conf: Map::new(),
        packages: Vec::new(),
        server: Map::new(),
        executor: Map::new(),
        image: None,
        allocation: Map::new(),
    };
    if let Err(error) = names::check_dns_1035(&server.name) {
        let message = format!("`{}` cannot name a SparkConnect: {error}", server.name);
        report.lost(
            values.place("environments"),
            "environments",
            message,
            "rename the environment, or give a name with --name",
        );
        return None;
    }
    server.image(values, report);
    // What an environment says wins, key by key.
    let mut roots = vec!["connect".to_owned()];
    if let Some(environment) = environment {
        let root = join("environments", environment);
        let inner = join(&root, "connect");
        roots.insert(0, root);
        roots.insert(0, inner);
    }
    let at = |key: &str| roots.iter().map(|root| format!("{root}.{key}")).collect::<Vec<_>>();
    server.replicas(values, &at("replicas"), report);
    server.resources(values, &at("resources"), report);
    server.backend(values, report);
    server.executors(values, &roots, report);
    server.allocation(values, &at("dynamicAllocation"), report);
    server.service(values, report);
    if values.flag("connect.eventLog.enabled") {
        server.set("spark.eventLog.enabled", "true");
        match values.text("connect.eventLog.dir") {
            Some(dir) => server.set("spark.eventLog.dir", &dir.text),
            None => report.lost(
                values.place("connect.eventLog"),
                "connect.eventLog.dir",
                "the event log is on and has no directory",
                "add `dir: s3a://…`",
            ),
        }
    } else if let Some(dir) = values.text("connect.eventLog.dir") {
        report.idle(
            dir.place,
            &dir.path,
            "the event log is off: its directory did nothing in the kit",
            "add `enabled: true`",
        );
    }
    let mut settings = vec!["sparkConf".to_owned()];
    settings.extend(at("sparkConf").into_iter().rev());
    for path in settings {
        server.settings(values, &path, report);
    }
    server.pods(values);
    Some(server)
}

impl Server {
    pub(super) fn set(&mut self, key: &str, value: &str) {
        self.conf.insert(key.to_owned(), json!(value));
    }

    fn image(&mut self, values: &Values<'_>, report: &mut Report) {
        let root = ["connect.image", "image"]
            .into_iter()
            .find(|path| values.look(path).is_some());
        let Some(root) = root else { return };
        let part = |key: &str| values.text(&format!("{root}.{key}"));
        let image = match values.text(root) {
            Some(whole) => Some(whole.text),
            None => part("repository").map(|repository| {
                let registry = part("registry").map_or(String::new(), |registry| format!("{}/", registry.text));
                let tag = part("tag").map_or(String::new(), |tag| format!(":{}", tag.text));
                format!("{registry}{}{tag}", repository.text)
            }),
        };
        if let Some(policy) = part("pullPolicy").filter(|policy| policy.text != "IfNotPresent") {
            report.changed(
                policy.place,
                &policy.path,
                "a SparkConnect has no pull policy: it is a key of Spark",
                "",
            );
            self.set("spark.kubernetes.container.image.pullPolicy", &policy.text);
        }
        if self.version.is_none() {
            let of_image = image.as_deref().and_then(spark_version_of_image);
            self.version = of_image.map(|version| version.as_str().to_owned());
        }
        self.image = image;
    }

    fn replicas(&mut self, values: &Values<'_>, paths: &[String], report: &mut Report) {
        let all: Vec<Scalar> = paths.iter().filter_map(|path| values.text(path)).collect();
        if let Some(replicas) = all.first()
            && replicas.text.parse::<u32>().is_ok_and(|count| count > 1)
        {
            let message = format!(
                "{} servers behind one service do not share sessions: a client that reaches another one than before loses its session. One server is made",
                replicas.text
            );
            report.changed(
                replicas.place,
                &replicas.path,
                message,
                "make a SparkConnect for each team, with --name",
            );
        }
    }

    fn resources(&mut self, values: &Values<'_>, paths: &[String], report: &mut Report) {
        for path in paths.iter().rev() {
            let quantity = |key: &str| values.text(&format!("{path}.{key}"));
            if let Some(cpu) = quantity("requests.cpu") {
                match whole_cores(&cpu.text) {
                    Ok(cores) => {
                        self.server.insert("cores".to_owned(), json!(cores));
                        if format!("{cores}") != cpu.text {
                            report.changed(
                                cpu.place,
                                &cpu.path,
                                format!("{} becomes {cores} cores: Spark counts whole ones", cpu.text),
                                "",
                            );
                        }
                    }
                    Err((message, fix)) => report.lost(cpu.place, &cpu.path, message, fix),
                }
            }
            if let Some(cpu) = quantity("limits.cpu") {
                self.server.insert("coreLimit".to_owned(), json!(cpu.text));
            }
            let requested = quantity("requests.memory");
            let limit = quantity("limits.memory");
            if let (Some(requested), Some(limit)) = (&requested, &limit)
                && requested.text != limit.text
            {
                let message = format!(
                    "a driver's memory is requested and limited alike: {} is left out for {}",
                    requested.text, limit.text
                );
                report.changed(requested.place, &requested.path, message, "");
            }
            let Some(total) = limit.or(requested) else { continue };
            match driver_memory(&total.text) {
                Ok((heap, overhead)) => {
                    self.server.insert("memory".to_owned(), json!(format!("{heap}m")));
                    self.server
                        .insert("memoryOverhead".to_owned(), json!(format!("{overhead}m")));
                    let message = format!(
                        "{} of the container become {heap}m of heap and {overhead}m outside of it; in the kit the heap was Spark's 1g",
                        total.text
                    );
                    report.changed(total.place, &total.path, message, "");
                }
                Err((message, fix)) => report.lost(total.place, &total.path, message, fix),
            }
        }
    }

    fn backend(&mut self, values: &Values<'_>, report: &mut Report) {
        if let Some(mode) = values.text("connect.backendMode")
            && !matches!(mode.text.as_str(), "k8s" | "kubernetes")
        {
            let message = format!(
                "`{}`: a standalone cluster has no counterpart; the server makes its executors itself",
                mode.text
            );
            report.changed(mode.place, &mode.path, message, "");
        }
        if let Some(host) = values.text("connect.driver.host") {
            report.idle(
                host.place,
                &host.path,
                "the operator sets the driver's address, that of its service",
                "leave it out",
            );
        }
        for (key, setting, default) in [
            ("connect.driver.port", "spark.driver.port", "7078"),
            (
                "connect.driver.blockManagerPort",
                "spark.driver.blockManager.port",
                "7079",
            ),
        ] {
            if let Some(port) = values.text(key).filter(|port| port.text != default) {
                self.set(setting, &port.text);
            }
        }
    }

    fn service(&mut self, values: &Values<'_>, report: &mut Report) {
        if let Some(port) = values.text("connect.service.port").filter(|port| port.text != "15002") {
            self.set("spark.connect.grpc.binding.port", &port.text);
        }
        if let Some(kind) = values
            .text("connect.service.type")
            .filter(|kind| kind.text != "ClusterIP")
        {
            if matches!(kind.text.as_str(), "NodePort" | "LoadBalancer") {
                self.server.insert(
                    "service".to_owned(),
                    json!({"metadata": {}, "spec": {"type": kind.text}}),
                );
            } else {
                report.lost(
                    kind.place,
                    &kind.path,
                    format!("{} is not a type of a service that clients reach", kind.text),
                    "write ClusterIP, NodePort or LoadBalancer",
                );
            }
        }
    }

    fn settings(&mut self, values: &Values<'_>, path: &str, report: &mut Report) {
        let Some(node) = values.take(path) else { return };
        for entry in node.entries() {
            let path = join(path, &entry.key);
            let place = values.place(&path);
            if is_secret(&entry.key) {
                if !self.store_secret(&entry.key) {
                    let message = format!(
                        "{} is a secret in plain text; its value is not carried and not shown",
                        entry.key
                    );
                    report.lost(
                        place,
                        &path,
                        message,
                        "keep it in a Secret, and name that in `server.envSecretKeyRefs`",
                    );
                } else {
                    report.changed(
                        place,
                        &path,
                        format!(
                            "{} is a secret in plain text: the server takes it from the Secret `{}-s3`",
                            entry.key, self.name
                        ),
                        &self.secret_command(),
                    );
                }
                continue;
            }
            let text = match scalar(&entry.value) {
                Some(text) => text,
                None => {
                    report.lost(
                        place,
                        &path,
                        format!("the value of {} is not a single one", entry.key),
                        "write a text",
                    );
                    continue;
                }
            };
            if !entry.key.starts_with("spark.") {
                report.idle(
                    place,
                    &path,
                    format!("Spark ignores `{}`: its keys begin with `spark.`", entry.key),
                    "leave it out",
                );
                continue;
            }
            match refused_spark_conf(&entry.key, &text, self.namespace.as_deref()) {
                Some(why) => report.lost(place, &path, why, "convert it by hand, as the message says"),
                None if entry.key == "spark.master" => {
                    report.idle(place, &path, "the operator knows its own cluster", "leave it out")
                }
                None => self.set(&entry.key, &text),
            }
        }
    }

    /// Takes a key of S3 from a Secret; false for any other secret.
    pub(super) fn store_secret(&mut self, key: &str) -> bool {
        let lower = key.to_ascii_lowercase();
        let (variable, name) = if lower.ends_with("access.key") || lower.ends_with("accesskey") {
            ("AWS_ACCESS_KEY_ID", "access-key")
        } else if lower.ends_with("secret.key") || lower.ends_with("secretkey") {
            ("AWS_SECRET_ACCESS_KEY", "secret-key")
        } else {
            return false;
        };
        let secret = format!("{}-s3", self.name);
        self.secret_variable(variable, &secret, name);
        true
    }

    pub(super) fn secret_variable(&mut self, variable: &str, secret: &str, key: &str) {
        for pod in [&mut self.server, &mut self.executor] {
            let all = pod.entry("envSecretKeyRefs").or_insert_with(|| json!({}));
            all[variable] = json!({"name": secret, "key": key});
        }
    }

    /// How the Secret is made.
    pub(super) fn secret_command(&self) -> String {
        format!(
            "kubectl create secret generic {}-s3 --from-file=access-key=FILE --from-file=secret-key=FILE, and take the value out of the file",
            self.name
        )
    }

    fn pods(&mut self, values: &Values<'_>) {
        for (path, field) in [
            ("connect.nodeSelector", "nodeSelector"),
            ("connect.tolerations", "tolerations"),
        ] {
            if let Some(node) = values.take(path).filter(|node| !Report::is_empty(node)) {
                self.server.insert(field.to_owned(), node.to_value());
                self.executor.insert(field.to_owned(), node.to_value());
            }
        }
        if let Some(account) = values.text("rbac.serviceAccountName") {
            self.server.insert("serviceAccount".to_owned(), json!(account.text));
        }
        let mut pod = Map::new();
        for key in ["runAsUser", "runAsGroup", "fsGroup"] {
            if let Some(id) = values
                .text(&format!("security.{key}"))
                .and_then(|id| id.text.parse::<i64>().ok())
            {
                pod.insert(key.to_owned(), json!(id));
            }
        }
        let mut container = Map::new();
        if values.flag("security.readOnlyRootFilesystem") {
            container.insert("readOnlyRootFilesystem".to_owned(), json!(true));
        }
        for (field, map) in [("podSecurityContext", pod), ("securityContext", container)] {
            if !map.is_empty() {
                self.server.insert(field.to_owned(), Value::Object(map.clone()));
                self.executor.insert(field.to_owned(), Value::Object(map));
            }
        }
    }

    /// The object.
    pub(super) fn finish(&mut self, values: &Values<'_>, report: &mut Report) -> Value {
        let mut spec = Map::new();
        match &self.version {
            Some(version) => {
                spec.insert("sparkVersion".to_owned(), json!(version));
            }
            None => report.lost(
                values.place("connect.image"),
                "connect.image.tag",
                "neither the values nor the image's tag says which Spark it runs",
                "give it with --spark, for example --spark 4.1.4",
            ),
        }
        if let Some(image) = &self.image {
            spec.insert("image".to_owned(), json!(image));
        }
        self.conf.sort_keys();
        spec.insert("sparkConf".to_owned(), Value::Object(std::mem::take(&mut self.conf)));
        if !self.packages.is_empty() {
            spec.insert("deps".to_owned(), json!({"packages": self.packages}));
        }
        if !self.allocation.is_empty() {
            spec.insert(
                "dynamicAllocation".to_owned(),
                Value::Object(std::mem::take(&mut self.allocation)),
            );
        }
        spec.insert("server".to_owned(), Value::Object(std::mem::take(&mut self.server)));
        spec.insert("executor".to_owned(), Value::Object(std::mem::take(&mut self.executor)));
        let mut metadata = json!({"name": self.name});
        if let Some(namespace) = &self.namespace {
            metadata["namespace"] = json!(namespace);
        }
        json!({"apiVersion": format!("{}/v1alpha1", names::GROUP), "kind": "SparkConnect", "metadata": metadata, "spec": spec})
    }
}

fn scalar(node: &Node) -> Option<String> {
    match node.to_value() {
        Value::String(text) => Some(text),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
