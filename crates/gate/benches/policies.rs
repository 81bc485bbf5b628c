//! What judging costs at admission: an application read, its pods derived, and all of it judged. `cargo bench -p stoke-gate --bench policies`

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::time::Instant;

use serde_json::json;
use stoke_gate::derived::{Derived, derive};
use stoke_gate::policies::{Around, judge};
use stoke_model::manifest::{self, Document};
use stoke_policy::{PolicySet, pack};
use stoke_submit::application::Settings;

const ROUNDS: u32 = 200;

fn main() {
    let application = json!({"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication",
        "metadata": {"name": "team-job", "namespace": "spark", "labels": {"owner": "a", "cost-centre": "b"}},
        "spec": {"type": "Python", "mode": "cluster", "sparkVersion": "4.1.4", "image": "apache/spark:4.1.4", "mainApplicationFile": "local:///a.py",
            "timeToLiveSeconds": 3600, "sparkConf": {"spark.sql.shuffle.partitions": "64"},
            "driver": {"cores": 1, "memory": "1g", "coreLimit": "1"},
            "executor": {"cores": 1, "instances": 2, "memory": "1g", "coreLimit": "1"}}})
    .to_string();
    let settings = Settings::new("k8s://https://kubernetes.default.svc", jiff::Timestamp::UNIX_EPOCH);
    let read = || -> (Document, Derived) {
        let document = manifest::check("application", &application).0.remove(0);
        let derived = derive(&document, "spark", &settings).unwrap().unwrap();
        (document, derived)
    };
    timed("read and derive", || drop(read()));
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "spark"}});
    let sets: [(&str, &[&str]); 3] = [
        ("one policy", &["labels"]),
        ("two policies, of images and limits", &["registries", "limits"]),
        ("the pack, 11 policies", &pack::names()),
    ];
    let (document, derived) = read();
    for (name, policies) in sets {
        let files = pack::policies(policies);
        let begun = Instant::now();
        let set = PolicySet::load(&files).unwrap();
        println!("{name}: loaded in {:.1} ms", begun.elapsed().as_secs_f64() * 1e3);
        timed(
            &format!("{name}: judge application, configuration and two pods"),
            || {
                let around = Around {
                    namespace: Some(namespace.clone()),
                    objects: None,
                };
                std::hint::black_box(judge(&set, &document, Some(&derived), around));
            },
        );
    }
}

fn timed(what: &str, mut work: impl FnMut()) {
    let begun = Instant::now();
    for _ in 0..ROUNDS {
        work();
    }
    println!(
        "{what}: {:.0} µs",
        begun.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS)
    );
}
