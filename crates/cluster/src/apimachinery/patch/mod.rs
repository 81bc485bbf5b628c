//! The patch types: from an object and a patch to the changed object, purely.
//!
//! Server-side apply, which needs to know who owns which field, is in [`super::apply`].

mod json;
mod merge;
mod strategic;

pub use json::json_patch;
pub use merge::merge_patch;
pub use strategic::{strategic_merge_patch, unknown_directive};
