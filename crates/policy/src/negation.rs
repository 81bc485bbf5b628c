//! What stands below `not` is evaluated before: `not startswith(lower(x), "a")` is `y := lower(x); not startswith(y, "a")`.
//!
//! So OPA compiles it, and so a body is undefined where `x` is not there. The interpreter asks for the whole at once, and finds that it does not hold:
//! a rule fires, or a helper allows, where OPA has it otherwise. The texts that the interpreter gets are therefore written as OPA compiles them. Lines
//! stay where they are.
//!
//! What is evaluated before are the arguments of calls and operators; of `==` and `=` only those that are more than a reference.

use serde_json::Value;
use stoke_diagnostics::Source;

use crate::ast::{self, children, variant};

/// A literal with `not` and what of it is evaluated before; places are bytes of the text.
#[derive(Clone, Debug)]
pub(crate) struct Negation {
    start: usize,
    end: usize,
    /// True when it is a body without braces.
    is_bare: bool,
    /// From the first `with` to the end of the last.
    with: Option<(usize, usize)>,
    before: Vec<(usize, usize)>,
}

/// All of a syntax tree, in the order of the text.
pub(crate) fn negations(tree: &Value, source: &Source) -> Vec<Negation> {
    let mut found = Vec::new();
    collect(tree, source, &mut found);
    found.sort_by_key(|negation| (negation.start, std::cmp::Reverse(negation.end)));
    found
}

fn collect(node: &Value, source: &Source, found: &mut Vec<Negation>) {
    if let Some(statements) = node.get("stmts").and_then(Value::as_array) {
        let start = ast::place(&node["span"]).start;
        for statement in statements {
            found.extend(negation(statement, source, start));
        }
    }
    children(node).for_each(|child| collect(child, source, found));
}

fn negation(statement: &Value, source: &Source, query: usize) -> Option<Negation> {
    let literal = statement["literal"].get("NotExpr")?;
    let mut before = Vec::new();
    operands(&literal["expr"], source, &mut before);
    if before.is_empty() {
        return None;
    }
    let place = ast::place(&literal["span"]);
    let with = statement["with_mods"].as_array().filter(|with| !with.is_empty());
    let with = with.and_then(|with| {
        let start = ast::place(&with.first()?["span"]).start;
        Some((start, span(&with.last()?["as"], source)?.1))
    });
    Some(Negation {
        start: place.start,
        end: with.map_or(place.end, |(_, end)| end),
        is_bare: place.start == query,
        with,
        before,
    })
}

/// Expressions that are evaluated before the one they are part of.
fn operands(expression: &Value, source: &Source, before: &mut Vec<(usize, usize)>) {
    let Some((kind, fields)) = variant(expression) else {
        return;
    };
    match kind {
        "Call" => {
            for argument in fields["params"].as_array().into_iter().flatten() {
                hoist(argument, source, before);
            }
        }
        "BoolExpr" if fields["op"] == "Eq" => sides(fields, source, before),
        "AssignExpr" => sides(fields, source, before),
        "BoolExpr" | "ArithExpr" | "BinExpr" => {
            hoist(&fields["lhs"], source, before);
            hoist(&fields["rhs"], source, before);
        }
        "Membership" => {
            for name in ["key", "value", "collection"] {
                hoist(&fields[name], source, before);
            }
        }
        "UnaryExpr" => hoist(&fields["expr"], source, before),
        "RefBrack" | "RefDot" => steps(expression, source, before),
        _ => {}
    }
}

/// Both sides of an equation: references stay, since what is not there is not equal.
fn sides(fields: &Value, source: &Source, before: &mut Vec<(usize, usize)>) {
    for side in [&fields["lhs"], &fields["rhs"]] {
        match variant(side) {
            Some(("RefBrack" | "RefDot", _)) => steps(side, source, before),
            Some(("Var", _)) | None => {}
            Some(_) => hoist(side, source, before),
        }
    }
}

/// What is in the brackets of a reference, and what it begins with.
fn steps(reference: &Value, source: &Source, before: &mut Vec<(usize, usize)>) {
    let mut node = reference;
    while let Some((kind @ ("RefBrack" | "RefDot"), fields)) = variant(node) {
        if kind == "RefBrack" && !matches!(variant(&fields["index"]), Some(("Var", _))) {
            hoist(&fields["index"], source, before);
        }
        node = &fields["refr"];
    }
    if !matches!(variant(node), Some(("Var", _))) {
        hoist(node, source, before);
    }
}

