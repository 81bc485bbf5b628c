//! Security contexts of pods and containers.

use serde_json::{Value, json};

use super::{Complaints, items, text, words};
use crate::apimachinery::schema::Path;

/// What a Windows pod cannot say, of the pod and of a container.
const NOT_ON_WINDOWS: &[&str] = &[
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "capabilities",
    "readOnlyRootFilesystem",
    "privileged",
    "allowPrivilegeEscalation",
    "procMount",
    "runAsUser",
    "runAsGroup",
];
const NOT_ON_WINDOWS_PODS: &[&str] = &[
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "fsGroup",
    "fsGroupChangePolicy",
    "sysctls",
    "runAsUser",
    "runAsGroup",
    "supplementalGroups",
    "supplementalGroupsPolicy",
];

/// The pod's.
pub(super) fn check_pod(spec: &Value, at: &Path<'_>, said: &mut Complaints) {
    let context = &spec["securityContext"];
    for field in ["runAsUser", "runAsGroup", "fsGroup"] {
        said.identity(&at.field(field), &context[field]);
    }
    let groups = at.field("supplementalGroups");
    for (index, group) in items(&context["supplementalGroups"]) {
        said.identity(&groups.item(index), group);
    }
    let words = ["Always", "OnRootMismatch"];
    said.one_of(
        &at.field("fsGroupChangePolicy"),
        &context["fsGroupChangePolicy"],
        &words,
    );
    said.one_of(
        &at.field("supplementalGroupsPolicy"),
        &context["supplementalGroupsPolicy"],
        &["Merge", "Strict"],
    );
    said.one_of(
        &at.field("seLinuxChangePolicy"),
        &context["seLinuxChangePolicy"],
        &["Recursive"],
    );
    if spec["shareProcessNamespace"] == true && spec["hostPID"] == true {
        let detail = "ShareProcessNamespace and HostPID cannot both be enabled";
        said.invalid(&at.field("shareProcessNamespace"), true, detail);
    }
    let list = at.field("sysctls");
    let mut known = Vec::new();
    for (index, sysctl) in items(&context["sysctls"]) {
        let at = list.item(index).to_string();
        let at = Path::Start(&at);
        let at = at.field("name");
        let name = text(&sysctl["name"]);
        if name.is_empty() {
            said.required(&at, "");
        } else if !is_sysctl(name) {
            let detail = "must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
            said.invalid(&at, name, detail);
        } else if known.contains(&name) {
            said.duplicate(&at, name);
        } else {
            if spec["hostIPC"] == true && is_of_ipc(name) {
                said.invalid(&at, name, "may not be specified when 'hostIPC' is true");
            }
            if spec["hostNetwork"] == true && name.starts_with("net.") {
                said.invalid(&at, name, "may not be specified when 'hostNetwork' is true");
            }
        }
        known.push(name);
    }
    check_profiles(context, at, said);
    check_windows(&context["windowsOptions"], &at.field("windowsOptions"), said);
    if spec["os"]["name"] == "windows" {
        forbid(context, NOT_ON_WINDOWS_PODS, at, said);
        if !spec["shareProcessNamespace"].is_null() {
            said.forbidden(
                &Path::Start("spec.shareProcessNamespace"),
                "cannot be set for a windows pod",
            );
        }
    }
}

fn forbid(context: &Value, fields: &[&str], at: &Path<'_>, said: &mut Complaints) {
    for field in fields.iter().filter(|field| !context[**field].is_null()) {
        said.forbidden(&at.field(field), "cannot be set for a windows pod");
    }
}

fn is_sysctl(name: &str) -> bool {
    let part = |part: &str| {
        let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        edge(part.bytes().next()) && edge(part.bytes().next_back()) && part.bytes().all(inner)
    };
    name.len() <= 253 && name.split(['.', '/']).all(part)
}

fn is_of_ipc(name: &str) -> bool {
    name.starts_with("kernel.shm")
        || name.starts_with("kernel.msg")
        || name.starts_with("fs.mqueue.")
        || name == "kernel.sem"
}

