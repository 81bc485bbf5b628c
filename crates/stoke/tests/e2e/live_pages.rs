//! Pages of a cluster in a real browser: with a real application for everybody, and followed as things change.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use crate::common::{Context, eventually, expect_code, expect_parts, full, program, repository, stoke, text};
use crate::pages::{axe, look_at};
use crate::up::Up;

/// A query with two stages, some lines of a log, then as many seconds of waiting as it is told: executors that do nothing are what the doctor finds.
const SALES: &str = r#"
import sys, time
from pyspark.sql import SparkSession
spark = SparkSession.builder.appName("sales").getOrCreate()
spark.range(0, 3000000, 1, 8).selectExpr("id % 10 AS shop", "id AS amount").groupBy("shop").sum("amount").orderBy("shop").show()
for second in range(int(sys.argv[1])):
    print("takings of second", second, flush=True)
    time.sleep(1)
spark.stop()
"#;

pub fn trials(context: &Context) -> Vec<Trial> {
    let browser = || {
        [
            program("chromium", "apt-get install chromium"),
            program("node", "apt-get install nodejs"),
        ]
    };
    let mut for_everybody = browser().to_vec();
    for_everybody.extend([program("npm", "apt-get install npm"), context.spark("4.1.4"), full()]);
    vec![
        context.trial(
            "pages: a browser sees a change within a second, by a stream or without, and sleeps when it is not seen",
            &browser(),
            followed,
        ),
        context.trial(
            "pages: axe-core, the keyboard and a phone find nothing wrong with those of a cluster and its real application",
            &for_everybody,
            real,
        ),
    ]
}

/// The API server of a cluster of `stoke up`.
struct Cluster {
    runtime: tokio::runtime::Runtime,
    client: Client,
}

impl Cluster {
    fn of(home: &Path) -> Result<Cluster, Failed> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let client = runtime.block_on(stoke_laptop::session::connect(&home.join("clusters/default")));
        Ok(Cluster {
            client: client.ok_or("no cluster")?,
            runtime,
        })
    }

    fn api(&self, (group, version, kind, plural): (&str, &str, &str, &str)) -> Api<DynamicObject> {
        let api_version = match group {
            "" => version.to_owned(),
            group => format!("{group}/{version}"),
        };
        let resource = ApiResource {
            group: group.to_owned(),
            version: version.to_owned(),
            api_version,
            kind: kind.to_owned(),
            plural: plural.to_owned(),
        };
        Api::namespaced_with(self.client.clone(), "default", &resource)
    }

    fn make(&self, kind: (&str, &str, &str, &str), object: Value) -> Result<(), Failed> {
        let (api, mut object) = (self.api(kind), object);
        let version = if kind.0.is_empty() {
            kind.1.to_owned()
        } else {
            format!("{}/{}", kind.0, kind.1)
        };
        object["apiVersion"] = version.into();
        object["kind"] = kind.2.into();
        let object: DynamicObject = serde_json::from_value(object)?;
        self.runtime.block_on(api.create(&PostParams::default(), &object))?;
        Ok(())
    }

    fn status(&self, kind: (&str, &str, &str, &str), name: &str, status: &Value) -> Result<(), Failed> {
        let patch = Patch::Merge(json!({ "status": status }));
        let api = self.api(kind);
        self.runtime
            .block_on(api.patch_status(name, &PatchParams::default(), &patch))?;
        Ok(())
    }

    /// The state of an application.
    fn state(&self, name: &str) -> String {
        let object = self.runtime.block_on(self.api(APPLICATION).get(name));
        let state = object.map(|object| object.data["status"]["applicationState"]["state"].clone());
        state.unwrap_or_default().as_str().unwrap_or_default().to_owned()
    }
}

const APPLICATION: (&str, &str, &str, &str) = (
    "sparkoperator.k8s.io",
    "v1beta2",
    "SparkApplication",
    "sparkapplications",
);
const CONNECT: (&str, &str, &str, &str) = ("sparkoperator.k8s.io", "v1alpha1", "SparkConnect", "sparkconnects");
const CONFIG_MAP: (&str, &str, &str, &str) = ("", "v1", "ConfigMap", "configmaps");

