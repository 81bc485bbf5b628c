//! What a key of a preset does: the objects of a run with and without it, and Spark's own default.
//!
//! The objects are those that the operator creates (`stoke-submit`), for an application that has nothing but the preset; what Spark would do without a
//! key comes from the catalogue of its configuration. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Map, Value, json};
use stoke_diagnostics::{Diagnostic, Severity, Source};
use stoke_model::conf::value::{Scalar, parse_bool};
use stoke_model::conf::{Catalogue, Default, Entry, Known, third_party};
use stoke_model::crd::{ScheduledSparkApplication, SparkApplication, SparkConnect};
use stoke_model::duration::{TimeUnit, parse_spark};
use stoke_model::manifest::{self, Step, parse_path};
use stoke_model::memory::{ByteUnit, Memory};
use stoke_model::{annotations, defaults, names};
use stoke_submit::application::batch::first_executor;
use stoke_submit::application::{Settings, plan_application, request_from_application};
use stoke_submit::connect::plan_connect;
use stoke_submit::{ExecutorRequest, PodTemplate, Role, SparkVersion, Submission, executor_pod};

use super::{Library, Parameters, Preset, Resolved, ResolvedKey, known_spark, path_of, resolve};

/// The part of a run's objects that is the driver's effective configuration.
pub const PROPERTIES: &str = "spark.properties";

/// What the operator itself goes by, of the specification.
const OPERATOR: &str = "operator";
/// What the operator itself goes by, of the annotations.
const ANNOTATION: &str = "annotation";

/// One place in the objects of a run that differs without a key.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Effect {
    /// `driver pod`, `server pod`, `executor pod`, `spark.properties`, `operator`, `annotation`, `submission`, or the kind of an object beside them.
    pub object: String,
    /// The place in it, or the key of Spark.
    pub path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub with: Option<String>,
    /// What is there without the key; of a key of Spark, its default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub without: Option<String>,
    /// Why this one does nothing although it differs: Spark does not know the key, or it is the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle: Option<String>,
}

/// Objects of a run as places and values.
type Rendered = BTreeMap<(String, String), String>;

/// What differs in the objects of a run without the key. A key that does nothing has no effect that is not idle.
///
/// # Errors
/// Why an application with the whole preset is refused.
pub fn effects(resolved: &Resolved, key: &ResolvedKey) -> Result<Vec<Effect>, String> {
    let with = render(&object(resolved, None))?;
    let without = match render(&object(resolved, Some(&key.key))) {
        Ok(without) => without,
        Err(refusal) => {
            return Ok(vec![Effect {
                object: "submission".to_owned(),
                path: String::new(),
                with: Some("accepted".to_owned()),
                without: Some(format!("refused: {refusal}")),
                idle: None,
            }]);
        }
    };
    let Some(catalogue) = known_spark(&resolved.spark) else {
        return Err(format!("Spark {} is not known", resolved.spark));
    };
    let mut places: Vec<&(String, String)> = with.keys().chain(without.keys()).collect();
    places.sort();
    places.dedup();
    let differing = places.into_iter().filter(|place| with.get(place) != without.get(place));
    let effects = differing.map(|place| {
        let mut effect = Effect {
            object: place.0.clone(),
            path: place.1.clone(),
            with: with.get(place).cloned(),
            without: without.get(place).cloned(),
            idle: None,
        };
        if effect.object == PROPERTIES {
            judge(catalogue, &mut effect);
        }
        if effect.object == ANNOTATION && annotation(&effect.path, &resolved.kind).is_none() {
            effect.idle = Some("nothing reads this annotation".to_owned());
        }
        effect
    });
    Ok(effects.collect())
}

/// The annotation of this name that Stoke reads on a kind.
fn annotation(name: &str, kind: &str) -> Option<&'static annotations::Annotation> {
    annotations::find(name).filter(|annotation| annotation.kinds.contains(&kind))
}

/// What [`lint`] finds in the presets of a file, in every version of Spark, each thing once.
#[must_use]
pub fn lint_all(library: &Library, source: &Source) -> Vec<Diagnostic> {
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for preset in library
        .presets
        .iter()
        .filter(|preset| preset.source.name() == source.name())
    {
        for minor in Catalogue::known_versions() {
            let given = Parameters::examples(library, preset);
            // What does not resolve was told when the file was read.
            let found = resolve(library, &preset.reference(), minor, &given).map(|resolved| lint(&resolved, preset));
            let new = found.unwrap_or_default().into_iter();
            all.extend(new.filter(|one| seen.insert((one.line, one.column, one.code.to_string()))));
        }
    }
    all
}

