//! `parse_strings_as_datetimes` of older suites: texts of the data and of the suite are read as dates and times.

use super::super::{Kind, Literal, Metric, moment};

/// Whether a check compares values, so that it matters what texts are read as. To others the flag says nothing.
pub(super) fn compares(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Between(_)
            | Kind::InSet(_)
            | Kind::NotInSet(_)
            | Kind::DistinctValues { .. }
            | Kind::Increasing { .. }
            | Kind::Compare(_)
            | Kind::Aggregate {
                metric: Metric::Min | Metric::Max,
                ..
            }
    )
}

/// A text as ISO 8601 writes its date; others, and texts that are not read, as they are.
pub(super) fn iso(literal: Literal) -> Literal {
    match &literal {
        Literal::Text(text) => moment(text).map_or(literal, |at| Literal::Text(at.to_string())),
        _ => literal,
    }
}

/// Writes the dates of a check as ISO 8601 has them. With one that is not read, the check cannot be determined.
pub(super) fn read(kind: &mut Kind) {
    let literals: Vec<&mut Literal> = match kind {
        Kind::Between(range)
        | Kind::Aggregate {
            metric: Metric::Min | Metric::Max,
            range,
        } => range.min.iter_mut().chain(range.max.iter_mut()).collect(),
        Kind::InSet(values) | Kind::NotInSet(values) | Kind::DistinctValues { values, .. } => {
            values.iter_mut().collect()
        }
        _ => return,
    };
    let mut strange = None;
    for literal in literals {
        *literal = iso(std::mem::replace(literal, Literal::Null));
        if let Literal::Text(text) = literal
            && moment(text).is_none()
        {
            strange = Some(text.clone());
        }
    }
    if let Some(text) = strange {
        *kind = Kind::Refused(format!(
            "{text:?} is not read as a date here; write for example 2026-01-31T00:00:00"
        ));
    }
}
