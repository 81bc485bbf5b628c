//! What a run means: history, doctor, cost, comparison, size and trace of a real one.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::common::{Context, VERSIONS, eventually, expect_code, expect_parts, repository, stoke, text};

pub fn trials(context: &Context) -> Vec<Trial> {
    let mut trials = of_every_spark(context);
    trials.push(context.trial("insight: what is not an event log is told so", &[], no_event_log));
    trials.push(context.trial(
        "insight: findings as text, JSON, SARIF and JUnit, and the exit code they give",
        &[],
        findings,
    ));
    trials.push(context.trial(
        "insight: what its pods told of a run is there after its cluster",
        &[context.spark("4.1.4")],
        kept,
    ));
    trials
}

fn no_event_log(context: &Context) -> Result<(), Failed> {
    let home = context.private_home();
    let directory = tempfile::tempdir()?;
    let (text, empty) = (directory.path().join("notes.txt"), directory.path().join("empty"));
    std::fs::write(&text, b"Notes\n14 of them\n\xff\n")?;
    std::fs::write(&empty, "")?;
    for command in ["doctor", "cost", "size"] {
        for (path, said) in [
            (&text, "it has 3 lines, none of them an event"),
            (&empty, "there is no event log there"),
        ] {
            let refused = stoke(home.path(), [command, "--event-log"]).arg(path).output()?;
            expect_code(&refused, 2)?;
            expect_parts(&crate::common::text(&refused), &[said, "help:"])?;
        }
    }
    Ok(())
}

fn findings(context: &Context) -> Result<(), Failed> {
    let home = context.private_home();
    let directory = tempfile::tempdir()?;
    let log = repository().join("crates/insight/tests/logs/4.1.4/skewed-join.zstd");
    let log = log.to_str().ok_or("a path that is not UTF-8")?;
    let (sarif, junit) = (
        directory.path().join("doctor.sarif"),
        directory.path().join("doctor.xml"),
    );
    let reports = [
        format!("sarif={}", sarif.display()),
        format!("junit={}", junit.display()),
    ];
    let [first, second] = &reports;
    let doctor = ["doctor", "--event-log", log, "--report", first, "--report", second];
    let shown = stoke(home.path(), doctor).output()?;
    expect_code(&shown, 0)?;
    expect_parts(
        &text(&shown),
        &[
            "advice[data-skew]: ",
            "= seen: ",
            "= rule: ",
            "= help: ",
            "= patch: spec:",
            "= gain: ",
        ],
    )?;
    let written: Value = serde_json::from_slice(&std::fs::read(sarif)?)?;
    let result = &written["runs"][0]["results"][0];
    if result["ruleId"] != "data-skew" || result["level"] != "note" || result["properties"]["evidence"] == Value::Null {
        return Err(format!("{written:#}").into());
    }
    expect_parts(
        &std::fs::read_to_string(junit)?,
        &["advice: ", "name=\"data-skew ", "failures=\"0\""],
    )?;
    let told = answer(home.path(), &doctor[..3])?;
    let finding = &told["findings"][0];
    let page = "docs/reference/codes.md#data-skew";
    if finding["code"] != "data-skew" || finding["severity"] != "advice" || finding["page"] != page {
        return Err(format!("{told:#}").into());
    }
    for (level, code) in [("advice", 1), ("error", 0), ("fatal", 0)] {
        let ended = stoke(home.path(), &doctor[..3]).args(["--fail-on", level]).output()?;
        expect_code(&ended, code)?;
    }
    // A command that fails says so as a diagnostic, too.
    let refused = stoke(
        home.path(),
        ["doctor", "--event-log", "/nowhere/log", "--output", "json"],
    )
    .output()?;
    expect_code(&refused, 2)?;
    let refused: Value = serde_json::from_slice(&refused.stdout)?;
    let error = &refused["error"];
    if error["severity"] != "error" || error["fix"]["text"].is_null() || error["code"].is_null() {
        return Err(format!("{refused:#}").into());
    }
    Ok(())
}

