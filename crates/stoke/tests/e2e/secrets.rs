//! A thousand secrets, planted where people keep them, are in nothing that tells of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};
use stoke_eventlog::Codec;

use crate::common::{Context, expect_code, full, program, text};
use crate::live_pages::link;
use crate::up::Up;

pub fn trials(context: &Context) -> Vec<Trial> {
    let kubectl = program("kubectl", "see the Kubernetes documentation, `Install kubectl`");
    let needs = [
        full(),
        context.spark("4.1.4"),
        kubectl,
        program("unzip", "apt-get install unzip"),
    ];
    vec![context.trial(
        "secrets: of 1,000 planted values none is in logs, events, status, metrics, event logs, bundles, pages or JSON",
        &needs,
        nowhere,
    )]
}

/// How many values each way of giving a secret to an application gets. Together 1,000.
const PLANTED: [(&str, usize); 8] = [
    ("mounted", 200),
    ("from-env", 150),
    ("variable", 100),
    ("projected", 100),
    ("conf", 150),
    ("hadoop", 100),
    ("env", 100),
    ("argument", 100),
];

/// Of those that are mounted, how many the program puts into Spark's configuration while it runs. Spark redacts configurations that it is started with; what a program
/// sets later it writes into the event log of the run as it is, under the properties of each job. What is made of the log does not have them.
const SET_LATER: usize = 20;

/// Recognised anywhere, whole or in part of a longer text.
fn value(way: &str, number: usize) -> String {
    format!(
        "Pl4nt{}x{number:03}q{:05}",
        way.replace('-', ""),
        (number * 7919 + 13) % 99_991
    )
}

fn values(way: &str) -> impl Iterator<Item = String> {
    let count = PLANTED
        .iter()
        .find(|(name, _)| *name == way)
        .map_or(0, |(_, count)| *count);
    (0..count).map(move |number| value(way, number))
}

/// Uses its secrets as programs do: options of a writer, a configuration set at run time, a connection that fails, a message of an exception.
const USES: &str = r#"
import os, sys
from pyspark.sql import SparkSession
spark = SparkSession.builder.appName("secretive").getOrCreate()
mounted = [open("/etc/mounted/" + name).read() for name in sorted(os.listdir("/etc/mounted")) if not name.startswith(".")]
projected = [open("/etc/projected/" + name).read() for name in sorted(os.listdir("/etc/projected")) if not name.startswith(".")]
variables = [value for name, value in sorted(os.environ.items()) if value.startswith("Pl4nt")]
print("secrets:", len(mounted), len(projected), len(variables), len([a for a in sys.argv if "Pl4nt" in a]), flush=True)
for number, value in enumerate(mounted[:SET_LATER]):
    spark.conf.set("spark.hadoop.job.%d.password" % number, value)
frame = spark.range(100).selectExpr("id", "id % 7 AS rest")
frame.write.option("password", mounted[0]).option("auth.token", projected[0]).mode("overwrite").parquet("/tmp/secretive")
print("rows:", frame.groupBy("rest").count().count(), flush=True)
try:
    spark.read.format("jdbc").option("url", "jdbc:postgresql://127.0.0.1:1/none").option("dbtable", "t").option("user", "etl").option("password", mounted[2]).load()
except Exception as error:
    print("the database cannot be reached:", type(error).__name__, flush=True)
raise SystemExit(int(os.environ["ENDS"]))
"#;

