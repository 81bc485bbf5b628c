//! `stoke slo`: objectives of services and of batch runs.

mod serve;
mod sources;

use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::json;
use stoke_diagnostics::render::{Style, text as rendered};
use stoke_diagnostics::{Diagnostic, has_errors};
use stoke_model::units::people::{counted, short};
use stoke_observe::slo::evidence::{Design, WITHIN, crossing, delay};
use stoke_observe::slo::objective::{Kind, Objective};
use stoke_observe::slo::report::{self, Month};
use stoke_observe::slo::status::{Judge, Status};
use stoke_observe::slo::{PLATFORM, gate, gauges, read, rules, text};

use crate::cli::Context;
use crate::commands::cost::moment;
use crate::failure::{Failure, Outcome};
use crate::terminal::{Format, Terminal, table};
pub use sources::{Sources, needs_details};

/// What can be done with objectives.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Check files of objectives: OpenSLO v1, Sloth
    Check(Files),
    /// Tell how objectives of runs stand: budget, evidence, forecast; with --gate, whether a release may go on
    Status(StatusArguments),
    /// Tell what was kept in a month
    Report(ReportArguments),
    /// Make rules for Prometheus
    Rules(RulesArguments),
    /// Print the gauges of objectives once, in Prometheus' text format
    Gauges(Judged),
    /// Serve the gauges, and handshakes with Connect servers, for Prometheus to scrape
    Serve(serve::Arguments),
    /// Print the runs that were found, a JSON object on each line: what --runs reads
    Runs(RunsArguments),
    /// Tell when a job of so many runs a day would page, and how often falsely
    Design(DesignArguments),
    /// Print objectives of a platform to begin with, in OpenSLO
    Platform,
}

/// Files of objectives.
#[derive(clap::Args)]
pub struct Files {
    /// Files in OpenSLO v1, of Sloth, or Sloth's custom resource
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

/// Objectives, and the runs they are judged by.
#[derive(clap::Args)]
pub struct Judged {
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    sources: Sources,
    /// Judge as of this time: a date, a time (RFC 3339), or days back (`30d`) [default: now]
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    at: Option<Timestamp>,
}

/// Arguments of `stoke slo status`.
#[derive(clap::Args)]
#[command(after_help = "\
With --gate the exit code is 1 when an objective whose policy is `freeze` pages, is overdue, has spent its budget, or has no runs.")]
pub struct StatusArguments {
    #[command(flatten)]
    judged: Judged,
    /// Ask the error-budget policy whether a release may go on
    #[arg(long)]
    gate: bool,
    /// The release is the repair: what speaks against it is shown, and it may go on
    #[arg(long, requires = "gate")]
    repair: bool,
    /// The job is new: it may have no runs yet
    #[arg(long, requires = "gate")]
    allow_no_runs: bool,
}

/// Arguments of `stoke slo report`.
#[derive(clap::Args)]
pub struct ReportArguments {
    #[command(flatten)]
    judged: Judged,
    /// The month, of UTC, for example 2026-10 [default: the last one]
    #[arg(long, value_name = "MONTH", value_parser = month)]
    month: Option<Month>,
}

/// Arguments of `stoke slo rules`.
#[derive(clap::Args)]
pub struct RulesArguments {
    #[command(flatten)]
    files: Files,
    /// Make the PrometheusRule of this name, for the Prometheus operator
    #[arg(long, value_name = "NAME")]
    custom_resource: Option<String>,
}

/// Arguments of `stoke slo runs`.
#[derive(clap::Args)]
pub struct RunsArguments {
    #[command(flatten)]
    sources: Sources,
}

/// Arguments of `stoke slo design`.
#[derive(clap::Args)]
pub struct DesignArguments {
    /// The objective in percent
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    objective: f64,
    /// Runs a day
    #[arg(long, value_name = "N", value_parser = runs_a_day)]
    runs_a_day: f64,
}

fn month(text: &str) -> Result<Month, String> {
    Month::parse(text).ok_or_else(|| "a month is a year and a number, for example 2026-10".to_owned())
}

fn percent(text: &str) -> Result<f64, String> {
    let read = text
        .trim_end_matches('%')
        .parse()
        .ok()
        .filter(|percent| (50.0..100.0).contains(percent));
    read.ok_or_else(|| "a percentage from 50 to below 100, for example 99.5".to_owned())
}

fn runs_a_day(text: &str) -> Result<f64, String> {
    let read = text.parse().ok().filter(|runs| *runs > 0.0 && *runs <= 1440.0);
    read.ok_or_else(|| "a number of runs a day, at most 1440: one each minute".to_owned())
}

/// Runs the command.
pub async fn run(command: Command, context: &mut Context) -> Outcome<u8> {
    match command {
        Command::Check(files) => check(&files, &mut context.terminal),
        Command::Status(arguments) => status(arguments, context).await,
        Command::Report(arguments) => month_report(arguments, context).await,
        Command::Rules(arguments) => make_rules(&arguments, &mut context.terminal),
        Command::Gauges(judged) => {
            let (statuses, now) = judged.statuses(context).await?;
            context.terminal.out(gauges::text(&statuses, now).trim_end());
            Ok(0)
        }
        Command::Serve(arguments) => serve::run(arguments, context).await,
        Command::Runs(arguments) => {
            let mut reader = arguments.sources.open(context, true).await?;
            let found = reader.read(Timestamp::now().as_millisecond()).await?;
            sources::note(&found.notes, &mut context.terminal);
            for attempt in &found.attempts {
                context
                    .terminal
                    .out(serde_json::to_string(attempt).map_err(std::io::Error::from)?);
            }
            Ok(0)
        }
        Command::Design(arguments) => {
            design(&arguments, &mut context.terminal);
            Ok(0)
        }
        Command::Platform => {
            context.terminal.out(PLATFORM.trim_end());
            Ok(0)
        }
    }
}

impl Files {
    /// These.
    pub fn of(files: Vec<PathBuf>) -> Files {
        Files { files }
    }

