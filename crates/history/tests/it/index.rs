//! The shelf: logs that come, grow, change and go; what is kept between runs; and the API over HTTP.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use crate::common::{END, job, start};
use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use stoke_eventlog::Source;
use stoke_history::cache::Cache;
use stoke_history::index::{Index, Settings};
use stoke_history::listing::Attempt;
use stoke_history::rest::Library;
use stoke_history::serve;
use tower::ServiceExt;

fn index(directory: &Path, cache: Option<&Path>, memory: usize) -> Index {
    let settings = Settings {
        memory,
        ..Settings::default()
    };
    Index::new(
        Source::directory(directory),
        settings,
        cache.map(|cache| Cache::open(cache).unwrap()),
    )
}

fn listed(index: &Index, id: &str) -> Attempt {
    let listed = index.listed();
    listed.iter().find(|listed| listed.id == id).unwrap().attempts[0].clone()
}

fn jobs(index: &Index, id: &str) -> usize {
    index.view(&listed(index, id)).unwrap().unwrap().jobs().count()
}

/// A log of three jobs with an event that cannot be compressed away.
fn compressed(id: &str) -> Vec<u8> {
    let mut number = 7u64;
    let mut noise = String::with_capacity(12 << 20);
    while noise.len() < 12 << 20 {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        noise.push_str(&format!("{:016x}", number ^ (number >> 29)));
    }
    let filler = format!("{{\"Event\":\"org.example.Noise\",\"x\":\"{noise}\"}}\n");
    zstd::bulk::compress((start(id) + &job(0) + &filler + &job(1) + &job(2) + END).as_bytes(), 1).unwrap()
}

#[test]
fn a_compressed_log_is_replayed_while_it_is_looked_at() {
    let directory = tempfile::tempdir().unwrap();
    let cached = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("a.zstd"), compressed("a")).unwrap();
    fs::write(directory.path().join("b"), start("b") + &job(0) + END).unwrap();
    let shelf = |threads: usize, cache: Option<&Path>| {
        let mut settings = Settings::default();
        settings.options.threads = threads;
        let cache = cache.map(|cache| Cache::open(cache).unwrap());
        let index = Index::new(Source::directory(directory.path()), settings, cache);
        assert_eq!(index.scan().unwrap().changed, 2);
        index
    };
    let (alone, both, kept) = (shelf(1, None), shelf(2, None), shelf(2, Some(cached.path())));
    assert_eq!(
        alone.listed(),
        both.listed(),
        "it is listed as one that was only looked at"
    );
    assert!(alone.listed().iter().all(|one| one.attempts[0].completed));
    for (index, at_hand) in [(&alone, false), (&both, true), (&kept, true)] {
        assert_eq!(index.at_hand(&listed(index, "a")).is_some(), at_hand);
        assert!(index.at_hand(&listed(index, "b")).is_none());
        assert_eq!((jobs(index, "a"), jobs(index, "b")), (3, 1));
    }
    // What was replayed is in the cache; of two such logs none is replayed before it is asked for.
    let again = index(directory.path(), Some(cached.path()), 1 << 30);
    again.scan().unwrap();
    assert!(again.at_hand(&listed(&again, "a")).is_none());
    assert_eq!(jobs(&again, "a"), 3);
    fs::write(directory.path().join("c.zstd"), compressed("c")).unwrap();
    let more = index(directory.path(), None, 1 << 30);
    more.scan().unwrap();
    assert!(
        ["a", "c"]
            .into_iter()
            .all(|id| more.at_hand(&listed(&more, id)).is_none())
    );
    assert_eq!((jobs(&more, "a"), jobs(&more, "c")), (3, 3));
}

