//! Executors and drivers that went, and how they went.

use super::class::{Class, END, Found, LOST, THROWN, class, patch, words};
use super::context::{Context, Outcome, exit_code};
use super::losses::{self, Loss, Why};
use super::memory_settings::{MemoryRequest, claim_for_local_data, conf_patch};
use crate::facts::Cluster;
use crate::facts::cluster::State;
use crate::text::{between, short};
use stoke_diagnostics::{Evidence, Fix};
use stoke_model::units::people::counted;

const PRESSURE: &str = "https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/";
const DISRUPTIONS: &str = "https://kubernetes.io/docs/concepts/workloads/pods/disruptions/";
const CONTAINERS: &str = "https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/";
const FOLLOWS: &[&[&str]] = &[LOST, END, THROWN];

static EVICTED_STORAGE: Class = class(
    "executor-evicted-storage",
    781,
    "the kubelet evicts pods whose local data exceed their limit, or when the node's disk runs full",
    PRESSURE,
    FOLLOWS,
);
static EVICTED_MEMORY: Class = class(
    "executor-evicted-memory",
    780,
    "the kubelet evicts pods when the node's memory runs out, those first that use more than they requested",
    PRESSURE,
    FOLLOWS,
);
static EVICTED: Class = class(
    "executor-evicted",
    779,
    "the kubelet evicted the pod",
    PRESSURE,
    FOLLOWS,
);
static PREEMPTED: Class = class(
    "executor-preempted",
    783,
    "the scheduler preempts pods for those of a higher priority; nodes are drained, and spot nodes are taken away",
    DISRUPTIONS,
    FOLLOWS,
);
static NODE_LOST: Class = class(
    "node-lost",
    785,
    "the pods of a node that does not answer are deleted after their tolerationSeconds (300 s unless configured)",
    "https://kubernetes.io/docs/concepts/architecture/nodes/#condition",
    FOLLOWS,
);
static KILLED: Class = class(
    "executor-killed",
    740,
    "exit code 137 is SIGKILL: of the kernel for memory, of the kubelet, or of someone",
    CONTAINERS,
    FOLLOWS,
);
static HEARTBEAT: Class = class(
    "executor-heartbeat-timeout",
    640,
    "an executor that is not heard of for spark.network.timeout (120 s) is given up; it says something every spark.executor.heartbeatInterval (10 s)",
    "spark.network.timeout",
    FOLLOWS,
);
static DELETED: Class = class(
    "executor-pod-deleted",
    700,
    "a pod was deleted by someone other than Spark",
    DISRUPTIONS,
    FOLLOWS,
);
static LOST_OTHERWISE: Class = class(
    "executor-lost",
    400,
    "an executor is lost when its process ends, or its connection breaks",
    "spark.task.maxFailures",
    &[
        END,
        THROWN,
        &[
            "fetch-failed-executor-lost",
            "fetch-failed",
            "task-result-lost",
            "executor-failure-limit",
        ],
    ],
);
static FAILURE_LIMIT: Class = class(
    "executor-failure-limit",
    320,
    "the application ends when spark.executor.maxNumFailures executors failed (twice the number asked for, at least 3): exit code 11",
    "spark.executor.maxNumFailures",
    &[END, THROWN],
);
static NATIVE_CRASH: Class = class(
    "native-crash",
    750,
    "exit codes 134 (SIGABRT) and 139 (SIGSEGV) are crashes in native code: of the JVM, or of a native library",
    "https://docs.oracle.com/en/java/javase/17/troubleshoot/troubleshoot-system-crashes.html",
    &[LOST, END, THROWN, &["driver-exit-code"]],
);
static DRIVER_EVICTED: Class = class(
    "driver-evicted",
    825,
    "the kubelet evicts pods when a node runs out of a resource, or their local data exceed their limit",
    PRESSURE,
    FOLLOWS,
);
static DRIVER_LOST: Class = class(
    "driver-pod-deleted",
    824,
    "without its driver's pod a run cannot go on; it starts again from the beginning, where its restart policy says so",
    DISRUPTIONS,
    FOLLOWS,
);
static DRIVER_KILLED: Class = class(
    "driver-killed",
    730,
    "exit code 137 is SIGKILL: of the kernel for memory, of the kubelet, or of someone",
    CONTAINERS,
    &[END],
);
static DRIVER_EXIT: Class = class(
    "driver-exit-code",
    60,
    "the driver's container ended with another code than 0",
    "https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/",
    &[],
);

