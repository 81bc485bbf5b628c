//! Who is where: live pods and services, and the `/etc/hosts` files that follow them.

use std::collections::HashMap;
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::core::v1::{HostAlias, Service};

use super::hosts::{Peer, cluster_address, hosts_file};

/// The API server's address and the pods and services around a pod.
#[derive(Debug)]
pub(crate) struct Neighbourhood {
    api: Ipv4Addr,
    port: u16,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    services: Vec<Service>,
    homes: HashMap<String, Home>,
}

/// A live pod and its hosts file.
#[derive(Debug)]
struct Home {
    peer: Peer,
    aliases: Vec<HostAlias>,
    file: PathBuf,
    content: String,
}

impl Neighbourhood {
    pub(crate) fn new(api: Ipv4Addr, port: u16) -> Neighbourhood {
        Neighbourhood {
            api,
            port,
            state: Mutex::default(),
        }
    }

    /// The API server's port.
    pub(crate) fn api_port(&self) -> u16 {
        self.port
    }

    /// A pod lives: its hosts file is written, and those of the others follow.
    pub(crate) fn enter(&self, uid: &str, peer: Peer, aliases: Vec<HostAlias>, file: PathBuf) -> std::io::Result<()> {
        let mut state = self.lock();
        if let Some(parent) = file.parent() {
            std::fs::create_dir_all(parent)?;
        }
        state.homes.insert(
            uid.to_owned(),
            Home {
                peer,
                aliases,
                file,
                content: String::new(),
            },
        );
        self.refresh(&mut state);
        let written = state.homes.get(uid).is_some_and(|home| !home.content.is_empty());
        if written {
            Ok(())
        } else {
            Err(std::io::Error::other("/etc/hosts of the pod could not be written"))
        }
    }

    /// A pod's labels may have changed.
    pub(crate) fn relabel(&self, uid: &str, peer: Peer) {
        let mut state = self.lock();
        match state.homes.get_mut(uid) {
            Some(home) if home.peer != peer => home.peer = peer,
            _ => return,
        }
        self.refresh(&mut state);
    }

    /// A pod is gone.
    pub(crate) fn leave(&self, uid: &str) {
        let mut state = self.lock();
        if state.homes.remove(uid).is_some() {
            self.refresh(&mut state);
        }
    }

    /// The services are these.
    pub(crate) fn set_services(&self, services: Vec<Service>) {
        let mut state = self.lock();
        state.services = services;
        self.refresh(&mut state);
    }

    /// The variables that lead a container of `namespace` to the API server and, with `links`, to the services of its namespace.
    pub(crate) fn variables(&self, namespace: &str, links: bool) -> Vec<(String, String)> {
        let mut variables = service_variables(
            "KUBERNETES",
            &self.api.to_string(),
            &[(Some("https"), self.port, "TCP")],
        );
        if !links {
            return variables;
        }
        let state = self.lock();
        let own = state.services.iter().filter(|service| {
            // The API server's own variables are there already.
            let kubernetes = namespace == "default" && service.metadata.name.as_deref() == Some("kubernetes");
            service.metadata.namespace.as_deref() == Some(namespace) && !kubernetes
        });
        for service in own {
            let spec = service.spec.clone().unwrap_or_default();
            let (Some(name), Some(address)) = (&service.metadata.name, cluster_address(service)) else {
                continue;
            };
            let ports: Vec<(Option<&str>, u16, &str)> = spec
                .ports
                .iter()
                .flatten()
                .filter_map(|port| {
                    Some((
                        port.name.as_deref(),
                        u16::try_from(port.port).ok()?,
                        port.protocol.as_deref().unwrap_or("TCP"),
                    ))
                })
                .collect();
            let prefix = name.to_uppercase().replace('-', "_");
            variables.extend(service_variables(&prefix, &address.to_string(), &ports));
        }
        variables
    }

