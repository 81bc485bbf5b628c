//! Apache's applications: every documented field.

use serde_json::json;

use super::*;

fn convert(text: &str) -> Converted {
    manifest("app.yaml", text, &Options::default())
}

const SMALL: &str = "apiVersion: spark.apache.org/v1
kind: SparkApplication
metadata:
  name: pi
  namespace: jobs
spec:
  mainClass: org.apache.spark.examples.SparkPi
  jars: local:///opt/spark/examples/jars/spark-examples.jar
  driverArgs: ['100']
  sparkConf:
    spark.dynamicAllocation.enabled: 'true'
    spark.dynamicAllocation.shuffleTracking.enabled: 'true'
    spark.dynamicAllocation.maxExecutors: '3'
    spark.kubernetes.authenticate.driver.serviceAccountName: spark
    spark.kubernetes.container.image: apache/spark:4.1.4-scala
  applicationTolerations:
    resourceRetainPolicy: OnFailure
    ttlAfterStopMillis: 10500
  runtimeVersions:
    sparkVersion: 4.1.4
";

#[test]
fn an_application_is_carried() {
    for version in ["v1", "v1beta1", "v1alpha1"] {
        let converted = convert(&SMALL.replace("org/v1", &format!("org/{version}")));
        let document = clean(&converted);
        assert_eq!(
            document,
            json!({
                "apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication",
                "metadata": {"name": "pi", "namespace": "jobs"},
                "spec": {
                    "type": "Scala", "sparkVersion": "4.1.4", "mode": "cluster", "image": "apache/spark:4.1.4-scala",
                    "mainClass": "org.apache.spark.examples.SparkPi",
                    "mainApplicationFile": "local:///opt/spark/examples/jars/spark-examples.jar", "arguments": ["100"],
                    "sparkConf": {
                        "spark.dynamicAllocation.enabled": "true", "spark.dynamicAllocation.maxExecutors": "3",
                        "spark.dynamicAllocation.shuffleTracking.enabled": "true",
                    },
                    "timeToLiveSeconds": 11,
                    "driver": {"serviceAccount": "spark"}, "executor": {},
                },
            })
        );
        let warnings: Vec<(&str, usize)> = converted.complaints.iter().map(|c| (c.path.as_str(), c.line)).collect();
        assert_eq!(warnings, [("spec.applicationTolerations.resourceRetainPolicy", 17)]);
    }
}

#[test]
fn restarts_templates_timeouts_and_config_maps_are_carried() {
    let text = "apiVersion: spark.apache.org/v1
kind: SparkApplication
metadata: {name: py, labels: {team: a}, annotations: {note: b}}
spec:
  suspend: true
  proxyUser: alice
  pyFiles: local:///opt/app/main.py,local:///opt/app/lib.zip
  sparkConf: {spark.executor.instances: '2', spark.driver.memory: 2g}
  runtimeVersions: {sparkVersion: 4.1.4, jdkVersion: '21'}
  driverSpec:
    podTemplateSpec:
      metadata: {labels: {x: z}}
      spec:
        priorityClassName: high
        containers: [{volumeMounts: [{name: c, mountPath: /etc/c}]}]
        volumes: [{name: c, configMap: {name: settings}}]
  executorSpec: {podTemplateSpec: {spec: {tolerations: [{key: k, operator: Exists}]}}}
  configMapSpecs: [{name: settings, labels: {l: m}, data: {a: b}}]
  applicationTolerations:
    restartConfig:
      restartPolicy: OnFailure
      maxRestartAttempts: 5
      maxRestartOnFailure: 2
      maxRestartOnSchedulingFailure: 1
      restartBackoffMillis: 15000
      restartBackoffMillisForSchedulingFailure: 60000
    applicationTimeoutConfig: {driverStartTimeoutMillis: 90000}
";
    let converted = convert(text);
    let document = clean(&converted);
    assert_eq!(
        converted.documents[0],
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "labels": {"l": "m"}}, "data": {"a": "b"}})
    );
    let spec = &document["spec"];
    assert_eq!(
        spec["restartPolicy"],
        json!({"type": "OnFailure", "onFailureRetries": 2, "onSubmissionFailureRetries": 1, "onFailureRetryInterval": 15, "onSubmissionFailureRetryInterval": 60})
    );
    assert_eq!(
        document["metadata"]["annotations"],
        json!({"note": "b", "stoke.dev/pending-timeout": "90s"})
    );
    assert_eq!(document["metadata"]["labels"], json!({"team": "a"}));
    assert_eq!(
        (&spec["suspend"], &spec["proxyUser"], &spec["image"]),
        (&json!(true), &json!("alice"), &json!("apache/spark:4.1.4"))
    );
    assert_eq!(spec["deps"]["pyFiles"], json!(["local:///opt/app/lib.zip"]));
    assert_eq!(spec["driver"]["template"]["spec"]["priorityClassName"], "high");
    assert_eq!(
        (&spec["driver"]["memory"], &spec["executor"]["instances"]),
        (&json!("2g"), &json!(2))
    );
    assert_eq!(spec["executor"]["template"]["spec"]["tolerations"][0]["key"], "k");
}

