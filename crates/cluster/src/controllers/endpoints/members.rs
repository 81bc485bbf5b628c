//! Which pods belong to which services, kept up to date pod by pod.
//!
//! A pod's change costs a look-up for each of its labels, whatever number of services and pods there is; a service that comes costs one
//! comparison with each pod of its namespace.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::Value;

use crate::store::{Fields, Key};

/// A label and its value.
type Pair = (Box<str>, Box<str>);

/// Services by the value of a label.
type ByValue = HashMap<Box<str>, BTreeSet<Key>>;

/// The services with a selector, and their pods.
#[derive(Default)]
pub(super) struct Members {
    services: BTreeMap<Key, Service>,
    /// Services by namespace and one pair of their selector, label and value: the pair that fewest others have been filed under.
    filed: HashMap<Arc<str>, HashMap<Box<str>, ByValue>>,
    /// The services each pod belongs to; none without any.
    of_pod: HashMap<Key, BTreeSet<Key>>,
}

struct Service {
    selector: Vec<Pair>,
    filed: Pair,
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
    fn filed(&self, namespace: &str, (label, value): (&str, &str)) -> Option<&BTreeSet<Key>> {
        self.filed.get(namespace)?.get(label)?.get(value)
    }

    /// Notes a service as it is now. `pods` gives those of its namespace that satisfy a condition; it is asked when the service is new, or its
    /// selector is.
    pub fn service(&mut self, key: &Key, selector: &Value, pods: impl FnOnce(&dyn Fn(&Fields) -> bool) -> Vec<Key>) {
        let pairs = selector.as_object().into_iter().flatten();
        let selector: Vec<Pair> = pairs
            .map(|(key, value)| (key.as_str().into(), value.as_str().unwrap_or_default().into()))
            .collect();
        if self
            .services
            .get(key)
            .is_some_and(|service| service.selector == selector)
        {
            return;
        }
        self.forget(key);
        let crowd = |(label, value): &&Pair| self.filed(&key.namespace, (label, value)).map_or(0, BTreeSet::len);
        let Some(filed) = selector.iter().min_by_key(crowd).cloned() else {
            return;
        };
        let labels = self.filed.entry(key.namespace.clone()).or_default();
        let values = labels.entry(filed.0.clone()).or_default();
        values.entry(filed.1.clone()).or_default().insert(key.clone());
        let mut service = Service {
            selector,
            filed,
            pods: BTreeSet::new(),
        };
        service.pods.extend(pods(&|fields| service.selects(fields)));
        for pod in &service.pods {
            self.of_pod.entry(pod.clone()).or_default().insert(key.clone());
        }
        self.services.insert(key.clone(), service);
    }

    /// Forgets a service.
    pub fn forget(&mut self, key: &Key) {
        let Some(service) = self.services.remove(key) else {
            return;
        };
        let (label, value) = &service.filed;
        if let Some(labels) = self.filed.get_mut(&key.namespace)
            && let Some(values) = labels.get_mut(label)
            && let Some(services) = values.get_mut(value)
        {
            services.remove(key);
            if services.is_empty() {
                values.remove(value);
            }
            if values.is_empty() {
                labels.remove(label);
            }
            if labels.is_empty() {
                self.filed.remove(&key.namespace);
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
        if let Some(fields) = fields {
            for (label, value) in &fields.labels {
                let filed = self.filed(&key.namespace, (label, value)).into_iter().flatten();
                let theirs = |service: &&Key| {
                    self.services
                        .get(service)
                        .is_some_and(|service| service.selects(fields))
                };
                now.extend(filed.filter(theirs).cloned());
            }
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

    fn none(_: &dyn Fn(&Fields) -> bool) -> Vec<Key> {
        Vec::new()
    }

    fn names(keys: impl IntoIterator<Item = Key>) -> Vec<String> {
        keys.into_iter().map(|key| key.name.to_string()).collect()
    }

    #[test]
    fn pods_come_change_and_go() {
        let mut members = Members::default();
        let (a, b) = (key("services", "a"), key("services", "b"));
        members.service(&a, &json!({"app": "a", "role": "driver"}), none);
        members.service(&b, &json!({"app": "b", "role": "driver"}), none);
        // It is known: nobody is asked again.
        members.service(&b, &json!({"app": "b", "role": "driver"}), |_| unreachable!());
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
        let there = |selects: &dyn Fn(&Fields) -> bool| selects(&fields).then(|| pod.clone()).into_iter().collect();
        members.service(&service, &json!({"app": "a"}), there);
        assert_eq!(names(members.pods(&service).cloned()), ["p"]);
        members.service(&service, &json!({"app": "other"}), there);
        assert_eq!(members.pods(&service).count(), 0);
        assert!(members.pod(&pod, Some(&fields)).is_empty());
        members.service(&service, &json!({"app": "a"}), there);
        assert_eq!(names(members.pod(&pod, Some(&fields))), ["s"]);
        members.forget(&service);
        assert!(members.pod(&pod, Some(&fields)).is_empty());
        // One without a selector has no pods of ours.
        members.service(&service, &Value::Null, there);
        assert!(members.filed.is_empty() && members.of_pod.is_empty() && members.services.is_empty());
    }

    #[test]
    fn another_namespace_is_another_world() {
        let mut members = Members::default();
        let service = key("services", "s");
        members.service(&service, &json!({"app": "a"}), none);
        let elsewhere = Key::new(&"pods".into(), "elsewhere", "p");
        assert!(members.pod(&elsewhere, Some(&labels(json!({"app": "a"})))).is_empty());
    }

    #[test]
    fn services_are_filed_where_few_are() {
        let mut members = Members::default();
        for number in 0..100 {
            let selector = json!({"role": "driver", "app": format!("app-{number}")});
            members.service(&key("services", &format!("s-{number}")), &selector, none);
        }
        let values = members
            .filed
            .values()
            .flat_map(HashMap::values)
            .flat_map(HashMap::values);
        let most = values.map(BTreeSet::len).max();
        assert!(most <= Some(1), "{most:?} services must be asked for one label");
    }
}
