//! `exec` and `attach`: a process on one side, a client's streams on the other.
//!
//! The two protocols come down to one [`Conversation`]; [`converse`] carries the bytes and ends with the exit code as a Status.

use axum::extract::ws::{CloseFrame, WebSocket};
use axum::response::Response;
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, watch};
use tokio::time::Duration;
use tokio_util::sync::CancellationToken;

use super::channels::{Incoming, PROTOCOLS, Protocol};
use super::spdy::session::{Session, Stream};
use super::{Upgrade, negotiate, refused, switch_to_spdy};
use crate::apimachinery::status::Status;
use crate::http::call::Call;
use crate::kubelet::{ContainerName, Process, Streams};

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
const RESIZE: u8 = 4;

/// Pieces of input that wait for the process; clients send pieces of at most 32 KiB.
const PIECES: usize = 64;
/// The largest piece of output.
const PIECE: usize = 32 << 10;
/// A SPDY client opens its streams within this time.
const STREAMS_WITHIN: Duration = Duration::from_secs(30);
/// After the end of a command, output still held open by its children is waited for this long from the last byte.
const LINGER: Duration = Duration::from_millis(500);

/// Serves `exec` or `attach`.
pub async fn serve(call: Call, name: ContainerName, upgrade: Upgrade) -> Result<Response, Status> {
    let mut streams = Streams {
        stdin: call.query.flag("stdin"),
        stdout: call.query.flag("stdout"),
        stderr: call.query.flag("stderr"),
        tty: call.query.flag("tty"),
    };
    if !(streams.stdin || streams.stdout || streams.stderr) {
        return Err(Status::bad_request(
            "you must specify at least 1 of stdin, stdout, stderr",
        ));
    }
    if streams.tty {
        streams.stderr = false;
    }
    let exec = call.request.target.subresource.as_deref() == Some("exec");
    let command: Vec<String> = call.query.all("command").map(str::to_owned).collect();
    if exec && command.is_empty() {
        return Err(Status::bad_request(
            "you must specify at least 1 command for the container",
        ));
    }
    let upgrade = match upgrade {
        Upgrade::WebSocket(upgrade) => Upgrade::WebSocket(upgrade.protocols(PROTOCOLS.map(|protocol| protocol.name))),
        Upgrade::Spdy(upgrade, offered) => {
            negotiate(&offered, &[SPDY_PROTOCOL])?;
            Upgrade::Spdy(upgrade, offered)
        }
    };
    let kubelet = call
        .server
        .kubelet()
        .ok_or_else(|| Status::new(503, "ServiceUnavailable", "the node has not started yet"))?;
    let process = if exec {
        kubelet.exec(name, command.clone(), streams).await
    } else {
        kubelet.attach(name, streams).await
    };
    let stopping = call.registry().stopping.clone();
    match upgrade {
        Upgrade::WebSocket(upgrade) => {
            let chosen = upgrade
                .selected_protocol()
                .and_then(|name| name.to_str().ok())
                .unwrap_or_default();
            let protocol = Protocol::named(chosen);
            let process = match process {
                Ok(process) => Ok(process),
                // Here the real server has changed protocols before it asks the node.
                Err(error) if protocol.closes => Err(internal(&error.message)),
                Err(error) => return Err(refused(error)),
            };
            Ok(upgrade.on_upgrade(move |socket| async move {
                let conversation = over_websocket(socket, protocol, streams);
                tokio::select! {
                    () = converse(process, conversation, command) => {}
                    () = stopping.cancelled() => {}
                }
            }))
        }
        Upgrade::Spdy(upgrade, _) => {
            let process = process.map_err(refused)?;
            Ok(switch_to_spdy(upgrade, SPDY_PROTOCOL, move |session| async move {
                let Some(conversation) = over_spdy(session, streams).await else {
                    return;
                };
                tokio::select! {
                    () = converse(Ok(process), conversation, command) => {}
                    () = stopping.cancelled() => {}
                }
            }))
        }
    }
}

/// What SPDY clients and we have in common on top of SPDY.
const SPDY_PROTOCOL: &str = "v4.channel.k8s.io";

/// What goes to the client.
enum Word {
    Out(Bytes),
    Err(Bytes),
    /// The end.
    Status(Value),
}

/// A client, in whichever protocol.
struct Conversation {
    stdin: mpsc::Receiver<Bytes>,
    size: watch::Receiver<(u16, u16)>,
    out: mpsc::Sender<Word>,
    /// The client is gone.
    gone: CancellationToken,
    /// The last word was written.
    written: CancellationToken,
}

