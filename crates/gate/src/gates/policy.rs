//! Policy as code: the team's Rego over the job's manifests, the configuration its applications would have, and the pods they would get.
//!
//! Which policies there are is told by who asks ([`Settings::policies`]); a policy that cannot be read or evaluated makes the gate unable to tell.

use serde_json::Value;
use stoke_diagnostics::Diagnostic;
use stoke_model::manifest::Document;
use stoke_policy::PolicySet;

use super::{Looked, unsound};
use crate::Settings;
use crate::configuration::sound;
use crate::derived;
use crate::job::Job;
use crate::policies::{self, Around};

pub(super) fn look(job: &Job, settings: &Settings) -> Looked {
    if settings.policies.is_empty() {
        return Looked::default();
    }
    let set = match PolicySet::load(&settings.policies).and_then(PolicySet::not_empty) {
        Ok(set) => set,
        Err(problems) => {
            let findings = problems.into_iter().map(Diagnostic::unknown).collect();
            return Looked::at(settings.policies.len(), "policy file", findings);
        }
    };
    let objects: Vec<Value> = job.documents().map(|document| document.value.clone()).collect();
    let sound: Vec<&Document> = job.files.iter().flat_map(sound).collect();
    let mut findings = unsound(job, settings);
    let mut count = 0;
    for document in job.documents().filter(|document| document.value.is_object()) {
        count += 1;
        let is_sound = sound.iter().any(|known| std::ptr::eq(*known, document));
        let namespace = settings.namespace_of(document);
        let derived = is_sound
            .then(|| derived::derive(document, namespace, &settings.submission))
            .flatten();
        let derived = derived.and_then(Result::ok);
        let judgement = policies::judge(&set, document, derived.as_ref(), around(&objects, namespace));
        let said = judgement.said.into_iter().map(|judged| placed(document, judged));
        for finding in said.chain(judgement.problems.into_iter().map(Diagnostic::unknown)) {
            // A rule that cannot be evaluated cannot be for any document.
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }
    }
    Looked::at(count, "document", findings)
}

fn around(objects: &[Value], namespace: &str) -> Around {
    let of_namespace = |object: &&Value| object["kind"] == "Namespace" && object["metadata"]["name"] == namespace;
    Around {
        namespace: objects.iter().find(of_namespace).cloned(),
        objects: Some(objects.to_vec()),
    }
}

fn placed(document: &Document, judged: Diagnostic) -> Diagnostic {
    let place = match judged.path.as_str() {
        "" => document.node.place_of("metadata.name"),
        path => document.node.place_of(path),
    };
    judged.placed(&document.source, place)
}

#[cfg(test)]
mod tests {
    use stoke_policy::PolicyFile;

    use super::*;
    use crate::job::of_bytes;

    const APP: &str = "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nmetadata: {name: a, namespace: sales}\nspec:\n  type: Python\n  mode: cluster\n  sparkVersion: 4.1.4\n  image: spark:4.1.4\n  mainApplicationFile: local:///a.py\n  sparkConf:\n    spark.sql.shuffle.partitions: \"9\"\n  driver: {cores: 1, memory: 1g}\n  executor: {cores: 1, instances: 1, memory: 1g}\n";

    fn said(policy: &str) -> Vec<(String, String, bool)> {
        let job = Job {
            files: vec![of_bytes("a.yaml", APP.as_bytes())],
            ..Job::default()
        };
        let settings = Settings {
            policies: vec![PolicyFile::new("p.rego", policy)],
            ..Settings::default()
        };
        let findings = look(&job, &settings).findings;
        findings
            .into_iter()
            .map(|finding| (finding.code.to_string(), finding.place(), finding.cannot_tell))
            .collect()
    }

    #[test]
    fn policies_judge_the_manifest_its_configuration_and_its_pods() {
        let labels = "package team\ndeny contains {\"msg\": \"no owner\", \"path\": \"metadata.labels.owner\"} if {\n  input.kind == \"SparkApplication\"\n  not input.metadata.labels.owner\n}\n";
        assert_eq!(
            said(labels),
            [("policy/team.deny".to_owned(), "a.yaml:3:1".to_owned(), false)]
        );
        let conf = "package team\nwarn contains \"few partitions\" if {\n  input.kind == \"SparkConf\"\n  to_number(input.conf[\"spark.sql.shuffle.partitions\"]) < 10\n}\n";
        assert_eq!(
            said(conf),
            [("policy/team.warn".to_owned(), "a.yaml:3:12".to_owned(), false)].map(|(code, _, tell)| (
                code,
                said(conf)[0].1.clone(),
                tell
            ))
        );
        let pods = "package team\ndeny contains \"no limit\" if {\n  input.kind == \"Pod\"\n  some container in input.spec.containers\n  not container.resources.limits.cpu\n}\n";
        let found = said(pods);
        assert_eq!(found.len(), 2, "driver and executor: {found:?}");
        assert_eq!(said("package team\ndeny contains \"x\" if input.kind == \"Job\"\n"), []);
    }

    #[test]
    fn a_policy_that_cannot_be_read_cannot_tell() {
        let found = said("package team\ndeny contains {\n");
        assert!(
            !found.is_empty()
                && found
                    .iter()
                    .all(|(_, place, cannot_tell)| place.starts_with("p.rego") && *cannot_tell),
            "{found:?}"
        );
        // A set without a rule decides nothing.
        assert!(
            said("package team\nx := 1\n")
                .iter()
                .all(|(.., cannot_tell)| *cannot_tell)
        );
    }
}
