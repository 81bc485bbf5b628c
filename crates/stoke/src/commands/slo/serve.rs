//! `stoke slo serve`: gauges of objectives of runs, and handshakes with Connect servers, for Prometheus to scrape.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use jiff::Timestamp;
use serde_json::json;
use stoke_connect::{ConnectError, Remote, Session};
use stoke_history::connections;
use stoke_observe::slo::gauges;
use stoke_observe::slo::objective::Objective;
use tokio::net::TcpListener;

use super::{Files, judge, sources};
use crate::cli::Context;
use crate::commands::history::span;
use crate::failure::{Failure, Outcome};
use crate::terminal::Format;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Arguments of `stoke slo serve`.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    sources: sources::Sources,
    /// Address to listen at; the gauges are at /metrics
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9464")]
    listen: SocketAddr,
    /// How often runs are read and handshakes made
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = span)]
    interval: Duration,
    /// A Connect server that must answer: a name and `sc://host:port`; can be given again
    #[arg(long, value_name = "NAME=URL", value_parser = server)]
    connect: Vec<(String, Remote)>,
}

fn server(text: &str) -> Result<(String, Remote), String> {
    let (name, url) = text
        .split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or("that is not NAME=sc://host:port")?;
    let remote: Remote = url
        .parse()
        .map_err(|error: stoke_connect::RemoteError| error.to_string())?;
    Ok((name.to_owned(), remote))
}

/// What is served: it is replaced as a whole.
#[derive(Default)]
struct Served {
    gauges: Mutex<String>,
    /// Handshakes by server: those that succeeded, and the others.
    handshakes: Mutex<BTreeMap<String, [u64; 2]>>,
}

impl Served {
    fn text(&self) -> String {
        let mut text = self.gauges.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let handshakes = self.handshakes.lock().unwrap_or_else(PoisonError::into_inner);
        if !handshakes.is_empty() {
            text.push_str("# HELP stoke_connect_handshakes_total Handshakes with Connect servers: a session was made and a version answered, or not.\n# TYPE stoke_connect_handshakes_total counter\n");
        }
        for (server, [ok, failed]) in handshakes.iter() {
            let server = server.replace('\\', "\\\\").replace('"', "\\\"");
            for (result, count) in [("ok", ok), ("failed", failed)] {
                let _ = writeln!(
                    text,
                    "stoke_connect_handshakes_total{{result=\"{result}\",server=\"{server}\"}} {count}"
                );
            }
        }
        text
    }

    fn count(&self, server: &str, succeeded: bool) {
        let mut handshakes = self.handshakes.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = handshakes.entry(server.to_owned()).or_default();
        counts[usize::from(!succeeded)] += 1;
    }
}

/// Runs the command.
pub async fn run(arguments: Arguments, context: &mut Context) -> Outcome<u8> {
    let objectives = arguments.files.objectives(&mut context.terminal)?;
    let mut reader = arguments
        .sources
        .open(context, sources::needs_details(&objectives))
        .await?;
    let served = Arc::new(Served::default());
    // Both results are series from the beginning, so that a rate over them is a number.
    for (name, _) in &arguments.connect {
        let mut handshakes = served.handshakes.lock().unwrap_or_else(PoisonError::into_inner);
        handshakes.insert(name.clone(), [0, 0]);
    }
    // The first reading says what is wrong with the sources; later failures are told and tried again.
    refresh(&objectives, &mut reader, &served).await?;
    let listener = TcpListener::bind(arguments.listen).await.map_err(|error| {
        Failure::environment("stoke::slo::listen", format!("{}: {error}", arguments.listen))
            .fix("name another address with --listen")
    })?;
    let address = listener.local_addr()?;
    match context.terminal.format() {
        Format::Text => context
            .terminal
            .out(format!("gauges of objectives at http://{address}/metrics")),
        Format::Json => context.terminal.json(&json!({"address": address.to_string()})),
    }
    let of_metrics = Arc::clone(&served);
    let metrics = move || {
        let text = of_metrics.text();
        async move { ([("content-type", "text/plain; version=0.0.4; charset=utf-8")], text) }
    };
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }));
    let reading = async {
        loop {
            tokio::time::sleep(arguments.interval).await;
            if let Err(failure) = refresh(&objectives, &mut reader, &served).await {
                context.terminal.failure(&failure);
            }
        }
    };
    let greeting = async {
        loop {
            let all = arguments.connect.iter().map(|(name, remote)| async {
                served.count(name, handshake(remote).await.is_ok());
            });
            futures::future::join_all(all).await;
            tokio::time::sleep(arguments.interval).await;
        }
    };
    tokio::select! {
        () = connections::serve(listener, router) => {}
        () = reading => {}
        () = greeting => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    Ok(0)
}

async fn refresh(objectives: &[Objective], reader: &mut sources::Open, served: &Served) -> Outcome<()> {
    let now = Timestamp::now().as_millisecond();
    let found = reader.read(now).await?;
    let text = gauges::text(&judge(objectives, &found.attempts, now), now);
    *served.gauges.lock().unwrap_or_else(PoisonError::into_inner) = text;
    Ok(())
}

/// A session is made, the server tells its version, and the session ends: what a client needs first.
async fn handshake(remote: &Remote) -> Result<(), ConnectError> {
    let greeting = async {
        let session = Session::connect(remote).await?;
        let version = session.version().await.map(drop);
        session.close().await;
        version
    };
    match tokio::time::timeout(HANDSHAKE, greeting).await {
        Ok(answer) => answer,
        Err(_) => Err(ConnectError::Late(HANDSHAKE)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_have_a_name_and_an_address() {
        assert_eq!(
            server("a=sc://h:15002").map(|(name, remote)| (name, remote.port)),
            Ok(("a".to_owned(), 15002))
        );
        for wrong in ["", "a", "=sc://h", "a=http://h"] {
            assert!(server(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn handshakes_are_counted_by_server_and_result() {
        let served = Served::default();
        served.count("a\"b", true);
        served.count("a\"b", false);
        served.count("a\"b", false);
        let text = served.text();
        assert!(
            text.contains(r#"stoke_connect_handshakes_total{result="ok",server="a\"b"} 1"#),
            "{text}"
        );
        assert!(
            text.contains(r#"stoke_connect_handshakes_total{result="failed",server="a\"b"} 2"#),
            "{text}"
        );
    }
}
