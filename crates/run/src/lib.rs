//! Room `run`: what the events of a log say of a run, read once for all who ask.
//!
//! In: events of tasks and executors ([`stoke_eventlog::Event`]). Out: task attempts as rows ([`task::Task`]) with how they ended
//! ([`task::Ending`]), their metrics and the peaks of executors ([`metrics`]).
//!
//! `history` shows a run as Spark does, and `insight` reasons about it. Both apply a task's events with [`Tasks`], count its end by
//! [`task::Counts`] or [`task::Outcome`], and keep [`metrics::Metrics`] and [`metrics::Peaks`]. What they keep of it differs, and is theirs.
//!
//! This room drops nothing, decides nothing about a run, and answers no requests.
//!
//! ```
//! use stoke_eventlog::event::{Event, Line, parse};
//! use stoke_run::{Outcome, Tasks, metrics::at};
//!
//! let mut tasks = Tasks::default();
//! for line in [
//!     r#"{"Event":"SparkListenerTaskStart","Stage ID":4,"Task Info":{"Task ID":7,"Index":0,"Attempt":0,"Launch Time":100,"Executor ID":"1","Host":"h","Locality":"ANY"}}"#,
//!     r#"{"Event":"SparkListenerTaskEnd","Stage ID":4,"Task End Reason":{"Reason":"Success"},"Task Info":{"Task ID":7,"Index":0,"Attempt":0,"Launch Time":100,"Executor ID":"1","Host":"h","Locality":"ANY","Finish Time":900},"Task Metrics":{"Executor Run Time":750}}"#,
//! ] {
//!     match parse(line)? {
//!         Line::Event(Event::TaskStart(event)) => tasks.start(&event),
//!         Line::Event(Event::TaskEnd(event)) => {
//!             let ended = tasks.end(*event);
//!             assert_eq!((ended.stage, ended.outcome, ended.begun), ((4, 0), Outcome::Succeeded, Some((4, 0))));
//!             assert_eq!((ended.task.duration, ended.metrics().get(at::RUN_TIME)), (800, 750));
//!         }
//!         _ => {}
//!     }
//! }
//! assert_eq!(tasks.running().count(), 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod metrics;
mod names;
pub mod settings;
pub mod task;
mod tasks;

pub use metrics::{Metrics, Peaks};
pub use names::Names;
pub use task::{Counts, Ending, Outcome, Task};
pub use tasks::{RunningTask, Tasks};

/// A stage attempt: the stage and its attempt.
pub type StageKey = (i32, i32);

/// The driver's id among executors.
pub const DRIVER: &str = "driver";
