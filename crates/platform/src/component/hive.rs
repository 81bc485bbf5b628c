//! Hive's metastore on PostgreSQL.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};

use super::postgres::pod_address;
use super::{About, Embedded, Gives};
use crate::render::pod::{Pod, deployment, image, service};
use crate::render::{Scope, config_map, secret_variable, variable};
use crate::spec::components::HiveMetastore;
use crate::store::Cloud;

pub const ABOUT: About = About {
    kind: "hive-metastore",
    title: "Hive's metastore",
    versions: &["3.1.3", "3.1.2", "4.0.0", "4.0.1"],
    gives: &[Gives::Catalog],
    user: 1000,
    port: 9083,
    usual: ("500m", "1536Mi"),
    health: "a call of get_all_databases over Thrift, answered out of the database",
    metrics: None,
    embedded: Embedded::Runs,
};

/// Where the program takes its configuration from.
const FILE: &str = "/opt/hive/conf/hive-site.xml";

/// A Thrift call of `get_all_databases`, and the beginning of an answer that is not an exception: a reply (2) with a result that has a list (15).
/// An open port is not enough: a metastore that lacks a class or its database listens too.
const PROBE: &str = r#"exec 3<>"/dev/tcp/$POD_IP/9083"
printf '\x80\x01\x00\x01\x00\x00\x00\x11get_all_databases\x00\x00\x00\x01\x00' >&3
answer=$(timeout 8 head -c 32 <&3 | od -An -v -tx1 | tr -d ' \n')
case "$answer" in 8001000200000011*000000010f0000*) exit 0;; esac
echo "not a list of databases: $answer" >&2
exit 1"#;

/// The configuration that the file and what it names give, besides what its author adds.
fn properties(name: &str, it: &HiveMetastore, scope: &Scope<'_>) -> Option<BTreeMap<String, String>> {
    let database = scope.database(name, &it.database)?;
    let store = scope.store(&it.store)?;
    let mut all: BTreeMap<String, String> = [
        (
            "javax.jdo.option.ConnectionURL",
            format!(
                "jdbc:postgresql://{}:{}/{}",
                database.host, database.port, database.database
            ),
        ),
        ("javax.jdo.option.ConnectionDriverName", "org.postgresql.Driver".into()),
        ("javax.jdo.option.ConnectionUserName", "${env.DATABASE_USER}".into()),
        ("javax.jdo.option.ConnectionPassword", "${env.DATABASE_PASSWORD}".into()),
        ("hive.metastore.warehouse.dir", store.hadoop_url(&it.path)),
        ("hive.metastore.event.db.notification.api.auth", "false".into()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
    match store.cloud() {
        Cloud::S3 => {
            all.insert("fs.s3a.path.style.access".into(), store.path_style.to_string());
            if let Some(endpoint) = &store.endpoint {
                all.insert("fs.s3a.endpoint".into(), endpoint.clone());
            }
            if let Some(region) = &store.region {
                all.insert("fs.s3a.endpoint.region".into(), region.clone());
            }
        }
        Cloud::Google(_) | Cloud::Azure(_) => all.extend(store.hadoop()),
    }
    all.extend(it.config.clone());
    Some(all)
}

fn xml(properties: &BTreeMap<String, String>) -> String {
    let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let mut text = "<configuration>\n".to_owned();
    for (key, value) in properties {
        let _ = writeln!(
            text,
            "  <property><name>{}</name><value>{}</value></property>",
            escaped(key),
            escaped(value)
        );
    }
    text + "</configuration>\n"
}

pub fn objects(name: &str, it: &HiveMetastore, scope: &Scope<'_>) -> Vec<Value> {
    let (Some(database), Some(store), Some(properties)) = (
        scope.database(name, &it.database),
        scope.store(&it.store),
        properties(name, it, scope),
    ) else {
        return Vec::new();
    };
    let file = xml(&properties);
    let mut env = vec![
        secret_variable("DATABASE_USER", &database.login.secret, &database.login.user),
        secret_variable("DATABASE_PASSWORD", &database.login.secret, &database.login.password),
        pod_address(),
    ];
    match store.cloud() {
        Cloud::S3 => env.push(variable("HADOOP_OPTIONAL_TOOLS", "hadoop-aws")),
        Cloud::Azure(_) => env.push(variable("HADOOP_OPTIONAL_TOOLS", "hadoop-azure")),
        // Its connector is none of Hadoop's own tools.
        Cloud::Google(_) => {}
    }
    let mount = json!({"name": "config", "mountPath": FILE, "subPath": "hive-site.xml", "readOnly": true});
    let image = image(&it.run, &format!("apache/hive:{}", it.version));
    let mut pod = Pod {
        image: image.clone(),
        ports: vec![("thrift", ABOUT.port)],
        probe: json!({"exec": {"command": ["bash", "-c", PROBE]}}),
        period: 15,
        grace: 30,
        volumes: vec![json!({"name": "config", "configMap": {"name": name}})],
        mounts: vec![mount.clone()],
        config: file.clone(),
        ..Pod::default()
    };
    pod.make_database(&database);
    let schema =
        "/opt/hive/bin/schematool -dbType postgres -info || exec /opt/hive/bin/schematool -dbType postgres -initSchema";
    pod.init.push(json!({"name": "schema", "image": image, "command": ["bash", "-c", schema], "env": env, "volumeMounts": [mount]}));
    // The schema is there: what the image would do with it ends in an error when it is done again.
    env.extend([
        variable("SERVICE_NAME", "metastore"),
        variable("DB_DRIVER", "postgres"),
        variable("IS_RESUME", "true"),
    ]);
    pod.env = env;
    pod.ask(store);
    let mut all = vec![
        config_map(name, &[("hive-site.xml".to_owned(), file)].into()),
        service(name, &[("thrift", ABOUT.port)], scope),
    ];
    all.extend(deployment(name, it.replicas, &it.run, &ABOUT, pod, scope));
    all
}
