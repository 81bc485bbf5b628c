//! What was acknowledged is there: after `kill -9` at any moment, and after a snapshot was put back.
//!
//! `STOKE_TEST_KILLS=1000 STOKE_TEST_LIMIT=3600` kills so many times instead of the few that a run of the whole suite has time for.

use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use libtest_mimic::{Failed, Trial};
use serde_json::json;

use crate::common::{Context, expect_code, expect_parts, processes_of, stoke, text};
use crate::up::Up;

pub fn trials(context: &Context) -> Vec<Trial> {
    vec![
        context.trial("durability: kill -9 under load loses nothing acknowledged", &[], killed),
        context.trial("durability: a snapshot brings a cluster back", &[], snapshot),
    ]
}

/// Clients that write at once.
const WRITERS: usize = 8;
/// Objects of each.
const OBJECTS: usize = 4;

/// What a client knows of one of its objects: what was acknowledged, and what it asked for without an answer. `None`: absent.
#[derive(Clone, Default)]
struct Known {
    acknowledged: Option<u64>,
    asked: Option<Option<u64>>,
}

type Objects = BTreeMap<String, Known>;

async fn client(home: &std::path::Path) -> Result<Client, String> {
    let file = Kubeconfig::read_from(home.join("clusters/default/kubeconfig")).map_err(|error| error.to_string())?;
    let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
        .await
        .map_err(|error| error.to_string())?;
    Client::try_from(config).map_err(|error| error.to_string())
}

fn object(name: &str, number: u64) -> ConfigMap {
    let padding = number.to_string().repeat(200);
    serde_json::from_value(json!({"metadata": {"name": name},
        "data": {"number": number.to_string(), "padding": padding, "again": number.to_string()}}))
    .unwrap()
}

/// The number an object holds, which every part of it must agree on.
fn number(map: &ConfigMap) -> Result<u64, String> {
    let data = map.data.clone().unwrap_or_default();
    let number = data.get("number").cloned().unwrap_or_default();
    let whole = data.get("again") == Some(&number) && data.get("padding") == Some(&number.repeat(200));
    match number.parse() {
        Ok(number) if whole => Ok(number),
        _ => Err(format!("half an object: {data:?}")),
    }
}

/// Creates, replaces and deletes until the server is gone.
async fn write(maps: Api<ConfigMap>, mut objects: Objects, mut turn: u64) -> Objects {
    let names: Vec<String> = objects.keys().cloned().collect();
    loop {
        for name in &names {
            turn += 1;
            let known = objects.get_mut(name).unwrap();
            let next = (known.acknowledged.is_none() || !turn.is_multiple_of(5)).then_some(turn);
            known.asked = Some(next);
            let answer = match (known.acknowledged, next) {
                (None, _) => maps.create(&PostParams::default(), &object(name, turn)).await.map(drop),
                (Some(_), Some(_)) => maps
                    .replace(name, &PostParams::default(), &object(name, turn))
                    .await
                    .map(drop),
                (Some(_), None) => maps.delete(name, &DeleteParams::default()).await.map(drop),
            };
            match answer {
                Ok(()) => {
                    *known = Known {
                        acknowledged: next,
                        asked: None,
                    }
                }
                Err(kube::Error::Api(status)) => panic!("{name}: refused: {status:?}"),
                Err(_) => return objects,
            }
        }
    }
}

pub struct Killed(Child);

