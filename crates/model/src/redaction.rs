//! Names whose values are secret: the one list that everything that shows values goes by.
//!
//! It is the union of the defaults of `spark.redaction.regex` of all versions (`secret`, `password`, `token`, `access.key`, `api.key`, `credential`) and of what
//! else such values are called in environments, configurations and manifests.

/// Words of such a name. Parts of a word may stand together, or have `.`, `_`, `-` or a space between them.
const WORDS: [&[&str]; 21] = [
    &["secret"],
    &["password"],
    &["token"],
    &["credential"],
    &["access", "key"],
    &["api", "key"],
    &["passwd"],
    &["passphrase"],
    &["passcode"],
    &["account", "key"],
    &["private", "key"],
    &["shared", "key"],
    &["signing", "key"],
    &["encryption", "key"],
    &["storage", "key"],
    &["master", "key"],
    &["service", "key"],
    &["connection", "string"],
    &["connstr"],
    // Not a directory: PWD and OLDPWD are, without anything before them.
    &["_pwd"],
    &[".pwd"],
];

/// How many of them are Spark's own.
const OF_SPARK: usize = 6;

/// What is secret wherever it stands, as regular expressions: all of a match but its first group, and but an `@` at its end. In the syntax that Rust's and Go's have in
/// common.
pub const ANYWHERE: [&str; 7] = [
    // -----BEGIN RSA PRIVATE KEY----- … up to its end, or to the end of the text.
    r"()-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\z)",
    r"(?i)(authorization[\x22']?\s*[:=]\s*[\x22']?)(?:(?:basic|bearer|digest|negotiate|aws4-hmac-sha256)\s+)?[^\s\x22',;]+(?:,\s*(?:SignedHeaders|Signature|Credential)=[^\s,\x22']+)*",
    r"(?i)(\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/-]{12,}=*",
    r"()\b(?:AKIA|ASIA|AIDA|AROA)[0-9A-Z]{16}\b",
    r"\b([A-Za-z][A-Za-z0-9+.-]*://)[^\s/@:\x22'<>]*:[^\s/@\x22'<>]+@",
    r"()\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*)?",
    r"(?i)([?&](?:X-Amz-Signature|X-Amz-Credential|X-Amz-Security-Token|X-Goog-Signature|X-Goog-Credential|sig|signature)=)[^&\s\x22'<>]+",
];

const BETWEEN: [char; 4] = ['.', '_', '-', ' '];

/// Whether the value behind this name is secret. Asked of a value, whether it has such a name within, as `-Ddb.password=…` has.
///
/// ```
/// use stoke_model::redaction::is_secret;
/// assert!(is_secret("spark.hadoop.fs.s3a.access.key") && is_secret("DB_CREDENTIALS") && is_secret("apiKey"));
/// assert!(!is_secret("spark.app.name") && !is_secret("PWD"));
/// assert!(!is_secret("/etc/security/keytab/jhs.service.keytab"));
/// ```
pub fn is_secret(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    // A keytab's path is not a secret, and `service.keytab` the usual end of one.
    let own = lower.replace("keytab", "");
    let (of_spark, others) = WORDS.split_at(OF_SPARK);
    of_spark.iter().any(|parts| has(&lower, parts)) || others.iter().any(|parts| has(&own, parts))
}

/// Whether the parts stand in a text one after the other, with at most one sign between them.
fn has(text: &str, parts: &[&str]) -> bool {
    let Some((first, rest)) = parts.split_first() else {
        return true;
    };
    text.match_indices(first).any(|(at, _)| {
        let mut after = &text[at + first.len()..];
        rest.iter().all(|part| {
            let next = after.strip_prefix(BETWEEN).unwrap_or(after);
            match next.strip_prefix(part) {
                Some(left) => {
                    after = left;
                    true
                }
                None => false,
            }
        })
    })
}

/// The list as a regular expression without groups, for texts in which names are to be found (to be read without case).
pub fn expression() -> String {
    let words = WORDS.map(|parts| parts.join("[._ -]?").replace(".pwd", r"\.pwd"));
    format!("(?:{})", words.join("|"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::{Catalogue, Default};

    #[test]
    fn names_and_their_spellings() {
        for name in [
            "spark.my.secret",
            "AWS_SECRET_ACCESS_KEY",
            "spark.hadoop.fs.s3a.access.key",
            "accessKey",
            "access-key",
            "apikey",
            "X_API_KEY",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "spark.security.credentials.hive",
            "DB_PWD",
            "-Ddb.pwd=1",
            "AZURE_STORAGE_CONNECTION_STRING",
            "Passwort.passphrase",
            "-Dpassword=1",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in [
            "",
            "PWD",
            "OLDPWD",
            "spark.app.name",
            "access",
            "key",
            "accessing.keys",
            "spark.executor.memory",
        ] {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn every_version_of_spark_is_covered() {
        for version in ["2.4.8", "3.0.3", "3.3.4", "3.5.9", "4.0.5", "4.1.4", "4.3.0"] {
            let catalogue = Catalogue::for_version(version);
            let key = catalogue.get("spark.redaction.regex").unwrap();
            let Default::Text(default) = &key.default else {
                panic!("{version}: {:?}", key.default);
            };
            let words = default.trim_start_matches("(?i)").split('|');
            for word in words {
                for spelled in [word.replace("[.]?", ""), word.replace("[.]?", ".")] {
                    assert!(is_secret(&spelled), "{version}: {spelled} of {default}");
                }
            }
        }
    }
}