#[test]
fn what_has_no_counterpart_is_an_error_with_its_line() {
    let field = |text: &str| format!("{SMALL}{text}");
    let table = [
        (SMALL.replace("mainClass", "mainClas"), "unknown-field", 7, "mainClass"),
        (
            SMALL.replace("  driverArgs: ['100']", "  driverArgs: 100"),
            "wrong-type",
            9,
            "list",
        ),
        (
            field("  deploymentMode: ClientMode\n"),
            "not-convertible",
            21,
            "always runs in a pod",
        ),
        (
            field("  driverServiceIngressList: [{serviceMetadata: {name: a}}]\n"),
            "not-convertible",
            21,
            "driverIngressOptions",
        ),
        (
            SMALL.replace("ttlAfterStopMillis: 10500", "resourceRetainDurationMillis: 5"),
            "not-convertible",
            18,
            "timeToLiveSeconds",
        ),
        (
            SMALL.replace("ttlAfterStopMillis: 10500", "instanceConfig: {minExecutors: 2}"),
            "not-convertible",
            18,
            "batchScheduler",
        ),
        (
            SMALL.replace(
                "ttlAfterStopMillis: 10500",
                "restartConfig: {restartPolicy: OnInfrastructureFailure}",
            ),
            "not-convertible",
            18,
            "OnFailure",
        ),
        (
            SMALL.replace(
                "ttlAfterStopMillis: 10500",
                "applicationTimeoutConfig: {executorStartTimeoutMillis: 5}",
            ),
            "not-convertible",
            18,
            "active-deadline",
        ),
        (
            SMALL.replace(
                "spark.dynamicAllocation.maxExecutors",
                "spark.dynamicAllocation.maxExecutor",
            ),
            "conf-unknown-key",
            13,
            "maxExecutors",
        ),
        (
            SMALL.replace("kind: SparkApplication", "kind: SparkCluster"),
            "not-convertible",
            2,
            "no counterpart",
        ),
        (
            SMALL
                .replace("spark.apache.org/v1", "sparkoperator.k8s.io/v1alpha1")
                .replace("SparkApplication", "SparkConnect"),
            "unknown-field",
            7,
            "",
        ),
    ];
    for (text, code, line, words) in table {
        let converted = convert(&text);
        let rendered = rendered(&converted);
        assert!(
            errors(&converted)
                .iter()
                .any(|(found, at, _)| (*found, *at) == (code, line)),
            "{code} {line} in\n{rendered}\n{text}"
        );
        assert!(rendered.contains(words), "{words} in\n{rendered}");
    }
}

/// Every leaf of a full application is found in the manifests, or under a path that is complained about.
#[test]
fn every_field_is_carried_or_named() {
    let text = format!(
        "{}  pyFiles: local:///marker-py.py\n  sparkRFiles: local:///marker-r.R\n  files: local:///marker-file\n  deploymentMode: ClusterMode\n  configMapSpecs: [{{name: marker-map, data: {{a: marker-data}}}}]\n",
        SMALL.replace(
            "    resourceRetainPolicy",
            "    restartConfig: {restartPolicy: Always, maxRestartAttempts: 7, restartCounterResetMillis: 8}\n    applicationTimeoutConfig: {driverReadyTimeoutMillis: 1, forceTerminationGracePeriodMillis: 2, terminationRequeuePeriodMillis: 3}\n    resourceRetainPolicy"
        )
        .replace("sparkVersion: 4.1.4", "sparkVersion: 4.1.4\n    scalaVersion: '2.13'")
    );
    let converted = convert(&text);
    let manifests: String = converted.documents.iter().map(Value::to_string).collect();
    let said = rendered(&converted);
    for marker in ["marker-file", "marker-map", "marker-data"] {
        assert!(manifests.contains(marker), "{marker}");
    }
    for path in [
        "spec.pyFiles",
        "spec.sparkRFiles",
        "restartCounterResetMillis",
        "restartConfig.restartPolicy",
        "driverReadyTimeoutMillis",
        "forceTerminationGracePeriodMillis",
        "terminationRequeuePeriodMillis",
        "runtimeVersions.scalaVersion",
        "resourceRetainPolicy",
    ] {
        assert!(said.contains(path), "{path} in\n{said}");
    }
}
