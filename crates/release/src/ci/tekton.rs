//! Tasks and a Pipeline of Tekton.

use serde_json::{Value, json};

use super::{CLONE, KEY, Step, environment, secrets, security};

pub const HEAD: &str = "\
Written by `stoke ci init`: a Pipeline of Tekton and its Tasks, for `kubectl apply -f`.
A run gives it a volume (workspace `source`) and names the repository, the branch, an image that has `stoke`, `git` and a shell, and the place where releases are kept.
The Secret `stoke-ci` has credentials as environment variables; it may be missing.";

/// Where the workspace is.
const VOLUME: &str = "$(workspaces.source.path)";

pub fn objects(steps: &[Step]) -> Vec<Value> {
    let mut objects = vec![clone()];
    objects.extend(steps.iter().map(task));
    objects.push(pipeline(steps));
    objects
}

fn parameter(name: &str, description: &str) -> Value {
    json!({"name": name, "type": "string", "description": description})
}

const IMAGE: (&str, &str) = ("image", "An image with stoke, git and a shell");
const RELEASES: (&str, &str) = ("releases", "Where releases are kept: STOKE_RELEASES");
const URL: (&str, &str) = ("url", "The repository, as git has it");
const REVISION: (&str, &str) = ("revision", "The commit");

fn object(name: &str, parameters: &[(&str, &str)], step: &Value, volumes: &Value) -> Value {
    let parameters: Vec<Value> = parameters.iter().map(|(name, text)| parameter(name, text)).collect();
    let mut spec = json!({
        "params": parameters,
        "workspaces": [{"name": "source", "description": "The job, and what steps keep"}],
        "steps": [step],
    });
    if volumes.as_array().is_some_and(|all| !all.is_empty()) {
        spec["volumes"] = volumes.clone();
    }
    json!({"apiVersion": "tekton.dev/v1", "kind": "Task", "metadata": {"name": format!("stoke-{name}")}, "spec": spec})
}

fn clone() -> Value {
    let step = json!({
        "name": "clone",
        "image": "$(params.image)",
        "workingDir": VOLUME,
        // As variables: the texts come from outside, and none becomes a part of the script.
        "env": [{"name": "URL", "value": "$(params.url)"}, {"name": "REVISION", "value": "$(params.revision)"}],
        "envFrom": secrets(),
        "securityContext": security(),
        "script": format!("#!/bin/sh\nset -eu\n{CLONE}"),
    });
    object("clone", &[IMAGE, URL, REVISION], &step, &json!([]))
}

fn task(step: &Step) -> Value {
    let mut container = json!({
        "name": step.name,
        "image": "$(params.image)",
        "workingDir": format!("{VOLUME}/job"),
        "env": environment(step, VOLUME, "$(params.releases)"),
        "securityContext": security(),
        "script": format!("#!/bin/sh\nset -eu\n{}\n", step.lines.join("\n")),
    });
    if step.releases {
        container["envFrom"] = secrets();
    }
    let mut volumes = json!([]);
    if step.signs {
        container["volumeMounts"] = json!([{"name": "key", "mountPath": "/stoke-key", "readOnly": true}]);
        volumes = json!([{"name": "key", "secret": {"secretName": KEY}}]);
    }
    object(step.name, &[IMAGE, RELEASES], &container, &volumes)
}

fn pipeline(steps: &[Step]) -> Value {
    let given = |name: &str| json!({"name": name, "value": format!("$(params.{name})")});
    let workspaces = json!([{"name": "source", "workspace": "source"}]);
    let mut tasks = vec![json!({
        "name": "clone",
        "taskRef": {"name": "stoke-clone"},
        "params": [given("image"), given("url"), given("revision")],
        "workspaces": workspaces,
    })];
    let mut before = "clone";
    for step in steps {
        let mut task = json!({
            "name": step.name,
            "taskRef": {"name": format!("stoke-{}", step.name)},
            "runAfter": [before],
            "params": [given("image"), given("releases")],
            "workspaces": workspaces,
            "timeout": "1h0m0s",
        });
        if step.releases {
            task["when"] =
                json!([{"input": "$(params.branch)", "operator": "in", "values": ["$(params.default-branch)"]}]);
        }
        tasks.push(task);
        before = step.name;
    }
    let mut default = parameter("default-branch", "The branch of which releases are made");
    default["default"] = json!("main");
    let mut parameters: Vec<Value> = [IMAGE, RELEASES, URL, REVISION, ("branch", "The branch of the commit")]
        .iter()
        .map(|(name, text)| parameter(name, text))
        .collect();
    parameters.push(default);
    json!({
        "apiVersion": "tekton.dev/v1",
        "kind": "Pipeline",
        "metadata": {"name": "stoke"},
        "spec": {
            "params": parameters,
            "workspaces": [{"name": "source", "description": "A volume for the job and what steps keep"}],
            "tasks": tasks,
        },
    })
}
