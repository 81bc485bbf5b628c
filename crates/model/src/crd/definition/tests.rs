//! The definitions are what an API server takes and what the published API has.

use super::*;

/// Fields by group, as the published API has them.
const PUBLISHED: &[(&str, &str)] = &[
    (
        "spec",
        "suspend type sparkVersion mode proxyUser image imagePullPolicy imagePullSecrets sparkConf hadoopConf sparkConfigMap \
         hadoopConfigMap volumes mainClass mainApplicationFile arguments nodeSelector failureRetries retryInterval pythonVersion \
         memoryOverheadFactor timeToLiveSeconds deps restartPolicy monitoring batchScheduler batchSchedulerOptions sparkUIOptions \
         driverIngressOptions dynamicAllocation driverPodDisruptionBudget driver executor",
    ),
    (
        "spec.deps",
        "jars files pyFiles packages excludePackages repositories archives",
    ),
    (
        "spec.restartPolicy",
        "type onSubmissionFailureRetries onFailureRetries onSubmissionFailureRetryInterval onFailureRetryInterval",
    ),
    (
        "spec.monitoring",
        "exposeDriverMetrics exposeExecutorMetrics metricsProperties metricsPropertiesFile prometheus",
    ),
    (
        "spec.monitoring.prometheus",
        "jmxExporterJar port portName configFile configuration",
    ),
    ("spec.batchSchedulerOptions", "queue priorityClassName resources"),
    (
        "spec.sparkUIOptions",
        "servicePort servicePortName serviceType serviceAnnotations serviceLabels ingressAnnotations ingressTLS",
    ),
    (
        "spec.driverIngressOptions[]",
        "servicePort servicePortName serviceType serviceAnnotations serviceLabels ingressURLFormat ingressAnnotations ingressTLS",
    ),
    (
        "spec.dynamicAllocation",
        "enabled initialExecutors minExecutors maxExecutors shuffleTrackingEnabled shuffleTrackingTimeout",
    ),
    (
        "spec.driver",
        "template cores coreLimit memory memoryLimit memoryOverhead gpu image configMaps secrets env envVars envFrom envSecretKeyRefs \
         labels annotations volumeMounts affinity tolerations podSecurityContext securityContext schedulerName sidecars initContainers \
         hostNetwork nodeSelector dnsConfig terminationGracePeriodSeconds serviceAccount hostAliases shareProcessNamespace podName \
         coreRequest javaOptions lifecycle kubernetesMaster serviceAnnotations serviceLabels ports priorityClassName",
    ),
    (
        "spec.executor",
        "template cores coreLimit memory memoryLimit memoryOverhead gpu image configMaps secrets env envVars envFrom envSecretKeyRefs \
         labels annotations volumeMounts affinity tolerations podSecurityContext securityContext schedulerName sidecars initContainers \
         hostNetwork nodeSelector dnsConfig terminationGracePeriodSeconds serviceAccount hostAliases shareProcessNamespace instances \
         coreRequest javaOptions lifecycle deleteOnTermination ports priorityClassName",
    ),
    ("spec.driver.gpu", "name quantity"),
    ("spec.driver.configMaps[]", "name path"),
    ("spec.driver.secrets[]", "name path secretType"),
    ("spec.driver.ports[]", "name protocol containerPort"),
    (
        "status",
        "sparkApplicationId submissionID lastSubmissionAttemptTime terminationTime driverInfo applicationState executorState \
         executionAttempts submissionAttempts",
    ),
    (
        "status.driverInfo",
        "webUIServiceName webUIAddress webUIPort webUIIngressName webUIIngressAddress podName",
    ),
    ("status.applicationState", "state errorMessage"),
];

const PUBLISHED_SCHEDULED: &[(&str, &str)] = &[
    (
        "spec",
        "schedule timeZone template suspend concurrencyPolicy successfulRunHistoryLimit failedRunHistoryLimit",
    ),
    (
        "status",
        "lastRun nextRun lastRunName pastSuccessfulRunNames pastFailedRunNames scheduleState reason",
    ),
];