#[test]
fn logs_come_grow_end_and_go() {
    let directory = tempfile::tempdir().unwrap();
    let running = directory.path().join("a.inprogress");
    let index = index(directory.path(), None, 1 << 30);
    index.scan().unwrap();
    assert!(index.listed().is_empty());

    // The last line is only half there.
    let second = job(1);
    let (half, rest) = second.split_at(second.len() / 2);
    fs::write(&running, start("a") + &job(0) + half).unwrap();
    assert_eq!(index.scan().unwrap().changed, 1);
    assert!(!index.listed()[0].attempts[0].completed);
    assert_eq!(jobs(&index, "a"), 2, "the second job has started");

    let text = fs::read_to_string(&running).unwrap();
    fs::write(&running, text + rest + &job(2)).unwrap();
    assert_eq!(index.scan().unwrap().changed, 1);
    assert_eq!(jobs(&index, "a"), 3);
    let view = index.view(&index.listed()[0].attempts[0]).unwrap().unwrap();
    for stage in view.stages() {
        assert_eq!(
            (stage.completed_tasks, view.tasks((stage.id, 0)).count()),
            (1, 1),
            "no event was taken twice"
        );
    }

    let text = fs::read_to_string(&running).unwrap();
    fs::write(directory.path().join("a"), text + END).unwrap();
    fs::remove_file(&running).unwrap();
    index.scan().unwrap();
    let attempt = &index.listed()[0].attempts[0];
    assert_eq!((attempt.completed, attempt.duration), (true, 4000));
    assert_eq!(jobs(&index, "a"), 3);
    assert_eq!(index.scan().unwrap().changed, 0);

    fs::remove_file(directory.path().join("a")).unwrap();
    index.scan().unwrap();
    assert!(index.listed().is_empty());
}

#[test]
fn a_log_that_was_written_anew_is_not_taken_for_one_that_grew() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a");
    fs::write(&file, start("a") + &job(0) + &job(1) + END).unwrap();
    let index = index(directory.path(), None, 1 << 30);
    index.scan().unwrap();
    assert_eq!(jobs(&index, "a"), 2);
    fs::write(&file, start("a") + &job(0) + END).unwrap();
    index.scan().unwrap();
    assert_eq!(jobs(&index, "a"), 1);
}

#[test]
fn what_was_replayed_is_kept_between_runs() {
    let (directory, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = directory.path().join("a");
    let many: String = (0..400).map(job).collect();
    fs::write(&file, start("a") + &many + END).unwrap();
    let first = index(directory.path(), Some(cache.path()), 1 << 30);
    assert_eq!(first.scan().unwrap().changed, 1);
    assert_eq!(jobs(&first, "a"), 400);
    drop(first);

    // Same size and time, other content: only the cache can still tell of 400 jobs.
    let time = fs::metadata(&file).unwrap().modified().unwrap();
    let size = fs::metadata(&file).unwrap().len() as usize;
    fs::write(&file, "x".repeat(size)).unwrap();
    fs::File::options()
        .write(true)
        .open(&file)
        .unwrap()
        .set_modified(time)
        .unwrap();
    let second = index(directory.path(), Some(cache.path()), 1 << 30);
    assert_eq!(second.scan().unwrap().changed, 0);
    assert_eq!(jobs(&second, "a"), 400);
    drop(second);

    // What is damaged or of a log that is gone is not used.
    for kept in fs::read_dir(cache.path()).unwrap() {
        fs::write(kept.unwrap().path(), "stoke-history").unwrap();
    }
    fs::write(&file, start("a") + &job(0) + END).unwrap();
    let third = index(directory.path(), Some(cache.path()), 1 << 30);
    assert_eq!(third.scan().unwrap().changed, 1);
    assert_eq!(jobs(&third, "a"), 1);
    fs::remove_file(&file).unwrap();
    third.scan().unwrap();
    assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 1, "only the list is left");
}

#[test]
fn a_log_that_grew_between_runs_is_read_on() {
    let (directory, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let running = directory.path().join("a.inprogress");
    let many: String = (0..400).map(job).collect();
    let begun = start("a") + &many;
    fs::write(&running, &begun).unwrap();
    let first = index(directory.path(), Some(cache.path()), 1 << 30);
    first.scan().unwrap();
    assert_eq!(jobs(&first, "a"), 400);
    drop(first);

    // What was read is made unreadable behind the head of the log: only what was kept can still tell of it.
    let head = 40 << 10;
    let rest: String = (400..410).map(job).collect();
    let hidden = begun[..head].to_owned() + &"x".repeat(begun.len() - head - 1) + "\n" + &rest + END;
    fs::remove_file(&running).unwrap();
    fs::write(directory.path().join("a"), &hidden).unwrap();
    let second = index(directory.path(), Some(cache.path()), 1 << 30);
    second.scan().unwrap();
    assert_eq!(
        jobs(&second, "a"),
        410,
        "its name and size have changed, not its beginning"
    );
    let view = second.view(&second.listed()[0].attempts[0]).unwrap().unwrap();
    assert!(view.stages().all(|stage| view.tasks((stage.id, 0)).count() == 1));
    drop((view, second));

    // Another log of that name is read from its beginning.
    fs::write(directory.path().join("a"), start("b") + &many + &rest + &job(500) + END).unwrap();
    let third = index(directory.path(), Some(cache.path()), 1 << 30);
    third.scan().unwrap();
    assert_eq!(jobs(&third, "b"), 411);
}

#[test]
fn memory_is_bounded() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["a", "b", "c"] {
        fs::write(directory.path().join(name), start(name) + &job(0) + END).unwrap();
    }
    let index = index(directory.path(), None, 0);
    index.scan().unwrap();
    let listed = index.listed();
    let first = Arc::downgrade(&index.view(&listed[0].attempts[0]).unwrap().unwrap());
    assert!(first.upgrade().is_some(), "one application is always kept");
    index.view(&listed[1].attempts[0]).unwrap();
    assert!(first.upgrade().is_none(), "the one asked for longest ago is let go");
}

