//! Layouts of data: directories, partitions, Delta, CSV, JSON lines; and data that are not as their names say.

use std::io::Write;
use std::path::Path;

use arrow_array::{Int32Array, Int64Array, StringArray};
use stoke_quality::{Options, Storage, Verdict};

use crate::support::{check, column, options, parquet, read, run};

fn write(path: &Path, bytes: impl AsRef<[u8]>) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn csv_is_read_by_the_types_of_the_contract() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("orders.csv");
    write(
        &file,
        "id,amount,day,note\n1,10.50,2026-01-31,\"a, b\"\n2,x,2026-02-30,\n2,-1,2026-02-01,\"line\nbreak\"\n,5,,\n",
    );
    let contract = "columns:\n  id: {type: bigint, required: true, unique: true}\n  amount: {type: 'decimal(10,2)', min: 0}\n  day: {type: date}\n  note: {type: string}\nrows: {min: 4, max: 4}\n";
    let report = run(contract, &file);
    assert_eq!(report.data.rows, Some(4));
    let counts = |id: &str| (check(&report, id).considered, check(&report, id).unexpected);
    assert_eq!(counts("id.required"), (Some(4), Some(1)));
    assert_eq!(counts("id.unique"), (Some(3), Some(2)));
    // A text that is not a number is neither null nor in the range.
    assert_eq!(counts("amount.min"), (Some(4), Some(2)));
    assert_eq!(counts("amount.type"), (Some(4), Some(1)));
    assert_eq!(check(&report, "amount.type").examples[0].values["amount"], "x");
    assert_eq!(counts("day.type"), (Some(3), Some(1)));
    assert_eq!(check(&report, "note.type").verdict, Verdict::Pass);
}

#[test]
fn csv_without_types_is_read_by_what_all_values_are() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.csv");
    let mut text = String::from("n,t\n");
    (0..3000).for_each(|row| text.push_str(&format!("{row},{row}\n")));
    text.push_str("5,late text\n");
    write(&file, &text);
    let report = run("columns:\n  n: {max: 2999}\n  t: {max: 5}\n", &file);
    assert_eq!(check(&report, "n.max").verdict, Verdict::Pass);
    assert_eq!(check(&report, "t.max").verdict, Verdict::CannotTell);
}

#[test]
fn packed_and_tab_separated_files_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(b"a\tb\n1\t2\n").unwrap();
    let file = directory.path().join("a.tsv.gz");
    write(&file, packed.finish().unwrap());
    let report = run(
        "columns:\n  a: {type: int, max: 1}\n  b: {type: int}\nextraColumns: false\n",
        &file,
    );
    assert!(report.passed(), "{report}");
}

#[test]
fn json_lines_are_read_and_wrong_values_shown() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.jsonl");
    write(
        &file,
        "{\"id\": 1, \"n\": 1.5, \"in\": {\"x\": 1}}\n{\"id\": \"two\", \"n\": 2}\n{\"id\": null}\n",
    );
    let report = run(
        "columns:\n  id: {type: bigint, required: true}\n  n: {max: 1.75}\n  in: {type: object}\n",
        &file,
    );
    assert_eq!(report.data.rows, Some(3));
    assert_eq!(check(&report, "id.type").unexpected, Some(1));
    assert_eq!(check(&report, "id.type").examples[0].values["id"], "two");
    assert_eq!(check(&report, "id.required").unexpected, Some(1));
    assert_eq!(
        (check(&report, "n.max").considered, check(&report, "n.max").unexpected),
        (Some(2), Some(1))
    );
    assert_eq!(check(&report, "in.type").verdict, Verdict::Pass);
}

#[test]
fn broken_files_cannot_be_told() {
    let directory = tempfile::tempdir().unwrap();
    let table: [(&str, &[u8]); 5] = [
        ("a.csv", b"a,b\n1,\xff\xfe\n"),
        ("b.csv", b"a,b\n1,2\n1,2,3\n"),
        ("c.parquet", b"PAR1 this is none PAR1"),
        ("d.json", b"{\"a\": 1}\n{\"a\": \n"),
        ("e.csv.gz", b"a\n1\n"),
    ];
    for (name, bytes) in table {
        let file = directory.path().join(name);
        write(&file, bytes);
        let report = run("columns:\n  a: {type: int, required: true}\nrows: {min: 1}\n", &file);
        assert!(!report.passed(), "{name}: {report}");
        assert_eq!(
            check(&report, "a.required").verdict,
            Verdict::CannotTell,
            "{name}: {report}"
        );
        assert_eq!(check(&report, "rows").verdict, Verdict::CannotTell, "{name}: {report}");
        assert!(
            check(&report, "a.required").reason.as_ref().unwrap().contains(name),
            "{name}: {report}"
        );
    }
}

