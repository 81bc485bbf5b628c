//! The gates on whole jobs.

mod anything;
mod page;
mod products;
