//! What is read of a Deployment and of its ReplicaSets.

use serde::Deserialize;
use serde_json::Value;

use crate::controllers::facts::{Condition, Meta, nullable, resolve};
use crate::controllers::ownership::HasMeta;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Deployment {
    pub metadata: Meta,
    pub spec: DeploymentSpec,
    #[serde(deserialize_with = "nullable")]
    pub status: DeploymentStatus,
}

/// What is asked of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct DeploymentSpec {
    pub replicas: Option<i64>,
    #[serde(deserialize_with = "nullable")]
    pub paused: bool,
    pub selector: Value,
    pub template: Value,
    #[serde(deserialize_with = "nullable")]
    pub strategy: Strategy,
    #[serde(deserialize_with = "nullable")]
    pub min_ready_seconds: i64,
    pub revision_history_limit: Option<i64>,
    pub progress_deadline_seconds: Option<i64>,
}

/// How it replaces pods.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Strategy {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(deserialize_with = "nullable")]
    pub rolling_update: Rolling,
}

/// How many pods more or fewer a rolling update may have.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Rolling {
    pub max_surge: Value,
    pub max_unavailable: Value,
}

/// How it was at the last look.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct DeploymentStatus {
    pub observed_generation: i64,
    pub replicas: i64,
    pub updated_replicas: i64,
    pub ready_replicas: i64,
    pub available_replicas: i64,
    pub collision_count: Option<i64>,
    #[serde(deserialize_with = "nullable")]
    pub conditions: Vec<Condition>,
}

impl Deployment {
    /// Pods wanted.
    pub fn replicas(&self) -> i64 {
        self.spec.replicas.unwrap_or(1)
    }

    fn rolling(&self) -> bool {
        self.spec.strategy.kind == "RollingUpdate"
    }

    /// Pods it may have beyond those wanted.
    pub fn max_surge(&self) -> i64 {
        if self.rolling() { self.bounds().0 } else { 0 }
    }

    /// Pods that may be missing.
    pub fn max_unavailable(&self) -> i64 {
        if self.rolling() && self.replicas() > 0 {
            self.bounds().1.min(self.replicas())
        } else {
            0
        }
    }

    /// Surge is rounded up, unavailability down; if both come to nothing, one pod may be missing, lest nothing ever moves.
    fn bounds(&self) -> (i64, i64) {
        let rolling = &self.spec.strategy.rolling_update;
        let surge = resolve(&rolling.max_surge, self.replicas(), true);
        let unavailable = resolve(&rolling.max_unavailable, self.replicas(), false);
        if surge == 0 && unavailable == 0 {
            (0, 1)
        } else {
            (surge, unavailable)
        }
    }

    /// Whether progress has a deadline.
    pub fn has_deadline(&self) -> bool {
        self.spec
            .progress_deadline_seconds
            .is_some_and(|seconds| seconds != i64::from(i32::MAX))
    }
}

/// A ReplicaSet.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Set {
    pub metadata: Meta,
    pub spec: SetSpec,
    #[serde(deserialize_with = "nullable")]
    pub status: SetStatus,
}

/// What is asked of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct SetSpec {
    pub replicas: Option<i64>,
    pub template: Value,
    #[serde(deserialize_with = "nullable")]
    pub min_ready_seconds: i64,
}

/// How it is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct SetStatus {
    pub observed_generation: i64,
    pub replicas: i64,
    pub ready_replicas: i64,
    pub available_replicas: i64,
    #[serde(deserialize_with = "nullable")]
    pub conditions: Vec<Condition>,
}

impl Set {
    pub fn uid(&self) -> &str {
        &self.metadata.uid
    }

    /// Pods asked of it.
    pub fn replicas(&self) -> i64 {
        self.spec.replicas.unwrap_or(1)
    }
}

impl HasMeta for Set {
    fn meta(&self) -> &Meta {
        &self.metadata
    }
}
