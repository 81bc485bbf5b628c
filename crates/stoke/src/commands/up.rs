//! `stoke up`: the embedded cluster, until it is told to end.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::json;
use stoke_eventlog::Source;
use stoke_laptop::embedded::{Embedded, Serving};
use stoke_laptop::event_logs;
use stoke_laptop::home::Home;
use stoke_laptop::images::ensure;
use stoke_laptop::interrupt::{interrupted, listen};
use stoke_laptop::monitoring::{ADDRESSES_FILE, Monitoring, Programs, Targets, addresses};
use stoke_laptop::object_store;
use stoke_laptop::session::{Place, Session, connect};
use stoke_operator::{ImagePolicy, Policies};
use stoke_storage::Address;
use tokio::task::JoinHandle;

use crate::cli::{Context, Size};
use crate::commands::history::Beside;
use crate::commands::operator::policies::Rules;
use crate::commands::pages::PageSources;
use crate::commands::trace::SendTraces;
use crate::failure::{Failure, Outcome};
use crate::terminal::{Format, Terminal};

/// Namespace of the embedded cluster whose labelled ConfigMaps are policies.
const POLICIES: &str = "default";

/// Arguments of `stoke up`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Return once the cluster answers; it stays in the background until `stoke down`
    #[arg(long)]
    pub detach: bool,
    /// Install these Spark versions first
    #[arg(long, value_name = "VERSIONS", value_delimiter = ',')]
    spark: Vec<String>,
    /// Leave the operator out, for one that you install or run yourself
    #[arg(long)]
    no_operator: bool,
    /// Keep logs there after their pods are gone, in the cluster's own object store or at file:///directory; `none` keeps none
    #[arg(long, value_name = "URL", default_value = object_store::LOGS)]
    keep_logs: String,
    /// Start the installed Prometheus and Alertmanager beside the cluster, with Stoke's rules; with a number, windows and waiting times are divided by it
    #[arg(long, value_name = "TIMES", num_args = 0..=1, require_equals = true, default_missing_value = "1", value_parser = clap::value_parser!(u32).range(1..=3600))]
    observe: Option<u32>,
    /// Leave the terminal's session (how `--detach` starts the cluster)
    #[arg(long, hide = true)]
    own_session: bool,
    #[command(flatten)]
    traces: SendTraces,
    #[command(flatten)]
    pages: PageSources,
    #[command(flatten)]
    rules: Rules,
    #[command(flatten)]
    pub size: Size,
}

/// Runs the command.
pub async fn run(arguments: Arguments, context: &mut Context) -> Outcome<u8> {
    let ready = prepare(&arguments, context).await?;
    if connect(&context.home.default_cluster()).await.is_some() {
        return Err(
            Failure::environment("stoke::cluster::already-up", "the embedded cluster is up already")
                .fix("`stoke status` shows it, `stoke down` ends it"),
        );
    }
    let started = Instant::now();
    if arguments.detach {
        let announced = detach(&arguments, context).await?;
        announce(&context.home, &announced, started.elapsed(), &mut context.terminal);
        return Ok(0);
    }
    let running = start(&arguments, ready, context).await?;
    announce(
        &context.home,
        &running.addresses,
        started.elapsed(),
        &mut context.terminal,
    );
    let result = interrupted().await;
    running.end(&mut context.terminal).await;
    result?;
    Ok(0)
}

/// What was read before anything runs.
pub struct Ready {
    policies: Policies,
    images: ImagePolicy,
}

/// Reads what the arguments name and installs the Sparks; nothing runs yet that would have to be ended again.
pub async fn prepare(arguments: &Arguments, context: &mut Context) -> Outcome<Ready> {
    if arguments.no_operator && !arguments.rules.is_empty() {
        return Err(Failure::input(
            "stoke::operator::policies",
            "without an operator policies are not evaluated",
        )
        .fix("give --policies and --policy-pack to `stoke operator run`, or leave out --no-operator"));
    }
    if arguments.observe.is_some() {
        Programs::find()?;
    }
    let policies = arguments.rules.load(Some(POLICIES))?;
    let images = arguments.rules.images()?;
    arguments.pages.prices()?;
    arguments.traces.receiver()?;
    for version in &arguments.spark {
        ensure(&context.home, &format!("spark:{version}"), &mut context.terminal).await?;
    }
    Ok(Ready { policies, images })
}

/// A cluster that runs in this process, and what is beside it.
pub struct Running {
    embedded: Embedded,
    directory: PathBuf,
    monitoring: Option<Monitoring>,
    watching: JoinHandle<()>,
    history: Beside,
    pub addresses: Addresses,
}

