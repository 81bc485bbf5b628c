//! `stoke ui`: the Spark UI of a running application.

use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;
use serde_json::json;
use stoke_laptop::interrupt::interrupted;
use stoke_laptop::session::{self, Place};
use tokio::net::TcpListener;

use crate::cli::{Context, Target};
use crate::commands::logs::application;
use crate::failure::{Failure, Outcome};
use crate::terminal::Format;

/// Arguments of `stoke ui`.
#[derive(clap::Args)]
pub struct Arguments {
    /// The application
    application: String,
    /// Local port when the cluster is not on this machine; 0 for any that is free
    #[arg(long, default_value_t = 4040)]
    port: u16,
    #[command(flatten)]
    target: Target,
}

/// Port of the UI in the driver, unless `spark.ui.port` says otherwise.
const UI_PORT: u16 = 4040;

/// Runs the command: prints the address; for a cluster elsewhere forwards a local port until interrupted.
pub async fn run(arguments: Arguments, context: &mut Context) -> Outcome<u8> {
    let session = session::open(&context.home, &arguments.target.cluster()).await?;
    let name = &arguments.application;
    let application = application(&session, name).await?;
    let pods: Api<Pod> = Api::namespaced(session.client.clone(), &session.namespace);
    let driver = application
        .status
        .as_ref()
        .and_then(|status| status.driver_info.pod_name.clone())
        .unwrap_or_default();
    let pod = if driver.is_empty() {
        None
    } else {
        pods.get_opt(&driver).await?
    };
    let running = pod
        .as_ref()
        .and_then(|pod| pod.status.as_ref())
        .filter(|status| status.phase.as_deref() == Some("Running"));
    let Some(status) = running else {
        return Err(Failure::environment(
            "stoke::ui::not-running",
            format!("the driver of `{name}` is not running, and the UI lives in it"),
        )
        .fix("`stoke ps` shows the application's state"));
    };
    let conf = application
        .spec
        .spark_conf
        .as_ref()
        .and_then(|conf| conf.get("spark.ui.port"));
    let port = conf.and_then(|port| port.parse().ok()).unwrap_or(UI_PORT);
    if let Place::Context(_) = session.place {
        return forward(&pods, &driver, port, arguments.port, context).await;
    }
    // Pods of the embedded cluster have addresses of this machine.
    let url = format!("http://{}:{port}", status.pod_ip.as_deref().unwrap_or_default());
    print(&url, context);
    Ok(0)
}

fn print(url: &str, context: &mut Context) {
    match context.terminal.format() {
        Format::Text => context.terminal.out(url),
        Format::Json => context.terminal.json(&json!({ "url": url })),
    }
}

async fn forward(pods: &Api<Pod>, driver: &str, remote: u16, local: u16, context: &mut Context) -> Outcome<u8> {
    let listener = TcpListener::bind(("127.0.0.1", local)).await.map_err(|error| {
        Failure::environment("stoke::ui::port", format!("port {local} cannot be used: {error}"))
            .fix("choose another with --port")
    })?;
    print(&format!("http://127.0.0.1:{}", listener.local_addr()?.port()), context);
    context.terminal.note("forwarding until interrupted (Ctrl-C)");
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (mut stream, _) = accepted?;
                let (pods, driver) = (pods.clone(), driver.to_string());
                tokio::spawn(async move {
                    let Ok(mut forwarder) = pods.portforward(&driver, &[remote]).await else { return };
                    if let Some(mut upstream) = forwarder.take_stream(remote) {
                        let _ = tokio::io::copy_bidirectional(&mut stream, &mut upstream).await;
                    }
                });
            }
            result = interrupted() => {
                result?;
                return Ok(0);
            }
        }
    }
}
