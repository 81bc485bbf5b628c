//! Memory: the container's, the heap, direct buffers, metaspace, Python, and what the driver collects.

use super::class::{Class, END, Found, LOST, THROWN, class, patch, words};
use super::context::{Context, exit_code};
use super::losses::Why;
use super::memory_settings::{MemoryRequest, conf_patch, peak_mib};
use super::texts::{Match, TextRule, ends, hurts};
use crate::facts::cluster::State;
use crate::text::{after, between};
use stoke_diagnostics::{Evidence, Fix};
use stoke_model::units::people::{amount, counted};

const CONTAINERS: &str = "https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/";
const CONFIGURATION: &str = "https://spark.apache.org/docs/latest/configuration.html";
const TUNING: &str = "https://spark.apache.org/docs/latest/tuning.html";
const FOLLOWS: &[&[&str]] = &[LOST, END, THROWN, &["executor-killed", "driver-killed"]];

/// The container of an executor was ended for its memory.
pub(super) static EXECUTOR_OOM_KILLED: Class = class(
    "executor-oom-killed",
    760,
    "the kernel ends a container whose processes use more memory than its limit: exit code 137, reason OOMKilled; the limit is heap + overhead (+ off-heap + Python)",
    CONTAINERS,
    FOLLOWS,
);
static PYTHON_MEMORY: Class = class(
    "python-memory",
    765,
    "Python workers live outside the JVM's heap, in the overhead; a worker that cannot get memory raises MemoryError, or the container is OOMKilled while Python holds the larger share",
    "spark.executor.pyspark.memory",
    &[LOST, END, THROWN, &["executor-oom-killed", "executor-killed"]],
);
static EXECUTOR_HEAP_OOM: Class = class(
    "executor-heap-oom",
    755,
    "java.lang.OutOfMemoryError (Java heap space, GC overhead limit) in an executor; its process ends with exit code 52",
    TUNING,
    FOLLOWS,
);
static DIRECT_MEMORY: Class = class(
    "direct-memory-oom",
    757,
    "direct buffers outside the heap are limited by -XX:MaxDirectMemorySize, by default the size of the heap",
    CONFIGURATION,
    FOLLOWS,
);
static METASPACE: Class = class(
    "metaspace-oom",
    756,
    "classes live in the metaspace, limited by -XX:MaxMetaspaceSize",
    CONFIGURATION,
    FOLLOWS,
);
static NATIVE_THREADS: Class = class(
    "threads-exhausted",
    756,
    "unable to create native thread: the process or pod has reached its limit of threads, not of memory",
    "https://kubernetes.io/docs/concepts/policy/pid-limiting/",
    FOLLOWS,
);
static DRIVER_HEAP_OOM: Class = class(
    "driver-heap-oom",
    770,
    "java.lang.OutOfMemoryError in the driver: it holds results, broadcasts and plans in its heap",
    "spark.driver.memory",
    &[LOST, END, THROWN, &["driver-killed"]],
);
static DRIVER_OOM_KILLED: Class = class(
    "driver-oom-killed",
    772,
    "the kernel ends a container whose processes use more memory than its limit: exit code 137, reason OOMKilled; for the driver the limit is heap + overhead",
    CONTAINERS,
    &[LOST, END, THROWN, &["driver-killed"]],
);
static RESULT_TOO_LARGE: Class = class(
    "result-too-large",
    775,
    "all results of one action together may not exceed spark.driver.maxResultSize (1g unless configured)",
    "spark.driver.maxResultSize",
    &[END, THROWN],
);
static BROADCAST_TOO_LARGE: Class = class(
    "broadcast-too-large",
    775,
    "a broadcast table may have at most 8 GiB and 512 million rows, and must fit into the driver's heap",
    "spark.sql.autoBroadcastJoinThreshold",
    &[END, THROWN, &["driver-heap-oom"]],
);
static BROADCAST_TIMEOUT: Class = class(
    "broadcast-timeout",
    560,
    "the table to be broadcast must be there within spark.sql.broadcastTimeout (300 s unless configured)",
    "spark.sql.broadcastTimeout",
    &[END, THROWN],
);
static PYTHON_WORKER_CRASHED: Class = class(
    "python-worker-crashed",
    500,
    "a Python worker ended without a word: it was killed (often for memory) or crashed in native code",
    "spark.python.worker.faulthandler.enabled",
    &[END, THROWN],
);
static TASK_RESULT_LOST: Class = class(
    "task-result-lost",
    300,
    "large results wait in the executor's block manager until the driver fetches them; they go with the executor",
    "spark.task.maxDirectResultSize",
    &[END],
);

