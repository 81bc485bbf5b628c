//! Each page as a function of what is known to a [`Page`]: no sockets, no files, no clock.

pub mod alerts;
pub mod application;
pub mod ask;
pub mod attention;
pub mod change;
pub mod cluster;
pub mod compare;
pub mod connect;
pub mod contract;
pub mod cost;
pub mod data;
pub mod desk;
pub mod environment;
pub mod executors;
pub mod graphs;
pub mod home;
pub mod incidents;
pub mod jobs;
pub mod now;
pub mod objectives;
pub mod overview;
pub mod runbooks;
pub mod sql;
pub mod stage;
pub mod stages;
pub mod storage;
pub mod streaming;
pub mod whatif;

use std::ops::Range;
use std::sync::Arc;

use stoke_history::detail::Detail;
use stoke_history::listing::{Attempt, Listed};
use stoke_history::model::View;
use stoke_history::model::data::{JobStatus, Stage, StageStatus};
use stoke_history::rest::Query;

use crate::address::{Here, Place};
use crate::kept::Kept;
use crate::page::{Cell, Column, Filter, Page, Paging, Section, State, Tab, Tasks};
use crate::words::Words;

/// Rows of a page of a table, and at most.
const ROWS: usize = 50;
const MOST_ROWS: usize = 500;
/// After how many milliseconds a page of a run that goes on is looked at where nothing tells of changes.
const AGAIN: u32 = 2000;

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum Missing {
    /// There is no such thing.
    #[error("not found")]
    NotFound,
    /// What it is made of cannot be read.
    #[error("{0}")]
    Broken(String),
    /// Its log is too large to be read for a page.
    #[error("the log is too large to be read for a page")]
    TooLarge,
}

impl From<std::io::Error> for Missing {
    fn from(error: std::io::Error) -> Missing {
        Missing::Broken(error.to_string())
    }
}

/// A request, as pages see it.
#[derive(Debug)]
pub struct Visit {
    /// The visitor's words.
    pub w: &'static Words,
    /// Where the page is.
    pub here: Here,
    /// Its parameters.
    pub query: Query,
    /// What stands before every address.
    pub base: String,
    /// Whether an open page asks by itself, and no person.
    pub by_itself: bool,
}

/// An attempt of an application.
#[derive(Debug)]
pub struct App {
    /// Its application.
    pub listed: Listed,
    pub attempt: Attempt,
    /// What its log says.
    pub view: Arc<View>,
    /// Where its pages are.
    pub place: Place,
    /// The application of the same name that began last before it.
    pub before: Option<String>,
    /// Now, in milliseconds since 1970.
    pub now: i64,
    /// What was found out of its tasks.
    pub kept: Arc<Kept>,
    /// What its log tells beside the view; nothing when the log is large and was not asked.
    pub detail: Option<Arc<Detail>>,
}

