//! The meaning of Rego, probe by probe, as the language's documentation has it: what policies rely on when the interpreter changes.

use std::time::Duration;

use serde_json::{Value, json};
use stoke_diagnostics::Source;

use crate::module::Module;
use crate::unit::Unit;

/// What `data.p.x` of a module is for an input; `None` when it is undefined.
fn value(text: &str, input: Value) -> Result<Option<Value>, String> {
    let module = Module::parse(&Source::new("p.rego", text)).map_err(|problem| problem.message)?;
    let data = json!({"numbers": [1, 2, 3], "people": {"ann": {"age": 40}, "bob": {"age": 17}}});
    let unit =
        Unit::build(vec![module], data, Duration::from_secs(5)).map_err(|problems| problems[0].message.clone())?;
    let mut engine = unit.engine();
    engine.set_input(regorus::Value::from(input));
    match engine.eval_rule("data.p.x".to_owned()) {
        Ok(regorus::Value::Undefined) => Ok(None),
        Ok(value) => Ok(Some(serde_json::to_value(&value).unwrap())),
        Err(error) => Err(error.to_string()),
    }
}

#[track_caller]
fn probe(body: &str, expected: Value) {
    let text = format!("package p\n{body}");
    let input = json!({"name": "pi", "list": ["a", "b"], "empty": [], "zero": 0, "no": false, "nothing": null});
    let expected = (expected != json!("<undefined>")).then_some(expected);
    assert_eq!(value(&text, input), Ok(expected), "{body}");
}

fn undefined() -> Value {
    json!("<undefined>")
}

#[test]
fn rules() {
    // Complete rules, defaults and else.
    probe("x := 1", json!(1));
    probe("x if input.name == \"pi\"", json!(true));
    probe("x if input.name == \"other\"", undefined());
    probe("default x := false\nx if input.missing", json!(false));
    probe("default x := 5\nx := 7 if input.name", json!(7));
    probe("x := 1 if input.missing\nelse := 2 if input.name\nelse := 3", json!(2));
    probe("x := 1 if false\nelse := 2", json!(2));
    // Partial sets and objects.
    probe("x contains 2\nx contains 1\nx contains 2", json!([1, 2]));
    probe("x contains n if some n in data.numbers", json!([1, 2, 3]));
    probe("x contains n if { some n in data.numbers; n > 5 }", json!([]));
    probe(
        "x[name] := age if { some name; age := data.people[name].age }",
        json!({"ann": 40, "bob": 17}),
    );
    probe("y.a := 1\ny.b := 2\nx := y", json!({"a": 1, "b": 2}));
    probe("y.a.b := 1 if input.name\nx := y.a", json!({"b": 1}));
    // Several bodies are an or.
    probe("x if input.missing\nx if input.name", json!(true));
    // Definitions that agree are not a conflict.
    probe("x := 1\nx := 1", json!(1));
}

#[test]
fn conflicts_are_errors() {
    assert!(value("package p\nx := 1\nx := 2", json!({})).is_err());
    assert!(value("package p\nf(n) := 1\nf(n) := 2\nx := f(1)", json!({})).is_err());
}

#[test]
fn undefined_is_not_false() {
    probe("x := 1 if input.zero == 0", json!(1));
    // Only `false` and undefined stop a body: zero, null and emptiness do not.
    probe("x if input.zero", json!(true));
    probe("x if input.empty", json!(true));
    probe("x if input.nothing == null", json!(true));
    probe("x if input.no", undefined());
    probe("x if not input.no", json!(true));
    probe("x if not input.missing", json!(true));
    probe("x if not input.missing.deeper[3]", json!(true));
    probe("x if not input.name", undefined());
    probe("x := input.missing", undefined());
    probe("x := [input.missing]", undefined());
    probe("x if input.missing != 1", undefined());
    probe("x := {\"a\": input.missing}", undefined());
    probe("x := count(input.missing)", undefined());
}

