//! Other systems that do not trust, know or answer the application: clocks, certificates, Kerberos, Kafka, databases, stores that are not S3.

use super::class::{Class, END, NONE_COME, THROWN, class, words};
use super::code;
use super::conditions::EXTERNAL;
use super::texts::{Match, TextRule, ends};
use crate::text::{after, between, short};
use stoke_diagnostics::Fix;

const KAFKA: &str = "https://spark.apache.org/docs/latest/structured-streaming-kafka-integration.html";
const SECURITY: &str = "https://spark.apache.org/docs/latest/security.html";
/// What a refused connection looks like to whoever tried.
const REFUSED: &[&str] = &[
    "service-unreachable",
    "host-unknown",
    "s3-endpoint-unreachable",
    "s3-access-denied",
    "metastore-unreachable",
    "external-system-error",
    "driver-unreachable",
];
const FOLLOWS: &[&[&str]] = &[END, THROWN, NONE_COME, REFUSED];

static CLOCK_SKEW: Class = class(
    "clock-skew",
    870,
    "stores, Kerberos, tokens and certificates compare times: S3 refuses requests more than 15 minutes off, Kerberos those more than 5",
    "https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html",
    &[
        END,
        THROWN,
        NONE_COME,
        REFUSED,
        &["tls-refused", "kerberos-refused", "api-unauthorized"],
    ],
);
static TLS_REFUSED: Class = class(
    "tls-refused",
    868,
    "a client trusts a server whose certificate is signed by an authority of its trust store, valid now, and names the host that was asked",
    "https://docs.oracle.com/en/java/javase/17/security/java-secure-socket-extension-jsse-reference-guide.html",
    FOLLOWS,
);
static KERBEROS_REFUSED: Class = class(
    "kerberos-refused",
    866,
    "a principal logs in with its own keytab at the KDC of its realm before a service with Kerberos is asked",
    "https://spark.apache.org/docs/latest/security.html#kerberos",
    FOLLOWS,
);
static UNAUTHORIZED: Class = class(
    "api-unauthorized",
    865,
    "the driver shows the API server the token of its ServiceAccount; 401 is a token that is expired, of another cluster, or not there",
    "https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/",
    FOLLOWS,
);
static KAFKA_UNREACHABLE: Class = class(
    "kafka-unreachable",
    832,
    "driver and executors ask a bootstrap server for the brokers, and then the brokers by the names they advertise",
    KAFKA,
    &[END, THROWN, REFUSED],
);
static KAFKA_DENIED: Class = class(
    "kafka-denied",
    834,
    "the broker refuses who does not log in, or may not read or write the topic or use the consumer group",
    KAFKA,
    &[END, THROWN, REFUSED, &["kafka-unreachable"]],
);
static KAFKA_TOPIC: Class = class(
    "kafka-topic-missing",
    833,
    "the topics a query names must exist at the brokers it asks",
    KAFKA,
    &[END, THROWN],
);
static KAFKA_OFFSETS: Class = class(
    "kafka-offsets-gone",
    831,
    "offsets a query asks for must be there: retention, deletion and a topic made again take them away (failOnDataLoss)",
    KAFKA,
    &[END, THROWN],
);
static DATABASE_LOGIN: Class = class(
    "database-login-refused",
    829,
    "the database refuses the user, the password, or the address the user comes from",
    "https://spark.apache.org/docs/latest/sql-data-sources-jdbc.html",
    &[END, THROWN, REFUSED],
);
static DATABASE_MISSING: Class = class(
    "database-missing",
    828,
    "the database that the JDBC address names must exist",
    "https://spark.apache.org/docs/latest/sql-data-sources-jdbc.html",
    &[END, THROWN, REFUSED],
);
static STORE_DENIED: Class = class(
    "store-access-denied",
    827,
    "the store, or whoever gives its credentials, answered 401 or 403",
    SECURITY,
    &[END, THROWN, REFUSED, &["write-failed", "file-unreadable"]],
);

