//! Whether network policies let executors and their driver talk.
//!
//! The rules are those of the API: pods that no policy selects for a direction are open in it; the others are open to what any rule of any policy that
//! selects them lets through (<https://kubernetes.io/docs/concepts/services-networking/network-policies/>). Where an answer would need what is not
//! known here (labels of other namespaces, addresses), none is given: only a block that is certain is told.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::facts::Cluster;
use crate::facts::cluster::{Pod, Role};

/// Ends of a connection, in one namespace.
struct Peer<'a> {
    labels: &'a BTreeMap<String, String>,
    spec: &'a Value,
}

/// Which of the two ends is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closed {
    /// The driver takes nothing from its executors.
    Ingress,
    /// The executors may not send to the driver.
    Egress,
}

/// A connection that policies deny for certain.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Denied<'a> {
    /// Where.
    pub closed: Closed,
    /// The policies that isolate that pod.
    pub policies: Vec<&'a str>,
}

/// Why executors cannot open a connection to this port of the driver; none when policies let them, or when that is not certain.
pub(super) fn denied_to_driver(cluster: &Cluster, port: u16) -> Option<Denied<'_>> {
    let driver = cluster.driver()?;
    let executor = executor(cluster)?;
    let to = Peer {
        labels: &driver.labels,
        spec: &driver.spec,
    };
    let from = Peer {
        labels: &executor.labels,
        spec: &executor.spec,
    };
    let ingress = || denied(cluster, Closed::Ingress, &to, &Target::Pod(&from, &to, port));
    let egress = || denied(cluster, Closed::Egress, &from, &Target::Pod(&to, &to, port));
    ingress().or_else(egress)
}

/// Why executors cannot ask for names: nothing lets them reach port 53 anywhere.
pub(super) fn denied_names(cluster: &Cluster) -> Option<Denied<'_>> {
    let executor = executor(cluster)?;
    let from = Peer {
        labels: &executor.labels,
        spec: &executor.spec,
    };
    denied(cluster, Closed::Egress, &from, &Target::Names)
}

fn executor(cluster: &Cluster) -> Option<&Pod> {
    cluster.pods.iter().find(|pod| matches!(pod.role, Role::Executor(_)))
}

/// What a rule must let through.
enum Target<'a> {
    /// A peer in the same namespace, whose ports the rule names, and the port.
    Pod(&'a Peer<'a>, &'a Peer<'a>, u16),
    /// UDP 53, wherever the cluster's DNS is.
    Names,
}

fn denied<'a>(cluster: &'a Cluster, closed: Closed, subject: &Peer<'_>, target: &Target<'_>) -> Option<Denied<'a>> {
    let (direction, rules, peers) = match closed {
        Closed::Ingress => ("Ingress", "ingress", "from"),
        Closed::Egress => ("Egress", "egress", "to"),
    };
    let isolating: Vec<&Value> = cluster
        .network_policies
        .iter()
        .filter(|policy| rules_over(policy, direction) && selects(&policy["spec"]["podSelector"], subject.labels))
        .collect();
    let lets = isolating
        .iter()
        .flat_map(|policy| policy["spec"][rules].as_array().into_iter().flatten())
        .any(|rule| may_let(&rule[peers], &rule["ports"], target));
    (!isolating.is_empty() && !lets).then(|| Denied {
        closed,
        policies: isolating
            .iter()
            .filter_map(|policy| policy["metadata"]["name"].as_str())
            .collect(),
    })
}

/// Without `policyTypes` a policy rules over ingress, and over egress when it has such rules.
fn rules_over(policy: &Value, direction: &str) -> bool {
    match policy["spec"]["policyTypes"].as_array() {
        Some(types) if !types.is_empty() => types.iter().any(|kind| kind == direction),
        _ => direction == "Ingress" || policy["spec"]["egress"].is_array(),
    }
}

