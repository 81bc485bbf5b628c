//! Object stores of the clouds: how each program is told where one is and who asks.
//!
//! | | S3 | Google | Azure |
//! |---|---|---|---|
//! | Hadoop | `s3a://bucket` | `gs://bucket` | `abfss://container@account.dfs.core.windows.net` |
//! | others | `s3://bucket` | `gs://bucket` | the same |
//! | keys | variables | a file | a variable |
//! | identity | annotation of the service account | the same | the same, and a label of pods |

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::render::{secret_variable, variable};
use crate::spec::SecretKey;
use crate::spec::components::{Azure, Google, ObjectStore};

/// Where the key file of a service account of Google's is mounted.
const GOOGLE_FILES: &str = "/etc/stoke/google";
/// Annotation of service accounts by which Amazon's EKS gives pods a role.
const ROLE: &str = "eks.amazonaws.com/role-arn";
/// The same of Google's GKE.
const GOOGLE_ACCOUNT: &str = "iam.gke.io/gcp-service-account";
/// The same of Azure's AKS, whose webhook also wants a label of pods.
const AZURE_CLIENT: &str = "azure.workload.identity/client-id";
const AZURE_TENANT: &str = "azure.workload.identity/tenant-id";
const AZURE_USE: &str = "azure.workload.identity/use";

