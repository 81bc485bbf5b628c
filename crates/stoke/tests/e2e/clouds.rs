//! Event logs in Google Cloud Storage and Azure Blob Storage, as their emulators have them: read, served, deleted.
//!
//! Azurite comes from npm, fake-gcs-server is taken where it is installed or made once by Go.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::common::{
    Context, Need, Server, eventually, expect_code, expect_parts, free_port, full, program, repository, stoke, text,
};

/// Emulator of Azure Blob Storage.
const AZURITE: &str = "azurite@3.35.0";
/// Client with which tests write there.
pub const AZURE_CLIENT: &str = "azure-storage-blob==12.31.1";

/// Makes a container and writes files into it, as Azure's own client does.
const AZURE_UPLOAD: &str = "
import os, sys
from azure.storage.blob import BlobServiceClient
key = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=='
address = sys.argv[1] + '/devstoreaccount1'
service = BlobServiceClient(address, credential=key)
container = service.create_container('spark-logs')
for path in sys.argv[2:]:
    with open(path, 'rb') as file:
        container.upload_blob('events/' + os.path.basename(path), file)
";

/// The same over Cloud Storage's JSON API.
const GOOGLE_UPLOAD: &str = "
import json, os, sys, urllib.request
def send(url, body, kind):
    urllib.request.urlopen(urllib.request.Request(sys.argv[1] + url, data=body, headers={'Content-Type': kind})).read()
send('/storage/v1/b', json.dumps({'name': 'spark-logs'}).encode(), 'application/json')
for path in sys.argv[2:]:
    with open(path, 'rb') as file:
        send('/upload/storage/v1/b/spark-logs/o?uploadType=media&name=events%2F' + os.path.basename(path), file.read(), 'application/octet-stream')
";

/// Emulator of Google's store, as a module of Go.
const GOOGLE: &str = "github.com/fsouza/fake-gcs-server@v1.56.1";

/// What Azurite needs.
pub fn for_azure() -> [Need; 3] {
    [
        full(),
        program("npm", "apt-get install npm"),
        program("node", "apt-get install nodejs"),
    ]
}

/// What Google's emulator needs.
pub fn for_google() -> [Need; 2] {
    [full(), Need::Built(|_| fake_gcs_server().map(drop))]
}

pub fn trials(context: &Context) -> Vec<Trial> {
    vec![
        context.trial("clouds: event logs in Azure Blob Storage", &for_azure(), |context| {
            let python = stoke_testkit::python::environment("azure-client", &[AZURE_CLIENT])?;
            let directory = tempfile::tempdir()?;
            let (_emulator, endpoint) = azurite(directory.path())?;
            upload(&python, AZURE_UPLOAD, &endpoint)?;
            read_and_cleaned(context, "abfs://spark-logs/events", &azure_variables(&endpoint))
        }),
        context.trial("clouds: event logs in Google Cloud Storage", &for_google(), |context| {
            let (_emulator, endpoint) = google()?;
            upload(Path::new("python3"), GOOGLE_UPLOAD, &endpoint)?;
            let directory = tempfile::tempdir()?;
            let variables = google_variables(directory.path(), &endpoint)?;
            read_and_cleaned(context, "gs://spark-logs/events", &variables)
        }),
    ]
}

/// Azurite, over memory; it writes its settings into the directory.
pub fn azurite(directory: &Path) -> Result<(Server, String), Failed> {
    let (script, port) = (azurite_script()?, free_port()?);
    let mut node = Command::new("node");
    node.arg(script)
        .args([
            "--silent",
            "--inMemoryPersistence",
            "--skipApiVersionCheck",
            "--blobHost",
            "127.0.0.1",
            "--blobPort",
        ])
        .arg(port.to_string())
        .current_dir(directory);
    Ok((Server::start(&mut node, port)?, format!("http://127.0.0.1:{port}")))
}

/// Variables by which Azurite is asked.
pub fn azure_variables(endpoint: &str) -> Vec<(&'static str, String)> {
    vec![
        ("AZURE_STORAGE_USE_EMULATOR", "true".to_owned()),
        ("AZURITE_BLOB_STORAGE_URL", endpoint.to_owned()),
    ]
}

/// Google's emulator, on the PATH or made once by Go, which takes minutes.
fn fake_gcs_server() -> Result<PathBuf, String> {
    if stoke_testkit::program("fake-gcs-server", "").is_ok() {
        return Ok("fake-gcs-server".into());
    }
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fake-gcs-server");
    let made = directory.join("fake-gcs-server");
    if made.is_file() {
        return Ok(made);
    }
    stoke_testkit::program("go", "go.dev/dl; it makes fake-gcs-server")?;
    let mut install = Command::new("go");
    install.args(["install", GOOGLE]).env("GOBIN", &directory);
    let output = install.output().map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(made),
        false => Err(format!("go install {GOOGLE}: {}", text(&output).trim())),
    }
}

