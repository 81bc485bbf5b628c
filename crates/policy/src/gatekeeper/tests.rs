use serde_json::{Value, json};

use crate::{Effect, Facts, Known, Outcome, PolicyFile, PolicySet, Role, Subject};

const TEMPLATE: &str = r#"apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata:
  name: requiredlabels
spec:
  crd:
    spec:
      names:
        kind: RequiredLabels
  targets:
    - target: admission.k8s.gatekeeper.sh
      rego: |
        package requiredlabels

        import data.lib.labels

        violation[{"msg": msg, "details": {"missing": missing}}] {
          given := labels.of(input.review.object)
          required := {label | label := input.parameters.labels[_]}
          missing := required - given
          count(missing) > 0
          msg := sprintf("%v %v needs %v", [input.review.kind.kind, input.review.name, missing])
        }
      libs:
        - |
          package lib.labels

          of(object) = given {
            given := {label | object.metadata.labels[label]}
          }
"#;

fn constraint(spec: &Value) -> String {
    json!({"apiVersion": "constraints.gatekeeper.sh/v1beta1", "kind": "RequiredLabels", "metadata": {"name": "owner"}, "spec": spec}).to_string()
}

fn set(files: &[(&str, &str)]) -> Result<PolicySet, String> {
    let files: Vec<PolicyFile> = files.iter().map(|(path, text)| PolicyFile::new(path, text)).collect();
    PolicySet::load(&files).map_err(|problems| {
        let problem = &problems[0];
        format!(
            "{}:{}: {}: {}",
            problem.file, problem.line, problem.code, problem.message
        )
    })
}

fn outcome(spec: &Value) -> Outcome {
    let set = set(&[("template.yaml", TEMPLATE), ("constraint.json", &constraint(spec))]).unwrap();
    let object = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "n"}});
    set.evaluate(&Subject::Object(&object), &Facts::default())
}

#[test]
fn a_constraint_applies_its_template() {
    let outcome = outcome(
        &json!({"parameters": {"labels": ["owner"]}, "match": {"kinds": [{"apiGroups": [""], "kinds": ["Pod"]}]}}),
    );
    assert_eq!(outcome.problems, []);
    let violation = &outcome.violations[0];
    assert_eq!(violation.message, "Pod a needs {\"owner\"}");
    assert_eq!(violation.policy, "RequiredLabels/owner");
    assert_eq!(violation.effect, Effect::Deny);
    assert_eq!(violation.details, Some(json!({"details": {"missing": ["owner"]}})));
    // The line of the rule in the file of the template.
    assert_eq!((violation.file.as_str(), violation.line), ("template.yaml", 17));
    assert!(!outcome.allowed());
}

#[test]
fn enforcement_is_what_the_constraint_says() {
    let with = |more: Value| {
        let mut spec = json!({"parameters": {"labels": ["owner"]}});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        outcome(&spec)
    };
    for (action, effect) in [
        ("deny", Effect::Deny),
        ("warn", Effect::Warn),
        ("dryrun", Effect::DryRun),
    ] {
        let outcome = with(json!({"enforcementAction": action}));
        assert_eq!(outcome.violations[0].effect, effect);
        assert_eq!(outcome.allowed(), effect != Effect::Deny);
    }
    let scoped = with(json!({"enforcementAction": "scoped", "scopedEnforcementActions": [
        {"action": "dryrun", "enforcementPoints": [{"name": "audit.gatekeeper.sh"}]},
        {"action": "warn", "enforcementPoints": [{"name": "*"}]}]}));
    assert_eq!(scoped.violations[0].effect, Effect::Warn);
    assert_eq!(with(json!({"match": {"namespaces": ["other"]}})).violations, []);
}

#[test]
fn what_cannot_be_told_is_a_problem() {
    let outcome = outcome(&json!({"match": {"namespaceSelector": {"matchLabels": {"a": "b"}}}}));
    assert!(
        outcome.problems[0]
            .message
            .contains("namespaceSelector asks for the labels of the namespace `n`")
    );
    assert!(!outcome.allowed());
}

