//! Facts of a run for `stoke doctor` and its kin, gathered from where they are: a cluster, an event log, a bundle, what
//! was kept of a run whose cluster is gone.
//!
//! In: what the user asks about. Out: [`Gathered`], everything that could be had, with notes about what could not. Nothing is decided
//! here; that is the room `insight`.

pub mod bundle;
mod event_log;
pub mod kept;
mod objects;
pub mod outcomes;
pub mod runs;
mod written;

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::ResourceExt;
use serde_json::Value;
use stoke_diagnostics::Diagnostic;
use stoke_eventlog::{Log as EventLog, Options, Source};
use stoke_insight::doctor::examine;
use stoke_insight::facts::{Cluster, Facts, Log, Objects, Run, collect};
use stoke_model::crd::SparkApplication;
use stoke_model::names;
use stoke_model::units::people::counted;

use crate::error::{LaptopError, Outcome};
use crate::home::Home;
use crate::session::{self, Place, Session, Target};

/// Everything that could be had about one run.
pub struct Gathered {
    /// The application's name, or Spark's id of a run no one named.
    pub name: String,
    /// Kubernetes objects; none when there was no cluster to ask.
    pub objects: Option<Objects>,
    /// Logs of containers.
    pub logs: Vec<Log>,
    pub event_log: Option<(Source, EventLog)>,
    /// What could not be had and why, for people.
    pub notes: Vec<String>,
    /// When this was gathered.
    pub now: Timestamp,
}

impl Gathered {
    fn new(name: impl Into<String>) -> Gathered {
        Gathered {
            name: name.into(),
            objects: None,
            logs: Vec::new(),
            event_log: None,
            notes: Vec::new(),
            now: Timestamp::now(),
        }
    }

    /// Spark's id of the application; empty when the cluster did not tell it.
    pub fn id(&self) -> String {
        let application = self.objects.as_ref().map(|objects| &objects.application);
        application.map_or_else(String::new, |application| {
            text(&application["status"]["sparkApplicationId"])
        })
    }

    /// Reads the event log and puts everything together.
    ///
    /// # Errors
    /// When a file of the event log cannot be opened.
    pub async fn facts(&self) -> Outcome<Facts> {
        let run = match &self.event_log {
            Some((source, log)) => Some(events(read(source.clone(), log.clone()).await?, &log.path)?),
            None => None,
        };
        Ok(Facts {
            run,
            cluster: self.objects.clone().map(Cluster::of_objects),
            logs: self.logs.clone(),
            now: self.now.as_millisecond(),
        })
    }
}

/// A run of whose log anything could be read.
fn events(run: Run, log: &str) -> Outcome<Run> {
    match run.reading.events == 0 && run.reading.bad_lines > 0 {
        true => Err(LaptopError::input(
            "stoke::event-log::no-events",
            format!("{log} is not an event log: it has {}, none of them an event of Spark", counted(run.reading.bad_lines, "line")),
        )
        .fix("name the file Spark wrote below spark.eventLog.dir; a compressed one keeps the end of its name (.zstd, .lz4, .snappy, .lzf)")),
        false => Ok(run),
    }
}

/// Reads an event log on threads that may wait.
///
/// # Errors
/// When a file of it cannot be opened.
pub async fn read(source: Source, log: EventLog) -> Outcome<Run> {
    let reading = tokio::task::spawn_blocking(move || collect::run(&source, &log, Options::default()));
    match reading.await {
        Ok(Ok(run)) => Ok(run),
        Ok(Err(error)) => Err(LaptopError::environment(error.code(), error)),
        Err(error) => Err(LaptopError::environment("stoke::gather::ended", error)),
    }
}

/// What a cluster has about an application; none when it has no such application.
///
/// # Errors
/// When the cluster cannot be asked.
pub async fn of_cluster(session: &Session, name: &str, home: &Home) -> Outcome<Option<Gathered>> {
    of_namespace(session, &session.namespace, name, home).await
}

/// What a cluster has about an application of this namespace; none when it has no such application.
///
/// # Errors
/// When the cluster cannot be asked.
pub async fn of_namespace(session: &Session, namespace: &str, name: &str, home: &Home) -> Outcome<Option<Gathered>> {
    let Some(objects) = objects::all(session, namespace, name).await? else {
        return Ok(None);
    };
    let mut gathered = Gathered::new(name);
    gathered.notes = objects.notes;
    gathered.logs = written::logs(session, namespace, &objects.found, home, &mut gathered.notes).await?;
    gathered.event_log = event_log::of_application(session, &objects.found, home, &mut gathered.notes).await?;
    gathered.objects = Some(objects.found);
    Ok(Some(gathered))
}

