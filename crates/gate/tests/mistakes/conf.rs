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
    (
        PARTITIONS,
        "    spark.task.cpus: \"4\"",
        "conf-cores-per-task",
        "spark.task.cpus",
    ),
    (
        PARTITIONS,
        "    spark.task.cpus: \"0\"",
        "conf-cores-per-task",
        "spark.task.cpus",
    ),
    (
        PARTITIONS,
        "    spark.network.timeout: \"30s\"",
        "conf-heartbeat-check",
        "",
    ),
    (
        PARTITIONS,
        "    spark.storage.blockManagerHeartbeatTimeoutMs: \"20000\"",
        "conf-heartbeat-check",
        "",
    ),
    (
        PARTITIONS,
        "    spark.network.timeoutInterval: \"5min\"",
        "conf-heartbeat-check",
        "",
    ),
    (
        PARTITIONS,
        "    spark.network.crypto.enabled: \"true\"",
        "conf-encryption",
        "",
    ),
    (
        PARTITIONS,
        "    spark.kryoserializer.buffer.max: \"2g\"",
        "conf-kryo-buffer",
        "",
    ),
    (
        PARTITIONS,
        "    spark.task.resource.gpu.amount: \"1\"",
        "conf-task-resources",
        "",
    ),
    (
        PARTITIONS,
        "    spark.executor.resource.gpu.amount: \"1\"\n    spark.executor.resource.gpu.vendor: \"nvidia.com\"\n    spark.task.resource.gpu.amount: \"2\"",
        "conf-task-resources",
        "spark.task.resource",
    ),
    (
        PARTITIONS,
        "    spark.executor.resource.gpu.amount: \"1\"\n    spark.executor.resource.gpu.vendor: \"nvidia.com\"\n    spark.task.resource.gpu.amount: \"0.7\"",
        "conf-task-resources",
        "spark.task.resource",
    ),
    (
        PARTITIONS,
        "    spark.executor.resource.gpu.vendor: \"nvidia.com\"",
        "conf-resource-amount",
        "",
    ),
    (PARTITIONS, "    spark.rpc.askTimeout: \"0\"", "conf-no-time", ""),
    (
        PARTITIONS,
        "    spark.speculation: \"true\"\n    spark.speculation.interval: \"0\"",
        "conf-no-time",
        "speculation.interval",
    ),
    (PARTITIONS, "    spark.blockManager.port: \"80\"", "conf-port", ""),
    (PARTITIONS, "    spark.driver.port: \"7079\"", "conf-one-port", ""),
    (PARTITIONS, "    spark.port.maxRetries: \"-1\"", "conf-no-retries", ""),
    (PARTITIONS, "    spark.serializer: \"Kryo\"", "conf-class-name", ""),
    (
        PARTITIONS,
        "    spark.serializer: \"org.apache.spark.serializer.KryoSerialiser\"",
        "conf-class-name",
        "",
    ),
    (PARTITIONS, "    spark.shuffle.manager: \"hash\"", "conf-class-name", ""),
    (PARTITIONS, "    spark.io.compression.codec: \"gzip\"", "conf-codec", ""),
    (
        PARTITIONS,
        "    spark.speculation.quantile: \"0.9\"",
        "conf-no-effect",
        "",
    ),
    (
        PARTITIONS,
        "    spark.storage.decommission.shuffleBlocks.enabled: \"true\"",
        "conf-no-effect",
        "",
    ),
    (
        PARTITIONS,
        "    spark.sql.adaptive.skewJoin.enabled: \"false\"\n    spark.sql.adaptive.skewJoin.skewedPartitionFactor: \"3\"",
        "conf-no-effect",
        "skewedPartitionFactor",
    ),
    (
        PARTITIONS,
        "    spark.yarn.maxAppAttempts: \"3\"",
        "conf-other-cluster",
        "",
    ),
    (
        PARTITIONS,
        "    spark.kubernetes.executor.rollInterval: \"1h\"",
        "conf-executor-roll",
        "",
    ),
    (
        PARTITIONS,
        "    spark.driver.maxResultSize: \"4g\"",
        "conf-result-size",
        "",
    ),
    (
        PARTITIONS,
        "    spark.sql.autoBroadcastJoinThreshold: \"10g\"",
        "conf-broadcast-size",
        "",
    ),
    (
        PARTITIONS,
        "    spark.sql.adaptive.coalescePartitions.minPartitionSize: \"128m\"",
        "conf-adaptive-sizes",
        "",
    ),
    (
        PARTITIONS,
        "    spark.sql.catalog.lake: \"org.apache.iceberg.spark.SparkCatalog\"\n    spark.sql.catalog.lake.type: \"hdfs\"",
        "conf-iceberg-catalog",
        "lake.type",
    ),
    (
        PARTITIONS,
        "    spark.sql.catalog.lake: \"org.apache.iceberg.spark.SparkCatalog\"\n    spark.sql.catalog.lake.type: \"hadoop\"",
        "conf-iceberg-incomplete",
        "lake.type",
    ),
    (
        PARTITIONS,
        "    spark.sql.catalog.lake: \"org.apache.iceberg.spark.SparkCatalog\"\n    spark.sql.catalog.lake.type: \"rest\"\n    spark.sql.catalog.lake.warehouse: \"s3://w\"",
        "conf-iceberg-incomplete",
        "lake.type",
    ),
    (
        PARTITIONS,
        "    spark.sql.catalog.lake: \"org.apache.iceberg.spark.SparkCatalog\"\n    spark.sql.catalog.lake.warehouse: \"s3://w\"",
        "conf-iceberg-incomplete",
        "catalog.lake:",
    ),
    (
        PARTITIONS,
        "    spark.sql.catalog.lake: \"org.apache.iceberg.spark.SparkCatalog\"\n    spark.sql.catalog.lake.type: \"rest\"\n    spark.sql.catalog.lake.uri: \"http://c\"\n    spark.sql.catalog.lake.cache-enable: \"false\"",
        "conf-unknown-key",
        "cache-enable:",
    ),
    (
        PARTITIONS,
        "    spark.sql.catalog.lake: \"org.apache.iceberg.spark.SparkCatalog\"\n    spark.sql.catalog.lake.type: \"rest\"\n    spark.sql.catalog.lake.uri: \"http://c\"\n    spark.sql.catalog.lake.s3.path-style-access: \"yes\"",
        "conf-wrong-type",
        "path-style",
    ),
    (
        PARTITIONS,
        "    spark.sql.catalog.lake.type: \"rest\"",
        "conf-catalog-class",
        "",
    ),
    (
        PARTITIONS,
        "    spark.sql.defaultCatalog: \"lake\"",
        "conf-default-catalog",
        "",
    ),
    (
        PARTITIONS,
        "    spark.sql.extensions: \"io.delta.sql.DeltaSparkSessionExtension\"",
        "conf-delta-catalog",
        "",
    ),
    (
        PARTITIONS,
        "    spark.sql.catalog.spark_catalog: \"org.apache.spark.sql.delta.catalog.DeltaCatalog\"",
        "conf-delta-extension",
        "",
    ),
    (
        PARTITIONS,
        "    spark.databricks.delta.retentionDurationCheck.enable: \"false\"",
        "conf-unknown-key",
        "",
    ),
    (
        PARTITIONS,
        "    spark.databricks.delta.retentionDurationCheck.enabled: \"no\"",
        "conf-wrong-type",
        "",
    ),
    (
        PARTITIONS,
        "    spark.databricks.delta.properties.defaults.appendOnly: \"no\"",
        "conf-wrong-type",
        "",
    ),
    (
        PARTITIONS,
        "    spark.hadoop.fs.s3a.path.style.acess: \"true\"",
        "conf-unknown-key",
        "",
    ),
    (
        PARTITIONS,
        "    spark.hadoop.fs.s3a.bucket.logs.endpont: \"s3.example.com\"",
        "conf-unknown-key",
        "",
    ),
    (
        PARTITIONS,
        "    spark.hadoop.fs.s3a.connection.maximum: \"many\"",
        "conf-wrong-type",
        "",
    ),
    (
        PARTITIONS,
        "    spark.hadoop.fs.s3a.bucket.logs.path.style.access: \"yes\"",
        "conf-wrong-type",
        "",
    ),
    (
        PARTITIONS,
        "    spark.hadoop.fs.s3a.multipart.size: \"64 MB\"",
        "conf-wrong-type",
        "",
    ),
    (
        PARTITIONS,
        "    spark.hadoop.fs.s3a.aws.credentials.provider: \"com.amazonaws.auth.DefaultAWSCredentialsProviderChain\"",
        "conf-aws-sdk",
        "",
    ),
    (
        PARTITIONS,
        "    spark.hadoop.hive.metastore.uris: \"metastore:9083\"",
        "conf-catalog-address",
        "",
    ),
    (
        PARTITIONS,
        "    spark.shuffle.manager: \"org.apache.spark.shuffle.celeborn.RssShuffleManager\"\n    spark.celeborn.master.endpoints: \"c:9097\"",
        "conf-class-gone",
        "",
    ),
    (
        PARTITIONS,
        "    spark.sql.iceberg.v2.enabled: \"true\"",
        "conf-unknown-key",
        "",
    ),
    (
        PARTITIONS,
        "    spark.hadoop.fs.s3a.committer.name: \"magic\"",
        "conf-committer",
        "",
    ),
    (
        PARTITIONS,
        "    spark.rapids.sql.concurrentGpuTasks: \"2\"",
        "conf-rapids-plugin",
        "",
    ),
    (
        PARTITIONS,
        "    spark.plugins: \"com.nvidia.spark.SQLPlugin\"",
        "conf-rapids-gpu",
        "",
    ),
    (
        PARTITIONS,
        "    spark.rapids.sql.concurentGpuTasks: \"2\"\n    spark.plugins: \"com.nvidia.spark.SQLPlugin\"\n    spark.executor.resource.gpu.amount: \"1\"\n    spark.executor.resource.gpu.vendor: \"nvidia.com\"",
        "conf-unknown-key",
        "concurentGpuTasks",
    ),
    (
        PARTITIONS,
        "    spark.shuffle.manager: \"org.apache.spark.shuffle.celeborn.SparkShuffleManager\"",
        "conf-celeborn-master",
        "",
    ),
    (
        PARTITIONS,
        "    spark.celeborn.client.push.replicate.enabled: \"true\"",
        "conf-celeborn-manager",
        "",
    ),
    (
        PARTITIONS,
        "    spark.shuffle.manager: \"org.apache.spark.shuffle.celeborn.SparkShuffleManager\"\n    spark.celeborn.master.endpoints: \"c:9097\"\n    spark.celeborn.client.push.replicate.enabeld: \"true\"",
        "conf-unknown-key",
        "enabeld",
    ),
    (
        PARTITIONS,
        "    spark.shuffle.manager: \"org.apache.spark.shuffle.celeborn.SparkShuffleManager\"\n    spark.celeborn.master.endpoints: \"c:9097\"\n    spark.celeborn.client.fetch.timeout: \"10 minutes\"",
        "conf-wrong-type",
        "fetch.timeout",
    ),
    (
        "    memory: 2g",
        "    memory: 2g\n    javaOptions: -Xmx3g",
        "conf-java-options",
        "-Xmx3g",
    ),
];

