//! What is judged, and what is known around it: the documents a policy sees.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value, json};
use stoke_model::names;

/// One thing policies judge.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// A Kubernetes object, as it was written or as it is in a cluster.
    Object(&'a Value),
    /// The configuration an application would run with: everything that ends up in `spark.properties`.
    Conf {
        application: &'a Value,
        /// Every key with its value.
        conf: &'a BTreeMap<String, String>,
    },
    /// A pod an application would get.
    Pod {
        /// Which of its pods.
        role: Role,
        pod: &'a Value,
    },
}

/// Which of an application's pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Driver,
    Executor,
}

impl Role {
    /// As the label `spark-role` has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Driver => names::ROLE_DRIVER,
            Self::Executor => names::ROLE_EXECUTOR,
        }
    }
}

/// `apiVersion` and `kind` of the document that stands for effective configuration.
pub(crate) const CONF_API_VERSION: &str = "stoke.dev/v1";
pub(crate) const CONF_KIND: &str = "SparkConf";

impl Subject<'_> {
    /// The document that policies see as `input`.
    pub fn input(&self) -> Value {
        match self {
            Self::Object(object) => (*object).clone(),
            Self::Pod { pod, .. } => {
                let mut pod = (*pod).clone();
                // Pods that were derived have no type, as in a list.
                if let Value::Object(fields) = &mut pod {
                    fields.entry("apiVersion").or_insert_with(|| "v1".into());
                    fields.entry("kind").or_insert_with(|| "Pod".into());
                }
                pod
            }
            Self::Conf { application, conf } => conf_document(application, conf),
        }
    }
}

/// The document that stands for the configuration of an application.
fn conf_document(application: &Value, conf: &BTreeMap<String, String>) -> Value {
    let mut metadata = Map::new();
    for field in ["name", "namespace", "labels", "annotations"] {
        if let Some(value) = application["metadata"].get(field) {
            metadata.insert(field.to_owned(), value.clone());
        }
    }
    json!({"apiVersion": CONF_API_VERSION, "kind": CONF_KIND, "metadata": metadata, "conf": conf})
}

/// `Kind namespace/name`.
pub(crate) fn title(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (kind, namespace, name) = (
        text(&object["kind"]),
        text(&object["metadata"]["namespace"]),
        text(&object["metadata"]["name"]),
    );
    let kind = if kind.is_empty() { "object".to_owned() } else { kind };
    // A pod that is derived may have only the beginning of a name.
    let name = if name.is_empty() {
        text(&object["metadata"]["generateName"])
    } else {
        name
    };
    match (namespace.is_empty(), name.is_empty()) {
        (_, true) => kind,
        (true, false) => format!("{kind} {name}"),
        (false, false) => format!("{kind} {namespace}/{name}"),
    }
}

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(object) => f.write_str(&title(object)),
            Self::Conf { application, .. } => write!(f, "configuration of {}", title(application)),
            Self::Pod { role, pod } => {
                let title = title(pod);
                write!(
                    f,
                    "{} {}",
                    role.as_str(),
                    title.replacen("object", "pod", 1).replacen("Pod", "pod", 1)
                )
            }
        }
    }
}

/// What is known around a subject. Policies see it as `data.stoke`; what is not known is not there.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The application a subject is or belongs to: `data.stoke.application`.
    pub application: Option<Value>,
    /// Its effective configuration: `data.stoke.conf`.
    pub conf: Option<BTreeMap<String, String>>,
    /// The driver it would get: `data.stoke.pods.driver`.
    pub driver: Option<Value>,
    /// An executor it would get: `data.stoke.pods.executor`.
    pub executor: Option<Value>,
    /// The `Namespace` it is in: `data.stoke.namespace`.
    pub namespace: Option<Value>,
    /// Other objects: those given together with it, and what a cluster has in its namespace. `data.stoke.objects`, and Gatekeeper's
    /// `data.inventory`.
    pub objects: Option<Vec<Value>>,
    /// Images, as they are written, whose signatures someone verified: `data.stoke.images[image].signed`.
    pub images: BTreeMap<String, bool>,
}

/// [`Known`], made ready once for many subjects.
#[derive(Clone, Debug)]
pub struct Facts {
    pub(crate) stoke: regorus::Value,
    pub(crate) inventory: Option<regorus::Value>,
    pub(crate) namespace: Option<Value>,
}

impl Default for Facts {
    fn default() -> Self {
        Self::new(Known::default())
    }
}

impl Facts {
    /// Makes what is known ready.
    pub fn new(known: Known) -> Self {
        Self::of_scene(known, None)
    }

