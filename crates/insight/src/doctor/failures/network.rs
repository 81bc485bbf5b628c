//! Executors that cannot reach the driver.

use serde_json::Value;

use super::blocks::{Block, Origin};
use super::class::{Class, END, LOST, NONE_COME, class, words};
use super::policies::{self, Closed, Denied};
use super::texts::{Match, TextRule, hurts};
use crate::text::{after, between};
use stoke_diagnostics::Fix;

const POLICIES: &str = "https://kubernetes.io/docs/concepts/services-networking/network-policies/";
const DNS: &str = "https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/";
const FOLLOWS: &[&[&str]] = &[END, LOST, NONE_COME, &["service-unreachable", "host-unknown"]];

static DRIVER_UNKNOWN: Class = class(
    "driver-name-unresolved",
    806,
    "executors find the driver by the name of its headless service",
    DNS,
    FOLLOWS,
);
static DRIVER_UNREACHABLE: Class = class(
    "driver-unreachable",
    805,
    "executors connect to the driver's ports (7078 and 7079 unless configured); network policies, sidecars and firewalls between must let them",
    POLICIES,
    FOLLOWS,
);

/// The classes of this family.
pub(super) static CLASSES: [&Class; 2] = [&DRIVER_UNKNOWN, &DRIVER_UNREACHABLE];

/// Its rules over texts: of executors' logs alone.
pub(super) const RULES: &[TextRule] = &[
    hurts(
        &DRIVER_UNKNOWN,
        &[&["UnknownHostException"], &["Failed to resolve"]],
        |matched| {
            of_executor(matched.block)?;
            let host = after(matched.line, "UnknownHostException: ")
                .or_else(|| between(matched.line, "resolve '", "'"))
                .unwrap_or("the driver's service");
            let host = host.split([':', ' ']).next().unwrap_or(host);
            (host.contains("-svc") || host.contains(".svc") || host.contains("driver")).then(|| {
            let denied = matched.context.cluster().and_then(policies::denied_names);
            let why = denied.map(|denied| format!(": {}", isolated(&denied, "53 (DNS)"))).unwrap_or_default();
            (
                format!("Executors cannot resolve the driver's name {host}{why}"),
                words("see that the driver's service exists, that pods may ask the cluster's DNS (UDP and TCP port 53 of kube-system) and that CoreDNS runs: a network policy that denies egress must allow it"),
            )
        })
        },
    ),
    hurts(
        &DRIVER_UNREACHABLE,
        &[
            &["Failed to connect to", "7078"],
            &["Failed to connect to", "driver"],
            &["Cannot receive any reply from", "driver"],
            &["Connecting to", "driver", "timed out"],
            &["Connection refused", "7078"],
            &["Failed to connect to", "-svc"],
        ],
        |matched| {
            of_executor(matched.block)?;
            Some(unreachable(matched))
        },
    ),
];

fn of_executor(block: &Block) -> Option<()> {
    (block.origin == Origin::Executor).then_some(())
}

fn unreachable(matched: &Match<'_>) -> (String, Fix) {
    let whom = after(matched.line, "Failed to connect to ").map(|rest| rest.split(' ').next().unwrap_or(rest));
    let port = matched
        .context
        .spec("/sparkConf/spark.driver.port")
        .and_then(Value::as_str);
    let port = port.unwrap_or("7078");
    let cluster = matched.context.cluster();
    let denied = cluster.and_then(|cluster| policies::denied_to_driver(cluster, port.parse().ok()?));
    let why = match (denied, cluster) {
        (Some(denied), _) => format!(": {}", isolated(&denied, port)),
        (None, Some(cluster)) if !cluster.network_policies.is_empty() => {
            let names = cluster
                .network_policies
                .iter()
                .filter_map(|policy| policy["metadata"]["name"].as_str());
            format!(
                "; the network policies of its namespace do not forbid it for certain ({})",
                names.collect::<Vec<_>>().join(", ")
            )
        }
        _ => String::new(),
    };
    (
        format!(
            "Executors cannot reach the driver{}{why}",
            whom.map(|whom| format!(" at {whom}")).unwrap_or_default()
        ),
        words(format!(
            "let pods with the label spark-role=executor reach those with spark-role=driver on the ports {port} and 7079, and the driver reach the executors: add a NetworkPolicy, or change the one that denies it"
        )),
    )
}

/// Which policies close what.
fn isolated(denied: &Denied<'_>, port: &str) -> String {
    let (whom, what) = match denied.closed {
        Closed::Ingress => ("driver", "lets its executors in"),
        Closed::Egress => ("executors", "lets them out"),
    };
    match denied.policies.as_slice() {
        [one] => format!("the network policy {one} isolates the {whom}, and nothing in it {what} on port {port}"),
        many => format!(
            "the network policies {} isolate the {whom}, and none {what} on port {port}",
            many.join(", ")
        ),
    }
}
