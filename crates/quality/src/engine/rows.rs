//! Checks of rows: which rows of a batch are looked at, and which of those are otherwise.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow_array::StringViewArray;
use arrow_buffer::BooleanBuffer;

use super::bounds::{integers, narrow, point};
use super::keys::{KeySet, row_key};
use super::set::Set;
use crate::column::{Class, Column, Values};
use crate::contract::{
    Accept, Check, Comparison, Kind, LeaveOut, Limit, Literal, MatchRule, Pattern, TextFormat, Window,
};

/// A check of rows for columns of some classes.
#[derive(Clone, Debug)]
pub struct RowRule {
    test: Test,
    leave_out: LeaveOut,
}

#[derive(Clone, Debug)]
enum Test {
    NotNull,
    IsNull,
    NotMissing(Set),
    /// Texts that are converted are of the type.
    OfType,
    Long(i64, i64),
    Decimal(i128, i128),
    Float {
        min: f64,
        max: f64,
        strict_min: bool,
        strict_max: bool,
    },
    Text {
        min: Option<String>,
        max: Option<String>,
        strict_min: bool,
        strict_max: bool,
    },
    MultipleLong(i64),
    MultipleDecimal(i128),
    MultipleFloat(f64),
    In(Set),
    NotIn(Set),
    Matches(Vec<Pattern>, MatchRule),
    Length(Limit),
    Format(TextFormat),
    Compare(Comparison),
    Pairs(Vec<(Option<Literal>, Option<Literal>)>, Class, Class),
    Same,
    Different,
    Sum(f64),
    Known(Arc<KeySet>),
    Window(Window),
}

/// What a batch gave.
#[derive(Debug)]
pub struct Judged {
    /// Rows that were looked at.
    pub considered: usize,
    /// Rows that are otherwise.
    pub bad: BooleanBuffer,
}

impl RowRule {
    /// The rule of a check for columns of these classes; none when the check is not one of rows. `known` are the keys of other data, for references.
    ///
    /// # Errors
    /// Why it cannot be determined for such columns.
    pub fn new(check: &Check, classes: &[Class], known: Option<&Arc<KeySet>>) -> Result<Option<Self>, String> {
        let test = match (&check.kind, classes) {
            (Kind::NotNull, _) => Test::NotNull,
            (Kind::IsNull, _) => Test::IsNull,
            (Kind::ColumnType(_), _) => Test::OfType,
            (_, classes)
                if classes
                    .iter()
                    .any(|class| matches!(class, Class::Nested | Class::Other)) =>
            {
                let class = classes
                    .iter()
                    .find(|class| matches!(class, Class::Nested | Class::Other));
                return Err(format!(
                    "the column is {}",
                    class.map_or("nested", |class| class.name())
                ));
            }
            (Kind::NotMissing(missing), [class]) => Test::NotMissing(Set::new(missing, *class)),
            (Kind::Between(range), [class]) => between(range, *class)?,
            (Kind::MultipleOf(factor), [class]) => multiple(factor, *class)?,
            (Kind::InSet(values), [class]) => {
                if *class == Class::Bytes {
                    return Err("values of binary columns cannot be written in a contract".into());
                }
                Test::In(Set::new(values, *class))
            }
            (Kind::NotInSet(values), [class]) => {
                if *class == Class::Bytes {
                    return Err("values of binary columns cannot be written in a contract".into());
                }
                // What is not a date would never be found, and the check always pass.
                let dated = matches!(class, Class::Date | Class::Timestamp(..));
                let texts = values.iter().filter(|value| dated && matches!(value, Literal::Text(_)));
                for value in texts {
                    point(value, *class)?;
                }
                Test::NotIn(Set::new(values, *class))
            }
            (Kind::Matches { patterns, rule }, [class]) => {
                texts(*class)?;
                Test::Matches(patterns.clone(), *rule)
            }
            (Kind::Length(limit), [class]) => {
                texts(*class)?;
                Test::Length(limit.clone())
            }
            (Kind::Format(format), [class]) => {
                if !matches!(class, Class::Text | Class::Null) {
                    return Err(format!("the column is {}, and the check is of texts", class.name()));
                }
                Test::Format(format.clone())
            }
            (Kind::Compare(comparison), [one, other]) => {
                if !comparable_classes(*one, *other) {
                    return Err(format!("one column is {}, the other {}", one.name(), other.name()));
                }
                Test::Compare(*comparison)
            }
            (Kind::PairInSet(pairs), [one, other]) => {
                let part = |literal: &Literal| (*literal != Literal::Null).then(|| literal.clone());
                Test::Pairs(pairs.iter().map(|(a, b)| (part(a), part(b))).collect(), *one, *other)
            }
            (Kind::SameWithinRow | Kind::DifferentWithinRow, classes) => {
                if let Some(pair) = classes.windows(2).find(|pair| !comparable_classes(pair[0], pair[1])) {
                    return Err(format!("one column is {}, another {}", pair[0].name(), pair[1].name()));
                }
                if check.kind == Kind::SameWithinRow {
                    Test::Same
                } else {
                    Test::Different
                }
            }
            (Kind::RowSum(total), classes) => {
                if let Some(class) = classes
                    .iter()
                    .find(|class| !matches!(class, Class::Int | Class::Float | Class::Decimal(_) | Class::Null))
                {
                    return Err(format!("a column is {}, and only numbers are summed", class.name()));
                }
                Test::Sum(*total)
            }
            (Kind::InWindow(window), [class]) => {
                if !matches!(
                    class,
                    Class::Int | Class::Float | Class::Decimal(_) | Class::Bool | Class::Null
                ) {
                    return Err(format!("the column is {}, and only numbers are measured", class.name()));
                }
                Test::Window(*window)
            }
            (Kind::Reference { .. }, classes) => match known {
                Some(known) => {
                    known.check_classes(classes)?;
                    Test::Known(known.clone())
                }
                None => return Err("the other data were not read".into()),
            },
            _ => return Ok(None),
        };
        Ok(Some(Self {
            test,
            leave_out: check.leave_out,
        }))
    }

