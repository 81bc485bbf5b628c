//! `portforward`: connections to the ports of a pod, many over one.
//!
//! Two protocols carry them: SPDY, in which a client opens a pair of streams (data, error) for every connection, by itself or
//! through a WebSocket; and channels of a WebSocket, in which every port asked for is one connection.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use axum::extract::ws::{Message, WebSocket};
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::io::{CopyToBytes, SinkWriter, StreamReader};
use tokio_util::sync::CancellationToken;

use super::channels::{Incoming, PROTOCOLS, Protocol};
use super::spdy::session::{Session, Stream};
use super::{Upgrade, negotiate, switch_to_spdy};
use crate::apimachinery::status::Status;
use crate::http::call::Call;
use crate::kubelet::{ContainerName, Kubelet};

/// SPDY on top of which ports are forwarded.
const SPDY_PROTOCOL: &str = "portforward.k8s.io";
/// SPDY through a WebSocket.
const TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";
/// Pieces of a channel that wait for the connection.
const PIECES: usize = 64;
/// The largest piece read from a connection, in bytes.
const PIECE: usize = 32 << 10;

/// Where connections lead.
#[derive(Clone)]
struct Target {
    kubelet: Arc<dyn Kubelet>,
    pod: ContainerName,
}

impl Target {
    /// Connects, or says why not as the kubelet does.
    async fn connect(&self, port: u16) -> Result<TcpStream, String> {
        let connected = self.kubelet.connect(self.pod.clone(), port).await;
        connected.map_err(|error| {
            let (pod, uid) = (&self.pod.pod, &self.pod.uid);
            format!("error forwarding port {port} to pod {pod}, uid {uid}: {error}")
        })
    }
}

/// Serves `portforward`.
pub async fn serve(call: Call, pod: ContainerName, upgrade: Upgrade) -> Result<Response, Status> {
    let kubelet = call
        .server
        .kubelet()
        .ok_or_else(|| Status::new(503, "ServiceUnavailable", "the node has not started yet"))?;
    let kubelet = Arc::clone(kubelet);
    let target = Target { kubelet, pod };
    let stopping = call.registry().stopping.clone();
    let websocket = match upgrade {
        Upgrade::Spdy(upgrade, offered) => {
            negotiate(&offered, &[SPDY_PROTOCOL])?;
            return Ok(switch_to_spdy(upgrade, SPDY_PROTOCOL, move |session| {
                until(stopping, over_spdy(session, target))
            }));
        }
        Upgrade::WebSocket(websocket) => websocket,
    };
    let names = PROTOCOLS
        .iter()
        .filter(|protocol| !protocol.closes)
        .map(|protocol| protocol.name);
    let websocket = websocket.protocols([TUNNEL].into_iter().chain(names));
    let chosen = websocket
        .selected_protocol()
        .and_then(|name| name.to_str().ok())
        .unwrap_or_default();
    if chosen == TUNNEL {
        return Ok(websocket.on_upgrade(move |socket| until(stopping, over_spdy(tunnel(socket), target))));
    }
    let (protocol, ports) = (Protocol::named(chosen), ports(call.query.all("ports"))?);
    Ok(websocket.on_upgrade(move |socket| until(stopping, over_channels(socket, protocol, ports, target))))
}

async fn until(stopping: CancellationToken, work: impl Future<Output = ()>) {
    tokio::select! {
        () = work => {}
        () = stopping.cancelled() => {}
    }
}

/// The ports of a query, each parameter one or several with commas between.
fn ports<'a>(values: impl Iterator<Item = &'a str>) -> Result<Vec<u16>, Status> {
    let numbers = values.flat_map(|value| value.split(',')).map(|text| {
        let number = text.trim().parse::<u16>().ok().filter(|number| *number > 0);
        number.ok_or_else(|| Status::bad_request(format!("query parameter \"ports\" contains invalid port {text:?}")))
    });
    let numbers: Vec<u16> = numbers.collect::<Result<_, _>>()?;
    match numbers.len() {
        0 => Err(Status::bad_request("query parameter \"ports\" is required")),
        // Two channels a port, and a channel is a byte.
        1..=127 => Ok(numbers),
        _ => Err(Status::bad_request(
            "query parameter \"ports\" names more than 127 ports",
        )),
    }
}

/// SPDY through a WebSocket: the bytes of its binary messages, however they are cut.
fn tunnel(socket: WebSocket) -> Session {
    let (sink, messages) = socket.split();
    let bytes = messages
        .take_while(|message| std::future::ready(!matches!(message, Ok(Message::Close(_)))))
        .filter_map(|message| {
            std::future::ready(match message {
                Ok(Message::Binary(bytes)) => Some(Ok(bytes)),
                Ok(_) => None,
                Err(error) => Some(Err(io::Error::other(error))),
            })
        });
    let sink = sink
        .sink_map_err(io::Error::other)
        .with(|bytes: Bytes| std::future::ready(Ok::<_, io::Error>(Message::Binary(bytes))));
    Session::start(
        StreamReader::new(Box::pin(bytes)),
        SinkWriter::new(CopyToBytes::new(Box::pin(sink))),
    )
}

