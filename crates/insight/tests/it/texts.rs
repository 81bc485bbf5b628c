//! Messages that end a run, as Spark, Hadoop, the JVM and Python word them, each with what is found first.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]

use stoke_insight::doctor::failures;
use stoke_insight::facts::cluster::Role;
use stoke_insight::facts::{Facts, Log};

fn first(text: &str) -> Option<(String, String)> {
    let facts = Facts {
        logs: vec![Log::of_lines(Role::Driver, "etl-driver", text.lines())],
        ..Facts::default()
    };
    let found = failures::findings(&facts).into_iter().next()?;
    Some((found.code.into_owned(), found.message))
}

/// What is thrown, what is found, words of its cause.
const MESSAGES: &[(&str, &str, &str)] = &[
    (
        "java.nio.file.AccessDeniedException: s3a://sales/2026: getFileStatus on s3a://sales/2026: software.amazon.awssdk.services.s3.model.S3Exception: null (Service: S3, Status Code: 403, Request ID: 1)",
        "s3-access-denied",
        "answered 403 for s3a://sales/2026",
    ),
    (
        "com.amazonaws.services.s3.model.AmazonS3Exception: The AWS Access Key Id you provided does not exist in our records. (Service: Amazon S3; Status Code: 403; Error Code: InvalidAccessKeyId)",
        "s3-access-denied",
        "does not exist there",
    ),
    (
        "org.apache.hadoop.fs.s3a.auth.NoAuthWithAWSException: s3a: No AWS Credentials provided by SimpleAWSCredentialsProvider",
        "s3-credentials-missing",
        "No credentials",
    ),
    (
        "org.apache.hadoop.fs.s3a.AWSServiceThrottledException: s3a://sales: Please reduce your request rate. (Status Code: 503; Error Code: SlowDown)",
        "s3-slow-down",
        "asked less",
    ),
    (
        "org.apache.hadoop.fs.s3a.AWSRedirectException: Received permanent redirect response: (Status Code: 301; Error Code: PermanentRedirect)",
        "s3-wrong-region",
        "another region",
    ),
    (
        "org.apache.hadoop.fs.s3a.UnknownStoreException: `s3a://sales/': getFileStatus on s3a://sales/: (Error Code: NoSuchBucket)",
        "s3-bucket-missing",
        "no bucket sales",
    ),
    (
        "org.apache.hadoop.fs.s3a.AWSClientIOException: doesBucketExist on sales: com.amazonaws.SdkClientException: Unable to execute HTTP request: Connect to minio:9000 failed: Connection refused",
        "s3-endpoint-unreachable",
        "minio:9000",
    ),
    (
        "java.lang.RuntimeException: Unable to instantiate org.apache.hadoop.hive.ql.metadata.SessionHiveMetaStoreClient",
        "metastore-unreachable",
        "metastore",
    ),
    (
        "java.io.IOException: No space left on device",
        "disk-full",
        "no room left",
    ),
    ("java.lang.OutOfMemoryError: Metaspace", "metaspace-oom", "metaspace"),
    (
        "java.lang.OutOfMemoryError: Cannot reserve 4194304 bytes of direct buffer memory (allocated: 536868, limit: 536870)",
        "direct-memory-oom",
        "direct memory",
    ),
    (
        "java.lang.OutOfMemoryError: unable to create native thread: possibly out of memory or process/resource limits reached",
        "threads-exhausted",
        "thread",
    ),
    (
        "java.lang.OutOfMemoryError: Java heap space",
        "driver-heap-oom",
        "ran out of heap",
    ),
    (
        "org.apache.spark.SparkException: Could not execute broadcast in 300 secs.",
        "broadcast-timeout",
        "within 300 s",
    ),
    (
        "org.apache.spark.SparkException: Cannot broadcast the table that is larger than 8.0 GiB: 9.1 GiB.",
        "broadcast-too-large",
        "8.0 GiB",
    ),
    (
        "java.lang.NoSuchMethodError: 'scala.collection.immutable.ArraySeq scala.runtime.ScalaRunTime$.wrapRefArray(java.lang.Object[])'",
        "scala-mismatch",
        "another Scala",
    ),
    (
        "java.lang.NoSuchMethodError: com.google.common.base.Preconditions.checkArgument(ZLjava/lang/String;)V",
        "method-missing",
        "another version",
    ),
    (
        "java.lang.UnsupportedClassVersionError: com/example/Etl has been compiled by a more recent version of the Java Runtime (class file version 65.0), this version of the Java Runtime only recognizes class file versions up to 61.0",
        "java-mismatch",
        "compiled for Java 21, and Java 17",
    ),
    (
        "java.io.InvalidClassException: org.apache.spark.scheduler.Task; local class incompatible: stream classdesc serialVersionUID = 1, local class serialVersionUID = 2",
        "class-incompatible",
        "org.apache.spark.scheduler.Task",
    ),
    (
        "pyspark.errors.exceptions.base.PySparkRuntimeError: [PYTHON_VERSION_MISMATCH] Python in worker has different version: 3.12 than that in driver: 3.11, PySpark cannot run with different minor versions.",
        "python-mismatch",
        "different versions of Python",
    ),
    (
        "java.lang.ClassNotFoundException: com.example.Codec",
        "class-not-found",
        "com.example.Codec",
    ),
    (
        "java.lang.ClassNotFoundException: com.mysql.cj.jdbc.Driver",
        "package-missing",
        "MySQL",
    ),
    (
        "java.lang.RuntimeException: [unresolved dependency: com.example#etl;1.0: not found]",
        "package-unresolved",
        "com.example#etl",
    ),
    (
        "org.apache.spark.scheduler.BarrierJobSlotsNumberCheckFailed: [SPARK-24819]: Barrier execution mode does not allow run a barrier stage that requires more slots than the total number of slots in the cluster currently.",
        "barrier-slots",
        "more tasks than",
    ),
    (
        "org.apache.spark.SparkException: Dynamic allocation of executors requires one of the following conditions: 1) enabling external shuffle service",
        "dynamic-allocation-unsupported",
        "Dynamic allocation is on",
    ),
    (
        "org.apache.spark.sql.AnalysisException: [CANNOT_MODIFY_CONFIG] Cannot modify the value of the Spark config: \"spark.executor.memory\".",
        "configuration-static",
        "spark.executor.memory",
    ),
    (
        "java.lang.IllegalArgumentException: spark.sql.shuffle.partitions should be int, but was many",
        "configuration-invalid",
        "spark.sql.shuffle.partitions",
    ),
    (
        "java.net.UnknownHostException: db.team-a.svc",
        "host-unknown",
        "db.team-a.svc",
    ),
    (
        "software.amazon.awssdk.services.s3.model.S3Exception: The difference between the request time and the current time is too large. (Service: S3, Status Code: 403, Request ID: 1) RequestTimeTooSkewed",
        "clock-skew",
        "too far apart",
    ),
    (
        "java.io.IOException: io.jsonwebtoken: token is not yet valid",
        "clock-skew",
        "token",
    ),
    (
        "io.fabric8.kubernetes.client.KubernetesClientException: Failure executing: GET at: https://kubernetes.default.svc/api/v1/namespaces/a/pods/etl-driver. Message: Unauthorized. Received status: Status(apiVersion=v1, code=401)",
        "api-unauthorized",
        "(401)",
    ),
    (
        "org.apache.kafka.common.errors.SaslAuthenticationException: Authentication failed during authentication due to invalid credentials with SASL mechanism SCRAM-SHA-512",
        "kafka-denied",
        "invalid credentials",
    ),
    (
        "org.apache.kafka.common.errors.TopicAuthorizationException: Not authorized to access topics: [orders]",
        "kafka-denied",
        "orders",
    ),
    (
        "java.sql.SQLException: Access denied for user 'etl'@'10.0.0.7' (using password: YES)",
        "database-login-refused",
        "'etl'@'10.0.0.7'",
    ),
    (
        "com.microsoft.sqlserver.jdbc.SQLServerException: Login failed for user 'etl'. ClientConnectionId:1",
        "database-login-refused",
        "'etl'",
    ),
    (
        "java.sql.SQLSyntaxErrorException: Unknown database 'shop'",
        "database-missing",
        "shop",
    ),
    (
        "com.google.api.client.googleapis.json.GoogleJsonResponseException: 403 Forbidden etl@p.iam.gserviceaccount.com does not have storage.objects.get access to the Google Cloud Storage object.",
        "store-access-denied",
        "storage.objects.get",
    ),
    (
        "org.apache.hadoop.fs.azurebfs.contracts.exceptions.AbfsRestOperationException: Operation failed: \"This request is not authorized to perform this operation using this permission.\", 403, HEAD, AuthorizationPermissionMismatch",
        "store-access-denied",
        "not authorized",
    ),
    (
        "software.amazon.awssdk.services.sts.model.StsException: User: arn:aws:sts::1:assumed-role/node is not authorized to perform: sts:AssumeRoleWithWebIdentity",
        "store-access-denied",
        "AssumeRoleWithWebIdentity",
    ),
    (
        "io.delta.exceptions.ConcurrentAppendException: [DELTA_CONCURRENT_APPEND] ConcurrentAppendException: Files were added to the root of the table by a concurrent update.",
        "table-write-conflict",
        "Delta table",
    ),
    (
        "org.apache.iceberg.exceptions.ValidationException: Found conflicting files that can contain records matching true: [s3a://b/t/data/0.parquet]",
        "table-write-conflict",
        "Iceberg table",
    ),
    (
        "org.apache.iceberg.exceptions.CommitFailedException: Version 7 already exists: s3a://b/t/metadata/v7.metadata.json",
        "table-write-conflict",
        "Iceberg table",
    ),
    (
        "org.apache.hudi.exception.HoodieWriteConflictException: java.util.ConcurrentModificationException: Cannot resolve conflicts for overlapping writes",
        "table-write-conflict",
        "Hudi table",
    ),
    (
        "java.lang.ClassCastException: cannot assign instance of java.lang.invoke.SerializedLambda to field org.apache.spark.rdd.MapPartitionsRDD.f of type scala.Function3",
        "jar-not-sent",
        "was not sent",
    ),
    (
        "org.apache.hadoop.security.AccessControlException: Permission denied: user=spark, access=WRITE, inode=\"/data\":hdfs:hdfs:drwxr-xr-x",
        "permission-denied",
        "user=spark",
    ),
    (
        "java.io.IOException: Failed on local exception: java.io.IOException: org.apache.hadoop.security.AccessControlException: Client cannot authenticate via:[TOKEN, KERBEROS]",
        "kerberos-refused",
        "there is no ticket",
    ),
    (
        "java.lang.IllegalStateException: no rows",
        "jvm-exception",
        "java.lang.IllegalStateException: no rows at com.example.Etl$.main(Etl.scala:7)",
    ),
    (
        "org.apache.spark.SparkException: External scheduler cannot be instantiated",
        "context-not-started",
        "could not be made",
    ),
];

