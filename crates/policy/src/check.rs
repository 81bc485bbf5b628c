//! What can be found wrong with modules before anything is evaluated: calls that lead nowhere, recursion, packages that are taken.

use std::collections::{BTreeMap, BTreeSet};

use stoke_model::manifest::nearest;

use crate::ast::{Call, Kind};
use crate::data::{INVENTORY, OURS};
use crate::module::{Dialect, Module};
use crate::problem::{Problem, at};
use crate::unit::ENTRY;
use crate::{builtins, extensions};

/// How deep rules and functions may depend on each other: the interpreter goes down each step, on the stack.
const MAX_DEPTH: usize = 64;

/// Everything that is wrong.
pub(crate) fn modules(modules: &[Module]) -> Vec<Problem> {
    let mut problems = packages(modules);
    problems.extend(wildcards(modules));
    problems.extend(crate::safety::unsafe_variables(modules));
    problems.extend(crate::names::problems(modules));
    problems.extend(calls(modules));
    problems.extend(crate::types::problems(modules));
    problems.extend(recursion(modules));
    problems.extend(depth(modules));
    problems
}

/// `not xs[_] == y` is unsafe for OPA, and something else than it looks for the interpreter: that some item is different.
fn wildcards(modules: &[Module]) -> Vec<Problem> {
    let problem = |module: &Module, place| {
        let problem = at(&module.source, place, "rego-analysis", "`_` is unsafe below `not`");
        problem.with_fix("write `not y in xs`, or ask with `not` for a rule that has the `_`")
    };
    let places = modules.iter().flat_map(|module| {
        let places = module.facts.negated_wildcards.iter();
        places.map(move |place| problem(module, *place))
    });
    places.collect()
}

