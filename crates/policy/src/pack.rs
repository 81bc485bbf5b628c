//! Policies to start with: what teams ask of Spark applications most, with the examples that show what they do.

use crate::files::PolicyFile;

/// The files of `policies/`, as `(path, text)`.
macro_rules! pack {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies/", $path)))),*]
    };
}

const FILES: &[(&str, &str)] = pack![
    "data-residency/allowed/endpoint.yaml",
    "data-residency/allowed/no-data.yaml",
    "data-residency/allowed/own-store.yaml",
    "data-residency/allowed/region.yaml",
    "data-residency/denied/bucket.yaml",
    "data-residency/denied/endpoint.yaml",
    "data-residency/denied/nowhere.yaml",
    "data-residency/denied/other-store.yaml",
    "data-residency/denied/region.yaml",
    "data-residency/policy.rego",
    "duration/allowed/hour.yaml",
    "duration/allowed/longer.yaml",
    "duration/denied/for-ever.yaml",
    "duration/denied/week.yaml",
    "duration/denied/words.yaml",
    "duration/policy.rego",
    "image-digest/allowed/digest.yaml",
    "image-digest/allowed/signed.yaml",
    "image-digest/denied/sidecar.yaml",
    "image-digest/denied/tag.yaml",
    "image-digest/denied/unsigned.yaml",
    "image-digest/policy.rego",
    "labels/allowed/application.yaml",
    "labels/allowed/other-labels.yaml",
    "labels/allowed/pod.yaml",
    "labels/denied/empty.yaml",
    "labels/denied/none.yaml",
    "labels/denied/pod.yaml",
    "labels/policy.rego",
    "lib/spark.rego",
    "limits/allowed/application.yaml",
    "limits/allowed/only-memory.yaml",
    "limits/denied/application.yaml",
    "limits/denied/pod.yaml",
    "limits/policy.rego",
    "naming/allowed/own-convention.yaml",
    "naming/allowed/team-and-job.yaml",
    "naming/denied/capitals.yaml",
    "naming/denied/job-only.yaml",
    "naming/policy.rego",
    "network-policy/allowed/all-pods.yaml",
    "network-policy/allowed/own-pods.yaml",
    "network-policy/denied/elsewhere.yaml",
    "network-policy/denied/none.yaml",
    "network-policy/denied/other-pods.yaml",
    "network-policy/denied/unknown.yaml",
    "network-policy/policy.rego",
    "privileged/allowed/application.yaml",
    "privileged/allowed/pod.yaml",
    "privileged/denied/application.yaml",
    "privileged/denied/pod.yaml",
    "privileged/policy.rego",
    "registries/allowed/apache.yaml",
    "registries/allowed/official.yaml",
    "registries/allowed/own.yaml",
    "registries/denied/conf.yaml",
    "registries/denied/look-alike.yaml",
    "registries/denied/other.yaml",
    "registries/policy.rego",
    "retention/allowed/day.yaml",
    "retention/allowed/schedule.yaml",
    "retention/denied/for-ever.yaml",
    "retention/denied/runs.yaml",
    "retention/denied/year.yaml",
    "retention/policy.rego",
    "secrets/allowed/file.yaml",
    "secrets/allowed/reference.yaml",
    "secrets/denied/hadoop.yaml",
    "secrets/denied/keys.yaml",
    "secrets/denied/pod.yaml",
    "secrets/denied/variable.yaml",
    "secrets/denied/variables.yaml",
    "secrets/policy.rego",
];

/// All files of the pack, shown as `policies/…`: policies, the library they share, and their examples.
pub fn files() -> Vec<PolicyFile> {
    let files = FILES.iter().map(|(path, text)| PolicyFile {
        path: (*path).to_owned(),
        shown: format!("policies/{path}"),
        text: (*text).to_owned(),
    });
    files.collect()
}

/// Names of the policies: their directories.
pub fn names() -> Vec<&'static str> {
    let policies = FILES.iter().filter_map(|(path, _)| path.strip_suffix("/policy.rego"));
    policies.collect()
}

/// The files of some policies with what they share, without examples: what is evaluated. A name that there is not gives nothing more.
pub fn policies(names: &[&str]) -> Vec<PolicyFile> {
    let wanted = |file: &PolicyFile| {
        let name = file.path.strip_suffix("/policy.rego");
        file.path.starts_with("lib/") || name.is_some_and(|name| names.contains(&name))
    };
    files().into_iter().filter(wanted).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::test::{Options, run};

    #[test]
    fn the_pack_is_the_directory() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies");
        let read = crate::files::read(&root).unwrap();
        let paths = |files: &[PolicyFile]| files.iter().map(|file| file.path.clone()).collect::<Vec<_>>();
        assert_eq!(
            paths(&read),
            paths(&files()),
            "crates/policy/src/pack.rs lists the files of policies/"
        );
    }

    #[test]
    fn every_policy_allows_and_denies_its_examples() {
        let report = run(&files(), &Options::default());
        assert!(report.passed(), "{report}");
        for name in names() {
            for kind in ["allowed", "denied"] {
                let prefix = format!("{name}/{kind}/");
                assert!(
                    FILES.iter().any(|(path, _)| path.starts_with(&prefix)),
                    "{name} has no example {kind}"
                );
            }
        }
        assert_eq!(names().len(), 11);
    }

    #[test]
    fn a_policy_is_taken_with_what_it_needs() {
        let files = policies(&["registries"]);
        let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["lib/spark.rego", "registries/policy.rego"]);
        let set = crate::PolicySet::load(&files).unwrap();
        assert_eq!(set.rules()[0].policy, "starter.registries");
    }
}
