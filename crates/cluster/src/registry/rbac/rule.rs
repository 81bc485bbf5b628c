//! One rule: what it allows, what it covers, and how Kubernetes writes it.

use serde_json::{Value, json};

use crate::registry::identity::Attributes;

/// A parsed `PolicyRule`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rule {
    pub groups: Vec<String>,
    pub resources: Vec<String>,
    pub names: Vec<String>,
    pub urls: Vec<String>,
    pub verbs: Vec<String>,
}

fn has(list: &[String], wanted: &str) -> bool {
    list.iter().any(|item| item == "*" || item == wanted)
}

impl Rule {
    pub(super) fn parse(rule: &Value) -> Rule {
        let texts = |field: &str| {
            let items = rule[field].as_array().into_iter().flatten();
            items.filter_map(|item| item.as_str().map(str::to_owned)).collect()
        };
        Rule {
            groups: texts("apiGroups"),
            resources: texts("resources"),
            names: texts("resourceNames"),
            urls: texts("nonResourceURLs"),
            verbs: texts("verbs"),
        }
    }

    /// Every rule of a role.
    pub(super) fn all(rules: &Value) -> Vec<Rule> {
        rules.as_array().into_iter().flatten().map(Rule::parse).collect()
    }

    pub(super) fn json(&self) -> Value {
        let mut rule = json!({"verbs": self.verbs});
        for (field, items) in [
            ("apiGroups", &self.groups),
            ("resources", &self.resources),
            ("resourceNames", &self.names),
            ("nonResourceURLs", &self.urls),
        ] {
            if !items.is_empty() {
                rule[field] = items.clone().into();
            }
        }
        rule
    }

    fn has_resource(&self, resource: &str, subresource: &str) -> bool {
        match subresource {
            "" => has(&self.resources, resource),
            _ => {
                has(&self.resources, &format!("{resource}/{subresource}"))
                    || has(&self.resources, &format!("*/{subresource}"))
            }
        }
    }

    fn has_url(&self, path: &str) -> bool {
        self.urls.iter().any(|url| match url.strip_suffix('*') {
            Some(start) => path.starts_with(start),
            None => url == path,
        })
    }

    pub(super) fn allows(&self, asked: &Attributes<'_>) -> bool {
        let named =
            self.names.is_empty() || (!asked.name.is_empty() && self.names.iter().any(|name| name == asked.name));
        has(&self.verbs, asked.verb)
            && has(&self.groups, asked.group)
            && self.has_resource(asked.resource, asked.subresource)
            && named
    }

    pub(super) fn allows_path(&self, verb: &str, path: &str) -> bool {
        has(&self.verbs, verb) && self.has_url(path)
    }

    /// Whether this rule allows all of another, which has one of everything.
    fn covers(&self, single: &Rule) -> bool {
        let every = |held: &[String], wanted: &[String]| wanted.iter().all(|item| has(held, item));
        let resources = single.resources.iter().all(|resource| match resource.split_once('/') {
            Some((resource, subresource)) => self.has_resource(resource, subresource),
            None => has(&self.resources, resource),
        });
        let names = match (self.names.as_slice(), single.names.as_slice()) {
            ([], _) => true,
            (_, []) => false,
            (held, wanted) => wanted.iter().all(|name| held.contains(name)),
        };
        let urls = single
            .urls
            .iter()
            .all(|url| self.urls.contains(url) || self.has_url(url));
        every(&self.verbs, &single.verbs) && every(&self.groups, &single.groups) && resources && names && urls
    }

    /// Rules with one of everything that together allow the same.
    fn singles(&self) -> Vec<Rule> {
        let one = |text: &String| vec![text.clone()];
        let mut singles = Vec::new();
        for group in &self.groups {
            for resource in &self.resources {
                for verb in &self.verbs {
                    let single = Rule {
                        groups: one(group),
                        resources: one(resource),
                        verbs: one(verb),
                        ..Rule::default()
                    };
                    if self.names.is_empty() {
                        singles.push(single);
                    } else {
                        singles.extend(self.names.iter().map(|name| Rule {
                            names: one(name),
                            ..single.clone()
                        }));
                    }
                }
            }
        }
        for url in &self.urls {
            singles.extend(self.verbs.iter().map(|verb| Rule {
                urls: one(url),
                verbs: one(verb),
                ..Rule::default()
            }));
        }
        singles
    }
}

