//! The pod that the driver's Spark would create for an executor.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stoke_model::quantity::Quantity;
use stoke_model::units::people::amount;

use crate::build::substitute_ids;
use crate::conf::{Conf, invalid};
use crate::error::PlanError;
use crate::object::{Draft, Object, array, merge_into, object};
use crate::request::PodTemplate;
use crate::version::SparkVersion;
use crate::volumes::{self, Owner};
use crate::{
    config_map, credentials, driver, hadoop, local_dirs, memory, module_options, names, plan, resources, secrets,
    template, volcano,
};

const PREFIX: &str = "spark.kubernetes.executor.podNamePrefix";
const STEP: &str = "org.apache.spark.deploy.k8s.features.";

/// What an executor's pod depends on beside the driver's properties.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ExecutorRequest {
    /// Number of the executor, from 1: `spark-exec-id`.
    pub executor_id: String,
    /// Name of the driver pod; with its UID, the executor's owner. None in client mode outside a pod.
    pub driver_pod: Option<(String, String)>,
    /// The driver pod's IP. Spark's image passes it to the driver as the address to bind to, and on to executors as `SPARK_DRIVER_POD_IP`.
    pub driver_bind_address: Option<String>,
    /// Who runs the driver: `SPARK_USER`.
    pub user: String,
    /// 16 hexadecimal digits that end the name prefix, unless `spark.kubernetes.executor.podNamePrefix` is set.
    pub prefix_uid: String,
    /// 16 hexadecimal digits in `spark-exec-<uid>-conf-map`.
    pub config_map_uid: String,
    /// UUID in the default local directory.
    pub local_dir_uuid: String,
    /// The executors' pod template, when `spark.kubernetes.executor.podTemplateFile` is set.
    pub template: Option<PodTemplate>,
    /// Files of the driver's `SPARK_CONF_DIR`, which travel on to executors.
    pub spark_conf_dir: BTreeMap<String, String>,
    /// The driver's environment: `SPARK_LOCAL_DIRS` is passed on.
    pub environment: BTreeMap<String, String>,
    /// The secret of RPC authentication, when `spark.authenticate` is on and the driver made one.
    pub auth_secret: Option<String>,
}

/// An executor's pod and the claims made for it.
#[derive(Debug, Clone, PartialEq)]
pub struct ExecutorPod {
    pub pod: Value,
    /// Claims to create with it (`OnDemand` volumes).
    pub claims: Vec<Value>,
}

/// The executor pod of the default resource profile that Spark `version` creates from the driver's final `properties`.
///
/// # Errors
/// What the driver refuses: reserved labels, a limit below the request, a bad port, a missing image, invalid volumes.
pub fn executor_pod(
    version: &SparkVersion,
    properties: &BTreeMap<String, String>,
    request: &ExecutorRequest,
) -> Result<ExecutorPod, PlanError> {
    let mut conf = Conf {
        values: properties.clone(),
        version: version.clone(),
    };
    let excluded = plan::excluded_steps(&conf, "executor");
    let runs = |step: &str| !excluded.iter().any(|name| name.strip_prefix(STEP) == Some(step));
    let prefix = prefix(&conf, request)?;
    conf.set(PREFIX, prefix.clone());
    set_driver_keys(&mut conf);
    if let Some(ip) = &request.driver_bind_address {
        conf.set("spark.driver.bindAddress", ip.clone());
        conf.set("spark.executorEnv.SPARK_DRIVER_POD_IP", ip.clone());
    }
    let executor = Executor::new(&conf, request, prefix)?;
    let mut draft = template::start(&conf, "executor", request.template.as_ref(), &mut Vec::new())?;
    let mut claims = Vec::new();
    if runs("BasicExecutorFeatureStep") {
        executor.frame(&mut draft)?;
    }
    if runs("ExecutorKubernetesCredentialsFeatureStep") {
        credentials::executor(&mut draft, &conf);
    }
    if runs("MountSecretsFeatureStep") {
        secrets::mount(&mut draft, &conf, "executor");
    }
    if runs("EnvSecretsFeatureStep") {
        secrets::env(&mut draft, &conf, "executor")?;
    }
    if runs("MountVolumesFeatureStep") {
        let owner = Owner {
            role: "executor",
            app_id: executor.app_id,
            claim_prefix: format!("{}-pvc", executor.pod_name()),
            executor_id: Some(&request.executor_id),
        };
        volumes::mount(&mut draft, &conf, &owner, &mut claims)?;
    }
    if runs("HadoopConfExecutorFeatureStep") {
        hadoop::executor(&mut draft, &conf);
    }
    if runs("LocalDirsFeatureStep") {
        let directory = format!("/var/data/spark-{}", request.local_dir_uuid);
        local_dirs::local_dirs(&mut draft, &conf, &request.environment, &directory)?;
    }
    if volcano::configured(&conf, "executor")? {
        volcano::annotate(&mut draft, executor.app_id);
    }
    Ok(ExecutorPod {
        pod: draft.finish(),
        claims,
    })
}

