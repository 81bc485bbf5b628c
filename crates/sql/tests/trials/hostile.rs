//! Texts no one writes: long, deep and wide ones are answered, and with work that grows as they do. The work is counted, not timed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]

use std::path::Path;

use libtest_mimic::{Failed, Trial};
use stoke_sql::{Entry, Grammar};
use stoke_testkit::{Tier, trial};

/// How much more work twice the text may be, in percent: four times would be quadratic.
const MOST: u64 = 220;

fn listed(count: usize, item: impl Fn(usize) -> String, between: &str) -> String {
    (0..count).map(item).collect::<Vec<_>>().join(between)
}

fn around(count: usize, begin: &str, middle: &str, end: &str) -> String {
    format!("{}{middle}{}", begin.repeat(count), end.repeat(count))
}

/// A kind of text, by how much of it; and how much.
type Deep = (&'static str, fn(usize) -> String, usize);

/// Texts that are given up: the work stays below a number of steps, and this is reported. Spark's own parser ends there with a full stack.
const GIVEN_UP: [Deep; 4] = [
    (
        "too many NOTs",
        |n| format!("SELECT {}a FROM t", "NOT ".repeat(n)),
        50_000,
    ),
    (
        "too deep CASEs",
        |n| format!("SELECT {} FROM t", around(n, "CASE WHEN a THEN ", "1", " END")),
        4_000,
    ),
    (
        "too deep comments",
        |n| format!("SELECT {}1", around(n, "/* ", "", "*/ ")),
        2_000,
    ),
    (
        "too deep comments that are not closed",
        |n| format!("SELECT 1 {}", "/* ".repeat(n)),
        2_000,
    ),
];

/// A kind of text, by how much of it; how much; and whether Spark's grammar takes it.
type Case = (&'static str, fn(usize) -> String, usize, bool);

const CASES: [Case; 11] = [
    (
        "parentheses",
        |n| format!("SELECT {}", around(n, "(", "1", ")")),
        10_000,
        true,
    ),
    (
        "parentheses that are not closed",
        |n| format!("SELECT {}", "(".repeat(n)),
        10_000,
        false,
    ),
    (
        "subqueries",
        |n| format!("SELECT * FROM {}", around(n, "(SELECT * FROM ", "t", ")")),
        2_000,
        true,
    ),
    (
        "joins",
        |n| {
            format!(
                "SELECT * FROM t {}",
                listed(n, |n| format!("JOIN t{n} ON t.a = t{n}.a"), " ")
            )
        },
        5_000,
        true,
    ),
    (
        "items of IN",
        |n| format!("SELECT a FROM t WHERE a IN ({})", listed(n, |n| n.to_string(), ", ")),
        10_000,
        true,
    ),
    // 1 MB.
    (
        "columns",
        |n| format!("SELECT {} FROM t", listed(n, |n| format!("a{n} + {n} AS c{n}"), ", ")),
        40_000,
        true,
    ),
    (
        "a text of 1 MB",
        |n| format!("SELECT '{}'", "x".repeat(n)),
        1_000_000,
        true,
    ),
    (
        "a comment of 1 MB",
        |n| format!("SELECT 1 /* {} */", "x".repeat(n)),
        1_000_000,
        true,
    ),
    (
        "operands",
        |n| format!("SELECT {}", listed(n, |n| n.to_string(), " + ")),
        10_000,
        true,
    ),
    ("signs", |n| format!("SELECT {}a", "- ".repeat(n)), 10_000, true),
    (
        "words after SET",
        |n| format!("SET a = {}", listed(n, |n| format!("b{n}"), " ")),
        50_000,
        true,
    ),
];

pub fn all() -> Vec<Trial> {
    let home = || stoke_testkit::spark::spark("4.1.4").map(|spark| spark.spark_home);
    let needs = move || home().map(|_| ());
    let given_up = GIVEN_UP
        .into_iter()
        .map(|(name, text, count)| trial(name, Tier::Default, needs, move || is_given_up(&home()?, &text(count))));
    CASES
        .into_iter()
        .map(|(name, text, count, taken)| {
            trial(name, Tier::Default, needs, move || {
                answers(&home()?, text, count, taken)
            })
        })
        .chain(given_up)
        .collect()
}

/// That a text is given up, and soon.
fn is_given_up(home: &Path, text: &str) -> Result<(), Failed> {
    let grammar = Grammar::of_spark(home)?;
    let said = grammar.read_as(Entry::Statement, text);
    let condition = said.error.map(|error| error.condition);
    if condition != Some(stoke_sql::TOO_COMPLEX) || said.parsed.is_some() {
        return Err(format!("{condition:?}").into());
    }
    match grammar.work() {
        0..500_000_000 => Ok(()),
        work => Err(format!("a work of {work}").into()),
    }
}

/// The work of reading a text.
fn work(grammar: &Grammar, text: &str, taken: bool) -> Result<u64, Failed> {
    // What is learned of the first is not work of the second.
    let _ = grammar.read_as(Entry::Statement, text);
    let before = grammar.work();
    let said = grammar.read_as(Entry::Statement, text);
    if said.parsed.is_some() != taken {
        return Err(format!("taken: {}, {:?}", said.parsed.is_some(), said.error).into());
    }
    Ok(grammar.work() - before)
}

fn answers(home: &Path, text: fn(usize) -> String, count: usize, taken: bool) -> Result<(), Failed> {
    let grammar = Grammar::of_spark(home)?;
    let once = work(&grammar, &text(count / 2), taken)?;
    let twice = work(&grammar, &text(count), taken)?;
    println!("{once} steps for half of it, {twice} for all");
    if twice * 100 > once * MOST {
        return Err(format!("half of it is a work of {once}, all of it of {twice}").into());
    }
    Ok(())
}
