//! SPDY/3.1, as far as Kubernetes speaks it: many streams of bytes over one connection.
//!
//! In: a connection, upgraded or tunnelled through a WebSocket. Out: a [`session::Session`] of [`session::Stream`]s that the client
//! opened, each with its headers. [`frame`] and [`headers`] are pure; [`session`] moves the bytes.
//! There is no flow control by window, because no Kubernetes client takes part in it: a stream that no one reads fills its queue
//! and then holds up the connection, as everywhere in Kubernetes. The server opens no streams.

pub mod frame;
pub mod headers;
pub mod session;
