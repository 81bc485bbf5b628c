//! Fields of an application to the pod templates of driver and executors.
//!
//! The author's own `template` comes first, and typed fields win over it. Spark then builds its pods on these templates: it sets name, image,
//! restart policy, CPU and memory, and keeps the rest.

use serde::Serialize;
use serde_json::{Map, Value, json};
use stoke_model::crd::{NamePath, Port, SparkApplication, SparkPodSpec};
use stoke_model::names;

use super::batch;
use super::conf::{Conf, set};
use super::error::ApplicationError;
use super::monitoring;
use super::object_store::{self, ObjectStoreSettings};
use super::settings::Settings;
use crate::PodTemplate;

/// Directory of `hadoopConfigMap`.
pub const HADOOP_CONF_DIR: &str = "/etc/hadoop/conf";
/// Directory of `sparkConfigMap`.
pub const SPARK_CONF_DIR: &str = "/etc/spark/conf";

/// The templates; none where nothing needs one.
pub(super) struct Templates {
    pub(super) driver: Option<PodTemplate>,
    pub(super) executor: Option<PodTemplate>,
}

/// Builds both templates and sets the keys that make Spark use them.
pub(super) fn templates(
    app: &SparkApplication,
    conf: &mut Conf,
    settings: &Settings,
    store: Option<&ObjectStoreSettings>,
) -> Result<Templates, ApplicationError> {
    let driver = app.spec.driver.clone().unwrap_or_default();
    let executor = app.spec.executor.clone().unwrap_or_default();
    let class = batch::pod_priority_class(app, settings);
    let driver = Fields {
        role: "driver",
        container: names::DRIVER_CONTAINER,
        lifecycle: driver.lifecycle.as_ref().map(to_value).transpose()?,
        ports: driver.ports.clone().unwrap_or_default(),
        priority_class: driver.priority_class_name.clone().or_else(|| class.clone()),
        pod: &driver.pod,
    }
    .template(app, conf, settings, store)?;
    let executor = Fields {
        role: "executor",
        container: names::EXECUTOR_CONTAINER,
        lifecycle: executor.lifecycle.as_ref().map(to_value).transpose()?,
        ports: executor.ports.clone().unwrap_or_default(),
        priority_class: executor.priority_class_name.clone().or(class),
        pod: &executor.pod,
    }
    .template(app, conf, settings, store)?;
    if executor.is_some() && app.spec.spark_config_map.is_some() {
        // Spark puts its own SPARK_CONF_DIR after the template's; this one comes after Spark's.
        set(conf, "spark.executorEnv.SPARK_CONF_DIR", SPARK_CONF_DIR);
    }
    Ok(Templates { driver, executor })
}

/// The fields of one role.
struct Fields<'a> {
    role: &'static str,
    container: &'static str,
    pod: &'a SparkPodSpec,
    lifecycle: Option<Value>,
    ports: Vec<Port>,
    priority_class: Option<String>,
}

