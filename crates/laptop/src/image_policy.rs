//! A policy of images at the edge: its file is read, registries are asked, and what is attached to an image is held against it.
//!
//! In: the file that `stoke verify --policy` reads, the name of an image. Out: the name by digest that pods may have, or why not. The file is read again each time, so that a
//! ConfigMap that changes is followed; an image that was let in is not asked for its evidence again for [`KEPT`], by the same policy and the same digest.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use stoke_diagnostics::Source;
use stoke_operator::images::{Verified, Verifier};
use stoke_release::evidence::policy::{self, Policy};
use stoke_release::evidence::{require, store};
use stoke_release::oci::{Cache, Digest, Kind, Location, OciError, OciResult, Repository, Settings};

use crate::error::{LaptopError, Outcome};

/// How long evidence that was enough is enough, in seconds: a signature that is taken away counts no longer after that.
pub const KEPT: Duration = Duration::from_secs(300);
/// Largest policy, in bytes.
const MOST_BYTES: u64 = 1 << 20;
/// What evidence may take on disk, in bytes.
const EVIDENCE: u64 = 32 << 20;
/// Most verdicts that are remembered.
const REMEMBERED: usize = 10_000;

/// Verifies by a file.
pub struct FilePolicy {
    file: PathBuf,
    settings: Settings,
    cache: Cache,
    /// Gone with this value.
    _evidence: tempfile::TempDir,
    /// Images that were let in, by policy, name and digest, and when.
    admitted: Mutex<HashMap<(Digest, String, Digest), Instant>>,
}

impl fmt::Debug for FilePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FilePolicy").field(&self.file).finish()
    }
}

impl FilePolicy {
    /// Verifies by this file, with the credentials that the environment names.
    ///
    /// # Errors
    /// A policy that cannot be read now; no directory for what is fetched.
    pub fn open(file: &Path) -> Outcome<Self> {
        read(file).map_err(|why| {
            LaptopError::input("image-policy", why).fix("write it as docs/how-to/sign-and-verify.md shows")
        })?;
        // An operator's container may have no other place that can be written.
        let places = [std::env::temp_dir(), PathBuf::from("/dev/shm")];
        let made = places.iter().find_map(|place| tempfile::tempdir_in(place).ok());
        let Some(evidence) = made else {
            return Err(LaptopError::environment(
                "stoke::io",
                "no directory can be made for evidence that is fetched, neither in TMPDIR nor in /dev/shm",
            ));
        };
        let cache = Cache::open(evidence.path(), EVIDENCE)
            .map_err(|error| LaptopError::environment(error.code(), error.message()).fix(error.fix()))?;
        Ok(Self {
            file: file.to_owned(),
            settings: Settings::of_this_machine(),
            cache,
            _evidence: evidence,
            admitted: Mutex::default(),
        })
    }

    async fn verified(&self, image: &str) -> Verified {
        let (policy, which) = match read(&self.file) {
            Ok(read) => read,
            Err(why) => return Verified::Unknown(why),
        };
        if !policy.asks(image) {
            let verdict = require(&policy, image, &[]);
            return match verdict.allowed {
                true => Verified::Admitted(image.to_owned()),
                false => Verified::Refused(verdict.reasons.join("; ")),
            };
        }
        match self.asked(image, &policy, which).await {
            Ok(verified) => verified,
            // What is altered or is no image stays so; all else may be otherwise next time.
            Err(error) if matches!(error.kind(), Kind::Reference | Kind::Digest | Kind::Unsupported) => {
                Verified::Refused(format!("{error} ({})", error.code()))
            }
            Err(error) => Verified::Unknown(format!("{error} ({}); {}", error.code(), error.fix())),
        }
    }

