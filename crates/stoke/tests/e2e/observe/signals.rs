//! A real Loki, a real Jaeger and a real collector beside the embedded cluster: lines of a run and its spans arrive under one id.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use libtest_mimic::Failed;
use serde_json::Value;

use super::apply;
use super::asked::{encoded, get};
use super::faults::manifests::App;
use crate::common::{Context, eventually, expect_code, repository};
use crate::up::Up;

/// Programs by the names that `scripts/observability-programs/build` has for them.
pub const PROGRAMS: [&str; 3] = ["otelcol", "jaeger", "loki"];

fn directory(context: &Context) -> PathBuf {
    context.home().join("programs")
}

/// Builds the programs, where they are not built yet.
///
/// # Errors
/// What the script says last.
pub fn built(context: &Context) -> Result<(), String> {
    let mut build = Command::new(repository().join("scripts/observability-programs/build"));
    let output = build
        .arg(directory(context))
        .args(PROGRAMS)
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(said
        .lines()
        .last()
        .unwrap_or("the programs could not be built")
        .to_owned())
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn begin(command: &mut Command, log: &Path) -> Result<Running, Failed> {
    let file = std::fs::File::create(log)?;
    let child = command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .spawn()?;
    Ok(Running(child))
}

fn free() -> Result<u16, Failed> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn json(address: &str, path: &str) -> Value {
    let answer = get(address, path).unwrap_or_default();
    serde_json::from_str(&answer).unwrap_or_default()
}

/// A program of the application: something printed, a task that fails once with its stack, secrets in both.
const SCRIPTS: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: scripts}
data:
  signals.py: |
    from pyspark import TaskContext
    from pyspark.sql import SparkSession
    spark = SparkSession.builder.getOrCreate()
    print("planted by the driver, password=hunter2")
    def stumble(x):
        if TaskContext.get().attemptNumber() == 0:
            raise ValueError("planted, token=hunter2")
        return x
    print(spark.sparkContext.parallelize(range(4), 2).map(stumble).sum())
    spark.stop()
"#;

/// Loki on one machine, with what it has by default but for places and ports.
fn loki(context: &Context, below: &Path) -> Result<(Running, String), Failed> {
    let (port, grpc) = (free()?, free()?);
    let data = below.join("loki");
    let configuration = serde_json::json!({
        "auth_enabled": false,
        "analytics": {"reporting_enabled": false},
        "server": {"http_listen_address": "127.0.0.1", "http_listen_port": port, "grpc_listen_address": "127.0.0.1", "grpc_listen_port": grpc},
        "common": {
            "instance_addr": "127.0.0.1", "path_prefix": data, "replication_factor": 1, "ring": {"kvstore": {"store": "inmemory"}},
            "storage": {"filesystem": {"chunks_directory": data.join("chunks"), "rules_directory": data.join("rules")}},
        },
        "schema_config": {"configs": [{"from": "2020-10-24", "store": "tsdb", "object_store": "filesystem", "schema": "v13", "index": {"prefix": "index_", "period": "24h"}}]},
    });
    let file = below.join("loki.yaml");
    std::fs::write(&file, configuration.to_string())?;
    let mut command = Command::new(directory(context).join("loki"));
    command.arg(format!("-config.file={}", file.display()));
    let running = begin(&mut command, &below.join("loki.log"))?;
    let address = format!("127.0.0.1:{port}");
    eventually("Loki is ready", Duration::from_secs(120), || {
        get(&address, "/ready").is_some_and(|answer| answer.trim() == "ready")
    })?;
    Ok((running, address))
}

