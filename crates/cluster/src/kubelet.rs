//! What the API server asks of the node: the part of the kubelet API behind pod subresources.
//!
//! In: which pod and container; how much of the log, which command, which port. Out: streams of bytes, or the Status the client
//! shall see. The node reads pods and writes their status through `kube::Client`; only what has no object (logs, commands in
//! containers, connections to their ports) comes through here.

use std::sync::Weak;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// How much of a container's log to return, as the query of `GET pods/<name>/log` asks for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Keep the stream open and send new lines until the container ends.
    pub follow: bool,
    /// The log of the container's previous, terminated instance.
    pub previous: bool,
    /// Only this many lines, counted from the end.
    pub tail_lines: Option<u64>,
    /// Only lines written at or after this time.
    pub since: Option<Timestamp>,
    /// Put the RFC 3339 time of each line and a space before it.
    pub timestamps: bool,
    /// Stop after this many bytes.
    pub limit_bytes: Option<u64>,
}

/// One container's log, named the way the API server knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRequest {
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub pod: String,
    /// UID of the pod: two pods of one name never share a log.
    pub uid: String,
    /// Container name; always set, the API server has applied the default.
    pub container: String,
    /// How much to return.
    pub options: LogOptions,
}

/// A refusal by the node, sent to the client as a `Status`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct KubeletError {
    /// HTTP status code, for example 400 while a container is still being created.
    pub code: u16,
    /// Kubernetes reason word, for example `BadRequest`.
    pub reason: &'static str,
    /// Sentence for the user.
    pub message: String,
}

impl KubeletError {
    /// 400 `BadRequest`, the kubelet's answer for a container that has no log yet.
    pub fn bad_request(message: impl Into<String>) -> Self {
        KubeletError {
            code: 400,
            reason: "BadRequest",
            message: message.into(),
        }
    }

    /// 404 `NotFound`, for a pod the node does not have.
    pub fn not_found(message: impl Into<String>) -> Self {
        KubeletError {
            code: 404,
            reason: "NotFound",
            message: message.into(),
        }
    }

    /// 500 `InternalError`, for a failure of the node itself.
    pub fn internal(message: impl Into<String>) -> Self {
        KubeletError {
            code: 500,
            reason: "InternalError",
            message: message.into(),
        }
    }
}

/// One container of one pod, named the way the API server knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerName {
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub pod: String,
    /// UID of the pod.
    pub uid: String,
    /// Container name; always set, the API server has applied the default.
    pub container: String,
}

/// Which streams a client wants of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Streams {
    /// To write to its standard input.
    pub stdin: bool,
    /// To read its standard output.
    pub stdout: bool,
    /// To read its standard error. With a terminal there is none.
    pub stderr: bool,
    /// That it runs on a terminal.
    pub tty: bool,
}

/// A process in a container, as far as a client has asked for it. Dropping it closes its streams; it is then told as a program
/// is told by a terminal or pipe that is closed.
pub struct Process {
    /// Its standard input. Shutting it down or dropping it is the end of the input.
    pub stdin: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    /// Its standard output, or its terminal.
    pub stdout: Option<Box<dyn AsyncRead + Send + Unpin>>,
    /// Its standard error.
    pub stderr: Option<Box<dyn AsyncRead + Send + Unpin>>,
    /// Sets the size of its terminal: rows, columns.
    pub resize: Option<Box<dyn Fn(u16, u16) + Send>>,
    /// Its end: the exit code, or why it did not start. None for a process that was there before (attach): then the end of its
    /// output is the end.
    pub end: Option<BoxFuture<'static, Result<i32, String>>>,
}

/// The node as the API server sees it.
pub trait Kubelet: Send + Sync + 'static {
    /// Opens a container's log. The stream ends when the log does (with `follow`: when the container has ended and all was sent).
    fn logs(&self, request: LogRequest) -> BoxFuture<'_, Result<BoxStream<'static, Bytes>, KubeletError>>;

    /// Runs a command in a running container.
    fn exec(
        &self,
        container: ContainerName,
        command: Vec<String>,
        streams: Streams,
    ) -> BoxFuture<'_, Result<Process, KubeletError>>;

    /// Listens to, and types to, the main process of a running container.
    fn attach(&self, container: ContainerName, streams: Streams) -> BoxFuture<'_, Result<Process, KubeletError>>;

    /// Connects to a TCP port at which a process of the pod listens; `container` is not looked at.
    fn connect(&self, pod: ContainerName, port: u16) -> BoxFuture<'_, Result<TcpStream, KubeletError>>;
}

/// A node for as long as there is one: the API server must not keep a node from ending.
impl<K: Kubelet> Kubelet for Weak<K> {
    fn logs(&self, request: LogRequest) -> BoxFuture<'_, Result<BoxStream<'static, Bytes>, KubeletError>> {
        Box::pin(async move { there(self)?.logs(request).await })
    }

    fn exec(
        &self,
        container: ContainerName,
        command: Vec<String>,
        streams: Streams,
    ) -> BoxFuture<'_, Result<Process, KubeletError>> {
        Box::pin(async move { there(self)?.exec(container, command, streams).await })
    }

    fn attach(&self, container: ContainerName, streams: Streams) -> BoxFuture<'_, Result<Process, KubeletError>> {
        Box::pin(async move { there(self)?.attach(container, streams).await })
    }

    fn connect(&self, pod: ContainerName, port: u16) -> BoxFuture<'_, Result<TcpStream, KubeletError>> {
        Box::pin(async move { there(self)?.connect(pod, port).await })
    }
}

fn there<K>(node: &Weak<K>) -> Result<std::sync::Arc<K>, KubeletError> {
    node.upgrade()
        .ok_or_else(|| KubeletError::internal("the node is stopping"))
}
