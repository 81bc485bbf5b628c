//! Iceberg tables: which files are current, and which of their rows, by the metadata below `metadata/`.
//!
//! Source: the Iceberg table specification, versions 1 to 3. The current metadata file is the one `version-hint.text` names, else that of the highest
//! number; its current snapshot names manifests, and these name files of data and of deletes. Positions (also as deletion vectors) and equality deletes
//! take rows out of files that are older. Columns are found by their identifier, so renamed, added, dropped and widened columns are right.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use apache_avro::types::Value as Avro;
use arrow_array::ArrayRef;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_schema::{DataType, TimeUnit};
use roaring::RoaringTreemap;
use serde_json::Value;

use super::iceberg_files::{HINT, current_metadata};
use super::mapped::{Deletes, EqualRows, Slot, Source};
use super::{Content, DataFile, Dataset, Entry, ParquetFile, Storage, vector};
use crate::column::Column;
use crate::engine::keys::row_key;
use crate::error::QualityError;

/// A table's metadata and the place they are at.
struct Table<'a> {
    storage: &'a Storage,
    entries: &'a [Entry],
    /// What paths of the table begin with.
    location: String,
}

/// A file that a manifest names.
#[derive(Clone, Debug)]
struct Named {
    /// 0 for data, 1 for deleted positions, 2 for deleted values.
    content: i64,
    path: String,
    format: String,
    size: u64,
    sequence: i64,
    /// Its partition: the number of the spec and the values.
    partition: (i64, String),
    /// Values of the partition, by the name of their field.
    values: BTreeMap<String, Option<String>>,
    equality_ids: Vec<i32>,
    /// The file that a deletion vector is for, and where it is.
    vector: Option<(String, u64, u64)>,
}

/// Opens a snapshot of a table, the current one when none is given.
pub(super) fn open(
    storage: &Storage,
    entries: &[Entry],
    wanted: Option<&str>,
    metadata: Option<&str>,
) -> Result<Dataset, QualityError> {
    let refused = |cause: String| QualityError::Table {
        place: storage.place(),
        cause,
        fix: "check the metadata, or give a copy of the table that its own engine wrote without this feature".into(),
    };
    let entry = match metadata {
        Some(path) => entries
            .iter()
            .find(|entry| entry.path == path)
            .ok_or_else(|| refused(format!("{path} is not there")))?,
        None => current(storage, entries).map_err(refused)?,
    };
    let metadata = json(storage, entry).map_err(|cause| refused(format!("{}: {cause}", entry.path)))?;
    let location = metadata.get("location").and_then(Value::as_str).unwrap_or_default();
    let table = Table {
        storage,
        entries,
        location: location.trim_end_matches('/').to_owned(),
    };
    let version = metadata.get("format-version").and_then(Value::as_i64).unwrap_or(1);
    if !(1..=3).contains(&version) {
        return Err(refused(format!(
            "the table is of format version {version}; 1 to 3 are read"
        )));
    }
    let snapshot = match wanted {
        Some(name) => Some(snapshot_of(&metadata, name).map_err(refused)?),
        None => metadata
            .get("current-snapshot-id")
            .and_then(Value::as_i64)
            .filter(|id| *id >= 0),
    };
    // An earlier snapshot has the columns of its day; branches have those of now, as Spark reads them.
    let by_number = wanted.is_some_and(|name| name.parse::<i64>().is_ok());
    let schema = snapshot.filter(|_| by_number).and_then(|id| schema_of(&metadata, id));
    let slots = slots(&metadata, schema).map_err(refused)?;
    let named = match snapshot {
        None => Vec::new(),
        Some(id) => table.files(&metadata, id).map_err(refused)?,
    };
    let deletes: Vec<&Named> = named.iter().filter(|named| named.content != 0).collect();
    let mut read = Read::default();
    let mut files: Vec<DataFile> = named
        .iter()
        .filter(|named| named.content == 0)
        .map(|named| {
            let own = own_slots(&slots, &metadata, named);
            let content = table.content(named, &own, &deletes, &mut read);
            let path = table.relative(&named.path).unwrap_or_else(|| named.path.clone());
            DataFile::of(path, named.size, content.map(Content::Parquet), Vec::new())
        })
        .collect();
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(Dataset {
        place: storage.place(),
        layout: "iceberg",
        version: snapshot,
        files,
    })
}

