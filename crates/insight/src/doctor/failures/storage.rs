//! Object stores, metastores, disks, paths.

use super::class::{Class, END, LOST, THROWN, class, words};
use super::class::{Found, patch};
use super::conditions::FILE_UNREADABLE;
use super::context::Context;
use super::losses::Why;
use super::memory_settings::{claim_for_local_data, conf_patch};
use super::texts::{Match, TextRule, ends, hurts};
use crate::text::{after, between, short};
use stoke_diagnostics::Fix;
use stoke_model::units::people::counted;

const S3A: &str = "https://hadoop.apache.org/docs/stable/hadoop-aws/tools/hadoop-aws/troubleshooting_s3a.html";
const S3_ERRORS: &str = "https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html";
const ERRORS: &str = "https://spark.apache.org/docs/latest/sql-error-conditions.html";
const FOLLOWS: &[&[&str]] = &[
    END,
    THROWN,
    &[
        "job-aborted",
        "path-not-found",
        "service-unreachable",
        "host-unknown",
        "s3-endpoint-unreachable",
    ],
];

static S3_DENIED: Class = class(
    "s3-access-denied",
    820,
    "the store answered 403: the credentials are wrong, or may not do this",
    S3A,
    FOLLOWS,
);
static S3_NO_CREDENTIALS: Class = class(
    "s3-credentials-missing",
    825,
    "none of the credential providers of S3A had credentials",
    S3A,
    FOLLOWS,
);
static S3_BUCKET: Class = class(
    "s3-bucket-missing",
    822,
    "the store answered NoSuchBucket",
    S3_ERRORS,
    FOLLOWS,
);
static S3_SLOW_DOWN: Class = class(
    "s3-slow-down",
    818,
    "the store answered 503 SlowDown: more requests to one prefix than it serves (S3: 3,500 writes and 5,500 reads per second)",
    "https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html",
    FOLLOWS,
);
static S3_REGION: Class = class(
    "s3-wrong-region",
    823,
    "the store answered 301: the bucket is in another region or at another endpoint",
    S3A,
    FOLLOWS,
);
static S3_ENDPOINT: Class = class(
    "s3-endpoint-unreachable",
    815,
    "the endpoint of the store could not be reached",
    S3A,
    &[END, THROWN],
);
static METASTORE: Class = class(
    "metastore-unreachable",
    826,
    "a session with Hive support asks the metastore of hive.metastore.uris",
    "https://spark.apache.org/docs/latest/sql-data-sources-hive-tables.html",
    &[
        END,
        THROWN,
        &["service-unreachable", "host-unknown", "sql-analysis-error"],
    ],
);
static DISK_FULL: Class = class(
    "disk-full",
    790,
    "shuffle files, spills and cached blocks lie in spark.local.dir: on Kubernetes an emptyDir on the node's disk unless a volume is given",
    "https://spark.apache.org/docs/latest/running-on-kubernetes.html#local-storage",
    &[LOST, END, THROWN, &["executor-evicted", "fetch-failed-disk"]],
);
static SERVICE_UNREACHABLE: Class = class(
    "service-unreachable",
    560,
    "a connection was refused or not answered",
    "https://cwiki.apache.org/confluence/display/HADOOP2/ConnectionRefused",
    &[END, THROWN],
);
static HOST_UNKNOWN: Class = class(
    "host-unknown",
    565,
    "a host's name could not be resolved",
    "https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/",
    &[END, THROWN, &["service-unreachable"]],
);
static PATH_NOT_FOUND: Class = class(
    "path-not-found",
    480,
    "what is read must exist (PATH_NOT_FOUND)",
    ERRORS,
    &[END, THROWN],
);
static PATH_EXISTS: Class = class(
    "path-already-exists",
    480,
    "the save mode errorifexists (the default) refuses to write where something is",
    "https://spark.apache.org/docs/latest/sql-data-sources-load-save-functions.html#save-modes",
    &[END, THROWN],
);
static FILE_CHANGED: Class = class(
    "file-changed",
    470,
    "files that are read must not be removed or replaced meanwhile (FAILED_READ_FILE.FILE_NOT_EXIST, 'underlying files have been updated')",
    ERRORS,
    &[END, THROWN],
);

