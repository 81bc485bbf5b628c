//! The Python that private environments are made from.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::error::InstallError;

/// A Python of this machine, as it describes itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Interpreter {
    /// The program itself, not a shim or the link of an environment.
    pub executable: PathBuf,
    /// `(3, 11)`.
    pub version: (u32, u32),
    /// The directory of its installation, which environments made from it need.
    pub base: PathBuf,
    /// The modules it lacks of those that make environments.
    pub missing: Vec<String>,
}

/// Asks a Python about itself; prints JSON of [`Interpreter`].
const QUESTION: &str = r#"
import importlib.util, json, os, sys
print(json.dumps({
    "executable": os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable),
    "version": sys.version_info[:2],
    "base": os.path.realpath(sys.base_prefix),
    "missing": [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None],
}))
"#;

/// Finds a Python of at least `minimum`: `STOKE_PYTHON` alone if set, else `python3`, the numbered ones from new to old, `python`.
///
/// `what` it is for is used in messages. Errors: none there, all too old, modules missing.
pub fn find(minimum: (u32, u32), what: &str) -> Result<Interpreter, InstallError> {
    let names: Vec<String> = match std::env::var("STOKE_PYTHON").ok().filter(|name| !name.is_empty()) {
        Some(own) => vec![own],
        None => std::iter::once("python3".to_owned())
            .chain((minimum.1..=14).rev().map(|minor| format!("python3.{minor}")))
            .chain(std::iter::once("python".to_owned()))
            .collect(),
    };
    let mut found: Vec<Interpreter> = Vec::new();
    for name in names {
        let Some(python) = ask(&name) else { continue };
        if python.version >= minimum && python.missing.is_empty() {
            return Ok(python);
        }
        if !found.iter().any(|other| other.executable == python.executable) {
            found.push(python);
        }
    }
    Err(refusal(&found, minimum, what))
}

/// Why none of those found will do.
fn refusal(found: &[Interpreter], minimum: (u32, u32), what: &str) -> InstallError {
    if let Some(python) = found.iter().find(|python| python.version >= minimum) {
        return InstallError::VenvMissing {
            python: python.executable.clone(),
            module: python.missing.join(" and "),
        };
    }
    if found.is_empty() {
        return InstallError::PythonMissing;
    }
    let told = found.iter().map(|python| {
        format!(
            "Python {}.{} ({})",
            python.version.0,
            python.version.1,
            python.executable.display()
        )
    });
    InstallError::PythonTooOld {
        what: what.to_owned(),
        minimum,
        found: told.collect::<Vec<_>>().join(", "),
    }
}

fn ask(name: &str) -> Option<Interpreter> {
    let output = Command::new(name)
        .args(["-c", QUESTION])
        .env_remove("PYTHONPATH")
        .env_remove("PYTHONHOME")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    serde_json::from_slice(&output.stdout).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_name_the_real_obstacle() {
        let python = |minor, missing: &[&str]| Interpreter {
            executable: format!("/usr/bin/python3.{minor}").into(),
            version: (3, minor),
            base: "/usr".into(),
            missing: missing.iter().map(|name| (*name).to_owned()).collect(),
        };
        let cases = [
            (vec![], "stoke::python::missing", "apt-get install -y python3"),
            (
                vec![python(8, &[])],
                "stoke::python::too-old",
                "needs Python 3.10 or newer; found only Python 3.8 (/usr/bin/python3.8)",
            ),
            (
                vec![python(8, &[]), python(11, &["ensurepip"])],
                "stoke::python::no-venv",
                "no module `ensurepip`",
            ),
        ];
        for (found, code, text) in cases {
            let error = refusal(&found, (3, 10), "Spark 4.1.4");
            assert_eq!(error.code(), code);
            assert!(cfg!(target_os = "macos") || error.to_string().contains(text), "{error}");
        }
    }

    #[test]
    fn what_is_no_python_is_not_found() {
        assert_eq!(ask("/nonexistent/python3"), None);
        assert_eq!(ask("true"), None);
    }
}
