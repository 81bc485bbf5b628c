//! One object and a set of policies to a ruling. Pure.

use serde_json::Value;
use stoke_diagnostics::{Diagnostic, Severity};
use stoke_gate::derived;
use stoke_gate::policies::{self, Around};
use stoke_model::manifest;
use stoke_policy::{PolicySet, Problem};
use stoke_submit::application::Settings;

use super::Case;
use crate::admission::check::written;

/// Code of what is said when policies cannot tell.
pub(super) const UNKNOWN: &str = "policy-unknown";

/// What policies say of one object. It passes when nothing is denied, failed or missing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Ruling {
    /// What rules deny.
    pub(crate) denied: Vec<Diagnostic>,
    /// What rules warn of.
    pub(crate) warned: Vec<Diagnostic>,
    /// Rules that could not be evaluated.
    pub(crate) failed: Vec<Diagnostic>,
    /// Why no one was asked: the policies, or what they must see, are not known at the moment.
    pub(crate) missing: Option<Diagnostic>,
}

impl Ruling {
    /// No one could be asked.
    pub(super) fn missing(why: &str, fix: &str) -> Self {
        let missing = Diagnostic::cannot_tell(UNKNOWN, "", format!("policies cannot be asked: {why}")).with_fix(fix);
        Self {
            missing: Some(missing),
            ..Self::default()
        }
    }

    /// Why it does not pass; empty when it does.
    pub(crate) fn refusals(&self) -> impl Iterator<Item = &Diagnostic> {
        self.denied.iter().chain(&self.failed).chain(&self.missing)
    }

    /// True when no one says anything against it.
    pub(crate) fn passes(&self) -> bool {
        self.refusals().next().is_none()
    }

    /// Why it does not pass, in one line.
    pub(crate) fn summary(&self) -> String {
        let texts: Vec<String> = self.refusals().map(Diagnostic::line).collect();
        texts.join("; ")
    }

    /// In a word, for those who count.
    pub(crate) fn result(&self) -> &'static str {
        match self {
            Self { denied, .. } if !denied.is_empty() => "denied",
            ruling if !ruling.passes() => "unknown",
            Self { warned, .. } if !warned.is_empty() => "warned",
            _ => "allowed",
        }
    }
}

/// Judges an object: as it is written, the configuration it would have and the pods it would get. What others have against it they say themselves; then
/// it is judged alone.
pub(super) fn judge(set: &PolicySet, case: &Case, settings: &Settings, namespace: Option<&Value>) -> Ruling {
    let text = written(&case.object, &case.namespace).to_string();
    let (documents, mut complaints) = manifest::check(&case.kind, &text);
    let Some(document) = documents.first() else {
        return Ruling {
            failed: complaints.into_iter().map(Diagnostic::without_place).collect(),
            ..Ruling::default()
        };
    };
    complaints.retain(|complaint| complaint.code != "missing-image" || settings.default_image.is_none());
    let derived = (!stoke_diagnostics::has_errors(&complaints))
        .then(|| derived::derive(document, &case.namespace, settings))
        .flatten();
    let around = Around {
        namespace: namespace.cloned(),
        objects: None,
    };
    let judgement = policies::judge(set, document, derived.and_then(Result::ok).as_ref(), around);
    let mut ruling = Ruling::default();
    for judged in judgement.said {
        match judged.severity {
            Severity::Error => ruling.denied.push(judged),
            _ => ruling.warned.push(judged),
        }
    }
    ruling.failed = judgement.problems.into_iter().map(failed).collect();
    ruling
}

