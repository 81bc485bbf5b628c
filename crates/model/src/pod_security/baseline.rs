//! Controls of `baseline`. Each function is one control in one of its versions.

use serde_json::Value;

use super::pod::{Container, Found, Pod, Setters, counted, plural, quoted};

const APP_ARMOR_ANNOTATION: &str = "container.apparmor.security.beta.kubernetes.io/";
const SECCOMP_POD_ANNOTATION: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_ANNOTATION: &str = "container.seccomp.security.alpha.kubernetes.io/";

/// Capabilities that a container may add: those container runtimes give anyway.
const CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// Kernel settings that concern only the pod, in the order they were allowed.
const SYSCTLS: [&str; 14] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    // 1.27
    "net.ipv4.ip_local_reserved_ports",
    // 1.29
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    // 1.32
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
    // 1.37
    "net.ipv4.tcp_slow_start_after_idle",
    "net.ipv4.tcp_notsent_lowat",
];

const SELINUX_TYPES: [&str; 5] = [
    "",
    "container_t",
    "container_init_t",
    "container_kvm_t",
    // 1.31
    "container_engine_t",
];

/// A profile (of AppArmor or seccomp) that is there and confines nothing that is known.
pub(super) fn bad_profile(profile: &Value) -> Option<&str> {
    if profile.is_null() {
        return None;
    }
    let kind = profile["type"].as_str().unwrap_or_default();
    (!matches!(kind, "RuntimeDefault" | "Localhost")).then_some(kind)
}

/// Sorts and takes doubles out, as a set is listed.
pub(super) fn listed<T: Ord>(mut names: Vec<T>) -> Vec<T> {
    names.sort_unstable();
    names.dedup();
    names
}

pub(super) fn app_armor(pod: &Pod<'_>) -> Option<Found> {
    let mut kinds = Vec::new();
    let setters = pod.blame("appArmorProfile.type", |context| {
        let bad = bad_profile(&context["appArmorProfile"]);
        kinds.extend(bad.map(str::to_owned));
        bad.is_some()
    });
    let fine = |profile: &str| profile.is_empty() || profile == "runtime/default" || profile.starts_with("localhost/");
    let annotations = pod
        .annotations()
        .filter(|(key, profile)| key.starts_with(APP_ARMOR_ANNOTATION) && !fine(profile));
    let annotations: Vec<(&str, &str)> = listed(annotations.collect());
    let mut who = setters.names();
    let mut paths = setters.paths;
    let mut values = listed(kinds);
    if !annotations.is_empty() {
        who.push(format!("annotation{}", plural(annotations.len())));
        values.extend(annotations.iter().map(|(key, profile)| format!("{key}={profile:?}")));
        paths.extend(annotations.iter().map(|(key, _)| annotation_path(key)));
    }
    (!who.is_empty()).then(|| Found {
        reason: format!("forbidden AppArmor profile{}", plural(values.len())),
        detail: format!(
            "{} must not set AppArmor profile type to {}",
            who.join(" and "),
            quoted(&values)
        ),
        paths,
    })
}

fn annotation_path(key: &str) -> String {
    format!("metadata.annotations[{key:?}]")
}

/// Capabilities that a security context adds.
fn added(context: &Value) -> impl Iterator<Item = &str> {
    let names = context["capabilities"]["add"].as_array().into_iter().flatten();
    names.filter_map(Value::as_str)
}

/// Who adds capabilities beyond some, and which.
pub(super) fn capabilities_beyond<'a>(pod: &Pod<'a>, allowed: &[&str]) -> (Setters<'a>, Vec<&'a str>) {
    let mut beyond = Vec::new();
    let setters = pod.blame_containers("capabilities.add", |context| {
        let before = beyond.len();
        beyond.extend(added(context).filter(|name| !allowed.contains(name)));
        beyond.len() > before
    });
    (setters, listed(beyond))
}

/// What is said of [`capabilities_beyond`].
pub(super) fn beyond_in_words(beyond: &[&str]) -> String {
    format!(
        "must not include {} in securityContext.capabilities.add",
        quoted(beyond)
    )
}

pub(super) fn capabilities(pod: &Pod<'_>) -> Option<Found> {
    let (setters, beyond) = capabilities_beyond(pod, &CAPABILITIES);
    setters.found("non-default capabilities", &beyond_in_words(&beyond))
}

