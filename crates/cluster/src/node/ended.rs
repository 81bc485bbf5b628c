//! How a container's end is reported: code, reason and termination message.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Container;
use stoke_sandbox::Exit;

use super::facts::Ended;
use super::start::termination_file;

/// Longest termination message.
const MESSAGE: u64 = 4096;
/// Longest piece of the log that stands for one.
const LOG_MESSAGE: u64 = 2048;
/// Most lines of it.
const LOG_LINES: usize = 80;

/// The end of a container whose own files are in `own_directory` and whose log is `log`.
pub(crate) fn ended(
    exit: Exit,
    container: &Container,
    own_directory: &Path,
    log: &Path,
    started_at: Option<Timestamp>,
    container_id: String,
) -> Ended {
    let exit_code = exit.container_code();
    let reason = match (exit.out_of_memory, exit_code) {
        (true, _) => "OOMKilled",
        (false, 0) => "Completed",
        (false, _) => "Error",
    };
    let mut message = tail(&termination_file(own_directory), MESSAGE);
    if message.is_empty()
        && exit_code != 0
        && container.termination_message_policy.as_deref() == Some("FallbackToLogsOnError")
    {
        message = last_lines(log);
    }
    Ended {
        exit_code,
        reason: reason.to_owned(),
        message: Some(message).filter(|message| !message.is_empty()),
        started_at,
        finished_at: crate::clock::now(),
        container_id,
    }
}

/// The last lines of a container log, without its times and streams.
fn last_lines(log: &Path) -> String {
    // Lines carry about 45 bytes of time and stream.
    let text = tail(log, LOG_MESSAGE * 4);
    let lines: Vec<&str> = text.lines().filter_map(|line| line.splitn(4, ' ').nth(3)).collect();
    let text = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
    let from = text.len().saturating_sub(usize::try_from(LOG_MESSAGE).unwrap_or(2048));
    let from = (from..text.len())
        .find(|index| text.is_char_boundary(*index))
        .unwrap_or(text.len());
    text[from..].to_owned()
}

fn tail(path: &Path, most: u64) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = std::fs::File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(most)))?;
        let mut bytes = Vec::new();
        file.take(most).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_and_messages() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("0.log");
        std::fs::write(&log, "T stdout F one\nT stderr F two\n").unwrap();
        let container = |policy: &str| Container {
            termination_message_policy: Some(policy.into()),
            ..Container::default()
        };
        let of = |code: Option<i32>, signal: Option<i32>, out_of_memory: bool, policy: &str| {
            let exit = Exit {
                code,
                signal,
                out_of_memory,
            };
            let ended = ended(exit, &container(policy), directory.path(), &log, None, String::new());
            (ended.exit_code, ended.reason, ended.message)
        };
        assert_eq!(of(Some(0), None, false, "File"), (0, "Completed".into(), None));
        assert_eq!(of(Some(2), None, false, "File"), (2, "Error".into(), None));
        assert_eq!(of(None, Some(15), false, "File"), (143, "Error".into(), None));
        assert_eq!(of(None, Some(9), true, "File"), (137, "OOMKilled".into(), None));
        assert_eq!(
            of(Some(1), None, false, "FallbackToLogsOnError").2.as_deref(),
            Some("one\ntwo")
        );
        std::fs::write(termination_file(directory.path()), "said").unwrap();
        assert_eq!(
            of(Some(1), None, false, "FallbackToLogsOnError").2.as_deref(),
            Some("said")
        );
    }
}
