//! Results of what a pass gathered.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use stoke_model::units::people::counted;

use super::aggregate::{Extreme, Gathered};
use super::divergence;
use super::keys::{Groups, Repeated, group, row_key};
use super::plan::{Plan, Task};
use super::reread::{examples, repeated_examples};
use super::rows::accepts;
use super::scan::{Scanned, State};
use crate::column::{Class, Column, nanos_of};
use crate::contract::{Accept, Check, Format, Kind, Limit, Literal, Metric, Partition, Range, SetRule};
use crate::data::Content;
use crate::describe::expected;
use crate::distribution;
use crate::report::{CheckResult, Freshness, Verdict};

/// A check's result, the number it found, and the keys that are repeated.
#[derive(Debug)]
pub struct Finished {
    pub result: CheckResult,
    /// The metric, for histories.
    pub number: Option<f64>,
    /// The percentiles of the numbers, for histories.
    pub percentiles: Option<Vec<f64>>,
    /// The shares of the most frequent texts, for histories.
    pub categories: Option<BTreeMap<String, f64>>,
    /// For the quarantine.
    pub repeated: Option<Repeated>,
}

/// Makes results.
pub fn finish(plan: &Plan<'_>, scanned: Scanned, now: Timestamp) -> Vec<Finished> {
    let Scanned { states, rows } = scanned;
    let states = states.into_iter().enumerate();
    states.map(|(at, state)| one(plan, at, state, rows, now)).collect()
}

fn one(plan: &Plan<'_>, at: usize, mut state: State, rows: Option<u64>, now: Timestamp) -> Finished {
    let check = &plan.contract.checks[at];
    let mut finished = Finished {
        result: CheckResult {
            id: check.id.clone(),
            name: check.name.clone(),
            columns: check.columns.clone(),
            severity: check.severity,
            at: check.at.clone(),
            verdict: Verdict::CannotTell,
            reason: None,
            expected: expected(check),
            observed: None,
            considered: None,
            unexpected: None,
            unexpected_percent: None,
            freshness: None,
            examples: Vec::new(),
        },
        number: None,
        percentiles: None,
        categories: None,
        repeated: None,
    };
    let reason = plan.reason(at).or(state.reason.take());
    let told = match reason {
        Some(reason) => Err(reason),
        None => match &plan.tasks[at] {
            Task::Schema => schema(plan, check, rows, &mut finished),
            Task::Rows => of_rows(plan, check, state, &mut finished),
            Task::Count => count_of(check, state.chosen, &mut finished),
            Task::Keys => of_keys(plan, at, state, rows, &mut finished),
            Task::Gather(_) => of_numbers(plan, at, &mut state.gathered, now, &mut finished),
            Task::Found => of_found(plan, check, state, &mut finished),
            Task::Order => {
                let fine = accepts(&check.accept, state.considered, state.unexpected);
                counts(&mut finished.result, state.considered, state.unexpected);
                finished.result.examples = examples(plan, state);
                Ok(fine)
            }
            Task::Refused(reason) => Err(reason.clone()),
        },
    };
    match told {
        Ok(true) => finished.result.verdict = Verdict::Pass,
        Ok(false) => finished.result.verdict = Verdict::Fail,
        Err(reason) => finished.result.reason = Some(reason),
    }
    finished
}

fn counts(result: &mut CheckResult, considered: u64, unexpected: u64) {
    result.considered = Some(considered);
    result.unexpected = Some(unexpected);
    result.unexpected_percent = (considered > 0).then(|| unexpected as f64 / considered as f64 * 100.0);
}

/// The number of rows that a condition holds for.
fn count_of(check: &Check, rows: u64, finished: &mut Finished) -> Result<bool, String> {
    finished.result.observed = Some(rows.into());
    finished.number = Some(rows as f64);
    match &check.kind {
        Kind::RowCount(limit) => Ok(limit.holds(rows as f64)),
        _ => Err("the check is none of rows".into()),
    }
}

