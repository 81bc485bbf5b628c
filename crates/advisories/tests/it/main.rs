//! The database of advisories and the order of versions.

mod database;
mod versions;
