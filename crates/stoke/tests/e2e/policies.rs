//! Policies as people meet them on a cluster: a ConfigMap is applied, and from then on `kubectl apply` is told what the team's rules say.

use std::time::Duration;

use libtest_mimic::{Failed, Trial};

use crate::admission::{Hook, application, apply, configure};
use crate::common::{Context, eventually, expect_code, expect_parts, program, text};
use crate::up::Up;

pub fn trials(context: &Context) -> Vec<Trial> {
    let kubectl = || program("kubectl", "see the Kubernetes documentation, `Install kubectl`");
    vec![
        context.trial(
            "policies: a ConfigMap is asked by the webhook and by the operator, from its change on",
            &[kubectl()],
            asked,
        ),
        context.trial(
            "policies: flags that cannot be used are refused before anything starts",
            &[],
            refused,
        ),
    ]
}

/// A labelled ConfigMap with a rule that denies, and one that warns.
fn policy(rules: &str) -> String {
    let rules = rules.replace('\n', "\n    ");
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: team, labels: {{stoke.dev/policy: \"true\"}}}}\ndata:\n  team.rego: |\n    {rules}\n"
    )
}

const OWNER: &str = "package team
deny contains {\"msg\": \"no owner\", \"path\": \"metadata.labels.owner\", \"fix\": \"say who is called at night\"} if {
  input.kind == \"SparkApplication\"
  not input.metadata.labels.owner
}
warn contains \"a driver without a limit\" if {
  input.kind == \"Pod\"
  input.metadata.labels[\"spark-role\"] == \"driver\"
  some container in input.spec.containers
  not container.resources.limits.cpu
}";

fn labelled(name: &str) -> String {
    application(name, "").replace(
        &format!("{{name: {name}}}"),
        &format!("{{name: {name}, labels: {{owner: etl}}}}"),
    )
}

fn asked(context: &Context) -> Result<(), Failed> {
    let up = Up::start(context)?;
    configure(&up, "Fail")?;
    let hook = Hook::start(&up, &["--policy-namespace=default", "--policy-pack=registries"])?;
    hook.endpoint(&up, "one")?;
    let plain = application("plain", "");
    expect_code(&apply(&up, &["--dry-run=server"], &plain)?, 0)?;
    expect_code(&apply(&up, &[], &policy(OWNER))?, 0)?;
    let denied = "admission webhook \"check.sparkoperator.k8s.io\" denied the request: metadata.labels.owner: no owner; say who is called at night; \
                  the rule is configmap/default/team/team.rego:2 [policy/team.deny]";
    // It takes effect by itself, and a dry run is judged the same.
    eventually("the policy is in force", Duration::from_secs(10), || {
        apply(&up, &["--dry-run=server"], &plain).is_ok_and(|output| text(&output).contains(denied))
    })?;
    for options in [&[][..], &["--server-side"]] {
        let refused = apply(&up, options, &plain)?;
        expect_code(&refused, 1)?;
        expect_parts(&text(&refused), &[denied])?;
    }
    let passed = apply(&up, &[], &labelled("labelled"))?;
    expect_code(&passed, 0)?;
    expect_parts(
        &text(&passed),
        &[
            "Warning: driver pod default/labelled-driver: a driver without a limit; the rule is configmap/default/team/team.rego:6 [policy/team.warn]",
        ],
    )?;
    // A policy of the pack, by the webhook's flag; and an edit is judged as what it makes of the object.
    let elsewhere = labelled("labelled").replace("apache/spark:4.1.4", "registry.example.com/spark:4.1.4");
    expect_parts(
        &text(&apply(&up, &[], &elsewhere)?),
        &["denied the request: ", "[policy/starter.registries.deny]"],
    )?;
    // The operator of `stoke up` asks the same ConfigMap where no webhook looks.
    expect_code(&up.kubectl(&["create", "namespace", "elsewhere"]).output()?, 0)?;
    let unsuspended = plain.replace("suspend: true", "suspend: false");
    expect_code(&apply(&up, &["-n", "elsewhere"], &unsuspended)?, 0)?;
    let status = "jsonpath={.status.applicationState.state} {.status.applicationState.errorMessage}";
    let get = ["get", "sparkapplication", "plain", "-n", "elsewhere", "-o", status];
    eventually("the status tells", Duration::from_secs(30), || {
        up.kubectl(&get)
            .output()
            .is_ok_and(|output| text(&output).starts_with("FAILED ") && text(&output).contains("[policy/team.deny]"))
    })?;
    // What cannot be used changes nothing, and `kubectl describe` says why.
    expect_code(&apply(&up, &[], &policy("package team\ndeny contains {"))?, 0)?;
    eventually("the ConfigMap has an event", Duration::from_secs(10), || {
        up.kubectl(&["describe", "configmap", "team"])
            .output()
            .is_ok_and(|output| {
                text(&output).contains("PoliciesUnusable")
                    && text(&output).contains("what was in force before stays in force")
            })
    })?;
    expect_parts(&text(&apply(&up, &[], &plain)?), &[denied])?;
    let metrics = hook.metrics();
    expect_parts(
        &metrics,
        &[
            "stoke_policy_broken 1",
            "stoke_policy_denials_total{at=\"admission\",rule=\"policy/team.deny\"}",
            "stoke_policy_evaluations_total{at=\"admission\",result=\"warned\"}",
            "stoke_admission_refusals_total{code=\"policy/starter.registries.deny\"}",
        ],
    )?;
    // Deletions are no one's business, and without the ConfigMap all passes.
    expect_code(&up.kubectl(&["delete", "sparkapplication", "labelled"]).output()?, 0)?;
    expect_code(&up.kubectl(&["delete", "configmap", "team"]).output()?, 0)?;
    eventually("nothing is denied any more", Duration::from_secs(10), || {
        apply(&up, &["--dry-run=server"], &plain).is_ok_and(|output| output.status.success())
    })?;
    drop(hook);
    up.down()
}

fn refused(context: &Context) -> Result<(), Failed> {
    let home = context.private_home();
    let directory = home.path().join("rules");
    std::fs::create_dir_all(&directory)?;
    let run = |arguments: &[&str]| crate::common::stoke(home.path(), arguments).output();
    let shown = directory.display().to_string();
    let empty = run(&["up", "--detach", "--policies", &shown])?;
    expect_code(&empty, 2)?;
    expect_parts(&text(&empty), &["there is no policy in it"])?;
    std::fs::write(directory.join("a.rego"), "package a\ndeny contains {\n")?;
    let broken = run(&["up", "--detach", "--policies", &shown])?;
    expect_code(&broken, 2)?;
    expect_parts(&text(&broken), &["a.rego:", "rego-syntax"])?;
    let unknown = run(&["up", "--detach", "--policy-pack", "registrys"])?;
    expect_code(&unknown, 2)?;
    expect_parts(&text(&unknown), &["registries"])?;
    let nobody = run(&["up", "--detach", "--no-operator", "--policy-pack", "registries"])?;
    expect_code(&nobody, 2)?;
    expect_parts(&text(&nobody), &["without an operator policies are not evaluated"])
}
