//! Which event log is an application's, and where.

use std::cmp::Reverse;
use std::io::{BufRead, BufReader};

use serde_json::Value;
use stoke_eventlog::event::{Line, parse};
use stoke_eventlog::{Event, Log, Source, StorageError};
use stoke_insight::facts::Objects;
use stoke_model::names;
use stoke_storage::{Access, Address, keys};
use tokio::runtime::Handle;

use super::text;
use crate::error::{LaptopError, Outcome};
use crate::event_logs;
use crate::home::Home;
use crate::object_store;
use crate::session::{Place, Session};

/// Lists logs on a thread that may wait, and picks one.
async fn pick(
    source: &Source,
    choose: impl FnOnce(&Source, Vec<Log>) -> Result<Option<Log>, StorageError> + Send + 'static,
) -> Outcome<Option<Log>> {
    let source = source.clone();
    let picking = tokio::task::spawn_blocking(move || {
        let logs = source.logs()?;
        choose(&source, logs)
    });
    match picking.await {
        Ok(picked) => picked.map_err(|error| LaptopError::environment(error.code(), error)),
        Err(error) => Err(LaptopError::environment("stoke::gather::ended", error)),
    }
}

/// Whether a log's name is that of the application with this id.
pub fn is_of(path: &str, id: &str) -> bool {
    let name = path.strip_prefix("eventlog_v2_").unwrap_or(path);
    name.strip_prefix(id)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['_', '.']))
}

/// The log of the application these objects are about, as far as its manifest says where that is.
pub async fn of_application(
    session: &Session,
    objects: &Objects,
    home: &Home,
    notes: &mut Vec<String>,
) -> Outcome<Option<(Source, Log)>> {
    let conf = &objects.application["spec"]["sparkConf"];
    let id = text(&objects.application["status"]["sparkApplicationId"]);
    if id.is_empty() {
        return Ok(None);
    }
    let embedded = !matches!(session.place, Place::Context(_));
    let says_something = conf
        .as_object()
        .is_some_and(|conf| conf.keys().any(|key| key.starts_with("spark.eventLog.")));
    let directory = match (says_something, embedded) {
        (false, true) => event_logs::url(),
        (false, false) => {
            notes.push("it writes no event log: spark.eventLog.enabled is not set".to_owned());
            return Ok(None);
        }
        (true, _) if conf["spark.eventLog.enabled"].as_str() != Some("true") => {
            notes.push("it writes no event log: spark.eventLog.enabled is not true".to_owned());
            return Ok(None);
        }
        (true, _) => text(&conf["spark.eventLog.dir"]),
    };
    let source = if embedded && directory == event_logs::url() {
        Source::directory(event_logs::directory(home))
    } else if let Ok(address) = Address::of_url(&directory)
        && address.bucket().is_some()
    {
        match open(&address, &objects.application["spec"], home, embedded).await? {
            Ok(source) => source,
            Err(error) => {
                notes.push(format!("its event log cannot be read: {error}"));
                return Ok(None);
            }
        }
    } else {
        notes.push(format!(
            "its event log is where only its driver can read it: spark.eventLog.dir is {directory:?}"
        ));
        return Ok(None);
    };
    let wanted = id.clone();
    let picked = pick(&source, move |_, logs| {
        let of = logs.into_iter().filter(|log| is_of(&log.path, &wanted));
        Ok(of.max_by_key(Log::modified))
    })
    .await;
    match picked {
        Ok(Some(log)) => Ok(Some((source, log))),
        Ok(None) => {
            notes.push(format!("there is no event log of {id} at {}", source.place()));
            Ok(None)
        }
        Err(failure) => {
            notes.push(format!("its event log cannot be read: {}", failure.diagnostic.message));
            Ok(None)
        }
    }
}

/// A bucket with event logs, reached as the user's environment says and, where that says nothing, as the application's own keys do; an application of the
/// embedded cluster that names no store writes to the one beside the cluster.
async fn open(address: &Address, spec: &Value, home: &Home, embedded: bool) -> Outcome<Result<Source, StorageError>> {
    let spark = |key: &str| spec["sparkConf"][key].as_str().map(str::to_owned);
    let hadoop = |key: &str| {
        spark(&format!("{}{key}", keys::SPARK)).or_else(|| Some(spec["hadoopConf"][key].as_str()?.to_owned()))
    };
    let of_application = Access::hadoop(Some(address), hadoop);
    let own = embedded && of_application == Access::default();
    let access = object_store::reach(home, own).await?.or(of_application);
    let opened = stoke_storage::open(address, &access);
    Ok(opened.map(|place| Source::objects(place.on(Handle::current()))))
}

