//! A run as OpenTelemetry spans.
//!
//! In: a [`Run`](crate::facts::Run) and its cluster. Out: a [`Trace`]: the application, its jobs, their stage attempts, and a bounded sample of
//! their tasks; the driver is one resource and every executor another. [`encode`] makes OTLP requests of it, bounded in size; [`exchange`] says
//! where they go and what an answer means. Nothing is sent here.
//!
//! Ids are made, not drawn: sending a run twice gives the same spans.

pub mod encode;
pub mod exchange;
mod ids;
mod sample;
mod spans;

pub use ids::trace_id;
pub use sample::Why;
pub use spans::{Event, Link, Resource, Span, Status, Trace, Value, of};

#[cfg(test)]
mod tests;
