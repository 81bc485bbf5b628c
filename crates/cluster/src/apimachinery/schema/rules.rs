//! The CEL rules of a definition: `x-kubernetes-validations`.

use serde_json::Value;

use super::validate::counterpart;
use super::{Kind, Schema, join};
use crate::apimachinery::cel;
use crate::apimachinery::cel::check::Type;
use crate::apimachinery::cel::{Budget, CompileError, EXPRESSION_BUDGET, Program, TOTAL_BUDGET};
use crate::apimachinery::status::FieldError;

/// One rule.
#[derive(Debug)]
pub struct Rule {
    program: Program,
    message: Option<String>,
    message_program: Option<Program>,
    reason: Option<String>,
    field_path: Option<String>,
    optional_old: bool,
    transition: bool,
}

impl Rule {
    /// Reads a rule; complains if an expression does not parse.
    pub fn read(json: &Value) -> Result<Rule, (&'static str, CompileError)> {
        let text = |name: &str| json[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let program = Program::parse(json["rule"].as_str().unwrap_or_default()).map_err(|error| ("rule", error))?;
        let message_program = text("messageExpression")
            .map(|expression| Program::parse(&expression))
            .transpose()
            .map_err(|error| ("messageExpression", error))?;
        Ok(Rule {
            transition: program.uses("oldSelf"),
            program,
            message: text("message"),
            message_program,
            reason: text("reason"),
            field_path: text("fieldPath"),
            optional_old: json["optionalOldSelf"] == true,
        })
    }

    /// Checks the types of its expressions against the schema it stands at. `root`: the schema is that of the whole object.
    pub fn check(&self, schema: &Schema, root: bool) -> Result<(), (&'static str, String)> {
        let itself = match Type::of(schema) {
            Type::Object(schema, embedded) => Type::Object(schema, embedded || root),
            other => other,
        };
        let old = if self.optional_old {
            Type::Optional(Box::new(itself.clone()))
        } else {
            itself.clone()
        };
        let variables = [("self", itself), ("oldSelf", old)];
        let found = self.program.check(&variables).map_err(|error| {
            (
                "rule",
                format!("compilation failed: {}", error.describe(self.program.text())),
            )
        })?;
        if !matches!(found, Type::Bool | Type::Dyn) {
            return Err(("rule", "cel expression must evaluate to a bool".to_owned()));
        }
        if let Some(program) = &self.message_program {
            let found = program.check(&variables).map_err(|error| {
                let text = error.describe(program.text());
                (
                    "messageExpression",
                    format!("messageExpression compilation failed: {text}"),
                )
            })?;
            if !matches!(found, Type::Text | Type::Dyn) {
                return Err((
                    "messageExpression",
                    "messageExpression must evaluate to a string".to_owned(),
                ));
            }
        }
        Ok(())
    }

    /// Whether it compares with the object before.
    pub fn is_transition(&self) -> bool {
        self.transition
    }
}

/// Complaints of the rules about a value; `old` is the value before an update.
pub fn check_rules(schema: &Schema, value: &Value, old: Option<&Value>, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if schema.has_rules {
        let budget = Budget::shared(EXPRESSION_BUDGET, TOTAL_BUDGET);
        walk(schema, value, old, path, &budget, &mut errors);
    }
    errors
}

fn walk(
    schema: &Schema,
    value: &Value,
    old: Option<&Value>,
    path: &str,
    budget: &Budget,
    errors: &mut Vec<FieldError>,
) {
    if !schema.has_rules || value.is_null() {
        return;
    }
    for rule in schema.limits.iter().flat_map(|limits| &limits.rules) {
        if !apply(rule, schema, value, old, path, budget, errors) {
            return;
        }
    }
    match (&schema.kind, value) {
        (Kind::Object(object), Value::Object(fields)) => {
            for (name, field) in fields {
                let known = object.properties.get(name).map(|known| (known, join(path, name)));
                let known = known.or_else(|| {
                    object
                        .additional
                        .as_ref()
                        .map(|known| (known, format!("{path}[{name}]")))
                });
                if let Some((known, place)) = known {
                    walk(known, field, old.and_then(|old| old.get(name)), &place, budget, errors);
                }
            }
        }
        (Kind::Array { items, list }, Value::Array(elements)) => {
            for (index, item) in elements.iter().enumerate() {
                let before = old.and_then(|old| counterpart(list, item, index, old));
                walk(items, item, before, &format!("{path}[{index}]"), budget, errors);
            }
        }
        _ => {}
    }
}

/// Applies one rule; false if the budget of the whole object is used up.
fn apply(
    rule: &Rule,
    schema: &Schema,
    value: &Value,
    old: Option<&Value>,
    path: &str,
    budget: &Budget,
    errors: &mut Vec<FieldError>,
) -> bool {
    // A rule about a change says nothing about what is new, nor, as ratcheting goes, about what did not change.
    if rule.transition && !rule.optional_old && old.is_none() {
        return true;
    }
    if !rule.transition && old == Some(value) {
        return true;
    }
    if !budget.next_expression(EXPRESSION_BUDGET) {
        let message = "validation failed due to running out of cost budget, no further validation rules will be run";
        errors.push(FieldError::invalid(path, &shown(value), message));
        return false;
    }
    let mut variables = vec![("self", cel::Value::of(value, Some(schema)))];
    let before = old.map(|old| cel::Value::of(old, Some(schema)));
    match (rule.optional_old, before) {
        (true, before) => variables.push(("oldSelf", cel::Value::Optional(before.map(Box::new)))),
        (false, Some(before)) => variables.push(("oldSelf", before)),
        _ => {}
    }
    let variables = Known(&variables);
    let complaint = match rule.program.holds(&variables, budget) {
        Ok(true) => return true,
        Ok(false) => {
            let expression = rule
                .message_program
                .as_ref()
                .and_then(|program| program.eval(&variables, budget).ok());
            let written = expression.map(|value| value.display()).filter(|text| {
                let text = text.trim();
                !text.is_empty() && !text.contains('\n') && text.len() <= 5 << 10
            });
            written
                .or_else(|| rule.message.clone())
                .unwrap_or_else(|| format!("failed rule: {}", rule.program.text().trim()))
        }
        Err(error) if error.exhausted => {
            format!(
                "{error}: no further validation rules will be run due to call cost exceeds limit for rule: {}",
                rule.program.text()
            )
        }
        Err(error) => format!("rule evaluation error: {error}, in rule: {}", rule.program.text()),
    };
    let place = match rule.field_path.as_deref() {
        Some(field) if path.is_empty() => field.trim_start_matches('.').to_owned(),
        Some(field) => format!("{path}{}{field}", if field.starts_with(['.', '[']) { "" } else { "." }),
        None => path.to_owned(),
    };
    errors.push(match rule.reason.as_deref() {
        Some("FieldValueRequired") => FieldError::required(&place, &complaint),
        Some("FieldValueForbidden") => FieldError::forbidden(&place, &complaint),
        Some("FieldValueDuplicate") => FieldError::duplicate(&place, &shown(value)),
        _ => FieldError::invalid(&place, &shown(value), &complaint),
    });
    true
}

struct Known<'v, 'a>(&'v [(&'v str, cel::Value<'a>)]);

impl<'a> cel::Variables<'a> for Known<'_, 'a> {
    fn get(&self, name: &str) -> Option<cel::Value<'a>> {
        self.0
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.clone())
    }
}

