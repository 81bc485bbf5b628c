//! Where pods run, and which give way.

use crate::case::{Case, Client, Ground};
use crate::workloads::{json, until};

pub fn cases() -> Vec<Case> {
    let case = |behaviour, run| Case {
        area: "Scheduling",
        behaviour,
        client: Client::Kubectl,
        run,
    };
    vec![
        case(
            "a pod of higher priority takes an extended resource from one of lower priority, which is told why",
            preemption,
        ),
        case("preemptionPolicy Never waits instead", never),
        case(
            "pod anti-affinity keeps pods of a kind apart, affinity together",
            affinity,
        ),
        case(
            "a topology spread constraint over a label that no node has leaves the pod pending, and says so",
            spread,
        ),
        case(
            "a pod with scheduling gates is SchedulingGated until the last one is removed",
            gates,
        ),
    ]
}

fn apply(ground: &Ground, namespace: &str, text: &str) -> Result<(), String> {
    ground.kubectl(namespace, &["apply", "-f", "-"], text).ok().map(drop)
}

fn pod(name: &str, spec: &str, resources: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{app: {name}}}}}\nspec:\n  terminationGracePeriodSeconds: 1\n{spec}  containers: [{{name: c, image: shell, args: [sleep 300], resources: {{{resources}}}}}]\n"
    )
}

fn runs(ground: &Ground, namespace: &str, name: &str) -> Result<(), String> {
    let target = format!("pod/{name}");
    ground
        .kubectl(
            namespace,
            &["wait", &target, "--for=condition=Ready", "--timeout=40s"],
            "",
        )
        .ok()
        .map(drop)
}

/// Waits for what the scheduler says of a pod that fits nowhere.
fn says(ground: &Ground, namespace: &str, name: &str, part: &str) -> Result<(), String> {
    let said = || -> Result<String, String> {
        let pod = json(ground, namespace, &["get", "pod", name])?;
        let conditions = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let scheduled = conditions.iter().find(|condition| condition["type"] == "PodScheduled");
        Ok(scheduled
            .map(|condition| condition["message"].to_string())
            .unwrap_or_default())
    };
    until(part, || Ok(said()?.contains(part))).map_err(|error| format!("{error}; it says {:?}", said()))
}

/// Gives the node one thing of a kind that only this case's pods ask for.
fn one_thing(ground: &Ground, namespace: &str) -> Result<String, String> {
    let name = format!("example.com/{namespace}");
    let nodes = json(ground, namespace, &["get", "nodes"])?;
    let node = nodes["items"][0]["metadata"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let patch = serde_json::json!({"status": {"capacity": {&name: "1"}, "allocatable": {&name: "1"}}}).to_string();
    ground
        .kubectl(
            namespace,
            &[
                "patch",
                "node",
                &node,
                "--subresource=status",
                "--type=merge",
                "-p",
                &patch,
            ],
            "",
        )
        .ok()?;
    Ok(name)
}

fn class(ground: &Ground, namespace: &str, policy: &str) -> Result<(), String> {
    let text = format!(
        "apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: {{name: {namespace}-high}}\nvalue: 100\npreemptionPolicy: {policy}\n"
    );
    apply(ground, namespace, &text)
}

fn preemption(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let thing = one_thing(ground, &namespace)?;
    class(ground, &namespace, "PreemptLowerPriority")?;
    let asks = format!("limits: {{{thing}: 1}}");
    apply(ground, &namespace, &pod("low", "", &asks))?;
    runs(ground, &namespace, "low")?;
    apply(ground, &namespace, &pod("bystander", "", ""))?;
    apply(
        ground,
        &namespace,
        &pod("high", &format!("  priorityClassName: {namespace}-high\n"), &asks),
    )?;
    runs(ground, &namespace, "high")?;
    runs(ground, &namespace, "bystander")?;
    ground
        .kubectl(&namespace, &["get", "pod", "low"], "")
        .refused_with("NotFound")?;
    ground
        .kubectl(&namespace, &["get", "events"], "")
        .has("Preempted by pod")
}

fn never(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let thing = one_thing(ground, &namespace)?;
    class(ground, &namespace, "Never")?;
    let asks = format!("limits: {{{thing}: 1}}");
    apply(ground, &namespace, &pod("low", "", &asks))?;
    runs(ground, &namespace, "low")?;
    apply(
        ground,
        &namespace,
        &pod("high", &format!("  priorityClassName: {namespace}-high\n"), &asks),
    )?;
    let expected = format!(
        "0/1 nodes are available: 1 Insufficient {thing}. preemption: not eligible due to preemptionPolicy=Never."
    );
    says(ground, &namespace, "high", &expected)?;
    ground.kubectl(&namespace, &["delete", "pod", "low"], "").ok()?;
    runs(ground, &namespace, "high")
}

fn affinity(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let term = |kind: &str| {
        format!(
            "  affinity: {{{kind}: {{requiredDuringSchedulingIgnoredDuringExecution: [{{topologyKey: kubernetes.io/hostname, labelSelector: {{matchLabels: {{app: first}}}}}}]}}}}\n"
        )
    };
    apply(ground, &namespace, &pod("close", &term("podAffinity"), ""))?;
    says(
        ground,
        &namespace,
        "close",
        "0/1 nodes are available: 1 node(s) didn't match pod affinity rules.",
    )?;
    apply(ground, &namespace, &pod("first", "", ""))?;
    runs(ground, &namespace, "close")?;
    apply(ground, &namespace, &pod("apart", &term("podAntiAffinity"), ""))?;
    says(
        ground,
        &namespace,
        "apart",
        "0/1 nodes are available: 1 node(s) didn't match pod anti-affinity rules.",
    )?;
    ground.kubectl(&namespace, &["delete", "pod", "first"], "").ok()?;
    runs(ground, &namespace, "apart")
}

fn spread(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let constraint = |key: &str| {
        format!(
            "  topologySpreadConstraints: [{{maxSkew: 1, topologyKey: {key}, whenUnsatisfiable: DoNotSchedule, labelSelector: {{matchLabels: {{app: a}}}}}}]\n"
        )
    };
    apply(ground, &namespace, &pod("a", &constraint("example.com/rack"), ""))?;
    says(
        ground,
        &namespace,
        "a",
        "node(s) didn't match pod topology spread constraints (missing required label)",
    )?;
    apply(ground, &namespace, &pod("b", &constraint("kubernetes.io/hostname"), ""))?;
    runs(ground, &namespace, "b")
}

fn gates(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    apply(
        ground,
        &namespace,
        &pod("a", "  schedulingGates: [{name: example.com/wait}]\n", ""),
    )?;
    let made = json(ground, &namespace, &["get", "pod", "a"])?;
    let condition = &made["status"]["conditions"][0];
    if condition["reason"] != "SchedulingGated" {
        return Err(format!("the pod says {}", made["status"]));
    }
    let open = "[{\"op\":\"remove\",\"path\":\"/spec/schedulingGates/0\"}]";
    ground
        .kubectl(&namespace, &["patch", "pod", "a", "--type=json", "-p", open], "")
        .ok()?;
    runs(ground, &namespace, "a")
}
