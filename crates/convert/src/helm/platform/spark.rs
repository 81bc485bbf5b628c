//! Sparks, the Connect server, its executors and nodes.

use serde_json::{Map, Value, json};
use stoke_model::distribution;
use stoke_model::manifest::{join, refused_spark_conf};
use stoke_model::memory::{ByteUnit, Memory};
use stoke_model::quantity::Quantity;
use stoke_submit::argv::spark_version_of_image;

use super::making::Making;
use super::stores::{METASTORE, Stores};
use crate::Options;
use crate::helm::blank::is_secret;
use crate::helm::executors::{LEAST_OVERHEAD_MIB, driver_memory, whole_cores};
use crate::helm::values::Scalar;

pub(super) const SPARK: &str = "current";
pub(super) const NODES: &str = "spark";

/// Keys that the platform sets by what is named, and by whom.
const WIRED: [(&str, &str); 16] = [
    ("spark.hadoop.fs.s3a.endpoint", "the object store"),
    ("spark.hadoop.fs.s3a.endpoint.region", "the object store"),
    ("spark.hadoop.fs.s3a.path.style.access", "the object store"),
    ("spark.hadoop.fs.s3a.connection.ssl.enabled", "the object store"),
    ("spark.hadoop.fs.s3a.impl", "the object store"),
    ("spark.sql.catalogImplementation", "the catalog"),
    ("spark.hadoop.hive.metastore.uris", "the catalog"),
    ("spark.sql.warehouse.dir", "the catalog"),
    ("spark.dynamicAllocation.enabled", "`executors`"),
    ("spark.dynamicAllocation.minExecutors", "`executors`"),
    ("spark.dynamicAllocation.maxExecutors", "`executors`"),
    ("spark.executor.instances", "`executors`"),
    ("spark.executor.memory", "`executors`"),
    ("spark.executor.cores", "`executors`"),
    ("spark.driver.memory", "`server`"),
    ("spark.driver.cores", "`server`"),
];

/// The Connect server's name, where there is one.
pub(super) fn convert(making: &mut Making<'_>, options: &Options, stores: &Stores) -> Option<String> {
    spark(making, options, stores);
    if making.switch("connect.enabled") == Some(false) {
        making.subtree("connect", "it is off: no Connect server is made");
        return None;
    }
    making.values.look("connect")?;
    let name = options.name.clone().unwrap_or_else(|| "connect".to_owned());
    let to = ["components", name.as_str()];
    making.set(&["components", &name, "kind"], "spark-connect");
    making.set(&["components", &name, "spark"], SPARK);
    if stores.metastore {
        making.set(&["components", &name, "catalog"], METASTORE);
    }
    if let Some(first) = stores.first() {
        making.set(&["components", &name, "store"], first);
    }
    sizes(making, "connect", &to);
    for root in ["executor", "connect.executor"] {
        executors(making, root, &to);
    }
    allocation(
        making,
        "connect.dynamicAllocation",
        &["connect.executor", "executor"],
        &to,
    );
    replicas(making, "connect.replicas");
    service(making, &to);
    nodes(making, &name);
    conf(making, "connect.sparkConf", &["components", &name, "sparkConf"], true);
    Some(name)
}

fn spark(making: &mut Making<'_>, options: &Options, stores: &Stores) {
    let root = ["connect.image", "image", "spark.image"]
        .into_iter()
        .find(|path| making.values.look(path).is_some());
    let mut image = None;
    if let Some(root) = root {
        making.image(root, &["sparks", SPARK]);
        image = making.out["sparks"][SPARK]["image"].as_str().map(str::to_owned);
    }
    let of_image = image
        .as_deref()
        .and_then(spark_version_of_image)
        .map(|version| version.as_str().to_owned());
    let version = options
        .spark_version
        .as_ref()
        .map(|version| version.as_str().to_owned())
        .or(of_image);
    match version {
        Some(version) => {
            if image.as_deref() == Some(format!("apache/spark:{version}").as_str())
                && let Some(spark) = making.out["sparks"][SPARK].as_object_mut()
            {
                spark.shift_remove("image");
                // It is what the version says.
                making.origins.retain(|to, _| !to.starts_with("sparks."));
            }
            making.set(&["sparks", SPARK, "version"], version);
            if let Some(root) = root {
                let from = if making.values.look(&format!("{root}.tag")).is_some() {
                    format!("{root}.tag")
                } else {
                    root.to_owned()
                };
                if options.spark_version.is_none() {
                    making.origins.insert(format!("sparks.{SPARK}.version"), from);
                }
            }
        }
        None => making.lacks(
            root.unwrap_or("connect"),
            "neither the values nor the image's tag says which Spark it runs",
            "give it with --spark, for example --spark 4.1.4",
        ),
    }
    if stores.metastore {
        making.set(&["sparks", SPARK, "catalog"], METASTORE);
    }
    conf(making, "sparkConf", &["sparks", SPARK, "conf"], false);
}

