//! What is written: blobs whole, in pieces or mounted; manifests.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::StreamExt;
use http::header::{CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;

use super::challenge::escape;
use super::client::{Body, Call, Registry, full};
use super::pull::DIGEST;
use crate::oci::Digest;
use crate::oci::error::{Kind, OciError, OciResult};
use crate::oci::model::Descriptor;

/// Blobs of at most this many bytes go up in one request.
const WHOLE: u64 = 64 << 20;
/// Size of a piece of a larger one, in bytes.
const PIECE: u64 = 32 << 20;
/// What is read of a file at once, in bytes.
const BLOCK: usize = 256 << 10;

/// What a blob is made of.
#[derive(Debug, Clone)]
pub enum Content {
    Bytes(Bytes),
    /// A part of a file.
    File {
        file: Arc<File>,
        offset: u64,
        size: u64,
    },
}

impl Content {
    /// A whole file.
    ///
    /// # Errors
    /// A file whose size cannot be read.
    pub fn of(file: File) -> std::io::Result<Self> {
        let size = file.metadata()?.len();
        let file = Arc::new(file);
        Ok(Self::File { file, offset: 0, size })
    }

    /// In bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { size, .. } => *size,
        }
    }

    /// As a reader from its beginning; readers do not disturb each other.
    #[must_use]
    pub fn reader(&self) -> Box<dyn Read + Send> {
        match self {
            Self::Bytes(bytes) => Box::new(std::io::Cursor::new(bytes.clone())),
            Self::File { file, offset, size } => Box::new(crate::oci::archive::Section::new(
                Arc::clone(file),
                crate::oci::archive::Range {
                    offset: *offset,
                    size: *size,
                },
            )),
        }
    }

    /// Bytes of it as a body.
    fn body(&self, from: u64, size: u64, moved: &Arc<AtomicU64>) -> OciResult<(Body, u64)> {
        match self {
            Self::Bytes(bytes) => {
                let at = |place: u64| usize::try_from(place).unwrap_or(usize::MAX).min(bytes.len());
                Ok((full(bytes.slice(at(from)..at(from + size))), size))
            }
            Self::File { file, offset, .. } => {
                let clone = file.try_clone().map_err(OciError::at(std::path::Path::new("a blob")))?;
                // A file of its own: the position of a clone is shared.
                let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&clone));
                let mut own = File::open(path).map_err(OciError::at(std::path::Path::new("a blob")))?;
                own.seek(SeekFrom::Start(offset + from))
                    .map_err(OciError::at(std::path::Path::new("a blob")))?;
                let reader = tokio::io::AsyncReadExt::take(tokio::fs::File::from_std(own), size);
                let moved = Arc::clone(moved);
                let stream = tokio_util::io::ReaderStream::with_capacity(reader, BLOCK).map(move |block| {
                    if let Ok(block) = &block {
                        moved.fetch_add(block.len() as u64, Ordering::Relaxed);
                    }
                    block.map(Frame::data)
                });
                Ok((StreamBody::new(stream).boxed_unsync(), size))
            }
        }
    }
}

/// How a blob came into a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It was there.
    Found,
    /// The registry took it from another repository of its own.
    Mounted,
    /// Its bytes went over the network.
    Sent,
}

