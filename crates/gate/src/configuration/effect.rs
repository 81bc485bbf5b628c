//! Keys that have no effect, because what they tune is off or does not exist on Kubernetes; and limits that lie beyond what can be.

use stoke_model::conf::{Catalogue, Kind};
use stoke_model::memory::{ByteUnit, Memory};

use super::{Conf, DYNAMIC, Mistake, Rule, WARNING, mistake};

/// Beginnings of keys, the switch without which they do nothing, and whether it is on by default.
const SWITCHES: [(&str, &str, bool); 12] = [
    ("spark.speculation.", "spark.speculation", false),
    (
        "spark.storage.decommission.",
        "spark.storage.decommission.enabled",
        false,
    ),
    ("spark.storage.decommission.", "spark.decommission.enabled", false),
    ("spark.executor.decommission.", "spark.decommission.enabled", false),
    ("spark.eventLog.", "spark.eventLog.enabled", false),
    (
        "spark.eventLog.rolling.maxFileSize",
        "spark.eventLog.rolling.enabled",
        true,
    ),
    ("spark.memory.offHeap.", "spark.memory.offHeap.enabled", false),
    ("spark.network.crypto.", "spark.network.crypto.enabled", false),
    (
        "spark.sql.adaptive.coalescePartitions.",
        "spark.sql.adaptive.coalescePartitions.enabled",
        true,
    ),
    (
        "spark.sql.adaptive.skewJoin.",
        "spark.sql.adaptive.skewJoin.enabled",
        true,
    ),
    ("spark.sql.adaptive.", "spark.sql.adaptive.enabled", true),
    ("spark.sql.cbo.", "spark.sql.cbo.enabled", false),
];

/// Keys below a switch's beginning that mean something without it.
const ALONE: [&str; 5] = [
    "spark.eventLog.dir",
    "spark.eventLog.compress",
    "spark.storage.decommission.enabled",
    "spark.network.crypto.saslFallback",
    "spark.sql.adaptive.enabled",
];

