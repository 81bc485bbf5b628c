//! Proof by data: real Sparks in the shadow of each other, on one object store.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use serde_json::Value;
use stoke_objectstore::digest::Digester;
use stoke_objectstore::shadow::{Pins, Places, Spot};
use stoke_objectstore::store::condition::Condition;
use stoke_objectstore::store::contents::Piece;
use stoke_objectstore::store::objects::{self, NewObject};
use stoke_objectstore::store::record::Record;
use stoke_objectstore::store::{Store, buckets};

use crate::common::{Context, Need, expect_code, expect_parts, full, once_said, stoke, text};

pub fn trials(context: &Context) -> Vec<Trial> {
    let needs = || -> Vec<Need> {
        vec![
            context.spark("4.1.4"),
            context.package("org.apache.hadoop:hadoop-aws:3.4.2"),
        ]
    };
    let of_tier_full = || [vec![full()], needs()].concat();
    vec![
        context.trial("shadow: the same data in other files pass", &of_tier_full(), passes),
        context.trial(
            "shadow: a changed value and a lost row are found",
            &of_tier_full(),
            differs,
        ),
        context.trial(
            "shadow: a write elsewhere is refused and named",
            &of_tier_full(),
            elsewhere,
        ),
        context.trial("shadow: bad worlds never pass", &of_tier_full(), bad_worlds),
        context.trial(
            "shadow: an input that changes, an interruption and a kill leave nothing",
            &of_tier_full(),
            interrupted,
        ),
        context.trial(
            "shadow: what cannot be kept apart is refused first",
            &[context.spark("4.1.4")],
            refused,
        ),
    ]
}

const MANIFEST: &str = "apiVersion: sparkoperator.k8s.io/v1beta2
kind: SparkApplication
metadata:
  name: report
spec:
  type: Python
  mode: cluster
  image: apache/spark:4.1.4
  sparkVersion: 4.1.4
  mainApplicationFile: job.py
  deps:
    packages: [org.apache.hadoop:hadoop-aws:3.4.2]
  sparkConf:
    spark.sql.shuffle.partitions: \"2\"
    spark.sql.parquet.compression.codec: gzip
    spark.eventLog.enabled: \"true\"
    spark.eventLog.dir: s3a://spark/events
  driver: {cores: 1, coreRequest: 250m, memory: 1g, serviceAccount: spark-operator-spark}
  executor: {instances: 1, cores: 1, coreRequest: 500m, memory: 1g}
";

const JOB: &str = r#"
import sys
from pyspark.sql import SparkSession, functions as F
spark = SparkSession.builder.getOrCreate()
orders = spark.read.option("header", True).schema("id LONG, country STRING, amount DOUBLE").csv("s3a://spark/orders")
report = orders.groupBy("country").agg(F.count("*").alias("orders"), F.sum("amount").alias("revenue"))
@REST@
spark.stop()
"#;

pub const OLD: &str = r#"report.coalesce(1).write.mode("overwrite").parquet("s3a://spark/report")"#;

pub struct World {
    home: tempfile::TempDir,
    pub work: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
    store: Store,
    pub old: String,
}

impl World {
    pub fn new(context: &Context) -> Result<Self, Failed> {
        let home = context.private_home();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let directory = home.path().join("object-store");
        let store = Store::open(&directory, false).map_err(|error| error.to_string())?;
        let mut world = Self {
            work: tempfile::tempdir()?,
            home,
            runtime,
            store,
            old: String::new(),
        };
        let made = world
            .runtime
            .block_on(world.store.change(|change| buckets::create(change, "spark", "")));
        made.map_err(|error| error.to_string())?;
        let countries = ["DE", "FR", "IT", "ES"];
        for part in 0..2 {
            let rows: String = (0..40)
                .map(|row| format!("{},{},{}.1\n", part * 40 + row, countries[row % 4], row))
                .collect();
            world.put(
                &format!("orders/part-{part}.csv"),
                &format!("id,country,amount\n{rows}"),
            )?;
        }
        // What stands there from before: each run replaces it, in its own eyes.
        world.put("report/part-before.parquet", "this is not parquet")?;
        world.put("rates/rates.csv", "a,b\n1,2\n")?;
        world.old = world.release(OLD)?;
        Ok(world)
    }

