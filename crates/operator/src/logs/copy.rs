//! One log, streamed into one gzip object: in one request when it is small, in parts when it is not, never more than a part in memory.

use std::collections::VecDeque;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use futures::{AsyncRead, AsyncReadExt};
use stoke_storage::{Place, StorageError, Upload};

/// How much of one log is kept, in bytes as logged: its beginning and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Of its beginning.
    pub head: u64,
    /// Of its end, where the reason of a failure is; held in memory while the log is longer than the beginning.
    pub tail: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            head: 64 << 20,
            tail: 1 << 20,
        }
    }
}

/// Bytes of a log that are compressed at a time.
const CHUNK: usize = 64 << 10;

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Copied {
    /// Bytes stored.
    pub(super) stored: u64,
    /// Bytes left out.
    pub(super) left_out: u64,
}

/// Why a log was not copied.
#[derive(Debug, thiserror::Error)]
pub(super) enum CopyError {
    /// The pod's node or the API server stopped telling it.
    #[error("the log cannot be read: {0}")]
    Read(#[from] std::io::Error),
    /// The store did not take it.
    #[error("it cannot be stored: {0}")]
    Store(#[from] StorageError),
}

/// Copies the log. An object of that name is replaced when the copy is whole, and stays as it was when it is not.
pub(super) async fn copy(
    log: impl AsyncRead + Send,
    place: &Place,
    path: &str,
    sizes: Sizes,
) -> Result<Copied, CopyError> {
    let mut sink = Sink {
        encoder: GzEncoder::new(Vec::new(), Compression::fast()),
        upload: place.upload(path),
    };
    let left_out = match fill(log, &mut sink, sizes).await {
        Ok(left_out) => left_out,
        Err(error) => {
            sink.upload.give_up().await;
            return Err(error);
        }
    };
    let stored = sink.finish().await?;
    Ok(Copied { stored, left_out })
}

async fn fill(log: impl AsyncRead, sink: &mut Sink, sizes: Sizes) -> Result<u64, CopyError> {
    let mut log = std::pin::pin!(log);
    let mut chunk = vec![0; CHUNK];
    let (mut head, mut tail, mut left_out) = (sizes.head, VecDeque::new(), 0_u64);
    loop {
        let read = log.read(&mut chunk).await?;
        if read == 0 {
            break;
        }
        let first = read.min(usize::try_from(head).unwrap_or(usize::MAX));
        head -= first as u64;
        sink.write(&chunk[..first]).await?;
        tail.extend(&chunk[first..read]);
        let surplus = tail.len().saturating_sub(sizes.tail);
        tail.drain(..surplus);
        left_out += surplus as u64;
    }
    if left_out > 0 {
        // From the beginning of a line on.
        let line = tail.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        tail.drain(..line);
        left_out += line as u64;
        let note = format!(
            "\n[stoke: this log is cut: {left_out} bytes are left out here; kept are its first {} bytes and its last {}]\n",
            sizes.head,
            tail.len()
        );
        sink.write(note.as_bytes()).await?;
    }
    let (one, other) = tail.as_slices();
    sink.write(one).await?;
    sink.write(other).await?;
    Ok(left_out)
}

struct Sink {
    encoder: GzEncoder<Vec<u8>>,
    upload: Upload,
}

impl Sink {
    async fn write(&mut self, bytes: &[u8]) -> Result<(), CopyError> {
        for bytes in bytes.chunks(CHUNK) {
            self.encoder.write_all(bytes)?;
            if self.encoder.get_ref().len() >= CHUNK {
                let compressed = std::mem::take(self.encoder.get_mut());
                self.upload.write(&compressed).await?;
            }
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<u64, CopyError> {
        self.encoder.try_finish()?;
        let rest = std::mem::take(self.encoder.get_mut());
        if let Err(error) = self.upload.write(&rest).await {
            self.upload.give_up().await;
            return Err(error.into());
        }
        Ok(self.upload.finish().await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::io::Cursor;
    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;
    use object_store::path::Path;
    use std::io::Read;
    use std::sync::Arc;

    const NAME: &str = "a.log.gz";

    fn place() -> (Arc<InMemory>, Place, Path) {
        let store = Arc::new(InMemory::new());
        let place = Place::over(store.clone(), Path::default(), "s3://logs".to_owned());
        (store, place, Path::from(NAME))
    }

    async fn kept(store: &InMemory, path: &Path) -> Vec<u8> {
        let bytes = store.get(path).await.unwrap().bytes().await.unwrap();
        let mut text = Vec::new();
        flate2::read::MultiGzDecoder::new(&bytes[..])
            .read_to_end(&mut text)
            .unwrap();
        text
    }

    /// Bytes that do not compress, in lines.
    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        std::iter::repeat_with(next).take(length).collect()
    }

    #[tokio::test]
    async fn what_is_kept_is_what_was_logged() {
        let (store, place, path) = place();
        for length in [0, 1, CHUNK, 3 * CHUNK + 7, 12 << 20] {
            let log = noise(length);
            let copied = copy(Cursor::new(&log), &place, NAME, Sizes::default()).await.unwrap();
            assert!(kept(&store, &path).await == log, "{length}");
            assert_eq!(copied.left_out, 0);
            assert_eq!(copied.stored, store.head(&path).await.unwrap().size);
            // Twice is once.
            assert_eq!(
                copy(Cursor::new(&log), &place, NAME, Sizes::default()).await.unwrap(),
                copied
            );
        }
    }

    #[tokio::test]
    async fn a_log_that_is_too_long_keeps_its_beginning_and_its_end_and_says_so() {
        let (store, place, path) = place();
        let log: String = (0..40_000).map(|line| format!("line {line}\n")).collect();
        let sizes = Sizes { head: 100, tail: 50 };
        let copied = copy(Cursor::new(&log), &place, NAME, sizes).await.unwrap();
        let text = String::from_utf8(kept(&store, &path).await).unwrap();
        assert!(
            text.starts_with(&log[..100]) && text.ends_with("line 39999\n"),
            "{text}"
        );
        let told = format!("[stoke: this log is cut: {} bytes are left out here", copied.left_out);
        assert!(text.contains(&told), "{text}");
        let end = text.split_once("]\n").unwrap().1;
        assert!(end.starts_with("line 3999") && log.ends_with(end));
        assert_eq!(copied.left_out as usize, log.len() - 100 - end.len());
        // Exactly as long as may be is not cut.
        let copied = copy(Cursor::new(&log[..150]), &place, NAME, sizes).await.unwrap();
        assert_eq!(
            (copied.left_out, kept(&store, &path).await),
            (0, log.as_bytes()[..150].to_vec())
        );
    }

    #[tokio::test]
    async fn a_log_that_breaks_off_leaves_what_was_kept_before() {
        let (store, place, path) = place();
        copy(Cursor::new(b"whole"), &place, NAME, Sizes::default())
            .await
            .unwrap();
        let begun = noise(12 << 20);
        let broken = futures::stream::iter([Ok(begun), Err(std::io::Error::other("connection reset"))]);
        let broken = futures::TryStreamExt::into_async_read(broken);
        let error = copy(broken, &place, NAME, Sizes::default()).await.unwrap_err();
        assert!(error.to_string().contains("connection reset"), "{error}");
        assert_eq!(kept(&store, &path).await, b"whole");
    }
}
