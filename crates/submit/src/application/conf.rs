//! Fields of an application to Spark configuration.
//!
//! The order is the published one, and the last writer of a key counts: dependencies and namespace, images, Python version and overhead
//! factor, then `sparkConf` and `hadoopConf`, then driver, executor, node selectors and dynamic allocation. So fields of driver and
//! executor win over `sparkConf`, and `sparkConf` wins over `imagePullPolicy`.

use std::collections::BTreeMap;

use stoke_model::crd::{
    Dependencies, DriverSpec, ExecutorSpec, NameKey, SecretInfo, SecretType, SparkApplication, SparkPodSpec,
};
use stoke_model::manifest::refused_spark_conf;
use stoke_model::memory::{ByteUnit, Memory};
use stoke_model::names;

use super::error::ApplicationError;
use super::monitoring;
use super::settings::Settings;
use super::{batch, extras};
use crate::SparkVersion;

/// Configuration by key.
pub type Conf = BTreeMap<String, String>;

/// Labels of other systems' bookkeeping that pods must not carry.
const NOT_PROPAGATED: &str = "kueue.x-k8s.io/";

/// The whole configuration of a submission, but for the pod templates' keys.
///
/// # Errors
/// Refused keys of `sparkConf`; fields that do not parse.
pub fn configuration(
    app: &SparkApplication,
    version: &SparkVersion,
    settings: &Settings,
    submission_id: &str,
) -> Result<Conf, ApplicationError> {
    let spec = &app.spec;
    let mut conf = Conf::new();
    if let Some(deps) = &spec.deps {
        dependencies(deps, &mut conf);
    }
    set(&mut conf, "spark.kubernetes.namespace", super::namespace(app));
    let image = spec.image.as_deref().or(settings.default_image.as_deref());
    set_some(&mut conf, "spark.kubernetes.container.image", image);
    set_some(
        &mut conf,
        "spark.kubernetes.container.image.pullPolicy",
        spec.image_pull_policy.as_deref(),
    );
    set_list(
        &mut conf,
        "spark.kubernetes.container.image.pullSecrets",
        spec.image_pull_secrets.as_deref(),
    );
    set_some(
        &mut conf,
        "spark.kubernetes.pyspark.pythonVersion",
        spec.python_version.as_deref(),
    );
    set_some(
        &mut conf,
        "spark.kubernetes.memoryOverheadFactor",
        spec.memory_overhead_factor.as_deref(),
    );
    set(&mut conf, "spark.kubernetes.submission.waitAppCompletion", "false");
    spark_conf(app, &mut conf)?;
    for (key, value) in spec.hadoop_conf.iter().flatten() {
        set(&mut conf, &format!("spark.hadoop.{key}"), value);
    }
    // Lists of `deps` are options of spark-submit, which win over --conf; so does the name.
    if let Some(deps) = &spec.deps {
        dependencies(deps, &mut conf);
    }
    set(&mut conf, "spark.app.name", super::name(app));
    set(
        &mut conf,
        "spark.kubernetes.driver.pod.name",
        names::driver_pod(super::name(app), spec),
    );
    let driver = spec.driver.clone().unwrap_or_default();
    let executor = spec.executor.clone().unwrap_or_default();
    driver_conf(app, &driver, settings, &mut conf);
    executor_conf(app, &executor, settings, &mut conf)?;
    for role in ["driver", "executor"] {
        labels(app, role, submission_id, &mut conf);
        let pod = if role == "driver" { &driver.pod } else { &executor.pod };
        pod_conf(pod, role, &mut conf);
    }
    for (key, value) in spec.node_selector.iter().flatten() {
        set(&mut conf, &format!("spark.kubernetes.node.selector.{key}"), value);
    }
    dynamic_allocation(app, &mut conf);
    monitoring::add_configuration(app, &mut conf);
    batch::add_configuration(app, settings, &mut conf)?;
    extras::add_configuration(app, settings, &mut conf)?;
    local_volumes(app, version, &mut conf)?;
    if let Some(limit) = &executor.pod.memory_limit {
        let python = matches!(super::main_resource(spec)?, crate::MainResource::Python(_));
        executor_memory_limit(limit, python, &mut conf)?;
    }
    if let Some(path) = &settings.file_upload_path {
        conf.entry("spark.kubernetes.file.upload.path".to_owned())
            .or_insert_with(|| path.clone());
    }
    for (key, value) in &settings.default_conf {
        conf.entry(key.clone()).or_insert_with(|| value.clone());
    }
    if settings.observe {
        monitoring::observe(&mut conf);
    }
    // Half of someone's own settings and half of ours would be no one's.
    if let Some(directory) = &settings.event_log
        && !conf.keys().any(|key| key.starts_with("spark.eventLog."))
    {
        set(&mut conf, "spark.eventLog.enabled", "true");
        set(&mut conf, "spark.eventLog.dir", directory);
    }
    if settings.rpc_authentication {
        conf.entry("spark.authenticate".to_owned())
            .or_insert_with(|| "true".to_owned());
    }
    Ok(conf)
}