fn schema(plan: &Plan<'_>, check: &Check, rows: Option<u64>, finished: &mut Finished) -> Result<bool, String> {
    let count = || rows.ok_or_else(|| "not all rows could be read".to_owned());
    let result = &mut finished.result;
    match &check.kind {
        Kind::RowCount(limit) => {
            let rows = count()?;
            result.observed = Some(rows.into());
            finished.number = Some(rows as f64);
            return Ok(limit.holds(rows as f64));
        }
        Kind::Aggregate { range, .. } => {
            let rows = count()?;
            result.observed = Some(rows.into());
            finished.number = Some(rows as f64);
            return Ok(range.as_limit().is_some_and(|limit| limit.holds(rows as f64)));
        }
        Kind::Usual { .. } => {
            let rows = count()?;
            result.observed = Some(rows.into());
            finished.number = Some(rows as f64);
            return Ok(true);
        }
        _ => {}
    }
    if plan.dataset.files.is_empty() {
        return Err("the table has no files, and so no columns are known".into());
    }
    // Columns must be as wanted in every file; the first that is not is shown.
    let mut observed = Value::Null;
    for file in &plan.dataset.files {
        let names: Vec<&str> = file.schema.fields().iter().map(|field| field.name().as_str()).collect();
        let fine = match &check.kind {
            Kind::ColumnCount(limit) => {
                observed = names.len().into();
                limit.holds(names.len() as f64)
            }
            Kind::ColumnOrder(wanted) => {
                observed = json!(names);
                names.iter().eq(wanted.iter())
            }
            Kind::ColumnSet { names: wanted, exact } => {
                observed = json!(names);
                let missing = wanted.iter().any(|name| !names.contains(&name.as_str()));
                let extra = names.iter().any(|name| wanted.iter().all(|wanted| wanted != name));
                !(missing || extra && *exact)
            }
            Kind::ColumnExists(position) => {
                let column = check.columns.first().map(String::as_str).unwrap_or_default();
                observed = json!(names);
                match position {
                    None => names.contains(&column),
                    Some(position) => {
                        let from = if *position < 0 {
                            *position + names.len() as i64
                        } else {
                            *position
                        };
                        usize::try_from(from).ok().and_then(|at| names.get(at)) == Some(&column)
                    }
                }
            }
            _ => return Err("the check is none of columns".into()),
        };
        if !fine {
            result.reason = Some(format!("{} is otherwise", file.path));
            result.observed = Some(observed);
            return Ok(false);
        }
    }
    // That a column is there need not be shown by all columns.
    result.observed = (!matches!(check.kind, Kind::ColumnExists(_))).then_some(observed);
    Ok(true)
}

fn of_rows(plan: &Plan<'_>, check: &Check, state: State, finished: &mut Finished) -> Result<bool, String> {
    let result = &mut finished.result;
    if let Kind::ColumnType(wanted) = &check.kind {
        let column = check.columns.first().map(String::as_str).unwrap_or_default();
        for (file, planned) in plan.dataset.files.iter().zip(&plan.files) {
            let judged_by_row = planned
                .iter()
                .zip(&plan.contract.checks)
                .any(|(planned, of)| of.id == check.id && planned.as_ref().is_ok_and(|planned| planned.reads));
            let of = file
                .schema
                .field_with_name(column)
                .map_err(|error| error.to_string())?
                .data_type();
            result.observed = Some(of.to_string().into());
            let declared = plan.contract.types.get(column).is_some_and(|of| wanted.contains(of));
            let text = matches!(file.content, Ok(Content::Text(_)));
            // A column of text is read as the type that is declared; whether its values are of it is told by the rows.
            if judged_by_row || (text && declared && !of.is_nested()) {
                continue;
            }
            if !wanted.iter().any(|name| name.takes(of)) {
                result.reason = Some(format!("in {} the column is {of}", file.path));
                return Ok(false);
            }
        }
    }
    let fine = accepts(&check.accept, state.considered, state.unexpected);
    counts(result, state.considered, state.unexpected);
    result.examples = examples(plan, state);
    Ok(fine)
}

