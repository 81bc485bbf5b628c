//! Evaluation, with a budget.

use std::cell::Cell;
use std::sync::Arc;

use super::functions::{call, method};
use super::tree::{Expr, Fold, FoldKind, Node, Operator};
use super::value::Value;

/// Longest text an expression may make, in bytes.
const MOST_TEXT: usize = 8 << 20;

/// Why an evaluation has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvalError {
    /// The cause in words.
    pub message: String,
    /// The budget was used up.
    pub exhausted: bool,
}

impl EvalError {
    /// An error with a cause.
    pub fn new(message: impl Into<String>) -> EvalError {
        EvalError {
            message: message.into(),
            exhausted: false,
        }
    }

    /// Operands of types the operation does not take.
    pub(super) fn overload() -> EvalError {
        EvalError::new("no such overload")
    }
}

impl std::fmt::Display for EvalError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.message)
    }
}

/// Cost units left: about one for each step, one for ten characters looked at.
#[derive(Debug)]
pub struct Budget {
    left: Cell<u64>,
    total: Option<Cell<u64>>,
}

impl Budget {
    /// So many units.
    pub fn new(units: u64) -> Budget {
        Budget {
            left: Cell::new(units),
            total: None,
        }
    }

    /// So many units for each expression ([`Budget::next_expression`]), and so many for all.
    pub fn shared(each: u64, total: u64) -> Budget {
        Budget {
            left: Cell::new(each.min(total)),
            total: Some(Cell::new(total)),
        }
    }

    /// Starts the next expression of a shared budget; false if nothing is left.
    pub fn next_expression(&self, each: u64) -> bool {
        let Some(total) = &self.total else { return true };
        self.left.set(each.min(total.get()));
        total.get() > 0
    }

    /// Uses units up.
    pub fn spend(&self, units: u64) -> Result<(), EvalError> {
        if let Some(total) = &self.total {
            total.set(total.get().saturating_sub(units));
        }
        match self.left.get().checked_sub(units) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => {
                self.left.set(0);
                Err(EvalError {
                    message: "operation cancelled: actual cost limit exceeded".into(),
                    exhausted: true,
                })
            }
        }
    }

    /// Uses up what looking at a text costs.
    pub(super) fn read(&self, bytes: usize) -> Result<(), EvalError> {
        self.spend(bytes as u64 / 10 + 1)
    }

    /// Uses up what making a text costs.
    pub(super) fn write(&self, bytes: usize) -> Result<(), EvalError> {
        if bytes > MOST_TEXT {
            return Err(EvalError {
                message: "operation cancelled: the text it makes is too long".into(),
                exhausted: true,
            });
        }
        self.spend(bytes as u64 / 10 + 1)
    }
}

/// Where names come from.
pub trait Variables<'a> {
    /// Value of a variable; `None` if there is none of this name.
    fn get(&self, name: &str) -> Option<Value<'a>>;

    /// Value of `variables.<name>` of a policy.
    fn policy_variable(&self, _name: &str, _budget: &Budget) -> Option<Result<Value<'a>, EvalError>> {
        None
    }

    /// Whether a user may do something, for the `authorizer` library.
    fn allows(&self, _question: &super::kubernetes::Question) -> Option<bool> {
        None
    }
}

impl<'a, const N: usize> Variables<'a> for [(&str, Value<'a>); N] {
    fn get(&self, name: &str) -> Option<Value<'a>> {
        self.iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.clone())
    }
}

/// Names bound by macros, innermost first.
struct Scope<'p, 'a> {
    name: &'p str,
    value: Value<'a>,
    outer: Option<&'p Scope<'p, 'a>>,
}

pub(super) struct Evaluator<'e, 'a> {
    pub variables: &'e dyn Variables<'a>,
    pub budget: &'e Budget,
}

type Evaluated<'a> = Result<Value<'a>, EvalError>;

