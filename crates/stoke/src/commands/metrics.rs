//! `stoke metrics`: which metrics there are, and what rules and dashboards ask for in vain.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Value, json};
use stoke_diagnostics::junit::{Suite, junit};
use stoke_diagnostics::render::{self, Style};
use stoke_diagnostics::sarif::{Item, sarif};
use stoke_diagnostics::{Diagnostic, Severity};
use stoke_model::manifest::nearest;
use stoke_model::units::people::counted;
use stoke_observe::catalogue::{Catalogue, FAMILIES, Label, Metric, Values, spark_releases};
use stoke_observe::promql;
use stoke_observe::rules::{self, Input, Live, Report, Settings};

use crate::cli::Context;
use crate::codes::registry;
use crate::failure::{Failure, Outcome};
use crate::report_file::{self, Form, pretty};
use crate::terminal::{Format, bold, dim, green, red, table};

/// The largest file that is read.
const MAX_BYTES: u64 = 16 << 20;

/// What can be done with metrics.
#[derive(clap::Subcommand)]
pub enum Command {
    /// List the metrics that are known, by family and name
    List(ListArguments),
    /// Tell what a metric means, its labels and how it is switched on
    Explain {
        /// A series, a metric's name, or a name of Spark's metrics system
        name: String,
    },
    /// Find what in rules, dashboards and objectives can never work
    Check(CheckArguments),
}

/// Arguments of `stoke metrics list`.
#[derive(clap::Args)]
pub struct ListArguments {
    /// Only names with this text in them
    text: Option<String>,
    /// Only one family, for example spark-driver, kube-state-metrics, operator
    #[arg(long, value_name = "NAME", value_parser = family)]
    family: Option<String>,
    /// Only what this release of Spark has, for example 3.5
    #[arg(long, value_name = "RELEASE", value_parser = release)]
    spark: Option<String>,
}

/// Arguments of `stoke metrics check`.
#[derive(clap::Args)]
#[command(after_help = "\
Exit code: 0 nothing is wrong (warnings aside, but for --strict); 1 something can never work; 2 wrong input, or a file that was not read.")]
pub struct CheckArguments {
    /// Prometheus rule files, PrometheusRule objects, Grafana dashboards, Sloth and OpenSLO files, and directories of them; `-` is standard input
    #[arg(required = true)]
    paths: Vec<String>,
    /// Release of Spark that the files are for [default: the newest known]
    #[arg(long, value_name = "RELEASE", value_parser = release)]
    spark: Option<String>,
    /// File with names of metrics that exist besides those known, one on a line; may be given again
    #[arg(long, value_name = "FILE")]
    known: Vec<PathBuf>,
    /// How often targets are scraped
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = seconds)]
    scrape_interval: f64,
    /// Ask this Prometheus as well which series it has, for example http://localhost:9090
    #[arg(long, value_name = "URL")]
    live: Option<String>,
    /// Write the report to a file as well: text, json, sarif or junit, for example `sarif=metrics.sarif`
    #[arg(long, value_name = "FORM=FILE", value_parser = report_file::parse)]
    report: Vec<(Form, PathBuf)>,
    /// Let warnings fail, too
    #[arg(long)]
    strict: bool,
}

fn family(text: &str) -> Result<String, String> {
    if FAMILIES.iter().any(|family| family.name == text) {
        return Ok(text.to_owned());
    }
    let names: Vec<&str> = FAMILIES.iter().map(|family| family.name).collect();
    Err(match nearest(text, names.iter().copied()) {
        Some(near) => format!("there is no such family; did you mean {near}?"),
        None => format!("there is no such family; there are {}", names.join(", ")),
    })
}

fn release(text: &str) -> Result<String, String> {
    let known = spark_releases();
    let same = |known: &&str| {
        known
            .split('.')
            .zip(text.split('.'))
            .take(2)
            .all(|(one, other)| one == other)
    };
    if text.contains('.') && known.iter().any(same) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "the metrics of this release are not known; those of {} are",
        known.join(", ")
    ))
}

