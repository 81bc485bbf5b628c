//! Jobs and CronJobs around a `spark-submit`.

use serde_json::json;

use super::*;

fn convert(text: &str) -> Converted {
    manifest("job.yaml", text, &Options::default())
}

const CRON: &str = "apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly, namespace: jobs, labels: {team: a}}
spec:
  schedule: '0 3 * * *'
  timeZone: Europe/Berlin
  concurrencyPolicy: Forbid
  startingDeadlineSeconds: 300
  suspend: false
  successfulJobsHistoryLimit: 5
  jobTemplate:
    metadata: {labels: {of: run}}
    spec:
      backoffLimit: 2
      ttlSecondsAfterFinished: 3600
      template:
        spec:
          serviceAccountName: spark
          restartPolicy: Never
          nodeSelector: {disk: ssd}
          containers:
          - name: submit
            image: apache/spark:4.1.4
            env: [{name: PARTS, value: '8'}]
            envFrom: [{secretRef: {name: keys}}]
            volumeMounts: [{name: code, mountPath: /code}]
            resources: {requests: {cpu: '1'}}
            command: [/opt/spark/bin/spark-submit]
            args:
            - --master=k8s://https://kubernetes.default.svc
            - --conf
            - spark.kubernetes.container.image=apache/spark:4.1.4
            - --conf
            - spark.sql.shuffle.partitions=$(PARTS)
            - --conf
            - spark.executor.instances=3
            - /code/main.py
          volumes: [{name: code, configMap: {name: code}}]
";

#[test]
fn the_pod_of_a_job_in_client_mode_becomes_the_drivers() {
    let converted = convert(CRON);
    let document = clean(&converted);
    assert_eq!(document["kind"], "ScheduledSparkApplication");
    assert_eq!(
        document["metadata"],
        json!({"name": "nightly", "namespace": "jobs", "labels": {"of": "run", "team": "a"}, "annotations": {"stoke.dev/starting-deadline-seconds": "300"}})
    );
    let template = &document["spec"]["template"];
    let mut schedule = document["spec"].clone();
    schedule.as_object_mut().unwrap().shift_remove("template");
    assert_eq!(
        schedule,
        json!({"schedule": "0 3 * * *", "timeZone": "Europe/Berlin", "concurrencyPolicy": "Forbid", "suspend": false, "successfulRunHistoryLimit": 5, "failedRunHistoryLimit": 1})
    );
    assert_eq!(
        template["restartPolicy"],
        json!({"type": "OnFailure", "onFailureRetries": 2, "onFailureRetryInterval": 10, "onSubmissionFailureRetries": 2, "onSubmissionFailureRetryInterval": 10})
    );
    assert_eq!(template["timeToLiveSeconds"], 3600);
    assert_eq!(template["mainApplicationFile"], "local:///code/main.py");
    assert_eq!(template["sparkConf"], json!({"spark.sql.shuffle.partitions": "8"}));
    assert_eq!(template["driver"]["serviceAccount"], "spark");
    assert_eq!(
        template["driver"]["template"]["spec"],
        json!({
            "nodeSelector": {"disk": "ssd"},
            "containers": [{
                "name": "spark-kubernetes-driver", "env": [{"name": "PARTS", "value": "8"}], "envFrom": [{"secretRef": {"name": "keys"}}],
                "volumeMounts": [{"name": "code", "mountPath": "/code"}],
            }],
            "volumes": [{"name": "code", "configMap": {"name": "code"}}],
        })
    );
    let said = rendered(&converted);
    for words in ["deploy mode client", "resources"] {
        assert!(said.contains(words), "{words} in\n{said}");
    }
}

