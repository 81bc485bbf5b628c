//! Applications that name components.

use serde_json::Value;
use stoke_model::manifest;
use stoke_platform::wire::application::wired;

use crate::{FULL, right};

fn wire(annotations: &str, version: &str, conf: &str) -> Result<Value, Vec<String>> {
    let text = format!(
        "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nmetadata:\n  name: a\n  annotations: {{{annotations}}}\nspec:\n  type: Python\n  mode: cluster\n  sparkVersion: {version}\n  image: apache/spark:{version}\n  mainApplicationFile: local:///a.py\n  sparkConf: {{{conf}}}\n  driver: {{}}\n  executor: {{instances: 1}}\n"
    );
    let (documents, found) = manifest::check("a.yaml", &text);
    assert!(!stoke_diagnostics::has_errors(&found), "{found:?}");
    let file = right(FULL);
    let resolved = file.in_environment(None).unwrap();
    let object = wired(&resolved.scope(), &documents[0]).map_err(|found| {
        found
            .iter()
            .map(|found| format!("{}:{} {} | {}", found.line, found.code, found.message, found.fix_text()))
            .collect::<Vec<_>>()
    })?;
    let (_, found) = manifest::check("wired.yaml", &object.to_string());
    let errors: Vec<String> = found
        .iter()
        .filter(|found| found.is_error())
        .map(ToString::to_string)
        .collect();
    assert!(errors.is_empty(), "{errors:?}");
    Ok(object)
}

#[test]
fn a_catalog_is_wired_with_what_fits_the_spark() {
    let app = wire("platform.stoke.dev/catalog: lake", "4.1.4", "").unwrap();
    let spec = &app["spec"];
    assert_eq!(
        spec["sparkConf"]["spark.sql.catalog.lake.uri"],
        "http://lake.whole.svc:19120/iceberg"
    );
    assert_eq!(
        spec["sparkConf"]["spark.sql.shuffle.partitions"], "100",
        "the Spark's own default"
    );
    assert_eq!(
        spec["deps"]["packages"][0],
        "org.apache.iceberg:iceberg-spark-runtime-4.1_2.13:1.12.0"
    );
    assert_eq!(spec["driver"]["env"][0]["valueFrom"]["secretKeyRef"]["name"], "keys");
    assert_eq!(spec["executor"]["labels"]["platform.stoke.dev/uses-lake"], "true");
    assert_eq!(spec["driver"]["serviceAccount"], "spark");
    let legacy = wire("platform.stoke.dev/catalog: lake", "3.5.9", "").unwrap();
    assert_eq!(
        legacy["spec"]["deps"]["packages"][0],
        "org.apache.iceberg:iceberg-spark-runtime-3.5_2.12:1.12.0"
    );
    let by_default = wire("", "4.1.4", "").unwrap();
    assert_eq!(
        by_default["spec"]["sparkConf"], spec["sparkConf"],
        "the catalog of the Spark"
    );
}

#[test]
fn shuffle_events_files_and_streams_are_wired() {
    let app = wire(
        "platform.stoke.dev/shuffle: shuffle, platform.stoke.dev/history: history, platform.stoke.dev/kafka: stream, platform.stoke.dev/store: files",
        "3.5.9",
        "",
    )
    .unwrap();
    let conf = &app["spec"]["sparkConf"];
    assert_eq!(conf["spark.eventLog.dir"], "s3a://whole/logs");
    assert!(
        conf["spark.celeborn.master.endpoints"]
            .as_str()
            .unwrap()
            .starts_with("shuffle-master-0.shuffle-master.whole.svc:9097,")
    );
    assert_eq!(
        conf["spark.hadoop.fs.s3a.bucket.whole.endpoint"],
        "http://minio.store.svc:9000"
    );
    let packages = app["spec"]["deps"]["packages"].to_string();
    for package in ["spark-sql-kafka-0-10_2.12:3.5.7", "hadoop-aws:3.3.4"] {
        assert!(packages.contains(package), "{packages}");
    }
    let env = app["spec"]["executor"]["env"].to_string();
    assert!(env.contains("stream.whole.svc:9092"), "{env}");
}

