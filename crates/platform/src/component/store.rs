//! An object store outside: nothing runs; what uses it is told where it is.

use super::{About, Embedded, Gives};

pub const ABOUT: About = About {
    kind: "object-store",
    title: "a bucket of S3 or of a server that speaks its protocol, of Google Cloud Storage, or of Azure",
    versions: &[],
    gives: &[Gives::Files],
    user: 0,
    port: 443,
    usual: ("0", "0"),
    health: "those that use it ask for their objects",
    metrics: None,
    embedded: Embedded::Outside,
};
