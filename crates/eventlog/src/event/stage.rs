//! Jobs and stages.

use std::fmt;

use compact_str::CompactString;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use super::accumulable::StageAccumulable;
use super::storage::StorageLevel;

/// The local properties that are kept. Spark writes the whole session's configuration with every job and every stage.
pub(super) const KEPT: [&str; 5] = [
    "spark.job.description",
    "spark.job.tags",
    "spark.jobGroup.id",
    "spark.scheduler.pool",
    "spark.sql.execution.id",
];

/// The local properties a job or a stage was submitted with: those of [`KEPT`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties(pub(super) [Option<String>; KEPT.len()]);

impl Properties {
    /// `spark.job.description`
    pub fn description(&self) -> Option<&str> {
        self.get("spark.job.description")
    }

    /// `spark.job.tags`, in order, each once.
    pub fn tags(&self) -> Vec<String> {
        let tags = self.get("spark.job.tags").unwrap_or_default().split(',');
        let mut tags: Vec<String> = tags.filter(|tag| !tag.is_empty()).map(str::to_owned).collect();
        tags.sort();
        tags.dedup();
        tags
    }

    /// `spark.jobGroup.id`
    pub fn group(&self) -> Option<&str> {
        self.get("spark.jobGroup.id")
    }

    /// `spark.scheduler.pool`
    pub fn pool(&self) -> Option<&str> {
        self.get("spark.scheduler.pool")
    }

    /// The SQL execution it is for (`spark.sql.execution.id`).
    pub fn execution(&self) -> Option<i64> {
        self.get("spark.sql.execution.id")?.parse().ok()
    }

    fn get(&self, key: &str) -> Option<&str> {
        debug_assert!(KEPT.contains(&key), "{key} is not kept");
        let place = KEPT.iter().position(|kept| *kept == key)?;
        self.0[place].as_deref()
    }
}

/// A key's place in [`KEPT`].
struct Place(Option<usize>);

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Key;
        impl Visitor<'_> for Key {
            type Value = Place;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("the name of a property")
            }
            fn visit_str<E>(self, key: &str) -> Result<Place, E> {
                Ok(Place(KEPT.iter().position(|kept| *kept == key)))
            }
        }
        from.deserialize_identifier(Key)
    }
}

impl<'de> Deserialize<'de> for Properties {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Properties;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object of texts")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Properties, A::Error> {
                let mut properties = Properties::default();
                while let Some(Place(place)) = map.next_key()? {
                    match place {
                        Some(place) => {
                            properties.0[place] = Some(map.next_value::<Option<String>>()?.unwrap_or_default())
                        }
                        None => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(properties)
            }
            fn visit_unit<E>(self) -> Result<Properties, E> {
                Ok(Properties::default())
            }
        }
        from.deserialize_any(Object)
    }
}

/// `SparkListenerJobStart`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct JobStart {
    /// Job id.
    #[serde(rename = "Job ID")]
    pub id: i32,
    /// When, in milliseconds since 1970; old logs do not tell.
    #[serde(rename = "Submission Time", default = "before_time")]
    pub time: i64,
    /// Every stage it may run. Spark before 1.2 wrote only their ids; see [`JobStart::stages_or_ids`].
    #[serde(rename = "Stage Infos", default)]
    pub stages: Option<Vec<StageInfo>>,
    #[serde(rename = "Stage IDs", default)]
    pub stage_ids: Vec<i32>,
    /// Local properties.
    #[serde(rename = "Properties", default)]
    pub properties: Properties,
}

impl JobStart {
    /// Every stage it may run; those only the id of which was written are unknown otherwise, as Spark reads them.
    pub fn stages_or_ids(&mut self) -> Vec<StageInfo> {
        let ids = &self.stage_ids;
        self.stages
            .take()
            .unwrap_or_else(|| ids.iter().map(|id| StageInfo::unknown(*id)).collect())
    }
}

fn before_time() -> i64 {
    -1
}

