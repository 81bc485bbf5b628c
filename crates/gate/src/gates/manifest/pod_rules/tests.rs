use super::{image, port_name};
use crate::gates::found;
use crate::gates::manifest::look;

/// Codes of what is found in a manifest.
fn codes(text: &str) -> Vec<String> {
    found(&[("a.yaml", text)], look)
        .iter()
        .map(|one| one.code.to_string())
        .collect()
}

fn workload(kind: &str, spec: &str) -> String {
    let (api_version, inner) = match kind {
        "Pod" => ("v1", format!("spec:\n{}", indented(spec, 2))),
        "Job" => (
            "batch/v1",
            format!("spec:\n  template:\n    spec:\n{}", indented(spec, 6)),
        ),
        "CronJob" => (
            "batch/v1",
            format!(
                "spec:\n  schedule: '@daily'\n  jobTemplate:\n    spec:\n      template:\n        spec:\n{}",
                indented(spec, 10)
            ),
        ),
        _ => (
            "apps/v1",
            format!(
                "spec:\n  selector: {{matchLabels: {{a: b}}}}\n  template:\n    metadata: {{labels: {{a: b}}}}\n    spec:\n{}",
                indented(spec, 6)
            ),
        ),
    };
    let service = if kind == "StatefulSet" {
        "  serviceName: s\n"
    } else {
        ""
    };
    format!("apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: w}}\n{inner}{service}")
}

fn indented(text: &str, by: usize) -> String {
    text.lines().map(|line| format!("{}{line}\n", " ".repeat(by))).collect()
}

fn app(spec: &str) -> String {
    format!(
        "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nmetadata: {{name: a}}\nspec:\n  type: Python\n  mode: cluster\n  sparkVersion: 4.1.4\n  image: spark:4.1.4\n  mainApplicationFile: local:///a.py\n  volumes: [{{name: v, emptyDir: {{}}}}]\n  executor: {{cores: 1, instances: 1}}\n{spec}"
    )
}

#[test]
fn every_workloads_pods_are_held_against_the_rules() {
    let right = "containers:\n- name: c\n  image: r.io/x:1\n  volumeMounts: [{name: v, mountPath: /v}]\n  ports: [{name: http, containerPort: 80}]\n  env: [{name: A, valueFrom: {fieldRef: {fieldPath: \"metadata.labels['x']\"}}}]\nvolumes: [{name: v, emptyDir: {}}]\n";
    for kind in ["Pod", "Job", "CronJob", "Deployment", "StatefulSet", "DaemonSet"] {
        let policy = if kind.ends_with("Job") {
            "restartPolicy: Never\n"
        } else {
            ""
        };
        let of = |find: &str, by: &str| codes(&workload(kind, &format!("{}{policy}", right.replace(find, by))));
        assert_eq!(of("", ""), [""; 0], "{kind}");
        for (find, by, code) in [
            ("- name: c\n", "- name: c\n  image: z\n- name: c\n", "duplicate-name"),
            ("[{name: v, mountPath", "[{name: w, mountPath", "unknown-volume"),
            ("name: http", "name: http_port", "bad-name"),
            ("containerPort: 80", "containerPort: 80000", "out-of-range"),
            ("r.io/x:1", "r.io/X:1", "bad-image"),
            ("metadata.labels['x']", "metadata.label['x']", "bad-value"),
            (
                "[{name: v, emptyDir: {}}]",
                "[{name: v, emptyDir: {}}, {name: v, emptyDir: {}}]",
                "duplicate-name",
            ),
        ] {
            assert_eq!(of(find, by), [code], "{kind} {by}");
        }
    }
}

#[test]
fn workloads_have_policies_and_select_their_pods() {
    let pod = "containers: [{name: c, image: x}]\n";
    for (kind, policy, wrong) in [
        ("Job", "restartPolicy: OnFailure", None),
        ("Job", "restartPolicy: Always", Some("bad-value")),
        ("Job", "", Some("missing-field")),
        ("CronJob", "restartPolicy: Always", Some("bad-value")),
        ("Deployment", "restartPolicy: Always", None),
        ("Deployment", "", None),
        ("Deployment", "restartPolicy: Never", Some("bad-value")),
        ("Pod", "restartPolicy: Never", None),
    ] {
        let found = codes(&workload(kind, &format!("{pod}{policy}\n")));
        assert_eq!(found, wrong.into_iter().collect::<Vec<_>>(), "{kind} {policy}");
    }
    for kind in ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"] {
        let text = workload(kind, pod).replace("{labels: {a: b}}", "{labels: {a: c}}");
        assert_eq!(codes(&text), ["selector-mismatch"], "{kind}");
    }
    for (schedule, wrong) in [
        ("0 5 * * *", false),
        ("0 5 * * * *", true),
        ("@hourly", false),
        ("@often", true),
        ("${CRON}", false),
    ] {
        let text = workload("CronJob", &format!("{pod}restartPolicy: Never\n")).replace("@daily", schedule);
        assert_eq!(
            codes(&text),
            if wrong { vec!["bad-schedule"] } else { vec![] },
            "{schedule}"
        );
    }
    let claims = workload(
        "StatefulSet",
        "containers: [{name: c, image: x, volumeMounts: [{name: data, mountPath: /d}]}]\n",
    );
    let template = "  volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}]\n";
    assert_eq!(codes(&claims), ["unknown-volume"]);
    assert_eq!(codes(&format!("{claims}{template}")), [""; 0]);
}

