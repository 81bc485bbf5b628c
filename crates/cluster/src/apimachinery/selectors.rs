//! Label and field selectors, with the grammar of the API server.

use super::status::Status;
use crate::store::{Fields, Object};
use serde_json::Value;

/// One condition on a label.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Condition {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Missing(String),
    Greater(String, i64),
    Less(String, i64),
}

/// A parsed label selector; all conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector(Vec<Condition>);

impl LabelSelector {
    /// Parses `a=b,c!=d,e in (f,g),h notin (i),j,!k,l>1,m<2`.
    pub fn parse(text: &str) -> Result<LabelSelector, Status> {
        let complain = |why: String| Status::bad_request(format!("unable to parse requirement: {why}"));
        let mut conditions = Vec::new();
        for part in split_outside_parentheses(text) {
            let part = part.trim();
            if part.is_empty() {
                if text.trim().is_empty() {
                    continue;
                }
                return Err(complain(format!("found '', expected: identifier in {text:?}")));
            }
            let condition = condition(part).ok_or_else(|| complain(misread(part)))?;
            check_condition(&condition).map_err(complain)?;
            conditions.push(condition);
        }
        Ok(LabelSelector(conditions))
    }

    /// A selector from a `matchLabels`-like map.
    pub fn from_map(map: &Value) -> LabelSelector {
        let pairs = map.as_object().into_iter().flatten();
        LabelSelector(
            pairs
                .map(|(key, value)| Condition::In(key.clone(), vec![value.as_str().unwrap_or_default().to_owned()]))
                .collect(),
        )
    }

    /// A selector from its structured form, `matchLabels` and `matchExpressions`. An unknown operator matches nothing.
    pub fn from_selector(selector: &Value) -> LabelSelector {
        let mut conditions = LabelSelector::from_map(&selector["matchLabels"]).0;
        for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
            let key = expression["key"].as_str().unwrap_or_default().to_owned();
            let values = expression["values"].as_array().into_iter().flatten();
            let values = values.filter_map(|value| value.as_str().map(str::to_owned)).collect();
            conditions.push(match expression["operator"].as_str() {
                Some("In") => Condition::In(key, values),
                Some("NotIn") => Condition::NotIn(key, values),
                Some("Exists") => Condition::Exists(key),
                Some("DoesNotExist") => Condition::Missing(key),
                _ => Condition::In(key, Vec::new()),
            });
        }
        LabelSelector(conditions)
    }

    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether labels satisfy every condition.
    pub fn matches(&self, fields: &Fields) -> bool {
        self.0.iter().all(|condition| match condition {
            Condition::In(key, values) => fields
                .label(key)
                .is_some_and(|value| values.iter().any(|wanted| wanted == value)),
            Condition::NotIn(key, values) => fields
                .label(key)
                .is_none_or(|value| !values.iter().any(|wanted| wanted == value)),
            Condition::Exists(key) => fields.label(key).is_some(),
            Condition::Missing(key) => fields.label(key).is_none(),
            Condition::Greater(key, limit) => number(fields.label(key)).is_some_and(|value| value > *limit),
            Condition::Less(key, limit) => number(fields.label(key)).is_some_and(|value| value < *limit),
        })
    }
}

impl std::fmt::Display for LabelSelector {
    /// As text that parses to the same.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, condition) in self.0.iter().enumerate() {
            if index > 0 {
                out.write_str(",")?;
            }
            match condition {
                Condition::In(key, values) if values.len() == 1 => write!(out, "{key}={}", values.concat())?,
                Condition::In(key, values) => write!(out, "{key} in ({})", values.join(","))?,
                Condition::NotIn(key, values) if values.len() == 1 => write!(out, "{key}!={}", values.concat())?,
                Condition::NotIn(key, values) => write!(out, "{key} notin ({})", values.join(","))?,
                Condition::Exists(key) => out.write_str(key)?,
                Condition::Missing(key) => write!(out, "!{key}")?,
                Condition::Greater(key, limit) => write!(out, "{key}>{limit}")?,
                Condition::Less(key, limit) => write!(out, "{key}<{limit}")?,
            }
        }
        Ok(())
    }
}

