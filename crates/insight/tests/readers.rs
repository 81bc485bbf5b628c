//! What others read of what this room writes: pyarrow the showback, OpenTelemetry's own messages the trace. Both are installed from the Python
//! package index into the target directory; where that is not possible the tests are ignored with the reason.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]

use std::path::Path;
use std::process::Command;

use libtest_mimic::{Arguments, Failed};
use stoke_eventlog::{Options, Source};
use stoke_insight::cost::showback::daily;
use stoke_insight::cost::{Prices, Window, focus};
use stoke_insight::facts::{Run, collect};
use stoke_insight::trace;
use stoke_testkit::{Tier, python, trial};

const PACKAGES: [&str; 2] = ["pyarrow", "opentelemetry-proto"];
/// The FinOps Foundation's own; what it stands on has moved on since.
const VALIDATOR: [&str; 4] = [
    "focus-validator==1.0.0",
    "multimethod==1.12",
    "pandas==2.3.3",
    "pandera==0.17.2",
];

/// What the validator says of our rows by FOCUS 1.0, the newest it knows, and why that is not a fault of rows of FOCUS 1.2.
const COMPLAINTS: [(&str, &str); 13] = [
    ("BillingAccountId_IsString", READS_NUMBERS),
    ("BillingAccountName_IsString", READS_NUMBERS),
    (
        "BillingCurrency_IsCurrencyCode",
        "the package lacks its own list of currencies",
    ),
    ("CommitmentDiscountCategory_Required", CONDITIONAL),
    ("CommitmentDiscountId_Required", CONDITIONAL),
    ("CommitmentDiscountName_Required", CONDITIONAL),
    ("CommitmentDiscountStatus_Required", CONDITIONAL),
    ("CommitmentDiscountType_Required", CONDITIONAL),
    ("InvoiceIssuer_Required", RENAMED),
    ("Provider_Required", RENAMED),
    ("Publisher_Required", RENAMED),
    ("ResourceID_Required", RENAMED),
    (
        "SkuPriceId_Nullable",
        "it asks for ChargeType, which is ChargeCategory since 1.0",
    ),
];
const READS_NUMBERS: &str = "it reads digits in quotes as a number, which the account's id is not";
const CONDITIONAL: &str = "only where commitment discounts are supported";
const RENAMED: &str = "the draft's name: InvoiceIssuerName, ProviderName, PublisherName and ResourceId since 1.0";

fn main() {
    let arguments = Arguments::from_args();
    type Reader = (
        &'static str,
        Tier,
        &'static [&'static str],
        fn(&Path) -> Result<(), Failed>,
    );
    let readers: [Reader; 3] = [
        ("focus", Tier::Default, &PACKAGES, focus_rows),
        ("focus-validator", Tier::Full, &VALIDATOR, validated),
        ("trace", Tier::Default, &PACKAGES, spans),
    ];
    let trials = readers.map(|(name, tier, packages, test)| {
        let environment = if name == "focus-validator" {
            name
        } else {
            "insight-readers"
        };
        let python = move || python::environment(environment, packages);
        let needs = move || python().map(|_| ());
        trial(name, tier, needs, move || test(&python()?))
    });
    libtest_mimic::run(&arguments, trials.into()).exit();
}

fn run(name: &str) -> Result<Run, Failed> {
    let source = Source::directory(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pairs"));
    let logs = source.logs()?;
    let log = logs.iter().find(|log| log.path.ends_with(name)).ok_or("no log")?;
    Ok(collect::run(&source, log, Options::default())?)
}

fn check(python: &Path, script: &str, arguments: &[&Path]) -> Result<(), Failed> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/readers").join(script);
    let output = Command::new(python).arg(script).args(arguments).output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned().into()),
    }
}

/// What the FinOps Foundation's validator says of the rows of a real run: what is known, and no more.
fn validated(python: &Path) -> Result<(), Failed> {
    let text = "currency: EUR\nprovider: Große Wolke\nregion: eu-central-1\naccount: '0012345678'\nprices: [{cpuHour: 0.0425, gibHour: 0.0046}]\n";
    let prices = Prices::read("prices.yaml", text).map_err(|complaints| format!("{complaints:?}"))?;
    let bills = daily(&run("fail.zstd")?, None, Some(&prices), Window::ALL)?;
    let directory = tempfile::tempdir()?;
    let csv = directory.path().join("focus.csv");
    std::fs::write(&csv, focus::csv(&focus::rows(&bills, &prices)))?;
    let program = python.parent().ok_or("no folder")?.join("focus-validator");
    let output = Command::new(program)
        .args(["--validate-version", "1.0", "--column-namespace", "x_", "--data-file"])
        .arg(&csv)
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let mut complaints: Vec<&str> = said.lines().filter_map(|line| line.strip_suffix(" failed:")).collect();
    complaints.sort_unstable();
    if complaints != COMPLAINTS.map(|(check, _)| check) {
        return Err(format!("{said}\n{}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(())
}

/// The rows of a real run, cut at a midnight that is put into it, as Parquet and CSV.
fn focus_rows(python: &Path) -> Result<(), Failed> {
    const DAY: i64 = 86_400_000;
    let mut run = run("fail.zstd")?;
    // Moved so that a midnight is in the middle of it.
    let middle = (run.started + run.end()) / 2;
    let shift = (middle / DAY + 1) * DAY - middle;
    run.started += shift;
    run.ended = run.ended.map(|time| time + shift);
    run.name = "Übersicht 日次".to_owned();
    run.last_event += shift;
    for executor in &mut run.executors {
        executor.added += shift;
        executor.removed = executor.removed.map(|time| time + shift);
    }
    let labels = [("team", "red, \"hot\""), ("example.com/tenant", "ä")];
    for (key, value) in labels {
        run.spark
            .insert(format!("spark.kubernetes.driver.label.{key}"), value.to_owned());
    }
    let text = "
currency: EUR
provider: Große Wolke
region: eu-central-1
account: '0012345678'
invoices: [{month: 2026-11, id: 0017}]
prices: [{cpuHour: 0.0425, gibHour: 0.0046}]
discounts: [{percent: 12.5}]
";
    let prices = Prices::read("prices.yaml", text).map_err(|complaints| format!("{complaints:?}"))?;
    let bills = daily(&run, None, Some(&prices), Window::ALL)?;
    let rows = focus::rows(&bills, &prices);
    let directory = tempfile::tempdir()?;
    let (table, csv) = (
        directory.path().join("focus.parquet"),
        directory.path().join("focus.csv"),
    );
    std::fs::write(&table, focus::parquet(&rows)?)?;
    std::fs::write(&csv, focus::csv(&rows))?;
    let whole = stoke_insight::cost::of(&run, None, Some(&prices))?;
    let total = directory.path().join("total");
    std::fs::write(&total, whole.total.cost.to_string())?;
    check(python, "focus.py", &[&table, &csv, &total])
}

/// The trace of a real run, in small requests.
fn spans(python: &Path) -> Result<(), Failed> {
    let run = run("fail.zstd")?;
    let trace = trace::of(&run, None);
    let directory = tempfile::tempdir()?;
    for (place, request) in trace::encode::requests(&trace, 20_000).into_iter().enumerate() {
        std::fs::write(directory.path().join(format!("{place:04}.json")), request)?;
    }
    let jobs = run.jobs.len();
    let numbers = directory.path().join("expected");
    std::fs::write(&numbers, format!("{} {jobs} {}", trace.id, trace.tasks.1))?;
    check(python, "trace.py", &[directory.path(), &numbers])
}
