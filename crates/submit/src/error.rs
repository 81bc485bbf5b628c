//! Why a submission is refused. The rules are Spark's; the words say cause and fix.

/// A request that `spark-submit` would refuse, or that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// No container image is configured.
    #[error(
        "no container image: set `spark.kubernetes.container.image` (or `spark.kubernetes.{role}.container.image`)"
    )]
    MissingImage {
        /// `driver` or `executor`.
        role: &'static str,
    },
    /// A key the submission sets itself.
    #[error("`{key}` cannot be set for a submission to Kubernetes: {reason}; remove it")]
    ForbiddenKey {
        key: String,
        /// Why Spark owns it.
        reason: &'static str,
    },
    /// A value that does not parse or breaks a rule.
    #[error("`{key}` = `{value}`: {reason}")]
    InvalidValue {
        key: String,
        /// The value as written.
        value: String,
        /// The rule, and what to write instead.
        reason: String,
    },
    /// A key without which another one has no meaning.
    #[error("`{key}` is needed: {reason}")]
    MissingKey {
        /// The missing key.
        key: String,
        /// What needs it.
        reason: String,
    },
    /// A local file, and nowhere to put it for the cluster.
    #[error(
        "`{file}` is a local file that the cluster cannot see: set `spark.kubernetes.file.upload.path` to a place that pods can read (s3a://…, hdfs://…), or use a path inside the image with the scheme `local://`"
    )]
    UploadPathMissing { file: String },
    /// A pod template that is not a usable pod.
    #[error("pod template of the {role}: {reason}")]
    Template {
        /// `driver` or `executor`.
        role: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// No main class for a Java or Scala application.
    #[error("no main class: give `--class` (`mainClass` in a SparkApplication)")]
    MissingMainClass,
    /// Spark does not offer this in cluster mode on Kubernetes.
    #[error("{what} is not possible in cluster mode on Kubernetes: {reason}")]
    Unsupported {
        /// The feature.
        what: String,
        /// Why, and what to do instead.
        reason: String,
    },
}

impl PlanError {
    /// Stable code for machines: event reasons, metric labels, `--output json`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::MissingImage { .. } => "MissingImage",
            Self::ForbiddenKey { .. } => "ForbiddenKey",
            Self::InvalidValue { .. } => "InvalidValue",
            Self::MissingKey { .. } => "MissingKey",
            Self::UploadPathMissing { .. } => "UploadPathMissing",
            Self::Template { .. } => "InvalidPodTemplate",
            Self::MissingMainClass => "MissingMainClass",
            Self::Unsupported { .. } => "Unsupported",
        }
    }
}