fn application(name: &str, seconds: u32) -> Value {
    let mounts = json!([{"name": "code", "mountPath": "/code"}]);
    // Thirty cores that do nothing for half a minute are worth telling; they ask the node for a quarter of one.
    json!({"metadata": {"name": name}, "spec": {"type": "Python", "mode": "cluster", "image": "apache/spark:4.1.4", "sparkVersion": "4.1.4",
        "mainApplicationFile": "local:///code/sales.py", "arguments": [seconds.to_string()], "restartPolicy": {"type": "Never"},
        "volumes": [{"name": "code", "configMap": {"name": "sales"}}],
        "driver": {"cores": 1, "coreRequest": "250m", "memory": "512m", "serviceAccount": "spark-operator-spark", "volumeMounts": mounts},
        "executor": {"instances": 1, "cores": 30, "coreRequest": "250m", "memory": "512m"}}})
}

/// The address that lets in, and its path.
pub fn link(home: &Path) -> Result<(String, String), Failed> {
    let output = stoke(home, ["open", "--print", "-o", "json"]).output()?;
    expect_code(&output, 0)?;
    let opened: Value = serde_json::from_slice(&output.stdout)?;
    let link = opened["address"].as_str().ok_or("no address")?;
    let (address, path) = link.split_once("/open").ok_or("no link")?;
    Ok((address.to_owned(), format!("/open{path}")))
}

/// What a page says, asked for with the secret of the link.
pub fn twin(address: &str, link: &str, path: &str) -> Result<Value, Failed> {
    let secret = link.rsplit_once('=').map_or("", |(_, secret)| secret);
    let more = if path.contains('?') { '&' } else { '?' };
    let output = Command::new("curl")
        .args(["-sS", "-H", &format!("Authorization: Bearer {secret}")])
        .arg(format!("{address}{path}{more}output=json"))
        .output()?;
    Ok(serde_json::from_slice(&output.stdout).map_err(|error| format!("{path}: {error}: {}", text(&output)))?)
}

fn real(context: &Context) -> Result<(), Failed> {
    let axe = axe(context)?;
    let up = Up::start(context)?;
    let cluster = Cluster::of(up.home.path())?;
    cluster.make(
        CONFIG_MAP,
        json!({"metadata": {"name": "sales"}, "data": {"sales.py": SALES}}),
    )?;
    cluster.make(APPLICATION, application("sales", 26))?;
    let (address, link) = link(up.home.path())?;
    eventually("the application ends", Duration::from_secs(240), || {
        cluster.state("sales") == "COMPLETED"
    })?;
    // Another one goes on while its pages are looked at.
    cluster.make(APPLICATION, application("sales-today", 3600))?;
    let is_written = || {
        let log = twin(&address, &link, "/applications/default/sales-today/log/");
        log.is_ok_and(|log| log["log"].to_string().contains("takings of second"))
    };
    eventually("the other one writes", Duration::from_secs(120), is_written)?;
    let overview = twin(&address, &link, "/applications/default/sales/")?;
    let run = overview["application"]["id"]
        .as_str()
        .ok_or("no id of Spark")?
        .to_owned();
    let found = |page: &Value| page["findings"].as_array().is_some_and(|all| !all.is_empty());
    eventually("the doctor has looked", Duration::from_secs(30), || {
        twin(&address, &link, "/applications/default/sales/").is_ok_and(|page| found(&page))
    })?;
    let change = change(&address, &link)?;
    let node = twin(&address, &link, "/cluster/")?["nodes"]["rows"][0]["name"].clone();
    let node = node.as_str().ok_or("no node")?.to_owned();
    let (ended, now) = ("/applications/default/sales/", "/applications/default/sales-today/");
    let mut paths = vec![
        "/".to_owned(),
        ended.to_owned(),
        format!("{ended}log/"),
        format!("{ended}manifest/"),
        change,
        now.to_owned(),
        format!("{now}pods/"),
        format!("{now}events/"),
        format!("{now}log/?level=output"),
        "/cluster/".to_owned(),
        format!("/cluster/node/?id={node}"),
        "/connect/".to_owned(),
        "/check/".to_owned(),
        "/objectives/".to_owned(),
        "/alerts/".to_owned(),
        "/runbooks/".to_owned(),
        "/runbooks/runbook/?id=quota".to_owned(),
        "/incidents/".to_owned(),
    ];
    let russian = |path: &String| format!("{path}{}lang=ru", if path.contains('?') { '&' } else { '?' });
    paths.extend(paths.clone().iter().map(russian));
    paths.extend(["/sql/".to_owned(), format!("/history/{run}/"), "/cost".to_owned()]);
    look_at(&axe, &address, Some(&link), &paths)?;
    up.down()?;
    without_operator(context, &axe)
}

