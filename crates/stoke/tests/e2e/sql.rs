//! `stoke sql` on a real Spark Connect server, without a cluster.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use crate::common::{Context, Need, eventually, expect_code, expect_parts, full, program, repository, text};
use crate::up::Up;

const VERSION: &str = "4.1.4";
/// Other versions, what a server needs that does not have Connect built in, and its port (0: one that is free).
const OTHERS: [(&str, Option<&str>, u16); 2] = [
    ("3.5.9", Some("org.apache.spark:spark-connect_2.12:3.5.7"), 15135),
    ("4.3.0", None, 0),
];

pub fn trials(context: &Context) -> Vec<Trial> {
    let mut trials: Vec<Trial> = OTHERS
        .into_iter()
        .map(|(version, package, port)| {
            let package_is_there = package.map_or(Need::Found(Ok(())), |package| context.package(package));
            context.trial(
                &format!("sql: types, limits, errors, refused writes and cancelling on Spark {version}"),
                &[full(), context.spark(version), package_is_there],
                move |context| sql(context, version, package, port),
            )
        })
        .collect();
    trials.extend([
        context.trial(
            "sql: types, limits, errors, refused writes and cancelling on a real server",
            &[context.spark(VERSION)],
            |context| sql(context, VERSION, None, 0),
        ),
        context.trial(
            "sql: a server of a cluster, from the command line and on its page",
            &[
                full(),
                context.spark(VERSION),
                program("curl", "`apt-get install curl`"),
            ],
            in_a_cluster,
        ),
    ]);
    trials
}

