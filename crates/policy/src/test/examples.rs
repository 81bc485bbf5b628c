//! Examples: files with objects that policies beside them allow or deny.
//!
//! The documents of one file are one scene: each is judged, and each is known to policies of the others (`data.stoke.objects`; the application,
//! its `SparkConf`, pods by their label `spark-role`, and the namespace where they belong). A document without `apiVersion` and `kind` is
//! data for this scene, put over data of files; its key `stoke` is put over what is known.

use serde_json::{Map, Value};
use stoke_model::names;

use super::report::{ExampleResult, Expected};
use super::{Derived, Options};
use crate::data;
use crate::files::{PolicyFile, Purpose, home, purpose};
use crate::load::PolicySet;
use crate::outcome::Outcome;
use crate::problem::{Problem, at, place};
use crate::subject::{CONF_KIND, Facts, Known, Role, Subject};

/// One example, ready to be judged.
pub(super) struct Example {
    pub file: String,
    pub home: String,
    pub expected: Expected,
    objects: Vec<Value>,
    derived: Option<Derived>,
    pub facts: Facts,
    /// Policies with the data of the scene; `None` when the scene has none.
    own: Option<PolicySet>,
}

pub(super) fn read(files: &[PolicyFile], set: &PolicySet, options: &Options<'_>) -> (Vec<Example>, Vec<Problem>) {
    let mut examples = Vec::new();
    let mut problems = Vec::new();
    for file in files {
        let expected = match purpose(&file.path) {
            Purpose::Allowed => Expected::Allowed,
            Purpose::Denied => Expected::Denied,
            _ => continue,
        };
        match read_one(file, expected, files, options) {
            Ok(example) if set.has_policies_in(&example.home) => examples.push(example),
            Ok(_) => {
                let message = "there is no policy beside the directory of this example";
                problems.push(
                    complain(file, message)
                        .with_fix("put it into `allowed` or `denied` in the directory of its policy"),
                );
            }
            Err(found) => problems.extend(found),
        }
    }
    (examples, problems)
}

fn complain(file: &PolicyFile, message: impl Into<String>) -> Problem {
    let source = stoke_diagnostics::Source::new(&file.shown, &file.text);
    at(&source, place(&source, 1, 1), "policy-example", message)
}

fn read_one(
    file: &PolicyFile,
    expected: Expected,
    files: &[PolicyFile],
    options: &Options<'_>,
) -> Result<Example, Vec<Problem>> {
    let documents = data::documents(&file.shown, &file.text)?;
    let mut over = Map::new();
    let mut objects = Vec::new();
    for document in documents {
        match document.value {
            ref value if document.is_object() => objects.push(value.clone()),
            Value::Object(fields) => data::put_over(&mut over, &fields),
            _ => {
                return Err(vec![complain(
                    file,
                    "a document of an example is an object, or a map with data",
                )]);
            }
        }
    }
    if objects.is_empty() {
        return Err(vec![complain(file, "the example has no object to judge")]);
    }
    let known_over = over.remove(data::OURS);
    let application = objects.iter().find(|object| is_application(object)).cloned();
    let derived = match (&application, options.derive) {
        (Some(application), Some(derive)) => {
            derive(application).map_err(|why| vec![complain(file, format!("no pods can be derived: {why}"))])?
        }
        _ => None,
    };
    let facts = Facts::of_scene(known(&objects, application, derived.as_ref()), known_over);
    let own = if over.is_empty() {
        None
    } else {
        Some(PolicySet::load_with(files, &over, options.settings)?)
    };
    Ok(Example {
        file: file.shown.clone(),
        home: home(&file.path).to_owned(),
        expected,
        objects,
        derived,
        facts,
        own,
    })
}

fn is_application(object: &Value) -> bool {
    let version = object["apiVersion"].as_str().unwrap_or_default();
    version.split_once('/').is_some_and(|(group, _)| group == names::GROUP)
}

fn known(objects: &[Value], application: Option<Value>, derived: Option<&Derived>) -> Known {
    let of_kind = |kind: &str| objects.iter().find(|object| object["kind"] == kind);
    let pod = |role: Role| {
        let is = |object: &&Value| {
            object["kind"] == "Pod" && object["metadata"]["labels"][names::LABEL_SPARK_ROLE] == role.as_str()
        };
        objects.iter().find(is).cloned()
    };
    let written = of_kind(CONF_KIND).and_then(|conf| serde_json::from_value(conf["conf"].clone()).ok());
    Known {
        application,
        conf: written.or_else(|| derived.map(|derived| derived.conf.clone())),
        driver: pod(Role::Driver).or_else(|| derived.map(|derived| derived.driver.clone())),
        executor: pod(Role::Executor).or_else(|| derived?.executor.clone()),
        namespace: of_kind("Namespace").cloned(),
        objects: Some(objects.to_vec()),
        ..Known::default()
    }
}

impl Example {
    /// The set that judges it.
    pub fn set<'a>(&'a self, set: &'a PolicySet) -> &'a PolicySet {
        self.own.as_ref().unwrap_or(set)
    }

    /// Everything in it that is judged.
    pub fn subjects(&self) -> Vec<Subject<'_>> {
        let mut subjects: Vec<Subject<'_>> = self.objects.iter().map(Subject::Object).collect();
        if let Some(derived) = &self.derived {
            let application = self.objects.iter().find(|object| is_application(object));
            subjects.extend(application.map(|application| Subject::Conf {
                application,
                conf: &derived.conf,
            }));
            subjects.push(Subject::Pod {
                role: Role::Driver,
                pod: &derived.driver,
            });
            let executor = derived.executor.as_ref();
            subjects.extend(executor.map(|pod| Subject::Pod {
                role: Role::Executor,
                pod,
            }));
        }
        subjects
    }

    /// Asks the policies beside it.
    pub fn judge(&self, set: &PolicySet) -> ExampleResult {
        let mut outcome = Outcome::default();
        for subject in self.subjects() {
            outcome.extend(
                self.set(set)
                    .evaluate_of(&subject, &self.facts, |home| home == self.home),
            );
        }
        let problem = outcome.problems.first().map(ToString::to_string);
        let as_expected = outcome.violations.is_empty() == (self.expected == Expected::Allowed);
        ExampleResult {
            file: self.file.clone(),
            expected: self.expected,
            passed: problem.is_none() && as_expected,
            violations: outcome.violations,
            message: problem,
        }
    }
}

impl PolicySet {
    /// True when a directory has policies of its own.
    fn has_policies_in(&self, home: &str) -> bool {
        let rego = self.rego.rules.iter().flat_map(|rule| &rule.definitions);
        let mut homes = rego
            .filter_map(|at| self.rego.definition(*at))
            .map(|(module, _)| module.home.as_str());
        homes.any(|of| of == home)
            || self.constraints.iter().any(|constraint| constraint.home == home)
            || self.templates.iter().any(|template| template.home == home)
    }
}
