//! What a Service's endpoints make of it: which ports are served, and who stands behind each. Pure.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// Namespace and name of a Service.
pub(super) type Name = (String, String);

/// How long a client stays with its endpoint where the Service does not say.
const STAY: u64 = 10_800;

/// One port of a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Port {
    /// The ready endpoints, sorted.
    pub(super) endpoints: Vec<SocketAddr>,
    /// With `sessionAffinity: ClientIP`, for how long a client goes back to the same endpoint.
    pub(super) stay: Option<Duration>,
}

/// Namespace and name.
pub(super) fn name_of(metadata: &ObjectMeta) -> Name {
    (
        metadata.namespace.clone().unwrap_or_default(),
        metadata.name.clone().unwrap_or_default(),
    )
}

/// The Service whose endpoints a slice has.
pub(super) fn service_of(slice: &EndpointSlice) -> Option<Name> {
    let labels = slice.metadata.labels.as_ref()?;
    let name = labels.get("kubernetes.io/service-name")?;
    Some((slice.metadata.namespace.clone().unwrap_or_default(), name.clone()))
}

/// The addresses at which a Service is served, each with who stands behind it. A port without a ready endpoint is not among them.
/// `own` is the API server, which stands behind the Service `kubernetes`.
pub(super) fn plan<'a>(
    service: &Service,
    slices: impl Iterator<Item = &'a EndpointSlice> + Clone,
    own: SocketAddr,
) -> HashMap<SocketAddr, Port> {
    let mut planned = HashMap::new();
    let Some(spec) = &service.spec else {
        return planned;
    };
    let address = spec.cluster_ip.as_deref().and_then(|text| text.parse::<IpAddr>().ok());
    let (Some(address), true) = (address, spec.type_.as_deref() != Some("ExternalName")) else {
        return planned;
    };
    let kubernetes = name_of(&service.metadata) == ("default".to_owned(), "kubernetes".to_owned());
    let affinity = spec.session_affinity.as_deref() == Some("ClientIP");
    let stay = spec
        .session_affinity_config
        .as_ref()
        .and_then(|config| config.client_ip.as_ref()?.timeout_seconds);
    let stay = stay.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(STAY);
    for port in spec.ports.iter().flatten() {
        let Some(number) = u16::try_from(port.port)
            .ok()
            .filter(|_| is_tcp(port.protocol.as_deref()))
        else {
            continue;
        };
        let name = port.name.as_deref().unwrap_or_default();
        let mut endpoints: Vec<SocketAddr> = slices.clone().flat_map(|slice| ready(slice, name)).collect();
        if kubernetes {
            endpoints = vec![own];
        }
        endpoints.sort_unstable();
        endpoints.dedup();
        if !endpoints.is_empty() {
            let stay = affinity.then(|| Duration::from_secs(stay));
            planned.insert(SocketAddr::new(address, number), Port { endpoints, stay });
        }
    }
    planned
}

/// The ready endpoints of a slice for the Service's port of this name.
fn ready(slice: &EndpointSlice, name: &str) -> Vec<SocketAddr> {
    let mut ports = slice.ports.iter().flatten();
    let port = ports.find(|port| port.name.as_deref().unwrap_or_default() == name && is_tcp(port.protocol.as_deref()));
    let Some(port) = port.and_then(|port| u16::try_from(port.port?).ok()) else {
        return Vec::new();
    };
    let ready = slice.endpoints.iter().filter(|endpoint| {
        let conditions = endpoint.conditions.as_ref();
        conditions.and_then(|conditions| conditions.ready) != Some(false)
    });
    ready
        .flat_map(|endpoint| endpoint.addresses.iter())
        .filter_map(|address| Some(SocketAddr::new(address.parse().ok()?, port)))
        .collect()
}

fn is_tcp(protocol: Option<&str>) -> bool {
    protocol.is_none_or(|protocol| protocol == "TCP")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn planned(spec: serde_json::Value, name: &str) -> Vec<(String, Vec<String>, Option<u64>)> {
        let metadata = json!({"name": name, "namespace": "default"});
        let service: Service = serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap();
        let slice = |endpoints: serde_json::Value| -> EndpointSlice {
            serde_json::from_value(json!({"metadata": {"name": "x", "namespace": "default", "labels": {"kubernetes.io/service-name": name}},
                "addressType": "IPv4", "endpoints": endpoints,
                "ports": [{"name": "web", "port": 8080, "protocol": "TCP"}, {"name": "", "port": 9000}]}))
            .unwrap()
        };
        let slices = [
            slice(
                json!([{"addresses": ["127.70.1.2"], "conditions": {"ready": true}}, {"addresses": ["127.70.1.3"], "conditions": {"ready": false}}]),
            ),
            slice(json!([{"addresses": ["127.70.1.1"]}])),
        ];
        assert_eq!(service_of(&slices[0]), Some(("default".into(), name.into())));
        let planned = plan(&service, slices.iter(), "127.70.0.1:6443".parse().unwrap());
        let mut planned: Vec<_> = planned
            .into_iter()
            .map(|(address, port)| {
                let endpoints = port.endpoints.iter().map(ToString::to_string).collect();
                (address.to_string(), endpoints, port.stay.map(|stay| stay.as_secs()))
            })
            .collect();
        planned.sort();
        planned
    }

    #[test]
    fn ports_with_ready_endpoints_are_served() {
        let both = || vec!["127.70.1.1:8080".to_owned(), "127.70.1.2:8080".to_owned()];
        assert_eq!(
            planned(
                json!({"clusterIP": "127.70.252.1", "ports": [{"name": "web", "port": 80}, {"name": "other", "port": 81}]}),
                "s"
            ),
            [("127.70.252.1:80".to_owned(), both(), None)]
        );
        let sticky =
            json!({"clusterIP": "127.70.252.1", "sessionAffinity": "ClientIP", "ports": [{"name": "web", "port": 80}]});
        assert_eq!(
            planned(sticky, "s"),
            [("127.70.252.1:80".to_owned(), both(), Some(10_800))]
        );
        let unnamed = json!({"clusterIP": "127.70.252.1", "ports": [{"port": 70, "protocol": "TCP"}]});
        assert_eq!(planned(unnamed, "s")[0].1, ["127.70.1.1:9000", "127.70.1.2:9000"]);
    }

    #[test]
    fn what_has_no_address_is_not_served() {
        for spec in [
            json!({"clusterIP": "None", "ports": [{"name": "web", "port": 80}]}),
            json!({"type": "ExternalName", "externalName": "x.y"}),
            json!({"ports": [{"name": "web", "port": 80}]}),
            json!({"clusterIP": "127.70.252.1", "ports": [{"name": "web", "port": 80, "protocol": "UDP"}]}),
        ] {
            assert_eq!(planned(spec, "s"), []);
        }
    }

    #[test]
    fn the_api_server_stands_behind_kubernetes() {
        let spec = json!({"clusterIP": "127.70.0.1", "ports": [{"name": "https", "port": 443, "targetPort": 6443}]});
        assert_eq!(
            planned(spec, "kubernetes"),
            [("127.70.0.1:443".to_owned(), vec!["127.70.0.1:6443".to_owned()], None)]
        );
    }
}
