//! `stoke operator run`: flags in, a running operator out, until SIGTERM or Ctrl-C.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;
use kube::config::{KubeConfigOptions, Kubeconfig};
use stoke_operator::OperatorConfig;
use stoke_operator::application::KEPT_EXECUTORS;
use stoke_operator::lease::{Election, Terms};
use stoke_operator::logs::{KeepLogs, Which};
use stoke_operator::metrics::{Metrics, MetricsConfig};
use stoke_operator::quality::Runner;
use stoke_operator::serve::{RequestLimit, ServeConfig, serve};
use stoke_storage::{Access, Address};
use stoke_submit::application::{GatewayReference, IngressSettings};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::policies::Rules;
use super::webhook::Webhook;
use crate::cli::Context;
use crate::failure::{Failure, Outcome};

/// Arguments of `stoke operator run`. Flags that the published operator has, have its names.
#[derive(clap::Args)]
#[command(after_help = "\
Without --kubeconfig and --context: the service account when this is a pod, else $KUBECONFIG and ~/.kube/config.
Ends with 0 on SIGTERM and Ctrl-C, after handing its leases back. The level of its log is --log-level, or STOKE_LOG.")]
pub struct Arguments {
    /// Kubeconfig of the cluster
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Namespaces to work in, comma-separated [default: all]; needs rights in those only
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    namespaces: Vec<String>,
    /// Work in the namespaces with these labels too, also those labelled later; needs rights in the whole cluster
    #[arg(long, value_name = "LABELS")]
    namespace_selector: Option<String>,
    /// Applications worked on at the same time
    #[arg(long, value_name = "N", default_value_t = 64)]
    controller_threads: usize,
    /// Most requests to the API server per second, without watches and leases; 0 leaves that to its priority and fairness
    #[arg(long, value_name = "N", default_value_t = 0.0)]
    kube_api_qps: f64,
    /// Requests that may come at once after a pause [default: as many as in a second]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    kube_api_burst: u32,
    /// Executors in an application's status; the oldest ended ones go first, live ones always stay
    #[arg(long, value_name = "N", default_value_t = KEPT_EXECUTORS)]
    max_tracked_executor_per_app: usize,
    /// Seconds after its end in which an application without timeToLiveSeconds is deleted; 0 for never
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    default_time_to_live_seconds: u32,
    /// Image of applications that name none
    #[arg(long, value_name = "IMAGE")]
    default_image: Option<String>,
    /// Give every application a service for its UI
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    enable_ui_service: bool,
    /// Ingress of the UI, for example {{$appName}}.spark.example.com
    #[arg(long, value_name = "URL")]
    ingress_url_format: Option<String>,
    /// Class of the ingresses
    #[arg(long, value_name = "NAME", requires = "ingress_url_format")]
    ingress_class_name: Option<String>,
    /// TLS of the ingresses, a JSON list: [{"hosts":["*.example.com"],"secretName":"tls"}]
    #[arg(long, value_name = "JSON", requires = "ingress_url_format")]
    ingress_tls: Option<String>,
    /// Annotations of the ingresses, a JSON object
    #[arg(long, value_name = "JSON", requires = "ingress_url_format")]
    ingress_annotations: Option<String>,
    /// Gateway an HTTPRoute hangs on, which is made instead of an ingress; may be given again
    #[arg(
        long,
        value_name = "[NAMESPACE/]NAME[:LISTENER]",
        value_parser = gateway,
        requires = "ingress_url_format",
        conflicts_with_all = ["ingress_tls", "ingress_class_name"]
    )]
    ingress_gateway: Vec<GatewayReference>,
    /// Schedulers that are a kube-scheduler with the coscheduling plugin, which wants PodGroups
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    kube_scheduler_names: Vec<String>,
    /// Batch scheduler of applications that name none
    #[arg(long, value_name = "NAME")]
    default_batch_scheduler: Option<String>,
    /// Give every driver a disruption budget
    #[arg(long, value_name = "BOOL", default_value_t = false, num_args = 0..=1, default_missing_value = "true", action = clap::ArgAction::Set)]
    enable_driver_pdb: bool,
    /// Work only while holding a lease, so that several operators can run; --leader-election=false when there is one only
    #[arg(long, value_name = "BOOL", default_value_t = true, num_args = 0..=1, default_missing_value = "true", action = clap::ArgAction::Set)]
    leader_election: bool,
    /// Name of the lease
    #[arg(long, value_name = "NAME", default_value = "spark-operator-controller-lock")]
    leader_election_lock_name: String,
    /// Namespace of the lease [default: the pod's, else the context's]
    #[arg(long, value_name = "NAME")]
    leader_election_lock_namespace: Option<String>,
    /// How long others leave a lease alone that is not renewed
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = time)]
    leader_election_lease_duration: Duration,
    /// How long a holder works on that cannot renew
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    leader_election_renew_deadline: Duration,
    /// Time between two renewals
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = time)]
    leader_election_retry_period: Duration,
    /// Spread applications over the operators of this lease, in so many parts with a lease each; the same for all of them
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    shards: u16,
    /// Answer /metrics
    #[arg(long, value_name = "BOOL", default_value_t = true, num_args = 0..=1, default_missing_value = "true", action = clap::ArgAction::Set)]
    enable_metrics: bool,
    /// Where metrics are answered
    #[arg(long, value_name = "ADDRESS", default_value = ":8080", value_parser = address)]
    metrics_bind_address: SocketAddr,
    /// Path of the metrics
    #[arg(long, value_name = "PATH", default_value = "/metrics")]
    metrics_endpoint: String,
    /// Put before the names of the metrics of applications
    #[arg(long, value_name = "TEXT", default_value = "")]
    metrics_prefix: String,
    /// Labels of applications that become labels of their metrics, comma-separated
    #[arg(long, value_delimiter = ',', value_name = "LABELS")]
    metrics_labels: Vec<String>,
    /// Buckets of the start latency in seconds, comma-separated
    #[arg(long, value_delimiter = ',', value_name = "SECONDS")]
    metrics_job_start_latency_buckets: Vec<f64>,
    /// Buckets of the submission latency in seconds, comma-separated
    #[arg(long, value_delimiter = ',', value_name = "SECONDS")]
    metrics_job_submit_latency_buckets: Vec<f64>,
    /// Where /healthz and /readyz are answered
    #[arg(long, value_name = "ADDRESS", default_value = ":8081", value_parser = address)]
    health_probe_bind_address: SocketAddr,
    /// Let drivers serve their metrics and those of their executors on the port of their UI, and leave the end of their log in their pod's status, unless the application says otherwise
    #[arg(long, value_name = "BOOL", default_value_t = false, num_args = 0..=1, default_missing_value = "true", action = clap::ArgAction::Set)]
    observe_applications: bool,
    /// Keep logs of drivers here after their pods are gone: s3://bucket/prefix, gs://… or abfss://…, by the usual variables of that cloud, or file:///directory
    #[arg(long, value_name = "URL")]
    keep_logs: Option<String>,
    /// Which logs are kept of applications without the annotation stoke.dev/keep-logs: driver, all (of executors too) or none
    #[arg(long, value_name = "WHICH", default_value = "driver", requires = "keep_logs")]
    keep_logs_of: Which,
    /// Image with stoke at /usr/local/bin/stoke, as this operator's: it checks the data of applications with the annotation stoke.dev/quality
    #[arg(long, value_name = "IMAGE")]
    quality_image: Option<String>,
    /// Where these checks keep their verdicts, by namespace, unless a step names a history: s3://bucket/prefix, gs://… or abfss://…
    #[arg(long, value_name = "URL", requires = "quality_image")]
    quality_history: Option<String>,
    #[command(flatten)]
    webhook: Webhook,
    #[command(flatten)]
    rules: Rules,
    /// Namespace whose ConfigMaps with the label stoke.dev/policy=true are policies; without it ConfigMaps are none
    #[arg(long, value_name = "NAME")]
    policy_namespace: Option<String>,
    /// Form of the log on standard error
    #[arg(long, value_enum, default_value = "text", value_name = "FORM", alias = "zap-encoder")]
    log_format: LogFormat,
    /// Level of the log: error, warn, info, debug, trace
    #[arg(long, value_name = "LEVEL", default_value = "info", alias = "zap-log-level")]
    log_level: String,
}

