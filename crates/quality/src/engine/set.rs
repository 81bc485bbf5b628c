//! Whether a value is one of a set.

use std::collections::HashMap;

use super::bounds::point;
use crate::column::{Class, Column, Values};
use crate::contract::Literal;

/// A literal as Python compares it with values of a class: `True` is 1, and `False` is 0.
pub fn as_python(literal: &Literal, class: Class) -> Literal {
    match (class, literal, literal.number()) {
        (Class::Bool, _, Some(number)) if number == 0.0 || number == 1.0 => Literal::Bool(number == 1.0),
        (Class::Int | Class::Float | Class::Decimal(_), Literal::Bool(value), _) => Literal::Int((*value).into()),
        _ => literal.clone(),
    }
}

/// Above this, a set is searched by its hashes.
const FEW: usize = 12;

/// A set of literals for a column of some class. What is not of the class is in no such column.
#[derive(Clone, Debug)]
pub enum Set {
    /// Integers of 64 bits, sorted, with their positions.
    Long(Vec<(i64, usize)>),
    /// Decimals, sorted, with their positions.
    Decimal(Vec<(i128, usize)>),
    /// Floating-point numbers.
    Float(Vec<(f64, usize)>),
    /// Truth values: the positions of false and true.
    Bool([Option<usize>; 2]),
    /// Short texts as the views that Arrow keeps them in, and others.
    Text {
        /// Those of at most 12 bytes, when they are few.
        short: Vec<(u128, usize)>,
        /// All others.
        others: HashMap<Box<str>, usize>,
        /// Lengths of the others, so that most texts need not be looked at.
        longest: usize,
    },
    /// Nothing is in it.
    Empty,
}

impl Set {
    /// Makes a set; positions are those of the literals.
    pub fn new(literals: &[Literal], class: Class) -> Self {
        let exact = |literal: &Literal| {
            point(literal, class)
                .ok()
                .filter(|point| point.exact)
                .map(|point| point.floor)
        };
        let positions = literals.iter().enumerate();
        match class {
            Class::Int | Class::Date | Class::Time | Class::Timestamp(..) => {
                let mut all: Vec<(i64, usize)> = positions
                    .filter_map(|(at, literal)| Some((i64::try_from(exact(literal)?).ok()?, at)))
                    .collect();
                all.sort_unstable();
                all.dedup_by_key(|(value, _)| *value);
                Self::Long(all)
            }
            Class::Decimal(_) => {
                let numbers = positions.filter(|(_, literal)| literal.number().is_some());
                let mut all: Vec<(i128, usize)> = numbers
                    .filter_map(|(at, literal)| Some((exact(literal)?, at)))
                    .collect();
                all.sort_unstable();
                all.dedup_by_key(|(value, _)| *value);
                Self::Decimal(all)
            }
            Class::Float => Self::Float(
                positions
                    .filter_map(|(at, literal)| Some((literal.number()?, at)))
                    .collect(),
            ),
            Class::Bool => {
                let mut found = [None; 2];
                for (at, literal) in positions {
                    if let Literal::Bool(value) = literal {
                        found[usize::from(*value)].get_or_insert(at);
                    }
                }
                Self::Bool(found)
            }
            Class::Text => {
                let mut short: Vec<(u128, usize)> = Vec::new();
                let mut others: HashMap<Box<str>, usize> = HashMap::new();
                for (at, literal) in positions {
                    let Literal::Text(text) = literal else { continue };
                    match inline(text) {
                        Some(view) if short.iter().any(|(known, _)| *known == view) => {}
                        Some(view) if short.len() < FEW => short.push((view, at)),
                        _ => {
                            others.entry(text.as_str().into()).or_insert(at);
                        }
                    }
                }
                let longest = others.keys().map(|text| text.len()).max().unwrap_or(0);
                Self::Text { short, others, longest }
            }
            Class::Null | Class::Bytes | Class::Nested | Class::Other => Self::Empty,
        }
    }

    /// The position of the literal that a row's value is. The row must have a value.
    pub fn find(&self, column: &Column, row: usize) -> Option<usize> {
        match (self, &column.values) {
            (Self::Long(all), Values::Long(values)) => find_sorted(all, values.values()[row]),
            (Self::Decimal(all), Values::Decimal(values)) => find_sorted(all, values.values()[row]),
            (Self::Float(all), Values::Float(values)) => {
                let value = values.values()[row];
                all.iter().find(|(known, _)| *known == value).map(|(_, at)| *at)
            }
            (Self::Bool(found), Values::Bool(values)) => found[usize::from(values.value(row))],
            (Self::Text { short, others, longest }, Values::Text(values)) => {
                let view = values.views()[row];
                if let Some((_, at)) = short.iter().find(|(known, _)| *known == view) {
                    return Some(*at);
                }
                // The low 32 bits of a view are the length.
                let length = (view & u128::from(u32::MAX)) as usize;
                if others.is_empty() || length > *longest {
                    return None;
                }
                others.get(values.value(row)).copied()
            }
            _ => None,
        }
    }
}

fn find_sorted<T: Ord + Copy>(all: &[(T, usize)], value: T) -> Option<usize> {
    if all.len() <= FEW {
        return all.iter().find(|(known, _)| *known == value).map(|(_, at)| *at);
    }
    all.binary_search_by_key(&value, |(known, _)| *known)
        .ok()
        .map(|found| all[found].1)
}

/// The view of a text that fits into one: its length in 4 bytes, then its bytes.
fn inline(text: &str) -> Option<u128> {
    let mut bytes = [0_u8; 16];
    bytes[..4].copy_from_slice(&u32::try_from(text.len()).ok()?.to_le_bytes());
    bytes.get_mut(4..4 + text.len())?.copy_from_slice(text.as_bytes());
    Some(u128::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, StringArray};

    use super::*;

    fn found(texts: &[&str], literals: &[Literal]) -> Vec<Option<usize>> {
        let array: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
        let column = Column::of(&array, array.data_type(), false).unwrap();
        let set = Set::new(literals, Class::Text);
        (0..texts.len()).map(|row| set.find(&column, row)).collect()
    }

    #[test]
    fn texts_of_any_length_are_found() {
        let long = "a text of more than twelve bytes";
        let literals: Vec<Literal> = ["DE", "", "exactly12byt", long]
            .into_iter()
            .map(|text| Literal::Text(text.into()))
            .collect();
        let texts = [
            "DE",
            "",
            "exactly12byt",
            long,
            "D",
            "exactly12bytX",
            "a text of more than twelve byteX",
        ];
        assert_eq!(
            found(&texts, &literals),
            [Some(0), Some(1), Some(2), Some(3), None, None, None]
        );
        let many: Vec<Literal> = (0..40).map(|number| Literal::Text(format!("v{number}"))).collect();
        assert_eq!(found(&["v0", "v39", "v40"], &many), [Some(0), Some(39), None]);
        assert_eq!(found(&["1"], &[Literal::Int(1)]), [None]);
    }
}
