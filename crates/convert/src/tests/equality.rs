//! A converted command line creates the pods that the command line creates, over a table of lines.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stoke_model::crd::SparkApplication;
use stoke_model::defaults;
use stoke_submit::application::{SecurityProfile, Settings, plan_application};
use stoke_submit::argv::{MemoryFiles, read_arguments};
use stoke_submit::{ExecutorRequest, Identity, PodTemplate, Submission, SubmitRequest, executor_pod, plan};

use super::*;

const PYTHON: &str = "local:///opt/spark/examples/src/main/python/pi.py";
const JAR: &str = "local:///opt/spark/examples/jars/spark-examples.jar";

/// Options of lines that all have a name, an image and a Kubernetes master.
fn table() -> Vec<(&'static str, String)> {
    let python = |options: &str| format!("{options} {PYTHON} 10 --flag 'a b'");
    vec![
        ("4.1.4", python("")),
        ("3.5.9", python("--conf spark.executor.instances=3")),
        ("4.1.4", format!("--class org.apache.spark.examples.SparkPi {JAR} 100")),
        ("4.1.4", "--class a.B spark-internal".to_owned()),
        ("4.1.4", "local:///opt/app/main.R x".to_owned()),
        (
            "4.1.4",
            python("--driver-memory 2g --driver-cores 2 --executor-memory 3g --executor-cores 4 --num-executors 5"),
        ),
        (
            "4.1.4",
            python("--driver-memory 2048 --conf spark.executor.memory=1536m"),
        ),
        (
            "4.1.4",
            python("--conf spark.driver.memoryOverhead=512m --conf spark.executor.memoryOverheadFactor=0.3"),
        ),
        (
            "4.1.4",
            python("--conf spark.kubernetes.memoryOverheadFactor=0.25 --conf spark.executor.pyspark.memory=512m"),
        ),
        (
            "4.1.4",
            python("--conf spark.kubernetes.driver.request.cores=250m --conf spark.kubernetes.driver.limit.cores=2"),
        ),
        (
            "4.1.4",
            python(
                "--conf spark.kubernetes.executor.request.cores=500m --conf spark.kubernetes.executor.limit.cores=3",
            ),
        ),
        (
            "4.1.4",
            python(
                "--conf spark.kubernetes.namespace=jobs --conf spark.kubernetes.authenticate.driver.serviceAccountName=spark",
            ),
        ),
        (
            "4.1.4",
            python("--conf spark.kubernetes.authenticate.executor.serviceAccountName=workers"),
        ),
        (
            "4.1.4",
            python(
                "--conf spark.kubernetes.driver.container.image=team/driver:4.1.4 --conf spark.kubernetes.executor.container.image=team/executor:4.1.4",
            ),
        ),
        (
            "4.1.4",
            python(
                "--conf spark.kubernetes.container.image.pullPolicy=Always --conf spark.kubernetes.container.image.pullSecrets=a,b",
            ),
        ),
        ("4.1.4", python("--conf spark.kubernetes.driver.pod.name=the-driver")),
        (
            "4.1.4",
            python(
                "--conf spark.kubernetes.driver.label.team=a --conf spark.kubernetes.executor.label.example.com/team=b",
            ),
        ),
        (
            "4.1.4",
            python("--conf spark.kubernetes.driver.annotation.a.b/c=d --conf spark.kubernetes.executor.annotation.x=y"),
        ),
        (
            "4.1.4",
            python(
                "--conf spark.kubernetes.driver.service.label.a=b --conf spark.kubernetes.driver.service.annotation.c=d",
            ),
        ),
        ("4.1.4", python("--conf spark.kubernetes.node.selector.disk=ssd")),
        (
            "4.1.4",
            python(
                "--conf spark.kubernetes.driver.node.selector.a=b --conf spark.kubernetes.executor.node.selector.c=d",
            ),
        ),
        (
            "4.1.4",
            python("--conf spark.kubernetes.node.selector.disk=ssd --conf spark.kubernetes.executor.node.selector.c=d"),
        ),
        (
            "4.1.4",
            python("--conf spark.kubernetes.driverEnv.A=1 --conf spark.executorEnv.B=2"),
        ),
        (
            "4.1.4",
            python(
                "--conf spark.kubernetes.driver.secrets.keys=/etc/keys --conf spark.kubernetes.executor.secretKeyRef.TOKEN=keys:token",
            ),
        ),
        (
            "4.1.4",
            python(
                "--conf spark.kubernetes.driver.volumes.persistentVolumeClaim.data.mount.path=/data --conf spark.kubernetes.driver.volumes.persistentVolumeClaim.data.options.claimName=data",
            ),
        ),
        (
            "4.1.4",
            python("--conf spark.kubernetes.executor.volumes.emptyDir.spark-local-dir-1.mount.path=/tmp/1"),
        ),
        (
            "4.1.4",
            python("--conf spark.kubernetes.driver.scheduler.name=s --conf spark.kubernetes.executor.scheduler.name=s"),
        ),
        (
            "4.1.4",
            python("--driver-java-options '-Dx=\"a b\" -XX:+UseG1GC' --conf spark.executor.extraJavaOptions=-Dy=1"),
        ),
        (
            "4.1.4",
            python("--driver-class-path /opt/extra/* --driver-library-path /opt/native"),
        ),
        (
            "4.1.4",
            python(
                "--jars s3a://b/a.jar,local:///opt/b.jar --py-files local:///opt/x.zip --files s3a://b/conf.json --archives s3a://b/env.tgz#env",
            ),
        ),
        (
            "4.1.4",
            python("--packages org.a:b:1,org.c:d:2 --exclude-packages org.e:f --repositories https://repo.example.com"),
        ),
        (
            "4.1.4",
            python(
                "--conf spark.dynamicAllocation.enabled=true --conf spark.dynamicAllocation.maxExecutors=4 --conf spark.dynamicAllocation.shuffleTracking.enabled=true",
            ),
        ),
        ("4.1.4", python("--proxy-user alice")),
        (
            "4.1.4",
            python("--properties-file /p.conf --conf spark.sql.shuffle.partitions=4"),
        ),
        (
            "4.1.4",
            python(
                "--conf spark.executor.resource.gpu.amount=1 --conf spark.executor.resource.gpu.vendor=nvidia.com --conf spark.executor.resource.gpu.discoveryScript=/d.sh",
            ),
        ),
        (
            "4.1.4",
            python(
                "--conf spark.kubernetes.driver.podTemplateFile=/t.yaml --conf spark.kubernetes.executor.podTemplateFile=/t.yaml",
            ),
        ),
        (
            "4.1.4",
            python(
                "--conf spark.pyspark.python=/opt/python --conf spark.ui.port=4050 --conf spark.driver.port=7000 --conf spark.blockManager.port=7001",
            ),
        ),
        (
            "4.1.4",
            python(
                "--conf spark.memory.offHeap.enabled=true --conf spark.memory.offHeap.size=1g --conf spark.eventLog.enabled=true --conf spark.eventLog.dir=s3a://b/e",
            ),
        ),
        (
            "4.3.0",
            python("--conf spark.kubernetes.allocation.pods.allocator=statefulset --conf spark.executor.instances=2"),
        ),
        (
            "4.1.4",
            python("--conf spark.hadoop.fs.s3a.endpoint=http://s3 --conf spark.sql.shuffle.partitions=8"),
        ),
    ]
}