/// Where the program is in the operator's image, by its Containerfile.
const IN_IMAGE: &str = "/usr/local/bin/stoke";

/// Form of the log.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum LogFormat {
    /// Lines for people.
    #[value(alias = "console")]
    Text,
    /// One JSON object a line, with the application's namespace and name in `spans`.
    Json,
}

pub(super) fn time(text: &str) -> Result<Duration, String> {
    stoke_model::duration::parse_spark(text, stoke_model::duration::TimeUnit::Second)
        .map_err(|error| error.to_string())
        .and_then(|span| Duration::try_from(span).map_err(|error| error.to_string()))
}

/// `:8080` is every address of the machine.
fn address(text: &str) -> Result<SocketAddr, String> {
    if let Some(port) = text.strip_prefix(':') {
        let port = port.parse().map_err(|error| format!("port {port}: {error}"))?;
        return Ok(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)));
    }
    text.parse()
        .map_err(|error| format!("{error}; write `:8080` or `127.0.0.1:8080`"))
}

/// Runs the command.
pub async fn run(arguments: Arguments, _context: &mut Context) -> Outcome<u8> {
    log(&arguments)?;
    let config = kube_config(arguments.kubeconfig.as_ref(), arguments.context.as_ref()).await?;
    let namespace = config.default_namespace.clone();
    let client = stoke_operator::client(config)?;
    let config = serve_config(&arguments, namespace)?;
    let (stop, stopped) = watch::channel(false);
    // Heard from the first moment on, so that a stop during the start is one too.
    let (mut terminated, mut interrupted) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let serving = tokio::spawn(serve(client, config, stopped));
    let waiting = tokio::spawn(async move {
        tokio::select! {
            _ = terminated.recv() => {}
            _ = interrupted.recv() => {}
        }
        tracing::info!("stopping");
        let _ = stop.send(true);
    });
    let served = serving.await;
    waiting.abort();
    match served {
        Ok(Ok(())) => Ok(0),
        Ok(Err(error)) => Err(Failure::environment("stoke::operator::serve", error)
            .fix("give another address with --metrics-bind-address and --health-probe-bind-address")),
        Err(error) => Err(Failure::environment("stoke::operator::ended", error)),
    }
}

