//! Whether a server really is a Spark Connect server that answers: a client asks for its version.
//!
//! Spark Connect speaks gRPC: HTTP/2 without TLS, one unary call per request. One call (`AnalyzePlan` with `spark_version`) and its release are
//! all that is needed, so HTTP/2 comes from `h2`, which is in the tree anyway, and the two messages are written by hand: field numbers from
//! Spark's `spark/connect/base.proto`. An open port proves a listening JVM; this proves a session that was made and a version that was told.
//!
//! The session has an id and a user of its own and is released at once where the server knows how (Spark 4); an older server forgets it with its
//! other idle sessions.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use tokio::io::{AsyncRead, AsyncWrite};

/// How long a server may take to answer: the first session of a JVM is slow.
pub const PATIENCE: Duration = Duration::from_secs(30);

const SERVICE: &str = "/spark.connect.SparkConnectService";
/// The one session of ours; Connect wants a UUID.
pub(super) const SESSION: &str = "53746f6b-6500-4000-8000-000000000001";
const USER: &str = "stoke-operator";
/// gRPC's code for a call without the credentials the server wants.
const UNAUTHENTICATED: u32 = 16;
/// An answer of more than this is none of ours.
const LONGEST_ANSWER: usize = 64 * 1024;

/// Why a server did not answer.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The connection broke, or does not speak HTTP/2.
    #[error("the connection does not carry HTTP/2: {0}")]
    Connection(#[from] h2::Error),
    /// The call was answered with an error.
    #[error("gRPC status {code}: {message}")]
    Refused {
        /// gRPC's status code.
        code: u32,
        /// What the server says.
        message: String,
    },
    /// The answer is not that of a Connect server.
    #[error("{0}")]
    NotConnect(String),
    /// Nothing came in time.
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Late,
}

/// Asks the server behind `io` for its version; gives a sentence like `Spark 4.1.4 answers`.
///
/// A server that wants a token answers too: it is there, and only its clients have the token.
///
/// # Errors
/// Anything but the answer of a Connect server within [`PATIENCE`].
pub async fn greet<IO>(io: IO) -> Result<String, HandshakeError>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    tokio::time::timeout(PATIENCE, talk(io))
        .await
        .map_err(|_| HandshakeError::Late)?
}

async fn talk<IO>(io: IO) -> Result<String, HandshakeError>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let (client, connection) = h2::client::handshake(io).await?;
    let calls = async {
        let mut client = client.ready().await?;
        match call(&mut client, "AnalyzePlan", &version_request()).await {
            Ok(answer) => {
                let version = version_of(&answer)
                    .ok_or_else(|| HandshakeError::NotConnect("the answer holds no Spark version".to_owned()))?;
                // Servers before Spark 4 do not know this call; theirs is an error without consequence.
                let _ = call(&mut client, "ReleaseSession", &release_request()).await;
                Ok(format!("Spark {version} answers"))
            }
            Err(HandshakeError::Refused {
                code: UNAUTHENTICATED, ..
            }) => Ok("a server that wants a token answers".to_owned()),
            Err(error) => Err(error),
        }
    };
    tokio::select! {
        answer = calls => answer,
        ended = connection => match ended {
            Ok(()) => Err(HandshakeError::NotConnect("the server closed the connection".to_owned())),
            Err(error) => Err(error.into()),
        },
    }
}

/// One unary call; gives the message of the answer.
async fn call(
    client: &mut h2::client::SendRequest<Bytes>,
    method: &str,
    message: &[u8],
) -> Result<Vec<u8>, HandshakeError> {
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("http://spark-connect{SERVICE}/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("user-agent", concat!("stoke/", env!("CARGO_PKG_VERSION")))
        .body(())
        .map_err(|error| HandshakeError::NotConnect(error.to_string()))?;
    let (response, mut sending) = client.send_request(request, false)?;
    sending.send_data(framed(message), true)?;
    let (head, mut body) = response.await?.into_parts();
    if !head.status.is_success() {
        return Err(HandshakeError::NotConnect(format!("HTTP status {}", head.status)));
    }
    // An error without an answer has its status among the first headers.
    status_of(&head.headers).unwrap_or(Ok(()))?;
    let mut answer = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        answer.extend_from_slice(&data);
        if answer.len() > LONGEST_ANSWER {
            return Err(HandshakeError::NotConnect("the answer is too long".to_owned()));
        }
    }
    let trailers = body.trailers().await?.unwrap_or_default();
    match status_of(&trailers) {
        Some(status) => status?,
        None => return Err(HandshakeError::NotConnect("the answer has no gRPC status".to_owned())),
    }
    unframed(&answer).ok_or_else(|| HandshakeError::NotConnect("the answer is not a gRPC message".to_owned()))
}

fn status_of(headers: &HeaderMap) -> Option<Result<(), HandshakeError>> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let code: u32 = text("grpc-status")?.parse().unwrap_or(2);
    Some(match code {
        0 => Ok(()),
        code => Err(HandshakeError::Refused {
            code,
            message: text("grpc-message").unwrap_or("no message").chars().take(300).collect(),
        }),
    })
}

/// gRPC's frame: not compressed, length, message.
fn framed(message: &[u8]) -> Bytes {
    let mut frame = vec![0];
    frame.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    frame.extend_from_slice(message);
    frame.into()
}

