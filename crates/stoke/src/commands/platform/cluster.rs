//! What is there of a platform, and how its objects are asked for and written: by a field manager of its own.

use std::collections::HashMap;

use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::{ApiCapabilities, ApiResource};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use stoke_laptop::apply;
use stoke_platform::plan::{Action, Compared, KINDS, Step, plan, record_name};
use stoke_platform::render::{LABEL_ENVIRONMENT, LABEL_PLATFORM, Scope, objects};

use crate::failure::{Failure, Outcome};

/// Our name as the writer of a platform's fields: others' are told from them.
const FIELD_MANAGER: &str = "stoke-platform";
/// The key of the record that holds the objects.
const OBJECTS: &str = "objects.json";
/// Most that a ConfigMap holds, with room for the rest of it.
const MOST: usize = 900 << 10;

/// A cluster, and the kinds that it was asked for.
pub struct Cluster {
    client: Client,
    kinds: HashMap<(String, String), Option<(ApiResource, ApiCapabilities)>>,
}

impl Cluster {
    pub fn new(client: Client) -> Self {
        Cluster {
            client,
            kinds: HashMap::new(),
        }
    }

    /// Where objects of a kind are; none when the cluster does not serve it.
    async fn kind(&mut self, version: &str, kind: &str) -> Outcome<Option<(ApiResource, ApiCapabilities)>> {
        let key = (version.to_owned(), kind.to_owned());
        if let Some(known) = self.kinds.get(&key) {
            return Ok(known.clone());
        }
        let (group, of_group) = version.split_once('/').unwrap_or(("", version));
        let wanted = GroupVersionKind::gvk(group, of_group, kind);
        let found = match kube::discovery::pinned_kind(&self.client, &wanted).await {
            Ok(found) => Some(found),
            Err(kube::Error::Discovery(_)) => None,
            Err(kube::Error::Api(status)) if status.code == 404 => None,
            Err(error) => return Err(error.into()),
        };
        self.kinds.insert(key, found.clone());
        Ok(found)
    }

    /// Where an object is.
    pub async fn api(&mut self, object: &Value) -> Outcome<Api<DynamicObject>> {
        let text = |key: &str| object[key].as_str().unwrap_or_default().to_owned();
        let (version, kind) = (text("apiVersion"), text("kind"));
        let Some((resource, capabilities)) = self.kind(&version, &kind).await? else {
            let fix = match version.split('/').next().unwrap_or_default() {
                "sparkoperator.k8s.io" => "`stoke operator install` installs its definition, and the operator",
                "monitoring.coreos.com" => "install the Prometheus Operator, or write `monitors: false`",
                "route.openshift.io" => "use the security profile `restricted` on clusters other than OpenShift",
                "external-secrets.io" => {
                    "install the External Secrets Operator (1.0 or later), or write `secrets: {from: made}` in this environment"
                }
                "bitnami.com" => {
                    "install the controller of Sealed Secrets, or leave the file out in this environment: `secrets: {files: []}`"
                }
                _ => "install what serves this kind",
            };
            let message = format!("the cluster does not serve {kind} of {version}");
            return Err(Failure::environment("stoke::platform::kind", message).fix(fix));
        };
        let dynamic = dynamic(object)?;
        Ok(apply::api_for(
            &self.client,
            "default",
            &resource,
            &capabilities,
            &dynamic,
        ))
    }

    pub async fn get(&mut self, object: &Value) -> Outcome<Option<Value>> {
        let api = self.api(object).await?;
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        Ok(api.get_opt(name).await?.map(value))
    }

    /// Writes an object as a whole: what it no longer says goes. A dry run changes nothing.
    pub async fn write(&mut self, object: &Value, is_dry: bool) -> Outcome<Value> {
        let api = self.api(object).await?;
        let dynamic = dynamic(object)?;
        let mut parameters = PatchParams::apply(FIELD_MANAGER).force();
        parameters.dry_run = is_dry;
        let written = api
            .patch(&dynamic.name_any(), &parameters, &Patch::Apply(&dynamic))
            .await;
        let written = written.map_err(|error| {
            let mut failure = Failure::from(error);
            let what = format!("{} {}", object["kind"].as_str().unwrap_or_default(), dynamic.name_any());
            failure.diagnostic.message = format!("{what}: {}", failure.diagnostic.message);
            failure
        })?;
        Ok(value(written))
    }

