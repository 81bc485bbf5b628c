//! What namespaces and administrators allow: quotas, limit ranges, priority classes.

use std::process::Command;

use crate::case::{Case, Client, Ground, words};
use crate::workloads::{json, until};

pub fn cases() -> Vec<Case> {
    let case = |behaviour, run| Case {
        area: "Policies",
        behaviour,
        client: Client::Kubectl,
        run,
    };
    vec![
        case(
            "a ResourceQuota refuses what exceeds it with requested, used and limited, and frees what is deleted",
            quota,
        ),
        case(
            "a quota on compute resources refuses pods that do not say what they need",
            quota_needs_requests,
        ),
        case("twenty concurrent creates never exceed a quota", quota_is_atomic),
        case(
            "quotas count any kind, storage by class, and pods by scope",
            quota_counts,
        ),
        case(
            "a ReplicaSet that meets a quota says FailedCreate and goes on when there is room",
            quota_and_sets,
        ),
        case(
            "a LimitRange gives defaults and refuses what is beyond its bounds",
            limit_range,
        ),
        case("a LimitRange bounds claims", limit_range_claims),
        case(
            "an eviction keeps to the PodDisruptionBudget: one too many is refused with 429 and its cause",
            eviction,
        ),
        case(
            "a budget counts percentages of what the controllers want, and says SufficientPods or InsufficientPods",
            budget_status,
        ),
        case(
            "Pod Security: a namespace's level refuses a pod with every violation, and warns of workloads",
            pod_security,
        ),
        case(
            "priority classes: system names and values are reserved, a value cannot change, one default",
            priority,
        ),
    ]
}

fn apply(ground: &Ground, namespace: &str, text: &str) -> Result<(), String> {
    ground.kubectl(namespace, &["apply", "-f", "-"], text).ok().map(drop)
}

fn quota_of(ground: &Ground, namespace: &str, hard: &str) -> Result<(), String> {
    let text = format!("apiVersion: v1\nkind: ResourceQuota\nmetadata: {{name: q}}\nspec: {{hard: {{{hard}}}}}\n");
    apply(ground, namespace, &text)?;
    until("the quota is counted", || {
        Ok(json(ground, namespace, &["get", "resourcequota", "q"])?["status"]["used"].is_object())
    })
}

fn used(ground: &Ground, namespace: &str, name: &str, amount: &str) -> Result<(), String> {
    until(&format!("{name} is {amount}"), || {
        Ok(json(ground, namespace, &["get", "resourcequota", "q"])?["status"]["used"][name] == amount)
    })
}

fn pod(name: &str, resources: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  restartPolicy: Never\n  terminationGracePeriodSeconds: 0\n  containers: [{{name: c, image: shell, args: [sleep 300], resources: {{{resources}}}}}]\n"
    )
}

fn quota(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    quota_of(ground, &namespace, "pods: 2, requests.cpu: 20m")?;
    let create = |text: &str| ground.kubectl(&namespace, &["create", "-f", "-"], text);
    create(&pod("a", "requests: {cpu: 10m}")).ok()?;
    create(&pod("b", "requests: {cpu: 15m}")).refused_with(
        "pods \"b\" is forbidden: exceeded quota: q, requested: requests.cpu=15m, used: requests.cpu=10m, limited: requests.cpu=20m",
    )?;
    create(&pod("b", "requests: {cpu: 10m}")).ok()?;
    used(ground, &namespace, "requests.cpu", "20m")?;
    create(&pod("c", "requests: {cpu: 0}")).refused_with("requested: pods=1, used: pods=2, limited: pods=2")?;
    ground.kubectl(&namespace, &["delete", "pod", "a"], "").ok()?;
    used(ground, &namespace, "pods", "1")?;
    create(&pod("c", "requests: {cpu: 10m}")).ok().map(drop)
}