/// The classes of this family.
pub(super) static CLASSES: [&Class; 13] = [
    &EXECUTOR_OOM_KILLED,
    &PYTHON_MEMORY,
    &EXECUTOR_HEAP_OOM,
    &DIRECT_MEMORY,
    &METASPACE,
    &NATIVE_THREADS,
    &DRIVER_HEAP_OOM,
    &DRIVER_OOM_KILLED,
    &RESULT_TOO_LARGE,
    &BROADCAST_TOO_LARGE,
    &BROADCAST_TIMEOUT,
    &PYTHON_WORKER_CRASHED,
    &TASK_RESULT_LOST,
];

/// Its rules over texts.
pub(super) const RULES: &[TextRule] = &[
    ends(
        &RESULT_TOO_LARGE,
        &[&["Total size of serialized results", "is bigger than"]],
        |matched| Some((result_too_large(matched), result_fix(matched))),
    ),
    ends(
        &BROADCAST_TOO_LARGE,
        &[
            &["Cannot broadcast the table"],
            &["Not enough memory to build and broadcast the table"],
            &["_LEGACY_ERROR_TEMP_2249"],
            &["_LEGACY_ERROR_TEMP_2250"],
        ],
        |matched| Some((broadcast(matched), broadcast_fix())),
    ),
    ends(
        &BROADCAST_TIMEOUT,
        &[&["Could not execute broadcast in"], &["BROADCAST_EXCHANGE_TIMEOUT"]],
        |matched| {
            let seconds = after(matched.line, "broadcast in ").and_then(crate::text::leading_number);
            let within = seconds.map_or_else(String::new, |seconds| format!(" within {seconds} s"));
            Some((
                format!(
                    "A table to be broadcast was not ready{within}: computing it takes too long, or it is too large to be broadcast"
                ),
                patch(
                    "do not broadcast what is slow to compute: take away the broadcast hint, or switch automatic broadcasts off; or allow more time with spark.sql.broadcastTimeout",
                    conf_patch([("spark.sql.autoBroadcastJoinThreshold", "-1".into())]),
                ),
            ))
        },
    ),
    hurts(
        &DIRECT_MEMORY,
        &[
            &["OutOfMemoryError", "direct buffer memory"],
            &["OutOfMemoryError", "Direct buffer memory"],
            &["OutOfDirectMemoryError"],
            &["direct memory", "OutOfMemory"],
        ],
        |matched| {
            let asked = MemoryRequest::of(matched.context, role(matched));
            Some((
                format!(
                    "{} ran out of direct memory (network and file buffers outside the heap); it has {}",
                    who(matched),
                    asked.in_words()
                ),
                patch(
                    format!(
                        "raise memoryOverhead to {} MiB, and fetch less at a time with spark.reducer.maxSizeInFlight=24m",
                        asked.more_overhead(None)
                    ),
                    asked.patch("memoryOverhead", asked.more_overhead(None)),
                ),
            ))
        },
    ),
    hurts(
        &METASPACE,
        &[
            &["OutOfMemoryError", "Metaspace"],
            &["OutOfMemoryError", "Compressed class space"],
        ],
        |matched| {
            let asked = MemoryRequest::of(matched.context, role(matched));
            let key = match asked.role {
                "driver" => "spark.driver.extraJavaOptions",
                _ => "spark.executor.extraJavaOptions",
            };
            let options = matched.context.facts.property(key).unwrap_or_default();
            let options: Vec<&str> = options
                .split_whitespace()
                .filter(|option| !option.starts_with("-XX:MaxMetaspaceSize"))
                .collect();
            let more = format!("{} -XX:MaxMetaspaceSize=512m", options.join(" "));
            Some((
                format!("{} ran out of room for classes (metaspace)", who(matched)),
                patch(
                    format!("raise or take away the limit in {key}"),
                    conf_patch([(key, more.trim().to_owned())]),
                ),
            ))
        },
    ),
    hurts(
        &NATIVE_THREADS,
        &[&["OutOfMemoryError", "unable to create", "native thread"]],
        |matched| {
            Some((
                format!(
                    "{} could not start a thread: its node or pod allows no more",
                    who(matched)
                ),
                words(
                    "use fewer cores for each executor, or have the node's pod pid limit (kubelet podPidsLimit) raised; more memory does not help",
                ),
            ))
        },
    ),
    hurts(
        &EXECUTOR_HEAP_OOM,
        &[
            &["java.lang.OutOfMemoryError: Java heap space"],
            &["java.lang.OutOfMemoryError: GC overhead limit exceeded"],
            &["java.lang.OutOfMemoryError: Requested array size exceeds VM limit"],
            &["SparkOutOfMemoryError"],
            &["UNABLE_TO_ACQUIRE_MEMORY"],
        ],
        |matched| (role(matched) == "executor").then(|| executor_heap(matched.context, &who(matched))),
    ),
    hurts(
        &DRIVER_HEAP_OOM,
        &[
            &["java.lang.OutOfMemoryError: Java heap space"],
            &["java.lang.OutOfMemoryError: GC overhead limit exceeded"],
            &["java.lang.OutOfMemoryError: Requested array size exceeds VM limit"],
            &["SparkOutOfMemoryError"],
            &["OutOfMemoryError", "thread \"main\""],
        ],
        |matched| {
            let asked = MemoryRequest::of(matched.context, "driver");
            Some((
                format!("The driver's JVM ran out of heap ({} MiB)", asked.heap),
                patch(
                    format!(
                        "collect less to the driver (write instead of collect and toPandas, broadcast less), or raise its memory to {} MiB",
                        asked.more_heap()
                    ),
                    asked.patch("memory", asked.more_heap()),
                ),
            ))
        },
    ),
    hurts(&PYTHON_MEMORY, &[&["MemoryError"]], |matched| {
        let python = matched.block.text.contains("PythonException") || matched.block.text.contains("Traceback");
        let own = matched.line.trim_start().starts_with("MemoryError")
            || matched.line.contains("numpy")
            || matched.line.contains("ArrayMemoryError");
        (python && own).then(|| {
            python_memory(
                matched.context,
                "A Python worker could not get the memory it asked for (MemoryError)",
            )
        })
    }),
    ends(
        &PYTHON_WORKER_CRASHED,
        &[
            &["Python worker exited unexpectedly"],
            &["PYTHON_WORKER_CRASH"],
            &["Python worker process terminated"],
        ],
        |matched| {
            match worker_end(matched.line) {
            WorkerEnd::Killed => None,
            WorkerEnd::Crashed(signal) => Some((
                format!("A Python worker crashed in native code (a C extension): {signal}"),
                words("the stack below the error in the executor's log names the Python line; update or replace the library it calls"),
            )),
            WorkerEnd::Unknown => Some((
                "A Python worker ended in the middle of a task without an exception: it was killed, or crashed in native code (a C extension)".into(),
                patch(
                    "run once more with the fault handler on: the error then distinguishes a crash in native code, with its Python stack, from a worker that was killed for memory",
                    conf_patch([("spark.python.worker.faulthandler.enabled", "true".into())]),
                ),
            )),
        }
        },
    ),
    ends(
        &PYTHON_MEMORY,
        &[&["Python worker exited unexpectedly (crashed):"]],
        |matched| {
            (worker_end(matched.line) == WorkerEnd::Killed).then(|| {
            python_memory(
                matched.context,
                "A Python worker ended at once and did not crash in native code (Python's fault handler was on and saw nothing): it was killed (SIGKILL), which the kernel does when a container's memory is used up, unless the code itself ended it (os._exit)",
            )
        })
        },
    ),
    ends(&TASK_RESULT_LOST, &[&["TaskResultLost"]], |_| {
        Some((
            "The result of a task was lost with its executor before the driver had it".into(),
            words(
                "find out why the executor went (its log, its pod's events); large results are better written than collected",
            ),
        ))
    }),
];