    /// Rewrites the hosts files whose content changes. In place, because containers have the file itself mounted.
    fn refresh(&self, state: &mut State) {
        let peers: Vec<Peer> = state.homes.values().map(|home| home.peer.clone()).collect();
        let mut sorted = peers.clone();
        sorted.sort_by_key(|peer| peer.address);
        for home in state.homes.values_mut() {
            let content = hosts_file(&home.peer, &home.aliases, &state.services, &sorted, self.api);
            if content != home.content {
                match write_in_place(&home.file, &content) {
                    Ok(()) => home.content = content,
                    Err(error) => {
                        tracing::warn!(%error, file = %home.file.display(), "a hosts file could not be written")
                    }
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write_in_place(path: &Path, content: &str) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(false)
        .open(path)?;
    file.write_all(content.as_bytes())?;
    file.set_len(content.len() as u64)
}

/// The variables of one service, in both of Kubernetes' styles.
fn service_variables(prefix: &str, host: &str, ports: &[(Option<&str>, u16, &str)]) -> Vec<(String, String)> {
    let mut variables = vec![(format!("{prefix}_SERVICE_HOST"), host.to_owned())];
    for (index, (name, port, protocol)) in ports.iter().enumerate() {
        let lower = protocol.to_lowercase();
        if index == 0 {
            variables.push((format!("{prefix}_SERVICE_PORT"), port.to_string()));
            variables.push((format!("{prefix}_PORT"), format!("{lower}://{host}:{port}")));
        }
        if let Some(name) = name {
            let name = name.to_uppercase().replace('-', "_");
            variables.push((format!("{prefix}_SERVICE_PORT_{name}"), port.to_string()));
        }
        let base = format!("{prefix}_PORT_{port}_{}", protocol.to_uppercase());
        variables.push((base.clone(), format!("{lower}://{host}:{port}")));
        variables.push((format!("{base}_PROTO"), lower));
        variables.push((format!("{base}_PORT"), port.to_string()));
        variables.push((format!("{base}_ADDR"), host.to_owned()));
    }
    variables
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_service_that_comes_later_appears_in_place() {
        let directory = tempfile::tempdir().unwrap();
        let around = Neighbourhood::new([127, 70, 0, 1].into(), 6443);
        let peer = |name: &str, last: u8| Peer {
            namespace: "n".into(),
            name: name.into(),
            address: [127, 70, 1, last].into(),
            labels: [("app".to_owned(), name.to_owned())].into(),
            hostname: None,
            subdomain: None,
        };
        let file = directory.path().join("a/hosts");
        around.enter("a", peer("a", 1), vec![], file.clone()).unwrap();
        let open = std::fs::File::open(&file).unwrap();
        let service = json!({"metadata": {"name": "svc", "namespace": "n"}, "spec": {"clusterIP": "None", "selector": {"app": "b"}}});
        let with_address = json!({"metadata": {"name": "fixed", "namespace": "n"}, "spec": {"clusterIP": "127.70.252.1", "selector": {"app": "b"}, "ports": [{"name": "web-ui", "port": 80}]}});
        around.set_services(
            [service, with_address]
                .map(|value| serde_json::from_value(value).unwrap())
                .into(),
        );
        around
            .enter("b", peer("b", 2), vec![], directory.path().join("b/hosts"))
            .unwrap();
        let text = std::io::read_to_string(open).unwrap();
        assert!(text.contains("127.70.1.2\tsvc.n.svc.cluster.local"), "{text}");
        let variables = around.variables("n", true);
        let get = |name: &str| {
            variables
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.as_str())
        };
        assert_eq!(get("KUBERNETES_SERVICE_HOST"), Some("127.70.0.1"));
        assert_eq!(get("KUBERNETES_SERVICE_PORT"), Some("6443"));
        assert!(text.contains("127.70.252.1\tfixed.n.svc.cluster.local"), "{text}");
        assert_eq!(get("FIXED_SERVICE_PORT_WEB_UI"), Some("80"));
        assert_eq!(get("FIXED_PORT_80_TCP"), Some("tcp://127.70.252.1:80"));
        assert_eq!(get("SVC_SERVICE_HOST"), None);
        assert_eq!(around.variables("n", false).len(), 8);
        around.leave("b");
        assert!(!std::fs::read_to_string(&file).unwrap().contains("svc.n"));
    }
}
