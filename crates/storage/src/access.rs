//! How stores are reached: endpoint, credentials, path style, by the names that the clouds' own programs give them.

use std::fmt;

use crate::{Address, Cloud};

/// Names of what says which store is meant, in Spark's configuration and in the environment.
pub mod keys {
    /// Prefix of Hadoop's keys in Spark's configuration.
    pub const SPARK: &str = "spark.hadoop.";
    /// Address of the store.
    pub const ENDPOINT: &str = "fs.s3a.endpoint";
    /// Region to sign for.
    pub const REGION: &str = "fs.s3a.endpoint.region";
    /// `true`: the bucket is in the path of a request and not in its host.
    pub const PATH_STYLE: &str = "fs.s3a.path.style.access";
    /// `false`: an endpoint without a scheme is reached without TLS.
    pub const TLS: &str = "fs.s3a.connection.ssl.enabled";
    /// Id of the access key.
    pub const ACCESS_KEY: &str = "fs.s3a.access.key";
    pub const SECRET_KEY: &str = "fs.s3a.secret.key";
    /// Token of a session's keys.
    pub const SESSION_TOKEN: &str = "fs.s3a.session.token";

    /// Keys of S3A that say which store is meant. Keys of one bucket (`fs.s3a.bucket.<name>.*`) say it for that bucket only.
    const MEAN_A_STORE: [&str; 8] = [
        ENDPOINT,
        REGION,
        ACCESS_KEY,
        SECRET_KEY,
        SESSION_TOKEN,
        "fs.s3a.aws.credentials.provider",
        "fs.s3a.assumed.role.arn",
        "hadoop.security.credential.provider.path",
    ];

    /// Whether a key of Spark's configuration says which S3 is meant.
    #[must_use]
    pub fn means_a_store(key: &str) -> bool {
        key.strip_prefix(SPARK).is_some_and(|key| MEAN_A_STORE.contains(&key))
    }

    /// Whether a variable of the environment says which S3 is meant.
    #[must_use]
    pub fn variable_means_a_store(variable: &str) -> bool {
        matches!(
            variable,
            "AWS_ACCESS_KEY_ID"
                | "AWS_SECRET_ACCESS_KEY"
                | "AWS_SESSION_TOKEN"
                | "AWS_PROFILE"
                | "AWS_ROLE_ARN"
                | "AWS_WEB_IDENTITY_TOKEN_FILE"
                | "AWS_ENDPOINT_URL"
                | "AWS_ENDPOINT_URL_S3"
        )
    }
}

/// Variables of the clouds: `AWS_…`, `GOOGLE_…`, `AZURE_…`. Others are left out.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Access(Vec<(String, String)>);

/// By its names: values may be credentials.
impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl FromIterator<(String, String)> for Access {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(all: I) -> Self {
        let of_cloud = |name: &str| CLOUDS.iter().any(|cloud| name.starts_with(prefix(*cloud)));
        Self(all.into_iter().filter(|(name, _)| of_cloud(name)).collect())
    }
}