#[test]
fn parts_of_our_kinds_are_kubernetes_own() {
    let driver = |text: &str| app(&format!("  driver:\n    cores: 1\n{text}"));
    for (right, wrong, code) in [
        (
            "    tolerations: [{key: a, operator: Exists, effect: NoSchedule}]\n",
            "NoScheduling",
            "bad-value",
        ),
        (
            "    affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: In, values: [NoSchedule]}]}]}}}\n",
            "",
            "bad-value",
        ),
        (
            "    sidecars: [{name: s, image: x, imagePullPolicy: NoSchedule}]\n",
            "",
            "bad-value",
        ),
    ] {
        let (good, bad) = match wrong {
            "" if right.contains("operator") => (right.to_owned(), right.replace("operator: In", "operator: Inn")),
            "" => (
                right.replace("NoSchedule", "Always"),
                right.replace("NoSchedule", "Allways"),
            ),
            wrong => (right.to_owned(), right.replace("NoSchedule", wrong)),
        };
        assert_eq!(codes(&driver(&good)), [""; 0], "{good}");
        assert_eq!(codes(&driver(&bad)), [code], "{bad}");
    }
    for (spec, wrong) in [
        ("  sparkUIOptions: {serviceType: NodePort}\n", None),
        ("  sparkUIOptions: {serviceType: Nodeport}\n", Some("bad-value")),
        (
            "  monitoring: {exposeDriverMetrics: true, exposeExecutorMetrics: true, prometheus: {jmxExporterJar: /x.jar, port: 80900}}\n",
            Some("out-of-range"),
        ),
    ] {
        assert_eq!(
            codes(&app(&format!("{spec}  driver: {{cores: 1}}\n"))),
            wrong.into_iter().collect::<Vec<_>>(),
            "{spec}"
        );
    }
    let host = app("  driver: {cores: 1}\n").replace("emptyDir: {}", "hostPath: {path: /x, type: Dir}");
    assert_eq!(codes(&host), ["bad-value"]);
}

#[test]
fn templates_of_pods_have_the_fields_of_pods() {
    let of = |template: &str| {
        codes(&app(&format!(
            "  driver:\n    cores: 1\n    template:\n      spec:\n{}",
            indented(template, 8)
        )))
    };
    for (template, wrong) in [
        // Spark brings the image.
        (
            "containers: [{name: spark-kubernetes-driver, volumeMounts: [{name: v, mountPath: /v}]}]",
            None,
        ),
        (
            "containers: [{name: c, volumeMounts: [{name: own, mountPath: /v}]}]\nvolumes: [{name: own, emptyDir: {}}]",
            None,
        ),
        ("securityContext: {runAsUser: 1}", None),
        ("container: [{name: c}]", Some("unknown-field")),
        ("securityContext: {runAsUsr: 1}", Some("unknown-field")),
        (
            "containers: [{name: c, volumeMounts: [{name: ow, mountPath: /v}]}]\nvolumes: [{name: own, emptyDir: {}}]",
            Some("unknown-volume"),
        ),
        ("tolerations: [{key: a, effect: NoScheduling}]", Some("bad-value")),
        (
            "containers: [{name: c, resources: {limits: {memory: 1GB}}}]",
            Some("bad-quantity"),
        ),
    ] {
        assert_eq!(of(template), wrong.into_iter().collect::<Vec<_>>(), "{template}");
    }
}

#[test]
fn an_official_image_tells_its_version() {
    for (image, wrong) in [
        ("spark:4.1.4", false),
        ("apache/spark:v4.1.1-scala", false),
        ("apache/spark:latest", false),
        ("acme/spark:3.5.3", false),
        ("spark:3.5.3", true),
        ("docker.io/apache/spark:4.0.0-python3", true),
    ] {
        let text = app("  driver: {cores: 1}\n").replace("image: spark:4.1.4", &format!("image: {image}"));
        assert_eq!(
            codes(&text),
            if wrong { vec!["image-version"] } else { vec![] },
            "{image}"
        );
    }
}

#[test]
fn images_are_references() {
    for text in [
        "spark",
        "spark:3.5.3",
        "apache/spark:v3.5.3-scala2.12-java17",
        "Registry.example.com:5000/team/spark@sha256:0123",
        "localhost/x:1",
        "123456789012.dkr.ecr.eu-central-1.amazonaws.com/data/etl:main-1a2b3c",
        "a/b__c.d-e:x",
        "${IMAGE}",
        "<image>",
    ] {
        assert_eq!(image(text), None, "{text}");
    }
    for text in [
        "spark :3",
        "Spark:3.5.3",
        "apache/Spark",
        "https://r.io/x",
        "x:",
        "x:a b",
        "x:ä",
        "x@123",
        "r.io//x",
        "-x",
        "r.io/x_",
    ] {
        assert!(image(text).is_some(), "{text}");
    }
    for (text, right) in [
        ("http", true),
        ("a-b1", true),
        ("http_x", false),
        ("8080", false),
        ("Http", false),
        ("a--b", false),
        ("abcdefghijklmnop", false),
    ] {
        assert_eq!(port_name(text).is_none(), right, "{text}");
    }
}
