//! Cached blocks.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::executor::BlockManagerId;

/// How an RDD or a block is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageLevel {
    /// On disk.
    #[serde(rename = "Use Disk", default)]
    pub disk: bool,
    #[serde(rename = "Use Memory", default)]
    pub memory: bool,
    #[serde(rename = "Use Off Heap", default)]
    pub off_heap: bool,
    /// As objects.
    #[serde(rename = "Deserialized", default)]
    pub deserialized: bool,
    /// Copies.
    #[serde(rename = "Replication", default)]
    pub replication: i32,
}

impl StorageLevel {
    /// Whether anything is kept at all (`StorageLevel.isValid`).
    pub fn is_valid(&self) -> bool {
        (self.memory || self.disk) && self.replication > 0
    }

    /// As Spark describes it to people.
    pub fn description(&self) -> String {
        let mut parts = Vec::with_capacity(3);
        if self.disk {
            parts.push("Disk".to_owned());
        }
        if self.memory {
            parts.push(if self.off_heap { "Memory (off heap)" } else { "Memory" }.to_owned());
        }
        parts.push(
            if self.deserialized {
                "Deserialized"
            } else {
                "Serialized"
            }
            .to_owned(),
        );
        parts.push(format!("{}x Replicated", self.replication));
        parts.join(" ")
    }
}

#[derive(Deserialize)]
pub(super) struct BlockUpdated {
    #[serde(rename = "Block Updated Info")]
    pub(super) info: BlockUpdate,
}

/// `SparkListenerBlockUpdated`. Sizes are in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct BlockUpdate {
    /// Where.
    #[serde(rename = "Block Manager ID")]
    pub at: BlockManagerId,
    /// `rdd_1_0`, `broadcast_2` and so on.
    #[serde(rename = "Block ID")]
    pub block: CompactString,
    /// How it is kept from now on.
    #[serde(rename = "Storage Level")]
    pub level: StorageLevel,
    /// Bytes in memory.
    #[serde(rename = "Memory Size")]
    pub memory: i64,
    /// Bytes on disk.
    #[serde(rename = "Disk Size")]
    pub disk: i64,
}

/// `SparkListenerUnpersistRDD`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct UnpersistRdd {
    /// RDD id.
    #[serde(rename = "RDD ID")]
    pub id: i32,
}
