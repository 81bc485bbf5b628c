//! What must not leave the cluster is taken out.
//!
//! Redacted are: values whose name is in the one list of such names ([`stoke_model::redaction`]: those of `spark.redaction.regex` of every Spark,
//! and further ones), in configurations, environments, JSON, command lines and log
//! lines; the data of Secrets; Authorization headers and bearer tokens; AWS access keys; passwords in addresses; signatures of
//! presigned addresses; JSON Web Tokens; private keys in PEM. Names of Secrets stay: they say what is missing. A secret that nothing
//! marks as one (in a free text, under another key) is not recognised.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::Value;
use stoke_model::redaction;

/// What stands where a secret was.
pub const REDACTED: &str = "REDACTED";

/// Keys that have such a word and hold names, not secrets.
const NAMES: [&str; 10] = [
    "secretname",
    "secrettype",
    "secretref",
    "expirationseconds",
    "tokenexpirationseconds",
    "imagepullsecrets",
    "automountserviceaccounttoken",
    "gmsacredentialspecname",
    "secretnames",
    "secrets",
];
/// Rounds until nothing changes; one rule may uncover another's text, and never more than a few times.
const ROUNDS: usize = 8;

struct Rules {
    /// A quick look whether any rule may match.
    any: Regex,
    /// `"key": "value"`, also within a JSON text, where quotes are escaped.
    pair: Regex,
    /// `["key", "value"]`, `"key": ["value", …]` and `"name": "key", "value": "…"`.
    listed: [Regex; 3],
    /// `key=value`, `key: value`, `(key,value)`, `--key value`.
    assignment: Regex,
    /// The whole match is secret but for the first group.
    whole: Vec<Regex>,
}

static RULES: LazyLock<Option<Rules>> = LazyLock::new(|| rules().ok());

fn rules() -> Result<Rules, regex::Error> {
    let key = redaction::expression();
    Ok(Rules {
        any: Regex::new(&format!(
            "(?i){key}|authorization|bearer|basic|AKIA|ASIA|AIDA|AROA|://|eyJ|PRIVATE KEY|[?&](?:X-|sig)"
        ))?,
        pair: Regex::new(&format!(
            r#"(?i)(\\*")([^"\\]*{key}[^"\\]*)(\\*"\s*:\s*)(\\*")((?:[^"\\]|\\[^"\\])*)(\\*")"#
        ))?,
        listed: [
            Regex::new(&format!(
                r#"(?i)(\[\s*\\*"([^"\\]*{key}[^"\\]*)\\*"\s*,\s*\\*")(?:[^"\\]|\\[^"\\])+(\\*"\s*\])"#
            ))?,
            Regex::new(&format!(
                r#"(?i)(\\*"([^"\\]*{key}[^"\\]*)\\*"\s*:\s*\[\s*\\*")[^\[\]{{}}]+?(\\*"\s*\])"#
            ))?,
            Regex::new(&format!(
                r#"(?i)(\\*"name\\*"\s*:\s*\\*"([^"\\]*{key}[^"\\]*)\\*"\s*,\s*\\*"value\\*"\s*:\s*\\*")(?:[^"\\]|\\[^"\\])+(\\*")"#
            ))?,
        ],
        assignment: Regex::new(&format!(
            r#"(?i)([\w.-]*{key}[\w.-]*)(\s*[=:]\s*|,|\s+)("[^"]*"|'[^']*'|[^\s,;&"')\]}}]+)"#
        ))?,
        whole: redaction::ANYWHERE
            .into_iter()
            .map(Regex::new)
            .collect::<Result<_, _>>()?,
    })
}

/// Whether the value of this key is secret.
pub fn is_secret(key: &str) -> bool {
    let lower = key.to_ascii_lowercase();
    redaction::is_secret(key) && !NAMES.contains(&lower.as_str())
}

/// A text without its secrets. Doing it again changes nothing.
pub fn text(text: &str) -> Cow<'_, str> {
    let Some(rules) = RULES.as_ref() else {
        return Cow::Borrowed(REDACTED);
    };
    let mut now = Cow::Borrowed(text);
    for _ in 0..ROUNDS {
        if !rules.any.is_match(&now) {
            break;
        }
        let next = once(rules, &now);
        if next == now {
            break;
        }
        now = Cow::Owned(next);
    }
    now
}