/// Jaeger with its storage in memory: where it takes OTLP over HTTP, and where it is asked.
fn jaeger(context: &Context, below: &Path) -> Result<(Running, String, String), Failed> {
    let (otlp, query, grpc) = (free()?, free()?, free()?);
    let at = |port: u16| format!("127.0.0.1:{port}");
    let configuration = serde_json::json!({
        "extensions": {
            "jaeger_storage": {"backends": {"memory": {"memory": {"max_traces": 1000}}}},
            "jaeger_query": {"storage": {"traces": "memory"}, "http": {"endpoint": at(query)}, "grpc": {"endpoint": at(grpc)}},
        },
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": at(otlp)}}}},
        "exporters": {"jaeger_storage_exporter": {"trace_storage": "memory"}},
        "service": {
            "extensions": ["jaeger_storage", "jaeger_query"],
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["jaeger_storage_exporter"]}},
            "telemetry": {"metrics": {"level": "none"}},
        },
    });
    let file = below.join("jaeger.yaml");
    std::fs::write(&file, configuration.to_string())?;
    let mut command = Command::new(directory(context).join("jaeger"));
    command.arg("--config").arg(&file);
    let running = begin(&mut command, &below.join("jaeger.log"))?;
    let (otlp, query) = (at(otlp), at(query));
    eventually("Jaeger answers", Duration::from_secs(60), || {
        json(&query, "/api/services")["data"].is_array() || json(&query, "/api/services")["total"].is_number()
    })?;
    Ok((running, otlp, query))
}

/// The collector with the configuration of the pack; but for where a node keeps its logs, who it is for the API server, and where it may write.
fn collector(context: &Context, up: &Up, loki: &str, below: &Path) -> Result<Running, Failed> {
    let pack = below.join("pack");
    let made = up
        .stoke(&[
            "observe",
            "manifests",
            "--form",
            "plain",
            "--logs-to",
            &format!("loki=http://{loki}"),
            "--to",
        ])
        .arg(&pack)
        .output()?;
    expect_code(&made, 0)?;
    let logs = node_logs(&up.home().join("clusters/default")).ok_or("no logs of pods in the home")?;
    let include = ["driver", "executor"].map(|role| format!("{}/*/spark-kubernetes-{role}/*.log", logs.display()));
    let here = serde_json::json!({
        "receivers": {"file_log": {"include": include, "poll_interval": "100ms"}},
        "processors": {"k8s_attributes": {"auth_type": "kubeConfig"}},
        "extensions": {"file_storage": {"directory": below.join("state")}},
        "service": {"telemetry": {"metrics": {"level": "none"}}},
    });
    let file = below.join("here.yaml");
    std::fs::write(&file, here.to_string())?;
    let node = up
        .kubectl(&["get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"])
        .output()?;
    let mut command = Command::new(directory(context).join("otelcol"));
    command
        .arg(format!("--config={}", pack.join("collector.yaml").display()))
        .arg(format!("--config={}", file.display()))
        .env("K8S_NODE_NAME", String::from_utf8(node.stdout)?)
        .env("KUBECONFIG", up.kubeconfig());
    begin(&mut command, &below.join("collector.log"))
}

/// The directory in which the embedded node has a directory for the logs of each pod.
fn node_logs(directory: &Path) -> Option<PathBuf> {
    let entries: Vec<PathBuf> = std::fs::read_dir(directory)
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .collect();
    let is_of_pod = |path: &PathBuf| {
        path.is_dir()
            && path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().matches('_').count() == 2)
    };
    if directory.file_name().is_some_and(|name| name == "logs") && entries.iter().any(is_of_pod) {
        return Some(directory.to_path_buf());
    }
    entries
        .iter()
        .filter(|path| path.is_dir() && !path.is_symlink())
        .find_map(|path| node_logs(path))
}

/// Records of Loki: what each says, with its labels and metadata.
fn records(loki: &str, query: &str) -> Vec<(String, Value)> {
    let answer = json(
        loki,
        &format!("/loki/api/v1/query_range?since=1h&limit=5000&query={}", encoded(query)),
    );
    let streams = answer["data"]["result"].as_array().cloned().unwrap_or_default();
    let of = |stream: &Value| {
        let labels = stream["stream"].clone();
        let values = stream["values"].as_array().cloned().unwrap_or_default();
        values
            .into_iter()
            .map(move |value| (value[1].as_str().unwrap_or_default().to_owned(), labels.clone()))
    };
    streams.iter().flat_map(of).collect()
}

fn trace_id(up: &Up, name: &str) -> Result<String, Failed> {
    let id = up
        .kubectl(&["get", "sparkapplication", name, "-o", "jsonpath={.status.submissionID}"])
        .output()?;
    Ok(String::from_utf8(id.stdout)?.replace('-', ""))
}

