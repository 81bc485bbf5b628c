//! A container's environment and command: references resolved, `$(NAME)` expanded, in the kubelet's order.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Container, Pod, Secret};

use super::downward::{Placement, field, resource};

/// ConfigMaps and Secrets of the pod's namespace, as far as known.
pub(crate) trait Configs {
    /// The ConfigMap, if it exists.
    fn config_map(&self, namespace: &str, name: &str) -> Option<ConfigMap>;
    /// The Secret, if it exists.
    fn secret(&self, namespace: &str, name: &str) -> Option<Secret>;
}

/// The environment of `container`: `base` (image and services) below, then `envFrom`, then `env`, later names replacing earlier
/// ones.
///
/// # Errors
/// The message of `CreateContainerConfigError`.
pub(crate) fn environment(
    pod: &Pod,
    container: &Container,
    placement: &Placement,
    base: Vec<(String, String)>,
    configs: &dyn Configs,
) -> Result<Vec<(String, String)>, String> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or("default");
    let mut result = Environment::default();
    for (name, value) in base {
        result.set(name, value);
    }
    for source in container.env_from.iter().flatten() {
        let prefix = source.prefix.as_deref().unwrap_or_default();
        if let Some(reference) = &source.config_map_ref {
            match configs.config_map(namespace, &reference.name) {
                Some(map) => {
                    for (key, value) in map.data.into_iter().flatten() {
                        result.set(format!("{prefix}{key}"), value);
                    }
                }
                None if reference.optional == Some(true) => {}
                None => return Err(format!("configmap \"{}\" not found", reference.name)),
            }
        }
        if let Some(reference) = &source.secret_ref {
            match configs.secret(namespace, &reference.name) {
                Some(secret) => {
                    for (key, value) in secret_values(&secret) {
                        result.set(format!("{prefix}{key}"), value);
                    }
                }
                None if reference.optional == Some(true) => {}
                None => return Err(format!("secret \"{}\" not found", reference.name)),
            }
        }
    }
    for variable in container.env.iter().flatten() {
        let value = match (&variable.value, &variable.value_from) {
            (Some(value), _) if !value.is_empty() => expand(value, &result.values),
            (_, Some(from)) => {
                let value = if let Some(selector) = &from.field_ref {
                    Some(field(pod, placement, selector)?)
                } else if let Some(selector) = &from.resource_field_ref {
                    Some(resource(pod, placement, container, selector)?)
                } else if let Some(selector) = &from.config_map_key_ref {
                    let found = configs.config_map(namespace, &selector.name);
                    let optional = selector.optional == Some(true);
                    match (
                        &found,
                        found.as_ref().and_then(|map| map.data.as_ref()?.get(&selector.key)),
                    ) {
                        (_, Some(value)) => Some(value.clone()),
                        _ if optional => None,
                        (None, _) => return Err(format!("configmap \"{}\" not found", selector.name)),
                        _ => {
                            return Err(format!(
                                "couldn't find key {} in ConfigMap {namespace}/{}",
                                selector.key, selector.name
                            ));
                        }
                    }
                } else if let Some(selector) = &from.secret_key_ref {
                    let found = configs.secret(namespace, &selector.name);
                    let optional = selector.optional == Some(true);
                    match (
                        &found,
                        found
                            .as_ref()
                            .and_then(|secret| secret_values(secret).remove(&selector.key)),
                    ) {
                        (_, Some(value)) => Some(value),
                        _ if optional => None,
                        (None, _) => return Err(format!("secret \"{}\" not found", selector.name)),
                        _ => {
                            return Err(format!(
                                "couldn't find key {} in Secret {namespace}/{}",
                                selector.key, selector.name
                            ));
                        }
                    }
                } else {
                    None
                };
                match value {
                    Some(value) => value,
                    None => continue,
                }
            }
            _ => String::new(),
        };
        result.set(variable.name.clone(), value);
    }
    Ok(result
        .order
        .into_iter()
        .filter_map(|name| result.values.get(&name).cloned().map(|value| (name, value)))
        .collect())
}

/// The text values of a Secret; bytes that are not UTF-8 are replaced.
pub(crate) fn secret_values(secret: &Secret) -> BTreeMap<String, String> {
    let mut values: BTreeMap<String, String> = secret
        .data
        .iter()
        .flatten()
        .map(|(key, bytes)| (key.clone(), String::from_utf8_lossy(&bytes.0).into_owned()))
        .collect();
    values.extend(secret.string_data.clone().into_iter().flatten());
    values
}

/// A command line with `$(NAME)` expanded: `command` replaces the image's entrypoint, and then its arguments too.
pub(crate) fn command_line(
    container: &Container,
    entrypoint: &[String],
    arguments: &[String],
    environment: &[(String, String)],
) -> Vec<String> {
    let values: BTreeMap<String, String> = environment.iter().cloned().collect();
    let expand_all = |list: &[String]| list.iter().map(|text| expand(text, &values)).collect::<Vec<_>>();
    let own = container.command.as_deref().filter(|command| !command.is_empty());
    let own_arguments = container.args.as_deref().filter(|arguments| !arguments.is_empty());
    let (mut line, rest) = match (own, own_arguments) {
        (Some(command), given) => (expand_all(command), expand_all(given.unwrap_or_default())),
        (None, Some(given)) => (entrypoint.to_vec(), expand_all(given)),
        (None, None) => (entrypoint.to_vec(), arguments.to_vec()),
    };
    line.extend(rest);
    line
}

