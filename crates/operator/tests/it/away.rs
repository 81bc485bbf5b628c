//! An API server that is away: refused, overloaded, with its memory of changes lost; and definitions and rights that go and come back.
//! On a paused clock, so that seconds are exact.

use std::time::Duration;

use serde_json::json;

use super::api::FakeApi;
use super::world::{Running, application, clock, phase, state, until, until_state};

/// From the server's first answer to the operator's work.
const BACK: Duration = Duration::from_secs(3);

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

fn late() -> serde_json::Value {
    let mut app = application(json!({}));
    app["metadata"]["name"] = json!("late");
    app
}

/// How a server is away.
#[derive(Clone, Copy, Debug)]
enum How {
    Refused,
    /// It is reached and says this.
    Says(u16),
}

impl How {
    fn begin(self, api: &FakeApi) {
        api.set_down(true);
        if let Self::Says(code) = self {
            api.set_down(false);
            for method in ["GET", "POST", "PATCH", "DELETE"] {
                api.deny(method, code, "not now");
            }
        }
    }

    fn end(self, api: &FakeApi) {
        api.set_down(false);
        api.allow_all();
    }
}

/// An operator with a driver that runs; the server is away for so long, and then every watch is told 410 this many times. Meanwhile the
/// driver ends and an application is written. Returns how many requests the absence cost and how long the operator took afterwards.
async fn live(how: How, seconds: u64, gone: usize) -> (usize, Duration) {
    let api = FakeApi::default();
    let operator = Running::start_at(&api, clock());
    api.put("sparkapplications", application(json!({})));
    until_state(&api, "SUBMITTED").await;
    phase(&api, "pi-driver", "Running", None);
    until_state(&api, "RUNNING").await;
    how.begin(&api);
    let before = api.asked();
    phase(&api, "pi-driver", "Succeeded", Some(0));
    api.put("sparkapplications", late());
    pass(seconds).await;
    let asked = api.asked() - before;
    assert_eq!(state(&api), "RUNNING");
    // Five watches.
    api.forget_history(5 * gone);
    how.end(&api);
    let back = tokio::time::Instant::now();
    until_state(&api, "COMPLETED").await;
    let driver = || api.get("pods", "late-driver").is_some();
    until(&api, "the late one's driver", driver).await;
    let took = back.elapsed();
    operator.kill().await;
    (asked, took)
}

#[tokio::test(start_paused = true)]
async fn the_operator_works_three_seconds_after_the_servers_first_answer_however_long_it_was_away() {
    let refused = [1, 6, 60, 120, 600].map(|seconds| (How::Refused, seconds));
    let says = [429, 500, 503].map(|code| (How::Says(code), 60));
    for (how, seconds) in refused.into_iter().chain(says) {
        for gone in [0, 1, 3] {
            let (asked, took) = live(how, seconds, gone).await;
            println!("{how:?} for {seconds} s, 410 {gone} times: {asked} requests meanwhile, back after {took:?}");
            assert!(took < BACK, "{how:?} for {seconds} s, 410 {gone} times: {took:?}");
            // One question a second, and those that find out that there is no one to ask.
            let most = usize::try_from(seconds).unwrap() * 3 / 2 + 30;
            assert!(asked <= most, "{how:?} for {seconds} s: {asked} requests");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_always_behind_lists_every_few_seconds() {
    let api = FakeApi::default();
    let operator = Running::start_at(&api, clock());
    pass(5).await;
    api.forget_history(usize::MAX);
    let before = api.asked();
    pass(120).await;
    // A list and a watch each time, five watches, 5 s on average.
    let asked = api.asked() - before;
    println!("{asked} requests in two minutes of 410");
    assert!(asked < 5 * 2 * 45, "{asked}");
    operator.kill().await;
}

#[tokio::test(start_paused = true)]
async fn definitions_and_rights_that_come_back_are_noticed_within_seconds_and_cost_little_meanwhile() {
    for (code, message) in [
        (404, "the server could not find the requested resource"),
        (403, "forbidden"),
    ] {
        for seconds in [1, 30, 600] {
            let api = FakeApi::default();
            let operator = Running::start_at(&api, clock());
            pass(5).await;
            api.deny("GET sparkapplications", code, message);
            api.deny("GET scheduledsparkapplications", code, message);
            // Their watches end with them.
            api.set_down(true);
            api.set_down(false);
            let before = api.asked();
            pass(seconds).await;
            let asked = api.asked() - before;
            api.allow_all();
            let back = tokio::time::Instant::now();
            api.put("sparkapplications", late());
            let driver = || api.get("pods", "late-driver").is_some();
            until(&api, "the late one's driver", driver).await;
            let took = back.elapsed();
            println!("{code} for {seconds} s: {asked} requests meanwhile, back after {took:?}");
            assert!(took < Duration::from_secs(9), "{code} for {seconds} s: {took:?}");
            assert!(asked <= usize::try_from(seconds).unwrap() + 30, "{code}: {asked}");
            operator.kill().await;
        }
    }
}
