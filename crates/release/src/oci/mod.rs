//! Images as files and in registries: digests, manifests, layouts, archives, the registry protocol, a cache of blobs.
//!
//! In: a [`Location`] (`registry/repository:tag`, `oci:DIRECTORY`, `archive:FILE`), credentials as Docker keeps them. Out: manifests as they were written, blobs
//! as files, both held against their digests.
//!
//! - [`Digest`], [`Descriptor`], [`Manifest`], [`Index`], [`Config`]: what an image is made of ([`media`] has the names of their kinds, OCI's and Docker's)
//! - [`Repository`]: one image name wherever it is, to read from and write to; [`copy`] moves images between two of them
//! - [`registry`]: the protocol of the distribution specification; [`Layout`], [`Archive`]: directories and tar files
//! - [`Cache`]: blobs by digest on this machine, for any number of processes
//! - [`unpack`]: layers become a directory
//!
//! Never: a blob that is used before its digest was seen to be right, a credential in a message, or a manifest written again in other bytes.

mod archive;
mod cache;
pub mod copy;
mod digest;
mod error;
mod layout;
mod location;
pub mod media;
mod model;
pub mod registry;
mod repository;
pub mod unpack;

pub use archive::{Archive, write_archive};
pub use cache::{Cache, Kept, Swept};
pub use copy::{Copied, Platforms};
pub use digest::{Digest, Hashing, Verified};
pub use error::{Kind, OciError, OciResult};
pub use layout::{Layout, text};
pub use location::Location;
pub use model::{Config, Descriptor, Execution, History, Index, Manifest, Parsed, Platform, RootFs, parse};
pub use registry::{Credentials, Registry, Settings};
pub use repository::{Blob, Fetched, Repository};
