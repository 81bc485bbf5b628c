//! What the API server asks of the node: the part of the kubelet API behind pod subresources.
//!
//! In: which pod and container, how much of the log. Out: a stream of bytes, or the Status the client shall see.
//! The node reads pods and writes their status through `kube::Client`; only what has no object (logs) comes through here.

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use jiff::Timestamp;

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

/// The node as the API server sees it.
pub trait Kubelet: Send + Sync + 'static {
    /// Opens a container's log. The stream ends when the log does (with `follow`: when the container has ended and all was sent).
    fn logs(&self, request: LogRequest) -> BoxFuture<'_, Result<BoxStream<'static, Bytes>, KubeletError>>;
}
