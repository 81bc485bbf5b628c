//! The tables of a stage attempt's tasks and of SQL executions, as the pages of Spark's own UI ask for them: with the parameters of
//! DataTables, sorted by a column, cut into pages and searched by the server (`StagesResource.taskTable`, `SqlResource.sqlTable`).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::page::{self, Order};
use super::params::TableQuery;
use super::search::{Search, matching};
use super::{Answer, Failure, Query, json};
use crate::json::{Date, Json};
use crate::model::View;
use crate::model::data::{JobStatus, Sql, StageKey};
use crate::model::metrics::at;
use crate::model::task::{Outcome, Task};

/// What a column of the table of tasks is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Id,
    Index,
    Partition,
    Attempt,
    Status,
    Locality,
    Executor,
    Host,
    Launched,
    SchedulerDelay,
    GettingResult,
    Metric(usize),
    ShuffleRead,
    Accumulators,
    Error,
}

impl Column {
    /// The column of a heading. Spark 4 sorts by the partition where Spark 3 sorts by the index.
    fn of(heading: &str, is_4: bool) -> Option<Column> {
        Some(match heading {
            "ID" => Column::Id,
            "Index" if is_4 => Column::Partition,
            "Index" => Column::Index,
            "Attempt" => Column::Attempt,
            "Status" => Column::Status,
            "Locality Level" => Column::Locality,
            "Executor ID" => Column::Executor,
            "Host" => Column::Host,
            "Launch Time" => Column::Launched,
            "Duration" => Column::Metric(at::RUN_TIME),
            "Scheduler Delay" => Column::SchedulerDelay,
            "Task Deserialization Time" => Column::Metric(at::DESERIALIZE_TIME),
            "GC Time" => Column::Metric(at::GC_TIME),
            "Result Serialization Time" => Column::Metric(at::RESULT_SERIALIZATION_TIME),
            "Getting Result Time" => Column::GettingResult,
            "Peak Execution Memory" => Column::Metric(at::PEAK_EXECUTION_MEMORY),
            "Accumulators" => Column::Accumulators,
            "Input Size / Records" => Column::Metric(at::INPUT_BYTES),
            "Output Size / Records" => Column::Metric(at::OUTPUT_BYTES),
            "Shuffle Read Fetch Wait Time" => Column::Metric(at::FETCH_WAIT_TIME),
            "Shuffle Read Size / Records" => Column::ShuffleRead,
            "Shuffle Remote Reads" => Column::Metric(at::REMOTE_BYTES),
            "Shuffle Write Time" => Column::Metric(at::WRITE_TIME),
            "Shuffle Write Size / Records" => Column::Metric(at::WRITE_BYTES),
            "Spill (Memory)" => Column::Metric(at::MEMORY_SPILLED),
            "Spill (Disk)" => Column::Metric(at::DISK_SPILLED),
            "Errors" => Column::Error,
            _ => return None,
        })
    }

    /// The place of the name a task is sorted by, where it is one.
    fn place(self) -> Option<fn(&Task) -> u32> {
        Some(match self {
            Column::Locality => |task| task.locality,
            Column::Executor => |task| task.executor,
            Column::Host => |task| task.host,
            _ => return None,
        })
    }

    /// The text a task is sorted by, where it is one of its own.
    fn text(self, task: &Task) -> Option<String> {
        Some(match self {
            Column::Error => task.error.clone().unwrap_or_default(),
            Column::Accumulators => task.accumulators.first().map_or_else(String::new, |first| {
                let part = |part: &Option<String>| part.as_deref().unwrap_or("null").to_owned();
                format!("{}:{}", part(&first.name), part(&first.value))
            }),
            _ => return None,
        })
    }

    fn is_text(self) -> bool {
        matches!(
            self,
            Column::Locality | Column::Executor | Column::Host | Column::Error | Column::Accumulators
        )
    }

    fn number(self, task: &Task) -> i64 {
        let measured = |number: i64| if task.metrics.is_some() { number } else { -1 };
        match self {
            Column::Index => i64::from(task.index),
            Column::Partition => i64::from(task.partition),
            Column::Attempt => i64::from(task.attempt),
            Column::Launched => task.launched,
            Column::Status => rank_of(task.status),
            Column::SchedulerDelay => measured(task.scheduler_delay()),
            Column::GettingResult => measured(task.getting_result_time()),
            Column::Metric(place) => page::stored(task, place),
            Column::ShuffleRead if task.metrics.is_some() => {
                page::stored(task, at::LOCAL_BYTES).wrapping_add(page::stored(task, at::REMOTE_BYTES))
            }
            Column::ShuffleRead => -1,
            _ => task.id,
        }
    }
}