impl Fields<'_> {
    fn template(
        &self,
        app: &SparkApplication,
        conf: &mut Conf,
        settings: &Settings,
        store: Option<&ObjectStoreSettings>,
    ) -> Result<Option<PodTemplate>, ApplicationError> {
        let given = self.given_template()?;
        let had_template = given.is_some();
        let mut pod = given.unwrap_or_default();
        let name_key = format!("spark.kubernetes.{}.podTemplateContainerName", self.role);
        let chosen = conf
            .get(&name_key)
            .cloned()
            .unwrap_or_else(|| self.container.to_owned());
        let (mut container, others) = take_spark_container(&mut pod, &chosen);
        let before = (pod.clone(), container.clone());
        container.insert("name".to_owned(), json!(self.container));
        let spec = object(&mut pod, "spec");
        self.add_pod_fields(spec)?;
        self.add_container_fields(&mut container)?;
        if let Some(store) = store {
            object_store::add_variables(store, &mut container);
        }
        self.add_volumes(app, spec, &mut container)?;
        self.add_monitoring(app, spec, &mut container);
        self.add_security(conf, spec, &mut container, settings);
        let mut containers = vec![Value::Object(container)];
        containers.extend(others);
        merge_by_name(&mut containers, to_list(self.pod.sidecars.as_deref())?);
        if !had_template && containers.len() == 1 && unchanged(&before, &pod, &containers) {
            return Ok(None);
        }
        object(&mut pod, "spec").insert("containers".to_owned(), Value::Array(containers));
        self.check_mounts(&pod)?;
        set(conf, &name_key, self.container);
        set(
            conf,
            &format!("spark.kubernetes.{}.podTemplateFile", self.role),
            format!("{}-pod-template.json", self.role),
        );
        pod.insert("apiVersion".to_owned(), json!("v1"));
        pod.insert("kind".to_owned(), json!("Pod"));
        let pod = Value::Object(pod);
        let text = serde_json::to_string_pretty(&pod)
            .map_err(|error| ApplicationError::field(self.path("template"), error.to_string()))?;
        Ok(Some(PodTemplate { text, pod }))
    }

    fn path(&self, field: &str) -> String {
        format!("spec.{}.{field}", self.role)
    }

    fn given_template(&self) -> Result<Option<Map<String, Value>>, ApplicationError> {
        match &self.pod.template {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(template)) => Ok(Some(template.clone())),
            Some(_) => Err(ApplicationError::field(
                self.path("template"),
                "must be a pod template with `metadata` and `spec`".to_owned(),
            )),
        }
    }

    /// Fields of the pod as a whole.
    fn add_pod_fields(&self, spec: &mut Map<String, Value>) -> Result<(), ApplicationError> {
        let pod = self.pod;
        put(spec, "affinity", pod.affinity.as_ref())?;
        put(spec, "dnsConfig", pod.dns_config.as_ref())?;
        put(spec, "securityContext", pod.pod_security_context.as_ref())?;
        put(
            spec,
            "terminationGracePeriodSeconds",
            pod.termination_grace_period_seconds.as_ref(),
        )?;
        put(spec, "shareProcessNamespace", pod.share_process_namespace.as_ref())?;
        put(
            spec,
            "priorityClassName",
            self.priority_class.as_ref().filter(|name| !name.is_empty()),
        )?;
        if pod.host_network == Some(true) {
            spec.insert("hostNetwork".to_owned(), json!(true));
            spec.insert("dnsPolicy".to_owned(), json!("ClusterFirstWithHostNet"));
        }
        append(spec, "tolerations", to_list(pod.tolerations.as_deref())?);
        append(spec, "hostAliases", to_list(pod.host_aliases.as_deref())?);
        merge_by_name(array(spec, "initContainers"), to_list(pod.init_containers.as_deref())?);
        remove_empty(spec, "initContainers");
        Ok(())
    }

    /// Fields of the Spark container.
    fn add_container_fields(&self, container: &mut Map<String, Value>) -> Result<(), ApplicationError> {
        merge_by_name(array(container, "env"), to_list(self.pod.env.as_deref())?);
        remove_empty(container, "env");
        append(container, "envFrom", to_list(self.pod.env_from.as_deref())?);
        put(container, "securityContext", self.pod.security_context.as_ref())?;
        if let Some(lifecycle) = &self.lifecycle {
            container.insert("lifecycle".to_owned(), lifecycle.clone());
        }
        let ports = self.ports.iter().map(|port| {
            let protocol = port
                .protocol
                .as_deref()
                .filter(|protocol| !protocol.is_empty())
                .unwrap_or("TCP");
            json!({"name": port.name, "containerPort": port.container_port, "protocol": protocol})
        });
        append(container, "ports", ports.collect());
        if let Some(gpu) = &self.pod.gpu {
            if gpu.name.is_empty() || gpu.quantity <= 0 {
                return Err(ApplicationError::field(
                    self.path("gpu"),
                    "needs a resource name (nvidia.com/gpu) and a quantity of at least 1".to_owned(),
                ));
            }
            let limits = object(object(container, "resources"), "limits");
            limits.insert(gpu.name.clone(), json!(gpu.quantity.to_string()));
        }
        Ok(())
    }

    fn add_volumes(
        &self,
        app: &SparkApplication,
        spec: &mut Map<String, Value>,
        container: &mut Map<String, Value>,
    ) -> Result<(), ApplicationError> {
        let mounts: Vec<_> = self
            .pod
            .volume_mounts
            .iter()
            .flatten()
            .filter(|mount| !mount.name.starts_with(names::LOCAL_DIR_VOLUME_PREFIX))
            .collect();
        let of_others = self.pod.sidecars.iter().chain(&self.pod.init_containers).flatten();
        let mut used: Vec<&str> = mounts.iter().map(|mount| mount.name.as_str()).collect();
        used.extend(
            of_others
                .flat_map(|other| other.volume_mounts.iter().flatten())
                .map(|mount| mount.name.as_str()),
        );
        let volumes = app.spec.volumes.iter().flatten().filter(|volume| {
            used.contains(&volume.name.as_str()) && !volume.name.starts_with(names::LOCAL_DIR_VOLUME_PREFIX)
        });
        let volumes = volumes.map(to_value).collect::<Result<Vec<_>, _>>()?;
        merge_by_name(array(spec, "volumes"), volumes);
        append(
            container,
            "volumeMounts",
            mounts.into_iter().map(to_value).collect::<Result<_, _>>()?,
        );
        if let Some(config_map) = &app.spec.hadoop_config_map {
            mount_config_map(spec, container, config_map, "hadoop-config-volume", HADOOP_CONF_DIR);
            merge_by_name(
                array(container, "env"),
                vec![json!({"name": "HADOOP_CONF_DIR", "value": HADOOP_CONF_DIR})],
            );
        }
        if let Some(config_map) = &app.spec.spark_config_map {
            mount_config_map(spec, container, config_map, "spark-config-volume", SPARK_CONF_DIR);
        }
        for NamePath { name, path } in self.pod.config_maps.iter().flatten() {
            let volume: String = format!("{name}-vol").chars().take(names::LABEL_LIMIT).collect();
            mount_config_map(spec, container, name, volume.trim_end_matches(['-', '.']), path);
        }
        remove_empty(spec, "volumes");
        Ok(())
    }

    fn add_monitoring(
        &self,
        app: &SparkApplication,
        spec: &mut Map<String, Value>,
        container: &mut Map<String, Value>,
    ) {
        if monitoring::config_map(app).is_some() {
            let name = names::prometheus_config_map(super::name(app));
            let volume = names::short_name(&name, "vol");
            mount_config_map(spec, container, &name, &volume, monitoring::MOUNT_PATH);
        }
        if let Some(prometheus) = monitoring::exporter(app, self.role) {
            let name = prometheus.port_name.as_deref().unwrap_or(monitoring::PORT_NAME);
            let port = json!({"name": name, "containerPort": monitoring::port(prometheus), "protocol": "TCP"});
            array(container, "ports").push(port);
        }
    }

    /// The profile's security context, unless the author spoke of security.
    fn add_security(
        &self,
        conf: &Conf,
        spec: &Map<String, Value>,
        container: &mut Map<String, Value>,
        settings: &Settings,
    ) {
        if spec.contains_key("securityContext") || container.contains_key("securityContext") {
            return;
        }
        let image = conf.get(&format!("spark.kubernetes.{}.container.image", self.role));
        if let Some(context) = settings.security.context(image.map_or("", String::as_str)) {
            container.insert("securityContext".to_owned(), context);
        }
    }

    /// Every mount of a typed field has its volume.
    fn check_mounts(&self, pod: &Map<String, Value>) -> Result<(), ApplicationError> {
        let volumes = pod
            .get("spec")
            .and_then(|spec| spec.get("volumes"))
            .and_then(Value::as_array);
        let exists = |name: &str| volumes.into_iter().flatten().any(|volume| volume["name"] == name);
        let mounts = self.pod.volume_mounts.iter().flatten();
        let mut typed = mounts.filter(|mount| !mount.name.starts_with(names::LOCAL_DIR_VOLUME_PREFIX));
        match typed.find(|mount| !exists(&mount.name)) {
            None => Ok(()),
            Some(mount) => Err(ApplicationError::field(
                self.path("volumeMounts"),
                format!("`{}` is not in spec.volumes", mount.name),
            )),
        }
    }
}

