//! Lives of an application or a Connect server, told once: what users and nodes do in them, and when they are over. `crashes` and `chaos` disturb them.

use serde_json::{Value, json};

use super::api::FakeApi;
use super::world::{application, phase, state};

/// A life: how it begins, and what users and nodes do whenever something changed. It is over when `act` says so.
pub struct Scenario {
    pub name: &'static str,
    /// The API server takes half of a submission, so that the other half is removed and, when no one could note the end of that, made and
    /// removed once more.
    pub halved: bool,
    begin: fn(&FakeApi),
    act: fn(&FakeApi, &mut Node) -> bool,
}

/// What the node and the user remember.
#[derive(Default)]
pub struct Node {
    /// UIDs of driver pods seen.
    pub drivers: Vec<String>,
    step: usize,
}

impl Scenario {
    pub fn begin(&self, api: &FakeApi) {
        (self.begin)(api);
    }

    pub fn act(&self, api: &FakeApi, node: &mut Node) -> bool {
        for pod in drivers(api) {
            let uid = pod["metadata"]["uid"].as_str().unwrap().to_owned();
            if !node.drivers.contains(&uid) {
                node.drivers.push(uid);
            }
        }
        (self.act)(api, node)
    }
}

fn drivers(api: &FakeApi) -> Vec<Value> {
    let driver = |pod: &Value| pod["metadata"]["labels"]["spark-role"] == "driver";
    api.all("pods").into_iter().filter(driver).collect()
}

/// As a kubelet: without its ConfigMap a driver does not start. The number of the driver, if there is one that can start and did not.
fn startable(api: &FakeApi, node: &Node) -> Option<(String, usize)> {
    let pod = drivers(api).into_iter().find(|pod| pod["status"]["phase"].is_null())?;
    let uid = &pod["metadata"]["uid"];
    let maps = api.all("configmaps");
    let ready = maps
        .iter()
        .any(|map| map["metadata"]["ownerReferences"][0]["uid"] == *uid);
    let number = node
        .drivers
        .iter()
        .position(|known| Some(known.as_str()) == uid.as_str())?;
    ready.then(|| (pod["metadata"]["name"].as_str().unwrap().to_owned(), number))
}

/// Starts whatever can be started; ends it at once with this code.
fn end_with(api: &FakeApi, node: &Node, code: impl Fn(usize) -> i32) {
    if let Some((pod, number)) = startable(api, node) {
        let code = code(number);
        phase(api, &pod, if code == 0 { "Succeeded" } else { "Failed" }, Some(code));
    }
}

fn ended(api: &FakeApi) -> bool {
    ["COMPLETED", "FAILED"].contains(&state(api).as_str())
}

fn put(api: &FakeApi, spec: Value) {
    api.put("sparkapplications", application(spec));
}

fn edit(api: &FakeApi, spec: Value) {
    let generation = api.get("sparkapplications", "pi").unwrap()["metadata"]["generation"]
        .as_i64()
        .unwrap();
    api.change(
        "sparkapplications",
        "pi",
        json!({"metadata": {"generation": generation + 1}, "spec": spec}),
    );
}

/// Runs the driver; when the status says RUNNING for the first time, does `then`; the next driver succeeds.
fn run_then(api: &FakeApi, node: &mut Node, then: impl Fn(&FakeApi)) {
    match (startable(api, node), state(api).as_str()) {
        (Some((pod, 0)), _) => phase(api, &pod, "Running", None),
        (Some((pod, _)), _) => phase(api, &pod, "Succeeded", Some(0)),
        (None, "RUNNING") if node.step == 0 => {
            node.step = 1;
            then(api);
        }
        _ => {}
    }
}

fn retries(retries: u32) -> Value {
    json!({"restartPolicy": {"type": "OnFailure",
        "onFailureRetries": retries, "onFailureRetryInterval": 5,
        "onSubmissionFailureRetries": retries, "onSubmissionFailureRetryInterval": 5}})
}

fn annotated(annotation: &str, value: &str) -> Value {
    let mut app = application(json!({}));
    app["metadata"]["annotations"][annotation] = json!(value);
    app
}

fn runs(api: &FakeApi) -> Vec<Value> {
    api.all("sparkapplications")
}

