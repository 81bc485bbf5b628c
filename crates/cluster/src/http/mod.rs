//! The API server as clients see it: HTTP in, requests to the registry out.
//!
//! A connection comes in over TLS ([`listen`], [`tls`]). A request is authenticated ([`auth`], [`impersonate`]), its path read, authorised,
//! and handled ([`handlers`]): bodies are decoded and answers shaped as the client wants them ([`media`]); a watch ([`watch`]) follows the
//! store; commands, logs and ports of pods are streams to the node ([`streaming`]); [`openapi`] describes it all.
//! [`webhooks`] calls those of users for the registry.
//! It decides nothing about objects: that is the registry's.

mod auth;
mod call;
mod handlers;
mod impersonate;
pub mod listen;
mod media;
mod openapi;
mod refusal;
pub mod server;
mod streaming;
pub mod tls;
mod watch;
mod webhooks;
