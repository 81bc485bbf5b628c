//! `stoke quality` with rules in SQL, run by real Spark, and as a step of applications.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::admission::apply;
use crate::common::{Context, eventually, expect_code, expect_parts, full, program, stoke, text};
use crate::pages::serve;
use crate::up::Up;

pub fn trials(context: &Context) -> Vec<Trial> {
    vec![
        context.trial("quality: rules in SQL", &[full(), context.spark("4.1.4")], rules),
        context.trial("quality: rules in SQL without a Spark", &[], without),
        context.trial("quality: verdicts are kept, printed and on the page", &[], verdicts),
        context.trial(
            "quality: contracts before and after a run",
            &[
                context.spark("4.1.4"),
                program("kubectl", "see the Kubernetes documentation, `Install kubectl`"),
            ],
            step,
        ),
    ]
}

const DATA: &str = "id,amount,note\n1,2.50,a\n2,,\"x \"\"y\"\"\"\n3,-1.00,\"\"\n";
const COLUMNS: &str =
    "name: orders\ncolumns:\n  id: {type: int}\n  amount: {type: 'decimal(10,2)'}\n  note: {type: string}\nsql:\n";

fn run(
    mut command: std::process::Command,
    more: &[&str],
    directory: &Path,
    contract: &str,
    data: &str,
) -> Result<Output, Failed> {
    std::fs::write(directory.join("orders.yaml"), contract)?;
    std::fs::write(directory.join("orders.csv"), data)?;
    let arguments = ["quality", "run", "orders.yaml", "--data", "orders.csv"];
    Ok(command.args(arguments).args(more).current_dir(directory).output()?)
}

/// Verdict and reason of a check.
fn told(output: &Output, id: &str) -> Result<(String, String), Failed> {
    let report: Value = serde_json::from_slice(&output.stdout)?;
    let checks = report["checks"].as_array().ok_or("no checks")?;
    let found = checks.iter().find(|check| check["id"] == id);
    let found = found.ok_or_else(|| format!("no check {id} in:\n{}", text(output)))?;
    let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
    Ok((text("verdict"), text("reason")))
}

fn rules(context: &Context) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let json = || context.stoke(["--output", "json"]);
    let spark = ["--spark", "4.1.4"];
    let fine = "- {name: rows, query: 'SELECT COUNT(*) FROM ${object}', mustBe: 3}\n- {name: sum, query: 'SELECT SUM(${column}) FROM orders', column: amount, mustBe: 1.5}\n- {name: nulls, query: 'SELECT COUNT(*) FROM orders WHERE note IS NULL', mustBeBetween: [1, 1]}\n";
    let output = run(json(), &spark, directory.path(), &format!("{COLUMNS}{fine}"), DATA)?;
    expect_code(&output, 0)?;
    for id in ["rows", "sum", "nulls"] {
        if told(&output, id)?.0 != "pass" {
            return Err(text(&output).into());
        }
    }
    let others = [
        ("few", "SELECT COUNT(*) FROM orders", "fail", ""),
        ("syntax", "SELEC 1", "cannotTell", "[PARSE_SYNTAX_ERROR]"),
        (
            "column",
            "SELECT MAX(nope) FROM orders",
            "cannotTell",
            "[UNRESOLVED_COLUMN.WITH_SUGGESTION]",
        ),
        (
            "cast",
            "SELECT SUM(CAST(note AS INT)) FROM orders",
            "cannotTell",
            "[CAST_INVALID_INPUT]",
        ),
        ("wide", "SELECT id, amount FROM orders", "cannotTell", "2 columns"),
        ("long", "SELECT id FROM orders", "cannotTell", "more rows than one"),
        (
            "none",
            "SELECT id FROM orders WHERE id > 9",
            "cannotTell",
            "gives no row",
        ),
        ("empty", "SELECT MAX(id) FROM orders WHERE id > 9", "cannotTell", "null"),
        ("kind", "SELECT true", "cannotTell", "gives a boolean"),
        ("drop", "DROP VIEW orders", "cannotTell", "Spark refuses the query"),
    ];
    let written: String = others
        .iter()
        .map(|(name, query, ..)| format!("- {{name: {name}, query: '{query}', mustBe: 2}}\n"))
        .collect();
    let output = run(json(), &spark, directory.path(), &format!("{COLUMNS}{written}"), DATA)?;
    expect_code(&output, 1)?;
    for (id, _, verdict, reason) in others {
        let found = told(&output, id)?;
        if found.0 != verdict || !found.1.contains(reason) {
            return Err(format!("{id}: {found:?}").into());
        }
    }
    // A text that is not of its column's type is not a null that is left out.
    let bad = DATA.replace("2.50", "much");
    let output = run(json(), &spark, directory.path(), &format!("{COLUMNS}{fine}"), &bad)?;
    expect_code(&output, 1)?;
    let sum = told(&output, "sum")?;
    if sum.0 != "cannotTell" || !sum.1.contains("[CAST_INVALID_INPUT]") || told(&output, "rows")?.0 != "pass" {
        return Err(text(&output).into());
    }
    // Nothing is left behind.
    let scratch = std::fs::read_dir(context.home().join("scratch"))?.count();
    if scratch > 0 {
        return Err(format!("{scratch} scratch directories are left").into());
    }
    Ok(())
}

