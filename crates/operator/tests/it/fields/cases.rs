//! What a leaf needs beside it to mean anything, and values that mean something there.

use serde_json::{Value, json};
use stoke_submit::application::{GatewayReference, IngressSettings, Settings};

use super::leaves::Leaf;
use super::observe::{Kind, observe_application, settings};

/// How one leaf is flipped.
pub struct Case {
    pub base: Value,
    pub values: (Value, Value),
    /// Whether the second value is one that is refused.
    pub may_be_refused: bool,
}

/// The least that runs.
fn least() -> Value {
    json!({"type": "Python", "image": "team/etl:1", "sparkVersion": "4.1.4", "mainApplicationFile": "local:///pi.py"})
}

/// The least server.
fn least_server() -> Value {
    json!({"sparkVersion": "4.1.4", "image": "team/etl:1", "server": {}, "executor": {}})
}

/// Values of leaves whose text has a form: end of the path, from, to.
const VALUES: &[(&str, &str, &str)] = &[
    ("coreLimit", "3", "4"),
    ("coreRequest", "500m", "600m"),
    ("memory", "2g", "3g"),
    ("memoryLimit", "4g", "5g"),
    ("memoryOverhead", "1g", "2g"),
    ("memoryOverheadFactor", "0.5", "0.6"),
    ("kubernetesMaster", "https://10.0.0.1", "https://10.0.0.2"),
    ("javaOptions", "-Done=1", "-Dtwo=2"),
    ("deps.jars.0", "local:///one.jar", "local:///two.jar"),
    ("deps.files.0", "https://h/one", "https://h/two"),
    ("deps.pyFiles.0", "local:///one.zip", "local:///two.zip"),
    ("deps.packages.0", "g:one:1", "g:two:2"),
    ("deps.excludePackages.0", "g:one", "g:two"),
    ("deps.repositories.0", "https://one", "https://two"),
    ("deps.archives.0", "https://h/one.tgz", "https://h/two.tgz"),
    ("mainApplicationFile", "local:///one.py", "local:///two.py"),
    ("sparkVersion", "3.5.9", "4.1.4"),
    ("restartPolicy.type", "Never", "Always"),
    ("type", "Python", "R"),
    ("imagePullPolicy", "Always", "Never"),
    ("sparkConf.*", "4041", "4042"),
    ("hadoopConf.*", "http://one", "http://two"),
    ("batchScheduler", "volcano", "yunikorn"),
    (
        "ingressURLFormat",
        "one.example.com/{{$appName}}",
        "two.example.com/{{$appName}}",
    ),
    ("pythonVersion", "3", "2"),
    ("mode", "cluster", "client"),
];

impl Case {
    pub fn of(kind: Kind, leaf: &Leaf) -> Self {
        let path = leaf.path.as_str();
        let mut base = match kind {
            Kind::Application => least(),
            Kind::Connect => least_server(),
        };
        for (prefix, fields) in beside() {
            if path == prefix || path.starts_with(&format!("{prefix}.")) {
                for (name, value) in fields.as_object().unwrap() {
                    set(&mut base, name, value.clone());
                }
            }
        }
        let top = path.matches('.').count() <= 1;
        let chosen = VALUES
            .iter()
            .find(|(end, ..)| path == *end || top && path.ends_with(&format!(".{end}")));
        let values = match chosen {
            // An application's type decides where the file's name does not.
            Some(("type", from, to)) if path == "type" => {
                set(&mut base, "mainApplicationFile", json!("local:///main"));
                (json!(from), json!(to))
            }
            Some(("type", ..)) => leaf.values(),
            Some((_, from, to)) => (json!(from), json!(to)),
            None if path.ends_with(".template") => {
                let of = |class: &str| json!({"spec": {"runtimeClassName": class}});
                (of("one"), of("two"))
            }
            None if path.ends_with("Timestamp") || path.ends_with(".time") => {
                (json!("2026-11-21T00:00:00Z"), json!("2026-11-22T00:00:00Z"))
            }
            None if path == "volumes.0.name" => (json!("data"), json!("other")),
            None => leaf.values(),
        };
        // Of a service in a spec only labels, annotations and its own spec are taken.
        let of_service = path.strip_prefix("server.service.").is_some_and(|rest| {
            !["spec.", "metadata.labels.", "metadata.annotations."]
                .iter()
                .any(|taken| rest.starts_with(taken))
        });
        Self {
            base,
            values: if of_service { (Value::Null, values.1) } else { values },
            may_be_refused: of_service || ["mode", "pythonVersion"].contains(&path),
        }
    }
}