impl Access {
    /// What this process's environment says.
    #[must_use]
    pub fn environment() -> Self {
        let all = std::env::vars_os();
        all.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// An S3 at an endpoint, with a key.
    #[must_use]
    pub fn s3(endpoint: &str, region: &str, access_key_id: &str, secret_access_key: &str) -> Self {
        let mut all = Vec::new();
        let mut put = |name: &str, value: &str| all.push((name.to_owned(), value.to_owned()));
        put("AWS_ACCESS_KEY_ID", access_key_id);
        put("AWS_SECRET_ACCESS_KEY", secret_access_key);
        put("AWS_ENDPOINT_URL", endpoint);
        put("AWS_REGION", region);
        // boto3 and `aws` read this one.
        put("AWS_DEFAULT_REGION", region);
        if endpoint.starts_with("http://") {
            // Rust's `object_store` refuses plain HTTP without it.
            put("AWS_ALLOW_HTTP", "true");
        }
        Self(all)
    }

    /// What Hadoop's keys say of the store at `address`: `get` is asked for keys such as `fs.s3a.endpoint`. A key of the bucket counts before that of all.
    pub fn hadoop(address: Option<&Address>, get: impl Fn(&str) -> Option<String>) -> Self {
        let bucket = address.and_then(Address::bucket);
        let of_s3a = |key: &str| {
            let own = match bucket {
                Some((Cloud::Aws, bucket, _)) => key
                    .strip_prefix("fs.s3a.")
                    .and_then(|rest| get(&format!("fs.s3a.bucket.{bucket}.{rest}"))),
                _ => None,
            };
            own.or_else(|| get(key))
        };
        let is = |key: &str, wanted: &str| of_s3a(key).is_some_and(|value| value.trim().eq_ignore_ascii_case(wanted));
        let without_tls = is(keys::TLS, "false");
        let endpoint = of_s3a(keys::ENDPOINT).map(|endpoint| match (endpoint.contains("://"), without_tls) {
            (true, _) => endpoint,
            (false, true) => format!("http://{endpoint}"),
            (false, false) => format!("https://{endpoint}"),
        });
        let http = endpoint
            .as_ref()
            .is_some_and(|endpoint| endpoint.starts_with("http://"));
        let account = match bucket {
            Some((Cloud::Azure, bucket, _)) => bucket
                .split_once('@')
                .and_then(|(_, host)| get(&format!("fs.azure.account.key.{host}"))),
            _ => None,
        };
        let all = [
            ("AWS_ENDPOINT_URL", endpoint),
            ("AWS_ALLOW_HTTP", http.then(|| "true".to_owned())),
            ("AWS_REGION", of_s3a(keys::REGION)),
            (
                "AWS_VIRTUAL_HOSTED_STYLE_REQUEST",
                is(keys::PATH_STYLE, "true").then(|| "false".to_owned()),
            ),
            ("AWS_ACCESS_KEY_ID", of_s3a(keys::ACCESS_KEY)),
            ("AWS_SECRET_ACCESS_KEY", of_s3a(keys::SECRET_KEY)),
            ("AWS_SESSION_TOKEN", of_s3a(keys::SESSION_TOKEN)),
            ("AZURE_STORAGE_ACCOUNT_KEY", account),
            ("GOOGLE_SERVICE_ACCOUNT", get("fs.gs.auth.service.account.json.keyfile")),
        ];
        let said = all
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Self(said.collect())
    }

    /// This, and what it leaves open as `other` has it. Credentials of a cloud are of one of them, never of both.
    #[must_use]
    pub fn or(mut self, other: Self) -> Self {
        let credentials = |access: &Self, cloud| {
            let mut own = access.of(cloud);
            own.any(|(name, _)| CREDENTIALS.contains(&name))
        };
        let has: Vec<Cloud> = CLOUDS.into_iter().filter(|cloud| credentials(&self, *cloud)).collect();
        for (name, value) in other.0 {
            let own = has.iter().any(|cloud| name.starts_with(prefix(*cloud)));
            let is_taken = own && CREDENTIALS.contains(&name.as_str());
            let is_known = self.0.iter().any(|(known, _)| *known == name);
            if !is_taken && !is_known {
                self.0.push((name, value));
            }
        }
        self
    }

    /// Whether it says anything of this cloud.
    #[must_use]
    pub fn knows(&self, cloud: Cloud) -> bool {
        self.of(cloud).next().is_some()
    }

    /// The variables of one cloud.
    pub fn of(&self, cloud: Cloud) -> impl Iterator<Item = (&str, &str)> {
        self.variables()
            .filter(move |(name, _)| name.starts_with(prefix(cloud)))
    }

    /// All variables: names and values.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Variables that are a credential or part of one.
const CREDENTIALS: [&str; 10] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_CLIENT_SECRET",
    "GOOGLE_SERVICE_ACCOUNT",
    "GOOGLE_APPLICATION_CREDENTIALS",
];

const CLOUDS: [Cloud; 3] = [Cloud::Aws, Cloud::Google, Cloud::Azure];

fn prefix(cloud: Cloud) -> &'static str {
    match cloud {
        Cloud::Aws => "AWS_",
        Cloud::Google => "GOOGLE_",
        Cloud::Azure => "AZURE_",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::collections::BTreeMap;

    fn access(all: &[(&str, &str)]) -> Access {
        all.iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn keys_of_hadoop_are_variables() {
        let conf = BTreeMap::from([
            ("fs.s3a.endpoint", "minio:9000"),
            ("fs.s3a.connection.ssl.enabled", "false"),
            ("fs.s3a.path.style.access", "true"),
            ("fs.s3a.access.key", "k"),
            ("fs.s3a.secret.key", "s"),
            ("fs.s3a.bucket.logs.access.key", "of-logs"),
            ("fs.azure.account.key.acme.dfs.core.windows.net", "a2V5"),
        ]);
        let of = |url: &str| {
            let address = Address::parse(url).unwrap();
            Access::hadoop(Some(&address), |key| conf.get(key).map(|value| (*value).to_owned()))
        };
        let s3 = [
            ("AWS_ENDPOINT_URL", "http://minio:9000"),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "false"),
            ("AWS_ACCESS_KEY_ID", "k"),
            ("AWS_SECRET_ACCESS_KEY", "s"),
        ];
        assert_eq!(of("s3a://lake/x"), access(&s3));
        let mut of_logs = s3;
        of_logs[3].1 = "of-logs";
        assert_eq!(of("s3a://logs/x"), access(&of_logs));
        let azure = of("abfss://logs@acme.dfs.core.windows.net/x");
        assert_eq!(
            azure.of(Cloud::Azure).collect::<Vec<_>>(),
            [("AZURE_STORAGE_ACCOUNT_KEY", "a2V5")]
        );
        assert_eq!(Access::hadoop(None, |_| None), Access::default());
    }

    #[test]
    fn credentials_come_from_one_side() {
        let environment = access(&[
            ("AWS_ACCESS_KEY_ID", "mine"),
            ("AWS_SECRET_ACCESS_KEY", "mine"),
            ("PATH", "/bin"),
        ]);
        let keys = access(&[
            ("AWS_SESSION_TOKEN", "theirs"),
            ("AWS_ENDPOINT_URL", "http://minio:9000"),
            ("AZURE_STORAGE_ACCOUNT_KEY", "a2V5"),
        ]);
        let both = environment.clone().or(keys.clone());
        assert_eq!(
            both,
            access(&[
                ("AWS_ACCESS_KEY_ID", "mine"),
                ("AWS_SECRET_ACCESS_KEY", "mine"),
                ("AWS_ENDPOINT_URL", "http://minio:9000"),
                ("AZURE_STORAGE_ACCOUNT_KEY", "a2V5"),
            ])
        );
        let all = access(&[
            ("AWS_ACCESS_KEY_ID", "k"),
            ("AWS_SECRET_ACCESS_KEY", "s"),
            ("AWS_SESSION_TOKEN", "t"),
        ]);
        assert_eq!(Access::default().or(all.clone()), all);
        assert!(both.knows(Cloud::Azure) && !both.knows(Cloud::Google) && !environment.knows(Cloud::Azure));
    }

    #[test]
    fn nothing_shows_credentials() {
        let shown = format!(
            "{:?}",
            Access::s3("http://127.0.0.1:9000", "us-east-1", "access", "very-secret")
        );
        assert!(
            !shown.contains("very-secret") && shown.contains("AWS_ENDPOINT_URL"),
            "{shown}"
        );
    }
}
