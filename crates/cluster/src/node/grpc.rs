//! The health check of gRPC (`grpc.health.v1.Health/Check`), as a kubelet asks it: over HTTP/2 without TLS, in the kubelet's words.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Bytes of an answer that are read: a healthy one has seven.
const MOST_BYTES: usize = 64 << 10;
/// gRPC's code for a method that is not there.
const UNIMPLEMENTED: &str = "12";

/// Asks whether a service is serving; an empty name asks for the server as a whole. The failure is the text of the probe's event.
pub(crate) async fn check(address: SocketAddr, service: &str, limit: Duration) -> Result<String, String> {
    let connected = timeout(limit, TcpStream::connect(address)).await;
    let stream = match connected {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            return Err(format!(
                "timeout: failed to connect service {:?} within {limit:?}: dial tcp {address}: {error}",
                address.to_string()
            ));
        }
        Err(_) => {
            return Err(format!(
                "timeout: failed to connect service {:?} within {limit:?}: context deadline exceeded",
                address.to_string()
            ));
        }
    };
    let answer = timeout(limit, ask(stream, address, service)).await;
    let answer = answer.map_err(|_| format!("timeout: health rpc did not complete within {limit:?}"))?;
    let (headers, message) = answer.map_err(|error| format!("error: health rpc probe failed: {error}"))?;
    let text = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    match text("grpc-status") {
        "0" => {}
        UNIMPLEMENTED => {
            return Err(format!(
                "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): {}",
                text("grpc-message")
            ));
        }
        code => {
            let message = text("grpc-message");
            return Err(format!(
                "error: health rpc probe failed: code = {code:?} desc = {message}"
            ));
        }
    }
    match status(&message) {
        Some(1) => Ok("service healthy".to_owned()),
        Some(other) => Err(format!("service unhealthy (responded with {:?})", name_of(other))),
        None => Err("error: health rpc probe failed: the answer cannot be read".to_owned()),
    }
}

/// Sends the request; gives headers and trailers together, and the message.
async fn ask(stream: TcpStream, address: SocketAddr, service: &str) -> Result<(HeaderMap, Bytes), String> {
    let words = |error: &dyn std::fmt::Display| error.to_string();
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(|error| words(&error))?;
    // It ends with the sender; what went wrong is told by the answer.
    tokio::spawn(async move { drop(connection.await) });
    let request = Request::post(format!("http://{address}/grpc.health.v1.Health/Check"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("user-agent", "kube-probe/1.34")
        .body(Full::new(message(service)))
        .map_err(|error| words(&error))?;
    let response = sender.send_request(request).await.map_err(|error| words(&error))?;
    if response.status() != 200 {
        return Err(format!("the server answered {}", response.status()));
    }
    let mut headers = response.headers().clone();
    let body = Limited::new(response.into_body(), MOST_BYTES).collect().await;
    let body = body.map_err(|error| words(&error))?;
    headers.extend(body.trailers().cloned().unwrap_or_default());
    Ok((headers, body.to_bytes()))
}

/// A `HealthCheckRequest` with gRPC's five bytes before it: `string service = 1`.
fn message(service: &str) -> Bytes {
    let mut body = Vec::new();
    if !service.is_empty() {
        body.push(0x0a);
        let mut length = service.len();
        while length >= 0x80 {
            body.push(length.to_le_bytes()[0] | 0x80);
            length >>= 7;
        }
        body.push(length.to_le_bytes()[0]);
        body.extend_from_slice(service.as_bytes());
    }
    let mut framed = vec![0];
    framed.extend_from_slice(&u32::try_from(body.len()).unwrap_or_default().to_be_bytes());
    framed.extend(body);
    framed.into()
}

/// The status in a `HealthCheckResponse`: `ServingStatus status = 1`, absent when it is 0.
fn status(framed: &[u8]) -> Option<u8> {
    let (head, body) = framed.split_at_checked(5)?;
    if head[0] != 0 || u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize != body.len() {
        return None;
    }
    match body {
        [] => Some(0),
        [0x08, status, ..] => Some(*status),
        _ => None,
    }
}

/// As the protocol names a status.
fn name_of(status: u8) -> &'static str {
    match status {
        1 => "SERVING",
        2 => "NOT_SERVING",
        3 => "SERVICE_UNKNOWN",
        _ => "UNKNOWN",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_framed_as_grpc_frames_them() {
        assert_eq!(&message("")[..], [0, 0, 0, 0, 0]);
        assert_eq!(&message("ab")[..], [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
        assert_eq!(message(&"x".repeat(200)).len(), 5 + 3 + 200);
        for (framed, expected) in [
            (&[0, 0, 0, 0, 2, 8, 1][..], Some(1)),
            (&[0, 0, 0, 0, 2, 8, 2], Some(2)),
            (&[0, 0, 0, 0, 0], Some(0)),
            (&[0, 0, 0, 0, 9, 8, 1], None),
            (&[1, 0, 0, 0, 2, 8, 1], None),
            (&[0, 0], None),
        ] {
            assert_eq!(status(framed), expected);
        }
    }
}
