//! One Rego file: which version of the language it is of, and what it says.

use std::borrow::Cow;
use std::sync::Arc;

use regorus::Engine;
use stoke_diagnostics::Source;

use crate::ast::{self, Facts};
use crate::negation::{self, Negation};
use crate::problem::{EngineError, Problem, at, place};
use crate::text;

/// Which syntax a file is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `deny contains msg if { … }`.
    V1,
    /// `deny[msg] { … }`.
    V0,
}

/// A file that was parsed.
#[derive(Clone, Debug)]
pub(crate) struct Module {
    pub source: Arc<Source>,
    pub dialect: Dialect,
    pub facts: Facts,
    /// Directory of its file below the one that is loaded.
    pub home: String,
    negations: Vec<Negation>,
}

impl Module {
    /// Parses a file as Rego v1, or else as v0.
    pub fn parse(source: &Arc<Source>) -> Result<Self, Box<Problem>> {
        let start = place(source, 1, 1);
        let source = &match text::as_opa_reads(source.text()) {
            Cow::Borrowed(_) => Arc::clone(source),
            Cow::Owned(text) => Source::new(source.name(), &text),
        };
        if let Some(offset) = text::endless_reference(source.text()) {
            let message = "the reference has more than 64 steps";
            return Err(at(source, source.place_at(offset), "rego-syntax", message).into());
        }
        let fail = |said: EngineError| said.problem("rego-syntax", std::iter::once(source), (source, start));
        let v1 = match Self::parse_as(source, Dialect::V1) {
            Ok(module) => return Ok(module),
            Err(said) if text::is_v1_only(source.text()) => return Err(fail(said).into()),
            Err(said) => said,
        };
        let v0 = match Self::parse_as(source, Dialect::V0) {
            Ok(module) => return Ok(module),
            Err(said) => said,
        };
        // Whichever syntax got further is the one that was meant.
        let further = if (v0.line, v0.column) > (v1.line, v1.column) {
            v0
        } else {
            v1
        };
        let problem = fail(further).with_fix("neither Rego v1 nor v0 can be read as this");
        Err(problem.into())
    }

    fn parse_as(source: &Arc<Source>, dialect: Dialect) -> Result<Self, EngineError> {
        let mut engine = Engine::new();
        Self::add_text(&mut engine, source.name(), source.text(), dialect)?;
        let tree = engine
            .get_ast_as_json()
            .map_err(|error| EngineError::parse(&error.to_string()))?;
        let mut facts = ast::read(&tree).ok_or_else(|| EngineError::parse("the syntax tree cannot be read"))?;
        ast::name_aliases(&mut facts, source.text());
        let negations = negation::negations(&facts.tree, source);
        Ok(Self {
            source: Arc::clone(source),
            dialect,
            facts,
            home: String::new(),
            negations,
        })
    }

    /// The same in a directory.
    pub fn of_home(mut self, home: &str) -> Self {
        home.clone_into(&mut self.home);
        self
    }

    /// Gives it to an engine.
    pub fn add_to(&self, engine: &mut Engine) -> Result<(), EngineError> {
        let text = negation::eager(self.source.text(), &self.negations, &[]);
        Self::add_text(engine, self.source.name(), &text, self.dialect)
    }

    /// Gives it to an engine with some of its definitions left out, and something more at its end.
    pub fn add_without(&self, engine: &mut Engine, left_out: &[usize], more: &str) -> Result<(), EngineError> {
        let mut bytes = self.source.text().as_bytes().to_vec();
        let mut blank = Vec::new();
        for index in left_out {
            let Some(definition) = self.facts.definitions.get(*index) else {
                continue;
            };
            let range = definition.place.start..definition.place.end;
            blank.push((range.start, range.end));
            for byte in bytes.get_mut(range).into_iter().flatten() {
                // Lines stay, so that places stay.
                if *byte != b'\n' {
                    *byte = b' ';
                }
            }
        }
        let mut text = negation::eager(&String::from_utf8_lossy(&bytes), &self.negations, &blank);
        text.push('\n');
        text.push_str(more);
        Self::add_text(engine, self.source.name(), &text, self.dialect)
    }

    fn add_text(engine: &mut Engine, name: &str, text: &str, dialect: Dialect) -> Result<(), EngineError> {
        engine.set_rego_v0(dialect == Dialect::V0);
        let added = engine.add_policy(name.to_owned(), text.to_owned());
        added.map(drop).map_err(|error| EngineError::parse(&error.to_string()))
    }

    /// The package, dotted.
    pub fn package(&self) -> String {
        self.facts.package.join(".")
    }

    /// A problem at its beginning.
    pub fn complain(&self, code: &'static str, message: impl Into<String>) -> Problem {
        at(&self.source, place(&self.source, 1, 1), code, message)
    }
}

/// `data["a"]["b"]`, of components that may hold anything.
pub(crate) fn reference(components: &[&str]) -> String {
    let mut text = "data".to_owned();
    for component in components {
        text.push_str(&format!("[{}]", serde_json::Value::from(*component)));
    }
    text
}
