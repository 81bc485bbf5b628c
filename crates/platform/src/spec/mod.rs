//! `platform.yaml`: what the file says, as types. [`read`](read()) gives them, or what is wrong and where.
//!
//! - [`components`]: the kinds of components and their keys
//! - `read`: text to types, with places
//! - [`secrets`]: where Secrets come from
//! - [`schema`]: the JSON schema, for editors and for reading

pub mod components;
mod parts;
mod read;
pub mod schema;
pub mod secrets;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use components::Component;
pub use parts::{Amount, Credentials, Database, Login, Outside, Resources, Run, SecretKey, Storage};
pub use read::{Beside, File, alone, read};
pub use secrets::Secrets;

/// The name of the file, where none is given.
pub const FILE: &str = "platform.yaml";
/// A file to begin with.
pub const BEGIN: &str = include_str!("begin.yaml");

/// The whole file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "platform.yaml")]
pub struct Platform {
    /// Name of the platform: in the label of each of its objects.
    pub name: String,
    /// Namespace of its objects, where an environment names no other.
    pub namespace: String,
    /// How pods are kept from harm.
    #[serde(default)]
    pub security: Security,
    /// Whether pods reach only what they need.
    #[serde(default)]
    pub network: Network,
    /// How components with a `host` are reached from outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<Ingress>,
    /// Whether monitors of the Prometheus Operator are made.
    #[serde(default)]
    pub monitors: bool,
    /// Where Secrets come from that components and applications name.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub secrets: Secrets,
    /// Kinds of nodes that components are placed on, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub nodes: BTreeMap<String, Nodes>,
    /// Spark versions side by side, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sparks: BTreeMap<String, Spark>,
    /// Components, by name. Their objects and addresses carry the name.
    #[schemars(schema_with = "schema::anything")]
    pub components: BTreeMap<String, Component>,
    /// Environments, by name: what differs there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environments: BTreeMap<String, Environment>,
}

fn is_usual(secrets: &Secrets) -> bool {
    *secrets == Secrets::default()
}

/// How pods are kept from harm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// Pod Security baseline: images run as the user that they name.
    Baseline,
    /// Pod Security restricted: no root, no capabilities, the user of each image fixed.
    #[default]
    Restricted,
    /// Pod Security restricted with users that OpenShift chooses, and Routes.
    Openshift,
}

/// Whether pods reach only what they need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// A NetworkPolicy for each component: in from those that use it, out to what it uses.
    #[default]
    Closed,
    /// No NetworkPolicy.
    Open,
}

/// How components with a `host` are reached from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ingress {
    /// The IngressClass; without it the cluster's default. Routes have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// The Secret with the certificate, of type `kubernetes.io/tls`. Routes use the router's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_secret: Option<String>,
}

/// A kind of nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Nodes {
    /// Labels of the nodes.
    pub labels: BTreeMap<String, String>,
    /// Taints of the nodes that are tolerated, as `key=value` or `key`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taints: Vec<String>,
}

/// A Spark that applications and Connect servers may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Spark {
    /// The version, `4.1.4`.
    pub version: String,
    /// The Scala that it is built with; without it that of the usual build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scala: Option<String>,
    /// The image; without it `apache/spark:VERSION`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The component with the catalog of those that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog: Option<String>,
    /// Configuration of all that use this Spark, unless they set the key themselves.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub conf: BTreeMap<String, String>,
}

/// What differs in an environment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Environment {
    /// Namespace of its objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// How pods are kept from harm there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security: Option<Security>,
    /// Whether pods reach only what they need there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// How components with a `host` are reached from outside there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<Ingress>,
    /// Whether monitors of the Prometheus Operator are made there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitors: Option<bool>,
    /// Where Secrets come from there: what is set takes the place of what the file says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Secrets>,
    /// Components that are left out there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    /// What is set of components there: sizes, places and addresses; not what runs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::anything")]
    pub components: BTreeMap<String, Value>,
}

impl Spark {
    /// The Scala it is built with.
    #[must_use]
    pub fn scala(&self) -> &str {
        let usual = || stoke_model::distribution::nearest(&self.version).scalas[0];
        self.scala.as_deref().unwrap_or_else(usual)
    }

    #[must_use]
    pub fn image(&self) -> String {
        let usual = || format!("apache/spark:{}", self.version);
        self.image.clone().unwrap_or_else(usual)
    }
}