#[test]
fn iteration() {
    probe("x contains v if v := input.list[_]", json!(["a", "b"]));
    probe("x contains i if input.list[i] == \"b\"", json!([1]));
    probe(
        "x contains [k, v.age] if some k, v in data.people",
        json!([["ann", 40], ["bob", 17]]),
    );
    probe("x if \"a\" in input.list", json!(true));
    probe("x if not \"c\" in input.list", json!(true));
    probe("x if 1, \"b\" in input.list", json!(true));
    probe("x := \"c\" in input.list", json!(false));
    probe("x if { some i; data.numbers[i] == 3; i == 2 }", json!(true));
    probe("x if { some i; i == 2; data.numbers[i] == 3 }", json!(true));
    // Every: of nothing it is true; an undefined domain makes it undefined.
    probe("x if every n in data.numbers { n > 0 }", json!(true));
    probe("x if every n in data.numbers { n > 1 }", undefined());
    probe("x if every n in input.empty { n > 1 }", json!(true));
    probe("x if every n in input.missing { n > 1 }", undefined());
    probe("x if every k, v in data.people { v.age > 10; k != \"\" }", json!(true));
}

#[test]
fn comprehensions() {
    probe("x := [m | some n in data.numbers; m := n * 2]", json!([2, 4, 6]));
    probe("x := {m | some n in data.numbers; m := n % 2}", json!([0, 1]));
    probe(
        "x := {k: v.age | some k, v in data.people}",
        json!({"ann": 40, "bob": 17}),
    );
    probe("x := [n | some n in data.numbers; n > 9]", json!([]));
    probe("x := {n | n := input.missing}", json!([]));
    probe(
        "x := [pair | some a in [1, 2]; some b in [3, 4]; pair := [a, b]]",
        json!([[1, 3], [1, 4], [2, 3], [2, 4]]),
    );
    probe("x := count({k | some k, v in data.people; v.age >= 18})", json!(1));
}

#[test]
fn functions() {
    probe("f(a, b) := a + b\nx := f(1, 2)", json!(3));
    // Without a value a function that holds is true: the reason why a comparison of two of them never fires.
    probe("f(a) if a > 1\nx := f(2)", json!(true));
    probe("f(a) if a > 1\nx := f(0)", undefined());
    probe("f(a) if { b := a; b }\nx if f(8) > f(4)", undefined());
    probe("f(\"a\") := 1\nf(\"b\") := 2\nx := f(\"b\")", json!(2));
    probe("f([a, b]) := b\nx := f([1, 2])", json!(2));
    probe(
        "f(n) := \"big\" if n > 10\nelse := \"small\"\nx := [f(11), f(1)]",
        json!(["big", "small"]),
    );
    probe(
        "default f(_) := 0\nf(n) := n if n > 10\nx := [f(11), f(1)]",
        json!([11, 0]),
    );
    assert!(
        value("package p\nf(n) := f(n - 1)\nx := f(3)", json!({}))
            .unwrap_err()
            .contains("calls itself")
    );
    assert!(
        value("package p\nf(n) := g(n)\ng(n) := f(n)\nx := f(3)", json!({}))
            .unwrap_err()
            .contains("calls itself")
    );
    assert!(value("package p\nx if y\ny if x", json!({})).is_err());
}

#[test]
fn with_replaces() {
    probe("y := input.a\nx := v if v := y with input as {\"a\": 7}", json!(7));
    probe(
        "y := input.name\nx := [y, z] if z := y with input.name as \"e\"",
        json!(["pi", "e"]),
    );
    probe(
        "y := data.numbers[0]\nx := v if v := y with data.numbers as [9]",
        json!(9),
    );
    probe("y if not input.a\nx if y with input as {}", json!(true));
    probe(
        "f(_) := 1\ng(_) := 2\ny := f(0)\nx := v if v := y with f as g",
        json!(2),
    );
    probe("y := count([1, 2])\nx := v if v := y with count as 5", json!(5));
    probe("x if not input.name with input as {}", json!(true));
}

