//! Incidents as files of this machine, and what a cluster knows of their time.
//!
//! `<home>/incidents/<id>.jsonl`: one line for each thing that was written, on the disk before the command ends.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use stoke_observe::incident::alerts::Alert;
use stoke_observe::incident::timeline::{Item, Sources, collect};
use stoke_observe::incident::{Incident, Line};
use stoke_observe::runbook::{Kind, Record};

use crate::alerts::Monitors;
use crate::error::{LaptopError, Outcome};
use crate::home::{Home, create_private};
use crate::runbook::{api, journal};
use crate::session::Session;

/// How long before its opening things are collected.
const BEFORE: SignedDuration = SignedDuration::from_hours(2);

/// Where incidents are.
#[must_use]
pub fn directory(home: &Home) -> PathBuf {
    home.root().join("incidents")
}

fn failed(path: &Path, error: impl std::fmt::Display) -> LaptopError {
    LaptopError::environment("stoke::incident::file", format!("{}: {error}", path.display()))
}

fn path(home: &Home, id: &str) -> Outcome<PathBuf> {
    let is_name = !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    match is_name {
        true => Ok(directory(home).join(format!("{id}.jsonl"))),
        false => Err(unknown(id)),
    }
}

fn unknown(id: &str) -> LaptopError {
    LaptopError::input("stoke::incident::unknown", format!("there is no incident {id}"))
        .fix("`stoke incident list` lists those there are")
}

fn parse(path: &Path) -> Outcome<Incident> {
    let text = std::fs::read_to_string(path).map_err(|error| failed(path, error))?;
    Incident::parse(&text).map_err(|line| failed(path, format!("line {line} is not one of an incident")))
}

/// Opens an incident; one that is there already stays as it is. Says whether it is new.
///
/// # Errors
/// It cannot be written.
pub fn open(home: &Home, opening: Line) -> Outcome<bool> {
    let Line::Opened { incident, .. } = &opening else {
        return Err(LaptopError::input(
            "stoke::incident::file",
            "an incident begins with its opening",
        ));
    };
    let path = path(home, incident)?;
    if path.is_file() && parse(&path)?.opening().is_some() {
        return Ok(false);
    }
    create_private(&directory(home))?;
    append(&path, &opening)?;
    Ok(true)
}

/// Adds a line to an incident.
///
/// # Errors
/// There is none of that id, or it cannot be written.
pub fn add(home: &Home, id: &str, line: &Line) -> Outcome<()> {
    let path = path(home, id)?;
    if !path.is_file() {
        return Err(unknown(id));
    }
    append(&path, line)
}

fn append(path: &Path, line: &Line) -> Outcome<()> {
    let text = serde_json::to_string(line).map_err(|error| failed(path, error))? + "\n";
    let file = OpenOptions::new().create(true).append(true).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_data()));
    written.map_err(|error| failed(path, error))
}

/// An incident.
///
/// # Errors
/// There is none of that id, or it cannot be read.
pub fn read(home: &Home, id: &str) -> Outcome<Incident> {
    let path = path(home, id)?;
    match path.is_file() {
        true => parse(&path),
        false => Err(unknown(id)),
    }
}

/// All incidents, the last first.
///
/// # Errors
/// One of them cannot be read.
pub fn all(home: &Home) -> Outcome<Vec<Incident>> {
    let entries = std::fs::read_dir(directory(home)).into_iter().flatten().flatten();
    let files = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "jsonl"));
    let mut all = files.map(|path| parse(&path)).collect::<Outcome<Vec<_>>>()?;
    all.retain(|incident| incident.opening().is_some());
    all.sort_by_key(|incident| std::cmp::Reverse(incident.opening().map(|opening| opening.time)));
    Ok(all)
}

/// Records of runbooks that were opened in the time of an incident.
///
/// # Errors
/// One of them cannot be read.
pub fn records(home: &Home, incident: &Incident) -> Outcome<Vec<Record>> {
    let (from, until) = window(incident);
    let mut records = journal::all(home)?;
    records.retain(|record| record.opened().is_some_and(|at| from <= at && at <= until));
    records.reverse();
    Ok(records)
}

/// The time that is looked at: from two hours before people were affected until it was closed.
fn window(incident: &Incident) -> (Timestamp, Timestamp) {
    let opening = incident.opening();
    let begun = opening.map_or(Timestamp::UNIX_EPOCH, |opening| {
        opening.began.unwrap_or(opening.time).min(opening.time)
    });
    let until = incident.closing().map_or_else(Timestamp::now, |(time, _)| time);
    (begun.saturating_sub(BEFORE).unwrap_or(begun), until)
}

/// Alerts of the time of an incident, as monitoring has them.
///
/// # Errors
/// One that is asked does not answer.
pub async fn alerts(monitors: &Monitors, incident: &Incident) -> Outcome<Vec<Alert>> {
    let (from, until) = window(incident);
    monitors.alerts(from, until).await
}

/// What is known of the time of an incident: what was collected before, and what the cluster says now. What cannot be had is said.
///
/// # Errors
/// Records of runbooks cannot be read.
pub async fn items(
    session: Option<&Session>,
    home: &Home,
    incident: &Incident,
    alerts: Vec<Alert>,
) -> Outcome<(Vec<Item>, Vec<String>)> {
    let mut sources = Sources {
        alerts,
        records: records(home, incident)?,
        ..Sources::default()
    };
    let mut notes = Vec::new();
    let namespace = incident
        .opening()
        .map(|opening| opening.namespace.to_owned())
        .unwrap_or_default();
    if let Some(session) = session {
        sources.events = objects(session, &namespace, Kind::Event, &mut notes).await;
        sources.applications = objects(session, &namespace, Kind::SparkApplication, &mut notes).await;
        let others = [
            Kind::ScheduledSparkApplication,
            Kind::SparkConnect,
            Kind::Deployment,
            Kind::StatefulSet,
        ];
        for kind in others {
            sources
                .changed
                .extend(objects(session, &namespace, kind, &mut notes).await);
        }
        sources.changed.extend(sources.applications.iter().cloned());
    }
    let (from, until) = window(incident);
    let mut items = collect(incident, &sources, from, until);
    // What was collected then may be gone from the cluster now.
    let old: Vec<Item> = incident
        .collected()
        .iter()
        .filter(|item| !items.contains(item))
        .cloned()
        .collect();
    items.extend(old);
    items.sort_by_key(|item| item.time);
    Ok((items, notes))
}

/// Objects of a kind; none and a note when they cannot be seen.
async fn objects(session: &Session, namespace: &str, kind: Kind, notes: &mut Vec<String>) -> Vec<Value> {
    match api::list(&session.client, &api::collection(kind, namespace)).await {
        Ok(mut objects) => {
            for object in &mut objects {
                // Objects of a list do not say what they are.
                object["kind"] = format!("{kind:?}").into();
            }
            objects
        }
        Err(why) => {
            notes.push(format!("{}s cannot be seen: {why}", kind.words()));
            Vec::new()
        }
    }
}