/// The classes of this family.
pub(super) static CLASSES: [&Class; 11] = [
    &CLOCK_SKEW,
    &TLS_REFUSED,
    &KERBEROS_REFUSED,
    &UNAUTHORIZED,
    &KAFKA_UNREACHABLE,
    &KAFKA_DENIED,
    &KAFKA_TOPIC,
    &KAFKA_OFFSETS,
    &DATABASE_LOGIN,
    &DATABASE_MISSING,
    &STORE_DENIED,
];

/// Its rules over texts.
pub(super) const RULES: &[TextRule] = &[
    ends(
        &CLOCK_SKEW,
        &[
            &["RequestTimeTooSkewed"],
            &["difference between the request time and the"],
            &["Clock skew too great"],
            &["CertificateNotYetValidException"],
            &["NotBefore: "],
            &["token not valid yet"],
            &["oken not yet valid"],
            &["oken is not yet valid"],
            &["Signature not yet current"],
            &["oken used before issued"],
        ],
        |matched| Some(clock(matched)),
    ),
    ends(
        &TLS_REFUSED,
        &[
            &["PKIX path building failed"],
            &["PKIX path validation failed"],
            &["CertificateExpiredException"],
            &["NotAfter: "],
            &["No subject alternative"],
            &["No name matching"],
            &["Certificate for <", "doesn't match"],
            &["Unsupported or unrecognized SSL message"],
            &["The server does not support SSL"],
            &["SSLHandshakeException"],
            &["SSLPeerUnverifiedException"],
        ],
        |matched| Some(tls(matched)),
    ),
    ends(
        &KERBEROS_REFUSED,
        &[
            &["Unable to obtain password from user"],
            &["Client not found in Kerberos database"],
            &["Cannot locate KDC"],
            &["Cannot find KDC for realm"],
            &["Cannot contact any KDC"],
            &["Pre-authentication information was invalid"],
            &["Checksum failed"],
            &["Server not found in Kerberos database"],
            &["Failed to find any Kerberos"],
            &["KerberosAuthException"],
            &["SIMPLE authentication is not enabled"],
            &["Client cannot authenticate via:", "KERBEROS"],
        ],
        |matched| Some(kerberos(matched)),
    ),
    ends(
        &UNAUTHORIZED,
        &[
            &["Message: Unauthorized"],
            &["KubernetesClientException", "code=401"],
            &["Unauthorized! Configured service account doesn't have access"],
        ],
        |_| {
            Some((
                "The API server does not accept the token that the driver shows it (401)".into(),
                words(
                    "see that the driver's ServiceAccount exists and its token is mounted (automountServiceAccountToken), that the pod template or spark.kubernetes.authenticate.driver.* names no old token or one of another cluster, and that clocks agree",
                ),
            ))
        },
    ),
    ends(
        &KAFKA_OFFSETS,
        &[
            &["Some data may have been lost because they are not available in Kafka"],
            &["OffsetOutOfRangeException"],
            &["KAFKA_DATA_LOSS"],
            &["Some of partitions in Kafka topic(s) have been lost"],
            &["Beginning offset", "is after the ending offset"],
            &["start offset", "is greater than the resolved end offset"],
        ],
        |matched| Some(offsets(matched)),
    ),
    ends(
        &KAFKA_TOPIC,
        &[
            &["UnknownTopicOrPartitionException"],
            &["This server does not host this topic-partition"],
        ],
        |matched| {
            let topic = crate::text::between(&matched.block.text, "subscribe=", ",").map(str::to_owned);
            let named = topic.map(|topic| format!(" {topic}")).unwrap_or_default();
            Some((
                format!("The Kafka topic{named} does not exist at the brokers that were asked"),
                words(
                    "correct the topic's name (subscribe, assign, topic), make it, and see that kafka.bootstrap.servers is the cluster that has it",
                ),
            ))
        },
    ),
    ends(
        &KAFKA_DENIED,
        &[
            &["SaslAuthenticationException"],
            &["TopicAuthorizationException"],
            &["GroupAuthorizationException"],
            &["ClusterAuthorizationException"],
            &["Not authorized to access topics"],
            &["Not authorized to access group"],
        ],
        |matched| {
            Some((
                format!("Kafka refuses the application: {}", short(exception(matched.line), 200)),
                words(
                    "correct kafka.sasl.jaas.config, kafka.sasl.mechanism and kafka.security.protocol, or have the user allowed to read (write) the topic and to use the group (kafka.group.id, groupIdPrefix)",
                ),
            ))
        },
    ),
    ends(
        &KAFKA_UNREACHABLE,
        &[
            &["No resolvable bootstrap urls"],
            &["Timed out waiting for a node assignment"],
            &["Timeout expired while fetching topic metadata"],
            &["not present in metadata after"],
            &["Timeout of", "expired before the position for partition"],
            &["Failed to create new KafkaAdminClient"],
            &["Failed to construct kafka consumer"],
            &["Failed to construct kafka producer"],
        ],
        kafka,
    ),
    ends(
        &DATABASE_LOGIN,
        &[
            &["password authentication failed for user"],
            &["no pg_hba.conf entry"],
            &["role \"", "\" does not exist", "FATAL"],
            &["Access denied for user"],
            &["ORA-01017"],
            &["Login failed for user"],
            &["Incorrect username or password"],
            &["The server requested password-based authentication"],
            &["The server requested SCRAM-based authentication"],
        ],
        |matched| {
            Some((
                format!(
                    "The database refuses the login: {}",
                    short(exception(matched.line), 200)
                ),
                words(
                    "correct user and password of the source (from a Secret: spec.driver.envSecretKeyRefs and the executor's), and have the database let that user in from the addresses of pods",
                ),
            ))
        },
    ),
    ends(
        &DATABASE_MISSING,
        &[
            &["FATAL: database \"", "does not exist"],
            &["Unknown database '"],
            &["Cannot open database \""],
            &["ORA-12505"],
            &["ORA-12514"],
        ],
        |matched| {
            Some((
                format!(
                    "The database of the JDBC address does not exist: {}",
                    short(exception(matched.line), 200)
                ),
                words("correct the database's name in the JDBC address, or make it"),
            ))
        },
    ),
    ends(
        &EXTERNAL,
        &[
            &["PSQLException: ERROR:"],
            &["SQLSyntaxErrorException: "],
            &["SQLServerException: "],
            &["SQLException: ORA-"],
            &["SnowflakeSQLException: "],
        ],
        |matched| {
            let line = code::python(&matched.block.text)
                .map(|thrown| thrown.at())
                .unwrap_or_default();
            Some((
                format!(
                    "The database refuses the statement: {}{line}",
                    short(exception(matched.line), 220)
                ),
                words(
                    "the database's message says why: correct the table or the query of the source (dbtable, query), or have the user given the right it lacks",
                ),
            ))
        },
    ),
    ends(
        &STORE_DENIED,
        &[
            &["AuthorizationPermissionMismatch"],
            &["AuthorizationFailure", "403"],
            &["This request is not authorized to perform this operation"],
            &["Server failed to authenticate the request"],
            &["AuthenticationFailed", "403"],
            &["does not have storage.", "access"],
            &["GoogleJsonResponseException: 403"],
            &["GoogleJsonResponseException: 401"],
            &["AADToken", "HTTP Error 401"],
            &["sts:AssumeRoleWithWebIdentity"],
            &["is not authorized to perform: sts:AssumeRole"],
        ],
        |matched| {
            Some((
                format!(
                    "The store refuses the application: {}",
                    short(exception(matched.line), 250)
                ),
                words(
                    "give the identity of the pods the role it lacks at the store (Azure: Storage Blob Data Contributor; Google: storage.objectAdmin; AWS: the trust policy of the role must name this ServiceAccount), and see that the pods use that identity (ServiceAccount, its annotations, the Secret with the key)",
                ),
            ))
        },
    ),
];

