//! `stoke image`: built twice the same, whatever the directory, the time, the umask and the locale; words for what cannot be done. No Spark needed.

use std::path::Path;
use std::process::Command;

use libtest_mimic::{Failed, Trial};

use crate::common::{Context, expect_code, expect_parts, program, stoke, text};

pub fn trials(context: &Context) -> Vec<Trial> {
    vec![
        context.trial("image: two builds have one digest", &[], the_same),
        context.trial("image: what is wrong is said with its place", &[], wrong),
        context.trial("image: a build that is killed leaves nothing half written", &[], killed),
        context.trial(
            "image: built, pushed, copied, listed",
            &[program("docker-registry", "apt-get install docker-registry")],
            moved,
        ),
    ]
}

/// A base of one small layer: an archive of `docker save`, as anyone could make it.
pub fn base(directory: &Path) -> Result<String, Failed> {
    let script = r#"
import hashlib, io, json, sys, tarfile
def tar(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files:
            info = tarfile.TarInfo(name); info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()
layer = tar([("usr/bin/python3.11", b"x"), ("etc/os-release", b"ID=none\n")])
config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Entrypoint": ["/opt/entrypoint.sh"]},
    "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]}}).encode()
manifest = json.dumps([{"Config": "config.json", "RepoTags": ["base:1"], "Layers": ["0/layer.tar"]}]).encode()
open(sys.argv[1], "wb").write(tar([("config.json", config), ("0/layer.tar", layer), ("manifest.json", manifest)]))
"#;
    let path = directory.join("base.tar");
    let output = Command::new("python3").args(["-c", script]).arg(&path).output()?;
    expect_code(&output, 0)?;
    Ok(format!("archive:{}", path.display()))
}

fn job(directory: &Path, name: &str) -> Result<std::path::PathBuf, Failed> {
    let job = directory.join(name);
    std::fs::create_dir_all(job.join("src"))?;
    std::fs::write(job.join("main.py"), "print(1)\n")?;
    std::fs::write(job.join("src/ü.py"), "x = 1\n")?;
    Ok(job)
}

fn the_same(_: &Context) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let base = base(directory.path())?;
    let mut digests = Vec::new();
    for (name, umask, locale, zone) in [
        ("a", "022", "C", "UTC"),
        ("b ä", "077", "de_DE.UTF-8", "Asia/Tokyo"),
        ("c/d", "000", "tr_TR.UTF-8", "America/Lima"),
    ] {
        let job = job(directory.path(), name)?;
        let home = tempfile::tempdir()?;
        let shell = format!(
            "umask {umask}; touch main.py; if [ {umask} = 077 ]; then chmod 600 main.py; fi; exec \"$0\" \"$@\""
        );
        let output = Command::new("bash")
            .args([
                "-c",
                &shell,
                env!("CARGO_BIN_EXE_stoke"),
                "image",
                "build",
                ".",
                "--base",
                &base,
                "--tag",
                "job:v1",
                "-o",
                "json",
            ])
            .current_dir(&job)
            .env("STOKE_HOME", home.path())
            .env("LC_ALL", locale)
            .env("TZ", zone)
            .output()?;
        expect_code(&output, 0)?;
        let built: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        digests.push(built["digest"].as_str().unwrap_or_default().to_owned());
        let output = stoke(home.path(), ["image", "list"]).output()?;
        expect_code(&output, 0)?;
        expect_parts(&text(&output), &["job:v1"])?;
        let output = stoke(home.path(), ["image", "inspect", "local:job:v1"]).output()?;
        expect_code(&output, 0)?;
        expect_parts(
            &text(&output),
            &[&digests[0], "linux/amd64", "/opt/entrypoint.sh", "185"],
        )?;
    }
    assert!(
        digests
            .iter()
            .all(|digest| *digest == digests[0] && digest.starts_with("sha256:")),
        "{digests:?}"
    );
    Ok(())
}

fn wrong(_: &Context) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let home = tempfile::tempdir()?;
    let job = job(directory.path(), "job")?;
    let run = |arguments: &[&str]| {
        stoke(home.path(), ["image"].iter().chain(arguments))
            .current_dir(&job)
            .output()
    };
    std::fs::write(job.join("Containerfile"), "FROM x\nRUN apt-get update\nCOPPY a b\n")?;
    std::fs::write(job.join("bad.yaml"), "base: x\nrequirement: y\n")?;
    for (arguments, code, parts) in [
        (&["build"][..], 2, &["stoke::build::spec", "--base"][..]),
        (
            &["build", "-f", "Containerfile"],
            2,
            &["Containerfile:2", "RUN needs a container", "Containerfile:3", "COPPY"],
        ),
        (
            &["build", "-f", "bad.yaml"],
            2,
            &["bad.yaml:2", "requirement", "did you mean `requirements`?"],
        ),
        (
            &["build", "--base", "oci:nowhere"],
            3,
            &["stoke::oci::not-found", "nowhere"],
        ),
        (
            &["build", "--base", "x", "--platform", "amd64"],
            2,
            &["stoke::oci::reference", "linux/amd64"],
        ),
        (
            &["build", "--base", "x", "--push", "oci:y"],
            2,
            &["--push oci:y", "--to"],
        ),
        (
            &["inspect", "127.0.0.1:1/none"],
            3,
            &["stoke::oci::unavailable", "127.0.0.1:1"],
        ),
        (&["inspect", "archive:none.tar"], 3, &["none.tar"]),
        (&["push", "local:x", "oci:y"], 2, &["is not at a registry"]),
        (&["prune", "--keep", "x"], 2, &["--keep x"]),
    ] {
        let output = run(arguments)?;
        expect_code(&output, code)
            .map_err(|error| format!("{arguments:?}: {}", error.message().unwrap_or_default()))?;
        expect_parts(&text(&output), parts)?;
    }
    let output = run(&["build", "--schema"])?;
    expect_code(&output, 0)?;
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(schema["required"], serde_json::json!(["base"]));
    let output = run(&["build", "-f", "bad.yaml", "-o", "json"])?;
    let refused: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(
        (refused["error"]["code"].as_str(), refused["error"]["line"].as_u64()),
        (Some("unknown-field"), Some(2))
    );
    Ok(())
}

