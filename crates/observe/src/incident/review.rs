//! The draft of a review: what is known is written, what people must say is asked for.

use std::fmt::Write;

use jiff::Timestamp;
use stoke_model::units::people::{counted, duration};

use super::timeline::{self, Item, Source};
use super::{About, Incident};
use crate::runbook::{self, Ending, Record};

/// Rows of the time line that are shown; more are counted.
const ROWS: usize = 200;

fn clock(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

fn long(seconds: i64) -> String {
    duration(seconds.unsigned_abs().saturating_mul(1000))
}

/// A cell of a table: one line, without what would end it.
fn cell(text: &str) -> String {
    text.replace(['\n', '\r'], " ").replace('|', "\\|")
}

/// The document, as Markdown.
#[must_use]
pub fn draft(incident: &Incident, items: &[Item], records: &[Record]) -> String {
    let (Some(opening), Some(times)) = (incident.opening(), incident.times(items)) else {
        return String::new();
    };
    let mut text = format!("# {}\n\n", cell(opening.title));
    let _ = writeln!(
        text,
        "Incident {}, severity {}, namespace {} of {}.\n",
        opening.incident,
        opening.severity.word(),
        opening.namespace,
        opening.cluster
    );
    text.push_str("| | |\n|---|---|\n");
    let mut row = |what: &str, value: String| {
        let _ = writeln!(text, "| {what} | {value} |");
    };
    row("began", clock(times.began));
    row("detected", clock(times.detected));
    row("repaired", times.repaired.map_or_else(|| "not yet".to_owned(), clock));
    row("time to detect", long(times.to_detect));
    row(
        "time to repair",
        times.to_repair.map_or_else(|| "not yet".to_owned(), long),
    );
    text.push_str("\n## What happened\n\n");
    let failed = timeline::failed(items);
    let _ = match failed.as_slice() {
        [] => writeln!(text, "No application of the namespace failed in this time."),
        failed => writeln!(
            text,
            "{} failed: {}.",
            counted(failed.len(), "application"),
            failed.join(", ")
        ),
    };
    let alerts: Vec<&str> = items
        .iter()
        .filter(|item| item.source == Source::Alert && item.is_bad)
        .map(|item| item.about.as_str())
        .collect();
    if !alerts.is_empty() {
        let _ = writeln!(text, "{} fired: {}.", counted(alerts.len(), "alert"), alerts.join(", "));
    }
    text.push_str("\n*To be written by people: who was affected, and how they noticed.*\n\n## Time line\n\n| time | from | about | what |\n|---|---|---|---|\n");
    for item in items.iter().take(ROWS) {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            clock(item.time),
            item.source.word(),
            cell(&item.about),
            cell(&item.text)
        );
    }
    if items.len() > ROWS {
        let _ = writeln!(text, "\n{} more.", items.len() - ROWS);
    }
    text.push_str("\n## Why\n\n");
    list(
        &mut text,
        incident.notes(About::Cause).map(|(_, text)| text.to_owned()),
        "*To be written: `stoke incident note ID --about cause TEXT`.*",
    );
    let changed: Vec<String> = items
        .iter()
        .filter(|item| item.source == Source::Change && item.time <= times.detected)
        .map(|item| format!("{}: {} {}", clock(item.time), item.about, item.text))
        .collect();
    if !changed.is_empty() {
        text.push_str("\nChanged before it was detected:\n\n");
        list(&mut text, changed.into_iter(), "");
    }
    text.push_str("\n## What was done\n\n");
    let ran = records.iter().filter(|record| !record.is_dry()).filter_map(|record| {
        let (id, book, _) = record.opening()?;
        let ending = record.ending().map_or("unfinished", |(ending, _)| ending.words());
        Some(format!("Runbook {book} ({id}): {ending}"))
    });
    list(&mut text, ran, "No runbook was run.");
    text.push_str("\n## What next\n\n");
    let noted = incident.notes(About::Next).map(|(_, text)| text.to_owned());
    let next: Vec<String> = noted.chain(left(records)).collect();
    list(
        &mut text,
        next.into_iter(),
        "*To be written: what keeps it from happening again, who does it, until when. `stoke incident note ID --about next TEXT`.*",
    );
    text
}

fn list(text: &mut String, lines: impl Iterator<Item = String>, none: &str) {
    let before = text.len();
    for line in lines {
        let _ = writeln!(text, "- {}", line.replace(['\n', '\r'], " "));
    }
    if text.len() == before && !none.is_empty() {
        let _ = writeln!(text, "{none}");
    }
}

/// What runbooks left behind.
fn left(records: &[Record]) -> Vec<String> {
    let mut left = Vec::new();
    for record in records.iter().filter(|record| !record.is_dry()) {
        let Some((id, name, _)) = record.opening() else {
            continue;
        };
        match record.ending() {
            None => left.push(format!("Record {id} is unfinished: `stoke runbook resume {id}`")),
            Some((Ending::Unresolved | Ending::Failed | Ending::CannotTell, says)) => {
                left.push(format!("Record {id} did not resolve it: {says}"))
            }
            Some((Ending::Resolved, _)) => {
                let stands = runbook::find(name).and_then(|book| runbook::undo(book, record));
                if let Some((step, ..)) = stands {
                    left.push(format!(
                        "What {step} of {id} changed stands: keep it on purpose, or `stoke runbook undo {id}`"
                    ));
                }
            }
            Some(_) => {}
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::super::Line;
    use super::super::tests::opened;
    use super::*;

    #[test]
    fn what_is_known_is_written_and_the_rest_is_asked_for() {
        let mut incident = opened(None);
        let time: Timestamp = "2026-01-01T00:30:00Z".parse().unwrap();
        let items = [Item {
            time: "2026-01-01T00:04:00Z".parse().unwrap(),
            source: Source::Run,
            about: "application etl".into(),
            text: "FAILED: a | b\nc".into(),
            is_bad: true,
        }];
        let asked = draft(&incident, &items, &[]);
        for part in [
            "1 application failed: etl",
            "| a \\| b c |",
            "time to repair | not yet",
            "--about cause",
            "No runbook was run",
        ] {
            assert!(asked.replace("FAILED: ", "").contains(part), "{part}:\n{asked}");
        }
        incident.lines.push(Line::Noted {
            time,
            who: "ada".into(),
            about: About::Cause,
            text: "the bucket was renamed".into(),
        });
        incident.lines.push(Line::Closed {
            time,
            who: "ada".into(),
            says: "done".into(),
        });
        let written = draft(&incident, &items, &[]);
        assert!(
            written.contains("- the bucket was renamed") && !written.contains("--about cause"),
            "{written}"
        );
        for (what, minutes) in [("detect", 6), ("repair", 20)] {
            let shown = format!("time to {what} | {} |", long(minutes * 60));
            assert!(written.contains(&shown), "{shown}: {written}");
        }
    }
}
