//! Tables that real Spark wrote, beside what Spark reads of them: Delta with deletion vectors, mapped columns and checkpoints of either version, Iceberg
//! with deletes and evolved schemas.
//!
//! The Spark is the one of all tests, or the one that `STOKE_SPARK_HOME` names; it fetches the two libraries of tables from Maven Central into the home of
//! the tests. Where that is not possible, the tests are ignored with the reason. The tables are made once, and again when the script that makes them changes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock};

use libtest_mimic::{Failed, Trial};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use stoke_diagnostics::Source;
use stoke_quality::{Options, Storage, Verdict, contract};
use stoke_runtime::Runtimes;
use stoke_testkit::{Tier, trial};

/// Tables that the script makes.
const TABLES: [&str; 11] = [
    "dv", "dvbig", "mapname", "mapid", "v2", "multi", "v1", "v2m", "v3m", "swap", "empty",
];

/// What Spark reads of a table.
#[derive(Deserialize)]
struct Expected {
    path: PathBuf,
    columns: Vec<String>,
    #[serde(default)]
    rows: Option<Vec<Map<String, Value>>>,
    #[serde(default)]
    count: Option<u64>,
    #[serde(default)]
    sum: Option<i64>,
}

pub fn all() -> Vec<Trial> {
    let made = Arc::new(LazyLock::new(tables));
    let trials = TABLES.iter().map(|name| {
        let (needed, made) = (Arc::clone(&made), Arc::clone(&made));
        let needs = move || LazyLock::force(&needed).clone().map(|_| ());
        trial(&format!("as_spark_reads_{name}"), Tier::Full, needs, move || {
            compare(&LazyLock::force(&made).clone()?, name)
        })
    });
    trials.collect()
}

/// The Spark that both libraries are of.
const SPARK: &str = "3.5.9";
/// Delta and Iceberg.
const LIBRARIES: &str = "io.delta:delta-spark_2.12:3.2.1,org.apache.iceberg:iceberg-spark-runtime-3.5_2.12:1.10.0";
/// What makes the tables.
const SCRIPT: &str = include_str!("tables/make.py");

/// The directory of tables.
fn tables() -> Result<PathBuf, String> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tables");
    let made_by = directory.join("made-by.py");
    if std::fs::read_to_string(&made_by).is_ok_and(|script| script == SCRIPT) {
        return Ok(directory);
    }
    let spark = stoke_testkit::spark::spark(SPARK)?;
    let home = stoke_testkit::spark::home();
    let java = Runtimes::new(&home).java(&spark.version, None);
    let java = java.map_err(|error| error.to_string())?;
    let python = spark
        .python
        .as_ref()
        .map(|python| python.environment.join("bin/python3"));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/trials/tables/make.py");
    let output = Command::new(spark.spark_home.join("bin/spark-submit"))
        .args(["--driver-memory", "1g", "--packages", LIBRARIES, "--conf"])
        .arg(format!("spark.jars.ivy={}", home.join("ivy").display()))
        .arg(script)
        .arg(&directory)
        .env("SPARK_HOME", &spark.spark_home)
        .env("JAVA_HOME", &java.home)
        .env("PYSPARK_PYTHON", python.unwrap_or_else(|| "python3".into()))
        .env_remove("SPARK_CONF_DIR")
        .output()
        .map_err(|error| format!("spark-submit: {error}"))?;
    if output.status.success() {
        std::fs::write(&made_by, SCRIPT).map_err(|error| error.to_string())?;
        return Ok(directory);
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let cause = text
        .lines()
        .rfind(|line| line.contains("rror") || line.contains("xception"));
    Err(format!("spark-submit: {}", cause.unwrap_or("failed")))
}

fn compare(directory: &Path, name: &str) -> Result<(), Failed> {
    let expected = std::fs::read_to_string(directory.join(format!("{name}.json")))?;
    let expected: Expected = serde_json::from_str(&expected)?;
    let mut expectations = Vec::new();
    let mut expect = |kind: &str, kwargs: Value| expectations.push(json!({ "type": kind, "kwargs": kwargs }));
    let rows = expected.rows.as_ref().map(|rows| rows.len() as u64).or(expected.count);
    expect("expect_table_row_count_to_equal", json!({ "value": rows }));
    if let Some(sum) = expected.sum {
        expect(
            "expect_column_sum_to_be_between",
            json!({ "column": "id", "min_value": sum, "max_value": sum }),
        );
    }
    if name != "empty" {
        expect(
            "expect_table_columns_to_match_ordered_list",
            json!({ "column_list": expected.columns }),
        );
    }
    let rows = expected.rows.unwrap_or_default();
    for column in expected.columns.iter().filter(|_| !rows.is_empty()) {
        let values: Vec<&Value> = rows.iter().filter_map(|row| row.get(column)).collect();
        let present: Vec<&&Value> = values.iter().filter(|value| !value.is_null()).collect();
        let share = present.len() as f64 / rows.len() as f64;
        expect(
            "expect_column_proportion_of_non_null_values_to_be_between",
            json!({ "column": column, "min_value": share, "max_value": share }),
        );
        // Rows of Spark in Python are lists in JSON.
        if present.iter().any(|value| value.is_array() || value.is_object()) {
            continue;
        }
        if !present.is_empty() {
            expect(
                "expect_column_distinct_values_to_equal_set",
                json!({ "column": column, "value_set": present }),
            );
        }
        // How often each value occurs, too.
        let mut counts: Map<String, Value> = Map::new();
        for value in &present {
            let count = counts.entry(value.to_string()).or_insert(json!(0));
            *count = json!(count.as_u64().unwrap_or(0) + 1);
        }
        let once = counts.values().all(|count| *count == json!(1));
        if once && present.len() > 1 {
            expect("expect_column_values_to_be_unique", json!({ "column": column }));
        }
        let numbers: Option<Vec<f64>> = present.iter().map(|value| value.as_f64()).collect();
        if let Some(numbers) = numbers.filter(|numbers| !numbers.is_empty()) {
            let sum: f64 = numbers.iter().sum();
            expect(
                "expect_column_sum_to_be_between",
                json!({ "column": column, "min_value": sum - 1e-9, "max_value": sum + 1e-9 }),
            );
        }
    }
    let suite = json!({ "name": name, "expectations": expectations }).to_string();
    let (contract, complaints) = contract::read(&Source::new("suite.json", &suite), None);
    let contract = contract.ok_or_else(|| format!("{:?}", complaints.first().map(|complaint| &complaint.message)))?;
    let now = "2026-02-01T00:00:00Z".parse().map_err(|error| format!("{error}"))?;
    let report = stoke_quality::run(&contract, &Storage::local(&expected.path), &Options::at(now))?;
    let wrong: Vec<String> = report
        .checks
        .iter()
        .filter(|check| check.verdict != Verdict::Pass)
        .map(|check| {
            format!(
                "{} {:?} {:?} {:?}",
                check.id, check.reason, check.expected, check.observed
            )
        })
        .collect();
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(Failed::from(wrong.join("\n")))
    }
}
