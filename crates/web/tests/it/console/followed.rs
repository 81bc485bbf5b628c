//! Pages of runs, of Connect servers and of data, which follow changes as those of a cluster do.

use std::path::PathBuf;

use stoke_model::crd::SparkConnect;

use super::streams::{SECOND, watches};
use super::*;
use crate::data::{checked, ledger};
use crate::told::text;

const CONTRACT: &str = "name: orders\nrows: {min: 1}\ncolumns:\n  id: {unique: true}\n";

/// The log of a real run as its driver writes it: some lines at a time, renamed when it has ended.
struct Driver {
    lines: Vec<String>,
    written: usize,
    file: PathBuf,
    id: String,
}

impl Driver {
    fn new(directory: &std::path::Path) -> Driver {
        let lines: Vec<String> = text("base").lines().map(str::to_owned).collect();
        let started = lines.iter().find(|line| line.contains("ApplicationStart")).unwrap();
        let id = serde_json::from_str::<Value>(started).unwrap()["App ID"]
            .as_str()
            .unwrap()
            .to_owned();
        let file = directory.join(format!("{id}.inprogress"));
        std::fs::write(&file, "").unwrap();
        Driver {
            lines,
            written: 0,
            file,
            id,
        }
    }

    /// Writes until a line whose event is this one has been written `count` times more.
    fn until(&mut self, event: &str, count: usize) {
        let mut left = count;
        let mut more = String::new();
        while left > 0 {
            let line = &self.lines[self.written];
            left -= usize::from(line.contains(&format!("\"Event\":\"{event}\"")));
            more.push_str(line);
            more.push('\n');
            self.written += 1;
        }
        let mut file = std::fs::OpenOptions::new().append(true).open(&self.file).unwrap();
        std::io::Write::write_all(&mut file, more.as_bytes()).unwrap();
    }

    fn ends(&mut self) {
        self.until("SparkListenerApplicationEnd", 1);
        std::fs::rename(&self.file, self.file.with_extension("")).unwrap();
    }
}

/// An answer over a connection of its own.
async fn answer(address: std::net::SocketAddr, path: &str, more: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{more}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut text = Vec::new();
    stream.read_to_end(&mut text).await.unwrap();
    String::from_utf8(text).unwrap()
}

/// A stream over a connection of its own.
struct Listener(tokio::net::TcpStream);

