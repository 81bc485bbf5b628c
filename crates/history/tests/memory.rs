//! Memory that tasks take: however many there are, it stays below the same bound, whatever is asked.
#![allow(clippy::unwrap_used)]

use std::io::Read;
use std::sync::Arc;

use peak_alloc::PeakAlloc;
use stoke_eventlog::read::Input;
use stoke_eventlog::{Options, Report, read};
use stoke_history::json::Json;
use stoke_history::listing::{Attempt, Listed};
use stoke_history::model::{Application, Limits, View};
use stoke_history::pieces::Pieces;
use stoke_history::rest::{self, Answer, Library, Query};

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// Tasks that run at the same time.
const SLOTS: usize = 500;
const METRICS: i64 = 6;

/// A log of one stage with many tasks, made while it is read.
struct Log {
    tasks: usize,
    next: usize,
    piece: Vec<u8>,
    given: usize,
}

/// Ends come in another order than starts.
fn mixed(number: usize) -> usize {
    (number / SLOTS) * SLOTS + (number % SLOTS) * 7 % SLOTS
}

fn task(id: usize, ended: bool) -> String {
    let launched = 1_795_304_716_338 + id;
    let finished = if ended { launched + 1 + id * 31 % 9973 } else { 0 };
    let updates: Vec<String> = (0..METRICS * i64::from(ended))
        .map(|metric| {
            let update = (id * 7919 + 13) % 1_000_003;
            format!("{{\"ID\":{metric},\"Name\":\"m\",\"Update\":\"{update}\",\"Value\":\"7\",\"Internal\":true,\"Count Failed Values\":true,\"Metadata\":\"sql\"}}")
        })
        .collect();
    format!(
        "{{\"Task ID\":{id},\"Index\":{id},\"Attempt\":0,\"Partition ID\":{id},\"Launch Time\":{},\"Executor ID\":\"{}\",\"Host\":\"h\",\"Locality\":\"ANY\",\"Speculative\":false,\"Getting Result Time\":0,\"Finish Time\":{finished},\"Failed\":false,\"Killed\":false,\"Accumulables\":[{}]}}",
        launched,
        id % 50,
        updates.join(",")
    )
}

impl Log {
    fn stage(&self) -> String {
        format!(
            "{{\"Stage ID\":0,\"Stage Attempt ID\":0,\"Stage Name\":\"count\",\"Number of Tasks\":{},\"RDD Info\":[],\"Parent IDs\":[],\"Details\":\"\",\"Accumulables\":[],\"Submission Time\":1}}",
            self.tasks
        )
    }

    fn begin(&self) -> String {
        let metrics: Vec<String> = (0..METRICS)
            .map(|id| format!("{{\"name\":\"m{id}\",\"accumulatorId\":{id},\"metricType\":\"nsTiming\"}}"))
            .collect();
        let stage = self.stage();
        [
            "{\"Event\":\"SparkListenerLogStart\",\"Spark Version\":\"4.1.4\"}".to_owned(),
            format!("{{\"Event\":\"org.apache.spark.sql.execution.ui.SparkListenerSQLExecutionStart\",\"executionId\":1,\"description\":\"\",\"details\":\"\",\"physicalPlanDescription\":\"\",\"sparkPlanInfo\":{{\"nodeName\":\"Scan\",\"simpleString\":\"\",\"children\":[],\"metadata\":{{}},\"metrics\":[{}]}},\"time\":1}}", metrics.join(",")),
            format!("{{\"Event\":\"SparkListenerJobStart\",\"Job ID\":0,\"Submission Time\":7,\"Stage Infos\":[{stage}],\"Stage IDs\":[0],\"Properties\":{{\"spark.sql.execution.id\":\"1\"}}}}"),
            format!("{{\"Event\":\"SparkListenerStageSubmitted\",\"Stage Info\":{stage},\"Properties\":{{}}}}"),
            String::new(),
        ]
        .join("\n")
    }

    fn end(&self) -> String {
        [
            format!("{{\"Event\":\"SparkListenerStageCompleted\",\"Stage Info\":{}}}", self.stage()),
            "{\"Event\":\"SparkListenerJobEnd\",\"Job ID\":0,\"Completion Time\":9,\"Job Result\":{\"Result\":\"JobSucceeded\"}}".to_owned(),
            "{\"Event\":\"org.apache.spark.sql.execution.ui.SparkListenerSQLExecutionEnd\",\"executionId\":1,\"time\":10}".to_owned(),
            String::new(),
        ]
        .join("\n")
    }

