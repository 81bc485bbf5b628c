//! `stoke platform down`: everything of a platform goes; what keeps data only when that is asked for.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, PersistentVolumeClaim, Pod, Secret, Service};
use kube::api::{Api, DeleteParams, ListParams};
use kube::{Client, Resource, ResourceExt};
use serde_json::{Value, json};
use stoke_model::units::people::{counted, elapsed};
use stoke_platform::plan::{Id, removal};
use stoke_platform::render::{LABEL_ENVIRONMENT, LABEL_PLATFORM, Scope};
use tokio::time::Instant;

use super::Placed;
use super::apply::tell;
use super::cluster::{Cluster, Look};
use crate::cli::Context;
use crate::failure::{Failure, Outcome};
use crate::terminal::Format;

const PAUSE: Duration = Duration::from_millis(300);

/// What is removed.
#[derive(clap::Args)]
#[command(after_help = "\
The namespace goes when `apply` made it and nothing of others is left in it.")]
pub struct Arguments {
    #[command(flatten)]
    placed: Placed,
    /// What becomes of volumes and the data in them [default: it is asked]
    #[arg(long, value_enum, value_name = "WHAT")]
    storage: Option<Storage>,
    /// How long to wait until all is gone
    #[arg(long, value_name = "TIME", default_value = "3m", value_parser = super::super::history::span)]
    timeout: Duration,
}

/// What becomes of volumes.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Storage {
    /// They are deleted, with all data
    Delete,
    /// They stay, and are found again by the next `apply`
    Keep,
}

pub async fn run(arguments: &Arguments, context: &mut Context) -> Outcome<u8> {
    let (resolved, client) = arguments.placed.open(context).await?;
    let scope = resolved.scope();
    let mut cluster = Cluster::new(client);
    let owned = cluster.owned(&scope).await?;
    let claims = Look::claims(&owned);
    let keeps = !claims.is_empty() && what_becomes(arguments.storage, &claims, context)? == Storage::Keep;
    let deadline = Instant::now() + arguments.timeout;
    let all: Vec<&Value> = removal(&owned)
        .into_iter()
        .filter(|object| !(keeps && object["kind"] == "PersistentVolumeClaim"))
        .collect();
    // The operator takes a server's pods and Service away itself; it must still be able to.
    let (first, rest): (Vec<&Value>, Vec<&Value>) = all.iter().partition(|object| object["kind"] == "SparkConnect");
    for group in [first, rest] {
        for object in &group {
            delete(&mut cluster, object, context).await?;
        }
        for object in &group {
            gone(&mut cluster, object, deadline, arguments.timeout, context).await?;
        }
    }
    context.terminal.end_status();
    if !keeps {
        // Data that stay need the passwords they were made with.
        stoke_laptop::platform::secrets::remove(cluster.client(), &scope).await?;
    }
    let namespace = namespace(&mut cluster, &scope, keeps, deadline, arguments.timeout, context).await?;
    match context.terminal.format() {
        Format::Json => context
            .terminal
            .json(&json!({"name": scope.platform.name, "environment": scope.environment,
            "removed": all.len(), "kept": if keeps { claims } else { Vec::new() }, "namespace": namespace})),
        Format::Text => context
            .terminal
            .out(format!("{} removed", counted(all.len(), "object"))),
    }
    Ok(0)
}

/// Asked before anything is removed.
fn what_becomes(given: Option<Storage>, claims: &[String], context: &mut Context) -> Outcome<Storage> {
    if let Some(given) = given {
        return Ok(given);
    }
    let names = claims.join(", ");
    if !std::io::stdin().is_terminal() || context.terminal.format() == Format::Json {
        return Err(Failure::input(
            "stoke::platform::storage",
            format!(
                "{} would be deleted with all data: {names}; nothing was removed",
                counted(claims.len(), "volume")
            ),
        )
        .fix("say what becomes of them: --storage delete or --storage keep"));
    }
    context.terminal.note(format!("Volumes with data: {names}"));
    context
        .terminal
        .note("Delete them with all data? Write `delete`; anything else keeps them:");
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(match answer.trim() {
        "delete" => Storage::Delete,
        _ => Storage::Keep,
    })
}

pub async fn delete(cluster: &mut Cluster, object: &Value, context: &mut Context) -> Outcome<()> {
    let api = cluster.api(object).await?;
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    match api.delete(name, &DeleteParams::foreground()).await {
        Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
        other => drop(other?),
    }
    tell(object, "removed", context);
    Ok(())
}

