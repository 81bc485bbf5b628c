//! Objects that cannot become what they say.

use super::manifests::App;
use super::stage::Stage;
use super::{Fault, Group, alert};

pub const GROUP: Group = Group {
    name: "objects that cannot be served",
    stage: Stage::inside,
    rounds: &[FAULTS],
};

const FAULTS: &[Fault] = &[
    Fault::new(
        "schedule-with-wrong-cron",
        &[alert("StokeScheduleInvalid", "app=wrong")],
        |stage| stage.apply(&App::new("wrong", "quick.py").schedule("every now and then")),
        |stage| stage.delete(&["scheduledsparkapplication/wrong"]),
    ),
    Fault::new(
        "quota-of-nothing",
        &[alert("StokeQuotaFull", "namespace=full")],
        |stage| {
            stage.apply(
                "apiVersion: v1\nkind: Namespace\nmetadata: {name: full}\n---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: spark-operator-spark, namespace: full}\n---\n\
                 apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: none, namespace: full}\nspec: {hard: {pods: \"0\"}}\n",
            )?;
            let refused = App::new("refused", "quick.py").manifest();
            stage.apply(&refused.replace("name: refused,", "name: refused, namespace: full,"))
        },
        |stage| stage.delete(&["full:sparkapplication/refused"]),
    )
    .silencing(&[alert("StokeJobFailed", "app=refused")]),
    Fault::new(
        "data-break-contract",
        &[alert("StokeContractBroken", "app=judged")],
        |stage| {
            stage.apply(
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: contracts}\ndata:\n  rates.yaml: |\n    name: rates\n    rows: {min: 3}\n  rates.csv: |\n    currency,rate\n    EUR,1.0\n",
            )?;
            let judged = App::new("judged", "quick.py")
                .manifest()
                .replace("path: /scripts}]", "path: /scripts}, {name: contracts, path: /data}]")
                .replace(
                    "labels: {team: data}}",
                    "labels: {team: data}, annotations: {stoke.dev/quality: '{\"before\": [{\"contract\": \"contracts/rates.yaml\", \"data\": \"/data/rates.csv\"}]}'}}",
                );
            stage.apply(&judged)
        },
        |stage| stage.delete(&["sparkapplication/judged"]),
    )
    .silencing(&[alert("StokeJobFailed", "app=judged")]),
    Fault::new(
        "connect-server-cannot-start",
        &[alert("StokeConnectDown", "name=lab"), alert("StokePageUnanswered", "name=lab")],
        |stage| {
            stage.apply(
                "apiVersion: sparkoperator.k8s.io/v1alpha1\nkind: SparkConnect\nmetadata: {name: lab}\nspec:\n  sparkVersion: 4.1.4\n  image: apache/spark:4.1.4\n  \
                 server: {cores: 1, memory: 512m, template: {spec: {nodeSelector: {nobody: has-this}}}}\n  executor: {instances: 1, cores: 1, memory: 512m}\n",
            )
        },
        |stage| stage.delete(&["sparkconnect/lab"]),
    ),
    Fault::new(
        "driver-unschedulable",
        &[alert("StokeJobWaiting", "app=waits")],
        |stage| {
            let waits = App {
                requests: ["900", "100m"],
                ..App::new("waits", "quick.py")
            };
            stage.apply(&waits.manifest())
        },
        |stage| stage.delete(&["sparkapplication/waits"]),
    ),
    Fault::new(
        "policy-that-does-not-parse",
        &[alert("StokePoliciesBroken", "")],
        |stage| {
            stage.apply(
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: broken, labels: {stoke.dev/policy: \"true\"}}\ndata:\n  broken.rego: |\n    package broken\n    deny[message {\n",
            )
        },
        |stage| stage.delete(&["configmap/broken"]),
    ),
    Fault::new(
        "event-log-directory-unreadable",
        &[alert("StokeHistoryBehind", "")],
        |stage| {
            let home = stage.up.home();
            Ok(std::fs::rename(home.join("event-logs"), home.join("event-logs-away"))?)
        },
        |stage| {
            let home = stage.up.home();
            Ok(std::fs::rename(home.join("event-logs-away"), home.join("event-logs"))?)
        },
    ),
];