/// Replaces `$(NAME)` by its value if it is known; `$$` is a dollar.
pub(crate) fn expand(text: &str, values: &BTreeMap<String, String>) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        result.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(tail) = after.strip_prefix('$') {
            result.push('$');
            rest = tail;
        } else if let Some((name, tail)) = after.strip_prefix('(').and_then(|inner| inner.split_once(')')) {
            match values.get(name) {
                Some(value) => result.push_str(value),
                None => result.push_str(&rest[at..at + 3 + name.len()]),
            }
            rest = tail;
        } else {
            result.push('$');
            rest = after;
        }
    }
    result.push_str(rest);
    result
}

/// Variables in the order of their first appearance, with their latest value.
#[derive(Default)]
struct Environment {
    order: Vec<String>,
    values: BTreeMap<String, String>,
}

impl Environment {
    fn set(&mut self, name: String, value: String) {
        if self.values.insert(name.clone(), value).is_none() {
            self.order.push(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    struct Fixed;

    impl Configs for Fixed {
        fn config_map(&self, _: &str, name: &str) -> Option<ConfigMap> {
            (name == "cm").then(|| serde_json::from_value(json!({"data": {"A": "a", "B": "b"}})).unwrap())
        }
        fn secret(&self, _: &str, name: &str) -> Option<Secret> {
            (name == "s").then(|| serde_json::from_value(json!({"data": {"P": "cHc="}})).unwrap())
        }
    }

    fn resolve(container: serde_json::Value) -> Result<Vec<(String, String)>, String> {
        let container: Container = serde_json::from_value(container).unwrap();
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "n"}})).unwrap();
        let placement = Placement::example();
        environment(
            &pod,
            &container,
            &placement,
            vec![("PATH".into(), "/bin".into())],
            &Fixed,
        )
    }

    #[test]
    fn sources_in_order_later_names_win() {
        let env = resolve(json!({
            "name": "c",
            "envFrom": [{"configMapRef": {"name": "cm"}, "prefix": "X_"}, {"secretRef": {"name": "s"}}, {"configMapRef": {"name": "no", "optional": true}}],
            "env": [
                {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                {"name": "URL", "value": "http://$(IP):1/$(X_A)/$(UNKNOWN)/$$(IP)"},
                {"name": "X_A", "value": "changed"},
                {"name": "K", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "B"}}},
                {"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "P"}}},
                {"name": "O", "valueFrom": {"secretKeyRef": {"name": "none", "key": "P", "optional": true}}},
                {"name": "E"}
            ]
        }))
        .unwrap();
        let expected = [
            ("PATH", "/bin"),
            ("X_A", "changed"),
            ("X_B", "b"),
            ("P", "pw"),
            ("IP", "127.70.1.1"),
            ("URL", "http://127.70.1.1:1/a/$(UNKNOWN)/$(IP)"),
            ("K", "b"),
            ("S", "pw"),
            ("E", ""),
        ];
        assert_eq!(env, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn what_is_missing_is_said_as_the_kubelet_says_it() {
        let table = [
            (
                json!({"name": "c", "env": [{"name": "K", "valueFrom": {"configMapKeyRef": {"name": "none", "key": "B"}}}]}),
                "configmap \"none\" not found",
            ),
            (
                json!({"name": "c", "env": [{"name": "K", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "Z"}}}]}),
                "couldn't find key Z in ConfigMap n/cm",
            ),
            (
                json!({"name": "c", "env": [{"name": "K", "valueFrom": {"secretKeyRef": {"name": "s", "key": "Z"}}}]}),
                "couldn't find key Z in Secret n/s",
            ),
            (
                json!({"name": "c", "envFrom": [{"secretRef": {"name": "none"}}]}),
                "secret \"none\" not found",
            ),
        ];
        for (container, expected) in table {
            assert_eq!(resolve(container).unwrap_err(), expected);
        }
    }

    #[test]
    fn commands_follow_the_image_rules() {
        let line = |container: serde_json::Value| {
            let container: Container = serde_json::from_value(container).unwrap();
            let list = |text: &[&str]| text.iter().map(ToString::to_string).collect::<Vec<_>>();
            command_line(
                &container,
                &list(&["/entry"]),
                &list(&["default"]),
                &[("A".into(), "1".into())],
            )
            .join(" ")
        };
        assert_eq!(line(json!({"name": "c"})), "/entry default");
        assert_eq!(line(json!({"name": "c", "args": ["$(A)", "x"]})), "/entry 1 x");
        assert_eq!(line(json!({"name": "c", "command": ["run", "$(A)"]})), "run 1");
        assert_eq!(
            line(json!({"name": "c", "command": ["run"], "args": ["$$(A)"]})),
            "run $(A)"
        );
    }
}