/// The classes of this family.
pub(super) static CLASSES: [&Class; 15] = [
    &EVICTED_STORAGE,
    &EVICTED_MEMORY,
    &EVICTED,
    &PREEMPTED,
    &NODE_LOST,
    &KILLED,
    &HEARTBEAT,
    &DELETED,
    &LOST_OTHERWISE,
    &FAILURE_LIMIT,
    &NATIVE_CRASH,
    &DRIVER_EVICTED,
    &DRIVER_LOST,
    &DRIVER_KILLED,
    &DRIVER_EXIT,
];

/// What lost executors and the driver's end tell.
pub(super) fn look(context: &Context<'_>, out: &mut Vec<Found>) {
    let mut kinds: Vec<(&'static Class, Vec<&Loss>)> = Vec::new();
    for loss in &context.losses {
        let Some(class) = class_of(&loss.why) else { continue };
        match kinds.iter_mut().find(|(known, _)| known.id == class.id) {
            Some((_, losses)) => losses.push(loss),
            None => kinds.push((class, vec![loss])),
        }
    }
    for (class, losses) in kinds {
        let Some(first) = losses.first() else { continue };
        let (cause, fix) = explain(context, class.id, &losses);
        let fatal = context.failed() && losses.iter().any(|loss| loss.cost_tasks);
        let mut found = Found::new(class, fatal, cause, first.evidence.clone(), fix);
        found
            .evidence
            .extend(losses.iter().skip(1).take(2).map(|loss| loss.evidence.clone()));
        out.push(found);
    }
    failure_limit(context, out);
    driver(context, out);
}

fn class_of(why: &Why) -> Option<&'static Class> {
    Some(match why {
        Why::Evicted(resource) if resource == "ephemeral-storage" => &EVICTED_STORAGE,
        Why::Evicted(resource) if resource == "memory" => &EVICTED_MEMORY,
        Why::Evicted(_) => &EVICTED,
        Why::Preempted => &PREEMPTED,
        Why::NodeLost => &NODE_LOST,
        Why::Killed => &KILLED,
        Why::Heartbeat => &HEARTBEAT,
        Why::Deleted => &DELETED,
        Why::Exit(134 | 139) => &NATIVE_CRASH,
        Why::Exit(_) | Why::Unknown => &LOST_OTHERWISE,
        // Memory and disks have families of their own.
        Why::OomKilled | Why::HeapOom | Why::NoLocalDirectory => return None,
    })
}

