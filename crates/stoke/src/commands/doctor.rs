//! `stoke doctor`: what is wrong with a run, the root cause first, with evidence and a fix.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Instant;

use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use stoke_diagnostics::junit::{Suite, junit};
use stoke_diagnostics::render::{self, Style};
use stoke_diagnostics::sarif::{Item, sarif};
use stoke_diagnostics::{Diagnostic, Severity};
use stoke_insight::doctor::examine;
use stoke_insight::facts::Facts;
use stoke_laptop::session;
use stoke_observe::runbook::for_code;

use crate::cli::{Context, Target};
use crate::codes::registry;
use crate::failure::{Failure, Outcome};
use crate::report_file::{self, Form, pretty};
use crate::run_source::{Known, RunSource};
use crate::terminal::{Format, Terminal, bold, dim, green};

/// Arguments of `stoke doctor`.
#[derive(clap::Args)]
#[command(after_help = "\
Exit code: 0 the run was looked at, whatever was found; 1 something of the level of --fail-on was found; 2 wrong input; 3 it
could not be looked at.")]
pub struct Arguments {
    #[command(flatten)]
    asked: RunSource,
    /// Put the fix of the first finding that has one into the application, after asking
    #[arg(long, conflicts_with_all = ["event_log", "bundle"])]
    apply: bool,
    /// Put it there without asking
    #[arg(long, requires = "apply")]
    yes: bool,
    /// End with exit code 1 when something of this level or above is found (`fatal` is the former name of `error`)
    #[arg(long, value_enum, value_name = "LEVEL")]
    fail_on: Option<Level>,
    /// Write what is found to a file as well: text, json, sarif or junit, for example `junit=doctor.xml`
    #[arg(long, value_name = "FORM=FILE", value_parser = report_file::parse)]
    report: Vec<(Form, PathBuf)>,
    #[command(flatten)]
    target: Target,
}

/// The level of a finding, on the command line.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Level {
    /// It ended the run, or keeps it from going on.
    #[value(alias = "fatal")]
    Error,
    /// It cost time or attempts.
    Warning,
    /// It costs time or money.
    Advice,
}

impl Level {
    fn severity(self) -> Severity {
        match self {
            Level::Error => Severity::Error,
            Level::Warning => Severity::Warning,
            Level::Advice => Severity::Advice,
        }
    }
}

/// Runs the command.
pub async fn run(arguments: Arguments, context: &mut Context) -> Outcome<u8> {
    let begun = Instant::now();
    let Known { name, notes, facts } = arguments.asked.known(&arguments.target, context).await?;
    let findings = examine(&facts);
    let answer = json!({
        "application": name,
        "findings": findings.iter().map(with_runbook).collect::<Vec<_>>(),
        "notes": notes,
        "faults": facts.run.as_ref().map(|run| &run.reading.faults),
    });
    match context.terminal.format() {
        Format::Json => context.terminal.json(&answer),
        Format::Text => show(&name, &facts, &findings, &mut context.terminal),
    }
    report_file::write(&arguments.report, |form| match form {
        Form::Text => text(&name, &findings, Style::Plain),
        Form::Json => pretty(&answer),
        Form::Sarif => pretty(&sarif(&items(&findings), &registry(), env!("CARGO_PKG_VERSION"))),
        Form::Junit => {
            let suite = Suite {
                name: "doctor",
                time: begun.elapsed(),
                skipped: None,
                cases: findings.iter().map(|finding| (finding, None)).collect(),
            };
            junit("stoke doctor", &name, &[suite])
        }
    })?;
    if arguments.apply {
        apply(&arguments, &name, &findings, context).await?;
    }
    let failed = arguments
        .fail_on
        .is_some_and(|level| findings.iter().any(|finding| finding.severity >= level.severity()));
    Ok(u8::from(failed))
}

fn show(name: &str, facts: &Facts, findings: &[Diagnostic], terminal: &mut Terminal) {
    if let Some(run) = &facts.run {
        for fault in &run.reading.faults {
            terminal.note(format!("note: {fault}"));
        }
    }
    terminal.out(text(name, findings, Style::Coloured).trim_end());
    if let Some(first) = findings.first() {
        terminal.note(dim(format!("`stoke explain {}` says more of the first", first.code)));
        if let Some(book) = for_code(&first.code) {
            terminal.note(dim(format!(
                "`stoke runbook run {} --application {name} --dry-run` shows how it would be repaired",
                book.name
            )));
        }
    }
}

/// A finding as JSON, with the runbook that repairs its like.
fn with_runbook(finding: &Diagnostic) -> Value {
    let mut value = json!(finding);
    if let Some(book) = for_code(&finding.code) {
        value["runbook"] = book.name.into();
    }
    value
}

/// What was found, for people.
fn text(name: &str, findings: &[Diagnostic], style: Style) -> String {
    if findings.is_empty() {
        return match style {
            Style::Plain => format!("{name}: nothing found\n"),
            Style::Coloured => format!("{}: {}\n", bold(name), green("nothing found")),
        };
    }
    let texts: Vec<String> = findings.iter().map(|finding| render::text(finding, style)).collect();
    texts.join("\n\n") + "\n"
}

/// Findings are about no file: in SARIF the evidence is a property, so that nothing of it is lost.
fn items(findings: &[Diagnostic]) -> Vec<Item<'_>> {
    let item = |diagnostic| Item {
        diagnostic,
        suppressed: None,
        properties: vec![("evidence", json!(diagnostic.evidence))],
    };
    findings.iter().map(item).collect()
}

async fn apply(arguments: &Arguments, name: &str, findings: &[Diagnostic], context: &mut Context) -> Outcome<()> {
    let fix = findings
        .iter()
        .find_map(|finding| finding.patch().map(|patch| (&finding.code, patch)));
    let Some((code, patch)) = fix else {
        return Err(Failure::input(
            "stoke::doctor::no-patch",
            "nothing that was found is fixed by a change of the application",
        )
        .fix("do what stands after `help`"));
    };
    if !arguments.yes {
        if !std::io::stdin().is_terminal() {
            return Err(Failure::input(
                "stoke::doctor::consent",
                "--apply asks first, and there is no terminal to answer",
            )
            .fix("add --yes to put the patch there without asking"));
        }
        context
            .terminal
            .note(format!("put the patch of {code} into application {name}? [y/N]"));
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer)?;
        if !matches!(answer.trim(), "y" | "Y" | "yes") {
            context.terminal.note("nothing was changed");
            return Ok(());
        }
    }
    let session = session::open(&context.home, &arguments.target.cluster()).await?;
    let kind = GroupVersionKind::gvk("sparkoperator.k8s.io", "v1beta2", "SparkApplication");
    let api: Api<DynamicObject> = Api::namespaced_with(
        session.client.clone(),
        &session.namespace,
        &ApiResource::from_gvk(&kind),
    );
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
    context.terminal.note(format!(
        "application {name} has the patch of {code} now; it is an edit like any other (stoke.dev/on-edit)"
    ));
    Ok(())
}
