//! The message of a failure to a class: few enough for a label, and in the doctor's words where it has one.

/// Classes in the order in which they are looked for, each with texts of which one must be there: what ended a driver comes before what its
/// log said last.
const CLASSES: &[(&str, &[&str])] = &[
    ("quota-exceeded", &["exceeded quota"]),
    ("contract-broken", &["contract"]),
    ("deadline-exceeded", &["deadline"]),
    ("image-pull-failed", &["ImagePull", "ErrImage", "InvalidImageName"]),
    ("unschedulable", &["Unschedulable"]),
    (
        "configuration-invalid",
        &[
            "is not allowed",
            "failed to run spark-submit",
            "cannot be run as it is written",
        ],
    ),
    ("driver-oom-killed", &["OOMKilled"]),
    (
        "driver-evicted",
        &["Evicted", "Preempt", "NodeShutdown", "NodeLost", "DisruptionTarget"],
    ),
    ("driver-pod-deleted", &["driver pod not found"]),
    ("executor-heap-oom", &["ExecutorLostFailure", "SparkOutOfMemoryError"]),
    ("driver-heap-oom", &["java.lang.OutOfMemoryError", "ExitCode: 52"]),
    ("python-memory", &["MemoryError", "Python worker exited unexpectedly"]),
    (
        "metastore-unreachable",
        &["MetaException", "HiveMetaStoreClient", "hive.metastore"],
    ),
    ("s3-slow-down", &["SlowDown", "Slow Down", "503 Service Unavailable"]),
    (
        "s3-access-denied",
        &[
            "AccessDenied",
            "Access Denied",
            "403 Forbidden",
            "InvalidAccessKeyId",
            "AccessControlException",
        ],
    ),
    ("s3-bucket-missing", &["NoSuchBucket"]),
    (
        "service-unreachable",
        &[
            "Connection refused",
            "ConnectException",
            "UnknownHostException",
            "SdkClientException",
        ],
    ),
    ("fetch-failed", &["FetchFailed"]),
    (
        "path-not-found",
        &[
            "PATH_NOT_FOUND",
            "FileNotFoundException",
            "Path does not exist",
            "No such file or directory",
        ],
    ),
    ("class-not-found", &["ClassNotFoundException", "NoClassDefFoundError"]),
    ("python-module-missing", &["ModuleNotFoundError"]),
    ("sql-analysis-error", &["AnalysisException", "ParseException"]),
    ("python-exception", &["Traceback (most recent call last)"]),
    ("jvm-exception", &["Exception in thread", "java.lang."]),
    ("driver-exit-code", &["ExitCode:"]),
];

/// The class of a failure that is told like this.
pub(crate) fn class(message: &str) -> &'static str {
    let told = CLASSES
        .iter()
        .find(|(_, texts)| texts.iter().any(|text| message.contains(text)));
    told.map_or("unknown", |(class, _)| class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_classes() {
        for (message, expected) in [
            (
                "driver container failed with ExitCode: 137, Reason: OOMKilled",
                "driver-oom-killed",
            ),
            (
                "driver container failed with ExitCode: 1, Reason: Error",
                "driver-exit-code",
            ),
            (
                "driver container failed with ExitCode: 1, Reason: Error: Traceback (most recent call last):\n  raise ValueError",
                "python-exception",
            ),
            (
                "failed to run spark-submit: pods \"x\" is forbidden: exceeded quota: team",
                "quota-exceeded",
            ),
            (
                "driver container failed with ExitCode: 1, Reason: Error: … Unable to instantiate org.apache.hadoop.hive.ql.metadata.SessionHiveMetaStoreClient",
                "metastore-unreachable",
            ),
            (
                "the driver did not start: ImagePullBackOff: Back-off pulling image",
                "image-pull-failed",
            ),
            (
                "driver container failed: Evicted: The node was low on resource",
                "driver-evicted",
            ),
            ("something else", "unknown"),
        ] {
            assert_eq!(class(message), expected, "{message}");
        }
    }
}
