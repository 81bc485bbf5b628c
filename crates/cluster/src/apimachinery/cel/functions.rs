//! Functions of the language itself: conversions, arithmetic, and the way to the libraries.

use std::sync::Arc;

use super::eval::{EvalError, Evaluator, overflow};
use super::tree::Operator;
use super::value::Value;
use super::{kubernetes, lists, text};

/// Functions that are called as `library.function(…)`.
const NAMESPACED: &[&str] = &[
    "math.greatest",
    "math.least",
    "math.ceil",
    "math.floor",
    "math.round",
    "math.trunc",
    "math.abs",
    "math.sign",
    "math.sqrt",
    "math.isNaN",
    "math.isInf",
    "math.isFinite",
    "math.bitAnd",
    "math.bitOr",
    "math.bitXor",
    "math.bitNot",
    "math.bitShiftLeft",
    "math.bitShiftRight",
    "sets.contains",
    "sets.equivalent",
    "sets.intersects",
    "lists.range",
    "strings.quote",
    "base64.encode",
    "base64.decode",
    "optional.of",
    "optional.ofNonZeroValue",
    "optional.none",
    "ip.isCanonical",
    "jsonpatch.escapeKey",
    "format.named",
    "format.dns1123Label",
    "format.dns1123Subdomain",
    "format.dns1035Label",
    "format.qualifiedName",
    "format.dns1123LabelPrefix",
    "format.dns1123SubdomainPrefix",
    "format.dns1035LabelPrefix",
    "format.labelValue",
    "format.uri",
    "format.uuid",
    "format.byte",
    "format.date",
    "format.datetime",
];

/// Whether a name with a dot is a function of a library.
pub(super) fn is_namespaced(name: &str) -> bool {
    NAMESPACED.contains(&name)
}

type Evaluated<'a> = Result<Value<'a>, EvalError>;

/// Calls a function without a target.
pub(super) fn call<'a>(evaluator: &Evaluator<'_, 'a>, name: &str, arguments: &[Value<'a>]) -> Evaluated<'a> {
    let budget = evaluator.budget;
    match (name, arguments) {
        ("size", [value]) => size(value),
        ("type", [value]) => Ok(Value::Type(value.type_name().into())),
        ("dyn", [value]) => Ok(value.clone()),
        ("int" | "uint" | "double" | "string" | "bytes" | "bool" | "timestamp" | "duration", [value]) => {
            convert(name, value)
        }
        ("matches", [Value::Text(subject), Value::Text(pattern)]) => {
            text::matches(subject, pattern, budget).map(Value::Bool)
        }
        ("optional.of", [value]) => Ok(Value::Optional(Some(Box::new(value.clone())))),
        ("optional.none", []) => Ok(Value::Optional(None)),
        ("optional.ofNonZeroValue", [value]) => {
            let zero = match value {
                Value::Null => true,
                Value::Bool(truth) => !truth,
                Value::Int(number) => *number == 0,
                Value::Uint(number) => *number == 0,
                Value::Double(number) => *number == 0.0,
                Value::Duration(nanos) => *nanos == 0,
                other => other.size() == Some(0),
            };
            Ok(Value::Optional((!zero).then(|| Box::new(value.clone()))))
        }
        _ if name.starts_with("math.") => math(&name[5..], arguments),
        _ if name.starts_with("sets.") || name == "lists.range" => lists::call(name, arguments, budget),
        ("strings.quote", [Value::Text(subject)]) => {
            budget.write(subject.len())?;
            Ok(Value::text(text::quote(subject)))
        }
        ("base64.encode" | "base64.decode", [value]) => text::base64(name, value, budget),
        _ => kubernetes::call(name, arguments, budget),
    }
}

