//! Whether the rules and selectors of a configuration cover a write.

use serde_json::Value;

use super::{Attempt, Operation};
use crate::apimachinery::selectors::LabelSelector;
use crate::store::fields_of;

/// One rule: which operations on which resources.
#[derive(Debug)]
pub(super) struct Rule {
    operations: Vec<String>,
    groups: Vec<String>,
    versions: Vec<String>,
    resources: Vec<String>,
    scope: String,
    names: Vec<String>,
}

/// What a configuration covers.
#[derive(Debug)]
pub(super) struct Cover {
    rules: Vec<Rule>,
    excluded: Vec<Rule>,
    namespaces: LabelSelector,
    objects: LabelSelector,
    exact: bool,
}

fn texts(value: &Value) -> Vec<String> {
    let list = value.as_array().into_iter().flatten();
    list.filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

impl Rule {
    fn read(json: &Value) -> Rule {
        Rule {
            operations: texts(&json["operations"]),
            groups: texts(&json["apiGroups"]),
            versions: texts(&json["apiVersions"]),
            resources: texts(&json["resources"]),
            scope: json["scope"].as_str().unwrap_or("*").to_owned(),
            names: texts(&json["resourceNames"]),
        }
    }

    /// Covers the write in this version of its resource.
    fn covers(&self, attempt: &Attempt<'_>, version: &str) -> bool {
        let has = |list: &[String], wanted: &str| list.iter().any(|item| item == "*" || item == wanted);
        let plural = &attempt.resource.plural;
        let resource = self.resources.iter().any(|wanted| match wanted.split_once('/') {
            Some((resource, subresource)) => {
                (resource == "*" || resource == plural)
                    && (subresource == "*" || subresource == attempt.subresource)
                    && (!attempt.subresource.is_empty() || subresource == "*")
            }
            None => attempt.subresource.is_empty() && (wanted == "*" || wanted == plural),
        });
        // A namespace counts as cluster-wide.
        let scope = match self.scope.as_str() {
            "Namespaced" => attempt.resource.namespaced,
            "Cluster" => !attempt.resource.namespaced,
            _ => true,
        };
        resource
            && scope
            && has(&self.operations, attempt.operation.name())
            && has(&self.groups, &attempt.resource.group)
            && has(&self.versions, version)
            && (self.names.is_empty() || self.names.iter().any(|name| name == attempt.name))
    }
}

impl Cover {
    /// Reads `rules` of a webhook, or the match constraints of a policy.
    pub fn read(json: &Value, rules: &str) -> Cover {
        let list = |name: &str| json[name].as_array().into_iter().flatten().map(Rule::read).collect();
        Cover {
            rules: list(rules),
            excluded: list("excludeResourceRules"),
            namespaces: LabelSelector::from_selector(&json["namespaceSelector"]),
            objects: LabelSelector::from_selector(&json["objectSelector"]),
            exact: json["matchPolicy"] == "Exact",
        }
    }

    /// The version in which it covers a write; `None` if it does not. `any`: a configuration without rules covers everything.
    pub fn covers(
        &self,
        attempt: &Attempt<'_>,
        object: Option<&Value>,
        namespace: Option<&Value>,
        any: bool,
    ) -> Option<String> {
        let own = attempt.resource.version.as_str();
        let resources = attempt.registry.resources();
        let mut versions = vec![own.to_owned()];
        if !self.exact {
            let others = resources.groups().find(|(group, _)| *group == attempt.resource.group);
            let others = others.into_iter().flat_map(|(_, versions)| versions);
            versions.extend(others.filter(|version| *version != own).cloned());
        }
        let found = if any && self.rules.is_empty() {
            own.to_owned()
        } else {
            versions.into_iter().find(|version| {
                let served = version == own
                    || resources
                        .find(&attempt.resource.group, version, &attempt.resource.plural)
                        .is_some();
                served && self.rules.iter().any(|rule| rule.covers(attempt, version))
            })?
        };
        if self.excluded.iter().any(|rule| rule.covers(attempt, &found)) {
            return None;
        }
        let labels = |value: &Value| fields_of(value);
        if !self.namespaces.is_empty() && !namespace.is_none_or(|namespace| self.namespaces.matches(&labels(namespace)))
        {
            return None;
        }
        if !self.objects.is_empty() {
            let new = object.is_some_and(|object| self.objects.matches(&labels(object)));
            let old = attempt.old.is_some_and(|old| self.objects.matches(&labels(old)));
            if !new && !old {
                return None;
            }
        }
        Some(found)
    }
}

/// The object in the version that a rule covers.
pub(super) fn in_version(attempt: &Attempt<'_>, object: &Value, version: &str) -> Value {
    let mut object = object.clone();
    if version != attempt.resource.version && attempt.subresource != "scale" {
        object["apiVersion"] = crate::apimachinery::resources::api_version(&attempt.resource.group, version).into();
    }
    object
}

/// What a review shows: nothing new of what is deleted.
pub(super) fn shown(operation: Operation, object: Option<&Value>) -> Option<&Value> {
    object.filter(|_| operation != Operation::Delete)
}
