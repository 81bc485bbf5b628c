use stoke_diagnostics::Severity;

use super::super::third_party::{ICEBERG_TYPES, lint, without_bucket};

const TABLE: &str = include_str!("../../../data/third-party-conf.tsv");

fn codes(spark: &str, conf: &[(&str, &str)]) -> Vec<(&'static str, String)> {
    let found = lint(Some(spark), conf).into_iter();
    found
        .map(|finding| {
            (
                finding.code,
                finding.suggestion.map(|one| one.to_string()).unwrap_or_default(),
            )
        })
        .collect()
}

/// What the products' own guides set, which no one may complain about.
const GUIDES: [&[(&str, &str)]; 7] = [
    &[
        ("spark.hadoop.fs.s3a.endpoint", "https://minio:9000"),
        ("spark.hadoop.fs.s3a.path.style.access", "true"),
        ("spark.hadoop.fs.s3a.connection.maximum", "200"),
        ("spark.hadoop.fs.s3a.multipart.size", "64M"),
        ("spark.hadoop.fs.s3a.fast.upload.buffer", "bytebuffer"),
        (
            "spark.hadoop.fs.s3a.bucket.logs.example.com.endpoint.region",
            "eu-central-1",
        ),
        ("spark.hadoop.fs.s3a.retry.interval", "500ms"),
        ("spark.hadoop.fs.s3a.block.size", "${env.BLOCK_SIZE:-32M}"),
        ("spark.hadoop.fs.s3a.my.own", "whatever"),
    ],
    &[
        ("spark.sql.catalog.lake", "org.apache.iceberg.spark.SparkCatalog"),
        ("spark.sql.catalog.lake.type", "rest"),
        ("spark.sql.catalog.lake.uri", "https://catalog/api"),
        ("spark.sql.catalog.lake.warehouse", "s3://w"),
        ("spark.sql.catalog.lake.io-impl", "org.apache.iceberg.aws.s3.S3FileIO"),
        ("spark.sql.catalog.lake.s3.endpoint", "http://minio:9000"),
        ("spark.sql.catalog.lake.s3.path-style-access", "true"),
        ("spark.sql.catalog.lake.client.region", "eu-central-1"),
        ("spark.sql.catalog.lake.default-namespace", "sales"),
        ("spark.sql.catalog.lake.table-default.write.format.default", "orc"),
        (
            "spark.sql.catalog.lake.table-override.write.metadata.compression-codec",
            "gzip",
        ),
        ("spark.sql.catalog.lake.header.X-Team", "sales"),
        ("spark.sql.catalog.lake.rest.sigv4-enabled", "true"),
        ("spark.sql.catalog.lake.cache.expiration-interval-ms", "30000"),
        ("spark.sql.catalog.lake.credential", "id:${env:SECRET}"),
    ],
    &[
        ("spark.sql.iceberg.handle-timestamp-without-timezone", "true"),
        ("spark.sql.iceberg.vectorization.enabled", "false"),
        ("spark.sql.iceberg.planning.preserve-data-grouping", "true"),
    ],
    &[
        ("spark.databricks.delta.retentionDurationCheck.enabled", "false"),
        ("spark.databricks.delta.optimizeWrite.enabled", "true"),
        ("spark.databricks.delta.schema.autoMerge.enabled", "true"),
        (
            "spark.databricks.delta.properties.defaults.enableChangeDataFeed",
            "true",
        ),
        (
            "spark.databricks.delta.properties.defaults.logRetentionDuration",
            "interval 30 days",
        ),
        ("spark.databricks.delta.preview.enabled", "true"),
    ],
    &[
        ("spark.celeborn.master.endpoints", "c-0:9097,c-1:9097"),
        ("spark.celeborn.client.push.replicate.enabled", "true"),
        ("spark.celeborn.client.spark.shuffle.writer", "hash"),
        ("spark.celeborn.data.io.numConnectionsPerPeer", "2"),
        ("spark.celeborn.client.fetch.timeout", "600s"),
        ("spark.celeborn.client.spark.push.sort.memory.threshold", "64m"),
    ],
    &[
        ("spark.plugins", "com.nvidia.spark.SQLPlugin"),
        ("spark.rapids.sql.concurrentGpuTasks", "2"),
        ("spark.rapids.sql.explain", "NOT_ON_GPU"),
        ("spark.rapids.memory.pinnedPool.size", "2g"),
        ("spark.rapids.sql.batchSizeBytes", "512m"),
        ("spark.rapids.sql.exec.CollectLimitExec", "true"),
        ("spark.rapids.sql.expression.Upper", "false"),
        ("spark.rapids.shuffle.mode", "MULTITHREADED"),
    ],
    // The class of a catalog of others is not ours to judge.
    &[
        ("spark.sql.catalog.other", "com.example.Catalog"),
        ("spark.sql.catalog.other.cache-enable", "perhaps"),
    ],
];

#[test]
fn what_guides_say_is_right() {
    for version in ["3.5.9", "4.0.1", "4.1.4", "4.3.0"] {
        for guide in GUIDES {
            assert_eq!(codes(version, guide), [], "{version}");
        }
    }
}

