//! What credentials look like: forms of them, and names whose value is one.

use std::sync::{LazyLock, OnceLock};

use regex::Regex;

/// A form of credentials: code, what it is, and the expression; its first group is the credential where it has one. Last what stands in every text that it
/// matches, in lower case: one of each group.
pub(super) type Form = (
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static [&'static str]],
);

/// Forms of credentials. Making some of the expressions takes longer than reading a job, so each is made when a file has what it needs.
pub(super) const FORMS: [Form; 17] = [
    (
        "secret-private-key",
        "a private key",
        r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----",
        &[&["-----begin "]],
    ),
    (
        "secret-aws-key",
        "the id of an AWS access key",
        r"\b((?:AKIA|ASIA)[0-9A-Z]{16})\b",
        &[&["akia", "asia"]],
    ),
    (
        "secret-aws-key",
        "an AWS secret access key",
        r#"(?i)aws[[:word:].\-]{0,30}secret[[:word:].\-]{0,20}["']?\s*[=:,]\s*["']?([A-Za-z0-9/+]{40})\b"#,
        &[&["aws"], &["secret"]],
    ),
    (
        "secret-azure-key",
        "an Azure storage key",
        r"\b(?i:AccountKey)=([A-Za-z0-9+/]{86}==)",
        &[&["accountkey="]],
    ),
    (
        "secret-azure-key",
        "an Azure shared access signature",
        r"[?&]sv=[0-9-]{10}&[^\s\x22']*\bsig=([A-Za-z0-9%+/]{43,})",
        &[&["sv="], &["sig="]],
    ),
    (
        "secret-google-key",
        "a Google API key",
        r"\b(AIza[0-9A-Za-z_\-]{35})",
        &[&["aiza"]],
    ),
    (
        "secret-github-token",
        "a GitHub token",
        r"\b(gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{60,})",
        &[&["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"]],
    ),
    (
        "secret-gitlab-token",
        "a GitLab token",
        r"\b(glpat-[A-Za-z0-9_\-]{20,})",
        &[&["glpat-"]],
    ),
    (
        "secret-slack-token",
        "a Slack token",
        r"\b(xox[abeoprs]-[A-Za-z0-9-]{10,})",
        &[&["xox"]],
    ),
    (
        "secret-databricks-token",
        "a Databricks token",
        r"\b(dapi[0-9a-f]{32})\b",
        &[&["dapi"]],
    ),
    (
        "secret-hugging-face-token",
        "a Hugging Face token",
        r"\b(hf_[A-Za-z0-9]{34,})\b",
        &[&["hf_"]],
    ),
    (
        "secret-npm-token",
        "an npm token",
        r"\b(npm_[A-Za-z0-9]{36})\b",
        &[&["npm_"]],
    ),
    (
        "secret-pypi-token",
        "a PyPI token",
        r"\b(pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_\-]{50,})",
        &[&["pypi-"]],
    ),
    (
        "secret-stripe-key",
        "a Stripe key",
        r"\b([sr]k_live_[0-9A-Za-z]{20,})",
        &[&["k_live_"]],
    ),
    (
        "secret-jwt",
        "a JSON Web Token",
        r"\b(eyJ[A-Za-z0-9_\-]{10,}\.eyJ[A-Za-z0-9_\-]{10,}\.[A-Za-z0-9_\-]{20,})",
        &[&["eyj"]],
    ),
    (
        "secret-in-url",
        "a password in a URL",
        r#"\b[a-z][a-z0-9+.\-]{1,20}://[^\s/:@"'<>{}$]+:([^\s/:@"'<>{}$]{3,})@[\w.\-]+"#,
        &[&["://"]],
    ),
    (
        "secret-in-url",
        "a password in a JDBC URL",
        r#"\bjdbc:[^\s"']*[?;&](?i:password)=([^\s;&"'<>{}$]{3,})"#,
        &[&["jdbc:"], &["password="]],
    ),
];

/// Names whose value is a secret, at the end of a key.
pub(super) const NAMES: &str = r"(?:password|passwd|passphrase|secret|secret[._-]?key|secret[._-]?access[._-]?key|access[._-]?token|auth[._-]?token|api[._-]?key|api[._-]?token|private[._-]?key|client[._-]?secret|account[._-]?key|sas[._-]?token|oauth2?[._-]?token|session[._-]?token|bearer[._-]?token)";

/// What stands in every name of [`NAMES`], in lower case.
pub(super) const IN_NAMES: [&str; 5] = ["passw", "passphrase", "secret", "key", "token"];

pub(super) static EXPRESSIONS: [OnceLock<Option<Regex>>; FORMS.len()] = [const { OnceLock::new() }; FORMS.len()];
/// `key: value`, `key=value`, `key value` of configuration.
pub(super) static SETTING: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(&format!(
        r#"(?i)^\s*(?:-\s+)?(?:export\s+)?["']?([\w.\-/]*?{NAMES})["']?\s*(?::\s+|=\s*|[ \t]+)(.+?)\s*$"#
    ))
    .ok()
});
/// `key = "value"`, `"key": "value"` of programs, and what is set by a call: `option("key", "value")`.
pub(super) static ASSIGNMENT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let text = r#"[rbu]?["']([^"'\n]*)["']"#;
    let assigned = format!(r#"(?:^|[^\w.\-])["']?([\w.\-]*?{NAMES})["']?\s*[=:]\s*{text}"#);
    let set = format!(
        r#"\b(?:option|config|conf|set|put|property|setProperty|setConf)\(\s*["']([\w.\-]*?{NAMES})["']\s*,\s*{text}"#
    );
    Regex::new(&format!("(?i)(?:{assigned}|{set})")).ok()
});
pub(super) static NAME: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(&format!(r"(?i)(?:^|[._\-\w]){NAMES}$")).ok());