/// The current metadata file.
fn current<'e>(storage: &Storage, entries: &'e [Entry]) -> Result<&'e Entry, String> {
    let hint = entries.iter().find(|entry| entry.path == HINT);
    let hint = match hint {
        Some(hint) => {
            let bytes = storage.open(hint).and_then(|blob| blob.all());
            let bytes = bytes.map_err(|error| format!("{}: {error}", hint.path))?;
            Some(String::from_utf8_lossy(&bytes).trim().to_owned())
        }
        None => None,
    };
    let paths: Vec<&str> = entries.iter().map(|entry| entry.path.as_str()).collect();
    let path = current_metadata(&paths, hint.as_deref())?;
    let found = entries.iter().find(|entry| entry.path == path);
    found.ok_or_else(|| format!("{path} is not there"))
}

fn json(storage: &Storage, entry: &Entry) -> Result<Value, String> {
    let blob = storage.open(entry).map_err(|error| error.to_string())?;
    let bytes = blob.all().map_err(|error| error.to_string())?;
    let parsed = if bytes.starts_with(&[0x1F, 0x8B]) {
        serde_json::from_reader(flate2::read::GzDecoder::new(bytes.as_ref()))
    } else {
        serde_json::from_slice(&bytes)
    };
    parsed.map_err(|error| error.to_string())
}

/// The snapshot of a number, or that a branch or tag names.
fn snapshot_of(metadata: &Value, name: &str) -> Result<i64, String> {
    let refs = metadata.get("refs").and_then(Value::as_object);
    if let Some(id) = refs.and_then(|refs| refs.get(name)?.get("snapshot-id")?.as_i64()) {
        return Ok(id);
    }
    if let Ok(id) = name.parse() {
        return Ok(id);
    }
    let known: Vec<&str> = refs.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    Err(format!(
        "the table has neither a branch nor a tag `{name}`; it has {}",
        known.join(", ")
    ))
}

/// The schema that a snapshot was written with, where the metadata say it.
fn schema_of(metadata: &Value, snapshot: i64) -> Option<i64> {
    let mut all = metadata.get("snapshots")?.as_array()?.iter();
    let own = all.find(|of| of.get("snapshot-id").and_then(Value::as_i64) == Some(snapshot))?;
    own.get("schema-id")?.as_i64()
}

/// The columns of a schema, the current one when none is given.
fn slots(metadata: &Value, schema: Option<i64>) -> Result<Vec<Slot>, String> {
    let id = schema.or_else(|| metadata.get("current-schema-id").and_then(Value::as_i64));
    let all = metadata.get("schemas").and_then(Value::as_array);
    let listed = all.and_then(|all| {
        let own = |schema: &&Value| schema.get("schema-id").and_then(Value::as_i64) == id;
        all.iter().find(own)
    });
    let schema = listed
        .or_else(|| metadata.get("schema"))
        .ok_or("the metadata have no schema")?;
    let fields = schema.get("fields").and_then(Value::as_array);
    let fields = fields.ok_or("the schema has no fields")?.iter();
    fields
        .map(|field| {
            let name = field
                .get("name")
                .and_then(Value::as_str)
                .ok_or("a column has no name")?;
            let id = field
                .get("id")
                .and_then(Value::as_i64)
                .and_then(|id| i32::try_from(id).ok());
            let absent = field.get("initial-default").filter(|value| !value.is_null());
            Ok(Slot {
                name: name.to_owned(),
                of: field
                    .get("type")
                    .and_then(Value::as_str)
                    .map(type_of)
                    .transpose()?
                    .flatten(),
                source: Source::Id(id.ok_or("a column has no identifier")?),
                absent: absent.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
            })
        })
        .collect()
}

/// The type of a column; none for those that are taken as the file has them.
fn type_of(written: &str) -> Result<Option<DataType>, String> {
    let at = |unit, zone: bool| DataType::Timestamp(unit, zone.then(|| "UTC".into()));
    Ok(Some(match written {
        "boolean" => DataType::Boolean,
        "int" => DataType::Int32,
        "long" => DataType::Int64,
        "float" => DataType::Float32,
        "double" => DataType::Float64,
        "date" => DataType::Date32,
        "time" => DataType::Time64(TimeUnit::Microsecond),
        "timestamp" => at(TimeUnit::Microsecond, false),
        "timestamptz" => at(TimeUnit::Microsecond, true),
        "timestamp_ns" => at(TimeUnit::Nanosecond, false),
        "timestamptz_ns" => at(TimeUnit::Nanosecond, true),
        "string" => DataType::Utf8View,
        "uuid" | "binary" => return Ok(None),
        fixed if fixed.starts_with("fixed") => return Ok(None),
        decimal => {
            let inner = decimal.strip_prefix("decimal(").and_then(|rest| rest.strip_suffix(')'));
            let parts = inner.and_then(|inner| inner.split_once(','));
            let parsed =
                parts.and_then(|(digits, scale)| Some((digits.trim().parse().ok()?, scale.trim().parse().ok()?)));
            let (digits, scale) = parsed.ok_or_else(|| format!("the type `{written}` is not known"))?;
            DataType::Decimal128(digits, scale)
        }
    }))
}

