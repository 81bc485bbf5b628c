//! What breaks in production: nothing is doubled, nothing is stuck, nothing is left behind, and the doctor names the cause.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use libtest_mimic::Failed;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};

use super::rig::Rig;
use super::{OPERATOR, operator_pods, report};
use crate::behaviours::ground::Stage;
use crate::behaviours::{WAIT, application, driver, of};
use crate::common::{eventually, expect_code, expect_parts, text};

type Fault = fn(&Rig, &Stage<'_>) -> Result<(), Failed>;

/// Each with its name.
pub const FAULTS: [(&str, Fault); 18] = [
    ("the operator is killed in mid-run, and again", operator_killed),
    ("the driver's JVM is killed", driver_killed),
    ("an executor is killed", executor_killed),
    ("the driver runs out of memory", driver_memory),
    ("executors run out of memory", executor_memory),
    ("an image that cannot be pulled", image_missing),
    ("a quota that shrinks in mid-run", quota_shrinks),
    ("the namespace is deleted", namespace_deleted),
    ("the API server is away for two minutes", api_server_away),
    ("etcd restarts", etcd_restarts),
    ("the operator is cut off for two minutes", operator_cut_off),
    ("the kubelet is away for a while", kubelet_away),
    ("the node is drained", node_drained),
    ("the node is lost", node_lost),
    ("the node's disk is full", disk_full),
    ("the definitions are deleted and restored", definitions_deleted),
    ("the webhook's certificates are lost", certificates_lost),
    ("the webhook's certificates expire", certificates_expired),
];

/// How long the operator may take to act after what it waited for is back.
const BACK: Duration = Duration::from_secs(20);

fn retried(seconds: &str) -> Value {
    let policy = json!({"type": "OnFailure", "onFailureRetries": 3, "onFailureRetryInterval": 1});
    json!({"arguments": [seconds], "restartPolicy": policy})
}

/// One driver, this one, after an end in COMPLETED with so many attempts.
fn ended_once(stage: &Stage<'_>, name: &str, attempts: u64) -> Result<(), Failed> {
    let status = stage.until_state(name, "COMPLETED")?;
    if status["executionAttempts"] != attempts {
        return Err(format!("not {attempts} attempts: {status:#}").into());
    }
    let drivers = stage.list("pods", &format!("{},spark-role=driver", of(name)))?;
    if drivers.len() != 1 {
        return Err(format!("{} drivers", drivers.len()).into());
    }
    Ok(())
}

/// The first finding of the doctor.
fn first_cause(stage: &Stage<'_>, name: &str, any: &[&str]) -> Result<(), Failed> {
    let told = stage.doctor(name)?;
    let first = told["findings"][0]["code"].as_str().unwrap_or_default();
    if any.contains(&first) {
        return Ok(());
    }
    Err(format!("the doctor's first cause is `{first}`, not one of {any:?}: {told:#}").into())
}

fn kill_in(stage: &Stage<'_>, pod: &str, container: &str) -> Result<(), Failed> {
    // The JVM, not the init process of the container.
    let script = "kill -9 $(pgrep -x java)";
    stage
        .kubectl(&["exec", pod, "-c", container, "--", "bash", "-c", script])
        .map(drop)
}

fn operator_killed(rig: &Rig, stage: &Stage<'_>) -> Result<(), Failed> {
    stage.apply(&application(stage, "steady", WAIT, json!({"arguments": ["20"]}))?)?;
    for _ in 0..2 {
        for pod in operator_pods(rig)? {
            rig.kubectl(&["delete", "-n", OPERATOR, &pod, "--grace-period=0", "--force"])?;
        }
        std::thread::sleep(Duration::from_secs(3));
    }
    ended_once(stage, "steady", 1)
}

fn driver_killed(_: &Rig, stage: &Stage<'_>) -> Result<(), Failed> {
    stage.apply(&application(stage, "struck", WAIT, retried("15"))?)?;
    stage.until_printed("struck", "counted 100")?;
    kill_in(stage, "struck-driver", "spark-kubernetes-driver")?;
    ended_once(stage, "struck", 2)
}

fn executor_killed(_: &Rig, stage: &Stage<'_>) -> Result<(), Failed> {
    let code = "import time\nfrom pyspark.sql import SparkSession\nspark = SparkSession.builder.getOrCreate()\n\
                print('begun', flush=True)\nprint('sum', spark.sparkContext.parallelize(range(4), 4).map(lambda i: time.sleep(6) or i).sum())\nspark.stop()\n";
    stage.apply(&application(stage, "replaced", code, json!({}))?)?;
    let executors = format!("{},spark-role=executor", of("replaced"));
    stage.until("an executor runs", |stage| {
        Ok(stage
            .list("pods", &executors)?
            .iter()
            .any(|pod| pod["status"]["phase"] == "Running"))
    })?;
    stage.until_printed("replaced", "begun")?;
    let pod = stage.list("pods", &executors)?[0]["metadata"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    kill_in(stage, &pod, "spark-kubernetes-executor")?;
    ended_once(stage, "replaced", 1)?;
    expect_parts(&stage.kubectl(&["logs", "replaced-driver"])?, &["sum 6"])
}

fn driver_memory(_: &Rig, stage: &Stage<'_>) -> Result<(), Failed> {
    let code = "from pyspark.sql import SparkSession\nspark = SparkSession.builder.getOrCreate()\nheld = []\n\
                [held.append(bytearray(64 << 20)) for _ in range(40)]\n";
    stage.apply(&application(stage, "greedy", code, json!({}))?)?;
    let status = stage.until_state("greedy", "FAILED")?;
    expect_parts(
        &status["applicationState"]["errorMessage"].to_string(),
        &["driver container failed"],
    )?;
    first_cause(
        stage,
        "greedy",
        &["driver-oom-killed", "driver-heap-oom", "python-memory"],
    )
}

fn executor_memory(_: &Rig, stage: &Stage<'_>) -> Result<(), Failed> {
    let code = "from pyspark.sql import SparkSession\nspark = SparkSession.builder.getOrCreate()\n\
                def eat(_):\n    held = []\n    [held.append(bytearray(64 << 20)) for _ in range(40)]\n    return 1\n\
                print(spark.sparkContext.parallelize([0], 1).map(eat).sum())\n";
    // With cgroups of version 1 the kernel may end the Python worker alone, and nothing in the API says so.
    let more =
        json!({"sparkConf": {"spark.task.maxFailures": "1", "spark.python.worker.faulthandler.enabled": "true"}});
    stage.apply(&application(stage, "hungry", code, more)?)?;
    stage.until_state("hungry", "FAILED")?;
    first_cause(stage, "hungry", &["executor-oom-killed", "python-memory"])
}

fn image_missing(_: &Rig, stage: &Stage<'_>) -> Result<(), Failed> {
    let mut app = application(stage, "pulls", WAIT, json!({"image": "registry.invalid/nothing:1"}))?;
    app["metadata"]["annotations"] = json!({"stoke.dev/pending-timeout": "60s"});
    stage.apply(&app)?;
    let status = stage.until_state("pulls", "FAILED")?;
    expect_parts(
        &status["applicationState"]["errorMessage"].to_string(),
        &["registry.invalid/nothing:1"],
    )?;
    first_cause(stage, "pulls", &["registry-unreachable"])
}

fn quota_shrinks(_: &Rig, stage: &Stage<'_>) -> Result<(), Failed> {
    let quota = |pods: &str| {
        stage.apply(&json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}, "spec": {"hard": {"pods": pods}}}))
    };
    quota("10")?;
    let more = json!({"arguments": ["25"], "executor": {"instances": 2}});
    stage.apply(&application(stage, "squeezed", WAIT, more)?)?;
    stage.until("a driver", |stage| Ok(!driver(stage, "squeezed")?.is_null()))?;
    quota("1")?;
    // Without executors Spark waits; with room again it goes on.
    std::thread::sleep(Duration::from_secs(10));
    quota("10")?;
    ended_once(stage, "squeezed", 1)
}