/// Calls a method.
pub(super) fn method<'a>(
    evaluator: &Evaluator<'_, 'a>,
    target: &Value<'a>,
    name: &str,
    arguments: &[Value<'a>],
) -> Evaluated<'a> {
    let budget = evaluator.budget;
    match (target, name, arguments) {
        (value, "size", []) => size(value),
        (Value::Optional(inner), "hasValue", []) => Ok(Value::Bool(inner.is_some())),
        (Value::Optional(inner), "value", []) => inner
            .as_ref()
            .map(|inner| (**inner).clone())
            .ok_or_else(|| EvalError::new("optional.none() dereference")),
        (Value::Optional(inner), "orValue", [other]) => {
            Ok(inner.as_ref().map_or_else(|| other.clone(), |inner| (**inner).clone()))
        }
        (Value::Optional(inner), "or", [other]) => Ok(if inner.is_some() { target.clone() } else { other.clone() }),
        (Value::Text(subject), ..) => text::method(subject, name, arguments, budget),
        (Value::Timestamp(_) | Value::Duration(_), ..) => text::time_method(target, name, arguments),
        (Value::List(_) | Value::Array(..), ..) => lists::method(target, name, arguments, budget),
        (Value::Question(question), ..) => kubernetes::ask(question, name, arguments, &|question| {
            evaluator.variables.allows(question)
        }),
        _ => kubernetes::method(target, name, arguments, budget),
    }
}

fn size<'a>(value: &Value<'a>) -> Evaluated<'a> {
    value
        .size()
        .map(|size| Value::Int(size as i64))
        .ok_or_else(EvalError::overload)
}

fn convert<'a>(name: &str, value: &Value<'a>) -> Evaluated<'a> {
    let wrong = || {
        EvalError::new(format!(
            "type conversion error from '{}' to '{name}'",
            value.type_name()
        ))
    };
    let range = || EvalError::new("range error converting to integer");
    Ok(match (name, value) {
        ("int", Value::Int(_))
        | ("uint", Value::Uint(_))
        | ("double", Value::Double(_))
        | ("string", Value::Text(_))
        | ("bytes", Value::Bytes(_))
        | ("bool", Value::Bool(_))
        | ("timestamp", Value::Timestamp(_))
        | ("duration", Value::Duration(_)) => value.clone(),
        ("int", Value::Uint(number)) => Value::Int(i64::try_from(*number).map_err(|_| range())?),
        ("int", Value::Double(number)) if number.abs() < 9.2e18 => Value::Int(*number as i64),
        ("int", Value::Double(_)) => return Err(range()),
        ("int", Value::Text(text)) => Value::Int(text.parse().map_err(|_| wrong())?),
        ("int", Value::Timestamp(time)) => Value::Int(time.as_second()),
        ("int", Value::Duration(nanos)) => Value::Int(*nanos),
        ("uint", Value::Int(number)) => Value::Uint(u64::try_from(*number).map_err(|_| range())?),
        ("uint", Value::Double(number)) if (0.0..1.8e19).contains(number) => Value::Uint(*number as u64),
        ("uint", Value::Double(_)) => return Err(range()),
        ("uint", Value::Text(text)) => Value::Uint(text.parse().map_err(|_| wrong())?),
        ("double", Value::Int(number)) => Value::Double(*number as f64),
        ("double", Value::Uint(number)) => Value::Double(*number as f64),
        ("double", Value::Text(text)) => Value::Double(text.parse().map_err(|_| wrong())?),
        ("string", Value::Bytes(bytes)) => Value::text(
            std::str::from_utf8(bytes)
                .map_err(|_| EvalError::new("invalid UTF-8 in bytes, cannot convert to string"))?,
        ),
        ("string", Value::Null | Value::List(_) | Value::Array(..) | Value::Map(_) | Value::Object(..)) => {
            return Err(wrong());
        }
        ("string", other) => Value::text(other.display()),
        ("bytes", Value::Text(text)) => Value::Bytes(text.as_bytes().into()),
        ("bool", Value::Text(text)) => match &**text {
            "true" | "True" | "TRUE" | "t" | "1" => Value::Bool(true),
            "false" | "False" | "FALSE" | "f" | "0" => Value::Bool(false),
            _ => return Err(wrong()),
        },
        ("timestamp", Value::Text(text)) => Value::Timestamp(text.parse().map_err(|_| wrong())?),
        ("timestamp", Value::Int(seconds)) => {
            Value::Timestamp(jiff::Timestamp::from_second(*seconds).map_err(|_| wrong())?)
        }
        ("duration", Value::Text(text)) => Value::Duration(text::parse_duration(text).ok_or_else(wrong)?),
        ("duration", Value::Int(seconds)) => Value::Duration(seconds.checked_mul(1_000_000_000).ok_or_else(range)?),
        _ => return Err(EvalError::overload()),
    })
}

