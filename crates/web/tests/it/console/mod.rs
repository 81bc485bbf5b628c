//! Pages of a cluster, on the embedded API server in memory: who is let in, what they see, and what is refused. A node is played by patching
//! statuses.

mod bounds;
mod data;
mod followed;
mod issuer;
mod pages;
mod provider;
mod streams;
mod visitors;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::{Node, Pod, ServiceAccount};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::{Client, Config};
use serde_json::{Value, json};
use stoke_cluster::kubelet::{ContainerName, Kubelet, KubeletError, LogRequest, Process, Streams};
use stoke_cluster::{ApiConfig, ApiServer};
use stoke_eventlog::Source;
use stoke_history::index::{Index, Settings};
use stoke_model::crd::SparkApplication;
use stoke_web::{Access, Terms};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower::ServiceExt;

use crate::site::{Answer, real};

const HOST: &str = "127.0.0.1:26080";

/// An API server, pages of it, and who asks.
struct World {
    server: ApiServer,
    client: Client,
    router: axum::Router,
    link: String,
    index: Arc<Index>,
    logs: tempfile::TempDir,
    _home: tempfile::TempDir,
}

/// A visitor's browser: it keeps cookies.
#[derive(Clone, Default)]
struct Browser {
    cookie: String,
}

impl World {
    async fn new(access: impl FnOnce(&ApiServer) -> Access) -> World {
        World::with(stoke_web::Settings::default(), access).await
    }

    async fn with(settings: stoke_web::Settings, access: impl FnOnce(&ApiServer) -> Access) -> World {
        let home = tempfile::tempdir().unwrap();
        let config = ApiConfig {
            home: home.path().to_owned(),
            in_memory: true,
        };
        let server = ApiServer::start(&config).await.unwrap();
        let logs = real();
        let index = Arc::new(Index::new(Source::directory(logs.path()), Settings::default(), None));
        index.scan().unwrap();
        let access = access(&server);
        let link = access.link().unwrap_or_default();
        let settings = stoke_web::Settings {
            hosts: vec!["console.example.com".to_owned()],
            local: true,
            access: Some(Arc::new(access)),
            ..settings
        };
        World {
            client: server.client(),
            router: stoke_web::router(index.clone(), settings),
            link,
            server,
            index,
            logs,
            _home: home,
        }
    }

    async fn by_link() -> World {
        World::new(|server| Access::by_link(server.client(), Vec::new(), "owner", 26080)).await
    }

    /// With tokens; the address of the API server is all that is known of it.
    async fn by_token(terms: Terms) -> World {
        World::new(|server| Access::by_token(&config_of(server), terms)).await
    }

    async fn ask(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        Answer {
            status: head.status,
            headers: head.headers,
            bytes: body.collect().await.unwrap().to_bytes().to_vec(),
        }
    }

    async fn get(&self, browser: &Browser, path: &str) -> Answer {
        let request = Request::get(path)
            .header("host", HOST)
            .header("cookie", &browser.cookie);
        self.ask(request.body(Body::empty()).unwrap()).await
    }