pub async fn gone(
    cluster: &mut Cluster,
    object: &Value,
    deadline: Instant,
    timeout: Duration,
    context: &mut Context,
) -> Outcome<()> {
    let uid = &object["metadata"]["uid"];
    while let Some(there) = cluster.get(object).await? {
        if there["metadata"]["uid"] != *uid {
            break;
        }
        let id = Id::of(object).text();
        if Instant::now() > deadline {
            let holds = there["metadata"]["finalizers"]
                .as_array()
                .map(|all| json!(all).to_string());
            let holds = holds
                .map(|holds| format!("; it is held by {holds}"))
                .unwrap_or_default();
            return Err(Failure::environment(
                "stoke::platform::still-there",
                format!("{id} is still there after {}{holds}", elapsed(timeout)),
            )
            .fix("give the command again when what holds it is done; what is gone stays gone"));
        }
        context.terminal.status(format!("waiting until {id} is gone"));
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// The namespace goes when it is the platform's and empty; gives what became of it.
async fn namespace(
    cluster: &mut Cluster,
    scope: &Scope<'_>,
    keeps: bool,
    deadline: Instant,
    timeout: Duration,
    context: &mut Context,
) -> Outcome<&'static str> {
    let client = cluster.client().clone();
    let api: Api<Namespace> = Api::all(client.clone());
    let Some(there) = api.get_opt(scope.namespace()).await? else {
        return Ok("gone");
    };
    let label = |key: &str| there.labels().get(key).map(String::as_str);
    if label(LABEL_PLATFORM) != Some(&scope.platform.name) || label(LABEL_ENVIRONMENT) != Some(scope.environment) {
        context.terminal.note(format!(
            "namespace {} stays: it is not this platform's",
            scope.namespace()
        ));
        return Ok("not this platform's");
    }
    if keeps {
        return Ok("kept with its volumes");
    }
    // Pods of what was removed may take a moment.
    let mut left = others(&client, scope.namespace()).await?;
    while !left.is_empty() && left.iter().all(|name| name.starts_with("Pod ")) && Instant::now() < deadline {
        context.terminal.status(format!("waiting until {} is gone", left[0]));
        tokio::time::sleep(PAUSE).await;
        left = others(&client, scope.namespace()).await?;
    }
    if !left.is_empty() {
        context.terminal.note(format!(
            "namespace {} stays: in it are {}",
            scope.namespace(),
            left.join(", ")
        ));
        return Ok("kept: others are in it");
    }
    let object =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": scope.namespace(), "uid": there.uid()}});
    delete(cluster, &object, context).await?;
    gone(cluster, &object, deadline, timeout, context).await?;
    context.terminal.end_status();
    Ok("removed")
}

/// What is in a namespace besides what every namespace has.
async fn others(client: &Client, namespace: &str) -> Outcome<Vec<String>> {
    let mut all = named::<Pod>(client, namespace).await?;
    all.extend(named::<Secret>(client, namespace).await?);
    all.extend(named::<Service>(client, namespace).await?);
    all.extend(named::<PersistentVolumeClaim>(client, namespace).await?);
    all.extend(named::<ConfigMap>(client, namespace).await?);
    // What every namespace has, of Kubernetes and of the embedded cluster.
    let of_all = [
        "ConfigMap kube-root-ca.crt".to_owned(),
        format!("Secret {}", stoke_laptop::object_store::SECRET),
    ];
    all.retain(|name| !of_all.contains(name));
    let applications: Api<stoke_model::crd::SparkApplication> = Api::namespaced(client.clone(), namespace);
    match applications.list(&ListParams::default()).await {
        Ok(list) => all.extend(list.iter().map(|one| format!("SparkApplication {}", one.name_any()))),
        Err(kube::Error::Api(status)) if status.code == 404 => {}
        Err(error) => return Err(error.into()),
    }
    Ok(all)
}

async fn named<K>(client: &Client, namespace: &str) -> Outcome<Vec<String>>
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned
        + k8s_openapi::Metadata<Ty = k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta>,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    let list = api.list(&ListParams::default()).await?;
    Ok(list
        .iter()
        .map(|one| format!("{} {}", K::kind(&()), one.name_any()))
        .collect())
}