fn quota_needs_requests(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    quota_of(ground, &namespace, "requests.cpu: 1, limits.memory: 1Gi")?;
    ground
        .kubectl(&namespace, &["create", "-f", "-"], &pod("a", ""))
        .refused_with("failed quota: q: must specify limits.memory for: c; requests.cpu for: c")
}

fn quota_is_atomic(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    quota_of(ground, &namespace, "configmaps: 6")?;
    // Every namespace has one already.
    used(ground, &namespace, "configmaps", "1")?;
    let tries: Vec<_> = (0..20)
        .map(|number| {
            let mut command = Command::new("kubectl");
            command
                .arg("--kubeconfig")
                .arg(ground.kubeconfig())
                .args(["-n", &namespace, "create", "configmap"]);
            command
                .arg(format!("m{number}"))
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null());
            command.spawn().unwrap()
        })
        .collect();
    let made = tries
        .into_iter()
        .map(|mut child| child.wait().unwrap())
        .filter(|status| status.success())
        .count();
    let maps = json(ground, &namespace, &["get", "configmaps"])?;
    let there = maps["items"].as_array().map_or(0, Vec::len);
    if made != 5 || there != 6 {
        return Err(format!("{made} were acknowledged, {there} are there"));
    }
    used(ground, &namespace, "configmaps", "6")
}

fn quota_counts(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    quota_of(
        ground,
        &namespace,
        "count/deployments.apps: 1, requests.storage: 2Mi, local.storageclass.storage.k8s.io/persistentvolumeclaims: 1, services.nodeports: 0",
    )?;
    let run = |arguments: &[&str]| ground.kubectl(&namespace, arguments, "");
    run(&["create", "deployment", "a", "--image=shell", "--replicas=0"]).ok()?;
    run(&["create", "deployment", "b", "--image=shell", "--replicas=0"]).refused_with(
        "requested: count/deployments.apps=1, used: count/deployments.apps=1, limited: count/deployments.apps=1",
    )?;
    run(&["create", "service", "nodeport", "n", "--tcp=80"])
        .refused_with("exceeded quota: q, requested: services.nodeports=1")?;
    let claim = |name: &str| {
        format!(
            "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{name: {name}}}\nspec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Mi}}}}}}\n"
        )
    };
    apply(ground, &namespace, &claim("one"))?;
    ground
        .kubectl(&namespace, &["create", "-f", "-"], &claim("two"))
        .refused_with("local.storageclass.storage.k8s.io/persistentvolumeclaims=1")?;
    used(ground, &namespace, "requests.storage", "1Mi")?;
    let scoped = "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: best-effort}\nspec: {hard: {pods: 0}, scopes: [BestEffort]}\n";
    apply(ground, &namespace, scoped)?;
    ground
        .kubectl(&namespace, &["create", "-f", "-"], &pod("a", ""))
        .refused_with("exceeded quota: best-effort")?;
    apply(ground, &namespace, &pod("a", "requests: {cpu: 1m}"))
}

fn quota_and_sets(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    quota_of(ground, &namespace, "pods: 1")?;
    let run = |arguments: &[&str]| ground.kubectl(&namespace, arguments, "");
    run(&words("create deployment web --image=shell --replicas=2 -- sleep 300")).ok()?;
    run(&words(
        "wait deployment/web --for=condition=ReplicaFailure --timeout=20s",
    ))
    .ok()?;
    run(&["get", "events"]).has("exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1")?;
    run(&[
        "patch",
        "resourcequota",
        "q",
        "-p",
        "{\"spec\":{\"hard\":{\"pods\":\"2\"}}}",
    ])
    .ok()?;
    run(&words(
        "wait deployment/web --for=jsonpath={.status.readyReplicas}=2 --timeout=60s",
    ))
    .ok()
    .map(drop)
}