fn files() -> MemoryFiles {
    MemoryFiles::default()
        .file("/p.conf", "spark.executor.memory 2g\nspark.sql.shuffle.partitions file\nspark.task.maxFailures 2\n")
        .file(
            "/t.yaml",
            "apiVersion: v1\nkind: Pod\nmetadata: {labels: {of: template}}\nspec:\n  priorityClassName: high\n  containers:\n  - name: main\n    env: [{name: T, value: t}]\n    volumeMounts: [{name: v, mountPath: /v}]\n  volumes: [{name: v, emptyDir: {}}]\n  tolerations: [{key: k, operator: Exists}]\n",
        )
}

/// One executor of a submission.
fn executor(request: &SubmitRequest, submission: &Submission, template: Option<PodTemplate>) -> Value {
    let of_driver = ExecutorRequest {
        executor_id: "1".to_owned(),
        user: request.user.clone(),
        prefix_uid: "0123456789abcdef".to_owned(),
        config_map_uid: "0123456789abcdef".to_owned(),
        local_dir_uuid: "u".to_owned(),
        template,
        ..ExecutorRequest::default()
    };
    let made = executor_pod(&request.spark_version, &submission.properties, &of_driver).unwrap();
    json!({"pod": made.pod, "claims": made.claims})
}

/// Removes what tells the two ways apart and nothing else: the operator's labels, the owner, the driver's name, the name a template gives its
/// container, and the key that names the template.
fn normalised(mut value: Value, driver: &str) -> Value {
    fn walk(value: &mut Value, driver: &str) {
        match value {
            Value::Object(map) => {
                map.retain(|key, _| !key.starts_with("sparkoperator.k8s.io/") && key != "ownerReferences");
                map.sort_keys();
                map.values_mut().for_each(|value| walk(value, driver));
            }
            Value::Array(items) => {
                items.iter_mut().for_each(|value| walk(value, driver));
                // Spark numbers the executors' Java options in the order of a hash map, which follows from how many keys there are in all.
                let is_option = |item: &Value| {
                    item["name"]
                        .as_str()
                        .is_some_and(|name| name.starts_with("SPARK_JAVA_OPT_"))
                };
                let mut options: Vec<Value> = items
                    .iter()
                    .filter(|item| is_option(item))
                    .map(|item| item["value"].clone())
                    .collect();
                items.retain(|item| !is_option(item));
                options.sort_by_key(Value::to_string);
                items.extend(options);
            }
            Value::String(text) if text == driver => "DRIVER".clone_into(text),
            Value::String(text) if text == "main" || text.starts_with("spark-kubernetes-") => "SPARK".clone_into(text),
            _ => {}
        }
    }
    walk(&mut value, driver);
    // The application's namespace is on the object, the command line's in the request.
    if let Some(metadata) = value["metadata"].as_object_mut() {
        metadata.shift_remove("namespace");
    }
    value
}