/// `SparkListenerJobEnd`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct JobEnd {
    /// Job id.
    #[serde(rename = "Job ID")]
    pub id: i32,
    /// When, in milliseconds since 1970; old logs do not tell.
    #[serde(rename = "Completion Time", default = "before_time")]
    pub time: i64,
    /// How.
    #[serde(rename = "Job Result")]
    pub result: JobResult,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct JobResult {
    /// `JobSucceeded` or `JobFailed`.
    #[serde(rename = "Result")]
    pub result: String,
    /// Why it failed.
    #[serde(rename = "Exception", default)]
    pub exception: Option<JobException>,
}

/// The exception that ended a job.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct JobException {
    #[serde(rename = "Message", default)]
    pub message: Option<String>,
}

impl JobEnd {
    /// Whether the job did its work.
    pub fn succeeded(&self) -> bool {
        self.result.result == "JobSucceeded"
    }
}

/// `SparkListenerStageSubmitted`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct StageSubmitted {
    /// The stage.
    #[serde(rename = "Stage Info")]
    pub info: StageInfo,
    /// Local properties.
    #[serde(rename = "Properties", default)]
    pub properties: Properties,
}

/// `SparkListenerStageCompleted`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct StageCompleted {
    /// The stage.
    #[serde(rename = "Stage Info")]
    pub info: StageInfo,
}

/// A stage attempt.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct StageInfo {
    /// Stage id.
    #[serde(rename = "Stage ID")]
    pub id: i32,
    /// Its attempt, from 0.
    #[serde(rename = "Stage Attempt ID", default)]
    pub attempt: i32,
    #[serde(rename = "Stage Name", default)]
    pub name: String,
    /// Tasks it has.
    #[serde(rename = "Number of Tasks", default)]
    pub tasks: i32,
    /// RDDs it computes.
    #[serde(rename = "RDD Info", default)]
    pub rdds: Vec<RddInfo>,
    /// Stages it needs.
    #[serde(rename = "Parent IDs", default)]
    pub parents: Vec<i32>,
    /// The call's stack.
    #[serde(rename = "Details", default)]
    pub details: String,
    /// When it was submitted, in milliseconds since 1970.
    #[serde(rename = "Submission Time", default)]
    pub submitted: Option<i64>,
    /// When it ended.
    #[serde(rename = "Completion Time", default)]
    pub completed: Option<i64>,
    /// Why it failed.
    #[serde(rename = "Failure Reason", default)]
    pub failure: Option<String>,
    /// Accumulators.
    #[serde(rename = "Accumulables", default)]
    pub accumulables: Vec<StageAccumulable>,
    /// Resource profile.
    #[serde(rename = "Resource Profile Id", default)]
    pub profile: i32,
    /// Whether its shuffle is pushed.
    #[serde(rename = "Shuffle Push Enabled", default)]
    pub push_enabled: bool,
    /// How many merge its shuffle.
    #[serde(rename = "Shuffle Push Mergers Count", default)]
    pub push_mergers: i32,
}

impl StageInfo {
    /// A stage of which nothing but its id is known.
    pub fn unknown(id: i32) -> StageInfo {
        StageInfo {
            id,
            attempt: 0,
            name: "unknown".to_owned(),
            tasks: 0,
            rdds: Vec::new(),
            parents: Vec::new(),
            details: "unknown".to_owned(),
            submitted: None,
            completed: None,
            failure: None,
            accumulables: Vec::new(),
            profile: 0,
            push_enabled: false,
            push_mergers: 0,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RddInfo {
    /// RDD id.
    #[serde(rename = "RDD ID")]
    pub id: i32,
    #[serde(rename = "Name", default)]
    pub name: CompactString,
    /// How it is kept.
    #[serde(rename = "Storage Level")]
    pub level: StorageLevel,
    /// Partitions it has.
    #[serde(rename = "Number of Partitions", default)]
    pub partitions: i32,
}
