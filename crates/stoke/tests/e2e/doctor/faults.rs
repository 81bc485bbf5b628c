//! Faults put into real applications, each with what must be found first.

use libtest_mimic::Failed;
use serde_json::{Value, json};

use crate::behaviours::ground::Stage;

/// A fault.
pub struct Fault {
    /// Name of the application, and of the test.
    pub name: &'static str,
    /// The finding that must come first.
    pub expected: &'static str,
    /// The program.
    pub code: String,
    /// What the manifest has besides.
    pub more: Value,
    /// What is done before it is applied.
    pub before: fn(&Stage<'_>) -> Result<(), Failed>,
    /// What is done to it once it is there.
    pub then: fn(&Stage<'_>, &str) -> Result<(), Failed>,
    /// Whether it ends; else it is stuck and found so.
    pub ends: bool,
    /// The Maven package it needs.
    pub package: Option<&'static str>,
}

/// Of a program that fails by itself.
fn program(name: &'static str, expected: &'static str, code: &str) -> Fault {
    manifest(name, expected, code, json!({}))
}

/// Of a program in a manifest.
fn manifest(name: &'static str, expected: &'static str, code: &str, more: Value) -> Fault {
    Fault {
        name,
        expected,
        code: format!("{SPARK}{code}\nspark.stop()\n"),
        more,
        before: |_| Ok(()),
        then: |_, _| Ok(()),
        ends: true,
        package: None,
    }
}

/// Of a program with a Maven package.
fn packaged(name: &'static str, expected: &'static str, code: &str, package: &'static str) -> Fault {
    let more = json!({"deps": {"packages": [package]}});
    Fault {
        package: Some(package),
        ..manifest(name, expected, code, more)
    }
}

/// Of pods that never run.
fn stuck(name: &'static str, expected: &'static str, more: Value) -> Fault {
    Fault {
        ends: false,
        ..manifest(name, expected, "", more)
    }
}

const SPARK: &str = "import os, sys, time\nfrom pyspark.sql import SparkSession\n\
                     spark = SparkSession.builder.getOrCreate()\nsc = spark.sparkContext\n";

/// Tasks of four seconds each, for things to be done to their executor meanwhile.
const SLOW: &str = "print('begun', flush=True)\nsc.parallelize(range(2), 2).map(lambda x: time.sleep(4)).count()";

fn conf(pairs: &[(&str, &str)]) -> Value {
    let pairs = pairs.iter().map(|(key, value)| (key.to_string(), json!(value)));
    json!({"sparkConf": Value::Object(pairs.collect())})
}

/// Every fault.
pub fn all() -> Vec<Fault> {
    [
        scheduling(),
        images_and_objects(),
        memory(),
        programs(),
        settings(),
        stores(),
        losses(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn scheduling() -> Vec<Fault> {
    let affinity = json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
        {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["nowhere"]}]}]}}});
    let claim = |name: &str| {
        json!({"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": name}}],
               "driver": {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}})
    };
    vec![
        stuck("cpu", "pod-too-large", json!({"driver": {"coreRequest": "900"}})),
        stuck("memory", "pod-too-large", json!({"driver": {"memory": "9000g"}})),
        stuck(
            "selector",
            "unschedulable-node-selector",
            json!({"nodeSelector": {"disk": "none-has-it"}}),
        ),
        stuck(
            "affinity",
            "unschedulable-node-selector",
            json!({"driver": {"affinity": affinity}}),
        ),
        stuck("claim-missing", "volume-claim-missing", claim("is-not-there")),
        Fault {
            before: |stage| {
                stage.apply(
                    &json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "waits"},
                    "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "none-has-it",
                             "resources": {"requests": {"storage": "1Gi"}}}}),
                )
            },
            ..stuck("claim-unbound", "volume-claim-unbound", claim("waits"))
        },
        Fault {
            before: |stage| {
                stage.apply(
                    &json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "small"},
                    "spec": {"hard": {"limits.memory": "1Gi", "requests.memory": "1Gi", "pods": "1"}}}),
                )
            },
            ends: false,
            ..manifest("quota", "quota-exceeded", SLOW, json!({"driver": {"memory": "512m"}}))
        },
        Fault {
            before: |stage| {
                stage.apply(
                    &json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}),
                )
            },
            ..stuck("quota-driver", "quota-exceeded", json!({})).ending()
        },
        Fault {
            before: refuse_executors,
            ends: false,
            ..manifest("admission", "admission-denied", SLOW, json!({}))
        },
        Fault {
            before: |stage| {
                stage.apply(
                    &json!({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "small"},
                    "spec": {"limits": [{"type": "Container", "max": {"memory": "256Mi"}}]}}),
                )
            },
            ..stuck("limit-range", "limit-range-exceeded", json!({})).ending()
        },
        stuck(
            "executor-cpu",
            "pod-too-large",
            json!({"executor": {"coreRequest": "900"}, "arguments": ["1"]}),
        )
        .with(SLOW),
    ]
}

