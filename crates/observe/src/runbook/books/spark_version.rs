//! Another version of Spark.

use serde_json::{Value, json};
use stoke_diagnostics::Severity;
use stoke_model::conf::Catalogue;

use super::super::action::{Action, Change, Object, Plan};
use super::super::book::{Does, Form, Kind, Need, Parameter, Read, Runbook, Step};
use super::super::case::{Case, Held, Seen, Unknown};
use super::super::spark;
use super::shared::{APPLICATION, SETTLE, WITHIN, on_edit, put_back, repair, runs_after};

pub static BOOK: Runbook = Runbook {
    name: "upgrade-spark",
    title: "Upgrade Spark under an application",
    when: "An application is to run with another Spark. Its configuration is held against that version's, a copy of it runs first, and only when that has completed the application and its schedule change.",
    codes: &["java-mismatch", "class-incompatible"],
    parameters: &[
        APPLICATION,
        Parameter {
            name: "spark-version",
            what: "The version of Spark",
            found: "`stoke runtime list`, or the tags of the image",
            form: Form::Version,
            need: Need::Always,
        },
        Parameter {
            name: "image",
            what: "An image of that version",
            found: "The registry; `apache/spark:VERSION`",
            form: Form::Image,
            need: Need::Always,
        },
        SETTLE,
        WITHIN,
    ],
    steps: &[
        Step {
            name: "configuration",
            what: "Does that Spark know every key of the configuration?",
            only: &[],
            reads: &[Read::Application],
            does: Does::Check(check),
        },
        Step {
            name: "canary",
            what: "Create a copy of the application with the new version, without its schedule.",
            only: &[],
            reads: &[Read::Application],
            does: Does::Act {
                rights: &[("create", Kind::SparkApplication)],
                plan: plan_canary,
                undo: "The copy is deleted.",
            },
        },
        Step {
            name: "canary-completes",
            what: "The copy has completed.",
            only: &[],
            reads: &[Read::Canary],
            does: Does::Verify {
                holds: canary_completes,
                within: 3600,
            },
        },
        repair(&[]),
        runs_after(&[]),
        put_back(&[]),
        Step {
            name: "remove-canary",
            what: "Delete the copy.",
            only: &[],
            reads: &[Read::Canary],
            does: Does::Act {
                rights: &[("delete", Kind::SparkApplication)],
                plan: plan_remove,
                undo: "",
            },
        },
    ],
    limits: &[
        "The copy reads and writes what the application does: where that does harm, give it other places first, or try it in another namespace. Classes of connectors are held against the version by `stoke check`.",
    ],
};

fn check(case: &Case<'_>) -> Result<Seen, Unknown> {
    let application = case.the(Read::Application)?;
    let (version, image) = (case.input.text("spark-version"), case.input.text("image"));
    let spec = &application["spec"];
    if spec["sparkVersion"] == version && spec["image"] == image {
        return Ok(Seen::nothing(format!("it runs with {version} already")));
    }
    let conf = spec["sparkConf"].as_object();
    let pairs = conf
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)));
    let lints = Catalogue::for_version(version).lint(pairs);
    let bad: Vec<String> = lints
        .iter()
        .filter(|lint| lint.severity == Severity::Error)
        .map(|lint| format!("{}: {}", lint.key, lint.message))
        .collect();
    if !bad.is_empty() {
        return Err(Unknown(format!(
            "Spark {version} refuses {}; change it first",
            bad.join("; ")
        )));
    }
    let from = spark::text(&spec["sparkVersion"]);
    Ok(Seen::go(format!(
        "from {from} to {version}; it knows every key of the configuration"
    ))
    .keep("patch", json!({"spec": {"sparkVersion": version, "image": image}}))
    .keep("onEdit", on_edit(application)))
}

/// The name of the copy: of this application and this run.
pub fn canary(application: &str, record: &str) -> String {
    let end = record.rsplit('-').next().unwrap_or_default();
    stoke_model::names::short_name(application, &format!("canary-{end}"))
}

fn plan_canary(case: &Case<'_>) -> Result<Plan, Unknown> {
    let application = case.the(Read::Application)?;
    let (version, image) = (case.input.text("spark-version"), case.input.text("image"));
    let mut spec = application["spec"].clone();
    spec["sparkVersion"] = version.into();
    spec["image"] = image.into();
    spec["suspend"] = Value::Null;
    // Names that only one may have.
    for field in ["podName"] {
        if let Some(driver) = spec["driver"].as_object_mut() {
            driver.remove(field);
        }
    }
    spec["restartPolicy"] = json!({"type": "Never"});
    if let Some(spec) = spec.as_object_mut() {
        spec.remove("suspend");
    }
    let name = canary(spark::name(application), case.record);
    let manifest = json!({
        "apiVersion": application["apiVersion"], "kind": "SparkApplication",
        "metadata": {"name": name, "namespace": case.input.namespace},
        "spec": spec,
    });
    Ok(Plan::new(
        format!(
            "application {name} runs once with Spark {version}, beside {}",
            spark::name(application)
        ),
        vec![Change::create(Kind::SparkApplication, manifest, case.record)],
    ))
}

fn canary_completes(case: &Case<'_>) -> Result<Held, Unknown> {
    let Some(canary) = case.one(Read::Canary)? else {
        return Ok(Held::Never("the copy is gone".to_owned()));
    };
    Ok(match spark::state(canary) {
        "COMPLETED" => Held::Yes(format!("{} has completed", spark::name(canary))),
        "FAILED" => Held::Never(format!(
            "the copy failed: {}; the application is as it was",
            spark::message(canary)
        )),
        state => Held::NotYet(format!("the copy is {}", spark::word(state))),
    })
}

fn plan_remove(case: &Case<'_>) -> Result<Plan, Unknown> {
    let Some(canary) = case.one(Read::Canary)? else {
        return Ok(Plan::nothing("it is gone"));
    };
    let action = Action::Delete {
        object: Object::of(Kind::SparkApplication, canary),
        uid: canary["metadata"]["uid"].as_str().map(str::to_owned),
    };
    Ok(Plan::new(
        format!("application {} and its pods", spark::name(canary)),
        vec![Change::only(action)],
    ))
}
