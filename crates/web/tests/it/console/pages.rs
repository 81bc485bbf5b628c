//! What the pages show.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn an_application_is_seen_within_a_second_with_what_needs_attention() {
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
    eventually("it needs attention", Duration::from_secs(5), async || {
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
