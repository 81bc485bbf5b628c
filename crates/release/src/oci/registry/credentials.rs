//! Credentials where Docker, Podman and Skopeo keep them: `config.json`, credential helpers, `credsStore`.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::oci::error::{Kind, OciError, OciResult};

/// What a registry is given.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    Password {
        user: String,
        password: String,
    },
    /// A token that is exchanged for others (`identitytoken`).
    Identity(String),
}

/// Without the secret.
impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password { user, .. } => write!(f, "Password({user})"),
            Self::Identity(_) => f.write_str("Identity"),
        }
    }
}

/// Where credentials are looked for: texts and then files in order; the first that knows the registry counts.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// Where a text is from, and the text.
    texts: Vec<(String, String)>,
    files: Vec<PathBuf>,
}

/// Without the secrets.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = self.texts.iter().map(|(place, _)| place.clone());
        f.debug_list()
            .entries(places.chain(self.files.iter().map(|file| file.display().to_string())))
            .finish()
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct File {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Deserialize, Default)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Helped {
    username: String,
    secret: String,
}

impl Credentials {
    /// These files. One that is not there says nothing.
    #[must_use]
    pub fn of(files: Vec<PathBuf>) -> Self {
        Self {
            texts: Vec::new(),
            files,
        }
    }

    /// The same, but a text of the form of `config.json` is asked first. Only its `auths` count: a text of someone else's names no program that is run here.
    #[must_use]
    pub fn with(mut self, place: impl Into<String>, text: impl Into<String>) -> Self {
        self.texts.push((place.into(), text.into()));
        self
    }

    /// Where the variables of an environment say they are: `REGISTRY_AUTH_FILE`, `DOCKER_CONFIG`, `XDG_RUNTIME_DIR`, `HOME`.
    pub fn found(variable: impl Fn(&str) -> Option<PathBuf>) -> Self {
        if let Some(file) = variable("REGISTRY_AUTH_FILE") {
            return Self::of(vec![file]);
        }
        let docker = variable("DOCKER_CONFIG").or_else(|| Some(variable("HOME")?.join(".docker")));
        let files = [
            docker.map(|directory| directory.join("config.json")),
            variable("XDG_RUNTIME_DIR").map(|directory| directory.join("containers/auth.json")),
            variable("HOME").map(|home| home.join(".config/containers/auth.json")),
        ];
        Self::of(files.into_iter().flatten().collect())
    }

