//! Policies as conftest takes them: which rules decide, what they may say, and what is refused.

use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};
use stoke_policy::{Effect, Facts, Known, Outcome, PolicyFile, PolicySet, Settings, Subject};

fn load(files: &[(&str, &str)]) -> Result<PolicySet, String> {
    let files: Vec<PolicyFile> = files.iter().map(|(path, text)| PolicyFile::new(path, text)).collect();
    PolicySet::load(&files).map_err(|problems| {
        let told: Vec<String> = problems
            .iter()
            .map(|problem| {
                format!(
                    "{}:{}:{} {}: {}",
                    problem.file, problem.line, problem.column, problem.code, problem.message
                )
            })
            .collect();
        told.join("\n")
    })
}

fn judge(set: &PolicySet, object: &Value) -> Outcome {
    set.evaluate(&Subject::Object(object), &Facts::default())
}

fn said(outcome: &Outcome) -> Vec<String> {
    let told = outcome.violations.iter();
    told.map(|violation| {
        format!(
            "{} {}.{}: {}",
            violation.effect, violation.policy, violation.rule, violation.message
        )
    })
    .collect()
}

#[test]
fn every_package_decides() {
    let set = load(&[
        ("main.rego", "package main\ndeny contains \"a\" if true\nallow := true\nhelper contains 1\ndeny_root(x) := x\n"),
        ("team/x.rego", "package team.x\nviolation contains {\"msg\": \"b\", \"level\": 3}\nwarn_old contains \"c\"\ndeny_root := [\"d\", \"e\"]\n"),
        ("old.rego", "package old\ndeny = msg { msg := \"f\" }\ndefault warn = false\n"),
        ("quoted.rego", "package quoted[\"v1.0\"]\ndeny contains \"g\"\n"),
    ])
    .unwrap();
    let outcome = judge(&set, &json!({}));
    assert_eq!(outcome.problems, []);
    assert_eq!(
        said(&outcome),
        [
            "deny main.deny: a",
            "deny team.x.violation: b",
            "warn team.x.warn_old: c",
            "deny team.x.deny_root: d",
            "deny team.x.deny_root: e",
            "deny old.deny: f",
            "deny quoted.v1.0.deny: g",
        ]
    );
    assert_eq!(outcome.violations[1].details, Some(json!({"level": 3})));
    assert_eq!(
        (outcome.violations[1].file.as_str(), outcome.violations[1].line),
        ("team/x.rego", 2)
    );
    assert_eq!(outcome.denials().count(), 6);
    let names: Vec<String> = set
        .rules()
        .into_iter()
        .map(|rule| format!("{}.{}", rule.policy, rule.rule))
        .collect();
    assert_eq!(names.len(), 7);
}

#[test]
fn a_truth_value_decides_too() {
    let set = load(&[(
        "a.rego",
        "package a\ndefault deny := false\ndeny if input.bad\nwarn if input.odd\n",
    )])
    .unwrap();
    assert_eq!(
        said(&judge(&set, &json!({"bad": true, "odd": 1}))),
        ["deny a.deny: data.a.deny is true", "warn a.warn: data.a.warn is true"]
    );
    assert!(judge(&set, &json!({"odd": 1})).allowed());
}

#[test]
fn exceptions_are_kept_apart() {
    let text = "package main\ndeny_root contains \"root\"\ndeny contains \"any\"\nexception contains rules if {\n  input.trusted\n  rules := [\"root\"]\n}\n";
    let set = load(&[("a.rego", text)]).unwrap();
    let outcome = judge(&set, &json!({"trusted": true}));
    assert_eq!(said(&outcome), ["deny main.deny: any"]);
    assert_eq!(outcome.excepted[0].message, "root");
    assert_eq!(said(&judge(&set, &json!({}))).len(), 2);
    let all = load(&[(
        "a.rego",
        "package a\ndeny contains \"x\"\nexception contains [\"\"] if true\n",
    )])
    .unwrap();
    assert!(judge(&all, &json!({})).allowed());
}

#[test]
fn data_files_are_data() {
    let files = [
        (
            "a.rego",
            "package a\ndeny contains msg if {\n  input.n > data.parameters.a.most\n  msg := sprintf(\"more than %d in %s\", [data.parameters.a.most, data.team.one.name])\n}\n",
        ),
        ("parameters.yaml", "parameters: {a: {most: 3}}\n"),
        ("team/one/name.json", "{\"name\": \"ann\"}"),
    ];
    let set = load(&files).unwrap();
    assert_eq!(
        said(&judge(&set, &json!({"n": 4}))),
        ["deny a.deny: more than 3 in ann"]
    );
    let over: Map<String, Value> = serde_json::from_value(json!({"parameters": {"a": {"most": 9}}})).unwrap();
    let files = files.map(|(path, text)| PolicyFile::new(path, text));
    let set = PolicySet::load_with(&files, &over, Settings::default()).unwrap();
    assert!(judge(&set, &json!({"n": 4})).allowed());
}

