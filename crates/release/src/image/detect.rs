//! What a directory without a `stoke-image.yaml` is: a job in Python, a job in a jar, with the dependencies that lie beside it.

use super::error::BuildError;
use super::sources::Directory;
use super::spec::{Files, Spec};

/// Files of requirements, the most exact first.
const REQUIREMENTS: [&str; 3] = ["requirements.lock", "requirements.lock.txt", "requirements.txt"];

/// What the directory is made into, on a base.
///
/// Requirements are those of `requirements.lock`, `requirements.lock.txt` or `requirements.txt`; jars are those of `jars/` and `lib/`, for the class path of
/// Spark; everything else goes to `/opt/app`.
///
/// # Errors
/// A directory without code; one whose dependencies stand in `pyproject.toml` only.
pub fn detect(directory: &Directory, base: &str) -> Result<Spec, BuildError> {
    let files = directory.files();
    let has = |name: &str| files.iter().any(|file| file == name);
    let is_code = |file: &&String| {
        file.ends_with(".py") || file.ends_with(".jar") || file.ends_with(".R") || file.ends_with(".sql")
    };
    if !files.iter().any(|file| is_code(&file)) {
        let message = "the directory has no code: no file ends in .py, .jar, .sql or .R".to_owned();
        return Err(BuildError::input(
            "stoke::build::spec",
            message,
            "name the directory of the job, or say in stoke-image.yaml which files it has",
        ));
    }
    let mut spec = Spec::on(base);
    spec.requirements = REQUIREMENTS.into_iter().find(|name| has(name)).map(str::to_owned);
    if spec.requirements.is_none() && has("pyproject.toml") && declares(directory)? {
        let message =
            "pyproject.toml has dependencies, and there is no file that says which versions of them".to_owned();
        let fix = "make one: `uv export --format requirements-txt > requirements.lock`, or `pip-compile -o requirements.lock pyproject.toml`";
        return Err(BuildError::input("stoke::build::dependencies", message, fix));
    }
    for folder in ["jars", "lib"] {
        let inside = |file: &String| {
            file.strip_prefix(folder)
                .is_some_and(|rest| rest.starts_with('/') && rest.ends_with(".jar") && !rest[1..].contains('/'))
        };
        if files.iter().any(inside) {
            spec.jars.push(format!("{folder}/*.jar"));
            spec.exclude.push(format!("{folder}/*.jar"));
        }
    }
    spec.files.push(Files {
        from: ".".to_owned(),
        to: "./".to_owned(),
    });
    Ok(spec)
}

/// Whether `pyproject.toml` has dependencies of its own.
fn declares(directory: &Directory) -> Result<bool, BuildError> {
    let path = directory.path("pyproject.toml");
    let text = std::fs::read_to_string(&path).map_err(|error| super::sources::unreadable(&path, &error))?;
    let value: toml::Table = text.parse().map_err(|error| {
        BuildError::input(
            "stoke::build::dependencies",
            format!("{}: {error}", path.display()),
            "fix the file",
        )
    })?;
    let of_project = value
        .get("project")
        .and_then(|project| project.get("dependencies"))
        .and_then(toml::Value::as_array);
    let of_poetry = value
        .get("tool")
        .and_then(|tool| tool.get("poetry")?.get("dependencies"))
        .and_then(toml::Value::as_table);
    Ok(of_project.is_some_and(|all| !all.is_empty())
        || of_poetry.is_some_and(|all| all.keys().any(|name| name != "python")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::image::sources::Exclude;

    fn detected(files: &[(&str, &str)]) -> Result<Spec, BuildError> {
        let root = tempfile::tempdir().unwrap();
        for (file, text) in files {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        detect(
            &Directory::read(root.path(), &Exclude::default()).unwrap(),
            "spark:4.1.4",
        )
    }

    #[test]
    fn directories_are_understood() {
        let spec = detected(&[
            ("main.py", ""),
            ("requirements.txt", ""),
            ("requirements.lock", ""),
            ("lib/x.jar", ""),
            ("lib/deep/y.jar", ""),
        ])
        .unwrap();
        assert_eq!(spec.requirements.as_deref(), Some("requirements.lock"));
        assert_eq!(
            (spec.jars, spec.exclude),
            (vec!["lib/*.jar".to_owned()], vec!["lib/*.jar".to_owned()])
        );
        let spec = detected(&[
            ("app.jar", ""),
            ("pyproject.toml", "[project]\nname = 'x'\ndependencies = []\n"),
        ])
        .unwrap();
        assert_eq!((spec.requirements, spec.jars.len()), (None, 0));
        for (files, code) in [
            (&[("README.md", "")][..], "stoke::build::spec"),
            (
                &[
                    ("main.py", ""),
                    ("pyproject.toml", "[project]\ndependencies = ['numpy']\n"),
                ],
                "stoke::build::dependencies",
            ),
            (
                &[
                    ("main.py", ""),
                    ("pyproject.toml", "[tool.poetry.dependencies]\npython='3'\nnumpy='*'\n"),
                ],
                "stoke::build::dependencies",
            ),
            (
                &[("main.py", ""), ("pyproject.toml", "[")],
                "stoke::build::dependencies",
            ),
        ] {
            assert_eq!(detected(files).unwrap_err().diagnostics[0].code, code, "{files:?}");
        }
    }
}
