//! Releases in a directory or a bucket: content below `blobs/sha256`, by its digest. Or in a repository of a registry.

use std::collections::BTreeSet;

use stoke_storage::{Place, StorageError};

use super::registry::ReleaseRepository;
use super::{Part, Release};
use crate::oci::{Digest, Location, OciError, Settings};

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
    #[error(transparent)]
    Registry(#[from] OciError),
    #[error("{place}: the tag {tag} was moved: it means {found}")]
    Moved { place: String, tag: String, found: String },
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
            ReleaseError::Registry(error) => error.code(),
            ReleaseError::Moved { .. } => "release-moved",
            ReleaseError::Foreign { .. } => "release-foreign",
        }
    }

    /// What to do.
    #[must_use]
    pub fn fix(&self) -> &str {
        match self {
            ReleaseError::Storage(error) => error.fix(),
            ReleaseError::Registry(error) => error.fix(),
            ReleaseError::Moved { .. } => {
                "find who writes tags there; `stoke release create` of the same job puts it back"
            }
            ReleaseError::Missing { .. } | ReleaseError::Altered { .. } | ReleaseError::Foreign { .. } => {
                "check the place with `stoke release verify`, and restore what is missing from a copy"
            }
        }
    }
}

/// Where releases are kept.
#[derive(Clone, Debug)]
pub struct Releases(Kept);

#[derive(Clone, Debug)]
enum Kept {
    Place(Place),
    Registry(ReleaseRepository),
}

impl Releases {
    #[must_use]
    pub fn new(place: Place) -> Self {
        Self(Kept::Place(place))
    }

    /// Those in a repository of a registry ([`super::repository_of`]), which is not asked yet.
    ///
    /// # Errors
    /// Certificates that cannot be read; a disk that is full.
    pub fn in_registry(location: &Location, settings: &Settings) -> Result<Self, ReleaseError> {
        Ok(Self(Kept::Registry(ReleaseRepository::open(location, settings)?)))
    }

    /// Keeps a release and its parts; what is there already is not written again.
    ///
    /// # Errors
    /// The store does not take it. Then the release is not there.
    pub async fn put(&self, release: &Release, contents: &[(Digest, Vec<u8>)]) -> Result<Digest, ReleaseError> {
        let digest = release.digest();
        match &self.0 {
            Kept::Registry(repository) => repository.put(release, contents).await?,
            Kept::Place(place) => {
                for (digest, bytes) in contents {
                    write(place, digest, bytes).await?;
                }
                // Last: a release that can be read is whole.
                write(place, &digest, release.text().as_bytes()).await?;
            }
        }
        Ok(digest)
    }

    /// Keeps what shows why a gate said something.
    ///
    /// # Errors
    /// The store does not take it.
    pub async fn put_evidence(&self, digest: &Digest, bytes: &[u8]) -> Result<(), ReleaseError> {
        match &self.0 {
            Kept::Registry(repository) => repository.put_evidence(digest, bytes).await,
            Kept::Place(place) => write(place, digest, bytes).await,
        }
    }

    /// Evidence with this digest.
    ///
    /// # Errors
    /// It is not there, or something else is.
    pub async fn evidence(&self, digest: &Digest) -> Result<Vec<u8>, ReleaseError> {
        match &self.0 {
            Kept::Registry(repository) => repository.evidence(digest).await,
            Kept::Place(place) => read(place, digest).await,
        }
    }

    /// The release with this digest.
    ///
    /// # Errors
    /// As [`Releases::evidence`]; it is something else.
    pub async fn get(&self, digest: &Digest) -> Result<Release, ReleaseError> {
        let bytes = match &self.0 {
            Kept::Registry(repository) => repository.release(digest).await?,
            Kept::Place(place) => read(place, digest).await?,
        };
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
    /// As [`Releases::evidence`].
    pub async fn parts(&self, release: &Release) -> Result<Vec<(Part, Vec<u8>)>, ReleaseError> {
        let mut all = Vec::with_capacity(release.parts.len());
        for part in &release.parts {
            all.push((part.clone(), self.part(part).await?));
        }
        Ok(all)
    }

    /// The bytes of a part.
    ///
    /// # Errors
    /// As [`Releases::evidence`].
    pub async fn part(&self, part: &Part) -> Result<Vec<u8>, ReleaseError> {
        match &self.0 {
            Kept::Registry(repository) => repository.part(part).await,
            Kept::Place(place) => read(place, &part.digest).await,
        }
    }

    /// Digests of the releases that a registry has. None: the place has no list but the ledger.
    ///
    /// # Errors
    /// The registry does not answer.
    pub async fn listed(&self) -> Result<Option<BTreeSet<Digest>>, ReleaseError> {
        match &self.0 {
            Kept::Registry(repository) => repository.releases().await.map(Some),
            Kept::Place(_) => Ok(None),
        }
    }
}

/// Keeps bytes, unless they are there.
async fn write(place: &Place, digest: &Digest, bytes: &[u8]) -> Result<(), ReleaseError> {
    let there = place.content(&path(digest)).await?;
    if there.is_some_and(|there| Digest::of(&there) == *digest) {
        return Ok(());
    }
    Ok(place.write(&path(digest), bytes.to_vec()).await?)
}

/// The bytes with this digest.
async fn read(place: &Place, digest: &Digest) -> Result<Vec<u8>, ReleaseError> {
    let url = place.url().to_owned();
    let Some(bytes) = place.content(&path(digest)).await? else {
        return Err(ReleaseError::Missing {
            place: url,
            digest: digest.clone(),
        });
    };
    let found = Digest::of(&bytes);
    match found == *digest {
        true => Ok(bytes.to_vec()),
        false => Err(ReleaseError::Altered {
            place: url,
            digest: digest.clone(),
            found,
        }),
    }
}

fn path(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}
