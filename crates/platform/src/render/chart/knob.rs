//! What may be set when a chart is installed: the keys that an environment may set, as far as the values of one can be described by a pattern.

use serde_json::{Map, Value, json};
use stoke_model::quantity::Quantity;

use crate::environment::{Resolved, overlay_component};
use crate::spec::{Component, schema};

/// The form of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A whole number, between bounds of the schema.
    Count,
    /// An amount of CPU.
    Cpu,
    /// An amount of memory.
    Memory,
    /// The size of a volume.
    Size,
    /// The heap of a JVM, as Spark writes it.
    Heap,
    /// A name of an object in the cluster.
    Name,
    /// A host name.
    Host,
    /// One of the file's `nodes`.
    Nodes,
}

/// Keys with a form. Whether one is a value of a chart is found out for each component in each environment.
pub const FORMS: [(&str, Form); 17] = [
    ("replicas", Form::Count),
    ("masters", Form::Count),
    ("workers", Form::Count),
    ("cache", Form::Count),
    ("resources.cpu", Form::Cpu),
    ("resources.cpuLimit", Form::Cpu),
    ("resources.memory", Form::Memory),
    ("nodes", Form::Nodes),
    ("storage.size", Form::Size),
    ("storage.class", Form::Name),
    ("host", Form::Host),
    ("server.cores", Form::Count),
    ("server.memory", Form::Heap),
    ("executors.min", Form::Count),
    ("executors.max", Form::Count),
    ("executors.cores", Form::Count),
    ("executors.memory", Form::Heap),
];

/// Keys that an environment may set and an installation may not, with all below them.
pub const WITHOUT: [(&str, &str); 13] = [
    ("outside", "it says whether a server runs here at all"),
    ("login", "it names a Secret, and which Secrets there are is the file's"),
    (
        "credentials",
        "it names a Secret, and which Secrets there are is the file's",
    ),
    ("bucket", "it is in the configuration of all that use it"),
    ("region", "it is in the configuration of all that use it"),
    (
        "endpoint",
        "it is in the configuration of all that use it, and its port in their network policies",
    ),
    ("pathStyle", "it is in the configuration of all that use it"),
    ("role", "it says who asks the store"),
    ("google", "it says who asks the store"),
    ("azure", "it says who asks the store"),
    (
        "sparkConf",
        "its keys are held against the Spark and against what is wired, which a template cannot do",
    ),
    (
        "gpu",
        "the share of a task follows from cores and GPUs together, and the accelerator from the Spark",
    ),
    ("config", "pods carry a checksum of their configuration"),
];

/// A key of a component that has a form.
#[derive(Clone, Debug)]
pub struct Knob {
    pub component: String,
    /// Below the component: `resources.cpu`.
    pub path: &'static str,
    pub form: Form,
    /// What a chart's schema says of it.
    pub schema: Value,
    /// Least and most, of a count.
    pub bounds: (i64, i64),
    /// Names, of nodes.
    pub options: Vec<String>,
}

impl Knob {
    /// It with its component: `components.lake.replicas`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("components.{}.{}", self.component, self.path)
    }

    /// The value where the platform has it; none where it is not set.
    #[must_use]
    pub fn value(&self, at: &Resolved) -> Option<Value> {
        let component = serde_json::to_value(at.platform.components.get(&self.component)?).ok()?;
        let value = component.pointer(&format!("/{}", self.path.replace('.', "/")))?;
        (!value.is_null()).then(|| value.clone())
    }

    /// The platform with a value.
    ///
    /// # Errors
    /// When the component does not take it.
    pub fn set(&self, at: &Resolved, value: &Value) -> Result<Resolved, String> {
        overlay(at, &self.component, &nested(self.path, value))
    }

    /// The platform in which its neighbours leave room for every value of it; none where they do anyway.
    ///
    /// # Errors
    /// As [`Knob::set`].
    pub fn with_room(&self, at: &Resolved) -> Result<Option<Resolved>, String> {
        let neighbour = match self.path {
            "executors.min" => ("executors.max", json!(10_000)),
            "executors.max" => ("executors.min", json!(0)),
            "resources.cpu" => ("resources.cpuLimit", json!("99999")),
            _ => return Ok(None),
        };
        overlay(at, &self.component, &nested(neighbour.0, &neighbour.1)).map(Some)
    }

    /// Values by which its effect is found: two at least, and for a count such as differ in kind.
    #[must_use]
    pub fn probes(&self) -> Vec<Value> {
        let (least, most) = self.bounds;
        match self.form {
            Form::Count => {
                let mut all = vec![2, 3, most, least];
                all.retain(|count| (least..=most).contains(count));
                let mut seen = std::collections::BTreeSet::new();
                all.retain(|count| seen.insert(*count));
                all.into_iter().map(|count| json!(count)).collect()
            }
            Form::Cpu if self.path == "resources.cpuLimit" => vec![json!("7777"), json!("8888")],
            Form::Cpu => vec![json!("777m"), json!("333m")],
            Form::Memory => vec![json!("777Mi"), json!("1777Mi")],
            Form::Size => vec![json!("777Gi"), json!("333Gi")],
            Form::Heap => vec![json!("7777m"), json!("3333m")],
            Form::Name => vec![json!("found-by-a"), json!("found-by-b")],
            Form::Host => vec![json!("a.found.example"), json!("b.found.example")],
            Form::Nodes => self.options.iter().map(|option| json!(option)).collect(),
        }
    }
}