const PUBLISHED_CONNECT: &[(&str, &str)] = &[
    (
        "spec",
        "sparkVersion image hadoopConf sparkConf server executor dynamicAllocation",
    ),
    ("spec.server", "cores memory template service"),
    ("spec.executor", "instances cores memory template"),
    ("status", "conditions state server executors startTime lastUpdateTime"),
    ("status.server", "podName podIp serviceName"),
];

fn served(kind: &str) -> Value {
    definition(kind).unwrap()["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

fn at<'a>(schema: &'a Value, path: &str) -> &'a Value {
    path.split('.')
        .fold(schema, |schema, part| match part.strip_suffix("[]") {
            Some(name) => &schema["properties"][name]["items"],
            None => &schema["properties"][part],
        })
}

#[test]
fn every_published_field_is_there() {
    let groups = [
        ("SparkApplication", PUBLISHED),
        ("ScheduledSparkApplication", PUBLISHED_SCHEDULED),
        ("SparkConnect", PUBLISHED_CONNECT),
    ];
    for (kind, groups) in groups {
        let schema = served(kind);
        for (path, fields) in groups {
            for field in fields.split_whitespace() {
                let found = &at(&schema, path)["properties"][field];
                assert!(found.is_object(), "{kind}: {path}.{field} is missing");
            }
        }
    }
}

#[test]
fn nothing_is_there_but_what_was_published_or_is_named_here() {
    let ours = [
        "status.observedGeneration",
        "status.specDigest",
        "status.startTime",
        "status.keptLogs",
        "status.conditions",
        "status.transitions",
    ];
    let schema = served("SparkApplication");
    for (path, fields) in PUBLISHED {
        let published: Vec<&str> = fields.split_whitespace().collect();
        for field in at(&schema, path)["properties"].as_object().unwrap().keys() {
            let known = published.contains(&field.as_str()) || ours.contains(&format!("{path}.{field}").as_str());
            assert!(
                known,
                "{path}.{field} is not in the published API; name it here if it is meant"
            );
        }
    }
}

#[test]
fn what_is_required_is_what_was_published() {
    let schema = served("SparkApplication");
    assert_eq!(schema["required"], json!(["metadata", "spec"]));
    assert_eq!(
        schema["properties"]["spec"]["required"],
        json!(["driver", "executor", "sparkVersion", "type"])
    );
    assert_eq!(at(&schema, "spec.driver").get("required"), None);
    assert_eq!(at(&schema, "spec.driver.gpu")["required"], json!(["name", "quantity"]));
    let scheduled = served("ScheduledSparkApplication");
    assert_eq!(at(&scheduled, "spec")["required"], json!(["schedule", "template"]));
    assert_eq!(
        at(&scheduled, "spec.template")["required"],
        json!(["driver", "executor", "sparkVersion", "type"])
    );
    assert_eq!(
        at(&served("SparkConnect"), "spec")["required"],
        json!(["sparkVersion", "server", "executor"])
    );
}

#[test]
fn wire_values_are_the_published_ones() {
    let schema = served("SparkApplication");
    assert_eq!(
        at(&schema, "spec.type")["enum"],
        json!(["Java", "Scala", "Python", "R"])
    );
    assert_eq!(at(&schema, "spec.mode")["enum"], json!(["cluster", "client"]));
    assert_eq!(at(&schema, "spec.pythonVersion")["enum"], json!(["2", "3"]));
    assert_eq!(
        at(&schema, "spec.restartPolicy.type")["enum"],
        json!(["Never", "OnFailure", "Always"])
    );
    assert_eq!(
        at(&schema, "status.applicationState.state")["enum"],
        json!([
            "",
            "SUBMITTED",
            "RUNNING",
            "COMPLETED",
            "FAILED",
            "SUBMISSION_FAILED",
            "PENDING_RERUN",
            "INVALIDATING",
            "SUCCEEDING",
            "FAILING",
            "SUSPENDING",
            "SUSPENDED",
            "RESUMING",
            "UNKNOWN"
        ])
    );
    assert_eq!(
        at(&schema, "spec.driver.template")["x-kubernetes-preserve-unknown-fields"],
        json!(true)
    );
    assert_eq!(at(&schema, "status.terminationTime")["nullable"], json!(true));
    let quantities = &at(&schema, "spec.batchSchedulerOptions.resources")["additionalProperties"];
    assert_eq!(quantities, &json!({ "x-kubernetes-int-or-string": true }));
}