fn check_profiles(context: &Value, at: &Path<'_>, said: &mut Complaints) {
    for (field, name) in [("seccompProfile", "seccomp"), ("appArmorProfile", "AppArmor")] {
        let profile = &context[field];
        if !profile.is_object() {
            continue;
        }
        let at = at.field(field);
        let kind = text(&profile["type"]);
        if kind.is_empty() {
            said.required(&at.field("type"), &format!("type is required when {field} is set"));
        } else {
            let kinds = ["Localhost", "RuntimeDefault", "Unconfined"];
            said.one_of(&at.field("type"), &json!(kind), &kinds);
        }
        let local = &profile["localhostProfile"];
        let place = at.field("localhostProfile");
        if kind == "Localhost" {
            if local.is_null() || field != "seccompProfile" && text(local).is_empty() {
                said.required(&place, &format!("must be set when {name} type is Localhost"));
            } else if field == "seccompProfile" {
                said.text(&place, text(local), words::inner_path(text(local)));
            }
        } else if !local.is_null() {
            let detail = format!("can only be set when {name} type is Localhost");
            let whole = json!({"Type": kind, "LocalhostProfile": local});
            let value = if field == "seccompProfile" {
                whole
            } else {
                local.clone()
            };
            said.invalid(&place, value, &detail);
        }
    }
}

/// Whom a container runs as on Windows: `DOMAIN\\USER`.
fn check_windows(options: &Value, at: &Path<'_>, said: &mut Complaints) {
    let Some(name) = options["runAsUserName"].as_str() else {
        return;
    };
    let at = at.field("runAsUserName");
    let (_, user) = name.split_once('\\').unwrap_or(("", name));
    if name.chars().any(char::is_control) {
        said.invalid(&at, name, "runAsUserName cannot contain control characters");
    } else if user.contains('\\') {
        said.invalid(&at, name, "runAsUserName cannot contain more than one backslash");
    } else if user.contains([
        '"', '/', ':', ';', '|', '=', ',', '+', '*', '?', '<', '>', '@', '[', ']',
    ]) {
        let detail = "runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]";
        said.invalid(&at, name, detail);
    }
}

/// A container's.
pub(super) fn check_container(context: &Value, spec: &Value, at: &Path<'_>, said: &mut Complaints) {
    if !context.is_object() {
        return;
    }
    for field in ["runAsUser", "runAsGroup"] {
        said.identity(&at.field(field), &context[field]);
    }
    said.one_of(&at.field("procMount"), &context["procMount"], &["Default", "Unmasked"]);
    if context["procMount"] == "Unmasked" && spec["hostUsers"] != false {
        let detail = "`hostUsers` must be false to use `Unmasked`";
        said.invalid(&at.field("procMount"), "Unmasked", detail);
    }
    check_profiles(context, at, said);
    check_windows(&context["windowsOptions"], &at.field("windowsOptions"), said);
    if context["allowPrivilegeEscalation"] == false {
        if context["privileged"] == true {
            let detail = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
            said.invalid(at, shown(context), detail);
        }
        let more = items(&context["capabilities"]["add"]);
        for (_, name) in more.filter(|(_, name)| *name == "CAP_SYS_ADMIN") {
            let detail = format!(
                "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` {}",
                text(name)
            );
            said.invalid(at, shown(context), &detail);
        }
    }
    if spec["os"]["name"] == "windows" {
        forbid(context, NOT_ON_WINDOWS, at, said);
    }
}

/// The whole context as the real server writes it.
fn shown(context: &Value) -> Value {
    let of = |field: &str, names: &[&str]| -> Value {
        let inner = &context[field];
        if !inner.is_object() {
            return Value::Null;
        }
        let fields = names.iter().map(|name| {
            let first: String = name.chars().take(1).collect::<String>().to_uppercase();
            (format!("{first}{}", &name[1..]), inner[*name].clone())
        });
        Value::Object(fields.collect())
    };
    json!({
        "Capabilities": of("capabilities", &["add", "drop"]),
        "Privileged": context["privileged"],
        "SELinuxOptions": of("seLinuxOptions", &["user", "role", "type", "level"]),
        "WindowsOptions": of("windowsOptions", &["gmsaCredentialSpecName", "gmsaCredentialSpec", "runAsUserName", "hostProcess"]),
        "RunAsUser": context["runAsUser"],
        "RunAsGroup": context["runAsGroup"],
        "RunAsNonRoot": context["runAsNonRoot"],
        "ReadOnlyRootFilesystem": context["readOnlyRootFilesystem"],
        "AllowPrivilegeEscalation": context["allowPrivilegeEscalation"],
        "ProcMount": context["procMount"],
        "SeccompProfile": of("seccompProfile", &["type", "localhostProfile"]),
        "AppArmorProfile": of("appArmorProfile", &["type", "localhostProfile"]),
    })
}