/// A value as it stands in objects.
#[must_use]
pub fn shown(form: Form, value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match form {
        Form::Cpu | Form::Memory | Form::Size => text.parse::<Quantity>().map_or(text, |amount| amount.to_string()),
        _ => text,
    }
}

/// A mapping with one value at a path.
#[must_use]
pub fn nested(path: &str, value: &Value) -> Value {
    path.rsplit('.').fold(value.clone(), |inner, key| {
        Value::Object(Map::from_iter([(key.to_owned(), inner)]))
    })
}

fn overlay(at: &Resolved, component: &str, set: &Value) -> Result<Resolved, String> {
    let mut with = at.clone();
    overlay_component(&mut with.platform, component, set)?;
    Ok(with)
}

/// All of a component's keys that have a form.
#[must_use]
pub fn knobs(name: &str, component: &Component, nodes: &[String]) -> Vec<Knob> {
    let Some(overlay) = schema::overlay(component.about().kind) else {
        return Vec::new();
    };
    let of = |(path, form): &(&'static str, Form)| {
        let pointer = path
            .split('.')
            .fold(String::new(), |all, key| format!("{all}/properties/{key}"));
        let property = overlay.pointer(&pointer)?;
        let bound = |key: &str, otherwise: i64| property[key].as_i64().unwrap_or(otherwise);
        let bounds = (bound("minimum", 0), bound("maximum", i64::from(i32::MAX)));
        if *form == Form::Nodes && nodes.is_empty() {
            return None;
        }
        let mut schema = pattern(*form, bounds, nodes);
        if let Some(about) = property["description"].as_str() {
            schema["description"] = json!(about.trim_end_matches('.'));
        }
        Some(Knob {
            component: name.to_owned(),
            path,
            form: *form,
            schema,
            bounds,
            options: nodes.to_vec(),
        })
    };
    FORMS.iter().filter_map(of).collect()
}

const LABEL: &str = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?";

/// What a value must be: only what `stoke platform check` takes.
fn pattern(form: Form, (least, most): (i64, i64), nodes: &[String]) -> Value {
    match form {
        Form::Count => json!({"type": "integer", "minimum": least, "maximum": most}),
        Form::Cpu => {
            json!({"type": ["string", "integer"], "pattern": "^[1-9][0-9]{0,4}m?$", "minimum": 1, "maximum": 9999})
        }
        // What programs start in, and Kubernetes' suffixes.
        Form::Memory => {
            json!({"type": "string", "pattern": "^((6[4-9]|[7-9][0-9]|[1-9][0-9]{2,5})Mi|[1-9][0-9]{0,4}Gi)$"})
        }
        Form::Size => {
            json!({"type": "string", "pattern": "^((1[6-9]|[2-9][0-9]|[1-9][0-9]{2,6})Mi|[1-9][0-9]{0,4}(Gi|Ti))$"})
        }
        // Spark's own least: 471 MiB.
        Form::Heap => {
            json!({"type": "string", "pattern": "^((47[1-9]|4[89][0-9]|[5-9][0-9]{2}|[1-9][0-9]{3,6})m|[1-9][0-9]{0,3}g)$"})
        }
        Form::Name => json!({"type": "string", "maxLength": 253, "pattern": format!("^{LABEL}(\\.{LABEL})*$")}),
        Form::Host => json!({"type": "string", "maxLength": 253, "pattern": format!("^{LABEL}(\\.{LABEL})+$")}),
        Form::Nodes => json!({"type": "string", "enum": nodes}),
    }
}