pub(super) fn set(conf: &mut Conf, key: &str, value: impl Into<String>) {
    conf.insert(key.to_owned(), value.into());
}

fn set_some(conf: &mut Conf, key: &str, value: Option<&str>) {
    if let Some(value) = value.filter(|value| !value.is_empty()) {
        set(conf, key, value);
    }
}

fn set_list(conf: &mut Conf, key: &str, values: Option<&[String]>) {
    if let Some(values) = values.filter(|values| !values.is_empty()) {
        set(conf, key, values.join(","));
    }
}

fn set_number(conf: &mut Conf, key: &str, value: Option<impl ToString>) {
    if let Some(value) = value {
        set(conf, key, value.to_string());
    }
}

fn dependencies(deps: &Dependencies, conf: &mut Conf) {
    for (key, values) in [
        ("spark.jars", &deps.jars),
        ("spark.files", &deps.files),
        ("spark.submit.pyFiles", &deps.py_files),
        ("spark.jars.packages", &deps.packages),
        ("spark.jars.excludes", &deps.exclude_packages),
        ("spark.jars.repositories", &deps.repositories),
        ("spark.archives", &deps.archives),
    ] {
        set_list(conf, key, values.as_deref());
    }
}

fn spark_conf(app: &SparkApplication, conf: &mut Conf) -> Result<(), ApplicationError> {
    for (key, value) in app.spec.spark_conf.iter().flatten() {
        if let Some(refusal) = refused_spark_conf(key, value, Some(super::namespace(app))) {
            return Err(ApplicationError::RefusedKey(refusal));
        }
        set(conf, key, value);
    }
    Ok(())
}

fn driver_conf(app: &SparkApplication, driver: &DriverSpec, settings: &Settings, conf: &mut Conf) {
    let service_account = driver
        .pod
        .service_account
        .as_deref()
        .or(settings.default_service_account.as_deref());
    set_some(
        conf,
        "spark.kubernetes.authenticate.driver.serviceAccountName",
        service_account,
    );
    set_some(
        conf,
        "spark.kubernetes.driver.request.cores",
        driver.core_request.as_deref(),
    );
    set_some(conf, "spark.driver.extraJavaOptions", driver.java_options.as_deref());
    set_some(
        conf,
        "spark.kubernetes.driver.master",
        driver.kubernetes_master.as_deref(),
    );
    for (key, value) in driver.service_labels.iter().flatten() {
        set(conf, &format!("spark.kubernetes.driver.service.label.{key}"), value);
    }
    for (key, value) in driver.service_annotations.iter().flatten() {
        set(
            conf,
            &format!("spark.kubernetes.driver.service.annotation.{key}"),
            value,
        );
    }
    cpu_limit("driver", driver.pod.cores, settings, conf);
    image("driver", &driver.pod, app, settings, conf);
}

