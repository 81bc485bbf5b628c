//! The store on a socket: plain HTTP/1.1 and HTTP/2, on loopback only.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, HttpError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::{Keys, SignedOnly};
use crate::credentials::Credentials;
use crate::digest::Digester;
use crate::host::Names;
use crate::s3::{Operations, REGION};
use crate::shadow::Shadows;
use crate::store::Store;
use crate::store::condition::Condition;
use crate::store::contents::Piece;
use crate::store::error::StoreError;
use crate::store::objects::NewObject;
use crate::store::record::Record;
use crate::store::{buckets, list, now, objects};

/// The port, when it is free. None that usual programs have: one that listens on all addresses could not start beside this one.
pub const PORT: u16 = 26_900;
/// The ports that are tried, in order: the others when another program has one on all addresses.
pub const PORTS: std::ops::RangeInclusive<u16> = PORT..=26_909;
/// Largest XML body: a thousand keys of 1,024 bytes, escaped.
const MOST_XML: usize = 8 << 20;
/// Connections served at once; more wait to be accepted.
const MOST_CONNECTIONS: usize = 512;
/// Time a client has to send the head of a request.
const HEAD_WITHIN: Duration = Duration::from_secs(60);
/// How often files that nothing names are removed.
const TIDY_EVERY: Duration = Duration::from_secs(15);
/// Time requests in progress have when the store stops.
const STOP_WITHIN: Duration = Duration::from_secs(3);

/// What a store is started with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its directory: `index.db`, `blobs`, `credentials`. Made if missing. Several processes may have the same.
    pub directory: PathBuf,
    /// The loopback address to listen at.
    pub address: Ipv4Addr,
    /// The port; `None`: [`PORT`], or the next that is free.
    pub port: Option<u16>,
    /// Buckets that shall exist.
    pub buckets: Vec<String>,
    /// Buckets and prefixes ending in `/` that shall look like directories even while nothing is in them.
    pub directories: Vec<(String, String)>,
    /// Acknowledged writes survive the loss of power; without, only that of the process.
    pub sync: bool,
    /// Uploads not completed for this long are given up.
    pub abandoned_after: Duration,
}

impl Config {
    /// A durable store in a directory, at an address, with the bucket `spark`, and seven days for uploads.
    pub fn new(directory: PathBuf, address: Ipv4Addr) -> Self {
        Config {
            directory,
            address,
            port: None,
            buckets: vec!["spark".into()],
            directories: Vec::new(),
            sync: true,
            abandoned_after: Duration::from_secs(7 * 24 * 3600),
        }
    }
}

/// Why a store does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It would be reachable from elsewhere.
    #[error("the object store listens on loopback only, and {0} is not a loopback address")]
    NotLoopback(Ipv4Addr),
    /// No port is free.
    #[error(
        "the object store cannot listen at {address}: {cause}. Another program has the port; `ss -ltnp` shows which"
    )]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        cause: std::io::Error,
    },
    /// The credentials cannot be read or made.
    #[error("the object store's credentials: {0}")]
    Credentials(std::io::Error),
    /// The directory cannot be opened.
    #[error("the object store in {directory}: {cause}")]
    Store {
        /// Which.
        directory: PathBuf,
        /// Why.
        cause: StoreError,
    },
    /// It listens and does not answer.
    #[error("the object store listens at {0} and does not answer")]
    Silent(SocketAddr),
}

/// A running store. Dropped, it stops at once; [`ObjectStore::stop`] lets requests in progress end.
pub struct ObjectStore {
    address: SocketAddr,
    credentials: Credentials,
    shadows: Shadows,
    store: Store,
    stopping: CancellationToken,
    tasks: TaskTracker,
}