    /// What is kept for a repository at a registry. An entry for a part of the registry (`host/team`) counts before that of all.
    ///
    /// # Errors
    /// A file that cannot be read, a helper that is not there or fails.
    pub fn find(&self, registry: &str, repository: &str) -> OciResult<Option<Credential>> {
        for (place, text) in &self.texts {
            let file = parsed(text, place)?;
            if let Some(found) = file.entry(registry, repository, place)? {
                return Ok(Some(found));
            }
        }
        for path in &self.files {
            let text = match std::fs::read_to_string(path) {
                Ok(text) => text,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(OciError::new(Kind::Credentials, format!("{}: {error}", path.display()))),
            };
            let file = parsed(&text, &path.display().to_string())?;
            if let Some(found) = file.find(registry, repository, path)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// What the parser says would quote the text, so only its place is told.
fn parsed(text: &str, place: &str) -> OciResult<File> {
    serde_json::from_str(text).map_err(|error| {
        let message = format!(
            "{place}:{}:{}: not a configuration of Docker",
            error.line(),
            error.column()
        );
        OciError::new(Kind::Credentials, message)
    })
}

/// The key of a registry without scheme and path: `https://index.docker.io/v1/` is Docker's own.
fn host(key: &str) -> &str {
    let key = key
        .strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"))
        .unwrap_or(key);
    let key = key.trim_end_matches('/');
    match key
        .strip_suffix("/v1")
        .or_else(|| key.strip_suffix("/v2"))
        .unwrap_or(key)
    {
        "index.docker.io" | "registry-1.docker.io" => "docker.io",
        key => key,
    }
}

impl File {
    /// What `auths` has.
    fn entry(&self, registry: &str, repository: &str, place: &str) -> OciResult<Option<Credential>> {
        let whole = format!("{registry}/{repository}");
        let covers = |key: &str| whole == key || whole.strip_prefix(key).is_some_and(|rest| rest.starts_with('/'));
        let fitting = self.auths.iter().filter(|(key, _)| covers(host(key)));
        match fitting.max_by_key(|(key, _)| host(key).len()) {
            Some((key, entry)) => entry.credential(key, place),
            None => Ok(None),
        }
    }

    fn find(&self, registry: &str, repository: &str, path: &Path) -> OciResult<Option<Credential>> {
        let server = match registry {
            "docker.io" => "https://index.docker.io/v1/",
            other => other,
        };
        if let Some((_, helper)) = self.cred_helpers.iter().find(|(key, _)| host(key) == registry) {
            return help(helper, server, path);
        }
        if let Some(credential) = self.entry(registry, repository, &path.display().to_string())? {
            return Ok(Some(credential));
        }
        match &self.creds_store {
            Some(helper) => help(helper, server, path),
            None => Ok(None),
        }
    }
}

impl Entry {
    fn credential(&self, key: &str, place: &str) -> OciResult<Option<Credential>> {
        if let Some(token) = self.identitytoken.as_ref().filter(|token| !token.is_empty()) {
            return Ok(Some(Credential::Identity(token.clone())));
        }
        if let (Some(user), Some(password)) = (&self.username, &self.password) {
            let (user, password) = (user.clone(), password.clone());
            return Ok(Some(Credential::Password { user, password }));
        }
        // An empty entry says that `credsStore` has it.
        let Some(auth) = self.auth.as_ref().filter(|auth| !auth.is_empty()) else {
            return Ok(None);
        };
        let decoded = STANDARD
            .decode(auth.trim())
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok());
        let divided = decoded.as_deref().and_then(|text| text.split_once(':'));
        let Some((user, password)) = divided else {
            let message = format!("{place}: `auth` of {key} is not user:password in base64");
            return Err(OciError::new(Kind::Credentials, message).with_fix("log in again"));
        };
        let password = password.trim_end_matches('\0').to_owned();
        Ok(Some(match user {
            "<token>" => Credential::Identity(password),
            user => Credential::Password {
                user: user.to_owned(),
                password,
            },
        }))
    }
}

/// Asks `docker-credential-<name>`.
fn help(name: &str, server: &str, path: &Path) -> OciResult<Option<Credential>> {
    let program = format!("docker-credential-{name}");
    let failed = |why: String| {
        OciError::new(
            Kind::Credentials,
            format!("{program}, which {} names: {why}", path.display()),
        )
        .with_fix(format!("install {program}, or take it out of that file"))
    };
    if name.contains('/') {
        return Err(failed("its name has a `/`".to_owned()));
    }
    let mut child = Command::new(&program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    if let Some(mut input) = child.stdin.take() {
        // A helper that does not read what it is asked says so by its end.
        let _ = input.write_all(server.as_bytes());
    }
    let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stdout);
        if said.contains("credentials not found") {
            return Ok(None);
        }
        let also = String::from_utf8_lossy(&output.stderr);
        let line = said
            .lines()
            .chain(also.lines())
            .find(|line| !line.trim().is_empty())
            .unwrap_or_default();
        return Err(failed(format!(
            "{}: {}",
            output.status,
            stoke_diagnostics::printable(line.trim())
        )));
    }
    let helped: Helped = serde_json::from_slice(&output.stdout)
        .map_err(|_| failed("it answers with something else than a user and a secret".to_owned()))?;
    Ok(Some(match helped.username.as_str() {
        "<token>" => Credential::Identity(helped.secret),
        _ => Credential::Password {
            user: helped.username,
            password: helped.secret,
        },
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn find(text: &str, registry: &str, repository: &str) -> String {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.json");
        std::fs::write(&file, text).unwrap();
        match Credentials::of(vec![directory.path().join("none"), file]).find(registry, repository) {
            Ok(Some(Credential::Password { user, password })) => format!("{user} {password}"),
            Ok(Some(Credential::Identity(token))) => format!("token {token}"),
            Ok(None) => "none".to_owned(),
            Err(error) => format!("error {}", error.code()),
        }
    }

    #[test]
    fn entries_of_files() {
        let auth = |text: &str| STANDARD.encode(text);
        let text = format!(
            r#"{{"auths":{{"https://index.docker.io/v1/":{{"auth":"{}"}},"r.io":{{"auth":"{}"}},"r.io/team":{{"auth":"{}"}},"t.io":{{"identitytoken":"abc"}},"e.io":{{}},"bad.io":{{"auth":"x!"}}}}}}"#,
            auth("hub:h:1"),
            auth("all:1"),
            auth("team:2"),
        );
        for (registry, repository, found) in [
            ("docker.io", "library/spark", "hub h:1"),
            ("r.io", "x", "all 1"),
            ("r.io", "team/x", "team 2"),
            ("r.io", "teammate/x", "all 1"),
            ("t.io", "x", "token abc"),
            ("e.io", "x", "none"),
            ("other.io", "x", "none"),
            ("bad.io", "x", "error stoke::oci::credentials"),
        ] {
            assert_eq!(find(&text, registry, repository), found, "{registry}/{repository}");
        }
        assert_eq!(find("{", "r.io", "x"), "error stoke::oci::credentials");
        assert_eq!(
            find(r#"{"credsStore":"is-not-there"}"#, "r.io", "x"),
            "error stoke::oci::credentials"
        );
        assert_eq!(find(r#"{"credHelpers":{"r.io":"is-not-there"}}"#, "o.io", "x"), "none");
    }

    #[test]
    fn texts_come_first_and_run_nothing() {
        let auth = STANDARD.encode("me:very-secret");
        let text = format!(
            r#"{{"auths":{{"r.io":{{"auth":"{auth}"}}}},"credHelpers":{{"o.io":"is-not-there"}},"credsStore":"is-not-there"}}"#
        );
        let credentials = Credentials::of(Vec::new()).with("the Secret a", text);
        let password = |user: &str, password: &str| Credential::Password {
            user: user.into(),
            password: password.into(),
        };
        assert_eq!(
            credentials.find("r.io", "x").unwrap(),
            Some(password("me", "very-secret"))
        );
        assert_eq!(credentials.find("o.io", "x").unwrap(), None);
        assert!(!format!("{credentials:?}").contains("auth"));
        let bad = Credentials::default().with("the Secret b", "{\"auths\": \"very-secret\"}");
        let error = bad.find("r.io", "x").unwrap_err();
        assert!(
            error.message().contains("the Secret b:1") && !error.message().contains("very-secret"),
            "{error}"
        );
    }

    #[test]
    fn nothing_shows_secrets() {
        let credential = Credential::Password {
            user: "me".into(),
            password: "very-secret".into(),
        };
        assert!(!format!("{credential:?}").contains("very-secret"));
    }
}
