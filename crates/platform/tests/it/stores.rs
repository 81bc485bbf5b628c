//! Object stores of three clouds, with each way to ask, for each component that uses one.

use serde_json::Value;
use stoke_model::manifest;
use stoke_platform::environment::Resolved;
use stoke_platform::render::{objects, tree};

use crate::{read, right};

pub const LOGINS: [(&str, &str); 7] = [
    (
        "amazon",
        "bucket: shop-data, region: eu-west-1, role: 'arn:aws:iam::123456789012:role/a'",
    ),
    (
        "amazon-keys",
        "bucket: shop-data, region: eu-west-1, credentials: {secret: keys}",
    ),
    (
        "server",
        "bucket: shop-data, endpoint: 'http://minio:9000', pathStyle: true, credentials: {secret: keys}",
    ),
    (
        "google",
        "bucket: shop-data, google: {serviceAccount: a@acme-data.iam.gserviceaccount.com}",
    ),
    (
        "google-key",
        "bucket: shop-data, google: {project: acme-data, key: {secret: google, key: key.json}}",
    ),
    (
        "azure",
        "bucket: shop-data, azure: {account: shopdata, identity: {clientId: 11111111-2222-3333-4444-555555555555, tenantId: 11111111-2222-3333-4444-666666666666}}",
    ),
    (
        "azure-key",
        "bucket: shop-data, azure: {account: shopdata, key: {secret: azure, key: word}}",
    ),
];

pub fn file(store: &str, component: &str, spark: &str) -> String {
    format!(
        "name: shop\nnamespace: shop\nsparks:\n  current: {{version: {spark}}}\ncomponents:\n  files: {{kind: object-store, {store}}}\n  pg: {{kind: postgresql, login: {{secret: login}}}}\n{component}"
    )
}

const LAKE: &str = "  lake: {kind: nessie, database: {component: pg}, store: files, path: lake}\n";
const HIVE: &str =
    "  hive: {kind: hive-metastore, image: 'a/hive:1', database: {component: pg}, store: files, path: hive}\n";
const HISTORY: &str = "  history: {kind: history-server, store: files, path: logs}\n";
const MLFLOW: &str =
    "  runs: {kind: mlflow, image: 'a/mlflow:1', database: {component: pg}, store: files, path: runs}\n";

fn component(what: &str) -> String {
    let lab = |more: &str| format!("  lab: {{kind: spark-connect, spark: current, {more}}}\n");
    match what {
        "nessie" => LAKE.to_owned(),
        "hive" => HIVE.to_owned(),
        "history" => HISTORY.to_owned(),
        "mlflow" => MLFLOW.to_owned(),
        "files" => lab("store: files"),
        "spark-history" => format!("{HISTORY}{}", lab("history: history")),
        "spark-hive" => format!("{HIVE}{}", lab("catalog: hive")),
        _ => format!("{LAKE}{}", lab("catalog: lake")),
    }
}

/// What cannot be, and why.
fn refused(login: &str, what: &str, spark: &str) -> Option<&'static str> {
    match (login, what) {
        ("azure", "hive" | "spark-hive") => Some("knows no identities of Azure"),
        ("azure", "files" | "spark-history") if spark.starts_with('3') => Some("which Hadoop knows from 3.4.1 on"),
        ("azure-key", "spark-nessie") => Some("takes the key of an account as plain configuration only"),
        _ => None,
    }
}

#[test]
fn every_component_asks_every_store_or_says_at_its_line_why_not() {
    let (mut rendered, mut told) = (0, 0);
    for (login, store) in LOGINS {
        for what in [
            "nessie",
            "hive",
            "history",
            "mlflow",
            "files",
            "spark-history",
            "spark-hive",
            "spark-nessie",
        ] {
            for spark in ["3.5.9", "4.0.0", "4.1.4"] {
                let text = file(store, &component(what), spark);
                if let Some(why) = refused(login, what, spark) {
                    let found = read(&text).map(|_| ()).unwrap_err();
                    let is = found.iter().any(|found| found.message.contains(why) && found.line >= 8);
                    assert!(is, "{login} {what} {spark}: {found:?}");
                    told += 1;
                    continue;
                }
                let resolved = right(&text).in_environment(None).unwrap();
                let name = ["lab", "lake", "hive", "history", "runs"]
                    .into_iter()
                    .find(|name| text.contains(&format!("  {name}: ")))
                    .unwrap();
                asks(login, name, &resolved);
                rendered += 1;
            }
        }
    }
    println!("{rendered} rendered, {told} refused");
    assert!(rendered > 140 && told >= 10, "{rendered} {told}");
}

