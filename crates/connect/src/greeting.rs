//! Whether a server really is a Spark Connect server that answers: a client asks for its version.
//!
//! One call (`AnalyzePlan` with `spark_version`) and its release are all that is needed. An open port proves a listening JVM; this proves a session
//! that was made and a version that was reported.
//!
//! The session has an id and a user of its own and is released at once where the server knows how (Spark 4); an older server forgets it with its
//! other idle sessions.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::call::Channel;
use crate::error::ConnectError;
use crate::messages::{AnalyzePlanRequest, AnalyzePlanResponse, Nothing, ReleaseSessionRequest, UserContext};
use crate::remote::Login;

/// How long a server may take to answer: the first session of a JVM is slow.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// The one session of all greetings; Connect wants a UUID.
pub const SESSION: &str = "53746f6b-6500-4000-8000-000000000001";
const USER: &str = "stoke-operator";

/// Asks the server behind `io` for its version; gives a sentence like `Spark 4.1.4 answers`.
///
/// A server that wants a token answers too: it is there, and only its clients have the token.
///
/// # Errors
/// Anything but the answer of a Connect server within [`PATIENCE`].
pub async fn greet<IO>(io: IO) -> Result<String, ConnectError>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    tokio::time::timeout(PATIENCE, talk(io))
        .await
        .map_err(|_| ConnectError::Late(PATIENCE))?
}

async fn talk<IO>(io: IO) -> Result<String, ConnectError>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let (channel, connection) = Channel::open(io, &Login::user(USER)).await?;
    let calls = async {
        match version(&channel, SESSION, USER).await {
            Ok(version) => {
                release(&channel, SESSION, USER).await;
                Ok(format!("Spark {version} answers"))
            }
            Err(error) if error.wants_credentials() => Ok("a server that wants a token answers".to_owned()),
            Err(error) => Err(error),
        }
    };
    tokio::select! {
        answer = calls => answer,
        ended = connection => match ended {
            Ok(()) => Err(ConnectError::NotConnect("the server closed the connection".to_owned())),
            Err(error) => Err(error.into()),
        },
    }
}

/// The server's version.
pub(crate) async fn version(channel: &Channel, session: &str, user: &str) -> Result<String, ConnectError> {
    let request = AnalyzePlanRequest {
        session_id: session.to_owned(),
        user_context: Some(context(user)),
        spark_version: Some(Nothing {}),
        ..AnalyzePlanRequest::default()
    };
    let answer: AnalyzePlanResponse = channel.unary("AnalyzePlan", &request).await?;
    let version = answer.spark_version.map(|told| told.version).unwrap_or_default();
    if version.is_empty() || version.len() > 200 || version.contains(char::is_control) {
        return Err(ConnectError::NotConnect("the answer holds no Spark version".to_owned()));
    }
    Ok(version)
}

/// Releases a session. Servers before Spark 4 do not know this call; theirs is an error without consequence.
pub(crate) async fn release(channel: &Channel, session: &str, user: &str) {
    let request = ReleaseSessionRequest {
        session_id: session.to_owned(),
        user_context: Some(context(user)),
        allow_reconnect: true,
    };
    let _: Result<Nothing, _> = channel.unary("ReleaseSession", &request).await;
}

pub(crate) fn context(user: &str) -> UserContext {
    UserContext {
        user_id: user.to_owned(),
        user_name: user.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;
    use crate::call::{SERVICE, framed};

    /// A server of ours that answers as it is asked to.
    async fn served(answer: &'static [u8], status: &'static str) -> Result<String, ConnectError> {
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
            () = serving => Err(ConnectError::Late(PATIENCE)),
        }
    }

    #[tokio::test]
    async fn a_server_that_tells_its_version_is_believed_and_no_other() {
        let version = b"\x42\x07\x0a\x05\x34\x2e\x31\x2e\x34";
        assert_eq!(served(version, "0").await.unwrap(), "Spark 4.1.4 answers");
        assert_eq!(served(b"", "16").await.unwrap(), "a server that wants a token answers");
        assert!(matches!(
            served(b"", "12").await,
            Err(ConnectError::Refused { code: 12, .. })
        ));
        for nonsense in [
            &b""[..],
            &[0xff; 12],
            &[0x42, 0x7f],
            &[0x42, 0x02, 0x0a, 0x05],
            &[0x0b],
            &[0x41, 1, 2],
        ] {
            assert!(
                matches!(served(nonsense, "0").await, Err(ConnectError::NotConnect(_))),
                "{nonsense:?}"
            );
        }
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