/// `+ - * / %`.
pub(super) fn arithmetic<'a>(
    evaluator: &Evaluator<'_, 'a>,
    operator: Operator,
    left: &Value<'a>,
    right: &Value<'a>,
) -> Evaluated<'a> {
    use Operator::{Add, Divide, Multiply, Remainder, Subtract};
    let budget = evaluator.budget;
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => {
            if *right == 0 && matches!(operator, Divide | Remainder) {
                return Err(EvalError::new(if operator == Divide {
                    "division by zero"
                } else {
                    "modulus by zero"
                }));
            }
            let result = match operator {
                Add => left.checked_add(*right),
                Subtract => left.checked_sub(*right),
                Multiply => left.checked_mul(*right),
                Divide => left.checked_div(*right),
                Remainder => left.checked_rem(*right),
                _ => return Err(EvalError::overload()),
            };
            result.map(Value::Int).ok_or_else(overflow)
        }
        (Value::Uint(left), Value::Uint(right)) => {
            if *right == 0 && matches!(operator, Divide | Remainder) {
                return Err(EvalError::new(if operator == Divide {
                    "division by zero"
                } else {
                    "modulus by zero"
                }));
            }
            let result = match operator {
                Add => left.checked_add(*right),
                Subtract => left.checked_sub(*right),
                Multiply => left.checked_mul(*right),
                Divide => left.checked_div(*right),
                Remainder => left.checked_rem(*right),
                _ => return Err(EvalError::overload()),
            };
            result.map(Value::Uint).ok_or_else(overflow)
        }
        (Value::Double(left), Value::Double(right)) => Ok(Value::Double(match operator {
            Add => left + right,
            Subtract => left - right,
            Multiply => left * right,
            Divide => left / right,
            _ => return Err(EvalError::overload()),
        })),
        (Value::Text(left), Value::Text(right)) if operator == Add => {
            budget.write(left.len() + right.len())?;
            Ok(Value::Text([&**left, &**right].concat().into()))
        }
        (Value::Bytes(left), Value::Bytes(right)) if operator == Add => {
            budget.write(left.len() + right.len())?;
            Ok(Value::Bytes([&**left, &**right].concat().into()))
        }
        (Value::Duration(left), Value::Duration(right)) => match operator {
            Add => left.checked_add(*right).map(Value::Duration).ok_or_else(overflow),
            Subtract => left.checked_sub(*right).map(Value::Duration).ok_or_else(overflow),
            _ => Err(EvalError::overload()),
        },
        (Value::Timestamp(time), Value::Duration(nanos)) | (Value::Duration(nanos), Value::Timestamp(time)) => {
            let span = jiff::SignedDuration::from_nanos(*nanos);
            let moved = match operator {
                Add => time.checked_add(span),
                Subtract if matches!(left, Value::Timestamp(_)) => time.checked_sub(span),
                _ => return Err(EvalError::overload()),
            };
            moved
                .map(Value::Timestamp)
                .map_err(|_| EvalError::new("timestamp overflow"))
        }
        (Value::Timestamp(left), Value::Timestamp(right)) if operator == Subtract => {
            let nanos = left.as_nanosecond() - right.as_nanosecond();
            i64::try_from(nanos)
                .map(Value::Duration)
                .map_err(|_| EvalError::new("duration overflow"))
        }
        _ if operator == Add => {
            let (Some(mut items), Some(more)) = (left.items(), right.items()) else {
                return Err(EvalError::overload());
            };
            budget.spend((items.len() + more.len()) as u64)?;
            items.extend(more);
            Ok(Value::List(Arc::new(items)))
        }
        _ => Err(EvalError::overload()),
    }
}

