//! Modules that are evaluated together, with their data, in an engine of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use regorus::Engine;
use regorus::utils::limits::ExecutionTimerConfig;
use serde_json::Value;
use stoke_diagnostics::Source;

use crate::ast::{Definition, Kind};
use crate::data::{INVENTORY, OURS};
use crate::extensions::{self, budget};
use crate::module::{Module, reference};
use crate::problem::{EngineError, Problem, at};
use crate::rules::{self, RuleInfo};
use crate::{check, names};

/// The package of the rules through which others are asked when they are to see more than `input`.
pub(crate) const ENTRY: &str = "stoke_entry";
/// Steps between two looks at the clock.
const CHECK_EVERY: NonZeroU32 = NonZeroU32::MIN.saturating_add(63);

/// Modules that are evaluated together. Cheap to ask from many threads: each takes a copy that shares everything.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    pub modules: Vec<Module>,
    pub data: Value,
    pub rules: Vec<Rule>,
    pub sees: Sees,
    engine: Engine,
    limit: Duration,
}

/// What modules see besides `input` and data files.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sees {
    /// `data.stoke`.
    pub facts: bool,
    /// `data.inventory`.
    pub inventory: bool,
}

/// A rule that decides.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub info: RuleInfo,
    /// What it is called in messages: `data.a.deny`.
    pub shown: String,
    /// Its definitions: module and definition.
    pub definitions: Vec<(usize, usize)>,
    /// What is evaluated for it.
    entry: String,
    /// What is evaluated for the exceptions of its package.
    exceptions: Option<String>,
    /// True when it sees more than `input`.
    wide: bool,
}

/// One evaluation: an engine with its input.
pub(crate) struct Evaluation<'a> {
    unit: &'a Unit,
    engine: Engine,
    subject: &'a regorus::Value,
    facts: &'a regorus::Value,
    inventory: Option<&'a regorus::Value>,
    /// Which input the engine has: that of rules that see more, or the subject alone.
    has_wide: Option<bool>,
}

impl Unit {
    /// Puts modules together and checks them as a whole.
    pub fn build(modules: Vec<Module>, data: Value, limit: Duration) -> Result<Self, Vec<Problem>> {
        let mut problems = check::modules(&modules);
        problems.extend(names::conflicts(&modules, &data));
        let (rules, wrong) = decisions(&modules);
        problems.extend(wrong);
        if !problems.is_empty() {
            return Err(problems);
        }
        let reads = |name: &str| {
            let mut all = modules.iter().flat_map(|module| &module.facts.reads);
            all.any(|read| read == name || read == "*")
        };
        let sees = Sees {
            facts: reads(OURS),
            inventory: reads(INVENTORY),
        };
        let mut unit = Self {
            engine: Engine::new(),
            modules,
            data,
            rules,
            sees,
            limit,
        };
        unit.prepare(&[], &BTreeMap::new())?;
        Ok(unit)
    }

    /// The same with some definitions left out; `more` is added to modules.
    pub fn without(&self, left_out: &[(usize, usize)], more: &BTreeMap<usize, String>) -> Result<Self, Vec<Problem>> {
        let mut unit = self.clone();
        unit.prepare(left_out, more)?;
        Ok(unit)
    }

    fn prepare(&mut self, left_out: &[(usize, usize)], more: &BTreeMap<usize, String>) -> Result<(), Vec<Problem>> {
        let mut engine = Engine::new();
        let prepared = self.fill(&mut engine, left_out, more);
        prepared.map_err(|said| vec![self.problem("rego-analysis", said, None)])?;
        self.engine = engine;
        Ok(())
    }