/// Evaluates a tree.
pub(super) fn run<'a>(node: &Node, variables: &dyn Variables<'a>, budget: &Budget) -> Evaluated<'a> {
    Evaluator { variables, budget }.eval(node, None)
}

impl<'a> Evaluator<'_, 'a> {
    fn eval(&self, node: &Node, scope: Option<&Scope<'_, 'a>>) -> Evaluated<'a> {
        self.budget.spend(1)?;
        match &node.expr {
            Expr::Null => Ok(Value::Null),
            Expr::Bool(truth) => Ok(Value::Bool(*truth)),
            Expr::Int(number) => Ok(Value::Int(*number)),
            Expr::Uint(number) => Ok(Value::Uint(*number)),
            Expr::Double(number) => Ok(Value::Double(*number)),
            Expr::Text(text) => Ok(Value::Text(text.clone())),
            Expr::Bytes(bytes) => Ok(Value::Bytes(bytes.clone())),
            Expr::Name(name) => self.name(name, scope),
            Expr::Select {
                of,
                field,
                test,
                optional,
            } => {
                let value = self.eval(of, scope)?;
                self.select(value, field, *test, *optional)
            }
            Expr::Index { of, index, optional } => {
                let (value, index) = (self.eval(of, scope)?, self.eval(index, scope)?);
                self.index(value, &index, *optional)
            }
            Expr::Call {
                name,
                target: None,
                arguments,
            } => {
                let arguments = self.all(arguments, scope)?;
                call(self, name, &arguments)
            }
            Expr::Call {
                name,
                target: Some(target),
                arguments,
            } => {
                let target = self.eval(target, scope)?;
                let arguments = self.all(arguments, scope)?;
                method(self, &target, name, &arguments)
            }
            Expr::List(items) => {
                let mut list = Vec::with_capacity(items.len());
                for (item, optional) in items {
                    match (self.eval(item, scope)?, optional) {
                        (Value::Optional(inner), true) => list.extend(inner.map(|inner| *inner)),
                        (_, true) => return Err(EvalError::overload()),
                        (value, false) => list.push(value),
                    }
                }
                Ok(Value::list(list))
            }
            Expr::Map(entries) => {
                let mut map: Vec<(Value<'a>, Value<'a>)> = Vec::with_capacity(entries.len());
                for (key, value, optional) in entries {
                    let key = self.eval(key, scope)?;
                    let value = match (self.eval(value, scope)?, optional) {
                        (Value::Optional(None), true) => continue,
                        (Value::Optional(Some(inner)), true) => *inner,
                        (_, true) => return Err(EvalError::overload()),
                        (value, false) => value,
                    };
                    self.insert(&mut map, key, value)?;
                }
                Ok(Value::Map(Arc::new(map)))
            }
            Expr::And(left, right) => self.logic(left, right, false, scope),
            Expr::Or(left, right) => self.logic(left, right, true, scope),
            Expr::Not(of) => match self.eval(of, scope)? {
                Value::Bool(truth) => Ok(Value::Bool(!truth)),
                _ => Err(EvalError::overload()),
            },
            Expr::Negate(of) => match self.eval(of, scope)? {
                Value::Int(number) => number.checked_neg().map(Value::Int).ok_or_else(overflow),
                Value::Double(number) => Ok(Value::Double(-number)),
                Value::Duration(nanos) => nanos.checked_neg().map(Value::Duration).ok_or_else(overflow),
                _ => Err(EvalError::overload()),
            },
            Expr::Choose(parts) => {
                let [condition, then, otherwise] = &**parts;
                match self.eval(condition, scope)? {
                    Value::Bool(true) => self.eval(then, scope),
                    Value::Bool(false) => self.eval(otherwise, scope),
                    _ => Err(EvalError::overload()),
                }
            }
            Expr::Binary(operator, left, right) => {
                let (left, right) = (self.eval(left, scope)?, self.eval(right, scope)?);
                self.binary(*operator, &left, &right)
            }
            Expr::Bind { name, value, body } => {
                let value = self.eval(value, scope)?;
                self.eval(
                    body,
                    Some(&Scope {
                        name,
                        value,
                        outer: scope,
                    }),
                )
            }
            Expr::Fold(fold) => self.fold(fold, scope),
        }
    }

    fn all(&self, nodes: &[Node], scope: Option<&Scope<'_, 'a>>) -> Result<Vec<Value<'a>>, EvalError> {
        nodes.iter().map(|node| self.eval(node, scope)).collect()
    }

    fn name(&self, name: &str, scope: Option<&Scope<'_, 'a>>) -> Evaluated<'a> {
        let mut inner = scope;
        while let Some(bound) = inner {
            if bound.name == name {
                return Ok(bound.value.clone());
            }
            inner = bound.outer;
        }
        if let Some(value) = self.variables.get(name) {
            return Ok(value);
        }
        if super::check::TYPE_NAMES.contains(&name) {
            return Ok(Value::Type(name.into()));
        }
        Err(EvalError::new(format!("no such attribute(s): {name}")))
    }

    fn select(&self, value: Value<'a>, field: &str, test: bool, optional: bool) -> Evaluated<'a> {
        match &value {
            Value::PolicyVariables => {
                let found = self.variables.policy_variable(field, self.budget);
                return match (found, test) {
                    (found, true) => Ok(Value::Bool(found.is_some())),
                    (Some(found), false) => found,
                    (None, false) => Err(no_such_key(field)),
                };
            }
            Value::Optional(inner) => {
                let Some(inner) = inner else {
                    return Ok(if test {
                        Value::Bool(false)
                    } else {
                        Value::Optional(None)
                    });
                };
                return match self.select((**inner).clone(), field, test, true)? {
                    Value::Bool(truth) if test => Ok(Value::Bool(truth)),
                    other => Ok(other),
                };
            }
            Value::Question(_) if field == "requestResource" && !test => {
                return self
                    .variables
                    .get("authorizer.requestResource")
                    .ok_or_else(|| no_such_key(field));
            }
            // Cluster-scoped or deleted: policies see null where there is no object.
            Value::Null if test || optional => {
                return Ok(if test {
                    Value::Bool(false)
                } else {
                    Value::Optional(None)
                });
            }
            Value::Object(..) | Value::Map(_) => {}
            Value::Null => return Err(no_such_key(field)),
            other => {
                return Err(EvalError::new(format!(
                    "type '{}' does not support field selection",
                    other.type_name()
                )));
            }
        }
        let found = value.get(&Value::text(field));
        match (found, test, optional) {
            (found, true, _) => Ok(Value::Bool(found.is_some())),
            (found, false, true) => Ok(Value::Optional(found.map(Box::new))),
            (Some(found), false, false) => Ok(found),
            (None, false, false) => Err(no_such_key(field)),
        }
    }

    fn index(&self, value: Value<'a>, index: &Value<'a>, optional: bool) -> Evaluated<'a> {
        let (value, optional) = match value {
            Value::Optional(None) => return Ok(Value::Optional(None)),
            Value::Optional(Some(inner)) => (*inner, true),
            value => (value, optional),
        };
        let found = match (&value, index) {
            (Value::List(_) | Value::Array(..), index) => {
                let place = match index {
                    Value::Int(number) => usize::try_from(*number).ok(),
                    Value::Uint(number) => usize::try_from(*number).ok(),
                    Value::Double(number) if number.fract() == 0.0 && *number >= 0.0 => Some(*number as usize),
                    _ => return Err(EvalError::overload()),
                };
                let found = place.and_then(|place| match &value {
                    Value::List(items) => items.get(place).cloned(),
                    Value::Array(items, schema) => {
                        let schema = schema.and_then(|schema| schema.list()).map(|(_, items)| items);
                        items.get(place).map(|item| Value::of(item, schema))
                    }
                    _ => None,
                });
                found.ok_or_else(|| EvalError::new(format!("index out of bounds: {}", index.display())))
            }
            (Value::Map(_) | Value::Object(..), key) => value.get(key).ok_or_else(|| no_such_key(&key.display())),
            (Value::PolicyVariables, Value::Text(name)) => return self.select(value.clone(), name, false, optional),
            _ => return Err(EvalError::overload()),
        };
        if optional {
            return Ok(Value::Optional(found.ok().map(Box::new)));
        }
        found
    }

    /// `&&` and `||`: one side that decides hides an error of the other.
    fn logic(&self, left: &Node, right: &Node, decides: bool, scope: Option<&Scope<'_, 'a>>) -> Evaluated<'a> {
        let left = self.eval(left, scope);
        match &left {
            Ok(Value::Bool(truth)) if *truth == decides => return left,
            Err(error) if error.exhausted => return left,
            _ => {}
        }
        let right = self.eval(right, scope);
        match (&left, &right) {
            (_, Ok(Value::Bool(truth))) if *truth == decides => right,
            (Ok(Value::Bool(_)), Ok(Value::Bool(_))) | (Ok(Value::Bool(_)), Err(_)) => right,
            (Err(_), _) => left,
            _ => Err(EvalError::overload()),
        }
    }

    fn insert(&self, map: &mut Vec<(Value<'a>, Value<'a>)>, key: Value<'a>, value: Value<'a>) -> Result<(), EvalError> {
        if !matches!(key, Value::Text(_) | Value::Int(_) | Value::Uint(_) | Value::Bool(_)) {
            return Err(EvalError::new("unsupported key type"));
        }
        self.budget.spend(map.len() as u64 / 8 + 1)?;
        for (other, _) in map.iter() {
            if other.equals(&key, &Budget::new(1 << 20))? {
                return Err(EvalError::new(format!(
                    "insert failed: key {} already exists",
                    key.display()
                )));
            }
        }
        map.push((key, value));
        Ok(())
    }

    fn binary(&self, operator: Operator, left: &Value<'a>, right: &Value<'a>) -> Evaluated<'a> {
        match operator {
            Operator::Equal => left.equals(right, self.budget).map(Value::Bool),
            Operator::Unequal => left.equals(right, self.budget).map(|equal| Value::Bool(!equal)),
            Operator::Less | Operator::LessEqual | Operator::Greater | Operator::GreaterEqual => {
                let order = match left.compare(right) {
                    Some(order) => order,
                    // Not a number is neither less nor more.
                    None if matches!((left, right), (Value::Double(_), _) | (_, Value::Double(_)))
                        && left.type_name() != "string"
                        && right.type_name() != "string" =>
                    {
                        return Ok(Value::Bool(false));
                    }
                    None => return Err(EvalError::overload()),
                };
                Ok(Value::Bool(match operator {
                    Operator::Less => order.is_lt(),
                    Operator::LessEqual => order.is_le(),
                    Operator::Greater => order.is_gt(),
                    _ => order.is_ge(),
                }))
            }
            Operator::In => {
                if let Some(items) = right.items() {
                    for item in &items {
                        if item.equals(left, self.budget)? {
                            return Ok(Value::Bool(true));
                        }
                    }
                    return Ok(Value::Bool(false));
                }
                match right {
                    Value::Map(_) | Value::Object(..) => Ok(Value::Bool(right.get(left).is_some())),
                    _ => Err(EvalError::overload()),
                }
            }
            _ => super::functions::arithmetic(self, operator, left, right),
        }
    }

    fn fold(&self, fold: &Fold, scope: Option<&Scope<'_, 'a>>) -> Evaluated<'a> {
        let range = self.eval(&fold.range, scope)?;
        let body = |first: &Value<'a>, second: Option<&Value<'a>>, node: &Node| {
            let outer = Scope {
                name: &fold.first,
                value: first.clone(),
                outer: scope,
            };
            match (&fold.second, second) {
                (Some(name), Some(value)) => self.eval(
                    node,
                    Some(&Scope {
                        name,
                        value: value.clone(),
                        outer: Some(&outer),
                    }),
                ),
                _ => self.eval(node, Some(&outer)),
            }
        };
        if matches!(fold.kind, FoldKind::OptionalMap | FoldKind::OptionalFlatMap) {
            let Value::Optional(inner) = range else {
                return Err(EvalError::overload());
            };
            let Some(inner) = inner else {
                return Ok(Value::Optional(None));
            };
            let mapped = body(&inner, None, &fold.body)?;
            return Ok(match fold.kind {
                FoldKind::OptionalMap => Value::Optional(Some(Box::new(mapped))),
                _ => mapped,
            });
        }
        // Lists give items (or index and item), maps give keys (or key and value).
        let pairs: Vec<(Value<'a>, Value<'a>)> = match (range.items(), fold.second.is_some()) {
            (Some(items), true) => {
                let numbered = items.into_iter().enumerate();
                numbered.map(|(index, item)| (Value::Int(index as i64), item)).collect()
            }
            (Some(items), false) => items.into_iter().map(|item| (item, Value::Null)).collect(),
            (None, _) => range.entries().ok_or_else(EvalError::overload)?,
        };
        self.budget.spend(pairs.len() as u64)?;
        let truth = |value: Value<'a>| match value {
            Value::Bool(truth) => Ok(truth),
            _ => Err(EvalError::overload()),
        };
        let mut failed = None;
        let mut count = 0;
        let mut list = Vec::new();
        let mut map = Vec::new();
        let mut keys = Vec::new();
        for (first, second) in &pairs {
            if let Some(condition) = &fold.condition
                && !truth(body(first, Some(second), condition)?)?
            {
                continue;
            }
            let result = body(first, Some(second), &fold.body);
            match fold.kind {
                FoldKind::All | FoldKind::Exists => {
                    let decides = fold.kind == FoldKind::Exists;
                    match result.and_then(truth) {
                        Ok(found) if found == decides => return Ok(Value::Bool(decides)),
                        Ok(_) => {}
                        Err(error) if error.exhausted => return Err(error),
                        Err(error) => failed = Some(error),
                    }
                }
                FoldKind::ExistsOne => count += usize::from(truth(result?)?),
                FoldKind::Filter => {
                    if truth(result?)? {
                        list.push(first.clone());
                    }
                }
                FoldKind::Map => list.push(result?),
                FoldKind::TransformMap => self.insert(&mut map, first.clone(), result?)?,
                FoldKind::TransformMapEntry => {
                    for (key, value) in result?.entries().ok_or_else(EvalError::overload)? {
                        self.insert(&mut map, key, value)?;
                    }
                }
                _ => keys.push((result?, first.clone())),
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        Ok(match fold.kind {
            FoldKind::All => Value::Bool(true),
            FoldKind::Exists => Value::Bool(false),
            FoldKind::ExistsOne => Value::Bool(count == 1),
            FoldKind::TransformMap | FoldKind::TransformMapEntry => Value::Map(Arc::new(map)),
            FoldKind::SortBy => {
                self.budget.spend(keys.len() as u64 * 4)?;
                if keys.windows(2).any(|pair| pair[0].0.compare(&pair[1].0).is_none()) {
                    return Err(EvalError::overload());
                }
                keys.sort_by(|left, right| left.0.compare(&right.0).unwrap_or(std::cmp::Ordering::Equal));
                Value::list(keys.into_iter().map(|(_, item)| item).collect())
            }
            _ => Value::list(list),
        })
    }
}

fn no_such_key(key: &str) -> EvalError {
    EvalError::new(format!("no such key: {key}"))
}

pub(super) fn overflow() -> EvalError {
    EvalError::new("integer overflow")
}
