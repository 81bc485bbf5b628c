//! What administrators do with `kubectl`, and what few manifests use but some do.

use std::convert::Infallible;
use std::net::IpAddr;
use std::time::Duration;

use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::case::{Case, Client, Ground, words};
use crate::workloads::{json, until};

pub fn cases() -> Vec<Case> {
    let case = |area, behaviour, run| Case {
        area,
        behaviour,
        client: Client::Kubectl,
        run,
    };
    vec![
        case(
            "Nodes",
            "`cordon` keeps new pods off the node, `drain` evicts those that are there and waits for them, `uncordon` takes them in again",
            drain,
        ),
        case(
            "Nodes",
            "two pods with the same host port do not run on one node, and the second is told why",
            host_ports,
        ),
        case(
            "kubectl",
            "a HorizontalPodAutoscaler is stored with a warning and seen in both versions, `autoscale` makes one, `expose` makes a Service of a Deployment's selector, `create secret tls` checks the pair",
            shorthands,
        ),
        case(
            "kubectl",
            "`debug` of a running pod is refused in words; a copy of it (`--copy-to`) runs",
            debug,
        ),
        case(
            "Pods",
            "gRPC probes ask the health service: ready when it serves, otherwise the kubelet's sentence",
            grpc,
        ),
        case(
            "Pods",
            "an ephemeral volume is a claim of its own, named after pod and volume, and goes with the pod",
            ephemeral,
        ),
        case(
            "Policies",
            "a quota refuses a change that needs more: a claim that grows, a Service that becomes a NodePort",
            quota_of_changes,
        ),
    ]
}

fn apply(ground: &Ground, namespace: &str, text: &str) -> Result<(), String> {
    ground.kubectl(namespace, &["apply", "-f", "-"], text).ok().map(drop)
}

/// In a cluster of its own, because no other case may run meanwhile.
fn drain(_: &Ground) -> Result<(), String> {
    let ground = Ground::start();
    let done = drained(&ground);
    ground.stop();
    done
}

fn drained(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let run = |arguments: &[&str]| ground.kubectl(&namespace, arguments, "");
    let node = "stoke-test";
    run(&words("create deployment web --image=shell --replicas=2 -- sleep 300")).ok()?;
    run(&["rollout", "status", "deployment/web", "--timeout=40s"]).ok()?;
    run(&["cordon", node]).has("cordoned")?;
    run(&["get", "node", node]).has("SchedulingDisabled")?;
    run(&["scale", "deployment/web", "--replicas=3"]).ok()?;
    until("the third pod is told that the node takes none", || {
        let pods = json(
            ground,
            &namespace,
            &["get", "pods", "--field-selector=status.phase=Pending"],
        )?;
        let said = pods["items"][0]["status"]["conditions"].to_string();
        Ok(said.contains("0/1 nodes are available: 1 node(s) were unschedulable."))
    })?;
    let before = json(
        ground,
        &namespace,
        &["get", "pods", "--field-selector=status.phase=Running"],
    )?;
    run(&[
        "run",
        "alone",
        "--image=shell",
        "--overrides",
        "{\"spec\":{\"nodeName\":\"stoke-test\"}}",
        "--",
        "sleep 300",
    ])
    .ok()?;
    run(&["wait", "pod/alone", "--for=condition=Ready", "--timeout=40s"]).ok()?;
    run(&["drain", node, "--timeout=40s"]).refused_with("cannot delete Pods that declare no controller")?;
    let drained = run(&[
        "drain",
        node,
        "--force",
        "--delete-emptydir-data",
        "--ignore-daemonsets",
        "--timeout=60s",
    ])
    .ok()?;
    if !drained.contains("evicting pod") || !drained.contains("drained") {
        return Err(format!("drain said: {drained}"));
    }
    let after = json(ground, &namespace, &["get", "pods"])?.to_string();
    let names = before["items"].as_array().into_iter().flatten();
    for name in names.filter_map(|pod| pod["metadata"]["name"].as_str()) {
        if after.contains(name) {
            return Err(format!("{name} is still there after the drain"));
        }
    }
    run(&["uncordon", node]).has("uncordoned")?;
    run(&["rollout", "status", "deployment/web", "--timeout=40s"])
        .ok()
        .map(drop)
}

fn host_ports(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let run = |arguments: &[&str]| ground.kubectl(&namespace, arguments, "");
    let pod = |name: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  terminationGracePeriodSeconds: 0\n  containers: [{{name: c, image: shell, args: [sleep 300], ports: [{{containerPort: 80, hostPort: 31998}}]}}]\n"
        )
    };
    apply(ground, &namespace, &pod("first"))?;
    run(&["wait", "pod/first", "--for=condition=Ready", "--timeout=40s"]).ok()?;
    apply(ground, &namespace, &pod("second"))?;
    until("the second is told", || {
        let said = json(ground, &namespace, &["get", "pod", "second"])?["status"].to_string();
        Ok(said.contains("1 node(s) didn't have free ports for the requested pod ports."))
    })?;
    run(&["delete", "pod", "first"]).ok()?;
    run(&["wait", "pod/second", "--for=condition=Ready", "--timeout=40s"])
        .ok()
        .map(drop)
}