fn number(text: Option<&str>) -> Option<i64> {
    text?.parse().ok()
}

/// What a condition goes on with where it cannot be read.
fn misread(part: &str) -> String {
    if let Some((_, list)) = part.split_once('(') {
        let closed = list.trim_end().ends_with(')');
        let found = if closed {
            list.trim_end_matches(')').rsplit(',').next().unwrap_or_default().trim()
        } else {
            ""
        };
        return format!("found '{found}', expected: ',' or ')'");
    }
    let mut words = part.split_whitespace();
    match (words.next(), words.next()) {
        (Some(first), Some(second)) if is_key(first) => {
            format!("found '{second}', expected: in, notin, =, ==, !=, gt, lt")
        }
        (first, _) => format!(
            "found '{}', expected: !, identifier, or 'end of string'",
            first.unwrap_or_default()
        ),
    }
}

/// Keys and values of a condition have the form of those of labels.
fn check_condition(condition: &Condition) -> Result<(), String> {
    let (key, values): (&str, &[String]) = match condition {
        Condition::In(key, values) | Condition::NotIn(key, values) => (key, values),
        Condition::Exists(key) | Condition::Missing(key) | Condition::Greater(key, _) | Condition::Less(key, _) => {
            (key, &[])
        }
    };
    if let Some(error) = super::meta::check_qualified(key, "<nil>").first() {
        return Err(error.to_string());
    }
    for (index, value) in values.iter().enumerate() {
        let labels = serde_json::json!({key: value});
        let place = format!("values[{index}][{key}]");
        if let Some(error) = super::meta::check_labels(&labels, &place).first() {
            return Err(error.to_string());
        }
    }
    Ok(())
}

fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0_i32, 0);
    for (index, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn is_key(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte))
}

