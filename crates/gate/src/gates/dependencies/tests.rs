//! What the gate says of requirements and packages.

use super::super::found;
use super::*;

fn said(files: &[(&str, &str)]) -> Vec<(String, usize)> {
    let found = found(files, look).into_iter();
    found.map(|finding| (finding.code.to_string(), finding.line)).collect()
}

fn app(spark: &str, packages: &[&str]) -> String {
    format!(
        "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nmetadata: {{name: a}}\nspec:\n  sparkVersion: {spark}\n  deps:\n    packages: {packages:?}\n"
    )
}

#[test]
fn requirements_are_pinned_once_and_for_this_spark() {
    let cases: [(&str, &[&str]); 15] = [
        ("requests==2.32.3", &[]),
        ("requests==2.32.3 --hash=sha256:00", &[]),
        ("requests[socks]==2.32.3; python_version >= '3.10'  # why", &[]),
        ("requests @ https://example.com/requests-1.whl", &[]),
        ("-r other.txt\n", &["dependency-absent"]),
        ("--index-url https://example.com\n# nothing\n./local", &[]),
        ("requests", &["dependency-unpinned"]),
        ("requests>=2,<3", &["dependency-unpinned"]),
        ("requests==2.*", &["dependency-unpinned"]),
        ("requests==2.1\nRequests==2.2", &["dependency-twice"]),
        (
            "requests==2.1; sys_platform == 'linux'\nrequests==2.2; sys_platform == 'win32'",
            &[],
        ),
        ("requests=2.1", &["dependency-syntax"]),
        ("requests==2.1 \\\n  --hash=sha256:00", &[]),
        ("pyspark==3.5.9", &["dependency-other-spark"]),
        ("pyspark==4.1.2", &[]),
    ];
    let manifest = app("4.1.4", &[]);
    for (text, codes) in cases {
        let found: Vec<String> = said(&[("a.yaml", &manifest), ("requirements.txt", text)])
            .into_iter()
            .map(|(code, _)| code)
            .collect();
        assert_eq!(found, codes, "{text}");
    }
    assert_eq!(said(&[("requirements.in", "requests")]), []);
}

#[test]
fn packages_fit_the_spark_they_run_on() {
    let cases: [(&str, &[&str], &[&str]); 14] = [
        ("4.1.4", &["org.apache.spark:spark-avro_2.13:4.1.4"], &[]),
        (
            "4.1.4",
            &["org.apache.spark:spark-avro_2.12:4.1.4"],
            &["dependency-other-scala"],
        ),
        (
            "4.1.4",
            &["org.apache.spark:spark-avro_2.13:3.5.9"],
            &["dependency-other-spark"],
        ),
        (
            "4.1.4",
            &["org.apache.spark:spark-sql_2.13:4.1.4"],
            &["dependency-shipped"],
        ),
        (
            "3.5.9",
            &["org.apache.iceberg:iceberg-spark-runtime-3.5_2.12:1.9.0"],
            &[],
        ),
        (
            "4.1.4",
            &["org.apache.iceberg:iceberg-spark-runtime-3.5_2.13:1.9.0"],
            &["dependency-other-spark"],
        ),
        (
            "3.5.9",
            &["org.apache.iceberg:iceberg-spark-runtime-3.5_2.13:1.9.0"],
            &["dependency-other-scala"],
        ),
        (
            "4.1.4",
            &["org.apache.hadoop:hadoop-aws:3.3.4"],
            &["dependency-other-hadoop"],
        ),
        ("4.1.4", &["org.apache.hadoop:hadoop-aws:3.4.2"], &[]),
        ("4.1.4", &["org.postgresql:postgresql"], &["dependency-syntax"]),
        ("4.1.4", &["org.postgresql:postgresql:latest"], &["dependency-unpinned"]),
        (
            "4.1.4",
            &["org.postgresql:postgresql:42.7.4", "org.postgresql:postgresql:42.7.3"],
            &["dependency-twice"],
        ),
        ("9.9.9", &["a:b_2.11:1"], &[]),
        ("4.1.4", &["a:b::"], &["dependency-syntax"]),
    ];
    for (spark, packages, codes) in cases {
        let found: Vec<String> = said(&[("a.yaml", &app(spark, packages))])
            .into_iter()
            .map(|(code, _)| code)
            .collect();
        assert_eq!(found, codes, "{spark} {packages:?}");
    }
}
