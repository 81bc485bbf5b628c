//! Pod Security admission: what the published levels `baseline` and `restricted` forbid, and what a namespace's labels ask for.

use serde_json::Value;

use crate::apiserver::status::FieldError;

/// Prefix of the labels of a namespace that name levels.
const LABEL: &str = "pod-security.kubernetes.io/";
const LEVELS: [&str; 3] = ["privileged", "baseline", "restricted"];
/// Capabilities that `baseline` lets a container add.
const DEFAULT_CAPABILITIES: [&str; 13] = [
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
/// Kernel settings that concern only the pod.
const SAFE_SYSCTLS: [&str; 12] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
];
/// Volume types that `restricted` allows.
const RESTRICTED_VOLUMES: [&str; 8] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

/// What a mode (`enforce`, `warn`, `audit`) of a namespace says of a pod; `None` if it has nothing against it.
pub fn violation(namespace: &Value, mode: &str, metadata: &Value, spec: &Value) -> Option<String> {
    let labels = &namespace["metadata"]["labels"];
    let level = labels[format!("{LABEL}{mode}")].as_str().unwrap_or("privileged");
    let found = violations(level, metadata, spec);
    if found.is_empty() {
        return None;
    }
    let version = labels[format!("{LABEL}{mode}-version")].as_str().unwrap_or("latest");
    Some(format!(
        "violate PodSecurity \"{level}:{version}\": {}",
        found.join(", ")
    ))
}

/// Complaints about the labels of a namespace.
pub fn check_labels(namespace: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for mode in ["enforce", "audit", "warn"] {
        let key = format!("{LABEL}{mode}");
        let level = &namespace["metadata"]["labels"][&key];
        if level.as_str().is_some_and(|level| !LEVELS.contains(&level)) {
            let detail = "must be one of privileged, baseline, restricted";
            errors.push(FieldError::invalid(&format!("metadata.labels[{key}]"), level, detail));
        }
        let key = format!("{LABEL}{mode}-version");
        let version = &namespace["metadata"]["labels"][&key];
        let good = |text: &str| {
            text == "latest"
                || text
                    .strip_prefix("v1.")
                    .is_some_and(|minor| minor.parse::<u32>().is_ok())
        };
        if version.as_str().is_some_and(|text| !good(text)) {
            let detail = "must be \"latest\" or \"v1.x\"";
            errors.push(FieldError::invalid(&format!("metadata.labels[{key}]"), version, detail));
        }
    }
    errors
}

/// What of a pod a level forbids, in the published words.
pub fn violations(level: &str, metadata: &Value, spec: &Value) -> Vec<String> {
    let pod = Pod { metadata, spec };
    let restricted = level == "restricted";
    if level != "baseline" && !restricted {
        return Vec::new();
    }
    let baseline: [Option<String>; 11] = [
        pod.app_armor(),
        if restricted { None } else { pod.capabilities() },
        pod.host_namespaces(),
        if restricted { None } else { pod.host_paths() },
        pod.host_ports(),
        pod.privileged(),
        pod.proc_mount(),
        pod.selinux(),
        if restricted { None } else { pod.seccomp_baseline() },
        pod.sysctls(),
        pod.host_process(),
    ];
    let mut found: Vec<String> = baseline.into_iter().flatten().collect();
    if restricted {
        let checks = [
            pod.escalation(),
            pod.restricted_capabilities(),
            pod.restricted_volumes(),
            pod.non_root(),
            pod.root_user(),
            pod.seccomp_restricted(),
        ];
        found.extend(checks.into_iter().flatten());
    }
    found
}

struct Pod<'a> {
    metadata: &'a Value,
    spec: &'a Value,
}

/// `container "a"`, or `containers "a", "b"`.
fn named(word: &str, names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    let plural = if names.len() == 1 { "" } else { "s" };
    format!("{word}{plural} {}", quoted.join(", "))
}

fn told(title: &str, parts: &[String]) -> Option<String> {
    (!parts.is_empty()).then(|| format!("{title} ({})", parts.join("; ")))
}

