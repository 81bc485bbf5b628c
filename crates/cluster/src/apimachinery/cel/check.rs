//! Types: what the API server refuses when an expression is written, not when it is used.
//!
//! What cannot be known is [`Type::Dyn`] and never complained about, so a check can be too kind but not too strict.

use std::sync::Arc;

use super::CompileError;
use super::functions::is_namespaced;
use super::signatures::{FUNCTIONS, METHODS, function, method};
use super::tree::{Expr, FoldKind, Node, Operator};
use super::value::unescape;
use crate::apimachinery::schema::{Format, Kind, Schema};

/// Names of types that are values themselves.
pub(super) const TYPE_NAMES: &[&str] = &[
    "bool",
    "int",
    "uint",
    "double",
    "string",
    "bytes",
    "list",
    "map",
    "null_type",
    "type",
    "optional_type",
];

/// Type of an expression.
#[derive(Clone, Debug)]
pub enum Type<'s> {
    /// Not known.
    Dyn,
    Null,
    /// true or false
    Bool,
    /// Whole number.
    Int,
    /// Whole number without sign.
    Uint,
    /// Number.
    Double,
    Text,
    Bytes,
    /// Instant.
    Timestamp,
    /// Length of time.
    Duration,
    /// The name of a type.
    Named,
    List(Box<Type<'s>>),
    /// Map with text keys.
    Map(Box<Type<'s>>),
    /// A structure of a schema; `true` for a whole Kubernetes object.
    Object(&'s Schema, bool),
    /// Metadata of an object, of which rules see the name only.
    Metadata,
    /// What may be missing.
    Optional(Box<Type<'s>>),
    /// A value of a library.
    Library(&'static str),
}

impl<'s> Type<'s> {
    /// Type of a value that follows a schema.
    pub fn of(schema: &'s Schema) -> Type<'s> {
        let resolved = schema.resolve();
        if schema.nullable || resolved.nullable {
            return Type::Dyn;
        }
        match (&resolved.kind, resolved.format) {
            (Kind::String, Format::DateTime) => Type::Timestamp,
            (Kind::String, Format::Duration) => Type::Duration,
            (Kind::String, Format::Byte) => Type::Bytes,
            (Kind::String, _) => Type::Text,
            (Kind::Boolean, _) => Type::Bool,
            (Kind::Integer, _) => Type::Int,
            (Kind::Number, _) => Type::Double,
            (Kind::Array { items, .. }, _) => Type::List(Box::new(Type::of(items))),
            (Kind::Object(object), _) => match &object.additional {
                Some(additional) => Type::Map(Box::new(Type::of(additional))),
                None if object.preserve_unknown && object.properties.is_empty() => Type::Dyn,
                None => Type::Object(resolved, schema.embedded),
            },
            _ => Type::Dyn,
        }
    }

    /// What the type is called.
    pub fn name(&self) -> String {
        match self {
            Type::Dyn => "dyn".into(),
            Type::Null => "null".into(),
            Type::Bool => "bool".into(),
            Type::Int => "int".into(),
            Type::Uint => "uint".into(),
            Type::Double => "double".into(),
            Type::Text => "string".into(),
            Type::Bytes => "bytes".into(),
            Type::Timestamp => "timestamp".into(),
            Type::Duration => "duration".into(),
            Type::Named => "type(dyn)".into(),
            Type::List(item) => format!("list({})", item.name()),
            Type::Map(value) => format!("map(string, {})", value.name()),
            Type::Object(..) | Type::Metadata => "object".into(),
            Type::Optional(inner) => format!("optional_type({})", inner.name()),
            Type::Library(name) => (*name).into(),
        }
    }

    /// Whether values of both can be equal.
    fn comparable(&self, other: &Type<'s>) -> bool {
        match (self, other) {
            (Type::Dyn | Type::Null, _) | (_, Type::Dyn | Type::Null) => true,
            (Type::List(left), Type::List(right))
            | (Type::Map(left), Type::Map(right))
            | (Type::Optional(left), Type::Optional(right)) => left.comparable(right),
            (Type::Object(..) | Type::Metadata, Type::Object(..) | Type::Map(_) | Type::Metadata)
            | (Type::Map(_), Type::Object(..)) => true,
            (Type::Library(left), Type::Library(right)) => left == right,
            (left, right) => std::mem::discriminant(left) == std::mem::discriminant(right),
        }
    }

    fn is_number(&self) -> bool {
        matches!(self, Type::Int | Type::Uint | Type::Double)
    }
}

struct Checker<'c, 's> {
    variables: &'c [(&'c str, Type<'s>)],
    scope: Vec<(Arc<str>, Type<'s>)>,
}

type Checked<'s> = Result<Type<'s>, CompileError>;

pub(super) fn check<'s>(root: &Node, variables: &[(&str, Type<'s>)]) -> Checked<'s> {
    Checker {
        variables,
        scope: Vec::new(),
    }
    .check(root)
}

fn error<T>(node: &Node, message: impl Into<String>) -> Result<T, CompileError> {
    Err(CompileError {
        place: node.place,
        message: message.into(),
    })
}

fn no_overload<T>(node: &Node, name: &str, types: &[&Type<'_>]) -> Result<T, CompileError> {
    let types: Vec<String> = types.iter().map(|known| known.name()).collect();
    error(
        node,
        format!(
            "found no matching overload for '{name}' applied to '({})'",
            types.join(", ")
        ),
    )
}

impl<'s> Checker<'_, 's> {
    fn check(&mut self, node: &Node) -> Checked<'s> {
        Ok(match &node.expr {
            Expr::Null => Type::Null,
            Expr::Bool(_) => Type::Bool,
            Expr::Int(_) => Type::Int,
            Expr::Uint(_) => Type::Uint,
            Expr::Double(_) => Type::Double,
            Expr::Text(_) => Type::Text,
            Expr::Bytes(_) => Type::Bytes,
            Expr::Name(name) => return self.name(node, name),
            Expr::Select {
                of,
                field,
                test,
                optional,
            } => {
                let of = self.check(of)?;
                let found = self.field(node, of, field)?;
                match (test, optional) {
                    (true, _) => Type::Bool,
                    (_, true) => Type::Optional(Box::new(found)),
                    _ => found,
                }
            }
            Expr::Index { of, index, optional } => {
                let (of, index) = (self.check(of)?, self.check(index)?);
                let (of, optional) = match of {
                    Type::Optional(inner) => (*inner, true),
                    of => (of, *optional),
                };
                let found = match (&of, &index) {
                    (Type::List(item), index) if index.is_number() || matches!(index, Type::Dyn) => (**item).clone(),
                    (Type::Map(value), Type::Text | Type::Dyn) => (**value).clone(),
                    (Type::Dyn, _) => Type::Dyn,
                    _ => return no_overload(node, "_[_]", &[&of, &index]),
                };
                if optional {
                    Type::Optional(Box::new(found))
                } else {
                    found
                }
            }
            Expr::Call {
                name,
                target,
                arguments,
            } => return self.call(node, name, target.as_deref(), arguments),
            Expr::List(items) => {
                let mut common: Option<Type<'s>> = None;
                for (item, optional) in items {
                    let mut found = self.check(item)?;
                    if *optional {
                        found = match found {
                            Type::Optional(inner) => *inner,
                            _ => Type::Dyn,
                        };
                    }
                    common = Some(match common {
                        None => found,
                        Some(common) if std::mem::discriminant(&common) == std::mem::discriminant(&found) => common,
                        Some(_) => Type::Dyn,
                    });
                }
                Type::List(Box::new(common.unwrap_or(Type::Dyn)))
            }
            Expr::Map(entries) => {
                for (key, value, _) in entries {
                    self.check(key)?;
                    self.check(value)?;
                }
                Type::Map(Box::new(Type::Dyn))
            }
            Expr::And(left, right) | Expr::Or(left, right) => {
                let name = if matches!(node.expr, Expr::And(..)) {
                    "_&&_"
                } else {
                    "_||_"
                };
                let (left, right) = (self.check(left)?, self.check(right)?);
                if !matches!((&left, &right), (Type::Bool | Type::Dyn, Type::Bool | Type::Dyn)) {
                    return no_overload(node, name, &[&left, &right]);
                }
                Type::Bool
            }
            Expr::Not(of) => match self.check(of)? {
                Type::Bool | Type::Dyn => Type::Bool,
                other => return no_overload(node, "!_", &[&other]),
            },
            Expr::Negate(of) => match self.check(of)? {
                found @ (Type::Int | Type::Double | Type::Duration | Type::Dyn) => found,
                other => return no_overload(node, "-_", &[&other]),
            },
            Expr::Choose(parts) => {
                let [condition, then, otherwise] = &**parts;
                let condition = self.check(condition)?;
                let (then, otherwise) = (self.check(then)?, self.check(otherwise)?);
                if !matches!(condition, Type::Bool | Type::Dyn) || !then.comparable(&otherwise) {
                    return no_overload(node, "_?_:_", &[&condition, &then, &otherwise]);
                }
                match (&then, &otherwise) {
                    (Type::Dyn | Type::Null, _) => Type::Dyn,
                    (_, Type::Dyn | Type::Null) => Type::Dyn,
                    _ => then,
                }
            }
            Expr::Binary(operator, left, right) => {
                let (left, right) = (self.check(left)?, self.check(right)?);
                return binary(node, *operator, &left, &right);
            }
            Expr::Bind { name, value, body } => {
                let value = self.check(value)?;
                self.scope.push((name.clone(), value));
                let found = self.check(body);
                self.scope.pop();
                return found;
            }
            Expr::Fold(fold) => {
                let range = self.check(&fold.range)?;
                let (first, second) = match &range {
                    Type::List(item) if fold.second.is_some() => (Type::Int, (**item).clone()),
                    Type::List(item) => ((**item).clone(), Type::Dyn),
                    Type::Map(value) => (Type::Text, (**value).clone()),
                    Type::Optional(inner) if matches!(fold.kind, FoldKind::OptionalMap | FoldKind::OptionalFlatMap) => {
                        ((**inner).clone(), Type::Dyn)
                    }
                    Type::Dyn => (Type::Dyn, Type::Dyn),
                    other => {
                        let message = format!(
                            "expression of type '{}' cannot be range of a comprehension (must be list, map, or dynamic)",
                            other.name()
                        );
                        return error(&fold.range, message);
                    }
                };
                let depth = self.scope.len();
                self.scope.push((fold.first.clone(), first.clone()));
                if let Some(name) = &fold.second {
                    self.scope.push((name.clone(), second));
                }
                let condition = fold
                    .condition
                    .as_ref()
                    .map(|condition| self.check(condition))
                    .transpose();
                let body = self.check(&fold.body);
                self.scope.truncate(depth);
                let (condition, body) = (condition?, body?);
                if let Some(condition) = condition.filter(|condition| !matches!(condition, Type::Bool | Type::Dyn)) {
                    return no_overload(node, "_?_:_", &[&condition]);
                }
                let wants_truth = matches!(
                    fold.kind,
                    FoldKind::All | FoldKind::Exists | FoldKind::ExistsOne | FoldKind::Filter
                );
                if wants_truth && !matches!(body, Type::Bool | Type::Dyn) {
                    return no_overload(&fold.body, "_&&_", &[&Type::Bool, &body]);
                }
                match fold.kind {
                    FoldKind::All | FoldKind::Exists | FoldKind::ExistsOne => Type::Bool,
                    FoldKind::Filter | FoldKind::SortBy => Type::List(Box::new(first)),
                    FoldKind::Map => Type::List(Box::new(body)),
                    FoldKind::TransformMap => Type::Map(Box::new(body)),
                    FoldKind::OptionalMap => Type::Optional(Box::new(body)),
                    FoldKind::TransformMapEntry | FoldKind::OptionalFlatMap => Type::Dyn,
                }
            }
        })
    }

    fn name(&self, node: &Node, name: &str) -> Checked<'s> {
        if let Some((_, found)) = self.scope.iter().rev().find(|(known, _)| **known == *name) {
            return Ok(found.clone());
        }
        if let Some((_, found)) = self.variables.iter().find(|(known, _)| *known == name) {
            return Ok(found.clone());
        }
        if TYPE_NAMES.contains(&name) {
            return Ok(Type::Named);
        }
        error(node, format!("undeclared reference to '{name}' (in container '')"))
    }

    fn field(&self, node: &Node, of: Type<'s>, field: &str) -> Checked<'s> {
        let undefined = || error(node, format!("undefined field '{field}'"));
        match of {
            Type::Dyn | Type::Null => Ok(Type::Dyn),
            Type::Map(value) => Ok(*value),
            Type::Optional(inner) => Ok(Type::Optional(Box::new(self.field(node, *inner, field)?))),
            Type::Metadata => match field {
                "name" | "generateName" => Ok(Type::Text),
                _ => undefined(),
            },
            Type::Object(_, true) if field == "metadata" => Ok(Type::Metadata),
            Type::Object(_, true) if matches!(field, "apiVersion" | "kind") => Ok(Type::Text),
            Type::Object(schema, _) => {
                let found = schema.field(field).or_else(|| schema.field(&unescape(field)));
                match found {
                    Some(found) => Ok(Type::of(found)),
                    None => undefined(),
                }
            }
            other => error(
                node,
                format!("type '{}' does not support field selection", other.name()),
            ),
        }
    }

    fn call(&mut self, node: &Node, name: &str, target: Option<&Node>, arguments: &[Node]) -> Checked<'s> {
        let target = target.map(|target| self.check(target)).transpose()?;
        let mut types = Vec::with_capacity(arguments.len());
        for argument in arguments {
            types.push(self.check(argument)?);
        }
        let undeclared = || error(node, format!("undeclared reference to '{name}' (in container '')"));
        let Some(target) = target else {
            return match function(name, &types) {
                Some(found) => Ok(found),
                None if is_namespaced(name) || FUNCTIONS.contains(&name) => {
                    let types: Vec<&Type<'_>> = types.iter().collect();
                    no_overload(node, name, &types)
                }
                None => undeclared(),
            };
        };
        if let Some(found) = method(&target, name, &types) {
            return Ok(found);
        }
        if METHODS.contains(&name) {
            let all: Vec<&Type<'_>> = std::iter::once(&target).chain(&types).collect();
            let types: Vec<String> = all[1..].iter().map(|known| known.name()).collect();
            let message = format!(
                "found no matching overload for '{name}' applied to '{}.({})'",
                target.name(),
                types.join(", ")
            );
            return error(node, message);
        }
        undeclared()
    }
}

