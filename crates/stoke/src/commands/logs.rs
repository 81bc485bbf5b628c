//! `stoke logs`: the log of a driver or an executor.

use futures::{AsyncBufReadExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, ListParams, LogParams};
use stoke_model::crd::SparkApplication;
use stoke_model::names;

use crate::cli::{Context, Target};
use crate::failure::{Failure, Outcome};
use crate::session::{self, Session};

/// Arguments of `stoke logs`.
#[derive(clap::Args)]
pub struct Arguments {
    /// The application
    application: String,
    /// Keep printing until the container ends
    #[arg(long, short)]
    follow: bool,
    /// The executor with this id, instead of the driver
    #[arg(long, short, value_name = "ID")]
    executor: Option<u32>,
    /// Only the last lines
    #[arg(long, value_name = "N")]
    tail: Option<i64>,
    #[command(flatten)]
    target: Target,
}

/// Runs the command.
pub async fn run(arguments: Arguments, context: &mut Context) -> Outcome<u8> {
    let session = session::open(&context.home, &arguments.target).await?;
    let pods: Api<Pod> = Api::namespaced(session.client.clone(), &session.namespace);
    let name = &arguments.application;
    let application = application(&session, name).await?;
    let (pod, container) = match arguments.executor {
        Some(id) => (executor(&pods, name, id).await?, names::EXECUTOR_CONTAINER),
        None => (driver(&application)?, names::DRIVER_CONTAINER),
    };
    let parameters = LogParams {
        follow: arguments.follow,
        container: Some(container.into()),
        tail_lines: arguments.tail,
        ..LogParams::default()
    };
    let mut lines = pods.log_stream(&pod, &parameters).await?.lines();
    while let Some(line) = lines.try_next().await? {
        context.terminal.out(line);
    }
    Ok(0)
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

fn driver(application: &SparkApplication) -> Outcome<String> {
    let pod = application
        .status
        .as_ref()
        .and_then(|status| status.driver_info.pod_name.clone());
    pod.ok_or_else(|| {
        Failure::environment(
            "stoke::logs::no-driver",
            format!("application `{}` has no driver pod yet", application.name_any()),
        )
        .fix("`stoke ps` shows its state")
    })
}

async fn executor(pods: &Api<Pod>, application: &str, id: u32) -> Outcome<String> {
    let selector = format!("{}={application},spark-role=executor", names::LABEL_APP_NAME);
    let executors = pods.list(&ListParams::default().labels(&selector)).await?.items;
    let id_of = |pod: &Pod| pod.labels().get("spark-exec-id").cloned();
    let wanted = executors.iter().find(|pod| id_of(pod) == Some(id.to_string()));
    wanted.map(ResourceExt::name_any).ok_or_else(|| {
        let there: Vec<String> = executors.iter().filter_map(id_of).collect();
        let there = if there.is_empty() {
            "none is left".into()
        } else {
            format!("there are: {}", there.join(", "))
        };
        Failure::environment(
            "stoke::logs::no-executor",
            format!("application `{application}` has no executor {id}; {there}"),
        )
        .fix("Spark deletes executors when they end; keep them with `executor.deleteOnTermination: false`")
    })
}
