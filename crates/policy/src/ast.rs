//! What a module says, read off its syntax tree: rules, calls, imports, and which data it reads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize as _;
use serde_json::Value;
use stoke_diagnostics::Place;

/// What is known of a module without evaluating it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// Components of the package, without `data`.
    pub package: Vec<String>,
    pub definitions: Vec<Definition>,
    /// What an imported name stands for, `data` or `input` first.
    pub imports: BTreeMap<String, Vec<String>>,
    /// First components below `data` that are read; `*` for all of it.
    pub reads: BTreeSet<String>,
    /// Where `_` stands below `not`.
    pub negated_wildcards: Vec<Place>,
    /// The syntax tree.
    pub tree: Arc<Value>,
}

/// One definition of a rule; a rule may have several.
#[derive(Clone, Debug)]
pub(crate) struct Definition {
    /// Name with its static parts, for example `deny` or `limits.memory`.
    pub name: String,
    pub kind: Kind,
    pub place: Place,
    pub calls: Vec<Call>,
    /// What it refers to by name, up to the first part that is not static.
    pub references: BTreeSet<Vec<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `deny contains x`, `deny[x]`.
    Set,
    /// A value, or an object made of several definitions.
    Value,
    Function,
    Default,
}

/// What a definition uses.
#[derive(Default)]
struct Used {
    calls: Vec<Call>,
    references: BTreeSet<Vec<String>>,
}

/// One call of a function.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub path: Vec<String>,
    /// How many arguments it has.
    pub arguments: usize,
    pub place: Place,
}

/// Reads the syntax tree of one module, as the interpreter writes it.
pub(crate) fn read(json: &str) -> Option<Facts> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    // Expressions may be nested 32 deep, their tree is some times deeper.
    deserializer.disable_recursion_limit();
    let tree = Value::deserialize(&mut deserializer).ok()?;
    let module = tree.get(0)?.get("ast")?;
    let mut facts = Facts {
        package: path(&module["package"]["refr"])?,
        ..Facts::default()
    };
    for import in module["imports"].as_array().into_iter().flatten() {
        facts.import(import);
    }
    for rule in module["rules"].as_array().into_iter().flatten() {
        let definition = facts.definition(rule)?;
        facts.definitions.push(definition);
    }
    facts.tree = Arc::new(module.clone());
    Some(facts)
}

impl Facts {
    fn import(&mut self, import: &Value) {
        let Some(path) = path(&import["refr"]) else { return };
        if path.first().is_some_and(|root| root == "data") {
            self.reads
                .insert(path.get(1).cloned().unwrap_or_else(|| "*".to_owned()));
        }
        // The name after `as` is only a place in the text; `name_of_import` reads it there.
        let alias = import["as"].as_object().map(|_| alias_key(&import["as"]));
        if let Some(name) = alias.or_else(|| path.last().cloned()) {
            self.imports.insert(name, path);
        }
    }

    fn definition(&mut self, rule: &Value) -> Option<Definition> {
        let (body, refr, kind) = if let Some(default) = rule.get("Default") {
            (default, &default["refr"], Kind::Default)
        } else {
            let spec = rule.get("Spec")?;
            let (form, head) = spec["head"].as_object()?.iter().next()?;
            let kind = match form.as_str() {
                "Set" => Kind::Set,
                "Func" => Kind::Function,
                _ => Kind::Value,
            };
            (spec, &head["refr"], kind)
        };
        let mut used = Used::default();
        self.walk(body, &mut used);
        Some(Definition {
            name: static_prefix(refr)?.join("."),
            kind,
            place: place(&body["span"]),
            calls: used.calls,
            references: used.references,
        })
    }