/// The cluster to work for: a kubeconfig's, a context's, else what the surroundings tell.
pub(super) async fn kube_config(kubeconfig: Option<&PathBuf>, context: Option<&String>) -> Outcome<kube::Config> {
    let options = KubeConfigOptions {
        context: context.cloned(),
        ..KubeConfigOptions::default()
    };
    let unusable = |error: &dyn std::fmt::Display| {
        Failure::input(
            "stoke::operator::kubeconfig",
            format!("no cluster to work for: {error}"),
        )
        .fix(
            "give --context, or name a file in KUBECONFIG: `kubectl config get-contexts` lists the contexts there are, \
             `stoke kubeconfig --path` names the embedded cluster's file",
        )
    };
    if let Some(path) = kubeconfig {
        let kubeconfig = Kubeconfig::read_from(path).map_err(|error| unusable(&error))?;
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await;
        return config.map_err(|error| unusable(&error));
    }
    if context.is_some() {
        return kube::Config::from_kubeconfig(&options)
            .await
            .map_err(|error| unusable(&error));
    }
    kube::Config::infer().await.map_err(|error| unusable(&error))
}

/// A place of a store: pods share no directory.
fn quality_history(url: &str) -> Outcome<String> {
    let address =
        Address::parse(url).map_err(|error| Failure::input(error.code(), format!("--quality-history: {error}")))?;
    match address.bucket() {
        Some(_) => Ok(address.plain().to_string()),
        None => Err(Failure::input(
            "stoke::storage::address",
            format!("--quality-history {url}: that is a directory, and the pods that check data share none"),
        )
        .fix("write s3://bucket/prefix, gs://bucket/prefix or abfss://container@account.dfs.core.windows.net/prefix")),
    }
}

