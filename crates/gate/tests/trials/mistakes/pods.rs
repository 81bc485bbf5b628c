//! Mistakes that only the pods show.

use stoke_gate::Gate;

use super::{APP, JVM, Mistake, Row, SCHEDULE, rows};

const RANGE: (&str, &str) = (
    "range.yaml",
    "apiVersion: v1\nkind: LimitRange\nmetadata: {name: small, namespace: sales}\nspec:\n  limits:\n  - type: Container\n    min: {memory: 1Gi}\n    max: {memory: 4Gi, cpu: \"4\"}\n",
);
const QUOTA: (&str, &str) = (
    "quota.yaml",
    "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: team, namespace: sales}\nspec:\n  hard: {requests.cpu: \"6\", limits.memory: 12Gi, pods: \"5\"}\n",
);

const IN_RANGE: &[Row] = &[
    ("    memory: 2g", "    memory: 6g", "above-limit-range", ""),
    ("    cores: 2", "    cores: 5", "above-limit-range", ""),
];
const IN_QUOTA: &[Row] = &[
    ("    cores: 2", "    cores: 8", "above-quota", ""),
    (
        "    instances: 2",
        "    instances: 40",
        "quota-too-small",
        "instances: 40",
    ),
];
const IN_SCHEDULE: &[Row] = &[
    (
        "  schedule: \"0 3 * * *\"",
        "  schedule: every night",
        "bad-schedule",
        "",
    ),
    (
        "  schedule: \"0 3 * * *\"",
        "  schedule: \"61 3 * * *\"",
        "bad-schedule",
        "",
    ),
    (
        "  schedule: \"0 3 * * *\"",
        "  schedule: \"0 3 * *\"",
        "bad-schedule",
        "",
    ),
];
const IN_APP: &[Row] = &[(
    "  sparkConf:\n",
    "  sparkConf:\n    spark.kubernetes.memoryOverheadFactor: \"-1\"\n",
    "InvalidValue",
    "spec:",
)];

/// All of them.
pub fn all() -> Vec<Mistake> {
    let mut all = rows(Gate::Pods, SCHEDULE, IN_SCHEDULE);
    let mut beside = |beside: &'static [(&'static str, &'static str)], rows: Vec<Mistake>| {
        all.extend(rows.into_iter().map(|mistake| Mistake { beside, ..mistake }));
    };
    beside(&[RANGE], rows(Gate::Pods, APP, IN_RANGE));
    beside(&[QUOTA], rows(Gate::Pods, APP, IN_QUOTA));
    let _ = (JVM, IN_APP);
    all
}