fn manifest(name: &str, ends: u8) -> Value {
    let keys = |way: &'static str| (0..values(way).count()).map(move |number| format!("key-{number:03}"));
    let referenced: Vec<Value> = keys("variable")
        .enumerate()
        .map(|(number, key)| {
            json!({"name": format!("REFERENCED_{number}"), "valueFrom": {"secretKeyRef": {"name": "variable", "key": key}}})
        })
        .collect();
    let literal = values("env")
        .enumerate()
        .map(|(number, value)| json!({"name": format!("DB_PASSWORD_{number}"), "value": value}));
    let env: Vec<Value> = referenced
        .into_iter()
        .chain(literal)
        .chain([json!({"name": "ENDS", "value": ends.to_string()})])
        .collect();
    let conf: BTreeMap<String, String> = values("conf")
        .enumerate()
        .map(|(number, value)| {
            let key = match number % 5 {
                0 => format!("spark.job.db{number}.password"),
                1 => format!("spark.job.api{number}.token"),
                2 => format!("spark.ssl.ns{number}.keyPassword"),
                3 => format!("spark.job.oauth{number}.clientSecret"),
                _ => format!("spark.job.cloud{number}.access.key"),
            };
            (key, value)
        })
        .collect();
    let hadoop: BTreeMap<String, String> = values("hadoop")
        .enumerate()
        .map(|(number, value)| (format!("fs.s3a.bucket.b{number}.secret.key"), value))
        .collect();
    let arguments: Vec<String> = values("argument")
        .enumerate()
        .map(|(number, value)| match number % 2 {
            0 => format!("--db-password={value}"),
            _ => format!("--api-token={value}"),
        })
        .collect();
    json!({
        "apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication", "metadata": {"name": name},
        "spec": {
            "type": "Python", "mode": "cluster", "image": "apache/spark:4.1.4", "sparkVersion": "4.1.4",
            "mainApplicationFile": "local:///code/uses.py", "arguments": arguments, "restartPolicy": {"type": "Never"},
            "sparkConf": conf, "hadoopConf": hadoop,
            "volumes": [
                {"name": "code", "configMap": {"name": "uses"}},
                {"name": "projected", "projected": {"sources": [{"secret": {"name": "projected"}}]}},
            ],
            "driver": {
                "cores": 1, "coreRequest": "250m", "memory": "512m", "serviceAccount": "spark-operator-spark",
                "secrets": [{"name": "mounted", "path": "/etc/mounted", "secretType": "Generic"}],
                "env": env, "envFrom": [{"secretRef": {"name": "from-env"}}],
                "volumeMounts": [{"name": "code", "mountPath": "/code"}, {"name": "projected", "mountPath": "/etc/projected"}],
            },
            "executor": {
                "instances": 1, "cores": 1, "coreRequest": "250m", "memory": "512m",
                "secrets": [{"name": "mounted", "path": "/etc/mounted", "secretType": "Generic"}],
                "envFrom": [{"secretRef": {"name": "from-env"}}],
            },
        },
    })
}

fn objects() -> Value {
    let program = USES.replace("SET_LATER", &SET_LATER.to_string());
    let mut items = vec![
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "uses"}, "data": {"uses.py": program}}),
    ];
    for way in ["mounted", "from-env", "variable", "projected"] {
        let data: BTreeMap<String, String> = values(way)
            .enumerate()
            .map(|(number, value)| match way {
                "from-env" => (format!("FROM_ENV_{number}"), value),
                _ => (format!("key-{number:03}"), value),
            })
            .collect();
        items.push(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": way}, "stringData": data}));
    }
    items.extend([manifest("secretive", 0), manifest("careless", 3)]);
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}

/// What was looked through: how many texts, how many bytes; and what was found in them.
#[derive(Default)]
struct Looked {
    texts: usize,
    bytes: usize,
    found: BTreeMap<String, BTreeSet<String>>,
}

impl Looked {
    fn at(&mut self, place: &str, bytes: &[u8]) {
        self.texts += 1;
        self.bytes += bytes.len();
        let text = String::from_utf8_lossy(bytes);
        for way in PLANTED.map(|(way, _)| way) {
            let mark = format!("Pl4nt{}x", way.replace('-', ""));
            if !text.contains(&mark) && !text.contains("UGw0bnR") {
                continue;
            }
            let written_by_spark = way == "mounted" && place.contains("/event-logs/");
            let seen = values(way)
                .skip(if written_by_spark { SET_LATER } else { 0 })
                .filter(|value| text.contains(value.as_str()) || text.contains(&BASE64.encode(value)))
                .collect::<Vec<_>>();
            if !seen.is_empty() {
                let around = seen.first().and_then(|value| text.find(value.as_str())).map(|at| {
                    let from = text[..at].char_indices().rev().nth(80).map_or(0, |(from, _)| from);
                    text[from..].chars().take(130).collect::<String>()
                });
                let line = format!("{way}: {} values, as in …{}…", seen.len(), around.unwrap_or_default());
                self.found.entry(place.to_owned()).or_default().insert(line);
            }
        }
    }

