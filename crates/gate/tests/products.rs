//! Jobs that use other products as their guides say have no finding.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use stoke_gate::waivers::Waivers;
use stoke_gate::{Gate, Job, Settings, check, job};

const BASE: &str = include_str!("mistakes/bases/app.yaml");
const JOBS: [&[(&str, &str)]; 5] = [
    &[
        (
            "spark.sql.extensions",
            "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        ),
        ("spark.sql.catalog.lake", "org.apache.iceberg.spark.SparkCatalog"),
        ("spark.sql.catalog.lake.type", "hadoop"),
        ("spark.sql.catalog.lake.warehouse", "s3a://lake/warehouse"),
        ("spark.sql.defaultCatalog", "lake"),
    ],
    &[
        (
            "spark.sql.catalog.spark_catalog",
            "org.apache.iceberg.spark.SparkSessionCatalog",
        ),
        ("spark.sql.catalog.spark_catalog.type", "hive"),
    ],
    &[
        ("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension"),
        (
            "spark.sql.catalog.spark_catalog",
            "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        ),
        ("spark.databricks.delta.retentionDurationCheck.enabled", "false"),
    ],
    &[
        (
            "spark.shuffle.manager",
            "org.apache.spark.shuffle.celeborn.SparkShuffleManager",
        ),
        ("spark.serializer", "org.apache.spark.serializer.KryoSerializer"),
        ("spark.celeborn.master.endpoints", "celeborn-0:9097"),
        ("spark.celeborn.client.push.replicate.enabled", "true"),
        ("spark.sql.adaptive.localShuffleReader.enabled", "false"),
    ],
    &[
        ("spark.plugins", "com.nvidia.spark.SQLPlugin"),
        ("spark.rapids.sql.concurrentGpuTasks", "2"),
        ("spark.executor.resource.gpu.amount", "1"),
        ("spark.executor.resource.gpu.vendor", "nvidia.com"),
        ("spark.task.resource.gpu.amount", "0.25"),
        (
            "spark.hadoop.fs.s3a.aws.credentials.provider",
            "software.amazon.awssdk.auth.credentials.WebIdentityTokenFileCredentialsProvider",
        ),
        ("spark.speculation", "true"),
        ("spark.speculation.quantile", "0.9"),
        ("spark.driver.maxResultSize", "512m"),
    ],
];

#[test]
fn what_guides_say_has_no_finding() {
    for conf in JOBS {
        let lines: String = conf
            .iter()
            .map(|(key, value)| format!("    {key}: \"{value}\"\n"))
            .collect();
        let text = BASE.replacen("  sparkConf:\n", &format!("  sparkConf:\n{lines}"), 1);
        let job = Job {
            files: vec![job::of_bytes("app.yaml", text.as_bytes())],
            ..Job::default()
        };
        let settings = Settings {
            gates: vec![Gate::Conf],
            ..Settings::default()
        };
        let report = check(&job, &settings, &Waivers::default());
        let found: Vec<String> = report.findings().map(|(_, finding)| finding.message.clone()).collect();
        assert!(found.is_empty(), "{found:#?}\nin\n{text}");
    }
}
