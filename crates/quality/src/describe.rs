//! Checks in words.

use crate::contract::{
    Accept, Check, Comparison, Kind, Limit, Literal, MatchRule, Metric, Range, Season, SetRule, TypeName, Window,
};

/// What a check wants, in words.
pub fn expected(check: &Check) -> String {
    let wanted = wanted(&check.kind);
    match &check.accept {
        Accept::Mostly(share) if *share < 1.0 => {
            format!("{wanted}, in at least {} % of the rows", round(share * 100.0))
        }
        Accept::Mostly(_) => wanted,
        Accept::Rows(Limit::Is(0.0)) | Accept::Percent(Limit::Is(0.0)) => wanted,
        Accept::Rows(limit) => format!("{wanted}; rows that are otherwise {limit}"),
        Accept::Percent(limit) => format!("{wanted}; percent of rows that are otherwise {limit}"),
    }
}

fn round(number: f64) -> f64 {
    (number * 1e6).round() / 1e6
}

fn wanted(kind: &Kind) -> String {
    match kind {
        Kind::RowCount(limit) => format!("rows {limit}"),
        Kind::ColumnCount(limit) => format!("columns {limit}"),
        Kind::ColumnOrder(names) => format!("the columns {}", names.join(", ")),
        Kind::ColumnSet { names, exact: true } => {
            format!("the columns {}, in any order, and no other", names.join(", "))
        }
        Kind::ColumnSet { names, exact: false } => format!("among others the columns {}", names.join(", ")),
        Kind::ColumnExists(None) => "the column is there".into(),
        Kind::ColumnExists(Some(position)) => format!("the column is there, at position {position} from 0"),
        Kind::ColumnType(names) => format!(
            "type {}",
            names.iter().map(TypeName::as_str).collect::<Vec<_>>().join(" or ")
        ),
        Kind::NotNull => "not null".into(),
        Kind::IsNull => "null".into(),
        Kind::NotMissing(missing) => format!("not null and none of {}", list(missing)),
        Kind::Unique => "unique".into(),
        Kind::Between(range) => range.to_string(),
        Kind::MultipleOf(factor) => format!("a multiple of {factor}"),
        Kind::InSet(values) => format!("one of {}", list(values)),
        Kind::NotInSet(values) => format!("none of {}", list(values)),
        Kind::Matches { patterns, rule } => {
            let patterns: Vec<&str> = patterns.iter().map(crate::contract::Pattern::as_str).collect();
            let patterns = patterns.join(" , ");
            match rule {
                MatchRule::All => format!("matches {patterns}"),
                MatchRule::Any => format!("matches one of {patterns}"),
                MatchRule::None => format!("does not match {patterns}"),
            }
        }
        Kind::Length(limit) => format!("characters {limit}"),
        Kind::Format(format) => format!("format {}", format.name()),
        Kind::Increasing { strictly, descending } => match (strictly, descending) {
            (false, false) => "not falling from row to row".into(),
            (true, false) => "rising from row to row".into(),
            (false, true) => "not rising from row to row".into(),
            (true, true) => "falling from row to row".into(),
        },
        Kind::Compare(comparison) => match comparison {
            Comparison::Equal => "the first equals the second".into(),
            Comparison::Greater => "the first is greater than the second".into(),
            Comparison::GreaterOrEqual => "the first is no less than the second".into(),
        },
        Kind::PairInSet(pairs) => format!("one of {} pairs", pairs.len()),
        Kind::SameWithinRow => "the same in all columns of a row".into(),
        Kind::DifferentWithinRow => "different in all columns of a row".into(),
        Kind::RowSum(total) => format!("columns of a row sum to {total}"),
        Kind::Aggregate { metric, range } => format!("{} {range}", metric.name()),
        Kind::Quantiles { wanted, .. } => {
            let one = |(quantile, range): &(f64, Range)| format!("quantile {quantile} {range}");
            wanted.iter().map(one).collect::<Vec<_>>().join(", ")
        }
        Kind::ZScore {
            threshold,
            double_sided,
        } => deviations(*threshold, *double_sided),
        Kind::NotOutlier {
            quartiles: true,
            multiplier,
        } => {
            format!("no farther than {multiplier} ranges between quartiles from the quartiles")
        }
        Kind::NotOutlier {
            quartiles: false,
            multiplier,
        } => {
            format!("less than {multiplier} standard deviations from the mean")
        }
        Kind::InWindow(window) => match window {
            Window::All => "any value, since there is nothing to measure against".into(),
            Window::Between(low, high) => format!("from {low} to {high}"),
            Window::Around { center, width } => format!("less than {width} from {center}"),
            Window::Score {
                mean,
                stdev,
                threshold,
                double_sided,
            } => format!(
                "{} (mean {mean}, standard deviation {stdev})",
                deviations(*threshold, *double_sided)
            ),
        },
        Kind::Divergence { threshold, .. } => match threshold {
            None => "any divergence from the distribution".into(),
            Some(threshold) => format!("divergence from the distribution <= {threshold}"),
        },
        Kind::DistinctValues { values, rule } => {
            let values = list(values);
            match rule {
                SetRule::Within => format!("all values among {values}"),
                SetRule::Contains => format!("among the values {values}"),
                SetRule::Equals => format!("exactly the values {values}"),
                SetRule::MostCommonIn => format!("the one most frequent value among {values}"),
                SetRule::MostCommonTieIn => format!("a most frequent value among {values}"),
            }
        }
        Kind::Freshness { max_age, zone } => {
            let zone = zone.as_ref().map_or_else(String::new, |zone| format!(", zone {zone}"));
            format!("latest value no older than {max_age} s{zone}")
        }
        Kind::Reference { data, columns } => format!("occurs in {} of {data}", columns.join(", ")),
        Kind::Usual { metric, season, .. } => {
            let season = match season {
                Season::None => "",
                Season::Hour => " at this hour",
                Season::Weekday => " on this day of the week",
            };
            let of = if *metric == Metric::Rows {
                "number of rows"
            } else {
                metric.name()
            };
            format!("the {of} as usual{season}")
        }
        Kind::Distribution { method, threshold, .. } => format!("spread as usual: {method} <= {threshold}"),
        Kind::Sql { query, limit } => {
            let query: Vec<&str> = query.split_whitespace().collect();
            format!("{} gives {limit}", query.join(" "))
        }
        Kind::Refused(_) => "a rule that is not checked here".into(),
    }
}

fn deviations(threshold: f64, double_sided: bool) -> String {
    let side = if double_sided { "from" } else { "above" };
    format!("less than {threshold} standard deviations {side} the mean")
}

/// The first of some values.
fn list(values: &[Literal]) -> String {
    let mut shown: Vec<String> = values.iter().take(8).map(ToString::to_string).collect();
    if values.len() > shown.len() {
        shown.push(format!("{} others", values.len() - shown.len()));
    }
    shown.join(", ")
}
