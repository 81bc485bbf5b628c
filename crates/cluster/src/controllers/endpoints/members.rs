//! Which pods belong to which services, kept up to date pod by pod.
//!
//! A pod's change costs a look-up for each of its labels, whatever number of services and pods there is; a service that comes costs one pass
//! over the pods of its namespace.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::Value;

use crate::store::{Fields, Key};

/// A label and its value.
type Pair = (Box<str>, Box<str>);

/// The services with a selector, and their pods.
#[derive(Default)]
pub(super) struct Members {
    services: BTreeMap<Key, Service>,
    /// Services by namespace and one pair of their selector: the one that fewest others have been filed under.
    filed: HashMap<(Arc<str>, Pair), BTreeSet<Key>>,
    /// The services each pod belongs to; none without any.
    of_pod: HashMap<Key, BTreeSet<Key>>,
}

struct Service {
    selector: Vec<Pair>,
    filed: (Arc<str>, Pair),
    pods: BTreeSet<Key>,
}

impl Service {
    fn selects(&self, fields: &Fields) -> bool {
        self.selector
            .iter()
            .all(|(key, value)| fields.label(key) == Some(&**value))
    }
}

impl Members {
    /// Notes a service as it is now. True when its pods must be told by [`Members::pod`], all of its namespace: it is new, or its selector is.
    pub fn service(&mut self, key: &Key, selector: &Value) -> bool {
        let pairs = selector.as_object().into_iter().flatten();
        let selector: Vec<Pair> = pairs
            .map(|(key, value)| (key.as_str().into(), value.as_str().unwrap_or_default().into()))
            .collect();
        if self
            .services
            .get(key)
            .is_some_and(|service| service.selector == selector)
        {
            return false;
        }
        self.forget(key);
        let places = selector.iter().map(|pair| (key.namespace.clone(), pair.clone()));
        let Some(filed) = places.min_by_key(|place| self.filed.get(place).map_or(0, BTreeSet::len)) else {
            return false;
        };
        self.filed.entry(filed.clone()).or_default().insert(key.clone());
        let service = Service {
            selector,
            filed,
            pods: BTreeSet::new(),
        };
        self.services.insert(key.clone(), service);
        true
    }

    /// Forgets a service.
    pub fn forget(&mut self, key: &Key) {
        let Some(service) = self.services.remove(key) else {
            return;
        };
        if let Some(filed) = self.filed.get_mut(&service.filed) {
            filed.remove(key);
            if filed.is_empty() {
                self.filed.remove(&service.filed);
            }
        }
        for pod in service.pods {
            self.leave(&pod, key);
        }
    }

    fn leave(&mut self, pod: &Key, service: &Key) {
        if let Some(services) = self.of_pod.get_mut(pod) {
            services.remove(service);
            if services.is_empty() {
                self.of_pod.remove(pod);
            }
        }
    }

    /// Notes a pod as it is now, `None` when it is gone. Gives the services that had it or have it.
    pub fn pod(&mut self, key: &Key, fields: Option<&Fields>) -> BTreeSet<Key> {
        let mut now = BTreeSet::new();
        for label in fields.into_iter().flat_map(|fields| &fields.labels) {
            let filed = self.filed.get(&(key.namespace.clone(), label.clone()));
            now.extend(
                filed
                    .into_iter()
                    .flatten()
                    .filter(|service| {
                        fields.is_some_and(|fields| {
                            self.services
                                .get(service)
                                .is_some_and(|service| service.selects(fields))
                        })
                    })
                    .cloned(),
            );
        }
        let before = self.of_pod.remove(key).unwrap_or_default();
        for service in before.difference(&now) {
            if let Some(service) = self.services.get_mut(service) {
                service.pods.remove(key);
            }
        }
        for service in now.difference(&before) {
            if let Some(service) = self.services.get_mut(service) {
                service.pods.insert(key.clone());
            }
        }
        let concerned = before.union(&now).cloned().collect();
        if !now.is_empty() {
            self.of_pod.insert(key.clone(), now);
        }
        concerned
    }

