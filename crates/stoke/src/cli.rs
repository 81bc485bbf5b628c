//! The command line: what can be said, and which command says it.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};
use stoke_laptop::home::Home;
use stoke_laptop::{embedded, session};
use stoke_model::quantity::Quantity;

use crate::commands;
use crate::failure::{Failure, Outcome};
use crate::terminal::{Format, Terminal};

/// Apache Spark on Kubernetes, production-grade, in one binary.
#[derive(Parser)]
#[command(
    name = "stoke",
    version,
    max_term_width = 110,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command understands.
#[derive(Args, Clone)]
pub struct Global {
    /// Directory everything lives under [default: the user's data directory]
    #[arg(long, global = true, env = "STOKE_HOME", value_name = "DIR", hide_env_values = true)]
    pub home: Option<PathBuf>,
    /// Form of the result on standard output
    #[arg(
        long,
        short = 'o',
        global = true,
        value_enum,
        default_value = "text",
        value_name = "FORM"
    )]
    pub output: Format,
}

/// Which cluster, which namespace.
#[derive(Args, Clone)]
pub struct Target {
    /// Context of your kubeconfig, for a cluster other than the embedded one
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// Namespace [default: the manifest's, the context's, else `default`]
    #[arg(long, short = 'n', value_name = "NAME")]
    pub namespace: Option<String>,
}

/// Size of an embedded cluster's node.
#[derive(Args, Clone, Default)]
pub struct Size {
    /// Cores the embedded node offers [default: the machine's]
    #[arg(long, value_name = "N")]
    pub cpus: Option<u32>,
    /// Memory the embedded node offers, for example 16Gi [default: the machine's]
    #[arg(long, value_name = "QUANTITY")]
    pub memory: Option<String>,
}

impl Target {
    /// The cluster that is meant.
    pub fn cluster(&self) -> session::Target {
        session::Target {
            context: self.context.clone(),
            namespace: self.namespace.clone(),
        }
    }
}

impl Size {
    /// The node that is meant.
    pub fn node(&self) -> Outcome<embedded::Size> {
        let bytes = |text: &String| {
            let quantity: Result<Quantity, _> = text.parse();
            quantity
                .map(|quantity| quantity.bytes())
                .map_err(|error| Failure::input("stoke::cli::memory", format!("--memory {text}: {error}")))
        };
        Ok(embedded::Size {
            cpus: self.cpus,
            memory: self.memory.as_ref().map(bytes).transpose()?,
        })
    }
}