/// A Connect server that is stopped after ten seconds without use.
fn put_connect(api: &FakeApi) {
    let connect = json!({
        "apiVersion": "sparkoperator.k8s.io/v1alpha1", "kind": "SparkConnect",
        "metadata": {"name": "lab", "generation": 1, "annotations": {"stoke.dev/idle-timeout": "10s"}},
        "spec": {"sparkVersion": "4.1.4", "image": "apache/spark:4.1.4", "server": {}, "executor": {}},
    });
    api.put("sparkconnects", connect);
}

/// As a kubelet: starts the server when its ConfigMap is there. Gives the state and the reason of the server's first condition.
fn serve(api: &FakeApi) -> (String, String) {
    let has_map = |pod: &Value| {
        let of_pod = |map: &Value| map["metadata"]["ownerReferences"][0]["uid"] == pod["metadata"]["uid"];
        api.all("configmaps").iter().any(of_pod)
    };
    let waiting = api
        .get("pods", "lab-server")
        .filter(|pod| pod["status"]["phase"].is_null() && has_map(pod));
    if waiting.is_some() {
        let status =
            json!({"phase": "Running", "podIP": "127.64.1.1", "conditions": [{"type": "Ready", "status": "True"}]});
        api.change("pods", "lab-server", json!({"status": status}));
    }
    let status = api.get("sparkconnects", "lab").unwrap_or_default()["status"].clone();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&status["state"]), text(&status["conditions"][0]["reason"]))
}

/// As `stoke connect`: a second after the server was stopped.
fn wake(api: &FakeApi) {
    let connect = api.get("sparkconnects", "lab").unwrap();
    let stopped = &connect["status"]["conditions"][0]["lastTransitionTime"];
    let stopped: jiff::Timestamp = stopped.as_str().unwrap().parse().unwrap();
    let wake = stopped + jiff::SignedDuration::from_secs(1);
    let annotations = json!({"stoke.dev/wake": wake.to_string()});
    api.change(
        "sparkconnects",
        "lab",
        json!({"metadata": {"annotations": annotations}}),
    );
}

