//! Names of the objects of a submission.

use crate::conf::invalid;
use crate::error::PlanError;

/// Longest DNS label: services, label values.
pub(crate) const DNS_LABEL_LIMIT: usize = 63;
/// Longest name of an executor pod's prefix: a DNS subdomain less `-exec-` and ten digits.
pub(crate) const EXECUTOR_PREFIX_LIMIT: usize = 237;
/// Ends the name of the driver's service.
const SERVICE_SUFFIX: &str = "-driver-svc";

/// The prefix of every object of a submission: the application's name made fit for a DNS name, and `uid`.
pub(crate) fn resource_prefix(app_name: &str, uid: &str) -> String {
    let clean = dashes(java_trim(&format!("{app_name}-{uid}")));
    let clean = clean.strip_prefix('-').unwrap_or(&clean);
    match clean.as_bytes().first() {
        Some(first) if first.is_ascii_digit() => format!("x{}", &clean[1..]),
        _ => clean.to_owned(),
    }
}

/// The value of the label `spark-app-name`: at most 63 characters, no dash at either end.
pub(crate) fn app_name_label(app_name: &str) -> String {
    let clean = dashes(java_trim(app_name));
    let cut = &clean[..clean.len().min(DNS_LABEL_LIMIT)];
    let cut = cut.strip_prefix('-').unwrap_or(cut);
    cut.strip_suffix('-').unwrap_or(cut).to_owned()
}

/// Name of the driver's headless service; `short_uid` names it when the name made from the prefix would be too long.
pub(crate) fn service(prefix: &str, short_uid: &str) -> (String, Option<String>) {
    let preferred = format!("{prefix}{SERVICE_SUFFIX}");
    if preferred.len() <= DNS_LABEL_LIMIT {
        return (preferred, None);
    }
    let short = format!("spark-{short_uid}{SERVICE_SUFFIX}");
    let warning = format!(
        "the service cannot be named `{preferred}` (more than {DNS_LABEL_LIMIT} characters), so it is named `{short}`"
    );
    (short, Some(warning))
}

/// Lower case; whatever is not a letter, digit or dash becomes a dash; runs of dashes become one.
fn dashes(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for character in text.to_lowercase().chars() {
        // Java replaces UTF-16 code units, but runs of dashes collapse to one either way.
        let character = if character.is_ascii_lowercase() || character.is_ascii_digit() {
            character
        } else {
            '-'
        };
        if character != '-' || !result.ends_with('-') {
            result.push(character);
        }
    }
    result
}

/// `String.trim`: cuts characters up to the blank.
fn java_trim(text: &str) -> &str {
    text.trim_matches(|character| character <= ' ')
}

/// A valid executor pod name prefix: a DNS subdomain of at most 237 characters.
pub(crate) fn is_executor_prefix(prefix: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    prefix.len() <= EXECUTOR_PREFIX_LIMIT && prefix.split('.').all(label)
}

/// The refusal of an executor prefix.
pub(crate) fn bad_executor_prefix(key: &str, prefix: &str) -> PlanError {
    invalid(
        key,
        prefix,
        "write lower case letters, digits, dashes and dots, a letter or digit at both ends of every part, at most 237 characters",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_dns_names() {
        let table = [
            ("pi", "pi-0a1"),
            ("9 lives: Ünï_code!--", "x-lives-n-code-0a1"),
            ("--a__b--", "a-b-0a1"),
            ("  My App ", "my-app-0a1"),
            ("日本", "0a1"),
        ];
        for (name, prefix) in table {
            let expected = if prefix == "0a1" { "xa1" } else { prefix };
            assert_eq!(resource_prefix(name, "0a1"), expected, "{name}");
        }
    }

    #[test]
    fn labels_are_cut_and_have_no_dash_at_the_ends() {
        assert_eq!(app_name_label("--a__b--"), "a-b");
        assert_eq!(app_name_label(&"x".repeat(70)).len(), 63);
        assert_eq!(app_name_label(&format!("{} tail", "x".repeat(62))), "x".repeat(62));
    }

    #[test]
    fn long_services_get_a_short_name() {
        assert_eq!(service("pi-1", "ff"), ("pi-1-driver-svc".to_owned(), None));
        let (name, warning) = service(&"p".repeat(60), "ff");
        assert_eq!(name, "spark-ff-driver-svc");
        assert!(warning.unwrap().contains("63"));
    }

    #[test]
    fn executor_prefixes_are_subdomains() {
        for good in ["a", "my-prefix", "a.b", "9a"] {
            assert!(is_executor_prefix(good), "{good}");
        }
        for bad in ["", "My", "a_b", "-a", "a-", "a..b", &"a".repeat(238)] {
            assert!(!is_executor_prefix(bad), "{bad}");
        }
    }
}
