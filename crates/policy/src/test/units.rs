//! Unit tests: rules whose name begins with `test_`, as OPA and conftest run them.

use regorus::Value;

use super::report::{TestResult, Verdict};
use crate::load::PolicySet;
use crate::module::reference;
use crate::problem::{EngineError, Problem};
use crate::unit::Unit;

/// Policies together with their tests.
pub(super) struct Tests {
    pub unit: Unit,
    tests: Vec<Test>,
}

/// One test.
struct Test {
    name: String,
    entry: String,
    file: String,
    line: usize,
    skipped: bool,
}

impl Tests {
    pub fn of(set: &PolicySet) -> Result<Self, Vec<Problem>> {
        let modules = [set.rego.modules.as_slice(), set.tests.as_slice()].concat();
        let unit = Unit::build(modules, set.rego.data.clone(), set.settings.time_per_rule)?;
        let mut tests: Vec<Test> = Vec::new();
        for module in &unit.modules {
            for definition in &module.facts.definitions {
                let skipped = definition.name.starts_with("todo_test_");
                if !skipped && !definition.name.starts_with("test_") {
                    continue;
                }
                let mut path: Vec<&str> = module.facts.package.iter().map(String::as_str).collect();
                path.extend(definition.name.split('.'));
                let name = format!("data.{}", path.join("."));
                if tests.iter().all(|known| known.name != name) {
                    tests.push(Test {
                        name,
                        entry: reference(&path),
                        file: module.source.name().to_owned(),
                        line: definition.place.line,
                        skipped,
                    });
                }
            }
        }
        Ok(Self { unit, tests })
    }

    pub fn run(&self) -> Vec<TestResult> {
        self.tests.iter().map(|test| test.run(&self.unit)).collect()
    }

    /// The first test among those that passed which does not pass in another unit.
    pub fn first_broken(&self, unit: &Unit, passed: &[TestResult]) -> Option<&str> {
        let held = |test: &&Test| {
            let mut results = passed.iter().filter(|result| result.name == test.name);
            results.any(|result| result.verdict == Verdict::Passed)
        };
        let broken = self
            .tests
            .iter()
            .filter(held)
            .find(|test| test.run(unit).verdict != Verdict::Passed);
        broken.map(|test| test.name.as_str())
    }
}

impl Test {
    fn run(&self, unit: &Unit) -> TestResult {
        let mut engine = unit.engine();
        let (verdict, message) = if self.skipped {
            (Verdict::Skipped, None)
        } else {
            match engine.eval_rule(self.entry.clone()) {
                Ok(Value::Bool(true)) => (Verdict::Passed, None),
                Ok(Value::Undefined) => (Verdict::Failed, Some("it is undefined".to_owned())),
                Ok(other) => (Verdict::Failed, Some(format!("it is {other}"))),
                Err(error) => {
                    let said = EngineError::parse(&error.to_string());
                    let place = said
                        .file
                        .map_or_else(String::new, |file| format!(" ({file}:{})", said.line));
                    (Verdict::Failed, Some(format!("{}{place}", said.message)))
                }
            }
        };
        TestResult {
            name: self.name.clone(),
            file: self.file.clone(),
            line: self.line,
            verdict,
            message,
            printed: engine.take_prints().unwrap_or_default(),
        }
    }
}