/// The place of an outcome among the others, by their names.
fn rank_of(status: Outcome) -> i64 {
    match status {
        Outcome::Failed => 0,
        Outcome::GetResult => 1,
        Outcome::Killed => 2,
        Outcome::Running => 3,
        Outcome::Succeeded => 4,
    }
}

/// Characters of a text that are compared at a time: so much of each different text is in memory.
const COMPARED: usize = 512;

/// The order of a column.
fn order<W: FnMut(&Task) -> bool + Send>(
    view: &View,
    key: StageKey,
    (column, descending): (Column, bool),
    wanted: impl Fn() -> W + Sync,
) -> io::Result<Order> {
    if !column.is_text() {
        return page::order(view, key, wanted, |task| column.number(task), descending);
    }
    if let Some(place) = column.place() {
        let names = ranks_of_names(view, key, place)?;
        let rank = |task: &Task| names.get(&place(task)).copied().unwrap_or(0);
        return page::order(view, key, wanted, rank, descending);
    }
    // Most tasks have none, and come first.
    let text = |task: Task| {
        let text = column.text(&task).filter(|text| !text.is_empty());
        text.map(|text| (task.id, text))
    };
    let ranks = ranks(|| view.tasks(key).filter_map(|task| task.map(text).transpose()))?;
    let rank = |task: &Task| ranks.get(&task.id).copied().unwrap_or(-1);
    page::order(view, key, wanted, rank, descending)
}

/// The places of names that tasks have, in the order of the names.
fn ranks_of_names(view: &View, key: StageKey, place: fn(&Task) -> u32) -> io::Result<HashMap<u32, i64>> {
    let seen = view.look_at_tasks(key, BTreeSet::new, |seen, task| {
        seen.insert(place(task));
    })?;
    let seen: BTreeSet<u32> = seen.into_iter().flatten().collect();
    let texts = || {
        seen.iter()
            .map(|name| Ok((i64::from(*name), view.name(*name).to_owned())))
    };
    let ranks = ranks(texts)?;
    let known = seen
        .iter()
        .filter_map(|name| Some((*name, *ranks.get(&i64::from(*name))?)));
    Ok(known.collect())
}

/// The places of texts in their order, by id, a part of the texts after the other: errors are long, and begin alike. Java compares texts by
/// the halves of a character.
fn ranks<T: Iterator<Item = io::Result<(i64, String)>>>(texts: impl Fn() -> T) -> io::Result<HashMap<i64, i64>> {
    let mut ranks: HashMap<i64, i64> = HashMap::new();
    let part = |text: &str, place: usize| -> Vec<u16> {
        let part = text.chars().skip(place * COMPARED).take(COMPARED);
        part.collect::<String>().encode_utf16().collect()
    };
    for place in 0.. {
        let mut parts: BTreeMap<(i64, Vec<u16>), i64> = BTreeMap::new();
        let rank = |ranks: &HashMap<i64, i64>, id: &i64| ranks.get(id).copied().unwrap_or(0);
        for one in texts() {
            let (id, text) = one?;
            parts.insert((rank(&ranks, &id), part(&text, place)), 0);
        }
        parts.values_mut().zip(0..).for_each(|(number, next)| *number = next);
        // Texts that go on, by their ranks, are to be compared further where there are several.
        let mut going_on: HashMap<i64, usize> = HashMap::new();
        for one in texts() {
            let (id, text) = one?;
            let now = parts
                .get(&(rank(&ranks, &id), part(&text, place)))
                .copied()
                .unwrap_or(0);
            ranks.insert(id, now);
            if text.chars().nth((place + 1) * COMPARED).is_some() {
                *going_on.entry(now).or_default() += 1;
            }
        }
        let mut of_rank: HashMap<i64, usize> = HashMap::new();
        for rank in ranks.values() {
            *of_rank.entry(*rank).or_default() += 1;
        }
        if !going_on
            .keys()
            .any(|rank| of_rank.get(rank).is_some_and(|count| *count > 1))
        {
            break;
        }
    }
    Ok(ranks)
}

