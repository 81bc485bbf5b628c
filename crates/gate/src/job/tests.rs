use super::read::read_within;
use super::*;

fn kind(name: &str, text: &str) -> &'static str {
    match of_bytes(name, text.as_bytes()).kind {
        Kind::Manifest { .. } => "manifest",
        Kind::Patch { .. } => "patch",
        Kind::Template => "template",
        Kind::Contract => "contract",
        Kind::Sql => "sql",
        Kind::Python => "python",
        Kind::Requirements => "requirements",
        Kind::Properties => "properties",
        Kind::Archive => "archive",
        Kind::Text => "text",
        Kind::Binary => "binary",
        Kind::Large => "large",
    }
}

#[test]
fn a_file_is_what_its_name_and_content_say() {
    let cases = [
        ("a.yaml", "apiVersion: v1\nkind: Pod\n", "manifest"),
        ("a.yml", "image: {tag: 1}\n", "text"),
        ("a.json", "{\"apiVersion\": \"v1\", \"kind\": \"Pod\"}", "manifest"),
        ("a.json", "{\"a\": 1}", "text"),
        // Someone's manifest that no longer parses.
        ("a.yaml", "apiVersion: v1\nkind: [\n", "manifest"),
        ("a.yaml", "on: [push\n", "text"),
        (
            "t/a.yaml",
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {{ .Values.name }}\n",
            "template",
        ),
        (
            "t/a.yaml",
            "{{- if .Values.x }}\napiVersion: v1\nkind: Pod\n{{- end }}\n",
            "template",
        ),
        (
            "a.yaml",
            "apiVersion: v1\nkind: Pod\nmetadata: {name: a, annotations: {x: '{{ kept }}'}}\n",
            "manifest",
        ),
        (
            "a.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  page: |\n    {{ title }}\n",
            "manifest",
        ),
        (
            "chart/templates/a.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: \"{{ .Values.name }}\"}\n",
            "template",
        ),
        ("a.yaml", "apiVersion: v3.1.0\nkind: DataContract\nid: x\n", "contract"),
        ("a.json", "{\"name\": \"s\", \"expectations\": []}", "contract"),
        ("contracts/a.yaml", "columns: {id: {}}\n", "contract"),
        ("a.contract.yaml", "rows: {min: 1}\n", "contract"),
        ("a.yaml", "columns: {id: {}}\n", "text"),
        ("q.sql", "SELECT 1", "sql"),
        ("q.hql", "SELECT 1", "sql"),
        ("m.py", "", "python"),
        ("requirements-dev.txt", "x", "requirements"),
        ("notes.txt", "x", "text"),
        ("spark-defaults.conf", "a b", "properties"),
        ("nginx.conf", "a b", "text"),
        ("a.jar", "PK", "archive"),
        ("a.bin", "\0", "binary"),
        // The card of a chart is none of Kubernetes' objects.
        ("c/Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\n", "text"),
    ];
    for (name, text, expected) in cases {
        assert_eq!(kind(name, text), expected, "{name}: {text}");
    }
}

#[test]
fn a_directory_is_read_in_order_without_what_is_not_of_the_job() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["b.sql", "a/c.py", ".git/config", "venv/x.py", ".env", ".hidden.yaml"] {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "x").unwrap();
    }
    let job = read(&[directory.path().to_owned(), directory.path().join("b.sql")]).unwrap();
    let names: Vec<_> = job
        .files
        .iter()
        .map(|file| file.path.strip_prefix(directory.path()).unwrap().display().to_string())
        .collect();
    assert_eq!(names, [".env", "a/c.py", "b.sql"]);
    assert!(matches!(read(&["/nowhere".into()]), Err(JobError::Unreadable { .. })));
}

/// What is said of a file that was not read, or not as it stands.
fn unread(name: &str, bytes: &[u8]) -> Vec<(Gate, &'static str, usize, bool)> {
    let file = of_bytes(name, bytes);
    let said = file.unread.iter();
    said.map(|one| (one.gate, one.code, one.place.line, one.severity == Severity::Error))
        .collect()
}

