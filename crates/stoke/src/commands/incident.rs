//! `stoke incident`: open, note, show, review and close incidents.

use std::io::Read;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::{Value, json};
use stoke_laptop::alerts::Monitors;
use stoke_laptop::incident;
use stoke_laptop::monitoring::addresses;
use stoke_laptop::session::{self, Place, Session};
use stoke_model::units::people::duration;
use stoke_observe::incident::alerts::{Alert, of_alertmanager};
use stoke_observe::incident::timeline::Item;
use stoke_observe::incident::{About, Incident, Line, Severity, review};

use crate::cli::{Context, Target};
use crate::failure::{Failure, Outcome};
use crate::terminal::{Format, Terminal, bold, table};

/// What can be done with incidents.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Open an incident; what happens is collected from then on, and from two hours before
    Open(OpenArguments),
    /// Write something down: what was seen or done, why it happened, that it is repaired, what is to be done
    Note {
        /// Its id
        incident: String,
        /// What to write
        text: String,
        /// What it is about
        #[arg(long, value_enum, default_value = "fact")]
        about: Kind,
    },
    /// Show the time line and the times to detect and to repair
    Show(LookArguments),
    /// Draft the review
    Review(LookArguments),
    /// Close an incident; what the cluster knows of it is kept
    Close {
        #[command(flatten)]
        look: LookArguments,
        /// What to say of its end
        #[arg(long, value_name = "TEXT", default_value = "over")]
        says: String,
    },
    /// List incidents
    List,
}

#[derive(clap::Args)]
pub struct OpenArguments {
    /// What people notice, in one line
    title: String,
    /// How bad it is for those who depend on it
    #[arg(long, value_enum, default_value = "medium")]
    severity: Level,
    /// When people began to be affected, RFC 3339 [default: the first failure that is seen]
    #[arg(long, value_name = "TIME")]
    began: Option<Timestamp>,
    #[command(flatten)]
    target: Target,
}

#[derive(clap::Args)]
pub struct LookArguments {
    /// Its id
    incident: String,
    /// A file with alerts as Alertmanager's /api/v2/alerts gives them; `-` for standard input
    #[arg(long, value_name = "FILE")]
    alerts: Option<PathBuf>,
    /// Ask this Alertmanager for what fires, for example http://localhost:9093 [default: that of `stoke up --observe`]
    #[arg(long, value_name = "URL")]
    alertmanager: Option<String>,
    /// Ask this Prometheus when alerts began and ended, for example http://localhost:9090 [default: that of `stoke up --observe`]
    #[arg(long, value_name = "URL")]
    prometheus: Option<String>,
    /// Context of your kubeconfig, for a cluster other than the incident's
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Level {
    Low,
    Medium,
    High,
}

#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Kind {
    Fact,
    Cause,
    Repaired,
    Next,
}

/// What the embedded cluster is called in an incident.
pub const EMBEDDED: &str = "the embedded cluster";

fn who() -> String {
    std::env::var("USER").unwrap_or_else(|_| "unknown".to_owned())
}

/// Runs the command.
pub async fn run(command: Command, context: &mut Context) -> Outcome<u8> {
    match command {
        Command::Open(arguments) => open(arguments, context).await?,
        Command::Note { incident, text, about } => {
            let about = match about {
                Kind::Fact => About::Fact,
                Kind::Cause => About::Cause,
                Kind::Repaired => About::Repaired,
                Kind::Next => About::Next,
            };
            let line = Line::Noted {
                time: Timestamp::now(),
                who: who(),
                about,
                text,
            };
            incident::add(&context.home, &incident, &line)?;
            match context.terminal.format() {
                Format::Json => context.terminal.json(&line),
                Format::Text => context.terminal.out(format!("written down in {incident}")),
            }
        }
        Command::Show(look) => {
            let (incident, items) = gathered(&look, context).await?;
            show(&incident, &items, &mut context.terminal);
        }
        Command::Review(look) => {
            let (incident, items) = gathered(&look, context).await?;
            let records = incident::records(&context.home, &incident)?;
            let draft = review::draft(&incident, &items, &records);
            match context.terminal.format() {
                Format::Json => context
                    .terminal
                    .json(&json!({"incident": look.incident, "review": draft})),
                Format::Text => context.terminal.out(draft.trim_end()),
            }
        }
        Command::Close { look, says } => close(&look, says, context).await?,
        Command::List => list(context)?,
    }
    Ok(0)
}

