//! What the image and the pod give an application: Python and its packages, open files, rights, file systems.

use super::class::{Class, END, LOST, THROWN, class, words};
use super::code;
use super::texts::{Match, TextRule, ends, hurts};
use crate::text::{after, between, leading_number, short};
use stoke_diagnostics::Fix;

const PACKAGING: &str = "https://spark.apache.org/docs/latest/api/python/tutorial/python_packaging.html";
const ARROW: &str = "https://spark.apache.org/docs/latest/api/python/tutorial/sql/arrow_pandas.html";
const FOLLOWS: &[&[&str]] = &[END, THROWN, LOST];

static PYTHON_MISSING: Class = class(
    "python-missing",
    843,
    "driver and executors start the Python that spark.pyspark.python or PYSPARK_PYTHON names (python3 unless configured)",
    "spark.pyspark.python",
    FOLLOWS,
);
static PYTHON_PACKAGE_VERSION: Class = class(
    "python-package-version",
    837,
    "PySpark works with pandas, PyArrow and NumPy from a version on, and compiled packages with the NumPy they were built for",
    PACKAGING,
    &[END, THROWN, LOST, &["python-module-missing"]],
);
static PYTHON_RESULT: Class = class(
    "python-result-type",
    452,
    "what a Python function returns must be of the type, and a pandas function's of the length, that it declares",
    ARROW,
    &[END, THROWN],
);
static OPEN_FILES: Class = class(
    "too-many-open-files",
    792,
    "the number of files and connections a process may have open is limited (ulimit -n); a shuffle opens a file for each of its partitions and cores",
    "https://spark.apache.org/docs/latest/configuration.html#shuffle-behavior",
    &[
        END,
        THROWN,
        LOST,
        &["fetch-failed-disk", "disk-full", "file-unreadable", "write-failed"],
    ],
);
static PERMISSION: Class = class(
    "permission-denied",
    812,
    "pods read and write files as the user their security context or image names; HDFS asks for the user's name",
    "https://kubernetes.io/docs/tasks/configure-pod-container/security-context/",
    &[END, THROWN, &["write-failed", "file-unreadable", "path-not-found"]],
);
static WRONG_FILE_SYSTEM: Class = class(
    "file-system-wrong",
    481,
    "a FileSystem serves the scheme and host it was made for",
    "https://hadoop.apache.org/docs/stable/hadoop-project-dist/hadoop-common/filesystem/filesystem.html",
    &[END, THROWN],
);
static MESSAGE_TOO_LARGE: Class = class(
    "task-too-large",
    776,
    "a task with what its function carries goes to its executor in one message of at most spark.rpc.message.maxSize (128 MiB unless configured)",
    "spark.rpc.message.maxSize",
    &[END, THROWN],
);
static JAR_NOT_SENT: Class = class(
    "jar-not-sent",
    841,
    "executors load the application's classes from the jars the driver sends them (spec.mainApplicationFile, spec.deps.jars)",
    "https://spark.apache.org/docs/latest/submitting-applications.html#advanced-dependency-management",
    &[END, THROWN, &["class-incompatible", "class-not-found"]],
);

/// The classes of this family.
pub(super) static CLASSES: [&Class; 8] = [
    &PYTHON_MISSING,
    &PYTHON_PACKAGE_VERSION,
    &PYTHON_RESULT,
    &OPEN_FILES,
    &PERMISSION,
    &WRONG_FILE_SYSTEM,
    &MESSAGE_TOO_LARGE,
    &JAR_NOT_SENT,
];

