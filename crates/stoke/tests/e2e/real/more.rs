//! Behaviours that need a kubelet, or the operator as it is installed, to be shown.

use libtest_mimic::Failed;
use serde_json::{Value, json};

use super::rig::{Rig, S3};
use super::{Row, install_operator};
use crate::behaviours::ground::{Stage, image};
use crate::behaviours::{WAIT, application, driver, of};
use crate::common::{expect_code, expect_parts, repository, text};
use crate::connect;

/// Each with its name.
pub const BEHAVIOURS: [Row; 11] = [
    ("init containers and sidecars run beside driver and executors", sidecars),
    ("volumes of each kind are mounted in driver and executors", volumes),
    ("a pod template is kept", template),
    ("metrics of the driver, by servlet", monitoring),
    ("the UI has a service that answers, and an ingress", interface),
    ("a restricted namespace runs it", restricted),
    ("a Connect server answers the PySpark client", connected),
    ("what is wrong is refused by the webhook, with the field", admission),
    ("data is checked before and after", quality),
    ("logs are kept on an S3 and read when their pods are gone", kept_logs),
    (
        "PodGroups of a batch scheduler are made, and reported when nothing serves them",
        batch,
    ),
];

fn sidecars(stage: &Stage<'_>) -> Result<(), Failed> {
    let shared = json!([{"name": "shared", "mountPath": "/shared"}]);
    let role = json!({
        "initContainers": [{"name": "first", "image": image(), "command": ["sh", "-c", "echo from-init > /shared/file"], "volumeMounts": shared}],
        "sidecars": [{"name": "beside", "image": image(), "command": ["sleep", "3600"]}],
        "volumeMounts": shared,
    });
    let more = json!({"volumes": [{"name": "shared", "emptyDir": {}}], "driver": role, "executor": role});
    let code = "from pyspark.sql import SparkSession\nspark = SparkSession.builder.getOrCreate()\nprint('driver', open('/shared/file').read())\n\
                print('executor', spark.sparkContext.parallelize([0], 1).map(lambda _: open('/shared/file').read()).first())\nspark.stop()\n";
    stage.apply(&application(stage, "beside", code, more)?)?;
    // The sidecar never ends by itself; the application ends with its driver.
    stage.until_state("beside", "COMPLETED")?;
    let log = stage.kubectl(&["logs", "beside-driver", "-c", "spark-kubernetes-driver"])?;
    expect_parts(&log, &["driver from-init", "executor from-init"])
}

