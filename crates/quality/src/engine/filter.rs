//! Conditions on rows, for the columns of a file.

use arrow_buffer::BooleanBuffer;
use arrow_schema::DataType;

use super::rows::RowRule;
use super::set::Set;
use crate::column::{Class, Column, Values};
use crate::contract::{Condition, Literal, Operator, Range};

/// A condition for columns of some classes. Columns are positions in the file.
#[derive(Clone, Debug)]
pub struct Filter {
    node: Node,
    /// Positions of its columns, ascending.
    pub columns: Vec<usize>,
}

#[derive(Clone, Debug)]
enum Node {
    /// A value of the column is as the rule wants.
    Rule(usize, RowRule),
    /// A value of the column is in the set.
    In(usize, Set),
    IsNull(usize),
    IsTrue(usize),
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
}

impl Filter {
    /// Of a condition; `find` tells where a column is and of which type.
    ///
    /// # Errors
    /// When a column is not there, or cannot be compared so.
    pub fn new(
        condition: &Condition,
        find: &impl Fn(&str) -> Result<(usize, DataType), String>,
    ) -> Result<Self, String> {
        let mut columns = Vec::new();
        for name in condition.columns() {
            columns.push(find(name)?.0);
        }
        columns.sort_unstable();
        columns.dedup();
        Ok(Self {
            node: Node::new(condition, find)?,
            columns,
        })
    }

    /// The rows it holds for; `get` gives the column at a position.
    ///
    /// # Errors
    /// When a column cannot be read, or a value is not of its column's type.
    pub fn mask<'c>(
        &self,
        rows: usize,
        get: &impl Fn(usize) -> Result<&'c Column, String>,
    ) -> Result<BooleanBuffer, String> {
        for column in &self.columns {
            if get(*column)?.malformed.is_some() {
                return Err("the condition is of a column with values that are not of its type".into());
            }
        }
        self.node.mask(rows, get)
    }
}

impl Node {
    fn new(condition: &Condition, find: &impl Fn(&str) -> Result<(usize, DataType), String>) -> Result<Self, String> {
        let all = |parts: &[Condition]| parts.iter().map(|part| Self::new(part, find)).collect::<Result<_, _>>();
        Ok(match condition {
            Condition::All(parts) => Self::All(all(parts)?),
            Condition::Any(parts) => Self::Any(all(parts)?),
            Condition::Not(part) => Self::Not(Box::new(Self::new(part, find)?)),
            Condition::IsNull(name) => Self::IsNull(find(name)?.0),
            Condition::IsTrue(name) => {
                let (at, class) = classed(name, find)?;
                if class != Class::Bool {
                    return Err(format!("`{name}` is {}, and no condition by itself", class.name()));
                }
                Self::IsTrue(at)
            }
            Condition::In(name, values) => {
                let (at, class) = classed(name, find)?;
                values.iter().try_for_each(|value| comparable(name, class, value))?;
                Self::In(at, Set::new(values, class))
            }
            Condition::Compare(name, operator, value) => {
                let (at, class) = classed(name, find)?;
                comparable(name, class, value)?;
                let set = || Self::In(at, Set::new(std::slice::from_ref(value), class));
                let rule = |min: bool, strict: bool| {
                    let end = |wanted: bool| wanted.then(|| value.clone());
                    let range = Range {
                        min: end(min),
                        max: end(!min),
                        strict_min: strict,
                        strict_max: strict,
                    };
                    RowRule::of_values(&range, class).map(|rule| Self::Rule(at, rule))
                };
                match operator {
                    Operator::Equal => set(),
                    Operator::NotEqual => Self::Not(Box::new(set())),
                    Operator::Less => rule(false, true)?,
                    Operator::LessOrEqual => rule(false, false)?,
                    Operator::Greater => rule(true, true)?,
                    Operator::GreaterOrEqual => rule(true, false)?,
                }
            }
        })
    }

    fn mask<'c>(
        &self,
        rows: usize,
        get: &impl Fn(usize) -> Result<&'c Column, String>,
    ) -> Result<BooleanBuffer, String> {
        let of = |fine: &dyn Fn(usize) -> bool| BooleanBuffer::collect_bool(rows, fine);
        Ok(match self {
            Self::Rule(at, rule) => {
                let column = get(*at)?;
                let bad = rule.judge(&[column])?.bad;
                of(&|row| column.is_valid(row) && !bad.value(row))
            }
            Self::In(at, set) => {
                let column = get(*at)?;
                of(&|row| column.is_valid(row) && set.find(column, row).is_some())
            }
            Self::IsNull(at) => {
                let column = get(*at)?;
                of(&|row| column.is_null(row))
            }
            Self::IsTrue(at) => match &get(*at)?.values {
                Values::Bool(values) => {
                    let column = get(*at)?;
                    if column.nulls.as_ref().is_some_and(|nulls| nulls.null_count() > 0) {
                        return Err("the condition is a column with nulls, which are neither true nor false".into());
                    }
                    of(&|row| values.value(row))
                }
                _ => return Err("the condition is not a column of truth values".into()),
            },
            Self::All(parts) => join(parts, rows, get, true)?,
            Self::Any(parts) => join(parts, rows, get, false)?,
            Self::Not(part) => !&part.mask(rows, get)?,
        })
    }
}

fn join<'c>(
    parts: &[Node],
    rows: usize,
    get: &impl Fn(usize) -> Result<&'c Column, String>,
    all: bool,
) -> Result<BooleanBuffer, String> {
    let mut joined = if all {
        BooleanBuffer::new_set(rows)
    } else {
        BooleanBuffer::new_unset(rows)
    };
    for part in parts {
        let mask = part.mask(rows, get)?;
        joined = if all { &joined & &mask } else { &joined | &mask };
    }
    Ok(joined)
}

fn classed(name: &str, find: &impl Fn(&str) -> Result<(usize, DataType), String>) -> Result<(usize, Class), String> {
    let (at, of) = find(name)?;
    Ok((at, Class::of(&of)))
}

/// pandas compares dates of Python and values in nested columns with nothing a condition can write.
fn comparable(name: &str, class: Class, value: &Literal) -> Result<(), String> {
    let fits = match class {
        Class::Int | Class::Float | Class::Decimal(_) => value.number().is_some(),
        Class::Text => matches!(value, Literal::Text(_)),
        Class::Bool => matches!(value, Literal::Bool(_)),
        Class::Timestamp(..) => matches!(value, Literal::Text(_)) && super::bounds::point(value, class).is_ok(),
        _ => false,
    };
    if fits {
        Ok(())
    } else {
        Err(format!(
            "`{name}` is {}, and is not compared with {value}",
            class.name()
        ))
    }
}