fn serve_config(arguments: &Arguments, namespace: String) -> Outcome<ServeConfig> {
    let pod = std::env::var("POD_NAME").or_else(|_| std::env::var("HOSTNAME"));
    let pod = pod.unwrap_or_else(|_| "stoke-operator".to_owned());
    let mut operator = OperatorConfig {
        namespaces: arguments
            .namespaces
            .iter()
            .filter(|name| !name.is_empty())
            .cloned()
            .collect(),
        identity: pod.clone(),
        workers: arguments.controller_threads.max(1),
        metrics: Metrics::new(metrics_config(arguments)),
        ..OperatorConfig::default()
    };
    if let Some(url) = arguments.keep_logs.as_deref().filter(|url| !url.is_empty()) {
        let place = Address::of_url(url)
            .and_then(|address| stoke_storage::open(&address, &Access::environment()))
            .map_err(|error| Failure::input(error.code(), format!("--keep-logs: {error}")))?;
        operator.logs = Some(KeepLogs {
            which: arguments.keep_logs_of,
            ..KeepLogs::new(place)
        });
    }
    let history = arguments.quality_history.as_deref().filter(|url| !url.is_empty());
    let history = history.map(quality_history).transpose()?;
    operator.quality = arguments
        .quality_image
        .clone()
        .filter(|image| !image.is_empty())
        .map(|image| Runner {
            image: Some(image),
            program: IN_IMAGE.to_owned(),
            history,
        });
    operator.limits.executors = Some(arguments.max_tracked_executor_per_app);
    let time_to_live = i64::from(arguments.default_time_to_live_seconds);
    operator.limits.time_to_live = (time_to_live > 0).then(|| SignedDuration::from_secs(time_to_live));
    operator.policies = arguments.rules.load(arguments.policy_namespace.as_deref())?;
    operator.images = arguments.rules.images()?;
    let settings = &mut operator.settings;
    settings.default_image.clone_from(&arguments.default_image);
    settings.ui_service = arguments.enable_ui_service;
    settings.observe = arguments.observe_applications;
    settings.driver_disruption_budget = arguments.enable_driver_pdb;
    settings
        .default_batch_scheduler
        .clone_from(&arguments.default_batch_scheduler);
    settings.ui_ingress = ingress(arguments)?;
    settings.kube_schedulers.clone_from(&arguments.kube_scheduler_names);
    let own_namespace = namespace.clone();
    let election = Election {
        name: arguments.leader_election_lock_name.clone(),
        namespace: arguments.leader_election_lock_namespace.clone().unwrap_or(namespace),
        identity: format!("{pod}_{}", unique()),
        shards: usize::from(arguments.shards),
        owner: stoke_operator::own::service_account(),
        terms: Terms {
            duration: arguments.leader_election_lease_duration,
            renew_deadline: arguments.leader_election_renew_deadline,
            retry: arguments.leader_election_retry_period,
        },
    };
    if let Err(why) = election.terms.check() {
        return Err(Failure::input("stoke::operator::lease", why));
    }
    if arguments.shards > 1 && !arguments.leader_election {
        return Err(Failure::input(
            "stoke::operator::lease",
            "--shards needs leases, and --leader-election=false has none",
        ));
    }
    Ok(ServeConfig {
        operator,
        namespace_selector: arguments
            .namespace_selector
            .clone()
            .filter(|selector| !selector.is_empty()),
        requests: RequestLimit::of(arguments.kube_api_qps, arguments.kube_api_burst),
        election: arguments.leader_election.then_some(election),
        probes: Some(arguments.health_probe_bind_address),
        webhook: arguments.webhook.config(&own_namespace)?,
        metrics: arguments
            .enable_metrics
            .then(|| (arguments.metrics_bind_address, arguments.metrics_endpoint.clone())),
    })
}