fn wanted<'a>(records: &'a [(String, Value)], part: &str) -> Result<&'a (String, Value), Failed> {
    let found = records.iter().find(|(text, _)| text.contains(part));
    found.ok_or_else(|| {
        let all: Vec<&str> = records
            .iter()
            .map(|(text, _)| text.lines().next().unwrap_or_default())
            .collect();
        format!("no record has {part:?} of {}:\n{}", all.len(), all.join("\n")).into()
    })
}

pub fn arrive(context: &Context) -> Result<(), Failed> {
    let below = tempfile::tempdir()?;
    let (_jaeger, otlp, query) = jaeger(context, below.path())?;
    let (_loki, loki) = loki(context, below.path())?;
    let up = Up::start_with(context, &["--otlp", &format!("http://{otlp}")])?;
    apply(&up, SCRIPTS)?;
    apply(&up, &App::new("lines", "signals.py").manifest())?;
    // The first pod makes the directory of logs.
    eventually("a pod has its log", Duration::from_secs(60), || {
        node_logs(&up.home().join("clusters/default")).is_some()
    })?;
    let collector = collector(context, &up, &loki, below.path())?;
    let structured = App {
        conf: "spark.log.structuredLogging.enabled: \"true\"",
        ..App::new("structured", "signals.py")
    };
    apply(&up, &structured.manifest())?;
    for name in ["lines", "structured"] {
        let done = [
            "wait",
            &format!("sparkapplication/{name}"),
            "--for=jsonpath={.status.applicationState.state}=COMPLETED",
            "--timeout=180s",
        ];
        expect_code(&up.kubectl(&done).output()?, 0)?;
    }
    let checked = logs(&up, &loki).and_then(|()| traces(&up, &query));
    if checked.is_err() {
        let held = get(
            &loki,
            "/loki/api/v1/series?since=1h&match[]=%7Bservice_name%3D~%22.%2B%22%7D",
        );
        println!("series of Loki: {held:?}");
        for log in ["collector.log", "jaeger.log", "loki.log"] {
            let said = std::fs::read_to_string(below.path().join(log)).unwrap_or_default();
            let last: Vec<&str> = said.lines().rev().take(15).collect();
            println!("{log}, the last lines first:\n{}", last.join("\n"));
        }
    }
    checked?;
    // It reads files of the cluster, so it ends first.
    drop(collector);
    up.down()
}

/// What the last line of a pod's log says, without what stands before the message.
fn last_line(up: &Up, pod: &str) -> Result<String, Failed> {
    let log = up.kubectl(&["logs", pod]).output()?;
    let log = String::from_utf8_lossy(&log.stdout).into_owned();
    let last = log.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    let structured: Option<Value> = serde_json::from_str(last).ok();
    let message = match &structured {
        Some(line) => line["msg"].as_str().unwrap_or_default(),
        None => last.split_once(": ").map_or(last, |(_, message)| message),
    };
    match message.is_empty() {
        true => Err(format!("{pod} has no last line:\n{log}").into()),
        false => Ok(message.to_owned()),
    }
}

