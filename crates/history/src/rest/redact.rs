//! Secrets are not shown: Spark's own rule (`spark.redaction.regex`, `Utils.redact`), with the names of every version and of ours.

use stoke_model::redaction::is_secret;

use crate::model::data::Pairs;

/// What a secret is replaced by.
const HIDDEN: &str = "*********(redacted)";

/// The pairs as they may be shown.
pub fn redacted(pairs: &Pairs, hide: bool) -> impl Iterator<Item = (&str, &str)> {
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

    #[test]
    fn none_of_a_thousand_planted_secrets_is_shown() {
        let words = [
            "secret",
            "password",
            "token",
            "access.key",
            "accessKey",
            "api_key",
            "CREDENTIAL",
            "credentials",
            "PASSWD",
            "passphrase",
        ];
        let forms = [
            "spark.WORD",
            "spark.hadoop.fs.s3a.WORD",
            "WORD",
            "spark.my.WORD.file",
            "spark.kubernetes.driverEnv.MY_WORD",
            "spark.executorEnv.WORD_1",
            "hive.WORD.x",
            "a.b-WORD",
            "X_WORD",
            "WORDs",
        ];
        let mut pairs: Pairs = Vec::new();
        for (place, form) in (0..10).flat_map(|round| forms.map(|form| (round, form))) {
            for word in words {
                let name = form.replace("WORD", word);
                pairs.push(match place % 2 {
                    0 => (format!("{name}{place}"), format!("planted-{}", pairs.len())),
                    // Behind a name that says nothing, in the options of a JVM.
                    _ => (
                        format!("spark.driver.defaultJavaOptions{place}"),
                        format!("-Xss4m -D{name}=planted-{}", pairs.len()),
                    ),
                });
            }
        }
        assert_eq!(pairs.len(), 1_000);
        let shown = redacted(&pairs, true).filter(|(_, value)| value.contains("planted-"));
        assert_eq!(shown.collect::<Vec<_>>(), []);
    }
}