fn explain(context: &Context<'_>, id: &str, losses: &[&Loss]) -> (String, Fix) {
    let who = counted(losses.len(), "executor");
    let asked = MemoryRequest::of(context, "executor");
    let decommission = || {
        conf_patch([
            ("spark.decommission.enabled", "true".into()),
            ("spark.storage.decommission.enabled", "true".into()),
            ("spark.storage.decommission.rddBlocks.enabled", "true".into()),
            ("spark.storage.decommission.shuffleBlocks.enabled", "true".into()),
        ])
    };
    match id {
        "executor-evicted-storage" => evicted_for_storage(&who, losses),
        "executor-evicted-memory" => (
            format!("{who} evicted because a node ran out of memory"),
            words(
                "the nodes are promised more memory than they have: other pods without requests, or local directories in memory (spark.kubernetes.local.dirs.tmpfs); keep them apart or use nodes of their own",
            ),
        ),
        "executor-evicted" => (
            format!("{who} evicted by the kubelet"),
            words("the pod's message names the reason"),
        ),
        "executor-preempted" => (
            format!("{who} preempted: {}", preempted(context, losses)),
            patch(
                "let executors that must go hand over their data first; keep the driver on nodes that stay",
                decommission(),
            ),
        ),
        "node-lost" => (
            format!("{who} lost with a node that went away or did not answer"),
            patch(
                "let executors that must go hand over their data first, and spread them over nodes",
                decommission(),
            ),
        ),
        "executor-killed" => {
            let more = asked.more_overhead(None);
            (
                format!(
                    "{who} killed (exit code 137) and no reason was given; most often it is memory ({})",
                    asked.in_words()
                ),
                words(format!(
                    "see the pod's status or the node's kernel log; if it was memory, raise memoryOverhead from {} to {more} MiB",
                    asked.overhead
                )),
            )
        }
        "executor-heartbeat-timeout" => (
            format!("{who} not heard of in time: a long garbage collection, an overloaded node, or the network"),
            words(
                "see the executor's GC time; more memory or fewer cores for each help. Where the pauses are known and harmless, wait longer: spark.network.timeout=300s",
            ),
        ),
        "executor-pod-deleted" => (
            format!("{who} deleted by someone other than Spark"),
            words("see who did it: the API server's audit log, a descheduler, an autoscaler, a quota controller"),
        ),
        "native-crash" => (
            format!("{who} crashed in native code ({})", codes(losses)),
            words(
                "the log has the frame that crashed (hs_err_pid); update the native library or the Java it names, or switch its use off",
            ),
        ),
        _ => {
            let codes = codes(losses);
            let how = match codes.is_empty() {
                true => "its connection broke".to_owned(),
                false => codes,
            };
            (
                format!("{who} lost: {how}"),
                words("see the log of the executor: stoke logs APP --executor ID"),
            )
        }
    }
}

/// Which limit was exceeded, and what raises it: a volume of its own for Spark's data fixes what Spark wrote, and nothing else.
fn evicted_for_storage(who: &str, losses: &[&Loss]) -> (String, Fix) {
    let quoted = |mark: &str, end: &str| {
        let found = losses.iter().find_map(|loss| between(&loss.evidence.seen, mark, end));
        found.map(str::to_owned)
    };
    let own = || {
        patch(
            "give shuffle data and spills a volume of their own (here an on-demand claim of 100Gi of the default storage class)",
            claim_for_local_data(),
        )
    };
    if let Some(volume) = quoted("EmptyDir volume \"", "\"") {
        let limit = quoted("exceeds the limit \"", "\"").unwrap_or_default();
        let cause = format!("{who} evicted for local data: the volume {volume} held more than its limit of {limit}");
        return match volume.starts_with("spark-local-dir") {
            true => (cause, own()),
            false => (
                cause,
                words(format!(
                    "write less into {volume}, raise its sizeLimit in spec.volumes, or make it a claim"
                )),
            ),
        };
    }
    if let Some(limit) =
        quoted("local ephemeral storage limit \"", "\"").or_else(|| quoted("total limit of containers ", "."))
    {
        return (
            format!(
                "{who} evicted for local data: files, logs and volumes of the pod came to more than its limit of {limit}"
            ),
            own(),
        );
    }
    (
        format!("{who} evicted for local data: more than the limit, or the node's disk ran full"),
        own(),
    )
}

