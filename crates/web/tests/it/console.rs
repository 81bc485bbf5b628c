//! Pages of a cluster, on the embedded API server in memory: who is let in, what they see, and what is refused. A node is played by patching
//! statuses.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
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
    _home: tempfile::TempDir,
    _logs: tempfile::TempDir,
}

/// A visitor's browser: it keeps cookies.
#[derive(Clone, Default)]
struct Browser {
    cookie: String,
}

impl World {
    async fn new(access: impl FnOnce(&ApiServer) -> Access) -> World {
        let home = tempfile::tempdir().unwrap();
        let config = ApiConfig {
            home: home.path().to_owned(),
            in_memory: true,
        };
        let server = ApiServer::start(&config).await.unwrap();
        let logs = real();
        let index = Index::new(Source::directory(logs.path()), Settings::default(), None);
        index.scan().unwrap();
        let access = access(&server);
        let link = access.link().unwrap_or_default();
        let settings = stoke_web::Settings {
            hosts: vec!["console.example.com".to_owned()],
            local: true,
            access: Some(Arc::new(access)),
            ..stoke_web::Settings::default()
        };
        World {
            client: server.client(),
            router: stoke_web::router(Arc::new(index), settings),
            link,
            server,
            _home: home,
            _logs: logs,
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
    config.root_cert = Some(vec![decoded(&body)]);
    config
}

/// Base 64.
fn decoded(text: &str) -> Vec<u8> {
    let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits: Vec<u32> = text
        .chars()
        .filter_map(|letter| letters.find(letter))
        .map(|place| place as u32)
        .collect();
    let bytes = digits.chunks(4).flat_map(|four| {
        let whole = four.iter().fold(0, |sum, digit| sum << 6 | digit) << (6 * (4 - four.len()));
        let [_, a, b, c] = whole.to_be_bytes();
        [a, b, c].into_iter().take(four.len() - 1)
    });
    bytes.collect()
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

#[tokio::test(flavor = "multi_thread")]
async fn an_application_is_seen_within_a_second_with_what_needs_somebody() {
    let world = World::by_link().await;
    let owner = world.owner().await;
    assert_eq!(world.twin(&owner, "/").await["attention"]["total"], 0);
    world.submit("pi", Value::Null).await;
    let took = eventually("the application is listed", Duration::from_secs(5), async || {
        let twin = world.twin(&owner, "/?q=pi").await;
        twin["applications"]["rows"]
            .as_array()
            .unwrap()
            .iter()
            .any(|row| row["name"] == "pi" && row["state"] == "pending")
    })
    .await;
    assert!(took < Duration::from_secs(1), "{took:?}");
    println!("seen after {took:?}");
    let failed = json!({"applicationState": {"state": "FAILED", "errorMessage": "driver container failed with ExitCode: 1, <b>Error</b>"}});
    world.submit("etl", failed).await;
    eventually("it needs somebody", Duration::from_secs(5), async || {
        let twin = world.twin(&owner, "/").await;
        twin["attention"]["rows"][0]["need"] == "failed"
    })
    .await;
    let page = world.get(&owner, "/").await;
    let text = page.text();
    assert!(text.contains("href=\"/applications/default/etl/log/\""), "{text}");
    assert!(text.contains("&lt;b&gt;Error&lt;/b&gt;") && text.contains("data-live=\"1000\""));
    // Runs of the history stand in the same list.
    let twin = world.twin(&owner, "/").await;
    assert!(twin["applications"]["total"].as_u64().unwrap() > 2);
    assert_eq!(
        world.twin(&owner, "/?state=failed&namespace=default").await["applications"]["total"],
        1
    );
    // What has not changed is not sent again.
    let request = Request::get("/").header("host", HOST).header("cookie", &owner.cookie);
    let again = request
        .header("if-none-match", page.header("etag"))
        .header("x-stoke-live", "1");
    let again = world.ask(again.body(Body::empty()).unwrap()).await;
    assert!(matches!(again.status, StatusCode::NOT_MODIFIED | StatusCode::OK));
    assert_eq!(page.header("cache-control"), "no-store");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_of_an_application() {
    let world = World::by_link().await;
    let owner = world.owner().await;
    world
        .submit(
            "pi",
            json!({"applicationState": {"state": "RUNNING"}, "submissionID": "s1", "lastSubmissionAttemptTime": "2026-11-23T10:00:10Z",
                "sparkApplicationId": "spark-1", "executionAttempts": 1, "driverInfo": {"podName": "pi-driver"},
                "transitions": [{"state": "SUBMITTED", "time": "2026-11-23T10:00:10Z"}, {"state": "RUNNING", "time": "2026-11-23T10:00:20Z"}],
                "conditions": [{"type": "DriverReady", "status": "True", "reason": "DriverRunning", "message": "", "lastTransitionTime": "2026-11-23T10:00:20Z"}]}),
        )
        .await;
    world
        .pod(
            "pi-driver",
            "pi",
            "driver",
            None,
            json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                "message": "0/1 nodes are available: 1 Insufficient cpu.", "lastTransitionTime": "2026-11-23T10:00:11Z"}]}),
        )
        .await;
    let twin = world.twin(&owner, "/applications/default/pi/").await;
    assert_eq!(twin["state"], "running");
    assert_eq!(twin["application"]["phase"], "RUNNING");
    assert_eq!(twin["attempts"]["rows"][0]["attempt"], 1);
    assert_eq!(twin["conditions"]["rows"][0]["reason"], "DriverRunning");
    assert!(twin["waits"].as_str().unwrap().contains("Insufficient cpu"), "{twin:#}");
    let steps: Vec<&str> = twin["steps"]["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["step"].as_str().unwrap())
        .collect();
    assert_eq!(steps, ["Created", "Submitted"]);
    assert_eq!(twin["pods"]["rows"][0]["name"], "pi-driver");
    for page in ["/compare", "/cost", "/history/"] {
        assert_eq!(world.get(&owner, page).await.status, StatusCode::OK, "{page}");
    }
    let manifest = world.twin(&owner, "/applications/default/pi/manifest/").await;
    let found = manifest["manifest"]["findings"].as_array().unwrap();
    let wrong = found.iter().find(|one| one["code"] == "conf-unknown-key").unwrap();
    let line = wrong["line"].as_u64().unwrap() as usize;
    let lines = manifest["manifest"]["lines"].as_array().unwrap();
    assert!(
        lines[line - 1].as_str().unwrap().contains("spark.executor.memry"),
        "{manifest:#}"
    );
    let all = world.get(&owner, "/applications/default/pi/manifest/").await.text();
    assert!(!all.contains("hunter2") && all.contains("mark-at error"));
    for page in [
        "pods/",
        "events/",
        "log/",
        "log/?pod=pi-driver&level=error&q=x&lines=9999999",
    ] {
        let answer = world.get(&owner, &format!("/applications/default/pi/{page}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{page} {}", answer.text());
    }
    for page in [
        "/applications/default/nothing/",
        "/applications/default/pi/x/",
        "/applications/default/pi/log/?pod=other",
        "/applications/default/..%2f..%2fpods/",
        "/applications/%2e%2e/pi/",
        "/applications/default/",
    ] {
        let status = world.get(&owner, page).await.status;
        assert!(
            status.is_client_error() || status == StatusCode::BAD_GATEWAY,
            "{page} {status}"
        );
        assert_ne!(status, StatusCode::OK);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cluster_its_quotas_and_what_cannot_start() {
    let world = World::by_link().await;
    let owner = world.owner().await;
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}});
    let nodes: Api<Node> = Api::all(world.client.clone());
    world.make(nodes.clone(), node).await;
    let status = json!({"status": {"allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"},
        "conditions": [{"type": "Ready", "status": "True", "lastHeartbeatTime": null, "lastTransitionTime": null}]}});
    nodes
        .patch_status("n1", &PatchParams::default(), &Patch::Merge(status))
        .await
        .unwrap();
    world
        .pod("pi-driver", "pi", "driver", Some("n1"), json!({"phase": "Running"}))
        .await;
    let waits = json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
        "message": "0/1 nodes are available: 1 Insufficient memory.", "lastTransitionTime": "2026-11-23T10:00:11Z"}]});
    world.pod("pi-exec-1", "pi", "executor", None, waits).await;
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": {"pods": "5"}}});
    world
        .make::<k8s_openapi::api::core::v1::ResourceQuota>(world.api(), quota)
        .await;
    eventually("the quota counts", Duration::from_secs(5), async || {
        world.twin(&owner, "/cluster/").await["quotas"]["rows"][0]["used"]["used"] == 2000
    })
    .await;
    let twin = world.twin(&owner, "/cluster/").await;
    assert_eq!(twin["nodes"]["rows"][0]["cores"], json!({"used": 1000, "total": 4000}));
    assert_eq!(
        twin["nodes"]["rows"][0]["memory"],
        json!({"used": 1_i64 << 30, "total": 8_i64 << 30})
    );
    assert_eq!(twin["cannotStart"]["rows"][0]["reason"], "Unschedulable");
    assert_eq!(twin["cannotStart"]["rows"][0]["application"], "pi");
    let on = world.twin(&owner, "/cluster/node/?id=n1").await;
    assert_eq!(
        (on["pods"]["total"].clone(), on["pods"]["rows"][0]["pod"].clone()),
        (json!(1), json!("pi-driver"))
    );
    assert_eq!(
        world.get(&owner, "/cluster/node/?id=n2").await.status,
        StatusCode::NOT_FOUND
    );
    let connect = json!({"apiVersion": "sparkoperator.k8s.io/v1alpha1", "kind": "SparkConnect", "metadata": {"name": "c"},
        "spec": {"sparkVersion": "4.1.4", "image": "a/b:1", "server": {}, "executor": {}}});
    world.make::<stoke_model::crd::SparkConnect>(world.api(), connect).await;
    let api: Api<stoke_model::crd::SparkConnect> = world.api();
    let status = json!({"status": {"state": "Ready", "server": {"url": "sc://c-server.default.svc:15002"}}});
    api.patch_status("c", &PatchParams::default(), &Patch::Merge(status))
        .await
        .unwrap();
    let twin = world.twin(&owner, "/connect/").await;
    assert_eq!(twin["servers"]["rows"][0]["url"], "sc://c-server.default.svc:15002");
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_is_asked_with_a_form_and_errors_stand_in_place() {
    let world = World::by_link().await;
    let owner = world.owner().await;
    let page = world.get(&owner, "/sql/").await;
    assert!(page.text().contains("No Connect server is ready"), "{}", page.text());
    let connect = json!({"apiVersion": "sparkoperator.k8s.io/v1alpha1", "kind": "SparkConnect", "metadata": {"name": "c"},
        "spec": {"sparkVersion": "4.1.4", "image": "a/b:1", "server": {}, "executor": {}}});
    world.make::<stoke_model::crd::SparkConnect>(world.api(), connect).await;
    let api: Api<stoke_model::crd::SparkConnect> = world.api();
    let status = json!({"status": {"state": "Ready", "server": {"url": "sc://c-server.default.svc:15002"}}});
    api.patch_status("c", &PatchParams::default(), &Patch::Merge(status))
        .await
        .unwrap();
    let page = world.get(&owner, "/sql/").await;
    assert!(page.text().contains("<option>default/c</option>"), "{}", page.text());
    assert!(
        page.text().contains("ends after 30 s; at most 1000 rows and 4 MiB"),
        "{}",
        page.text()
    );
    let csrf = csrf_of(&page);
    let origin = format!("http://{HOST}");
    let own = [("origin", origin.as_str())];
    let ask = async |server: &str, statement: &str| {
        let body = format!("csrf={csrf}&server={server}&statement={statement}");
        world.post(&owner, "/sql/", &own, &body).await
    };
    for (server, statement, says) in [
        ("default%2Fc", "DROP+TABLE+t", "stoke::sql::writes"),
        ("default%2Fc", "+", "stoke::sql::empty"),
        ("default%2Fother", "SELECT+1", "not found"),
        ("..%2Fc", "SELECT+1", "is not there, or not ready"),
        // The client of this test has no connection that could be carried to a pod.
        ("default%2Fc", "SELECT+1", "class=\"note bad\""),
    ] {
        let answer = ask(server, statement).await;
        assert_eq!(answer.status, StatusCode::OK, "{statement}");
        assert!(answer.text().contains(says), "{server} {statement}: {}", answer.text());
    }
    let hostile = ask("default%2Fc", "%3C%2Ftextarea%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E").await;
    assert!(!hostile.text().contains("<script>alert"), "{}", hostile.text());
    let forged = "csrf=00&server=default%2Fc&statement=SELECT+1";
    assert_eq!(
        world.post(&owner, "/sql/", &own, forged).await.status,
        StatusCode::FORBIDDEN
    );
    let twin = world.twin(&owner, "/sql/").await;
    assert_eq!(twin["page"], "sql");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_is_checked_in_place() {
    let world = World::by_link().await;
    let owner = world.owner().await;
    let csrf = csrf_of(&world.get(&owner, "/check/").await);
    let origin = format!("http://{HOST}");
    let own = [("origin", origin.as_str())];
    let body = |manifest: &str| format!("csrf={csrf}&manifest={manifest}");
    let manifest = "apiVersion%3A+sparkoperator.k8s.io%2Fv1beta2%0Akind%3A+SparkApplication%0Ametadata%3A%0A++name%3A+pi%0Aspec%3A%0A++typ%3A+Python%0A";
    let answer = world.post(&owner, "/check/", &own, &body(manifest)).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(
        answer.text().contains("mark-at error") && answer.text().contains("unknown-field"),
        "{}",
        answer.text()
    );
    let hostile = world
        .post(
            &owner,
            "/check/",
            &own,
            &body("%3Cscript%3Ealert(1)%3C%2Fscript%3E%1B%5B31m"),
        )
        .await;
    assert_eq!(hostile.text().matches("<script").count(), 1);
    assert!(hostile.text().contains('␛'));
    let large = world.post(&owner, "/check/", &own, &body(&"x".repeat(300 << 10))).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
    // A bomb of aliases, and one of depth.
    for bomb in ["a%3A+%26a+%5B*a%5D".to_owned(), "%5B".repeat(20_000)] {
        let begun = Instant::now();
        assert_eq!(
            world.post(&owner, "/check/", &own, &body(&bomb)).await.status,
            StatusCode::OK
        );
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_visitors_of_a_laptop() {
    let world = World::by_link().await;
    let owner = world.owner().await;
    world.submit("pi", Value::Null).await;
    let nobody = Browser::default();
    let other = Browser {
        cookie: "stoke-26080=00".to_owned(),
    };
    for browser in [&nobody, &other] {
        for path in [
            "/",
            "/cluster/",
            "/check/",
            "/applications/default/pi/",
            "/history/x/",
            "/api/v1/applications",
            "/x",
            "/open?token=00",
            "/open",
        ] {
            let answer = world.get(browser, path).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
            assert!(!answer.text().contains("default/pi"), "{path}");
            assert_eq!(answer.header("set-cookie"), "");
        }
        let twin = world.get(browser, "/?output=json").await;
        assert_eq!(
            (twin.status, twin.json()["page"].clone()),
            (StatusCode::UNAUTHORIZED, json!("sign-in"))
        );
    }
    // The secret is in no page.
    let secret = world.link.split('=').nth(1).unwrap();
    let cookie = owner.cookie.split('=').nth(1).unwrap();
    for path in ["/", "/check/", "/applications/default/pi/"] {
        let text = world.get(&owner, path).await.text();
        assert!(!text.contains(secret) && !text.contains(cookie), "{path}");
    }
    // Another name leads here: refused before anything is looked at.
    for host in ["evil.example.com", "127.0.0.1.evil.com"] {
        let request = Request::get("/").header("host", host).header("cookie", &owner.cookie);
        let answer = world.ask(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::MISDIRECTED_REQUEST, "{host}");
    }
    // Forms of other pages, of none, with the wrong token or without.
    let csrf = csrf_of(&world.get(&owner, "/check/").await);
    let (own, good) = (format!("http://{HOST}"), format!("csrf={csrf}&manifest=x"));
    for (headers, body, status) in [
        (&[("origin", own.as_str())][..], good.as_str(), StatusCode::OK),
        (&[("origin", "http://evil.example.com")], &good, StatusCode::FORBIDDEN),
        (&[("origin", "null")], &good, StatusCode::FORBIDDEN),
        (&[("origin", "http://127.0.0.1:26081")], &good, StatusCode::FORBIDDEN),
        (&[], &good, StatusCode::FORBIDDEN),
        (
            &[("origin", &own), ("sec-fetch-site", "cross-site")],
            &good,
            StatusCode::FORBIDDEN,
        ),
        (&[("origin", &own)], "manifest=x", StatusCode::FORBIDDEN),
        (&[("origin", &own)], "csrf=00&manifest=x", StatusCode::FORBIDDEN),
        (&[("origin", "https://console.example.com")], &good, StatusCode::OK),
    ] {
        let answer = world.post(&owner, "/check/", headers, body).await;
        assert_eq!(answer.status, status, "{headers:?} {body}");
    }
    assert_eq!(
        world.post(&nobody, "/check/", &[("origin", &own)], &good).await.status,
        StatusCode::UNAUTHORIZED
    );
    for path in ["/", "/applications/default/pi/", "/x"] {
        let answer = world.post(&owner, path, &[("origin", &own)], &good).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
    }
    // The secret as a bearer token, for scripts; another one is refused.
    for (token, status) in [
        (secret, StatusCode::OK),
        ("00", StatusCode::UNAUTHORIZED),
        ("", StatusCode::UNAUTHORIZED),
    ] {
        let request = Request::get("/?output=json").header("host", HOST);
        let request = request.header("authorization", format!("Bearer {token}"));
        assert_eq!(world.ask(request.body(Body::empty()).unwrap()).await.status, status);
    }
    // Signing out ends the session, and only by a form of ours.
    let answer = world
        .post(&owner, "/sign-out", &[("origin", "http://evil.example.com")], &good)
        .await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let answer = world.post(&owner, "/sign-out", &[("origin", &own)], &good).await;
    assert!(answer.status == StatusCode::SEE_OTHER && answer.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(world.get(&owner, "/").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn visitors_see_what_their_tokens_may_see() {
    let world = World::by_token(Terms::CLUSTER).await;
    world
        .submit("pi", json!({"applicationState": {"state": "RUNNING"}}))
        .await;
    let reader = world.robot("reader", reads(&[APPLICATIONS])).await;
    let stranger = world.robot("stranger", json!([])).await;
    // Not a token, one of someone else's making, and none.
    for wrong in ["x", "eyJhbGciOiJub25lIn0.e30.", ""] {
        let answer = world.sign_in(wrong, "").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{wrong}");
        assert!(answer.header("set-cookie").is_empty() && answer.text().contains("does not take this token"));
    }
    // The form of another page.
    let body = format!("token={reader}");
    let foreign = world
        .post(
            &Browser::default(),
            "/sign-in",
            &[("origin", "http://evil.example.com")],
            &body,
        )
        .await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
    let answer = world.sign_in(&reader, "default").await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (StatusCode::SEE_OTHER, "/cluster/")
    );
    let browser = Browser::of(&answer);
    let page = world.get(&browser, "/").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text().contains("system:serviceaccount:default:reader") && !page.text().contains(&reader));
    let twin = world.twin(&browser, "/").await;
    // Runs that are of no application it may see are not shown.
    assert_eq!(twin["applications"]["total"], 1);
    let runs = real();
    let index = Index::new(Source::directory(runs.path()), Settings::default(), None);
    index.scan().unwrap();
    let run = stoke_history::rest::Library::listed(&index)[0].id.clone();
    for path in [
        format!("/history/{run}/"),
        format!("/api/v1/applications/{run}"),
        "/api/v1/applications".to_owned(),
        "/compare".to_owned(),
        "/cost".to_owned(),
    ] {
        assert_eq!(world.get(&browser, &path).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    // What it may not see is said, and the rest is shown.
    let twin = world.twin(&browser, "/applications/default/pi/").await;
    assert!(twin["podsRefused"].as_str().unwrap().contains("forbidden"), "{twin:#}");
    assert!(world.twin(&browser, "/cluster/").await["nodesRefused"].is_string());
    assert_eq!(
        world.get(&browser, "/applications/other/pi/").await.status,
        StatusCode::FORBIDDEN
    );
    // Of all namespaces it may see nothing.
    let everywhere = Browser::of(&world.sign_in(&reader, "").await);
    let answer = world.get(&everywhere, "/").await;
    assert!(
        answer.status == StatusCode::FORBIDDEN && answer.text().contains("name yours"),
        "{}",
        answer.text()
    );
    let nothing = Browser::of(&world.sign_in(&stranger, "default").await);
    assert_eq!(world.get(&nothing, "/").await.status, StatusCode::FORBIDDEN);
    assert_eq!(
        world.get(&nothing, "/applications/default/pi/").await.status,
        StatusCode::FORBIDDEN
    );
    // A token with each request.
    let request = Request::get("/applications/default/pi/?output=json").header("host", HOST);
    let request = request.header("authorization", format!("Bearer {reader}"));
    let answer = world.ask(request.body(Body::empty()).unwrap()).await;
    assert_eq!(
        (answer.status, answer.json()["application"]["name"].clone()),
        (StatusCode::OK, json!("pi"))
    );
    // The account is gone, and so is what its token opens.
    let accounts: Api<ServiceAccount> = world.api();
    accounts
        .delete("reader", &kube::api::DeleteParams::default())
        .await
        .unwrap();
    eventually("the session ends with the token", Duration::from_secs(10), async || {
        world.get(&browser, "/applications/default/pi/").await.status == StatusCode::UNAUTHORIZED
    })
    .await;
    assert_eq!(world.get(&browser, "/check/").await.status, StatusCode::UNAUTHORIZED);
    world.server.stop().await;
}

/// A run of the history, and the finding of it that proposes a change.
async fn proposed(world: &World, browser: &Browser) -> (String, Value) {
    let runs = world.twin(browser, "/?state=succeeded&per=100").await;
    for row in runs["applications"]["rows"].as_array().unwrap() {
        let id = row["run"].as_str().unwrap();
        let found = world.twin(browser, &format!("/history/{id}/findings/")).await;
        let found = found["findings"].as_array().into_iter().flatten();
        if let Some(one) = found.into_iter().find(|one| one["fix"]["patch"].is_object()) {
            return (id.to_owned(), one["fix"]["patch"].clone());
        }
    }
    panic!("no run has a finding with a change");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_the_doctor_proposes_is_made_with_the_visitors_rights() {
    let world = World::by_token(Terms::CLUSTER).await;
    let administrator = world.robot("administrator", json!([])).await;
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "administrator"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "administrator", "namespace": "default"}]});
    let bindings: Api<k8s_openapi::api::rbac::v1::ClusterRoleBinding> = Api::all(world.client.clone());
    world.make(bindings, binding).await;
    let reader = world.robot("reader", reads(&[APPLICATIONS])).await;
    let admin = Browser::of(&world.sign_in(&administrator, "").await);
    let (run, patch) = proposed(&world, &admin).await;
    world
        .submit(
            "etl",
            json!({"applicationState": {"state": "COMPLETED"}, "sparkApplicationId": run}),
        )
        .await;
    let page = world.get(&admin, "/applications/default/etl/").await.text();
    let link = page
        .split("href=\"")
        .find(|rest| rest.contains("change/?change="))
        .expect("a link to a change");
    let link = link.split('"').next().unwrap().to_owned();
    let shown = world.get(&admin, &link).await;
    assert_eq!(shown.status, StatusCode::OK);
    let difference = world.twin(&admin, &link).await["difference"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        difference.lines().any(|line| line.starts_with("+ ")),
        "{patch:#} {difference}"
    );
    let hidden = |page: &Answer, name: &str| {
        let text = page.text();
        let after = text
            .split(&format!("name=\"{name}\" value=\""))
            .last()
            .unwrap()
            .to_owned();
        after.split('"').next().unwrap().to_owned()
    };
    // Who may only read is shown why there is no button, and is refused when they send the form all the same.
    let guest = Browser::of(&world.sign_in(&reader, "default").await);
    let refused = world.get(&guest, &link).await;
    assert!(refused.text().contains("forbidden") && !refused.text().contains("name=\"change\""));
    let origin = format!("http://{HOST}");
    let (change, version) = (hidden(&shown, "change"), hidden(&shown, "version"));
    let form = |csrf: &str, version: &str| format!("csrf={csrf}&change={change}&version={version}");
    let own = [("origin", origin.as_str())];
    let path = "/applications/default/etl/change/";
    let csrf = csrf_of(&refused);
    assert_eq!(
        world.post(&guest, path, &own, &form(&csrf, &version)).await.status,
        StatusCode::FORBIDDEN
    );
    let csrf = csrf_of(&shown);
    // Another page's form, a change that was not proposed, an object that has changed meanwhile.
    let foreign = world
        .post(
            &admin,
            path,
            &[("origin", "http://evil.example.com")],
            &form(&csrf, &version),
        )
        .await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
    let unknown = world
        .post(&admin, path, &own, &format!("csrf={csrf}&change=00&version={version}"))
        .await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert_eq!(
        world.post(&admin, path, &own, &form(&csrf, "1")).await.status,
        StatusCode::CONFLICT
    );
    let api: Api<SparkApplication> = world.api();
    let before = api.get("etl").await.unwrap();
    let done = world.post(&admin, path, &own, &form(&csrf, &version)).await;
    assert_eq!(
        (done.status, done.header("location")),
        (StatusCode::SEE_OTHER, "/applications/default/etl/")
    );
    let after = api.get("etl").await.unwrap();
    assert!(after.metadata.generation > before.metadata.generation && after.spec != before.spec);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_end() {
    let terms = Terms {
        idle: Duration::from_millis(400),
        ..Terms::CLUSTER
    };
    let world = World::by_token(terms).await;
    let token = world.robot("reader", reads(&[APPLICATIONS])).await;
    let browser = Browser::of(&world.sign_in(&token, "default").await);
    assert_eq!(world.get(&browser, "/").await.status, StatusCode::OK);
    // A page that looks again by itself does not keep it.
    let begun = Instant::now();
    let mut last = StatusCode::OK;
    while begun.elapsed() < Duration::from_secs(2) && last == StatusCode::OK {
        let request = Request::get("/check/")
            .header("host", HOST)
            .header("cookie", &browser.cookie);
        last = world
            .ask(request.header("x-stoke-live", "1").body(Body::empty()).unwrap())
            .await
            .status;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(last, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_slow_forms_hold_up_no_one() {
    let world = World::by_link().await;
    let owner = world.owner().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = world.router.clone();
    let serving = tokio::spawn(async move { stoke_history::connections::serve(listener, router).await });
    let mut slow = Vec::new();
    for _ in 0..1000 {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let head = format!(
            "POST /check/ HTTP/1.1\r\nHost: {address}\r\nCookie: {}\r\nContent-Length: 1000\r\n\r\nm",
            owner.cookie
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    let begun = Instant::now();
    let mut quick = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!(
        "GET / HTTP/1.1\r\nHost: {address}\r\nCookie: {}\r\nConnection: close\r\n\r\n",
        owner.cookie
    );
    quick.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    quick.read_to_string(&mut answer).await.unwrap();
    let took = begun.elapsed();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(took < Duration::from_secs(2), "{took:?}");
    println!("a page beside 1,000 slow forms: {took:?}");
    drop(slow);
    serving.abort();
}

/// A node whose one log has a line of 100 MB, whatever is asked for.
struct Long;

type Answered<T> = futures::future::BoxFuture<'static, Result<T, KubeletError>>;

fn not_here<T: Send + 'static>() -> Answered<T> {
    Box::pin(async { Err(KubeletError::not_found("not here")) })
}

impl Kubelet for Long {
    fn logs(&self, _: LogRequest) -> Answered<futures::stream::BoxStream<'static, Bytes>> {
        let block = Bytes::from(vec![b'x'; 1 << 20]);
        let first = b"26/11/23 23:04:13 WARN A: <script>alert(1)</script> \x1b[31m\n26/11/23 23:04:14 ERROR B: ";
        let lines = std::iter::once(Bytes::from_static(first)).chain(std::iter::repeat_n(block, 100));
        Box::pin(
            async move { Ok(Box::pin(futures::stream::iter(lines)) as futures::stream::BoxStream<'static, Bytes>) },
        )
    }

    fn exec(&self, _: ContainerName, _: Vec<String>, _: Streams) -> Answered<Process> {
        not_here()
    }

    fn attach(&self, _: ContainerName, _: Streams) -> Answered<Process> {
        not_here()
    }

    fn connect(&self, _: ContainerName, _: u16) -> Answered<tokio::net::TcpStream> {
        not_here()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_a_hundred_megabytes_is_a_small_page() {
    let world = World::by_link().await;
    let owner = world.owner().await;
    world
        .submit(
            "pi",
            json!({"applicationState": {"state": "RUNNING"}, "driverInfo": {"podName": "pi-driver"}}),
        )
        .await;
    world
        .pod("pi-driver", "pi", "driver", Some("n1"), json!({"phase": "Running"}))
        .await;
    world.server.set_kubelet(Arc::new(Long));
    let begun = Instant::now();
    let page = world.get(&owner, "/applications/default/pi/log/").await;
    let (text, took) = (page.text(), begun.elapsed());
    println!("{} bytes after {took:?}", text.len());
    assert!(
        text.len() < 64 << 10 && took < Duration::from_secs(5),
        "{} {took:?}",
        text.len()
    );
    assert!(text.contains("&lt;script&gt;alert(1)") && text.contains("␛[31m") && text.contains("8 MiB at most"));
    let twin = world.twin(&owner, "/applications/default/pi/log/?level=error").await;
    assert_eq!(twin["log"].as_array().unwrap().len(), 1);
    assert!(
        twin["log"][0]["cut"].as_u64().unwrap() > 1 << 20,
        "{}",
        twin["log"][0]["cut"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_stands_before_everything() {
    let world = World::by_link().await;
    let request = Request::get(&world.link)
        .header("host", HOST)
        .header("x-forwarded-prefix", "/spark")
        .header("x-forwarded-proto", "https");
    let answer = world.ask(request.body(Body::empty()).unwrap()).await;
    let cookie = answer.header("set-cookie");
    assert!(
        answer.header("location") == "/spark/" && cookie.contains("Path=/spark;") && cookie.ends_with("; Secure"),
        "{cookie}"
    );
    let request = Request::get("/check/")
        .header("host", HOST)
        .header("x-forwarded-prefix", "/spark");
    let page = world
        .ask(
            request
                .header("cookie", Browser::of(&answer).cookie)
                .body(Body::empty())
                .unwrap(),
        )
        .await
        .text();
    for attribute in [" href=\"/", " src=\"/", " action=\"/"] {
        for rest in page.split(attribute).skip(1) {
            assert!(rest.starts_with("spark/"), "{}", &rest[..30]);
        }
    }
}
