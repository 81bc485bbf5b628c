//! A platform on this machine: what the embedded cluster is asked to give it. Pure; the caller asks the cluster.
//!
//! The embedded cluster has one object store. An `object-store` whose endpoint is a loopback address with a port of that store means it, wherever it listens now:
//! `http://127.0.0.1:26900`.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use serde_json::Value;
use stoke_model::quantity::Quantity;
use stoke_model::units::memory::{ByteUnit, Memory};

use crate::component::Embedded;
use crate::environment::Resolved;
use crate::render::Scope;
use crate::spec::Component;
use crate::spec::components::ObjectStore;

/// The environment that is meant where none is named.
pub const ENVIRONMENT: &str = "local";

/// The embedded cluster's object store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnStore {
    /// Ports that it may have.
    pub ports: RangeInclusive<u16>,
    /// Where it listens now, as a URL.
    pub endpoint: String,
}

impl OwnStore {
    /// Whether a component means it.
    #[must_use]
    pub fn is(&self, store: &ObjectStore) -> bool {
        let authority = store.endpoint.as_deref().and_then(|url| url.strip_prefix("http://"));
        let Some((host, port)) = authority.and_then(|authority| authority.trim_end_matches('/').rsplit_once(':'))
        else {
            return false;
        };
        let is_here = host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
        is_here && port.parse().is_ok_and(|port| self.ports.contains(&port))
    }
}

/// Puts the address of the embedded cluster's store where a component means it.
pub fn place(resolved: &mut Resolved, own: &OwnStore) {
    for component in resolved.platform.components.values_mut() {
        if let Component::ObjectStore(store) = component
            && own.is(store)
        {
            store.endpoint = Some(own.endpoint.clone());
            store.path_style = true;
        }
    }
}

/// Buckets of the embedded cluster's store that components use, and folders in them that must be there: Spark does not make the one of its event log.
#[must_use]
pub fn buckets(scope: &Scope<'_>, own: &OwnStore) -> (Vec<String>, Vec<(String, String)>) {
    let stores = || {
        scope
            .platform
            .components
            .iter()
            .filter_map(|(name, component)| match component {
                Component::ObjectStore(store) if own.is(store) => Some((name, store)),
                _ => None,
            })
    };
    let mut buckets: Vec<String> = stores().map(|(_, store)| store.bucket.clone()).collect();
    buckets.sort();
    buckets.dedup();
    let folders = stores().flat_map(|(name, store)| {
        scope
            .platform
            .components
            .values()
            .filter_map(move |component| match component {
                Component::HistoryServer(history) if history.store == *name => {
                    Some((store.bucket.clone(), format!("{}/", history.path)))
                }
                _ => None,
            })
    });
    let folders = folders.collect();
    (buckets, folders)
}

/// Components that the embedded cluster does not run, with the reason.
#[must_use]
pub fn unable<'a>(scope: &Scope<'a>) -> Vec<(&'a str, &'static str)> {
    let reason = |(name, component): (&'a String, &Component)| match component.about().embedded {
        Embedded::Not(why) => Some((name.as_str(), why)),
        Embedded::Runs | Embedded::Outside => None,
    };
    scope.platform.components.iter().filter_map(reason).collect()
}

/// Programs that take their port at every address of the machine, which all pods share, beside others that want the same port: the two names, and the port.
#[must_use]
pub fn shared_ports<'a>(scope: &Scope<'a>) -> Vec<(&'a str, &'a str, u16)> {
    let takes_all = |component: &Component| match component {
        Component::HiveMetastore(_) => true,
        // Newer ones listen at the address they are given.
        Component::SparkConnect(connect) => scope
            .spark(&connect.spark)
            .is_some_and(|spark| spark.version.starts_with("3.")),
        _ => false,
    };
    let all: Vec<(&str, &Component)> = scope
        .platform
        .components
        .iter()
        .filter(|(_, component)| component.runs())
        .map(|(name, component)| (name.as_str(), component))
        .collect();
    let mut found = Vec::new();
    for (at, (name, component)) in all.iter().enumerate() {
        for (other_at, (other, beside)) in all.iter().enumerate() {
            let told_already = takes_all(beside) && other_at < at;
            if at != other_at && takes_all(component) && component.port() == beside.port() && !told_already {
                found.push((*name, *other, component.port()));
            }
        }
    }
    found
}

/// What pods ask a node for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    pub millicores: u64,
    /// Bytes of memory.
    pub memory: u64,
}

impl Room {
    fn add(&mut self, other: Room, times: u64) {
        self.millicores += other.millicores * times;
        self.memory += other.memory * times;
    }
}

