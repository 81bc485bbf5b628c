//! What keeps a driver from coming up, and what ends it under its own weight: addresses, ports, Java options, init containers, a stopped context, the
//! stack.

use serde_json::{Map, Value, json};

use super::class::{Class, END, Found, LOST, NONE_COME, THROWN, class, patch, words};
use super::code;
use super::context::Context;
use super::texts::{Match, TextRule, ends};
use crate::facts::cluster::{Container, Pod, Role, State};
use crate::text::{after, between, leading_number, short};
use stoke_diagnostics::{Evidence, Fix};

static CANNOT_BIND: Class = class(
    "address-not-bound",
    845,
    "Spark's services listen at spark.driver.bindAddress, each on its port or, while that is taken, on the next of spark.port.maxRetries",
    "spark.driver.bindAddress",
    &[END, THROWN, &["service-unreachable"]],
);
static JAVA_OPTIONS: Class = class(
    "java-options-refused",
    852,
    "the heap is set by spark.driver.memory and spark.executor.memory; Spark refuses -Xmx, and settings of Spark, in Java options",
    "spark.executor.extraJavaOptions",
    &[END, THROWN, LOST, NONE_COME, &["configuration-invalid"]],
);
static STOPPED: Class = class(
    "context-stopped",
    203,
    "after SparkContext.stop(), or when the context ended itself, nothing runs in it any more",
    "https://spark.apache.org/docs/latest/api/python/reference/api/pyspark.SparkContext.stop.html",
    &[END, &["python-exception", "jvm-exception"]],
);
static STACK: Class = class(
    "stack-overflow",
    610,
    "plans, expressions and statements are trees that Spark walks on a thread's stack; very deep ones do not fit it",
    "https://docs.oracle.com/en/java/javase/17/docs/specs/man/java.html",
    &[END, THROWN, &["not-serializable", "sql-analysis-error"]],
);
static INIT: Class = class(
    "init-container-failed",
    862,
    "all init containers of a pod must end with 0 before Spark's container starts",
    "https://kubernetes.io/docs/concepts/workloads/pods/init-containers/",
    &[END, NONE_COME, THROWN],
);

/// The classes of this family.
pub(super) static CLASSES: [&Class; 5] = [&CANNOT_BIND, &JAVA_OPTIONS, &STOPPED, &STACK, &INIT];

/// Its rules over texts.
pub(super) const RULES: &[TextRule] = &[
    ends(
        &JAVA_OPTIONS,
        &[
            &["is not allowed to specify max heap memory settings"],
            &["Not allowed to specify max heap"],
            &["is not allowed to set Spark options"],
        ],
        |matched| Some(java_options(matched)),
    ),
    ends(
        &CANNOT_BIND,
        &[
            &["BindException"],
            &["Cannot assign requested address", "bind"],
            &["Address already in use"],
        ],
        |matched| Some(bind(matched)),
    ),
    ends(
        &STACK,
        &[&["StackOverflowError"], &["FAILED_TO_PARSE_TOO_COMPLEX"]],
        |matched| {
            let line = code::python(&matched.block.text)
                .map(|thrown| thrown.at())
                .unwrap_or_default();
            let executor = matched
                .block
                .executor
                .as_deref()
                .filter(|id| *id != crate::facts::run::DRIVER);
            let (who, key) = match executor {
                Some(id) => (format!("Executor {id}"), "spec.executor.javaOptions"),
                None => ("The driver".to_owned(), "spec.driver.javaOptions"),
            };
            Some((
                format!("{who} ran out of stack: {}{line}", short(matched.line, 200)),
                words(format!(
                    "build no expression or plan in a loop of thousands: select all columns at once instead of withColumn in a loop, cut long lineages with checkpoint(), split statements; or raise the stack: -Xss8m in {key}"
                )),
            ))
        },
    ),
    ends(
        &STOPPED,
        &[
            &["Cannot call methods on a stopped SparkContext"],
            &["SparkContext has been shutdown"],
            &["SparkContext was shut down"],
            &["\"org.apache.spark.SparkEnv$.get()\" is null"],
            &["'NoneType' object has no attribute 'sc'"],
            &["No active or default Spark session found"],
        ],
        |matched| {
            let line = code::python(&matched.block.text).or_else(|| code::jvm(&matched.block.text));
            let line = line.map(|thrown| thrown.at()).unwrap_or_default();
            Some((
                format!("The application used its SparkContext after it was stopped{line}"),
                words(
                    "call stop() last, once, after every action (and not in a function that others use); if your code does not call it, the context ended by itself: look for the first ERROR of the driver's log",
                ),
            ))
        },
    ),
];

