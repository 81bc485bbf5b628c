//! `scripts/package` with the binary under test: what it makes is installed, run, pulled, rendered and verified, and is the same the second time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use serde_json::json;

use crate::common::{Context, eventually, expect_code, expect_parts, full, program, repository, stoke, text};
use crate::pod_images::{pod, printed};
use crate::up::Up;

const VERSION: &str = env!("CARGO_PKG_VERSION");

pub fn trials(context: &Context) -> Vec<Trial> {
    let needs = [
        full(),
        program("kubectl", "see the Kubernetes documentation, `Install kubectl`"),
        program("readelf", "apt-get install binutils"),
        program("dpkg-deb", "apt-get install dpkg"),
        program("docker-registry", "apt-get install docker-registry"),
    ];
    vec![context.trial("package: every file of a release is used", &needs, made)]
}

struct Work {
    home: tempfile::TempDir,
    directory: tempfile::TempDir,
}

impl Work {
    fn path(&self, below: &str) -> PathBuf {
        self.directory.path().join(below)
    }

    /// Makes a release; gives the SHA-256 of its files.
    fn package(&self, out: &str, more: &[&str]) -> Result<BTreeMap<String, String>, Failed> {
        let output = Command::new(repository().join("scripts/package"))
            .arg(self.path(out))
            .args(["--binary", env!("CARGO_BIN_EXE_stoke")])
            .arg("--key")
            .arg(self.path("stoke.key"))
            .args(more)
            .env("COSIGN_PASSWORD", "secret")
            // Else the time of the commit, which may come in between.
            .env("SOURCE_DATE_EPOCH", "1767225600")
            .output()?;
        expect_code(&output, 0)?;
        let sums = std::fs::read_to_string(self.path(out).join("SHA256SUMS"))?;
        let lines = sums.lines().filter_map(|line| line.split_once("  "));
        Ok(lines.map(|(sum, name)| (name.to_owned(), sum.to_owned())).collect())
    }

    /// The one file that ends so.
    fn file(&self, end: &str) -> Result<String, Failed> {
        let mut all = std::fs::read_dir(self.path("out"))?.flatten().map(|entry| entry.path());
        let found = all.find(|path| path.to_string_lossy().ends_with(end));
        found
            .map(|path| path.display().to_string())
            .ok_or_else(|| format!("there is no {end}").into())
    }

