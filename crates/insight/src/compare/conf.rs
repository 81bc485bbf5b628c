//! Settings that differ and matter.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::facts::Run;

/// A setting that differs. None: it is not set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// `spark.sql.shuffle.partitions`, `Spark version`, `Java version`.
    pub key: String,
    /// In the first run.
    pub a: Option<String>,
    /// In the second.
    pub b: Option<String>,
}

/// Keys that name a run rather than shape it: ids, names, addresses, times, places of logs and credentials.
const IGNORED: [&str; 21] = [
    "spark.app.id",
    "spark.app.name",
    "spark.app.startTime",
    "spark.app.submitTime",
    "spark.app.initial.jar.urls",
    "spark.app.initial.file.urls",
    "spark.app.initial.archive.urls",
    "spark.driver.host",
    "spark.driver.port",
    "spark.driver.bindAddress",
    "spark.blockManager.port",
    "spark.driver.blockManager.port",
    "spark.repl.class.uri",
    "spark.repl.class.outputDir",
    "spark.kubernetes.driver.pod.name",
    "spark.kubernetes.executor.podNamePrefix",
    "spark.kubernetes.submitInDriver",
    "spark.stoke.traceId",
    "spark.eventLog.dir",
    "spark.yarn.historyServer.address",
    "spark.sql.warehouse.dir",
];

/// Beginnings of such keys.
const IGNORED_PREFIXES: [&str; 6] = [
    "spark.ui.",
    "spark.history.",
    "spark.eventLog.",
    "spark.authenticate.secret",
    "spark.kubernetes.authenticate.",
    "spark.org.apache.hadoop.yarn.",
];

pub(super) fn changes(a: &Run, b: &Run) -> Vec<Change> {
    let jvm = |run: &Run, key: &str| run.jvm.get(key).cloned();
    let versions = [
        (
            "Spark version",
            Some(a.spark_version.clone()),
            Some(b.spark_version.clone()),
        ),
        ("Java version", jvm(a, "Java Version"), jvm(b, "Java Version")),
        ("Scala version", jvm(a, "Scala Version"), jvm(b, "Scala Version")),
    ];
    let mut changes: Vec<Change> = versions
        .into_iter()
        .filter(|(_, a, b)| a != b)
        .map(|(key, a, b)| Change {
            key: key.to_owned(),
            a,
            b,
        })
        .collect();
    let keys: BTreeSet<&String> = a.spark.keys().chain(b.spark.keys()).collect();
    for key in keys.into_iter().filter(|key| matters(key)) {
        let (a, b) = (a.spark.get(key), b.spark.get(key));
        if a != b {
            changes.push(Change {
                key: key.clone(),
                a: a.cloned(),
                b: b.cloned(),
            });
        }
    }
    changes
}

fn matters(key: &str) -> bool {
    !IGNORED.contains(&key)
        && !IGNORED_PREFIXES.iter().any(|prefix| key.starts_with(prefix))
        && !key.contains(".label.")
        && !key.contains(".annotation.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_names_a_run_is_left_out() {
        let run = |pairs: &[(&str, &str)]| Run {
            spark: pairs
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
            ..Run::default()
        };
        let a = run(&[
            ("spark.app.id", "1"),
            ("spark.executor.cores", "2"),
            ("spark.ui.port", "1"),
            ("spark.master", "local[1]"),
        ]);
        let b = run(&[
            ("spark.app.id", "2"),
            ("spark.executor.cores", "4"),
            ("spark.sql.ansi.enabled", "false"),
            ("spark.master", "local[1]"),
        ]);
        let keys: Vec<String> = changes(&a, &b).into_iter().map(|change| change.key).collect();
        assert_eq!(keys, ["spark.executor.cores", "spark.sql.ansi.enabled"]);
    }
}
