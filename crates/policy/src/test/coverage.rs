//! The proof that every definition of a rule that decides can fire.
//!
//! A definition is looked at alone: the others of its rule are left out of a copy of the policies. What then comes of denied examples comes of
//! it. One that no example makes fire may be proven by a unit test: one that passes, and does not when the definition is left out.

use std::collections::BTreeMap;

use super::examples::Example;
use super::report::{Expected, RuleResult, TestResult};
use super::units::Tests;
use crate::ast::Kind;
use crate::evaluate::Judge;
use crate::gatekeeper::Template;
use crate::load::PolicySet;
use crate::module::Dialect;
use crate::outcome::Outcome;
use crate::unit::{Rule, Unit};

pub(super) fn prove(set: &PolicySet, examples: &[Example], tests: &Tests, passed: &[TestResult]) -> Vec<RuleResult> {
    let mut results = Vec::new();
    for rule in &set.rego.rules {
        for definition in deciding(&set.rego, rule) {
            let seen = seen_in_examples(set, examples, rule, definition);
            let seen = seen.or_else(|| seen_in_tests(tests, passed, definition));
            results.extend(result(&set.rego, rule, definition, rule.info.policy.clone(), seen));
        }
    }
    for template in &set.templates {
        let Some(rule) = template.rule() else { continue };
        for definition in deciding(&template.unit, rule) {
            let seen = seen_by_constraints(set, examples, template, rule, definition);
            results.extend(result(&template.unit, rule, definition, template.kind.clone(), seen));
        }
    }
    results
}

/// Definitions that say something: a default says what holds when none does.
fn deciding(unit: &Unit, rule: &Rule) -> Vec<(usize, usize)> {
    let says = |at: &(usize, usize)| {
        unit.definition(*at)
            .is_some_and(|(_, definition)| definition.kind != Kind::Default)
    };
    rule.definitions.iter().copied().filter(says).collect()
}

fn result(unit: &Unit, rule: &Rule, at: (usize, usize), policy: String, seen_in: Option<String>) -> Option<RuleResult> {
    let (module, definition) = unit.definition(at)?;
    Some(RuleResult {
        policy,
        rule: rule.info.rule.clone(),
        file: module.source.name().to_owned(),
        line: definition.place.line,
        seen_in,
    })
}

/// The policies with one definition of a rule alone. A definition that cannot be without the others is looked at together with them.
fn alone(unit: &Unit, rule: &Rule, at: (usize, usize)) -> Unit {
    let others: Vec<(usize, usize)> = rule.definitions.iter().copied().filter(|other| *other != at).collect();
    if others.is_empty() {
        return unit.clone();
    }
    unit.without(&others, &BTreeMap::new()).unwrap_or_else(|_| unit.clone())
}

fn seen_in_examples(set: &PolicySet, examples: &[Example], rule: &Rule, at: (usize, usize)) -> Option<String> {
    let (module, _) = set.rego.definition(at)?;
    let denied = examples
        .iter()
        .filter(|example| example.expected == Expected::Denied && example.home == module.home);
    for example in denied {
        let unit = alone(&example.set(set).rego, rule, at);
        let fires = example.subjects().iter().any(|subject| {
            let input = subject.input();
            let mut outcome = Outcome::default();
            let judge = Judge {
                unit: &unit,
                input: &input,
                subject,
                facts: &example.facts,
            };
            judge.rego(&[rule], &mut outcome);
            !outcome.violations.is_empty() || !outcome.excepted.is_empty()
        });
        if fires {
            return Some(example.file.clone());
        }
    }
    None
}

fn seen_by_constraints(
    set: &PolicySet,
    examples: &[Example],
    template: &Template,
    rule: &Rule,
    at: (usize, usize),
) -> Option<String> {
    let isolated = Template {
        unit: alone(&template.unit, rule, at),
        ..template.clone()
    };
    let constraints: Vec<_> = set
        .constraints
        .iter()
        .filter(|constraint| constraint.kind == template.kind)
        .collect();
    let beside = |example: &&Example| {
        let mut homes = constraints.iter().map(|constraint| &constraint.home);
        example.home == template.home || homes.any(|home| *home == example.home)
    };
    let denied = examples
        .iter()
        .filter(|example| example.expected == Expected::Denied)
        .filter(beside);
    for example in denied {
        for subject in example.subjects() {
            let input = subject.input();
            let mut outcome = Outcome::default();
            let judge = Judge {
                unit: &isolated.unit,
                input: &input,
                subject: &subject,
                facts: &example.facts,
            };
            for constraint in &constraints {
                judge.constraint(&isolated, constraint, &mut outcome);
            }
            if !outcome.violations.is_empty() {
                return Some(example.file.clone());
            }
        }
    }
    None
}

/// A test that breaks when a definition is left out. The rule stays: a set without that definition may be empty, but it is there.
fn seen_in_tests(tests: &Tests, passed: &[TestResult], at: (usize, usize)) -> Option<String> {
    if passed.is_empty() {
        return None;
    }
    let (module, definition) = tests.unit.definition(at)?;
    let mut more = BTreeMap::new();
    if definition.kind == Kind::Set {
        let stub = match module.dialect {
            Dialect::V1 => format!("{} contains \"\" if {{ false }}", definition.name),
            Dialect::V0 => format!("{}[\"\"] {{ false }}", definition.name),
        };
        more.insert(at.0, stub);
    }
    let unit = tests.unit.without(&[at], &more).ok()?;
    tests.first_broken(&unit, passed).map(|test| format!("test {test}"))
}
