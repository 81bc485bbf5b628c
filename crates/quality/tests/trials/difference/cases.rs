//! Single cases: formats beside each other, rows that repeat, columns that differ from run to run, and what is refused.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use libtest_mimic::Failed;
use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};
use stoke_quality::difference::{Alone, Difference, Options, Step, Watch, compare};
use stoke_quality::{QualityError, Storage};

use super::made::{self, Layout, Random};

fn diff(left: &Path, right: &Path, options: &Options) -> Result<Difference, QualityError> {
    compare(&Storage::local(left), &Storage::local(right), options, &Alone)
}

fn keyed(key: &str) -> Options {
    Options {
        keys: vec![key.into()],
        ..Options::default()
    }
}

fn table(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = std::fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn expect(holds: bool, what: &str, found: &Difference) -> Result<(), Failed> {
    if holds {
        Ok(())
    } else {
        Err(format!("{what}:\n{found}").into())
    }
}

/// CSV, JSON and Parquet of the same rows; texts are of the type that the other side has.
pub fn formats() -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let at = |name: &str| directory.path().join(name);
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text);
    let words = |second: &str| -> ArrayRef { Arc::new(StringArray::from(vec![Some("x"), Some(second), None])) };
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![Some(0.5), None, Some(1e3)]));
    table(
        &at("a.parquet"),
        vec![("n", numbers.clone()), ("word", words("")), ("f", floats.clone())],
    );
    write("a.csv", "word,n,f\n,3,1000\n,2,\nx,1,0.50\n")?;
    write(
        "a.json",
        "{\"n\":3,\"f\":1000}\n{\"n\":2,\"word\":\"\",\"f\":null}\n{\"n\":1,\"word\":\"x\",\"f\":0.5}\n",
    )?;
    let free = Options::default();
    for other in ["a.csv", "a.json"] {
        let found = diff(&at("a.parquet"), &at(other), &free)?;
        expect(found.is_equal() && found.rows.equal == 3, other, &found)?;
        let found = diff(&at(other), &at("a.parquet"), &keyed("n"))?;
        expect(found.is_equal() && found.rows.equal == 3, other, &found)?;
    }
    // What CSV cannot say is noted; JSON can.
    let found = diff(&at("a.csv"), &at("a.parquet"), &free)?;
    expect(
        found.notes.iter().any(|note| note.contains("empty texts")),
        "a note",
        &found,
    )?;
    write(
        "b.json",
        "{\"n\":3,\"f\":1000}\n{\"n\":2,\"f\":null}\n{\"n\":1,\"word\":\"x\",\"f\":0.5}\n",
    )?;
    let found = diff(&at("a.json"), &at("b.json"), &keyed("n"))?;
    expect(
        found.rows.changed == 1 && found.columns[0].column == "word",
        "null and empty",
        &found,
    )?;
    // A text that is not a number is a difference, not an end.
    write("c.csv", "word,n,f\n,3,1000\n,2,\nx,1,half\n")?;
    let found = diff(&at("a.parquet"), &at("c.csv"), &keyed("n"))?;
    expect(found.rows.changed == 1, "half", &found)?;
    // CSV beside CSV compares texts, but for numbers with a tolerance.
    write("d.csv", "word,n,f\n,3,1e3\n,2,\nx,1,0.5\n")?;
    let found = diff(&at("a.csv"), &at("d.csv"), &free)?;
    expect(found.rows.lost == 2 && found.rows.added == 2, "texts", &found)?;
    let near = Options {
        tolerance: Some("absolute=0".parse()?),
        ..keyed("n")
    };
    let found = diff(&at("a.csv"), &at("d.csv"), &near)?;
    expect(found.is_equal(), "numbers", &found)?;
    // JSON distinguishes a number from a text; leading zeros are part of a text.
    write("e.json", "{\"n\":\"3\"}\n")?;
    write("f.json", "{\"n\":3}\n")?;
    let found = diff(&at("e.json"), &at("f.json"), &free)?;
    expect(found.schema.len() == 1, "text and number", &found)?;
    write("g.csv", "n\n007\n")?;
    write("h.csv", "n\n7\n")?;
    let found = diff(&at("g.csv"), &at("h.csv"), &free)?;
    expect(!found.is_equal(), "zeros", &found)?;
    // A column of which one file has no value says nothing of its type.
    std::fs::create_dir(at("i"))?;
    write("i/0.json", "{\"n\":1,\"k\":null,\"s\":{\"a\":1}}\n")?;
    write("i/1.json", "{\"n\":2,\"k\":5,\"s\":{\"a\":1,\"b\":[1.5]}}\n")?;
    write(
        "j.json",
        "{\"s\":{\"b\":[1.5],\"a\":1},\"k\":5,\"n\":2}\n{\"n\":1,\"k\":null,\"s\":{\"a\":1}}\n",
    )?;
    let found = diff(&at("i"), &at("j.json"), &free)?;
    expect(found.is_equal() && found.rows.equal == 2, "nulls in a file", &found)
}