/// The executor in the making.
struct Executor<'a> {
    conf: &'a Conf,
    request: &'a ExecutorRequest,
    app_id: &'a str,
    prefix: String,
}

impl<'a> Executor<'a> {
    fn new(conf: &'a Conf, request: &'a ExecutorRequest, prefix: String) -> Result<Self, PlanError> {
        let app_id = conf.raw("spark.app.id").ok_or_else(|| PlanError::MissingKey {
            key: "spark.app.id".to_owned(),
            reason: "executors carry it as a label".to_owned(),
        })?;
        Ok(Self {
            conf,
            request,
            app_id,
            prefix,
        })
    }

    fn pod_name(&self) -> String {
        format!("{}-exec-{}", self.prefix, self.request.executor_id)
    }

    /// Name, labels, image, ports, environment, cores and memory, owner, configuration.
    fn frame(&self, draft: &mut Draft) -> Result<(), PlanError> {
        self.container(draft)?;
        self.pod(draft)?;
        if !self.conf.bool("spark.kubernetes.executor.disableConfigMap", false)? {
            let (files, _) = config_map::conf_files(self.conf, &self.request.spark_conf_dir)?;
            let mut source = Object::new();
            let items = config_map::items(&files);
            if !items.is_empty() {
                source.insert("items".to_owned(), Value::Array(items));
            }
            source.insert(
                "name".to_owned(),
                json!(format!("spark-exec-{}-conf-map", self.request.config_map_uid)),
            );
            draft.add_volume(json!({"configMap": source, "name": "spark-conf-volume-exec"}));
            draft.add_mount(json!({"mountPath": config_map::CONF_DIRECTORY, "name": "spark-conf-volume-exec"}));
        }
        Ok(())
    }

    fn container(&self, draft: &mut Draft) -> Result<(), PlanError> {
        let conf = self.conf;
        let memory = memory::executor(conf)?;
        let cores = conf.int("spark.executor.cores", 1)?;
        let port = conf.int("spark.blockManager.port", driver::BLOCK_MANAGER_PORT)?;
        if port != 0 && !(1024..65536).contains(&port) {
            return Err(invalid(
                "spark.blockManager.port",
                &port.to_string(),
                "write 0 or a port from 1024 to 65535",
            ));
        }
        draft
            .container
            .entry("name")
            .or_insert_with(|| json!("spark-kubernetes-executor"));
        draft
            .container
            .insert("image".to_owned(), json!(driver::image(conf, "executor")?));
        draft
            .container
            .insert("imagePullPolicy".to_owned(), json!(driver::pull_policy(conf)?));
        self.resources(draft, memory.total_mib, cores)?;
        draft.add_env("SPARK_USER", &self.request.user);
        self.environment(draft, memory.heap_mib, cores)?;
        if port != 0 {
            array(&mut draft.container, "ports").push(json!({"containerPort": port, "name": "blockmanager"}));
        }
        array(&mut draft.container, "args").push(json!("executor"));
        if conf.version.since(4, 3) {
            driver::forbid_privilege_escalation(&mut draft.container, conf, "executor")?;
        }
        if conf.bool("spark.decommission.enabled", false)? {
            let script = conf
                .get("spark.kubernetes.decommission.script")
                .unwrap_or_else(|| "/opt/decom.sh".to_owned());
            draft.container.insert(
                "lifecycle".to_owned(),
                json!({"preStop": {"exec": {"command": [script]}}}),
            );
        }
        Ok(())
    }

