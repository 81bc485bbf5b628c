//! Data, accounts, namespaces, nodes, storage, leases.

use serde_json::{Map, Value};

use super::{AGE, Column, NAME, column, joined, list, number, or, plain, text, wide};

fn size(object: &Value, fields: &[&str]) -> Value {
    let sizes = fields
        .iter()
        .map(|field| object[*field].as_object().map_or(0, Map::len));
    sizes.sum::<usize>().into()
}

pub(super) const CONFIG_MAPS: &[Column] = &[NAME, number("Data", |map, _| size(map, &["data", "binaryData"])), AGE];

pub(super) const SECRETS: &[Column] = &[
    NAME,
    text("Type", |secret, _| plain(&secret["type"]).into()),
    number("Data", |secret, _| size(secret, &["data"])),
    AGE,
];

pub(super) const SERVICE_ACCOUNTS: &[Column] = &[
    NAME,
    number("Secrets", |account, _| list(&account["secrets"]).len().into()),
    AGE,
];

pub(super) const NAMESPACES: &[Column] = &[
    NAME,
    text("Status", |space, _| plain(&space["status"]["phase"]).into()),
    AGE,
];

pub(super) const NODES: &[Column] = &[
    NAME,
    text("Status", |node, _| node_status(node).into()),
    text("Roles", |node, _| roles(node)),
    AGE,
    text("Version", |node, _| {
        plain(&node["status"]["nodeInfo"]["kubeletVersion"]).into()
    }),
    wide("Internal-IP", |node, _| address(node, "InternalIP")),
    wide("External-IP", |node, _| address(node, "ExternalIP")),
    wide("OS-Image", |node, _| {
        or(&node["status"]["nodeInfo"]["osImage"], "<unknown>")
    }),
    wide("Kernel-Version", |node, _| {
        or(&node["status"]["nodeInfo"]["kernelVersion"], "<unknown>")
    }),
    wide("Container-Runtime", |node, _| {
        or(&node["status"]["nodeInfo"]["containerRuntimeVersion"], "<unknown>")
    }),
];

fn node_status(node: &Value) -> String {
    let ready = list(&node["status"]["conditions"])
        .iter()
        .find(|condition| condition["type"] == "Ready");
    let mut text = match ready.map(|condition| condition["status"] == "True") {
        Some(true) => "Ready",
        Some(false) => "NotReady",
        None => "Unknown",
    }
    .to_owned();
    if node["spec"]["unschedulable"] == true {
        text.push_str(",SchedulingDisabled");
    }
    text
}

fn roles(node: &Value) -> Value {
    let labels = node["metadata"]["labels"].as_object().into_iter().flatten();
    let mut roles: Vec<String> = labels
        .filter_map(|(key, value)| match key.strip_prefix("node-role.kubernetes.io/") {
            Some(role) => Some(role.to_owned()),
            None => (key == "kubernetes.io/role").then(|| plain(value)),
        })
        .collect();
    roles.sort();
    joined(roles.into_iter(), ",", "<none>")
}

fn address(node: &Value, kind: &str) -> Value {
    let mut addresses = list(&node["status"]["addresses"]).iter();
    let found = addresses.find(|address| address["type"] == kind);
    found.map_or_else(|| "<none>".into(), |found| or(&found["address"], "<none>"))
}

fn modes(modes: &Value) -> Value {
    let short = |mode: &Value| match mode.as_str() {
        Some("ReadWriteOnce") => "RWO".into(),
        Some("ReadOnlyMany") => "ROX".into(),
        Some("ReadWriteMany") => "RWX".into(),
        Some("ReadWriteOncePod") => "RWOP".into(),
        _ => plain(mode),
    };
    joined(list(modes).iter().map(short), ",", "")
}

fn phase(object: &Value) -> Value {
    if object["metadata"]["deletionTimestamp"].is_null() {
        plain(&object["status"]["phase"]).into()
    } else {
        "Terminating".into()
    }
}

const CLASS: Column = text("StorageClass", |object, _| {
    plain(&object["spec"]["storageClassName"]).into()
});
const ATTRIBUTES: Column = text("VolumeAttributesClass", |object, _| {
    or(&object["spec"]["volumeAttributesClassName"], "<unset>")
});
const MODE: Column = wide("VolumeMode", |object, _| or(&object["spec"]["volumeMode"], "<unset>"));

pub(super) const CLAIMS: &[Column] = &[
    NAME,
    text("Status", |claim, _| phase(claim)),
    text("Volume", |claim, _| plain(&claim["spec"]["volumeName"]).into()),
    text("Capacity", |claim, _| {
        plain(&claim["status"]["capacity"]["storage"]).into()
    }),
    text("Access Modes", |claim, _| modes(&claim["status"]["accessModes"])),
    CLASS,
    ATTRIBUTES,
    AGE,
    MODE,
];

pub(super) const VOLUMES: &[Column] = &[
    NAME,
    text("Capacity", |volume, _| {
        plain(&volume["spec"]["capacity"]["storage"]).into()
    }),
    text("Access Modes", |volume, _| modes(&volume["spec"]["accessModes"])),
    text("Reclaim Policy", |volume, _| {
        plain(&volume["spec"]["persistentVolumeReclaimPolicy"]).into()
    }),
    text("Status", |volume, _| phase(volume)),
    text("Claim", |volume, _| match &volume["spec"]["claimRef"] {
        Value::Null => "".into(),
        claim => format!("{}/{}", plain(&claim["namespace"]), plain(&claim["name"])).into(),
    }),
    CLASS,
    ATTRIBUTES,
    text("Reason", |volume, _| plain(&volume["status"]["reason"]).into()),
    AGE,
    MODE,
];

pub(super) const CLASSES: &[Column] = &[
    text("Name", |class, _| {
        let default = class["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"] == "true";
        let name = plain(&class["metadata"]["name"]);
        if default { format!("{name} (default)") } else { name }.into()
    }),
    text("Provisioner", |class, _| plain(&class["provisioner"]).into()),
    text("ReclaimPolicy", |class, _| or(&class["reclaimPolicy"], "Delete")),
    text("VolumeBindingMode", |class, _| {
        or(&class["volumeBindingMode"], "<unset>")
    }),
    column("AllowVolumeExpansion", "boolean", 0, |class, _| {
        class["allowVolumeExpansion"].as_bool().unwrap_or(false).into()
    }),
    AGE,
];

pub(super) const LEASES: &[Column] = &[
    NAME,
    text("Holder", |lease, _| plain(&lease["spec"]["holderIdentity"]).into()),
    AGE,
];