fn without(_: &Context) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let home = tempfile::tempdir()?;
    let contract = format!("{COLUMNS}- {{name: rows, query: 'SELECT COUNT(*) FROM orders', mustBe: 3}}\n");
    let output = run(stoke(home.path(), [""; 0]), &[], directory.path(), &contract, DATA)?;
    expect_code(&output, 1)?;
    expect_parts(
        &text(&output),
        &["no Spark is at hand to run it", "stoke runtime install"],
    )
}

/// The JSON of a page, for who has this secret.
fn page(address: &str, path: &str, secret: &str) -> Result<Value, Failed> {
    let host = address.strip_prefix("http://").ok_or("no http")?;
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    write!(
        stream,
        "GET {path}?output=json HTTP/1.0\r\nhost: {host}\r\nauthorization: Bearer {secret}\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_, body) = answer.split_once("\r\n\r\n").ok_or("no body")?;
    Ok(serde_json::from_str(body)?)
}

fn verdicts(context: &Context) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let home = tempfile::tempdir()?;
    let (kept, logs) = (directory.path().join("kept"), directory.path().join("logs"));
    std::fs::create_dir(&logs)?;
    let place = kept.display().to_string();
    let contract = "name: orders\nrows: {min: 1}\ncolumns:\n  id: {unique: true}\n  amount: {min: 0}\n";
    let mut reports = Vec::new();
    for (number, data, code) in [(1, "id,amount\n1,5\n", 0), (2, "id,amount\n1,5\n1,-3\n7,9\n", 1)] {
        let aside = directory.path().join(format!("aside-{number}")).display().to_string();
        let more = ["--history", &place, "--quarantine", &aside];
        let output = run(context.stoke(["-o", "json"]), &more, directory.path(), contract, data)?;
        expect_code(&output, code)?;
        reports.push(serde_json::from_slice::<Value>(&output.stdout)?);
    }
    let report = &reports[1];
    let command = |more: &[&str]| -> Result<Value, Failed> {
        let verdicts = ["-o", "json", "quality", "verdicts", "--history", &place];
        let output = context.stoke(verdicts).args(more).output()?;
        expect_code(&output, 0)?;
        Ok(serde_json::from_slice(&output.stdout)?)
    };
    let all = command(&[])?;
    let last = &all["contracts"][0]["last"];
    for (ours, theirs) in [
        (&last["rows"], &report["data"]["rows"]),
        (&last["score"], &report["score"]),
        (&last["at"], &report["at"]),
        (&last["outcome"]["quarantine"], &report["quarantine"]),
    ] {
        if ours != theirs || ours.is_null() {
            return Err(format!("{ours} is not {theirs}").into());
        }
    }
    for check in report["checks"].as_array().ok_or("no checks")? {
        let checks = last["outcome"]["checks"].as_array().into_iter().flatten();
        let own = checks
            .clone()
            .find(|own| own["id"] == check["id"])
            .ok_or("a check is missing")?;
        for key in ["verdict", "expected", "considered", "unexpected", "severity"] {
            if own[key] != check[key] {
                return Err(format!("{key}: {own} is not {check}").into());
            }
        }
    }
    if command(&["orders"])?["runs"].as_array().map(Vec::len) != Some(2) {
        return Err("not both runs are told".into());
    }
    let shown = context
        .stoke(["quality", "verdicts", "order", "--history", &place])
        .output()?;
    expect_code(&shown, 2)?;
    expect_parts(&text(&shown), &["did you mean `orders`?"])?;
    let shown = context.stoke(["quality", "verdicts", "--history", &place]).output()?;
    expect_parts(&text(&shown), &["orders", "broken", "id.unique (2 of 3)"])?;

    let served = serve(home.path(), &logs, &["--quality", &place])?;
    let data = page(&served.address, "/data/", "")?;
    if data["quality"] != all {
        return Err(format!("the page says {:#}, the command {all:#}", data["quality"]).into());
    }
    // A verdict that is kept while it is served is on the page soon.
    let output = run(
        context.stoke(["-o", "json"]),
        &["--history", &place],
        directory.path(),
        contract,
        "id,amount\n1,5\n",
    )?;
    expect_code(&output, 0)?;
    eventually("the new verdict is on the page", Duration::from_secs(20), || {
        page(&served.address, "/data/", "").is_ok_and(|data| data["contracts"]["rows"][0]["state"] == "holds")
    })?;
    let wrong = stoke(home.path(), ["history", "serve", "--quality", "/not/there", "--dir"])
        .arg(&logs)
        .output()?;
    expect_code(&wrong, 2)?;
    expect_parts(&text(&wrong), &["there is no such directory", "--history"])
}

