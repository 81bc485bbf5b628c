//! Jobs: work that ends.

use serde_json::Value;

use crate::case::{Case, Client, Ground};
use crate::workloads::{json, until};

pub fn cases() -> Vec<Case> {
    let case = |behaviour, run| Case {
        area: "Jobs",
        behaviour,
        client: Client::Kubectl,
        run,
    };
    vec![
        case(
            "`create job` runs to Complete; `wait` sees it, its pod's log is there",
            completes,
        ),
        case(
            "completions and parallelism: as many successes as asked for, counted exactly",
            counts,
        ),
        case(
            "an Indexed Job gives each pod its index as annotation, label, hostname and JOB_COMPLETION_INDEX",
            indexed,
        ),
        case(
            "a Job that fails too often becomes Failed with BackoffLimitExceeded",
            fails,
        ),
        case(
            "activeDeadlineSeconds ends a Job with DeadlineExceeded and its pods with it",
            deadline,
        ),
        case(
            "a suspended Job has no pods; `patch` with suspend=false starts it",
            suspend,
        ),
        case(
            "podFailurePolicy: FailJob ends the Job on an exit code, whatever the limit",
            failure_policy,
        ),
        case("backoffLimitPerIndex: one index fails, the others complete", per_index),
        case(
            "successPolicy: the Job is complete when its leader index is",
            success_policy,
        ),
        case("ttlSecondsAfterFinished removes the Job and its pods", time_to_live),
        case("deleting a Job lets its pods go: no finalizer holds them", deletion),
        case(
            "a CronJob makes a Job named by its time when a run is due, and notes its success",
            cron,
        ),
        case("`create job --from=cronjob/x` runs the template by hand", cron_by_hand),
        case(
            "concurrencyPolicy Forbid leaves a run out, Replace ends the one before",
            concurrency,
        ),
        case(
            "a CronJob with a schedule or zone that cannot be read is refused",
            cron_wording,
        ),
        case(
            "a Job's template cannot change, and a restartPolicy Always is refused",
            wording,
        ),
    ]
}

