//! The submission under construction, which every step adds to.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::conf::Conf;
use crate::error::PlanError;
use crate::names;
use crate::object::Draft;
use crate::prepare::Prepared;
use crate::request::{MainResource, SubmitRequest};
use crate::submission::{Resource, Role, Upload};
use crate::uri;

/// Everything known before the first step, and everything steps have produced so far.
pub(crate) struct Build<'a> {
    pub(crate) request: &'a SubmitRequest,
    pub(crate) conf: Conf,
    pub(crate) resource: String,
    pub(crate) main_class: String,
    /// Prefix of the names of all objects.
    pub(crate) prefix: String,
    pub(crate) namespace: String,
    pub(crate) service_name: String,
    pub(crate) draft: Draft,
    /// Properties that steps add to the configuration.
    pub(crate) added: BTreeMap<String, String>,
    pub(crate) pre_resources: Vec<Resource>,
    pub(crate) resources: Vec<Resource>,
    pub(crate) uploads: Vec<Upload>,
    pub(crate) warnings: Vec<String>,
}

impl<'a> Build<'a> {
    pub(crate) fn new(request: &'a SubmitRequest, prepared: Prepared, draft: Draft) -> Self {
        let Prepared {
            conf,
            resource,
            main_class,
        } = prepared;
        let app_name = conf.raw("spark.app.name").unwrap_or("spark");
        let prefix = names::resource_prefix(app_name, &request.identity.resource_uid);
        let namespace = conf
            .get("spark.kubernetes.namespace")
            .unwrap_or_else(|| "default".to_owned());
        let (service_name, warning) = names::service(&prefix, &request.identity.service_uid);
        Self {
            request,
            conf,
            resource,
            main_class,
            prefix,
            namespace,
            service_name,
            draft,
            added: BTreeMap::new(),
            pre_resources: Vec::new(),
            resources: Vec::new(),
            uploads: Vec::new(),
            warnings: warning.into_iter().collect(),
        }
    }

    /// Adds an object of the run.
    pub(crate) fn add(&mut self, role: Role, object: Value) {
        self.resources.push(Resource::new(role, object));
    }

    pub(crate) fn app_id(&self) -> &'a str {
        &self.request.identity.application_id
    }

    pub(crate) fn is_jvm(&self) -> bool {
        matches!(self.request.resource, MainResource::Java(_))
    }

    pub(crate) fn pod_name(&self) -> String {
        self.conf
            .get("spark.kubernetes.driver.pod.name")
            .unwrap_or_else(|| format!("{}-driver", self.prefix))
    }

    pub(crate) fn add_property(&mut self, key: &str, value: impl Into<String>) {
        self.added.insert(key.to_owned(), value.into());
    }

    /// Labels of the driver pod, which are the selector of its service too.
    pub(crate) fn labels(&self) -> Result<Vec<(String, String)>, PlanError> {
        let preset = [
            ("spark-version", self.request.spark_version.as_str().to_owned()),
            ("spark-app-selector", self.app_id().to_owned()),
            (
                "spark-app-name",
                names::app_name_label(self.conf.raw("spark.app.name").unwrap_or("spark")),
            ),
            ("spark-role", "driver".to_owned()),
        ];
        let prefix = "spark.kubernetes.driver.label.";
        let mut labels: Vec<(String, String)> = self.conf.with_prefix(prefix);
        for (key, value) in &mut labels {
            if preset.iter().any(|(reserved, _)| reserved == key) {
                return Err(PlanError::ForbiddenKey {
                    key: format!("{prefix}{key}"),
                    reason: "the label is reserved for Spark's bookkeeping",
                });
            }
            if self.conf.version.since(4, 0) {
                *value = substitute_ids(value, self.app_id(), "");
            }
        }
        labels.extend(preset.map(|(key, value)| (key.to_owned(), value)));
        Ok(labels)
    }

    /// Plans the upload of a local file and returns where pods will find it.
    pub(crate) fn upload(&mut self, file: &str) -> Result<String, PlanError> {
        let Some(target) = self.conf.get("spark.kubernetes.file.upload.path") else {
            return Err(PlanError::UploadPathMissing {
                file: uri::file_path(file),
            });
        };
        let from = uri::file_path(file);
        let name = from.rsplit('/').next().unwrap_or_default();
        // The ordinal tells two uses of one file apart, as Spark's random directories do.
        let id = self
            .request
            .identity
            .upload_id(&format!("{}/{file}", self.uploads.len()));
        let to = format!("{target}/spark-upload-{id}/{name}");
        self.uploads.push(Upload { from, to: to.clone() });
        Ok(to)
    }
}

/// Fills in `{{APP_ID}}` and `{{EXECUTOR_ID}}`.
pub(crate) fn substitute_ids(text: &str, app_id: &str, executor_id: &str) -> String {
    text.replace("{{APP_ID}}", app_id)
        .replace("{{EXECUTOR_ID}}", executor_id)
}
