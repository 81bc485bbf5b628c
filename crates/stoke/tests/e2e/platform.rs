//! A platform in the embedded cluster: begun, checked, rendered, applied, changed by hand, undone, removed without a rest.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::common::{Context, VERSIONS, eventually, expect_code, expect_parts, full, program, repository, stoke, text};
use crate::up::Up;

pub fn trials(context: &Context) -> Vec<Trial> {
    let kubectl = || program("kubectl", "see the Kubernetes documentation, `Install kubectl`");
    vec![
        context.trial("platform: files are begun, checked, rendered and wired", &[], files),
        context.trial("platform: trees are what kustomize reads", &[kubectl()], trees),
        context.trial(
            "platform: every component, profile and environment is admitted by a server-side dry run",
            &[kubectl()],
            admitted,
        ),
        context.trial(
            "platform: applied, drifted, pruned, undone and removed",
            &[kubectl()],
            life,
        ),
        context.trial(
            "platform: killed while it is applied, it is begun again",
            &[kubectl()],
            killed,
        ),
        context.trial(
            "platform: a Connect server of a platform answers",
            &[full(), context.spark(VERSIONS[0]), kubectl()],
            connect,
        ),
    ]
}

fn json(output: &Output) -> Result<Value, Failed> {
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn lakehouse() -> String {
    repository()
        .join("examples/platform/lakehouse.yaml")
        .display()
        .to_string()
}

fn files(context: &Context) -> Result<(), Failed> {
    let home = context.private_home();
    let work = tempfile::tempdir()?;
    let run = |arguments: &[&str]| stoke(home.path(), arguments).current_dir(work.path()).output();
    expect_code(&run(&["platform", "init"])?, 0)?;
    let again = run(&["platform", "init"])?;
    expect_code(&again, 2)?;
    expect_parts(&text(&again), &["stoke::platform::write", "platform.yaml"])?;
    let checked = run(&["platform", "check", "--output", "json"])?;
    expect_code(&checked, 0)?;
    assert_eq!(json(&checked)?["components"], 5);
    let rendered = run(&["platform", "render", "-e", "prod"])?;
    expect_code(&rendered, 0)?;
    expect_parts(
        &text(&rendered),
        &[
            "kind: StatefulSet",
            "namespace: lakehouse-prod",
            "platform.stoke.dev/environment: prod",
        ],
    )?;
    assert_eq!(
        run(&["platform", "render", "-e", "prod"])?.stdout,
        rendered.stdout,
        "the same file gives the same bytes"
    );
    let no_such = run(&["platform", "render", "-e", "prd"])?;
    expect_code(&no_such, 2)?;
    expect_parts(&text(&no_such), &["platform-environment", "did you mean `prod`?"])?;

    let file = work.path().join("platform.yaml");
    let broken = std::fs::read_to_string(&file)?.replace("store: files", "store: fils");
    std::fs::write(work.path().join("broken.yaml"), broken)?;
    let told = run(&["platform", "check", "-f", "broken.yaml"])?;
    expect_code(&told, 2)?;
    expect_parts(
        &text(&told),
        &[
            "platform-reference",
            "broken.yaml:24:12",
            "did you mean `files`?",
            "1 error",
        ],
    )?;
    let told = run(&["platform", "check", "-f", "broken.yaml", "--output", "json"])?;
    expect_parts(&text(&told), &["\"complaints\"", "\"line\": 24"])?;

    let app = std::fs::read_to_string(repository().join("examples/pi.yaml"))?;
    let app = app.replacen(
        "metadata:\n",
        "metadata:\n  annotations: {platform.stoke.dev/catalog: lake}\n",
        1,
    );
    std::fs::write(work.path().join("app.yaml"), app)?;
    let wired = run(&["platform", "wire", "app.yaml", "-e", "prod", "--output", "json"])?;
    expect_code(&wired, 0)?;
    let wired = json(&wired)?;
    let conf = &wired["items"][0]["spec"]["sparkConf"];
    assert_eq!(
        conf["spark.sql.catalog.lake.uri"], "http://lake.lakehouse-prod.svc:19120/iceberg",
        "{wired}"
    );
    let list = run(&["platform", "list"])?;
    expect_parts(
        &text(&list),
        &[
            "hive-metastore",
            "does not run: its masters and workers are not in Maven Central",
        ],
    )?;
    let schema = json(&run(&["platform", "schema"])?)?;
    assert_eq!(schema["title"], "platform.yaml");
    Ok(())
}

fn trees(context: &Context) -> Result<(), Failed> {
    let home = context.private_home();
    let work = tempfile::tempdir()?;
    for form in ["kustomize", "argocd", "flux"] {
        let to = work.path().join(form);
        let mut command = stoke(
            home.path(),
            ["platform", "render", "-f", &lakehouse(), "--as", form, "--to"],
        );
        command.arg(&to).args(["--repository", "https://git.example.com/p.git"]);
        expect_code(&command.output()?, 0)?;
        for environment in ["local", "dev", "staging", "prod"] {
            let built = Command::new("kubectl")
                .arg("kustomize")
                .arg(to.join("environments").join(environment))
                .output()?;
            expect_code(&built, 0)?;
            let rendered = stoke(
                home.path(),
                ["platform", "render", "-f", &lakehouse(), "-e", environment],
            )
            .output()?;
            let count = |output: &Output| text(output).matches("\nkind: ").count();
            assert_eq!(count(&built), count(&rendered), "{form} {environment}");
        }
    }
    let without = stoke(
        home.path(),
        ["platform", "render", "-f", &lakehouse(), "--as", "flux", "--to", "x"],
    )
    .output()?;
    expect_code(&without, 2)?;
    Ok(())
}

/// Applies the definitions of the operator's kinds.
fn with_definitions(up: &Up) -> Result<(), Failed> {
    let crds = repository().join("deploy/crds");
    expect_code(&up.kubectl(&["apply", "-k", &crds.display().to_string()]).output()?, 0)
}

fn admitted(context: &Context) -> Result<(), Failed> {
    let up = Up::start(context)?;
    with_definitions(&up)?;
    let work = tempfile::tempdir()?;
    let whole = repository().join("crates/platform/tests/it/full.yaml");
    std::fs::create_dir(work.path().join("prod"))?;
    for sealed in ["sealed.yaml", "prod/sealed.yaml"] {
        std::fs::copy(whole.with_file_name("sealed.yaml"), work.path().join(sealed))?;
    }
    let (mut objects, mut pods, mut rounds) = (0, 0, 0);
    for profile in ["baseline", "restricted", "openshift"] {
        for (file, environments) in [
            (PathBuf::from(lakehouse()), vec!["local", "prod"]),
            (whole.clone(), vec![""]),
        ] {
            for environment in environments {
                let namespace = format!("dry-{rounds}");
                rounds += 1;
                let text = std::fs::read_to_string(&file)?
                    .replace("security: restricted", &format!("security: {profile}"))
                    .replace("monitors: true", "monitors: false");
                let path = work.path().join("platform.yaml");
                std::fs::write(&path, text)?;
                let mut command = up.stoke(&["platform", "render", "--output", "json", "-f"]);
                command.arg(&path);
                if !environment.is_empty() {
                    command.args(["-e", environment]);
                }
                let rendered = command.output()?;
                expect_code(&rendered, 0)?;
                let mut list: Value = serde_json::from_slice(&rendered.stdout)?;
                let items = list["items"].as_array_mut().ok_or("no items")?;
                // Kinds of OpenShift and of controllers of secrets, which this cluster does not serve.
                let others = ["route.openshift.io/", "external-secrets.io/", "bitnami.com/"];
                let is_served = |item: &Value| {
                    let version = item["apiVersion"].as_str().unwrap_or_default();
                    !others.iter().any(|group| version.starts_with(group))
                };
                items.retain(is_served);
                let mut of_namespace = items.remove(0);
                of_namespace["metadata"]["name"] = namespace.as_str().into();
                let level = of_namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"].clone();
                assert_eq!(
                    level,
                    if profile == "baseline" {
                        "baseline"
                    } else {
                        "restricted"
                    }
                );
                let made = work.path().join("namespace.json");
                std::fs::write(&made, of_namespace.to_string())?;
                expect_code(&up.kubectl(&["apply", "-f"]).arg(&made).output()?, 0)?;
                let mut all: Vec<Value> = Vec::new();
                for item in items.iter_mut() {
                    item["metadata"]["namespace"] = namespace.as_str().into();
                    // Pods are what is admitted: those of each template.
                    if item["spec"]["template"]["spec"]["containers"].is_array() {
                        let mut metadata = item["spec"]["template"]["metadata"].clone();
                        metadata["namespace"] = namespace.as_str().into();
                        metadata["name"] = item["metadata"]["name"].clone();
                        let mut spec = item["spec"]["template"]["spec"].clone();
                        spec["serviceAccountName"] = "default".into();
                        if item["kind"] == "StatefulSet" {
                            let volumes = spec["volumes"].as_array().cloned().unwrap_or_default();
                            let data = serde_json::json!({"name": "data", "emptyDir": {}});
                            spec["volumes"] = volumes.into_iter().chain([data]).collect();
                        }
                        all.push(
                            serde_json::json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}),
                        );
                        pods += 1;
                    }
                    all.push(item.clone());
                }
                objects += all.len();
                let dry = work.path().join("objects.json");
                std::fs::write(
                    &dry,
                    serde_json::json!({"apiVersion": "v1", "kind": "List", "items": all}).to_string(),
                )?;
                let ran = up
                    .kubectl(&["apply", "--server-side", "--dry-run=server", "--validate=strict", "-f"])
                    .arg(&dry)
                    .output()?;
                expect_code(&ran, 0)?;
                let said = crate::common::text(&ran);
                assert!(!said.contains("would violate PodSecurity"), "{profile}: {said}");
                up.kubectl(&["delete", "namespace", &namespace, "--wait=false"])
                    .output()?;
            }
        }
    }
    assert!(objects > 300 && pods > 60, "{objects} objects, {pods} pods");
    Ok(())
}