impl Visit {
    /// A number of the address.
    pub fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.query.first(name)?.parse().ok()
    }

    /// A text of the address, lower case; nothing when it is blank.
    pub fn searched(&self) -> Option<String> {
        let text = self.query.first("q")?.trim().to_lowercase();
        (!text.is_empty()).then_some(text)
    }

    /// What is sorted by, and whether from the greatest on. Only what is known counts.
    pub fn sort(&self, known: &[&'static str], default: &'static str, descending: bool) -> (&'static str, bool) {
        let wanted = self
            .query
            .first("sort")
            .and_then(|wanted| known.iter().find(|name| **name == wanted));
        let descending = match self.query.first("desc") {
            Some(flag) => flag == "1",
            None => wanted.is_none() && descending,
        };
        (wanted.copied().unwrap_or(default), descending)
    }

    /// A search field, and these states to choose from, with how many of `all` are in each. What else is in the address stays.
    pub fn filter(&self, placeholder: &'static str, states: &[State], all: &[State]) -> Filter {
        let chosen = self.query.first("state").unwrap_or_default();
        let choice = |label, count, state: &str| {
            let to = self.here.with(&[("state", state), ("page", "")]);
            (label, count, to, chosen == state)
        };
        let any = (!states.is_empty()).then(|| choice(self.w.all, all.len(), ""));
        let counted = states
            .iter()
            .map(|state| (*state, all.iter().filter(|one| *one == state).count()));
        let there = counted.filter(|(state, count)| *count > 0 || chosen == state.name());
        let of_states = there.map(|(state, count)| choice(self.w.state(&state), count, state.name()));
        Filter {
            action: self.here.path().to_owned(),
            text: self.query.first("q").unwrap_or_default().to_owned(),
            placeholder,
            choices: any.into_iter().chain(of_states).collect(),
            kept: self.here.without(&["q", "page"]),
        }
    }

    /// The rows of this page out of all.
    pub fn page(&self, total: usize) -> (Paging, Range<usize>) {
        let per = self.number("per").unwrap_or(ROWS).clamp(1, MOST_ROWS);
        let pages = total.div_ceil(per).max(1);
        let page = self.number::<usize>("page").unwrap_or(1).clamp(1, pages);
        let range = (page - 1) * per..(page * per).min(total);
        let to = |page: usize| {
            self.here
                .with(&[("page", &if page == 1 { String::new() } else { page.to_string() })])
        };
        let paging = Paging {
            total,
            from: if range.is_empty() { 0 } else { range.start + 1 },
            to: range.end,
            before: (page > 1).then(|| to(page - 1)),
            after: (page < pages).then(|| to(page + 1)),
        };
        (paging, range)
    }

    /// Columns that can be sorted by their ids, where they are among the known ones. Numbers begin with the greatest.
    pub fn columns(
        &self,
        columns: &[(&'static str, &'static str, bool)],
        known: &[&str],
        (sort, descending): (&str, bool),
    ) -> Vec<Column> {
        let column = |(id, label, number): &(&'static str, &'static str, bool)| {
            let sorted = *id == sort;
            let next = if sorted { !descending } else { *number };
            Column {
                id,
                label,
                number: *number,
                sort: known.contains(id).then(|| {
                    self.here
                        .with(&[("sort", id), ("desc", if next { "1" } else { "0" }), ("page", "")])
                }),
                sorted: sorted.then_some(if descending { "descending" } else { "ascending" }),
            }
        };
        columns.iter().map(column).collect()
    }
}

/// Columns that cannot be sorted.
pub fn plain(columns: &[(&'static str, &'static str, bool)]) -> Vec<Column> {
    let column = |(id, label, number): &(&'static str, &'static str, bool)| Column {
        id,
        label,
        number: *number,
        ..Column::default()
    };
    columns.iter().map(column).collect()
}

impl App {
    /// A page of the application, with its navigation and nothing on it yet.
    pub fn page(
        &self,
        visit: &Visit,
        kind: &'static str,
        tab: &'static str,
        title: String,
        crumb: Option<(&str, &str)>,
    ) -> Page {
        let w = visit.w;
        // Of a log that was not read it may have any of these.
        let tells = |of: fn(&Detail) -> bool| self.detail.as_deref().is_none_or(of);
        let mut tabs = vec![
            (w.overview, ""),
            (w.jobs, "jobs/"),
            (w.stages, "stages/"),
            (w.sql, "SQL/"),
        ];
        if tells(|detail| !detail.queries.is_empty()) {
            tabs.push((w.streaming, "StreamingQuery/"));
        }
        if tells(|detail| !detail.batches.is_empty()) {
            tabs.push((w.dstreams, "streaming/"));
        }
        if tells(|detail| !detail.sessions.is_empty()) {
            tabs.push(("Connect", "connect/"));
        }
        tabs.extend([
            (w.executors, "executors/"),
            (w.storage, "storage/"),
            (w.environment, "environment/"),
            (w.findings, "findings/"),
            (w.what_if, "what-if/"),
            (w.cost, "cost/"),
        ]);
        let mut crumbs = vec![
            (w.applications.to_owned(), format!("{}/", self.place.base)),
            (self.listed.name.clone(), self.place.to("")),
        ];
        crumbs.extend(crumb.map(|(label, to)| (label.to_owned(), self.place.to(to))));
        Page {
            kind,
            title,
            crumbs,
            tabs: tabs
                .into_iter()
                .map(|(label, to)| Tab {
                    label,
                    to: self.place.to(to),
                    current: to == tab,
                })
                .collect(),
            live: (!self.attempt.completed).then_some(AGAIN),
            ..Page::default()
        }
    }

