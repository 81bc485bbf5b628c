//! The pod of a phase: `stoke quality run` once for each step, where the driver would be and with what the driver would have.

use kube::ResourceExt;
use serde_json::{Map, Value, json};
use stoke_model::annotations::quality::{FileOf, Phase, Step, Steps};
use stoke_model::crd::SparkApplication;
use stoke_model::names::{self as published, LOCAL_DIR_VOLUME_PREFIX};
use stoke_storage::{Access, Address, keys};

use super::{LABEL_PHASE, ROLE, Runner};
use crate::names::API_VERSION;
use crate::plan::Plan;

/// Where ConfigMaps are in the containers.
const FILES: &str = "/etc/stoke/quality";
/// Where the step writes what the status tells.
const TOLD: &str = "/dev/termination-log";
/// Fields of the driver pod's spec that say where and as whom it runs.
const KEPT_OF_SPEC: [&str; 14] = [
    "serviceAccountName",
    "serviceAccount",
    "automountServiceAccountToken",
    "securityContext",
    "nodeSelector",
    "affinity",
    "tolerations",
    "imagePullSecrets",
    "hostAliases",
    "hostNetwork",
    "dnsPolicy",
    "dnsConfig",
    "priorityClassName",
    "runtimeClassName",
];
/// What labels and annotations begin with that are not of people: Spark's, ours, schedulers' and scrapers'.
const NOT_KEPT: [&str; 8] = [
    "spark-",
    "sparkoperator.k8s.io/",
    "stoke.dev/",
    "prometheus.io/",
    "scheduling.",
    "volcano.sh/",
    "yunikorn.apache.org/",
    "pod-group.scheduling.",
];

/// Name of the container of a step.
#[must_use]
pub fn container(index: usize) -> String {
    format!("step-{index}")
}

/// The pod of a phase under this name, from the driver pod that is planned for the same submission.
#[must_use]
pub fn pod(app: &SparkApplication, plan: &Plan, steps: &Steps, phase: Phase, runner: &Runner, name: &str) -> Value {
    let (driver, spec) = (&plan.driver_pod, &plan.driver_pod["spec"]);
    let submission = app.status.as_ref().and_then(|status| status.submission_id.as_deref());
    let mut labels = of_people(&driver["metadata"]["labels"]);
    for (key, value) in published::app_labels(&app.name_any(), submission) {
        labels.insert(key, json!(value));
    }
    labels.insert(published::LABEL_LAUNCHED_BY.to_owned(), json!("true"));
    labels.insert(published::LABEL_SPARK_ROLE.to_owned(), json!(ROLE));
    labels.insert(LABEL_PHASE.to_owned(), json!(phase.word()));
    let volumes = volumes(plan);
    let of_driver = spark_container(spec);
    let mounted: Vec<Value> = items(&of_driver["volumeMounts"])
        .iter()
        .filter(|mount| volumes.iter().any(|volume| volume["name"] == mount["name"]))
        .cloned()
        .collect();
    let mut all_volumes = volumes;
    let mut containers = Vec::new();
    let scratch = !mounted.iter().any(|mount| mount["mountPath"] == "/tmp");
    if scratch {
        all_volumes.push(json!({"name": "stoke-tmp", "emptyDir": {}}));
    }
    for (index, step) in steps.of(phase).iter().enumerate() {
        let mut mounts = mounted.clone();
        if scratch {
            mounts.push(json!({"name": "stoke-tmp", "mountPath": "/tmp", "subPath": container(index)}));
        }
        let mut place = |what: &str, file: &FileOf| match file {
            FileOf::Path(path) => path.clone(),
            FileOf::ConfigMap { name, key } => {
                let volume = format!("stoke-{what}-{index}");
                all_volumes
                    .push(json!({"name": volume, "configMap": {"name": name, "items": [{"key": key, "path": key}]}}));
                mounts.push(json!({"name": volume, "mountPath": format!("{FILES}/{what}"), "readOnly": true}));
                format!("{FILES}/{what}/{key}")
            }
        };
        let contract = place("contract", &step.contract);
        let waivers = step.waivers.as_ref().map(|file| place("waivers", file));
        let mut made = json!({
            "name": container(index),
            "image": runner.image.as_ref().map_or_else(|| of_driver["image"].clone(), |image| json!(image)),
            "command": [runner.program],
            "args": arguments(step, contract, waivers, history(app, runner)),
            "env": variables(app, of_driver, &step.data),
            "resources": {"requests": {"cpu": steps.cpu, "memory": steps.memory}, "limits": {"cpu": steps.cpu, "memory": steps.memory}},
            "volumeMounts": mounts,
            "securityContext": security(&of_driver["securityContext"]),
            "terminationMessagePath": TOLD,
            "terminationMessagePolicy": "FallbackToLogsOnError",
        });
        for key in ["envFrom", "imagePullPolicy"] {
            if !of_driver[key].is_null() {
                made[key] = of_driver[key].clone();
            }
        }
        containers.push(made);
    }
    let mut of_pod = json!({
        "restartPolicy": "Never",
        "activeDeadlineSeconds": steps.timeout.as_secs().max(1),
        "enableServiceLinks": false,
        "containers": containers,
        "volumes": all_volumes,
    });
    for key in KEPT_OF_SPEC.into_iter().filter(|key| !spec[*key].is_null()) {
        of_pod[key] = spec[key].clone();
    }
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": app.namespace().unwrap_or_default(),
            "labels": labels,
            "annotations": of_people(&driver["metadata"]["annotations"]),
            "ownerReferences": [{
                "apiVersion": API_VERSION, "kind": "SparkApplication", "name": app.name_any(), "uid": app.uid().unwrap_or_default(),
                "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "spec": of_pod,
    })
}