pub const SCENARIOS: [Scenario; 17] = [
    Scenario {
        name: "success",
        halved: false,
        begin: |api| put(api, json!({})),
        act: |api, node| {
            run_then(api, node, |api| phase(api, "pi-driver", "Succeeded", Some(0)));
            ended(api)
        },
    },
    Scenario {
        name: "retry",
        halved: false,
        begin: |api| put(api, retries(2)),
        act: |api, node| {
            end_with(api, node, |number| i32::from(number == 0));
            ended(api)
        },
    },
    Scenario {
        name: "retries used up",
        halved: false,
        begin: |api| put(api, retries(1)),
        act: |api, node| {
            end_with(api, node, |_| 1);
            ended(api)
        },
    },
    Scenario {
        name: "always, then suspended",
        halved: false,
        begin: |api| put(api, json!({"restartPolicy": {"type": "Always"}})),
        act: |api, node| {
            match (startable(api, node), state(api).as_str()) {
                (Some((pod, 0)), _) => phase(api, &pod, "Succeeded", Some(0)),
                (Some((pod, _)), _) => phase(api, &pod, "Running", None),
                (None, "RUNNING") if node.step == 0 => {
                    node.step = 1;
                    edit(api, json!({"suspend": true}));
                }
                _ => {}
            }
            state(api) == "SUSPENDED"
        },
    },
    Scenario {
        name: "a submission the API server refuses for good",
        halved: false,
        begin: |api| {
            api.deny("POST pods/", 403, "exceeded quota: compute");
            put(api, retries(1));
        },
        act: |api, _| ended(api),
    },
    Scenario {
        name: "a submission half of which is refused for a while",
        halved: true,
        begin: |api| {
            api.deny("PATCH configmaps/", 403, "exceeded quota: maps");
            put(api, retries(1));
        },
        act: |api, node| {
            if state(api) == "SUBMISSION_FAILED" {
                api.allow_all();
            }
            end_with(api, node, |_| 0);
            ended(api)
        },
    },
    Scenario {
        name: "suspended and resumed",
        halved: false,
        begin: |api| put(api, json!({})),
        act: |api, node| {
            run_then(api, node, |api| edit(api, json!({"suspend": true})));
            if state(api) == "SUSPENDED" && node.step == 1 {
                node.step = 2;
                edit(api, json!({"suspend": false}));
            }
            ended(api)
        },
    },
    Scenario {
        name: "edited while it runs",
        halved: false,
        begin: |api| put(api, json!({})),
        act: |api, node| {
            run_then(api, node, |api| edit(api, json!({"arguments": ["10"]})));
            ended(api)
        },
    },
    Scenario {
        name: "time to live",
        halved: false,
        begin: |api| put(api, json!({"timeToLiveSeconds": 30})),
        act: |api, node| {
            end_with(api, node, |_| 0);
            api.get("sparkapplications", "pi").is_none()
        },
    },
    Scenario {
        name: "deleted while it runs",
        halved: false,
        begin: |api| put(api, json!({})),
        act: |api, node| {
            if api.get("sparkapplications", "pi").is_none() {
                return true;
            }
            run_then(api, node, |api| api.remove("sparkapplications", "pi"));
            false
        },
    },
    Scenario {
        name: "deleted and created again while it runs",
        halved: false,
        begin: |api| put(api, json!({})),
        act: |api, node| {
            run_then(api, node, |api| {
                api.remove("sparkapplications", "pi");
                put(api, json!({"arguments": ["again"]}));
            });
            ended(api)
        },
    },
    Scenario {
        name: "the driver is deleted by someone",
        halved: false,
        begin: |api| put(api, retries(1)),
        act: |api, node| {
            run_then(api, node, |api| api.remove("pods", "pi-driver"));
            ended(api)
        },
    },
    Scenario {
        name: "a pending timeout",
        halved: false,
        begin: |api| drop(api.put("sparkapplications", annotated("stoke.dev/pending-timeout", "1m"))),
        act: |api, _| ended(api),
    },
    Scenario {
        name: "an active deadline",
        halved: false,
        begin: |api| {
            drop(api.put(
                "sparkapplications",
                annotated("stoke.dev/active-deadline-seconds", "90"),
            ))
        },
        act: |api, node| {
            if let Some((pod, _)) = startable(api, node) {
                phase(api, &pod, "Running", None);
            }
            ended(api)
        },
    },
    Scenario {
        name: "a schedule of two runs",
        halved: false,
        begin: |api| {
            let schedule = json!({
                "apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "ScheduledSparkApplication",
                "metadata": {"name": "report", "generation": 1},
                "spec": {"schedule": "* * * * *", "timeZone": "UTC", "concurrencyPolicy": "Forbid", "template": {}},
            });
            api.put("scheduledsparkapplications", schedule);
        },
        act: |api, node| {
            end_with(api, node, |_| 0);
            let done = runs(api)
                .iter()
                .filter(|run| run["status"]["applicationState"]["state"] == "COMPLETED")
                .count();
            if node.drivers.len() == 2
                && done > 0
                && node.step == 0
                && drivers(api).iter().all(|pod| pod["status"]["phase"] == "Succeeded")
            {
                node.step = 1;
                api.change(
                    "scheduledsparkapplications",
                    "report",
                    json!({"metadata": {"generation": 2}, "spec": {"suspend": true}}),
                );
            }
            // History keeps one.
            node.step == 1 && done == 1 && runs(api).len() == 1
        },
    },
    Scenario {
        name: "a server that is edited, stopped unused, woken and deleted",
        halved: false,
        begin: put_connect,
        act: |api, node| {
            let (state, reason) = serve(api);
            match (node.step, state.as_str(), reason.as_str()) {
                (0, "Ready", _) => {
                    node.step = 1;
                    let spec = json!({"executor": {"instances": 2}});
                    api.change(
                        "sparkconnects",
                        "lab",
                        json!({"metadata": {"generation": 2}, "spec": spec}),
                    );
                }
                (1, "NotReady", "Idle") => {
                    node.step = 2;
                    wake(api);
                }
                (2, "Ready", _) => {
                    node.step = 3;
                    api.remove("sparkconnects", "lab");
                }
                _ => {}
            }
            node.step == 3
        },
    },
    Scenario {
        name: "a server that is stopped unused",
        halved: false,
        begin: put_connect,
        act: |api, _| serve(api).1 == "Idle" && api.get("pods", "lab-server").is_none(),
    },
];