fn volumes(stage: &Stage<'_>) -> Result<(), Failed> {
    stage.apply(
        &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"a": "from-map"}}),
    )?;
    stage.apply(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}, "stringData": {"a": "from-secret"}}))?;
    let name = format!("{}-disk", stage.namespace());
    let host = format!("/tmp/{name}");
    stage.apply(&json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": {
        "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteMany"], "storageClassName": "", "persistentVolumeReclaimPolicy": "Delete",
        "hostPath": {"path": host, "type": "DirectoryOrCreate"}}}))?;
    stage.apply(&json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "disk"}, "spec": {
        "accessModes": ["ReadWriteMany"], "storageClassName": "", "volumeName": name, "resources": {"requests": {"storage": "1Gi"}}}}))?;
    let mounts = json!([
        {"name": "empty", "mountPath": "/v/empty"}, {"name": "map", "mountPath": "/v/map"}, {"name": "secret", "mountPath": "/v/secret", "readOnly": true},
        {"name": "claim", "mountPath": "/v/claim"}, {"name": "down", "mountPath": "/v/down"}, {"name": "all", "mountPath": "/v/all"},
        {"name": "memory", "mountPath": "/v/memory"}, {"name": "own", "mountPath": "/v/host"},
    ]);
    let more = json!({
        "volumes": [
            {"name": "empty", "emptyDir": {"sizeLimit": "10Mi"}}, {"name": "memory", "emptyDir": {"medium": "Memory"}},
            {"name": "map", "configMap": {"name": "settings"}}, {"name": "secret", "secret": {"secretName": "keys"}},
            {"name": "claim", "persistentVolumeClaim": {"claimName": "disk"}},
            {"name": "own", "hostPath": {"path": "/etc", "type": "Directory"}},
            {"name": "down", "downwardAPI": {"items": [{"path": "a", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
            {"name": "all", "projected": {"sources": [{"configMap": {"name": "settings"}}, {"serviceAccountToken": {"path": "token"}}]}},
        ],
        "driver": {"volumeMounts": mounts}, "executor": {"volumeMounts": mounts},
    });
    let code = "import os\nfrom pyspark.sql import SparkSession\nspark = SparkSession.builder.getOrCreate()\n\
                def look(_):\n    read = lambda p: open('/v/' + p).read()\n    [open('/v/' + p + '/x', 'w').write('x') for p in ('empty', 'memory')]\n    \
                return read('map/a'), read('secret/a'), read('down/a'), read('all/a'), len(read('all/token')) > 100, os.path.exists('/v/host/passwd'), os.path.isdir('/v/claim')\n\
                print('driver', *look(0))\nprint('executor', *spark.sparkContext.parallelize([0], 1).map(look).first())\nspark.stop()\n";
    stage.apply(&application(stage, "mounts", code, more)?)?;
    let ended = stage.until_state("mounts", "COMPLETED");
    let log = stage.kubectl(&["logs", "mounts-driver"]);
    stage.kubectl(&["delete", "persistentvolume", &name, "--wait=false"])?;
    ended?;
    let line = format!("from-map from-secret {} from-map True True True", stage.namespace());
    expect_parts(&log?, &[&format!("driver {line}"), &format!("executor {line}")])
}

/// The operator is installed again with the place; Spark's own pods know nothing of it.
fn kept_logs(stage: &Stage<'_>) -> Result<(), Failed> {
    let rig = Rig::get()?;
    let folder = tempfile::tempdir()?;
    let s3 = S3::start(folder.path())?;
    let variables: Vec<Value> = s3
        .variables()
        .iter()
        .map(|(name, value)| json!({"name": name, "value": value}))
        .collect();
    let values = folder.path().join("values.yaml");
    std::fs::write(&values, json!({"controller": {"env": variables}}).to_string())?;
    let values = values.to_string_lossy();
    install_operator(&rig, &["--keep-logs", "s3://spark/kept", "--values", &values])?;
    let kept = (|| {
        let more = json!({"arguments": ["0"], "timeToLiveSeconds": 5});
        let mut app = application(stage, "said", WAIT, more)?;
        app["metadata"]["annotations"] = json!({"stoke.dev/keep-logs": "all"});
        stage.apply(&app)?;
        stage.until("its pods are gone", |stage| {
            let has_ended = stage.get("sparkapplication", "said")?.is_null();
            Ok(has_ended && stage.list("pods", &of("said"))?.is_empty())
        })?;
        let home = tempfile::tempdir()?;
        let mut command = stage.stoke(&[
            "logs",
            "said",
            "--all",
            "-n",
            stage.namespace(),
            "--kept",
            "s3://spark/kept",
        ]);
        let output = command.env("STOKE_HOME", home.path()).envs(s3.variables()).output()?;
        expect_code(&output, 0)?;
        expect_parts(&text(&output), &["counted 100", "said-driver", "-exec-1"])
    })();
    install_operator(&rig, &[])?;
    kept
}

fn template(stage: &Stage<'_>) -> Result<(), Failed> {
    let of_role = |role: &str| {
        json!({"template": {"metadata": {"annotations": {"team": role}}, "spec": {
            "terminationGracePeriodSeconds": 7, "hostAliases": [{"ip": "127.0.0.9", "hostnames": ["old-name"]}],
            "containers": [{"name": "ignored", "env": [{"name": "ROLE", "value": role}]}]}}})
    };
    let more = json!({"driver": of_role("driver"), "executor": of_role("executor")});
    let code = "import os, socket\nfrom pyspark.sql import SparkSession\nspark = SparkSession.builder.getOrCreate()\n\
                look = lambda _: (os.environ['ROLE'], socket.gethostbyname('old-name'))\nprint('driver', *look(0))\n\
                print('executor', *spark.sparkContext.parallelize([0], 1).map(look).first())\nspark.stop()\n";
    stage.apply(&application(stage, "shaped", code, more)?)?;
    stage.until_state("shaped", "COMPLETED")?;
    let pod = driver(stage, "shaped")?;
    if pod["spec"]["terminationGracePeriodSeconds"] != 7 || pod["metadata"]["annotations"]["team"] != "driver" {
        return Err(format!("the template is lost: {pod:#}").into());
    }
    let log = stage.kubectl(&["logs", "shaped-driver"])?;
    expect_parts(&log, &["driver driver 127.0.0.9", "executor executor 127.0.0.9"])
}

fn monitoring(stage: &Stage<'_>) -> Result<(), Failed> {
    let more = json!({"arguments": ["60"], "sparkConf": {
        "spark.ui.prometheus.enabled": "true", "spark.metrics.namespace": "spark",
        "spark.metrics.conf.*.sink.prometheusServlet.class": "org.apache.spark.metrics.sink.PrometheusServlet",
        "spark.metrics.conf.*.sink.prometheusServlet.path": "/metrics/prometheus",
    }});
    stage.apply(&application(stage, "metered", WAIT, more)?)?;
    stage.until_printed("metered", "counted 100")?;
    let path = |what: &str| {
        format!(
            "/api/v1/namespaces/{}/pods/metered-driver:4040/proxy/metrics/{what}",
            stage.namespace()
        )
    };
    let of_driver = stage.kubectl(&["get", "--raw", &path("prometheus/")])?;
    expect_parts(
        &of_driver,
        &["metrics_spark_driver_BlockManager_memory_maxMem_MB_Value"],
    )?;
    let of_executors = stage.kubectl(&["get", "--raw", &path("executors/prometheus/")])?;
    expect_parts(
        &of_executors,
        &["metrics_executor_totalTasks_total", "executor_id=\"1\""],
    )
}

fn interface(stage: &Stage<'_>) -> Result<(), Failed> {
    let more = json!({
        "arguments": ["60"],
        "sparkUIOptions": {"servicePort": 8088, "serviceAnnotations": {"team": "etl"}, "ingressAnnotations": {"class": "internal"}},
    });
    stage.apply(&application(stage, "shown", WAIT, more)?)?;
    stage.until_printed("shown", "counted 100")?;
    let service = stage.get("service", "shown-ui-svc")?;
    if service["spec"]["ports"][0]["port"] != 8088 || service["metadata"]["annotations"]["team"] != "etl" {
        return Err(format!("not the service that was asked for: {service:#}").into());
    }
    let path = format!(
        "/api/v1/namespaces/{}/services/shown-ui-svc:8088/proxy/api/v1/applications",
        stage.namespace()
    );
    expect_parts(&stage.kubectl(&["get", "--raw", &path])?, &["\"attempts\""])?;
    stage.kubectl(&["delete", "sparkapplication", "shown"])?;
    stage.until("the service goes with the application", |stage| {
        Ok(stage.get("service", "shown-ui-svc")?.is_null())
    })
}

fn restricted(stage: &Stage<'_>) -> Result<(), Failed> {
    stage.label_namespace("pod-security.kubernetes.io/enforce=restricted")?;
    stage.apply(&application(stage, "safe", WAIT, json!({"arguments": ["0"]}))?)?;
    stage.until_state("safe", "COMPLETED").map(drop)
}

fn connected(stage: &Stage<'_>) -> Result<(), Failed> {
    let rig = Rig::get()?;
    let python = connect::client_python(&stoke_testkit::spark::home())?;
    let manifest = json!({"apiVersion": "sparkoperator.k8s.io/v1alpha1", "kind": "SparkConnect", "metadata": {"name": "lab"}, "spec": {
        "sparkVersion": "4.1.4", "image": image(),
        "server": {"cores": 1, "memory": "1g", "serviceAccount": "spark"},
        "sparkConf": {"spark.kubernetes.driver.request.cores": "200m", "spark.kubernetes.executor.request.cores": "200m"},
        "executor": {"instances": 1, "cores": 1, "memory": "1g"}}});
    stage.apply(&manifest)?;
    let kubeconfig = rig.given.kubeconfig.clone().unwrap_or_default();
    let home = kubeconfig.parent().and_then(|conf| conf.parent()).ok_or("no home")?;
    let site = home.join("spark-4.1.4/pyspark-4.1.4");
    let py4j = std::fs::read_dir(site.join("lib"))?.flatten().map(|entry| entry.path());
    let py4j = py4j
        .into_iter()
        .find(|path| path.to_string_lossy().contains("py4j"))
        .ok_or("no py4j")?;
    let mut client = stage.stoke(&[
        "connect",
        "lab",
        "-n",
        stage.namespace(),
        "--port",
        "0",
        "--",
        &python.to_string_lossy(),
        "-c",
        connect::PROGRAM,
    ]);
    client.env("PYTHONPATH", format!("{}:{}", site.display(), py4j.display()));
    let answered = client.output()?;
    if answered.status.code() != Some(0) {
        let log = stage.try_kubectl(&["logs", "lab-server", "--tail", "40"], "")?;
        let state = stage.try_kubectl(&["get", "sparkconnect,pods", "-o", "yaml"], "")?;
        return Err(format!("{}\n{}\n{}", text(&answered), text(&log), text(&state)).into());
    }
    expect_parts(
        &text(&answered),
        &["client pyspark.sql.connect", "version 4.1.4", "rows 10 50400"],
    )
}

fn admission(stage: &Stage<'_>) -> Result<(), Failed> {
    let mut wrong = application(
        stage,
        "wrong",
        WAIT,
        json!({"sparkConf": {"spark.executor.memry": "1g"}}),
    )?;
    let refused = stage.try_kubectl(&["apply", "-f", "-"], &wrong.to_string())?;
    expect_code(&refused, 1)?;
    expect_parts(
        &text(&refused),
        &[
            "sparkoperator.k8s.io",
            "denied the request",
            "spark.executor.memry",
            "spark.executor.memory",
        ],
    )?;
    // What is right is taken.
    wrong["spec"]["sparkConf"] = json!({});
    let taken = stage.try_kubectl(
        &["apply", "--dry-run=server", "-o", "json", "-f", "-"],
        &wrong.to_string(),
    )?;
    expect_code(&taken, 0)
}

const CONTRACTS: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: orders}
data:
  clean.yaml: |
    apiVersion: v3.0.2
    kind: DataContract
    id: clean
    version: 1.0.0
    status: active
    schema:
      - name: orders
        properties:
          - {name: id, logicalType: integer, required: true, unique: true}
"#;

fn quality(stage: &Stage<'_>) -> Result<(), Failed> {
    let applied = stage.try_kubectl(&["apply", "-f", "-"], CONTRACTS)?;
    expect_code(&applied, 0)?;
    let data = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "data"}, "data": {"a.csv": "id\n1\n2\n", "bad.csv": "id\n1\n1\n"}});
    stage.apply(&data)?;
    let with = |name: &str, file: &str| -> Result<Value, Failed> {
        let more = json!({
            "arguments": ["0"],
            "volumes": [{"name": "data", "configMap": {"name": "data"}}],
            "driver": {"volumeMounts": [{"name": "data", "mountPath": "/data"}]},
        });
        let mut app = application(stage, name, WAIT, more)?;
        let step = format!("before: [{{contract: orders/clean.yaml, data: /data/{file}}}]");
        app["metadata"]["annotations"] = json!({"stoke.dev/quality": step});
        Ok(app)
    };
    stage.apply(&with("holds", "a.csv")?)?;
    stage.apply(&with("blocked", "bad.csv")?)?;
    stage.until_state("holds", "COMPLETED")?;
    let status = stage.until_state("blocked", "FAILED")?;
    if !driver(stage, "blocked")?.is_null() {
        return Err("a driver was made though its data does not hold".into());
    }
    expect_parts(&status.to_string(), &["data quality before the run", "id.unique"])
}