/// Rows that are there many times, more than fit into memory one by one.
pub fn repeats() -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let at = |name: &str| directory.path().join(name);
    let same = |rows: usize| -> ArrayRef { Arc::new(StringArray::from(vec!["the same in all rows"; rows])) };
    table(&at("left.parquet"), vec![("word", same(50_000))]);
    table(&at("right.parquet"), vec![("word", same(49_998))]);
    for memory in [1 << 10, 64 << 20] {
        let options = Options {
            memory,
            ..Options::default()
        };
        let found = diff(&at("left.parquet"), &at("right.parquet"), &options)?;
        let rows = found.rows;
        expect(
            (rows.lost, rows.added, rows.repeated, rows.equal) == (2, 0, 2, 49_998),
            "two less",
            &found,
        )?;
        let example = json!(found.examples);
        let expected =
            json!([{"what": "lost", "row": {"word": "the same in all rows"}, "left": 50_000, "right": 49_998}]);
        expect(example == expected && found.examples.len() == 1, "one example", &found)?;
        expect((found.work.bytes_on_disk > 0) == (memory == 1 << 10), "on disk", &found)?;
    }
    // One key for all rows does not fit, and is said.
    let options = Options {
        memory: 1 << 10,
        ..keyed("word")
    };
    match diff(&at("left.parquet"), &at("right.parquet"), &options) {
        Err(QualityError::Comparison { cause, fix })
            if cause.contains("99998 rows have the same key") && fix.contains("--key") =>
        {
            Ok(())
        }
        other => Err(format!("{other:?}").into()),
    }
}

/// Keys that belong to several rows, and the order and number of examples.
pub fn examples() -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let at = |name: &str| directory.path().join(name);
    let numbers = |values: Vec<i64>| -> ArrayRef { Arc::new(Int64Array::from(values)) };
    table(
        &at("l.parquet"),
        vec![
            ("k", numbers(vec![1, 1, 2, 2, 10])),
            ("v", numbers(vec![7, 8, 5, 5, 0])),
        ],
    );
    table(
        &at("r.parquet"),
        vec![
            ("k", numbers(vec![1, 1, 2, 9, 10])),
            ("v", numbers(vec![8, 9, 5, 1, 1])),
        ],
    );
    let found = diff(&at("l.parquet"), &at("r.parquet"), &keyed("k"))?;
    let rows = found.rows;
    expect(
        (rows.equal, rows.changed, rows.lost, rows.added) == (2, 2, 1, 1),
        "repeated keys",
        &found,
    )?;
    let keys = found.keys.as_ref().ok_or("no keys")?;
    expect((keys.repeated_left, keys.repeated_right) == (2, 1), "how many", &found)?;
    let expected = json!([
        {"what": "changed", "key": {"k": 1}, "values": {"v": [7, 9]}},
        {"what": "changed", "key": {"k": 10}, "values": {"v": [0, 1]}},
        {"what": "lost", "row": {"k": 2, "v": 5}, "left": 1, "right": 0},
        {"what": "added", "row": {"k": 9, "v": 1}, "left": 0, "right": 1},
    ]);
    expect(json!(found.examples) == expected, "examples", &found)?;
    // However rows are written and by how many threads, the same 20 are shown.
    let random = &mut Random::new(7);
    let ours = made::rows(random, 300);
    let mut shown: BTreeSet<String> = BTreeSet::new();
    for number in 0..4 {
        let (mut ours, mut theirs) = (ours.clone(), ours.clone());
        theirs.iter_mut().step_by(3).for_each(|row| row.small += 1);
        theirs.truncate(280);
        random.shuffle(&mut ours);
        random.shuffle(&mut theirs);
        let (left, right) = (at(&format!("left-{number}")), at(&format!("right-{number}")));
        Layout::any(random, 300).write(&ours, &left);
        Layout::any(random, 300).write(&theirs, &right);
        let options = Options {
            threads: Some(1 + number),
            memory: 4096,
            ..keyed("id")
        };
        let found = diff(&left, &right, &options)?;
        expect(found.examples.len() == 20, "20 examples", &found)?;
        expect(found.rows.lost == 20 && found.columns.len() == 1, "counts", &found)?;
        shown.insert(json!(found.examples).to_string());
    }
    if shown.len() == 1 {
        Ok(())
    } else {
        Err(format!("{shown:#?}").into())
    }
}

