//! Verdicts, one row per kind of fault; defaults never add a fault of their own.

use jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::admission::defaulting;

fn settings() -> Settings {
    Settings::new("k8s://https://kubernetes.default.svc", Timestamp::UNIX_EPOCH)
}

fn app(change: impl FnOnce(&mut Value)) -> Value {
    let mut app = json!({
        "apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication", "metadata": {"name": "pi"},
        "spec": {"type": "Python", "sparkVersion": "4.1.4", "image": "apache/spark:4.1.4", "mainApplicationFile": "local:///a.py",
            "driver": {"memory": "1g"}, "executor": {"memory": "1g", "instances": 2}},
    });
    change(&mut app);
    app
}

fn verdict_of(kind: &str, object: &Value, old: Option<&Value>, allowed: &Allowed) -> (Vec<String>, Vec<String>) {
    let subject = Subject {
        kind,
        namespace: "jobs",
        object,
        old,
    };
    let verdict = check(&subject, &settings(), allowed);
    let texts = |said: Vec<Diagnostic>| said.iter().map(Diagnostic::line).collect();
    (texts(verdict.errors), texts(verdict.warnings))
}

fn errors(object: &Value) -> Vec<String> {
    verdict_of(object["kind"].as_str().unwrap(), object, None, &Allowed::default()).0
}

/// The object as the API server would store it after its defaults were written.
fn defaulted(mut object: Value) -> Value {
    for operation in defaulting::patch(object["kind"].as_str().unwrap(), &object["spec"]) {
        let path = operation["path"].as_str().unwrap();
        let (parent, key) = path.rsplit_once('/').unwrap();
        object.pointer_mut(parent).unwrap()[key] = operation["value"].clone();
    }
    object
}

#[test]
fn good_objects_pass_without_a_word_also_with_their_defaults() {
    let nothing = (Vec::new(), Vec::new());
    let minimal = app(|app| {
        app["spec"]["driver"] = json!({});
        app["spec"]["executor"] = json!({});
    });
    let scheduled = json!({"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "ScheduledSparkApplication", "metadata": {"name": "nightly"},
        "spec": {"schedule": "@daily", "template": minimal["spec"]}});
    let connect = json!({"apiVersion": "sparkoperator.k8s.io/v1alpha1", "kind": "SparkConnect", "metadata": {"name": "lab"},
        "spec": {"sparkVersion": "4.1.4", "image": "apache/spark:4.1.4", "server": {}, "executor": {}}});
    let generated = app(|app| app["metadata"] = json!({"generateName": "pi-"}));
    let stored = app(|app| {
        app["status"] = json!({"applicationState": {"state": "RUNNING"}});
        app["metadata"]["managedFields"] = json!([{"manager": "kubectl", "fieldsV1": {"f:spec": {}}}]);
    });
    for object in [app(|_| ()), minimal, scheduled, connect, generated, stored] {
        let kind = object["kind"].as_str().unwrap();
        assert_eq!(
            verdict_of(kind, &object, None, &Allowed::default()),
            nothing,
            "{object}"
        );
        let object = defaulted(object.clone());
        assert_eq!(
            verdict_of(kind, &object, None, &Allowed::default()),
            nothing,
            "{object}"
        );
    }
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");
    for file in std::fs::read_dir(directory).unwrap().flatten() {
        let text = std::fs::read_to_string(file.path()).unwrap_or_default();
        for document in manifest::check("example", &text).0 {
            if document.is_ours() {
                let object = defaulted(document.value.clone());
                assert_eq!(errors(&object), Vec::<String>::new(), "{:?}", file.path());
            }
        }
    }
}

#[test]
fn faults_name_the_key_the_cause_the_fix_and_the_code() {
    let conf = |key: &str, value: &str| app(|app| app["spec"]["sparkConf"] = json!({key: value}));
    let rows = [
        (
            conf("spark.kubernetes.container.image", "x"),
            "spec.sparkConf[\"spark.kubernetes.container.image\"]: sparkConf key \"spark.kubernetes.container.image\" is not allowed: set `image`; remove the key [conf-refused]",
        ),
        (conf("spark.kubernetes.namespace", "other"), "`jobs`, not `other`"),
        (
            conf("spark.executor.memry", "1g"),
            "write spark.executor.memory [conf-unknown-key]",
        ),
        (
            conf("spark.network.timeout", "10 minutes"),
            "write 10min [conf-wrong-type]",
        ),
        (
            app(|app| app["spec"]["driver"]["memory"] = json!("1.5g")),
            "spec.driver.memory: ",
        ),
        (
            app(|app| app["spec"]["driver"]["cores"] = json!(0)),
            "spec.driver.cores: ",
        ),
        (app(|app| app["spec"]["mode"] = json!("client")), "[client-mode]"),
        (app(|app| app["metadata"]["name"] = json!("Pi")), "[bad-name]"),
        (
            app(|app| drop(app["spec"].as_object_mut().unwrap().remove("image"))),
            "[missing-image]",
        ),
        // Only the submission knows these.
        (
            app(|app| app["spec"]["batchSchedulerOptions"] = json!({"queue": "q"})),
            "batchScheduler",
        ),
        (
            json!({"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "ScheduledSparkApplication", "metadata": {"name": "n"},
                "spec": {"schedule": "61 * * * *", "template": app(|_| ())["spec"]}}),
            "spec.schedule: ",
        ),
        (
            json!({"apiVersion": "sparkoperator.k8s.io/v1alpha1", "kind": "SparkConnect", "metadata": {"name": "lab"},
                "spec": {"sparkVersion": "4.1.4", "image": "apache/spark:4.1.4", "server": {}, "executor": {}, "sparkConf": {"spark.master": "local"}}}),
            "sparkConf key \"spark.master\" is not allowed",
        ),
        (
            json!({"apiVersion": "sparkoperator.k8s.io/v1alpha1", "kind": "SparkConnect",
                "metadata": {"name": "lab", "annotations": {"stoke.dev/idle-timeout": "soon"}},
                "spec": {"sparkVersion": "4.1.4", "image": "apache/spark:4.1.4", "server": {}, "executor": {}}}),
            "such as 30m or 1h30m, or none [bad-annotation]",
        ),
        (
            app(|app| app["metadata"]["annotations"] = json!({"stoke.dev/keep-logs": "some"})),
            "write driver, all or none [bad-annotation]",
        ),
    ];
    for (object, part) in rows {
        let said = errors(&object);
        assert!(said.len() == 1 && said[0].contains(part), "{part}: {said:#?}");
    }
}