fn unframed(frame: &[u8]) -> Option<Vec<u8>> {
    let (head, rest) = frame.split_at_checked(5)?;
    let length = u32::from_be_bytes(head.get(1..5)?.try_into().ok()?);
    rest.get(..usize::try_from(length).ok()?).map(<[u8]>::to_vec)
}

/// `AnalyzePlanRequest { session_id: 1, user_context: 2 { user_id: 1 }, spark_version: 10 {} }`.
fn version_request() -> Vec<u8> {
    let mut message = Vec::new();
    field(&mut message, 1, SESSION.as_bytes());
    field(&mut message, 2, &user());
    field(&mut message, 10, &[]);
    message
}

/// `ReleaseSessionRequest { session_id: 1, user_context: 2, allow_reconnect: 4 }`.
fn release_request() -> Vec<u8> {
    let mut message = Vec::new();
    field(&mut message, 1, SESSION.as_bytes());
    field(&mut message, 2, &user());
    message.extend_from_slice(&[4 << 3, 1]);
    message
}

fn user() -> Vec<u8> {
    let mut user = Vec::new();
    field(&mut user, 1, USER.as_bytes());
    user
}

/// A length-delimited field of protobuf; none of ours is longer than 127 bytes, nor has a number above 15.
fn field(message: &mut Vec<u8>, number: u8, value: &[u8]) {
    message.push(number << 3 | 2);
    message.push(u8::try_from(value.len()).unwrap_or(u8::MAX));
    message.extend_from_slice(value);
}

/// `AnalyzePlanResponse { spark_version: 8 { version: 1 } }`.
fn version_of(answer: &[u8]) -> Option<String> {
    let inner = bytes_field(answer, 8)?;
    let version = bytes_field(inner, 1)?;
    String::from_utf8(version.to_vec())
        .ok()
        .filter(|version| !version.is_empty())
}

/// The first length-delimited field of this number.
fn bytes_field(mut message: &[u8], wanted: u64) -> Option<&[u8]> {
    while !message.is_empty() {
        let (key, rest) = varint(message)?;
        message = rest;
        match key & 7 {
            0 => message = varint(message)?.1,
            1 => message = message.get(8..)?,
            5 => message = message.get(4..)?,
            2 => {
                let (length, rest) = varint(message)?;
                let (value, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
                if key >> 3 == wanted {
                    return Some(value);
                }
                message = rest;
            }
            _ => return None,
        }
    }
    None
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f).checked_shl(7 * u32::try_from(index).ok()?)?;
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(index + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_read_back() {
        let request = version_request();
        assert_eq!(bytes_field(&request, 1), Some(SESSION.as_bytes()));
        assert_eq!(bytes_field(bytes_field(&request, 2).unwrap(), 1), Some(USER.as_bytes()));
        assert_eq!(bytes_field(&request, 10), Some(&[][..]));
        let mut version = Vec::new();
        field(&mut version, 1, b"4.1.4");
        let mut answer = vec![15 << 3, 0x96, 0x01];
        field(&mut answer, 1, SESSION.as_bytes());
        field(&mut answer, 8, &version);
        assert_eq!(version_of(&answer).as_deref(), Some("4.1.4"));
        assert_eq!(unframed(&framed(&answer)), Some(answer));
    }

    #[test]
    fn nonsense_is_no_version_and_never_a_panic() {
        for bytes in [
            &b""[..],
            &[0xff; 12],
            &[0x42, 0x7f],
            &[0x42, 0x02, 0x0a, 0x05],
            &[0x0b],
            &[0x41, 1, 2],
        ] {
            assert_eq!(version_of(bytes), None, "{bytes:?}");
            assert!(unframed(bytes).is_none() || bytes.len() >= 5);
        }
    }

    /// A server of ours that answers as told.
    async fn served(answer: &'static [u8], status: &'static str) -> Result<String, HandshakeError> {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let serving = async move {
            let mut connection = h2::server::handshake(theirs).await.unwrap();
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                assert!(request.uri().path().starts_with(SERVICE));
                let head = http::Response::builder()
                    .header("content-type", "application/grpc")
                    .body(())
                    .unwrap();
                let mut body = respond.send_response(head, false).unwrap();
                body.send_data(framed(answer), false).unwrap();
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", status.parse().unwrap());
                body.send_trailers(trailers).unwrap();
            }
        };
        tokio::select! {
            said = greet(ours) => said,
            () = serving => Err(HandshakeError::Late),
        }
    }

    #[tokio::test]
    async fn a_server_that_tells_its_version_is_believed_and_no_other() {
        let version = b"\x42\x07\x0a\x05\x34\x2e\x31\x2e\x34";
        assert_eq!(served(version, "0").await.unwrap(), "Spark 4.1.4 answers");
        assert_eq!(served(b"", "16").await.unwrap(), "a server that wants a token answers");
        assert!(matches!(
            served(b"", "12").await,
            Err(HandshakeError::Refused { code: 12, .. })
        ));
        assert!(matches!(served(b"", "0").await, Err(HandshakeError::NotConnect(_))));
    }

    #[tokio::test]
    async fn a_port_that_speaks_something_else_is_no_server() {
        let (ours, mut theirs) = tokio::io::duplex(1024);
        let other = async move {
            let _ = tokio::io::AsyncWriteExt::write_all(&mut theirs, b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        };
        let (said, ()) = tokio::join!(greet(ours), other);
        assert!(said.is_err());
    }
}
