//! A platform as it is in one of its environments.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::encrypted::EncryptedFile;
use crate::render::{NO_ENVIRONMENT, Scope};
use crate::spec::Platform;

/// A file in one environment: its values are those of the environment where that sets them.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    pub environment: String,
    pub platform: Platform,
    /// Its files with encrypted Secrets.
    pub encrypted: Vec<EncryptedFile>,
}

impl Resolved {
    #[must_use]
    pub fn scope(&self) -> Scope<'_> {
        Scope {
            platform: &self.platform,
            environment: &self.environment,
            encrypted: &self.encrypted,
        }
    }
}

/// The file in the environment of this name; as it stands where none is named.
///
/// # Errors
/// When there is no such environment, or when what is set does not fit its component.
pub fn resolve(platform: &Platform, environment: Option<&str>) -> Result<Resolved, String> {
    let mut resolved = Resolved {
        environment: environment.unwrap_or(NO_ENVIRONMENT).to_owned(),
        platform: platform.clone(),
        encrypted: Vec::new(),
    };
    let Some(name) = environment else {
        return Ok(resolved);
    };
    let Some(set) = platform.environments.get(name) else {
        return Err(format!("there is no environment `{name}`"));
    };
    let whole = &mut resolved.platform;
    if let Some(namespace) = &set.namespace {
        whole.namespace.clone_from(namespace);
    }
    whole.security = set.security.unwrap_or(whole.security);
    whole.network = set.network.unwrap_or(whole.network);
    whole.monitors = set.monitors.unwrap_or(whole.monitors);
    if let Some(secrets) = &set.secrets {
        whole.secrets = overlaid(&whole.secrets, &serde_json::to_value(secrets).unwrap_or_default())
            .map_err(|why| format!("secrets: {why}"))?;
    }
    if set.ingress.is_some() {
        whole.ingress.clone_from(&set.ingress);
    }
    for (name, overlay) in &set.components {
        overlay_component(whole, name, overlay)?;
    }
    whole.components.retain(|name, _| !set.without.contains(name));
    Ok(resolved)
}

/// Lays what is set over a component, where it is there.
///
/// # Errors
/// When it does not fit the component.
pub(crate) fn overlay_component(platform: &mut Platform, name: &str, overlay: &Value) -> Result<(), String> {
    if let Some(component) = platform.components.get_mut(name) {
        *component = overlaid(component, overlay).map_err(|why| format!("component `{name}`: {why}"))?;
    }
    Ok(())
}

fn overlaid<T: Serialize + DeserializeOwned>(what: &T, overlay: &Value) -> Result<T, String> {
    let mut value = serde_json::to_value(what).map_err(|error| error.to_string())?;
    merge(&mut value, overlay);
    serde_json::from_value(value).map_err(|error| error.to_string())
}

/// Mappings are merged; anything else takes the place of what was there.
pub fn merge(into: &mut Value, set: &Value) {
    match (into, set) {
        (Value::Object(into), Value::Object(set)) => {
            for (key, value) in set {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, set) => *into = set.clone(),
    }
}
