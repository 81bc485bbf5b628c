//! Contracts and costs on the pages of a cluster.

use stoke_insight::cost::Prices;

use super::*;
use crate::data::{checked, ledger};

const CONTRACT: &str = "name: orders\nrows: {min: 1}\ncolumns:\n  id: {unique: true}\n";

fn settings(directory: &std::path::Path) -> stoke_web::Settings {
    checked(directory, "shop", CONTRACT, "id\n1\n1\n", jiff::Timestamp::now());
    let prices = "currency: EUR\nprices: [{cpuHour: 1, gibHour: 0}]\n";
    stoke_web::Settings {
        quality: Some(ledger(directory)),
        prices: Some(Prices::read("p.yaml", prices).unwrap()),
        ..stoke_web::Settings::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn home_has_broken_contracts_and_what_runs_cost() {
    let directory = tempfile::tempdir().unwrap();
    let owner = |server: &ApiServer| Access::by_link(server.client(), Vec::new(), "owner", 26080);
    let world = World::with(settings(directory.path()), owner).await;
    let owner = world.owner().await;
    let home = world.twin(&owner, "/").await;
    let need = &home["attention"]["rows"][0];
    assert_eq!(
        (&need["name"], &need["namespace"], &need["need"]),
        (&json!("orders"), &json!("shop"), &json!("broken"))
    );
    assert!(need["why"].as_str().unwrap().contains("id.unique (2 of 2)"), "{need}");
    let text = world.get(&owner, "/").await.text();
    assert!(text.contains("href=\"/data/contract/?id=shop%2Forders\"") && text.contains("href=\"/data/\""));
    for path in ["/data/", "/data/contract/?id=shop%2Forders"] {
        let page = world.get(&owner, path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert_eq!(page.header("cache-control"), "no-store");
    }
    // Costs that were not counted are counted beside the page, and the next look has them: those that the cost page has.
    let costs = world.twin(&owner, "/cost?by=app").await;
    assert_eq!(costs["complete"], true, "{costs:#}");
    eventually("costs are counted", Duration::from_secs(20), async || {
        let rows = world.twin(&owner, "/?per=100").await["applications"]["rows"].take();
        let ended = ["succeeded", "failed", "ended"];
        let mut ended = rows
            .as_array()
            .unwrap()
            .iter()
            .filter(|row| ended.contains(&row["state"].as_str().unwrap()));
        ended.all(|row| row["cost"].is_string())
    })
    .await;
    let rows = world.twin(&owner, "/?per=100").await["applications"]["rows"].take();
    let named = costs["applications"]["rows"].as_array().unwrap();
    let mut compared = 0;
    for row in rows.as_array().unwrap().iter().filter(|row| row["cost"].is_string()) {
        let of_name: Vec<&Value> = named
            .iter()
            .filter(|one| one["name"] == row["name"] && one["runs"] == 1)
            .collect();
        if let [one] = of_name[..] {
            assert_eq!(row["cost"], one["cost"], "{row}");
            compared += 1;
        }
    }
    assert!(compared > 2, "{compared}");
}

#[tokio::test(flavor = "multi_thread")]
async fn verdicts_are_for_who_may_see_all_applications() {
    let directory = tempfile::tempdir().unwrap();
    let by_token = |server: &ApiServer| Access::by_token(&config_of(server), Terms::CLUSTER);
    let world = World::with(settings(directory.path()), by_token).await;
    let token = world.robot("robot", reads(&[APPLICATIONS, ("", "pods")])).await;
    let signed = world.sign_in(&token, "default").await;
    assert_eq!(signed.status, StatusCode::SEE_OTHER, "{}", signed.text());
    let robot = Browser::of(&signed);
    for path in ["/data/", "/data/contract/?id=shop%2Forders"] {
        let page = world.get(&robot, path).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{path}");
        assert!(!page.text().contains("orders</"), "{path}");
    }
    assert_eq!(world.twin(&robot, "/").await["attention"]["total"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_statement_costs_is_said_before_it_is_sent() {
    let connect = |name: &str, executor: Value, dynamic: Value| {
        json!({"apiVersion": "sparkoperator.k8s.io/v1alpha1", "kind": "SparkConnect", "metadata": {"name": name},
            "spec": {"sparkVersion": "4.1.4", "image": "a/b:1", "server": {"cores": 1}, "executor": executor, "dynamicAllocation": dynamic}})
    };
    let directory = tempfile::tempdir().unwrap();
    let owner = |server: &ApiServer| Access::by_link(server.client(), Vec::new(), "owner", 26080);
    let settings = settings(directory.path());
    for settings in [settings, stoke_web::Settings::default()] {
        let priced = settings.prices.is_some();
        let world = World::with(settings, owner).await;
        let browser = world.owner().await;
        assert_eq!(world.twin(&browser, "/sql/").await["costs"], Value::Null);
        for (name, executor, dynamic) in [
            ("fixed", json!({"cores": 2, "instances": 3}), json!({"enabled": false})),
            ("free", json!({"cores": 2}), json!({"enabled": true})),
        ] {
            world
                .make::<stoke_model::crd::SparkConnect>(world.api(), connect(name, executor, dynamic))
                .await;
            let api: Api<stoke_model::crd::SparkConnect> = world.api();
            let status = json!({"status": {"state": "Ready", "server": {"url": format!("sc://{name}-server.default.svc:15002")}}});
            api.patch_status(name, &PatchParams::default(), &Patch::Merge(status))
                .await
                .unwrap();
        }
        let twin = world.twin(&browser, "/sql/").await;
        let [fixed, free] = &twin["costs"]["rows"].as_array().unwrap()[..] else {
            panic!("{twin:#}")
        };
        assert_eq!(
            (&fixed["server"], &fixed["executors"]),
            (&json!("default/fixed"), &json!(3))
        );
        assert_eq!((&free["executors"], &free["hour"]), (&Value::Null, &Value::Null));
        assert!(twin["unbounded"].as_str().unwrap().contains("maxExecutors"));
        let text = world.get(&browser, "/sql/").await.text();
        let before = text.find("What the servers cost").unwrap() < text.find("<textarea").unwrap();
        assert!(before, "told before it is sent");
        if priced {
            // 7 cores for an hour, and for 30 s.
            assert_eq!(
                (&fixed["hour"], &fixed["statement"]),
                (&json!("7"), &json!("0.058333334"))
            );
            assert_eq!(free["executorHour"], "2");
            assert!(
                text.contains("7.00 EUR") && text.contains("in the 30 s that it may take"),
                "{text}"
            );
            assert_eq!(twin["prices"], Value::Null);
        } else {
            assert_eq!(
                (&fixed["hour"], &fixed["statement"]),
                (&json!(7 * 3_600_000), &json!(7 * 30_000))
            );
            assert!(twin["prices"].as_str().unwrap().contains("--prices FILE"));
        }
    }
}
