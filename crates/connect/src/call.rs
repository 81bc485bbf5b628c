//! gRPC over HTTP/2: one message out, one message or a stream of them back.
//!
//! What the server sends is held back by HTTP/2's window until it is taken, and a message is no longer than the reader allows.

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::error::ConnectError;
use crate::remote::{Login, decoded};

pub const SERVICE: &str = "/spark.connect.SparkConnectService";
/// An answer to a call for one message of more than this is none of a Connect server.
const LONGEST_ANSWER: usize = 1 << 20;
/// What the server may send ahead of the reader.
const WINDOW: u32 = 1 << 20;
/// Headers of an answer: Spark's errors come in them.
const HEADERS: u32 = 256 << 10;
/// A message of an error is cut after this.
const LONGEST_MESSAGE: usize = 8 << 10;
/// Of a message's frame: compression, and four bytes of length.
const HEAD: usize = 5;

/// A connection over which calls are made.
#[derive(Clone)]
pub struct Channel {
    client: h2::client::SendRequest<Bytes>,
    headers: HeaderMap,
}

impl Channel {
    /// Greets over HTTP/2; gives the channel and the connection, which the caller drives.
    pub async fn open<IO>(io: IO, login: &Login) -> Result<(Self, h2::client::Connection<IO, Bytes>), ConnectError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let (client, connection) = h2::client::Builder::new()
            .initial_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .max_header_list_size(HEADERS)
            .enable_push(false)
            .handshake(io)
            .await?;
        let mut headers = HeaderMap::new();
        let unfit = |name: &str| ConnectError::NotConnect(format!("the header `{name}` cannot be sent"));
        if let Some(token) = &login.token {
            let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| unfit("authorization"))?;
            value.set_sensitive(true);
            headers.insert(http::header::AUTHORIZATION, value);
        }
        for (name, value) in &login.headers {
            let key: HeaderName = name.parse().map_err(|_| unfit(name))?;
            headers.insert(key, HeaderValue::from_str(value).map_err(|_| unfit(name))?);
        }
        Ok((Channel { client, headers }, connection))
    }

    /// One message, one answer.
    pub async fn unary<A: Message + Default>(&self, method: &str, message: &impl Message) -> Result<A, ConnectError> {
        let mut answers = self.stream(method, message).await?;
        let answer = answers.next(LONGEST_ANSWER).await?;
        let Some(answer) = answer else {
            return Err(ConnectError::NotConnect("the answer is not a gRPC message".to_owned()));
        };
        // The status comes after the message.
        if answers.next(LONGEST_ANSWER).await?.is_some() {
            return Err(ConnectError::NotConnect("there are two answers to one call".to_owned()));
        }
        decode(answer)
    }

    /// One message, many answers.
    pub async fn stream(&self, method: &str, message: &impl Message) -> Result<Answers, ConnectError> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(format!("http://spark-connect{SERVICE}/{method}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("user-agent", concat!("stoke/", env!("CARGO_PKG_VERSION")))
            .body(())
            .map_err(|error| ConnectError::NotConnect(error.to_string()))?;
        for (name, value) in &self.headers {
            request.headers_mut().entry(name).or_insert_with(|| value.clone());
        }
        let mut client = self.client.clone().ready().await?;
        let (response, mut sending) = client.send_request(request, false)?;
        sending.send_data(framed(&message.encode_to_vec()), true)?;
        let (head, body) = response.await?.into_parts();
        if !head.status.is_success() {
            return Err(ConnectError::NotConnect(format!("HTTP status {}", head.status)));
        }
        // An error without an answer has its status among the first headers.
        status_of(&head.headers).unwrap_or(Ok(()))?;
        Ok(Answers {
            body,
            buffer: BytesMut::new(),
            ended: false,
        })
    }
}

/// The messages of an answer.
pub struct Answers {
    body: h2::RecvStream,
    buffer: BytesMut,
    ended: bool,
}

impl Answers {
    /// The next message, of at most `longest` bytes; none after the last one, when the server says that all went well.
    pub async fn next(&mut self, longest: usize) -> Result<Option<Bytes>, ConnectError> {
        loop {
            if let Some(head) = self.buffer.get(..HEAD) {
                if head[0] != 0 {
                    return Err(ConnectError::NotConnect("the answer is compressed".to_owned()));
                }
                let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
                if length > longest {
                    return Err(ConnectError::TooLong(longest));
                }
                if self.buffer.len() - HEAD >= length {
                    self.buffer.advance(HEAD);
                    return Ok(Some(self.buffer.split_to(length).freeze()));
                }
            }
            if self.ended {
                return Ok(None);
            }
            match self.body.data().await {
                Some(data) => {
                    let data = data?;
                    self.body.flow_control().release_capacity(data.len())?;
                    self.buffer.extend_from_slice(&data);
                }
                None => {
                    self.ended = true;
                    let trailers = self.body.trailers().await?.unwrap_or_default();
                    match status_of(&trailers) {
                        Some(status) => status?,
                        None => return Err(ConnectError::NotConnect("the answer has no gRPC status".to_owned())),
                    }
                    if !self.buffer.is_empty() {
                        return Err(ConnectError::NotConnect("the answer is not a gRPC message".to_owned()));
                    }
                }
            }
        }
    }
}

/// A message of an answer.
pub fn decode<A: Message + Default>(answer: Bytes) -> Result<A, ConnectError> {
    A::decode(answer).map_err(|error| ConnectError::NotConnect(format!("the answer cannot be read: {error}")))
}

fn status_of(headers: &HeaderMap) -> Option<Result<(), ConnectError>> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let code: u32 = text("grpc-status")?.parse().unwrap_or(2);
    Some(match code {
        0 => Ok(()),
        code => {
            let message = text("grpc-message").unwrap_or_default();
            let message = decoded(message).unwrap_or_else(|| message.to_owned());
            let message: String = message.chars().take(LONGEST_MESSAGE).collect();
            Err(ConnectError::refused(code, &message))
        }
    })
}

/// gRPC's frame: not compressed, length, message.
pub fn framed(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(HEAD + message.len());
    frame.extend_from_slice(&[0]);
    frame.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    frame.extend_from_slice(message);
    frame.freeze()
}
