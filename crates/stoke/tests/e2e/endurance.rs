//! What a cluster bears: starts that get in each other's way, a damaged file, a death with running workloads, many objects, slow readers.
//!
//! Small by default. `STOKE_TEST_OBJECTS=100000` lists and watches so many ConfigMaps, and a tenth of it as pods;
//! `STOKE_TEST_CRASHES=100` kills the controllers so many times. Figures are printed with `--nocapture`.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{Api, DynamicObject, ListParams, PostParams, WatchEvent, WatchParams};
use kube::{Client, ResourceExt};
use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use crate::common::{Context, VERSIONS, eventually, expect_code, expect_parts, processes_of, stoke, text};
use crate::durability::{Killed, connected};
use crate::up::Up;

pub fn trials(context: &Context) -> Vec<Trial> {
    let spark = [context.spark(VERSIONS[0])];
    vec![
        context.trial(
            "endurance: of two starts at once one is told that the other runs",
            &[],
            two_at_once,
        ),
        context.trial(
            "endurance: a taken port moves the cluster to another address",
            &[],
            taken_port,
        ),
        context.trial(
            "endurance: a damaged data file is refused and left as it is",
            &[],
            damaged,
        ),
        context.trial(
            "endurance: down, up, kill -9, up: a Deployment has its pods again",
            &spark,
            deployment,
        ),
        context.trial(
            "endurance: controllers killed between writes make no pod twice and leave none",
            &spark,
            crashes,
        ),
        context.trial(
            "endurance: many objects are listed in chunks, whole, and watched",
            &[],
            many,
        ),
        context.trial("endurance: a slow watcher costs no memory", &[], slow_watcher),
    ]
}

fn number(name: &str, usual: usize) -> usize {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(usual)
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
}

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn map(name: &str, text: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name}, "data": {"text": text}})).unwrap()
}

/// Stores a ConfigMap `kept`, or finds it.
fn kept(home: &Path, store: bool) -> Result<(), Failed> {
    let work = async {
        let maps = Api::<ConfigMap>::default_namespaced(connected(home).await?);
        if store {
            maps.create(&PostParams::default(), &map("kept", "yes"))
                .await
                .map_err(words)?;
        }
        maps.get("kept").await.map(drop).map_err(words)
    };
    Ok(runtime()?.block_on(work)?)
}

