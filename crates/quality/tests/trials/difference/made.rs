//! Rows made by a seed, and the many ways in which the same rows are written.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{Int64Builder, ListBuilder, MapBuilder, MapFieldNames, StringBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float32Array, Float64Array,
    Int32Array, Int64Array, RecordBatch, StringArray, StructArray, TimestampMicrosecondArray,
    TimestampMillisecondArray,
};
use arrow_schema::{DataType, Field};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterVersion};

/// Numbers by a seed.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// SplitMix64 (Steele and others, 2014).
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    /// From 0 to 1.
    pub fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }

    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub id: i64,
    pub name: Option<String>,
    pub cents: Option<i128>,
    pub price: Option<f64>,
    /// Microseconds since 1970, whole milliseconds.
    pub at: Option<i64>,
    pub day: i32,
    pub flag: Option<bool>,
    pub tags: Option<Vec<Option<String>>>,
    pub x: Option<i32>,
    pub y: f64,
    pub bytes: Vec<u8>,
    pub counts: Option<Vec<(String, i64)>>,
    pub small: i32,
}

/// Different rows, by a seed.
pub fn rows(random: &mut Random, number: usize) -> Vec<Row> {
    let mut id = 0;
    (0..number)
        .map(|_| {
            id += 1 + random.below(5) as i64;
            row(random, id)
        })
        .collect()
}

fn row(random: &mut Random, id: i64) -> Row {
    let float = |random: &mut Random| match random.below(12) {
        0 => f64::NAN,
        1 => 0.0,
        2 => f64::INFINITY,
        3 => 1e-310,
        _ => (random.share() - 0.5) * 10_f64.powi(random.below(12) as i32 - 3),
    };
    let word = |random: &mut Random| {
        let words = [
            "",
            " ",
            "Zürich",
            "a",
            "A",
            "null",
            "NULL",
            "0",
            "東京",
            "a\"b,c\n",
            "long enough not to fit into a view",
        ];
        match random.below(3) {
            0 => random.pick(&words).to_owned(),
            _ => format!("w{}", random.below(1000)),
        }
    };
    Row {
        id,
        name: (!random.one_in(8)).then(|| word(random)),
        cents: (!random.one_in(9)).then(|| random.below(2_000_000) as i128 - 1_000_000),
        price: (!random.one_in(9)).then(|| float(random)),
        at: (!random.one_in(9)).then(|| (random.below(4_000_000_000) as i64 - 1_000_000_000) * 1_000_000 + 123_000),
        day: 20_000 + random.below(4) as i32,
        flag: (!random.one_in(5)).then(|| random.one_in(2)),
        tags: (!random.one_in(6)).then(|| {
            let number = random.below(4);
            (0..number).map(|_| (!random.one_in(6)).then(|| word(random))).collect()
        }),
        x: (!random.one_in(6)).then(|| random.below(100) as i32),
        y: float(random),
        bytes: (0..random.below(6)).map(|_| random.next() as u8).collect(),
        counts: (!random.one_in(6)).then(|| {
            let number = random.below(4);
            (0..number)
                .map(|key| (format!("k{key}"), random.below(100) as i64))
                .collect()
        }),
        small: random.below(3) as i32,
    }
}

/// How rows are written.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    pub files: usize,
    pub group: usize,
    pub compression: usize,
    pub dictionary: bool,
    pub second_pages: bool,
    /// Whether days are in the paths.
    pub partitioned: bool,
    /// Whether names are kept as numbers into a list of them.
    pub words: bool,
    pub milliseconds: bool,
    pub reverse_columns: bool,
    pub zone: usize,
    pub item: usize,
    /// Differences of types: columns as a mutation leaves them.
    pub types: Types,
}

/// What a mutation does to types.
#[derive(Clone, Debug, Default)]
pub struct Types {
    pub narrow_id: bool,
    pub scale: Option<i8>,
    pub single_price: bool,
    pub without_zone: bool,
    pub text_small: bool,
    pub dropped: Option<&'static str>,
    pub renamed: Option<(&'static str, &'static str)>,
}

impl Layout {
    pub fn any(random: &mut Random, rows: usize) -> Self {
        Self {
            files: 1 + random.below(6),
            group: 1 + random.below(rows.max(1)),
            compression: random.below(5),
            dictionary: random.one_in(2),
            second_pages: random.one_in(2),
            partitioned: random.one_in(4),
            words: random.one_in(2),
            milliseconds: random.one_in(2),
            reverse_columns: random.one_in(2),
            zone: random.below(3),
            item: random.below(2),
            types: Types::default(),
        }
    }

    /// Writes rows below a directory; files in the order of their names have them in this order.
    pub fn write(&self, rows: &[Row], directory: &Path) {
        let mut parts: BTreeMap<Option<i32>, Vec<Row>> = BTreeMap::new();
        if !self.partitioned {
            parts.insert(None, Vec::new());
        }
        for row in rows {
            parts
                .entry(self.partitioned.then_some(row.day))
                .or_default()
                .push(row.clone());
        }
        for (day, rows) in parts {
            let below = match day {
                Some(day) => {
                    let date = jiff::civil::date(1970, 1, 1) + jiff::Span::new().days(day);
                    directory.join(format!("day={date}"))
                }
                None => directory.to_owned(),
            };
            std::fs::create_dir_all(&below).unwrap();
            let size = rows.len().div_ceil(self.files.max(1)).max(1);
            let empty: [&[Row]; 1] = [&[]];
            let chunks: Vec<&[Row]> = if rows.is_empty() {
                empty.to_vec()
            } else {
                rows.chunks(size).collect()
            };
            for (number, chunk) in chunks.into_iter().enumerate() {
                self.write_file(chunk, &below.join(format!("part-{number:05}.parquet")));
            }
        }
        std::fs::write(directory.join("_SUCCESS"), "").unwrap();
    }

