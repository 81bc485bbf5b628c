//! What is around Spark: History Server, notebooks, experiments, schedules, streams, shuffle data, Iceberg.

use serde_json::json;

use super::making::Making;
use super::spark::minor;
use super::stores::{DATABASE, METASTORE, Stores, need_database, place};

const HISTORY: &str = "history";
const NOTEBOOKS: &str = "notebooks";
const EXPERIMENTS: &str = "experiments";
const SCHEDULES: &str = "schedules";
const STREAM: &str = "stream";
const SHUFFLE: &str = "shuffle";

pub(super) fn convert(making: &mut Making<'_>, connect: Option<&str>, stores: &Stores) {
    history(making, connect, stores);
    if making.is_on("mlflow") {
        mlflow(making, stores);
    }
    if making.is_on("jupyter") {
        jupyter(making, connect);
    }
    if making.is_on("airflow") {
        airflow(making);
    }
    if making.is_on("kafka") {
        kafka(making, connect);
    }
    if making.is_on("celeborn") {
        celeborn(making, connect);
    }
    if making.is_on("features.iceberg") {
        iceberg(making, connect);
    }
}

/// Event logs and the server that shows them.
fn history(making: &mut Making<'_>, connect: Option<&str>, stores: &Stores) {
    let is_on = making.is_on("historyServer");
    let logged = making.switch("connect.eventLog.enabled");
    let dir = making.text("connect.eventLog.dir");
    let read = making.text("historyServer.logDirectory").filter(|_| is_on);
    match (&dir, &read, logged) {
        (Some(dir), _, Some(false) | None) => {
            making.idle(
                dir,
                "the event log is off: its directory did nothing in the kit",
                "add `enabled: true`",
            );
        }
        (None, None, Some(true)) => {
            making.lacks(
                "connect.eventLog",
                "the event log is on and has no directory",
                "add `dir: s3a://BUCKET/FOLDER`",
            );
        }
        _ => {}
    }
    let writes = logged == Some(true);
    if !is_on && !writes {
        return;
    }
    if let (Some(read), Some(written), true) = (&read, &dir, writes)
        && read.text.trim_end_matches('/') != written.text.trim_end_matches('/')
    {
        let message = format!(
            "the History Server of the kit reads {}, and event logs go to {}: it showed none of them. Both are the second place here",
            read.text, written.text
        );
        making.changed(read, message, "");
    }
    // Where logs are written counts: a server that reads elsewhere shows nothing.
    let from = dir.clone().filter(|_| writes).or_else(|| read.clone());
    let Some(from) = from else {
        if is_on {
            making.lacks(
                "historyServer",
                "where event logs are is not said",
                "add `logDirectory: s3a://BUCKET/FOLDER`",
            );
        }
        return;
    };
    let component =
        place(&from.text).and_then(|(bucket, folder)| Some((stores.of(bucket)?.to_owned(), folder.to_owned())));
    let Some((store, folder)) = component else {
        making.lost(
            &from,
            format!("{} is not a place in a bucket of the store", from.text),
            "write s3a://BUCKET/FOLDER, and add `global.s3`",
        );
        if is_on {
            let message = "a History Server reads a bucket of the store, and event logs are elsewhere";
            making.lacks(
                "historyServer",
                message,
                "write s3a://BUCKET/FOLDER, and add `global.s3`",
            );
        }
        return;
    };
    let at = |key: &'static str| ["components", HISTORY, key];
    making.set(&at("kind"), "history-server");
    match folder.is_empty() {
        true => making.lost(
            &from,
            "event logs need a folder of their own in the bucket",
            "write s3a://BUCKET/FOLDER",
        ),
        false => making.put(&from, &at("path"), folder),
    }
    making.set(&at("store"), store);
    if let Some(read) = read {
        making.accounted(&read.path);
        making.origins.insert(format!("components.{HISTORY}.store"), read.path);
    }
    if let (Some(connect), true) = (connect, writes) {
        making.set(&["components", connect, "history"], HISTORY);
    }
    if !is_on {
        if let Some(dir) = &dir {
            making.changed(
                dir,
                "event logs are shown by a History Server, which is a component too",
                "",
            );
        }
        return;
    }
    making.resources("historyServer.resources", &["components", HISTORY]);
    making.elsewhere(
        "historyServer.image",
        "the History Server is Stoke's own, and reads the same logs",
    );
    making.elsewhere(
        "historyServer.sparkConf",
        "the History Server is Stoke's own, without configuration of Spark",
    );
    host(making, "historyServer", HISTORY, 18080);
}

