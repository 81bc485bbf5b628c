//! Helm values of Spark kits.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const KIT: &str = include_str!("../../../../examples/migrate/helm-values.yaml");

fn converted(text: &str) -> Converted {
    manifest("values.yaml", text, &Options::default())
}

/// Line, code and the beginning of the message of what is said of a path.
fn said(converted: &Converted, path: &str) -> Vec<(usize, String)> {
    let of = converted.complaints.iter().filter(|one| one.path == path);
    of.map(|one| (one.line, one.code.to_string())).collect()
}

#[test]
fn a_kit_as_teams_have_it() {
    let found = converted(KIT);
    assert_eq!(errors(&found), [], "{}", rendered(&found));
    assert_eq!(
        found.documents,
        [json!({
            "apiVersion": "sparkoperator.k8s.io/v1alpha1", "kind": "SparkConnect", "metadata": {"name": "connect"},
            "spec": {
                "sparkVersion": "4.1.0", "image": "registry.example.com/spark-custom:4.1.0",
                "sparkConf": {
                    "spark.eventLog.dir": "s3a://spark-logs/events", "spark.eventLog.enabled": "true",
                    "spark.hadoop.fs.s3a.endpoint": "http://minio:9000", "spark.hadoop.fs.s3a.path.style.access": "true",
                    "spark.sql.shuffle.partitions": "200",
                },
                "dynamicAllocation": {"enabled": true, "minExecutors": 0, "maxExecutors": 10},
                "server": {
                    "cores": 1, "coreLimit": "2", "memory": "3712m", "memoryOverhead": "384m", "nodeSelector": {"pool": "spark"},
                    "serviceAccount": "spark-connect", "podSecurityContext": {"runAsUser": 185, "fsGroup": 185},
                    "envSecretKeyRefs": {
                        "AWS_ACCESS_KEY_ID": {"name": "connect-s3", "key": "access-key"},
                        "AWS_SECRET_ACCESS_KEY": {"name": "connect-s3", "key": "secret-key"},
                    },
                },
                "executor": {
                    "cores": 2, "coreLimit": "2", "memory": "8g", "memoryOverhead": "2048m", "nodeSelector": {"pool": "spark"},
                    "podSecurityContext": {"runAsUser": 185, "fsGroup": 185},
                    "envSecretKeyRefs": {
                        "AWS_ACCESS_KEY_ID": {"name": "connect-s3", "key": "access-key"},
                        "AWS_SECRET_ACCESS_KEY": {"name": "connect-s3", "key": "secret-key"},
                    },
                },
            },
        })],
        "{}",
        found.documents[0]
    );
    // What did nothing there, with its line.
    for (path, line) in [
        ("core.hiveMetastore.enabled", 2),
        ("mlflow.enabled", 59),
        ("sparkOperator.enabled", 61),
        ("features.gpu.memory", 64),
        ("monitoring.openTelemetry.enabled", 56),
        ("connect.dynamicAllocation.executorAllocationRatio", 33),
        ("connect.driver.host", 22),
        ("dryRun", 67),
    ] {
        assert_eq!(
            said(&found, path),
            [(line, "without-effect".to_owned())],
            "{path}\n{}",
            rendered(&found)
        );
    }
    for (path, line) in [
        ("connect.replicas", 5),
        ("connect.executor.memory", 27),
        ("global.s3.accessKey", 46),
        ("historyServer.logDirectory", 52),
        ("jupyter.enabled", 50),
    ] {
        assert!(
            said(&found, path).contains(&(line, "carried-otherwise".to_owned())),
            "{path}\n{}",
            rendered(&found)
        );
    }
}

#[test]
fn secrets_are_shown_nowhere() {
    let secret = "s3cr3t-VALUE-47";
    for text in [
        format!("global: {{s3: {{accessKey: {secret}, secretKey: {secret}}}}}\nconnect: {{enabled: true}}\n"),
        format!(
            "connect:\n  sparkConf:\n    spark.hadoop.fs.s3a.secret.key: {secret}\n    spark.ssl.keyPassword: \"{secret}\"\n"
        ),
        format!(
            "connect: {{enabled: true}}\npostgresql:\n  auth:\n    password: {secret}\n    url: jdbc:postgresql://u:{secret}@db/x\n"
        ),
        format!("connect: {{enabled: true}}\nunknown:\n  apiKey: |\n    {secret}\n    {secret}\n"),
        format!("connect:\n  sparkConf:\n    spark.driver.extraJavaOptions: -Ddb.password={secret}\n"),
        format!("connect:\n  oops: {{token: [{secret}]}}\n  sparkConf: [1, {{password: {secret}}}]\n"),
        format!("global: {{s3: {{existingSecret: mine, accessKey: '{secret}'}}}}\nconnect: {{enabled: true}}\n"),
    ] {
        let found = converted(&text);
        let all = format!("{}{:?}{:?}", rendered(&found), found.complaints, found.documents);
        assert!(!all.contains(secret), "{text}\n{all}");
        assert!(!found.complaints.is_empty(), "{text}");
    }
}