/// What a call leads to.
enum Target {
    /// A function of a module, by its path below `data`.
    Function(String),
    Builtin,
    /// Why it leads nowhere, with a code and perhaps a fix.
    Nowhere(&'static str, String, Option<String>),
}

/// Paths below `data` of all functions.
fn functions(modules: &[Module]) -> BTreeSet<String> {
    let all = modules.iter().flat_map(|module| {
        let functions = module
            .facts
            .definitions
            .iter()
            .filter(|definition| matches!(definition.kind, Kind::Function | Kind::Default));
        functions.map(|definition| format!("{}.{}", module.package(), definition.name))
    });
    all.collect()
}

fn resolve(call: &Call, module: &Module, functions: &BTreeSet<String>) -> Target {
    let name = call.path.join(".");
    let (root, rest) = (
        call.path.first().map(String::as_str).unwrap_or_default(),
        call.path.get(1..).unwrap_or_default(),
    );
    let below_data =
        |path: Vec<String>| (path.first().map(String::as_str) == Some("data")).then(|| path[1..].join("."));
    let imported = module
        .facts
        .imports
        .get(root)
        .map(|path| [path.as_slice(), rest].concat());
    let candidates = [
        imported.and_then(below_data),
        below_data(call.path.clone()),
        Some(format!("{}.{name}", module.package())),
    ];
    if let Some(path) = candidates.into_iter().flatten().find(|path| functions.contains(path)) {
        return Target::Function(path);
    }
    if name == "walk" && call.arguments == 1 {
        // The interpreter takes it, and finds nothing: a rule with it would never fire.
        let message = "the builtin `walk` with one argument is not available here".to_owned();
        let fix = "write `walk(x, [path, value])`".to_owned();
        return Target::Nowhere("rego-builtin", message, Some(fix));
    }
    if builtins::available(&name) {
        return Target::Builtin;
    }
    if extensions::is_of_v0(&name) {
        if module.dialect == Dialect::V0 {
            return Target::Builtin;
        }
        let message = format!("the builtin `{name}` is of Rego v0, and v1 does not have it");
        return Target::Nowhere("rego-builtin", message, None);
    }
    if let Some(reason) = builtins::absent(&name) {
        let message = format!("the builtin `{name}` is not available here");
        return Target::Nowhere("rego-builtin", message, Some(reason.to_owned()));
    }
    let own = functions
        .iter()
        .filter_map(|path| path.strip_prefix(&format!("{}.", module.package())));
    let near = nearest(&name, own.chain(builtins::AVAILABLE.iter().copied()));
    let fix = near.map(|near| format!("did you mean `{near}`?"));
    Target::Nowhere(
        "rego-function",
        format!("no function and no builtin is called `{name}`"),
        fix,
    )
}

/// Packages where something else is.
fn packages(modules: &[Module]) -> Vec<Problem> {
    let taken = |module: &&Module| {
        let root = module.facts.package.first().map(String::as_str);
        matches!(root, Some(OURS | INVENTORY | ENTRY))
    };
    let problem = |module: &Module| {
        let message = format!(
            "the package `{}` is where something else is: `data.{OURS}` and `data.{INVENTORY}` are what is known around a subject",
            module.package()
        );
        module
            .complain("rego-analysis", message)
            .with_fix("give it another name")
    };
    modules.iter().filter(taken).map(problem).collect()
}

/// Calls that lead nowhere: found now, and not only when a subject makes a rule get there.
fn calls(modules: &[Module]) -> Vec<Problem> {
    let functions = functions(modules);
    let mut problems = Vec::new();
    for module in modules {
        for call in module.facts.definitions.iter().flat_map(|definition| &definition.calls) {
            if let Target::Nowhere(code, message, fix) = resolve(call, module, &functions) {
                let problem = at(&module.source, call.place, code, message);
                problems.push(match fix {
                    Some(fix) => problem.with_fix(fix),
                    None => problem,
                });
            }
        }
    }
    problems
}

/// Functions that call themselves, at once or by others. Rules that depend on themselves are found by the interpreter.
fn recursion(modules: &[Module]) -> Vec<Problem> {
    let functions = functions(modules);
    let mut calls: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for module in modules {
        for definition in &module.facts.definitions {
            let name = format!("{}.{}", module.package(), definition.name);
            let targets = definition
                .calls
                .iter()
                .filter_map(|call| match resolve(call, module, &functions) {
                    Target::Function(path) => Some(path),
                    _ => None,
                });
            calls.entry(name).or_default().extend(targets);
        }
    }
    let reaches_itself = |name: &String| {
        let mut seen = BTreeSet::new();
        let mut open: Vec<&String> = calls.get(name).into_iter().flatten().collect();
        while let Some(next) = open.pop() {
            if next == name {
                return true;
            }
            if seen.insert(next) {
                open.extend(calls.get(next).into_iter().flatten());
            }
        }
        false
    };
    let mut problems = Vec::new();
    for module in modules {
        for definition in &module.facts.definitions {
            let name = format!("{}.{}", module.package(), definition.name);
            if definition.kind == Kind::Function && reaches_itself(&name) {
                let message = format!("`{}` calls itself; Rego has no recursion", definition.name);
                problems.push(at(&module.source, definition.place, "rego-recursion", message));
            }
        }
    }
    problems
}

/// Rules and functions that depend on others through more steps than are taken.
fn depth(modules: &[Module]) -> Vec<Problem> {
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let name = |module: &Module, name: &str| format!("{}.{name}", module.package());
    for module in modules {
        for definition in &module.facts.definitions {
            uses.entry(name(module, &definition.name)).or_default();
        }
    }
    let known: BTreeSet<String> = uses.keys().cloned().collect();
    for module in modules {
        for definition in &module.facts.definitions {
            let called = definition.calls.iter().map(|call| &call.path);
            let targets = definition.references.iter().chain(called);
            let targets: Vec<String> = targets.filter_map(|path| rule_of(path, module, &known)).collect();
            uses.entry(name(module, &definition.name)).or_default().extend(targets);
        }
    }
    let mut depths = BTreeMap::new();
    for start in &known {
        measure(start, &uses, &mut depths);
    }
    let mut problems = Vec::new();
    for module in modules {
        for definition in &module.facts.definitions {
            if depths
                .get(&name(module, &definition.name))
                .is_some_and(|depth| *depth == MAX_DEPTH + 1)
            {
                let message = format!(
                    "`{}` depends on others through more than {MAX_DEPTH} steps",
                    definition.name
                );
                problems.push(at(&module.source, definition.place, "rego-recursion", message));
            }
        }
    }
    problems
}

/// The rule that a reference leads to, by its path below `data`.
fn rule_of(path: &[String], module: &Module, known: &BTreeSet<String>) -> Option<String> {
    let (root, rest) = path.split_first()?;
    let full = match module.facts.imports.get(root) {
        _ if root == "data" => rest.to_vec(),
        Some(imported) => [imported.get(1..)?, rest].concat(),
        None => [module.facts.package.as_slice(), path].concat(),
    };
    let prefixes = (1..=full.len()).map(|length| full.get(..length).unwrap_or_default().join("."));
    prefixes.into_iter().find(|prefix| known.contains(prefix))
}

/// The longest way down from a rule, measured without going down the stack. Rules that depend on themselves count as ends here.
fn measure<'a>(start: &'a str, uses: &'a BTreeMap<String, BTreeSet<String>>, depths: &mut BTreeMap<String, usize>) {
    let mut open: BTreeSet<&str> = BTreeSet::new();
    let mut stack = vec![(start, false)];
    while let Some((name, done)) = stack.pop() {
        if done {
            let below = uses.get(name).into_iter().flatten();
            let deepest = below.filter_map(|next| depths.get(next)).max().copied();
            depths.insert(name.to_owned(), deepest.map_or(1, |depth| depth + 1));
            open.remove(name);
        } else if !depths.contains_key(name) && open.insert(name) {
            stack.push((name, true));
            stack.extend(uses.get(name).into_iter().flatten().map(|next| (next.as_str(), false)));
        }
    }
}