fn once(rules: &Rules, text: &str) -> String {
    let mut now = text.to_owned();
    for rule in &rules.whole {
        if let Cow::Owned(changed) = rule.replace_all(&now, |found: &Captures<'_>| {
            let kept = found.get(1).map_or("", |kept| kept.as_str());
            // An address keeps its sign.
            let end = if found[0].ends_with('@') { "@" } else { "" };
            format!("{kept}{REDACTED}{end}")
        }) {
            now = changed;
        }
    }
    let pairs = rules.pair.replace_all(&now, |found: &Captures<'_>| {
        match is_secret(&found[2]) && !found[5].is_empty() {
            true => format!(
                "{}{}{}{}{REDACTED}{}",
                &found[1], &found[2], &found[3], &found[4], &found[6]
            ),
            false => found[0].to_owned(),
        }
    });
    let mut lists = pairs.into_owned();
    for rule in &rules.listed {
        let changed = rule.replace_all(&lists, |found: &Captures<'_>| match is_secret(&found[2]) {
            true => format!("{}{REDACTED}{}", &found[1], &found[3]),
            false => found[0].to_owned(),
        });
        if let Cow::Owned(changed) = changed {
            lists = changed;
        }
    }
    let assigned = rules.assignment.replace_all(&lists, |found: &Captures<'_>| {
        let (key, sign) = (&found[1], &found[2]);
        let flag = sign.trim().is_empty();
        let is_option = key.starts_with("--");
        let tuple = sign == "," && key.contains('.');
        match is_secret(key) && (is_option || !flag) && (sign != "," || tuple) {
            true => format!("{key}{sign}{REDACTED}"),
            false => found[0].to_owned(),
        }
    });
    assigned.into_owned()
}

/// Takes secrets out of JSON: values of secret keys, environment entries of secret names, data of Secrets, and every text as
/// [`text()`] does.
pub fn json(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let is_secret_object = fields.get("kind").is_some_and(|kind| kind == "Secret");
            let named = fields.get("name").and_then(Value::as_str).is_some_and(is_secret);
            for (key, value) in fields.iter_mut() {
                let data = is_secret_object && (key == "data" || key == "stringData");
                let entry = named && key == "value";
                match data || entry || is_secret(key) {
                    true => hide(value, data),
                    false => json(value),
                }
            }
        }
        Value::Array(items) => {
            // Pairs, as Spark's environment has them.
            if let [Value::String(key), second @ Value::String(_)] = items.as_mut_slice()
                && is_secret(key)
            {
                *second = REDACTED.into();
            }
            items.iter_mut().for_each(json);
        }
        Value::String(said) => {
            // A manifest within an annotation is JSON in a text.
            if said.starts_with('{')
                && let Ok(mut inner) = serde_json::from_str::<Value>(said)
            {
                json(&mut inner);
                *said = inner.to_string();
            }
            if let Cow::Owned(changed) = text(said) {
                *said = changed;
            }
        }
        _ => {}
    }
}

/// Hides a value; what holds further fields is looked into, unless all of it is secret.
fn hide(value: &mut Value, all: bool) {
    match value {
        Value::String(said) if said.is_empty() => {}
        Value::String(_) | Value::Number(_) => *value = REDACTED.into(),
        Value::Object(fields) if all => fields.values_mut().for_each(|value| hide(value, true)),
        Value::Array(items) if all => items.iter_mut().for_each(|value| hide(value, true)),
        // A list of secrets; a list of objects that name Secrets is looked into.
        Value::Array(items) => items.iter_mut().for_each(|value| hide(value, false)),
        other => json(other),
    }
}

/// Takes secrets out of a log, line by line; a private key goes over several.
#[derive(Debug, Default)]
pub struct Lines {
    in_key: bool,
}