const IN_JVM: &[Row] = &[
    (
        "  dynamicAllocation:\n",
        "  sparkConf:\n    spark.dynamicAllocation.shuffleTracking.enabled: \"false\"\n  dynamicAllocation:\n",
        "conf-dynamic-no-shuffle",
        "shuffleTracking",
    ),
    (
        "  dynamicAllocation:\n",
        "  sparkConf:\n    spark.dynamicAllocation.executorAllocationRatio: \"0\"\n  dynamicAllocation:\n",
        "conf-dynamic-value",
        "executorAllocationRatio",
    ),
    (
        "  dynamicAllocation:\n",
        "  sparkConf:\n    spark.dynamicAllocation.schedulerBacklogTimeout: \"0s\"\n  dynamicAllocation:\n",
        "conf-dynamic-value",
        "schedulerBacklogTimeout",
    ),
    (
        "  dynamicAllocation:\n",
        "  sparkConf:\n    spark.task.cpus: \"2\"\n  dynamicAllocation:\n",
        "conf-cores-per-task",
        "task.cpus",
    ),
    (
        "  dynamicAllocation:\n",
        "  sparkConf:\n    spark.sql.extensions: \"org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions\"\n  dynamicAllocation:\n",
        "conf-package-missing",
        "IcebergSpark",
    ),
];

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
    (
        "spark.executor.cores         2",
        "spark.dynamicAllocation.enabled true\nspark.dynamicAllocation.maxExecutors 0",
        "conf-dynamic-value",
        "maxExecutors",
    ),
    (
        "spark.executor.cores         2",
        "spark.authenticate false\nspark.network.crypto.enabled true",
        "conf-encryption",
        "crypto",
    ),
    (
        "spark.executor.cores         2",
        "spark.executor.extraJavaOptions -Dspark.ui.enabled=false",
        "conf-java-options",
        "",
    ),
    (
        "spark.executor.cores         2",
        "spark.sql.adaptive.enabled false\nspark.sql.adaptive.skewJoin.skewedPartitionFactor 3",
        "conf-no-effect",
        "skewedPartitionFactor",
    ),
    (
        "spark.executor.cores         2",
        "spark.hadoop.fs.s3a.endpoit s3.example.com",
        "conf-unknown-key",
        "",
    ),
    (
        "spark.executor.memory        4g",
        "spark.executor.memory        300m",
        "conf-little-memory",
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
