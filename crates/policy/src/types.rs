//! Kinds of values that can be told without evaluating: `upper(1)` is undefined for everybody, and a rule with it never fires.
//!
//! OPA refuses such modules. Told are: arguments of builtins that are of another kind than they take, equality of values that are never of one kind,
//! operators on what is not a number (or set), and steps into what has no such part. What comes out of `input`, `data` and functions may be anything.
//!
//! Source of the builtins' types: `signatures.tsv`, which `scripts/record-opa` writes.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value;

use crate::ast::{self, Kind, children, variant};
use crate::module::Module;
use crate::problem::{Problem, at};

/// Kinds of values, a bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kinds(u8);

const NAMES: [&str; 7] = ["null", "boolean", "number", "string", "array", "object", "set"];
const ANY: Kinds = Kinds(0x7f);
const BOOLEAN: Kinds = Kinds(1 << 1);
const NUMBER: Kinds = Kinds(1 << 2);
const STRING: Kinds = Kinds(1 << 3);
const ARRAY: Kinds = Kinds(1 << 4);
const OBJECT: Kinds = Kinds(1 << 5);
const SET: Kinds = Kinds(1 << 6);

impl Kinds {
    fn read(text: &str) -> Self {
        let bits = text
            .split('|')
            .map(|name| NAMES.iter().position(|known| *known == name).map(|at| 1 << at));
        bits.sum::<Option<u8>>().map_or(ANY, Kinds)
    }

    fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl std::fmt::Display for Kinds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = NAMES.iter().enumerate().filter(|(at, _)| self.0 & 1 << at != 0);
        f.write_str(&names.map(|(_, name)| *name).collect::<Vec<_>>().join(" or "))
    }
}

/// What a builtin takes and gives.
struct Signature {
    arguments: Vec<Kinds>,
    result: Kinds,
}

static SIGNATURES: LazyLock<BTreeMap<&str, Signature>> = LazyLock::new(|| {
    let lines = include_str!("signatures.tsv")
        .lines()
        .filter(|line| !line.starts_with('#'));
    let signature = |line: &'static str| {
        let mut columns = line.split('\t');
        let name = columns.next()?;
        let arguments = columns.next()?.split_whitespace().map(Kinds::read).collect();
        let result = Kinds::read(columns.next()?);
        Some((name, Signature { arguments, result }))
    };
    lines.filter_map(signature).collect()
});

/// What is known of a value.
#[derive(Clone, Debug)]
struct Type {
    kinds: Kinds,
    /// Parts of an object or array whose parts are all known.
    parts: Option<BTreeMap<String, Type>>,
}

impl From<Kinds> for Type {
    fn from(kinds: Kinds) -> Self {
        Self { kinds, parts: None }
    }
}

type Names = BTreeMap<String, Type>;

/// How far names of rules are followed.
const MAX_DEPTH: usize = 8;

/// Everything that cannot be, by kinds.
pub(crate) fn problems(modules: &[Module]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for module in modules {
        let mut check = Check {
            modules,
            module,
            problems: Vec::new(),
        };
        for rule in module.facts.tree["rules"].as_array().into_iter().flatten() {
            let mut names = Names::new();
            let arguments = rule["Spec"]["head"]["Func"]["args"].as_array();
            arguments
                .into_iter()
                .flatten()
                .for_each(|argument| variables(argument, &mut names));
            if let Some(bodies) = rule["Spec"]["bodies"].as_array() {
                for body in bodies {
                    let mut inner = names.clone();
                    check.query(&body["query"], &mut inner);
                    check.walk(&body["assign"], &inner);
                    if bodies.len() == 1 {
                        check.head(rule, &inner);
                    }
                }
                if bodies.is_empty() {
                    check.head(rule, &names);
                }
            }
        }
        problems.append(&mut check.problems);
    }
    problems
}

/// Variables of a pattern: they may be anything.
fn variables(node: &Value, names: &mut Names) {
    if let Some(("Var", fields)) = variant(node) {
        names.extend(fields["value"].as_str().map(|name| (name.to_owned(), ANY.into())));
    }
    children(node).for_each(|child| variables(child, names));
}

struct Check<'a> {
    modules: &'a [Module],
    module: &'a Module,
    problems: Vec<Problem>,
}

