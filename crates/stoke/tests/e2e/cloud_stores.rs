//! Stores of Google and Azure as `stoke platform wire` writes them, asked by real Sparks with the connectors that it names, and versions published in both.
//!
//! Google's is an emulator that takes any token. Of Azure's there is no emulator with the interface that Hadoop's connector speaks: what the connector reads
//! out of the configuration is asked of it, and how it asks for tokens, but no file is written through it.

use std::path::Path;
use std::process::Command;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;
use stoke_testkit::maven;

use crate::clouds::{self, AZURE_CLIENT};
use crate::common::{
    Context, Need, VERSIONS, expect_code, expect_parts, free_port, full, program, reached, repository, spark_submit,
    stoke, text,
};
use crate::publish::{CONTRACT, World};

/// What is recorded of the connectors, with their sums.
const JARS: &str = include_str!("../../../platform/tests/it/cloud-keys.tsv");

const GOOGLE: &str = "google: {project: acme-data, key: {secret: google, key: key.json}}";
const KEY: &str = "azure: {account: shopdata, key: {secret: azure, key: word}}";
const IDENTITY: &str = "azure: {account: shopdata, identity: {clientId: 11111111-2222-3333-4444-555555555555, tenantId: 11111111-2222-3333-4444-666666666666}}";

pub fn trials(context: &Context) -> Vec<Trial> {
    let mut trials = Vec::new();
    let openssl = || program("openssl", "apt-get install openssl");
    for spark in VERSIONS {
        let needs: Vec<Need> = [&clouds::for_google()[..], &[context.spark(spark), openssl()]].concat();
        trials.push(context.trial(
            &format!("clouds: tables in Google's store as the platform wires it, Spark {spark}"),
            &needs,
            move |context| google(context, spark),
        ));
        let needs = [full(), context.spark(spark), reached("repo1.maven.org:443")];
        trials.push(context.trial(
            &format!("clouds: Azure's connector reads what the platform wires, Spark {spark}"),
            &needs,
            move |context| azure(context, spark),
        ));
    }
    trials.push(context.trial(
        "clouds: versions published in Azure Blob Storage",
        &clouds::for_azure(),
        published_in_azure,
    ));
    trials
}

/// What wiring makes of an application of a Spark that wants a store: its `spec`.
fn wired(context: &Context, work: &Path, spark: &str, store: &str) -> Result<Value, Failed> {
    let platform = format!(
        "name: shop\nnamespace: shop\nsparks:\n  current: {{version: {spark}}}\ncomponents:\n  files: {{kind: object-store, bucket: shop-data, {store}}}\n"
    );
    std::fs::write(work.join("platform.yaml"), platform)?;
    let manifest = std::fs::read_to_string(repository().join("examples/pi.yaml"))?;
    let manifest = manifest.replace("4.1.4", spark).replace(
        "\nmetadata:",
        "\nmetadata:\n  annotations: {platform.stoke.dev/store: files}",
    );
    std::fs::write(work.join("app.yaml"), manifest)?;
    let output = stoke(context.home(), ["platform", "wire", "app.yaml", "--output", "json"])
        .current_dir(work)
        .output()?;
    expect_code(&output, 0)?;
    let mut wired: Value = serde_json::from_slice(&output.stdout)?;
    match wired["items"][0]["spec"].take() {
        Value::Null => Err(text(&output).into()),
        spec => Ok(spec),
    }
}

/// Runs the script with what was wired; files that pods would mount are in the directory, and addresses of the outside are overwritten.
fn run(
    context: &Context,
    work: &Path,
    spark: &str,
    spec: &Value,
    what: &str,
    others: &[(&str, String)],
    port: u16,
) -> Result<(), Failed> {
    let mut command = spark_submit(context, spark)?;
    let all = |list: &Value| -> Vec<String> {
        let each = list.as_array().into_iter().flatten();
        each.filter_map(|one| Some(one.as_str()?.to_owned())).collect()
    };
    for jar in all(&spec["deps"]["jars"]) {
        let path = jar
            .strip_prefix("https://repo1.maven.org/maven2/")
            .ok_or("another repository")?;
        let name = path.rsplit('/').next().unwrap_or_default();
        let sum = JARS
            .lines()
            .find_map(|line| line.strip_prefix(&format!("jar\t{name}\t")));
        let kept = maven::bring(
            &context.home().join("jars"),
            path,
            sum.ok_or("a jar that is not recorded")?,
        )?;
        command.arg("--jars").arg(kept);
    }
    let packages = all(&spec["deps"]["packages"]);
    let _alone = packages.first().and_then(|package| context.alone_to_fetch(package));
    if !packages.is_empty() {
        command.args(["--packages", &packages.join(",")]);
    }
    let here = |value: &str| {
        let files = ["/etc/stoke/google/", "/var/run/secrets/azure/tokens/azure-identity-"];
        let found = files.iter().find_map(|place| value.strip_prefix(place));
        found.map_or_else(|| value.to_owned(), |file| work.join(file).display().to_string())
    };
    for (key, value) in spec["sparkConf"].as_object().into_iter().flatten() {
        let value = here(value.as_str().unwrap_or_default());
        command.args(["--conf", &format!("{key}={value}")]);
    }
    for (key, value) in others {
        command.args(["--conf", &format!("spark.hadoop.{key}={value}")]);
    }
    for variable in spec["driver"]["env"].as_array().into_iter().flatten() {
        let name = variable["name"].as_str().unwrap_or_default();
        // A Secret has what it has.
        let value = variable["value"].as_str().map_or_else(|| "a2V5".to_owned(), here);
        command.env(name, value);
    }
    let output = command
        .arg(repository().join("crates/stoke/tests/e2e/cloud_stores.py"))
        .args([what, &port.to_string()])
        .current_dir(work)
        .output()?;
    expect_code(&output, 0)?;
    expect_parts(&text(&output), &["all as it must be"])
}

