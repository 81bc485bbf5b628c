//! The object store: an S3-compatible endpoint on a local directory. It is a part of the embedded cluster; a room of its own so that it
//! compiles and is tested alone.
//!
//! In: a directory and a loopback address ([`Config`]). Out: an endpoint ([`ObjectStore`]) that hadoop-aws, boto3, pyarrow, polars and
//! delta-rs use as they use S3.
//! - [`store`]: buckets, objects, uploads on disk; what is acknowledged is durable and whole
//! - [`s3`]: what each operation of S3 does to the store; the protocol itself (signatures, chunked bodies, XML) is the `s3s` crate's
//! - [`server`]: the socket; [`credentials`]: the one pair of keys
//! - [`shadow`]: identities whose writes are kept apart from what everyone else sees
//!
//! **Why an index and not a tree of directories.** A key may be `a`, `a/` and `a/b` at once, 1,024 bytes long, with any bytes of UTF-8;
//! listings must come in the order of bytes, a thousand at a time, from anywhere. A tree of files can do none of that without encoding
//! names, sorting directories and a side file per object for its metadata, and then still needs several syncs per object. One SQLite table
//! keyed by (bucket, key) has the order; its transaction is the atomicity: an object is there when its row is. Bytes up to 16 KiB lie in the
//! index too (one sync for all that wait), larger ones in files that are written once, synced, and named by the row.
//!
//! It never listens beyond loopback, never answers what is not signed, never shows half an object, and never accepts what it does not do.
//!
//! ```
//! use std::net::Ipv4Addr;
//! use stoke_objectstore::{Config, ObjectStore};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let directory = tempfile::tempdir()?;
//! let mut config = Config::new(directory.path().join("store"), Ipv4Addr::LOCALHOST);
//! config.port = Some(0);
//! let store = ObjectStore::start(config).await?;
//! println!("AWS_ENDPOINT_URL={} AWS_ACCESS_KEY_ID={}", store.endpoint(), store.credentials().access_key_id);
//! store.stop().await;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod access;
pub mod credentials;
pub mod digest;
mod host;
pub mod s3;
pub mod server;
pub mod shadow;
pub mod store;

pub use credentials::Credentials;
pub use host::SERVICE;
pub use s3::REGION;
pub use server::{Config, ObjectStore, PORT, PORTS, StartError, answers, provide};
