//! A record, for people.

use stoke_insight::compare::Comparison;
use stoke_model::units::people;
use stoke_release::shadow::{Compared, Record, Side};

use crate::terminal::{Terminal, table};

/// Explanations of a difference of time that are shown.
const EXPLANATIONS: usize = 5;

pub fn record(record: &Record, comparison: Option<&Comparison>, terminal: &mut Terminal) {
    terminal.out(record.verdict.words());
    let mut rows = vec![
        [
            "",
            "RELEASE",
            "TIME",
            "CORE-SECONDS",
            "COST",
            "READS",
            "WRITES",
            "REFUSED",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    rows.push(row("old", record.against.short(), &record.old));
    rows.push(row("new", record.release.short(), &record.new));
    table(&rows).into_iter().for_each(|line| terminal.out(line));
    terminal.out(format!(
        "inputs  {} with {} pinned, list {}",
        people::counted(record.inputs.objects, "object"),
        people::bytes(record.inputs.bytes),
        record.inputs.list
    ));
    for (name, side) in [("old", &record.old), ("new", &record.new)] {
        let strays = match side.strays.len() {
            0 => "none elsewhere".to_owned(),
            strays => format!("{strays} ELSEWHERE"),
        };
        let log = if side.log.is_empty() { "not kept" } else { &side.log };
        terminal.out(format!(
            "access log of the {name} release  {} kept apart, {strays}, log {log}",
            people::counted(side.writes, "write")
        ));
    }
    for output in &record.outputs {
        let (old, new) = (
            people::counted(output.old.objects, "object"),
            people::counted(output.new.objects, "object"),
        );
        match &output.compared {
            Compared::Read {
                equal,
                within_tolerance,
                lines,
                old_rows,
                new_rows,
                ..
            } => {
                let word = match (equal, within_tolerance) {
                    (true, false) => "same",
                    (true, true) => "different within the tolerance",
                    (false, _) => "different (left is the old release, right the new one)",
                };
                terminal.out(format!(
                    "output  {}  {word}: {} in {old}, {} in {new}",
                    output.place,
                    people::counted(*old_rows, "row"),
                    people::counted(*new_rows, "row")
                ));
                if !equal || *within_tolerance {
                    lines.iter().skip(1).for_each(|line| terminal.out(line));
                }
            }
            Compared::Unread { why } => terminal.out(format!("output  {}  not compared: {why}", output.place)),
            Compared::NotCompared => terminal.out(format!("output  {}  not compared", output.place)),
        }
    }
    if let Some(found) = comparison {
        for line in found
            .lines()
            .iter()
            .take(1 + 2 + EXPLANATIONS)
            .filter(|line| !line.is_empty())
        {
            terminal.out(format!("time  {line}"));
        }
    }
    for note in &record.notes {
        terminal.note(format!("note: {note}"));
    }
}

fn row(name: &str, release: &str, side: &Side) -> Vec<String> {
    let time = side.milliseconds.and_then(|time| u64::try_from(time).ok());
    let number = |number: Option<i64>| number.map(|number| number.to_string()).unwrap_or_default();
    vec![
        name.to_owned(),
        release.to_owned(),
        match &side.failed {
            Some(_) => "failed".to_owned(),
            None => time.map(people::duration).unwrap_or_default(),
        },
        number(side.core_seconds),
        side.cost.clone().unwrap_or_default(),
        side.reads.to_string(),
        side.writes.to_string(),
        (side.refused_reads.len() + side.refused_writes.len()).to_string(),
    ]
}