/// A page of the table of tasks.
pub(super) fn tasks(view: Arc<View>, key: StageKey, query: &Query, is_4: bool) -> Result<Answer, Failure> {
    let query = TableQuery::of(query)?;
    let total = query.number("numTasks")?;
    let searched = query.first("search[value]").filter(|text| !text.is_empty());
    let heading = query.needed("columnNameToSort")?;
    let heading = if heading.eq_ignore_ascii_case("logs") {
        "Index"
    } else {
        heading
    };
    let ascending = |direction: &str| direction.eq_ignore_ascii_case("asc");
    let descending = !query.first("order[0][dir]").is_some_and(ascending);
    let (offset, length) = match searched {
        Some(_) => (0, total),
        None => (query.number("start")?, query.number("length")?),
    };
    let column = Column::of(heading, is_4).ok_or_else(|| Failure::Broken(format!("Invalid sort column: {heading}")))?;
    if length <= 0 {
        return Err(Failure::Broken("max must be positive.".to_owned()));
    }
    let places = |from: i32, length: i32| {
        let begin = usize::try_from(from).unwrap_or(0);
        let end = usize::try_from(from.wrapping_add(length)).unwrap_or(0);
        begin..end.max(begin)
    };
    let begin = usize::try_from(offset).unwrap_or(0);
    let all = begin..begin.saturating_add(usize::try_from(length).unwrap_or(0));
    let failed = |error: io::Error| Failure::Broken(error.to_string());
    let mut order = order(&view, key, (column, descending), || |_: &Task| true).map_err(failed)?;
    order.keep(all);
    let records = query.needed("numTasks")?.to_owned();
    let mut filtered = records.clone();
    if let Some(text) = searched
        && !order.is_empty()
    {
        let found = matching(&view, key, text).map_err(failed)?;
        order.retain(|id| found.has(id));
        filtered = order.len().to_string();
        if !order.is_empty() {
            order.keep(places(query.number("start")?, query.number("length")?));
        }
    }
    json(move |json| {
        json.object(|o| {
            o.put("recordsFiltered", &filtered);
            o.nested("aaData", |json| page::write(json, &view, order.tasks(&view, key)));
            o.put("recordsTotal", &records);
        });
    })
}

/// A stage attempt's tasks in the order of a heading of Spark's table: made once, to show parts of it.
#[derive(Debug)]
pub struct TaskOrder(Order);

impl TaskOrder {
    /// The order; of the tasks whose row shows a text, where one is searched. Nothing when there is no such heading.
    ///
    /// # Errors
    /// When tasks were put away and cannot be read again.
    pub fn of(
        view: &View,
        key: StageKey,
        (heading, descending): (&str, bool),
        searched: Option<&str>,
    ) -> io::Result<Option<TaskOrder>> {
        let Some(column) = Column::of(heading, true) else {
            return Ok(None);
        };
        let order = match searched {
            None => order(view, key, (column, descending), || |_: &Task| true)?,
            Some(text) => order(view, key, (column, descending), || {
                let mut search = Search::of(view, text);
                move |task: &Task| search.shows(task)
            })?,
        };
        Ok(Some(TaskOrder(order)))
    }

    /// How many tasks there are, or have the text that was searched.
    #[allow(clippy::len_without_is_empty)] // no one asks
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The tasks at these places. Only the pieces they are in are read.
    ///
    /// # Errors
    /// When tasks were put away and cannot be read again.
    pub fn tasks(&self, view: &View, key: StageKey, places: Range<usize>) -> io::Result<Vec<Task>> {
        self.0.at(view, key, places)
    }
}

/// What a row of the table of SQL executions shows.
struct Row {
    id: i64,
    root: i64,
    status: &'static str,
    description: String,
    submitted: i64,
    duration: i64,
    jobs: Vec<i32>,
    query: Option<String>,
    error: Option<String>,
}

impl Row {
    fn of(sql: &Sql, now: i64) -> Row {
        let mut jobs: Vec<i32> = sql
            .jobs
            .iter()
            .filter(|(_, status)| *status == JobStatus::Succeeded)
            .map(|(id, _)| *id)
            .collect();
        jobs.sort_unstable();
        Row {
            id: sql.id,
            root: sql.root,
            status: sql.status(),
            description: sql.description.clone(),
            submitted: sql.submitted,
            duration: sql.completed.unwrap_or(now).wrapping_sub(sql.submitted),
            jobs,
            query: sql.query_id.clone(),
            error: sql.error.clone(),
        }
    }

