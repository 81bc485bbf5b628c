//! `/etc/hosts` of a pod: cluster names without a name server.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use k8s_openapi::api::core::v1::{HostAlias, Pod, Service};

pub(crate) const CLUSTER_DOMAIN: &str = "cluster.local";

/// A live pod as others may need to find it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Peer {
    pub namespace: String,
    pub name: String,
    pub address: Ipv4Addr,
    /// Its labels, which services select by.
    pub labels: BTreeMap<String, String>,
    /// `spec.hostname` and `spec.subdomain`, which give it a name of its own within a service.
    pub hostname: Option<String>,
    /// See `hostname`.
    pub subdomain: Option<String>,
}

impl Peer {
    /// The peer that `pod` is at `address`.
    pub(crate) fn of(pod: &Pod, address: Ipv4Addr) -> Peer {
        let spec = pod.spec.as_ref();
        Peer {
            namespace: pod.metadata.namespace.clone().unwrap_or_default(),
            name: pod.metadata.name.clone().unwrap_or_default(),
            address,
            labels: pod.metadata.labels.clone().unwrap_or_default(),
            hostname: spec.and_then(|spec| spec.hostname.clone()),
            subdomain: spec.and_then(|spec| spec.subdomain.clone()),
        }
    }
}

/// The content of `/etc/hosts` for `own`: itself, its aliases, `kubernetes.default` at `api`, and every service: at its cluster
/// address, or, headless, at those of the pods it selects, ready or not.
pub(crate) fn hosts_file(
    own: &Peer,
    aliases: &[HostAlias],
    services: &[Service],
    peers: &[Peer],
    api: Ipv4Addr,
) -> String {
    let mut lines = vec![
        "# Kubernetes-managed hosts file (Stoke).".to_owned(),
        "127.0.0.1\tlocalhost".to_owned(),
    ];
    lines.push("::1\tlocalhost ip6-localhost ip6-loopback".to_owned());
    lines.push(line(api, &names("kubernetes", "default", &own.namespace)));
    let mut own_names = Vec::new();
    if let Some(subdomain) = &own.subdomain {
        let host = own.hostname.as_ref().unwrap_or(&own.name);
        own_names.push(format!("{host}.{subdomain}.{}.svc.{CLUSTER_DOMAIN}", own.namespace));
    }
    own_names.push(own.hostname.clone().unwrap_or_else(|| own.name.clone()));
    lines.push(line(own.address, &own_names));

    for service in sorted(services) {
        let (Some(name), Some(namespace)) = (&service.metadata.name, &service.metadata.namespace) else {
            continue;
        };
        if let Some(address) = cluster_address(service) {
            if (name.as_str(), namespace.as_str()) != ("kubernetes", "default") {
                lines.push(line(address, &names(name, namespace, &own.namespace)));
            }
            continue;
        }
        for peer in selected(service, peers) {
            let mut list = Vec::new();
            if peer.subdomain.as_ref() == Some(name) && peer.namespace == *namespace {
                let host = peer.hostname.as_ref().unwrap_or(&peer.name);
                for base in names(name, namespace, &own.namespace) {
                    list.push(format!("{host}.{base}"));
                }
            }
            list.extend(names(name, namespace, &own.namespace));
            lines.push(line(peer.address, &list));
        }
    }
    if !aliases.is_empty() {
        lines.push("# Entries added by HostAliases.".to_owned());
        for alias in aliases {
            lines.push(format!(
                "{}\t{}",
                alias.ip,
                alias.hostnames.as_deref().unwrap_or_default().join("\t")
            ));
        }
    }
    lines.join("\n") + "\n"
}

/// The address of a service that has one.
pub(crate) fn cluster_address(service: &Service) -> Option<Ipv4Addr> {
    let spec = service.spec.as_ref()?;
    spec.cluster_ip.as_deref()?.parse().ok()
}

/// The pods a service selects.
fn selected<'a>(service: &'a Service, peers: &'a [Peer]) -> impl Iterator<Item = &'a Peer> {
    let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    peers.iter().filter(move |peer| {
        selector.is_some_and(|selector| {
            !selector.is_empty()
                && service.metadata.namespace.as_ref() == Some(&peer.namespace)
                && selector.iter().all(|(key, value)| peer.labels.get(key) == Some(value))
        })
    })
}

