//! What each check needs of each file, and what its footers answer without reading.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_buffer::BooleanBuffer;
use arrow_schema::DataType;

use super::aggregate::Needs;
use super::filter::Filter;
use super::keys::KeySet;
use super::rows::RowRule;
use super::set::{self, Set};
use crate::column::{Class, Column};
use crate::contract::{Check, Contract, Format, Kind, Metric, Partition, SetRule, TypeName};
use crate::data::{Batch, Content, DataFile, Dataset, Unit};
use crate::distribution::Method;

/// How a check is computed.
#[derive(Clone, Debug, PartialEq)]
pub enum Task {
    /// Of names and types alone.
    Schema,
    /// Row by row.
    Rows,
    Keys,
    /// Of the number of rows.
    Count,
    /// Of numbers gathered.
    Gather(Needs),
    /// Of which members of a set occur, and what else.
    Found,
    /// Of each row and the one before.
    Order,
    /// Not at all.
    Refused(String),
}

impl Task {
    /// Of a check.
    pub fn of(check: &Check) -> Self {
        match &check.kind {
            Kind::RowCount(_) if check.condition.is_some() => Self::Count,
            Kind::RowCount(_)
            | Kind::ColumnCount(_)
            | Kind::ColumnOrder(_)
            | Kind::ColumnSet { .. }
            | Kind::ColumnExists(_) => Self::Schema,
            Kind::ColumnType(_) => Self::Rows,
            Kind::Unique => Self::Keys,
            Kind::DistinctValues { rule, .. } => match rule {
                SetRule::Within | SetRule::Contains | SetRule::Equals => Self::Found,
                SetRule::MostCommonIn | SetRule::MostCommonTieIn => Self::Keys,
            },
            Kind::Divergence { partition, .. } => match partition {
                Partition::Values { .. } => Self::Keys,
                Partition::Bins { .. } => Self::Gather(Needs {
                    all: true,
                    ..Needs::default()
                }),
            },
            Kind::Aggregate { metric, .. } | Kind::Usual { metric, .. } => match metric {
                Metric::Rows => Self::Schema,
                Metric::Distinct | Metric::DistinctShare => Self::Keys,
                other => Self::Gather(Needs::of(*other)),
            },
            Kind::Quantiles { .. } => Self::Gather(Needs {
                all: true,
                ..Needs::default()
            }),
            Kind::Distribution { method, .. } => Self::Gather(Needs {
                all: true,
                categories: *method == Method::Psi,
                ..Needs::default()
            }),
            Kind::Freshness { .. } => Self::Gather(Needs::of(Metric::Max)),
            Kind::Increasing { .. } => Self::Order,
            Kind::Sql { .. } => Self::Refused(crate::sql::NO_RUNNER.into()),
            Kind::Refused(reason) => Self::Refused(reason.clone()),
            _ => Self::Rows,
        }
    }
}

/// A check for one file.
#[derive(Clone, Debug)]
pub struct FilePlan {
    /// Positions of its columns.
    pub columns: Vec<usize>,
    pub classes: Vec<Class>,
    /// The rule, when rows are judged.
    pub rule: Option<RowRule>,
    /// The condition on rows.
    pub filter: Option<Filter>,
    /// The set, when its members are looked for.
    pub set: Option<Set>,
    /// False when there is nothing to read for it in this file.
    pub reads: bool,
    /// True when texts are read as dates and times, whatever the type of their column.
    pub dated: bool,
}

impl FilePlan {
    /// Its columns as the check sees them.
    ///
    /// # Errors
    /// When a text is to be a date, and is not read as one.
    pub fn seen<'c>(&self, columns: Vec<&'c Column>) -> Result<Vec<Cow<'c, Column>>, String> {
        let seen = columns
            .into_iter()
            .map(|column| match self.dated && column.class == Class::Text {
                true => column.dated().map(Cow::Owned),
                false => Ok(Cow::Borrowed(column)),
            });
        seen.collect()
    }

    /// The rows of a batch that the condition holds for, none when there is no condition. `read` are the positions of the columns of the batch.
    ///
    /// # Errors
    /// When it cannot be determined.
    pub fn mask(
        &self,
        read: &[usize],
        file: &DataFile,
        batch: &Batch,
        nan_is_null: bool,
    ) -> Result<Option<BooleanBuffer>, String> {
        let Some(filter) = &self.filter else { return Ok(None) };
        let mut columns: Vec<(usize, Column)> = Vec::new();
        for column in &filter.columns {
            let at = read
                .binary_search(column)
                .map_err(|_| "a column was not read".to_owned())?;
            let meant = file.schema.field(*column).data_type();
            columns.push((*column, Column::of(&batch.columns[at], meant, nan_is_null)?));
        }
        let get = |wanted: usize| {
            let found = columns.iter().find(|(at, _)| *at == wanted);
            found
                .map(|(_, column)| column)
                .ok_or_else(|| "a column was not read".to_owned())
        };
        filter.mask(batch.rows, &get).map(Some)
    }
}

