//! A log of a container, bounded in lines, in bytes of each line and in all, and in time.

use std::collections::VecDeque;
use std::time::Duration;

use futures::AsyncBufReadExt;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, LogParams};

use super::{Live, Refusal};

/// Bytes of a line that are shown.
const LINE: usize = 4096;
/// Bytes that are read for a page.
const BYTES: i64 = 8 << 20;
/// Time for reading.
const PATIENCE: Duration = Duration::from_secs(10);

/// How serious a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What the application itself prints.
    Output,
    Debug,
    Info,
    Warning,
    Error,
}

impl Level {
    /// Its name in addresses, in the JSON and in the style.
    pub fn name(self) -> &'static str {
        match self {
            Level::Output => "output",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warning => "warning",
            Level::Error => "error",
        }
    }

    /// All, as the choice shows them.
    pub const ALL: [Level; 5] = [Level::Error, Level::Warning, Level::Info, Level::Debug, Level::Output];

    /// Of a line that begins as log4j begins it, with a date and a time: the word after them. None for others.
    fn of(line: &str) -> Option<Level> {
        if !line.starts_with(|letter: char| letter.is_ascii_digit()) {
            return None;
        }
        line.split_ascii_whitespace().take(4).find_map(|word| {
            Some(match word.trim_matches(['[', ']']) {
                "ERROR" | "FATAL" => Level::Error,
                "WARN" | "WARNING" => Level::Warning,
                "INFO" => Level::Info,
                "DEBUG" | "TRACE" => Level::Debug,
                _ => return None,
            })
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// How serious it is; lines of a stack trace are as the line before them.
    pub level: Level,
    /// Its text, or the beginning of it.
    pub text: String,
    /// Bytes that are not shown.
    pub cut: u64,
}

/// The end of a log.
#[derive(Debug, Default)]
pub struct Read {
    pub lines: Vec<Line>,
    /// Whether there was more than is read for a page.
    pub cut: bool,
}

/// Bytes to lines: the last ones, the beginning of each.
#[derive(Debug)]
struct Lines {
    most: usize,
    whole: VecDeque<Line>,
    part: Vec<u8>,
    cut: u64,
}

impl Lines {
    fn new(most: usize) -> Lines {
        Lines {
            most,
            whole: VecDeque::new(),
            part: Vec::new(),
            cut: 0,
        }
    }

    fn feed(&mut self, mut bytes: &[u8]) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.more(&bytes[..end]);
            self.end();
            bytes = &bytes[end + 1..];
        }
        self.more(bytes);
    }

    fn more(&mut self, bytes: &[u8]) {
        let room = LINE.saturating_sub(self.part.len()).min(bytes.len());
        self.part.extend_from_slice(&bytes[..room]);
        self.cut += (bytes.len() - room) as u64;
    }

    fn end(&mut self) {
        let bytes = std::mem::take(&mut self.part);
        let text = String::from_utf8_lossy(&bytes).trim_end_matches('\r').to_owned();
        let before = self.whole.back().map(|line| line.level);
        let is_trace = text.starts_with(['\t', ' ']) || text.starts_with("Caused by: ") || text.starts_with("java.");
        let level = match (Level::of(&text), before) {
            (Some(level), _) => level,
            (None, Some(before)) if is_trace && before != Level::Output => before,
            _ if is_failure(&text) => Level::Error,
            _ => Level::Output,
        };
        let cut = std::mem::take(&mut self.cut);
        if self.whole.len() == self.most {
            self.whole.pop_front();
        }
        self.whole.push_back(Line { level, text, cut });
    }

    fn finish(mut self) -> Vec<Line> {
        if !self.part.is_empty() || self.cut > 0 {
            self.end();
        }
        self.whole.into()
    }
}

/// Whether a program says here, without a logger, that it failed: Python's trace, or an exception with its name first.
fn is_failure(line: &str) -> bool {
    let head = line.split(':').next().unwrap_or_default();
    let named = head.ends_with("Error") || head.ends_with("Exception");
    line.starts_with("Traceback (most recent call last)") || (named && !head.contains(char::is_whitespace))
}

/// The last lines of a container's log, as far as they are within the bounds.
///
/// # Errors
/// What the API server says.
pub async fn read(live: &Live, namespace: &str, pod: &str, container: &str, lines: usize) -> Result<Read, Refusal> {
    let api: Api<Pod> = Api::namespaced(live.client(), namespace);
    let terms = LogParams {
        container: Some(container.to_owned()),
        tail_lines: i64::try_from(lines).ok(),
        limit_bytes: Some(BYTES),
        ..LogParams::default()
    };
    let mut stream = std::pin::pin!(live.asked(api.log_stream(pod, &terms)).await?);
    let mut kept = Lines::new(lines);
    let mut bytes: usize = 0;
    let reading = async {
        loop {
            let there = stream.fill_buf().await?;
            if there.is_empty() || bytes as u64 >= BYTES as u64 {
                return Ok::<(), std::io::Error>(());
            }
            let count = there.len();
            kept.feed(there);
            bytes += count;
            stream.consume_unpin(count);
        }
    };
    let ended = tokio::time::timeout(PATIENCE, reading).await;
    if let Ok(Err(error)) = &ended {
        tracing::debug!(%error, "a log broke off");
    }
    Ok(Read {
        lines: kept.finish(),
        cut: !matches!(ended, Ok(Ok(()))) || bytes as u64 >= BYTES as u64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_of_lines() {
        let log = "26/11/23 23:04:13 INFO SparkContext: Running\nPi is roughly 3.14\n26/11/23 23:04:14 WARN TaskSetManager: Lost task\n\
                   java.lang.Exception: x\n\tat a.b(c)\nCaused by: y\n2026-11-23T23:04:15.1Z [main] ERROR X: z\nERROR in words\n\tafter\n\
                   Traceback (most recent call last):\n  File x\nValueError: x\nNo Error: here\n";
        let mut lines = Lines::new(100);
        // However the bytes come.
        for byte in log.as_bytes() {
            lines.feed(&[*byte]);
        }
        let levels: Vec<Level> = lines.finish().iter().map(|line| line.level).collect();
        let (i, w, e, o) = (Level::Info, Level::Warning, Level::Error, Level::Output);
        assert_eq!(levels, [i, o, w, w, w, w, e, o, o, e, e, e, o]);
    }

    #[test]
    fn long_lines_and_many_lines_are_cut() {
        let mut lines = Lines::new(3);
        lines.feed(b"first\nsecond\r\n\xff\n");
        let block = vec![b'x'; 1 << 20];
        for _ in 0..100 {
            lines.feed(&block);
        }
        assert!(lines.part.capacity() <= 2 * LINE);
        lines.feed(b"\nend");
        let lines = lines.finish();
        assert_eq!(lines.len(), 3);
        assert_eq!((lines[0].text.as_str(), lines[0].cut), ("\u{fffd}", 0));
        assert_eq!((lines[1].text.len(), lines[1].cut), (LINE, (100 << 20) - LINE as u64));
        assert_eq!(lines[2].text, "end");
        assert!(Lines::new(3).finish().is_empty());
    }
}