fn executor_conf(
    app: &SparkApplication,
    executor: &ExecutorSpec,
    settings: &Settings,
    conf: &mut Conf,
) -> Result<(), ApplicationError> {
    if executor.instances.is_some_and(|instances| instances < 0) {
        return Err(ApplicationError::field(
            "spec.executor.instances",
            "must not be negative".to_owned(),
        ));
    }
    set_number(conf, "spark.executor.instances", executor.instances);
    set_some(
        conf,
        "spark.kubernetes.authenticate.executor.serviceAccountName",
        executor.pod.service_account.as_deref(),
    );
    set_some(
        conf,
        "spark.kubernetes.executor.request.cores",
        executor.core_request.as_deref(),
    );
    set_some(
        conf,
        "spark.executor.extraJavaOptions",
        executor.java_options.as_deref(),
    );
    // Spark sets the executors' grace period itself, whatever their template says.
    set_number(
        conf,
        "spark.kubernetes.executor.terminationGracePeriodSeconds",
        executor
            .pod
            .termination_grace_period_seconds
            .map(|seconds| format!("{seconds}s")),
    );
    set_number(
        conf,
        "spark.kubernetes.executor.deleteOnTermination",
        executor.delete_on_termination,
    );
    cpu_limit("executor", executor.pod.cores, settings, conf);
    image("executor", &executor.pod, app, settings, conf);
    Ok(())
}

fn image(role: &str, pod: &SparkPodSpec, app: &SparkApplication, settings: &Settings, conf: &mut Conf) {
    let image = pod.image.as_deref().filter(|image| !image.is_empty());
    let image = image
        .or(app.spec.image.as_deref())
        .or(settings.default_image.as_deref());
    set_some(conf, &format!("spark.kubernetes.{role}.container.image"), image);
}

fn cpu_limit(role: &str, cores: Option<i32>, settings: &Settings, conf: &mut Conf) {
    if settings.cpu_limits {
        let configured = conf.get(&format!("spark.{role}.cores")).cloned();
        let cores = cores
            .map(|cores| cores.to_string())
            .or(configured)
            .unwrap_or_else(|| "1".to_owned());
        conf.entry(format!("spark.kubernetes.{role}.limit.cores"))
            .or_insert(cores);
    }
}

/// Fields that driver and executor have in common and that are keys of Spark.
fn pod_conf(pod: &SparkPodSpec, role: &str, conf: &mut Conf) {
    let env = |name: &str| match role {
        "driver" => format!("spark.kubernetes.driverEnv.{name}"),
        _ => format!("spark.executorEnv.{name}"),
    };
    set_number(conf, &format!("spark.{role}.cores"), pod.cores);
    set_some(
        conf,
        &format!("spark.kubernetes.{role}.limit.cores"),
        pod.core_limit.as_deref(),
    );
    set_some(conf, &format!("spark.{role}.memory"), pod.memory.as_deref());
    set_some(
        conf,
        &format!("spark.{role}.memoryOverhead"),
        pod.memory_overhead.as_deref(),
    );
    set_some(
        conf,
        &format!("spark.kubernetes.{role}.scheduler.name"),
        pod.scheduler_name.as_deref(),
    );
    for (key, value) in pod.node_selector.iter().flatten() {
        set(conf, &format!("spark.kubernetes.{role}.node.selector.{key}"), value);
    }
    for (key, value) in pod.annotations.iter().flatten() {
        set(conf, &format!("spark.kubernetes.{role}.annotation.{key}"), value);
    }
    for (name, value) in pod.env_vars.iter().flatten() {
        set(conf, &env(name), value);
    }
    for (name, NameKey { name: secret, key }) in pod.env_secret_key_refs.iter().flatten() {
        set(
            conf,
            &format!("spark.kubernetes.{role}.secretKeyRef.{name}"),
            format!("{secret}:{key}"),
        );
    }
    for SecretInfo {
        name,
        path,
        secret_type,
    } in pod.secrets.iter().flatten()
    {
        set(conf, &format!("spark.kubernetes.{role}.secrets.{name}"), path);
        let (variable, file) = match secret_type {
            SecretType::GcpServiceAccount => ("GOOGLE_APPLICATION_CREDENTIALS", "key.json"),
            SecretType::HadoopDelegationToken => ("HADOOP_TOKEN_FILE_LOCATION", "hadoop.token"),
            SecretType::Generic => continue,
        };
        set(conf, &env(variable), format!("{}/{file}", path.trim_end_matches('/')));
    }
}

