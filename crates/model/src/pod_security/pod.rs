//! Walking a pod, and saying who set what.

use serde_json::Value;

/// What a control looks at.
pub(super) struct Pod<'a> {
    pub metadata: &'a Value,
    pub spec: &'a Value,
}

/// A container and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Container<'a> {
    list: &'static str,
    index: usize,
    pub value: &'a Value,
}

/// What a control found.
#[derive(Debug)]
pub(super) struct Found {
    pub reason: String,
    pub detail: String,
    pub paths: Vec<String>,
}

impl<'a> Container<'a> {
    pub fn name(&self) -> &'a str {
        self.value["name"].as_str().unwrap_or_default()
    }

    pub fn context(&self) -> &'a Value {
        &self.value["securityContext"]
    }

    /// Where a field of it stands.
    pub fn path(&self, field: &str) -> String {
        format!("spec.{}[{}].{field}", self.list, self.index)
    }
}

impl<'a> Pod<'a> {
    /// All containers, in the order Kubernetes visits them.
    pub fn containers(&self) -> impl Iterator<Item = Container<'a>> {
        let spec = self.spec;
        ["initContainers", "containers", "ephemeralContainers"]
            .into_iter()
            .flat_map(move |list| {
                let values = spec[list].as_array().into_iter().flatten().enumerate();
                values.map(move |(index, value)| Container { list, index, value })
            })
    }

    pub fn context(&self) -> &'a Value {
        &self.spec["securityContext"]
    }

    /// A pod that says it is of Windows.
    pub fn windows(&self) -> bool {
        self.spec["os"]["name"] == "windows"
    }

    /// A pod with user namespaces of its own: root in it is an ordinary user outside.
    pub fn user_namespace(&self) -> bool {
        self.spec["hostUsers"] == false
    }

    pub fn annotations(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let annotations = self.metadata["annotations"].as_object().into_iter().flatten();
        annotations.map(|(key, value)| (key.as_str(), value.as_str().unwrap_or_default()))
    }

    pub fn annotation(&self, key: &str) -> Option<&'a str> {
        self.annotations()
            .find(|(name, _)| *name == key)
            .map(|(_, value)| value)
    }

    /// Containers whose field (below `securityContext`) a test is against.
    pub fn blame_containers(&self, field: &str, mut against: impl FnMut(&'a Value) -> bool) -> Setters<'a> {
        let mut setters = Setters::default();
        for container in self.containers() {
            if against(container.context()) {
                setters.add(&container, &format!("securityContext.{field}"));
            }
        }
        setters
    }

    /// The pod and containers whose field (below `securityContext`) a test is against.
    pub fn blame(&self, field: &str, mut against: impl FnMut(&'a Value) -> bool) -> Setters<'a> {
        let pod = against(self.context());
        let mut setters = self.blame_containers(field, against);
        if pod {
            setters.pod = true;
            setters.paths.insert(0, format!("spec.securityContext.{field}"));
        }
        setters
    }
}

/// Who set something: the pod itself, or containers by name.
#[derive(Default)]
pub(super) struct Setters<'a> {
    pub pod: bool,
    pub containers: Vec<&'a str>,
    pub paths: Vec<String>,
}

impl<'a> Setters<'a> {
    pub fn add(&mut self, container: &Container<'a>, field: &str) {
        self.containers.push(container.name());
        self.paths.push(container.path(field));
    }

    pub fn is_empty(&self) -> bool {
        !self.pod && self.containers.is_empty()
    }

    /// `pod`, `container "a"`, `pod and containers "a", "b"`.
    pub fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        if self.pod {
            names.push("pod".to_owned());
        }
        if !self.containers.is_empty() {
            names.push(counted("container", &self.containers));
        }
        names
    }

    /// What was found of them; `None` when there are none.
    pub fn found(self, reason: &str, verdict: &str) -> Option<Found> {
        if self.is_empty() {
            return None;
        }
        let detail = format!("{} {verdict}", self.names().join(" and "));
        Some(Found {
            reason: reason.to_owned(),
            detail,
            paths: self.paths,
        })
    }
}

/// `"a", "b"`.
pub(super) fn quoted<T: AsRef<str>>(names: &[T]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("\"{}\"", name.as_ref())).collect();
    names.join(", ")
}

/// `container "a"`, or `containers "a", "b"`.
pub(super) fn counted<T: AsRef<str>>(word: &str, names: &[T]) -> String {
    format!("{word}{} {}", plural(names.len()), quoted(names))
}

/// An `s` unless there is one.
pub(super) fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}