/// The columns for one file: those that a migrated file lacks since they are in its partition have their value there.
fn own_slots(slots: &[Slot], metadata: &Value, named: &Named) -> Vec<Slot> {
    let specs = metadata
        .get("partition-specs")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let spec = specs
        .filter(|spec| spec.get("spec-id").and_then(Value::as_i64) == Some(named.partition.0))
        .find_map(|spec| spec.get("fields")?.as_array());
    let mut own = slots.to_vec();
    for field in spec.into_iter().flatten() {
        let identity = field.get("transform").and_then(Value::as_str) == Some("identity");
        let source = field.get("source-id").and_then(Value::as_i64);
        let (Some(source), Some(name)) = (source, field.get("name").and_then(Value::as_str)) else {
            continue;
        };
        for slot in own.iter_mut().filter(|_| identity) {
            if matches!(slot.source, Source::Id(id) if i64::from(id) == source) {
                slot.absent = named.values.get(name).cloned().flatten();
            }
        }
    }
    own
}

/// Takes some rows of some columns.
type TakesRows<'a> = dyn FnMut(&[ArrayRef], usize) -> Result<(), String> + 'a;

/// Files of deletes that were read already.
#[derive(Default)]
struct Read {
    positions: HashMap<String, Arc<HashMap<String, RoaringTreemap>>>,
    values: HashMap<String, Arc<HashSet<u128>>>,
}

