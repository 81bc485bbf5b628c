//! What applications cost: the exact requests of a whole life as the operator is shipped, and none while nothing happens.

use std::collections::BTreeMap;
use std::time::Duration;

use super::api::FakeApi;
use super::life;
use super::world::{phase, until_state};

#[tokio::test(start_paused = true)]
async fn a_whole_life_with_five_executors_costs_thirteen_requests_and_seven_events() {
    let api = FakeApi::default();
    let _operator = life::operator(&api);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = api.asked();
    life::run(&api, "pi", 5).await;
    let mut by_kind: BTreeMap<String, usize> = BTreeMap::new();
    for request in api.log() {
        let (method, rest) = request.split_once(' ').unwrap();
        let parts: Vec<&str> = rest.split('/').collect();
        let subresource = parts.get(2).map(|sub| format!("/{sub}")).unwrap_or_default();
        *by_kind
            .entry(format!("{method} {}{subresource}", parts[0]))
            .or_default() += 1;
    }
    let expected = [
        // The way to the UI ends with the run.
        ("DELETE services", 1),
        // Spark's properties, and the executors' template.
        ("PATCH configmaps", 2),
        // The driver's own, and that of the UI.
        ("PATCH services", 2),
        // Intent, submitted, running, executors pending, running and completed, completed.
        ("PATCH sparkapplications/status", 7),
        ("POST pods", 1),
    ];
    assert_eq!(by_kind, expected.map(|(kind, number)| (kind.to_owned(), number)).into());
    let events = api.all("events").len();
    assert_eq!(events, 7, "{:#?}", api.all("events"));
    assert_eq!(api.asked() - before, 13 + events, "and no others, no reads among them");
}

#[tokio::test(start_paused = true)]
async fn a_quiet_minute_costs_no_request_and_an_hour_only_its_watches() {
    let mut of_an_hour = Vec::new();
    for applications in [1, 100] {
        let api = FakeApi::default();
        life::leave_ended(&api, 2, applications).await;
        let operator = life::operator(&api);
        // And some that run: that they go on is not news either.
        for number in 0..applications {
            let name = format!("runs-{number}");
            api.put("sparkapplications", life::application(&name));
            life::until_app(&api, &name, "SUBMITTED").await;
            phase(&api, &format!("{name}-driver"), "Running", None);
            life::until_app(&api, &name, "RUNNING").await;
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
        let before = api.asked();
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(api.asked() - before, 0, "{applications}");
        tokio::time::sleep(Duration::from_secs(3600)).await;
        of_an_hour.push(api.asked() - before);
        // It has not fallen asleep.
        api.put("sparkapplications", life::application("pi"));
        until_state(&api, "SUBMITTED").await;
        operator.abort();
    }
    // Each of the five watches is begun again every five minutes.
    assert!(of_an_hour.iter().all(|asked| *asked <= 5 * 13), "{of_an_hour:?}");
}

#[tokio::test(start_paused = true)]
async fn an_operator_that_starts_again_asks_for_lists_and_nothing_of_each_application() {
    let mut asked = Vec::new();
    for applications in [1, 50] {
        let api = FakeApi::default();
        life::leave_ended(&api, 2, applications).await;
        let before = api.asked();
        let operator = life::operator(&api);
        tokio::time::sleep(Duration::from_secs(60)).await;
        asked.push(api.asked() - before);
        assert_eq!(api.all("sparkapplications").len(), applications + 1);
        operator.abort();
    }
    assert_eq!(asked[0], asked[1], "{asked:?}");
}
