//! Names other programs depend on: objects, labels, ports, and the rules names obey.
//!
//! These are the published operator's; Airflow, Argo CD, Kueue, dashboards and network policies look for them.

use std::collections::BTreeMap;

use md5::{Digest, Md5};

use crate::crd::SparkApplicationSpec;

/// An id in the shape of a UUID out of at least 32 hexadecimal digits, such as those of a digest (RFC 9562, version 8: the bits are ours).
/// `variant` is one of `8`, `9`, `a` and `b`. Equal digits give equal ids.
#[must_use]
pub fn uuid(hex: &str, variant: char) -> String {
    format!(
        "{}-{}-8{}-{variant}{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[13..16],
        &hex[17..20],
        &hex[20..32]
    )
}

/// API group of the custom resources.
pub const GROUP: &str = "sparkoperator.k8s.io";

/// Label: name of the SparkApplication.
pub const LABEL_APP_NAME: &str = "sparkoperator.k8s.io/app-name";
/// Label: `true` on pods launched by the operator.
pub const LABEL_LAUNCHED_BY: &str = "sparkoperator.k8s.io/launched-by-spark-operator";
/// Label: `true` on further objects created by the operator.
pub const LABEL_CREATED_BY: &str = "sparkoperator.k8s.io/created-by-spark-operator";
pub const LABEL_SUBMISSION_ID: &str = "sparkoperator.k8s.io/submission-id";
/// Label: name of the ScheduledSparkApplication a run belongs to.
pub const LABEL_SCHEDULED_APP_NAME: &str = "sparkoperator.k8s.io/scheduled-app-name";
/// Label: name of the SparkConnect.
pub const LABEL_CONNECT_NAME: &str = "sparkoperator.k8s.io/connect-name";
/// Label of pods that Stoke's operator makes: the trace id of their run, as in a W3C trace context.
pub const LABEL_TRACE_ID: &str = "stoke.dev/trace-id";
/// Spark's label: `driver` or `executor`.
pub const LABEL_SPARK_ROLE: &str = "spark-role";
/// Spark's label: the Spark application id.
pub const LABEL_SPARK_APP_SELECTOR: &str = "spark-app-selector";
/// Spark's label: the executor's id.
pub const LABEL_SPARK_EXEC_ID: &str = "spark-exec-id";
/// Spark's label: `true` on executors that ended and whose pods it leaves.
pub const LABEL_SPARK_EXEC_INACTIVE: &str = "spark-exec-inactive";
/// Spark's label: the application name, made fit for a label.
pub const LABEL_SPARK_APP_NAME: &str = "spark-app-name";
/// Spark's label: the Spark version.
pub const LABEL_SPARK_VERSION: &str = "spark-version";
/// Value of [`LABEL_SPARK_ROLE`] on drivers.
pub const ROLE_DRIVER: &str = "driver";
/// Value of [`LABEL_SPARK_ROLE`] on executors.
pub const ROLE_EXECUTOR: &str = "executor";
/// Value of [`LABEL_SPARK_ROLE`] on Spark Connect servers.
pub const ROLE_CONNECT_SERVER: &str = "connect-server";

/// Container that runs the driver.
pub const DRIVER_CONTAINER: &str = "spark-kubernetes-driver";
/// Container that runs an executor.
pub const EXECUTOR_CONTAINER: &str = "spark-kubernetes-executor";
/// Name of the port of the Spark UI service.
pub const UI_PORT_NAME: &str = "spark-driver-ui-port";
/// Port of the Spark UI unless `spark.ui.port` says otherwise.
pub const UI_PORT: u16 = 4040;
/// Name of the port of a Spark Connect server's service.
pub const CONNECT_PORT_NAME: &str = "spark-connect-server";
/// Name of the same port in the server's container, where Kubernetes allows 15 characters.
pub const CONNECT_CONTAINER_PORT_NAME: &str = "spark-connect";
/// Port of a Spark Connect server.
pub const CONNECT_PORT: u16 = 15002;
/// Service account of drivers when the application names none.
pub const DEFAULT_SERVICE_ACCOUNT: &str = "spark-operator-spark";
/// Lease the operator's leader holds.
pub const LEADER_LEASE: &str = "spark-operator-controller-lock";
/// Name of the mutating and of the validating webhook configuration.
pub const WEBHOOK_CONFIGURATION: &str = "spark-operator-webhook";
/// Volumes with this prefix become Spark's local directories.
pub const LOCAL_DIR_VOLUME_PREFIX: &str = "spark-local-dir-";
/// Reason of a SparkConnect's condition whose server was stopped because no one used it.
pub const REASON_IDLE: &str = "Idle";

/// Longest DNS label, and longest label value.
pub const LABEL_LIMIT: usize = 63;
/// Longest DNS subdomain, the limit of pod names.
pub const SUBDOMAIN_LIMIT: usize = 253;