#[test]
fn the_pod_of_a_job_in_cluster_mode_is_named_field_by_field() {
    let text = CRON
        .replace(
            "            - --conf\n            - spark.executor.instances=3",
            "            - --deploy-mode\n            - cluster",
        )
        .replace("/code/main.py", "/opt/app/main.py");
    let converted = convert(&text);
    let document = clean(&converted);
    assert_eq!(document["spec"]["template"]["driver"], json!({}));
    assert_eq!(
        document["spec"]["template"]["mainApplicationFile"],
        "local:///opt/app/main.py"
    );
    let paths: Vec<&str> = converted
        .complaints
        .iter()
        .map(|complaint| complaint.path.as_str())
        .collect();
    for field in [
        "serviceAccountName",
        "nodeSelector",
        "volumes",
        "containers[0].env",
        "containers[0].envFrom",
        "containers[0].volumeMounts",
        "containers[0].resources",
    ] {
        let path = format!("spec.jobTemplate.spec.template.spec.{field}");
        assert!(paths.contains(&path.as_str()), "{path} in {paths:?}");
    }
    // The program itself lies on a volume that only the Job's pod had.
    let on_volume = convert(&text.replace("/opt/app/main.py", "/code/main.py"));
    assert!(
        errors(&on_volume).iter().any(|(code, ..)| *code == "not-convertible"),
        "{}",
        rendered(&on_volume)
    );
}

const SHELL: &str = "apiVersion: batch/v1
kind: Job
metadata: {generateName: etl-}
spec:
  activeDeadlineSeconds: 600
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers:
      - name: main
        image: team/etl:1
        command: [/bin/bash, -c]
        args:
        - |
          set -e
          exec spark-submit --deploy-mode cluster \\
            --conf spark.kubernetes.container.image=apache/spark:4.1.4 \\
            s3a://code/etl.py $DAY
        env:
        - {name: DAY, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
";

#[test]
fn a_deadline_of_every_run_is_an_annotation_of_the_schedule() {
    let converted = convert(&CRON.replace("backoffLimit: 2", "activeDeadlineSeconds: 5"));
    let annotations = &converted.documents[0]["metadata"]["annotations"];
    assert_eq!(annotations["stoke.dev/active-deadline-seconds"], "5");
}

#[test]
fn a_shell_in_a_job_is_read() {
    let converted = convert(SHELL);
    let document = &converted.documents[0];
    assert_eq!(document["kind"], "SparkApplication");
    assert_eq!(
        document["metadata"],
        json!({"name": "etl", "annotations": {"stoke.dev/active-deadline-seconds": "600"}})
    );
    assert_eq!(document["spec"]["restartPolicy"], json!({"type": "Never"}));
    assert_eq!(
        errors(&converted),
        [("left-in-place", 14, "spec.template.spec.containers[0]".to_owned())],
        "{}",
        rendered(&converted)
    );
    let options = Options {
        environment: [("DAY".to_owned(), "today".to_owned())].into(),
        ..Options::default()
    };
    assert_eq!(
        clean(&manifest("job.yaml", SHELL, &options))["spec"]["arguments"],
        json!(["today"])
    );
}

#[test]
fn what_a_job_has_and_an_application_cannot_is_an_error() {
    let table = [
        (
            SHELL.replace("backoffLimit: 0", "backoffLimt: 0"),
            "unknown-field",
            "backoffLimit",
        ),
        (
            SHELL.replace("backoffLimit: 0", "completions: 3"),
            "not-convertible",
            "one driver",
        ),
        (
            SHELL.replace("backoffLimit: 0", "podFailurePolicy: {rules: []}"),
            "not-convertible",
            "no counterpart",
        ),
        (
            SHELL.replace(
                "      restartPolicy: Never",
                "      initContainers: [{name: a, image: b}]",
            ),
            "not-convertible",
            "driver.initContainers",
        ),
        (
            SHELL.replace("exec spark-submit", "exec python"),
            "not-convertible",
            "no container calls spark-submit",
        ),
        (
            CRON.replace("timeZone: Europe/Berlin\n", "timeZones: Europe/Berlin\n"),
            "unknown-field",
            "timeZone",
        ),
    ];
    for (text, code, words) in table {
        let converted = convert(&text);
        let rendered = rendered(&converted);
        assert!(
            errors(&converted).iter().any(|(found, ..)| *found == code),
            "{code} in\n{rendered}"
        );
        assert!(rendered.contains(words), "{words} in\n{rendered}");
    }
}
