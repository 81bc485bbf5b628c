//! The downward API: facts about a pod for its own environment and files.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, ObjectFieldSelector, Pod, ResourceFieldSelector};
use stoke_model::quantity::Quantity;

use super::capacity::Capacity;

/// What the node knows about a pod besides the object.
#[derive(Debug, Clone)]
pub(crate) struct Placement {
    /// The pod's address.
    pub pod_address: String,
    /// The node's address.
    pub host_address: String,
    /// The node's name.
    pub node: String,
    /// The node's size, the limit of containers without one.
    pub capacity: Capacity,
}

#[cfg(test)]
impl Placement {
    /// A pod's address on a node of four CPUs and 8 GiB.
    pub(crate) fn example() -> Self {
        Self {
            pod_address: "127.70.1.1".into(),
            host_address: "127.70.0.1".into(),
            node: "stoke-x".into(),
            capacity: Capacity {
                millicores: 4000,
                memory: 8 << 30,
                disk: 1 << 40,
                pods: 110,
            },
        }
    }
}

/// The value of a `fieldRef`.
///
/// # Errors
/// The kubelet's words for a path it does not know.
pub(crate) fn field(pod: &Pod, placement: &Placement, selector: &ObjectFieldSelector) -> Result<String, String> {
    let path = selector.field_path.as_str();
    let spec = pod.spec.as_ref();
    if let Some((map, key)) = subscript(path) {
        let values = match map {
            "metadata.labels" => pod.metadata.labels.as_ref(),
            "metadata.annotations" => pod.metadata.annotations.as_ref(),
            _ => return Err(format!("unsupported fieldPath: {path}")),
        };
        return Ok(values.and_then(|values| values.get(key)).cloned().unwrap_or_default());
    }
    Ok(match path {
        "metadata.name" => pod.metadata.name.clone().unwrap_or_default(),
        "metadata.namespace" => pod.metadata.namespace.clone().unwrap_or_default(),
        "metadata.uid" => pod.metadata.uid.clone().unwrap_or_default(),
        "metadata.labels" => map_lines(pod.metadata.labels.as_ref()),
        "metadata.annotations" => map_lines(pod.metadata.annotations.as_ref()),
        "spec.nodeName" => placement.node.clone(),
        "spec.serviceAccountName" => spec
            .and_then(|spec| spec.service_account_name.clone())
            .unwrap_or_default(),
        "status.podIP" | "status.podIPs" => placement.pod_address.clone(),
        "status.hostIP" | "status.hostIPs" => placement.host_address.clone(),
        _ => return Err(format!("unsupported fieldPath: {path}")),
    })
}

/// The value of a `resourceFieldRef`, in units of its divisor, rounded up.
///
/// # Errors
/// An unknown resource, container or divisor.
pub(crate) fn resource(
    pod: &Pod,
    placement: &Placement,
    own: &Container,
    selector: &ResourceFieldSelector,
) -> Result<String, String> {
    let spec = pod.spec.as_ref();
    let container = match selector.container_name.as_deref().filter(|name| !name.is_empty()) {
        None => own,
        Some(name) => spec
            .and_then(|spec| {
                spec.containers
                    .iter()
                    .chain(spec.init_containers.iter().flatten())
                    .find(|container| container.name == name)
            })
            .ok_or_else(|| format!("container {name} not found"))?,
    };
    let resources = container.resources.as_ref();
    let amount = |limits: bool, name: &str| -> Option<Quantity> {
        let map = if limits {
            resources?.limits.as_ref()
        } else {
            resources?.requests.as_ref()
        };
        map?.get(name)?.0.parse().ok()
    };
    let (kind, name) = selector
        .resource
        .split_once('.')
        .unwrap_or(("", selector.resource.as_str()));
    let value = match (kind, name) {
        ("limits", "cpu") => amount(true, name).unwrap_or_else(|| millis(placement.capacity.millicores)),
        ("limits", "memory") => amount(true, name).unwrap_or_else(|| Quantity::from_bytes(placement.capacity.memory)),
        ("limits", "ephemeral-storage") => {
            amount(true, name).unwrap_or_else(|| Quantity::from_bytes(placement.capacity.disk))
        }
        ("requests", "cpu" | "memory" | "ephemeral-storage") => amount(false, name)
            .or_else(|| amount(true, name))
            .unwrap_or_else(|| Quantity::from_units(0)),
        _ if name.starts_with("hugepages-") => {
            amount(kind == "limits", name).unwrap_or_else(|| Quantity::from_units(0))
        }
        _ => return Err(format!("unsupported container resource : {}", selector.resource)),
    };
    let divisor = match selector
        .divisor
        .as_ref()
        .map(|divisor| divisor.0.as_str())
        .filter(|text| !text.is_empty() && *text != "0")
    {
        None => Quantity::from_units(1),
        Some(text) => text
            .parse::<Quantity>()
            .map_err(|error| format!("invalid divisor {text}: {error}"))?,
    };
    let (amount, unit) = (value.nanos().max(0), divisor.nanos().max(1));
    Ok(((amount + unit - 1) / unit).to_string())
}