/// Name of an application's driver pod: `driver.podName`, else `spark.kubernetes.driver.pod.name`, else `<application>-driver`.
pub fn driver_pod(app: &str, spec: &SparkApplicationSpec) -> String {
    let given = spec
        .driver
        .as_ref()
        .and_then(|driver| driver.pod_name.as_deref())
        .filter(|name| !name.is_empty());
    let conf = || {
        spec.spark_conf
            .as_ref()
            .and_then(|conf| conf.get("spark.kubernetes.driver.pod.name"))
    };
    match given.or_else(|| conf().map(String::as_str).filter(|name| !name.is_empty())) {
        Some(name) => name.to_owned(),
        None => format!("{app}-driver"),
    }
}

/// Name of the service of an application's Spark UI: `<application>-ui-svc`, shortened to a DNS label.
pub fn ui_service(app: &str) -> String {
    short_name(app, "ui-svc")
}

/// Name of the ingress of an application's Spark UI: `<application>-ui-ingress`, shortened to a DNS label.
pub fn ui_ingress(app: &str) -> String {
    short_name(app, "ui-ingress")
}

/// Name of a SparkConnect's server pod and service.
pub fn connect_server(connect: &str) -> String {
    format!("{connect}-server")
}

/// Name of the ConfigMap with an application's Prometheus exporter configuration.
pub fn prometheus_config_map(app: &str) -> String {
    format!("{app}-prom-conf")
}

/// `<name>-<suffix>`; when that is over 63 characters, the name cut, 8 hex digits of the md5 of the long form, and the suffix.
///
/// This is the published operator's rule, so that the same object is found by both.
pub fn short_name(name: &str, suffix: &str) -> String {
    let full = format!("{name}-{suffix}");
    if full.len() <= LABEL_LIMIT {
        return full;
    }
    let mut keep = LABEL_LIMIT.saturating_sub(suffix.len() + 10).min(name.len());
    while !name.is_char_boundary(keep) {
        keep -= 1;
    }
    let hash: String = Md5::digest(full.as_bytes())
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{}-{hash}-{suffix}", &name[..keep])
}

/// The labels every object of an application carries: its name and, once submitted, the submission's id.
pub fn app_labels(app: &str, submission_id: Option<&str>) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::from([(LABEL_APP_NAME.to_owned(), app.to_owned())]);
    if let Some(id) = submission_id {
        labels.insert(LABEL_SUBMISSION_ID.to_owned(), id.to_owned());
    }
    labels
}

/// Why a name is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The name is empty.
    #[error("the name is empty")]
    Empty,
    /// The name is too long.
    #[error("the name has {length} characters; at most {limit} are allowed")]
    TooLong {
        /// Characters it has.
        length: usize,
        /// Characters it may have.
        limit: usize,
    },
    /// A character is not allowed where it stands.
    #[error("`{character}` is not allowed at position {position}: {rule}")]
    Character {
        character: char,
        /// Where, counted from 1.
        position: usize,
        /// What is allowed.
        rule: &'static str,
    },
}

impl NameError {
    /// A stable code.
    pub fn code(&self) -> &'static str {
        "bad-name"
    }
}

const RULE_1035: &str =
    "use lower-case letters, digits and `-`, beginning with a letter and ending with a letter or digit";
const RULE_1123: &str = "use lower-case letters, digits and `-`, beginning and ending with a letter or digit";
const RULE_SUBDOMAIN: &str =
    "use lower-case letters, digits, `-` and `.`; each part begins and ends with a letter or digit";

/// A DNS-1035 label: services, and the names of applications.
///
/// # Errors
/// What is wrong, with the position.
pub fn check_dns_1035(name: &str) -> Result<(), NameError> {
    check_label(name, RULE_1035, |c| c.is_ascii_lowercase())
}

/// A DNS-1123 label: namespaces, containers, volumes.
///
/// # Errors
/// What is wrong, with the position.
pub fn check_dns_1123(name: &str) -> Result<(), NameError> {
    check_label(name, RULE_1123, |c| c.is_ascii_lowercase() || c.is_ascii_digit())
}

/// A DNS-1123 subdomain: pods and most objects.
///
/// # Errors
/// What is wrong, with the position.
pub fn check_subdomain(name: &str) -> Result<(), NameError> {
    check_length(name, SUBDOMAIN_LIMIT)?;
    let mut position = 0;
    for part in name.split('.') {
        if part.is_empty() {
            return Err(NameError::Character {
                character: '.',
                position: (position + 1).min(name.len()),
                rule: RULE_SUBDOMAIN,
            });
        }
        check_characters(part, position, RULE_SUBDOMAIN, |c| {
            c.is_ascii_lowercase() || c.is_ascii_digit()
        })?;
        position += part.chars().count() + 1;
    }
    Ok(())
}