/// The rules of a structural schema, and the keywords the API server knows.
fn assert_structural(schema: &Value, path: &str) {
    const KNOWN: [&str; 19] = [
        "type",
        "format",
        "description",
        "properties",
        "required",
        "items",
        "additionalProperties",
        "enum",
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "pattern",
        "nullable",
        "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-int-or-string",
        "x-kubernetes-list-type",
    ];
    let object = schema.as_object().unwrap_or_else(|| panic!("{path} is not a schema"));
    for key in object.keys() {
        assert!(
            KNOWN.contains(&key.as_str()) || key == "x-kubernetes-list-map-keys",
            "{path}: {key}"
        );
    }
    let free = object.contains_key("x-kubernetes-int-or-string")
        || object.contains_key("x-kubernetes-preserve-unknown-fields");
    match schema["type"].as_str() {
        Some("array") => assert_structural(&schema["items"], &format!("{path}[]")),
        Some("object") => {
            assert!(
                !(object.contains_key("properties") && object.contains_key("additionalProperties")),
                "{path}"
            );
            for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                assert_structural(property, &format!("{path}.{name}"));
            }
            if let Some(values) = object.get("additionalProperties") {
                assert_structural(values, &format!("{path}.*"));
            }
            for name in schema["required"].as_array().into_iter().flatten() {
                assert!(
                    schema["properties"][name.as_str().unwrap()].is_object(),
                    "{path} requires {name}"
                );
            }
        }
        Some(kind) => assert!(
            ["string", "integer", "number", "boolean"].contains(&kind),
            "{path}: {kind}"
        ),
        None => assert!(free, "{path} has no type"),
    }
    for value in schema["enum"].as_array().into_iter().flatten() {
        assert!(value.is_string(), "{path}: {value}");
    }
}

#[test]
fn definitions_are_structural_and_small() {
    for kind in KINDS {
        assert_structural(&served(kind), kind);
        let definition = definition(kind).unwrap();
        let size = serde_json::to_string(&definition).unwrap().len();
        assert!(
            size < 200_000,
            "{kind} has {size} bytes; the annotation of kubectl apply holds 262144"
        );
        let version = &definition["spec"]["versions"][0];
        assert_eq!(
            format!("sparkoperator.k8s.io/{}", version["name"].as_str().unwrap()),
            api_version(kind).unwrap()
        );
        assert_eq!(version["subresources"]["status"], json!({}));
        assert_eq!((&version["served"], &version["storage"]), (&json!(true), &json!(true)));
    }
}

#[test]
fn generated_definitions_do_not_drift() {
    for kind in KINDS {
        let definition = definition(kind).unwrap();
        let plural = definition["spec"]["names"]["plural"].as_str().unwrap();
        let path = format!("deploy/crds/sparkoperator.k8s.io_{plural}.yaml");
        assert_eq!(stoke_testkit::generated::file(&path, &crd_yaml(kind).unwrap()), Ok(()));
    }
}

#[test]
fn a_definition_reads_back_as_itself() {
    let kind = "SparkConnect";
    let (documents, complaints) = crate::manifest::check("crd.yaml", &crd_yaml(kind).unwrap());
    assert_eq!(complaints, []);
    assert_eq!(documents[0].value, definition(kind).unwrap());
}
