//! Faults: the process is killed while it writes, the disk is full, requests are wrong. A store in a child process is the test's own
//! executable, started again with [`CHILD`] in its environment.

// A test may end in a panic; helpers outside of test functions too.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]

mod client;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use client::Client;
use stoke_objectstore::{Config, Credentials, ObjectStore};

/// Directory of the store that a child process serves.
const CHILD: &str = "STOKE_TEST_STORE";

#[test]
fn child() {
    let Some(directory) = std::env::var_os(CHILD) else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut config = Config::new(directory.into(), Ipv4Addr::LOCALHOST);
        config.port = Some(0);
        let store = ObjectStore::start(config).await.unwrap();
        println!("\nlistening {}", store.address());
        std::future::pending::<()>().await;
    });
}

struct Served {
    process: Child,
    client: Client,
}

impl Served {
    fn start(mut command: Command, directory: &Path) -> Option<Served> {
        command
            .args(["child", "--exact", "--nocapture", "--test-threads=1"])
            .env(CHILD, directory)
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut process = command.spawn().ok()?;
        let lines = BufReader::new(process.stdout.take()?).lines();
        let address = lines
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("listening ").map(str::to_string));
        let Some(address) = address else {
            let _ = process.kill();
            let _ = process.wait();
            return None;
        };
        let credentials = Credentials::load(&directory.join("credentials")).ok();
        // Within namespaces of its own the child's directory may not be seen from here.
        let credentials = credentials.unwrap_or(Credentials {
            access_key_id: String::new(),
            secret_access_key: String::new(),
        });
        let client = Client {
            address: address.parse().unwrap(),
            credentials,
        };
        Some(Served { process, client })
    }

    fn here(directory: &Path) -> Served {
        Served::start(Command::new(std::env::current_exe().unwrap()), directory).unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Bytes that say which write they are of, and how long they must be.
fn content(key: &str, number: usize) -> Vec<u8> {
    // Every third lies in a file, the others in the index.
    let size = 100 + (number * 7919) % 9000 + if number.is_multiple_of(3) { 30_000 } else { 0 };
    let mut bytes = format!("{key} {number} {size};").into_bytes();
    bytes.resize(size, number as u8);
    bytes
}

fn number_of(key: &str, bytes: &[u8]) -> usize {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(64)]).into_owned();
    let number: usize = head.split(' ').nth(1).unwrap().parse().unwrap();
    assert_eq!(bytes, content(key, number), "{key} is not whole");
    number
}

fn files_below(directory: &Path) -> usize {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .map(|entry| {
            if entry.path().is_dir() {
                files_below(&entry.path())
            } else {
                1
            }
        })
        .sum()
}

/// A client that waits for `100 Continue` and is refused leaves the body out. Its next request, sent on the same connection before it sees that this was
/// closed, must not lose its first byte to that body: it is not answered at all, and sent again.
#[test]
fn a_request_after_a_refused_expectation_is_not_taken_for_its_body() {
    let directory = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut config = Config::new(directory.path().into(), Ipv4Addr::LOCALHOST);
    config.port = Some(0);
    let store = runtime.block_on(ObjectStore::start(config)).unwrap();
    let mut stream = std::net::TcpStream::connect(store.address()).unwrap();
    let refused = "PUT /spark/key HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n";
    let next = "DELETE /spark/key HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(format!("{refused}{next}").as_bytes()).unwrap();
    let mut answers = Vec::new();
    // The connection may end with a reset, as there is something that was not read.
    let _ = stream.read_to_end(&mut answers);
    let answers = String::from_utf8_lossy(&answers).to_lowercase();
    assert!(answers.starts_with("http/1.1 403"), "{answers}");
    assert_eq!(answers.matches("http/1.1 ").count(), 1, "{answers}");
    assert!(answers.contains("connection: close"), "{answers}");
    runtime.block_on(store.stop());
}