fn millis(millicores: u64) -> Quantity {
    Quantity::from_millis(i64::try_from(millicores).unwrap_or(i64::MAX))
}

/// `map['key']` as (map, key).
fn subscript(path: &str) -> Option<(&str, &str)> {
    let (map, rest) = path.split_once("['")?;
    Some((map, rest.strip_suffix("']")?))
}

/// A map as `key="value"` lines, sorted, the value quoted.
fn map_lines(map: Option<&BTreeMap<String, String>>) -> String {
    map.into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", serde_json::to_string(value).unwrap_or_default()))
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod() -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "p", "namespace": "n", "uid": "u", "labels": {"b": "2", "a": "x\"y"}, "annotations": {"k/v": "w"}},
            "spec": {"serviceAccountName": "spark", "containers": [
                {"name": "c", "resources": {"limits": {"memory": "1408Mi"}, "requests": {"cpu": "1500m", "memory": "1Gi"}}}, {"name": "d"}]}
        }))
        .unwrap()
    }

    #[test]
    fn fields() {
        let table = [
            ("metadata.name", Ok("p")),
            ("metadata.namespace", Ok("n")),
            ("metadata.uid", Ok("u")),
            ("metadata.labels", Ok("a=\"x\\\"y\"\nb=\"2\"")),
            ("metadata.labels['b']", Ok("2")),
            ("metadata.annotations['k/v']", Ok("w")),
            ("metadata.labels['none']", Ok("")),
            ("spec.nodeName", Ok("stoke-x")),
            ("spec.serviceAccountName", Ok("spark")),
            ("status.podIP", Ok("127.70.1.1")),
            ("status.hostIP", Ok("127.70.0.1")),
            ("spec.volumes", Err("unsupported fieldPath: spec.volumes")),
        ];
        for (path, expected) in table {
            let selector = ObjectFieldSelector {
                api_version: None,
                field_path: path.into(),
            };
            let value = field(&pod(), &Placement::example(), &selector);
            assert_eq!(value.as_deref().map_err(String::as_str), expected, "{path}");
        }
    }

    #[test]
    fn resources_are_rounded_up_to_their_divisor() {
        let table = [
            ("requests.cpu", None, None, "2"),
            ("requests.cpu", Some("1m"), None, "1500"),
            ("limits.cpu", None, None, "4"),
            ("limits.memory", None, None, "1476395008"),
            ("limits.memory", Some("1Mi"), None, "1408"),
            ("limits.memory", Some("1Gi"), None, "2"),
            ("requests.memory", Some("0"), None, "1073741824"),
            ("limits.memory", Some("1Gi"), Some("d"), "8"),
            ("requests.memory", None, Some("d"), "0"),
        ];
        let pod = pod();
        let own = &pod.spec.as_ref().unwrap().containers[0];
        for (name, divisor, container, expected) in table {
            let selector = ResourceFieldSelector {
                container_name: container.map(str::to_owned),
                divisor: divisor.map(|text| k8s_openapi::apimachinery::pkg::api::resource::Quantity(text.into())),
                resource: name.into(),
            };
            assert_eq!(
                resource(&pod, &Placement::example(), own, &selector).unwrap(),
                expected,
                "{name} {divisor:?}"
            );
        }
    }
}
