//! Event logs in Google Cloud Storage and Azure Blob Storage, as their emulators have them: read, served, deleted.
//!
//! Azurite comes from npm by the test itself. fake-gcs-server takes minutes to build, so it is taken where it is installed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::common::{
    Context, Server, eventually, expect_code, expect_parts, free_port, full, program, repository, stoke, text,
};

/// Emulator of Azure Blob Storage.
const AZURITE: &str = "azurite@3.35.0";
/// Client with which the test writes there.
const AZURE_CLIENT: &str = "azure-storage-blob==12.31.1";

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

pub fn trials(context: &Context) -> Vec<Trial> {
    let azure = [
        full(),
        program("npm", "apt-get install npm"),
        program("node", "apt-get install nodejs"),
    ];
    let google = program(
        "fake-gcs-server",
        "go install github.com/fsouza/fake-gcs-server@latest, and $(go env GOPATH)/bin on the PATH",
    );
    vec![
        context.trial("clouds: event logs in Azure Blob Storage", &azure, |context| {
            let (script, python) = (azurite()?, stoke_testkit::python::environment("azure-client", &[AZURE_CLIENT])?);
            let port = free_port()?;
            let directory = tempfile::tempdir()?;
            let _emulator = Server::start(
                Command::new("node")
                    .arg(script)
                    .args([
                        "--silent",
                        "--inMemoryPersistence",
                        "--skipApiVersionCheck",
                        "--blobHost",
                        "127.0.0.1",
                        "--blobPort",
                    ])
                    .arg(port.to_string())
                    .current_dir(&directory),
                port,
            )?;
            let endpoint = format!("http://127.0.0.1:{port}");
            upload(&python, AZURE_UPLOAD, &endpoint)?;
            let variables = [
                ("AZURE_STORAGE_USE_EMULATOR", "true"),
                ("AZURITE_BLOB_STORAGE_URL", &endpoint),
            ];
            read_and_cleaned(context, "abfs://spark-logs/events", &variables)
        }),
        context.trial("clouds: event logs in Google Cloud Storage", &[full(), google], |context| {
            let port = free_port()?;
            let _emulator = Server::start(
                Command::new("fake-gcs-server")
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
                    .args(["-public-host", &format!("127.0.0.1:{port}")]),
                port,
            )?;
            let endpoint = format!("http://127.0.0.1:{port}");
            upload(Path::new("python3"), GOOGLE_UPLOAD, &endpoint)?;
            let directory = tempfile::tempdir()?;
            let account = directory.path().join("account.json");
            let nobody = serde_json::json!({
                "gcs_base_url": endpoint, "disable_oauth": true, "client_email": "", "private_key": "", "private_key_id": ""
            });
            std::fs::write(&account, nobody.to_string())?;
            let variables = [("GOOGLE_SERVICE_ACCOUNT", account.to_str().ok_or("a path that is not text")?)];
            read_and_cleaned(context, "gs://spark-logs/events", &variables)
        }),
    ]
}

/// Azurite's script, in the target directory.
fn azurite() -> Result<PathBuf, Failed> {
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
fn read_and_cleaned(context: &Context, place: &str, variables: &[(&str, &str)]) -> Result<(), Failed> {
    let home = context.private_home();
    let command = |arguments: &[&str]| {
        let mut command = stoke(home.path(), arguments);
        command.envs(variables.iter().copied());
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