#[test]
fn what_was_meant_is_carried_or_refused() {
    let with = |text: &str| format!("connect:\n  image: {{repository: apache/spark, tag: 4.1.4}}\n{text}");
    let rows: &[(&str, &str, serde_json::Value)] = &[
        (
            "  executor: {memory: 8Gi}\n",
            "executor",
            json!({"memory": "8g", "memoryOverhead": "819m"}),
        ),
        (
            "  executor: {memory: 2Gi}\n",
            "executor",
            json!({"memory": "2g", "memoryOverhead": "384m"}),
        ),
        (
            "  executor: {memory: 8Gi, memoryOverhead: 1Gi}\n",
            "executor",
            json!({"memory": "8g", "memoryOverhead": "1024m"}),
        ),
        (
            "  executor: {memory: 8Gi, memoryLimit: 10Gi}\n",
            "executor",
            json!({"memory": "8g", "memoryOverhead": "2048m"}),
        ),
        (
            "  executor: {memory: 4096m}\n",
            "executor",
            json!({"memory": "4g", "memoryOverhead": "409m"}),
        ),
        ("executor: {cores: 4}\n", "executor", json!({"cores": 4})),
        (
            "  resources: {requests: {cpu: 500m, memory: 2Gi}}\n",
            "server",
            json!({"cores": 1, "memory": "1664m", "memoryOverhead": "384m"}),
        ),
        (
            "  service: {type: NodePort, port: 15002}\n",
            "server",
            json!({"service": {"metadata": {}, "spec": {"type": "NodePort"}}}),
        ),
        (
            "  service: {port: 15003}\n",
            "sparkConf",
            json!({"spark.connect.grpc.binding.port": "15003"}),
        ),
        (
            "  driver: {port: 7078, blockManagerPort: 7090}\n",
            "sparkConf",
            json!({"spark.driver.blockManager.port": "7090"}),
        ),
        (
            "celeborn: {enabled: true, masterEndpoints: 'm:9097'}\n",
            "sparkConf",
            json!({"spark.celeborn.master.endpoints": "m:9097", "spark.shuffle.manager": "org.apache.spark.shuffle.celeborn.SparkShuffleManager"}),
        ),
        (
            "celeborn: {enabled: false, masterEndpoints: 'm:9097'}\n",
            "sparkConf",
            json!({}),
        ),
        (
            "features: {iceberg: {enabled: true, catalogType: rest, uri: 'http://n:19120', version: 1.12.0}}\n",
            "deps",
            json!({"packages": ["org.apache.iceberg:iceberg-spark-runtime-4.1_2.13:1.12.0"]}),
        ),
        (
            "hiveMetastore: {enabled: true, image: {tag: 3.1.3}, uri: 'thrift://hms:9083'}\n",
            "sparkConf",
            json!({"spark.hadoop.hive.metastore.uris": "thrift://hms:9083", "spark.sql.catalogImplementation": "hive"}),
        ),
    ];
    for (text, field, wanted) in rows {
        let found = converted(&with(text));
        assert_eq!(errors(&found), [], "{text}\n{}", rendered(&found));
        assert_eq!(&found.documents[0]["spec"][field], wanted, "{text}");
    }
    for (text, path) in [
        ("  executor: {memory: lots}\n", "connect.executor.memory"),
        ("  executor: {cores: 0.5}\n", "connect.executor.cores"),
        ("  executor: {memoryLimit: 4Gi}\n", "connect.executor.memoryLimit"),
        (
            "  resources: {limits: {memory: 512Mi}}\n",
            "connect.resources.limits.memory",
        ),
        ("  service: {type: ExternalName}\n", "connect.service.type"),
        ("  eventLog: {enabled: true}\n", "connect.eventLog.dir"),
        (
            "  sparkConf: {spark.jars.packages: [a]}\n",
            "connect.sparkConf[\"spark.jars.packages\"]",
        ),
        ("  replica: 2\n", "connect.replica"),
        ("celeborn: {enabled: true}\n", "celeborn.masterEndpoints"),
        ("features: {iceberg: {enabled: true}}\n", "features.iceberg.catalogType"),
        (
            "hiveMetastore: {enabled: true, image: {tag: 4.0.1}}\n",
            "hiveMetastore.image.tag",
        ),
        (
            "hiveMetastore: {enabled: true, version: 4.0.0}\n",
            "hiveMetastore.version",
        ),
    ] {
        let found = converted(&with(text));
        assert!(
            errors(&found).iter().any(|(_, _, at)| at == path),
            "{text}\n{}",
            rendered(&found)
        );
    }
    let none = converted("connect: {sparkConf: {}}\n");
    assert_eq!(errors(&none)[0].0, "not-convertible");
    let off = converted("connect: {enabled: false, replicas: 3}\n");
    assert_eq!((off.documents.len(), errors(&off).len()), (0, 0));
}

