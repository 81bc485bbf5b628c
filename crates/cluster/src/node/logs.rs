//! Container logs: reading what the sandbox wrote, following it, and throwing away what is too old.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use jiff::Timestamp;
use stoke_sandbox::CRI_ROTATED_SUFFIX;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::context::log_directory;
use crate::kubelet::{KubeletError, LogOptions, LogRequest};

/// Logs of this many pods are kept; the oldest of the others go.
const KEPT: usize = 400;
/// The newest logs that together have at most this many bytes are kept.
const KEPT_BYTES: u64 = 4 << 30;
/// How long a follower waits before it looks again, at most.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Opens a log for the API server.
pub(crate) async fn open(directory: &Path, request: LogRequest) -> Result<BoxStream<'static, Bytes>, KubeletError> {
    let own = log_directory(directory, &request.namespace, &request.pod, &request.uid).join(&request.container);
    let path = choose(&own, &request)?;
    let (sender, receiver) = mpsc::channel(16);
    tokio::task::spawn_blocking(move || {
        let mut reader = Reader {
            options: request.options,
            sender,
            sent: 0,
            partial: false,
        };
        if let Err(error) = reader.run(&path) {
            tracing::debug!(%error, log = %path.display(), "a log could not be read");
        }
    });
    Ok(ReceiverStream::new(receiver).boxed())
}

/// The log of the current or previous instance.
fn choose(own: &Path, request: &LogRequest) -> Result<PathBuf, KubeletError> {
    let mut attempts: Vec<u32> = std::fs::read_dir(own)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_string_lossy().strip_suffix(".log")?.parse().ok())
        .collect();
    attempts.sort_unstable();
    let found = attempts
        .len()
        .checked_sub(if request.options.previous { 2 } else { 1 })
        .map(|index| attempts[index]);
    let (container, pod) = (&request.container, &request.pod);
    found.map(|attempt| own.join(format!("{attempt}.log"))).ok_or_else(|| {
        KubeletError::bad_request(if request.options.previous {
            format!("previous terminated container \"{container}\" in pod \"{pod}\" not found")
        } else {
            format!("container \"{container}\" in pod \"{pod}\" is waiting to start: ContainerCreating")
        })
    })
}

struct Reader {
    options: LogOptions,
    sender: mpsc::Sender<Bytes>,
    sent: u64,
    partial: bool,
}

impl Reader {
    fn run(&mut self, path: &Path) -> std::io::Result<()> {
        let mut rotated = path.to_owned().into_os_string();
        rotated.push(CRI_ROTATED_SUFFIX);
        let mut text = std::fs::read(&rotated).unwrap_or_default();
        let mut file = std::fs::File::open(path)?;
        file.read_to_end(&mut text)?;
        let mut rest = Vec::new();
        let mut lines = complete(&mut rest, &text);
        lines.retain(|line| self.recent(line));
        if let Some(tail) = self.options.tail_lines {
            // Parts of a long line count as one with its end.
            let ends: Vec<usize> = lines
                .iter()
                .enumerate()
                .filter(|(_, line)| line.full)
                .map(|(index, _)| index)
                .collect();
            let tail = usize::try_from(tail).unwrap_or(usize::MAX);
            let unfinished = usize::from(lines.last().is_some_and(|line| !line.full));
            let from = match (ends.len() + unfinished).checked_sub(tail) {
                None | Some(0) => 0,
                Some(skipped) if tail == 0 || skipped > ends.len() => lines.len(),
                Some(skipped) => ends[skipped - 1] + 1,
            };
            lines.drain(..from);
        }
        if !self.send(&lines) || !self.options.follow {
            return Ok(());
        }
        drop(lines);
        drop(text);
        self.follow(path, file, rest)
    }

    /// Sends what is appended until the log's writer is gone and all is sent.
    fn follow(&mut self, path: &Path, mut file: std::fs::File, mut rest: Vec<u8>) -> std::io::Result<()> {
        let mut pause = Duration::from_millis(5);
        loop {
            let writing = being_written(path);
            let mut text = Vec::new();
            // A log set aside was emptied by renaming: go on with the new one once the old is read to its end.
            if file.read_to_end(&mut text)? == 0 {
                let renamed = same_file(&file, path).is_ok_and(|same| !same);
                if renamed {
                    file = std::fs::File::open(path)?;
                    continue;
                }
                if !writing || self.sender.is_closed() {
                    return Ok(());
                }
                std::thread::sleep(pause);
                pause = (pause * 2).min(LONGEST_PAUSE);
                continue;
            }
            pause = Duration::from_millis(5);
            let lines = complete(&mut rest, &text);
            let recent: Vec<Line> = lines.into_iter().filter(|line| self.recent(line)).collect();
            if !self.send(&recent) {
                return Ok(());
            }
        }
    }

