//! What an environment says of data that its releases write.

use std::collections::BTreeSet;

use stoke_model::manifest::{Fields, Node, join};
use stoke_storage::Address;

use super::{Data, Published};

pub(super) const DATA: [&str; 5] = ["name", "contract", "object", "iceberg", "versions"];
pub(super) const ICEBERG: [&str; 4] = ["table", "branch", "catalog", "warehouse"];
/// The branch that runs write to, unless another one is named.
const BRANCH: &str = "stoke";

pub(super) fn read(fields: &mut Fields<'_>, node: &Node, path: &str) -> Vec<Data> {
    let mut all: Vec<Data> = Vec::new();
    let mut names = BTreeSet::new();
    let mut branches = BTreeSet::new();
    for (path, node) in fields.list(node, "data", path) {
        let Some(data) = one(fields, node, &path) else {
            continue;
        };
        if !names.insert(data.name.clone()) {
            wrong(
                fields,
                node,
                "name",
                &path,
                format!("`{}` stands here twice", data.name),
                "rename one of them",
            );
        }
        if let Published::Iceberg { branch, .. } = &data.place {
            branches.insert(branch.clone());
            if branches.len() > 1 {
                wrong(
                    fields,
                    node,
                    "iceberg",
                    &path,
                    format!(
                        "`{branch}` is another branch than that of the data before, and a session of Spark writes to one"
                    ),
                    "give all tables of the environment one branch",
                );
            }
        }
        all.push(data);
    }
    all
}

fn one(fields: &mut Fields<'_>, node: &Node, path: &str) -> Option<Data> {
    if !fields.keys(node, path, &DATA) {
        return None;
    }
    let name = fields.needed_text(node, "name", path)?.to_owned();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || !name.chars().all(plain) {
        let message = format!("`{name}` is not a name of data");
        wrong(
            fields,
            node,
            "name",
            path,
            message,
            "write letters, digits, hyphens, underscores and dots",
        );
    }
    let contract = fields.needed_text(node, "contract", path)?.to_owned();
    let object = fields.text(node, "object", path).map(str::to_owned);
    let place = match (node.get("iceberg"), node.get("versions")) {
        (Some(table), None) => iceberg(fields, table, &join(path, "iceberg"))?,
        (None, Some(_)) => {
            let place = fields.needed_text(node, "versions", path)?.to_owned();
            address(fields, node, "versions", path, &place);
            Published::Versions { place }
        }
        _ => {
            fields.complain(
                "missing-field",
                node.place,
                path,
                format!("how readers find `{name}` is missing, or is said twice"),
                "add `iceberg: {table: …}` or `versions: s3a://…`, one of them",
            );
            return None;
        }
    };
    Some(Data {
        name,
        contract,
        object,
        place,
    })
}

fn iceberg(fields: &mut Fields<'_>, node: &Node, path: &str) -> Option<Published> {
    if !fields.keys(node, path, &ICEBERG) {
        return None;
    }
    let table = fields.needed_text(node, "table", path)?.to_owned();
    let branch = fields.text(node, "branch", path).unwrap_or(BRANCH).to_owned();
    let catalog = fields.text(node, "catalog", path).map(str::to_owned);
    let warehouse = fields.text(node, "warehouse", path).map(str::to_owned);
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if branch == "main" || branch.is_empty() || !branch.chars().all(plain) {
        let message = format!("`{branch}` is not a branch that readers do not see");
        wrong(fields, node, "branch", path, message, "write a name such as `stoke`");
    }
    match &catalog {
        None => address(fields, node, "table", path, &table),
        Some(uri) if !uri.starts_with("http://") && !uri.starts_with("https://") => {
            let message = format!("`{uri}` is not the address of a catalogue");
            wrong(
                fields,
                node,
                "catalog",
                path,
                message,
                "write its URL, such as http://lake:8181",
            );
        }
        Some(_) => {}
    }
    if warehouse.is_some() && catalog.is_none() {
        let message = "a warehouse is of a catalogue, and there is none".to_owned();
        wrong(
            fields,
            node,
            "warehouse",
            path,
            message,
            "add `catalog`, or remove `warehouse`",
        );
    }
    Some(Published::Iceberg {
        table,
        branch,
        catalog,
        warehouse,
    })
}

fn address(fields: &mut Fields<'_>, node: &Node, key: &str, path: &str, text: &str) {
    if let Err(error) = Address::parse(text) {
        wrong(
            fields,
            node,
            key,
            path,
            format!("`{text}`: {}", error.cause()),
            error.fix(),
        );
    }
}

fn wrong(fields: &mut Fields<'_>, node: &Node, key: &str, path: &str, message: String, fix: &str) {
    let place = node.get(key).map_or(node.place, |value| value.place);
    fields.complain("environments-value", place, &join(path, key), message, fix);
}