#[test]
fn a_cut_parquet_file_cannot_be_told() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.parquet");
    let texts: Vec<String> = (0..20_000).map(|row| format!("text {row}")).collect();
    parquet(&file, vec![("a", column(StringArray::from(texts)))], 5000);
    let whole = std::fs::read(&file).unwrap();
    // The footer is whole; some pages are overwritten.
    let mut damaged = whole.clone();
    damaged[1000..2000].fill(0xff);
    write(&file, damaged);
    let report = run("columns:\n  a: {pattern: '^text'}\n", &file);
    assert_eq!(check(&report, "a.pattern").verdict, Verdict::CannotTell, "{report}");
    write(&file, &whole[..whole.len() / 2]);
    assert_eq!(
        check(&run("columns:\n  a: {pattern: '^text'}\n", &file), "a.pattern").verdict,
        Verdict::CannotTell
    );
}

#[test]
fn no_data_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let contract = read("rows: {min: 0}\n");
    let failed = |path: &Path, options: &Options| {
        let error = stoke_quality::run(&contract, &Storage::local(path), options).unwrap_err();
        assert_eq!(error.code(), "stoke::quality::data", "{error}");
        error.to_string()
    };
    assert!(failed(&directory.path().join("missing"), &options()).contains("No such file"));
    assert!(failed(directory.path(), &options()).contains("no files of data"));
    write(&directory.path().join("notes.txt"), "x");
    assert!(failed(directory.path(), &options()).contains("notes.txt"));
}

#[test]
fn files_without_rows_hold_vacuously() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.parquet");
    parquet(&file, vec![("a", column(Int32Array::from(Vec::<i32>::new())))], 8);
    let report = run(
        "columns:\n  a: {required: true, unique: true, min: 0, mean: {min: 0}}\nrows: {min: 1}\n",
        &file,
    );
    let verdicts: Vec<Verdict> = ["a.required", "a.unique", "a.min", "a.mean", "rows"]
        .iter()
        .map(|id| check(&report, id).verdict)
        .collect();
    assert_eq!(
        verdicts,
        [
            Verdict::Pass,
            Verdict::Pass,
            Verdict::Pass,
            Verdict::Fail,
            Verdict::Fail
        ]
    );
}

#[test]
fn partitions_are_columns() {
    let directory = tempfile::tempdir().unwrap();
    for (path, first) in [
        ("day=2026-01-30/c=DE", 0),
        ("day=2026-01-31/c=DE", 2),
        ("day=2026-01-31/c=__HIVE_DEFAULT_PARTITION__", 4),
    ] {
        let file = directory.path().join(path).join("part-0.parquet");
        parquet(&file, vec![("id", column(Int64Array::from(vec![first, first + 1])))], 8);
    }
    write(&directory.path().join("_SUCCESS"), "");
    write(&directory.path().join("day=2026-01-31/.part-0.parquet.crc"), "x");
    let contract =
        "columns:\n  id: {unique: true}\n  day: {type: date, min: 2026-01-31}\n  c: {required: true, in: [DE]}\n";
    let report = run(contract, directory.path());
    assert_eq!((report.data.files, report.data.rows), (3, Some(6)));
    assert_eq!(check(&report, "id.unique").verdict, Verdict::Pass);
    assert_eq!(check(&report, "day.type").verdict, Verdict::Pass, "{report}");
    let day = check(&report, "day.min");
    assert_eq!((day.considered, day.unexpected), (Some(6), Some(2)));
    assert_eq!(day.examples[0].file, "day=2026-01-30/c=DE/part-0.parquet");
    assert_eq!(check(&report, "c.required").unexpected, Some(2));
    assert_eq!(check(&report, "c.in").considered, Some(4));
}