    /// The same with fields of the document put over it; `null` takes one away.
    pub(crate) fn of_scene(known: Known, over: Option<Value>) -> Self {
        let inventory = known.objects.as_deref().map(inventory);
        let namespace = known.namespace.clone();
        let mut document = known.into_document();
        for (name, value) in over.as_ref().and_then(Value::as_object).into_iter().flatten() {
            match value {
                Value::Null => drop(document.remove(name)),
                value => drop(document.insert(name.clone(), value.clone())),
            }
        }
        Self {
            stoke: regorus::Value::from(Value::Object(document)),
            inventory: inventory.map(regorus::Value::from),
            namespace,
        }
    }
}

impl Known {
    fn into_document(self) -> Map<String, Value> {
        let mut document = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                document.insert(name.to_owned(), value);
            }
        };
        put("application", self.application);
        put("conf", self.conf.map(|conf| json!(conf)));
        let mut pods = Map::new();
        pods.extend(self.driver.map(|pod| ("driver".to_owned(), pod)));
        pods.extend(self.executor.map(|pod| ("executor".to_owned(), pod)));
        put("pods", (!pods.is_empty()).then_some(Value::Object(pods)));
        put("namespace", self.namespace);
        put("objects", self.objects.map(Value::Array));
        let images = self
            .images
            .into_iter()
            .map(|(image, signed)| (image, json!({"signed": signed})));
        let images: Map<String, Value> = images.collect();
        put("images", (!images.is_empty()).then_some(Value::Object(images)));
        document
    }
}

/// Objects as Gatekeeper files them: `namespace[ns][groupVersion][kind][name]` and `cluster[groupVersion][kind][name]`.
fn inventory(objects: &[Value]) -> Value {
    let mut inventory = json!({"namespace": {}, "cluster": {}});
    for object in objects {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let metadata = &object["metadata"];
        let parts = (
            text(&object["apiVersion"]),
            text(&object["kind"]),
            text(&metadata["name"]),
        );
        let (Some(version), Some(kind), Some(name)) = parts else {
            continue;
        };
        let steps = match text(&metadata["namespace"]) {
            Some(namespace) => vec!["namespace".to_owned(), namespace, version, kind, name],
            None => vec!["cluster".to_owned(), version, kind, name],
        };
        let slot = steps.into_iter().fold(&mut inventory, |slot, step| {
            if !slot.is_object() {
                *slot = json!({});
            }
            &mut slot[step]
        });
        *slot = object.clone();
    }
    inventory
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_policies_see() {
        let application =
            json!({"kind": "SparkApplication", "metadata": {"name": "pi", "namespace": "spark", "uid": "x"}});
        let conf = BTreeMap::from([("spark.app.name".to_owned(), "pi".to_owned())]);
        let subject = Subject::Conf {
            application: &application,
            conf: &conf,
        };
        assert_eq!(
            subject.input(),
            json!({"apiVersion": "stoke.dev/v1", "kind": "SparkConf", "metadata": {"name": "pi", "namespace": "spark"},
                "conf": {"spark.app.name": "pi"}})
        );
        assert_eq!(subject.to_string(), "configuration of SparkApplication spark/pi");
        let pod = json!({"metadata": {"name": "pi-driver", "namespace": "spark"}});
        let subject = Subject::Pod {
            role: Role::Driver,
            pod: &pod,
        };
        assert_eq!(subject.input()["kind"], "Pod");
        assert_eq!(subject.to_string(), "driver pod spark/pi-driver");
        assert_eq!(Subject::Object(&json!({"kind": "List"})).to_string(), "List");
        assert_eq!(Subject::Object(&json!(7)).to_string(), "object");
    }

    #[test]
    fn only_what_is_known_is_there() {
        assert_eq!(Facts::default().stoke, regorus::Value::new_object());
        let known = Known {
            objects: Some(vec![
                json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "namespace": "n"}}),
                json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "b"}}),
                json!("nonsense"),
            ]),
            images: BTreeMap::from([("spark:4".to_owned(), true)]),
            ..Known::default()
        };
        let facts = Facts::new(known);
        assert_eq!(facts.stoke["images"]["spark:4"]["signed"], regorus::Value::from(true));
        let filed: Value = serde_json::to_value(facts.inventory.unwrap()).unwrap();
        assert_eq!(filed["namespace"]["n"]["v1"]["Service"]["a"]["kind"], "Service");
        assert_eq!(filed["cluster"]["v1"]["Node"]["b"]["kind"], "Node");
    }
}