/// Objects and lists are named by their type only.
fn shown(value: &Value) -> Value {
    match value {
        Value::Object(_) => "object".into(),
        Value::Array(_) => "array".into(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn complaints(schema: &Value, value: &Value, old: Option<&Value>) -> Vec<String> {
        let schema = Schema::parse(schema, &|_| None);
        check_rules(&schema, value, old, "")
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn rules_hold_where_they_stand() {
        let schema = json!({"type": "object", "properties": {"spec": {"type": "object",
            "x-kubernetes-validations": [
                {"rule": "self.min <= self.max", "message": "min must not exceed max", "fieldPath": ".min"},
                {"rule": "self.max < 100", "messageExpression": "'max is ' + string(self.max)"},
                {"rule": "!has(self.zone) || self.zone == oldSelf.zone", "message": "zone is immutable", "reason": "FieldValueForbidden"},
                {"rule": "oldSelf.orValue(self).min <= self.min", "optionalOldSelf": true, "message": "min may only grow"}],
            "properties": {"min": {"type": "integer"}, "max": {"type": "integer"}, "zone": {"type": "string"},
                "names": {"type": "array", "items": {"type": "string", "x-kubernetes-validations": [{"rule": "self.startsWith('a')"}]}}}}}});
        let fine = json!({"spec": {"min": 1, "max": 2, "zone": "z", "names": ["ab"]}});
        assert!(complaints(&schema, &fine, None).is_empty());
        let wrong = json!({"spec": {"min": 300, "max": 200, "names": ["ab", "bc"]}});
        assert_eq!(
            complaints(&schema, &wrong, None),
            [
                "spec.min: Invalid value: \"object\": min must not exceed max",
                "spec: Invalid value: \"object\": max is 200",
                "spec.names[1]: Invalid value: \"bc\": failed rule: self.startsWith('a')",
            ]
        );
        let moved = json!({"spec": {"min": 0, "max": 2, "zone": "y"}});
        assert_eq!(
            complaints(&schema, &moved, Some(&fine)),
            [
                "spec: Forbidden: zone is immutable",
                "spec: Invalid value: \"object\": min may only grow"
            ]
        );
    }

    #[test]
    fn what_was_wrong_before_and_did_not_change_is_left_alone() {
        let schema = json!({"type": "object", "properties": {"a": {"type": "string", "x-kubernetes-validations": [{"rule": "self == 'x'"}]}, "b": {"type": "integer"}}});
        let old = json!({"a": "wrong", "b": 1});
        assert!(complaints(&schema, &json!({"a": "wrong", "b": 2}), Some(&old)).is_empty());
        assert_eq!(complaints(&schema, &json!({"a": "worse", "b": 2}), Some(&old)).len(), 1);
    }
}