/// Without the words before the exception's message.
fn exception(line: &str) -> &str {
    let line = line.trim_start_matches("Caused by: ").trim_start_matches(": ");
    match line.rsplit_once("xception: ") {
        Some((_, said)) if !said.trim().is_empty() => said,
        _ => line,
    }
}

fn clock(matched: &Match<'_>) -> (String, Fix) {
    let text = &matched.block.text;
    let has = |words: &str| text.contains(words);
    let not_before = || after(text, "NotBefore: ").map(|at| at.lines().next().unwrap_or(at).trim().to_owned());
    let (who, and) = if has("RequestTimeTooSkewed")
        || has("difference between the request time")
        || has("Signature not yet current")
    {
        (
            "The store refuses requests: the pod's clock and the store's are too far apart".to_owned(),
            "",
        )
    } else if has("Clock skew too great") {
        (
            "Kerberos refuses the login: the pod's clock and the KDC's are more than the allowed 5 minutes apart"
                .to_owned(),
            "",
        )
    } else if let Some(from) = not_before() {
        (
            format!(
                "A certificate is not valid yet (from {from} on): the pod's clock is behind, or the certificate was made with a clock that is ahead"
            ),
            "; where the clocks are right, have the certificate made again",
        )
    } else {
        (
            "A token is not valid yet: the pod's clock is behind that of who gave it".to_owned(),
            "",
        )
    };
    (
        who,
        words(format!(
            "the clock of the node must be set right (NTP or chrony; its administrator can): compare `kubectl exec POD -- date -u` with the other side's{and}"
        )),
    )
}

