//! The pages in a real browser: they load without a word on its console and without a request to anywhere else.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::common::{Context, eventually, expect_code, expect_parts, full, program, repository, stoke, text};
use crate::insight::get;

pub fn trials(context: &Context) -> Vec<Trial> {
    let browser = program("chromium", "apt-get install chromium");
    vec![
        context.trial(
            "pages: a browser shows them and complains of nothing",
            std::slice::from_ref(&browser),
            browse,
        ),
        context.trial(
            "pages: a browser shows those of a cluster, live, behind their link",
            &[browser],
            browse_cluster,
        ),
        context.trial("pages: they say what the commands say", &[], as_commands),
        context.trial(
            "pages: axe-core, the keyboard and a phone find nothing wrong",
            &[
                program("chromium", "apt-get install chromium"),
                program("node", "apt-get install nodejs"),
                program("npm", "apt-get install npm"),
                full(),
            ],
            for_everybody,
        ),
    ]
}

/// What a command prints as JSON.
fn printed(home: &Path, arguments: &[&str]) -> Result<Value, Failed> {
    let output = stoke(home, arguments).args(["--output", "json"]).output()?;
    Ok(serde_json::from_slice(&output.stdout).map_err(|error| format!("{arguments:?}: {error}: {}", text(&output)))?)
}

fn as_commands(context: &Context) -> Result<(), Failed> {
    let home = context.private_home();
    let logs = tempfile::tempdir()?;
    let pairs = repository().join("crates/insight/tests/pairs");
    for log in ["base.zstd", "skew.zstd"] {
        std::fs::copy(pairs.join(log), logs.path().join(log))?;
    }
    let (a, b) = (logs.path().join("base.zstd"), logs.path().join("skew.zstd"));
    let (a, b) = (a.display().to_string(), b.display().to_string());
    let prices = repository().join("docs/prices.yaml").display().to_string();
    let served = serve(home.path(), logs.path(), &["--prices", &prices])?;
    eventually("both are listed", std::time::Duration::from_secs(20), || {
        get(&served.address, "/?output=json").is_ok_and(|twin| twin["applications"]["total"] == 2)
    })?;
    let comparison = printed(home.path(), &["compare", &a, &b])?;
    let id = |side: &str| comparison[side]["id"].as_str().unwrap_or_default().to_owned();
    let directory = logs.path().display().to_string();
    for (path, field, expected) in [
        (
            format!("/compare?a={}&b={}", id("a"), id("b")),
            "comparison",
            comparison.clone(),
        ),
        (
            format!("/history/{}/what-if/?executors=4&cores=2", id("a")),
            "outcome",
            printed(
                home.path(),
                &["what-if", "--event-log", &a, "--executors", "4", "--cores", "2"],
            )?,
        ),
        (
            format!("/history/{}/what-if/", id("a")),
            "sizing",
            printed(home.path(), &["size", "--event-log", &a])?,
        ),
        (
            format!("/history/{}/cost/", id("b")),
            "bill",
            printed(home.path(), &["cost", "--event-log", &b, "--prices", &prices])?,
        ),
        (
            "/cost?since=2020-01-01".to_owned(),
            "reports",
            printed(
                home.path(),
                &[
                    "cost",
                    "--dir",
                    &directory,
                    "--since",
                    "2020-01-01",
                    "--prices",
                    &prices,
                ],
            )?,
        ),
    ] {
        let more = if path.contains('?') { "&" } else { "?" };
        let page = get(&served.address, &format!("{path}{more}output=json"))?;
        if page[field] != expected {
            return Err(format!(
                "{path}: {field} is\n{:#}\nand the command says\n{expected:#}",
                page[field]
            )
            .into());
        }
    }
    objectives_as_commands(home.path(), logs.path())?;
    for (option, wrong, said) in [
        ("--objectives", "missing.yaml", "stoke::slo::unreadable"),
        ("--alertmanager", "localhost:9093", "stoke::console::alertmanager"),
    ] {
        let refused = stoke(
            home.path(),
            ["history", "serve", "--dir", &directory, "--listen", "127.0.0.1:0"],
        )
        .args([option, wrong])
        .output()?;
        expect_code(&refused, 2)?;
        expect_parts(&text(&refused), &[said])?;
    }
    Ok(())
}

