//! What a URL or a path means.

use std::fmt;
use std::path::PathBuf;

use crate::{StorageError, Verb};

/// Whose store it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cloud {
    /// S3 and everything that speaks its protocol.
    Aws,
    /// Google Cloud Storage.
    Google,
    /// Azure Blob Storage.
    Azure,
}

/// What Spark's connectors (hadoop-aws, the GCS connector, hadoop-azure) call them, and the other names of S3.
const SCHEMES: [(&str, Cloud); 8] = [
    ("s3", Cloud::Aws),
    ("s3a", Cloud::Aws),
    ("s3n", Cloud::Aws),
    ("gs", Cloud::Google),
    ("abfs", Cloud::Azure),
    ("abfss", Cloud::Azure),
    ("wasb", Cloud::Azure),
    ("wasbs", Cloud::Azure),
];

/// A directory or file of this machine, or a path in a bucket.
///
/// ```
/// use stoke_storage::{Address, Cloud};
///
/// let address = Address::parse("s3a://logs/spark/events").unwrap();
/// assert_eq!(address.bucket(), Some((Cloud::Aws, "logs", "spark/events")));
/// assert!(Address::parse("hdfs://name/logs").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A path of this machine.
    Local(PathBuf),
    /// A path in a bucket.
    Bucket {
        /// Whose store it is.
        cloud: Cloud,
        /// As it was written: `s3a`, `abfss`.
        scheme: String,
        /// Bucket, or container of Azure with its account: `logs@acme.dfs.core.windows.net`.
        bucket: String,
        /// Path in it, without the first slash.
        path: String,
    },
}

impl Address {
    /// The meaning of a URL; a path without a scheme is one of this machine.
    ///
    /// # Errors
    /// Another scheme, or a URL without a bucket or an absolute path.
    pub fn parse(text: &str) -> Result<Self, StorageError> {
        let unreadable = |cause: &str| StorageError::new(Verb::Address, text, cause);
        let Some((scheme, rest)) = split(text) else {
            return match text.is_empty() {
                true => Err(unreadable("it is empty")),
                false => Ok(Self::Local(PathBuf::from(text))),
            };
        };
        if scheme == "file" {
            // Spark writes `file:/path` too.
            let path = rest.strip_prefix("//").unwrap_or(rest);
            return match path.starts_with('/') {
                true => Ok(Self::Local(PathBuf::from(path))),
                false => Err(unreadable("a URL of a file has an absolute path")),
            };
        }
        let Some((_, cloud)) = SCHEMES.iter().find(|(name, _)| *name == scheme) else {
            return Err(unreadable(&format!("the scheme {scheme} is not one that is known")));
        };
        let Some(rest) = rest.strip_prefix("//") else {
            return Err(unreadable("two slashes follow the scheme"));
        };
        let (bucket, path) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() || bucket.starts_with('@') {
            return Err(unreadable("it names no bucket"));
        }
        Ok(Self::Bucket {
            cloud: *cloud,
            scheme: scheme.to_owned(),
            bucket: bucket.to_owned(),
            path: path.to_owned(),
        })
    }

    /// As [`Address::parse`], of a URL only.
    ///
    /// # Errors
    /// As there, and a path without a scheme.
    pub fn of_url(text: &str) -> Result<Self, StorageError> {
        match split(text) {
            Some(_) => Self::parse(text),
            None => Err(StorageError::new(Verb::Address, text, "it has no scheme")),
        }
    }

    /// Cloud, bucket and path, of an address in a bucket.
    #[must_use]
    pub fn bucket(&self) -> Option<(Cloud, &str, &str)> {
        match self {
            Self::Local(_) => None,
            Self::Bucket {
                cloud, bucket, path, ..
            } => Some((*cloud, bucket, path)),
        }
    }

    /// The same place under the scheme that programs outside Hadoop know: `s3://` for `s3a://`.
    #[must_use]
    pub fn plain(self) -> Self {
        match self {
            Self::Bucket {
                cloud: Cloud::Aws,
                bucket,
                path,
                ..
            } => Self::Bucket {
                cloud: Cloud::Aws,
                scheme: "s3".to_owned(),
                bucket,
                path,
            },
            other => other,
        }
    }
}

/// Without the last slash.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Local(path) => format!("file://{}", path.display()),
            Self::Bucket {
                scheme, bucket, path, ..
            } => format!("{scheme}://{bucket}/{path}"),
        };
        let shown = text.trim_end_matches('/');
        f.write_str(if shown == "file:" { "file:///" } else { shown })
    }
}

/// Scheme and rest of a URL. A colon in a path (`day=10:00/a`) begins none: what stands before it is a scheme if it is one that is known, or if `//` follows.
fn split(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let mut letters = scheme.chars();
    let begins = letters.next().is_some_and(|first| first.is_ascii_alphabetic());
    let is_scheme = begins && letters.all(|letter| letter.is_ascii_alphanumeric() || "+-.".contains(letter));
    let known = scheme == "file" || SCHEMES.iter().any(|(name, _)| *name == scheme);
    (is_scheme && (rest.starts_with("//") || known && rest.starts_with('/'))).then_some((scheme, rest))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn urls_and_paths() {
        use Cloud::{Aws, Azure, Google};
        for (text, shown, bucket) in [
            ("s3://logs", "s3://logs", Some((Aws, "logs", ""))),
            ("s3://logs/spark/", "s3://logs/spark", Some((Aws, "logs", "spark/"))),
            ("s3a://logs/spark", "s3a://logs/spark", Some((Aws, "logs", "spark"))),
            ("gs://logs/a/b", "gs://logs/a/b", Some((Google, "logs", "a/b"))),
            (
                "abfss://logs@acme.dfs.core.windows.net/spark",
                "abfss://logs@acme.dfs.core.windows.net/spark",
                Some((Azure, "logs@acme.dfs.core.windows.net", "spark")),
            ),
            ("wasb://logs/x", "wasb://logs/x", Some((Azure, "logs", "x"))),
            ("file:///data/x/", "file:///data/x", None),
            ("file:/data/x", "file:///data/x", None),
            ("file:///", "file:///", None),
            ("/data/x", "file:///data/x", None),
            ("data/day=10:00/x", "file://data/day=10:00/x", None),
            ("c:x", "file://c:x", None),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!(
                (address.to_string().as_str(), address.bucket()),
                (shown, bucket),
                "{text}"
            );
        }
        for wrong in [
            "",
            "hdfs://name/logs",
            "s3:///spark",
            "s3a:/logs/x",
            "file://relative",
            "abfs://@acme.dfs.core.windows.net/logs",
            "gs:///logs",
        ] {
            let error = Address::parse(wrong).unwrap_err();
            assert_eq!(error.code(), "stoke::storage::address", "{wrong}");
            assert!(error.to_string().contains("write s3://bucket/path"), "{error}");
        }
        for path in ["/data", "data", ""] {
            assert!(Address::of_url(path).is_err(), "{path}");
        }
        let plain = Address::parse("s3a://lake/raw").unwrap().plain();
        assert_eq!(plain.to_string(), "s3://lake/raw");
    }
}
