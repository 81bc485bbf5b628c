//! The rules an application must obey before it can be submitted, as far as its manifest alone can tell.
//!
//! Each rule is a function that looks at the tree and complains with the place. They run whatever else is wrong, so they take nothing
//! for granted about the types.

use crate::names;
use crate::units::people::counted;

use super::node::{Content, Node, join, join_index};
use super::{Document, nearest, refused_spark_conf};
use stoke_diagnostics::{Diagnostic, Severity};

/// Checks an application's spec, which lies at `path` (`spec`, or `spec.template` of a schedule).
pub(super) fn check(document: &Document, path: &str) -> Vec<Diagnostic> {
    let Some(spec) = document.node.lookup(path) else {
        return Vec::new();
    };
    let mut check = Check {
        document,
        path,
        spec,
        complaints: Vec::new(),
    };
    check.main();
    check.pull_policy();
    check.image();
    check.mode();
    check.node_selectors();
    check.driver_ingresses();
    check.restart_policy();
    check.dynamic_allocation();
    check.without_effect();
    check.pod("driver");
    check.pod("executor");
    check.overhead_factor();
    check.refused_conf();
    check.overridden_conf();
    check.complaints
}

/// Checks the name of an object whose name may have `limit` characters.
pub(super) fn check_name(document: &Document, limit: usize) -> Option<Diagnostic> {
    let name = &document.name;
    if name.is_empty() {
        let generated = document.node.lookup("metadata.generateName").is_some();
        return (!generated).then(|| {
            document
                .complain(
                    Severity::Error,
                    "missing-name",
                    "metadata.name",
                    "the object has no name",
                )
                .with_fix("add `metadata.name`")
        });
    }
    let wrong = match names::check_dns_1035(name) {
        Err(error) => error.to_string(),
        Ok(()) if name.len() > limit => format!(
            "the name has {} characters; at most {limit} are allowed, so that the names made from it stay below {}",
            name.len(),
            names::LABEL_LIMIT
        ),
        Ok(()) => return None,
    };
    let place = document
        .node
        .lookup("metadata.name")
        .map_or(document.node.place, |node| node.place);
    let message = format!("`{name}` cannot be the name of a {}: {wrong}", document.kind);
    let complaint = Diagnostic::at(
        Severity::Error,
        "bad-name",
        &document.source,
        place,
        "metadata.name",
        message,
    );
    Some(match names::suggest_dns_1035(name, limit) {
        Some(better) => complaint.with_fix(format!("for example `{better}`")),
        None => complaint,
    })
}

pub(super) struct Check<'a> {
    document: &'a Document,
    pub(super) path: &'a str,
    pub(super) spec: &'a Node,
    complaints: Vec<Diagnostic>,
}

