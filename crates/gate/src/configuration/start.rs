//! Configurations with which Spark does not start, and those that cannot work on Kubernetes.
//!
//! Each rule names where Spark refuses; `tests/trials/refused.rs` starts real Sparks with each.

use stoke_model::duration::TimeUnit;
use stoke_model::memory::{ByteUnit, Memory};
use stoke_model::units::people::counted;

use super::{Conf, DYNAMIC, ERROR, Mistake, Rule, SERVICE, TRACKING, WARNING, mistake};

const HEARTBEAT: &str = "spark.executor.heartbeatInterval";
const NETWORK_TIMEOUT: &str = "spark.network.timeout";
const TIMEOUT_INTERVAL: &str = "spark.network.timeoutInterval";
const BLOCK_MANAGER_TIMEOUT: &str = "spark.storage.blockManagerHeartbeatTimeoutMs";
/// The largest heap that Spark does not take: 1.5 times the 300 MiB it reserves.
const LEAST_HEAP: Memory = Memory::from_mib(450);

pub(super) const RULES: [Rule; 23] = [
    // Spark's ExternalShuffleService is a part of YARN's node manager and of standalone workers; on Kubernetes nothing starts one.
    ("conf-shuffle-service", ERROR, |conf| {
        if !conf.is(SERVICE, "true") {
            return None;
        }
        mistake(
            SERVICE,
            "there is no external shuffle service on Kubernetes: executors fail to register with it",
            format!("remove it; for dynamic allocation set {TRACKING}=true"),
        )
    }),
    // ExecutorAllocationManager.validateSettings
    ("conf-dynamic-range", ERROR, |conf| {
        let key = "spark.dynamicAllocation.minExecutors";
        let (least, most) = (conf.number(key)?, conf.number("spark.dynamicAllocation.maxExecutors")?);
        if least <= most || most == 0 || !conf.is(DYNAMIC, "true") {
            return None;
        }
        mistake(
            key,
            format!(
                "at least {} and at most {most}: Spark refuses to start",
                counted(least, "executor")
            ),
            format!("set it to {most} or less"),
        )
    }),
    ("conf-dynamic-initial", WARNING, |conf| {
        let key = "spark.dynamicAllocation.initialExecutors";
        let (initial, most) = (conf.number(key)?, conf.number("spark.dynamicAllocation.maxExecutors")?);
        if initial <= most || most == 0 || !conf.is(DYNAMIC, "true") {
            return None;
        }
        mistake(
            key,
            format!("{} at the start, {most} at most", counted(initial, "executor")),
            format!("set it to {most} or less"),
        )
    }),
    // ExecutorAllocationManager.validateSettings; tracking is on by default since 3.4.
    ("conf-dynamic-no-shuffle", ERROR, |conf| {
        let decommission = conf.is("spark.decommission.enabled", "true")
            && conf.is("spark.storage.decommission.shuffleBlocks.enabled", "true");
        let other = conf.get("spark.shuffle.sort.io.plugin.class").is_some() || conf.is(SERVICE, "true");
        if !conf.is(DYNAMIC, "true") || !conf.is(TRACKING, "false") || decommission || other {
            return None;
        }
        mistake(
            TRACKING,
            "with dynamic allocation shuffle files must outlive executors, and nothing keeps them: Spark refuses to start",
            "remove it; it is on by default",
        )
    }),
    ("conf-dynamic-value", ERROR, dynamic_value),
    ("conf-heartbeat", ERROR, |conf| {
        // Without a unit the one is in milliseconds, the other in seconds.
        let heartbeat = seconds(conf, HEARTBEAT, 10.0, TimeUnit::Millisecond)?;
        let timeout = seconds(conf, NETWORK_TIMEOUT, 120.0, TimeUnit::Second)?;
        if heartbeat < timeout {
            return None;
        }
        let key = if conf.get(HEARTBEAT).is_some() {
            HEARTBEAT
        } else {
            NETWORK_TIMEOUT
        };
        mistake(
            key,
            format!(
                "executors send a heartbeat every {heartbeat} s and are given up after {timeout} s without one: Spark refuses to start"
            ),
            format!("keep {HEARTBEAT} well below {NETWORK_TIMEOUT}"),
        )
    }),
    // HeartbeatReceiver: how often it looks, and how long it waits.
    ("conf-heartbeat-check", ERROR, |conf| {
        let interval = seconds(conf, TIMEOUT_INTERVAL, 60.0, TimeUnit::Millisecond)?;
        let network = seconds(conf, NETWORK_TIMEOUT, 120.0, TimeUnit::Second)?;
        let timeout = seconds(conf, BLOCK_MANAGER_TIMEOUT, network, TimeUnit::Millisecond)?;
        let heartbeat = seconds(conf, HEARTBEAT, 10.0, TimeUnit::Millisecond)?;
        let key = [TIMEOUT_INTERVAL, BLOCK_MANAGER_TIMEOUT, NETWORK_TIMEOUT]
            .into_iter()
            .find(|key| conf.get(key).is_some())?;
        // Heartbeats that are too far apart are told of already.
        if interval <= timeout || heartbeat >= network {
            return None;
        }
        mistake(
            key,
            format!(
                "Spark looks for lost executors every {interval} s and gives one up after {timeout} s: the interval must not be longer than the timeout, so Spark refuses to start"
            ),
            format!("keep {TIMEOUT_INTERVAL} (60s) at or below {NETWORK_TIMEOUT}"),
        )
    }),
    // SparkContext.createTaskScheduler
    ("conf-cores-per-task", ERROR, |conf| {
        let key = "spark.task.cpus";
        let per_task = conf.number(key)?;
        if per_task < 1 {
            return mistake(
                key,
                format!("{per_task} is not a number of cores for a task: Spark refuses to start"),
                "leave it at 1",
            );
        }
        // Spark on Kubernetes gives an executor one core where nothing is said.
        let cores = conf
            .number("spark.executor.cores")
            .or((conf.is_whole() && conf.get("spark.executor.cores").is_none()).then_some(1))?;
        if per_task <= cores {
            return None;
        }
        mistake(
            key,
            format!(
                "a task takes {} and an executor has {cores}: Spark refuses to start",
                counted(per_task, "core")
            ),
            format!("set it to {cores} or less"),
        )
    }),
    ("conf-memory-fractions", ERROR, |conf| {
        let fraction = conf.fraction("spark.memory.fraction")?;
        if fraction > 0.0 && fraction <= 1.0 {
            return None;
        }
        mistake(
            "spark.memory.fraction",
            format!("{fraction} is not a share of the heap: Spark refuses to start"),
            "leave it at 0.6",
        )
    }),
    ("conf-off-heap-size", ERROR, |conf| {
        let unset = conf.get("spark.memory.offHeap.size").is_none_or(|size| size == "0");
        if !conf.is("spark.memory.offHeap.enabled", "true") || !unset {
            return None;
        }
        mistake(
            "spark.memory.offHeap.enabled",
            "off-heap memory is on and has no size: Spark refuses to start",
            "set spark.memory.offHeap.size, for example 1g",
        )
    }),
    // UnifiedMemoryManager.getMaxMemory. A driver measures its heap itself, and the fields of a manifest are judged with it.
    ("conf-little-memory", ERROR, |conf| {
        let key = "spark.executor.memory";
        let pair = conf.pairs.get(key)?;
        // Without a unit Spark's executor takes MiB, and this check bytes.
        let memory = conf.memory(key, ByteUnit::Byte)?;
        let in_field = conf.is_whole() && !pair.path.contains("sparkConf");
        if memory >= LEAST_HEAP || in_field || conf.get("spark.testing.reservedMemory").is_some() {
            return None;
        }
        mistake(
            key,
            format!(
                "Spark needs 450m of heap and takes this for {}: it refuses to start",
                counted(memory.bytes(), "byte")
            ),
            "write 512m or more, with its unit",
        )
    }),
    // SparkConf.validateSettings
    ("conf-encryption", ERROR, |conf| {
        let keys = [
            "spark.network.crypto.enabled",
            "spark.authenticate.enableSaslEncryption",
        ];
        let key = keys.into_iter().find(|key| conf.is(key, "true"))?;
        if conf.is("spark.authenticate", "true") || !(conf.is_whole() || conf.get("spark.authenticate").is_some()) {
            return None;
        }
        mistake(
            key,
            "traffic is encrypted only between those who authenticate: Spark refuses to start",
            "set spark.authenticate=true",
        )
    }),
    // SparkConf.validateSettings
    ("conf-java-options", ERROR, |conf| {
        let key = "spark.executor.extraJavaOptions";
        let options = conf.get(key)?;
        if options.contains("-Xmx") {
            return mistake(
                key,
                "`-Xmx` has no place here: Spark refuses to start",
                "set the memory of executors instead",
            );
        }
        if options.contains("-Dspark") {
            return mistake(
                key,
                "keys of Spark have no place here: Spark refuses to start",
                "write them as keys of their own",
            );
        }
        None
    }),
    // KryoSerializer, which every Spark makes, whatever spark.serializer says.
    ("conf-kryo-buffer", ERROR, |conf| {
        let units = [
            ("spark.kryoserializer.buffer", ByteUnit::Kib),
            ("spark.kryoserializer.buffer.max", ByteUnit::Mib),
        ];
        units.into_iter().find_map(|(key, unit)| {
            if conf.memory(key, unit)?.mib() < 2048 {
                return None;
            }
            mistake(
                key,
                "a buffer is smaller than 2 GiB: Spark refuses to start",
                "set it to 2047m or less",
            )
        })
    }),
    ("conf-task-resources", ERROR, task_resources),
    ("conf-resource-amount", ERROR, |conf| {
        let key = conf.pairs.keys().find(|key| {
            let rest = ["spark.executor.resource.", "spark.driver.resource."]
                .iter()
                .find_map(|start| key.strip_prefix(start));
            let resource = rest.and_then(|rest| rest.strip_suffix(".vendor").or(rest.strip_suffix(".discoveryScript")));
            let amount = |resource| {
                format!(
                    "{}.amount",
                    &key[..key.len() - rest.unwrap_or_default().len() + str::len(resource)]
                )
            };
            resource.is_some_and(|resource| conf.get(&amount(resource)).is_none())
        })?;
        if !conf.is_whole() {
            return None;
        }
        mistake(
            key.clone(),
            "the amount of this resource is not set: Spark refuses to start",
            "set its `amount`",
        )
    }),
    // TaskSchedulerImpl schedules at that rate; RpcTimeout gives up at once.
    ("conf-no-time", ERROR, |conf| {
        let asked = (
            "spark.rpc.askTimeout",
            TimeUnit::Second,
            "Spark waits for no answer of its own parts",
        );
        let mut speculation = None;
        if conf.is("spark.speculation", "true") {
            speculation = Some((
                "spark.speculation.interval",
                TimeUnit::Millisecond,
                "Spark cannot look at tasks all the time",
            ));
        }
        let cleaner = (
            "spark.cleaner.periodicGC.interval",
            TimeUnit::Second,
            "Spark cannot collect garbage all the time",
        );
        [Some(asked), speculation, Some(cleaner)]
            .into_iter()
            .flatten()
            .find_map(|(key, unit, why)| {
                if conf.seconds(key, unit)? > 0.0 {
                    return None;
                }
                mistake(key, format!("{why}: it refuses to start"), "write a time above zero")
            })
    }),
    // Utils.startServiceOnPort
    ("conf-port", ERROR, |conf| {
        let keys = [
            "spark.driver.port",
            "spark.blockManager.port",
            "spark.driver.blockManager.port",
            "spark.ui.port",
        ];
        keys.into_iter().find_map(|key| {
            let port = conf.number(key)?;
            if port == 0
                || (1024..=65535).contains(&port)
                || (key == "spark.ui.port" && conf.is("spark.ui.enabled", "false"))
            {
                return None;
            }
            mistake(
                key,
                format!("{port} is not a port that Spark listens on: it refuses to start"),
                "write one of 1024 to 65535, or 0 for any",
            )
        })
    }),
    // Spark begins at a port and tries the ones after it.
    ("conf-no-retries", ERROR, |conf| {
        let key = "spark.port.maxRetries";
        if conf.number(key)? >= 0 {
            return None;
        }
        mistake(
            key,
            "not even one port is tried: Spark refuses to start",
            "set it to 0 or more",
        )
    }),
    // SparkEnv and ShuffleManager: a short name, or a class that is there.
    ("conf-class-name", ERROR, |conf| {
        let short = [
            ("spark.shuffle.manager", &["sort", "tungsten-sort"][..], "sort"),
            (
                "spark.serializer",
                &[][..],
                "org.apache.spark.serializer.KryoSerializer",
            ),
        ];
        let serializers = [
            "org.apache.spark.serializer.JavaSerializer",
            "org.apache.spark.serializer.KryoSerializer",
        ];
        short.into_iter().find_map(|(key, names, fix)| {
            let value = conf
                .get(key)
                .filter(|value| !value.contains('$') && !value.is_empty())?;
            let of_spark = value.starts_with("org.apache.spark.serializer.") && !serializers.contains(&value);
            let lower = value.to_ascii_lowercase();
            if (value.contains('.') && !of_spark) || names.contains(&lower.as_str()) {
                return None;
            }
            mistake(
                key,
                format!("there is no class `{value}`: Spark refuses to start"),
                format!("write {fix}"),
            )
        })
    }),
    // CompressionCodec.createCodec; but for event logs it is asked when the first task runs.
    ("conf-codec", ERROR, |conf| {
        let keys = [
            "spark.io.compression.codec",
            "spark.eventLog.compression.codec",
            "spark.shuffle.mapStatus.compression.codec",
        ];
        keys.into_iter().find_map(|key| {
            let value = conf
                .get(key)
                .filter(|value| !value.contains(['.', '$']) && !value.is_empty())?;
            if ["lz4", "lzf", "snappy", "zstd"].contains(&value.to_ascii_lowercase().as_str()) {
                return None;
            }
            mistake(
                key,
                format!("Spark has no codec `{value}`"),
                "write lz4, lzf, snappy or zstd",
            )
        })
    }),
    ("conf-one-port", ERROR, |conf| {
        // A Service has each port once; the driver's has those three.
        let key = "spark.driver.blockManager.port";
        let (driver, blocks) = (
            conf.number("spark.driver.port").unwrap_or(7078),
            conf.number(key)
                .or(conf.number("spark.blockManager.port"))
                .unwrap_or(7079),
        );
        let key = [key, "spark.blockManager.port", "spark.driver.port"]
            .into_iter()
            .find(|key| conf.get(key).is_some())?;
        if driver == 0 || driver != blocks {
            return None;
        }
        mistake(
            key,
            format!(
                "the driver and its block manager have the same port, {driver}: Kubernetes refuses the driver's Service"
            ),
            "give each a port of its own",
        )
    }),
    ("conf-event-log-directory", WARNING, |conf| {
        let place = conf
            .get("spark.eventLog.dir")?
            .trim_start_matches("file:")
            .trim_start_matches("//");
        let kept = !place.starts_with('/') || conf.mounts.iter().any(|mount| place.starts_with(mount.as_str()));
        if !conf.is("spark.eventLog.enabled", "true") || kept || !conf.is_whole() {
            return None;
        }
        mistake(
            "spark.eventLog.dir",
            "the event log goes into the driver's container and is gone with it",
            "write it to an object store or a volume, for example s3a://logs/spark",
        )
    }),
];

