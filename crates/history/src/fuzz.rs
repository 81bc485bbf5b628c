//! What fuzzing drives: no promise to anybody else.

use std::sync::Arc;

use stoke_eventlog::read::Input;
use stoke_eventlog::{Codec, Options, Report, read};

use crate::json::Json;
use crate::listing::{Attempt, Listed};
use crate::model::{Application, Limits, View};
use crate::rest::{self, Answer, Library, Query};

struct One {
    listed: Arc<Vec<Listed>>,
    view: Arc<View>,
}

impl Library for One {
    fn listed(&self) -> Arc<Vec<Listed>> {
        self.listed.clone()
    }

    fn view(&self, _attempt: &Attempt) -> Result<Option<Arc<View>>, String> {
        Ok(Some(self.view.clone()))
    }

    fn version(&self) -> String {
        self.view.spark_version().to_owned()
    }

    fn now(&self) -> i64 {
        1_800_000_000_000
    }
}

/// Reads bytes as an event log (the first byte chooses the compression) and asks everything of the application in it.
pub fn event_log(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else {
        return;
    };
    let codec = [Codec::Plain, Codec::Zstd, Codec::Lz4, Codec::Snappy, Codec::Lzf][usize::from(kind % 5)];
    let Ok(text) = codec.decode(Box::new(bytes)) else {
        return;
    };
    let limits = Limits {
        jobs: 3,
        stages: 4,
        tasks: 5,
        dead_executors: 1,
        executions: 2,
    };
    let mut application = Application::new(limits);
    let input = Input {
        name: "log",
        offset: 0,
        text,
    };
    read(input, Options { threads: 1 }, &mut Report::default(), true, |event| {
        application.apply(event)
    });
    let attempt = Attempt {
        id: None,
        start: 0,
        end: -1,
        last_updated: 0,
        duration: 0,
        user: String::new(),
        completed: false,
        spark_version: application.spark_version.clone(),
        exit_code: None,
        log: String::new(),
        place: String::new(),
    };
    let listed = Listed {
        id: "a".to_owned(),
        name: String::new(),
        attempts: vec![attempt],
    };
    let library = One {
        listed: Arc::new(vec![listed]),
        view: Arc::new(application.into_view(i64::MAX)),
    };
    let mut sink = |_: Vec<u8>| Ok(());
    for question in [
        "jobs",
        "stages?details=true&withSummaries=true",
        "allexecutors",
        "executors",
        "allmiscellaneousprocess",
        "storage/rdd",
        "environment",
        "sql?length=1000",
        "stages/0/0/taskList?sortBy=-runtime",
        "stages/0/0/taskSummary",
        "stages/0/0/taskTable?numTasks=9&columnNameToSort=Errors&order[0][dir]=asc&start=0&length=9",
        "stages/0/0/taskTable?numTasks=9&columnNameToSort=Host&start=1&length=2&search[value]=1",
        "stages?withSummaries=true&quantiles=-1,NaN",
        "sql/sqlTable?length=-1&search[value]=o",
    ] {
        let (path, query) = question.split_once('?').unwrap_or((question, ""));
        if let Ok(Answer::Json(write)) = rest::answer(&library, &format!("applications/a/{path}"), &Query::parse(query))
        {
            let mut json = Json::new(&mut sink);
            write(&mut json);
            let _ = json.finish();
        }
    }
}
