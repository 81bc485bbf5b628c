//! The quarantine: every row goes to one of two places, with the checks it breaks.
//!
//! Below the directory, `passed` and `quarantined` hold Parquet files under the paths of the files they are of (`.parquet` is added to names of CSV and
//! JSON files, whose values are kept as the texts they are). Quarantined rows have two columns more: `stoke_reasons`, the ids of the checks, and
//! `stoke_row`, the row in the file, from 1. A row breaks a check whether or not the contract tolerates some such rows; warnings and waived checks set
//! nothing aside. The directory appears when it is complete, or not at all.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use arrow_select::filter::filter_record_batch;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use serde_json::Map;
use stoke_model::units::people::counted;

use crate::column::{Column, Values};
use crate::contract::Kind;
use crate::data::{Batch, Content, DataFile, Unit};
use crate::engine::aggregate::Extreme;
use crate::engine::keys::Repeated;
use crate::engine::plan::{FilePlan, Plan, Task};
use crate::engine::rows::is_left_out;
use crate::engine::take::in_order;
use crate::error::QualityError;
use crate::report::QuarantineSummary;

const REASONS: &str = "stoke_reasons";
const ROW: &str = "stoke_row";

/// What sets rows aside: a check by its position, with its repeated keys when it is one of uniqueness.
#[derive(Debug)]
pub struct Separator<'a> {
    /// Position of the check.
    pub check: usize,
    /// Keys that occur more than once.
    pub repeated: Option<&'a Repeated>,
}

/// True for checks that can tell rows apart.
pub fn separates(task: &Task, kind: &Kind) -> bool {
    match task {
        Task::Rows | Task::Order => true,
        Task::Found => !matches!(
            kind,
            Kind::DistinctValues {
                rule: crate::contract::SetRule::Contains,
                ..
            }
        ),
        Task::Keys => *kind == Kind::Unique,
        Task::Schema | Task::Count | Task::Gather(_) | Task::Refused(_) => false,
    }
}

/// Writes all rows. `rows` is how many there are.
///
/// # Errors
/// When the directory is there already, cannot be written, or the data cannot be read a second time.
pub fn write(
    plan: &Plan<'_>,
    separators: &[Separator<'_>],
    directory: &Path,
    rows: u64,
) -> Result<QuarantineSummary, QualityError> {
    let failed = |cause: String, fix: &str| QualityError::Quarantine {
        place: directory.display().to_string(),
        cause,
        fix: fix.to_owned(),
    };
    let unwritten = |cause: String| failed(cause, "check that the place may be written and has room");
    let occupied = std::fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some());
    if occupied || directory.is_file() {
        return Err(failed("it is there already".into(), "name a new directory"));
    }
    let name = directory.file_name().map(|name| name.to_string_lossy().into_owned());
    let Some(name) = name else {
        return Err(failed("it has no name".into(), "name a new directory"));
    };
    let parent = directory
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).map_err(|error| unwritten(error.to_string()))?;
    let unfinished = parent.join(format!(".{name}.unfinished"));
    // What an earlier run that was killed left behind is ours.
    if unfinished.exists() {
        std::fs::remove_dir_all(&unfinished).map_err(|error| unwritten(error.to_string()))?;
    }
    let mut writing = Writing {
        plan,
        separators,
        root: unfinished.clone(),
        last: vec![None; separators.len()],
        counts: vec![0; separators.len()],
        passed: 0,
        quarantined: 0,
    };
    let written = writing.all().and_then(|()| {
        if writing.passed + writing.quarantined == rows {
            Ok(())
        } else {
            let found = writing.passed + writing.quarantined;
            Err(format!(
                "the data had {} and now have {found}; they changed meanwhile",
                counted(rows, "row")
            ))
        }
    });
    let moved = written.and_then(|()| {
        // An empty directory may be in the place.
        let _ = std::fs::remove_dir(directory);
        std::fs::rename(&unfinished, directory).map_err(|error| error.to_string())
    });
    if let Err(cause) = moved {
        let _ = std::fs::remove_dir_all(&unfinished);
        return Err(unwritten(cause));
    }
    let reasons = separators.iter().zip(&writing.counts).map(|(separator, count)| {
        let id = plan.contract.checks[separator.check].id.clone();
        (id, (*count).into())
    });
    Ok(QuarantineSummary {
        place: directory.display().to_string(),
        quarantined: writing.quarantined,
        passed: writing.passed,
        reasons: reasons.collect::<Map<_, _>>(),
    })
}

