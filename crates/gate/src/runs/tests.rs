//! The tests a job brings: where they are, with what they are run, what came of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::job::{File, Job};

/// What runs tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tool {
    /// `python -m pytest`
    Pytest,
    /// `mvn test`
    Maven,
    /// `sbt test`
    Sbt,
}

impl Tool {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Tool::Pytest => "pytest",
            Tool::Maven => "Maven",
            Tool::Sbt => "sbt",
        }
    }
}

/// Tests that are run together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suite {
    /// What runs them.
    pub tool: Tool,
    /// The directory they are run in, as it is found from where the command was called.
    pub directory: PathBuf,
    /// Files with tests in it.
    pub files: usize,
    /// Lists of Python packages that they need, from `directory` on.
    pub requirements: Vec<PathBuf>,
    /// Directories in it that are suites of their own, from `directory` on.
    pub others: Vec<PathBuf>,
}

/// A suite that was run, or should have been.
#[derive(Clone, Debug)]
pub struct Ran {
    pub suite: Suite,
    /// The Spark it ran with.
    pub spark: Option<String>,
    /// What came of it.
    pub end: End,
}

/// How a suite ended.
#[derive(Clone, Debug)]
pub enum End {
    /// Its process ended.
    Ended {
        /// Exit code; none when it was killed.
        code: Option<i32>,
        /// JUnit reports it wrote.
        reports: Vec<String>,
        /// The end of what it printed.
        output: String,
    },
    /// There was no process, or it did not end in time.
    NotRun {
        why: String,
        /// What to do about it.
        fix: String,
    },
}

/// Files that say where a Python project begins.
const ROOTS: [&str; 6] = [
    "pyproject.toml",
    "pytest.ini",
    "tox.ini",
    "setup.cfg",
    "setup.py",
    "requirements.txt",
];
/// Lists of packages that tests are run with, in a project's own directory or one of these names in it.
const LISTS: [&str; 6] = [
    "requirements.txt",
    "requirements-dev.txt",
    "requirements-test.txt",
    "requirements-tests.txt",
    "dev-requirements.txt",
    "test-requirements.txt",
];

/// The suites of a job. A Python project begins at the nearest directory upwards with a file that says so, else at the directory all tests have in common.
#[must_use]
pub fn suites(job: &Job) -> Vec<Suite> {
    let mut found: BTreeMap<(PathBuf, Tool), usize> = BTreeMap::new();
    let tests: Vec<&File> = job.files.iter().filter(|file| is_python_test(&file.path)).collect();
    let common = common_directory(&tests);
    for file in &tests {
        let root = upwards(&file.path).find(|directory| ROOTS.iter().any(|name| has(job, &directory.join(name))));
        let root = root.map_or_else(|| common.clone(), Path::to_path_buf);
        *found.entry((root, Tool::Pytest)).or_default() += 1;
    }
    for file in &job.files {
        let below_source = |file: &Path, extensions: &[&str]| {
            let extension = file.extension().and_then(|extension| extension.to_str());
            extension.is_some_and(|extension| extensions.contains(&extension))
                && file.to_string_lossy().replace('\\', "/").contains("src/test/")
        };
        if !below_source(&file.path, &["java", "scala", "kt"]) {
            continue;
        }
        // The outermost build: modules are built by their parent.
        let builds = [("pom.xml", Tool::Maven), ("build.sbt", Tool::Sbt)];
        let root = upwards(&file.path)
            .flat_map(|directory| builds.map(|(name, tool)| (directory, name, tool)))
            .filter(|(directory, name, _)| has(job, &directory.join(name)))
            .last();
        if let Some((directory, _, tool)) = root {
            *found.entry((directory.to_owned(), tool)).or_default() += 1;
        }
    }
    let roots: Vec<(PathBuf, Tool)> = found.keys().cloned().collect();
    let suites = found.into_iter().map(|((directory, tool), files)| {
        let inside = |other: &(PathBuf, Tool)| {
            let rest = other.0.strip_prefix(&directory).ok()?;
            (other.1 == tool && !rest.as_os_str().is_empty()).then(|| rest.to_owned())
        };
        let lists = LISTS
            .iter()
            .map(PathBuf::from)
            .chain(["test", "tests"].into_iter().flat_map(|below| {
                let lists = LISTS.iter();
                lists.map(move |name| Path::new(below).join(name))
            }));
        let requirements = match tool {
            Tool::Pytest => lists.filter(|list| has(job, &directory.join(list))).collect(),
            Tool::Maven | Tool::Sbt => Vec::new(),
        };
        Suite {
            others: roots.iter().filter_map(inside).collect(),
            requirements,
            tool,
            files,
            directory,
        }
    });
    suites.collect()
}

