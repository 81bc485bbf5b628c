//! What is known of a run, before anybody thinks about it.
//!
//! [`run`] is what the event log tells, [`collect`] makes it of events; [`cluster`] is what Kubernetes tells; [`log`] is what the driver and
//! the executors wrote. Each part may be missing: a run that never started has no event log, a log from elsewhere has no cluster.

pub mod cluster;
pub mod collect;
pub mod log;
mod objects;
pub mod run;

pub use cluster::Cluster;
pub use log::Log;
pub use objects::Objects;
pub use run::Run;

/// Everything known of one run.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// From the event log. The last attempt's, when there are several.
    pub run: Option<Run>,
    /// From Kubernetes.
    pub cluster: Option<Cluster>,
    /// Logs of containers, the driver's first.
    pub logs: Vec<Log>,
    /// When these facts were gathered, in milliseconds since 1970: what has not ended is as old as this says.
    pub now: i64,
}

impl Facts {
    /// The driver's log, if it was had.
    pub fn driver_log(&self) -> Option<&Log> {
        self.logs.iter().find(|log| log.role == cluster::Role::Driver)
    }

    /// A Spark property of the run, as Spark itself saw it; before that, as the manifest has it.
    pub fn property(&self, key: &str) -> Option<&str> {
        let run = self.run.as_ref().and_then(|run| run.property(key));
        run.or_else(|| self.cluster.as_ref().and_then(|cluster| cluster.manifest_property(key)))
    }
}
