//! The application's own code: exceptions of Python and of the JVM, with the user's own line.

use super::class::{Class, END, class, words};
use super::texts::{Match, TextRule, ends};
use crate::text::short;
use stoke_diagnostics::Fix;

/// Classes below this rank are exceptions of anybody's code.
pub(super) const GENERAL: u32 = 200;

const PYTHON_DEBUG: &str = "https://spark.apache.org/docs/latest/api/python/development/debugging.html";
const PROGRAMMING: &str = "https://spark.apache.org/docs/latest/rdd-programming-guide.html";

static PYTHON_EXCEPTION: Class = class(
    "python-exception",
    150,
    "the innermost traceback is the cause; its last line outside of PySpark and the standard library is the application's own",
    PYTHON_DEBUG,
    &[END, &["jvm-exception"]],
);
static JVM_EXCEPTION: Class = class(
    "jvm-exception",
    140,
    "the last 'Caused by' is the cause; its first frame outside of Java, Scala and Spark is the application's own",
    PROGRAMMING,
    &[END],
);
static NOT_SERIALIZABLE: Class = class(
    "not-serializable",
    450,
    "what a function of a task refers to is sent to the executors and must be serializable",
    "https://spark.apache.org/docs/latest/rdd-programming-guide.html#passing-functions-to-spark",
    &[END, &["python-exception", "jvm-exception"]],
);
static CONTEXT_IN_TASK: Class = class(
    "context-in-task",
    455,
    "SparkContext, SparkSession, RDDs and DataFrames live in the driver; tasks cannot use them (SPARK-5063)",
    "https://spark.apache.org/docs/latest/rdd-programming-guide.html#passing-functions-to-spark",
    &[END, &["python-exception", "jvm-exception", "not-serializable"]],
);
static EXCLUDED: Class = class(
    "executors-excluded",
    100,
    "executors and nodes on which tasks failed too often are excluded (spark.excludeOnFailure.enabled); a task that can run nowhere else ends the job",
    "spark.excludeOnFailure.enabled",
    &[&["job-aborted", "driver-exit-code"]],
);
static JOB_ABORTED: Class = class(
    "job-aborted",
    50,
    "a job is aborted when one of its tasks failed spark.task.maxFailures times (4 unless configured; 1 in local mode)",
    "spark.task.maxFailures",
    &[],
);

/// The classes of this family.
pub(super) static CLASSES: [&Class; 6] = [
    &EXCLUDED,
    &PYTHON_EXCEPTION,
    &JVM_EXCEPTION,
    &NOT_SERIALIZABLE,
    &CONTEXT_IN_TASK,
    &JOB_ABORTED,
];

/// Its rules over texts.
pub(super) const RULES: &[TextRule] = &[
    ends(&EXCLUDED, &[&["cannot run anywhere due to node and executor"]], |_| {
        Some((
            "A task failed on every executor it could run on, and all of them are excluded".into(),
            words(
                "the failures of that task say why; where they are the executors' fault, exclude later: spark.excludeOnFailure.task.maxTaskAttemptsPerNode",
            ),
        ))
    }),
    ends(
        &CONTEXT_IN_TASK,
        &[
            &["SPARK-5063"],
            &["CONTEXT_ONLY_VALID_ON_DRIVER"],
            &["CONTEXT_UNAVAILABLE_FOR_REMOTE_CLIENT"],
        ],
        |matched| {
            let line = python(&matched.block.text)
                .map(|thrown| thrown.at())
                .unwrap_or_default();
            Some((
                format!("A function that runs in tasks uses the SparkContext, the session or an RDD{line}"),
                words(
                    "collect or broadcast before what the function needs, or express it as a join; a task cannot start jobs",
                ),
            ))
        },
    ),
    ends(
        &NOT_SERIALIZABLE,
        &[
            &["Task not serializable"],
            &["PicklingError"],
            &["NotSerializableException"],
            &["TypeError: cannot pickle"],
            &["object not serializable"],
        ],
        |matched| {
            let what = between_quotes(matched)
                .map(|what| format!(" ({what})"))
                .unwrap_or_default();
            let line = python(&matched.block.text)
                .map(|thrown| thrown.at())
                .unwrap_or_default();
            Some((
                format!("A function sent to the executors refers to something that cannot be serialized{what}{line}"),
                words(
                    "make connections, locks and the like inside of the function (once for each partition, mapPartitions), not outside of it; in Scala keep fields of the enclosing class out by copying them to a local value",
                ),
            ))
        },
    ),
    ends(
        &PYTHON_EXCEPTION,
        &[&["Traceback (most recent call last)"]],
        python_exception,
    ),
    ends(
        &JVM_EXCEPTION,
        &[
            &["Caused by: "],
            &["Exception in thread \"main\""],
            &["Exception: "],
            &["Error: "],
        ],
        jvm_exception,
    ),
    ends(&JOB_ABORTED, &[&["Job aborted"], &["aborting job"]], |matched| {
        Some((
            format!("A job was aborted: {}", short(matched.line, 200)),
            words("the last failures of its task say why: see the executor's log"),
        ))
    }),
];

