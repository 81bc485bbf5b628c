//! Builtins that the interpreter does not bring, or not as OPA has them: `sprintf`, YAML by the parser of manifests, and what only Rego v0 has and
//! many policies for Gatekeeper use.
//!
//! As in OPA, a call with arguments of the wrong type is undefined.

use std::collections::BTreeSet;

use regorus::{Engine, Extension, Value};
use stoke_model::manifest::{self, Source};

type Builtin = fn(&[Value]) -> Option<Value>;

/// Builtins of both versions of the language: name, number of arguments, what it does.
const BOTH: [(&str, u8, Builtin); 4] = [
    ("sprintf", 2, sprintf),
    ("yaml.is_valid", 1, yaml_is_valid),
    ("yaml.marshal", 1, yaml_marshal),
    ("yaml.unmarshal", 1, yaml_unmarshal),
];

/// Builtins of v0.
const V0: [(&str, u8, Builtin); 11] = [
    ("all", 1, all),
    ("any", 1, any),
    ("cast_array", 1, cast_array),
    ("cast_boolean", 1, |arguments| cast(arguments, "boolean")),
    ("cast_null", 1, |arguments| cast(arguments, "null")),
    ("cast_object", 1, |arguments| cast(arguments, "object")),
    ("cast_set", 1, cast_set),
    ("cast_string", 1, |arguments| cast(arguments, "string")),
    ("net.cidr_overlap", 2, cidr_overlap),
    ("re_match", 2, re_match),
    ("set_diff", 2, set_diff),
];

/// True for a builtin that only Rego v0 has.
pub(crate) fn is_of_v0(name: &str) -> bool {
    V0.iter().any(|(known, _, _)| *known == name)
}

/// Gives them to an engine.
pub(crate) fn add(engine: &mut Engine) -> Result<(), String> {
    for (name, arguments, builtin) in BOTH.into_iter().chain(V0) {
        let run = extension(move |arguments| Ok(builtin(&arguments).unwrap_or(Value::Undefined)));
        engine
            .add_extension(name.to_owned(), arguments, run)
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn extension(run: impl Extension + 'static) -> Box<dyn Extension> {
    Box::new(run)
}

/// The interpreter has one too; see [`mod@crate::sprintf`].
fn sprintf(arguments: &[Value]) -> Option<Value> {
    let format = arguments.first()?.as_string().ok()?;
    let values = arguments.get(1)?.as_array().ok()?;
    Some(Value::from(crate::sprintf::sprintf(format, values.iter().cloned())))
}

/// The first document of a text.
fn yaml(text: &str) -> Option<serde_json::Value> {
    let (nodes, complaints) = manifest::read(&Source::new("yaml", text));
    if manifest::has_errors(&complaints) {
        return None;
    }
    Some(nodes.first().map_or(serde_json::Value::Null, manifest::Node::to_value))
}

fn yaml_unmarshal(arguments: &[Value]) -> Option<Value> {
    yaml(arguments.first()?.as_string().ok()?).map(Value::from)
}

fn yaml_is_valid(arguments: &[Value]) -> Option<Value> {
    let text = arguments.first()?.as_string().ok();
    Some(Value::from(text.is_some_and(|text| yaml(text).is_some())))
}

fn yaml_marshal(arguments: &[Value]) -> Option<Value> {
    let value = serde_json::to_value(arguments.first()?).ok()?;
    serde_saphyr::to_string(&value).ok().map(Value::from)
}

fn items(value: &Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(items) => Some(items.iter().cloned().collect()),
        Value::Set(items) => Some(items.iter().cloned().collect()),
        _ => None,
    }
}

fn all(arguments: &[Value]) -> Option<Value> {
    let items = items(arguments.first()?)?;
    Some(Value::from(items.iter().all(|item| *item == Value::from(true))))
}

fn any(arguments: &[Value]) -> Option<Value> {
    let items = items(arguments.first()?)?;
    Some(Value::from(items.contains(&Value::from(true))))
}

fn cast_array(arguments: &[Value]) -> Option<Value> {
    items(arguments.first()?).map(Value::from)
}

fn cast_set(arguments: &[Value]) -> Option<Value> {
    let items = items(arguments.first()?)?;
    Some(Value::from(items.into_iter().collect::<BTreeSet<Value>>()))
}

fn cast(arguments: &[Value], kind: &str) -> Option<Value> {
    let value = arguments.first()?;
    let is = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::String(_) => "string",
        Value::Object(_) => "object",
        _ => return None,
    };
    (is == kind).then(|| value.clone())
}

fn set_diff(arguments: &[Value]) -> Option<Value> {
    let [Value::Set(left), Value::Set(right)] = arguments else {
        return None;
    };
    let rest = left.iter().filter(|item| !right.contains(item)).cloned();
    Some(Value::from(rest.collect::<BTreeSet<Value>>()))
}

/// Evaluates an expression of the interpreter's own, with `input` for the arguments.
fn builtin(expression: &str, arguments: &[Value]) -> Option<Value> {
    let mut engine = Engine::new();
    engine.set_strict_builtin_errors(false);
    engine.set_input(Value::from(arguments.to_vec()));
    let mut results = engine.eval_query(expression.to_owned(), false).ok()?;
    let result = results.result.pop()?.expressions.pop()?.value;
    (result != Value::Undefined).then_some(result)
}

fn re_match(arguments: &[Value]) -> Option<Value> {
    builtin("regex.match(input[0], input[1])", arguments)
}

fn cidr_overlap(arguments: &[Value]) -> Option<Value> {
    builtin("net.cidr_contains(input[0], input[1])", arguments)
}