impl Running {
    /// Ends it with its pods.
    pub async fn end(self, terminal: &mut Terminal) {
        terminal.note("ending the cluster and its pods");
        for file in ["kubeconfig", HISTORY_FILE, LINK_FILE, ADDRESSES_FILE] {
            let _ = std::fs::remove_file(self.directory.join(file));
        }
        drop(self.monitoring);
        self.watching.abort();
        self.history.stop();
        self.embedded.stop(true).await;
        let _ = std::fs::remove_file(self.directory.join("pid"));
    }
}

/// Starts the cluster in this process.
pub async fn start(arguments: &Arguments, ready: Ready, context: &mut Context) -> Outcome<Running> {
    let Ready { policies, images } = ready;
    if arguments.own_session {
        rustix::process::setsid().map_err(std::io::Error::from)?;
    }
    listen()?;
    let keeps = Some(arguments.keep_logs.as_str()).filter(|url| *url != "none");
    let logs = keeps.map(Address::of_url).transpose();
    let logs = logs.map_err(|error| Failure::input(error.code(), format!("--keep-logs: {error}")))?;
    let observe = arguments.observe.is_some();
    let serving = (!arguments.no_operator).then_some(Serving {
        logs,
        policies,
        images,
        observe,
        without_keys: false,
    });
    let embedded = Embedded::start_default(&context.home, &arguments.size.node()?, serving).await?;
    let directory = embedded.directory().to_path_buf();
    // Of a cluster that was killed.
    for file in [HISTORY_FILE, ADDRESSES_FILE] {
        let _ = std::fs::remove_file(directory.join(file));
    }
    write_private(&directory.join("kubeconfig"), &embedded.kubeconfig())?;
    write_private(&directory.join("pid"), &std::process::id().to_string())?;
    // Over a connection: what a page carries to a pod needs one.
    let client = connect(&directory).await.unwrap_or_else(|| embedded.client());
    let mut watching = arguments.pages.watching(
        Some(Source::directory(event_logs::directory(&context.home))),
        &mut context.terminal,
    )?;
    let session = Session {
        client: client.clone(),
        namespace: "default".to_owned(),
        place: Place::Up,
    };
    watching.files(&context.home, Some(session));
    let receiver = arguments.traces.receiver()?;
    let history = Beside::start(
        &context.home,
        &arguments.pages,
        watching.board.clone(),
        receiver,
        client,
    )
    .await?;
    write_private(&directory.join(LINK_FILE), &history.link)?;
    std::fs::write(directory.join(HISTORY_FILE), format!("http://{}", history.address))?;
    let monitoring = match arguments.observe {
        Some(times) => {
            let targets = Targets {
                client: embedded.client(),
                operator: embedded.metrics(),
                history: history.address,
                times,
            };
            let started = Monitoring::start(&Programs::find()?, &directory.join("monitoring"), &targets).await?;
            let written = format!("{}\n{}", started.prometheus, started.alertmanager);
            std::fs::write(directory.join(ADDRESSES_FILE), written)?;
            Some(started)
        }
        None => None,
    };
    if let (Some(monitoring), false) = (&monitoring, arguments.pages.names_alertmanager()) {
        watching.alertmanager(&format!("http://{}", monitoring.alertmanager))?;
    }
    let watching = tokio::spawn(watching.run());
    let addresses = Addresses {
        server: embedded.url(),
        objects: embedded.object_store(),
        history: history_of(&directory),
        monitoring: addresses(&directory),
    };
    Ok(Running {
        embedded,
        directory,
        monitoring,
        watching,
        history,
        addresses,
    })
}

