//! Variables that nothing gives a value: OPA calls them unsafe and refuses the module, the interpreter asks on, and finds nothing or everything.
//!
//! A variable has a value when it stands in brackets of a reference, on a side of `:=` or `=`, behind `some … in`, or as the last argument of a call,
//! in the same body and not below `not`; or when it is an argument, a variable of the body around it, or the name of a rule or an import.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::ast::{self, children, variant};
use crate::module::Module;
use crate::problem::{Problem, at};

type Names = BTreeSet<String>;

/// Everything that is unsafe in modules, once for each name of a rule.
pub(crate) fn unsafe_variables(modules: &[Module]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for module in modules {
        let package = modules
            .iter()
            .filter(|other| other.facts.package == module.facts.package);
        let rules = package.flat_map(|other| other.facts.definitions.iter().map(|definition| &definition.name));
        let mut known: Names = rules
            .filter_map(|name| name.split('.').next())
            .map(str::to_owned)
            .collect();
        known.extend(module.facts.imports.keys().cloned());
        known.extend(["input", "data", "_"].map(str::to_owned));
        for rule in module.facts.tree["rules"].as_array().into_iter().flatten() {
            let mut arguments = known.clone();
            let head = &rule["Spec"]["head"]["Func"]["args"];
            head.as_array()
                .into_iter()
                .flatten()
                .for_each(|argument| pattern(argument, &mut arguments));
            let mut found = Vec::new();
            bodies(&rule["Spec"], module.source.text(), &arguments, &mut found);
            let mut told = Names::new();
            for (name, place) in found {
                if told.insert(name.clone()) {
                    let problem = at(
                        &module.source,
                        place,
                        "rego-analysis",
                        format!("the variable `{name}` is unsafe"),
                    );
                    problems.push(problem.with_fix(
                        "nothing in this body gives it a value; below `not`, and in comparisons, it does not get one",
                    ));
                }
            }
        }
    }
    problems
}

type Found = Vec<(String, stoke_diagnostics::Place)>;

/// Queries below a node that are of no other query.
fn bodies(node: &Value, text: &str, outer: &Names, found: &mut Found) {
    match node.get("stmts").and_then(Value::as_array) {
        Some(statements) => query(statements, text, outer, found),
        None => children(node).for_each(|child| bodies(child, text, outer, found)),
    }
}

fn query(statements: &[Value], text: &str, outer: &Names, found: &mut Found) {
    let mut known = outer.clone();
    for statement in statements {
        // What is declared here is not what has the same name outside.
        let declared = statement["literal"]["SomeVars"]["vars"].as_array();
        for name in declared
            .into_iter()
            .flatten()
            .filter_map(|variable| declared_name(variable, text))
        {
            if name != "_" {
                known.remove(name);
            }
        }
    }
    for statement in statements {
        given(&statement["literal"], &mut known);
    }
    for statement in statements {
        used(&statement["literal"], text, &known, found);
        for with in statement["with_mods"].as_array().into_iter().flatten() {
            // A name there may be that of a function.
            if !matches!(variant(&with["as"]), Some(("Var", _))) {
                used(&with["as"], text, &known, found);
            }
        }
    }
}

/// Name of a variable that is declared, of which the tree has only the place.
fn declared_name<'a>(variable: &Value, text: &'a str) -> Option<&'a str> {
    let place = ast::place(variable);
    text.get(place.start..place.end).filter(|name| !name.is_empty())
}

/// Names that a literal gives values.
fn given(literal: &Value, known: &mut Names) {
    let Some((kind, fields)) = variant(literal) else { return };
    match kind {
        "SomeIn" => {
            pattern(&fields["key"], known);
            pattern(&fields["value"], known);
            brackets(&fields["collection"], known);
        }
        "Expr" => {
            let expression = &fields["expr"];
            if let Some(("Call", call)) = variant(expression)
                && let Some(last) = call["params"].as_array().and_then(|arguments| arguments.last())
            {
                pattern(last, known);
            }
            brackets(expression, known);
        }
        "Every" => brackets(&fields["domain"], known),
        _ => {}
    }
}

/// Names in brackets of references and on sides of assignments, of this body.
fn brackets(node: &Value, known: &mut Names) {
    if node.get("stmts").is_some() {
        return;
    }
    match variant(node) {
        Some(("RefBrack", fields)) => pattern(&fields["index"], known),
        Some(("AssignExpr", fields)) => {
            pattern(&fields["lhs"], known);
            pattern(&fields["rhs"], known);
        }
        // Their term is of their own body.
        Some(("ArrayCompr" | "SetCompr" | "ObjectCompr", _)) => return,
        _ => {}
    }
    children(node).for_each(|child| brackets(child, known));
}

/// Names that a pattern gives values: it, or parts of arrays and objects.
fn pattern(node: &Value, known: &mut Names) {
    match variant(node) {
        Some(("Var", fields)) => known.extend(fields["value"].as_str().map(str::to_owned)),
        Some(("Array" | "Set", fields)) => children(&fields["items"]).for_each(|item| pattern(item, known)),
        Some(("Object", fields)) => {
            for field in fields["fields"].as_array().into_iter().flatten() {
                pattern(&field[2], known);
            }
        }
        _ => {}
    }
}

/// Names that are used and not known, in this body and those within.
fn used(node: &Value, text: &str, known: &Names, found: &mut Found) {
    match variant(node) {
        Some(("Var", fields)) => {
            let name = fields["value"].as_str().unwrap_or_default();
            if !known.contains(name) {
                found.push((name.to_owned(), ast::place(&fields["span"])));
            }
        }
        Some(("Call", fields)) => used(&fields["params"], text, known, found),
        Some(("SomeVars", _)) => {}
        Some(("Every", fields)) => {
            used(&fields["domain"], text, known, found);
            let mut inner = known.clone();
            for name in [&fields["key"], &fields["value"]] {
                inner.extend(declared_name(name, text).map(str::to_owned));
            }
            bodies(&fields["query"], text, &inner, found);
        }
        Some(("ArrayCompr" | "SetCompr" | "ObjectCompr", fields)) => bodies(&fields["query"], text, known, found),
        _ => children(node).for_each(|child| used(child, text, known, found)),
    }
}
