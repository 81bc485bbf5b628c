//! Reading: what becomes of a text, and what is said about a wrong one.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

mod rules;

fn values(text: &str) -> Vec<Value> {
    let (nodes, complaints) = read(&Source::new("m.yaml", text));
    assert_eq!(complaints, [], "{text}");
    nodes.iter().map(Node::to_value).collect()
}

fn said(text: &str) -> Vec<(String, usize, usize)> {
    let (_, complaints) = read(&Source::new("m.yaml", text));
    complaints
        .iter()
        .map(|complaint| (complaint.code.to_string(), complaint.line, complaint.column))
        .collect()
}

#[test]
fn documents_are_split_and_empty_ones_left_out() {
    assert_eq!(
        values("---\na: 1\n---\n# nothing\n---\nb: [2, x]\n...\n"),
        [json!({"a": 1}), json!({"b": [2, "x"]})]
    );
    assert_eq!(values(""), Vec::<Value>::new());
    assert_eq!(values("\u{feff}a: 1\r\nb: 2\r\n"), [json!({"a": 1, "b": 2})]);
}

#[test]
fn lists_are_taken_apart() {
    let (documents, _) = check("m", "apiVersion: v1\nkind: List\nitems:\n- {kind: A}\n- {kind: B}\n");
    assert_eq!(
        documents
            .iter()
            .map(|document| document.kind.as_str())
            .collect::<Vec<_>>(),
        ["A", "B"]
    );
}

#[test]
fn quoted_texts_go_on_wherever_their_lines_stand() {
    for indentation in ["", " ", "  ", "    ", "          "] {
        for (quote, inner) in [('"', "k: v # no comment"), ('\'', "it''s - a"), ('"', "\\\"{[")] {
            for between in ["\n", "\n\n", " \n", "\n\n\n"] {
                let text = format!(
                    "a:\n  b:\n    c: {quote}one{between}{indentation}{inner}\n{indentation}end{quote}\n    d: 1\n"
                );
                let folded = match between.matches('\n').count() {
                    1 => " ".to_owned(),
                    lines => "\n".repeat(lines - 1),
                };
                let meant = inner.replace("''", "'").replace("\\\"", "\"");
                let expected = json!({"a": {"b": {"c": format!("one{folded}{meant} end"), "d": 1}}});
                assert_eq!(values(&text), [expected], "{text}");
            }
        }
    }
    // Places are those of the text as it is written.
    let text = "a:\n  b: \"one\ntwo\"\n  c: {x: 1, x: 2}\n";
    assert_eq!(said(text), [("duplicate-key".to_owned(), 4, 13)]);
    assert_eq!(said("a:\n  b: \"one\ntwo\" c\n")[0].1, 3);
    assert_eq!(said("a: \"one\n---\ntwo\"\n")[0].0, "yaml-syntax");
    let endless = format!("a:\n  b: \"{}\"\n", "x\n".repeat(2_000));
    assert_eq!(said(&endless)[0].0, "yaml-syntax");
}

#[test]
fn anchors_and_merges() {
    let text = "base: &b {x: 1, w: 2}\nmore: &m {w: 3, z: 4}\none:\n  <<: *b\n  w: 9\ntwo:\n  <<: [*b, *m]\nthree: *b\nkey: {\"<<\": 1}\n";
    assert_eq!(
        values(text),
        [
            json!({"base": {"x": 1, "w": 2}, "more": {"w": 3, "z": 4}, "one": {"x": 1, "w": 9},
                "two": {"x": 1, "w": 2, "z": 4}, "three": {"x": 1, "w": 2}, "key": {"<<": 1}})
        ]
    );
}

#[test]
fn keys_are_texts() {
    assert_eq!(
        values("1: a\ntrue: b\n\"2\": d\n0x1f: e\n"),
        [json!({"1": "a", "true": "b", "2": "d", "31": "e"})]
    );
}

#[test]
fn tags_and_quotes() {
    assert_eq!(
        values("a: !!str 1\nb: '1'\nc: !!int \"7\"\nd: ! 5\ne: |\n  x\n  y\nf: >-\n  x\n  y\n"),
        [json!({"a": "1", "b": "1", "c": 7, "d": "5", "e": "x\ny\n", "f": "x y"})]
    );
}

