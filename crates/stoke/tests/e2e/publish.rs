//! Data that are published in one step: versions with a pointer, killed at many points, and tables that real Spark writes to a branch.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::common::{Context, Need, expect_code, expect_parts, full, program, repository, spark_submit, stoke, text};

/// The package that real Spark writes tables with.
pub const ICEBERG: &str = "org.apache.iceberg:iceberg-spark-runtime-4.1_2.13:1.12.0";

pub fn trials(context: &Context) -> Vec<Trial> {
    let git = || program("git", "apt-get install git");
    let spark = || -> Vec<Need> { vec![full(), git(), context.spark("4.1.4"), context.package(ICEBERG)] };
    vec![
        context.trial(
            "publish: versions killed at many points, readers see one or the other",
            &[git()],
            killed,
        ),
        context.trial(
            "publish: what is not as its contract says is not published",
            &[git()],
            refused,
        ),
        context.trial(
            "publish: of several at the same time one wins, the others are told",
            &[git()],
            at_once,
        ),
        context.trial(
            "publish: Spark writes to a branch of a table without a catalogue",
            &spark(),
            by_path,
        ),
    ]
}

/// A place to work in, with a ledger of its own.
pub struct World {
    home: tempfile::TempDir,
    work: tempfile::TempDir,
}

const DIGEST: &str = "sha256:5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9";
pub const CONTRACT: &str =
    "name: report\nrows: {min: 2}\ncolumns:\n  id: {required: true, unique: true}\n  amount: {type: double, min: 0}\n";

impl World {
    /// A release with a contract is in `prod`, whose data are these.
    pub fn new(context: &Context, data: &str) -> Result<Self, Failed> {
        let world = World {
            home: context.private_home(),
            work: tempfile::tempdir()?,
        };
        std::fs::create_dir_all(world.path("job/contracts"))?;
        let bare = world.path("deploy.git");
        let made = Command::new("git")
            .args(["init", "-q", "--bare", "-b", "main"])
            .arg(&bare)
            .output()?;
        expect_code(&made, 0)?;
        let environments = format!(
            "environments:\n- name: prod\n  namespace: prod\n  git: {{repository: {}, path: apps/prod}}\n  data:\n{data}",
            bare.display()
        );
        let environments = environments.replace("WORK", &world.work.path().display().to_string());
        std::fs::write(world.path("job/environments.yaml"), environments)?;
        std::fs::write(world.path("job/contracts/report.yaml"), CONTRACT)?;
        world.release(1)?;
        Ok(world)
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.work.path().join(below)
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = stoke(self.home.path(), arguments);
        command
            .current_dir(self.path("job"))
            .env("STOKE_RELEASES", self.path("releases"));
        command
    }

    fn stoke(&self, arguments: &[&str]) -> Result<Output, Failed> {
        Ok(self.command(arguments).output()?)
    }

    /// Creates a release, and brings it to `prod`.
    fn release(&self, instances: u32) -> Result<String, Failed> {
        let text = std::fs::read_to_string(repository().join("examples/pi.yaml"))?;
        let text = text
            .replace("image: apache/spark:4.1.4", &format!("image: apache/spark@{DIGEST}"))
            .replace("instances: 1", &format!("instances: {instances}"));
        std::fs::write(self.path("job/app.yaml"), text)?;
        let output = self.stoke(&["release", "create", ".", "--gate", "manifest,conf", "--output", "json"])?;
        expect_code(&output, 0)?;
        let answer: Value = serde_json::from_slice(&output.stdout)?;
        let digest = answer["digest"].as_str().unwrap_or_default().to_owned();
        expect_code(&self.stoke(&["release", "promote", &digest, "--to", "prod"])?, 0)?;
        Ok(digest)
    }

    fn write(&self, version: &str, rows: &str) -> Result<(), Failed> {
        let directory = self.path("report").join(version);
        std::fs::create_dir_all(&directory)?;
        std::fs::write(directory.join("part-0.csv"), format!("id,amount\n{rows}"))?;
        Ok(std::fs::write(directory.join("_SUCCESS"), "")?)
    }

    fn publish<'a>(&self, version: &'a str) -> [&'a str; 7] {
        ["release", "publish", "report", "--in", "prod", "--version", version]
    }

    /// What readers see.
    fn current(&self) -> Result<Value, Failed> {
        let bytes = std::fs::read(self.path("report/current.json"))?;
        let pointer: Value = serde_json::from_slice(&bytes)?;
        Ok(pointer["version"].clone())
    }

    fn entries(&self) -> Result<Vec<Value>, Failed> {
        let output = self.stoke(&["release", "history", "--output", "json"])?;
        expect_code(&output, 0)?;
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    fn count(&self, event: &str, to: &str) -> Result<usize, Failed> {
        let entries = self.entries()?;
        let of = |entry: &&Value| entry["event"] == event && (entry["to"] == to || entry["version"] == to);
        Ok(entries.iter().filter(of).count())
    }
}

