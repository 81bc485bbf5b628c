//! Numbers and amounts.

use regorus::Value;
use stoke_model::units::opa;

use super::{budget, text, whole};

/// As Go reads a number, and so `+1`, `.5` and `007` too; nothing around it.
pub(super) fn to_number(arguments: &[Value]) -> Option<Value> {
    match arguments.first()? {
        Value::Null | Value::Bool(false) => Some(Value::from(0_u64)),
        Value::Bool(true) => Some(Value::from(1_u64)),
        number @ Value::Number(_) => Some(number.clone()),
        Value::String(text) => {
            let numeric = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
            if !text.bytes().all(numeric) {
                return None;
            }
            let float: f64 = text.parse().ok()?;
            Value::from_numeric_string(text)
                .ok()
                .or_else(|| Some(Value::from(float)))
        }
        _ => None,
    }
}

pub(super) fn range(arguments: &[Value]) -> Option<Value> {
    let [from, to] = arguments else { return None };
    numbers(from, to, 1)
}

pub(super) fn range_step(arguments: &[Value]) -> Option<Value> {
    let [from, to, step] = arguments else { return None };
    let step = usize::try_from(whole(step)?).ok().filter(|step| *step > 0)?;
    numbers(from, to, step)
}

/// Numbers from one to another, up or down; none where they are more than the budget has left, which is then told.
fn numbers(from: &Value, to: &Value, step: usize) -> Option<Value> {
    let (from, to) = (whole(from)?, whole(to)?);
    let count = (from.abs_diff(to) / (step as u64)).saturating_add(1);
    if !budget::take(count) {
        return None;
    }
    let list = |range: &mut dyn Iterator<Item = i64>| Value::from(range.map(Value::from).collect::<Vec<_>>());
    Some(match from <= to {
        true => list(&mut (from..=to).step_by(step)),
        false => list(&mut (to..=from).rev().step_by(step)),
    })
}

/// Bytes, of `1.5Gi`, `10MB`, `8g`; what is less than a byte is left off.
pub(super) fn parse_bytes(arguments: &[Value]) -> Option<Value> {
    let bytes = opa::parse_bytes(text(arguments, 0)?)?;
    Value::from_numeric_string(&format!("{bytes:.0}")).ok()
}
