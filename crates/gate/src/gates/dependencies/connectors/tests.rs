use super::*;
use crate::job::of_bytes;

/// What is said of an application on an image with such lines in its spec, and of a file of code: severity, file and fix.
fn said(image: &str, spec: &str, file: (&str, &str)) -> Vec<(Severity, String, String)> {
    let app = format!(
        "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nmetadata: {{name: a}}\nspec:\n  type: Python\n  mode: cluster\n  sparkVersion: 4.1.4\n  image: {image}\n  mainApplicationFile: main.py\n  driver: {{cores: 1}}\n  executor: {{cores: 1, instances: 1}}\n{spec}"
    );
    let job = Job {
        files: vec![of_bytes("a.yaml", app.as_bytes()), of_bytes(file.0, file.1.as_bytes())],
        ..Job::default()
    };
    let mut found = Found::default();
    judge(&job, &mut found);
    let findings = found.findings.into_iter();
    findings
        .map(|one| (one.severity, one.file.clone(), one.fix_text().to_owned()))
        .collect()
}

const OFFICIAL: &str = "apache/spark:4.1.4";

#[test]
fn each_connector_that_code_uses_is_told_with_its_package() {
    for (code, package) in [
        ("spark.read.parquet('s3a://b/c')", "org.apache.hadoop:hadoop-aws:3.4.2"),
        (
            "path = f's3a://{bucket}/c'\nspark.read.parquet(path)",
            "org.apache.hadoop:hadoop-aws:3.4.2",
        ),
        (
            "df.write.save('abfss://c@a.dfs.core.windows.net/x')",
            "org.apache.hadoop:hadoop-azure:3.4.2",
        ),
        (
            "df.write.save('gs://b/x')",
            "com.google.cloud.bigdataoss:gcs-connector:",
        ),
        (
            "spark.readStream.format('kafka').load()",
            "org.apache.spark:spark-sql-kafka-0-10_2.13:4.1.4",
        ),
        (
            "df.write.format('avro').save('x')",
            "org.apache.spark:spark-avro_2.13:4.1.4",
        ),
        (
            "from pyspark.sql.avro.functions import from_avro",
            "org.apache.spark:spark-avro_2.13:4.1.4",
        ),
        (
            "df.write.format(\"iceberg\").save('x')",
            "org.apache.iceberg:iceberg-spark-runtime-4.1_2.13:",
        ),
        ("df.write.format('delta').save('x')", "io.delta:delta-spark_4.1_2.13:"),
        (
            "spark.sql('CREATE TABLE t (a INT) USING iceberg')",
            "org.apache.iceberg:iceberg-spark-runtime-4.1_2.13:",
        ),
        (
            "spark.read.jdbc('jdbc:postgresql://h/d', 't')",
            "org.postgresql:postgresql:",
        ),
        (
            "r.option('url', 'jdbc:mysql://h/d').load()",
            "com.mysql:mysql-connector-j:",
        ),
        (
            "r.option('driver', 'com.microsoft.sqlserver.jdbc.SQLServerDriver')",
            "com.microsoft.sqlserver:mssql-jdbc:",
        ),
        ("U = 'jdbc:snowflake://x'", "snowflake-jdbc"),
    ] {
        let found = said(OFFICIAL, "", ("main.py", code));
        assert_eq!(found.len(), 1, "{code}: {found:?}");
        assert_eq!(
            (found[0].0, found[0].1.as_str()),
            (Severity::Error, "main.py"),
            "{code}"
        );
        assert!(found[0].2.contains(package), "{code}: {}", found[0].2);
        // Another image may have anything; a named package has it.
        assert_eq!(said("acme/spark:1", "", ("main.py", code)), [], "{code}");
        let package = found[0]
            .2
            .split('`')
            .nth(1)
            .unwrap_or("net.snowflake:snowflake-jdbc:3.19.0");
        let deps = format!("  deps: {{packages: ['{package}']}}\n");
        assert_eq!(said(OFFICIAL, &deps, ("main.py", code)), [], "{code}");
    }
}

#[test]
fn what_is_no_use_is_not_told() {
    for code in [
        "'''Reads s3a://bucket.'''\nx = 1",
        "# s3a://b\nx = 1",
        "print('s3a is a file system')",
        "spark.read.parquet('hdfs://x')",
        "spark.read.format('parquet').load('x')",
        "a.join(b, 'delta')",
        "spark.sql('SELECT * FROM a JOIN b USING (delta)')",
        "spark.read.jdbc('jdbc:derby:memory:x', 't')",
        "SparkSession.builder.config('spark.jars.packages', 'org.apache.hadoop:hadoop-aws:3.4.2').getOrCreate()\nspark.read.parquet('s3a://b')",
        "x = (",
    ] {
        assert_eq!(said(OFFICIAL, "", ("main.py", code)), [], "{code}");
    }
    // A library of tests is not run.
    assert_eq!(said(OFFICIAL, "", ("tests/test_a.py", "P = 's3a://b'")), []);
}

#[test]
fn manifests_sql_and_jars() {
    let nothing = ("notes.txt", "");
    for (spec, line) in [
        ("  sparkConf: {spark.sql.warehouse.dir: 's3a://b/w'}\n", 1),
        ("  arguments: ['s3a://b/in']\n", 1),
        (
            "  sparkConf: {spark.sql.catalog.lake: org.apache.iceberg.spark.SparkCatalog}\n",
            1,
        ),
        (
            "  sparkConf: {spark.sql.extensions: io.delta.sql.DeltaSparkSessionExtension}\n",
            1,
        ),
        ("  deps: {files: ['s3a://b/x']}\n", 1),
        ("  sparkConf: {spark.hadoop.fs.s3a.endpoint: 'http://m:9000'}\n", 0),
        (
            "  sparkConf: {spark.hadoop.fs.s3a.impl: org.apache.hadoop.fs.s3a.S3AFileSystem}\n",
            0,
        ),
        (
            "  sparkConf: {spark.sql.warehouse.dir: 's3a://b/w'}\n  deps: {jars: ['local:///opt/hadoop-aws-3.4.2.jar']}\n",
            0,
        ),
    ] {
        assert_eq!(said(OFFICIAL, spec, nothing).len(), line, "{spec}");
    }
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: code}\ndata:\n  main.py: |\n    spark.read.load('s3a://b')\n  other.py: |\n    spark.read.load('gs://b')\n";
    let named = "  volumes: [{name: v, configMap: {name: code}}]\n";
    // It is another application's.
    assert_eq!(said(OFFICIAL, "", ("map.yaml", map)), []);
    let found = said(OFFICIAL, named, ("map.yaml", map));
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].0, found[0].1.as_str()), (Severity::Error, "map.yaml"));
    let sql = ("q.sql", "CREATE TABLE t USING delta LOCATION 's3a://b/t'");
    let found = said(OFFICIAL, "", sql);
    assert_eq!(found.len(), 2, "{found:?}");
    // Whether it is run is not known.
    assert!(found.iter().all(|one| one.0 == Severity::Warning && one.1 == "q.sql"));
    // A jar may hold anything.
    let jar = "  deps: {jars: ['local:///opt/all.jar']}\n";
    assert_eq!(
        said(OFFICIAL, jar, ("main.py", "spark.read.load('s3a://b')"))[0].0,
        Severity::Warning
    );
    let secret = said(
        OFFICIAL,
        "",
        ("main.py", "U = 'jdbc:postgresql://u:hunter22@h/d?password=hunter22'"),
    );
    assert!(!format!("{secret:?}").contains("hunter22"));
}
