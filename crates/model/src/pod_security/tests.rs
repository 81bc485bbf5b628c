//! Every control, with what it says and where, at the newest version.

use serde_json::{Value, json};

use super::*;

fn found(level: Level, spec: &Value) -> Vec<Violation> {
    check(level, Version::LATEST, &Value::Null, spec)
}

/// What one control says of a pod under a level; `""` for nothing.
fn says(control: &str, level: Level, metadata: &Value, spec: &Value) -> (String, Vec<String>) {
    let found = check(level, Version::LATEST, metadata, spec);
    let mut of_control = found.into_iter().filter(|violation| violation.control == control);
    let first = of_control.next();
    assert!(of_control.next().is_none(), "{control} is reported once");
    first.map_or_else(Default::default, |violation| (violation.to_string(), violation.paths))
}

fn with(context: Value) -> Value {
    json!({"containers": [{"name": "c", "securityContext": context}]})
}

#[test]
fn a_plain_pod_under_each_level() {
    let plain = json!({"containers": [{"name": "c"}]});
    assert_eq!(found(Level::Privileged, &json!({"hostPID": true})), []);
    assert_eq!(found(Level::Baseline, &plain), []);
    let restricted: Vec<String> = found(Level::Restricted, &plain)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        restricted,
        [
            "allowPrivilegeEscalation != false (container \"c\" must set securityContext.allowPrivilegeEscalation=false)",
            "unrestricted capabilities (container \"c\" must set securityContext.capabilities.drop=[\"ALL\"])",
            "runAsNonRoot != true (pod or container \"c\" must set securityContext.runAsNonRoot=true)",
            "seccompProfile (pod or container \"c\" must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")",
        ]
    );
    let good = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
        "runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}});
    assert_eq!(found(Level::Restricted, &with(good)), []);
}

/// Control, spec, words, paths.
type Case = (&'static str, Value, &'static str, &'static [&'static str]);

fn expect(level: Level, cases: &[Case]) {
    for (control, spec, words, paths) in cases {
        let (said, where_) = says(control, level, &Value::Null, spec);
        assert_eq!(said, *words, "{control}: {spec}");
        assert_eq!(where_, *paths, "{control}: {spec}");
    }
}