#[test]
fn values() {
    probe("x := {1, 2} | {2, 3}", json!([1, 2, 3]));
    probe("x := {1, 2} & {2, 3}", json!([2]));
    probe("x := {1, 2} - {2, 3}", json!([1]));
    probe("x if {1, 2} == {2, 1}", json!(true));
    probe("x if [1, 2] == [2, 1]", undefined());
    probe("x := 7 % 3", json!(1));
    probe("x := 1 / 2", json!(0.5));
    probe("x := 10 / 5", json!(2));
    probe("x := 0.1 + 0.2 > 0.29", json!(true));
    probe("x := 9007199254740993 + 1", json!(9_007_199_254_740_994_u64));
    probe("x if 1 == 1.0", json!(true));
    probe("x := \"1\" == 1", json!(false));
    probe("x := `raw \\d`", json!("raw \\d"));
    probe("x := {\"a\": {\"b\": [1]}}.a.b[0]", json!(1));
    probe("x := set()", json!([]));
    // Types have an order: null, boolean, number, string, array, object. Sets come after objects in OPA, and before them here.
    probe(
        "x := sort([{\"a\": 1}, [1], \"a\", 1, true, null])",
        json!([null, true, 1, "a", [1], {"a": 1}]),
    );
    probe("x := y if { [a, {\"b\": b}] := [1, {\"b\": 2}]; y := a + b }", json!(3));
}

#[test]
fn builtins() {
    for (expression, expected) in [
        ("sprintf(\"%s has %d of %v\", [\"a\", 3, [1]])", json!("a has 3 of [1]")),
        ("sprintf(\"%q %.2f %5d|\", [\"a\", 1.5, 7])", json!("\"a\" 1.50     7|")),
        ("concat(\", \", [\"a\", \"b\"])", json!("a, b")),
        ("split(\"a.b\", \".\")", json!(["a", "b"])),
        ("lower(\"ÄB\")", json!("äb")),
        ("trim_prefix(\"s3a://x\", \"s3a://\")", json!("x")),
        ("replace(\"aab\", \"a\", \"c\")", json!("ccb")),
        ("substring(\"hello\", 1, 3)", json!("ell")),
        ("substring(\"hello\", 1, -1)", json!("ello")),
        ("indexof(\"hello\", \"l\")", json!(2)),
        ("startswith(\"hello\", \"he\")", json!(true)),
        ("contains(\"hello\", \"ell\")", json!(true)),
        ("strings.any_prefix_match(\"hello\", [\"x\", \"he\"])", json!(true)),
        ("regex.match(`^a+$`, \"aaa\")", json!(true)),
        ("regex.match(`(?i)(password|token)$`, \"API_TOKEN\")", json!(true)),
        ("regex.match(`^\\w+\\s\\d{2}\\p{Lu}$`, \"ab 12Ä\")", json!(true)),
        ("regex.replace(\"a1b2\", `[0-9]`, \"\")", json!("ab")),
        (
            "regex.find_all_string_submatch_n(`(a)(b)?`, \"ab a\", -1)",
            json!([["ab", "a", "b"], ["a", "a", ""]]),
        ),
        (
            "glob.match(\"*.example.com\", [\".\"], \"api.example.com\")",
            json!(true),
        ),
        (
            "glob.match(\"*.example.com\", [\".\"], \"a.b.example.com\")",
            json!(false),
        ),
        ("count({1, 2, 2})", json!(2)),
        ("sum([1, 2, 3.5])", json!(6.5)),
        ("max([3, 1, 2])", json!(3)),
        ("array.concat([1], [2])", json!([1, 2])),
        ("array.slice([1, 2, 3], 1, 2)", json!([2])),
        ("object.get({\"a\": {\"b\": 1}}, [\"a\", \"b\"], 0)", json!(1)),
        ("object.get({\"a\": 1}, \"z\", 0)", json!(0)),
        (
            "object.union({\"a\": {\"b\": 1}}, {\"a\": {\"c\": 2}})",
            json!({"a": {"b": 1, "c": 2}}),
        ),
        ("object.keys({\"a\": 1, \"b\": 2})", json!(["a", "b"])),
        ("object.remove({\"a\": 1, \"b\": 2}, [\"a\"])", json!({"b": 2})),
        ("to_number(\"12.5\")", json!(12.5)),
        ("to_number(null)", json!(0)),
        ("to_number(true)", json!(1)),
        ("type_name({1})", json!("set")),
        ("is_string(1)", json!(false)),
        ("units.parse_bytes(\"8Gi\")", json!(8_589_934_592_u64)),
        ("units.parse(\"100m\")", json!(0.1)),
        ("units.parse(\"2\")", json!(2)),
        ("semver.compare(\"3.5.1\", \"4.0.0\")", json!(-1)),
        ("semver.is_valid(\"4.0\")", json!(false)),
        ("base64.decode(\"YQ==\")", json!("a")),
        ("json.unmarshal(\"{\\\"a\\\": [1]}\")", json!({"a": [1]})),
        ("json.marshal({\"a\": 1})", json!("{\"a\":1}")),
        ("yaml.unmarshal(\"a: [1]\")", json!({"a": [1]})),
        (
            "json.patch({\"a\": 1}, [{\"op\": \"add\", \"path\": \"/b\", \"value\": 2}])",
            json!({"a": 1, "b": 2}),
        ),
        ("net.cidr_contains(\"10.0.0.0/8\", \"10.1.2.3\")", json!(true)),
        ("time.parse_rfc3339_ns(\"1970-01-01T00:00:01Z\")", json!(1_000_000_000)),
        ("time.parse_duration_ns(\"1h\")", json!(3_600_000_000_000_u64)),
        ("time.weekday(0)", json!("Thursday")),
        ("urlquery.encode(\"a b\")", json!("a+b")),
        ("bits.and(6, 3)", json!(2)),
        ("numbers.range(3, 1)", json!([3, 2, 1])),
        ("[p | walk({\"a\": [5]}, [p, v]); v == 5]", json!([["a", 0]])),
        (
            "graph.reachable({\"a\": [\"b\"], \"b\": []}, [\"a\"])",
            json!(["a", "b"]),
        ),
        ("abs(-3)", json!(3)),
        ("round(2.5)", json!(3)),
        ("ceil(1.2)", json!(2)),
        ("floor(-1.2)", json!(-2)),
    ] {
        probe(&format!("x := {expression}"), expected);
    }
}

