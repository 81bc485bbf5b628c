//! What the operator's owner decides for all applications.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::networking::v1::IngressTLS;

use super::object_store::ObjectStoreSettings;
use super::security::SecurityProfile;
use crate::{Identity, SparkVersion};

/// Settings of the operator, and the facts of one submission.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Master URL with `k8s://`: the API server as the submitter sees it. Drivers use `driver.kubernetesMaster`, or their cluster's own address.
    pub master: String,
    /// Whose rules apply when neither image nor `sparkVersion` tells.
    pub default_spark_version: SparkVersion,
    /// Image of applications that name none.
    pub default_image: Option<String>,
    /// Service account of drivers that name none.
    pub default_service_account: Option<String>,
    /// Value of `SPARK_USER`.
    pub user: String,
    /// When the submission happens.
    pub submitted_at: Timestamp,
    /// Id of the submission as it stands in the status; derived from the attempt's identity when none.
    pub submission_id: Option<String>,
    /// Where local files go; for applications that set no `spark.kubernetes.file.upload.path`.
    pub file_upload_path: Option<String>,
    /// Which containers get a restricted security context when the author gave none.
    pub security: SecurityProfile,
    /// Whether Spark authenticates its own connections (`spark.authenticate`) unless the application says otherwise.
    pub rpc_authentication: bool,
    /// Whether pods without `coreLimit` get a CPU limit equal to their cores. Memory always has a limit.
    pub cpu_limits: bool,
    /// Whether every application gets a service for its UI.
    pub ui_service: bool,
    /// Ingress of the UI; none when there is none.
    pub ui_ingress: Option<IngressSettings>,
    /// Whether every driver gets a disruption budget.
    pub driver_disruption_budget: bool,
    /// Batch scheduler of applications that name none.
    pub default_batch_scheduler: Option<String>,
    /// Names of schedulers that are a kube-scheduler with the coscheduling plugin, which wants a PodGroup of `scheduling.x-k8s.io`.
    pub kube_schedulers: Vec<String>,
    /// Configuration of applications that do not set these keys themselves.
    pub default_conf: BTreeMap<String, String>,
    /// Where applications write their event logs that set nothing of `spark.eventLog.*`: a URL that drivers can write to; none to leave
    /// that to Spark, which writes none.
    pub event_log: Option<String>,
    /// The object store of applications that name none of their own; none when there is none.
    pub object_store: Option<ObjectStoreSettings>,
    /// Whether drivers serve their metrics and those of their executors, and leave their last words in their pod's status, unless the
    /// application says otherwise.
    pub observe: bool,
}

/// How ingresses are made.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct IngressSettings {
    /// URL with `{{$appName}}`, `{{$appNamespace}}` and `{{$appId}}`: `{{$appName}}.spark.example.com`, `spark.example.com/{{$appNamespace}}/{{$appName}}`.
    pub url_format: String,
    /// IngressClass; the cluster's default when none.
    pub class_name: Option<String>,
    /// TLS of ingresses whose application names none.
    pub tls: Vec<IngressTLS>,
    /// Annotations of every ingress.
    pub annotations: BTreeMap<String, String>,
    /// With Gateways an HTTPRoute of each is made instead of an Ingress; its TLS is the Gateway's.
    pub gateways: Vec<GatewayReference>,
}

/// A Gateway that HTTPRoutes hang on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GatewayReference {
    pub name: String,
    /// Its namespace; the route's own when none.
    pub namespace: Option<String>,
    /// The listener (`sectionName`); all of them when none.
    pub listener: Option<String>,
}

impl Settings {
    /// Settings of an operator that reaches the API server at `master` (`k8s://…`), for a submission at `submitted_at`.
    ///
    /// UI services are on, ingresses and disruption budgets off, the security profile is [`SecurityProfile::KnownImages`].
    #[must_use]
    pub fn new(master: impl Into<String>, submitted_at: Timestamp) -> Self {
        Self {
            master: master.into(),
            default_spark_version: SparkVersion::new(4, 3, 0),
            default_image: None,
            default_service_account: None,
            user: "spark".to_owned(),
            submitted_at,
            submission_id: None,
            file_upload_path: None,
            security: SecurityProfile::KnownImages,
            rpc_authentication: false,
            cpu_limits: false,
            ui_service: true,
            ui_ingress: None,
            driver_disruption_budget: false,
            default_batch_scheduler: None,
            kube_schedulers: Vec::new(),
            default_conf: BTreeMap::new(),
            event_log: None,
            object_store: None,
            observe: false,
        }
    }

    /// The id that labels the pods of this submission.
    pub(crate) fn submission_id(&self, identity: &Identity) -> String {
        self.submission_id
            .clone()
            .unwrap_or_else(|| identity.upload_id("submission"))
    }
}
