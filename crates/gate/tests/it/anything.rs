//! Whatever stands in the files of a job, and in its waivers, ends in a report or in what is wrong: never in a panic.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use stoke_diagnostics::render::Style;
use stoke_gate::waivers::Waivers;
use stoke_gate::{Job, Settings, check, job, output};
use stoke_policy::PolicyFile;

const NAMES: [&str; 15] = [
    "a.yaml",
    "a.json",
    "a.sql",
    "a.py",
    "requirements.txt",
    "spark-defaults.conf",
    "a.txt",
    "t/templates/a.yaml",
    "a.scala",
    "uv.lock",
    "Pipfile.lock",
    "pyproject.toml",
    "environment.yml",
    "pom.xml",
    "build.sbt",
];

/// Pieces of what people write, so that more than the first line of a parser is reached.
fn text() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "apiVersion: v1\n",
        "kind: Pod\n",
        "apiVersion: sparkoperator.k8s.io/v1beta2\n",
        "kind: SparkApplication\n",
        "metadata: {name: a}\n",
        "spec:\n",
        "  driver: {cores: 1}\n",
        "  sparkVersion: 4.1.4\n",
        "  sparkConf: {spark.a: b}\n",
        "---\n",
        "{{ x }}",
        "spark.sql('",
        "f\"\"\"",
        "'''",
        "\\x",
        "\\N{",
        "\\",
        "{",
        "}",
        "'",
        "\"",
        "`",
        "/*",
        "*/",
        "--",
        ";",
        "SELECT ",
        "FROM ",
        " JOIN ",
        "(",
        ")",
        "*",
        "${",
        "password = '",
        "é",
        "\u{0}",
        "\u{feff}",
        "\r\n",
        "\t",
        " ",
        "==",
        "@",
        "[",
        "]",
        "name",
        "\n",
        "1",
        ":",
        ",",
        "\u{202e}",
        "waivers:\n- code: a\n",
        "[[package]]\n",
        "name = \"a\"\nversion = \"1\"\n",
        "[project]\ndependencies = [",
        "; python_version < '3' and (",
        "-r ",
        "dependencies:\n- ",
        "<project><dependencies><dependency>",
        "<artifactId>a</artifactId>",
        "${a}",
        "\"a\" %% \"b\" % \"1\"",
    ]);
    let piece = prop_oneof![8 => pieces.prop_map(str::to_owned), 1 => ".{0,6}"];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_job_ends_in_a_report(texts in prop::collection::vec((0..NAMES.len(), text()), 1..4), policy in text()) {
        let files: Vec<_> = texts.iter().map(|(name, text)| job::of_bytes(NAMES[*name], text.as_bytes())).collect();
        let job = Job { files, ..Job::default() };
        let settings = Settings { policies: vec![PolicyFile::new("p.rego", &policy)], ..Settings::default() };
        let report = check(&job, &settings, &Waivers::default());
        let shown = output::text(&report, Style::Plain, &|_, text| text.to_owned());
        let controls = shown.contains(['\u{0}', '\u{1b}']);
        prop_assert!(!controls, "control characters");
        prop_assert!(output::junit(&report).ends_with("</testsuites>\n"));
        serde_json::to_string(&output::sarif(&report, "0")).unwrap();
        for (_, finding) in report.findings().filter(|(_, finding)| finding.line > 0) {
            let lines = texts.iter().map(|(_, text)| text).chain([&policy]).map(|text| text.split('\n').count()).max();
            prop_assert!(finding.line <= lines.unwrap_or(0) + 1, "{finding:?}");
        }
    }

    #[test]
    fn any_waivers_are_read_or_refused(text in text(), bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = Waivers::read("w.yaml", text.as_bytes());
        let _ = Waivers::read("w.yaml", &bytes);
        let _ = job::of_bytes("a.yaml", &bytes);
        let _ = job::of_bytes("a.py", &bytes);
    }
}
