//! Releases: their way through environments with real git, killed at many points.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::common::{Context, expect_code, expect_parts, full, program, repository, stoke, text};
use crate::pod_images::Registry;

pub fn trials(context: &Context) -> Vec<Trial> {
    let git = || program("git", "apt-get install git");
    vec![
        context.trial(
            "release: killed at many points, nothing is lost or doubled",
            &[git()],
            killed,
        ),
        context.trial("release: a ledger that was altered is refused", &[git()], altered),
        context.trial("release: gates and tags refuse", &[git()], refused),
        context.trial(
            "release: a registry keeps releases, and their ledger is elsewhere",
            &[git(), program("docker-registry", "apt-get install docker-registry")],
            registry,
        ),
        context.trial(
            "release: events are valid by the official schemas",
            &[full(), git(), program("go", "see https://go.dev/doc/install")],
            events,
        ),
        context.trial("release: environments are valid by their schema", &[full()], schema),
    ]
}

struct World {
    home: tempfile::TempDir,
    work: tempfile::TempDir,
    /// Where releases are, and their ledger when that is elsewhere.
    places: Vec<(&'static str, String)>,
}

const DIGEST: &str = "sha256:5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9";

impl World {
    fn new(context: &Context) -> Result<Self, Failed> {
        let work = tempfile::tempdir()?;
        let world = World {
            home: context.private_home(),
            places: vec![("STOKE_RELEASES", work.path().join("releases").display().to_string())],
            work,
        };
        std::fs::create_dir(world.path("job"))?;
        world.job(1)?;
        let bare = world.path("deploy.git");
        let made = Command::new("git")
            .args(["init", "-q", "--bare", "-b", "main"])
            .arg(&bare)
            .output()?;
        expect_code(&made, 0)?;
        let environments = format!(
            "environments:\n- name: dev\n  namespace: dev\n  automatic: true\n  git: {{repository: {}, path: apps/dev}}\n",
            bare.display()
        );
        std::fs::write(world.path("job/environments.yaml"), environments)?;
        Ok(world)
    }

    fn path(&self, below: &str) -> PathBuf {
        self.work.path().join(below)
    }

    fn job(&self, instances: u32) -> Result<(), Failed> {
        let text = std::fs::read_to_string(repository().join("examples/pi.yaml"))?;
        let text = text
            .replace("image: apache/spark:4.1.4", &format!("image: apache/spark@{DIGEST}"))
            .replace("instances: 1", &format!("instances: {instances}"));
        Ok(std::fs::write(self.path("job/app.yaml"), text)?)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = stoke(self.home.path(), arguments);
        command.current_dir(self.path("job")).envs(self.places.iter().cloned());
        command
    }

    fn stoke(&self, arguments: &[&str]) -> Result<Output, Failed> {
        Ok(self.command(arguments).output()?)
    }

    fn create(&self, instances: u32) -> Result<String, Failed> {
        self.job(instances)?;
        let output = self.stoke(&["release", "create", ".", "--gate", "manifest,conf", "--output", "json"])?;
        expect_code(&output, 0)?;
        let answer: Value = serde_json::from_slice(&output.stdout)?;
        Ok(answer["digest"].as_str().unwrap_or_default().to_owned())
    }

