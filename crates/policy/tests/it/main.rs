//! The engine beside others.

mod conftest;
mod derived;
mod opa;
