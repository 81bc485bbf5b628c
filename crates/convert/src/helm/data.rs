//! Where data are: object store, metastore, Iceberg, Celeborn.

use stoke_model::distribution;

use super::connect::Server;
use super::values::Values;
use crate::report::Report;

pub(super) fn add(values: &Values<'_>, server: &mut Server, report: &mut Report) {
    store(values, server, report);
    metastore(values, server, report);
    iceberg(values, server, report);
    celeborn(values, server, report);
    history(values, server, report);
}

fn store(values: &Values<'_>, server: &mut Server, report: &mut Report) {
    let root = "global.s3";
    if values.look(root).is_none() {
        return;
    }
    if values.look("global.s3.enabled").is_some() && !values.flag("global.s3.enabled") {
        report.idle(
            values.place(root),
            root,
            "the object store is off: nothing of it is carried",
            "",
        );
        values.take(root);
        return;
    }
    for (key, setting) in [
        ("endpoint", "spark.hadoop.fs.s3a.endpoint"),
        ("pathStyleAccess", "spark.hadoop.fs.s3a.path.style.access"),
        ("region", "spark.hadoop.fs.s3a.endpoint.region"),
        ("sslEnabled", "spark.hadoop.fs.s3a.connection.ssl.enabled"),
    ] {
        if let Some(value) = values.text(&format!("{root}.{key}")) {
            server.set(setting, &value.text);
        }
    }
    let plain: Vec<&str> = ["accessKey", "secretKey"]
        .into_iter()
        .filter(|key| values.text(&format!("{root}.{key}")).is_some())
        .collect();
    if let Some(existing) = values.text("global.s3.existingSecret") {
        for (variable, key) in [
            ("AWS_ACCESS_KEY_ID", "access-key"),
            ("AWS_SECRET_ACCESS_KEY", "secret-key"),
        ] {
            server.secret_variable(variable, &existing.text, key);
        }
        report.changed(
            existing.place,
            &existing.path,
            "its keys are taken to be `access-key` and `secret-key`",
            "change `envSecretKeyRefs` where they are called otherwise",
        );
        for key in plain {
            let path = format!("{root}.{key}");
            report.idle(
                values.place(&path),
                &path,
                format!("`{key}` did nothing in the kit beside `existingSecret`"),
                "take the value out of the file",
            );
        }
        return;
    }
    for key in plain {
        let path = format!("{root}.{key}");
        server.store_secret(key);
        let message = format!(
            "`{key}` is a secret in plain text: server and executors take it from the Secret `{}-s3`",
            server.name
        );
        report.changed(values.place(&path), &path, message, &server.secret_command());
    }
}

/// Roots under which charts have a metastore.
const METASTORES: [&str; 2] = ["hiveMetastore", "spark-base.core.hiveMetastore"];

fn metastore(values: &Values<'_>, server: &mut Server, report: &mut Report) {
    for root in METASTORES {
        let part = |key: &str| values.text(&format!("{root}.{key}"));
        if values.look(root).is_none() {
            continue;
        }
        if part("enabled").is_some_and(|enabled| enabled.text != "true") {
            values.take(root);
            continue;
        }
        let version = part("version").or_else(|| part("image.tag"));
        if let (Some(version), Some(spark)) = (&version, &server.version)
            && version.text.starts_with('4')
            && !server.conf.contains_key("spark.sql.hive.metastore.version")
        {
            let message = format!(
                "Hive Metastore {} and Spark {spark} fail together: Spark's client calls get_table, which Hive 4 no longer has (HIVE-26537), and no table can be created",
                version.text
            );
            report.lost(version.place, &version.path, message, "use metastore 3.1.3");
        }
        let uri = part("uri").or_else(|| part("uris")).map(|uri| uri.text);
        match uri {
            Some(uri) => {
                server.set("spark.sql.catalogImplementation", "hive");
                server.set("spark.hadoop.hive.metastore.uris", &uri);
            }
            None if !server.conf.contains_key("spark.hadoop.hive.metastore.uris") => {
                let message = "nothing in the values points Spark at the metastore: its tables are not seen";
                report.changed(
                    values.place(root),
                    root,
                    message,
                    "add spark.hadoop.hive.metastore.uris: thrift://HOST:9083 to connect.sparkConf",
                );
            }
            None => {}
        }
    }
}