#[test]
fn drifted_schemas_are_told() {
    let directory = tempfile::tempdir().unwrap();
    parquet(
        &directory.path().join("a.parquet"),
        vec![("n", column(Int32Array::from(vec![1, 2])))],
        8,
    );
    parquet(
        &directory.path().join("b.parquet"),
        vec![("n", column(Int64Array::from(vec![2, 3])))],
        8,
    );
    let contract = "columns:\n  n: {unique: true, max: 3, type: int}\n";
    let report = run(contract, directory.path());
    // Numbers of another width are the same numbers, but not of the same type.
    assert_eq!(check(&report, "n.unique").unexpected, Some(2));
    assert_eq!(check(&report, "n.max").verdict, Verdict::Pass);
    let of_type = check(&report, "n.type");
    assert!(
        of_type.verdict == Verdict::Fail && of_type.reason.as_ref().unwrap().contains("b.parquet"),
        "{of_type:?}"
    );
    parquet(
        &directory.path().join("c.parquet"),
        vec![("n", column(StringArray::from(vec!["x"])))],
        8,
    );
    let report = run(contract, directory.path());
    assert_eq!(check(&report, "n.unique").verdict, Verdict::CannotTell);
    assert_eq!(check(&report, "n.max").verdict, Verdict::CannotTell);
    parquet(
        &directory.path().join("c.parquet"),
        vec![("m", column(Int32Array::from(vec![1])))],
        8,
    );
    assert!(
        check(&run(contract, directory.path()), "n.max")
            .reason
            .as_ref()
            .unwrap()
            .contains("c.parquet has no column `n`")
    );
}

#[test]
fn references_are_looked_up_beside_the_data() {
    let directory = tempfile::tempdir().unwrap();
    let orders = directory.path().join("orders");
    parquet(
        &orders.join("a.parquet"),
        vec![("customer", column(Int32Array::from(vec![Some(1), Some(9), None])))],
        8,
    );
    let contract = "columns:\n  customer: {references: {data: ../customers, column: id}}\n";
    assert_eq!(
        check(&run(contract, &orders), "customer.references").verdict,
        Verdict::CannotTell
    );
    parquet(
        &directory.path().join("customers/a.parquet"),
        vec![("id", column(Int64Array::from(vec![1, 2])))],
        8,
    );
    let report = run(contract, &orders);
    let found = check(&report, "customer.references");
    assert_eq!((found.considered, found.unexpected), (Some(2), Some(1)));
    assert_eq!(found.examples[0].values["customer"], 9);
    parquet(
        &directory.path().join("customers/a.parquet"),
        vec![("id", column(StringArray::from(vec!["1"])))],
        8,
    );
    assert_eq!(
        check(&run(contract, &orders), "customer.references").verdict,
        Verdict::CannotTell
    );
}

fn delta(root: &Path, version: usize, lines: &[&str]) {
    write(&root.join(format!("_delta_log/{version:020}.json")), lines.join("\n"));
}

#[test]
fn delta_tables_are_read_by_their_log() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    for (name, first) in [
        ("day=2026-01-31/a%20b.parquet", 0),
        ("old.parquet", 100),
        ("c.parquet", 10),
    ] {
        parquet(
            &root.join(name.replace("%20", " ")),
            vec![("id", column(Int64Array::from(vec![first, first + 1])))],
            8,
        );
    }
    let schema = r#"{\"type\":\"struct\",\"fields\":[{\"name\":\"id\",\"type\":\"long\",\"nullable\":true,\"metadata\":{}},{\"name\":\"day\",\"type\":\"date\",\"nullable\":true,\"metadata\":{}},{\"name\":\"late\",\"type\":\"string\",\"nullable\":true,\"metadata\":{}}]}"#;
    let metadata = format!(
        r#"{{"metaData":{{"id":"x","schemaString":"{schema}","partitionColumns":["day"],"configuration":{{}}}}}}"#
    );
    let add = |path: &str, day: &str| {
        format!(
            r#"{{"add":{{"path":"{path}","partitionValues":{{"day":{day}}},"size":1000,"modificationTime":0,"dataChange":true}}}}"#
        )
    };
    delta(
        root,
        0,
        &[
            r#"{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}"#,
            &metadata,
            &add("day=2026-01-31/a%20b.parquet", "\"2026-01-31\""),
            &add("old.parquet", "null"),
        ],
    );
    delta(
        root,
        1,
        &[
            r#"{"remove":{"path":"old.parquet","dataChange":true}}"#,
            &add("c.parquet", "null"),
        ],
    );
    // Sizes in the log are not those of the files; the reader needs the right ones.
    let report = run(
        "columns:\n  id: {max: 11, unique: true}\n  day: {type: date, required: true}\n  late: {}\n",
        root,
    );
    assert_eq!(
        (report.data.layout, report.data.version, report.data.rows),
        ("delta", Some(1), Some(4)),
        "{report}"
    );
    assert_eq!(check(&report, "id.max").verdict, Verdict::Pass);
    assert_eq!(check(&report, "day.required").unexpected, Some(2));
    assert_eq!(check(&report, "late.exists").verdict, Verdict::Pass);
    delta(root, 3, &[&add("d.parquet", "null")]);
    let error = stoke_quality::run(&read("rows: {min: 0}\n"), &Storage::local(root), &options()).unwrap_err();
    assert!(error.to_string().contains("commit 2 is missing"), "{error}");
    delta(
        root,
        2,
        &[r#"{"add":{"path":"c.parquet","partitionValues":{},"size":1,"deletionVector":{"storageType":"u"}}}"#],
    );
    let report = run("rows: {min: 0}\n", root);
    assert_eq!(check(&report, "rows").verdict, Verdict::CannotTell);
    assert!(report.to_string().contains("a deletion vector has no size"), "{report}");
}