/// Names in a namespace, of the kinds that a platform has.
fn names(up: &Up, namespace: &str) -> Result<Vec<String>, Failed> {
    let kinds = "configmap,service,serviceaccount,pvc,deployment,statefulset,role,rolebinding,networkpolicy,poddisruptionbudget,pod,replicaset";
    let output = up.kubectl(&["get", kinds, "-n", namespace, "-o", "name"]).output()?;
    let all = String::from_utf8_lossy(&output.stdout);
    // What every namespace of the embedded cluster has.
    let of_all = [
        "configmap/kube-root-ca.crt",
        "serviceaccount/default",
        "serviceaccount/spark-operator-spark",
        "rolebinding.rbac.authorization.k8s.io/stoke-spark",
    ];
    Ok(all
        .lines()
        .filter(|name| !of_all.contains(name))
        .map(str::to_owned)
        .collect())
}

/// Its images are nowhere: nothing is fetched, and what is asked of the cluster is the same.
const SMALL: &str = "name: small
namespace: small
components:
  files: {kind: object-store, bucket: small-data, role: 'arn:aws:iam::1:role/x'}
  lake: {kind: nessie, store: files, image: 'registry.invalid/nessie:1', config: {quarkus.log.level: INFO}}
  history: {kind: history-server, store: files, image: 'registry.invalid/stoke:1'}
