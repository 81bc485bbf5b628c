//! `stoke explain`: what a manifest field, a Spark configuration key or a code means.

use serde_json::{Value, json};
use stoke_model::conf::{Catalogue, Default, Known};

use stoke_gate::Gate;

use crate::cli::Context;
use crate::codes;
use crate::failure::{Failure, Outcome};
use crate::terminal::{Format, bold, dim};

/// Arguments of `stoke explain`.
#[derive(clap::Args)]
pub struct Arguments {
    /// A Spark key (`spark.executor.memory`), a field of a manifest (`spec.driver.cores`, `ScheduledSparkApplication.spec.schedule`) or a code (`unknown-field`, `stoke::storage::open`)
    key: String,
    /// Whose configuration keys [default: the newest Spark known]
    #[arg(long, value_name = "VERSION")]
    spark: Option<String>,
}

/// Runs the command.
pub fn run(arguments: &Arguments, context: &mut Context) -> Outcome<u8> {
    if arguments.key.starts_with("spark.") {
        conf_key(arguments, context)
    } else if is_code(&arguments.key) {
        code(&arguments.key, context)
    } else {
        field(&arguments.key, context)
    }
}

/// No field of a manifest has a dash or a colon in its name.
fn is_code(key: &str) -> bool {
    codes::registry().find(key).is_some() || (key.contains(['-', ':']) && !key.contains('.'))
}

/// What a code means.
pub fn code(code: &str, context: &mut Context) -> Outcome<u8> {
    let registry = codes::registry();
    let Some(known) = registry.find(code) else {
        let failure = Failure::input("stoke::explain::code", format!("no code `{code}`"));
        let near = stoke_model::manifest::nearest(code, registry.all().map(|(_, known)| known.code));
        return Err(match near {
            Some(near) => failure.fix(format!("did you mean `{near}`?")),
            None => failure.fix("every message has its code in brackets"),
        });
    };
    let terminal = &mut context.terminal;
    if terminal.format() == Format::Json {
        terminal.json(known);
        return Ok(0);
    }
    let area = Gate::named(known.area).map_or(known.area.to_owned(), |gate| format!("{gate}: {}", gate.about()));
    terminal.out(format!("{}  {}", bold(known.code), dim(area)));
    terminal.out(format!("  what  {}", known.what));
    terminal.out(format!("  why   {}", known.why));
    terminal.out(format!("  fix   {}", known.fix));
    if let Some(more) = &known.more {
        terminal.out(format!("  more  {more}"));
    }
    Ok(0)
}

fn conf_key(arguments: &Arguments, context: &mut Context) -> Outcome<u8> {
    let catalogue = arguments
        .spark
        .as_deref()
        .map_or_else(Catalogue::newest, Catalogue::for_version);
    let explanation = catalogue.explain(&arguments.key);
    let unknown = explanation.known == Known::Unknown;
    match context.terminal.format() {
        Format::Text => context.terminal.out(explanation.to_string().trim_end()),
        Format::Json => {
            let versions = explanation.versions.iter().map(|version| {
                let entry = version.entry;
                json!({ "version": version.minor, "type": entry.value_type.to_string(), "default": default(&entry.default), "since": entry.since, "doc": entry.doc })
            });
            context.terminal.json(&json!({
                "key": explanation.key,
                "known": !unknown,
                "versions": versions.collect::<Vec<_>>(),
                "nearMisses": explanation.near_misses,
            }));
        }
    }
    Ok(if unknown { 2 } else { 0 })
}

/// The default as text; null when there is none or Spark computes it.
fn default(default: &Default) -> Option<String> {
    match default {
        Default::Text(text) => Some(text.to_string()),
        Default::Key(key) => Some(format!("the value of {key}")),
        Default::Computed | Default::Absent => None,
    }
}

fn field(path: &str, context: &mut Context) -> Outcome<u8> {
    let (kind, path) = match path.split_once('.') {
        Some((kind, rest)) if kind.starts_with(char::is_uppercase) => (kind, rest),
        None if path.starts_with(char::is_uppercase) => (path, ""),
        _ => ("SparkApplication", path),
    };
    let schema = stoke_model::crd::schema(kind).ok_or_else(|| {
        Failure::input("stoke::explain::kind", format!("no kind `{kind}`"))
            .fix("SparkApplication, ScheduledSparkApplication or SparkConnect")
    })?;
    let mut here = &schema;
    let mut walked = kind.to_string();
    for key in path.split('.').filter(|key| !key.is_empty()) {
        let key = key.trim_end_matches("[]");
        here = child(here, key).ok_or_else(|| {
            let names: Vec<&str> = fields(here).map(|(name, _)| name).collect();
            let failure = Failure::input("stoke::explain::field", format!("{walked} has no field `{key}`"));
            match stoke_model::manifest::nearest(key, names.iter().copied()) {
                Some(near) => failure.fix(format!("did you mean `{near}`?")),
                None => failure.fix(format!("it has: {}", names.join(", "))),
            }
        })?;
        walked = format!("{walked}.{key}");
    }
    show(&walked, here, context);
    Ok(0)
}

/// The schema of a field, through lists and maps.
fn child<'a>(schema: &'a Value, key: &str) -> Option<&'a Value> {
    let inside = schema.get("items").unwrap_or(schema);
    inside
        .get("properties")
        .and_then(|fields| fields.get(key))
        .or_else(|| inside.get("additionalProperties").filter(|any| any.is_object()))
}

fn fields(schema: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let inside = schema.get("items").unwrap_or(schema);
    inside
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(name, field)| (name.as_str(), field))
}

fn show(path: &str, schema: &Value, context: &mut Context) {
    let terminal = &mut context.terminal;
    if terminal.format() == Format::Json {
        terminal.json(&json!({ "path": path, "schema": schema }));
        return;
    }
    terminal.out(format!("{}  {}", bold(path), type_of(schema)));
    if let Some(text) = schema.get("description").and_then(Value::as_str) {
        terminal.out(format!("  {text}"));
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        let values: Vec<String> = values.iter().map(Value::to_string).collect();
        terminal.out(format!("  one of: {}", values.join(", ")));
    }
    let width = fields(schema).map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, field) in fields(schema) {
        let text = field.get("description").and_then(Value::as_str).unwrap_or_default();
        terminal.out(format!(
            "  {name:<width$}  {:<14}  {}",
            type_of(field),
            text.lines().next().unwrap_or_default()
        ));
    }
}

fn type_of(schema: &Value) -> String {
    let text = |schema: &Value| schema.get("type").and_then(Value::as_str).unwrap_or("any").to_string();
    match (
        schema.get("items"),
        schema.get("additionalProperties").filter(|any| any.is_object()),
    ) {
        (Some(items), _) => format!("[]{}", type_of(items)),
        (_, Some(values)) => format!("map of {}", type_of(values)),
        _ if schema.get("x-kubernetes-int-or-string").is_some() => "int or string".into(),
        _ => text(schema),
    }
}
