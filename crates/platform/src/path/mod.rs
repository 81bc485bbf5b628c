//! Golden paths.