pub(super) const RULES: [Rule; 8] = [
    ("conf-dynamic-off", WARNING, |conf| {
        let keys = [
            "spark.dynamicAllocation.minExecutors",
            "spark.dynamicAllocation.maxExecutors",
            "spark.dynamicAllocation.initialExecutors",
        ];
        let key = keys.into_iter().find(|key| conf.get(key).is_some())?;
        if conf.is(DYNAMIC, "true") || !conf.is_whole() {
            return None;
        }
        mistake(
            key,
            format!("without {DYNAMIC}=true it has no effect"),
            format!("set {DYNAMIC}=true, or remove it"),
        )
    }),
    ("conf-no-effect", WARNING, switched_off),
    // Keys of other cluster managers; former names of keys that every manager reads are told of as deprecated.
    ("conf-other-cluster", WARNING, |conf| {
        let others = [
            ("spark.yarn.", "YARN"),
            ("spark.mesos.", "Mesos"),
            ("spark.deploy.", "a standalone cluster"),
            ("spark.worker.", "a standalone cluster"),
        ];
        let catalogue = conf
            .version
            .as_deref()
            .map_or_else(Catalogue::newest, Catalogue::for_version);
        conf.iter().find_map(|(key, _)| {
            let (_, cluster) = others.iter().find(|(start, _)| key.starts_with(start))?;
            let known = catalogue.get(key)?;
            if known.kind == Kind::OldName || known.deprecation.is_some() || key.starts_with("spark.yarn.security.") {
                return None;
            }
            mistake(
                key.to_owned(),
                format!("it is for {cluster} and has no effect on Kubernetes"),
                "remove it",
            )
        })
    }),
    // ExecutorRollPlugin reads them, and nothing else.
    ("conf-executor-roll", WARNING, |conf| {
        let keys = [
            "spark.kubernetes.executor.rollInterval",
            "spark.kubernetes.executor.rollPolicy",
            "spark.kubernetes.executor.minTasksPerExecutorBeforeRolling",
        ];
        let key = keys.into_iter().find(|key| conf.get(key).is_some())?;
        let plugins = conf.get("spark.plugins").unwrap_or_default();
        if !conf.is_whole() || plugins.contains("ExecutorRollPlugin") {
            return None;
        }
        mistake(
            key,
            "executors are rolled by a plugin that is not asked for: it has no effect",
            "set spark.plugins=org.apache.spark.scheduler.cluster.k8s.ExecutorRollPlugin",
        )
    }),
    // ExecutorPodsAllocator looks for claims of executors that are gone only when the driver owns them.
    ("conf-claim-reuse", WARNING, |conf| {
        let (own, reuse, wait) = (
            "spark.kubernetes.driver.ownPersistentVolumeClaim",
            "spark.kubernetes.driver.reusePersistentVolumeClaim",
            "spark.kubernetes.driver.waitToReusePersistentVolumeClaim",
        );
        let wanted = [wait, reuse].into_iter().find(|key| conf.is(key, "true"))?;
        let lacking = [own, reuse].into_iter().find(|key| conf.is(key, "false"))?;
        mistake(
            wanted,
            format!("with {lacking}=false no claim is used again"),
            format!("remove {lacking}"),
        )
    }),
    ("conf-result-size", WARNING, |conf| {
        let key = "spark.driver.maxResultSize";
        let most = conf.memory(key, ByteUnit::Byte)?;
        let heap = match conf.memory("spark.driver.memory", ByteUnit::Mib) {
            None if conf.is_whole() && conf.get("spark.driver.memory").is_none() => Memory::from_mib(1024),
            heap => heap?,
        };
        if most <= heap {
            return None;
        }
        mistake(
            key,
            format!("a driver with {heap} of heap runs out of memory before results are refused"),
            "keep it below the memory of the driver",
        )
    }),
    // BroadcastExchangeExec.MAX_BROADCAST_TABLE_BYTES
    ("conf-broadcast-size", WARNING, |conf| {
        let keys = [
            "spark.sql.autoBroadcastJoinThreshold",
            "spark.sql.adaptive.autoBroadcastJoinThreshold",
        ];
        keys.into_iter().find_map(|key| {
            if conf.memory(key, ByteUnit::Byte)?.mib() <= 8192 {
                return None;
            }
            mistake(
                key,
                "Spark fails a query that broadcasts a table of more than 8 GiB",
                "keep it well below the memory of the driver",
            )
        })
    }),
    // Both count how much smaller than usual a partition is to be for it to be small.
    ("conf-adaptive-sizes", WARNING, |conf| {
        let (key, target) = (
            "spark.sql.adaptive.coalescePartitions.minPartitionSize",
            "spark.sql.adaptive.advisoryPartitionSizeInBytes",
        );
        let least = conf.memory(key, ByteUnit::Byte)?;
        let wanted = match conf.get(target) {
            None => Memory::from_mib(64),
            Some(_) => conf.memory(target, ByteUnit::Byte)?,
        };
        if least <= wanted {
            return None;
        }
        mistake(
            key,
            format!("partitions shall have {least} at least and {wanted} for a target"),
            format!("set it below {target}"),
        )
    }),
];

/// A key whose switch is off. In a file of properties the switch must be off there; elsewhere it could be on.
fn switched_off(conf: &Conf) -> Option<Mistake> {
    conf.iter().find_map(|(key, value)| {
        if ALONE.contains(&key)
            || SWITCHES
                .iter()
                .any(|(_, switch, _)| *switch == key && !value.eq_ignore_ascii_case("true"))
        {
            return None;
        }
        let of_key = SWITCHES
            .iter()
            .filter(|(start, switch, _)| key.starts_with(start) && *switch != key);
        let (_, switch, _) = of_key.into_iter().find(|(_, switch, default)| match conf.get(switch) {
            None => !default && conf.is_whole(),
            Some(set) => set.eq_ignore_ascii_case("false"),
        })?;
        mistake(
            key.to_owned(),
            format!("without {switch}=true it has no effect"),
            format!("set {switch}=true, or remove it"),
        )
    })
}
