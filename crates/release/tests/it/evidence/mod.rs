//! Evidence of identities: a sigstore instance in the memory of a test, and what is wrong with what it signs.

mod keyless;
pub mod world;