    fn fill(
        &mut self,
        engine: &mut Engine,
        left_out: &[(usize, usize)],
        more: &BTreeMap<usize, String>,
    ) -> Result<(), EngineError> {
        let said = |error: &dyn std::fmt::Display| EngineError::parse(&error.to_string());
        engine.set_strict_builtin_errors(false);
        engine.set_gather_prints(true);
        engine.set_execution_timer_config(ExecutionTimerConfig {
            limit: self.limit,
            check_interval: CHECK_EVERY,
        });
        extensions::add(engine).map_err(|error| said(&error))?;
        for (index, module) in self.modules.iter().enumerate() {
            let out = left_out
                .iter()
                .filter(|(of, _)| *of == index)
                .map(|(_, definition)| *definition);
            let out: Vec<usize> = out.collect();
            match more.get(&index) {
                None if out.is_empty() => module.add_to(engine)?,
                more => module.add_without(engine, &out, more.map_or("", String::as_str))?,
            }
        }
        engine
            .add_data(regorus::Value::from(self.data.clone()))
            .map_err(|error| said(&error))?;
        self.add_entries(engine)?;
        // Names are resolved now, and not when the first subject comes.
        if let Some(rule) = self.rules.first() {
            let entry = Arc::from(rule.entry.as_str());
            engine.compile_with_entrypoint(&entry).map_err(|error| said(&error))?;
        } else {
            engine
                .eval_query("true".to_owned(), false)
                .map_err(|error| said(&error))?;
        }
        Ok(())
    }

    /// Rules that see more than `input` are asked through rules of ours, which pass it on with `with`.
    fn add_entries(&mut self, engine: &mut Engine) -> Result<(), EngineError> {
        let mut passing = String::new();
        if self.sees.facts {
            passing.push_str(" with data.stoke as input.facts");
        }
        if self.sees.inventory {
            passing.push_str(" with data.inventory as input.inventory");
        }
        let mut text = format!("package {ENTRY}\n");
        let mut any = false;
        let mut entry = |wide: bool, target: String, name: String| {
            if !wide {
                return target;
            }
            any = true;
            text.push_str(&format!(
                "{name} := value if {{ value := {target} with input as input.subject{passing} }}\n"
            ));
            format!("data.{ENTRY}.{name}")
        };
        for (index, rule) in self.rules.iter_mut().enumerate() {
            let Some((module, _)) = rule.definitions.first() else {
                continue;
            };
            let Some(module) = self.modules.get(*module) else {
                continue;
            };
            let package: Vec<&str> = module.facts.package.iter().map(String::as_str).collect();
            let of = |name: &str| reference(&[package.as_slice(), &[name]].concat());
            rule.wide = sees_more(&self.modules, module);
            rule.entry = entry(rule.wide, of(&rule.info.rule), format!("rule_{index}"));
            let same_package = |other: &&Module| other.facts.package == module.facts.package;
            let mut definitions = self
                .modules
                .iter()
                .filter(same_package)
                .flat_map(|module| &module.facts.definitions);
            let has_exceptions = definitions.any(|definition| definition.name == "exception");
            rule.exceptions = has_exceptions.then(|| entry(rule.wide, of("exception"), format!("exceptions_{index}")));
        }
        if any {
            engine.set_rego_v0(false);
            let added = engine.add_policy(format!("{ENTRY}.rego"), text);
            added.map_err(|error| EngineError::parse(&error.to_string()))?;
        }
        Ok(())
    }

    /// Begins to ask about an input.
    pub fn ask<'a>(
        &'a self,
        subject: &'a regorus::Value,
        facts: &'a regorus::Value,
        inventory: Option<&'a regorus::Value>,
    ) -> Evaluation<'a> {
        Evaluation {
            unit: self,
            engine: self.engine.clone(),
            subject,
            facts,
            inventory,
            has_wide: None,
        }
    }

    /// An engine with some data put over that of the files, for tests.
    pub fn engine(&self) -> Engine {
        self.engine.clone()
    }

    /// A problem of evaluation, in the file it is of.
    pub fn problem(&self, code: &'static str, said: EngineError, rule: Option<&Rule>) -> Problem {
        let sources = self.modules.iter().map(|module| &module.source);
        let definition = rule.and_then(|rule| self.definition(*rule.definitions.first()?));
        let place = definition.map(|(module, definition)| (&module.source, head(definition)));
        let empty = Source::new("", "");
        let first = self.modules.first().map_or(&empty, |module| &module.source);
        said.problem(
            code,
            sources,
            place.unwrap_or((first, crate::problem::place(first, 1, 1))),
        )
    }

    /// A definition of a module.
    pub fn definition(&self, (module, definition): (usize, usize)) -> Option<(&Module, &Definition)> {
        let module = self.modules.get(module)?;
        Some((module, module.facts.definitions.get(definition)?))
    }
}

