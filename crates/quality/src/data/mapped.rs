//! Files of tables: columns found by identifier or by a name of their own, and rows that are deleted.
//!
//! A table's log or metadata say which columns it has now; a file has those of the day it was written. Each column of the table is looked for in the
//! file, read as the type the table has now, and is null (or the value of its partition) where the file has it not.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, StringArray, new_null_array};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use arrow_select::filter::filter;
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use roaring::RoaringTreemap;

use super::Batch;
use crate::column::Column;
use crate::engine::keys::row_key;

/// Where the values of a table's column are in a file.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// In the column with this identifier.
    Id(i32),
    /// In the column of this name.
    Name(String),
    /// Nowhere: all rows have this value, written as text.
    Constant(Option<String>),
}

/// A column of a table.
#[derive(Clone, Debug)]
pub struct Slot {
    /// The name it has now.
    pub name: String,
    /// Its type; none where the file's own is taken (nested and binary columns).
    pub of: Option<DataType>,
    /// Where its values are.
    pub source: Source,
    /// What stands for it in files that do not have it, written as text; null when none.
    pub absent: Option<String>,
}

/// Rows of a file that are deleted.
#[derive(Debug, Default)]
pub struct Deletes {
    /// Positions from 0.
    pub positions: RoaringTreemap,
    /// Rows with the same values as one of these.
    pub equal: Vec<EqualRows>,
}

/// Rows with certain values in certain columns.
#[derive(Debug)]
pub struct EqualRows {
    /// Identifiers of the columns.
    pub ids: Vec<i32>,
    /// Keys of the rows.
    pub keys: Arc<HashSet<u128>>,
}

/// The columns of a table for one file.
#[derive(Debug)]
pub(super) struct Mapping {
    pub(super) schema: SchemaRef,
    columns: Vec<Found>,
}

#[derive(Debug)]
enum Found {
    /// At this position in the file.
    At(usize),
    /// Not in the file.
    Constant(Option<String>),
}

impl Mapping {
    /// Finds the columns of a table in a file with these columns.
    ///
    /// # Errors
    /// When a column cannot be found for certain, or is of a type that does not become the table's.
    pub(super) fn new(slots: &[Slot], file: &Schema) -> Result<Self, String> {
        let mut fields = Vec::new();
        let mut columns = Vec::new();
        let by_id = slots.iter().any(|slot| matches!(slot.source, Source::Id(_)));
        if by_id && !file.fields().is_empty() && file.fields().iter().all(|field| id_of(field).is_none()) {
            return Err("its columns have no identifiers, and cannot be distinguished".into());
        }
        for slot in slots {
            let at = match &slot.source {
                Source::Id(id) => file.fields().iter().position(|field| id_of(field) == Some(*id)),
                Source::Name(name) => file.fields().iter().position(|field| field.name() == name),
                Source::Constant(_) => None,
            };
            let (found, own) = match (at, &slot.source) {
                (Some(at), _) => (Found::At(at), file.field(at).data_type().clone()),
                (None, Source::Constant(value)) => (Found::Constant(value.clone()), DataType::Null),
                (None, _) => (Found::Constant(slot.absent.clone()), DataType::Null),
            };
            let of = match (&slot.of, &found) {
                (Some(of), Found::At(_)) if !becomes(&own, of) => {
                    return Err(format!("its column `{}` is {own}, and the table's is {of}", slot.name));
                }
                (Some(of), _) => of.clone(),
                (None, _) => own,
            };
            fields.push(Field::new(&slot.name, of, true));
            columns.push(found);
        }
        Ok(Self {
            schema: Arc::new(Schema::new(fields)),
            columns,
        })
    }

    /// Where a column of the table is in the file.
    pub(super) fn position(&self, column: usize) -> Option<usize> {
        match self.columns.get(column) {
            Some(Found::At(at)) => Some(*at),
            _ => None,
        }
    }

    /// A column of the table, of the columns that were read of the file.
    pub(super) fn column(&self, column: usize, read: &[usize], batch: &Batch) -> Result<ArrayRef, String> {
        let of = self.schema.field(column).data_type();
        match &self.columns[column] {
            Found::At(at) => {
                let at = read.binary_search(at).map_err(|_| "a column was not read".to_owned())?;
                cast(&batch.columns[at], of)
            }
            Found::Constant(None) => Ok(new_null_array(of, batch.rows)),
            Found::Constant(Some(value)) => {
                let one: ArrayRef = Arc::new(StringArray::from(vec![value.as_str()]));
                let one = cast(&one, of)?;
                if one.is_null(0) {
                    return Err(format!("{value:?} is not an {of}"));
                }
                let first = arrow_array::UInt32Array::from(vec![0; batch.rows]);
                arrow_select::take::take(one.as_ref(), &first, None).map_err(|error| error.to_string())
            }
        }
    }
}

