//! Where Secrets come from. Stores have the form that the External Secrets Operator gives them; values are never in the file.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The place of Secrets that someone makes: by hand, or `stoke platform up`.
pub const MADE: &str = "made";

/// Where Secrets come from that components and applications name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Secrets {
    /// One of `stores`, out of which every Secret is made that is named; `made`, or nothing: by hand, or by `stoke platform up`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// How often values are read again, `1h`; `0s`: once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh: Option<String>,
    /// What stands before the name of a Secret in the store, `team/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// What starts pods again when a Secret changes that they read once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<Restart>,
    /// Secrets whose place in the store is another, and those that only applications name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub named: BTreeMap<String, Named>,
    /// Files beside this one with SealedSecrets, or with Secrets encrypted by SOPS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<Vec<String>>,
    /// Secret in the namespace of Flux with the keys that SOPS files are decrypted with; without it the identity of its controller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decryption: Option<String>,
    /// Stores of the External Secrets Operator, by name; each is one provider.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub stores: BTreeMap<String, SecretStore>,
}

/// What starts pods again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Restart {
    /// Someone: `kubectl rollout restart`.
    Hand,
    /// Stakater's Reloader, by an annotation that names the Secrets.
    Reloader,
}

/// A Secret in a store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Named {
    /// Another of `stores`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
    /// Its name in the store, without the prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Keys of the Secret, each with the property that it is there; those that components name and that are not here have the same name. A Secret that only applications name has all properties where none is here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub keys: BTreeMap<String, String>,
}

/// A store: one provider.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretStore {
    /// A store that is in the cluster already; nothing is made here then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub existing: Option<Existing>,
    /// HashiCorp Vault or OpenBao, its engine of keys and values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault: Option<Vault>,
    /// AWS Secrets Manager, or the Parameter Store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<Aws>,
    /// Google Cloud's Secret Manager.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gcpsm: Option<Gcpsm>,
    /// Azure Key Vault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub azurekv: Option<Azurekv>,
    /// Secrets of another namespace or cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<Kubernetes>,
}

/// A store that is in the cluster already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Existing {
    /// Its kind.
    #[serde(default)]
    pub kind: StoreKind,
    /// Its name.
    pub name: String,
}

/// Kinds of stores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum StoreKind {
    /// In the namespace of the platform.
    #[default]
    SecretStore,
    /// Of the whole cluster.
    ClusterSecretStore,
}

/// A key of a Secret in the namespace of the platform, by which the operator of the store is let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Selector {
    /// Name of the Secret.
    pub name: String,
    /// The key in it.
    pub key: String,
}

/// A service account of the namespace of the platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// Name of the service account.
    pub name: String,
}

/// Certificates that the server of a store is checked by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CaProvider {
    /// What holds them.
    #[serde(rename = "type")]
    pub kind: CaKind,
    /// Its name.
    pub name: String,
    /// The key in it.
    pub key: String,
}

/// What holds certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CaKind {
    Secret,
    ConfigMap,
}

/// HashiCorp Vault or OpenBao.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Vault {
    /// Address of the server, `https://vault.example.com:8200`.
    pub server: String,
    /// Where the engine is mounted, `secret`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Version of the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<EngineVersion>,
    /// Vault's own namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Certificates that the server is checked by, where no public authority signed its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_provider: Option<CaProvider>,
    /// How it is logged in: one of the ways.
    pub auth: VaultAuth,
}

/// Versions of Vault's engine of keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EngineVersion {
    V1,
    V2,
}

/// How Vault is logged in to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VaultAuth {
    /// By the token of a service account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<VaultKubernetes>,
    /// By a role and its secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_role: Option<AppRole>,
    /// By a token of Vault in a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_secret_ref: Option<Selector>,
}

/// Vault's login by a service account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VaultKubernetes {
    /// Where that way is mounted.
    #[serde(default = "kubernetes")]
    pub mount_path: String,
    /// The role of Vault.
    pub role: String,
    /// The service account; without it that of the operator of the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_ref: Option<Account>,
}

fn kubernetes() -> String {
    "kubernetes".into()
}

/// Vault's login by a role and its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppRole {
    /// Where that way is mounted.
    #[serde(default = "approle")]
    pub path: String,
    /// The id of the role.
    pub role_id: String,
    /// The secret of the role.
    pub secret_ref: Selector,
}

fn approle() -> String {
    "approle".into()
}

/// AWS Secrets Manager, or the Parameter Store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Aws {
    /// Which of the two.
    pub service: AwsService,
    /// Its region.
    pub region: String,
    /// Role of IAM that is taken on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// How it is logged in; without it as the operator of the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<AwsAuth>,
}

/// Services of AWS that keep secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AwsService {
    SecretsManager,
    ParameterStore,
}

/// How AWS is logged in to: one of the two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AwsAuth {
    /// By a service account with a role (IRSA).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwt: Option<AwsJwt>,
    /// By keys in a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<AwsKeys>,
}

/// AWS' login by a service account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AwsJwt {
    /// The service account.
    pub service_account_ref: Account,
}