fn bind(matched: &Match<'_>) -> (String, Fix) {
    let line = matched.line;
    let service = between(line, "Service '", "'").unwrap_or("a service");
    let port = after(line, "starting from ")
        .and_then(leading_number)
        .filter(|port| *port > 0);
    if line.contains("already in use") {
        let key = match service {
            "sparkDriver" => "spark.driver.port",
            "SparkUI" => "spark.ui.port",
            service if service.contains("BlockTransferService") => "spark.blockManager.port",
            _ => "its port",
        };
        let at = port.map(|port| format!(" {port}")).unwrap_or_default();
        return (
            format!("The port{at} for {service} is in use, and so were all that Spark tried after it"),
            words(format!(
                "give {key} another port, or let Spark try more (spark.port.maxRetries, 16 unless set); with hostNetwork every pod of the node shares the ports"
            )),
        );
    }
    let keys = ["spark.driver.bindAddress", "spark.driver.host"];
    let facts = matched.context.facts;
    let set = keys.into_iter().find_map(|key| Some((key, facts.property(key)?)));
    let cause = match set {
        Some((key, value)) => {
            format!("{service} cannot listen at {key}={value}: no interface of the pod has that address")
        }
        None => format!("{service} cannot listen at its address: no interface of the pod has it"),
    };
    let text = "leave out spark.driver.bindAddress (and SPARK_LOCAL_IP): in a pod Spark takes the pod's own address";
    let in_manifest = matched
        .context
        .cluster()
        .and_then(|cluster| cluster.manifest_property(keys[0]));
    match in_manifest {
        Some(_) => (
            cause,
            patch(text, json!({"spec": {"sparkConf": {"spark.driver.bindAddress": null}}})),
        ),
        None => (cause, words(text)),
    }
}

/// Heap in Java options: where the manifest has it, the patch takes it out and sets the memory instead.
fn java_options(matched: &Match<'_>) -> (String, Fix) {
    let line = matched.line;
    let executor = line.contains("spark.executor.");
    let role = if executor { "executor" } else { "driver" };
    let given = between(line, "(was '", "')")
        .or_else(|| between(line, "(was ", ")"))
        .unwrap_or_default();
    let cause = format!(
        "spark.{role}.extraJavaOptions has what Spark refuses there: {}",
        short(given, 200)
    );
    if line.contains("Spark options") {
        return (cause, words("set keys of Spark in spec.sparkConf instead of with -D"));
    }
    let heap = given.split_whitespace().find_map(|option| option.strip_prefix("-Xmx"));
    let text = format!(
        "take -Xmx out and set the heap with spec.{role}.memory; the JVM's other memory is added to the pod's memory"
    );
    let (Some(heap), Some(cluster)) = (heap, matched.context.cluster()) else {
        return (cause, words(text));
    };
    let rest: Vec<&str> = given
        .split_whitespace()
        .filter(|option| !option.starts_with("-Xmx"))
        .collect();
    let rest = if rest.is_empty() {
        Value::Null
    } else {
        Value::from(rest.join(" "))
    };
    let mut of_role = Map::from_iter([("memory".to_owned(), Value::from(heap.to_ascii_lowercase()))]);
    let key = format!("spark.{role}.extraJavaOptions");
    let spec = match cluster.manifest_property(&key) {
        Some(_) => json!({role: of_role, "sparkConf": {key: rest}}),
        None => {
            of_role.insert("javaOptions".to_owned(), rest);
            json!({role: of_role})
        }
    };
    (cause, patch(text, json!({"spec": spec})))
}

/// Init containers that did not end well.
pub(super) fn look(context: &Context<'_>, out: &mut Vec<Found>) {
    let Some(cluster) = context.cluster().filter(|_| context.not_done()) else {
        return;
    };
    for pod in &cluster.pods {
        let failed = pod.containers.iter().filter(|container| container.init);
        if let Some((container, code, reason, message)) = failed.filter_map(ended).next() {
            let fatal = pod.role == Role::Driver || context.failed();
            out.push(of_init(pod, container, (code, reason, message), fatal));
        }
    }
}

/// How a container ended, now or the last time, where it did not end well.
fn ended(container: &Container) -> Option<(&Container, i32, &str, &str)> {
    [&container.state, &container.last]
        .into_iter()
        .find_map(|state| match state {
            State::Terminated {
                exit_code,
                reason,
                message,
                ..
            } if *exit_code != 0 => Some((container, *exit_code, reason.as_str(), message.as_str())),
            _ => None,
        })
}