/// Columns that differ from run to run.
pub fn distributions() -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let at = |name: &str| directory.path().join(name);
    let random = &mut Random::new(3);
    let mut column = |size: usize, of: &dyn Fn(&mut Random) -> Option<f64>| -> ArrayRef {
        Arc::new((0..size).map(|_| of(random)).collect::<Float64Array>())
    };
    let uniform = |random: &mut Random| Some(random.share());
    let cases: [(&str, ArrayRef, bool); 5] = [
        ("same", column(20_000, &uniform), true),
        ("fewer", column(5_000, &uniform), true),
        ("shifted", column(20_000, &|random| Some(random.share() + 0.2)), false),
        (
            "nulls",
            column(20_000, &|random| (!random.one_in(4)).then(|| random.share())),
            false,
        ),
        (
            "few",
            column(20_000, &|random| Some(random.below(10) as f64 / 10.0 + 0.05)),
            false,
        ),
    ];
    table(&at("left.parquet"), vec![("x", column(20_000, &uniform))]);
    let options = Options {
        nondeterministic: BTreeSet::from(["x".to_owned()]),
        ..Options::default()
    };
    for (name, values, alike) in cases {
        let right = at(&format!("{name}.parquet"));
        let rows = values.len();
        table(&right, vec![("x", values)]);
        let found = diff(&at("left.parquet"), &right, &options)?;
        expect(found.distributions[0].apart.is_empty() == alike, name, &found)?;
        expect(found.is_equal() == (alike && rows == 20_000), name, &found)?;
        if name == "same" {
            // About as many different values as there are rows.
            let distinct = found.distributions[0].left.distinct as f64;
            expect((distinct / 20_000.0 - 1.0).abs() < 0.06, "distinct", &found)?;
        }
    }
    Ok(())
}