#[test]
fn what_ended_the_driver_is_told_by_its_message() {
    let mut wrong = Vec::new();
    for (message, id, words) in MESSAGES {
        let log = format!(
            "26/11/22 03:10:00 INFO DAGScheduler: Got job 0 (count at etl.py:3) with 1 output partitions\nException in thread \"main\" {message}\n\tat org.apache.spark.sql.A.b(A.scala:1)\n\tat com.example.Etl$.main(Etl.scala:7)\n"
        );
        match first(&log) {
            Some((found, cause)) if found == *id && cause.contains(words) => {}
            found => wrong.push(format!("{message}\n    wanted {id} with {words}\n    found {found:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_main_class_and_executors_that_never_come() {
    let (id, cause) = first("26/11/22 03:10:00 INFO Utils: x\nError: Failed to load class com.example.Nope.\n26/11/22 03:10:00 INFO ShutdownHookManager: Shutdown hook called").unwrap();
    assert_eq!(
        (id.as_str(), cause.as_str()),
        (
            "main-class-missing",
            "The main class com.example.Nope is not in the application's jar"
        )
    );
    let waits =
        "26/11/22 03:10:00 WARN TaskSchedulerImpl: Initial job has not accepted any resources; check your cluster UI";
    assert_eq!(first(waits).unwrap().0, "no-executors");
    assert_eq!(
        first(&format!(
            "{waits}\n26/11/22 03:10:09 INFO KubernetesDriverEndpoint: Registered executor NettyRpcEndpointRef(spark-client://Executor) (10.0.0.7) with ID 1"
        )),
        None
    );
}

/// Errors of the application's own use of a package, which are not the fault of its environment.
#[test]
fn what_a_package_says_elsewhere_is_the_applications_own() {
    for error in [
        "pyarrow.lib.ArrowInvalid: Could not open Parquet input source 'x.parquet': Parquet file size is 0 bytes",
        "AttributeError: 'DataFrame' object has no attribute 'append'",
        "FileNotFoundError: [Errno 2] No such file or directory: 'rates.csv'",
    ] {
        let log = format!(
            "26/11/22 03:10:00 INFO SparkContext: Running Spark version 4.1.4\nTraceback (most recent call last):\n  File \"/app/etl.py\", line 3, in <module>\n    load()\n{error}\n"
        );
        let (id, cause) = first(&log).unwrap();
        assert_eq!(id, "python-exception", "{cause}");
        assert!(cause.contains("/app/etl.py:3"), "{cause}");
    }
}
