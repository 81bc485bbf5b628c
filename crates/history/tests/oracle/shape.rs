//! Logs as other versions write them: what `JsonProtocol` takes for optional is taken away, or is `null`.

use serde_json::{Map, Value};

/// Fields Spark's reader takes for optional wherever they are.
const OPTIONAL: [&str; 55] = [
    "Task Executor Metrics",
    "Maximum Onheap Memory",
    "Maximum Offheap Memory",
    "Driver Logs",
    "Driver Attributes",
    "Parent IDs",
    "Details",
    "Failure Reason",
    "Shuffle Push Enabled",
    "Shuffle Push Mergers Count",
    "Partition ID",
    "Attempt",
    "Speculative",
    "Killed",
    "Internal",
    "Count Failed Values",
    "Metadata",
    "Executor Deserialize CPU Time",
    "Executor CPU Time",
    "Peak Execution Memory",
    "Peak On Heap Execution Memory",
    "Peak Off Heap Execution Memory",
    "Remote Bytes Read To Disk",
    "Local Bytes Read",
    "Total Records Read",
    "Remote Requests Duration",
    "Push Based Shuffle",
    "Shuffle Records Written",
    "Records Written",
    "Records Read",
    "Updated Blocks",
    "Map Index",
    "Message",
    "Full Stack Trace",
    "Kill Reason",
    "Loss Reason",
    "Exit Caused By App",
    "Use Off Heap",
    "Attributes",
    "Resources",
    "Registration Time",
    "Request Time",
    "Scope",
    "Callsite",
    "Barrier",
    "DeterministicLevel",
    "Hadoop Properties",
    "Metrics Properties",
    "rootExecutionId",
    "modifiedConfigs",
    "jobTags",
    "jobGroupId",
    "queryId",
    "errorMessage",
    "metadata",
];

/// Fields Spark 2.4 does not write.
const AFTER_2_4: [&str; 24] = [
    "Partition ID",
    "Task Executor Metrics",
    "Map Index",
    "Push Based Shuffle",
    "Shuffle Push Enabled",
    "Shuffle Push Mergers Count",
    "Attributes",
    "Resources",
    "Registration Time",
    "Request Time",
    "Driver Attributes",
    "Hadoop Properties",
    "Metrics Properties",
    "Remote Requests Duration",
    "Peak On Heap Execution Memory",
    "Peak Off Heap Execution Memory",
    "DeterministicLevel",
    "rootExecutionId",
    "modifiedConfigs",
    "jobTags",
    "jobGroupId",
    "queryId",
    "errorMessage",
    "Resource Profile Id",
];

/// Events whose ids are not optional.
fn is_of_metrics(event: &str) -> bool {
    event.contains("ExecutorMetrics") || event.contains("ResourceProfile")
}

/// A log of Spark 2.4: without what later versions write, with the names it gives.
pub fn old(text: &str, _id: &str) -> String {
    let text = each(text, &|event, fields| {
        let late = is_of_metrics(event);
        walk(fields, &mut |fields| {
            fields.retain(|key, _| !AFTER_2_4.contains(&key.as_str()))
        });
        !late
    });
    text.replace("SparkListenerExecutorExcluded", "SparkListenerExecutorBlacklisted")
        .replace("SparkListenerExecutorUnexcluded", "SparkListenerExecutorUnblacklisted")
        .replace("\"Spark Version\":\"", "\"Spark Version\":\"2.4.8-of-")
        .replace(
            "\"Scala Version\":\"version 2",
            "\"Scala Version\":\"version 2.11.12-not-2",
        )
}

/// A log without anything optional.
pub fn bare(text: &str, _id: &str) -> String {
    each(text, &|event, fields| {
        if !is_of_metrics(event) {
            walk(fields, &mut |fields| {
                fields.retain(|key, _| !OPTIONAL.contains(&key.as_str()));
                fields.remove("Stage Attempt ID");
                fields.remove("Resource Profile Id");
            });
            if event.ends_with("JobStart") || event.ends_with("JobEnd") {
                fields.remove("Submission Time");
                fields.remove("Completion Time");
            }
            if event.ends_with("BlockManagerAdded") {
                fields.remove("Timestamp");
            }
        }
        true
    })
}

/// A log in which everything optional is `null`.
pub fn null(text: &str, _id: &str) -> String {
    each(text, &|event, fields| {
        if !is_of_metrics(event) {
            walk(fields, &mut |fields| {
                for (key, value) in fields.iter_mut() {
                    if OPTIONAL.contains(&key.as_str()) || matches!(key.as_str(), "Update" | "Resource Profile Id") {
                        *value = Value::Null;
                    }
                }
            });
        }
        true
    })
}

/// Changes each event; those for which `keep` says no are left out.
fn each(text: &str, keep: &dyn Fn(&str, &mut Map<String, Value>) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let Ok(Value::Object(mut fields)) = serde_json::from_str(line) else {
            continue;
        };
        let event = fields
            .remove("Event")
            .and_then(|event| event.as_str().map(str::to_owned))
            .unwrap_or_default();
        if !keep(&event, &mut fields) {
            continue;
        }
        // Spark's server looks for events by how their lines begin.
        let rest = Value::Object(fields).to_string();
        let comma = if rest == "{}" { "" } else { "," };
        out.push_str(&format!("{{\"Event\":\"{event}\"{comma}{}\n", &rest[1..]));
    }
    out
}

fn walk(fields: &mut Map<String, Value>, change: &mut dyn FnMut(&mut Map<String, Value>)) {
    change(fields);
    for value in fields.values_mut() {
        walk_value(value, change);
    }
}

fn walk_value(value: &mut Value, change: &mut dyn FnMut(&mut Map<String, Value>)) {
    match value {
        Value::Object(fields) => walk(fields, change),
        Value::Array(all) => all.iter_mut().for_each(|one| walk_value(one, change)),
        _ => {}
    }
}