#[test]
fn killed_at_any_moment_it_has_every_acknowledged_object_and_each_whole() {
    let directory = tempfile::tempdir().unwrap();
    // What is acknowledged, and what was tried.
    let known: Arc<Mutex<HashMap<String, (usize, usize)>>> = Arc::default();
    for round in 0..12u64 {
        let mut served = Served::here(directory.path());
        let stop = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let (client, known, stop) = (served.client.clone(), known.clone(), stop.clone());
                std::thread::spawn(move || {
                    for turn in 0.. {
                        if stop.load(Ordering::Relaxed) {
                            return;
                        }
                        let key = format!("k{writer}-{}", turn % 5);
                        let number = {
                            let mut known = known.lock().unwrap();
                            let entry = known.entry(key.clone()).or_default();
                            entry.1 += 1;
                            entry.1
                        };
                        if client.put(&format!("/spark/{key}"), &content(&key, number)) == Some(200) {
                            known.lock().unwrap().get_mut(&key).unwrap().0 = number;
                        }
                    }
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(60 + (round * 37) % 140));
        served.process.kill().unwrap();
        served.process.wait().unwrap();
        stop.store(true, Ordering::Relaxed);
        for writer in writers {
            writer.join().unwrap();
        }
        let again = Served::here(directory.path());
        let known = known.lock().unwrap();
        for (key, (acknowledged, tried)) in known.iter() {
            let found = again.client.get(&format!("/spark/{key}"));
            let number = found.map_or(0, |bytes| number_of(key, &bytes));
            assert!(
                (*acknowledged..=*tried).contains(&number),
                "{key}: acknowledged {acknowledged}, tried {tried}, found {number}"
            );
        }
    }
    let total: usize = known
        .lock()
        .unwrap()
        .values()
        .map(|(acknowledged, _)| acknowledged)
        .sum();
    assert!(total > 20, "the writers hardly wrote: {total}");
    // What killed writes and replaced objects left is gone, once the store was opened alone and has tidied.
    let again = Served::here(directory.path());
    for key in known.lock().unwrap().keys() {
        again.client.ask("DELETE", &format!("/spark/{key}"), "", &[], &[]);
    }
    drop(again);
    let store = stoke_objectstore::store::Store::open(directory.path(), true).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(store.tidy(0, true)).unwrap();
    for _ in 0..100 {
        if files_below(&directory.path().join("blobs")) == 0 {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("{} files are left", files_below(&directory.path().join("blobs")));
}

#[test]
fn a_full_disk_is_told_and_leaves_nothing_half() {
    let directory = tempfile::tempdir().unwrap();
    // A file system of 3 MiB of its own, which an ordinary user may mount in a user namespace.
    let mut command = Command::new("unshare");
    let script = format!(
        "mount -t tmpfs -o size=3m none {0} && exec \"$@\"",
        directory.path().display()
    );
    command
        .args(["-Urm", "sh", "-c", &script, "sh"])
        .arg(std::env::current_exe().unwrap());
    let Some(mut served) = Served::start(command, directory.path()) else {
        eprintln!("skipped: `unshare -Urm` cannot mount a tmpfs here");
        return;
    };
    let inside = format!(
        "/proc/{}/root{}/credentials",
        served.process.id(),
        directory.path().display()
    );
    served.client.credentials = Credentials::load(Path::new(&inside)).unwrap();
    let client = &served.client;
    assert_eq!(client.put("/spark/kept", &[1; 500_000]), Some(200));
    let refused = client.ask("PUT", "/spark/kept", "", &[], &vec![2; 4 << 20]).unwrap();
    let text = String::from_utf8_lossy(&refused.body).into_owned();
    assert_eq!(refused.status, 507, "{text}");
    assert!(
        text.contains("<Code>InsufficientStorage</Code>") && text.contains("disk"),
        "{text}"
    );
    assert_eq!(
        client.get("/spark/kept"),
        Some(vec![1; 500_000]),
        "the old object stands"
    );
    // What the refused write took is free again.
    assert_eq!(client.put("/spark/second", &[3; 500_000]), Some(200));
    // Small objects, which lie in the index, fill it in turn; all that were acknowledged are there.
    let mut acknowledged = 0;
    for number in 0..1000 {
        match client.put(&format!("/spark/small/{number}"), &[4; 12_000]) {
            Some(200) => acknowledged += 1,
            refused => {
                assert_eq!(refused, Some(507), "after {acknowledged}");
                break;
            }
        }
    }
    assert!((10..1000).contains(&acknowledged), "{acknowledged}");
    for number in 0..acknowledged {
        assert_eq!(client.get(&format!("/spark/small/{number}")), Some(vec![4; 12_000]));
    }
}

#[test]
fn wrong_requests_are_refused_and_do_no_harm() {
    let directory = tempfile::tempdir().unwrap();
    let served = Served::here(directory.path());
    let client = &served.client;
    let code = |answer: Option<client::Answer>| {
        let answer = answer.unwrap();
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let code = text
            .split("<Code>")
            .nth(1)
            .and_then(|rest| rest.split('<').next())
            .unwrap_or_default();
        (answer.status, code.to_string())
    };
    let is = |status: u16, code: &str| (status, code.to_string());
    // More than 5 GiB is refused before a byte of it is taken.
    let huge = [("content-length", "5368709121")];
    assert_eq!(
        code(client.ask("PUT", "/spark/huge", "", &huge, b"x")),
        is(400, "EntityTooLarge")
    );
    // Paths lead nowhere but into the index.
    for path in ["/spark/../../etc/passwd", "/spark/.", "/spark/a%00b"] {
        assert_eq!(client.put(path, b"x"), Some(200), "{path}");
        assert_eq!(client.get(path), Some(b"x".to_vec()), "{path}");
    }
    assert_eq!(
        code(client.ask("GET", "/spark/%ff%fe", "", &[], &[])),
        is(400, "InvalidURI")
    );
    assert_eq!(code(client.ask("GET", "/..", "", &[], &[])).0, 400);
    assert_eq!(
        code(client.ask("PUT", "/spark/k", "partNumber=0&uploadId=x", &[], b"x")),
        is(400, "InvalidArgument")
    );
    assert_eq!(
        code(client.ask("PUT", "/spark/k", "partNumber=1&uploadId=x", &[], b"x")),
        is(404, "NoSuchUpload")
    );
    assert_eq!(code(client.ask("POST", "/spark", "delete=", &[], b"<Delete")).0, 400);
    assert_eq!(
        code(client.ask("GET", "/spark", "acl=", &[], &[])),
        is(501, "NotImplemented")
    );
    assert_eq!(
        code(client.ask("GET", "/spark", "list-type=2&max-keys=-1", &[], &[])),
        is(400, "InvalidArgument")
    );
    // A bucket may be named by the host.
    assert_eq!(client.put("/spark/by-path", b"1"), Some(200));
    let answer = client
        .ask_at("spark.localhost:9000", "GET", "/by-path", "", &[], &[])
        .unwrap();
    assert_eq!((answer.status, answer.body), (200, b"1".to_vec()));
    let answer = client
        .ask_at("spark.object-store.default.svc", "GET", "/by-path", "", &[], &[])
        .unwrap();
    assert_eq!(answer.status, 200);
    // A body that breaks off leaves nothing.
    let _ = client.ask(
        "PUT",
        "/spark/broken",
        "",
        &[("content-length", "100000"), client::LEAVE],
        &[0; 40_000],
    );
    assert_eq!(
        code(client.ask("GET", "/spark/broken", "", &[], &[])),
        is(404, "NoSuchKey")
    );
    // Keys with side effects nowhere: the directory holds what it held.
    let names: Vec<String> = std::fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    let expected = [
        "blobs",
        "credentials",
        "index.db",
        "index.db-shm",
        "index.db-wal",
        "lock",
    ];
    assert!(names.iter().all(|name| expected.contains(&name.as_str())), "{names:?}");
}

#[test]
fn two_processes_have_the_same_objects_and_parts_survive_both() {
    let directory = tempfile::tempdir().unwrap();
    let (one, two) = (Served::here(directory.path()), Served::here(directory.path()));
    assert_eq!(one.client.credentials, two.client.credentials);
    let large = content("a", 3);
    assert_eq!(one.client.put("/spark/a", &large), Some(200));
    assert_eq!(two.client.get("/spark/a"), Some(large));
    let begun = one.client.ask("POST", "/spark/parts", "uploads=", &[], &[]).unwrap();
    let text = String::from_utf8_lossy(&begun.body).into_owned();
    let upload = text
        .split("<UploadId>")
        .nth(1)
        .unwrap()
        .split('<')
        .next()
        .unwrap()
        .to_string();
    let put = |client: &Client, number: usize, bytes: &[u8]| {
        let query = format!("partNumber={number}&uploadId={upload}");
        let answer = client.ask("PUT", "/spark/parts", &query, &[], bytes).unwrap();
        let etag = answer
            .head
            .lines()
            .find_map(|line| line.strip_prefix("etag: "))
            .unwrap()
            .to_string();
        format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>")
    };
    let first = put(&one.client, 1, &vec![1; 5 << 20]);
    let second = put(&two.client, 2, b"end");
    drop((one, two));
    let three = Served::here(directory.path());
    let body = format!("<CompleteMultipartUpload>{first}{second}</CompleteMultipartUpload>");
    let done = three
        .client
        .ask(
            "POST",
            "/spark/parts",
            &format!("uploadId={upload}"),
            &[],
            body.as_bytes(),
        )
        .unwrap();
    assert_eq!(done.status, 200, "{}", String::from_utf8_lossy(&done.body));
    let whole = three.client.get("/spark/parts").unwrap();
    assert_eq!((whole.len(), &whole[5 << 20..]), ((5 << 20) + 3, &b"end"[..]));
}