/// Lines of a log in which its application's names are: it begins with them.
const FIRST: usize = 50;

/// The names an application goes by: its own, which its program may have chosen, Spark's id, and the manifest's.
fn names_of(source: &Source, log: &Log) -> Result<Vec<String>, StorageError> {
    let mut names = Vec::new();
    let Some(part) = log.parts.first() else {
        return Ok(names);
    };
    let manifests = format!("spark.kubernetes.driver.label.{}", names::LABEL_APP_NAME);
    let lines = BufReader::new(source.text(part, 0)?).lines().map_while(Result::ok);
    for line in lines.take(FIRST) {
        match parse(&line) {
            Ok(Line::Event(Event::ApplicationStart(start))) => {
                names.push(start.name);
                names.extend(start.id);
            }
            Ok(Line::Event(Event::EnvironmentUpdate(environment))) => {
                names.extend(environment.spark.get(&manifests).map(str::to_owned));
            }
            _ => {}
        }
        if names.len() > 2 {
            break;
        }
    }
    Ok(names)
}

/// The newest log on this machine of an application with this name or id.
///
/// # Errors
/// When the directory cannot be listed.
pub async fn of_this_machine(home: &Home, name: &str) -> Outcome<Option<(Source, Log)>> {
    let directory = event_logs::directory(home);
    if !directory.is_dir() {
        return Ok(None);
    }
    let source = Source::directory(directory);
    let name = name.to_owned();
    let picked = pick(&source, move |source, mut logs| {
        logs.sort_by_key(|log| Reverse(log.modified()));
        // A log that is deleted meanwhile belongs to no application.
        let of = |log: &Log| is_of(&log.path, &name) || names_of(source, log).is_ok_and(|names| names.contains(&name));
        Ok(logs.into_iter().find(of))
    })
    .await?;
    Ok(picked.map(|log| (source, log)))
}

/// The log at a path or a URL: a file, a rolling directory, or a file of one.
///
/// # Errors
/// When there is none.
pub async fn at_path(place: &str, home: &Home) -> Outcome<(Source, Log)> {
    let place = place.strip_prefix("file://").unwrap_or(place).trim_end_matches('/');
    let (directory, name) = match place.rsplit_once('/') {
        Some((directory, name)) => (directory, name),
        None => (".", place),
    };
    // A file of a rolling log stands for all of it.
    let (directory, name) = match directory.rsplit_once('/') {
        Some((above, rolling)) if rolling.starts_with("eventlog_v2_") => (above, rolling),
        None if directory.starts_with("eventlog_v2_") => (".", directory),
        _ => (directory, name),
    };
    let directory = if directory.is_empty() { "/" } else { directory };
    let source = event_logs::source(directory, home).await?;
    let wanted = name.to_owned();
    let picked = pick(&source, move |_, logs| {
        Ok(logs.into_iter().find(|log| log.path.trim_end_matches('/') == wanted))
    })
    .await?;
    picked.map(|log| (source, log)).ok_or_else(|| {
        LaptopError::input(
            "stoke::event-log::none",
            format!("--event-log {place}: there is no event log there, or it is empty"),
        )
        .fix("name the file Spark wrote below spark.eventLog.dir, or the directory eventlog_v2_… of a rolling log")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_known_by_its_name() {
        for (path, id, expected) in [
            ("spark-1", "spark-1", true),
            ("spark-1.zstd.inprogress", "spark-1", true),
            ("spark-1_2.lz4", "spark-1", true),
            ("spark-12", "spark-1", false),
            ("eventlog_v2_spark-1", "spark-1", true),
            ("eventlog_v2_spark-1_2", "spark-1", true),
            ("eventlog_v2_spark-12", "spark-1", false),
        ] {
            assert_eq!(is_of(path, id), expected, "{path}");
        }
    }
}