impl ObjectStore {
    /// Opens the directory, listens, and answers when this returns.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        if !config.address.is_loopback() {
            return Err(StartError::NotLoopback(config.address));
        }
        let listener = listen(&config).await?;
        let address = listener.local_addr().map_err(|cause| StartError::Listen {
            address: (config.address, PORT).into(),
            cause,
        })?;
        let credentials = Credentials::load_or_generate(&config.directory.join("credentials"));
        let credentials = credentials.map_err(StartError::Credentials)?;
        let (directory, sync) = (config.directory.clone(), config.sync);
        let opened = tokio::task::spawn_blocking(move || Store::open(&directory, sync)).await;
        let store_error = |cause| StartError::Store {
            directory: config.directory.clone(),
            cause,
        };
        let store = opened
            .unwrap_or_else(|error| Err(StoreError::Internal(error.to_string())))
            .map_err(store_error)?;
        make(&store, &config.buckets, &config.directories)
            .await
            .map_err(store_error)?;
        let (stopping, tasks) = (CancellationToken::new(), TaskTracker::new());
        let shadows = Shadows::default();
        let service = service(store.clone(), credentials.clone(), shadows.clone());
        tasks.spawn(serve(listener, service, stopping.clone(), tasks.clone()));
        tasks.spawn(tidy(store.clone(), config.abandoned_after, stopping.clone()));
        let running = ObjectStore {
            address,
            credentials,
            shadows,
            store,
            stopping,
            tasks,
        };
        if !answers(address).await {
            return Err(StartError::Silent(address));
        }
        Ok(running)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `AWS_ENDPOINT_URL`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `AWS_REGION`.
    pub fn region(&self) -> &'static str {
        REGION
    }

    /// The keys it answers to.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Identities that see what they write apart from all others, and keep it apart.
    pub fn shadows(&self) -> &Shadows {
        &self.shadows
    }

    /// What it serves.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Ends: accepts nothing more, gives requests in progress a few seconds, writes what waits.
    pub async fn stop(self) {
        self.stopping.cancel();
        self.tasks.close();
        let _ = tokio::time::timeout(STOP_WITHIN, self.tasks.wait()).await;
        let store = self.store.clone();
        let _ = tokio::task::spawn_blocking(move || store.close()).await;
    }
}

impl Drop for ObjectStore {
    fn drop(&mut self) {
        self.stopping.cancel();
    }
}

/// Sees to it that buckets and directories exist in the store of a directory, whether or not a process serves it.
///
/// # Errors
/// When the store cannot be opened or changed.
pub async fn provide(
    directory: &Path,
    buckets: Vec<String>,
    directories: Vec<(String, String)>,
) -> Result<(), StartError> {
    let path = directory.to_owned();
    let failed = |cause| StartError::Store {
        directory: directory.to_owned(),
        cause,
    };
    let ended = |error: tokio::task::JoinError| failed(StoreError::Internal(error.to_string()));
    let opened = tokio::task::spawn_blocking(move || Store::open(&path, true)).await;
    let store = opened.map_err(ended)?.map_err(failed)?;
    let made = make(&store, &buckets, &directories).await;
    tokio::task::spawn_blocking(move || store.close())
        .await
        .map_err(ended)?;
    made.map_err(failed)
}

/// Makes buckets and directories that are not there.
async fn make(store: &Store, buckets: &[String], directories: &[(String, String)]) -> Result<(), StoreError> {
    for bucket in buckets {
        let bucket = bucket.clone();
        match store.change(move |change| buckets::create(change, &bucket, "")).await {
            Ok(()) | Err(StoreError::BucketExists) => {}
            Err(cause) => return Err(cause),
        }
    }
    for (bucket, prefix) in directories.iter().cloned() {
        mark(store, bucket, prefix).await?;
    }
    Ok(())
}

/// Puts the empty object that stands for a directory, unless something is there.
async fn mark(store: &Store, bucket: String, prefix: String) -> Result<(), StoreError> {
    store
        .change_with(Piece::Inline(Vec::new()), move |change, entry| {
            let query = list::Query {
                prefix: prefix.clone(),
                limit: 1,
                ..list::Query::default()
            };
            let found = list::list(change.index, buckets::find(change.index, &bucket)?.id, &query)?;
            if found != list::Page::default() {
                return Ok(());
            }
            let new = NewObject {
                size: 0,
                etag: Digester::new([]).finish().etag(),
                record: Record::default(),
            };
            objects::put(change, &bucket, &prefix, &new, entry, &Condition::None)
        })
        .await
}

async fn listen(config: &Config) -> Result<TcpListener, StartError> {
    let ports: Vec<u16> = config.port.map_or_else(|| PORTS.collect(), |port| vec![port]);
    let mut refused = None;
    for port in ports {
        let address = SocketAddr::from((config.address, port));
        match TcpListener::bind(address).await {
            Ok(listener) => return Ok(listener),
            Err(cause) => refused = Some(refused.unwrap_or(StartError::Listen { address, cause })),
        }
    }
    Err(refused.unwrap_or(StartError::Silent((config.address, PORT).into())))
}

