//! A report in the forms people and programs read.

mod junit;
mod sarif;
mod text;

pub use junit::junit;
pub use sarif::sarif;
pub use text::{Tone, text};
