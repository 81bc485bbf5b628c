//! Clients that read by the byte and clients that send half a request, many more than the server has threads: others get their answers,
//! memory stays small, and the slow ones lose their places.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use peak_alloc::PeakAlloc;
use stoke_eventlog::Source;
use stoke_history::connections::{Patience, serve_with};
use stoke_history::index::{Index, Settings};
use stoke_history::serve;
use tokio::runtime::Runtime;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// Clients of each kind.
const CLIENTS: usize = 48;
/// Questions they ask: the same one is answered once for all that read its answer.
const QUESTIONS: usize = 12;
/// Threads for what blocks.
const THREADS: usize = 4;
const JOBS: i32 = 8;
/// Bytes of the description of a job: the answer is much longer than what a connection holds by itself.
const DESCRIPTION: usize = 1 << 20;
/// A busy machine answers late, one without a thread for it never.
const LATE: Duration = Duration::from_secs(60);

/// Serves a directory on few threads.
fn server(directory: &Path, patience: Patience) -> (Runtime, SocketAddr) {
    let index = Arc::new(Index::new(Source::directory(directory), Settings::default(), None));
    index.scan().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(THREADS)
        .enable_all()
        .build()
        .unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(serve_with(listener, serve::router(index), patience));
    (runtime, address)
}

fn write_log(directory: &Path) {
    let described = |id: i32| {
        let text = "x".repeat(DESCRIPTION);
        common::job(id).replacen(
            "\"Properties\":{}",
            &format!("\"Properties\":{{\"spark.job.description\":\"{text}\"}}"),
            1,
        )
    };
    let jobs: String = (0..JOBS).map(described).collect();
    fs::write(directory.join("a"), common::start("a") + &jobs + common::END).unwrap();
}

fn ask(address: SocketAddr, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LATE)).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    stream
}

fn question(path: &str) -> String {
    format!("GET /api/v1/applications/a/{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
}

fn answered(mut stream: TcpStream) -> String {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    String::from_utf8(all).unwrap()
}

/// Whether the server has ended a connection; reads what is there until then.
fn ended(stream: &mut TcpStream, until: Instant) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let mut bytes = [0; 64 << 10];
    while Instant::now() < until {
        match stream.read(&mut bytes) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => return true,
        }
    }
    false
}

#[test]
fn slow_clients_hold_neither_threads_nor_memory() {
    let directory = tempfile::tempdir().unwrap();
    write_log(directory.path());
    let forever = 60 * LATE;
    let (runtime, address) = server(
        directory.path(),
        Patience {
            request: forever,
            answer: forever,
        },
    );
    let long = answered(ask(address, &question("jobs")));
    assert!(long.starts_with("HTTP/1.1 200") && long.len() > JOBS as usize * DESCRIPTION);
    let before = HEAP.current_usage();
    HEAP.reset_peak_usage();

    let jobs = |client: usize| question(&format!("jobs?client={}", client % QUESTIONS));
    let mut slow: Vec<TcpStream> = (0..CLIENTS).map(|client| ask(address, &jobs(client))).collect();
    let half: Vec<TcpStream> = (0..CLIENTS)
        .map(|_| ask(address, "GET /api/v1/applications HTT"))
        .collect();
    for _ in 0..3 {
        let mut byte = [0];
        for stream in &mut slow {
            stream.read_exact(&mut byte).unwrap();
        }
        let begun = Instant::now();
        let short = answered(ask(address, &question("stages/0")));
        assert!(
            short.starts_with("HTTP/1.1 200") && begun.elapsed() < LATE,
            "{:?}",
            begun.elapsed()
        );
        let again = answered(ask(address, &question("jobs")));
        assert!(
            without_date(&again) == without_date(&long),
            "an answer is whole whatever else is under way"
        );
    }
    // What is read here is one long answer at a time.
    let taken = HEAP.peak_usage().saturating_sub(before).saturating_sub(4 * long.len());
    let all = CLIENTS * long.len();
    assert!(taken < all / 8, "{} MiB of {} MiB", taken >> 20, all >> 20);

    // Who goes on reading gets all of it.
    let mut one = slow.pop().unwrap();
    let mut rest = Vec::new();
    one.read_to_end(&mut rest).unwrap();
    assert_eq!(rest.len() + 3, long.len());
    drop((slow, half));
    runtime.shutdown_timeout(Duration::from_secs(5));
}

fn without_date(answer: &str) -> String {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let lines = head.lines().filter(|line| !line.starts_with("date"));
    lines.chain([body]).collect()
}

#[test]
fn who_does_nothing_for_too_long_loses_the_connection() {
    let directory = tempfile::tempdir().unwrap();
    write_log(directory.path());
    let patience = Patience {
        request: Duration::from_secs(1),
        answer: Duration::from_secs(1),
    };
    let (runtime, address) = server(directory.path(), patience);
    let mut silent = ask(address, "");
    let mut half = ask(address, "GET /api/v1/version HTTP/1.1\r\nHost: local");
    let mut idle = ask(address, "GET /api/v1/version HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut reads_nothing = ask(address, &question("jobs"));
    let until = Instant::now() + LATE;
    for (what, stream) in [
        ("nothing sent", &mut silent),
        ("half sent", &mut half),
        ("nothing more sent", &mut idle),
    ] {
        assert!(ended(stream, until), "{what}");
    }
    // Nothing is taken until long after the bound, then what the connection holds by itself is there, and no more.
    std::thread::sleep(Duration::from_secs(4));
    let mut got = 0;
    let mut bytes = vec![0; 1 << 20];
    while let Ok(count @ 1..) = reads_nothing.read(&mut bytes) {
        got += count;
    }
    assert!(got < JOBS as usize * DESCRIPTION, "{got} bytes");
    assert!(answered(ask(address, &question("stages/0"))).starts_with("HTTP/1.1 200"));
    runtime.shutdown_timeout(Duration::from_secs(5));
}