#[test]
fn what_baseline_forbids() {
    expect(
        Level::Baseline,
        &[
            (
                "hostNamespaces",
                json!({"hostIPC": true, "hostNetwork": true, "hostPID": true}),
                "host namespaces (hostNetwork=true, hostPID=true, hostIPC=true)",
                &["spec.hostNetwork", "spec.hostPID", "spec.hostIPC"],
            ),
            (
                "hostNamespaces",
                json!({"hostIPC": false, "hostNetwork": null}),
                "",
                &[],
            ),
            (
                "privileged",
                json!({"containers": [{"name": "a"}, {"name": "b", "securityContext": {"privileged": true}}],
                    "initContainers": [{"name": "i", "securityContext": {"privileged": true}}],
                    "ephemeralContainers": [{"name": "e", "securityContext": {"privileged": true}}]}),
                "privileged (containers \"i\", \"b\", \"e\" must not set securityContext.privileged=true)",
                &[
                    "spec.initContainers[0].securityContext.privileged",
                    "spec.containers[1].securityContext.privileged",
                    "spec.ephemeralContainers[0].securityContext.privileged",
                ],
            ),
            ("privileged", with(json!({"privileged": false})), "", &[]),
            ("privileged", with(json!({"privileged": null})), "", &[]),
            ("privileged", with(Value::Null), "", &[]),
            (
                "capabilities_baseline",
                json!({"containers": [
                    {"name": "a", "securityContext": {"capabilities": {"add": ["SYS_ADMIN", "CHOWN"]}}},
                    {"name": "b", "securityContext": {"capabilities": {"add": ["NET_RAW", "SYS_ADMIN"]}}},
                    {"name": "c", "securityContext": {"capabilities": {"add": [], "drop": ["NET_RAW"]}}}]}),
                "non-default capabilities (containers \"a\", \"b\" must not include \"NET_RAW\", \"SYS_ADMIN\" in securityContext.capabilities.add)",
                &[
                    "spec.containers[0].securityContext.capabilities.add",
                    "spec.containers[1].securityContext.capabilities.add",
                ],
            ),
            // Names are compared as they are written.
            (
                "capabilities_baseline",
                with(json!({"capabilities": {"add": ["CAP_CHOWN"]}})),
                "non-default capabilities (container \"c\" must not include \"CAP_CHOWN\" in securityContext.capabilities.add)",
                &["spec.containers[0].securityContext.capabilities.add"],
            ),
            (
                "capabilities_baseline",
                with(
                    json!({"capabilities": {"add": ["AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD",
                    "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"]}}),
                ),
                "",
                &[],
            ),
            (
                "hostPathVolumes",
                json!({"volumes": [{"name": "a", "hostPath": {"path": "/"}}, {"name": "b", "emptyDir": {}, "hostPath": null}]}),
                "hostPath volumes (volume \"a\")",
                &["spec.volumes[0].hostPath"],
            ),
            (
                "hostPorts",
                json!({"containers": [
                    {"name": "a", "ports": [{"hostPort": 8080}, {"hostPort": 0}, {"containerPort": 1}]},
                    {"name": "b", "ports": [{"hostPort": 443}, {"hostPort": 8080}]}]}),
                "hostPort (containers \"a\", \"b\" use hostPorts 443, 8080)",
                &[
                    "spec.containers[0].ports[0].hostPort",
                    "spec.containers[1].ports[0].hostPort",
                    "spec.containers[1].ports[1].hostPort",
                ],
            ),
            (
                "hostPorts",
                json!({"containers": [{"name": "a", "ports": [{"hostPort": 80}]}]}),
                "hostPort (container \"a\" uses hostPort 80)",
                &["spec.containers[0].ports[0].hostPort"],
            ),
            (
                "hostProbesAndHostLifecycle",
                json!({"containers": [{"name": "a", "livenessProbe": {"httpGet": {"host": "10.0.0.1"}},
                        "lifecycle": {"preStop": {"tcpSocket": {"host": "db"}}}}],
                    "initContainers": [{"name": "i", "startupProbe": {"tcpSocket": {"host": "db"}}}]}),
                "probe or lifecycle host (containers \"a\", \"i\" use probe or lifecycle hosts \"10.0.0.1\", \"db\")",
                &[
                    "spec.initContainers[0].startupProbe.tcpSocket.host",
                    "spec.containers[0].livenessProbe.httpGet.host",
                    "spec.containers[0].lifecycle.preStop.tcpSocket.host",
                ],
            ),
            (
                "hostProbesAndHostLifecycle",
                json!({"containers": [{"name": "a", "readinessProbe": {"httpGet": {"host": "h"}}}]}),
                "probe or lifecycle host (container \"a\" uses probe or lifecycle host \"h\")",
                &["spec.containers[0].readinessProbe.httpGet.host"],
            ),
            (
                "hostProbesAndHostLifecycle",
                json!({"containers": [{"name": "a", "readinessProbe": {"httpGet": {"host": "", "port": 80}}}]}),
                "",
                &[],
            ),
            (
                "procMount",
                with(json!({"procMount": "Unmasked"})),
                "procMount (container \"c\" must not set securityContext.procMount to \"Unmasked\")",
                &["spec.containers[0].securityContext.procMount"],
            ),
            ("procMount", with(json!({"procMount": "Default"})), "", &[]),
            (
                "seLinuxOptions",
                json!({"securityContext": {"seLinuxOptions": {"type": "spc_t", "user": "u", "level": "s0"}},
                    "containers": [{"name": "a", "securityContext": {"seLinuxOptions": {"role": "r"}}}]}),
                "seLinuxOptions (pod and container \"a\" set forbidden securityContext.seLinuxOptions: type \"spc_t\"; user may not be set; role may not be set)",
                &[
                    "spec.securityContext.seLinuxOptions",
                    "spec.containers[0].securityContext.seLinuxOptions",
                ],
            ),
            (
                "seLinuxOptions",
                with(json!({"seLinuxOptions": {"user": "u"}})),
                "seLinuxOptions (container \"c\" set forbidden securityContext.seLinuxOptions: user may not be set)",
                &["spec.containers[0].securityContext.seLinuxOptions"],
            ),
            (
                "seLinuxOptions",
                with(json!({"seLinuxOptions": {"type": "container_t", "user": "", "level": "s0"}})),
                "",
                &[],
            ),
            (
                "seccompProfile_baseline",
                json!({"securityContext": {"seccompProfile": {"type": "Unconfined"}},
                    "containers": [{"name": "a", "securityContext": {"seccompProfile": {"type": "Unconfined"}}}, {"name": "b"}]}),
                "seccompProfile (pod and container \"a\" must not set securityContext.seccompProfile.type to \"Unconfined\")",
                &[
                    "spec.securityContext.seccompProfile.type",
                    "spec.containers[0].securityContext.seccompProfile.type",
                ],
            ),
            // A profile without a type is not a profile that confines.
            (
                "seccompProfile_baseline",
                with(json!({"seccompProfile": {}})),
                "seccompProfile (container \"c\" must not set securityContext.seccompProfile.type to \"\")",
                &["spec.containers[0].securityContext.seccompProfile.type"],
            ),
            (
                "seccompProfile_baseline",
                with(json!({"seccompProfile": null})),
                "",
                &[],
            ),
            (
                "seccompProfile_baseline",
                with(json!({"seccompProfile": {"type": "Localhost"}})),
                "",
                &[],
            ),
            (
                "sysctls",
                json!({"securityContext": {"sysctls": [{"name": "kernel.msgmax"}, {"name": "net.ipv4.tcp_syncookies"}, {"name": "a.b"}]}}),
                "forbidden sysctls (kernel.msgmax, a.b)",
                &[
                    "spec.securityContext.sysctls[0].name",
                    "spec.securityContext.sysctls[2].name",
                ],
            ),
            (
                "windowsHostProcess",
                json!({"securityContext": {"windowsOptions": {"hostProcess": true}},
                    "containers": [{"name": "a", "securityContext": {"windowsOptions": {"hostProcess": true}}},
                        {"name": "b", "securityContext": {"windowsOptions": {"hostProcess": false}}}]}),
                "hostProcess (pod and container \"a\" must not set securityContext.windowsOptions.hostProcess=true)",
                &[
                    "spec.securityContext.windowsOptions.hostProcess",
                    "spec.containers[0].securityContext.windowsOptions.hostProcess",
                ],
            ),
        ],
    );
}

