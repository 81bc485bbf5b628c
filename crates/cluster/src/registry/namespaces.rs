//! What comes with a new object: a namespace is furnished, a definition gets its conditions.

use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::identity::Identity;
use super::{Registry, Request};
use crate::apimachinery::crd;
use crate::apimachinery::resources::Resource;
use crate::apimachinery::status::Status;
use crate::store::{Key, Object};

/// Service accounts that every namespace has, with permission to run Spark: Kubernetes' own, and the one the Spark operator's chart makes.
pub const SPARK_ACCOUNTS: [&str; 2] = ["default", "spark-operator-spark"];
/// The ConfigMap of every namespace with the cluster's certificate.
pub const AUTHORITY: &str = "kube-root-ca.crt";

impl Registry {
    /// Stores an object of the cluster's own making. One that exists already is left as it is.
    ///
    /// # Errors
    /// As [`Registry::create`].
    pub async fn ensure(
        &self,
        identity: Identity,
        resource: &str,
        namespace: &str,
        mut value: Value,
    ) -> Result<(), Status> {
        let found = self.resources().by_key(resource);
        let resource = found.ok_or_else(Status::no_such_path)?;
        let name = value["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        if self.store.get(&Key::new(&resource.key, namespace, &name)).is_some() {
            return Ok(());
        }
        value["apiVersion"] = resource.api_version().into();
        value["kind"] = resource.kind.clone().into();
        let request = Request::new(identity, resource, namespace, "");
        match self.create(&request, value, |_, _| (), &mut Vec::new()).await {
            Err(error) if error.reason == "AlreadyExists" => Ok(()),
            done => done.map(drop),
        }
    }

    /// What follows the creation of an object at once, so that clients need not wait for a controller.
    pub(super) async fn after_create(&self, resource: &Resource, object: &Object) {
        match &*resource.key {
            "namespaces" => {
                if let Err(error) = self.furnish(&object.key.name).await {
                    tracing::debug!(%error, "a new namespace is not furnished yet; its controller tries again");
                }
            }
            "customresourcedefinitions.apiextensions.k8s.io" => self.reload_custom_resources(),
            "services" => {
                let service = object.value();
                let address = service["spec"]["clusterIP"].as_str().unwrap_or_default();
                let stored = &self.service_addresses;
                stored.stored(&object.key.namespace, &object.key.name, address);
            }
            _ => {}
        }
    }

    /// Gives a new definition its first conditions, and the finalizer that holds it until its objects are gone.
    pub(super) fn begin_definition(&self, definition: &mut Value) {
        definition["status"] = json!({"storedVersions": [], "acceptedNames": {"plural": "", "kind": ""}});
        crd::prepare(definition);
        let others = self
            .store
            .list(&crd::DEFINITIONS.into(), None, None, usize::MAX, |_| true)
            .items;
        if let Some((reason, message)) = crd::name_conflict(definition, others.iter().map(|other| other.value())) {
            crd::set_condition(definition, "NamesAccepted", "False", reason, &message);
            crd::set_condition(
                definition,
                "Established",
                "False",
                "NotAccepted",
                "not all names are accepted",
            );
            definition["status"]["acceptedNames"] = json!({"plural": "", "kind": ""});
        }
        let finalizers = &mut definition["metadata"]["finalizers"];
        if !finalizers.is_array() {
            *finalizers = json!([]);
        }
        if let Some(list) = finalizers
            .as_array_mut()
            .filter(|list| !list.iter().any(|name| name == crd::CLEANUP))
        {
            list.push(crd::CLEANUP.into());
        }
    }

    /// Gives a namespace its service accounts, its copy of the cluster's certificate, and the right to run Spark in it.
    ///
    /// # Errors
    /// The first that is refused; the others are stored.
    pub fn furnish<'a>(&'a self, namespace: &'a str) -> BoxFuture<'a, Result<(), Status>> {
        Box::pin(async move {
            let accounts = SPARK_ACCOUNTS.map(|name| {
                let account = json!({"metadata": {"name": name}});
                (
                    Identity::controller("service-account-controller"),
                    "serviceaccounts",
                    account,
                )
            });
            let certificate = json!({"metadata": {"name": AUTHORITY, "annotations": {
                "kubernetes.io/description": "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters."}},
                "data": {"ca.crt": self.settings.authority_pem}});
            let subjects =
                SPARK_ACCOUNTS.map(|name| json!({"kind": "ServiceAccount", "name": name, "namespace": namespace}));
            let binding = json!({"metadata": {"name": "stoke-spark", "annotations": {
                "kubernetes.io/description": "Lets Spark drivers of this embedded cluster create their executors without further set-up."}},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"}, "subjects": subjects});
            let objects = accounts.into_iter().chain([
                (
                    Identity::controller("root-ca-cert-publisher"),
                    "configmaps",
                    certificate,
                ),
                (
                    Identity::api_server(),
                    "rolebindings.rbac.authorization.k8s.io",
                    binding,
                ),
            ]);
            let mut done = Ok(());
            for (identity, resource, object) in objects {
                done = done.and(self.ensure(identity, resource, namespace, object).await);
            }
            done
        })
    }
}