fn metrics_config(arguments: &Arguments) -> MetricsConfig {
    let default = MetricsConfig::default();
    let buckets = |given: &[f64], default: Vec<f64>| if given.is_empty() { default } else { given.to_vec() };
    MetricsConfig {
        prefix: arguments.metrics_prefix.clone(),
        labels: arguments
            .metrics_labels
            .iter()
            .filter(|label| !label.is_empty())
            .cloned()
            .collect(),
        start_latency_buckets: buckets(
            &arguments.metrics_job_start_latency_buckets,
            default.start_latency_buckets,
        ),
        submit_latency_buckets: buckets(
            &arguments.metrics_job_submit_latency_buckets,
            default.submit_latency_buckets,
        ),
    }
}

fn ingress(arguments: &Arguments) -> Outcome<Option<IngressSettings>> {
    let Some(url_format) = arguments.ingress_url_format.clone().filter(|format| !format.is_empty()) else {
        return Ok(None);
    };
    Ok(Some(IngressSettings {
        url_format,
        class_name: arguments.ingress_class_name.clone().filter(|name| !name.is_empty()),
        tls: parsed("--ingress-tls", arguments.ingress_tls.as_deref())?.unwrap_or_default(),
        annotations: parsed::<BTreeMap<_, _>>("--ingress-annotations", arguments.ingress_annotations.as_deref())?
            .unwrap_or_default(),
        gateways: arguments.ingress_gateway.clone(),
    }))
}

/// `[namespace/]name[:listener]`.
fn gateway(text: &str) -> Result<GatewayReference, String> {
    let (rest, listener) = match text.split_once(':') {
        Some((rest, listener)) => (rest, Some(listener)),
        None => (text, None),
    };
    let (namespace, name) = match rest.split_once('/') {
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, rest),
    };
    if [Some(name), namespace, listener]
        .into_iter()
        .flatten()
        .any(str::is_empty)
    {
        return Err("write it as name, namespace/name or namespace/name:listener".to_owned());
    }
    Ok(GatewayReference {
        name: name.to_owned(),
        namespace: namespace.map(str::to_owned),
        listener: listener.map(str::to_owned),
    })
}

fn parsed<T: serde::de::DeserializeOwned>(flag: &str, text: Option<&str>) -> Outcome<Option<T>> {
    let text = text.filter(|text| !text.is_empty());
    text.map(serde_json::from_str)
        .transpose()
        .map_err(|error| Failure::input("stoke::cli::json", format!("{flag}: {error}")))
}

/// Tells this process from every other that ever had its pod's name.
fn unique() -> String {
    let now = jiff::Timestamp::now().as_nanosecond();
    format!("{now:x}-{:x}", std::process::id())
}

fn log(arguments: &Arguments) -> Outcome<()> {
    let level = std::env::var("STOKE_LOG").unwrap_or_else(|_| arguments.log_level.clone());
    // Watches tell their troubles themselves, once per half minute; kube says them again every time.
    let filter = tracing_subscriber::EnvFilter::try_new(format!("kube_runtime::watcher=error,{level}"))
        .map_err(|error| Failure::input("stoke::cli::log-level", format!("--log-level {level}: {error}")))?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let set = match arguments.log_format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().flatten_event(true).with_current_span(false).try_init(),
    };
    set.map_err(|error| Failure::environment("stoke::operator::log", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_published() {
        assert_eq!(address(":8080"), Ok("[::]:8080".parse().unwrap()));
        assert_eq!(address("127.0.0.1:1"), Ok("127.0.0.1:1".parse().unwrap()));
        assert!(address("8080").is_err() && address(":x").is_err());
    }

    #[test]
    fn gateways_are_names_with_or_without_namespace_and_listener() {
        let read = |text: &str| gateway(text).map(|found| (found.namespace, found.name, found.listener));
        assert_eq!(read("web"), Ok((None, "web".into(), None)));
        assert_eq!(
            read("infra/web:https"),
            Ok((Some("infra".into()), "web".into(), Some("https".into())))
        );
        for wrong in ["", "/web", "infra/", "web:"] {
            assert!(gateway(wrong).is_err(), "{wrong}");
        }
    }
}
