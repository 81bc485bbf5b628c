//! Planted mistakes: each is told at its line, with its code and a fix.

use crate::{read, right};

const BASE: &str = "name: shop
namespace: shop
security: restricted
ingress: {class: nginx}
nodes:
  big: {labels: {pool: big}, taints: [pool=big]}
sparks:
  current: {version: 4.1.4, catalog: lake}
  legacy: {version: 3.5.9, conf: {spark.sql.shuffle.partitions: \"100\"}}
components:
  files: {kind: object-store, bucket: shop-data, endpoint: 'https://minio.example.com', pathStyle: true, credentials: {secret: keys}}
  pg: {kind: postgresql, login: {secret: login}, storage: {size: 10Gi}}
  metastore:
    kind: hive-metastore
    image: example.com/hive:3.1.3
    database: {component: pg}
    store: files
  lake: {kind: nessie, database: {component: pg}, store: files, replicas: 2, host: lake.example.com}
  history: {kind: history-server, store: files}
  stream: {kind: kafka, replicas: 3, config: {log.retention.hours: \"72\"}}
  shuffle: {kind: celeborn}
  lab:
    kind: spark-connect
    spark: current
    executors: {min: 1, max: 5, memory: 2g}
    history: history
  notebooks: {kind: jupyterlab, connect: lab, token: {secret: notebooks, key: token}, nodes: big}
  runs:
    kind: mlflow
    image: example.com/mlflow:3.17.2
    database: {component: pg}
    store: files
  dags:
    kind: airflow
    database: {component: pg}
    fernetKey: {secret: airflow, key: fernet}
    signingKey: {secret: airflow, key: signing}
    example: current
environments:
  dev: {namespace: shop-dev}
  prod:
    namespace: shop-prod
    without: [shuffle]
    components:
      lake: {replicas: 3}
";

/// What is written instead of what; the line and the code that are told, and a part of the fix.
#[rustfmt::skip]
const MISTAKES: &[(&str, &str, usize, &str, &str)] = &[
    // The file and its keys.
    ("name: shop\n", "nam: shop\n", 1, "unknown-field", "did you mean `name`?"),
    ("namespace: shop\n", "namespce: shop\n", 2, "unknown-field", "did you mean `namespace`?"),
    ("name: shop\n", "name: shop\nname: other\n", 2, "duplicate-key", ""),
    ("namespace: shop\n", "", 1, "missing-field", "add `namespace`"),
    ("security: restricted", "security: strict", 3, "bad-value", "write one of `baseline`, `restricted`, `openshift`"),
    ("security: restricted", "security: restrcted", 3, "bad-value", "write `restricted`"),
    ("security: restricted", "security: true", 3, "wrong-type", "quote it: \"true\""),
    ("security: restricted", "security:", 3, "null-value", "give it a value, or remove it"),
    ("security: restricted", "network: of", 3, "bad-value", "write one of `closed`, `open`"),
    ("security: restricted", "monitors: \"true\"", 3, "wrong-type", "remove the quotes: true"),
    ("ingress: {class: nginx}", "ingress: {classs: nginx}", 4, "unknown-field", "did you mean `class`?"),
    ("ingress: {class: nginx}", "ingress: nginx", 4, "wrong-type", "put its fields on the following lines"),
    // Names.
    ("name: shop\n", "name: My_Shop\n", 1, "platform-name", "write `my-shop`"),
    ("namespace: shop\n", "namespace: Shop.Data\n", 2, "platform-name", "write `shop-data`"),
    ("namespace: shop\n", "namespace: kube-system\n", 2, "platform-name", "name one of your own"),
    ("  stream: {kind: kafka", "  Stream: {kind: kafka", 20, "platform-name", "write `stream`"),
    ("  stream: {kind: kafka", "  stream-of-everything-that-ever-happens-anywhere: {kind: kafka", 20, "platform-name", "write `stream-of-everything-that-ever-happens-a`"),
    ("  dev: {namespace", "  dev_1: {namespace", 40, "platform-name", "write `dev-1`"),
    ("  legacy: {version", "  Legacy: {version", 9, "platform-name", "write `legacy`"),
    ("  stream: {kind: kafka", "  pg: {kind: kafka", 20, "duplicate-key", ""),
    ("namespace: shop-dev", "namespace: shop dev", 40, "platform-name", "write `shop-dev`"),
    // Kinds and their keys.
    ("{kind: kafka", "{kind: kafak", 20, "unknown-value", "did you mean `kafka`?"),
    ("{kind: kafka", "{kind: zeppelin", 20, "unknown-value", "it is one of object-store"),
    ("{kind: kafka, replicas", "{replicas", 20, "missing-field", "add `kind`"),
    ("{kind: kafka", "{kind: 7", 20, "wrong-type", "kind: postgresql"),
    ("stream: {kind: kafka, replicas: 3, config: {log.retention.hours: \"72\"}}", "stream: kafka", 20, "wrong-type", "put its keys on the following lines"),
    ("replicas: 3", "replica: 3", 20, "unknown-field", "did you mean `replicas`?"),
    ("replicas: 3", "brokers: 3", 20, "unknown-field", "remove it, or write one of"),
    ("replicas: 3", "replicas: three", 20, "wrong-type", ""),
    ("replicas: 3", "replicas: \"3\"", 20, "wrong-type", "remove the quotes: 3"),
    ("replicas: 3", "replicas: 2.5", 20, "wrong-type", "round it: 3"),
    ("replicas: 3", "replicas: 0", 20, "out-of-range", ""),
    ("replicas: 3", "replicas: 11", 20, "out-of-range", ""),
    ("replicas: 3", "replicas: 2", 20, "platform-replicas", "write 1 or 3"),
    ("{kind: celeborn}", "{kind: celeborn, masters: 4}", 21, "platform-replicas", "write 3 or 5"),
    ("log.retention.hours: \"72\"", "log.retention.hours: 72", 20, "wrong-type", "quote it: \"72\""),
    ("store: files}\n  stream", "}\n  stream", 19, "missing-field", "add `store`"),
    // References.
    ("database: {component: pg}, store: files, replicas", "database: {component: gp}, store: files, replicas", 18, "platform-reference", "did you mean `pg`?"),
    ("database: {component: pg}, store: files, replicas", "database: {component: files}, store: files, replicas", 18, "platform-reference", "there are pg"),
    ("{kind: history-server, store: files}", "{kind: history-server, store: pg}", 19, "platform-reference", "there are files"),
    ("catalog: lake}", "catalog: lac}", 8, "platform-reference", "there are lake, metastore"),
    ("catalog: lake}", "catalog: pg}", 8, "platform-reference", "there are lake, metastore"),
    ("spark: current", "spark: curent", 24, "platform-reference", "did you mean `current`?"),
    ("history: history", "history: histry", 26, "platform-reference", "did you mean `history`?"),
    ("connect: lab", "connect: laboratory", 27, "platform-reference", "there are lab"),
    ("nodes: big", "nodes: bigg", 27, "platform-reference", "did you mean `big`?"),
    ("example: current", "example: newest", 38, "platform-reference", "there are current, legacy"),
    ("without: [shuffle]", "without: [shufle]", 43, "platform-reference", "did you mean `shuffle`?"),
    ("without: [shuffle]", "without: [pg]", 16, "platform-reference", "remove `pg` from `without`"),
    ("      lake: {replicas: 3}", "      lke: {replicas: 3}", 45, "platform-reference", "did you mean `lake`?"),
    // Needs in a circle.
    ("login: {secret: login}, storage", "login: {secret: login}, after: [lake], storage", 12, "platform-circle", "remove it from one of the two"),
    ("{kind: celeborn}", "{kind: celeborn, after: [shuffle]}", 21, "platform-circle", "remove it from one of the two"),
    ("{kind: celeborn}", "{kind: celeborn, after: [nothing]}", 21, "platform-reference", "there are"),
    // Versions.
    ("version: 4.1.4", "version: 4.1", 8, "wrong-type", "quote it: \"4.1\""),
    ("version: 4.1.4", "version: \"4.1\"", 8, "platform-version", "write all three numbers"),
    ("version: 4.1.4", "version: 2.4.8", 8, "platform-version", "use a version of 3.4"),
    ("version: 3.5.9,", "version: 3.5.9, scala: \"2.11\",", 9, "platform-versions", "write \"2.12\" or \"2.13\""),
    ("version: 4.1.4, catalog: lake", "version: 4.3.0, catalog: lake", 8, "platform-versions", "use a Spark of 3.5 with Scala 2.12"),
    ("version: 3.5.9,", "version: 3.5.9, catalog: metastore,", 9, "", ""),
    ("    database: {component: pg}\n    store: files\n  lake", "    version: 4.0.1\n    database: {component: pg}\n    store: files\n  lake", 14, "", ""),
    ("storage: {size: 10Gi}}", "version: \"12\", storage: {size: 10Gi}}", 12, "platform-version", "write `15`"),
    ("{kind: kafka", "{kind: kafka, version: 3.9.0", 20, "platform-version", "write `4.1.2`"),
    ("history: history", "shuffle: shuffle", 26, "platform-versions", "use a Spark of 3.4 or 3.5"),
    ("spark: current\n", "spark: legacy\n    shuffle: shuffle\n", 25, "platform-image", "stoke image build"),
    ("version: 3.5.9,", "version: 4.1.4,", 9, "platform-contradiction", "another version"),
    // Sizes and times.
    ("size: 10Gi", "size: 10GB", 12, "bad-quantity", ""),
    ("size: 10Gi", "size: -1Gi", 12, "platform-size", "write a size such as `20Gi`"),
    ("{kind: celeborn}", "{kind: celeborn, resources: {memory: 512m}}", 21, "platform-size", "`512m` is half a byte"),
    ("{kind: celeborn}", "{kind: celeborn, resources: {cpu: 0}}", 21, "platform-size", "write an amount"),
    ("{kind: celeborn}", "{kind: celeborn, resources: {cpu: 4, cpuLimit: 2}}", 21, "platform-size", "write 4 or more"),
    ("memory: 2g", "memory: 2Gi", 25, "platform-size", "write `2g`"),
    ("memory: 2g", "memory: 100m", 25, "platform-size", "write `512m` or more"),
    ("memory: 2g", "memory: lots", 25, "platform-size", "write a size as Spark does"),
    ("history: history", "idleTimeout: 30 minutes", 26, "platform-size", "`30m`"),
    ("{kind: history-server,", "{kind: history-server, cache: 1,", 19, "out-of-range", ""),
    // Images.
    ("image: example.com/hive:3.1.3", "image: example.com/hive", 15, "platform-image", "add a tag"),
    ("image: example.com/hive:3.1.3", "image: example.com/hive:latest", 15, "platform-image", "write the tag of a version"),
    ("image: example.com/hive:3.1.3", "image: Example Hive:1", 15, "platform-image", "REGISTRY/REPOSITORY:TAG"),
    ("image: example.com/hive:3.1.3", "image: example.com/hive:3@sha256:00", 15, "platform-image", "write the digest as `digest"),
    ("image: example.com/hive:3.1.3", "digest: sha256:12", 15, "platform-image", "64 hexadecimal digits"),
    // Secrets.
    ("login: {secret: login}", "password: hunter2", 12, "platform-secret", "put it into a Secret"),
    ("login: {secret: login}", "login: {secret: login, password: 'S3cr3t/with+signs='}", 12, "platform-secret", "the name of the key in the Secret"),
    ("credentials: {secret: keys}", "credentials: {secret: keys, secretKey: wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLE}", 11, "platform-secret", "the name of the key in the Secret"),
    ("credentials: {secret: keys}", "credentials: {secret: 'AKIA/IOSFODNN7EXAMPLE'}", 11, "platform-secret", "write the name of a Secret"),
    ("spark.sql.shuffle.partitions: \"100\"", "spark.hadoop.fs.s3a.secret.key: abc", 9, "platform-secret", "name a Secret"),
    ("log.retention.hours: \"72\"", "ssl.keystore.password: abc", 20, "platform-secret", "name a Secret"),
    // Configuration of Spark.
    ("spark.sql.shuffle.partitions", "spark.sql.shufle.partitions", 9, "conf-unknown-key", "spark.sql.shuffle.partitions"),
    ("spark.sql.shuffle.partitions: \"100\"", "spark.sql.shuffle.partitions: \"many\"", 9, "conf-wrong-type", ""),
    ("history: history", "sparkConf: {spark.executor.memory: 4g}", 26, "platform-contradiction", "remove it here"),
    ("history: history", "sparkConf: {spark.sql.defaultCatalog: other}", 26, "platform-wiring", "remove it here"),
    ("catalog: lake}", "catalog: lake, conf: {spark.sql.catalog.lake.type: hive}}", 8, "platform-wiring", "remove it here"),
    // Addresses.
    ("bucket: shop-data", "bucket: Shop_Data", 11, "platform-address", "3 to 63 lower-case letters"),
    ("bucket: shop-data", "bucket: 's3://shop-data/x'", 11, "platform-address", "write the name alone: `shop-data`"),
    ("endpoint: 'https://minio.example.com'", "endpoint: minio.example.com", 11, "platform-address", "write it as `https://"),
    ("endpoint: 'https://minio.example.com'", "endpoint: 'https://minio.example.com/shop'", 11, "platform-address", "write scheme, host and port"),
    ("host: lake.example.com", "host: 'https://lake.example.com/'", 18, "platform-address", "write the name alone: `lake.example.com`"),
    ("host: lake.example.com", "host: lake", 18, "platform-address", "notebooks.example.com"),
    ("{kind: history-server,", "{kind: history-server, host: lake.example.com,", 18, "platform-address", "give each a host of its own"),
    ("{kind: history-server, store: files}", "{kind: history-server, store: files, path: /logs/}", 19, "platform-address", "without `/` at its ends"),
    ("storage: {size: 10Gi}}", "outside: {host: db.example.com, port: 70000}}", 12, "out-of-range", ""),
    ("storage: {size: 10Gi}}", "outside: {host: 'db.example.com:5432'}}", 12, "platform-address", "write the name alone"),
    // Contradictions.
    ("storage: {size: 10Gi}}", "storage: {size: 10Gi}, outside: {host: db.example.com}}", 12, "platform-contradiction", "remove `storage`, or `outside`"),
    ("credentials: {secret: keys}", "credentials: {secret: keys}, role: 'arn:aws:iam::1:role/x'", 11, "platform-contradiction", "keep one of"),
    ("credentials: {secret: keys}", "role: admin", 11, "platform-address", "write it as `arn:aws:iam"),
    ("endpoint: 'https://minio.example.com', ", "", 11, "platform-contradiction", "remove `pathStyle`"),
    ("ingress: {class: nginx}\n", "", 17, "platform-contradiction", "add `ingress"),
    ("database: {component: pg}, store: files, replicas", "store: files, replicas", 18, "platform-contradiction", "add `database"),
    ("min: 1, max: 5", "min: 9, max: 5", 25, "platform-contradiction", "write 5 or less"),
    ("  runs:\n    kind: mlflow\n    image: example.com/mlflow:3.17.2\n    database: {component: pg}", "  runs:\n    kind: mlflow\n    image: example.com/mlflow:3.17.2\n    database: {component: pg, name: lake}", 31, "platform-contradiction", "another `name`"),
    ("database: {component: pg}\n    fernetKey", "database: {component: pg, name: My-Flow}\n    fernetKey", 35, "platform-name", "lower-case letters"),
    ("  shuffle: {kind", "  spark: {kind", 21, "platform-collision", "rename the component"),
    ("without: [shuffle]", "without: [lake]", 45, "platform-contradiction", "remove it here, or under `without`"),
    ("{labels: {pool: big}, taints", "{labels: {}, taints", 6, "platform-nodes", "write the labels"),
    ("taints: [pool=big]", "taints: ['pool=big:NoSchedule']", 6, "platform-nodes", "write `pool=big`"),
    ("labels: {pool: big}", "labels: {'po ol': big}", 6, "platform-nodes", "node.example.com/pool"),
    // Environments.
    ("lake: {replicas: 3}", "lake: {version: 0.98.0}", 45, "platform-overlay", "an environment sets"),
    ("lake: {replicas: 3}", "lake: {image: 'x:1'}", 45, "platform-overlay", "set it in `components.lake`"),
    ("lake: {replicas: 3}", "lake: {store: files}", 45, "platform-overlay", "set it in `components.lake`"),
    ("lake: {replicas: 3}", "lake: {replicsa: 3}", 45, "unknown-field", "did you mean `replicas`?"),
    ("lake: {replicas: 3}", "lake: {replicas: many}", 45, "wrong-type", ""),
    ("lake: {replicas: 3}", "lake: 3", 45, "wrong-type", "put its keys on the following lines"),
    ("      lake: {replicas: 3}", "      stream: {replicas: 4}", 45, "platform-replicas", "write 3 or 5"),
    ("      lake: {replicas: 3}", "      lab: {executors: {max: 0}}", 45, "out-of-range", ""),
    ("      lake: {replicas: 3}", "      lab: {executors: {min: 7}}", 45, "platform-contradiction", "write 5 or less"),
    ("      lake: {replicas: 3}", "      lab: {sparkConf: {spark.sql.shufle.partitions: \"1\"}}", 45, "conf-unknown-key", "spark.sql.shuffle.partitions"),
    ("namespace: shop-dev", "namspace: shop-dev", 40, "unknown-field", "did you mean `namespace`?"),
    ("namespace: shop-dev", "version: 2", 40, "unknown-field", "remove it, or write one of"),
];

#[test]
fn the_file_without_mistakes_is_right() {
    assert_eq!(right(BASE).warnings, []);
}

#[test]
fn every_mistake_is_told_at_its_line_with_a_fix() {
    let mut failed = Vec::new();
    let mut planted = 0;
    for (from, to, line, code, fix) in MISTAKES {
        assert!(BASE.matches(from).count() >= 1, "{from:?} is not in the file");
        let text = BASE.replacen(from, to, 1);
        if code.is_empty() {
            // Beside a mistake: what looks like one and is none.
            if let Err(found) = read(&text) {
                failed.push(format!("{to:?} is right, and told: {}", found[0]));
            }
            continue;
        }
        planted += 1;
        let found = match read(&text) {
            Ok(_) => {
                failed.push(format!("{to:?}: nothing is told"));
                continue;
            }
            Err(found) => found,
        };
        let is = found
            .iter()
            .any(|found| found.line == *line && found.code == *code && found.fix_text().contains(fix));
        let all_fixed = found
            .iter()
            .all(|found| !found.fix_text().is_empty() || found.code == "duplicate-key");
        if !is || !all_fixed {
            let said: Vec<String> = found
                .iter()
                .map(|found| format!("{}:{} {} | {}", found.line, found.code, found.message, found.fix_text()))
                .collect();
            failed.push(format!(
                "{to:?} wants {line}:{code} {fix:?}:\n    {}",
                said.join("\n    ")
            ));
        }
    }
    println!("{planted} mistakes");
    assert!(
        failed.is_empty(),
        "{} of {planted}:\n{}",
        failed.len(),
        failed.join("\n")
    );
    assert!(planted >= 80);
}

/// Two that cannot be told by one replacement: versions that fail together, and objects of the same name.
#[test]
fn pairs_that_fail_are_refused_and_names_collide() {
    let hive4 = BASE
        .replacen(
            "    database: {component: pg}\n    store: files\n  lake",
            "    version: 4.0.1\n    database: {component: pg}\n    store: files\n  lake",
            1,
        )
        .replacen("{version: 3.5.9,", "{version: 3.5.9, catalog: metastore,", 1);
    let found = read(&hive4).unwrap_err();
    assert_eq!((&*found[0].code, found[0].line), ("platform-versions", 9));
    assert!(
        found[0].message.contains("Hive 4.0 removed") && found[0].fix_text().contains("3.1.3"),
        "{}",
        found[0]
    );
    let text = BASE.replacen("  stream: {kind: kafka", "  spark: {kind: kafka", 1);
    let found = read(&text).unwrap_err();
    assert_eq!(
        (&*found[0].code, found[0].line),
        ("platform-collision", 20),
        "{}",
        found[0]
    );
}

#[test]
fn secrets_are_not_shown() {
    for (from, to, secret) in [
        ("login: {secret: login}", "password: hunter2", "hunter2"),
        (
            "login: {secret: login}",
            "login: {secret: login, password: 'S3cr3t/with+signs='}",
            "S3cr3t",
        ),
        (
            "log.retention.hours: \"72\"",
            "ssl.keystore.password: abcdefgh",
            "abcdefgh",
        ),
        (
            "spark.sql.shuffle.partitions: \"100\"",
            "spark.hadoop.fs.s3a.secret.key: abcdefgh",
            "abcdefgh",
        ),
    ] {
        let found = read(&BASE.replacen(from, to, 1)).unwrap_err();
        for found in found.iter().filter(|found| found.code == "platform-secret") {
            assert!(!found.to_string().contains(secret), "{found}");
            assert!(!serde_json::to_string(found).unwrap().contains(secret), "{found}");
        }
    }
}

/// Where the fix is sure it is a patch, and the file is right with it.
#[test]
fn sure_fixes_are_patches_that_fix() {
    let mut patched = 0;
    for (from, to, _, code, _) in MISTAKES.iter().filter(|(_, _, _, code, _)| !code.is_empty()) {
        let text = BASE.replacen(from, to, 1);
        let Err(found) = read(&text) else { continue };
        let [one] = &found[..] else { continue };
        let Some(patch) = one.patch() else { continue };
        let source = stoke_diagnostics::Source::new("a", &text);
        let mut value = stoke_model::manifest::read(&source).0[0].to_value();
        merge(&mut value, patch);
        // A version in quotes may still be too short: what was told is not told again.
        let after = read(&value.to_string()).err().unwrap_or_default();
        let again = after
            .iter()
            .find(|after| after.code == one.code && after.path == one.path);
        assert!(
            again.is_none(),
            "{code} {to:?}: {patch} does not fix it: {}",
            again.unwrap()
        );
        patched += 1;
    }
    println!("{patched} patches");
    assert!(patched >= 15, "{patched}");
}

/// RFC 7386.
fn merge(into: &mut serde_json::Value, patch: &serde_json::Value) {
    match (into, patch) {
        (serde_json::Value::Object(into), serde_json::Value::Object(patch)) => {
            for (key, value) in patch {
                if value.is_null() {
                    into.shift_remove(key);
                } else {
                    merge(into.entry(key.clone()).or_insert(serde_json::Value::Null), value);
                }
            }
        }
        (into, patch) => *into = patch.clone(),
    }
}