fn between_quotes(matched: &Match<'_>) -> Option<String> {
    let line = matched
        .block
        .line_with(&["Serialization stack"])
        .or_else(|| matched.block.line_with(&["cannot pickle"]))?;
    let what = crate::text::between(line, "'", "'")?;
    Some(what.to_owned())
}

/// An exception with its user's line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Thrown {
    /// `ValueError: invalid literal…`.
    pub what: String,
    /// `job.py:12, in parse`, or `com.example.Etl$.main(Etl.scala:7)`.
    pub user_line: Option<String>,
    /// The code at that line, where it is told.
    pub code: Option<String>,
}

impl Thrown {
    /// ` at job.py:12, in parse`, or nothing.
    pub fn at(&self) -> String {
        let place = self
            .user_line
            .as_ref()
            .map(|line| format!(" at {line}"))
            .unwrap_or_default();
        let code = self.code.as_ref().map(|code| format!(": {code}")).unwrap_or_default();
        format!("{place}{code}")
    }
}

fn python_exception(matched: &Match<'_>) -> Option<(String, Fix)> {
    let thrown = python(&matched.block.text)?;
    // A py4j error carries the JVM's: that one is the cause, unless it carries a worker's traceback in turn.
    if thrown.what.contains("Py4JJavaError")
        && let Some(inner) = jvm(&matched.block.text)
    {
        let line = thrown.user_line.clone().or_else(|| inner.user_line.clone());
        let matched = Thrown {
            what: inner.what,
            user_line: line,
            code: thrown.code,
        };
        return Some((
            format!("An exception ended the application: {}{}", matched.what, matched.at()),
            code_fix(&matched),
        ));
    }
    let place = match matched.block.text.contains("PythonException") {
        true => "A Python function failed in a task",
        false => "The Python script failed",
    };
    Some((format!("{place}: {}{}", thrown.what, thrown.at()), code_fix(&thrown)))
}

fn jvm_exception(matched: &Match<'_>) -> Option<(String, Fix)> {
    let thrown = jvm(&matched.block.text)?;
    Some((
        format!("An exception ended the application: {}{}", thrown.what, thrown.at()),
        code_fix(&thrown),
    ))
}

fn code_fix(thrown: &Thrown) -> Fix {
    match &thrown.user_line {
        Some(line) => words(format!(
            "fix the code at {line}, or guard it against the value that broke it"
        )),
        None => words(
            "the stack names no line of the application's own: the values or options it was called with are to be looked at",
        ),
    }
}

/// Python's innermost exception of a text.
pub(super) fn python(text: &str) -> Option<Thrown> {
    const MARK: &str = "Traceback (most recent call last)";
    // Innermost: the last worker's traceback inside of a PythonException; without one, the first of a chain is the root.
    let lines: Vec<&str> = text.lines().collect();
    let worker = lines
        .iter()
        .rposition(|line| line.contains("PythonException") && line.contains(MARK));
    let start = worker.or_else(|| lines.iter().position(|line| line.contains(MARK)))?;
    let (mut frames, mut what) = (Vec::new(), None);
    let mut place = start + 1;
    while let Some(line) = lines.get(place) {
        if let Some(frame) = frame(line) {
            let code = lines
                .get(place + 1)
                .map(|code| code.trim())
                .filter(|code| !code.is_empty() && !code.starts_with("File \""));
            frames.push((frame, code.map(str::to_owned)));
        } else if !line.starts_with(' ') && !line.is_empty() && !line.starts_with('\t') {
            what = Some((*line).to_owned());
            break;
        }
        place += 1;
    }
    let what = short(&what?, 200);
    let own = frames.iter().rev().find(|(frame, _)| !is_library(&frame.0));
    Some(Thrown {
        what,
        user_line: own.map(|((file, line, function), _)| match function.as_str() {
            "" | "<module>" => format!("{file}:{line}"),
            function => format!("{file}:{line}, in {function}"),
        }),
        code: own
            .and_then(|(_, code)| code.clone())
            .filter(|code| !code.starts_with('^')),
    })
}

/// `  File "job.py", line 12, in parse`.
fn frame(line: &str) -> Option<(String, u32, String)> {
    let rest = line.trim_start().strip_prefix("File \"")?;
    let (file, rest) = rest.split_once("\", line ")?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let function = rest.split_once(", in ").map_or("", |(_, function)| function);
    Some((
        file.to_owned(),
        rest[..digits].parse().ok()?,
        function.trim().to_owned(),
    ))
}

fn is_library(file: &str) -> bool {
    const LIBRARIES: [&str; 12] = [
        "/pyspark/",
        "/pyspark.zip/",
        "/py4j",
        "/site-packages/",
        "/dist-packages/",
        "/lib/python",
        "/lib64/python",
        "<frozen ",
        "/cloudpickle/",
        "/pandas/",
        "/pyarrow/",
        "/numpy/",
    ];
    LIBRARIES.iter().any(|library| file.contains(library))
}

