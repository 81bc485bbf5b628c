//! CustomResourceDefinitions of operators that people install: fetched as published (through the Go module proxy, never kept here), or,
//! where that cannot be had, written small with the same features. They are installed as their instructions say, and used.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use crate::case::{Case, Client, Ground, words};
use crate::programs;
use crate::workloads::json;

const PROMETHEUS: &str = "github.com/prometheus-operator/prometheus-operator@v0.85.0";
const KUEUE: &str = "sigs.k8s.io/kueue@v0.10.1";

pub fn cases() -> Vec<Case> {
    let case = |behaviour, client, run| Case {
        area: "Operators",
        behaviour,
        client,
        run,
    };
    vec![
        case(
            "the definitions of the Prometheus operator install; a ServiceMonitor, a Prometheus and a PrometheusRule are created, patched, checked by their schemas and deleted",
            Client::Modules,
            prometheus,
        ),
        case(
            "the definitions of Kueue install; a ResourceFlavor, a ClusterQueue and a LocalQueue are defaulted, checked by their CEL rules and patched",
            Client::Modules,
            kueue,
        ),
        case(
            "a batch scheduler's definitions, as Volcano's are made (preserved unknown fields, short names, columns, status), install and serve its Queue and PodGroup",
            Client::Kubectl,
            volcano,
        ),
    ]
}

/// The directory of a published Go module.
fn module(name: &str) -> Result<PathBuf, String> {
    let mut command = Command::new("go");
    // Outside of any module: nothing here depends on it.
    command
        .current_dir(std::env::temp_dir())
        .args(["mod", "download", "-json", name])
        .env("GOTOOLCHAIN", "local")
        .env("GOFLAGS", "-mod=mod");
    let answer: Value = serde_json::from_str(&programs::output(command)?).map_err(|error| error.to_string())?;
    let directory = answer["Dir"].as_str();
    directory.map(PathBuf::from).ok_or_else(|| format!("{name}: {answer}"))
}

/// Why the modules cannot be had; `None` when they can.
pub fn missing() -> Option<String> {
    static MISSING: OnceLock<Option<String>> = OnceLock::new();
    let look =
        || programs::missing_go().or_else(|| [PROMETHEUS, KUEUE].into_iter().find_map(|name| module(name).err()));
    let first_line = |text: String| text.lines().next().unwrap_or_default().to_owned();
    MISSING.get_or_init(|| look().map(first_line)).clone()
}

fn apply(ground: &Ground, namespace: &str, text: &str) -> Result<(), String> {
    ground.kubectl(namespace, &["apply", "-f", "-"], text).ok().map(drop)
}

/// Installs definitions as these projects' instructions have it: server-side, because they are too large for an annotation.
fn install(ground: &Ground, namespace: &str, files: &[PathBuf], names: &[&str]) -> Result<(), String> {
    for file in files {
        let file = file.display().to_string();
        ground
            .kubectl(namespace, &["apply", "--server-side", "-f", &file], "")
            .ok()?;
    }
    for name in names {
        let name = format!("crd/{name}");
        let wait = ["wait", &name, "--for=condition=Established", "--timeout=20s"];
        ground.kubectl(namespace, &wait, "").ok()?;
    }
    Ok(())
}

