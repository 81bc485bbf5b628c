//! Deaths with running workloads.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DynamicObject, ListParams, PostParams};
use kube::{Client, ResourceExt};
use libtest_mimic::Failed;
use serde_json::{Value, json};

use super::{number, runtime, words};
use crate::common::{Context, VERSIONS, eventually, expect_code, processes_of, stoke};
use crate::durability::{Killed, connected};

fn template(app: &str, script: &str, policy: &str) -> Value {
    let resources = json!({"requests": {"cpu": "1m", "memory": "1Mi"}});
    json!({"metadata": {"labels": {"app": app}}, "spec": {"terminationGracePeriodSeconds": 1, "restartPolicy": policy,
        "containers": [{"name": "c", "image": format!("apache/spark:{}", VERSIONS[0]), "command": ["/bin/sh", "-c", script],
            "resources": resources}]}})
}

/// A workload of `apps/v1` or `batch/v1`.
fn workload(kind: &str, name: &str, mut spec: Value, script: &str) -> DynamicObject {
    let group = if kind == "Job" { "batch/v1" } else { "apps/v1" };
    spec["template"] = template(name, script, if kind == "Job" { "Never" } else { "Always" });
    if kind != "Job" {
        spec["selector"] = json!({"matchLabels": {"app": name}});
    }
    serde_json::from_value(json!({"apiVersion": group, "kind": kind, "metadata": {"name": name}, "spec": spec}))
        .unwrap()
}

fn api(client: &Client, object: &DynamicObject) -> Api<DynamicObject> {
    let types = object.types.clone().unwrap_or_default();
    let (group, version) = types.api_version.split_once('/').unwrap_or(("", &types.api_version));
    let kind = kube::core::GroupVersionKind::gvk(group, version, &types.kind);
    Api::default_namespaced_with(client.clone(), &kube::core::ApiResource::from_gvk(&kind))
}

async fn create(client: &Client, object: DynamicObject) -> Result<(), String> {
    api(client, &object)
        .create(&PostParams::default(), &object)
        .await
        .map(drop)
        .map_err(words)
}

