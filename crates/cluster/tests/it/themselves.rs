//! Controllers act as themselves: quota, webhooks and policies hold for what they create, and see who they are.
//!
//! No node: what is looked at are the objects, Events and conditions that a refused pod leaves behind, and that it is tried again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding, ValidatingWebhookConfiguration,
};
use k8s_openapi::api::apps::v1::{ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Namespace, Pod, ResourceQuota};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt};
use rustls::pki_types::PrivateKeyDer;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::server;

async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < end, "not within 20 s: {what}");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

async fn create<K>(api: &Api<K>, object: Value) -> K
where
    K: Clone + DeserializeOwned + serde::Serialize + std::fmt::Debug,
{
    let object = serde_json::from_value(object).unwrap();
    api.create(&PostParams::default(), &object).await.unwrap()
}

/// A namespace of the test's own.
async fn namespace(client: &Client, name: &str) {
    create(
        &Api::<Namespace>::all(client.clone()),
        json!({"metadata": {"name": name}}),
    )
    .await;
}

fn template(app: &str) -> Value {
    json!({"metadata": {"labels": {"app": app}}, "spec": {"containers": [{"name": "c", "image": "shell"}]}})
}

/// Messages of the Events about an object, by their reason.
async fn messages(client: &Client, namespace: &str, about: &str, reason: &str) -> Vec<String> {
    let events: Api<Event> = Api::namespaced(client.clone(), namespace);
    let of =
        |event: &Event| event.involved_object.name.as_deref() == Some(about) && event.reason.as_deref() == Some(reason);
    let all = events.list(&ListParams::default()).await.unwrap().items;
    let found = all.into_iter().filter(of);
    found.map(|event| event.message.unwrap_or_default()).collect()
}

async fn pods(client: &Client, namespace: &str, app: &str) -> Vec<Pod> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let labelled = ListParams::default().labels(&format!("app={app}"));
    pods.list(&labelled).await.unwrap().items
}

#[tokio::test]
async fn a_quota_refuses_the_pod_of_a_job() {
    let (_server, client, _home) = server::start().await;
    namespace(&client, "a").await;
    let quotas: Api<ResourceQuota> = Api::namespaced(client.clone(), "a");
    create(
        &quotas,
        json!({"metadata": {"name": "q"}, "spec": {"hard": {"pods": "0"}}}),
    )
    .await;
    let jobs: Api<Job> = Api::namespaced(client.clone(), "a");
    let job = json!({"metadata": {"name": "j"}, "spec": {"template": template("j")}});
    let mut job = job;
    job["spec"]["template"]["spec"]["restartPolicy"] = "Never".into();
    create(&jobs, job).await;
    let message = until("an Event FailedCreate", async || {
        messages(&client, "a", "j", "FailedCreate").await.pop()
    })
    .await;
    assert!(
        message.starts_with("Error creating: pods \"j-")
            && message.ends_with("is forbidden: exceeded quota: q, requested: pods=1, used: pods=0, limited: pods=0"),
        "{message}"
    );
    let stored = jobs.get("j").await.unwrap().status.unwrap_or_default();
    assert_eq!((stored.active.unwrap_or(0), stored.failed), (0, None));
    assert!(pods(&client, "a", "j").await.is_empty());
    // It is tried again, more and more rarely, and succeeds once there is room.
    let more = Patch::Merge(json!({"spec": {"hard": {"pods": "1"}}}));
    quotas.patch("q", &PatchParams::default(), &more).await.unwrap();
    until("the pod of the job", async || pods(&client, "a", "j").await.pop()).await;
    until("the job counts it", async || {
        let status = jobs.get("j").await.unwrap().status?;
        (status.active == Some(1)).then_some(())
    })
    .await;
}

/// A webhook server behind TLS; keeps what it was asked. It refuses everything.
struct Webhook {
    address: SocketAddr,
    bundle: String,
    seen: Arc<Mutex<Vec<Value>>>,
}

impl Webhook {
    async fn start() -> Webhook {
        let key = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let private = PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![key.cert.der().clone()], private)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let webhook = Webhook {
            address: listener.local_addr().unwrap(),
            bundle: STANDARD.encode(key.cert.pem()),
            seen: Arc::default(),
        };
        let seen = webhook.seen.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, seen) = (acceptor.clone(), seen.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let answer = hyper::service::service_fn(async |request: Request<Incoming>| {
                        let body = request.into_body().collect().await.unwrap().to_bytes();
                        let review: Value = serde_json::from_slice(&body).unwrap();
                        seen.lock().unwrap().push(review["request"].clone());
                        let response = json!({"uid": review["request"]["uid"], "allowed": false,
                            "status": {"code": 403, "reason": "Forbidden", "message": "no pods today"}});
                        let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response});
                        Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::from(review.to_string()))))
                    });
                    let connection = hyper::server::conn::http1::Builder::new();
                    let _ = connection.serve_connection(TokioIo::new(stream), answer).await;
                });
            }
        });
        webhook
    }

    /// The configuration that asks it about new pods of a namespace.
    fn configuration(&self, namespace: &str) -> Value {
        json!({"metadata": {"name": "no-pods"}, "webhooks": [{"name": "no-pods.example.com",
            "admissionReviewVersions": ["v1"], "sideEffects": "None", "timeoutSeconds": 5,
            "clientConfig": {"url": format!("https://{}/", self.address), "caBundle": self.bundle},
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}]}]})
    }
}

