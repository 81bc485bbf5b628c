//! What holds for the whole platform, and what differs in its environments.

use serde_json::json;
use stoke_model::manifest::{Node, join};

use super::making::Making;
use super::spark::{allocation, conf, executors, replicas, sizes, tidy};
use crate::Options;

/// The store of the External Secrets Operator that the values name.
const STORE: &str = "cluster";

pub(super) fn begin(making: &mut Making<'_>, options: &Options) {
    making.set(&["name"], "spark");
    let namespace = making.first("global", &["namespace"]);
    match (&options.namespace, namespace) {
        (Some(namespace), from) => {
            making.set(&["namespace"], namespace.as_str());
            if let Some(from) = from {
                making.changed(&from, "--namespace says another one", "");
            }
        }
        (None, Some(from)) => making.put(&from, &["namespace"], from.text.as_str()),
        (None, None) => making.set(&["namespace"], "spark"),
    }
    if let Some(registry) = making.text("global.imageRegistry") {
        making.changed(
            &registry,
            "images are named as a whole",
            "write the registry into `image` of components",
        );
    }
    profile(making, "", &[]);
    ingress(making);
    making.elsewhere(
        "rbac",
        "the accounts and roles are part of the platform; drivers have the account `spark`",
    );
    accounts(making);
    making.switch("security.createNamespace");
    for key in [
        "runAsUser",
        "runAsGroup",
        "fsGroup",
        "readOnlyRootFilesystem",
        "runAsNonRoot",
    ] {
        making.elsewhere(
            &format!("security.{key}"),
            "users of pods are fixed for each image by `security`",
        );
    }
}

fn accounts(making: &mut Making<'_>) {
    for key in ["create", "name"] {
        if let Some(part) = making.text(&format!("serviceAccount.{key}")) {
            making.changed(
                &part,
                "the accounts are part of the platform; drivers have the account `spark`",
                "",
            );
        }
    }
}

fn under(root: &str, key: &str) -> String {
    if root.is_empty() {
        key.to_owned()
    } else {
        format!("{root}.{key}")
    }
}

/// Security, network policies, monitors and where Secrets come from: of the whole, or of an environment.
fn profile(making: &mut Making<'_>, root: &str, to: &[&str]) {
    let at = |key: &'static str| -> Vec<&str> { to.iter().copied().chain([key]).collect() };
    let level = [
        "security.pssProfile",
        "security.podSecurityStandards.profile",
        "security.podSecurityStandards.level",
    ]
    .into_iter()
    .find_map(|key| making.text(&under(root, key)));
    let standards = [
        "security.podSecurityStandards.enabled",
        "security.podSecurityStandards",
        "podSecurityStandards",
    ]
    .into_iter()
    .find_map(|key| making.text(&under(root, key)));
    match (&level, &standards) {
        (Some(level), _) if ["baseline", "restricted"].contains(&level.text.as_str()) => {
            making.put(level, &at("security"), level.text.as_str());
            if let Some(standards) = &standards {
                making.accounted(&standards.path);
            }
        }
        (Some(level), _) => making.lost(
            level,
            format!("`{}` is not a profile that the platform has", level.text),
            "write baseline or restricted",
        ),
        (None, Some(standards)) if ["true", "false", "restricted", "baseline"].contains(&standards.text.as_str()) => {
            let profile = if ["true", "restricted"].contains(&standards.text.as_str()) {
                "restricted"
            } else {
                "baseline"
            };
            making.put(standards, &at("security"), profile);
        }
        (None, Some(standards)) => making.lost(
            standards,
            format!("`{}` is not a profile that the platform has", standards.text),
            "write baseline or restricted",
        ),
        (None, None) => {}
    }
    let policies = [
        "security.networkPolicies.enabled",
        "networkPolicies.enabled",
        "networkPolicies",
        "networkPolicy.enabled",
    ]
    .into_iter()
    .find_map(|key| making.text(&under(root, key)));
    if let Some(policies) = policies {
        let network = if policies.text == "true" { "closed" } else { "open" };
        making.put(&policies, &at("network"), network);
    }
    let monitors: Vec<_> = ["serviceMonitor", "podMonitor"]
        .into_iter()
        .filter_map(|key| {
            let of = under(root, &format!("monitoring.{key}"));
            making.text(&format!("{of}.enabled")).or_else(|| making.text(&of))
        })
        .collect();
    if let Some(first) = monitors
        .iter()
        .find(|monitor| monitor.text == "true")
        .or(monitors.first())
    {
        making.put(first, &at("monitors"), first.text == "true");
        for other in &monitors {
            making.accounted(&other.path);
        }
    }
    if let Some(switch) = making.text(&under(root, "monitoring.enabled")) {
        making.accounted(&switch.path);
        if monitors.is_empty() {
            making.put(&switch, &at("monitors"), switch.text == "true");
        }
    }
    making.elsewhere(
        &under(root, "monitoring.grafanaDashboards"),
        "`stoke observe manifests` writes dashboards",
    );
    for key in ["secrets.externalSecrets", "externalSecrets"] {
        external(making, &under(root, key), to);
    }
}