/// What is wrong with the keys that a preset itself sets, in one version of Spark, at their places.
#[must_use]
pub fn lint(resolved: &Resolved, preset: &Preset) -> Vec<Diagnostic> {
    let mut all = Vec::new();
    let own = preset.reference().to_string();
    let place = |key: &str| preset.keys.iter().find(|one| one.key == key).map(|one| one.place);
    let (_, complaints) = manifest::check("preset", &object(resolved, None).to_string());
    for complaint in complaints {
        let path = parse_path(&complaint.path);
        let of = resolved.keys.iter().find(|key| {
            let steps = parse_path(&path_of(&key.key, "spec"));
            path.starts_with(&steps) || (steps.starts_with(&path) && path.len() > 1)
        });
        if let Some(key) = of.filter(|key| key.from == own)
            && let Some(place) = place(&key.key)
        {
            all.push(complaint.placed(&preset.source, place).with_path(key.key.clone()));
        }
    }
    for key in resolved.keys.iter().filter(|key| key.from == own) {
        let Some(place) = place(&key.key) else { continue };
        let at = |severity, code, message| Diagnostic::at(severity, code, &preset.source, place, &key.key, message);
        match effects(resolved, key) {
            Ok(effects) if effects.iter().any(|effect| effect.idle.is_none()) => {}
            Ok(effects) => {
                let why = effects.into_iter().find_map(|effect| effect.idle);
                let why = why.unwrap_or_else(|| "the objects of a run are the same without it".to_owned());
                let message = format!("`{}` does nothing with Spark {}: {why}", key.key, resolved.spark);
                all.push(at(Severity::Warning, "preset-no-effect", message).with_fix(
                    "remove it, or say with `spark` for which versions it is; what is counted on stands under `relies`",
                ));
            }
            Err(refusal) => {
                all.push(
                    at(
                        Severity::Error,
                        "preset-refused",
                        format!("an application with `{own}` is refused: {refusal}"),
                    )
                    .with_fix("change what the message names"),
                );
                break;
            }
        }
    }
    let Some(catalogue) = known_spark(&resolved.spark) else {
        return all;
    };
    for rely in resolved.relies.iter().filter(|rely| rely.from == own) {
        let is_default =
            matches!(catalogue.find(&rely.key), Known::Entry(entry) if is_default(catalogue, entry, &rely.value));
        if !is_default && let Some(written) = preset.relies.iter().find(|one| one.key == rely.key) {
            let message = format!(
                "`{}` is not {} by default in Spark {}",
                rely.key, rely.value, resolved.spark
            );
            all.push(
                Diagnostic::at(
                    Severity::Error,
                    "preset-relied",
                    &preset.source,
                    written.place,
                    &rely.key,
                    message,
                )
                .with_fix("set it under `keys`"),
            );
        }
    }
    all
}

/// A whole application with a preset, but for one key.
#[must_use]
pub fn object(resolved: &Resolved, but: Option<&str>) -> Value {
    let full = known_spark(&resolved.spark).map_or("", |catalogue| catalogue.extracted_from());
    let image = format!("apache/spark:{full}");
    let mut object = match resolved.kind.as_str() {
        "SparkConnect" => json!({
            "apiVersion": format!("{}/v1alpha1", names::GROUP), "kind": "SparkConnect", "metadata": {"name": "preset", "namespace": "default"},
            "spec": {"sparkVersion": full, "image": image, "sparkConf": {}, "server": {}, "executor": {}},
        }),
        _ => json!({
            "apiVersion": format!("{}/v1beta2", names::GROUP), "kind": "SparkApplication", "metadata": {"name": "preset", "namespace": "default"},
            "spec": {
                "type": "Python", "mode": "cluster", "image": image, "sparkVersion": full, "mainApplicationFile": "local:///opt/app/main.py",
                "sparkConf": {}, "driver": {"serviceAccount": "spark-operator-spark"}, "executor": {},
            },
        }),
    };
    for key in resolved.keys.iter().filter(|key| Some(key.key.as_str()) != but) {
        set(&mut object, &path_of(&key.key, "spec"), key.value.clone());
    }
    object
}