    /// The lines of one step: a task begins, and one that began before ends.
    fn step(&self, number: usize) -> String {
        let mut lines = String::new();
        if number < self.tasks {
            let begun = task(number, false);
            lines += &format!(
                "{{\"Event\":\"SparkListenerTaskStart\",\"Stage ID\":0,\"Stage Attempt ID\":0,\"Task Info\":{begun}}}\n"
            );
        }
        if let Some(ended) = number.checked_sub(SLOTS).map(mixed) {
            let ended = task(ended, true);
            lines += &format!(
                "{{\"Event\":\"SparkListenerTaskEnd\",\"Stage ID\":0,\"Stage Attempt ID\":0,\"Task Type\":\"ResultTask\",\"Task End Reason\":{{\"Reason\":\"Success\"}},\"Task Info\":{ended},\"Task Metrics\":{{\"Executor Deserialize Time\":{number},\"Executor Run Time\":{}}}}}\n",
                number % 977
            );
        }
        lines
    }
}

impl Read for Log {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.given == self.piece.len() {
            let (steps, next) = (self.tasks + SLOTS, self.next);
            self.piece = match next {
                0 => self.begin() + &self.step(0),
                next if next < steps => self.step(next),
                next if next == steps => self.end(),
                _ => String::new(),
            }
            .into_bytes();
            self.next += 1;
            self.given = 0;
        }
        let take = into.len().min(self.piece.len() - self.given);
        into[..take].copy_from_slice(&self.piece[self.given..self.given + take]);
        self.given += take;
        Ok(take)
    }
}

struct One(Arc<Vec<Listed>>, Arc<View>);

impl Library for One {
    fn listed(&self) -> Arc<Vec<Listed>> {
        self.0.clone()
    }

    fn view(&self, _attempt: &Attempt) -> Result<Option<Arc<View>>, String> {
        Ok(Some(self.1.clone()))
    }

    fn version(&self) -> String {
        "4.1.4".to_owned()
    }

    fn now(&self) -> i64 {
        0
    }
}

/// Replays a log of `tasks` tasks and asks everything of them: what was answered to each question, in bytes and lines, and the most
/// memory that was taken, in MiB.
fn asked(tasks: usize, retained: usize) -> (Vec<(usize, usize)>, f32) {
    let directory = tempfile::tempdir().unwrap();
    let before = HEAP.current_usage_as_mb();
    HEAP.reset_peak_usage();
    let limits = Limits {
        tasks: retained,
        ..Limits::default()
    };
    let mut application = Application::new(limits).with_pieces(Pieces::in_directory(directory.path()));
    let log = Log {
        tasks,
        next: 0,
        piece: Vec::new(),
        given: 0,
    };
    let input = Input {
        name: "log",
        offset: 0,
        text: Box::new(log),
    };
    let mut report = Report::default();
    read(input, Options { threads: 2 }, &mut report, true, |event| {
        application.apply(event)
    });
    assert_eq!((report.bad_lines, report.truncated), (0, None), "{:?}", report.faults);
    let attempt = Attempt {
        id: None,
        start: 0,
        end: 1,
        last_updated: 1,
        duration: 1,
        user: String::new(),
        completed: true,
        spark_version: "4.1.4".to_owned(),
        exit_code: None,
        log: String::new(),
        place: String::new(),
    };
    let listed = Listed {
        id: "a".to_owned(),
        name: String::new(),
        attempts: vec![attempt],
    };
    let library = One(Arc::new(vec![listed]), Arc::new(application.into_view(1)));
    let questions = [
        format!("stages/0/0/taskList?offset={}&length=3", retained.min(tasks) - 3),
        "stages/0/0/taskList?sortBy=-runtime&length=40".to_owned(),
        "stages/0/0/taskSummary".to_owned(),
        "stages/0/0?withSummaries=true".to_owned(),
        "sql/1".to_owned(),
    ];
    let answers = questions.iter().map(|question| {
        let (path, query) = question.split_once('?').unwrap_or((question, ""));
        let answer = rest::answer(&library, &format!("applications/a/{path}"), &Query::parse(query)).unwrap();
        let Answer::Json(write) = answer else { unreachable!() };
        let (mut bytes, mut lines) = (0, 0);
        let mut sink = |piece: Vec<u8>| {
            bytes += piece.len();
            lines += piece.iter().filter(|byte| **byte == b'\n').count();
            Ok(())
        };
        let mut json = Json::new(&mut sink);
        write(&mut json);
        json.finish().unwrap();
        (bytes, lines)
    });
    (answers.collect(), HEAP.peak_usage_as_mb() - before)
}

#[test]
fn memory_does_not_grow_with_tasks() {
    let (few, small) = asked(30_000, 100_000);
    let (many, large) = asked(150_000, 1_000_000);
    // The same fields of a task, a summary and an execution, and five times as many tasks in the details.
    assert_eq!(few[0].1, many[0].1);
    assert_eq!(few[2].1, many[2].1);
    assert!(many[3].1 > few[3].1 * 49 / 10, "{few:?} {many:?}");
    assert!(small < 24.0 && large < 32.0, "{small} and {large} MiB");
    // Of those that are too many nothing stays.
    let (trimmed, least) = asked(60_000, 5_000);
    assert_eq!(trimmed[0].1, few[0].1);
    assert!(least < 16.0, "{least} MiB");
}