/// The nearest valid DNS-1035 label of at most `limit` characters, for suggestions; none when nothing is left.
pub fn suggest_dns_1035(name: &str, limit: usize) -> Option<String> {
    let mapped: String = name
        .to_lowercase()
        .chars()
        .map(|c| {
            if c.is_ascii_lowercase() || c.is_ascii_digit() {
                c
            } else {
                '-'
            }
        })
        .collect();
    let begun = mapped.trim_start_matches(|c: char| !c.is_ascii_lowercase());
    let cut: String = begun.chars().take(limit).collect();
    let ended = cut.trim_end_matches('-');
    (!ended.is_empty()).then(|| ended.to_owned())
}

fn check_label(name: &str, rule: &'static str, first: fn(char) -> bool) -> Result<(), NameError> {
    check_length(name, LABEL_LIMIT)?;
    check_characters(name, 0, rule, first)
}

fn check_length(name: &str, limit: usize) -> Result<(), NameError> {
    let length = name.chars().count();
    match length {
        0 => Err(NameError::Empty),
        _ if length > limit => Err(NameError::TooLong { length, limit }),
        _ => Ok(()),
    }
}

fn check_characters(part: &str, offset: usize, rule: &'static str, first: fn(char) -> bool) -> Result<(), NameError> {
    let last = part.chars().count().saturating_sub(1);
    for (index, character) in part.chars().enumerate() {
        let inner = character.is_ascii_lowercase() || character.is_ascii_digit();
        let allowed = match index {
            0 => first(character),
            _ if index == last => inner,
            _ => inner || character == '-',
        };
        if !allowed {
            return Err(NameError::Character {
                character,
                position: offset + index + 1,
                rule,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::crd::DriverSpec;

    #[test]
    fn driver_pod_name_is_the_first_given() {
        let mut spec = SparkApplicationSpec::default();
        assert_eq!(driver_pod("pi", &spec), "pi-driver");
        spec.spark_conf = Some(BTreeMap::from([(
            "spark.kubernetes.driver.pod.name".to_owned(),
            "by-conf".to_owned(),
        )]));
        assert_eq!(driver_pod("pi", &spec), "by-conf");
        spec.driver = Some(DriverSpec {
            pod_name: Some("by-field".to_owned()),
            ..DriverSpec::default()
        });
        assert_eq!(driver_pod("pi", &spec), "by-field");
    }

    #[test]
    fn short_names_stay_and_long_ones_are_hashed() {
        assert_eq!(ui_service("pi"), "pi-ui-svc");
        let app = "a".repeat(52);
        assert_eq!(ui_ingress(&app), format!("{app}-ui-ingress"));
        let app = "a".repeat(53);
        // printf '%053d-ui-ingress' 0 | tr 0 a | md5sum
        assert_eq!(ui_ingress(&app), format!("{}-a21ca440-ui-ingress", "a".repeat(43)));
        assert_ne!(ui_ingress(&format!("{app}b")), ui_ingress(&format!("{app}c")));
    }

    #[test]
    fn name_rules() {
        for good in ["a", "pi", "spark-pi-3", "a1"] {
            assert_eq!(check_dns_1035(good), Ok(()), "{good}");
        }
        assert_eq!(check_dns_1123("3pi"), Ok(()));
        assert_eq!(check_subdomain("spark.pi-3.x"), Ok(()));
        let table = [
            ("Pi", 'P', 1),
            ("3pi", '3', 1),
            ("pi-", '-', 3),
            ("my_app", '_', 3),
            ("pi.x", '.', 3),
            ("p i", ' ', 2),
        ];
        for (name, wrong, at) in table {
            match check_dns_1035(name) {
                Err(NameError::Character {
                    character, position, ..
                }) => assert_eq!((character, position), (wrong, at), "{name}"),
                other => panic!("{name}: {other:?}"),
            }
        }
        assert_eq!(check_dns_1035(""), Err(NameError::Empty));
        assert_eq!(
            check_dns_1035(&"a".repeat(64)),
            Err(NameError::TooLong { length: 64, limit: 63 })
        );
        assert!(check_subdomain("a..b").is_err());
    }

    proptest! {
        #[test]
        fn suggestions_are_valid(name in "\\PC{0,80}") {
            if let Some(suggestion) = suggest_dns_1035(&name, LABEL_LIMIT) {
                prop_assert_eq!(check_dns_1035(&suggestion), Ok(()));
            }
            let _ = check_subdomain(&name);
        }

        #[test]
        fn short_names_fit(name in "[a-z][-a-z0-9]{0,200}") {
            prop_assert!(ui_service(&name).len() <= LABEL_LIMIT && ui_ingress(&name).len() <= LABEL_LIMIT);
        }
    }
}
