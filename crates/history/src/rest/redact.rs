//! Secrets are not shown: Spark's own rule (`spark.redaction.regex`, `Utils.redact`).

use crate::model::data::Pairs;

/// What a secret is replaced by.
const HIDDEN: &str = "*********(redacted)";
/// Parts of names and values the default of `spark.redaction.regex` looks for, `(?i)secret|password|token|access[.]?key`, and
/// since 4.0 also `api[.]?key`.
const SECRET: [&str; 7] = [
    "secret",
    "password",
    "token",
    "accesskey",
    "access.key",
    "apikey",
    "api.key",
];

fn is_secret(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    SECRET.iter().any(|part| lower.contains(part))
}

/// The pairs as they may be shown.
pub(super) fn redacted(pairs: &Pairs, hide: bool) -> impl Iterator<Item = (&str, &str)> {
    pairs.iter().map(move |(name, value)| {
        let secret = hide && (is_secret(name) || is_secret(value));
        (name.as_str(), if secret { HIDDEN } else { value.as_str() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden() {
        let pairs = vec![
            ("spark.hadoop.fs.s3a.secret.key".to_owned(), "x".to_owned()),
            ("spark.app.name".to_owned(), "plain".to_owned()),
            ("spark.driver.extraJavaOptions".to_owned(), "-Dpassword=1".to_owned()),
        ];
        let shown: Vec<_> = redacted(&pairs, true).map(|(_, value)| value).collect();
        assert_eq!(shown, [HIDDEN, "plain", HIDDEN]);
    }
}