pub(super) fn host_namespaces(pod: &Pod<'_>) -> Option<Found> {
    let all = ["hostNetwork", "hostPID", "hostIPC"];
    let set: Vec<&str> = all.into_iter().filter(|name| pod.spec[*name] == true).collect();
    let told: Vec<String> = set.iter().map(|name| format!("{name}=true")).collect();
    (!set.is_empty()).then(|| Found {
        reason: "host namespaces".to_owned(),
        detail: told.join(", "),
        paths: set.iter().map(|name| format!("spec.{name}")).collect(),
    })
}

pub(super) fn host_paths(pod: &Pod<'_>) -> Option<Found> {
    let mut names = Vec::new();
    let mut paths = Vec::new();
    let volumes = pod.spec["volumes"].as_array().into_iter().flatten().enumerate();
    for (index, volume) in volumes.filter(|(_, volume)| !volume["hostPath"].is_null()) {
        names.push(volume["name"].as_str().unwrap_or_default());
        paths.push(format!("spec.volumes[{index}].hostPath"));
    }
    (!names.is_empty()).then(|| Found {
        reason: "hostPath volumes".to_owned(),
        detail: counted("volume", &names),
        paths,
    })
}

pub(super) fn host_ports(pod: &Pod<'_>) -> Option<Found> {
    let mut setters = Setters::default();
    let mut ports = Vec::new();
    for container in pod.containers() {
        let listed = container.value["ports"].as_array().into_iter().flatten().enumerate();
        let mut uses = false;
        for (index, port) in listed {
            let port = &port["hostPort"];
            if port.is_number() && port.as_f64() != Some(0.0) {
                ports.push(port.to_string());
                setters.paths.push(container.path(&format!("ports[{index}].hostPort")));
                uses = true;
            }
        }
        if uses {
            setters.containers.push(container.name());
        }
    }
    let ports = listed(ports);
    let verb = if setters.containers.len() == 1 { "uses" } else { "use" };
    let verdict = format!("{verb} hostPort{} {}", plural(ports.len()), ports.join(", "));
    setters.found("hostPort", &verdict)
}

/// Handlers that may name a host, below a container.
const HANDLERS: [&[&str]; 5] = [
    &["livenessProbe"],
    &["readinessProbe"],
    &["startupProbe"],
    &["lifecycle", "postStart"],
    &["lifecycle", "preStop"],
];

/// Where a container's handlers name a host, and which.
fn handler_hosts<'a>(container: &Container<'a>) -> Vec<(String, &'a str)> {
    let mut found = Vec::new();
    for handler in HANDLERS {
        let value = handler.iter().fold(container.value, |value, step| &value[*step]);
        for action in ["httpGet", "tcpSocket"] {
            let host = value[action]["host"].as_str().unwrap_or_default();
            if !host.is_empty() {
                found.push((container.path(&format!("{}.{action}.host", handler.join("."))), host));
            }
        }
    }
    found
}

pub(super) fn probe_hosts(pod: &Pod<'_>) -> Option<Found> {
    let mut setters = Setters::default();
    let mut hosts = Vec::new();
    for container in pod.containers() {
        let found = handler_hosts(&container);
        if !found.is_empty() {
            setters.containers.push(container.name());
        }
        for (path, host) in found {
            setters.paths.push(path);
            hosts.push(host);
        }
    }
    setters.containers = listed(setters.containers);
    let hosts = listed(hosts);
    let verb = if setters.containers.len() == 1 { "uses" } else { "use" };
    let verdict = format!("{verb} {}", counted("probe or lifecycle host", &hosts));
    setters.found("probe or lifecycle host", &verdict)
}

pub(super) fn privileged(pod: &Pod<'_>) -> Option<Found> {
    pod.blame_containers("privileged", |context| context["privileged"] == true)
        .found("privileged", "must not set securityContext.privileged=true")
}

pub(super) fn proc_mount(pod: &Pod<'_>) -> Option<Found> {
    let mut mounts = Vec::new();
    let setters = pod.blame_containers("procMount", |context| {
        let mount = context["procMount"].as_str().filter(|mount| *mount != "Default");
        mounts.extend(mount);
        mount.is_some()
    });
    let verdict = format!("must not set securityContext.procMount to {}", quoted(&listed(mounts)));
    setters.found("procMount", &verdict)
}

pub(super) fn proc_mount_outside_user_namespace(pod: &Pod<'_>) -> Option<Found> {
    if pod.user_namespace() {
        return None;
    }
    proc_mount(pod)
}

pub(super) fn selinux_1_0(pod: &Pod<'_>) -> Option<Found> {
    selinux(pod, &SELINUX_TYPES[..4])
}

