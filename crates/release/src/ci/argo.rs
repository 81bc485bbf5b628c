//! A WorkflowTemplate of Argo Workflows.

use serde_json::{Value, json};

use super::{CLONE, KEY, Step, environment, secrets, security};

pub const HEAD: &str = "\
Written by `stoke ci init`: a WorkflowTemplate of Argo Workflows 3.6 or newer, for `kubectl apply -f`.
`argo submit --from workflowtemplate/stoke` names the repository, the branch, an image that has `stoke`, `git` and a shell, and the place where releases are kept.
The Secret `stoke-ci` has credentials as environment variables; it may be missing.";

/// Where the volume is.
const VOLUME: &str = "/work";

fn parameter(name: &str) -> String {
    format!("{{{{workflow.parameters.{name}}}}}")
}

pub fn template(steps: &[Step]) -> Value {
    let mut tasks = vec![json!({"name": "clone", "template": "clone"})];
    let mut before = "clone";
    for step in steps {
        let mut task = json!({"name": step.name, "template": step.name, "dependencies": [before]});
        if step.releases {
            task["when"] = json!(format!(
                "'{}' == '{}'",
                parameter("branch"),
                parameter("default-branch")
            ));
        }
        tasks.push(task);
        before = step.name;
    }
    // As variables: the texts come from outside, and none becomes a part of the script.
    let from = json!([
        {"name": "URL", "value": parameter("url")},
        {"name": "REVISION", "value": parameter("revision")},
    ]);
    let mut clone = json!({"name": "clone", "script": script(VOLUME, &from, CLONE)});
    clone["script"]["envFrom"] = secrets();
    let mut templates = vec![json!({"name": "pipeline", "dag": {"tasks": tasks}}), clone];
    templates.extend(steps.iter().map(one));
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "WorkflowTemplate",
        "metadata": {"name": "stoke"},
        "spec": {
            "entrypoint": "pipeline",
            "arguments": {"parameters": [
                {"name": "image", "description": "An image with stoke, git and a shell"},
                {"name": "releases", "description": "Where releases are kept: STOKE_RELEASES"},
                {"name": "url", "description": "The repository, as git has it"},
                {"name": "revision", "description": "The commit"},
                {"name": "branch", "description": "The branch of the commit"},
                {"name": "default-branch", "value": "main", "description": "The branch of which releases are made"},
            ]},
            // One at a time: the ledger would hold the second one up anyway.
            "synchronization": {"mutexes": [{"name": "stoke"}]},
            "activeDeadlineSeconds": 3600,
            "volumeClaimTemplates": [{
                "metadata": {"name": "work"},
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "5Gi"}}},
            }],
            "volumeClaimGC": {"strategy": "OnWorkflowCompletion"},
            "templates": templates,
        },
    })
}

fn one(step: &Step) -> Value {
    let env = json!(environment(step, VOLUME, &parameter("releases")));
    let lines = format!("{}\n", step.lines.join("\n"));
    let mut script = script(&format!("{VOLUME}/job"), &env, &lines);
    if step.releases {
        script["envFrom"] = secrets();
    }
    if step.signs
        && let Some(mounts) = script["volumeMounts"].as_array_mut()
    {
        mounts.push(json!({"name": "key", "mountPath": "/stoke-key", "readOnly": true}));
    }
    let mut template = json!({"name": step.name, "script": script});
    if step.signs {
        template["volumes"] = json!([{"name": "key", "secret": {"secretName": KEY}}]);
    }
    template
}

fn script(directory: &str, env: &Value, source: &str) -> Value {
    json!({
        "image": parameter("image"),
        "command": ["sh", "-eu"],
        "workingDir": directory,
        "env": env,
        "securityContext": security(),
        "volumeMounts": [{"name": "work", "mountPath": VOLUME}],
        "source": source,
    })
}
