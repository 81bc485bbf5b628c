//! Names that mean two things: OPA refuses them, the interpreter takes one of the two.

use std::collections::BTreeSet;

use serde_json::Value;
use stoke_diagnostics::Place;

use crate::ast::{self, Definition, Kind, children, variant};
use crate::data::Conflict;
use crate::module::Module;
use crate::problem::{Problem, at};

/// Everything that is given twice.
pub(crate) fn problems(modules: &[Module]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut defaults = BTreeSet::new();
    for module in modules {
        let tell = |place: Place, message: String| at(&module.source, place, "rego-analysis", message);
        for definition in &module.facts.definitions {
            let root = definition.name.split('.').next().unwrap_or_default();
            if matches!(root, "input" | "data") {
                problems.push(tell(definition.place, format!("a rule cannot be called `{root}`")));
            }
            if module.facts.imports.contains_key(root) {
                problems.push(tell(
                    definition.place,
                    format!("`{root}` is imported, and a rule has the same name"),
                ));
            }
            if definition.kind == Kind::Default {
                let name = format!("{}.{}", module.package(), definition.name);
                if is_set(modules, module, definition) {
                    let message = format!("`{}` is a set, and has no default", definition.name);
                    problems.push(tell(definition.place, message));
                }
                if !defaults.insert(name) {
                    let message = format!("`{}` has two defaults", definition.name);
                    problems.push(tell(definition.place, message));
                }
            }
            let package = &module.facts.package;
            let is_own = |path: &&Vec<String>| {
                path.len() > 1
                    && path[0] == "data"
                    && path.len() <= package.len() + 1
                    && package.starts_with(&path[1..])
            };
            if let Some(path) = definition.references.iter().find(is_own) {
                let message = format!(
                    "`{}` refers to `{}`, of which it is a part",
                    definition.name,
                    path.join(".")
                );
                problems.push(at(&module.source, definition.place, "rego-recursion", message));
            }
        }
        for rule in module.facts.tree["rules"].as_array().into_iter().flatten() {
            let mut names = BTreeSet::new();
            let arguments = rule["Spec"]["head"]["Func"]["args"].as_array();
            for (name, place) in arguments.into_iter().flatten().flat_map(variables) {
                if name == "_" {
                    continue;
                }
                if matches!(name, "input" | "data") {
                    problems.push(tell(place, format!("an argument cannot be called `{name}`")));
                } else if !names.insert(name) {
                    let message = format!("two arguments are called `{name}`");
                    problems.push(tell(place, message).with_fix("give them two names, and compare them with `==`"));
                }
            }
        }
        for place in roots(&module.facts.tree) {
            let message = "`data` cannot be asked for all there is in it".to_owned();
            problems.push(tell(place, message).with_fix("name what is meant, `data.team[_]`"));
        }
    }
    problems
}

/// Rules where data files already have something.
pub(crate) fn conflicts(modules: &[Module], data: &Value) -> Vec<Problem> {
    let mut problems = Vec::new();
    for module in modules {
        for definition in &module.facts.definitions {
            let path = module
                .facts
                .package
                .iter()
                .map(String::as_str)
                .chain(definition.name.split('.'));
            if let Some(Conflict(path)) = Conflict::find(data, path) {
                let message = format!("`data.{path}` is a rule here, and a value in a data file");
                problems.push(at(&module.source, definition.place, "policy-data", message));
            }
        }
    }
    problems
}

fn is_set(modules: &[Module], of: &Module, default: &Definition) -> bool {
    let same = modules.iter().filter(|module| module.facts.package == of.facts.package);
    let mut definitions = same.flat_map(|module| &module.facts.definitions);
    definitions.any(|definition| definition.kind == Kind::Set && definition.name == default.name)
}

/// Variables of a pattern.
fn variables(node: &Value) -> Vec<(&str, Place)> {
    match variant(node) {
        Some(("Var", fields)) => {
            let name = fields["value"].as_str().unwrap_or_default();
            vec![(name, ast::place(&fields["span"]))]
        }
        _ => children(node).flat_map(variables).collect(),
    }
}

/// Places of `data[_]`.
fn roots(node: &Value) -> Vec<Place> {
    if let Some(("RefBrack", fields)) = variant(node)
        && fields["refr"]["Var"]["value"] == "data"
        && fields["index"]["Var"]["value"] == "_"
    {
        return vec![ast::place(&fields["refr"]["Var"]["span"])];
    }
    children(node).flat_map(roots).collect()
}
