//! The pass before the pass: checks that measure values against numbers of the same column need those first.

use super::plan::Plan;
use super::scan::{Limits, scan};
use crate::column::Class;
use crate::contract::{Check, Contract, Interpolation, Kind, Metric, Range, Window};
use crate::data::Dataset;

/// The contract with windows in the place of z-scores and outliers; none when it has neither.
pub fn resolved(contract: &Contract, dataset: &Dataset, limits: Limits) -> Option<Contract> {
    let wanted: Vec<(usize, Check)> = contract
        .checks
        .iter()
        .enumerate()
        .filter_map(|(at, check)| Some((at, before(check)?)))
        .collect();
    if wanted.is_empty() {
        return None;
    }
    let prior = Contract {
        checks: wanted.iter().map(|(_, check)| check.clone()).collect(),
        waivers: Vec::new(),
        ..contract.clone()
    };
    let plan = Plan::new(dataset, &prior, &[]);
    let mut states = scan(&plan, limits).states;
    let mut resolved = contract.clone();
    for (own, (at, _)) in wanted.iter().enumerate() {
        let state = &mut states[own];
        let classes = plan.files.iter().find_map(|plans| plans[own].as_ref().ok());
        let class = classes
            .and_then(|plan| plan.classes.first().copied())
            .unwrap_or(Class::Null);
        let reason = plan.reason(own).or(state.reason.take());
        let malformed = state.gathered.malformed;
        let kind = &mut resolved.checks[*at].kind;
        *kind = match (reason, &*kind) {
            (Some(reason), _) => Kind::Refused(reason),
            (None, _) if malformed > 0 => Kind::Refused(super::finish::not_of_class(malformed, class)),
            (
                None,
                Kind::ZScore {
                    threshold,
                    double_sided,
                },
            ) => Kind::InWindow(state.gathered.deviation().map_or(Window::All, |(mean, stdev)| {
                let measurable = stdev > 0.0 && stdev.is_finite();
                let score = Window::Score {
                    mean,
                    stdev,
                    threshold: *threshold,
                    double_sided: *double_sided,
                };
                if measurable { score } else { Window::All }
            })),
            (
                None,
                Kind::NotOutlier {
                    quartiles: true,
                    multiplier,
                },
            ) => {
                let mut quartile = |quantile| state.gathered.quantile(quantile, Interpolation::Linear);
                Kind::InWindow(match (quartile(0.25), quartile(0.75)) {
                    (Some(low), Some(high)) if (high - low).is_finite() => {
                        let width = multiplier * (high - low);
                        Window::Between(low - width, high + width)
                    }
                    _ => Window::All,
                })
            }
            (
                None,
                Kind::NotOutlier {
                    quartiles: false,
                    multiplier,
                },
            ) => Kind::InWindow(match state.gathered.deviation() {
                Some((mean, stdev)) if stdev.is_finite() => Window::Around {
                    center: mean,
                    width: multiplier * stdev,
                },
                _ => Window::All,
            }),
            (None, other) => other.clone(),
        };
    }
    Some(resolved)
}

/// The check that gathers what a check needs first.
fn before(check: &Check) -> Option<Check> {
    let kind = match &check.kind {
        Kind::ZScore { .. } | Kind::NotOutlier { quartiles: false, .. } => Kind::Aggregate {
            metric: Metric::Stdev,
            range: Range::default(),
        },
        Kind::NotOutlier { quartiles: true, .. } => Kind::Quantiles {
            wanted: Vec::new(),
            between: Interpolation::Linear,
        },
        _ => return None,
    };
    Some(Check { kind, ..check.clone() })
}