async fn open(arguments: OpenArguments, context: &mut Context) -> Outcome<()> {
    let session = reached(&context.home, &arguments.target.cluster()).await?;
    let namespace = match &session {
        Some(session) => session.namespace.clone(),
        None => arguments
            .target
            .namespace
            .clone()
            .unwrap_or_else(|| "default".to_owned()),
    };
    let cluster = match session.as_ref().map(|session| &session.place) {
        Some(Place::Context(name)) => name.clone(),
        _ => EMBEDDED.to_owned(),
    };
    let now = Timestamp::now();
    let chance = (now.subsec_nanosecond() / 1000).unsigned_abs() & 0xfff;
    let id = format!("incident-{}-{chance:03x}", now.strftime("%Y%m%d%H%M%S"));
    let opening = Line::Opened {
        time: now,
        incident: id.clone(),
        title: arguments.title,
        severity: match arguments.severity {
            Level::Low => Severity::Low,
            Level::Medium => Severity::Medium,
            Level::High => Severity::High,
        },
        namespace,
        cluster,
        who: who(),
        began: arguments.began,
    };
    incident::open(&context.home, opening.clone())?;
    match context.terminal.format() {
        Format::Json => context.terminal.json(&opening),
        Format::Text => context.terminal.out(id),
    }
    Ok(())
}

/// The cluster, when it can be reached: an incident may be that it cannot.
async fn reached(home: &stoke_laptop::home::Home, target: &session::Target) -> Outcome<Option<Session>> {
    match session::open(home, target).await {
        Ok(session) => Ok(Some(session)),
        Err(failure) if failure.diagnostic.code == "stoke::context::unknown" => Err(failure.into()),
        Err(_) => Ok(None),
    }
}

/// An incident and everything that is known of its time.
async fn gathered(look: &LookArguments, context: &mut Context) -> Outcome<(Incident, Vec<Item>)> {
    let incident = incident::read(&context.home, &look.incident)?;
    let alerts = alerts(look, &incident, context).await?;
    let opening = incident.opening();
    let of_incident = opening
        .map(|opening| opening.cluster.to_owned())
        .filter(|cluster| cluster != EMBEDDED && !cluster.contains(' '));
    let target = session::Target {
        context: look.context.clone().or(of_incident),
        namespace: opening.map(|opening| opening.namespace.to_owned()),
    };
    let session = reached(&context.home, &target).await?;
    if session.is_none() {
        context
            .terminal
            .note("note: the cluster cannot be reached; this is what was kept");
    }
    let (items, notes) = incident::items(session.as_ref(), &context.home, &incident, alerts).await?;
    for note in notes {
        context.terminal.note(format!("note: {note}"));
    }
    Ok((incident, items))
}

/// Alerts of the file that was given and of those who were named; else of the monitoring that runs beside the embedded cluster.
async fn alerts(look: &LookArguments, incident: &Incident, context: &mut Context) -> Outcome<Vec<Alert>> {
    let mut alerts = look.alerts.as_deref().map(of_file).transpose()?.unwrap_or_default();
    let named = Monitors {
        alertmanager: look.alertmanager.clone(),
        prometheus: look.prometheus.clone(),
    };
    let is_embedded = incident.opening().is_some_and(|opening| opening.cluster == EMBEDDED);
    let beside = addresses(&context.home.default_cluster()).filter(|_| is_embedded && look.context.is_none());
    match beside {
        Some((prometheus, alertmanager)) if named == Monitors::default() && look.alerts.is_none() => {
            let beside = Monitors {
                alertmanager: Some(alertmanager),
                prometheus: Some(prometheus),
            };
            // It was not asked for: an incident may be that it does not answer.
            match incident::alerts(&beside, incident).await {
                Ok(found) => alerts.extend(found),
                Err(why) => context.terminal.note(format!("note: alerts cannot be seen: {why}")),
            }
        }
        _ => alerts.extend(incident::alerts(&named, incident).await?),
    }
    Ok(alerts)
}