#[test]
fn app_armor_is_asked_for_by_fields_and_by_annotations() {
    let spec = json!({"securityContext": {"appArmorProfile": {"type": "Unconfined"}}, "containers": [
        {"name": "a", "securityContext": {"appArmorProfile": {"type": "Unconfined"}}},
        {"name": "b", "securityContext": {"appArmorProfile": {"type": "Localhost"}}}]});
    let prefix = "container.apparmor.security.beta.kubernetes.io/";
    let metadata = json!({"annotations": {format!("{prefix}b"): "unconfined", format!("{prefix}a"): "runtime/default",
        format!("{prefix}c"): "localhost/x", format!("{prefix}d"): "", "other": "unconfined"}});
    let control = "appArmorProfile";
    assert_eq!(
        says(control, Level::Baseline, &json!({}), &spec),
        (
            "forbidden AppArmor profile (pod and container \"a\" must not set AppArmor profile type to \"Unconfined\")"
                .to_owned(),
            vec![
                "spec.securityContext.appArmorProfile.type".to_owned(),
                "spec.containers[0].securityContext.appArmorProfile.type".to_owned()
            ]
        )
    );
    assert_eq!(
        says(control, Level::Restricted, &metadata, &spec).0,
        format!(
            "forbidden AppArmor profiles (pod and container \"a\" and annotation must not set AppArmor profile type to \"Unconfined\", \
             \"{prefix}b=\"unconfined\"\")"
        )
    );
    assert_eq!(
        says(control, Level::Baseline, &metadata, &json!({})).1,
        [format!("metadata.annotations[\"{prefix}b\"]")]
    );
}

