//! Samples of output in `docs/` are what the program prints.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::Value;
use stoke_eventlog::{Options, Source};
use stoke_insight::cost::{self, Prices};
use stoke_insight::facts::{Run, collect};
use stoke_insight::size;
use stoke_insight::trace::{self, encode};
use stoke_insight::whatif::{Plan, what_if};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn read(path: &str) -> String {
    std::fs::read_to_string(format!("{ROOT}/{path}")).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A log under `tests`.
fn run(folder: &str, name: &str) -> Run {
    let source = Source::directory(format!("{}/tests/{folder}", env!("CARGO_MANIFEST_DIR")));
    let logs = source.logs().unwrap();
    let log = logs.iter().find(|log| log.path.ends_with(&format!("{name}.zstd")));
    collect::run(&source, log.unwrap(), Options::default()).unwrap()
}

/// Lines as a document shows them.
fn shown(lines: &[String]) -> String {
    let indented = lines.iter().map(|line| format!("    {line}").trim_end().to_owned());
    indented.collect::<Vec<_>>().join("\n")
}

fn has(document: &str, lines: &[String]) {
    let sample = shown(lines);
    assert!(read(document).contains(&sample), "{document} must have\n{sample}");
}

#[test]
fn the_bill_of_the_document_is_the_bill() {
    let table = read("docs/prices.yaml");
    let prices = Prices::read("docs/prices.yaml", &table).unwrap();
    let bill = cost::of(&run("logs/4.1.4", "idle-executors"), None, Some(&prices)).unwrap();
    has("docs/reference/cost.md", &bill.lines());
    let lines: Vec<String> = table.lines().map(str::to_owned).collect();
    has("docs/reference/cost.md", &lines);
}

#[test]
fn the_prediction_of_the_document_is_the_prediction() {
    let plan = Plan { executors: 4, cores: 2 };
    let outcome = what_if(&run("what-if/4.1.4", "long-2x2"), plan).unwrap();
    has("docs/how-to/sizing.md", &outcome.lines());
}

#[test]
fn the_size_of_the_document_is_the_size() {
    let sizing = size::for_run(&run("logs/4.1.4", "idle-executors"), &size::Options::default()).unwrap();
    has("docs/how-to/sizing.md", &sizing.lines());
}

#[test]
fn the_spans_of_the_document_are_spans() {
    let document = read("docs/reference/trace.md");
    let block = document.split("```json\n").nth(1).expect("a sample");
    let sample: Value = serde_json::from_str(block.split("```").next().unwrap()).unwrap();
    let trace = trace::of(&run("pairs", "fail"), None);
    let requests: Vec<Value> = encode::requests(&trace, encode::MOST_BYTES)
        .iter()
        .map(|request| serde_json::from_slice(request).unwrap())
        .collect();
    let resources = sample["resourceSpans"].as_array().unwrap();
    let spans = |resource: &Value| resource["scopeSpans"][0]["spans"].as_array().unwrap().clone();
    assert!(resources.iter().map(|resource| spans(resource).len()).sum::<usize>() >= 3);
    for shown in resources {
        let real = requests
            .iter()
            .map(|request| &request["resourceSpans"][0])
            .find(|real| {
                real["resource"] == shown["resource"] && spans(shown).iter().all(|span| spans(real).contains(span))
            });
        let real = real.unwrap_or_else(|| panic!("not sent: {shown}"));
        assert_eq!(
            shown["scopeSpans"][0]["scope"]["name"],
            real["scopeSpans"][0]["scope"]["name"]
        );
    }
}
