//! The first page of a cluster: what needs attention first, then the applications of the cluster and of the history together.

use std::collections::{HashMap, HashSet};

use stoke_history::listing::{Attempt, Listed};
use stoke_quality::ledger::Summary;

use super::home::{CostOf, lasted, usual};
use super::{Visit, attention, is_chosen, sort_by, state_of};
use crate::address::{self, Place};
use crate::live::row::Row as Live;
use crate::observed::Observed;
use crate::page::{Cell, Page, Row, Section, State, Table};

/// What can be sorted by.
const SORTS: [&str; 8] = [
    "name",
    "namespace",
    "state",
    "started",
    "duration",
    "executors",
    "attempts",
    "version",
];
/// How often the page is looked at again, in milliseconds.
pub const AGAIN: u32 = 1000;

/// An application of the cluster, of the history, or of both.
struct One<'a> {
    live: Option<&'a Live>,
    run: Option<(&'a Listed, &'a Attempt)>,
}

impl One<'_> {
    fn name(&self) -> &str {
        match (self.live, self.run) {
            (Some(live), _) => &live.name,
            (None, Some((listed, _))) => &listed.name,
            (None, None) => "",
        }
    }

    fn namespace(&self) -> &str {
        self.live.map_or("", |live| &live.namespace)
    }

    fn spark(&self) -> &str {
        let of_run = self.run.map(|(listed, _)| listed.id.as_str());
        self.live
            .and_then(|live| live.spark.as_deref())
            .or(of_run)
            .unwrap_or_default()
    }

    fn version(&self) -> &str {
        let of_run = self.run.map_or("", |(_, attempt)| &attempt.spark_version);
        self.live.map_or(of_run, |live| &live.version)
    }

    fn state(&self) -> State {
        match (self.live, self.run) {
            (Some(live), _) => live.state(),
            (None, Some((_, attempt))) => state_of(attempt),
            (None, None) => State::Ended,
        }
    }

    fn started(&self) -> i64 {
        let of_run = self.run.map_or(0, |(_, attempt)| attempt.start);
        self.live.map_or(of_run, |live| live.submitted.unwrap_or(live.created))
    }

    fn lasted(&self, now: i64) -> i64 {
        let of_run = || self.run.map_or(0, |(_, attempt)| lasted(attempt, now));
        self.live.map_or_else(of_run, |live| live.lasted(now))
    }

    fn attempts(&self) -> i64 {
        let of_run = || self.run.map_or(0, |(listed, _)| listed.attempts.len() as i64);
        self.live.map_or_else(of_run, |live| live.attempts.into())
    }

    fn has(&self, text: &str) -> bool {
        let has = |shown: &str| shown.to_lowercase().contains(text);
        has(self.name()) || has(self.namespace()) || has(self.spark()) || has(self.version())
    }
}

/// Puts the two lists together by Spark's id. What Spark's id is of the embedded cluster or of a real one, both know it.
fn joined<'a>(rows: &'a [Live], listed: &'a [Listed]) -> Vec<One<'a>> {
    let runs: HashMap<&str, (&Listed, &Attempt)> = listed
        .iter()
        .filter_map(|one| Some((one.id.as_str(), (one, one.attempts.first()?))))
        .collect();
    let of_live: HashSet<&str> = rows.iter().filter_map(|row| row.spark.as_deref()).collect();
    let live = rows.iter().map(|row| One {
        live: Some(row),
        run: row.spark.as_deref().and_then(|id| runs.get(id)).copied(),
    });
    let others = listed.iter().filter(|one| !of_live.contains(one.id.as_str()));
    let others = others.filter_map(|one| {
        Some(One {
            live: None,
            run: Some((one, one.attempts.first()?)),
        })
    });
    live.chain(others).collect()
}

