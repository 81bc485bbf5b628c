//! Services: addresses, names, and what stands behind them.

use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::case::{Case, Client, Ground};

pub fn cases() -> Vec<Case> {
    let case = |behaviour, run| Case {
        area: "Services",
        behaviour,
        client: Client::Kubectl,
        run,
    };
    vec![
        case(
            "every Service gets an address of its own; one may be chosen if it is free, and never changes",
            addresses,
        ),
        case(
            "connections to a Service reach its ready pods in turn; one that no pod backs is refused",
            turns,
        ),
        case("with `sessionAffinity: ClientIP` a client stays with its pod", affinity),
        case(
            "pods find Services by name in `/etc/hosts` and by the variables of the environment",
            names,
        ),
        case(
            "named target ports lead to the port of that name, and a pod that is not ready gets nothing",
            readiness,
        ),
        case(
            "NodePort, LoadBalancer and ExternalName are stored with a warning; UDP is refused",
            warnings,
        ),
    ]
}

/// Says its name to whoever connects.
const SERVER: &str = r#"exec python3 -c '
import socket, os
server = socket.create_server((os.environ["IP"], int(os.environ["PORT"])), backlog=64)
while True:
    peer, _ = server.accept()
    peer.sendall(os.environ["NAME"].encode())
    peer.close()
'"#;

fn server(name: &str, port: u16) -> serde_json::Value {
    let field = |name: &str, path: &str| json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}});
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "web"}},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "c", "image": "shell", "args": [SERVER],
            "env": [field("IP", "status.podIP"), field("NAME", "metadata.name"), {"name": "PORT", "value": port.to_string()}],
            "ports": [{"name": "main", "containerPort": port}]}]}})
}

fn service(spec: serde_json::Value) -> serde_json::Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec})
}

fn create(ground: &Ground, namespace: &str, object: &serde_json::Value) -> Result<String, String> {
    ground
        .kubectl(namespace, &["create", "-f", "-"], &object.to_string())
        .ok()
}

fn ready(ground: &Ground, namespace: &str, pods: &[&str]) -> Result<(), String> {
    for pod in pods {
        let pod = format!("pod/{pod}");
        ground
            .kubectl(namespace, &["wait", "--for=condition=Ready", &pod, "--timeout=20s"], "")
            .ok()?;
    }
    Ok(())
}

fn address(ground: &Ground, namespace: &str) -> Result<String, String> {
    ground
        .kubectl(
            namespace,
            &["get", "service", "web", "-o", "jsonpath={.spec.clusterIP}"],
            "",
        )
        .ok()
}