    fn recent(&self, line: &Line) -> bool {
        self.options
            .since
            .is_none_or(|since| line.time.parse::<Timestamp>().is_ok_and(|time| time >= since))
    }

    /// Sends lines; false when no one listens any more or the limit is reached.
    fn send(&mut self, lines: &[Line]) -> bool {
        let mut out = Vec::new();
        for line in lines {
            if self.options.timestamps && !self.partial {
                out.extend_from_slice(line.time.as_bytes());
                out.push(b' ');
            }
            out.extend_from_slice(&line.text);
            if line.full {
                out.push(b'\n');
            }
            self.partial = !line.full;
        }
        let mut within = true;
        if let Some(limit) = self.options.limit_bytes {
            let left = usize::try_from(limit.saturating_sub(self.sent)).unwrap_or(usize::MAX);
            within = out.len() < left;
            out.truncate(left);
        }
        self.sent += out.len() as u64;
        let mut out = Bytes::from(out);
        while !out.is_empty() {
            let piece = out.split_to(out.len().min(256 << 10));
            if self.sender.blocking_send(piece).is_err() {
                return false;
            }
        }
        within
    }
}

/// One line of a log in the CRI format.
struct Line {
    time: String,
    full: bool,
    text: Vec<u8>,
}

/// The complete lines of `rest` and `text`; what is not complete stays in `rest`.
fn complete(rest: &mut Vec<u8>, text: &[u8]) -> Vec<Line> {
    rest.extend_from_slice(text);
    let Some(end) = rest.iter().rposition(|byte| *byte == b'\n') else {
        return Vec::new();
    };
    let tail = rest.split_off(end + 1);
    let whole = std::mem::replace(rest, tail);
    whole.split(|byte| *byte == b'\n').filter_map(parse).collect()
}

/// `time stream F|P text`.
fn parse(line: &[u8]) -> Option<Line> {
    let mut fields = line.splitn(4, |byte| *byte == b' ');
    let time = std::str::from_utf8(fields.next()?).ok()?.to_owned();
    fields.next()?;
    let full = fields.next()? == b"F";
    Some(Line {
        time,
        full,
        text: fields.next().unwrap_or_default().to_vec(),
    })
}

/// Whether a container still writes this log. Its warden holds a lock on it for as long as it does.
fn being_written(path: &Path) -> bool {
    let Ok(file) = std::fs::File::open(path) else {
        return false;
    };
    matches!(file.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock))
}

fn same_file(file: &std::fs::File, path: &Path) -> std::io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let (own, there) = (file.metadata()?, std::fs::metadata(path)?);
    Ok(own.ino() == there.ino() && own.dev() == there.dev())
}

/// Removes the oldest logs beyond those kept.
pub(crate) fn prune(directory: &Path) {
    prune_to(&directory.join("logs"), KEPT, KEPT_BYTES);
}

fn prune_to(logs: &Path, count: usize, bytes: u64) {
    let mut pods: Vec<(std::time::SystemTime, PathBuf)> = std::fs::read_dir(logs)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    pods.sort();
    let mut total = 0;
    for (index, (_, path)) in pods.iter().rev().enumerate() {
        total += size(path);
        // The logs of the pod that has just ended are never thrown away.
        if index > 0 && (index >= count || total > bytes) {
            let _ = std::fs::remove_dir_all(path);
        }
    }
}

