//! A connection and the streams on it.
//!
//! One task reads frames and hands their bytes to the streams, another writes. A stream's queue holds a few megabytes; when it is
//! full, reading waits. Both tasks end with the connection, or when the session and its streams are dropped.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::frame::{Frame, Malformed, decode, encode};
use super::headers::{Compressor, Decompressor, Headers};

/// Pieces a stream holds before the connection waits; clients send pieces of at most 32 KiB.
const PIECES: usize = 128;
/// Streams at a time; more are refused.
const STREAMS: usize = 4096;
/// The status of a stream that is refused.
const REFUSED: u32 = 3;

/// A connection of streams.
pub struct Session {
    accepted: mpsc::Receiver<Stream>,
    ended: CancellationToken,
}

/// A stream the client opened.
pub struct Stream {
    /// Its number: odd.
    pub number: u32,
    /// Its headers, names in lower case.
    pub headers: Headers,
    incoming: mpsc::Receiver<Bytes>,
    sender: StreamSender,
}

/// The writing side of a stream.
#[derive(Clone)]
pub struct StreamSender {
    number: u32,
    out: mpsc::Sender<Outgoing>,
    reset: CancellationToken,
    /// Held by everything that can still read or write the stream.
    _alive: Arc<()>,
}

enum Outgoing {
    Reply(u32),
    Frame(Frame),
}

impl Session {
    /// Serves the connection that `reader` and `writer` are the sides of.
    pub fn start(
        reader: impl AsyncRead + Send + Unpin + 'static,
        writer: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Session {
        let (out, outgoing) = mpsc::channel(64);
        let (newcomers, accepted) = mpsc::channel(64);
        let ended = CancellationToken::new();
        let both = ended.clone();
        tokio::spawn(async move {
            let serving = Serving {
                streams: HashMap::new(),
                headers: Decompressor::default(),
                out,
                newcomers,
            };
            let result = tokio::select! {
                result = serving.read(reader) => result,
                () = both.cancelled() => Ok(()),
            };
            if let Err(error) = result {
                tracing::debug!(%error, "a connection of streams ended early");
            }
            both.cancel();
        });
        tokio::spawn(async move {
            if let Err(error) = write(writer, outgoing).await {
                tracing::debug!(%error, "a connection of streams could not be written");
            }
        });
        Session { accepted, ended }
    }

    /// The next stream the client opens; none when the connection has ended.
    pub async fn accept(&mut self) -> Option<Stream> {
        self.accepted.recv().await
    }

    /// Done when the connection has ended.
    pub fn ended(&self) -> CancellationToken {
        self.ended.clone()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.ended.cancel();
    }
}

impl Stream {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The next bytes; none when the client has closed its side, or the stream.
    pub async fn read(&mut self) -> Option<Bytes> {
        tokio::select! {
            biased;
            bytes = self.incoming.recv() => bytes,
            () = self.sender.reset.cancelled() => None,
        }
    }

    /// The writing side.
    pub fn sender(&self) -> StreamSender {
        self.sender.clone()
    }
}

impl StreamSender {
    /// Sends bytes; false when the stream or the connection is gone.
    pub async fn send(&self, bytes: Bytes) -> bool {
        self.data(bytes, false).await
    }

    /// Closes this side of the stream.
    pub async fn finish(&self) {
        self.data(Bytes::new(), true).await;
    }

    /// Done when the client has thrown the stream away.
    pub async fn reset(&self) {
        self.reset.cancelled().await;
    }