/// A pair of keys, and the file of a service account with the private one.
fn account(work: &Path) -> Result<(), Failed> {
    for arguments in [
        &["genpkey", "-algorithm", "RSA", "-out", "private.pem"][..],
        &["pkey", "-in", "private.pem", "-pubout", "-out", "public.pem"],
    ] {
        let made = Command::new("openssl").args(arguments).current_dir(work).output()?;
        expect_code(&made, 0)?;
    }
    let file = serde_json::json!({
        "type": "service_account", "project_id": "acme-data", "private_key_id": "1", "client_id": "1",
        "private_key": std::fs::read_to_string(work.join("private.pem"))?,
        "client_email": "spark@acme-data.iam.gserviceaccount.com", "token_uri": "https://oauth2.googleapis.com/token",
    });
    Ok(std::fs::write(work.join("key.json"), file.to_string())?)
}

fn google(context: &Context, spark: &str) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let work = directory.path();
    account(work)?;
    let (_emulator, endpoint) = clouds::google()?;
    let made = Command::new("curl")
        .args([
            "-fsS",
            "-H",
            "Content-Type: application/json",
            "-d",
            "{\"name\":\"shop-data\"}",
        ])
        .arg(format!("{endpoint}/storage/v1/b"))
        .output()?;
    expect_code(&made, 0)?;
    let port = free_port()?;
    let others = [
        ("fs.gs.storage.root.url", format!("{endpoint}/")),
        ("fs.gs.token.server.url", format!("http://127.0.0.1:{port}/token")),
    ];
    let wired = wired(context, work, spark, GOOGLE)?;
    run(context, work, spark, &wired, "google", &others, port)?;
    // What Spark wrote, read by this program's own client. The emulator has no writes of the XML interface, by which that client writes.
    let variables = clouds::google_variables(work, &endpoint)?;
    std::fs::write(work.join("contract.yaml"), CONTRACT)?;
    let mut read = stoke(context.home(), ["quality", "run", "contract.yaml", "--data"]);
    read.arg("gs://shop-data/report/v1").current_dir(work);
    let output = read
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .output()?;
    expect_code(&output, 0)?;
    expect_parts(&text(&output), &["gs://shop-data/report/v1", "10 rows"])
}

fn azure(context: &Context, spark: &str) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let work = directory.path();
    let by_key = wired(context, work, spark, KEY)?;
    run(context, work, spark, &by_key, "azure-key", &[], free_port()?)?;
    if spark.starts_with("3.") {
        // Its Hadoop knows no identities, which wiring says.
        let refused = wired(context, work, spark, IDENTITY).map(drop).err().ok_or("wired")?;
        return expect_parts(
            refused.message().unwrap_or_default(),
            &["which Hadoop knows from 3.4.1 on"],
        );
    }
    std::fs::write(work.join("token"), "a.pod's.token")?;
    let port = free_port()?;
    let others = [(
        "fs.azure.account.oauth2.msi.authority",
        format!("http://127.0.0.1:{port}/"),
    )];
    let by_identity = wired(context, work, spark, IDENTITY)?;
    run(context, work, spark, &by_identity, "azure-identity", &others, port)
}

/// Two versions below a place are published one after the other, and the second is taken back.
fn published(context: &Context, place: &str, variables: &[(&str, String)]) -> Result<(), Failed> {
    let data = format!("  - {{name: report, contract: contracts/report.yaml, versions: '{place}'}}\n");
    let world = World::new(context, &data)?;
    let done = |arguments: &[&str], code: i32, part: &str| -> Result<(), Failed> {
        let mut command = world.command(arguments);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        let output = command.output()?;
        expect_code(&output, code)?;
        expect_parts(&text(&output), &[part])
    };
    let publish = ["release", "publish", "report", "--in", "prod", "--version"];
    let current = ["release", "published", "report", "--in", "prod"];
    done(&[&publish[..], &["v1"]].concat(), 0, "v1")?;
    done(&[&publish[..], &["v2"]].concat(), 0, "saw v1 before")?;
    done(&current, 0, &format!("{place}/v2"))?;
    done(&["release", "rollback", "--in", "prod", "--data", "report"], 0, "v1")?;
    done(&current, 0, &format!("{place}/v1"))?;
    let pointer = format!("{place}/current.json");
    done(
        &["quality", "run", "contracts/report.yaml", "--data", &pointer],
        0,
        "v1",
    )
}

/// Makes a container and two versions in it, as Azure's own client does.
const VERSIONS_IN_AZURE: &str = "
import sys
from azure.storage.blob import BlobServiceClient
key = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=='
container = BlobServiceClient(sys.argv[1] + '/devstoreaccount1', credential=key).create_container('shop-data')
for version in ('v1', 'v2'):
    container.upload_blob(f'report/{version}/part-0.csv', b'id,amount\\n1,1.5\\n2,2.5\\n')
    container.upload_blob(f'report/{version}/_SUCCESS', b'')
";

fn published_in_azure(context: &Context) -> Result<(), Failed> {
    let python = stoke_testkit::python::environment("azure-client", &[AZURE_CLIENT])?;
    let directory = tempfile::tempdir()?;
    let (_emulator, endpoint) = clouds::azurite(directory.path())?;
    let made = Command::new(python)
        .args(["-c", VERSIONS_IN_AZURE, &endpoint])
        .output()?;
    expect_code(&made, 0)?;
    published(context, "abfs://shop-data/report", &clouds::azure_variables(&endpoint))
}
