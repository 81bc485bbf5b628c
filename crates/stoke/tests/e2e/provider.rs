//! Signing in to the console with a real OpenID Connect provider (`oidc-provider-mock`, of the Python package index), in a real browser. The embedded
//! API server takes no tokens of providers: before it stands what does with them as one does that is configured for it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use crate::common::{Context, eventually, expect_code, free_port, full, program, reached, repository, stoke, text};
use crate::connect::python_with;
use crate::live_pages::address_of;
use crate::up::Up;

const PROVIDER: [&str; 1] = ["oidc-provider-mock==0.3.4"];

pub fn trials(context: &Context) -> Vec<Trial> {
    let needs = [
        program("chromium", "apt-get install chromium"),
        program("node", "apt-get install nodejs"),
        program("kubectl", "see the Kubernetes documentation, `Install kubectl`"),
        reached("pypi.org:443"),
        full(),
    ];
    vec![context.trial(
        "pages: a visitor signs in with a real identity provider",
        &needs,
        sign_in,
    )]
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a process, and gives the first line it prints.
fn start(command: &mut Command) -> Result<(Running, String), Failed> {
    let mut running = Running(command.stdout(Stdio::piped()).spawn()?);
    let out = running.0.stdout.take().ok_or("no output")?;
    let line = BufReader::new(out).lines().next().ok_or("it says nothing")??;
    Ok((running, line))
}

fn sign_in(context: &Context) -> Result<(), Failed> {
    let python = python_with(context.home(), "oidc-provider", &PROVIDER)?;
    let up = Up::start_with(context, &["--no-operator"])?;
    let pi = repository().join("examples/pi.yaml").display().to_string();
    for arguments in [
        &[
            "create",
            "role",
            "ann",
            "--verb=get,list,watch",
            "--resource=sparkapplications.sparkoperator.k8s.io",
        ][..],
        &["create", "rolebinding", "ann", "--role=ann", "--user=oidc:ann"],
        &["apply", "-f", &pi],
    ] {
        expect_code(&up.kubectl(arguments).output()?, 0)?;
    }
    let issuer = format!("http://127.0.0.1:{}", free_port()?);
    let port = issuer.rsplit(':').next().unwrap_or_default();
    let provider = Command::new(python.with_file_name("oidc-provider-mock"))
        .args(["--port", port, "--token-max-age", "20", "--require-nonce", "true"])
        .stderr(Stdio::null())
        .spawn()?;
    let _provider = Running(provider);
    eventually("the provider answers", Duration::from_secs(20), || {
        let asked = Command::new("curl")
            .args(["-sf", &format!("{issuer}/.well-known/openid-configuration")])
            .output();
        asked.is_ok_and(|output| output.status.success())
    })?;
    let (proxy, line) = start(&mut up.kubectl(&["proxy", "--port=0", "--reject-methods=^$", "--reject-paths=^$"]))?;
    let behind = line.rsplit(' ').next().unwrap_or_default().to_owned();
    let front = repository().join("crates/stoke/tests/e2e/front.py");
    let (front, port) =
        start(
            Command::new(&python)
                .arg(front)
                .args([issuer.as_str(), "spark", &format!("http://{behind}")]),
        )?;
    let kubeconfig = json!({"apiVersion": "v1", "kind": "Config", "current-context": "front",
        "clusters": [{"name": "front", "cluster": {"server": format!("http://127.0.0.1:{port}")}}],
        "contexts": [{"name": "front", "context": {"cluster": "front", "user": "nobody"}}], "users": [{"name": "nobody", "user": {}}]});
    let file = up.home.path().join("front.json");
    std::fs::write(&file, kubeconfig.to_string())?;
    let secret = up.home.path().join("secret");
    std::fs::write(&secret, "a secret of the client")?;
    let mut console = stoke(
        up.home.path(),
        ["console", "--tokens", "--listen", "127.0.0.1:0", "-o", "json"],
    );
    console.args([
        "--oidc-issuer",
        &issuer,
        "--oidc-client-id",
        "spark",
        "--context",
        "front",
        "--oidc-client-secret-file",
    ]);
    console.arg(&secret).env("KUBECONFIG", &file);
    // Its log is looked through for secrets.
    let log = up.home.path().join("console.log");
    console.env("RUST_LOG", "debug").stderr(std::fs::File::create(&log)?);
    let mut console = Running(console.stdout(Stdio::piped()).spawn()?);
    let address = address_of(&mut console.0)?;
    let browser = Command::new("node")
        .args(["--experimental-websocket", "--no-warnings"])
        .arg(repository().join("crates/stoke/tests/e2e/sign_in.mjs"))
        .args([address.as_str(), &issuer, "/applications/default/pi/", "ann"])
        .output()?;
    let seen: Value =
        serde_json::from_slice(&browser.stdout).map_err(|error| format!("{error}: {}", text(&browser)))?;
    let shown = seen["text"].as_str().unwrap_or_default();
    let is_there = seen["at"] == "/applications/default/pi/" && shown.contains("oidc:ann") && shown.contains("pi.py");
    let is_quiet = seen["problems"].as_array().is_some_and(Vec::is_empty) && seen["cookies"] == "";
    if !is_there || !is_quiet {
        return Err(format!("{seen:#}").into());
    }
    // Addresses that a page has been shown at carry no code: the way back has none of its own.
    let with_code = |address: &Value| address.as_str().is_some_and(|address| address.contains("code="));
    if seen["addresses"].as_array().is_none_or(|all| all.iter().any(with_code)) {
        return Err(format!("a code is in an address: {seen:#}").into());
    }
    drop((console, front, proxy));
    let said = std::fs::read_to_string(&log)?;
    match said.contains("eyJ") || said.contains("a secret of the client") || said.contains("code=") {
        true => Err(format!("a secret is in the log:\n{said}").into()),
        false => up.down(),
    }
}