/// Keys of AWS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AwsKeys {
    /// The access key.
    #[serde(rename = "accessKeyIDSecretRef")]
    pub access_key: Selector,
    /// The secret key.
    #[serde(rename = "secretAccessKeySecretRef")]
    pub secret_key: Selector,
}

/// Google Cloud's Secret Manager.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Gcpsm {
    /// Id of the project.
    #[serde(rename = "projectID")]
    pub project_id: String,
    /// How it is logged in; without it as the operator of the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<GcpAuth>,
}

/// How Google Cloud is logged in to: one of the two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GcpAuth {
    /// By a service account of Kubernetes that acts for one of Google's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload_identity: Option<GcpIdentity>,
    /// By the key file of a service account of Google's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<GcpKey>,
}

/// Google's login by a service account of Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GcpIdentity {
    /// The service account.
    pub service_account_ref: Account,
}

/// The key file of a service account of Google's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GcpKey {
    /// The key file.
    pub secret_access_key_secret_ref: Selector,
}

/// Azure Key Vault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Azurekv {
    /// Address of the vault, `https://NAME.vault.azure.net`.
    pub vault_url: String,
    /// How it is logged in; without it by a service principal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_type: Option<AzureAuth>,
    /// Id of the tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// Id and secret of the service principal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_secret_ref: Option<AzureKeys>,
    /// The service account, of workload identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_ref: Option<Account>,
    /// Which identity, where the pods of the operator have several: of managed identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_id: Option<String>,
}

/// Ways into Azure Key Vault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AzureAuth {
    #[default]
    ServicePrincipal,
    ManagedIdentity,
    WorkloadIdentity,
}

/// Id and secret of a service principal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AzureKeys {
    /// The id.
    pub client_id: Selector,
    /// The secret.
    pub client_secret: Selector,
}

/// Secrets of another namespace or cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Kubernetes {
    /// The namespace there.
    pub remote_namespace: String,
    /// The API server; without it that of this cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<KubernetesServer>,
    /// How it is logged in: one of the two.
    pub auth: KubernetesAuth,
}

/// An API server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KubernetesServer {
    /// Its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Certificates that it is checked by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_provider: Option<CaProvider>,
}

/// How an API server is logged in to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KubernetesAuth {
    /// By a service account, which may read Secrets there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<Account>,
    /// By a token in a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Token>,
}

/// A token in a Secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Token {
    /// The token.
    pub bearer_token: Selector,
}

impl SecretStore {
    /// The providers that are there, by their keys.
    #[must_use]
    pub fn providers(&self) -> Vec<&'static str> {
        [
            ("existing", self.existing.is_some()),
            ("vault", self.vault.is_some()),
            ("aws", self.aws.is_some()),
            ("gcpsm", self.gcpsm.is_some()),
            ("azurekv", self.azurekv.is_some()),
            ("kubernetes", self.kubernetes.is_some()),
        ]
        .into_iter()
        .filter_map(|(key, is)| is.then_some(key))
        .collect()
    }

    /// Secrets that the operator logs in with, each with the path below the store where it is named.
    #[must_use]
    pub fn keys(&self) -> Vec<(&'static str, &Selector)> {
        let mut all = Vec::new();
        if let Some(vault) = &self.vault {
            let role = vault.auth.app_role.as_ref().map(|role| &role.secret_ref);
            all.push(("vault.auth.tokenSecretRef", vault.auth.token_secret_ref.as_ref()));
            all.push(("vault.auth.appRole.secretRef", role));
        }
        if let Some(keys) = self.aws.as_ref().and_then(|aws| aws.auth.as_ref()?.secret_ref.as_ref()) {
            all.push(("aws.auth.secretRef.accessKeyIDSecretRef", Some(&keys.access_key)));
            all.push(("aws.auth.secretRef.secretAccessKeySecretRef", Some(&keys.secret_key)));
        }
        if let Some(key) = self
            .gcpsm
            .as_ref()
            .and_then(|gcp| gcp.auth.as_ref()?.secret_ref.as_ref())
        {
            all.push((
                "gcpsm.auth.secretRef.secretAccessKeySecretRef",
                Some(&key.secret_access_key_secret_ref),
            ));
        }
        if let Some(keys) = self.azurekv.as_ref().and_then(|azure| azure.auth_secret_ref.as_ref()) {
            all.push(("azurekv.authSecretRef.clientId", Some(&keys.client_id)));
            all.push(("azurekv.authSecretRef.clientSecret", Some(&keys.client_secret)));
        }
        if let Some(token) = self.kubernetes.as_ref().and_then(|it| it.auth.token.as_ref()) {
            all.push(("kubernetes.auth.token.bearerToken", Some(&token.bearer_token)));
        }
        all.into_iter().filter_map(|(path, key)| Some((path, key?))).collect()
    }
}

impl Secrets {
    /// The store that Secrets come from where none of their own is named; none where they are made.
    #[must_use]
    pub fn from(&self) -> Option<&str> {
        self.from.as_deref().filter(|from| *from != MADE)
    }
}