    fn reading(&self) -> Outcome<read::Reading> {
        let file = |path: &PathBuf| {
            let name = path.display().to_string();
            let text = std::fs::read_to_string(path).map_err(|error| {
                Failure::input("stoke::slo::unreadable", format!("{name}: {error}"))
                    .fix("name a file of objectives; `stoke slo platform` prints one to begin with")
            })?;
            Ok((name, text))
        };
        let files = self.files.iter().map(file).collect::<Outcome<Vec<_>>>()?;
        Ok(read::read(&files))
    }

    /// The objectives, none of which may be wrong: half of a promise is another one.
    pub fn objectives(&self, terminal: &mut Terminal) -> Outcome<Vec<Objective>> {
        let reading = self.reading()?;
        show(&reading.complaints, terminal);
        match has_errors(&reading.complaints) {
            true => Err(Failure::input(
                "stoke::slo::refused",
                "the objectives have errors; nothing was computed",
            )
            .fix("fix what is shown above; `stoke slo check` shows it again")),
            false => Ok(reading.objectives),
        }
    }
}

fn show(complaints: &[Diagnostic], terminal: &mut Terminal) {
    for complaint in complaints {
        terminal.note(rendered(complaint, Style::Coloured));
    }
}

fn check(files: &Files, terminal: &mut Terminal) -> Outcome<u8> {
    let reading = files.reading()?;
    let (_, of_rules) = rules::rules(&reading.objectives);
    let complaints: Vec<Diagnostic> = reading.complaints.into_iter().chain(of_rules).collect();
    let wrong = has_errors(&complaints);
    match terminal.format() {
        Format::Json => terminal.json(&json!({"objectives": reading.objectives.len(), "complaints": complaints})),
        Format::Text => {
            show(&complaints, terminal);
            terminal.out(format!(
                "{}: {}",
                counted(reading.objectives.len(), "objective"),
                if wrong { "there are errors" } else { "no errors" }
            ));
        }
    }
    Ok(if wrong { 1 } else { 0 })
}

impl Judged {
    fn now(&self) -> i64 {
        self.at.unwrap_or_else(Timestamp::now).as_millisecond()
    }

