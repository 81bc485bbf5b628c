//! The two servers.

use std::collections::BTreeSet;
use std::io::{Cursor, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use stoke_eventlog::Source;
use stoke_history::index::{Index, Settings};
use stoke_history::json::Json;
use stoke_history::model::Limits;
use stoke_history::rest::{self, Answer, Failure, Query};
use stoke_history::zipped::zipped;
use twox_hash::XxHash64;

use crate::sparks::Spark;

/// It listens after two seconds on an idle machine, and lists a log in less.
const LONGEST: Duration = Duration::from_secs(600);

/// What a server answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Answered {
    pub status: u16,
    pub kind: String,
    pub body: Vec<u8>,
}

const ZIP: &str = "application/octet-stream";

impl Answered {
    /// With what is in a zip instead of the zip: a line for each entry, with its length and a hash of its bytes.
    fn listed(mut self) -> Answered {
        if self.status == 200 && self.kind.starts_with(ZIP) {
            self.body = match entries(&self.body) {
                Ok(entries) => entries.into_iter().collect::<String>().into_bytes(),
                Err(error) => format!("not a zip: {error}").into_bytes(),
            };
        }
        self
    }
}

fn entries(zip: &[u8]) -> Result<BTreeSet<String>, String> {
    let mut zip = zip::ZipArchive::new(Cursor::new(zip)).map_err(|error| error.to_string())?;
    let mut all = BTreeSet::new();
    for place in 0..zip.len() {
        let mut entry = zip.by_index(place).map_err(|error| error.to_string())?;
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        let hash = XxHash64::oneshot(0, &bytes);
        all.insert(format!("{} {} {hash:016x}\n", entry.name(), bytes.len()));
    }
    Ok(all)
}

/// Settings to compare under: a name, the History Server's properties, ours.
pub fn settings() -> Vec<(&'static str, Vec<&'static str>, Limits)> {
    let few = Limits {
        jobs: 6,
        stages: 8,
        tasks: 12,
        dead_executors: 1,
        executions: 4,
    };
    let properties = vec![
        "-Dspark.ui.retainedJobs=6",
        "-Dspark.ui.retainedStages=8",
        "-Dspark.ui.retainedTasks=12",
        "-Dspark.ui.retainedDeadExecutors=1",
        "-Dspark.sql.ui.retainedExecutions=4",
    ];
    vec![
        ("all is kept", Vec::new(), Limits::default()),
        ("little is kept", properties, few),
    ]
}

/// Spark's own History Server.
pub struct Real {
    process: Child,
    port: u16,
}

impl Real {
    /// Starts it; it is there once it lists `expected` attempts.
    pub fn start(spark: &Spark, logs: &Path, properties: &[&str], expected: usize) -> Result<Real, String> {
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|free| free.local_addr())
            .map_err(|error| error.to_string())?
            .port();
        let options = format!(
            "-Dspark.history.ui.port={port} -Dspark.history.ui.host=127.0.0.1 -Dspark.history.fs.logDirectory=file://{} -Dspark.history.fs.update.interval=2s {}",
            logs.display(),
            properties.join(" ")
        );
        let process = spark
            .command(&spark.home.join("bin/spark-class"))
            .env("SPARK_HISTORY_OPTS", options)
            .arg("org.apache.spark.deploy.history.HistoryServer")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| error.to_string())?;
        let real = Real { process, port };
        // It lists logs as it finds them: wait until all are there, and for one it does not list until the list has not grown for long.
        let begin = Instant::now();
        let (mut before, mut grown) = (0, Instant::now());
        loop {
            std::thread::sleep(Duration::from_millis(500));
            let now = real.get("applications").map_or(0, |answered| {
                let listed: Option<Vec<Value>> = serde_json::from_slice(&answered.body).ok();
                listed
                    .unwrap_or_default()
                    .iter()
                    .map(|one| one["attempts"].as_array().map_or(0, Vec::len))
                    .sum()
            });
            if now != before {
                (before, grown) = (now, Instant::now());
            }
            if now >= expected || (now > 0 && grown.elapsed() > Duration::from_secs(60)) {
                return Ok(real);
            }
            if begin.elapsed() > LONGEST {
                return Err("the History Server does not list its applications".to_owned());
            }
        }
    }

    pub fn get(&self, path: &str) -> Result<Answered, String> {
        let failed = |error: std::io::Error| format!("{path}: {error}");
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).map_err(failed)?;
        write!(
            stream,
            "GET /api/v1/{path} HTTP/1.0\r\nHost: localhost\r\nAccept: */*\r\n\r\n"
        )
        .map_err(failed)?;
        let mut all = Vec::new();
        stream.read_to_end(&mut all).map_err(failed)?;
        let end = all
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .ok_or("no headers")?;
        let head = String::from_utf8_lossy(&all[..end]).into_owned();
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .ok_or("no status")?;
        let header = |name: &str| {
            let lines = head.lines().filter_map(|line| line.split_once(':'));
            lines
                .filter(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.trim().to_owned())
                .next()
        };
        Ok(Answered {
            status,
            kind: header("content-type").unwrap_or_default(),
            body: all.split_off(end + 4),
        }
        .listed())
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Ours, over the same logs. That it is to answer as the same Spark it sees from them.
pub fn ours(logs: &Path, limits: Limits) -> Arc<Index> {
    let settings = Settings {
        limits,
        memory: 1 << 30,
        ..Settings::default()
    };
    let index = Index::new(Source::directory(logs), settings, None);
    index.scan().unwrap();
    Arc::new(index)
}

/// Asks ours.
pub fn ask(index: &Arc<Index>, path: &str) -> Answered {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let text = |status, text: String| Answered {
        status,
        kind: "text/plain".to_owned(),
        body: text.into_bytes(),
    };
    match rest::answer(&**index, path, &Query::parse(query)) {
        Ok(Answer::Json(write)) => {
            let mut body = Vec::new();
            let mut sink = |piece: Vec<u8>| {
                body.extend(piece);
                Ok(())
            };
            let mut json = Json::new(&mut sink);
            write(&mut json);
            match json.finish() {
                Ok(()) => Answered {
                    status: 200,
                    kind: "application/json".to_owned(),
                    body,
                },
                Err(error) => Answered {
                    kind: "text/html".to_owned(),
                    ..text(500, error.to_string())
                },
            }
        }
        Ok(Answer::Logs { attempts, .. }) => {
            let mut body = Vec::new();
            zipped(index, &attempts, &mut body).unwrap();
            Answered {
                status: 200,
                kind: ZIP.to_owned(),
                body,
            }
            .listed()
        }
        Err(Failure::NotFound(why)) => text(404, why),
        Err(Failure::Bad(why)) => text(400, why),
        Err(Failure::BadDate(why)) => Answered {
            kind: "application/json".to_owned(),
            ..text(400, why)
        },
        Err(Failure::BadMessage) => Answered {
            status: 400,
            kind: "text/html".to_owned(),
            body: Vec::new(),
        },
        Err(Failure::Unavailable(why)) => text(503, why),
        Err(Failure::NoPage) => Answered {
            status: 404,
            kind: "text/html".to_owned(),
            body: Vec::new(),
        },
        Err(Failure::Broken(why)) => Answered {
            status: 500,
            kind: "text/html".to_owned(),
            body: why.into_bytes(),
        },
    }
}