impl FilePlan {
    /// Positions of its columns, and of those of its condition.
    pub fn all_columns(&self) -> impl Iterator<Item = usize> {
        let of_filter = self.filter.iter().flat_map(|filter| &filter.columns);
        self.columns.iter().chain(of_filter).copied()
    }
}

/// All of a run's checks for all files.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The data.
    pub dataset: &'a Dataset,
    pub contract: &'a Contract,
    /// How each check is computed.
    pub tasks: Vec<Task>,
    /// For each file, for each check: the plan, or why the check cannot be determined.
    pub files: Vec<Vec<Result<FilePlan, String>>>,
}

impl<'a> Plan<'a> {
    /// Plans; `known` holds keys of other data by check.
    pub fn new(dataset: &'a Dataset, contract: &'a Contract, known: &[Option<Result<Arc<KeySet>, String>>]) -> Self {
        let tasks: Vec<Task> = contract.checks.iter().map(Task::of).collect();
        let files = dataset
            .files
            .iter()
            .map(|file| {
                let checks = contract.checks.iter().zip(&tasks).enumerate();
                checks
                    .map(|(at, (check, task))| {
                        plan_file(file, contract, check, task, known.get(at).and_then(Option::as_ref))
                    })
                    .collect()
            })
            .collect();
        let mut plan = Self {
            dataset,
            contract,
            tasks,
            files,
        };
        plan.agree();
        plan
    }

    /// Keys, numbers and orders of several files are put together, so their columns must be of one class.
    fn agree(&mut self) {
        for at in 0..self.tasks.len() {
            if !matches!(self.tasks[at], Task::Keys | Task::Gather(_) | Task::Order) {
                continue;
            }
            let mut first: Option<(usize, Vec<Class>)> = None;
            let mut differs: Option<String> = None;
            for (file, plans) in self.files.iter().enumerate() {
                let Ok(plan) = &plans[at] else { continue };
                match &first {
                    None => first = Some((file, plan.classes.clone())),
                    Some((_, classes)) if *classes == plan.classes => {}
                    Some((earlier, classes)) => {
                        let pair = classes.iter().zip(&plan.classes).find(|(one, other)| one != other);
                        let (one, other) =
                            pair.map_or(("of one type", "of another"), |(one, other)| (one.name(), other.name()));
                        let files = &self.dataset.files;
                        differs = Some(format!(
                            "the column is {one} in {}, and {other} in {}",
                            files[*earlier].path, files[file].path
                        ));
                    }
                }
            }
            if let Some(differs) = differs {
                self.files.iter_mut().for_each(|plans| plans[at] = Err(differs.clone()));
            }
        }
    }

    /// Why a check cannot be determined, when any file says so.
    pub fn reason(&self, check: usize) -> Option<String> {
        if let Task::Refused(reason) = &self.tasks[check] {
            return Some(reason.clone());
        }
        if self.dataset.files.is_empty() && self.tasks[check] != Task::Schema {
            return Some("the table has no files, and so no columns are known".into());
        }
        self.files.iter().find_map(|plans| plans[check].as_ref().err().cloned())
    }