impl Killed {
    pub fn start(home: &std::path::Path) -> Killed {
        let mut command = stoke(home, ["up"]);
        Killed(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    pub fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn killed(context: &Context) -> Result<(), Failed> {
    let home = context.private_home();
    let kills: u64 = std::env::var("STOKE_TEST_KILLS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(25);
    let mut random = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_nanos() as u64
        | 1;
    let seed = random;
    let mut below = move |limit: u64| {
        // Xorshift: enough to spread moments.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % limit
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut all: Vec<Objects> = (0..WRITERS)
        .map(|writer| {
            (0..OBJECTS)
                .map(|object| (format!("w{writer}-{object}"), Known::default()))
                .collect()
        })
        .collect();
    let mut acknowledged = 0;
    for kill in 0..kills {
        let up = Killed::start(home.path());
        if kill % 5 == 4 {
            // Also while it starts, when a migration or the first objects are being written.
            std::thread::sleep(Duration::from_millis(below(150)));
            up.kill();
            continue;
        }
        let (seen, result) = runtime.block_on(async {
            let maps = match connected(home.path()).await {
                Ok(client) => Api::<ConfigMap>::default_namespaced(client),
                Err(error) => return (None, Err(error)),
            };
            if let Err(error) = compare(&maps, &mut all).await {
                return (None, Err(error));
            }
            let first = kill * 1_000_000;
            let writers: Vec<_> = all
                .iter()
                .map(|objects| tokio::spawn(write(maps.clone(), objects.clone(), first)))
                .collect();
            tokio::time::sleep(Duration::from_millis(20 + below(180))).await;
            (Some(writers), Ok(()))
        });
        up.kill();
        result.map_err(|error| format!("seed {seed}, kill {kill}: {error}"))?;
        for (writer, objects) in seen.into_iter().flatten().zip(&mut all) {
            *objects = runtime.block_on(writer)?;
            acknowledged += objects.values().filter(|known| known.acknowledged.is_some()).count();
        }
    }
    let up = Killed::start(home.path());
    let last = runtime.block_on(async {
        let maps = Api::<ConfigMap>::default_namespaced(connected(home.path()).await?);
        compare(&maps, &mut all).await
    });
    up.kill();
    last.map_err(|error| format!("seed {seed}, at the end: {error}"))?;
    if acknowledged == 0 {
        return Err("nothing was ever acknowledged, so nothing was tested".into());
    }
    let left = processes_of(home.path());
    if left.is_empty() {
        Ok(())
    } else {
        Err(format!("processes left: {left:#?}").into())
    }
}

/// A client, once the server answers.
pub async fn connected(home: &std::path::Path) -> Result<Client, String> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let error = match client(home).await {
            Ok(client) => match Api::<ConfigMap>::default_namespaced(client.clone())
                .list(&ListParams::default())
                .await
            {
                Ok(_) => return Ok(client),
                Err(error) => error.to_string(),
            },
            Err(error) => error,
        };
        if Instant::now() > deadline {
            return Err(format!("the cluster did not come back: {error}"));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Every object is what was acknowledged, or what was asked for last and not answered; it is whole; and there are no others.
async fn compare(maps: &Api<ConfigMap>, all: &mut [Objects]) -> Result<(), String> {
    let list = maps
        .list(&ListParams::default())
        .await
        .map_err(|error| error.to_string())?;
    let mut found = BTreeMap::new();
    for map in &list.items {
        let name = map.metadata.name.clone().unwrap_or_default();
        if name.starts_with('w') {
            found.insert(name, number(map)?);
        }
    }
    for (name, known) in all.iter_mut().flatten() {
        let now = found.remove(name);
        if now != known.acknowledged && Some(now) != known.asked {
            return Err(format!(
                "{name} is {now:?}; acknowledged {:?}, asked for {:?}",
                known.acknowledged, known.asked
            ));
        }
        *known = Known {
            acknowledged: now,
            asked: None,
        };
    }
    if found.is_empty() {
        Ok(())
    } else {
        Err(format!("no one asked for {found:?}"))
    }
}

fn snapshot(context: &Context) -> Result<(), Failed> {
    let up = Up::start(context)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let home = Arc::new(up.home.path().to_path_buf());
    let created = runtime.block_on(async {
        let maps = Api::<ConfigMap>::default_namespaced(connected(&home).await?);
        let made = maps.create(&PostParams::default(), &object("kept", 7)).await;
        made.map_err(|error| error.to_string())
    })?;
    let save = up.stoke(&["snapshot", "save", "before"]).output()?;
    expect_code(&save, 0)?;
    expect_parts(&text(&save), &["before.tar.gz", "the cluster is up"])?;
    expect_code(&up.stoke(&["snapshot", "save", "before"]).output()?, 2)?;
    let name = up.stoke(&["snapshot", "save", "..no"]).output()?;
    expect_code(&name, 2)?;
    runtime.block_on(async {
        let maps = Api::<ConfigMap>::default_namespaced(connected(&home).await?);
        maps.delete("kept", &DeleteParams::default())
            .await
            .map_err(|error| error.to_string())
    })?;
    let running = up.stoke(&["snapshot", "restore", "before", "--replace"]).output()?;
    expect_code(&running, 2)?;
    expect_parts(&text(&running), &["stoke down"])?;
    expect_code(&up.stoke(&["down"]).output()?, 0)?;
    let occupied = up.stoke(&["snapshot", "restore", "before"]).output()?;
    expect_code(&occupied, 2)?;
    expect_parts(&text(&occupied), &["--replace"])?;
    expect_code(&up.stoke(&["snapshot", "restore", "before", "--replace"]).output()?, 0)?;
    let list = up.stoke(&["snapshot", "list"]).output()?;
    expect_parts(&text(&list), &["NAME", "before"])?;
    expect_code(&up.stoke(&["up", "--detach"]).output()?, 0)?;
    let back = runtime.block_on(async {
        let maps = Api::<ConfigMap>::default_namespaced(connected(&home).await?);
        maps.get("kept").await.map_err(|error| error.to_string())
    })?;
    if back.metadata.uid != created.metadata.uid || number(&back)? != 7 {
        return Err(format!("{back:?} is not {created:?}").into());
    }
    expect_code(&up.stoke(&["snapshot", "remove", "before"]).output()?, 0)?;
    up.down()
}
