//! What is wrong with a webhook configuration or a policy, and what they may leave out.

use serde_json::{Value, json};

use crate::apimachinery::cel::Program;
use crate::apimachinery::cel::check::Type;
use crate::apimachinery::meta::{NameRule, check_name};
use crate::apimachinery::schema::Path;
use crate::apimachinery::status::FieldError;
use crate::apimachinery::validation::{Complaints, items, scheduling, text, words};

/// Fills what may be left out.
pub fn default(kind: &str, object: &mut Value) {
    let set = |object: &mut Value, field: &str, value: Value| {
        if let Some(fields) = object.as_object_mut()
            && fields.get(field).is_none_or(Value::is_null)
        {
            fields.insert(field.to_owned(), value);
        }
    };
    let cover = |object: &mut Value, rules: &str| {
        set(object, "namespaceSelector", json!({}));
        set(object, "objectSelector", json!({}));
        set(object, "matchPolicy", "Equivalent".into());
        for rule in object
            .get_mut(rules)
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            set(rule, "scope", "*".into());
        }
    };
    match kind {
        "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration" => {
            for webhook in object
                .get_mut("webhooks")
                .and_then(Value::as_array_mut)
                .into_iter()
                .flatten()
            {
                set(webhook, "failurePolicy", "Fail".into());
                set(webhook, "timeoutSeconds", 10.into());
                cover(webhook, "rules");
                if kind.starts_with("Mutating") {
                    set(webhook, "reinvocationPolicy", "Never".into());
                }
                if let Some(service) = webhook["clientConfig"].get_mut("service") {
                    set(service, "port", 443.into());
                }
            }
        }
        "ValidatingAdmissionPolicy" => {
            set(&mut object["spec"], "failurePolicy", "Fail".into());
            if object["spec"]["matchConstraints"].is_object() {
                cover(&mut object["spec"]["matchConstraints"], "resourceRules");
            }
        }
        _ => {
            if object["spec"]["matchResources"].is_object() {
                cover(&mut object["spec"]["matchResources"], "resourceRules");
            }
        }
    }
}

/// Complaints about a configuration.
pub fn validate(kind: &str, object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    match kind {
        "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration" => {
            let mut names = Vec::new();
            for (index, webhook) in object["webhooks"].as_array().into_iter().flatten().enumerate() {
                let path = format!("webhooks[{index}]");
                if names.contains(&&webhook["name"]) {
                    errors.push(FieldError::duplicate(&format!("{path}.name"), &webhook["name"]));
                }
                names.push(&webhook["name"]);
                check_webhook(webhook, &path, &mut errors);
            }
        }
        "ValidatingAdmissionPolicy" => check_policy(&object["spec"], &mut errors),
        _ => check_binding(&object["spec"], &mut errors),
    }
    errors
}

fn one_of(value: &Value, path: &str, allowed: &[&str], errors: &mut Vec<FieldError>) {
    if value.as_str().is_none_or(|text| !allowed.contains(&text)) {
        let supported: Vec<Value> = allowed.iter().map(|text| Value::from(*text)).collect();
        errors.push(FieldError::not_supported(path, value, &supported));
    }
}

/// Names of conditions and versions: each once, each of its form.
fn check_names(webhook: &Value, at: &Path<'_>, said: &mut Complaints) {
    let list = at.field("matchConditions");
    let mut known = Vec::new();
    for (index, condition) in items(&webhook["matchConditions"]) {
        let (name, at) = (text(&condition["name"]), list.item(index));
        if !name.is_empty() {
            said.text(&at.field("name"), name, words::qualified(name));
            if known.contains(&name) {
                said.duplicate(&at.field("name"), name);
            }
        }
        known.push(name);
    }
    let list = at.field("admissionReviewVersions");
    let mut known = Vec::new();
    for (index, version) in items(&webhook["admissionReviewVersions"]) {
        let (version, place) = (text(version), list.item(index));
        said.0
            .extend(check_name(NameRule::Label1035, &place.to_string(), version));
        if known.contains(&version) {
            said.invalid(&place, version, "duplicate version");
        }
        known.push(version);
    }
    let (service, at) = (&webhook["clientConfig"]["service"], at.field("clientConfig"));
    let at = at.field("service");
    if service["path"].as_str().is_some_and(|path| !path.starts_with('/')) {
        said.invalid(&at.field("path"), text(&service["path"]), "must start with a '/'");
    }
    if let Some(port) = service["port"].as_i64().filter(|port| !(1..=65_535).contains(port)) {
        let detail = "port is not valid: must be between 1 and 65535, inclusive";
        said.invalid(&at.field("port"), port, detail);
    }
}