/// A file with the objectives of a platform.
fn platform(home: &Path) -> Result<String, Failed> {
    let printed = stoke(home, ["slo", "platform"]).output()?;
    expect_code(&printed, 0)?;
    let file = home.join("objectives.yaml");
    std::fs::write(&file, printed.stdout)?;
    Ok(file.display().to_string())
}

/// Objectives as the page has them and as `stoke slo status` prints them: all but what depends on the moment of asking.
fn objectives_as_commands(home: &Path, logs: &Path) -> Result<(), Failed> {
    let file = platform(home)?;
    let served = serve(home, logs, &["--objectives", &file])?;
    let page = || get(&served.address, "/objectives/?output=json");
    eventually("objectives are judged", std::time::Duration::from_secs(20), || {
        page().is_ok_and(|twin| twin["statuses"].is_array())
    })?;
    let place = logs.display().to_string();
    let mut said = printed(home, &["slo", "status", &file, "--history", &place])?["statuses"].take();
    let mut shown = page()?["statuses"].take();
    for statuses in [&mut said, &mut shown] {
        for status in statuses.as_array_mut().ok_or("no statuses")? {
            for moment in ["from", "until", "runsADay", "forecast"] {
                status[moment] = Value::Null;
            }
        }
    }
    match said == shown && said.as_array().is_some_and(|all| !all.is_empty()) {
        true => Ok(()),
        false => Err(format!("the page says {shown:#} and the command {said:#}").into()),
    }
}

/// A history server on logs of real runs, ended with the test.
pub struct Served {
    child: Child,
    pub address: String,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn serve(home: &Path, logs: &Path, more: &[&str]) -> Result<Served, Failed> {
    let mut command = stoke(
        home,
        [
            "history",
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--no-cache",
            "-o",
            "json",
            "--dir",
        ],
    );
    let mut child = command.arg(logs).args(more).stdout(Stdio::piped()).spawn()?;
    let out = child.stdout.take().ok_or("no output")?;
    // It is printed over several lines.
    let (mut said, mut answer) = (String::new(), Value::Null);
    for line in BufReader::new(out).lines() {
        said.push_str(&line?);
        if let Ok(whole) = serde_json::from_str(&said) {
            answer = whole;
            break;
        }
    }
    let address = answer["address"]
        .as_str()
        .ok_or_else(|| format!("no address in {said}"))?;
    Ok(Served {
        address: format!("http://{address}"),
        child,
    })
}

/// Servers that the browser itself asks, whatever it shows.
const ITS_OWN: [&str; 2] = ["googleapis.com", "google.com"];

/// Shows an address and gives the page as it stands some time after its scripts.
fn show(address: &str, more: &[&str]) -> Result<String, Failed> {
    let later: Vec<&str> = more.iter().copied().chain(["--virtual-time-budget=3000"]).collect();
    show_at_once(address, &later)
}

/// Shows an address and gives the page as it stands when it has loaded: time does not pass sooner for a page that is told of changes.
fn show_at_once(address: &str, more: &[&str]) -> Result<String, Failed> {
    let profile = tempfile::tempdir()?;
    let network = profile.path().join("network.json");
    let mut browser = Command::new("chromium");
    browser
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--enable-logging=stderr",
            "--v=0",
        ])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("--log-net-log={}", network.display()))
        .args(more)
        .args(["--dump-dom", address]);
    let output = browser.output()?;
    let page = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if let Some(line) = said.lines().find(|line| line.contains(":CONSOLE:")) {
        return Err(format!("{address}: {line}").into());
    }
    let ours = address.split('/').nth(2).unwrap_or_default();
    let network = std::fs::read_to_string(network)?;
    let foreign = network.split("\"url\":\"http").skip(1).find(|rest| {
        let host = rest.split('/').nth(2).unwrap_or_default().trim_end_matches('"');
        host != ours && !ITS_OWN.iter().any(|own| host.ends_with(own))
    });
    match foreign {
        Some(rest) => Err(format!("{address} asks http{}", rest.split('"').next().unwrap_or_default()).into()),
        None => Ok(page),
    }
}

