//! `stoke logs`: the logs of a driver and its executors, from their pods or, when those are gone, as they were kept.

use futures::{AsyncBufReadExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, ListParams, LogParams};
use stoke_model::crd::SparkApplication;
use stoke_model::names;

use stoke_laptop::gather::kept::{Wanted, executor, find};
use stoke_laptop::session::{self, Session};
use stoke_operator::logs::Kept;

use super::kept;
use crate::cli::{Context, Target};
use crate::failure::{Failure, Outcome};

/// Arguments of `stoke logs`.
#[derive(clap::Args)]
#[command(after_help = "\
Pods that are there are asked; what they do not say any more is looked for among the kept logs, and a line on standard error says so.")]
pub struct Arguments {
    /// The application
    application: String,
    /// Keep printing until the container ends
    #[arg(long, short, conflicts_with_all = ["all", "attempt"])]
    follow: bool,
    /// The executor with this id, instead of the driver
    #[arg(long, short, value_name = "ID", conflicts_with = "all")]
    executor: Option<u32>,
    /// The driver and every executor, one after the other
    #[arg(long)]
    all: bool,
    /// This attempt of the application, instead of the last
    #[arg(long, value_name = "N")]
    attempt: Option<u32>,
    /// Where logs are kept [default: what the application or the embedded cluster says]
    #[arg(long, value_name = "URL")]
    kept: Option<String>,
    /// Only the last lines
    #[arg(long, value_name = "N")]
    tail: Option<i64>,
    #[command(flatten)]
    target: Target,
}

/// Runs the command.
pub async fn run(arguments: Arguments, context: &mut Context) -> Outcome<u8> {
    let session = session::open(&context.home, &arguments.target.cluster()).await?;
    let pods: Api<Pod> = Api::namespaced(session.client.clone(), &session.namespace);
    let name = arguments.application.as_str();
    let applications: Api<SparkApplication> = Api::namespaced(session.client.clone(), &session.namespace);
    let object = applications.get_opt(name).await?;
    let wanted = Wanted {
        application: name,
        object: object.as_ref(),
        attempt: arguments.attempt,
        place: arguments.kept.as_deref(),
    };
    let current = object.as_ref().and_then(|object| object.status.as_ref());
    let current = current.and_then(|status| u32::try_from(status.execution_attempts).ok());
    let is_current = arguments.attempt.is_none_or(|attempt| Some(attempt) == current);
    let live = match &object {
        Some(object) if is_current => live(&pods, object, &arguments).await?,
        _ => Vec::new(),
    };
    let mut printed = Vec::new();
    for (pod, container) in &live {
        if arguments.all {
            context.terminal.note(format!("log of pod {pod}"));
        }
        if print_live(&pods, pod, container, &arguments, context).await? {
            printed.push(format!("{pod}.log.gz"));
        }
    }
    if !printed.is_empty() && !arguments.all {
        return Ok(0);
    }
    let (place, found) = find(&session, &wanted, &context.home).await?;
    for log in &found {
        let asked = arguments.all || executor(log) == arguments.executor;
        if let Some(place) = &place
            && asked
            && !printed.contains(&log.file)
        {
            kept::print(place, log, arguments.tail, &mut context.terminal).await?;
            printed.push(log.file.clone());
            // Containers beside Spark's are asked for with --all.
            if !arguments.all {
                break;
            }
        }
    }
    match (printed.is_empty(), object) {
        (false, _) => Ok(0),
        (true, None) => Err(not_found(name, &session.namespace)),
        (true, Some(object)) => Err(nothing(&object, &arguments, &found)),
    }
}

/// Pods and containers that may still be asked.
async fn live(
    pods: &Api<Pod>,
    object: &SparkApplication,
    arguments: &Arguments,
) -> Outcome<Vec<(String, &'static str)>> {
    let mut live = Vec::new();
    if arguments.executor.is_none() {
        let driver = object
            .status
            .as_ref()
            .and_then(|status| status.driver_info.pod_name.clone());
        live.extend(driver.map(|pod| (pod, names::DRIVER_CONTAINER)));
    }
    if arguments.all || arguments.executor.is_some() {
        let selector = format!("{}={},spark-role=executor", names::LABEL_APP_NAME, object.name_any());
        let mut executors = pods.list(&ListParams::default().labels(&selector)).await?.items;
        let id_of = |pod: &Pod| {
            pod.labels()
                .get(names::LABEL_SPARK_EXEC_ID)
                .and_then(|id| id.parse::<u32>().ok())
        };
        let submission = object.status.as_ref().and_then(|status| status.submission_id.as_ref());
        executors.retain(|pod| {
            pod.labels().get(names::LABEL_SUBMISSION_ID) == submission
                && (arguments.all || id_of(pod) == arguments.executor)
        });
        executors.sort_by_key(id_of);
        live.extend(executors.iter().map(|pod| (pod.name_any(), names::EXECUTOR_CONTAINER)));
    }
    Ok(live)
}

/// Prints the log of a pod; false when the pod, or its log, is not there.
async fn print_live(
    pods: &Api<Pod>,
    pod: &str,
    container: &str,
    arguments: &Arguments,
    context: &mut Context,
) -> Outcome<bool> {
    let parameters = LogParams {
        follow: arguments.follow,
        container: Some(container.into()),
        tail_lines: arguments.tail,
        ..LogParams::default()
    };
    let mut lines = match pods.log_stream(pod, &parameters).await {
        Ok(stream) => stream.lines(),
        Err(kube::Error::Api(status)) if status.code == 404 => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    while let Some(line) = lines.try_next().await? {
        context.terminal.out(line);
    }
    Ok(true)
}

/// The application of that name.
pub async fn application(session: &Session, name: &str) -> Outcome<SparkApplication> {
    let applications: Api<SparkApplication> = Api::namespaced(session.client.clone(), &session.namespace);
    let found = applications.get_opt(name).await?;
    found.ok_or_else(|| not_found(name, &session.namespace))
}

/// No such application.
pub fn not_found(name: &str, namespace: &str) -> Failure {
    Failure::input(
        "stoke::application::not-found",
        format!("no application `{name}` in namespace {namespace}"),
    )
    .fix("`stoke ps -A` lists them all")
}

/// Why there is nothing to print.
fn nothing(application: &SparkApplication, arguments: &Arguments, kept: &[Kept]) -> Failure {
    let name = application.name_any();
    if let Some(id) = arguments.executor {
        let there: Vec<String> = kept.iter().filter_map(executor).map(|id| id.to_string()).collect();
        let there = match there.is_empty() {
            true => "none is left, and none is kept".into(),
            false => format!("kept are those of: {}", there.join(", ")),
        };
        return Failure::environment(
            "stoke::logs::no-executor",
            format!("application `{name}` has no log of executor {id}; {there}"),
        )
        .fix("Spark deletes executors when they end; the annotation `stoke.dev/keep-logs: all` keeps their logs");
    }
    let attempt = arguments
        .attempt
        .map(|attempt| format!(" of attempt {attempt}"))
        .unwrap_or_default();
    Failure::environment(
        "stoke::logs::no-driver",
        format!("application `{name}` has no driver log{attempt}, in a pod or kept"),
    )
    .fix("`stoke ps` shows its state")
}