    fn entries(&self) -> Result<Vec<Value>, Failed> {
        let output = self.stoke(&["release", "history", "--output", "json"])?;
        expect_code(&output, 0)?;
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    fn commits(&self) -> Result<usize, Failed> {
        let output = Command::new("git")
            .arg("--git-dir")
            .arg(self.path("deploy.git"))
            .args(["rev-list", "--count", "main"])
            .output()?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().parse().unwrap_or(0))
    }
}

fn killed(context: &Context) -> Result<(), Failed> {
    let world = World::new(context)?;
    let mut cut_off = 0;
    for round in 0..12u32 {
        let release = world.create(round + 2)?;
        let again = world.create(round + 2)?;
        if again != release {
            return Err("the same files made another release".into());
        }
        let before = world.commits()?;
        let arguments = ["release", "promote", &release, "--to", "dev"];
        let mut child = world
            .command(&arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        std::thread::sleep(Duration::from_millis(u64::from(round) * 15));
        child.kill()?;
        if !child.wait()?.success() {
            cut_off += 1;
        }
        expect_code(&world.stoke(&arguments)?, 0)?;
        let count = |event: &str| -> Result<usize, Failed> {
            let entries = world.entries()?;
            Ok(entries
                .iter()
                .filter(|entry| entry["event"] == event && entry["release"] == release.as_str())
                .count())
        };
        let seen = (
            count("created")?,
            count("intended")?,
            count("deployed")?,
            world.commits()? - before,
        );
        if seen != (1, 1, 1, 1) {
            return Err(format!("round {round}: created, intended, deployed, commits: {seen:?}").into());
        }
    }
    if cut_off < 3 {
        return Err(format!("only {cut_off} of 12 were cut off").into());
    }
    expect_code(&world.stoke(&["release", "drift"])?, 0)?;
    // Back, and back again: each time one commit, and the tree is that of the release.
    for _ in 0..2 {
        let before = world.commits()?;
        expect_code(&world.stoke(&["release", "rollback", "--in", "dev"])?, 0)?;
        expect_code(&world.stoke(&["release", "drift"])?, 0)?;
        if world.commits()? != before + 1 {
            return Err("a rollback is not one commit".into());
        }
    }
    let tree = Command::new("git")
        .arg("--git-dir")
        .arg(world.path("deploy.git"))
        .args(["show", "main:apps/dev/sparkapplication-pi.yaml"])
        .output()?;
    expect_parts(
        &text(&tree),
        &["instances: 11", DIGEST, "namespace: dev", "stoke.dev/release"],
    )
}

fn altered(context: &Context) -> Result<(), Failed> {
    let world = World::new(context)?;
    let release = world.create(1)?;
    expect_code(&world.stoke(&["release", "promote", &release, "--to", "dev"])?, 0)?;
    expect_code(&world.stoke(&["release", "verify"])?, 0)?;
    let ledger = world.path("releases/ledger");
    let mut names: Vec<PathBuf> = std::fs::read_dir(&ledger)?
        .flatten()
        .map(|entry| entry.path())
        .collect();
    names.sort();
    let last = names.last().ok_or("no entries")?.clone();
    let kept = std::fs::read(&last)?;
    std::fs::remove_file(&last)?;
    let output = world.stoke(&["release", "promote", &release, "--to", "dev"])?;
    expect_code(&output, 3)?;
    expect_parts(&text(&output), &["release-ledger-broken", "its end was cut off"])?;
    std::fs::write(&last, kept)?;
    expect_code(&world.stoke(&["release", "verify"])?, 0)?;
    let blob = world
        .path("releases/blobs/sha256")
        .join(release.trim_start_matches("sha256:"));
    let bytes = std::fs::read(&blob)?;
    std::fs::write(&blob, String::from_utf8_lossy(&bytes).replace("\"pi\"", "\"pj\""))?;
    let output = world.stoke(&["release", "verify"])?;
    expect_code(&output, 3)?;
    expect_parts(&text(&output), &["release-altered"])
}

fn refused(context: &Context) -> Result<(), Failed> {
    let world = World::new(context)?;
    let manifest = world.path("job/app.yaml");
    let good = std::fs::read_to_string(&manifest)?;
    std::fs::write(&manifest, good.replace(&format!("@{DIGEST}"), ":4.1.4"))?;
    let create = ["release", "create", ".", "--gate", "manifest,conf", "--no-resolve"];
    let output = world.stoke(&create)?;
    expect_code(&output, 2)?;
    expect_parts(
        &text(&output),
        &["release-unpinned", "--pin apache/spark:4.1.4=sha256:"],
    )?;
    std::fs::write(&manifest, good.replace("cores: 2", "cors: 2"))?;
    let output = world.stoke(&create)?;
    expect_code(&output, 1)?;
    expect_parts(&text(&output), &["stoke::release::gates", "unknown-field"])?;
    expect_parts(&format!("{} entries", world.entries()?.len()), &["0 entries"])?;
    std::fs::write(&manifest, &good)?;
    let release = world.create(1)?;
    let output = world.stoke(&["release", "promote", &release, "--to", "prdo"])?;
    expect_code(&output, 2)?;
    expect_parts(
        &text(&output),
        &["stoke::release::environments", "there is no environment `prdo`"],
    )
}

fn registry(context: &Context) -> Result<(), Failed> {
    let server = Registry::start(false)?;
    let mut world = World::new(context)?;
    let repository = format!("{}/team/releases", server.address);
    world.places = vec![
        ("STOKE_RELEASES", format!("oci://{repository}")),
        ("STOKE_LEDGER", String::new()),
    ];
    // Nothing is begun without a ledger that no one can overwrite.
    let create = ["release", "create", ".", "--gate", "manifest,conf"];
    for more in [&[][..], &["--ledger", "oci://registry.example/ledger"]] {
        let output = world.stoke(&[&create[..], more].concat())?;
        expect_code(&output, 2)?;
        expect_parts(&text(&output), &["release-ledger-place", "--ledger PLACE"])?;
    }
    world.places[1].1 = world.path("ledger").display().to_string();
    let first = world.create(1)?;
    assert_eq!(world.create(1)?, first);
    let second = world.create(2)?;
    for release in [&first, &second] {
        expect_code(&world.stoke(&["release", "promote", release, "--to", "dev"])?, 0)?;
    }
    let evidence = world.path("job/compared.json");
    std::fs::write(&evidence, "{}")?;
    let record = ["release", "record", &second, "--gate", "canary", "--verdict", "pass"];
    expect_code(
        &world.stoke(&[&record[..], &["--evidence", "compared.json"]].concat())?,
        0,
    )?;
    std::fs::remove_file(&evidence)?;
    // Another machine, which has nothing yet.
    world.home = context.private_home();
    expect_code(&world.stoke(&["release", "rollback", "--in", "dev"])?, 0)?;
    expect_code(&world.stoke(&["release", "drift"])?, 0)?;
    let output = world.stoke(&["release", "verify"])?;
    expect_code(&output, 0)?;
    expect_parts(&text(&output), &["2 releases with 4 files verified"])?;
    expect_parts(
        &text(&world.stoke(&["release", "diff", &first, &second])?),
        &["spec.executor.instances: 1 -> 2"],
    )?;
    // Signed and verified as an image is.
    let name = format!("{repository}:release-{}", first.trim_start_matches("sha256:"));
    for arguments in [
        &["keygen", "me"][..],
        &["sign", &name, "--key", "me.key"],
        &["verify", &name, "--key", "me.pub"],
    ] {
        let mut command = world.command(arguments);
        expect_code(
            &command
                .current_dir(world.work.path())
                .env("COSIGN_PASSWORD", "secret")
                .output()?,
            0,
        )?;
    }
    // Several at once: the registry has all, the ledger loses none.
    let children: Result<Vec<_>, Failed> = (3..7)
        .map(|instances| {
            let directory = world.path(&format!("job{instances}"));
            std::fs::create_dir(&directory)?;
            let manifest = std::fs::read_to_string(world.path("job/app.yaml"))?;
            let manifest = manifest.replace("instances: 2", &format!("instances: {instances}"));
            std::fs::write(directory.join("app.yaml"), manifest)?;
            let mut command = world.command(&create);
            command
                .current_dir(directory)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            Ok(command.spawn()?)
        })
        .collect();
    for child in children? {
        expect_code(&child.wait_with_output()?, 0)?;
    }
    let listed = world.stoke(&["release", "list", "--output", "json"])?;
    expect_code(&listed, 0)?;
    let all: Value = serde_json::from_slice(&listed.stdout)?;
    assert_eq!(all.as_array().map(Vec::len), Some(6), "{all}");
    assert_eq!(String::from_utf8_lossy(&listed.stderr), "");
    // What the registry has and the ledger has not, and the other way.
    let before = world.places[1].1.clone();
    world.places[1].1 = world.path("another-ledger").display().to_string();
    let output = world.stoke(&["release", "list"])?;
    expect_code(&output, 0)?;
    expect_parts(&text(&output), &["release-unrecorded", &first])?;
    world.places[1].1 = before;
    let tags = server
        .directory
        .path()
        .join("data/docker/registry/v2/repositories/team/releases/_manifests/tags");
    std::fs::remove_dir_all(tags.join(format!("release-{}", first.trim_start_matches("sha256:"))))?;
    let output = world.stoke(&["release", "list"])?;
    expect_parts(&text(&output), &["release-missing", &first])?;
    let output = world.stoke(&["release", "verify"])?;
    expect_code(&output, 3)?;
    expect_parts(&text(&output), &["release-missing", &first])?;
    assert_eq!(world.create(1)?, first);
    expect_code(&world.stoke(&["release", "verify"])?, 0)?;
    // The registry is gone: nothing is done, and the ledger says nothing of it.
    let entries = world.entries()?.len();
    drop(server);
    world.job(9)?;
    let output = world.stoke(&create)?;
    expect_code(&output, 3)?;
    expect_parts(&text(&output), &["stoke::oci::unavailable"])?;
    let last = all[5]["digest"].as_str().unwrap_or_default();
    let output = world.stoke(&["release", "promote", last, "--to", "dev"])?;
    expect_code(&output, 3)?;
    expect_parts(&text(&output), &["stoke::oci::unavailable"])?;
    assert_eq!(world.entries()?.len(), entries);
    Ok(())
}

/// The Go SDK of CDEvents carries the schemas.
const SDK: &str = "github.com/cdevents/sdk-go@v0.5.0";

fn events(context: &Context) -> Result<(), Failed> {
    let world = World::new(context)?;
    for instances in [1, 2] {
        let release = world.create(instances)?;
        expect_code(&world.stoke(&["release", "promote", &release, "--to", "dev"])?, 0)?;
    }
    expect_code(&world.stoke(&["release", "rollback", "--in", "dev"])?, 0)?;
    let module = tempfile::tempdir()?;
    std::fs::write(module.path().join("go.mod"), "module schemas\n")?;
    let download = Command::new("go")
        .args(["mod", "download", "-json", SDK])
        .current_dir(module.path())
        .output()?;
    expect_code(&download, 0)?;
    let download: Value = serde_json::from_slice(&download.stdout)?;
    let schemas = PathBuf::from(download["Dir"].as_str().unwrap_or_default()).join("pkg/api/schemas.go");
    let python = stoke_testkit::python::environment("schemas", &["check-jsonschema==0.39.0"])?;
    let printed = world.stoke(&["release", "events"])?;
    expect_code(&printed, 0)?;
    let lines = world.path("events.jsonl");
    std::fs::write(&lines, &printed.stdout)?;
    let script = repository().join("crates/stoke/tests/e2e/cdevents.py");
    let checked = Command::new(python)
        .arg(script)
        .arg(schemas)
        .stdin(std::fs::File::open(&lines)?)
        .output()?;
    expect_code(&checked, 0)?;
    // Two creations, one gate each (there is no configuration for the other), three steps.
    expect_parts(&text(&checked), &["7 events are valid"])
}

fn schema(context: &Context) -> Result<(), Failed> {
    let world = World::new(context)?;
    let python = stoke_testkit::python::environment("schemas", &["check-jsonschema==0.39.0"])?;
    let schema = world.path("environments.schema.json");
    std::fs::write(&schema, world.stoke(&["release", "schema"])?.stdout)?;
    let check = |path: &PathBuf| {
        let mut command = Command::new(&python);
        command
            .args(["-m", "check_jsonschema", "--schemafile"])
            .arg(&schema)
            .arg(path);
        command.output()
    };
    let path = world.path("job/environments.yaml");
    expect_code(&check(&path)?, 0)?;
    let text = std::fs::read_to_string(&path)?;
    std::fs::write(&path, text.replace("automatic", "automatik"))?;
    expect_code(&check(&path)?, 1)
}