#[test]
fn every_environment_has_a_server() {
    let text = "connect:\n  image: {repository: apache/spark, tag: 4.1.4}\n  sparkConf: {spark.network.timeout: 300s, spark.speculation: true}\nenvironments:\n  dev:\n    replicas: 1\n    dynamicAllocation: {enabled: true, initial: 1, min: 0, max: 5}\n    sparkConf: {spark.network.timeout: 200s}\n  prod:\n    replicas: 3\n    pdb: {minAvailable: 2}\n    dynamicAllocation: {enabled: true, initial: 3, min: 2, max: 50}\n";
    let found = converted(text);
    assert_eq!(errors(&found), [], "{}", rendered(&found));
    let of = |index: usize, path: &str| found.documents[index].pointer(path).cloned().unwrap_or_default();
    assert_eq!(
        (of(0, "/metadata/name"), of(1, "/metadata/name")),
        (json!("connect-dev"), json!("connect-prod"))
    );
    assert_eq!(
        of(0, "/spec/sparkConf"),
        json!({"spark.network.timeout": "200s", "spark.speculation": "true"})
    );
    assert_eq!(of(1, "/spec/sparkConf/spark.network.timeout"), json!("300s"));
    assert_eq!(
        of(1, "/spec/dynamicAllocation"),
        json!({"enabled": true, "initialExecutors": 3, "minExecutors": 2, "maxExecutors": 50})
    );
    assert_eq!(
        said(&found, "environments.prod.replicas"),
        [(10, "carried-otherwise".to_owned())]
    );
    assert_eq!(
        said(&found, "environments.prod.pdb.minAvailable"),
        [(11, "without-effect".to_owned())]
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Any tree below keys that kits have, and any text, is read without a panic; what is not carried is named.
    #[test]
    fn any_values_are_read(
        keys in prop::collection::vec((prop::sample::select(PATHS.to_vec()), "[ -~]{0,12}"), 0..12),
        noise in "[ -~\\n]{0,60}",
    ) {
        let mut root = json!({"connect": {}});
        for (path, value) in keys {
            let mut at = &mut root;
            for key in path.split('.') {
                if !at.is_object() {
                    *at = json!({});
                }
                at = &mut at[key];
            }
            *at = json!(value);
        }
        let _ = converted(&root.to_string());
        let _ = converted(&format!("connect:\n  {noise}"));
    }
}

const PATHS: [&str; 22] = [
    "connect.enabled",
    "connect.replicas",
    "connect.image",
    "connect.image.tag",
    "connect.image.repository",
    "connect.resources.limits.memory",
    "connect.resources.requests.cpu",
    "connect.executor.memory",
    "connect.executor.memoryLimit",
    "connect.executor.memoryOverhead",
    "connect.executor.cores",
    "connect.executor.gpu.enabled",
    "connect.dynamicAllocation.enabled",
    "connect.dynamicAllocation.max",
    "connect.sparkConf",
    "connect.sparkConf.a",
    "environments.dev.replicas",
    "environments",
    "global.s3.accessKey",
    "hiveMetastore.version",
    "features.iceberg.enabled",
    "celeborn.enabled",
];
