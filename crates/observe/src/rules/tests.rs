use std::collections::BTreeSet;

use super::*;

const PLANTED: &str = include_str!("../../tests/rules/planted.yaml");
const RIGHT: &str = include_str!("../../tests/rules/right.yaml");
const UNUSUAL: &str = include_str!("../../tests/rules/unusual.yaml");
const UNUSUAL_WRONG: &str = include_str!("../../tests/rules/unusual-wrong.yaml");
const DASHBOARD: &str = include_str!("../../tests/rules/dashboard.json");
const OBJECTIVES: &str = include_str!("../../tests/rules/objectives.yaml");
const SLOTH: &str = include_str!("../../tests/rules/sloth.yaml");

/// Lines of a file with the codes of what is wrong there: `wrong: CODE CODE`.
fn expected(text: &str) -> BTreeSet<(usize, String)> {
    let mut all = BTreeSet::new();
    for (index, line) in text.lines().enumerate() {
        let Some((_, codes)) = line.split_once("wrong: ") else {
            continue;
        };
        let codes = codes.split(['"', '#']).next().unwrap();
        all.extend(codes.split_whitespace().map(|code| (index + 1, code.to_owned())));
    }
    all
}

/// What is found, but for advice, and the texts for messages.
fn found(name: &str, text: &str) -> (BTreeSet<(usize, String)>, String) {
    let report = check(&[Input::named(name, text)], &Settings::default());
    let serious = report
        .diagnostics
        .iter()
        .filter(|found| found.severity > Severity::Advice);
    let lines = serious
        .clone()
        .map(|found| (found.line, found.code.to_string()))
        .collect();
    (lines, serious.map(|found| format!("{found}\n")).collect())
}

fn assert_planted(name: &str, text: &str, least: usize) {
    let expected = expected(text);
    let (found, texts) = found(name, text);
    let missed: Vec<_> = expected.difference(&found).collect();
    let invented: Vec<_> = found.difference(&expected).collect();
    assert!(
        missed.is_empty() && invented.is_empty(),
        "missed {missed:#?}\ninvented {invented:#?}\n{texts}"
    );
    assert!(expected.len() >= least, "{}", expected.len());
}

#[test]
fn planted_mistakes_of_rules_are_found_and_no_others() {
    assert_planted("planted.yaml", PLANTED, 100);
}

#[test]
fn planted_mistakes_of_dashboards_are_found_and_no_others() {
    assert_planted("dashboard.json", DASHBOARD, 12);
}

#[test]
fn planted_mistakes_of_objectives_are_found_and_no_others() {
    assert_planted("objectives.yaml", OBJECTIVES, 4);
    assert_planted("sloth.yaml", SLOTH, 4);
}

#[test]
fn nothing_is_said_of_right_rules() {
    let report = check(&[Input::named("right.yaml", RIGHT)], &Settings::default());
    let texts: Vec<String> = report.diagnostics.iter().map(ToString::to_string).collect();
    assert!(texts.is_empty(), "{}", texts.join("\n"));
    assert!(report.expressions["rules"] > 100, "{:?}", report.expressions);
}

#[test]
fn unusual_rules_are_not_complained_of_and_mistakes_among_them_are_found() {
    assert_planted("unusual.yaml", UNUSUAL, 0);
    let report = check(&[Input::named("unusual.yaml", UNUSUAL)], &Settings::default());
    assert!(report.expressions["rules"] > 40, "{:?}", report.expressions);
    assert_planted("unusual-wrong.yaml", UNUSUAL_WRONG, 30);
}

#[test]
fn what_a_dashboard_asks_elsewhere_is_counted() {
    let report = check(&[Input::named("dashboard.json", DASHBOARD)], &Settings::default());
    assert_eq!(
        report.skipped.get("query of another datasource"),
        Some(&2),
        "{:?}",
        report.skipped
    );
}

#[test]
fn rules_stand_in_objects_and_in_values_of_objects() {
    let object = "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nspec:\n  groups:\n  - name: a\n    rules:\n    - alert: A\n      expr: up > 1\n";
    let map = "apiVersion: v1\nkind: ConfigMap\ndata:\n  a.yaml: |\n    groups:\n    - name: a\n      rules:\n      - alert: A\n        expr: |\n          sum(up) > 0\n          and up > 1\n";
    let list = format!("apiVersion: v1\nkind: List\nitems:\n- {}", object.replace('\n', "\n  "));
    for (text, line, column) in [(object.to_owned(), 8, 13), (map.to_owned(), 11, 15), (list, 11, 15)] {
        let report = check(&[Input::named("a.yaml", &text)], &Settings::default());
        let first = report
            .diagnostics
            .iter()
            .find(|found| found.code == "metric-never-true");
        let place = first.map(|found| (found.line, found.column));
        assert_eq!(place, Some((line, column)), "{:?}", report.diagnostics);
    }
}

