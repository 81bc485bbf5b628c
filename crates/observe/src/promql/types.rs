//! Which types go together: what Prometheus refuses of an expression that reads well.

use super::Wrong;
use super::ast::{Binary, Expr, Node, Span};
use super::functions::{Type, aggregation, function};
use super::lex::{ANY, wrong};

fn refused(span: Span, message: String) -> Wrong {
    Wrong {
        is_type: true,
        ..wrong(span, message)
    }
}

/// The type of an expression.
pub(super) fn check(expr: &Expr) -> Result<Type, Wrong> {
    match &expr.node {
        Node::Number(_) => Ok(Type::Scalar),
        Node::Text(_) => Ok(Type::Text),
        Node::Variable => Ok(Type::Any),
        Node::Paren(inner) => check(inner),
        Node::Selector(selector) => match selector.range {
            Some(_) => Ok(Type::Matrix),
            None => Ok(Type::Vector),
        },
        Node::Subquery(subquery) => {
            expect(&subquery.expr, Type::Vector, "a subquery")?;
            Ok(Type::Matrix)
        }
        Node::Unary(_, inner) => {
            let of = check(inner)?;
            match of {
                Type::Scalar | Type::Vector | Type::Any => Ok(of),
                _ => Err(refused(inner.span, format!("a sign stands before {}", of.name()))),
            }
        }
        Node::Aggregate(aggregate) => {
            expect(&aggregate.expr, Type::Vector, &format!("`{}`", aggregate.op))?;
            let wanted = aggregation(aggregate.op).and_then(|(_, wanted)| wanted);
            if let (Some(param), Some(wanted)) = (&aggregate.param, wanted) {
                expect(param, wanted, &format!("`{}`", aggregate.op))?;
            }
            Ok(Type::Vector)
        }
        Node::Call(call) => {
            let function = call.function;
            let (given, all) = (call.args.len(), function.args.len());
            let least = all.saturating_sub(usize::from(function.optional.unsigned_abs()));
            if given < least || (function.optional >= 0 && given > all) {
                let wanted = match (least == all, function.optional < 0) {
                    (_, true) => format!("at least {least}"),
                    (true, _) => all.to_string(),
                    (false, _) => format!("{least} to {all}"),
                };
                let plural = if wanted == "1" { "" } else { "s" };
                return Err(refused(
                    expr.span,
                    format!("`{}` takes {wanted} argument{plural}, not {given}", function.name),
                ));
            }
            for (index, arg) in call.args.iter().enumerate() {
                if let Some(wanted) = function.args.get(index).or(function.args.last()) {
                    expect(arg, *wanted, &format!("`{}`", function.name))
                        .map_err(|error| with_fix(error, function.name, arg, *wanted))?;
                }
            }
            texts_of_call(call.function.name, &call.args)?;
            Ok(function.gives)
        }
        Node::Binary(binary) => check_binary(binary),
    }
}

/// The fix of the most frequent mistakes: a function of ranges over a vector, and the other way around.
fn with_fix(mut error: Wrong, name: &str, arg: &Expr, wanted: Type) -> Wrong {
    let is_selector = matches!(arg.inner().node, Node::Selector(_));
    let over_time = format!("{name}_over_time");
    let fix = match (wanted, is_selector) {
        (Type::Matrix, true) => "write a range after the selector, such as `[5m]`".to_owned(),
        (Type::Matrix, false) => format!(
            "take `{name}` of the selector first and aggregate its result, or write a subquery such as `[1h:1m]`"
        ),
        (Type::Vector, true) if function(&over_time).is_some() => {
            format!("leave out the range, or write `{over_time}`")
        }
        (Type::Vector, true) => {
            "leave out the range, or write `rate` or a function such as `avg_over_time` around it".to_owned()
        }
        _ => return error,
    };
    error.fix = Some(fix);
    error
}

fn expect(expr: &Expr, wanted: Type, of: &str) -> Result<(), Wrong> {
    let is = check(expr)?;
    if is == wanted || is == Type::Any {
        return Ok(());
    }
    let mut error = refused(
        expr.span,
        format!("{of} takes {} here, not {}", wanted.name(), is.name()),
    );
    if wanted == Type::Vector && is == Type::Matrix && of.starts_with('`') {
        error.fix = Some("write `rate` or a function such as `avg_over_time` around the range".to_owned());
    }
    Err(error)
}

/// What Prometheus refuses of the texts that a function is given.
fn texts_of_call(function: &str, args: &[Expr]) -> Result<(), Wrong> {
    let Some(Node::Text(regex)) = args.get(4).map(|arg| &arg.inner().node) else {
        return Ok(());
    };
    let goes_on = regex.contains(ANY) || regex.contains(r"\Q");
    if function == "label_replace" && !goes_on && crate::catalogue::syntax(regex).is_err() {
        return Err(refused(args[4].span, format!("`{regex}` is not a regular expression")));
    }
    Ok(())
}

fn check_binary(binary: &Binary) -> Result<Type, Wrong> {
    let (left, right) = (check(&binary.left)?, check(&binary.right)?);
    let op = binary.op;
    if binary.gives_bool && !op.is_comparison() {
        return Err(refused(
            binary.op_span,
            format!("`bool` can only follow a comparison, not `{}`", op.text()),
        ));
    }
    for (of, side) in [(left, &binary.left), (right, &binary.right)] {
        if matches!(of, Type::Text | Type::Matrix) {
            let mut error = refused(
                side.span,
                format!("`{}` takes numbers and instant vectors, not {}", op.text(), of.name()),
            );
            if of == Type::Matrix {
                error.fix = Some("write a function such as `rate` or `avg_over_time` around the range".to_owned());
            }
            return Err(error);
        }
    }
    if op.is_comparison() && left == Type::Scalar && right == Type::Scalar && !binary.gives_bool {
        let mut error = refused(binary.op_span, "two numbers are compared".to_owned());
        error.fix = Some(format!("write `{} bool`", op.text()));
        return Err(error);
    }
    let vectors = left != Type::Scalar && right != Type::Scalar;
    if op.is_set() && !vectors {
        return Err(refused(
            binary.op_span,
            format!("`{}` takes vectors, not numbers", op.text()),
        ));
    }
    if let Some(matching) = &binary.matching {
        let is_empty = matching.labels.is_empty() && !matching.open;
        // Prometheus takes an empty list beside a number, and does nothing with it.
        if !vectors && !is_empty {
            return Err(refused(
                matching.span,
                "labels can only be matched between two vectors".to_owned(),
            ));
        }
        if vectors && op.is_set() && matching.group.is_some() {
            return Err(refused(matching.span, format!("`{}` takes no group", op.text())));
        }
        let twice = matching
            .include
            .iter()
            .find(|(label, _)| matching.on && matching.labels.iter().any(|(on, _)| on == label));
        if let Some((label, span)) = twice {
            return Err(refused(*span, format!("`{label}` stands in `on` and in the group")));
        }
    }
    Ok(match (left, right) {
        (Type::Scalar, Type::Scalar) => Type::Scalar,
        (Type::Any, Type::Any | Type::Scalar) | (Type::Scalar, Type::Any) => Type::Any,
        _ => Type::Vector,
    })
}