fn batch(stage: &Stage<'_>) -> Result<(), Failed> {
    let more = json!({"arguments": ["0"], "batchScheduler": "volcano"});
    stage.apply(&application(stage, "gang", WAIT, more)?)?;
    let status = stage.until_state("gang", "FAILED")?;
    expect_parts(
        &status["applicationState"]["errorMessage"].to_string(),
        &[
            "does not serve PodGroup of scheduling.volcano.sh/v1beta1",
            "install Volcano",
        ],
    )?;
    // With the definition there is an object, and pods that wait for a scheduler of that name.
    let definition = repository().join("crates/stoke/tests/e2e/real/podgroup.yaml");
    stage.kubectl(&["apply", "-f", &definition.to_string_lossy()])?;
    let made = (|| {
        stage.apply(&application(
            stage,
            "gang-2",
            WAIT,
            json!({"arguments": ["0"], "batchScheduler": "volcano"}),
        )?)?;
        stage.until("a PodGroup and a driver that waits", |stage| {
            let groups = stage.kubectl(&["get", "podgroups.scheduling.volcano.sh", "-o", "name"])?;
            let pods = stage.list("pods", &of("gang-2"))?;
            Ok(!groups.trim().is_empty() && pods.iter().any(|pod| pod["spec"]["schedulerName"] == "volcano"))
        })?;
        stage.kubectl(&["delete", "sparkapplication", "gang-2"]).map(drop)
    })();
    stage.kubectl(&["delete", "-f", &definition.to_string_lossy()])?;
    made
}