fn limit_range(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let range = "apiVersion: v1\nkind: LimitRange\nmetadata: {name: l}\nspec:\n  limits:\n  - {type: Container, default: {memory: 64Mi}, defaultRequest: {cpu: 10m}, max: {memory: 128Mi}, min: {cpu: 5m}}\n  - {type: Pod, max: {memory: 192Mi}}\n";
    apply(ground, &namespace, range)?;
    let create = |text: &str| ground.kubectl(&namespace, &["create", "-f", "-"], text);
    create(&pod("a", "")).ok()?;
    let made = json(ground, &namespace, &["get", "pod", "a"])?;
    let resources = &made["spec"]["containers"][0]["resources"];
    let expected = serde_json::json!({"limits": {"memory": "64Mi"}, "requests": {"cpu": "10m", "memory": "64Mi"}});
    if *resources != expected {
        return Err(format!("the defaults are {resources}"));
    }
    create(&pod("b", "limits: {memory: 256Mi}"))
        .refused_with("maximum memory usage per Container is 128Mi, but limit is 256Mi")?;
    create(&pod("b", "requests: {cpu: 1m}"))
        .refused_with("minimum cpu usage per Container is 5m, but request is 1m")?;
    let two = pod("b", "limits: {memory: 128Mi}").replace(
        "containers: [",
        "containers: [{name: d, image: shell, resources: {limits: {memory: 128Mi}}}, ",
    );
    create(&two).refused_with("maximum memory usage per Pod is 192Mi, but limit is 256Mi")
}

fn limit_range_claims(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    apply(
        ground,
        &namespace,
        "apiVersion: v1\nkind: LimitRange\nmetadata: {name: l}\nspec: {limits: [{type: PersistentVolumeClaim, min: {storage: 1Mi}, max: {storage: 2Mi}}]}\n",
    )?;
    let claim = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: c}\nspec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 3Mi}}}\n";
    ground
        .kubectl(&namespace, &["create", "-f", "-"], claim)
        .refused_with("maximum storage usage per PersistentVolumeClaim is 2Mi, but request is 3Mi")
}

fn priority(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let class = |name: &str, value: &str| {
        format!("apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: {{name: {name}}}\nvalue: {value}\n")
    };
    let run = |text: &str| ground.kubectl(&namespace, &["apply", "-f", "-"], text);
    run(&class("system-mine", "5"))
        .refused_with("priority class names with 'system-' prefix are reserved for system use only")?;
    run(&class(&format!("{namespace}-huge"), "1000000001"))
        .refused_with("maximum allowed value of a user defined priority is 1000000000")?;
    let name = format!("{namespace}-high");
    run(&class(&name, "7")).ok()?;
    run(&class(&name, "8")).refused_with("value: Forbidden: may not be changed in an update.")?;
    let with_class = pod("a", "").replace("spec:\n", &format!("spec:\n  priorityClassName: {name}\n"));
    run(&with_class).ok()?;
    let made = json(ground, &namespace, &["get", "pod", "a"])?;
    if made["spec"]["priority"] != 7 || made["spec"]["preemptionPolicy"] != "PreemptLowerPriority" {
        return Err(format!("the pod has {}", made["spec"]));
    }
    run(&pod("b", "").replace("spec:\n", "spec:\n  priority: 9\n"))
        .refused_with("the integer value of priority (9) must not be provided in pod spec")?;
    run(&pod("b", "").replace("spec:\n", "spec:\n  priorityClassName: none-such\n"))
        .refused_with("no PriorityClass with name none-such was found")
}

fn budget(min: &str) -> String {
    format!(
        "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {{name: b}}\nspec: {{{min}, selector: {{matchLabels: {{app: web}}}}}}\n"
    )
}