    /// The way to a picture that takes a look into a large log.
    pub fn ask_for_graph(&self, visit: &Visit) -> Cell {
        match self.detail {
            Some(_) => Cell::Nothing,
            None => Cell::Link(visit.w.show.to_owned(), visit.here.with(&[("graph", "1")])),
        }
    }

    /// What its log tells beside the view.
    ///
    /// # Errors
    /// When it was not asked.
    pub fn told(&self) -> Result<&Detail, Missing> {
        self.detail.as_deref().ok_or(Missing::NotFound)
    }

    /// When the attempt ended, or the time of its log as long as it has not.
    pub fn until(&self) -> i64 {
        match self.attempt.completed {
            true => self.attempt.end,
            false => self.view.now().max(self.attempt.start),
        }
    }
}

/// How an attempt stands.
pub fn state_of(attempt: &Attempt) -> State {
    match (attempt.completed, attempt.exit_code) {
        (false, _) => State::Running,
        (true, Some(0)) => State::Succeeded,
        (true, Some(_)) => State::Failed,
        (true, None) => State::Ended,
    }
}

/// How a job stands.
pub fn state_of_job(status: JobStatus) -> State {
    match status {
        JobStatus::Running => State::Running,
        JobStatus::Succeeded => State::Succeeded,
        JobStatus::Failed => State::Failed,
    }
}

/// How a stage stands.
pub fn state_of_stage(status: StageStatus) -> State {
    match status {
        StageStatus::Active => State::Running,
        StageStatus::Complete => State::Succeeded,
        StageStatus::Failed => State::Failed,
        StageStatus::Pending => State::Pending,
        StageStatus::Skipped => State::Skipped,
    }
}

/// How a SQL execution stands.
pub fn state_of_execution(status: &str) -> State {
    match status {
        "RUNNING" => State::Running,
        "FAILED" => State::Failed,
        _ => State::Succeeded,
    }
}

/// The tasks of a stage attempt.
pub fn tasks_of(stage: &Stage) -> Cell {
    Cell::Tasks(Tasks {
        total: stage.tasks.into(),
        done: stage.completed_tasks.into(),
        active: stage.active_tasks.into(),
        failed: stage.failed_tasks.into(),
        killed: stage.killed_tasks.into(),
        skipped: 0,
    })
}

/// Whether the address asks for this state, or for none.
pub fn is_chosen(visit: &Visit, state: State) -> bool {
    visit
        .query
        .first("state")
        .is_none_or(|chosen| chosen.is_empty() || chosen == state.name())
}

/// Sorts by a key and the other way round where that is wished; what is the same stays as it is.
pub fn sort_by<T, K: Ord>(rows: &mut [T], descending: bool, key: impl Fn(&T) -> K) {
    match descending {
        true => rows.sort_by_cached_key(|row| std::cmp::Reverse(key(row))),
        false => rows.sort_by_cached_key(key),
    }
}

/// A number of things.
pub fn count(number: impl TryInto<i64>) -> Cell {
    Cell::Count(number.try_into().unwrap_or(i64::MAX))
}

/// What a page says where there is nothing.
pub fn note(id: &'static str, text: impl Into<String>) -> Section {
    Section::Note(crate::page::Note {
        id,
        text: text.into(),
        bad: false,
    })
}