/// The HTTP service over a store, without a socket.
pub fn service(store: Store, owner: Credentials, shadows: Shadows) -> S3Service {
    let mut limits = S3Config::default();
    limits.xml_max_body_size = MOST_XML;
    // Forms are refused; their bodies must not fill the memory before that.
    limits.post_object_max_file_size = 1 << 20;
    limits.form_max_fields_size = 1 << 20;
    let mut builder = S3ServiceBuilder::new(Operations {
        store,
        shadows: shadows.clone(),
    });
    builder.set_auth(Keys {
        owner,
        shadows: shadows.clone(),
    });
    builder.set_access(SignedOnly(shadows));
    builder.set_host(Names);
    builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(limits))));
    builder.build()
}

/// Whether an object store answers there: an unsigned request must be refused in S3's own words.
pub async fn answers(address: SocketAddr) -> bool {
    let asked = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        let request = format!("GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        stream.take(4096).read_to_end(&mut answer).await.ok()?;
        let answer = String::from_utf8_lossy(&answer);
        (answer.starts_with("HTTP/1.1 403") && answer.contains("AccessDenied")).then_some(())
    };
    matches!(tokio::time::timeout(Duration::from_secs(3), asked).await, Ok(Some(())))
}

/// One request: the protocol layer's answer, with a number that names it.
async fn respond(service: S3Service, request: Request<Incoming>) -> Result<Response<Body>, HttpError> {
    static REQUESTS: AtomicU64 = AtomicU64::new(1);
    let number = REQUESTS.fetch_add(1, Ordering::Relaxed);
    let expects = request.version() < http::Version::HTTP_2 && request.headers().contains_key(http::header::EXPECT);
    let mut response = service.call(request.map(Body::from)).await?;
    let refused = !response.status().is_success();
    let headers = response.headers_mut();
    if expects && refused {
        // Told `no` instead of `100 Continue`, a client may leave the body out and send its next request, the head of which must not be taken for
        // that body (RFC 9110, section 10.1.1).
        headers.insert(http::header::CONNECTION, HeaderValue::from_static("close"));
    }
    if let Ok(number) = HeaderValue::from_str(&format!("{number:016X}")) {
        headers.insert("x-amz-request-id", number);
    }
    headers.insert(http::header::SERVER, HeaderValue::from_static("stoke-object-store"));
    Ok(response)
}

async fn serve(listener: TcpListener, service: S3Service, stopping: CancellationToken, tasks: TaskTracker) {
    let places = Arc::new(tokio::sync::Semaphore::new(MOST_CONNECTIONS));
    loop {
        let accepted = async {
            let place = places.clone().acquire_owned().await;
            (listener.accept().await, place)
        };
        let (stream, place) = tokio::select! {
            (accepted, place) = accepted => match (accepted, place) {
                (Ok((stream, _)), Ok(place)) => (stream, place),
                (accepted, _) => {
                    let error = accepted.err().map(|error| error.to_string()).unwrap_or_default();
                    tracing::warn!(error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            () = stopping.cancelled() => return,
        };
        let _ = stream.set_nodelay(true);
        let (service, stopping) = (service.clone(), stopping.clone());
        tasks.spawn(async move {
            let _place = place;
            let mut builder = Builder::new(TokioExecutor::new());
            builder
                .http1()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_WITHIN);
            builder.http2().timer(TokioTimer::new());
            let answer = hyper::service::service_fn(move |request| respond(service.clone(), request));
            let connection = builder.serve_connection(TokioIo::new(stream), answer);
            let mut connection = std::pin::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = stopping.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    match tokio::time::timeout(STOP_WITHIN, connection).await {
                        Ok(ended) => ended,
                        Err(_) => return,
                    }
                }
            };
            if let Err(error) = ended {
                tracing::debug!(error, "a connection ended early");
            }
        });
    }
}

async fn tidy(store: Store, abandoned_after: Duration, stopping: CancellationToken) {
    let patience = i64::try_from(abandoned_after.as_millis()).unwrap_or(i64::MAX);
    loop {
        if let Err(error) = store.tidy(now().saturating_sub(patience), false).await {
            tracing::warn!(%error, "files that nothing names could not be removed");
        }
        tokio::select! {
            () = tokio::time::sleep(TIDY_EVERY) => {}
            () = stopping.cancelled() => return,
        }
    }
}