fn iceberg(values: &Values<'_>, server: &mut Server, report: &mut Report) {
    let root = "features.iceberg";
    if values.look(root).is_none() {
        return;
    }
    if !values.flag("features.iceberg.enabled") {
        values.take(root);
        return;
    }
    let part = |key: &str| values.text(&format!("{root}.{key}"));
    let catalog = part("catalogName")
        .or_else(|| part("catalog"))
        .map_or_else(|| "iceberg".to_owned(), |name| name.text);
    let kind = part("catalogType").or_else(|| part("type"));
    let prefix = format!("spark.sql.catalog.{catalog}");
    server.set(
        "spark.sql.extensions",
        "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
    );
    server.set(&prefix, "org.apache.iceberg.spark.SparkCatalog");
    match kind {
        Some(kind) => server.set(&format!("{prefix}.type"), &kind.text),
        None => report.lost(
            values.place(root),
            "features.iceberg.catalogType",
            "the type of the catalogue is not said",
            "add `catalogType: rest`, hive or hadoop",
        ),
    }
    for key in ["uri", "warehouse"] {
        if let Some(value) = part(key) {
            server.set(&format!("{prefix}.{key}"), &value.text);
        }
    }
    let spark = server.version.clone().unwrap_or_default();
    let scala = distribution::of(&spark).and_then(|spark| spark.scalas.first().copied());
    match (part("version"), scala) {
        (Some(version), Some(scala)) => {
            let minor = distribution::minor(&spark);
            server.packages.push(format!(
                "org.apache.iceberg:iceberg-spark-runtime-{minor}_{scala}:{}",
                version.text
            ));
        }
        _ => report.changed(
            values.place(root),
            root,
            "the values name no version of Iceberg: its jar must be in the image",
            "add org.apache.iceberg:iceberg-spark-runtime-… to deps.packages where it is not",
        ),
    }
}

fn celeborn(values: &Values<'_>, server: &mut Server, report: &mut Report) {
    if values.look("celeborn").is_none() {
        return;
    }
    if !values.flag("celeborn.enabled") {
        values.take("celeborn");
        return;
    }
    let Some(endpoints) = values.text("celeborn.masterEndpoints") else {
        report.lost(
            values.place("celeborn"),
            "celeborn.masterEndpoints",
            "the masters of Celeborn are not named",
            "add `masterEndpoints: HOST:9097`",
        );
        return;
    };
    server.set(
        "spark.shuffle.manager",
        "org.apache.spark.shuffle.celeborn.SparkShuffleManager",
    );
    server.set("spark.celeborn.master.endpoints", &endpoints.text);
    report.changed(
        endpoints.place,
        &endpoints.path,
        "the client of Celeborn must be in the image, the build for this Spark and its Scala",
        "name it in deps.packages where it is not",
    );
}

/// A History Server that looks where no event log goes.
fn history(values: &Values<'_>, server: &Server, report: &mut Report) {
    let path = "historyServer.logDirectory";
    let (Some(node), Some(written)) = (values.look(path), server.conf.get("spark.eventLog.dir")) else {
        return;
    };
    let (Some(read), Some(written)) = (node.as_str(), written.as_str()) else {
        return;
    };
    if read.trim_end_matches('/') != written.trim_end_matches('/') {
        let message = format!(
            "the History Server of the kit reads {read}, and event logs go to {written}: it showed none of them"
        );
        report.changed(values.place(path), path, message, "let both name one place");
    }
}
