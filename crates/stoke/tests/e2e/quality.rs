//! `stoke quality` with rules in SQL, run by real Spark.

use std::path::Path;
use std::process::Output;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::common::{Context, expect_code, expect_parts, stoke, text};

pub fn trials(context: &Context) -> Vec<Trial> {
    vec![
        context.trial("quality: rules in SQL", &[context.spark("4.1.4")], rules),
        context.trial("quality: rules in SQL without a Spark", &[], without),
    ]
}

const DATA: &str = "id,amount,note\n1,2.50,a\n2,,\"x \"\"y\"\"\"\n3,-1.00,\"\"\n";
const COLUMNS: &str =
    "name: orders\ncolumns:\n  id: {type: int}\n  amount: {type: 'decimal(10,2)'}\n  note: {type: string}\nsql:\n";

fn run(
    mut command: std::process::Command,
    more: &[&str],
    directory: &Path,
    contract: &str,
    data: &str,
) -> Result<Output, Failed> {
    std::fs::write(directory.join("orders.yaml"), contract)?;
    std::fs::write(directory.join("orders.csv"), data)?;
    let arguments = ["quality", "run", "orders.yaml", "--data", "orders.csv"];
    Ok(command.args(arguments).args(more).current_dir(directory).output()?)
}

/// Verdict and reason of a check.
fn told(output: &Output, id: &str) -> Result<(String, String), Failed> {
    let report: Value = serde_json::from_slice(&output.stdout)?;
    let checks = report["checks"].as_array().ok_or("no checks")?;
    let found = checks.iter().find(|check| check["id"] == id);
    let found = found.ok_or_else(|| format!("no check {id} in:\n{}", text(output)))?;
    let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
    Ok((text("verdict"), text("reason")))
}

fn rules(context: &Context) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let json = || context.stoke(["--output", "json"]);
    let spark = ["--spark", "4.1.4"];
    let fine = "- {name: rows, query: 'SELECT COUNT(*) FROM ${object}', mustBe: 3}\n- {name: sum, query: 'SELECT SUM(${column}) FROM orders', column: amount, mustBe: 1.5}\n- {name: nulls, query: 'SELECT COUNT(*) FROM orders WHERE note IS NULL', mustBeBetween: [1, 1]}\n";
    let output = run(json(), &spark, directory.path(), &format!("{COLUMNS}{fine}"), DATA)?;
    expect_code(&output, 0)?;
    for id in ["rows", "sum", "nulls"] {
        if told(&output, id)?.0 != "pass" {
            return Err(text(&output).into());
        }
    }
    let others = [
        ("few", "SELECT COUNT(*) FROM orders", "fail", ""),
        ("syntax", "SELEC 1", "cannotTell", "[PARSE_SYNTAX_ERROR]"),
        (
            "column",
            "SELECT MAX(nope) FROM orders",
            "cannotTell",
            "[UNRESOLVED_COLUMN.WITH_SUGGESTION]",
        ),
        (
            "cast",
            "SELECT SUM(CAST(note AS INT)) FROM orders",
            "cannotTell",
            "[CAST_INVALID_INPUT]",
        ),
        ("wide", "SELECT id, amount FROM orders", "cannotTell", "2 columns"),
        ("long", "SELECT id FROM orders", "cannotTell", "more rows than one"),
        (
            "none",
            "SELECT id FROM orders WHERE id > 9",
            "cannotTell",
            "gives no row",
        ),
        ("empty", "SELECT MAX(id) FROM orders WHERE id > 9", "cannotTell", "null"),
        ("kind", "SELECT true", "cannotTell", "gives a boolean"),
        ("drop", "DROP VIEW orders", "cannotTell", "Spark refuses the query"),
    ];
    let written: String = others
        .iter()
        .map(|(name, query, ..)| format!("- {{name: {name}, query: '{query}', mustBe: 2}}\n"))
        .collect();
    let output = run(json(), &spark, directory.path(), &format!("{COLUMNS}{written}"), DATA)?;
    expect_code(&output, 1)?;
    for (id, _, verdict, reason) in others {
        let found = told(&output, id)?;
        if found.0 != verdict || !found.1.contains(reason) {
            return Err(format!("{id}: {found:?}").into());
        }
    }
    // A text that is not of its column's type is not a null that is left out.
    let bad = DATA.replace("2.50", "much");
    let output = run(json(), &spark, directory.path(), &format!("{COLUMNS}{fine}"), &bad)?;
    expect_code(&output, 1)?;
    let sum = told(&output, "sum")?;
    if sum.0 != "cannotTell" || !sum.1.contains("[CAST_INVALID_INPUT]") || told(&output, "rows")?.0 != "pass" {
        return Err(text(&output).into());
    }
    // Nothing is left behind.
    let scratch = std::fs::read_dir(context.home().join("scratch"))?.count();
    if scratch > 0 {
        return Err(format!("{scratch} scratch directories are left").into());
    }
    Ok(())
}

fn without(_: &Context) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let home = tempfile::tempdir()?;
    let contract = format!("{COLUMNS}- {{name: rows, query: 'SELECT COUNT(*) FROM orders', mustBe: 3}}\n");
    let output = run(stoke(home.path(), [""; 0]), &[], directory.path(), &contract, DATA)?;
    expect_code(&output, 1)?;
    expect_parts(
        &text(&output),
        &["no Spark is at hand to run it", "stoke runtime install"],
    )
}
