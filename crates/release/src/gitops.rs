//! Rendered trees for Argo CD and Flux: a kustomization and one file for each object.
//!
//! In: the objects of a release in an environment. Out: files below the environment's directory; the same objects give the same bytes.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::ledger::Plan;

/// The files of a directory by their names. Argo CD and Flux both take a directory with a `kustomization.yaml`.
///
/// # Errors
/// An object that cannot be written as YAML.
pub fn tree(objects: &[Value]) -> Result<BTreeMap<String, String>, String> {
    let mut files = BTreeMap::new();
    for object in objects {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let name = format!("{}-{}.yaml", text("/kind").to_lowercase(), text("/metadata/name"));
        let yaml = serde_saphyr::to_string(object).map_err(|error| format!("{name}: {error}"))?;
        files.insert(name, yaml);
    }
    let resources: Vec<&String> = files.keys().collect();
    let kustomization =
        json!({"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": resources});
    let yaml = serde_saphyr::to_string(&kustomization).map_err(|error| error.to_string())?;
    files.insert("kustomization.yaml".to_owned(), yaml);
    Ok(files)
}

/// What a commit says: the subject, and the facts a reviewer asks for.
#[must_use]
pub fn message(plan: &Plan, name: &str) -> String {
    let verb = match plan.step {
        crate::ledger::Step::Promote => "Promote",
        crate::ledger::Step::Rollback => "Roll back to",
    };
    let replaces = plan.replaces.as_ref().map_or("nothing".to_owned(), ToString::to_string);
    let approvers: Vec<&str> = plan.approvers.iter().map(|one| one.name.as_str()).collect();
    let approvers = if approvers.is_empty() {
        String::new()
    } else {
        format!("Approved-by: {}\n", approvers.join(", "))
    };
    format!(
        "{verb} {name} {} in {}\n\nRelease: {}\nReplaces: {replaces}\n{approvers}",
        plan.release.short(),
        plan.environment,
        plan.release
    )
}

/// How a directory differs from what it should be: paths with `missing`, `changed` or `unexpected`.
#[must_use]
pub fn drift(wanted: &BTreeMap<String, String>, found: &BTreeMap<String, String>) -> Vec<(String, &'static str)> {
    let mut all: Vec<(String, &'static str)> = Vec::new();
    for (name, text) in wanted {
        match found.get(name) {
            None => all.push((name.clone(), "missing")),
            Some(other) if other != text => all.push((name.clone(), "changed")),
            Some(_) => {}
        }
    }
    all.extend(
        found
            .keys()
            .filter(|name| !wanted.contains_key(*name))
            .map(|name| (name.clone(), "unexpected")),
    );
    all
}

/// Fields in which an object of the cluster differs from what was applied; what others add is theirs.
#[must_use]
pub fn object_drift(wanted: &Value, found: &Value) -> Vec<String> {
    fn walk(wanted: &Value, found: &Value, path: &str, into: &mut Vec<String>) {
        match (wanted, found) {
            (Value::Object(wanted), Value::Object(found)) => {
                for (key, value) in wanted {
                    let path = if path.is_empty() {
                        key.clone()
                    } else {
                        format!("{path}.{key}")
                    };
                    walk(value, found.get(key).unwrap_or(&Value::Null), &path, into);
                }
            }
            _ if wanted == found => {}
            _ => into.push(path.to_owned()),
        }
    }
    let mut all = Vec::new();
    walk(wanted, found, "", &mut all);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_whole_and_the_same_each_time() {
        let object = json!({"apiVersion": "a/v1", "kind": "SparkApplication", "metadata": {"name": "etl"}, "spec": {"note": "a: b\n# c"}});
        let files = tree(std::slice::from_ref(&object)).unwrap();
        assert_eq!(
            files.keys().collect::<Vec<_>>(),
            ["kustomization.yaml", "sparkapplication-etl.yaml"]
        );
        let (nodes, _) = stoke_model::manifest::read(&stoke_diagnostics::Source::new(
            "x",
            &files["sparkapplication-etl.yaml"],
        ));
        assert_eq!(nodes[0].to_value(), object);
        let mut other = files.clone();
        other.remove("kustomization.yaml");
        other.insert("x".into(), String::new());
        assert_eq!(
            drift(&files, &other),
            [
                ("kustomization.yaml".to_owned(), "missing"),
                ("x".to_owned(), "unexpected")
            ]
        );
        assert_eq!(
            object_drift(&json!({"a": {"b": 1}}), &json!({"a": {"b": 2, "c": 3}})),
            ["a.b"]
        );
    }
}
