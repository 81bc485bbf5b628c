//! Keys that no object carries: those that did nothing in the kits, and those that another part of Stoke does.

use stoke_diagnostics::Place;
use stoke_model::manifest::{Node, nearest};

use super::values::Values;
use crate::report::Report;

/// Keys (with everything below them) that look alive in the kits and do nothing there, and why.
const IDLE: [(&str, &str); 20] = [
    (
        "core",
        "templates of the kits read `spark-base.core`; nothing reads `core` at the top",
    ),
    ("mlflow.enabled", "no template of the kits asks for it"),
    ("mlflow", "no template of the kits asks for it"),
    ("sparkOperator", "no template of the kits asks for it"),
    ("features.gpu", "its keys reach no configuration of Spark"),
    ("monitoring.openTelemetry", "no template of the kits asks for it"),
    (
        "connect.dynamicAllocation.executorAllocationRatio",
        "the template writes minimum and maximum only; it belongs into sparkConf",
    ),
    (
        "connect.dynamicAllocation.allocationRatio",
        "the template writes minimum and maximum only; it belongs into sparkConf",
    ),
    (
        "connect.dynamicAllocation.schedulerBacklogTimeout",
        "the template writes minimum and maximum only; it belongs into sparkConf",
    ),
    (
        "connect.dynamicAllocation.backlogTimeout",
        "the template writes minimum and maximum only; it belongs into sparkConf",
    ),
    (
        "connect.dynamicAllocation.sustainedSchedulerBacklogTimeout",
        "the template writes minimum and maximum only; it belongs into sparkConf",
    ),
    (
        "connect.dynamicAllocation.executorIdleTimeout",
        "the template writes minimum and maximum only; it belongs into sparkConf",
    ),
    (
        "environments.*.pdb",
        "the disruption budget is not rendered for an environment",
    ),
    (
        "environments.*.podDisruptionBudget",
        "the disruption budget is not rendered for an environment",
    ),
    (
        "connect.pdb",
        "a server whose sessions are not shared has one pod; a budget would only stop drains",
    ),
    ("dryRun", "Spark has no such option"),
    ("connect.dryRun", "Spark has no such option"),
    ("environments.*.dryRun", "Spark has no such option"),
    ("executor.dryRun", "Spark has no such option"),
    (
        "connect.standalone",
        "it is for a standalone cluster, and the server makes its executors itself",
    ),
];

/// Keys (with everything below them) that are done by something else here, and what.
const ELSEWHERE: [(&str, &str); 27] = [
    (
        "historyServer",
        "`stoke history serve --dir PLACE` is the History Server",
    ),
    (
        "jupyter",
        "`stoke connect NAME -- jupyter lab` opens notebooks on the server; a JupyterLab of its own is deployed beside it",
    ),
    ("rbac.create", "`stoke operator install` makes accounts and roles"),
    ("rbac", "`stoke operator install` makes accounts and roles"),
    ("serviceAccount", "`stoke operator install` makes accounts and roles"),
    (
        "security.createNamespace",
        "make the namespace before: `kubectl create namespace NAME`",
    ),
    (
        "security.podSecurityStandards",
        "label the namespace: pod-security.kubernetes.io/enforce=restricted",
    ),
    (
        "security.pssProfile",
        "label the namespace: pod-security.kubernetes.io/enforce=restricted",
    ),
    (
        "security.networkPolicies",
        "NetworkPolicies are applied beside the server",
    ),
    (
        "monitoring",
        "`stoke observe manifests` writes monitors, alerts and dashboards",
    ),
    (
        "secrets",
        "ExternalSecrets are applied as they are; the server only names the Secret",
    ),
    (
        "ingress",
        "an Ingress is applied beside the server; its service is NAME-server",
    ),
    (
        "environments.*.security",
        "label the namespace: pod-security.kubernetes.io/enforce=restricted",
    ),
    (
        "environments.*.networkPolicies",
        "NetworkPolicies are applied beside the server",
    ),
    (
        "environments.*.monitoring",
        "`stoke observe manifests` writes monitors, alerts and dashboards",
    ),
    (
        "environments.*.secrets",
        "ExternalSecrets are applied as they are; the server only names the Secret",
    ),
    (
        "environments.*.externalSecrets",
        "ExternalSecrets are applied as they are; the server only names the Secret",
    ),
    ("environments.*.namespace", "give it with --namespace"),
    (
        "spark-base.minio",
        "an object store is deployed beside the server; `stoke up` has one",
    ),
    (
        "spark-base.postgresql",
        "the database of a metastore is deployed beside it",
    ),
    (
        "spark-base.enabled",
        "the parts of the base chart are deployed beside the server",
    ),
    (
        "minio",
        "an object store is deployed beside the server; `stoke up` has one",
    ),
    ("postgresql", "the database of a metastore is deployed beside it"),
    ("hiveMetastore", "a metastore is deployed beside the server"),
    (
        "spark-base.core.hiveMetastore",
        "a metastore is deployed beside the server",
    ),
    ("connect.service", "the operator makes the service NAME-server"),
    ("global.imageRegistry", "write the registry into the image"),
];