#[test]
fn pods_of_converted_command_lines_are_those_of_the_command_lines() {
    for (version, options) in table() {
        let line = format!(
            "spark-submit --master k8s://https://h:6443 --deploy-mode cluster --name etl --conf spark.kubernetes.container.image=apache/spark:{version} {options}"
        );
        let converted = script("line.sh", &line, &files(), &Options::default());
        let document = clean(&converted);
        let mut app: SparkApplication = serde_json::from_value(document.clone()).unwrap();
        app.spec = defaults::application(app.spec);
        app.metadata.uid = Some("uid".to_owned());
        let mut settings = Settings::new("k8s://https://h:6443", files().now);
        settings.security = SecurityProfile::Off;
        settings.ui_service = false;
        let of_application = plan_application(&app, 1, &settings)
            .unwrap_or_else(|error| panic!("{line}: {error}"))
            .submission;

        let source = Source::new("line.sh", &line);
        let words: Vec<String> = shell::commands(&source, &BTreeMap::new())[0]
            .words
            .iter()
            .map(|word| word.text.clone())
            .collect();
        let request = read_arguments(&words, &files(), &version.parse().unwrap(), Identity::derive("uid", 1))
            .unwrap()
            .request;
        let of_line = plan(&request).unwrap();

        let ours = normalised(of_application.driver_pod.clone(), &of_application.driver_pod_name);
        let theirs = normalised(of_line.driver_pod.clone(), &of_line.driver_pod_name);
        assert_eq!(ours["spec"], theirs["spec"], "{line}\n{document:#}");
        assert_eq!(
            ours["metadata"]["annotations"], theirs["metadata"]["annotations"],
            "{line}"
        );
        assert_eq!(ours["metadata"]["labels"], theirs["metadata"]["labels"], "{line}");
        assert_eq!(of_application.namespace, of_line.namespace, "{line}");

        let template = request.files.executor_template.clone();
        let ours_request = stoke_submit::application::request_from_application(&app, 1, &settings).unwrap();
        let theirs = executor(&request, &of_line, template);
        let ours = executor(
            &ours_request,
            &of_application,
            ours_request.files.executor_template.clone(),
        );
        assert_eq!(
            normalised(ours, &of_application.driver_pod_name),
            normalised(theirs, &of_line.driver_pod_name),
            "executor of {line}"
        );

        // Every key the driver reads is there with its value; what is added is the operator's or a default written out.
        for (key, value) in &of_line.properties {
            let expected = match key.as_str() {
                "spark.kubernetes.driver.pod.name" if *value == of_line.driver_pod_name => {
                    of_application.driver_pod_name.clone()
                }
                // Templates are files of the submitting machine on the one hand, of the plan on the other.
                _ if key.ends_with(".podTemplateFile") || key.ends_with("podTemplateContainerName") => continue,
                _ => value.clone(),
            };
            assert_eq!(of_application.properties.get(key), Some(&expected), "{key} of {line}");
        }
        let expected_additions = [
            "spark.kubernetes.submission.waitAppCompletion",
            "spark.executor.instances",
            "spark.driver.cores",
            "spark.driver.memory",
            "spark.executor.cores",
            "spark.executor.memory",
            "spark.kubernetes.driver.container.image",
            "spark.kubernetes.executor.container.image",
            "spark.kubernetes.namespace",
            "spark.kubernetes.driver.pod.name",
        ];
        let added = of_application
            .properties
            .keys()
            .filter(|key| !of_line.properties.contains_key(*key));
        let unexpected: Vec<&String> = added
            .filter(|key| {
                !expected_additions.contains(&key.as_str())
                    && !key.contains("label.sparkoperator")
                    && !key.contains("podTemplate")
            })
            .collect();
        assert!(unexpected.is_empty(), "{unexpected:?} of {line}");
    }
}
