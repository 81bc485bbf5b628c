//! What the engine makes of Rego, held against what the real Open Policy Agent made of it (`scripts/record-opa`).

use serde_json::Value;
use stoke_policy::{PolicyFile, PolicySet};

const RECORDED: &str = include_str!("opa/recorded.jsonl");

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

#[test]
fn rego_is_what_opa_makes_of_it() {
    let mut lines = RECORDED.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let common = lines.next().unwrap();
    let mut all = 0;
    let (mut told, mut silent) = (0, 0);
    for case in lines {
        all += 1;
        let ours = std::panic::catch_unwind(|| ours(&case, &common)).unwrap_or(Came::Error("PANIC".into()));
        let theirs = recorded(&case);
        let same = match (&theirs, &ours) {
            (Came::Error(_), Came::Error(_)) => true,
            (theirs, ours) => theirs == ours,
        };
        if same {
            continue;
        }
        let text = case.get("x").map_or_else(|| case["m"].to_string(), |text| text.as_str().unwrap().to_owned());
        let input = case.get("i").map(Value::to_string).unwrap_or_default();
        if matches!(ours, Came::Error(_)) {
            told += 1;
            println!("TOLD\t{text}\t{input}\t{theirs:?}\t{ours:?}");
        } else {
            silent += 1;
            println!("SILENT\t{text}\t{input}\t{theirs:?}\t{ours:?}");
        }
    }
    println!("{all} cases, {told} refused, {silent} different");
}
