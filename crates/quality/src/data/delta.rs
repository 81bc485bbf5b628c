//! Delta tables: which files are current, by the log below `_delta_log`.
//!
//! Source: the Delta transaction log protocol. Of the log the last checkpoint (one file or several parts, or one of version 2 with its sidecars) and the
//! commits after it are replayed. Deletion vectors take rows out of files; where columns are mapped they are found by identifier or physical name.
//! Other features that a reader must know are refused, since reading without them would tell lies.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};

use arrow_array::cast::AsArray;
use arrow_array::{Array, StructArray};
use arrow_schema::DataType;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use roaring::RoaringTreemap;
use serde_json::Value;
use stoke_model::units::people::counted;

use super::mapped::{Deletes, Slot, Source};
use super::{Blob, Content, DataFile, Dataset, Entry, ParquetFile, Storage, partition, vector};
use crate::error::QualityError;

/// What the log says.
#[derive(Debug, Default)]
struct State {
    /// By path and deletion vector: a commit that deletes rows of a file removes it and adds it again with another vector.
    files: BTreeMap<(String, Option<String>), Added>,
    partition_columns: Vec<String>,
    columns: Vec<TableColumn>,
    /// `name` or `id`, when columns are mapped.
    mapping: Option<String>,
    /// Files that a checkpoint of version 2 names.
    sidecars: Vec<String>,
}

#[derive(Debug)]
struct TableColumn {
    name: String,
    /// None for nested columns.
    of: Option<DataType>,
    id: Option<i32>,
    physical: Option<String>,
}

#[derive(Debug, Clone)]
struct Added {
    size: u64,
    partitions: BTreeMap<String, Option<String>>,
    vector: Option<Value>,
}