#[test]
fn the_operators_own_image_is_enough() {
    let object = app(|app| drop(app["spec"].as_object_mut().unwrap().remove("image")));
    let subject = Subject {
        kind: "SparkApplication",
        namespace: "jobs",
        object: &object,
        old: None,
    };
    let settings = Settings {
        default_image: Some("apache/spark:4.1.4".into()),
        ..settings()
    };
    assert_eq!(check(&subject, &settings, &Allowed::default()), Verdict::default());
}

#[test]
fn warnings_do_not_refuse() {
    let object = app(|app| app["spec"]["restartPolicy"] = json!({"type": "OnFailure"}));
    let (errors, warnings) = verdict_of("SparkApplication", &object, None, &Allowed::default());
    assert_eq!(errors, Vec::<String>::new());
    assert!(
        warnings[0].ends_with("add for example `onFailureRetries: 3` [no-retries]"),
        "{warnings:?}"
    );
}

#[test]
fn an_edit_is_refused_for_what_it_brings_only() {
    let wrong = |executor: &str| {
        app(|app| {
            app["spec"]["driver"]["memory"] = json!("1.5g");
            app["spec"]["executor"]["memory"] = json!(executor);
        })
    };
    let (errors, warnings) = verdict_of(
        "SparkApplication",
        &wrong("2g"),
        Some(&wrong("1g")),
        &Allowed::default(),
    );
    assert_eq!(errors, Vec::<String>::new());
    assert!(warnings[0].starts_with("spec.driver.memory: "), "{warnings:?}");
    let (errors, _) = verdict_of(
        "SparkApplication",
        &wrong("2.5g"),
        Some(&wrong("1g")),
        &Allowed::default(),
    );
    assert!(
        errors.len() == 1 && errors[0].starts_with("spec.executor.memory: "),
        "{errors:?}"
    );
    assert!(changes_what_runs(&wrong("2g"), &wrong("1g")) && !changes_what_runs(&wrong("1g"), &wrong("1g")));
    let annotated = |name: &str, text: &str| {
        let mut object = wrong("1g");
        object["metadata"]["annotations"] = json!({name: text});
        object
    };
    assert!(changes_what_runs(
        &annotated("stoke.dev/keep-logs", "some"),
        &wrong("1g")
    ));
    assert!(!changes_what_runs(&annotated("team", "a"), &wrong("1g")));
}

#[test]
fn sizes_are_those_of_the_pods_that_would_be_made() {
    let quota =
        serde_json::from_value(json!({"metadata": {"name": "team"}, "spec": {"hard": {"requests.memory": "2Gi"}}}))
            .unwrap();
    let allowed = Allowed {
        quotas: vec![quota],
        ..Allowed::default()
    };
    let (errors, _) = verdict_of("SparkApplication", &app(|_| ()), None, &allowed);
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(
        errors[0].starts_with("spec.executor.memory: the driver and one executor have requests.memory "),
        "{errors:?}"
    );
    let scheduled = json!({"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "ScheduledSparkApplication", "metadata": {"name": "nightly"},
        "spec": {"schedule": "@daily", "template": app(|_| ())["spec"]}});
    let (errors, _) = verdict_of("ScheduledSparkApplication", &scheduled, None, &allowed);
    assert!(errors[0].starts_with("spec.template.executor.memory: "), "{errors:?}");
}

#[test]
fn a_refusal_of_several_errors_is_a_list() {
    let said = |path: &str| Diagnostic::new(Severity::Error, "c", "m").with_path(path);
    let verdict = Verdict {
        errors: vec![said("a"), said("b")],
        warnings: Vec::new(),
    };
    assert_eq!(verdict.refusal(), "2 errors\n- a: m [c]\n- b: m [c]");
}