#[test]
fn what_is_known_is_below_data_stoke() {
    let text = "package a\nimport data.stoke\ndeny contains msg if {\n  stoke.conf[\"spark.executor.memory\"] == \"900g\"\n  msg := sprintf(\"%s of %s\", [input.kind, stoke.application.metadata.name])\n}\nwarn contains \"alone\" if not stoke.application\n";
    let set = load(&[("a.rego", text)]).unwrap();
    let application = json!({"kind": "SparkApplication", "metadata": {"name": "pi"}});
    assert_eq!(said(&judge(&set, &application)), ["warn a.warn: alone"]);
    let facts = Facts::new(Known {
        application: Some(application.clone()),
        conf: Some([("spark.executor.memory".to_owned(), "900g".to_owned())].into()),
        ..Known::default()
    });
    assert_eq!(
        said(&set.evaluate(&Subject::Object(&application), &facts)),
        ["deny a.deny: SparkApplication of pi"]
    );
}

#[test]
fn what_cannot_be_decided_is_a_problem() {
    for (text, line, code, what) in [
        (
            "package a\ndeny contains 1",
            2,
            "rule-result",
            "1 is neither a text nor an object with `msg`",
        ),
        (
            "package a\n\ndeny[key] := 1 if some key in [\"x\"]",
            3,
            "rule-result",
            "an object without `msg`",
        ),
        (
            "package a\nx := 1\nx := 2 if input.two\ndeny contains \"a\" if x == 1",
            0,
            "rego-evaluation",
            "",
        ),
        (
            "package a\ndeny contains \"a\" if data.a.deny",
            0,
            "rego-evaluation",
            "recursion",
        ),
        (
            "package a\ndeny contains \"a\" if count(numbers.range(1, 100000000)) > 0",
            0,
            "rego-evaluation",
            "a range of 100000000 numbers",
        ),
        (
            "package a\nf(x) := count(numbers.range_step(0, x, 2))\ndeny contains \"a\" if f(100000000) == 0",
            0,
            "rego-evaluation",
            "a range of 50000001 numbers",
        ),
    ] {
        let set = load(&[("a.rego", text)]).unwrap_or_else(|error| panic!("{text}: {error}"));
        let outcome = judge(&set, &json!({"two": true}));
        assert!(!outcome.allowed());
        let problem = &outcome.problems[0];
        assert_eq!(problem.code, code, "{problem}");
        assert!(problem.message.contains(what), "{problem}");
        assert!(line == 0 || problem.line == line, "{problem}");
        assert_eq!(problem.file, "a.rego");
    }
}

#[test]
fn what_cannot_be_used_is_refused_at_once() {
    let of = |text: &str| load(&[("a.rego", text)]).map(|_| ()).unwrap_err();
    assert_eq!(
        of("package a\n\ndeny contains \"a\" if {\n  http.send({\"url\": \"http://x\"}).status_code == 200\n}"),
        "a.rego:4:3 rego-builtin: the builtin `http.send` is not available here"
    );
    assert!(
        of("package a\ndeny contains \"a\" if io.jwt.decode_verify(input.t, {})")
            .contains("the builtin `io.jwt.decode_verify` is not available here")
    );
    assert!(of("package a\nx contains p if [p, _] := walk(input)").contains("`walk` with one argument"));
    assert!(of("package a\nx := crypto.x509.parse_certificates(\"a\")").contains("rego-builtin"));
    assert!(of("package a\ndeny contains \"a\" if any([input.x])").contains("the builtin `any` is of Rego v0"));
    assert!(
        of("package a\ndeny contains \"a\" if startwith(input.x, \"a\")")
            .contains("rego-function: no function and no builtin is called `startwith`")
    );
    assert!(of("package a\ndeny contains \"a\" if input.x == y").contains("a.rego:2:"));
    assert!(of("package a\ndeny.root contains \"a\"").contains("rule-name: `deny.root` is not a rule that is asked"));
    assert!(of("package a\nf(x) := g(x)\ng(x) := f(x)\ndeny contains \"a\" if f(1)").contains("rego-recursion"));
    assert!(of("package a\n\ndeny contains msg if {\n  msg = = 1\n}").starts_with("a.rego:4:"));
    assert!(
        load(&[("a.rego", "package a"), ("x.yaml", "apiVersion: v1\nkind: Pod\n")])
            .unwrap_err()
            .contains("a Pod is neither a policy nor data")
    );
    assert!(load(&[("a.rego", "package a"), ("x.yaml", "a: {b\n")]).is_err());
    assert!(
        load(&[("a.json", "{\"a\": 1}"), ("b.json", "{\"a\": 2}")])
            .unwrap_err()
            .contains("policy-data")
    );
    assert!(of("package stoke.a\ndeny contains \"a\"").contains("the package `stoke.a` is where something else is"));
    // All of it at once.
    assert_eq!(
        load(&[("a.rego", "package"), ("b.rego", "package")])
            .unwrap_err()
            .lines()
            .count(),
        2
    );
}

