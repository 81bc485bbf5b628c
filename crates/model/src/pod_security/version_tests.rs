//! What changed in which version: each boundary from both sides.

use serde_json::{Value, json};

use super::*;

/// Controls that a pod violates at a level in version 1.`minor`.
fn violated(level: Level, minor: u32, metadata: &Value, spec: &Value) -> Vec<&'static str> {
    let found = check(level, Version::minor(minor), metadata, spec);
    found.into_iter().map(|violation| violation.control).collect()
}

/// A pod that `restricted` of every version takes.
fn hardened() -> Value {
    json!({"securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{"name": "c", "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}}]})
}

fn merged(mut base: Value, patch: &Value) -> Value {
    if let (Value::Object(base), Value::Object(patch)) = (&mut base, patch) {
        for (key, value) in patch {
            let old = base.remove(key).unwrap_or_default();
            base.insert(key.clone(), merged(old, value));
        }
        return Value::Object(std::mem::take(base));
    }
    patch.clone()
}

/// Asserts that from a version on a pod is refused by a control, and not before.
fn refused_from(minor: u32, level: Level, control: &str, spec: &Value) {
    for version in 0..45 {
        let refused = violated(level, version, &json!({}), spec).contains(&control);
        assert_eq!(refused, version >= minor, "{control} in v1.{version}: {spec}");
    }
}

/// Asserts that up to a version a pod is refused by a control, and not after.
fn refused_before(minor: u32, level: Level, control: &str, spec: &Value) {
    for version in 0..45 {
        let refused = violated(level, version, &json!({}), spec).contains(&control);
        assert_eq!(refused, version < minor, "{control} in v1.{version}: {spec}");
    }
}

#[test]
fn a_hardened_pod_passes_every_version() {
    for minor in 0..45 {
        for level in [Level::Baseline, Level::Restricted] {
            assert_eq!(violated(level, minor, &json!({}), &hardened()), [""; 0], "v1.{minor}");
        }
    }
}

#[test]
fn sysctls_were_allowed_one_after_the_other() {
    for (minor, names) in [
        (
            0,
            "kernel.shm_rmid_forced net.ipv4.ip_local_port_range net.ipv4.ip_unprivileged_port_start net.ipv4.tcp_syncookies net.ipv4.ping_group_range",
        ),
        (27, "net.ipv4.ip_local_reserved_ports"),
        (
            29,
            "net.ipv4.tcp_keepalive_time net.ipv4.tcp_fin_timeout net.ipv4.tcp_keepalive_intvl net.ipv4.tcp_keepalive_probes",
        ),
        (32, "net.ipv4.tcp_rmem net.ipv4.tcp_wmem"),
        (37, "net.ipv4.tcp_slow_start_after_idle net.ipv4.tcp_notsent_lowat"),
    ] {
        for name in names.split(' ') {
            let spec = json!({"securityContext": {"sysctls": [{"name": name, "value": "1"}]}});
            refused_before(minor, Level::Baseline, "sysctls", &spec);
            refused_before(minor, Level::Restricted, "sysctls", &spec);
        }
    }
}

#[test]
fn selinux_types_grew_in_1_31() {
    let spec = |kind: &str| json!({"securityContext": {"seLinuxOptions": {"type": kind}}});
    refused_before(31, Level::Baseline, "seLinuxOptions", &spec("container_engine_t"));
    for kind in ["", "container_t", "container_init_t", "container_kvm_t"] {
        refused_before(0, Level::Baseline, "seLinuxOptions", &spec(kind));
    }
    refused_from(0, Level::Baseline, "seLinuxOptions", &spec("spc_t"));
}

#[test]
fn seccomp_moved_from_annotations_to_fields_in_1_19() {
    let unconfined =
        json!({"securityContext": {"seccompProfile": {"type": "Unconfined"}}, "containers": [{"name": "c"}]});
    refused_from(19, Level::Baseline, "seccompProfile_baseline", &unconfined);
    refused_from(19, Level::Restricted, "seccompProfile_restricted", &unconfined);
    let silent = json!({"containers": [{"name": "c"}]});
    refused_from(19, Level::Restricted, "seccompProfile_restricted", &silent);
    refused_from(99, Level::Baseline, "seccompProfile_baseline", &silent);

    let pod = "seccomp.security.alpha.kubernetes.io/pod";
    let container = "container.seccomp.security.alpha.kubernetes.io/c";
    for (annotations, refused) in [
        (json!({pod: "unconfined"}), true),
        (json!({container: "unconfined"}), true),
        (json!({pod: ""}), true),
        (json!({pod: "runtime/default", container: "docker/default"}), false),
        (json!({pod: "localhost/a.json"}), false),
        // Not a container of this pod.
        (
            json!({"container.seccomp.security.alpha.kubernetes.io/other": "unconfined"}),
            false,
        ),
    ] {
        let metadata = json!({"annotations": annotations});
        for minor in 0..45 {
            // Before restricted had a control of its own, it had that of baseline.
            for level in [Level::Baseline, Level::Restricted] {
                let found = violated(level, minor, &metadata, &hardened());
                let is = found.contains(&"seccompProfile_baseline");
                assert_eq!(is, refused && minor < 19, "{level} v1.{minor}: {metadata}");
            }
        }
    }
    let both = json!({"annotations": {pod: "unconfined", container: "bad"}});
    let found = check(Level::Baseline, Version::minor(18), &both, &hardened());
    assert_eq!(
        found[0].to_string(),
        format!("seccompProfile (forbidden annotations {container}=\"bad\", {pod}=\"unconfined\")")
    );
}

