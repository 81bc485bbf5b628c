//! Pictures, laid out here: templates only write, and browsers get pixels, not objects.

pub mod chart;
pub mod grid;
pub mod histogram;
pub mod layers;
pub mod load;
pub mod plan;
pub mod timeline;
pub mod treemap;
pub mod waterfall;