impl EqualRows {
    /// Leaves the rows of a batch out whose values are among the deleted. `get` reads a column by its identifier.
    pub(super) fn keep(
        &self,
        rows: usize,
        get: impl Fn(i32) -> Result<ArrayRef, String>,
    ) -> Result<BooleanArray, String> {
        let columns = self.ids.iter().map(|id| {
            let array = get(*id)?;
            Column::of(&array, array.data_type(), false)
        });
        let columns: Vec<Column> = columns.collect::<Result<_, String>>()?;
        let columns: Vec<&Column> = columns.iter().collect();
        Ok((0..rows)
            .map(|row| Some(!self.keys.contains(&row_key(&columns, row))))
            .collect())
    }
}

/// Filters all columns of a batch.
pub(super) fn filtered(batch: Batch, keep: &BooleanArray) -> Result<Batch, String> {
    let columns = batch
        .columns
        .iter()
        .map(|column| filter(column.as_ref(), keep).map_err(|error| error.to_string()));
    Ok(Batch {
        columns: columns.collect::<Result<_, _>>()?,
        rows: keep.true_count(),
    })
}

/// The identifier of a column of Parquet.
pub(super) fn id_of(field: &Field) -> Option<i32> {
    field.metadata().get(PARQUET_FIELD_ID_META_KEY)?.parse().ok()
}

fn cast(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, String> {
    if array.data_type() == to {
        return Ok(array.clone());
    }
    let options = CastOptions {
        safe: true,
        ..CastOptions::default()
    };
    let before = array.null_count();
    let cast = cast_with_options(array, to, &options).map_err(|error| error.to_string())?;
    if cast.null_count() > before && array.data_type() != &DataType::Utf8 {
        return Err(format!("a value does not become {to}"));
    }
    Ok(cast)
}

/// Whether a type of a file becomes one of the table without loss, as tables widen their columns.
fn becomes(own: &DataType, of: &DataType) -> bool {
    let text = |of: &DataType| matches!(of, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let bytes = |of: &DataType| matches!(of, DataType::Binary | DataType::LargeBinary | DataType::BinaryView);
    let scale = |of: &DataType| match of {
        DataType::Decimal32(digits, scale)
        | DataType::Decimal64(digits, scale)
        | DataType::Decimal128(digits, scale) => Some((*digits, *scale)),
        _ => None,
    };
    match (own, of) {
        (own, of) if own == of || (text(own) && text(of)) || (bytes(own) && bytes(of)) => true,
        (own, DataType::Int16 | DataType::Int32 | DataType::Int64) if own.is_signed_integer() => {
            own.primitive_width() <= of.primitive_width()
        }
        (DataType::Float32, DataType::Float64) => true,
        (own, DataType::Float64) => matches!(own, DataType::Int8 | DataType::Int16 | DataType::Int32),
        (DataType::Timestamp(_, own), DataType::Timestamp(_, of)) => own.is_some() == of.is_some(),
        (DataType::Time32(_) | DataType::Time64(_), DataType::Time32(_) | DataType::Time64(_)) => true,
        (DataType::Date32, DataType::Timestamp(_, None)) => true,
        _ => matches!((scale(own), scale(of)), (Some((digits, own)), Some((more, of))) if own <= of && digits <= more),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_widen_and_never_narrow() {
        let table = [
            (DataType::Int32, DataType::Int64, true),
            (DataType::Int64, DataType::Int32, false),
            (DataType::Float32, DataType::Float64, true),
            (DataType::Float64, DataType::Float32, false),
            (DataType::Int64, DataType::Float64, false),
            (DataType::Utf8View, DataType::Utf8, true),
            (DataType::Utf8View, DataType::Int64, false),
            (DataType::Decimal128(9, 2), DataType::Decimal128(18, 2), true),
            (DataType::Decimal128(18, 2), DataType::Decimal128(9, 2), false),
        ];
        for (own, of, expected) in table {
            assert_eq!(becomes(&own, &of), expected, "{own} {of}");
        }
    }

    #[test]
    fn a_file_without_identifiers_is_refused() {
        let slots = [Slot {
            name: "a".into(),
            of: Some(DataType::Int64),
            source: Source::Id(1),
            absent: None,
        }];
        let file = Schema::new(vec![Field::new("a", DataType::Int64, true)]);
        assert!(Mapping::new(&slots, &file).unwrap_err().contains("identifiers"));
    }
}
