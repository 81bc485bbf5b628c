//! Pictures, laid out here: templates only write, and browsers get pixels, not objects.

pub mod grid;
pub mod histogram;
pub mod layers;
pub mod plan;
pub mod timeline;