pub(super) fn selinux_1_31(pod: &Pod<'_>) -> Option<Found> {
    selinux(pod, &SELINUX_TYPES)
}

fn selinux(pod: &Pod<'_>, allowed: &[&str]) -> Option<Found> {
    let (mut types, mut user, mut role) = (Vec::new(), false, false);
    let setters = pod.blame("seLinuxOptions", |context| {
        let text = |field: &str| context["seLinuxOptions"][field].as_str().unwrap_or_default();
        let kind = text("type");
        let bad_type = !allowed.contains(&kind);
        if bad_type {
            types.push(kind);
        }
        let (sets_user, sets_role) = (!text("user").is_empty(), !text("role").is_empty());
        user |= sets_user;
        role |= sets_role;
        bad_type || sets_user || sets_role
    });
    let mut wrong = Vec::new();
    let types = listed(types);
    if !types.is_empty() {
        wrong.push(counted("type", &types));
    }
    wrong.extend(user.then(|| "user may not be set".to_owned()));
    wrong.extend(role.then(|| "role may not be set".to_owned()));
    let verdict = format!("set forbidden securityContext.seLinuxOptions: {}", wrong.join("; "));
    setters.found("seLinuxOptions", &verdict)
}

/// Before 1.19 seccomp was asked for by annotations.
pub(super) fn seccomp_annotations(pod: &Pod<'_>) -> Option<Found> {
    let fine =
        |profile: &str| matches!(profile, "runtime/default" | "docker/default") || profile.starts_with("localhost/");
    let of_containers = pod
        .containers()
        .map(|container| format!("{SECCOMP_ANNOTATION}{}", container.name()));
    let keys = std::iter::once(SECCOMP_POD_ANNOTATION.to_owned()).chain(of_containers);
    let forbidden = keys.filter_map(|key| {
        let profile = pod.annotation(&key).filter(|profile| !fine(profile))?;
        Some((format!("{key}={profile:?}"), annotation_path(&key)))
    });
    let (told, paths): (Vec<String>, Vec<String>) = listed(forbidden.collect::<Vec<_>>()).into_iter().unzip();
    (!told.is_empty()).then(|| Found {
        reason: "seccompProfile".to_owned(),
        detail: format!("forbidden annotation{} {}", plural(told.len()), told.join(", ")),
        paths,
    })
}

pub(super) fn seccomp(pod: &Pod<'_>) -> Option<Found> {
    let mut kinds = Vec::new();
    let setters = pod.blame("seccompProfile.type", |context| {
        let bad = bad_profile(&context["seccompProfile"]);
        kinds.extend(bad);
        bad.is_some()
    });
    let verdict = format!(
        "must not set securityContext.seccompProfile.type to {}",
        quoted(&listed(kinds))
    );
    setters.found("seccompProfile", &verdict)
}

pub(super) fn sysctls_1_0(pod: &Pod<'_>) -> Option<Found> {
    sysctls(pod, &SYSCTLS[..5])
}

pub(super) fn sysctls_1_27(pod: &Pod<'_>) -> Option<Found> {
    sysctls(pod, &SYSCTLS[..6])
}

pub(super) fn sysctls_1_29(pod: &Pod<'_>) -> Option<Found> {
    sysctls(pod, &SYSCTLS[..10])
}

pub(super) fn sysctls_1_32(pod: &Pod<'_>) -> Option<Found> {
    sysctls(pod, &SYSCTLS[..12])
}

pub(super) fn sysctls_1_37(pod: &Pod<'_>) -> Option<Found> {
    sysctls(pod, &SYSCTLS)
}

fn sysctls(pod: &Pod<'_>, allowed: &[&str]) -> Option<Found> {
    let set = pod.context()["sysctls"].as_array().into_iter().flatten().enumerate();
    let (names, paths): (Vec<&str>, Vec<String>) = set
        .map(|(index, sysctl)| (sysctl["name"].as_str().unwrap_or_default(), index))
        .filter(|(name, _)| !allowed.contains(name))
        .map(|(name, index)| (name, format!("spec.securityContext.sysctls[{index}].name")))
        .unzip();
    (!names.is_empty()).then(|| Found {
        reason: "forbidden sysctls".to_owned(),
        detail: names.join(", "),
        paths,
    })
}

pub(super) fn host_process(pod: &Pod<'_>) -> Option<Found> {
    pod.blame("windowsOptions.hostProcess", |context| {
        context["windowsOptions"]["hostProcess"] == true
    })
    .found(
        "hostProcess",
        "must not set securityContext.windowsOptions.hostProcess=true",
    )
}
