//! Failures of real Sparks: the logs of drivers under `fixtures/failures` (see the README there), each with what is found first.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]

use std::path::Path;

use stoke_diagnostics::{Diagnostic, Severity};
use stoke_insight::doctor::failures;
use stoke_insight::facts::cluster::Role;
use stoke_insight::facts::{Facts, Log};

const VERSIONS: [&str; 3] = ["3.5.9", "4.1.4", "4.3.0"];

fn found(version: &str, fault: &str) -> Option<Vec<Diagnostic>> {
    let path = format!(
        "{}/tests/fixtures/failures/{version}/{fault}.log",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = std::fs::read_to_string(Path::new(&path)).ok()?;
    let facts = Facts {
        logs: vec![Log::of_lines(Role::Driver, "driver", text.lines())],
        ..Facts::default()
    };
    Some(failures::findings(&facts))
}

/// Fault, first finding, words its cause has.
const FAULTS: &[(&str, &str, &str)] = &[
    (
        "python-task",
        "python-exception",
        "ValueError: invalid literal for int() with base 10: 'x",
    ),
    (
        "python-udf",
        "python-exception",
        "in parse: return int(\"x%s\" % value)",
    ),
    ("python-driver", "python-exception", "KeyError: 'customer'"),
    ("divide", "sql-runtime-error", "10 / (id - 2)"),
    ("cast", "sql-runtime-error", "CAST(concat('a', id) AS INT)"),
    ("column", "sql-analysis-error", "custmer_id"),
    ("table", "sql-analysis-error", "TABLE_OR_VIEW_NOT_FOUND"),
    ("parse", "sql-analysis-error", "PARSE_SYNTAX_ERROR"),
    ("path", "path-not-found", "There is nothing at file:/data/not/here"),
    (
        "s3a-missing",
        "package-missing",
        "S3A (hadoop-aws) is not on the class path",
    ),
    ("kafka-missing", "package-missing", "Kafka is not on the class path"),
    (
        "delta-missing",
        "package-missing",
        "Delta Lake is not on the class path",
    ),
    ("iceberg-missing", "package-missing", "Iceberg is not on the class path"),
    (
        "jdbc-missing",
        "package-missing",
        "PostgreSQL's JDBC driver is not on the class path",
    ),
    ("avro-missing", "package-missing", "Avro is not on the class path"),
    ("hdfs", "service-unreachable", "localhost:9"),
    ("hdfs-name", "host-unknown", "namenode.invalid"),
    ("main-file", "main-file-missing", "nope.py"),
    (
        "bad-conf",
        "configuration-invalid",
        "Executor memory must be a positive number",
    ),
    ("max-result", "result-too-large", "(2.0 MiB)"),
    ("heap", "driver-heap-oom", "heap"),
    ("heap-cluster", "executor-heap-oom", "ran out of heap"),
    ("fetch", "executor-killed", "exit code 137"),
    ("overwrite", "path-already-exists", "exists already"),
    ("pickle", "not-serializable", "cannot be serialized"),
    ("nested-context", "context-in-task", "SparkContext"),
    ("python-module", "python-module-missing", "no_such_module_of_ours"),
    ("python-crash", "python-worker-crashed", "without an exception"),
    ("python-killed", "python-memory", "was killed (SIGKILL"),
    (
        "python-segfault",
        "python-worker-crashed",
        "native code (a C extension): Segmentation fault",
    ),
    ("decode", "sql-runtime-error", "Cannot parse the field name 'a'"),
    ("bind-address", "address-not-bound", "no interface of the pod"),
    (
        "port-in-use",
        "address-not-bound",
        "The port 7911 for sparkDriver is in use",
    ),
    ("executor-xmx", "java-options-refused", "-Xmx2g"),
    ("driver-xmx", "java-options-refused", "-Xmx2g"),
    ("stopped-context", "context-stopped", "stopped.py:5"),
    ("too-complex", "stack-overflow", "FAILED_TO_PARSE_TOO_COMPLEX"),
    ("stack-overflow", "stack-overflow", "deep.py"),
    ("jar-missing", "main-file-missing", "/opt/none/app.jar"),
    ("jar-missing-pod", "main-file-missing", "/opt/spark/work-dir/none.jar"),
    ("metastore", "metastore-unreachable", "127.0.0.1:9"),
    ("metastore-name", "metastore-unreachable", "metastore.invalid"),
    ("metastore-scheme", "metastore-unreachable", "metastore:9083"),
    ("read-type", "file-schema-mismatch", "Expected Spark type string"),
    ("cut-parquet", "file-unreadable", "is not a Parquet file"),
    ("file-gone", "file-changed", "part-00000"),
    ("corrupt-gzip", "file-unreadable", "invalid code lengths"),
    ("date-pattern", "sql-runtime-error", "GGGGGG"),
    ("date-parse", "sql-runtime-error", "2020-1-1x"),
    ("date-week", "sql-runtime-error", "Fail to recognize"),
    ("ancient-date", "sql-runtime-error", "before 1582"),
    ("stream-state", "stream-state-incompatible", "Existing key_schema"),
    ("stream-offsets", "stream-checkpoint-damaged", "offsets/0"),
    ("stream-state-gone", "stream-checkpoint-damaged", "delta"),
    ("stream-divide", "sql-runtime-error", "DIVIDE_BY_ZERO"),
    ("subquery-rows", "sql-runtime-error", "More than one row"),
    ("raise-error", "sql-runtime-error", "kaput"),
    ("map-key", "sql-runtime-error", "Duplicate map key a"),
    ("array-index", "sql-runtime-error", "index 5"),
    ("group-by", "sql-analysis-error", "MISSING_GROUP_BY"),
    ("csv-failfast", "sql-runtime-error", "x,y,z"),
    ("empty-directory", "sql-analysis-error", "UNABLE_TO_INFER_SCHEMA"),
    ("same-column", "sql-analysis-error", "COLUMN_ALREADY_EXISTS"),
    ("hive-table", "sql-analysis-error", "without Hive support"),
    (
        "python-module-executor",
        "python-module-missing",
        "cleaning is not there for the executors' Python",
    ),
    ("heartbeat", "executor-heartbeat-timeout", "not heard of in time"),
    ("task-too-large", "task-too-large", "too large to be sent"),
    (
        "wrong-fs",
        "file-system-wrong",
        "hdfs://nn/data was asked of the file system file:///",
    ),
    (
        "jdbc-table",
        "external-system-error",
        "relation \"nope\" does not exist",
    ),
    (
        "jdbc-rights",
        "external-system-error",
        "permission denied for table secret",
    ),
    (
        "kafka-refused",
        "kafka-unreachable",
        "Timed out waiting for a node assignment",
    ),
    (
        "kafka-stream-refused",
        "kafka-unreachable",
        "Timed out waiting for a node assignment",
    ),
    (
        "kafka-write-topic",
        "kafka-unreachable",
        "Topic out not present in metadata",
    ),
    (
        "delta-append",
        "table-write-conflict",
        "the Delta table at the same time, by WRITE",
    ),
    (
        "iceberg-conflict",
        "table-write-conflict",
        "the Iceberg table at the same time",
    ),
    (
        "delta-not-table",
        "table-format-wrong",
        "What is read as a Delta table is none",
    ),
    (
        "mixed-schema",
        "sql-analysis-error",
        "Schemas of files do not fit together",
    ),
    ("https-future", "clock-skew", "A certificate is not valid yet"),
    ("https-expired", "tls-refused", "has expired"),
    ("kerberos-skew", "clock-skew", "Kerberos refuses the login"),
    ("kerberos-keytab", "kerberos-refused", "other@EXAMPLE.COM"),
    ("kerberos-kdc", "kerberos-refused", "its KDC does not answer"),
    (
        "s3-tls-unknown",
        "tls-refused",
        "an authority that the pods do not know",
    ),
    ("quota-executors", "quota-exceeded", "The quota small"),
    ("python-version", "python-mismatch", "3.12"),
    ("python-missing", "python-missing", "/opt/conda/bin/python3.8"),
    ("pandas-missing", "python-module-missing", "pandas"),
    ("pyarrow-old", "python-package-version", "Pandas 1.5.3 is too old"),
    ("numpy-2", "python-package-version", "another NumPy"),
    ("iteritems", "python-package-version", "iteritems"),
    ("pandas-udf-length", "python-result-type", "expected 15, got 1"),
    ("arrow-type", "python-result-type", "int64"),
    ("numpy-return", "python-result-type", "numpy"),
    ("too-many-files", "too-many-open-files", "as many files open as it may"),
    ("gc-overhead", "driver-heap-oom", "heap"),
    ("metaspace", "metaspace-oom", "metaspace"),
    ("direct-memory", "direct-memory-oom", "direct memory"),
    ("disk-full", "disk-full", "no room left"),
    ("permission", "permission-denied", "file:/proc/out"),
    ("no-scheme", "package-missing", "S3A (hadoop-aws)"),
    ("jdbc-refused", "service-unreachable", "127.0.0.1:1"),
    ("jdbc-host", "host-unknown", "db.team-a.svc.invalid"),
    ("jdbc-password", "database-login-refused", "etl"),
    ("jdbc-database", "database-missing", "nope"),
    ("jdbc-tls", "tls-refused", "does not speak TLS"),
    ("kafka-name", "kafka-unreachable", "None of the names"),
    ("kafka-topic", "kafka-topic-missing", "does not exist at the brokers"),
    ("kafka-offsets", "kafka-offsets-gone", "offset 100000"),
    ("kafka-data-loss", "kafka-offsets-gone", "not in Kafka"),
    ("delta-schema", "sql-analysis-error", "schema"),
    ("delta-no-extension", "table-extension-missing", "session extension"),
    ("scala-class", "scala-mismatch", "another Scala"),
    ("scala-case", "method-missing", "another version of Spark"),
    ("write-column", "sql-analysis-error", "too many data columns"),
    ("corrupt-parquet", "file-unreadable", "FAILED_TO_UNCOMPRESS"),
    ("https-unknown", "tls-refused", "an authority that the pods do not know"),
    ("https-name", "tls-refused", "(127.0.0.1)"),
    ("https-jar", "tls-refused", "an authority that the pods do not know"),
    ("s3-keys", "s3-access-denied", "answered 403 for s3a://spark/data"),
    ("s3-secret", "s3-access-denied", "answered 403 for s3a://spark/data"),
    ("s3-none", "s3-credentials-missing", "s3a://spark/data"),
    ("s3-bucket", "s3-bucket-missing", "is-not-there"),
    ("s3-refused", "s3-endpoint-unreachable", "127.0.0.1:1"),
    ("s3-name", "s3-endpoint-unreachable", "minio.team-a.svc.invalid"),
    ("s3-tls-future", "clock-skew", "certificate"),
    ("s3-plain-tls", "tls-refused", "does not speak TLS"),
    ("s3-write", "s3-bucket-missing", "is-not-there"),
];

#[test]
fn every_fault_is_found_first_in_every_version() {
    let mut wrong = Vec::new();
    for (fault, id, words) in FAULTS {
        let mut seen = 0;
        for version in VERSIONS {
            let Some(findings) = found(version, fault) else {
                continue;
            };
            seen += 1;
            let told = findings
                .iter()
                .map(|finding| format!("{:?} {}: {}", finding.severity, finding.code, finding.message));
            match findings.first() {
                Some(first)
                    if first.code == *id && first.message.contains(words) && first.severity == Severity::Error => {}
                _ => wrong.push(format!(
                    "{version} {fault}: wanted {id} with {words}\n    {}",
                    told.collect::<Vec<_>>().join("\n    ")
                )),
            }
            let fatal = findings
                .iter()
                .filter(|finding| finding.severity == Severity::Error)
                .count();
            if fatal > 1 {
                wrong.push(format!("{version} {fault}: {fatal} findings ended the run"));
            }
        }
        assert!(seen > 0, "no log of {fault}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_is_found_in_healthy_runs() {
    for (version, run) in [("4.1.4", "healthy"), ("3.5.9", "retried")] {
        assert_eq!(found(version, run), Some(Vec::new()), "{version} {run}");
    }
}

#[test]
fn every_finding_is_complete() {
    for (fault, ..) in FAULTS {
        for finding in VERSIONS.iter().filter_map(|version| found(version, fault)).flatten() {
            assert!(!finding.evidence.is_empty(), "{fault}: {}", finding.code);
            assert!(!finding.fix_text().is_empty(), "{fault}: {}", finding.code);
            assert!(
                finding.evidence.iter().all(|evidence| !evidence.seen.is_empty()),
                "{fault}: {}",
                finding.code
            );
            assert!(failures::codes().contains(&&*finding.code));
        }
    }
}

/// Headings of the documentation's half about failures.
fn headings() -> Vec<String> {
    let path = format!("{}/../../docs/reference/doctor.md", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let half = text
        .split("\n## ")
        .find(|part| part.starts_with("What failed"))
        .unwrap();
    let mut headings: Vec<String> = half
        .lines()
        .filter_map(|line| line.strip_prefix("#### "))
        .map(str::to_owned)
        .collect();
    headings.sort_unstable();
    headings
}

#[test]
fn every_code_is_documented_and_every_heading_is_a_code() {
    assert_eq!(headings(), failures::codes());
}
