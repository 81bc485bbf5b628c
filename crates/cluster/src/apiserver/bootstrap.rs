//! The objects every cluster starts with. Those that exist already are left as they are, so that a restart keeps what users changed.

use std::net::SocketAddrV4;
use std::sync::Arc;

use futures::future::try_join_all;
use serde_json::{Value, json};

use super::handlers::admission::furnish_namespace;
use super::handlers::store_new;
use super::rbac::{GROUP as RBAC, default_bindings, default_roles};
use super::server::Server;
use super::status::ApiError;
use crate::store::{Key, Write, WriteKind};

const NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

/// Stores what is missing.
pub async fn fill(server: &Arc<Server>) -> Result<(), ApiError> {
    let put = async |group: &str, plural: &str, namespace: &str, value: Value| {
        let Some(resource) = server.registry().find(group, "v1", plural) else {
            return Ok(());
        };
        let name = value["metadata"]["name"].as_str().unwrap_or_default();
        if server.store.get(&Key::new(&resource.key, namespace, name)).is_some() {
            return Ok(());
        }
        store_new(server, &resource, namespace, value).await.map(drop)
    };
    let roles = default_roles()
        .into_iter()
        .map(|role| put(RBAC, "clusterroles", "", role));
    let bindings = default_bindings()
        .into_iter()
        .map(|binding| put(RBAC, "clusterrolebindings", "", binding));
    try_join_all(roles).await?;
    try_join_all(bindings).await?;
    for name in NAMESPACES {
        put("", "namespaces", "", json!({"metadata": {"name": name}})).await?;
        furnish_namespace(server, name).await;
    }
    for (name, value) in [
        ("system-cluster-critical", 2_000_000_000),
        ("system-node-critical", 2_000_001_000),
    ] {
        put(
            "scheduling.k8s.io",
            "priorityclasses",
            "",
            json!({"metadata": {"name": name}, "value": value}),
        )
        .await?;
    }
    let class = json!({"metadata": {"name": "local", "annotations": {
        "storageclass.kubernetes.io/is-default-class": "true",
        "kubernetes.io/description": "Directories of this machine, below the cluster's home."}},
        "provisioner": "stoke.dev/local", "reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"});
    put("storage.k8s.io", "storageclasses", "", class).await?;
    for (group, plural, value) in own_service(server.settings.place) {
        put(group, plural, "default", value).await?;
    }
    readdress(server).await;
    report_place(server).await;
    for definition in stoke_model::crd::definitions() {
        install_definition(server, definition).await?;
    }
    server.reload_custom_resources();
    Ok(())
}

/// The Service `kubernetes` and what stands behind it, by group and plural.
fn own_service(place: SocketAddrV4) -> [(&'static str, &'static str, Value); 3] {
    let (address, port) = (place.ip().to_string(), place.port());
    let ports = json!([{"name": "https", "port": port, "protocol": "TCP"}]);
    let service = json!({"metadata": {"name": "kubernetes", "labels": {"component": "apiserver", "provider": "kubernetes"}},
        "spec": {"clusterIP": address, "ports": [{"name": "https", "port": 443, "targetPort": port}]}});
    let endpoints =
        json!({"metadata": {"name": "kubernetes"}, "subsets": [{"addresses": [{"ip": address}], "ports": ports}]});
    let slice = json!({"metadata": {"name": "kubernetes", "labels": {"kubernetes.io/service-name": "kubernetes"}},
        "addressType": "IPv4", "endpoints": [{"addresses": [address], "conditions": {"ready": true}}], "ports": ports});
    [
        ("", "services", service),
        ("", "endpoints", endpoints),
        ("discovery.k8s.io", "endpointslices", slice),
    ]
}

/// Brings what stands behind the Service `kubernetes` up to date: the server may be at another place than before.
async fn report_place(server: &Arc<Server>) {
    for (group, plural, wanted) in own_service(server.settings.place) {
        let Some(resource) = server.registry().find(group, "v1", plural) else {
            continue;
        };
        let Some(stored) = server.store.get(&Key::new(&resource.key, "default", "kubernetes")) else {
            continue;
        };
        let mut value = stored.value();
        let before = value.clone();
        match plural {
            "services" => value["spec"]["ports"][0]["targetPort"] = wanted["spec"]["ports"][0]["targetPort"].clone(),
            "endpoints" => value["subsets"] = wanted["subsets"].clone(),
            _ => ["endpoints", "ports"]
                .into_iter()
                .for_each(|part| value[part] = wanted[part].clone()),
        }
        if value == before {
            continue;
        }
        let expected = stored.revision;
        let write = Write::new(stored.key.clone(), WriteKind::Update { expected }, &mut value);
        if let Err(error) = server.store.write(write).await {
            tracing::warn!(%error, plural, "the Service kubernetes tells an old address");
        }
    }
}

/// Gives Services addresses of the present subnet: another one than before is used when a program has taken that one's.
async fn readdress(server: &Arc<Server>) {
    let subnet = server.settings.subnet();
    let elsewhere = |address: &str| {
        let address: Option<std::net::Ipv4Addr> = address.parse().ok();
        address.is_some_and(|address| address.octets()[..2] != [127, subnet])
    };
    for service in server
        .store
        .list(&"services".into(), None, None, usize::MAX, |_| true)
        .items
    {
        let mut value = service.value();
        if !value["spec"]["clusterIP"].as_str().is_some_and(elsewhere) {
            continue;
        }
        let kubernetes = (&*service.key.namespace, &*service.key.name) == ("default", "kubernetes");
        let address = if kubernetes {
            server.address().to_string()
        } else {
            String::new()
        };
        value["spec"]["clusterIP"] = address.clone().into();
        value["spec"]["clusterIPs"] = json!([address]);
        let expected = service.revision;
        let given = server.service_addresses.give(server, &mut value);
        let written = match given {
            Ok(()) => {
                let write = Write::new(service.key.clone(), WriteKind::Update { expected }, &mut value);
                server
                    .store
                    .write(write)
                    .await
                    .map(drop)
                    .map_err(|error| error.to_string())
            }
            Err(error) => Err(error.message),
        };
        if let Err(error) = written {
            tracing::warn!(
                error,
                service = &*service.key.name,
                "a service keeps an address of another subnet"
            );
        }
    }
}

/// Installs one of our definitions, or brings the installed one up to date with this program.
async fn install_definition(server: &Arc<Server>, definition: Value) -> Result<(), ApiError> {
    let Some(resource) = server
        .registry()
        .find("apiextensions.k8s.io", "v1", "customresourcedefinitions")
    else {
        return Ok(());
    };
    let name = definition["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let Some(current) = server.store.get(&Key::new(&resource.key, "", &name)) else {
        return store_new(server, &resource, "", definition).await.map(drop);
    };
    let mut value = current.value();
    let mut wanted = definition;
    super::crd::prepare(&mut wanted);
    if value["spec"] == wanted["spec"] {
        return Ok(());
    }
    value["spec"] = wanted["spec"].take();
    let write = Write::new(
        current.key.clone(),
        WriteKind::Update {
            expected: current.revision,
        },
        &mut value,
    );
    server
        .store
        .write(write)
        .await
        .map(drop)
        .map_err(|error| ApiError::from_write(error, "customresourcedefinitions", &name))
}
