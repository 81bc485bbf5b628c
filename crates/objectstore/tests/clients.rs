//! Clients as people have them, against a store on a socket. Each is a script in `tests/clients`, run with nothing but the environment
//! variables that AWS's SDKs read; they are installed into the target directory, and ignored with the reason when that is not possible.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed};
use stoke_objectstore::shadow::{Pins, Places, Shadow, Spot, prepare};
use stoke_objectstore::{Config, Credentials, ObjectStore};
use stoke_testkit::{Tier, python, trial};

/// A name, the packages of the Python package index it is, its script.
type Client = (&'static str, &'static [&'static str], &'static str);

const CLIENTS: [Client; 5] = [
    ("boto3", &["boto3"], "boto3_client.py"),
    ("aws", &MORE, "aws_client.py"),
    ("pyarrow", &MORE, "pyarrow_client.py"),
    ("polars", &MORE, "polars_client.py"),
    ("delta_rs", &MORE, "delta_client.py"),
];
/// Half a gigabyte: those of tier `full`.
const MORE: [&str; 5] = ["boto3", "awscli", "pyarrow", "polars", "deltalake"];

fn main() {
    let arguments = Arguments::from_args();
    let trials = CLIENTS.into_iter().map(|(name, packages, script)| {
        let (tier, environment) = match packages {
            [_] => (Tier::Default, "boto3"),
            _ => (Tier::Full, "object-store-clients"),
        };
        let python = move || python::environment(environment, packages);
        let needs = move || python().map(|_| ());
        trial(name, tier, needs, move || run(&python()?, script))
    });
    let boto3 = move || python::environment("boto3", &["boto3"]);
    let shadow = trial(
        "boto3 in the shadow",
        Tier::Default,
        move || boto3().map(|_| ()),
        move || shadow(&boto3()?),
    );
    libtest_mimic::run(&arguments, trials.chain([shadow]).collect()).exit();
}

/// Runs a script against a store of its own.
fn run(python: &Path, script: &str) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let store = runtime.block_on(start(directory.path()))?;
    let ended = ask(python, script, &[], &store, store.credentials());
    runtime.block_on(store.stop());
    ended
}

/// A shadow: what it sees, what it may, and that the owner sees nothing of it.
fn shadow(python: &Path) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let store = runtime.block_on(start(directory.path()))?;
    let owner = store.credentials().clone();
    let phase = |phase: &str, credentials: &Credentials| ask(python, "shadow_client.py", &[phase], &store, credentials);
    phase("seed", &owner)?;
    let places = Places {
        reads: vec![Spot::new("spark", "in")],
        writes: vec![Spot::new("spark", "out")],
    };
    let pins = runtime.block_on(Pins::take(store.store(), &places))?;
    runtime.block_on(prepare(store.store()))?;
    let log = directory.path().join("log");
    let shadow = Arc::new(Shadow::new("s", places.clone(), Arc::new(pins.clone()), &log)?);
    store.shadows().add(shadow.clone());
    let change = "import boto3; c = boto3.client('s3'); [c.put_object(Bucket='spark', Key=k, Body=b'?') for k in ['in/changes', 'in/later']]";
    std::fs::write(directory.path().join("change.py"), change)?;
    let change = directory.path().join("change.py");
    ask(python, &change.to_string_lossy(), &[], &store, &owner)?;
    phase("shadow", shadow.credentials())?;
    phase("after", &owner)?;
    store.shadows().remove(&shadow);
    let gone = phase("shadow", shadow.credentials());
    let now = runtime.block_on(Pins::take(store.store(), &places))?;
    runtime.block_on(store.stop());
    let seen = shadow.log().seen();
    let changes: Vec<String> = pins.changes(&now).into_iter().map(|one| one.object).collect();
    let refusal = |object: &str| seen.refusals.iter().any(|one| one.object == object);
    let holds = seen.strays.is_empty()
        && seen.broken.is_none()
        && seen.changed.iter().eq(["s3://spark/in/changes"])
        && changes == ["s3://spark/in/changes", "s3://spark/in/later"]
        && ["s3://spark/elsewhere/y", "s3://spark/secret/x", "s3://mine"]
            .into_iter()
            .all(refusal)
        && gone.is_err();
    if holds {
        Ok(())
    } else {
        Err(format!("{seen:#?} {changes:?}").into())
    }
}

async fn start(directory: &Path) -> Result<ObjectStore, Failed> {
    let mut config = Config::new(directory.join("store"), Ipv4Addr::LOCALHOST);
    config.port = Some(0);
    Ok(ObjectStore::start(config).await?)
}

/// Runs a script with a key.
fn ask(
    python: &Path,
    script: &str,
    arguments: &[&str],
    store: &ObjectStore,
    credentials: &Credentials,
) -> Result<(), Failed> {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
    let home = tempfile::tempdir()?;
    let output = Command::new(python)
        .arg(scripts.join(script))
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home.path())
        .env("AWS_ENDPOINT_URL", store.endpoint())
        .env("AWS_REGION", store.region())
        .env("AWS_DEFAULT_REGION", store.region())
        .env("AWS_ACCESS_KEY_ID", &credentials.access_key_id)
        .env("AWS_SECRET_ACCESS_KEY", &credentials.secret_access_key)
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    Err(Failed::from(text.join("\n")))
}