/// The directories of a file, from its own upwards.
fn upwards(file: &Path) -> impl Iterator<Item = &Path> {
    file.ancestors().skip(1)
}

fn has(job: &Job, path: &Path) -> bool {
    let plain = |path: &Path| path.strip_prefix(".").unwrap_or(path).to_owned();
    let path = plain(path);
    job.files.iter().any(|file| plain(&file.path) == path)
}

/// As pytest finds them by default.
fn is_python_test(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.strip_suffix(".py")
        .is_some_and(|stem| stem.starts_with("test_") || stem.ends_with("_test"))
}

/// The directory that some files have in common; one that is only for tests is left for the one around it.
fn common_directory(files: &[&File]) -> PathBuf {
    let mut directories = files.iter().filter_map(|file| file.path.parent());
    let Some(first) = directories.next() else {
        return PathBuf::new();
    };
    let mut common = first.to_owned();
    for directory in directories {
        while !directory.starts_with(&common) && common.pop() {}
    }
    while common.file_name().is_some_and(|name| {
        let name = name.to_string_lossy();
        matches!(&*name, "test" | "tests" | "unit" | "integration")
    }) {
        common.pop();
    }
    common
}

#[cfg(test)]
mod cases {
    use super::*;
    use crate::job::of_bytes;

    fn found(files: &[&str]) -> Vec<(&'static str, String, usize, usize, usize)> {
        let job = Job {
            files: files.iter().map(|name| of_bytes(name, b"")).collect(),
            ..Job::default()
        };
        let all = suites(&job).into_iter();
        all.map(|suite| {
            let directory = suite.directory.display().to_string();
            (
                suite.tool.name(),
                directory,
                suite.files,
                suite.requirements.len(),
                suite.others.len(),
            )
        })
        .collect()
    }

    fn row(
        tool: &'static str,
        at: &str,
        files: usize,
        lists: usize,
        others: usize,
    ) -> (&'static str, String, usize, usize, usize) {
        (tool, at.to_owned(), files, lists, others)
    }

    #[test]
    fn suites_begin_where_their_project_begins() {
        assert_eq!(found(&["a.py", "app.yaml"]), []);
        assert_eq!(found(&["a.py", "test_a.py"]), [row("pytest", "", 1, 0, 0)]);
        assert_eq!(
            found(&["job/tests/test_a.py", "job/tests/unit/b_test.py"]),
            [row("pytest", "job", 2, 0, 0)]
        );
        assert_eq!(
            found(&[
                "job/requirements.txt",
                "job/tests/requirements-test.txt",
                "job/tests/test_a.py"
            ]),
            [row("pytest", "job", 1, 2, 0)]
        );
        assert_eq!(
            found(&["pyproject.toml", "sub/setup.py", "sub/test_b.py", "test_a.py"]),
            [row("pytest", "", 1, 0, 1), row("pytest", "sub", 1, 0, 0)]
        );
    }

    #[test]
    fn builds_are_run_from_the_outermost() {
        let files = ["jvm/pom.xml", "jvm/core/pom.xml", "jvm/core/src/test/java/ATest.java"];
        assert_eq!(found(&files), [row("Maven", "jvm", 1, 0, 0)]);
        assert_eq!(
            found(&["build.sbt", "src/test/scala/A.scala"]),
            [row("sbt", "", 1, 0, 0)]
        );
        assert_eq!(found(&["pom.xml", "src/main/java/A.java"]), []);
    }
}