fn killed(_: &Context) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let home = tempfile::tempdir()?;
    let base = base(directory.path())?;
    let job = job(directory.path(), "job")?;
    std::fs::write(job.join("src/large.bin"), vec![7; 48 << 20])?;
    let out = directory.path().join("out");
    let place = format!("oci:{}:v1", out.display());
    let build = || stoke(home.path(), ["image", "build", ".", "--base", &base, "--to", &place]);
    for milliseconds in [20, 60, 120, 250] {
        let mut child = build()
            .current_dir(&job)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()?;
        std::thread::sleep(std::time::Duration::from_millis(milliseconds));
        child.kill()?;
        child.wait()?;
    }
    expect_code(&build().current_dir(&job).output()?, 0)?;
    // Every blob is what its name says.
    for entry in std::fs::read_dir(out.join("blobs/sha256"))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        let output = Command::new("sha256sum").arg(&path).output()?;
        expect_parts(&String::from_utf8_lossy(&output.stdout), &[&name])?;
    }
    expect_code(&stoke(home.path(), ["image", "inspect", &place]).output()?, 0)
}

fn moved(_: &Context) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let home = tempfile::tempdir()?;
    let base = base(directory.path())?;
    let job = job(directory.path(), "job")?;
    let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
    let config = directory.path().join("config.yml");
    let data = directory.path().join("data");
    std::fs::write(
        &config,
        format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {address}\n",
            data.display()
        ),
    )?;
    let mut registry = Command::new("docker-registry")
        .arg("serve")
        .arg(&config)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()?;
    let result = crate::common::eventually("the registry answers", std::time::Duration::from_secs(60), || {
        std::net::TcpStream::connect(&address).is_ok()
    })
    .and_then(|()| move_about(home.path(), &job, &base, &address));
    registry.kill()?;
    registry.wait()?;
    result
}

fn move_about(home: &Path, job: &Path, base: &str, address: &str) -> Result<(), Failed> {
    let image = format!("{address}/team/job:v1");
    let run = |arguments: &[&str]| -> Result<serde_json::Value, Failed> {
        let output = stoke(home, ["image"].iter().chain(arguments).chain(&["-o", "json"]))
            .current_dir(job)
            .output()?;
        expect_code(&output, 0)?;
        Ok(serde_json::from_slice(&output.stdout)?)
    };
    let first = run(&["build", ".", "--base", base, "--push", &image])?;
    std::fs::write(job.join("main.py"), "print(2)\n")?;
    let begun = std::time::Instant::now();
    let second = run(&["build", ".", "--base", base, "--push", &image])?;
    eprintln!(
        "a changed line: {} bytes sent, {:?}",
        second["written"][0]["bytes"],
        begun.elapsed()
    );
    assert!(
        second["written"][0]["bytes"]
            .as_u64()
            .is_some_and(|bytes| bytes > 0 && bytes < 100_000),
        "{second}"
    );
    assert_ne!(first["digest"], second["digest"]);
    let copied = run(&["copy", &image, &format!("{address}/other/job:v1")])?;
    assert_eq!(
        (&copied["digest"], &copied["sent"]),
        (&second["digest"], &serde_json::json!(0)),
        "{copied}"
    );
    let pulled = run(&["pull", &image])?;
    assert_eq!(pulled["digest"], second["digest"]);
    assert_eq!(
        run(&["list"])?,
        serde_json::json!([{"name": format!("local:{image}"), "digest": second["digest"], "unpacked": []}])
    );
    assert_eq!(
        run(&["list", &format!("{address}/team/job")])?,
        serde_json::json!(["v1"])
    );
    let pushed = run(&["push", &format!("local:{image}"), &format!("{address}/third:v2")])?;
    assert_eq!(pushed["digest"], second["digest"]);
    let by_digest = format!("{address}/third@{}", second["digest"].as_str().unwrap_or_default());
    assert_eq!(run(&["inspect", &by_digest])?["config"]["config"]["User"], "185");
    assert_eq!(run(&["prune", "--all"])?["fetched"]["kept"], 0);
    assert_eq!(
        run(&["inspect", &format!("local:{image}")])?["digest"],
        second["digest"]
    );
    Ok(())
}