async fn get(index: &Arc<Index>, path: &str) -> (u16, http::HeaderMap, Vec<u8>) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let answer = serve::router(index.clone()).oneshot(request).await.unwrap();
    let (head, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    (head.status.as_u16(), head.headers, body)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_over_http() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("a"), start("a") + &job(0) + END).unwrap();
    let rolling = directory.path().join("eventlog_v2_b");
    fs::create_dir(&rolling).unwrap();
    fs::write(rolling.join("events_1_b"), start("b")).unwrap();
    fs::write(rolling.join("events_2_b"), job(0) + END).unwrap();
    fs::write(rolling.join("appstatus_b"), "").unwrap();
    let index = Arc::new(index(directory.path(), None, 1 << 30));
    index.scan().unwrap();

    let (status, headers, body) = get(&index, "/api/v1/applications/a/jobs/0").await;
    assert_eq!(
        (status, headers["content-type"].to_str().unwrap()),
        (200, "application/json")
    );
    assert!(
        String::from_utf8(body)
            .unwrap()
            .starts_with("{\n  \"jobId\" : 0,\n  \"name\" : \"count\",\n")
    );
    let (status, headers, body) = get(&index, "/api/v1/applications/a/jobs/7").await;
    assert_eq!(
        (status, headers["content-type"].to_str().unwrap(), &body[..]),
        (404, "text/plain", &b"unknown job: 7"[..])
    );
    // As Spark 4.1.4's server answered: an escaped slash is a part of the name.
    for (path, why) in [
        ("a%2Fb", "unknown app: a/b"),
        ("a%2Fb/jobs", "no such app: a/b"),
        ("a%2F", "unknown app: a/"),
        ("a%2F1/jobs", "no such app: a/1"),
        ("%2F", "unknown app: /"),
        ("a%2fb/1/jobs", "no such app: a/b/1"),
        ("a%2F%2Fb", "unknown app: a//b"),
        ("a%252Fb", "unknown app: a%2Fb"),
        ("a/executors%2Fx", "unknown app a, attempt executors/x"),
        ("a%3Bb", "unknown app: a;b"),
        ("a%5Cb", "unknown app: a\\b"),
    ] {
        let (status, _, body) = get(&index, &format!("/api/v1/applications/{path}")).await;
        assert_eq!((status, &*String::from_utf8_lossy(&body)), (404, why), "{path}");
    }
    assert_eq!(get(&index, "/api/v1/applications/a/stages/1%2F0").await.0, 404);
    assert_eq!(get(&index, "/nowhere").await.0, 404);
    assert_eq!(get(&index, "/api/v1x").await.0, 404);

    for (id, names) in [
        ("a", &["a"][..]),
        (
            "b",
            &[
                "eventlog_v2_b/",
                "eventlog_v2_b/events_1_b",
                "eventlog_v2_b/events_2_b",
                "eventlog_v2_b/appstatus_b",
            ],
        ),
    ] {
        let (status, headers, body) = get(&index, &format!("/api/v1/applications/{id}/logs")).await;
        assert_eq!(status, 200);
        assert_eq!(
            headers["content-disposition"],
            format!("attachment; filename=eventLogs-{id}.zip")
        );
        let mut zip = zip::ZipArchive::new(std::io::Cursor::new(body)).unwrap();
        assert_eq!(zip.file_names().collect::<Vec<_>>(), names);
        for name in names.iter().filter(|name| !name.ends_with('/')) {
            let mut text = Vec::new();
            std::io::Read::read_to_end(&mut zip.by_name(name).unwrap(), &mut text).unwrap();
            assert_eq!(text, fs::read(directory.path().join(name)).unwrap());
        }
    }
}

