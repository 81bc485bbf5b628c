//! The inventory as SPDX 2.3, JSON.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::inventory::Inventory;
use super::licence::Licence;
use super::package::{Kind, Package};
use super::{About, uuid};

/// The document. SPDX wants a time: without one it is 1970, so that the same content gives the same bytes.
#[must_use]
pub fn document(inventory: &Inventory, about: &About) -> Value {
    let created = about.timestamp.unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    // Names of licences that are not of SPDX's list, each with its text.
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    let mut packages = vec![subject(about)];
    let mut relations = vec![relation("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-Subject")];
    if let Some(os) = &inventory.os {
        let mut package = bare("SPDXRef-OperatingSystem", &os.id, &os.version);
        package["primaryPackagePurpose"] = json!("OPERATING-SYSTEM");
        packages.push(package);
        relations.push(relation("SPDXRef-Subject", "CONTAINS", "SPDXRef-OperatingSystem"));
    }
    for package in &inventory.packages {
        let id = format!("SPDXRef-Package-{}-{}", package.kind.name(), uuid(&package.reference()));
        packages.push(one(package, &id, &mut texts));
        relations.push(relation("SPDXRef-Subject", "CONTAINS", &id));
    }
    let licences: Vec<Value> = texts
        .iter()
        .map(|(id, text)| json!({"licenseId": id, "name": text, "extractedText": text}))
        .collect();
    let mut document = json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": about.name,
        "documentNamespace": "",
        "creationInfo": {
            "created": created.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "creators": [format!("Tool: stoke-{}", env!("CARGO_PKG_VERSION"))],
        },
        "packages": packages,
        "relationships": relations,
    });
    if !licences.is_empty() {
        document["hasExtractedLicensingInfos"] = json!(licences);
    }
    if !inventory.unread.is_empty() {
        let unread = inventory
            .unread
            .iter()
            .map(|unread| format!("{}: {}", unread.place, unread.why));
        let unread: Vec<String> = unread.collect();
        document["comment"] = json!(format!("Incomplete: these could not be read. {}", unread.join("; ")));
    }
    let namespace = format!("https://stoke.dev/sbom/{}", uuid(&document.to_string()));
    document["documentNamespace"] = json!(namespace);
    document
}

fn relation(from: &str, kind: &str, to: &str) -> Value {
    json!({"spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to})
}

fn bare(id: &str, name: &str, version: &str) -> Value {
    let mut package = json!({
        "SPDXID": id,
        "name": name,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION",
        "copyrightText": "NOASSERTION",
    });
    if !version.is_empty() {
        package["versionInfo"] = json!(version);
    }
    package
}

fn subject(about: &About) -> Value {
    let mut package = bare(
        "SPDXRef-Subject",
        &about.name,
        about.digest.as_deref().unwrap_or_default(),
    );
    package["primaryPackagePurpose"] = json!("CONTAINER");
    match about
        .digest
        .as_deref()
        .and_then(|digest| digest.strip_prefix("sha256:"))
    {
        Some(hex) => package["checksums"] = json!([{"algorithm": "SHA256", "checksumValue": hex}]),
        None => package["primaryPackagePurpose"] = json!("FILE"),
    }
    package
}

fn one(package: &Package, id: &str, texts: &mut BTreeMap<String, String>) -> Value {
    let name = match (package.kind, package.group.as_str()) {
        (Kind::Maven, group) if !group.is_empty() => format!("{group}:{}", package.name),
        _ => package.name.clone(),
    };
    let mut made = bare(id, &name, &package.version);
    if let Some(text) = &package.licence {
        let declared = match Licence::read(text) {
            Licence::Identifier(text) | Licence::Expression(text) => text,
            Licence::Text(text) => {
                let reference = format!("LicenseRef-{}", uuid(&text));
                texts.insert(reference.clone(), text);
                reference
            }
        };
        made["licenseDeclared"] = json!(declared);
    }
    if let Some(purl) = package.purl() {
        made["externalRefs"] = json!([{
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": purl,
        }]);
    }
    let places: Vec<&str> = package.places.iter().map(String::as_str).collect();
    made["sourceInfo"] = json!(format!("found in {}", places.join(", ")));
    made
}