    /// Whether the footers tell all that a check needs of a unit.
    pub fn footer(&self, unit: &Unit, check: usize) -> Option<Answer> {
        let file = &self.dataset.files[unit.file];
        let plan = self.files[unit.file][check].as_ref().ok()?;
        if plan.filter.is_some() {
            return None;
        }
        let (Ok(Content::Parquet(parquet)), Some(rows)) = (&file.content, unit.rows) else {
            return None;
        };
        let ([column], [class]) = (plan.columns.as_slice(), plan.classes.as_slice()) else {
            return None;
        };
        if *column >= file.schema.fields().len() - file.constants.len() {
            return None;
        }
        let footer = parquet.footer(unit.group, *column);
        let nulls = footer
            .nulls
            .filter(|nulls| *nulls <= rows && !(self.contract.nan_is_null && *class == Class::Float))?;
        let extremes = footer.min.zip(footer.max);
        // Times are kept in another unit than the file's.
        let of_numbers = matches!(
            class,
            Class::Int | Class::Date | Class::Timestamp(..) | Class::Decimal(_)
        );
        match &self.tasks[check] {
            Task::Rows => {
                let rule = plan.rule.as_ref()?;
                let considered = if rule.of_nulls() { rows } else { rows - nulls };
                let proven = match (&self.contract.checks[check].kind, rule.range(), extremes) {
                    (Kind::NotNull, ..) => nulls == 0,
                    (Kind::IsNull, ..) => nulls == rows,
                    (_, Some(_), None) => nulls == rows && of_numbers,
                    (_, Some((low, high)), Some((min, max))) => {
                        of_numbers && i128::from(min) >= low && i128::from(max) <= high
                    }
                    _ => false,
                };
                proven.then_some(Answer::Fine { considered })
            }
            Task::Gather(needs) => {
                let only_extremes = !needs.sum && !needs.moments && !needs.all;
                let known = !needs.extremes || (of_numbers && (extremes.is_some() || nulls == rows));
                (only_extremes && known).then_some(Answer::Numbers {
                    rows,
                    nulls,
                    extremes: extremes.filter(|_| needs.extremes),
                })
            }
            _ => None,
        }
    }

    /// The least and greatest value that a check's column may have in all files, by their footers.
    pub fn long_range(&self, units: &[Unit], check: usize) -> Option<(i64, i64)> {
        let mut range: Option<(i64, i64)> = None;
        for unit in units {
            let file = &self.dataset.files[unit.file];
            let plan = self.files[unit.file][check].as_ref().ok()?;
            let (Ok(Content::Parquet(parquet)), [column], [class]) =
                (&file.content, plan.columns.as_slice(), plan.classes.as_slice())
            else {
                return None;
            };
            let same_unit = matches!(class, Class::Int | Class::Date | Class::Timestamp(..));
            if !same_unit || *column >= file.schema.fields().len() - file.constants.len() {
                return None;
            }
            let footer = parquet.footer(unit.group, *column);
            match (footer.min.zip(footer.max), footer.nulls) {
                (Some((min, max)), _) => {
                    range = Some(range.map_or((min, max), |(low, high)| (low.min(min), high.max(max))));
                }
                (None, Some(nulls)) if Some(nulls) == unit.rows => {}
                _ => return None,
            }
        }
        range
    }

    /// True when keys of a check are 64-bit numbers in all files.
    pub fn is_long(&self, check: usize) -> bool {
        self.dataset.files.iter().zip(&self.files).all(|(file, plans)| {
            let long = |plan: &FilePlan| {
                matches!(
                    plan.classes.as_slice(),
                    [Class::Int | Class::Date | Class::Time | Class::Timestamp(..)]
                )
            };
            let stored = matches!(file.content, Ok(Content::Parquet(_)));
            stored && file.constants.is_empty() && plans[check].as_ref().is_ok_and(long)
        })
    }
}

/// What a footer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// So many rows are looked at, and all are as wanted.
    Fine {
        /// Rows.
        considered: u64,
    },
    Numbers {
        rows: u64,
        /// Of them nulls.
        nulls: u64,
        /// The least and greatest value.
        extremes: Option<(i64, i64)>,
    },
}

/// The check that texts hold JSON, in place of one that a column is nested: where files can only have texts, or the contract says that it is JSON.
fn documents(contract: &Contract, check: &Check, file: &DataFile, classes: &[Class]) -> Option<Check> {
    let (Kind::ColumnType(names), [Class::Text], [column]) = (&check.kind, classes, check.columns.as_slice()) else {
        return None;
    };
    let texts = matches!(file.content, Ok(Content::Text(_)));
    let declared = contract.types.get(column).is_some_and(|of| of.documents().is_some());
    let may_be_text = (texts && declared) || names.iter().any(TypeName::is_json);
    if !may_be_text {
        return None;
    }
    let format = names.iter().find_map(TypeName::documents)?;
    Some(Check {
        kind: Kind::Format(format),
        ..check.clone()
    })
}