/// The classes of this family.
pub(super) static CLASSES: [&Class; 13] = [
    &S3_DENIED,
    &S3_NO_CREDENTIALS,
    &S3_BUCKET,
    &S3_SLOW_DOWN,
    &S3_REGION,
    &S3_ENDPOINT,
    &METASTORE,
    &DISK_FULL,
    &SERVICE_UNREACHABLE,
    &HOST_UNKNOWN,
    &PATH_NOT_FOUND,
    &PATH_EXISTS,
    &FILE_CHANGED,
];

/// Its rules over texts.
pub(super) const RULES: &[TextRule] = &[
    hurts(
        &DISK_FULL,
        &[&["No space left on device"], &["Disk quota exceeded"]],
        |matched| Some(disk_full(matched.context, &subject(matched))),
    ),
    ends(
        &S3_NO_CREDENTIALS,
        &[
            &["NoAuthWithAWSException"],
            &["No AWS Credentials provided"],
            &["Unable to load credentials"],
            &["NoAwsCredentialsException"],
        ],
        |matched| {
            Some((
                format!("No credentials were found for {}", place(matched)),
                words(
                    "let the pods have them: a ServiceAccount with a role (spark.hadoop.fs.s3a.aws.credentials.provider for web identity), or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY from a Secret (spec.driver.envSecretKeyRefs and the executor's)",
                ),
            ))
        },
    ),
    ends(
        &S3_REGION,
        &[
            &["PermanentRedirect"],
            &["Status Code: 301"],
            &["AWSRedirectException"],
            &["AuthorizationHeaderMalformed", "region"],
            &["must be addressed using the specified endpoint"],
        ],
        |matched| {
            let region = between(matched.line, "expecting '", "'");
            let fix = match region {
                Some(region) => patch(
                    format!("name the bucket's region: {region}"),
                    conf_patch([("spark.hadoop.fs.s3a.endpoint.region", region.to_owned())]),
                ),
                None => words(
                    "name the bucket's region in spark.hadoop.fs.s3a.endpoint.region, or its endpoint in spark.hadoop.fs.s3a.endpoint",
                ),
            };
            Some((format!("{} is in another region than was asked", place(matched)), fix))
        },
    ),
    ends(
        &S3_BUCKET,
        &[
            &["NoSuchBucket"],
            &["UnknownStoreException"],
            &["bucket does not exist"],
        ],
        |matched| {
            Some((
                match place(matched)
                    .strip_prefix("s3a://")
                    .or(place(matched).strip_prefix("s3://"))
                {
                    Some(rest) => format!(
                        "There is no bucket {} at this endpoint",
                        rest.split('/').next().unwrap_or(rest)
                    ),
                    None => "The bucket does not exist at this endpoint".into(),
                },
                words(
                    "correct the bucket's name; for a store of your own, its address goes into spark.hadoop.fs.s3a.endpoint, with spark.hadoop.fs.s3a.path.style.access=true",
                ),
            ))
        },
    ),
    hurts(
        &S3_SLOW_DOWN,
        &[
            &["SlowDown"],
            &["Slow Down"],
            &["AWSServiceThrottledException"],
            &["Please reduce your request rate"],
        ],
        |matched| {
            Some((
                format!("The store asked to be asked less for {} (503 SlowDown)", place(matched)),
                patch(
                    "write fewer and larger files, spread them over prefixes, and wait longer between tries",
                    conf_patch([
                        ("spark.hadoop.fs.s3a.retry.throttle.limit", "30".into()),
                        ("spark.hadoop.fs.s3a.retry.throttle.interval", "1s".into()),
                    ]),
                ),
            ))
        },
    ),
    ends(
        &S3_DENIED,
        &[
            &["Status Code: 403"],
            &["AccessDenied", "s3"],
            &["AccessDeniedException", "s3"],
            &["InvalidAccessKeyId"],
            &["SignatureDoesNotMatch"],
            &["S3Exception", "Forbidden"],
            &["S3Exception", "Access Denied"],
            &["AmazonS3Exception", "Forbidden"],
        ],
        |matched| {
            let text = &matched.block.text;
            let (why, fix) = match text {
                text if text.contains("InvalidAccessKeyId") => (
                    "the access key does not exist there",
                    "correct AWS_ACCESS_KEY_ID (or spark.hadoop.fs.s3a.access.key), and see that the endpoint is the store the key is of",
                ),
                text if text.contains("SignatureDoesNotMatch") => (
                    "the secret key does not fit the access key",
                    "correct AWS_SECRET_ACCESS_KEY (or spark.hadoop.fs.s3a.secret.key); line ends in a Secret are a usual cause",
                ),
                text if text.contains("ExpiredToken") => (
                    "the session token has expired",
                    "use credentials that renew themselves (a role), or new ones",
                ),
                _ => (
                    "the credentials are wrong, or may not do this (to this request a store does not say which)",
                    "see that key and secret are those of this store (endpoint), and allow s3:ListBucket on the bucket, s3:GetObject on what is read, s3:PutObject and s3:DeleteObject on what is written, for the role or user the pods have",
                ),
            };
            Some((
                format!("The store answered 403 for {}: {why}", place(matched)),
                words(fix),
            ))
        },
    ),
    ends(
        &METASTORE,
        &[
            &["Could not connect to meta store"],
            &["Unable to instantiate", "MetaStoreClient"],
            &["Unable to instantiate", "HiveMetaStoreClient"],
            &["HiveException", "MetaException"],
            &["Failed to connect to the MetaStore Server"],
            &["MetaException(message:Could not connect"],
        ],
        |matched| Some(metastore(matched)),
    ),
    ends(
        &S3_ENDPOINT,
        &[
            &["SdkClientException", "Unable to execute HTTP request"],
            &["AWSClientIOException", "Unable to execute HTTP request"],
            &["Unable to execute HTTP request"],
            &["AWSClientIOException", "onnect"],
        ],
        |matched| {
            let endpoint = matched
                .context
                .facts
                .property("spark.hadoop.fs.s3a.endpoint")
                .map(|endpoint| format!(" {endpoint}"))
                .unwrap_or_default();
            Some((
                format!(
                    "The object store's endpoint{endpoint} could not be reached: {}",
                    short(after(matched.line, "HTTP request: ").unwrap_or(matched.line), 160)
                ),
                words(
                    "correct spark.hadoop.fs.s3a.endpoint (scheme, host, port; path.style.access for a store without bucket host names), and see that pods may reach it (DNS, network policies, proxy)",
                ),
            ))
        },
    ),
    ends(
        &FILE_UNREADABLE,
        &[
            &["could not read page"],
            &["ParquetDecodingException"],
            &["FAILED_TO_UNCOMPRESS"],
            &["Malformed ORC file"],
        ],
        |matched| {
            let file = between(&matched.block.text, "reading file ", " ")
                .or_else(|| between(&matched.block.text, "in file ", "\n"));
            let file = file
                .map(|file| format!(" {}", file.trim_end_matches(['.', ':'])))
                .unwrap_or_default();
            let why = matched
                .block
                .text
                .lines()
                .rfind(|line| line.trim_start().starts_with("Caused by: "));
            let why = why
                .map(|line| line.trim().trim_start_matches("Caused by: "))
                .unwrap_or(matched.line);
            Some((
                format!("A file{file} cannot be read: {}", short(why, 200)),
                words(
                    "see whether the file is whole and of the format it is read as (size, last writer), and bring it again; spark.sql.files.ignoreCorruptFiles=true leaves such files out, silently",
                ),
            ))
        },
    ),
    ends(
        &FILE_CHANGED,
        &[
            &["underlying files have been updated"],
            &["It is possible the underlying files"],
        ],
        |matched| {
            Some((
                format!(
                    "A file that was to be read is gone or unreadable: {}",
                    short(matched.line, 200)
                ),
                words(
                    "do not overwrite what the same or another run still reads: write to a new place, use a table format with snapshots, or REFRESH TABLE before reading",
                ),
            ))
        },
    ),
    ends(
        &PATH_NOT_FOUND,
        &[
            &["PATH_NOT_FOUND"],
            &["Path does not exist"],
            &["Input path does not exist"],
            &["FileNotFoundException", "No such file or directory"],
            &["java.io.FileNotFoundException: File "],
        ],
        |matched| {
            let path = after(matched.line, "Path does not exist: ")
                .or_else(|| after(matched.line, "Input path does not exist: "))
                .or_else(|| after(matched.line, "FileNotFoundException: "))
                .map(|path| path.split(". SQLSTATE").next().unwrap_or(path))
                .map(|path| path.split_once(" does not exist").map_or(path, |(path, _)| path));
            Some((
                format!(
                    "There is nothing at {}",
                    short(path.unwrap_or(matched.line).trim_end_matches('.'), 200)
                ),
                words(
                    "correct the path; a path without a scheme is one of spark.hadoop.fs.defaultFS, and a local one must be on every pod (image or volume)",
                ),
            ))
        },
    ),
    ends(
        &PATH_EXISTS,
        &[
            &["PATH_ALREADY_EXISTS"],
            &["already exists", "path "],
            &["FileAlreadyExistsException"],
        ],
        |matched| {
            Some((
                format!(
                    "The output exists already: {}",
                    short(after(matched.line, "Exception: ").unwrap_or(matched.line), 200)
                ),
                words(
                    "write to a new path, or say what is to become of the old data: mode(\"overwrite\") or mode(\"append\")",
                ),
            ))
        },
    ),
    ends(
        &HOST_UNKNOWN,
        &[
            &["UnknownHostException"],
            &["Name or service not known"],
            &["Temporary failure in name resolution"],
            &["nodename nor servname"],
        ],
        |matched| {
            let host = after(matched.line, "UnknownHostException: ").map(|rest| {
                rest.split([':', ' ', ';'])
                    .find(|part| !part.is_empty())
                    .unwrap_or(rest)
            });
            Some((
                format!("The host {} is not known", host.unwrap_or("the application asked for")),
                words(
                    "correct the host's name (of a service in another namespace: name.namespace.svc), and see that pods may ask the cluster's DNS (port 53)",
                ),
            ))
        },
    ),
    ends(
        &SERVICE_UNREACHABLE,
        &[
            &["Connection to", "refused"],
            &["Connection refused"],
            &["ConnectException"],
            &["connect timed out"],
            &["Connection timed out"],
            &["CommunicationsException"],
            &["NoRouteToHostException"],
        ],
        |matched| {
            let whom = between(matched.line, " to ", " failed")
                .or_else(|| after(matched.line, "Connection refused: "))
                .or_else(|| between(matched.line, "Connection to ", " refused"));
            Some((
                format!(
                    "A service could not be reached: {}",
                    short(whom.unwrap_or(matched.line), 200)
                ),
                words(
                    "see that the service runs at that address and port, and that pods of this namespace may reach it (network policies)",
                ),
            ))
        },
    ),
];

