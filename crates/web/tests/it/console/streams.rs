//! Pages that are told of changes.

use std::sync::Mutex;

use super::*;

/// A stream, as a browser reads it.
pub struct Events {
    pub status: StatusCode,
    headers: http::HeaderMap,
    body: Body,
    text: String,
    pub is_over: bool,
}

impl World {
    pub async fn follow(&self, browser: &Browser, page: &str) -> Events {
        let of: String = page
            .replace('%', "%25")
            .replace('?', "%3F")
            .replace('=', "%3D")
            .replace('&', "%26");
        let request = Request::get(format!("/live?of={of}"))
            .header("host", HOST)
            .header("cookie", &browser.cookie);
        let response = self
            .router
            .clone()
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        let (head, body) = response.into_parts();
        Events {
            status: head.status,
            headers: head.headers,
            body,
            text: String::new(),
            is_over: false,
        }
    }

    async fn status(&self, name: &str, status: Value) {
        let api: Api<SparkApplication> = self.api();
        let patch = Patch::Merge(json!({ "status": status }));
        api.patch_status(name, &PatchParams::default(), &patch).await.unwrap();
    }
}

impl Events {
    /// The next event; none when the stream is over, or nothing comes.
    pub async fn next(&mut self, within: Duration) -> Option<String> {
        let deadline = tokio::time::Instant::now() + within;
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let name = event
                    .lines()
                    .find_map(|line| line.strip_prefix("event: "))
                    .unwrap_or_default();
                let found = name.to_owned();
                self.text = rest.to_owned();
                return Some(found);
            }
            if self.is_over {
                return None;
            }
            let frame = tokio::time::timeout_at(deadline, self.body.frame()).await.ok()?;
            self.is_over = frame.is_none();
            let frame = frame?;
            let bytes = frame.unwrap().into_data().unwrap();
            self.text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }

    /// Reads what comes until nothing does for a while.
    pub async fn settle(&mut self) {
        while self.next(Duration::from_millis(1200)).await.is_some() {}
    }

    pub async fn until(&mut self, name: &str, within: Duration) -> Duration {
        let begun = Instant::now();
        loop {
            let event = self.next(within.saturating_sub(begun.elapsed())).await;
            let event = event.unwrap_or_else(|| panic!("no event {name} within {within:?}"));
            if event == name {
                return begun.elapsed();
            }
        }
    }
}

/// Rules that also let watch.
pub fn watches(resources: &[(&str, &str)]) -> Value {
    let rule = |(group, resource): &(&str, &str)| json!({"apiGroups": [group], "resources": [resource], "verbs": ["get", "list", "watch"]});
    resources.iter().map(rule).collect()
}

