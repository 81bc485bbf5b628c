//! What is kept at a place.

use std::io::Write;

use flate2::write::MultiGzDecoder;
use futures::TryStreamExt;
use jiff::Timestamp;
use stoke_storage::{Place, StorageError, Verb};

/// One kept log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Directory of its run: `<attempt>-<trace id>`.
    pub run: String,
    /// Name in that directory: `<pod>.log.gz`, or `<pod>.<container>.log.gz` for a container beside Spark's.
    pub file: String,
    /// When it was stored.
    pub stored_at: Timestamp,
    /// Bytes, compressed.
    pub size: u64,
    path: String,
}

impl Kept {
    /// Which attempt of the application it is of.
    #[must_use]
    pub fn attempt(&self) -> Option<u32> {
        self.run.split('-').next()?.parse().ok()
    }
}

/// All kept logs of the applications of this name in this namespace, the latest last.
///
/// # Errors
/// The store does not answer.
pub async fn list(place: &Place, namespace: &str, application: &str) -> Result<Vec<Kept>, StorageError> {
    let below = format!("{namespace}/{application}");
    let mut kept: Vec<Kept> = place
        .list(&below)
        .await?
        .into_iter()
        .filter_map(|entry| {
            let mut parts = entry.path.split('/');
            let (run, file) = (parts.next()?, parts.next()?);
            Some(Kept {
                run: run.to_owned(),
                file: file.to_owned(),
                stored_at: Timestamp::from_second(entry.modified.div_euclid(1000)).ok()?,
                size: entry.size,
                path: format!("{below}/{}", entry.path),
            })
        })
        .collect();
    kept.sort_by(|one, other| (one.stored_at, &one.run, &one.file).cmp(&(other.stored_at, &other.run, &other.file)));
    Ok(kept)
}

/// Writes what is kept into `out`, as it was logged.
///
/// # Errors
/// The store does not answer, the object is not in gzip, or `out` takes nothing more.
pub async fn read(place: &Place, kept: &Kept, out: impl Write) -> Result<(), StorageError> {
    let unreadable = |cause| {
        StorageError::new(
            Verb::Read,
            format!("{}/…/{}/{}", place.url(), kept.run, kept.file),
            cause,
        )
    };
    let mut bytes = place.read(&kept.path).await?;
    let mut decoder = MultiGzDecoder::new(out);
    while let Some(part) = bytes.try_next().await? {
        decoder.write_all(&part).map_err(unreadable)?;
    }
    decoder.try_finish().map_err(unreadable)
}
