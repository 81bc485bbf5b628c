//! Numbers and amounts.

use regorus::Value;

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
    let text = text(arguments, 0)?.replace('"', "");
    if text.contains(' ') {
        return None;
    }
    let is_number = |(at, character): &(usize, char)| {
        let exponent = matches!(character, 'e' | 'E') && text[at + 1..].starts_with(|next: char| next.is_ascii_digit());
        character.is_ascii_digit() || matches!(character, '.' | '+' | '-') || exponent
    };
    let split = text
        .char_indices()
        .take_while(is_number)
        .last()
        .map_or(0, |(at, last)| at + last.len_utf8());
    let (amount, unit) = text.split_at(split);
    let amount: f64 = amount.parse().ok()?;
    let power = |base: u64, exponent: u32| base.checked_pow(exponent);
    let unit = unit.to_ascii_lowercase();
    let factor = match unit.strip_suffix('b').filter(|rest| !rest.is_empty()).unwrap_or(&unit) {
        "" => 1,
        "k" => power(1_000, 1)?,
        "m" => power(1_000, 2)?,
        "g" => power(1_000, 3)?,
        "t" => power(1_000, 4)?,
        "p" => power(1_000, 5)?,
        "e" => power(1_000, 6)?,
        "ki" => power(1_024, 1)?,
        "mi" => power(1_024, 2)?,
        "gi" => power(1_024, 3)?,
        "ti" => power(1_024, 4)?,
        "pi" => power(1_024, 5)?,
        "ei" => power(1_024, 6)?,
        _ => return None,
    };
    // Amounts of bytes that a float cannot hold exactly are beyond what there is.
    #[expect(clippy::cast_precision_loss, reason = "units are powers that a float holds")]
    let bytes = (amount * factor as f64).trunc();
    Value::from_numeric_string(&format!("{bytes:.0}")).ok()
}
