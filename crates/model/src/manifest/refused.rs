//! Configuration keys an application may not set, because a field of its spec, or the operator, decides.

/// Why a `sparkConf` pair is refused for an application of a namespace; none when it is allowed.
///
/// The keys are those the published operator's webhook denies, and those that name a file where the operator runs, which no user has; the
/// message has the webhook's wording, `sparkConf key "…" is not allowed`, which other programs look for. When the namespace is not known
/// yet, `spark.kubernetes.namespace` is let pass.
///
/// ```
/// use stoke_model::manifest::refused_spark_conf;
/// let why = refused_spark_conf("spark.kubernetes.container.image", "spark:4.1.4", None).unwrap();
/// assert!(why.starts_with("sparkConf key \"spark.kubernetes.container.image\" is not allowed: "));
/// assert_eq!(refused_spark_conf("spark.ui.port", "4041", None), None);
/// ```
pub fn refused_spark_conf(key: &str, value: &str, namespace: Option<&str>) -> Option<String> {
    let why = match key {
        "spark.master" => "the operator decides where an application runs".to_owned(),
        "spark.kubernetes.driver.master" => "set `driver.kubernetesMaster`".to_owned(),
        "spark.kubernetes.container.image" => "set `image`".to_owned(),
        "spark.kubernetes.driver.container.image" => "set `driver.image`".to_owned(),
        "spark.kubernetes.executor.container.image" => "set `executor.image`".to_owned(),
        "spark.kubernetes.authenticate.driver.serviceAccountName" => "set `driver.serviceAccount`".to_owned(),
        "spark.kubernetes.authenticate.executor.serviceAccountName" => "set `executor.serviceAccount`".to_owned(),
        "spark.kubernetes.namespace" => match namespace {
            Some(namespace) if namespace != value => {
                format!("it must be the application's own namespace, `{namespace}`, not `{value}`")
            }
            _ => return None,
        },
        "spark.submit.deployMode" => "the operator always runs the driver in the cluster".to_owned(),
        "spark.kubernetes.driver.podTemplateFile" => {
            "it would name a file of the operator's machine; set `driver.template`".to_owned()
        }
        "spark.kubernetes.executor.podTemplateFile" => {
            "it would name a file of the operator's machine; set `executor.template`".to_owned()
        }
        "spark.kubernetes.kerberos.krb5.path" => {
            "it would name a file of the operator's machine; set spark.kubernetes.kerberos.krb5.configMapName"
                .to_owned()
        }
        "spark.kerberos.keytab" if !value.starts_with("local:") => {
            "it would name a file of the operator's machine; mount the keytab from a Secret and write local:///path"
                .to_owned()
        }
        _ => {
            let rest = key.strip_prefix("spark.kubernetes.authenticate.")?;
            let rest = ["driver.", "executor.", "submission."]
                .iter()
                .find_map(|role| rest.strip_prefix(role))
                .unwrap_or(rest);
            if !CREDENTIALS.contains(&rest) {
                return None;
            }
            "an application authenticates as its service account; set `driver.serviceAccount`".to_owned()
        }
    };
    Some(format!("sparkConf key \"{key}\" is not allowed: {why}"))
}

/// Ends of the keys below `spark.kubernetes.authenticate[.driver|.executor|.submission].` that would hand credentials to Spark.
const CREDENTIALS: &[&str] = &[
    "oauthToken",
    "oauthTokenFile",
    "caCertFile",
    "clientKeyFile",
    "clientCertFile",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_keys_and_files_of_the_operator_are_refused() {
        let refused = [
            "spark.master",
            "spark.kubernetes.driver.master",
            "spark.kubernetes.container.image",
            "spark.kubernetes.driver.container.image",
            "spark.kubernetes.executor.container.image",
            "spark.kubernetes.authenticate.driver.serviceAccountName",
            "spark.kubernetes.authenticate.executor.serviceAccountName",
            "spark.kubernetes.authenticate.oauthToken",
            "spark.kubernetes.authenticate.oauthTokenFile",
            "spark.kubernetes.authenticate.driver.oauthToken",
            "spark.kubernetes.authenticate.driver.oauthTokenFile",
            "spark.kubernetes.authenticate.executor.oauthToken",
            "spark.kubernetes.authenticate.executor.oauthTokenFile",
            "spark.kubernetes.authenticate.caCertFile",
            "spark.kubernetes.authenticate.submission.oauthToken",
            "spark.kubernetes.driver.podTemplateFile",
            "spark.kubernetes.executor.podTemplateFile",
            "spark.kubernetes.kerberos.krb5.path",
            "spark.kerberos.keytab",
            "spark.submit.deployMode",
        ];
        for key in refused {
            let why = refused_spark_conf(key, "x", None).unwrap_or_default();
            assert!(
                why.contains(&format!("sparkConf key \"{key}\" is not allowed")),
                "{key}: {why}"
            );
        }
        let allowed = [
            "spark.kubernetes.container.image.pullPolicy",
            "spark.kubernetes.authenticate.driver.mounted.oauthTokenFile",
            "spark.kubernetes.namespace",
            "spark.masters",
        ];
        for key in allowed {
            assert_eq!(refused_spark_conf(key, "x", None), None, "{key}");
        }
    }

    #[test]
    fn the_namespace_is_the_applications() {
        assert_eq!(
            refused_spark_conf("spark.kubernetes.namespace", "jobs", Some("jobs")),
            None
        );
        assert!(
            refused_spark_conf("spark.kubernetes.namespace", "other", Some("jobs"))
                .unwrap()
                .contains("`jobs`, not `other`")
        );
    }
}
