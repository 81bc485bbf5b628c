//! Shuffle data that could not be fetched, by cause: Spark's own texts (of its sources, 3.5 to 4.1), each with what is found.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use stoke_eventlog::{Options, Source};
use stoke_insight::doctor::failures;
use stoke_insight::facts::run::{Executor, Failure, FailureKind, Job, Stage};
use stoke_insight::facts::{Facts, Run, collect};

/// Executors of the run that are gone; the message; what is found; words of its cause.
const TEXTS: &[(&[&str], &str, &str, &str)] = &[
    // TransportClientFactory.createClient
    (
        &[],
        "org.apache.spark.shuffle.FetchFailedException: Failed to connect to /10.0.0.7:7079\nCaused by: java.io.IOException: Connecting to /10.0.0.7:7079 timed out (120000 ms)",
        "fetch-failed-timeout",
        "executor 2 on node-2 did not answer",
    ),
    // TransportResponseHandler.channelInactive
    (
        &[],
        "org.apache.spark.shuffle.FetchFailedException: Connection from /10.0.0.7:7079 closed",
        "fetch-failed-timeout",
        "did not answer",
    ),
    // TransportResponseHandler.exceptionCaught
    (
        &[],
        "org.apache.spark.shuffle.FetchFailedException: Connection reset by peer",
        "fetch-failed-timeout",
        "did not answer",
    ),
    // TransportClient.sendRpcSync
    (
        &[],
        "org.apache.spark.shuffle.FetchFailedException: java.util.concurrent.TimeoutException: Timeout waiting for task.",
        "fetch-failed-timeout",
        "did not answer",
    ),
    // The same of an executor that went.
    (
        &["2"],
        "org.apache.spark.shuffle.FetchFailedException: Failed to connect to /10.0.0.7:7079",
        "fetch-failed-executor-lost",
        "lost with executor 2",
    ),
    (
        &["1"],
        "org.apache.spark.shuffle.FetchFailedException: Failed to connect to /10.0.0.7:7079",
        "fetch-failed-timeout",
        "did not answer",
    ),
    // NettyBlockTransferService, ExecutorDeadException
    (
        &[],
        "org.apache.spark.shuffle.FetchFailedException: The relative remote executor(Id: 2), which maintains the block data to fetch is dead.",
        "fetch-failed-executor-lost",
        "lost with executor 2",
    ),
    // ShuffleBlockFetcherIterator.throwFetchFailedException, with a diagnosed cause
    (
        &[],
        "org.apache.spark.shuffle.FetchFailedException: Block shuffle_0_5_1 is corrupted due to DISK_ISSUE",
        "fetch-failed-corrupt",
        "was damaged, on disk",
    ),
    (
        &[],
        "org.apache.spark.shuffle.FetchFailedException: Block shuffle_0_5_1 is corrupted due to NETWORK_ISSUE",
        "fetch-failed-corrupt",
        "was damaged, on the way",
    ),
    // net.jpountz.lz4.LZ4BlockInputStream, org.xerial.snappy, com.github.luben.zstd
    (
        &["2"],
        "org.apache.spark.shuffle.FetchFailedException: Stream is corrupted",
        "fetch-failed-corrupt",
        "was damaged",
    ),
    (
        &[],
        "org.apache.spark.shuffle.FetchFailedException: FAILED_TO_UNCOMPRESS(5)",
        "fetch-failed-corrupt",
        "was damaged",
    ),
    (
        &[],
        "org.apache.spark.shuffle.FetchFailedException\nCaused by: com.github.luben.zstd.ZstdIOException: Data corruption detected",
        "fetch-failed-corrupt",
        "was damaged",
    ),
    // IndexShuffleBlockResolver.getBlockData, sun.nio.fs.UnixException
    (
        &[],
        "org.apache.spark.shuffle.FetchFailedException: java.nio.file.NoSuchFileException: /data/blockmgr-1/0c/shuffle_0_0_0.index",
        "fetch-failed-disk",
        "not there any more",
    ),
    // ExternalShuffleBlockResolver.getSortBasedShuffleBlockData
    (
        &[],
        "org.apache.spark.shuffle.FetchFailedException: java.lang.RuntimeException: Failed to open file: /data/blockmgr-1/0c/shuffle_0_0_0.index",
        "fetch-failed-disk",
        "not there any more",
    ),
    // FileSegmentManagedBuffer
    (
        &[],
        "org.apache.spark.shuffle.FetchFailedException: Error in reading FileSegmentManagedBuffer[file=/data/blockmgr-1/30/shuffle_0_0_0.data,offset=0,length=1024]\nCaused by: java.io.IOException: Input/output error",
        "fetch-failed-disk",
        "could not read its shuffle files",
    ),
    // Anything else.
    (
        &[],
        "org.apache.spark.shuffle.FetchFailedException: Too large frame: 2991947178",
        "fetch-failed",
        "could not be fetched from executor 2",
    ),
];

