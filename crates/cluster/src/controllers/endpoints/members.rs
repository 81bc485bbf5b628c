//! Which pods belong to which services, kept up to date pod by pod.
//!
//! A pod's change costs a look-up for each of its labels, a service that comes one comparison with each pod that has the rarest of its
//! labels, whatever number of services and pods there is. Only the first service that asks for a label looks at every pod of its namespace.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::Value;

use crate::store::{Fields, Key, Object};

/// A label and its value.
type Pair = (Box<str>, Box<str>);

/// Services, or pods, by the value of a label.
type ByValue = HashMap<Box<str>, BTreeSet<Key>>;

/// The services with a selector, and their pods.
#[derive(Default)]
pub(super) struct Members {
    services: BTreeMap<Key, Service>,
    /// Services by namespace and one pair of their selector, label and value: the pair that fewest others have been filed under.
    filed: HashMap<Arc<str>, HashMap<Box<str>, ByValue>>,
    /// The services each pod belongs to; none without any.
    of_pod: HashMap<Key, BTreeSet<Key>>,
    /// Pods by namespace, label and value, of the labels that services are filed under.
    labelled: HashMap<Arc<str>, HashMap<Box<str>, ByValue>>,
    /// The values of these labels that a pod is filed under.
    values: HashMap<Key, Vec<Pair>>,
}

/// Where pods are looked up.
pub(super) trait Pods {
    /// All of a namespace.
    fn all(&self, namespace: &str) -> Vec<Arc<Object>>;

    /// One, if it is there.
    fn get(&self, key: &Key) -> Option<Arc<Object>>;
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

    /// Notes a service as it is now. `pods` is asked when the service is new, or its selector is.
    pub fn service(&mut self, key: &Key, selector: &Value, pods: &impl Pods) {
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
        self.look_at(&key.namespace, &filed.0, pods);
        let mut service = Service {
            selector,
            filed,
            pods: BTreeSet::new(),
        };
        for pod in self.candidates(&key.namespace, &service.selector) {
            if pods.get(pod).is_some_and(|pod| service.selects(&pod.fields)) {
                service.pods.insert(pod.clone());
            }
        }
        for pod in &service.pods {
            self.of_pod.entry(pod.clone()).or_default().insert(key.clone());
        }
        self.services.insert(key.clone(), service);
    }

    /// From now on, pods are found by this label.
    fn look_at(&mut self, namespace: &Arc<str>, label: &str, pods: &impl Pods) {
        let labels = self.labelled.entry(namespace.clone()).or_default();
        if labels.contains_key(label) {
            return;
        }
        let values = labels.entry(label.into()).or_default();
        for pod in pods.all(namespace) {
            if let Some(value) = pod.fields.label(label) {
                values.entry(value.into()).or_default().insert(pod.key.clone());
                let pairs = self.values.entry(pod.key.clone()).or_default();
                pairs.push((label.into(), value.into()));
            }
        }
    }

    /// Pods with one of these pairs: the one that fewest have, of those that pods are found by.
    fn candidates(&self, namespace: &str, selector: &[Pair]) -> impl Iterator<Item = &Key> {
        let labels = self.labelled.get(namespace);
        let known = selector.iter().filter_map(move |(label, value)| {
            let values = labels?.get(label)?;
            Some(values.get(value))
        });
        let fewest = known.min_by_key(|pods| pods.map_or(0, BTreeSet::len));
        fewest.flatten().into_iter().flatten()
    }

