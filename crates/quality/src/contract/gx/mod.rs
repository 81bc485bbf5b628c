//! Great Expectations suites, of 1.x (`type`) and older (`expectation_type`).
//!
//! Source of the rules: the library itself on its pandas engine, version 1.24, whose verdicts the test `great_expectations` compares with ours. So nulls
//! (and `NaN`, which pandas takes for null) are left out by checks of values, shares are of the rest, nothing to look at is a success, and a number that
//! cannot be computed of an empty column is a failure.
//!
//! Known expectations that need an engine we have not become [`Kind::Refused`]; names that do not exist are errors.

mod arguments;
mod dates;
mod names;
mod parameters;
mod partition;

use arguments::Arguments;
use names::{COMMON, EXPECTATION, KNOWN, REFUSED, SUITE};
use stoke_model::manifest::{Content, Node, join, nearest};

use super::{Accept, At, Check, Contract, Format, Kind, LeaveOut, Severity, id_of, number};
use stoke_model::manifest::Fields;

/// Reads a suite.
pub(super) fn read(node: &Node, fields: &mut Fields<'_>) -> Option<Contract> {
    if !fields.keys(node, "", SUITE) {
        return None;
    }
    let name = ["name", "expectation_suite_name"]
        .into_iter()
        .find_map(|key| fields.text(node, key, ""));
    let name = name.map_or_else(|| fields.source.name().to_owned(), str::to_owned);
    let mut checks = Vec::new();
    let given = node.get("evaluation_parameters");
    for (path, item) in fields.list(node, "expectations", "") {
        let item = parameters::filled(item, given);
        checks.extend(expectation(&item, &path, None, fields));
    }
    if checks.is_empty() && fields.errors() == 0 {
        let fix = "write expectations, or leave the suite out";
        let place = node.place_of("expectations");
        fields.complain(
            "no-checks",
            place,
            "expectations",
            "the suite checks nothing".into(),
            fix,
        );
    }
    number(&mut checks);
    Some(Contract {
        names: vec![name.clone()],
        name,
        format: Format::GreatExpectations,
        checks,
        waivers: Vec::new(),
        types: std::collections::BTreeMap::new(),
        optional: std::collections::BTreeSet::new(),
        nan_is_null: true,
    })
}

/// Reads one expectation; `column` is the one it is written under in another format. What comes to nothing is an error: no expectation is left out in silence.
pub(super) fn expectation(node: &Node, path: &str, column: Option<&str>, fields: &mut Fields<'_>) -> Option<Check> {
    let before = fields.errors();
    let check = one(node, path, column, fields);
    if check.is_none() && fields.errors() == before {
        let message = "the expectation cannot be checked with these arguments".to_owned();
        let fix = "give it the arguments that its documentation names, of the types named there";
        fields.complain("wrong-type", node.place, path, message, fix);
    }
    check
}

fn one(node: &Node, path: &str, column: Option<&str>, fields: &mut Fields<'_>) -> Option<Check> {
    if !fields.keys(node, path, EXPECTATION) {
        return None;
    }
    let key = ["type", "expectation_type"]
        .into_iter()
        .find(|key| node.get(key).is_some());
    let Some(key) = key else {
        fields.missing(node, "type", path);
        return None;
    };
    let written = fields.text(node, key, path)?;
    let name = snake(written);
    let id = ["id", "ge_cloud_id"]
        .into_iter()
        .find_map(|key| fields.text(node, key, path));
    let place = node.place_of(key);
    let mut check = Check {
        id: String::new(),
        name: name.clone(),
        columns: Vec::new(),
        kind: Kind::IsNull,
        accept: Accept::ALL,
        leave_out: LeaveOut::AllNull,
        condition: None,
        texts_are_dates: false,
        // The library fails a suite for any expectation, whatever its severity.
        severity: Severity::Error,
        at: At::new(fields.source, place),
    };
    let empty = Node {
        place: node.place,
        content: Content::Map(Vec::new()),
    };
    let kwargs = node.get("kwargs").unwrap_or(&empty);
    let kwargs_path = join(path, "kwargs");
    if let Some((_, why)) = REFUSED.iter().find(|(known, _)| *known == name) {
        check.kind = Kind::Refused(format!("{name} is not checked here: {why}"));
        check.columns = columns(kwargs, &kwargs_path, column, fields);
    } else if let Some((_, own)) = KNOWN.iter().find(|(known, _)| *known == name) {
        let allowed: Vec<&str> = own.iter().chain(COMMON).copied().collect();
        if !fields.keys(kwargs, &kwargs_path, &allowed) {
            return None;
        }
        check.columns = columns(kwargs, &kwargs_path, column, fields);
        for needed in own
            .iter()
            .filter(|key| matches!(**key, "column" | "column_A" | "column_B" | "column_list"))
        {
            if kwargs.get(needed).is_none() && !(*needed == "column" && column.is_some()) {
                fields.missing(kwargs, needed, &kwargs_path);
                return None;
            }
        }
        let mut arguments = Arguments {
            node: kwargs,
            path: &kwargs_path,
            fields,
        };
        check.accept = Accept::Mostly(arguments.mostly());
        check.leave_out = arguments.leave_out();
        let dated = arguments.texts_are_dates();
        let condition = arguments.condition();
        check.kind = match (arguments.refused(), condition) {
            (Some(reason), _) | (None, Err(reason)) => Kind::Refused(reason),
            (None, Ok(condition)) => {
                check.condition = condition;
                arguments.kind(&name)?
            }
        };
        if dated {
            check.texts_are_dates = dates::compares(&check.kind);
            dates::read(&mut check.kind);
        }
        if let Kind::ColumnOrder(_) | Kind::ColumnSet { .. } = check.kind {
            check.columns.clear();
        }
    } else {
        let all = KNOWN
            .iter()
            .map(|(known, _)| *known)
            .chain(REFUSED.iter().map(|(known, _)| *known));
        let fix = match nearest(&name, all) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "write an expectation of Great Expectations' core; custom ones are Python".into(),
        };
        let place = node.get(key).map_or(node.place, |value| value.place);
        let message = format!("there is no expectation `{written}`");
        fields.complain("unknown-expectation", place, &join(path, key), message, &fix);
        return None;
    }
    check.id = id.map_or_else(|| id_of(&check.name, &check.columns), str::to_owned);
    Some(check)
}