#[test]
fn newer_templates_name_their_engine() {
    let template = json!({"apiVersion": "templates.gatekeeper.sh/v1", "kind": "ConstraintTemplate", "metadata": {"name": "images"},
        "spec": {"crd": {"spec": {"names": {"kind": "Images"}}}, "targets": [{"target": "admission.k8s.gatekeeper.sh", "code": [
            {"engine": "K8sNativeValidation", "source": {"validations": []}},
            {"engine": "Rego", "source": {"version": "v1", "libs": ["package lib.x\nbad(image) if endswith(image, \":latest\")"],
                "rego": "package images\nimport data.lib.x\nviolation contains {\"msg\": msg} if {\n some c in input.review.object.spec.containers\n x.bad(c.image)\n msg := c.image\n}"}}]}]}});
    let constraint = json!({"apiVersion": "constraints.gatekeeper.sh/v1", "kind": "Images", "metadata": {"name": "latest"},
        "spec": {"match": {"source": "Generated"}}});
    let set = set(&[("t.json", &template.to_string()), ("c.json", &constraint.to_string())]).unwrap();
    let pod = json!({"metadata": {"name": "a"}, "spec": {"containers": [{"image": "spark:latest"}]}});
    let derived = set.evaluate(
        &Subject::Pod {
            role: Role::Driver,
            pod: &pod,
        },
        &Facts::default(),
    );
    assert_eq!(derived.violations[0].message, "spark:latest");
    let written = set.evaluate(&Subject::Object(&pod), &Facts::default());
    assert_eq!(written.violations, []);
    assert_eq!(set.rules()[0].policy, "Images/latest");
}

#[test]
fn other_objects_are_the_inventory() {
    let template = TEMPLATE.replace("import data.lib.labels\n", "import data.lib.labels\n\n        violation[{\"msg\": msg}] {\n          other := data.inventory.namespace[\"n\"][\"v1\"].Pod[_]\n          msg := other.metadata.name\n        }\n");
    let set = set(&[("template.yaml", &template), ("c.json", &constraint(&json!({})))]).unwrap();
    assert!(set.reads_inventory());
    let pod = |name: &str| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "n"}});
    let known = Known {
        objects: Some(vec![pod("b"), pod("c")]),
        ..Known::default()
    };
    let outcome = set.evaluate(&Subject::Object(&pod("a")), &Facts::new(known));
    let names: Vec<&str> = outcome
        .violations
        .iter()
        .map(|violation| violation.message.as_str())
        .collect();
    assert_eq!(names, ["b", "c"]);
    assert_eq!(
        set.evaluate(&Subject::Object(&pod("a")), &Facts::default()).violations,
        []
    );
}

#[test]
fn what_cannot_be_used_is_refused() {
    let replaced = |from: &str, to: &str| set(&[("t.yaml", &TEMPLATE.replace(from, to))]).unwrap_err();
    assert_eq!(
        replaced("violation[", "other["),
        "t.yaml:12: gatekeeper: the template has no rule `violation`"
    );
    assert!(replaced("package lib.labels", "package labels").contains("not below `lib`"));
    assert!(replaced("admission.k8s.gatekeeper.sh", "elsewhere").contains("only the target"));
    assert!(replaced("        kind: RequiredLabels\n", "        plural: x\n").contains("names no kind"));
    // The place is that of the file, not of the text in it.
    assert!(
        replaced("required - given", "required - gven").starts_with("t.yaml:20: rego-analysis"),
        "{}",
        replaced("required - given", "required - gven")
    );
    assert!(replaced("labels.of(input", "crypto.x509.parse_certificates(input").starts_with("t.yaml:18: rego-builtin"));
    assert!(
        set(&[("c.json", &constraint(&json!({})))])
            .unwrap_err()
            .contains("no ConstraintTemplate for the kind `RequiredLabels`")
    );
    let cel = json!({"apiVersion": "templates.gatekeeper.sh/v1", "kind": "ConstraintTemplate", "metadata": {"name": "a"},
        "spec": {"crd": {"spec": {"names": {"kind": "A"}}}, "targets": [{"target": "admission.k8s.gatekeeper.sh",
            "code": [{"engine": "K8sNativeValidation", "source": {}}]}]}});
    assert!(
        set(&[("t.json", &cel.to_string())])
            .unwrap_err()
            .contains("code for K8sNativeValidation and none in Rego")
    );
    for (spec, what) in [
        (json!({"enforcementAction": "shout"}), "the action is none of"),
        (json!({"match": {"kind": []}}), "`kind` is not a field of `match`"),
        (json!({"enforcementAction": "scoped"}), "names no actions"),
    ] {
        let problem = set(&[("t.yaml", TEMPLATE), ("c.json", &constraint(&spec))]).unwrap_err();
        assert!(problem.contains(what), "{problem}");
    }
}