/// Whether nothing was added to an empty template.
fn unchanged(
    before: &(Map<String, Value>, Map<String, Value>),
    pod: &Map<String, Value>,
    containers: &[Value],
) -> bool {
    let spec_is_empty = pod.get("spec").and_then(Value::as_object).is_none_or(Map::is_empty);
    let container_is_bare = containers
        .first()
        .and_then(Value::as_object)
        .is_some_and(|container| container.len() == 1);
    before.0.is_empty() && before.1.is_empty() && spec_is_empty && container_is_bare
}

/// Takes the Spark container out of a template: the one called `name`, else the first; and the others.
fn take_spark_container(pod: &mut Map<String, Value>, name: &str) -> (Map<String, Value>, Vec<Value>) {
    let containers = pod
        .get_mut("spec")
        .and_then(Value::as_object_mut)
        .and_then(|spec| spec.remove("containers"));
    let Some(Value::Array(mut containers)) = containers else {
        return (Map::new(), Vec::new());
    };
    let index = containers
        .iter()
        .position(|container| container["name"] == name)
        .unwrap_or(0);
    if containers.is_empty() {
        return (Map::new(), Vec::new());
    }
    let spark = containers.remove(index);
    (spark.as_object().cloned().unwrap_or_default(), containers)
}

fn mount_config_map(
    spec: &mut Map<String, Value>,
    container: &mut Map<String, Value>,
    config_map: &str,
    volume: &str,
    path: &str,
) {
    merge_by_name(
        array(spec, "volumes"),
        vec![json!({"name": volume, "configMap": {"name": config_map}})],
    );
    array(container, "volumeMounts").push(json!({"name": volume, "mountPath": path, "readOnly": true}));
}

