//! Jobs that use other products as their guides say have no finding.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use stoke_gate::waivers::Waivers;
use stoke_gate::{Gate, Job, Settings, check, job};

const BASE: &str = include_str!("../trials/mistakes/bases/app.yaml");
const JOBS: [&[(&str, &str)]; 5] = [
    &[
        (
            "spark.sql.extensions",
            "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        ),
        ("spark.sql.catalog.lake", "org.apache.iceberg.spark.SparkCatalog"),
        ("spark.sql.catalog.lake.type", "hadoop"),
        ("spark.sql.catalog.lake.warehouse", "s3a://lake/warehouse"),
        ("spark.sql.defaultCatalog", "lake"),
    ],
    &[
        (
            "spark.sql.catalog.spark_catalog",
            "org.apache.iceberg.spark.SparkSessionCatalog",
        ),
        ("spark.sql.catalog.spark_catalog.type", "hive"),
    ],
    &[
        ("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension"),
        (
            "spark.sql.catalog.spark_catalog",
            "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        ),
        ("spark.databricks.delta.retentionDurationCheck.enabled", "false"),
    ],
    &[
        (
            "spark.shuffle.manager",
            "org.apache.spark.shuffle.celeborn.SparkShuffleManager",
        ),
        ("spark.serializer", "org.apache.spark.serializer.KryoSerializer"),
        ("spark.celeborn.master.endpoints", "celeborn-0:9097"),
        ("spark.celeborn.client.push.replicate.enabled", "true"),
        ("spark.sql.adaptive.localShuffleReader.enabled", "false"),
    ],
    &[
        ("spark.plugins", "com.nvidia.spark.SQLPlugin"),
        ("spark.rapids.sql.concurrentGpuTasks", "2"),
        ("spark.executor.resource.gpu.amount", "1"),
        ("spark.executor.resource.gpu.vendor", "nvidia.com"),
        ("spark.task.resource.gpu.amount", "0.25"),
        (
            "spark.hadoop.fs.s3a.aws.credentials.provider",
            "software.amazon.awssdk.auth.credentials.WebIdentityTokenFileCredentialsProvider",
        ),
        ("spark.speculation", "true"),
        ("spark.speculation.quantile", "0.9"),
        ("spark.driver.maxResultSize", "512m"),
    ],
];

/// Repositories as teams have them: no file of theirs has a finding.
const REPOSITORIES: [&[(&str, &str)]; 8] = [
    // An overlay of kustomize changes a base; its generators make what the base names.
    &[
        ("base/app.yaml", BASE_WITH_SETTINGS),
        (
            "base/kustomization.yaml",
            "resources: [app.yaml]\nconfigMapGenerator: [{name: settings, files: [app.conf]}]\n",
        ),
        ("base/app.conf", "a = b\n"),
        (
            "overlays/prod/kustomization.yaml",
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: prod\nresources: [../../base]\npatches:\n- path: executors.yaml\n- path: cores.yaml\n  target: {kind: SparkApplication}\n",
        ),
        (
            "overlays/prod/executors.yaml",
            "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nmetadata: {name: daily-sales}\nspec:\n  executor: {instances: 20, memory: 8g}\n",
        ),
        (
            "overlays/prod/cores.yaml",
            "- op: replace\n  path: /spec/executor/cores\n  value: 4\n",
        ),
        (
            "overlays/dev/kustomization.yml",
            "bases: [../../base]\npatchesStrategicMerge: [gone.yaml]\n",
        ),
        (
            "overlays/dev/gone.yaml",
            "$patch: delete\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: spark}\n",
        ),
    ],
    // One application for each environment, in a directory of its own.
    &[("dev/app.yaml", BASE), ("prod/app.yaml", BASE)],
    // What someone else's objects make of names that are given to them.
    &[
        ("app.yaml", BASE_WITH_SETTINGS),
        (
            "other.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: setting, namespace: sales}\ndata: {a: b}\n",
        ),
        (
            "made.yaml",
            "apiVersion: trust.cert-manager.io/v1alpha1\nkind: Bundle\nmetadata: {name: settings}\nspec: {sources: []}\n",
        ),
    ],
    // What a script makes.
    &[
        ("app.yaml", BASE_WITH_SETTINGS),
        (
            "other.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: setting, namespace: sales}\ndata: {a: b}\n",
        ),
        (
            "Makefile",
            "deploy:\n\tkubectl create configmap settings --from-file=app.conf\n",
        ),
    ],
    // Keys of a Secret that is sealed, and one that is filled by hand.
    &[
        ("app.yaml", BASE),
        (
            "sealed.yaml",
            "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: db, namespace: sales}\nspec:\n  encryptedData:\n    password: AgBy3i4OJSWK+PiTySYZZA9rO43cGDEq\n",
        ),
        (
            "empty.yaml",
            "apiVersion: v1\nkind: Secret\nmetadata: {name: other, namespace: sales}\ntype: Opaque\n",
        ),
    ],
    // A release of helm makes accounts by its values.
    &[
        ("app.yaml", BASE),
        (
            "release.yaml",
            "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: spark-operator, namespace: sales}\nspec: {interval: 10m, values: {spark: {serviceAccount: {name: spark}}}}\n---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: flux, namespace: sales}\n",
        ),
    ],
    // A set whose claims a pod takes by the name that is made of them.
    &[
        (
            "set.yaml",
            "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: kafka}\nspec:\n  serviceName: kafka\n  selector: {matchLabels: {app: kafka}}\n  template:\n    metadata: {labels: {app: kafka}}\n    spec: {containers: [{name: kafka, image: apache/kafka:3.8.0, volumeMounts: [{name: data, mountPath: /d}]}]}\n  volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}]\n---\napiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: backup}\nspec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}\n",
        ),
        (
            "pod.yaml",
            "apiVersion: v1\nkind: Pod\nmetadata: {name: look}\nspec: {containers: [{name: c, image: busybox:1}], volumes: [{name: d, persistentVolumeClaim: {claimName: data-kafka-0}}]}\n",
        ),
    ],
    // Accounts, roles and bindings across namespaces.
    &[
        ("app.yaml", BASE),
        (
            "rbac.yaml",
            "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: spark, namespace: sales}\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: spark, namespace: sales}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: edit}\nsubjects:\n- {kind: ServiceAccount, name: spark}\n- {kind: ServiceAccount, name: airflow-worker, namespace: airflow}\n",
        ),
    ],
];

const BASE_WITH_SETTINGS: &str = "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nmetadata: {name: daily-sales, namespace: sales}\nspec:\n  type: Python\n  mode: cluster\n  sparkVersion: 4.1.4\n  image: registry.example.com/spark:4.1.4\n  mainApplicationFile: local:///opt/app/main.py\n  driver:\n    cores: 1\n    configMaps: [{name: settings, path: /etc/settings}]\n  executor: {instances: 2, cores: 2}\n";

#[test]
fn repositories_as_teams_have_them_have_no_finding() {
    for files in REPOSITORIES {
        let read = files.iter().map(|(name, text)| job::of_bytes(name, text.as_bytes()));
        let job = Job::of(read.collect());
        let settings = Settings {
            gates: vec![Gate::Manifest, Gate::Conf, Gate::Pods, Gate::Secrets],
            ..Settings::default()
        };
        let report = check(&job, &settings, &Waivers::default());
        let found: Vec<String> = report
            .findings()
            .map(|(_, one)| format!("{} {}", one.place(), one.message))
            .collect();
        assert!(found.is_empty(), "{found:#?}\nin {files:#?}");
    }
}

#[test]
fn what_guides_say_has_no_finding() {
    for conf in JOBS {
        let lines: String = conf
            .iter()
            .map(|(key, value)| format!("    {key}: \"{value}\"\n"))
            .collect();
        let text = BASE.replacen("  sparkConf:\n", &format!("  sparkConf:\n{lines}"), 1);
        let job = Job {
            files: vec![job::of_bytes("app.yaml", text.as_bytes())],
            ..Job::default()
        };
        let settings = Settings {
            gates: vec![Gate::Conf],
            ..Settings::default()
        };
        let report = check(&job, &settings, &Waivers::default());
        let found: Vec<String> = report.findings().map(|(_, finding)| finding.message.clone()).collect();
        assert!(found.is_empty(), "{found:#?}\nin\n{text}");
    }
}
