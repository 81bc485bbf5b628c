//! Who works: one Lease (`coordination.k8s.io/v1`) per shard, held by at most one operator at a time.
//!
//! In: the leases as the API server tells them, and a monotonic clock. Out: an open or closed [`Gate`](crate::Gate).
//! - [`decide`]: from what was seen to what to do (pure)
//! - [`keeper`]: does it, every retry period: one LIST, and one PUT per lease held
//!
//! As Kubernetes' own components do it: no one's clock is believed but the own one (a lease has expired when it was not seen to change for
//! its duration), every write names the version it was decided on, and a holder that could not renew stops before another may begin. With
//! one shard the lease has the published name, so that a published operator in the same namespace and this one never work both.

pub mod decide;
mod keeper;
#[cfg(test)]
mod model;

pub use decide::Terms;
pub use keeper::{Election, keep};
