//! What a key is to a shadow.

use serde::{Deserialize, Serialize};

/// An object, or all that is below a directory. An empty path is a whole bucket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Spot {
    pub bucket: String,
    /// Without slashes at its ends.
    pub path: String,
}

impl Spot {
    #[must_use]
    pub fn new(bucket: &str, path: &str) -> Self {
        Self {
            bucket: bucket.to_owned(),
            path: path.trim_matches('/').to_owned(),
        }
    }

    /// Whether a key is this object or below this directory.
    #[must_use]
    pub fn holds(&self, bucket: &str, key: &str) -> bool {
        let below = || {
            key.strip_prefix(self.path.as_str())
                .is_some_and(|rest| rest.starts_with('/'))
        };
        self.bucket == bucket && (self.path.is_empty() || key == self.path || below())
    }

    /// Whether a key names a directory above this one.
    #[must_use]
    pub fn is_below(&self, bucket: &str, key: &str) -> bool {
        let directory = key.strip_suffix('/').unwrap_or(key);
        let rest = self.path.strip_prefix(directory);
        self.bucket == bucket && !directory.is_empty() && rest.is_some_and(|rest| rest.starts_with('/'))
    }
}

impl std::fmt::Display for Spot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", url(&self.bucket, &self.path))
    }
}

/// An object as people name it.
#[must_use]
pub fn url(bucket: &str, key: &str) -> String {
    format!("s3://{bucket}/{key}").trim_end_matches('/').to_owned()
}

/// Where a shadow may read and write. It reads what it may write, too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Places {
    pub reads: Vec<Spot>,
    pub writes: Vec<Spot>,
}

/// What becomes of a request for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// What the shadow wrote, over what was pinned.
    Shadow,
    /// What was pinned.
    Pinned,
    /// A directory above a place, which holds no object.
    Nothing,
    /// It is not among the places. What asks whether it is there hears that it is not; its content, and writes, are refused. All of it is in the log.
    Refused,
}

impl Places {
    /// What becomes of a read.
    #[must_use]
    pub fn read(&self, bucket: &str, key: &str) -> Route {
        if self.write(bucket, key) == Route::Shadow {
            return Route::Shadow;
        }
        if self.reads.iter().any(|spot| spot.holds(bucket, key)) {
            return Route::Pinned;
        }
        match self.all().any(|spot| spot.is_below(bucket, key)) {
            true => Route::Nothing,
            false => Route::Refused,
        }
    }

    /// What becomes of a write or a deletion. Clients write and delete empty objects that stand for the directories above what they write.
    #[must_use]
    pub fn write(&self, bucket: &str, key: &str) -> Route {
        let own = |spot: &Spot| spot.holds(bucket, key) || (key.ends_with('/') && spot.is_below(bucket, key));
        match self.writes.iter().any(own) {
            true => Route::Shadow,
            false => Route::Refused,
        }
    }

    /// Whether keys that begin so may be listed: it shows those of the places alone.
    #[must_use]
    pub fn lists(&self, bucket: &str, prefix: &str) -> bool {
        let touches = |spot: &Spot| spot.path.starts_with(prefix) || spot.holds(bucket, prefix);
        self.all().any(|spot| spot.bucket == bucket && touches(spot))
    }

    /// Whether a place is in this bucket.
    #[must_use]
    pub fn knows(&self, bucket: &str) -> bool {
        self.all().any(|spot| spot.bucket == bucket)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Spot> {
        self.reads.iter().chain(&self.writes)
    }
}

#[cfg(test)]
mod tests {
    use super::Route::{Nothing, Pinned, Refused, Shadow};
    use super::*;

    #[test]
    fn a_key_is_one_thing_to_a_read_and_one_to_a_write() {
        let places = Places {
            reads: vec![Spot::new("lake", "etl/orders/"), Spot::new("codes", "")],
            writes: vec![Spot::new("lake", "etl/report"), Spot::new("lake", "one.csv")],
        };
        let table = [
            ("lake", "etl/report", Shadow, Shadow),
            ("lake", "etl/report/", Shadow, Shadow),
            ("lake", "etl/report/part-0", Shadow, Shadow),
            ("lake", "etl/report2/part-0", Refused, Refused),
            ("lake", "etl/report.csv", Refused, Refused),
            ("lake", "one.csv", Shadow, Shadow),
            ("lake", "one.csv.crc", Refused, Refused),
            ("lake", "etl/orders/a", Pinned, Refused),
            ("lake", "etl/orders", Pinned, Refused),
            ("lake", "etl/ordersx", Refused, Refused),
            // Directories above: markers are kept apart, objects of that name are not there.
            ("lake", "etl/", Shadow, Shadow),
            ("lake", "etl", Nothing, Refused),
            ("lake", "et", Refused, Refused),
            ("lake", "", Refused, Refused),
            ("lake", "/", Refused, Refused),
            ("codes", "any/thing", Pinned, Refused),
            ("other", "etl/report/part-0", Refused, Refused),
            ("stoke-shadow", "x/lake/etl/report/part-0", Refused, Refused),
        ];
        for (bucket, key, read, write) in table {
            assert_eq!(
                (places.read(bucket, key), places.write(bucket, key)),
                (read, write),
                "{bucket} {key}"
            );
        }
        for (bucket, prefix, allowed) in [
            ("lake", "", true),
            ("lake", "etl/", true),
            ("lake", "etl/report/_temporary/", true),
            ("lake", "etl/report2/", false),
            ("lake", "other/", false),
            ("codes", "x", true),
            ("other", "", false),
        ] {
            assert_eq!(places.lists(bucket, prefix), allowed, "{bucket} {prefix}");
        }
        assert!(places.knows("codes") && !places.knows("stoke-shadow"));
        assert_eq!(Spot::new("codes", "/").to_string(), "s3://codes");
    }
}
