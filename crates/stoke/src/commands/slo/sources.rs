//! Where runs come from.

use std::path::PathBuf;

use stoke_laptop::event_logs;
use stoke_laptop::gather::outcomes::{self, Found, Reader, Wanted};
use stoke_laptop::home::Home;
use stoke_laptop::session;
use stoke_observe::slo::objective::{Kind, Measure, Objective};
use stoke_observe::slo::runs::{Attempt, read_lines};

use crate::cli::{Context, Target};
use crate::commands::cost::read_prices;
use crate::failure::{Failure, Outcome};
use crate::terminal::Terminal;

/// Notes that are shown one by one; what is beyond is counted.
const NOTES: usize = 5;

/// Where runs come from; several are put together.
#[derive(clap::Args, Clone)]
pub struct Sources {
    /// Where the event logs are: a directory, `file:///directory`, `s3://…`, `gs://…` or `abfss://…` [default: those of this machine]
    #[arg(long, value_name = "PLACE")]
    history: Option<String>,
    /// A file with runs, a JSON object on each line, as `stoke slo runs` prints it; event logs are read only when --history names them
    #[arg(long, value_name = "FILE")]
    runs: Option<PathBuf>,
    /// Count an end without an exit code as a success: Spark before 4.1 writes none
    #[arg(long)]
    ended_is_success: bool,
    /// The price table for objectives of cost, YAML or JSON
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    #[command(flatten)]
    target: Target,
}

/// Whether a log must be read as a whole.
pub fn needs_details(objectives: &[Objective]) -> bool {
    let needs = |objective: &Objective| match &objective.kind {
        Kind::Batch(batch) => matches!(batch.measure, Measure::Cost { .. } | Measure::Efficiency { .. }),
        Kind::Service(_) => false,
    };
    objectives.iter().any(needs)
}

/// Opened sources, which can be read again and again.
pub struct Open {
    logs: Option<Reader>,
    file: Option<PathBuf>,
    cluster: Option<session::Target>,
    home: Home,
}

impl Sources {
    /// Opens them.
    pub async fn open(&self, context: &Context, details: bool) -> Outcome<Open> {
        let prices = self.prices.as_deref().map(read_prices).transpose()?;
        let home = &context.home;
        let asks_cluster = self.target.context.is_some() || self.target.namespace.is_some();
        let own = event_logs::directory(home);
        let place = match (&self.history, &self.runs) {
            (Some(place), _) => Some(place.clone()),
            (None, None) if !asks_cluster && own.is_dir() => Some(own.display().to_string()),
            _ => None,
        };
        let wanted = Wanted {
            details,
            prices,
            ended_is_success: self.ended_is_success,
        };
        let logs = match place {
            Some(place) => Some(Reader::new(event_logs::source(&place, home).await?, wanted)),
            None => None,
        };
        if logs.is_none() && self.runs.is_none() && !asks_cluster {
            return Err(Failure::input(
                "stoke::slo::no-source",
                "there are no runs to judge by: this machine has no event logs",
            )
            .fix("name event logs with --history, a file with --runs, or a cluster with --context"));
        }
        Ok(Open {
            logs,
            file: self.runs.clone(),
            cluster: asks_cluster.then(|| self.target.cluster()),
            home: home.clone(),
        })
    }
}

impl Open {
    /// All attempts of all sources.
    pub async fn read(&mut self, now: i64) -> Outcome<Found> {
        let mut found = Found::default();
        if let Some(mut logs) = self.logs.take() {
            let reading = tokio::task::spawn_blocking(move || {
                let found = logs.read(now);
                (logs, found)
            });
            let (logs, read) = reading
                .await
                .map_err(|error| Failure::environment("stoke::slo::ended", error))?;
            self.logs = Some(logs);
            found = read.map_err(|error| Failure::environment(error.code(), error))?;
        }
        if let Some(target) = &self.cluster {
            let cluster = outcomes::of_cluster(target, &self.home).await?;
            found.attempts = outcomes::together(found.attempts, cluster);
        }
        if let Some(file) = self.file.clone() {
            let reading = tokio::task::spawn_blocking(move || of_file(&file));
            let attempts = reading
                .await
                .map_err(|error| Failure::environment("stoke::slo::ended", error))??;
            found.attempts.extend(attempts);
        }
        Ok(found)
    }
}

fn of_file(file: &PathBuf) -> Outcome<Vec<Attempt>> {
    let name = file.display();
    let refused = |why: String| {
        Failure::input("stoke::slo::runs", why).fix("write a JSON object on each line, as `stoke slo runs` prints it; docs/reference/objectives.md has the fields")
    };
    let text = std::fs::read_to_string(file).map_err(|error| refused(format!("--runs {name}: {error}")))?;
    read_lines(&text).map_err(|(line, why)| refused(format!("--runs {name}:{line}: {why}")))
}

/// What could not be read.
pub fn note(notes: &[String], terminal: &mut Terminal) {
    for note in notes.iter().take(NOTES) {
        terminal.note(format!("note: {note}"));
    }
    if notes.len() > NOTES {
        terminal.note(format!("note: and {} more", notes.len() - NOTES));
    }
}