fn of_keys(
    plan: &Plan<'_>,
    at: usize,
    state: State,
    rows: Option<u64>,
    finished: &mut Finished,
) -> Result<bool, String> {
    let check = &plan.contract.checks[at];
    let classes = classes(plan, at);
    let asked: Vec<Option<u128>> = match (&check.kind, classes.as_slice()) {
        (
            Kind::DistinctValues { values, .. }
            | Kind::Divergence {
                partition: Partition::Values { values, .. },
                ..
            },
            [class],
        ) => keys_to_count(plan, values, *class, matches!(check.kind, Kind::Divergence { .. })),
        _ => Vec::new(),
    };
    let groups = group(state.collectors, &asked).map_err(|error| format!("keys cannot be put together: {error}"))?;
    let result = &mut finished.result;
    match &check.kind {
        Kind::Unique => {
            let surplus = groups.rows - groups.distinct;
            let fine = match &check.accept {
                Accept::Mostly(_) => accepts(&check.accept, groups.rows, groups.repeated_rows),
                _ => accepts(&check.accept, groups.rows, surplus),
            };
            counts(result, groups.rows, groups.repeated_rows);
            result.observed = Some(json!({ "distinct": groups.distinct, "duplicates": surplus }));
            if groups.repeated_rows > 0 {
                result.examples = repeated_examples(plan, at, &groups.repeated)?;
            }
            finished.repeated = Some(groups.repeated);
            Ok(fine)
        }
        Kind::DistinctValues { rule, .. } => {
            let best = asked.len() as u64;
            let hit = groups
                .asked
                .iter()
                .filter(|count| groups.most > 0 && **count == groups.most)
                .count() as u64;
            result.observed = Some(
                json!({ "mostFrequent": groups.most, "values": groups.at_most, "ofTheSet": hit, "setSize": best }),
            );
            Ok(match rule {
                SetRule::MostCommonTieIn => hit > 0,
                _ => hit == 1 && groups.at_most == 1,
            })
        }
        Kind::Aggregate { metric, range } => {
            let number = distinct(&groups, *metric, rows)?;
            result.observed = Some(number_value(number));
            finished.number = Some(number);
            let limit = range
                .as_limit()
                .ok_or_else(|| format!("{range} is not a range of numbers"))?;
            Ok(limit.holds(number))
        }
        Kind::Divergence {
            partition: Partition::Values { weights, holdout, .. },
            threshold,
        } => {
            let found = divergence::of_groups(&groups, weights, *holdout);
            Ok(diverges_less(found, *threshold, result))
        }
        Kind::Usual { metric, .. } => {
            let number = distinct(&groups, *metric, rows)?;
            result.observed = Some(number_value(number));
            finished.number = Some(number);
            Ok(true)
        }
        _ => Err("the check is none of keys".into()),
    }
}

fn diverges_less(found: f64, threshold: Option<f64>, result: &mut CheckResult) -> bool {
    result.observed = Some(number_value(found));
    threshold.is_none_or(|threshold| found <= threshold)
}

fn distinct(groups: &Groups, metric: Metric, rows: Option<u64>) -> Result<f64, String> {
    rows.ok_or_else(|| "not all rows could be read".to_owned())?;
    Ok(match metric {
        Metric::DistinctShare if groups.rows == 0 => 0.0,
        Metric::DistinctShare => groups.distinct as f64 / groups.rows as f64,
        _ => groups.distinct as f64,
    })
}

/// Whole numbers without a point.
pub(crate) fn number_value(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 9.0e15 {
        (number as i64).into()
    } else {
        crate::column::show_float(number)
    }
}

/// The classes of a check's columns, the same in all files.
fn classes(plan: &Plan<'_>, check: usize) -> Vec<Class> {
    let first = plan.files.iter().find_map(|plans| plans[check].as_ref().ok());
    first.map_or_else(Vec::new, |plan| plan.classes.clone())
}

/// Keys to count; with `aligned`, one for each literal, and none where no row can have it.
fn keys_to_count(plan: &Plan<'_>, values: &[Literal], class: Class, aligned: bool) -> Vec<Option<u128>> {
    let python = plan.contract.format == Format::GreatExpectations;
    let keys = values.iter().map(|value| match python {
        true => literal_key(&super::set::as_python(value, class), class),
        false => literal_key(value, class),
    });
    keys.filter(|key| aligned || key.is_some()).collect()
}

/// What is said of values that were to be of a class and are not.
pub(super) fn not_of_class(values: u64, class: Class) -> String {
    match values {
        1 => format!("1 value is not {}", class.name()),
        _ => format!("{} are not {}", counted(values, "value"), class.name()),
    }
}