pub const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_on_the_page_within_a_second() {
    let everything = [APPLICATIONS, ("", "pods"), ("", "events")];
    let by_link = World::by_link().await;
    let owner = by_link.owner().await;
    let by_token = World::by_token(Terms::CLUSTER).await;
    let watcher = by_token.robot("watcher", watches(&everything)).await;
    let watcher = Browser::of(&by_token.sign_in(&watcher, "default").await);
    // Who may not watch is told all the same.
    let reader = by_token.robot("reader", reads(&everything)).await;
    let reader = Browser::of(&by_token.sign_in(&reader, "default").await);
    for (world, browser, who) in [
        (&by_link, &owner, "owner"),
        (&by_token, &watcher, "watcher"),
        (&by_token, &reader, "reader"),
    ] {
        let page = world.get(browser, "/").await.text();
        assert!(page.contains("data-stream=\"/live?of=%2F\""), "{page}");
        let mut home = world.follow(browser, "/").await;
        assert_eq!(home.status, StatusCode::OK, "{who}");
        for (name, value) in [
            ("content-type", "text/event-stream; charset=utf-8"),
            ("cache-control", "no-store, no-transform"),
            ("x-accel-buffering", "no"),
        ] {
            assert_eq!(home.headers[name], value);
        }
        assert!(!home.headers.contains_key("content-encoding"));
        assert!(
            home.headers["content-security-policy"]
                .to_str()
                .unwrap()
                .contains("connect-src 'self'")
        );
        assert_eq!(home.next(SECOND).await.unwrap(), "alive");
        home.until("look", SECOND).await;
        let app = format!("of-{who}");
        world.submit(&app, Value::Null).await;
        let begun = Instant::now();
        loop {
            home.until("look", 2 * SECOND).await;
            let page = world.get(browser, "/").await.text();
            if page.contains(&format!("/applications/default/{app}/")) {
                break;
            }
        }
        let took = begun.elapsed();
        println!("home, {who}: {took:?}");
        assert!(
            took < SECOND + Duration::from_millis(200) * u32::from(who == "reader"),
            "{who} {took:?}"
        );
        let path = format!("/applications/default/{app}/");
        let mut one = world.follow(browser, &path).await;
        one.until("look", SECOND).await;
        world
            .status(
                &app,
                json!({"applicationState": {"state": "RUNNING"}, "driverInfo": {"podName": format!("{app}-driver")}}),
            )
            .await;
        let begun = Instant::now();
        loop {
            one.until("look", 2 * SECOND).await;
            if world.twin(browser, &path).await["state"] == "running" {
                break;
            }
        }
        println!("its page, {who}: {:?}", begun.elapsed());
        assert!(begun.elapsed() < SECOND + Duration::from_millis(300) * u32::from(who == "reader"));
        // A pod of it is a change of its page.
        let before = Instant::now();
        world
            .pod(
                &format!("{app}-driver"),
                &app,
                "driver",
                Some("n1"),
                json!({"phase": "Running"}),
            )
            .await;
        loop {
            one.until("look", 2 * SECOND).await;
            if world.twin(browser, &path).await["pods"]["total"] == 1 {
                break;
            }
        }
        assert!(before.elapsed() < 2 * SECOND);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_changes_are_few_looks() {
    let world = World::by_link().await;
    let owner = world.owner().await;
    world.submit("busy", Value::Null).await;
    let mut events = world.follow(&owner, "/applications/default/busy/").await;
    events.until("look", SECOND).await;
    let begun = Instant::now();
    let mut changes = 0;
    while begun.elapsed() < SECOND {
        changes += 1;
        world
            .status(
                "busy",
                json!({"applicationState": {"state": "RUNNING"}, "executionAttempts": changes}),
            )
            .await;
    }
    let mut looks = 0;
    while let Some(event) = events.next(Duration::from_millis(800)).await {
        looks += usize::from(event == "look");
    }
    println!("{changes} changes, {looks} looks");
    assert!(changes > 20 && (1..=8).contains(&looks), "{changes} {looks}");
    assert_eq!(
        world.twin(&owner, "/applications/default/busy/").await["application"]["attempts"],
        changes
    );
}

/// A node whose one log is written while it is followed.
#[derive(Default)]
struct Writing {
    written: Mutex<Vec<u8>>,
    more: tokio::sync::Notify,
}

struct Node(Arc<Writing>);

impl Kubelet for Node {
    fn logs(&self, request: LogRequest) -> Answered<futures::stream::BoxStream<'static, Bytes>> {
        let (log, follow) = (self.0.clone(), request.options.follow);
        let all = self.0.written.lock().unwrap().clone();
        let from = if follow { all.len() } else { 0 };
        let parts = futures::stream::unfold((log, from, true), move |(log, mut from, is_first)| async move {
            if is_first && !follow {
                let all = Bytes::from(log.written.lock().unwrap().clone());
                return Some((all, (log, from, false)));
            }
            if !follow {
                return None;
            }
            let waited = log.clone();
            loop {
                let more = waited.more.notified();
                let all = log.written.lock().unwrap().clone();
                if all.len() > from {
                    let part = Bytes::from(all[from..].to_vec());
                    from = all.len();
                    return Some((part, (log, from, false)));
                }
                more.await;
            }
        });
        Box::pin(async move { Ok(Box::pin(parts) as futures::stream::BoxStream<'static, Bytes>) })
    }

    fn exec(&self, _: ContainerName, _: Vec<String>, _: Streams) -> Answered<Process> {
        not_here()
    }

    fn attach(&self, _: ContainerName, _: Streams) -> Answered<Process> {
        not_here()
    }

    fn connect(&self, _: ContainerName, _: u16) -> Answered<tokio::net::TcpStream> {
        not_here()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_followed_as_it_is_written() {
    let world = World::by_link().await;
    let owner = world.owner().await;
    let node = Arc::<Writing>::default();
    world.server.set_kubelet(Arc::new(Node(node.clone())));
    world
        .submit(
            "pi",
            json!({"applicationState": {"state": "RUNNING"}, "driverInfo": {"podName": "pi-driver"}}),
        )
        .await;
    let path = "/applications/default/pi/log/";
    // It is open before there is a pod.
    let mut events = world.follow(&owner, path).await;
    events.settle().await;
    world
        .pod("pi-driver", "pi", "driver", Some("n1"), json!({"phase": "Running"}))
        .await;
    events.until("look", SECOND).await;
    events.settle().await;
    for number in 0..3 {
        node.written
            .lock()
            .unwrap()
            .extend(format!("26/11/23 23:04:13 INFO A: line {number}\n").bytes());
        let begun = Instant::now();
        node.more.notify_waiters();
        loop {
            events.until("look", 2 * SECOND).await;
            let page = world.get(&owner, path).await.text();
            if page.contains(&format!("line {number}")) {
                break;
            }
        }
        let took = begun.elapsed();
        println!("a line: {took:?}");
        assert!(took < SECOND, "{took:?}");
        events.settle().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_its_session() {
    let world = World::by_link().await;
    let owner = world.owner().await;
    let csrf = csrf_of(&world.get(&owner, "/check/").await);
    let mut events = world.follow(&owner, "/").await;
    events.settle().await;
    let origin = format!("http://{HOST}");
    world
        .post(&owner, "/sign-out", &[("origin", &origin)], &format!("csrf={csrf}"))
        .await;
    events.until("end", SECOND).await;
    assert_eq!(events.next(SECOND).await, None);
    assert!(events.is_over, "the answer goes on");
    assert_eq!(world.follow(&owner, "/").await.status, StatusCode::UNAUTHORIZED);
    // By the clock: a stream does not keep a session.
    let terms = Terms {
        idle: Duration::from_millis(700),
        ..Terms::CLUSTER
    };
    let world = World::by_token(terms).await;
    let token = world.robot("reader", watches(&[APPLICATIONS])).await;
    let browser = Browser::of(&world.sign_in(&token, "default").await);
    let mut events = world.follow(&browser, "/").await;
    let took = events.until("end", 2 * SECOND).await;
    assert!(took < Duration::from_millis(1200), "{took:?}");
    // A person who asks for a page does.
    let browser = Browser::of(&world.sign_in(&token, "default").await);
    let mut events = world.follow(&browser, "/").await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(world.get(&browser, "/check/").await.status, StatusCode::OK);
    let took = events.until("end", 2 * SECOND).await;
    assert!(took > Duration::from_millis(500), "{took:?}");
    // Other namespaces: the browser is to open another one.
    let browser = Browser::of(&world.sign_in(&token, "").await);
    let page = world.get(&browser, "/").await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    let mut events = world.follow(&browser, "/").await;
    let form = format!("csrf={}&namespaces=default", csrf_of(&page));
    let chosen = world.post(&browser, "/namespaces", &[("origin", &origin)], &form).await;
    assert_eq!(chosen.status, StatusCode::SEE_OTHER);
    while events.next(SECOND).await.is_some() {}
    assert!(events.is_over, "the answer goes on");
    assert_eq!(world.get(&browser, "/").await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_of_pages_that_change_and_for_who_has_a_session() {
    let world = World::by_link().await;
    let owner = world.owner().await;
    for (page, status) in [
        ("/", StatusCode::OK),
        ("/?q=x&state=running", StatusCode::OK),
        ("/cluster/", StatusCode::OK),
        ("/check/", StatusCode::NOT_FOUND),
        // It is not there, and has ended.
        ("/history/app-1/", StatusCode::NOT_FOUND),
        ("/compare", StatusCode::NOT_FOUND),
        ("", StatusCode::NOT_FOUND),
        ("//evil.example.com/", StatusCode::NOT_FOUND),
        ("https://evil.example.com/x", StatusCode::NOT_FOUND),
    ] {
        assert_eq!(world.follow(&owner, page).await.status, status, "{page}");
    }
    assert_eq!(
        world.follow(&Browser::default(), "/").await.status,
        StatusCode::UNAUTHORIZED
    );
    let ask = async |name: &str, value: &str| {
        let request = Request::get("/live?of=/").header("host", HOST).header(name, value);
        let request = request.header("cookie", &owner.cookie).body(Body::empty()).unwrap();
        world.router.clone().oneshot(request).await.unwrap().status()
    };
    assert_eq!(ask("sec-fetch-site", "same-origin").await, StatusCode::OK);
    assert_eq!(ask("sec-fetch-site", "cross-site").await, StatusCode::FORBIDDEN);
    let secret = world.link.split('=').nth(1).unwrap().to_owned();
    assert_eq!(
        ask("authorization", &format!("Bearer {secret}")).await,
        StatusCode::NOT_FOUND
    );
    // Behind a prefix.
    let request = Request::get("/cluster/")
        .header("host", HOST)
        .header("cookie", &owner.cookie);
    let request = request
        .header("x-forwarded-prefix", "/spark")
        .body(Body::empty())
        .unwrap();
    let page = world.ask(request).await.text();
    assert!(page.contains("data-stream=\"/spark/live?of=%2Fcluster%2F\""), "{page}");
}

/// Asks for a stream; its status, and the connection.
async fn stream_at(address: std::net::SocketAddr, browser: &Browser) -> (String, tokio::net::TcpStream) {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!(
        "GET /live?of=%2F HTTP/1.1\r\nHost: {address}\r\nCookie: {}\r\n\r\n",
        browser.cookie
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.unwrap();
    (String::from_utf8(first.to_vec()).unwrap(), stream)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_streams_of_one_visitor_hurt_no_other() {
    let world = World::by_token(Terms::CLUSTER).await;
    let mut browsers = Vec::new();
    for name in ["greedy", "modest"] {
        let token = world.robot(name, watches(&[APPLICATIONS])).await;
        for _ in 0..5 {
            browsers.push(Browser::of(&world.sign_in(&token, "default").await));
        }
    }
    let (greedy, modest) = browsers.split_at(5);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = world.router.clone();
    let serving = tokio::spawn(async move { stoke_history::connections::serve(listener, router).await });
    let mut open = Vec::new();
    let mut refused = 0;
    for number in 0..1000 {
        match stream_at(address, &greedy[number % 5]).await {
            (status, stream) if status == "HTTP/1.1 200" => open.push(stream),
            (status, stream) => {
                assert_eq!(status, "HTTP/1.1 429");
                refused += 1;
                drop(stream);
            }
        }
    }
    assert_eq!((open.len(), refused), (16, 984));
    // Another visitor's page is told of a change as soon as before, and comes as soon.
    let mut events = world.follow(&modest[0], "/").await;
    assert_eq!(events.status, StatusCode::OK);
    events.settle().await;
    world.submit("pi", Value::Null).await;
    let took = events.until("look", SECOND).await;
    let begun = Instant::now();
    assert!(
        world
            .get(&modest[0], "/")
            .await
            .text()
            .contains("/applications/default/pi/")
    );
    println!(
        "beside 1,000 streams: told after {took:?}, the page after {:?}",
        begun.elapsed()
    );
    assert!(begun.elapsed() < SECOND);
    // Who goes away gives their places back, and no one has to write to them first.
    drop(open);
    eventually("there is room again", 5 * SECOND, async || {
        stream_at(address, &greedy[0]).await.0 == "HTTP/1.1 200"
    })
    .await;
    // The server ends at once, and so do its streams.
    let (status, mut last) = stream_at(address, &modest[1]).await;
    assert_eq!(status, "HTTP/1.1 200");
    let begun = Instant::now();
    serving.abort();
    let _ = serving.await;
    let mut rest = Vec::new();
    let read = tokio::time::timeout(SECOND, last.read_to_end(&mut rest)).await;
    assert!(read.is_ok(), "the stream goes on without its server");
    println!("the server ended after {:?}", begun.elapsed());
}