#[test]
fn names_that_are_recorded_or_known_exist() {
    let one = "groups: [{name: a, rules: [{record: 'team:runs:sum', expr: 'sum by (team) (up)'}]}]";
    let two = "groups: [{name: b, rules: [{alert: A, expr: 'team:runs:sum{pod=\"a\"} > 3'}, {alert: B, expr: 'kube_pod_info_of_mine == 0'}]}]";
    let report = check(
        &[Input::named("one.yaml", one), Input::named("two.yaml", two)],
        &Settings::default(),
    );
    let codes: Vec<&str> = report.diagnostics.iter().map(|found| &*found.code).collect();
    assert_eq!(
        codes,
        ["metric-label-unknown", "metric-unknown"],
        "{:?}",
        report.diagnostics
    );
    let settings = Settings {
        known: BTreeSet::from(["kube_pod_info_of_mine".to_owned()]),
        ..Settings::default()
    };
    let report = check(&[Input::named("two.yaml", two)], &settings);
    assert!(
        !report.diagnostics.iter().any(|found| found.code == "metric-unknown"),
        "{:?}",
        report.diagnostics
    );
}

#[test]
fn the_release_decides() {
    let text =
        "groups: [{name: a, rules: [{alert: A, expr: 'increase(metrics_executor_ConcurrentGCCount_total[5m]) > 9'}]}]";
    for (release, codes) in [("3.5", 1), ("4.0", 0), ("4.3", 0)] {
        let settings = Settings {
            spark: release.to_owned(),
            ..Settings::default()
        };
        let report = check(&[Input::named("a.yaml", text)], &settings);
        assert_eq!(report.diagnostics.len(), codes, "{release}: {:?}", report.diagnostics);
        assert!(
            report
                .diagnostics
                .iter()
                .all(|found| found.code == "metric-not-in-release")
        );
    }
}

#[test]
fn what_is_not_read_does_not_pass() {
    for text in [
        "a: 1\n",
        "groups: [",
        "\u{0}",
        "",
        "apiVersion: dashboard.grafana.app/v2beta1\nkind: Dashboard\nspec: {elements: {}}\n",
    ] {
        let report = check(&[Input::named("a.yaml", text)], &Settings::default());
        assert_eq!(report.exit_code(), 2, "{text:?}: {:?}", report.diagnostics);
        let among = Input {
            named: false,
            ..Input::named("a.yaml", text)
        };
        let report = check(&[among], &Settings::default());
        assert!(
            report.exit_code() == 2 || report.skipped.len() == 1,
            "{text:?}: {report:?}"
        );
    }
}

#[test]
fn a_server_that_runs_has_the_last_word() {
    let text = "groups: [{name: a, rules: [{alert: A, expr: 'kube_pod_of_mine == 0'}, {alert: B, expr: 'workqueue_depth > 9'}]}]";
    let live = Live {
        server: "http://localhost:9090".to_owned(),
        names: BTreeSet::from(["kube_pod_of_mine".to_owned()]),
    };
    let report = check_with(&[Input::named("a.yaml", text)], &Settings::default(), Some(&live));
    let found: Vec<(&str, bool)> = report
        .diagnostics
        .iter()
        .map(|found| (&*found.code, found.message.contains("workqueue_depth")))
        .collect();
    assert_eq!(found, [("metric-not-live", true)]);
}

mod any {
    use proptest::prelude::*;

    use super::*;

    /// Pieces of the corpora, which damage one another.
    fn pieces() -> impl Strategy<Value = String> {
        let lines: Vec<&'static str> = [PLANTED, RIGHT, DASHBOARD, OBJECTIVES, SLOTH]
            .into_iter()
            .flat_map(str::lines)
            .collect();
        proptest::collection::vec(proptest::sample::select(lines), 0..25).prop_map(|lines| lines.join("\n"))
    }

    /// Expressions of the corpora with a stretch taken out and another put in.
    fn damaged() -> impl Strategy<Value = String> {
        let expressions: Vec<&'static str> = RIGHT
            .lines()
            .filter_map(|line| line.trim().strip_prefix("expr: "))
            .filter(|text| text.len() > 3)
            .collect();
        (
            proptest::sample::select(expressions.clone()),
            proptest::sample::select(expressions),
            any::<proptest::sample::Index>(),
            any::<proptest::sample::Index>(),
        )
            .prop_map(|(one, other, at, from)| {
                let at = at.index(one.len());
                let from = from.index(other.len());
                format!("{}{}", one.get(..at).unwrap_or(one), other.get(from..).unwrap_or(other))
            })
    }

    proptest! {
        #[test]
        fn file_is_answered(text in "\\PC{0,200}") {
            let _ = check(&[Input::named("a.yaml", &text)], &Settings::default());
        }

        #[test]
        fn lines_of_the_corpora_in_any_order_are_answered(text in pieces()) {
            let report = check(&[Input::named("a.yaml", &text)], &Settings::default());
            for found in report.diagnostics {
                prop_assert!(!found.to_string().is_empty());
            }
        }

        #[test]
        fn expression_is_answered(text in damaged()) {
            let rule = serde_json::json!({"groups": [{"name": "a", "rules": [{"alert": "A", "expr": text}]}]});
            let _ = check(&[Input::named("a.json", &rule.to_string())], &Settings::default());
        }
    }
}
