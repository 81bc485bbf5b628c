//! What is in an image or a directory: packages of the operating system, of Python, of Java, as CycloneDX and SPDX.
//!
//! In: a directory, or the layers of an image, each as a stream. Out: an [`Inventory`], and the two documents of it, the same bytes for the same content.
//! Nothing is unpacked to disk but archives that need random access, one at a time; nothing of the image is executed.
//! - [`tree`]: which files are looked into, in a directory or in layers with their whiteouts
//! - [`dpkg`], [`apk`], [`rpm`], [`python`], [`java`]: what these files say
//! - [`package`]: a package and its package URL; [`inventory`]: all of them, each once
//! - [`cyclonedx`], [`spdx_document`]: the documents; [`vulnerable`]: what is known against them
//!
//! A file that lists packages and cannot be read is an error, or is named in the document where that was asked for. Never: a guessed group of a jar, and CPE names.

mod apk;
pub mod cyclonedx;
mod dpkg;
pub mod inventory;
mod java;
mod licence;
pub mod package;
mod python;
mod rpm;
pub mod spdx_document;
pub mod tree;
pub mod vulnerable;

pub use inventory::{Inventory, Os, Unread};
pub use package::{Kind, Package};
pub use tree::{SbomError, directory, layers};

/// What documents say of themselves.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// What was looked into, as it was named.
    pub name: String,
    /// `sha256:…` of an image.
    pub digest: Option<String>,
    /// When, in seconds since 1970: none, so that the same content gives the same document, unless it is asked for (`SOURCE_DATE_EPOCH`).
    pub timestamp: Option<jiff::Timestamp>,
}

/// A UUID of a text: version 8, made of its SHA-256.
fn uuid(text: &str) -> String {
    use sha2::{Digest, Sha256};
    let sum = Sha256::digest(text.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&sum[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    parts.join("-")
}