fn of_init(pod: &Pod, container: &Container, (code, reason, message): (i32, &str, &str), fatal: bool) -> Found {
    let name = &container.name;
    let said = match message.is_empty() {
        true => String::new(),
        false => format!(": {}", short(message, 200)),
    };
    let fix = match (reason, code) {
        ("OOMKilled", _) => format!("give the init container {name} more memory (resources.limits.memory)"),
        (_, 126 | 127) => format!("correct the command of {name}: its image has no such program, or it may not be run"),
        (_, 137) => format!("something killed {name} (SIGKILL): see its memory limit and the node's events"),
        _ => format!(
            "see why it ended: kubectl logs {} -c {name}; it runs before Spark and must end with 0",
            pod.name
        ),
    };
    let why = if reason.is_empty() { "Error" } else { reason };
    Found::new(
        &INIT,
        fatal,
        format!(
            "The init container {name} of {} ended with exit code {code} ({why}){said}",
            pod.name
        ),
        Evidence::new(
            format!("pod {}", pod.name),
            format!("init container {name} terminated: {why}, exit code {code}{said}"),
        ),
        words(fix),
    )
}

#[cfg(test)]
mod tests {
    use super::super::findings;
    use crate::facts::cluster::Role;
    use crate::facts::{Cluster, Facts, Log, Objects};
    use serde_json::{Value, json};

    fn found(application: Value, pods: Vec<Value>, log: &str) -> Vec<(String, String, Option<Value>)> {
        let objects = Objects {
            application,
            pods,
            ..Objects::default()
        };
        let facts = Facts {
            cluster: Some(Cluster::of_objects(objects)),
            logs: vec![Log::of_lines(Role::Driver, "etl-driver", log.lines())],
            ..Facts::default()
        };
        let findings = findings(&facts).into_iter();
        findings
            .map(|finding| {
                (
                    finding.code.into_owned(),
                    finding.message,
                    finding.fix.and_then(|fix| fix.patch),
                )
            })
            .collect()
    }

    fn traceback(thrown: &str) -> String {
        format!(
            "Traceback (most recent call last):\n  File \"/app/etl.py\", line 2, in <module>\npy4j.protocol.Py4JJavaError: An error occurred while calling None.org.apache.spark.api.java.JavaSparkContext.\n: {thrown}\n\tat org.apache.spark.SparkConf.x(SparkConf.scala:1)"
        )
    }

    #[test]
    fn heap_in_java_options_moves_to_the_memory() {
        let thrown = traceback(
            "org.apache.spark.SparkException: spark.executor.extraJavaOptions is not allowed to specify max heap memory settings (was '-Xmx2G -XX:+UseZGC'). Use spark.executor.memory instead.",
        );
        for (spec, patch) in [
            (
                json!({"executor": {"javaOptions": "-Xmx2G -XX:+UseZGC"}}),
                json!({"spec": {"executor": {"memory": "2g", "javaOptions": "-XX:+UseZGC"}}}),
            ),
            (
                json!({"sparkConf": {"spark.executor.extraJavaOptions": "-Xmx2G -XX:+UseZGC"}}),
                json!({"spec": {"executor": {"memory": "2g"}, "sparkConf": {"spark.executor.extraJavaOptions": "-XX:+UseZGC"}}}),
            ),
        ] {
            let found = found(json!({"spec": spec}), vec![], &thrown);
            assert_eq!(found.len(), 1);
            assert_eq!(
                (found[0].0.as_str(), found[0].2.as_ref()),
                ("java-options-refused", Some(&patch))
            );
        }
    }

    #[test]
    fn an_address_of_the_manifest_is_taken_out() {
        let thrown = traceback(
            "java.net.BindException: Cannot assign requested address: Service 'sparkDriver' failed after 16 retries (on a random free port)!",
        );
        let found = found(
            json!({"spec": {"sparkConf": {"spark.driver.bindAddress": "10.9.8.7"}}}),
            vec![],
            &thrown,
        );
        assert_eq!(found[0].0, "address-not-bound");
        assert!(found[0].1.contains("10.9.8.7"), "{}", found[0].1);
        assert_eq!(
            found[0].2,
            Some(json!({"spec": {"sparkConf": {"spark.driver.bindAddress": null}}}))
        );
    }

    #[test]
    fn a_failed_init_container_is_the_cause() {
        for (state, words) in [
            (
                json!({"terminated": {"exitCode": 3, "reason": "Error", "message": "no such bucket"}}),
                "exit code 3 (Error): no such bucket",
            ),
            (
                json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}}),
                "exit code 137 (OOMKilled)",
            ),
        ] {
            let pod = json!({
                "metadata": {"name": "etl-driver", "labels": {"spark-role": "driver"}},
                "spec": {"initContainers": [{"name": "fetch"}], "containers": [{"name": "spark-kubernetes-driver"}]},
                "status": {"phase": "Failed", "initContainerStatuses": [{"name": "fetch", "state": state}],
                    "containerStatuses": [{"name": "spark-kubernetes-driver", "state": {"waiting": {"reason": "PodInitializing"}}}]},
            });
            let found = found(
                json!({"status": {"applicationState": {"state": "FAILED", "errorMessage": "driver pod failed"}}}),
                vec![pod],
                "",
            );
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!(found[0].0, "init-container-failed");
            assert!(found[0].1.contains(words), "{}", found[0].1);
        }
    }
}
