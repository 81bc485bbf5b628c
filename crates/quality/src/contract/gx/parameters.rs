//! Arguments that are parameters: `{"$PARAMETER": "name"}`.
//!
//! The library takes the value that stands beside the name (`"$PARAMETER.name": 3`), else in 0.18 that of the suite's `evaluation_parameters`; what is given
//! when the suite is run is not known here, and 1.x looks nowhere else. Source: `build_suite_parameters` of 1.24 and `build_evaluation_parameters` of 0.18.

use std::borrow::Cow;

use stoke_model::manifest::{Content, Node};

const PARAMETER: &str = "$PARAMETER";

/// An expectation with the parameters whose values are known in the place of their names. Only whole arguments can be parameters.
pub(super) fn filled<'n>(item: &'n Node, given: Option<&Node>) -> Cow<'n, Node> {
    let arguments = item.get("kwargs").map_or(&[][..], Node::entries);
    if !arguments
        .iter()
        .any(|argument| argument.value.entry(PARAMETER).is_some())
    {
        return Cow::Borrowed(item);
    }
    let mut item = item.clone();
    let Content::Map(entries) = &mut item.content else {
        return Cow::Owned(item);
    };
    for entry in entries.iter_mut().filter(|entry| entry.key == "kwargs") {
        let Content::Map(arguments) = &mut entry.value.content else {
            continue;
        };
        for argument in arguments {
            if let Some(value) = value(&argument.value, given) {
                argument.value.content = value;
            }
        }
    }
    Cow::Owned(item)
}

/// The value of a parameter, where it is known.
fn value(argument: &Node, given: Option<&Node>) -> Option<Content> {
    let name = argument.get(PARAMETER)?.as_str()?;
    let beside = argument.entry(&format!("{PARAMETER}.{name}"));
    let found = beside.or_else(|| given?.entry(name))?;
    Some(found.value.content.clone())
}

/// Why an argument that is a parameter, or has one in it, is not known.
pub(super) fn unknown(argument: &str, value: &Node) -> String {
    match value.get(PARAMETER).and_then(Node::as_str) {
        Some(name) if is_name(name) => format!(
            "`{argument}` is the parameter `{name}`, which is given when the suite is run; write its value beside it as `\"{PARAMETER}.{name}\"`"
        ),
        Some(expression) => format!("`{argument}` is computed of parameters when the suite is run: `{expression}`"),
        None => format!("`{argument}` has a parameter in it, which the library does not fill in"),
    }
}

fn is_name(text: &str) -> bool {
    let plain = |one: char| one.is_ascii_alphanumeric() || matches!(one, '_' | '$');
    text.starts_with(|one: char| one.is_ascii_alphabetic()) && text.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use stoke_diagnostics::Source;

    use crate::contract::{self, Kind};

    /// What becomes of an argument: the check as text, or why it is refused.
    fn of(argument: &Value, evaluation: &Value, suite: &Value) -> String {
        let kwargs = json!({ "column": "a", "max_value": argument, "min_value": 0 });
        let suite = json!({
            "name": "s",
            "evaluation_parameters": evaluation,
            "suite_parameters": suite,
            "expectations": [{ "type": "expect_column_values_to_be_between", "kwargs": kwargs }],
        });
        let (contract, complaints) = contract::read(&Source::new("s.json", &suite.to_string()), None);
        let contract = contract.unwrap_or_else(|| panic!("{complaints:?}"));
        match &contract.checks[0].kind {
            Kind::Refused(reason) => reason.clone(),
            kind => format!("{kind:?}"),
        }
    }

    #[test]
    fn a_value_that_is_known_is_as_if_it_stood_there() {
        let (none, three) = (json!({}), json!({ "m": 3 }));
        let plain = of(&json!(3), &none, &none);
        assert!(plain.contains("Between"), "{plain}");
        assert_eq!(
            of(&json!({ "$PARAMETER": "m", "$PARAMETER.m": 3 }), &none, &none),
            plain
        );
        assert_eq!(of(&json!({ "$PARAMETER": "m" }), &three, &none), plain);
        // What stands beside the name comes first.
        assert_eq!(
            of(
                &json!({ "$PARAMETER": "m", "$PARAMETER.m": 3 }),
                &json!({ "m": 9 }),
                &none
            ),
            plain
        );
        for (argument, evaluation, suite, reason) in [
            (
                json!({ "$PARAMETER": "m" }),
                &none,
                &none,
                "given when the suite is run",
            ),
            // 1.x does not look into the suite.
            (
                json!({ "$PARAMETER": "m" }),
                &none,
                &three,
                "given when the suite is run",
            ),
            (
                json!({ "$PARAMETER": "m * 2" }),
                &three,
                &none,
                "computed of parameters",
            ),
            (
                json!({ "$PARAMETER": "now()" }),
                &three,
                &none,
                "computed of parameters",
            ),
            (
                json!([{ "$PARAMETER": "m", "$PARAMETER.m": 3 }]),
                &three,
                &none,
                "does not fill in",
            ),
        ] {
            let found = of(&argument, evaluation, suite);
            assert!(found.contains(reason), "{argument}: {found}");
        }
    }
}
