//! An A/B, for people.

use stoke_model::units::people;
use stoke_release::ab::{Conclusion, Design, Finding, Metric, Pair, Record, Standing, Values};
use stoke_release::shadow::Compared;

use super::course::Course;
use crate::terminal::{Terminal, table};

/// One pair more: what it took, and what all say so far.
pub fn pair(course: &Course, design: &Design, terminal: &mut Terminal) {
    let Some(pair) = course.pairs.last() else { return };
    let number = course.pairs.len();
    if let Some(why) = &pair.left_out {
        terminal.note(format!("pair {number} does not count: {why}"));
        return;
    }
    for standing in course.standings(design) {
        let Some(values) = pair.values.get(&standing.metric) else {
            continue;
        };
        let change = values.log_ratio().map(f64::exp).map(stoke_release::ab::judge::percent);
        terminal.note(format!(
            "pair {number}: {} old {}, new {} ({}); all pairs {}{}",
            standing.metric.name(),
            amount(standing.metric, values.old),
            amount(standing.metric, values.new),
            change.unwrap_or_default(),
            standing.change(),
            match (standing.found, standing.more_pairs) {
                (Some(_), _) => format!(": {} after {} pairs", standing.words(), standing.pairs),
                (None, Some(more)) => format!(", some {} more", people::counted(more, "pair")),
                (None, None) => String::new(),
            }
        ));
    }
}

/// What a run took, as people read it.
fn amount(metric: Metric, value: f64) -> String {
    match metric {
        Metric::Time => people::duration((value * 1000.0) as u64),
        Metric::CoreSeconds | Metric::Cost => format!("{value:.4}"),
    }
}

/// The verdict in the words of its metrics.
pub fn headline(verdict: Conclusion, standings: &[Standing]) -> String {
    let wanted = match verdict {
        Conclusion::Worse => Finding::More,
        Conclusion::Better => Finding::Less,
        _ => return verdict.words().to_owned(),
    };
    let found = standings.iter().filter(|standing| standing.found == Some(wanted));
    let mut words: Vec<&str> = found.map(Standing::words).collect();
    words.dedup();
    match words.is_empty() {
        true => verdict.words().to_owned(),
        false => words.join(", "),
    }
}

/// A row for each metric.
pub fn metrics(standings: &[Standing], of: &dyn Fn(Metric) -> Vec<Values>, terminal: &mut Terminal) {
    let head = [
        "METRIC",
        "OLD, MEDIAN",
        "NEW, MEDIAN",
        "NEW OVER OLD",
        "VERDICT",
        "PAIRS",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for standing in standings {
        let values = of(standing.metric);
        let median = |side: &dyn Fn(&Values) -> f64| {
            let mut all: Vec<f64> = values.iter().map(side).collect();
            all.sort_by(f64::total_cmp);
            all.get(all.len() / 2)
                .map(|value| amount(standing.metric, *value))
                .unwrap_or_default()
        };
        rows.push(vec![
            standing.metric.name().to_owned(),
            median(&|values| values.old),
            median(&|values| values.new),
            standing.change(),
            standing.words().to_owned(),
            standing.pairs.to_string(),
        ]);
    }
    table(&rows).into_iter().for_each(|line| terminal.out(line));
}

/// What was asked for.
pub fn design(design: &Design, terminal: &mut Terminal) {
    terminal.out(format!(
        "asked for  {} % matter, a wrong verdict in {} % of cases at most",
        rounded(design.effect * 100.0),
        rounded(design.alpha * 100.0)
    ));
}

/// Without the digits that arithmetic leaves behind.
fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

pub fn record(record: &Record, terminal: &mut Terminal) {
    terminal.out(headline(record.verdict, &record.metrics));
    let counting = || record.pairs.iter().filter(|pair| pair.left_out.is_none());
    let of = |metric: Metric| -> Vec<Values> {
        counting()
            .filter_map(|pair: &Pair| pair.values.get(&metric).copied())
            .collect()
    };
    metrics(&record.metrics, &of, terminal);
    design(&record.design, terminal);
    terminal.out(format!(
        "pairs  {} counted, {} left out, in {}; order by seed {}",
        counting().count(),
        record.pairs.len() - counting().count(),
        people::duration(u64::try_from(record.ended.duration_since(record.began).as_millis()).unwrap_or(0)),
        record.design.seed
    ));
    for (at, pair) in record.pairs.iter().enumerate() {
        if let Some(why) = &pair.left_out {
            terminal.out(format!("left out  pair {}: {why}", at + 1));
        }
    }
    for output in &record.outputs {
        let word = match &output.compared {
            Compared::Read {
                equal: true,
                within_tolerance: false,
                ..
            } => "same".to_owned(),
            Compared::Read { equal: true, .. } => "different within the tolerance".to_owned(),
            Compared::Read { lines, .. } => {
                let more = lines.iter().skip(1).map(|line| format!("\n{line}"));
                format!(
                    "different (left is the old release, right the new one){}",
                    more.collect::<String>()
                )
            }
            Compared::Unread { why } => format!("not compared: {why}"),
            Compared::NotCompared => "not compared".to_owned(),
        };
        terminal.out(format!("output  {}  {word}", output.place));
    }
    for note in &record.notes {
        terminal.note(format!("note: {note}"));
    }
}
