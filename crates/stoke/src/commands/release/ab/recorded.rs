//! Pairs that were measured elsewhere, judged as those that ran here.

use std::path::Path;

use serde::Serialize;
use stoke_diagnostics::Source;
use stoke_release::ab::{Conclusion, Design, Metric, Standing, conclude, runs, standing};

use super::super::show;
use super::shown;
use crate::failure::{Failure, Outcome};
use crate::terminal::{Format, Terminal};

/// Bytes of a file that are read at most.
const MOST: u64 = 16 << 20;

/// What a file of pairs comes to.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    verdict: Conclusion,
    design: &'a Design,
    metrics: &'a [Standing],
    /// Pairs of the file; those after the verdict were not looked at.
    pairs: usize,
    notes: Vec<String>,
}

pub fn run(file: &Path, design: &Design, terminal: &mut Terminal) -> Outcome<u8> {
    let wrong = |message: String, fix: &str| Failure::input("release-ab-runs", message).fix(fix.to_owned());
    let name = file.display().to_string();
    let metric = match design.metrics.as_slice() {
        [metric] => *metric,
        _ => {
            return Err(wrong(
                "a file of runs is of one metric".to_owned(),
                "name one with --metric, and leave out --prices",
            ));
        }
    };
    let size = std::fs::metadata(file).map(|found| found.len());
    if size.as_ref().is_ok_and(|size| *size > MOST) {
        return Err(wrong(
            format!("{name}: it is larger than 16 MiB"),
            "take fewer pairs; a verdict comes after tens",
        ));
    }
    let text = size.and_then(|_| std::fs::read_to_string(file)).map_err(|error| {
        wrong(
            format!("{name}: {error}"),
            "name a CSV file with the columns `old` and `new`",
        )
    })?;
    let runs = runs::read(&Source::new(&name, &text)).map_err(|complaints| {
        show(&complaints, terminal);
        wrong(
            format!("{name} has lines that are not pairs; nothing was judged"),
            "fix what is shown above",
        )
    })?;
    let ratios: Vec<f64> = runs.pairs.iter().filter_map(|pair| pair.log_ratio()).collect();
    let standings = [standing(metric, &ratios, design)];
    let verdict = conclude(&standings);
    let seen = standings[0].pairs;
    let mut notes = vec![
        "no coin of Stoke ordered these runs: what is said holds if, of equal releases, either could have been the slower one of a pair with an even chance".to_owned(),
    ];
    if seen < ratios.len() {
        notes.push(format!(
            "the verdict stands after pair {seen}; the {} after it were not looked at",
            ratios.len() - seen
        ));
    }
    if !runs.ignored.is_empty() {
        notes.push(format!("columns that say nothing here: {}", runs.ignored.join(", ")));
    }
    if let (None, Some(more)) = (standings[0].found, standings[0].more_pairs) {
        notes.push(format!("some {more} pairs more would decide, as noisy as these"));
    }
    match terminal.format() {
        Format::Json => terminal.json(&Answer {
            verdict,
            design,
            metrics: &standings,
            pairs: ratios.len(),
            notes,
        }),
        Format::Text => {
            terminal.out(shown::headline(verdict, &standings));
            let of = |_: Metric| runs.pairs[..seen].to_vec();
            shown::metrics(&standings, &of, terminal);
            shown::design(design, terminal);
            notes.iter().for_each(|note| terminal.note(format!("note: {note}")));
        }
    }
    Ok(match verdict {
        verdict if verdict.passes() => 0,
        Conclusion::Worse => 1,
        _ => 3,
    })
}