/// Who took the room away, as far as the evidence says.
fn preempted(context: &Context<'_>, losses: &[&Loss]) -> String {
    let seen: String = losses.iter().map(|loss| loss.evidence.seen.as_str()).collect();
    let has = |words: &[&str]| words.iter().any(|word| seen.contains(word));
    let events = context
        .cluster()
        .map(|cluster| cluster.events.as_slice())
        .unwrap_or_default();
    let node = events
        .iter()
        .filter(|event| event.kind == "Node")
        .filter_map(|event| losses::takes_node(&event.reason, &event.message))
        // A notice of the cloud says more than the drain that follows.
        .max_by_key(|matched| matched.contains("spot"));
    let cause = if has(&["is cordoned", "has the taint"]) && node.is_none() {
        "its node was drained or taken out of service"
    } else if has(&[
        "PreemptionByScheduler",
        "Preempted: Preempted by",
        "preempting to accommodate",
        "Preempting",
    ]) {
        "a pod of a higher priority needed the room"
    } else if let Some(node) = node {
        node
    } else if has(&["EvictionByEvictionAPI", "Eviction API"]) {
        "it was evicted through the API, as kubectl drain and autoscalers do"
    } else if has(&["shutdown", "Shutdown", "TerminationByKubelet"]) {
        "its node was shut down"
    } else if has(&["TaintManagerEviction", "ScaleDown", "Evicted pod"]) {
        "its node was drained or taken out of service"
    } else {
        "a pod of a higher priority needed the room, or the node was drained or taken away (spot)"
    };
    cause.to_owned()
}

/// `exit code 1 (uncaught exception …)` of those that have one.
fn codes(losses: &[&Loss]) -> String {
    let mut codes: Vec<i32> = losses
        .iter()
        .filter_map(|loss| match loss.why {
            Why::Exit(code) => Some(code),
            _ => None,
        })
        .collect();
    codes.sort_unstable();
    codes.dedup();
    codes.into_iter().map(meaning).collect::<Vec<_>>().join(", ")
}

/// An exit code in words: Spark's own (`SparkExitCode`, `ExecutorExitCode`), then 128 and a signal.
fn meaning(code: i32) -> String {
    let words = match code {
        1 => "an uncaught exception or error",
        11 => "too many executors failed",
        50 => "an uncaught exception",
        51 => "an exception while another was handled",
        52 => "the JVM ran out of memory",
        53 => "local directories could not be made",
        56 => "the driver did not answer heartbeats",
        101 => "the main class could not be run",
        126 => "the command cannot be run",
        127 => "the command does not exist",
        130 => "SIGINT: interrupted",
        134 => "SIGABRT: a crash in native code",
        137 => "SIGKILL: killed",
        139 => "SIGSEGV: a crash in native code",
        143 => "SIGTERM: asked to end",
        _ => return format!("exit code {code}"),
    };
    format!("exit code {code} ({words})")
}

fn failure_limit(context: &Context<'_>, out: &mut Vec<Found>) {
    let printed = context.blocks.iter().find_map(|block| {
        let words: &[&str] = &["Max number of executor failures"];
        block.has(words).then(|| super::context::line(block, words))
    });
    if let Some(evidence) = printed.filter(|_| context.failed()) {
        out.push(Found::new(
            &FAILURE_LIMIT,
            true,
            "The application was given up because too many executors failed",
            evidence,
            words("find out why they fail: the log of one of them (stoke logs APP --executor ID) says why"),
        ));
    }
}

const WHO_DELETED: &str = "see who did it (the API server's audit log, a drain, an autoscaler); a restart policy (spec.restartPolicy) runs the application again";

/// The kubelet's word that it ended a container that ran, because its pod was being deleted.
fn stopped(cluster: &Cluster, pod: &str, container: &str) -> Option<Evidence> {
    let said = format!("Stopping container {container}");
    let event = cluster
        .events_of("Pod", pod)
        .find(|event| event.reason == "Killing" && event.message == said)?;
    Some(Evidence::new(
        format!("event {} of pod {pod}", event.reason),
        event.message.clone(),
    ))
}

