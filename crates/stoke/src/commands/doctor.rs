//! `stoke doctor`: what is wrong with a run, the root cause first, with evidence and a fix.

use std::io::IsTerminal;

use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::json;
use stoke_insight::doctor::{Evidence, Finding, Severity, examine};
use stoke_insight::facts::Facts;
use stoke_laptop::session;

use crate::cli::{Context, Target};
use crate::failure::{Failure, Outcome};
use crate::run_source::{Known, RunSource};
use crate::terminal::{Format, Terminal, bold, dim, green, red};

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
    /// End with exit code 1 when something of this level or above is found
    #[arg(long, value_enum, value_name = "LEVEL")]
    fail_on: Option<Level>,
    #[command(flatten)]
    target: Target,
}

/// The level of a finding, on the command line.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Level {
    /// It ended the run, or keeps it from going on.
    Fatal,
    /// It cost time or attempts.
    Warning,
    /// It costs time or money.
    Advice,
}

impl Level {
    fn severity(self) -> Severity {
        match self {
            Level::Fatal => Severity::Fatal,
            Level::Warning => Severity::Warning,
            Level::Advice => Severity::Advice,
        }
    }
}

/// Runs the command.
pub async fn run(arguments: Arguments, context: &mut Context) -> Outcome<u8> {
    let Known { name, notes, facts } = arguments.asked.known(&arguments.target, context).await?;
    let findings = examine(&facts);
    match context.terminal.format() {
        Format::Json => context.terminal.json(&json!({
            "application": name,
            "findings": findings,
            "notes": notes,
            "faults": facts.run.as_ref().map(|run| &run.reading.faults),
        })),
        Format::Text => show(&name, &facts, &findings, &mut context.terminal),
    }
    if arguments.apply {
        apply(&arguments, &name, &findings, context).await?;
    }
    let failed = arguments
        .fail_on
        .is_some_and(|level| findings.iter().any(|finding| finding.severity <= level.severity()));
    Ok(u8::from(failed))
}

fn show(name: &str, facts: &Facts, findings: &[Finding], terminal: &mut Terminal) {
    if let Some(run) = &facts.run {
        for fault in &run.reading.faults {
            terminal.note(format!("note: {fault}"));
        }
    }
    if findings.is_empty() {
        terminal.out(format!("{}: {}", bold(name), green("nothing found")));
        return;
    }
    for (place, finding) in findings.iter().enumerate() {
        if place > 0 {
            terminal.out("");
        }
        for line in lines(place + 1, finding) {
            terminal.out(line);
        }
    }
}

/// A finding for people.
fn lines(number: usize, finding: &Finding) -> Vec<String> {
    let word = match finding.severity {
        Severity::Fatal => red("fatal"),
        Severity::Warning => bold("warning"),
        Severity::Advice => dim("advice"),
    };
    let mut lines = vec![format!("{number}. {word} {}: {}", bold(finding.id), finding.cause)];
    let mut put = |heading: &str, text: &str| {
        for (place, line) in text.lines().enumerate() {
            let heading = if place == 0 { heading } else { "" };
            lines.push(format!("   {}{line}", dim(format!("{heading:<10}"))));
        }
    };
    for (place, Evidence { place: at, seen }) in finding.evidence.iter().enumerate() {
        let heading = if place == 0 { "evidence" } else { "" };
        put(heading, &format!("{at}: {seen}"));
    }
    put("rule", &format!("{} ({})", finding.rule.text, finding.rule.source));
    put("fix", &finding.fix.text);
    if let Some(patch) = &finding.fix.patch {
        let patch = serde_saphyr::to_string(patch).unwrap_or_else(|_| patch.to_string());
        put("patch", patch.trim_end());
    }
    if let Some(gain) = &finding.gain {
        put("gain", &gain.text);
    }
    put("more", &format!("docs/reference/doctor.md#{}", finding.id));
    lines
}

async fn apply(arguments: &Arguments, name: &str, findings: &[Finding], context: &mut Context) -> Outcome<()> {
    let fix = findings
        .iter()
        .find_map(|finding| finding.fix.patch.as_ref().map(|patch| (finding.id, patch)));
    let Some((id, patch)) = fix else {
        return Err(Failure::input(
            "stoke::doctor::no-patch",
            "nothing that was found is fixed by a change of the application",
        )
        .fix("follow the words after `fix`"));
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
            .note(format!("put the patch of {id} into application {name}? [y/N]"));
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
        "application {name} has the patch of {id} now; it is an edit like any other (stoke.dev/on-edit)"
    ));
    Ok(())
}
