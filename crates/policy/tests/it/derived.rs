//! Policies and standards over pods that are derived from real applications: the way from a manifest to what it would become.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stoke_model::crd::SparkApplication;
use stoke_model::defaults;
use stoke_model::pod_security::{Level, Version};
use stoke_policy::test::{Derived, Options};
use stoke_policy::{Facts, Known, Outcome, PolicyFile, PolicySet, Role, Subject, pack, pod_security};
use stoke_submit::application::{Settings, plan_application, request_from_application};
use stoke_submit::{ExecutorRequest, executor_pod};

/// What an application would become, as the operator plans it.
fn derive(application: &Value) -> Result<Derived, String> {
    let mut app: SparkApplication = serde_json::from_value(application.clone()).map_err(|error| error.to_string())?;
    app.metadata.uid = Some("7f1e".to_owned());
    app.metadata.namespace.get_or_insert_with(|| "spark".to_owned());
    app.spec = defaults::application(app.spec);
    let now = "2026-11-21T00:00:00Z".parse().map_err(|_| "time".to_owned())?;
    let mut settings = Settings::new("k8s://https://kubernetes.default.svc:443", now);
    settings.rpc_authentication = true;
    settings.cpu_limits = true;
    let request = request_from_application(&app, 1, &settings).map_err(|error| error.to_string())?;
    let plan = plan_application(&app, 1, &settings).map_err(|error| error.to_string())?;
    let executor = ExecutorRequest {
        executor_id: "1".to_owned(),
        user: request.user.clone(),
        prefix_uid: "0123456789abcdef".to_owned(),
        config_map_uid: "0123456789abcdef".to_owned(),
        local_dir_uuid: "u".to_owned(),
        template: request.files.executor_template.clone(),
        ..ExecutorRequest::default()
    };
    let executor = executor_pod(&request.spark_version, &plan.submission.properties, &executor);
    Ok(Derived {
        conf: plan.submission.properties.clone(),
        driver: plan.submission.driver_pod.clone(),
        executor: Some(executor.map_err(|error| error.to_string())?.pod),
    })
}

fn example(name: &str) -> Value {
    let path = format!("{}/../../examples/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let (documents, _) = stoke_model::manifest::check(name, &text);
    let mut applications = documents.iter().filter(|document| document.kind == "SparkApplication");
    applications.next().unwrap().value.clone()
}

fn judge(set: &PolicySet, application: &Value, derived: &Derived) -> Outcome {
    let facts = Facts::new(Known {
        application: Some(application.clone()),
        conf: Some(derived.conf.clone()),
        driver: Some(derived.driver.clone()),
        executor: derived.executor.clone(),
        ..Known::default()
    });
    let conf = &derived.conf;
    let mut outcome = set.evaluate(&Subject::Conf { application, conf }, &facts);
    for (role, pod) in [
        (Role::Driver, &derived.driver),
        (Role::Executor, derived.executor.as_ref().unwrap()),
    ] {
        outcome.extend(set.evaluate(&Subject::Pod { role, pod }, &facts));
    }
    outcome
}

#[test]
fn pods_of_the_examples_meet_the_standard() {
    for name in ["pi.yaml", "etl.yaml", "streaming.yaml", "dynamic-allocation.yaml"] {
        let derived = derive(&example(name)).unwrap();
        let pods = [
            (Role::Driver, &derived.driver),
            (Role::Executor, derived.executor.as_ref().unwrap()),
        ];
        for (role, pod) in pods {
            let found = pod_security(Level::Restricted, Version::LATEST, &Subject::Pod { role, pod });
            assert_eq!(found, [], "{name}");
        }
    }
}

#[test]
fn policies_about_pods_have_nothing_against_them() {
    let set = PolicySet::load(&pack::policies(&["privileged", "limits", "secrets", "registries"])).unwrap();
    for name in ["pi.yaml", "etl.yaml", "streaming.yaml"] {
        let application = example(name);
        let outcome = judge(&set, &application, &derive(&application).unwrap());
        assert!(
            outcome.allowed(),
            "{name}: {:?} {:?}",
            outcome.violations,
            outcome.problems
        );
    }
}

#[test]
fn what_an_application_asks_for_shows_in_its_pods() {
    let mut application = example("pi.yaml");
    application["spec"]["driver"]["securityContext"] = json!({"privileged": true});
    application["spec"]["executor"]["env"] = json!([{"name": "DB_PASSWORD", "value": "hunter2"}]);
    application["spec"]["sparkConf"] = json!({"spark.hadoop.fs.s3a.secret.key": "abc"});
    let derived = derive(&application).unwrap();
    let set = PolicySet::load(&pack::policies(&["privileged", "secrets"])).unwrap();
    let outcome = judge(&set, &application, &derived);
    let told: BTreeMap<String, Option<String>> = outcome
        .violations
        .iter()
        .map(|violation| {
            (
                format!("{} {}", violation.subject, violation.policy),
                violation.path.clone(),
            )
        })
        .collect();
    let subjects: Vec<&str> = told.keys().map(String::as_str).collect();
    assert_eq!(
        subjects,
        [
            "configuration of SparkApplication pi starter.secrets",
            "driver pod spark/pi-driver starter.privileged",
            "executor pod pi-0123456789abcdef-exec-1 starter.secrets",
        ]
    );
    let path = told["configuration of SparkApplication pi starter.secrets"].as_deref();
    assert_eq!(path, Some("conf[\"spark.hadoop.fs.s3a.secret.key\"]"));
    let standard = pod_security(
        Level::Baseline,
        Version::LATEST,
        &Subject::Pod {
            role: Role::Driver,
            pod: &derived.driver,
        },
    );
    assert_eq!(standard[0].rule, "privileged");
}

#[test]
fn examples_are_derived_in_tests_too() {
    let policy = "package p\ndeny contains \"no authentication\" if {\n\tinput.kind == \"SparkConf\"\n\tnot input.conf[\"spark.authenticate\"] == \"true\"\n}\n";
    let text = |more: &str| {
        format!(
            "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nmetadata: {{name: pi}}\nspec:\n  type: Python\n  image: apache/spark:4.1.4\n  mainApplicationFile: local:///pi.py\n{more}"
        )
    };
    let files = [
        PolicyFile::new("p/p.rego", policy),
        PolicyFile::new("p/allowed/default.yaml", &text("")),
        PolicyFile::new(
            "p/denied/off.yaml",
            &text("  sparkConf: {spark.authenticate: \"false\"}\n"),
        ),
    ];
    let options = Options {
        derive: Some(&|application: &Value| derive(application).map(Some)),
        ..Options::default()
    };
    let report = stoke_policy::test::run(&files, &options);
    assert!(report.passed(), "{report}");
}