/// A run whose second stage failed to fetch once, and came to its end.
fn run(gone: &[&str], message: &str) -> Run {
    let mut run = Run {
        started: 0,
        ended: Some(100_000),
        ..Run::default()
    };
    for id in ["1", "2"] {
        run.executors.push(Executor {
            id: id.to_owned(),
            cores: 1,
            removed: gone.contains(&id).then_some(50_000),
            ..Executor::default()
        });
    }
    let job = Job {
        started: 1_000,
        ended: Some(99_000),
        succeeded: Some(true),
        ..Job::default()
    };
    run.jobs.insert(0, job);
    let failure = Failure {
        kind: FailureKind::Fetch {
            executor: Some("2".to_owned()),
            host: Some("node-2".to_owned()),
            shuffle: 0,
        },
        message: message.to_owned(),
        stack: String::new(),
        count: 1,
        first: (3, 0),
        executor: "1".to_owned(),
        time: 60_000,
    };
    let stage = Stage {
        id: 1,
        job: Some(0),
        failure: Some(message.to_owned()),
        failures: vec![failure],
        ..Stage::default()
    };
    run.stages.insert((1, 0), stage);
    run
}

#[test]
fn every_text_has_its_cause() {
    let mut wrong = Vec::new();
    for (gone, message, id, words) in TEXTS {
        let facts = Facts {
            run: Some(run(gone, message)),
            ..Facts::default()
        };
        let found = failures::findings(&facts);
        let first = found.iter().find(|finding| finding.code.starts_with("fetch"));
        match first {
            Some(first) if first.code == *id && first.message.contains(words) => {}
            _ => wrong.push(format!(
                "{gone:?} {message}\n    wanted {id} with {words}\n    found {found:?}"
            )),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Real runs (`scripts/make-insight-logs`): files that were deleted, damaged, and an executor that was frozen for 25 s.
#[test]
fn real_runs_are_told_their_cause() {
    let source = Source::directory(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/logs/4.1.4"));
    let logs = source.logs().unwrap();
    for (name, id, words) in [
        (
            "fetch-disk",
            "fetch-failed-disk",
            "Shuffle files of executor 0 on host-1 are not there any more",
        ),
        (
            "fetch-corrupt",
            "fetch-failed-corrupt",
            "on host-1 was damaged, on disk by its checksum (4 times)",
        ),
        (
            "fetch-timeout",
            "fetch-failed-timeout",
            "executor 1 on host-1 did not answer",
        ),
    ] {
        let log = logs.iter().find(|log| log.path.ends_with(&format!("{name}.zstd")));
        let run = collect::run(&source, log.expect(name), Options::default()).unwrap();
        let facts = Facts {
            run: Some(run),
            ..Facts::default()
        };
        let found = failures::findings(&facts);
        let told: Vec<_> = found.iter().map(|finding| (&finding.code, &finding.message)).collect();
        assert!(
            found
                .first()
                .is_some_and(|first| first.code == id && first.message.contains(words)),
            "{name}: {told:?}"
        );
    }
}
