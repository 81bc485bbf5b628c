//! What objects of a namespace ask of new ones: quotas, limit ranges, Pod Security. Pure functions; the glue that reads the store is in
//! [`crate::registry::admission`].
//!
//! - [`resources`]: what a pod asks for, summed as the scheduler sums it
//! - [`quota`]: what an object uses of a ResourceQuota
//! - [`limits`]: defaults and bounds of a LimitRange
//! - [`security`]: what Pod Security levels forbid

pub mod limits;
pub mod quota;
pub mod resources;
pub mod security;
