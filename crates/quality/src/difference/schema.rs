//! Columns of both sides put beside each other: which are compared, as what, and what differs before a row is read.

use std::collections::{BTreeMap, BTreeSet};

use arrow_schema::{DataType, TimeUnit};
use serde::Serialize;
use stoke_model::manifest::nearest;

use super::cells::{Form, is_decimal, is_text, kind};
use super::tolerance::Tolerance;
use super::types::{alike, comparable, has_floats, type_name, unit_name, unite};
use super::value::Kind;
use super::{Options, refused};
use crate::column::Class;
use crate::data::{Content, Dataset};
use crate::error::QualityError;

/// How sure the type of a column is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Strength {
    /// Texts of CSV and of paths, whose type is guessed.
    Text,
    /// JSON distinguishes numbers, texts and truth values.
    Json,
    Typed,
}

/// A column of one side, over all of its files.
#[derive(Clone, Debug)]
struct Found {
    of: DataType,
    strength: Strength,
    nullable: bool,
    /// How many files have it.
    files: usize,
    /// Where it stands.
    position: usize,
}

/// A column that both sides have.
#[derive(Debug)]
pub(super) struct Compared {
    pub name: String,
    /// As what the left side is read.
    pub left: DataType,
    pub right: DataType,
    pub kind: Kind,
    pub form: Form,
    pub role: Role,
    pub tolerance: Tolerance,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Rows belong together by it.
    Key,
    Value,
    /// Only its distribution is compared.
    Nondeterministic,
}

/// A column that differs before its values are looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SchemaDifference {
    pub column: String,
    /// `only-left`, `only-right` or `type`.
    pub what: &'static str,
    /// Its type on the left, where it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub right: Option<String>,
    /// Whether values are compared nonetheless.
    pub compared: bool,
}

/// What comparing rows needs to know.
#[derive(Debug)]
pub(super) struct Plan {
    /// Keys first, in their order, then values by name, then nondeterministic ones.
    pub columns: Vec<Compared>,
    pub keys: usize,
    /// Keys and values.
    pub rows: usize,
    pub differences: Vec<SchemaDifference>,
    pub notes: Vec<String>,
}

impl Plan {
    /// Whether rows have numbers with a tolerance.
    pub(super) fn is_tolerant(&self) -> bool {
        self.columns[..self.rows]
            .iter()
            .any(|column| column.form.outside || column.form.exact_outside)
    }

    /// Plans the comparison.
    ///
    /// # Errors
    /// When a file cannot be read, files of one side disagree, or the options name what is not there.
    pub(super) fn new(left: &Dataset, right: &Dataset, options: &Options) -> Result<Self, QualityError> {
        let mut plan = Self {
            columns: Vec::new(),
            keys: 0,
            rows: 0,
            differences: Vec::new(),
            notes: Vec::new(),
        };
        let (on_left, on_right) = (found(left)?, found(right)?);
        check_names(options, &on_left, &on_right)?;
        plan.note_order(&on_left, &on_right);
        for (side, dataset, columns) in [("left", left, &on_left), ("right", right, &on_right)] {
            for (name, column) in columns.iter().filter(|(_, column)| column.files < dataset.files.len()) {
                plan.notes.push(format!(
                    "{side}: {} of {} files have no column `{name}`; it is null there",
                    dataset.files.len() - column.files,
                    dataset.files.len()
                ));
            }
        }
        let csv = (left.layout == "csv") != (right.layout == "csv");
        let names: BTreeSet<&String> = on_left.keys().chain(on_right.keys()).collect();
        for name in names {
            if options.ignore.contains(name) {
                continue;
            }
            let only = |what, column: &Found| SchemaDifference {
                column: name.clone(),
                what,
                left: (what == "only-left").then(|| type_name(&column.of)),
                right: (what == "only-right").then(|| type_name(&column.of)),
                compared: false,
            };
            match (on_left.get(name), on_right.get(name)) {
                (Some(left), Some(right)) => plan.put(name, left, right, csv, options)?,
                (Some(left), None) => plan.differences.push(only("only-left", left)),
                (None, Some(right)) => plan.differences.push(only("only-right", right)),
                (None, None) => {}
            }
        }
        let place = |column: &Compared| match column.role {
            Role::Key => (
                0,
                options.keys.iter().position(|key| *key == column.name),
                String::new(),
            ),
            Role::Value => (1, None, column.name.clone()),
            Role::Nondeterministic => (2, None, column.name.clone()),
        };
        plan.columns.sort_by_key(place);
        plan.keys = options.keys.len();
        plan.rows = plan
            .columns
            .iter()
            .filter(|column| column.role != Role::Nondeterministic)
            .count();
        for key in &options.keys {
            if !plan.columns.iter().any(|column| column.name == *key) {
                let cause = format!("the key `{key}` is not of the same type on both sides");
                return Err(refused(cause, "give other columns with --key, or none"));
            }
        }
        Ok(plan)
    }