    fn shows(&self, text: &str) -> bool {
        let has = |shown: &str| shown.to_lowercase().contains(text);
        has(&self.description) || has(self.status) || self.id.to_string().contains(text)
    }

    fn write(&self, json: &mut Json<'_>, below: Option<&[&Row]>) {
        json.object(|o| {
            o.put("id", self.id);
            o.put("status", self.status);
            o.put("description", &self.description);
            o.put("submissionTime", Date(self.submitted));
            o.put("duration", self.duration);
            o.scalars("jobIds", self.jobs.iter().copied());
            o.maybe("queryId", self.query.as_ref());
            o.maybe("errorMessage", self.error.as_ref());
            o.put("rootExecutionId", self.root);
            if let Some(below) = below {
                o.list("subExecutions", below, |json, row| row.write(json, None));
            }
        });
    }
}

/// Executions by a column. Java compares texts by the halves of a character; what is the same stays in the order of ids.
fn sorted(rows: &mut [&Row], column: &str, descending: bool) {
    let text = |text: &str| text.encode_utf16().collect::<Vec<u16>>();
    match column {
        "status" => rows.sort_by_key(|row| row.status),
        "description" => rows.sort_by_cached_key(|row| text(&row.description)),
        "submissionTime" => rows.sort_by_key(|row| row.submitted),
        "duration" => rows.sort_by_key(|row| row.duration),
        _ => rows.sort_by_key(|row| row.id),
    }
    if descending {
        rows.reverse();
    }
}

/// Those that stand by themselves, and those below another one that is there.
fn roots<'a>(rows: &[&'a Row]) -> (Vec<&'a Row>, HashMap<i64, Vec<&'a Row>>) {
    let ids: BTreeSet<i64> = rows.iter().map(|row| row.id).collect();
    let mut below: HashMap<i64, Vec<&Row>> = HashMap::new();
    let mut top = Vec::new();
    for row in rows {
        match row.root != row.id && ids.contains(&row.root) {
            true => below.entry(row.root).or_default().push(row),
            false => top.push(*row),
        }
    }
    (top, below)
}

/// A page of the table of SQL executions.
pub(super) fn executions(now: i64, view: Arc<View>, query: &Query) -> Result<Answer, Failure> {
    let query = TableQuery::of(query)?;
    let draw = query.number_or("draw", 0)?;
    let grouped = query.flag("groupSubExecution").unwrap_or(true);
    let filled = |name: &str| query.first(name).filter(|text| !text.is_empty());
    let (text, status) = (filled("search[value]"), filled("status"));
    let column = query
        .first("order[0][column]")
        .and_then(|place| query.first(&format!("columns[{place}][name]")))
        .unwrap_or("id")
        .to_owned();
    let descending = query.first("order[0][dir]") != Some("asc");
    let (start, length) = (query.number_or("start", 0)?, query.number_or("length", 20)?);
    let (text, status) = (text.map(str::to_lowercase), status.map(str::to_owned));
    json(move |json| {
        let mut rows = Vec::new();
        for id in view.executions() {
            match view.execution(id) {
                Some(sql) => rows.push(Row::of(&sql, now)),
                None => return json.fail(io::ErrorKind::InvalidData.into()),
            }
        }
        let all: Vec<&Row> = rows.iter().collect();
        let wanted = |row: &&Row| {
            text.as_ref().is_none_or(|text| row.shows(text))
                && status
                    .as_ref()
                    .is_none_or(|status| row.status.eq_ignore_ascii_case(status))
        };
        let found: Vec<&Row> = all.iter().copied().filter(wanted).collect();
        let (mut top, below) = match grouped {
            true => roots(&found),
            false => (found, HashMap::new()),
        };
        let total = if grouped { roots(&all).0.len() } else { all.len() };
        let filtered = top.len();
        let summary = Summary::of(&top);
        sorted(&mut top, &column, descending);
        if length > 0 {
            let begin = usize::try_from(start).unwrap_or(0).min(top.len());
            let end = usize::try_from(start.wrapping_add(length)).unwrap_or(0).min(top.len());
            top = top[begin..end.max(begin)].to_vec();
        }
        json.object(|o| {
            o.object("summary", |o| summary.write(o));
            o.put("recordsFiltered", filtered);
            o.list("aaData", top, |json, row| {
                let mut below = below.get(&row.id).cloned().unwrap_or_default();
                below.sort_by_key(|row| row.id);
                row.write(json, grouped.then_some(&below[..]));
            });
            o.put("draw", draw);
            o.put("recordsTotal", total);
        });
    })
}