impl Registry {
    /// Puts a blob into a repository: nothing when it is there, mounted from `from` when the registry does that, else sent.
    ///
    /// # Errors
    /// Refused, not reached; content that is not what the descriptor says.
    pub async fn put_blob(
        &self,
        repository: &str,
        descriptor: &Descriptor,
        from: Option<&str>,
        content: impl AsyncFnOnce() -> OciResult<Content>,
    ) -> OciResult<Pushed> {
        if self.has_blob(repository, &descriptor.digest).await? {
            return Ok(Pushed::Found);
        }
        if let Some(from) = from.filter(|from| *from != repository)
            && self.mount(repository, descriptor, from).await?
        {
            return Ok(Pushed::Mounted);
        }
        let content = content().await?;
        if content.size() != descriptor.size {
            let message = format!(
                "{} has {} bytes, not {}",
                descriptor.digest,
                content.size(),
                descriptor.size
            );
            return Err(OciError::new(Kind::Size, message));
        }
        let result = match descriptor.size > WHOLE {
            true => match self.send_pieces(repository, descriptor, &content).await {
                // Some registries take no pieces.
                Err(error)
                    if error.kind() == Kind::Malformed
                        || error.kind() == Kind::NotFound
                        || error.kind() == Kind::Limit =>
                {
                    tracing::debug!(%error, "sending a blob whole");
                    self.send_whole(repository, descriptor, &content).await
                }
                other => other,
            },
            false => self.send_whole(repository, descriptor, &content).await,
        };
        result.map(|()| Pushed::Sent)
    }

