//! `stoke connect`: a Spark Connect server at a local address, through the API server. One that was stopped because no one used it is woken.

use std::process::Stdio;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::wait::await_condition;
use serde_json::json;
use stoke_laptop::interrupt::interrupted;
use stoke_laptop::session;
use stoke_model::annotations;
use stoke_model::crd::{ConnectState, SparkConnect};
use stoke_model::names;
use tokio::net::{TcpListener, TcpStream};

use crate::cli::{Context, Target};
use crate::failure::{Failure, Outcome};
use crate::terminal::Format;

/// Arguments of `stoke connect`.
#[derive(clap::Args)]
pub struct Arguments {
    /// The SparkConnect
    name: String,
    /// Local port; 0 takes a free one
    #[arg(long, default_value_t = names::CONNECT_PORT)]
    port: u16,
    /// Seconds to wait for the server to be ready
    #[arg(long, value_name = "SECONDS", default_value_t = 180)]
    wait: u64,
    #[command(flatten)]
    target: Target,
    /// A program to run with SPARK_REMOTE set to the address; the forwarding ends with it
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Runs the command: waits for the server, prints the address, forwards until interrupted or until the program has ended.
pub async fn run(arguments: Arguments, context: &mut Context) -> Outcome<u8> {
    let session = session::open(&context.home, &arguments.target.cluster()).await?;
    let connects: Api<SparkConnect> = Api::namespaced(session.client.clone(), &session.namespace);
    let name = arguments.name.as_str();
    let remote = ready(&connects, name, &session.namespace, Duration::from_secs(arguments.wait)).await?;
    let listener = TcpListener::bind(("127.0.0.1", arguments.port))
        .await
        .map_err(|error| {
            Failure::environment(
                "stoke::connect::port",
                format!("port {} cannot be used: {error}", arguments.port),
            )
            .fix("choose another with --port, or `--port 0` for a free one")
        })?;
    let url = format!("sc://127.0.0.1:{}", listener.local_addr()?.port());
    let pods: Api<Pod> = Api::namespaced(session.client.clone(), &session.namespace);
    let forwarding = forward(listener, pods, names::connect_server(name), remote);
    if let Some((program, rest)) = arguments.command.split_first() {
        let mut child = tokio::process::Command::new(program);
        child
            .args(rest)
            .env("SPARK_REMOTE", &url)
            .stdin(Stdio::inherit())
            .kill_on_drop(true);
        let mut child = child.spawn().map_err(|error| {
            Failure::input("stoke::connect::command", format!("`{program}` cannot be run: {error}"))
        })?;
        return tokio::select! {
            ended = child.wait() => Ok(ended?.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)),
            result = forwarding => result,
        };
    }
    match context.terminal.format() {
        Format::Text => context.terminal.out(&url),
        Format::Json => context.terminal.json(&json!({ "url": url })),
    }
    context.terminal.note("forwarding until interrupted (Ctrl-C)");
    tokio::select! {
        result = forwarding => result,
        result = interrupted() => {
            result?;
            Ok(0)
        }
    }
}

/// Waits for the server; gives its port.
pub(super) async fn ready(connects: &Api<SparkConnect>, name: &str, namespace: &str, limit: Duration) -> Outcome<u16> {
    let Some(connect) = connects.get_opt(name).await? else {
        return Err(Failure::input(
            "stoke::connect::unknown",
            format!("there is no SparkConnect `{name}` in the namespace `{namespace}`"),
        )
        .fix("`kubectl get sparkconnects -A` lists those there are"));
    };
    ask_for(connects, &connect, name).await?;
    let settled = |connect: Option<&SparkConnect>| {
        let state = connect
            .and_then(|connect| connect.status.as_ref())
            .map(|status| status.state);
        connect.is_none() || matches!(state, Some(ConnectState::Ready | ConnectState::Failed))
    };
    let waited = tokio::time::timeout(limit, await_condition(connects.clone(), name, settled)).await;
    let connect = match waited {
        Ok(found) => found.map_err(|error| Failure::environment("stoke::connect::watch", error.to_string()))?,
        // What it waits for is in the status.
        Err(_) => connects.get_opt(name).await?,
    };
    let status = connect.and_then(|connect| connect.status).unwrap_or_default();
    if status.state != ConnectState::Ready {
        let why = status
            .conditions
            .first()
            .map_or("it was deleted or not begun", |condition| condition.message.as_str());
        return Err(Failure::environment(
            "stoke::connect::not-ready",
            format!("the server of `{name}` is not ready: {why}"),
        )
        .fix(format!("its log: `kubectl logs {}`", names::connect_server(name))));
    }
    let port = status
        .server
        .url
        .as_deref()
        .and_then(|url| url.rsplit_once(':')?.1.parse().ok());
    Ok(port.unwrap_or(names::CONNECT_PORT))
}

