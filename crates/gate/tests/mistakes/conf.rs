//! Mistakes in Spark configuration.

use stoke_gate::Gate;

use super::{APP, JVM, Mistake, PROPERTIES, Row, rows};

const PARTITIONS: &str = "    spark.sql.shuffle.partitions: \"200\"";

const IN_APP: &[Row] = &[
    (
        PARTITIONS,
        "    spark.sql.shuffle.partition: \"200\"",
        "conf-unknown-key",
        "",
    ),
    (PARTITIONS, "    spark.executor.memry: 2g", "conf-unknown-key", ""),
    (
        PARTITIONS,
        "    spark.sql.adaptive.coalescePartition.enabled: \"true\"",
        "conf-unknown-key",
        "",
    ),
    (
        PARTITIONS,
        "    spark.sql.Shuffle.Partitions: \"200\"",
        "conf-wrong-case",
        "",
    ),
    (
        PARTITIONS,
        "    spark.sql.shuffle.partitions: many",
        "conf-wrong-type",
        "",
    ),
    (
        PARTITIONS,
        "    spark.sql.shuffle.partitions: \"0\"",
        "conf-bad-value",
        "",
    ),
    (
        PARTITIONS,
        "    spark.serializer.objectStreamReset: often",
        "conf-wrong-type",
        "",
    ),
    (PARTITIONS, "    spark.speculation: \"yes\"", "conf-wrong-type", ""),
    (
        PARTITIONS,
        "    spark.network.timeout: 2 fortnights",
        "conf-wrong-type",
        "",
    ),
    (
        PARTITIONS,
        "    spark.sql.files.maxPartitionBytes: 128 megs",
        "conf-wrong-type",
        "",
    ),
    (
        PARTITIONS,
        "    fs.s3a.endpoint: https://s3.example.com",
        "conf-no-prefix",
        "",
    ),
    (PARTITIONS, "    spark.master: \"local[2]\"", "conf-refused", ""),
    (PARTITIONS, "    spark.submit.deployMode: cluster", "conf-refused", ""),
    (
        PARTITIONS,
        "    spark.kubernetes.namespace: elsewhere",
        "conf-refused",
        "",
    ),
    (
        PARTITIONS,
        "    spark.kubernetes.container.image: apache/spark:3.5.9",
        "conf-refused",
        "",
    ),
    (PARTITIONS, "    spark.executor.memory: 8g", "conf-overridden", ""),
    (
        PARTITIONS,
        "    spark.shuffle.service.enabled: \"true\"",
        "conf-shuffle-service",
        "",
    ),
    (
        PARTITIONS,
        "    spark.executor.heartbeatInterval: 200s",
        "conf-heartbeat",
        "",
    ),
    (PARTITIONS, "    spark.network.timeout: 5s", "conf-heartbeat", ""),
    (
        PARTITIONS,
        "    spark.memory.offHeap.enabled: \"true\"",
        "conf-off-heap-size",
        "",
    ),
    (
        PARTITIONS,
        "    spark.eventLog.enabled: \"true\"\n    spark.eventLog.dir: /tmp/events",
        "conf-event-log-directory",
        "spark.eventLog.dir",
    ),
    (
        PARTITIONS,
        "    spark.dynamicAllocation.maxExecutors: \"5\"",
        "conf-dynamic-off",
        "",
    ),
];

const IN_JVM: &[Row] = &[(
    "  dynamicAllocation:\n",
    "  sparkConf:\n    spark.dynamicAllocation.shuffleTracking.enabled: \"false\"\n  dynamicAllocation:\n",
    "conf-dynamic-no-shuffle",
    "shuffleTracking",
)];

const IN_PROPERTIES: &[Row] = &[
    (
        "spark.sql.shuffle.partitions 200",
        "spark.sql.shuffle.partitons 200",
        "conf-unknown-key",
        "",
    ),
    (
        "spark.executor.memory        4g",
        "spark.executor.memory        4 gigs",
        "conf-wrong-type",
        "",
    ),
    (
        "spark.executor.cores         2",
        "spark.executor.cores         two",
        "conf-wrong-type",
        "",
    ),
    (
        "spark.executor.cores         2",
        "spark.executor.cores         2\nspark.task.cpus              4",
        "conf-cores-per-task",
        "spark.task.cpus",
    ),
    (
        "spark.executor.cores         2",
        "spark.memory.offHeap.enabled true",
        "conf-off-heap-size",
        "",
    ),
    (
        "spark.executor.cores         2",
        "spark.dynamicAllocation.enabled true\nspark.dynamicAllocation.minExecutors 9\nspark.dynamicAllocation.maxExecutors 3",
        "conf-dynamic-range",
        "minExecutors",
    ),
    (
        "spark.executor.cores         2",
        "spark.dynamicAllocation.enabled true\nspark.dynamicAllocation.initialExecutors 9\nspark.dynamicAllocation.maxExecutors 3",
        "conf-dynamic-initial",
        "initialExecutors",
    ),
    (
        "spark.executor.cores         2",
        "spark.shuffle.service.enabled true",
        "conf-shuffle-service",
        "",
    ),
];

/// All of them.
pub fn all() -> Vec<Mistake> {
    let mut all = rows(Gate::Conf, APP, IN_APP);
    all.extend(rows(Gate::Conf, JVM, IN_JVM));
    all.extend(rows(Gate::Conf, PROPERTIES, IN_PROPERTIES));
    all
}