/// Its rules over texts.
pub(super) const RULES: &[TextRule] = &[
    ends(
        &PYTHON_MISSING,
        &[
            &["Cannot run program \"", "python"],
            &["Cannot run program \"", "No such file or directory"],
            &["env: ", "python", "No such file or directory"],
        ],
        |matched| {
            let program =
                between(matched.line, "Cannot run program \"", "\"").or_else(|| between(matched.line, "env: ", ":"));
            let program = program.unwrap_or("python3").trim_matches(['\'', '‘', '’']);
            program.contains("python").then(|| {
                (
                    format!("There is no Python {program} where the driver or an executor runs"),
                    words(
                        "name one that the image has in spark.pyspark.python (and spark.pyspark.driver.python), or use an image with Python; an environment that is sent along must be unpacked where that path says",
                    ),
                )
            })
        },
    ),
    ends(&PYTHON_MISSING, &[&["Error from python worker:"]], not_started),
    ends(
        &PYTHON_PACKAGE_VERSION,
        &[
            &["UNSUPPORTED_PACKAGE_VERSION"],
            &["must be installed; however, your version"],
            &["compiled using NumPy 1.x cannot be run in"],
            &["numpy.dtype size changed"],
            &["numpy.core.multiarray failed to import"],
            &["_ARRAY_API not found"],
            &["'DataFrame' object has no attribute 'iteritems'"],
            &["'DataFrame' object has no attribute 'append'"],
            &["'Series' object has no attribute 'iteritems'"],
            &["AttributeError: module 'numpy' has no attribute"],
            &["AttributeError: module 'pandas' has no attribute"],
            &["AttributeError: module 'pyarrow' has no attribute"],
            &["No module named 'distutils'"],
        ],
        |matched| {
            // Spark's own frames lack names of pandas as well.
            let of_frame = matched.line.contains("object has no attribute");
            (!of_frame || matched.block.text.contains("/pandas/")).then(|| package_version(matched))
        },
    ),
    ends(
        &PYTHON_RESULT,
        &[
            &["expected zero arguments for construction of ClassDict"],
            &["SCHEMA_MISMATCH_FOR_PANDAS_UDF"],
            &["Result vector from pandas_udf was not the required length"],
            &["Failed to convert the value of the column", "Arrow type"],
            &["Exception thrown when converting pandas.Series"],
            &["ARROW_TYPE_MISMATCH"],
            &["UDF_RETURN_TYPE"],
            &["UDTF_ARROW_TYPE_CAST_ERROR"],
            &["pyarrow.lib.ArrowTypeError"],
            &["pyarrow.lib.ArrowInvalid"],
        ],
        |matched| {
            // PyArrow says the same of files that the application reads with it.
            let by_arrow = matched.line.contains("pyarrow.lib.");
            (!by_arrow || matched.block.text.contains("/pandas/serializers.py")).then(|| result(matched))
        },
    ),
    hurts(&OPEN_FILES, &[&["Too many open files"], &["open files limit"]], |_| {
        Some((
            "A process has as many files open as it may (Too many open files)".into(),
            words(
                "raise the limit of the container runtime (LimitNOFILE of containerd, default ulimits; the node's administrator can), or open fewer: fewer shuffle partitions and cores for each executor; in the application's own code close streams and connections",
            ),
        ))
    }),
    ends(
        &MESSAGE_TOO_LARGE,
        &[&["exceeds max allowed: spark.rpc.message.maxSize"]],
        |matched| {
            let bytes = between(matched.line, " was ", " bytes").and_then(leading_number);
            let size = bytes
                .map(|bytes| format!(" of {} MiB", bytes >> 20))
                .unwrap_or_default();
            Some((
                format!("A task{size} is too large to be sent: its function carries data of the driver with it"),
                words(
                    "broadcast large values (sc.broadcast) instead of using them in the function, write data made in the driver to files, or cut it in more partitions; spark.rpc.message.maxSize (MiB) raises the limit",
                ),
            ))
        },
    ),
    ends(
        &JAR_NOT_SENT,
        &[
            &["cannot assign instance of java.lang.invoke.SerializedLambda"],
            &["cannot assign instance of scala.collection.immutable.List$SerializationProxy"],
        ],
        |_| {
            Some((
                "Executors have not the classes of the application: its jar was not sent to them".into(),
                words(
                    "name the application's jar in spec.mainApplicationFile or spec.deps.jars (a session made in code: spark.jars), not only on the driver's own class path",
                ),
            ))
        },
    ),
    ends(
        &PERMISSION,
        &[
            &["AccessControlException", "Permission denied"],
            &["Mkdirs failed to create"],
            &["FileNotFoundException", "(Permission denied)"],
            &["java.nio.file.AccessDeniedException: /"],
            &["PermissionError: [Errno 13]"],
            &["IOException: Permission denied"],
        ],
        |matched| Some(permission(matched)),
    ),
    ends(&WRONG_FILE_SYSTEM, &[&["Wrong FS: ", "expected: "]], |matched| {
        let path = between(matched.line, "Wrong FS: ", ", expected").unwrap_or("a path");
        let expected = after(matched.line, "expected: ").map(|rest| rest.split([' ', ',']).next().unwrap_or(rest));
        let line = code::python(&matched.block.text)
            .or_else(|| code::jvm(&matched.block.text))
            .map(|thrown| thrown.at())
            .unwrap_or_default();
        Some((
            format!(
                "{} was asked of the file system {}{line}",
                short(path, 160),
                expected.unwrap_or("of another scheme")
            ),
            words(
                "get the file system of the path itself: path.getFileSystem(conf), not FileSystem.get(conf); or set spark.hadoop.fs.defaultFS to it",
            ),
        ))
    }),
];