    /// The rule of values of one column of a class.
    ///
    /// # Errors
    /// Why it cannot be determined for such a column.
    pub fn of_values(range: &crate::contract::Range, class: Class) -> Result<Self, String> {
        Ok(Self {
            test: between(range, class)?,
            leave_out: LeaveOut::AnyNull,
        })
    }

    /// True when it can be told from nulls alone.
    pub fn of_nulls(&self) -> bool {
        matches!(self.test, Test::NotNull | Test::IsNull)
    }

    /// The closed range of integers it asks of values, when it asks just that.
    pub fn range(&self) -> Option<(i128, i128)> {
        match self.test {
            Test::Long(low, high) => Some((low.into(), high.into())),
            Test::Decimal(low, high) => Some((low, high)),
            _ => None,
        }
    }

    /// Judges a batch.
    ///
    /// # Errors
    /// When a row cannot be determined.
    pub fn judge(&self, columns: &[&Column]) -> Result<Judged, String> {
        let [column, ..] = columns else {
            return Err("no column is given".into());
        };
        let rows = column.len();
        match &self.test {
            Test::NotNull => Ok(Judged {
                considered: rows,
                bad: BooleanBuffer::collect_bool(rows, |row| column.is_null(row)),
            }),
            Test::IsNull => Ok(Judged {
                considered: rows,
                bad: BooleanBuffer::collect_bool(rows, |row| !column.is_null(row)),
            }),
            Test::NotMissing(set) => Ok(Judged {
                considered: rows,
                bad: BooleanBuffer::collect_bool(rows, |row| {
                    column.is_null(row) || (column.is_valid(row) && set.find(column, row).is_some())
                }),
            }),
            Test::Compare(comparison) => self.across(columns, |row| compare_row(*comparison, columns, row)),
            Test::Pairs(pairs, one, other) => self.across(columns, |row| {
                pairs.iter().any(|(a, b)| {
                    holds(a.as_ref(), columns[0], *one, row) && holds(b.as_ref(), columns[1], *other, row)
                })
            }),
            Test::Same => self.across(columns, |row| {
                columns.windows(2).all(|pair| same(pair[0], pair[1], row))
            }),
            Test::Different => self.across(columns, |row| {
                (1..columns.len()).all(|at| columns[..at].iter().all(|earlier| !same(earlier, columns[at], row)))
            }),
            Test::Sum(total) => self.across(columns, |row| sum(columns, row) == Some(*total)),
            Test::Known(known) => {
                let fine = |row: usize| known.contains(row_key(columns, row));
                if columns.len() == 1 {
                    self.along(column, fine)
                } else {
                    self.across(columns, fine)
                }
            }
            _ => self.values(column),
        }
    }