impl<'a> Pod<'a> {
    fn containers(&self) -> impl Iterator<Item = &'a Value> {
        let lists = ["initContainers", "containers", "ephemeralContainers"];
        let spec = self.spec;
        lists
            .into_iter()
            .flat_map(move |list| spec[list].as_array().into_iter().flatten())
    }

    /// Names of containers whose security context satisfies a test.
    fn which(&self, test: impl Fn(&Value) -> bool) -> Vec<&'a str> {
        let matching = self
            .containers()
            .filter(|container| test(&container["securityContext"]));
        matching
            .map(|container| container["name"].as_str().unwrap_or_default())
            .collect()
    }

    fn context(&self) -> &'a Value {
        &self.spec["securityContext"]
    }

    fn volumes(&self) -> impl Iterator<Item = &'a Value> {
        self.spec["volumes"].as_array().into_iter().flatten()
    }

    fn windows(&self) -> bool {
        self.spec["os"]["name"] == "windows"
    }

    /// One complaint for the pod's own setting, one for the containers'.
    fn settings(&self, test: impl Fn(&Value) -> bool, verdict: &str) -> Vec<String> {
        let mut parts = Vec::new();
        if test(self.context()) {
            parts.push(format!("pod {verdict}"));
        }
        let names = self.which(&test);
        if !names.is_empty() {
            parts.push(format!("{} {verdict}", named("container", &names)));
        }
        parts
    }

    fn app_armor(&self) -> Option<String> {
        let forbidden = |context: &Value| context["appArmorProfile"]["type"] == "Unconfined";
        let mut parts = self.settings(forbidden, "must not set AppArmor profile type to \"Unconfined\"");
        for (key, value) in self.metadata["annotations"].as_object().into_iter().flatten() {
            let profile = value.as_str().unwrap_or_default();
            let fine = profile.is_empty() || profile == "runtime/default" || profile.starts_with("localhost/");
            if key.starts_with("container.apparmor.security.beta.kubernetes.io/") && !fine {
                parts.push(format!("{key}={profile:?}"));
            }
        }
        let plural = if parts.len() > 1 { "s" } else { "" };
        told(&format!("forbidden AppArmor profile{plural}"), &parts)
    }

    fn added(context: &Value) -> impl Iterator<Item = &str> {
        context["capabilities"]["add"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
    }

    fn capabilities_beyond(&self, allowed: &[&str]) -> Vec<String> {
        let beyond = |context: &Value| Self::added(context).any(|name| !allowed.contains(&name));
        let names = self.which(beyond);
        if names.is_empty() {
            return Vec::new();
        }
        let mut found: Vec<&str> = self
            .containers()
            .flat_map(|container| Self::added(&container["securityContext"]))
            .filter(|name| !allowed.contains(name))
            .collect();
        found.sort_unstable();
        found.dedup();
        let quoted: Vec<String> = found.iter().map(|name| format!("{name:?}")).collect();
        let who = named("container", &names);
        vec![format!(
            "{who} must not include {} in securityContext.capabilities.add",
            quoted.join(", ")
        )]
    }

    fn capabilities(&self) -> Option<String> {
        told(
            "non-default capabilities",
            &self.capabilities_beyond(&DEFAULT_CAPABILITIES),
        )
    }

    fn host_namespaces(&self) -> Option<String> {
        let set = ["hostNetwork", "hostPID", "hostIPC"]
            .into_iter()
            .filter(|name| self.spec[*name] == true);
        let set: Vec<String> = set.map(|name| format!("{name}=true")).collect();
        (!set.is_empty()).then(|| format!("host namespaces ({})", set.join(", ")))
    }

    fn host_paths(&self) -> Option<String> {
        let names: Vec<&str> = self
            .volumes()
            .filter(|volume| volume["hostPath"].is_object())
            .filter_map(|volume| volume["name"].as_str())
            .collect();
        (!names.is_empty()).then(|| format!("hostPath volumes ({})", named("volume", &names)))
    }

    fn host_ports(&self) -> Option<String> {
        let ports = |container: &Value| -> Vec<i64> {
            let ports = container["ports"].as_array().into_iter().flatten();
            ports
                .filter_map(|port| port["hostPort"].as_i64())
                .filter(|port| *port != 0)
                .collect()
        };
        let users: Vec<&Value> = self
            .containers()
            .filter(|container| !ports(container).is_empty())
            .collect();
        if users.is_empty() {
            return None;
        }
        let names: Vec<&str> = users
            .iter()
            .filter_map(|container| container["name"].as_str())
            .collect();
        let mut all: Vec<i64> = users.into_iter().flat_map(ports).collect();
        all.sort_unstable();
        all.dedup();
        let numbers: Vec<String> = all.iter().map(ToString::to_string).collect();
        let verb = if names.len() == 1 { "uses" } else { "use" };
        let plural = if numbers.len() == 1 { "" } else { "s" };
        Some(format!(
            "hostPort ({} {verb} hostPort{plural} {})",
            named("container", &names),
            numbers.join(", ")
        ))
    }

    fn privileged(&self) -> Option<String> {
        let names = self.which(|context| context["privileged"] == true);
        (!names.is_empty()).then(|| {
            format!(
                "privileged ({} must not set securityContext.privileged=true)",
                named("container", &names)
            )
        })
    }

    fn proc_mount(&self) -> Option<String> {
        let forbidden = |context: &Value| context["procMount"].as_str().is_some_and(|mount| mount != "Default");
        let names = self.which(forbidden);
        (!names.is_empty()).then(|| {
            format!(
                "procMount ({} must not set securityContext.procMount to \"Unmasked\")",
                named("container", &names)
            )
        })
    }

    fn selinux(&self) -> Option<String> {
        let types = [
            "",
            "container_t",
            "container_init_t",
            "container_kvm_t",
            "container_engine_t",
        ];
        let forbidden = |context: &Value| {
            let options = &context["seLinuxOptions"];
            let text = |field: &str| options[field].as_str().unwrap_or_default().to_owned();
            !types.contains(&text("type").as_str()) || !text("user").is_empty() || !text("role").is_empty()
        };
        told(
            "seLinuxOptions",
            &self.settings(forbidden, "set forbidden securityContext.seLinuxOptions"),
        )
    }

    fn seccomp_baseline(&self) -> Option<String> {
        let forbidden = |context: &Value| context["seccompProfile"]["type"] == "Unconfined";
        let verdict = "must not set securityContext.seccompProfile.type to \"Unconfined\"";
        told("seccompProfile", &self.settings(forbidden, verdict))
    }

    fn sysctls(&self) -> Option<String> {
        let set = self.context()["sysctls"].as_array().into_iter().flatten();
        let names = set.filter_map(|sysctl| sysctl["name"].as_str());
        let forbidden: Vec<&str> = names.filter(|name| !SAFE_SYSCTLS.contains(name)).collect();
        (!forbidden.is_empty()).then(|| format!("forbidden sysctls ({})", forbidden.join(", ")))
    }

    fn host_process(&self) -> Option<String> {
        let forbidden = |context: &Value| context["windowsOptions"]["hostProcess"] == true;
        told(
            "hostProcess",
            &self.settings(
                forbidden,
                "must not set securityContext.windowsOptions.hostProcess=true",
            ),
        )
    }

    fn escalation(&self) -> Option<String> {
        let names = self.which(|context| context["allowPrivilegeEscalation"] != false);
        (!names.is_empty() && !self.windows()).then(|| {
            let who = named("container", &names);
            format!("allowPrivilegeEscalation != false ({who} must set securityContext.allowPrivilegeEscalation=false)")
        })
    }

    fn restricted_capabilities(&self) -> Option<String> {
        if self.windows() {
            return None;
        }
        let drops_all = |context: &Value| {
            let mut drops = context["capabilities"]["drop"].as_array().into_iter().flatten();
            drops.any(|name| name == "ALL")
        };
        let mut parts = Vec::new();
        let names = self.which(|context| !drops_all(context));
        if !names.is_empty() {
            let who = named("container", &names);
            parts.push(format!("{who} must set securityContext.capabilities.drop=[\"ALL\"]"));
        }
        parts.extend(self.capabilities_beyond(&["NET_BIND_SERVICE"]));
        told("unrestricted capabilities", &parts)
    }

    fn restricted_volumes(&self) -> Option<String> {
        let mut names = Vec::new();
        let mut kinds = Vec::new();
        for volume in self.volumes() {
            let fields = volume.as_object().into_iter().flatten();
            let source = fields.map(|(field, _)| field.as_str()).find(|field| *field != "name");
            if let Some(kind) = source.filter(|kind| !RESTRICTED_VOLUMES.contains(kind)) {
                names.extend(volume["name"].as_str());
                if !kinds.contains(&kind) {
                    kinds.push(kind);
                }
            }
        }
        if names.is_empty() {
            return None;
        }
        let verb = if names.len() == 1 { "uses" } else { "use" };
        let who = named("volume", &names);
        Some(format!(
            "restricted volume types ({who} {verb} restricted volume {})",
            named("type", &kinds)
        ))
    }

    fn non_root(&self) -> Option<String> {
        let pod = &self.context()["runAsNonRoot"];
        let mut parts = Vec::new();
        if *pod == false {
            parts.push("pod must not set securityContext.runAsNonRoot=false".to_owned());
        }
        let wrong = self.which(|context| context["runAsNonRoot"] == false);
        if !wrong.is_empty() {
            parts.push(format!(
                "{} must not set securityContext.runAsNonRoot=false",
                named("container", &wrong)
            ));
        }
        if parts.is_empty() && *pod != true {
            let silent = self.which(|context| context["runAsNonRoot"].is_null());
            if !silent.is_empty() {
                let who = named("container", &silent);
                parts.push(format!("pod or {who} must set securityContext.runAsNonRoot=true"));
            }
        }
        told("runAsNonRoot != true", &parts)
    }

    fn root_user(&self) -> Option<String> {
        told(
            "runAsUser=0",
            &self.settings(|context| context["runAsUser"] == 0, "must not set runAsUser=0"),
        )
    }

    fn seccomp_restricted(&self) -> Option<String> {
        if self.windows() {
            return None;
        }
        let kind = |context: &Value| {
            context["seccompProfile"]["type"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        let good = |kind: &str| matches!(kind, "RuntimeDefault" | "Localhost");
        let bad = |context: &Value| !kind(context).is_empty() && !good(&kind(context));
        let mut parts = self.settings(
            bad,
            "must not set securityContext.seccompProfile.type to \"Unconfined\"",
        );
        if !good(&kind(self.context())) {
            let silent = self.which(|context| kind(context).is_empty());
            if !silent.is_empty() {
                let who = named("container", &silent);
                parts.push(format!(
                    "pod or {who} must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\""
                ));
            }
        }
        told("seccompProfile", &parts)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(level: &str, spec: Value) -> String {
        violations(level, &json!({}), &spec).join(", ")
    }

    fn with(context: Value) -> Value {
        json!({"containers": [{"name": "c", "securityContext": context}]})
    }

    #[test]
    fn a_plain_pod_under_each_level() {
        let plain = json!({"containers": [{"name": "c"}]});
        assert_eq!(found("privileged", plain.clone()), "");
        assert_eq!(found("baseline", plain.clone()), "");
        assert_eq!(
            found("restricted", plain),
            "allowPrivilegeEscalation != false (container \"c\" must set securityContext.allowPrivilegeEscalation=false), \
             unrestricted capabilities (container \"c\" must set securityContext.capabilities.drop=[\"ALL\"]), \
             runAsNonRoot != true (pod or container \"c\" must set securityContext.runAsNonRoot=true), \
             seccompProfile (pod or container \"c\" must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")"
        );
        let good = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
            "runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}});
        assert_eq!(found("restricted", with(good)), "");
    }

    #[test]
    fn what_baseline_forbids() {
        for (spec, expected) in [
            (
                json!({"containers": [], "hostNetwork": true, "hostPID": true}),
                "host namespaces (hostNetwork=true, hostPID=true)",
            ),
            (
                with(json!({"privileged": true})),
                "privileged (container \"c\" must not set securityContext.privileged=true)",
            ),
            (
                with(json!({"capabilities": {"add": ["NET_ADMIN", "CHOWN"]}})),
                "non-default capabilities (container \"c\" must not include \"NET_ADMIN\" in securityContext.capabilities.add)",
            ),
            (
                json!({"containers": [], "volumes": [{"name": "a", "hostPath": {}}, {"name": "b", "hostPath": {}}]}),
                "hostPath volumes (volumes \"a\", \"b\")",
            ),
            (
                json!({"containers": [{"name": "c", "ports": [{"hostPort": 80}, {"containerPort": 1}]}]}),
                "hostPort (container \"c\" uses hostPort 80)",
            ),
            (
                with(json!({"procMount": "Unmasked"})),
                "procMount (container \"c\" must not set securityContext.procMount to \"Unmasked\")",
            ),
            (
                json!({"containers": [], "securityContext": {"sysctls": [{"name": "kernel.msgmax"}, {"name": "net.ipv4.tcp_syncookies"}]}}),
                "forbidden sysctls (kernel.msgmax)",
            ),
            (
                json!({"containers": [], "securityContext": {"seccompProfile": {"type": "Unconfined"}}}),
                "seccompProfile (pod must not set securityContext.seccompProfile.type to \"Unconfined\")",
            ),
        ] {
            assert_eq!(found("baseline", spec), expected);
        }
    }

    #[test]
    fn labels_choose_the_level_and_are_checked() {
        let namespace = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "baseline",
            "pod-security.kubernetes.io/enforce-version": "v1.30", "pod-security.kubernetes.io/warn": "nonsense"}}});
        let spec = json!({"containers": [], "hostIPC": true});
        assert_eq!(
            violation(&namespace, "enforce", &json!({}), &spec).unwrap(),
            "violate PodSecurity \"baseline:v1.30\": host namespaces (hostIPC=true)"
        );
        assert_eq!(violation(&namespace, "audit", &json!({}), &spec), None);
        let errors = check_labels(&namespace);
        assert_eq!(
            errors[0].to_string(),
            "metadata.labels[pod-security.kubernetes.io/warn]: Invalid value: \"nonsense\": must be one of privileged, baseline, restricted"
        );
        assert_eq!(errors.len(), 1);
    }
}