/// `ExpectColumnToExist` is `expect_column_to_exist`.
fn snake(name: &str) -> String {
    if !name.starts_with("Expect") {
        return name.to_owned();
    }
    let mut snake = String::with_capacity(name.len() + 12);
    for character in name.chars() {
        if character.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(character.to_ascii_lowercase());
    }
    snake
}

fn columns(kwargs: &Node, path: &str, outer: Option<&str>, fields: &mut Fields<'_>) -> Vec<String> {
    let mut columns: Vec<String> = ["column", "column_A", "column_B"]
        .into_iter()
        .filter_map(|key| fields.text(kwargs, key, path).map(str::to_owned))
        .collect();
    columns.extend(fields.texts(kwargs, "column_list", path).unwrap_or_default());
    if columns.is_empty() {
        columns.extend(outer.map(str::to_owned));
    }
    columns
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};
    use stoke_diagnostics::{Source, has_errors};

    use super::names::{COMMON, KNOWN, REFUSED};
    use crate::contract;

    /// A value that an argument may have.
    fn usual(argument: &str) -> Value {
        match argument {
            "column_list" | "column_set" | "regex_list" | "like_pattern_list" | "type_list" | "value_set" => {
                json!(["a", "b"])
            }
            "value_pairs_set" => json!([["a", "b"]]),
            "quantile_ranges" => json!({ "quantiles": [0.5], "value_ranges": [[0, 1]] }),
            "partition_object" => json!({ "values": ["a"], "weights": [1.0] }),
            "type_" => json!("int64"),
            "strftime_format" => json!("%Y"),
            "match_on" => json!("any"),
            "method" => json!("iqr"),
            "allow_relative_error"
            | "strictly"
            | "or_equal"
            | "ties_okay"
            | "double_sided"
            | "exact_match"
            | "strict_min"
            | "strict_max"
            | "bucketize_data" => json!(true),
            "column" | "column_A" | "column_B" | "regex" | "like_pattern" => json!("a"),
            "tail_weight_holdout" | "internal_weight_holdout" => json!(0),
            _ => json!(1),
        }
    }

    #[test]
    fn no_expectation_is_left_out_whatever_its_arguments() {
        let values = [
            json!(null),
            json!(true),
            json!(-1),
            json!(1.5),
            json!(1e300),
            json!("1000"),
            json!(" 1 "),
            json!("quack"),
            json!(""),
            json!("(("),
            json!("2026-01-31"),
            json!([]),
            json!([1]),
            json!(["a", {}]),
            json!([[]]),
            json!({}),
            json!({ "a": 1 }),
            json!({ "$PARAMETER": "x" }),
        ];
        let mut tried = 0;
        for (name, own) in KNOWN {
            let all: Map<String, Value> = own.iter().map(|key| ((*key).to_owned(), usual(key))).collect();
            for argument in own.iter().chain(COMMON) {
                for value in values.iter().map(Some).chain([None]) {
                    let mut kwargs = all.clone();
                    match value {
                        Some(value) => kwargs.insert((*argument).to_owned(), value.clone()),
                        None => kwargs.remove(*argument),
                    };
                    let suite = json!({ "name": "s", "expectations": [{ "type": name, "kwargs": kwargs }] });
                    let (contract, complaints) = contract::read(&Source::new("s.json", &suite.to_string()), None);
                    match contract {
                        Some(contract) => assert_eq!(contract.checks.len(), 1, "{suite}"),
                        None => assert!(has_errors(&complaints), "{suite}"),
                    }
                    tried += 1;
                }
            }
        }
        assert!(tried > 20_000, "{tried}");
        assert_eq!(REFUSED.len() + KNOWN.len(), 64);
    }

    #[test]
    fn a_suite_that_checks_nothing_is_an_error() {
        for suite in [
            json!({ "name": "s", "expectations": [] }),
            json!({ "expectation_suite_name": "s", "expectations": [], "meta": {} }),
        ] {
            let (contract, complaints) = contract::read(&Source::new("s.json", &suite.to_string()), None);
            assert!(contract.is_none());
            assert_eq!(complaints[0].code, "no-checks");
        }
    }
}
