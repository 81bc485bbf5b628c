//! Which series of two vectors match.

use std::collections::BTreeSet;

use stoke_diagnostics::Severity;

use super::labels::{Labels, Presence};
use super::{Look, Shape};
use crate::promql::{Binary, Group, Matching, Span};

/// Labels of which a pod, a run or a quota has several: vectors that keep one on both sides, and do not match it, have several series for each other.
const DIVIDES: [&str; 13] = [
    "phase",
    "reason",
    "condition",
    "resource",
    "container",
    "le",
    "code",
    "executor_id",
    "quantile",
    "device",
    "interface",
    "status",
    "type",
];

impl Look<'_, '_> {
    /// The labels of a result.
    pub(super) fn joined_labels(&self, binary: &Binary, left: &Shape, right: &Shape) -> Labels {
        if left.scalar {
            return right.labels.clone();
        }
        if right.scalar {
            return left.labels.clone();
        }
        let Some(matching) = &binary.matching else {
            // Both sides have the same labels: what one knows holds of both.
            let mut labels = if left.labels.is_closed() || !right.labels.is_closed() {
                left.labels.clone()
            } else {
                right.labels.clone()
            };
            let other = if left.labels.is_closed() || !right.labels.is_closed() {
                &right.labels
            } else {
                &left.labels
            };
            let names: Vec<String> = other.named().map(str::to_owned).collect();
            for name in names {
                if other.presence(&name) == Presence::Always && labels.presence(&name) == Presence::Perhaps {
                    labels.set(&name, Presence::Always, other.values(&name).cloned());
                }
            }
            return labels;
        };
        let (many, one) = match matching.group {
            Some(Group::Right) => (&right.labels, &left.labels),
            _ => (&left.labels, &right.labels),
        };
        match matching.group {
            Some(_) => {
                let mut labels = many.clone();
                for (label, _) in &matching.include {
                    labels.set(label, one.presence(label), one.values(label).cloned());
                }
                labels
            }
            // One to one: the labels that are matched. A comparison that filters keeps those of `on`, too.
            None if matching.on => many.only(matching.labels.iter().map(|(label, _)| label.as_str()), matching.open),
            None => many.without(matching.labels.iter().map(|(label, _)| label.as_str())),
        }
    }

    /// Whether two vectors have series that match.
    pub(super) fn join(&self, binary: &Binary, left: &Shape, right: &Shape) {
        let span = binary
            .matching
            .as_ref()
            .map_or(binary.op_span, |matching| matching.span);
        let matching = binary.matching.as_ref();
        if let Some(matching) = matching.filter(|matching| matching.on) {
            for (label, span) in &matching.labels {
                let (one, two) = (left.labels.presence(label), right.labels.presence(label));
                if one == Presence::Never && two == Presence::Never {
                    self.complain(
                        Severity::Warning,
                        "metric-never-joins",
                        *span,
                        format!("neither side has the label `{label}`"),
                    );
                } else if one != Presence::Never && two != Presence::Never {
                    self.label_of_selectors(label, *span, &binary.left);
                    self.label_of_selectors(label, *span, &binary.right);
                }
            }
        }
        if let Some(why) = never_joins(matching, &left.labels, &right.labels) {
            self.complain_with(
                Severity::Error,
                "metric-never-joins",
                span,
                format!("no series of the left side matches one of the right: {}", why.reason),
                Some(why.fix),
            );
            return;
        }
        if binary.op.is_set() {
            return;
        }
        self.many(binary, left, right, span);
    }

    /// Several series of one side for one of the other, where that is an error.
    pub(super) fn many(&self, binary: &Binary, left: &Shape, right: &Shape, span: Span) {
        let matching = binary.matching.as_ref();
        let group = matching.and_then(|matching| matching.group);
        // A label that a side always has in several values, and that is not matched, makes several series of it.
        let several = |labels: &Labels| -> Option<String> {
            if matching.is_some_and(|matching| matching.open) {
                return None;
            }
            let divides = |label: &&str| {
                DIVIDES.contains(label)
                    && labels.presence(label) == Presence::Always
                    && labels.values(label).is_none_or(|values| values.len() > 1)
                    && !is_matched(matching, label)
            };
            // Only what was aggregated by these labels is known to have several.
            labels
                .is_closed()
                .then(|| labels.named().find(|label| divides(label)).map(str::to_owned))
                .flatten()
        };
        let (of_left, of_right) = (several(&left.labels), several(&right.labels));
        let (wrong, fix) = match (group, of_left, of_right) {
            (None, Some(label), Some(_)) => (
                Some(label),
                "match the label as well, or aggregate it away on one side".to_owned(),
            ),
            (None, Some(label), None) => (
                Some(label),
                "write group_left after the labels, or aggregate the label away".to_owned(),
            ),
            (None, None, Some(label)) => (
                Some(label),
                "write group_right after the labels, or aggregate the label away".to_owned(),
            ),
            (Some(Group::Left), _, Some(label)) | (Some(Group::Right), Some(label), _) => (
                Some(label),
                "aggregate the label away on the side of the one, or match it".to_owned(),
            ),
            _ => (None, String::new()),
        };
        if let Some(label) = wrong {
            self.complain_with(
                Severity::Error,
                "metric-many-to-many",
                span,
                format!("there are several series that differ in `{label}` for one of the other side: Prometheus refuses to match them"),
                Some(fix),
            );
        }
        if let Some(matching) = matching {
            let one = match group {
                Some(Group::Left) => &right.labels,
                Some(Group::Right) => &left.labels,
                None => return,
            };
            for (label, span) in &matching.include {
                if one.presence(label) == Presence::Never {
                    let side = if group == Some(Group::Left) { "right" } else { "left" };
                    self.complain(
                        Severity::Warning,
                        "metric-label-unknown",
                        *span,
                        format!("the {side} side has no label `{label}` to take"),
                    );
                }
            }
        }
    }
}