    /// Tests of the values of one column.
    fn values(&self, column: &Column) -> Result<Judged, String> {
        match (&self.test, &column.values) {
            (_, Values::None) | (Test::OfType, _) => self.along(column, |_| true),
            (Test::Long(low, high), Values::Long(values)) => {
                let (values, low, high) = (values.values(), *low, *high);
                self.along(column, |row| {
                    let value = values[row];
                    value >= low && value <= high
                })
            }
            (Test::Decimal(low, high), Values::Decimal(values)) => {
                let values = values.values();
                self.along(column, |row| (*low..=*high).contains(&values[row]))
            }
            (
                Test::Float {
                    min,
                    max,
                    strict_min,
                    strict_max,
                },
                Values::Float(values),
            ) => {
                let values = values.values();
                self.along(column, |row| {
                    let value = values[row];
                    let above = if *strict_min { value > *min } else { value >= *min };
                    let below = if *strict_max { value < *max } else { value <= *max };
                    above && below
                })
            }
            (
                Test::Text {
                    min,
                    max,
                    strict_min,
                    strict_max,
                },
                Values::Text(values),
            ) => self.along(column, |row| {
                let value = values.value(row);
                let above = min
                    .as_deref()
                    .is_none_or(|min| if *strict_min { value > min } else { value >= min });
                let below = max
                    .as_deref()
                    .is_none_or(|max| if *strict_max { value < max } else { value <= max });
                above && below
            }),
            (Test::MultipleLong(factor), Values::Long(values)) => {
                self.along(column, |row| values.value(row).wrapping_rem(*factor) == 0)
            }
            (Test::MultipleDecimal(factor), Values::Decimal(values)) => {
                self.along(column, |row| values.value(row).wrapping_rem(*factor) == 0)
            }
            (Test::MultipleFloat(factor), Values::Float(values)) => self.along(column, |row| {
                // A multiple as far as the 53 bits of the number can tell.
                let times = values.value(row) / factor;
                times.is_finite() && (times - times.round()).abs() <= f64::EPSILON * times.abs().max(1.0)
            }),
            (Test::In(set), _) => self.along(column, |row| set.find(column, row).is_some()),
            (Test::NotIn(set), _) => self.along(column, |row| set.find(column, row).is_none()),
            (Test::Matches(patterns, rule), values) => self.patterns(column, values, patterns, *rule),
            (Test::Length(limit), Values::Text(values)) => {
                self.along(column, |row| limit.holds(characters(values, row) as f64))
            }
            (Test::Length(limit), Values::Long(values)) => {
                self.along(column, |row| limit.holds(values.value(row).to_string().len() as f64))
            }
            (Test::Window(window), _) => self.along(column, |row| {
                number(column, row).is_none_or(|value| window.holds(value))
            }),
            (Test::Format(format), Values::Text(values)) => self.along(column, |row| format.takes(values.value(row))),
            _ => Err(format!("the column is {}", column.class.name())),
        }
    }

    fn patterns(
        &self,
        column: &Column,
        values: &Values,
        patterns: &[Pattern],
        rule: MatchRule,
    ) -> Result<Judged, String> {
        let mut given_up: Option<&Pattern> = None;
        let mut fine = |text: &str| {
            let mut found = patterns.iter().map(|pattern| {
                let found = pattern.find(text);
                if found.is_none() {
                    given_up = Some(pattern);
                }
                found.unwrap_or(false)
            });
            match rule {
                MatchRule::Any => found.any(|found| found),
                MatchRule::All => found.all(|found| found),
                MatchRule::None => !found.any(|found| found),
            }
        };
        let judged = match values {
            Values::Text(values) => self.along(column, |row| fine(values.value(row))),
            Values::Long(values) => self.along(column, |row| fine(&values.value(row).to_string())),
            _ => {
                return Err(format!(
                    "the column is {}, and patterns are of texts",
                    column.class.name()
                ));
            }
        };
        match given_up {
            None => judged,
            Some(pattern) => Err(format!(
                "the search for the pattern {:?} was given up for a value",
                pattern.as_str()
            )),
        }
    }

