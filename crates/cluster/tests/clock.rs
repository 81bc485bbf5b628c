//! Clocks that jump, forwards and backwards: revisions go on, tokens hold, what is due is done once. And requests beyond every limit.
//!
//! A program of its own: the clock is the process'.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use jiff::SignedDuration;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use stoke_cluster::{ApiServer, clock};

mod server;

use server::start;

/// The clock is everybody's.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

const HOUR: SignedDuration = SignedDuration::from_hours(1);

async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < end, "not within 20 s: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn map(name: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name}})).unwrap()
}

fn client_with(server: &ApiServer, token: &str) -> Client {
    let text = server.kubeconfig();
    let mut kubeconfig = kube::config::Kubeconfig::from_yaml(&text).unwrap();
    kubeconfig.auth_infos[0].auth_info.as_mut().unwrap().token = Some(token.to_owned().into());
    let config = futures::executor::block_on(kube::Config::from_custom_kubeconfig(kubeconfig, &Default::default()));
    Client::try_from(config.unwrap()).unwrap()
}

fn is_unauthorized<T>(answer: Result<T, kube::Error>) -> bool {
    matches!(answer, Err(kube::Error::Api(status)) if status.code == 401)
}

/// One test, in order: all of them move the same clock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jumps_of_the_clock() {
    let _alone = ALONE.lock().await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    // The first minute of an hour, so that none begins while the test runs.
    let past = jiff::Timestamp::now().as_second() % 3600;
    clock::shift(SignedDuration::from_secs((60 - past).min(0)));
    let (server, client, _home) = start().await;
    let maps = Api::<ConfigMap>::default_namespaced(client.clone());
    let jobs = Api::<Job>::default_namespaced(client.clone());
    let mut last = 0;
    let mut newer = async |name: &str| {
        let made = maps.create(&PostParams::default(), &map(name)).await.unwrap();
        let version: u64 = made.resource_version().unwrap().parse().unwrap();
        assert!(version > last, "{name} has version {version} after {last}");
        last = version;
        made
    };
    newer("before").await;

    // A token of an hour, from now.
    let accounts = Api::<ServiceAccount>::default_namespaced(client.clone());
    until("the default account", async || {
        accounts.get_opt("default").await.unwrap()
    })
    .await;
    let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": null, "expirationSeconds": 3600}});
    let issued = || async {
        let body = serde_json::to_vec(&request).unwrap();
        let path = "/api/v1/namespaces/default/serviceaccounts/default/token";
        let request = http::Request::post(path)
            .header("content-type", "application/json")
            .body(body)
            .unwrap();
        let answer: Value = client.request(request).await.unwrap();
        answer["status"]["token"].as_str().unwrap().to_owned()
    };
    let token = issued().await;
    let known = async |token: &str| {
        let client = client_with(&server, token);
        let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": {"verb": "get", "resource": "pods", "namespace": "default"}}});
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let request = http::Request::post(path).header("content-type", "application/json");
        let answer = client
            .request::<Value>(request.body(serde_json::to_vec(&review).unwrap()).unwrap())
            .await;
        !is_unauthorized(answer)
    };
    assert!(known(&token).await);

    // A job that ended, to go in 30 minutes; a run that is due every hour.
    let job: Job = serde_json::from_value(
        json!({"metadata": {"name": "done"}, "spec": {"suspend": true, "ttlSecondsAfterFinished": 1800,
        "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "x"}]}}}}),
    )
    .unwrap();
    jobs.create(&PostParams::default(), &job).await.unwrap();
    let ended = |time: jiff::Timestamp| {
        json!({"status": {"completionTime": time, "startTime": time, "conditions": [
            {"type": "SuccessCriteriaMet", "status": "True", "lastTransitionTime": time}, {"type": "Complete", "status": "True", "lastTransitionTime": time}]}})
    };
    jobs.patch_status(
        "done",
        &PatchParams::default(),
        &Patch::Merge(ended(jiff::Timestamp::now())),
    )
    .await
    .unwrap();
    let crons = Api::<CronJob>::default_namespaced(client.clone());
    let cron: CronJob = serde_json::from_value(json!({"metadata": {"name": "hourly"}, "spec": {"schedule": "0 * * * *", "concurrencyPolicy": "Allow", "jobTemplate": {"spec": {"suspend": true,
        "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "x"}]}}}}}}))
    .unwrap();
    crons.create(&PostParams::default(), &cron).await.unwrap();
    let runs = async || {
        let all = jobs.list(&ListParams::default()).await.unwrap();
        all.items
            .iter()
            .filter(|job| job.name_any().starts_with("hourly-"))
            .count()
    };
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(
        jobs.get_opt("done").await.unwrap().is_some() && runs().await == 0,
        "nothing is due yet"
    );

    // Forwards by two hours: the job goes, one run begins although two were missed, the token is over, a new one holds.
    clock::shift(HOUR * 2);
    newer("two-hours-later").await;
    until("the job goes", async || {
        jobs.get_opt("done").await.unwrap().is_none().then_some(())
    })
    .await;
    until("the run begins", async || (runs().await > 0).then_some(())).await;
    assert_eq!(runs().await, 1, "what was missed is made good once");
    assert!(!known(&token).await, "it was for an hour");
    let token = issued().await;
    assert!(known(&token).await);
    let leases = Api::<Lease>::default_namespaced(client.clone());
    let now = k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime(jiff::Timestamp::now());
    let lease = json!({"metadata": {"name": "l"}, "spec": {"holderIdentity": "a", "leaseDurationSeconds": 15, "renewTime": now}});
    leases
        .create(&PostParams::default(), &serde_json::from_value(lease).unwrap())
        .await
        .unwrap();

    // Backwards by three: versions go on, nothing runs twice, the token of the future holds, a lease is renewed with an older time.
    clock::shift(HOUR * -3);
    let made = newer("an-hour-before").await;
    assert!(made.metadata.creation_timestamp.unwrap().0 < jiff::Timestamp::now() - HOUR / 2);
    assert!(known(&token).await, "we signed it");
    let renewed = json!({"spec": {"renewTime": "2001-01-01T00:00:00.000000Z"}});
    let renewed = leases
        .patch("l", &PatchParams::default(), &Patch::Merge(renewed))
        .await
        .unwrap();
    assert_eq!(renewed.spec.unwrap().holder_identity.as_deref(), Some("a"));
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(runs().await, 1, "a time that comes again is not run again");
    // And on: the same hour comes again, then the next.
    clock::shift(HOUR);
    newer("at-the-time").await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(runs().await, 1);
    clock::shift(HOUR * 3);
    until("the next run begins", async || (runs().await == 2).then_some(())).await;
    newer("at-last").await;
    clock::shift(HOUR * -3);
    server.stop().await;
}

/// Sends bytes over TLS and gives what comes back until the server closes or is silent.
async fn raw(server: &ApiServer, request: Vec<u8>) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let pem = server.authority().as_bytes().to_vec();
    let mut roots = rustls::RootCertStore::empty();
    use rustls::pki_types::pem::PemObject;
    roots
        .add(rustls::pki_types::CertificateDer::from_pem_slice(&pem).unwrap())
        .unwrap();
    let config = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let stream = tokio::net::TcpStream::connect((server.address(), server.port()))
        .await
        .unwrap();
    let name = rustls::pki_types::ServerName::from(std::net::IpAddr::from(server.address()));
    let stream = connector.connect(name, stream).await.unwrap();
    let (mut reader, mut writer) = tokio::io::split(stream);
    // A server that has heard enough may close before everything is sent.
    let sending = tokio::spawn(async move {
        let _ = writer.write_all(&request).await;
        let _ = writer.flush().await;
        tokio::time::sleep(Duration::from_secs(5)).await;
    });
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(Ok(count)) = tokio::time::timeout(Duration::from_secs(3), reader.read(&mut buffer)).await {
        answer.extend_from_slice(&buffer[..count]);
        if count == 0 || answer.windows(4).any(|part| part == b"\r\n\r\n") {
            break;
        }
    }
    sending.abort();
    String::from_utf8_lossy(&answer)
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_beyond_the_limits_are_refused_and_the_server_goes_on() {
    let _alone = ALONE.lock().await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (server, client, _home) = start().await;
    let head =
        |line: &str, more: &str| format!("{line}\r\nhost: a\r\nauthorization: Bearer x\r\n{more}\r\n").into_bytes();
    let long = "x".repeat(100_000);
    let many: String = (0..2000).map(|number| format!("x-{number}: y\r\n")).collect();
    let huge = format!("x-big: {}\r\n", "y".repeat(2 << 20));
    for (what, request, expected) in [
        (
            "nothing special",
            head("GET /healthz HTTP/1.1", ""),
            &["HTTP/1.1 200 OK"][..],
        ),
        (
            "a long path",
            head(&format!("GET /api/v1/{long} HTTP/1.1"), ""),
            &["HTTP/1.1 414 URI Too Long"],
        ),
        (
            "a long query",
            head(&format!("GET /api/v1/pods?labelSelector={long} HTTP/1.1"), ""),
            &["HTTP/1.1 414 URI Too Long"],
        ),
        (
            "many headers",
            head("GET /healthz HTTP/1.1", &many),
            &["HTTP/1.1 431 Request Header Fields Too Large"],
        ),
        (
            "a huge header",
            head("GET /healthz HTTP/1.1", &huge),
            &["HTTP/1.1 431 Request Header Fields Too Large"],
        ),
        (
            "no HTTP",
            b"\x00\x01\x02 nonsense\r\n\r\n".to_vec(),
            &["HTTP/1.1 400 Bad Request"],
        ),
        (
            "a length that is none",
            head("POST /api/v1/pods HTTP/1.1", "content-length: -1\r\n"),
            &["HTTP/1.1 400 Bad Request"],
        ),
        (
            "two lengths",
            head(
                "POST /api/v1/pods HTTP/1.1",
                "content-length: 1\r\ncontent-length: 2\r\n",
            ),
            &["HTTP/1.1 400 Bad Request"],
        ),
    ] {
        let answer = raw(&server, request).await;
        assert!(expected.contains(&answer.as_str()), "{what}: {answer:?}");
    }
    // A body that is announced as too large, and one that is: both are refused, with a Status.
    let maps = Api::<ConfigMap>::default_namespaced(client.clone());
    let mut large = map("large");
    large.data = Some([("k".to_owned(), "x".repeat(4 << 20))].into());
    let refused = maps.create(&PostParams::default(), &large).await.unwrap_err();
    assert!(
        matches!(&refused, kube::Error::Api(status) if status.code == 413),
        "{refused:?}"
    );
    assert!(maps.create(&PostParams::default(), &map("small")).await.is_ok());
    server.stop().await;
}
