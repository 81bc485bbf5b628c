//! Pods on a real API server, scheduler and node, with a shell as the image. The sandbox starts this very executable again, so it has
//! its own `main`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test, though without the harness"
)]

mod bench;
mod lifecycle;
mod lives;
mod misfits;
mod speed;
mod surroundings;

use std::time::Instant;

use bench::Bench;

type Run = fn(&Bench) -> futures::future::BoxFuture<'_, ()>;
type Test = (&'static str, Run);

macro_rules! tests {
    ($($module:ident :: $name:ident),* $(,)?) => {
        vec![$((concat!(stringify!($module), "::", stringify!($name)), (|bench| Box::pin($module::$name(bench))) as Run)),*]
    };
}

fn main() {
    stoke_sandbox::main_if_sandboxed();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let directory = tempfile::tempdir().unwrap();
    if let Err(error) = stoke_sandbox::Launcher::default().check(directory.path().join("log")) {
        eprintln!("SKIPPED: {error}");
        return;
    }
    let tests: Vec<Test> = tests![
        lifecycle::a_pod_succeeds_with_the_statuses_and_events_of_a_kubelet,
        lifecycle::a_pod_fails_with_its_code,
        lifecycle::memory_above_the_limit_is_oom_killed,
        lifecycle::containers_start_again_as_the_policy_says,
        lifecycle::init_containers_and_sidecars_keep_their_order,
        lifecycle::deletion_is_graceful_and_complete,
        lifecycle::deadlines_and_probes,
        lifecycle::hooks_run_before_and_after,
        lifecycle::a_new_node_is_honest_about_what_it_cannot_find,
        lifecycle::a_pod_can_be_deleted_while_its_image_is_fetched,
        lives::pods_live_as_on_a_recorded_kubelet,
        surroundings::volumes_appear_where_they_are_mounted,
        surroundings::a_pod_waits_for_its_config_map,
        surroundings::services_resolve_as_they_come,
        surroundings::logs_are_served,
        misfits::images_that_cannot_be_had,
        misfits::what_cannot_be_done_is_said,
        misfits::a_pod_that_does_not_fit_waits_for_room,
        speed::fifty_pods_leave_nothing,
    ]
    .into_iter()
    .filter(|(name, _): &Test| filter.as_ref().is_none_or(|filter| name.contains(filter.as_str())))
    .collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let bench = Bench::start(directory.path()).await;
        for (name, test) in tests {
            let start = Instant::now();
            test(&bench).await;
            println!("test {name} ... ok ({} ms)", start.elapsed().as_millis());
        }
        bench.stop().await;
    });
    let node = speed::processes_below(std::process::id());
    assert!(node.is_empty(), "processes are left: {node:?}");
}