fn check_webhook(webhook: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let name = webhook["name"].as_str().unwrap_or_default();
    if name.is_empty() {
        errors.push(FieldError::required(&format!("{path}.name"), ""));
    } else if !words::subdomain(name).is_empty() {
        errors.extend(check_name(NameRule::Subdomain, &format!("{path}.name"), name));
    } else if name.split('.').count() < 3 {
        let detail = "should be a domain with at least three segments separated by dots";
        errors.push(FieldError::invalid(&format!("{path}.name"), &webhook["name"], detail));
    }
    match webhook["sideEffects"].as_str() {
        None => {
            let detail = "must specify one of None, NoneOnDryRun";
            errors.push(FieldError::required(&format!("{path}.sideEffects"), detail));
        }
        Some(_) => one_of(
            &webhook["sideEffects"],
            &format!("{path}.sideEffects"),
            &["None", "NoneOnDryRun"],
            errors,
        ),
    }
    let mut said = Complaints::default();
    let at = Path::Start(path);
    for field in ["namespaceSelector", "objectSelector"] {
        scheduling::check_selector(&webhook[field], &at.field(field), &mut said);
    }
    check_names(webhook, &at, &mut said);
    errors.append(&mut said.0);
    let versions = webhook["admissionReviewVersions"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    if versions.is_empty() {
        let detail = "must specify one of v1, v1beta1";
        errors.push(FieldError::required(&format!("{path}.admissionReviewVersions"), detail));
    } else if !versions.iter().any(|version| version == "v1" || version == "v1beta1") {
        let detail = "must include at least one of v1, v1beta1";
        let value = Value::from(versions.to_vec());
        errors.push(FieldError::invalid(
            &format!("{path}.admissionReviewVersions"),
            &value,
            detail,
        ));
    }
    one_of(
        &webhook["failurePolicy"],
        &format!("{path}.failurePolicy"),
        &["Fail", "Ignore"],
        errors,
    );
    one_of(
        &webhook["matchPolicy"],
        &format!("{path}.matchPolicy"),
        &["Equivalent", "Exact"],
        errors,
    );
    if !webhook["timeoutSeconds"]
        .as_i64()
        .is_some_and(|seconds| (1..=30).contains(&seconds))
    {
        let detail = "the timeout value must be between 1 and 30 seconds";
        errors.push(FieldError::invalid(
            &format!("{path}.timeoutSeconds"),
            &webhook["timeoutSeconds"],
            detail,
        ));
    }
    check_rules(&webhook["rules"], &format!("{path}.rules"), errors);
    let client = &webhook["clientConfig"];
    let here = format!("{path}.clientConfig");
    match (client["url"].as_str(), client["service"].is_object()) {
        (Some(_), true) | (None, false) => {
            errors.push(FieldError::required(&here, "exactly one of url or service is required"));
        }
        (Some(url), false) => {
            check_url(url, &format!("{here}.url"), errors);
        }
        (None, true) => {
            // The real server blames the name for a namespace that is missing too.
            let missing = |field: &str| client["service"][field].as_str().is_none_or(str::is_empty);
            if missing("name") || missing("namespace") {
                errors.push(FieldError::required(&format!("{here}.service.name"), ""));
            }
        }
    }
    check_expressions(
        &webhook["matchConditions"],
        &format!("{path}.matchConditions"),
        &WEBHOOK,
        errors,
    );
}

/// The address of a webhook: a complaint for each part that is wrong, with that part.
fn check_url(url: &str, path: &str, errors: &mut Vec<FieldError>) {
    const FORM: &str = "; desired format: https://host[/path]";
    let (rest, fragment) = url.split_once('#').unwrap_or((url, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (scheme, rest) = rest.split_once("://").unwrap_or(("", ""));
    let authority = rest.split('/').next().unwrap_or_default();
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let mut say = |wrong: bool, part: &str, detail: &str| {
        if wrong {
            errors.push(FieldError::invalid(path, &part.into(), detail));
        }
    };
    let https = format!("'https' is the only allowed URL scheme{FORM}");
    say(scheme != "https", scheme, &https);
    say(host.is_empty(), host, &format!("host must be specified{FORM}"));
    say(!user.is_empty(), user, "user information is not permitted in the URL");
    say(!fragment.is_empty(), fragment, "fragments are not permitted in the URL");
    say(
        !query.is_empty(),
        query,
        "query parameters are not permitted in the URL",
    );
}

fn check_rules(rules: &Value, path: &str, errors: &mut Vec<FieldError>) {
    for (index, rule) in rules.as_array().into_iter().flatten().enumerate() {
        for field in ["operations", "apiGroups", "apiVersions", "resources"] {
            if rule[field].as_array().is_none_or(Vec::is_empty) {
                errors.push(FieldError::required(&format!("{path}[{index}].{field}"), ""));
            }
        }
        for field in ["apiGroups", "apiVersions", "resources"] {
            let list = rule[field].as_array().map(Vec::as_slice).unwrap_or_default();
            let path = format!("{path}[{index}].{field}");
            for (place, name) in list.iter().enumerate() {
                // The group of the core is called nothing.
                if name == "" && field != "apiGroups" {
                    errors.push(FieldError::required(&format!("{path}[{place}]"), ""));
                }
            }
            if field != "resources" && list.len() > 1 && list.iter().any(|name| name == "*") {
                let detail = "if '*' is present, must not specify other API groups";
                let detail = detail.replace("groups", if field == "apiVersions" { "versions" } else { "groups" });
                errors.push(FieldError::invalid(&path, &rule[field], &detail));
            }
        }
        let operations = rule["operations"].as_array().map(Vec::as_slice).unwrap_or_default();
        if operations.len() > 1 && operations.iter().any(|operation| operation == "*") {
            let detail = "if '*' is present, must not specify other operations";
            let path = format!("{path}[{index}].operations");
            errors.push(FieldError::invalid(&path, &rule["operations"], detail));
        }
        check_resources(&rule["resources"], &format!("{path}[{index}].resources"), errors);
        for (place, operation) in rule["operations"].as_array().into_iter().flatten().enumerate() {
            let path = format!("{path}[{index}].operations[{place}]");
            one_of(
                operation,
                &path,
                &["*", "CONNECT", "CREATE", "DELETE", "UPDATE"],
                errors,
            );
        }
        one_of(
            &rule["scope"],
            &format!("{path}[{index}].scope"),
            &["*", "Cluster", "Namespaced"],
            errors,
        );
    }
}

/// Resources that stand for all leave no room for others.
fn check_resources(resources: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let names: Vec<&str> = items(resources).map(|(_, name)| text(name)).collect();
    let has = |wanted: &str| names.contains(&wanted);
    if has("*/*") && names.len() > 1 {
        let detail = "if '*/*' is present, must not specify other resources";
        errors.push(FieldError::invalid(path, resources, detail));
        return;
    }
    if has("*") && names.iter().any(|name| *name != "*" && !name.contains('/')) {
        let detail = "if '*' is present, must not specify other resources without subresources";
        errors.push(FieldError::invalid(path, resources, detail));
    }
    for (index, name) in names.iter().enumerate() {
        let Some((resource, subresource)) = name.split_once('/') else {
            continue;
        };
        let place = format!("{path}[{index}]");
        if subresource == "*"
            && names
                .iter()
                .any(|other| other != name && other.starts_with(&format!("{resource}/")))
        {
            let detail = format!("if '{resource}/*' is present, must not specify {resource}/subresource");
            errors.push(FieldError::invalid(&place, &(*name).into(), &detail));
        } else if resource == "*"
            && names
                .iter()
                .any(|other| other != name && other.ends_with(&format!("/{subresource}")))
        {
            let detail = format!("if '*/{subresource}' is present, must not specify resource/{subresource}");
            errors.push(FieldError::invalid(&place, &(*name).into(), &detail));
        }
    }
}

/// Names that expressions of a webhook may use.
const WEBHOOK: [&str; 4] = ["object", "oldObject", "request", "authorizer"];
/// Names that expressions of a policy may use.
const POLICY: [&str; 7] = [
    "object",
    "oldObject",
    "request",
    "authorizer",
    "params",
    "namespaceObject",
    "variables",
];

fn check_expressions(list: &Value, path: &str, names: &[&str], errors: &mut Vec<FieldError>) {
    for (index, item) in list.as_array().into_iter().flatten().enumerate() {
        if item["name"].as_str().is_none_or(str::is_empty) {
            errors.push(FieldError::required(&format!("{path}[{index}].name"), ""));
        }
        check_expression(
            &item["expression"],
            &format!("{path}[{index}].expression"),
            names,
            Some("bool"),
            errors,
        );
    }
}

/// Complains if an expression does not compile or gives another type.
fn check_expression(value: &Value, path: &str, names: &[&str], wanted: Option<&str>, errors: &mut Vec<FieldError>) {
    let text = value.as_str().unwrap_or_default();
    if text.trim().is_empty() {
        errors.push(FieldError::required(path, ""));
        return;
    }
    let variables: Vec<(&str, Type<'_>)> = names.iter().map(|name| (*name, Type::Dyn)).collect();
    let complaint = match Program::parse(text).and_then(|program| program.check(&variables)) {
        Err(error) => Some(format!("compilation failed: {}", error.describe(text))),
        Ok(found) => match (wanted, found) {
            (Some("bool"), Type::Bool | Type::Dyn) | (Some("string"), Type::Text | Type::Dyn) | (None, _) => None,
            (Some(wanted), found) => Some(format!("must evaluate to {wanted} but got {}", found.name())),
        },
    };
    if let Some(complaint) = complaint {
        errors.push(FieldError::invalid(path, value, &complaint));
    }
}

fn check_policy(spec: &Value, errors: &mut Vec<FieldError>) {
    one_of(
        &spec["failurePolicy"],
        "spec.failurePolicy",
        &["Fail", "Ignore"],
        errors,
    );
    if spec["matchConstraints"].is_null() {
        errors.push(FieldError::required("spec.matchConstraints", ""));
    } else {
        let rules = &spec["matchConstraints"]["resourceRules"];
        if rules.as_array().is_none_or(Vec::is_empty) {
            errors.push(FieldError::required("spec.matchConstraints.resourceRules", ""));
        }
        check_rules(rules, "spec.matchConstraints.resourceRules", errors);
    }
    let names: Vec<&str> = POLICY
        .into_iter()
        .filter(|name| *name != "params" || !spec["paramKind"].is_null())
        .collect();
    check_expressions(&spec["matchConditions"], "spec.matchConditions", &names, errors);
    let mut before: Vec<String> = Vec::new();
    for (index, variable) in spec["variables"].as_array().into_iter().flatten().enumerate() {
        let path = format!("spec.variables[{index}]");
        let name = variable["name"].as_str().unwrap_or_default();
        let named = !name.is_empty() && !name.starts_with(|first: char| first.is_ascii_digit());
        if !named || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            errors.push(FieldError::invalid(
                &format!("{path}.name"),
                &variable["name"],
                "name is not a valid CEL identifier",
            ));
        }
        if before.iter().any(|known| known == name) {
            errors.push(FieldError::duplicate(&format!("{path}.name"), &variable["name"]));
        }
        check_expression(
            &variable["expression"],
            &format!("{path}.expression"),
            &names,
            None,
            errors,
        );
        // A variable may use those before it only, or its evaluation would not end.
        let later: Vec<&Value> = spec["variables"].as_array().into_iter().flatten().skip(index).collect();
        let text = variable["expression"].as_str().unwrap_or_default();
        for name in later.iter().filter_map(|later| later["name"].as_str()) {
            if uses_variable(text, name) {
                let detail = format!("compilation failed: undefined field '{name}'");
                errors.push(FieldError::invalid(
                    &format!("{path}.expression"),
                    &variable["expression"],
                    &detail,
                ));
            }
        }
        before.push(name.to_owned());
    }
    let validations = spec["validations"].as_array().map(Vec::as_slice).unwrap_or_default();
    let audits = spec["auditAnnotations"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    if validations.is_empty() && audits.is_empty() {
        let detail = "validations or auditAnnotations must contain at least one item";
        errors.push(FieldError::required("spec.validations", detail));
    }
    for (index, validation) in validations.iter().enumerate() {
        let path = format!("spec.validations[{index}]");
        check_expression(
            &validation["expression"],
            &format!("{path}.expression"),
            &names,
            Some("bool"),
            errors,
        );
        if validation["messageExpression"]
            .as_str()
            .is_some_and(|text| !text.is_empty())
        {
            let path = format!("{path}.messageExpression");
            check_expression(&validation["messageExpression"], &path, &names, Some("string"), errors);
        }
        if validation["reason"].is_string() {
            let reasons = ["Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized"];
            one_of(&validation["reason"], &format!("{path}.reason"), &reasons, errors);
        }
    }
    for (index, audit) in audits.iter().enumerate() {
        let path = format!("spec.auditAnnotations[{index}].valueExpression");
        check_expression(&audit["valueExpression"], &path, &names, None, errors);
    }
}

/// Whether `variables.<name>` is named in a text.
fn uses_variable(text: &str, name: &str) -> bool {
    let wanted = format!("variables.{name}");
    text.match_indices(&wanted).any(|(place, _)| {
        let after = text[place + wanted.len()..].chars().next();
        !after.is_some_and(|next| next.is_ascii_alphanumeric() || next == '_')
    })
}

fn check_binding(spec: &Value, errors: &mut Vec<FieldError>) {
    if spec["policyName"].as_str().is_none_or(str::is_empty) {
        errors.push(FieldError::required("spec.policyName", ""));
    }
    let actions = spec["validationActions"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    if actions.is_empty() {
        errors.push(FieldError::required(
            "spec.validationActions",
            "at least one validation action is required",
        ));
    }
    for (index, action) in actions.iter().enumerate() {
        one_of(
            action,
            &format!("spec.validationActions[{index}]"),
            &["Audit", "Deny", "Warn"],
            errors,
        );
        if actions[..index].contains(action) {
            errors.push(FieldError::duplicate(
                &format!("spec.validationActions[{index}]"),
                action,
            ));
        }
    }
    let both = |name: &str| actions.iter().any(|action| action == name);
    if both("Deny") && both("Warn") {
        let detail = "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)";
        errors.push(FieldError::invalid(
            "spec.validationActions",
            &actions.to_vec().into(),
            detail,
        ));
    }
    let params = &spec["paramRef"];
    if params.is_object() {
        let named = params["name"].as_str().is_some_and(|name| !name.is_empty());
        if named == params["selector"].is_object() {
            errors.push(FieldError::required(
                "spec.paramRef",
                "one of name or selector must be specified",
            ));
        }
        one_of(
            &params["parameterNotFoundAction"],
            "spec.paramRef.parameterNotFoundAction",
            &["Allow", "Deny"],
            errors,
        );
    }
}
