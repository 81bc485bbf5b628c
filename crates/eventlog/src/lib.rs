//! Room `eventlog`: Spark's event logs as a stream of typed events.
//!
//! In: a listing of a directory or an object store, and the bytes behind it. Out: which logs there are ([`layout`]), their [`Event`]s in
//! order ([`read`]), and a [`Report`] that says what could not be read and where.
//!
//! [`codec`] knows the compressions, [`layout`] the names, [`event`] the lines, [`source`] where bytes come from, and [`read`] puts them
//! together: decompressing, splitting and parsing run beside each other, in memory that does not grow with the log.
//!
//! This room keeps nothing, decides nothing about applications, and never changes a log.
//!
//! ```
//! use stoke_eventlog::read::Input;
//! use stoke_eventlog::{Event, Options, Report, read};
//!
//! let log = concat!(
//!     r#"{"Event":"SparkListenerApplicationStart","App Name":"pi","App ID":"spark-1","Timestamp":1000,"User":"ana"}"#, "\n",
//!     r#"{"Event":"SparkListenerApplicationEnd","Timestamp":9000}"#, "\n",
//! );
//! let input = Input { name: "spark-1", offset: 0, text: Box::new(log.as_bytes()) };
//! let (mut report, mut ended) = (Report::default(), None);
//! read(input, Options::default(), &mut report, true, |event| {
//!     if let Event::ApplicationEnd(end) = event {
//!         ended = Some(end.time);
//!     }
//! });
//! assert_eq!((report.events, report.bad_lines, ended), (2, 0, Some(9000)));
//! ```

pub mod codec;
pub mod event;
pub mod glance;
pub mod layout;
mod lines;
pub mod read;
pub mod source;

pub use codec::Codec;
pub use event::Event;
pub use glance::Glance;
pub use layout::{Entry, Log, Part};
pub use read::{Fault, Options, Report, read, read_log};
pub use source::Source;
pub use stoke_storage::StorageError;