/// What of the wanted rules no one holds, as Kubernetes writes it: one line a rule, sorted.
pub(super) fn missing(held: &[Rule], wanted: &[Rule]) -> Vec<String> {
    let mut missing: Vec<Rule> = Vec::new();
    for single in wanted.iter().flat_map(Rule::singles) {
        if held.iter().any(|rule| rule.covers(&single)) {
            continue;
        }
        // Verbs on the same thing stand together.
        let same = missing.iter_mut().find(|known| {
            (&known.groups, &known.resources, &known.names, &known.urls)
                == (&single.groups, &single.resources, &single.names, &single.urls)
        });
        match same {
            Some(known) if !known.verbs.contains(&single.verbs[0]) => known.verbs.extend(single.verbs),
            Some(_) => {}
            None => missing.push(single),
        }
    }
    let mut lines: Vec<String> = missing.iter().map(compact).collect();
    lines.sort();
    lines.dedup();
    lines
}

/// A list as Go's `%q` writes it.
pub(super) fn quoted(list: &[String]) -> String {
    let items: Vec<String> = list.iter().map(|item| format!("{item:?}")).collect();
    format!("[{}]", items.join(" "))
}

fn compact(rule: &Rule) -> String {
    let parts = [
        ("APIGroups", &rule.groups),
        ("Resources", &rule.resources),
        ("NonResourceURLs", &rule.urls),
        ("ResourceNames", &rule.names),
        ("Verbs", &rule.verbs),
    ];
    let parts = parts.iter().filter(|(_, list)| !list.is_empty());
    let parts: Vec<String> = parts.map(|(name, list)| format!("{name}:{}", quoted(list))).collect();
    format!("{{{}}}", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_name_verbs_groups_resources_and_names() {
        let rule = Rule::parse(
            &json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods", "pods/log"], "resourceNames": ["a"]}),
        );
        let asked = Attributes {
            verb: "get",
            group: "",
            resource: "pods",
            subresource: "",
            namespace: "n",
            name: "a",
        };
        let with = |change: fn(&mut Attributes<'static>)| {
            let mut asked = asked;
            change(&mut asked);
            rule.allows(&asked)
        };
        assert!(rule.allows(&asked));
        assert!(with(|asked| asked.subresource = "log"));
        assert!(!with(|asked| asked.subresource = "exec"));
        assert!(!with(|asked| asked.verb = "list"));
        assert!(!with(|asked| asked.name = "b"));
        assert!(!with(|asked| asked.name = ""));
        assert!(!with(|asked| asked.group = "apps"));
    }

    #[test]
    fn paths_are_matched_whole_or_by_their_start() {
        let rule = Rule::parse(&json!({"verbs": ["get"], "nonResourceURLs": ["/healthz", "/openapi/*"]}));
        assert!(rule.allows_path("get", "/healthz") && rule.allows_path("get", "/openapi/v3/api/v1"));
        assert!(!rule.allows_path("get", "/healthz/etcd") && !rule.allows_path("post", "/healthz"));
    }

    #[test]
    fn what_is_not_held_is_told_compactly() {
        let held = Rule::all(&json!([
            {"apiGroups": [""], "resources": ["pods", "*/scale"], "verbs": ["get", "list"]},
            {"apiGroups": ["apps"], "resources": ["*"], "resourceNames": ["web"], "verbs": ["*"]},
        ]));
        let lines = |wanted: Value| missing(&held, &Rule::all(&wanted));
        assert!(
            lines(json!([{"apiGroups": [""], "resources": ["pods", "deployments/scale"], "verbs": ["get"]}]))
                .is_empty()
        );
        assert!(lines(json!([{"apiGroups": ["apps"], "resources": ["deployments"], "resourceNames": ["web"], "verbs": ["get"]}])).is_empty());
        assert_eq!(
            lines(json!([
                {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "create", "delete"]},
                {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"]},
                {"nonResourceURLs": ["/metrics"], "verbs": ["get"]},
            ])),
            [
                r#"{APIGroups:[""], Resources:["pods"], Verbs:["create" "delete"]}"#,
                r#"{APIGroups:["apps"], Resources:["deployments"], Verbs:["get"]}"#,
                r#"{NonResourceURLs:["/metrics"], Verbs:["get"]}"#,
            ]
        );
    }
}