/// A job that copies what is positive; the contracts before and after it; all in a directory of this machine.
const JOB: &str = "from pyspark.sql import SparkSession\nspark = SparkSession.builder.getOrCreate()\n\
    spark.read.csv('/data/raw', header=True, inferSchema=True).where('amount > 0').coalesce(1).write.mode('overwrite').parquet('/data/clean')\n";
const CONTRACTS: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: orders}\ndata:\n  raw.yaml: |\n    name: raw\n    rows: {min: 1}\n    columns:\n      \
    id: {required: true, unique: true}\n  clean.yaml: |\n    name: clean\n    rows: {min: 2}\n    columns:\n      amount: {min: 1}\n    sql:\n      \
    - {name: all, query: \"SELECT COUNT(*) FROM ${object} WHERE amount IS NULL\", mustBe: 0}\n  strict.yaml: |\n    name: strict\n    rows: {min: 100}\n";

fn annotated(name: &str, directory: &Path, steps: &str) -> String {
    format!(
        "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nmetadata:\n  name: {name}\n  annotations:\n    stoke.dev/quality: |\n      {}\n\
         spec:\n  type: Python\n  mode: cluster\n  image: apache/spark:4.1.4\n  sparkVersion: 4.1.4\n  mainApplicationFile: local:///data/job.py\n  \
         volumes:\n    - {{name: data, hostPath: {{path: {}, type: Directory}}}}\n  driver:\n    coreRequest: 250m\n    memory: 512m\n    \
         serviceAccount: spark-operator-spark\n    volumeMounts: [{{name: data, mountPath: /data}}]\n  executor:\n    instances: 1\n    coreRequest: 250m\n    \
         memory: 512m\n    volumeMounts: [{{name: data, mountPath: /data}}]\n",
        steps.replace('\n', "\n      "),
        directory.display()
    )
}

/// State, message and the reasons of its conditions of data quality, when the application has ended.
fn ended(up: &Up, name: &str) -> Result<Value, Failed> {
    let mut found = Value::Null;
    eventually(&format!("{name} ends"), Duration::from_secs(180), || {
        let get = ["get", "sparkapplication", name, "-o", "json"];
        let read = up.kubectl(&get).output().ok();
        found = read
            .and_then(|output| serde_json::from_slice(&output.stdout).ok())
            .unwrap_or_default();
        let state = found["status"]["applicationState"]["state"].as_str();
        matches!(state, Some("COMPLETED" | "FAILED"))
    })?;
    Ok(found["status"].take())
}

fn expect_ended(status: &Value, state: &str, conditions: &[(&str, &str, &str)], parts: &[&str]) -> Result<(), Failed> {
    let told = |type_: &str, key: &str| {
        let all = status["conditions"].as_array().into_iter().flatten();
        let found = all.clone().find(|condition| condition["type"] == type_);
        found.map_or(String::new(), |found| {
            found[key].as_str().unwrap_or_default().to_owned()
        })
    };
    let right = |(type_, value, reason): &(&str, &str, &str)| {
        told(type_, "status") == *value && told(type_, "reason") == *reason
    };
    if status["applicationState"]["state"] != state || !conditions.iter().all(right) {
        return Err(format!("not {state} with {conditions:?}: {status:#}").into());
    }
    expect_parts(&status.to_string(), parts)
}

fn step(context: &Context) -> Result<(), Failed> {
    let data = tempfile::tempdir()?;
    std::os::unix::fs::chown(data.path(), Some(185), Some(185)).or_else(|_| {
        // Without the right to give it away, anybody may write.
        std::fs::set_permissions(data.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777))
    })?;
    std::fs::create_dir(data.path().join("raw"))?;
    std::fs::write(data.path().join("job.py"), JOB)?;
    std::fs::write(data.path().join("raw/a.csv"), "id,amount\n1,5\n2,7\n3,-1\n")?;
    std::fs::set_permissions(data.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777))?;
    let up = Up::start(context)?;
    expect_code(&apply(&up, &[], CONTRACTS)?, 0)?;
    let raw = "before:\n  - {contract: orders/raw.yaml, data: /data/raw}\n";
    let both = format!(
        "{raw}after:\n  - {{contract: orders/clean.yaml, data: /data/clean}}\n  - {{contract: orders/strict.yaml, data: /data/clean, onFail: warn}}\n"
    );
    expect_code(&apply(&up, &[], &annotated("warned", data.path(), &both))?, 0)?;
    let status = ended(&up, "warned")?;
    let passed = ("QualityBefore", "True", "Passed");
    expect_ended(
        &status,
        "COMPLETED",
        &[
            passed,
            ("QualityAfter", "True", "Warned"),
            ("Completed", "True", "DriverSucceeded"),
        ],
        &[
            "1 of 2 contracts passed",
            "(warns only) orders/strict.yaml on /data/clean: 1 of 1 check does not hold: rows",
        ],
    )?;
    let described = text(&up.kubectl(&["describe", "sparkapplication", "warned"]).output()?);
    expect_parts(
        &described,
        &["SparkApplicationQualityPassed", "SparkApplicationQualityWarned"],
    )?;
    // What was found in detail is the log of the step.
    let pods = [
        "get",
        "pods",
        "-l",
        "spark-role=quality,stoke.dev/quality=after",
        "-o",
        "name",
    ];
    let pod = text(&up.kubectl(&pods).output()?);
    let log = text(&up.kubectl(&["logs", pod.trim(), "-c", "step-0"]).output()?);
    expect_parts(&log, &["clean: /data/clean (parquet", "pass: all (SELECT COUNT"])?;

    // What the job leaves behind is not right: the run has failed, though its driver has not.
    let after = "after: [{contract: orders/strict.yaml, data: /data/clean}]";
    expect_code(&apply(&up, &[], &annotated("results", data.path(), after))?, 0)?;
    expect_ended(
        &ended(&up, "results")?,
        "FAILED",
        &[("QualityAfter", "False", "Failed"), ("Failed", "True", "QualityFailed")],
        &["data quality after the run: 0 of 1 contract passed"],
    )?;

    // What it would read is not right: no driver is made.
    std::fs::write(data.path().join("raw/b.csv"), "id,amount\n1,5\n")?;
    expect_code(&apply(&up, &[], &annotated("blocked", data.path(), raw))?, 0)?;
    expect_ended(
        &ended(&up, "blocked")?,
        "FAILED",
        &[
            ("QualityBefore", "False", "Failed"),
            ("Failed", "True", "QualityFailed"),
        ],
        &[
            "data quality before the run",
            "orders/raw.yaml on /data/raw",
            "id.unique (2 of 4)",
        ],
    )?;
    let driver = up.kubectl(&["get", "pod", "blocked-driver"]).output()?;
    expect_code(&driver, 1)?;

    // The verdicts of all of them are kept, and the page says what the command prints.
    let told = up.stoke(&["-o", "json", "quality", "verdicts"]).output()?;
    expect_code(&told, 0)?;
    let told: Value = serde_json::from_slice(&told.stdout)?;
    let stands: Vec<(&str, &str)> = told["contracts"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|one| Some((one["id"].as_str()?, one["standing"].as_str()?)))
        .collect();
    if stands
        != [
            ("default/raw", "broken"),
            ("default/strict", "broken"),
            ("default/clean", "holds"),
        ]
    {
        return Err(format!("{told:#}").into());
    }
    let opened: Value = serde_json::from_slice(&up.stoke(&["-o", "json", "open", "--print"]).output()?.stdout)?;
    let link = opened["address"].as_str().ok_or("no address")?;
    let (address, secret) = link.split_once("/open?token=").ok_or("no secret")?;
    eventually("the page says so", Duration::from_secs(20), || {
        page(address, "/data/", secret).is_ok_and(|data| data["quality"] == told)
    })?;

    // What cannot be looked at, by its cause.
    for (name, steps, told) in [
        (
            "no-map",
            "before: [{contract: none/raw.yaml, data: /data/raw}]",
            "there is no ConfigMap none in namespace default",
        ),
        (
            "no-key",
            "before: [{contract: orders/row.yaml, data: /data/raw}]",
            "ConfigMap orders has no key row.yaml; it has clean.yaml, raw.yaml, strict.yaml",
        ),
        (
            "no-data",
            "before: [{contract: orders/raw.yaml, data: /data/none}]",
            "/data/none",
        ),
        (
            "no-text",
            "before: [{contrat: orders/raw.yaml, data: /data/raw}]",
            "did you mean `contract`?",
        ),
    ] {
        expect_code(&apply(&up, &[], &annotated(name, data.path(), steps))?, 0)?;
        expect_ended(&ended(&up, name)?, "FAILED", &[], &[told])?;
    }
    // The same mistake before anything is sent.
    let file = data.path().join("wrong.yaml");
    std::fs::write(
        &file,
        annotated(
            "wrong",
            data.path(),
            "before: [{contrat: orders/raw.yaml, data: /data/raw}]",
        ),
    )?;
    let refused = up.stoke(&["run", &file.to_string_lossy()]).output()?;
    expect_code(&refused, 2)?;
    expect_parts(&text(&refused), &["stoke.dev/quality", "did you mean `contract`?"])?;
    up.down()
}