impl Lines {
    /// The next line without its secrets.
    pub fn next<'a>(&mut self, line: &'a str) -> Cow<'a, str> {
        if self.in_key {
            self.in_key = !line.contains("PRIVATE KEY-----");
            return Cow::Borrowed(REDACTED);
        }
        let begins = line
            .rfind("-----BEGIN ")
            .filter(|at| line[*at..].contains("PRIVATE KEY-----"));
        self.in_key = begins.is_some_and(|at| !line[at..].contains("-----END "));
        text(line)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const SECRETS: &[(&str, &str)] = &[
        ("spark.hadoop.fs.s3a.secret.key=hunter2hunter2", "hunter2hunter2"),
        ("  --conf spark.db.password=hunter2 --class A", "hunter2"),
        ("--password hunter2 --user me", "hunter2"),
        ("password: hunter2", "hunter2"),
        ("db_password = 'hunter 2'", "hunter 2"),
        (
            "(spark.hadoop.fs.s3a.access.key,hunter2), (spark.app.name,etl)",
            "hunter2",
        ),
        (r#"{"spark.ssl.keyPassword":"hunter2","a":"b"}"#, "hunter2"),
        (r#"{"x":"{\"token\":\"hunter2\"}"}"#, "hunter2"),
        ("Authorization: Basic aHVudGVyMjpodW50ZXIy", "aHVudGVyMjpodW50ZXIy"),
        ("authorization=Bearer abc.def-ghi", "abc.def-ghi"),
        ("curl -H 'Bearer abcdefghijklmnop'", "abcdefghijklmnop"),
        ("using AKIAIOSFODNN7EXAMPLE for the bucket", "AKIAIOSFODNN7EXAMPLE"),
        ("jdbc url postgresql://etl:hunter2@db:5432/x", "hunter2"),
        (
            "https://b.s3.amazonaws.com/k?X-Amz-Signature=hunter2abc&x=1",
            "hunter2abc",
        ),
        (
            "got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl back",
            "eyJzdWIiOiIxIn0",
        ),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMIIEhunter2\n-----END RSA PRIVATE KEY-----",
            "MIIEhunter2",
        ),
        ("AccountKey=hunter2==;EndpointSuffix=core", "hunter2"),
        ("AWS_SECRET_ACCESS_KEY=hunter2", "hunter2"),
    ];

    #[test]
    fn no_planted_secret_survives() {
        for (planted, secret) in SECRETS {
            let clean = text(planted);
            assert!(!clean.contains(secret), "{clean}");
            assert!(clean.contains(REDACTED), "{clean}");
        }
    }

    #[test]
    fn what_is_no_secret_stays() {
        for line in [
            "secret \"s3-keys\" not found",
            "couldn't find key password in Secret team-a/keys",
            "26/11/22 03:10:00 INFO SecurityManager: SecurityManager: authentication disabled",
            "failed to pull image \"registry.example.com/etl:2\": 401 Unauthorized",
            r#"{"Event":"SparkListenerTaskEnd","Stage ID":4}"#,
            r#"{"secretName":"s3-keys"}"#,
            "https://kubernetes.default.svc/api/v1/namespaces/team-a/pods",
        ] {
            assert_eq!(text(line), line);
        }
    }

    #[test]
    fn objects_lose_their_secrets_and_keep_their_names() {
        let mut object = json!({
            "kind": "Pod",
            "metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{\"spec\":{\"sparkConf\":{\"spark.db.password\":\"hunter2\"}}}"}},
            "spec": {
                "containers": [{"env": [{"name": "DB_PASSWORD", "value": "hunter2"}, {"name": "MODE", "value": "fast"},
                    {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "password"}}}],
                    "args": ["--password=hunter2"]}],
                "volumes": [{"secret": {"secretName": "keys"}}], "automountServiceAccountToken": false,
            },
            "items": [{"kind": "Secret", "data": {"a": "aHVudGVyMg=="}}],
            "Spark Properties": [["spark.app.name", "etl"], ["spark.my.secret", "hunter2"]],
        });
        json(&mut object);
        let told = object.to_string();
        assert!(!told.contains("hunter2") && !told.contains("aHVudGVyMg"), "{told}");
        assert_eq!(object["spec"]["volumes"][0]["secret"]["secretName"], "keys");
        assert_eq!(object["spec"]["containers"][0]["env"][1]["value"], "fast");
        assert_eq!(
            object["spec"]["containers"][0]["env"][2]["valueFrom"]["secretKeyRef"]["name"],
            "keys"
        );
        assert_eq!(object["spec"]["automountServiceAccountToken"], false);
        let again = object.clone();
        json(&mut object);
        assert_eq!(object, again);
    }

    #[test]
    fn a_private_key_over_lines_is_hidden() {
        let mut lines = Lines::default();
        let clean: Vec<String> = [
            "a",
            "-----BEGIN PRIVATE KEY-----",
            "MIIEhunter2",
            "-----END PRIVATE KEY-----",
            "b",
        ]
        .iter()
        .map(|line| lines.next(line).into_owned())
        .collect();
        assert_eq!(clean, ["a", REDACTED, REDACTED, REDACTED, "b"]);
    }

    fn piece() -> impl Strategy<Value = String> {
        let planted = (0..SECRETS.len()).prop_map(|place| SECRETS[place].0.to_owned());
        let sign = prop::sample::select(vec![
            "=", ":", "\"", "'", " ", ",", "(", ")", "\\", "://", "@", "token", "password", "Bearer ", "\n", "REDACTED",
        ]);
        prop_oneof![planted, sign.prop_map(str::to_owned), "[ -~]{0,12}"]
    }

    proptest! {
        #[test]
        fn redaction_is_idempotent(pieces in prop::collection::vec(piece(), 0..8)) {
            let dirty = pieces.concat();
            let clean = text(&dirty).into_owned();
            prop_assert_eq!(text(&clean).into_owned(), clean.clone());
        }
    }
}