/// Opens a version of a table, the current one when none is given.
pub(super) fn open(storage: &Storage, entries: &[Entry], wanted: Option<&str>) -> Result<Dataset, QualityError> {
    let place = storage.place();
    let refused = |cause: String| QualityError::Table {
        place: place.clone(),
        cause,
        fix: "check the log, or give a copy of the table that its own engine wrote without this feature".into(),
    };
    let wanted = match wanted.map(|text| text.parse::<i64>().ok().filter(|number| *number >= 0).ok_or(text)) {
        Some(Err(text)) => {
            return Err(refused(format!(
                "`{text}` is not a version of a Delta table; versions are numbers from 0"
            )));
        }
        Some(Ok(number)) => number,
        None => i64::MAX,
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
        if version > wanted {
            continue;
        }
        match rest.as_slice() {
            ["json"] => {
                commits.insert(version, entry);
            }
            ["checkpoint", "parquet"] | ["checkpoint", _, _, "parquet"] => {
                checkpoints.entry(version).or_default().push(entry)
            }
            // A checkpoint of version 2 has an identifier in its name; each is complete.
            ["checkpoint", _, "parquet" | "json"] => {
                checkpoints.insert(version, vec![entry]);
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
            let replayed = if part.path.ends_with(".json") {
                commit(&mut state, blob)
            } else {
                checkpoint(&mut state, blob)
            };
            replayed.map_err(|cause| refused(format!("{}: {cause}", part.path)))?;
        }
        for name in std::mem::take(&mut state.sidecars) {
            let path = format!("_delta_log/_sidecars/{}", name.rsplit('/').next().unwrap_or(&name));
            let entry = entries.iter().find(|entry| entry.path == path);
            let entry = entry.ok_or_else(|| refused(format!("the checkpoint names {path}, and it is not there")))?;
            let blob = storage
                .open(entry)
                .map_err(|error| refused(format!("{path}: {error}")))?;
            checkpoint(&mut state, blob).map_err(|cause| refused(format!("{path}: {cause}")))?;
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
    if wanted != i64::MAX && version != wanted {
        return Err(refused(format!(
            "version {wanted} is not in the log, which has {version} before it"
        )));
    }
    if version < 0 {
        return Err(refused("the log has neither a commit nor a checkpoint".into()));
    }
    let files = state
        .files
        .iter()
        .map(|((path, _), added)| data_file(storage, entries, &state, path, added))
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
        let partitions = add
            .get("partitionValues")
            .and_then(Value::as_object)
            .into_iter()
            .flatten();
        let partitions = partitions.map(|(name, value)| (name.clone(), value.as_str().map(str::to_owned)));
        let added = Added {
            size: add.get("size").and_then(Value::as_u64).unwrap_or(0),
            partitions: partitions.collect(),
            vector: add.get("deletionVector").filter(|vector| !vector.is_null()).cloned(),
        };
        state.files.insert((path.to_owned(), vector_id(add)), added);
    }
    if let Some(remove) = action.get("remove")
        && let Some(path) = remove.get("path").and_then(Value::as_str)
    {
        state.files.remove(&(path.to_owned(), vector_id(remove)));
    }
    if let Some(path) = action.get("sidecar").and_then(|sidecar| sidecar.get("path")?.as_str()) {
        state.sidecars.push(path.to_owned());
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
        let mapping = mapping.and_then(Value::as_str).filter(|mode| *mode != "none");
        if let Some(mode) = mapping.filter(|mode| !["name", "id"].contains(mode)) {
            return Err(format!("the table maps its columns by `{mode}`, which is not known"));
        }
        state.mapping = mapping.map(str::to_owned);
        let schema = metadata
            .get("schemaString")
            .and_then(Value::as_str)
            .ok_or("the metadata have no schema")?;
        state.columns = table_columns(schema)?;
    }
    if let Some(protocol) = action.get("protocol") {
        let known = [
            "timestampNtz",
            "appendOnly",
            "vacuumProtocolCheck",
            "typeWidening",
            "typeWidening-preview",
            "deletionVectors",
            "columnMapping",
            "v2Checkpoint",
        ];
        let features = protocol
            .get("readerFeatures")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let strange = features
            .filter_map(Value::as_str)
            .find(|feature| !known.contains(feature));
        if let Some(strange) = strange {
            return Err(format!("the table needs a reader that knows `{strange}`"));
        }
    }
    Ok(())
}

/// What tells a deletion vector from others of the same file.
fn vector_id(action: &Value) -> Option<String> {
    let vector = action.get("deletionVector").filter(|vector| !vector.is_null())?;
    let text = |key: &str| vector.get(key).map(ToString::to_string).unwrap_or_default();
    Some(format!(
        "{}{}@{}",
        text("storageType"),
        text("pathOrInlineDv"),
        text("offset")
    ))
}

/// Columns of the table, from the schema in JSON.
fn table_columns(schema: &str) -> Result<Vec<TableColumn>, String> {
    let schema: Value = serde_json::from_str(schema).map_err(|error| format!("the schema: {error}"))?;
    let fields = schema.get("fields").and_then(Value::as_array).into_iter().flatten();
    let column = |field: &Value| {
        let metadata = field.get("metadata");
        let of = field.get("type").and_then(Value::as_str);
        Some(TableColumn {
            name: field.get("name")?.as_str()?.to_owned(),
            of: of.and_then(|of| crate::contract::TypeName::parse(of).ok()?.read_as()),
            id: metadata
                .and_then(|metadata| metadata.get("delta.columnMapping.id")?.as_i64())
                .and_then(|id| i32::try_from(id).ok()),
            physical: metadata
                .and_then(|metadata| metadata.get("delta.columnMapping.physicalName")?.as_str())
                .map(str::to_owned),
        })
    };
    Ok(fields.filter_map(column).collect())
}

/// Replays a checkpoint: the same actions as columns of structures.
fn checkpoint(state: &mut State, blob: Blob) -> Result<(), String> {
    let reader =
        ParquetRecordBatchReaderBuilder::try_new(blob).and_then(|builder| builder.with_batch_size(1024).build());
    for batch in reader.map_err(|error| error.to_string())? {
        let batch = batch.map_err(|error| error.to_string())?;
        for name in ["add", "metaData", "protocol", "sidecar"] {
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
    }
    Ok(())
}

/// One action of a checkpoint with what [`apply`] looks at.
fn action(name: &str, of: &StructArray, row: usize) -> Value {
    let mut fields = serde_json::Map::new();
    let wanted: &[&str] = match name {
        "add" => &["path", "size", "partitionValues", "deletionVector"],
        "metaData" => &["schemaString", "partitionColumns", "configuration"],
        "sidecar" => &["path"],
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
        DataType::Struct(fields) => {
            let of = array.as_struct();
            let columns = fields.iter().zip(of.columns());
            let valid = columns.filter(|(_, column)| column.is_valid(row));
            Value::Object(
                valid
                    .map(|(field, column)| (field.name().clone(), cell(column.as_ref(), row)))
                    .collect(),
            )
        }
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
    let content = opened.and_then(|blob| {
        let file = ParquetFile::open(blob)?;
        let deletes = Deletes {
            positions: match &added.vector {
                Some(vector) => deleted(storage, entries, vector)?,
                None => RoaringTreemap::new(),
            },
            equal: Vec::new(),
        };
        file.of_table(&slots(state, added), deletes)
    });
    DataFile::of(decoded, added.size, content.map(Content::Parquet), Vec::new())
}

/// Where the table's columns are in a file.
fn slots(state: &State, added: &Added) -> Vec<Slot> {
    let slot = |column: &TableColumn| {
        let physical = column.physical.as_ref().filter(|_| state.mapping.is_some());
        let physical = physical.unwrap_or(&column.name).clone();
        let source = if state.partition_columns.contains(&column.name) {
            // The empty text stands for null.
            let value = added.partitions.get(&physical).cloned().flatten();
            Source::Constant(value.filter(|value| !value.is_empty()))
        } else {
            match column.id.filter(|_| state.mapping.as_deref() == Some("id")) {
                Some(id) => Source::Id(id),
                None => Source::Name(physical),
            }
        };
        Slot {
            name: column.name.clone(),
            of: column.of.clone(),
            source,
            absent: None,
        }
    };
    state.columns.iter().map(slot).collect()
}

/// The rows that a deletion vector takes out.
fn deleted(storage: &Storage, entries: &[Entry], vector: &Value) -> Result<RoaringTreemap, String> {
    let text = |key: &str| vector.get(key).and_then(Value::as_str).unwrap_or_default();
    let written = text("pathOrInlineDv");
    let number = |key: &str| vector.get(key).and_then(Value::as_u64);
    let size = number("sizeInBytes").ok_or("a deletion vector has no size")?;
    let size = usize::try_from(size).map_err(|error| error.to_string())?;
    let positions = match text("storageType") {
        "i" => {
            let bytes = vector::z85(written)?;
            vector::of_bitmap(bytes.get(..size).ok_or("the deletion vector ends too early")?)?
        }
        "u" => {
            let split = written.len().checked_sub(20).filter(|at| written.is_char_boundary(*at));
            let (prefix, id) = written.split_at(split.ok_or("the name of a deletion vector is too short")?);
            let hex: String = vector::z85(id)?.iter().map(|byte| format!("{byte:02x}")).collect();
            let id = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-");
            let slash = if prefix.is_empty() { "" } else { "/" };
            let path = format!("{prefix}{slash}deletion_vector_{id}.bin");
            let entry = entries.iter().find(|entry| entry.path == path);
            let entry = entry.ok_or_else(|| format!("the deletion vector {path} is not there"))?;
            let blob = storage.open(entry).map_err(|error| format!("{path}: {error}"))?;
            // A length before it, a checksum after it.
            let bytes = blob.range(number("offset").unwrap_or(1), size.saturating_add(8));
            vector::of_stretch(&bytes.map_err(|error| format!("{path}: {error}"))?)?
        }
        "p" => return Err("the deletion vector lies outside of the table; cloned tables are not read".into()),
        other => return Err(format!("deletion vectors stored as {other:?} are not known")),
    };
    match number("cardinality") {
        Some(rows) if rows != positions.len() => Err(format!(
            "the deletion vector holds {}, and the log says {rows}",
            counted(positions.len(), "row")
        )),
        _ => Ok(positions),
    }
}
