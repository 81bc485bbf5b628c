//! Clients as people have them, against a store on a socket. Each is a script in `tests/clients`, run with nothing but the environment
//! variables that AWS's SDKs read; they are installed into the target directory, and ignored with the reason when that is not possible.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

use libtest_mimic::{Arguments, Failed};
use stoke_objectstore::{Config, ObjectStore};
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
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

/// Runs a script against a store of its own.
fn run(python: &Path, script: &str) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut config = Config::new(directory.path().join("store"), Ipv4Addr::LOCALHOST);
    config.port = Some(0);
    let store = runtime.block_on(ObjectStore::start(config))?;
    let credentials = store.credentials().clone();
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
    let output = Command::new(python)
        .arg(scripts.join(script))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", directory.path())
        .env("AWS_ENDPOINT_URL", store.endpoint())
        .env("AWS_REGION", store.region())
        .env("AWS_DEFAULT_REGION", store.region())
        .env("AWS_ACCESS_KEY_ID", credentials.access_key_id)
        .env("AWS_SECRET_ACCESS_KEY", credentials.secret_access_key)
        .output()?;
    runtime.block_on(store.stop());
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    Err(Failed::from(text.join("\n")))
}
