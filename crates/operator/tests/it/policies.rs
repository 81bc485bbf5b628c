//! Policies without a webhook: the operator itself asks the ConfigMaps that stand, as they change, before it makes pods.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Event, Pod};
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use stoke_model::crd::{ApplicationStateType as State, ConnectState, SparkApplication, SparkConnect};
use stoke_operator::metrics::{Metrics, MetricsConfig};
use stoke_operator::{Health, Operator, OperatorConfig, Policies};
use stoke_policy::pack;
use tokio::sync::watch;

use super::embedded::{World, world};

const OWNER: &str = "package team\ndeny contains {\"msg\": \"no owner\", \"path\": \"metadata.labels.owner\"} if {\n  input.kind == \"SparkApplication\"\n  not input.metadata.labels.owner\n}\n";
const BROKEN: &str = "package team\ndeny contains {\n";
/// Where the ConfigMaps are.
const OWN: &str = "kube-system";

struct Running {
    world: World,
    health: Health,
    metrics: Metrics,
    _stop: watch::Sender<bool>,
}

impl Running {
    async fn start(before: &[(&str, &str)], packs: &[&str]) -> Running {
        let world = world().await;
        for (name, rego) in before {
            policy(&world, name, rego).await;
        }
        let (stop, stopped) = watch::channel(false);
        let (health, metrics) = (Health::default(), Metrics::new(MetricsConfig::default()));
        let files = if packs.is_empty() {
            Vec::new()
        } else {
            pack::policies(packs)
        };
        let config = OperatorConfig {
            health: health.clone(),
            metrics: metrics.clone(),
            policies: Policies::new(files, Some(OWN.to_owned())).unwrap(),
            ..OperatorConfig::default()
        };
        let operator = Operator::new(world.client.clone(), config);
        tokio::spawn(operator.run(stopped));
        let running = Running {
            world,
            health,
            metrics,
            _stop: stop,
        };
        running
            .until("the operator is ready", || async { running.health.ready().is_ok() })
            .await;
        running
    }