/// Only the pod tells that its driver was killed for its memory; `stoke run` ends its cluster with the run.
fn kept(context: &Context) -> Result<(), Failed> {
    let home = context.private_home();
    let home = home.path();
    let directory = tempfile::tempdir()?;
    let manifest = directory.path().join("large.yaml");
    let code = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: code}\ndata: {main.py: 'held = [bytearray(1 << 30) for _ in range(4)]'}\n---\n";
    let example = std::fs::read_to_string(repository().join("examples/pi.yaml"))?
        .replace("name: pi\n", "name: large\n")
        .replace(
            "local:///opt/spark/examples/src/main/python/pi.py",
            "local:///opt/app/main.py",
        )
        .replace(
            "  driver:\n",
            "  driver:\n    configMaps: [{name: code, path: /opt/app}]\n    memoryOverhead: 100m\n",
        );
    std::fs::write(&manifest, format!("{code}{example}"))?;
    let run = stoke(home, ["run", "--quiet", "--output", "json"])
        .arg(&manifest)
        .output()?;
    expect_code(&run, 137)?;
    let summary: Value = serde_json::from_slice(&run.stdout[text_before_json(&run.stdout)..])?;
    let found = |answer: &Value| answer["findings"][0]["code"].as_str().unwrap_or("nothing").to_owned();
    let later = answer(home, &["doctor", "large"])?;
    match (found(&summary).as_str(), found(&later).as_str()) {
        ("driver-oom-killed", "driver-oom-killed") => Ok(()),
        _ => Err(format!("{summary:#}\nand later\n{later:#}").into()),
    }
}

fn of_every_spark(context: &Context) -> Vec<Trial> {
    VERSIONS
        .into_iter()
        .map(|version| {
            context.trial(
                &format!("insight: history, doctor, cost, comparison, size and trace of a run of Spark {version}"),
                &[context.spark(version)],
                move |context| of_a_run(context, version),
            )
        })
        .collect()
}

