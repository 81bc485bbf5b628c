use super::*;

fn tree(text: &str) -> String {
    fn show(expr: &Expr) -> String {
        match &expr.node {
            Node::Binary(binary) => format!("({} {} {})", show(&binary.left), binary.op.text(), show(&binary.right)),
            Node::Unary(true, inner) => format!("-{}", show(inner)),
            Node::Unary(false, inner) | Node::Paren(inner) => show(inner),
            Node::Number(value) => value.to_string(),
            Node::Selector(selector) => selector.name.as_ref().map_or("{}".to_owned(), |(name, _)| name.clone()),
            Node::Call(call) => format!(
                "{}({})",
                call.function.name,
                call.args.iter().map(show).collect::<Vec<_>>().join(",")
            ),
            Node::Aggregate(aggregate) => format!("{}({})", aggregate.op, show(&aggregate.expr)),
            Node::Subquery(subquery) => format!("{}[:]", show(&subquery.expr)),
            Node::Text(text) => format!("{text:?}"),
            Node::Variable => "$".to_owned(),
        }
    }
    show(&parse(text, Variables::None).unwrap())
}

#[test]
fn operators_bind_as_in_prometheus() {
    let table = [
        ("1 + 2 * 3", "(1 + (2 * 3))"),
        ("2 ^ 3 ^ 2", "(2 ^ (3 ^ 2))"),
        ("-1 ^ 2", "-(1 ^ 2)"),
        ("-a * b", "(-a * b)"),
        ("a or b and c unless d", "(a or ((b and c) unless d))"),
        ("a > b == bool c", "((a > b) == c)"),
        ("a - b - c", "((a - b) - c)"),
        ("sum by (x) (a) / on (x) sum(b) by (x)", "(sum(a) / sum(b))"),
        ("max_over_time(rate(a[5m])[1h:]) offset 5m", ""),
    ];
    for (text, expected) in table {
        match expected {
            "" => assert!(parse(text, Variables::None).is_err(), "{text}"),
            _ => assert_eq!(tree(text), expected, "{text}"),
        }
    }
}

#[test]
fn wrong_expressions_have_their_place() {
    // text, place of what is wrong, part of the message
    let table = [
        ("sum(rate(a[5m])", "", "`)` is missing"),
        ("rate(a)", "a", "a range vector here, not an instant vector"),
        ("abs(a[5m])", "a[5m]", "an instant vector here, not a range vector"),
        ("a{b=c}", "c", "a text in quotes"),
        ("a{b==\"c\"}", "==", "does not compare labels"),
        ("summ(a)", "summ", "no function `summ`"),
        ("a and 1", "and", "takes vectors"),
        ("1 > 2", ">", "two numbers"),
        ("a + bool b", "+", "`bool` can only follow"),
        ("{a=~\".*\"}", "{a=~\".*\"}", "everything"),
        ("a{b=~\"(\"}", "\"(\"", "not a regular expression"),
        ("a[5m", "", "`]` is missing"),
        ("a[5x]", "5x", "not a number or a duration"),
        ("sum(a)[5m]", "[", "can only follow a selector"),
        ("a offset 5m [5m]", "[", "stands before"),
        ("topk(a)", "(", "takes 2 arguments"),
        (
            "histogram_quantile(a)",
            "histogram_quantile(a)",
            "takes 2 arguments, not 1",
        ),
        ("a{__name__=\"b\"}", "a{__name__=\"b\"}", "given twice"),
        ("a / on (b) group_left (b) c", "b", "stands in `on`"),
        ("a & b", "&", "not expected"),
        ("", "", "no expression"),
        ("a b", "b", "not expected"),
        ("a{b=\"\\d\"}", "\\d", "not an escape"),
        ("a{b=~\"x**\"}", "\"x**\"", "repeats a repetition"),
        ("atan2", "atan2", "no metric has this name"),
        ("inf{a=\"b\"}", "{", "not expected"),
        ("sum by (nan) (a)", "nan", "a label's name"),
        ("sum by (without) (a)", "without", "a label's name"),
        ("a[-5m]", "-", "a duration is expected"),
        ("a[5m:0s]", "[", "longer than nothing"),
        ("a @ -start()", "start", "a time, `start()` or `end()`"),
        ("a @ 1e30", "1e30", "a time, `start()` or `end()`"),
        ("1 + on (b) a", "on (b)", "between two vectors"),
        ("a + 0x1_0", "0x1_0", "not a number"),
    ];
    for (text, place, message) in table {
        let error = parse(text, Variables::None).unwrap_err();
        assert!(error.message.contains(message), "{text}: {error}");
        assert_eq!(&text[error.span.start..error.span.end], place, "{text}: {error}");
    }
}

#[test]
fn variables_of_dashboards_stand_where_values_do() {
    for text in [
        r#"rate(a{b="$b", c=~"${c:regex}", d=~"x-[[d]]-.*"}[$__rate_interval])"#,
        "topk($k, sum by ($by) (a))",
        "a > $threshold",
        "metrics_${namespace}_driver_jvm_heap_used_Value",
        "$metric{a=\"b\"}",
        "sum(increase(a[${range}m])) by (b, $c)",
        "a[[[range]]]",
        "$function(a)",
        "a{$filter}",
        "${query}",
        "a offset $shift",
        "a[5m:$step]",
    ] {
        parse(text, Variables::Grafana).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert!(
            parse(text, Variables::None).is_err() || text.starts_with("rate"),
            "{text}"
        );
    }
}

#[test]
fn the_syntax_of_prometheus_3_is_read() {
    for text in [
        r#"{"my.metric", "a.b"="c"}"#,
        r#"sum by ("a.b") ({"my.metric"})"#,
        "rate(a[300])",
        "a offset -5m",
        "a @ end()",
        "a @ 1609746000 offset 5m",
        "histogram_quantile(0.9, rate(a[5m]))",
        "limitk(2, a)",
        "sort_by_label(a, \"b\", \"c\")",
        "0x1F + 1e-3 + .5 + Inf + NaN",
        "sum{sum=\"sum\"}",
        "a # a comment",
        "time() - 5m",
        "days_in_month()",
        "a @ START()",
        "a + :",
        "1 + on () a",
        "a{b=~\"x{\"}",
        "rate((a[5m]))",
    ] {
        parse(text, Variables::None).unwrap_or_else(|error| panic!("{text}: {error}"));
    }
}

mod any {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn text_is_answered(text in "\\PC{0,60}") {
            for variables in [Variables::None, Variables::Grafana] {
                if let Err(error) = parse(&text, variables) {
                    prop_assert!(error.span.start <= error.span.end && error.span.end <= text.len());
                    prop_assert!(text.is_char_boundary(error.span.start) && text.is_char_boundary(error.span.end), "{:?}", error);
                }
            }
        }

        #[test]
        fn tokens_in_any_order_are_answered(words in proptest::collection::vec(proptest::sample::select(vec![
            "a", "sum", "by", "(", ")", "{", "}", "[", "]", "5m", ":", ",", "=", "=~", "\"x\"", "+", "-", "^", "and", "on", "group_left", "offset", "@", "1",
            "rate", "bool", ">", "$v", "[[v]]", "${v}", "end", "topk", "'é'", "__name__", "#", "\n",
        ]), 0..30)) {
            let text = words.join(" ");
            let _ = parse(&text, Variables::None);
            let _ = parse(&text, Variables::Grafana);
            let _ = parse(&words.concat(), Variables::Grafana);
        }
    }
}