/// Which metastore, why not, and what that asks for.
fn metastore(matched: &Match<'_>) -> (String, Fix) {
    let keys = [
        "spark.hadoop.hive.metastore.uris",
        "hive.metastore.uris",
        "spark.hive.metastore.uris",
    ];
    let facts = matched.context.facts;
    let property = keys.iter().find_map(|key| facts.property(key));
    let tried = || {
        let line = facts.driver_log()?.find_last(&["connect to metastore with URI "])?;
        after(&line.text, "with URI ").map(|uri| uri.split(' ').next().unwrap_or(uri).trim_matches(['(', ')']))
    };
    let uri = property.or_else(tried);
    let named = uri.map(|uri| format!(" at {uri}")).unwrap_or_default();
    let logs = facts
        .logs
        .iter()
        .flat_map(|log| &log.lines)
        .map(|line| line.text.as_str());
    let mut texts = matched.block.text.lines().chain(logs);
    let has = |words: &'static str| move |line: &str| line.contains(words);
    let (why, fix) = if uri.is_some_and(|uri| !uri.contains("://")) {
        (
            "its address has no scheme",
            "write spark.hadoop.hive.metastore.uris as thrift://HOST:9083",
        )
    } else if texts.clone().any(has("UnknownHostException")) {
        (
            "its host's name is not known",
            "correct the host in spark.hadoop.hive.metastore.uris (of a service in another namespace: thrift://name.namespace.svc:9083), and see that pods may ask the cluster's DNS",
        )
    } else if texts.any(has("Connection refused")) {
        (
            "the connection was refused",
            "see that the metastore runs and listens at that port (9083 unless configured), and correct spark.hadoop.hive.metastore.uris",
        )
    } else {
        (
            "it does not answer",
            "see that it runs and can be reached from the driver's namespace (service name, port 9083, network policies), and correct spark.hadoop.hive.metastore.uris",
        )
    };
    (
        format!("The Hive metastore{named} could not be reached: {why}"),
        words(fix),
    )
}

