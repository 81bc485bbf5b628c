//! What can go wrong when a sandbox starts, in words that name the cause and the fix.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Why a sandbox, or a command in one, did not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Error {
    /// The kernel refused user namespaces.
    #[error("this machine does not allow ordinary users to create namespaces ({step}: {cause}). {fix}")]
    NamespacesUnavailable {
        /// The system call or file that was refused.
        step: String,
        /// The kernel's answer.
        cause: String,
        /// What the administrator can do.
        fix: String,
    },
    /// A volume or directory could not be mounted.
    #[error("cannot mount {target}{}: {cause}", .source_path.as_ref().map(|s| format!(" from {}", s.display())).unwrap_or_default(), target = .target.display())]
    Mount {
        /// Where it belongs in the container.
        target: PathBuf,
        /// The host path, when the mount has one.
        source_path: Option<PathBuf>,
        /// The kernel's answer.
        cause: String,
    },
    /// The kernel does not lay a container's changes over this tree.
    #[error("overlayfs cannot be used for {}: {cause}", .tree.display())]
    Overlay {
        /// What was to lie below the changes.
        tree: PathBuf,
        /// The kernel's answer.
        cause: String,
    },
    /// The main command could not be executed. The wording is the one container runtimes use.
    #[error("exec: \"{program}\": {cause}")]
    Command {
        /// The first word of the command.
        program: String,
        /// Why, e.g. `executable file not found in $PATH`.
        cause: String,
    },
    /// The specification contradicts itself.
    #[error("invalid container specification: {0}")]
    Invalid(String),
    /// The container is gone.
    #[error("the container is not running")]
    Gone,
    /// Any other step of the start.
    #[error("{step}: {cause}")]
    Start {
        /// The step that failed.
        step: String,
        /// The kernel's answer.
        cause: String,
    },
}

impl Error {
    /// A stable word for logs, events and exit codes.
    pub fn code(&self) -> &'static str {
        match self {
            Error::NamespacesUnavailable { .. } => "NamespacesUnavailable",
            Error::Mount { .. } => "MountFailed",
            Error::Overlay { .. } => "OverlayUnavailable",
            Error::Command { .. } => "CommandNotExecutable",
            Error::Invalid(_) => "InvalidSpecification",
            Error::Gone => "ContainerGone",
            Error::Start { .. } => "StartFailed",
        }
    }

    /// An [`Error::Start`] of `step` from an input/output error.
    pub(crate) fn start(step: impl Into<String>, cause: impl Into<io::Error>) -> Error {
        Error::Start {
            step: step.into(),
            cause: plain(&cause.into()),
        }
    }

    /// An [`Error::NamespacesUnavailable`] of `step`, with the fix this machine needs.
    pub(crate) fn namespaces(step: &str, cause: impl Into<io::Error>) -> Error {
        let read = |path: &str| {
            std::fs::read_to_string(path)
                .map(|text| text.trim().to_owned())
                .unwrap_or_default()
        };
        Error::NamespacesUnavailable {
            step: step.to_owned(),
            cause: plain(&cause.into()),
            fix: namespace_fix(&NamespaceSettings {
                apparmor_restricts: read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1",
                maximum_is_zero: read("/proc/sys/user/max_user_namespaces") == "0",
                clone_disabled: read("/proc/sys/kernel/unprivileged_userns_clone") == "0",
                seccomp: read("/proc/self/status")
                    .lines()
                    .any(|line| line.starts_with("Seccomp:") && !line.ends_with('0')),
            }),
        }
    }
}

/// The settings of a machine that decide whether namespaces are allowed.
struct NamespaceSettings {
    apparmor_restricts: bool,
    maximum_is_zero: bool,
    clone_disabled: bool,
    seccomp: bool,
}

/// The command that lifts the restriction found.
fn namespace_fix(settings: &NamespaceSettings) -> String {
    if settings.apparmor_restricts {
        "AppArmor restricts them (Ubuntu 23.10 and later). Allow them with: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0".to_owned()
    } else if settings.maximum_is_zero {
        "They are switched off. Allow them with: sudo sysctl -w user.max_user_namespaces=15000".to_owned()
    } else if settings.clone_disabled {
        "They are switched off. Allow them with: sudo sysctl -w kernel.unprivileged_userns_clone=1".to_owned()
    } else if settings.seccomp {
        "This process runs under a seccomp filter, probably in a container that forbids them. Start that container with: \
         --security-opt seccomp=unconfined --security-opt apparmor=unconfined (or --privileged)"
            .to_owned()
    } else {
        "Check that the kernel has CONFIG_USER_NS and that no security module forbids unshare(2)".to_owned()
    }
}

/// The message of an operating-system error without the number Rust appends.
pub(crate) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_restriction_names_its_own_fix() {
        let none = || NamespaceSettings {
            apparmor_restricts: false,
            maximum_is_zero: false,
            clone_disabled: false,
            seccomp: false,
        };
        let table = [
            (
                NamespaceSettings {
                    apparmor_restricts: true,
                    ..none()
                },
                "kernel.apparmor_restrict_unprivileged_userns=0",
            ),
            (
                NamespaceSettings {
                    maximum_is_zero: true,
                    ..none()
                },
                "user.max_user_namespaces=15000",
            ),
            (
                NamespaceSettings {
                    clone_disabled: true,
                    ..none()
                },
                "kernel.unprivileged_userns_clone=1",
            ),
            (
                NamespaceSettings {
                    seccomp: true,
                    ..none()
                },
                "seccomp=unconfined",
            ),
            (none(), "CONFIG_USER_NS"),
        ];
        for (settings, expected) in table {
            assert!(namespace_fix(&settings).contains(expected), "{expected}");
        }
    }
}