    async fn data(&self, bytes: Bytes, fin: bool) -> bool {
        let frame = Frame::Data {
            stream: self.number,
            fin,
            bytes,
        };
        !self.reset.is_cancelled() && self.out.send(Outgoing::Frame(frame)).await.is_ok()
    }
}

/// A stream as the reader knows it; without a queue when the client has closed its side.
struct Known {
    queue: Option<mpsc::Sender<Bytes>>,
    reset: CancellationToken,
    alive: Weak<()>,
}

struct Serving {
    streams: HashMap<u32, Known>,
    headers: Decompressor,
    out: mpsc::Sender<Outgoing>,
    newcomers: mpsc::Sender<Stream>,
}

impl Serving {
    async fn read(mut self, mut reader: impl AsyncRead + Unpin) -> std::io::Result<()> {
        let mut buffer = BytesMut::with_capacity(64 << 10);
        let bad = |error: Malformed| std::io::Error::new(std::io::ErrorKind::InvalidData, error);
        loop {
            while let Some(frame) = decode(&mut buffer).map_err(bad)? {
                if !self.take(frame).await.map_err(bad)? {
                    return Ok(());
                }
            }
            buffer.reserve(64 << 10);
            if reader.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        }
    }

    /// Takes a frame; false when it was the last.
    async fn take(&mut self, frame: Frame) -> Result<bool, Malformed> {
        match frame {
            Frame::SynStream { stream, fin, headers } => {
                let headers = self.headers.decompress(&headers)?;
                return Ok(self.open(stream, fin, headers).await);
            }
            Frame::Data { stream, fin, bytes } => {
                let Some(known) = self.streams.get_mut(&stream) else {
                    return Ok(true);
                };
                if !bytes.is_empty()
                    && let Some(queue) = &known.queue
                {
                    // A stream no one reads any more may still be sent to.
                    let _ = queue.send(bytes).await;
                }
                if fin {
                    known.queue = None;
                }
            }
            Frame::Reset { stream, .. } => {
                if let Some(known) = self.streams.remove(&stream) {
                    known.reset.cancel();
                }
            }
            Frame::SynReply { headers, .. } | Frame::Headers { headers, .. } => {
                // They mean nothing, but the compression must not lose its place.
                self.headers.decompress(&headers)?;
            }
            // The client's own pings have odd numbers.
            Frame::Ping(number) if number % 2 == 1 => {
                return Ok(self.out.send(Outgoing::Frame(Frame::Ping(number))).await.is_ok());
            }
            Frame::GoAway { .. } => {}
            Frame::Ping(_) | Frame::Other(_) => {}
        }
        Ok(true)
    }