#[test]
fn hosts_of_probes_are_refused_from_1_34() {
    for handler in ["livenessProbe", "readinessProbe", "startupProbe"] {
        for action in ["httpGet", "tcpSocket"] {
            let spec = json!({"containers": [{"name": "c", handler: {action: {"host": "h", "port": 1}}}]});
            refused_from(34, Level::Baseline, "hostProbesAndHostLifecycle", &spec);
            refused_from(34, Level::Restricted, "hostProbesAndHostLifecycle", &spec);
        }
    }
    for handler in ["postStart", "preStop"] {
        for action in ["httpGet", "tcpSocket"] {
            let spec = json!({"ephemeralContainers": [{"name": "c", "lifecycle": {handler: {action: {"host": "h"}}}}]});
            refused_from(34, Level::Baseline, "hostProbesAndHostLifecycle", &spec);
        }
    }
}

#[test]
fn controls_of_restricted_came_one_after_the_other() {
    let plain = json!({"containers": [{"name": "c"}]});
    refused_from(8, Level::Restricted, "allowPrivilegeEscalation", &plain);
    refused_from(22, Level::Restricted, "capabilities_restricted", &plain);
    refused_from(0, Level::Restricted, "runAsNonRoot", &plain);
    let root = merged(hardened(), &json!({"securityContext": {"runAsUser": 0}}));
    refused_from(23, Level::Restricted, "runAsUser", &root);
    refused_from(99, Level::Baseline, "runAsUser", &root);
    let volume = merged(hardened(), &json!({"volumes": [{"name": "v", "nfs": {}}]}));
    refused_from(0, Level::Restricted, "restrictedVolumes", &volume);
}

#[test]
fn a_stronger_control_stands_for_the_weaker_one() {
    let spec = json!({"volumes": [{"name": "v", "hostPath": {}}], "containers": [
        {"name": "c", "securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}, "procMount": "Unmasked"}}]});
    let of = |minor| violated(Level::Restricted, minor, &json!({}), &spec);
    assert_eq!(
        of(7),
        [
            "capabilities_baseline",
            "procMount",
            "restrictedVolumes",
            "runAsNonRoot"
        ]
    );
    assert_eq!(
        of(21),
        [
            "capabilities_baseline",
            "procMount",
            "allowPrivilegeEscalation",
            "restrictedVolumes",
            "runAsNonRoot",
            "seccompProfile_restricted"
        ]
    );
    assert_eq!(
        of(34),
        [
            "procMount",
            "allowPrivilegeEscalation",
            "capabilities_restricted",
            "restrictedVolumes",
            "runAsNonRoot",
            "seccompProfile_restricted"
        ]
    );
    assert_eq!(
        of(35),
        [
            "allowPrivilegeEscalation",
            "capabilities_restricted",
            "procMount_restricted",
            "restrictedVolumes",
            "runAsNonRoot",
            "seccompProfile_restricted"
        ]
    );
}

#[test]
fn windows_pods_are_spared_what_linux_knows_from_1_25() {
    let windows = json!({"os": {"name": "windows"}, "securityContext": {"runAsNonRoot": true},
        "containers": [{"name": "c", "securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}]});
    let of = |minor| violated(Level::Restricted, minor, &json!({}), &windows);
    assert_eq!(
        of(24),
        [
            "allowPrivilegeEscalation",
            "capabilities_restricted",
            "seccompProfile_restricted"
        ]
    );
    for minor in 25..45 {
        assert_eq!(of(minor), [""; 0], "v1.{minor}");
    }
    // Not what baseline asks, and not what is not only of Linux.
    let baseline = violated(Level::Baseline, 30, &json!({}), &windows);
    assert_eq!(baseline, ["capabilities_baseline"]);
    let root = merged(windows.clone(), &json!({"securityContext": {"runAsNonRoot": false}}));
    assert_eq!(violated(Level::Restricted, 30, &json!({}), &root), ["runAsNonRoot"]);
    let linux = merged(windows, &json!({"os": {"name": "linux"}}));
    assert_eq!(violated(Level::Restricted, 30, &json!({}), &linux).len(), 3);
}

#[test]
fn user_namespaces_relax_from_1_35() {
    let root = json!({"runAsNonRoot": false, "runAsUser": 0});
    let spec = |host_users: Value| {
        let context = json!({"hostUsers": host_users, "securityContext": root});
        merged(hardened(), &context)
    };
    let of = |minor, host_users: Value| violated(Level::Restricted, minor, &json!({}), &spec(host_users));
    assert_eq!(of(34, json!(false)), ["runAsNonRoot", "runAsUser"]);
    assert_eq!(of(35, json!(false)), [""; 0]);
    assert_eq!(of(35, json!(true)), ["runAsNonRoot", "runAsUser"]);
    assert_eq!(of(35, json!(null)), ["runAsNonRoot", "runAsUser"]);

    let unmasked =
        json!({"hostUsers": false, "containers": [{"name": "c", "securityContext": {"procMount": "Unmasked"}}]});
    refused_before(35, Level::Baseline, "procMount", &unmasked);
    // Restricted asks for the default mount all the same.
    refused_from(35, Level::Restricted, "procMount_restricted", &unmasked);
    refused_before(35, Level::Restricted, "procMount", &unmasked);
    let shared = merged(unmasked, &json!({"hostUsers": true}));
    refused_from(0, Level::Baseline, "procMount", &shared);
}

#[test]
fn what_changed_without_a_version_is_as_in_new_releases() {
    let image = merged(
        hardened(),
        &json!({"volumes": [{"name": "v", "image": {"reference": "a"}}]}),
    );
    refused_from(99, Level::Restricted, "restrictedVolumes", &image);
    let field = json!({"securityContext": {"appArmorProfile": {"type": "Unconfined"}}});
    refused_from(0, Level::Baseline, "appArmorProfile", &field);
}