    /// Everything that is the platform's in this environment, the record too.
    pub async fn owned(&mut self, scope: &Scope<'_>) -> Outcome<Vec<Value>> {
        let labels = format!(
            "{LABEL_PLATFORM}={},{LABEL_ENVIRONMENT}={}",
            scope.platform.name, scope.environment
        );
        let mut all = Vec::new();
        for (version, kind) in KINDS {
            let Some((resource, _)) = self.kind(version, kind).await? else {
                continue;
            };
            let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), scope.namespace(), &resource);
            for mut object in api.list(&ListParams::default().labels(&labels)).await? {
                // Items of a list do not say what they are.
                object.types = Some(kube::core::TypeMeta {
                    api_version: version.to_owned(),
                    kind: kind.to_owned(),
                });
                all.push(value(object));
            }
        }
        Ok(all)
    }

    /// What would be done, and what is there.
    pub async fn look(&mut self, scope: &Scope<'_>) -> Outcome<Look> {
        let mut compared = Vec::new();
        for wanted in objects(scope) {
            let there = self.get(&wanted).await?;
            let would_be = match &there {
                Some(there) if stoke_platform::plan::is_owned(scope, there) => Some(self.write(&wanted, true).await?),
                _ => None,
            };
            compared.push(Compared {
                wanted,
                there,
                would_be,
            });
        }
        let owned = self.owned(scope).await?;
        let steps = plan(scope, &compared, &owned);
        Ok(Look { steps, compared, owned })
    }

    /// The objects that were applied last and worked; none when there is no record.
    pub async fn record(&mut self, scope: &Scope<'_>) -> Outcome<Option<Vec<Value>>> {
        let Some(record) = self.get(&record(scope, "")).await? else {
            return Ok(None);
        };
        let text = record["data"][OBJECTS].as_str().unwrap_or_default();
        Ok(serde_json::from_str(text).ok())
    }

    /// Keeps what was applied and works.
    pub async fn keep_record(&mut self, scope: &Scope<'_>, objects: &[Value]) -> Outcome<()> {
        let text = serde_json::to_string(objects).unwrap_or_default();
        if text.len() > MOST {
            return Err(Failure::input(
                "stoke::platform::too-large",
                format!(
                    "the platform's objects are {} KiB; its record holds {} KiB",
                    text.len() >> 10,
                    MOST >> 10
                ),
            )
            .fix("divide it into two platforms"));
        }
        self.write(&record(scope, &text), false).await.map(drop)
    }

    pub fn client(&self) -> &Client {
        &self.client
    }
}

/// What is there, against what is wanted.
pub struct Look {
    pub steps: Vec<Step>,
    pub compared: Vec<Compared>,
    /// What is the platform's, but for its record.
    pub owned: Vec<Value>,
}

impl Look {
    /// How many objects are created (or taken over), changed, removed and kept.
    pub fn counts(&self) -> [usize; 4] {
        let count = |wanted: fn(&Action) -> bool| self.steps.iter().filter(|step| wanted(&step.action)).count();
        [
            count(|action| matches!(action, Action::Create | Action::Foreign)),
            count(|action| matches!(action, Action::Change { .. })),
            count(|action| *action == Action::Remove),
            count(|action| *action == Action::Keep),
        ]
    }

    /// What keeps data and is there.
    pub fn claims(owned: &[Value]) -> Vec<String> {
        let claims = owned.iter().filter(|object| object["kind"] == "PersistentVolumeClaim");
        claims
            .filter_map(|claim| claim["metadata"]["name"].as_str().map(str::to_owned))
            .collect()
    }
}

fn record(scope: &Scope<'_>, objects: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": record_name(scope), "namespace": scope.namespace(), "labels": {
            "app.kubernetes.io/managed-by": "stoke", LABEL_PLATFORM: scope.platform.name, LABEL_ENVIRONMENT: scope.environment}},
        "data": {OBJECTS: objects}})
}

fn value(object: DynamicObject) -> Value {
    serde_json::to_value(object).unwrap_or_default()
}

fn dynamic(object: &Value) -> Outcome<DynamicObject> {
    serde_json::from_value(object.clone())
        .map_err(|error| Failure::input("stoke::manifest::object", format!("not a Kubernetes object: {error}")))
}