";
const HISTORY: &str = "  history: {kind: history-server, store: files, image: 'registry.invalid/stoke:1'}\n";

struct World {
    up: Up,
    work: tempfile::TempDir,
}

impl World {
    fn start(context: &Context) -> Result<Self, Failed> {
        let world = World {
            up: Up::start(context)?,
            work: tempfile::tempdir()?,
        };
        world.file(SMALL)?;
        Ok(world)
    }

    fn file(&self, text: &str) -> Result<(), Failed> {
        Ok(std::fs::write(self.work.path().join("platform.yaml"), text)?)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.up.stoke(&["platform"]);
        command.args(arguments).current_dir(self.work.path());
        command
    }

    fn run(&self, arguments: &[&str], code: i32) -> Result<String, Failed> {
        let output = self.command(arguments).output()?;
        expect_code(&output, code)?;
        Ok(text(&output))
    }
}

fn life(context: &Context) -> Result<(), Failed> {
    let world = World::start(context)?;
    let up = &world.up;
    expect_parts(
        &world.run(&["diff"], 1)?,
        &["+ Namespace small", "+ Deployment lake", "+ NetworkPolicy history"],
    )?;
    expect_parts(
        &world.run(&["apply", "--no-wait"], 0)?,
        &["Namespace small created", "0 changed, 0 removed"],
    )?;
    expect_parts(
        &world.run(&["apply", "--no-wait"], 0)?,
        &["0 created, 0 changed, 0 removed"],
    )?;
    expect_parts(&world.run(&["diff"], 0)?, &["the cluster is as the file says"])?;

    // Changed by others: told, shown with its field, and put right.
    expect_code(
        &up.kubectl(&["scale", "deployment/lake", "-n", "small", "--replicas", "0"])
            .output()?,
        0,
    )?;
    expect_parts(
        &world.run(&["diff"], 1)?,
        &["~ Deployment lake", "spec.replicas: 0 -> 1"],
    )?;
    expect_parts(&world.run(&["status"], 1)?, &["spec.replicas", "1 changed by others"])?;
    expect_parts(
        &world.run(&["apply", "--no-wait"], 0)?,
        &["Deployment lake changed", "0 created, 1 changed, 0 removed"],
    )?;
    let status = world.run(&["status", "--output", "json"], 1)?;
    expect_parts(&status, &["\"drifted\": 0"])?;

    // A label by someone else is theirs.
    expect_code(
        &up.kubectl(&["label", "service/lake", "-n", "small", "team=a"])
            .output()?,
        0,
    )?;
    expect_parts(&world.run(&["diff"], 0)?, &["the cluster is as the file says"])?;

    // What is no longer named goes; what is not the platform's stays.
    expect_code(
        &up.kubectl(&["create", "configmap", "of-others", "-n", "small"])
            .output()?,
        0,
    )?;
    world.file(&SMALL.replace(HISTORY, ""))?;
    expect_parts(
        &world.run(&["diff"], 1)?,
        &["- Deployment history", "- ServiceAccount history"],
    )?;
    expect_parts(&world.run(&["apply", "--no-wait"], 0)?, &["Deployment history removed"])?;
    let left = names(up, "small")?;
    assert!(
        !left
            .iter()
            .any(|name| name.contains("/history") && !name.starts_with("pod/") && !name.starts_with("replicaset")),
        "{left:?}"
    );
    assert!(left.contains(&"configmap/of-others".to_owned()), "{left:?}");

    // A change that does not come to work is undone: its image is not there.
    let broken = SMALL.replace(HISTORY, "").replace(
        "INFO}}\n",
        "DEBUG}}\n  more: {kind: nessie, store: files, image: 'registry.invalid/no-such:1'}\n",
    );
    world.file(&broken)?;
    let told = world.run(&["apply", "--timeout", "3s"], 3)?;
    expect_parts(
        &told,
        &[
            "stoke::platform::not-ready",
            "what was done is undone",
            "Deployment more removed",
        ],
    )?;
    world.file(&SMALL.replace(HISTORY, ""))?;
    expect_parts(&world.run(&["diff"], 0)?, &["the cluster is as the file says"])?;

    // What the API server refuses changes nothing: here a quota that no pod template meets, there an object that is not ours.
    expect_code(
        &up.kubectl(&["create", "configmap", "ours", "-n", "small"]).output()?,
        0,
    )?;
    world.file(&SMALL.replace("  lake: {", "  ours: {"))?;
    let told = world.run(&["apply", "--no-wait"], 2)?;
    expect_parts(&told, &["stoke::platform::foreign", "ConfigMap ours", "--adopt"])?;
    let left = names(up, "small")?;
    assert!(left.contains(&"deployment.apps/lake".to_owned()), "{left:?}");
    expect_code(
        &up.kubectl(&["delete", "configmap", "ours", "of-others", "-n", "small"])
            .output()?,
        0,
    )?;

    world.file(SMALL)?;
    let removed = world.run(&["down"], 0)?;
    expect_parts(&removed, &["Deployment lake removed", "objects removed"])?;
    let gone = up.kubectl(&["get", "namespace", "small"]).output()?;
    expect_parts(&text(&gone), &["NotFound"])?;
    expect_parts(&world.run(&["down"], 0)?, &["0 objects removed"])?;
    volumes(&world)
}

