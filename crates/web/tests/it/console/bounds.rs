//! What slow, long and prefixed requests come to.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_slow_forms_hold_up_no_one() {
    let world = World::by_link().await;
    let owner = world.owner().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = world.router.clone();
    let serving = tokio::spawn(async move { stoke_history::connections::serve(listener, router).await });
    let mut slow = Vec::new();
    for _ in 0..1000 {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let head = format!(
            "POST /check/ HTTP/1.1\r\nHost: {address}\r\nCookie: {}\r\nContent-Length: 1000\r\n\r\nm",
            owner.cookie
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    let begun = Instant::now();
    let mut quick = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!(
        "GET / HTTP/1.1\r\nHost: {address}\r\nCookie: {}\r\nConnection: close\r\n\r\n",
        owner.cookie
    );
    quick.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    quick.read_to_string(&mut answer).await.unwrap();
    let took = begun.elapsed();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(took < Duration::from_secs(2), "{took:?}");
    println!("a page beside 1,000 slow forms: {took:?}");
    drop(slow);
    serving.abort();
}

/// A node whose one log has a line of 100 MB, whatever is asked for.
struct Long;

impl Kubelet for Long {
    fn logs(&self, _: LogRequest) -> Answered<futures::stream::BoxStream<'static, Bytes>> {
        let block = Bytes::from(vec![b'x'; 1 << 20]);
        let first = b"26/11/23 23:04:13 WARN A: <script>alert(1)</script> \x1b[31m\n26/11/23 23:04:14 ERROR B: ";
        let lines = std::iter::once(Bytes::from_static(first)).chain(std::iter::repeat_n(block, 100));
        Box::pin(
            async move { Ok(Box::pin(futures::stream::iter(lines)) as futures::stream::BoxStream<'static, Bytes>) },
        )
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
async fn a_line_of_a_hundred_megabytes_is_a_small_page() {
    let world = World::by_link().await;
    let owner = world.owner().await;
    world
        .submit(
            "pi",
            json!({"applicationState": {"state": "RUNNING"}, "driverInfo": {"podName": "pi-driver"}}),
        )
        .await;
    world
        .pod("pi-driver", "pi", "driver", Some("n1"), json!({"phase": "Running"}))
        .await;
    world.server.set_kubelet(Arc::new(Long));
    let begun = Instant::now();
    let page = world.get(&owner, "/applications/default/pi/log/").await;
    let (text, took) = (page.text(), begun.elapsed());
    println!("{} bytes after {took:?}", text.len());
    assert!(
        text.len() < 64 << 10 && took < Duration::from_secs(5),
        "{} {took:?}",
        text.len()
    );
    assert!(text.contains("&lt;script&gt;alert(1)") && text.contains("␛[31m") && text.contains("8 MiB at most"));
    let twin = world.twin(&owner, "/applications/default/pi/log/?level=error").await;
    assert_eq!(twin["log"].as_array().unwrap().len(), 1);
    assert!(
        twin["log"][0]["cut"].as_u64().unwrap() > 1 << 20,
        "{}",
        twin["log"][0]["cut"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_stands_before_everything() {
    let world = World::by_link().await;
    let request = Request::get(&world.link)
        .header("host", HOST)
        .header("x-forwarded-prefix", "/spark")
        .header("x-forwarded-proto", "https");
    let answer = world.ask(request.body(Body::empty()).unwrap()).await;
    let cookie = answer.header("set-cookie");
    assert!(
        answer.header("location") == "/spark/" && cookie.contains("Path=/spark;") && cookie.ends_with("; Secure"),
        "{cookie}"
    );
    let request = Request::get("/check/")
        .header("host", HOST)
        .header("x-forwarded-prefix", "/spark");
    let page = world
        .ask(
            request
                .header("cookie", Browser::of(&answer).cookie)
                .body(Body::empty())
                .unwrap(),
        )
        .await
        .text();
    for attribute in [" href=\"/", " src=\"/", " action=\"/"] {
        for rest in page.split(attribute).skip(1) {
            assert!(rest.starts_with("spark/"), "{}", &rest[..30]);
        }
    }
}
