//! Golden paths: job directories that pass their checks and run at once.
//!
//! In: a path, a name, a version of Spark. Out: the files of a directory as texts ([`make`]): the manifest (a template with the sizes of a laptop, into
//! which the preset of the same name is written), code, tests, the contract of what is written, sizes of a cluster for `stoke release`, a README. Never:
//! I/O; who calls writes the files, and the pipeline beside them.

mod readme;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};
use stoke_diagnostics::{Diagnostic, Severity, Source, has_errors};
use stoke_model::conf::Catalogue;
use stoke_model::manifest::{self, nearest};
use stoke_model::names;

use crate::preset::apply::{Kept, apply};
use crate::preset::{Library, Parameters, Reference, known_spark, resolve};

/// Minor version of Spark that is taken when none is named.
pub const SPARK: &str = "4.1";

/// A golden path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// Its name, and that of its preset.
    pub name: &'static str,
    /// What comes of it, in one sentence.
    pub about: &'static str,
    /// Files below `templates`, by the place they go to.
    files: &'static [(&'static str, &'static str)],
}

macro_rules! files {
    ($folder:literal: $($from:literal => $to:literal),+) => {
        &[$(($to, include_str!(concat!("templates/", $folder, "/", $from)))),+]
    };
}

/// All of them.
pub const ALL: [Path; 8] = [
    path(
        "etl",
        "reads orders and customers, joins them, writes revenue by day and country",
        files!("etl": "app.yaml" => "app.yaml", "job.py" => "job.py", "test_job.py" => "tests/test_job.py"),
    ),
    path(
        "data-engineering",
        "keeps the latest state of each customer, and sets aside changes that are not valid",
        files!("data-engineering": "app.yaml" => "app.yaml", "job.py" => "job.py", "test_job.py" => "tests/test_job.py"),
    ),
    path(
        "ml",
        "trains a model that says which customers leave, and writes a score for each",
        files!("ml": "app.yaml" => "app.yaml", "job.py" => "job.py", "test_job.py" => "tests/test_job.py"),
    ),
    path(
        "gpu",
        "runs tasks that each have a part of a GPU",
        files!("gpu": "app.yaml" => "app.yaml", "job.py" => "job.py", "test_job.py" => "tests/test_job.py"),
    ),
    path(
        "streaming",
        "counts events by second as they come, with a checkpoint",
        files!("streaming": "app.yaml" => "app.yaml", "job.py" => "job.py", "test_job.py" => "tests/test_job.py"),
    ),
    path(
        "interactive",
        "is a Spark Connect server that notebooks share",
        files!("interactive": "app.yaml" => "app.yaml", "explore.py" => "explore.py", "test_explore.py" => "tests/test_explore.py"),
    ),
    path(
        "cost-optimized",
        "counts events by hour on executors that may go at any time",
        files!("cost-optimized": "app.yaml" => "app.yaml", "job.py" => "job.py", "test_job.py" => "tests/test_job.py"),
    ),
    path(
        "sql",
        "runs the statements of a file of SQL",
        files!("sql": "app.yaml" => "app.yaml", "job.py" => "job.py", "test_job.py" => "tests/test_job.py", "report.sql" => "report.sql"),
    ),
];

const fn path(name: &'static str, about: &'static str, files: &'static [(&'static str, &'static str)]) -> Path {
    Path { name, about, files }
}

/// A file of a job directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Where it goes, from the directory on.
    pub path: String,
    pub text: String,
}

impl Path {
    /// The path of a name.
    ///
    /// # Errors
    /// What to write instead.
    pub fn named(name: &str) -> Result<Path, String> {
        let found = ALL.iter().find(|path| path.name == name).copied();
        found.ok_or_else(|| match nearest(name, ALL.iter().map(|path| path.name)) {
            Some(near) => format!("there is no such path; did you mean {near}?"),
            None => format!(
                "there is no such path; there are {}",
                ALL.map(|path| path.name).join(", ")
            ),
        })
    }

    /// What it needs that a laptop does not have.
    #[must_use]
    pub fn lacks(self) -> Option<&'static str> {
        (self.name == "gpu").then_some(
            "it needs nodes that offer nvidia.com/gpu: without one its executors stay pending, and `stoke run` says so",
        )
    }

    /// Whether it is a server, which `stoke run` does not run.
    #[must_use]
    pub fn is_server(self) -> bool {
        self.name == "interactive"
    }
}

