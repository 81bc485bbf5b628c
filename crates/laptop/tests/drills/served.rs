//! Servers that run in pods of a stage: this very program, started again. The History Server is ours, whole; the two others answer the one call that
//! a runbook asks of them.

use std::net::SocketAddr;
use std::process::exit;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use stoke_eventlog::Source;
use stoke_history::index::{Index, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Where this program is in a pod, and event logs of real runs.
pub const PROGRAM: &str = "/opt/drills";
pub const LOGS: &str = "/opt/logs";
/// Where each listens.
pub const HISTORY: u16 = 18080;
pub const THRIFT: u16 = 9083;
pub const CONNECT: u16 = 15002;

const ARGUMENT: &str = "--serve";

/// What a pod runs to serve this. Its process can be stopped, so that it hangs.
pub fn script(what: &str) -> String {
    format!("{PROGRAM} {ARGUMENT} {what} & echo $! > /tmp/pid; wait $!")
}

/// Stops the process of a server: it keeps its port, and answers nothing.
pub const HANG: [&str; 3] = ["sh", "-c", "kill -STOP $(cat /tmp/pid)"];

/// Serves, when this program was started for that.
pub fn main_if_server() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.get(1).map(String::as_str) != Some(ARGUMENT) {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let what = arguments.get(2).map(String::as_str).unwrap_or_default();
    runtime.block_on(async {
        match what {
            "history" => history().await,
            "thrift" => each(THRIFT, thrift).await,
            "connect" => each(CONNECT, connect).await,
            _ => exit(64),
        }
    });
    exit(1)
}

/// The pod's own address: pods share this machine's ports.
async fn listener(port: u16) -> TcpListener {
    let address = ["IP", "SPARK_DRIVER_BIND_ADDRESS"]
        .iter()
        .find_map(|name| std::env::var(name).ok())
        .unwrap();
    TcpListener::bind(SocketAddr::new(address.parse().unwrap(), port))
        .await
        .unwrap()
}

async fn history() {
    let index = Arc::new(Index::new(Source::directory(LOGS), Settings::default(), None));
    let first = index.clone();
    tokio::task::spawn_blocking(move || first.scan())
        .await
        .unwrap()
        .unwrap();
    let listener = listener(HISTORY).await;
    stoke_history::serve::serve(index, listener, Duration::from_secs(5))
        .await
        .unwrap();
}

async fn each<F: Future<Output = ()> + Send + 'static>(port: u16, serve: fn(TcpStream) -> F) {
    let listener = listener(port).await;
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream));
    }
}

/// `getStatus` of fb303: the call, and that the server is alive (2).
pub const CALL: &[u8] = b"\x80\x01\x00\x01\x00\x00\x00\x09getStatus\x00\x00\x00\x01\x00";
const ALIVE: &[u8] = b"\x80\x01\x00\x02\x00\x00\x00\x09getStatus\x00\x00\x00\x01\x08\x00\x00\x00\x00\x00\x02\x00";

async fn thrift(mut stream: TcpStream) {
    let mut call = [0; CALL.len()];
    while stream.read_exact(&mut call).await.is_ok() && call == CALL {
        if stream.write_all(ALIVE).await.is_err() {
            return;
        }
    }
}

/// An answer of `AnalyzePlan` with version 4.1.4, after the prefix of a message of gRPC.
const VERSION: &[u8] = b"\x00\x00\x00\x00\x09\x42\x07\x0a\x05\x34\x2e\x31\x2e\x34";

async fn connect(stream: TcpStream) {
    let Ok(mut connection) = h2::server::handshake(stream).await else {
        return;
    };
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        let head = http::Response::builder().header("content-type", "application/grpc");
        let Ok(mut body) = respond.send_response(head.body(()).unwrap(), false) else {
            return;
        };
        let mut trailers = http::HeaderMap::new();
        trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
        if body.send_data(Bytes::from_static(VERSION), false).is_err() || body.send_trailers(trailers).is_err() {
            return;
        }
    }
}

/// Whether a server at this address answers within a little: `GET` of the status API, a call of Thrift, a client's greeting.
pub async fn answers(ip: &str, port: u16, call: Call) -> bool {
    let asking = async {
        let mut stream = TcpStream::connect((ip, port)).await.ok()?;
        match call {
            Call::Greeting => stoke_connect::greet(stream).await.ok().map(drop),
            Call::Http => {
                stream
                    .write_all(b"GET /api/v1/applications HTTP/1.0\r\nHost: localhost\r\n\r\n")
                    .await
                    .ok()?;
                begins(stream, &[b"HTTP/1.0 200", b"HTTP/1.1 200"]).await
            }
            Call::Thrift => {
                stream.write_all(CALL).await.ok()?;
                begins(stream, &[&ALIVE[..4]]).await
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(3), asking)
        .await
        .ok()
        .flatten()
        .is_some()
}

/// What is asked of a server.
#[derive(Clone, Copy)]
pub enum Call {
    Http,
    Thrift,
    Greeting,
}

async fn begins(mut stream: TcpStream, known: &[&[u8]]) -> Option<()> {
    let mut head = vec![0; known[0].len()];
    stream.read_exact(&mut head).await.ok()?;
    known.contains(&head.as_slice()).then_some(())
}
