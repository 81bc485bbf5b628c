//! Builtins that the interpreter does not bring, or not as OPA has them, and what only Rego v0 has and many policies for Gatekeeper use.
//!
//! - [`patterns`]: regular expressions and globs of Go
//! - [`strings`], [`numbers`], [`objects`], [`encoding`], [`time`], [`net`], [`crypto`]: one file for each kind of builtin
//! - [`budget`]: how much they may make in one evaluation
//! - `sprintf.rs`, beside this folder: formats
//!
//! As in OPA, a call with arguments of the wrong type is undefined. What each does is held against what the real OPA does (`tests/opa.rs`).

pub(crate) mod budget;
mod crypto;
mod encoding;
mod net;
mod numbers;
mod objects;
mod patterns;
mod strings;
mod time;

use std::collections::BTreeSet;

use regorus::{Engine, Extension, Value};

type Builtin = fn(&[Value]) -> Option<Value>;

/// Builtins of both versions of the language: name, number of arguments, what it does.
const BOTH: &[(&str, u8, Builtin)] = &[
    ("array.flatten", 1, objects::flatten),
    ("base64.decode", 1, encoding::base64_decode),
    ("base64.is_valid", 1, encoding::base64_is_valid),
    ("crypto.hmac.equal", 2, crypto::hmac_equal),
    ("crypto.hmac.md5", 2, crypto::hmac_md5),
    ("crypto.hmac.sha1", 2, crypto::hmac_sha1),
    ("crypto.hmac.sha256", 2, crypto::hmac_sha256),
    ("crypto.hmac.sha512", 2, crypto::hmac_sha512),
    ("crypto.md5", 1, crypto::md5),
    ("crypto.sha1", 1, crypto::sha1),
    ("crypto.sha256", 1, crypto::sha256),
    ("glob.match", 3, patterns::glob_match),
    ("glob.quote_meta", 1, patterns::quote_meta),
    ("indexof", 2, strings::indexof),
    ("indexof_n", 2, strings::indexof_n),
    ("io.jwt.decode", 1, crypto::jwt_decode),
    ("json.filter", 2, objects::filter),
    ("json.is_valid", 1, encoding::json_is_valid),
    ("json.marshal", 1, encoding::marshal),
    ("lower", 1, strings::lower),
    ("net.cidr_contains_matches", 2, net::cidr_contains_matches),
    ("net.cidr_intersects", 2, net::cidr_intersects),
    ("net.cidr_is_valid", 1, net::cidr_is_valid),
    ("net.cidr_merge", 1, net::cidr_merge),
    ("numbers.range", 2, numbers::range),
    ("numbers.range_step", 3, numbers::range_step),
    ("object.subset", 2, objects::subset),
    (
        "regex.find_all_string_submatch_n",
        3,
        patterns::find_all_string_submatch_n,
    ),
    ("regex.find_n", 3, patterns::find_n),
    ("regex.is_valid", 1, patterns::is_valid),
    ("regex.match", 2, patterns::is_match),
    ("regex.replace", 3, patterns::replace),
    ("regex.split", 2, patterns::split),
    ("regex.template_match", 4, patterns::template_match),
    ("semver.compare", 2, semver_compare),
    ("semver.is_valid", 1, semver_is_valid),
    ("sprintf", 2, sprintf),
    ("strings.count", 2, strings::count),
    ("time.add_date", 4, time::add_date),
    ("time.parse_duration_ns", 1, time::parse_duration_ns),
    ("time.parse_rfc3339_ns", 1, time::parse_rfc3339_ns),
    ("to_number", 1, numbers::to_number),
    ("units.parse_bytes", 1, numbers::parse_bytes),
    ("trace", 1, |arguments| text(arguments, 0).map(|_| Value::from(true))),
    ("upper", 1, strings::upper),
    ("urlquery.decode", 1, encoding::urlquery_decode),
    ("urlquery.decode_object", 1, encoding::urlquery_decode_object),
    ("urlquery.encode", 1, encoding::urlquery_encode),
    ("urlquery.encode_object", 1, encoding::urlquery_encode_object),
    ("yaml.is_valid", 1, encoding::yaml_is_valid),
    ("yaml.marshal", 1, encoding::yaml_marshal),
    ("yaml.unmarshal", 1, encoding::yaml_unmarshal),
    ("and", 2, |arguments| builtin("input[0] & input[1]", arguments)),
    ("div", 2, |arguments| builtin("input[0] / input[1]", arguments)),
    ("eq", 2, |arguments| {
        Some(Value::from(arguments.first()? == arguments.get(1)?))
    }),
    ("equal", 2, |arguments| {
        Some(Value::from(arguments.first()? == arguments.get(1)?))
    }),
    ("gt", 2, |arguments| {
        Some(Value::from(arguments.first()? > arguments.get(1)?))
    }),
    ("gte", 2, |arguments| {
        Some(Value::from(arguments.first()? >= arguments.get(1)?))
    }),
    ("lt", 2, |arguments| {
        Some(Value::from(arguments.first()? < arguments.get(1)?))
    }),
    ("lte", 2, |arguments| {
        Some(Value::from(arguments.first()? <= arguments.get(1)?))
    }),
    ("minus", 2, |arguments| builtin("input[0] - input[1]", arguments)),
    ("mul", 2, |arguments| builtin("input[0] * input[1]", arguments)),
    ("neq", 2, |arguments| {
        Some(Value::from(arguments.first()? != arguments.get(1)?))
    }),
    ("plus", 2, |arguments| builtin("input[0] + input[1]", arguments)),
    ("rem", 2, |arguments| builtin("input[0] % input[1]", arguments)),
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
    for (name, arguments, builtin) in BOTH.iter().copied().chain(V0) {
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

/// An argument that is a text.
fn text(arguments: &[Value], index: usize) -> Option<&str> {
    arguments.get(index)?.as_string().ok().map(|text| &**text)
}

/// Arguments that are all texts.
fn texts<const COUNT: usize>(arguments: &[Value]) -> Option<[&str; COUNT]> {
    let texts: Option<Vec<&str>> = (0..arguments.len()).map(|index| text(arguments, index)).collect();
    texts?.try_into().ok()
}

/// A number without a fraction.
fn whole(value: &Value) -> Option<i64> {
    value.as_i64().ok()
}

/// A version may begin with `v`.
fn semver_compare(arguments: &[Value]) -> Option<Value> {
    let [left, right] = texts(arguments)?;
    let plain = |text: &str| Value::from(text.strip_prefix('v').unwrap_or(text));
    builtin("semver.compare(input[0], input[1])", &[plain(left), plain(right)])
}

fn semver_is_valid(arguments: &[Value]) -> Option<Value> {
    let Some(text) = text(arguments, 0) else {
        return Some(Value::from(false));
    };
    let plain = Value::from(text.strip_prefix('v').unwrap_or(text));
    builtin("semver.is_valid(input[0])", &[plain])
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
    patterns::is_match(arguments)
}

fn cidr_overlap(arguments: &[Value]) -> Option<Value> {
    builtin("net.cidr_contains(input[0], input[1])", arguments)
}