/// While one log grows and others end, every answer about them and about one that stays is there at every moment of every scan.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_scan_takes_nothing_away() {
    let directory = tempfile::tempdir().unwrap();
    let growing = directory.path().join("a.inprogress");
    for (path, id) in [(&growing, "a"), (&directory.path().join("c"), "c")] {
        fs::write(path, start(id) + &job(0)).unwrap();
    }
    let ended = |round: i32| directory.path().join(format!("b{round}"));
    for round in 1..150 {
        let path = ended(round).with_extension("inprogress");
        fs::write(path, start(&format!("b{round}")) + &job(0)).unwrap();
    }
    let index = Arc::new(index(directory.path(), None, 1 << 30));
    index.scan().unwrap();
    let stopped = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (looking, stop) = (index.clone(), stopped.clone());
    let scans = std::thread::spawn(move || {
        while !stop.load(std::sync::atomic::Ordering::Relaxed) {
            looking.scan().unwrap();
        }
    });
    let mut file = fs::File::options().append(true).open(&growing).unwrap();
    for round in 1..150 {
        std::io::Write::write_all(&mut file, job(round).as_bytes()).unwrap();
        fs::rename(ended(round).with_extension("inprogress"), ended(round)).unwrap();
        for id in ["a", &format!("b{round}"), &format!("b{}", (round - 1).max(1)), "c"] {
            let (status, _, body) = get(&index, &format!("/api/v1/applications/{id}/jobs")).await;
            assert_eq!(status, 200, "{id}: {}", String::from_utf8_lossy(&body));
        }
    }
    stopped.store(true, std::sync::atomic::Ordering::Relaxed);
    scans.join().unwrap();
    index.scan().unwrap();
    assert_eq!(jobs(&index, "a"), 150);
    fs::remove_file(directory.path().join("c")).unwrap();
    let (status, _, body) = get(&index, "/api/v1/applications/c/jobs").await;
    assert!(
        status == 200 || (status == 404 && body == b"no such app: c"),
        "{status}"
    );
}

