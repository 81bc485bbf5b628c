//! Asking a set about a subject.

use serde_json::{Value, json};

use crate::gatekeeper::{Constraint, Template, review};
use crate::load::PolicySet;
use crate::outcome::{Effect, Message, Outcome, Violation, messages, named_path};
use crate::problem::{Problem, at};
use crate::rules::suffix;
use crate::subject::{Facts, Subject};
use crate::unit::{Evaluation, Rule, Unit};

impl PolicySet {
    /// What the policies say of a subject. Takes microseconds to a few milliseconds, and at most the time of [`Settings`](crate::Settings) for each
    /// rule; see `docs/reference/policy.md` for measures.
    pub fn evaluate(&self, subject: &Subject<'_>, facts: &Facts) -> Outcome {
        self.evaluate_of(subject, facts, |_| true)
    }

    /// The same, by policies of some directories only.
    pub(crate) fn evaluate_of(&self, subject: &Subject<'_>, facts: &Facts, is_asked: impl Fn(&str) -> bool) -> Outcome {
        let input = subject.input();
        let mut outcome = Outcome::default();
        let of_homes = |rule: &&Rule| {
            let mut homes = rule.definitions.iter().filter_map(|at| self.rego.definition(*at));
            homes.any(|(module, _)| is_asked(&module.home))
        };
        let rules: Vec<&Rule> = self.rego.rules.iter().filter(of_homes).collect();
        let judge = Judge {
            unit: &self.rego,
            input: &input,
            subject,
            facts,
        };
        judge.rego(&rules, &mut outcome);
        if !matches!(subject, Subject::Conf { .. }) {
            for constraint in self.constraints.iter().filter(|constraint| is_asked(&constraint.home)) {
                let template = self.templates.iter().find(|template| template.kind == constraint.kind);
                let Some(template) = template else { continue };
                Judge {
                    unit: &template.unit,
                    ..judge
                }
                .constraint(template, constraint, &mut outcome);
            }
        }
        outcome
    }
}

/// Asks one unit about one subject.
#[derive(Clone, Copy)]
pub(crate) struct Judge<'a> {
    pub unit: &'a Unit,
    pub input: &'a Value,
    pub subject: &'a Subject<'a>,
    pub facts: &'a Facts,
}

impl Judge<'_> {
    fn ask<'a>(&'a self, input: &'a regorus::Value) -> Evaluation<'a> {
        self.unit.ask(input, &self.facts.stoke, self.facts.inventory.as_ref())
    }

    /// What rules say whose `input` is the subject.
    pub fn rego(&self, rules: &[&Rule], outcome: &mut Outcome) {
        if rules.is_empty() {
            return;
        }
        let input = regorus::Value::from(self.input.clone());
        let mut asked = self.ask(&input);
        for rule in rules {
            let said = match self.messages_of(&mut asked, rule) {
                Ok(said) => said,
                Err(problem) => {
                    outcome.problems.push(*problem);
                    continue;
                }
            };
            if said.is_empty() {
                continue;
            }
            let excepted = match asked.exceptions(rule) {
                Ok(exceptions) => exceptions.contains(suffix(&rule.info.rule)),
                Err(problem) => {
                    outcome.problems.push(*problem);
                    false
                }
            };
            let violations = said
                .into_iter()
                .map(|said| self.violation(rule, &rule.info.policy, rule.info.effect, said));
            if excepted {
                outcome.excepted.extend(violations);
            } else {
                outcome.violations.extend(violations);
            }
        }
    }

    /// What a template says where a constraint applies it.
    pub fn constraint(&self, template: &Template, constraint: &Constraint, outcome: &mut Outcome) {
        let Some(rule) = template.rule() else { return };
        let namespace = self.facts.namespace.as_ref();
        let generated = matches!(self.subject, Subject::Pod { .. });
        match constraint.selection.is_about(self.input, namespace, generated) {
            Ok(true) => {}
            Ok(false) => return,
            Err(why) => {
                let message = format!(
                    "{} cannot decide whether it applies to {}: {why}",
                    constraint.title(),
                    self.subject
                );
                let said = crate::problem::EngineError::parse(&message);
                outcome.problems.push(self.unit.problem("gatekeeper", said, Some(rule)));
                return;
            }
        }
        let input = json!({"review": review(self.input, namespace), "parameters": constraint.parameters});
        let input = regorus::Value::from(input);
        match self.messages_of(&mut self.ask(&input), rule) {
            Ok(said) => {
                let violations = said
                    .into_iter()
                    .map(|said| self.violation(rule, &constraint.title(), constraint.effect, said));
                outcome.violations.extend(violations);
            }
            Err(problem) => outcome.problems.push(*problem),
        }
    }

    /// Messages of a rule.
    fn messages_of(&self, asked: &mut Evaluation<'_>, rule: &Rule) -> Result<Vec<Message>, Box<Problem>> {
        let value = asked.rule(rule)?;
        messages(value, &rule.shown).map_err(|what| {
            let message = format!("{} gave {what}", rule.shown);
            let fix = "a rule that decides is a set of texts, or of objects with `msg`";
            match rule.definitions.first().and_then(|at| self.unit.definition(*at)) {
                Some((module, definition)) => at(&module.source, definition.place, "rule-result", message),
                None => self
                    .unit
                    .problem("rule-result", crate::problem::EngineError::parse(&message), Some(rule)),
            }
            .with_fix(fix)
            .into()
        })
    }

    fn violation(&self, rule: &Rule, policy: &str, effect: Effect, said: Message) -> Violation {
        Violation {
            policy: policy.to_owned(),
            rule: rule.info.rule.clone(),
            effect,
            path: named_path(&said, self.input),
            message: said.message,
            subject: self.subject.to_string(),
            details: said.details,
            file: rule.info.file.clone(),
            line: rule.info.line,
        }
    }
}