/// What cannot be compared as asked is an error, with what to do.
pub fn refusals() -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let at = |name: &str| directory.path().join(name);
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    table(&at("a.parquet"), vec![("number", numbers.clone())]);
    let whole = std::fs::read(at("a.parquet"))?;
    std::fs::write(at("cut.parquet"), &whole[..whole.len() - 3])?;
    std::fs::create_dir(at("two"))?;
    table(&at("two/a.parquet"), vec![("number", numbers)]);
    table(
        &at("two/b.parquet"),
        vec![("number", Arc::new(StringArray::from(vec!["1"])))],
    );
    std::fs::create_dir(at("none"))?;
    let named = |change: &dyn Fn(&mut Options)| {
        let mut options = Options::default();
        change(&mut options);
        options
    };
    let text = |value: &str| value.to_owned();
    let table: [(&str, Options, &[&str]); 9] = [
        (
            "cut.parquet",
            Options::default(),
            &["cut.parquet", "nothing was compared"],
        ),
        (
            "two",
            Options::default(),
            &["`number` is string there, and bigint in other files"],
        ),
        ("none", Options::default(), &["no files of data"]),
        ("missing", Options::default(), &["missing"]),
        ("a.parquet", keyed("numbr"), &["--key", "did you mean number?"]),
        (
            "a.parquet",
            named(&|options| options.ignore = BTreeSet::from([text("x")])),
            &["--ignore", "`x`"],
        ),
        (
            "a.parquet",
            named(&|options| options.right_version = Some(text("3"))),
            &["not a table"],
        ),
        (
            "a.parquet",
            named(&|options| options.distance = 2.0),
            &["2 is not a distance"],
        ),
        (
            "a.parquet",
            named(&|options| {
                options.keys = vec![text("number")];
                options.nondeterministic.insert(text("number"));
            }),
            &["the key `number`"],
        ),
    ];
    for (right, options, parts) in table {
        let error = match diff(&at("a.parquet"), &at(right), &options) {
            Ok(found) => return Err(format!("{right}: {found}").into()),
            Err(error) => error.to_string(),
        };
        if let Some(part) = parts.iter().find(|part| !error.contains(**part)) {
            return Err(format!("{right}: no {part:?} in: {error}").into());
        }
    }
    // Someone who wants it to end is heard.
    struct Stopper(AtomicBool);
    impl Watch for Stopper {
        fn stopped(&self) -> bool {
            self.0.load(Ordering::Relaxed)
        }
        fn progress(&self, _: &Step) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let place = Storage::local(at("a.parquet"));
    match compare(&place, &place, &Options::default(), &Stopper(AtomicBool::new(false))) {
        Err(QualityError::Interrupted) => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}

/// Versions of a Delta table, and snapshots of an Iceberg table by number and branch, are read as they were.
pub fn versions() -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let root = directory.path();
    std::fs::create_dir_all(root.join("_delta_log"))?;
    let numbers = |values: Vec<i64>| -> ArrayRef { Arc::new(Int64Array::from(values)) };
    table(&root.join("0.parquet"), vec![("n", numbers(vec![1, 2]))]);
    table(&root.join("1.parquet"), vec![("n", numbers(vec![3]))]);
    let schema = json!({"type": "struct", "fields": [{"name": "n", "type": "long", "nullable": true, "metadata": {}}]});
    let add = |name: &str| -> Value {
        let size = std::fs::metadata(root.join(name)).map_or(0, |meta| meta.len());
        json!({"add": {"path": name, "partitionValues": {}, "size": size, "modificationTime": 0, "dataChange": true}})
    };
    let commit = |version: u64, actions: &[Value]| {
        let lines: Vec<String> = actions.iter().map(Value::to_string).collect();
        std::fs::write(root.join(format!("_delta_log/{version:020}.json")), lines.join("\n"))
    };
    let protocol = json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}});
    let metadata = json!({"metaData": {"id": "t", "format": {"provider": "parquet", "options": {}}, "schemaString": schema.to_string(),
        "partitionColumns": [], "configuration": {}}});
    commit(0, &[protocol, metadata, add("0.parquet")])?;
    commit(1, &[add("1.parquet")])?;
    let options = |left: Option<&str>, right: Option<&str>| Options {
        left_version: left.map(str::to_owned),
        right_version: right.map(str::to_owned),
        ..Options::default()
    };
    let found = diff(root, root, &options(Some("0"), None))?;
    expect(
        (found.rows.left, found.rows.right, found.rows.added) == (2, 3, 1),
        "before and now",
        &found,
    )?;
    expect(
        found.left.version == Some(0) && found.right.version == Some(1),
        "versions",
        &found,
    )?;
    let found = diff(root, root, &options(Some("1"), None))?;
    expect(found.is_equal(), "the same version", &found)?;
    for (version, part) in [
        ("7", "version 7 is not in the log"),
        ("main", "not a version of a Delta table"),
    ] {
        match diff(root, root, &options(Some(version), None)) {
            Err(error) if error.to_string().contains(part) => {}
            other => return Err(format!("{version}: {other:?}").into()),
        }
    }
    Ok(())
}