#[test]
fn statements_find_their_order() {
    probe("x := y if { y > 3; y = 5 }", json!(5));
    probe("x := y if { y = z + 1; z = 1 }", json!(2));
    probe("x contains k if { data.people[k].age >= 18 }", json!(["ann"]));
    probe("x contains k if { v.age >= 18; v = data.people[k] }", json!(["ann"]));
    probe("x := k if { data.people[k].age == 17 }", json!("bob"));
    probe("x contains [i, j] if { input.list[i] == data.letters[j] }\n", json!([]));
    probe(
        "x contains [i, j] if { some i, a in [1, 2]; some j, b in [2, 1]; a == b }",
        json!([[0, 1], [1, 0]]),
    );
    probe("x if { y = 1; y = z; z == 1 }", json!(true));
    probe("x if { [1, y] = [z, 2]; y == 2; z == 1 }", json!(true));
    probe("x if { {\"a\": y} = {\"a\": 4}; y == 4 }", json!(true));
}

#[test]
fn references() {
    probe("import input.list as letters\nx := letters[1]", json!("b"));
    probe("import data.people\nx := people.bob.age", json!(17));
    probe("y := {\"k\": \"list\"}\nx := input[y.k][0]", json!("a"));
    probe("x := data[\"numbers\"][2]", json!(3));
    probe("x contains v if v := data[\"people\"][_].age", json!([17, 40]));
    probe("x := input.list[5]", undefined());
    probe("x := input.list[-1]", undefined());
    probe("x := input.name.deeper", undefined());
    probe("x := {k | input[k]; is_string(input[k])}", json!(["name"]));
    probe("x := {k | some k; input[k] == 0}", json!(["zero"]));
    probe("y contains {\"a\": 1}\nx if y[{\"a\": 1}]", json!(true));
    probe("y := {1, 2}\nx if y[2]", json!(true));
    probe("y := {1, 2}\nx if y[3]", undefined());
    probe("a.b contains 1\na.b contains 2\nx := a.b", json!([1, 2]));
    probe("a[k].n := v if some k, v in {\"p\": 1, \"q\": 2}\nx := a.q.n", json!(2));
    probe(
        "a[k] contains v if { some k in [\"p\"]; some v in [1, 2] }\nx := a",
        json!({"p": [1, 2]}),
    );
    probe("x := count(data.p.y)\ny contains 1", json!(1));
    probe("x := [a | a := input.list[_]; not a in [\"a\"]]", json!(["b"]));
    probe(
        "x := [c | some a in [[1, 2], [3]]; c := [b | some b in a; b > 1]]",
        json!([[2], [3]]),
    );
    probe("x if every a in [[1], [2]] { every b in a { b > 0 } }", json!(true));
    probe("x if { some k, _ in input; k == \"zero\" }", json!(true));
    probe("x if \"pi\" in input", json!(true));
    probe("x if \"name\" in object.keys(input)", json!(true));
}

