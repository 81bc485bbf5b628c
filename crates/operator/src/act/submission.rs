//! Creates what a submission consists of, or finds it created: the driver pod first, then at once everything it owns.

use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind, Request};
use kube::{Client, Resource, ResourceExt};
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use stoke_model::crd::SparkApplication;
use stoke_model::names as published;

use super::{is_code, pods, refusal, send, unserved};
use crate::application::{Driver, Outcome, Submitted};
use crate::controller::seen::SeenPod;
use crate::names::{API_VERSION, COMPONENT};
use crate::plan::{Plan, Planner, Refusal};

/// What came of it, and the driver pod as it is now.
pub(crate) struct Answer {
    pub(crate) outcome: Outcome,
    pub(crate) driver: Option<Driver>,
    /// The pod as the API server answered it, for the cache.
    pub(crate) pod: Option<Pod>,
}

impl Answer {
    fn refused(code: &str, message: String, permanent: bool) -> Self {
        Self {
            outcome: Outcome::Refused {
                code: code.to_owned(),
                message,
                permanent,
            },
            driver: None,
            pod: None,
        }
    }

    fn blocked(message: String, driver: Driver) -> Self {
        Self {
            outcome: Outcome::Blocked { message },
            driver: Some(driver),
            pod: None,
        }
    }
}

/// Submits the attempt recorded in the application's status.
///
/// # Errors
/// Only what may pass: the API server not reached, overloaded, or changed under our hands. Then the same call is made again later.
pub(crate) async fn submit(
    client: &Client,
    app: &SparkApplication,
    planner: &dyn Planner,
) -> Result<Answer, kube::Error> {
    let plan = match planner.plan(app) {
        Ok(plan) => plan,
        Err(Refusal { code, message }) => return Ok(Answer::refused(&code, message, true)),
    };
    let namespace = app.namespace().unwrap_or_default();
    let app_uid = app.uid().unwrap_or_default();
    for resource in &plan.before {
        if let Err(error) = apply(client, &namespace, resource).await {
            return match unserved::explain(&error, resource) {
                Some(message) => Ok(Answer::refused("NotServed", message, false)),
                None => refused(&plan.driver_pod_name, error),
            };
        }
    }
    let pods: Api<Pod> = Api::namespaced(client.clone(), &namespace);
    let body = driver_pod(app, &plan);
    let (pod, adopted) = match create(client, &namespace, &body).await {
        Ok(pod) => (pod, false),
        Err(error) if is_code(&error, 409) => match pods.get_opt(&plan.driver_pod_name).await? {
            Some(pod) if is_this_submission(&pod, app) => (pod, true),
            Some(pod) => return Ok(in_the_way(&pod, app)),
            // It went between the two requests.
            None => return Err(error),
        },
        Err(error) => return refused(&plan.driver_pod_name, error),
    };
    let pod_uid = pod.uid().unwrap_or_default();
    let owned = plan.owned_by(&pod_uid);
    let applied = owned
        .iter()
        .map(|resource| apply_owned(client, &namespace, resource, &pod_uid, adopted));
    if let Err((error, what, resource)) = try_join_all(applied).await {
        if refusal(&error).is_some() {
            // Without all it needs the driver could only hang: nothing of this attempt stays.
            pods::delete(client, &namespace, &plan.driver_pod_name, Some(&pod_uid), &app_uid).await?;
        }
        return match unserved::explain(&error, resource) {
            Some(message) => Ok(Answer::refused("NotServed", message, false)),
            None => refused(&what, error),
        };
    }
    Ok(Answer {
        outcome: Outcome::Submitted(Submitted {
            application_id: plan.application_id,
            web_ui: plan.web_ui,
            web_ui_ingress: plan.web_ui_ingress,
        }),
        driver: Some(pods::read(&pod, &app_uid)),
        pod: Some(pod),
    })
}

/// POST of the pod as it is: `env` may name a variable twice, which a typed pod or server-side apply would not survive.
pub(crate) async fn create(client: &Client, namespace: &str, body: &Value) -> Result<Pod, kube::Error> {
    let parameters = PostParams {
        field_manager: Some(COMPONENT.to_owned()),
        ..PostParams::default()
    };
    let body = serde_json::to_vec(body).map_err(kube::Error::SerdeError)?;
    let request = Request::new(Pod::url_path(&(), Some(namespace))).create(&parameters, body);
    let answer: SeenPod = send(client, request).await?;
    let unreadable = || kube::Error::Service("the API server answered a pod that cannot be read".into());
    answer.well_formed().ok_or_else(unreadable)
}

