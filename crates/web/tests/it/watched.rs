//! Pages of what is watched: objectives, alerts, runbooks, incidents. They say what the room `observe` says, name what could not be read, and
//! take every text for a text.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use stoke_observe::incident::timeline::{Item, Source};
use stoke_observe::incident::{About, Incident, Line, Severity};
use stoke_observe::pack::firing;
use stoke_observe::runbook::{Ending, Entry, Input, Record, Verdict};
use stoke_observe::slo::objective::Kind;
use stoke_observe::slo::read;
use stoke_observe::slo::runs::{Attempt, Outcome};
use stoke_observe::slo::status::{Judge, Status};
use stoke_web::observed::{Board, Objectives, Reading, Story};

use crate::site::{Site, real};

pub const HOSTILE: &str = "<img src=x onerror=alert(1)>\u{1b}[2J\u{202e}";

/// An hourly job with a number of failures at the end.
fn statuses(failures: usize) -> Vec<Status> {
    let now = Timestamp::now();
    let platform = [("platform.yaml".to_owned(), stoke_observe::slo::PLATFORM.to_owned())];
    let reading = read::read(&platform);
    let runs = 200;
    let attempt = |number: usize| -> Attempt {
        let at = now - SignedDuration::from_mins(60 * (runs - number) as i64);
        serde_json::from_value(json!({
            "job": "etl", "namespace": "shop", "id": format!("spark-{number}"), "start": at.as_millisecond(),
            "end": (at + SignedDuration::from_mins(10)).as_millisecond(),
            "outcome": if number + failures >= runs { Outcome::Failed } else { Outcome::Succeeded },
        }))
        .unwrap()
    };
    let attempts: Vec<Attempt> = (0..runs).map(attempt).collect();
    let mut judge = Judge::default();
    let of = |objective: &stoke_observe::slo::objective::Objective| match &objective.kind {
        Kind::Batch(batch) => judge.statuses(objective, batch, &attempts, now.as_millisecond()),
        Kind::Service(_) => Vec::new(),
    };
    reading.objectives.iter().flat_map(of).collect()
}

fn alerts(summary: &str) -> Value {
    let alert = |name: &str, severity: &str, state: &str, runbook: &str| {
        json!({
            "labels": {"alertname": name, "severity": severity, "team": "orders", "app": "etl", "namespace": "shop"},
            "annotations": {"summary": summary, "description": "d", "runbook": runbook, "runbook_url": "javascript:alert(1)"},
            "startsAt": "2026-11-24T10:00:00Z", "endsAt": "2026-11-24T10:05:00Z", "fingerprint": format!("f{name}"),
            "status": {"state": state, "silencedBy": if state == "suppressed" { vec!["s"] } else { vec![] }, "inhibitedBy": []},
        })
    };
    json!([
        alert("StokeApplicationFailed", "page", "active", "driver-crash-loop"),
        alert("Quiet", "page", "suppressed", "driver-crash-loop"),
        alert("Other", "critical", "active", "../../evil"),
        alert("StokeHeartbeat", "heartbeat", "active", "incident"),
    ])
}

fn record(id: &str, says: &str, ending: Option<Ending>) -> Record {
    let time = Timestamp::from_second(1_795_000_000).unwrap();
    let input = Input {
        namespace: "default".to_owned(),
        parameters: BTreeMap::from([("application".to_owned(), "etl".to_owned())]),
        secrets: Vec::new(),
    };
    let mut entries = vec![
        Entry::Opened {
            time,
            record: id.to_owned(),
            runbook: "driver-crash-loop".to_owned(),
            input,
            cluster: "prod".to_owned(),
            who: says.to_owned(),
            version: "1".to_owned(),
            dry_run: false,
        },
        Entry::Checked {
            time,
            step: "loops".to_owned(),
            verdict: Verdict::Goes,
            says: says.to_owned(),
            branch: Some("looping".to_owned()),
            kept: BTreeMap::new(),
        },
    ];
    entries.extend(ending.map(|ending| Entry::Ended {
        time,
        ending,
        says: says.to_owned(),
    }));
    Record { entries }
}