fn tls(matched: &Match<'_>) -> (String, Fix) {
    let text = &matched.block.text;
    let has = |words: &str| text.contains(words);
    let trust = "add the authority's certificate to a trust store that the pods mount, and name it in spec.driver.javaOptions and spec.executor.javaOptions: -Djavax.net.ssl.trustStore=… -Djavax.net.ssl.trustStorePassword=…";
    let (why, fix) = if has("CertificateExpiredException") || has("NotAfter: ") {
        let until = after(text, "NotAfter: ").map(|at| at.lines().next().unwrap_or(at).trim());
        (
            match until {
                Some(until) => format!("its certificate has expired ({until})"),
                None => "its certificate has expired".to_owned(),
            },
            "have the server's certificate renewed; where it is newer than the pods think, see their clocks".to_owned(),
        )
    } else if has("PKIX path") || has("unable to find valid certification path") {
        (
            "its certificate is signed by an authority that the pods do not know".to_owned(),
            trust.to_owned(),
        )
    } else if has("No subject alternative") || has("No name matching") || has("doesn't match") {
        let name = between(text, "No name matching ", " found")
            .or_else(|| between(text, "matching IP address ", " found"))
            .or_else(|| between(text, "Certificate for <", ">"));
        (
            format!(
                "its certificate does not name the host that was asked{}",
                name.map(|name| format!(" ({name})")).unwrap_or_default()
            ),
            "ask the server by a name its certificate has, or have one made with this name".to_owned(),
        )
    } else if has("Unsupported or unrecognized SSL message") || has("server does not support SSL") {
        (
            "it does not speak TLS at that port".to_owned(),
            "ask it without TLS (http:// for https://, spark.hadoop.fs.s3a.connection.ssl.enabled=false, sslmode=disable), or at its port with TLS".to_owned(),
        )
    } else {
        (
            format!("the handshake failed: {}", short(exception(matched.line), 160)),
            format!(
                "see which versions and ciphers of TLS the server takes and whether it wants a client's certificate; if it is the authority, {trust}"
            ),
        )
    };
    (format!("A server cannot be talked to by TLS: {why}"), words(fix))
}