/// The files of a job directory, in order of their paths. `spark` is a minor version (its latest known release is taken) or a release.
///
/// # Errors
/// A name that cannot be one of an application, a version of Spark that is not known; what is wrong with the preset.
pub fn make(path: Path, name: &str, spark: &str, library: &Library) -> Result<Vec<File>, Vec<Diagnostic>> {
    let wrong =
        |code, message: String, fix: String| vec![Diagnostic::new(Severity::Error, code, message).with_fix(fix)];
    if let Err(error) = names::check_dns_1035(name) {
        let fix = match names::suggest_dns_1035(name, LONGEST) {
            Some(instead) => format!("for example `{instead}`"),
            None => "write lower-case letters, digits and hyphens, a letter first".to_owned(),
        };
        return Err(wrong(
            "path-name",
            format!("`{name}` cannot name an application: {error}"),
            fix,
        ));
    }
    if name.len() > LONGEST {
        let message = format!(
            "`{name}` has {} characters; names of its objects are made of it, so that at most {LONGEST} are possible",
            name.len()
        );
        return Err(wrong("path-name", message, "write a shorter one".to_owned()));
    }
    let Some(catalogue) = known_spark(spark) else {
        let known: Vec<&str> = Catalogue::known_versions().collect();
        return Err(wrong(
            "preset-spark",
            format!("Spark {spark} is not known"),
            format!("known are {}", known.join(", ")),
        ));
    };
    let release = if spark.matches('.').count() >= 2 {
        spark
    } else {
        catalogue.extracted_from()
    };
    let reference = Reference {
        name: path.name.to_owned(),
        version: None,
    };
    let resolved = resolve(library, &reference, spark, &Parameters::default())?;
    // Spark 4 has Connect built in.
    let connect = match catalogue.minor().starts_with('3') {
        true => format!(
            "\n    spark.jars.packages: org.apache.spark:spark-connect_2.12:{}",
            crate::wire::connect_release(release)
        ),
        false => String::new(),
    };
    let fill = |text: &str| {
        text.replace("{{name}}", name)
            .replace("{{spark}}", release)
            .replace("{{connect}}", &connect)
    };
    let mut files = Vec::new();
    let mut kept = Vec::new();
    for (to, template) in path.files {
        let mut text = fill(template);
        if *to == "app.yaml" {
            let applied = apply(&Source::new(to, &text), &resolved, None)?;
            let (_, complaints) = manifest::check(to, &applied.text);
            if has_errors(&complaints) {
                return Err(complaints);
            }
            (text, kept) = (applied.text, applied.kept);
        }
        files.push(File {
            path: (*to).to_owned(),
            text,
        });
    }
    let mut add = |path: &str, text: String| {
        files.push(File {
            path: path.to_owned(),
            text,
        });
    };
    // So that tests find the code beside the directory they are in.
    add(
        "conftest.py",
        "\"\"\"Tests import the job's code from here.\"\"\"\n".to_owned(),
    );
    add("requirements.txt", format!("pyspark=={release}\n"));
    add(
        ".gitignore",
        "__pycache__/\n.pytest_cache/\nspark-warehouse/\nstoke-check.xml\nstoke-release.json\n".to_owned(),
    );
    if !path.is_server() {
        add("environments.yaml", environments(name, &kept)?);
    }
    add("README.md", readme::text(path, name, &resolved));
    files.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(files)
}

/// Longest name: that of a claim and of a ConfigMap are made of it.
const LONGEST: usize = names::LABEL_LIMIT - "-contracts".len();

/// The sizes of a cluster: what the preset has where the manifest has those of a laptop.
fn environments(name: &str, kept: &[Kept]) -> Result<String, Vec<Diagnostic>> {
    let mut overlay = Map::new();
    for key in kept {
        let (map, field) = match key.key.split_once('.') {
            Some(("spark", _)) => ("sparkConf", key.key.as_str()),
            Some((role @ ("driver" | "executor"), field)) => (role, field),
            _ => continue,
        };
        let map = overlay.entry(map).or_insert_with(|| json!({}));
        map[field] = key.preset.clone();
    }
    let file = json!({
        "environments": [{
            "name": "prod",
            "namespace": name,
            "git": {"repository": "https://git.example.com/deploy.git", "branch": "main", "path": format!("apps/{name}")},
            "gates": ["manifest", "conf", "pods", "contracts", "secrets"],
            "overlay": Value::Object(overlay),
        }],
    });
    let head = "# Where releases of the job go, with the sizes of a cluster (`stoke release`). Name your repository, and add the gates and approvals you want.\n";
    let yaml = serde_saphyr::to_string(&file).map_err(|error| {
        vec![Diagnostic::new(Severity::Error, "path-files", error.to_string()).with_fix("report it")]
    })?;
    Ok(format!("{head}{yaml}"))
}