fn manifest(name: &str, script: &str, spec: &str) -> String {
    format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: {name}}}\nspec:\n{spec}  template:\n    spec:\n      restartPolicy: Never\n      terminationGracePeriodSeconds: 1\n      containers: [{{name: c, image: shell, args: [\"{script}\"]}}]\n"
    )
}

fn apply(ground: &Ground, namespace: &str, text: &str) -> Result<(), String> {
    ground.kubectl(namespace, &["apply", "-f", "-"], text).ok().map(drop)
}

fn wait(ground: &Ground, namespace: &str, condition: &str) -> Result<(), String> {
    let condition = format!("--for=condition={condition}");
    ground
        .kubectl(namespace, &["wait", "job/j", &condition, "--timeout=40s"], "")
        .ok()
        .map(drop)
}

fn status(ground: &Ground, namespace: &str) -> Result<Value, String> {
    Ok(json(ground, namespace, &["get", "job", "j"])?["status"].clone())
}

/// The reason of the condition that ended the Job, and whether `expected` it is.
fn ended_by(ground: &Ground, namespace: &str, expected: &str) -> Result<(), String> {
    let status = status(ground, namespace)?;
    let reasons: Vec<&str> = status["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|c| c["reason"].as_str())
        .collect();
    if reasons.iter().all(|reason| *reason == expected) && reasons.len() == 2 {
        return Ok(());
    }
    Err(format!("expected {expected} twice: {status}"))
}

fn completes(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let run = |arguments: &[&str]| ground.kubectl(&namespace, arguments, "");
    run(&[
        "create",
        "job",
        "j",
        "--image=shell",
        "--",
        "/bin/sh",
        "-c",
        "echo done",
    ])
    .has("job.batch/j created")?;
    wait(ground, &namespace, "Complete")?;
    run(&["logs", "job/j"]).has("done")?;
    ended_by(ground, &namespace, "CompletionsReached")?;
    let events = run(&["get", "events"]).ok()?;
    if !events.contains("Job completed") || !events.contains("Created pod: j-") {
        return Err(format!("events are {events}"));
    }
    let pods = json(
        ground,
        &namespace,
        &["get", "pods", "-l", "batch.kubernetes.io/job-name=j"],
    )?;
    let pod = &pods["items"][0];
    if !pod["metadata"]["finalizers"].is_null() || pod["status"]["phase"] != "Succeeded" {
        return Err(format!("the pod is still held: {pod}"));
    }
    Ok(())
}

fn counts(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    apply(
        ground,
        &namespace,
        &manifest("j", "true", "  completions: 6\n  parallelism: 3\n"),
    )?;
    wait(ground, &namespace, "Complete")?;
    let status = status(ground, &namespace)?;
    let pods = json(ground, &namespace, &["get", "pods"])?;
    let made = pods["items"].as_array().map_or(0, Vec::len);
    if status["succeeded"] == 6
        && status["failed"].is_null()
        && status["uncountedTerminatedPods"] == serde_json::json!({})
        && made == 6
    {
        return Ok(());
    }
    Err(format!("{made} pods, {status}"))
}

fn indexed(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let script = "echo index=$JOB_COMPLETION_INDEX host=$(hostname)";
    apply(
        ground,
        &namespace,
        &manifest(
            "j",
            script,
            "  completions: 3\n  parallelism: 3\n  completionMode: Indexed\n",
        ),
    )?;
    wait(ground, &namespace, "Complete")?;
    let label = "batch.kubernetes.io/job-completion-index=2";
    ground
        .kubectl(&namespace, &["logs", "-l", label], "")
        .has("index=2 host=j-2")?;
    let status = status(ground, &namespace)?;
    if status["completedIndexes"] == "0-2" {
        Ok(())
    } else {
        Err(status.to_string())
    }
}

fn fails(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    apply(ground, &namespace, &manifest("j", "exit 3", "  backoffLimit: 0\n"))?;
    wait(ground, &namespace, "Failed")?;
    ended_by(ground, &namespace, "BackoffLimitExceeded")?;
    let status = status(ground, &namespace)?;
    if status["failed"] == 1 {
        Ok(())
    } else {
        Err(status.to_string())
    }
}

fn deadline(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    apply(
        ground,
        &namespace,
        &manifest("j", "sleep 300", "  activeDeadlineSeconds: 1\n"),
    )?;
    wait(ground, &namespace, "Failed")?;
    ended_by(ground, &namespace, "DeadlineExceeded")?;
    until("its pod is gone", || {
        Ok(json(ground, &namespace, &["get", "pods"])?["items"]
            .as_array()
            .is_some_and(Vec::is_empty))
    })
}

fn suspend(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    apply(ground, &namespace, &manifest("j", "true", "  suspend: true\n"))?;
    wait(ground, &namespace, "Suspended")?;
    let pods = json(ground, &namespace, &["get", "pods"])?;
    if !pods["items"].as_array().is_some_and(Vec::is_empty) {
        return Err("a suspended Job has pods".into());
    }
    ground
        .kubectl(
            &namespace,
            &[
                "patch",
                "job",
                "j",
                "--type=merge",
                "-p",
                "{\"spec\":{\"suspend\":false}}",
            ],
            "",
        )
        .ok()?;
    wait(ground, &namespace, "Complete")
}

fn failure_policy(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let policy = "  backoffLimit: 6\n  podFailurePolicy: {rules: [{action: FailJob, onExitCodes: {operator: In, values: [42]}}]}\n";
    apply(ground, &namespace, &manifest("j", "exit 42", policy))?;
    wait(ground, &namespace, "Failed")?;
    ended_by(ground, &namespace, "PodFailurePolicy")?;
    let text = status(ground, &namespace)?.to_string();
    let part = "failed with exit code 42 matching FailJob rule at index 0";
    if text.contains(part) { Ok(()) } else { Err(text) }
}

fn per_index(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let spec = "  completions: 3\n  parallelism: 3\n  completionMode: Indexed\n  backoffLimitPerIndex: 0\n";
    apply(
        ground,
        &namespace,
        &manifest("j", "[ $JOB_COMPLETION_INDEX != 1 ]", spec),
    )?;
    wait(ground, &namespace, "Failed")?;
    ended_by(ground, &namespace, "FailedIndexes")?;
    let status = status(ground, &namespace)?;
    if status["completedIndexes"] == "0,2" && status["failedIndexes"] == "1" {
        Ok(())
    } else {
        Err(status.to_string())
    }
}

fn success_policy(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let spec = "  completions: 2\n  parallelism: 2\n  completionMode: Indexed\n  successPolicy: {rules: [{succeededIndexes: '0'}]}\n";
    let script = "[ $JOB_COMPLETION_INDEX = 0 ] || sleep 300";
    apply(ground, &namespace, &manifest("j", script, spec))?;
    wait(ground, &namespace, "Complete")?;
    ended_by(ground, &namespace, "SuccessPolicy")
}

fn time_to_live(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    apply(
        ground,
        &namespace,
        &manifest("j", "true", "  ttlSecondsAfterFinished: 1\n"),
    )?;
    until("the Job and its pod are gone", || {
        let left = json(ground, &namespace, &["get", "jobs,pods"])?;
        Ok(left["items"].as_array().is_some_and(Vec::is_empty))
    })
}

fn deletion(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    apply(ground, &namespace, &manifest("j", "sleep 300", ""))?;
    until("its pod runs", || Ok(status(ground, &namespace)?["ready"] == 1))?;
    ground
        .kubectl(&namespace, &["delete", "job", "j", "--timeout=30s"], "")
        .ok()?;
    until("its pod is gone", || {
        Ok(json(ground, &namespace, &["get", "pods"])?["items"]
            .as_array()
            .is_some_and(Vec::is_empty))
    })
}

fn wording(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let run = |text: &str| ground.kubectl(&namespace, &["apply", "-f", "-"], text);
    let text = manifest("j", "true", "  suspend: true\n");
    run(&text.replace("restartPolicy: Never", "restartPolicy: Always"))
        .refused_with("spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"")?;
    run(&text.replace("  suspend", "  completionMode: Indexed\n  parallelism: 1\n  suspend"))
        .refused_with("spec.completions: Required value: when completion mode is Indexed")?;
    run(&text).ok()?;
    run(&text.replace("true\"", "false\"")).refused_with("field is immutable")
}

fn cron_manifest(script: &str, more: &str) -> String {
    format!(
        "apiVersion: batch/v1\nkind: CronJob\nmetadata: {{name: c}}\nspec:\n  schedule: '* * * * *'\n{more}  jobTemplate:\n    spec:\n      template:\n        spec:\n          restartPolicy: Never\n          terminationGracePeriodSeconds: 1\n          containers: [{{name: c, image: shell, args: [\"{script}\"]}}]\n"
    )
}

/// Makes the CronJob believe that its last run was a while ago, so that one is due now.
fn make_due(ground: &Ground, namespace: &str) -> Result<(), String> {
    let patch = "{\"status\":{\"lastScheduleTime\":\"2026-01-01T00:00:00Z\"}}";
    let arguments = [
        "patch",
        "cronjob",
        "c",
        "--subresource=status",
        "--type=merge",
        "-p",
        patch,
    ];
    ground.kubectl(namespace, &arguments, "").ok().map(drop)
}

fn job_names(ground: &Ground, namespace: &str) -> Result<Vec<String>, String> {
    let jobs = json(ground, namespace, &["get", "jobs"])?;
    let jobs = jobs["items"].as_array().cloned().unwrap_or_default();
    Ok(jobs
        .iter()
        .filter_map(|job| job["metadata"]["name"].as_str().map(str::to_owned))
        .collect())
}

fn cron(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let run = |arguments: &[&str]| ground.kubectl(&namespace, arguments, "");
    run(&[
        "create",
        "cronjob",
        "c",
        "--image=shell",
        "--schedule=* * * * *",
        "--",
        "/bin/sh",
        "-c",
        "echo ran",
    ])
    .has("cronjob.batch/c created")?;
    make_due(ground, &namespace)?;
    until("a Job is made", || Ok(!job_names(ground, &namespace)?.is_empty()))?;
    let job = job_names(ground, &namespace)?.remove(0);
    let minutes = job.strip_prefix("c-").and_then(|minutes| minutes.parse::<u64>().ok());
    if minutes.is_none() {
        return Err(format!("the Job is named {job}"));
    }
    run(&["wait", "job", &job, "--for=condition=Complete", "--timeout=40s"]).ok()?;
    until("the success is noted", || {
        let cron = json(ground, &namespace, &["get", "cronjob", "c"])?;
        Ok(cron["status"]["lastSuccessfulTime"].is_string() && cron["status"]["active"].is_null())
    })?;
    run(&["get", "events"]).has("Saw completed job: c-")
}

fn cron_by_hand(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    apply(ground, &namespace, &cron_manifest("echo by hand", "  suspend: true\n"))?;
    ground
        .kubectl(&namespace, &["create", "job", "j", "--from=cronjob/c"], "")
        .has("job.batch/j created")?;
    wait(ground, &namespace, "Complete")?;
    ground.kubectl(&namespace, &["logs", "job/j"], "").has("by hand")
}

fn concurrency(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    apply(
        ground,
        &namespace,
        &cron_manifest("sleep 300", "  concurrencyPolicy: Forbid\n"),
    )?;
    // A run of another minute is still going on.
    let before = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: c-1, ownerReferences: [{apiVersion: batch/v1, kind: CronJob, name: c, uid: UID, controller: true}]}\nspec:\n  template:\n    spec: {restartPolicy: Never, terminationGracePeriodSeconds: 1, containers: [{name: c, image: shell, args: [sleep 300]}]}\n";
    let cron = json(ground, &namespace, &["get", "cronjob", "c"])?;
    let uid = cron["metadata"]["uid"].as_str().unwrap_or_default();
    apply(ground, &namespace, &before.replace("UID", uid))?;
    make_due(ground, &namespace)?;
    until("the run is left out", || {
        let events = ground.kubectl(&namespace, &["get", "events"], "").ok()?;
        Ok(events.contains("JobAlreadyActive"))
    })?;
    let replace = "{\"spec\":{\"concurrencyPolicy\":\"Replace\"}}";
    ground
        .kubectl(
            &namespace,
            &["patch", "cronjob", "c", "--type=merge", "-p", replace],
            "",
        )
        .ok()?;
    until("the one before is replaced", || {
        let names = job_names(ground, &namespace)?;
        Ok(names.len() == 1 && names[0] != "c-1")
    })
}

fn cron_wording(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let run = |text: &str| ground.kubectl(&namespace, &["apply", "-f", "-"], text);
    let text = cron_manifest("true", "  suspend: true\n");
    run(&text.replace("'* * * * *'", "'* * * *'")).refused_with("spec.schedule: Invalid value: \"* * * *\"")?;
    run(&text.replace("  suspend", "  timeZone: Mars/Olympus\n  suspend"))
        .refused_with("spec.timeZone: Invalid value: \"Mars/Olympus\": unknown time zone Mars/Olympus")?;
    run(&text.replace("  suspend", "  concurrencyPolicy: Queue\n  suspend"))
        .refused_with("Unsupported value: \"Queue\": supported values: \"Allow\", \"Forbid\", \"Replace\"")
}
