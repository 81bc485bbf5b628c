//! What the Kubernetes API means, without any state: values in, values out.
//!
//! - Types: [`resources`] (which there are), [`meta`], [`status`] (refusals), [`request`] (paths and queries), [`quantity`]
//! - Objects: [`objects`] (decoding, defaults, validation, versions), [`kinds`] and [`validation`] (what each built-in kind asks),
//!   [`scale`], [`crd`], [`custom`] and [`schema`] (custom resources), [`strict`] and [`json_words`] (complaints about text), [`typed`]
//! - Changes: [`patch`], [`apply`] and [`fields`] (server-side apply and who manages which field)
//! - Questions: [`selectors`], [`cel`]
//! - Limits: [`allowance`] (quotas, limit ranges, Pod Security)
//! - Forms: [`table`] and [`cells`], [`protobuf`]
//!
//! It uses neither the registry nor HTTP. Of the store it knows what an object is.

pub mod allowance;
pub mod apply;
pub mod cel;
pub mod cells;
pub mod crd;
pub mod custom;
pub mod fields;
pub mod json_words;
pub mod kinds;
pub mod meta;
pub mod objects;
pub mod patch;
pub mod protobuf;
pub mod quantity;
pub mod request;
pub mod resources;
pub mod scale;
pub mod schema;
pub mod selectors;
pub mod status;
pub mod strict;
pub mod table;
pub mod typed;
pub mod validation;