/// Starts this program again in a session of its own, and waits until its cluster answers.
pub async fn detach(arguments: &Arguments, context: &Context) -> Outcome<Addresses> {
    let directory = context.home.default_cluster();
    stoke_laptop::home::create_private(&directory)?;
    let log_path = directory.join("stoke.log");
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&log_path)?;
    // What earlier clusters said is above this.
    let said_before = usize::try_from(log.metadata()?.len()).unwrap_or_default();
    let mut command = tokio::process::Command::new(std::env::current_exe()?);
    command.args(["up", "--own-session", "--home"]).arg(context.home.root());
    if let Some(cpus) = arguments.size.cpus {
        command.arg("--cpus").arg(cpus.to_string());
    }
    if let Some(memory) = &arguments.size.memory {
        command.arg("--memory").arg(memory);
    }
    command.arg("--keep-logs").arg(&arguments.keep_logs);
    command.args(arguments.pages.again());
    arguments.traces.again(&mut command);
    for directory in &arguments.rules.policies {
        command.arg("--policies").arg(directory);
    }
    if !arguments.rules.policy_pack.is_empty() {
        command.arg("--policy-pack").arg(arguments.rules.policy_pack.join(","));
    }
    if let Some(file) = &arguments.rules.image_policy {
        command.arg("--image-policy").arg(file);
    }
    if arguments.no_operator {
        command.arg("--no-operator");
    }
    if let Some(times) = arguments.observe {
        command.arg(format!("--observe={times}"));
    }
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let mut child = command.spawn()?;
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        // Of two that start at once the other may answer: ours is the one whose process it is.
        let pid = std::fs::read_to_string(directory.join("pid")).unwrap_or_default();
        let ours = pid.trim().parse().ok() == child.id();
        let whole = directory.join(HISTORY_FILE).exists()
            && (arguments.observe.is_none() || directory.join(ADDRESSES_FILE).exists());
        if ours && whole && connect(&directory).await.is_some() {
            let objects = object_store::endpoint(&directory).await.unwrap_or_default();
            return Ok(Addresses {
                server: server(&directory),
                objects,
                history: history_of(&directory),
                monitoring: addresses(&directory),
            });
        }
        if let Some(status) = child.try_wait()? {
            let log = std::fs::read(&log_path).unwrap_or_default();
            let said = String::from_utf8_lossy(log.get(said_before..).unwrap_or_default());
            let tail: Vec<&str> = said.lines().rev().take(5).collect();
            let tail: Vec<&str> = tail.into_iter().rev().collect();
            return Err(Failure::environment(
                "stoke::cluster::start",
                format!("the cluster ended at once ({status}):\n  {}", tail.join("\n  ")),
            )
            .fix(format!("see {}", log_path.display())));
        }
        if Instant::now() > deadline {
            return Err(
                Failure::environment("stoke::cluster::start", "the cluster did not answer within 30 s")
                    .fix(format!("see {}", log_path.display())),
            );
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The server's address as the kubeconfig says it.
fn server(directory: &Path) -> String {
    let kubeconfig = kube::config::Kubeconfig::read_from(directory.join("kubeconfig")).unwrap_or_default();
    kubeconfig
        .clusters
        .into_iter()
        .find_map(|cluster| cluster.cluster.and_then(|cluster| cluster.server))
        .unwrap_or_default()
}

/// Where a cluster and what is beside it are served.
pub struct Addresses {
    server: String,
    objects: String,
    history: String,
    /// Prometheus and Alertmanager, where they run.
    monitoring: Option<(String, String)>,
}

/// File of a cluster's directory that says where its history is served; there while it is.
const HISTORY_FILE: &str = "history";

/// File of a cluster's directory with the link that opens its pages, for its owner's eyes only.
const LINK_FILE: &str = "console-link";

/// The link that opens the pages of the cluster with this directory; empty when they are not served.
pub fn link_of(directory: &Path) -> String {
    std::fs::read_to_string(directory.join(LINK_FILE)).unwrap_or_default()
}

/// Where the history of the cluster with this directory is served; empty when it is not.
pub fn history_of(directory: &Path) -> String {
    std::fs::read_to_string(directory.join(HISTORY_FILE)).unwrap_or_default()
}

pub fn announce(home: &Home, addresses: &Addresses, elapsed: Duration, terminal: &mut Terminal) {
    let Addresses {
        server,
        objects,
        history,
        monitoring,
    } = addresses;
    let (prometheus, alertmanager) = monitoring.clone().unzip();
    let kubeconfig = home.default_cluster().join("kubeconfig");
    match terminal.format() {
        Format::Json => terminal.json(&json!({
            "server": server, "kubeconfig": kubeconfig, "home": home.root(), "objectStore": objects, "bucket": object_store::BUCKET,
            "history": history, "prometheus": prometheus, "alertmanager": alertmanager,
        })),
        Format::Text => {
            terminal.out(format!(
                "Kubernetes API  {server}  (ready in {})",
                stoke_model::units::people::elapsed(elapsed)
            ));
            terminal.out(format!("kubeconfig      {}", kubeconfig.display()));
            terminal.out(format!("S3 object store {objects}  (s3a://{}; keys: stoke env)", object_store::BUCKET));
            terminal.out(format!("console         {history}/  (stoke open; status API: /api/v1)"));
            if let (Some(prometheus), Some(alertmanager)) = (&prometheus, &alertmanager) {
                terminal.out(format!("Prometheus      {prometheus}/  (rules: {prometheus}/alerts)"));
                terminal.out(format!("Alertmanager    {alertmanager}/"));
            }
            terminal.out("use it          export KUBECONFIG=$(stoke kubeconfig --path); kubectl get sparkapplication");
            terminal.out("end it          stoke down");
        }
    }
}

fn write_private(path: &Path, text: &str) -> Outcome<()> {
    let partial = path.with_extension("partial");
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(&partial)?;
    file.write_all(text.as_bytes())?;
    std::fs::rename(&partial, path)?;
    Ok(())
}