    /// Judges the values of one column: nulls are left out, malformed ones are otherwise.
    fn along(&self, column: &Column, mut fine: impl FnMut(usize) -> bool) -> Result<Judged, String> {
        let rows = column.len();
        let nulls = column.null_count();
        let bad = match (&column.nulls, &column.malformed) {
            (None, None) => BooleanBuffer::collect_bool(rows, |row| !fine(row)),
            // What is null may hold anything.
            _ => BooleanBuffer::collect_bool(rows, |row| {
                column.is_malformed(row) || (column.is_valid(row) && !fine(row))
            }),
        };
        Ok(Judged {
            considered: rows - nulls,
            bad,
        })
    }

    /// Judges rows of several columns: rows are left out as the check says.
    fn across(&self, columns: &[&Column], mut fine: impl FnMut(usize) -> bool) -> Result<Judged, String> {
        let rows = columns.first().map_or(0, |column| column.len());
        let left_out = |row: usize| match self.leave_out {
            LeaveOut::Never => false,
            LeaveOut::AllNull => columns.iter().all(|column| column.is_null(row)),
            LeaveOut::AnyNull => columns.iter().any(|column| column.is_null(row)),
        };
        let mut considered = 0;
        let bad = BooleanBuffer::collect_bool(rows, |row| {
            if left_out(row) {
                return false;
            }
            considered += 1;
            columns.iter().any(|column| column.is_malformed(row)) || !fine(row)
        });
        Ok(Judged { considered, bad })
    }
}

/// Rows that are left out of a check of several columns.
pub fn is_left_out(leave_out: LeaveOut, columns: &[&Column], row: usize) -> bool {
    match (leave_out, columns) {
        (_, [only]) => only.is_null(row),
        (LeaveOut::Never, _) => false,
        (LeaveOut::AllNull, _) => columns.iter().all(|column| column.is_null(row)),
        (LeaveOut::AnyNull, _) => columns.iter().any(|column| column.is_null(row)),
    }
}

/// Whether a check holds when so many of the rows looked at are otherwise.
pub fn accepts(accept: &Accept, considered: u64, unexpected: u64) -> bool {
    match accept {
        _ if considered == 0 && matches!(accept, Accept::Mostly(_)) => true,
        // The same division as in Great Expectations, so that the same shares are enough.
        Accept::Mostly(mostly) => (considered as f64 - unexpected as f64) / considered as f64 >= *mostly,
        Accept::Rows(limit) => limit.holds(unexpected as f64),
        Accept::Percent(limit) => limit.holds(if considered == 0 {
            0.0
        } else {
            unexpected as f64 / considered as f64 * 100.0
        }),
    }
}

fn between(range: &crate::contract::Range, class: Class) -> Result<Test, String> {
    let mismatch = || format!("the column is {}, and the range {range} is not of it", class.name());
    Ok(match class {
        Class::Int | Class::Date | Class::Time | Class::Timestamp(..) => {
            let (low, high) = narrow(integers(range, class)?);
            Test::Long(low, high)
        }
        Class::Decimal(_) => {
            let (low, high) = integers(range, class)?;
            Test::Decimal(low, high)
        }
        Class::Float => {
            let end = |literal: &Option<Literal>, open: f64| match literal {
                None => Ok(open),
                Some(literal) => literal.number().ok_or_else(mismatch),
            };
            Test::Float {
                min: end(&range.min, f64::NEG_INFINITY)?,
                max: end(&range.max, f64::INFINITY)?,
                strict_min: range.strict_min && range.min.is_some(),
                strict_max: range.strict_max && range.max.is_some(),
            }
        }
        Class::Text => {
            let end = |literal: &Option<Literal>| match literal {
                None => Ok(None),
                Some(Literal::Text(text)) => Ok(Some(text.clone())),
                Some(_) => Err(mismatch()),
            };
            Test::Text {
                min: end(&range.min)?,
                max: end(&range.max)?,
                strict_min: range.strict_min,
                strict_max: range.strict_max,
            }
        }
        Class::Null => Test::OfType,
        Class::Bool | Class::Bytes | Class::Nested | Class::Other => return Err(mismatch()),
    })
}