fn prometheus(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let run = |arguments: &[&str]| ground.kubectl(&namespace, arguments, "");
    let directory = module(PROMETHEUS)?.join("example/prometheus-operator-crd");
    let kinds = [
        "prometheuses",
        "servicemonitors",
        "podmonitors",
        "prometheusrules",
        "alertmanagers",
    ];
    let files = kinds.map(|kind| directory.join(format!("monitoring.coreos.com_{kind}.yaml")));
    let names = kinds.map(|kind| format!("{kind}.monitoring.coreos.com"));
    install(ground, &namespace, &files, &names.each_ref().map(String::as_str))?;
    apply(
        ground,
        &namespace,
        "apiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\nmetadata: {name: web, labels: {team: a}}\nspec:\n  selector: {matchLabels: {app: web}}\n  endpoints: [{port: metrics, interval: 15s}]\n---\napiVersion: monitoring.coreos.com/v1\nkind: Prometheus\nmetadata: {name: main}\nspec: {replicas: 2, serviceAccountName: default, serviceMonitorSelector: {matchLabels: {team: a}}, resources: {requests: {memory: 400Mi}}}\n---\napiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata: {name: rules}\nspec: {groups: [{name: g, rules: [{alert: Down, expr: up == 0, for: 5m}]}]}\n",
    )?;
    let main = json(ground, &namespace, &["get", "prometheus", "main"])?;
    if main["spec"]["evaluationInterval"] != "30s" || main["spec"]["portName"] != "web" {
        return Err(format!("the schema's defaults are missing: {main}"));
    }
    run(&["get", "prometheus"]).has("DESIRED")?;
    run(&["scale", "prometheus", "main", "--replicas=3"]).ok()?;
    run(&["get", "prometheus", "main", "-o", "jsonpath={.spec.shards}"]).has("3")?;
    run(&[
        "patch",
        "smon",
        "web",
        "--type=json",
        "-p",
        "[{\"op\":\"replace\",\"path\":\"/spec/endpoints/0/interval\",\"value\":\"30s\"}]",
    ])
    .ok()?;
    run(&words(
        "get servicemonitors web -o jsonpath={.spec.endpoints[0].interval}",
    ))
    .has("30s")?;
    run(&[
        "patch",
        "smon",
        "web",
        "--type=merge",
        "-p",
        "{\"spec\":{\"endpoints\":[{\"interval\":\"soon\"}]}}",
    ])
    .refused_with("spec.endpoints[0].interval")?;
    run(&["patch", "prometheus", "main", "--subresource=status", "--type=merge", "-p", "{\"status\":{\"replicas\":3,\"availableReplicas\":2,\"paused\":false,\"unavailableReplicas\":1,\"updatedReplicas\":3}}"]).ok()?;
    run(&words("get prometheus main -o jsonpath={.status.availableReplicas}")).has("2")?;
    run(&["explain", "prometheusrule.spec.groups.rules"]).has("alert")?;
    run(&["delete", "servicemonitor,prometheus,prometheusrule", "--all"])
        .ok()
        .map(drop)
}

fn kueue(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let run = |arguments: &[&str]| ground.kubectl(&namespace, arguments, "");
    let directory = module(KUEUE)?.join("config/components/crd/bases");
    let kinds = [
        "resourceflavors",
        "clusterqueues",
        "localqueues",
        "workloads",
        "workloadpriorityclasses",
    ];
    let files = kinds.map(|kind| directory.join(format!("kueue.x-k8s.io_{kind}.yaml")));
    let names = kinds.map(|kind| format!("{kind}.kueue.x-k8s.io"));
    install(ground, &namespace, &files, &names.each_ref().map(String::as_str))?;
    apply(
        ground,
        &namespace,
        "apiVersion: kueue.x-k8s.io/v1beta1\nkind: ResourceFlavor\nmetadata: {name: plain}\n---\napiVersion: kueue.x-k8s.io/v1beta1\nkind: ClusterQueue\nmetadata: {name: all}\nspec:\n  namespaceSelector: {}\n  resourceGroups:\n  - coveredResources: [cpu, memory]\n    flavors: [{name: plain, resources: [{name: cpu, nominalQuota: 9}, {name: memory, nominalQuota: 36Gi}]}]\n---\napiVersion: kueue.x-k8s.io/v1beta1\nkind: LocalQueue\nmetadata: {name: mine}\nspec: {clusterQueue: all}\n",
    )?;
    let queue = json(ground, &namespace, &["get", "clusterqueue", "all"])?;
    if queue["spec"]["queueingStrategy"] != "BestEffortFIFO" {
        return Err(format!("the schema's defaults are missing: {queue}"));
    }
    run(&["get", "clusterqueues"]).has("COHORT")?;
    run(&[
        "patch",
        "clusterqueue",
        "all",
        "--type=merge",
        "-p",
        "{\"spec\":{\"queueingStrategy\":\"StrictFIFO\"}}",
    ])
    .ok()?;
    run(&[
        "patch",
        "clusterqueue",
        "all",
        "--type=merge",
        "-p",
        "{\"spec\":{\"queueingStrategy\":\"Whatever\"}}",
    ])
    .refused_with("Unsupported value: \"Whatever\"")?;
    // A rule of the schema in CEL: a queue stays with its cluster queue.
    run(&[
        "patch",
        "localqueue",
        "mine",
        "--type=merge",
        "-p",
        "{\"spec\":{\"clusterQueue\":\"other\"}}",
    ])
    .refused_with("field is immutable")?;
    run(&["delete", "localqueue/mine", "clusterqueue/all", "resourceflavor/plain"])
        .ok()
        .map(drop)
}