    async fn until<F: Future<Output = bool>>(&self, what: &str, holds: impl Fn() -> F) {
        for _ in 0..1000 {
            if holds().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("waited in vain until {what}:\n{}", self.metrics.text());
    }

    async fn until_metric(&self, line: &str) {
        self.until(line, || async {
            self.metrics.text().lines().any(|known| known == line)
        })
        .await;
    }

    /// An event about a ConfigMap.
    async fn until_event(&self, reason: &str, part: &str) {
        let events: Api<Event> = Api::namespaced(self.world.client.clone(), OWN);
        self.until(&format!("{reason}: {part}"), || async {
            let all = events.list(&ListParams::default()).await.unwrap();
            all.iter().any(|event| {
                event.reason.as_deref() == Some(reason)
                    && event.involved_object.kind.as_deref() == Some("ConfigMap")
                    && event.message.as_deref().unwrap_or_default().contains(part)
            })
        })
        .await;
    }

    async fn message(&self) -> String {
        let app = self.world.app().await;
        app.status.unwrap_or_default().app_state.error_message
    }

    async fn drivers(&self) -> usize {
        self.world
            .api::<Pod>()
            .list(&ListParams::default())
            .await
            .unwrap()
            .items
            .len()
    }

    async fn label(&self, owner: Value) {
        let patch = Patch::Merge(json!({"metadata": {"labels": {"owner": owner}}, "spec": {"arguments": ["1"]}}));
        let apps: Api<SparkApplication> = self.world.api();
        apps.patch("pi", &PatchParams::default(), &patch).await.unwrap();
    }
}

async fn policy(world: &World, name: &str, rego: &str) {
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "labels": {"stoke.dev/policy": "true"}}, "data": {"policy.rego": rego}});
    let map: ConfigMap = serde_json::from_value(map).unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(world.client.clone(), OWN);
    maps.patch(name, &PatchParams::apply("test").force(), &Patch::Apply(&map))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_policy_denies_is_not_submitted_and_an_edit_mends_it() {
    let running = Running::start(&[("team", OWNER)], &[]).await;
    running.world.submit(json!({})).await;
    running.world.until_state(State::Failed).await;
    let message = running.message().await;
    assert!(
        message.contains(
            "metadata.labels.owner: no owner; the rule is configmap/kube-system/team/policy.rego:2 [policy/team.deny]"
        ),
        "{message}"
    );
    assert_eq!(running.drivers().await, 0);
    let status = running.world.app().await.status.unwrap();
    assert!(
        status
            .conditions
            .iter()
            .any(|condition| condition.reason == "PolicyDenied"),
        "{:#?}",
        status.conditions
    );
    running
        .until_metric("stoke_policy_denials_total{at=\"submission\",rule=\"policy/team.deny\"} 1")
        .await;
    running.label(json!("etl")).await;
    running.world.until_state(State::Submitted).await;
    assert_eq!(running.drivers().await, 1);
    running
        .until_metric("stoke_policy_evaluations_total{at=\"submission\",result=\"allowed\"} 1")
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_cannot_be_used_leaves_what_was_in_force_and_says_so() {
    let running = Running::start(&[("team", OWNER)], &["naming"]).await;
    running.until_metric("stoke_policy_rules 2").await;
    policy(&running.world, "team", BROKEN).await;
    running.until_metric("stoke_policy_broken 1").await;
    running
        .until_event(
            "PoliciesUnusable",
            "what was in force before stays in force: configmap/kube-system/team/policy.rego:",
        )
        .await;
    running.world.submit(json!({})).await;
    running.world.until_state(State::Failed).await;
    let message = running.message().await;
    // The rule of the ConfigMap that was, and the one of the pack.
    for code in ["[policy/team.deny]", "[policy/starter.naming.deny]"] {
        assert!(message.contains(code), "{message}");
    }
    policy(
        &running.world,
        "team",
        "package team\nwarn contains \"hm\" if input.kind == \"Pod\"\n",
    )
    .await;
    running
        .until_event("PoliciesLoaded", "in force; there are 2 rules in all")
        .await;
    running.until_metric("stoke_policy_broken 0").await;
    // Taken away, it denies nothing any more.
    let maps: Api<ConfigMap> = Api::namespaced(running.world.client.clone(), OWN);
    maps.delete("team", &Default::default()).await.unwrap();
    running.until_metric("stoke_policy_rules 1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_policies_that_can_be_used_submissions_wait_until_there_are() {
    let running = Running::start(&[("team", BROKEN)], &[]).await;
    running.world.submit(json!({})).await;
    running
        .until("the status says why", || async {
            let message = running.message().await;
            message.contains("policies cannot be asked: configmap/kube-system/team/policy.rego:")
                && message.contains("[policy-unknown]")
        })
        .await;
    assert_eq!(running.drivers().await, 0);
    running
        .until_event("PoliciesUnusable", "nothing is admitted or submitted")
        .await;
    policy(
        &running.world,
        "team",
        "package team\ndeny contains \"x\" if input.kind == \"Job\"\n",
    )
    .await;
    running.world.until_state(State::Submitted).await;
    assert_eq!(running.message().await, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connect_servers_are_judged_too_and_see_their_namespace() {
    let rego = "package team\ndeny contains msg if {\n  input.kind == \"Pod\"\n  data.stoke.namespace.metadata.name == \"default\"\n  msg := \"no servers here\"\n}\n";
    let running = Running::start(&[("team", rego)], &[]).await;
    let connect: SparkConnect = serde_json::from_value(json!({
        "apiVersion": "sparkoperator.k8s.io/v1alpha1", "kind": "SparkConnect", "metadata": {"name": "lab"},
        "spec": {"sparkVersion": "4.1.4", "image": "apache/spark:4.1.4", "server": {}, "executor": {}}}))
    .unwrap();
    let servers: Api<SparkConnect> = running.world.api();
    servers.create(&PostParams::default(), &connect).await.unwrap();
    running
        .until("the server is refused", || async {
            let status = servers.get("lab").await.unwrap().status.unwrap_or_default();
            let said = status.conditions.iter().any(|condition| {
                condition.message.contains("no servers here") && condition.message.contains("[policy/team.deny]")
            });
            status.state == ConnectState::Failed && said
        })
        .await;
    assert_eq!(running.drivers().await, 0);
}
