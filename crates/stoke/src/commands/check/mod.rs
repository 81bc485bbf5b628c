//! `stoke check`: every reason a job would fail or be refused, before it runs.
//!
//! The room `gate` judges; here its files are read, charts are rendered ([`chart`]), and what was asked to be run is run: [`tests`], [`dry_run`],
//! [`images`] and [`spark`].

mod chart;
mod contracts;
mod dry_run;
mod environments;
mod images;
mod spark;
mod tests;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use stoke_advisories::Database;
use stoke_diagnostics::Source;
use stoke_diagnostics::render::Style;
use stoke_gate::gates::Advisories;
use stoke_gate::output::{self, Tone};
use stoke_gate::runs::Runs;
use stoke_gate::waivers::{self, Waivers};
use stoke_gate::{Gate, Job, Report, Settings, job};
use stoke_model::kubernetes::Release;
use stoke_model::pod_security::{Level, Version, VersionError};
use stoke_policy::PolicyFile;
use stoke_runtime::Runtimes;

use super::explain;
use crate::cli::{Context, Target};
use crate::failure::{Failure, Outcome};
use crate::report_file::{self, Form, pretty};
use crate::terminal::{Format, Terminal, bold, dim, green, red};

/// Arguments of `stoke check`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Files and directories of the job; `-` is a manifest on standard input [default: the current directory]
    paths: Vec<String>,
    /// Only these gates: manifest, conf, pods, policy, sql, contracts, dependencies, secrets, tests, dry-run, images, spark-dry-run
    #[arg(long = "gate", value_name = "GATE", value_delimiter = ',', value_parser = gate)]
    gates: Vec<Gate>,
    /// Release of Kubernetes the manifests are for, for example 1.34
    #[arg(long, value_name = "RELEASE", default_value_t = Release::DEFAULT)]
    kubernetes: Release,
    /// Run the job's own tests (pytest, Maven, sbt) with its Spark, in a private environment
    #[arg(long)]
    tests: bool,
    /// How long a suite of tests may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 1800)]
    test_timeout: u64,
    /// Ask the API server what it would say of the objects and of the pods they become: that of `stoke up`, or of --context
    #[arg(long)]
    dry_run: bool,
    /// Ask whether images of applications have what this file asks: signatures, attestations; as `stoke verify --policy` and the operator read it
    #[arg(long, value_name = "FILE")]
    image_policy: Option<PathBuf>,
    /// Start the job's Spark as local[1] with its configuration, its packages and its classes, and read no data
    #[arg(long)]
    spark_dry_run: bool,
    #[command(flatten)]
    target: Target,
    /// Version of Spark for SQL and dependencies [default: what the job's applications name]
    #[arg(long, value_name = "VERSION")]
    spark: Option<String>,
    /// Directory of policies: Rego, data, Gatekeeper templates and constraints [default: `policies` or `policy` beside the job]
    #[arg(long, value_name = "DIR")]
    policies: Vec<PathBuf>,
    /// Policies of Stoke's own to ask as well, for example registries,limits; `stoke policy list` names them
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = packed)]
    pack: Vec<String>,
    /// Pod Security level that pods are held against, for example restricted or baseline:v1.30 [default: the labels of the job's namespaces]
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    pod_security: Option<(Level, Version)>,
    /// File of licences that the job may have [default: `stoke-licences.yaml` in the job]
    #[arg(long, value_name = "FILE")]
    licences: Option<PathBuf>,
    /// How long the check may take, in seconds; what it does not reach is reported and does not pass
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    time_limit: u64,
    /// File of values for the job's Helm charts, which are rendered with `helm template` where there is one; may be given again
    #[arg(long, value_name = "FILE")]
    helm_values: Vec<PathBuf>,
    /// File of nodes that pods must fit on: what `kubectl get nodes -o yaml` prints
    #[arg(long, value_name = "FILE")]
    nodes: Option<PathBuf>,
    /// Directory of the database of advisories, as `stoke advisories update` makes it; `none`: known vulnerabilities are not looked up [default: `advisories` in the home]
    #[arg(long, value_name = "DIR")]
    advisories: Option<PathBuf>,
    /// File of waivers [default: stoke-waivers.yaml beside the job]
    #[arg(long, value_name = "FILE")]
    waivers: Option<PathBuf>,
    /// Write the report to a file as well: text, json, sarif or junit, for example `sarif=check.sarif`
    #[arg(long, value_name = "FORM=FILE", value_parser = report_file::parse)]
    report: Vec<(Form, PathBuf)>,
    /// Let warnings fail, too
    #[arg(long)]
    strict: bool,
    /// Tell what a code means, and how it is fixed
    #[arg(long, value_name = "CODE", conflicts_with = "paths")]
    explain: Option<String>,
}

