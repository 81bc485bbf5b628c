//! Putting a set of policies together, and refusing it as a whole when a part cannot be used.

use std::time::Duration;

use serde_json::{Map, Value};
use stoke_diagnostics::Source;

use crate::data::{self, Document};
use crate::files::{PolicyFile, Purpose, home, purpose};
use crate::gatekeeper::{self, Constraint, Template};
use crate::module::Module;
use crate::problem::{Problem, at, place};
use crate::rules::RuleInfo;
use crate::unit::Unit;

/// How policies are evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long one rule may take for one subject; one that takes longer is a problem.
    pub time_per_rule: Duration,
}

impl Default for Settings {
    /// A second for each rule.
    fn default() -> Self {
        Self {
            time_per_rule: Duration::from_secs(1),
        }
    }
}

/// Policies that were loaded: checked as a whole, evaluated many times, shared by threads.
#[derive(Clone, Debug)]
pub struct PolicySet {
    /// Rego as conftest takes it, all packages together.
    pub(crate) rego: Unit,
    pub(crate) templates: Vec<Template>,
    pub(crate) constraints: Vec<Constraint>,
    pub(crate) tests: Vec<Module>,
    pub(crate) settings: Settings,
}

impl PolicySet {
    /// Loads policies. Examples among the files are left aside, tests are read and not evaluated.
    ///
    /// ```
    /// use stoke_policy::{Facts, PolicyFile, PolicySet, Subject};
    /// let text = "package team\ndeny contains msg if {\n  not input.metadata.labels.owner\n  msg := \"metadata.labels.owner is missing\"\n}\n";
    /// let set = PolicySet::load(&[PolicyFile::new("team.rego", text)]).unwrap();
    /// let object = serde_json::json!({"kind": "SparkApplication", "metadata": {"name": "pi"}});
    /// let outcome = set.evaluate(&Subject::Object(&object), &Facts::default());
    /// assert_eq!(outcome.violations[0].path.as_deref(), Some("metadata.labels.owner"));
    /// assert!(!outcome.allowed());
    /// ```
    ///
    /// # Errors
    /// Everything that is wrong with them: a set with a part that cannot be used is not a set.
    pub fn load(files: &[PolicyFile]) -> Result<Self, Vec<Problem>> {
        Self::load_with(files, &Map::new(), Settings::default())
    }

    /// Loads policies, with values put over those of data files.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_with(
        files: &[PolicyFile],
        data: &Map<String, Value>,
        settings: Settings,
    ) -> Result<Self, Vec<Problem>> {
        let mut parts = Parts::default();
        for file in files {
            parts.take(file, settings);
        }
        parts.pair();
        if !parts.problems.is_empty() {
            return Err(parts.problems);
        }
        data::put_over(&mut parts.data, data);
        let rego = Unit::build(parts.modules, Value::Object(parts.data), settings.time_per_rule)?;
        let set = Self {
            rego,
            templates: parts.templates,
            constraints: parts
                .constraints
                .into_iter()
                .map(|(constraint, _)| constraint)
                .collect(),
            tests: parts.tests,
            settings,
        };
        Ok(set)
    }

    /// Rules that decide, in the order of files: those of Gatekeeper once for each constraint.
    pub fn rules(&self) -> Vec<RuleInfo> {
        let mut rules: Vec<RuleInfo> = self.rego.rules.iter().map(|rule| rule.info.clone()).collect();
        for constraint in &self.constraints {
            let template = self.templates.iter().find(|template| template.kind == constraint.kind);
            let rule = template.and_then(Template::rule);
            rules.extend(rule.map(|rule| RuleInfo {
                policy: constraint.title(),
                effect: constraint.effect,
                ..rule.info.clone()
            }));
        }
        rules
    }

    /// True when policies read `data.inventory`; without [`Known::objects`](crate::Known::objects) they find nothing there.
    pub fn reads_inventory(&self) -> bool {
        self.rego.sees.inventory || self.templates.iter().any(|template| template.unit.sees.inventory)
    }

    /// A set that decides nothing is almost always a wrong path; asked for where that matters.
    ///
    /// # Errors
    /// A set without any rule that decides.
    pub fn not_empty(self) -> Result<Self, Vec<Problem>> {
        if self.rules().is_empty() {
            let source = Source::new("policies", "");
            let message = "there is no rule `deny`, `violation` or `warn`, and no constraint";
            let problem = at(&source, place(&source, 1, 1), "policy-empty", message);
            return Err(vec![problem.with_fix("is it the directory that was meant?")]);
        }
        Ok(self)
    }
}