/// Sets the value at a path; mappings on the way are made.
pub(super) fn set(object: &mut Value, path: &str, value: Value) {
    let mut at = object;
    for step in parse_path(path) {
        let Step::Key(key) = step else { return };
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        let Value::Object(map) = at else { return };
        at = map.entry(key).or_insert(Value::Null);
    }
    *at = value;
}

/// Whether two presets become different objects.
///
/// # Errors
/// Why one of them is refused.
pub fn differ(left: &Resolved, right: &Resolved) -> Result<bool, String> {
    Ok(render(&object(left, None))? != render(&object(right, None))?)
}

/// The driver's effective configuration of an object.
///
/// # Errors
/// Why it is refused.
pub fn properties(object: &Value) -> Result<BTreeMap<String, String>, String> {
    let rendered = render(object)?;
    let of = rendered.into_iter().filter(|((object, _), _)| object == PROPERTIES);
    Ok(of.map(|((_, key), value)| (key, value)).collect())
}

fn render(object: &Value) -> Result<Rendered, String> {
    let settings = Settings::new("k8s://https://kubernetes.default.svc", jiff::Timestamp::UNIX_EPOCH);
    let mut rendered = Rendered::new();
    let mut settings = settings;
    settings.file_upload_path = Some("s3a://uploads".to_owned());
    let read = |cause: serde_json::Error| format!("it cannot be read: {cause}");
    for (key, value) in object["metadata"]["annotations"].as_object().into_iter().flatten() {
        rendered.insert((ANNOTATION.to_owned(), key.clone()), super::shown(value));
    }
    match object["kind"].as_str() {
        Some("SparkConnect") => {
            let connect: SparkConnect = serde_json::from_value(object.clone()).map_err(read)?;
            let plan = plan_connect(&connect, 1, &settings).map_err(|cause| cause.to_string())?;
            let version: SparkVersion = connect.spec.spark_version.parse().map_err(|cause| format!("{cause}"))?;
            let executor = executor_pod(
                &version,
                &plan.submission.properties,
                &ExecutorRequest {
                    executor_id: "1".to_owned(),
                    template: template(&plan.submission),
                    ..ExecutorRequest::default()
                },
            );
            let executor = executor.map_err(|cause| cause.to_string())?;
            leaves("server pod", "", &plan.pod, &mut rendered);
            leaves("executor pod", "", &executor.pod, &mut rendered);
            beside(&plan.submission, &mut rendered);
        }
        kind => {
            let mut app = match kind {
                Some("ScheduledSparkApplication") => {
                    let scheduled: ScheduledSparkApplication = serde_json::from_value(object.clone()).map_err(read)?;
                    let mut app = SparkApplication::new("preset", scheduled.spec.template);
                    app.metadata.name = scheduled.metadata.name;
                    app
                }
                _ => serde_json::from_value::<SparkApplication>(object.clone()).map_err(read)?,
            };
            app.spec = defaults::application(app.spec);
            let policy = serde_json::to_value(&app.spec.restart_policy).unwrap_or_default();
            leaves(OPERATOR, "restartPolicy", &policy, &mut rendered);
            let planned = plan_application(&app, 1, &settings).and_then(|plan| {
                let request = request_from_application(&app, 1, &settings)?;
                let executor = first_executor(&request, &plan.submission)?;
                Ok((plan, executor))
            });
            let (plan, executor) = planned.map_err(|cause| cause.to_string())?;
            leaves("driver pod", "", &plan.submission.driver_pod, &mut rendered);
            leaves("executor pod", "", &executor, &mut rendered);
            for resource in plan.before.iter().chain(&plan.beside) {
                leaves(
                    resource.object["kind"].as_str().unwrap_or_default(),
                    "",
                    &resource.object,
                    &mut rendered,
                );
            }
            beside(&plan.submission, &mut rendered);
        }
    }
    Ok(rendered)
}

/// The executors' pod template, as it travels in its ConfigMap.
fn template(submission: &Submission) -> Option<PodTemplate> {
    let resource = submission
        .resources
        .iter()
        .find(|resource| resource.role == Role::ExecutorTemplate)?;
    let text = resource.object["data"]
        .as_object()?
        .values()
        .next()?
        .as_str()?
        .to_owned();
    let (nodes, _) = manifest::read(&Source::new("template", &text));
    let pod = nodes.first()?.to_value();
    Some(PodTemplate { text, pod })
}