/// A server of Spark alone; it ends with the test.
struct Server {
    child: Child,
    remote: String,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start(spark: &Path, work: &Path, package: Option<&str>, port: u16) -> Result<Self, Failed> {
        let mut command = Command::new(spark.join("bin/spark-submit"));
        if let Some(package) = package {
            command.args(["--packages", package]);
        }
        // Port 0 is one that is free; the server's log names it. Spark 3.5 holds all of a long answer in memory.
        let mut child = command
            .args(["--master", "local[2]", "--driver-memory", "2g"])
            .args(["--class", "org.apache.spark.sql.connect.service.SparkConnectServer"])
            .args([
                "--conf",
                &format!("spark.connect.grpc.binding.port={port}"),
                "--conf",
                "spark.ui.enabled=false",
            ])
            .args(["--conf", "spark.sql.session.timeZone=UTC", "spark-internal"])
            .env("SPARK_HOME", spark)
            .env("SPARK_LOCAL_IP", "127.0.0.1")
            .current_dir(work)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let stderr = child.stderr.take().ok_or("no standard error")?;
        let (sender, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut server = Server {
            child,
            remote: String::new(),
            lines,
        };
        let started = Instant::now();
        while server.remote.is_empty() {
            let left = Duration::from_secs(120).saturating_sub(started.elapsed());
            let line = server
                .lines
                .recv_timeout(left)
                .map_err(|_| "the server does not start")?;
            if let Some((_, place)) = line.split_once("Spark Connect server started at: ") {
                let port = place.rsplit(':').next().unwrap_or_default().trim();
                server.remote = format!("sc://127.0.0.1:{port}");
            }
        }
        Ok(server)
    }

    fn sql(&self, context: &Context, arguments: &[&str]) -> Result<Output, Failed> {
        let mut all = vec!["sql", "--remote", &self.remote];
        all.extend(arguments);
        Ok(context.stoke(all).output()?)
    }

    /// The answer as JSON; it must succeed.
    fn json(&self, context: &Context, arguments: &[&str]) -> Result<Value, Failed> {
        let mut all = arguments.to_vec();
        all.extend(["--output", "json"]);
        let output = self.sql(context, &all)?;
        expect_code(&output, 0)?;
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// How the process ended, and which code its error has.
    fn refused(&self, context: &Context, arguments: &[&str]) -> Result<(Option<i32>, String, String), Failed> {
        let mut all = arguments.to_vec();
        all.extend(["--output", "json"]);
        let output = self.sql(context, &all)?;
        let answer: Value = serde_json::from_slice(&output.stdout)?;
        let word = |key: &str| answer["error"][key].as_str().unwrap_or_default().to_owned();
        Ok((output.status.code(), word("code"), word("message")))
    }
}

const TYPES: &str = "SELECT 1Y a, 2S b, 3 c, 9007199254740993L d, float(1.1) e, 2.5D f, 12.30BD g, true h, 'ü\"' i, X'0102' j, \
    date'2026-11-24' k, timestamp'2026-11-24 01:02:03.5' l, timestamp_ntz'2026-11-24 01:02:03' m, null n, array(1, null) o, \
    named_struct('x', 1, 'y', map('k', array(1.50BD))) p, map(1, 'v') q, interval '1 02:03:04.5' day to second r, \
    interval '-1-2' year to month s, double('NaN') t, double('-Infinity') u, cast(null as decimal(38,10)) v, \
    12345678901234567890123456789.123456789BD w";

fn sql(context: &Context, version: &str, package: Option<&str>, port: u16) -> Result<(), Failed> {
    let spark = context.spark_home(version).ok_or("no Spark")?;
    let work = tempfile::tempdir()?;
    let mut server = Server::start(&spark, work.path(), package, port)?;
    types(context, &server)?;
    limits(context, &server, version)?;
    refusals(context, &server)?;
    cancelled(context, &mut server)
}

fn types(context: &Context, server: &Server) -> Result<(), Failed> {
    let answer = server.json(context, &[TYPES])?;
    let kinds: Vec<_> = answer["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| column["type"].clone())
        .collect();
    assert_eq!(
        json!(kinds),
        json!([
            "tinyint",
            "smallint",
            "int",
            "bigint",
            "float",
            "double",
            "decimal(4,2)",
            "boolean",
            "string",
            "binary",
            "date",
            "timestamp",
            "timestamp_ntz",
            "void",
            "array<int>",
            "struct<x:int,y:map<string,array<decimal(3,2)>>>",
            "map<int,string>",
            "interval day to second",
            "interval year to month",
            "double",
            "double",
            "decimal(38,10)",
            "decimal(38,9)"
        ])
    );
    assert_eq!(
        answer["rows"],
        json!([[
            1, 2, 3, 9_007_199_254_740_993_i64, 1.1, 2.5, "12.30", true, "ü\"", "AQI=", "2026-11-24", "2026-11-24T01:02:03.5Z",
            "2026-11-24T01:02:03", null, [1, null], {"x": 1, "y": {"k": ["1.50"]}}, [[1, "v"]],
            "INTERVAL '1 02:03:04.5' DAY TO SECOND", "INTERVAL '-1-2' YEAR TO MONTH", "NaN", "-Infinity", null,
            "12345678901234567890123456789.123456789"
        ]])
    );
    assert_eq!(answer["stopped"], Value::Null);
    let empty = server.json(context, &["SELECT 1 a WHERE false"])?;
    assert_eq!(
        (&empty["rows"], &empty["columns"]),
        (&json!([]), &json!([{"name": "a", "type": "int"}]))
    );
    let csv = server.sql(
        context,
        &["--csv", "SELECT 'a,b' x, null y UNION ALL SELECT 'c', 2 ORDER BY x"],
    )?;
    expect_code(&csv, 0)?;
    assert_eq!(String::from_utf8_lossy(&csv.stdout), "x,y\n\"a,b\",\nc,2\n");
    // From standard input, as a table; a comment at the end takes nothing away.
    let mut reading = context
        .stoke(["sql", "--remote", &server.remote])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    reading
        .stdin
        .take()
        .ok_or("no input")?
        .write_all(b"SELECT 7 AS seven; -- all of it")?;
    let table = reading.wait_with_output()?;
    expect_code(&table, 0)?;
    assert_eq!(String::from_utf8_lossy(&table.stdout), "seven\n7\n");
    Ok(())
}

fn limits(context: &Context, server: &Server, version: &str) -> Result<(), Failed> {
    let some = server.json(
        context,
        &["SELECT id FROM range(100000) ORDER BY id DESC", "--limit", "3"],
    )?;
    assert_eq!(
        (&some["rows"], &some["stopped"]),
        (&json!([[99_999], [99_998], [99_997]]), &json!("rows"))
    );
    let exactly = server.json(context, &["SELECT id FROM range(3)", "--limit", "3"])?;
    assert_eq!(
        (exactly["rows"].as_array().map(Vec::len), &exactly["stopped"]),
        (Some(3), &Value::Null)
    );
    let all = server.sql(
        context,
        &[
            "--csv",
            "--limit",
            "200000",
            "SELECT id, sha2(string(id), 256) h FROM range(100000)",
        ],
    )?;
    expect_code(&all, 0)?;
    let lines = all.stdout.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(lines, 100_001);
    // More bytes than are taken, in many messages and in one.
    let wide = "SELECT id, repeat('x', 400) FROM range(300000)";
    let wide = server.sql(context, &["--csv", "--limit", "400000", "--timeout", "300", wide])?;
    expect_code(&wide, 0)?;
    expect_parts(
        &String::from_utf8_lossy(&wide.stderr),
        &["more rows than fit into 64 MiB"],
    )?;
    let long = "SELECT id, repeat('x', 1000000) FROM range(200)";
    if version.starts_with("3.") {
        // It sends some rows at a time, so those that fit are taken.
        let some = server.json(context, &[long])?;
        assert_eq!(some["stopped"], "bytes");
    } else {
        let (exit, code, _) = server.refused(context, &[long])?;
        assert_eq!((exit, code.as_str()), (Some(1), "stoke::sql::too-long"));
    }
    let begun = Instant::now();
    let slow = "SELECT sum(a.id * b.id) FROM range(10000000) a CROSS JOIN range(10000000) b";
    let (exit, code, _) = server.refused(context, &[slow, "--timeout", "3"])?;
    assert_eq!((exit, code.as_str()), (Some(124), "stoke::sql::timeout"));
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    Ok(())
}

fn refusals(context: &Context, server: &Server) -> Result<(), Failed> {
    for (statement, exit, code, says) in [
        (
            "SELECT nope FROM range(1)",
            1,
            "stoke::sql::failed",
            "UNRESOLVED_COLUMN",
        ),
        ("SELECT * FROM nothing", 1, "stoke::sql::failed", "line 1 pos 14"),
        ("SELECT FROM WHERE 1 +", 1, "stoke::sql::failed", "[PARSE_SYNTAX_ERROR]"),
        (
            "SELECT 1); DROP TABLE kept; SELECT (1",
            1,
            "stoke::sql::failed",
            "(line 1, pos",
        ),
        (
            "CREATE TABLE made (a int) USING parquet",
            2,
            "stoke::sql::writes",
            "`CREATE`",
        ),
        (
            "WITH x AS (SELECT 1 a) INSERT INTO kept SELECT a FROM x",
            2,
            "stoke::sql::writes",
            "does more than query",
        ),
        (
            "BEGIN CREATE TABLE made (a int) USING parquet; END",
            2,
            "stoke::sql::writes",
            "`BEGIN`",
        ),
        (
            "EXECUTE IMMEDIATE 'CREATE TABLE made (a int) USING parquet'",
            2,
            "stoke::sql::writes",
            "`EXECUTE`",
        ),
        (
            "EXPLAIN EXECUTE IMMEDIATE 'CREATE TABLE made (a int) USING parquet'",
            2,
            "stoke::sql::writes",
            "`EXPLAIN EXECUTE`",
        ),
        ("SET spark.sql.shuffle.partitions = 3", 2, "stoke::sql::writes", "`SET`"),
        ("  -- nothing", 2, "stoke::sql::empty", "no statement"),
    ] {
        let (ended, found, message) = server.refused(context, &[statement])?;
        assert_eq!((ended, found.as_str()), (Some(exit), code), "{statement}: {message}");
        assert!(message.contains(says), "{statement}: {message}");
    }
    let tables = server.json(context, &["SHOW TABLES"])?;
    assert_eq!(tables["rows"], json!([]), "something was written");
    let written = server.sql(context, &["--allow-writes", "CREATE TABLE kept (a int) USING parquet"])?;
    expect_code(&written, 0)?;
    expect_code(
        &server.sql(context, &["--allow-writes", "INSERT INTO kept VALUES (4), (5)"])?,
        0,
    )?;
    let kept = server.json(context, &["FROM kept SELECT sum(a) s"])?;
    assert_eq!(kept["rows"], json!([[9]]));
    let described = server.json(context, &["DESCRIBE kept"])?;
    assert_eq!(described["rows"], json!([["a", "int", null]]));
    let explained = server.sql(context, &["EXPLAIN EXTENDED SELECT * FROM kept"])?;
    expect_parts(&text(&explained), &["Analyzed Logical Plan"])?;
    let nowhere = context
        .stoke(["sql", "--remote", "sc://127.0.0.1:1", "SELECT 1"])
        .output()?;
    expect_code(&nowhere, 3)?;
    expect_parts(&text(&nowhere), &["stoke::sql::unreachable"])?;
    Ok(())
}

/// Ctrl-C ends the statement on the server too: its one job is cancelled, and the server's log says so.
fn cancelled(context: &Context, server: &mut Server) -> Result<(), Failed> {
    while server.lines.try_recv().is_ok() {}
    let slow = "SELECT sum(a.id * b.id) FROM range(10000000) a CROSS JOIN range(10000000) b";
    let mut running = context
        .stoke(["sql", "--remote", &server.remote, slow, "--timeout", "600"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let seen = |server: &Server, words: &str| server.lines.try_iter().any(|line| line.contains(words));
    eventually("the statement runs", Duration::from_secs(60), || {
        seen(server, "Running task")
    })?;
    let id = running.id().to_string();
    expect_code(&Command::new("kill").args(["-INT", &id]).output()?, 0)?;
    eventually("the job is cancelled", Duration::from_secs(30), || {
        seen(server, "cancelled") || seen(server, "killed")
    })?;
    assert_eq!(running.wait()?.code(), Some(130));
    Ok(())
}

fn in_a_cluster(context: &Context) -> Result<(), Failed> {
    let up = Up::start(context)?;
    let manifest = repository().join("examples/connect.yaml");
    expect_code(&up.kubectl(&["apply", "-f", &manifest.to_string_lossy()]).output()?, 0)?;
    let statement = "SELECT id, id * 2 AS twice FROM range(4) ORDER BY id";
    let answer = up
        .stoke(&["sql", "--server", "lab", "-o", "json", statement])
        .output()?;
    expect_code(&answer, 0)?;
    let answer: Value = serde_json::from_slice(&answer.stdout)?;
    assert_eq!(answer["rows"], json!([[0, 0], [1, 2], [2, 4], [3, 6]]));
    on_its_page(&up, statement, &answer)?;
    up.down()
}

/// The page answers what the command does; a statement that writes is refused in place.
fn on_its_page(up: &Up, statement: &str, expected: &Value) -> Result<(), Failed> {
    let opened = up.stoke(&["open", "--print", "-o", "json"]).output()?;
    let opened: Value = serde_json::from_slice(&opened.stdout)?;
    let link = opened["address"].as_str().ok_or("no address")?;
    let host = link.split("/open").next().unwrap_or_default();
    let jar = up.home.path().join("cookies");
    let curl = |arguments: &[&str]| -> Result<String, Failed> {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "-b"]).arg(&jar).arg("-c").arg(&jar).args(arguments);
        let output = curl.output()?;
        expect_code(&output, 0)?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    curl(&["-L", link])?;
    let page = curl(&[&format!("{host}/sql/")])?;
    expect_parts(&page, &["<option>default/lab</option>", "at most 1000 rows"])?;
    let csrf = page
        .split("name=\"csrf\" value=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    let csrf = format!("csrf={}", csrf.ok_or("no form")?);
    let origin = format!("Origin: {host}");
    let ask = |path: &str, statement: &str| {
        let statement = format!("statement={statement}");
        let form = [
            "--data-urlencode",
            &csrf,
            "--data-urlencode",
            "server=default/lab",
            "--data-urlencode",
            &statement,
        ];
        let address = format!("{host}{path}");
        let mut all = vec!["-H", &origin];
        all.extend(form);
        all.push(&address);
        curl(&all)
    };
    let twin: Value = serde_json::from_str(&ask("/sql/?output=json", statement)?)?;
    assert_eq!(&twin["answer"], expected, "{twin}");
    let page = ask("/sql/", statement)?;
    expect_parts(
        &page,
        &["<svg", "download=\"answer.csv\"", "<td class=\"number\">6</td>"],
    )?;
    expect_parts(&ask("/sql/", "DROP TABLE nothing")?, &["stoke::sql::writes"])?;
    expect_parts(&ask("/sql/", "SELECT nope FROM range(1)")?, &["UNRESOLVED_COLUMN"])?;
    // Numbers over a thousand rows are lines; more rows are said.
    let many = ask("/sql/", "SELECT id, sin(id) s FROM range(100000)")?;
    expect_parts(&many, &["There are more rows.", "<path class=\"line1\""])
}