    /// The pods of a service, by name.
    pub fn pods(&self, service: &Key) -> impl Iterator<Item = &Key> {
        self.services.get(service).into_iter().flat_map(|service| &service.pods)
    }

    /// All services with a selector.
    pub fn services(&self) -> impl Iterator<Item = &Key> {
        self.services.keys()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::fields_of;

    fn key(resource: &str, name: &str) -> Key {
        Key::new(&resource.into(), "default", name)
    }

    fn labels(labels: Value) -> Fields {
        fields_of(&json!({"metadata": {"labels": labels}}))
    }

    fn names(keys: impl IntoIterator<Item = Key>) -> Vec<String> {
        keys.into_iter().map(|key| key.name.to_string()).collect()
    }

    #[test]
    fn pods_come_change_and_go() {
        let mut members = Members::default();
        let (a, b) = (key("services", "a"), key("services", "b"));
        assert!(members.service(&a, &json!({"app": "a", "role": "driver"})));
        assert!(members.service(&b, &json!({"app": "b", "role": "driver"})));
        assert!(
            !members.service(&b, &json!({"app": "b", "role": "driver"})),
            "it is known"
        );
        let pod = key("pods", "p");
        let told = members.pod(&pod, Some(&labels(json!({"app": "a", "role": "driver", "more": "x"}))));
        assert_eq!(names(told), ["a"]);
        assert_eq!(names(members.pods(&a).cloned()), ["p"]);
        assert_eq!(members.pods(&b).count(), 0);
        // Its labels change: the one that loses it and the one that gets it are told.
        let told = members.pod(&pod, Some(&labels(json!({"app": "b", "role": "driver"}))));
        assert_eq!(names(told), ["a", "b"]);
        assert_eq!(members.pods(&a).count(), 0);
        // It no longer fits any selector, then it goes.
        assert_eq!(
            names(members.pod(&pod, Some(&labels(json!({"role": "driver"}))))),
            ["b"]
        );
        assert_eq!(names(members.pod(&pod, None)), Vec::<String>::new());
        assert!(members.of_pod.is_empty());
    }

    #[test]
    fn a_service_changes_and_goes() {
        let mut members = Members::default();
        let (service, pod) = (key("services", "s"), key("pods", "p"));
        let fields = labels(json!({"app": "a"}));
        assert!(members.service(&service, &json!({"app": "a"})));
        members.pod(&pod, Some(&fields));
        assert!(members.service(&service, &json!({"app": "other"})), "another selector");
        assert_eq!(members.pods(&service).count(), 0);
        assert!(members.pod(&pod, Some(&fields)).is_empty());
        assert!(members.service(&service, &json!({"app": "a"})));
        members.pod(&pod, Some(&fields));
        members.forget(&service);
        assert!(members.pod(&pod, Some(&fields)).is_empty());
        // One without a selector has no pods of ours.
        assert!(!members.service(&service, &Value::Null));
        assert!(members.filed.is_empty() && members.of_pod.is_empty() && members.services.is_empty());
    }

    #[test]
    fn another_namespace_is_another_world() {
        let mut members = Members::default();
        let service = key("services", "s");
        members.service(&service, &json!({"app": "a"}));
        let elsewhere = Key::new(&"pods".into(), "elsewhere", "p");
        assert!(members.pod(&elsewhere, Some(&labels(json!({"app": "a"})))).is_empty());
    }

    #[test]
    fn services_are_filed_where_few_are() {
        let mut members = Members::default();
        for number in 0..100 {
            let selector = json!({"role": "driver", "app": format!("app-{number}")});
            members.service(&key("services", &format!("s-{number}")), &selector);
        }
        let most = members.filed.values().map(BTreeSet::len).max();
        assert!(most <= Some(1), "{most:?} services must be asked for one label");
    }
}
