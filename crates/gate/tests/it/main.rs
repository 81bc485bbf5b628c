//! The gates on whole jobs.

mod anything;
mod products;