    async fn twin(&self, browser: &Browser, path: &str) -> Value {
        let form = if path.contains('?') {
            "&output=json"
        } else {
            "?output=json"
        };
        let answer = self.get(browser, &format!("{path}{form}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
        answer.json()
    }

    async fn post(&self, browser: &Browser, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = Request::builder().method(Method::POST).uri(path);
        for (name, value) in [("host", HOST), ("cookie", browser.cookie.as_str())] {
            request = request.header(name, value);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.ask(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    /// Opens the link.
    async fn owner(&self) -> Browser {
        let answer = self.get(&Browser::default(), &self.link).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        assert_eq!(answer.header("location"), "/");
        Browser::of(&answer)
    }

    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), "default")
    }

    async fn make<K>(&self, api: Api<K>, object: Value)
    where
        K: kube::Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned + serde::Serialize,
    {
        let object: K = serde_json::from_value(object).unwrap();
        api.create(&PostParams::default(), &object).await.unwrap();
    }

    async fn submit(&self, name: &str, status: Value) {
        self.make::<SparkApplication>(
            self.api(),
            json!({
                "apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication", "metadata": {"name": name},
                "spec": {"type": "Python", "image": "apache/spark:4.1.4", "sparkVersion": "4.1.4", "mainApplicationFile": "local:///pi.py",
                    "sparkConf": {"spark.executor.memry": "1g", "spark.hadoop.fs.s3a.secret.key": "hunter2"}, "driver": {}, "executor": {}},
            }),
        )
        .await;
        if !status.is_null() {
            let patch = Patch::Merge(json!({ "status": status }));
            let api: Api<SparkApplication> = self.api();
            api.patch_status(name, &PatchParams::default(), &patch).await.unwrap();
        }
    }

    async fn pod(&self, name: &str, app: &str, role: &str, node: Option<&str>, status: Value) {
        let labels = json!({"sparkoperator.k8s.io/app-name": app, "spark-role": role});
        let mut spec = json!({"containers": [{"name": "spark-kubernetes-driver", "image": "apache/spark:4.1.4",
            "resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}]});
        if let Some(node) = node {
            spec["nodeName"] = node.into();
        }
        let pod =
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec});
        self.make::<Pod>(self.api(), pod).await;
        let api: Api<Pod> = self.api();
        let patch = Patch::Merge(json!({ "status": status }));
        api.patch_status(name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// A service account that may read applications and pods of this namespace, and its token.
    async fn robot(&self, name: &str, rules: Value) -> String {
        let meta = json!({ "name": name });
        self.make::<ServiceAccount>(
            self.api(),
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta}),
        )
        .await;
        let group = "rbac.authorization.k8s.io";
        self.make::<Role>(
            self.api(),
            json!({"apiVersion": format!("{group}/v1"), "kind": "Role", "metadata": meta, "rules": rules}),
        )
        .await;
        self.make::<RoleBinding>(
            self.api(),
            json!({"apiVersion": format!("{group}/v1"), "kind": "RoleBinding", "metadata": meta,
                "roleRef": {"apiGroup": group, "kind": "Role", "name": name},
                "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": "default"}]}),
        )
        .await;
        let accounts: Api<ServiceAccount> = self.api();
        let request: TokenRequest = serde_json::from_value(json!({"spec": {"audiences": []}})).unwrap();
        let made = accounts
            .create_token_request(name, &PostParams::default(), &request)
            .await;
        made.unwrap().status.unwrap().token
    }

    async fn sign_in(&self, token: &str, namespaces: &str) -> Answer {
        let origin = format!("http://{HOST}");
        let body = format!("token={token}&namespaces={namespaces}&next=%2Fcluster%2F");
        self.post(&Browser::default(), "/sign-in", &[("origin", &origin)], &body)
            .await
    }
}

impl Browser {
    fn of(answer: &Answer) -> Browser {
        let cookie = answer.header("set-cookie");
        assert!(cookie.contains("; HttpOnly; SameSite=Lax"), "{cookie}");
        Browser {
            cookie: cookie.split(';').next().unwrap().to_owned(),
        }
    }
}

fn config_of(server: &ApiServer) -> Config {
    let mut config = Config::new(server.url().parse().unwrap());
    let pem = server.authority();
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    config.root_cert = Some(vec![STANDARD.decode(body).unwrap()]);
    config
}

fn csrf_of(page: &Answer) -> String {
    let text = page.text();
    let after = text.split("name=\"csrf\" value=\"").nth(1).expect("a form");
    after.split('"').next().unwrap().to_owned()
}

fn reads(resources: &[(&str, &str)]) -> Value {
    let rule = |(group, resource): &(&str, &str)| json!({"apiGroups": [group], "resources": [resource], "verbs": ["get", "list"]});
    resources.iter().map(rule).collect()
}

const APPLICATIONS: (&str, &str) = ("sparkoperator.k8s.io", "sparkapplications");

async fn eventually<F: Future<Output = bool>>(what: &str, limit: Duration, holds: impl Fn() -> F) -> Duration {
    let begun = Instant::now();
    while begun.elapsed() < limit {
        if holds().await {
            return begun.elapsed();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("in vain: {what}");
}

/// What a node of a test answers.
type Answered<T> = futures::future::BoxFuture<'static, Result<T, KubeletError>>;

fn not_here<T: Send + 'static>() -> Answered<T> {
    Box::pin(async { Err(KubeletError::not_found("not here")) })
}
