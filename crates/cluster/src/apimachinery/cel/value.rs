//! Values of expressions. Objects and lists of the request stay borrowed JSON until they are looked into.

use std::cmp::Ordering;
use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine;
use jiff::Timestamp;
use serde_json::{Map as JsonMap, Value as Json};

use super::eval::{Budget, EvalError};
use crate::apimachinery::schema::{Format, Kind, Schema};

#[derive(Clone, Debug)]
pub enum Value<'a> {
    Null,
    /// true or false
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number without sign.
    Uint(u64),
    /// A number.
    Double(f64),
    Text(Arc<str>),
    Bytes(Arc<[u8]>),
    /// A list made by the expression.
    List(Arc<Vec<Value<'a>>>),
    /// A map made by the expression, in its order.
    Map(Arc<Vec<(Value<'a>, Value<'a>)>>),
    /// An object of the request.
    Object(&'a JsonMap<String, Json>, Option<&'a Schema>),
    /// A list of the request.
    Array(&'a [Json], Option<&'a Schema>),
    /// An instant.
    Timestamp(Timestamp),
    /// Nanoseconds.
    Duration(i64),
    /// The name of a type.
    Type(Arc<str>),
    /// A value that may be missing.
    Optional(Option<Box<Value<'a>>>),
    /// A quantity in billionths.
    Quantity(i128),
    /// A semantic version: numbers, and what follows the dash.
    Version([u64; 3], Arc<str>),
    /// An address.
    Ip(IpAddr),
    /// A network.
    Cidr(IpAddr, u8),
    Url(Arc<super::kubernetes::Url>),
    /// A named format of the format library.
    NamedFormat(&'static str),
    /// The `variables` of a policy: looked up when named.
    PolicyVariables,
    /// The `authorizer` library's values: a question being put together.
    Question(Arc<super::kubernetes::Question>),
}

impl<'a> Value<'a> {
    /// A value of the request, typed by its schema where that says more than JSON does.
    pub fn of(json: &'a Json, schema: Option<&'a Schema>) -> Value<'a> {
        let schema = schema.map(Schema::resolve);
        match json {
            Json::Null => Value::Null,
            Json::Bool(truth) => Value::Bool(*truth),
            Json::Number(number) => match (number.as_i64(), schema.map(|schema| &schema.kind)) {
                (Some(whole), Some(Kind::Number)) => Value::Double(whole as f64),
                (Some(whole), _) => Value::Int(whole),
                (None, _) => {
                    let double = number.as_f64().unwrap_or(f64::NAN);
                    // A whole number may be written with a fraction of zero.
                    if schema.is_some_and(|schema| matches!(schema.kind, Kind::Integer)) && double.fract() == 0.0 {
                        Value::Int(double as i64)
                    } else {
                        Value::Double(double)
                    }
                }
            },
            Json::String(text) => text_of(text, schema),
            Json::Array(items) => Value::Array(items, schema),
            Json::Object(fields) => Value::Object(fields, schema),
        }
    }

    pub fn text(text: impl AsRef<str>) -> Value<'a> {
        Value::Text(text.as_ref().into())
    }

    pub fn list(items: Vec<Value<'a>>) -> Value<'a> {
        Value::List(Arc::new(items))
    }

    /// Name of its type, as `type()` gives it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "null_type",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Uint(_) => "uint",
            Value::Double(_) => "double",
            Value::Text(_) => "string",
            Value::Bytes(_) => "bytes",
            Value::List(_) | Value::Array(..) => "list",
            Value::Map(_) | Value::Object(..) | Value::PolicyVariables => "map",
            Value::Timestamp(_) => "google.protobuf.Timestamp",
            Value::Duration(_) => "google.protobuf.Duration",
            Value::Type(_) => "type",
            Value::Optional(_) => "optional_type",
            Value::Quantity(_) => "kubernetes.Quantity",
            Value::Version(..) => "kubernetes.Semver",
            Value::Ip(_) => "net.IP",
            Value::Cidr(..) => "net.CIDR",
            Value::Url(_) => "kubernetes.URL",
            Value::NamedFormat(_) => "kubernetes.NamedFormat",
            Value::Question(_) => "kubernetes.authorization.Authorizer",
        }
    }

    /// Items of a list.
    pub fn items(&self) -> Option<Vec<Value<'a>>> {
        match self {
            Value::List(items) => Some(items.to_vec()),
            Value::Array(items, schema) => {
                let schema = schema.and_then(|schema| schema.list()).map(|(_, items)| items);
                Some(items.iter().map(|item| Value::of(item, schema)).collect())
            }
            _ => None,
        }
    }

    /// Keys and values of a map.
    pub fn entries(&self) -> Option<Vec<(Value<'a>, Value<'a>)>> {
        match self {
            Value::Map(entries) => Some(entries.to_vec()),
            Value::Object(fields, schema) => Some(
                fields
                    .iter()
                    .map(|(name, field)| {
                        let schema = schema.and_then(|schema| schema.field(name));
                        (Value::text(name), Value::of(field, schema))
                    })
                    .collect(),
            ),
            _ => None,
        }
    }

    /// How many characters, bytes, items or entries.
    pub fn size(&self) -> Option<usize> {
        match self {
            Value::Text(text) => Some(text.chars().count()),
            Value::Bytes(bytes) => Some(bytes.len()),
            Value::List(items) => Some(items.len()),
            Value::Array(items, _) => Some(items.len()),
            Value::Map(entries) => Some(entries.len()),
            Value::Object(fields, _) => Some(fields.len()),
            _ => None,
        }
    }

    /// The field of an object or the entry of a map.
    pub fn get(&self, key: &Value<'a>) -> Option<Value<'a>> {
        match (self, key) {
            (Value::Object(fields, schema), Value::Text(name)) => {
                let (name, field) = find(fields, name)?;
                Some(Value::of(field, schema.and_then(|schema| schema.field(name))))
            }
            (Value::Map(entries), key) => entries
                .iter()
                .find(|(other, _)| other.equals(key, &Budget::new(64)).unwrap_or(false))
                .map(|(_, value)| value.clone()),
            _ => None,
        }
    }

    /// Equality across representations; numbers are equal by value.
    pub fn equals(&self, other: &Value<'a>, budget: &Budget) -> Result<bool, EvalError> {
        budget.spend(1)?;
        Ok(match (self, other) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(left), Value::Bool(right)) => left == right,
            (Value::Text(left), Value::Text(right)) => {
                budget.spend(left.len().min(right.len()) as u64 / 10)?;
                left == right
            }
            (Value::Bytes(left), Value::Bytes(right)) => left == right,
            (Value::Timestamp(left), Value::Timestamp(right)) => left == right,
            (Value::Duration(left), Value::Duration(right)) => left == right,
            (Value::Type(left), Value::Type(right)) => left == right,
            (Value::Quantity(left), Value::Quantity(right)) => left == right,
            (Value::Version(left, left_rest), Value::Version(right, right_rest)) => {
                left == right && left_rest == right_rest
            }
            (Value::Ip(left), Value::Ip(right)) => left == right,
            (Value::Cidr(left, left_length), Value::Cidr(right, right_length)) => {
                left == right && left_length == right_length
            }
            (Value::Url(left), Value::Url(right)) => left.text == right.text,
            (Value::Optional(left), Value::Optional(right)) => match (left, right) {
                (Some(left), Some(right)) => left.equals(right, budget)?,
                (None, None) => true,
                _ => false,
            },
            (Value::Array(left, _), Value::Array(right, _)) if std::ptr::eq(*left, *right) => true,
            (Value::Object(left, _), Value::Object(right, _)) if std::ptr::eq(*left, *right) => true,
            (Value::Int(_) | Value::Uint(_) | Value::Double(_), Value::Int(_) | Value::Uint(_) | Value::Double(_)) => {
                self.compare(other) == Some(Ordering::Equal)
            }
            _ => {
                if let (Some(left), Some(right)) = (self.items(), other.items()) {
                    budget.spend(left.len().min(right.len()) as u64)?;
                    if left.len() != right.len() {
                        return Ok(false);
                    }
                    for (left, right) in left.iter().zip(&right) {
                        if !left.equals(right, budget)? {
                            return Ok(false);
                        }
                    }
                    return Ok(true);
                }
                let (Some(left), Some(right)) = (self.entries(), other.entries()) else {
                    return Ok(false);
                };
                if left.len() != right.len() {
                    return Ok(false);
                }
                for (key, value) in &left {
                    budget.spend(right.len() as u64 / 8 + 1)?;
                    match other.get(key) {
                        Some(there) if value.equals(&there, budget)? => {}
                        _ => return Ok(false),
                    }
                }
                true
            }
        })
    }

    /// Order, where there is one.
    pub fn compare(&self, other: &Value<'a>) -> Option<Ordering> {
        match (self, other) {
            (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
            (Value::Int(left), Value::Int(right)) => Some(left.cmp(right)),
            (Value::Uint(left), Value::Uint(right)) => Some(left.cmp(right)),
            (Value::Int(left), Value::Uint(right)) => Some(i128::from(*left).cmp(&i128::from(*right))),
            (Value::Uint(left), Value::Int(right)) => Some(i128::from(*left).cmp(&i128::from(*right))),
            (Value::Double(left), Value::Double(right)) => left.partial_cmp(right),
            (Value::Int(left), Value::Double(right)) => (*left as f64).partial_cmp(right),
            (Value::Double(left), Value::Int(right)) => left.partial_cmp(&(*right as f64)),
            (Value::Uint(left), Value::Double(right)) => (*left as f64).partial_cmp(right),
            (Value::Double(left), Value::Uint(right)) => left.partial_cmp(&(*right as f64)),
            (Value::Text(left), Value::Text(right)) => Some(left.cmp(right)),
            (Value::Bytes(left), Value::Bytes(right)) => Some(left.cmp(right)),
            (Value::Timestamp(left), Value::Timestamp(right)) => Some(left.cmp(right)),
            (Value::Duration(left), Value::Duration(right)) => Some(left.cmp(right)),
            _ => None,
        }
    }

    /// The value as JSON, for messages, parameters and annotations.
    pub fn json(&self) -> Json {
        match self {
            Value::Null | Value::PolicyVariables | Value::NamedFormat(_) | Value::Question(_) => Json::Null,
            Value::Bool(truth) => (*truth).into(),
            Value::Int(number) => (*number).into(),
            Value::Uint(number) => (*number).into(),
            Value::Double(number) => (*number).into(),
            Value::Text(text) => (&**text).into(),
            Value::Bytes(bytes) => base64::engine::general_purpose::STANDARD.encode(bytes).into(),
            Value::Array(items, _) => Json::Array(items.to_vec()),
            Value::Object(fields, _) => Json::Object((*fields).clone()),
            Value::List(items) => items.iter().map(Value::json).collect(),
            Value::Map(entries) => Json::Object(
                entries
                    .iter()
                    .map(|(key, value)| (key.display(), value.json()))
                    .collect(),
            ),
            Value::Optional(inner) => inner.as_ref().map_or(Json::Null, |inner| inner.json()),
            other => other.display().into(),
        }
    }

    /// The value as text.
    pub fn display(&self) -> String {
        match self {
            Value::Text(text) => text.to_string(),
            Value::Timestamp(time) => time.to_string(),
            Value::Duration(nanos) => super::text::duration_text(*nanos),
            Value::Type(name) => name.to_string(),
            Value::Quantity(nanos) => super::kubernetes::quantity_text(*nanos),
            Value::Version(numbers, rest) => {
                let dash = if rest.is_empty() { "" } else { "-" };
                format!("{}.{}.{}{dash}{rest}", numbers[0], numbers[1], numbers[2])
            }
            Value::Ip(address) => address.to_string(),
            Value::Cidr(address, length) => format!("{address}/{length}"),
            Value::Url(url) => url.text.clone(),
            other => match other.json() {
                Json::String(text) => text,
                json => json.to_string(),
            },
        }
    }
}