/// How a Python worker ended, as far as Spark's sentence tells.
#[derive(Debug, PartialEq)]
enum WorkerEnd<'a> {
    /// The fault handler was off.
    Unknown,
    /// It was on and wrote nothing: no crash in native code. SIGKILL and SIGTERM leave nothing, and neither does `os._exit`.
    Killed,
    /// It told this.
    Crashed(&'a str),
}

/// With the fault handler on, what it wrote follows a colon: nothing, when the worker was killed.
fn worker_end(line: &str) -> WorkerEnd<'_> {
    match line.split_once("Python worker exited unexpectedly (crashed):") {
        None => WorkerEnd::Unknown,
        Some((_, matched)) => match matched.trim().trim_start_matches("Fatal Python error:").trim() {
            "" => WorkerEnd::Killed,
            signal => WorkerEnd::Crashed(signal),
        },
    }
}

/// What pods and lost executors tell of memory.
pub(super) fn look(context: &Context<'_>, out: &mut Vec<Found>) {
    let of = |why: Why| context.losses.iter().filter(move |loss| loss.why == why);
    let killed: Vec<_> = of(Why::OomKilled).collect();
    if let Some(first) = killed.first() {
        let (jvm, python) = (
            peak_mib(context, "ProcessTreeJVMRSSMemory"),
            peak_mib(context, "ProcessTreePythonRSSMemory"),
        );
        let how_many = counted(killed.len(), "executor");
        let share = match (jvm, python) {
            (Some(jvm), Some(python)) => {
                format!("; at most {jvm} MiB were measured in the JVM and {python} MiB in Python workers")
            }
            _ => String::new(),
        };
        let asked = MemoryRequest::of(context, "executor");
        let found = match (jvm, python) {
            (Some(jvm), Some(python)) if python > jvm => {
                let (cause, fix) = python_memory(
                    context,
                    &format!("{how_many} OOMKilled while Python workers held the larger share of the memory{share}"),
                );
                Found::new(&PYTHON_MEMORY, context.failed(), cause, first.evidence.clone(), fix)
            }
            _ => {
                let outside = jvm.map(|jvm| (jvm + python.unwrap_or(0)).saturating_sub(asked.heap));
                let more = asked.more_overhead(outside);
                let cause = format!(
                    "{how_many} OOMKilled: more memory was used than the container may have ({}){share}",
                    asked.in_words()
                );
                let text = format!(
                    "raise the executors' memoryOverhead from {} to {more} MiB; the heap stays as it is, for the JVM keeps within it by itself",
                    asked.overhead
                );
                let fix = patch(text, asked.patch("memoryOverhead", more));
                Found::new(
                    &EXECUTOR_OOM_KILLED,
                    context.failed() && first.cost_tasks,
                    cause,
                    first.evidence.clone(),
                    fix,
                )
            }
        };
        let evidence = killed.iter().skip(1).take(2).map(|loss| loss.evidence.clone());
        let mut found = found;
        found.evidence.extend(evidence);
        out.push(found);
    }
    let heap: Vec<_> = of(Why::HeapOom).collect();
    if let Some(first) = heap.first() {
        let (cause, fix) = executor_heap(context, &format!("{} (exit code 52)", counted(heap.len(), "executor")));
        out.push(Found::new(
            &EXECUTOR_HEAP_OOM,
            context.failed() && first.cost_tasks,
            cause,
            first.evidence.clone(),
            fix,
        ));
    }
    driver(context, out);
}

