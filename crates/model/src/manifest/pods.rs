//! The rules the driver and executor parts of an application must obey: memory, CPUs, volumes, names.

use crate::memory::{ByteUnit, Memory};
use crate::names;
use crate::quantity::Quantity;

use super::application::Check;
use super::nearest;
use super::node::{Node, join_index};
use stoke_diagnostics::Severity;

/// Spark refuses to start with less heap: 1.5 times the 300 MiB it reserves (`UnifiedMemoryManager`).
const LEAST_HEAP: u64 = 471_859_200;

impl Check<'_> {
    /// Checks one role's pod, `driver` or `executor`.
    pub(super) fn pod(&mut self, role: &str) {
        for field in ["memory", "memoryOverhead"] {
            let path = format!("{role}.{field}");
            let Some(text) = self.text(&path) else { continue };
            match Memory::parse(text, ByteUnit::Mib) {
                Err(error) => {
                    let help = error
                        .instead()
                        .map(|instead| format!("write `{instead}`"))
                        .unwrap_or_default();
                    self.at_value(Severity::Error, error.code(), &path, error.cause(), help);
                }
                Ok(memory)
                    if field == "memory"
                        && memory.bytes() < LEAST_HEAP
                        && self.conf("spark.testing.memory").is_none()
                        && self.conf("spark.testing.reservedMemory").is_none() =>
                {
                    let message = format!("Spark does not start with {memory} of heap; it needs at least 450m");
                    self.at_value(
                        Severity::Error,
                        "too-little-memory",
                        &path,
                        message,
                        "write `512m` or more",
                    );
                }
                Ok(_) => {}
            }
        }
        let path = format!("{role}.memoryLimit");
        if let Some(text) = self.text(&path)
            && let Err(error) = Memory::parse_limit(text)
        {
            self.at_value(Severity::Error, error.code(), &path, error.to_string(), "");
        }
        let request = self.cpu(&format!("{role}.coreRequest"));
        let limit = self.cpu(&format!("{role}.coreLimit"));
        let cores = self
            .whole(&format!("{role}.cores"))
            .filter(|cores| *cores > 0)
            .map(Quantity::from_units);
        match (request, cores, limit) {
            (Some(request), _, Some(limit)) if request > limit => {
                let message = format!(
                    "the request of {request} CPUs is above the limit of {limit}; Kubernetes refuses such a pod"
                );
                self.at_value(
                    Severity::Error,
                    "request-above-limit",
                    &format!("{role}.coreRequest"),
                    message,
                    "raise coreLimit, or lower coreRequest",
                );
            }
            (None, Some(cores), Some(limit)) if cores > limit => {
                let message = format!(
                    "`cores: {cores}` is requested and above the limit of {limit} CPUs; Kubernetes refuses such a pod"
                );
                self.at_value(
                    Severity::Error,
                    "request-above-limit",
                    &format!("{role}.coreLimit"),
                    message,
                    "raise coreLimit, or set coreRequest",
                );
            }
            _ => {}
        }
        let path = format!("{role}.gpu.quantity");
        if let Some(count) = self.whole(&path).filter(|count| *count < 1) {
            self.at_value(
                Severity::Error,
                "out-of-range",
                &path,
                format!("{count} GPUs cannot be asked for"),
                "remove `gpu`, or ask for at least 1",
            );
        }
        let path = format!("{role}.podName");
        if let Some(name) = self.text(&path)
            && let Err(error) = names::check_subdomain(name)
        {
            self.at_value(
                Severity::Error,
                error.code(),
                &path,
                format!("`{name}` cannot be the name of a pod: {error}"),
                "",
            );
        }
        self.volume_mounts(role);
        self.template_version(role);
    }

    fn cpu(&mut self, path: &str) -> Option<Quantity> {
        let text = self.text(path)?;
        match text.parse::<Quantity>() {
            Ok(quantity) if quantity.nanos() > 0 => Some(quantity),
            Ok(_) => {
                self.at_value(
                    Severity::Error,
                    "out-of-range",
                    path,
                    format!("`{text}` CPUs cannot be asked for"),
                    "",
                );
                None
            }
            Err(error) => {
                self.at_value(Severity::Error, error.code(), path, error.to_string(), "");
                None
            }
        }
    }

    fn volume_mounts(&mut self, role: &str) {
        // A pod template may bring volumes of its own.
        if self.spec.lookup(&format!("{role}.template")).is_some() {
            return;
        }
        let volumes: Vec<&str> = self
            .spec
            .get("volumes")
            .map(Node::items)
            .unwrap_or_default()
            .iter()
            .filter_map(|volume| volume.get("name").and_then(Node::as_str))
            .collect();
        let mounts = self
            .spec
            .lookup(&format!("{role}.volumeMounts"))
            .map(Node::items)
            .unwrap_or_default();
        for (index, mount) in mounts.iter().enumerate() {
            let Some(name) = mount.get("name").and_then(Node::as_str) else {
                continue;
            };
            if volumes.contains(&name) {
                continue;
            }
            let path = format!("{}.name", join_index(&format!("{role}.volumeMounts"), index));
            let help = match nearest(name, volumes.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("add a volume named `{name}` to `{}.volumes`", self.path),
            };
            self.at_value(
                Severity::Error,
                "unknown-volume",
                &path,
                format!("no volume is named `{name}`"),
                help,
            );
        }
    }

    fn template_version(&mut self, role: &str) {
        let major = self
            .text("sparkVersion")
            .and_then(|version| version.split('.').next())
            .and_then(|major| major.parse::<u32>().ok());
        let path = format!("{role}.template");
        if major.is_some_and(|major| major < 3) && self.spec.lookup(&path).is_some() {
            self.at_key(
                Severity::Error,
                "template-version",
                &path,
                "a pod template requires Spark 3.0.0 or later",
                "raise sparkVersion, or remove the template",
            );
        }
    }

    /// Checks the share of the heap that is added beside it.
    pub(super) fn overhead_factor(&mut self) {
        if let Some(text) = self.text("memoryOverheadFactor")
            && !text
                .trim()
                .parse::<f64>()
                .is_ok_and(|factor| factor.is_finite() && factor > 0.0)
        {
            self.at_value(
                Severity::Error,
                "bad-value",
                "memoryOverheadFactor",
                format!("`{text}` is not a share of the heap"),
                "write for example \"0.2\"",
            );
        }
    }
}