#[test]
fn what_restricted_requires() {
    expect(
        Level::Restricted,
        &[
            (
                "allowPrivilegeEscalation",
                json!({"containers": [{"name": "a", "securityContext": {"allowPrivilegeEscalation": true}},
                    {"name": "b", "securityContext": {"allowPrivilegeEscalation": null}},
                    {"name": "c", "securityContext": {"allowPrivilegeEscalation": false}}]}),
                "allowPrivilegeEscalation != false (containers \"a\", \"b\" must set securityContext.allowPrivilegeEscalation=false)",
                &[
                    "spec.containers[0].securityContext.allowPrivilegeEscalation",
                    "spec.containers[1].securityContext.allowPrivilegeEscalation",
                ],
            ),
            (
                "capabilities_restricted",
                json!({"containers": [{"name": "a", "securityContext": {"capabilities": {"drop": ["all"]}}},
                    {"name": "b", "securityContext": {"capabilities": {"drop": ["KILL", "ALL"], "add": ["CHOWN", "NET_BIND_SERVICE"]}}}]}),
                "unrestricted capabilities (container \"a\" must set securityContext.capabilities.drop=[\"ALL\"]; \
                 container \"b\" must not include \"CHOWN\" in securityContext.capabilities.add)",
                &[
                    "spec.containers[0].securityContext.capabilities.drop",
                    "spec.containers[1].securityContext.capabilities.add",
                ],
            ),
            (
                "restrictedVolumes",
                json!({"volumes": [{"name": "a", "nfs": {}}, {"name": "b", "hostPath": {"path": "/"}}, {"name": "c", "hostPath": {}}]}),
                "restricted volume types (volumes \"a\", \"b\", \"c\" use restricted volume types \"hostPath\", \"nfs\")",
                &[
                    "spec.volumes[0].nfs",
                    "spec.volumes[1].hostPath",
                    "spec.volumes[2].hostPath",
                ],
            ),
            (
                "restrictedVolumes",
                json!({"volumes": [{"name": "a", "gitRepo": {}}]}),
                "restricted volume types (volume \"a\" uses restricted volume type \"gitRepo\")",
                &["spec.volumes[0].gitRepo"],
            ),
            // An API server makes an emptyDir of the last three.
            (
                "restrictedVolumes",
                json!({"volumes": [{"name": "1", "configMap": {}}, {"name": "2", "csi": {}}, {"name": "3", "downwardAPI": {}},
                    {"name": "4", "emptyDir": {}}, {"name": "5", "ephemeral": {}}, {"name": "6", "image": {}},
                    {"name": "7", "persistentVolumeClaim": {}}, {"name": "8", "projected": {}}, {"name": "9", "secret": {}},
                    {"name": "10"}, {"name": "11", "nfs": null}, {"name": "12", "hostPath": null, "emptyDir": null}]}),
                "",
                &[],
            ),
            (
                "runAsNonRoot",
                json!({"securityContext": {"runAsNonRoot": false}, "containers": [
                    {"name": "a", "securityContext": {"runAsNonRoot": false}}, {"name": "b", "securityContext": {"runAsNonRoot": true}}, {"name": "c"}]}),
                "runAsNonRoot != true (pod and container \"a\" must not set securityContext.runAsNonRoot=false)",
                &[
                    "spec.securityContext.runAsNonRoot",
                    "spec.containers[0].securityContext.runAsNonRoot",
                ],
            ),
            (
                "runAsNonRoot",
                json!({"containers": [{"name": "a", "securityContext": {"runAsNonRoot": true}}, {"name": "b"}], "initContainers": [{"name": "i"}]}),
                "runAsNonRoot != true (pod or containers \"i\", \"b\" must set securityContext.runAsNonRoot=true)",
                &[
                    "spec.initContainers[0].securityContext.runAsNonRoot",
                    "spec.containers[1].securityContext.runAsNonRoot",
                ],
            ),
            (
                "runAsNonRoot",
                json!({"securityContext": {"runAsNonRoot": true}, "containers": [{"name": "a", "securityContext": {"runAsNonRoot": null}}]}),
                "",
                &[],
            ),
            // A pod whose setting is overridden everywhere is still at fault for it.
            (
                "runAsNonRoot",
                json!({"securityContext": {"runAsNonRoot": false}, "containers": [{"name": "a", "securityContext": {"runAsNonRoot": true}}]}),
                "runAsNonRoot != true (pod must not set securityContext.runAsNonRoot=false)",
                &["spec.securityContext.runAsNonRoot"],
            ),
            (
                "runAsUser",
                json!({"securityContext": {"runAsUser": 0}, "containers": [{"name": "a", "securityContext": {"runAsUser": 0}},
                    {"name": "b", "securityContext": {"runAsUser": 185}}]}),
                "runAsUser=0 (pod and container \"a\" must not set runAsUser=0)",
                &[
                    "spec.securityContext.runAsUser",
                    "spec.containers[0].securityContext.runAsUser",
                ],
            ),
            ("runAsUser", with(json!({"runAsUser": null})), "", &[]),
            (
                "seccompProfile_restricted",
                json!({"securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}, "containers": [{"name": "a"},
                    {"name": "b", "securityContext": {"seccompProfile": {"type": "Unconfined"}}}]}),
                "seccompProfile (container \"b\" must not set securityContext.seccompProfile.type to \"Unconfined\")",
                &["spec.containers[1].securityContext.seccompProfile.type"],
            ),
            (
                "seccompProfile_restricted",
                json!({"containers": [{"name": "a", "securityContext": {"seccompProfile": {"type": "Localhost"}}}, {"name": "b"}]}),
                "seccompProfile (pod or container \"b\" must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")",
                &["spec.containers[1].securityContext.seccompProfile.type"],
            ),
            (
                "procMount_restricted",
                with(json!({"procMount": "Unmasked"})),
                "procMount (container \"c\" must not set securityContext.procMount to \"Unmasked\")",
                &["spec.containers[0].securityContext.procMount"],
            ),
        ],
    );
}

#[test]
fn every_control_is_shown_above_and_has_a_fix() {
    let shown = include_str!("tests.rs");
    for control in controls() {
        assert!(
            shown.contains(&format!("\"{}\"", control.id)),
            "{} has no case",
            control.id
        );
        assert!(!control.fix.is_empty());
    }
    assert_eq!(controls().count(), 19);
}

#[test]
fn shapes_that_are_no_pod_are_harmless() {
    for spec in [
        json!(null),
        json!(3),
        json!({"containers": {}}),
        json!({"containers": [null, 1, "a", {"ports": [7]}], "volumes": [null, "v"], "securityContext": []}),
        json!({"containers": [{"name": 5, "securityContext": {"capabilities": {"add": [1]}, "seccompProfile": "x"}}]}),
    ] {
        for level in [Level::Baseline, Level::Restricted] {
            for minor in 0..40 {
                check(level, Version::minor(minor), &json!({"annotations": [1]}), &spec);
            }
        }
    }
}
