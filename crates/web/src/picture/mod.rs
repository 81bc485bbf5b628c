//! Pictures, laid out here: templates write what they are told, and browsers get pixels, not objects.

pub mod grid;
pub mod histogram;
pub mod layers;
pub mod plan;
pub mod timeline;