/// Executors that had no room for their local directories.
pub(super) fn look(context: &Context<'_>, out: &mut Vec<Found>) {
    let lost: Vec<_> = context
        .losses
        .iter()
        .filter(|loss| loss.why == Why::NoLocalDirectory)
        .collect();
    if let Some(first) = lost.first() {
        let (cause, fix) = disk_full(context, &format!("{} (exit code 53)", counted(lost.len(), "executor")));
        out.push(Found::new(
            &DISK_FULL,
            context.failed(),
            cause,
            first.evidence.clone(),
            fix,
        ));
    }
}

fn disk_full(context: &Context<'_>, who: &str) -> (String, Fix) {
    let (spilled, shuffled) = context.run().map_or((0, 0), |run| {
        let stages = run.stages.values();
        stages.fold((0, 0), |(spilled, shuffled), stage| {
            (
                stage.totals.disk_spilled.saturating_add(spilled),
                stage.totals.shuffle_write.saturating_add(shuffled),
            )
        })
    });
    let wrote = match spilled.saturating_add(shuffled) {
        0 => String::new(),
        _ => format!(
            "; the run wrote {} MiB of shuffle data and {} MiB of spills to local disks",
            shuffled >> 20,
            spilled >> 20
        ),
    };
    (
        format!("{who} had no room left on a disk{wrote}"),
        patch(
            "give the executors a volume of their own for local data, as large as shuffle data and spills of one executor (here an on-demand claim of 100Gi of the default storage class)",
            claim_for_local_data(),
        ),
    )
}

fn subject(matched: &Match<'_>) -> String {
    match &matched.block.executor {
        Some(id) if id != crate::facts::run::DRIVER => format!("Executor {id}"),
        _ => "The driver or an executor".into(),
    }
}

/// The bucket or path a text is about, as a URL; `the object store` when it names none.
fn place(matched: &Match<'_>) -> String {
    let text = &matched.block.text;
    let start = ["s3a://", "s3://", "s3n://"]
        .iter()
        .find_map(|scheme| text.find(scheme));
    match start {
        Some(at) => {
            let path = &text[at..];
            let end = path
                .find(|c: char| c.is_whitespace() || matches!(c, '\'' | '"' | ')' | ',' | ';' | '>'))
                .unwrap_or(path.len());
            short(path[..end].trim_end_matches([':', '.']), 120)
        }
        None => "the object store".into(),
    }
}