fn sorted(services: &[Service]) -> Vec<&Service> {
    let mut unique = BTreeSet::new();
    let mut sorted: Vec<&Service> = services
        .iter()
        .filter(|service| unique.insert((service.metadata.namespace.clone(), service.metadata.name.clone())))
        .collect();
    sorted.sort_by_key(|service| (service.metadata.namespace.clone(), service.metadata.name.clone()));
    sorted
}

/// The names of a service, the longest first because resolvers take the first as the canonical one.
fn names(service: &str, namespace: &str, seen_from: &str) -> Vec<String> {
    let mut names = vec![
        format!("{service}.{namespace}.svc.{CLUSTER_DOMAIN}"),
        format!("{service}.{namespace}.svc"),
        format!("{service}.{namespace}"),
    ];
    if namespace == seen_from || service == "kubernetes" && namespace == "default" {
        names.push(service.to_owned());
    }
    names
}

fn line(address: Ipv4Addr, names: &[String]) -> String {
    format!("{address}\t{}", names.join("\t"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn peer(name: &str, address: [u8; 4], labels: &[(&str, &str)]) -> Peer {
        Peer {
            namespace: "default".into(),
            name: name.into(),
            address: address.into(),
            labels: labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            hostname: None,
            subdomain: None,
        }
    }

    fn service(namespace: &str, name: &str, selector: serde_json::Value) -> Service {
        serde_json::from_value(json!({"metadata": {"name": name, "namespace": namespace}, "spec": {"clusterIP": "None", "selector": selector}})).unwrap()
    }

    #[test]
    fn the_driver_is_found_by_its_service_and_only_by_what_selects_it() {
        let driver = peer("pi-driver", [127, 70, 1, 1], &[("spark-role", "driver")]);
        let executor = peer("pi-exec-1", [127, 70, 1, 2], &[("spark-role", "executor")]);
        let services = [
            service("default", "pi-driver-svc", json!({"spark-role": "driver"})),
            service("other", "elsewhere", json!({"spark-role": "driver"})),
            service("default", "manual", json!({})),
        ];
        let peers = [driver, executor.clone()];
        let text = hosts_file(&executor, &[], &services, &peers, [127, 70, 0, 1].into());
        assert_eq!(
            text,
            "# Kubernetes-managed hosts file (Stoke).\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n\
             127.70.0.1\tkubernetes.default.svc.cluster.local\tkubernetes.default.svc\tkubernetes.default\tkubernetes\n\
             127.70.1.2\tpi-exec-1\n\
             127.70.1.1\tpi-driver-svc.default.svc.cluster.local\tpi-driver-svc.default.svc\tpi-driver-svc.default\tpi-driver-svc\n"
        );
    }

    #[test]
    fn another_namespace_needs_the_longer_name_and_aliases_are_kept() {
        let mut own = peer("a", [127, 70, 1, 9], &[]);
        own.namespace = "team".into();
        own.hostname = Some("web".into());
        own.subdomain = Some("sub".into());
        let services = [service("default", "svc", json!({"app": "x"}))];
        let aliases = [HostAlias {
            ip: "10.0.0.1".into(),
            hostnames: Some(vec!["db".into(), "db.local".into()]),
        }];
        let peers = [peer("x", [127, 70, 1, 3], &[("app", "x")])];
        let text = hosts_file(&own, &aliases, &services, &peers, [127, 70, 0, 1].into());
        assert!(
            text.contains("127.70.1.3\tsvc.default.svc.cluster.local\tsvc.default.svc\tsvc.default\n"),
            "{text}"
        );
        assert!(
            text.contains("127.70.1.9\tweb.sub.team.svc.cluster.local\tweb\n"),
            "{text}"
        );
        assert!(
            text.ends_with("# Entries added by HostAliases.\n10.0.0.1\tdb\tdb.local\n"),
            "{text}"
        );
    }
}