fn seconds(text: &str) -> Result<f64, String> {
    promql::seconds(text)
        .filter(|seconds| *seconds > 0.0)
        .ok_or_else(|| "write a duration such as 30s".to_owned())
}

/// Runs the command.
pub async fn run(command: Command, context: &mut Context) -> Outcome<u8> {
    match command {
        Command::List(arguments) => Ok(list(&arguments, context)),
        Command::Explain { name } => explain(&name, context),
        Command::Check(arguments) => check(&arguments, context).await,
    }
}

fn list(arguments: &ListArguments, context: &mut Context) -> u8 {
    let wanted = |metric: &&Metric| {
        arguments
            .text
            .as_ref()
            .is_none_or(|text| metric.name.to_lowercase().contains(&text.to_lowercase()))
            && arguments.family.as_ref().is_none_or(|family| metric.family == family)
            && arguments
                .spark
                .as_ref()
                .is_none_or(|release| !metric.family.starts_with("spark-") || metric.is_in(release))
    };
    let metrics: Vec<&Metric> = Catalogue::builtin().metrics().iter().filter(wanted).collect();
    if context.terminal.format() == Format::Json {
        context.terminal.json(&metrics);
        return 0;
    }
    let mut rows = vec![["METRIC", "FAMILY", "KIND", "UNIT"].map(str::to_owned).to_vec()];
    rows.extend(metrics.iter().map(|metric| {
        vec![
            metric.name.clone(),
            metric.family.to_owned(),
            metric.kind.name().to_owned(),
            metric.unit.to_string(),
        ]
    }));
    for line in table(&rows) {
        context.terminal.out(line);
    }
    context.terminal.note(dim(format!(
        "{}; `stoke metrics explain NAME` says more",
        counted(metrics.len(), "metric")
    )));
    0
}

fn explain(name: &str, context: &mut Context) -> Outcome<u8> {
    let catalogue = Catalogue::builtin();
    let metrics = catalogue.named(name);
    if metrics.is_empty() {
        let failure = Failure::input("stoke::metrics::unknown", format!("no metric `{name}` is known"));
        return Err(match catalogue.suggestion(name) {
            Some(near) => failure.fix(format!("did you mean `{near}`?")),
            None => failure.fix("`stoke metrics list TEXT` shows those with a text in their names"),
        });
    }
    if context.terminal.format() == Format::Json {
        context.terminal.json(&metrics);
        return Ok(0);
    }
    for metric in metrics {
        for line in explained(metric) {
            context.terminal.out(line);
        }
    }
    Ok(0)
}

/// What is known of a metric, for people.
fn explained(metric: &Metric) -> Vec<String> {
    let family = FAMILIES.iter().find(|family| family.name == metric.family);
    let mut lines = vec![bold(&metric.name), format!("  {}", metric.help)];
    let mut line = |what: &str, text: &str| {
        if !text.is_empty() {
            lines.push(format!("  {what:<9} {text}"));
        }
    };
    line("kind", &format!("{}, in {}", metric.kind.name(), metric.unit));
    let labels: Vec<String> = metric.labels.iter().map(shown).collect();
    line("labels", &labels.join("; "));
    line("of", family.map_or(metric.family, |family| family.program));
    line("read at", family.map_or("", |family| family.place));
    line("needs", &metric.switched_on);
    line("since", metric.since.as_deref().unwrap_or_default());
    line("until", metric.until.as_deref().unwrap_or_default());
    line("as", metric.library_name.as_deref().unwrap_or_default());
    line("known by", metric.evidence.name());
    lines
}

fn shown(label: &Label) -> String {
    let values = match &label.values {
        Values::Any => String::new(),
        Values::Such(values) => format!(" ({}, …)", values.join(", ")),
        Values::Only(values) => format!(" ({})", values.join(", ")),
    };
    let perhaps = if label.always { "" } else { ", not always" };
    format!("{}{values}{perhaps}", label.name)
}