impl Evaluation<'_> {
    fn set_input(&mut self, wide: bool) {
        if self.has_wide == Some(wide) {
            return;
        }
        self.has_wide = Some(wide);
        if !wide {
            self.engine.set_input(self.subject.clone());
            return;
        }
        let inventory = self.inventory.cloned().unwrap_or_else(regorus::Value::new_object);
        let fields = [
            ("subject", self.subject.clone()),
            ("facts", self.facts.clone()),
            ("inventory", inventory),
        ];
        let fields = fields.map(|(name, value)| (regorus::Value::from(name), value));
        self.engine.set_input(regorus::Value::from(BTreeMap::from(fields)));
    }

    /// What a rule evaluates to; `null` when it is undefined.
    pub fn rule(&mut self, rule: &Rule) -> Result<Value, Box<Problem>> {
        self.evaluate(&rule.entry, rule)
    }

    /// Suffixes of rules that an `exception` of the package speaks against.
    pub fn exceptions(&mut self, rule: &Rule) -> Result<BTreeSet<String>, Box<Problem>> {
        let Some(entry) = &rule.exceptions else {
            return Ok(BTreeSet::new());
        };
        let value = self.evaluate(entry, rule)?;
        let lists = value.as_array().into_iter().flatten();
        let names = lists.flat_map(|list| list.as_array().into_iter().flatten());
        Ok(names.filter_map(Value::as_str).map(str::to_owned).collect())
    }

    fn evaluate(&mut self, entry: &str, rule: &Rule) -> Result<Value, Box<Problem>> {
        self.set_input(rule.wide);
        let fail = |text: &str| {
            self.unit
                .problem("rego-evaluation", EngineError::parse(text), Some(rule))
        };
        budget::begin();
        let came = self.engine.eval_rule(entry.to_owned());
        if let Some(refused) = budget::refused() {
            return Err(self
                .unit
                .problem("rego-evaluation", EngineError::parse(&refused), Some(rule))
                .into());
        }
        match came {
            Ok(regorus::Value::Undefined) => Ok(Value::Null),
            Ok(value) => serde_json::to_value(&value).map_err(|error| fail(&error.to_string()).into()),
            Err(error) => Err(fail(&error.to_string()).into()),
        }
    }
}

/// True when a module, or one that it may read, reads what is known around a subject.
fn sees_more(modules: &[Module], start: &Module) -> bool {
    let mut open: Vec<&Module> = modules
        .iter()
        .filter(|other| other.facts.package == start.facts.package)
        .collect();
    let mut roots: BTreeSet<&str> = BTreeSet::new();
    while let Some(module) = open.pop() {
        for root in &module.facts.reads {
            if root == OURS || root == INVENTORY || root == "*" {
                return true;
            }
            if roots.insert(root) {
                open.extend(modules.iter().filter(|other| other.facts.package.first() == Some(root)));
            }
        }
    }
    false
}

/// The first line of a definition: what messages mark.
pub(crate) fn head(definition: &Definition) -> stoke_diagnostics::Place {
    definition.place
}

/// Rules that decide, and complaints about names that look like theirs.
fn decisions(modules: &[Module]) -> (Vec<Rule>, Vec<Problem>) {
    let mut rules: Vec<Rule> = Vec::new();
    let mut problems = Vec::new();
    for (index, module) in modules.iter().enumerate() {
        for (at_, definition) in module.facts.definitions.iter().enumerate() {
            if definition.kind == Kind::Function {
                continue;
            }
            let (root, below) = definition.name.split_once('.').unwrap_or((&definition.name, ""));
            let Some(effect) = rules::effect(root) else {
                continue;
            };
            if !below.is_empty() {
                let message = format!(
                    "`{}` is not a rule that is asked: it is below `{root}`",
                    definition.name
                );
                let problem = at(&module.source, definition.place, "rule-name", message);
                problems.push(problem.with_fix(format!("write `{root} contains …`, or `{root}_{below} contains …`")));
                continue;
            }
            let policy = module.package();
            let known = rules
                .iter_mut()
                .find(|rule| rule.info.policy == policy && rule.info.rule == root);
            if let Some(rule) = known {
                rule.definitions.push((index, at_));
                continue;
            }
            rules.push(Rule {
                shown: format!("data.{policy}.{root}"),
                info: RuleInfo {
                    policy,
                    rule: root.to_owned(),
                    effect,
                    file: module.source.name().to_owned(),
                    line: definition.place.line,
                },
                definitions: vec![(index, at_)],
                entry: String::new(),
                exceptions: None,
                wide: false,
            });
        }
    }
    (rules, problems)
}
