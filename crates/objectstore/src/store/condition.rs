//! Conditions on what is at a key when it is written (`If-Match`, `If-None-Match`): checked inside the write's own transaction.

use super::error::StoreError;
use super::record::Object;

/// What must be at the key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// Anything or nothing.
    #[default]
    None,
    /// Nothing: `If-None-Match: *`.
    Absent,
    /// Something: `If-Match: *`.
    Present,
    /// An object with this ETag, without quotes: `If-Match: "…"`.
    Etag(String),
}

impl Condition {
    /// Refuses when the condition does not hold. A missing object under `If-Match` is `NoSuchKey`, as S3 has it.
    pub fn check(&self, existing: Option<&Object>) -> Result<(), StoreError> {
        match (self, existing) {
            (Condition::None, _) | (Condition::Absent, None) | (Condition::Present, Some(_)) => Ok(()),
            (Condition::Absent, Some(_)) => Err(StoreError::PreconditionFailed),
            (Condition::Present | Condition::Etag(_), None) => Err(StoreError::NoSuchKey),
            (Condition::Etag(etag), Some(object)) if *etag == object.etag => Ok(()),
            (Condition::Etag(_), Some(_)) => Err(StoreError::PreconditionFailed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_hold_or_are_refused_with_their_own_error() {
        let object = Object {
            size: 0,
            modified: 0,
            etag: "e".into(),
            content: 0,
            record: Default::default(),
        };
        let (there, missing) = (Some(&object), None);
        let etag = |etag: &str| Condition::Etag(etag.into());
        let table = [
            (Condition::None, there, Ok(())),
            (Condition::None, missing, Ok(())),
            (Condition::Absent, missing, Ok(())),
            (Condition::Absent, there, Err(StoreError::PreconditionFailed)),
            (Condition::Present, there, Ok(())),
            (Condition::Present, missing, Err(StoreError::NoSuchKey)),
            (etag("e"), there, Ok(())),
            (etag("f"), there, Err(StoreError::PreconditionFailed)),
            (etag("e"), missing, Err(StoreError::NoSuchKey)),
        ];
        for (condition, existing, expected) in table {
            assert_eq!(condition.check(existing), expected, "{condition:?}");
        }
    }
}
