//! Which files of the directory go where in the image.

use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};

use super::error::BuildError;
use super::layer::{Item, Source, Tree};
use super::spec::Files;

/// Names that are never code, wherever they are.
const NEVER: [&str; 9] = [
    ".git",
    ".venv",
    "__pycache__",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    "node_modules",
    ".idea",
    ".DS_Store",
];
/// Files of the directory that say how the image is made.
const ABOUT: [&str; 6] = [
    "stoke-image.yaml",
    "stoke-image.lock",
    "Containerfile",
    "Dockerfile",
    ".dockerignore",
    ".containerignore",
];

/// `*` stays in one directory, `**` does not.
const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

/// A file of the directory, and the part of its path that stays below the target.
pub type Meant<'a> = (&'a str, &'a str);

/// The files of a directory.
#[derive(Debug)]
pub struct Directory {
    root: PathBuf,
    /// Paths below the root, sorted; directories are not in it.
    files: Vec<String>,
}

/// Patterns of what is left out, the last that fits counts; `!` takes something in again, as in `.dockerignore`.
#[derive(Debug, Default)]
pub struct Exclude(Vec<(Vec<Pattern>, bool)>);

impl Exclude {
    /// # Errors
    /// A pattern that is not one.
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, BuildError> {
        let mut all = Vec::new();
        for text in patterns {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let (plain, out) = match text.strip_prefix('!') {
                Some(rest) => (rest, false),
                None => (text, true),
            };
            let plain = plain.trim_start_matches("./").trim_matches('/');
            // What is named, and all below it.
            all.push((vec![pattern(plain)?, pattern(&format!("{plain}/**"))?], out));
        }
        Ok(Self(all))
    }

    fn excludes(&self, path: &str) -> bool {
        let fits =
            |(patterns, _): &&(Vec<Pattern>, bool)| patterns.iter().any(|pattern| pattern.matches_with(path, OPTIONS));
        self.0.iter().rev().find(fits).is_some_and(|(_, out)| *out)
    }
}

fn pattern(text: &str) -> Result<Pattern, BuildError> {
    Pattern::new(text).map_err(|error| {
        BuildError::input(
            "stoke::build::path",
            format!("`{text}` is not a pattern: {error}"),
            "use *, ** and ?",
        )
    })
}

