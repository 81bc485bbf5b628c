//! The list and set libraries.

use std::cmp::Ordering;

use super::eval::{Budget, EvalError, overflow};
use super::value::Value;

/// Longest list `lists.range` makes.
const MOST_RANGE: i64 = 1_000_000;

type Evaluated<'a> = Result<Value<'a>, EvalError>;

fn contains<'a>(list: &[Value<'a>], wanted: &Value<'a>, budget: &Budget) -> Result<bool, EvalError> {
    for item in list {
        if item.equals(wanted, budget)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// `sets.…` and `lists.range`.
pub(super) fn call<'a>(name: &str, arguments: &[Value<'a>], budget: &Budget) -> Evaluated<'a> {
    if let ("lists.range", [Value::Int(count)]) = (name, arguments) {
        if *count > MOST_RANGE {
            return Err(EvalError::new("lists.range: too many items"));
        }
        budget.spend(count.unsigned_abs())?;
        return Ok(Value::list((0..*count).map(Value::Int).collect()));
    }
    let [left, right] = arguments else {
        return Err(EvalError::overload());
    };
    let (Some(left), Some(right)) = (left.items(), right.items()) else {
        return Err(EvalError::overload());
    };
    let all = |these: &[Value<'a>], of: &[Value<'a>]| -> Result<bool, EvalError> {
        for item in these {
            if !contains(of, item, budget)? {
                return Ok(false);
            }
        }
        Ok(true)
    };
    Ok(Value::Bool(match name {
        "sets.contains" => all(&right, &left)?,
        "sets.equivalent" => all(&right, &left)? && all(&left, &right)?,
        "sets.intersects" => {
            let mut found = false;
            for item in &left {
                found |= contains(&right, item, budget)?;
            }
            found
        }
        _ => return Err(EvalError::overload()),
    }))
}

/// Methods of lists.
pub(super) fn method<'a>(target: &Value<'a>, name: &str, arguments: &[Value<'a>], budget: &Budget) -> Evaluated<'a> {
    let items = target.items().ok_or_else(EvalError::overload)?;
    budget.spend(items.len() as u64)?;
    let ordered = |left: &Value<'a>, right: &Value<'a>| left.compare(right).ok_or_else(EvalError::overload);
    match (name, arguments) {
        ("isSorted", []) => {
            for pair in items.windows(2) {
                if ordered(&pair[0], &pair[1])? == Ordering::Greater {
                    return Ok(Value::Bool(false));
                }
            }
            Ok(Value::Bool(true))
        }
        ("min" | "max", []) => {
            let mut items = items.into_iter();
            let mut best = items
                .next()
                .ok_or_else(|| EvalError::new(format!("{name} called on empty list")))?;
            for item in items {
                let order = ordered(&item, &best)?;
                if (name == "max") == (order == Ordering::Greater) && order != Ordering::Equal {
                    best = item;
                }
            }
            Ok(best)
        }
        ("sum", []) => {
            let mut total: Option<Value<'a>> = None;
            for item in items {
                total = Some(match (total, item) {
                    (None, first) => first,
                    (Some(Value::Int(left)), Value::Int(right)) => {
                        Value::Int(left.checked_add(right).ok_or_else(overflow)?)
                    }
                    (Some(Value::Uint(left)), Value::Uint(right)) => {
                        Value::Uint(left.checked_add(right).ok_or_else(overflow)?)
                    }
                    (Some(Value::Double(left)), Value::Double(right)) => Value::Double(left + right),
                    (Some(Value::Duration(left)), Value::Duration(right)) => {
                        Value::Duration(left.checked_add(right).ok_or_else(overflow)?)
                    }
                    _ => return Err(EvalError::overload()),
                });
            }
            Ok(total.unwrap_or(Value::Int(0)))
        }
        ("indexOf" | "lastIndexOf", [wanted]) => {
            let mut found = -1;
            for (index, item) in items.iter().enumerate() {
                if item.equals(wanted, budget)? {
                    found = index as i64;
                    if name == "indexOf" {
                        break;
                    }
                }
            }
            Ok(Value::Int(found))
        }
        ("join", []) | ("join", [Value::Text(_)]) => {
            let separator = match arguments {
                [Value::Text(text)] => text.to_string(),
                _ => String::new(),
            };
            let mut parts = Vec::new();
            let mut length = 0;
            for item in &items {
                let Value::Text(text) = item else {
                    return Err(EvalError::overload());
                };
                length += text.len() + separator.len();
                budget.write(length / 8)?;
                parts.push(text.to_string());
            }
            budget.write(length)?;
            Ok(Value::text(parts.join(&separator)))
        }
        ("slice", [Value::Int(from), Value::Int(to)]) => {
            let place = |number: i64| usize::try_from(number).ok().filter(|number| *number <= items.len());
            match (place(*from), place(*to)) {
                (Some(from), Some(to)) if from <= to => Ok(Value::list(items[from..to].to_vec())),
                _ => Err(EvalError::new(format!(
                    "cannot slice({from}, {to}), list is length {}",
                    items.len()
                ))),
            }
        }
        ("reverse", []) => Ok(Value::list(items.into_iter().rev().collect())),
        ("first", []) => Ok(Value::Optional(items.into_iter().next().map(Box::new))),
        ("last", []) => Ok(Value::Optional(items.into_iter().next_back().map(Box::new))),
        ("sort", []) => {
            let mut items = items;
            budget.spend(items.len() as u64 * 4)?;
            for pair in items.windows(2) {
                ordered(&pair[0], &pair[1])?;
            }
            items.sort_by(|left, right| left.compare(right).unwrap_or(Ordering::Equal));
            Ok(Value::list(items))
        }
        ("distinct", []) => {
            let mut kept: Vec<Value<'a>> = Vec::new();
            for item in items {
                if !contains(&kept, &item, budget)? {
                    kept.push(item);
                }
            }
            Ok(Value::list(kept))
        }
        ("flatten", []) | ("flatten", [Value::Int(_)]) => {
            let depth = match arguments {
                [Value::Int(depth)] => *depth,
                _ => 1,
            };
            let mut flat = items;
            for _ in 0..depth.clamp(0, 32) {
                if !flat.iter().any(|item| item.items().is_some()) {
                    break;
                }
                flat = flat
                    .into_iter()
                    .flat_map(|item| item.items().unwrap_or_else(|| vec![item]))
                    .collect();
                budget.spend(flat.len() as u64)?;
            }
            Ok(Value::list(flat))
        }
        _ => Err(EvalError::overload()),
    }
}