#[test]
fn more_builtins() {
    for (expression, expected) in [
        ("object.get(input, [\"list\", 1], 0)", json!("b")),
        ("object.get(input, [\"list\", 7], 0)", json!(0)),
        ("object.filter({\"a\": 1, \"b\": 2}, {\"a\"})", json!({"a": 1})),
        (
            "object.subset({\"a\": {\"b\": 1, \"c\": 2}}, {\"a\": {\"b\": 1}})",
            json!(true),
        ),
        ("object.union_n([{\"a\": 1}, {\"a\": 2}])", json!({"a": 2})),
        (
            "json.filter({\"a\": {\"b\": 1, \"c\": 2}}, [\"a/b\"])",
            json!({"a": {"b": 1}}),
        ),
        (
            "json.remove({\"a\": {\"b\": 1, \"c\": 2}}, [\"a/b\"])",
            json!({"a": {"c": 2}}),
        ),
        ("union({{1}, {2}})", json!([1, 2])),
        ("intersection({{1, 2}, {2, 3}})", json!([2])),
        ("strings.reverse(\"abc\")", json!("cba")),
        ("strings.replace_n({\"a\": \"x\", \"b\": \"y\"}, \"ab\")", json!("xy")),
        ("strings.count(\"banana\", \"a\")", json!(3)),
        ("strings.any_suffix_match([\"a.py\", \"b.jar\"], \".jar\")", json!(true)),
        ("indexof_n(\"banana\", \"a\")", json!([1, 3, 5])),
        ("trim(\"--a--\", \"-\")", json!("a")),
        ("trim_left(\"--a--\", \"-\")", json!("a--")),
        ("trim_suffix(\"a.jar\", \".jar\")", json!("a")),
        ("trim_space(\" a \")", json!("a")),
        ("upper(\"ab\")", json!("AB")),
        ("format_int(255, 16)", json!("ff")),
        ("regex.split(`,\\s*`, \"a, b\")", json!(["a", "b"])),
        ("regex.find_n(`[0-9]+`, \"a1b22\", -1)", json!(["1", "22"])),
        ("regex.is_valid(\"(\")", json!(false)),
        ("glob.match(\"a*\", null, \"a.b\")", json!(true)),
        ("array.reverse([1, 2])", json!([2, 1])),
        ("product([2, 3])", json!(6)),
        ("min({3, 1})", json!(1)),
        ("is_number(1)", json!(true)),
        ("is_null(input.nothing)", json!(true)),
        ("is_set({1})", json!(true)),
        ("5 % 3", json!(2)),
        ("-7 % 3", json!(-1)),
        ("1e3", json!(1000)),
        ("count(\"äb\")", json!(2)),
        ("json.is_valid(\"{\")", json!(false)),
        ("base64url.encode(\"??>\")", json!("Pz8-")),
        ("hex.encode(\"a\")", json!("61")),
        ("urlquery.decode(\"a%20b\")", json!("a b")),
        ("net.cidr_contains(\"10.0.0.0/8\", \"11.0.0.0/16\")", json!(false)),
        ("net.cidr_is_valid(\"10.0.0.0/33\")", json!(false)),
        ("semver.is_valid(\"4.0.0-rc1\")", json!(true)),
        ("units.parse_bytes(\"1.5GB\")", json!(1_500_000_000)),
        ("time.date(0)", json!([1970, 1, 1])),
        ("time.clock(3600000000000)", json!([1, 0, 0])),
        ("time.add_date(0, 0, 1, 0)", json!(2_678_400_000_000_000_u64)),
        ("time.now_ns() > 1700000000000000000", json!(true)),
        ("numbers.range_step(0, 10, 5)", json!([0, 5, 10])),
        ("bits.lsh(1, 3)", json!(8)),
        ("uuid.parse(\"6ba7b810-9dad-11d1-80b4-00c04fd430c8\").version", json!(1)),
        ("sprintf(\"%v %v\", [{\"a\": 1}, {\"b\"}])", json!("{\"a\": 1} {\"b\"}")),
        ("sprintf(\"%s\", [null])", json!("null")),
        (
            "sprintf(\"%05.1f|%-4s|%x|%t|%%\", [3.14159, \"a\", 255, true])",
            json!("003.1|a   |ff|%!t(string=true)|%"),
        ),
    ] {
        probe(&format!("x := {expression}"), expected);
    }
}

