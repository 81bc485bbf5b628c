//! The objects every cluster starts with. Those that exist already are left as they are, so that a restart keeps what users changed.

use std::net::SocketAddrV4;

use futures::future::try_join_all;
use serde_json::{Value, json};

use super::identity::Identity;
use super::rbac::{default_bindings, default_roles};
use super::{Registry, refused_write};
use crate::apimachinery::crd;
use crate::apimachinery::status::Status;
use crate::store::{Key, Write, WriteKind};

const NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

/// Stores what is missing.
pub async fn fill(registry: &Registry) -> Result<(), Status> {
    let put = async |resource: &str, namespace: &str, value: Value| {
        registry
            .ensure(Identity::api_server(), resource, namespace, value)
            .await
    };
    let roles = default_roles()
        .into_iter()
        .map(|role| put("clusterroles.rbac.authorization.k8s.io", "", role));
    let bindings = default_bindings()
        .into_iter()
        .map(|binding| put("clusterrolebindings.rbac.authorization.k8s.io", "", binding));
    try_join_all(roles).await?;
    try_join_all(bindings).await?;
    for name in NAMESPACES {
        put("namespaces", "", json!({"metadata": {"name": name}})).await?;
        if let Err(error) = registry.furnish(name).await {
            tracing::warn!(namespace = name, %error, "a namespace could not be furnished");
        }
    }
    for (name, value) in [
        ("system-cluster-critical", 2_000_000_000),
        ("system-node-critical", 2_000_001_000),
    ] {
        put(
            "priorityclasses.scheduling.k8s.io",
            "",
            json!({"metadata": {"name": name}, "value": value}),
        )
        .await?;
    }
    let class = json!({"metadata": {"name": "local", "annotations": {
        "storageclass.kubernetes.io/is-default-class": "true",
        "kubernetes.io/description": "Directories of this machine, below the cluster's home."}},
        "provisioner": "stoke.dev/local", "reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"});
    put("storageclasses.storage.k8s.io", "", class).await?;
    for (resource, value) in own_service(registry.settings.place) {
        put(resource, "default", value).await?;
    }
    readdress(registry).await;
    report_place(registry).await;
    for definition in stoke_model::crd::definitions() {
        install_definition(registry, definition).await?;
    }
    registry.reload_custom_resources();
    registry.set_started();
    Ok(())
}

/// The Service `kubernetes` and what stands behind it, by resource.
fn own_service(place: SocketAddrV4) -> [(&'static str, Value); 3] {
    let (address, port) = (place.ip().to_string(), place.port());
    let ports = json!([{"name": "https", "port": port, "protocol": "TCP"}]);
    let service = json!({"metadata": {"name": "kubernetes", "labels": {"component": "apiserver", "provider": "kubernetes"}},
        "spec": {"clusterIP": address, "ports": [{"name": "https", "port": 443, "targetPort": port}]}});
    let endpoints =
        json!({"metadata": {"name": "kubernetes"}, "subsets": [{"addresses": [{"ip": address}], "ports": ports}]});
    let slice = json!({"metadata": {"name": "kubernetes", "labels": {"kubernetes.io/service-name": "kubernetes"}},
        "addressType": "IPv4", "endpoints": [{"addresses": [address], "conditions": {"ready": true}}], "ports": ports});
    [
        ("services", service),
        ("endpoints", endpoints),
        ("endpointslices.discovery.k8s.io", slice),
    ]
}

/// Brings what stands behind the Service `kubernetes` up to date: the server may be at another place than before.
async fn report_place(registry: &Registry) {
    for (resource, wanted) in own_service(registry.settings.place) {
        let Some(stored) = registry.store.get(&Key::new(&resource.into(), "default", "kubernetes")) else {
            continue;
        };
        let mut value = stored.value();
        let before = value.clone();
        match resource {
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
        if let Err(error) = registry.store.write(write).await {
            tracing::warn!(%error, resource, "the Service kubernetes tells an old address");
        }
    }
}

/// Gives Services addresses of the present subnet: another one than before is used when a program has taken that one's.
async fn readdress(registry: &Registry) {
    let subnet = registry.settings.subnet();
    let elsewhere = |address: &str| {
        let address: Option<std::net::Ipv4Addr> = address.parse().ok();
        address.is_some_and(|address| address.octets()[..2] != [127, subnet])
    };
    for service in registry
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
            registry.address().to_string()
        } else {
            String::new()
        };
        value["spec"]["clusterIP"] = address.clone().into();
        value["spec"]["clusterIPs"] = json!([address]);
        let expected = service.revision;
        let given = registry.service_addresses.give(registry, &mut value);
        let written = match given {
            Ok(()) => {
                let write = Write::new(service.key.clone(), WriteKind::Update { expected }, &mut value);
                registry
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
async fn install_definition(registry: &Registry, definition: Value) -> Result<(), Status> {
    let name = definition["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let Some(current) = registry.store.get(&Key::new(&crd::DEFINITIONS.into(), "", &name)) else {
        return registry
            .ensure(Identity::api_server(), crd::DEFINITIONS, "", definition)
            .await;
    };
    let mut value = current.value();
    let mut wanted = definition;
    crd::prepare(&mut wanted);
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
    registry
        .store
        .write(write)
        .await
        .map(drop)
        .map_err(|error| refused_write(error, "customresourcedefinitions", &name))
}
