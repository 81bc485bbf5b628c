use super::*;

fn files(texts: &[(&str, &str)]) -> Vec<PolicyFile> {
    texts.iter().map(|(path, text)| PolicyFile::new(path, text)).collect()
}

fn report(texts: &[(&str, &str)]) -> TestReport {
    run(&files(texts), &Options::default())
}

/// A limit of memory as it is often written: `megabytes` has a body and no value, so every text that can be read is `true`, and nothing is
/// greater than `true`.
const INERT: &str = r#"package spark.memory

megabytes(text) if {
	amount := to_number(trim_suffix(text, "g")) * 1024
	amount
}

deny contains msg if {
	megabytes(input.spec.driver.memory) > megabytes("16g")
	msg := "the driver has more than 16g"
}

deny contains "the driver has no memory" if not input.spec.driver.memory
"#;
const HUGE: &str = "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nmetadata: {name: a}\nspec: {driver: {memory: 512g}}\n";
const NONE: &str =
    "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nmetadata: {name: a}\nspec: {driver: {}}\n";
const SMALL: &str = "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nmetadata: {name: a}\nspec: {driver: {memory: 2g}}\n";

#[test]
fn a_rule_that_can_never_fire_is_found() {
    // Its other definition fires, and all examples come as expected: only looking at each definition finds the dead one.
    let texts = [
        ("m/memory.rego", INERT),
        ("m/denied/none.yaml", NONE),
        ("m/allowed/small.yaml", SMALL),
    ];
    let found = report(&texts);
    assert!(!found.passed());
    let unseen: Vec<usize> = found
        .rules
        .iter()
        .filter(|rule| rule.seen_in.is_none())
        .map(|rule| rule.line)
        .collect();
    assert_eq!(unseen, [8]);
    assert!(found.examples.iter().all(|example| example.passed));
    let shown = found.to_string();
    assert!(
        shown.contains("FAIL m/memory.rego:8: spark.memory.deny was never seen firing"),
        "{shown}"
    );
    assert!(
        shown.ends_with("0 tests, 2 examples, 2 rule definitions: 1 failed"),
        "{shown}"
    );

    // With the example that would have told, the example fails too.
    let found = report(&[texts.as_slice(), &[("m/denied/huge.yaml", HUGE)]].concat());
    assert_eq!(found.failures(), 2);
    assert!(
        found
            .to_string()
            .contains("FAIL m/denied/huge.yaml: it is expected to be denied, and nothing denies it")
    );

    // Fixed, it fires.
    let fixed = INERT
        .replace("megabytes(text) if", "megabytes(text) := amount if")
        .replace("\tamount\n", "");
    let found = report(&[
        ("m/memory.rego", fixed.as_str()),
        texts[1],
        texts[2],
        ("m/denied/huge.yaml", HUGE),
    ]);
    assert!(found.passed(), "{found}");
    assert_eq!(found.rules[0].seen_in.as_deref(), Some("m/denied/huge.yaml"));
    assert_eq!(found.rules[1].seen_in.as_deref(), Some("m/denied/none.yaml"));
}

const OWNER: &str = r#"package team

deny[msg] {
  not input.metadata.labels.owner
  msg := "no owner"
}

deny[msg] {
  input.metadata.labels.owner == "nobody"
  msg := "nobody is no owner"
}
"#;

#[test]
fn unit_tests_run_and_prove_rules() {
    let tests = r#"package team_test

import data.team

test_no_owner { team.deny["no owner"] with input as {"metadata": {}} }
test_owner { count(team.deny) == 0 with input as {"metadata": {"labels": {"owner": "a"}}} }
todo_test_later { false }
"#;
    let found = report(&[("team.rego", OWNER), ("team_test.rego", tests)]);
    let verdicts: Vec<Verdict> = found.tests.iter().map(|test| test.verdict).collect();
    assert_eq!(verdicts, [Verdict::Passed, Verdict::Passed, Verdict::Skipped]);
    assert_eq!(
        found.rules[0].seen_in.as_deref(),
        Some("test data.team_test.test_no_owner")
    );
    // No test would notice if the second were gone.
    assert_eq!(found.rules[1].seen_in, None);
    assert!(
        found
            .to_string()
            .contains("team.rego:8: team.deny was never seen firing"),
        "{found}"
    );

    let more = format!(
        "{tests}test_nobody {{ team.deny[\"nobody is no owner\"] with input as {{\"metadata\": {{\"labels\": {{\"owner\": \"nobody\"}}}}}} }}\n"
    );
    let found = report(&[("team.rego", OWNER), ("team_test.rego", &more)]);
    assert!(found.passed(), "{found}");
}