    pub fn put(&self, key: &str, content: &str) -> Result<(), Failed> {
        let mut digester = Digester::new([]);
        digester.update(content.as_bytes());
        let new = NewObject {
            size: content.len() as u64,
            etag: digester.finish().etag(),
            record: Record::default(),
        };
        let (key, piece) = (key.to_owned(), Piece::Inline(content.as_bytes().to_vec()));
        let put = self.store.change_with(piece, move |change, entry| {
            objects::put(change, "spark", &key, &new, entry, &Condition::None)
        });
        Ok(self.runtime.block_on(put).map_err(|error| error.to_string())?)
    }

    /// All that stands in a bucket.
    fn keys(&self, bucket: &str) -> Result<Vec<String>, Failed> {
        let places = Places {
            reads: vec![Spot::new(bucket, "")],
            writes: Vec::new(),
        };
        let pins = self.runtime.block_on(Pins::take(&self.store, &places));
        let pins = pins.map_err(|error| error.to_string())?;
        Ok(pins.iter().map(|(_, key, _)| key.to_owned()).collect())
    }

    /// Nothing but what was there, and nothing is kept apart any more.
    pub fn untouched(&self) -> Result<(), Failed> {
        let (keys, apart) = (self.keys("spark")?, self.keys("stoke-shadow")?);
        let expected = [
            "events/",
            "orders/part-0.csv",
            "orders/part-1.csv",
            "rates/rates.csv",
            "report/part-before.parquet",
        ];
        let keys: Vec<&str> = keys
            .iter()
            .map(String::as_str)
            .filter(|key| *key != "events/")
            .collect();
        let left: Vec<PathBuf> = std::fs::read_dir(self.home.path().join("shadow"))?
            .flatten()
            .map(|entry| entry.path())
            .collect();
        if keys != expected[1..] || !apart.is_empty() || !left.is_empty() {
            return Err(format!("there is more than before: {keys:?} {apart:?} {left:?}").into());
        }
        Ok(())
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = stoke(self.home.path(), arguments);
        command
            .current_dir(self.work.path())
            .env("STOKE_RELEASES", self.work.path().join("releases"));
        command
    }

    pub fn stoke(&self, arguments: &[&str]) -> Result<Output, Failed> {
        Ok(self.command(arguments).output()?)
    }

    /// Makes a release of a job with this end.
    pub fn release(&self, rest: &str) -> Result<String, Failed> {
        self.release_of(MANIFEST, rest)
    }

    fn release_of(&self, manifest: &str, rest: &str) -> Result<String, Failed> {
        let job = self.work.path().join("job");
        std::fs::create_dir_all(&job)?;
        std::fs::write(job.join("app.yaml"), manifest)?;
        std::fs::write(job.join("job.py"), JOB.replace("@REST@", rest))?;
        let pin = format!("apache/spark:4.1.4=sha256:{}", "0".repeat(64));
        let output = self.stoke(&[
            "release", "create", "job", "--pin", &pin, "--gate", "manifest", "--output", "json",
        ])?;
        expect_code(&output, 0)?;
        let answer: Value = serde_json::from_slice(&output.stdout)?;
        Ok(answer["digest"].as_str().unwrap_or_default().to_owned())
    }

    fn arguments<'a>(&'a self, new: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        let fixed = [
            "release",
            "shadow",
            new,
            "--against",
            &self.old,
            "--reads",
            "s3a://spark/orders",
            "--writes",
            "s3a://spark/report",
            "--key",
            "country",
            "--output",
            "json",
        ];
        [&fixed[..], more].concat()
    }

    /// Runs a release in the shadow of the old one; gives the record.
    fn shadow(&self, new: &str, code: i32, more: &[&str]) -> Result<(Value, String), Failed> {
        let begun = Instant::now();
        let output = self.stoke(&self.arguments(new, more))?;
        expect_code(&output, code)?;
        self.untouched()?;
        let record: Value = serde_json::from_slice(&output.stdout)?;
        if let Some(file) = std::env::var_os("STOKE_SHADOW_RECORDS") {
            let name = format!(
                "{}-{}.json",
                new.trim_start_matches("sha256:"),
                begun.elapsed().as_millis()
            );
            std::fs::write(Path::new(&file).join(name), &output.stdout)?;
        }
        Ok((record, text(&output)))
    }
}

