//! The API server: HTTP in, objects of the store out.
//!
//! A request is authenticated ([`auth`]), its path read ([`request`]), authorised, and handled ([`handlers`]); what kinds mean is in
//! [`kinds`], how patches change objects in [`patch`] and [`apply`], what custom resources look like in [`crd`] and [`schema`].
//! It never starts a process and never decides where a pod runs: it stores what is asked, and tells watchers.

pub mod admission;
pub mod allowance;
pub mod apply;
pub mod auth;
pub mod bootstrap;
pub mod cel;
pub mod cells;
pub mod crd;
pub mod fields;
pub mod handlers;
pub mod impersonate;
mod json_words;
pub mod kinds;
pub mod listen;
pub mod media;
pub mod meta;
pub mod openapi;
pub mod patch;
pub mod protobuf;
pub mod quantity;
pub mod rbac;
pub mod request;
pub mod resources;
pub mod schema;
pub mod selectors;
pub mod server;
pub mod service_addresses;
pub mod status;
pub mod streaming;
pub mod strict;
pub mod table;
pub mod tls;
pub mod validation;
pub mod watch;
