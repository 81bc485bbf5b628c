//! `ConstraintTemplate`s.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use stoke_diagnostics::Source;

use super::{TARGET, complain};
use crate::data::Document;
use crate::module::Module;
use crate::problem::Problem;
use crate::unit::{Rule, Unit};

/// A template that can be evaluated.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    /// Kind of its constraints.
    pub kind: String,
    /// Directory of its file.
    pub home: String,
    pub unit: Unit,
}

impl Template {
    /// Reads a template and puts its Rego together with its libraries.
    pub fn read(document: &Document, home: &str, limit: Duration) -> Result<Self, Vec<Problem>> {
        let one = |problem: Problem| vec![problem];
        let kind = document
            .value
            .pointer("/spec/crd/spec/names/kind")
            .and_then(Value::as_str);
        let Some(kind) = kind.filter(|kind| !kind.is_empty()) else {
            return Err(one(complain(
                document,
                "spec.crd.spec.names.kind",
                "the template names no kind for its constraints",
            )));
        };
        let targets = document.value["spec"]["targets"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let [target] = targets else {
            let message = format!("a template has one target; this one has {}", targets.len());
            return Err(one(complain(document, "spec.targets", message)));
        };
        if target["target"] != TARGET {
            return Err(one(complain(
                document,
                "spec.targets[0].target",
                format!("only the target `{TARGET}` is known"),
            )));
        }
        let mut modules = Vec::new();
        let mut problems = Vec::new();
        let paths = rego(target).map_err(|message| one(complain(document, "spec.targets[0]", message)))?;
        for path in &paths {
            match module(document, path) {
                Ok(module) => modules.push(module),
                Err(problem) => problems.push(*problem),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        check_packages(document, &paths, &modules)?;
        let unit = Unit::build(modules, json!({}), limit)?;
        let template = Self {
            kind: kind.to_owned(),
            home: home.to_owned(),
            unit,
        };
        if template.rule().is_none() {
            return Err(one(complain(
                document,
                &paths[0],
                "the template has no rule `violation`",
            )));
        }
        Ok(template)
    }

    /// `violation` of the template itself: its libraries decide nothing, and neither does any other rule.
    pub fn rule(&self) -> Option<&Rule> {
        let own = |rule: &&Rule| rule.definitions.first().is_some_and(|(module, _)| *module == 0);
        self.unit
            .rules
            .iter()
            .filter(own)
            .find(|rule| rule.info.rule == "violation")
    }
}

/// Paths of the Rego of a target: the template's own first, then libraries.
fn rego(target: &Value) -> Result<Vec<String>, String> {
    let root = "spec.targets[0]";
    let with_libraries = |at: String, rego: &str, holder: &Value| {
        let libraries = holder["libs"].as_array().map_or(0, Vec::len);
        let mut paths = vec![format!("{at}.{rego}")];
        paths.extend((0..libraries).map(|index| format!("{at}.libs[{index}]")));
        paths
    };
    if target["rego"].is_string() {
        return Ok(with_libraries(root.to_owned(), "rego", target));
    }
    let engines = target["code"].as_array().map(Vec::as_slice).unwrap_or_default();
    let found = engines.iter().enumerate().find(|(_, code)| code["engine"] == "Rego");
    let Some((index, code)) = found else {
        let names: Vec<&str> = engines.iter().filter_map(|code| code["engine"].as_str()).collect();
        return Err(match names.is_empty() {
            true => "the target has no Rego".to_owned(),
            false => format!("the target has code for {} and none in Rego", names.join(" and ")),
        });
    };
    if !code["source"]["rego"].is_string() {
        return Err(format!("code[{index}].source.rego is missing"));
    }
    Ok(with_libraries(
        format!("{root}.code[{index}].source"),
        "rego",
        &code["source"],
    ))
}

/// Parses the text at a path of a document, so that its lines are those of the file.
fn module(document: &Document, path: &str) -> Result<Module, Box<Problem>> {
    let node = document.node.lookup(path);
    let Some(text) = node.and_then(|node| node.as_str()) else {
        return Err(complain(document, path, "Rego is a text").into());
    };
    let place = document.node.place_of(path);
    // The text of a block begins on a line after its mark, that of JSON where it is written.
    let lines_before = first_line(document, place.line, text).unwrap_or(place.line.saturating_sub(1));
    let padded = format!("{}{text}", "\n".repeat(lines_before));
    let source: Arc<Source> = Source::new(document.source.name(), &padded);
    Module::parse(&source)
}

/// Lines of a file before the first line of a text in it, looked for from a line on.
fn first_line(document: &Document, from: usize, text: &str) -> Option<usize> {
    let first = text.lines().next().unwrap_or_default().trim();
    let lines = document.source.text().lines().enumerate().skip(from.saturating_sub(1));
    let mut matching = lines.filter(|(_, line)| line.trim() == first);
    matching.next().map(|(index, _)| index)
}

/// Libraries are below `lib`, and the template is not: Gatekeeper asks for both.
fn check_packages(document: &Document, paths: &[String], modules: &[Module]) -> Result<(), Vec<Problem>> {
    let mut problems = Vec::new();
    for (index, (path, module)) in paths.iter().zip(modules).enumerate() {
        let below_lib = module.facts.package.first().is_some_and(|root| root == "lib");
        let package = module.package();
        if index == 0 && below_lib {
            problems.push(complain(
                document,
                path,
                format!("the template's own package `{package}` is below `lib`"),
            ));
        }
        if index > 0 && !below_lib {
            problems.push(complain(
                document,
                path,
                format!("the package `{package}` of a library is not below `lib`"),
            ));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}