#[test]
fn a_fix_is_told() {
    let problems = PolicySet::load(&[PolicyFile::new(
        "a.rego",
        "package a\nlimit_of(x) := x\ny := limit_off(1)\n",
    )])
    .unwrap_err();
    assert_eq!(problems[0].fix_text(), "did you mean `limit_of`?");
    assert!(problems[0].to_string().contains("y := limit_off(1)"));
}

#[test]
fn a_rule_that_takes_too_long_is_stopped() {
    let text = "package a\ndeny contains \"never\" if {\n  some a in numbers.range(1, 3000)\n  some b in numbers.range(1, 3000)\n  some c in numbers.range(1, 3000)\n  a + b + c == 0\n}\nwarn contains \"still asked\"\n";
    let settings = Settings {
        time_per_rule: Duration::from_millis(50),
    };
    let set = PolicySet::load_with(&[PolicyFile::new("a.rego", text)], &Map::new(), settings).unwrap();
    let begun = Instant::now();
    let outcome = judge(&set, &json!({}));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(
        (&*outcome.problems[0].code, outcome.problems[0].line),
        ("rego-evaluation", 2)
    );
    assert_eq!(outcome.violations[0].effect, Effect::Warn);
    assert!(!outcome.allowed());
}

#[test]
fn one_set_serves_many_threads() {
    fn shared<T: Send + Sync + 'static>(_: &T) {}
    let files = stoke_policy::pack::files();
    let set = PolicySet::load(&files).unwrap();
    shared(&set);
    shared(&Facts::default());
    std::thread::scope(|scope| {
        for number in 0..4 {
            let set = &set;
            scope.spawn(move || {
                for turn in 0..20 {
                    let name = if (number + turn) % 2 == 0 {
                        "team-job"
                    } else {
                        "Bad_Name"
                    };
                    let object = json!({"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication",
                        "metadata": {"name": name}, "spec": {"driver": {}, "executor": {}}});
                    let outcome = judge(set, &object);
                    let named = outcome
                        .violations
                        .iter()
                        .any(|violation| violation.policy == "starter.naming");
                    assert_eq!(named, name == "Bad_Name");
                }
            });
        }
    });
}

#[test]
fn queries_are_answered() {
    let set = load(&[
        (
            "a.rego",
            "package a\nlimit := 2\nhosts contains h if some h in input.hosts\n",
        ),
        ("d.json", "{\"x\": 1}"),
    ])
    .unwrap();
    let ask = |query: &str| set.query(query, Some(&json!({"hosts": ["b", "a"]})));
    let first = |query: &str| ask(query).unwrap()[0].expressions[0].clone();
    assert_eq!(first("data.a.limit + data.x"), 3);
    assert_eq!(first("data.a.hosts"), json!(["a", "b"]));
    assert_eq!(ask("data.a.hosts[h]").unwrap().len(), 2);
    assert_eq!(ask("h := input.hosts[0]").unwrap()[0].bindings, json!({"h": "b"}));
    assert_eq!(ask("data.a.missing").unwrap(), []);
    let problem = ask("data.a.limit ==").unwrap_err();
    assert_eq!(
        (&*problem.code, problem.file.as_str()),
        ("rego-evaluation", "<query.rego>")
    );
}

/// Hostile texts end in problems, not in panics.
#[test]
fn nonsense_is_harmless() {
    let deep = format!("package a\nx := {}1{}", "[".repeat(5_000), "]".repeat(5_000));
    let chain = format!("package a\nx := input{}", ".a".repeat(400));
    let brackets = format!("package a\nx := input{}", "[0]".repeat(300));
    let long = format!("package a\n# {}\n", "x".repeat(100_000));
    for text in [
        deep.as_str(),
        chain.as_str(),
        brackets.as_str(),
        long.as_str(),
        "\u{feff}package a\ndeny contains \"a\"",
        "package a\r\ndeny contains \"ä\"\r\n",
    ] {
        if let Ok(set) = load(&[("a.rego", text)]) {
            judge(&set, &json!({"a": [1]}));
        }
    }
    let rules = |count: usize| {
        let steps: Vec<String> = (0..count).map(|step| format!("r{step} if r{}\n", step + 1)).collect();
        format!(
            "package a\ndeny contains \"a\" if r0\n{}r{count} if input.a\n",
            steps.concat()
        )
    };
    let deep = load(&[("a.rego", &rules(60))]).unwrap();
    assert!(!judge(&deep, &json!({"a": [1]})).allowed());
    assert!(
        load(&[("a.rego", &rules(5_000))])
            .unwrap_err()
            .contains("more than 64 steps")
    );
    let functions: Vec<String> = (0..60)
        .map(|step| format!("f{step}(x) := [y | y := f{}(x)]\n", step + 1))
        .collect();
    let functions = format!(
        "package a\ndeny contains \"a\" if f0(1)\n{}f60(x) := x\n",
        functions.concat()
    );
    assert!(!judge(&load(&[("a.rego", &functions)]).unwrap(), &json!({})).allowed());
    let nested = format!("a: {}1{}", "[".repeat(300), "]".repeat(300));
    let _ = load(&[("a.yaml", &nested)]);
}