fn namespace_deleted(rig: &Rig, stage: &Stage<'_>) -> Result<(), Failed> {
    stage.apply(&application(stage, "doomed", WAIT, json!({"arguments": ["600"]}))?)?;
    stage.until_state("doomed", "RUNNING")?;
    let gone = rig.kubectl(&["delete", "namespace", stage.namespace(), "--timeout=120s"])?;
    expect_parts(&gone, &["deleted"])?;
    // The operator goes on with the others, and has not died of it.
    let restarts = "-o=jsonpath={.items[*].status.containerStatuses[0].restartCount}";
    let restarts = rig.kubectl(&["get", "pods", "-n", OPERATOR, restarts])?;
    if restarts.split_whitespace().any(|count| count != "0") {
        return Err(format!("the operator was restarted: {restarts}").into());
    }
    Ok(())
}

/// Applies an application, waits until the operator has looked at it, and reports after how many seconds.
fn acts_within(stage: &Stage<'_>, name: &str) -> Result<(), Failed> {
    let app = application(stage, name, WAIT, json!({"arguments": ["0"]}))?;
    stage.apply(&app)?;
    let begun = Instant::now();
    eventually("the operator acts", BACK, || {
        stage
            .get("sparkapplication", name)
            .is_ok_and(|app| app["status"]["applicationState"]["state"].is_string())
    })?;
    let what = format!("from the creation of {name} to its first status");
    report("figure", begun.elapsed(), &what)?;
    stage.until_state(name, "COMPLETED").map(drop)
}

