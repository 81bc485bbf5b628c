//! Queries of objectives: with a place for the length of the window.

use stoke_model::manifest::{Fields, Node, join};

use crate::slo::objective::WINDOW;

/// The query of a key, in which the length of the window can be put. A name of a counter, with or without a selector, becomes the sum of its rates.
pub(super) fn windowed(fields: &mut Fields<'_>, node: &Node, key: &str, path: &str, counter: bool) -> Option<String> {
    let query = fields.needed_text(node, key, path)?.trim();
    let query = with_one_form(query);
    if query.contains(WINDOW) {
        return Some(query);
    }
    if counter && is_selector(&query) {
        return Some(format!("sum(rate({query}[{WINDOW}]))"));
    }
    let place = node.get(key).map_or(node.place, |value| value.place);
    let message = "the query has no place for the length of the window".to_owned();
    let fix = format!("write the range as `[{WINDOW}]`, for example `sum(rate(requests_total[{WINDOW}]))`");
    fields.complain("slo-no-window", place, &join(path, key), message, &fix);
    None
}

/// `{{ .window }}` and `{{window}}` are the same.
fn with_one_form(query: &str) -> String {
    let mut text = String::with_capacity(query.len());
    let mut rest = query;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, behind)) = after.split_once("}}") else {
            break;
        };
        text.push_str(before);
        match name.trim().trim_start_matches('.') {
            "window" => text.push_str(WINDOW),
            _ => text.extend(["{{", name, "}}"]),
        }
        rest = behind;
    }
    text + rest
}

/// `name` or `name{…}`.
fn is_selector(query: &str) -> bool {
    let (name, selector) = query
        .split_once('{')
        .map_or((query, None), |(name, rest)| (name, Some(rest)));
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':');
    is_name && selector.is_none_or(|rest| rest.ends_with('}') && !rest.trim_end_matches('}').contains('}'))
}
