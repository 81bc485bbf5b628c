//! Stage and task progress, read from the driver's own log: no request to the driver, no cost to the job.
//!
//! Spark logs one line per finished task (`TaskSetManager`) and per stage (`DAGScheduler`) at level INFO, its default, in the same words
//! from 3.5 to 4.x. A line is looked at once; unknown lines cost one prefix comparison.

use std::collections::BTreeMap;

/// What one line of the driver's log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voice {
    /// Spark's logger (log4j).
    Spark,
    /// The application itself.
    Application,
}

/// One stage as the log told it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stage {
    /// What it does and where, for example `reduce at pi.py:42`.
    pub name: String,
    /// Tasks in all; 0 while unknown.
    pub total: u64,
    /// Tasks that succeeded.
    pub done: u64,
    /// The stage has ended.
    pub finished: bool,
}

/// Everything the log told so far.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    stages: BTreeMap<u64, Stage>,
    lost_tasks: u64,
    voice: Option<Voice>,
}

impl Progress {
    /// Takes one line of the log, without its line end; tells whose voice it is.
    pub fn line(&mut self, line: &str) -> Voice {
        let voice = match message(line) {
            Some((logger, message)) => {
                self.event(logger, message);
                Voice::Spark
            }
            // The lines of a stack trace belong to the line before them.
            None if self.voice == Some(Voice::Spark) && is_trace(line) => Voice::Spark,
            None => Voice::Application,
        };
        self.voice = Some(voice);
        voice
    }

    fn event(&mut self, logger: &str, message: &str) {
        match logger {
            "TaskSetManager" => self.task(message),
            "DAGScheduler" => self.scheduled(message),
            _ => {}
        }
    }

    fn task(&mut self, message: &str) {
        if message.starts_with("Lost task") {
            self.lost_tasks += 1;
        }
        let Some(rest) = message.strip_prefix("Finished task ") else {
            return;
        };
        let stage = rest.split_once("in stage ").and_then(|(_, rest)| number(rest));
        let counts = rest
            .rsplit_once('(')
            .and_then(|(_, counts)| counts.trim_end_matches(')').split_once('/'));
        if let (Some(stage), Some((done, total))) = (stage, counts) {
            let entry = self.stages.entry(stage).or_default();
            entry.done = number(done).unwrap_or(entry.done);
            entry.total = number(total).unwrap_or(entry.total);
        }
    }

    fn scheduled(&mut self, message: &str) {
        if let Some(rest) = message.strip_prefix("Submitting ") {
            let Some((count, stage)) = rest.split_once(" missing tasks from ") else {
                // `ResultStage 0 (PythonRDD[1] at reduce at /opt/pi.py:42), which has no missing parents`
                if let Some((stage, name)) = stage_of(rest) {
                    self.stages.entry(stage).or_default().name = name;
                }
                return;
            };
            if let (Some(count), Some((stage, _))) = (number(count), stage_of(stage)) {
                let entry = self.stages.entry(stage).or_default();
                // A stage tried again counts its missing tasks again.
                *entry = Stage {
                    name: std::mem::take(&mut entry.name),
                    total: count,
                    done: 0,
                    finished: false,
                };
            }
        } else if message.contains(" finished in ")
            && let Some((stage, _)) = stage_of(message)
        {
            self.stages.entry(stage).or_default().finished = true;
        }
    }

    /// The running stages in one line, for a status line; empty when none runs.
    pub fn status(&self) -> String {
        let running = self
            .stages
            .iter()
            .filter(|(_, stage)| !stage.finished && stage.total > 0);
        let parts: Vec<String> = running
            .map(|(id, stage)| {
                format!(
                    "stage {id} {} {} {}/{} tasks",
                    stage.name,
                    bar(stage.done, stage.total),
                    stage.done,
                    stage.total
                )
            })
            .collect();
        parts.join("  |  ")
    }

    /// Stages that ended, tasks that succeeded, tasks that were lost.
    pub fn totals(&self) -> (usize, u64, u64) {
        let finished = self.stages.values().filter(|stage| stage.finished).count();
        (
            finished,
            self.stages.values().map(|stage| stage.done).sum(),
            self.lost_tasks,
        )
    }
}

fn bar(done: u64, total: u64) -> String {
    let filled = (done * 10 / total.max(1)).min(10) as usize;
    format!("[{}{}]", "#".repeat(filled), ".".repeat(10 - filled))
}

