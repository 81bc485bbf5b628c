//! Getting the files of Maven: each to a place of its own under its SHA-256, which it has once it is whole and right.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use sha2::{Digest, Sha256};

use super::lock::Artifact;
use crate::error::InstallError;
use crate::install::{Progress, Stage};

/// Variable that names another repository of Maven's layout than Maven Central.
pub(super) const REPOSITORY: &str = "STOKE_MAVEN_REPOSITORY";
const CENTRAL: &str = "https://repo1.maven.org/maven2";

/// Gives the file of `url` piece by piece; stops when a piece is refused.
pub(super) type Get<'a> = &'a (dyn Fn(&str, &mut dyn FnMut(&[u8]) -> Result<(), String>) -> Result<(), String> + Sync);

/// The repository that is asked.
pub(super) fn repository() -> String {
    let own = std::env::var(REPOSITORY).ok().filter(|url| !url.is_empty());
    own.unwrap_or_else(|| CENTRAL.to_owned())
        .trim_end_matches('/')
        .to_owned()
}

/// Fetches what is missing of these artifacts into `place`; gives the file of each, in their order.
///
/// A file that was fetched whole by an earlier try is not fetched again. Errors: a file cannot be fetched, differs from the lock, or cannot be written; then
/// nothing is under its name.
pub(super) fn artifacts(
    what: &str,
    wanted: &[Artifact],
    place: &Path,
    get: Get<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<PathBuf>, InstallError> {
    std::fs::create_dir_all(place).map_err(InstallError::io(place))?;
    let total = wanted.iter().map(|artifact| artifact.bytes).sum();
    let mut done = 0;
    let mut files = Vec::new();
    for artifact in wanted {
        let file = place.join(&artifact.sha256);
        if !file.exists() {
            let mut tell = |bytes: u64| {
                progress(Progress {
                    stage: Stage::Downloading,
                    done: Some(done + bytes),
                    total: Some(total),
                });
            };
            one(what, artifact, &file, get, &mut tell)?;
        }
        done += artifact.bytes;
        files.push(file);
    }
    Ok(files)
}

/// What came of a download, from the thread that does it.
enum News {
    Bytes(u64),
    End(Result<String, InstallError>),
}

/// Fetches one file. A thread of its own does it: the caller's may be one that must not wait for a network.
fn one(
    what: &str,
    artifact: &Artifact,
    file: &Path,
    get: Get<'_>,
    tell: &mut dyn FnMut(u64),
) -> Result<(), InstallError> {
    let url = format!("{}/{}", repository(), artifact.path());
    let part = file.with_extension("part");
    let (news, heard) = mpsc::channel();
    tell(0);
    let digest = std::thread::scope(|scope| {
        scope.spawn(|| {
            let end = write(what, artifact, &url, &part, get, &news);
            // Whoever listened has gone: there is no one to tell.
            let _ = news.send(News::End(end));
        });
        loop {
            match heard.recv() {
                Ok(News::Bytes(bytes)) => tell(bytes),
                Ok(News::End(end)) => return end,
                Err(mpsc::RecvError) => {
                    return Err(InstallError::NoArtifact {
                        what: what.to_owned(),
                        url: url.clone(),
                        cause: "it broke off".into(),
                    });
                }
            }
        }
    });
    let refuse = |error| {
        // What stays is overwritten by the next try.
        let _ = std::fs::remove_file(&part);
        Err(error)
    };
    match digest {
        Ok(digest) if digest == artifact.sha256 => std::fs::rename(&part, file).map_err(InstallError::io(file)),
        Ok(digest) => refuse(InstallError::Checksum {
            package: format!("{}:{}", artifact.group, artifact.artifact),
            version: artifact.version.clone(),
            detail: format!("Expected sha256 {}\nGot {digest} from {url}", artifact.sha256),
        }),
        Err(error) => refuse(error),
    }
}

fn write(
    what: &str,
    artifact: &Artifact,
    url: &str,
    part: &Path,
    get: Get<'_>,
    news: &mpsc::Sender<News>,
) -> Result<String, InstallError> {
    let mut out = File::create(part).map_err(InstallError::io(part))?;
    let mut digest = Sha256::new();
    let mut bytes = 0;
    let mut failed = None;
    let got = get(url, &mut |piece| {
        bytes += piece.len() as u64;
        if bytes > artifact.bytes {
            return Err(format!("it is longer than the {} bytes of the lock", artifact.bytes));
        }
        digest.update(piece);
        let written = out.write_all(piece);
        let _ = news.send(News::Bytes(bytes));
        written.map_err(|error| {
            let text = error.to_string();
            failed = Some(error);
            text
        })
    });
    match (got, failed) {
        (_, Some(error)) => Err(InstallError::io(part)(error)),
        (Err(cause), None) => Err(InstallError::NoArtifact {
            what: what.to_owned(),
            url: url.to_owned(),
            cause,
        }),
        (Ok(()), None) => {
            out.sync_all().map_err(InstallError::io(part))?;
            Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
        }
    }
}

/// Gets over HTTPS.
pub(super) fn over_https(url: &str, take: &mut dyn FnMut(&[u8]) -> Result<(), String>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(stoke_storage::fetch_pieces(url, take))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &[u8] = b"the content of a jar";

    fn artifact(sha256: &str) -> Artifact {
        Artifact {
            group: "org.acme".into(),
            artifact: "one".into(),
            version: "1".into(),
            kind: "jar".into(),
            classifier: None,
            bytes: WHOLE.len() as u64,
            sha256: sha256.to_owned(),
        }
    }

    fn right() -> String {
        Sha256::digest(WHOLE).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn fetch(place: &Path, artifact: Artifact, get: Get<'_>) -> (Result<Vec<PathBuf>, InstallError>, Vec<u64>) {
        let mut told = Vec::new();
        let fetched = artifacts("Kafka 4.1.2", &[artifact], place, get, &mut |progress| {
            told.push(progress.done.unwrap());
            assert_eq!(progress.total, Some(WHOLE.len() as u64));
        });
        (fetched, told)
    }

    fn left(place: &Path) -> usize {
        std::fs::read_dir(place).unwrap().count()
    }

    #[test]
    fn a_file_is_there_when_it_is_right_and_is_not_fetched_again() {
        let place = tempfile::tempdir().unwrap();
        let in_two: Get<'_> = &|url, take| {
            assert!(url.ends_with("/org/acme/one/1/one-1.jar"), "{url}");
            take(&WHOLE[..7])?;
            take(&WHOLE[7..])
        };
        let (files, told) = fetch(place.path(), artifact(&right()), in_two);
        assert_eq!(std::fs::read(&files.unwrap()[0]).unwrap(), WHOLE);
        assert_eq!(told, [0, 7, 20]);
        let never: Get<'_> = &|_, _| panic!("fetched again");
        assert!(fetch(place.path(), artifact(&right()), never).0.is_ok());
    }

    #[test]
    fn what_differs_or_breaks_off_leaves_nothing() {
        let wrong = "0".repeat(64);
        let table: [(&str, Get<'_>, &str, &str); 4] = [
            (
                &wrong,
                &|_, take| take(WHOLE),
                "stoke::runtime::checksum",
                "Expected sha256 0000",
            ),
            (
                &wrong,
                &|_, take| take(&[7; 99]),
                "stoke::runtime::no-network",
                "longer than the 20 bytes",
            ),
            (
                &wrong,
                &|_, _| Err("the answer is 404 Not Found".into()),
                "stoke::runtime::no-network",
                "404",
            ),
            (
                &wrong,
                &|_, take| take(&WHOLE[..3]).and(Err("connection reset".into())),
                "stoke::runtime::no-network",
                "connection reset",
            ),
        ];
        for (sha256, get, code, text) in table {
            let place = tempfile::tempdir().unwrap();
            let error = fetch(place.path(), artifact(sha256), get).0.unwrap_err();
            assert_eq!(error.code(), code, "{error}");
            assert!(error.to_string().contains(text), "{error}");
            assert_eq!(left(place.path()), 0, "{text}");
        }
    }

    #[test]
    fn a_full_disk_is_named() {
        // Every write to this device fails for want of space.
        let artifact = artifact(&right());
        let (news, _heard) = mpsc::channel();
        let get: Get<'_> = &|_, take| take(WHOLE);
        let error = write("Kafka 4.1.2", &artifact, "url", Path::new("/dev/full"), get, &news).unwrap_err();
        assert_eq!(error.code(), "stoke::runtime::disk-full");
    }
}