fn codes(record: &Value) -> Vec<&str> {
    let reasons = record["reasons"].as_array().into_iter().flatten();
    reasons.filter_map(|reason| reason["code"].as_str()).collect()
}

fn expect(record: &Value, verdict: &str, wanted: &[&str]) -> Result<(), Failed> {
    if record["verdict"] != verdict || codes(record) != wanted {
        return Err(format!(
            "{} {:?} instead of {verdict} {wanted:?}: {record:#}",
            record["verdict"],
            codes(record)
        )
        .into());
    }
    Ok(())
}

/// Other order, other files; sums of floats in another order. Then its verdict is what an environment asks for.
fn passes(context: &Context) -> Result<(), Failed> {
    let world = World::new(context)?;
    let rest = r#"report.repartition(3).sortWithinPartitions(F.desc("country")).write.mode("overwrite").parquet("s3a://spark/report")"#;
    let good = world.release(rest)?;
    let environments = "environments:\n- name: prod\n  namespace: prod\n  git: {repository: deploy.git, path: apps/prod}\n  shadow: {maxAge: 1h}\n";
    std::fs::write(world.work.path().join("environments.yaml"), environments)?;
    let made = Command::new("git")
        .args(["init", "-q", "--bare", "-b", "main"])
        .arg(world.work.path().join("deploy.git"))
        .output()?;
    expect_code(&made, 0)?;
    expect_code(&world.stoke(&["release", "promote", &world.old, "--to", "prod"])?, 0)?;
    let promote = || world.stoke(&["release", "promote", &good, "--to", "prod"]);
    let output = promote()?;
    expect_code(&output, 3)?;
    expect_parts(&text(&output), &["release-shadow", "and there is none"])?;

    let (record, _) = world.shadow(&good, 0, &["--tolerance", "relative=1e-9", "--max-dearer", "1000"])?;
    let said = record["verdict"].as_str().unwrap_or_default();
    if !["same", "within-tolerance"].contains(&said) || !codes(&record).is_empty() {
        return Err(format!("{record:#}").into());
    }
    let output = &record["outputs"][0];
    let (old, new) = (&record["old"], &record["new"]);
    let counted = |value: &Value| value.as_u64().unwrap_or(0);
    let holds = output["compared"]["oldRows"] == 4
        && output["compared"]["newRows"] == 4
        && counted(&output["new"]["objects"]) > counted(&output["old"]["objects"])
        && output["new"]["deleted"] == 1
        && record["inputs"]["objects"] == 3
        && [old, new].into_iter().all(|side| {
            counted(&side["writes"]) > 0
                && side["strays"] == serde_json::json!([])
                && counted(&side["milliseconds"]) > 0
        })
        && record["comparison"]["explanations"].is_array();
    if !holds {
        return Err(format!("{record:#}").into());
    }
    // The log of its requests is kept, and each write in it landed apart.
    let log = new["log"]
        .as_str()
        .and_then(|log| log.strip_prefix("sha256:"))
        .unwrap_or_default();
    let log = std::fs::read_to_string(world.work.path().join("releases/blobs/sha256").join(log))?;
    let lines: Vec<Value> = log.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let mut writes = lines.iter().filter(|line| line["effect"] == "write");
    if lines.is_empty()
        || !writes.all(|line| {
            line["landed"]
                .as_str()
                .is_some_and(|at| at.starts_with("s3://stoke-shadow/"))
        })
    {
        return Err(format!("the access log: {log}").into());
    }
    expect_code(&promote()?, 0)?;
    expect_code(&world.stoke(&["release", "verify"])?, 0)
}