fn volcano(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let run = |arguments: &[&str]| ground.kubectl(&namespace, arguments, "");
    let group = format!("scheduling.{namespace}.example.com");
    let definition = |plural: &str, kind: &str, scope: &str, short: &str, spec: &str, columns: &str| {
        format!(
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: {plural}.{group}}}\nspec:\n  group: {group}\n  scope: {scope}\n  names: {{kind: {kind}, listKind: {kind}List, plural: {plural}, singular: {}, shortNames: [{short}]}}\n  versions:\n  - name: v1beta1\n    served: true\n    storage: true\n    subresources: {{status: {{}}}}\n    additionalPrinterColumns: [{columns}]\n    schema:\n      openAPIV3Schema:\n        type: object\n        properties:\n          apiVersion: {{type: string}}\n          kind: {{type: string}}\n          metadata: {{type: object}}\n          spec: {{type: object, properties: {{{spec}}}}}\n          status: {{type: object, default: {{}}, x-kubernetes-preserve-unknown-fields: true}}\n---\n",
            kind.to_lowercase()
        )
    };
    let quantity = "{type: object, additionalProperties: {anyOf: [{type: integer}, {type: string}], pattern: '^[0-9]+[a-zA-Z]*$', x-kubernetes-int-or-string: true}}";
    let queues = definition(
        "queues",
        "Queue",
        "Cluster",
        "q",
        &format!(
            "weight: {{type: integer, format: int32, minimum: 1, maximum: 65535, default: 1}}, capability: {quantity}, reclaimable: {{type: boolean}}"
        ),
        "{name: Weight, type: integer, jsonPath: .spec.weight}",
    );
    let groups = definition(
        "podgroups",
        "PodGroup",
        "Namespaced",
        "pg",
        &format!(
            "minMember: {{type: integer, format: int32}}, queue: {{type: string, default: default}}, minResources: {quantity}"
        ),
        "{name: STATUS, type: string, jsonPath: .status.phase}, {name: minMember, type: integer, jsonPath: .spec.minMember}, {name: QUEUE, type: string, priority: 1, jsonPath: .spec.queue}",
    );
    apply(ground, &namespace, &(queues + &groups))?;
    for plural in ["queues", "podgroups"] {
        let name = format!("crd/{plural}.{group}");
        run(&["wait", &name, "--for=condition=Established", "--timeout=20s"]).ok()?;
    }
    apply(
        ground,
        &namespace,
        &format!(
            "apiVersion: {group}/v1beta1\nkind: Queue\nmetadata: {{name: {namespace}}}\nspec: {{capability: {{cpu: 4, memory: 8Gi}}}}\n---\napiVersion: {group}/v1beta1\nkind: PodGroup\nmetadata: {{name: job}}\nspec: {{minMember: 3, queue: {namespace}, minResources: {{cpu: 3}}}}\n"
        ),
    )?;
    let queues = format!("queues.{group}");
    let groups = format!("podgroups.{group}");
    run(&["get", &queues, &namespace, "-o", "jsonpath={.spec.weight}"]).has("1")?;
    run(&[
        "patch",
        &queues,
        &namespace,
        "--type=merge",
        "-p",
        "{\"spec\":{\"weight\":0}}",
    ])
    .refused_with("should be greater than or equal to 1")?;
    run(&[
        "patch",
        &groups,
        "job",
        "--subresource=status",
        "--type=merge",
        "-p",
        "{\"status\":{\"phase\":\"Inqueue\",\"any\":{\"thing\":1}}}",
    ])
    .ok()?;
    run(&["get", &groups]).has("Inqueue")?;
    run(&["get", &groups, "-o", "wide"]).has("QUEUE")?;
    run(&["delete", &groups, "job"]).ok()?;
    run(&["delete", &queues, &namespace]).ok().map(drop)
}