fn labels(app: &SparkApplication, role: &str, submission_id: &str, conf: &mut Conf) {
    let mut label = |key: &str, value: &str| set(conf, &format!("spark.kubernetes.{role}.label.{key}"), value);
    let propagated = app.metadata.labels.iter().flatten();
    for (key, value) in propagated.filter(|(key, _)| !key.starts_with(NOT_PROPAGATED)) {
        label(key, value);
    }
    let pod = match role {
        "driver" => app.spec.driver.as_ref().map(|driver| &driver.pod),
        _ => app.spec.executor.as_ref().map(|executor| &executor.pod),
    };
    for (key, value) in pod.and_then(|pod| pod.labels.as_ref()).into_iter().flatten() {
        label(key, value);
    }
    // Last, because the operator finds its pods by them.
    label(names::LABEL_APP_NAME, super::name(app));
    label(names::LABEL_LAUNCHED_BY, "true");
    label(names::LABEL_SUBMISSION_ID, submission_id);
}

fn dynamic_allocation(app: &SparkApplication, conf: &mut Conf) {
    let Some(allocation) = app
        .spec
        .dynamic_allocation
        .as_ref()
        .filter(|allocation| allocation.enabled)
    else {
        return;
    };
    set(conf, "spark.dynamicAllocation.enabled", "true");
    let tracking = allocation.shuffle_tracking_enabled.unwrap_or(true);
    set(
        conf,
        "spark.dynamicAllocation.shuffleTracking.enabled",
        tracking.to_string(),
    );
    set_number(
        conf,
        "spark.dynamicAllocation.initialExecutors",
        allocation.initial_executors,
    );
    set_number(conf, "spark.dynamicAllocation.minExecutors", allocation.min_executors);
    set_number(conf, "spark.dynamicAllocation.maxExecutors", allocation.max_executors);
    set_number(
        conf,
        "spark.dynamicAllocation.shuffleTracking.timeout",
        allocation.shuffle_tracking_timeout,
    );
}

/// Volumes named `spark-local-dir-…` become Spark's local directories, which only its own configuration can say.
fn local_volumes(app: &SparkApplication, version: &SparkVersion, conf: &mut Conf) -> Result<(), ApplicationError> {
    let roles = [
        ("driver", app.spec.driver.as_ref().map(|driver| &driver.pod)),
        ("executor", app.spec.executor.as_ref().map(|executor| &executor.pod)),
    ];
    for (role, pod) in roles {
        for mount in pod.and_then(|pod| pod.volume_mounts.as_ref()).into_iter().flatten() {
            if !mount.name.starts_with(names::LOCAL_DIR_VOLUME_PREFIX) {
                continue;
            }
            let path = format!("spec.{role}.volumeMounts");
            let volume = app
                .spec
                .volumes
                .iter()
                .flatten()
                .find(|volume| volume.name == mount.name)
                .ok_or_else(|| ApplicationError::field(&path, format!("`{}` is not in spec.volumes", mount.name)))?;
            let (kind, options) = local_volume_options(volume, version)?;
            let key = |end: &str| format!("spark.kubernetes.{role}.volumes.{kind}.{}.{end}", mount.name);
            set(conf, &key("mount.path"), &mount.mount_path);
            set_some(conf, &key("mount.subPath"), mount.sub_path.as_deref());
            if mount.read_only == Some(true) {
                set(conf, &key("mount.readOnly"), "true");
            }
            for (option, value) in options {
                set(conf, &key(&format!("options.{option}")), value);
            }
        }
    }
    Ok(())
}