fn story(id: &str, title: &str, closed: bool) -> Story {
    let time = Timestamp::from_second(1_795_000_000).unwrap();
    let later = time + SignedDuration::from_mins(5);
    let mut lines = vec![
        Line::Opened {
            time,
            incident: id.to_owned(),
            title: title.to_owned(),
            severity: Severity::High,
            namespace: "shop".to_owned(),
            cluster: "prod".to_owned(),
            who: "sre".to_owned(),
            began: Some(time - SignedDuration::from_mins(10)),
        },
        Line::Noted {
            time: later,
            who: "sre".to_owned(),
            about: About::Repaired,
            text: title.to_owned(),
        },
    ];
    if closed {
        lines.push(Line::Closed {
            time: later,
            who: "sre".to_owned(),
            says: "over".to_owned(),
        });
    }
    let item = |source, about: &str| Item {
        time,
        source,
        about: about.to_owned(),
        text: title.to_owned(),
        is_bad: source == Source::Alert,
    };
    Story {
        incident: Incident { lines },
        items: vec![
            item(Source::Alert, "StokeApplicationFailed"),
            item(Source::Runbook, "driver-crash-loop"),
        ],
        notes: Vec::new(),
        review: format!("# {title}"),
    }
}

/// Everything that is watched, with this text wherever one can be.
pub fn board(text: &str) -> Arc<Board> {
    let at = Timestamp::from_second(1_795_000_000).unwrap();
    let board = Arc::new(Board::default());
    board.change(|now| {
        let mut objectives = Reading::of("logs");
        objectives.tell(
            Ok(Objectives {
                statuses: statuses(6),
                services: 1,
                notes: vec![text.to_owned()],
            }),
            at,
        );
        let mut fired = Reading::of("http://127.0.0.1:9093");
        fired.tell(firing::read(&alerts(text)), at);
        let mut records = Reading::of("/home");
        records.tell(
            Ok(vec![
                record("driver-crash-loop-2", text, None),
                record("driver-crash-loop-1", text, Some(Ending::Resolved)),
            ]),
            at,
        );
        let mut incidents = Reading::of("/home");
        incidents.tell(
            Ok(vec![story("incident-1", text, true), story("incident-2", text, false)]),
            at,
        );
        now.objectives = Some(objectives);
        now.alerts = Some(fired);
        now.records = Some(records);
        now.incidents = Some(incidents);
    });
    board
}

fn site(watched: Arc<Board>) -> Site {
    let settings = stoke_web::Settings {
        watched,
        ..stoke_web::Settings::default()
    };
    Site::on(real(), settings)
}

const PAGES: [&str; 8] = [
    "/objectives/",
    "/objectives/objective/?id=jobs-succeed&job=shop%2Fetl",
    "/alerts/",
    "/runbooks/",
    "/runbooks/runbook/?id=driver-crash-loop",
    "/runbooks/record/?id=driver-crash-loop-1",
    "/incidents/",
    "/incidents/incident/?id=incident-2",
];

/// The pages with the name of an objective that there is.
pub fn pages() -> Vec<String> {
    let paging = statuses(6);
    let one = paging.iter().find(|one| one.paging() && one.job.is_some()).unwrap();
    let id = one.objective.clone();
    PAGES.iter().map(|page| page.replace("jobs-succeed", &id)).collect()
}