/// Whether a rule lets the target through, or may do so.
fn may_let(peers: &Value, ports: &Value, target: &Target<'_>) -> bool {
    let all = |list: &Value| list.as_array().is_none_or(Vec::is_empty);
    let peer = all(peers) || {
        let mut peers = peers.as_array().into_iter().flatten();
        peers.any(|peer| match target {
            // Labels of namespaces and addresses of pods are not known: they may be those.
            _ if !peer["namespaceSelector"].is_null() || !peer["ipBlock"].is_null() => true,
            Target::Pod(other, _, _) => selects(&peer["podSelector"], other.labels),
            // DNS runs in another namespace.
            Target::Names => false,
        })
    };
    let port = all(ports) || {
        let mut ports = ports.as_array().into_iter().flatten();
        ports.any(|port| match target {
            Target::Pod(_, to, number) => is_port(port, "TCP", *number, Some(to.spec)),
            Target::Names => is_port(port, "UDP", 53, None) || is_port(port, "TCP", 53, None),
        })
    };
    peer && port
}

fn is_port(port: &Value, protocol: &str, number: u16, spec: Option<&Value>) -> bool {
    if port["protocol"].as_str().unwrap_or("TCP") != protocol {
        return false;
    }
    let number = u64::from(number);
    match &port["port"] {
        Value::Null => true,
        Value::String(name) => match spec {
            Some(spec) => spec["containers"]
                .as_array()
                .into_iter()
                .flatten()
                .flat_map(|container| container["ports"].as_array().into_iter().flatten())
                .any(|declared| declared["name"] == name.as_str() && declared["containerPort"] == number),
            // A name that its pod gives meaning to, and that pod is not seen.
            None => true,
        },
        first => {
            let first = first.as_u64().unwrap_or_default();
            (first..=port["endPort"].as_u64().unwrap_or(first)).contains(&number)
        }
    }
}

