//! When a Job counts as failed or as done: its policies of failure and success.

use serde_json::{Value, json};

use super::workload_validation::{at_least_zero, one_of};
use crate::apimachinery::meta::check_qualified;
use crate::apimachinery::status::FieldError;

/// A policy as the real server shows it: by the names of Go's structures. Any other value stays as it is.
pub(super) fn told_policy(policy: &Value) -> Value {
    let Some(rules) = policy.as_object().map(|policy| policy.get("rules")) else {
        return policy.clone();
    };
    let condition = |condition: &Value| {
        let text = |field: &str| condition[field].as_str().unwrap_or_default();
        json!({"Type": text("type"), "Status": text("status")})
    };
    let rule = |rule: &Value| {
        let of_success = ["succeededIndexes", "succeededCount"]
            .iter()
            .any(|field| !rule[*field].is_null());
        if of_success {
            return json!({"SucceededIndexes": rule["succeededIndexes"], "SucceededCount": rule["succeededCount"]});
        }
        let codes = &rule["onExitCodes"];
        let codes = codes.is_object().then(|| {
            let operator = codes["operator"].as_str().unwrap_or_default();
            json!({"ContainerName": codes["containerName"], "Operator": operator, "Values": codes["values"]})
        });
        let conditions = rule["onPodConditions"].as_array();
        let conditions = conditions.map(|list| list.iter().map(condition).collect::<Vec<_>>());
        let action = rule["action"].as_str().unwrap_or_default();
        json!({"Action": action, "OnExitCodes": codes, "OnPodConditions": conditions})
    };
    let rules = rules.and_then(Value::as_array);
    json!({"Rules": rules.map(|rules| rules.iter().map(rule).collect::<Vec<_>>())})
}

pub(super) fn check_success_rule(rule: &Value, spec: &Value, place: &str, errors: &mut Vec<FieldError>) {
    let most = spec["completions"].as_i64().unwrap_or(0);
    at_least_zero(rule, &["succeededCount"], place, errors);
    if rule["succeededCount"].as_i64().is_some_and(|count| count > most) {
        let path = format!("{place}.succeededCount");
        let detail = format!("must be less than or equal to {most} (the number of specified completions)");
        errors.push(FieldError::invalid(&path, &rule["succeededCount"], &detail));
    }
    let Some(indexes) = rule["succeededIndexes"].as_str() else {
        return;
    };
    let parsed = parse_indexes(indexes, most);
    if let Err(why) = &parsed {
        let path = format!("{place}.succeededIndexes");
        let detail = format!("error parsing succeededIndexes: {why}");
        errors.push(FieldError::invalid(&path, &indexes.into(), &detail));
    }
    let named = parsed.unwrap_or(0);
    if rule["succeededCount"].as_i64().is_some_and(|count| count > named) {
        let path = format!("{place}.succeededCount");
        let detail = format!(
            "must be less than or equal to {named} (the number of indexes in the specified succeededIndexes field)"
        );
        errors.push(FieldError::invalid(&path, &rule["succeededCount"], &detail));
    }
}

/// `0,2-4`: rising, and below the number of completions; answers how many they are.
fn parse_indexes(text: &str, most: i64) -> Result<i64, String> {
    let mut previous: Option<i64> = None;
    let mut count = 0;
    for part in text.split(',').filter(|_| !text.is_empty()) {
        let mut first = None;
        for number in part.splitn(2, '-') {
            let index: i64 = number
                .parse()
                .map_err(|_| format!("cannot convert string to integer for index: {number:?}"))?;
            if index >= most {
                return Err(format!("too large index: {number:?}"));
            }
            if let Some(previous) = previous.filter(|previous| *previous >= index) {
                return Err(format!("non-increasing order, previous: {previous}, current: {index}"));
            }
            previous = Some(index);
            first.get_or_insert(index);
        }
        count += previous.zip(first).map_or(0, |(last, first)| last - first + 1);
    }
    Ok(count)
}