fn beside(submission: &Submission, rendered: &mut Rendered) {
    // What these two hold is told key by key, and as the executors' pod.
    let told = [Role::Properties, Role::ExecutorTemplate];
    for resource in submission
        .resources
        .iter()
        .filter(|resource| !told.contains(&resource.role))
    {
        leaves(
            resource.object["kind"].as_str().unwrap_or_default(),
            "",
            &resource.object,
            rendered,
        );
    }
    for (key, value) in &submission.properties {
        rendered.insert((PROPERTIES.to_owned(), key.clone()), value.clone());
    }
}

/// Every scalar of a value with its path; items of a list that have a name are found by it.
fn leaves(object: &str, path: &str, value: &Value, into: &mut Rendered) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                leaves(object, &manifest::join(path, key), value, into);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                let name = item["name"].as_str();
                // Copies of the configuration, which is told key by key.
                if name.is_some_and(|name| name.starts_with("SPARK_JAVA_OPT_")) {
                    continue;
                }
                let path = match name {
                    Some(name) => format!("{path}[{name}]"),
                    None => manifest::join_index(path, index),
                };
                leaves(object, &path, item, into);
            }
        }
        scalar => {
            into.insert((object.to_owned(), path.to_owned()), super::shown(scalar));
        }
    }
}

/// Whether a difference of configuration is one that Spark notices.
fn judge(catalogue: Catalogue, effect: &mut Effect) {
    let Some(value) = &effect.with else { return };
    match catalogue.find(&effect.path) {
        Known::Entry(entry) => {
            if let Some((version, message)) = &entry.deprecation {
                effect.idle = Some(format!("it is deprecated since {version}: {message}"));
            } else if effect.without.is_none() {
                effect.without = default_of(catalogue, entry);
                if is_default(catalogue, entry, value) {
                    effect.idle = Some(format!("{value} is Spark's default"));
                }
            }
        }
        Known::Family(family) if family.place != "third-party" => {}
        _ => match third_party::default_of(&effect.path) {
            Some(default) => {
                if default == value {
                    effect.idle = Some(format!("{value} is the default"));
                }
                effect.without = Some(default.to_owned());
            }
            None => effect.idle = Some("Spark does not know the key".to_owned()),
        },
    }
}

/// What holds without a key, as a text.
fn default_of(catalogue: Catalogue, entry: &Entry) -> Option<String> {
    match &entry.default {
        Default::Text(text) => Some(entry.value_type.readable(text).unwrap_or_else(|| text.to_string())),
        Default::Key(key) => match catalogue.find(key) {
            Known::Entry(other) if other.key != entry.key => default_of(catalogue, other),
            _ => None,
        },
        Default::Computed | Default::Absent => None,
    }
}

/// Whether a value means what Spark does without it.
fn is_default(catalogue: Catalogue, entry: &Entry, value: &str) -> bool {
    match &entry.default {
        Default::Text(default) => means(entry.value_type.scalar, value) == means(entry.value_type.scalar, default),
        Default::Key(key) => {
            matches!(catalogue.find(key), Known::Entry(other) if other.key != entry.key && is_default(catalogue, other, value))
        }
        Default::Computed | Default::Absent => false,
    }
}

/// A value in one form: sizes in bytes, times in milliseconds, numbers and truth values without their spelling.
fn means(scalar: Scalar, text: &str) -> String {
    let text = text.trim();
    let known = match scalar {
        Scalar::Bool => parse_bool(text).map(|flag| flag.to_string()),
        Scalar::Int | Scalar::Long | Scalar::Double | Scalar::Decimal => {
            text.parse::<f64>().ok().map(|number| number.to_string())
        }
        Scalar::Bytes { unit, .. } => {
            let unit = match unit {
                1 => ByteUnit::Byte,
                1_024 => ByteUnit::Kib,
                1_048_576 => ByteUnit::Mib,
                _ => ByteUnit::Gib,
            };
            Memory::parse(text, unit).ok().map(|memory| memory.bytes().to_string())
        }
        Scalar::Time(nanoseconds) => {
            let unit = match nanoseconds {
                1_000_000 => TimeUnit::Millisecond,
                60_000_000_000 => TimeUnit::Minute,
                _ => TimeUnit::Second,
            };
            parse_spark(text, unit).ok().map(|span| span.as_millis().to_string())
        }
        Scalar::Text | Scalar::Enum | Scalar::Regex => None,
    };
    known.unwrap_or_else(|| text.to_owned())
}