fn browse(context: &Context) -> Result<(), Failed> {
    let home = context.private_home();
    let logs = tempfile::tempdir()?;
    for log in [
        "history/tests/fixtures/every-event.zstd",
        "insight/tests/logs/4.1.4/skewed-join.zstd",
    ] {
        let from = repository().join("crates").join(log);
        std::fs::copy(&from, logs.path().join(from.file_name().ok_or("no name")?))?;
    }
    let served = serve(home.path(), logs.path(), &[])?;
    let listed = eventually(
        "the applications are listed",
        std::time::Duration::from_secs(20),
        || get(&served.address, "/?output=json").is_ok_and(|twin| twin["applications"]["total"] == 2),
    );
    listed?;
    let listed = get(&served.address, "/?output=json")?;
    let mut shown = 0;
    for application in listed["applications"]["rows"].as_array().into_iter().flatten() {
        let id = application["id"].as_str().ok_or("no id")?;
        for page in [
            "",
            "jobs/",
            "stages/stage/?id=0&attempt=0",
            "SQL/",
            "SQL/execution/?id=1",
            "executors/",
            "environment/",
            "findings/",
        ] {
            let answer = show(&format!("{}/history/{id}/{page}", served.address), &["--lang=en-US"])?;
            // What the script has done shows that the policy let it: times have their zone.
            expect_parts(&answer, &["<main id=\"content\"", "</footer>"])?;
            shown += usize::from(answer.contains("UTC · "));
        }
    }
    // Told of changes, as the pages of a cluster are.
    let dark = show_at_once(
        &format!("{}/", served.address),
        &["--force-dark-mode", "--window-size=390,844"],
    )?;
    expect_parts(&dark, &["<main id=\"content\""])?;
    match shown {
        0 => Err(format!(
            "no page has a time in the visitor's zone: {}",
            text(&stoke(home.path(), ["--version"]).output()?)
        )
        .into()),
        _ => Ok(()),
    }
}

/// A cluster without an operator: its one application waits for one.
fn browse_cluster(context: &Context) -> Result<(), Failed> {
    let home = context.private_home();
    let up = |arguments: &[&str]| -> Result<Value, Failed> {
        let output = stoke(home.path(), arguments.iter().copied()).output()?;
        expect_code(&output, 0)?;
        Ok(serde_json::from_slice(&output.stdout)?)
    };
    up(&["up", "--detach", "--no-operator", "--keep-logs", "none", "-o", "json"])?;
    let looked = look_at_cluster(home.path(), || {
        let opened = up(&["open", "--print", "-o", "json"])?;
        Ok(opened["address"].as_str().ok_or("no address")?.to_owned())
    });
    expect_code(&stoke(home.path(), ["down", "--wipe"]).output()?, 0)?;
    looked
}