fn differs(context: &Context) -> Result<(), Failed> {
    let world = World::new(context)?;
    let rest = r#"
report = report.where("country <> 'IT'").withColumn("revenue", F.when(F.col("country") == "FR", F.col("revenue") + 1).otherwise(F.col("revenue")))
report.write.mode("overwrite").parquet("s3a://spark/report")"#;
    let bad = world.release(rest)?;
    let (record, _) = world.shadow(&bad, 1, &[])?;
    expect(&record, "worse", &["release-shadow-data"])?;
    let shown = record["reasons"][0].to_string();
    expect_parts(
        &shown,
        &["3 rows, the old one 4", "~ country=\\\"FR\\\"", "- country=\\\"IT\\\""],
    )?;
    let rows = &record["outputs"][0]["compared"]["difference"]["rows"];
    if (&rows["lost"], &rows["changed"]) != (&Value::from(1), &Value::from(1)) {
        return Err(format!("{rows}").into());
    }
    // It stands in the ledger, and its record is about no other release.
    let file = world.work.path().join("record.json");
    std::fs::write(&file, record.to_string())?;
    let file = file.to_string_lossy().into_owned();
    let entry = |release: &str, verdict: &str| {
        world.stoke(&[
            "release",
            "record",
            release,
            "--gate",
            "shadow",
            "--verdict",
            verdict,
            "--evidence",
            &file,
        ])
    };
    let other = entry(&world.old, "fail")?;
    expect_code(&other, 2)?;
    expect_parts(&text(&other), &["release-shadow-record", "not about"])?;
    let contrary = entry(&bad, "pass")?;
    expect_code(&contrary, 2)?;
    expect_parts(&text(&contrary), &["the record says `worse`"])?;
    expect_code(&entry(&bad, "fail")?, 0)?;
    let history = text(&world.stoke(&["release", "history"])?);
    expect_parts(&history, &[": fail"])
}

/// Refused by the store, also where the application goes on as if nothing were.
fn elsewhere(context: &Context) -> Result<(), Failed> {
    let world = World::new(context)?;
    let caught = format!(
        "{OLD}\ntry:\n    report.write.mode(\"overwrite\").parquet(\"s3a://spark/audit\")\nexcept Exception as error:\n    print(\"caught\", type(error))"
    );
    for rest in [
        &caught,
        r#"report.write.mode("overwrite").parquet("s3a://spark/audit")"#,
    ] {
        let release = world.release(rest)?;
        let (record, _) = world.shadow(&release, 1, &[])?;
        if codes(&record).first() != Some(&"release-shadow-elsewhere") {
            return Err(format!("{record:#}").into());
        }
        expect_parts(&record["reasons"][0].to_string(), &["s3://spark/audit"])?;
    }
    Ok(())
}

fn bad_worlds(context: &Context) -> Result<(), Failed> {
    let world = World::new(context)?;
    let table = [
        ("sys.exit(3)", 1, "worse", "release-shadow-failed", "new release failed"),
        (
            "print(report.count())",
            1,
            "worse",
            "release-shadow-nothing",
            "wrote nothing",
        ),
        (
            r#"report.write.mode("overwrite").orc("s3a://spark/report")"#,
            3,
            "cannot-tell",
            "release-shadow-unread",
            "ORC",
        ),
        (
            "spark.read.csv(\"s3a://spark/rates\").count()",
            3,
            "cannot-tell",
            "release-shadow-undeclared",
            "s3://spark/rates",
        ),
    ];
    for (rest, code, verdict, reason, part) in table {
        let release = world.release(rest)?;
        let (record, _) = world.shadow(&release, code, &[])?;
        expect(&record, verdict, &[reason])?;
        expect_parts(&record["reasons"][0].to_string(), &[part])?;
    }
    // Outputs that are empty on both sides are reported, and prove nothing.
    let empty = r#"report.where("false").write.mode("overwrite").parquet("s3a://spark/report")"#;
    let (one, other) = (world.release(empty)?, world.release(&format!("{empty}\nprint(1)"))?);
    let world = World { old: one, ..world };
    let (record, _) = world.shadow(&other, 3, &[])?;
    expect(&record, "cannot-tell", &["release-shadow-empty"])?;
    // Nothing can be compared with an old release that fails.
    let fails = world.release("sys.exit(1)")?;
    let world = World { old: fails, ..world };
    let (record, shown) = world.shadow(&other, 3, &[])?;
    expect(&record, "cannot-tell", &["release-shadow-baseline"])?;
    expect_parts(&shown, &["the new release did not run"])
}