    fn resources(&self, draft: &mut Draft, memory_mib: i64, cores: i32) -> Result<(), PlanError> {
        let conf = self.conf;
        let memory = Value::String(format!("{memory_mib}Mi"));
        let cpu = conf
            .get("spark.kubernetes.executor.request.cores")
            .unwrap_or_else(|| cores.to_string());
        let wanted = object(&mut draft.container, "resources");
        let requests = object(wanted, "requests");
        requests.insert("memory".to_owned(), memory.clone());
        requests.insert("cpu".to_owned(), json!(cpu));
        let limits = object(wanted, "limits");
        limits.insert("memory".to_owned(), memory);
        for (name, amount) in resources::requested(conf, "executor")? {
            limits.insert(name, json!(amount));
        }
        let limit_key = "spark.kubernetes.executor.limit.cores";
        if let Some(limit) = conf.get(limit_key) {
            if conf.version.since(4, 1) {
                refuse_limit_below_request(limit_key, &limit, &cpu)?;
            }
            limits.insert("cpu".to_owned(), json!(limit));
        }
        if conf.version.since(4, 2) {
            let policies = array(&mut draft.container, "resizePolicy");
            for resource in ["cpu", "memory"] {
                policies.push(json!({"resourceName": resource, "restartPolicy": "NotRequired"}));
            }
        }
        Ok(())
    }

    fn environment(&self, draft: &mut Draft, heap_mib: i64, cores: i32) -> Result<(), PlanError> {
        let conf = self.conf;
        let id = &self.request.executor_id;
        let mut environment: Vec<(String, String)> = vec![
            ("SPARK_DRIVER_URL".to_owned(), self.driver_url()?),
            ("SPARK_EXECUTOR_CORES".to_owned(), self.announced_cores(cores)?),
            ("SPARK_EXECUTOR_MEMORY".to_owned(), format!("{heap_mib}m")),
            ("SPARK_APPLICATION_ID".to_owned(), self.app_id.to_owned()),
            ("SPARK_CONF_DIR".to_owned(), config_map::CONF_DIRECTORY.to_owned()),
            ("SPARK_EXECUTOR_ID".to_owned(), id.clone()),
            ("SPARK_RESOURCE_PROFILE_ID".to_owned(), "0".to_owned()),
        ];
        if conf.version.since(4, 0) && conf.contains("spark.ui.custom.executor.log.url") {
            environment.push(("SPARK_EXECUTOR_ATTRIBUTE_APP_ID".to_owned(), self.app_id.to_owned()));
            environment.push(("SPARK_EXECUTOR_ATTRIBUTE_EXECUTOR_ID".to_owned(), id.clone()));
        }
        environment.extend(
            conf.with_prefix("spark.executorEnv.")
                .into_iter()
                .filter(|(name, _)| is_variable_name(name)),
        );
        if conf.bool("spark.authenticate", false)?
            && let Some(secret) = self
                .request
                .auth_secret
                .clone()
                .or_else(|| conf.get("spark.authenticate.secret"))
            && !conf.contains("spark.authenticate.secret.executor.file")
        {
            environment.push(("_SPARK_AUTH_SECRET".to_owned(), secret));
        }
        for (name, key) in [
            ("SPARK_CLASSPATH", "spark.executor.extraClassPath"),
            ("SPARK_EXECUTOR_LIBRARY_PATH", "spark.executor.extraLibraryPath"),
        ] {
            if name == "SPARK_EXECUTOR_LIBRARY_PATH" && !conf.version.since(4, 0) {
                continue;
            }
            environment.extend(conf.get(key).map(|value| (name.to_owned(), value)));
        }
        environment.extend(self.java_options());
        if let Some((_, dirs)) = environment.iter_mut().find(|(name, _)| name == "SPARK_EXECUTOR_DIRS") {
            *dirs = dirs
                .replace("SPARK_APPLICATION_ID", self.app_id)
                .replace("SPARK_EXECUTOR_ID", id);
        }
        for (name, value) in environment {
            draft.add_env(&name, &value);
        }
        draft.add_env_from_field("SPARK_EXECUTOR_POD_IP", "status.podIP");
        draft.add_env_from_field("SPARK_EXECUTOR_POD_NAME", "metadata.name");
        Ok(())
    }