    /// Files a pod under the labels that pods are found by, and no more under others.
    fn file(&mut self, key: &Key, fields: Option<&Fields>) {
        let Some(labels) = self.labelled.get_mut(&key.namespace) else {
            return;
        };
        let now: Vec<Pair> = fields.map_or_else(Vec::new, |fields| {
            let filed = fields.labels.iter().filter(|(label, _)| labels.contains_key(label));
            filed.cloned().collect()
        });
        let before = self.values.remove(key).unwrap_or_default();
        for (label, value) in before.iter().filter(|pair| !now.contains(pair)) {
            if let Some(values) = labels.get_mut(label)
                && let Some(pods) = values.get_mut(value)
            {
                pods.remove(key);
                if pods.is_empty() {
                    values.remove(value);
                }
            }
        }
        for (label, value) in now.iter().filter(|pair| !before.contains(pair)) {
            if let Some(values) = labels.get_mut(label) {
                values.entry(value.clone()).or_default().insert(key.clone());
            }
        }
        if !now.is_empty() {
            self.values.insert(key.clone(), now);
        }
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
        self.file(key, fields);
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

    /// Pods that are there, and how often all of them were looked at.
    #[derive(Default)]
    struct There(Vec<Arc<Object>>, std::cell::Cell<usize>);

    impl There {
        fn with(pods: &[(&str, &Fields)]) -> There {
            let object = |(name, fields): &(&str, &Fields)| {
                Arc::new(Object {
                    key: key("pods", name),
                    revision: 1,
                    fields: (*fields).clone(),
                    json: bytes::Bytes::new(),
                })
            };
            There(pods.iter().map(object).collect(), Default::default())
        }
    }

    impl Pods for There {
        fn all(&self, namespace: &str) -> Vec<Arc<Object>> {
            self.1.set(self.1.get() + 1);
            let pods = self.0.iter().filter(|pod| *pod.key.namespace == *namespace);
            pods.cloned().collect()
        }

        fn get(&self, key: &Key) -> Option<Arc<Object>> {
            self.0.iter().find(|pod| pod.key == *key).cloned()
        }
    }

    fn names(keys: impl IntoIterator<Item = Key>) -> Vec<String> {
        keys.into_iter().map(|key| key.name.to_string()).collect()
    }

    #[test]
    fn pods_come_change_and_go() {
        let mut members = Members::default();
        let (a, b) = (key("services", "a"), key("services", "b"));
        members.service(&a, &json!({"app": "a", "role": "driver"}), &There::default());
        members.service(&b, &json!({"app": "b", "role": "driver"}), &There::default());
        // It is known: no one is asked again.
        let nobody = There::default();
        members.service(&b, &json!({"app": "b", "role": "driver"}), &nobody);
        assert_eq!(nobody.1.get(), 0);
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
        let there = There::with(&[("p", &fields)]);
        members.service(&service, &json!({"app": "a"}), &there);
        assert_eq!(names(members.pods(&service).cloned()), ["p"]);
        members.service(&service, &json!({"app": "other"}), &there);
        assert_eq!(members.pods(&service).count(), 0);
        assert!(members.pod(&pod, Some(&fields)).is_empty());
        members.service(&service, &json!({"app": "a"}), &there);
        assert_eq!(names(members.pod(&pod, Some(&fields))), ["s"]);
        members.forget(&service);
        assert!(members.pod(&pod, Some(&fields)).is_empty());
        // One without a selector has no pods of ours.
        members.service(&service, &Value::Null, &there);
        assert!(members.filed.is_empty() && members.of_pod.is_empty() && members.services.is_empty());
    }

    #[test]
    fn services_find_their_pods_without_looking_at_all() {
        let all: Vec<Fields> = (0..100)
            .map(|number| labels(json!({"role": "driver", "app": format!("app-{number}")})))
            .collect();
        let listed: Vec<(String, &Fields)> = all
            .iter()
            .enumerate()
            .map(|(at, fields)| (format!("p-{at}"), fields))
            .collect();
        let listed: Vec<(&str, &Fields)> = listed.iter().map(|(name, fields)| (name.as_str(), *fields)).collect();
        let there = There::with(&listed);
        let mut members = Members::default();
        for number in 0..100 {
            let selector = json!({"role": "driver", "app": format!("app-{number}")});
            let service = key("services", &format!("s-{number}"));
            members.service(&service, &selector, &there);
            assert_eq!(names(members.pods(&service).cloned()), [format!("p-{number}")]);
        }
        assert!(there.1.get() <= 2, "all pods were looked at {} times", there.1.get());
        // A pod that changes its label is found by the new one, one that goes by none.
        members.pod(
            &key("pods", "p-1"),
            Some(&labels(json!({"role": "driver", "app": "new"}))),
        );
        members.pod(&key("pods", "p-2"), None);
        let there = There::with(&[("p-1", &labels(json!({"role": "driver", "app": "new"})))]);
        for (name, app, pods) in [
            ("n", "new", vec!["p-1"]),
            ("o", "app-1", vec![]),
            ("t", "app-2", vec![]),
        ] {
            let service = key("services", name);
            members.service(&service, &json!({"role": "driver", "app": app}), &there);
            assert_eq!(names(members.pods(&service).cloned()), pods, "{app}");
        }
        assert_eq!(there.1.get(), 0);
    }

    #[test]
    fn another_namespace_is_another_world() {
        let mut members = Members::default();
        let service = key("services", "s");
        members.service(&service, &json!({"app": "a"}), &There::default());
        let elsewhere = Key::new(&"pods".into(), "elsewhere", "p");
        assert!(members.pod(&elsewhere, Some(&labels(json!({"app": "a"})))).is_empty());
    }

    #[test]
    fn services_are_filed_where_few_are() {
        let mut members = Members::default();
        for number in 0..100 {
            let selector = json!({"role": "driver", "app": format!("app-{number}")});
            members.service(&key("services", &format!("s-{number}")), &selector, &There::default());
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
