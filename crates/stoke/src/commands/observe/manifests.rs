//! `stoke observe manifests` and `alerts`: the pack as objects or files, and what is in it.

use std::path::{Path, PathBuf};

use serde_json::json;
use stoke_observe::pack::alert::Alert;
use stoke_observe::pack::shipping::{self, Logs};
use stoke_observe::pack::{Form, Quiet, Receivers, Settings, Tempo, alerts as known, files, objects, rules, yaml};

use crate::cli::Context;
use crate::failure::{Failure, Outcome};
use crate::terminal::{Format, table};

/// For which Prometheus.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// The Prometheus Operator: PodMonitors, PrometheusRule, ConfigMaps, a Secret.
    Operator,
    /// A Prometheus with configuration files.
    Plain,
}

/// Arguments of `stoke observe manifests`.
#[derive(clap::Args)]
#[command(after_help = "\
Without --to the objects are printed, to be applied: stoke observe manifests | kubectl apply -f -
Applications are scraped when the operator runs with --observe-applications (value `observe.enable` of the chart).")]
pub struct Arguments {
    /// For the Prometheus Operator, or as configuration files
    #[arg(long, value_enum, default_value = "operator", value_name = "KIND")]
    form: Kind,
    /// Write files into this directory: rules, their tests, Alertmanager, dashboards, log shipping, and objects or a configuration
    #[arg(long, value_name = "DIRECTORY")]
    to: Option<PathBuf>,
    /// Namespace of the objects
    #[arg(long, short = 'n', value_name = "NAME", default_value = "monitoring")]
    namespace: String,
    /// Namespace of the operator
    #[arg(long, value_name = "NAME", default_value = "spark-operator")]
    operator_namespace: String,
    /// Labels by which your Prometheus selects monitors and rules
    #[arg(long, value_name = "NAME=VALUE", value_delimiter = ',', default_value = "release=kube-prometheus-stack", value_parser = pair)]
    labels: Vec<(String, String)>,
    /// Webhook of whoever is on call
    #[arg(long, value_name = "URL", default_value_t = Receivers::default().on_call)]
    on_call: String,
    /// Webhook of who is called when a page is not ended within half an hour
    #[arg(long, value_name = "URL", default_value_t = Receivers::default().escalation)]
    escalation: String,
    /// Webhook of tickets
    #[arg(long, value_name = "URL", default_value_t = Receivers::default().tickets)]
    tickets: String,
    /// Webhook that alarms when it hears nothing
    #[arg(long, value_name = "URL", default_value_t = Receivers::default().heartbeat)]
    heartbeat: String,
    /// Webhook of a team, which gets the alerts of applications with its label `team`; may be given again
    #[arg(long, value_name = "TEAM=URL", value_parser = pair)]
    team: Vec<(String, String)>,
    /// When tickets wait, for example 18:00-08:00; weekends always
    #[arg(long, value_name = "TIMES", default_value = "18:00-08:00", value_parser = times)]
    quiet: (String, String),
    /// Time zone of those times
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    time_zone: String,
    /// Send logs of Spark's pods from each node to Loki, or to another receiver of OpenTelemetry's logs
    #[arg(long, value_name = "loki=URL|otlp=URL", value_parser = Logs::read)]
    logs_to: Option<Logs>,
    /// Tenant of Loki
    #[arg(long, value_name = "NAME", requires = "logs_to")]
    logs_tenant: Option<String>,
    /// Secret in the namespace of the objects whose key `authorization` is sent as the header Authorization
    #[arg(long, value_name = "NAME", requires = "logs_to")]
    logs_secret: Option<String>,
    /// Image of the OpenTelemetry Collector
    #[arg(long, value_name = "IMAGE", default_value = shipping::IMAGE, requires = "logs_to")]
    logs_image: String,
    /// Divide windows and waiting times by this, to see alerts fire
    #[arg(long, value_name = "TIMES", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=3600))]
    times: u32,
}

/// Arguments of `stoke observe alerts`.
#[derive(clap::Args)]
pub struct Alerts {
    /// Show this one
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as name=value")?;
    match name.is_empty() {
        true => Err("write it as name=value".to_owned()),
        false => Ok((name.to_owned(), value.to_owned())),
    }
}

fn times(text: &str) -> Result<(String, String), String> {
    let wrong = "write it as 18:00-08:00";
    let (from, until) = text.split_once('-').ok_or(wrong)?;
    let is_time = |text: &str| {
        let (hour, minute) = text.split_once(':')?;
        let in_range = |text: &str, most: u8| text.len() == 2 && text.parse().is_ok_and(|number: u8| number < most);
        (in_range(hour, 24) && in_range(minute, 60)).then_some(())
    };
    is_time(from).and(is_time(until)).ok_or(wrong)?;
    Ok((from.to_owned(), until.to_owned()))
}

