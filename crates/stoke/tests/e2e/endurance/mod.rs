//! What a cluster bears: starts that get in each other's way, a damaged file, a death with running workloads, many objects, slow readers.
//!
//! Small by default. `STOKE_TEST_OBJECTS=100000` lists and watches so many ConfigMaps, and a tenth of it as pods;
//! `STOKE_TEST_CRASHES=100` kills the controllers so many times. Figures are printed with `--nocapture`.

mod many;
mod starts;
mod workloads;

use k8s_openapi::api::core::v1::ConfigMap;
use libtest_mimic::Trial;
use serde_json::json;

use crate::common::{Context, VERSIONS, full};

pub fn trials(context: &Context) -> Vec<Trial> {
    let spark = [full(), context.spark(VERSIONS[0])];
    vec![
        context.trial(
            "endurance: of two starts at once one is told that the other runs",
            &[],
            starts::two_at_once,
        ),
        context.trial(
            "endurance: a taken port moves the cluster to another address",
            &[],
            starts::taken_port,
        ),
        context.trial(
            "endurance: a damaged data file is refused and left as it is",
            &[],
            starts::damaged,
        ),
        context.trial(
            "endurance: down, up, kill -9, up: a Deployment has its pods again",
            &spark,
            workloads::deployment,
        ),
        context.trial(
            "endurance: controllers killed between writes make no pod twice and leave none",
            &spark,
            workloads::crashes,
        ),
        context.trial(
            "endurance: many objects are listed in chunks, whole, and watched",
            &[full()],
            many::many,
        ),
        context.trial(
            "endurance: a slow watcher costs no memory",
            &[full()],
            many::slow_watcher,
        ),
    ]
}

fn number(name: &str, usual: usize) -> usize {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(usual)
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
}

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn map(name: &str, text: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name}, "data": {"text": text}})).unwrap()
}