fn driver(context: &Context<'_>, out: &mut Vec<Found>) {
    let Some(cluster) = context.cluster() else { return };
    let status = &cluster.application["status"]["applicationState"];
    let message = status["errorMessage"].as_str().unwrap_or_default();
    let deleted = |evidence| {
        Found::new(
            &DRIVER_LOST,
            true,
            "The driver's pod was deleted while the application ran",
            evidence,
            words(WHO_DELETED),
        )
    };
    let Some(pod) = cluster.driver() else {
        let name = cluster.application["status"]["driverInfo"]["podName"].as_str();
        // Its container may have ended otherwise in the seconds that are left to it, and been seen so before the pod was gone.
        let stopped = name.and_then(|name| stopped(cluster, name, "spark-kubernetes-driver"));
        let evidence = match (message.contains("driver pod not found"), stopped) {
            (true, _) => Evidence::new("status.applicationState.errorMessage", short(message, 300)),
            (false, Some(evidence)) if message.contains("driver container failed") => evidence,
            _ => return,
        };
        if context.outcome == Outcome::Failed {
            out.push(deleted(evidence));
        }
        return;
    };
    let place = format!("pod {}", pod.name);
    if pod.reason == "Evicted" {
        out.push(Found::new(
            &DRIVER_EVICTED,
            true,
            format!("The driver was evicted: {}", short(&pod.message, 200)),
            Evidence::new(place, short(&format!("Evicted: {}", pod.message), 300)),
            words("give the driver what it uses (memory, ephemeral storage) as a request, so that it is not among the first to go; a restart policy runs it again"),
        ));
        return;
    }
    let disrupted = pod
        .conditions
        .iter()
        .find(|condition| condition.kind == "DisruptionTarget" && condition.status == "True");
    if let Some(condition) = disrupted.filter(|_| context.failed()) {
        out.push(Found::new(
            &DRIVER_LOST,
            true,
            format!("The driver was taken away: {}", short(&condition.message, 200)),
            Evidence::new(place, short(&format!("DisruptionTarget {}: {}", condition.reason, condition.message), 300)),
            words("keep the driver on nodes that stay (not spot) and give it a priority class; a restart policy runs it again"),
        ));
        return;
    }
    let Some(container) = pod.containers.first() else {
        return;
    };
    let State::Terminated { reason, .. } = &container.state else {
        return;
    };
    let Some(code) = exit_code(container).filter(|code| *code != 0) else {
        return;
    };
    let seen = format!(
        "container {} terminated, exit code {code}, reason {reason}",
        container.name
    );
    let evidence = Evidence::new(place, seen);
    if reason == "OOMKilled" {
        return;
    }
    if let Some(evidence) = stopped(cluster, &pod.name, &container.name).filter(|_| ![134, 139].contains(&code)) {
        out.push(deleted(evidence));
        return;
    }
    let asked = MemoryRequest::of(context, "driver");
    match code {
        134 | 139 => out.push(Found::new(
            &NATIVE_CRASH,
            true,
            format!("The driver crashed in native code: {}", meaning(code)),
            evidence,
            words("the log has the frame that crashed (hs_err_pid); update the native library or the Java it names, or switch its use off"),
        )),
        137 => {
            let more = asked.more_overhead(None);
            out.push(Found::new(
                &DRIVER_KILLED,
                true,
                format!("The driver was killed (exit code 137) and no reason was given; most often it is memory ({})", asked.in_words()),
                evidence,
                patch(format!("if it was memory, raise the driver's memoryOverhead from {} to {more} MiB", asked.overhead), asked.patch("memoryOverhead", more)),
            ));
        }
        143 => out.push(Found::new(
            &DRIVER_LOST,
            true,
            "The driver was asked to end (exit code 143, SIGTERM) while the application ran: its pod was deleted, or its node drained",
            evidence,
            words(WHO_DELETED),
        )),
        code => out.push(Found::new(
            &DRIVER_EXIT,
            true,
            format!("The driver ended with {}", meaning(code)),
            evidence,
            words("its log shows what happened before: stoke logs APP"),
        )),
    }
}
