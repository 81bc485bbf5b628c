//! What the platform stands on: the API server, certificates, the History Server, and monitoring itself.

use libtest_mimic::Failed;

use super::stage::Stage;
use super::{Fault, Group, alert};
use crate::admission;
use crate::common::Context;

pub const GROUP: Group = Group {
    name: "servers that are slow, fail or stop",
    stage: begun,
    rounds: &[CERTIFICATE, SLOW, FAILING, HISTORY, MONITORING],
};

/// Two workers: what waits is seen with few applications.
const OPTIONS: [&str; 6] = [
    "--leader-election=false",
    "--controller-threads=2",
    "--enable-webhook",
    "--webhook-namespace=default",
    "--webhook-port=19443",
    "--webhook-certificate-settle=1s",
];

fn begun(context: &Context) -> Result<Stage, Failed> {
    let stage = Stage::apart(context)?;
    admission::configure(&stage.up, "Ignore")?;
    stage.apply(
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: webhook, labels: {kubernetes.io/service-name: spark-operator-webhook-svc}}\n\
         addressType: IPv4\nendpoints: [{addresses: [127.0.0.1]}]\nports: [{name: webhook, port: 19443}]\n",
    )?;
    stage.operate_through(&OPTIONS)?;
    stage.scrapes("stoke-operator")?;
    Ok(stage)
}

/// A Secret as it is made at first.
fn without_certificate(stage: &Stage) -> Result<(), Failed> {
    stage.stop_operator();
    stage.delete(&["secret/spark-operator-webhook-certs"])
}

const CERTIFICATE: &[Fault] = &[Fault::new(
    "certificate-of-an-hour",
    &[alert("StokeCertificateEnds", "")],
    |stage| {
        without_certificate(stage)?;
        let mut options = OPTIONS.to_vec();
        options.extend([
            "--webhook-certificate-lifetime=1h",
            "--webhook-certificate-renew-before=10min",
        ]);
        stage.operate_through(&options)
    },
    |stage| {
        without_certificate(stage)?;
        stage.operate_through(&OPTIONS)
    },
)
.beside(&["StokeOperatorDown"])];

/// Applications come, again and again: each is reviewed, and its driver made, which no node has room for.
const CHURN: &str = r#"
round=0
while true; do
    round=$((round + 1))
    for number in $(seq 5); do
        cat <<END
---
apiVersion: sparkoperator.k8s.io/v1beta2
kind: SparkApplication
metadata: {name: churn-$round-$number}
spec:
  type: Python
  sparkVersion: 4.1.4
  image: apache/spark:4.1.4
  mainApplicationFile: local:///a.py
  driver: {coreRequest: "900", serviceAccount: spark-operator-spark}
  executor: {instances: 1}
END
    done | kubectl apply -f - >/dev/null
    sleep 2
done
"#;

fn rest(stage: &Stage) -> Result<(), Failed> {
    stage.hinder("{}")?;
    stage.rest();
    stage.kubectl(&["delete", "sparkapplication", "--all", "--wait=false"])
}

const SLOW: &[Fault] = &[Fault::new(
    "api-server-slow",
    &[alert("StokeOperatorBehind", ""), alert("StokeWebhookSlow", "")],
    |stage| {
        // The histograms are there before what is slow.
        stage.churn(CHURN)?;
        stage.until("stoke_admission_review_seconds_count > 0", 60)?;
        stage.hinder("{\"seconds\": 1.8}")
    },
    rest,
)];

const FAILING: &[Fault] = &[Fault::new(
    "api-server-fails",
    &[alert("StokeApiServerErrors", "")],
    |stage| {
        stage.churn(CHURN)?;
        stage.hinder("{\"fail\": true}")
    },
    rest,
)];

const HISTORY: &[Fault] = &[Fault::new(
    "history-server-killed",
    &[alert("StokeHistoryDown", "")],
    |stage| {
        stage.stop_history();
        Ok(())
    },
    Stage::serve_history,
)];

/// The heartbeat: what is wrong is that it is not there.
const MONITORING: &[Fault] = &[Fault::new(
    "prometheus-paused",
    &[alert("StokeWatchdog", "")],
    |stage| stage.signal_prometheus("-STOP"),
    |stage| stage.signal_prometheus("-CONT"),
)];