    fn ran(&mut self, place: &str, command: &mut Command) -> Result<Vec<u8>, Failed> {
        let output = command.output()?;
        self.at(place, &output.stdout);
        self.at(&format!("{place} (standard error)"), &output.stderr);
        Ok(output.stdout)
    }

    /// All files below a directory; compressed event logs as what is in them.
    fn files(&mut self, below: &Path) -> Result<usize, Failed> {
        let mut seen = 0;
        let mut left = vec![below.to_owned()];
        while let Some(directory) = left.pop() {
            let Ok(entries) = std::fs::read_dir(&directory) else {
                continue;
            };
            for entry in entries.flatten() {
                let path: PathBuf = entry.path();
                if entry.file_type()?.is_dir() {
                    left.push(path);
                    continue;
                }
                if !entry.file_type()?.is_file() {
                    continue;
                }
                let codec = Codec::of_name(&path.to_string_lossy());
                let mut bytes = Vec::new();
                codec
                    .decode(Box::new(std::fs::File::open(&path)?))?
                    .read_to_end(&mut bytes)?;
                self.at(&path.display().to_string(), &bytes);
                seen += 1;
            }
        }
        Ok(seen)
    }
}

fn nowhere(context: &Context) -> Result<(), Failed> {
    assert_eq!(PLANTED.iter().map(|(_, count)| count).sum::<usize>(), 1_000);
    let up = Up::start(context)?;
    let below = tempfile::tempdir()?;
    let file = below.path().join("objects.json");
    std::fs::write(&file, objects().to_string())?;
    let mut looked = Looked::default();
    let applied = up
        .kubectl(&["apply", "--server-side", "-f", &file.to_string_lossy()])
        .output()?;
    expect_code(&applied, 0)?;
    looked.at("kubectl apply", &applied.stdout);
    looked.at("kubectl apply (standard error)", &applied.stderr);
    for (name, state) in [("secretive", "COMPLETED"), ("careless", "FAILED")] {
        let wait = [
            "wait",
            &format!("sparkapplication/{name}"),
            &format!("--for=jsonpath={{.status.applicationState.state}}={state}"),
            "--timeout=240s",
        ];
        let waited = up.kubectl(&wait).output()?;
        if !waited.status.success() {
            for said in [
                &["describe", "sparkapplication", name][..],
                &["get", "pods,events"],
                &["logs", &format!("{name}-driver"), "--tail=40"],
            ] {
                println!("{}", text(&up.kubectl(said).output()?));
            }
        }
        expect_code(&waited, 0)?;
    }
    // They really had them: 100 variables in the driver by reference, 100 as they stand, 150 from a Secret; ENDS is none.
    let log = looked.ran("driver log", &mut up.kubectl(&["logs", "secretive-driver"]))?;
    let log = String::from_utf8_lossy(&log).into_owned();
    for part in ["secrets: 200 100 350 100", "rows: 7", "the database cannot be reached"] {
        assert!(log.contains(part), "{part}\n{log}");
    }
    told(&up, &mut looked, below.path())?;
    pages(&up, &mut looked)?;
    // Logs of containers and the operator, event logs, what was gathered; not the store of the API server and the volumes of pods, which hold Secrets by their nature.
    let home = up.home();
    let mut files = 0;
    for part in ["runs", "event-logs", "logs"] {
        files += looked.files(&home.join(part))?;
        files += looked.files(&home.join("clusters/default").join(part))?;
    }
    assert!(files > 4, "only {files} files were found below {}", home.display());
    println!("{} texts of {} bytes were looked through", looked.texts, looked.bytes);
    if !looked.found.is_empty() {
        let all: Vec<String> = looked
            .found
            .iter()
            .map(|(place, ways)| {
                format!(
                    "{place}\n    {}",
                    ways.iter().cloned().collect::<Vec<_>>().join("\n    ")
                )
            })
            .collect();
        return Err(format!("planted secrets in {} places:\n{}", all.len(), all.join("\n")).into());
    }
    up.down()
}