/// The key that a row with a literal would have.
fn literal_key(literal: &Literal, class: Class) -> Option<u128> {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int64Array, StringViewArray};
    use arrow_schema::DataType;

    let exact = || {
        super::bounds::point(literal, class)
            .ok()
            .filter(|point| point.exact)
            .map(|point| point.floor)
    };
    let (array, meant): (ArrayRef, DataType) = match (class, literal) {
        (Class::Text, Literal::Text(text)) => {
            (Arc::new(StringViewArray::from(vec![text.as_str()])), DataType::Utf8View)
        }
        (Class::Bool, Literal::Bool(value)) => (Arc::new(BooleanArray::from(vec![*value])), DataType::Boolean),
        (Class::Float, literal) => (Arc::new(Float64Array::from(vec![literal.number()?])), DataType::Float64),
        (Class::Decimal(scale), Literal::Int(_) | Literal::Float(_)) => {
            let of = DataType::Decimal128(38, scale);
            (
                Arc::new(Decimal128Array::from(vec![exact()?]).with_data_type(of.clone())),
                of,
            )
        }
        (Class::Int | Class::Date | Class::Time | Class::Timestamp(..), _) => (
            Arc::new(Int64Array::from(vec![i64::try_from(exact()?).ok()?])),
            DataType::Int64,
        ),
        _ => return None,
    };
    let column = Column::of(&array, &meant, false).ok()?;
    Some(row_key(&[&column], 0))
}

fn of_numbers(
    plan: &Plan<'_>,
    at: usize,
    gathered: &mut Gathered,
    now: Timestamp,
    finished: &mut Finished,
) -> Result<bool, String> {
    let check = &plan.contract.checks[at];
    let class = classes(plan, at).first().copied().unwrap_or(Class::Null);
    let result = &mut finished.result;
    if gathered.malformed > 0
        && !matches!(
            check.kind,
            Kind::Aggregate {
                metric: Metric::NonNullShare,
                ..
            }
        )
    {
        return Err(not_of_class(gathered.malformed, class));
    }
    match &check.kind {
        Kind::Freshness { max_age, zone } => {
            let Some(latest) = gathered.extreme(true) else {
                return Err("the column has no value".into());
            };
            result.observed = Some(latest.show(class));
            let latest = instant(latest, class, zone.as_deref())?;
            result.freshness = Some(Freshness {
                latest,
                max_age: *max_age,
            });
            let age = now.as_second() - latest.as_second();
            if age < 0 {
                result.reason = Some(format!(
                    "the latest value is {} s after the time of the check, {now}",
                    -age
                ));
            } else {
                result.reason = Some(format!("the latest value is {age} s old at {now}"));
            }
            finished.number = Some(age as f64);
            Ok(now.duration_since(latest).as_nanos()
                <= i128::from(*max_age) * i128::from(nanos_of(arrow_schema::TimeUnit::Second)))
        }
        Kind::Divergence {
            partition: Partition::Bins { bins, weights },
            threshold,
        } => {
            let found = divergence::of_bins(gathered.values(), bins, weights);
            Ok(diverges_less(found, *threshold, result))
        }
        Kind::Distribution { .. } if class == Class::Text => {
            let Some(texts) = gathered.texts() else {
                return Err(format!(
                    "the column has more than {} different texts, which are not categories",
                    distribution::CATEGORIES
                ));
            };
            if texts.is_empty() {
                return Err("the column has no text".into());
            }
            finished.categories = Some(distribution::shares(texts.into_iter()));
            Ok(true)
        }
        Kind::Distribution { .. } => {
            let found = gathered.percentiles();
            if found.is_empty() {
                return Err("the column has no number".into());
            }
            finished.percentiles = Some(found);
            Ok(true)
        }
        Kind::Quantiles { wanted, between } => {
            let mut fine = true;
            let mut values = Vec::new();
            for (quantile, range) in wanted {
                if range.as_limit().is_none() {
                    return Err(format!("{range} is not a range of numbers"));
                }
                let value = gathered.quantile(*quantile, *between);
                values.push(value.map_or(Value::Null, number_value));
                fine &= value.is_some_and(|value| nearly_within(value, range));
            }
            result.observed = Some(Value::Array(values));
            Ok(fine)
        }
        Kind::Aggregate {
            metric: metric @ (Metric::Min | Metric::Max),
            range,
        } => {
            let Some(extreme) = gathered.extreme(*metric == Metric::Max).cloned() else {
                result.reason = Some("the column has no value".into());
                return Ok(false);
            };
            finished.number = gathered.number(*metric, class);
            result.observed = Some(extreme.show(class));
            extreme.within(range, class)
        }
        Kind::Aggregate { metric, range } => {
            let number = gathered.number(*metric, class);
            finished.number = number;
            result.observed = Some(number.map_or(Value::Null, number_value));
            let limit = range
                .as_limit()
                .ok_or_else(|| format!("{range} is not a range of numbers"))?;
            // An open range holds for any number, not for none.
            let open = Limit::Within {
                min: None,
                max: None,
                strict_min: false,
                strict_max: false,
            };
            Ok(number.is_some_and(|number| limit.holds(number) && open.holds(number)))
        }
        Kind::Usual { metric, .. } => {
            let number = gathered.number(*metric, class);
            finished.number = number;
            result.observed = Some(number.map_or(Value::Null, number_value));
            number
                .map(|_| true)
                .ok_or_else(|| "the column has too few values".to_owned())
        }
        _ => Err("the check is none of numbers".into()),
    }
}