impl Check<'_> {
    fn tell(&mut self, node: &Value, message: String) {
        let place = ast::place(&variant(node).map_or(&Value::Null, |(_, fields)| fields)["span"]);
        let problem = at(&self.module.source, place, "rego-type", message);
        self.problems
            .push(problem.with_fix("OPA refuses this too: it is undefined for every input"));
    }

    /// What a head says of the rule, apart from its name.
    fn head(&mut self, rule: &Value, names: &Names) {
        if let Some((_, head)) = variant(&rule["Spec"]["head"]) {
            for part in ["key", "value", "assign"] {
                self.walk(&head[part], names);
            }
        }
    }

    /// A body, whose variables are put to the names.
    fn query(&mut self, query: &Value, names: &mut Names) {
        for statement in query["stmts"].as_array().into_iter().flatten() {
            let literal = &statement["literal"];
            if let Some(("SomeVars", fields)) = variant(literal) {
                for declared in fields["vars"].as_array().into_iter().flatten() {
                    let place = ast::place(declared);
                    let name = self.module.source.text().get(place.start..place.end);
                    names.extend(name.map(|name| (name.to_owned(), ANY.into())));
                }
            }
            if let Some(("SomeIn", fields)) = variant(literal) {
                variables(&fields["key"], names);
                variables(&fields["value"], names);
            }
            if let Some(("AssignExpr", fields)) = variant(&literal["Expr"]["expr"])
                && fields["op"] == "ColEq"
            {
                match variant(&fields["lhs"]) {
                    Some(("Var", variable)) => {
                        let known = self.infer(&fields["rhs"], names, 0);
                        names.extend(variable["value"].as_str().map(|name| (name.to_owned(), known)));
                    }
                    _ => variables(&fields["lhs"], names),
                }
            }
        }
        for statement in query["stmts"].as_array().into_iter().flatten() {
            let literal = &statement["literal"];
            for form in ["Expr", "NotExpr"] {
                self.equality(&literal[form]["expr"], names);
            }
            self.walk(literal, names);
        }
    }

    /// An equality that is to hold, and never does. As a value it is just false.
    fn equality(&mut self, node: &Value, names: &Names) {
        let Some(("BoolExpr" | "AssignExpr", fields)) = variant(node) else {
            return;
        };
        if fields["op"] != "Eq" {
            return;
        }
        let [left, right] = ["lhs", "rhs"].map(|side| self.infer(&fields[side], names, 0).kinds);
        if !left.meets(right) {
            self.tell(node, format!("{left} is never equal to {right}"));
        }
    }

    /// A name of a function that is not called.
    fn variable(&mut self, node: &Value, fields: &Value, names: &Names) {
        let name = fields["value"].as_str().unwrap_or_default();
        let is_function = |module: &Module| {
            let same = module.facts.package == self.module.facts.package;
            let mut definitions = module.facts.definitions.iter();
            same && definitions.any(|definition| definition.kind == Kind::Function && definition.name == name)
        };
        if !names.contains_key(name) && self.modules.iter().any(is_function) {
            self.tell(node, format!("`{name}` is a function, and is not called"));
        }
    }

    /// Looks at every expression below a node.
    fn walk(&mut self, node: &Value, names: &Names) {
        if node.get("stmts").is_some() {
            self.query(node, &mut names.clone());
            return;
        }
        match variant(node) {
            Some(("ArrayCompr" | "SetCompr" | "ObjectCompr", fields)) => {
                let mut inner = names.clone();
                self.query(&fields["query"], &mut inner);
                for term in ["term", "key", "value"] {
                    self.walk(&fields[term], &inner);
                }
                return;
            }
            Some(("Every", fields)) => {
                self.walk(&fields["domain"], names);
                let mut inner = names.clone();
                for declared in [&fields["key"], &fields["value"]] {
                    let place = ast::place(declared);
                    let name = self.module.source.text().get(place.start..place.end);
                    inner.extend(name.map(|name| (name.to_owned(), ANY.into())));
                }
                self.query(&fields["query"], &mut inner);
                return;
            }
            Some(("Call", fields)) => {
                self.call(node, fields, names);
                children(&fields["params"]).for_each(|argument| self.walk(argument, names));
                return;
            }
            Some(("Var", fields)) => self.variable(node, fields, names),
            Some(("ArithExpr", fields)) => {
                let takes = if fields["op"] == "Sub" { NUMBER.or(SET) } else { NUMBER };
                self.operands(fields, takes, names);
            }
            Some(("BinExpr", fields)) => self.operands(fields, SET, names),
            Some(("RefDot" | "RefBrack", fields)) => {
                let base = self.infer(&fields["refr"], names, 0);
                self.step(node, &base);
            }
            _ => {}
        }
        children(node).for_each(|child| self.walk(child, names));
    }

    fn operands(&mut self, fields: &Value, takes: Kinds, names: &Names) {
        for side in [&fields["lhs"], &fields["rhs"]] {
            let kinds = self.infer(side, names, 0).kinds;
            if !kinds.meets(takes) {
                self.tell(side, format!("the operator takes {takes}, and this is {kinds}"));
            }
        }
    }

    fn call(&mut self, node: &Value, fields: &Value, names: &Names) {
        let Some((name, signature)) = self.builtin(&fields["fcn"]) else {
            return;
        };
        let given = fields["params"].as_array().map_or(0, Vec::len);
        let takes = signature.arguments.len();
        // One more takes the result.
        if given != takes && given != takes + 1 && !matches!(name.as_str(), "print" | "walk") {
            self.tell(
                &fields["fcn"],
                format!("`{name}` takes {takes} arguments, and has {given}"),
            );
            return;
        }
        let arguments = fields["params"].as_array().into_iter().flatten();
        for (argument, takes) in arguments.zip(signature.arguments.iter().chain([&signature.result])) {
            let kinds = self.infer(argument, names, 0).kinds;
            if !kinds.meets(*takes) {
                let message = format!("`{name}` takes {takes} here, and this is {kinds}");
                self.tell(if variant(argument).is_some() { argument } else { node }, message);
            }
        }
    }

    /// The builtin that a name of a function leads to, unless a module has its own of that name.
    fn builtin(&self, function: &Value) -> Option<(String, &'static Signature)> {
        let path = ast::path(function)?;
        let first = path.first()?;
        let name = path.join(".");
        let own = |module: &Module| {
            let same = module.facts.package == self.module.facts.package;
            same && module
                .facts
                .definitions
                .iter()
                .any(|definition| definition.name == name)
        };
        if self.module.facts.imports.contains_key(first) || self.modules.iter().any(own) {
            return None;
        }
        let signature = SIGNATURES.get(name.as_str())?;
        Some((name, signature))
    }

    /// One step into a value: a problem when it has no such part.
    fn step(&mut self, node: &Value, base: &Type) {
        if !base.kinds.meets(ARRAY.or(OBJECT).or(SET)) {
            self.tell(node, format!("{} has no parts", base.kinds));
            return;
        }
        let (Some(parts), Some(key)) = (&base.parts, key(node)) else {
            return;
        };
        if !parts.contains_key(&key) {
            self.tell(node, format!("there is never a part {key} in this"));
        }
    }

    fn infer(&self, node: &Value, names: &Names, depth: usize) -> Type {
        let Some((kind, fields)) = variant(node) else {
            return ANY.into();
        };
        if depth > MAX_DEPTH {
            return ANY.into();
        }
        match kind {
            "Null" => Kinds(1).into(),
            "Bool" | "Membership" | "BoolExpr" => BOOLEAN.into(),
            "Number" | "UnaryExpr" => NUMBER.into(),
            "String" | "RawString" => STRING.into(),
            "Set" | "SetCompr" | "BinExpr" => SET.into(),
            "ArrayCompr" => ARRAY.into(),
            "ObjectCompr" => OBJECT.into(),
            "Array" => {
                let items = fields["items"].as_array().into_iter().flatten().enumerate();
                let items = items.map(|(at, item)| (at.to_string(), self.infer(item, names, depth + 1)));
                Type {
                    kinds: ARRAY,
                    parts: Some(items.collect()),
                }
            }
            "Object" => {
                let fields = fields["fields"].as_array().into_iter().flatten();
                let part = |field: &Value| {
                    let name = field[1]["String"]["value"].as_str()?;
                    Some((Value::from(name).to_string(), self.infer(&field[2], names, depth + 1)))
                };
                Type {
                    kinds: OBJECT,
                    parts: fields.map(part).collect(),
                }
            }
            "ArithExpr" if fields["op"] == "Sub" => {
                let sides = [&fields["lhs"], &fields["rhs"]].map(|side| self.infer(side, names, depth + 1).kinds);
                match sides {
                    [left, right] if left == NUMBER || right == NUMBER => NUMBER.into(),
                    [left, right] if left == SET || right == SET => SET.into(),
                    _ => NUMBER.or(SET).into(),
                }
            }
            "ArithExpr" => NUMBER.into(),
            "Call" => self
                .builtin(&fields["fcn"])
                .map_or(ANY, |(_, signature)| signature.result)
                .into(),
            "Var" => {
                let name = fields["value"].as_str().unwrap_or_default();
                match names.get(name) {
                    Some(known) => known.clone(),
                    None => self.rule(name, depth + 1),
                }
            }
            "RefDot" | "RefBrack" => {
                let base = self.infer(&fields["refr"], names, depth + 1);
                let part = base
                    .parts
                    .zip(key(node))
                    .and_then(|(parts, key)| parts.get(&key).cloned());
                part.unwrap_or_else(|| ANY.into())
            }
            _ => ANY.into(),
        }
    }

    /// What a rule of this package may be.
    fn rule(&self, name: &str, depth: usize) -> Type {
        let mut known: Option<Type> = None;
        let same = |module: &&Module| module.facts.package == self.module.facts.package;
        let rules = self.modules.iter().filter(same);
        let rules = rules.flat_map(|module| module.facts.tree["rules"].as_array().into_iter().flatten());
        for rule in rules {
            for value in values(rule, name) {
                let value = match value {
                    Defined::As(value) => self.infer(value, &locals(rule), depth),
                    Defined::Kinds(kinds) => kinds.into(),
                };
                known = Some(match known {
                    None => value,
                    Some(known) => known.kinds.or(value.kinds).into(),
                });
            }
        }
        known.unwrap_or_else(|| ANY.into())
    }
}