/// The bytes below a directory of two levels, as logs have it.
fn size(pod: &Path) -> u64 {
    let entries = |path: &Path| std::fs::read_dir(path).into_iter().flatten().flatten();
    let files = entries(pod).flat_map(|container| entries(&container.path()).collect::<Vec<_>>());
    files
        .filter_map(|file| file.metadata().ok())
        .map(|metadata| metadata.len())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn request(options: LogOptions) -> LogRequest {
        LogRequest {
            namespace: "n".into(),
            pod: "p".into(),
            uid: "u".into(),
            container: "c".into(),
            options,
        }
    }

    async fn read(directory: &Path, options: LogOptions) -> Result<String, KubeletError> {
        let stream = open(directory, request(options)).await?;
        let parts: Vec<Bytes> = stream.collect().await;
        Ok(String::from_utf8(parts.concat()).unwrap())
    }

    const LOG: &str = "2026-11-21T02:00:00.000000001Z stdout F one\n\
                       2026-11-21T02:00:01.000000001Z stderr P tw\n2026-11-21T02:00:01.000000002Z stderr F o\n\
                       2026-11-21T02:00:02.000000001Z stdout F three\n";

    fn with_log(attempts: &[(u32, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let own = log_directory(directory.path(), "n", "p", "u").join("c");
        std::fs::create_dir_all(&own).unwrap();
        for (attempt, text) in attempts {
            std::fs::write(own.join(format!("{attempt}.log")), text).unwrap();
        }
        directory
    }

    #[tokio::test]
    async fn every_option() {
        let directory = with_log(&[(0, "2026-11-21T01:00:00.0Z stdout F before\n"), (1, LOG)]);
        let all = LogOptions::default;
        let table = [
            (all(), "one\ntwo\nthree\n"),
            (
                LogOptions {
                    previous: true,
                    ..all()
                },
                "before\n",
            ),
            (
                LogOptions {
                    tail_lines: Some(2),
                    ..all()
                },
                "two\nthree\n",
            ),
            (
                LogOptions {
                    tail_lines: Some(0),
                    ..all()
                },
                "",
            ),
            (
                LogOptions {
                    tail_lines: Some(9),
                    ..all()
                },
                "one\ntwo\nthree\n",
            ),
            (
                LogOptions {
                    since: "2026-11-21T02:00:01.5Z".parse().ok(),
                    ..all()
                },
                "three\n",
            ),
            (
                LogOptions {
                    limit_bytes: Some(6),
                    ..all()
                },
                "one\ntw",
            ),
            (
                LogOptions {
                    timestamps: true,
                    tail_lines: Some(2),
                    ..all()
                },
                "2026-11-21T02:00:01.000000001Z two\n2026-11-21T02:00:02.000000001Z three\n",
            ),
            (LogOptions { follow: true, ..all() }, "one\ntwo\nthree\n"),
        ];
        for (options, expected) in table {
            assert_eq!(
                read(directory.path(), options.clone()).await.unwrap(),
                expected,
                "{options:?}"
            );
        }
    }

    #[tokio::test]
    async fn following_ends_when_the_writer_does_and_survives_rotation() {
        let directory = with_log(&[(0, "")]);
        let path = log_directory(directory.path(), "n", "p", "u").join("c/0.log");
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.lock().unwrap();
        let follow = read(
            directory.path(),
            LogOptions {
                follow: true,
                ..LogOptions::default()
            },
        );
        let writer = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            file.write_all(b"2026-11-21T02:00:00.1Z stdout F a\n2026-11-21T02")
                .unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
            file.write_all(b":00:00.2Z stdout F b\n").unwrap();
            std::fs::rename(&path, format!("{}{CRI_ROTATED_SUFFIX}", path.display())).unwrap();
            let mut file = std::fs::File::create(&path).unwrap();
            file.lock().unwrap();
            file.write_all(b"2026-11-21T02:00:00.3Z stdout F c\n").unwrap();
        };
        let (text, ()) = tokio::join!(follow, writer);
        assert_eq!(text.unwrap(), "a\nb\nc\n");
    }

    #[test]
    fn the_oldest_logs_go_by_count_and_by_size() {
        let directory = tempfile::tempdir().unwrap();
        for (name, age) in [("old", 30), ("middle", 20), ("new", 10)] {
            let path = directory.path().join(name).join("c");
            std::fs::create_dir_all(&path).unwrap();
            std::fs::write(path.join("0.log"), "0123456789").unwrap();
            let time = std::time::SystemTime::now() - Duration::from_secs(age);
            std::fs::File::open(directory.path().join(name))
                .unwrap()
                .set_modified(time)
                .unwrap();
        }
        let left = || {
            let mut names: Vec<String> = std::fs::read_dir(directory.path())
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        };
        prune_to(directory.path(), 3, 30);
        assert_eq!(left(), ["middle", "new", "old"]);
        prune_to(directory.path(), 2, 30);
        assert_eq!(left(), ["middle", "new"]);
        prune_to(directory.path(), 2, 15);
        assert_eq!(left(), ["new"]);
        prune_to(directory.path(), 2, 5);
        assert_eq!(left(), ["new"]);
    }

    #[tokio::test]
    async fn what_is_not_there_is_said() {
        let directory = with_log(&[(0, LOG)]);
        let error = read(
            directory.path(),
            LogOptions {
                previous: true,
                ..LogOptions::default()
            },
        )
        .await
        .unwrap_err();
        assert_eq!(
            error.message,
            "previous terminated container \"c\" in pod \"p\" not found"
        );
        let error = read(&directory.path().join("none"), LogOptions::default())
            .await
            .unwrap_err();
        assert_eq!((error.code, error.reason), (400, "BadRequest"));
    }
}