/// Carries bytes between a process and a client until the process ends or the client is gone.
async fn converse(process: Result<Process, Value>, mut client: Conversation, command: Vec<String>) {
    let status = match process {
        Err(status) => Some(status),
        Ok(mut process) => {
            let ended = CancellationToken::new();
            let stdin = process.stdin.take();
            let type_in = async {
                let Some(mut stdin) = stdin else { return };
                while let Some(bytes) = client.stdin.recv().await {
                    if stdin.write_all(&bytes).await.is_err() {
                        break;
                    }
                }
                let _ = stdin.shutdown().await;
            };
            let resize = process.resize.take();
            let follow_size = async {
                let Some(resize) = resize else { return };
                while client.size.changed().await.is_ok() {
                    let (rows, columns) = *client.size.borrow_and_update();
                    resize(rows, columns);
                }
            };
            let out = copy(process.stdout.take(), Word::Out, &client.out, &ended);
            let err = copy(process.stderr.take(), Word::Err, &client.out, &ended);
            let end = process.end.take();
            let finish = async {
                let over = async {
                    let result = match end {
                        Some(end) => Some(end.await),
                        None => None,
                    };
                    if result.is_some() {
                        ended.cancel();
                    }
                    result
                };
                let (result, (), ()) = tokio::join!(over, out, err);
                match result {
                    Some(result) => exit_status(result, &command),
                    None => success(),
                }
            };
            let serve_input = async {
                tokio::join!(type_in, follow_size);
                std::future::pending::<()>().await;
            };
            tokio::select! {
                status = finish => Some(status),
                () = client.gone.cancelled() => None,
                () = serve_input => None,
            }
        }
    };
    if let Some(status) = status
        && client.out.send(Word::Status(status)).await.is_ok()
    {
        drop(client.out);
        tokio::select! {
            () = client.written.cancelled() => {}
            () = client.gone.cancelled() => {}
        }
    }
}

/// Copies one output to the client. When the command has `ended`, children that hold it open silently are not waited for.
async fn copy(
    output: Option<Box<dyn AsyncRead + Send + Unpin>>,
    word: fn(Bytes) -> Word,
    out: &mpsc::Sender<Word>,
    ended: &CancellationToken,
) {
    let Some(mut output) = output else { return };
    let mut buffer = vec![0; PIECE];
    loop {
        let silence = async {
            ended.cancelled().await;
            tokio::time::sleep(LINGER).await;
        };
        let read = tokio::select! {
            read = output.read(&mut buffer) => read,
            () = silence => return,
        };
        match read {
            Ok(count) if count > 0 => {
                if out.send(word(Bytes::copy_from_slice(&buffer[..count]))).await.is_err() {
                    return;
                }
            }
            _ => return,
        }
    }
}

fn success() -> Value {
    json!({"metadata": {}, "status": "Success"})
}

fn internal(message: &str) -> Value {
    let mut error = Status::internal(format!("Internal error occurred: {message}"));
    error.details = json!({"causes": [{"message": message}]});
    error.to_json()
}

/// The Status that tells how a command ended: clients take the exit code from its cause.
fn exit_status(result: Result<i32, String>, command: &[String]) -> Value {
    match result {
        Ok(0) => success(),
        Ok(code) => json!({
            "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
            "message": format!(
                "command terminated with non-zero exit code: error executing command [{}], exit code {code}",
                command.join(" ")
            ),
            "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
        }),
        Err(message) => internal(&format!("error executing command in container: {message}")),
    }
}

/// The size in `{"Width":80,"Height":24}`: rows and columns.
fn size_of(message: &[u8]) -> Option<(u16, u16)> {
    let value: Value = serde_json::from_slice(message).ok()?;
    let number = |name: &str| u16::try_from(value[name].as_u64()?).ok();
    Some((number("Height")?, number("Width")?))
}

fn over_websocket(socket: WebSocket, protocol: Protocol, streams: Streams) -> Conversation {
    let (typed, stdin) = mpsc::channel(PIECES);
    let (sized, size) = watch::channel((0, 0));
    let (out, mut words) = mpsc::channel(16);
    let (gone, written) = (CancellationToken::new(), CancellationToken::new());
    let (mut sink, mut messages) = socket.split();
    let hung_up = gone.clone();
    let done = written.clone();
    tokio::spawn(async move {
        let mut typed = streams.stdin.then_some(typed);
        let read = async {
            while let Some(Ok(message)) = messages.next().await {
                match protocol.read(message) {
                    Some(Incoming::Bytes(STDIN, bytes)) if !bytes.is_empty() => {
                        if let Some(queue) = &typed
                            && queue.send(bytes).await.is_err()
                        {
                            typed = None;
                        }
                    }
                    Some(Incoming::Bytes(RESIZE, bytes)) => {
                        if let Some(size) = size_of(&bytes) {
                            sized.send_replace(size);
                        }
                    }
                    Some(Incoming::Closed(STDIN)) => typed = None,
                    Some(Incoming::End) => break,
                    Some(Incoming::Bytes(..) | Incoming::Closed(_)) | None => {}
                }
            }
        };
        tokio::select! {
            () = read => hung_up.cancel(),
            // Who hangs up after the last word is not gone early.
            () = done.cancelled() => {}
        }
    });
    let (hung_up, done) = (gone.clone(), written.clone());
    tokio::spawn(async move {
        // Clients learn from an empty message that the connection stands.
        let lowest = match (streams.stdout, streams.stderr) {
            (true, _) => STDOUT,
            (false, true) => STDERR,
            (false, false) => ERROR,
        };
        let mut result = sink.send(protocol.write(lowest, &[])).await;
        while let (Ok(()), Some(word)) = (&result, words.recv().await) {
            let message = match word {
                Word::Out(bytes) => protocol.write(STDOUT, &bytes),
                Word::Err(bytes) => protocol.write(STDERR, &bytes),
                Word::Status(status) if protocol.status => protocol.write(ERROR, status.to_string().as_bytes()),
                Word::Status(status) if status["status"] == "Success" => continue,
                Word::Status(status) => {
                    protocol.write(ERROR, status["message"].as_str().unwrap_or_default().as_bytes())
                }
            };
            result = sink.send(message).await;
        }
        if result.is_err() {
            hung_up.cancel();
        }
        let close = CloseFrame {
            code: axum::extract::ws::close_code::NORMAL,
            reason: "".into(),
        };
        let _ = sink.send(axum::extract::ws::Message::Close(Some(close))).await;
        done.cancel();
    });
    Conversation {
        stdin,
        size,
        out,
        gone,
        written,
    }
}

