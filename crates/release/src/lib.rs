//! Room `release`: from a directory of code to a signed release in production, and back.
//!
//! In: code and its dependencies, images at references, manifests, keys, the records of environments. Out: images, bills of materials, attestations, releases, and what a promotion
//! would do. It needs no Docker and no root, and it never changes a blob that it did not make.

pub mod ab;
pub mod bundle;
pub mod canonical;
pub mod ci;
pub mod codes;
pub mod environment;
pub mod events;
pub mod evidence;
pub mod gitops;
pub mod here;
pub mod image;
pub mod ledger;
pub mod oci;
pub mod publish;
pub mod sbom;
pub mod shadow;
