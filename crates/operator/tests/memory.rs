//! What an application that rests costs in memory, counted by the allocator: nothing else is in this process.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]
#![allow(dead_code, reason = "helpers shared with other tests")]

#[path = "it/api.rs"]
mod api;
#[path = "it/life.rs"]
mod life;
#[path = "it/planner.rs"]
mod planner;
#[path = "it/world.rs"]
mod world;

use std::time::Duration;

use api::FakeApi;
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// Bytes the operator holds for so many ended applications and their driver pods.
async fn held(applications: usize) -> i64 {
    let api = FakeApi::default();
    life::leave_ended(&api, 5, applications).await;
    let now = || i64::try_from(ALLOCATED.current_usage()).unwrap();
    let before = now();
    let operator = life::operator(&api);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let held = now() - before;
    operator.abort();
    let _ = operator.await;
    held
}

#[tokio::test(start_paused = true)]
async fn an_application_that_rests_costs_less_than_four_kilobytes() {
    // Once for what is made on first use.
    held(10).await;
    let (few, many) = (held(50).await, held(550).await);
    let each = (many - few) / 500;
    println!("{each} bytes for an ended application with its driver pod, as people write them");
    assert!((500..4096).contains(&each), "{each}");
}
