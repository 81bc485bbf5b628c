//! Which rows of two sides belong together when they have numbers with a tolerance and nothing else distinguishes them.
//!
//! As many rows as possible get a partner that is near in every number. With one number each the sorted rows are gone through once, which is right since the
//! ends of what is near grow with the number. With several, partners are looked for along chains of rows that could change theirs (Berge, 1957); which rows
//! come into question is read off the sorted values of the number that varies most.

use std::collections::VecDeque;

use super::tolerance::Tolerance;

/// Comparisons that may be made for each row, and in any case: beyond, too many rows are too alike, and only a key helps.
const WORK: u64 = 4_000;
const LEAST_WORK: u64 = 20_000_000;

/// Too many rows are near each other to say which belong together.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooNear;

/// Pairs rows of the left with rows of the right. Each has as many numbers as there are tolerances.
pub(super) fn pair(
    left: &[Vec<f64>],
    right: &[Vec<f64>],
    tolerances: &[Tolerance],
) -> Result<Vec<(usize, usize)>, TooNear> {
    let near = |one: &[f64], other: &[f64]| {
        let mut numbers = one.iter().zip(other).zip(tolerances);
        numbers.all(|((one, other), tolerance)| tolerance.near(*one, *other))
    };
    if let ([one], [other]) = (left, right) {
        return Ok(if near(one, other) { vec![(0, 0)] } else { Vec::new() });
    }
    if tolerances.is_empty() {
        return Ok((0..left.len().min(right.len())).map(|at| (at, at)).collect());
    }
    let main = varied(right, tolerances.len());
    let value = |row: &[f64]| row.get(main).copied().unwrap_or(f64::NAN);
    let order = |rows: &[Vec<f64>]| {
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by(|one, other| {
            let by_main = value(&rows[*one]).total_cmp(&value(&rows[*other]));
            by_main.then_with(|| {
                let pairs = rows[*one].iter().zip(&rows[*other]);
                let first = pairs
                    .map(|(one, other)| one.total_cmp(other))
                    .find(|order| order.is_ne());
                first.unwrap_or(std::cmp::Ordering::Equal)
            })
        });
        order
    };
    let (ours, theirs) = (order(left), order(right));
    let tolerance = tolerances.get(main).copied().unwrap_or_default();
    if tolerances.len() == 1 {
        return Ok(one_number(left, right, &ours, &theirs, tolerance));
    }
    let mut work = LEAST_WORK.max(WORK.saturating_mul(left.len() as u64));
    let mut partner_of_right: Vec<Option<usize>> = vec![None; right.len()];
    let mut partner_of_left: Vec<Option<usize>> = vec![None; left.len()];
    // Where a row's candidates begin and end among the sorted ones of the right.
    let stretch = |row: usize| {
        let own = value(&left[row]);
        let below = |at: &usize| value(&right[*at]) < own && !tolerance.near(value(&right[*at]), own);
        let start = theirs.partition_point(below);
        let within = |at: &usize| value(&right[*at]) <= own || tolerance.near(value(&right[*at]), own);
        (start, theirs.partition_point(within))
    };
    for row in &ours {
        // A search that begins at each row: rows of the right that were reached, and from which of the left.
        let mut reached: std::collections::HashMap<usize, usize> = std::collections::HashMap::new();
        let mut queue = VecDeque::from([*row]);
        let mut free = None;
        'search: while let Some(at) = queue.pop_front() {
            let (start, end) = stretch(at);
            for candidate in &theirs[start..end] {
                work = work.checked_sub(1).ok_or(TooNear)?;
                if reached.contains_key(candidate) || !near(&left[at], &right[*candidate]) {
                    continue;
                }
                reached.insert(*candidate, at);
                match partner_of_right[*candidate] {
                    None => {
                        free = Some(*candidate);
                        break 'search;
                    }
                    Some(other) => queue.push_back(other),
                }
            }
        }
        while let Some(candidate) = free {
            let Some(at) = reached.get(&candidate).copied() else {
                break;
            };
            free = partner_of_left[at].replace(candidate);
            partner_of_right[candidate] = Some(at);
            if at == *row {
                break;
            }
        }
    }
    let pairs = partner_of_left.iter().enumerate();
    Ok(pairs.filter_map(|(row, partner)| Some((row, (*partner)?))).collect())
}