/// Serves the connections of a SPDY session until it ends.
async fn over_spdy(mut session: Session, target: Target) {
    /// Half pairs at a time; a client opens the halves one after the other.
    const HALVES: usize = 1024;
    let mut halves: HashMap<String, Stream> = HashMap::new();
    let mut connections = JoinSet::new();
    while let Some(stream) = session.accept().await {
        while connections.try_join_next().is_some() {}
        let id = pair_of(&stream);
        match halves.remove(&id) {
            Some(first) => {
                let data_first = first.header("streamtype") == Some("data");
                let (data, error) = if data_first { (first, stream) } else { (stream, first) };
                connections.spawn(connection(data, error, target.clone()));
            }
            None if halves.len() < HALVES => drop(halves.insert(id, stream)),
            None => return,
        }
    }
}

/// What the two streams of one connection have in common. Old clients send no number of the request: their error stream comes first.
fn pair_of(stream: &Stream) -> String {
    let first = match stream.header("streamtype") {
        Some("data") => stream.number.saturating_sub(2),
        _ => stream.number,
    };
    stream
        .header("requestid")
        .map_or_else(|| format!("stream {first}"), str::to_owned)
}

/// One connection: `data` both ways, each closed by itself; why it could not be made on `error`.
async fn connection(mut data: Stream, error: Stream, target: Target) {
    let (data_out, error_out) = (data.sender(), error.sender());
    let port = data
        .header("port")
        .and_then(|text| text.parse().ok())
        .unwrap_or_default();
    match target.connect(port).await {
        Ok(stream) => {
            let (mut reader, mut writer) = stream.into_split();
            let up = async {
                while let Some(bytes) = data.read().await {
                    if writer.write_all(&bytes).await.is_err() {
                        break;
                    }
                }
                let _ = writer.shutdown().await;
            };
            let down = async {
                let mut buffer = BytesMut::new();
                while let Some(bytes) = piece(&mut reader, &mut buffer).await {
                    if !data_out.send(bytes).await {
                        return;
                    }
                }
                data_out.finish().await;
            };
            tokio::select! {
                ((), ()) = async { tokio::join!(up, down) } => {}
                () = data_out.reset() => {}
            }
        }
        Err(message) => {
            error_out.send(message.into()).await;
            data_out.finish().await;
        }
    }
    error_out.finish().await;
}

/// The next bytes of a connection; none at its end.
async fn piece(reader: &mut OwnedReadHalf, buffer: &mut BytesMut) -> Option<Bytes> {
    buffer.reserve(PIECE);
    match reader.read_buf(buffer).await {
        Ok(count) if count > 0 => Some(buffer.split().freeze()),
        _ => None,
    }
}

/// Serves one connection to each of `ports` over channels: data on the even ones, errors on the odd ones. On every channel the
/// number of its port comes first. Ends when the client hangs up or every connection has ended.
async fn over_channels(socket: WebSocket, protocol: Protocol, ports: Vec<u16>, target: Target) {
    let (mut sink, mut messages) = socket.split();
    let (out, mut words) = mpsc::channel::<(u8, Bytes)>(64);
    let mut queues = Vec::new();
    let mut connections = JoinSet::new();
    for (port, data) in std::iter::zip(&ports, (0..=u8::MAX).step_by(2)) {
        let (queue, incoming) = mpsc::channel(PIECES);
        queues.push(queue);
        connections.spawn(channel(*port, data, incoming, out.clone(), target.clone()));
    }
    drop(out);
    let write = async {
        for (port, data) in std::iter::zip(&ports, (0..=u8::MAX).step_by(2)) {
            for channel in [data, data + 1] {
                sink.send(protocol.write(channel, &port.to_le_bytes())).await?;
            }
        }
        while let Some((channel, bytes)) = words.recv().await {
            sink.send(protocol.write(channel, &bytes)).await?;
        }
        sink.send(Message::Close(None)).await
    };
    let read = async {
        while let Some(Ok(message)) = messages.next().await {
            match protocol.read(message) {
                Some(Incoming::Bytes(channel, bytes)) if channel % 2 == 0 => {
                    if let Some(queue) = queues.get(usize::from(channel / 2)) {
                        // The connection may have ended.
                        let _ = queue.send(bytes).await;
                    }
                }
                Some(Incoming::End) => return,
                _ => {}
            }
        }
    };
    tokio::select! {
        result = write => {
            if let Err(error) = result {
                tracing::debug!(%error, "a forwarding client is gone");
            }
        }
        () = read => {}
    }
}

async fn channel(
    port: u16,
    data: u8,
    mut incoming: mpsc::Receiver<Bytes>,
    out: mpsc::Sender<(u8, Bytes)>,
    target: Target,
) {
    let stream = match target.connect(port).await {
        Ok(stream) => stream,
        Err(message) => return drop(out.send((data + 1, message.into())).await),
    };
    let (mut reader, mut writer) = stream.into_split();
    let up = async {
        while let Some(bytes) = incoming.recv().await {
            if writer.write_all(&bytes).await.is_err() {
                break;
            }
        }
        // The client cannot close one channel: it is gone, or the pod does not read. What the pod says still counts.
        std::future::pending::<()>().await;
    };
    let down = async {
        let mut buffer = BytesMut::new();
        while let Some(bytes) = piece(&mut reader, &mut buffer).await {
            if out.send((data, bytes)).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = up => {}
        () = down => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_come_one_by_one_or_together() {
        let read = |values: &[&str]| ports(values.iter().copied()).map_err(|error| error.code);
        assert_eq!(read(&["80", "443"]), Ok(vec![80, 443]));
        assert_eq!(read(&["80,443"]), Ok(vec![80, 443]));
        assert_eq!(read(&[]), Err(400));
        assert_eq!(read(&["0"]), Err(400));
        assert_eq!(read(&["http"]), Err(400));
    }
}