async fn check(arguments: &CheckArguments, context: &mut Context) -> Outcome<u8> {
    let begun = Instant::now();
    let inputs = inputs(&arguments.paths)?;
    let mut settings = Settings {
        known: known(&arguments.known)?,
        scrape_interval: arguments.scrape_interval,
        ..Settings::default()
    };
    if let Some(release) = &arguments.spark {
        settings.spark.clone_from(release);
    }
    let live = match &arguments.live {
        Some(url) => Some(ask(url).await?),
        None => None,
    };
    let mut report = rules::check_with(&inputs, &settings, live.as_ref());
    if arguments.strict {
        report.be_strict();
    }
    report_file::write(&arguments.report, |form| match form {
        Form::Text => text(&report, Style::Plain),
        Form::Json => pretty(&report),
        Form::Sarif => {
            let items: Vec<Item<'_>> = report.diagnostics.iter().map(item).collect();
            pretty(&sarif(&items, &registry(), env!("CARGO_PKG_VERSION")))
        }
        Form::Junit => {
            let suite = Suite {
                name: "metrics",
                time: begun.elapsed(),
                skipped: None,
                cases: report.diagnostics.iter().map(|found| (found, None)).collect(),
            };
            junit("stoke metrics check", "metrics", &[suite])
        }
    })?;
    match context.terminal.format() {
        Format::Json => context.terminal.json(&report),
        Format::Text => {
            let text = text(&report, Style::Coloured);
            if !text.is_empty() {
                context.terminal.out(text.trim_end());
            }
            context.terminal.note(summary(&report));
        }
    }
    Ok(report.exit_code())
}

fn item(diagnostic: &Diagnostic) -> Item<'_> {
    Item {
        diagnostic,
        suppressed: None,
        properties: Vec::new(),
    }
}

fn text(report: &Report, style: Style) -> String {
    let texts: Vec<String> = report
        .diagnostics
        .iter()
        .map(|found| render::text(found, style))
        .collect();
    match texts.is_empty() {
        true => String::new(),
        false => texts.join("\n\n") + "\n",
    }
}

/// The last lines: what was read, what was not, and what it means.
fn summary(report: &Report) -> String {
    let read: Vec<String> = report
        .expressions
        .iter()
        .map(|(kind, times)| format!("{times} of {kind}"))
        .collect();
    let skipped: Vec<String> = report
        .skipped
        .iter()
        .map(|(what, times)| format!("{times} × {what}"))
        .collect();
    let mut lines = Vec::new();
    let all: usize = report.expressions.values().sum();
    let of = if read.is_empty() {
        String::new()
    } else {
        format!(" ({})", read.join(", "))
    };
    lines.push(dim(format!(
        "{} in {}{of}, for Spark {}",
        counted(all, "expression"),
        counted(report.files, "file"),
        report.spark
    )));
    if !skipped.is_empty() {
        lines.push(dim(format!("not read: {}", skipped.join(", "))));
    }
    let (errors, warnings) = (report.count(Severity::Error), report.count(Severity::Warning));
    lines.push(match report.exit_code() {
        0 if warnings == 0 => green("nothing is wrong"),
        0 => green(format!("nothing fails; {}", counted(warnings, "warning"))),
        1 => red(format!(
            "{}, {}",
            counted(errors, "error"),
            counted(warnings, "warning")
        )),
        _ => red("nothing is known to be wrong, but not everything was read"),
    });
    lines.join("\n")
}

/// The files that are named, and those of kinds that may be read in the directories that are.
fn inputs(paths: &[String]) -> Outcome<Vec<Input>> {
    let mut inputs = Vec::new();
    for path in paths {
        if path == "-" {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut std::io::Read::take(std::io::stdin(), MAX_BYTES + 1), &mut bytes)?;
            inputs.push(Input {
                name: "<stdin>".to_owned(),
                bytes,
                named: true,
            });
            continue;
        }
        let before = inputs.len();
        gather(Path::new(path), true, 0, &mut inputs)?;
        if inputs.len() == before {
            return Err(unreadable(path, "there is nothing to check"));
        }
    }
    Ok(inputs)
}

