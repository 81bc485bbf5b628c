//! The table of controls: which there are, at which level, and in which versions they changed.

use super::pod::{Found, Pod};
use super::version::{Level, Version};
use super::{baseline, restricted};

/// Looks at a pod; says what it found.
pub(super) type Check = fn(&Pod<'_>) -> Option<Found>;

pub(super) struct Control {
    pub id: &'static str,
    level: Level,
    /// Since which minor version it looks how, oldest first.
    versions: &'static [(u32, Check)],
    /// Controls of `baseline` that it stands for at `restricted`.
    overrides: &'static [&'static str],
    pub fix: &'static str,
}

/// A control of the standard, for lists and documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlInfo {
    /// Stable name, as in [`Violation::control`](super::Violation::control).
    pub id: &'static str,
    /// The lowest level that has it.
    pub level: Level,
    /// Since which version of the standard.
    pub since: Version,
    /// What to do about a violation.
    pub fix: &'static str,
}

/// In the order Kubernetes reports them: by level, then by name.
const CONTROLS: [Control; 19] = [
    Control {
        id: "appArmorProfile",
        level: Level::Baseline,
        versions: &[(0, baseline::app_armor)],
        overrides: &[],
        fix: "use the AppArmor profile RuntimeDefault or Localhost, or none",
    },
    Control {
        id: "capabilities_baseline",
        level: Level::Baseline,
        versions: &[(0, baseline::capabilities)],
        overrides: &[],
        fix: "remove the capabilities from capabilities.add",
    },
    Control {
        id: "hostNamespaces",
        level: Level::Baseline,
        versions: &[(0, baseline::host_namespaces)],
        overrides: &[],
        fix: "remove hostNetwork, hostPID and hostIPC",
    },
    Control {
        id: "hostPathVolumes",
        level: Level::Baseline,
        versions: &[(0, baseline::host_paths)],
        overrides: &[],
        fix: "use a PersistentVolumeClaim or emptyDir instead of hostPath",
    },
    Control {
        id: "hostPorts",
        level: Level::Baseline,
        versions: &[(0, baseline::host_ports)],
        overrides: &[],
        fix: "remove hostPort and reach the pod by a Service",
    },
    Control {
        id: "hostProbesAndHostLifecycle",
        level: Level::Baseline,
        versions: &[(34, baseline::probe_hosts)],
        overrides: &[],
        fix: "remove host from probes and lifecycle handlers: they then ask the pod itself",
    },
    Control {
        id: "privileged",
        level: Level::Baseline,
        versions: &[(0, baseline::privileged)],
        overrides: &[],
        fix: "remove privileged",
    },
    Control {
        id: "procMount",
        level: Level::Baseline,
        versions: &[
            (0, baseline::proc_mount),
            (35, baseline::proc_mount_outside_user_namespace),
        ],
        overrides: &[],
        fix: "remove procMount",
    },
    Control {
        id: "seLinuxOptions",
        level: Level::Baseline,
        versions: &[(0, baseline::selinux_1_0), (31, baseline::selinux_1_31)],
        overrides: &[],
        fix: "remove user and role from seLinuxOptions, and use a container type",
    },
    Control {
        id: "seccompProfile_baseline",
        level: Level::Baseline,
        versions: &[(0, baseline::seccomp_annotations), (19, baseline::seccomp)],
        overrides: &[],
        fix: "use the seccomp profile RuntimeDefault or Localhost, or none",
    },
    Control {
        id: "sysctls",
        level: Level::Baseline,
        versions: &[
            (0, baseline::sysctls_1_0),
            (27, baseline::sysctls_1_27),
            (29, baseline::sysctls_1_29),
            (32, baseline::sysctls_1_32),
            (37, baseline::sysctls_1_37),
        ],
        overrides: &[],
        fix: "remove the sysctls: they reach beyond the pod",
    },
    Control {
        id: "windowsHostProcess",
        level: Level::Baseline,
        versions: &[(0, baseline::host_process)],
        overrides: &[],
        fix: "remove windowsOptions.hostProcess",
    },
    Control {
        id: "allowPrivilegeEscalation",
        level: Level::Restricted,
        versions: &[(8, restricted::escalation), (25, restricted::escalation_of_linux)],
        overrides: &[],
        fix: "set allowPrivilegeEscalation: false in the securityContext of every container",
    },
    Control {
        id: "capabilities_restricted",
        level: Level::Restricted,
        versions: &[(22, restricted::capabilities), (25, restricted::capabilities_of_linux)],
        overrides: &["capabilities_baseline"],
        fix: "set capabilities.drop: [ALL] in every container, and add at most NET_BIND_SERVICE",
    },
    Control {
        id: "procMount_restricted",
        level: Level::Restricted,
        versions: &[(35, baseline::proc_mount)],
        overrides: &["procMount"],
        fix: "remove procMount",
    },
    Control {
        id: "restrictedVolumes",
        level: Level::Restricted,
        versions: &[(0, restricted::volumes)],
        overrides: &["hostPathVolumes"],
        fix: "use configMap, csi, downwardAPI, emptyDir, ephemeral, image, persistentVolumeClaim, projected or secret volumes",
    },
    Control {
        id: "runAsNonRoot",
        level: Level::Restricted,
        versions: &[
            (0, restricted::non_root),
            (35, restricted::non_root_outside_user_namespace),
        ],
        overrides: &[],
        fix: "set runAsNonRoot: true in the pod's securityContext",
    },
    Control {
        id: "runAsUser",
        level: Level::Restricted,
        versions: &[
            (23, restricted::root_user),
            (35, restricted::root_user_outside_user_namespace),
        ],
        overrides: &[],
        fix: "set runAsUser to a user other than 0, for Spark's images 185",
    },
    Control {
        id: "seccompProfile_restricted",
        level: Level::Restricted,
        versions: &[(19, restricted::seccomp), (25, restricted::seccomp_of_linux)],
        overrides: &["seccompProfile_baseline"],
        fix: "set seccompProfile.type: RuntimeDefault in the pod's securityContext",
    },
];

impl Control {
    /// How it looks in a version; `None` before it was introduced.
    fn check(&self, version: Version) -> Option<Check> {
        let mut newest_first = self.versions.iter().rev();
        let found = newest_first.find(|(minor, _)| version.since(*minor));
        found.map(|(_, check)| *check)
    }
}

/// The controls of a level in a version, in order.
pub(super) fn active(level: Level, version: Version) -> impl Iterator<Item = (&'static Control, Check)> {
    const ALL: &[Control] = &CONTROLS;
    let of_level = move |control: &&Control| control.level <= level;
    let overridden = move |id: &str| {
        let mut stronger = ALL.iter().filter(of_level);
        stronger.any(|control| control.overrides.contains(&id) && control.check(version).is_some())
    };
    ALL.iter()
        .filter(of_level)
        .filter(move |control| !overridden(control.id))
        .filter_map(move |control| Some((control, control.check(version)?)))
}

/// All controls of the standard, in the order they are reported.
pub fn controls() -> impl Iterator<Item = ControlInfo> {
    CONTROLS.iter().map(|control| ControlInfo {
        id: control.id,
        level: control.level,
        since: Version::minor(control.versions.first().map_or(0, |(minor, _)| *minor)),
        fix: control.fix,
    })
}