/// Why nothing joins.
pub(super) struct Never {
    pub(super) reason: String,
    pub(super) fix: String,
}

fn is_matched(matching: Option<&Matching>, label: &str) -> bool {
    match matching {
        None => true,
        Some(matching) => {
            matching.labels.iter().any(|(named, _)| named == label) == matching.on || (!matching.on && matching.open)
        }
    }
}

/// Whether vectors of these labels have no series that match.
pub(super) fn never_joins(matching: Option<&Matching>, left: &Labels, right: &Labels) -> Option<Never> {
    if matching.is_some_and(|matching| matching.open && !matching.on) {
        return None;
    }
    let mut names: BTreeSet<&str> = left.named().chain(right.named()).collect();
    if let Some(matching) = matching.filter(|matching| matching.on) {
        names.extend(matching.labels.iter().map(|(label, _)| label.as_str()));
    }
    for label in names.into_iter().filter(|label| is_matched(matching, label)) {
        let (one, two) = (left.presence(label), right.presence(label));
        let (has, lacks) = match (one, two) {
            (Presence::Always, Presence::Never) => ("left", "right"),
            (Presence::Never, Presence::Always) => ("right", "left"),
            (Presence::Never, _) | (_, Presence::Never) => continue,
            _ => {
                if let (Some(one), Some(two)) = (left.values(label), right.values(label))
                    && one.is_disjoint(two)
                    && !one.is_empty()
                    && !two.is_empty()
                    && (left.presence(label) == Presence::Always || right.presence(label) == Presence::Always)
                {
                    let show = |values: &BTreeSet<String>| values.iter().cloned().collect::<Vec<_>>().join(", ");
                    return Some(Never {
                        reason: format!("`{label}` is {} there and {} here", show(one), show(two)),
                        fix: format!("leave the label out: `ignoring ({label})`, or `on` of the others"),
                    });
                }
                continue;
            }
        };
        let fix = match matching {
            Some(matching) if matching.on => format!("keep `{label}` on the {lacks} side, or leave it out of `on`"),
            _ => format!("keep `{label}` on the {lacks} side, or write `on (…)` with the labels that both have"),
        };
        return Some(Never {
            reason: format!("the {has} has `{label}`, which the {lacks} does not have"),
            fix,
        });
    }
    let apart = |one: &Labels, two: &Labels| {
        one.is_closed() && two.is_closed() && one.named().next().is_some() && two.named().next().is_some()
    };
    if matching.is_none() && apart(left, right) && !left.named().any(|label| right.named().any(|other| other == label))
    {
        let list = |labels: &Labels| labels.named().collect::<Vec<_>>().join(", ");
        return Some(Never {
            reason: format!(
                "they have no label in common: {} there, {} here",
                list(left),
                list(right)
            ),
            fix: "aggregate both by the same labels".to_owned(),
        });
    }
    // What a metric has by itself and the other does not: see `own_label`.
    own_label(matching, left, right)
}

/// A label that divides a metric by itself (`phase`), which the other side, of another metric, does not have: matching all labels, they never join.
fn own_label(matching: Option<&Matching>, left: &Labels, right: &Labels) -> Option<Never> {
    const OWN: [&str; 9] = [
        "phase",
        "reason",
        "condition",
        "resource",
        "qos_class",
        "created_by_kind",
        "host_ip",
        "mode",
        "le",
    ];
    for (one, two, has, lacks) in [(left, right, "left", "right"), (right, left, "right", "left")] {
        for label in OWN {
            let there = one.presence(label) == Presence::Always;
            let absent = two.presence(label) == Presence::Perhaps
                && !two.named().any(|named| named == label)
                && two.named().any(|named| named == "instance");
            if there && absent && is_matched(matching, label) {
                return Some(Never {
                    reason: format!("the {has} has `{label}`, which the {lacks} does not have"),
                    fix: "write `on (…)` with the labels that both have".to_owned(),
                });
            }
        }
    }
    None
}