/// What keeps data goes only when that is said.
fn volumes(world: &World) -> Result<(), Failed> {
    let up = &world.up;
    world.file("name: small\nnamespace: small\ncomponents:\n  stream: {kind: kafka, image: 'registry.invalid/kafka:1', storage: {size: 1Gi}}\n")?;
    world.run(&["apply", "--no-wait"], 0)?;
    let is_there = || {
        let all = names(up, "small").unwrap_or_default();
        all.iter().any(|name| name == "persistentvolumeclaim/data-stream-0")
    };
    eventually("the volume is asked for", Duration::from_secs(30), is_there)?;
    let told = world.run(&["down"], 2)?;
    expect_parts(
        &told,
        &[
            "stoke::platform::storage",
            "data-stream-0",
            "nothing was removed",
            "--storage delete",
        ],
    )?;
    assert!(names(up, "small")?.contains(&"statefulset.apps/stream".to_owned()));
    world.run(&["down", "--storage", "keep"], 0)?;
    let left = names(up, "small")?;
    assert!(
        left.iter()
            .all(|name| name.starts_with("persistentvolumeclaim/") || name.starts_with("pod/")),
        "{left:?}"
    );
    assert!(
        left.contains(&"persistentvolumeclaim/data-stream-0".to_owned()),
        "{left:?}"
    );
    world.run(&["down", "--storage", "delete"], 0)?;
    let gone = up.kubectl(&["get", "namespace", "small"]).output()?;
    expect_parts(&text(&gone), &["NotFound"])?;
    Ok(())
}

