//! What the engine makes of Rego, held against what the real Open Policy Agent made of it (`scripts/record-opa`).

use std::collections::BTreeMap;

use serde_json::Value;
use stoke_policy::{PolicyFile, PolicySet};

const RECORDED: &str = include_str!("../opa/recorded.jsonl");

/// What a query came to.
#[derive(Debug, PartialEq)]
enum Came {
    Value(Value),
    Undefined,
    /// Its code, in OPA's words or in ours.
    Error(String),
}

fn recorded(case: &Value) -> Came {
    match (case.get("w"), case.get("e")) {
        (Some(value), _) => Came::Value(plain(value)),
        (None, Some(code)) => Came::Error(code.as_str().unwrap_or_default().to_owned()),
        (None, None) => Came::Undefined,
    }
}

/// Numbers in one spelling: `2.0` is `2`.
fn plain(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), plain(value))).collect(),
        Value::Number(number) => match number.as_f64() {
            Some(float) if float.fract() == 0.0 && float.abs() < 1e15 => Value::from(float as i64),
            Some(float) if !number.is_i64() && !number.is_u64() => Value::from(float),
            _ => value.clone(),
        },
        other => other.clone(),
    }
}

fn modules(case: &Value) -> Vec<String> {
    if let Some(expression) = case["x"].as_str() {
        return vec![format!("package p\n\nx := {expression}\n")];
    }
    let texts = case["m"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let named = |text: &str| match text.lines().any(|line| line.starts_with("package ")) {
        true => text.to_owned(),
        false => format!("package p\n\n{text}"),
    };
    texts.map(named).collect()
}

fn ours(case: &Value, common: &Value) -> Came {
    let texts = modules(case);
    let mut files: Vec<PolicyFile> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| PolicyFile::new(&format!("m{index}.rego"), text))
        .collect();
    files.push(PolicyFile::new("data.json", &common["data"].to_string()));
    let set = match PolicySet::load(&files) {
        Ok(set) => set,
        Err(problems) => return Came::Error(format!("{}: {}", problems[0].code, problems[0].message)),
    };
    let input = case.get("i").unwrap_or(&common["input"]);
    match set.query("data.p.x", Some(input)) {
        Ok(results) => results
            .first()
            .map_or(Came::Undefined, |result| Came::Value(plain(&result.expressions[0]))),
        Err(problem) => Came::Error(format!("{}: {}", problem.code, problem.message)),
    }
}

/// Why something is otherwise here than in OPA: a word for the list in `opa/differences.tsv`, whether it is told here as an error when policies are loaded
/// or evaluated, and the reason; of what is not told, why it is no danger.
const REASONS: &[(&str, bool, &str)] = &[
    ("absent", true, "the builtin is not here, and is refused by its name"),
    (
        "operators",
        true,
        "an operator on what is of the wrong kind ends the evaluation, and OPA has it undefined",
    ),
    ("shadowing", true, "`some x in` has the name of the rule it is in"),
    ("walk", true, "`walk` with one argument is refused"),
    (
        "names",
        true,
        "a name with two meanings is refused, where OPA takes one of them",
    ),
    (
        "dialect",
        true,
        "a file that can be read as both versions is v1, and v1 does not have the builtin",
    ),
    ("syntax", true, "the interpreter's parser is stricter"),
    (
        "versions",
        false,
        "a file that is not v1 is read as v0, and v0 as v1: OPA is told which is meant, and refuses the other",
    ),
    (
        "lenient",
        false,
        "OPA refuses the module; whoever wrote it for OPA does not have it",
    ),
    (
        "items",
        false,
        "kinds of items of arrays, sets and arguments are not told before; it is undefined in every case",
    ),
    (
        "numbers",
        false,
        "numbers are integers of any size and else floats of 64 bits, and how they were written is not kept",
    ),
    ("order", false, "sets are sorted before objects"),
    (
        "time",
        false,
        "names of zones are not known to layouts, and what follows a date is passed over",
    ),
    (
        "text",
        false,
        "the same text in other quotes; characters beyond 16 bits written as two escapes; fractions in base 2 and 16",
    ),
    (
        "opa",
        false,
        "OPA's answer is a slip of its own, or cannot be sent as JSON",
    ),
    (
        "value",
        false,
        "`in` of what is not there is false as a value, and OPA has it undefined; in a body both do not hold",
    ),
];

const DIFFERENCES: &str = include_str!("../opa/differences.tsv");

#[test]
fn rego_is_what_opa_makes_of_it() {
    let mut listed: BTreeMap<&str, &str> = DIFFERENCES
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('\t'))
        .map(|(reason, case)| (case, reason))
        .collect();
    let mut lines = RECORDED.lines();
    let common: Value = serde_json::from_str(lines.next().unwrap()).unwrap();
    let (mut all, mut wrong) = (0, Vec::new());
    for line in lines {
        all += 1;
        let case: Value = serde_json::from_str(line).unwrap();
        let (theirs, ours) = (recorded(&case), ours(&case, &common));
        let same = match (&theirs, &ours) {
            (Came::Error(_), Came::Error(_)) => true,
            (theirs, ours) => theirs == ours,
        };
        if same {
            continue;
        }
        let told = matches!(ours, Came::Error(_));
        let reason = listed.remove(line);
        let known = REASONS.iter().find(|(name, _, _)| Some(*name) == reason);
        if known.is_none_or(|(_, is_told, _)| *is_told != told) {
            wrong.push(format!("{}\t{line}\n    {ours:?}", reason.unwrap_or("?")));
        }
    }
    assert!(all > 3_500);
    assert!(
        wrong.is_empty(),
        "{} cases are otherwise:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(listed.is_empty(), "these are as in OPA now: {listed:#?}");
}