/// Where what is found is kept unless a step says so.
fn history(app: &SparkApplication, runner: &Runner) -> Option<String> {
    let directory = runner.history.as_ref()?;
    Some(format!("{directory}/{}", app.namespace().unwrap_or_default()))
}

fn arguments(step: &Step, contract: String, waivers: Option<String>, history: Option<String>) -> Vec<String> {
    // S3A's scheme is Hadoop's own; the bucket is the same.
    let plain = |place: &String| match Address::parse(place) {
        Ok(address) if address.bucket().is_some() => address.plain().to_string(),
        _ => place.clone(),
    };
    let mut all = vec![
        "quality".to_owned(),
        "run".to_owned(),
        contract,
        "--data".to_owned(),
        plain(&step.data),
    ];
    let optional = [
        ("--object", step.object.clone()),
        ("--quarantine", step.quarantine.clone()),
        ("--history", step.history.as_ref().map(plain).or(history)),
        ("--waivers", waivers),
        ("--summary", Some(TOLD.to_owned())),
    ];
    for (flag, value) in optional {
        if let Some(value) = value {
            all.extend([flag.to_owned(), value]);
        }
    }
    all
}

/// Volumes of the driver that a check may have: not Spark's scratch, and nothing that comes to be with the driver.
fn volumes(plan: &Plan) -> Vec<Value> {
    let of_driver = |volume: &Value| {
        let named = [
            &volume["configMap"]["name"],
            &volume["secret"]["secretName"],
            &volume["persistentVolumeClaim"]["claimName"],
        ];
        let owned = plan.owned.iter().map(|object| &object["metadata"]["name"]);
        let is_owned = owned.filter(|name| !name.is_null()).any(|name| named.contains(&name));
        let scratch = volume["name"]
            .as_str()
            .is_some_and(|name| name.starts_with(LOCAL_DIR_VOLUME_PREFIX));
        is_owned || scratch
    };
    let all = items(&plan.driver_pod["spec"]["volumes"]);
    all.iter().filter(|volume| !of_driver(volume)).cloned().collect()
}

/// The variables of the driver but for Spark's own, with S3A's configuration as AWS's variables where the driver has none.
fn variables(app: &SparkApplication, driver: &Value, data: &str) -> Vec<Value> {
    let spark = |name: &str| name.starts_with("SPARK_") || name.starts_with("_JAVA") || name == "JAVA_TOOL_OPTIONS";
    let mut all: Vec<Value> = items(&driver["env"])
        .iter()
        .filter(|variable| variable["name"].as_str().is_some_and(|name| !spark(name)))
        .cloned()
        .collect();
    let has = |all: &[Value], name: &str| all.iter().any(|variable| variable["name"] == name);
    let access = Access::hadoop(Address::parse(data).ok().as_ref(), |key| hadoop(app, key));
    for (name, value) in access.variables() {
        if !has(&all, name) {
            all.push(json!({"name": name, "value": value}));
        }
    }
    if !has(&all, "STOKE_HOME") {
        all.push(json!({"name": "STOKE_HOME", "value": "/tmp/stoke"}));
    }
    all
}