    async fn asked(&self, image: &str, policy: &Policy, which: Digest) -> OciResult<Verified> {
        let location: Location = image.parse()?;
        let repository = Repository::open(&location, &self.settings)?;
        let digest = repository.fetch(location.name().as_deref()).await?.descriptor.digest;
        let by_digest = match &location {
            Location::Registry(reference) => {
                let mut reference = reference.clone();
                reference.digest = Some(digest.to_string());
                reference.to_string()
            }
            other => other.with_name(digest.as_str()).to_string(),
        };
        let key = (which, image.to_owned(), digest.clone());
        if self.is_remembered(&key) {
            return Ok(Verified::Admitted(by_digest));
        }
        let pieces = store::gather(&repository, &digest, &self.cache).await?;
        let verdict = require(policy, image, &policy.examine(&digest, &pieces));
        self.cache.fit()?;
        if !verdict.allowed {
            return Ok(Verified::Refused(format!("{digest}: {}", verdict.reasons.join("; "))));
        }
        let mut admitted = self.admitted.lock().unwrap_or_else(PoisonError::into_inner);
        admitted.retain(|_, at| at.elapsed() < KEPT);
        if admitted.len() < REMEMBERED {
            admitted.insert(key, Instant::now());
        }
        Ok(Verified::Admitted(by_digest))
    }

    fn is_remembered(&self, key: &(Digest, String, Digest)) -> bool {
        let admitted = self.admitted.lock().unwrap_or_else(PoisonError::into_inner);
        admitted.get(key).is_some_and(|at| at.elapsed() < KEPT)
    }
}

impl Verifier for FilePolicy {
    fn verify(&self, image: String) -> BoxFuture<'_, Verified> {
        Box::pin(async move { self.verified(&image).await })
    }
}

/// A policy and what tells it from others: the digest of its text and of all files that it names.
fn read(file: &Path) -> Result<(Policy, Digest), String> {
    let shown = file.display().to_string();
    let bytes = limited(file).map_err(|why| format!("the image policy {shown}: {why}"))?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let directory = file.parent().unwrap_or(Path::new("")).to_owned();
    let seen = Mutex::new(bytes);
    let beside = |name: &str| {
        let bytes = limited(&directory.join(name))?;
        seen.lock().unwrap_or_else(PoisonError::into_inner).extend(&bytes);
        Ok(bytes)
    };
    let policy = policy::read(&Source::new(&shown, &text), &beside).map_err(|wrong| {
        let lines: Vec<String> = wrong.iter().map(|complaint| complaint.message.clone()).collect();
        format!("the image policy {shown}: {}", lines.join("; "))
    })?;
    let seen = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok((policy, Digest::of(&seen)))
}

fn limited(path: &Path) -> Result<Vec<u8>, String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > MOST_BYTES {
        return Err(OciError::new(Kind::Limit, format!("it has {size} bytes, more than {MOST_BYTES}")).to_string());
    }
    std::fs::read(path).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use stoke_release::evidence::{Algorithm, PrivateKey};

    use super::*;

    fn verify(policy: &FilePolicy, image: &str) -> Verified {
        futures::executor::block_on(policy.verify(image.to_owned()))
    }

    #[test]
    fn names_alone_decide_where_nothing_is_asked() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("policy.yaml");
        let key = PrivateKey::generate(Algorithm::Ed25519).unwrap().public().to_pem();
        std::fs::write(directory.path().join("ci.pub"), key).unwrap();
        let text = "authorities: {ci: {keyFile: ci.pub}}\nrules:\n- {images: ['r.io/base/**'], require: []}\n- {images: ['r.io/team/**'], require: [{by: [ci]}]}\n";
        std::fs::write(&file, text).unwrap();
        let policy = FilePolicy::open(&file).unwrap();
        assert_eq!(
            verify(&policy, "r.io/base/x:1"),
            Verified::Admitted("r.io/base/x:1".into())
        );
        assert!(matches!(verify(&policy, "other/x:1"), Verified::Refused(why) if why.contains("refuses others")));
        // Followed as it changes; what cannot be read lets nothing in.
        std::fs::write(&file, format!("{text}others: allow\n")).unwrap();
        assert_eq!(verify(&policy, "other/x:1"), Verified::Admitted("other/x:1".into()));
        std::fs::write(&file, "rules: 7\n").unwrap();
        assert!(matches!(verify(&policy, "other/x:1"), Verified::Unknown(why) if why.contains("policy.yaml")));
        assert!(FilePolicy::open(&file).is_err());
        std::fs::remove_file(&file).unwrap();
        assert!(matches!(verify(&policy, "other/x:1"), Verified::Unknown(_)));
    }
}