fn shorthands(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let run = |arguments: &[&str]| ground.kubectl(&namespace, arguments, "");
    run(&words("create deployment web --image=shell --replicas=0 --port=80")).ok()?;
    let scaler = "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: web}\nspec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}, minReplicas: 1, maxReplicas: 3, metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}}]}\n";
    ground
        .kubectl(&namespace, &["create", "-f", "-"], scaler)
        .has("stored, not enforced here")?;
    run(&["get", "hpa"]).has("REFERENCE")?;
    let scaler = json(ground, &namespace, &["get", "hpa.v2.autoscaling", "web"])?;
    if scaler["spec"]["scaleTargetRef"]["name"] != "web" || scaler["spec"]["maxReplicas"] != 3 {
        return Err(scaler.to_string());
    }
    let first = json(
        ground,
        &namespace,
        &["get", "horizontalpodautoscalers.v1.autoscaling", "web"],
    )?;
    if first["spec"]["targetCPUUtilizationPercentage"] != 60 || !first["spec"]["metrics"].is_null() {
        return Err(first.to_string());
    }
    run(&["get", "horizontalpodautoscalers.v1.autoscaling"]).has("cpu: <unknown>/60%")?;
    run(&[
        "patch",
        "horizontalpodautoscalers.v1.autoscaling",
        "web",
        "--type=merge",
        "-p",
        r#"{"spec":{"targetCPUUtilizationPercentage":70}}"#,
    ])
    .ok()?;
    run(&words(
        "get hpa web -o jsonpath={.spec.metrics[0].resource.target.averageUtilization}",
    ))
    .has("70")?;
    run(&words("create deployment back --image=shell --replicas=0")).ok()?;
    run(&words("autoscale deployment back --min=2 --max=5 --cpu-percent=55")).has("autoscaled")?;
    run(&words("get hpa back -o jsonpath={.spec.minReplicas}-{.spec.maxReplicas}-{.spec.metrics[0].resource.target.averageUtilization}")).has("2-5-55")?;
    run(&words("autoscale deployment back --name=wrong --min=5 --max=2")).refused()?;
    run(&["expose", "deployment", "web", "--target-port=8080", "--name=front"]).has("exposed")?;
    let service = json(ground, &namespace, &["get", "service", "front"])?;
    if service["spec"]["selector"]["app"] != "web" || service["spec"]["ports"][0]["targetPort"] != 8080 {
        return Err(service.to_string());
    }
    let pair = rcgen::generate_simple_self_signed(vec!["example.com".to_owned()]).map_err(|error| error.to_string())?;
    let file = |name: &str, text: &str| {
        let path = ground.directory().join(format!("{namespace}-{name}"));
        std::fs::write(&path, text)
            .map(|()| path.display().to_string())
            .map_err(|error| error.to_string())
    };
    let certificate = format!("--cert={}", file("tls.crt", &pair.cert.pem())?);
    let key = format!("--key={}", file("tls.key", &pair.signing_key.serialize_pem())?);
    run(&["create", "secret", "tls", "pair", &certificate, &key]).ok()?;
    run(&["get", "secret", "pair", "-o", "jsonpath={.type}"]).has("kubernetes.io/tls")?;
    let half =
        "apiVersion: v1\nkind: Secret\nmetadata: {name: half}\ntype: kubernetes.io/tls\nstringData: {tls.crt: x}\n";
    ground
        .kubectl(&namespace, &["create", "-f", "-"], half)
        .refused_with("data[tls.key]: Required value")
}

fn debug(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let run = |arguments: &[&str]| ground.kubectl(&namespace, arguments, "");
    run(&["run", "web", "--image=shell", "--", "sleep 300"]).ok()?;
    run(&["wait", "pod/web", "--for=condition=Ready", "--timeout=40s"]).ok()?;
    run(&["debug", "web", "--image=shell", "--", "true"])
        .refused_with("ephemeral containers are disabled for this cluster")?;
    run(&words(
        "debug web --image=shell --copy-to=web-copy --share-processes=false -- sleep 300",
    ))
    .ok()?;
    run(&["wait", "pod/web-copy", "--for=condition=Ready", "--timeout=40s"]).ok()?;
    run(&["delete", "pod", "web", "web-copy", "--grace-period=1"])
        .ok()
        .map(drop)
}

/// A health service that answers every request with this status, on an address, until it is dropped.
async fn health(address: IpAddr, port: u16, status: u8) -> tokio::task::JoinHandle<()> {
    let listener = tokio::net::TcpListener::bind((address, port)).await.unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| async move {
                let known = request.uri().path() == "/grpc.health.v1.Health/Check";
                let asked = request
                    .into_body()
                    .collect()
                    .await
                    .map(|body| body.to_bytes())
                    .unwrap_or_default();
                // `string service = 1`, after gRPC's five bytes.
                let named = asked.get(7..).is_some_and(|name| name == b"db");
                let mut trailers = http::HeaderMap::new();
                trailers.insert("grpc-status", if known && named { "0" } else { "12" }.parse().unwrap());
                let frames = [
                    Ok::<_, Infallible>(Frame::data(Bytes::from(vec![0, 0, 0, 0, 2, 8, status]))),
                    Ok(Frame::trailers(trailers)),
                ];
                let body = StreamBody::new(futures::stream::iter(frames));
                let response = http::Response::builder().header("content-type", "application/grpc");
                Ok::<_, Infallible>(response.body(body).unwrap())
            });
            tokio::spawn(
                hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service),
            );
        }
    })
}

