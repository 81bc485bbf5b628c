//! Starts that get in each other's way, and a damaged file.

use std::path::Path;
use std::process::Stdio;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, PostParams};
use libtest_mimic::Failed;

use super::{map, runtime, words};
use crate::common::{Context, expect_code, expect_parts, stoke, text};
use crate::durability::connected;
use crate::up::Up;

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

pub fn two_at_once(context: &Context) -> Result<(), Failed> {
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

pub fn taken_port(context: &Context) -> Result<(), Failed> {
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

pub fn damaged(context: &Context) -> Result<(), Failed> {
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
        ("empty", Vec::new()),
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
