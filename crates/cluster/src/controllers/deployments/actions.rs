//! What a look at a Deployment comes to.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde_json::Value;

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action {
    /// Make this ReplicaSet.
    Create(Value),
    /// Change a ReplicaSet: its number of pods (from, to), annotations to set, seconds a pod must be ready.
    Change {
        name: String,
        replicas: Option<(i64, i64)>,
        annotations: BTreeMap<String, String>,
        minimum: Option<i64>,
    },
    /// Delete an old ReplicaSet.
    Delete { name: String, uid: String },
    /// Set an annotation of the Deployment.
    Annotate(String, String),
}

/// What follows from the facts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Decision {
    /// Things to do, in order. After them the facts have changed and the next look goes on.
    pub actions: Vec<Action>,
    /// The status; `None` while actions are to be done first.
    pub status: Option<Value>,
    /// Events to record: warning, reason, message.
    pub events: Vec<(bool, &'static str, String)>,
    /// When the status may change by itself.
    pub later: Option<SignedDuration>,
}