/// What commands say, for people and for programs, and what a bundle has.
fn told(up: &Up, looked: &mut Looked, below: &Path) -> Result<(), Failed> {
    for kind in ["sparkapplications", "pods"] {
        let output = up.kubectl(&["get", kind, "-o", "json"]).output()?;
        expect_code(&output, 0)?;
        let list: Value = serde_json::from_slice(&output.stdout)?;
        for item in list["items"].as_array().into_iter().flatten() {
            looked.at(&format!("status of {kind}"), item["status"].to_string().as_bytes());
        }
    }
    looked.ran("events", &mut up.kubectl(&["get", "events", "-A", "-o", "json"]))?;
    for name in ["secretive", "careless"] {
        let zip = below.join(format!("{name}.zip"));
        let zip = zip.display().to_string();
        let commands: [&[&str]; 10] = [
            &["logs", name],
            &["doctor", name],
            &["cost", name],
            &["what-if", name],
            &["size", name],
            &["trace", name],
            &["bundle", name, "--to", &zip],
            &["ps"],
            &["status"],
            &["compare", "secretive", "careless"],
        ];
        for command in commands {
            looked.ran(&command.join(" "), &mut up.stoke(command))?;
            if command[0] != "bundle" {
                let json = [command, &["-o", "json"]].concat();
                looked.ran(&json.join(" "), &mut up.stoke(&json))?;
            }
        }
        let unpacked = below.join(name);
        expect_code(
            &Command::new("unzip").args(["-q", &zip, "-d"]).arg(&unpacked).output()?,
            0,
        )?;
        let parts = looked.files(&unpacked)?;
        assert!(parts > 3, "the bundle has {parts} files");
        let parts = looked.ran("doctor --bundle", &mut up.stoke(&["doctor", "--bundle", &zip]))?;
        assert!(!parts.is_empty(), "a bundle is looked through");
    }
    Ok(())
}

/// All pages that links lead to, as HTML and as JSON, metrics and the REST of the history.
fn pages(up: &Up, looked: &mut Looked) -> Result<(), Failed> {
    let (address, open) = link(up.home())?;
    let secret = open.rsplit_once('=').map_or("", |(_, secret)| secret).to_owned();
    let asked = |path: &str| -> Result<Vec<u8>, Failed> {
        let output = Command::new("curl")
            .args(["-sS", "-m", "20", "-H", &format!("Authorization: Bearer {secret}")])
            .arg(format!("{address}{path}"))
            .output()?;
        Ok(output.stdout)
    };
    let mut left = vec!["/".to_owned()];
    let mut seen: BTreeSet<String> = left.iter().cloned().collect();
    while let Some(path) = left.pop() {
        let page = asked(&path)?;
        looked.at(&format!("page {path}"), &page);
        let more = if path.contains('?') { '&' } else { '?' };
        looked.at(&format!("JSON of {path}"), &asked(&format!("{path}{more}output=json"))?);
        let page = String::from_utf8_lossy(&page).into_owned();
        for href in page.split(" href=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            let href = href.replace("&amp;", "&");
            let href = href.split('#').next().unwrap_or_default().to_owned();
            // Sorted and translated forms have the same facts.
            let other = ["lang=", "order=", "sort=", "output=", "sign-out", "/assets/", "scheme="];
            if href.starts_with('/')
                && !other.iter().any(|part| href.contains(part))
                && seen.len() < 400
                && seen.insert(href.clone())
            {
                left.push(href);
            }
        }
    }
    assert!(seen.len() > 25, "links lead to {} pages only", seen.len());
    assert!(seen.iter().any(|path| path.contains("/environment")), "{seen:#?}");
    assert!(seen.iter().any(|path| path.contains("/manifest/")), "{seen:#?}");
    let listed: Value = serde_json::from_slice(&asked("/api/v1/applications")?).unwrap_or_default();
    for run in listed.as_array().into_iter().flatten() {
        let id = run["id"].as_str().unwrap_or_default();
        for part in [
            "",
            "/environment",
            "/sql?details=true",
            "/jobs",
            "/executors",
            "/stages?details=true",
        ] {
            let path = format!("/api/v1/applications/{id}{part}");
            looked.at(&path, &asked(&path)?);
        }
    }
    let metrics = asked("/metrics")?;
    looked.at("metrics", &metrics);
    Ok(())
}
