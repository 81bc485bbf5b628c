//! Executors: cores, memory, GPUs, how many.

use serde_json::json;
use stoke_model::memory::{ByteUnit, Memory};
use stoke_model::quantity::Quantity;

use super::connect::Server;
use super::values::{Scalar, Values};
use crate::report::Report;

/// Least memory outside of the heap, and its share of the heap, as Spark has them.
pub(super) const LEAST_OVERHEAD_MIB: u64 = 384;
const OVERHEAD_SHARE: u64 = 10;
/// Spark does not start with less heap.
const LEAST_HEAP_MIB: u64 = 471;

/// What is wrong with a quantity, and its fix.
pub(super) type Wrong = (String, &'static str);

/// The cores that Spark counts of a CPU request: whole ones, one at least.
pub(super) fn whole_cores(text: &str) -> Result<u64, Wrong> {
    match text.parse::<Quantity>() {
        Ok(cores) => Ok(cores.millicores().div_ceil(1000).max(1)),
        Err(error) => Err((format!("{text}: {error}"), "write a quantity such as 2 or 500m")),
    }
}

/// Heap and what Spark adds outside of it, in MiB, that together fill the container of a driver.
pub(super) fn driver_memory(text: &str) -> Result<(u64, u64), Wrong> {
    let bytes: Quantity = text
        .parse()
        .map_err(|error| (format!("{text}: {error}"), "write a quantity such as 4Gi"))?;
    let mib = bytes.bytes() >> 20;
    let overhead = LEAST_OVERHEAD_MIB.max(mib.div_ceil(OVERHEAD_SHARE + 1));
    let heap = mib.saturating_sub(overhead);
    match heap < LEAST_HEAP_MIB {
        true => Err((
            format!("{text} leaves {heap} MiB of heap, and Spark does not start with less than {LEAST_HEAP_MIB} MiB"),
            "give the server 1Gi at least",
        )),
        false => Ok((heap, overhead)),
    }
}

impl Server {
    pub(super) fn executors(&mut self, values: &Values<'_>, roots: &[String], report: &mut Report) {
        let mut roots: Vec<String> = roots.iter().rev().map(|root| format!("{root}.executor")).collect();
        roots.insert(0, "executor".to_owned());
        for root in roots {
            let part = |key: &str| values.text(&format!("{root}.{key}"));
            if let Some(cores) = part("cores") {
                match cores.text.parse::<u32>() {
                    Ok(count) if count > 0 => {
                        self.executor.insert("cores".to_owned(), json!(count));
                    }
                    _ => report.lost(
                        cores.place,
                        &cores.path,
                        format!("{}: Spark counts whole cores", cores.text),
                        "write 1 or more",
                    ),
                }
            }
            if let Some(limit) = part("coresLimit") {
                self.executor.insert("coreLimit".to_owned(), json!(limit.text));
            }
            if let Some(instances) = part("instances").and_then(|instances| instances.text.parse::<u32>().ok()) {
                self.executor.insert("instances".to_owned(), json!(instances));
            }
            self.memory(part("memory"), part("memoryLimit"), part("memoryOverhead"), report);
            self.gpu(values, &root, report);
        }
    }

    /// `8Gi` of a container's manifest means `8g` of heap to Spark, with its overhead.
    fn memory(&mut self, memory: Option<Scalar>, limit: Option<Scalar>, overhead: Option<Scalar>, report: &mut Report) {
        let mib = |scalar: &Scalar| -> Result<u64, String> {
            match Memory::parse(&scalar.text, ByteUnit::Byte) {
                Ok(memory) => Ok(memory.mib()),
                Err(_) => scalar
                    .text
                    .parse::<Quantity>()
                    .map(|bytes| bytes.bytes() >> 20)
                    .map_err(|error| error.to_string()),
            }
        };
        let mut read = |scalar: Option<Scalar>| {
            let scalar = scalar?;
            match mib(&scalar) {
                Ok(amount) if amount > 0 => Some((scalar, amount)),
                Ok(_) => {
                    report.lost(
                        scalar.place,
                        &scalar.path,
                        format!("{} is less than 1 MiB", scalar.text),
                        "write a size such as 8Gi",
                    );
                    None
                }
                Err(error) => {
                    report.lost(
                        scalar.place,
                        &scalar.path,
                        format!("{}: {error}", scalar.text),
                        "write a size such as 8Gi",
                    );
                    None
                }
            }
        };
        let (memory, limit, overhead) = (read(memory), read(limit), read(overhead));
        let Some((scalar, heap)) = memory else {
            for (scalar, _) in [limit, overhead].into_iter().flatten() {
                report.lost(
                    scalar.place,
                    &scalar.path,
                    "what is outside of the heap is not known without `memory`",
                    "add `memory: 4Gi`",
                );
            }
            return;
        };
        let sparks = LEAST_OVERHEAD_MIB.max(heap / OVERHEAD_SHARE);
        let outside = match (&overhead, &limit) {
            (Some((scalar, amount)), _) => {
                report.changed(
                    scalar.place,
                    &scalar.path,
                    "`memoryOverhead` did nothing in the kit; now it is memory outside of the heap",
                    "",
                );
                *amount
            }
            (None, Some((scalar, most))) if *most >= heap + LEAST_OVERHEAD_MIB => {
                report.changed(
                    scalar.place,
                    &scalar.path,
                    format!(
                        "the limit leaves {}m outside of the heap, which becomes the overhead",
                        most - heap
                    ),
                    "",
                );
                most - heap
            }
            (None, Some((scalar, _))) => {
                let message = format!(
                    "{} leaves less than {LEAST_OVERHEAD_MIB} MiB outside of {heap} MiB of heap; the pod gets {sparks}m more",
                    scalar.text
                );
                report.changed(scalar.place, &scalar.path, message, "");
                sparks
            }
            (None, None) => sparks,
        };
        let shown = if heap % 1024 == 0 {
            format!("{}g", heap / 1024)
        } else {
            format!("{heap}m")
        };
        report.changed(
            scalar.place,
            &scalar.path,
            format!("`{}` did not set the heap in the kit: it becomes spark.executor.memory={shown}, with {outside}m outside of it", scalar.text),
            "",
        );
        self.executor.insert("memory".to_owned(), json!(shown));
        self.executor
            .insert("memoryOverhead".to_owned(), json!(format!("{outside}m")));
    }

    fn gpu(&mut self, values: &Values<'_>, root: &str, report: &mut Report) {
        let path = format!("{root}.gpu");
        if values.look(&path).is_none() {
            return;
        }
        if !values.flag(&format!("{path}.enabled")) {
            values.take(&path);
            return;
        }
        let part = |key: &str| values.text(&format!("{path}.{key}"));
        let count = part("count").or_else(|| part("amount")).or_else(|| part("quantity"));
        self.set(
            "spark.executor.resource.gpu.amount",
            &count.map_or_else(|| "1".to_owned(), |count| count.text),
        );
        let vendor = part("vendor").map_or_else(
            || "nvidia.com".to_owned(),
            |vendor| vendor.text.trim_end_matches("/gpu").to_owned(),
        );
        self.set("spark.executor.resource.gpu.vendor", &vendor);
        let script = part("discoveryScript").map(|script| script.text);
        if script.is_none() {
            let message = "executors find their GPU by a script, and the values name none: Spark's own is taken";
            report.changed(values.place(&path), &path, message, "");
        }
        self.set(
            "spark.executor.resource.gpu.discoveryScript",
            script
                .as_deref()
                .unwrap_or("/opt/spark/examples/src/main/scripts/getGpusResources.sh"),
        );
        let amount = part("taskAmount").map_or_else(|| "1".to_owned(), |amount| amount.text);
        self.set("spark.task.resource.gpu.amount", &amount);
    }

    pub(super) fn allocation(&mut self, values: &Values<'_>, paths: &[String], report: &mut Report) {
        let first = |key: &str| {
            paths
                .iter()
                .filter_map(|path| values.text(&format!("{path}.{key}")))
                .collect::<Vec<_>>()
                .into_iter()
                .next()
        };
        let enabled = first("enabled");
        let bounds: Vec<(&str, Scalar)> = [
            "initialExecutors",
            "minExecutors",
            "maxExecutors",
            "initial",
            "min",
            "max",
        ]
        .into_iter()
        .filter_map(|key| Some((key, first(key)?)))
        .collect();
        if enabled.as_ref().is_none_or(|enabled| enabled.text != "true") {
            for (_, scalar) in bounds {
                report.idle(
                    scalar.place,
                    &scalar.path,
                    "dynamic allocation is off: its bounds do nothing",
                    "add `enabled: true`",
                );
            }
            return;
        }
        self.allocation.insert("enabled".to_owned(), json!(true));
        for (key, scalar) in bounds {
            let field = match key {
                "initial" => "initialExecutors",
                "min" => "minExecutors",
                "max" => "maxExecutors",
                field => field,
            };
            match scalar.text.parse::<u32>() {
                Ok(count) => {
                    self.allocation.entry(field).or_insert(json!(count));
                }
                Err(_) => report.lost(
                    scalar.place,
                    &scalar.path,
                    format!("{} is not a number of executors", scalar.text),
                    "write a whole number",
                ),
            }
        }
        if self.executor.shift_remove("instances").is_some() {
            report.changed(
                values.place("connect.executor"),
                "connect.executor.instances",
                "with dynamic allocation a fixed number of executors contradicts itself: it is left out",
                "",
            );
        }
    }
}