    fn write_file(&self, rows: &[Row], path: &Path) {
        let mut columns = self.columns(rows);
        if self.reverse_columns {
            columns.reverse();
        }
        let named = columns.into_iter().filter_map(|(name, array)| {
            if self.types.dropped == Some(name) {
                return None;
            }
            let name = self
                .types
                .renamed
                .filter(|(from, _)| *from == name)
                .map_or(name, |(_, to)| to);
            Some((name, array, true))
        });
        let batch = RecordBatch::try_from_iter_with_nullable(named).unwrap();
        let compression = [
            Compression::UNCOMPRESSED,
            Compression::SNAPPY,
            Compression::ZSTD(ZstdLevel::try_new(3).unwrap()),
            Compression::LZ4_RAW,
            Compression::GZIP(Default::default()),
        ];
        let properties = WriterProperties::builder()
            .set_max_row_group_row_count(Some(self.group.max(1)))
            .set_compression(compression[self.compression])
            .set_dictionary_enabled(self.dictionary)
            .set_writer_version(if self.second_pages {
                WriterVersion::PARQUET_2_0
            } else {
                WriterVersion::PARQUET_1_0
            })
            .build();
        let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }

    fn columns(&self, rows: &[Row]) -> Vec<(&'static str, ArrayRef)> {
        fn of<T>(rows: &[Row], get: impl Fn(&Row) -> T) -> Vec<T> {
            rows.iter().map(get).collect()
        }
        let names = || rows.iter().map(|row| row.name.as_deref());
        let name: ArrayRef = match self.words {
            true => Arc::new(names().collect::<DictionaryArray<Int32Type>>()),
            false => Arc::new(names().collect::<StringArray>()),
        };
        let scale = self.types.scale.unwrap_or(2);
        let factor = 10_i128.pow(u32::from(scale.unsigned_abs()) - 2);
        let cents = Decimal128Array::from(of(rows, |row| row.cents.map(|cents| cents * factor)));
        let zone = ["UTC", "+00:00", "Europe/Berlin"][self.zone];
        let at: ArrayRef = match (self.milliseconds, self.types.without_zone) {
            (true, false) => {
                let millis = of(rows, |row| row.at.map(|at| at.div_euclid(1000)));
                Arc::new(TimestampMillisecondArray::from(millis).with_timezone(zone))
            }
            (_, false) => Arc::new(TimestampMicrosecondArray::from(of(rows, |row| row.at)).with_timezone(zone)),
            (_, true) => Arc::new(TimestampMicrosecondArray::from(of(rows, |row| row.at))),
        };
        let mut tags = ListBuilder::new(StringBuilder::new()).with_field(Field::new(
            ["item", "element"][self.item],
            DataType::Utf8,
            true,
        ));
        let names = MapFieldNames {
            entry: "key_value".into(),
            key: "key".into(),
            value: "value".into(),
        };
        let mut counts = MapBuilder::new(Some(names), StringBuilder::new(), Int64Builder::new());
        for row in rows {
            tags.append_option(row.tags.as_ref().map(|tags| tags.iter().map(Option::as_deref)));
            let mut pairs = row.counts.clone().unwrap_or_default();
            if self.item == 1 {
                pairs.reverse();
            }
            for (key, value) in pairs {
                counts.keys().append_value(key);
                counts.values().append_value(value);
            }
            counts.append(row.counts.is_some()).unwrap();
        }
        let x: ArrayRef = Arc::new(Int32Array::from(of(rows, |row| row.x)));
        let y: ArrayRef = Arc::new(Float64Array::from(of(rows, |row| row.y)));
        let mut fields = vec![
            (Arc::new(Field::new("x", DataType::Int32, true)), x),
            (Arc::new(Field::new("y", DataType::Float64, true)), y),
        ];
        if self.reverse_columns {
            fields.reverse();
        }
        let price: ArrayRef = match self.types.single_price {
            true => Arc::new(Float32Array::from(of(rows, |row| row.price.map(|price| price as f32)))),
            false => Arc::new(Float64Array::from(of(rows, |row| row.price))),
        };
        let id: ArrayRef = match self.types.narrow_id {
            true => Arc::new(Int32Array::from(of(rows, |row| row.id as i32))),
            false => Arc::new(Int64Array::from(of(rows, |row| row.id))),
        };
        let small: ArrayRef = match self.types.text_small {
            true => Arc::new(StringArray::from(of(rows, |row| row.small.to_string()))),
            false => Arc::new(Int32Array::from(of(rows, |row| row.small))),
        };
        let mut columns: Vec<(&str, ArrayRef)> = vec![
            ("id", id),
            ("name", name),
            (
                "cents",
                Arc::new(
                    cents
                        .with_precision_and_scale(if scale > 2 { 20 } else { 14 }, scale)
                        .unwrap(),
                ),
            ),
            ("price", price),
            ("at", at),
            ("flag", Arc::new(BooleanArray::from(of(rows, |row| row.flag)))),
            ("tags", Arc::new(tags.finish())),
            ("both", Arc::new(StructArray::from(fields))),
            (
                "bytes",
                Arc::new(BinaryArray::from_iter_values(rows.iter().map(|row| &row.bytes))),
            ),
            ("counts", Arc::new(counts.finish())),
            ("small", small),
        ];
        if !self.partitioned {
            columns.push(("day", Arc::new(Date32Array::from(of(rows, |row| row.day)))));
        }
        columns
    }
}

/// Parquet files below a directory.
pub fn files(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(files(&path)),
            path if path.extension().is_some_and(|ending| ending == "parquet") => found.push(path),
            _ => {}
        }
    }
    found.sort();
    found
}