/// The change that the doctor proposes for the ended application.
fn change(address: &str, link: &str) -> Result<String, Failed> {
    let secret = link.rsplit_once('=').map_or("", |(_, secret)| secret);
    let page = Command::new("curl")
        .args(["-sS", "-H", &format!("Authorization: Bearer {secret}")])
        .arg(format!("{address}/applications/default/sales/"))
        .output()?;
    let page = text(&page);
    let mut links = page.split(" href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let found = links.find(|link| link.contains("/change/?change="));
    Ok(found
        .ok_or_else(|| format!("no change is proposed:\n{page}"))?
        .replace("&amp;", "&"))
}

/// Pages that are shown by what stands in the API server alone: a Connect server that is ready, and what lets in with a provider.
fn without_operator(context: &Context, axe: &Path) -> Result<(), Failed> {
    let home = context.private_home();
    expect_code(
        &stoke(home.path(), ["up", "--detach", "--no-operator", "--keep-logs", "none"]).output()?,
        0,
    )?;
    let looked = (|| {
        let cluster = Cluster::of(home.path())?;
        let spec = json!({"sparkVersion": "4.1.4", "image": "apache/spark:4.1.4", "server": {}, "executor": {}});
        cluster.make(CONNECT, json!({"metadata": {"name": "lab"}, "spec": spec}))?;
        cluster.status(
            CONNECT,
            "lab",
            &json!({"state": "Ready", "server": {"url": "sc://lab-server.default:15002", "podName": "lab-server"}, "executors": {"running": 2}}),
        )?;
        let (address, link) = link(home.path())?;
        let paths = ["/", "/connect/", "/connect/?lang=ru", "/sql/", "/sql/?lang=ru"].map(str::to_owned);
        look_at(axe, &address, Some(&link), &paths)?;
        let mut console = stoke(
            home.path(),
            ["console", "--listen", "127.0.0.1:0", "-o", "json", "--tokens"],
        );
        console.args([
            "--oidc-issuer",
            "https://login.example.com/realms/spark",
            "--oidc-client-id",
            "spark",
        ]);
        console.env("KUBECONFIG", home.path().join("clusters/default/kubeconfig"));
        let mut child = console.stdout(Stdio::piped()).spawn()?;
        let looked = address_of(&mut child).and_then(|address| {
            let paths = ["/sign-in", "/sign-in?lang=ru"].map(str::to_owned);
            look_at(axe, &address, None, &paths)
        });
        let _ = child.kill();
        let _ = child.wait();
        looked
    })();
    expect_code(&stoke(home.path(), ["down", "--wipe"]).output()?, 0)?;
    looked
}

/// The address that a command says it serves at.
pub fn address_of(child: &mut Child) -> Result<String, Failed> {
    let out = child.stdout.take().ok_or("no output")?;
    let said: Vec<String> = BufReader::new(out).lines().take(3).collect::<Result<_, _>>()?;
    let said: Value = serde_json::from_str(&said.concat())?;
    let address = said["address"].as_str().ok_or("no address")?;
    Ok(address.trim_end_matches('/').to_owned())
}

/// A browser that follows a page.
struct Follower {
    child: Child,
    input: ChildStdin,
    output: std::io::Lines<BufReader<ChildStdout>>,
}

impl Follower {
    fn start(address: &str, link: &str, path: &str) -> Result<Follower, Failed> {
        let mut child = Command::new("node")
            .args(["--experimental-websocket", "--no-warnings"])
            .arg(repository().join("crates/stoke/tests/e2e/follow.mjs"))
            .args([address, link, path])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut follower = Follower {
            input: child.stdin.take().ok_or("no input")?,
            output: BufReader::new(child.stdout.take().ok_or("no output")?).lines(),
            child,
        };
        follower.line()?;
        Ok(follower)
    }

    fn line(&mut self) -> Result<Value, Failed> {
        let line = self.output.next().ok_or("the browser has ended")??;
        Ok(serde_json::from_str(&line)?)
    }

    fn tell(&mut self, command: &str) -> Result<(), Failed> {
        writeln!(self.input, "{command}")?;
        Ok(self.input.flush()?)
    }

    fn ask(&mut self, command: &str) -> Result<Value, Failed> {
        self.tell(command)?;
        self.line()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.tell("end");
        let begun = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && begun.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn followed(context: &Context) -> Result<(), Failed> {
    let home = context.private_home();
    expect_code(
        &stoke(home.path(), ["up", "--detach", "--no-operator", "--keep-logs", "none"]).output()?,
        0,
    )?;
    let looked = follow(home.path());
    let begun = Instant::now();
    expect_code(&stoke(home.path(), ["down", "--wipe"]).output()?, 0)?;
    looked?;
    match begun.elapsed() < Duration::from_secs(10) {
        true => Ok(()),
        false => Err(format!("it took {:?} to end", begun.elapsed()).into()),
    }
}

fn follow(home: &Path) -> Result<(), Failed> {
    let cluster = Cluster::of(home)?;
    let (address, link) = link(home)?;
    let submit = |name: &str| {
        let spec = json!({"type": "Python", "image": "apache/spark:4.1.4", "sparkVersion": "4.1.4", "mainApplicationFile": "local:///pi.py", "driver": {}, "executor": {}});
        cluster.make(APPLICATION, json!({"metadata": {"name": name}, "spec": spec}))
    };
    let seen = |follower: &mut Follower, text: &str, within: u64| -> Result<(), Failed> {
        let answer = follower.ask(&format!("seen {text}"))?;
        println!("{text}: {answer}");
        match answer["seen"] == true && answer["millis"].as_u64().is_some_and(|millis| millis < within) {
            true => Ok(()),
            false => Err(format!("{text} was to be seen within {within} ms: {answer}").into()),
        }
    };
    let mut home_page = Follower::start(&address, &link, "/")?;
    submit("pi-alpha")?;
    seen(&mut home_page, "pi-alpha", 1000)?;
    let mut page = Follower::start(&address, &link, "/applications/default/pi-alpha/")?;
    let state = |state: &str| {
        cluster.status(
            APPLICATION,
            "pi-alpha",
            &json!({"applicationState": {"state": state, "errorMessage": format!("it is {state}")}}),
        )
    };
    state("RUNNING")?;
    seen(&mut page, "it is RUNNING", 1000)?;
    // What is told by a stream is not asked for each second: the stream, and a look each five seconds.
    let asked = page.ask("requests 4000")?;
    let count = asked["requests"].as_array().map_or(99, Vec::len);
    if count > 3 {
        return Err(format!("a quiet page asks too much: {asked}").into());
    }
    // A tab that is not seen asks nothing, and is up to date when it is seen again.
    page.ask("hide")?;
    state("SUCCEEDING")?;
    let asked = page.ask("requests 3000")?;
    if asked["requests"].as_array().is_none_or(|asked| !asked.is_empty()) {
        return Err(format!("a page that no one sees asks: {asked}").into());
    }
    page.ask("show")?;
    seen(&mut page, "it is SUCCEEDING", 1000)?;
    // Without streams it is looked at by the clock.
    home_page.ask("refuse")?;
    submit("pi-beta")?;
    seen(&mut home_page, "pi-beta", 3000)?;
    // What has ended is left alone.
    state("COMPLETED")?;
    seen(&mut page, "it is COMPLETED", 1000)?;
    let asked = page.ask("requests 2500")?;
    if asked["requests"].as_array().is_none_or(|asked| !asked.is_empty()) {
        return Err(format!("the page of what has ended asks: {asked}").into());
    }
    for mut follower in [home_page, page] {
        let said = follower.ask("end")?;
        if said["problems"].as_array().is_none_or(|said| !said.is_empty()) {
            return Err(said.to_string().into());
        }
    }
    // The console ends at once, whoever looks at it.
    let mut console = stoke(home, ["console", "--listen", "127.0.0.1:0", "-o", "json"])
        .stdout(Stdio::piped())
        .spawn()?;
    let shown = address_of(&mut console)?;
    let (host, link) = shown.split_once("/open").ok_or("no link")?;
    let mut page = Follower::start(host, &format!("/open{link}"), "/")?;
    submit("pi-gamma")?;
    seen(&mut page, "pi-gamma", 1000)?;
    let begun = Instant::now();
    expect_code(
        &Command::new("kill")
            .args(["-TERM", &console.id().to_string()])
            .output()?,
        0,
    )?;
    console.wait()?;
    expect_parts(&shown, &["/open?token="])?;
    match begun.elapsed() < Duration::from_secs(3) {
        true => Ok(()),
        false => Err(format!("a page that is open holds the console up for {:?}", begun.elapsed()).into()),
    }
}