fn seconds(conf: &Conf, key: &str, default: f64, unit: TimeUnit) -> Option<f64> {
    if conf.get(key).is_none() {
        Some(default)
    } else {
        conf.seconds(key, unit)
    }
}

/// ExecutorAllocationManager.validateSettings
fn dynamic_value(conf: &Conf) -> Option<Mistake> {
    if !conf.is(DYNAMIC, "true") {
        return None;
    }
    let most = "spark.dynamicAllocation.maxExecutors";
    if conf.number(most) == Some(0) {
        return mistake(
            most,
            "no executors at most: Spark refuses to start",
            "set it to 1 or more",
        );
    }
    let numbers = [most, "spark.dynamicAllocation.minExecutors"];
    if let Some(key) = numbers
        .into_iter()
        .find(|key| conf.number(key).is_some_and(|number| number < 0))
    {
        return mistake(
            key,
            "a negative number of executors: Spark refuses to start",
            "set it to 0 or more",
        );
    }
    let ratio = "spark.dynamicAllocation.executorAllocationRatio";
    if conf.fraction(ratio).is_some_and(|share| share <= 0.0 || share > 1.0) {
        return mistake(
            ratio,
            "a share lies above 0 and is 1 at most: Spark refuses to start",
            "leave it at 1.0",
        );
    }
    let times = [
        "spark.dynamicAllocation.schedulerBacklogTimeout",
        "spark.dynamicAllocation.sustainedSchedulerBacklogTimeout",
    ];
    let key = times
        .into_iter()
        .find(|key| conf.seconds(key, TimeUnit::Second).is_some_and(|time| time <= 0.0))?;
    mistake(
        key,
        "Spark refuses to start with no time at all",
        "write a time above zero, such as 1s",
    )
}