#[test]
fn rows_are_counted_where_no_column_is_looked_at() {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in [("a.csv", "a,b\n1,2\n3,4\n"), ("a.jsonl", "{\"a\": 1}\n{\"b\": 2}\n")] {
        let file = directory.path().join(name);
        write(&file, text);
        let report = run("rows: {min: 2, max: 2}\n", &file);
        assert!(report.passed(), "{name}: {report}");
    }
    for name in ["empty.csv", "empty.jsonl"] {
        let file = directory.path().join(name);
        write(&file, "");
        let report = run("rows: {min: 1}\ncolumns:\n  a: {required: true}\n", &file);
        assert!(!report.passed(), "{name}: {report}");
        assert_eq!(
            check(&report, "a.required").verdict,
            Verdict::CannotTell,
            "{name}: {report}"
        );
    }
}

#[test]
fn an_object_store_holds_data_as_a_disk_does() {
    use std::sync::Arc;

    use object_store::memory::InMemory;
    use object_store::path::Path as ObjectPath;
    use object_store::{ObjectStore, ObjectStoreExt};

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.parquet");
    parquet(&file, vec![("id", column(Int64Array::from_iter_values(0..1000)))], 100);
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let put = |path: &str, bytes: Vec<u8>| {
        runtime
            .block_on(store.put(&ObjectPath::from(path), bytes.into()))
            .unwrap()
    };
    for day in ["2026-01-30", "2026-01-31"] {
        put(
            &format!("lake/orders/day={day}/a.parquet"),
            std::fs::read(&file).unwrap(),
        );
    }
    put("lake/orders.csv", b"id\n1\n".to_vec());
    let open = |path: &str| {
        let place = stoke_storage::Place::over(store.clone(), ObjectPath::from(path), format!("s3://data/{path}"));
        Storage::objects(place.on(runtime.handle().clone()))
    };
    let contract = read("columns:\n  id: {max: 999, unique: true}\n  day: {type: date}\n");
    let report = stoke_quality::run(&contract, &open("lake/orders"), &options()).unwrap();
    assert_eq!((report.data.files, report.data.rows), (2, Some(2000)));
    assert_eq!(check(&report, "id.unique").unexpected, Some(2000));
    assert_eq!(check(&report, "id.max").verdict, Verdict::Pass);
    let one = stoke_quality::run(&read("rows: {min: 1, max: 1}\n"), &open("lake/orders.csv"), &options()).unwrap();
    assert!(one.passed(), "{one}");
    let missing = stoke_quality::run(&contract, &open("lake/none"), &options()).unwrap_err();
    assert_eq!(missing.code(), "stoke::quality::data");
}

#[test]
fn orc_is_refused_by_its_name() {
    let directory = tempfile::tempdir().unwrap();
    write(&directory.path().join("part-00000.snappy.orc"), "ORC");
    let storage = Storage::local(directory.path());
    let refused = stoke_quality::run(&read("rows: {min: 1}"), &storage, &options()).unwrap_err();
    assert!(
        refused.to_string().contains("part-00000.snappy.orc is ORC"),
        "{refused}"
    );
}