/// The server's cores and memory.
pub(super) fn sizes(making: &mut Making<'_>, root: &str, to: &[&str]) {
    let of = |key: &str| format!("{root}.resources.{key}");
    let at = |key: &'static str| -> Vec<&str> { to.iter().copied().chain(["server", key]).collect() };
    if let Some(cpu) = making.text(&of("requests.cpu")) {
        match whole_cores(&cpu.text) {
            Ok(cores) => {
                making.put(&cpu, &at("cores"), cores);
                if cores.to_string() != cpu.text {
                    making.changed(
                        &cpu,
                        format!("{} becomes {cores} cores: Spark counts whole ones", cpu.text),
                        "",
                    );
                }
            }
            Err((message, fix)) => making.lost(&cpu, message, fix),
        }
    }
    if let Some(cpu) = making.text(&of("limits.cpu")) {
        let conf: Vec<&str> = to
            .iter()
            .copied()
            .chain(["sparkConf", "spark.kubernetes.driver.limit.cores"])
            .collect();
        making.put(&cpu, &conf, cpu.text.as_str());
    }
    let (asked, most) = (making.text(&of("requests.memory")), making.text(&of("limits.memory")));
    if let (Some(asked), Some(most)) = (&asked, &most) {
        match asked.text == most.text {
            true => making.accounted(&asked.path),
            false => making.changed(
                asked,
                format!(
                    "a driver's memory is asked for and limited alike: {} is left out for {}",
                    asked.text, most.text
                ),
                "",
            ),
        }
    }
    let Some(total) = most.or(asked) else { return };
    match driver_memory(&total.text) {
        Ok((heap, _)) => {
            making.put(&total, &at("memory"), format!("{heap}m"));
            let message = format!(
                "{} of the container become {heap}m of heap and what Spark adds outside of it; in the kit the heap was Spark's 1g",
                total.text
            );
            making.changed(&total, message, "");
        }
        Err((message, fix)) => making.lost(&total, message, fix),
    }
}