fn multiple(factor: &Literal, class: Class) -> Result<Test, String> {
    let mismatch = || format!("the column is {}, and a multiple of {factor} is not", class.name());
    let whole = || {
        point(factor, class)
            .ok()
            .filter(|point| point.exact && point.floor != 0)
            .map(|point| point.floor)
    };
    Ok(match class {
        Class::Int => Test::MultipleLong(
            whole()
                .and_then(|factor| i64::try_from(factor).ok())
                .ok_or_else(mismatch)?,
        ),
        Class::Decimal(_) => Test::MultipleDecimal(whole().ok_or_else(mismatch)?),
        Class::Float => Test::MultipleFloat(factor.number().filter(|factor| *factor != 0.0).ok_or_else(mismatch)?),
        Class::Null => Test::OfType,
        _ => return Err(mismatch()),
    })
}

fn texts(class: Class) -> Result<(), String> {
    match class {
        Class::Text | Class::Int | Class::Null => Ok(()),
        other => Err(format!("the column is {}, and the check is of texts", other.name())),
    }
}

fn comparable_classes(one: Class, other: Class) -> bool {
    let number = |class: Class| matches!(class, Class::Int | Class::Float | Class::Decimal(_));
    let at = |class: Class| match class {
        Class::Timestamp(_, zoned) => Some(zoned),
        _ => None,
    };
    one == other
        || one == Class::Null
        || other == Class::Null
        || (number(one) && number(other))
        || (at(one).is_some() && at(one) == at(other))
}

fn compare_row(comparison: Comparison, columns: &[&Column], row: usize) -> bool {
    let ordering = order(columns[0], columns[1], row);
    match comparison {
        Comparison::Equal => ordering == Some(Ordering::Equal),
        Comparison::Greater => ordering == Some(Ordering::Greater),
        Comparison::GreaterOrEqual => matches!(ordering, Some(Ordering::Greater | Ordering::Equal)),
    }
}

/// How the values of two columns are ordered; none when one has none, or is not a number.
fn order(one: &Column, other: &Column, row: usize) -> Option<Ordering> {
    if !one.is_valid(row) || !other.is_valid(row) {
        return None;
    }
    match (&one.values, &other.values) {
        (Values::Long(a), Values::Long(b)) => {
            let unit = |class: Class| match class {
                Class::Timestamp(unit, _) => i128::from(crate::column::nanos_of(unit)),
                _ => 1,
            };
            let (a, b) = (i128::from(a.value(row)), i128::from(b.value(row)));
            Some((a * unit(one.class)).cmp(&(b * unit(other.class))))
        }
        (Values::Bool(a), Values::Bool(b)) => Some(a.value(row).cmp(&b.value(row))),
        (Values::Text(a), Values::Text(b)) => Some(a.value(row).cmp(b.value(row))),
        (Values::Bytes(a), Values::Bytes(b)) => Some(a.value(row).cmp(b.value(row))),
        (Values::Decimal(a), Values::Decimal(b)) if one.class == other.class => Some(a.value(row).cmp(&b.value(row))),
        _ => number(one, row)?.partial_cmp(&number(other, row)?),
    }
}

/// A row's value as a floating-point number.
pub fn number(column: &Column, row: usize) -> Option<f64> {
    if !column.is_valid(row) {
        return None;
    }
    match (&column.values, column.class) {
        (Values::Long(values), _) => Some(values.value(row) as f64),
        (Values::Float(values), _) => Some(values.value(row)),
        (Values::Bool(values), _) => Some(f64::from(u8::from(values.value(row)))),
        (Values::Decimal(values), Class::Decimal(scale)) => {
            Some(values.value(row) as f64 / 10_f64.powi(i32::from(scale)))
        }
        _ => None,
    }
}

/// Whether two columns hold the same in a row; two nulls are.
fn same(one: &Column, other: &Column, row: usize) -> bool {
    match (one.is_null(row), other.is_null(row)) {
        (true, true) => true,
        (false, false) => order(one, other, row) == Some(Ordering::Equal),
        _ => false,
    }
}

fn sum(columns: &[&Column], row: usize) -> Option<f64> {
    columns.iter().map(|column| number(column, row)).sum()
}

/// Whether a row of a column holds a literal, or null for none.
fn holds(literal: Option<&Literal>, column: &Column, class: Class, row: usize) -> bool {
    match literal {
        None => column.is_null(row),
        Some(literal) => {
            column.is_valid(row)
                && Set::new(std::slice::from_ref(literal), class)
                    .find(column, row)
                    .is_some()
        }
    }
}

/// Characters of a text: its code points.
fn characters(values: &StringViewArray, row: usize) -> usize {
    let text = values.value(row);
    if text.is_ascii() {
        text.len()
    } else {
        text.chars().count()
    }
}