/// Whether a label selector selects these labels; an empty one selects all.
fn selects(selector: &Value, labels: &BTreeMap<String, String>) -> bool {
    let matches = selector["matchLabels"].as_object().into_iter().flatten();
    let mut expressions = selector["matchExpressions"].as_array().into_iter().flatten();
    matches
        .into_iter()
        .all(|(key, value)| labels.get(key).map(String::as_str) == value.as_str())
        && expressions.all(|expression| {
            let found = expression["key"].as_str().and_then(|key| labels.get(key));
            let among = |found: &String| {
                let values = expression["values"].as_array().into_iter().flatten();
                values.into_iter().any(|value| value == found.as_str())
            };
            match expression["operator"].as_str() {
                Some("In") => found.is_some_and(among),
                Some("NotIn") => !found.is_some_and(among),
                Some("Exists") => found.is_some(),
                Some("DoesNotExist") => found.is_none(),
                // The API server takes no other.
                _ => false,
            }
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::facts::Objects;

    fn cluster(policies: Value) -> Cluster {
        let pod = |name: &str, role: &str, labels: Value, ports: Value| {
            let mut labels = labels;
            labels["spark-role"] = json!(role);
            labels["spark-exec-id"] = json!("1");
            json!({"metadata": {"name": name, "labels": labels}, "spec": {"containers": [{"name": "spark", "ports": ports}]}, "status": {}})
        };
        let ports = json!([{"name": "driver-rpc-port", "containerPort": 7078}]);
        let objects: Objects = serde_json::from_value(json!({
            "application": {},
            "pods": [pod("pi-driver", "driver", json!({"team": "a"}), ports), pod("pi-exec-1", "executor", json!({}), json!([]))],
            "networkPolicies": policies,
        }))
        .unwrap();
        Cluster::of_objects(objects)
    }

    fn policy(name: &str, spec: Value) -> Value {
        json!({"metadata": {"name": name}, "spec": spec})
    }

    #[test]
    fn only_a_block_that_is_certain_is_told() {
        let driver = json!({"matchLabels": {"spark-role": "driver"}});
        let executor = json!({"podSelector": {"matchLabels": {"spark-role": "executor"}}});
        let deny = policy("deny", json!({"podSelector": {}, "policyTypes": ["Ingress"]}));
        let lets = |from: Value, ports: Value| {
            policy(
                "lets",
                json!({"podSelector": driver, "ingress": [{"from": from, "ports": ports}]}),
            )
        };
        let other = json!({"podSelector": {"matchExpressions": [{"key": "spark-role", "operator": "NotIn", "values": ["executor"]}]}});
        for (what, policies, closed) in [
            ("no policy", json!([]), None),
            ("all denied", json!([deny]), Some((Closed::Ingress, vec!["deny"]))),
            (
                "egress only",
                json!([policy("out", json!({"podSelector": {}, "policyTypes": ["Egress"]}))]),
                Some((Closed::Egress, vec!["out"])),
            ),
            (
                "egress without types",
                json!([policy(
                    "out",
                    json!({"podSelector": {"matchLabels": {"spark-role": "executor"}}, "egress": [{"ports": [{"port": 53, "protocol": "UDP"}]}]})
                )]),
                Some((Closed::Egress, vec!["out"])),
            ),
            (
                "let by labels",
                json!([deny, lets(json!([executor]), json!([{"port": 7078}]))]),
                None,
            ),
            (
                "let by a name",
                json!([deny, lets(json!([executor]), json!([{"port": "driver-rpc-port"}]))]),
                None,
            ),
            (
                "let by a range",
                json!([deny, lets(json!([executor]), json!([{"port": 7000, "endPort": 7100}]))]),
                None,
            ),
            (
                "let on every port",
                json!([deny, lets(json!([executor]), json!([]))]),
                None,
            ),
            (
                "let from everywhere",
                json!([deny, lets(json!([]), json!([{"port": 7078}]))]),
                None,
            ),
            (
                "another port",
                json!([deny, lets(json!([executor]), json!([{"port": 7079}]))]),
                Some((Closed::Ingress, vec!["deny", "lets"])),
            ),
            (
                "another protocol",
                json!([
                    deny,
                    lets(json!([executor]), json!([{"port": 7078, "protocol": "UDP"}]))
                ]),
                Some((Closed::Ingress, vec!["deny", "lets"])),
            ),
            (
                "another peer",
                json!([deny, lets(json!([other]), json!([]))]),
                Some((Closed::Ingress, vec!["deny", "lets"])),
            ),
            (
                "perhaps from this namespace",
                json!([
                    deny,
                    lets(json!([{"namespaceSelector": {"matchLabels": {"a": "b"}}}]), json!([]))
                ]),
                None,
            ),
            (
                "perhaps from this address",
                json!([deny, lets(json!([{"ipBlock": {"cidr": "10.0.0.0/8"}}]), json!([]))]),
                None,
            ),
            (
                "of others",
                json!([policy(
                    "others",
                    json!({"podSelector": {"matchLabels": {"spark-role": "web"}}})
                )]),
                None,
            ),
            (
                "of those with a label",
                json!([policy(
                    "teams",
                    json!({"podSelector": {"matchExpressions": [{"key": "team", "operator": "Exists"}]}})
                )]),
                Some((Closed::Ingress, vec!["teams"])),
            ),
        ] {
            let cluster = cluster(policies);
            let found = denied_to_driver(&cluster, 7078).map(|denied| (denied.closed, denied.policies));
            assert_eq!(found, closed, "{what}");
        }
    }

    #[test]
    fn names_need_port_53() {
        let out = |rules: Value| {
            policy(
                "out",
                json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": rules}),
            )
        };
        for (what, policies, denied) in [
            ("open", json!([]), false),
            ("closed", json!([out(json!([]))]), true),
            (
                "only among pods",
                json!([out(json!([{"to": [{"podSelector": {}}]}]))]),
                true,
            ),
            (
                "by port",
                json!([out(json!([{"ports": [{"port": 53, "protocol": "UDP"}]}]))]),
                false,
            ),
            (
                "by namespace",
                json!([out(
                    json!([{"to": [{"namespaceSelector": {}}], "ports": [{"port": 53, "protocol": "UDP"}]}])
                )]),
                false,
            ),
            (
                "web alone",
                json!([out(
                    json!([{"to": [{"namespaceSelector": {}}], "ports": [{"port": 443}]}])
                )]),
                true,
            ),
        ] {
            assert_eq!(denied_names(&cluster(policies)).is_some(), denied, "{what}");
        }
    }
}
