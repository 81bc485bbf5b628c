//! Objects of a manifest into the cluster: created, or applied server-side when they are there already.

use std::time::Duration;

use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams, PropagationPolicy};
use kube::core::GroupVersionKind;
use kube::discovery::{ApiCapabilities, ApiResource, Scope};
use kube::{Client, ResourceExt};
use serde_json::Value;
use stoke_model::crd::SparkApplication;

use crate::error::{LaptopError, Outcome};

/// Our name as a field manager.
pub const FIELD_MANAGER: &str = "stoke";

/// Applies one object; gives it as the API server keeps it.
pub async fn apply(client: &Client, namespace: &str, object: &Value) -> Outcome<DynamicObject> {
    let (resource, capabilities) = kind_of(client, object).await?;
    let object: DynamicObject = serde_json::from_value(object.clone())
        .map_err(|error| LaptopError::input("stoke::manifest::object", format!("not a Kubernetes object: {error}")))?;
    let api = api_for(client, namespace, &resource, &capabilities, &object);
    let parameters = PostParams {
        field_manager: Some(FIELD_MANAGER.into()),
        ..PostParams::default()
    };
    match api.create(&parameters, &object).await {
        Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => {
            let parameters = PatchParams::apply(FIELD_MANAGER).force();
            Ok(api
                .patch(&object.name_any(), &parameters, &Patch::Apply(&object))
                .await?)
        }
        created => Ok(created?),
    }
}

/// Creates an application. One of the same name that has ended makes room; one that runs is an error.
pub async fn create_application(client: &Client, namespace: &str, object: &Value) -> Outcome<SparkApplication> {
    let application: SparkApplication = serde_json::from_value(object.clone()).map_err(|error| {
        LaptopError::input(
            "stoke::manifest::application",
            format!("not a SparkApplication: {error}"),
        )
    })?;
    let api: Api<SparkApplication> = Api::namespaced(client.clone(), namespace);
    let name = application.name_any();
    // The raw object is sent, so that fields we do not know arrive as written.
    let raw: DynamicObject = serde_json::from_value(object.clone()).map_err(|error| {
        LaptopError::input(
            "stoke::manifest::application",
            format!("not a Kubernetes object: {error}"),
        )
    })?;
    let dynamic: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), namespace, &ApiResource::erase::<SparkApplication>(&()));
    let parameters = PostParams {
        field_manager: Some(FIELD_MANAGER.into()),
        ..PostParams::default()
    };
    for _ in 0..2 {
        match dynamic.create(&parameters, &raw).await {
            Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => make_room(&api, &name).await?,
            created => {
                let created = created?;
                let value = serde_json::to_value(created).unwrap_or_default();
                return serde_json::from_value(value).map_err(|error| {
                    LaptopError::environment(
                        "stoke::api::answer",
                        format!("the API server's answer is not an application: {error}"),
                    )
                });
            }
        }
    }
    Err(LaptopError::environment(
        "stoke::run::name-taken",
        format!("another client keeps creating application `{name}`"),
    ))
}

/// Applies one object server-side from the beginning, so that what it no longer says goes.
pub async fn apply_whole(client: &Client, object: &Value) -> Outcome<DynamicObject> {
    let (resource, capabilities) = kind_of(client, object).await?;
    let object = dynamic(object)?;
    let api = api_for(client, "default", &resource, &capabilities, &object);
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    Ok(api
        .patch(&object.name_any(), &parameters, &Patch::Apply(&object))
        .await?)
}

/// Creates one object; none when it was there.
pub async fn create_new(client: &Client, object: &Value) -> Outcome<Option<DynamicObject>> {
    let (resource, capabilities) = kind_of(client, object).await?;
    let object = dynamic(object)?;
    let api = api_for(client, "default", &resource, &capabilities, &object);
    // Who may not create it may still find it.
    if api.get_opt(&object.name_any()).await.is_ok_and(|there| there.is_some()) {
        return Ok(None);
    }
    match api.create(&PostParams::default(), &object).await {
        Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => Ok(None),
        created => Ok(Some(created?)),
    }
}

fn dynamic(object: &Value) -> Outcome<DynamicObject> {
    serde_json::from_value(object.clone())
        .map_err(|error| LaptopError::input("stoke::manifest::object", format!("not a Kubernetes object: {error}")))
}