/// Who answers at an address; none when no one does.
fn ask(address: &str, port: u16) -> Option<String> {
    let mut stream = TcpStream::connect((address, port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let mut name = String::new();
    stream.read_to_string(&mut name).ok().filter(|count| *count > 0)?;
    Some(name)
}

/// Asks until the answers are as wanted.
fn until(what: &str, mut condition: impl FnMut() -> bool) -> Result<(), String> {
    let end = Instant::now() + Duration::from_secs(15);
    while !condition() {
        if Instant::now() > end {
            return Err(format!("never happened: {what}"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn addresses(ground: &Ground) -> Result<(), String> {
    let (one, two) = (ground.namespace(), ground.namespace());
    let plain = || service(json!({"selector": {"app": "web"}, "ports": [{"port": 8700}]}));
    create(ground, &one, &plain())?;
    create(ground, &two, &plain())?;
    let (first, second) = (address(ground, &one)?, address(ground, &two)?);
    if first == second || !first.starts_with("127.") {
        return Err(format!("{first} and {second}"));
    }
    let mut chosen = plain();
    chosen["metadata"]["name"] = "chosen".into();
    chosen["spec"]["clusterIP"] = first.clone().into();
    let refused = ground.kubectl(&two, &["create", "-f", "-"], &chosen.to_string());
    refused.refused_with(&format!(
        "failed to allocate IP {first}: provided IP is already allocated"
    ))?;
    chosen["spec"]["clusterIP"] = "10.1.2.3".into();
    ground
        .kubectl(&two, &["create", "-f", "-"], &chosen.to_string())
        .refused_with("the provided IP (10.1.2.3) is not in the valid range. The range of valid IPs is 127.")?;
    let (subnet, _) = first.rsplit_once('.').unwrap();
    let (subnet, _) = subnet.rsplit_once('.').unwrap();
    chosen["spec"]["clusterIP"] = format!("{subnet}.255.200").into();
    create(ground, &two, &chosen)?;
    // A replacement that does not name the address keeps it; another address is refused.
    let replaced = ground.kubectl(&one, &["replace", "-f", "-"], &plain().to_string());
    replaced.has("replaced")?;
    if address(ground, &one)? != first {
        return Err("a replacement changed the address".to_owned());
    }
    let patch = format!("{{\"spec\":{{\"clusterIP\":\"{subnet}.255.201\",\"clusterIPs\":[\"{subnet}.255.201\"]}}}}");
    ground
        .kubectl(&one, &["patch", "service", "web", "-p", &patch], "")
        .refused_with("may not change once set")?;
    let headless = service(json!({"clusterIP": "None", "selector": {"app": "web"}}));
    let three = ground.namespace();
    create(ground, &three, &headless)?;
    if address(ground, &three)? == "None" {
        Ok(())
    } else {
        Err("a headless service got an address".to_owned())
    }
}

fn turns(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    create(
        ground,
        &namespace,
        &service(json!({"selector": {"app": "web"}, "ports": [{"port": 8701, "targetPort": 7101}]})),
    )?;
    let address = address(ground, &namespace)?;
    if TcpStream::connect((address.as_str(), 8701)).is_ok() {
        return Err("a service without pods takes connections".to_owned());
    }
    for name in ["a", "b"] {
        create(ground, &namespace, &server(name, 7101))?;
    }
    ready(ground, &namespace, &["a", "b"])?;
    until("both answer", || {
        let answers: Vec<_> = (0..4).map(|_| ask(&address, 8701)).collect();
        ["a", "b"]
            .iter()
            .all(|name| answers.iter().filter(|answer| answer.as_deref() == Some(name)).count() == 2)
    })?;
    ground.kubectl(&namespace, &["delete", "pod", "a", "--now"], "").ok()?;
    until("only b answers", || {
        (0..4).all(|_| ask(&address, 8701).as_deref() == Some("b"))
    })?;
    ground.kubectl(&namespace, &["delete", "pod", "b", "--now"], "").ok()?;
    until("no one answers", || {
        TcpStream::connect((address.as_str(), 8701)).is_err()
    })
}

fn affinity(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let spec = json!({"selector": {"app": "web"}, "sessionAffinity": "ClientIP", "ports": [{"port": 8702, "targetPort": 7102}]});
    create(ground, &namespace, &service(spec))?;
    for name in ["a", "b"] {
        create(ground, &namespace, &server(name, 7102))?;
    }
    ready(ground, &namespace, &["a", "b"])?;
    let address = address(ground, &namespace)?;
    until("someone answers", || ask(&address, 8702).is_some())?;
    let first = ask(&address, 8702);
    if (0..6).all(|_| ask(&address, 8702) == first) {
        Ok(())
    } else {
        Err("the client changed its pod".to_owned())
    }
}

fn names(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let spec = json!({"selector": {"app": "web"}, "ports": [{"name": "http", "port": 8703, "targetPort": "main"}]});
    create(ground, &namespace, &service(spec))?;
    create(ground, &namespace, &server("a", 7103))?;
    ready(ground, &namespace, &["a"])?;
    let address = address(ground, &namespace)?;
    until("the pod answers", || ask(&address, 8703).is_some())?;
    let script = format!(
        "echo $WEB_SERVICE_HOST $WEB_SERVICE_PORT_HTTP $WEB_PORT; for n in web web.{namespace} web.{namespace}.svc \
         web.{namespace}.svc.cluster.local; do python3 -c \"import socket,sys; \
         s=socket.create_connection((sys.argv[1], 8703)); print(sys.argv[1], s.recv(9).decode())\" $n; done"
    );
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "asks"},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "shell", "args": [script]}]}});
    create(ground, &namespace, &pod)?;
    let phase = "--for=jsonpath={.status.phase}=Succeeded";
    ground
        .kubectl(&namespace, &["wait", phase, "pod/asks", "--timeout=20s"], "")
        .ok()?;
    let said = ground.kubectl(&namespace, &["logs", "asks"], "").ok()?;
    let mut wanted = format!("{address} 8703 tcp://{address}:8703\n");
    for name in [
        "web".to_owned(),
        format!("web.{namespace}"),
        format!("web.{namespace}.svc"),
        format!("web.{namespace}.svc.cluster.local"),
    ] {
        wanted.push_str(&format!("{name} a\n"));
    }
    if said == wanted {
        Ok(())
    } else {
        Err(format!("{said} instead of {wanted}"))
    }
}

fn readiness(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let spec = json!({"selector": {"app": "web"}, "ports": [{"port": 8704, "targetPort": "main"}]});
    create(ground, &namespace, &service(spec))?;
    let mut pod = server("a", 7104);
    pod["spec"]["containers"][0]["readinessProbe"] =
        json!({"exec": {"command": ["test", "-e", "/tmp/ready"]}, "periodSeconds": 1});
    create(ground, &namespace, &pod)?;
    let running = "--for=jsonpath={.status.phase}=Running";
    ground
        .kubectl(&namespace, &["wait", running, "pod/a", "--timeout=20s"], "")
        .ok()?;
    let address = address(ground, &namespace)?;
    std::thread::sleep(Duration::from_millis(300));
    if TcpStream::connect((address.as_str(), 8704)).is_ok() {
        return Err("a pod that is not ready is reached".to_owned());
    }
    ground
        .kubectl(&namespace, &["exec", "a", "--", "touch", "/tmp/ready"], "")
        .ok()?;
    until("the ready pod answers", || ask(&address, 8704).as_deref() == Some("a"))
}

fn warnings(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    for (name, spec, warning) in [
        (
            "node",
            json!({"type": "NodePort", "ports": [{"port": 8705}]}),
            "no port of the machine is opened here",
        ),
        (
            "balanced",
            json!({"type": "LoadBalancer", "ports": [{"port": 8705}]}),
            "there is no load balancer here",
        ),
        (
            "external",
            json!({"type": "ExternalName", "externalName": "example.org"}),
            "does not resolve in pods here",
        ),
    ] {
        let mut object = service(spec);
        object["metadata"]["name"] = name.into();
        ground
            .kubectl(&namespace, &["create", "-f", "-"], &object.to_string())
            .has(warning)?;
    }
    let mut udp = service(json!({"ports": [{"port": 53, "protocol": "UDP"}]}));
    ground
        .kubectl(&namespace, &["create", "-f", "-"], &udp.to_string())
        .refused_with("forwards TCP only")?;
    udp["spec"]["clusterIP"] = "None".into();
    create(ground, &namespace, &udp).map(drop)
}
