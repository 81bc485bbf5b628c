//! Cost of planning a submission: time of [`stoke_submit::plan`] alone, for a small and for a large configuration.
//!
//! `cargo bench -p stoke-submit --bench plan`
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use stoke_submit::{Identity, MainResource, SparkVersion, SubmitFiles, SubmitRequest, plan};

const ROUNDS: u32 = 2_000;

fn request(extra: usize) -> SubmitRequest {
    let mut conf = BTreeMap::from([
        (
            "spark.kubernetes.container.image".to_owned(),
            "apache/spark:4.1.4".to_owned(),
        ),
        ("spark.app.name".to_owned(), "pi".to_owned()),
    ]);
    for at in 0..extra {
        conf.insert(
            format!("spark.kubernetes.driverEnv.VARIABLE_{at}"),
            format!("value {at}"),
        );
        conf.insert(
            format!("spark.kubernetes.driver.label.label-{at}"),
            format!("value-{at}"),
        );
        conf.insert(format!("spark.hadoop.fs.option.{at}"), format!("value {at}"));
    }
    SubmitRequest {
        spark_version: SparkVersion::new(4, 1, 4),
        master: "k8s://https://127.0.0.1:6443".to_owned(),
        main_class: None,
        resource: MainResource::Python("local:///opt/spark/examples/src/main/python/pi.py".to_owned()),
        args: vec!["100".to_owned()],
        proxy_user: None,
        conf,
        user: "me".to_owned(),
        working_dir: "/".to_owned(),
        files: SubmitFiles::default(),
        identity: Identity::derive("bench", 1),
        submitted_at: jiff::Timestamp::UNIX_EPOCH,
    }
}

fn main() {
    for (name, extra) in [("2 keys", 0), ("62 keys", 20), ("302 keys", 100)] {
        let request = request(extra);
        let mut times: Vec<u128> = (0..ROUNDS)
            .map(|_| {
                let start = Instant::now();
                black_box(plan(black_box(&request)).unwrap());
                start.elapsed().as_nanos()
            })
            .collect();
        times.sort_unstable();
        let micros = |nanos: u128| nanos as f64 / 1000.0;
        println!(
            "plan, {name:>8}: median {:7.1} us, 99th percentile {:7.1} us",
            micros(times[times.len() / 2]),
            micros(times[times.len() * 99 / 100])
        );
    }
}