    async fn open(&mut self, number: u32, fin: bool, headers: Headers) -> bool {
        // Streams that no one here holds any more are forgotten, so that the table is that of the living.
        self.streams.retain(|_, known| known.alive.strong_count() > 0);
        if self.streams.len() >= STREAMS || self.streams.contains_key(&number) {
            let status = REFUSED;
            return self
                .out
                .send(Outgoing::Frame(Frame::Reset { stream: number, status }))
                .await
                .is_ok();
        }
        let (queue, incoming) = mpsc::channel(PIECES);
        let (reset, alive) = (CancellationToken::new(), Arc::new(()));
        let sender = StreamSender {
            number,
            out: self.out.clone(),
            reset: reset.clone(),
            _alive: Arc::clone(&alive),
        };
        let queue = (!fin).then_some(queue);
        self.streams.insert(
            number,
            Known {
                queue,
                reset,
                alive: Arc::downgrade(&alive),
            },
        );
        let stream = Stream {
            number,
            headers,
            incoming,
            sender,
        };
        self.out.send(Outgoing::Reply(number)).await.is_ok() && self.newcomers.send(stream).await.is_ok()
    }
}

/// Writes what is to be sent, in order, as much at a time as is there. Closes the connection when no one is left to send.
async fn write(mut writer: impl AsyncWrite + Unpin, mut outgoing: mpsc::Receiver<Outgoing>) -> std::io::Result<()> {
    const FULL: usize = 64 << 10;
    let mut headers = Compressor::default();
    let mut buffer = BytesMut::with_capacity(FULL);
    while let Some(first) = outgoing.recv().await {
        let mut next = Some(first);
        while let Some(one) = next {
            let frame = match one {
                Outgoing::Frame(frame) => frame,
                Outgoing::Reply(stream) => Frame::SynReply {
                    stream,
                    fin: false,
                    headers: headers.compress(&Vec::new()),
                },
            };
            encode(&frame, &mut buffer);
            next = if buffer.len() < FULL {
                outgoing.try_recv().ok()
            } else {
                None
            };
        }
        writer.write_all_buf(&mut buffer).await?;
        writer.flush().await?;
    }
    writer.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Client {
        io: tokio::io::DuplexStream,
        headers: Compressor,
        buffer: BytesMut,
    }

    impl Client {
        async fn send(&mut self, frame: Frame) {
            let mut bytes = BytesMut::new();
            encode(&frame, &mut bytes);
            self.io.write_all(&bytes).await.unwrap();
        }

        async fn open(&mut self, stream: u32, kind: &str) {
            let headers = self.headers.compress(&vec![("streamType".to_owned(), kind.to_owned())]);
            self.send(Frame::SynStream {
                stream,
                fin: false,
                headers,
            })
            .await;
        }

        async fn receive(&mut self) -> Option<Frame> {
            loop {
                if let Some(frame) = decode(&mut self.buffer).unwrap() {
                    return Some(frame);
                }
                if self.io.read_buf(&mut self.buffer).await.unwrap() == 0 {
                    return None;
                }
            }
        }
    }

    fn pair() -> (Client, Session) {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let (reader, writer) = tokio::io::split(theirs);
        let client = Client {
            io: ours,
            headers: Compressor::default(),
            buffer: BytesMut::new(),
        };
        (client, Session::start(reader, writer))
    }

    #[tokio::test]
    async fn streams_are_opened_read_written_and_closed_by_halves() {
        let (mut client, mut session) = pair();
        client.open(1, "data").await;
        let mut stream = session.accept().await.unwrap();
        assert_eq!((stream.number, stream.header("streamtype")), (1, Some("data")));
        assert!(matches!(
            client.receive().await,
            Some(Frame::SynReply {
                stream: 1,
                fin: false,
                ..
            })
        ));
        let data = |fin: bool, text: &'static str| Frame::Data {
            stream: 1,
            fin,
            bytes: text.into(),
        };
        client.send(data(false, "one")).await;
        client.send(data(true, "two")).await;
        assert_eq!(stream.read().await.unwrap(), "one");
        assert_eq!(stream.read().await.unwrap(), "two");
        assert_eq!(stream.read().await, None);
        assert!(stream.sender().send("answer".into()).await);
        stream.sender().finish().await;
        assert_eq!(client.receive().await, Some(data(false, "answer")));
        assert_eq!(client.receive().await, Some(data(true, "")));
        client.send(Frame::Ping(7)).await;
        assert_eq!(client.receive().await, Some(Frame::Ping(7)));
    }

    #[tokio::test]
    async fn a_stream_thrown_away_ends_at_once_and_the_others_go_on() {
        let (mut client, mut session) = pair();
        client.open(1, "a").await;
        client.open(3, "b").await;
        let (mut first, mut second) = (session.accept().await.unwrap(), session.accept().await.unwrap());
        client.send(Frame::Reset { stream: 1, status: 5 }).await;
        assert_eq!(first.read().await, None);
        assert!(!first.sender().send("late".into()).await);
        client
            .send(Frame::Data {
                stream: 3,
                fin: false,
                bytes: "on".into(),
            })
            .await;
        assert_eq!(second.read().await.unwrap(), "on");
        drop(client);
        assert_eq!(second.read().await, None);
        assert!(session.accept().await.is_none());
        session.ended().cancelled().await;
    }

    #[tokio::test]
    async fn nonsense_ends_the_connection() {
        let (mut client, mut session) = pair();
        client.io.write_all(b"\x80\x02\0\x01\0\0\0\0").await.unwrap();
        assert!(session.accept().await.is_none());
        drop(session);
        assert_eq!(client.receive().await, None);
    }
}