fn plan_file(
    file: &DataFile,
    contract: &Contract,
    check: &Check,
    task: &Task,
    known: Option<&Result<Arc<KeySet>, String>>,
) -> Result<FilePlan, String> {
    if let Task::Refused(reason) = task {
        return Err(reason.clone());
    }
    if let Err(reason) = &file.content {
        return Err(format!("{} cannot be read: {reason}", file.path));
    }
    let nothing = FilePlan {
        columns: Vec::new(),
        classes: Vec::new(),
        rule: None,
        filter: None,
        set: None,
        reads: false,
        dated: false,
    };
    if *task == Task::Schema {
        return Ok(nothing);
    }
    let columns = check
        .columns
        .iter()
        .map(|name| position(file, name))
        .collect::<Result<Vec<usize>, String>>()?;
    let types: Vec<&DataType> = columns
        .iter()
        .map(|column| file.schema.field(*column).data_type())
        .collect();
    let classes: Vec<Class> = types.iter().map(|of| Class::of(of)).collect();
    let mut plan = FilePlan {
        columns,
        classes,
        reads: true,
        ..nothing
    };
    let python = as_python(contract, check, &plan.classes);
    let check = python.as_ref().unwrap_or(check);
    if let Some(condition) = &check.condition {
        let find = |name: &str| {
            let at = position(file, name)?;
            Ok((at, file.schema.field(at).data_type().clone()))
        };
        let filter =
            Filter::new(condition, &find).map_err(|reason| format!("the condition: {reason} ({})", file.path))?;
        plan.filter = Some(filter);
    }
    if check.texts_are_dates {
        for class in plan.classes.iter_mut().filter(|class| **class == Class::Text) {
            *class = Column::MOMENT;
            plan.dated = true;
        }
    }
    let in_file = |reason: String| format!("{reason} ({})", file.path);
    match task {
        Task::Rows => {
            if let Kind::ColumnType(names) = &check.kind {
                // Of texts that are converted each row is judged; else the type of the column is, when the results are put together.
                let converted = matches!(file.content, Ok(Content::Text(_)));
                let declared = check
                    .columns
                    .iter()
                    .all(|name| contract.types.get(name).is_some_and(|of| names.contains(of)));
                plan.reads =
                    converted && declared && types.iter().all(|of| Class::of(of) != Class::Text && !of.is_nested());
            }
            let known = match known {
                Some(Ok(known)) => Some(known),
                Some(Err(reason)) => return Err(reason.clone()),
                None => None,
            };
            let documents = documents(contract, check, file, &plan.classes);
            plan.reads |= documents.is_some();
            plan.rule = RowRule::new(documents.as_ref().unwrap_or(check), &plan.classes, known).map_err(in_file)?;
        }
        Task::Keys | Task::Found | Task::Order => {
            let unordered = |class: &&Class| matches!(class, Class::Nested | Class::Other);
            if let Some(class) = plan.classes.iter().find(unordered) {
                return Err(in_file(format!("the column is {}", class.name())));
            }
            if *task == Task::Order && matches!(plan.classes.as_slice(), [Class::Text | Class::Bytes | Class::Bool]) {
                return Err(in_file(format!(
                    "the column is {}, which is not looked at for an order",
                    plan.classes[0].name()
                )));
            }
            if let (Kind::DistinctValues { values, .. }, [class]) = (&check.kind, plan.classes.as_slice()) {
                plan.set = Some(Set::new(values, *class));
            }
        }
        Task::Gather(needs) => {
            for class in &plan.classes {
                needs.check(*class).map_err(in_file)?;
            }
        }
        Task::Count | Task::Schema | Task::Refused(_) => {}
    }
    Ok(plan)
}

/// The check with its literals as Python compares them, for suites of Great Expectations that have some.
fn as_python(contract: &Contract, check: &Check, classes: &[Class]) -> Option<Check> {
    if contract.format != Format::GreatExpectations {
        return None;
    }
    let mut own = check.clone();
    match (&mut own.kind, classes) {
        (Kind::InSet(values) | Kind::NotInSet(values) | Kind::DistinctValues { values, .. }, [class]) => {
            for value in values {
                *value = set::as_python(value, *class);
            }
        }
        (Kind::PairInSet(pairs), [one, other]) => {
            for (a, b) in pairs {
                (*a, *b) = (set::as_python(a, *one), set::as_python(b, *other));
            }
        }
        _ => return None,
    }
    Some(own)
}

/// Where a column is in a file.
///
/// # Errors
/// When it is not, or more than once.
pub fn position(file: &DataFile, name: &str) -> Result<usize, String> {
    let mut found = file
        .schema
        .fields()
        .iter()
        .enumerate()
        .filter(|(_, field)| field.name() == name);
    match (found.next(), found.next()) {
        (Some((at, _)), None) => Ok(at),
        (Some(_), Some(_)) => Err(format!("{} has the column `{name}` more than once", file.path)),
        (None, _) => {
            let names = file.schema.fields().iter().map(|field| field.name().as_str());
            let near = stoke_model::manifest::nearest(name, names);
            let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            Err(format!("{} has no column `{name}`{near}", file.path))
        }
    }
}