/// Logger and message of a line in Spark's default log format `yy/MM/dd HH:mm:ss LEVEL Logger: message`.
fn message(line: &str) -> Option<(&str, &str)> {
    let bytes = line.as_bytes();
    let stamp = b"00/00/00 00:00:00 ";
    let shaped = bytes.len() > stamp.len()
        && stamp.iter().zip(bytes).all(|(shape, byte)| {
            if *shape == b'0' {
                byte.is_ascii_digit()
            } else {
                byte == shape
            }
        });
    if !shaped {
        return None;
    }
    let (level, rest) = line.get(stamp.len()..)?.split_once(' ')?;
    if !matches!(level, "TRACE" | "DEBUG" | "INFO" | "WARN" | "ERROR" | "FATAL") {
        return None;
    }
    rest.split_once(": ").or_else(|| Some((rest.trim_end_matches(':'), "")))
}

fn is_trace(line: &str) -> bool {
    let exception = || {
        line.split([':', ' '])
            .next()
            .is_some_and(|first| first.contains('.') && first.ends_with("Exception") || first.ends_with("Error"))
    };
    line.starts_with('\t')
        || line.starts_with("Caused by: ")
        || line.starts_with("Suppressed: ")
        || (line.contains('.') && exception())
}

fn number(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..digits].parse().ok()
}

/// Stage id and name from `ResultStage 0 (PythonRDD[1] at reduce at /opt/x/pi.py:42) …`; the name keeps the file, not its directory.
fn stage_of(text: &str) -> Option<(u64, String)> {
    let (kind, rest) = text.split_once(' ')?;
    if !kind.ends_with("Stage") {
        return None;
    }
    let id = number(rest)?;
    let inside = rest.split_once('(').map_or("", |(_, inside)| inside);
    let inside = inside.find(", which").map_or(inside, |end| &inside[..end]);
    let inside = inside.split(") ").next().unwrap_or(inside).trim_end_matches(')');
    let name = match inside.split_once("] at ") {
        Some((_, name)) => name,
        None => inside,
    };
    let name = match name.split_once(" at ") {
        Some((what, place)) => format!("{what} at {}", place.rsplit('/').next().unwrap_or(place)),
        None => name.to_string(),
    };
    Some((id, name))
}

/// The reason of a failure from the last lines of a driver's log: the last Python exception with the user's own line, else the last
/// JVM exception. `None` when the log shows neither.
pub fn cause<'a>(lines: impl DoubleEndedIterator<Item = &'a str> + Clone) -> Option<Vec<String>> {
    let lines: Vec<&str> = lines.collect();
    python_cause(&lines).or_else(|| jvm_cause(&lines))
}

fn python_cause(lines: &[&str]) -> Option<Vec<String>> {
    let start = lines
        .iter()
        .rposition(|line| line.trim_start().starts_with("Traceback (most recent call last)"))?;
    let indent = lines[start].len() - lines[start].trim_start().len();
    let body = &lines[start + 1..];
    let end = body.iter().position(|line| {
        let own = line.len() - line.trim_start().len();
        !line.trim().is_empty() && own <= indent
    })?;
    let mut result = vec![body[end].trim().to_string()];
    let library = |line: &str| {
        ["/pyspark/", "/python/lib/", "site-packages", "/lib/python3", "py4j"]
            .iter()
            .any(|part| line.contains(part))
    };
    let place = body[..end]
        .iter()
        .rposition(|line| line.trim_start().starts_with("File \"") && !library(line));
    if let Some(place) = place {
        result.push(body[place].trim().to_string());
        result.extend(
            body.get(place + 1)
                .filter(|line| !line.trim_start().starts_with("File"))
                .map(|line| format!("  {}", line.trim())),
        );
    }
    Some(result)
}

