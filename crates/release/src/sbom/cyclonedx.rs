//! The inventory as CycloneDX 1.6, JSON.

use serde_json::{Map, Value, json};

use super::inventory::Inventory;
use super::licence::Licence;
use super::package::{Kind, Package};
use super::{About, uuid};

/// The document. The same inventory and time give the same bytes: its serial number is made of its content.
#[must_use]
pub fn document(inventory: &Inventory, about: &About) -> Value {
    let mut components = Vec::new();
    if let Some(os) = &inventory.os {
        let mut component = json!({
            "type": "operating-system",
            "bom-ref": format!("os:{}-{}", os.id, os.version),
            "name": os.id,
        });
        insert(&mut component, "version", &os.version);
        insert(&mut component, "description", &os.name);
        components.push(component);
    }
    components.extend(inventory.packages.iter().map(component));
    let kind = if about.digest.is_some() {
        "container"
    } else {
        "application"
    };
    let mut subject = json!({"type": kind, "bom-ref": "subject", "name": about.name});
    insert(&mut subject, "version", about.digest.as_deref().unwrap_or_default());
    let mut metadata = Map::new();
    if let Some(time) = about.timestamp {
        metadata.insert(
            "timestamp".to_owned(),
            json!(time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
        );
    }
    let tool = json!({"type": "application", "name": "stoke", "version": env!("CARGO_PKG_VERSION")});
    metadata.insert("tools".to_owned(), json!({"components": [tool]}));
    metadata.insert("component".to_owned(), subject);
    if !inventory.unread.is_empty() {
        let unread = inventory.unread.iter();
        let properties: Vec<Value> = unread
            .map(|unread| json!({"name": "stoke:unread", "value": format!("{}: {}", unread.place, unread.why)}))
            .collect();
        metadata.insert("properties".to_owned(), json!(properties));
    }
    // Whether all is there is known only where nothing was left unread: then it is all that package managers and archives name.
    let aggregate = if inventory.unread.is_empty() {
        "unknown"
    } else {
        "incomplete"
    };
    let mut document = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": "",
        "version": 1,
        "metadata": metadata,
        "components": components,
        "compositions": [{"aggregate": aggregate, "assemblies": ["subject"]}],
    });
    let serial = format!("urn:uuid:{}", uuid(&document.to_string()));
    document["serialNumber"] = json!(serial);
    document
}

fn insert(component: &mut Value, key: &str, text: &str) {
    if !text.is_empty() {
        component[key] = json!(text);
    }
}

fn component(package: &Package) -> Value {
    let mut component = json!({"type": "library", "bom-ref": package.reference()});
    if package.kind == Kind::Maven {
        insert(&mut component, "group", &package.group);
    }
    component["name"] = json!(package.name);
    insert(&mut component, "version", &package.version);
    if let Some(text) = &package.licence {
        let licence = match Licence::read(text) {
            Licence::Identifier(id) => json!({"license": {"id": id}}),
            Licence::Expression(expression) => json!({"expression": expression}),
            Licence::Text(name) => json!({"license": {"name": name}}),
        };
        component["licenses"] = json!([licence]);
    }
    insert(&mut component, "purl", &package.purl().unwrap_or_default());
    let places: Vec<Value> = package.places.iter().map(|place| json!({"location": place})).collect();
    component["evidence"] = json!({"occurrences": places});
    component
}