/// The conversation over a SPDY connection, once the client has opened all streams it needs.
async fn over_spdy(mut session: Session, streams: Streams) -> Option<Conversation> {
    let wanted = 1 + [streams.stdin, streams.stdout, streams.stderr, streams.tty]
        .map(usize::from)
        .iter()
        .sum::<usize>();
    let mut opened: Vec<Stream> = Vec::new();
    let collect = async {
        while opened.len() < wanted {
            match session.accept().await {
                Some(stream) => opened.push(stream),
                None => return false,
            }
        }
        true
    };
    if !tokio::time::timeout(STREAMS_WITHIN, collect).await.unwrap_or(false) {
        tracing::debug!("a client did not open the streams it announced");
        return None;
    }
    let mut take = |kind: &str| {
        let index = opened
            .iter()
            .position(|stream| stream.header("streamtype") == Some(kind))?;
        Some(opened.swap_remove(index))
    };
    let [stdin_stream, resize_stream] = ["stdin", "resize"].map(&mut take);
    let [out_stream, err_stream, error_stream] = ["stdout", "stderr", "error"].map(&mut take);
    let (typed, stdin) = mpsc::channel(PIECES);
    let (sized, size) = watch::channel((0, 0));
    let (out, mut words) = mpsc::channel(16);
    let (gone, written) = (session.ended(), CancellationToken::new());
    tokio::spawn(async move {
        let type_in = async {
            let Some(mut stream) = stdin_stream else { return };
            let typed = typed;
            while let Some(bytes) = stream.read().await {
                if typed.send(bytes).await.is_err() {
                    break;
                }
            }
        };
        let resize = async {
            let Some(mut stream) = resize_stream else { return };
            while let Some(bytes) = stream.read().await {
                // Each message is one line; several may have come together.
                let lines = bytes.split(|byte| *byte == b'\n');
                if let Some(size) = lines.filter_map(size_of).next_back() {
                    sized.send_replace(size);
                }
            }
        };
        tokio::join!(type_in, resize);
    });
    let done = written.clone();
    tokio::spawn(async move {
        let sender = |stream: &Option<Stream>| stream.as_ref().map(Stream::sender);
        let (out, err, error) = (sender(&out_stream), sender(&err_stream), sender(&error_stream));
        while let Some(word) = words.recv().await {
            let (stream, bytes) = match word {
                Word::Out(bytes) => (&out, bytes),
                Word::Err(bytes) => (&err, bytes),
                Word::Status(status) => (&error, status.to_string().into()),
            };
            if let Some(stream) = stream {
                stream.send(bytes).await;
            }
        }
        for stream in [out, err, error].into_iter().flatten() {
            stream.finish().await;
        }
        // Clients read to the end of their streams and then close the connection.
        let _ = tokio::time::timeout(STREAMS_WITHIN, session.ended().cancelled()).await;
        done.cancel();
    });
    Some(Conversation {
        stdin,
        size,
        out,
        gone,
        written,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_command_is_a_status() {
        assert_eq!(exit_status(Ok(0), &[]), json!({"metadata": {}, "status": "Success"}));
        let status = exit_status(Ok(7), &["sh".into(), "-c".into(), "exit 7".into()]);
        assert_eq!(status["reason"], "NonZeroExitCode");
        assert_eq!(
            status["details"]["causes"],
            json!([{"reason": "ExitCode", "message": "7"}])
        );
        assert_eq!(
            status["message"],
            "command terminated with non-zero exit code: error executing command [sh -c exit 7], exit code 7"
        );
        let status = exit_status(Err("it is not there".into()), &[]);
        assert_eq!(
            (&status["reason"], &status["code"]),
            (&json!("InternalError"), &json!(500))
        );
        assert_eq!(
            status["message"],
            "Internal error occurred: error executing command in container: it is not there"
        );
    }

    #[test]
    fn sizes_are_read() {
        assert_eq!(size_of(br#"{"Width":80,"Height":24}"#), Some((24, 80)));
        assert_eq!(size_of(br#"{"Width":-1,"Height":24}"#), None);
        assert_eq!(size_of(b""), None);
    }
}