fn gate(text: &str) -> Result<Gate, String> {
    Gate::named(text).ok_or_else(|| {
        let names: Vec<&str> = Gate::ALL.iter().map(|gate| gate.name()).collect();
        match stoke_model::manifest::nearest(text, names.iter().copied()) {
            Some(near) => format!("there is no such gate; did you mean {near}?"),
            None => format!("there is no such gate; there are {}", names.join(", ")),
        }
    })
}

fn packed(text: &str) -> Result<String, String> {
    let names = stoke_policy::pack::names();
    if names.contains(&text) {
        return Ok(text.to_owned());
    }
    match stoke_model::manifest::nearest(text, names.iter().copied()) {
        Some(near) => Err(format!("there is no such policy; did you mean {near}?")),
        None => Err(format!("there is no such policy; there are {}", names.join(", "))),
    }
}

fn level(text: &str) -> Result<(Level, Version), String> {
    let (level, version) = text.split_once(':').unwrap_or((text, "latest"));
    let wrong = |error: VersionError| format!("{error}");
    Ok((level.parse().map_err(wrong)?, version.parse().map_err(wrong)?))
}

/// Runs the command.
pub async fn run(arguments: &Arguments, context: &mut Context) -> Outcome<u8> {
    if let Some(code) = &arguments.explain {
        return explain::code(code, context);
    }
    let (_, report) = judge(arguments, context).await?;
    report_file::write(&arguments.report, |form| match form {
        Form::Text => output::text(&report, Style::Plain, &|_, text| text.to_owned()),
        Form::Json => pretty(&report),
        Form::Sarif => pretty(&output::sarif(&report, env!("CARGO_PKG_VERSION"))),
        Form::Junit => output::junit(&report),
    })?;
    match context.terminal.format() {
        Format::Json => context
            .terminal
            .json(&serde_json::to_value(&report).unwrap_or_default()),
        Format::Text => {
            context
                .terminal
                .out(output::text(&report, Style::Coloured, &paint).trim_end());
            context.terminal.note(summary(&report));
        }
    }
    Ok(report.exit_code())
}

/// Reads the job and asks the gates.
pub async fn judge(arguments: &Arguments, context: &mut Context) -> Outcome<(Job, Report)> {
    let mut job = read(&arguments.paths)?;
    chart::render(&mut job, &arguments.helm_values, std::ffi::OsStr::new("helm")).await;
    let mut settings = Settings {
        kubernetes: arguments.kubernetes,
        spark: arguments.spark.clone(),
        runtimes: runtimes(context),
        gates: gates(arguments),
        today: jiff::Zoned::now().date(),
        policies: policies(arguments)?,
        pod_security: arguments.pod_security,
        nodes: nodes(arguments)?,
        licences: licences(arguments)?,
        contracts: Some(contracts::complaints),
        presets: Some(stoke_platform::preset::hold::look),
        environments: Some(environments::complaints),
        namespace: arguments
            .target
            .namespace
            .clone()
            .unwrap_or_else(|| "default".to_owned()),
        advisories: advisories(arguments, context),
        ..Settings::default()
    };
    let waivers = waivers_of(arguments, &mut context.terminal)?;
    settings.runs = runs(arguments, &job, &mut settings, context).await?;
    settings.until = std::time::Instant::now().checked_add(Duration::from_secs(arguments.time_limit));
    let mut report = stoke_gate::check(&job, &settings, &waivers);
    if arguments.strict {
        report.be_strict();
    }
    Ok((job, report))
}

impl Arguments {
    /// The files and directories that are named.
    pub fn paths(&self) -> &[String] {
        &self.paths
    }
}