    /// `SPARK_JAVA_OPT_n`: the user's options, then the keys an executor needs before it can ask the driver.
    fn java_options(&self) -> Vec<(String, String)> {
        let mut options = Vec::new();
        if let Some(text) = self.conf.get("spark.executor.extraJavaOptions") {
            options.extend(split_command(&substitute_ids(
                &text,
                self.app_id,
                &self.request.executor_id,
            )));
        }
        let startup = self
            .conf
            .listed("")
            .into_iter()
            .filter(|(key, _)| is_startup_key(key, &self.conf.version));
        options.extend(startup.map(|(key, value)| format!("-D{key}={value}")));
        let mut options: Vec<(String, String)> = options
            .into_iter()
            .enumerate()
            .map(|(at, option)| (format!("SPARK_JAVA_OPT_{at}"), option))
            .collect();
        crate::java_order::sort_as_scala_map(&mut options, self.conf.scala_2_12(), |option| &option.0);
        options
    }

    fn driver_url(&self) -> Result<String, PlanError> {
        let conf = self.conf;
        let port = conf.int("spark.driver.port", driver::DRIVER_PORT)?;
        let by_ip = conf.version.since(4, 1)
            && conf.bool("spark.kubernetes.executor.useDriverPodIP", conf.version.since(4, 3))?;
        let host = || conf.get("spark.driver.host");
        let address = if by_ip {
            conf.get("spark.driver.bindAddress").or_else(host)
        } else {
            host()
        };
        let address = address.ok_or_else(|| PlanError::MissingKey {
            key: "spark.driver.host".to_owned(),
            reason: "executors connect to it".to_owned(),
        })?;
        Ok(format!("spark://CoarseGrainedScheduler@{address}:{port}"))
    }

    /// Cores the executor offers to tasks: in recovery mode just enough for one task.
    fn announced_cores(&self, cores: i32) -> Result<String, PlanError> {
        let conf = self.conf;
        if !conf.version.since(4, 2) || !conf.bool("spark.kubernetes.allocation.recoveryMode.enabled", false)? {
            return Ok(cores.to_string());
        }
        let key = "spark.task.cpus";
        if !conf.version.since(4, 3) {
            return Ok(conf.get(key).unwrap_or_else(|| "1".to_owned()));
        }
        let cpus = conf.double(key)?.unwrap_or(1.0);
        Ok((cpus.ceil() as i32).max(1).to_string())
    }

