//! Services know the addresses of their pods: Endpoints and EndpointSlices for every service with a selector.
//!
//! In: events of services and pods. Out: the two objects of every service concerned, written only when they change. [`members`] knows whose pod it is.

mod members;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use self::members::{Members, Pods};
use super::client::Client;
use super::facts::{Condition, nullable, read};
use super::{Cursor, News, note};
use crate::registry::Registry;
use crate::store::{Event, EventKind, Interest, Key, Object, Store};

const SLICES: &str = "endpointslices.discovery.k8s.io";

pub(super) async fn run(registry: Arc<Registry>) {
    let client = Client::new(&registry, "endpointslice-controller");
    let mut cursor = Cursor::new(&registry, Interest::of(&["services", "pods"]));
    let mut members = Members::default();
    let mut services = look_again(&registry, &mut members);
    loop {
        for key in services {
            if let Some(service) = registry.store.get(&key) {
                settle(&client, &service, &members).await;
            }
        }
        services = match cursor.next().await {
            None => return,
            Some(News::LookAgain) => look_again(&registry, &mut members),
            Some(News::Events(events)) => {
                let mut concerned = BTreeSet::new();
                for event in events {
                    concerned.extend(take(&client, &mut members, &event).await);
                }
                concerned
            }
        };
    }
}

/// All services, after the members were found again.
fn look_again(registry: &Registry, members: &mut Members) -> BTreeSet<Key> {
    *members = Members::default();
    let all = |resource: &str| {
        registry
            .store
            .list(&resource.into(), None, None, usize::MAX, |_| true)
            .items
    };
    for service in all("services") {
        members.service(&service.key, &service.value()["spec"]["selector"], &registry.store);
    }
    for pod in all("pods") {
        members.pod(&pod.key, Some(&pod.fields));
    }
    members.services().cloned().collect()
}

/// Takes one event in; gives the services it concerns.
async fn take(client: &Client, members: &mut Members, event: &Event) -> BTreeSet<Key> {
    let (object, key) = (&event.object, &event.object.key);
    let gone = event.kind == EventKind::Deleted;
    match &*key.resource {
        "services" if gone => {
            members.forget(key);
            clear(client, object).await;
            BTreeSet::new()
        }
        "services" => {
            members.service(key, &object.value()["spec"]["selector"], &client.registry.store);
            [key.clone()].into()
        }
        _ => {
            let concerned = members.pod(key, (!gone).then_some(&object.fields));
            match &event.previous {
                Some(previous) if !gone && !concerned.is_empty() && same_to_services(previous, object) => {
                    BTreeSet::new()
                }
                _ => concerned,
            }
        }
    }
}

impl Pods for Store {
    fn all(&self, namespace: &str) -> Vec<Arc<Object>> {
        self.list(&"pods".into(), Some(namespace), None, usize::MAX, |_| true)
            .items
    }

    fn get(&self, key: &Key) -> Option<Arc<Object>> {
        Store::get(self, key)
    }
}

/// Whether a pod's change changes nothing that [`addresses`] looks at: most reports of a node are about something else.
fn same_to_services(before: &Object, now: &Object) -> bool {
    let seen = |object: &Object| {
        let mut pod = read::<Seen>(object)?;
        let ended = matches!(pod.status.phase.as_deref(), Some("Succeeded" | "Failed"));
        let ready = Condition::holds(&pod.status.conditions, "Ready");
        let ip = pod.status.pod_ip.take().filter(|ip| !ip.is_empty() && !ended);
        Some((ip.map(|ip| (ip, ready)), pod.spec))
    };
    before.fields.labels == now.fields.labels
        && before.fields.deleting == now.fields.deleting
        && before.fields.uid == now.fields.uid
        && seen(before).is_some_and(|before| seen(now).is_some_and(|now| before == now))
}

/// Of a pod, what its services may show.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Seen {
    spec: SeenSpec,
    status: SeenStatus,
}