fn failed(problem: Problem) -> Diagnostic {
    let message = format!("policies cannot decide: {}", super::sources::line(&problem));
    let mut said = Diagnostic::cannot_tell(UNKNOWN, "", message);
    said.fix = problem.fix;
    said
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;
    use stoke_policy::{PolicyFile, pack};

    use super::*;

    fn app() -> Value {
        json!({
            "apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication", "metadata": {"name": "team-pi"},
            "spec": {"type": "Python", "sparkVersion": "4.1.4", "image": "apache/spark:4.1.4", "mainApplicationFile": "local:///a.py",
                "driver": {"memory": "1g"}, "executor": {"memory": "1g", "instances": 2}},
        })
    }

    fn ruling_of(rego: &str, object: Value, namespace: Option<&Value>) -> Ruling {
        let set = PolicySet::load(&[PolicyFile::new("p.rego", rego)]).unwrap();
        ruling_by(&set, object, namespace)
    }

    fn ruling_by(set: &PolicySet, object: Value, namespace: Option<&Value>) -> Ruling {
        let case = Case {
            kind: object["kind"].as_str().unwrap().to_owned(),
            namespace: "jobs".into(),
            object,
        };
        let settings = Settings::new("k8s://https://kubernetes.default.svc", Timestamp::UNIX_EPOCH);
        judge(set, &case, &settings, namespace)
    }

    fn texts<'a>(said: impl IntoIterator<Item = &'a Diagnostic>) -> Vec<String> {
        said.into_iter().map(Diagnostic::line).collect()
    }

    #[test]
    fn a_rule_says_field_cause_fix_and_code() {
        let rego = "package team\ndeny contains {\"msg\": \"no owner\", \"path\": \"metadata.labels.owner\", \"fix\": \"say who is called at night\"} if {\n  input.kind == \"SparkApplication\"\n  not input.metadata.labels.owner\n}\n";
        let ruling = ruling_of(rego, app(), None);
        assert_eq!(
            texts(ruling.refusals()),
            ["metadata.labels.owner: no owner; say who is called at night; the rule is p.rego:2 [policy/team.deny]"]
        );
        assert_eq!(ruling.result(), "denied");
    }

    #[test]
    fn configuration_pods_namespace_and_application_are_seen() {
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "jobs", "labels": {"tier": "prod"}}});
        let rows = [
            (
                "input.kind == \"SparkConf\"; input.conf[\"spark.executor.instances\"] == \"2\"",
                1,
            ),
            ("input.kind == \"Pod\"; input.metadata.namespace == \"jobs\"", 2),
            (
                "data.stoke.namespace.metadata.labels.tier == \"prod\"; input.kind == \"SparkApplication\"",
                1,
            ),
            (
                "data.stoke.application.spec.executor.instances == 2; input.kind == \"SparkConf\"",
                1,
            ),
            ("data.stoke.objects; input.kind == \"SparkApplication\"", 0),
        ];
        for (body, expected) in rows {
            let rego = format!("package team\ndeny contains \"x\" if {{ {body} }}\n");
            let ruling = ruling_of(&rego, app(), Some(&namespace));
            assert_eq!(ruling.denied.len(), expected, "{body}: {ruling:#?}");
            assert!(ruling.failed.is_empty(), "{body}: {ruling:#?}");
        }
        // A warning lets pass; a rule that says nothing that can be read does not.
        let warned = ruling_of(
            "package team\nwarn contains \"x\" if input.kind == \"SparkApplication\"\n",
            app(),
            None,
        );
        assert!(warned.passes() && warned.result() == "warned", "{warned:#?}");
        let failed = ruling_of(
            "package team\ndeny contains 7 if input.kind == \"SparkApplication\"\n",
            app(),
            None,
        );
        assert!(!failed.passes() && failed.result() == "unknown", "{failed:#?}");
        assert!(
            failed.failed[0]
                .message
                .starts_with("policies cannot decide: p.rego:2: "),
            "{failed:#?}"
        );
    }

    #[test]
    fn schedules_and_servers_are_judged_by_the_pods_they_would_get() {
        let rego = "package team\ndeny contains \"pod\" if input.kind == \"Pod\"\n";
        let schedule = json!({"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "ScheduledSparkApplication", "metadata": {"name": "n"},
            "spec": {"schedule": "@daily", "template": app()["spec"]}});
        let connect = json!({"apiVersion": "sparkoperator.k8s.io/v1alpha1", "kind": "SparkConnect", "metadata": {"name": "lab"},
            "spec": {"sparkVersion": "4.1.4", "image": "apache/spark:4.1.4", "server": {}, "executor": {}}});
        for (object, pods) in [(schedule, 2), (connect, 1)] {
            let ruling = ruling_of(rego, object, None);
            assert_eq!(ruling.denied.len(), pods, "{ruling:#?}");
        }
        // An object that becomes nothing is judged by what is written.
        let mut wrong = app();
        wrong["spec"]["driver"]["memory"] = json!("1.5g");
        let rego = "package team\ndeny contains input.kind\n";
        assert_eq!(ruling_of(rego, wrong, None).denied.len(), 1);
    }

    #[test]
    fn the_starter_pack_is_asked_as_by_stoke_check() {
        let set = PolicySet::load(&pack::policies(&["registries", "limits"])).unwrap();
        let ruling = ruling_by(&set, app(), None);
        assert!(
            ruling
                .denied
                .iter()
                .all(|said| said.code.starts_with("policy/starter.limits.")),
            "{ruling:#?}"
        );
        let mut other = app();
        other["spec"]["image"] = json!("evil.example.com/spark:4.1.4");
        let ruling = ruling_by(&set, other, None);
        let image = ruling
            .denied
            .iter()
            .find(|said| said.code == "policy/starter.registries.deny");
        assert_eq!(image.unwrap().path, "spec.image", "{ruling:#?}");
    }
}
