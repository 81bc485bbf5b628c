//! A statement on a Connect server of the cluster, as the visitor: their own right to reach the server's pod decides, and their name is the session's.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;
use stoke_connect::{ConnectError, Limits, Login, Session, Statement, Stop};
use stoke_model::crd::{ConnectState, SparkConnect};
use stoke_model::names;
use tokio::sync::Semaphore;

use super::{Live, Refusal};
use crate::answer::Answer;

/// Rows of an answer.
pub const ROWS: usize = 1_000;
/// How long a statement may take.
pub const TIME: Duration = Duration::from_secs(30);
/// Of an answer, as the server sends it.
pub const BYTES: usize = 4 << 20;
/// Statements at a time, of all visitors together.
static TURNS: Semaphore = Semaphore::const_new(4);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The API server says no, or nothing.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// There is no such server, or it is not ready.
    #[error("the Connect server `{0}` is not there, or not ready")]
    NotReady(String),
    /// What the client or Spark says.
    #[error("{}", shown(.0))]
    Connect(#[from] ConnectError),
}

/// With its code; what the page says of statements itself is not said again in the words of the command line.
fn shown(error: &ConnectError) -> String {
    match error.fix() {
        Some(fix) if !matches!(error, ConnectError::Statement(_)) => format!("{}: {error}. {fix}", error.code()),
        _ => format!("{}: {error}", error.code()),
    }
}

/// Asks a server, named as `namespace/name`, in SQL. Only queries run. Dropped before its end, it ends the statement
/// on the server.
///
/// # Errors
/// The server cannot be reached with the visitor's rights, or the statement is refused or fails.
pub async fn ask(live: &Live, who: &str, server: &str, text: &str) -> Result<Answer, Problem> {
    let statement = Statement::reading(text).map_err(ConnectError::from)?;
    let missing = || Problem::NotReady(server.chars().take(200).collect());
    let (namespace, name) = server.split_once('/').ok_or_else(missing)?;
    // What could be another path of the API server is not a name.
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let is_name = |text: &str| text.split('.').all(is_label);
    if !is_label(namespace) || !is_name(name) {
        return Err(missing());
    }
    let connects: Api<SparkConnect> = Api::namespaced(live.client(), namespace);
    let status = live.asked(connects.get(name)).await?.status.unwrap_or_default();
    if status.state != ConnectState::Ready {
        return Err(missing());
    }
    let url = status.server.url.as_deref();
    let port = url.and_then(|url| url.rsplit_once(':')?.1.parse().ok());
    let port = port.unwrap_or(names::CONNECT_PORT);
    let _turn = TURNS.acquire().await;
    let pods: Api<Pod> = Api::namespaced(live.client(), namespace);
    let mut forwarder = live
        .asked(pods.portforward(&names::connect_server(name), &[port]))
        .await?;
    let stream = forwarder.take_stream(port).ok_or_else(missing)?;
    let mut session = Session::open(stream, &Login::user(who)).await?;
    let answer = answer(&mut session, &statement).await;
    session.close().await;
    Ok(answer?)
}

async fn answer(session: &mut Session, statement: &Statement) -> Result<Answer, ConnectError> {
    let limits = Limits {
        rows: ROWS,
        time: TIME,
        bytes: BYTES,
    };
    let mut rows = session.run(statement, limits).await?;
    let mut all = Vec::new();
    while let Some(more) = rows.next().await? {
        all.extend(more);
    }
    Ok(Answer {
        columns: rows.columns().to_vec(),
        rows: all,
        stopped: rows.stop().map(|stop| match stop {
            Stop::Rows => "rows",
            Stop::Bytes => "bytes",
        }),
    })
}