/// A driver whose container was ended for its memory.
fn driver(context: &Context<'_>, out: &mut Vec<Found>) {
    let Some(pod) = context.cluster().and_then(|cluster| cluster.driver()) else {
        return;
    };
    let Some(container) = pod.containers.first() else {
        return;
    };
    let State::Terminated { reason, .. } = &container.state else {
        return;
    };
    if reason != "OOMKilled" {
        return;
    }
    let asked = MemoryRequest::of(context, "driver");
    let more = asked.more_overhead(None);
    let seen = format!(
        "container {} terminated, exit code {}, reason OOMKilled",
        container.name,
        exit_code(container).unwrap_or_default()
    );
    out.push(Found::new(
        &DRIVER_OOM_KILLED,
        true,
        format!(
            "The driver was OOMKilled: it used more memory than its container may have ({})",
            asked.in_words()
        ),
        Evidence::new(format!("pod {}", pod.name), seen),
        patch(
            format!(
                "raise the driver's memoryOverhead from {} to {more} MiB (a Python driver's own data lives there)",
                asked.overhead
            ),
            asked.patch("memoryOverhead", more),
        ),
    ));
}

fn executor_heap(context: &Context<'_>, who: &str) -> (String, Fix) {
    let asked = MemoryRequest::of(context, "executor");
    let cores = context.facts.property("spark.executor.cores").unwrap_or("1");
    (
        format!(
            "{who} ran out of heap: {} MiB for {} at a time",
            asked.heap,
            amount(cores, "task")
        ),
        patch(
            format!(
                "raise the executors' memory from {} to {} MiB, or give each task less to hold: more partitions (spark.sql.shuffle.partitions), fewer cores for each executor",
                asked.heap,
                asked.more_heap()
            ),
            asked.patch("memory", asked.more_heap()),
        ),
    )
}