/// The page. Only the rows that are shown are made. What applications cost is a column where there are prices.
pub fn page(
    visit: &Visit,
    rows: &[Live],
    listed: &[Listed],
    data: &[Summary],
    observed: Option<&Observed>,
    cost: Option<&CostOf<'_>>,
    now: i64,
) -> Page {
    let (w, p) = (visit.w, visit.w.platform());
    let text = visit.searched();
    let chosen = visit.query.first("namespace").unwrap_or_default();
    let all = joined(rows, listed);
    let found: Vec<&One<'_>> = all
        .iter()
        .filter(|one| chosen.is_empty() || one.namespace() == chosen)
        .filter(|one| text.as_deref().is_none_or(|text| one.has(text)))
        .collect();
    let states: Vec<State> = found.iter().map(|one| one.state()).collect();
    let mut shown: Vec<&One<'_>> = found.into_iter().filter(|one| is_chosen(visit, one.state())).collect();
    let (sort, descending) = visit.sort(&SORTS, "started", true);
    match sort {
        "name" => sort_by(&mut shown, descending, |one| one.name().to_lowercase()),
        "namespace" => sort_by(&mut shown, descending, |one| one.namespace().to_owned()),
        "state" => sort_by(&mut shown, descending, |one| one.state().name()),
        "duration" => sort_by(&mut shown, descending, |one| one.lasted(now)),
        "executors" => sort_by(&mut shown, descending, |one| one.live.map_or(0, |live| live.running)),
        "attempts" => sort_by(&mut shown, descending, |one| one.attempts()),
        "version" => sort_by(&mut shown, descending, |one| one.version().to_owned()),
        _ => sort_by(&mut shown, descending, |one| one.started()),
    }
    let (paging, range) = visit.page(shown.len());
    let shown = &shown[range];
    let runs: Vec<(&Listed, &Attempt)> = shown.iter().filter_map(|one| one.run).collect();
    let usual = usual(&runs.iter().collect::<Vec<_>>(), listed);
    let row = |one: &&One<'_>| -> Row {
        let run = one.run.map(|(listed, attempt)| Place {
            base: visit.base.clone(),
            id: listed.id.clone(),
            attempt: attempt.id.clone(),
        });
        let to = match (one.live, &run) {
            (Some(live), _) => address::application(&visit.base, &live.namespace, &live.name, ""),
            (None, Some(place)) => place.to(""),
            (None, None) => String::new(),
        };
        let lasted = one.lasted(now);
        let usual = one.run.and_then(|(listed, _)| usual.get(listed.name.as_str()));
        let usual = usual.filter(|usual| **usual > 0 && one.state() == State::Succeeded);
        let mut cells = vec![
            Cell::Link(one.name().to_owned(), to),
            Cell::text(one.namespace()),
            Cell::State(one.state()),
            Cell::Moment(one.started()),
            Cell::Millis(lasted),
            usual.map_or(Cell::Nothing, |usual| {
                Cell::Times((lasted as f64 / *usual as f64 * 100.0).round() / 100.0)
            }),
            one.live.map_or(Cell::Nothing, |live| Cell::Count(live.running as i64)),
            Cell::Count(one.attempts()),
            Cell::text(one.version()),
            run.map_or(Cell::Nothing, |place| Cell::Link(place.id.clone(), place.to(""))),
        ];
        if let Some(cost) = cost {
            cells.insert(6, one.run.map_or(Cell::Nothing, |(listed, _)| cost(listed)));
        }
        cells.into()
    };
    let mut columns = vec![
        ("name", w.name, false),
        ("namespace", p.namespace, false),
        ("state", w.state, false),
        ("started", w.started, true),
        ("duration", w.duration, true),
        ("usual", w.against_usual, true),
        ("executors", p.executors_now, true),
        ("attempts", w.attempts, true),
        ("version", w.version, false),
        ("run", p.run, false),
    ];
    if cost.is_some() {
        columns.insert(6, ("cost", w.cost, true));
    }
    let table = Table {
        id: "applications",
        title: w.applications,
        empty: if all.is_empty() { p.no_applications } else { w.no_match },
        columns: visit.columns(&columns, &SORTS, (sort, descending)),
        rows: shown.iter().map(row).collect(),
        paging: Some(paging),
    };
    let filter = visit.filter(
        p.search_now,
        &[
            State::Running,
            State::Pending,
            State::Failed,
            State::Succeeded,
            State::Killed,
            State::Gone,
            State::Ended,
        ],
        &states,
    );
    Page {
        kind: "now",
        title: p.now.to_owned(),
        rest: Some(format!("{}/api/v1/applications", visit.base)),
        sections: vec![
            attention::of_cluster(visit, rows, data, observed, now),
            Section::Filter(filter),
            Section::Table(table),
        ],
        live: Some(AGAIN),
        ..Page::default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use kube::api::DynamicObject;
    use serde_json::json;
    use stoke_history::rest::Query;

    use super::*;
    use crate::address::Here;
    use crate::words::Language;

    #[test]
    fn ten_thousand_applications_make_a_small_page_soon() {
        let now = 1_800_000_000_000;
        let row = |number: usize| {
            let state = ["RUNNING", "COMPLETED", "FAILED", "SUBMITTED"][number % 4];
            let object: DynamicObject = serde_json::from_value(json!({
                "apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication",
                "metadata": {"name": format!("app-{number}"), "namespace": format!("team-{}", number % 20), "creationTimestamp": "2027-01-15T07:00:00Z"},
                "spec": {"sparkVersion": "4.1.4"},
                "status": {"applicationState": {"state": state}, "sparkApplicationId": format!("spark-{number}")},
            }))
            .unwrap();
            Live::of(&object)
        };
        let rows: Vec<Live> = (0..10_000).map(row).collect();
        let query = Query::parse("sort=duration&q=app");
        let visit = Visit {
            w: Language::English.words(),
            here: Here::new("/".to_owned(), &query),
            query,
            base: String::new(),
            by_itself: false,
        };
        let begun = Instant::now();
        let page = page(&visit, &rows, &[], &[], None, None, now);
        let text = crate::html::write(&page, &visit).unwrap();
        let took = begun.elapsed();
        let size = crate::assets::compressed(text.as_bytes(), flate2::Compression::new(5)).len();
        println!("{took:?}, {size} bytes compressed");
        assert!(took < Duration::from_secs(2) && size < 120 << 10, "{took:?} {size}");
        let twin: serde_json::Value = serde_json::from_str(&page.to_json().unwrap()).unwrap();
        assert_eq!(twin["applications"]["total"], 10_000);
    }
}