    /// Puts a column of both sides into the plan.
    fn put(
        &mut self,
        name: &str,
        left: &Found,
        right: &Found,
        csv: bool,
        options: &Options,
    ) -> Result<(), QualityError> {
        let named = options.column_tolerances.get(name);
        let tolerance = named.or(options.tolerance.as_ref());
        let (as_left, as_right, differs) = meant(left, right, tolerance.is_some(), named.is_some());
        let both = comparable(&as_left, &as_right);
        if differs && (!options.same_values || !both) {
            self.differences.push(SchemaDifference {
                column: name.to_owned(),
                what: "type",
                left: Some(type_name(&left.of)),
                right: Some(type_name(&right.of)),
                compared: both,
            });
        } else if differs {
            let (one, other) = (type_name(&left.of), type_name(&right.of));
            self.notes.push(format!(
                "`{name}` is {one} on the left and {other} on the right; values are compared"
            ));
        }
        if left.strength == Strength::Typed && right.strength == Strength::Typed && left.nullable != right.nullable {
            let (may, never) = if left.nullable {
                ("left", "right")
            } else {
                ("right", "left")
            };
            self.notes
                .push(format!("`{name}` may be null on the {may}, not on the {never}"));
        }
        if let (DataType::Timestamp(one, _), DataType::Timestamp(other, _)) = (&as_left, &as_right)
            && one != other
        {
            let (one, other) = (unit_name(*one), unit_name(*other));
            self.notes.push(format!(
                "`{name}` has {one} on the left and {other} on the right; instants are compared"
            ));
        }
        if !both {
            return Ok(());
        }
        let role = if options.keys.iter().any(|key| key == name) {
            Role::Key
        } else if options.nondeterministic.contains(name) {
            Role::Nondeterministic
        } else {
            Role::Value
        };
        let numeric = |of: &DataType| matches!(Class::of(of), Class::Int | Class::Decimal(_)) || is_decimal(of);
        if named.is_some() && !has_floats(&as_left) && !numeric(&as_left) {
            let cause = format!("`{name}` has a tolerance and is {}", type_name(&as_left));
            return Err(refused(cause, "give a tolerance to columns of numbers only"));
        }
        let tolerant = tolerance.is_some() && role == Role::Value;
        let empty_is_null = csv && is_text(&as_left);
        if empty_is_null {
            self.notes.push(format!(
                "`{name}`: CSV does not distinguish empty texts from nulls; they are equal here"
            ));
        }
        self.columns.push(Compared {
            name: name.to_owned(),
            kind: kind(&as_left),
            form: Form {
                outside: tolerant && has_floats(&as_left),
                exact_outside: tolerant && named.is_some() && numeric(&as_left),
                empty_is_null,
            },
            left: as_left,
            right: as_right,
            role,
            tolerance: tolerance.copied().unwrap_or_default(),
        });
        Ok(())
    }

    fn note_order(&mut self, left: &BTreeMap<String, Found>, right: &BTreeMap<String, Found>) {
        let order = |columns: &BTreeMap<String, Found>, others: &BTreeMap<String, Found>| {
            let mut shared: Vec<(usize, String)> = columns
                .iter()
                .filter(|(name, _)| others.contains_key(*name))
                .map(|(name, column)| (column.position, name.clone()))
                .collect();
            shared.sort();
            shared.into_iter().map(|(_, name)| name).collect::<Vec<String>>()
        };
        if order(left, right) != order(right, left) {
            self.notes.push("columns are in another order".into());
        }
    }
}