/// Keys that no platform has, and what does them.
const BESIDE: [(&str, &str); 4] = [
    (
        "monitoring",
        "`stoke observe manifests` writes monitors, alerts and dashboards",
    ),
    ("connect.service", "the operator makes the service NAME-server"),
    (
        "secrets",
        "ExternalSecrets are made for every Secret that a component names",
    ),
    ("connect.imagePullSecrets", "give the account `spark` the pull secret"),
];

/// Says of everything that was not taken why it is not carried.
pub(super) fn rest(values: &Values<'_>, report: &mut Report) {
    for (path, node) in values.rest() {
        if Report::is_empty(node) {
            continue;
        }
        let place = values.place(&path);
        if let Some(why) = found(&IDLE, &path) {
            report.idle(
                place,
                &path,
                format!("`{path}` did nothing in the kit: {why}"),
                "leave it out",
            );
        } else if let Some(instead) = found(&ELSEWHERE, &path) {
            report.changed(
                place,
                &path,
                format!("`{path}` is not part of the server: {instead}"),
                "",
            );
        } else {
            unknown(&path, node, values, report);
        }
    }
}

/// What is said of a value that is not in a platform either.
pub(super) fn left(path: &str, place: Place, values: &Values<'_>, report: &mut Report) {
    let Some(node) = values.look(path) else { return };
    match found(&IDLE, path) {
        Some(why) => report.idle(
            place,
            path,
            format!("`{path}` did nothing in the kit: {why}"),
            "leave it out",
        ),
        None => match found(&BESIDE, path) {
            Some(instead) => report.changed(
                place,
                path,
                format!("`{path}` is not part of the platform: {instead}"),
                "",
            ),
            None => unknown(path, node, values, report),
        },
    }
}

fn unknown(path: &str, node: &Node, values: &Values<'_>, report: &mut Report) {
    let fix = match nearest(path, super::connect::KNOWN.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "leave it out if nothing reads it; what Spark itself reads belongs into `connect.sparkConf`".to_owned(),
    };
    let message = format!(
        "`{path}` ({}) is not a key that kits read, as far as is known here",
        node.type_name()
    );
    report.lost(values.place(path), path, message, &fix);
}

/// What is said of a path; the longest entry counts, a star stands for one name.
fn found<'t>(table: &[(&str, &'t str)], path: &str) -> Option<&'t str> {
    let covers = |pattern: &str| {
        let (mut wanted, mut have) = (pattern.split('.'), path.split('.'));
        loop {
            match (wanted.next(), have.next()) {
                (None, _) => return true,
                (Some("*"), Some(_)) => {}
                (Some(part), Some(key)) if part == key => {}
                _ => return false,
            }
        }
    };
    let fitting = table.iter().filter(|(pattern, _)| covers(pattern));
    fitting.max_by_key(|(pattern, _)| pattern.len()).map(|(_, told)| *told)
}