fn api_server_away(rig: &Rig, stage: &Stage<'_>) -> Result<(), Failed> {
    stage.apply(&application(stage, "through", WAIT, json!({"arguments": ["150"]}))?)?;
    // A driver that is still asking for executors would end without the API server; one that works goes on.
    stage.until_printed("through", "counted 100")?;
    rig.kill(&["apiserver"])?;
    std::thread::sleep(Duration::from_secs(120));
    rig.up()?;
    acts_within(stage, "after")?;
    ended_once(stage, "through", 1)
}

fn etcd_restarts(rig: &Rig, stage: &Stage<'_>) -> Result<(), Failed> {
    stage.apply(&application(stage, "kept", WAIT, json!({"arguments": ["30"]}))?)?;
    stage.until_state("kept", "RUNNING")?;
    rig.kill(&["etcd"])?;
    std::thread::sleep(Duration::from_secs(5));
    rig.up()?;
    eventually("the API server is ready", Duration::from_secs(60), || {
        rig.given
            .kubectl()
            .args(["get", "--raw", "/readyz"])
            .output()
            .is_ok_and(|output| output.status.success())
    })?;
    acts_within(stage, "after-etcd")?;
    ended_once(stage, "kept", 1)
}

fn operator_cut_off(rig: &Rig, stage: &Stage<'_>) -> Result<(), Failed> {
    let deployment = format!("deployment/{OPERATOR}-controller");
    let scale = |replicas: &str| {
        rig.kubectl(&["scale", "-n", OPERATOR, &deployment, replicas])?;
        rig.kubectl(&["rollout", "status", "-n", OPERATOR, &deployment, "--timeout=60s"])
    };
    let holder = || -> Result<String, Failed> {
        let path = "-o=jsonpath={.spec.holderIdentity}";
        let identity = rig.kubectl(&["get", "lease", "-n", OPERATOR, "spark-operator-controller-lock", path])?;
        Ok(identity.split('_').next().unwrap_or_default().to_owned())
    };
    scale("--replicas=2")?;
    stage.apply(&application(stage, "unseen", WAIT, json!({"arguments": ["100"]}))?)?;
    stage.until_state("unseen", "RUNNING")?;
    let leader = holder()?;
    let path = "-o=jsonpath={.status.podIP}";
    let address = rig.kubectl(&["get", "pod", "-n", OPERATOR, &leader, path])?;
    rig.cut(&address, true)?;
    let other = (|| {
        let begun = Instant::now();
        eventually("the other has the lease", Duration::from_secs(60), || {
            holder().is_ok_and(|now| now != leader && !now.is_empty())
        })?;
        acts_within(stage, "by-the-other")?;
        std::thread::sleep(Duration::from_secs(120).saturating_sub(begun.elapsed()));
        Ok::<(), Failed>(())
    })();
    rig.cut(&address, false)?;
    other?;
    acts_within(stage, "after-cut")?;
    ended_once(stage, "unseen", 1)?;
    scale("--replicas=1").map(drop)
}

fn kubelet_away(rig: &Rig, stage: &Stage<'_>) -> Result<(), Failed> {
    stage.apply(&application(stage, "alone", WAIT, json!({"arguments": ["20"]}))?)?;
    stage.until_state("alone", "RUNNING")?;
    rig.kill(&["kubelet"])?;
    std::thread::sleep(Duration::from_secs(30));
    rig.up()?;
    ended_once(stage, "alone", 1)
}