/// A policy that lets no executor into the namespace. It belongs to the namespace, and goes with it.
fn refuse_executors(stage: &Stage<'_>) -> Result<(), Failed> {
    let namespace = stage.namespace();
    let owner = stage.get("namespace", namespace)?;
    let metadata = json!({"name": format!("no-executors-{namespace}"), "ownerReferences": [
        {"apiVersion": "v1", "kind": "Namespace", "name": namespace, "uid": owner["metadata"]["uid"]}]});
    let here = json!({"matchLabels": {"kubernetes.io/metadata.name": namespace}});
    stage.apply(&json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": metadata,
        "spec": {
            "matchConstraints": {"namespaceSelector": here, "resourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]},
            "validations": [{
                "expression": "!has(object.metadata.labels) || !('spark-role' in object.metadata.labels) || object.metadata.labels['spark-role'] != 'executor'",
                "message": "executors need a cost centre",
            }],
        },
    }))?;
    stage.apply(&json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding", "metadata": metadata,
        "spec": {"policyName": metadata["name"], "validationActions": ["Deny"]},
    }))
}

impl Fault {
    fn with(mut self, code: &str) -> Fault {
        self.code = format!("{SPARK}{code}\nspark.stop()\n");
        self
    }
}

fn images_and_objects() -> Vec<Fault> {
    let from = |kind: &str, key: Option<&str>| {
        let source = match key {
            Some(key) => {
                json!({"env": [{"name": "PASSWORD", "valueFrom": {(format!("{kind}KeyRef")): {"name": "code", "key": key}}}]})
            }
            None => json!({"envFrom": [{(format!("{kind}Ref")): {"name": "is-not-there"}}]}),
        };
        json!({ "driver": source })
    };
    vec![
        stuck(
            "image",
            "image-pull-failed",
            json!({"image": "registry.invalid/is-not-there:1"}),
        ),
        stuck(
            "account",
            "service-account-missing",
            json!({"driver": {"serviceAccount": "is-not-there"}}),
        )
        .ending(),
        stuck("config-map", "config-map-missing", from("configMap", None)),
        stuck("secret", "secret-missing", from("secret", None)),
        stuck("key", "config-key-missing", from("configMap", Some("is-not-there"))),
        stuck(
            "secret-volume",
            "secret-missing",
            json!({"driver": {"secrets": [{"name": "is-not-there", "path": "/secret", "secretType": "Generic"}]}}),
        ),
        Fault {
            before: |stage| {
                stage.label_namespace("pod-security.kubernetes.io/enforce=baseline")?;
                Ok(())
            },
            ..stuck(
                "privileged",
                "pod-security-denied",
                json!({"driver": {"securityContext": {"privileged": true}}}),
            )
            .ending()
        },
        Fault {
            before: |stage| {
                stage.kubectl(&["create", "serviceaccount", "may-nothing"])?;
                Ok(())
            },
            ..manifest(
                "rbac",
                "rbac-denied",
                "sc.parallelize(range(2)).count()",
                json!({"driver": {"serviceAccount": "may-nothing"}}),
            )
        },
    ]
}

impl Fault {
    fn ending(self) -> Fault {
        Fault { ends: true, ..self }
    }
}

fn memory() -> Vec<Fault> {
    let small = json!({"driver": {"memory": "512m"}, "executor": {"memory": "512m"}});
    let overhead = |role: &str| json!({role: {"memoryOverhead": "100m"}});
    vec![
        manifest(
            "executor-oom-killed",
            "executor-oom-killed",
            "sc.parallelize(range(1), 1).map(lambda x: len(bytearray(3 << 30))).count()",
            overhead("executor"),
        ),
        manifest(
            "executor-heap",
            "executor-heap-oom",
            "spark.range(4).selectExpr('array_repeat(id, 150000000) a').selectExpr('size(array_sort(a))').write.format('noop').mode('overwrite').save()",
            small.clone(),
        ),
        manifest(
            "driver-oom-killed",
            "driver-oom-killed",
            "held = [bytearray(1 << 30) for _ in range(4)]",
            overhead("driver"),
        ),
        manifest(
            "driver-heap",
            "driver-heap-oom",
            "held = spark._jvm.java.util.ArrayList()\n\
             for _ in range(100): held.add(spark._jvm.java.nio.ByteBuffer.allocate(100 << 20))",
            small,
        ),
        manifest(
            "python-memory",
            "python-memory",
            "sc.parallelize(range(1), 1).map(lambda x: len(bytearray(1 << 30))).count()",
            conf(&[("spark.executor.pyspark.memory", "300m")]),
        ),
        manifest(
            "result-too-large",
            "result-too-large",
            "sc.parallelize(range(8), 8).map(lambda x: bytes(1 << 20)).collect()",
            conf(&[("spark.driver.maxResultSize", "2m")]),
        ),
    ]
}