impl<'a> Check<'a> {
    pub(super) fn text(&self, path: &str) -> Option<&'a str> {
        self.spec.lookup(path).and_then(Node::as_str)
    }

    pub(super) fn whole(&self, path: &str) -> Option<i64> {
        integer(self.spec.lookup(path)?)
    }

    fn flag(&self, path: &str) -> Option<bool> {
        match self.spec.lookup(path)?.content {
            Content::Bool(value) => Some(value),
            _ => None,
        }
    }

    pub(super) fn conf(&self, key: &str) -> Option<&'a str> {
        self.spec.get("sparkConf")?.get(key)?.as_str()
    }

    fn full(&self, path: &str) -> String {
        if path.is_empty() {
            self.path.to_owned()
        } else {
            format!("{}.{path}", self.path)
        }
    }

    /// Complains about a key.
    pub(super) fn at_key(
        &mut self,
        severity: Severity,
        code: &'static str,
        path: &str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let complaint = self.document.complain(severity, code, &self.full(path), message);
        self.complaints.push(with_help(complaint, help));
    }

    /// Complains about a value.
    pub(super) fn at_value(
        &mut self,
        severity: Severity,
        code: &'static str,
        path: &str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let full = self.full(path);
        let place = self
            .spec
            .lookup(path)
            .map_or_else(|| self.document.node.place_of(&full), |node| node.place);
        let complaint = Diagnostic::at(severity, code, &self.document.source, place, &full, message);
        self.complaints.push(with_help(complaint, help));
    }

    fn main(&mut self) {
        let language = self.text("type").unwrap_or("Scala");
        let file = self.text("mainApplicationFile");
        let class = self.text("mainClass");
        match (language, file) {
            ("Python" | "R", None) => {
                let ending = if language == "R" { "main.R" } else { "main.py" };
                self.at_key(
                    Severity::Error,
                    "missing-main-file",
                    "type",
                    format!("a {language} application needs `mainApplicationFile`"),
                    format!("add for example `mainApplicationFile: local:///opt/spark/work-dir/{ending}`"),
                );
            }
            ("Python" | "R", Some(file)) => {
                if file.ends_with(".jar") {
                    self.at_value(
                        Severity::Error,
                        "wrong-language",
                        "mainApplicationFile",
                        format!("a jar is not a {language} application"),
                        "set `type: Scala` or `type: Java`, or name the script",
                    );
                } else if let Some(class) = class {
                    self.at_key(
                        Severity::Warning,
                        "no-effect",
                        "mainClass",
                        format!("`mainClass: {class}` has no effect in a {language} application"),
                        "remove it",
                    );
                }
            }
            ("Java" | "Scala", Some(file)) if file.ends_with(".py") || file.ends_with(".R") => {
                let right = if file.ends_with(".py") { "Python" } else { "R" };
                self.at_value(
                    Severity::Error,
                    "wrong-language",
                    "mainApplicationFile",
                    format!("`{file}` is not a {language} application"),
                    format!("set `type: {right}`"),
                );
            }
            ("Java" | "Scala", file) if class.is_none() => {
                let add = "add `mainClass` with the full name of the class that has `main`";
                match file.and_then(|file| file.split_once(':').map(|(scheme, _)| scheme)) {
                    // Only a jar that can be opened here tells its own main class.
                    Some("file") => {}
                    None if file.is_some() => {}
                    Some("local") => {
                        let message = "`mainClass` is missing, and a jar inside the image cannot be asked for its own";
                        self.at_value(
                            Severity::Error,
                            "missing-main-class",
                            "mainApplicationFile",
                            message,
                            add,
                        );
                    }
                    Some(_) => {
                        let message = "`mainClass` is missing; the jar must name it in its manifest";
                        self.at_value(
                            Severity::Warning,
                            "missing-main-class",
                            "mainApplicationFile",
                            message,
                            add,
                        );
                    }
                    None => {
                        let message =
                            format!("a {language} application needs `mainClass`, `mainApplicationFile` or both");
                        self.at_key(Severity::Error, "missing-main-class", "", message, add);
                    }
                }
            }
            _ => {}
        }
    }

    /// `imagePullPolicy`, which the published schema takes any text for and no API server does.
    fn pull_policy(&mut self) {
        const POLICIES: [&str; 3] = ["Always", "IfNotPresent", "Never"];
        if let Some(policy) = self.text("imagePullPolicy")
            && !policy.is_empty()
            && !POLICIES.contains(&policy)
        {
            let help = match nearest(policy, POLICIES) {
                Some(near) => format!("write `{near}`"),
                None => format!("write one of {}", POLICIES.join(", ")),
            };
            let message = format!("`imagePullPolicy` cannot be `{policy}`");
            self.at_value(Severity::Error, "bad-value", "imagePullPolicy", message, help);
        }
    }

    fn image(&mut self) {
        if self.spec.get("image").is_some() {
            return;
        }
        let missing: Vec<&str> = ["driver", "executor"]
            .into_iter()
            .filter(|role| self.spec.lookup(&format!("{role}.image")).is_none())
            .collect();
        // Images in sparkConf are refused below, with what to do instead.
        let by_conf = |role: &str| {
            self.conf("spark.kubernetes.container.image").is_some()
                || self.conf(&format!("spark.kubernetes.{role}.container.image")).is_some()
        };
        let missing: Vec<&str> = missing.into_iter().filter(|role| !by_conf(role)).collect();
        if !missing.is_empty() {
            let version = self.text("sparkVersion").unwrap_or("4.1.4");
            self.at_key(
                Severity::Error,
                "missing-image",
                "",
                format!("no image is given for the {}", missing.join(" and the ")),
                format!("add for example `image: apache/spark:{version}`"),
            );
        }
    }

    fn mode(&mut self) {
        if self.text("mode") == Some("client") {
            self.at_value(
                Severity::Error,
                "client-mode",
                "mode",
                "in client mode the driver would run inside the operator, without limits, image or isolation; it is not run that way",
                "write `cluster`, or remove the line",
            );
        }
    }

    fn node_selectors(&mut self) {
        if self.spec.get("nodeSelector").is_none() {
            return;
        }
        for role in ["driver", "executor"] {
            let path = format!("{role}.nodeSelector");
            if self.spec.lookup(&path).is_some() {
                self.at_key(
                    Severity::Error,
                    "node-selector-twice",
                    &path,
                    format!("a node selector is given both for the application and for the {role}"),
                    "keep one of the two",
                );
            }
        }
    }

    fn driver_ingresses(&mut self) {
        let Some(options) = self.spec.get("driverIngressOptions") else {
            return;
        };
        let mut seen: Vec<i64> = Vec::new();
        for (index, item) in options.items().iter().enumerate() {
            let path = format!("{}.servicePort", join_index("driverIngressOptions", index));
            match item.get("servicePort").and_then(integer) {
                Some(port) if seen.contains(&port) => self.at_value(
                    Severity::Error,
                    "duplicate-port",
                    &path,
                    format!("port {port} is given twice; each driver ingress has its own"),
                    "use another port",
                ),
                Some(port) => seen.push(port),
                None => {}
            }
        }
    }

    fn restart_policy(&mut self) {
        let policy = self.text("restartPolicy.type").unwrap_or("Never");
        let mut without_effect = |field: &str, why: &str, help: &str| {
            let path = format!("restartPolicy.{field}");
            if self.spec.lookup(&path).is_some() {
                self.at_key(
                    Severity::Warning,
                    "no-effect",
                    &path,
                    format!("`{field}` has no effect: {why}"),
                    help,
                );
            }
        };
        match policy {
            "Never" => {
                for field in [
                    "onFailureRetries",
                    "onFailureRetryInterval",
                    "onSubmissionFailureRetries",
                    "onSubmissionFailureRetryInterval",
                ] {
                    without_effect(
                        field,
                        "the application is never run again",
                        "set `restartPolicy.type: OnFailure`, or remove it",
                    );
                }
            }
            "Always" => {
                for field in ["onFailureRetries", "onSubmissionFailureRetries"] {
                    without_effect(
                        field,
                        "`Always` runs again without end",
                        "set `restartPolicy.type: OnFailure`, or remove it",
                    );
                }
            }
            "OnFailure" => {
                let retries = ["onFailureRetries", "onSubmissionFailureRetries"];
                if retries
                    .iter()
                    .all(|field| self.spec.lookup(&format!("restartPolicy.{field}")).is_none())
                {
                    self.at_value(
                        Severity::Warning,
                        "no-retries",
                        "restartPolicy.type",
                        "`OnFailure` without a number of retries retries nothing",
                        "add for example `onFailureRetries: 3`",
                    );
                }
            }
            _ => {}
        }
    }

    fn dynamic_allocation(&mut self) {
        let Some(allocation) = self.spec.get("dynamicAllocation") else {
            let conf = |key: &str| self.spec.get("sparkConf")?.get(key)?.as_str();
            let on =
                conf("spark.dynamicAllocation.enabled").is_some_and(|value| value.trim().eq_ignore_ascii_case("true"));
            if on {
                let initial = conf("spark.dynamicAllocation.initialExecutors");
                let initial = initial.and_then(|text| text.trim().parse().ok());
                self.fixed_and_dynamic("spark.dynamicAllocation.initialExecutors", initial);
            }
            return;
        };
        if self.flag("dynamicAllocation.enabled") != Some(true) {
            if allocation.entries().iter().any(|entry| entry.key != "enabled") {
                let message = "these settings have no effect while dynamic allocation is off";
                self.at_key(
                    Severity::Warning,
                    "no-effect",
                    "dynamicAllocation",
                    message,
                    "add `enabled: true`",
                );
            }
            return;
        }
        for field in ["initialExecutors", "minExecutors", "maxExecutors"] {
            let path = format!("dynamicAllocation.{field}");
            if self.whole(&path).is_some_and(|count| count < 0) {
                self.at_value(
                    Severity::Error,
                    "out-of-range",
                    &path,
                    format!("`{field}` cannot be negative"),
                    "",
                );
            }
        }
        let count = |field: &str| self.whole(&format!("dynamicAllocation.{field}"));
        let (initial, least, most) = (count("initialExecutors"), count("minExecutors"), count("maxExecutors"));
        if let (Some(least), Some(most)) = (least, most)
            && least > most
        {
            let message = format!(
                "at least {least} and at most {} cannot both hold",
                counted(most, "executor")
            );
            self.at_value(
                Severity::Error,
                "min-above-max",
                "dynamicAllocation.minExecutors",
                message,
                "make minExecutors at most maxExecutors",
            );
        }
        if most == Some(0) {
            self.at_value(
                Severity::Error,
                "out-of-range",
                "dynamicAllocation.maxExecutors",
                "`maxExecutors` is at least 1",
                "",
            );
        }
        if let (Some(initial), Some(most)) = (initial, most)
            && initial > most
        {
            let message = format!(
                "it begins with {} but may have at most {most}",
                counted(initial, "executor")
            );
            self.at_value(
                Severity::Warning,
                "initial-above-max",
                "dynamicAllocation.initialExecutors",
                message,
                "lower it, or raise maxExecutors",
            );
        }
        self.fixed_and_dynamic("dynamicAllocation.initialExecutors", initial);
    }

    /// A fixed number of executors beside dynamic allocation. Where a number it begins with is said that is not below it, no one takes this one for it;
    /// Spark begins with the greatest of both (`Utils.getDynamicAllocationInitialExecutors`).
    fn fixed_and_dynamic(&mut self, instead: &str, initial: Option<i64>) {
        let instances = self.whole("executor.instances");
        let Some(instances) = instances.filter(|instances| initial.is_none_or(|initial| *instances > initial)) else {
            return;
        };
        let message = format!(
            "with dynamic allocation `instances: {instances}` is not the number of executors, only the one it begins with"
        );
        let fix = format!("use {instead}, or remove it");
        self.at_key(
            Severity::Warning,
            "instances-with-dynamic-allocation",
            "executor.instances",
            message,
            &fix,
        );
    }

    fn without_effect(&mut self) {
        for field in ["failureRetries", "retryInterval"] {
            if self.spec.get(field).is_some() {
                let message = format!(
                    "`{field}` is left over from v1beta1 and has no effect but for a restartPolicy that retries and does not say it itself"
                );
                self.at_key(Severity::Warning, "no-effect", field, message, "use `restartPolicy`");
            }
        }
        if self.spec.get("batchSchedulerOptions").is_some() && self.spec.get("batchScheduler").is_none() {
            self.at_key(
                Severity::Warning,
                "no-effect",
                "batchSchedulerOptions",
                "`batchSchedulerOptions` has no effect without `batchScheduler`",
                "name the `batchScheduler` they are for, or remove them",
            );
        }
        if let Some(version) = self.text("pythonVersion") {
            let message = format!("`pythonVersion: \"{version}\"` has no effect since Spark 3.1; the image decides");
            self.at_key(Severity::Warning, "no-effect", "pythonVersion", message, "remove it");
        }
    }

    fn refused_conf(&mut self) {
        let Some(conf) = self.spec.get("sparkConf") else { return };
        let namespace = self.document.namespace.as_deref();
        for entry in conf.entries() {
            let value = entry.value.as_str().unwrap_or_default();
            let Some(why) = refused_spark_conf(&entry.key, value, namespace) else {
                continue;
            };
            let path = join(&self.full("sparkConf"), &entry.key);
            let complaint = Diagnostic::at(
                Severity::Error,
                "conf-refused",
                &self.document.source,
                entry.key_place,
                &path,
                why,
            );
            self.complaints.push(complaint.with_fix("remove the key"));
        }
    }

    fn overridden_conf(&mut self) {
        const PAIRS: [(&str, &str); 11] = [
            ("driver.cores", "spark.driver.cores"),
            ("driver.memory", "spark.driver.memory"),
            ("driver.memoryOverhead", "spark.driver.memoryOverhead"),
            ("driver.coreLimit", "spark.kubernetes.driver.limit.cores"),
            ("driver.coreRequest", "spark.kubernetes.driver.request.cores"),
            ("executor.cores", "spark.executor.cores"),
            ("executor.memory", "spark.executor.memory"),
            ("executor.memoryOverhead", "spark.executor.memoryOverhead"),
            ("executor.instances", "spark.executor.instances"),
            ("executor.coreLimit", "spark.kubernetes.executor.limit.cores"),
            ("executor.coreRequest", "spark.kubernetes.executor.request.cores"),
        ];
        for (field, key) in PAIRS {
            let (Some(by_field), Some(by_conf)) = (self.spec.lookup(field), self.conf(key)) else {
                continue;
            };
            let by_field = match &by_field.content {
                Content::String(text) => text.clone(),
                Content::Number(number) => number.to_string(),
                _ => continue,
            };
            if by_field != by_conf {
                let message = format!("`{field}: {by_field}` wins over `{key}: {by_conf}`");
                self.at_key(
                    Severity::Warning,
                    "conf-overridden",
                    &join("sparkConf", key),
                    message,
                    "keep one of the two",
                );
            }
        }
    }
}

fn integer(node: &Node) -> Option<i64> {
    match &node.content {
        Content::Number(number) => number.as_i64(),
        _ => None,
    }
}

fn with_help(complaint: Diagnostic, help: impl Into<String>) -> Diagnostic {
    let help = help.into();
    if help.is_empty() {
        complaint
    } else {
        complaint.with_fix(help)
    }
}
