//! Room `runtime`: container images become local Sparks and programs: found, installed, verified, started fast.
//!
//! In: an image name as a manifest has it, the user's `images.yaml`, what is installed on this machine. Out: an [`Image`] (mounts,
//! environment, entrypoint, user) that a sandbox can run, or an error that teaches how to get one.
//!
//! [`reference`] reads image names, [`mapping`] the user's file, [`java`] finds Java, [`runtime`] is the catalogue of what is installed,
//! [`install`] adds to it, [`image`] describes the container, [`launch`] records how that Spark's own launcher starts a driver and
//! keeps the archives that make it start fast, with the recorded runs that those of Java 25 are made of, [`packages`] keeps what
//! `spark.jars.packages` brought, and [`entrypoint`] is the program that runs inside the container as `/opt/entrypoint.sh`. [`programs`] is the same for
//! the components around Spark: PostgreSQL, Kafka and others.
//!
//! This room never starts a container, never talks to Kubernetes, and changes nothing of what a job computes.

pub mod entrypoint;
pub mod error;
mod examples;
pub mod image;
pub mod install;
mod jar;
pub mod java;
pub mod known;
pub mod launch;
pub mod mapping;
pub mod packages;
pub mod programs;
pub mod reference;
pub mod runtime;
pub mod version;

pub use error::{Corruption, ImageError, InstallError, JavaError};
pub use image::{EVENT_LOGS, Image, Mount, PACKAGES, PROGRAM, Preparation, QUALITY, Recording};
pub use install::{JAVAS, PrivateJava, Progress, Stage};
pub use launch::REHEARSAL;
pub use programs::{Program, ProgramError, Programs};
pub use runtime::{Origin, Runtime, Runtimes};
pub use version::Version;
