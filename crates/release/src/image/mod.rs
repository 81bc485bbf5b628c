//! `stoke image build`: a directory of code becomes an image, the same bits each time.
//!
//! In: a directory with a [`Spec`] (`stoke-image.yaml`), a `Containerfile` of the part that needs no container, or neither; a base image. Out: an image whose
//! base blobs are the base's own, with up to three layers on top: wheels, jars, code; written to a registry, a layout or an archive.
//!
//! - [`spec`] reads what is wanted, [`containerfile`] reads it from a Containerfile, [`detect`] finds it out
//! - [`sources`]: which files of the directory go where in the image
//! - [`wheels`]: Python packages, resolved once into the [`lock`], fetched by pip, unpacked here
//! - [`layer`]: a tree of files becomes a layer, the same bits each time
//! - [`runtime_base`]: a base out of a local Spark and this machine's programs, for work without a registry
//! - [`build()`]: all of it together
//!
//! Nothing of the machine shows in the result: no time, user, path, umask, locale or order of files. Nothing is executed of the job or of its packages.

mod assemble;
pub mod build;
pub mod containerfile;
pub mod detect;
mod error;
pub mod layer;
pub mod lock;
pub mod runtime_base;
pub mod sources;
pub mod spec;
pub mod wheels;

pub use build::{Base, Builder, Built, Request, Target, build};
pub use error::BuildError;
pub use spec::{Spec, schema};
