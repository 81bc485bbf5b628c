//! `deploy`: chart and kustomization are what the binary installs, object by object. Real `helm` and `kubectl`; ignored when they are not there.
//!
//! `scripts/generate` writes the generated files again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test, though without the harness"
)]

mod values;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use kube::api::{Api, PostParams};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;
use stoke_model::crd::{self, SparkApplication};
use stoke_operator::install::{self, Options, objects};
use stoke_operator::{Operator, OperatorConfig};
use stoke_testkit::{Tier, generated};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let helm = stoke_testkit::helm();
    let kubectl = found("kubectl");
    let trials = vec![
        Trial::test("generated files do not drift", || written().map_err(Failed::from)),
        Trial::test("the generated table names what has no effect", || {
            values::documented().map_err(Failed::from)
        }),
        Trial::test("kubectl apply can keep its annotation", || {
            applicable().map_err(Failed::from)
        }),
        trial("helm lints the chart", &helm, lint),
        trial("helm renders what the binary installs", &helm, values::charts),
        trial("helm and the binary refuse the same values", &helm, values::refusals),
        trial("the published values file is taken", &helm, values::published_defaults),
        trial(
            "every published value is served or named",
            &helm,
            values::every_published_value,
        ),
        trial("helm renders certificates of cert-manager", &helm, certificates),
        trial(
            "kubectl kustomize renders what the binary installs",
            &kubectl,
            kustomized,
        ),
        trial("promtool takes the metrics of a running operator", &promtool(), metrics),
    ];
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(name: &str, program: &Result<PathBuf, String>, test: fn(&Path) -> Result<(), String>) -> Trial {
    let (needed, program) = (program.clone(), program.clone());
    let needs = || needed.map(drop);
    stoke_testkit::trial(name, Tier::Default, needs, move || Ok(test(&program?)?))
}

fn found(name: &str) -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).map(|directory| directory.join(name));
    places
        .find(|place| place.is_file())
        .ok_or(format!("{name} is not installed"))
}

/// promtool of the PATH, or out of Debian's package, unpacked below the target directory: that needs no privileges.
fn promtool() -> Result<PathBuf, String> {
    if let Ok(promtool) = found("promtool") {
        return Ok(promtool);
    }
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("prometheus");
    let executable = home.join("usr/bin/promtool");
    if executable.exists() {
        return Ok(executable);
    }
    let missing =
        |why: String| format!("promtool is not installed, and Debian's package prometheus cannot be had: {why}");
    let download = home.join("download");
    std::fs::create_dir_all(&download).map_err(|error| missing(error.to_string()))?;
    output(
        Command::new("apt-get")
            .args(["download", "prometheus"])
            .current_dir(&download),
    )
    .map_err(missing)?;
    let package = std::fs::read_dir(&download)
        .ok()
        .and_then(|mut files| files.next()?.ok());
    let package = package.ok_or_else(|| missing("apt-get downloaded nothing".to_owned()))?;
    output(Command::new("dpkg-deb").arg("-x").arg(package.path()).arg(&home)).map_err(missing)?;
    std::fs::remove_dir_all(&download).map_err(|error| missing(error.to_string()))?;
    Ok(executable)
}