fn rows<'a>(twin: &'a Value, table: &str) -> &'a Vec<Value> {
    twin[table]["rows"]
        .as_array()
        .unwrap_or_else(|| panic!("{table}: {twin:#}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn objectives_say_what_their_statuses_say() {
    let site = site(board("x"));
    let twin = site.twin("/objectives/").await;
    let statuses = twin["statuses"].as_array().unwrap();
    assert_eq!(twin["objectives"]["total"], statuses.len());
    // What pages comes first.
    let first = &rows(&twin, "objectives")[0];
    assert_eq!(first["state"], "firing", "{first:#}");
    let status = statuses
        .iter()
        .find(|one| one["objective"] == first["objective"] && one["job"] == first["job"])
        .unwrap();
    assert_eq!((&first["events"], &first["bad"]), (&status["events"], &status["bad"]));
    let nearest = status["evidence"].as_array().unwrap().iter().map(|one| {
        let (evidence, threshold) = (one["evidence"].as_f64().unwrap(), one["threshold"].as_f64().unwrap());
        ((evidence * 100.0).round(), (threshold * 100.0).round())
    });
    let nearest = nearest.max_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1))).unwrap();
    assert_eq!(
        (first["evidence"]["used"].as_f64(), first["evidence"]["total"].as_f64()),
        (Some(nearest.0), Some(nearest.1))
    );
    let left = status["budget"]["remaining"].as_f64().unwrap();
    assert!(
        (first["budget"].as_f64().unwrap() - left * 100.0).abs() < 0.01,
        "{first:#}"
    );
    let one = site.twin(&pages()[1]).await;
    assert_eq!(one["state"], "firing");
    assert_eq!(one["status"]["bad"], 6);
    assert!(rows(&one, "meters").iter().any(|meter| meter["state"] == "firing"));
    assert_eq!(rows(&one, "windows").len(), 3);
    assert_eq!(rows(&one, "why")[0], json!({"why": "failed", "runs": 6}));
    assert!(rows(&one, "pages")[0]["until"].is_null());
    let found = site.twin("/objectives/?state=firing").await;
    assert!(rows(&found, "objectives").iter().all(|row| row["state"] == "firing"));
    let missing = site.get("/objectives/objective/?id=none").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fires_is_shown_with_its_runbook_and_stands_first_at_home() {
    let site = site(board("it failed"));
    let twin = site.twin("/alerts/").await;
    let firing = rows(&twin, "firing");
    let names: Vec<&str> = firing.iter().map(|row| row["alert"].as_str().unwrap()).collect();
    assert_eq!(names, ["Quiet", "StokeApplicationFailed", "Other"]);
    let failed = &firing[1];
    assert_eq!(
        (
            &failed["severity"],
            &failed["team"],
            &failed["runbook"],
            &failed["state"]
        ),
        (
            &json!("page"),
            &json!("orders"),
            &json!("driver-crash-loop"),
            &json!("firing")
        )
    );
    assert_eq!(firing[0]["state"], "silenced");
    assert!(twin["heartbeat"].as_str().unwrap().ends_with("arrives"));
    let pack = rows(&twin, "pack");
    let of_pack = pack.iter().find(|row| row["alert"] == "StokeApplicationFailed");
    assert!(of_pack.is_none_or(|row| row["fires"] == 1), "{of_pack:?}");
    assert_eq!(pack.len(), stoke_observe::pack::alerts::all().count());
    let text = site.get("/alerts/").await.text();
    assert!(text.contains("href=\"/runbooks/runbook/?id=driver-crash-loop\""));
    // A runbook that is none of ours leads nowhere, and its address neither.
    assert!(!text.contains("javascript:") && !text.contains("id=..") && text.contains("../../evil"));
    let home = site.twin("/").await;
    let needs: Vec<&str> = rows(&home, "attention")
        .iter()
        .map(|row| row["need"].as_str().unwrap())
        .collect();
    assert_eq!(needs[..2], ["page", "critical"], "{home:#}");
    assert!(needs.contains(&"objective") && needs.contains(&"incident"));
    assert!(!needs.contains(&"heartbeat"));
    let text = site.get("/").await.text();
    assert!(
        text.contains("href=\"/alerts/#alert-fStokeApplicationFailed\""),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn runbooks_and_their_records() {
    let site = site(board("x"));
    let twin = site.twin("/runbooks/").await;
    assert_eq!(rows(&twin, "runbooks").len(), stoke_observe::runbook::all().len());
    let own = rows(&twin, "runbooks")
        .iter()
        .find(|row| row["name"] == "driver-crash-loop")
        .unwrap();
    assert_eq!(own["state"], "running", "{own:#}");
    let records = rows(&twin, "records");
    assert_eq!(
        (&records[0]["state"], &records[1]["state"]),
        (&json!("running"), &json!("succeeded"))
    );
    let book = stoke_observe::runbook::find("driver-crash-loop").unwrap();
    let one = site.twin("/runbooks/runbook/?id=driver-crash-loop").await;
    assert_eq!(rows(&one, "steps").len(), book.steps.len());
    assert_eq!(rows(&one, "parameters").len(), book.parameters.len());
    assert_eq!(
        one["runbook"]["command"],
        "stoke runbook run driver-crash-loop --application APPLICATION"
    );
    assert_eq!(rows(&one, "records").len(), 2);
    assert!(!rows(&one, "drills").is_empty() && rows(&one, "drills")[0]["goneAfter"].as_i64() > Some(0));
    let record = site.twin("/runbooks/record/?id=driver-crash-loop-2").await;
    assert_eq!(record["record"]["resume"], "stoke runbook resume driver-crash-loop-2");
    assert_eq!(record["record"]["undo"], Value::Null);
    assert_eq!(rows(&record, "lines").len(), 2);
    let ended = site.twin("/runbooks/record/?id=driver-crash-loop-1").await;
    assert_eq!(ended["record"]["resume"], Value::Null);
    for missing in [
        "/runbooks/runbook/?id=none",
        "/runbooks/record/?id=none",
        "/runbooks/record/",
        "/runbooks/x",
    ] {
        assert_eq!(site.get(missing).await.status, StatusCode::NOT_FOUND, "{missing}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn incidents_have_a_time_line_and_times() {
    let site = site(board("late"));
    let twin = site.twin("/incidents/").await;
    let all = rows(&twin, "incidents");
    assert_eq!(
        (&all[0]["id"], &all[0]["state"]),
        (&json!("incident-2"), &json!("open"))
    );
    assert_eq!(
        (&all[0]["toDetect"], &all[0]["toRepair"]),
        (&json!(600_000), &json!(300_000))
    );
    let one = site.twin("/incidents/incident/?id=incident-1").await;
    assert_eq!(rows(&one, "items").len(), 2);
    assert_eq!(one["incident"]["command"], "stoke incident review incident-1");
    assert_eq!(one["review"], "# late");
    assert_eq!(one["times"]["toDetect"], 600);
    let text = site.get("/incidents/incident/?id=incident-1").await.text();
    assert!(text.contains("href=\"/runbooks/runbook/?id=driver-crash-loop\"") && text.contains("href=\"/alerts/\""));
    let closed = site.twin("/incidents/?state=ended&q=late").await;
    assert_eq!(rows(&closed, "incidents").len(), 1);
    assert_eq!(
        site.get("/incidents/incident/?id=none").await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_is_watched_the_pages_say_what_to_do() {
    let site = site(Arc::default());
    for (page, part) in [
        ("/objectives/", "--objectives FILE"),
        ("/alerts/", "stoke up --observe"),
        ("/runbooks/", "stoke console"),
        ("/incidents/", "stoke console"),
    ] {
        let text = site.get(page).await.text();
        assert!(text.contains(part), "{page}: {text}");
        let russian = site.get(&format!("{page}?lang=ru")).await;
        assert_eq!(russian.status, StatusCode::OK);
        assert!(russian.text().contains("<html lang=\"ru\">"));
    }
    // Nothing is said of what fires where that is not known.
    let twin = site.twin("/alerts/").await;
    assert!(rows(&twin, "pack").iter().all(|row| row["fires"].is_null()));
    assert!(twin["alerts"].is_null() && twin["heartbeat"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_said_and_not_taken_for_nothing() {
    let watched = board("x");
    watched.change(|now| {
        now.alerts
            .as_mut()
            .unwrap()
            .tell(Err("connection refused".to_owned()), Timestamp::now());
        now.records = Some(Reading::of("/home"));
        now.records
            .as_mut()
            .unwrap()
            .tell(Err("a.jsonl: line 3".to_owned()), Timestamp::now());
        now.incidents = Some(Reading::of("/home"));
    });
    let site = site(watched);
    let alerts = site.twin("/alerts/").await;
    assert!(alerts["trouble"].as_str().unwrap().ends_with("connection refused"));
    assert_eq!(rows(&alerts, "firing").len(), 3);
    assert_eq!(alerts["reading"]["at"], 1_795_000_000_000_i64);
    let runbooks = site.twin("/runbooks/").await;
    assert!(runbooks["trouble"].as_str().unwrap().contains("line 3"));
    let incidents = site.twin("/incidents/").await;
    assert!(incidents["none"].as_str().unwrap().contains("not read yet") && incidents["incidents"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_of_others_are_texts() {
    let site = site(board(HOSTILE));
    for page in pages().iter().map(String::as_str).chain(["/"]) {
        for language in ["en", "ru"] {
            let more = if page.contains('?') { "&" } else { "?" };
            let answer = site.get(&format!("{page}{more}lang={language}")).await;
            assert_eq!(answer.status, StatusCode::OK, "{page}");
            let text = answer.text();
            assert!(
                !text.contains("<img src=x") && !text.contains(['\u{1b}', '\u{202e}']),
                "{page}"
            );
            crate::crawl::is_proper(page, &answer, language);
        }
    }
}
