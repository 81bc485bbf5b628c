//! Pods: logs, volumes, probes.

use std::time::Duration;

use serde_json::{Value, json};

use crate::case::{Case, Client, Ground};

pub fn cases() -> Vec<Case> {
    let case = |behaviour, run| Case {
        area: "Pods",
        behaviour,
        client: Client::Kubectl,
        run,
    };
    vec![
        case(
            "`logs` with `--tail`, `--since-time`, `--timestamps`, `--limit-bytes`, `-f`, `-l --prefix`, `--all-containers`",
            logs,
        ),
        case(
            "`logs --previous` is the instance before, also while the container waits to be started again",
            previous,
        ),
        case(
            "`logs` of a container that has none says what it waits for, in the kubelet's words",
            no_logs,
        ),
        case(
            "a volume in memory is shared by the containers of its pod, and is memory",
            shared_memory,
        ),
        case(
            "a pod above the `sizeLimit` of an emptyDir is evicted with the kubelet's sentence",
            size_limit,
        ),
        case(
            "probes and hooks speak HTTPS, whoever signed the certificate",
            https_probe,
        ),
        case("a liveness probe's own grace period is kept", probe_grace),
    ]
}

fn create(ground: &Ground, namespace: &str, spec: Value) -> Result<(), String> {
    let mut spec = spec;
    for list in ["containers", "initContainers"] {
        for container in spec[list].as_array_mut().into_iter().flatten() {
            if container["image"].is_null() {
                container["image"] = "shell".into();
            }
        }
    }
    spec["terminationGracePeriodSeconds"] = json!(spec["terminationGracePeriodSeconds"].as_i64().unwrap_or(0));
    let pod =
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {"app": "p"}}, "spec": spec});
    ground
        .kubectl(namespace, &["create", "-f", "-"], &pod.to_string())
        .ok()
        .map(drop)
}

fn wait(ground: &Ground, namespace: &str, what: &str) -> Result<(), String> {
    let what = format!("--for={what}");
    ground
        .kubectl(namespace, &["wait", &what, "pod/p", "--timeout=25s"], "")
        .ok()
        .map(drop)
}

fn expect(what: &str, is: &str, wanted: &str) -> Result<(), String> {
    if is == wanted {
        Ok(())
    } else {
        Err(format!("{what}: {is:?} instead of {wanted:?}"))
    }
}

fn logs(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let containers = json!([{"name": "a", "args": ["for i in 1 2 3; do echo line $i; done; sleep 4; echo last"]}, {"name": "b", "args": ["echo other"]}]);
    create(
        ground,
        &namespace,
        json!({"restartPolicy": "Never", "containers": containers,
        "initContainers": [{"name": "first", "args": ["echo before"]}]}),
    )?;
    wait(
        ground,
        &namespace,
        "jsonpath={.status.initContainerStatuses[0].state.terminated.exitCode}=0",
    )?;
    wait(
        ground,
        &namespace,
        "jsonpath={.status.containerStatuses[0].started}=true",
    )?;
    let logs = |more: &[&str]| ground.kubectl(&namespace, &[&["logs"], more].concat(), "").ok();
    expect("-f", &logs(&["p", "-c", "a", "-f"])?, "line 1\nline 2\nline 3\nlast\n")?;
    expect("--tail", &logs(&["p", "-c", "a", "--tail=2"])?, "line 3\nlast\n")?;
    expect("--limit-bytes", &logs(&["p", "-c", "a", "--limit-bytes=6"])?, "line 1")?;
    expect("init", &logs(&["p", "-c", "first"])?, "before\n")?;
    let stamped = logs(&["p", "-c", "a", "--timestamps", "--tail=1"])?;
    let (time, text) = stamped.split_once(' ').ok_or("no time")?;
    expect("--timestamps", text, "last\n")?;
    expect(
        "--since-time",
        &logs(&["p", "-c", "a", &format!("--since-time={time}")])?,
        "last\n",
    )?;
    expect("--since", &logs(&["p", "-c", "a", "--since=1h", "--tail=1"])?, "last\n")?;
    let all = logs(&["-l", "app=p", "--prefix", "--all-containers"])?;
    for line in ["[pod/p/first] before", "[pod/p/a] line 1", "[pod/p/b] other"] {
        if !all.contains(line) {
            return Err(format!("{line:?} is missing: {all}"));
        }
    }
    ground
        .kubectl(&namespace, &["logs", "p", "-c", "a", "--previous"], "")
        .refused_with("previous terminated container \"a\" in pod \"p\" not found")
}

