//! `match` of a constraint: which objects it is about. An empty one is about all.

use serde_json::Value;

/// Which objects a constraint is about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    kinds: Vec<Kinds>,
    scope: Scope,
    namespaces: Vec<String>,
    excluded_namespaces: Vec<String>,
    labels: Vec<Requirement>,
    namespace_labels: Option<Vec<Requirement>>,
    name: Option<String>,
    source: Origin,
}

#[derive(Clone, Debug)]
struct Kinds {
    groups: Vec<String>,
    kinds: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Scope {
    #[default]
    All,
    Cluster,
    Namespaced,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Origin {
    #[default]
    All,
    Original,
    Generated,
}

/// One requirement of a label selector.
#[derive(Clone, Debug)]
struct Requirement {
    key: String,
    values: Vec<String>,
    operator: Operator,
}

#[derive(Clone, Copy, Debug)]
enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

/// Where in `match`, and what is wrong there.
type Wrong = (String, String);

fn wrong<T>(path: impl Into<String>, message: impl Into<String>) -> Result<T, Wrong> {
    Err((path.into(), message.into()))
}

fn texts(value: &Value, path: &str) -> Result<Vec<String>, Wrong> {
    if value.is_null() {
        return Ok(Vec::new());
    }
    let items = value
        .as_array()
        .map(|items| items.iter().map(|item| item.as_str().map(str::to_owned)));
    let texts: Option<Vec<String>> = items.and_then(Iterator::collect);
    texts.map_or_else(|| wrong(path, "this is a list of texts"), Ok)
}

impl Selection {
    pub fn read(value: &Value) -> Result<Self, Wrong> {
        let mut selection = Self::default();
        let fields = match value {
            Value::Null => return Ok(selection),
            Value::Object(fields) => fields,
            _ => return wrong("", "`match` is a map"),
        };
        for (name, value) in fields {
            let path = format!(".{name}");
            match name.as_str() {
                "kinds" => selection.kinds = kinds(value, &path)?,
                "scope" => {
                    selection.scope = match value.as_str() {
                        Some("*") => Scope::All,
                        None if value.is_null() => Scope::All,
                        Some("Cluster") => Scope::Cluster,
                        Some("Namespaced") => Scope::Namespaced,
                        _ => return wrong(path, "the scope is one of `*`, `Cluster`, `Namespaced`"),
                    }
                }
                "namespaces" => selection.namespaces = texts(value, &path)?,
                "excludedNamespaces" => selection.excluded_namespaces = texts(value, &path)?,
                "labelSelector" => selection.labels = requirements(value, &path)?,
                "namespaceSelector" if value.is_null() => {}
                "namespaceSelector" => selection.namespace_labels = Some(requirements(value, &path)?),
                "name" => selection.name = value.as_str().map(str::to_owned),
                "source" => {
                    selection.source = match value.as_str() {
                        Some("All") => Origin::All,
                        None if value.is_null() => Origin::All,
                        Some("Original") => Origin::Original,
                        Some("Generated") => Origin::Generated,
                        _ => return wrong(path, "the source is one of `All`, `Original`, `Generated`"),
                    }
                }
                _ => return wrong(path, format!("`{name}` is not a field of `match` that is known here")),
            }
        }
        Ok(selection)
    }

    /// Whether it is about an object. `Err` says what must be known to tell.
    pub fn is_about(&self, object: &Value, namespace: Option<&Value>, generated: bool) -> Result<bool, String> {
        let about = self.kind_is(object)
            && self.scope_is(object)
            && self.namespace_is(object)
            && meet(&self.labels, &object["metadata"]["labels"])
            && self.name_is(object)
            && match self.source {
                Origin::All => true,
                Origin::Original => !generated,
                Origin::Generated => generated,
            };
        Ok(about && self.namespace_labels_are(object, namespace)?)
    }

    fn kind_is(&self, object: &Value) -> bool {
        let version = object["apiVersion"].as_str().unwrap_or_default();
        let group = version.split_once('/').map_or("", |(group, _)| group);
        let kind = object["kind"].as_str().unwrap_or_default();
        let among =
            |names: &[String], name: &str| names.is_empty() || names.iter().any(|known| known == "*" || known == name);
        self.kinds.is_empty()
            || self
                .kinds
                .iter()
                .any(|kinds| among(&kinds.groups, group) && among(&kinds.kinds, kind))
    }

    fn scope_is(&self, object: &Value) -> bool {
        let namespaced = super::namespace(object).is_some();
        match self.scope {
            Scope::All => true,
            Scope::Cluster => !namespaced,
            Scope::Namespaced => namespaced,
        }
    }

    /// A `Namespace` counts as being in itself; other objects of the cluster are in none, and neither list speaks of them.
    fn namespace_is(&self, object: &Value) -> bool {
        let of_namespace = (object["kind"] == "Namespace")
            .then(|| object["metadata"]["name"].as_str())
            .flatten();
        let Some(namespace) = super::namespace(object).or(of_namespace) else {
            return true;
        };
        let among = |names: &[String]| names.iter().any(|pattern| wildcard(pattern, namespace));
        (self.namespaces.is_empty() || among(&self.namespaces)) && !among(&self.excluded_namespaces)
    }

    fn name_is(&self, object: &Value) -> bool {
        let Some(pattern) = self.name.as_deref().filter(|pattern| !pattern.is_empty()) else {
            return true;
        };
        let metadata = &object["metadata"];
        let names = [&metadata["name"], &metadata["generateName"]];
        names
            .into_iter()
            .filter_map(Value::as_str)
            .any(|name| wildcard(pattern, name))
    }

    fn namespace_labels_are(&self, object: &Value, namespace: Option<&Value>) -> Result<bool, String> {
        let Some(requirements) = &self.namespace_labels else {
            return Ok(true);
        };
        if object["kind"] == "Namespace" {
            return Ok(meet(requirements, &object["metadata"]["labels"]));
        }
        let Some(name) = super::namespace(object) else {
            return Ok(true);
        };
        match namespace.filter(|namespace| namespace["metadata"]["name"] == name) {
            Some(namespace) => Ok(meet(requirements, &namespace["metadata"]["labels"])),
            None => Err(format!(
                "its namespaceSelector asks for the labels of the namespace `{name}`, which are not known"
            )),
        }
    }
}

fn kinds(value: &Value, path: &str) -> Result<Vec<Kinds>, Wrong> {
    let items = value.as_array().into_iter().flatten().enumerate();
    let kinds = items.map(|(index, item)| {
        let path = format!("{path}[{index}]");
        Ok(Kinds {
            groups: texts(&item["apiGroups"], &format!("{path}.apiGroups"))?,
            kinds: texts(&item["kinds"], &format!("{path}.kinds"))?,
        })
    });
    kinds.collect()
}

fn requirements(value: &Value, path: &str) -> Result<Vec<Requirement>, Wrong> {
    let mut requirements = Vec::new();
    for (key, value) in value["matchLabels"].as_object().into_iter().flatten() {
        requirements.push(Requirement {
            key: key.clone(),
            values: value.as_str().map(str::to_owned).into_iter().collect(),
            operator: Operator::In,
        });
    }
    for (index, expression) in value["matchExpressions"].as_array().into_iter().flatten().enumerate() {
        let path = format!("{path}.matchExpressions[{index}]");
        let operator = match expression["operator"].as_str() {
            Some("In") => Operator::In,
            Some("NotIn") => Operator::NotIn,
            Some("Exists") => Operator::Exists,
            Some("DoesNotExist") => Operator::DoesNotExist,
            _ => return wrong(path, "the operator is one of `In`, `NotIn`, `Exists`, `DoesNotExist`"),
        };
        requirements.push(Requirement {
            key: expression["key"].as_str().unwrap_or_default().to_owned(),
            values: texts(&expression["values"], &path)?,
            operator,
        });
    }
    Ok(requirements)
}

fn meet(requirements: &[Requirement], labels: &Value) -> bool {
    requirements.iter().all(|requirement| {
        let value = labels[&requirement.key].as_str();
        let among = value.is_some_and(|value| requirement.values.iter().any(|known| known == value));
        match requirement.operator {
            Operator::In => among,
            Operator::NotIn => !among,
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    })
}

/// Patterns have a `*` at one end or at both.
fn wildcard(pattern: &str, text: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(_), Some(_)) => text.contains(pattern.trim_matches('*')),
        (Some(end), None) => text.ends_with(end),
        (None, Some(start)) => text.starts_with(start),
        (None, None) => pattern == text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn about(selection: Value, object: &Value) -> bool {
        let namespace = json!({"metadata": {"name": "team-a", "labels": {"tier": "gold"}}});
        let selection = Selection::read(&selection).unwrap();
        selection.is_about(object, Some(&namespace), false).unwrap()
    }

    #[test]
    fn selections_are_gatekeepers() {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web-1", "namespace": "team-a", "labels": {"app": "web"}}});
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}});
        let app = json!({"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication", "metadata": {"name": "pi"}});
        let space = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team-b", "labels": {"tier": "gold"}}});
        for (selection, of_pod, of_node, of_app, of_space) in [
            (json!(null), true, true, true, true),
            (json!({}), true, true, true, true),
            (
                json!({"kinds": [{"apiGroups": [""], "kinds": ["Pod"]}]}),
                true,
                false,
                false,
                false,
            ),
            (
                json!({"kinds": [{"apiGroups": ["*"], "kinds": ["*"]}]}),
                true,
                true,
                true,
                true,
            ),
            (
                json!({"kinds": [{"apiGroups": ["sparkoperator.k8s.io"]}]}),
                false,
                false,
                true,
                false,
            ),
            (json!({"scope": "Cluster"}), false, true, false, true),
            (json!({"scope": "Namespaced"}), true, false, true, false),
            (json!({"namespaces": ["team-*"]}), true, true, false, true),
            (json!({"namespaces": ["default"]}), false, true, true, false),
            (json!({"excludedNamespaces": ["*-a"]}), false, true, true, true),
            (json!({"excludedNamespaces": ["*eam*"]}), false, true, true, false),
            (
                json!({"labelSelector": {"matchLabels": {"app": "web"}}}),
                true,
                false,
                false,
                false,
            ),
            (
                json!({"labelSelector": {"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}}),
                false,
                true,
                true,
                true,
            ),
            (
                json!({"labelSelector": {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}}),
                false,
                true,
                true,
                true,
            ),
            (json!({"name": "web-*"}), true, false, false, false),
            (json!({"source": "Generated"}), false, false, false, false),
            (json!({"source": "Original"}), true, true, true, true),
        ] {
            let found = [&pod, &node, &app, &space].map(|object| about(selection.clone(), object));
            assert_eq!(found, [of_pod, of_node, of_app, of_space], "{selection}");
        }
        let gold = json!({"namespaceSelector": {"matchLabels": {"tier": "gold"}}});
        assert!(about(gold.clone(), &pod) && about(gold.clone(), &node) && about(gold.clone(), &space));
        let selection = Selection::read(&gold).unwrap();
        assert!(selection.is_about(&app, None, false).unwrap_err().contains("`default`"));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for (selection, path) in [
            (json!({"namespce": []}), ".namespce"),
            (json!({"scope": "Team"}), ".scope"),
            (json!({"namespaces": "a"}), ".namespaces"),
            (
                json!({"labelSelector": {"matchExpressions": [{"key": "a", "operator": "Is"}]}}),
                ".labelSelector.matchExpressions[0]",
            ),
            (json!({"source": "Any"}), ".source"),
            (json!([]), ""),
        ] {
            assert_eq!(Selection::read(&selection).unwrap_err().0, path, "{selection}");
        }
    }
}