    /// How the objectives of runs stand, and when they were judged.
    async fn statuses(&self, context: &mut Context) -> Outcome<(Vec<Status>, i64)> {
        let objectives = self.files.objectives(&mut context.terminal)?;
        let mut reader = self.sources.open(context, sources::needs_details(&objectives)).await?;
        let now = self.now();
        let found = reader.read(now).await?;
        sources::note(&found.notes, &mut context.terminal);
        Ok((judge(&objectives, &found.attempts, now), now))
    }
}

/// What speaks against a release by the objectives in these files.
pub async fn against(
    files: Vec<PathBuf>,
    sources: &Sources,
    allow_no_runs: bool,
    context: &mut Context,
) -> Outcome<Vec<Diagnostic>> {
    let objectives = Files { files }.objectives(&mut context.terminal)?;
    let mut reader = sources.open(context, sources::needs_details(&objectives)).await?;
    let now = Timestamp::now().as_millisecond();
    let found = reader.read(now).await?;
    sources::note(&found.notes, &mut context.terminal);
    Ok(gate::reasons(&judge(&objectives, &found.attempts, now), allow_no_runs))
}

/// How the objectives of runs stand.
pub fn judge(objectives: &[Objective], attempts: &[stoke_observe::slo::runs::Attempt], now: i64) -> Vec<Status> {
    let mut judge = Judge::default();
    let of = |objective: &Objective| match &objective.kind {
        Kind::Batch(batch) => judge.statuses(objective, batch, attempts, now),
        Kind::Service(_) => Vec::new(),
    };
    objectives.iter().flat_map(of).collect()
}

async fn status(arguments: StatusArguments, context: &mut Context) -> Outcome<u8> {
    let objectives = arguments.judged.files.objectives(&mut context.terminal)?;
    let services = objectives
        .iter()
        .filter(|one| matches!(one.kind, Kind::Service(_)))
        .count();
    let (statuses, _) = arguments.judged.statuses(context).await?;
    let terminal = &mut context.terminal;
    let reasons = match arguments.gate {
        true => gate::reasons(&statuses, arguments.allow_no_runs),
        false => Vec::new(),
    };
    let stops = has_errors(&reasons) && !arguments.repair;
    if terminal.format() == Format::Json {
        let gate = arguments.gate.then(|| json!({"goesOn": !stops, "reasons": reasons}));
        terminal.json(&json!({"gate": gate, "statuses": statuses}));
    } else {
        let mut rows = vec![text::HEADING.map(str::to_owned).to_vec()];
        rows.extend(statuses.iter().map(text::row));
        for line in table(&rows) {
            terminal.out(line);
        }
        for note in statuses.iter().flat_map(text::notes) {
            terminal.out(note);
        }
        if services > 0 {
            terminal.note(format!(
                "{} of services: Prometheus judges them, by the rules of `stoke slo rules`",
                counted(services, "objective")
            ));
        }
        show(&reasons, terminal);
        if arguments.gate {
            let verdict = match (stops, has_errors(&reasons)) {
                (true, _) => "the release stops",
                (false, true) => "the release goes on, as the repair",
                (false, false) => "the release may go on",
            };
            terminal.out(format!("gate: {verdict}"));
        }
    }
    Ok(u8::from(stops))
}

async fn month_report(arguments: ReportArguments, context: &mut Context) -> Outcome<u8> {
    let judged = &arguments.judged;
    let objectives = judged.files.objectives(&mut context.terminal)?;
    let mut reader = judged
        .sources
        .open(context, sources::needs_details(&objectives))
        .await?;
    let now = judged.now();
    let month = arguments
        .month
        .unwrap_or_else(|| Month::before(judged.at.unwrap_or_else(Timestamp::now)));
    let found = reader.read(now).await?;
    let terminal = &mut context.terminal;
    sources::note(&found.notes, terminal);
    let mut judge = Judge::default();
    let entries: Vec<report::Entry> = objectives
        .iter()
        .filter_map(|objective| match &objective.kind {
            Kind::Batch(batch) => Some(report::entries(
                &mut judge,
                objective,
                batch,
                &found.attempts,
                &month,
                now,
            )),
            Kind::Service(_) => None,
        })
        .flatten()
        .collect();
    if terminal.format() == Format::Json {
        terminal.json(&entries);
        return Ok(0);
    }
    let over = entries.first().is_none_or(|entry| entry.over);
    terminal.out(format!(
        "{}{}",
        month.name(),
        if over { "" } else { ", which is not over" }
    ));
    let mut rows = vec![report::HEADING.map(str::to_owned).to_vec()];
    rows.extend(entries.iter().map(report::Entry::row));
    for line in table(&rows) {
        terminal.out(line);
    }
    Ok(0)
}

fn make_rules(arguments: &RulesArguments, terminal: &mut Terminal) -> Outcome<u8> {
    let objectives = arguments.files.objectives(terminal)?;
    let (rules, complaints) = rules::rules(&objectives);
    show(&complaints, terminal);
    let value = match &arguments.custom_resource {
        Some(name) => rules.custom_resource(name),
        None => serde_json::to_value(&rules).map_err(std::io::Error::from)?,
    };
    match terminal.format() {
        Format::Json => terminal.json(&value),
        Format::Text => {
            let yaml = serde_saphyr::to_string(&value).map_err(std::io::Error::other)?;
            terminal.out(yaml.trim_end());
        }
    }
    Ok(0)
}

fn design(arguments: &DesignArguments, terminal: &mut Terminal) {
    let design = Design::new(arguments.objective / 100.0, arguments.runs_a_day);
    let runs = design.runs_a_month();
    let meters: Vec<_> = design
        .meters
        .iter()
        .map(|meter| {
            let delays = [0.2, 0.5].map(|rate| json!({"trueRate": rate, "runs": delay(meter, rate)}));
            json!({
                "meter": meter,
                "thresholdEvidence": meter.nats(meter.threshold),
                "badRunsInARow": meter.bad_in_a_row(),
                "falsePagesAMonthAtObjective": crossing(meter, design.allowed_rate, runs),
                "falsePagesAMonthWellWithin": crossing(meter, WITHIN * design.allowed_rate, runs),
                "delays": delays,
            })
        })
        .collect();
    if terminal.format() == Format::Json {
        return terminal.json(&json!({"design": design, "meters": meters}));
    }
    terminal.out(format!(
        "objective {} %, as for {} ({} in 30 days)",
        arguments.objective,
        counted(design.runs_a_day, "run a day").replace("run a days", "runs a day"),
        counted(runs, "run")
    ));
    let mut rows = vec![
        [
            "METER",
            "LOOKS FOR",
            "A BAD RUN WEIGHS",
            "PAGES AT",
            "FAILURES IN A ROW",
            "FALSE PAGES A MONTH",
            "FINDS 20 %",
            "FINDS 50 %",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    for meter in &design.meters {
        let found = |rate: f64| match delay(meter, rate) {
            Some(delay) => format!("{} runs (90 %: {})", short(delay.mean), delay.p90),
            None => "hardly ever".to_owned(),
        };
        rows.push(vec![
            meter.name.to_owned(),
            text::percent(meter.bad_rate),
            format!("{} good ones", meter.weight),
            format!("{:.1}", meter.nats(meter.threshold)),
            meter.bad_in_a_row().to_string(),
            format!(
                "{} at the objective, {} at 0.4 of it",
                text::percent(crossing(meter, design.allowed_rate, runs)),
                text::percent(crossing(meter, WITHIN * design.allowed_rate, runs))
            ),
            found(0.2),
            found(0.5),
        ]);
    }
    for line in table(&rows) {
        terminal.out(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_a_design() {
        assert_eq!((percent("99.5"), percent("99.5%")), (Ok(99.5), Ok(99.5)));
        assert_eq!(runs_a_day("24"), Ok(24.0));
        for wrong in ["", "100", "0.99", "-1", "NaN", "inf"] {
            assert!(percent(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "0", "1441", "NaN", "-2"] {
            assert!(runs_a_day(wrong).is_err(), "{wrong}");
        }
    }
}
