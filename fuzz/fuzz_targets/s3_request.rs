//! Any bytes sent to the object store as HTTP are answered or hung up on; the store answers the next request and has what it had.
//!
//! Each input goes through the whole of HTTP, the protocol layer and the operations, over a pipe in memory: once as it is, to the store as it
//! is started, which refuses what is not signed; once to the operations without that guard.
#![no_main]

use std::sync::OnceLock;

use hyper_util::rt::TokioIo;
use libfuzzer_sys::fuzz_target;
use s3s::service::{S3Service, S3ServiceBuilder};
use stoke_objectstore::s3::Operations;
use stoke_objectstore::store::{Store, buckets};
use stoke_objectstore::{Credentials, server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;

struct Ground {
    runtime: Runtime,
    guarded: S3Service,
    open: S3Service,
}

fn ground() -> &'static Ground {
    static GROUND: OnceLock<Ground> = OnceLock::new();
    GROUND.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let directory = std::env::temp_dir().join(format!("stoke-fuzz-s3-{}", std::process::id()));
        let store = Store::open(&directory, false).unwrap();
        runtime
            .block_on(store.change(|change| {
                buckets::create(change, "kept", "")?;
                buckets::create(change, "spark", "")
            }))
            .unwrap();
        let keys = Credentials {
            access_key_id: "STOKEFUZZ".into(),
            secret_access_key: "secret".into(),
        };
        Ground {
            guarded: server::service(store.clone(), keys),
            open: S3ServiceBuilder::new(Operations { store }).build(),
            runtime,
        }
    })
}

async fn exchange(service: S3Service, bytes: &[u8]) -> Vec<u8> {
    let (mut client, server) = tokio::io::duplex(1 << 20);
    // The end of the input is the end of the client's side; the answer is still wanted.
    let serving = hyper::server::conn::http1::Builder::new()
        .half_close(true)
        .serve_connection(TokioIo::new(server), service);
    let asking = async {
        let _ = client.write_all(bytes).await;
        let _ = client.shutdown().await;
        let mut answer = Vec::new();
        let _ = client.read_to_end(&mut answer).await;
        answer
    };
    tokio::join!(serving, asking).1
}

fuzz_target!(|bytes: &[u8]| {
    let ground = ground();
    ground.runtime.block_on(async {
        let refused = exchange(ground.guarded.clone(), bytes).await;
        assert!(!refused.starts_with(b"HTTP/1.1 2"), "an unsigned request was answered");
        exchange(ground.open.clone(), bytes).await;
        let alive = exchange(ground.open.clone(), b"HEAD /kept HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").await;
        let gone = bytes.windows(4).any(|word| word == b"kept");
        assert!(gone || alive.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&alive));
    });
});