    fn pod(&self, draft: &mut Draft) -> Result<(), PlanError> {
        let conf = self.conf;
        let id = &self.request.executor_id;
        let substituted = |(key, value): (String, String)| (key, substitute_ids(&value, self.app_id, id));
        let name = self.pod_name();
        let labels = self.labels()?;
        let allocator = conf.get("spark.kubernetes.allocation.pods.allocator");
        let deployment = conf.version.since(4, 2) && allocator.as_deref() == Some("deployment");
        let metadata = draft.metadata();
        metadata.insert("name".to_owned(), json!(name));
        merge_into(metadata, "labels", labels);
        let annotations = conf
            .with_prefix("spark.kubernetes.executor.annotation.")
            .into_iter()
            .map(substituted)
            .collect();
        merge_into(metadata, "annotations", annotations);
        if let Some((driver, uid)) = &self.request.driver_pod {
            array(metadata, "ownerReferences")
                .push(json!({"apiVersion": "v1", "kind": "Pod", "controller": true, "name": driver, "uid": uid}));
        }
        let spec = draft.spec();
        spec.insert("hostname".to_owned(), json!(hostname(&name, deployment)));
        let always = deployment || allocator.as_deref() == Some("statefulset");
        spec.insert(
            "restartPolicy".to_owned(),
            json!(if always { "Always" } else { "Never" }),
        );
        if conf.version.since(4, 1) {
            let grace = conf.seconds("spark.kubernetes.executor.terminationGracePeriodSeconds", 30)?;
            spec.insert("terminationGracePeriodSeconds".to_owned(), json!(grace));
        }
        merge_into(
            spec,
            "nodeSelector",
            conf.with_prefix("spark.kubernetes.node.selector."),
        );
        merge_into(
            spec,
            "nodeSelector",
            conf.with_prefix("spark.kubernetes.executor.node.selector."),
        );
        driver::add_pull_secrets(spec, conf);
        driver::set_scheduler(spec, conf, "executor");
        Ok(())
    }

    fn labels(&self) -> Result<Vec<(String, String)>, PlanError> {
        let conf = self.conf;
        let preset = [
            ("spark-version", conf.version.as_str()),
            ("spark-exec-id", &self.request.executor_id),
            ("spark-app-selector", self.app_id),
            (
                "spark-app-name",
                &names::app_name_label(conf.raw("spark.app.name").unwrap_or("spark")),
            ),
            ("spark-role", "executor"),
            ("spark-exec-resourceprofile-id", "0"),
        ];
        let prefix = "spark.kubernetes.executor.label.";
        let mut labels = conf.with_prefix(prefix);
        for (key, value) in &mut labels {
            if preset.iter().any(|(reserved, _)| reserved == key) {
                return Err(PlanError::ForbiddenKey {
                    key: format!("{prefix}{key}"),
                    reason: "the label is reserved for Spark's bookkeeping",
                });
            }
            *value = substitute_ids(value, self.app_id, &self.request.executor_id);
        }
        labels.extend(preset.map(|(key, value)| (key.to_owned(), value.to_owned())));
        Ok(labels)
    }
}

/// Keys every running driver has beside the submitted ones.
fn set_driver_keys(conf: &mut Conf) {
    conf.set("spark.executor.id", "driver");
    conf.set("spark.app.startTime", "0");
    for role in ["driver", "executor"] {
        let key = format!("spark.{role}.extraJavaOptions");
        let mut options = module_options::defaults(&conf.version).join(" ");
        if let Some(own) = conf.raw(&key) {
            options.push(' ');
            options.push_str(own);
        }
        conf.set(&key, options);
    }
}

/// What the names of an application's executors begin with.
fn prefix(conf: &Conf, request: &ExecutorRequest) -> Result<String, PlanError> {
    match conf.get(PREFIX) {
        Some(prefix) if names::is_executor_prefix(&prefix) => Ok(prefix),
        Some(prefix) => Err(names::bad_executor_prefix(PREFIX, &prefix)),
        None => Ok(names::resource_prefix(
            conf.raw("spark.app.name").unwrap_or("spark"),
            &request.prefix_uid,
        )),
    }
}

