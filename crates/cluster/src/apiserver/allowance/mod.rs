//! What objects of a namespace ask of new ones: quotas, limit ranges, Pod Security. Pure functions; the glue that reads the store is in
//! [`super::handlers`].
//!
//! - [`resources`]: what a pod asks for, summed as the scheduler sums it
//! - [`quota`]: what an object uses of a ResourceQuota
//! - [`limits`]: defaults and bounds of a LimitRange
//! - [`security`]: what Pod Security levels forbid
//! - [`ledger`]: what is used now, shared by concurrent requests

pub mod ledger;
pub mod limits;
pub mod quota;
pub mod resources;
pub mod security;