/// What a command answers as JSON; it must succeed.
fn answer(home: &Path, arguments: &[&str]) -> Result<Value, Failed> {
    let output = stoke(home, arguments).args(["--output", "json"]).output()?;
    expect_code(&output, 0)?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn of_a_run(context: &Context, version: &str) -> Result<(), Failed> {
    let home = context.private_home();
    let home = home.path();
    let directory = tempfile::tempdir()?;
    let manifest = directory.path().join("pi.yaml");
    let example = std::fs::read_to_string(repository().join("examples/pi.yaml"))?
        .replace("4.1.4", version)
        .replace("  driver:\n", "  driver:\n    labels: {team: search}\n");
    std::fs::write(&manifest, example)?;
    let run = stoke(home, ["run", "--quiet", "--output", "json"])
        .arg(&manifest)
        .output()?;
    expect_code(&run, 0)?;
    let summary: Value = serde_json::from_slice(&run.stdout[text_before_json(&run.stdout)..])?;
    if summary["findings"] != serde_json::json!([]) {
        return Err(format!("a healthy run ends with findings: {summary:#}").into());
    }
    let id = summary["sparkApplicationId"].as_str().ok_or("no id")?.to_owned();

    // Its cluster is gone; its event log tells.
    let doctor = answer(home, &["doctor", "pi"])?;
    if doctor["findings"] != serde_json::json!([]) {
        return Err(format!("{doctor:#}").into());
    }
    cost(home, directory.path())?;
    let compared = answer(home, &["compare", "pi", &id])?;
    if compared["difference"] != 0 || compared["settings"] != serde_json::json!([]) {
        return Err(format!("a run differs from itself: {compared:#}").into());
    }
    let sized = answer(home, &["size", "pi"])?;
    if sized["executors"].as_u64().is_none_or(|executors| executors == 0) || sized["patch"].is_null() {
        return Err(format!("{sized:#}").into());
    }
    bundle(home, directory.path())?;
    let other = answer(home, &["what-if", "pi", "--executors", "2", "--cores", "2"])?;
    if other["predicted"].as_u64().is_none_or(|predicted| predicted == 0) || other["error"].as_f64().is_none() {
        return Err(format!("{other:#}").into());
    }
    trace(home, &id)?;
    history(home, &id, version)
}

/// A driver's own output may be before the summary.
fn text_before_json(output: &[u8]) -> usize {
    let text = String::from_utf8_lossy(output);
    text.find("{\n").unwrap_or(0)
}

fn cost(home: &Path, directory: &Path) -> Result<(), Failed> {
    let prices = directory.join("prices.yaml");
    std::fs::write(
        &prices,
        "currency: EUR\nprovider: Our data centre\naccount: data\nprices:\n  - {cpuHour: 0.033333333, gibHour: 0.004444444}\n",
    )?;
    let prices = prices.display().to_string();
    let bill = answer(home, &["cost", "pi", "--prices", &prices])?;
    let whole = nanos(&bill["total"]["cost"])?;
    for parts in ["holders", "uses"] {
        let sum = sum(&bill[parts])?;
        if sum != whole || whole == 0 {
            return Err(format!("{parts} sum to {sum}, not to {whole}: {bill:#}").into());
        }
    }
    for (parts, rest) in [
        ("stages", "outsideStages"),
        ("queries", "outsideQueries"),
        ("jobs", "outsideJobs"),
    ] {
        let sum = sum(&bill[parts])? + nanos(&bill[rest]["cost"])?;
        if sum != whole {
            return Err(format!("{parts} sum to {sum}, not to {whole}: {bill:#}").into());
        }
    }
    let report = directory.join("report");
    let of_team = answer(
        home,
        &[
            "cost",
            "--team",
            "search",
            "--since",
            "2d",
            "--prices",
            &prices,
            "--report",
            &report.display().to_string(),
        ],
    )?;
    if nanos(&of_team[0]["total"]["cost"])? != whole {
        return Err(format!("the team's one run cost {whole}: {of_team:#}").into());
    }
    let focus = std::fs::read_to_string(report.join("focus-1.2.csv"))?;
    expect_parts(&focus, &["BilledCost", "EUR", "Our data centre"])?;
    expect_parts(&std::fs::read_to_string(report.join("showback.csv"))?, &["team,search"])?;
    if !std::fs::read(report.join("focus-1.2.parquet"))?.starts_with(b"PAR1") {
        return Err("no Parquet".into());
    }
    let nobody = answer(home, &["cost", "--team", "nobody", "--since", "2d"])?;
    if nobody != serde_json::json!([]) {
        return Err(format!("{nobody:#}").into());
    }
    let bad = directory.join("bad.yaml");
    std::fs::write(&bad, "currency: EUR\nprices:\n  - cpuHour: 1\n    gibHours: 2\n")?;
    let refused = stoke(home, ["cost", "pi", "--prices"]).arg(&bad).output()?;
    expect_code(&refused, 2)?;
    expect_parts(&text(&refused), &["bad.yaml:4", "gibHour"])
}

fn bundle(home: &Path, directory: &Path) -> Result<(), Failed> {
    let file = directory.join("pi.zip").display().to_string();
    let written = answer(home, &["bundle", "pi", "--to", &file])?;
    if written["index"]["eventLog"] != true {
        return Err(format!("{written:#}").into());
    }
    expect_code(&stoke(home, ["bundle", "pi", "--to", &file]).output()?, 2)?;
    // Another machine: nothing but the file.
    let elsewhere = tempfile::tempdir()?;
    let doctor = answer(elsewhere.path(), &["doctor", "--bundle", &file])?;
    if doctor["findings"] != serde_json::json!([]) || doctor["application"] != "pi" {
        return Err(format!("{doctor:#}").into());
    }
    let foreign = directory.join("pi.yaml");
    let refused = stoke(home, ["doctor", "--bundle"]).arg(&foreign).output()?;
    expect_code(&refused, 2)?;
    expect_parts(&text(&refused), &["error[stoke::bundle::archive]"])
}

/// A decimal as whole billionths.
fn nanos(value: &Value) -> Result<i128, Failed> {
    let text = value
        .as_str()
        .ok_or_else(|| format!("{value} is not a decimal in quotes"))?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    Ok(format!("{whole}{fraction:0<9}").parse()?)
}

fn sum(parts: &Value) -> Result<i128, Failed> {
    let parts = parts.as_array().ok_or("no parts")?;
    parts.iter().map(|part| nanos(&part["cost"])).sum()
}

/// Takes requests until its socket goes; says 503 to the first.
fn receiver() -> Result<(String, Receiver<Value>), Failed> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let (sender, received) = channel();
    std::thread::spawn(move || {
        let mut first = true;
        for stream in listener.incoming().map_while(Result::ok) {
            let Some((path, body)) = request(&stream) else { continue };
            let status = if first { "503 Service Unavailable" } else { "200 OK" };
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}");
            // Kept before it is answered: who sent it may end then.
            if !first && path == "/v1/traces" {
                let _ = sender.send(serde_json::from_slice(&body).unwrap_or_default());
            }
            let _ = (&stream).write_all(answer.as_bytes());
            first = false;
        }
    });
    Ok((format!("http://{address}"), received))
}