fn is_value(text: &str) -> bool {
    text.len() <= 63
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

fn key(text: &str) -> Option<String> {
    let text = text.trim();
    is_key(text).then(|| text.to_owned())
}

fn value(text: &str) -> Option<String> {
    let text = text.trim();
    is_value(text).then(|| text.to_owned())
}

fn condition(part: &str) -> Option<Condition> {
    if let Some(rest) = part.strip_prefix('!') {
        return Some(Condition::Missing(key(rest)?));
    }
    if let Some(open) = part.find('(') {
        let list = part[open + 1..].trim().strip_suffix(')')?;
        let values = list.split(',').map(value).collect::<Option<Vec<_>>>()?;
        let mut words = part[..open].split_whitespace();
        let name = key(words.next()?)?;
        return match (words.next()?, words.next()) {
            ("in", None) => Some(Condition::In(name, values)),
            ("notin", None) => Some(Condition::NotIn(name, values)),
            _ => None,
        };
    }
    for (operator, negated) in [("!=", true), ("==", false), ("=", false)] {
        if let Some((name, wanted)) = part.split_once(operator) {
            let (name, wanted) = (key(name)?, vec![value(wanted)?]);
            return Some(if negated {
                Condition::NotIn(name, wanted)
            } else {
                Condition::In(name, wanted)
            });
        }
    }
    if let Some((name, limit)) = part.split_once('>') {
        return Some(Condition::Greater(key(name)?, limit.trim().parse().ok()?));
    }
    if let Some((name, limit)) = part.split_once('<') {
        return Some(Condition::Less(key(name)?, limit.trim().parse().ok()?));
    }
    Some(Condition::Exists(key(part)?))
}

/// A parsed field selector; all conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector(Vec<(String, bool, String)>);

impl FieldSelector {
    /// Parses `metadata.name=a,status.phase!=Running` and checks that the resource supports the fields.
    pub fn parse(text: &str, resource: &str, custom: Option<&[String]>) -> Result<FieldSelector, Status> {
        let mut conditions = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (field, wanted, value) = if let Some((field, value)) = part.split_once("!=") {
                (field, false, value)
            } else if let Some((field, value)) = part.split_once("==") {
                (field, true, value)
            } else if let Some((field, value)) = part.split_once('=') {
                (field, true, value)
            } else {
                return Err(Status::bad_request(format!(
                    "invalid selector: '{text}'; can't understand '{part}'"
                )));
            };
            let known = matches!(field, "metadata.name" | "metadata.namespace")
                || supported(resource).contains(&field)
                || custom.is_some_and(|fields| fields.iter().any(|known| known == field));
            if !known {
                let message = format!("field label not supported: {field}");
                let message = if custom.is_some() || !supported(resource).is_empty() {
                    message
                } else {
                    format!("{field:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
                };
                return Err(Status::bad_request(message));
            }
            conditions.push((field.to_owned(), wanted, value.replace("\\,", ",").replace("\\=", "=")));
        }
        Ok(FieldSelector(conditions))
    }

    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an object satisfies every condition; parses it only when asked for more than its name.
    pub fn matches(&self, object: &Object) -> bool {
        let mut parsed = None;
        self.0.iter().all(|(field, wanted, value)| {
            let found = match field.as_str() {
                "metadata.name" => *object.key.name == **value,
                "metadata.namespace" => *object.key.namespace == **value,
                path => text_at(parsed.get_or_insert_with(|| object.value()), path) == *value,
            };
            found == *wanted
        })
    }
}

fn text_at(value: &Value, path: &str) -> String {
    let path = match path {
        // Core events name their reporter and their source's component by one selector.
        "source" => "source.component",
        path => path,
    };
    match path.split('.').fold(value, |value, field| &value[field]) {
        Value::String(text) => text.clone(),
        Value::Null if path == "spec.unschedulable" || path == "spec.hostNetwork" => "false".to_owned(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn supported(resource: &str) -> &'static [&'static str] {
    match resource {
        "pods" => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        "events" => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        "secrets" => &["type"],
        "namespaces" => &["status.phase"],
        "nodes" => &["spec.unschedulable"],
        "services" => &["spec.clusterIP", "spec.type"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::fields_of;

    #[test]
    fn label_selectors_follow_the_published_grammar() {
        let labels = json!({"metadata": {"labels": {"app": "spark", "tier": "1", "a.b/c": ""}}});
        let fields = fields_of(&labels);
        for (selector, expected) in [
            ("", true),
            ("app=spark", true),
            ("app==spark,tier=1", true),
            ("app!=spark", false),
            ("missing!=x", true),
            ("app in (x, spark)", true),
            ("app in (x),tier=1", false),
            ("app notin (x,y)", true),
            ("app notin (spark)", false),
            ("app", true),
            ("!app", false),
            ("!missing", true),
            ("tier>0", true),
            ("tier<1", false),
            ("a.b/c=", true),
            (
                "spark-app-selector=x,spark-role=executor,spark-exec-inactive!=true",
                false,
            ),
        ] {
            assert_eq!(
                LabelSelector::parse(selector).unwrap().matches(&fields),
                expected,
                "{selector}"
            );
        }
        for wrong in ["a b", "=x", "a in x", "a,,b", "a in (b", "a like (b)"] {
            assert!(LabelSelector::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn structured_selectors_say_the_same() {
        let fields = fields_of(&json!({"metadata": {"labels": {"app": "spark", "tier": "1"}}}));
        for (selector, expected) in [
            (json!({"matchLabels": {"app": "spark"}}), true),
            (
                json!({"matchLabels": {"app": "spark"}, "matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["1"]}]}),
                false,
            ),
            (
                json!({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["0", "1"]}]}),
                true,
            ),
            (
                json!({"matchExpressions": [{"key": "x", "operator": "DoesNotExist"}, {"key": "app", "operator": "Exists"}]}),
                true,
            ),
            (json!({"matchExpressions": [{"key": "app", "operator": "Like"}]}), false),
        ] {
            assert_eq!(
                LabelSelector::from_selector(&selector).matches(&fields),
                expected,
                "{selector}"
            );
        }
    }

    #[test]
    fn field_selectors_refuse_fields_the_resource_does_not_have() {
        assert!(FieldSelector::parse("status.phase=Running,metadata.name!=x", "pods", None).is_ok());
        let error = FieldSelector::parse("spec.nope=1", "pods", None).unwrap_err();
        assert_eq!(
            (error.code, error.message.as_str()),
            (400, "field label not supported: spec.nope")
        );
    }
}