fn hoist(expression: &Value, source: &Source, before: &mut Vec<(usize, usize)>) {
    match variant(expression) {
        Some(("Var", fields)) if fields["value"] == "_" => {}
        Some(_) if !is_constant(expression) => before.extend(span(expression, source)),
        _ => {}
    }
}

fn is_constant(expression: &Value) -> bool {
    match variant(expression) {
        Some(("String" | "RawString" | "Number" | "Bool" | "Null", _)) => true,
        Some(("Array" | "Set", fields)) => fields["items"]
            .as_array()
            .is_some_and(|items| items.iter().all(is_constant)),
        Some(("Object", fields)) => {
            let fields = fields["fields"].as_array().into_iter().flatten();
            fields
                .flat_map(children)
                .all(|part| part.get("start").is_some() || is_constant(part))
        }
        _ => false,
    }
}

/// From where to where an expression goes.
fn span(expression: &Value, source: &Source) -> Option<(usize, usize)> {
    let (kind, fields) = variant(expression)?;
    let place = ast::place(&fields["span"]);
    let mut start = place.start;
    if kind == "Object" {
        // The interpreter has the start of the first value there; line and column are right.
        start = crate::problem::place(source, place.line, place.column).start;
    }
    if matches!(kind, "String" | "RawString") {
        // Without the quotes.
        return Some((start.checked_sub(1)?, place.end + 1));
    }
    Some((start, place.end))
}

/// The text with everything evaluated in OPA's order. `text` has the places of the tree; what is within `left_out` stays as it is.
pub(crate) fn eager(text: &str, negations: &[Negation], left_out: &[(usize, usize)]) -> String {
    let is_left_out = |negation: &&Negation| {
        left_out
            .iter()
            .any(|(start, end)| *start <= negation.start && negation.end <= *end)
    };
    let kept: Vec<&Negation> = negations.iter().filter(|negation| !is_left_out(negation)).collect();
    if kept.is_empty() {
        return text.to_owned();
    }
    let mut names = 0;
    render(text, 0, text.len(), &kept, &[], &mut names)
}

/// A part of the text; `replaced` has names for some places of it.
fn render(
    text: &str,
    start: usize,
    end: usize,
    negations: &[&Negation],
    replaced: &[(usize, usize, String)],
    names: &mut usize,
) -> String {
    let mut out = String::new();
    let mut at = start;
    while at < end {
        let next_name = replaced
            .iter()
            .filter(|(from, _, _)| *from >= at)
            .min_by_key(|(from, _, _)| *from);
        let next = negations
            .iter()
            .filter(|negation| negation.start >= at && negation.end <= end)
            .min_by_key(|negation| (negation.start, std::cmp::Reverse(negation.end)));
        match (next_name, next) {
            (Some((from, to, name)), next) if next.is_none_or(|negation| *from <= negation.start) => {
                out.push_str(text.get(at..*from).unwrap_or_default());
                out.push_str(name);
                at = *to;
            }
            (_, Some(negation)) => {
                out.push_str(text.get(at..negation.start).unwrap_or_default());
                out.push_str(&statement(text, negation, negations, names));
                at = negation.end;
            }
            _ => break,
        }
    }
    out.push_str(text.get(at..end).unwrap_or_default());
    out
}

/// One literal, and before it what it needs.
fn statement(text: &str, negation: &Negation, negations: &[&Negation], names: &mut usize) -> String {
    let within: Vec<&Negation> = negations
        .iter()
        .filter(|other| !std::ptr::eq(**other, negation))
        .copied()
        .collect();
    let with = negation.with.and_then(|(start, end)| text.get(start..end));
    let with = with.map_or_else(String::new, |with| format!(" {with}"));
    let mut out = String::new();
    let mut replaced = Vec::new();
    for (start, end) in &negation.before {
        let name = format!("stoke_before_{names}");
        *names += 1;
        let value = render(text, *start, *end, &within, &[], names);
        out.push_str(&format!("{name} := {value}{with}; "));
        replaced.push((*start, *end, name));
    }
    out.push_str(&render(text, negation.start, negation.end, &within, &replaced, names));
    if negation.is_bare { format!("{{ {out} }}") } else { out }
}