#[tokio::test]
async fn a_webhook_refuses_the_pods_of_a_replica_set() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (_server, client, _home) = server::start().await;
    namespace(&client, "b").await;
    let webhook = Webhook::start().await;
    let webhooks: Api<ValidatingWebhookConfiguration> = Api::all(client.clone());
    create(&webhooks, webhook.configuration("b")).await;
    let sets: Api<ReplicaSet> = Api::namespaced(client.clone(), "b");
    let set = json!({"metadata": {"name": "r"},
        "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "r"}}, "template": template("r")}});
    create(&sets, set).await;
    let refused = "admission webhook \"no-pods.example.com\" denied the request: no pods today";
    let message = until("an Event FailedCreate", async || {
        messages(&client, "b", "r", "FailedCreate").await.pop()
    })
    .await;
    assert_eq!(message, format!("Error creating: {refused}"));
    let condition = until("the condition ReplicaFailure", async || {
        let conditions = sets.get("r").await.unwrap().status?.conditions?;
        conditions
            .into_iter()
            .find(|condition| condition.type_ == "ReplicaFailure")
    })
    .await;
    assert_eq!(
        (
            condition.status.as_str(),
            condition.reason.as_deref(),
            condition.message.as_deref()
        ),
        ("True", Some("FailedCreate"), Some(refused))
    );
    let seen = webhook.seen.lock().unwrap().clone();
    let user = &seen[0]["userInfo"];
    assert_eq!(
        user["username"],
        "system:serviceaccount:kube-system:replicaset-controller"
    );
    assert_eq!(
        user["groups"],
        json!([
            "system:serviceaccounts",
            "system:serviceaccounts:kube-system",
            "system:authenticated"
        ])
    );
    assert!(pods(&client, "b", "r").await.is_empty());
    // One pod is tried at a time, and again after a while; without the webhook all of them come, and the condition goes.
    webhooks.delete("no-pods", &DeleteParams::default()).await.unwrap();
    until("the pods of the set", async || {
        (pods(&client, "b", "r").await.len() == 3).then_some(())
    })
    .await;
    until("the condition goes", async || {
        let conditions = sets.get("r").await.unwrap().status?.conditions.unwrap_or_default();
        conditions.is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_policy_sees_the_name_of_a_controller() {
    let (_server, client, _home) = server::start().await;
    namespace(&client, "c").await;
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(client.clone());
    let policy = json!({"metadata": {"name": "by-hand"}, "spec": {
        "matchConstraints": {"resourceRules": [
            {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}]},
        "validations": [{"expression":
            "request.userInfo.username != 'system:serviceaccount:kube-system:statefulset-controller'",
            "messageExpression": "'not for ' + request.userInfo.username"}]}});
    create(&policies, policy).await;
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(client.clone());
    create(
        &bindings,
        json!({"metadata": {"name": "by-hand"}, "spec": {"policyName": "by-hand", "validationActions": ["Deny"]}}),
    )
    .await;
    let sets: Api<StatefulSet> = Api::namespaced(client.clone(), "c");
    let set = json!({"metadata": {"name": "s"}, "spec": {"replicas": 1, "serviceName": "s",
        "selector": {"matchLabels": {"app": "s"}}, "template": template("s")}});
    create(&sets, set).await;
    let message = until("an Event FailedCreate", async || {
        messages(&client, "c", "s", "FailedCreate").await.pop()
    })
    .await;
    assert_eq!(
        message,
        "create Pod s-0 in StatefulSet s failed error: pods \"s-0\" is forbidden: ValidatingAdmissionPolicy 'by-hand' \
         with binding 'by-hand' denied request: not for system:serviceaccount:kube-system:statefulset-controller"
    );
    // The same pod by an administrator passes.
    let mut by_hand = template("s");
    by_hand["metadata"]["name"] = "t-0".into();
    let pods: Api<Pod> = Api::namespaced(client.clone(), "c");
    let made: Pod = create(&pods, by_hand).await;
    assert_eq!(made.name_any(), "t-0");
    assert!(pods.get_opt("s-0").await.unwrap().is_none());
    bindings.delete("by-hand", &DeleteParams::default()).await.unwrap();
    until("the pod of the set", async || pods.get_opt("s-0").await.unwrap()).await;
}

/// What comes with a namespace is made by controllers too: where a webhook refuses, it comes later.
#[tokio::test]
async fn a_namespace_is_furnished_as_soon_as_that_is_allowed() {
    let (_server, client, _home) = server::start().await;
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(client.clone());
    let policy = json!({"metadata": {"name": "none"}, "spec": {
        "matchConstraints": {"resourceRules": [
            {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["serviceaccounts"]}]},
        "validations": [{"expression": "false"}]}});
    create(&policies, policy).await;
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(client.clone());
    let binding = json!({"metadata": {"name": "none"}, "spec": {"policyName": "none", "validationActions": ["Deny"]}});
    create(&bindings, binding).await;
    namespace(&client, "d").await;
    let accounts: Api<k8s_openapi::api::core::v1::ServiceAccount> = Api::namespaced(client.clone(), "d");
    assert!(accounts.get_opt("default").await.unwrap().is_none());
    bindings.delete("none", &DeleteParams::default()).await.unwrap();
    until("the service account", async || {
        accounts.get_opt("default").await.unwrap()
    })
    .await;
}