/// What must stand beside the leaves below a prefix; dotted names.
fn beside() -> Vec<(&'static str, Value)> {
    let exporter = json!({
        "monitoring.exposeDriverMetrics": true, "monitoring.exposeExecutorMetrics": true,
        "monitoring.prometheus": {"jmxExporterJar": "/jmx.jar"},
    });
    let two = json!([{"name": "one", "emptyDir": {}}, {"name": "two", "emptyDir": {}}]);
    let retries = json!({"restartPolicy": {
        "type": "OnFailure", "onFailureRetries": 9, "onSubmissionFailureRetries": 9,
        "onFailureRetryInterval": 9, "onSubmissionFailureRetryInterval": 9,
    }});
    let mounts = json!([{"name": "data", "mountPath": "/data"}, {"name": "other", "mountPath": "/other"}]);
    vec![
        (
            "mainClass",
            json!({"type": "Java", "mainApplicationFile": "local:///main.jar"}),
        ),
        (
            "volumes",
            json!({"volumes": [{"name": "data"}], "driver.sidecars": [{"name": "side", "volumeMounts": mounts}]}),
        ),
        ("driver.volumeMounts", json!({"volumes": two})),
        (
            "executor.volumeMounts",
            json!({"volumes": two, "executor.template.spec.volumes": two}),
        ),
        ("server.volumeMounts", json!({"server.template.spec.volumes": two})),
        ("monitoring.prometheus", exporter),
        ("batchSchedulerOptions", json!({"batchScheduler": "volcano"})),
        (
            "driverIngressOptions",
            json!({"driverIngressOptions": [{"servicePort": 15002, "ingressURLFormat": "h.example.com"}]}),
        ),
        ("dynamicAllocation", json!({"dynamicAllocation": {"enabled": true}})),
        ("restartPolicy", retries),
        ("restartPolicy.type", json!({"restartPolicy": {}})),
        ("failureRetries", json!({"restartPolicy": {"type": "OnFailure"}})),
        (
            "retryInterval",
            json!({"restartPolicy": {"type": "OnFailure", "onFailureRetries": 9}}),
        ),
    ]
}

fn set(spec: &mut Value, path: &str, value: Value) {
    let mut target = spec;
    for part in path.split('.') {
        if !target.is_object() {
            *target = json!({});
        }
        target = target.as_object_mut().unwrap().entry(part).or_insert(Value::Null);
    }
    *target = value;
}

/// Something that is refused, and what is said.
pub struct Refusal {
    pub what: &'static str,
    fields: &'static [(&'static str, &'static str)],
    settings: fn() -> Settings,
    /// Part of the text.
    pub says: &'static str,
}

impl Refusal {
    /// The whole text of the refusal; fails when it is none.
    pub fn said(&self) -> String {
        let mut spec = least();
        for (path, value) in self.fields {
            set(&mut spec, path, serde_json::from_str(value).unwrap());
        }
        match observe_application(&spec, &(self.settings)()) {
            Ok(_) => panic!("{} is not refused", self.what),
            Err(said) => said,
        }
    }
}

fn with_gateways() -> Settings {
    Settings {
        ui_ingress: Some(IngressSettings {
            url_format: "{{$appName}}.example.com".to_owned(),
            gateways: vec![GatewayReference::default()],
            ..IngressSettings::default()
        }),
        ..settings()
    }
}

const fn refusal(what: &'static str, fields: &'static [(&'static str, &'static str)], says: &'static str) -> Refusal {
    Refusal {
        what,
        fields,
        settings,
        says,
    }
}

/// Combinations in which a field could have no effect.
pub const REFUSALS: &[Refusal] = &[
    refusal("`mode: client`", &[("mode", "\"client\"")], "spec.mode"),
    refusal(
        "`pythonVersion: \"2\"`",
        &[("pythonVersion", "\"2\"")],
        "spec.pythonVersion",
    ),
    refusal(
        "no `mainApplicationFile` and no `mainClass`",
        &[("mainApplicationFile", "\"\"")],
        "spec.mainApplicationFile",
    ),
    refusal(
        "a refused key of `sparkConf`",
        &[("sparkConf", "{\"spark.master\": \"local\"}")],
        "is not allowed",
    ),
    refusal(
        "`nodeSelector` beside a role's own",
        &[
            ("nodeSelector", "{\"a\": \"b\"}"),
            ("driver.nodeSelector", "{\"a\": \"c\"}"),
        ],
        "spec.nodeSelector",
    ),
    refusal(
        "`batchSchedulerOptions` without `batchScheduler`",
        &[("batchSchedulerOptions", "{\"queue\": \"q\"}")],
        "spec.batchSchedulerOptions",
    ),
    refusal(
        "a queue for a scheduler that has none",
        &[
            ("batchScheduler", "\"mine\""),
            ("batchSchedulerOptions", "{\"queue\": \"q\"}"),
        ],
        "no effect with the scheduler",
    ),
    refusal(
        "group resources for YuniKorn",
        &[
            ("batchScheduler", "\"yunikorn\""),
            ("batchSchedulerOptions", "{\"resources\": {\"cpu\": \"1\"}}"),
        ],
        "no effect with the scheduler",
    ),
    refusal(
        "a mount without its volume",
        &[("driver.volumeMounts", "[{\"name\": \"a\", \"mountPath\": \"/a\"}]")],
        "not in spec.volumes",
    ),
    refusal(
        "no GPU",
        &[("driver.gpu", "{\"name\": \"nvidia.com/gpu\", \"quantity\": 0}")],
        "spec.driver.gpu",
    ),
    refusal(
        "two driver ingresses of one port",
        &[("driverIngressOptions", "[{\"servicePort\": 1}, {\"servicePort\": 1}]")],
        "there twice",
    ),
    Refusal {
        what: "`ingressTLS` where the operator makes HTTPRoutes",
        fields: &[("sparkUIOptions.ingressTLS", "[{\"secretName\": \"s\"}]")],
        settings: with_gateways,
        says: "TLS ends at the Gateway",
    },
];