/// Host and port under which a component is reached.
fn host(making: &mut Making<'_>, root: &str, component: &str, port: u16) {
    let hosts = ["ingress.host", "ingress.hostname", "host"];
    if making.switch(&format!("{root}.ingress.enabled")) == Some(false) {
        making.subtree(&format!("{root}.ingress"), "it is off: nothing of it is carried");
    } else if let Some(host) = making.first(root, &hosts) {
        making.put(&host, &["components", component, "host"], host.text.as_str());
    }
    for key in ["service.port", "port", "service.type"] {
        let Some(part) = making.text(&format!("{root}.{key}")) else {
            continue;
        };
        match part.text == port.to_string() || part.text == "ClusterIP" {
            true => making.accounted(&part.path),
            false => making.changed(
                &part,
                format!("its service is of type ClusterIP at port {port}"),
                "write `host` to reach it from outside",
            ),
        }
    }
}

fn jupyter(making: &mut Making<'_>, connect: Option<&str>) {
    let Some(connect) = connect else {
        making.lacks("jupyter", "notebooks need a Connect server", "switch `connect` on");
        return;
    };
    let to = ["components", NOTEBOOKS];
    let token = "notebooks-token";
    making.set(
        &to,
        json!({"kind": "jupyterlab", "connect": connect, "token": {"secret": token, "key": "token"}}),
    );
    making.image("jupyter.image", &to);
    making.resources("jupyter.resources", &to);
    making.storage(&["jupyter.persistence".to_owned(), "jupyter.storage".to_owned()], &to);
    if let Some(existing) = making.first("jupyter", &["existingSecret", "auth.existingSecret"]) {
        making.put(
            &existing,
            &["components", NOTEBOOKS, "token", "secret"],
            existing.text.as_str(),
        );
    }
    for key in ["token", "password", "auth.token", "auth.password"] {
        making.secret(&format!("jupyter.{key}"), token, "token");
    }
    if making.has(&["components", EXPERIMENTS]) {
        making.set(&["components", NOTEBOOKS, "tracking"], EXPERIMENTS);
    }
    if let Some(replicas) = making.text("jupyter.replicas") {
        match replicas.text.as_str() {
            "1" => making.accounted(&replicas.path),
            _ => making.changed(
                &replicas,
                "one pod has the volume of the notebooks",
                "add a component for each team",
            ),
        }
    }
    host(making, "jupyter", NOTEBOOKS, 8888);
}

fn mlflow(making: &mut Making<'_>, stores: &Stores) {
    let Some(store) = stores.first().map(str::to_owned) else {
        making.lacks(
            "mlflow",
            "MLflow needs an object store for its artifacts, and the values name none",
            "add `global.s3` with `endpoint` and `bucket`",
        );
        return;
    };
    let to = ["components", EXPERIMENTS];
    making.set(
        &to,
        json!({"kind": "mlflow", "database": {"component": DATABASE}, "store": store}),
    );
    let place = making.values.place("mlflow");
    making.report.changed(
        place,
        "mlflow.enabled",
        "no template of the kits asked for it: it is a component now",
        "leave it out where it is not wanted",
    );
    need_database(making, "mlflow");
    version(making, "mlflow", EXPERIMENTS, &["3.17.2", "3.17.1"]);
    making.resources("mlflow.resources", &to);
    if let Some(replicas) = making.first("mlflow", &["replicas", "replicaCount"]) {
        making.count(&replicas, &["components", EXPERIMENTS, "replicas"]);
    }
    host(making, "mlflow", EXPERIMENTS, 5000);
}

/// The version of a component, where it is one that was tried.
fn version(making: &mut Making<'_>, root: &str, component: &str, known: &[&str]) {
    if let Some(version) = making.first(root, &["version", "image.tag"]) {
        match known.contains(&version.text.trim_start_matches('v')) {
            true => making.put(
                &version,
                &["components", component, "version"],
                version.text.trim_start_matches('v'),
            ),
            false => making.changed(
                &version,
                format!("`{}` was not tried: it is {}", version.text, known[0]),
                "",
            ),
        }
    }
    making.elsewhere(
        &format!("{root}.image"),
        "the image is the project's own of that version; write `image` in the component where it must be another",
    );
}