#[derive(Subcommand)]
pub enum Command {
    /// Make a job directory that passes its checks and runs at once: code, manifest, tests, contract, pipeline
    New(commands::new::Arguments),
    /// Presets by workload: what each key is for and does, what differs, written into a manifest
    #[command(subcommand)]
    Preset(commands::preset::Command),
    /// Run an application: apply its manifest, follow it, print its result
    Run(commands::run::Arguments),
    /// Start the embedded cluster and keep it running
    Up(commands::up::Arguments),
    /// End the embedded cluster and everything in it
    Down(commands::down::Arguments),
    /// Tell whether the embedded cluster is up and well
    Status,
    /// List applications
    Ps(commands::ps::Arguments),
    /// Print the log of a driver or an executor
    Logs(commands::logs::Arguments),
    /// Print the address of an application's Spark UI
    Ui(commands::ui::Arguments),
    /// Open the pages of the embedded cluster in a browser
    Open(commands::open::Arguments),
    /// Serve pages of any cluster: what needs attention, applications, nodes, checks
    Console(commands::console::Arguments),
    /// Open a Spark Connect server at a local address, through the API server
    Connect(commands::connect::Arguments),
    /// Run SQL on a Spark Connect server, read-only unless asked otherwise
    Sql(commands::sql::Arguments),
    /// Delete an application and what belongs to it
    Delete(commands::delete::Arguments),
    /// Print the embedded cluster's kubeconfig
    Kubeconfig(commands::kubeconfig::Arguments),
    /// Print what a shell needs to use the embedded cluster and its object store: `eval "$(stoke env)"`
    Env,
    /// Local Sparks that container images map to
    #[command(subcommand)]
    Runtime(commands::runtime::Command),
    /// Images without Docker: built the same each time, looked at, moved between registries, layouts and archives
    #[command(subcommand)]
    Image(commands::image::Command),
    /// The state of the embedded cluster in one file, and back
    #[command(subcommand)]
    Snapshot(commands::snapshot::Command),
    /// Find every reason a job would fail or be refused, before it runs
    Check(commands::check::Arguments),
    /// Known vulnerabilities, for `stoke check` to look up offline
    #[command(subcommand)]
    Advisories(commands::advisories::Command),
    /// Check data by a contract, or compare them with other data
    #[command(subcommand)]
    Quality(commands::quality::Command),
    /// Policies by themselves: test, list and begin with some
    #[command(subcommand)]
    Policy(commands::policy::Command),
    /// The components around Spark, of one file: catalogs, stores, notebooks, streams, schedules, in each environment
    #[command(subcommand)]
    Platform(Box<commands::platform::Command>),
    /// Pipelines of GitHub and GitLab that check, release and promote
    #[command(subcommand)]
    Ci(commands::ci::Command),
    /// Releases: made once, promoted through environments by rule, rolled back, with a ledger of it all
    #[command(subcommand)]
    Release(Box<commands::release::Command>),
    /// Submit with spark-submit's own arguments
    Submit(commands::submit::Arguments),
    /// List what is in an image or a directory, as CycloneDX or SPDX, and what is known against it
    Sbom(commands::sbom::Arguments),
    /// Make a pair of keys to sign images with
    Keygen(commands::evidence::KeygenArguments),
    /// Sign an image, so that cosign and the operator verify it
    Sign(commands::evidence::SignArguments),
    /// Attest something of an image: its packages, how it was built, what the gates said
    Attest(commands::evidence::AttestArguments),
    /// Verify who signed an image and what is attested, or by a policy whether it may run
    Verify(commands::evidence::VerifyArguments),
    /// Make a manifest of what runs Spark now: Apache's application, a spark-submit command line or script, a Job, Helm values
    Convert(commands::convert::Arguments),
    /// Run or install the operator on any cluster
    #[command(subcommand)]
    Operator(commands::operator::Command),
    /// Monitor Spark: scrape configuration, alerts with their tests, Alertmanager, dashboards, series of ended runs
    #[command(subcommand)]
    Observe(commands::observe::Command),
    /// Spark's History Server, without Spark: pages and the status API from event logs
    #[command(subcommand)]
    History(commands::history::Command),
    /// Tell what is wrong with a run, the root cause first, with evidence and a fix
    Doctor(commands::doctor::Arguments),
    /// Runbooks that run: they check, act and prove, and keep a record
    #[command(subcommand)]
    Runbook(commands::runbook::Command),
    /// Incidents: a time line collected from everything, times to detect and repair, the draft of a review
    #[command(subcommand)]
    Incident(commands::incident::Command),
    /// Collect what `stoke doctor` needs into one file without secrets
    Bundle(commands::bundle::Arguments),
    /// Tell how long a run would have taken with other executors
    WhatIf(commands::what_if::Arguments),
    /// Tell what a run cost and for what, or what many runs cost by a label
    Cost(commands::cost::Arguments),
    /// Tell how large a run should be: executors, cores, memory, partitions
    Size(commands::size::Arguments),
    /// Objectives of services and of batch runs: budgets, evidence, rules, a gate for releases
    #[command(subcommand)]
    Slo(commands::slo::Command),
    /// Send a run as OpenTelemetry spans to a receiver of OTLP
    Trace(commands::trace::Arguments),
    /// Tell what changed between two runs, and which change explains the time
    Compare(commands::compare::Arguments),
    /// Metrics that exist, and rules and dashboards that ask for others
    #[command(subcommand)]
    Metrics(commands::metrics::Command),
    /// Explain a manifest field or a Spark configuration key
    Explain(commands::explain::Arguments),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// What a command is given.
pub struct Context {
    pub home: Home,
    pub terminal: Terminal,
}

impl Command {
    /// Commands that never touch the home, so that they run where nothing may be written: in a container with a read-only root.
    fn keeps_nothing(&self) -> bool {
        match self {
            Command::Operator(_)
            | Command::Explain(_)
            | Command::Convert(_)
            | Command::Policy(_)
            | Command::Metrics(_)
            | Command::New(_)
            | Command::Preset(_)
            | Command::Ci(_) => true,
            Command::Platform(command) => !command.asks_a_cluster(),
            Command::Console(arguments) => arguments.tokens,
            _ => false,
        }
    }
}

/// Parses the command line, runs the command, gives the exit code.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let mut terminal = Terminal::new(cli.global.output);
    if let Command::Completions { shell } = cli.command {
        clap_complete::generate(shell, &mut Cli::command(), "stoke", &mut std::io::stdout());
        return ExitCode::SUCCESS;
    }
    // The operator's log has flags of its own.
    if !matches!(cli.command, Command::Operator(commands::operator::Command::Run(_))) {
        logging();
    }
    let home = if cli.command.keeps_nothing() {
        Ok(Home::unused(cli.global.home.clone()))
    } else {
        Home::find(cli.global.home.clone()).and_then(|home| home.create().map(|()| home))
    };
    let home = match home {
        Ok(home) => home,
        Err(error) => {
            let failure = Failure::from(error);
            terminal.failure(&failure);
            return ExitCode::from(failure.exit);
        }
    };
    // Two TLS providers must never meet; ring is ours.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut context = Context { home, terminal };
    match dispatch(cli.command, &mut context) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            context.terminal.failure(&failure);
            ExitCode::from(failure.exit)
        }
    }
}

