//! Releases in a directory or a bucket: content below `blobs/sha256`, by its digest.

use stoke_storage::{Place, StorageError};

use super::{Part, Release};
use crate::oci::Digest;

/// What can go wrong with them.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("{place} has no {digest}")]
    Missing { place: String, digest: Digest },
    #[error("{place}: what stands under {digest} is {found}: it was altered")]
    Altered {
        place: String,
        digest: Digest,
        found: Digest,
    },
    #[error("{digest} is not a release: {why}")]
    Foreign { digest: Digest, why: String },
}

impl ReleaseError {
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            ReleaseError::Storage(error) => error.code(),
            ReleaseError::Missing { .. } => "release-missing",
            ReleaseError::Altered { .. } => "release-altered",
            ReleaseError::Foreign { .. } => "release-foreign",
        }
    }
}

/// Where releases are kept.
#[derive(Clone, Debug)]
pub struct Releases(Place);

impl Releases {
    #[must_use]
    pub fn new(place: Place) -> Self {
        Self(place)
    }

    /// Keeps a release and its parts; what is there already is not written again.
    ///
    /// # Errors
    /// The store does not take it.
    pub async fn put(&self, release: &Release, contents: &[(Digest, Vec<u8>)]) -> Result<Digest, ReleaseError> {
        for (digest, bytes) in contents {
            self.blob(digest, bytes).await?;
        }
        // Last: a release that can be read is whole.
        let digest = release.digest();
        self.blob(&digest, release.text().as_bytes()).await?;
        Ok(digest)
    }

    /// Keeps bytes.
    ///
    /// # Errors
    /// The store does not take them.
    pub async fn blob(&self, digest: &Digest, bytes: &[u8]) -> Result<(), ReleaseError> {
        if self
            .0
            .content(&path(digest))
            .await?
            .is_some_and(|there| Digest::of(&there) == *digest)
        {
            return Ok(());
        }
        Ok(self.0.write(&path(digest), bytes.to_vec()).await?)
    }

    /// The bytes with this digest.
    ///
    /// # Errors
    /// They are not there, or others are.
    pub async fn bytes(&self, digest: &Digest) -> Result<Vec<u8>, ReleaseError> {
        let place = self.0.url().to_owned();
        let Some(bytes) = self.0.content(&path(digest)).await? else {
            return Err(ReleaseError::Missing {
                place,
                digest: digest.clone(),
            });
        };
        let found = Digest::of(&bytes);
        match found == *digest {
            true => Ok(bytes.to_vec()),
            false => Err(ReleaseError::Altered {
                place,
                digest: digest.clone(),
                found,
            }),
        }
    }

    /// The release with this digest.
    ///
    /// # Errors
    /// As [`Releases::bytes`]; it is something else.
    pub async fn get(&self, digest: &Digest) -> Result<Release, ReleaseError> {
        let bytes = self.bytes(digest).await?;
        let foreign = |why: String| ReleaseError::Foreign {
            digest: digest.clone(),
            why,
        };
        let release: Release = serde_json::from_slice(&bytes).map_err(|error| foreign(error.to_string()))?;
        match release.format {
            1 => Ok(release),
            other => Err(foreign(format!("it has form {other}, of a newer Stoke"))),
        }
    }

    /// All parts of a release, with their bytes.
    ///
    /// # Errors
    /// As [`Releases::bytes`].
    pub async fn parts(&self, release: &Release) -> Result<Vec<(Part, Vec<u8>)>, ReleaseError> {
        let mut all = Vec::with_capacity(release.parts.len());
        for part in &release.parts {
            all.push((part.clone(), self.bytes(&part.digest).await?));
        }
        Ok(all)
    }
}

fn path(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}