fn airflow(making: &mut Making<'_>) {
    let to = ["components", SCHEDULES];
    let secret = "airflow-keys";
    making.set(
        &to,
        json!({"kind": "airflow", "database": {"component": DATABASE},
            "fernetKey": {"secret": secret, "key": "fernet"}, "signingKey": {"secret": secret, "key": "signing"}}),
    );
    need_database(making, "airflow");
    if let Some(of) = making.first("airflow", &["airflowVersion"]) {
        match ["3.3.2", "3.3.1"].contains(&of.text.as_str()) {
            true => making.put(&of, &["components", SCHEDULES, "version"], of.text.as_str()),
            false => making.changed(&of, format!("`{}` was not tried: it is 3.3.2", of.text), ""),
        }
    }
    version(making, "airflow", SCHEDULES, &["3.3.2", "3.3.1"]);
    for (key, of) in [
        ("fernetKey", "fernet"),
        ("webserverSecretKey", "signing"),
        ("secretKey", "signing"),
        ("jwtSecret", "signing"),
    ] {
        making.secret(&format!("airflow.{key}"), secret, of);
    }
    for (key, field) in [
        ("fernetKeySecretName", "fernetKey"),
        ("webserverSecretKeySecretName", "signingKey"),
    ] {
        if let Some(existing) = making.text(&format!("airflow.{key}")) {
            making.put(
                &existing,
                &["components", SCHEDULES, field, "secret"],
                existing.text.as_str(),
            );
        }
    }
    making.resources("airflow.resources", &to);
    if let Some(claim) = making.first("airflow", &["dags.persistence.existingClaim", "dagsClaim"]) {
        making.put(&claim, &["components", SCHEDULES, "dagsClaim"], claim.text.as_str());
    }
    if let Some(executor) = making.text("airflow.executor") {
        match executor.text.as_str() {
            "LocalExecutor" => making.accounted(&executor.path),
            _ => making.changed(
                &executor,
                format!(
                    "it is the LocalExecutor, not the {}: DAGs submit SparkApplications",
                    executor.text
                ),
                "",
            ),
        }
    }
    host(making, "airflow", SCHEDULES, 8080);
}

fn kafka(making: &mut Making<'_>, connect: Option<&str>) {
    if let Some(servers) = making.first("kafka", &["bootstrapServers", "externalBootstrapServers"]) {
        making.lost(
            &servers,
            "a Kafka outside of the platform is not a component",
            "name it in the applications that read it, as `kafka.bootstrap.servers`",
        );
        return;
    }
    let to = ["components", STREAM];
    making.set(&to, json!({"kind": "kafka"}));
    version(making, "kafka", STREAM, &["4.1.2", "4.1.1"]);
    odd(
        making,
        "kafka",
        &["replicas", "replicaCount", "controller.replicaCount"],
        &["components", STREAM, "replicas"],
    );
    making.resources("kafka.resources", &to);
    let storage = ["persistence", "storage", "controller.persistence"].map(|key| format!("kafka.{key}"));
    making.storage(&storage, &to);
    if let Some(connect) = connect {
        making.set(&["components", connect, "kafka"], STREAM);
    }
}

/// How many vote: an odd number.
fn odd(making: &mut Making<'_>, root: &str, keys: &[&str], to: &[&str]) {
    let Some(count) = making.first(root, keys) else { return };
    match count.text.parse::<u32>() {
        Ok(even) if even > 0 && even % 2 == 0 => {
            making.put(&count, to, even + 1);
            making.changed(
                &count,
                format!("of {even} no side of a split has more than half: it is {}", even + 1),
                "",
            );
        }
        _ => making.count(&count, to),
    }
}