fn node_drained(rig: &Rig, stage: &Stage<'_>) -> Result<(), Failed> {
    stage.apply(&application(stage, "moved", WAIT, retried("25"))?)?;
    stage.until_printed("moved", "counted 100")?;
    let before = driver(stage, "moved")?["metadata"]["uid"].clone();
    // Only the pods of this application, so that the operator is still there to be watched.
    let selector = format!("--pod-selector={}", of("moved"));
    let drain = [
        "drain",
        "node1",
        &selector,
        "--force",
        "--delete-emptydir-data",
        "--timeout=60s",
    ];
    let drained = rig.kubectl(&drain);
    let waits = stage.until("the next driver waits for a node", |stage| {
        let pod = driver(stage, "moved")?;
        Ok(pod["metadata"]["uid"] != before && pod["status"]["conditions"][0]["reason"] == "Unschedulable")
    });
    rig.kubectl(&["uncordon", "node1"])?;
    drained?;
    waits?;
    ended_once(stage, "moved", 2)
}

/// Its kubelet falls silent, and its Node is deleted, as a cloud does with a machine that is gone.
fn node_lost(rig: &Rig, stage: &Stage<'_>) -> Result<(), Failed> {
    stage.apply(&application(stage, "orphaned", WAIT, retried("40"))?)?;
    stage.until_printed("orphaned", "counted 100")?;
    let before = driver(stage, "orphaned")?["metadata"]["uid"].clone();
    rig.kill(&["kubelet"])?;
    let lost = rig.kubectl(&["delete", "node", "node1"]).and_then(|_| {
        stage.until("another driver", |stage| {
            let uid = driver(stage, "orphaned")?["metadata"]["uid"].clone();
            Ok(!uid.is_null() && uid != before)
        })
    });
    rig.up()?;
    lost?;
    ended_once(stage, "orphaned", 2)?;
    operator_is_back(rig)
}

/// The operator's own pod went, too.
fn operator_is_back(rig: &Rig) -> Result<(), Failed> {
    let ended = "--field-selector=status.phase!=Running,status.phase!=Pending";
    rig.kubectl(&["delete", "pods", "-n", OPERATOR, ended])?;
    let deployment = format!("deployment/{OPERATOR}-controller");
    let rolled_out = ["rollout", "status", "-n", OPERATOR, &deployment, "--timeout=120s"];
    rig.kubectl(&rolled_out).map(drop)
}

fn disk_full(rig: &Rig, stage: &Stage<'_>) -> Result<(), Failed> {
    stage.apply(&application(stage, "evicted", WAIT, json!({"arguments": ["600"]}))?)?;
    stage.until_printed("evicted", "counted 100")?;
    rig.kubelet_that_needs("99%")?;
    let told = eventually("the driver is evicted", Duration::from_secs(180), || {
        driver(stage, "evicted").is_ok_and(|pod| pod["status"]["reason"] == "Evicted")
    });
    rig.kubelet_that_needs("1%")?;
    told?;
    operator_is_back(rig)?;
    let status = stage.until_state("evicted", "FAILED")?;
    expect_parts(&status["applicationState"]["errorMessage"].to_string(), &["Evicted: "])?;
    first_cause(stage, "evicted", &["driver-evicted"])?;
    stage.apply(&application(stage, "later", WAIT, json!({"arguments": ["0"]}))?)?;
    ended_once(stage, "later", 1)
}

fn definitions_deleted(rig: &Rig, stage: &Stage<'_>) -> Result<(), Failed> {
    rig.kubectl(&[
        "delete",
        "crd",
        "sparkapplications.sparkoperator.k8s.io",
        "--timeout=60s",
    ])?;
    std::thread::sleep(Duration::from_secs(20));
    let restored = rig
        .given
        .kubectl()
        .args(["apply", "--server-side", "--force-conflicts", "-f"])
        .arg(crate::common::repository().join("deploy/crds/sparkoperator.k8s.io_sparkapplications.yaml"))
        .output()?;
    expect_code(&restored, 0)?;
    // Just made it has no conditions at all, which kubectl takes for an error.
    let established = [
        "wait",
        "--for=condition=Established",
        "crd/sparkapplications.sparkoperator.k8s.io",
        "--timeout=5s",
    ];
    eventually("the definition is established", Duration::from_secs(30), || {
        rig.given
            .kubectl()
            .args(established)
            .output()
            .is_ok_and(|output| output.status.success())
    })?;
    acts_within(stage, "after-definitions")?;
    let log = rig
        .given
        .kubectl()
        .args([
            "logs",
            "-n",
            OPERATOR,
            "deployment/stoke-test-controller",
            "--since=60s",
        ])
        .output()?;
    let lines = text(&log).lines().count();
    if lines > 400 {
        return Err(format!("{lines} lines of log in a minute").into());
    }
    Ok(())
}