/// The instant of a value.
fn instant(value: &Extreme, class: Class, zone: Option<&str>) -> Result<Timestamp, String> {
    let Extreme::Long(value) = value else {
        return Err(format!(
            "the column is {}, and freshness is of dates and timestamps",
            class.name()
        ));
    };
    let outside = |_| "the latest value is beyond the years of the calendar".to_owned();
    let zone = || match zone {
        None => Err(format!(
            "the column is {}; say in which zone with `timezone`, for example UTC",
            class.name()
        )),
        Some(zone) => TimeZone::get(zone).map_err(|error| error.to_string()),
    };
    match class {
        Class::Timestamp(unit, zoned) => {
            let at = Timestamp::from_nanosecond(i128::from(*value) * i128::from(nanos_of(unit))).map_err(outside)?;
            if zoned {
                return Ok(at);
            }
            let civil = at.to_zoned(TimeZone::UTC).datetime();
            civil.to_zoned(zone()?).map(|at| at.timestamp()).map_err(outside)
        }
        Class::Date => {
            let days = jiff::Span::new().try_days(*value).map_err(outside)?;
            let date = jiff::civil::date(1970, 1, 1).checked_add(days).map_err(outside)?;
            date.to_zoned(zone()?).map(|at| at.timestamp()).map_err(outside)
        }
        _ => Err(format!(
            "the column is {}, and freshness is of dates and timestamps",
            class.name()
        )),
    }
}

/// Great Expectations takes a quantile for an end of its range when it is nearly that: within 1e-8 and a ten-thousandth of the end.
fn nearly_within(value: f64, range: &Range) -> bool {
    let end = |literal: &Option<Literal>| literal.as_ref().and_then(Literal::number);
    let near = |end: f64| value == end || (value - end).abs() <= 1e-8 + 1e-4 * end.abs();
    let (min, max) = (end(&range.min), end(&range.max));
    min.is_some_and(near)
        || max.is_some_and(near)
        || (min.is_none_or(|min| value >= min) && max.is_none_or(|max| value <= max))
}

fn of_found(plan: &Plan<'_>, check: &Check, state: State, finished: &mut Finished) -> Result<bool, String> {
    let Kind::DistinctValues { values, rule } = &check.kind else {
        return Err("the check is none of sets".into());
    };
    let missing: Vec<String> = values
        .iter()
        .enumerate()
        // Of values that are written twice the first is found.
        .filter(|(at, value)| {
            !state.found.get(*at).copied().unwrap_or(false)
                && values.iter().position(|other| other == *value) == Some(*at)
        })
        .map(|(_, value)| value.to_string())
        .collect();
    let fine = match rule {
        SetRule::Within => state.unexpected == 0,
        SetRule::Contains => missing.is_empty(),
        _ => state.unexpected == 0 && missing.is_empty(),
    };
    let result = &mut finished.result;
    if *rule != SetRule::Within && !missing.is_empty() {
        result.reason = Some(format!("these do not occur: {}", missing.join(", ")));
    }
    if *rule != SetRule::Contains {
        counts(result, state.considered, state.unexpected);
        result.examples = examples(plan, state);
    } else {
        result.observed = Some(json!({ "missing": missing.len() }));
    }
    Ok(fine)
}