/// Google's emulator, over memory.
pub fn google() -> Result<(Server, String), Failed> {
    let port = free_port()?;
    let mut command = Command::new(fake_gcs_server()?);
    command
        .args([
            "-scheme",
            "http",
            "-backend",
            "memory",
            "-host",
            "127.0.0.1",
            "-port",
            &port.to_string(),
        ])
        .args(["-public-host", &format!("127.0.0.1:{port}")]);
    Ok((Server::start(&mut command, port)?, format!("http://127.0.0.1:{port}")))
}

/// Variables by which it is asked; a file in the directory says where it is.
pub fn google_variables(directory: &Path, endpoint: &str) -> Result<Vec<(&'static str, String)>, Failed> {
    let account = directory.join("account.json");
    let nobody = serde_json::json!({
        "gcs_base_url": endpoint, "disable_oauth": true, "client_email": "", "private_key": "", "private_key_id": ""
    });
    std::fs::write(&account, nobody.to_string())?;
    Ok(vec![("GOOGLE_SERVICE_ACCOUNT", account.display().to_string())])
}

/// Azurite's script, in the target directory.
fn azurite_script() -> Result<PathBuf, Failed> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("azurite");
    let done = directory.join("done");
    if !std::fs::read_to_string(&done).is_ok_and(|found| found == AZURITE) {
        std::fs::create_dir_all(&directory)?;
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"])
            .arg(&directory)
            .arg(AZURITE);
        expect_code(&npm.stdin(Stdio::null()).output()?, 0)?;
        std::fs::write(&done, AZURITE)?;
    }
    Ok(directory.join("node_modules/azurite/dist/src/blob/main.js"))
}

fn logs() -> Vec<PathBuf> {
    let pairs = repository().join("crates/insight/tests/pairs");
    ["base.zstd", "skew.zstd"].map(|name| pairs.join(name)).into()
}

fn upload(python: &Path, script: &str, endpoint: &str) -> Result<(), Failed> {
    let output = Command::new(python)
        .args(["-c", script, endpoint])
        .args(logs())
        .output()?;
    expect_code(&output, 0)
}

/// The same applications as in a directory, one of them read by the doctor, and both deleted.
fn read_and_cleaned(context: &Context, place: &str, variables: &[(&str, String)]) -> Result<(), Failed> {
    let home = context.private_home();
    let command = |arguments: &[&str]| {
        let mut command = stoke(home.path(), arguments);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        command
    };
    let port = free_port()?;
    let serving = Server::start(
        &mut command(&[
            "history",
            "serve",
            "--dir",
            place,
            "--listen",
            &format!("127.0.0.1:{port}"),
        ]),
        port,
    )?;
    let mut applications = Value::Null;
    eventually("both applications are listed", Duration::from_secs(30), || {
        let output = Command::new("curl")
            .args(["-fs", &format!("http://127.0.0.1:{port}/api/v1/applications")])
            .output();
        applications = output
            .ok()
            .and_then(|output| serde_json::from_slice(&output.stdout).ok())
            .unwrap_or_default();
        applications.as_array().is_some_and(|all| all.len() == 2)
    })?;
    let id = applications[0]["id"].as_str().ok_or("no id")?;
    let stages = Command::new("curl")
        .args([
            "-fs",
            &format!("http://127.0.0.1:{port}/api/v1/applications/{id}/stages"),
        ])
        .output()?;
    let stages: Value = serde_json::from_slice(&stages.stdout)?;
    if stages.as_array().is_none_or(Vec::is_empty) {
        return Err(format!("no stages of {id}: {stages}").into());
    }
    drop(serving);
    let shown = command(&["history", "clean", "--dir", place, "--keep", "0"]).output()?;
    expect_code(&shown, 0)?;
    expect_parts(&text(&shown), &["base.zstd", "skew.zstd"])?;
    expect_code(
        &command(&["history", "clean", "--dir", place, "--keep", "0", "--yes"]).output()?,
        0,
    )?;
    let left = command(&["history", "clean", "--dir", place, "--keep", "0"]).output()?;
    expect_code(&left, 0)?;
    match text(&left).contains("base.zstd") {
        true => Err(text(&left).into()),
        false => Ok(()),
    }
}