#[test]
fn what_rules_often_rely_on() {
    for (expression, expected) in [
        ("glob.match(\"*\", [], \"a.b\")", json!(false)),
        ("glob.match(\"*.github.com\", [], \"api.github.com\")", json!(true)),
        (
            "glob.match(\"registry.example.com/**\", [\"/\"], \"registry.example.com/a/b\")",
            json!(true),
        ),
        ("glob.match(\"{a,b}-?\", [], \"b-c\")", json!(true)),
        (
            "time.parse_ns(\"2006-01-02\", \"1970-01-02\")",
            json!(86_400_000_000_000_u64),
        ),
        ("time.format(0)", json!("1970-01-01T00:00:00Z")),
        ("units.parse(\"1K\")", json!(1000)),
        ("units.parse_bytes(\"512Mi\")", json!(536_870_912)),
        ("units.parse(\"0.5\")", json!(0.5)),
        ("object.get({\"a\": false}, \"a\", true)", json!(false)),
        ("object.get({\"a\": null}, \"a\", 1)", json!(null)),
        ("split(\"\", \",\")", json!([""])),
        ("concat(\",\", {\"b\", \"a\"})", json!("a,b")),
        ("sum({1, 2})", json!(3)),
        ("sort({3, 1})", json!([1, 3])),
        ("\"b\" > \"a\"", json!(true)),
        ("\"10\" < \"9\"", json!(true)),
        ("1 < \"a\"", json!(true)),
        ("{1, 2} - {1} == {2}", json!(true)),
        ("count([x | x := input.list[_]]) == 2", json!(true)),
        ("{x | x := data.people[_].age} & {17, 18}", json!([17])),
        ("cast := [1, \"1\"][1]", json!("1")),
        (
            "json.unmarshal(json.marshal({\"a\": [1.5, null]}))",
            json!({"a": [1.5, null]}),
        ),
        ("regex.replace(\"a.b\", `(\\w)\\.(\\w)`, \"$2.$1\")", json!("b.a")),
        ("substring(\"äbc\", 1, 1)", json!("b")),
        ("lower(input.name) == \"pi\"", json!(true)),
        ("startswith(input.name, \"p\")", json!(true)),
        ("to_number(\"1e3\")", json!(1000)),
        ("max([])", undefined()),
        ("input.list == [\"a\", \"b\"]", json!(true)),
        ("input[\"name\"]", json!("pi")),
    ] {
        let expression = expression.strip_prefix("cast := ").unwrap_or(expression);
        probe(&format!("x := {expression}"), expected);
    }
    probe("x if not count([v | v := input.list[_]]) == 1", json!(true));
    let unsafe_ = value("package p\nx if not input.list[_] == \"a\"", json!({}));
    assert!(unsafe_.unwrap_err().contains("unsafe below `not`"));
    probe("x if input.list[_] != \"a\"", json!(true));
    probe("x if count({v | v := input.list[_]; v == \"z\"}) == 0", json!(true));
    probe("x if not data.nowhere.allowed", json!(true));
    probe("x if { not y }\ny if input.missing", json!(true));
    probe("x contains v if v := {\"a\", \"b\"}[_]", json!(["a", "b"]));
    probe("x contains v if v := {\"k\": 1}[_]", json!([1]));
    probe("y := {\"a\", \"b\"}\nx if y == {v | v := input.list[_]}", json!(true));
    probe(
        "y[k] := v if { some k; v := data.people[k].age }\nx := y.ann",
        json!(40),
    );
    probe(
        "# METADATA\n# title: t\n# custom:\n#   severity: high\nx if true",
        json!(true),
    );
    probe(
        "x := v if {\n\tv := {\n\t\t\"a\": 1,\n\t\t\"b\": [\n\t\t\t1,\n\t\t\t2,\n\t\t],\n\t}\n}",
        json!({"a": 1, "b": [1, 2]}),
    );
    probe("x if { input.name == \"pi\"; y := 1; y == 1 }", json!(true));
}

