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

/// How a port is spoken to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Speech {
    /// HTTP where a path is given, else nothing is said.
    Plain,
    Thrift,
}

/// Whether a port of a pod of the workload answers.
pub async fn endpoint(edge: &Edge<'_>, input: &Input, speech: Speech) -> Answer {
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
            match (speech, input.get("path")) {
                (Speech::Thrift, _) => thrift(stream).await,
                (Speech::Plain, Some(path)) => get(stream, path, "Host: localhost\r\n").await,
                (Speech::Plain, None) => taken(stream).await,
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

/// Whether a server answers a request over HTTP, with these lines of its head, without an error.
pub(crate) async fn get(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    path: &str,
    head: &str,
) -> Result<String, String> {
    let request = format!("GET {path} HTTP/1.0\r\n{head}\r\n");
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

/// `getStatus` of fb303 as a message of Thrift's binary protocol (thrift-binary-protocol.md): version and kind of a call, its name, its number, no
/// arguments.
const GET_STATUS: &[u8] = b"\x80\x01\x00\x01\x00\x00\x00\x09getStatus\x00\x00\x00\x01\x00";
/// How a reply and an exception begin.
const REPLIES: [[u8; 4]; 2] = [[0x80, 1, 0, 2], [0x80, 1, 0, 3]];

/// Whether a server of Thrift answers a call. One that does not speak plain Thrift (it wants SASL or TLS) closes the connection or says
/// something else: it is there.
pub(crate) async fn thrift(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<String, String> {
    let mut first = [0];
    // A connection that was not taken ends before anything is said.
    match tokio::time::timeout(STAYS, stream.read(&mut first)).await {
        Err(_) => {}
        Ok(Ok(0)) => return Err("the connection is closed at once".to_owned()),
        Ok(Ok(_)) => return Ok("it speaks first, which is not plain Thrift: a connection is taken".to_owned()),
        Ok(Err(error)) => return Err(error.to_string()),
    }
    stream.write_all(GET_STATUS).await.map_err(|error| error.to_string())?;
    stream.flush().await.map_err(|error| error.to_string())?;
    let mut head = [0; 4];
    match stream.read_exact(&mut head).await {
        Ok(_) if REPLIES.contains(&head) => Ok("it answers getStatus".to_owned()),
        Ok(_) => Ok("it answers with something else than plain Thrift: a connection is taken".to_owned()),
        Err(_) => Ok("it takes a connection, and closes it at a call of plain Thrift".to_owned()),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a server that answers the call with this; none: it takes the call and is silent.
    async fn said(answer: Option<&'static [u8]>) -> Option<Result<String, String>> {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let serving = async move {
            let mut call = [0; GET_STATUS.len()];
            theirs.read_exact(&mut call).await.unwrap();
            assert_eq!(&call, GET_STATUS);
            match answer {
                Some(answer) => theirs.write_all(answer).await.unwrap(),
                None => futures::future::pending().await,
            }
        };
        let asking = async { tokio::join!(thrift(ours), serving).0 };
        tokio::time::timeout(STAYS * 3, asking).await.ok()
    }

    #[tokio::test]
    async fn a_server_that_hangs_is_not_taken_for_one_that_answers() {
        let reply = b"\x80\x01\x00\x02\x00\x00\x00\x09getStatus\x00\x00\x00\x01\x08\x00\x00\x00\x00\x00\x02\x00";
        assert_eq!(said(Some(reply)).await, Some(Ok("it answers getStatus".to_owned())));
        for other in [&b""[..], b"\x15\x03\x03\x00\x02", b"HTTP/1.1 400"] {
            let said = said(Some(other)).await.unwrap().unwrap();
            assert!(said.contains("plain Thrift"), "{said}");
        }
        assert_eq!(said(None).await, None);
        let (ours, theirs) = tokio::io::duplex(64);
        drop(theirs);
        assert_eq!(thrift(ours).await, Err("the connection is closed at once".to_owned()));
    }
}