fn python_memory(context: &Context<'_>, what: &str) -> (String, Fix) {
    let asked = MemoryRequest::of(context, "executor");
    let more = asked.more_overhead(peak_mib(context, "ProcessTreePythonRSSMemory"));
    (
        format!("{what}; the executors have {}", asked.in_words()),
        patch(
            format!(
                "raise the executors' memoryOverhead from {} to {more} MiB, where Python lives, and hold less in it: smaller batches (spark.sql.execution.arrow.maxRecordsPerBatch), no collecting of a whole partition",
                asked.overhead
            ),
            asked.patch("memoryOverhead", more),
        ),
    )
}

fn result_too_large(matched: &Match<'_>) -> String {
    let sizes = between(matched.line, "Total size of serialized results of ", " is bigger than");
    let most = between(matched.line, "maxResultSize (", ")");
    match (sizes, most) {
        (Some(sizes), Some(most)) => {
            format!("The results collected to the driver ({sizes}) exceed spark.driver.maxResultSize ({most})")
        }
        _ => "The results collected to the driver exceed spark.driver.maxResultSize".into(),
    }
}

/// Twice of what is allowed, so that it says a number that follows from the manifest.
fn result_fix(matched: &Match<'_>) -> Fix {
    use stoke_model::memory::{ByteUnit, Memory};
    let now = matched
        .context
        .facts
        .property("spark.driver.maxResultSize")
        .unwrap_or("1g");
    let twice = Memory::parse(now, ByteUnit::Byte).map_or(2048, |memory| (memory.mib() * 2).max(1));
    patch(
        format!(
            "write the result instead of collecting it; where it must be collected, allow {twice} MiB and see that the driver's memory holds it"
        ),
        conf_patch([("spark.driver.maxResultSize", format!("{twice}m"))]),
    )
}

fn broadcast(matched: &Match<'_>) -> String {
    format!(
        "A table is too large to be broadcast: {}",
        crate::text::short(matched.line, 200)
    )
}

fn broadcast_fix() -> Fix {
    patch(
        "let Spark join without a broadcast: take away the broadcast hint or lower spark.sql.autoBroadcastJoinThreshold",
        conf_patch([("spark.sql.autoBroadcastJoinThreshold", "-1".into())]),
    )
}

/// `driver` or `executor`: whose memory a text is about.
fn role(matched: &Match<'_>) -> &'static str {
    match executor(matched) {
        Some(_) => "executor",
        None => "driver",
    }
}

/// The executor a text is about; the driver's own threads in local mode are the driver.
fn executor(matched: &Match<'_>) -> Option<String> {
    let named = matched.block.executor.clone();
    let named = named.or_else(|| {
        let lost = matched.block.line_with(&["Lost task", " executor "])?;
        between(lost, " executor ", ")").map(str::to_owned)
    });
    named.filter(|id| id != crate::facts::run::DRIVER)
}

fn who(matched: &Match<'_>) -> String {
    match executor(matched) {
        Some(id) => format!("Executor {id}"),
        None => "The driver".into(),
    }
}