fn to_value<T: Serialize>(value: &T) -> Result<Value, ApplicationError> {
    serde_json::to_value(value).map_err(|error| ApplicationError::field("spec", error.to_string()))
}

fn to_list<T: Serialize>(values: Option<&[T]>) -> Result<Vec<Value>, ApplicationError> {
    values.unwrap_or_default().iter().map(to_value).collect()
}

fn put<T: Serialize>(parent: &mut Map<String, Value>, key: &str, value: Option<&T>) -> Result<(), ApplicationError> {
    if let Some(value) = value {
        parent.insert(key.to_owned(), to_value(value)?);
    }
    Ok(())
}

fn append(parent: &mut Map<String, Value>, key: &str, values: Vec<Value>) {
    if !values.is_empty() {
        array(parent, key).extend(values);
    }
}

/// Adds `values`, replacing those of the same name.
fn merge_by_name(list: &mut Vec<Value>, values: Vec<Value>) {
    for value in values {
        match list.iter_mut().find(|present| present["name"] == value["name"]) {
            Some(present) => *present = value,
            None => list.push(value),
        }
    }
}

fn remove_empty(parent: &mut Map<String, Value>, key: &str) {
    if parent.get(key).and_then(Value::as_array).is_some_and(Vec::is_empty) {
        parent.remove(key);
    }
}

use crate::object::{array, object};
