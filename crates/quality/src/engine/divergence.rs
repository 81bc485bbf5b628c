//! Relative entropy of what was found to what was expected (Kullback and Leibler), in nats.

use super::keys::Groups;

/// Of shares that need not sum to 1; each list is divided by its sum. It is infinite where something is found that was not expected at all, and not a
/// number where nothing is found.
pub fn divergence(found: &[f64], expected: &[f64]) -> f64 {
    let (all_found, all_expected): (f64, f64) = (found.iter().sum(), expected.iter().sum());
    let pairs = found.iter().zip(expected);
    let terms = pairs.map(|(found, expected)| {
        let (found, expected) = (found / all_found, expected / all_expected);
        if found == 0.0 {
            0.0
        } else if found > 0.0 && expected == 0.0 {
            f64::INFINITY
        } else {
            found * (found / expected).ln()
        }
    });
    terms.sum()
}

/// Of values to intervals: those below the first end, in each interval (without its upper end, but for the last), and above the last end.
pub fn of_bins(values: &[f64], bins: &[f64], expected: &[f64]) -> f64 {
    let mut counts = vec![0.0; expected.len()];
    let last = bins.last().copied().unwrap_or(f64::NAN);
    for value in values {
        let mut at = bins.partition_point(|end| end <= value);
        if *value == last {
            at = bins.len() - 1;
        }
        if let Some(count) = counts.get_mut(at) {
            *count += 1.0;
        }
    }
    divergence(&counts, expected)
}

/// Of counted values, of which those asked for have `weights`, and all others share `holdout`.
pub fn of_groups(groups: &Groups, weights: &[f64], holdout: f64) -> f64 {
    let asked: u64 = groups.asked.iter().sum();
    let known = groups.asked.iter().filter(|count| **count > 0).count() as u64;
    let others = groups.distinct.saturating_sub(known);
    if others == 0 {
        let counts: Vec<f64> = groups.asked.iter().map(|count| *count as f64).collect();
        return divergence(&counts, weights);
    }
    // The others are many, so their terms are put together: the sum of c ln c is known, and each has the same share of the holdout.
    let rows = groups.rows as f64;
    let share = holdout / others as f64;
    let expected_sum: f64 = weights.iter().map(|weight| weight * (1.0 - holdout)).sum::<f64>() + holdout;
    let log = |count: u64| {
        if count > 0 {
            count as f64 * (count as f64).ln()
        } else {
            0.0
        }
    };
    let mut total = 0.0;
    for (count, weight) in groups.asked.iter().zip(weights) {
        let (found, expected) = (*count as f64 / rows, weight * (1.0 - holdout) / expected_sum);
        if *count > 0 {
            total += if expected == 0.0 {
                f64::INFINITY
            } else {
                found * (found / expected).ln()
            };
        }
    }
    if share == 0.0 {
        return f64::INFINITY;
    }
    let rest = (groups.rows - asked) as f64;
    let logs = groups.logs - groups.asked.iter().map(|count| log(*count)).sum::<f64>();
    total + (logs - rest * (rows.ln() + (share / expected_sum).ln())) / rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entropy_is_relative() {
        let near = |one: f64, other: f64| (one - other).abs() < 1e-12;
        assert!(near(divergence(&[5.0, 5.0], &[0.5, 0.5]), 0.0));
        assert!(near(divergence(&[1.0, 0.0], &[0.5, 0.5]), 2.0_f64.ln()));
        assert_eq!(divergence(&[1.0, 1.0], &[1.0, 0.0]), f64::INFINITY);
        assert!(divergence(&[0.0], &[1.0]).is_nan());
        // 0 and 1 in the first, 2 and 3 in the last interval, 4 above.
        assert!(near(
            of_bins(&[0.0, 1.0, 2.0, 3.0, 4.0], &[0.0, 2.0, 3.0], &[0.0, 0.4, 0.4, 0.2]),
            0.0
        ));
    }

    #[test]
    fn values_that_were_not_expected_share_the_holdout() {
        let counts = [6_u64, 3, 2, 1];
        let log = |count: u64| count as f64 * (count as f64).ln();
        let groups = Groups {
            rows: 12,
            distinct: 4,
            asked: vec![6, 3, 0],
            logs: counts.into_iter().map(log).sum(),
            ..Groups::default()
        };
        let expected: Vec<f64> = [0.5, 0.3, 0.2].iter().map(|w| w * 0.9).chain([0.05, 0.05]).collect();
        let by_hand = divergence(&[6.0, 3.0, 0.0, 2.0, 1.0], &expected);
        assert!((of_groups(&groups, &[0.5, 0.3, 0.2], 0.1) - by_hand).abs() < 1e-12);
        assert_eq!(of_groups(&groups, &[0.5, 0.3, 0.2], 0.0), f64::INFINITY);
    }
}
