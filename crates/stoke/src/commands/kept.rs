//! Logs that outlived their pods: found in the place they are kept at, printed as they were logged.

use std::collections::VecDeque;
use std::io::Write;

use stoke_model::crd::SparkApplication;
use stoke_operator::logs::{self, Kept};
use stoke_operator::names::trace_id;
use stoke_storage::{Address, Cloud, Place};

use crate::failure::{Failure, Outcome};
use crate::home::Home;
use crate::object_store;
use crate::session::{self, Session};
use crate::terminal::Terminal;

/// What is looked for.
pub struct Wanted<'a> {
    /// Name of the application.
    pub application: &'a str,
    /// The application, while it is there.
    pub object: Option<&'a SparkApplication>,
    /// Which attempt; the last when none is named.
    pub attempt: Option<u32>,
    /// URL of the place; what the application or the cluster says when none is named.
    pub place: Option<&'a str>,
}

/// All logs kept of one run, the driver's first. Empty when there are none.
pub async fn find(session: &Session, wanted: &Wanted<'_>, home: &Home) -> Outcome<(Option<Place>, Vec<Kept>)> {
    let Some(place) = place(session, wanted, home).await? else {
        return Ok((None, Vec::new()));
    };
    let all = logs::list(&place, &session.namespace, wanted.application).await;
    let mut all = all.map_err(|error| Failure::environment(error.code(), error))?;
    if let Some(attempt) = wanted.attempt {
        all.retain(|kept| kept.attempt() == Some(attempt));
    }
    // Its last run, while the application says which that is; else the run that was stored last.
    let status = wanted.object.and_then(|object| object.status.as_ref());
    let last = status.and_then(|status| status.submission_id.as_deref()).map(trace_id);
    let of_last = |kept: &&Kept| last.as_ref().is_some_and(|id| kept.run.ends_with(id.as_str()));
    let run = all.iter().rfind(of_last).or(all.last()).map(|kept| kept.run.clone());
    all.retain(|kept| Some(&kept.run) == run.as_ref());
    // The shortest name is that of Spark's own container.
    all.sort_by_key(|kept| (executor(kept), kept.file.len(), kept.file.clone()));
    Ok((Some(place), all))
}

/// The id of the executor whose log it is; none for the driver's.
pub fn executor(kept: &Kept) -> Option<u32> {
    let (_, id) = kept.file.rsplit_once("-exec-")?;
    id.split('.').next()?.parse().ok()
}

/// Prints a kept log, or its last lines.
pub async fn print(place: &Place, kept: &Kept, tail: Option<i64>, terminal: &mut Terminal) -> Outcome<()> {
    terminal.note(format!(
        "kept log {} of attempt {}, stored {} at {}",
        kept.file,
        kept.attempt().unwrap_or_default(),
        kept.stored_at,
        place.url()
    ));
    let last = tail.map(|lines| usize::try_from(lines).unwrap_or_default());
    let mut lines = Lines {
        terminal,
        begun: Vec::new(),
        last,
        held: VecDeque::new(),
    };
    let read = logs::read(place, kept, &mut lines).await;
    lines.end();
    read.map_err(|error| Failure::environment(error.code(), error))
}

/// Where logs of this cluster's applications are kept.
async fn place(session: &Session, wanted: &Wanted<'_>, home: &Home) -> Outcome<Option<Place>> {
    let told = wanted
        .object
        .and_then(|object| object.status.as_ref()?.kept_logs.as_deref());
    // Namespace, application and run are below it.
    let told = told.and_then(|url| url.rsplitn(4, '/').nth(3));
    let embedded = matches!(session.place, session::Place::Up | session::Place::Private(_));
    let url = match (wanted.place, told) {
        (Some(url), _) | (None, Some(url)) => url,
        (None, None) if embedded => object_store::LOGS,
        (None, None) => return Ok(None),
    };
    let address = Address::of_url(url).map_err(|error| Failure::input(error.code(), error))?;
    let of_aws = matches!(address.bucket(), Some((Cloud::Aws, ..)));
    let access = object_store::reach(home, embedded && of_aws).await?;
    let place = stoke_storage::open(&address, &access).map_err(|error| Failure::input(error.code(), error))?;
    Ok(Some(place))
}

/// Lines to the terminal as they become whole.
struct Lines<'a> {
    terminal: &'a mut Terminal,
    begun: Vec<u8>,
    last: Option<usize>,
    held: VecDeque<String>,
}

impl Lines<'_> {
    fn line(&mut self) {
        let line = String::from_utf8_lossy(&self.begun).into_owned();
        self.begun.clear();
        match self.last {
            None => self.terminal.out(line),
            Some(most) => {
                self.held.push_back(line);
                if self.held.len() > most {
                    self.held.pop_front();
                }
            }
        }
    }

    fn end(&mut self) {
        if !self.begun.is_empty() {
            self.line();
        }
        for line in std::mem::take(&mut self.held) {
            self.terminal.out(line);
        }
    }
}

impl Write for Lines<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        for byte in bytes {
            match byte {
                b'\n' => self.line(),
                byte => self.begun.push(*byte),
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