fn two_at_once(context: &Context) -> Result<(), Failed> {
    let home = context.private_home();
    let start = || {
        let mut command = stoke(home.path(), ["up", "--detach"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
    };
    let (first, second) = (start()?, start()?);
    let outputs = [first.wait_with_output()?, second.wait_with_output()?];
    let codes = outputs.each_ref().map(|output| output.status.code());
    let down = stoke(home.path(), ["down"]).output()?;
    let said: String = outputs.iter().map(text).collect();
    if !codes.contains(&Some(0)) || !codes.contains(&Some(3)) {
        return Err(format!("ended with {codes:?}: {said}").into());
    }
    let refused = outputs.iter().find(|output| output.status.code() == Some(3)).map(text);
    if !refused.as_ref().is_some_and(|said| said.contains("already")) {
        return Err(format!("the second was not told: {said}").into());
    }
    expect_code(&down, 0)
}

fn taken_port(context: &Context) -> Result<(), Failed> {
    let up = Up::start(context)?;
    kept(up.home.path(), true)?;
    let before = up.server()?;
    expect_code(&up.stoke(&["down"]).output()?, 0)?;
    let address = before.trim_start_matches("https://").to_owned();
    let _taken = std::net::TcpListener::bind(&address)?;
    expect_code(&up.stoke(&["up", "--detach"]).output()?, 0)?;
    let after = up.server()?;
    if after == before {
        return Err(format!("{after} is taken and told nevertheless").into());
    }
    kept(up.home.path(), false)?;
    up.down()
}

fn damaged(context: &Context) -> Result<(), Failed> {
    let up = Up::start(context)?;
    kept(up.home.path(), true)?;
    expect_code(&up.stoke(&["down"]).output()?, 0)?;
    let file = up.home.path().join("clusters/default/cluster.db");
    let whole = std::fs::read(&file)?;
    let mut overwritten = whole.clone();
    overwritten[..64].fill(b'x');
    let mut inside = whole.clone();
    let page = 4096;
    for start in (page..inside.len()).step_by(page) {
        inside[start..start + 16].fill(0xff);
    }
    let cases = [
        ("overwritten", overwritten),
        ("inside", inside),
        ("half", whole[..whole.len() / 2].to_vec()),
    ];
    for (what, bytes) in cases {
        std::fs::write(&file, &bytes)?;
        let refused = up.stoke(&["up", "--detach"]).output()?;
        expect_code(&refused, 3).map_err(|error| format!("{what}: {error:?}"))?;
        expect_parts(
            &text(&refused),
            &["cannot open the cluster's database", "stoke snapshot restore"],
        )?;
        if std::fs::read(&file)? != bytes {
            return Err(format!("{what}: the damaged file was changed").into());
        }
    }
    std::fs::write(&file, &whole)?;
    expect_code(&up.stoke(&["up", "--detach"]).output()?, 0)?;
    kept(up.home.path(), false)?;
    up.down()
}

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

fn deployment(context: &Context) -> Result<(), Failed> {
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
    // It has ended; until now nobody asked for its end, as in a container without an init.
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

fn crashes(context: &Context) -> Result<(), Failed> {
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

/// Resident memory of a process, in MiB.
fn resident(process: u32) -> Result<u64, String> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).map_err(words)?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .ok_or("no VmRSS")?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().map_err(words)?;
    Ok(kilobytes >> 10)
}

fn process(up: &Up) -> Result<u32, Failed> {
    Ok(std::fs::read_to_string(up.home.path().join("clusters/default/pid"))?
        .trim()
        .parse()?)
}

/// Creates so many objects, 32 at once.
async fn fill<K>(api: &Api<K>, count: usize, make: impl Fn(usize) -> K) -> Result<Duration, String>
where
    K: Clone + serde::Serialize + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let begun = Instant::now();
    let made = futures::stream::iter((0..count).map(&make)).map(|object| async move {
        api.create(&PostParams::default(), &object)
            .await
            .map(drop)
            .map_err(words)
    });
    made.buffer_unordered(32).try_collect::<()>().await?;
    Ok(begun.elapsed())
}

/// Lists everything: in pages of 500, checking what is said to remain, and in one answer. Names must be the same, each once.
async fn listed<K>(api: &Api<K>, count: usize) -> Result<(Duration, Duration, Duration), String>
where
    K: Clone + serde::de::DeserializeOwned + std::fmt::Debug + kube::Resource<DynamicType = ()>,
{
    let begun = Instant::now();
    let (mut names, mut parameters, mut slowest) = (BTreeSet::new(), ListParams::default().limit(500), Duration::ZERO);
    loop {
        let page_begun = Instant::now();
        let page = api.list(&parameters).await.map_err(words)?;
        slowest = slowest.max(page_begun.elapsed());
        names.extend(page.items.iter().map(|object| object.name_any()));
        let left = page.metadata.remaining_item_count.unwrap_or(0);
        if usize::try_from(left).map_err(words)? + names.len() != count {
            return Err(format!("{left} are said to follow {} of {count}", names.len()));
        }
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => parameters = ListParams::default().limit(500).continue_token(&token),
            None => break,
        }
    }
    let chunked = begun.elapsed();
    let begun = Instant::now();
    let whole = api.list(&ListParams::default()).await.map_err(words)?;
    let whole_names: BTreeSet<String> = whole.items.iter().map(|object| object.name_any()).collect();
    if whole_names != names || whole.items.len() != count {
        return Err(format!("{} in pages, {} at once", names.len(), whole.items.len()));
    }
    Ok((chunked, slowest, begun.elapsed()))
}

/// Reads the initial events of a watch.
async fn watched<K>(api: &Api<K>, count: usize) -> Result<Duration, String>
where
    K: Clone + serde::de::DeserializeOwned + std::fmt::Debug + kube::Resource<DynamicType = ()>,
{
    let begun = Instant::now();
    let stream = api
        .watch(&WatchParams::default().initial_events(), "")
        .await
        .map_err(words)?;
    let mut stream = std::pin::pin!(stream);
    let mut seen = 0;
    while let Some(event) = stream.try_next().await.map_err(words)? {
        match event {
            WatchEvent::Added(_) => seen += 1,
            WatchEvent::Bookmark(_) => break,
            other => return Err(format!("{other:?}")),
        }
    }
    if seen == count {
        Ok(begun.elapsed())
    } else {
        Err(format!("{seen} of {count} were watched"))
    }
}