/// What a task takes of a resource, and what an executor has of it: ResourceUtils.validateTaskCpusLargeEnough and its neighbours.
fn task_resources(conf: &Conf) -> Option<Mistake> {
    conf.iter().find_map(|(key, value)| {
        let resource = key.strip_prefix("spark.task.resource.")?.strip_suffix(".amount")?;
        let wanted: f64 = value.parse().ok()?;
        let executor = format!("spark.executor.resource.{resource}.amount");
        let has: Option<f64> = conf.get(&executor).and_then(|amount| amount.parse().ok());
        if wanted <= 0.0 {
            return None;
        }
        match has {
            None if conf.get(&executor).is_some() || !conf.is_whole() => None,
            None => mistake(
                key.to_owned(),
                format!("tasks take {resource} and executors have none: Spark refuses to start"),
                format!("set {executor}"),
            ),
            Some(has) if wanted > has => mistake(
                key.to_owned(),
                format!("a task takes {wanted} of {resource} and an executor has {has}: Spark refuses to start"),
                format!("set it to {has} or less"),
            ),
            // Fractions of one are shared by whole numbers of tasks.
            Some(_) if wanted.fract() != 0.0 && wanted > 0.5 => mistake(
                key.to_owned(),
                format!(
                    "{wanted} of {resource} is neither a whole number nor at most half of one: Spark refuses to start"
                ),
                "write a whole number, or 0.5 or less",
            ),
            Some(_) => None,
        }
    })
}
