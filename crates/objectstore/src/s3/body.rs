//! Bodies: received into the index or a file while they are digested, sent from there piece by piece. Memory is bounded both ways.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use futures::StreamExt;
use s3s::StdError;
use s3s::dto::StreamingBlob;
use tokio::sync::mpsc;

use crate::digest::{Algorithm, Digester, Digests};
use crate::store::Store;
use crate::store::contents::{self, Piece};
use crate::store::error::StoreError;

/// Bytes up to this many lie in the index: one sync instead of three, no file.
pub const INLINE: usize = 16 << 10;
/// Bytes read from a file at once.
const READ: u64 = 512 << 10;
/// Chunks on their way from the socket to the disk, per upload.
const QUEUE: usize = 8;

/// A body that has arrived whole.
pub struct Received {
    /// Its bytes.
    pub piece: Piece,
    /// How many.
    pub size: u64,
    pub digests: Digests,
}

enum Message {
    Chunk(Bytes),
    End,
}

/// Receives a body of at most `limit` bytes.
pub async fn receive(
    store: &Store,
    body: Option<StreamingBlob>,
    limit: u64,
    algorithms: impl IntoIterator<Item = Algorithm>,
) -> Result<Received, StoreError> {
    let mut digester = Digester::new(algorithms);
    let mut head = Vec::new();
    if let Some(mut body) = body {
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|error| broken(&error))?;
            if head.len() + chunk.len() > INLINE {
                return into_file(store, [head.into(), chunk], body, limit, digester).await;
            }
            head.extend_from_slice(&chunk);
        }
    }
    digester.update(&head);
    Ok(Received {
        size: head.len() as u64,
        piece: Piece::Inline(head),
        digests: digester.finish(),
    })
}

async fn into_file(
    store: &Store,
    head: [Bytes; 2],
    mut body: StreamingBlob,
    limit: u64,
    mut digester: Digester,
) -> Result<Received, StoreError> {
    let (sender, mut receiver) = mpsc::channel(QUEUE);
    let store = store.clone();
    let writing = tokio::task::spawn_blocking(move || {
        let mut blob = store.new_blob()?;
        let mut size = 0;
        while let Some(message) = receiver.blocking_recv() {
            match message {
                Message::Chunk(bytes) => {
                    blob.write(&bytes)?;
                    digester.update(&bytes);
                    size += bytes.len() as u64;
                }
                Message::End => {
                    blob.finish()?;
                    return Ok(Received {
                        piece: Piece::File(blob, size),
                        size,
                        digests: digester.finish(),
                    });
                }
            }
        }
        // Whoever sent has given up; the file goes with `blob`.
        Err(StoreError::Incomplete("the connection ended".into()))
    });
    let fed = async {
        let mut size = 0;
        for chunk in head {
            size += chunk.len() as u64;
            // An error means that writing has failed; it says why itself.
            let _ = sender.send(Message::Chunk(chunk)).await;
        }
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|error| broken(&error))?;
            size += chunk.len() as u64;
            if size > limit {
                return Err(StoreError::TooLarge);
            }
            if sender.send(Message::Chunk(chunk)).await.is_err() {
                return Ok(());
            }
        }
        let _ = sender.send(Message::End).await;
        Ok(())
    }
    .await;
    drop(sender);
    let written = writing.await.map_err(|error| StoreError::Internal(error.to_string()))?;
    fed?;
    written
}

/// Why a body broke off. The protocol layer's errors have no public type, only names.
fn broken(error: &StdError) -> StoreError {
    let text = error.to_string();
    let says = |word: &str| text.contains(word);
    match () {
        () if says("SignatureMismatch") => StoreError::Signature,
        () if says("Sha256Mismatch") || says("InvalidChecksum") => StoreError::ContentSha256,
        () if says("FormatError") || says("TooLarge") || says("TooMany") => {
            StoreError::Invalid(format!("the chunks of the body cannot be read: {text}"))
        }
        () => StoreError::Incomplete(text),
    }
}

/// What is being sent.
struct Sending {
    store: Store,
    pieces: std::vec::IntoIter<contents::Bytes>,
    /// The file being read, the next byte of it, and how many are left.
    current: Option<(File, u64, u64)>,
}

/// A body of these bytes. `first` is the file of the first piece, already open.
pub fn send(store: Store, pieces: Vec<contents::Bytes>, first: Option<File>) -> StreamingBlob {
    let mut pieces = pieces.into_iter();
    let current = first.and_then(|file| {
        let piece = pieces.next()?;
        Some((file, piece.extent.start, piece.extent.length))
    });
    let sending = Sending { store, pieces, current };
    StreamingBlob::wrap(futures::stream::try_unfold(sending, next))
}

async fn next(mut sending: Sending) -> io::Result<Option<(Bytes, Sending)>> {
    if sending.current.is_none() {
        let Some(piece) = sending.pieces.next() else {
            return Ok(None);
        };
        let (start, length) = (piece.extent.start, piece.extent.length);
        if let Some(data) = piece.data {
            let from = usize::try_from(start).unwrap_or(usize::MAX);
            let to = from.saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
            let bytes = Bytes::from(data);
            if to > bytes.len() || from > to {
                return Err(io::Error::other("an object has fewer bytes than the index says"));
            }
            return Ok(Some((bytes.slice(from..to), sending)));
        }
        let store = sending.store.clone();
        let open = tokio::task::spawn_blocking(move || store.open_blob(piece.extent.blob));
        sending.current = Some((open.await.map_err(io::Error::other)??, start, length));
    }
    let Some((file, at, left)) = sending.current.take() else {
        return Ok(None);
    };
    let read = tokio::task::spawn_blocking(move || {
        let mut buffer = vec![0; left.min(READ) as usize];
        file.read_exact_at(&mut buffer, at)?;
        io::Result::Ok((file, Bytes::from(buffer)))
    });
    let (file, bytes) = read.await.map_err(io::Error::other)??;
    let length = bytes.len() as u64;
    if left > length {
        sending.current = Some((file, at + length, left - length));
    }
    Ok(Some((bytes, sending)))
}

/// Digests of bytes that are in the store already.
pub async fn digest(
    store: &Store,
    pieces: Vec<contents::Bytes>,
    algorithms: Vec<Algorithm>,
) -> Result<Digests, StoreError> {
    let mut digester = Digester::new(algorithms);
    let mut body = send(store.clone(), pieces, None);
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| StoreError::Internal(error.to_string()))?;
        digester = tokio::task::spawn_blocking(move || {
            digester.update(&chunk);
            digester
        })
        .await
        .map_err(|error| StoreError::Internal(error.to_string()))?;
    }
    Ok(digester.finish())
}