fn many(context: &Context) -> Result<(), Failed> {
    let maps = number("STOKE_TEST_OBJECTS", 2_000);
    let pods = maps / 10;
    let up = Up::start(context)?;
    let process = process(&up)?;
    let runtime = runtime()?;
    let before = resident(process)?;
    let within = Duration::from_secs(if maps > 10_000 { 1_500 } else { 60 });
    let work = async {
        let client = connected(up.home.path()).await?;
        let space: k8s_openapi::api::core::v1::Namespace =
            serde_json::from_value(json!({"metadata": {"name": "many"}})).map_err(words)?;
        Api::all(client.clone())
            .create(&PostParams::default(), &space)
            .await
            .map_err(words)?;
        let api = Api::<ConfigMap>::namespaced(client.clone(), "many");
        // One is there from the start, the authority's certificate.
        let there = loop {
            let there = api.list(&ListParams::default()).await.map_err(words)?.items.len();
            if there > 0 {
                break there;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let took = fill(&api, maps, |number| map(&format!("m-{number}"), &"x".repeat(100))).await?;
        let (chunked, slowest, whole) = listed(&api, maps + there).await?;
        let watch = watched(&api, maps + there).await?;
        println!(
            "{maps} ConfigMaps: made in {took:.1?}, in pages {chunked:.1?} (slowest {slowest:.1?}), at once {whole:.1?}, watched {watch:.1?}, {} MiB",
            resident(process)?
        );
        // Pods that fit nowhere, so that the scheduler has them all before it.
        let api = Api::<Pod>::namespaced(client.clone(), "many");
        let pod = |number: usize| {
            let resources = json!({"requests": {"cpu": "1000"}});
            let containers = json!([{"name": "c", "image": "x", "resources": resources}]);
            serde_json::from_value(
                json!({"metadata": {"name": format!("p-{number}")}, "spec": {"containers": containers}}),
            )
            .unwrap()
        };
        let took = fill(&api, pods, pod).await?;
        let begun = Instant::now();
        loop {
            let all = api.list(&ListParams::default()).await.map_err(words)?;
            let told = |pod: &&Pod| pod.status.as_ref().is_some_and(|status| status.conditions.is_some());
            if all.items.iter().filter(told).count() == pods {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let refused = begun.elapsed();
        let (chunked, slowest, whole) = listed(&api, pods).await?;
        let watch = watched(&api, pods).await?;
        println!(
            "{pods} pods: made in {took:.1?}, all refused {refused:.1?} later, in pages {chunked:.1?} (slowest {slowest:.1?}), at once {whole:.1?}, watched {watch:.1?}, {} MiB",
            resident(process)?
        );
        Ok::<_, String>(())
    };
    let done = runtime.block_on(async { tokio::time::timeout(within, work).await });
    done.map_err(|_| format!("not within {within:?}"))??;
    let after = resident(process)?;
    // Ten kilobytes an object and what the window, answers and the allocator hold.
    let most = before + 160 + (maps as u64 + 4 * pods as u64) * 10 / 1024;
    if after > most {
        return Err(format!("{before} MiB became {after}, more than {most}").into());
    }
    up.down()
}

fn slow_watcher(context: &Context) -> Result<(), Failed> {
    let up = Up::start(context)?;
    let process = process(&up)?;
    let runtime = runtime()?;
    let turns = (number("STOKE_TEST_OBJECTS", 2_000) / 60).max(33);
    let watchers = 8;
    let work = async {
        let client = connected(up.home.path()).await?;
        let api = Api::<ConfigMap>::default_namespaced(client.clone());
        let mut current = api
            .create(&PostParams::default(), &map("busy", ""))
            .await
            .map_err(words)?;
        let mut streams = Vec::new();
        for _ in 0..watchers {
            // A connection each; nothing is read from it.
            let own = Api::<ConfigMap>::default_namespaced(connected(up.home.path()).await?);
            let version = current.resource_version().unwrap_or_default();
            streams.push(Box::pin(
                own.watch(&WatchParams::default(), &version).await.map_err(words)?,
            ));
        }
        // The window is full once; what is written then replaces what it holds.
        let text = "x".repeat(900_000);
        let mut full = 0;
        for turn in 0..2 * turns {
            current.data = Some([("text".to_owned(), format!("{turn}{text}"))].into());
            current = api
                .replace("busy", &PostParams::default(), &current)
                .await
                .map_err(words)?;
            if turn == turns {
                full = resident(process)?;
            }
        }
        let after = resident(process)?;
        println!(
            "{} MB past {watchers} watchers that read nothing: {full} MiB, then {after} MiB",
            turns * 9 / 10
        );
        if after > full + 40 {
            return Err(format!("{full} MiB became {after} MiB beside {watchers} slow watchers"));
        }
        // Whoever begins to read now is told that it missed something, or has everything.
        let mut told = 0;
        for mut stream in streams {
            let end = tokio::time::timeout(Duration::from_secs(20), async {
                while let Some(event) = stream.next().await {
                    match event {
                        Ok(WatchEvent::Error(status)) if status.code == 410 => return true,
                        Ok(_) => {}
                        Err(_) => return false,
                    }
                }
                false
            });
            told += usize::from(end.await.map_err(|_| "a slow watcher was neither told nor ended")?);
        }
        if told == watchers {
            Ok(())
        } else {
            Err(format!("{told} of {watchers} slow watchers were told 410"))
        }
    };
    let done = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(300), work).await });
    done.map_err(|_| "not within five minutes")??;
    up.down()
}