/// A Python of an executor that ended before it could say a word to Spark: what it wrote instead.
fn not_started(matched: &Match<'_>) -> Option<(String, Fix)> {
    let mut lines = matched
        .block
        .text
        .lines()
        .skip_while(|line| !line.contains("Error from python worker:"));
    let said: Vec<&str> = lines
        .by_ref()
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    // A traceback ends with what it is about; a message of a shell begins with it.
    let said = match said.first()?.starts_with("Traceback") {
        true => said.last()?,
        false => said.first()?,
    };
    // Rules about modules and packages know more.
    (!said.contains("Error: No module named")).then(|| {
        (
            format!("The executors' Python does not start: {}", short(said, 200)),
            words(
                "see that the Python named in spark.pyspark.python is whole in the image (for an environment that is sent along: in the same directory, for the same system), and starts with the pod's user and variables",
            ),
        )
    })
}

fn package_version(matched: &Match<'_>) -> (String, Fix) {
    let text = &matched.block.text;
    let has = |words: &str| text.contains(words);
    let line = code::python(text).map(|thrown| thrown.at()).unwrap_or_default();
    let (cause, fix) = if has("NumPy 1.x")
        || has("numpy.dtype size changed")
        || has("_ARRAY_API")
        || has("multiarray failed")
    {
        (
            "A Python package was compiled for another NumPy than is installed".to_owned(),
            "install packages that fit: numpy<2 beside packages built for NumPy 1, or newer ones of pandas and pyarrow; pin them together in the image".to_owned(),
        )
    } else if let (Some(least), Some(has)) = (
        between(matched.line, "] ", " must be installed")
            .or_else(|| between(matched.line, "Error: ", " must be installed")),
        between(matched.line, "your version is ", "\n").or_else(|| after(matched.line, "your version is ")),
    ) {
        (
            format!(
                "{} is too old for this Spark, which needs {least}",
                least.split(' ').next().unwrap_or("A package").to_owned() + " " + has.trim_end_matches('.')
            ),
            format!("install {least} into the image of driver and executors"),
        )
    } else if has("distutils") {
        (
            "A package needs distutils, which Python 3.12 and newer have not".to_owned(),
            "use an image with Python 3.11, or a newer version of the package that asks for it (Spark before 3.5 does itself); pip install setuptools brings it back".to_owned(),
        )
    } else {
        (
            format!("Code calls what the installed version of a package has not: {}{line}", short(exception(matched.line), 160)),
            "install the version it was written for (pandas<2 has iteritems and append, numpy<1.24 has np.bool), or use the newer name in the code (items, concat, bool)".to_owned(),
        )
    };
    (cause, words(fix))
}

fn exception(line: &str) -> &str {
    line.split_once("Error: ").map_or(line, |(_, said)| said)
}

fn result(matched: &Match<'_>) -> (String, Fix) {
    let text = &matched.block.text;
    let at = code::python(text).map(|thrown| thrown.at()).unwrap_or_default();
    if text.contains("construction of ClassDict") {
        let what = between(text, "ClassDict (for ", ")").unwrap_or("an object");
        return (
            format!("A Python function returns {what}, which Spark cannot take as a value"),
            words("return Python's own types: float(value), int(value), value.item(), list(array)"),
        );
    }
    if text.contains("required length") {
        let lengths = after(matched.line, "expected ").map(|rest| format!(": expected {}", rest.trim_end_matches('.')));
        return (
            format!(
                "A pandas function returned a series of another length than it was given{}",
                lengths.unwrap_or_default()
            ),
            words(
                "return one value for each row; for one value of many rows make it an aggregate (Series to scalar, with groupBy or a window)",
            ),
        );
    }
    (
        format!(
            "A Python function returns another type than it declares: {}{at}",
            short(exception(matched.line), 220)
        ),
        words("declare the type it returns, or convert before it returns"),
    )
}

fn permission(matched: &Match<'_>) -> (String, Fix) {
    let hdfs = matched.line.contains("user=");
    let line = matched.line;
    let what = after(line, "Mkdirs failed to create ")
        .or_else(|| after(line, "FileNotFoundException: "))
        .or_else(|| after(line, "AccessDeniedException: "))
        .or_else(|| after(line, "Permission denied: "))
        .or_else(|| after(line, "Errno 13] "))
        .unwrap_or(line);
    let what = short(what.trim_end_matches(" (Permission denied)"), 200);
    let fix = match hdfs {
        true => {
            "write as a user that may (HADOOP_USER_NAME without Kerberos), or have the directory's rights changed (hdfs dfs -chown, -setfacl)"
        }
        false => {
            "write to a volume that pods may write: fsGroup or runAsUser of the security context must fit the directory's owner (Spark's images run as user 185); a path without a scheme is local to each pod"
        }
    };
    (
        format!("The application may not read or write there: {what}"),
        words(fix),
    )
}