/// What the application says of a key of Hadoop.
fn hadoop(app: &SparkApplication, key: &str) -> Option<String> {
    let conf = app.spec.spark_conf.as_ref();
    let spark = conf.and_then(|conf| conf.get(&format!("{}{key}", keys::SPARK)));
    spark.or_else(|| app.spec.hadoop_conf.as_ref()?.get(key)).cloned()
}

/// What the driver's container says, over what Pod Security calls restricted.
fn security(driver: &Value) -> Value {
    let mut all = json!({
        "allowPrivilegeEscalation": false,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    });
    for (key, value) in driver.as_object().into_iter().flatten() {
        all[key] = value.clone();
    }
    all
}

/// The driver's container that is Spark's: by its name, else the last, where Spark puts it.
fn spark_container(spec: &Value) -> &Value {
    let all = items(&spec["containers"]);
    let by_name = all
        .iter()
        .find(|container| container["name"] == published::DRIVER_CONTAINER);
    by_name.or(all.last()).unwrap_or(&Value::Null)
}

fn of_people(map: &Value) -> Map<String, Value> {
    let kept = |key: &str| !NOT_KEPT.iter().any(|prefix| key.starts_with(prefix));
    let all = map.as_object().into_iter().flatten();
    all.filter(|(key, _)| kept(key))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn items(list: &Value) -> &[Value] {
    list.as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(text: &str) -> (SparkApplication, Steps) {
        let app = json!({
            "apiVersion": API_VERSION, "kind": "SparkApplication",
            "metadata": {"name": "pi", "namespace": "etl", "uid": "6d5e", "annotations": {"stoke.dev/quality": text}},
            "spec": {"driver": {}, "executor": {}, "hadoopConf": {"fs.s3a.endpoint": "minio:9000", "fs.s3a.connection.ssl.enabled": "false"},
                "sparkConf": {"spark.hadoop.fs.s3a.access.key": "k", "spark.hadoop.fs.s3a.secret.key": "s"}},
            "status": {"submissionID": "s1"},
        });
        let steps = stoke_model::annotations::quality::read(text).unwrap();
        (serde_json::from_value(app).unwrap(), steps)
    }

    fn plan() -> Plan {
        Plan {
            driver_pod: json!({
                "metadata": {"labels": {"team": "etl", "spark-role": "driver", "sparkoperator.k8s.io/submission-id": "x"},
                    "annotations": {"iam": "role", "prometheus.io/scrape": "true"}},
                "spec": {
                    "serviceAccountName": "spark", "schedulerName": "volcano", "restartPolicy": "Never", "nodeSelector": {"disk": "fast"},
                    "securityContext": {"fsGroup": 185}, "tolerations": [{"key": "spot"}], "initContainers": [{"name": "i"}],
                    "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "lake"}}, {"name": "spark-local-dir-1", "emptyDir": {}},
                        {"name": "spark-conf-volume-driver", "configMap": {"name": "spark-drv-1-conf-map"}}],
                    "containers": [{"name": "sidecar"}, {"name": "spark-kubernetes-driver", "image": "apache/spark:4.1.4", "imagePullPolicy": "Always",
                        "args": ["driver"], "envFrom": [{"secretRef": {"name": "store"}}],
                        "env": [{"name": "SPARK_USER", "value": "a"}, {"name": "AWS_ACCESS_KEY_ID", "value": "own"}],
                        "securityContext": {"runAsUser": 185},
                        "volumeMounts": [{"name": "data", "mountPath": "/data"}, {"name": "spark-local-dir-1", "mountPath": "/var/data"},
                            {"name": "spark-conf-volume-driver", "mountPath": "/opt/spark/conf"}]}],
                },
            }),
            owned: vec![json!({"kind": "ConfigMap", "metadata": {"name": "spark-drv-1-conf-map"}})],
            ..Plan::default()
        }
    }

    #[test]
    fn a_check_has_what_the_driver_would_have_and_nothing_that_comes_with_it() {
        let (app, steps) = app(
            "{after: [{contract: c/clean.yaml, data: 's3a://lake/x', history: 's3a://lake/verdicts'}, {contract: /data/c.yaml, data: /data/y, onFail: warn, \
             object: o, quarantine: /data/bad, history: /data/h, waivers: w/w.yaml}], timeout: 90s, memory: 512Mi}",
        );
        let runner = Runner {
            image: Some("stoke:1".into()),
            program: "/usr/local/bin/stoke".into(),
            history: None,
        };
        let pod = pod(&app, &plan(), &steps, Phase::After, &runner, "pi-after-1");
        let typed: k8s_openapi::api::core::v1::Pod = serde_json::from_value(pod.clone()).unwrap();
        assert_eq!(
            serde_json::to_value(typed).unwrap()["spec"],
            pod["spec"],
            "only fields there are"
        );
        assert_eq!(
            pod["metadata"]["labels"],
            json!({"team": "etl", "sparkoperator.k8s.io/app-name": "pi", "sparkoperator.k8s.io/submission-id": "s1",
                "sparkoperator.k8s.io/launched-by-spark-operator": "true", "spark-role": "quality", "stoke.dev/quality": "after"})
        );
        assert_eq!(pod["metadata"]["annotations"], json!({"iam": "role"}));
        assert_eq!(pod["metadata"]["ownerReferences"][0]["uid"], "6d5e");
        let spec = &pod["spec"];
        assert_eq!(
            (&spec["serviceAccountName"], &spec["nodeSelector"]["disk"]),
            (&json!("spark"), &json!("fast"))
        );
        assert_eq!(
            (&spec["restartPolicy"], &spec["activeDeadlineSeconds"]),
            (&json!("Never"), &json!(90))
        );
        assert!(spec["schedulerName"].is_null() && spec["initContainers"].is_null());
        let names = |list: &Value| -> Vec<String> {
            items(list)
                .iter()
                .map(|item| item["name"].as_str().unwrap_or_default().to_owned())
                .collect()
        };
        assert_eq!(
            names(&spec["volumes"]),
            ["data", "stoke-tmp", "stoke-contract-0", "stoke-waivers-1"]
        );
        let [first, second] = items(&spec["containers"]) else {
            panic!("{spec}")
        };
        assert_eq!(first["image"], "stoke:1");
        assert_eq!(
            first["args"],
            json!([
                "quality",
                "run",
                "/etc/stoke/quality/contract/clean.yaml",
                "--data",
                "s3://lake/x",
                "--history",
                "s3://lake/verdicts",
                "--summary",
                "/dev/termination-log"
            ])
        );
        assert_eq!(
            second["args"],
            json!([
                "quality",
                "run",
                "/data/c.yaml",
                "--data",
                "/data/y",
                "--object",
                "o",
                "--quarantine",
                "/data/bad",
                "--history",
                "/data/h",
                "--waivers",
                "/etc/stoke/quality/waivers/w.yaml",
                "--summary",
                "/dev/termination-log"
            ])
        );
        assert_eq!(names(&first["volumeMounts"]), ["data", "stoke-tmp", "stoke-contract-0"]);
        assert_eq!(
            first["env"],
            json!([{"name": "AWS_ACCESS_KEY_ID", "value": "own"}, {"name": "AWS_ENDPOINT_URL", "value": "http://minio:9000"},
                {"name": "AWS_ALLOW_HTTP", "value": "true"}, {"name": "AWS_SECRET_ACCESS_KEY", "value": "s"},
                {"name": "STOKE_HOME", "value": "/tmp/stoke"}]),
            "the driver's own win, and Spark's are not here"
        );
        assert_eq!(first["envFrom"][0]["secretRef"]["name"], "store");
        assert_eq!(first["resources"]["limits"], json!({"cpu": "1", "memory": "512Mi"}));
        assert_eq!(
            (
                &first["securityContext"]["runAsUser"],
                &first["securityContext"]["allowPrivilegeEscalation"]
            ),
            (&json!(185), &json!(false))
        );
        let own = Runner {
            image: None,
            program: "/opt/stoke/bin/stoke".into(),
            history: Some("/var/lib/kept".into()),
        };
        let pod = super::pod(&app, &plan(), &steps, Phase::After, &own, "pi-after-1");
        assert_eq!(pod["spec"]["containers"][0]["image"], "apache/spark:4.1.4");
        let steps = Steps {
            after: steps
                .after
                .iter()
                .map(|step| Step {
                    history: None,
                    ..step.clone()
                })
                .collect(),
            ..steps
        };
        let own = super::pod(&app, &plan(), &steps, Phase::After, &own, "pi-after-1");
        let kept = |pod: &Value, index: usize| {
            let arguments = pod["spec"]["containers"][index]["args"].as_array().unwrap();
            let at = arguments.iter().position(|argument| argument == "--history").unwrap();
            arguments[at + 1].clone()
        };
        assert_eq!(
            (kept(&pod, 1), kept(&own, 1)),
            (json!("/data/h"), json!("/var/lib/kept/etl"))
        );
    }
}
