//! Whether something answers: a Connect server, a port of a pod, an object store.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;
use serde_json::{Value, json};
use stoke_model::names;
use stoke_observe::runbook::{Answer, Input, Kind, Object};
use stoke_storage::Address;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::outside::Edge;
use super::{api, reads};

/// How long something may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// A connection that stays open for so long was taken.
const STAYS: Duration = Duration::from_millis(400);

fn answer(tried: Result<String, String>) -> Answer {
    let (ok, says) = match tried {
        Ok(says) => (true, says),
        Err(says) => (false, says),
    };
    Ok(vec![json!({"ok": ok, "says": says})])
}

trait Connection: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Connection for T {}

/// A connection to a port of a pod, through the API server.
async fn connect(edge: &Edge<'_>, namespace: &str, pod: &str, port: u16) -> Result<Box<dyn Connection>, String> {
    let pods: Api<Pod> = Api::namespaced(edge.session.client.clone(), namespace);
    let mut forwarder = pods
        .portforward(pod, &[port])
        .await
        .map_err(|error| error.to_string())?;
    let stream = forwarder.take_stream(port).ok_or("the API server forwards nothing")?;
    Ok(Box::new(stream))
}

/// Whether the server of a SparkConnect answers as a client of Spark Connect wants.
pub async fn handshake(edge: &Edge<'_>, input: &Input) -> Answer {
    let Some(name) = input.get("connect") else {
        return Ok(Vec::new());
    };
    let object = Object::new(Kind::SparkConnect, &input.namespace, name);
    let connect_object = api::get(&edge.session.client, &api::path(&object)).await?;
    let port = connect_object
        .as_ref()
        .and_then(|connect| {
            connect["status"]["server"]["url"]
                .as_str()?
                .rsplit_once(':')?
                .1
                .parse()
                .ok()
        })
        .unwrap_or(names::CONNECT_PORT);
    let greeted = tokio::time::timeout(PATIENCE, async {
        let stream = connect(edge, &input.namespace, &names::connect_server(name), port).await?;
        stoke_connect::greet(stream).await.map_err(|error| error.to_string())
    });
    answer(
        greeted
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs()))),
    )
}

/// Whether a port of a pod of the workload answers.
pub async fn endpoint(edge: &Edge<'_>, input: &Input) -> Answer {
    let Some(port) = input.count("port").and_then(|port| u16::try_from(port).ok()) else {
        return Err("--port is not a port".to_owned());
    };
    let pods = reads::workload_pods(edge, input).await?;
    let runs = |pod: &&Value| pod["status"]["phase"] == "Running" && pod["metadata"]["deletionTimestamp"].is_null();
    let mut last = Err("none of its pods runs".to_owned());
    for pod in pods.iter().filter(runs) {
        let name = pod["metadata"]["name"].as_str().unwrap_or_default();
        let tried = tokio::time::timeout(PATIENCE, async {
            let stream = connect(edge, &input.namespace, name, port).await?;
            match input.get("path") {
                Some(path) => get(stream, path).await,
                None => taken(stream).await,
            }
        });
        last = tried
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())));
        last = last
            .map(|says| format!("{name}: {says}"))
            .map_err(|says| format!("{name}: {says}"));
        if last.is_ok() {
            break;
        }
    }
    answer(last)
}

/// Whether a server answers a request over HTTP without an error.
async fn get(mut stream: impl AsyncRead + AsyncWrite + Unpin, path: &str) -> Result<String, String> {
    let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
    stream
        .write_all(request.as_bytes())
        .await
        .map_err(|error| error.to_string())?;
    let mut head = [0_u8; 64];
    let mut length = 0;
    while length < head.len() && !head[..length].contains(&b'\n') {
        match stream.read(&mut head[length..]).await {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) => return Err(error.to_string()),
        }
    }
    let text = String::from_utf8_lossy(&head[..length]).into_owned();
    let line = text.lines().next().unwrap_or_default().trim().to_owned();
    let code: Option<u16> = line.split(' ').nth(1).and_then(|code| code.parse().ok());
    match code {
        Some(code) if code < 400 => Ok(format!("GET {path} is answered {code}")),
        Some(code) => Err(format!("GET {path} is answered {code}")),
        None => Err("the connection is closed without an answer".to_owned()),
    }
}

/// Whether a server takes a connection: it says something, or waits for its client to speak.
async fn taken(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<String, String> {
    let mut first = [0];
    match tokio::time::timeout(STAYS, stream.read(&mut first)).await {
        Err(_) | Ok(Ok(1..)) => Ok("a connection is taken".to_owned()),
        Ok(Ok(0)) => Err("the connection is closed at once".to_owned()),
        Ok(Err(error)) => Err(error.to_string()),
    }
}

/// Whether a place can be listed.
pub async fn store(edge: &Edge<'_>, place: &str) -> Answer {
    if place.is_empty() {
        return Ok(Vec::new());
    }
    let address = Address::parse(place).map_err(|error| error.to_string())?;
    if let Address::Local(directory) = &address {
        // Opening it to write would make it.
        let listed = std::fs::read_dir(directory).map(|_| format!("{place} can be listed"));
        return answer(listed.map_err(|error| format!("{place}: {error}")));
    }
    let tried = tokio::time::timeout(PATIENCE * 3, async {
        let opened = stoke_storage::open(&address, &edge.access)?;
        // What is not there is quick to list, and needs the same right.
        opened.list("_stoke-probe").await
    });
    let listed = match tried.await {
        Ok(listed) => listed
            .map(|_| format!("{place} can be listed"))
            .map_err(|error| whole(&error)),
        Err(_) => Err(format!("{place}: no answer within {} s", (PATIENCE * 3).as_secs())),
    };
    answer(listed)
}

/// An error with what is underneath it.
pub fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        next = cause.source();
    }
    text
}