fn output(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    match output.status.success() {
        true => Ok(text),
        false => Err(format!(
            "{command:?}: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy")
}

const GENERATED: &str = "# Made by `scripts/generate`; a test tells when it differs.\n";

fn yaml(value: &Value) -> String {
    serde_saphyr::to_string(value).unwrap()
}

fn written() -> Result<(), String> {
    let stream = |objects: &[Value]| {
        objects
            .iter()
            .map(|object| format!("---\n{}", yaml(object).trim_end()))
            .collect::<Vec<_>>()
            .join("\n")
            + "\n"
    };
    let mut files = vec![
        (
            "chart/files/rules.yaml".to_owned(),
            GENERATED.to_owned() + &yaml(&install::all_rules()),
        ),
        (
            "kustomize/operator.yaml".to_owned(),
            GENERATED.to_owned() + &stream(&objects(&Options::default())),
        ),
    ];
    for kind in crd::KINDS {
        let plural = crd::definition(kind).unwrap()["spec"]["names"]["plural"]
            .as_str()
            .unwrap()
            .to_owned();
        files.push((
            format!("chart/crds/sparkoperator.k8s.io_{plural}.yaml"),
            crd::crd_yaml(kind).unwrap(),
        ));
    }
    for (path, text) in files {
        generated::file(&format!("deploy/{path}"), &text)?;
    }
    let schema = std::fs::read_to_string(deploy().join("chart/values.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let packs = &schema["properties"]["policies"]["properties"]["packs"]["items"]["enum"];
    if *packs != Value::from(stoke_policy::pack::names()) {
        return Err("deploy/chart/values.schema.json has other names of policies than the starter pack".to_owned());
    }
    let version = format!("version: {0}\nappVersion: {0}\n", env!("CARGO_PKG_VERSION"));
    let chart = std::fs::read_to_string(deploy().join("chart/Chart.yaml")).unwrap();
    if chart.contains(&version) {
        Ok(())
    } else {
        Err(format!("deploy/chart/Chart.yaml does not say {version}"))
    }
}

/// All annotations of an object together: `kubectl apply` writes the whole object into one.
const MOST_ANNOTATIONS: usize = 262_144;

/// Client-side `kubectl apply` keeps every object as JSON in an annotation of it.
fn applicable() -> Result<(), String> {
    let largest = crd::definitions().into_iter().chain(objects(&Options::default()));
    let sizes = largest.map(|object| (object.to_string().len() + 1024, object["metadata"]["name"].to_string()));
    match sizes.max() {
        Some((size, name)) if size > MOST_ANNOTATIONS => Err(format!(
            "{name} has {size} bytes; kubectl apply keeps {MOST_ANNOTATIONS}"
        )),
        Some(_) => Ok(()),
        None => Err("there are no objects".to_owned()),
    }
}

fn lint(helm: &Path) -> Result<(), String> {
    let said = output(
        Command::new(helm)
            .args(["lint", "--strict"])
            .arg(deploy().join("chart")),
    )?;
    if said.contains("0 chart(s) failed") && !said.contains("[WARNING]") && !said.contains("[ERROR]") {
        Ok(())
    } else {
        Err(said)
    }
}

/// Objects by kind, namespace and name, without CRDs and namespaces.
fn by_name(objects: impl IntoIterator<Item = Value>) -> BTreeMap<String, Value> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let named = objects.into_iter().map(|object| {
        let metadata = &object["metadata"];
        (
            format!(
                "{} {}/{}",
                text(&object["kind"]),
                text(&metadata["namespace"]),
                text(&metadata["name"])
            ),
            object,
        )
    });
    named
        .filter(|(name, _)| !name.starts_with("CustomResourceDefinition ") && !name.starts_with("Namespace "))
        .collect()
}

fn read(stream: &str) -> Vec<Value> {
    let documents = format!("\n{stream}");
    let documents = documents
        .split("\n---")
        .map(|document| document.trim_start_matches(|letter| letter != '\n'));
    let values = documents.map(|document| {
        serde_saphyr::from_str::<Value>(document).unwrap_or_else(|error| panic!("{error}: {document}"))
    });
    values.filter(|value| !value.is_null()).collect()
}

fn template(helm: &Path, sets: &[&str]) -> Result<String, String> {
    let mut command = Command::new(helm);
    command
        .args(["template", "spark-operator"])
        .arg(deploy().join("chart"))
        .args(["--namespace", "spark-operator"]);
    for set in sets {
        command.args(["--set-json", set]);
    }
    output(&mut command)
}

/// With cert-manager the Secret is filled by it: the operator only reads what it serves.
fn certificates(helm: &Path) -> Result<(), String> {
    let sets = [
        "certManager.enable=true",
        "certManager={\"enable\":true,\"issuerRef\":{\"kind\":\"ClusterIssuer\",\"name\":\"ours\"},\"duration\":\"720h\",\"renewBefore\":\"240h\"}",
    ];
    for (set, kinds, issuer) in [
        (sets[0], ["Certificate 2", "Issuer 2"], "spark-operator-webhook-issuer"),
        (sets[1], ["Certificate 1", "Issuer 0"], "ours"),
    ] {
        let objects = by_name(read(&template(helm, &[set])?));
        let count = |kind: &str| {
            objects
                .keys()
                .filter(|name| name.starts_with(&format!("{kind} ")))
                .count()
        };
        let found = [
            format!("Certificate {}", count("Certificate")),
            format!("Issuer {}", count("Issuer")),
        ];
        let role = &objects["Role spark-operator/spark-operator-webhook"]["rules"];
        let certificate = &objects["Certificate spark-operator/spark-operator-webhook"]["spec"];
        let controller = objects["Deployment spark-operator/spark-operator-controller"].to_string();
        let arguments = [
            "--webhook-make-certificates=false".to_owned(),
            format!(
                "--webhook-secret-name={}",
                certificate["secretName"].as_str().unwrap_or_default()
            ),
        ];
        let names = [
            "spark-operator-webhook-svc.spark-operator.svc",
            "spark-operator-webhook-svc.spark-operator.svc.cluster.local",
        ];
        let right = found == kinds
            && arguments.iter().all(|argument| controller.contains(argument))
            && certificate["issuerRef"]["name"] == issuer
            && certificate["dnsNames"] == serde_json::json!(names)
            && *role
                == serde_json::json!([{"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["spark-operator-webhook-certs"], "verbs": ["get"]}]);
        if !right {
            return Err(format!("{set}: {found:?} {role} {certificate} {controller}"));
        }
    }
    let without = template(helm, &["webhook.enable=false", "certManager.enable=true"])?;
    if without.contains("cert-manager.io") {
        return Err(format!("certificates without a webhook:\n{without}"));
    }
    Ok(())
}

fn kustomized(kubectl: &Path) -> Result<(), String> {
    let rendered = output(Command::new(kubectl).arg("kustomize").arg(deploy().join("kustomize")))?;
    let definitions = rendered.matches("\nkind: CustomResourceDefinition").count()
        + usize::from(rendered.starts_with("kind: CustomResourceDefinition"));
    if definitions != crd::KINDS.len() {
        return Err(format!("{definitions} definitions instead of {}", crd::KINDS.len()));
    }
    let without_crds = read(&rendered);
    values::compare(without_crds, &Options::default())
}

/// The metrics of an operator that has worked. Names that are published keep what promtool would rather have otherwise; ours do not.
fn metrics(promtool: &Path) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let text = runtime.block_on(worked());
    let mut child = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .map_err(|error| error.to_string())?;
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    for name in [
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_start_time_seconds",
    ] {
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
        if !value.is_some_and(|value| value > 0.0) {
            return Err(format!("{name} is {value:?}"));
        }
    }
    let published = |line: &str| line.starts_with("spark_application_") || line.starts_with("spark_executor_");
    // 3: taken, with remarks.
    match output.status.code() {
        Some(0 | 3) if said.lines().all(published) => Ok(()),
        _ => Err(format!("{said}\n{text}")),
    }
}

async fn worked() -> String {
    let home = tempfile::tempdir().unwrap();
    let config = stoke_cluster::ApiConfig {
        home: home.path().to_owned(),
        in_memory: true,
    };
    let server = stoke_cluster::ApiServer::start(&config).await.unwrap();
    let operator = OperatorConfig::default();
    let metrics = operator.metrics.clone();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let serving = tokio::spawn(Operator::new(server.client(), operator).run(stopped));
    let app: SparkApplication = serde_json::from_value(serde_json::json!({
        "apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication", "metadata": {"name": "pi"},
        "spec": {"type": "Python", "image": "apache/spark:4.1.4", "sparkVersion": "4.1.4", "driver": {}, "executor": {}, "mainApplicationFile": "local:///a.py"},
    }))
    .unwrap();
    let api: Api<SparkApplication> = Api::namespaced(server.client(), "default");
    api.create(&PostParams::default(), &app).await.unwrap();
    for _ in 0..2000 {
        if metrics.text().contains("\nspark_application_submit_count 1\n") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let text = metrics.text();
    assert!(text.contains("\nspark_application_submit_count 1\n"), "{text}");
    stop.send(true).unwrap();
    serving.await.unwrap();
    text
}
