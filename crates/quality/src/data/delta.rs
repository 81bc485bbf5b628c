//! Delta tables: which files are current, by the log below `_delta_log`.
//!
//! Source: the Delta transaction log protocol. Of the log the last checkpoint (a Parquet file, or several of its parts) and the commits after it are
//! replayed. What changes which rows or columns a file holds (deletion vectors, column mapping) and checkpoints of version 2 are refused, since reading
//! without them would tell lies.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};

use arrow_array::cast::AsArray;
use arrow_array::{Array, StructArray};
use arrow_schema::DataType;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use super::{Blob, Content, DataFile, Dataset, Entry, ParquetFile, Storage, partition};
use crate::error::QualityError;

/// What the log says.
#[derive(Debug, Default)]
struct State {
    files: BTreeMap<String, Added>,
    partition_columns: Vec<String>,
    types: BTreeMap<String, DataType>,
}

#[derive(Debug, Clone)]
struct Added {
    size: u64,
    partitions: BTreeMap<String, Option<String>>,
}

/// Opens the current version of a table.
pub(super) fn open(storage: &Storage, entries: &[Entry]) -> Result<Dataset, QualityError> {
    let place = storage.place();
    let refused = |cause: String| QualityError::Table {
        place: place.clone(),
        cause,
        fix: "check the log, or give a copy of the table that its own engine wrote without this feature".into(),
    };
    let log = |entry: &&Entry| entry.path.starts_with("_delta_log/");
    let mut commits: BTreeMap<i64, &Entry> = BTreeMap::new();
    let mut checkpoints: BTreeMap<i64, Vec<&Entry>> = BTreeMap::new();
    for entry in entries.iter().filter(log) {
        let name = &entry.path["_delta_log/".len()..];
        let mut parts = name.split('.');
        let version = parts
            .next()
            .filter(|digits| digits.len() == 20)
            .and_then(|digits| digits.parse().ok());
        let (Some(version), rest) = (version, parts.collect::<Vec<_>>()) else {
            continue;
        };
        match rest.as_slice() {
            ["json"] => {
                commits.insert(version, entry);
            }
            ["checkpoint", "parquet"] | ["checkpoint", _, _, "parquet"] => {
                checkpoints.entry(version).or_default().push(entry)
            }
            // A checkpoint of version 2 has an identifier in its name; the commits before it may be gone.
            ["checkpoint", ..] => {
                return Err(refused(format!(
                    "{} is a checkpoint of version 2, which is not read",
                    entry.path
                )));
            }
            _ => {}
        }
    }
    let complete = checkpoints.iter().rev().find(|(_, parts)| {
        parts
            .iter()
            .all(|part| match part.path.split('.').collect::<Vec<_>>().as_slice() {
                [.., _, of, "parquet"] if of.len() == 10 => of.parse() == Ok(parts.len()),
                _ => true,
            })
    });
    let mut state = State::default();
    let mut version = -1;
    if let Some((at, parts)) = complete {
        version = *at;
        for part in parts {
            let blob = storage
                .open(part)
                .map_err(|error| refused(format!("{}: {error}", part.path)))?;
            checkpoint(&mut state, blob).map_err(|cause| refused(format!("{}: {cause}", part.path)))?;
        }
    }
    for (at, entry) in commits.range(version + 1..) {
        if *at != version + 1 {
            return Err(refused(format!("the commit {} is missing", version + 1)));
        }
        version = *at;
        let blob = storage
            .open(entry)
            .map_err(|error| refused(format!("{}: {error}", entry.path)))?;
        commit(&mut state, blob).map_err(|cause| refused(format!("{}: {cause}", entry.path)))?;
    }
    if version < 0 {
        return Err(refused("the log has neither a commit nor a checkpoint".into()));
    }
    let files = state
        .files
        .iter()
        .map(|(path, added)| data_file(storage, entries, &state, path, added))
        .collect();
    Ok(Dataset {
        place: storage.place(),
        layout: "delta",
        version: Some(version),
        files,
    })
}

fn commit(state: &mut State, blob: Blob) -> Result<(), String> {
    for (number, line) in BufReader::new(blob.reader(0)).lines().enumerate() {
        let line = line.map_err(|error| error.to_string())?;
        if line.trim().is_empty() {
            continue;
        }
        let action: Value = serde_json::from_str(&line).map_err(|error| format!("line {}: {error}", number + 1))?;
        apply(state, &action)?;
    }
    Ok(())
}

fn apply(state: &mut State, action: &Value) -> Result<(), String> {
    if let Some(add) = action.get("add") {
        let path = add
            .get("path")
            .and_then(Value::as_str)
            .ok_or("an action `add` has no path")?;
        if !add.get("deletionVector").is_none_or(Value::is_null) {
            return Err("a file has a deletion vector, which is not read".into());
        }
        let partitions = add
            .get("partitionValues")
            .and_then(Value::as_object)
            .into_iter()
            .flatten();
        let partitions = partitions.map(|(name, value)| (name.clone(), value.as_str().map(str::to_owned)));
        let added = Added {
            size: add.get("size").and_then(Value::as_u64).unwrap_or(0),
            partitions: partitions.collect(),
        };
        state.files.insert(path.to_owned(), added);
    }
    if let Some(path) = action
        .get("remove")
        .and_then(|remove| remove.get("path"))
        .and_then(Value::as_str)
    {
        state.files.remove(path);
    }
    if let Some(metadata) = action.get("metaData") {
        let columns = metadata
            .get("partitionColumns")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        state.partition_columns = columns.filter_map(Value::as_str).map(str::to_owned).collect();
        let mapping = metadata
            .get("configuration")
            .and_then(|all| all.get("delta.columnMapping.mode"));
        if mapping.and_then(Value::as_str).is_some_and(|mode| mode != "none") {
            return Err("the table maps its columns to other names, which is not read".into());
        }
        let schema = metadata
            .get("schemaString")
            .and_then(Value::as_str)
            .ok_or("the metadata have no schema")?;
        state.types = types(schema)?;
    }
    if let Some(protocol) = action.get("protocol") {
        let known = [
            "timestampNtz",
            "appendOnly",
            "vacuumProtocolCheck",
            "typeWidening",
            "typeWidening-preview",
        ];
        let features = protocol
            .get("readerFeatures")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        // Deletion vectors and mapped columns are refused where a file or the metadata really have them.
        let later = ["deletionVectors", "columnMapping"];
        let strange = features
            .filter_map(Value::as_str)
            .find(|feature| !known.contains(feature) && !later.contains(feature));
        if let Some(strange) = strange {
            return Err(format!("the table needs a reader that knows `{strange}`"));
        }
    }
    Ok(())
}