fn jvm_cause(lines: &[&str]) -> Option<Vec<String>> {
    let named = lines.iter().rposition(|line| line.starts_with("Caused by: "));
    let thrown = lines.iter().rposition(|line| line.starts_with("Exception in thread "));
    let at = match (named, thrown) {
        (Some(named), Some(thrown)) if named > thrown => named,
        (named, thrown) => thrown.or(named)?,
    };
    let text = lines[at].trim_start_matches("Caused by: ");
    let text = text
        .strip_prefix("Exception in thread ")
        .and_then(|rest| rest.split_once("\" "))
        .map_or(text, |(_, rest)| rest);
    let mut result = vec![text.to_string()];
    let spark = ["java.", "javax.", "jdk.", "scala.", "org.apache.spark.", "sun."];
    let own = lines[at + 1..]
        .iter()
        .take_while(|line| line.starts_with('\t'))
        .find_map(|line| {
            let frame = line.trim().strip_prefix("at ")?;
            let frame = frame.rsplit('/').next().unwrap_or(frame);
            (!spark.iter().any(|prefix| frame.starts_with(prefix))).then(|| format!("at {frame}"))
        });
    result.extend(own);
    Some(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_followed_from_its_log() {
        let log = [
            "26/11/21 04:00:00 INFO DAGScheduler: Submitting ResultStage 0 (PythonRDD[1] at reduce at /opt/spark/examples/pi.py:42), which has no missing parents",
            "26/11/21 04:00:00 INFO DAGScheduler: Submitting 20 missing tasks from ResultStage 0 (PythonRDD[1] at reduce at /opt/spark/examples/pi.py:42) (first 15 tasks are for partitions Vector(0, 1))",
            "26/11/21 04:00:01 INFO TaskSetManager: Finished task 3.0 in stage 0.0 (TID 3) in 45 ms on 127.64.1.3 (executor 1) (5/20)",
        ];
        let mut progress = Progress::default();
        for line in log {
            assert_eq!(progress.line(line), Voice::Spark);
        }
        assert_eq!(progress.status(), "stage 0 reduce at pi.py:42 [##........] 5/20 tasks");
        progress.line("26/11/21 04:00:02 INFO DAGScheduler: ResultStage 0 (reduce at /opt/spark/examples/pi.py:42) finished in 1.5 s");
        assert_eq!(progress.status(), "");
        assert_eq!(progress.totals(), (1, 5, 0));
    }

    #[test]
    fn voices_are_told_apart() {
        let mut progress = Progress::default();
        let cases = [
            ("Pi is roughly 3.141", Voice::Application),
            (
                "26/11/21 04:00:01 WARN TaskSetManager: Lost task 0.0 in stage 0.0 (TID 0): java.lang.Exception",
                Voice::Spark,
            ),
            ("\tat org.apache.spark.X", Voice::Spark),
            ("Caused by: java.io.IOException: no", Voice::Spark),
            ("java.lang.IllegalStateException: why", Voice::Spark),
            ("done", Voice::Application),
            ("\tindented by the application", Voice::Application),
            ("26/11/21 is a date", Voice::Application),
            ("", Voice::Application),
        ];
        for (line, voice) in cases {
            assert_eq!(progress.line(line), voice, "{line}");
        }
        assert_eq!(progress.totals().2, 1);
    }

    #[test]
    fn the_cause_is_the_users_own_line() {
        let python = [
            "Traceback (most recent call last):",
            "  File \"/opt/app/main.py\", line 11, in <module>",
            "    print(x)",
            "  File \"/opt/spark/python/lib/pyspark.zip/pyspark/rdd.py\", line 1, in collect",
            "ValueError: no",
        ];
        let expected = [
            "ValueError: no",
            "File \"/opt/app/main.py\", line 11, in <module>",
            "  print(x)",
        ];
        assert_eq!(
            cause(python.into_iter()).as_deref(),
            Some(expected.map(String::from).as_slice())
        );
        let jvm = [
            "Exception in thread \"main\" org.apache.spark.SparkException: Job aborted",
            "\tat org.apache.spark.X.y(X.scala:1)",
            "Caused by: java.lang.IllegalStateException: counted 5 of 6",
            "\tat java.base/java.util.X.y(X.java:3)",
            "\tat WordCount.main(WordCount.java:18)",
        ];
        let expected = [
            "java.lang.IllegalStateException: counted 5 of 6",
            "at WordCount.main(WordCount.java:18)",
        ];
        assert_eq!(
            cause(jvm.into_iter()).as_deref(),
            Some(expected.map(String::from).as_slice())
        );
        assert_eq!(cause(["all is well"].into_iter()), None);
    }

    proptest::proptest! {
        #[test]
        fn any_line_is_taken(line in "\\PC*") {
            let mut progress = Progress::default();
            progress.line(&line);
            progress.line(&format!("26/11/21 04:00:00 INFO TaskSetManager: Finished task {line}"));
            progress.line(&format!("26/11/21 04:00:00 INFO DAGScheduler: Submitting {line}"));
            let _ = cause([line.as_str()].into_iter());
        }
    }
}