/// The columns of a side.
fn found(dataset: &Dataset) -> Result<BTreeMap<String, Found>, QualityError> {
    let unreadable = |path: &str, cause: String| QualityError::Data {
        place: dataset.place.clone(),
        cause: format!("{path}: {cause}"),
        fix: "nothing was compared; write the data again, or give a place whose files are whole".into(),
    };
    let mut all: BTreeMap<String, Found> = BTreeMap::new();
    for file in &dataset.files {
        let (inferred, strength) = match &file.content {
            Err(cause) => return Err(unreadable(&file.path, cause.clone())),
            Ok(Content::Parquet(_)) => (None, Strength::Typed),
            Ok(Content::Text(text)) if dataset.layout == "csv" => (Some(text.inferred()), Strength::Text),
            Ok(Content::Text(text)) => (Some(text.inferred()), Strength::Json),
        };
        let stored = file.schema.fields().len() - file.constants.len();
        let mut seen = BTreeSet::new();
        for (position, field) in file.schema.fields().iter().enumerate() {
            if !seen.insert(field.name()) {
                return Err(unreadable(
                    &file.path,
                    format!("two columns are called `{}`", field.name()),
                ));
            }
            let of = match (&inferred, &file.content) {
                (Some(inferred), _) if position < stored => match inferred.field_with_name(field.name()) {
                    Ok(own) => own.data_type().clone(),
                    Err(_) => DataType::Null,
                },
                (None, Ok(Content::Parquet(parquet))) if parquet.is_int96(position) => {
                    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
                }
                _ => field.data_type().clone(),
            };
            let strength = if position < stored { strength } else { Strength::Text };
            match all.get_mut(field.name()) {
                None => {
                    let nullable = field.is_nullable();
                    let column = Found {
                        of,
                        strength,
                        nullable,
                        files: 1,
                        position,
                    };
                    all.insert(field.name().clone(), column);
                }
                Some(before) => {
                    let united = match strength {
                        Strength::Typed if type_name(&before.of) == type_name(&of) => Some(before.of.clone()),
                        Strength::Typed => match (&before.of, &of) {
                            (DataType::Null, other) | (other, DataType::Null) => Some(other.clone()),
                            _ => None,
                        },
                        _ => unite(&before.of, &of),
                    };
                    before.of = united.ok_or_else(|| {
                        let (one, other) = (type_name(&before.of), type_name(&of));
                        unreadable(
                            &file.path,
                            format!("`{}` is {other} there, and {one} in other files", field.name()),
                        )
                    })?;
                    before.nullable |= field.is_nullable();
                    before.strength = before.strength.min(strength);
                    before.files += 1;
                }
            }
        }
    }
    Ok(all)
}

/// As what a column is read on each side, and whether its types differ.
fn meant(left: &Found, right: &Found, tolerant: bool, named: bool) -> (DataType, DataType, bool) {
    use std::cmp::Ordering::{Equal, Greater, Less};
    let (one, other) = (&left.of, &right.of);
    let nested = one.is_nested() != other.is_nested();
    let typed = |of: &DataType| {
        if matches!(of, DataType::Null) {
            DataType::Utf8View
        } else {
            of.clone()
        }
    };
    match (left.strength.cmp(&right.strength), left.strength) {
        // A column without a value says nothing of its type.
        _ if nested && !matches!(one, DataType::Null) && !matches!(other, DataType::Null) => {
            (one.clone(), other.clone(), true)
        }
        (Greater, _) if !matches!(one, DataType::Null) => (one.clone(), one.clone(), false),
        (Less, _) if !matches!(other, DataType::Null) => (other.clone(), other.clone(), false),
        (Equal, Strength::Typed) => (one.clone(), other.clone(), type_name(one) != type_name(other)),
        (Equal, Strength::Text) => {
            let number = |of: &DataType| matches!(of, DataType::Int64 | DataType::Float64 | DataType::Null);
            let floats = [one, other].contains(&&DataType::Float64);
            let of = if tolerant && (floats || named) && number(one) && number(other) {
                DataType::Float64
            } else {
                DataType::Utf8View
            };
            (of.clone(), of, false)
        }
        (Equal | Greater | Less, _) => match unite(one, other) {
            Some(of) => (typed(&of), typed(&of), !alike(one, other)),
            None => (one.clone(), other.clone(), true),
        },
    }
}

/// Columns that options name must be there.
fn check_names(
    options: &Options,
    left: &BTreeMap<String, Found>,
    right: &BTreeMap<String, Found>,
) -> Result<(), QualityError> {
    let asked = |flag: &'static str, names: Vec<&String>, both: bool| {
        for name in names {
            let missing = match (left.contains_key(name), right.contains_key(name)) {
                (true, true) => continue,
                (true, false) if both => "the right side",
                (false, true) if both => "the left side",
                (false, false) => "both sides",
                _ => continue,
            };
            let known = left.keys().chain(right.keys()).map(String::as_str);
            let fix = match nearest(name, known) {
                Some(near) if near != name.as_str() => format!("did you mean {near}?"),
                _ => "name a column that is there".to_owned(),
            };
            return Err(refused(
                format!("{flag} names the column `{name}`, which is missing on {missing}"),
                &fix,
            ));
        }
        Ok(())
    };
    asked("--key", options.keys.iter().collect(), true)?;
    asked("--nondeterministic", options.nondeterministic.iter().collect(), true)?;
    asked("--tolerance", options.column_tolerances.keys().collect(), true)?;
    asked("--ignore", options.ignore.iter().collect(), false)?;
    let mut seen = BTreeSet::new();
    for key in &options.keys {
        if !seen.insert(key) || options.ignore.contains(key) || options.nondeterministic.contains(key) {
            let cause = format!("the key `{key}` is given twice, ignored or nondeterministic");
            return Err(refused(cause, "rows are found by it; name it with --key only, once"));
        }
    }
    Ok(())
}