/// The nodes in the file that is named.
fn nodes(arguments: &Arguments) -> Outcome<Vec<Node>> {
    let Some(file) = &arguments.nodes else {
        return Ok(Vec::new());
    };
    let wrong = |error: &dyn std::fmt::Display| {
        Failure::input("stoke::check::nodes", format!("{}: {error}", file.display()))
            .fix("`kubectl get nodes -o yaml > nodes.yaml` makes such a file")
    };
    let bytes = std::fs::read(file).map_err(|error| wrong(&error))?;
    stoke_gate::nodes::read(&file.display().to_string(), &bytes).map_err(|error| wrong(&error))
}

/// The file of licences that is named.
fn licences(arguments: &Arguments) -> Outcome<Option<Arc<Source>>> {
    let Some(file) = &arguments.licences else {
        return Ok(None);
    };
    let shown = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| {
        Failure::input("stoke::check::licences", format!("{shown}: {error}")).fix("name a file of licences in UTF-8")
    })?;
    Ok(Some(Source::new(&shown, &text)))
}

/// The gates to run. One that is asked to run something is asked to judge it, too.
fn gates(arguments: &Arguments) -> Vec<Gate> {
    let mut gates = arguments.gates.clone();
    let asked = [
        (arguments.tests, Gate::Tests),
        (arguments.dry_run, Gate::DryRun),
        (arguments.image_policy.is_some(), Gate::Images),
        (arguments.spark_dry_run, Gate::SparkDryRun),
    ];
    for (asked, gate) in asked {
        if asked && !gates.is_empty() && !gates.contains(&gate) {
            gates.push(gate);
        }
    }
    gates
}

/// Runs what was asked for, by its flag or by its gate.
async fn runs(arguments: &Arguments, job: &Job, settings: &mut Settings, context: &mut Context) -> Outcome<Runs> {
    let asked = |flag: bool, gate| flag || arguments.gates.contains(&gate);
    let (home, terminal) = (&context.home, &mut context.terminal);
    let mut runs = Runs::default();
    if asked(arguments.tests, Gate::Tests) {
        let limit = Duration::from_secs(arguments.test_timeout);
        runs.tests = Some(tests::run(job, settings, home, limit, terminal).await?);
    }
    if asked(arguments.dry_run, Gate::DryRun) {
        runs.cluster = Some(dry_run::run(job, settings, home, &arguments.target, terminal).await);
    }
    if let Some(file) = &arguments.image_policy {
        runs.images = Some(images::run(job, file, terminal).await?);
    }
    if asked(arguments.spark_dry_run, Gate::SparkDryRun) {
        runs.spark = Some(spark::run(job, settings, home, terminal).await?);
    }
    Ok(runs)
}

fn paint(tone: Tone, text: &str) -> String {
    match tone {
        Tone::Plain => text.to_owned(),
        Tone::Good => green(text),
        Tone::Bad => red(text),
        Tone::Strong => bold(text),
        Tone::Dim => dim(text),
    }
}

/// The last line: what it means, and what to do next.
fn summary(report: &Report) -> String {
    let of_gates = report.findings().filter(|(_, finding)| finding.fails());
    let of_gates = of_gates.map(|(_, finding)| &finding.diagnostic);
    let first = of_gates.chain(&report.waivers).find(|found| found.is_error());
    let hint = first.map(|found| format!("; `stoke check --explain {}` explains the first", found.code));
    let verdict = match report.exit_code() {
        0 => green("the job passes"),
        1 => red("the job does not pass"),
        _ => red("nothing is known to be wrong, but not everything could be checked"),
    };
    format!("{verdict}{}", hint.unwrap_or_default())
}

