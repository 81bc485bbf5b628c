use crate::conf::Catalogue;

#[test]
fn typical_mistakes() {
    let mut report = String::new();
    for line in MISTAKES.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (version, pair) = line.split_once(' ').unwrap();
        let (key, value) = pair.split_once('=').unwrap();
        report.push_str(line);
        report.push('\n');
        for finding in Catalogue::for_version(version).lint([(key, value)]) {
            let suggestion = finding
                .suggestion
                .map_or(String::new(), |suggestion| format!(" -> {suggestion}"));
            report.push_str(&format!(
                "    {:?} {:?} {}: {}{suggestion}\n",
                finding.severity, finding.on, finding.code, finding.message
            ));
        }
    }
    insta::assert_snapshot!(report);
}

const MISTAKES: &str = "
4.1 spark.Executor.memory=4g
4.1 spark.dynamicallocation.enabled=true
4.1 spark.dynamic.allocation.enabled=true
4.1 spark.excutor.memory=4g
4.1 spark.executor.memroy=4g
4.1 spark.executor.memory_overhead=1g
4.1 spark.memory.executor=4g
4.1 spark.executor.core=2
4.1 spark.executor.num=2
4.1 spark.sql.shuffle.partition=200
4.1 spark.sql.adaptive.enable=true
4.1 spark.sql.autoBroadcastJoinTreshold=10m
4.1 spark.kubernetes.driver.labels.team=a
4.1 spark.kubernetes.executor.annotations.x=a
4.1 spark.kubernetes.excutor.label.x=a
4.1 spark.kubernetes.container.imagePullPolicy=Always
4.1 spark.kubernetes.driver.volumes.hostpath.data.mount.path=/data
4.1 spark.kubernetes.driver.volumes.hostPath.data.mount.path=/data
4.1 spark.kubernetes.driver.volumes.hostPath.data.mount.readOnly=yes
4.1 spark.executor.memory=1.5g
4.1 spark.executor.memory=4Gi
4.1 spark.executor.memory=4gb
4.1 spark.executor.memory=four
4.1 spark.executor.cores=2.0
4.1 spark.executor.cores=two
4.1 spark.executor.instances=1,000
4.1 spark.sql.adaptive.enabled=yes
4.1 spark.sql.adaptive.enabled=TRUE
4.1 spark.network.timeout=10 minutes
4.1 spark.network.timeout=1.5h
4.1 spark.network.timeout=800s
4.1 spark.memory.fraction=60%
4.1 spark.sql.shuffle.partitions=0
4.1 spark.sql.sources.partitionOverwriteMode=dynamic
4.1 spark.sql.sources.partitionOverwriteMode=dynamc
4.1 spark.sql.parquet.compression.codec=snapy
4.1 spark.kubernetes.container.image.pullPolicy=always
4.1 spark.sql.legacy.parquet.datetimeRebaseModeInWrite=LEGACY
3.5 spark.sql.legacy.parquet.datetimeRebaseModeInWrite=LEGACY
4.1 spark.sql.hive.verifyPartitionPath=false
4.1 spark.yarn.executor.memoryOverhead=512
4.1 spark.kryoserializer.buffer.mb=8
4.1 spark.shuffle.spill=true
4.1 spark.blacklist.enabled=true
4.1 spark.executor.port=7000
4.1 spark.sql.execution.arrow.enabled=true
4.1 spark.sql.adaptive.shuffle.targetPostShuffleInputSize=64m
4.1 spark.mesos.role=a
3.5 spark.mesos.role=a
3.5 spark.api.mode=connect
4.0 spark.sql.binaryOutputStyle=HEX
3.5 spark.connect.grpc.binding.port=15003
4.1 executor.memory=4g
4.1 fs.s3a.endpoint=http://minio:9000
4.1 hive.metastore.uris=thrift://h:9083
4.1 sparks.executor.memory=4g
4.1 spark.executor.memory =4g
4.1 spark.master= local[2]
4.1 spark.executor.extraJavaOptions= -Dx=y
4.1 spark.executor.cores= 2
4.1 spark.executor.memory=${spark.driver.memory}
4.1 spark.executor.cores=${env:CORES}
4.1 spark.executor.cores=${CORES}
4.1 spark.hadoop.fs.s3a.endpoint=http://minio:9000
4.1 spark.sql.catalog.iceberg.uri=http://rest
4.1 spark.databricks.delta.optimizeWrite.enabled=true
4.1 spark.openlineage.transport.type=http
4.1 spark.myapp.input=s3a://b
4.1 spark.executor.resource.gpu.amount=1
4.1 spark.executor.resource.gpu.amuont=1
4.1 spark.sql.streaming.stateStore.providerClas=a.B
4.1 spark.sql.streaming.stateStore.rocksdb.compactOnComit=true
4.1 spark.sql.streaming.stateStore.mine.option=true
4.1 spark.hadoop.cloneconf=true
4.1 spark.sql.sources.partitionOverwriteMod=dynamic
4.1 spark.python.worker.memry=1g
4.1 spark.ssl.ui.enabeld=true
4.1 spark.ssl.ui.port=x
4.1 spark.sql.defaultSizeInBytes=5
4.1 spark.executor.memory=4GiB
4.3 spark.executor.memory=4GiB
4.1 spark.executorenv.FOO=1
4.1 spark.kubernetes.driverenv.FOO=1
4.1 spark.kubernetes.executorEnv.FOO=1
4.1 spark.driver.memoryOverheadFactor=0
4.1 spark.dynamicAllocation.maxexecutors=10
4.1 spark.sql.session.timezone=UTC
4.1 spark.sql.shuffle.partitions=auto
4.1 spark.scheduler.mode=fair
4.1 spark.log.level=verbose
4.1 spark.eventLog.compress=1
4.1 spark.ui.prometheus.enable=true
4.1 spark.jars.package=a:b:1
4.1 spark.submit.deployMode=cluster
4.1 spark.shuffle.io.maxRetries=3
4.1 spark.shuffle.io.connectionTimeout=two
";

#[test]
fn a_pair_without_fault_passes() {
    let conf = [
        ("spark.executor.memory", "4g"),
        ("spark.sql.adaptive.enabled", "true"),
        ("spark.kubernetes.driver.label.team", "data"),
    ];
    assert_eq!(Catalogue::for_version("4.1").lint(conf), []);
}