fn refused(what: &str, error: kube::Error) -> Result<Answer, kube::Error> {
    match refusal(&error) {
        Some(status) => {
            let reason = if status.reason.is_empty() {
                "Refused"
            } else {
                &status.reason
            };
            Ok(Answer::refused(reason, format!("{what}: {}", status.message), false))
        }
        None => Err(error),
    }
}

/// True for the driver pod of exactly this attempt of exactly this application.
fn is_this_submission(pod: &Pod, app: &SparkApplication) -> bool {
    let recorded = app.status.as_ref().and_then(|status| status.submission_id.as_ref());
    let owned = pod
        .owner_references()
        .iter()
        .any(|owner| Some(&owner.uid) == app.metadata.uid.as_ref());
    owned && recorded.is_some() && pod.labels().get(published::LABEL_SUBMISSION_ID) == recorded
}

/// A pod with the driver's name that is not this attempt's.
fn in_the_way(pod: &Pod, app: &SparkApplication) -> Answer {
    let name = pod.name_any();
    let owners = pod.owner_references();
    if owners.iter().any(|owner| Some(&owner.uid) == app.metadata.uid.as_ref()) {
        let driver = pods::read(pod, app.metadata.uid.as_deref().unwrap_or_default());
        return Answer::blocked(format!("pod {name} of an earlier attempt is being removed"), driver);
    }
    if owners
        .iter()
        .any(|owner| owner.kind == "SparkApplication" && owner.name == app.name_any())
    {
        let message = format!("pod {name} of a deleted application of the same name is being removed");
        return Answer::blocked(message, Driver::Gone);
    }
    let message = format!(
        "pod {name} exists and does not belong to this application; delete it, or name another in spec.driver.podName"
    );
    Answer::refused("AlreadyExists", message, false)
}

/// The planned driver pod with what makes it ours: owner, labels.
fn driver_pod(app: &SparkApplication, plan: &Plan) -> Value {
    let mut pod = plan.driver_pod.clone();
    let Some(metadata) = pod.get_mut("metadata").and_then(Value::as_object_mut) else {
        return pod;
    };
    let status = app.status.clone().unwrap_or_default();
    metadata.insert("namespace".to_owned(), json!(app.namespace().unwrap_or_default()));
    metadata.insert(
        "ownerReferences".to_owned(),
        json!([{
            "apiVersion": API_VERSION, "kind": "SparkApplication", "name": app.name_any(), "uid": app.uid().unwrap_or_default(),
            "controller": true, "blockOwnerDeletion": true,
        }]),
    );
    let labels = metadata.entry("labels").or_insert_with(|| json!({}));
    if let Some(labels) = labels.as_object_mut() {
        labels.insert(published::LABEL_LAUNCHED_BY.to_owned(), json!("true"));
        for (key, value) in published::app_labels(&app.name_any(), status.submission_id.as_deref()) {
            labels.insert(key, json!(value));
        }
    }
    pod
}

/// Applies an object the pod owns. Found in the way after an adoption, it is the one an interrupted call of ours created.
async fn apply_owned<'a>(
    client: &Client,
    namespace: &str,
    resource: &'a Value,
    pod_uid: &str,
    adopted: bool,
) -> Result<(), (kube::Error, String, &'a Value)> {
    let describe = |error| {
        (
            error,
            format!(
                "{} {}",
                resource["kind"].as_str().unwrap_or("object"),
                name_of(resource)
            ),
            resource,
        )
    };
    match apply(client, namespace, resource).await {
        Ok(()) => Ok(()),
        // An immutable ConfigMap planned by another version of this program.
        Err(error) if adopted && is_code(&error, 422) => {
            let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &kind_of(resource));
            let existing = api.get_opt(name_of(resource)).await.map_err(describe)?;
            let ours =
                existing.is_some_and(|object| object.owner_references().iter().any(|owner| owner.uid == pod_uid));
            if ours { Ok(()) } else { Err(describe(error)) }
        }
        Err(error) => Err(describe(error)),
    }
}

pub(crate) async fn apply(client: &Client, namespace: &str, resource: &Value) -> Result<(), kube::Error> {
    let parameters = PatchParams::apply(COMPONENT).force();
    let url = DynamicObject::url_path(&kind_of(resource), Some(namespace));
    let request = Request::new(url).patch(name_of(resource), &parameters, &Patch::Apply(resource));
    send::<IgnoredAny>(client, request).await.map(drop)
}

/// The resource of an object.
fn kind_of(resource: &Value) -> ApiResource {
    let text = |field: &str| resource[field].as_str().unwrap_or_default();
    let (group, version) = text("apiVersion").split_once('/').unwrap_or(("", text("apiVersion")));
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, text("kind")))
}

fn name_of(resource: &Value) -> &str {
    resource["metadata"]["name"].as_str().unwrap_or_default()
}