/// What all executions of a table came to.
struct Summary {
    count: usize,
    average: i64,
    running: usize,
    failed: usize,
}

impl Summary {
    fn of(rows: &[&Row]) -> Summary {
        let of = |status: &str| rows.iter().filter(|row| row.status == status).count();
        let durations = rows.iter().fold(0i64, |sum, row| sum.wrapping_add(row.duration));
        Summary {
            count: rows.len(),
            average: durations / rows.len().max(1) as i64,
            running: of("RUNNING"),
            failed: of("FAILED"),
        }
    }

    fn write(&self, o: &mut crate::json::Object<'_, '_>) {
        o.put("totalQueries", self.count);
        o.put("averageDuration", self.average);
        o.put("runningQueries", self.running);
        o.put("failedQueries", self.failed);
        o.put("failureRate", self.failed as f64 / self.count.max(1) as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_ranked_whole() {
        let long = "ä".repeat(3 * COMPARED);
        let texts = [
            format!("{long}b"),
            format!("{long}a"),
            "ä".repeat(COMPARED),
            format!("{long}a"),
            "\u{ffff}".to_owned(),
            "\u{1f680}".to_owned(),
            String::new(),
            format!("{}é", "ä".repeat(COMPARED - 1)),
            long.clone(),
        ];
        let numbered = || (0i64..).zip(texts.clone()).map(Ok);
        let ranks = ranks(numbered).unwrap();
        let mut expected: Vec<i64> = (0..texts.len() as i64).collect();
        expected.sort_by_key(|id| texts[*id as usize].encode_utf16().collect::<Vec<_>>());
        for pair in expected.windows(2) {
            let same = texts[pair[0] as usize] == texts[pair[1] as usize];
            let (one, other) = (ranks[&pair[0]], ranks[&pair[1]]);
            assert!(if same { one == other } else { one < other }, "{pair:?} {ranks:?}");
        }
    }

    fn row(id: i64, root: i64, status: &'static str, duration: i64) -> Row {
        Row {
            id,
            root,
            status,
            description: format!("Query {}", id % 3),
            submitted: 100 - id,
            duration,
            jobs: Vec::new(),
            query: None,
            error: None,
        }
    }

    #[test]
    fn executions_are_grouped_sorted_and_summed_up() {
        let rows = [
            row(0, 0, "COMPLETED", 10),
            row(1, 0, "FAILED", 30),
            row(2, 7, "RUNNING", 5),
            row(3, 3, "FAILED", 1),
        ];
        let all: Vec<&Row> = rows.iter().collect();
        let ids = |rows: &[&Row]| rows.iter().map(|row| row.id).collect::<Vec<_>>();
        let (top, below) = roots(&all);
        assert_eq!((ids(&top), ids(&below[&0])), (vec![0, 2, 3], vec![1]), "7 is not there");
        for (column, descending, expected) in [
            ("id", true, [3, 2, 1, 0]),
            ("status", false, [0, 1, 3, 2]),
            ("status", true, [2, 3, 1, 0]),
            ("description", false, [0, 3, 1, 2]),
            ("submissionTime", false, [3, 2, 1, 0]),
            ("duration", false, [3, 2, 0, 1]),
            ("nothing", false, [0, 1, 2, 3]),
        ] {
            let mut rows = all.clone();
            sorted(&mut rows, column, descending);
            assert_eq!(ids(&rows), expected, "{column}");
        }
        let summary = Summary::of(&all);
        let shown = (summary.count, summary.average, summary.running, summary.failed);
        assert_eq!(shown, (4, 11, 1, 2));
        assert_eq!(Summary::of(&[]).average, 0);
        assert!(rows[0].shows("query") && rows[0].shows("comp") && !rows[0].shows("fail"));
    }
}