    fn stoke(&self, arguments: &[&str]) -> Result<String, Failed> {
        let output = stoke(self.home.path(), arguments)
            .current_dir(self.directory.path())
            .output()?;
        expect_code(&output, 0).map_err(|failed| format!("{arguments:?}: {}", failed.message().unwrap_or_default()))?;
        Ok(text(&output))
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<String, Failed> {
        let output = Command::new(program)
            .args(arguments)
            .current_dir(self.directory.path())
            .env("STOKE_HOME", self.home.path())
            .output()?;
        expect_code(&output, 0)
            .map_err(|failed| format!("{program} {arguments:?}: {}", failed.message().unwrap_or_default()))?;
        Ok(text(&output))
    }
}

fn made(context: &Context) -> Result<(), Failed> {
    let work = Work {
        home: context.private_home(),
        directory: tempfile::tempdir()?,
    };
    let key = stoke(work.home.path(), ["keygen", "stoke"])
        .current_dir(work.directory.path())
        .env("COSIGN_PASSWORD", "secret")
        .output()?;
    expect_code(&key, 0)?;
    let registry = Registry::start()?;
    let sums = work.package("out", &["--push", &format!("{}/team", registry.address)])?;
    assert_eq!(sums.len(), 7, "{sums:?}");
    assert_eq!(sums, work.package("again", &[])?, "the same binary made other files");
    std::fs::remove_dir_all(work.path("again"))?;

    // Checksums and signatures, also of the image and the chart, here and where they were pushed.
    work.run("sh", &["-c", "cd out && sha256sum --check --quiet SHA256SUMS"])?;
    work.stoke(&[
        "verify",
        "out/SHA256SUMS",
        "--bundle",
        "out/SHA256SUMS.bundle",
        "--key",
        "stoke.pub",
    ])?;
    let pushed = |name: &str| format!("{}/team/{name}:{VERSION}", registry.address);
    for place in [
        format!("oci:out/image:{VERSION}"),
        format!("oci:out/chart:{VERSION}"),
        pushed("stoke"),
        pushed("charts/spark-operator"),
    ] {
        work.stoke(&["verify", &place, "--key", "stoke.pub"])?;
    }

    wheel(&work)?;
    debian(&work)?;
    bills(&work)?;
    chart(&work, &pushed("charts/spark-operator"))?;
    image(&work, context)
}

/// In an environment of its own, with nothing but the wheel.
fn wheel(work: &Work) -> Result<(), Failed> {
    work.run("python3", &["-m", "venv", "venv"])?;
    let python = work.path("venv/bin/python").display().to_string();
    work.run(
        &python,
        &[
            "-m",
            "pip",
            "install",
            "-q",
            "--no-index",
            "--no-deps",
            &work.file(".whl")?,
        ],
    )?;
    let says = work.run("sh", &["-c", ". venv/bin/activate && stoke --version"])?;
    assert_eq!(says, format!("stoke {VERSION}\n"));
    // What a module finds on its PATH does more than say its version.
    let example = repository().join("examples/pi.yaml").display().to_string();
    work.run(
        &work.path("venv/bin/stoke").display().to_string(),
        &["check", &example, "--gate", "manifest,conf"],
    )?;
    work.run(&python, &["-m", "pip", "uninstall", "-q", "-y", "stoke-spark"])?;
    assert!(!work.path("venv/bin/stoke").exists());
    Ok(())
}

/// Into a root of its own, as dpkg does it; its libraries are those of this machine.
fn debian(work: &Work) -> Result<(), Failed> {
    for directory in ["info", "updates", "triggers"] {
        std::fs::create_dir_all(work.path("root/var/lib/dpkg").join(directory))?;
    }
    std::fs::write(work.path("root/var/lib/dpkg/status"), "")?;
    let root = format!("--root={}", work.path("root").display());
    let deb = work.file(".deb")?;
    work.run("dpkg", &[&root, "--ignore-depends=libc6,libgcc-s1", "--install", &deb])?;
    let says = work.run(&work.path("root/usr/bin/stoke").display().to_string(), &["--version"])?;
    assert_eq!(says, format!("stoke {VERSION}\n"));
    assert_eq!(work.run("dpkg", &[&root, "--verify", "stoke"])?, "");
    // It says which C library it needs, and this machine's dpkg knows packages of that name.
    let depends = work.run("dpkg-deb", &["--field", &deb, "Depends"])?;
    expect_parts(&depends, &["libc6 (>= 2."])?;
    work.run("dpkg", &[&root, "--purge", "stoke"])?;
    assert!(!work.path("root/usr/bin/stoke").exists());
    Ok(())
}

/// CycloneDX' own validator takes both, and they name what is there.
fn bills(work: &Work) -> Result<(), Failed> {
    let python = stoke_testkit::python::environment("cyclonedx", &["cyclonedx-python-lib[json-validation]==11.12.0"])?;
    let script = "import sys\nfrom cyclonedx.schema import SchemaVersion\nfrom cyclonedx.validation.json import JsonStrictValidator\n\
                  wrong = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read())\nsys.exit(str(wrong) if wrong else 0)";
    for (end, package) in [
        ("-linux-gnu.cdx.json", "pkg:cargo/tokio@"),
        ("-image.cdx.json", "pkg:deb/debian/libc6@"),
    ] {
        let file = work.file(end)?;
        work.run(&python.display().to_string(), &["-c", script, &file])?;
        expect_parts(&std::fs::read_to_string(&file)?, &[package])?;
    }
    Ok(())
}

/// Pulled by us and, where it is there, by helm; both times the files of the repository.
fn chart(work: &Work, pushed: &str) -> Result<(), Failed> {
    let unpacked = |archive: &Path, name: &str| -> Result<(), Failed> {
        std::fs::create_dir(work.path(name))?;
        let archive = archive.display().to_string();
        work.run("tar", &["-C", name, "-xzf", &archive])?;
        let ours = repository().join("deploy/chart").display().to_string();
        let theirs = work.path(name).join("spark-operator").display().to_string();
        work.run("diff", &["-r", &ours, &theirs]).map(drop)
    };
    unpacked(Path::new(&work.file(".tgz")?), "chart-of-file")?;
    work.stoke(&["image", "copy", pushed, "oci:pulled:1"])?;
    let index: serde_json::Value = serde_json::from_slice(&std::fs::read(work.path("pulled/index.json"))?)?;
    let blob = |digest: &serde_json::Value| {
        let digest = digest.as_str().unwrap_or_default().replace(':', "/");
        work.path("pulled/blobs").join(digest)
    };
    let manifest: serde_json::Value = serde_json::from_slice(&std::fs::read(blob(&index["manifests"][0]["digest"]))?)?;
    assert_eq!(
        manifest["config"]["mediaType"],
        "application/vnd.cncf.helm.config.v1+json"
    );
    unpacked(&blob(&manifest["layers"][0]["digest"]), "chart-of-registry")?;
    let made = stoke_testkit::target_directory()
        .join("tmp/helm/helm")
        .display()
        .to_string();
    let helm = match stoke_testkit::program("helm", "") {
        Ok(()) => "helm".to_owned(),
        Err(_) if Path::new(&made).exists() => made,
        Err(_) => return Ok(()),
    };
    let (url, _) = pushed.rsplit_once(':').unwrap_or((pushed, ""));
    let url = format!("oci://{url}");
    work.run(&helm, &["pull", &url, "--version", VERSION, "--plain-http"])?;
    let rendered = work.run(&helm, &["template", "x", &format!("spark-operator-{VERSION}.tgz")])?;
    expect_parts(&rendered, &["kind: Deployment", "kind: ClusterRole"])
}

/// The image as a pod: the binary says its version, as a user without a name, with a root that cannot be written.
fn image(work: &Work, context: &Context) -> Result<(), Failed> {
    let up = Up::start(context)?;
    let place = format!("archive:{}", work.file("-image.tar")?);
    let check = repository().join("scripts/operator-image").display().to_string();
    work.run(&check, &["--check", &work.file("-image.tar")?])?;
    let security = json!({"runAsUser": 123_456, "readOnlyRootFilesystem": true, "allowPrivilegeEscalation": false});
    pod(
        &up,
        "version",
        &place,
        json!({"args": ["--version"], "securityContext": security}),
        json!({}),
    )?;
    assert_eq!(printed(&up, "version")?, format!("stoke {VERSION}\n"));
    pod(
        &up,
        "operator",
        &place,
        json!({"args": ["operator", "run", "--help"]}),
        json!({"securityContext": {"runAsNonRoot": true}}),
    )?;
    expect_parts(&printed(&up, "operator")?, &["stoke operator run"])?;
    up.down()
}

/// A registry of its own.
struct Registry {
    child: std::process::Child,
    address: String,
    _directory: tempfile::TempDir,
}

impl Registry {
    fn start() -> Result<Self, Failed> {
        let directory = tempfile::tempdir()?;
        let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let root = directory.path().display();
        let config = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {root}/data\nhttp:\n  addr: {address}\n"
        );
        std::fs::write(directory.path().join("config.yml"), config)?;
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(directory.path().join("config.yml"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        eventually("the registry listens", Duration::from_secs(20), || {
            std::net::TcpStream::connect(&address).is_ok()
        })?;
        Ok(Registry {
            child,
            address,
            _directory: directory,
        })
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