impl Directory {
    /// Lists what is there.
    ///
    /// # Errors
    /// A directory that cannot be read; a name that is not UTF-8.
    pub fn read(root: &Path, exclude: &Exclude) -> Result<Self, BuildError> {
        let mut files = Vec::new();
        let mut open = vec![PathBuf::new()];
        while let Some(below) = open.pop() {
            let here = root.join(&below);
            let failed = |error: std::io::Error| unreadable(&here, &error);
            // An environment of Python is not code, whatever it is called.
            if !below.as_os_str().is_empty() && here.join("pyvenv.cfg").is_file() {
                continue;
            }
            for entry in std::fs::read_dir(&here).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                let path = below.join(entry.file_name());
                let Some(name) = path.to_str() else {
                    return Err(BuildError::input(
                        "stoke::build::path",
                        format!("{} has a name that is not UTF-8", here.join(&path).display()),
                        "rename it",
                    ));
                };
                let last = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                if NEVER.contains(&last)
                    || last.ends_with(".pyc")
                    || (below.as_os_str().is_empty() && ABOUT.contains(&last))
                {
                    continue;
                }
                let kind = entry.file_type().map_err(failed)?;
                if kind.is_dir() {
                    open.push(path.clone());
                } else if (kind.is_file() || kind.is_symlink()) && !exclude.excludes(name) {
                    files.push(name.to_owned());
                }
            }
        }
        files.sort();
        Ok(Self {
            root: root.to_owned(),
            files,
        })
    }

    #[must_use]
    pub fn files(&self) -> &[String] {
        &self.files
    }

    /// The same without what is excluded.
    #[must_use]
    pub fn without(&self, exclude: &Exclude) -> Self {
        Self {
            root: self.root.clone(),
            files: self
                .files
                .iter()
                .filter(|file| !exclude.excludes(file))
                .cloned()
                .collect(),
        }
    }

    #[must_use]
    pub fn path(&self, file: &str) -> PathBuf {
        self.root.join(file)
    }

    /// Files that a pattern, a file or a directory means: their paths, and the part of it that stays below the target.
    ///
    /// # Errors
    /// A path that leads out of the directory; nothing that is meant.
    pub fn meant(&self, from: &str) -> Result<(Vec<Meant<'_>>, bool), BuildError> {
        if Path::new(from).is_absolute() || from.split('/').any(|part| part == "..") {
            let message = format!("`{from}` leads out of {}", self.root.display());
            return Err(BuildError::input(
                "stoke::build::path",
                message,
                "name files below the directory of the image",
            ));
        }
        let plain = from.trim_start_matches("./").trim_end_matches('/');
        if plain.is_empty() || plain == "." {
            return Ok((
                self.files.iter().map(|file| (file.as_str(), file.as_str())).collect(),
                true,
            ));
        }
        let below = |file: &'_ String| file.strip_prefix(plain).is_some_and(|rest| rest.starts_with('/'));
        if self.files.iter().any(|file| file == plain) {
            let files = self.files.iter().filter(|file| *file == plain);
            return Ok((files.map(|file| (file.as_str(), last(file))).collect(), false));
        }
        let inside: Vec<Meant<'_>> = self
            .files
            .iter()
            .filter(|file| below(file))
            .map(|file| (file.as_str(), &file[plain.len() + 1..]))
            .collect();
        if !inside.is_empty() {
            return Ok((inside, true));
        }
        let wanted = pattern(plain)?;
        let fixed = plain.split(['*', '?', '[']).next().unwrap_or_default();
        let fixed = fixed.rfind('/').map_or(0, |at| at + 1);
        let fits = self.files.iter().filter(|file| wanted.matches_with(file, OPTIONS));
        // `src/**/*.py` keeps directories, `src/*.py` has none.
        let found: Vec<Meant<'_>> = fits.map(|file| (file.as_str(), &file[fixed..])).collect();
        if found.is_empty() {
            let fix = match stoke_model::manifest::nearest(plain, self.files.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => {
                    "write a file, a directory or a pattern of files that are there and are not excluded".to_owned()
                }
            };
            return Err(BuildError::input(
                "stoke::build::path",
                format!("`{from}` means no file of {}", self.root.display()),
                fix,
            ));
        }
        Ok((found, true))
    }

    /// Puts files into a tree; relative targets are below `app`.
    ///
    /// # Errors
    /// As [`Directory::meant`]; links that lead out.
    pub fn put(&self, tree: &mut Tree, files: &Files, app: &str) -> Result<(), BuildError> {
        let (found, many) = self.meant(&files.from)?;
        let to = absolute(&files.to, app)?;
        let is_directory = many || files.to.ends_with('/') || files.to.is_empty() || files.to == ".";
        for (file, rest) in found {
            let target = match is_directory {
                true => format!("{to}/{rest}"),
                false => to.clone(),
            };
            let target = target.trim_start_matches('/').to_owned();
            if target.is_empty() {
                return Err(BuildError::input(
                    "stoke::build::path",
                    format!("`{}` would be the root of the image", files.to),
                    "name a path below /",
                ));
            }
            self.put_one(tree, file, &target, app)?;
        }
        Ok(())
    }

    /// Puts one file.
    ///
    /// # Errors
    /// A file that cannot be read, a link that leads out.
    pub fn put_one(&self, tree: &mut Tree, file: &str, target: &str, app: &str) -> Result<(), BuildError> {
        let path = self.path(file);
        let meta = path.symlink_metadata().map_err(|error| unreadable(&path, &error))?;
        let item = if meta.file_type().is_symlink() {
            let leads = std::fs::read_link(&path).map_err(|error| unreadable(&path, &error))?;
            let text = leads.to_str().unwrap_or_default().to_owned();
            let depth = Path::new(file).components().count().saturating_sub(1);
            if !stays(&text, depth) {
                let message = format!(
                    "{} is a link to `{}`, which is not in the directory",
                    path.display(),
                    leads.display()
                );
                return Err(BuildError::input(
                    "stoke::build::path",
                    message,
                    "put the file itself there",
                ));
            }
            Item::Link(text)
        } else {
            use std::os::unix::fs::PermissionsExt;
            Item::File {
                content: Source::Path(path),
                executable: meta.permissions().mode() & 0o100 != 0,
            }
        };
        let root = app.trim_start_matches('/');
        if target.strip_prefix(root).is_some_and(|rest| rest.starts_with('/')) {
            tree.put_directories(root, target);
        }
        tree.put(target, item);
        Ok(())
    }
}