/// `stoke console` of the same cluster, at a port of its own.
fn console_beside(home: &Path) -> Result<(), Failed> {
    let mut command = stoke(home, ["console", "--listen", "127.0.0.1:0", "-o", "json"]);
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let out = child.stdout.take().ok_or("no output")?;
    let said: Vec<String> = BufReader::new(out).lines().take(3).collect::<Result<_, _>>()?;
    let shown = serde_json::from_str(&said.concat()).map(|answer: Value| answer["address"].as_str().map(str::to_owned));
    let looked = match shown {
        Ok(Some(link)) => show_at_once(&link, &["--lang=en-US"]),
        _ => Err(format!("no address in {said:?}").into()),
    };
    let _ = child.kill();
    let _ = child.wait();
    expect_parts(&looked?, &["What needs attention first", "stoke up"])?;
    // Not for others: they would act as its owner.
    let open = stoke(home, ["console", "--listen", "0.0.0.0:0"]).output()?;
    expect_code(&open, 2)?;
    expect_parts(&text(&open), &["error[stoke::console::listen]", "--tokens"])?;
    let missing = home.join("missing").display().to_string();
    for (arguments, said) in [
        (
            &["--oidc-issuer", "http://login.example.com", "--oidc-client-id", "x"][..],
            "an issuer is https://HOST/PATH",
        ),
        (
            &["--oidc-issuer", "https://login.example.com", "--oidc-client-id", ""],
            "the client has no id",
        ),
        (
            &[
                "--oidc-issuer",
                "https://login.example.com",
                "--oidc-client-id",
                "x",
                "--oidc-client-secret-file",
                &missing,
            ],
            "missing: No such file",
        ),
        (&["--oidc-issuer", "https://login.example.com"], "--oidc-client-id"),
    ] {
        let refused = stoke(home, ["console", "--tokens", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .output()?;
        expect_code(&refused, 2)?;
        expect_parts(&text(&refused), &[said])?;
    }
    Ok(())
}

fn look_at_cluster(home: &Path, link: impl Fn() -> Result<String, Failed>) -> Result<(), Failed> {
    let link = link()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = stoke_laptop::session::connect(&home.join("clusters/default")).await;
        let api: kube::Api<stoke_model::crd::SparkApplication> =
            kube::Api::namespaced(client.ok_or("no cluster")?, "default");
        let application = serde_json::from_value(serde_json::json!({
            "apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication", "metadata": {"name": "waits"},
            "spec": {"type": "Python", "image": "apache/spark:4.1.4", "sparkVersion": "4.1.4", "mainApplicationFile": "local:///pi.py",
                "driver": {}, "executor": {}},
        }))?;
        api.create(&kube::api::PostParams::default(), &application).await?;
        Ok::<(), Failed>(())
    })?;
    console_beside(home)?;
    let host = link.split("/open").next().unwrap_or_default();
    let refused = show_at_once(&format!("{host}/"), &["--lang=en-US"])?;
    expect_parts(&refused, &["This page is opened by its link"])?;
    for (page, part) in [
        ("/", "href=\"/applications/default/waits/\""),
        ("/applications/default/waits/", "Its life"),
        ("/applications/default/waits/manifest/", "local:///pi.py"),
        ("/applications/default/waits/log/", "There is no log"),
        ("/cluster/", "Cores asked for"),
        ("/connect/", "No Connect server is here"),
        ("/sql/", "No Connect server is ready"),
        ("/check/", "<textarea"),
    ] {
        let answer = show_at_once(&format!("{link}&next={page}"), &["--lang=en-US"])?;
        expect_parts(&answer, &["<main id=\"content\"", part, "</footer>"])?;
        // Times are in the visitor's zone.
        if answer.contains("<time ") {
            expect_parts(&answer, &["UTC · "])?;
        }
    }
    Ok(())
}

/// The release of axe-core that looks at pages. It is fetched for the test, and is no part of what is shipped.
const AXE: &str = "4.14.1";

/// axe-core from the npm registry, kept in the shared home.
pub fn axe(context: &Context) -> Result<std::path::PathBuf, Failed> {
    let kept = context.home().join(format!("axe-core-{AXE}"));
    let script = kept.join("package/axe.min.js");
    if !script.exists() {
        let fetched = tempfile::tempdir_in(context.home())?;
        let run = |program: &str, arguments: &[&str]| -> Result<(), Failed> {
            let output = Command::new(program)
                .args(arguments)
                .current_dir(fetched.path())
                .output()?;
            match output.status.success() {
                true => Ok(()),
                false => Err(format!("{program} {arguments:?}: {}", text(&output)).into()),
            }
        };
        run("npm", &["pack", "--silent", &format!("axe-core@{AXE}")])?;
        run("tar", &["xzf", &format!("axe-core-{AXE}.tgz")])?;
        let _ = std::fs::rename(fetched.path(), &kept);
    }
    Ok(script)
}

