//! Objects of every component, environment, profile and release of Kubernetes are valid, and their pods admitted where it says so.

use std::collections::BTreeSet;

use serde_json::Value;
use stoke_model::kubernetes::{self, Release};
use stoke_model::manifest;
use stoke_model::pod_security::{Level, Version, check};
use stoke_platform::environment::Resolved;
use stoke_platform::render::{LABEL_ENVIRONMENT, LABEL_PLATFORM, objects, tree};
use stoke_platform::spec::{Network, Security};

use crate::{FULL, environments, right};

/// What the recorded table says of an object in a release; none for kinds of others.
fn complaints(object: &Value, release: Release) -> Option<Vec<String>> {
    let (documents, mut found) = manifest::check("object.yaml", &tree::yaml(object).unwrap());
    let of_kubernetes = kubernetes::check(&documents[0], release);
    let is_known = of_kubernetes.is_some() || object["kind"] == "SparkConnect";
    found.extend(of_kubernetes.unwrap_or_default());
    is_known.then(|| found.iter().map(ToString::to_string).collect())
}

/// The pods of an object.
fn pod(object: &Value) -> Option<(&Value, &Value)> {
    let template = object
        .pointer("/spec/template")
        .filter(|template| template["spec"]["containers"].is_array())?;
    Some((&template["metadata"], &template["spec"]))
}

#[test]
fn objects_are_valid_in_every_release_and_admitted() {
    let releases: Vec<Release> = (30..=36).map(|minor| format!("1.{minor}").parse().unwrap()).collect();
    let lakehouse =
        std::fs::read_to_string(stoke_testkit::generated::repository("examples/platform/lakehouse.yaml")).unwrap();
    let (mut judged, mut foreign, mut pods, mut kinds) = (0, BTreeSet::new(), 0, BTreeSet::new());
    for text in [FULL, &lakehouse] {
        for base in environments(&right(text)) {
            for security in [Security::Baseline, Security::Restricted, Security::Openshift] {
                for (network, monitors) in [(Network::Closed, true), (Network::Open, false)] {
                    let mut resolved: Resolved = base.clone();
                    resolved.platform.security = security;
                    resolved.platform.network = network;
                    resolved.platform.monitors = monitors;
                    for object in objects(&resolved.scope()) {
                        let kind = object["kind"].as_str().unwrap().to_owned();
                        for release in &releases {
                            match complaints(&object, *release) {
                                Some(found) => {
                                    assert!(found.is_empty(), "{release} {security:?}\n{}", found.join("\n"));
                                    judged += 1;
                                }
                                None => drop(foreign.insert(kind.clone())),
                            }
                        }
                        let level = if security == Security::Baseline {
                            Level::Baseline
                        } else {
                            Level::Restricted
                        };
                        if let Some((metadata, spec)) = pod(&object) {
                            pods += 1;
                            let found = check(level, Version::LATEST, metadata, spec);
                            assert!(found.is_empty(), "{kind} {}: {found:?}", object["metadata"]["name"]);
                            let fixed = spec["securityContext"]["runAsUser"].is_number();
                            assert_eq!(
                                fixed,
                                security == Security::Restricted,
                                "users of OpenShift are its own"
                            );
                        }
                        let labels = &object["metadata"]["labels"];
                        assert_eq!(labels[LABEL_PLATFORM], resolved.platform.name.as_str());
                        assert_eq!(labels[LABEL_ENVIRONMENT], resolved.environment.as_str());
                        kinds.insert(kind);
                    }
                }
            }
        }
    }
    println!("{judged} judgements, {pods} pods, kinds {kinds:?}, of others {foreign:?}");
    assert!(judged > 10_000 && pods > 300, "{judged} {pods}");
    assert_eq!(
        foreign.into_iter().collect::<Vec<_>>(),
        ["ExternalSecret", "PodMonitor", "Route", "SealedSecret", "SecretStore"]
    );
}

#[test]
fn the_same_file_gives_the_same_bytes() {
    let text = |text: &str| {
        let file = right(text);
        environments(&file)
            .iter()
            .map(|resolved| tree::stream(&objects(&resolved.scope())).unwrap())
            .collect::<String>()
    };
    assert_eq!(text(FULL), text(FULL));
    // The order of keys in the file says nothing.
    let (before, after) = FULL.split_once("sparks:").unwrap();
    let (sparks, rest) = after.split_once("components:").unwrap();
    assert_eq!(text(FULL), text(&format!("{before}components:{rest}sparks:{sparks}")));
}

#[test]
fn every_kind_of_the_plan_is_searched_for() {
    let known: BTreeSet<&str> = stoke_platform::plan::KINDS.iter().map(|(_, kind)| *kind).collect();
    for mut resolved in environments(&right(FULL)) {
        for security in [Security::Restricted, Security::Openshift] {
            resolved.platform.security = security;
            for object in objects(&resolved.scope()) {
                let kind = object["kind"].as_str().unwrap();
                assert!(
                    kind == "Namespace" || known.contains(kind),
                    "{kind} would never be removed"
                );
            }
        }
    }
}
