//! What a run is given, held against what its runbook takes.

use std::collections::BTreeMap;

use super::book::{Form, Need, Parameter, Runbook};
use super::case::Input;

/// The input of a run: what was given, and what stands in for what was not.
///
/// # Errors
/// What is wrong and what to write, for every parameter.
pub fn input(
    book: &Runbook,
    namespace: &str,
    given: BTreeMap<String, String>,
    secrets: Vec<String>,
) -> Result<Input, Vec<String>> {
    let mut wrong = Vec::new();
    let names: Vec<&str> = book.parameters.iter().map(|parameter| parameter.name).collect();
    for name in given.keys().filter(|name| !names.contains(&name.as_str())) {
        let list: Vec<String> = names.iter().map(|name| format!("--{name}")).collect();
        wrong.push(format!("{} takes no --{name}; it takes {}", book.name, list.join(", ")));
    }
    let mut parameters = BTreeMap::new();
    for parameter in book.parameters {
        let value = match (given.get(parameter.name), parameter.need) {
            (Some(value), _) => value.clone(),
            (None, Need::Else(value)) => value.to_owned(),
            (None, Need::Maybe) => continue,
            (None, Need::Always) => {
                wrong.push(format!(
                    "--{} is missing: {} ({})",
                    parameter.name, parameter.what, parameter.found
                ));
                continue;
            }
        };
        match refusal(parameter, &value) {
            Some(why) => wrong.push(format!("--{} {value}: {why}", parameter.name)),
            None => {
                parameters.insert(parameter.name.to_owned(), value);
            }
        }
    }
    match wrong.is_empty() {
        true => Ok(Input {
            namespace: namespace.to_owned(),
            parameters,
            secrets,
        }),
        false => Err(wrong),
    }
}

/// Why a value is not of its form.
fn refusal(parameter: &Parameter, value: &str) -> Option<String> {
    let number = |least: i64| match value.parse::<i64>() {
        Ok(number) if number >= least => None,
        _ => Some(format!("write a whole number from {least}")),
    };
    if value.is_empty() || value.contains(['\n', '\r']) && parameter.form != Form::Patch {
        return Some("write one line".to_owned());
    }
    match parameter.form {
        Form::Name => stoke_model::names::check_subdomain(value)
            .err()
            .map(|error| error.to_string()),
        Form::Workload => {
            let named = ["deployment/", "statefulset/"]
                .iter()
                .find_map(|kind| value.strip_prefix(kind));
            match named.map(stoke_model::names::check_subdomain) {
                Some(Ok(())) => None,
                Some(Err(error)) => Some(error.to_string()),
                None => Some("write deployment/NAME or statefulset/NAME".to_owned()),
            }
        }
        Form::Count => number(1),
        Form::Port => match value.parse::<u16>() {
            Ok(1..) => None,
            _ => Some("write a port, 1 to 65535".to_owned()),
        },
        Form::Seconds => number(0),
        Form::Version => {
            let parts: Vec<&str> = value.split('.').collect();
            let digits = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            (parts.len() != 3 || !parts.iter().all(digits)).then(|| "write it like 4.1.4".to_owned())
        }
        Form::Image => value
            .contains(char::is_whitespace)
            .then(|| "an image has no blanks".to_owned()),
        Form::Patch => {
            let parsed: Option<serde_json::Value> = serde_json::from_str(value).ok();
            let is_patch = parsed.is_some_and(|patch| patch["spec"].is_object() || patch["metadata"].is_object());
            (!is_patch).then(|| "write a merge patch: an object with spec".to_owned())
        }
        Form::Place | Form::Secrets | Form::Text => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::books::find;
    use super::*;

    fn given(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn what_is_missing_wrong_or_unknown_is_said_all_at_once() {
        let book = find("upgrade-spark").unwrap();
        let wrong = input(
            book,
            "d",
            given(&[("spark-version", "4.1"), ("node", "n1"), ("image", "a b")]),
            Vec::new(),
        );
        let wrong = wrong.unwrap_err().join("\n");
        for part in ["takes no --node", "--application is missing", "4.1.4", "no blanks"] {
            assert!(wrong.contains(part), "{part}: {wrong}");
        }
    }

    #[test]
    fn what_is_not_given_stands_in() {
        let book = find("driver-crash-loop").unwrap();
        let input = input(book, "d", given(&[("application", "etl")]), Vec::new()).unwrap();
        assert_eq!(input.get("settle"), Some("30"));
        assert_eq!(input.get("within"), None);
    }

    #[test]
    fn forms() {
        for (book, name, good, bad) in [
            ("history-server", "workload", "deployment/history", "history"),
            ("scale-up", "executors", "4", "0"),
            ("history-server", "port", "18080", "65536"),
            (
                "driver-crash-loop",
                "fix",
                "{\"spec\":{\"image\":\"a\"}}",
                "{\"image\":\"a\"}",
            ),
            ("driver-crash-loop", "application", "etl", "Etl_1"),
        ] {
            let parameter = find(book)
                .unwrap()
                .parameters
                .iter()
                .find(|one| one.name == name)
                .unwrap();
            assert_eq!(refusal(parameter, good), None, "{good}");
            assert!(refusal(parameter, bad).is_some(), "{bad}");
        }
    }
}