/// The first address in a page that has this part.
fn link(address: &str, path: &str, part: &str) -> Result<String, Failed> {
    let page = text(
        &Command::new("curl")
            .args(["-sS", &format!("{address}{path}")])
            .output()?,
    );
    let links = page.split(" href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let mut found = links
        .filter(|link| link.contains(part))
        .map(|link| link.replace("&amp;", "&"));
    found
        .next()
        .ok_or_else(|| format!("{path} has no link with {part}").into())
}

fn for_everybody(context: &Context) -> Result<(), Failed> {
    let axe = axe(context)?;
    let home = context.private_home();
    let logs = tempfile::tempdir()?;
    for log in [
        "history/tests/fixtures/every-event.zstd",
        "insight/tests/logs/4.1.4/skewed-join.zstd",
        "insight/tests/pairs/base.zstd",
        "web/tests/fixtures/streaming.zstd",
        "web/tests/fixtures/connect.zstd",
        "web/tests/fixtures/dstreams.zstd",
    ] {
        let from = repository().join("crates").join(log);
        std::fs::copy(&from, logs.path().join(from.file_name().ok_or("no name")?))?;
    }
    let objectives = platform(home.path())?;
    let served = serve(home.path(), logs.path(), &["--objectives", &objectives])?;
    eventually(
        "the applications are listed, and objectives judged",
        std::time::Duration::from_secs(20),
        || {
            get(&served.address, "/?output=json").is_ok_and(|twin| twin["applications"]["total"] == 6)
                && get(&served.address, "/objectives/?output=json").is_ok_and(|twin| twin["statuses"].is_array())
        },
    )?;
    let listed = get(&served.address, "/?output=json")?;
    let id = |name: &str| -> Result<String, Failed> {
        let rows = listed["applications"]["rows"].as_array().ok_or("no applications")?;
        let row = rows
            .iter()
            .find(|row| row["name"] == name)
            .ok_or_else(|| format!("no {name} in {listed}"))?;
        Ok(format!("/history/{}/", row["id"].as_str().unwrap_or_default()))
    };
    let (skewed, clicks, connect) = (id("skewed-join")?, id("clicks by minute")?, id("connect")?);
    let own = |place: &str| place.trim_start_matches("/history/").trim_end_matches('/').to_owned();
    let mut paths: Vec<String> = [
        "",
        "jobs/",
        "jobs/job/?id=2",
        "stages/",
        "stages/stage/?id=4&attempt=0",
        "SQL/",
        "SQL/execution/?id=0",
        "SQL/execution/?id=0&plan=initial",
        "executors/",
        "storage/",
        "environment/",
        "findings/",
        "what-if/?executors=4",
        "cost/",
    ]
    .iter()
    .map(|page| format!("{skewed}{page}"))
    .collect();
    paths.extend([
        "/".to_owned(),
        "/?lang=ru".to_owned(),
        "/compare".to_owned(),
        format!("/compare?a={}&b={}", own(&id("pairs")?), own(&skewed)),
        "/cost".to_owned(),
        format!("{clicks}StreamingQuery/"),
        link(&served.address, &format!("{clicks}StreamingQuery/"), "/statistics/")?,
        format!("{}streaming/", id("dstreams")?),
        format!("{connect}connect/"),
        link(&served.address, &format!("{connect}connect/"), "/session/")?,
        "/objectives/".to_owned(),
        "/objectives/?lang=ru".to_owned(),
        link(&served.address, "/objectives/", "/objective/?id=")?,
        "/alerts/".to_owned(),
        "/alerts/?lang=ru".to_owned(),
        "/runbooks/".to_owned(),
        "/runbooks/?lang=ru".to_owned(),
        "/runbooks/runbook/?id=node-maintenance".to_owned(),
        "/incidents/".to_owned(),
    ]);
    look_at(&axe, &served.address, None, &paths)
}

/// Looks at these pages of a server as `browser.mjs` does, after the link that lets in.
pub fn look_at(axe: &Path, address: &str, link: Option<&str>, paths: &[String]) -> Result<(), Failed> {
    let output = Command::new("node")
        .args(["--experimental-websocket", "--no-warnings"])
        .arg(repository().join("crates/stoke/tests/e2e/browser.mjs"))
        .arg(axe)
        .arg(address)
        .args(link.into_iter().flat_map(|link| ["--open", link]))
        .args(paths)
        .output()?;
    let said: Value = serde_json::from_slice(&output.stdout).map_err(|error| format!("{error}: {}", text(&output)))?;
    match said["problems"].as_array().map(Vec::len) {
        Some(0) if said["pages"] == paths.len() => Ok(()),
        _ => Err(format!("{said:#}").into()),
    }
}