fn logs(up: &Up, loki: &str) -> Result<(), Failed> {
    let mut ids = Vec::new();
    for name in ["lines", "structured"] {
        let id = trace_id(up, name)?;
        let of_run = format!("{{service_name=\"{name}\"}} | trace_id=\"{id}\"");
        let last = last_line(up, &format!("{name}-driver"))?;
        let arrived = eventually(
            "the last line of the driver is in Loki",
            Duration::from_secs(60),
            || {
                let found = records(loki, &of_run);
                found.iter().any(|(text, _)| text.contains(&last))
                    && found.iter().any(|(text, _)| text.contains("planted by the driver"))
            },
        );
        if arrived.is_err() {
            let found = records(loki, &of_run);
            wanted(&found, "planted by the driver")?;
            wanted(&found, &last)?;
        }
        arrived?;
        let found = records(loki, &of_run);
        let said = wanted(&found, "planted by the driver")?;
        assert_eq!(said.0, "planted by the driver, password=REDACTED");
        assert_eq!(said.1["spark_role"], "driver");
        assert_eq!(said.1["k8s_namespace_name"], "default");
        assert_eq!(said.1["stoke_application"], name);
        // The executor's own words of the failed task: message, Python's stack and Java's, in one record.
        let failed = found.iter().find(|(text, labels)| {
            labels["spark_role"] == "executor"
                && text.contains("planted, token=")
                && text.contains("\n\tat org.apache.spark.")
        });
        let (text, labels) = failed.ok_or_else(|| {
            let errors: Vec<_> = found
                .iter()
                .filter(|(text, _)| text.contains("planted, token="))
                .collect();
            format!("no executor says why its task failed, with its stack: {errors:#?}")
        })?;
        assert_eq!(labels["spark_executor_id"], "1", "{labels}");
        assert_eq!(
            labels["severity_text"].as_str().unwrap_or_default().to_uppercase(),
            "ERROR",
            "{labels}"
        );
        assert!(
            text.contains("in stage 0.0") && text.contains("Traceback (most recent call last)"),
            "{text}"
        );
        assert!(
            labels["spark_app_id"]
                .as_str()
                .is_some_and(|id| id.starts_with("spark-")),
            "{labels}"
        );
        let secrets = found.iter().filter(|(text, _)| text.contains("hunter2")).count();
        assert_eq!(secrets, 0, "secrets are taken out");
        let alone = found
            .iter()
            .filter(|(text, _)| text.starts_with("\tat ") || text.starts_with("Caused by"))
            .count();
        assert_eq!(alone, 0, "parts of stacks that stand alone");
        if name == "structured" {
            let raw = found.iter().filter(|(text, _)| text.starts_with("{\"ts\"")).count();
            assert_eq!(raw, 0, "structured lines are read");
            let tasks = found.iter().filter(|(_, labels)| {
                labels["spark_task_name"]
                    .as_str()
                    .is_some_and(|name| name.contains("in stage 0.0"))
            });
            assert!(tasks.count() > 0, "structured lines say of which task they are");
            assert_eq!(
                labels["exception_type"], "org.apache.spark.api.python.PythonException",
                "{labels}"
            );
            assert!(
                labels["spark_logger"]
                    .as_str()
                    .is_some_and(|logger| logger.ends_with("Executor")),
                "{labels}"
            );
        }
        println!("{} records of the run {name} under {id}", found.len());
        ids.push(id);
    }
    let others = records(loki, &format!("{{service_name=\"lines\"}} | trace_id=\"{}\"", ids[1]));
    assert!(others.is_empty(), "each run has its own id");
    // A stream for each container of a job, whatever the number of runs, pods and executors.
    let series = json(
        loki,
        &format!(
            "/loki/api/v1/series?since=1h&match[]={}",
            encoded("{service_name=~\".+\"}")
        ),
    );
    let series = series["data"].as_array().cloned().unwrap_or_default();
    let names: BTreeSet<&str> = series
        .iter()
        .flat_map(|one| one.as_object().into_iter().flatten().map(|(name, _)| name.as_str()))
        .collect();
    assert_eq!(
        names,
        BTreeSet::from([
            "k8s_container_name",
            "k8s_namespace_name",
            "service_name",
            "service_namespace"
        ])
    );
    assert_eq!(series.len(), 4, "{series:?}");
    Ok(())
}

fn traces(up: &Up, query: &str) -> Result<(), Failed> {
    for name in ["lines", "structured"] {
        let id = trace_id(up, name)?;
        eventually("the trace of the run is in Jaeger", Duration::from_secs(60), || {
            json(query, &format!("/api/traces/{id}"))["data"][0]["spans"].is_array()
        })?;
        let trace = json(query, &format!("/api/traces/{id}"));
        let spans = trace["data"][0]["spans"].as_array().cloned().unwrap_or_default();
        let names: BTreeSet<&str> = spans.iter().filter_map(|span| span["operationName"].as_str()).collect();
        let one = spans.iter().all(|span| span["traceID"] == id.as_str());
        let distinct: BTreeSet<&str> = spans.iter().filter_map(|span| span["spanID"].as_str()).collect();
        if !one
            || distinct.len() != spans.len()
            || !["job 0", "stage 0", "task 0/0", "task 0/0 attempt 1"]
                .iter()
                .all(|name| names.contains(name))
        {
            return Err(format!("spans of {id}: {names:?}").into());
        }
        let failed = spans.iter().filter(|span| {
            span["tags"]
                .as_array()
                .is_some_and(|tags| tags.iter().any(|tag| tag["key"] == "error" && tag["value"] == true))
        });
        println!(
            "{} spans of the run {name} under {id}, {} of them failed",
            spans.len(),
            failed.count()
        );
    }
    Ok(())
}