    fn walk(&mut self, value: &Value, used: &mut Used) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.walk(item, used)),
            Value::Object(fields) => {
                for (name, field) in fields {
                    match name.as_str() {
                        "Call" => {
                            used.calls.extend(path(&field["fcn"]).map(|path| Call {
                                path,
                                arguments: field["params"].as_array().map_or(0, Vec::len),
                                place: name_place(&field["fcn"]),
                            }));
                            self.walk(&field["params"], used);
                        }
                        "RefDot" | "RefBrack" => self.reference(value, used),
                        "NotExpr" => {
                            wildcards(field, &mut self.negated_wildcards);
                            self.walk(field, used);
                        }
                        "Var" if field["value"] == "data" => {
                            self.reads.insert("*".to_owned());
                        }
                        "Var" => used.references.extend(static_prefix(value)),
                        _ => self.walk(field, used),
                    }
                }
            }
            _ => {}
        }
    }

    /// A reference: what it reads of `data`, and what its brackets hold.
    fn reference(&mut self, value: &Value, used: &mut Used) {
        let prefix = static_prefix(value).unwrap_or_default();
        let is_data = prefix.first().is_some_and(|root| root == "data");
        if is_data {
            self.reads
                .insert(prefix.get(1).cloned().unwrap_or_else(|| "*".to_owned()));
        }
        let mut node = value;
        loop {
            let dot = node.get("RefDot");
            let bracket = node.get("RefBrack");
            let Some(step) = dot.or(bracket) else { break };
            if bracket.is_some() {
                self.walk(&step["index"], used);
            }
            node = &step["refr"];
        }
        if node.get("Var").is_none() {
            self.walk(node, used);
        }
        used.references.insert(prefix);
    }
}

/// Places of `_` that are not within a comprehension, which has variables of its own.
fn wildcards(value: &Value, found: &mut Vec<Place>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| wildcards(item, found)),
        Value::Object(fields) => {
            for (name, field) in fields {
                match name.as_str() {
                    "ArrayCompr" | "SetCompr" | "ObjectCompr" => {}
                    "Var" if field["value"] == "_" => found.push(place(&field["span"])),
                    _ => wildcards(field, found),
                }
            }
        }
        _ => {}
    }
}

/// Where an alias stands, as a key that [`name_aliases`] turns into its name.
fn alias_key(span: &Value) -> String {
    let place = place(span);
    format!("\u{0}{}..{}", place.start, place.end)
}

/// Puts the names of aliases in, which the tree has only as places of the text.
pub(crate) fn name_aliases(facts: &mut Facts, text: &str) {
    let imports = std::mem::take(&mut facts.imports);
    for (name, path) in imports {
        let named = name.strip_prefix('\u{0}').and_then(|range| {
            let (start, end) = range.split_once("..")?;
            text.get(start.parse().ok()?..end.parse().ok()?).map(str::to_owned)
        });
        facts.imports.insert(named.unwrap_or(name), path);
    }
}

/// Components of a reference that is static from one end to the other.
pub(crate) fn path(value: &Value) -> Option<Vec<String>> {
    let mut components = Vec::new();
    let whole = collect(value, &mut components);
    whole.then_some(components)
}

/// Components of a reference up to the first one that is not static; a variable at least.
pub(crate) fn static_prefix(value: &Value) -> Option<Vec<String>> {
    let mut components = Vec::new();
    collect(value, &mut components);
    (!components.is_empty()).then_some(components)
}

fn collect(value: &Value, components: &mut Vec<String>) -> bool {
    let mut steps = Vec::new();
    let mut node = value;
    while let Some(step) = node.get("RefDot").or_else(|| node.get("RefBrack")) {
        steps.push(step);
        node = &step["refr"];
    }
    let Some(root) = node["Var"]["value"].as_str() else {
        return false;
    };
    components.push(root.to_owned());
    for step in steps.into_iter().rev() {
        let field = step["field"].get(1).or_else(|| Some(&step["index"]["String"]["value"]));
        let Some(name) = field.and_then(Value::as_str) else {
            return false;
        };
        components.push(name.to_owned());
    }
    true
}

/// Where the name of a function is written.
fn name_place(fcn: &Value) -> Place {
    let mut root = fcn;
    while let Some(step) = root.get("RefDot").or_else(|| root.get("RefBrack")) {
        root = &step["refr"];
    }
    place(&root["Var"]["span"])
}

/// What kind of expression a node is, and its fields.
pub(crate) fn variant(node: &Value) -> Option<(&str, &Value)> {
    let (kind, fields) = node.as_object()?.iter().next()?;
    fields.is_object().then_some((kind.as_str(), fields))
}

/// Nodes right below a node.
pub(crate) fn children(node: &Value) -> impl Iterator<Item = &Value> {
    let items = node.as_array().into_iter().flatten();
    items.chain(node.as_object().into_iter().flat_map(|fields| fields.values()))
}

pub(crate) fn place(span: &Value) -> Place {
    let number = |name: &str| {
        span[name]
            .as_u64()
            .and_then(|number| usize::try_from(number).ok())
            .unwrap_or_default()
    };
    Place {
        start: number("start"),
        end: number("end"),
        line: number("line"),
        column: number("col"),
    }
}