/// Deletes one object of any kind, and says where it was and its UID: it may be there for a while, or another one of its name. None when it,
/// or its kind, was not there.
pub async fn delete_one(
    client: &Client,
    object: &Value,
    parameters: &DeleteParams,
) -> Outcome<Option<(Api<DynamicObject>, DynamicObject)>> {
    let (resource, capabilities) = match kind_of(client, object).await {
        Ok(found) => found,
        // A cluster without the kind has no object of it.
        Err(failure) if failure.diagnostic.code == NO_KIND => return Ok(None),
        Err(failure) => return Err(failure),
    };
    let mut object = dynamic(object)?;
    let api = api_for(client, "default", &resource, &capabilities, &object);
    match api.delete(&object.name_any(), parameters).await {
        Ok(answer) => {
            object.metadata.uid = answer.either(
                |marked| marked.metadata.uid,
                |status| status.details.map(|details| details.uid).filter(|uid| !uid.is_empty()),
            );
            Ok(Some((api, object)))
        }
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn make_room(api: &Api<SparkApplication>, name: &str) -> Outcome<()> {
    let Some(old) = api.get_opt(name).await? else {
        return Ok(());
    };
    let state = old.status.map(|status| status.app_state.state).unwrap_or_default();
    if !state.is_terminal() {
        return Err(LaptopError::input(
            "stoke::run::already-running",
            format!("application `{name}` is there already and has not ended"),
        )
        .fix(format!(
            "wait for it (`stoke ps`), end it (`stoke delete {name}`), or run this one under another `--name`"
        )));
    }
    delete(api, name).await?;
    Ok(())
}

/// Deletes an application with what belongs to it and waits until it is gone; false when it was not there.
pub async fn delete(api: &Api<SparkApplication>, name: &str) -> Outcome<bool> {
    let parameters = DeleteParams {
        propagation_policy: Some(PropagationPolicy::Foreground),
        ..DeleteParams::default()
    };
    match api.delete(name, &parameters).await {
        Err(kube::Error::Api(status)) if status.code == 404 => return Ok(false),
        other => other?,
    };
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while api.get_metadata_opt(name).await?.is_some() {
        if tokio::time::Instant::now() > deadline {
            return Err(LaptopError::environment(
                "stoke::delete::slow",
                format!("application `{name}` is still being deleted after 60 s"),
            )
            .fix(format!(
                "see what holds it: `kubectl get sparkapplication {name} -o yaml`"
            )));
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    Ok(true)
}

/// What the cluster says of an object's kind.
pub async fn kind_of(client: &Client, object: &Value) -> Outcome<(ApiResource, ApiCapabilities)> {
    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
    let (group, version) = text("apiVersion").split_once('/').unwrap_or(("", text("apiVersion")));
    let kind = GroupVersionKind::gvk(group, version, text("kind"));
    let found = kube::discovery::pinned_kind(client, &kind).await;
    found.map_err(|error| no_kind(error, text("apiVersion"), text("kind")))
}

/// The code of a kind that the cluster does not serve.
const NO_KIND: &str = "stoke::manifest::kind";

/// Why a kind was not found: only a cluster that answers can lack it.
fn no_kind(error: kube::Error, version: &str, kind: &str) -> LaptopError {
    let is_absent = match &error {
        kube::Error::Discovery(_) => true,
        kube::Error::Api(status) => status.code == 404,
        _ => false,
    };
    if !is_absent {
        return error.into();
    }
    LaptopError::input(NO_KIND, format!("the cluster does not serve {version} {kind}: {error}"))
}

/// Where objects of a kind are, in the namespace they name or another.
pub fn api_for(
    client: &Client,
    namespace: &str,
    resource: &ApiResource,
    capabilities: &ApiCapabilities,
    object: &DynamicObject,
) -> Api<DynamicObject> {
    match capabilities.scope {
        Scope::Cluster => Api::all_with(client.clone(), resource),
        Scope::Namespaced => Api::namespaced_with(
            client.clone(),
            object.metadata.namespace.as_deref().unwrap_or(namespace),
            resource,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;
    use kube::error::DiscoveryError;

    #[test]
    fn only_a_cluster_that_answers_lacks_a_kind() {
        let answered = |code: u16, message: &str| {
            let status = serde_json::json!({"status": "Failure", "code": code, "message": message, "reason": ""});
            kube::Error::Api(serde_json::from_value::<Box<Status>>(status).unwrap())
        };
        let cases = [
            (
                kube::Error::Service("connection refused".into()),
                "stoke::api::unreachable",
            ),
            (kube::Error::Discovery(DiscoveryError::MissingKind("K".into())), NO_KIND),
            (answered(404, "404 page not found"), NO_KIND),
            (answered(401, "Unauthorized"), "stoke::api::refused"),
            (answered(403, "forbidden"), "stoke::api::refused"),
            (answered(503, "starting"), "stoke::api::refused"),
        ];
        for (error, code) in cases {
            let failure = no_kind(error, "a/v1", "K");
            assert_eq!(failure.diagnostic.code, code, "{}", failure.diagnostic.message);
            assert_eq!(
                failure.diagnostic.message.contains("does not serve a/v1 K"),
                code == NO_KIND
            );
        }
    }
}