/// What is wrong is refused by the webhook, whose authorities are not `before` any more.
fn other_certificates(rig: &Rig, stage: &Stage<'_>, before: &str) -> Result<(), Failed> {
    let wrong = application(
        stage,
        "wrong",
        WAIT,
        json!({"sparkConf": {"spark.executor.memry": "1g"}}),
    )?;
    eventually("other certificates serve", Duration::from_secs(120), || {
        let refused = stage.try_kubectl(&["apply", "--dry-run=server", "-f", "-"], &wrong.to_string());
        authorities(rig).is_ok_and(|now| now != before)
            && refused.is_ok_and(|output| text(&output).contains("denied the request"))
    })
}

/// Whom the API server trusts to be the webhook.
fn authorities(rig: &Rig) -> Result<String, Failed> {
    let configuration = format!("{OPERATOR}-webhook");
    let path = "-o=jsonpath={.webhooks[0].clientConfig.caBundle}";
    rig.kubectl(&["get", "validatingwebhookconfiguration", &configuration, path])
}

fn certificates_lost(rig: &Rig, stage: &Stage<'_>) -> Result<(), Failed> {
    let before = authorities(rig)?;
    rig.kubectl(&["delete", "secret", "-n", OPERATOR, &format!("{OPERATOR}-webhook-certs")])?;
    other_certificates(rig, stage, &before)
}

/// As after an operator that was off for a year: authority and certificate have ended, and the API server trusts no other.
fn certificates_expired(rig: &Rig, stage: &Stage<'_>) -> Result<(), Failed> {
    let deployment = format!("deployment/{OPERATOR}-controller");
    let scale = |replicas: &str| rig.kubectl(&["scale", "-n", OPERATOR, &deployment, replicas]);
    scale("--replicas=0")?;
    eventually("the operator is gone", Duration::from_secs(60), || {
        operator_pods(rig).is_ok_and(|pods| pods.is_empty())
    })?;
    let (authority, certificate) = expired()?;
    let encode = |pem: &str| BASE64_STANDARD.encode(pem);
    let before = encode(&authority.chain);
    let data = json!({"data": {
        "ca.crt": before, "ca.key": encode(&authority.key),
        "tls.crt": encode(&certificate.chain), "tls.key": encode(&certificate.key),
    }});
    let secret = format!("{OPERATOR}-webhook-certs");
    let patched = rig.kubectl(&["patch", "secret", "-n", OPERATOR, &secret, "-p", &data.to_string()]);
    let trusted = json!([{"op": "replace", "path": "/webhooks/0/clientConfig/caBundle", "value": before}]);
    let webhook = format!("{OPERATOR}-webhook");
    let configured = rig.kubectl(&[
        "patch",
        "validatingwebhookconfiguration",
        &webhook,
        "--type=json",
        "-p",
        &trusted.to_string(),
    ]);
    scale("--replicas=1")?;
    patched.and(configured)?;
    other_certificates(rig, stage, &before)
}

/// In PEM.
struct Pair {
    chain: String,
    key: String,
}

/// An authority and a certificate of it that have ended.
fn expired() -> Result<(Pair, Pair), Failed> {
    let ended = |names: Vec<String>| -> Result<CertificateParams, rcgen::Error> {
        let mut parameters = CertificateParams::new(names)?;
        parameters.not_before = rcgen::date_time_ymd(2024, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(2025, 1, 1);
        Ok(parameters)
    };
    let mut parameters = ended(Vec::new())?;
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate()?;
    let authority = parameters.self_signed(&authority_key)?;
    let authority = Pair {
        chain: authority.pem(),
        key: authority_key.serialize_pem(),
    };
    let issuer = Issuer::new(parameters, authority_key);
    let key = KeyPair::generate()?;
    let name = format!("{OPERATOR}-webhook-svc.{OPERATOR}.svc");
    let certificate = Pair {
        chain: ended(vec![name])?.signed_by(&key, &issuer)?.pem(),
        key: key.serialize_pem(),
    };
    Ok((authority, certificate))
}