impl Listener {
    async fn of(address: std::net::SocketAddr, page: &str) -> Listener {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let head = format!("GET /live?of={page} HTTP/1.1\r\nHost: {address}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        Listener(stream)
    }

    /// What comes until this does, or the stream is over.
    async fn until(&mut self, wanted: &str) -> String {
        let mut text = Vec::new();
        let read = async {
            while !String::from_utf8_lossy(&text).contains(wanted) {
                let mut part = [0; 1024];
                match self.0.read(&mut part).await.unwrap() {
                    0 => break,
                    count => text.extend_from_slice(&part[..count]),
                }
            }
        };
        let in_time = tokio::time::timeout(20 * SECOND, read).await.is_ok();
        let text = String::from_utf8(text).unwrap();
        assert!(in_time, "no {wanted}: {text}");
        text
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_followed_as_it_is_written_and_until_it_ends() {
    let logs = tempfile::tempdir().unwrap();
    let mut driver = Driver::new(logs.path());
    driver.until("SparkListenerApplicationStart", 1);
    let index = Arc::new(Index::new(Source::directory(logs.path()), Settings::default(), None));
    index.scan().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // By itself it would not look again while this test runs.
    let serving = stoke_web::serve(index, stoke_web::Settings::default(), listener, 3600 * SECOND);
    let serving = tokio::spawn(serving);
    let path = format!("/history/{}/jobs/", driver.id);
    let page = answer(address, &path, "").await;
    let of = path.replace('/', "%2F");
    let following = format!("data-live=\"2000\" data-stream=\"/live?of={of}\"");
    assert!(page.contains(&following), "{page}");
    let tag = page
        .lines()
        .find_map(|line| line.strip_prefix("etag: "))
        .expect("a tag");
    let known = answer(address, &path, &format!("If-None-Match: {tag}\r\n")).await;
    assert!(known.starts_with("HTTP/1.1 304"), "{known}");
    let mut told = Listener::of(address, &of).await;
    told.until("event: look").await;
    let jobs = async || {
        let page = answer(address, &format!("{path}?output=json"), "").await;
        let body = page.split("\r\n\r\n").nth(1).unwrap();
        serde_json::from_str::<Value>(body).unwrap()["jobs"]["total"].as_u64()
    };
    assert_eq!(jobs().await, Some(0));
    for count in 1..=3 {
        driver.until("SparkListenerJobStart", 1);
        let begun = Instant::now();
        while jobs().await != Some(count) {
            told.until("event: look").await;
        }
        println!("job {count} is on the page after {:?}", begun.elapsed());
    }
    // All pages of it follow, those that reason about it too.
    for page in [
        "",
        "findings/",
        "stages/",
        "stages/stage/?id=0&attempt=0",
        "SQL/",
        "executors/",
        "cost/",
        "what-if/",
    ] {
        let text = answer(
            address,
            &format!("/history/{}/{page}", driver.id),
            "X-Stoke-Live: 1\r\n",
        )
        .await;
        assert!(text.contains(" data-stream=\"/live?of="), "{page}: {text}");
    }
    let home = answer(address, "/", "").await;
    assert!(home.contains("data-stream=\"/live?of=%2F\""), "{home}");
    driver.ends();
    let begun = Instant::now();
    // The last event, and the end of the answer.
    let rest = told.until("0\r\n\r\n").await;
    println!("its end is on the page after {:?}", begun.elapsed());
    assert!(rest.contains("event: look"), "{rest}");
    let page = answer(address, &path, "").await;
    assert!(!page.contains("data-live") && !page.contains("data-stream"), "{page}");
    let again = answer(address, &format!("/live?of={of}"), "").await;
    assert!(again.starts_with("HTTP/1.1 404"), "{again}");
    serving.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_runs_and_of_data_are_for_who_may_see_them() {
    let directory = tempfile::tempdir().unwrap();
    checked(directory.path(), "shop", CONTRACT, "id\n1\n1\n", jiff::Timestamp::now());
    let quality = ledger(directory.path());
    let settings = stoke_web::Settings {
        quality: Some(quality.clone()),
        ..stoke_web::Settings::default()
    };
    let world = World::with(settings, |server| Access::by_token(&config_of(server), Terms::CLUSTER)).await;
    let mut driver = Driver::new(world.logs.path());
    driver.until("SparkListenerApplicationStart", 1);
    world.index.scan().unwrap();
    world
        .submit(
            "etl",
            json!({"applicationState": {"state": "RUNNING"}, "sparkApplicationId": driver.id}),
        )
        .await;
    let reader = world.robot("reader", watches(&[APPLICATIONS])).await;
    let reader = Browser::of(&world.sign_in(&reader, "default").await);
    let stranger = world.robot("stranger", json!([])).await;
    let stranger = Browser::of(&world.sign_in(&stranger, "default").await);
    let page = format!("/history/{}/jobs/", driver.id);
    for (who, path, status) in [
        (&reader, page.as_str(), StatusCode::OK),
        (&stranger, &page, StatusCode::FORBIDDEN),
        (&Browser::default(), &page, StatusCode::UNAUTHORIZED),
        // Who sees some namespaces only sees no data.
        (&reader, "/data/", StatusCode::FORBIDDEN),
        (&reader, "/history/app-none/", StatusCode::FORBIDDEN),
    ] {
        assert_eq!(world.follow(who, path).await.status, status, "{path}");
    }
    let mut events = world.follow(&reader, &page).await;
    events.settle().await;
    driver.until("SparkListenerJobStart", 1);
    world.index.scan().unwrap();
    events.until("look", 5 * SECOND).await;
    // A look that finds nothing new is no event.
    events.settle().await;
    world.index.scan().unwrap();
    assert_eq!(events.next(SECOND).await, None);
    driver.ends();
    world.index.scan().unwrap();
    events.until("look", 5 * SECOND).await;
    assert_eq!(events.next(SECOND).await, None);
    assert!(events.is_over, "the answer goes on");
    assert_eq!(world.follow(&reader, &page).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn connect_servers_and_data_are_followed() {
    let directory = tempfile::tempdir().unwrap();
    let at = |second| jiff::Timestamp::now() + jiff::SignedDuration::from_secs(second);
    checked(directory.path(), "shop", CONTRACT, "id\n1\n1\n", at(-60));
    let quality = ledger(directory.path());
    let settings = stoke_web::Settings {
        quality: Some(quality.clone()),
        ..stoke_web::Settings::default()
    };
    let owner = |server: &ApiServer| Access::by_link(server.client(), Vec::new(), "owner", 26080);
    let world = World::with(settings, owner).await;
    let owner = world.owner().await;
    for (page, of) in [
        ("/connect/", "%2Fconnect%2F"),
        ("/data/", "%2Fdata%2F"),
        (
            "/data/contract/?id=shop%2Forders",
            "%2Fdata%2Fcontract%2F%3Fid%3Dshop%252Forders",
        ),
    ] {
        let text = world.get(&owner, page).await.text();
        assert!(
            text.contains(&format!("data-stream=\"/live?of={of}\"")),
            "{page}: {text}"
        );
    }
    let mut servers = world.follow(&owner, "/connect/").await;
    servers.settle().await;
    let server = json!({"apiVersion": "sparkoperator.k8s.io/v1alpha1", "kind": "SparkConnect", "metadata": {"name": "shell"},
        "spec": {"sparkVersion": "4.1.4", "image": "apache/spark:4.1.4", "server": {}, "executor": {}}});
    world.make::<SparkConnect>(world.api(), server).await;
    let took = servers.until("look", 5 * SECOND).await;
    println!("a Connect server is on the page after {took:?}");
    assert_eq!(world.twin(&owner, "/connect/").await["servers"]["total"], 1);
    let mut data = world.follow(&owner, "/data/").await;
    data.settle().await;
    // Looked at, and nothing has changed.
    quality.look();
    assert_eq!(data.next(SECOND).await, None);
    checked(directory.path(), "shop", CONTRACT, "id\n1\n2\n", at(0));
    quality.look();
    data.until("look", 5 * SECOND).await;
    let contracts = world.twin(&owner, "/data/").await["contracts"]["rows"].take();
    assert_eq!(contracts[0]["state"], "holds", "{contracts}");
}