#[derive(Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
struct SeenSpec {
    node_name: Option<String>,
    hostname: Option<String>,
    subdomain: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SeenStatus {
    phase: Option<String>,
    #[serde(rename = "podIP")]
    pod_ip: Option<String>,
    #[serde(deserialize_with = "nullable")]
    conditions: Vec<Condition>,
}

/// What a service's pods give it: (subsets of Endpoints, endpoints and ports of the slice).
fn addresses(service: &Value, pods: &[Value]) -> (Value, Value, Value) {
    let publish_all = service["spec"]["publishNotReadyAddresses"] == true;
    let (mut ready_addresses, mut other_addresses, mut slice) = (Vec::new(), Vec::new(), Vec::new());
    for pod in pods {
        let ended = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
        let Some(ip) = pod["status"]["podIP"].as_str().filter(|ip| !ip.is_empty() && !ended) else {
            continue;
        };
        let mut conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
        let is_ready = conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
        let terminating = !pod["metadata"]["deletionTimestamp"].is_null();
        let target = json!({"kind": "Pod", "namespace": pod["metadata"]["namespace"], "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]});
        let mut address = json!({"ip": ip, "nodeName": pod["spec"]["nodeName"], "targetRef": target});
        let mut endpoint = json!({"addresses": [ip], "nodeName": pod["spec"]["nodeName"], "targetRef": target, "conditions": {
            "ready": publish_all || (is_ready && !terminating), "serving": is_ready, "terminating": terminating}});
        if pod["spec"]["subdomain"] == service["metadata"]["name"] && pod["spec"]["hostname"].is_string() {
            address["hostname"] = pod["spec"]["hostname"].clone();
            endpoint["hostname"] = pod["spec"]["hostname"].clone();
        }
        slice.push(endpoint);
        if publish_all || (is_ready && !terminating) {
            ready_addresses.push(address);
        } else if !terminating {
            other_addresses.push(address);
        }
    }
    let number = |port: &Value| match &port["targetPort"] {
        Value::String(name) => {
            let containers = pods
                .iter()
                .flat_map(|pod| pod["spec"]["containers"].as_array().into_iter().flatten());
            let mut ports = containers.flat_map(|container| container["ports"].as_array().into_iter().flatten());
            ports
                .find(|known| known["name"] == **name)
                .map_or(Value::Null, |known| known["containerPort"].clone())
        }
        Value::Null => port["port"].clone(),
        number => number.clone(),
    };
    let ports: Vec<Value> = service["spec"]["ports"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|port| {
            let mut shown = json!({"name": port["name"].as_str().unwrap_or_default(), "port": number(port), "protocol": port["protocol"]});
            if !port["appProtocol"].is_null() {
                shown["appProtocol"] = port["appProtocol"].clone();
            }
            shown
        })
        .filter(|port| !port["port"].is_null())
        .collect();
    let mut subset = json!({});
    if !ready_addresses.is_empty() {
        subset["addresses"] = ready_addresses.into();
    }
    if !other_addresses.is_empty() {
        subset["notReadyAddresses"] = other_addresses.into();
    }
    let none = subset.as_object().is_some_and(serde_json::Map::is_empty);
    if !none && !ports.is_empty() {
        let unnamed = ports.iter().cloned().map(|mut port| {
            if port["name"] == "" {
                port.as_object_mut().map(|fields| fields.shift_remove("name"));
            }
            port
        });
        subset["ports"] = unnamed.collect();
    }
    (
        if none { json!([]) } else { json!([subset]) },
        slice.into(),
        ports.into(),
    )
}

/// Brings a service's Endpoints and EndpointSlice up to date.
async fn settle(client: &Client, service: &Arc<Object>, members: &Members) {
    let value = service.value();
    if value["spec"]["selector"]
        .as_object()
        .is_none_or(serde_json::Map::is_empty)
        || service.fields.deleting
    {
        return;
    }
    let pods = members
        .pods(&service.key)
        .filter_map(|pod| client.registry.store.get(pod));
    let pods: Vec<Value> = pods.map(|pod| pod.value()).collect();
    let (subsets, endpoints, ports) = addresses(&value, &pods);
    let name = &*service.key.name;
    let labels = &value["metadata"]["labels"];
    let mut marks = labels.as_object().cloned().unwrap_or_default();
    if value["spec"]["clusterIP"] == "None" {
        marks.insert("service.kubernetes.io/headless".into(), "".into());
    }
    let list = json!({"metadata": {"name": name, "labels": marks}, "subsets": subsets});
    put(client, service, "endpoints", list, &["subsets"]).await;
    marks.insert("kubernetes.io/service-name".into(), name.into());
    marks.insert(
        "endpointslice.kubernetes.io/managed-by".into(),
        "endpointslice-controller.k8s.io".into(),
    );
    let slice = json!({"metadata": {"name": format!("{name}-stoke"), "labels": marks, "ownerReferences": [{
        "apiVersion": "v1", "kind": "Service", "name": name, "uid": &*service.fields.uid, "controller": true, "blockOwnerDeletion": true}]},
        "addressType": "IPv4", "endpoints": endpoints, "ports": ports});
    put(client, service, SLICES, slice, &["endpoints", "ports"]).await;
}

/// Makes an object of a service have these fields.
async fn put(client: &Client, service: &Object, resource: &str, wanted: Value, fields: &[&str]) {
    let name = wanted["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let namespace = &service.key.namespace;
    let done = match client.registry.store.get(&Key::new(&resource.into(), namespace, &name)) {
        None => client.create(resource, namespace, &wanted).await.map(drop),
        Some(current) => match client.decoded(resource, wanted) {
            Ok(wanted) => {
                let change = |value: &mut Value| {
                    let same = fields.iter().all(|field| value[*field] == wanted[*field]);
                    for field in fields {
                        value[*field] = wanted[*field].clone();
                    }
                    !same
                };
                client.change(&current, "", change).await
            }
            Err(refusal) => Err(refusal),
        },
    };
    note("endpoints", service, done);
}

/// Removes what a service had.
async fn clear(client: &Client, service: &Object) {
    let slice = format!("{}-stoke", service.key.name);
    for (resource, name) in [("endpoints", &*service.key.name), (SLICES, slice.as_str())] {
        let key = Key::new(&resource.into(), &service.key.namespace, name);
        if let Some(object) = client.registry.store.get(&key) {
            note("endpoints", service, client.delete_object(&object, "Background").await);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, ip: &str, ready: &str) -> Value {
        json!({"metadata": {"name": name}, "spec": {"containers": [{"ports": [{"name": "ui", "containerPort": 4040}]}]},
            "status": {"phase": "Running", "podIP": ip, "conditions": [{"type": "Ready", "status": ready}]}})
    }

    #[test]
    fn only_what_services_show_is_a_change_to_them() {
        let object = |pod: &Value| Object {
            key: Key::new(&"pods".into(), "default", "a"),
            revision: 1,
            fields: crate::store::fields_of(pod),
            json: pod.to_string().into(),
        };
        let before = pod("a", "127.70.1.1", "True");
        let with = |pointer: &str, value: Value| {
            let mut now = before.clone();
            let (parent, field) = pointer.rsplit_once('/').unwrap();
            now.pointer_mut(parent).unwrap()[field] = value;
            now
        };
        for (now, same) in [
            (before.clone(), true),
            (with("/status/message", json!("x")), true),
            (with("/metadata/annotations", json!({"a": "b"})), true),
            (with("/status/phase", json!("Succeeded")), false),
            (with("/status/podIP", json!("127.70.1.2")), false),
            (with("/status/podIP", json!(null)), false),
            (with("/status/conditions", json!(null)), false),
            (with("/spec/nodeName", json!("n")), false),
            (with("/spec/hostname", json!("h")), false),
            (with("/metadata/labels", json!({"a": "b"})), false),
            (with("/metadata/uid", json!("u")), false),
            (
                with("/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z")),
                false,
            ),
        ] {
            assert_eq!(same_to_services(&object(&before), &object(&now)), same, "{now}");
        }
        // Without an address it is in no service, running or not.
        let waiting = |phase: &str| object(&json!({"metadata": {"name": "a"}, "status": {"phase": phase}}));
        assert!(same_to_services(&waiting("Pending"), &waiting("Running")));
    }

    #[test]
    fn ready_pods_are_addresses_others_are_told_apart() {
        let service = json!({"metadata": {"name": "s"}, "spec": {"ports": [{"name": "ui", "port": 80, "targetPort": "ui", "protocol": "TCP"}]}});
        let pods = [
            pod("a", "127.70.1.1", "True"),
            pod("b", "127.70.1.2", "False"),
            json!({"status": {"phase": "Pending"}}),
        ];
        let (subsets, slice, ports) = addresses(&service, &pods);
        assert_eq!(subsets[0]["addresses"][0]["ip"], "127.70.1.1");
        assert_eq!(subsets[0]["notReadyAddresses"][0]["ip"], "127.70.1.2");
        assert_eq!(ports[0]["port"], 4040);
        assert_eq!(slice.as_array().unwrap().len(), 2);
    }
}