fn grpc(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let run = |arguments: &[&str]| ground.kubectl(&namespace, arguments, "");
    apply(
        ground,
        &namespace,
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  terminationGracePeriodSeconds: 0\n  containers: [{name: c, image: shell, args: [sleep 300], readinessProbe: {grpc: {port: 31997, service: db}, periodSeconds: 1}}]\n",
    )?;
    let says = |part: &str| until(part, || Ok(run(&["events", "--for=pod/p"]).ok()?.contains(part)));
    says("Readiness probe failed: timeout: failed to connect service")?;
    let pod = json(ground, &namespace, &["get", "pod", "p"])?;
    let address: IpAddr = pod["status"]["podIP"]
        .as_str()
        .unwrap_or_default()
        .parse()
        .map_err(|_| pod.to_string())?;
    let sick = ground.runtime.block_on(health(address, 31997, 2));
    says("service unhealthy (responded with \"NOT_SERVING\")")?;
    sick.abort();
    // Until the port is free again.
    std::thread::sleep(Duration::from_millis(200));
    let well = ground.runtime.block_on(health(address, 31997, 1));
    run(&["wait", "pod/p", "--for=condition=Ready", "--timeout=20s"]).ok()?;
    well.abort();
    run(&["delete", "pod", "p"]).ok().map(drop)
}

fn ephemeral(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let run = |arguments: &[&str]| ground.kubectl(&namespace, arguments, "");
    let template = "volumeClaimTemplate: {metadata: {labels: {a: b}}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}}";
    apply(
        ground,
        &namespace,
        &format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec:\n  terminationGracePeriodSeconds: 0\n  volumes: [{{name: scratch, ephemeral: {{{template}}}}}]\n  containers: [{{name: c, image: shell, args: ['echo kept > /scratch/file && sleep 300'], volumeMounts: [{{name: scratch, mountPath: /scratch}}]}}]\n"
        ),
    )?;
    run(&["wait", "pod/p", "--for=condition=Ready", "--timeout=40s"]).ok()?;
    run(&["exec", "p", "--", "cat", "/scratch/file"]).has("kept")?;
    let claim = json(ground, &namespace, &["get", "pvc", "p-scratch"])?;
    if claim["status"]["phase"] != "Bound"
        || claim["metadata"]["labels"]["a"] != "b"
        || claim["metadata"]["ownerReferences"][0]["name"] != "p"
    {
        return Err(claim.to_string());
    }
    run(&["delete", "pod", "p"]).ok()?;
    until("the claim goes with the pod", || {
        Ok(json(ground, &namespace, &["get", "pvc"])?["items"]
            .as_array()
            .is_some_and(Vec::is_empty))
    })?;
    let broken = "apiVersion: v1\nkind: Pod\nmetadata: {name: q}\nspec:\n  volumes: [{name: v, ephemeral: {volumeClaimTemplate: {spec: {}}}}]\n  containers: [{name: c, image: shell}]\n";
    ground
        .kubectl(&namespace, &["create", "-f", "-"], broken)
        .refused_with("spec.volumes[0].ephemeral.volumeClaimTemplate.spec.accessModes: Required value")
}

fn quota_of_changes(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let run = |arguments: &[&str]| ground.kubectl(&namespace, arguments, "");
    apply(
        ground,
        &namespace,
        "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: q}\nspec: {hard: {requests.storage: 2Gi, services.nodeports: 0}}\n---\napiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: c}\nspec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {selector: {a: b}, ports: [{port: 80}]}\n",
    )?;
    run(&["wait", "pvc/c", "--for=jsonpath={.status.phase}=Bound", "--timeout=20s"]).ok()?;
    let grow = |size: &str| {
        let patch = format!("{{\"spec\":{{\"resources\":{{\"requests\":{{\"storage\":\"{size}\"}}}}}}}}");
        run(&["patch", "pvc", "c", "-p", &patch])
    };
    grow("3Gi").refused_with(
        "exceeded quota: q, requested: requests.storage=2Gi, used: requests.storage=1Gi, limited: requests.storage=2Gi",
    )?;
    grow("2Gi").ok()?;
    until("the growth is counted", || {
        Ok(json(ground, &namespace, &["get", "resourcequota", "q"])?["status"]["used"]["requests.storage"] == "2Gi")
    })?;
    run(&["patch", "service", "s", "-p", "{\"spec\":{\"type\":\"NodePort\"}}"]).refused_with(
        "exceeded quota: q, requested: services.nodeports=1, used: services.nodeports=0, limited: services.nodeports=0",
    )?;
    run(&["label", "service", "s", "x=y"]).ok().map(drop)
}
