//! The driver pod's frame: name, labels, image, ports, environment, cores and memory, node selectors; and local dependencies.

use serde_json::{Value, json};

use crate::build::{Build, substitute_ids};
use crate::conf::Conf;
use crate::error::PlanError;
use crate::object::{array, merge_into, object};
use crate::{memory, resources, uri};

/// Default port of the driver's RPC endpoint.
pub(crate) const DRIVER_PORT: i32 = 7078;
/// Default port of block managers.
pub(crate) const BLOCK_MANAGER_PORT: i32 = 7079;
const UI_PORT: i32 = 4040;
const CONNECT_PORT: i32 = 15002;

/// Ports the driver listens on, by name, as the container and the service declare them.
pub(crate) fn ports(conf: &Conf) -> Result<Vec<(&'static str, i32)>, PlanError> {
    let mut ports = vec![
        ("driver-rpc-port", conf.int("spark.driver.port", DRIVER_PORT)?),
        ("blockmanager", 0),
        ("spark-ui", conf.int("spark.ui.port", UI_PORT)?),
    ];
    // The two sides disagree: the pod falls back to `spark.blockManager.port`, the service does not.
    ports[1].1 = conf.int(
        "spark.driver.blockManager.port",
        conf.int("spark.blockManager.port", BLOCK_MANAGER_PORT)?,
    )?;
    if conf.version.since(4, 1) {
        ports.push((
            "spark-connect",
            conf.int("spark.connect.grpc.binding.port", CONNECT_PORT)?,
        ));
    }
    Ok(ports)
}

/// Adds the frame to pod and container.
pub(crate) fn frame(build: &mut Build<'_>) -> Result<(), PlanError> {
    let conf = build.conf.clone();
    let memory = memory::driver(&conf, build.is_jvm())?;
    let cores = conf.int("spark.driver.cores", 1)?;
    let cpu = conf
        .get("spark.kubernetes.driver.request.cores")
        .unwrap_or_else(|| cores.to_string());
    container(build, &conf, &cpu, memory.total_mib)?;
    pod(build, &conf)?;

    let pod_name = build.pod_name();
    build.add_property("spark.kubernetes.driver.pod.name", pod_name);
    build.add_property("spark.app.id", build.app_id());
    build.add_property("spark.kubernetes.submitInDriver", "true");
    build.add_property(
        "spark.kubernetes.memoryOverheadFactor",
        memory::java_double(memory.factor),
    );
    dependencies(build)
}

fn container(build: &mut Build<'_>, conf: &Conf, cpu: &str, memory_mib: i64) -> Result<(), PlanError> {
    let image = image(conf, "driver")?;
    let pull_policy = pull_policy(conf)?;
    let ports = ports(conf)?;
    let user = match &build.request.proxy_user {
        Some(proxy) if conf.version.since(4, 3) => proxy.clone(),
        _ => build.request.user.clone(),
    };
    let app_id = build.app_id();
    let draft = &mut build.draft;
    draft
        .container
        .entry("name")
        .or_insert_with(|| json!("spark-kubernetes-driver"));
    draft.container.insert("image".to_owned(), json!(image));
    draft.container.insert("imagePullPolicy".to_owned(), json!(pull_policy));
    let declared = array(&mut draft.container, "ports");
    declared.extend(
        ports
            .into_iter()
            .map(|(name, port)| json!({"containerPort": port, "name": name, "protocol": "TCP"})),
    );

    draft.add_env("SPARK_USER", &user);
    draft.add_env("SPARK_APPLICATION_ID", app_id);
    for (name, value) in conf.with_prefix("spark.kubernetes.driverEnv.") {
        draft.add_env(&name, &value);
    }
    draft.add_env_from_field("SPARK_DRIVER_BIND_ADDRESS", "status.podIP");

    let wanted = object(&mut draft.container, "resources");
    let memory = Value::String(format!("{memory_mib}Mi"));
    let requests = object(wanted, "requests");
    requests.insert("cpu".to_owned(), json!(cpu));
    requests.insert("memory".to_owned(), memory.clone());
    let limits = object(wanted, "limits");
    if let Some(limit) = conf.get("spark.kubernetes.driver.limit.cores") {
        limits.insert("cpu".to_owned(), json!(limit));
    }
    limits.insert("memory".to_owned(), memory);
    for (name, amount) in resources::requested(conf, "driver")? {
        limits.insert(name, json!(amount));
    }
    if conf.version.since(4, 3) {
        forbid_privilege_escalation(&mut draft.container, conf, "driver")?;
    }
    Ok(())
}