type Options = Vec<(&'static str, String)>;

fn local_volume_options(
    volume: &k8s_openapi::api::core::v1::Volume,
    version: &SparkVersion,
) -> Result<(&'static str, Options), ApplicationError> {
    let given = |options: Vec<(&'static str, Option<String>)>| -> Options {
        options
            .into_iter()
            .filter_map(|(option, value)| Some((option, value?)))
            .collect()
    };
    if let Some(empty) = &volume.empty_dir {
        let size = empty.size_limit.as_ref().map(|size| size.0.clone());
        return Ok((
            "emptyDir",
            given(vec![("medium", empty.medium.clone()), ("sizeLimit", size)]),
        ));
    }
    if let Some(host) = &volume.host_path {
        let kind = host
            .type_
            .clone()
            .filter(|kind| !kind.is_empty() && version.since(4, 0));
        return Ok((
            "hostPath",
            given(vec![("path", Some(host.path.clone())), ("type", kind)]),
        ));
    }
    if let Some(nfs) = &volume.nfs {
        return Ok((
            "nfs",
            given(vec![
                ("path", Some(nfs.path.clone())),
                ("server", Some(nfs.server.clone())),
            ]),
        ));
    }
    if let Some(claim) = &volume.persistent_volume_claim {
        return Ok((
            "persistentVolumeClaim",
            given(vec![("claimName", Some(claim.claim_name.clone()))]),
        ));
    }
    Err(ApplicationError::field(
        "spec.volumes",
        format!(
            "`{}`: a local directory of Spark must be an emptyDir, hostPath, nfs or persistentVolumeClaim",
            volume.name
        ),
    ))
}

/// Spark gives executors a memory limit equal to their request and lets no template change it. So the overhead is raised until both are the limit.
fn executor_memory_limit(limit: &str, python: bool, conf: &mut Conf) -> Result<(), ApplicationError> {
    const PATH: &str = "spec.executor.memoryLimit";
    let limit_mib = memory_limit(PATH, limit)?.mib();
    let mib = |key: &str| -> u64 {
        let value = conf.get(key).and_then(|value| Memory::parse(value, ByteUnit::Mib).ok());
        value.map_or(0, Memory::mib)
    };
    let off_heap = conf
        .get("spark.memory.offHeap.enabled")
        .is_some_and(|enabled| enabled == "true");
    let off_heap = if off_heap {
        let size = conf.get("spark.memory.offHeap.size");
        size.and_then(|size| Memory::parse(size, ByteUnit::Byte).ok())
            .map_or(0, Memory::mib)
    } else {
        0
    };
    let heap = mib("spark.executor.memory").max(u64::from(!conf.contains_key("spark.executor.memory")) * 1024);
    let rest = heap
        + off_heap
        + if python {
            mib("spark.executor.pyspark.memory")
        } else {
            0
        };
    let overhead = limit_mib
        .checked_sub(rest)
        .filter(|overhead| *overhead >= mib("spark.executor.memoryOverhead").max(1));
    let overhead = overhead.ok_or_else(|| {
        ApplicationError::field(
            PATH,
            format!(
                "`{limit}` is less than heap, off-heap, Python memory and overhead together; raise it, or lower those"
            ),
        )
    })?;
    set(conf, "spark.executor.memoryOverhead", format!("{overhead}m"));
    Ok(())
}

/// A memory limit: a Java memory string or a quantity.
///
/// # Errors
/// When it is neither.
pub fn memory_limit(path: &str, text: &str) -> Result<Memory, ApplicationError> {
    Memory::parse_limit(text).map_err(|error| ApplicationError::field(path, error.to_string()))
}