/// As Spark 4.1.4 was seen to answer: a page of all tasks is not empty, one of some of them is cut out of all.
#[tokio::test(flavor = "multi_thread")]
async fn pages_of_tasks() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("a"), start("a") + &job(0) + END).unwrap();
    let index = Arc::new(index(directory.path(), None, 1 << 30));
    index.scan().unwrap();
    for (query, expected) in [
        ("", Some(1)),
        ("length=", Some(1)),
        ("sortBy=", Some(1)),
        ("length=0", None),
        ("length=-5&sortBy=-runtime", None),
        ("offset=-3&length=0", None),
        ("offset=-1&length=1", Some(1)),
        ("offset=2147483647", Some(0)),
        ("status=success", Some(1)),
        ("status=success&length=0", Some(0)),
        ("status=success&length=-1", Some(0)),
        ("status=success&offset=-1&length=1", Some(0)),
        ("status=success&offset=-1&length=2", Some(1)),
        ("status=success&offset=3&length=2147483647", Some(0)),
    ] {
        let (status, _, body) = get(&index, &format!("/api/v1/applications/a/stages/0/0/taskList?{query}")).await;
        let tasks = (status == 200).then(|| String::from_utf8(body).unwrap().matches("\"taskId\"").count());
        assert_eq!(
            (tasks, status),
            (expected, if expected.is_some() { 200 } else { 500 }),
            "{query}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_driver_is_not_excluded_with_its_node() {
    let directory = tempfile::tempdir().unwrap();
    let manager = |id: &str| {
        format!(
            "{{\"Event\":\"SparkListenerBlockManagerAdded\",\"Block Manager ID\":{{\"Executor ID\":\"{id}\",\"Host\":\"h\",\"Port\":1}},\"Maximum Memory\":1,\"Timestamp\":1}}\n"
        )
    };
    let excluded = "{\"Event\":\"org.apache.spark.scheduler.SparkListenerNodeExcluded\",\"time\":1,\"hostId\":\"h\",\"executorFailures\":2}\n";
    let added = "{\"Event\":\"SparkListenerExecutorAdded\",\"Timestamp\":1,\"Executor ID\":\"1\",\"Executor Info\":{\"Host\":\"h\",\"Total Cores\":1,\"Log Urls\":{}}}\n";
    let text = start("a") + &manager("driver") + added + &manager("1") + excluded + END;
    fs::write(directory.path().join("a"), text).unwrap();
    let index = Arc::new(index(directory.path(), None, 1 << 30));
    index.scan().unwrap();
    let listed = index.listed();
    let view = index.view(&listed[0].attempts[0]).unwrap().unwrap();
    let told: Vec<_> = view.executors().map(|one| (one.id.as_str(), one.excluded)).collect();
    assert_eq!(told, [("1", true), ("driver", false)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_those_of_the_newest_spark_among_the_logs() {
    let (directory, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let of = |id: &str, version: &str| {
        let text = start(id).replace("4.1.4", version) + &job(0) + END;
        // Long enough to be kept between runs.
        fs::write(directory.path().join(id), text + &" ".repeat(70_000)).unwrap();
    };
    of("old", "3.5.1");
    let served = Arc::new(index(directory.path(), Some(cache.path()), 1 << 30));
    served.scan().unwrap();
    let asked = async |path: &str| String::from_utf8(get(&served, &format!("/api/v1/{path}")).await.2).unwrap();
    let shown = |one: &str| (one.contains("3.5.1"), one.contains("logSourceName"));
    assert_eq!(asked("version").await, "{\n  \"spark\" : \"3.5.1\"\n}");
    assert_eq!(shown(&asked("applications/old").await), (true, false));
    let view = |index: &Index| index.view(&listed(index, "old")).unwrap().unwrap();
    assert_eq!(view(&served).spark_version(), "3.5.1");
    assert_eq!(get(&served, "/api/v1/applications/old/sql/sqlTable").await.0, 404);
    assert_eq!(get(&served, "/api/v1/applications/old//jobs").await.0, 404);

    // A newer one comes: what was replayed before is seen with its fields too, also by the next run.
    of("new", "4.10.0");
    served.scan().unwrap();
    assert_eq!(asked("version").await, "{\n  \"spark\" : \"4.10.0\"\n}");
    assert_eq!(shown(&asked("applications/old").await), (true, true));
    assert_eq!(view(&served).spark_version(), "4.10.0");
    assert_eq!(get(&served, "/api/v1/applications/old/sql/sqlTable").await.0, 200);
    assert_eq!(get(&served, "/api/v1/applications/old//jobs").await.0, 400);
    let again = index(directory.path(), Some(cache.path()), 1 << 30);
    again.scan().unwrap();
    assert_eq!((view(&again).spark_version(), jobs(&again, "old")), ("4.10.0", 1));

    // What is asked for counts before what is there.
    let settings = Settings {
        answer_as: Some("3.5.9".to_owned()),
        ..Settings::default()
    };
    let told = Index::new(
        Source::directory(directory.path()),
        settings,
        Some(Cache::open(cache.path()).unwrap()),
    );
    told.scan().unwrap();
    assert_eq!(
        (told.version().as_str(), view(&told).spark_version()),
        ("3.5.9", "3.5.9")
    );
    fs::remove_file(directory.path().join("new")).unwrap();
    served.scan().unwrap();
    assert_eq!(
        (served.version().as_str(), view(&served).spark_version()),
        ("3.5.1", "3.5.1")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_of_tasks() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("a"), start("a") + &job(0) + END).unwrap();
    let index = Arc::new(index(directory.path(), None, 1 << 30));
    index.scan().unwrap();
    let asked = async |query: &str| {
        let (status, _, body) = get(&index, &format!("/api/v1/applications/a/stages/0/0/taskTable?{query}")).await;
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let rows = body["aaData"].as_array().map_or(0, Vec::len);
        (
            status,
            rows,
            body["recordsTotal"].clone(),
            body["recordsFiltered"].clone(),
        )
    };
    let page = "columnNameToSort=Index&order%5B0%5D%5Bdir%5D=asc&start=0&length=20";
    let found = |rows: usize, total: &str, filtered: &str| (200, rows, total.into(), filtered.into());
    for (query, expected) in [
        (format!("numTasks=7&{page}"), found(1, "7", "7")),
        (
            format!("numTasks=7&{page}&search%5Bvalue%5D=3%20ms"),
            found(1, "7", "1"),
        ),
        (
            format!("numTasks=7&{page}&search%5Bvalue%5D=nobody"),
            found(0, "7", "0"),
        ),
        (
            format!("numTasks=7&{page}&search%5Bvalue%5D=1970%252F01%252F01"),
            found(1, "7", "1"),
        ),
    ] {
        assert_eq!(asked(&query).await, expected, "{query}");
    }
    for query in [
        page.to_owned(),
        format!("numTasks=0&{page}&search%5Bvalue%5D=x"),
        format!("numTasks=x&{page}"),
    ] {
        assert_eq!(asked(&query).await.0, 500, "{query}");
    }
}