fn text_of<'a>(text: &str, schema: Option<&Schema>) -> Value<'a> {
    match schema.map(|schema| schema.format) {
        Some(Format::DateTime) => text.parse().map_or_else(|_| Value::text(text), Value::Timestamp),
        Some(Format::Duration) => super::text::parse_duration(text).map_or_else(|| Value::text(text), Value::Duration),
        Some(Format::Byte) => base64::engine::general_purpose::STANDARD
            .decode(text)
            .map_or_else(|_| Value::text(text), |bytes| Value::Bytes(bytes.into())),
        _ => Value::text(text),
    }
}

/// A field by the name an expression uses: `foo__dash__bar` is `foo-bar`, `__namespace__` is `namespace`.
fn find<'a>(fields: &'a JsonMap<String, Json>, name: &str) -> Option<(&'a str, &'a Json)> {
    let exact = fields.get_key_value(name).map(|(name, field)| (name.as_str(), field));
    if exact.is_some() || !name.contains("__") {
        return exact;
    }
    let plain = unescape(name);
    fields.get_key_value(&plain).map(|(name, field)| (name.as_str(), field))
}

/// The property that an escaped name stands for.
pub(super) fn unescape(name: &str) -> String {
    if let Some(word) = name.strip_prefix("__").and_then(|rest| rest.strip_suffix("__"))
        && !word.is_empty()
        && word.bytes().all(|byte| byte.is_ascii_lowercase())
        && !matches!(word, "dot" | "dash" | "slash" | "underscores")
    {
        return word.to_owned();
    }
    name.replace("__dot__", ".")
        .replace("__dash__", "-")
        .replace("__slash__", "/")
        .replace("__underscores__", "__")
}