pub(super) fn check_failure_policy(spec: &Value, path: &str, errors: &mut Vec<FieldError>) {
    if spec["template"]["spec"]["restartPolicy"] == "OnFailure" {
        errors.push(FieldError::invalid(
            &format!("{path}.template.spec.restartPolicy"),
            &spec["template"]["spec"]["restartPolicy"],
            "only \"Never\" is supported when podFailurePolicy is specified",
        ));
    }
    for (index, rule) in spec["podFailurePolicy"]["rules"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        let place = format!("{path}.podFailurePolicy.rules[{index}]");
        let actions = ["Count", "FailIndex", "FailJob", "Ignore"];
        if rule["action"].as_str().is_none_or(str::is_empty) {
            errors.push(FieldError::required(
                &format!("{place}.action"),
                "valid values: [\"Count\" \"FailIndex\" \"FailJob\" \"Ignore\"]",
            ));
        }
        if rule["action"] != "" {
            one_of(&rule["action"], &format!("{place}.action"), &actions, errors);
        }
        let codes = rule["onExitCodes"].is_object();
        let conditions = rule["onPodConditions"].as_array().is_some_and(|list| !list.is_empty());
        if codes == conditions {
            let detail = if codes {
                "specifying both OnExitCodes and OnPodConditions is not supported"
            } else {
                "specifying one of OnExitCodes and OnPodConditions is required"
            };
            let mut error = FieldError::invalid(&place, &Value::Null, "");
            error.message = format!("Invalid value: {detail}");
            errors.push(error);
        }
        if rule["action"] == "FailIndex" && spec["backoffLimitPerIndex"].is_null() {
            let detail = "requires the backoffLimitPerIndex to be set";
            errors.push(FieldError::invalid(&format!("{place}.action"), &rule["action"], detail));
        }
        if codes {
            let operator = &rule["onExitCodes"]["operator"];
            if operator.as_str().is_none_or(str::is_empty) {
                let path = format!("{place}.onExitCodes.operator");
                errors.push(FieldError::required(&path, "valid values: [\"In\" \"NotIn\"]"));
            }
            if *operator != "" {
                let place = format!("{place}.onExitCodes.operator");
                one_of(operator, &place, &["In", "NotIn"], errors);
            }
            let values = rule["onExitCodes"]["values"]
                .as_array()
                .map(Vec::as_slice)
                .unwrap_or_default();
            if values.is_empty() {
                errors.push(FieldError::invalid(
                    &format!("{place}.onExitCodes.values"),
                    &rule["onExitCodes"]["values"],
                    "at least one value is required",
                ));
            }
            check_exit_codes(&rule["onExitCodes"], spec, &format!("{place}.onExitCodes"), errors);
        }
        for (index, pattern) in rule["onPodConditions"].as_array().into_iter().flatten().enumerate() {
            let place = format!("{place}.onPodConditions[{index}]");
            let kind = pattern["type"].as_str().unwrap_or_default();
            errors.extend(check_qualified(kind, &format!("{place}.type")));
            let allowed = ["False", "True", "Unknown"];
            one_of(&pattern["status"], &format!("{place}.status"), &allowed, errors);
        }
    }
}

fn check_exit_codes(codes: &Value, spec: &Value, place: &str, errors: &mut Vec<FieldError>) {
    let values = codes["values"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (index, value) in values.iter().enumerate() {
        let path = format!("{place}.values[{index}]");
        if codes["operator"] == "In" && *value == 0 {
            let detail = "must not be 0 for the In operator";
            errors.push(FieldError::invalid(&path, value, detail));
        } else if values[..index].contains(value) {
            errors.push(FieldError::duplicate(&path, value));
        }
    }
    if values.windows(2).any(|pair| pair[0].as_i64() > pair[1].as_i64()) {
        let path = format!("{place}.values");
        errors.push(FieldError::invalid(&path, &codes["values"], "must be ordered"));
    }
    let Some(name) = codes["containerName"].as_str() else {
        return;
    };
    let template = &spec["template"]["spec"];
    let known = ["containers", "initContainers"].iter().any(|list| {
        let mut containers = template[*list].as_array().into_iter().flatten();
        containers.any(|container| container["name"] == name)
    });
    if !known {
        let detail = "must be one of the container or initContainer names in the pod template";
        errors.push(FieldError::invalid(
            &format!("{place}.containerName"),
            &name.into(),
            detail,
        ));
    }
}