fn external(making: &mut Making<'_>, root: &str, to: &[&str]) {
    let at = |key: &'static str| -> Vec<&str> { to.iter().copied().chain(["secrets", key]).collect() };
    let Some(enabled) = making.text(&format!("{root}.enabled")).or_else(|| making.text(root)) else {
        return;
    };
    if enabled.text != "true" {
        match to.is_empty() {
            true => making.subtree(root, "it is off: Secrets are made by hand"),
            false => making.put(&enabled, &at("from"), "made"),
        }
        return;
    }
    let names = [
        "secretStoreRef.name",
        "secretStore.name",
        "secretStore",
        "storeName",
        "store",
    ];
    let kinds = ["secretStoreRef.kind", "secretStore.kind", "storeKind"];
    match (making.first(root, &names), making.first(root, &kinds)) {
        (Some(name), kind) => {
            // Stores belong to the file, an environment names one.
            let path = |key: &'static str| ["secrets", "stores", STORE, "existing", key];
            making.put(&name, &path("name"), name.text.as_str());
            match &kind {
                Some(kind) => making.put(kind, &path("kind"), kind.text.as_str()),
                None => making.set(&path("kind"), "SecretStore"),
            }
            making.put(&enabled, &at("from"), STORE);
        }
        (None, _) if making.has(&["secrets", "stores", STORE]) => making.put(&enabled, &at("from"), STORE),
        (None, _) => making.lost(
            &enabled,
            "which store of the External Secrets Operator has them is not said",
            "add `secretStoreRef: {name: NAME, kind: ClusterSecretStore}`",
        ),
    }
    if let Some(refresh) = making.first(root, &["refreshInterval"]) {
        making.put(&refresh, &at("refresh"), refresh.text.as_str());
    }
    if let Some(prefix) = making.first(root, &["prefix", "pathPrefix"]) {
        making.put(&prefix, &at("prefix"), prefix.text.as_str());
    }
}

/// Hosts, by the component that each is of.
const HOSTS: [(&str, &str); 10] = [
    ("history", "history"),
    ("historyServer", "history"),
    ("history-server", "history"),
    ("jupyter", "notebooks"),
    ("notebooks", "notebooks"),
    ("mlflow", "experiments"),
    ("experiments", "experiments"),
    ("airflow", "schedules"),
    ("schedules", "schedules"),
    ("nessie", "lake"),
];

fn ingress(making: &mut Making<'_>) {
    if !making.is_on("ingress") {
        return;
    }
    making.set(&["ingress"], json!({}));
    if let Some(class) = making.first("ingress", &["className", "ingressClassName", "class"]) {
        making.put(&class, &["ingress", "class"], class.text.as_str());
    }
    match making.switch("ingress.tls.enabled") {
        Some(false) => making.subtree("ingress.tls", "it is off: hosts are reached without TLS"),
        _ => {
            if let Some(secret) = making.first("ingress", &["tls.secretName", "tlsSecret"]) {
                making.put(&secret, &["ingress", "tlsSecret"], secret.text.as_str());
            }
        }
    }
}

/// Hosts are put when it is known which components there are.
fn hosts(making: &mut Making<'_>) {
    if !making.has(&["components"])
        || making.values.look("ingress.hosts").is_none()
        || making.out.get("ingress").is_none()
    {
        return;
    }
    let root = "ingress.hosts";
    let entries: Vec<String> = making
        .values
        .look(root)
        .map(Node::entries)
        .unwrap_or_default()
        .iter()
        .map(|entry| entry.key.clone())
        .collect();
    for key in entries {
        let path = join(root, &key);
        let Some(host) = making.text(&path).or_else(|| making.text(&join(&path, "host"))) else {
            continue;
        };
        let component = HOSTS
            .iter()
            .find(|(name, _)| *name == key)
            .map(|(_, component)| *component);
        match component {
            Some(component) if making.has(&["components", component]) => {
                making.put(&host, &["components", component, "host"], host.text.as_str());
            }
            Some(component) => making.idle(
                &host,
                format!("there is no `{component}` here that it would lead to"),
                "leave it out",
            ),
            None if key == "connect" => making.changed(
                &host,
                "the operator makes no Ingress for Spark Connect, which speaks gRPC",
                "apply one beside it: its service is NAME-server, port 15002",
            ),
            None => making.lost(
                &host,
                format!("`{key}` is not a component that is reached by a host"),
                "write history, jupyter, mlflow or airflow",
            ),
        }
    }
}

pub(super) fn end(making: &mut Making<'_>, connect: Option<&str>) {
    hosts(making);
    let names: Vec<String> = making
        .values
        .look("environments")
        .map(Node::entries)
        .unwrap_or_default()
        .iter()
        .map(|entry| entry.key.clone())
        .collect();
    for name in names {
        environment(making, &name, connect);
    }
    let mut out = std::mem::take(&mut making.out);
    // An ingress without a class or certificate says that there is one.
    let is_ingress = out.get("ingress").is_some();
    let environments = out.get("environments").cloned();
    tidy(&mut out);
    if is_ingress && out.get("ingress").is_none() {
        out["ingress"] = json!({});
    }
    // So does an environment without anything of its own.
    for name in environments
        .iter()
        .filter_map(|all| all.as_object())
        .flat_map(|all| all.keys())
    {
        if out["environments"][name].is_null() {
            out["environments"][name] = json!({});
        }
    }
    making.out = out;
}

fn environment(making: &mut Making<'_>, name: &str, connect: Option<&str>) {
    let root = join("environments", name);
    let to = ["environments", name];
    making.set(&to, json!({}));
    if let Some(namespace) = making.text(&join(&root, "namespace")) {
        making.put(
            &namespace,
            &["environments", name, "namespace"],
            namespace.text.as_str(),
        );
    }
    profile(making, &root, &to);
    let Some(connect) = connect else { return };
    let component = ["environments", name, "components", connect];
    for of in [root.clone(), join(&root, "connect")] {
        sizes(making, &of, &component);
        executors(making, &format!("{of}.executor"), &component);
        allocation(
            making,
            &format!("{of}.dynamicAllocation"),
            &[&format!("{of}.executor")],
            &component,
        );
        replicas(making, &format!("{of}.replicas"));
        conf(
            making,
            &format!("{of}.sparkConf"),
            &["environments", name, "components", connect, "sparkConf"],
            true,
        );
    }
}