fn kerberos(matched: &Match<'_>) -> (String, Fix) {
    let text = &matched.block.text;
    let has = |words: &str| text.contains(words);
    let principal = between(text, "principal: ", " ").or_else(|| between(text, "for principal ", " "));
    let principal = principal
        .map(|name| format!(" {}", name.trim_end_matches([',', ';'])))
        .unwrap_or_default();
    let (why, fix) = if has("Unable to obtain password from user") {
        (
            "its keytab has no key of that name, or cannot be read",
            "see what the keytab has (klist -kt FILE) and correct spark.kerberos.principal or spark.kerberos.keytab; the file must be there for who submits",
        )
    } else if has("Client not found") {
        (
            "the KDC does not know that name",
            "correct spark.kerberos.principal (name, realm), or have it made",
        )
    } else if has("Server not found in Kerberos database") {
        (
            "the KDC does not know the service that was asked",
            "ask the service by the name its principal has (no IP addresses or other names of it), and see that DNS gives that name back",
        )
    } else if has("KDC") || has("Connection refused") || has("Receive timed out") {
        (
            "its KDC does not answer",
            "correct the KDC in krb5.conf (spark.kubernetes.kerberos.krb5.path or .configMapName), and let pods reach its port 88",
        )
    } else if has("Pre-authentication") || has("Checksum failed") {
        (
            "the key is not the one the KDC has",
            "the keytab is older than the password: have it made again",
        )
    } else {
        (
            "there is no ticket",
            "name spark.kerberos.principal and spark.kerberos.keytab, so that the driver logs in and gives the executors tokens",
        )
    };
    (
        format!("The principal{principal} cannot log in with Kerberos: {why}"),
        words(fix),
    )
}

fn offsets(matched: &Match<'_>) -> (String, Fix) {
    let text = &matched.block.text;
    let at = after(text, "FetchPosition{offset=").and_then(crate::text::leading_number);
    let partition = between(text, "out of range for partition ", "\n").or_else(|| between(text, "partition ", " "));
    let what = match (at, partition) {
        (Some(at), Some(partition)) => format!(" (offset {at} of {})", partition.trim_end_matches(['.', ','])),
        _ => String::new(),
    };
    if let Some(beyond) = after(matched.line, "start offset ").or_else(|| after(matched.line, "Beginning offset ")) {
        return (
            format!(
                "The offsets that were asked for are not in Kafka: offset {}",
                short(beyond, 160)
            ),
            words(
                "correct startingOffsets (a JSON of topic, partition and offset, or earliest), or begin with a new checkpointLocation where the topic was made again",
            ),
        );
    }
    (
        format!("Offsets that were asked for are not in Kafka{what}: they aged out, or the topic was made again"),
        words(
            "decide about the gap: option failOnDataLoss=false goes on with what is there, a new checkpointLocation begins at startingOffsets; keep data longer than the query may stand still (retention.ms), and correct startingOffsets if they were written by hand",
        ),
    )
}

fn kafka(matched: &Match<'_>) -> Option<(String, Fix)> {
    let text = &matched.block.text;
    let has = |words: &str| text.contains(words);
    let kafka = has("kafka");
    if has("Failed to construct") || has("Failed to create") {
        // A wrapper: only an address that cannot be resolved is one of ours.
        return has("No resolvable bootstrap urls").then(unresolved);
    }
    if has("No resolvable bootstrap urls") {
        return Some(unresolved());
    }
    kafka.then(|| {
        (
            format!("Kafka's brokers do not answer: {}", short(exception(matched.line), 160)),
            words(
                "see that kafka.bootstrap.servers is right and that pods of this namespace reach it and every broker by the name it advertises (advertised.listeners); a broker that wants TLS or SASL does not answer without (kafka.security.protocol)",
            ),
        )
    })
}

fn unresolved() -> (String, Fix) {
    (
        "None of the names of kafka.bootstrap.servers can be resolved".to_owned(),
        words(
            "correct kafka.bootstrap.servers (of a service in another namespace: name.namespace.svc:9092), and see that pods may ask the cluster's DNS",
        ),
    )
}