fn celeborn(making: &mut Making<'_>, connect: Option<&str>) {
    let is_deployed = ["master", "masters", "worker", "workers", "image"]
        .iter()
        .any(|key| making.values.look(&format!("celeborn.{key}")).is_some());
    let endpoints = making.text("celeborn.masterEndpoints");
    if let (Some(endpoints), false) = (&endpoints, is_deployed) {
        let Some(connect) = connect else {
            making.idle(endpoints, "nothing uses it without a Connect server", "");
            return;
        };
        let conf = |key: &'static str| ["components", connect, "sparkConf", key];
        making.put(
            endpoints,
            &conf("spark.celeborn.master.endpoints"),
            endpoints.text.as_str(),
        );
        making.set(
            &conf("spark.shuffle.manager"),
            "org.apache.spark.shuffle.celeborn.SparkShuffleManager",
        );
        making.changed(
            endpoints,
            "the client of Celeborn must be in the image, the build for this Spark and its Scala",
            "build an image with it (`stoke image build`)",
        );
        return;
    }
    if let Some(endpoints) = &endpoints {
        making.changed(
            endpoints,
            format!("the masters are those of the component `{SHUFFLE}`"),
            "",
        );
    }
    let to = ["components", SHUFFLE];
    making.set(&to, json!({"kind": "celeborn"}));
    version(making, "celeborn", SHUFFLE, &["0.5.4"]);
    odd(
        making,
        "celeborn",
        &["master.replicas", "masters.replicas", "masters"],
        &["components", SHUFFLE, "masters"],
    );
    if let Some(workers) = making.first("celeborn", &["worker.replicas", "workers.replicas", "workers"]) {
        making.count(&workers, &["components", SHUFFLE, "workers"]);
    }
    let storage = ["worker.storage", "worker.persistence", "persistence"].map(|key| format!("celeborn.{key}"));
    making.storage(&storage, &to);
    making.resources("celeborn.resources", &to);
    if let Some(connect) = connect {
        making.set(&["components", connect, "shuffle"], SHUFFLE);
    }
}

fn iceberg(making: &mut Making<'_>, connect: Option<&str>) {
    let root = "features.iceberg";
    let kind = making.first(root, &["catalogType", "type"]);
    let name = making.first(root, &["catalogName", "catalog"]);
    let Some(connect) = connect else {
        making.subtree(root, "nothing uses it without a Connect server");
        return;
    };
    let Some(kind) = kind else {
        making.lacks(
            root,
            "the type of the catalogue is not said",
            "add `catalogType: hive`, rest or hadoop",
        );
        return;
    };
    if kind.text == "hive" && making.has(&["components", METASTORE]) {
        making.put(&kind, &["components", METASTORE, "tables"], "iceberg");
        if let Some(name) = name {
            making.changed(
                &name,
                format!("the catalog has the name of its component, `{METASTORE}`"),
                "rename the component, or the tables in queries",
            );
        }
        for key in ["uri", "warehouse", "version"] {
            if let Some(part) = making.text(&format!("{root}.{key}")) {
                making.changed(
                    &part,
                    format!("it follows from the component `{METASTORE}` and its Spark"),
                    "",
                );
            }
        }
        return;
    }
    let catalog = name
        .as_ref()
        .map_or_else(|| "iceberg".to_owned(), |name| name.text.clone());
    let prefix = format!("spark.sql.catalog.{catalog}");
    let key = |of: &str| {
        if of.is_empty() {
            prefix.clone()
        } else {
            format!("{prefix}.{of}")
        }
    };
    making.set(
        &["components", connect, "sparkConf", "spark.sql.extensions"],
        "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
    );
    let class = "org.apache.iceberg.spark.SparkCatalog";
    match &name {
        Some(name) => making.put(name, &["components", connect, "sparkConf", &key("")], class),
        None => making.set(&["components", connect, "sparkConf", &key("")], class),
    }
    making.put(
        &kind,
        &["components", connect, "sparkConf", &key("type")],
        kind.text.as_str(),
    );
    for of in ["uri", "warehouse"] {
        if let Some(part) = making.text(&format!("{root}.{of}")) {
            making.put(
                &part,
                &["components", connect, "sparkConf", &key(of)],
                part.text.as_str(),
            );
        }
    }
    match (making.text(&format!("{root}.version")), minor(making)) {
        (Some(version), Some((minor, scala))) => {
            let package = format!(
                "org.apache.iceberg:iceberg-spark-runtime-{minor}_{scala}:{}",
                version.text
            );
            making.put(
                &version,
                &["components", connect, "sparkConf", "spark.jars.packages"],
                package,
            );
        }
        (Some(version), None) => making.lost(
            &version,
            "for which Spark it is wanted is not known",
            "give the version of Spark with --spark",
        ),
        (None, _) => {
            let place = making.values.place(root);
            making.report.changed(
                place,
                root,
                "the values name no version of Iceberg: its jar must be in the image",
                "",
            );
        }
    }
}
