//! ValidatingAdmissionPolicy: expressions that a write must satisfy, where a binding says so.

use futures::future::BoxFuture;
use serde_json::Value;

use super::rules::{Cover, in_version, shown};
use super::{Admission, Attempt, Facts, ready};
use crate::apimachinery::cel::{Budget, EXPRESSION_BUDGET, Program, TOTAL_BUDGET};
use crate::apimachinery::selectors::LabelSelector;
use crate::apimachinery::status::{Status, known_reason};
use crate::registry::ledger::Reservation;
use crate::store::Key;

/// A compiled policy.
pub(super) struct Policy {
    name: String,
    cover: Cover,
    params: Option<(String, String)>,
    conditions: Vec<(String, Program)>,
    variables: Vec<(String, Program)>,
    validations: Vec<Validation>,
    ignore_failure: bool,
}

struct Validation {
    program: Program,
    message: Option<String>,
    message_program: Option<Program>,
    reason: String,
}

/// A binding: where a policy holds, with which parameters, and what a failure does.
pub(super) struct Binding {
    name: String,
    policy: String,
    cover: Cover,
    params: Value,
    actions: Vec<String>,
}

impl Policy {
    pub fn read(json: &Value) -> Policy {
        let spec = &json["spec"];
        let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let kind = &spec["paramKind"];
        let validations = spec["validations"].as_array().into_iter().flatten();
        Policy {
            name: text(&json["metadata"]["name"]).unwrap_or_default(),
            cover: Cover::read(&spec["matchConstraints"], "resourceRules"),
            params: text(&kind["apiVersion"]).zip(text(&kind["kind"])),
            conditions: programs(&spec["matchConditions"]),
            variables: programs(&spec["variables"]),
            validations: validations
                .filter_map(|json| {
                    Some(Validation {
                        program: Program::parse(json["expression"].as_str()?).ok()?,
                        message: text(&json["message"]),
                        message_program: text(&json["messageExpression"]).and_then(|text| Program::parse(&text).ok()),
                        reason: text(&json["reason"]).unwrap_or_else(|| "Invalid".into()),
                    })
                })
                .collect(),
            ignore_failure: spec["failurePolicy"] == "Ignore",
        }
    }
}

impl Binding {
    pub fn read(json: &Value) -> Binding {
        let spec = &json["spec"];
        let actions = spec["validationActions"].as_array().into_iter().flatten();
        Binding {
            name: json["metadata"]["name"].as_str().unwrap_or_default().to_owned(),
            policy: spec["policyName"].as_str().unwrap_or_default().to_owned(),
            cover: Cover::read(&spec["matchResources"], "resourceRules"),
            params: spec["paramRef"].clone(),
            actions: actions
                .filter_map(|action| action.as_str().map(str::to_owned))
                .collect(),
        }
    }
}

/// Validating policies.
pub(super) struct Policies;

impl Admission for Policies {
    fn handles(&self, attempt: &Attempt<'_>) -> bool {
        attempt.asks_users()
    }

    fn validate<'a>(
        &'a self,
        attempt: &'a Attempt<'_>,
        object: Option<&'a Value>,
        warnings: &'a mut Vec<String>,
    ) -> BoxFuture<'a, Result<Option<Reservation>, Status>> {
        ready(validate(attempt, object, warnings).map(|()| None))
    }
}

/// Named expressions: match conditions or variables. What does not parse was refused when it was written.
pub(super) fn programs(list: &Value) -> Vec<(String, Program)> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(|item| {
        let program = Program::parse(item["expression"].as_str()?).ok()?;
        Some((item["name"].as_str()?.to_owned(), program))
    })
    .collect()
}

/// Evaluates every policy that is bound and covers the write.
fn validate(attempt: &Attempt<'_>, object: Option<&Value>, warnings: &mut Vec<String>) -> Result<(), Status> {
    let bindings = attempt.registry.admission.bindings(&attempt.registry.store);
    if bindings.is_empty() {
        return Ok(());
    }
    let policies = attempt.registry.admission.policies(&attempt.registry.store);
    let namespace = attempt.namespace_object(object);
    let budget = Budget::shared(EXPRESSION_BUDGET, TOTAL_BUDGET);
    for policy in policies {
        let Some(version) = policy.cover.covers(attempt, object, namespace.as_ref(), false) else {
            continue;
        };
        let new = shown(attempt.operation, object).map(|object| in_version(attempt, object, &version));
        let old = attempt.old.map(|old| in_version(attempt, old, &version));
        let request = attempt.request(&version, "");
        for binding in bindings.iter().filter(|binding| binding.policy == policy.name) {
            if binding
                .cover
                .covers(attempt, object, namespace.as_ref(), true)
                .is_none()
            {
                continue;
            }
            let params = match params_of(attempt, &policy, binding) {
                Ok(params) => params,
                Err(cause) if policy.ignore_failure => {
                    tracing::debug!(policy = policy.name, cause, "a policy was passed over");
                    continue;
                }
                Err(cause) => {
                    return Err(refusal(
                        attempt,
                        &policy,
                        binding,
                        "Invalid",
                        &format!("failed to configure binding: {cause}"),
                    ));
                }
            };
            for params in params {
                let facts = Facts {
                    attempt,
                    object: new.as_ref(),
                    old: old.as_ref(),
                    request: &request,
                    params: params.as_ref(),
                    namespace: namespace.as_ref(),
                    policy: true,
                    variables: &policy.variables,
                    known: Default::default(),
                };
                for (reason, message) in complaints(&policy, &facts, &budget) {
                    if binding.actions.iter().any(|action| action == "Warn") {
                        warnings.push(format!(
                            "Validation failed for ValidatingAdmissionPolicy '{}' with binding '{}': {message}",
                            policy.name, binding.name
                        ));
                    }
                    if binding.actions.iter().any(|action| action == "Deny") {
                        let message = format!("denied request: {message}");
                        return Err(refusal(attempt, &policy, binding, &reason, &message));
                    }
                }
            }
        }
    }
    Ok(())
}