/// The object, its pods and their account have the login of the store and that of no other.
fn asks(login: &str, name: &str, resolved: &Resolved) {
    let all = objects(&resolved.scope());
    let of = |kinds: &[&str], name: &str| -> Value {
        let found = all
            .iter()
            .find(|object| kinds.contains(&object["kind"].as_str().unwrap()) && object["metadata"]["name"] == name);
        found.cloned().unwrap_or_default()
    };
    let object = of(&["Deployment", "SparkConnect"], name);
    let text = object.to_string() + &of(&["ConfigMap"], name).to_string();
    let account = of(&["ServiceAccount"], if name == "lab" { "spark" } else { name });
    let annotations = account["metadata"]["annotations"].to_string();
    let has = |text: &str, part: &str, wanted: bool| {
        assert_eq!(text.contains(part), wanted, "{login} {name}: {part}\n{text}")
    };
    has(&annotations, "eks.amazonaws.com/role-arn", login == "amazon");
    has(&annotations, "iam.gke.io/gcp-service-account", login == "google");
    has(&annotations, "azure.workload.identity/client-id", login == "azure");
    has(&text, "azure.workload.identity/use", login == "azure");
    has(
        &text,
        "AWS_SECRET_ACCESS_KEY",
        matches!(login, "amazon-keys" | "server"),
    );
    has(&text, "GOOGLE_APPLICATION_CREDENTIALS", login == "google-key");
    has(&text, "/etc/stoke/google", login == "google-key");
    has(&text, "AZURE_STORAGE_ACCOUNT_KEY", login == "azure-key");
    if name == "lab" {
        let packages = object["spec"]["deps"].to_string();
        has(
            &packages,
            "hadoop-azure:3.",
            login.starts_with("azure") && !text.contains("catalog.lake"),
        );
        let (documents, mut found) = manifest::check("lab.yaml", &tree::yaml(&object).unwrap());
        found.retain(|found| found.is_error());
        assert!(found.is_empty() && documents.len() == 1, "{found:?}");
    }
    let scheme = match login {
        "google" | "google-key" => "gs://",
        "azure" | "azure-key" if name == "runs" => "wasbs://",
        "azure" | "azure-key" => "abfss://",
        _ => "s3",
    };
    if name != "lab" || text.contains("eventLog") {
        has(&text, scheme, true);
    }
}

#[test]
fn logins_that_make_each_other_void_are_refused() {
    for (store, code, fix) in [
        (
            "bucket: a-b, google: {serviceAccount: a}",
            "platform-address",
            "NAME@PROJECT",
        ),
        (
            "bucket: a-b, google: {serviceAccount: a@b-c.iam.gserviceaccount.com, key: {secret: a, key: k}}",
            "platform-contradiction",
            "keep one of `key`",
        ),
        (
            "bucket: a-b, endpoint: 'https://a.example.com', google: {key: {secret: a, key: k}}",
            "platform-contradiction",
            "remove `endpoint`",
        ),
        (
            "bucket: a-b, credentials: {secret: k}, azure: {account: abc, key: {secret: a, key: k}}",
            "platform-contradiction",
            "remove `credentials`",
        ),
        (
            "bucket: a-b, azure: {account: abc, key: {secret: a, key: k}}, google: {key: {secret: a, key: k}}",
            "platform-contradiction",
            "remove `azure`",
        ),
        (
            "bucket: a-b, azure: {account: abc.dfs.core.windows.net, key: {secret: a, key: k}}",
            "platform-address",
            "write the name alone: `abc`",
        ),
        (
            "bucket: a-b, azure: {account: A_B, key: {secret: a, key: k}}",
            "platform-address",
            "3 to 24",
        ),
        (
            "bucket: a-b, azure: {account: abc, identity: {clientId: me, tenantId: 11111111-2222-3333-4444-666666666666}}",
            "platform-address",
            "write it as `1111",
        ),
        (
            "bucket: a-b, azure: {account: abc, identity: {clientId: 11111111-2222-3333-4444-666666666666}}",
            "missing-field",
            "add `tenantId`",
        ),
        ("bucket: a-b, google: {keyfile: a}", "unknown-field", "serviceAccount"),
    ] {
        let found = read(&file(store, "", "4.1.4")).map(|_| ()).unwrap_err();
        let is = found
            .iter()
            .any(|found| found.line == 6 && found.code == code && found.fix_text().contains(fix));
        assert!(is, "{store}: {found:#?}");
    }
}