    async fn mount(&self, repository: &str, descriptor: &Descriptor, from: &str) -> OciResult<bool> {
        let to = format!(
            "/v2/{repository}/blobs/uploads/?mount={}&from={}",
            escape(descriptor.digest.as_str()),
            escape(from)
        );
        let mut call = Call::new(Method::POST, to, repository, "pull,push");
        call.also = Some(from);
        match self.send(&call).await {
            Ok(answer) => {
                let mounted = answer.status() == StatusCode::CREATED;
                if let Some(session) = answer
                    .headers()
                    .get(LOCATION)
                    .and_then(|value| value.to_str().ok())
                    .filter(|_| !mounted)
                {
                    // It began an upload instead, which is not needed: content goes up in one of its own.
                    let cancel = Call::new(Method::DELETE, session, repository, "pull,push");
                    let _ = self.send(&Call { again: false, ..cancel }).await;
                }
                Ok(mounted)
            }
            // Who may not read there, or a registry without mounts: it is sent.
            Err(error)
                if matches!(
                    error.kind(),
                    Kind::Denied | Kind::NotFound | Kind::Malformed | Kind::Unauthorized
                ) =>
            {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Begins an upload: where it goes.
    async fn session(&self, repository: &str) -> OciResult<(String, HeaderMap)> {
        let call = Call::new(
            Method::POST,
            format!("/v2/{repository}/blobs/uploads/"),
            repository,
            "pull,push",
        );
        let answer = self.send(&call).await?;
        Ok((self.location(answer.headers())?, answer.headers().clone()))
    }

    fn location(&self, headers: &HeaderMap) -> OciResult<String> {
        let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
        location
            .map(str::to_owned)
            .ok_or_else(|| self.malformed("an upload without an address"))
    }

    async fn send_whole(&self, repository: &str, descriptor: &Descriptor, content: &Content) -> OciResult<()> {
        let tries = self.settings().tries.max(1);
        let mut wait = self.settings().wait;
        for attempt in 1.. {
            // Each try has an upload of its own: a registry may have kept half of the one before.
            let (session, _) = self.session(repository).await?;
            let moved = Arc::new(AtomicU64::new(0));
            let body = || content.body(0, descriptor.size, &moved);
            let to = with_digest(&session, &descriptor.digest);
            let mut call =
                Call::new(Method::PUT, to, repository, "pull,push").header(CONTENT_TYPE, "application/octet-stream");
            call.body = Some(&body);
            call.again = false;
            call.moved = Some(&moved);
            match self.send(&call).await {
                Ok(answer) => return self.accepted(answer.headers(), &descriptor.digest),
                Err(error) if attempt < tries && matches!(error.kind(), Kind::Unavailable | Kind::TooManyRequests) => {
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(std::time::Duration::from_secs(10));
                }
                Err(error) => return Err(error),
            }
        }
        Err(self.unavailable("not asked"))
    }

    /// Sends pieces; after a failure it goes on where the registry says it is.
    async fn send_pieces(&self, repository: &str, descriptor: &Descriptor, content: &Content) -> OciResult<()> {
        let (mut session, headers) = self.session(repository).await?;
        let least = headers
            .get("oci-chunk-min-length")
            .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        let piece = PIECE.max(least.unwrap_or(0));
        let mut at = 0;
        let mut failures = 0;
        let mut wait = self.settings().wait;
        while at < descriptor.size {
            let size = piece.min(descriptor.size - at);
            let moved = Arc::new(AtomicU64::new(0));
            let body = || content.body(at, size, &moved);
            let mut call = Call::new(Method::PATCH, session.clone(), repository, "pull,push")
                .header(CONTENT_TYPE, "application/octet-stream")
                .header(CONTENT_RANGE, &format!("{at}-{}", at + size - 1));
            call.body = Some(&body);
            call.again = false;
            call.moved = Some(&moved);
            match self.send(&call).await {
                Ok(answer) => {
                    session = self.location(answer.headers())?;
                    at = after(answer.headers()).unwrap_or(at + size);
                    failures = 0;
                }
                Err(error) if at > 0 || error.kind() == Kind::Unavailable || error.kind() == Kind::TooManyRequests => {
                    failures += 1;
                    if failures >= self.settings().tries {
                        return Err(error);
                    }
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(std::time::Duration::from_secs(10));
                    let status = Call::new(Method::GET, session.clone(), repository, "pull,push");
                    match self.send(&status).await {
                        Ok(answer) => {
                            if let Ok(location) = self.location(answer.headers()) {
                                session = location;
                            }
                            // `0-0` is what an upload without bytes says as well.
                            at = after(answer.headers()).filter(|at| *at > 1).unwrap_or(0);
                        }
                        Err(_) => {
                            (session, _) = self.session(repository).await?;
                            at = 0;
                        }
                    }
                }
                Err(error) => return Err(error),
            }
        }
        let call = Call::new(
            Method::PUT,
            with_digest(&session, &descriptor.digest),
            repository,
            "pull,push",
        );
        let answer = self.send(&Call { again: false, ..call }).await?;
        self.accepted(answer.headers(), &descriptor.digest)
    }

    /// What the registry says it has now must be what was sent.
    fn accepted(&self, headers: &HeaderMap, digest: &Digest) -> OciResult<()> {
        match headers.get(DIGEST).and_then(|value| value.to_str().ok()) {
            Some(other) if other != digest.as_str() => Err(OciError::new(
                Kind::Digest,
                format!("{}: what was sent as {digest} is kept as {other}", self.host()),
            )),
            _ => Ok(()),
        }
    }

    /// Puts a manifest or index under a tag or its digest. True when the registry says that it keeps the list of referrers itself.
    ///
    /// # Errors
    /// Refused, not reached; blobs that are missing.
    pub async fn put_manifest(
        &self,
        repository: &str,
        name: &str,
        descriptor: &Descriptor,
        bytes: &[u8],
    ) -> OciResult<bool> {
        let bytes = Bytes::copy_from_slice(bytes);
        let body = || Ok((full(bytes.clone()), bytes.len() as u64));
        let mut call = Call::new(
            Method::PUT,
            format!("/v2/{repository}/manifests/{name}"),
            repository,
            "pull,push",
        )
        .header(CONTENT_TYPE, &descriptor.media_type);
        call.body = Some(&body);
        let answer = self.send(&call).await?;
        self.accepted(answer.headers(), &descriptor.digest)?;
        Ok(answer.headers().contains_key("oci-subject"))
    }
}

/// Where an upload ends: its address with the digest.
fn with_digest(session: &str, digest: &Digest) -> String {
    let separator = if session.contains('?') { '&' } else { '?' };
    format!("{session}{separator}digest={}", escape(digest.as_str()))
}

/// How many bytes a registry has of an upload: `Range: 0-99` are 100.
fn after(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(RANGE)?.to_str().ok()?;
    let last: u64 = range.trim_start_matches("bytes=").split_once('-')?.1.parse().ok()?;
    Some(last + 1)
}