/// The files of the job.
fn read(paths: &[String]) -> Outcome<Job> {
    let (inputs, directories): (Vec<&String>, Vec<&String>) = paths.iter().partition(|path| *path == "-");
    let mut named: Vec<PathBuf> = directories.into_iter().map(PathBuf::from).collect();
    if paths.is_empty() {
        named.push(".".into());
    }
    let mut job = job::read(&named).map_err(|error| {
        Failure::input("stoke::check::unreadable", error).fix("name the files or the directory of the job")
    })?;
    if !inputs.is_empty() {
        let mut bytes = Vec::new();
        std::io::stdin().take(job::MOST_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > job::MOST_BYTES {
            let most = job::MOST_BYTES >> 20;
            let message = format!("standard input goes beyond {most} MiB; nothing was checked");
            return Err(Failure::input("stoke::check::unreadable", message).fix("give it in parts"));
        }
        let mut file = job::of_bytes("<stdin>.yaml", &bytes);
        file.name = "<stdin>".to_owned();
        job.files.push(file);
    }
    if job.files.is_empty() {
        let shown: Vec<&str> = if paths.is_empty() {
            vec!["."]
        } else {
            paths.iter().map(String::as_str).collect()
        };
        return Err(Failure::input(
            "stoke::check::nothing",
            format!("{}: there is nothing to check", shown.join(", ")),
        )
        .fix("name a directory with manifests, SQL or code"));
    }
    Ok(job)
}

/// The policies that are named, or those beside the job.
fn policies(arguments: &Arguments) -> Outcome<Vec<PolicyFile>> {
    let mut directories = arguments.policies.clone();
    if directories.is_empty() {
        let beside = arguments
            .paths
            .iter()
            .map(Path::new)
            .filter(|path| path.is_dir())
            .chain([Path::new(".")].into_iter().filter(|_| arguments.paths.is_empty()));
        let found = beside.flat_map(|path| ["policies", "policy"].map(|name| path.join(name)));
        directories = found.filter(|path| path.is_dir()).collect();
    }
    let mut files = Vec::new();
    for directory in &directories {
        let read = stoke_policy::files::read(directory);
        files.extend(read.map_err(|(path, error)| {
            Failure::input("stoke::check::policies", format!("{}: {error}", path.display()))
                .fix("name a directory with policies that can be read")
        })?);
    }
    let named: Vec<&str> = arguments.pack.iter().map(String::as_str).collect();
    if !named.is_empty() {
        files.extend(stoke_policy::pack::policies(&named));
    }
    Ok(files)
}

/// Where known vulnerabilities are looked up. That there is no database is for the gate to say: most jobs have nothing to look up.
fn advisories(arguments: &Arguments, context: &Context) -> Advisories {
    let directory = match &arguments.advisories {
        Some(none) if none == Path::new("none") => return Advisories::NotAsked,
        Some(directory) => directory.clone(),
        None => super::advisories::directory(&context.home),
    };
    match Database::open(&directory) {
        Ok(database) => Advisories::Database(Arc::new(database)),
        Err(error) => Advisories::Missing(error.to_string()),
    }
}

/// The Sparks at hand.
fn runtimes(context: &Context) -> Vec<(String, PathBuf)> {
    let all = Runtimes::new(context.home.root()).list().into_iter();
    all.map(|runtime| (runtime.version.to_string(), runtime.spark_home))
        .collect()
}

/// The waivers that are named, or those beside the job.
fn waivers_of(arguments: &Arguments, terminal: &mut Terminal) -> Outcome<Waivers> {
    let beside = |path: &String| {
        let path = Path::new(path);
        let directory = if path.is_dir() {
            path
        } else {
            path.parent().unwrap_or(Path::new("."))
        };
        Some(directory.join(waivers::FILE)).filter(|file| file.is_file())
    };
    let here = ".".to_owned();
    let file = arguments.waivers.clone().or_else(|| {
        arguments
            .paths
            .iter()
            .filter(|path| *path != "-")
            .find_map(beside)
            .or_else(|| beside(&here))
    });
    let Some(file) = file else {
        return Ok(Waivers::default());
    };
    let shown = file.strip_prefix(".").unwrap_or(&file).display().to_string();
    let bytes = std::fs::read(&file).map_err(|error| {
        Failure::input("stoke::check::waivers", format!("{shown}: {error}")).fix("name a file of waivers")
    })?;
    Waivers::read(&shown, &bytes).map_err(|wrong| {
        if terminal.format() == Format::Text {
            for finding in &wrong {
                let fix = finding.fix_text();
                terminal.note(format!(
                    "{}: {}: {}; {fix}",
                    red(format!("error[{}]", finding.code)),
                    finding.place(),
                    finding.message
                ));
            }
        }
        Failure::input(
            "stoke::check::waivers",
            format!("{shown}: the waivers cannot be read; nothing was checked"),
        )
        .fix("fix them; a waiver that is half understood would let something else pass")
    })
}