#[test]
fn every_default_is_of_its_type() {
    for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [product, key, versions, _, default] = columns[..] else {
            panic!("{line}");
        };
        let before = match product {
            "hadoop-aws" => "spark.hadoop.",
            "celeborn" => "spark.",
            "iceberg-catalog" => "spark.sql.catalog.c.",
            _ => "",
        };
        let spark = if versions.contains("3.4.2") {
            "4.1.4"
        } else if versions.contains("3.3.4") {
            "3.5.9"
        } else {
            "4.3.0"
        };
        let key = format!(
            "{before}{}",
            key.replace("<module>", "rpc").replace("<name>", "FilterExec")
        );
        let conf = [
            ("spark.sql.catalog.c", "org.apache.iceberg.spark.SparkCatalog"),
            (key.as_str(), default),
        ];
        if product != "hadoop-aws" || versions.contains(crate::distribution::of(spark).unwrap().hadoop) {
            assert_eq!(codes(spark, &conf), [], "{line}");
        }
    }
}

#[test]
fn slips_in_keys_of_rapids() {
    let slip = |key, value| codes("3.5.9", &[(key, value)]);
    assert_eq!(
        slip("spark.rapids.sql.concurentGpuTasks", "2"),
        [(
            "conf-unknown-key",
            "write spark.rapids.sql.concurrentGpuTasks".to_owned()
        )]
    );
    assert_eq!(slip("spark.rapids.sql.enabled", "yes")[0].0, "conf-wrong-type");
    assert_eq!(
        slip("spark.rapids.memory.pinnedPool.size", "much")[0].0,
        "conf-wrong-type"
    );
}

#[test]
fn keys_that_no_recorded_version_has_are_told_where_a_product_hands_none_on() {
    for key in [
        "spark.sql.iceberg.v2.enabled",
        "spark.rapids.sql.fallback.enabled",
        "spark.rapids.sql.something.new",
        "spark.databricks.delta.magic.level",
        "spark.celeborn.shuffle.turbo",
    ] {
        let found = lint(Some("4.1.4"), &[(key, "true")]);
        let codes: Vec<&str> = found.iter().map(|found| found.code).collect();
        assert_eq!(codes, ["conf-unknown-key"], "{key}");
        assert_eq!(found[0].severity, Severity::Warning);
    }
    for key in [
        "spark.rapids.sql.expression.Add",
        "spark.rapids.sql.exec.ProjectExec",
        "spark.databricks.delta.properties.defaults.my.own",
        "spark.hadoop.fs.s3a.custom.thing",
        "spark.sql.catalog.lake.anything",
        "spark.hadoop.fs.gs.anything",
    ] {
        let catalog = ("spark.sql.catalog.lake", "org.apache.iceberg.spark.SparkCatalog");
        assert_eq!(lint(Some("4.1.4"), &[catalog, (key, "true")]), [], "{key}");
    }
}

#[test]
fn hadoop_of_the_spark_decides() {
    // A length of time since Hadoop 3.4, and a number of milliseconds before.
    let conf = [("spark.hadoop.fs.s3a.connection.timeout", "200s")];
    assert_eq!(codes("4.1.4", &conf), []);
    assert_eq!(codes("3.5.9", &conf), [("conf-wrong-type", String::new())]);
    assert_eq!(lint(None, &conf), []);
}

#[test]
fn buckets() {
    for (key, plain) in [
        ("fs.s3a.endpoint", "fs.s3a.endpoint"),
        ("fs.s3a.bucket.logs.endpoint", "fs.s3a.endpoint"),
        ("fs.s3a.bucket.logs.endpoint.region", "fs.s3a.endpoint.region"),
        (
            "fs.s3a.bucket.logs.example.com.endpoint.region",
            "fs.s3a.endpoint.region",
        ),
        ("fs.s3a.bucket.logs.nothing", "fs.s3a.nothing"),
        ("fs.s3a.bucket.", "fs.s3a.bucket."),
        ("fs.s3a.bucket.x", "fs.s3a.bucket.x"),
    ] {
        assert_eq!(without_bucket(key), plain, "{key}");
        // No key makes it panic.
        let _ = lint(None, &[(&format!("spark.hadoop.{key}"), "x")]);
    }
}

#[test]
fn slips_are_corrected_where_they_were_made() {
    let catalog = ("spark.sql.catalog.lake", "org.apache.iceberg.spark.SparkCatalog");
    for (key, meant) in [
        (
            "spark.hadoop.fs.s3a.bucket.logs.endpont",
            "write spark.hadoop.fs.s3a.bucket.logs.endpoint",
        ),
        ("spark.hadoop.fs.s3a.acces.key", "write spark.hadoop.fs.s3a.access.key"),
        (
            "spark.sql.catalog.lake.cache-enable",
            "write spark.sql.catalog.lake.cache-enabled",
        ),
        ("spark.sql.catalog.lake.ioImpl", "write spark.sql.catalog.lake.io-impl"),
        (
            "spark.celeborn.client.push.replicate.enable",
            "write spark.celeborn.client.push.replicate.enabled",
        ),
    ] {
        let conf = [catalog, (key, "x")];
        assert_eq!(codes("4.1.4", &conf), [("conf-unknown-key", meant.to_owned())]);
    }
}

#[test]
fn types_of_catalogs_are_those_recorded() {
    let recorded = TABLE.lines().find(|line| line.contains("\tone-of:"));
    let recorded = recorded.and_then(|line| line.split("one-of:").nth(1)).unwrap();
    assert_eq!(recorded.trim().split('|').collect::<Vec<_>>(), ICEBERG_TYPES);
}
