//! Many objects and slow readers.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::ResourceExt;
use kube::api::{Api, ListParams, PostParams, WatchEvent, WatchParams};
use libtest_mimic::Failed;
use serde_json::json;

use super::{map, number, runtime, words};
use crate::common::Context;
use crate::durability::connected;
use crate::up::Up;

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

pub fn many(context: &Context) -> Result<(), Failed> {
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

pub fn slow_watcher(context: &Context) -> Result<(), Failed> {
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