impl Table<'_> {
    /// The path below the table's place.
    fn relative(&self, path: &str) -> Option<String> {
        let plain = |text: &str| {
            let text = text.strip_prefix("file:").unwrap_or(text);
            match text.strip_prefix("//") {
                Some(rest) => rest.trim_start_matches('/').to_owned(),
                None => text.trim_start_matches('/').to_owned(),
            }
        };
        let below = plain(path)
            .strip_prefix(&plain(&self.location))?
            .strip_prefix('/')?
            .to_owned();
        Some(below)
    }

    fn entry(&self, path: &str) -> Result<&Entry, String> {
        let below = self
            .relative(path)
            .ok_or_else(|| format!("{path} lies outside of the table"))?;
        let found = self.entries.iter().find(|entry| entry.path == below);
        found.ok_or_else(|| format!("{below} is not there"))
    }

    /// Records of a file in Avro.
    fn avro(&self, path: &str) -> Result<Vec<Avro>, String> {
        let entry = self.entry(path)?;
        let bytes = self.storage.open(entry).and_then(|blob| blob.all());
        let bytes = bytes.map_err(|error| format!("{}: {error}", entry.path))?;
        let told = |error: apache_avro::Error| format!("{}: {error}", entry.path);
        apache_avro::Reader::new(bytes.as_ref())
            .map_err(told)?
            .collect::<Result<_, _>>()
            .map_err(told)
    }

    /// All files of a snapshot.
    fn files(&self, metadata: &Value, snapshot: i64) -> Result<Vec<Named>, String> {
        let all = metadata
            .get("snapshots")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let own = |snapshot: i64| move |of: &&Value| of.get("snapshot-id").and_then(Value::as_i64) == Some(snapshot);
        let of = all.clone().find(own(snapshot));
        let of = of.ok_or_else(|| format!("the snapshot {snapshot} is not in the metadata"))?;
        let mut manifests: Vec<(String, i64, i64)> = Vec::new();
        if let Some(list) = of.get("manifest-list").and_then(Value::as_str) {
            for record in self.avro(list)? {
                let path = text(&record, "manifest_path").ok_or("a manifest has no path")?;
                manifests.push((
                    path,
                    number(&record, "sequence_number").unwrap_or(0),
                    number(&record, "partition_spec_id").unwrap_or(0),
                ));
            }
        } else {
            // The first tables of version 1 listed them in place.
            let paths = of.get("manifests").and_then(Value::as_array).into_iter().flatten();
            manifests.extend(paths.filter_map(Value::as_str).map(|path| (path.to_owned(), 0, 0)));
        }
        let mut files = Vec::new();
        for (path, sequence, spec) in manifests {
            for record in self.avro(&path)? {
                // 2 stands for a file that was removed.
                if number(&record, "status") == Some(2) {
                    continue;
                }
                let of = field(&record, "data_file").ok_or("an entry of a manifest has no file")?;
                files.push(named(&record, of, sequence, spec)?);
            }
        }
        Ok(files)
    }

    fn open(&self, named: &Named) -> Result<ParquetFile, String> {
        if !named.format.eq_ignore_ascii_case("parquet") {
            return Err(format!("files in {} are not read, only in Parquet", named.format));
        }
        let entry = self.entry(&named.path)?;
        ParquetFile::open(self.storage.open(entry).map_err(|error| error.to_string())?)
    }

    /// A file of data without the rows that are deleted.
    fn content(
        &self,
        named: &Named,
        slots: &[Slot],
        deletes: &[&Named],
        read: &mut Read,
    ) -> Result<ParquetFile, String> {
        let file = self.open(named)?;
        let mut own = Deletes::default();
        for delete in deletes {
            let same_partition = delete.partition == named.partition;
            match (delete.content, &delete.vector) {
                (1, Some((of, offset, size))) if *of == named.path && delete.sequence >= named.sequence => {
                    own.positions |= self.vector(delete, *offset, *size)?;
                }
                (1, None) if same_partition && delete.sequence >= named.sequence => {
                    if let Some(positions) = self.positions(delete, read)?.get(&named.path) {
                        own.positions |= positions;
                    }
                }
                // Without a partition they are for all files.
                (2, _) if delete.sequence > named.sequence && (same_partition || delete.values.is_empty()) => {
                    own.equal.push(EqualRows {
                        ids: delete.equality_ids.clone(),
                        keys: self.values(delete, slots, read)?,
                    });
                }
                _ => {}
            }
        }
        file.of_table(slots, own)
    }

    fn vector(&self, delete: &Named, offset: u64, size: u64) -> Result<RoaringTreemap, String> {
        let entry = self.entry(&delete.path)?;
        let size = usize::try_from(size).map_err(|error| error.to_string())?;
        let bytes = self.storage.open(entry).and_then(|blob| blob.range(offset, size));
        let told = |cause: String| format!("{}: {cause}", entry.path);
        vector::of_stretch(&bytes.map_err(|error| told(error.to_string()))?).map_err(told)
    }

    /// Deleted positions of a file, by the file of data.
    fn positions(&self, delete: &Named, read: &mut Read) -> Result<Arc<HashMap<String, RoaringTreemap>>, String> {
        if let Some(found) = read.positions.get(&delete.path) {
            return Ok(found.clone());
        }
        let mut positions: HashMap<String, RoaringTreemap> = HashMap::new();
        self.each(delete, &[PATH, POSITION], &mut |columns, rows| {
            let paths = arrow_cast::cast(&columns[0], &DataType::Utf8).map_err(|error| error.to_string())?;
            let (paths, at) = (paths.as_string::<i32>(), columns[1].as_primitive::<Int64Type>());
            for row in 0..rows {
                let at = u64::try_from(at.value(row)).map_err(|error| error.to_string())?;
                match positions.get_mut(paths.value(row)) {
                    Some(of) => of.insert(at),
                    None => positions.entry(paths.value(row).to_owned()).or_default().insert(at),
                };
            }
            Ok(())
        })?;
        let positions = Arc::new(positions);
        read.positions.insert(delete.path.clone(), positions.clone());
        Ok(positions)
    }

    /// Keys of deleted values.
    fn values(&self, delete: &Named, slots: &[Slot], read: &mut Read) -> Result<Arc<HashSet<u128>>, String> {
        if let Some(found) = read.values.get(&delete.path) {
            return Ok(found.clone());
        }
        let known = |id: &i32| slots.iter().any(|slot| slot.source == Source::Id(*id));
        if delete.equality_ids.is_empty() || !delete.equality_ids.iter().all(known) {
            return Err("rows are deleted by the values of a column that the table has no more".into());
        }
        let mut keys: HashSet<u128> = HashSet::new();
        self.each(delete, &delete.equality_ids, &mut |columns, rows| {
            let columns = columns.iter().map(|array| Column::of(array, array.data_type(), false));
            let columns: Vec<Column> = columns.collect::<Result<_, _>>()?;
            let columns: Vec<&Column> = columns.iter().collect();
            keys.extend((0..rows).map(|row| row_key(&columns, row)));
            Ok(())
        })?;
        let keys = Arc::new(keys);
        read.values.insert(delete.path.clone(), keys.clone());
        Ok(keys)
    }

    /// Reads columns of a file of deletes, in the order of their identifiers.
    fn each(&self, delete: &Named, ids: &[i32], take: &mut TakesRows<'_>) -> Result<(), String> {
        let file = self.open(delete)?;
        let schema = file.schema();
        let position = |id: &i32| {
            let found = schema
                .fields()
                .iter()
                .position(|field| super::mapped::id_of(field) == Some(*id));
            found.ok_or_else(|| format!("{} has no column {id}", delete.path))
        };
        let positions: Vec<usize> = ids.iter().map(position).collect::<Result<_, _>>()?;
        let mut sorted = positions.clone();
        sorted.sort_unstable();
        sorted.dedup();
        for unit in file.units(0) {
            for batch in file.read(unit.group, &sorted)? {
                let batch = batch?;
                let at = |position: &usize| sorted.binary_search(position).unwrap_or_default();
                let columns: Vec<_> = positions
                    .iter()
                    .map(|position| batch.columns[at(position)].clone())
                    .collect();
                take(&columns, batch.rows)?;
            }
        }
        Ok(())
    }
}