fn programs() -> Vec<Fault> {
    vec![
        program(
            "python",
            "python-exception",
            "def price(row):\n    return row['cents'] / 100\nprint(price({'euros': 1}))",
        ),
        program(
            "python-task",
            "python-exception",
            "def price(row):\n    return row['cents'] / 100\nsc.parallelize([{'euros': 1}], 1).map(price).collect()",
        ),
        program("exit-code", "driver-exit-code", "sys.exit(3)"),
        program("module", "python-module-missing", "import pandas_is_not_there"),
        program("path", "path-not-found", "spark.read.parquet('/no/such/place').show()"),
        program("column", "sql-analysis-error", "spark.range(3).select('price').show()"),
        program("syntax", "sql-analysis-error", "spark.sql('selectt 1').show()"),
        program(
            "divide",
            "sql-runtime-error",
            "spark.range(3).selectExpr('1 / (id - 1)').collect()",
        ),
        program(
            "format",
            "package-missing",
            "spark.read.format('delta').load('/data').show()",
        ),
        program("s3a", "package-missing", "spark.read.text('s3a://bucket/key').show()"),
        program(
            "pickle",
            "not-serializable",
            "import threading\nlock = threading.Lock()\nsc.parallelize(range(2)).map(lambda x: (lock, x)).count()",
        ),
        program(
            "worker-killed",
            "python-worker-crashed",
            "import signal\nsc.parallelize(range(2), 1).map(lambda x: os.kill(os.getpid(), signal.SIGKILL)).count()",
        ),
        manifest(
            "main-file",
            "main-file-missing",
            "",
            json!({"mainApplicationFile": "local:///opt/app/other.py"}),
        ),
        manifest(
            "main-class",
            "main-class-missing",
            "",
            json!({"type": "Java", "mainClass": "com.example.IsNotThere", "mainApplicationFile": "local:///opt/spark/jars/spark-core_2.13-4.1.4.jar"}),
        ),
        manifest(
            "conf-value",
            "configuration-invalid",
            "spark.range(3).count()",
            conf(&[("spark.memory.fraction", "1.7")]),
        ),
        manifest(
            "package",
            "package-unresolved",
            "",
            json!({"deps": {"packages": ["com.example:is-not-there:1.0"]}}),
        ),
        manifest(
            "metastore",
            "metastore-unreachable",
            "spark.sql('show databases').show()",
            conf(&[
                ("spark.sql.catalogImplementation", "hive"),
                ("spark.hadoop.hive.metastore.uris", "thrift://127.0.0.1:1"),
                ("spark.hadoop.hive.metastore.connect.retries", "1"),
                ("spark.hadoop.hive.metastore.client.connect.retry.delay", "1s"),
                ("spark.hadoop.hive.metastore.failure.retries", "1"),
            ]),
        ),
        manifest(
            "disk",
            "disk-full",
            "spark.range(4000000).selectExpr('id', 'uuid() u').repartition(3, 'u').write.format('noop').mode('overwrite').save()",
            json!({
                "volumes": [{"name": "spark-local-dir-1", "emptyDir": {"medium": "Memory", "sizeLimit": "20Mi"}}],
                "executor": {"volumeMounts": [{"name": "spark-local-dir-1", "mountPath": "/scratch"}]},
            }),
        ),
    ]
}

