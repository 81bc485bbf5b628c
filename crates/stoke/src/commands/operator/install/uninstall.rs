//! `stoke operator uninstall`: what `install` made, and what the operator made for itself, until nothing is left.

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use stoke_laptop::apply;
use stoke_model::crd;
use stoke_operator::install::{Options, objects};

use super::wait::{self, Patience};
use super::{Arguments, MADE_HERE, client, tell};
use crate::cli::Context;
use crate::failure::{Failure, Outcome};

/// The lease of every operator, unless its flags say another.
const LEASE: &str = "spark-operator-controller-lock";

/// What is removed.
#[derive(clap::Args, Clone)]
pub struct Uninstall {
    #[command(flatten)]
    installed: Arguments,
    /// Delete the CRDs too, and with them every SparkApplication of the cluster
    #[arg(long)]
    delete_crds: bool,
    #[command(flatten)]
    patience: Patience,
}

/// Deletes the objects and waits until they are gone; what is gone already is passed over.
pub async fn uninstall(arguments: &Uninstall, context: &mut Context) -> Outcome<u8> {
    let options = arguments.installed.options(&mut context.terminal)?;
    let client = client(&arguments.installed).await?;
    // A kind that is not served is not a failure here, so an API server that cannot be reached is told first.
    client.apiserver_version().await?;
    let mut work = Work {
        client,
        patience: &arguments.patience,
        left: Vec::new(),
    };
    let all: Vec<Value> = objects(&options)
        .into_iter()
        .filter(|object| object["kind"] != "Namespace")
        .collect();
    let (operator, rest): (Vec<&Value>, Vec<&Value>) = all.iter().partition(|object| object["kind"] == "Deployment");
    // First, and wholly: it would make its Secret and its leases again.
    for object in operator {
        work.delete(object, &DeleteParams::foreground(), context).await?;
    }
    work.wait(context).await?;
    let background = DeleteParams::background();
    for object in rest.iter().rev() {
        work.delete(object, &background, context).await?;
    }
    for object in work.elsewhere(&options, &all).await {
        work.delete(&object, &background, context).await?;
    }
    for object in work.made_by_operator(&options).await? {
        work.delete(&object, &background, context).await?;
    }
    if arguments.delete_crds {
        for definition in crd::definitions() {
            work.delete(&definition, &background, context).await?;
        }
    }
    work.delete_namespace(&options, context).await?;
    work.wait(context).await?;
    Ok(0)
}

struct Work<'a> {
    client: Client,
    patience: &'a Patience,
    /// Deleted, and perhaps still there.
    left: Vec<(Api<DynamicObject>, DynamicObject)>,
}

impl Work<'_> {
    async fn delete(&mut self, object: &Value, how: &DeleteParams, context: &mut Context) -> Outcome<()> {
        if let Some((api, deleted)) = apply::delete_one(&self.client, object, how).await? {
            tell(&deleted, "deleted", context);
            self.left.push((api, deleted));
        }
        Ok(())
    }

    async fn wait(&mut self, context: &mut Context) -> Outcome<()> {
        let left = std::mem::take(&mut self.left);
        match self.patience.deadline() {
            Some(deadline) => wait::gone(left, deadline, context).await,
            None => Ok(()),
        }
    }

    /// Rights and accounts of this installation in namespaces that these arguments do not name: they were installed with others. Who
    /// may not look into all namespaces deletes those that are named.
    async fn elsewhere(&self, options: &Options, named: &[Value]) -> Vec<Value> {
        let mut found = Vec::new();
        let names = [options.controller(), format!("{}-spark", options.prefix())];
        let of_this = ListParams::default().labels(&format!("app.kubernetes.io/instance={}", options.name));
        for (group, kind) in [
            ("rbac.authorization.k8s.io", "RoleBinding"),
            ("rbac.authorization.k8s.io", "Role"),
            ("", "ServiceAccount"),
        ] {
            let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
            let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource);
            let Ok(list) = api.list(&of_this).await else { continue };
            found.extend(
                list.items
                    .iter()
                    .filter(|object| names.contains(&object.name_any()))
                    .map(|object| {
                        json!({"apiVersion": resource.api_version, "kind": kind,
                    "metadata": {"name": object.name_any(), "namespace": object.namespace()}})
                    }),
            );
        }
        let is_same = |one: &Value, other: &Value| {
            ["name", "namespace"]
                .iter()
                .all(|key| one["metadata"][key] == other["metadata"][key])
                && one["kind"] == other["kind"]
        };
        found.retain(|object| !named.iter().any(|named| is_same(named, object)));
        found
    }

    /// The Secret of the webhook, and leases that no one else holds.
    async fn made_by_operator(&self, options: &Options) -> Outcome<Vec<Value>> {
        let namespace = &options.namespace;
        let mut made = vec![json!({"apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": options.webhook_secret(), "namespace": namespace}})];
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), namespace);
        let ours = format!("{}-", options.controller());
        for lease in leases.list(&ListParams::default()).await? {
            let holder = lease
                .spec
                .as_ref()
                .and_then(|spec| spec.holder_identity.clone())
                .unwrap_or_default();
            let is_ours = holder.is_empty() || holder.starts_with(&ours);
            if lease.name_any().starts_with(LEASE) && is_ours {
                made.push(json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                    "metadata": {"name": lease.name_any(), "namespace": namespace}}));
            }
        }
        Ok(made)
    }

    /// The namespace, when an installation made it.
    async fn delete_namespace(&mut self, options: &Options, context: &mut Context) -> Outcome<()> {
        let api: Api<Namespace> = Api::all(self.client.clone());
        let there = match api.get_opt(&options.namespace).await {
            Err(kube::Error::Api(status)) if status.code == 403 => return Ok(()),
            there => there.map_err(Failure::from)?,
        };
        let Some(namespace) = there else { return Ok(()) };
        if namespace.annotations().get(MADE_HERE) != Some(&options.prefix()) {
            let note = format!(
                "namespace {} stays: `stoke operator install` did not make it",
                options.namespace
            );
            context.terminal.note(note);
            return Ok(());
        }
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": options.namespace}});
        self.delete(&object, &DeleteParams::background(), context).await
    }
}