#[test]
fn wrong_texts_are_placed() {
    type Expected<'a> = (&'a str, usize, usize);
    let table: &[(&str, &[Expected<'_>])] = &[
        ("a: 1\nb: {c: 1, c: 2}\n", &[("duplicate-key", 2, 11)]),
        ("a: !Ref x\n", &[("unknown-tag", 1, 9)]),
        ("a: .inf\n", &[("bad-number", 1, 4)]),
        ("a: *nope\n", &[("yaml-syntax", 1, 4)]),
        ("a: &x [*x]\n", &[("alias-cycle", 1, 8)]),
        ("? [1]\n: 2\n", &[("bad-key", 1, 3)]),
        ("<<: 3\n", &[("bad-merge", 1, 5)]),
        ("a: [1, 2\nb: 3\n", &[("yaml-syntax", 2, 2)]),
        ("a:\n\tb: 1\n", &[("yaml-syntax", 2, 2)]),
        ("~: 1\n", &[("bad-key", 1, 1)]),
        ("a: &a {x: 1}\nb:\n  x: 2\n  <<: *a\n", &[("ambiguous-merge", 3, 3)]),
        ("a: !!int x\n", &[("bad-tag", 1, 10)]),
    ];
    for (text, expected) in table {
        let said = said(text);
        let said: Vec<Expected<'_>> = said
            .iter()
            .map(|(code, line, column)| (code.as_str(), *line, *column))
            .collect();
        assert_eq!(said, *expected, "{text}");
    }
}

#[test]
fn places_of_paths() {
    let (documents, _) = check(
        "m.yaml",
        "kind: X\nspec:\n  driver:\n    cores: 2\n  volumes:\n  - name: a\n  - name: b\n",
    );
    let place = |path: &str| {
        let place = documents[0].node.place_of(path);
        (place.line, place.column)
    };
    assert_eq!(place("spec.driver.cores"), (4, 5));
    assert_eq!(place("spec.volumes[1].name"), (7, 5));
    assert_eq!(place("spec.driver.memory"), (3, 3));
    assert_eq!(place("status"), (1, 1));
}

#[test]
fn rendering_is_a_compilers() {
    let (_, complaints) = read(&Source::new("app.yaml", "spec:\n  driver: {}\n  driver: {}\n"));
    insta::assert_snapshot!(complaints[0].to_string(), @r"
    error[duplicate-key]: `driver` is given twice; first on line 2
     --> app.yaml:3:3
      |
    3 |   driver: {}
      |   ^^^^^^
      |
      = field: spec.driver
      = help: remove one of the two; Kubernetes clients disagree about which one counts
    ");
    assert_eq!(
        serde_json::to_value(&complaints[0]).unwrap(),
        json!({"code": "duplicate-key", "severity": "error", "file": "app.yaml", "line": 3, "column": 3, "endLine": 3, "endColumn": 9, "path": "spec.driver",
               "page": "docs/reference/codes.md#duplicate-key",
               "message": "`driver` is given twice; first on line 2",
               "fix": {"text": "remove one of the two; Kubernetes clients disagree about which one counts"}})
    );
}

#[test]
fn bytes_that_are_not_text() {
    let (documents, complaints) = check_bytes("m", b"a: 1\nb: \xff\n");
    assert!(documents.is_empty());
    assert_eq!(
        (&*complaints[0].code, complaints[0].line, complaints[0].column),
        ("not-utf8", 2, 4)
    );
}

#[test]
fn bombs_are_refused() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let item = format!("*a{}", level - 1);
        bomb.push_str(&format!("a{level}: &a{level} [{}]\n", vec![item; 10].join(", ")));
    }
    assert_eq!(said(&bomb)[0].0, "too-large");

    let mut tower = "b0: &b0 [x]\n".to_owned();
    for level in 1..200 {
        tower.push_str(&format!("b{level}: &b{level} [*b{}]\n", level - 1));
    }
    assert_eq!(said(&tower)[0].0, "too-deep");

    for deep in [
        "[".repeat(100_000),
        "- ".repeat(100_000),
        "{a: ".repeat(100_000),
        "? ".repeat(100_000),
    ] {
        assert!(!said(&deep).is_empty());
    }
    let mut long = "x: &x ".to_owned();
    long.push_str(&"y".repeat(100_000));
    long.push_str("\nz: [");
    long.push_str(&"*x, ".repeat(100_000));
    long.push_str("]\n");
    assert_eq!(said(&long)[0].0, "too-large");
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e15..1e15_f64)
            .prop_filter("whole floats become integers", |f| f.fract() != 0.0)
            .prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        prop_oneof!["yes", "010", "~", "1e3", "<<", "a: b", "# c", "", " x ", "\\n\\t"].prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map("[a-zA-Z0-9./_-]{1,8}", inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn json_reads_as_itself(value in any_json()) {
        let document = json!({ "v": value });
        prop_assert_eq!(&values(&document.to_string())[0], &document);
        prop_assert_eq!(&values(&serde_json::to_string_pretty(&document).unwrap())[0], &document);
    }

    #[test]
    fn any_text_is_answered(text in "\\PC*") {
        for complaint in check("m", &text).1 {
            let _ = complaint.to_string();
        }
    }

    #[test]
    fn near_yaml_is_answered(text in "([a-c]: |- |\\[|\\]|\\{|\\}|,|&a |\\*a|<<: |!!int |\"|'|\\||>|\n|  |\t|#|---\n|x|1|\\?|%|:|é){0,40}") {
        for complaint in check("m", &text).1 {
            let _ = complaint.to_string();
        }
    }

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = check_bytes("m", &bytes);
    }
}