fn previous(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    create(
        ground,
        &namespace,
        json!({"containers": [{"name": "c", "args": ["echo run; exit 1"]}]}),
    )?;
    wait(
        ground,
        &namespace,
        "jsonpath={.status.containerStatuses[0].state.waiting.reason}=CrashLoopBackOff",
    )?;
    let logs = |more: &[&str]| ground.kubectl(&namespace, &[&["logs", "p"], more].concat(), "").ok();
    expect("the last", &logs(&[])?, "run\n")?;
    expect("--previous", &logs(&["--previous"])?, "run\n")
}

fn no_logs(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    create(
        ground,
        &namespace,
        json!({"containers": [{"name": "c", "image": "no-such"}]}),
    )?;
    wait(
        ground,
        &namespace,
        "jsonpath={.status.containerStatuses[0].state.waiting.reason}=ImagePullBackOff",
    )?;
    ground
        .kubectl(&namespace, &["logs", "p"], "")
        .refused_with("container \"c\" in pod \"p\" is waiting to start: trying and failing to pull image")
}

fn shared_memory(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let mount = json!([{"name": "m", "mountPath": "/m"}]);
    create(
        ground,
        &namespace,
        json!({"volumes": [{"name": "m", "emptyDir": {"medium": "Memory"}}], "containers": [
        {"name": "writes", "args": ["echo shared >/m/f; sleep 300"], "volumeMounts": mount},
        {"name": "reads", "args": ["until cat /m/f; do sleep 0.05; done; stat -f -c %T /m; sleep 300"], "volumeMounts": mount}]}),
    )?;
    wait(ground, &namespace, "condition=Ready")?;
    for _ in 0..100 {
        let said = ground.kubectl(&namespace, &["logs", "p", "-c", "reads"], "").ok()?;
        if said.contains("shared\ntmpfs") {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err("the file never came, or not in memory".to_owned())
}

fn size_limit(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    create(
        ground,
        &namespace,
        json!({"volumes": [{"name": "v", "emptyDir": {"sizeLimit": "1Mi"}}], "containers": [
        {"name": "c", "args": ["head -c 3000000 /dev/zero >/v/f; sleep 300"], "volumeMounts": [{"name": "v", "mountPath": "/v"}]}]}),
    )?;
    wait(ground, &namespace, "jsonpath={.status.phase}=Failed")?;
    let status = ["get", "pod", "p", "-o", "jsonpath={.status.phase} {.status.message}"];
    ground
        .kubectl(&namespace, &status, "")
        .has("Failed Usage of EmptyDir volume \"v\" exceeds the limit \"1Mi\".")
}

const HTTPS: &str = r#"exec python3 -c '
import http.server, ssl, os, subprocess
subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "/tmp/k", "-out", "/tmp/c", "-days", "1", "-subj", "/CN=nobody"], check=True, stderr=subprocess.DEVNULL)
server = http.server.HTTPServer((os.environ["IP"], 7443), http.server.SimpleHTTPRequestHandler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/tmp/c", "/tmp/k")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
'"#;

fn https_probe(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    create(
        ground,
        &namespace,
        json!({"containers": [{"name": "c", "args": [HTTPS],
        "env": [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
        "readinessProbe": {"httpGet": {"scheme": "HTTPS", "path": "/", "port": 7443}, "periodSeconds": 1}}]}),
    )?;
    wait(ground, &namespace, "condition=Ready")
}

fn probe_grace(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    create(
        ground,
        &namespace,
        json!({"terminationGracePeriodSeconds": 300, "containers": [{"name": "c",
        "args": ["trap '' TERM; while :; do sleep 0.1; done"],
        "livenessProbe": {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1, "terminationGracePeriodSeconds": 1}}]}),
    )?;
    wait(
        ground,
        &namespace,
        "jsonpath={.status.containerStatuses[0].lastState.terminated.exitCode}=137",
    )?;
    ground
        .kubectl(&namespace, &["delete", "pod", "p", "--now"], "")
        .ok()
        .map(drop)
}