/// Tells the operator that a server with an idle timeout is wanted: it starts the server again, or does not stop it now.
async fn ask_for(connects: &Api<SparkConnect>, connect: &SparkConnect, name: &str) -> Outcome<()> {
    let stopped = stopped_at(connect);
    let may_be_stopped = connect.annotations().contains_key(annotations::IDLE_TIMEOUT);
    if stopped.is_none() && !may_be_stopped {
        return Ok(());
    }
    let wake = wake_time(Timestamp::now(), stopped).to_string();
    let patch = json!({"metadata": {"annotations": {annotations::WAKE: wake}}});
    match connects
        .patch(name, &PatchParams::default(), &Patch::Merge(&patch))
        .await
    {
        Ok(_) => Ok(()),
        // A server that runs is there for those who may not write, too.
        Err(kube::Error::Api(status)) if status.code == 403 && stopped.is_none() => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 403 => Err(Failure::environment(
            "stoke::connect::wake",
            format!(
                "the server of `{name}` was stopped for lack of use, and you have no right to start it: {}",
                status.message
            ),
        )
        .fix("ask for the right to `patch` `sparkconnects.sparkoperator.k8s.io`")),
        Err(error) => Err(error.into()),
    }
}

/// When the server was stopped because no one used it, if it was.
fn stopped_at(connect: &SparkConnect) -> Option<Timestamp> {
    let conditions = connect.status.iter().flat_map(|status| &status.conditions);
    let idle = conditions.filter(|condition| condition.reason == names::REASON_IDLE);
    idle.map(|condition| condition.last_transition_time.0).next()
}

/// A time after the server was stopped, also where this machine's clock is behind the operator's.
fn wake_time(now: Timestamp, stopped: Option<Timestamp>) -> Timestamp {
    let after = stopped.and_then(|stopped| stopped.checked_add(SignedDuration::from_secs(1)).ok());
    now.max(after.unwrap_or(now))
}

/// Takes connections and carries each to the pod, whichever has the name by then.
async fn forward(listener: TcpListener, pods: Api<Pod>, pod: String, remote: u16) -> Outcome<u8> {
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(carry(stream, pods.clone(), pod.clone(), remote));
    }
}

async fn carry(mut stream: TcpStream, pods: Api<Pod>, pod: String, remote: u16) {
    // A client sees a connection that closes, and says so.
    let Ok(mut forwarder) = pods.portforward(&pod, &[remote]).await else {
        return;
    };
    if let Some(mut upstream) = forwarder.take_stream(remote) {
        let _ = tokio::io::copy_bidirectional(&mut stream, &mut upstream).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_woken_after_it_was_stopped_whatever_the_clocks_say() {
        let at = |second| Timestamp::from_second(second).unwrap();
        for (now, stopped, wake) in [
            (100, None, 100),
            (100, Some(40), 100),
            (100, Some(100), 101),
            (100, Some(400), 401),
        ] {
            assert_eq!(wake_time(at(now), stopped.map(at)), at(wake), "{now} {stopped:?}");
        }
    }

    #[test]
    fn only_the_reason_idle_means_that_it_was_stopped() {
        let with = |reason: &str| -> SparkConnect {
            serde_json::from_value(json!({
                "apiVersion": "sparkoperator.k8s.io/v1alpha1", "kind": "SparkConnect", "metadata": {"name": "lab"},
                "spec": {"sparkVersion": "4.1.4", "server": {}, "executor": {}},
                "status": {"state": "NotReady", "server": {}, "conditions": [{
                    "type": "ServerPodReady", "status": "False", "reason": reason, "message": "",
                    "lastTransitionTime": "2026-11-21T20:37:07Z"}]},
            }))
            .unwrap()
        };
        assert_eq!(stopped_at(&with("Idle")), Some("2026-11-21T20:37:07Z".parse().unwrap()));
        assert_eq!(stopped_at(&with("ServerPodNotReady")), None);
    }
}
