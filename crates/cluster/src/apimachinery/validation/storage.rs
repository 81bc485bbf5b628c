//! Persistent volumes and classes of storage.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::sources::check_source;
use super::{Complaints, entries, is_empty, items, resources, scheduling, text, words};
use crate::apimachinery::schema::Path;

/// Fields of a volume's specification that are not what it is made of.
const OTHERS: &[&str] = &["nodeAffinity", "claimRef", "capacity"];

/// A PersistentVolume.
pub fn check_volume(volume: &Value, said: &mut Complaints) {
    let (spec, at) = (&volume["spec"], Path::Start("spec"));
    if is_empty(&spec["accessModes"]) {
        said.required(&at.field("accessModes"), "");
    }
    let modes = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
    for (_, mode) in items(&spec["accessModes"]) {
        said.one_of(&at.field("accessModes"), mode, &modes);
    }
    let capacity = at.field("capacity");
    let names: Vec<&str> = entries(&spec["capacity"]).map(|(name, _)| name).collect();
    if names.is_empty() {
        said.required(&capacity, "");
    }
    if names != ["storage"] {
        said.unsupported(&capacity, spec["capacity"].clone(), &["storage"]);
    }
    if let Some(amount) = resources::amount(&spec["capacity"]["storage"]).filter(|amount| *amount <= 0) {
        let value = spec["capacity"]["storage"].clone();
        said.invalid(&capacity.named("storage"), value, "must be greater than zero");
        if amount < 0 {
            let number = i64::try_from(amount / 1_000_000_000).unwrap_or(i64::MIN);
            said.invalid(&capacity.named("storage"), number, "must be a valid resource quantity");
        }
    }
    let policies = ["Delete", "Recycle", "Retain"];
    let policy = &spec["persistentVolumeReclaimPolicy"];
    said.one_of(&at.field("persistentVolumeReclaimPolicy"), policy, &policies);
    let class = text(&spec["storageClassName"]);
    if !class.is_empty() {
        said.text(&at.field("storageClassName"), class, words::subdomain(class));
    }
    said.one_of(&at.field("volumeMode"), &spec["volumeMode"], &["Block", "Filesystem"]);
    let affinity = &spec["nodeAffinity"];
    if affinity.is_object() {
        let at = at.field("nodeAffinity");
        if affinity["required"].is_object() {
            scheduling::check_node_selector(&affinity["required"], &at.field("required"), said);
        } else {
            said.required(&at.field("required"), "must specify required node constraints");
        }
    } else if spec["local"].is_object() {
        said.required(&at.field("nodeAffinity"), "Local volume requires node affinity");
    }
    let mut found = 0;
    for (kind, source) in entries(spec).filter(|(kind, source)| source.is_object() && !OTHERS.contains(kind)) {
        found += 1;
        if found > 1 {
            said.forbidden(&at.field(kind), "may not specify more than 1 volume type");
        } else if kind == "hostPath" {
            check_source(kind, source, &at.field(kind), &at, said);
        }
    }
    if found == 0 {
        said.required(&at, "must specify a volume type");
    }
}

/// A StorageClass.
pub fn check_class(class: &Value, said: &mut Complaints) {
    let provisioner = Path::Start("provisioner");
    match text(&class["provisioner"]) {
        "" => said.required(&provisioner, ""),
        name => {
            let name = name.to_lowercase();
            said.text(&provisioner, &name, words::qualified(&name));
        }
    }
    let at = Path::Start("parameters");
    for (key, _) in entries(&class["parameters"]).filter(|(key, _)| key.is_empty()) {
        said.invalid(&at, key, "field can not be empty.");
    }
    if class["reclaimPolicy"] != "" {
        let at = Path::Start("reclaimPolicy");
        said.one_of(&at, &class["reclaimPolicy"], &["Delete", "Retain"]);
    }
    check_topologies(&class["allowedTopologies"], said);
    let modes = ["Immediate", "WaitForFirstConsumer"];
    said.one_of(&Path::Start("volumeBindingMode"), &class["volumeBindingMode"], &modes);
}

/// Where volumes of a class may be: each place once, and named.
fn check_topologies(topologies: &Value, said: &mut Complaints) {
    let list = Path::Start("allowedTopologies");
    let mut known: Vec<BTreeMap<&str, BTreeSet<&str>>> = vec![BTreeMap::new()];
    for (index, topology) in items(topologies) {
        let mut place: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let item = list.item(index);
        let list = item.field("matchLabelExpressions");
        for (index, expression) in items(&topology["matchLabelExpressions"]) {
            let at = list.item(index);
            let key = text(&expression["key"]);
            if is_empty(&expression["values"]) {
                said.required(&at.field("values"), "");
            }
            let mut values = BTreeSet::new();
            let all = at.field("values");
            for (index, value) in items(&expression["values"]) {
                if !values.insert(text(value)) {
                    said.duplicate(&all.item(index), text(value));
                }
            }
            said.text(&at.field("key"), key, words::qualified(key));
            if place.insert(key, values).is_some() {
                said.duplicate(&at.field("key"), key);
            }
        }
        // A place without conditions is that of no topologies at all.
        if known.contains(&place) {
            said.duplicate(&list, "");
        }
        known.push(place);
    }
}

/// What of a StorageClass may not change.
pub fn check_class_update(old: &Value, new: &Value, said: &mut Complaints) {
    for field in ["provisioner", "parameters", "reclaimPolicy"] {
        if old[field] != new[field] {
            let detail = format!("updates to {field} are forbidden.");
            said.forbidden(&Path::Start(field), &detail);
        }
    }
    if old["volumeBindingMode"] != new["volumeBindingMode"] {
        let value = new["volumeBindingMode"].clone();
        said.invalid(&Path::Start("volumeBindingMode"), value, "field is immutable");
    }
}