/// Settings and programs that do not go together.
fn settings() -> Vec<Fault> {
    vec![
        manifest(
            "broadcast",
            "broadcast-timeout",
            "from pyspark.sql import functions as F\n\
             slow = F.udf(lambda x: time.sleep(10) or x, 'long')\n\
             right = spark.range(1).select(slow('id').alias('id'))\n\
             spark.range(9).join(F.broadcast(right), 'id').count()",
            // Adaptive execution waits for a broadcast without this limit.
            conf(&[
                ("spark.sql.broadcastTimeout", "2"),
                ("spark.sql.adaptive.enabled", "false"),
            ]),
        ),
        manifest(
            "barrier",
            "barrier-slots",
            "sc.parallelize(range(8), 8).barrier().mapPartitions(lambda rows: rows).collect()",
            conf(&[
                ("spark.scheduler.barrier.maxConcurrentTasksCheck.interval", "1s"),
                ("spark.scheduler.barrier.maxConcurrentTasksCheck.maxFailures", "2"),
            ]),
        ),
        program(
            "context",
            "context-in-task",
            "sc.parallelize(range(2)).map(lambda x: sc.parallelize([x]).count()).collect()",
        ),
        manifest(
            "dynamic",
            "dynamic-allocation-unsupported",
            "spark.range(3).count()",
            conf(&[
                ("spark.dynamicAllocation.enabled", "true"),
                ("spark.dynamicAllocation.shuffleTracking.enabled", "false"),
            ]),
        ),
        program(
            "exists",
            "path-already-exists",
            "for _ in range(2): spark.range(3).write.parquet('/tmp/written-twice')",
        ),
        packaged(
            "scala",
            "scala-mismatch",
            "spark.range(1).write.format('delta').save('/tmp/delta')",
            "io.delta:delta-spark_2.12:3.2.1",
        ),
    ]
}

/// Stores and services that refuse, or are not there.
fn stores() -> Vec<Fault> {
    // Set in the program: what a manifest says of S3A would replace all that the operator says of it.
    let s3a = |name: &'static str, expected: &'static str, place: &str, pairs: &[(&str, &str)]| {
        let set =
            |(key, value): &(&str, &str)| format!("sc._jsc.hadoopConfiguration().set('fs.s3a.{key}', '{value}')\n");
        let sets: String = [("attempts.maximum", "1"), ("retry.limit", "1")]
            .iter()
            .chain(pairs)
            .map(set)
            .collect();
        let code = format!("{sets}spark.read.text('s3a://{place}').show()");
        packaged(name, expected, &code, HADOOP_AWS)
    };
    vec![
        program(
            "host",
            "host-unknown",
            "spark.read.text('hdfs://is-not-there.invalid/data').show()",
        ),
        program(
            "service",
            "service-unreachable",
            "spark.read.text('hdfs://127.0.0.1:1/data').show()",
        ),
        s3a(
            "s3-keys",
            "s3-access-denied",
            "spark/data",
            &[("access.key", "nobody"), ("secret.key", "knows")],
        ),
        s3a("s3-bucket", "s3-bucket-missing", "is-not-there/data", &[]),
        s3a(
            "s3-endpoint",
            "s3-endpoint-unreachable",
            "spark/data",
            &[("endpoint", "http://127.0.0.1:1")],
        ),
    ]
}

/// With the Hadoop that Spark 4.1.4 has.
const HADOOP_AWS: &str = "org.apache.hadoop:hadoop-aws:3.4.2";

fn losses() -> Vec<Fault> {
    vec![
        program(
            "executor-killed",
            "executor-killed",
            // The JVM that started the Python daemon that started this worker.
            "def parent(pid): return int(open(f'/proc/{pid}/stat').read().rsplit(')', 1)[1].split()[1])\n\
             sc.parallelize(range(1), 1).map(lambda x: os.kill(parent(parent(os.getpid())), 9)).count()",
        ),
        program(
            "driver-killed",
            "driver-killed",
            "os.kill(os.getppid(), 9)\ntime.sleep(60)",
        ),
        Fault {
            then: |stage, name| {
                stage.until_printed(name, "begun")?;
                stage.kubectl(&["delete", "pod", &format!("{name}-driver"), "--wait=false"])?;
                Ok(())
            },
            ..manifest("driver-deleted", "driver-pod-deleted", SLOW, json!({}))
        },
        Fault {
            ends: false,
            ..manifest(
                "evicted",
                "executor-evicted-storage",
                // More than the volume may hold, kept until the kubelet has looked.
                "sc.parallelize(range(1), 1).map(lambda x: (open('/data/x', 'wb').write(bytes(60 << 20)), time.sleep(90))).count()",
                json!({
                    "volumes": [{"name": "data", "emptyDir": {"sizeLimit": "20Mi"}}],
                    "executor": {"volumeMounts": [{"name": "data", "mountPath": "/data"}]},
                }),
            )
        },
        manifest("deadline", "deadline-exceeded", "time.sleep(600)", json!({})),
    ]
}