#[test]
fn encodings_are_read_as_their_readers_read_them_or_told() {
    let key = b"# caf\xe9\nspark.x.password hunter22abc\n";
    assert_eq!(unread("spark-x.conf", key), [(Gate::Conf, "not-utf8", 1, false)]);
    assert_eq!(
        unread("a.sql", b"-- caf\xe9\nSELECT 1"),
        [(Gate::Sql, "not-utf8", 1, false)]
    );
    // Python refuses it, unless it is declared.
    assert_eq!(
        unread("a.py", b"x = 1\n# caf\xe9\n"),
        [(Gate::Sql, "python-syntax", 2, true)]
    );
    assert_eq!(unread("a.py", b"# coding: latin-1\n# caf\xe9\n"), []);
    assert_eq!(
        unread("a.py", b"# coding: shift_jis\n# \x83\x65\n"),
        [(Gate::Sql, "file-unread", 2, true)]
    );
    assert_eq!(unread("notes.txt", b"caf\xe9"), []);
    for (name, bytes) in [
        ("spark-x.conf", &key[..]),
        ("a.py", b"# caf\xe9\npassword"),
        ("notes.txt", b"caf\xe9 password"),
        ("values.yaml", b"a: caf\xe9\nb: password"),
        ("a.env", b"\xff\xfep\0a\0s\0s\0w\0o\0r\0d\0"),
    ] {
        assert!(of_bytes(name, bytes).source.text().contains("password"), "{name}");
    }
    // What no reader of its kind can read.
    for (name, gate) in [
        ("a.py", Gate::Sql),
        ("a.sql", Gate::Sql),
        ("spark.conf", Gate::Conf),
        ("a.yaml", Gate::Manifest),
        ("requirements.txt", Gate::Dependencies),
    ] {
        assert_eq!(
            unread(name, b"\x01\0\x02\0\0\0"),
            [(gate, "file-unread", 0, true)],
            "{name}"
        );
    }
    assert_eq!(unread("a.bin", b"\x01\0\x02"), []);
}

#[test]
fn yaml_that_does_not_parse_is_told_whatever_it_was_meant_to_be() {
    for (name, text, line) in [
        ("a.yaml", "on: [push\n", 2),
        ("a.yaml", "a: b\nc: d: e\n", 2),
        ("a.yml", "a: \"x\n", 2),
    ] {
        let found = unread(name, text.as_bytes());
        assert_eq!(
            (found[0].0, found[0].1, found[0].3),
            (Gate::Manifest, "yaml-unread", true),
            "{text}"
        );
        assert!(found[0].2 <= line && found[0].2 > 0, "{text}: {found:?}");
    }
    for (name, text) in [
        // Tags of others, and records one after the other, are whole.
        ("a.yaml", "a: !Ref b\n"),
        ("a.yaml", "a: !vault x\nb: c\n"),
        ("a.json", "{\"a\": 1}\n{\"a\": 2}\n"),
        ("tsconfig.json", "{\n// why\n\"a\": 1}"),
        ("a.yaml", "x: {{ y }}\nz: [{% if %}\n"),
    ] {
        assert_eq!(unread(name, text.as_bytes()), [], "{text}");
    }
    assert_eq!(unread("contracts/a.json", b"{\"a\": ")[0].1, "yaml-unread");
}

#[test]
fn what_is_named_is_read_or_told() {
    let directory = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| {
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let codes = |path: &PathBuf| -> Vec<&'static str> {
        let job = read(std::slice::from_ref(path)).unwrap();
        job.files
            .iter()
            .flat_map(|file| &file.unread)
            .map(|one| one.code)
            .collect()
    };
    assert_eq!(codes(&put("a.parquet", b"PAR1\0\0")), ["file-unread"]);
    assert_eq!(codes(&put("a.txt", b"x")), [""; 0]);
    let large = |name: &str| {
        let mut bytes = b"select 1;\n".repeat(1 << 20);
        bytes.truncate(MOST_BYTES as usize + 1);
        put(name, &bytes)
    };
    for (name, expected) in [
        ("a.sql", vec!["file-unread"]),
        ("a.yaml", vec!["file-unread"]),
        ("a.csv", vec![]),
        ("b.json", vec![]),
    ] {
        let path = large(name);
        assert_eq!(codes(&path), expected, "{name}");
        assert!(matches!(
            read(std::slice::from_ref(&path)).unwrap().files[0].kind,
            Kind::Large
        ));
        std::fs::remove_file(path).unwrap();
    }
    // A directory has data beside its job; what is not text is reported only where it is named.
    assert_eq!(codes(&directory.path().to_owned()), [""; 0]);
    assert!(matches!(read(&["/dev/null".into()]), Err(JobError::NoFile { .. })));
}

#[test]
fn all_of_a_job_has_one_budget() {
    let directory = tempfile::tempdir().unwrap();
    for number in 0..4 {
        std::fs::write(directory.path().join(format!("{number}.sql")), "x".repeat(100)).unwrap();
    }
    let job = read_within(&[directory.path().to_owned()], 250).unwrap();
    let told: Vec<bool> = job.files.iter().map(|file| !file.unread.is_empty()).collect();
    assert_eq!(told, [false, false, true, true]);
    assert_eq!(job.files[3].unread[0].code, "too-much");
}