/// Executors: `8Gi` of a container's manifest means `8g` of heap to Spark.
pub(super) fn executors(making: &mut Making<'_>, root: &str, to: &[&str]) {
    let of = |key: &str| format!("{root}.{key}");
    let at = |key: &'static str| -> Vec<&str> { to.iter().copied().chain(["executors", key]).collect() };
    let conf = |key: &'static str| -> Vec<&str> { to.iter().copied().chain(["sparkConf", key]).collect() };
    if let Some(cores) = making.text(&of("cores")) {
        match cores.text.parse::<u32>() {
            Ok(count) if count > 0 => making.put(&cores, &at("cores"), count),
            _ => making.lost(
                &cores,
                format!("{}: Spark counts whole cores", cores.text),
                "write 1 or more",
            ),
        }
    }
    if let Some(limit) = making.text(&of("coresLimit")) {
        making.put(
            &limit,
            &conf("spark.kubernetes.executor.limit.cores"),
            limit.text.as_str(),
        );
    }
    let [memory, limit, overhead] = ["memory", "memoryLimit", "memoryOverhead"].map(|key| {
        let scalar = making.text(&of(key))?;
        match mib(&scalar.text) {
            Some(amount) if amount > 0 => Some((scalar, amount)),
            _ => {
                making.lost(
                    &scalar,
                    format!("{} is not a size of memory", scalar.text),
                    "write a size such as 8Gi",
                );
                None
            }
        }
    });
    match (&memory, &limit, &overhead) {
        (None, _, _) => {
            for (scalar, _) in [limit, overhead].into_iter().flatten() {
                making.lost(
                    &scalar,
                    "what is outside of the heap is not known without `memory`",
                    "add `memory: 4Gi`",
                );
            }
        }
        (Some((scalar, heap)), _, _) => {
            let shown = if heap % 1024 == 0 {
                format!("{}g", heap / 1024)
            } else {
                format!("{heap}m")
            };
            making.put(scalar, &at("memory"), shown.as_str());
            making.changed(
                scalar,
                format!(
                    "`{}` did not set the heap in the kit: it becomes spark.executor.memory={shown}",
                    scalar.text
                ),
                "",
            );
            let outside = conf("spark.executor.memoryOverhead");
            if let Some((scalar, amount)) = &overhead {
                making.put(scalar, &outside, format!("{amount}m"));
                making.changed(
                    scalar,
                    "`memoryOverhead` did nothing in the kit; now it is memory outside of the heap",
                    "",
                );
                if let Some((limit, _)) = &limit {
                    making.changed(limit, "what is outside of the heap is said by `memoryOverhead`", "");
                }
            } else if let Some((scalar, most)) = &limit {
                match most.checked_sub(*heap).filter(|left| *left >= LEAST_OVERHEAD_MIB) {
                    Some(left) => {
                        making.put(scalar, &outside, format!("{left}m"));
                        making.changed(scalar, format!("the limit leaves {left}m outside of the heap, which becomes the overhead"), "");
                    }
                    None => making.changed(scalar, format!("{} leaves less than {LEAST_OVERHEAD_MIB} MiB outside of {heap} MiB of heap; the pod gets what Spark adds", scalar.text), ""),
                }
            }
        }
    }
    if making.is_on(&of("gpu")) {
        let part = |making: &Making<'_>, key: &str| making.text(&format!("{root}.gpu.{key}"));
        let count = ["count", "amount", "quantity"]
            .into_iter()
            .find_map(|key| part(making, key));
        match &count {
            Some(count) => making.put(count, &conf("spark.executor.resource.gpu.amount"), count.text.as_str()),
            None => making.set(&conf("spark.executor.resource.gpu.amount"), "1"),
        }
        match part(making, "vendor") {
            Some(vendor) => making.put(
                &vendor,
                &conf("spark.executor.resource.gpu.vendor"),
                vendor.text.trim_end_matches("/gpu"),
            ),
            None => making.set(&conf("spark.executor.resource.gpu.vendor"), "nvidia.com"),
        }
        match part(making, "discoveryScript") {
            Some(script) => making.put(
                &script,
                &conf("spark.executor.resource.gpu.discoveryScript"),
                script.text.as_str(),
            ),
            None => making.set(
                &conf("spark.executor.resource.gpu.discoveryScript"),
                "/opt/spark/examples/src/main/scripts/getGpusResources.sh",
            ),
        }
        match part(making, "taskAmount") {
            Some(amount) => making.put(&amount, &conf("spark.task.resource.gpu.amount"), amount.text.as_str()),
            None => making.set(&conf("spark.task.resource.gpu.amount"), "1"),
        }
    }
}

fn mib(text: &str) -> Option<u64> {
    match Memory::parse(text, ByteUnit::Byte) {
        Ok(memory) => Some(memory.mib()),
        Err(_) => text.parse::<Quantity>().ok().map(|bytes| bytes.bytes() >> 20),
    }
}