#[test]
fn what_does_not_go_together_has_its_place() {
    for (annotations, version, conf, wanted) in [
        (
            "platform.stoke.dev/catalog: lak",
            "4.1.4",
            "",
            "5:platform-reference the platform has no component `lak` that gives a catalog | did you mean `lake`?",
        ),
        (
            "platform.stoke.dev/catalog: files",
            "4.1.4",
            "",
            "5:platform-reference the platform has no component `files` that gives a catalog | there are lake, metastore",
        ),
        (
            "platform.stoke.dev/catlog: lake",
            "4.1.4",
            "",
            "5:platform-reference there is nothing to want by `platform.stoke.dev/catlog` | did you mean `platform.stoke.dev/catalog`?",
        ),
        (
            "platform.stoke.dev/catalog: lake",
            "4.0.0",
            "",
            "9:platform-reference the platform has no Spark `4.0.0` | write one of 3.5.8, 4.1.4, 3.5.9, 3.5.6, or add this one to `sparks` of the platform",
        ),
        (
            "platform.stoke.dev/shuffle: shuffle",
            "4.1.4",
            "",
            "5:platform-versions Celeborn 0.5.4 has no client for Spark 4.1 with Scala 2.13",
        ),
        (
            "platform.stoke.dev/catalog: metastore, platform.stoke.dev/store: cloud",
            "3.5.9",
            "",
            "5:platform-two-keys files of `files` and of `cloud` are wanted with different credentials",
        ),
        (
            "platform.stoke.dev/catalog: lake",
            "4.1.4",
            "spark.sql.defaultCatalog: other",
            "12:platform-wiring `spark.sql.defaultCatalog` is `other` here, and `lake` by what is named",
        ),
    ] {
        let found = wire(annotations, version, conf).unwrap_err();
        assert!(
            found.iter().any(|found| found.starts_with(wanted)),
            "{wanted}\n{found:#?}"
        );
    }
}

/// GPUs of executors, with the accelerator that has a part for the Spark.
#[test]
fn gpus_with_the_accelerator_that_fits() {
    let file = |version: &str, gpu: &str| {
        format!(
            "name: g\nnamespace: g\nnodes: {{gpu: {{labels: {{pool: gpu}}, taints: [nvidia.com/gpu]}}, cpu: {{labels: {{pool: cpu}}}}}}\nsparks: {{s: {{version: {version}}}}}\n\
             components:\n  lab: {{kind: spark-connect, spark: s, nodes: cpu, executors: {{cores: 3, memory: 8g}}, gpu: {gpu}}}\n\
             environments:\n  dev: {{components: {{lab: {{gpu: {{amount: 0}}}}}}}}\n  prod: {{components: {{lab: {{gpu: {{amount: 2, pinned: 4g}}, executors: {{cores: 4}}}}}}}}\n"
        )
    };
    let of = |file: &stoke_platform::spec::File, environment: Option<&str>| {
        let resolved = file.in_environment(environment).unwrap();
        let objects = stoke_platform::render::objects(&resolved.scope());
        let connect = objects
            .into_iter()
            .find(|object| object["kind"] == "SparkConnect")
            .unwrap();
        connect["spec"].clone()
    };
    let right = crate::right(&file("4.1.3", "{nodes: gpu}"));
    let spec = of(&right, None);
    for (key, value) in [
        ("spark.executor.resource.gpu.amount", "1"),
        ("spark.executor.resource.gpu.vendor", "nvidia.com"),
        ("spark.task.resource.gpu.amount", "0.3333"),
        ("spark.plugins", "com.nvidia.spark.SQLPlugin"),
        ("spark.rapids.memory.pinnedPool.size", "2g"),
    ] {
        assert_eq!(spec["sparkConf"][key], value, "{key} {spec}");
    }
    assert_eq!(spec["deps"]["packages"][0], "com.nvidia:rapids-4-spark_2.13:26.08.1");
    assert_eq!(spec["executor"]["nodeSelector"]["pool"], "gpu");
    assert_eq!(spec["executor"]["tolerations"][0]["key"], "nvidia.com/gpu");
    assert_eq!(spec["executor"]["memoryOverhead"], "4915m");
    assert_eq!(spec["server"]["nodeSelector"]["pool"], "cpu");
    let prod = of(&right, Some("prod"));
    assert_eq!(prod["sparkConf"]["spark.task.resource.gpu.amount"], "0.5");
    assert_eq!(prod["sparkConf"]["spark.executor.resource.gpu.amount"], "2");
    let dev = of(&right, Some("dev"));
    assert_eq!(dev["executor"]["nodeSelector"]["pool"], "cpu");
    assert!(!dev.to_string().contains("gpu"), "{dev}");
    let without = of(&crate::right(&file("4.1.4", "{rapids: false, nodes: gpu}")), None);
    assert!(
        !without.to_string().contains("rapids") && without.to_string().contains("nvidia.com"),
        "{without}"
    );
    for (version, gpu, code, part) in [
        (
            "4.1.4",
            "{nodes: gpu}",
            "platform-versions",
            "none for Spark 4.1.4 with Scala 2.13",
        ),
        (
            "3.5.9",
            "{nodes: gpu}",
            "platform-versions",
            "none for Spark 3.5.9 with Scala 2.12",
        ),
        ("4.1.3", "{nodes: gpus}", "platform-reference", "did you mean `gpu`"),
        ("4.1.3", "{vendor: amd.com}", "platform-gpu", "rapids: false"),
        ("4.1.3", "{vendor: nvidia}", "platform-gpu", "nvidia.com"),
        ("4.1.3", "{pinned: 2Gi}", "platform-size", "2g"),
        ("4.1.3", "{amount: 17}", "", "16"),
    ] {
        let found = crate::read(&file(version, gpu)).unwrap_err();
        let text: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert!(
            found.iter().any(|found| code.is_empty() || found.code == code) && text.join("\n").contains(part),
            "{version} {gpu}: {text:#?}"
        );
    }
}
