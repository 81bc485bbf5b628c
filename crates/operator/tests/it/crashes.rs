//! The operator is killed, and separately its connection is cut, before and after every single request of every scenario. The end and the
//! objects created are those of the undisturbed life.

use std::time::Duration;

use serde_json::Value;

use super::api::{Cut, FakeApi, Trouble};
use super::scenarios::{Node, SCENARIOS, Scenario};
use super::world::{Running, clock};

/// What a life left: names of objects, states and counters of applications and servers, and everything that was ever created, each time it was.
#[derive(Debug, PartialEq)]
pub struct End {
    names: Vec<String>,
    states: Vec<[Value; 4]>,
    created: Vec<String>,
    drivers: usize,
}

impl End {
    pub fn of(scenario: &Scenario, api: &FakeApi, node: &Node) -> Self {
        // Names of an attempt's objects depend on UIDs, which differ from life to life, and on the number of the server, of which a crash may
        // use up one; how many objects there are does not.
        let plain = |names: Vec<String>| {
            let mut names: Vec<String> = names
                .into_iter()
                .map(|name| {
                    let is_digest = |part: &str| part.len() == 16 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
                    let parts = name.split('-').map(|part| if is_digest(part) { "…" } else { part });
                    match name.starts_with("configmaps/conf-") {
                        true => "configmaps/conf".into(),
                        false => parts.collect::<Vec<_>>().join("-"),
                    }
                })
                .collect();
            names.sort();
            names
        };
        let states = api.all("sparkapplications").into_iter().map(|app| {
            let status = &app["status"];
            [
                status["applicationState"].clone(),
                status["executionAttempts"].clone(),
                status["submissionAttempts"].clone(),
                status["driverInfo"].clone(),
            ]
        });
        let servers = api.all("sparkconnects").into_iter().map(|connect| {
            let status = &connect["status"];
            [
                status["state"].clone(),
                status["server"].clone(),
                status["executors"].clone(),
                status["conditions"][0]["reason"].clone(),
            ]
        });
        let mut created = plain(api.created());
        let mut drivers = node.drivers.len();
        if scenario.halved {
            created.dedup();
            drivers = 1;
        }
        Self {
            names: plain(api.names()),
            states: states.chain(servers).collect(),
            created,
            drivers,
        }
    }
}

/// Lives a scenario on a paused clock, disturbed at `cut`; returns its end and the number of requests.
async fn life(scenario: &Scenario, cut: Option<(Cut, Trouble)>) -> (End, usize) {
    let api = FakeApi::default();
    if let Some((cut, trouble)) = cut {
        api.cut_at(cut);
        api.cut_means(trouble);
    }
    let clock = clock();
    let mut operator = Running::start_at(&api, clock.clone());
    scenario.begin(&api);
    let mut node = Node::default();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(1200);
    loop {
        let changed = api.changed.notified();
        if scenario.act(&api, &mut node) {
            break;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "{} {cut:?}: stuck: {:#?} {:#?} {:#?}",
            scenario.name,
            api.log(),
            api.all("sparkapplications"),
            api.all("sparkconnects")
        );
        tokio::select! {
            () = api.cut.notified() => {
                api.cut_nowhere();
                operator.kill().await;
                operator = Running::start_at(&api, clock.clone());
            }
            () = changed => {}
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
    }
    // Whatever is still under way comes to its end, also when the cut is met only now.
    for _ in 0..2 {
        let quiet = tokio::time::sleep(Duration::from_secs(20));
        tokio::select! {
            () = api.cut.notified() => {
                api.cut_nowhere();
                operator.kill().await;
                operator = Running::start_at(&api, clock.clone());
            }
            () = quiet => {}
        }
    }
    operator.kill().await;
    (End::of(scenario, &api, &node), api.log().len())
}

fn survives(trouble: Trouble) {
    // Each scenario on a thread of its own, with a clock of its own.
    std::thread::scope(|threads| {
        for scenario in &SCENARIOS {
            threads.spawn(move || {
                let live = |cut| {
                    let runtime = tokio::runtime::Builder::new_current_thread()
                        .enable_all()
                        .start_paused(true)
                        .build()
                        .unwrap();
                    runtime.block_on(life(scenario, cut))
                };
                let (undisturbed, requests) = live(None);
                assert!(requests >= 3, "{}: {requests}", scenario.name);
                for number in 1..=requests {
                    for cut in [Cut::Before(number), Cut::After(number)] {
                        let (end, _) = live(Some((cut, trouble)));
                        assert_eq!(end, undisturbed, "{}: {cut:?} of {requests}", scenario.name);
                    }
                }
            });
        }
    });
}

#[test]
fn every_life_survives_a_crash_at_every_request() {
    survives(Trouble::Death);
}

#[test]
fn every_life_survives_a_broken_connection_at_every_request() {
    survives(Trouble::BrokenConnection);
}