/// How many executors there are.
pub(super) fn allocation(making: &mut Making<'_>, root: &str, fixed: &[&str], to: &[&str]) {
    let at = |key: &'static str| -> Vec<&str> { to.iter().copied().chain(["executors", key]).collect() };
    let enabled = making.switch(&format!("{root}.enabled"));
    let bounds = [
        ("min", making.first(root, &["minExecutors", "min"])),
        ("max", making.first(root, &["maxExecutors", "max"])),
        ("initial", making.first(root, &["initialExecutors", "initial"])),
    ];
    let instances = fixed.iter().find_map(|root| making.text(&format!("{root}.instances")));
    if enabled != Some(true) {
        for (_, bound) in bounds.iter() {
            if let Some(bound) = bound {
                making.idle(
                    bound,
                    "dynamic allocation is off: its bounds do nothing",
                    "add `enabled: true`",
                );
            }
        }
        if let Some(instances) = instances {
            making.count(&instances, &at("max"));
            if let Ok(count) = instances.text.parse::<u32>() {
                making.set(&at("min"), count);
                making.changed(
                    &instances,
                    format!("{count} executors, no more and no less: `min` and `max`"),
                    "",
                );
            }
        }
        return;
    }
    if let Some(instances) = instances {
        making.changed(
            &instances,
            "with dynamic allocation a fixed number of executors contradicts itself: it is left out",
            "",
        );
    }
    for (key, bound) in bounds {
        let Some(bound) = bound else { continue };
        match (bound.text.parse::<u32>(), key) {
            (Ok(count), "initial") => {
                let path: Vec<&str> = to
                    .iter()
                    .copied()
                    .chain(["sparkConf", "spark.dynamicAllocation.initialExecutors"])
                    .collect();
                making.put(&bound, &path, count.to_string());
            }
            (Ok(count), "min") => making.put(&bound, &at("min"), count),
            (Ok(count), _) if count > 0 => making.put(&bound, &at("max"), count),
            _ => making.lost(
                &bound,
                format!("{} is not a number of executors", bound.text),
                "write a whole number",
            ),
        }
    }
}

pub(super) fn replicas(making: &mut Making<'_>, path: &str) {
    let Some(replicas) = making.text(path) else { return };
    if replicas.text == "1" {
        making.accounted(path);
        return;
    }
    let message = format!(
        "{} servers behind one service do not share sessions: a client that reaches another one than before loses its session. One server is made",
        replicas.text
    );
    making.changed(
        &replicas,
        message,
        "add a component of kind `spark-connect` for each team",
    );
}

fn service(making: &mut Making<'_>, to: &[&str]) {
    let conf = |key: &'static str| -> Vec<&str> { to.iter().copied().chain(["sparkConf", key]).collect() };
    for (path, key, usual) in [
        ("connect.service.port", "spark.connect.grpc.binding.port", "15002"),
        ("connect.driver.port", "spark.driver.port", "7078"),
        (
            "connect.driver.blockManagerPort",
            "spark.driver.blockManager.port",
            "7079",
        ),
    ] {
        if let Some(port) = making.text(path) {
            match port.text == usual {
                true => making.accounted(path),
                false => making.put(&port, &conf(key), port.text.as_str()),
            }
        }
    }
    if let Some(kind) = making.text("connect.service.type") {
        match kind.text.as_str() {
            "ClusterIP" => making.accounted(&kind.path),
            _ => making.changed(
                &kind,
                format!("the operator's service is of type ClusterIP, not {}", kind.text),
                "apply a Service of that type beside it",
            ),
        }
    }
    if let Some(mode) = making.text("connect.backendMode") {
        match mode.text.as_str() {
            "k8s" | "kubernetes" => making.accounted(&mode.path),
            _ => making.changed(
                &mode,
                format!(
                    "`{}`: a standalone cluster has no counterpart; the server makes its executors itself",
                    mode.text
                ),
                "",
            ),
        }
    }
    if let Some(host) = making.text("connect.driver.host") {
        making.idle(
            &host,
            "the operator sets the driver's address, that of its service",
            "leave it out",
        );
    }
}