/// All variables of a rule, which may be anything when it is looked at from outside.
fn locals(rule: &Value) -> Names {
    let mut names = Names::new();
    variables(&rule["Spec"]["bodies"], &mut names);
    names
}

/// What a definition makes of a rule.
enum Defined<'a> {
    As(&'a Value),
    Kinds(Kinds),
}

/// What a rule is by one of its definitions; nothing for definitions of other rules.
fn values<'a>(rule: &'a Value, name: &str) -> Vec<Defined<'a>> {
    let named =
        |refr: &Value| ast::static_prefix(refr).is_some_and(|path| path.first().is_some_and(|first| first == name));
    if let Some(default) = rule.get("Default") {
        return if named(&default["refr"]) {
            vec![Defined::As(&default["value"])]
        } else {
            vec![]
        };
    }
    let Some((form, head)) = variant(&rule["Spec"]["head"]) else {
        return vec![];
    };
    if !named(&head["refr"]) {
        return vec![];
    }
    if form == "Set" {
        // Of `a.b contains x` the rule `a` is an object.
        let whole = variant(&head["refr"]).is_some_and(|(kind, _)| kind == "Var");
        return vec![Defined::Kinds(if whole { SET } else { ANY })];
    }
    if form != "Compr" || variant(&head["refr"]).is_none_or(|(kind, _)| kind != "Var") {
        return vec![Defined::Kinds(ANY)];
    }
    let bodies = rule["Spec"]["bodies"].as_array().into_iter().flatten();
    let otherwise = bodies
        .filter(|body| body["is_else"] == true)
        .map(|body| &body["assign"]);
    let assigned = std::iter::once(&head["assign"]).chain(otherwise);
    let value = |assign: &'a Value| match assign.get("value") {
        Some(value) => Defined::As(value),
        None => Defined::Kinds(BOOLEAN),
    };
    assigned.map(value).collect()
}

/// The key of the last step of a reference when it is written out: `"a"`, or the number of an item.
fn key(node: &Value) -> Option<String> {
    let (kind, fields) = variant(node)?;
    if kind == "RefDot" {
        let name = fields["field"].as_array()?.last()?;
        return Some(name.to_string());
    }
    match variant(&fields["index"])? {
        ("String" | "RawString", index) => Some(index["value"].to_string()),
        ("Number", index) => Some(index["value"].to_string()),
        _ => None,
    }
}