fn settings(arguments: &Arguments) -> Settings {
    Settings {
        namespace: arguments.namespace.clone(),
        operator_namespace: arguments.operator_namespace.clone(),
        labels: arguments.labels.iter().cloned().collect(),
        receivers: Receivers {
            on_call: arguments.on_call.clone(),
            escalation: arguments.escalation.clone(),
            tickets: arguments.tickets.clone(),
            heartbeat: arguments.heartbeat.clone(),
            teams: arguments.team.iter().cloned().collect(),
        },
        quiet: Quiet {
            from: arguments.quiet.0.clone(),
            until: arguments.quiet.1.clone(),
            zone: arguments.time_zone.clone(),
        },
        tempo: Tempo::times(arguments.times),
        logs: arguments.logs_to.clone().map(|logs| Logs {
            tenant: arguments.logs_tenant.clone(),
            secret: arguments.logs_secret.clone(),
            image: arguments.logs_image.clone(),
            ..logs
        }),
        ..Settings::default()
    }
}

/// Runs `stoke observe manifests`.
pub fn run(arguments: &Arguments, context: &mut Context) -> Outcome<u8> {
    let settings = settings(arguments);
    let form = match arguments.form {
        Kind::Operator => Form::Operator,
        Kind::Plain => Form::Plain,
    };
    let Some(directory) = &arguments.to else {
        if form == Form::Plain {
            return Err(
                Failure::input("stoke::observe::directory", "configuration files need a directory")
                    .fix("name one with --to"),
            );
        }
        let objects = objects(&settings);
        match context.terminal.format() {
            Format::Json => context
                .terminal
                .json(&json!({"apiVersion": "v1", "kind": "List", "items": objects})),
            Format::Text => {
                let texts: Vec<String> = objects.iter().map(yaml).collect();
                context.terminal.out(texts.join("---\n").trim_end());
            }
        }
        return Ok(0);
    };
    let mut written = Vec::new();
    for file in files(&settings, form) {
        let path = directory.join(&file.path);
        write(&path, &file.text).map_err(|error| {
            Failure::environment("stoke::observe::write", format!("{}: {error}", path.display()))
                .fix("name a directory you may write with --to")
        })?;
        written.push(file.path);
    }
    match context.terminal.format() {
        Format::Json => context
            .terminal
            .json(&json!({"directory": directory, "files": written})),
        Format::Text => {
            for path in &written {
                context.terminal.out(directory.join(path).display().to_string());
            }
        }
    }
    Ok(0)
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    std::fs::write(path, text)
}

fn shown(alert: &Alert) -> serde_json::Value {
    let mut rule = rules::alert(alert, &Settings::default());
    if let Some(fault) = alert.fault {
        rule["fault"] = fault.into();
    }
    rule
}

/// Runs `stoke observe alerts`.
pub fn alerts(arguments: &Alerts, context: &mut Context) -> Outcome<u8> {
    let Some(name) = &arguments.name else {
        if context.terminal.format() == Format::Json {
            let all: Vec<_> = known::all().map(shown).collect();
            context.terminal.json(&json!({ "alerts": all }));
            return Ok(0);
        }
        let mut rows = vec![
            ["ALERT", "SEVERITY", "OWNER", "RUNBOOK", "WHAT"]
                .map(str::to_owned)
                .to_vec(),
        ];
        rows.extend(known::all().map(|alert| {
            let owner = match alert.owner {
                stoke_observe::pack::alert::Owner::Job => "the job's team",
                stoke_observe::pack::alert::Owner::Platform => rules::PLATFORM,
            };
            [alert.name, alert.severity.label(), owner, alert.runbook, alert.summary]
                .map(str::to_owned)
                .to_vec()
        }));
        for line in table(&rows) {
            context.terminal.out(line);
        }
        return Ok(0);
    };
    let Some(alert) = known::all().find(|alert| alert.name == name) else {
        let nearest = known::all()
            .map(|alert| alert.name)
            .find(|known| known.eq_ignore_ascii_case(name));
        let fix = nearest.map_or_else(
            || "`stoke observe alerts` lists them".to_owned(),
            |name| format!("did you mean {name}?"),
        );
        return Err(Failure::input("stoke::observe::alert", format!("there is no alert {name}")).fix(fix));
    };
    match context.terminal.format() {
        Format::Json => context.terminal.json(&shown(alert)),
        Format::Text => context.terminal.out(yaml(&shown(alert)).trim_end()),
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_times_are_two_times() {
        assert_eq!(times("18:00-08:30"), Ok(("18:00".into(), "08:30".into())));
        for wrong in ["18:00", "18-08", "25:00-08:00", "18:00-8:00", "18:60-08:00"] {
            assert!(times(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_team_has_a_name() {
        assert_eq!(pair("data=http://a/?b=c"), Ok(("data".into(), "http://a/?b=c".into())));
        assert!(pair("=x").is_err() && pair("x").is_err());
    }
}
