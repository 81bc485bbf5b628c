//! Distributions that values are compared with: Great Expectations' partition objects.

use stoke_model::manifest::{Content, Node, join};

use super::super::{Kind, Literal, Partition};
use super::arguments::Arguments;

/// How far from 1 the sum of shares may be, as numpy's `allclose` has it.
const NEARLY: f64 = 1e-5 + 1e-8;

/// The check of `expect_column_kl_divergence_to_be_less_than`. What the library stumbles over is refused with the reason.
pub(super) fn divergence(arguments: &mut Arguments<'_, '_, '_>) -> Option<Kind> {
    let (node, path) = (arguments.node, arguments.path);
    let threshold = arguments.number("threshold");
    let tails = arguments.number("tail_weight_holdout").unwrap_or(0.0);
    let inner = arguments.number("internal_weight_holdout").unwrap_or(0.0);
    let bucketize = arguments.fields.flag(node, "bucketize_data", path).unwrap_or(true);
    let refused = |reason: &str| Some(Kind::Refused(reason.to_owned()));
    if threshold.is_some_and(|threshold| threshold < 0.0) {
        return refused("`threshold` is not a divergence; write a number of at least 0");
    }
    if ![tails, inner].iter().all(|share| (0.0..=1.0).contains(share)) {
        return refused("a holdout is a share from 0 to 1");
    }
    let Some(object) = node
        .get("partition_object")
        .filter(|object| object.content != Content::Null)
    else {
        return refused("`partition_object` is missing, and a column compared with itself says nothing");
    };
    let path = join(path, "partition_object");
    if !arguments
        .fields
        .keys(object, &path, &["values", "bins", "weights", "tail_weights"])
    {
        return None;
    }
    let weights = numbers(object, "weights");
    let ends = numbers(object, "tail_weights");
    let sums_to_one = |shares: &[f64]| (shares.iter().sum::<f64>() - 1.0).abs() <= NEARLY;
    let Some(weights) = weights.filter(|weights| weights.iter().all(|weight| *weight >= 0.0)) else {
        return refused("`weights` of the partition is a list of shares");
    };
    if object.get("values").is_some() {
        let values = arguments.fields.literals(object, "values", &path)?;
        if values.len() != weights.len() || !sums_to_one(&weights) {
            return refused("the partition needs one weight a value, and they sum to 1");
        }
        if inner > 0.0 {
            return refused("`internal_weight_holdout` is for intervals of numbers");
        }
        if tails > 0.0 && ends.is_some() {
            return refused("`tail_weight_holdout` and `tail_weights` exclude each other");
        }
        let twice = |at: usize| values[..at].iter().any(|earlier| same(earlier, &values[at]));
        if (0..values.len()).any(twice) {
            return refused("a value of the partition stands there twice");
        }
        return Some(Kind::Divergence {
            partition: Partition::Values {
                values,
                weights,
                holdout: tails,
            },
            threshold,
        });
    }
    let Some(bins) = numbers(object, "bins") else {
        return refused("the partition has neither `values` nor `bins`, which are lists");
    };
    let rising = bins.windows(2).all(|pair| pair[0] < pair[1]);
    let mut all = weights.clone();
    all.extend(ends.iter().flatten());
    let fits = bins.len() == weights.len() + 1 && ends.as_ref().is_none_or(|ends| ends.len() == 2);
    if !rising || !fits || !sums_to_one(&all) {
        return refused("the partition needs rising `bins`, one weight between each two, and weights that sum to 1");
    }
    if !bucketize {
        return refused("`bucketize_data` is false, and the partition is one of intervals");
    }
    if tails > 0.0 && ends.is_some() {
        return refused("`tail_weight_holdout` and `tail_weights` exclude each other");
    }
    let mut shares: Vec<f64> = weights.iter().map(|weight| weight * (1.0 - tails - inner)).collect();
    let zeros = shares.iter().filter(|share| **share == 0.0).count();
    if inner > 0.0 && zeros > 0 {
        for share in shares.iter_mut().filter(|share| **share == 0.0) {
            *share = inner / zeros as f64;
        }
    }
    let (below, above) = match ends.as_deref() {
        Some([below, above]) => (*below, *above),
        _ => (tails / 2.0, tails / 2.0),
    };
    shares.insert(0, below);
    shares.push(above);
    Some(Kind::Divergence {
        partition: Partition::Bins { bins, weights: shares },
        threshold,
    })
}

fn numbers(node: &Node, key: &str) -> Option<Vec<f64>> {
    let Content::List(items) = &node.get(key)?.content else {
        return None;
    };
    let number = |item: &Node| Literal::of(item)?.number().filter(|number| number.is_finite());
    items.iter().map(number).collect()
}

/// Equal as Python has it: `1` is `1.0`.
fn same(one: &Literal, other: &Literal) -> bool {
    one == other || matches!((one.number(), other.number()), (Some(one), Some(other)) if one == other)
}