#[test]
fn tests_that_are_not_true_fail_with_their_place() {
    let tests = "package team_test\nimport data.team\n\ntest_false if false\ntest_undefined if input.missing\ntest_other := 3\ntest_print if {\n\tprint(\"seen\", 1)\n\tfalse\n}\n";
    let found = report(&[("team.rego", OWNER), ("team_test.rego", tests)]);
    let told: Vec<(usize, Option<&str>)> = found
        .tests
        .iter()
        .map(|test| (test.line, test.message.as_deref()))
        .collect();
    assert_eq!(
        told,
        [
            (4, Some("it is undefined")),
            (5, Some("it is undefined")),
            (6, Some("it is 3")),
            (7, Some("it is undefined"))
        ]
    );
    assert_eq!(found.tests[3].printed, ["team_test.rego:8: seen 1"]);
}

#[test]
fn examples_are_scenes() {
    let policy = r#"package scene

default limit := 2

limit := data.parameters.limit

deny contains msg if {
	input.kind == "SparkApplication"
	input.spec.executor.instances > limit
	msg := sprintf("spec.executor.instances is more than %d", [limit])
}

warn contains "the namespace is not for production" if {
	input.kind == "SparkApplication"
	not data.stoke.namespace.metadata.labels.production
}

deny contains msg if {
	input.kind == "SparkConf"
	data.stoke.application.metadata.name != input.metadata.name
	msg := "the configuration is of another application"
}
"#;
    let app = "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nmetadata: {name: a, namespace: n}\nspec: {executor: {instances: 5}}\n";
    let space = "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: n, labels: {production: 'yes'}}\n";
    let conf = "---\napiVersion: stoke.dev/v1\nkind: SparkConf\nmetadata: {name: b}\nconf: {}\n";
    let many = format!("{app}{space}");
    let allowed = format!("parameters: {{limit: 9}}\n---\n{app}{space}");
    let known = format!(
        "parameters: {{limit: 9}}\nstoke: {{namespace: {{metadata: {{labels: {{production: x}}}}}}}}\n---\n{app}"
    );
    let elsewhere = format!("parameters: {{limit: 9}}\n---\n{app}{conf}");
    let found = report(&[
        ("s/p.rego", policy),
        ("s/denied/many.yaml", &many),
        ("s/denied/elsewhere.yaml", &elsewhere),
        ("s/allowed/limit.yaml", &allowed),
        ("s/allowed/known.yaml", &known),
    ]);
    assert!(found.passed(), "{found}");
    let violation = &found
        .examples
        .iter()
        .find(|example| example.file.ends_with("many.yaml"))
        .unwrap()
        .violations[0];
    assert_eq!(violation.path.as_deref(), Some("spec.executor.instances"));
    assert_eq!(violation.message, "spec.executor.instances is more than 2");
}