fn binary<'s>(node: &Node, operator: Operator, left: &Type<'s>, right: &Type<'s>) -> Checked<'s> {
    use Operator::{Add, Divide, Equal, In, Multiply, Remainder, Subtract, Unequal};
    let wrong = || no_overload(node, operator.name(), &[left, right]);
    if matches!(left, Type::Dyn) || matches!(right, Type::Dyn) {
        return Ok(match operator {
            Add | Subtract | Multiply | Divide | Remainder => Type::Dyn,
            _ => Type::Bool,
        });
    }
    match operator {
        Equal | Unequal => {
            if left.comparable(right) {
                return Ok(Type::Bool);
            }
            wrong()
        }
        In => match right {
            Type::List(item) if left.comparable(item) => Ok(Type::Bool),
            Type::Map(_) if matches!(left, Type::Text) => Ok(Type::Bool),
            _ => wrong(),
        },
        Add | Subtract | Multiply | Divide | Remainder => match (left, right) {
            (Type::Int, Type::Int) => Ok(Type::Int),
            (Type::Uint, Type::Uint) => Ok(Type::Uint),
            (Type::Double, Type::Double) if operator != Remainder => Ok(Type::Double),
            (Type::Text, Type::Text) if operator == Add => Ok(Type::Text),
            (Type::Bytes, Type::Bytes) if operator == Add => Ok(Type::Bytes),
            (Type::List(first), Type::List(second)) if operator == Add => Ok(Type::List(if first.comparable(second) {
                first.clone()
            } else {
                Box::new(Type::Dyn)
            })),
            (Type::Duration, Type::Duration) if matches!(operator, Add | Subtract) => Ok(Type::Duration),
            (Type::Timestamp, Type::Duration) if matches!(operator, Add | Subtract) => Ok(Type::Timestamp),
            (Type::Duration, Type::Timestamp) if operator == Add => Ok(Type::Timestamp),
            (Type::Timestamp, Type::Timestamp) if operator == Subtract => Ok(Type::Duration),
            _ => wrong(),
        },
        _ => match (left, right) {
            (left, right) if left.is_number() && right.is_number() => Ok(Type::Bool),
            (Type::Bool, Type::Bool)
            | (Type::Text, Type::Text)
            | (Type::Bytes, Type::Bytes)
            | (Type::Timestamp, Type::Timestamp)
            | (Type::Duration, Type::Duration) => Ok(Type::Bool),
            _ => wrong(),
        },
    }
}