/// What all pods of these objects ask for together; of a Connect server as many executors as there are at least, and one of them to begin with.
#[must_use]
pub fn room(objects: &[Value]) -> Room {
    let mut all = Room::default();
    for object in objects {
        match object["kind"].as_str() {
            Some("Deployment" | "StatefulSet") => {
                let replicas = object["spec"]["replicas"].as_u64().unwrap_or(1);
                all.add(of_pod(&object["spec"]["template"]["spec"]), replicas);
            }
            Some("SparkConnect") => {
                all.add(of_side(&object["spec"]["server"]), 1);
                let least = object["spec"]["dynamicAllocation"]["minExecutors"]
                    .as_u64()
                    .unwrap_or(0);
                all.add(of_side(&object["spec"]["executor"]), least.max(1));
            }
            _ => {}
        }
    }
    all
}

/// As the scheduler counts: its containers together, or the largest of those that run before, whatever is more.
fn of_pod(spec: &Value) -> Room {
    let each = |key: &str| {
        let containers = spec[key].as_array().into_iter().flatten();
        let of_container = |container: &Value| {
            let asked = |what: &str| {
                let text = container["resources"]["requests"][what].as_str().unwrap_or_default();
                text.parse::<Quantity>().ok()
            };
            Room {
                millicores: asked("cpu").map_or(0, |amount| amount.millicores()),
                memory: asked("memory").map_or(0, |amount| amount.bytes()),
            }
        };
        containers.map(of_container).collect::<Vec<_>>()
    };
    let mut all = Room::default();
    for room in each("containers") {
        all.add(room, 1);
    }
    for room in each("initContainers") {
        all.millicores = all.millicores.max(room.millicores);
        all.memory = all.memory.max(room.memory);
    }
    all
}

/// The least that Spark adds to a heap.
const LEAST_OVERHEAD: u64 = 384 << 20;

/// A server or an executor: its heap, and a tenth of it or 384 MiB as Spark adds.
fn of_side(side: &Value) -> Room {
    let text = side["memory"].as_str().unwrap_or_default();
    let heap = Memory::parse(text, ByteUnit::Mib).map_or(0, Memory::bytes);
    Room {
        millicores: side["cores"].as_u64().unwrap_or(1) * 1000,
        memory: heap + (heap / 10).max(LEAST_OVERHEAD),
    }
}

/// Images of these objects, each once, in their order, with the first component that has it.
#[must_use]
pub fn images(objects: &[Value]) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    for object in objects {
        let component = object["metadata"]["labels"]["app.kubernetes.io/instance"].as_str();
        let mut add = |image: &Value| {
            let image = image
                .as_str()
                .filter(|image| all.iter().all(|(known, _)| known != image));
            if let Some(image) = image {
                all.push((image.to_owned(), component.unwrap_or_default().to_owned()));
            }
        };
        let spec = &object["spec"];
        if object["kind"] == "SparkConnect" {
            add(&spec["image"]);
        }
        for key in ["initContainers", "containers"] {
            for container in spec["template"]["spec"][key].as_array().into_iter().flatten() {
                add(&container["image"]);
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_store_is_meant_by_a_loopback_address_with_its_port() {
        let own = OwnStore {
            ports: 26900..=26909,
            endpoint: "http://127.7.0.1:26900".into(),
        };
        for (endpoint, expected) in [
            ("http://127.0.0.1:26900", true),
            ("http://localhost:26903/", true),
            ("http://127.9.0.1:26900", true),
            ("http://127.0.0.1:9000", false),
            ("https://127.0.0.1:26900", false),
            ("http://minio.example.com:26900", false),
            ("http://127.0.0.1", false),
        ] {
            let store: ObjectStore = serde_json::from_value(json!({"bucket": "b", "endpoint": endpoint})).unwrap();
            assert_eq!(own.is(&store), expected, "{endpoint}");
        }
        let amazon: ObjectStore = serde_json::from_value(json!({"bucket": "b"})).unwrap();
        assert!(!own.is(&amazon));
    }

    #[test]
    fn room_is_what_the_scheduler_counts() {
        let asks = |cpu: &str, memory: &str| json!({"resources": {"requests": {"cpu": cpu, "memory": memory}}});
        let deployment = json!({"kind": "Deployment", "spec": {"replicas": 2, "template": {"spec": {
            "containers": [asks("500m", "1Gi"), asks("1", "512Mi")], "initContainers": [asks("2", "1Gi")]}}}});
        let connect = json!({"kind": "SparkConnect", "spec": {"server": {"cores": 1, "memory": "1g"},
            "executor": {"cores": 2, "memory": "8g"}, "dynamicAllocation": {"minExecutors": 0}}});
        assert_eq!(
            room(&[deployment]),
            Room {
                millicores: 4000,
                memory: 3 << 30
            }
        );
        assert_eq!(
            room(&[connect, json!({"kind": "Service"})]),
            Room {
                millicores: 3000,
                memory: (1 << 30) + (384 << 20) + (8 << 30) + (8 << 30) / 10
            }
        );
    }
}