#[test]
fn applications_become_pods_where_somebody_derives_them() {
    let policy = "package p\ndeny contains \"root\" if {\n\tinput.kind == \"Pod\"\n\tinput.spec.securityContext.runAsUser == 0\n\tdata.stoke.conf[\"spark.app.name\"] == \"a\"\n}\n";
    let files = files(&[("p.rego", policy), ("denied/small.yaml", SMALL)]);
    let derive = |application: &Value| {
        let name = application["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        Ok(Some(Derived {
            conf: BTreeMap::from([("spark.app.name".to_owned(), name)]),
            driver: serde_json::json!({"spec": {"securityContext": {"runAsUser": 0}}}),
            executor: None,
        }))
    };
    let derived = run(
        &files,
        &Options {
            derive: Some(&derive),
            ..Options::default()
        },
    );
    assert!(derived.passed(), "{derived}");
    assert!(!run(&files, &Options::default()).passed());
    let broken = |_: &Value| Err("no image".to_owned());
    let report = run(
        &files,
        &Options {
            derive: Some(&broken),
            ..Options::default()
        },
    );
    assert!(report.problems[0].message.contains("no image"));
}

#[test]
fn what_cannot_be_judged_is_a_failure() {
    let policy = ("p/p.rego", "package p\ndeny contains \"a\" if input.kind == \"Pod\"\n");
    let pod = "apiVersion: v1\nkind: Pod\n";
    for (texts, what) in [
        (vec![], "no rule `deny`"),
        (vec![("p/p.rego", "package p\nallow := true\n")], "no rule `deny`"),
        (vec![policy, ("q/denied/a.yaml", pod)], "no policy beside"),
        (vec![policy, ("p/denied/a.yaml", "a: 1\n")], "no object to judge"),
        (vec![policy, ("p/denied/a.yaml", "- 1\n")], "is an object, or a map"),
        (vec![policy, ("p/denied/a.yaml", "a: {b\n")], ""),
        (vec![policy, ("p/p_test.rego", "package p\ntest_a if {")], ""),
    ] {
        let report = report(&texts);
        assert!(!report.passed());
        assert!(report.problems[0].message.contains(what), "{report}");
    }
    let failing = report(&[
        ("p.rego", "package p\ndeny contains 7 if input.kind == \"Pod\"\n"),
        ("denied/a.yaml", pod),
    ]);
    assert!(failing.examples[0].message.as_deref().unwrap().contains("rule-result"));
}

#[test]
fn templates_are_tested_by_their_constraints() {
    let template = "apiVersion: templates.gatekeeper.sh/v1\nkind: ConstraintTemplate\nmetadata: {name: images}\nspec:\n  crd: {spec: {names: {kind: Images}}}\n  targets:\n    - target: admission.k8s.gatekeeper.sh\n      rego: |\n        package images\n\n        violation[{\"msg\": msg}] {\n          container := input.review.object.spec.containers[_]\n          not startswith(container.image, input.parameters.registry)\n          msg := container.image\n        }\n\n        violation[{\"msg\": msg}] {\n          input.review.object.spec.hostNetwork\n          msg := \"host network\"\n        }\n";
    let constraint = "apiVersion: constraints.gatekeeper.sh/v1beta1\nkind: Images\nmetadata: {name: own}\nspec:\n  match: {kinds: [{apiGroups: [''], kinds: [Pod]}]}\n  parameters: {registry: 'registry.example.com/'}\n";
    let pod = |image: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\nspec: {{containers: [{{name: c, image: {image}}}]}}\n"
        )
    };
    let (own, other) = (pod("registry.example.com/a"), pod("ghcr.io/a"));
    let texts = [
        ("g/template.yaml", template),
        ("g/constraint.yaml", constraint),
        ("g/allowed/own.yaml", own.as_str()),
        ("g/denied/other.yaml", other.as_str()),
    ];
    let found = report(&texts);
    assert_eq!(
        found.examples.iter().filter(|example| example.passed).count(),
        2,
        "{found}"
    );
    let seen: Vec<(usize, bool)> = found
        .rules
        .iter()
        .map(|rule| (rule.line, rule.seen_in.is_some()))
        .collect();
    assert_eq!(seen, [(11, true), (17, false)]);
    assert!(
        found
            .to_string()
            .contains("g/template.yaml:17: Images.violation was never seen firing"),
        "{found}"
    );
    // Without a constraint nothing of it is ever asked.
    let found = report(&[texts[0], texts[3]]);
    assert!(!found.passed());
}