struct Writing<'a> {
    plan: &'a Plan<'a>,
    separators: &'a [Separator<'a>],
    root: PathBuf,
    /// The last value before, of checks of order.
    last: Vec<Option<Extreme>>,
    counts: Vec<u64>,
    passed: u64,
    quarantined: u64,
}

impl Writing<'_> {
    fn all(&mut self) -> Result<(), String> {
        std::fs::create_dir_all(&self.root).map_err(|error| error.to_string())?;
        let units = self.plan.dataset.units();
        for (position, file) in self.plan.dataset.files.iter().enumerate() {
            let own: Vec<&Unit> = units.iter().filter(|unit| unit.file == position).collect();
            self.file(position, file, &own)?;
        }
        Ok(())
    }

    fn file(&mut self, position: usize, file: &DataFile, units: &[&Unit]) -> Result<(), String> {
        let stored = file.schema.fields().len() - file.constants.len();
        let schema = match &file.content {
            Ok(Content::Parquet(_)) => {
                let own: Vec<usize> = (0..stored).collect();
                Arc::new(file.schema.project(&own).map_err(|error| error.to_string())?)
            }
            Ok(Content::Text(text)) => text.written_schema(),
            Err(reason) => return Err(format!("{}: {reason}", file.path)),
        };
        let more = with_reasons(&schema)?;
        let path = match &file.content {
            Ok(Content::Text(_)) => format!("{}.parquet", file.path),
            _ => file.path.clone(),
        };
        let mut passed = writer(&self.root.join("passed").join(&path), &schema)?;
        let mut aside: Option<ArrowWriter<File>> = None;
        // Columns of partitions are read for the checks, and stand in the path for those who read the rows.
        let columns: Vec<usize> = (0..file.schema.fields().len()).collect();
        for unit in units {
            let mut first_row = unit.first_row;
            for batch in file.read(unit, &columns)? {
                let batch = batch?;
                let reasons = self.reasons(position, file, &batch)?;
                let good: BooleanArray = reasons.iter().map(|reasons| Some(reasons.is_empty())).collect();
                let options = RecordBatchOptions::new().with_row_count(Some(batch.rows));
                let rows =
                    RecordBatch::try_new_with_options(schema.clone(), batch.columns[..stored].to_vec(), &options);
                let rows = rows.map_err(|error| error.to_string())?;
                let fine = filter_record_batch(&rows, &good).map_err(|error| error.to_string())?;
                passed.write(&fine).map_err(|error| error.to_string())?;
                self.passed += fine.num_rows() as u64;
                if good.false_count() > 0 {
                    let all = self.aside(&rows, &reasons, first_row, &more)?;
                    let bad: BooleanArray = reasons.iter().map(|reasons| Some(!reasons.is_empty())).collect();
                    let all = filter_record_batch(&all, &bad).map_err(|error| error.to_string())?;
                    let writer = match &mut aside {
                        Some(writer) => writer,
                        none => none.insert(writer(&self.root.join("quarantined").join(&path), &more)?),
                    };
                    writer.write(&all).map_err(|error| error.to_string())?;
                    self.quarantined += all.num_rows() as u64;
                }
                first_row += batch.rows as u64;
            }
        }
        for writer in [Some(passed), aside].into_iter().flatten() {
            let mut writer = writer;
            writer.finish().map_err(|error| error.to_string())?;
            writer.inner().sync_all().map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// For each row the separators that it breaks.
    fn reasons(&mut self, position: usize, file: &DataFile, batch: &Batch) -> Result<Vec<Vec<usize>>, String> {
        let mut reasons: Vec<Vec<usize>> = vec![Vec::new(); batch.rows];
        for (at, separator) in self.separators.iter().enumerate() {
            let check = &self.plan.contract.checks[separator.check];
            let planned = self.plan.files[position][separator.check]
                .as_ref()
                .map_err(Clone::clone)?;
            if !planned.reads {
                continue;
            }
            let columns = planned.columns.iter().map(|column| {
                let meant = file.schema.field(*column).data_type();
                Column::of(&batch.columns[*column], meant, self.plan.contract.nan_is_null)
            });
            let columns: Vec<Column> = columns.collect::<Result<_, String>>()?;
            let read: Vec<usize> = (0..batch.columns.len()).collect();
            let mask = planned.mask(&read, file, batch, self.plan.contract.nan_is_null)?;
            let columns = match &mask {
                Some(mask) => columns
                    .iter()
                    .map(|column| column.filter(mask))
                    .collect::<Result<_, _>>()?,
                None => columns,
            };
            let rows = columns.first().map_or(0, Column::len);
            let columns = planned.seen(columns.iter().collect())?;
            let columns: Vec<&Column> = columns.iter().map(AsRef::as_ref).collect();
            let bad: Vec<usize> = match &self.plan.tasks[separator.check] {
                Task::Rows => match &planned.rule {
                    Some(rule) => rule.judge(&columns)?.bad.set_indices().collect(),
                    None => Vec::new(),
                },
                Task::Keys => {
                    let repeats = |row: &usize| {
                        let repeated = separator
                            .repeated
                            .is_some_and(|repeated| repeated.contains(&columns, *row));
                        repeated && !is_left_out(check.leave_out, &columns, *row)
                    };
                    (0..rows).filter(repeats).collect()
                }
                Task::Found => outside(planned, &columns, rows),
                Task::Order => out_of_order(&check.kind, &mut self.last[at], &columns, rows),
                Task::Schema | Task::Count | Task::Gather(_) | Task::Refused(_) => Vec::new(),
            };
            self.counts[at] += bad.len() as u64;
            let chosen: Option<Vec<usize>> = mask.map(|mask| mask.set_indices().collect());
            let row_of = |row: usize| chosen.as_ref().map_or(row, |chosen| chosen[row]);
            bad.into_iter().for_each(|row| reasons[row_of(row)].push(at));
        }
        Ok(reasons)
    }

    /// Rows with their reasons and numbers.
    fn aside(
        &self,
        rows: &RecordBatch,
        reasons: &[Vec<usize>],
        first_row: u64,
        schema: &SchemaRef,
    ) -> Result<RecordBatch, String> {
        let mut lists = ListBuilder::new(StringBuilder::new()).with_field(Field::new("item", DataType::Utf8, false));
        for reasons in reasons {
            for at in reasons {
                lists
                    .values()
                    .append_value(&self.plan.contract.checks[self.separators[*at].check].id);
            }
            lists.append(true);
        }
        let numbers = (0..reasons.len() as u64).map(|row| i64::try_from(first_row + row + 1).ok());
        let mut columns: Vec<ArrayRef> = rows.columns().to_vec();
        columns.push(Arc::new(lists.finish()));
        columns.push(Arc::new(numbers.collect::<Int64Array>()));
        RecordBatch::try_new(schema.clone(), columns).map_err(|error| error.to_string())
    }
}

fn outside(planned: &FilePlan, columns: &[&Column], rows: usize) -> Vec<usize> {
    let (Some(set), [column]) = (&planned.set, columns) else {
        return Vec::new();
    };
    let out = |row: &usize| column.is_malformed(*row) || (column.is_valid(*row) && set.find(column, *row).is_none());
    (0..rows).filter(out).collect()
}

fn out_of_order(kind: &Kind, last: &mut Option<Extreme>, columns: &[&Column], rows: usize) -> Vec<usize> {
    let [column] = columns else { return Vec::new() };
    let mut bad = Vec::new();
    for row in (0..rows).filter(|row| column.is_valid(*row)) {
        let value = match &column.values {
            Values::Long(values) => Extreme::Long(values.values()[row]),
            Values::Decimal(values) => Extreme::Decimal(values.values()[row]),
            Values::Float(values) => Extreme::Float(values.values()[row]),
            _ => continue,
        };
        if last.as_ref().is_some_and(|last| !in_order(kind, last, &value)) {
            bad.push(row);
        }
        *last = Some(value);
    }
    bad
}

fn with_reasons(schema: &SchemaRef) -> Result<SchemaRef, String> {
    let mut fields: Vec<Arc<Field>> = schema.fields().iter().cloned().collect();
    for name in [REASONS, ROW] {
        if fields.iter().any(|field| field.name() == name) {
            return Err(format!("the data have a column `{name}` themselves"));
        }
    }
    let item = Arc::new(Field::new("item", DataType::Utf8, false));
    fields.push(Arc::new(Field::new(REASONS, DataType::List(item), false)));
    fields.push(Arc::new(Field::new(ROW, DataType::Int64, true)));
    Ok(Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone())))
}

fn writer(path: &Path, schema: &SchemaRef) -> Result<ArrowWriter<File>, String> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(|error| error.to_string())?;
    }
    let file = File::create(path).map_err(|error| error.to_string())?;
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    ArrowWriter::try_new(file, schema.clone(), Some(properties)).map_err(|error| error.to_string())
}