fn refuse_limit_below_request(key: &str, limit: &str, request: &str) -> Result<(), PlanError> {
    let quantity = |text: &str| {
        text.parse::<Quantity>()
            .map_err(|error| invalid(key, text, &error.to_string()))
    };
    if quantity(limit)?.nanos() < quantity(request)?.nanos() {
        return Err(invalid(
            key,
            limit,
            &format!(
                "less than the request of {}; raise the limit or lower the request",
                amount(request, "core")
            ),
        ));
    }
    Ok(())
}

/// The pod's host name: the end of its name that fits a DNS label.
fn hostname(name: &str, lower_case: bool) -> String {
    let mut start = name.len().saturating_sub(names::DNS_LABEL_LIMIT);
    while !name.is_char_boundary(start) {
        start += 1;
    }
    let word = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let tail = name[start..].trim_start_matches(|character| !word(character));
    let mut host = String::with_capacity(tail.len());
    let mut replaced = false;
    for character in tail.chars() {
        let keep = word(character) || character == '-';
        if keep {
            host.push(character);
        } else if !replaced {
            host.push('_');
        }
        replaced = !keep;
    }
    if lower_case { host.to_lowercase() } else { host }
}

/// Names Kubernetes takes for environment variables; others are left out with a warning in the driver's log.
fn is_variable_name(name: &str) -> bool {
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    !name.is_empty() && name.bytes().all(valid) && !name.as_bytes()[0].is_ascii_digit()
}

/// Keys an executor must know before it can fetch the rest from the driver.
fn is_startup_key(key: &str, version: &SparkVersion) -> bool {
    (key.starts_with("spark.auth") && key != "spark.authenticate.secret")
        || key.starts_with("spark.rpc")
        || key.starts_with("spark.network")
        || (version.since(4, 0) && key.starts_with("spark.ssl") && !key.contains("Password"))
        || key.starts_with("spark.port")
        || (key.starts_with("spark.") && key.ends_with(".port"))
}

/// Splits a command line at blanks; quotes keep blanks together.
fn split_command(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let (mut quote, mut inside) = (None::<char>, false);
    let mut characters = text.trim().chars().peekable();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some('"'), '\\') => {
                inside = true;
                match characters.peek() {
                    Some(&next @ ('"' | '\\')) => {
                        word.push(next);
                        characters.next();
                    }
                    _ => word.push('\\'),
                }
            }
            (Some(open), close) if open == close => quote = None,
            (None, '"' | '\'') => {
                quote = Some(character);
                inside = true;
            }
            (None, blank) if blank.is_whitespace() => {
                if inside {
                    words.push(std::mem::take(&mut word));
                    inside = false;
                }
            }
            (_, other) => {
                inside = true;
                word.push(other);
            }
        }
    }
    if inside {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_are_the_end_of_the_pod_name() {
        assert_eq!(hostname("pi-1-exec-1", false), "pi-1-exec-1");
        assert_eq!(hostname(&format!("{}-exec-1", "a".repeat(90)), false).len(), 63);
        assert_eq!(hostname("--x..y", false), "x_y");
        assert_eq!(hostname("Up-exec-1", true), "up-exec-1");
    }

    #[test]
    fn command_lines_are_split_as_a_shell_would() {
        let table: &[(&str, &[&str])] = &[
            ("-Da=b  -Dc", &["-Da=b", "-Dc"]),
            ("-Dx='1 2' \"a \\\" b\"", &["-Dx=1 2", "a \" b"]),
            ("", &[]),
            ("''", &[""]),
        ];
        for (text, words) in table {
            assert_eq!(split_command(text), *words, "{text}");
        }
    }

    #[test]
    fn variable_names_follow_kubernetes() {
        for good in ["A", "_a.b-c", "-x"] {
            assert!(is_variable_name(good), "{good}");
        }
        for bad in ["", "1A", "a b", "é"] {
            assert!(!is_variable_name(bad), "{bad}");
        }
    }
}