/// Killed at many points, `apply` is given again and ends where it would have ended.
fn killed(context: &Context) -> Result<(), Failed> {
    let world = World::start(context)?;
    let mut cut_off = 0;
    for pause in [20, 60, 120, 200, 300, 450] {
        let mut child = world
            .command(&["apply", "--no-wait"])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()?;
        std::thread::sleep(Duration::from_millis(pause));
        cut_off += usize::from(child.try_wait()?.is_none());
        child.kill()?;
        child.wait()?;
        world.run(&["apply", "--no-wait"], 0)?;
        expect_parts(&world.run(&["diff"], 0)?, &["the cluster is as the file says"])?;
        world.run(&["down"], 0)?;
        let gone = world.up.kubectl(&["get", "namespace", "small"]).output()?;
        expect_parts(&text(&gone), &["NotFound"])?;
    }
    assert!(cut_off >= 2, "{cut_off} of them were still at work");
    Ok(())
}

/// A real Connect server, waited for until the operator says that it answers.
fn connect(context: &Context) -> Result<(), Failed> {
    let world = World::start(context)?;
    with_definitions(&world.up)?;
    world.file(&format!(
        "name: small\nnamespace: small\nsparks: {{current: {{version: {}}}}}\ncomponents:\n  lab: {{kind: spark-connect, spark: current, server: {{memory: 1g}}, executors: {{max: 1, memory: 1g}}}}\n",
        VERSIONS[0]
    ))?;
    expect_parts(
        &world.run(&["apply", "--timeout", "5m"], 0)?,
        &["SparkConnect lab created"],
    )?;
    let ready = world.run(&["status"], 0)?;
    expect_parts(&ready, &["all ready, as the file says"])?;
    let answer = world
        .up
        .stoke(&["sql", "--server", "lab", "-n", "small", "SELECT 6 * 7 AS answer"])
        .output()?;
    expect_parts(&text(&answer), &["42"])?;
    world.run(&["down"], 0)?;
    let gone = world.up.kubectl(&["get", "namespace", "small"]).output()?;
    expect_parts(&text(&gone), &["NotFound"])?;
    Ok(())
}