fn dispatch(command: Command, context: &mut Context) -> Outcome<u8> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let code = runtime.block_on(async {
        match command {
            Command::New(arguments) => commands::new::run(&arguments, context),
            Command::Preset(command) => commands::preset::run(&command, context),
            Command::Run(arguments) => commands::run::run(arguments, context).await,
            Command::Up(arguments) => commands::up::run(arguments, context).await,
            Command::Down(arguments) => commands::down::run(arguments, context).await,
            Command::Status => commands::status::run(context).await,
            Command::Ps(arguments) => commands::ps::run(arguments, context).await,
            Command::Logs(arguments) => commands::logs::run(arguments, context).await,
            Command::Ui(arguments) => commands::ui::run(arguments, context).await,
            Command::Connect(arguments) => commands::connect::run(arguments, context).await,
            Command::Sql(arguments) => commands::sql::run(arguments, context).await,
            Command::Delete(arguments) => commands::delete::run(arguments, context).await,
            Command::Open(arguments) => commands::open::run(&arguments, context),
            Command::Console(arguments) => commands::console::run(arguments, context).await,
            Command::Env => commands::env::run(context).await,
            Command::Kubeconfig(arguments) => commands::kubeconfig::run(&arguments, context),
            Command::Runtime(command) => commands::runtime::run(command, context),
            Command::Image(command) => commands::image::run(command, context).await,
            Command::Snapshot(command) => commands::snapshot::run(command, context),
            Command::Submit(arguments) => commands::submit::run(arguments, context).await,
            Command::Platform(command) => commands::platform::run(*command, context).await,
            Command::Ci(command) => commands::ci::run(&command, context),
            Command::Release(command) => commands::release::run(*command, context).await,
            Command::Check(arguments) => commands::check::run(&arguments, context).await,
            Command::Advisories(command) => commands::advisories::run(command, context).await,
            Command::Quality(command) => commands::quality::run(command, context).await,
            Command::Policy(command) => commands::policy::run(command, context),
            Command::Sbom(arguments) => commands::sbom::run(arguments, context).await,
            Command::Keygen(arguments) => {
                commands::evidence::run(commands::evidence::Command::Keygen(arguments), context).await
            }
            Command::Sign(arguments) => {
                commands::evidence::run(commands::evidence::Command::Sign(arguments), context).await
            }
            Command::Attest(arguments) => {
                commands::evidence::run(commands::evidence::Command::Attest(arguments), context).await
            }
            Command::Verify(arguments) => {
                commands::evidence::run(commands::evidence::Command::Verify(arguments), context).await
            }
            Command::Convert(arguments) => commands::convert::run(&arguments, context),
            Command::Operator(command) => commands::operator::run(command, context).await,
            Command::Observe(command) => commands::observe::run(command, context).await,
            Command::History(command) => commands::history::run(command, context).await,
            Command::Doctor(arguments) => commands::doctor::run(arguments, context).await,
            Command::Runbook(command) => commands::runbook::run(command, context).await,
            Command::Incident(command) => commands::incident::run(command, context).await,
            Command::Bundle(arguments) => commands::bundle::run(arguments, context).await,
            Command::WhatIf(arguments) => commands::what_if::run(arguments, context).await,
            Command::Cost(arguments) => commands::cost::run(arguments, context).await,
            Command::Size(arguments) => commands::size::run(arguments, context).await,
            Command::Slo(command) => commands::slo::run(command, context).await,
            Command::Trace(arguments) => commands::trace::run(arguments, context).await,
            Command::Compare(arguments) => commands::compare::run(arguments, context).await,
            Command::Metrics(command) => commands::metrics::run(command, context).await,
            Command::Explain(arguments) => commands::explain::run(&arguments, context),
            Command::Completions { .. } => Err(Failure::input("stoke::cli::completions", "handled before")),
        }
    });
    // A blocked read of a closed terminal must not hold the process.
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    code
}

fn logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("STOKE_LOG").unwrap_or_else(|_| "off".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