#[test]
fn errors_of_builtins_are_undefined() {
    for expression in [
        "to_number(\"8Gi\")",
        "json.unmarshal(\"{\")",
        "base64.decode(\"%\")",
        "units.parse_bytes(\"many\")",
        "regex.match(\"(\", \"a\")",
        "time.parse_rfc3339_ns(\"yesterday\")",
        "semver.compare(\"x\", \"1.0.0\")",
        "split(input.list, \",\")",
        "count(input.zero)",
        "1 / input.zero",
    ] {
        probe(&format!("x := {expression}"), undefined());
        probe(&format!("x if not {expression}"), json!(true));
    }
}

#[test]
fn the_older_syntax() {
    probe("x = 1 { input.name == \"pi\" }", json!(1));
    probe("x[v] { v := input.list[_] }", json!(["a", "b"]));
    probe("x { input.missing } { input.name }", json!(true));
    probe("x[k] = v { v := data.people[k].age }", json!({"ann": 40, "bob": 17}));
    probe("f(a) = b { b := a * 2 }\nx = f(3) { true }", json!(6));
    probe("default x = false\nx { input.missing }", json!(false));
    probe("x = \"a\" { false } else = \"b\" { true }", json!("b"));
    probe("import future.keywords.in\nx { \"a\" in input.list }", json!(true));
    probe(
        "import future.keywords\nx contains v if { some v in input.list }",
        json!(["a", "b"]),
    );
    probe(
        "import rego.v1\nx contains v if some v in input.list",
        json!(["a", "b"]),
    );
    // What only it has.
    probe("x { any([false, true]) }", json!(true));
    probe("x { not any([]) }", json!(true));
    probe("x { all([true, true]) }", json!(true));
    probe("x { re_match(`^p`, input.name) }", json!(true));
    probe("x = y { y := set_diff({1, 2}, {2}) }", json!([1]));
    probe("x = y { y := cast_array({1}) }", json!([1]));
    probe("x { net.cidr_overlap(\"10.0.0.0/8\", \"10.1.0.0/16\") }", json!(true));
    probe("x { not all(input.zero) }", json!(true));
}

#[test]
fn versions_of_the_language_are_told_apart() {
    let dialect =
        |text: &str| Module::parse(&Source::new("a.rego", text)).map(|module| format!("{:?}", module.dialect));
    assert_eq!(dialect("package a\nx if true").unwrap(), "V1");
    assert_eq!(dialect("package a\nx { true }").unwrap(), "V0");
    assert_eq!(dialect("package a\nimport rego.v1\nx if true").unwrap(), "V1");
    let problem = dialect("package a\n\nx if {\n  y := \n}\n").unwrap_err();
    assert_eq!((&*problem.code, problem.line), ("rego-syntax", 4));
    let problem = dialect("package a\n\ndeny[msg] {\n  msg := \"a\n}\n").unwrap_err();
    assert_eq!((&*problem.code, problem.line), ("rego-syntax", 4));
    assert!(dialect("").is_err());
    for broken in [
        "package",
        "\u{0}",
        "package a\nx := {",
        "package a\nx :=",
        "}{",
        "package a.b[c]\nx := 1",
        "package a\nimport",
    ] {
        assert!(dialect(broken).is_err(), "{broken}");
    }
}