/// Pods that have neither ended nor are ending, by a label.
async fn alive(client: &Client, app: &str) -> Result<Vec<Pod>, String> {
    let pods = Api::<Pod>::default_namespaced(client.clone());
    let list = pods
        .list(&ListParams::default().labels(&format!("app={app}")))
        .await
        .map_err(words)?;
    let ended = |pod: &Pod| {
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        pod.metadata.deletion_timestamp.is_some() || matches!(phase, Some("Succeeded" | "Failed"))
    };
    Ok(list.items.into_iter().filter(|pod| !ended(pod)).collect())
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions
        .into_iter()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// Waits until so many pods of an application are ready, and there are no others.
async fn settled(client: &Client, app: &str, count: usize) -> Result<(), String> {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let pods = alive(client, app).await?;
        if pods.len() == count && pods.iter().all(is_ready) {
            return Ok(());
        }
        if Instant::now() > end {
            let said: Vec<_> = pods.iter().map(|pod| (pod.name_any(), is_ready(pod))).collect();
            return Err(format!("{app}: not {count} ready pods but {said:?}"));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub fn deployment(context: &Context) -> Result<(), Failed> {
    let home = context.private_home();
    let runtime = runtime()?;
    let first = Killed::start(home.path());
    runtime.block_on(async {
        let client = connected(home.path()).await?;
        create(
            &client,
            workload("Deployment", "web", json!({"replicas": 3}), "sleep 300"),
        )
        .await?;
        settled(&client, "web", 3).await
    })?;
    // In order, then not.
    expect_code(&stoke(home.path(), ["down"]).output()?, 0)?;
    // It has ended; until now no one asked for its end, as in a container without an init.
    first.kill();
    let second = Killed::start(home.path());
    runtime.block_on(async { settled(&connected(home.path()).await?, "web", 3).await })?;
    second.kill();
    eventually("no process outlives the cluster", Duration::from_secs(5), || {
        processes_of(home.path()).is_empty()
    })?;
    let third = Killed::start(home.path());
    let restarted = runtime.block_on(async {
        let client = connected(home.path()).await?;
        settled(&client, "web", 3).await?;
        let mut told = 0;
        for pod in alive(&client, "web").await? {
            let statuses = pod.status.unwrap_or_default().container_statuses.unwrap_or_default();
            told += statuses.iter().filter(|status| status.restart_count > 0).count();
        }
        Ok::<_, String>(told)
    });
    third.kill();
    // Either the same pods with a restart that is told, or new ones.
    if restarted? > 3 {
        return Err("more restarts than pods".into());
    }
    Ok(())
}

pub fn crashes(context: &Context) -> Result<(), Failed> {
    let home = context.private_home();
    let runtime = runtime()?;
    let crashes = number("STOKE_TEST_CRASHES", 6);
    let mut size = 1;
    let up = Killed::start(home.path());
    runtime.block_on(async {
        let client = connected(home.path()).await?;
        create(
            &client,
            workload("Deployment", "web", json!({"replicas": 1}), "sleep 300"),
        )
        .await?;
        let spec = json!({"replicas": 1, "serviceName": "db", "podManagementPolicy": "Parallel"});
        create(&client, workload("StatefulSet", "db", spec, "sleep 300")).await
    })?;
    up.kill();
    for crash in 0..crashes {
        let up = Killed::start(home.path());
        let job = format!("job-{crash}");
        size = 1 + (size + 3) % 5;
        let done = runtime.block_on(async {
            let client = connected(home.path()).await?;
            for (kind, name) in [("Deployment", "web"), ("StatefulSet", "db")] {
                let object = workload(kind, name, json!({}), "");
                // An environment that changes rolls the pods, too.
                let mut patch = json!({"spec": {"replicas": size}});
                if crash % 3 == 2 {
                    patch["spec"]["template"]["metadata"]["annotations"]["turn"] = crash.to_string().into();
                }
                let parameters = kube::api::PatchParams::default();
                let change = kube::api::Patch::Merge(&patch);
                api(&client, &object)
                    .patch(name, &parameters, &change)
                    .await
                    .map_err(words)?;
            }
            let spec = json!({"completions": 4, "parallelism": 2, "completionMode": "Indexed", "backoffLimit": 100});
            create(&client, workload("Job", &job, spec, "true")).await?;
            // Anywhere in the work that follows: the first pods, half of them, all.
            tokio::time::sleep(Duration::from_millis([3, 17, 42, 80, 160, 320][crash % 6])).await;
            Ok::<_, String>(())
        });
        up.kill();
        done.map_err(|error| format!("crash {crash}: {error}"))?;
    }
    let up = Killed::start(home.path());
    let done = runtime.block_on(async {
        let client = connected(home.path()).await?;
        settled(&client, "web", size).await?;
        settled(&client, "db", size).await?;
        for crash in 0..crashes {
            job_is_exact(&client, &format!("job-{crash}")).await?;
        }
        nobody_is_orphaned(&client).await
    });
    up.kill();
    done?;
    eventually("no process outlives the cluster", Duration::from_secs(5), || {
        processes_of(home.path()).is_empty()
    })
}

/// Every index succeeded once, and the status says so.
async fn job_is_exact(client: &Client, name: &str) -> Result<(), String> {
    let jobs = api(client, &workload("Job", name, json!({}), ""));
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let job = jobs.get(name).await.map_err(words)?;
        let status = &job.data["status"];
        if status["succeeded"] == 4 && status["completedIndexes"] == "0-3" {
            break;
        }
        if Instant::now() > end {
            return Err(format!("{name} did not complete: {status}"));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let pods = Api::<Pod>::default_namespaced(client.clone());
    let pods = pods
        .list(&ListParams::default().labels(&format!("app={name}")))
        .await
        .map_err(words)?;
    let succeeded = pods
        .items
        .iter()
        .filter(|pod| pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Succeeded"));
    let key = "batch.kubernetes.io/job-completion-index";
    let indexes: Vec<String> = succeeded
        .filter_map(|pod| pod.annotations().get(key).cloned())
        .collect();
    let distinct: BTreeSet<&String> = indexes.iter().collect();
    if distinct.len() == 4 && indexes.len() == 4 {
        Ok(())
    } else {
        Err(format!("{name}: indexes {indexes:?} succeeded"))
    }
}

/// Every pod and ReplicaSet has a controller that exists.
async fn nobody_is_orphaned(client: &Client) -> Result<(), String> {
    let mut owners = BTreeSet::new();
    let kinds = [
        ("Deployment", "apps/v1"),
        ("StatefulSet", "apps/v1"),
        ("ReplicaSet", "apps/v1"),
        ("Job", "batch/v1"),
    ];
    for (kind, _) in kinds {
        let list = api(client, &workload(kind, "x", json!({}), ""))
            .list(&ListParams::default())
            .await
            .map_err(words)?;
        owners.extend(list.items.iter().filter_map(|object| object.uid()));
    }
    let sets = api(client, &workload("ReplicaSet", "x", json!({}), ""));
    let sets = sets.list(&ListParams::default()).await.map_err(words)?;
    let pods = Api::<Pod>::default_namespaced(client.clone());
    let pods = pods.list(&ListParams::default()).await.map_err(words)?;
    let metadata = sets.items.iter().map(|set| &set.metadata);
    for metadata in metadata.chain(pods.items.iter().map(|pod| &pod.metadata)) {
        let mut found = metadata.owner_references.iter().flatten();
        if !found.any(|owner| owners.contains(&owner.uid)) {
            return Err(format!("{:?} belongs to nobody", metadata.name));
        }
    }
    Ok(())
}
