//! What the starter pack costs: loading, its tests, judging an application and a pod. `cargo bench -p stoke-policy --bench pack`

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::time::Instant;

use serde_json::json;
use stoke_policy::{Facts, Known, PolicySet, Subject, pack, test};

fn main() {
    let files = pack::files();
    let begun = Instant::now();
    let set = PolicySet::load(&files).unwrap();
    println!("load the pack: {:?}", begun.elapsed());
    let report_begun = Instant::now();
    let report = test::run(&files, &test::Options::default());
    println!("test the pack: {:?} ({report})", report_begun.elapsed());
    let application = json!({"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication",
        "metadata": {"name": "team-job", "namespace": "spark", "labels": {"owner": "a", "cost-centre": "b"}},
        "spec": {"type": "Scala", "image": "apache/spark:4.0.0", "timeToLiveSeconds": 3600,
            "driver": {"cores": 1, "memory": "1g", "coreLimit": "1"}, "executor": {"cores": 1, "instances": 2, "memory": "1g", "coreLimit": "1"}}});
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "spark", "labels": {"spark-role": "driver"}},
        "spec": {"containers": [{"name": "spark-kubernetes-driver", "image": "apache/spark:4.0.0",
            "env": [{"name": "SPARK_USER", "value": "spark"}], "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}]}});
    let facts = Facts::new(Known {
        application: Some(application.clone()),
        objects: Some(vec![application.clone()]),
        ..Known::default()
    });
    for (name, set) in [
        ("pack, 11 policies", set),
        (
            "one policy that reads input",
            PolicySet::load(&pack::policies(&["naming"])).unwrap(),
        ),
        (
            "one policy that reads data.stoke",
            PolicySet::load(&pack::policies(&["image-digest"])).unwrap(),
        ),
    ] {
        for (what, object) in [("application", &application), ("pod", &pod)] {
            let rounds = 200;
            let begun = Instant::now();
            for _ in 0..rounds {
                std::hint::black_box(set.evaluate(&Subject::Object(object), &facts));
            }
            println!(
                "{name}: {:.0} µs for one {what}",
                begun.elapsed().as_secs_f64() * 1e6 / f64::from(rounds)
            );
        }
    }
}