/// Failed validations of one policy: reason and message.
fn complaints(policy: &Policy, facts: &Facts<'_>, budget: &Budget) -> Vec<(String, String)> {
    let failed = |text: &str, cause: &dyn std::fmt::Display| format!("expression '{text}' resulted in error: {cause}");
    for (_, condition) in &policy.conditions {
        budget.next_expression(EXPRESSION_BUDGET);
        match condition.holds(facts, budget) {
            Ok(true) => {}
            Ok(false) => return Vec::new(),
            Err(_) if policy.ignore_failure => return Vec::new(),
            Err(cause) => return vec![("Invalid".into(), failed(condition.text(), &cause))],
        }
    }
    let mut found = Vec::new();
    for validation in &policy.validations {
        if !budget.next_expression(EXPRESSION_BUDGET) {
            found.push((
                "Invalid".into(),
                "validation failed due to running out of cost budget, no further validation rules will be run".into(),
            ));
            break;
        }
        match validation.program.holds(facts, budget) {
            Ok(true) => {}
            Ok(false) => {
                let expression = validation.message_program.as_ref();
                let written = expression
                    .and_then(|program| program.eval(facts, budget).ok())
                    .map(|value| value.display());
                let message = written
                    .filter(|text| !text.trim().is_empty() && !text.contains('\n'))
                    .or_else(|| validation.message.clone())
                    .unwrap_or_else(|| format!("failed expression: {}", validation.program.text().trim()));
                found.push((validation.reason.clone(), message));
            }
            Err(_) if policy.ignore_failure => {}
            Err(cause) => found.push((validation.reason.clone(), failed(validation.program.text(), &cause))),
        }
    }
    found
}

/// The parameters a binding gives its policy: none, one, or several.
fn params_of(attempt: &Attempt<'_>, policy: &Policy, binding: &Binding) -> Result<Vec<Option<Value>>, String> {
    let Some((api_version, kind)) = &policy.params else {
        return Ok(vec![None]);
    };
    if binding.params.is_null() {
        return Ok(vec![None]);
    }
    let resources = attempt.registry.resources();
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let resource = resources
        .of(group, version)
        .into_iter()
        .find(|resource| resource.kind == *kind);
    let resource = resource
        .ok_or_else(|| format!("failed to find resource referenced by paramKind: '{api_version}, Kind={kind}'"))?;
    let namespace = match binding.params["namespace"].as_str() {
        _ if !resource.namespaced => "",
        Some(namespace) if !namespace.is_empty() => namespace,
        _ if attempt.namespace.is_empty() => {
            return Err(
                "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources".into(),
            );
        }
        _ => attempt.namespace,
    };
    let found: Vec<Value> = match binding.params["name"].as_str().filter(|name| !name.is_empty()) {
        Some(name) => {
            let object = attempt.registry.store.get(&Key::new(&resource.key, namespace, name));
            object.into_iter().map(|object| object.value()).collect()
        }
        None => {
            let selector = LabelSelector::from_selector(&binding.params["selector"]);
            let keep = |object: &crate::store::Object| selector.matches(&object.fields);
            let space = resource.namespaced.then_some(namespace);
            let page = attempt
                .registry
                .store
                .list(&resource.key, space, None, usize::MAX, keep);
            page.items.iter().map(|object| object.value()).collect()
        }
    };
    if found.is_empty() {
        if binding.params["parameterNotFoundAction"] == "Deny" {
            return Err("no params found for policy binding with `Deny` parameterNotFoundAction".into());
        }
        return Ok(Vec::new());
    }
    Ok(found.into_iter().map(Some).collect())
}

fn refusal(attempt: &Attempt<'_>, policy: &Policy, binding: &Binding, reason: &str, message: &str) -> Status {
    let message = format!(
        "ValidatingAdmissionPolicy '{}' with binding '{}' {message}",
        policy.name, binding.name
    );
    let mut error = Status::forbidden(&attempt.resource.qualified(), attempt.name, &message);
    error.code = match reason {
        "Unauthorized" => 401,
        "Forbidden" => 403,
        "RequestEntityTooLarge" => 413,
        _ => 422,
    };
    error.reason = known_reason(reason);
    error.details["causes"] = serde_json::json!([{"message": message}]);
    error
}