fn one_number(
    left: &[Vec<f64>],
    right: &[Vec<f64>],
    ours: &[usize],
    theirs: &[usize],
    tolerance: Tolerance,
) -> Vec<(usize, usize)> {
    let value = |rows: &[Vec<f64>], at: usize| rows[at].first().copied().unwrap_or(f64::NAN);
    let mut pairs = Vec::new();
    let (mut at, mut other) = (0, 0);
    while at < ours.len() && other < theirs.len() {
        let (one, two) = (value(left, ours[at]), value(right, theirs[other]));
        if tolerance.near(one, two) {
            pairs.push((ours[at], theirs[other]));
            at += 1;
            other += 1;
        } else if one < two {
            at += 1;
        } else {
            other += 1;
        }
    }
    pairs
}

/// The number with the most different values, of the first rows.
fn varied(rows: &[Vec<f64>], numbers: usize) -> usize {
    let different = |number: usize| {
        let mut values: Vec<u64> = rows
            .iter()
            .take(1000)
            .filter_map(|row| Some(row.get(number)?.to_bits()))
            .collect();
        values.sort_unstable();
        values.dedup();
        values.len()
    };
    (0..numbers)
        .max_by_key(|number| (different(*number), std::cmp::Reverse(*number)))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The most pairs there can be, by trying all.
    fn most(left: &[Vec<f64>], right: &[Vec<f64>], tolerances: &[Tolerance], used: u32) -> usize {
        let Some((row, rest)) = left.split_first() else {
            return 0;
        };
        let near = |other: &Vec<f64>| {
            row.iter()
                .zip(other)
                .zip(tolerances)
                .all(|((one, other), tolerance)| tolerance.near(*one, *other))
        };
        let with = (0..right.len())
            .filter(|at| used & (1 << at) == 0 && near(&right[*at]))
            .map(|at| 1 + most(rest, right, tolerances, used | (1 << at)));
        with.max().unwrap_or(0).max(most(rest, right, tolerances, used))
    }

    #[test]
    fn the_nearest_partner_is_not_always_the_right_one() {
        let tolerance: Tolerance = "absolute=1".parse().unwrap();
        let rows = |values: &[f64]| values.iter().map(|value| vec![*value]).collect::<Vec<_>>();
        // 0 could have 0, but then 1 has none.
        assert_eq!(
            pair(&rows(&[0.0, 1.0]), &rows(&[-1.0, 0.0]), &[tolerance])
                .unwrap()
                .len(),
            2
        );
    }

    #[test]
    fn a_crowd_is_refused_rather_than_waited_for() {
        let tolerance: Tolerance = "absolute=1e9".parse().unwrap();
        let left: Vec<Vec<f64>> = (0..20_000)
            .map(|at| vec![f64::from(at), f64::from(at % 2) * 4e9])
            .collect();
        let right: Vec<Vec<f64>> = (0..20_000).map(|at| vec![f64::from(at), 9e9]).collect();
        assert_eq!(pair(&left, &right, &[tolerance, tolerance]), Err(TooNear));
    }

    proptest! {
        #[test]
        fn as_many_as_possible_get_a_partner(
            left in prop::collection::vec(prop::collection::vec(-3_i8..4, 2), 0..6),
            right in prop::collection::vec(prop::collection::vec(-3_i8..4, 2), 0..6),
            numbers in 1_usize..3, relative in any::<bool>())
        {
            let tolerance: Tolerance = if relative { "relative=0.4" } else { "absolute=1" }.parse().unwrap();
            let rows = |rows: &[Vec<i8>]| -> Vec<Vec<f64>> {
                rows.iter().map(|row| row[..numbers].iter().map(|value| f64::from(*value)).collect()).collect()
            };
            let (left, right) = (rows(&left), rows(&right));
            let tolerances = vec![tolerance; numbers];
            let pairs = pair(&left, &right, &tolerances).unwrap();
            prop_assert_eq!(pairs.len(), most(&left, &right, &tolerances, 0));
            let (mut ours, mut theirs): (Vec<usize>, Vec<usize>) = pairs.iter().copied().unzip();
            ours.sort_unstable();
            ours.dedup();
            theirs.sort_unstable();
            theirs.dedup();
            prop_assert_eq!((ours.len(), theirs.len()), (pairs.len(), pairs.len()));
            for (one, other) in pairs {
                prop_assert!(left[one].iter().zip(&right[other]).all(|(one, other)| tolerance.near(*one, *other)));
            }
        }
    }
}