fn unreadable(path: &str, why: impl std::fmt::Display) -> Failure {
    Failure::input("stoke::metrics::unreadable", format!("{path}: {why}"))
        .fix("name files of rules, dashboards or objectives, or a directory of them")
}

fn gather(path: &Path, named: bool, depth: usize, inputs: &mut Vec<Input>) -> Outcome<()> {
    const ENDINGS: [&str; 5] = ["yaml", "yml", "json", "rules", "rule"];
    const MAX_DEPTH: usize = 20;
    let shown = path.display().to_string();
    let meta = std::fs::metadata(path).map_err(|error| unreadable(&shown, error))?;
    if meta.is_dir() {
        let mut inner: Vec<PathBuf> = std::fs::read_dir(path)
            .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
            .map_err(|error| unreadable(&shown, error))?;
        inner.sort();
        for path in inner {
            let hidden = path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with('.'));
            if !hidden && depth < MAX_DEPTH && !path.is_symlink() {
                gather(&path, false, depth + 1, inputs)?;
            }
        }
        return Ok(());
    }
    let fits = path
        .extension()
        .is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known));
    if !named && !fits {
        return Ok(());
    }
    if !meta.is_file() {
        return Err(unreadable(&shown, "this is not a file"));
    }
    if meta.len() > MAX_BYTES {
        return Err(unreadable(
            &shown,
            format!("the file goes beyond {} MiB", MAX_BYTES >> 20),
        ));
    }
    inputs.push(Input {
        bytes: std::fs::read(path).map_err(|error| unreadable(&shown, error))?,
        name: shown,
        named,
    });
    Ok(())
}

/// Names of metrics in files: the first word of each line; what a program serves can be given as it is.
fn known(files: &[PathBuf]) -> Outcome<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for file in files {
        let shown = file.display().to_string();
        let text = std::fs::read_to_string(file).map_err(|error| unreadable(&shown, error))?;
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let name = line.split(['{', ' ', '\t']).next().unwrap_or_default().trim();
            if !name.is_empty() {
                names.insert(name.to_owned());
            }
        }
    }
    Ok(names)
}

/// What a running Prometheus has.
async fn ask(url: &str) -> Outcome<Live> {
    let base = url.trim_end_matches('/');
    let names = get(&format!("{base}/api/v1/label/__name__/values")).await?;
    Ok(Live {
        server: base.to_owned(),
        names: serde_json::from_value(names).unwrap_or_default(),
    })
}

/// The largest answer of a Prometheus that is read.
const MOST_BYTES: usize = 64 << 20;

/// The data of an answer of Prometheus.
async fn get(url: &str) -> Outcome<Value> {
    let failed = |cause: &dyn std::fmt::Display| {
        Failure::environment("stoke::metrics::live", format!("{url}: {cause}"))
            .fix("name the address of a Prometheus that runs, such as http://localhost:9090")
    };
    let bytes = stoke_storage::fetch(url, MOST_BYTES)
        .await
        .map_err(|error| failed(&error))?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|error| failed(&error))?;
    match value.get("status") {
        Some(status) if status == &json!("success") => Ok(value.get("data").cloned().unwrap_or_default()),
        _ => Err(failed(&"the answer is not Prometheus'")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_explained() {
        for metric in Catalogue::builtin().metrics() {
            let lines = explained(metric);
            assert!(lines.len() >= 5, "{lines:?}");
        }
    }

    #[test]
    fn releases_of_spark_are_known_by_their_first_numbers() {
        assert_eq!(release("3.5"), Ok("3.5".to_owned()));
        assert_eq!(release("4.1.2"), Ok("4.1.2".to_owned()));
        assert!(release("2.4").is_err() && release("4").is_err());
    }
}
