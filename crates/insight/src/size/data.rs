//! A size from the size of the data alone.

use std::str::FromStr;

use super::{LEAST_OVERHEAD, MOST_CORES, MOST_EXECUTORS, Options, PARTITION, Packing, SizeError, Sizing, driver, pack};
use stoke_model::units::people::{amount, bytes, counted, short};

/// A size of data, in bytes: more than nothing, up to 100 PB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DataSize(u64);

/// The largest: 100 PB.
const LARGEST: u64 = 100_000_000_000_000_000;

impl DataSize {
    /// Checks a number of bytes.
    ///
    /// # Errors
    /// 0, and more than 100 PB.
    pub fn of_bytes(bytes: u64) -> Result<DataSize, SizeError> {
        match bytes {
            0 => Err(SizeError::NoData),
            1..=LARGEST => Ok(DataSize(bytes)),
            _ => Err(SizeError::TooMuchData(stoke_model::units::people::bytes(bytes))),
        }
    }

    pub fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for DataSize {
    type Err = SizeError;

    /// Reads `500GB`, `1.5TiB`, `20T`, `1000000`. Units with an `i` are powers of 1024, those without of 1000, as on disks and in Kubernetes.
    fn from_str(text: &str) -> Result<DataSize, SizeError> {
        let wrong = || SizeError::Data(text.to_owned());
        let trimmed = text.trim();
        let digits = trimmed
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(trimmed.len());
        let (number, unit) = trimmed.split_at(digits);
        let number: f64 = number.parse().map_err(|_| wrong())?;
        let unit = unit.trim().to_ascii_lowercase();
        let (letter, base) = match unit.trim_end_matches('b') {
            "" => ("", 1000.0f64),
            other => match other.strip_suffix('i') {
                Some(letter) => (letter, 1024.0),
                None => (other, 1000.0),
            },
        };
        let power = ["", "k", "m", "g", "t", "p", "e"]
            .iter()
            .position(|known| *known == letter)
            .ok_or_else(wrong)?;
        let bytes = number * base.powi(power as i32);
        match bytes {
            _ if bytes > LARGEST as f64 => Err(SizeError::TooMuchData(text.trim().to_owned())),
            _ if number > 0.0 && bytes < 1.0 => Err(wrong()),
            _ => DataSize::of_bytes(bytes as u64),
        }
    }
}

/// Memory of an executor for each core, where no node says: what a partition needs several times over, with room.
const MEMORY_PER_CORE: u64 = 4 << 30;
/// How often a partition's bytes fit into its task's share of execution memory: rows in memory are several times larger than compressed
/// columns on disk. Ours.
const INFLATION: u64 = 4;
/// The share of the heap that tasks may use: `spark.memory.fraction`.
const FRACTION: f64 = 0.6;
/// What Spark sets aside of the heap before that.
const RESERVED: u64 = 300 << 20;
/// A heap above this collects its garbage too slowly. Ours.
const LARGEST_HEAP: u64 = 64 << 30;
/// The share of its cores that a pod asks for at the least, so that what a node keeps back costs no whole executor. Ours.
const LEAST_REQUEST: f64 = 0.9;
/// Tasks for each slot that keep all slots busy: two to three by the tuning guide.
const WAVES: u64 = 3;

/// The size of a run over so much data.
///
/// # Errors
/// Options that make no sense, nodes too small for an executor, more executors than one driver leads.
pub fn for_data(data: DataSize, options: &Options) -> Result<Sizing, SizeError> {
    options.check()?;
    let mut reasons = Vec::new();
    let Executor {
        cores,
        request,
        container,
        heap,
    } = executor(options, &mut reasons)?;
    let seconds = u64::from(options.within) * 60;
    let splits = data.bytes().div_ceil(PARTITION);
    let wanted = data.bytes().div_ceil(options.rate.saturating_mul(seconds)).max(1);
    let slots = wanted.min(splits);
    let executors = slots.div_ceil(cores.into()).max(1);
    if executors > MOST_EXECUTORS {
        return Err(SizeError::TooManyExecutors {
            executors,
            within: options.within,
        });
    }
    let executors = executors as u32;
    reasons.push(format!(
        "{}: {} at {}/s for each core within {} min takes {} (the rate is an assumption; `stoke size APP` measures it)",
        counted(executors, "executor"),
        bytes(data.bytes()),
        bytes(options.rate),
        options.within,
        counted(slots, "core")
    ));
    let all = u64::from(executors) * u64::from(cores);
    let partitions = splits.max(if splits >= all { all * WAVES } else { all.min(splits) });
    reasons.push(format!(
        "{}: {} each, 128 MiB at most (spark.sql.files.maxPartitionBytes), {} for each core",
        counted(partitions, "partition"),
        bytes(data.bytes() / partitions.max(1)),
        short(partitions as f64 / all as f64)
    ));
    let (driver_cores, driver_heap) = driver(partitions, executors);
    let packing = options
        .node
        .as_ref()
        .map(|node| {
            let reserve = node.reserve(options.daemonset_cpu, options.daemonset_memory);
            pack(node, reserve, request, container, executors)
        })
        .transpose()?;
    let share =
        u64::try_from(((heap.saturating_sub(RESERVED)) as f64 * FRACTION) as i64).unwrap_or(0) / u64::from(cores);
    let mut missing = Vec::new();
    if wanted > slots {
        missing.push(format!(
            "{} min are not enough: {} would be needed for {} of 128 MiB; smaller ones (spark.sql.files.maxPartitionBytes) let more cores work",
            options.within,
            counted(wanted, "core"),
            counted(splits, "partition")
        ));
    }
    if share < INFLATION * PARTITION {
        missing.push(format!(
            "each task has {} for a partition of up to 128 MiB on disk; if rows are wide, it spills: use more partitions or nodes with more memory for each core",
            bytes(share)
        ));
    }
    if options.node.is_none() {
        missing.push("the nodes: with --node-shape executors are cut so that they fill them".to_owned());
    }
    let sizing = Sizing {
        executors,
        cores,
        core_request: request,
        heap,
        overhead: container - heap,
        partitions,
        driver_cores,
        driver_heap,
        packing,
        reasons,
        missing,
        patch: serde_json::Value::Null,
    };
    Ok(sizing.with_patch(&options.spark_version))
}

/// An executor as it is cut out of a node.
struct Executor {
    cores: u32,
    request: u64,
    container: u64,
    heap: u64,
}

fn executor(options: &Options, reasons: &mut Vec<String>) -> Result<Executor, SizeError> {
    let Some(node) = &options.node else {
        let cores = options.cores.unwrap_or(4);
        let heap = u64::from(cores) * MEMORY_PER_CORE;
        reasons.push(format!(
            "{}, at most 5; {} for each core",
            counted(cores, "core"),
            bytes(MEMORY_PER_CORE)
        ));
        let container = heap + options.overhead(heap);
        return Ok(Executor {
            cores,
            request: u64::from(cores) * 1000,
            container,
            heap,
        });
    };
    let reserve = node.reserve(options.daemonset_cpu, options.daemonset_memory);
    // What pods may have of it; the smallest executor there is must fit.
    let room: Packing = pack(
        node,
        reserve,
        (1000.0 * LEAST_REQUEST) as u64,
        (1 << 30) + LEAST_OVERHEAD,
        1,
    )?;
    let candidates = match options.cores {
        Some(cores) => cores..=cores,
        None => 1..=MOST_CORES,
    };
    let best = candidates
        .filter_map(|cores| cut(&room, cores).map(|(fit, request)| (fit * cores, cores, fit, request)))
        .max();
    let Some((_, cores, fit, request)) = best else {
        let wanted = options.cores.unwrap_or(1);
        return Err(SizeError::NodeTooSmall {
            node: node.name.clone(),
            cores: amount(&short(room.allocatable_cpu as f64 / 1000.0), "core"),
            memory: bytes(room.allocatable_memory),
            wanted_cores: counted(wanted, "core"),
            wanted_memory: bytes((1 << 30) + LEAST_OVERHEAD),
        });
    };
    let heap = options
        .heap_in(room.allocatable_memory / u64::from(fit))
        .min(LARGEST_HEAP);
    reasons.push(format!(
        "{}, at most 5: {} of that size use {} of the node's {}",
        counted(cores, "core"),
        counted(fit, "executor"),
        fit * cores,
        counted(node.cores, "core")
    ));
    reasons.push(format!(
        "{} of heap: {} for pods of a node, by {fit}, less an overhead of {} (spark.kubernetes.memoryOverheadFactor {}, at least 384 MiB)",
        bytes(heap),
        bytes(room.allocatable_memory),
        bytes(options.overhead(heap)),
        options.factor()
    ));
    Ok(Executor {
        cores,
        request,
        container: heap + options.overhead(heap),
        heap,
    })
}

/// How many executors of so many cores a node takes, and what each asks for.
fn cut(room: &Packing, cores: u32) -> Option<(u32, u64)> {
    let by_memory = (room.allocatable_memory / ((1 << 30) + LEAST_OVERHEAD)) as u32;
    let fit = (room.node.cores / cores).min(by_memory);
    (1..=fit).rev().find_map(|fit| {
        let request = (room.allocatable_cpu / u64::from(fit)).min(u64::from(cores) * 1000) / 10 * 10;
        (request as f64 >= LEAST_REQUEST * f64::from(cores) * 1000.0).then_some((fit, request))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::size::NodeShape;

    fn options(node: &str) -> Options {
        Options {
            node: (!node.is_empty()).then(|| NodeShape::parse(node).expect("a shape")),
            spark_version: "4.1.4".to_owned(),
            ..Options::default()
        }
    }

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in [
            ("1TB", 1_000_000_000_000),
            ("1TiB", 1 << 40),
            ("1.5 GiB", 3 << 29),
            ("20k", 20_000),
            ("7", 7),
            ("100PB", LARGEST),
        ] {
            assert_eq!(text.parse::<DataSize>().map(DataSize::bytes), Ok(bytes), "{text}");
        }
        for (text, code) in [
            ("0", "no_data"),
            ("0TB", "no_data"),
            ("10EB", "too_much_data"),
            ("101PB", "too_much_data"),
            ("1e400", "data"),
            ("-1GB", "data"),
            ("TB", "data"),
            ("1.2.3GB", "data"),
            ("5 parsecs", "data"),
            ("", "data"),
            ("0.0001", "data"),
        ] {
            let error = text.parse::<DataSize>().expect_err(text);
            assert_eq!(error.code(), format!("stoke::insight::size::{code}"), "{text}");
        }
    }

    #[test]
    fn executors_fill_nodes() {
        for (node, cores, on_each) in [
            ("16x64Gi", 4, 4),
            ("n2-standard-8", 4, 2),
            ("m6i.8xlarge", 4, 8),
            ("4x16Gi", 4, 1),
            ("5x20Gi", 5, 1),
            ("Standard_E16s_v5", 4, 4),
        ] {
            let sizing = for_data("1TB".parse().expect("a size"), &options(node)).expect(node);
            let packing = sizing.packing.as_ref().expect("packed");
            assert_eq!(
                (sizing.cores, packing.executors),
                (cores, on_each),
                "{node}: {:#?}",
                sizing.lines()
            );
            // Nothing is promised that a node does not have.
            assert!(u64::from(packing.executors) * sizing.container() <= packing.allocatable_memory);
            assert!(u64::from(packing.executors) * sizing.core_request <= packing.allocatable_cpu);
            assert!(sizing.overhead >= LEAST_OVERHEAD && sizing.cores <= MOST_CORES);
        }
    }

    #[test]
    fn a_terabyte_has_a_size_and_its_patch() {
        let sizing = for_data("1TB".parse().expect("a size"), &options("16x64Gi")).expect("a size");
        // 10^12 bytes at 20 MiB/s in 30 min: 27 cores, 7 executors of 4.
        assert_eq!((sizing.executors, sizing.cores, sizing.partitions), (7, 4, 7451));
        let executor = &sizing.patch["spec"]["executor"];
        assert_eq!(
            (executor["instances"].as_u64(), executor["coreRequest"].as_str()),
            (Some(7), Some("3910m"))
        );
        assert_eq!(
            sizing.patch["spec"]["sparkConf"]["spark.sql.shuffle.partitions"],
            "7451"
        );
        // Python leaves less of the container to the heap.
        let python = Options {
            python: true,
            ..options("16x64Gi")
        };
        assert!(for_data("1TB".parse().expect("a size"), &python).expect("a size").heap < sizing.heap);
    }

    #[test]
    fn little_data_is_one_executor() {
        let sizing = for_data("5MB".parse().expect("a size"), &options("")).expect("a size");
        assert_eq!((sizing.executors, sizing.partitions), (1, 1));
    }

    #[test]
    fn time_that_is_too_short_is_said() {
        let options = Options {
            rate: 1000,
            within: 1,
            ..options("")
        };
        let sizing = for_data("1GB".parse().expect("a size"), &options).expect("a size");
        assert!(
            sizing.missing[0].contains("16,667 cores") && sizing.missing[0].contains("8 partitions"),
            "{:?}",
            sizing.missing
        );
    }

    #[test]
    fn nonsense_is_refused_with_what_to_do() {
        let much: DataSize = "100PB".parse().expect("a size");
        for (options, code) in [
            (
                Options {
                    cores: Some(0),
                    ..options("")
                },
                "cores",
            ),
            (
                Options {
                    cores: Some(6),
                    ..options("")
                },
                "cores",
            ),
            (
                Options {
                    cores: Some(5),
                    ..options("4x16Gi")
                },
                "node_too_small",
            ),
            (options("1x1Gi"), "node_too_small"),
            (
                Options {
                    within: 0,
                    ..options("")
                },
                "no_time",
            ),
            (Options { rate: 0, ..options("") }, "no_rate"),
            (
                Options {
                    within: 1,
                    ..options("")
                },
                "too_many_executors",
            ),
        ] {
            let error = for_data(much, &options).expect_err(code);
            assert_eq!(error.code(), format!("stoke::insight::size::{code}"), "{error}");
            assert!(
                error.to_string().contains("give") || error.to_string().contains("take"),
                "{error}"
            );
        }
    }
}