const VERSIONS: &str = "  - {name: report, contract: contracts/report.yaml, versions: WORK/report}\n";

fn killed(context: &Context) -> Result<(), Failed> {
    let world = World::new(context, VERSIONS)?;
    world.write("v0", "1,1.5\n2,2.5\n")?;
    expect_code(&world.stoke(&world.publish("v0"))?, 0)?;
    let mut cut_off = 0;
    for round in 1..=10u32 {
        let version = format!("v{round}");
        world.write(&version, &format!("1,1.5\n2,{round}.5\n"))?;
        let arguments = world.publish(&version);
        let before = world.current()?;
        let mut child = world
            .command(&arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        std::thread::sleep(Duration::from_millis(u64::from(round) * 9));
        child.kill()?;
        if !child.wait()?.success() {
            cut_off += 1;
        }
        let between = world.current()?;
        if between != before && between != version.as_str() {
            return Err(format!("round {round}: readers see {between}").into());
        }
        expect_code(&world.stoke(&arguments)?, 0)?;
        let seen = (
            world.count("data-moving", &version)?,
            world.count("data-moved", &version)?,
        );
        if seen != (1, 1) || world.current()? != version.as_str() {
            return Err(format!("round {round}: {seen:?}").into());
        }
    }
    if cut_off < 3 {
        return Err(format!("only {cut_off} of 10 were cut off").into());
    }
    // Back to what was before, killed as well; readers resolve it.
    let back = [
        "release",
        "rollback",
        "--in",
        "prod",
        "--data",
        "report",
        "--version",
        "v3",
    ];
    for wait in [10, 25, 40] {
        let mut child = world
            .command(&back)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        std::thread::sleep(Duration::from_millis(wait));
        child.kill()?;
        child.wait()?;
    }
    expect_code(&world.stoke(&back)?, 0)?;
    if world.count("data-moved", "v3")? != 2 {
        return Err("the way back is not one step".into());
    }
    let pointer = world.path("report/current.json").display().to_string();
    let checked = world.stoke(&["quality", "run", "contracts/report.yaml", "--data", &pointer])?;
    expect_code(&checked, 0)?;
    expect_parts(&text(&checked), &["report/v3"])?;
    let published = world.stoke(&["release", "published", "report", "--in", "prod"])?;
    let expected = format!("{}/report/v3\n", world.work.path().display());
    if String::from_utf8_lossy(&published.stdout) != expected {
        return Err(text(&published).into());
    }
    expect_code(&world.stoke(&["release", "verify"])?, 0)?;
    let events = text(&world.stoke(&["release", "events"])?);
    expect_parts(
        &events,
        &["stoke-data.published", "stoke-data.rolledback", "testsuiterun.finished"],
    )
}

fn refused(context: &Context) -> Result<(), Failed> {
    let more = "  - {name: other, contract: contracts/none.yaml, versions: WORK/other}\n  - {name: table, contract: contracts/report.yaml, iceberg: {table: WORK/table}}\n";
    let world = World::new(context, &format!("{VERSIONS}{more}"))?;
    world.write("good", "1,1.5\n2,2.5\n")?;
    world.write("bad", "1,1.5\n1,-2.5\n")?;
    world.write("orc", "")?;
    std::fs::rename(world.path("report/orc/part-0.csv"), world.path("report/orc/part-0.orc"))?;
    expect_code(&world.stoke(&world.publish("good"))?, 0)?;
    let plan = world.stoke(&[&world.publish("bad")[..], &["--plan"]].concat())?;
    expect_code(&plan, 0)?;
    expect_parts(&text(&plan), &["bad would be audited", "readers see good"])?;
    let publish = |more: &[&'static str]| [&["release", "publish"], more, &["--in", "prod"]].concat();
    for (arguments, code, parts) in [
        (world.publish("bad").to_vec(), 1, ["release-data-audit", "unique"]),
        (world.publish("orc").to_vec(), 3, ["release-data-unread", "ORC"]),
        (
            world.publish("none").to_vec(),
            3,
            ["release-data-branch", "holds no objects"],
        ),
        (
            world.publish("../job").to_vec(),
            2,
            ["release-data-place", "not a name of a version"],
        ),
        (publish(&["report"]), 2, ["release-data-place", "--version"]),
        (
            publish(&["table", "--version", "1"]),
            2,
            ["release-data-place", "leave out --version"],
        ),
        (publish(&["table"]), 3, ["release-data-unread", "no file of metadata"]),
        (
            publish(&["reprot"]),
            2,
            ["stoke::release::environments", "there are report"],
        ),
        (
            publish(&["other", "--version", "1"]),
            1,
            ["release-data-contract", "contracts/none.yaml"],
        ),
    ] {
        let output = world.stoke(&arguments)?;
        expect_code(&output, code)?;
        expect_parts(&text(&output), &parts)?;
        if world.current()? != "good" {
            return Err(format!("{arguments:?} was published").into());
        }
    }
    // The audit that failed is in the ledger, with its report.
    let failed = world
        .entries()?
        .into_iter()
        .find(|entry| entry["event"] == "data-audited" && entry["verdict"] == "fail");
    let failed = failed.ok_or("no audit that failed is in the ledger")?;
    let report = failed["evidence"]
        .as_str()
        .unwrap_or_default()
        .trim_start_matches("sha256:")
        .to_owned();
    let report = std::fs::read_to_string(world.path("releases/blobs/sha256").join(report))?;
    expect_parts(&report, &["\"verdict\":\"fail\"", "amount"])?;
    // Someone published by hand.
    let pointer = world.path("report/current.json");
    let by_hand = std::fs::read_to_string(&pointer)?.replace("good", "bad");
    std::fs::write(&pointer, by_hand)?;
    let output = world.stoke(&["release", "rollback", "--in", "prod", "--data", "report"])?;
    expect_code(&output, 1)?;
    expect_parts(&text(&output), &["release-data-no-good"])?;
    // For programs what is refused is one document, too.
    let output = world.stoke(&[
        "release", "rollback", "--in", "prod", "--data", "report", "--output", "json",
    ])?;
    let said: Value = serde_json::from_slice(&output.stdout)?;
    if said["refused"][0]["code"] != "release-data-no-good" || said["changed"] != false {
        return Err(text(&output).into());
    }
    let output = world.stoke(&["release", "published", "--in", "prod"])?;
    expect_parts(&text(&output), &["this ledger did not publish"])
}

fn at_once(context: &Context) -> Result<(), Failed> {
    let world = World::new(context, VERSIONS)?;
    let names: Vec<String> = (1..=5).map(|number| format!("v{number}")).collect();
    for name in &names {
        world.write(name, "1,1.5\n2,2.5\n")?;
    }
    let children: Vec<_> = names
        .iter()
        .map(|name| {
            let mut command = world.command(&world.publish(name));
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
        })
        .collect();
    let mut done = 0;
    for child in children {
        let output = child?.wait_with_output()?;
        match output.status.code() {
            Some(0) => done += 1,
            Some(1) => expect_parts(&text(&output), &["release-data-busy"])?,
            _ => return Err(text(&output).into()),
        }
    }
    let entries = world.entries()?;
    let moved: Vec<&Value> = entries.iter().filter(|entry| entry["event"] == "data-moved").collect();
    let last = moved.last().ok_or("nothing was published")?;
    if moved.len() != done || world.current()? != last["to"] {
        return Err(format!("{done} published, {} in the ledger", moved.len()).into());
    }
    // Data and release go back together.
    world.release(2)?;
    world.write("w1", "1,1.5\n2,2.5\n")?;
    expect_code(&world.stoke(&world.publish("w1"))?, 0)?;
    let back = world.stoke(&["release", "rollback", "--in", "prod", "--with-data", "--output", "json"])?;
    expect_code(&back, 0)?;
    let said: Value = serde_json::from_slice(&back.stdout)?;
    if said["data"][0]["version"] != last["to"] || said["plan"]["step"] != "rollback" || world.current()? != last["to"]
    {
        return Err(text(&back).into());
    }
    Ok(())
}

/// Runs a script of a table with real Spark.
pub fn spark(
    context: &Context,
    world: &World,
    script: &str,
    conf: &[String],
    variables: &[(&str, &str)],
) -> Result<(), Failed> {
    let _alone = context.alone_to_fetch(ICEBERG);
    let mut command = spark_submit(context, "4.1.4")?;
    command.args(["--packages", ICEBERG]);
    for one in conf {
        command.args(["--conf", one]);
    }
    let output = command
        .arg(repository().join("crates/stoke/tests/e2e").join(script))
        .current_dir(world.path("job"))
        .env("STOKE", env!("CARGO_BIN_EXE_stoke"))
        .env("STOKE_HOME", world.home.path())
        .env("STOKE_RELEASES", world.path("releases"))
        .envs(variables.iter().copied())
        .output()?;
    expect_code(&output, 0)?;
    expect_parts(&text(&output), &["all as it must be"])
}

fn by_path(context: &Context) -> Result<(), Failed> {
    let data = "  - {name: orders, contract: contracts/report.yaml, iceberg: {table: WORK/lake/shop/orders}}\n";
    let world = World::new(context, data)?;
    let warehouse = format!("spark.sql.catalog.lake.warehouse={}", world.path("lake").display());
    spark(
        context,
        &world,
        "publish.py",
        &["spark.sql.catalog.lake.type=hadoop".to_owned(), warehouse],
        &[],
    )?;
    // What is delivered runs apart by itself.
    let delivered = Command::new("git")
        .arg("--git-dir")
        .arg(world.path("deploy.git"))
        .args(["show", "main:apps/prod/sparkapplication-pi.yaml"])
        .output()?;
    expect_parts(
        &text(&delivered),
        &[
            "spark.wap.branch: stoke",
            "spark.sql.iceberg.snapshot-property.stoke.release: sha256:",
        ],
    )
}
