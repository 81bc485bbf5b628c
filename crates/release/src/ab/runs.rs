//! Pairs that others measured, as a file of two columns.

use stoke_diagnostics::{Diagnostic, Place, Severity, Source};

use super::Values;

/// Pairs of a file that are read at most.
const MOST: usize = 100_000;
/// Complaints that are made at most.
const COMPLAINTS: usize = 20;

/// What a file says.
#[derive(Clone, Debug, PartialEq)]
pub struct Runs {
    pub pairs: Vec<Values>,
    /// Columns that say nothing of a pair.
    pub ignored: Vec<String>,
}

/// Reads lines of comma-separated values: a head that names `old` and `new`, then a pair in each line, two positive numbers in the same unit.
///
/// # Errors
/// Lines that are not pairs, at their places.
pub fn read(source: &Source) -> Result<Runs, Vec<Diagnostic>> {
    let text = source.text();
    let wrong = |from: usize, until: usize, message: String, fix: &str| {
        let place = Place {
            end: until,
            ..source.place_at(from)
        };
        Diagnostic::at(Severity::Error, "release-ab-runs", source, place, "", message).with_fix(fix.to_owned())
    };
    let mut at = 0;
    let mut lines = text.split_inclusive('\n').filter_map(|line| {
        let from = at;
        at += line.len();
        let line = line.trim_end();
        (!line.trim().is_empty() && !line.trim_start().starts_with('#')).then_some((from, line))
    });
    let Some((from, head)) = lines.next() else {
        return Err(vec![wrong(
            0,
            0,
            "there are no runs in the file".to_owned(),
            "write a head, `old,new`, and a pair in each line: 61.2,63.0",
        )]);
    };
    let names: Vec<&str> = head.split(',').map(plain).collect();
    let mut columns = Vec::new();
    for name in ["old", "new"] {
        let found: Vec<usize> = (0..names.len()).filter(|at| names[*at] == name).collect();
        match found.as_slice() {
            [one] => columns.push(*one),
            found => {
                let times = if found.is_empty() { "no" } else { "more than one" };
                return Err(vec![wrong(
                    from,
                    from + head.len(),
                    format!("the head has {times} column `{name}`"),
                    "name one column `old` and one `new`",
                )]);
            }
        }
    }
    let mut complaints = Vec::new();
    let mut pairs = Vec::new();
    for (from, line) in lines {
        if pairs.len() >= MOST {
            let fix = "take fewer; a verdict comes after tens of pairs";
            complaints.push(wrong(from, from, format!("there are more than {MOST} pairs"), fix));
        }
        if pairs.len() >= MOST || complaints.len() >= COMPLAINTS {
            break;
        }
        let cells: Vec<&str> = line.split(',').collect();
        if cells.len() != names.len() {
            let message = format!("a line of {} values, and the head names {}", cells.len(), names.len());
            let fix = "write a value for each column, with a point before decimals";
            complaints.push(wrong(from, from + line.len(), message, fix));
            continue;
        }
        let before = complaints.len();
        let mut values = [0.0; 2];
        for (value, column) in values.iter_mut().zip(&columns) {
            let cell = plain(cells[*column]);
            match cell.parse::<f64>() {
                Ok(number) if number.is_finite() && number > 0.0 => *value = number,
                _ => {
                    let start = from + cells[..*column].iter().map(|cell| cell.len() + 1).sum::<usize>();
                    complaints.push(wrong(
                        start,
                        start + cells[*column].len(),
                        format!("`{cell}` is not a positive number"),
                        "write what the run took, in one unit: 61.2; where a run failed, leave out both of its pair, and say so",
                    ));
                }
            }
        }
        let [old, new] = values;
        let pair = Values { old, new };
        if complaints.len() == before {
            match pair.log_ratio() {
                Some(_) => pairs.push(pair),
                None => complaints.push(wrong(
                    from,
                    from + line.len(),
                    "these have no ratio".to_owned(),
                    "write both in one unit",
                )),
            }
        }
    }
    if complaints.is_empty() && pairs.is_empty() {
        complaints.push(wrong(
            from,
            from + head.len(),
            "there is no pair after the head".to_owned(),
            "write a pair in each line: 61.2,63.0",
        ));
    }
    if !complaints.is_empty() {
        return Err(complaints);
    }
    let others = (0..names.len()).filter(|at| !columns.contains(at));
    Ok(Runs {
        ignored: others.map(|at| names[at].to_owned()).collect(),
        pairs,
    })
}

/// A cell without blanks and quotes around it.
fn plain(cell: &str) -> &str {
    let cell = cell.trim();
    let inner = cell.strip_prefix('"').and_then(|cell| cell.strip_suffix('"'));
    inner.unwrap_or(cell).trim()
}