/// Alerts of a file.
fn of_file(path: &Path) -> Outcome<Vec<Alert>> {
    let wrong = |error: &dyn std::fmt::Display| {
        Failure::input(
            "stoke::incident::alerts",
            format!("--alerts {}: {error}", path.display()),
        )
        .fix("give what Alertmanager answers at /api/v2/alerts: a list of alerts")
    };
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin()
            .read_to_string(&mut text)
            .map_err(|error| wrong(&error))?;
    } else {
        text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
    }
    let list: Vec<Value> = serde_json::from_str(&text).map_err(|error| wrong(&error))?;
    of_alertmanager(&list).map_err(|at| wrong(&format!("the alert {at} of {} is not one", list.len())))
}

async fn close(look: &LookArguments, says: String, context: &mut Context) -> Outcome<()> {
    let (incident, items) = gathered(look, context).await?;
    if let Some((time, _)) = incident.closing() {
        return Err(Failure::input(
            "stoke::incident::closed",
            format!("incident {} was closed at {time}", look.incident),
        )
        .fix("open another; `stoke incident review` still drafts its review"));
    }
    let time = Timestamp::now();
    incident::add(&context.home, &look.incident, &Line::Collected { time, items })?;
    incident::add(&context.home, &look.incident, &Line::Closed { time, who: who(), says })?;
    let closed = incident::read(&context.home, &look.incident)?;
    show(&closed, closed.collected(), &mut context.terminal);
    Ok(())
}

fn show(incident: &Incident, items: &[Item], terminal: &mut Terminal) {
    let times = incident.times(items);
    if terminal.format() == Format::Json {
        let lines: Vec<&Line> = incident
            .lines
            .iter()
            .filter(|line| !matches!(line, Line::Collected { .. }))
            .collect();
        return terminal.json(&json!({"lines": lines, "times": times, "items": items}));
    }
    if let (Some(opening), Some(times)) = (incident.opening(), times) {
        let long = |seconds: i64| duration(seconds.unsigned_abs().saturating_mul(1000));
        terminal.out(format!(
            "{} ({}, {})",
            bold(opening.title),
            opening.incident,
            opening.severity.word()
        ));
        let repaired = times.to_repair.map_or_else(
            || "not repaired yet".to_owned(),
            |seconds| format!("repaired after {}", long(seconds)),
        );
        terminal.out(format!(
            "began {}, detected after {}, {repaired}",
            times.began.strftime("%Y-%m-%d %H:%M:%S"),
            long(times.to_detect)
        ));
    }
    let mut rows = Vec::new();
    for item in items {
        let time = item.time.strftime("%H:%M:%S").to_string();
        rows.push(vec![
            time,
            item.source.word().to_owned(),
            item.about.clone(),
            item.text.clone(),
        ]);
    }
    for line in table(&rows) {
        terminal.out(line);
    }
}

fn list(context: &mut Context) -> Outcome<()> {
    let all = incident::all(&context.home)?;
    if context.terminal.format() == Format::Json {
        let all: Vec<Value> = all
            .iter()
            .map(|incident| json!({"opened": incident.lines.first(), "closed": incident.closing().map(|(time, _)| time), "times": incident.times(incident.collected())}))
            .collect();
        context.terminal.json(&json!({ "incidents": all }));
        return Ok(());
    }
    if all.is_empty() {
        context
            .terminal
            .note("no incident was opened here yet; `stoke incident open TITLE` opens one");
        return Ok(());
    }
    let mut rows = vec![["INCIDENT", "SEVERITY", "STATE", "TITLE"].map(str::to_owned).to_vec()];
    for incident in &all {
        let Some(opening) = incident.opening() else {
            continue;
        };
        let state = if incident.closing().is_some() { "closed" } else { "open" };
        rows.push(
            [opening.incident, opening.severity.word(), state, opening.title]
                .map(str::to_owned)
                .to_vec(),
        );
    }
    for line in table(&rows) {
        context.terminal.out(line);
    }
    Ok(())
}