/// `nodeSelector` and `tolerations` become nodes of the platform.
fn nodes(making: &mut Making<'_>, connect: &str) {
    let (selector, tolerated) = ("connect.nodeSelector", "connect.tolerations");
    let labels: Vec<(String, Scalar)> = making
        .values
        .look(selector)
        .map(|node| {
            node.entries()
                .iter()
                .map(|entry| (entry.key.clone(), join(selector, &entry.key)))
                .collect::<Vec<_>>()
        })
        .unwrap_or_default()
        .into_iter()
        .filter_map(|(key, path)| Some((key, making.text(&path)?)))
        .collect();
    for (key, label) in &labels {
        making.put(label, &["nodes", NODES, "labels", key], label.text.as_str());
    }
    if !labels.is_empty() {
        making.set(&["components", connect, "nodes"], NODES);
    }
    let Some(node) = making.values.look(tolerated) else {
        return;
    };
    let taints: Vec<String> = node
        .items()
        .iter()
        .filter_map(|item| {
            let part = |key: &str| item.get(key).and_then(|part| part.as_str());
            match (part("key")?, part("value"), part("operator")) {
                (key, Some(value), None | Some("Equal")) => Some(format!("{key}={value}")),
                (key, _, Some("Exists")) => Some(key.to_owned()),
                _ => None,
            }
        })
        .collect();
    if node.items().is_empty() {
        return;
    }
    if labels.is_empty() || taints.len() < node.items().len() {
        let fix = "add `nodeSelector` with labels of the nodes, and name key and value of each taint";
        making.report.lost(
            making.values.place(tolerated),
            tolerated,
            "taints belong to nodes, which are named by their labels",
            fix,
        );
        making.accounted(tolerated);
        return;
    }
    making.set(&["nodes", NODES, "taints"], json!(taints));
    making
        .origins
        .insert(format!("nodes.{NODES}.taints"), tolerated.to_owned());
    making.elsewhere(tolerated, "every effect of these taints is tolerated");
}

/// Keys of Spark; those that the platform sets are named.
pub(super) fn conf(making: &mut Making<'_>, root: &str, to: &[&str], is_of_server: bool) {
    let Some(node) = making.values.look(root) else { return };
    for entry in node.entries() {
        let path = join(root, &entry.key);
        let text = match entry.value.to_value() {
            Value::String(text) => text,
            Value::Bool(value) => value.to_string(),
            Value::Number(number) => number.to_string(),
            Value::Null => continue,
            Value::Array(_) | Value::Object(_) => {
                making.report.lost(
                    making.values.place(&path),
                    &path,
                    format!("the value of {} is not a single one", entry.key),
                    "write a text",
                );
                making.accounted(&path);
                continue;
            }
        };
        let scalar = Scalar {
            text,
            place: making.values.place(&path),
            path,
        };
        let key = entry.key.as_str();
        if is_secret(key) {
            match key.starts_with("spark.hadoop.fs.s3a.") {
                true => making.changed(
                    &scalar,
                    format!("{key} is a secret in plain text: pods take it from the Secret of the object store"),
                    "take the value out of the file, and change it",
                ),
                false => making.lost(
                    &scalar,
                    format!("{key} is a secret in plain text; its value is not carried and not shown"),
                    "keep it in a Secret that the application names",
                ),
            }
        } else if !key.starts_with("spark.") {
            making.idle(
                &scalar,
                format!("Spark ignores `{key}`: its keys begin with `spark.`"),
                "leave it out",
            );
        } else if let Some((_, by)) = WIRED.iter().find(|(wired, _)| *wired == key) {
            making.changed(&scalar, format!("`{key}` is set by {by}"), "");
        } else if key.starts_with("spark.eventLog.")
            && is_of_server
            && making.values.look("historyServer").is_some()
            && ["spark.eventLog.enabled", "spark.eventLog.dir"].contains(&key)
        {
            making.changed(
                &scalar,
                format!("`{key}` is set by the History Server that the server names"),
                "",
            );
        } else if key == "spark.master" {
            making.idle(&scalar, "the operator knows its own cluster", "leave it out");
        } else if let Some(why) = refused_spark_conf(key, &scalar.text, None) {
            making.lost(&scalar, why, "do by hand what the message says");
        } else {
            let at: Vec<&str> = to.iter().copied().chain([key]).collect();
            making.put(&scalar, &at, scalar.text.as_str());
        }
    }
}

/// The minor version and Scala of the Spark that is made, where they are known.
pub(super) fn minor(making: &Making<'_>) -> Option<(String, &'static str)> {
    let version = making.out["sparks"][SPARK]["version"].as_str()?;
    let known = distribution::of(version)?;
    Some((distribution::minor(version).to_owned(), known.scalas.first()?))
}

/// Unused mappings would be keys without a value.
pub(super) fn tidy(value: &mut Value) {
    if let Value::Object(map) = value {
        map.values_mut().for_each(tidy);
        map.retain(|_, value| !matches!(value, Value::Object(map) if map == &Map::new()));
    }
}
