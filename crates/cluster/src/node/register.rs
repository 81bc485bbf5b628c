//! The Node object and its heartbeat.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::context::Context;
use crate::clock::seconds;

/// How often the lease is renewed.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// Namespace of node leases.
const LEASES: &str = "kube-node-lease";

/// Renews the node's lease for ever.
pub(crate) async fn heartbeat(context: Arc<Context>) {
    loop {
        if let Err(error) = renew(&context).await {
            tracing::debug!(%error, "the node's lease could not be renewed");
        }
        tokio::time::sleep(HEARTBEAT).await;
    }
}

/// Makes the Node object, or brings it up to date.
pub(crate) async fn register(context: &Context) -> kube::Result<()> {
    let api: Api<Node> = Api::all(context.client.clone());
    let (object, status) = node(context, crate::clock::now());
    if api.get_opt(&context.node).await?.is_none() {
        let node: Node = serde_json::from_value(object).map_err(kube::Error::SerdeError)?;
        match api.create(&PostParams::default(), &node).await {
            Err(kube::Error::Api(answer)) if answer.code == 409 => {}
            other => drop(other?),
        }
    }
    api.patch_status(
        &context.node,
        &PatchParams::default(),
        &Patch::Merge(&json!({"status": status})),
    )
    .await?;
    Ok(())
}

async fn renew(context: &Context) -> kube::Result<()> {
    let api: Api<Lease> = Api::namespaced(context.client.clone(), LEASES);
    let now = MicroTime(crate::clock::now());
    let spec = json!({"holderIdentity": context.node, "leaseDurationSeconds": 40, "renewTime": now});
    let patched = api
        .patch(
            &context.node,
            &PatchParams::default(),
            &Patch::Merge(&json!({"spec": spec})),
        )
        .await;
    match patched {
        Err(kube::Error::Api(answer)) if answer.code == 404 => {
            let object = json!({"metadata": {"name": context.node, "namespace": LEASES}, "spec": spec});
            let lease: Lease = serde_json::from_value(object).map_err(kube::Error::SerdeError)?;
            api.create(&PostParams::default(), &lease).await.map(|_| ())
        }
        other => other.map(|_| ()),
    }
}

/// The Node object, and its status.
fn node(context: &Context, now: Timestamp) -> (Value, Value) {
    let uname = rustix::system::uname();
    let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
    let architecture = match uname.machine().to_bytes() {
        b"x86_64" => "amd64",
        b"aarch64" => "arm64",
        _ => "unknown",
    };
    let capacity = json!({
        "cpu": millicores(context.capacity.millicores),
        "memory": format!("{}Ki", context.capacity.memory / 1024),
        "ephemeral-storage": format!("{}Ki", context.capacity.disk / 1024),
        "pods": context.capacity.pods.to_string(),
    });
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        json!({
            "type": kind, "status": status, "reason": reason, "message": message,
            "lastHeartbeatTime": seconds(now), "lastTransitionTime": seconds(now),
        })
    };
    let object = json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": context.node,
            "labels": {
                "kubernetes.io/hostname": context.node,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": architecture,
                "node-role.kubernetes.io/control-plane": "",
            },
        },
        "spec": {},
    });
    let status = json!({
        "capacity": capacity,
        "allocatable": capacity,
        "addresses": [
            {"type": "InternalIP", "address": context.host_address.to_string()},
            {"type": "Hostname", "address": context.node},
        ],
        "conditions": [
            condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
            condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
            condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
            condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
        ],
        "nodeInfo": {
            "architecture": architecture,
            "bootID": std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim(),
            "containerRuntimeVersion": format!("stoke://{}", env!("CARGO_PKG_VERSION")),
            "kernelVersion": text(uname.release()),
            "kubeProxyVersion": "",
            "kubeletVersion": format!("v1.34.0+stoke-{}", env!("CARGO_PKG_VERSION")),
            "machineID": "",
            "operatingSystem": "linux",
            "osImage": os_image(&std::fs::read_to_string("/etc/os-release").unwrap_or_default()),
            "systemUUID": "",
        },
    });
    (object, status)
}

fn millicores(amount: u64) -> String {
    if amount.is_multiple_of(1000) {
        (amount / 1000).to_string()
    } else {
        format!("{amount}m")
    }
}

/// `PRETTY_NAME` of `/etc/os-release`.
fn os_image(text: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    line.unwrap_or("Linux").trim_matches('"').to_owned()
}
