//! Conditions of reads (RFC 9110 section 13) and of writes, from the request's headers.

use http::HeaderMap;
use s3s::dto::{ETagCondition, Timestamp};
use s3s::{S3Error, S3Result, s3_error};

use super::answers::timestamp;
use super::errors::not_here;
use crate::store::condition::Condition;
use crate::store::record::Object;

#[derive(Clone, Debug, Default)]
pub struct ReadConditions {
    /// `If-Match`.
    pub matches: Option<ETagCondition>,
    /// `If-None-Match`.
    pub none_matches: Option<ETagCondition>,
    /// `If-Modified-Since`.
    pub modified_since: Option<Timestamp>,
    /// `If-Unmodified-Since`.
    pub unmodified_since: Option<Timestamp>,
}

/// What the conditions of a read say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They hold.
    Holds,
    /// The client has it already: 304, for a copy 412.
    NotModified,
    /// They do not hold: 412.
    Failed,
}

fn holds(condition: &ETagCondition, etag: &str) -> bool {
    condition.as_etag().is_none_or(|wanted| wanted.value() == etag)
}

impl ReadConditions {
    /// Judges an object. An ETag condition overrides the time condition of its kind. Times are compared in whole seconds.
    pub fn judge(&self, object: &Object) -> Verdict {
        let modified = timestamp(object.modified / 1000 * 1000);
        match (&self.matches, &self.unmodified_since) {
            (Some(condition), _) if !holds(condition, &object.etag) => return Verdict::Failed,
            (None, Some(since)) if modified > *since => return Verdict::Failed,
            _ => {}
        }
        match (&self.none_matches, &self.modified_since) {
            (Some(condition), _) if holds(condition, &object.etag) => Verdict::NotModified,
            (None, Some(since)) if modified <= *since => Verdict::NotModified,
            _ => Verdict::Holds,
        }
    }

    /// Refuses a read whose conditions do not hold, with the headers a 304 carries.
    pub fn check(&self, object: &Object) -> S3Result<()> {
        match self.judge(object) {
            Verdict::Holds => Ok(()),
            Verdict::Failed => Err(precondition_failed()),
            Verdict::NotModified => {
                let mut answer = s3_error!(NotModified);
                let mut headers = HeaderMap::new();
                if let Ok(etag) = format!("\"{}\"", object.etag).parse() {
                    headers.insert(http::header::ETAG, etag);
                }
                answer.set_headers(headers);
                Err(answer)
            }
        }
    }

    /// Refuses a copy whose conditions on its source do not hold.
    pub fn check_source(&self, object: &Object) -> S3Result<()> {
        match self.judge(object) {
            Verdict::Holds => Ok(()),
            _ => Err(precondition_failed()),
        }
    }
}

/// 412.
pub fn precondition_failed() -> S3Error {
    s3_error!(
        PreconditionFailed,
        "At least one of the pre-conditions you specified did not hold"
    )
}

/// The condition of a write, read from its headers, as not every operation of the protocol layer knows them.
pub fn of_write(headers: &HeaderMap) -> S3Result<Condition> {
    let text = |name: http::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let none_match = text(http::header::IF_NONE_MATCH).map(str::trim);
    let matches = text(http::header::IF_MATCH).map(str::trim);
    match (matches, none_match) {
        (None, None) => Ok(Condition::None),
        (None, Some("*")) => Ok(Condition::Absent),
        (None, Some(_)) => Err(not_here("If-None-Match with an ETag on a write (only `*`)")),
        (Some("*"), None) => Ok(Condition::Present),
        (Some(etag), None) => Ok(Condition::Etag(etag.trim_matches('"').to_string())),
        (Some(_), Some(_)) => Err(not_here("If-Match together with If-None-Match on a write")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_are_judged_as_http_says() {
        let object = Object {
            size: 1,
            modified: 1_000_500,
            etag: "e".into(),
            content: 1,
            record: Default::default(),
        };
        let etag = |text: &str| Some(text.parse::<ETagCondition>().unwrap());
        let (before, same, after) = (timestamp(999_000), timestamp(1_000_000), timestamp(1_001_000));
        let none = ReadConditions::default;
        let table = [
            (none(), Verdict::Holds),
            (
                ReadConditions {
                    matches: etag("\"e\""),
                    ..none()
                },
                Verdict::Holds,
            ),
            (
                ReadConditions {
                    matches: etag("*"),
                    ..none()
                },
                Verdict::Holds,
            ),
            (
                ReadConditions {
                    matches: etag("\"f\""),
                    ..none()
                },
                Verdict::Failed,
            ),
            (
                ReadConditions {
                    none_matches: etag("\"e\""),
                    ..none()
                },
                Verdict::NotModified,
            ),
            (
                ReadConditions {
                    none_matches: etag("\"f\""),
                    ..none()
                },
                Verdict::Holds,
            ),
            (
                ReadConditions {
                    modified_since: Some(same.clone()),
                    ..none()
                },
                Verdict::NotModified,
            ),
            (
                ReadConditions {
                    modified_since: Some(before.clone()),
                    ..none()
                },
                Verdict::Holds,
            ),
            (
                ReadConditions {
                    unmodified_since: Some(before.clone()),
                    ..none()
                },
                Verdict::Failed,
            ),
            (
                ReadConditions {
                    unmodified_since: Some(after),
                    ..none()
                },
                Verdict::Holds,
            ),
            (
                ReadConditions {
                    matches: etag("\"e\""),
                    unmodified_since: Some(before),
                    ..none()
                },
                Verdict::Holds,
            ),
            (
                ReadConditions {
                    none_matches: etag("\"f\""),
                    modified_since: Some(same),
                    ..none()
                },
                Verdict::Holds,
            ),
        ];
        for (conditions, expected) in table {
            assert_eq!(conditions.judge(&object), expected, "{conditions:?}");
        }
    }
}