fn math<'a>(name: &str, arguments: &[Value<'a>]) -> Evaluated<'a> {
    if matches!(name, "greatest" | "least") {
        let values = match arguments {
            [one] if one.items().is_some() => one.items().unwrap_or_default(),
            many => many.to_vec(),
        };
        let mut best: Option<Value<'a>> = None;
        for value in values {
            let better = match &best {
                None => true,
                Some(best) => {
                    let order = value.compare(best).ok_or_else(EvalError::overload)?;
                    if name == "greatest" {
                        order.is_gt()
                    } else {
                        order.is_lt()
                    }
                }
            };
            if better {
                best = Some(value);
            }
        }
        return best.ok_or_else(EvalError::overload);
    }
    let bits = |operation: fn(i64, i64) -> i64| match arguments {
        [Value::Int(left), Value::Int(right)] => Ok(Value::Int(operation(*left, *right))),
        [Value::Uint(left), Value::Uint(right)] => Ok(Value::Uint(
            operation(left.cast_signed(), right.cast_signed()).cast_unsigned(),
        )),
        _ => Err(EvalError::overload()),
    };
    match (name, arguments) {
        ("ceil", [Value::Double(number)]) => Ok(Value::Double(number.ceil())),
        ("floor", [Value::Double(number)]) => Ok(Value::Double(number.floor())),
        ("round", [Value::Double(number)]) => Ok(Value::Double(number.round())),
        ("trunc", [Value::Double(number)]) => Ok(Value::Double(number.trunc())),
        ("isNaN", [Value::Double(number)]) => Ok(Value::Bool(number.is_nan())),
        ("isInf", [Value::Double(number)]) => Ok(Value::Bool(number.is_infinite())),
        ("isFinite", [Value::Double(number)]) => Ok(Value::Bool(number.is_finite())),
        ("abs", [Value::Double(number)]) => Ok(Value::Double(number.abs())),
        ("abs", [Value::Int(number)]) => number.checked_abs().map(Value::Int).ok_or_else(overflow),
        ("sign", [Value::Int(number)]) => Ok(Value::Int(number.signum())),
        ("sign", [Value::Double(number)]) => Ok(Value::Double(if *number == 0.0 { 0.0 } else { number.signum() })),
        ("abs" | "sign", [Value::Uint(number)]) => Ok(Value::Uint(if name == "abs" {
            *number
        } else {
            u64::from(*number > 0)
        })),
        ("sqrt", [Value::Double(number)]) => Ok(Value::Double(number.sqrt())),
        ("sqrt", [Value::Int(number)]) => Ok(Value::Double((*number as f64).sqrt())),
        ("sqrt", [Value::Uint(number)]) => Ok(Value::Double((*number as f64).sqrt())),
        ("bitAnd", _) => bits(|left, right| left & right),
        ("bitOr", _) => bits(|left, right| left | right),
        ("bitXor", _) => bits(|left, right| left ^ right),
        ("bitNot", [Value::Int(number)]) => Ok(Value::Int(!number)),
        ("bitNot", [Value::Uint(number)]) => Ok(Value::Uint(!number)),
        ("bitShiftLeft" | "bitShiftRight", [number, Value::Int(by)]) => {
            let by = u32::try_from(*by).map_err(|_| EvalError::new("math.bitShift() negative offset"))?;
            let shift = |number: u64| {
                let moved = if name == "bitShiftLeft" {
                    number.checked_shl(by)
                } else {
                    number.checked_shr(by)
                };
                moved.unwrap_or(0)
            };
            match number {
                Value::Int(number) => Ok(Value::Int(shift(number.cast_unsigned()).cast_signed())),
                Value::Uint(number) => Ok(Value::Uint(shift(*number))),
                _ => Err(EvalError::overload()),
            }
        }
        _ => Err(EvalError::overload()),
    }
}