/// An application by its name: as the cluster has it, else as its event log on this machine has it.
///
/// # Errors
/// When there is no such application, or what there is cannot be read.
pub async fn by_name(name: &str, target: &Target, home: &Home) -> Outcome<Gathered> {
    let session = match session::open(home, target).await {
        Ok(session) => Some(session),
        // Event logs outlive their cluster.
        Err(failure) if failure.diagnostic.code == "stoke::cluster::not-running" => None,
        Err(failure) => return Err(failure),
    };
    if let Some(session) = &session
        && let Some(gathered) = of_cluster(session, name, home).await?
    {
        return Ok(gathered);
    }
    if target.context.is_none()
        && let Some(gathered) = of_this_machine(home, name).await?
    {
        return Ok(gathered);
    }
    let place = match &session {
        Some(session) => format!(
            "in namespace {} and among the event logs of this machine",
            session.namespace
        ),
        None => "among the event logs of this machine, and the embedded cluster is not running".to_owned(),
    };
    Err(LaptopError::input(
        "stoke::application::not-found",
        format!("no application `{name}` {place}"),
    )
    .fix("`stoke ps -A` lists those of a cluster; --event-log reads an event log, --bundle a bundle"))
}

/// A run that is over and its cluster with it: what was kept of it, its event log, or the one of the two that is newer when they are of different runs.
async fn of_this_machine(home: &Home, name: &str) -> Outcome<Option<Gathered>> {
    let kept = runs::find(home, name).await;
    let event_log = event_log::of_this_machine(home, name).await?;
    Ok(match (kept, event_log) {
        (Some(mut kept), Some((source, log))) if event_log::is_of(&log.path, &kept.id()) => {
            kept.event_log = Some((source, log));
            Some(kept)
        }
        (Some(kept), Some((_, log))) if log.modified() <= kept.now.as_millisecond() => Some(kept),
        (_, Some(found)) => {
            let mut gathered = Gathered::new(name);
            gathered.event_log = Some(found);
            gathered
                .notes
                .push("from its event log alone: no cluster has this application any more".to_owned());
            Some(gathered)
        }
        (kept, None) => kept,
    })
}

/// The applications a cluster still has, by Spark's ids, with the pods and claims that are left of them; none when there is no cluster, or when they may not be seen.
pub async fn applications(home: &Home, target: &Target) -> BTreeMap<String, Cluster> {
    let Ok(session) = session::open(home, target).await else {
        return BTreeMap::new();
    };
    let pods = format!("/api/v1/pods?labelSelector={}", names::LABEL_SPARK_APP_SELECTOR);
    let (applications, pods, claims, nodes) = tokio::join!(
        objects::list(&session, "/apis/sparkoperator.k8s.io/v1beta2/sparkapplications"),
        objects::list(&session, &pods),
        objects::list(&session, "/api/v1/persistentvolumeclaims"),
        objects::list(&session, "/api/v1/nodes"),
    );
    let (pods, claims, nodes) = (
        pods.unwrap_or_default(),
        claims.unwrap_or_default(),
        nodes.unwrap_or_default(),
    );
    let known = |application: Value| {
        let id = text(&application["status"]["sparkApplicationId"]);
        let of_it = |pod: &&Value| pod["metadata"]["labels"][names::LABEL_SPARK_APP_SELECTOR] == id;
        let namespace = &application["metadata"]["namespace"];
        let beside = |claim: &&Value| claim["metadata"]["namespace"] == *namespace;
        let objects = Objects {
            pods: pods.iter().filter(of_it).cloned().collect(),
            claims: claims.iter().filter(beside).cloned().collect(),
            nodes: nodes.clone(),
            application,
            ..Objects::default()
        };
        (id, Cluster::of_objects(objects))
    };
    applications.unwrap_or_default().into_iter().map(known).collect()
}

/// A run by its event log alone.
///
/// # Errors
/// When there is no event log there.
pub async fn of_event_log(place: &str, home: &Home) -> Outcome<Gathered> {
    let (source, log) = event_log::at_path(place, home).await?;
    let mut gathered = Gathered::new(log.path.clone());
    gathered.event_log = Some((source, log));
    Ok(gathered)
}

/// What the doctor finds about an application that has ended. What was seen of it is kept when its cluster ends with it. What cannot be had is left out: the
/// run has its result all the same.
pub async fn findings(session: &Session, application: &SparkApplication, home: &Home) -> Vec<Diagnostic> {
    let namespace = application.namespace().unwrap_or_else(|| session.namespace.clone());
    let gathered = of_namespace(session, &namespace, &application.name_any(), home).await;
    let Ok(Some(gathered)) = gathered else {
        return Vec::new();
    };
    let Ok(facts) = gathered.facts().await else {
        return Vec::new();
    };
    let findings = examine(&facts);
    if matches!(session.place, Place::Private(_))
        && let Err(failure) = runs::keep(gathered, home).await
    {
        tracing::warn!(
            error = failure.diagnostic.message,
            "what `stoke doctor` needs of this run could not be kept"
        );
    }
    findings
}

/// A text of an object, empty when it is not there.
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