fn request(stream: &TcpStream) -> Option<(String, Vec<u8>)> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        match line.trim().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.trim().parse().ok()?,
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((path, body))
}

fn trace(home: &Path, id: &str) -> Result<(), Failed> {
    let (address, received) = receiver()?;
    let sent = answer(home, &["trace", id, "--otlp", &address])?;
    // All were sent before the command ended, one request or several.
    let mut bodies = vec![received.recv_timeout(Duration::from_secs(30))?];
    bodies.extend(received.try_iter());
    let spans: Vec<&Value> = bodies
        .iter()
        .flat_map(|body| body["resourceSpans"].as_array().into_iter().flatten())
        .flat_map(|resource| resource["scopeSpans"].as_array().into_iter().flatten())
        .flat_map(|scope| scope["spans"].as_array().into_iter().flatten())
        .collect();
    let ids: Vec<&Value> = spans.iter().map(|span| &span["spanId"]).collect();
    let roots = spans
        .iter()
        .filter(|span| !ids.contains(&&span["parentSpanId"]))
        .count();
    let one_trace = spans.iter().all(|span| span["traceId"] == sent["traceId"]);
    // Application, job, stage, and its 20 tasks or some of them.
    if spans.len() < 4 || sent["spans"] != spans.len() || !one_trace || roots != 1 {
        return Err(format!("{} spans, {roots} roots; said: {sent:#}\n{bodies:#?}", spans.len()).into());
    }
    let refused = stoke(home, ["trace", id, "--otlp", "collector:4317"]).output()?;
    expect_code(&refused, 2)?;
    expect_parts(&text(&refused), &["error[stoke::insight::bad-endpoint]"])
}

fn history(home: &Path, id: &str, version: &str) -> Result<(), Failed> {
    let up = answer(home, &["up", "--detach"])?;
    let address = up["history"].as_str().ok_or("no address")?.to_owned();
    let asked = eventually("the history has the run", Duration::from_secs(60), || {
        get(&address, &format!("/api/v1/applications/{id}"))
            .is_ok_and(|application| application["attempts"][0]["appSparkVersion"] == version)
    });
    let jobs = get(&address, &format!("/api/v1/applications/{id}/jobs"));
    expect_code(&stoke(home, ["down", "--wipe"]).output()?, 0)?;
    asked?;
    match jobs?[0]["status"].as_str() {
        Some("SUCCEEDED") => Ok(()),
        other => Err(format!("the job is {other:?}").into()),
    }
}

/// The JSON at a path of a server of ours.
pub fn get(address: &str, path: &str) -> Result<Value, Failed> {
    let host = address.strip_prefix("http://").ok_or("no http")?;
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    write!(stream, "GET {path} HTTP/1.0\r\nhost: {host}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_, body) = answer.split_once("\r\n\r\n").ok_or("no body")?;
    Ok(serde_json::from_str(body)?)
}