fn interrupted(context: &Context) -> Result<(), Failed> {
    let world = World::new(context)?;
    let slow = world.release(&format!("import time; time.sleep(0)\n{OLD}"))?;
    let until = |sign: &str, act: &dyn Fn(u32) -> Result<(), Failed>| {
        once_said(&mut world.command(&world.arguments(&slow, &[])), sign, act)
    };
    let signal = |name: &'static str| {
        move |id: u32| -> Result<(), Failed> {
            std::thread::sleep(Duration::from_secs(1));
            expect_code(&Command::new("kill").args([name, &id.to_string()]).output()?, 0)
        }
    };
    let (code, seen) = until("RUNNING", &signal("-INT"))?;
    if code != 130 {
        return Err(format!("{code}: {seen}").into());
    }
    world.untouched()?;
    let (code, _) = until("RUNNING", &signal("-KILL"))?;
    if code != -1 || world.untouched().is_ok() {
        return Err("a command that was killed left nothing, so this test shows nothing".into());
    }
    // Then an input changes while they run; what the killed one left goes.
    let change = |_: u32| world.put("orders/part-1.csv", "id,country,amount\n1,DE,1.0\n");
    let (code, seen) = until("pinned", &change)?;
    expect_parts(
        &seen,
        &[
            "removed what the interrupted shadow run",
            "release-shadow-input",
            "s3://spark/orders/part-1.csv (replaced)",
        ],
    )?;
    if code != 3 {
        return Err(format!("{code}: {seen}").into());
    }
    world.untouched()
}

/// Nothing is started for what could not be kept apart.
fn refused(context: &Context) -> Result<(), Failed> {
    let world = World::new(context)?;
    let own = MANIFEST.replace(
        "    spark.eventLog.enabled",
        "    spark.hadoop.fs.s3a.endpoint: http://minio:9000\n    spark.eventLog.enabled",
    );
    let own = world.release_of(&own, OLD)?;
    let directory = MANIFEST.replace(
        "  driver: {",
        "  volumes: [{name: data, hostPath: {path: /srv}}]\n  driver: {volumeMounts: [{name: data, mountPath: /data}], ",
    );
    let directory = world.release_of(&directory, OLD)?;
    let good = world.release(&format!("{OLD} "))?;
    let mut table: Vec<(Vec<&str>, &str, &str)> = vec![
        (world.arguments(&own, &[]), "release-shadow-store", "fs.s3a.endpoint"),
        (world.arguments(&directory, &[]), "release-shadow-directory", "/srv"),
        (world.arguments("nothing", &[]), "stoke::release::unknown", "nothing"),
        (
            world.arguments(&good, &["--writes", "file:///srv/out"]),
            "release-shadow-places",
            "is not redirected",
        ),
        (
            world.arguments(&good, &["--writes", "gs://lake/out"]),
            "release-shadow-places",
            "another cloud",
        ),
        (
            world.arguments(&good, &["--writes", "s3a://spark/report/2026"]),
            "release-shadow-places",
            "within each other",
        ),
        (
            world.arguments(&good, &["--reads", "s3a://stoke-shadow/x"]),
            "release-shadow-places",
            "shadow runs write",
        ),
        (
            world.arguments(&good, &["--key", "s3a://spark/other=id"]),
            "release-shadow-places",
            "not one of the outputs",
        ),
        (
            world.arguments(&good, &["--max-slower=-1"]),
            "stoke::cli::percent",
            "--max-slower",
        ),
    ];
    // Where the embedded cluster starts, the inputs are looked for.
    table.push((
        world.arguments(&good, &["--reads", "s3a://spark/nothing"]),
        "release-shadow-places",
        "holds no objects",
    ));
    for (arguments, code, part) in table {
        let output = world.stoke(&arguments)?;
        expect_code(&output, 2)?;
        expect_parts(&text(&output), &[code, part])?;
    }
    // What an environment asks for is read by `stoke check`, too.
    let environments =
        "environments:\n- {name: prod, namespace: prod, cluster: {context: ''}, shadow: {maxage: 24h}}\n";
    std::fs::write(world.work.path().join("job/environments.yaml"), environments)?;
    let checked = world.stoke(&["check", "job", "--gate", "manifest"])?;
    expect_code(&checked, 1)?;
    expect_parts(
        &text(&checked),
        &["unknown-field", "environments.yaml:2:", "did you mean `maxAge`?"],
    )?;
    world.untouched()
}
