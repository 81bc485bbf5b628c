//! The Spark releases whose package checksums are pinned.
//!
//! SHA-256 of the source distributions of `pyspark` and of the `py4j` wheel on the public Python package index. A mirror that
//! serves other bytes is refused. Releases not listed here are installed with the checksum the index itself gives, which is recorded.

use crate::version::Version;

/// What `latest` means.
pub const NEWEST: &str = "4.3.0";

/// A release whose checksum is pinned.
pub struct Release {
    pub version: &'static str,
    /// SHA-256 of `pyspark-<version>.tar.gz`, in hexadecimal.
    pub sha256: &'static str,
    /// Size of that file in bytes, to three digits: for progress only.
    pub bytes: u64,
}

/// The pinned releases, oldest first.
pub const RELEASES: &[Release] = &[
    Release {
        version: "3.5.9",
        sha256: "ea27adc39ddac9413b8951e45aa748cbed6c785971b81386efc41938f6243d93",
        bytes: 317_900_000,
    },
    Release {
        version: "4.0.5",
        sha256: "a0d44b0e7faf0458ad83b7aa664e7ed8b96beed8a55d66ce3b0dfac2309dfca6",
        bytes: 434_400_000,
    },
    Release {
        version: "4.1.4",
        sha256: "bcbd5e18690cf79d438e97210ad06fb8d451a251bb77becc2b0418868d2acd73",
        bytes: 455_600_000,
    },
    Release {
        version: "4.2.1",
        sha256: "d79b7c8ee41e66a9202fe6f600ca90b931ca571ae9dbdf31c58d2672e5102da0",
        bytes: 450_000_000,
    },
    Release {
        version: "4.3.0",
        sha256: "e8c517948eff7088a7aa07449aa8eafa4a15a8d50319de2525a6fd26622476c6",
        bytes: 455_900_000,
    },
];

/// `py4j`, the only package PySpark cannot work without: the version all of [`RELEASES`] accept, and the SHA-256 of its wheel.
pub const PY4J: (&str, &str) = (
    "0.10.9.9",
    "c7c26e4158defb37b0bb124933163641a2ff6e3a3913f7811b0ddbe07ed61533",
);

/// The versions of [`RELEASES`].
pub fn versions() -> Vec<Version> {
    RELEASES
        .iter()
        .filter_map(|release| release.version.parse().ok())
        .collect()
}

/// The pinned release of a version.
pub fn release(version: &Version) -> Option<&'static Release> {
    let text = version.to_string();
    RELEASES.iter().find(|release| release.version == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_well_formed() {
        let versions = versions();
        assert_eq!(versions.len(), RELEASES.len());
        assert!(versions.is_sorted());
        assert_eq!(versions.last().unwrap().to_string(), NEWEST);
        for release in RELEASES {
            assert!(release.sha256.len() == 64 && release.sha256.bytes().all(|b| b.is_ascii_hexdigit()));
            assert!(release.bytes > 100_000_000, "{}", release.version);
        }
    }
}