/// Whether a relative link of a file so deep stays below the root.
fn stays(target: &str, depth: usize) -> bool {
    let mut depth = depth;
    if target.is_empty() || target.starts_with('/') {
        return false;
    }
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return false,
            },
            _ => depth += 1,
        }
    }
    true
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A path of the image without a `/` at its end.
fn absolute(to: &str, app: &str) -> Result<String, BuildError> {
    if to.split('/').any(|part| part == "..") {
        return Err(BuildError::input(
            "stoke::build::path",
            format!("`{to}` has `..` in it"),
            "write the path of the image without it",
        ));
    }
    let parts = |text: &str| {
        let parts: Vec<&str> = text
            .split('/')
            .filter(|part| !part.is_empty() && *part != ".")
            .collect();
        parts.join("/")
    };
    Ok(match to.starts_with('/') {
        true => format!("/{}", parts(to)),
        false => format!("/{}", parts(&format!("{app}/{to}"))),
    })
}

/// A file of the job that cannot be read.
pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> BuildError {
    BuildError::environment(
        "stoke::build::file",
        format!("{}: {error}", path.display()),
        "make it readable, or exclude it",
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn directory(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, file).unwrap();
        }
        root
    }

    #[test]
    fn files_go_where_they_are_told() {
        let root = directory(&[
            "main.py",
            "src/a.py",
            "src/b/c.py",
            "conf/x.yaml",
            ".git/config",
            "src/__pycache__/a.pyc",
            "env/pyvenv.cfg",
            "env/bin/python",
            "data/big.csv",
            "stoke-image.yaml",
        ]);
        let exclude = Exclude::new(["data", "# a comment", ""]).unwrap();
        let listed = Directory::read(root.path(), &exclude).unwrap();
        assert_eq!(listed.files(), ["conf/x.yaml", "main.py", "src/a.py", "src/b/c.py"]);
        for (from, to, wanted) in [
            (
                ".",
                "./",
                &[
                    "opt/app/conf/x.yaml",
                    "opt/app/main.py",
                    "opt/app/src/a.py",
                    "opt/app/src/b/c.py",
                ][..],
            ),
            ("src", "lib", &["opt/app/lib/a.py", "opt/app/lib/b/c.py"]),
            ("./src/", "/x/", &["x/a.py", "x/b/c.py"]),
            ("main.py", "./", &["opt/app/main.py"]),
            ("main.py", "job.py", &["opt/app/job.py"]),
            ("conf/x.yaml", "/etc/x.yaml", &["etc/x.yaml"]),
            ("*.py", "", &["opt/app/main.py"]),
            ("src/*.py", "", &["opt/app/a.py"]),
            ("src/**/*.py", "", &["opt/app/a.py", "opt/app/b/c.py"]),
        ] {
            let mut tree = Tree::default();
            listed
                .put(
                    &mut tree,
                    &Files {
                        from: from.into(),
                        to: to.into(),
                    },
                    "/opt/app",
                )
                .unwrap();
            let files: Vec<&str> = tree
                .items()
                .filter(|(_, item)| !matches!(item, Item::Directory))
                .map(|(path, _)| path)
                .collect();
            assert_eq!(files, wanted, "{from} {to}");
        }
        for (from, to) in [("../x", ""), ("/etc/passwd", ""), ("none.py", ""), ("main.py", "../x")] {
            let mut tree = Tree::default();
            let error = listed
                .put(
                    &mut tree,
                    &Files {
                        from: from.into(),
                        to: to.into(),
                    },
                    "/opt/app",
                )
                .unwrap_err();
            assert_eq!(error.diagnostics[0].code, "stoke::build::path", "{from} {to}");
        }
    }

    #[test]
    fn links_stay_inside() {
        let root = directory(&["src/a.py"]);
        std::os::unix::fs::symlink("../src/a.py", root.path().join("src/in.py")).unwrap();
        std::os::unix::fs::symlink("../../x", root.path().join("src/out.py")).unwrap();
        let listed = Directory::read(root.path(), &Exclude::default()).unwrap();
        let mut tree = Tree::default();
        listed
            .put_one(&mut tree, "src/in.py", "opt/app/in.py", "/opt/app")
            .unwrap();
        assert!(
            listed
                .put_one(&mut tree, "src/out.py", "opt/app/out.py", "/opt/app")
                .is_err()
        );
        assert!(!stays("/etc/passwd", 3) && stays("../x", 1) && !stays("../x", 0));
    }

    #[test]
    fn the_last_pattern_counts() {
        let exclude = Exclude::new(["*.csv", "!keep.csv", "docs/", "**/*.tmp"]).unwrap();
        for (path, out) in [
            ("a.csv", true),
            ("keep.csv", false),
            ("docs/x/y", true),
            ("a/b/c.tmp", true),
            ("src/a.csv", false),
        ] {
            assert_eq!(exclude.excludes(path), out, "{path}");
        }
    }
}