/// Whose store it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cloud<'a> {
    /// Amazon's, or a server that speaks its protocol.
    S3,
    Google(&'a Google),
    Azure(&'a Azure),
}

impl ObjectStore {
    /// Whose store it is.
    #[must_use]
    pub fn cloud(&self) -> Cloud<'_> {
        match (&self.google, &self.azure) {
            (Some(google), _) => Cloud::Google(google),
            (None, Some(azure)) => Cloud::Azure(azure),
            (None, None) => Cloud::S3,
        }
    }

    /// A folder, as programs outside of Hadoop name it.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        match self.cloud() {
            Cloud::S3 => format!("s3://{}/{path}", self.bucket),
            Cloud::Google(_) => format!("gs://{}/{path}", self.bucket),
            Cloud::Azure(azure) => format!("abfss://{}@{}/{path}", self.bucket, azure.host()),
        }
    }

    /// A folder, as Hadoop names it.
    #[must_use]
    pub fn hadoop_url(&self, path: &str) -> String {
        match self.cloud() {
            Cloud::S3 => format!("s3a://{}/{path}", self.bucket),
            Cloud::Google(_) | Cloud::Azure(_) => self.url(path),
        }
    }

    /// A folder, as MLflow names it.
    #[must_use]
    pub fn mlflow_url(&self, path: &str) -> String {
        match self.cloud() {
            Cloud::Azure(azure) => format!("wasbs://{}@{}.blob.core.windows.net/{path}", self.bucket, azure.account),
            Cloud::S3 | Cloud::Google(_) => self.url(path),
        }
    }

    /// Variables that say where it is and who asks.
    #[must_use]
    pub fn variables(&self) -> Vec<Value> {
        match self.cloud() {
            Cloud::S3 => self.of_s3(),
            Cloud::Google(google) => {
                let file = google.key.as_ref().map(|key| format!("{GOOGLE_FILES}/{}", key.key));
                let file = file.map(|file| variable("GOOGLE_APPLICATION_CREDENTIALS", file));
                file.into_iter().collect()
            }
            Cloud::Azure(azure) => {
                let key = azure.key.as_ref();
                let key = key.map(|key| secret_variable("AZURE_STORAGE_ACCOUNT_KEY", &key.secret, &key.key));
                key.into_iter().collect()
            }
        }
    }

    fn of_s3(&self) -> Vec<Value> {
        let mut all = Vec::new();
        if let Some(keys) = &self.credentials {
            all.push(secret_variable("AWS_ACCESS_KEY_ID", &keys.secret, &keys.access_key));
            all.push(secret_variable("AWS_SECRET_ACCESS_KEY", &keys.secret, &keys.secret_key));
        }
        if let Some(region) = &self.region {
            all.push(variable("AWS_REGION", region));
        }
        if let Some(endpoint) = &self.endpoint {
            all.push(variable("AWS_ENDPOINT_URL", endpoint));
            if endpoint.starts_with("http://") {
                all.push(variable("AWS_ALLOW_HTTP", "true"));
            }
            if !self.path_style {
                all.push(variable("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "true"));
            }
        }
        all
    }

    /// The Secret with a file that must be mounted, and where.
    #[must_use]
    pub fn mounted(&self) -> Option<(&SecretKey, &'static str)> {
        match self.cloud() {
            Cloud::Google(google) => google.key.as_ref().map(|key| (key, GOOGLE_FILES)),
            Cloud::S3 | Cloud::Azure(_) => None,
        }
    }

    /// Annotations of a service account whose pods ask as someone.
    #[must_use]
    pub fn identity(&self) -> BTreeMap<&'static str, &str> {
        let mut all = BTreeMap::new();
        match self.cloud() {
            Cloud::S3 => all.extend(self.role.as_ref().map(|role| (ROLE, role.as_str()))),
            Cloud::Google(google) => {
                let account = google.service_account.as_ref();
                all.extend(account.map(|account| (GOOGLE_ACCOUNT, account.as_str())));
            }
            Cloud::Azure(azure) => {
                if let Some(identity) = &azure.identity {
                    all.insert(AZURE_CLIENT, identity.client_id.as_str());
                    all.insert(AZURE_TENANT, identity.tenant_id.as_str());
                }
            }
        }
        all
    }

    /// A label that pods must have to ask as someone.
    #[must_use]
    pub fn pod_label(&self) -> Option<(&'static str, &'static str)> {
        match self.cloud() {
            Cloud::Azure(azure) if azure.identity.is_some() => Some((AZURE_USE, "true")),
            _ => None,
        }
    }

    /// Configuration of Hadoop, without `spark.hadoop.`: of this bucket where that is possible.
    #[must_use]
    pub fn hadoop(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        let mut set = |key: String, value: &str| drop(all.insert(key, value.to_owned()));
        match self.cloud() {
            Cloud::S3 => {
                let of_bucket = |key: &str| format!("fs.s3a.bucket.{}.{key}", self.bucket);
                if let Some(endpoint) = &self.endpoint {
                    set(of_bucket("endpoint"), endpoint);
                }
                if let Some(region) = &self.region {
                    set(of_bucket("endpoint.region"), region);
                }
                set(of_bucket("path.style.access"), &self.path_style.to_string());
            }
            Cloud::Google(google) => {
                set(
                    "fs.gs.impl".into(),
                    "com.google.cloud.hadoop.fs.gcs.GoogleHadoopFileSystem",
                );
                set(
                    "fs.AbstractFileSystem.gs.impl".into(),
                    "com.google.cloud.hadoop.fs.gcs.GoogleHadoopFS",
                );
                if let Some(project) = &google.project {
                    set("fs.gs.project.id".into(), project);
                }
                if let Some(key) = &google.key {
                    let file = format!("{GOOGLE_FILES}/{}", key.key);
                    set("fs.gs.auth.service.account.enable".into(), "true");
                    set("fs.gs.auth.service.account.json.keyfile".into(), &file);
                }
            }
            Cloud::Azure(azure) => {
                let of_account = |key: &str| format!("fs.azure.account.{key}.{}", azure.host());
                if azure.key.is_some() {
                    // Hadoop puts the value of the variable in.
                    set(of_account("key"), "${env.AZURE_STORAGE_ACCOUNT_KEY}");
                }
                if let Some(identity) = &azure.identity {
                    set(of_account("auth.type"), "OAuth");
                    set(
                        of_account("oauth.provider.type"),
                        "org.apache.hadoop.fs.azurebfs.oauth2.WorkloadIdentityTokenProvider",
                    );
                    set(of_account("oauth2.msi.tenant"), &identity.tenant_id);
                    set(of_account("oauth2.client.id"), &identity.client_id);
                    // Where the webhook of AKS puts it.
                    set(
                        of_account("oauth2.token.file"),
                        "/var/run/secrets/azure/tokens/azure-identity-token",
                    );
                }
            }
        }
        all
    }

    /// Whether two stores may be asked by one pod: of a cloud it has one login.
    #[must_use]
    pub fn is_asked_like(&self, other: &ObjectStore) -> bool {
        match (self.cloud(), other.cloud()) {
            (Cloud::S3, Cloud::S3) => self.credentials == other.credentials && self.role == other.role,
            (Cloud::Google(one), Cloud::Google(other)) => {
                one.key == other.key && one.service_account == other.service_account
            }
            (Cloud::Azure(one), Cloud::Azure(other)) => {
                one.identity == other.identity
                    && one.key == other.key
                    && (one.key.is_none() || one.account == other.account)
            }
            _ => true,
        }
    }

    /// Ports at which it and the server of identities answer.
    #[must_use]
    pub fn ports(&self) -> Vec<u16> {
        match self.cloud() {
            Cloud::S3 => vec![endpoint_port(self.endpoint.as_deref())],
            // The metadata server of GKE gives tokens.
            Cloud::Google(google) if google.key.is_none() => vec![443, 80, 988],
            Cloud::Google(_) | Cloud::Azure(_) => vec![443],
        }
    }
}

impl Azure {
    /// The host of the account.
    #[must_use]
    pub fn host(&self) -> String {
        format!("{}.dfs.core.windows.net", self.account)
    }
}

/// The port of an address such as `http://minio:9000`.
#[must_use]
pub fn endpoint_port(endpoint: Option<&str>) -> u16 {
    let Some((scheme, rest)) = endpoint.and_then(|endpoint| endpoint.split_once("://")) else {
        return 443;
    };
    let host = rest.split('/').next().unwrap_or_default();
    let given = host.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    given.unwrap_or(if scheme == "http" { 80 } else { 443 })
}

/// The volume of a pod with a Secret's file.
#[must_use]
pub fn volume(key: &SecretKey) -> Value {
    json!({"name": "google", "secret": {"secretName": key.secret}})
}