fn pod(build: &mut Build<'_>, conf: &Conf) -> Result<(), PlanError> {
    let labels = build.labels()?;
    let app_id = build.app_id();
    let annotations = conf
        .with_prefix("spark.kubernetes.driver.annotation.")
        .into_iter()
        .map(|(key, value)| (key, substitute_ids(&value, app_id, "")))
        .collect();
    let name = build.pod_name();
    let metadata = build.draft.metadata();
    metadata.insert("name".to_owned(), json!(name));
    merge_into(metadata, "labels", labels);
    merge_into(metadata, "annotations", annotations);

    let spec = build.draft.spec();
    spec.insert("restartPolicy".to_owned(), json!("Never"));
    merge_into(
        spec,
        "nodeSelector",
        conf.with_prefix("spark.kubernetes.node.selector."),
    );
    merge_into(
        spec,
        "nodeSelector",
        conf.with_prefix("spark.kubernetes.driver.node.selector."),
    );
    add_pull_secrets(spec, conf);
    set_scheduler(spec, conf, "driver");
    Ok(())
}

/// The image of a role, `{{SPARK_VERSION}}` filled in.
pub(crate) fn image(conf: &Conf, role: &'static str) -> Result<String, PlanError> {
    let image = conf
        .get(&format!("spark.kubernetes.{role}.container.image"))
        .or_else(|| conf.get("spark.kubernetes.container.image"))
        .filter(|image| !image.trim().is_empty())
        .ok_or(PlanError::MissingImage { role })?;
    if conf.version.since(4, 1) {
        return Ok(image.replace("{{SPARK_VERSION}}", conf.version.as_str()));
    }
    Ok(image)
}

pub(crate) fn pull_policy(conf: &Conf) -> Result<String, PlanError> {
    conf.choice(
        "spark.kubernetes.container.image.pullPolicy",
        &["Always", "Never", "IfNotPresent"],
        "IfNotPresent",
    )
}

pub(crate) fn add_pull_secrets(spec: &mut crate::object::Object, conf: &Conf) {
    let secrets = conf.list("spark.kubernetes.container.image.pullSecrets");
    if !secrets.is_empty() {
        array(spec, "imagePullSecrets").extend(secrets.into_iter().map(|secret| json!({"name": secret})));
    }
}

pub(crate) fn set_scheduler(spec: &mut crate::object::Object, conf: &Conf, role: &str) {
    let scheduler = conf
        .get(&format!("spark.kubernetes.{role}.scheduler.name"))
        .or_else(|| conf.get("spark.kubernetes.scheduler.name"));
    if let Some(scheduler) = scheduler {
        spec.insert("schedulerName".to_owned(), json!(scheduler));
    }
}

/// `securityContext.allowPrivilegeEscalation`, false unless configured (4.3).
pub(crate) fn forbid_privilege_escalation(
    container: &mut crate::object::Object,
    conf: &Conf,
    role: &str,
) -> Result<(), PlanError> {
    let common = conf.bool("spark.kubernetes.securityContext.allowPrivilegeEscalation", false)?;
    let allow = conf.bool(
        &format!("spark.kubernetes.{role}.securityContext.allowPrivilegeEscalation"),
        common,
    )?;
    object(container, "securityContext").insert("allowPrivilegeEscalation".to_owned(), json!(allow));
    Ok(())
}

/// Local jars, files, archives and Python files are uploaded and their properties rewritten.
fn dependencies(build: &mut Build<'_>) -> Result<(), PlanError> {
    for key in ["spark.jars", "spark.files", "spark.archives", "spark.submit.pyFiles"] {
        let (local, remote): (Vec<String>, Vec<String>) = build
            .conf
            .list(key)
            .into_iter()
            .partition(|uri| uri::is_local_file(uri));
        if local.is_empty() {
            continue;
        }
        let mut resolved = Vec::with_capacity(local.len() + remote.len());
        for file in local {
            let uploaded = build.upload(&file)?;
            // Only archives keep the name given after `#`; that of other files is lost, as with spark-submit.
            match uri::split_fragment(&file).1 {
                fragment if key == "spark.archives" => {
                    let rebuilt = uri::rebuild(&uploaded);
                    resolved.push(fragment.map_or(rebuilt.clone(), |fragment| format!("{rebuilt}#{fragment}")));
                }
                Some(fragment) => {
                    build.warnings.push(format!(
                        "`{key}`: the name `{fragment}` given to `{file}` is lost when the file is uploaded"
                    ));
                    resolved.push(uploaded);
                }
                None => resolved.push(uploaded),
            }
        }
        resolved.extend(remote);
        build.add_property(key, resolved.join(","));
    }
    Ok(())
}
