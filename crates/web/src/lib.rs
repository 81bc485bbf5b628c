//! Room `web`: pages over what `history` knows of applications, what `insight` finds in them and what `quality` kept of data. No facts of its own.
//!
//! In: an [`Index`] of event logs. Out: HTML that is whole without scripts, at the addresses of Spark's own UI, and the same as JSON
//! (`?output=json`); beside it `/api/v1` as `history` answers it.
//!
//! A request comes to [`site`], which knows sockets: [`guard`] looks whether it may ask, [`address`] where its pages are, [`words`] in which
//! language. [`pages`] are functions of an application's view to a [`page::Page`]: parts with raw numbers. [`html`] writes a page with
//! templates, through the escaping of [`escape`]; its JSON ([`twin`]) is made of the same parts, so numbers cannot differ. [`picture`] lays pictures out
//! on the server: cells and bars, never an element for each task.
//!
//! What takes long to find out is kept: [`verdict`] what the doctor found in a log, [`kept`] what all tasks of a stage say together, [`bills`]
//! what runs cost, [`details`] what logs tell beside their views,
//! [`lately`] for how long of a log that grows. [`assets`] are the style and the script, in the binary.
//!
//! [`observed`] is what others read for it: objectives, alerts, records of runbooks, incidents.
//!
//! [`live`] is a cluster as one visitor may see it, [`access`] who that visitor is; without them (`stoke history serve`) there is nothing to sign in to.
//!
//! This room changes nothing, asks no server but the API server it is given, with the visitor's own rights, and loads nothing from elsewhere.

pub mod access;
pub mod address;
pub mod answer;
pub mod assets;
pub mod bills;
pub mod details;
pub mod escape;
pub mod guard;
pub mod html;
pub mod judge;
pub mod kept;
pub mod lately;
pub mod live;
pub mod observed;
pub mod page;
pub mod pages;
pub mod picture;
pub mod site;
pub mod twin;
pub mod verdict;
pub mod words;

pub use access::Access;
pub use access::session::Terms;
pub use site::{Settings, router, serve};
#[cfg(doc)]
use stoke_history::index::Index;