/// Identifiers of the columns of files of deleted positions, which the specification reserves.
const PATH: i32 = 2_147_483_546;
const POSITION: i32 = 2_147_483_545;

fn named(record: &Avro, of: &Avro, sequence: i64, spec: i64) -> Result<Named, String> {
    let path = text(of, "file_path").ok_or("a file of a manifest has no path")?;
    let mut values = BTreeMap::new();
    let mut shown = String::new();
    if let Some(Avro::Record(partition)) = field(of, "partition") {
        for (name, value) in partition {
            shown.push_str(&format!("{name}={:?};", plain(value)));
            values.insert(name.clone(), shown_value(plain(value)));
        }
    }
    let ids = match field(of, "equality_ids").map(plain) {
        Some(Avro::Array(ids)) => ids.iter().filter_map(|id| i32::try_from(whole(id)?).ok()).collect(),
        _ => Vec::new(),
    };
    let at = number(of, "content_offset").and_then(|at| u64::try_from(at).ok());
    let size = number(of, "content_size_in_bytes").and_then(|size| u64::try_from(size).ok());
    let vector = text(of, "referenced_data_file").zip(at).zip(size);
    Ok(Named {
        content: number(of, "content").unwrap_or(0),
        path,
        format: text(of, "file_format").unwrap_or_default(),
        size: number(of, "file_size_in_bytes")
            .and_then(|size| u64::try_from(size).ok())
            .unwrap_or(0),
        // A file that the manifest's own snapshot added has the number of the manifest.
        sequence: number(record, "sequence_number").unwrap_or(sequence),
        partition: (spec, shown),
        values,
        equality_ids: ids,
        vector: vector.map(|((of, at), size)| (of, at, size)),
    })
}

fn plain(value: &Avro) -> &Avro {
    match value {
        Avro::Union(_, inner) => plain(inner),
        other => other,
    }
}

fn field<'a>(record: &'a Avro, name: &str) -> Option<&'a Avro> {
    match plain(record) {
        Avro::Record(fields) => fields
            .iter()
            .find(|(own, _)| own == name)
            .map(|(_, value)| plain(value)),
        _ => None,
    }
}

fn text(record: &Avro, name: &str) -> Option<String> {
    match field(record, name)? {
        Avro::String(text) => Some(text.clone()),
        _ => None,
    }
}

fn number(record: &Avro, name: &str) -> Option<i64> {
    whole(field(record, name)?)
}

fn whole(value: &Avro) -> Option<i64> {
    match plain(value) {
        Avro::Int(value) => Some(i64::from(*value)),
        Avro::Long(value) => Some(*value),
        _ => None,
    }
}

/// The value of a partition as text; none for null and for what texts do not tell.
fn shown_value(value: &Avro) -> Option<String> {
    match value {
        Avro::Int(value) => Some(value.to_string()),
        Avro::Long(value) => Some(value.to_string()),
        Avro::String(text) => Some(text.clone()),
        Avro::Boolean(value) => Some(value.to_string()),
        Avro::Date(days) => {
            let day = jiff::Span::new().try_days(*days).ok()?;
            Some(jiff::civil::date(1970, 1, 1).checked_add(day).ok()?.to_string())
        }
        _ => None,
    }
}