fn budget_status(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let run = |arguments: &[&str]| ground.kubectl(&namespace, arguments, "");
    run(&words("create deployment web --image=shell --replicas=2 -- sleep 300")).ok()?;
    apply(ground, &namespace, &budget("minAvailable: 50%"))?;
    run(&words(
        "wait pdb/b --for=jsonpath={.status.disruptionsAllowed}=1 --timeout=40s",
    ))
    .ok()?;
    run(&["wait", "pdb/b", "--for=condition=DisruptionAllowed", "--timeout=5s"]).ok()?;
    run(&[
        "patch",
        "pdb",
        "b",
        "--type=merge",
        "-p",
        "{\"spec\":{\"minAvailable\":2}}",
    ])
    .ok()?;
    run(&words(
        "wait pdb/b --for=condition=DisruptionAllowed=False --timeout=20s",
    ))
    .ok()?;
    apply(
        ground,
        &namespace,
        &budget("minAvailable: 1").replace("name: b", "name: c"),
    )?;
    ground
        .kubectl(
            &namespace,
            &["create", "-f", "-"],
            &budget("minAvailable: 1, maxUnavailable: 1").replace("name: b", "name: d"),
        )
        .refused_with("minAvailable and maxUnavailable cannot be both set")
}

fn eviction(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let run = |arguments: &[&str]| ground.kubectl(&namespace, arguments, "");
    run(&words("create deployment web --image=shell --replicas=2 -- sleep 300")).ok()?;
    apply(ground, &namespace, &budget("minAvailable: 2"))?;
    run(&words(
        "wait deployment/web --for=jsonpath={.status.readyReplicas}=2 --timeout=40s",
    ))
    .ok()?;
    run(&words(
        "wait pdb/b --for=jsonpath={.status.currentHealthy}=2 --timeout=20s",
    ))
    .ok()?;
    let pods = json(ground, &namespace, &["get", "pods"])?;
    let name = pods["items"][0]["metadata"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let eviction = serde_json::json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": namespace}});
    let file = ground.directory().join(format!("{namespace}-eviction.json"));
    std::fs::write(&file, eviction.to_string()).unwrap();
    let path = format!("/api/v1/namespaces/{namespace}/pods/{name}/eviction");
    let file = file.display().to_string();
    let evict = || run(&["create", "--raw", &path, "-f", &file]);
    evict().refused_with("Cannot evict pod as it would violate the pod's disruption budget.")?;
    run(&[
        "patch",
        "pdb",
        "b",
        "--type=merge",
        "-p",
        "{\"spec\":{\"minAvailable\":1}}",
    ])
    .ok()?;
    run(&words(
        "wait pdb/b --for=jsonpath={.status.disruptionsAllowed}=1 --timeout=20s",
    ))
    .ok()?;
    evict().ok()?;
    until("the evicted pod is replaced", || {
        let pods = json(ground, &namespace, &["get", "pods"])?;
        let names: Vec<&str> = pods["items"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|pod| pod["metadata"]["name"].as_str())
            .collect();
        Ok(names.len() == 2 && !names.contains(&name.as_str()))
    })
}

fn pod_security(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let label = |text: &str| ground.kubectl(&namespace, &["label", "--overwrite", "namespace", &namespace, text], "");
    label("pod-security.kubernetes.io/enforce=strict")
        .refused_with("must be one of privileged, baseline, restricted")?;
    label("pod-security.kubernetes.io/enforce=restricted").ok()?;
    label("pod-security.kubernetes.io/warn=baseline").ok()?;
    let create = |text: &str| ground.kubectl(&namespace, &["create", "-f", "-"], text);
    create(&pod("a", "")).refused_with(
        "pods \"a\" is forbidden: violates PodSecurity \"restricted:latest\": allowPrivilegeEscalation != false (container \"c\" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities",
    )?;
    let secure = "securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}, runAsNonRoot: true, runAsUser: 1000, seccompProfile: {type: RuntimeDefault}}, resources";
    create(&pod("a", "").replace("resources", secure)).ok()?;
    let host = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec:\n  replicas: 0\n  selector: {matchLabels: {a: b}}\n  template:\n    metadata: {labels: {a: b}}\n    spec: {hostNetwork: true, containers: [{name: c, image: shell}]}\n";
    create(host).has("would violate PodSecurity \"baseline:latest\": host namespaces (hostNetwork=true)")
}
