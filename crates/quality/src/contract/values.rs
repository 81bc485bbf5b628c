//! What all formats of contracts take as limits, patterns, ranges and zones.

use stoke_diagnostics::Place;

use super::{Kind, Limit, Literal, MatchRule, Pattern, Range};
use stoke_model::manifest::Fields;

/// The limit of two whole numbers.
pub(super) fn whole_limit(min: Option<i64>, max: Option<i64>) -> Limit {
    Limit::Within {
        min: min.map(|min| min as f64),
        max: max.map(|max| max as f64),
        strict_min: false,
        strict_max: false,
    }
}

/// A check of one pattern; one that cannot be compiled cannot be determined.
pub(super) fn pattern(written: &str) -> Kind {
    match Pattern::new(written) {
        Ok(pattern) => Kind::Matches {
            patterns: vec![pattern],
            rule: MatchRule::All,
        },
        Err(reason) => Kind::Refused(format!("the pattern {written:?} cannot be compiled: {reason}")),
    }
}

/// Complains of a range in which nothing can lie.
pub(super) fn empty_range(range: &Range, place: Place, path: &str, fields: &mut Fields<'_>) {
    let empty = match (&range.min, &range.max) {
        (Some(Literal::Text(min)), Some(Literal::Text(max))) => min > max,
        (Some(min), Some(max)) => matches!((min.number(), max.number()), (Some(min), Some(max)) if min > max),
        _ => false,
    };
    if empty {
        let message = format!("no value is {range}");
        fields.complain("empty-range", place, path, message, "exchange the two ends");
    }
}

/// Complains of a zone that does not exist.
pub(super) fn known_zone(zone: &str, place: Place, path: &str, fields: &mut Fields<'_>) {
    if jiff::tz::TimeZone::get(zone).is_err() {
        let message = format!("there is no time zone {zone:?}");
        fields.complain(
            "unknown-zone",
            place,
            path,
            message,
            "write an IANA name such as UTC or Europe/Berlin",
        );
    }
}
