//! Secrets that a platform names: which keys they must have, and what each is for. Pure: random bytes are passed in, and no value is ever written here.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;

use crate::render::Scope;
use crate::spec::components::ObjectStore;
use crate::spec::{Component, Security};
use crate::store::Cloud;

/// Label of Secrets that were made for a platform: they go with its data.
pub const LABEL_MADE: &str = "platform.stoke.dev/made";
/// The name of users that are made up.
const USER: &str = "stoke";
/// Letters of passwords: no client, shell or URL has to quote them.
const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// What a key of a Secret is for; the later ones ask more of their value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// A password, a token, a key that signs: any text that no one guesses.
    Unguessable,
    /// A key of Fernet: 32 bytes in the alphabet of URLs.
    Fernet,
    /// The name of a user.
    User,
    /// The access key of an object store.
    AccessKey,
    /// The secret key of an object store.
    SecretKey,
    /// A login of a server outside.
    Outside,
    /// A certificate, or its key.
    Certificate,
}

/// A key of a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    pub purpose: Purpose,
    /// The component that names it.
    pub component: String,
}

/// Keys by Secret.
pub type Wanted = BTreeMap<String, BTreeMap<String, Key>>;

/// Every key that the components of a platform name.
#[must_use]
pub fn wanted(scope: &Scope<'_>) -> Wanted {
    let mut all = Wanted::new();
    for (name, component) in &scope.platform.components {
        for (secret, key, purpose) in of(component) {
            let keys = all.entry(secret.to_owned()).or_default();
            let known = keys.entry(key.to_owned()).or_insert_with(|| Key {
                purpose,
                component: name.clone(),
            });
            if known.purpose < purpose {
                *known = Key {
                    purpose,
                    component: name.clone(),
                };
            }
        }
    }
    all
}

/// The keys of components, and the certificate of the way in from outside.
#[must_use]
pub fn all(scope: &Scope<'_>) -> Wanted {
    let mut all = wanted(scope);
    let platform = scope.platform;
    let shown = platform
        .components
        .iter()
        .find(|(_, component)| component.host().is_some());
    let certificate = platform
        .ingress
        .as_ref()
        .and_then(|ingress| ingress.tls_secret.as_ref());
    if let (Some((name, _)), Some(certificate)) = (shown, certificate)
        && platform.security != Security::Openshift
    {
        let keys = all.entry(certificate.clone()).or_default();
        for key in ["tls.crt", "tls.key"] {
            keys.entry(key.to_owned()).or_insert_with(|| Key {
                purpose: Purpose::Certificate,
                component: name.clone(),
            });
        }
    }
    all
}

/// Those of [`wanted`] that come neither from a store nor out of an encrypted file.
#[must_use]
pub fn to_make(scope: &Scope<'_>) -> Wanted {
    let mut all = wanted(scope);
    let external: Vec<String> = scope.external().into_iter().map(|secret| secret.name).collect();
    all.retain(|name, _| !external.contains(name) && !scope.is_sealed(name));
    all
}

/// Secret, key and purpose.
fn of(component: &Component) -> Vec<(&str, &str, Purpose)> {
    match component {
        Component::ObjectStore(store) => store
            .credentials
            .iter()
            .flat_map(|keys| {
                [
                    (keys.secret.as_str(), keys.access_key.as_str(), Purpose::AccessKey),
                    (&keys.secret, &keys.secret_key, Purpose::SecretKey),
                ]
            })
            .chain(file_of(store))
            .collect(),
        Component::Postgresql(server) => {
            let login = &server.login;
            let (user, password) = match server.outside {
                Some(_) => (Purpose::Outside, Purpose::Outside),
                None => (Purpose::User, Purpose::Unguessable),
            };
            vec![
                (&login.secret, &login.user, user),
                (&login.secret, &login.password, password),
            ]
        }
        Component::Jupyterlab(jupyter) => vec![(&jupyter.token.secret, &jupyter.token.key, Purpose::Unguessable)],
        Component::Airflow(airflow) => vec![
            (&airflow.fernet_key.secret, &airflow.fernet_key.key, Purpose::Fernet),
            (
                &airflow.signing_key.secret,
                &airflow.signing_key.key,
                Purpose::Unguessable,
            ),
        ],
        Component::HiveMetastore(_)
        | Component::Nessie(_)
        | Component::HistoryServer(_)
        | Component::SparkConnect(_)
        | Component::Mlflow(_)
        | Component::Kafka(_)
        | Component::Celeborn(_) => Vec::new(),
    }
}

/// The login of a cloud other than Amazon's.
fn file_of(store: &ObjectStore) -> Option<(&str, &str, Purpose)> {
    let key = match store.cloud() {
        Cloud::S3 => None,
        Cloud::Google(google) => google.key.as_ref(),
        Cloud::Azure(azure) => azure.key.as_ref(),
    };
    key.map(|key| (key.secret.as_str(), key.key.as_str(), Purpose::Outside))
}

/// A value for a key out of random bytes; none where only someone else knows it.
#[must_use]
pub fn value(purpose: Purpose, random: &[u8; 32]) -> Option<String> {
    match purpose {
        Purpose::Unguessable => {
            let letter = |byte: &u8| char::from(LETTERS[usize::from(byte % 32)]);
            Some(random.iter().map(letter).collect())
        }
        Purpose::Fernet => Some(URL_SAFE.encode(random)),
        Purpose::User => Some(USER.to_owned()),
        Purpose::AccessKey | Purpose::SecretKey | Purpose::Outside | Purpose::Certificate => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_what_their_readers_take() {
        let random: [u8; 32] = std::array::from_fn(|at| u8::try_from(at * 8 + 7).unwrap());
        let unguessable = value(Purpose::Unguessable, &random).unwrap();
        assert!(unguessable.len() == 32 && unguessable.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        let fernet = value(Purpose::Fernet, &random).unwrap();
        assert_eq!(URL_SAFE.decode(&fernet).unwrap(), random);
        assert_eq!(fernet.len(), 44);
        assert_eq!(value(Purpose::User, &random).as_deref(), Some("stoke"));
        for of_others in [Purpose::AccessKey, Purpose::SecretKey, Purpose::Outside] {
            assert_eq!(value(of_others, &random), None);
        }
    }
}