/// Types of columns that a partition may be by, from the schema in JSON.
fn types(schema: &str) -> Result<BTreeMap<String, DataType>, String> {
    let schema: Value = serde_json::from_str(schema).map_err(|error| format!("the schema: {error}"))?;
    let fields = schema.get("fields").and_then(Value::as_array).into_iter().flatten();
    let named = fields.filter_map(|field| {
        let name = field.get("name")?.as_str()?;
        let of = field.get("type")?.as_str()?;
        let of = crate::contract::TypeName::parse(of).ok()?.read_as()?;
        Some((name.to_owned(), of))
    });
    Ok(named.collect())
}

/// Replays a checkpoint: the same actions as columns of structures.
fn checkpoint(state: &mut State, blob: Blob) -> Result<(), String> {
    let reader =
        ParquetRecordBatchReaderBuilder::try_new(blob).and_then(|builder| builder.with_batch_size(1024).build());
    for batch in reader.map_err(|error| error.to_string())? {
        let batch = batch.map_err(|error| error.to_string())?;
        for name in ["add", "metaData", "protocol"] {
            let Some(column) = batch.column_by_name(name).and_then(|column| column.as_struct_opt()) else {
                continue;
            };
            for row in 0..column.len() {
                if column.is_valid(row) {
                    let action = serde_json::json!({ name: action(name, column, row) });
                    apply(state, &action)?;
                }
            }
        }
        if batch
            .column_by_name("sidecar")
            .is_some_and(|sidecar| sidecar.null_count() < sidecar.len())
        {
            return Err("the checkpoint is of version 2, which is not read".into());
        }
    }
    Ok(())
}

/// One action of a checkpoint with what [`apply`] looks at.
fn action(name: &str, of: &StructArray, row: usize) -> Value {
    let mut fields = serde_json::Map::new();
    let wanted: &[&str] = match name {
        "add" => &["path", "size", "partitionValues", "deletionVector"],
        "metaData" => &["schemaString", "partitionColumns", "configuration"],
        _ => &["readerFeatures"],
    };
    for field in wanted {
        if let Some(column) = of.column_by_name(field)
            && column.is_valid(row)
        {
            fields.insert((*field).to_owned(), cell(column.as_ref(), row));
        }
    }
    Value::Object(fields)
}

fn cell(array: &dyn Array, row: usize) -> Value {
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row).into(),
        DataType::Int64 => array.as_primitive::<arrow_array::types::Int64Type>().value(row).into(),
        DataType::Int32 => array.as_primitive::<arrow_array::types::Int32Type>().value(row).into(),
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            (0..items.len()).map(|item| cell(items.as_ref(), item)).collect()
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let (keys, values) = (entries.column(0), entries.column(1));
            let pairs = (0..entries.len()).filter_map(|entry| {
                let Value::String(key) = cell(keys.as_ref(), entry) else {
                    return None;
                };
                let value = if values.is_valid(entry) {
                    cell(values.as_ref(), entry)
                } else {
                    Value::Null
                };
                Some((key, value))
            });
            Value::Object(pairs.collect())
        }
        // A structure that is there, for example a deletion vector.
        _ => Value::Bool(true),
    }
}

fn data_file(storage: &Storage, entries: &[Entry], state: &State, path: &str, added: &Added) -> DataFile {
    let decoded = partition::decoded(path);
    let outside = decoded.contains("://") || decoded.starts_with('/');
    let opened = match entries.iter().find(|entry| entry.path == decoded) {
        Some(entry) => storage.open(entry).map_err(|error| error.to_string()),
        None if outside => {
            Err("the file lies outside of the table; tables cloned without their files are not read".to_owned())
        }
        None => Err("the log names the file, and it is not there".to_owned()),
    };
    let content = opened.and_then(ParquetFile::open).map(Content::Parquet);
    let partitions = state.partition_columns.iter().map(|name| {
        let of = state.types.get(name).cloned().unwrap_or(DataType::Utf8View);
        // The empty text stands for null.
        let value = added.partitions.get(name).cloned().flatten();
        (name.clone(), of, value.filter(|value| !value.is_empty()))
    });
    // A column that was added after the file was written is null in it.
    let later = state
        .types
        .iter()
        .filter(|(name, _)| content.is_ok() && !state.partition_columns.contains(name));
    let later = later.map(|(name, of)| (name.clone(), of.clone(), None));
    let constants = partitions.chain(later).collect();
    DataFile::of(decoded, added.size, content, constants)
}