/// What was found in files so far.
#[derive(Default)]
struct Parts {
    modules: Vec<Module>,
    tests: Vec<Module>,
    data: Map<String, Value>,
    templates: Vec<Template>,
    constraints: Vec<(Constraint, Problem)>,
    problems: Vec<Problem>,
}

impl Parts {
    fn take(&mut self, file: &PolicyFile, settings: Settings) {
        match purpose(&file.path) {
            Purpose::Policy => self.module(file, false),
            Purpose::Test => self.module(file, true),
            Purpose::Document => match data::documents(&file.shown, &file.text) {
                Ok(documents) => documents
                    .iter()
                    .for_each(|document| self.document(file, document, settings)),
                Err(problems) => self.problems.extend(problems),
            },
            Purpose::Allowed | Purpose::Denied | Purpose::Other => {}
        }
    }

    fn module(&mut self, file: &PolicyFile, test: bool) {
        let source = Source::new(&file.shown, &file.text);
        match Module::parse(&source) {
            Ok(module) => {
                let module = module.of_home(home(&file.path));
                if test {
                    self.tests.push(module)
                } else {
                    self.modules.push(module)
                }
            }
            Err(problem) => self.problems.push(*problem),
        }
    }

    fn document(&mut self, file: &PolicyFile, document: &Document, settings: Settings) {
        if !document.is_object() {
            let folders = file.path.rsplit_once('/').map_or("", |(folders, _)| folders);
            let wrong = data::put(&mut self.data, folders, document).err();
            self.problems.extend(wrong.map(|problem| *problem));
            return;
        }
        match gatekeeper::object(document) {
            gatekeeper::Object::Template => match Template::read(document, home(&file.path), settings.time_per_rule) {
                Ok(template) => self.template(template, document),
                Err(problems) => self.problems.extend(problems),
            },
            gatekeeper::Object::Constraint => match Constraint::read(document, home(&file.path)) {
                Ok(constraint) => {
                    let kind = &constraint.kind;
                    let message = format!("there is no ConstraintTemplate for the kind `{kind}`");
                    let without = document.complain("gatekeeper", "kind", message);
                    self.constraints.push((constraint, without));
                }
                Err(problem) => self.problems.push(*problem),
            },
            gatekeeper::Object::Other => {
                let kind = document.value["kind"].as_str().unwrap_or_default();
                let message = format!("a {kind} is neither a policy nor data");
                let problem = document.complain("policy-data", "", message);
                let fix = "put examples below `allowed` or `denied`, and data into files without `apiVersion`";
                self.problems.push(problem.with_fix(fix));
            }
        }
    }

    /// Complains of constraints without a template, which would be asked nothing.
    fn pair(&mut self) {
        let has_template =
            |constraint: &Constraint| self.templates.iter().any(|template| template.kind == constraint.kind);
        let without = self
            .constraints
            .iter()
            .filter(|(constraint, _)| !has_template(constraint));
        self.problems.extend(without.map(|(_, problem)| problem.clone()));
    }

    fn template(&mut self, template: Template, document: &Document) {
        if self.templates.iter().any(|known| known.kind == template.kind) {
            let message = format!("there are two ConstraintTemplates for the kind `{}`", template.kind);
            self.problems
                .push(document.complain("gatekeeper", "spec.crd.spec.names.kind", message));
        }
        self.templates.push(template);
    }
}