/// The JVM's last cause of a text.
pub(super) fn jvm(text: &str) -> Option<Thrown> {
    let lines: Vec<&str> = text.lines().collect();
    let caused = lines
        .iter()
        .rposition(|line| line.trim_start().starts_with("Caused by: "));
    let head = caused.or_else(|| lines.iter().position(|line| exception_in(line).is_some()))?;
    let what = exception_in(lines[head])?;
    let frames = lines
        .iter()
        .skip(head + 1)
        .take_while(|line| !line.trim_start().starts_with("Caused by: "));
    let mut frames = frames.filter_map(|line| line.trim_start().strip_prefix("at "));
    let own = |frame: &&str| !is_platform(frame);
    // Where the cause has no line of the user's, the wrapping exceptions may.
    let user_line = frames.find(own).or_else(|| {
        lines
            .iter()
            .filter_map(|line| line.trim_start().strip_prefix("at "))
            .find(own)
    });
    Some(Thrown {
        what: short(what, 200),
        user_line: user_line.map(|frame| frame.trim().to_owned()),
        code: None,
    })
}

/// The exception a line names: what begins with a class of a package and is called an exception or an error.
fn exception_in(line: &str) -> Option<&str> {
    let line = line.trim();
    let line = line.strip_prefix("Caused by: ").unwrap_or(line);
    let line = line.strip_prefix("Exception in thread \"main\" ").unwrap_or(line);
    let line = line.strip_prefix(": ").unwrap_or(line);
    // "Lost task 0.0 in stage 0.0 (TID 0) (host executor 1): java.lang.IllegalStateException: no"
    let line = match line.find("(TID ") {
        Some(at) => line[at..].split_once("): ").map_or(line, |(_, rest)| rest),
        None => line,
    };
    let class = line.split([':', ' ']).next().unwrap_or_default();
    let named = class.ends_with("Exception") || class.ends_with("Error") || class.ends_with("Failure");
    // What py4j throws in Python only says that the JVM's exception follows.
    (named && class.contains('.') && !class.starts_with("py4j.")).then_some(line)
}

fn is_platform(frame: &str) -> bool {
    const PLATFORMS: [&str; 15] = [
        "java.",
        "java.base/",
        "javax.",
        "jdk.",
        "sun.",
        "scala.",
        "org.apache.spark.",
        "org.apache.hadoop.",
        "org.apache.parquet.",
        "org.apache.hive.",
        "org.sparkproject.",
        "py4j.",
        "io.netty.",
        "com.fasterxml.",
        "com.esotericsoftware.",
    ];
    PLATFORMS.iter().any(|platform| frame.starts_with(platform)) || frame.contains("$Lambda")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_line_is_the_last_outside_of_libraries() {
        let text = "26/11/22 ERROR Executor: Exception in task 0.0\norg.apache.spark.api.python.PythonException: Traceback (most recent call last):\n  File \"/opt/spark/python/lib/pyspark.zip/pyspark/worker.py\", line 3386, in main\n    process()\n  File \"/app/job.py\", line 19, in parse\n    return int(\"x%s\" % value)\n           ^^^^^^^^^\n  File \"/usr/lib/python3.11/json/decoder.py\", line 3, in decode\nValueError: invalid literal\n\n\tat org.apache.spark.api.python.BasePythonRunner$ReaderIterator.handlePythonException(PythonRunner.scala:645)";
        let thrown = python(text).unwrap();
        assert_eq!(thrown.what, "ValueError: invalid literal");
        assert_eq!(thrown.user_line.as_deref(), Some("/app/job.py:19, in parse"));
        assert_eq!(thrown.code.as_deref(), Some("return int(\"x%s\" % value)"));
    }

    #[test]
    fn the_last_cause_counts() {
        let text = "Exception in thread \"main\" org.apache.spark.SparkException: Job aborted\n\tat org.apache.spark.A.b(A.scala:1)\n\tat com.example.Etl$.main(Etl.scala:7)\nCaused by: java.lang.IllegalStateException: no rows\n\tat com.example.Etl$.check(Etl.scala:21)\n\tat java.base/java.lang.Thread.run(Thread.java:840)";
        let thrown = jvm(text).unwrap();
        assert_eq!(thrown.what, "java.lang.IllegalStateException: no rows");
        assert_eq!(
            thrown.user_line.as_deref(),
            Some("com.example.Etl$.check(Etl.scala:21)")
        );
    }

    #[test]
    fn what_py4j_carries_counts_and_not_that_it_does() {
        let text = "Traceback (most recent call last):\n  File \"/app/job.py\", line 3, in <module>\n    frame.load()\npy4j.protocol.Py4JJavaError: An error occurred while calling o157.load.\n: org.postgresql.util.PSQLException: FATAL: database \"nope\" does not exist\n\tat org.postgresql.core.v3.QueryExecutorImpl.a(QueryExecutorImpl.java:2733)";
        let thrown = jvm(text).unwrap();
        assert_eq!(
            thrown.what,
            "org.postgresql.util.PSQLException: FATAL: database \"nope\" does not exist"
        );
    }

    #[test]
    fn what_is_no_exception_is_none() {
        assert_eq!(jvm("26/11/22 ERROR Utils: nothing"), None);
        assert_eq!(python("Traceback (most recent call last):"), None);
    }
}
