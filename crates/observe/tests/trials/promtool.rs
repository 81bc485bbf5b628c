//! Expressions drawn from the grammar, and the same with a token too many, too few or in another place: taken and refused as `promtool` does.
//!
//! `promtool` is Debian's (2.42) or any newer one on the PATH. One before Prometheus 3 may refuse what that has added ([`OF_THREE`]), and nothing else.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::process::Command;

use libtest_mimic::{Failed, Trial};
use stoke_observe::promql::{Variables, parse};
use stoke_testkit::{Tier, program, trial};

/// Expressions that are drawn, and as many damaged ones.
const DRAWN: usize = 6000;

pub fn all() -> Vec<Trial> {
    let needs = || program("promtool", "apt-get install prometheus");
    vec![trial("promtool_takes_and_refuses_the_same", Tier::Full, needs, agrees)]
}

fn agrees() -> Result<(), Failed> {
    let mut random = Random(7);
    let mut expressions = Vec::new();
    for _ in 0..DRAWN {
        let mut text = String::new();
        expression(&mut random, 4, &mut text);
        expressions.push(damaged(&mut random, &text));
        expressions.push(text);
    }
    let refused = refused_by_promtool(&expressions)?;
    let before_three = is_before_three()?;
    let mut newer = 0;
    let mut differ = String::new();
    let mut counts = [0_usize; 4];
    for (index, text) in expressions.iter().enumerate() {
        let ours = parse(text, Variables::None);
        let why = refused.get(&index);
        let (we, they) = (ours.is_err(), why.is_some());
        let is_of_three = |why: &String| OF_THREE.iter().any(|refusal| why.contains(refusal));
        if before_three && !we && why.is_some_and(is_of_three) {
            newer += 1;
            continue;
        }
        counts[usize::from(we) * 2 + usize::from(they)] += 1;
        if we != they && differ.len() < 4000 {
            let why = ours
                .err()
                .map_or_else(|| "taken here".to_owned(), |error| format!("refused here: {error}"));
            let _ = writeln!(differ, "{text}\n    {why}");
        }
    }
    let [taken, they_refuse, we_refuse, refused] = counts;
    println!(
        "taken by both {taken}, refused by both {refused}, by promtool alone {they_refuse}, here alone {we_refuse}; {newer} have what Prometheus 3 added"
    );
    if they_refuse + we_refuse > 0 {
        return Err(format!("{they_refuse} are refused by promtool alone, {we_refuse} here alone:\n{differ}").into());
    }
    // They are a few of those that are damaged: more would hide something.
    if newer > DRAWN / 100 {
        return Err(format!("{newer} are refused for what Prometheus 3 added").into());
    }
    if taken < DRAWN / 2 || refused < DRAWN / 4 {
        return Err(format!("too few: {counts:?}").into());
    }
    Ok(())
}

fn is_before_three() -> Result<bool, Failed> {
    let output = Command::new("promtool").arg("--version").output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let version = said.split("version ").nth(1).ok_or("no version of promtool")?;
    Ok(version.starts_with("2."))
}

/// What Prometheus 3 added, as an older one refuses it: durations as numbers, numbers as durations, quoted names of labels and metrics, a `+` after `offset`.
const OF_THREE: [&str; 4] = [
    "parse error: unexpected duration ",
    "parse error: missing unit character in duration",
    "parse error: unexpected string ",
    "parse error: unexpected <op:+> in offset",
];

/// Why promtool refuses each of the expressions that it does.
fn refused_by_promtool(expressions: &[String]) -> Result<BTreeMap<usize, String>, Failed> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("rules.yaml");
    let groups: Vec<serde_json::Value> = expressions
        .iter()
        .enumerate()
        .map(
            |(index, text)| serde_json::json!({"name": format!("g{index}g"), "rules": [{"record": "a", "expr": text}]}),
        )
        .collect();
    std::fs::write(&file, serde_json::json!({ "groups": groups }).to_string())?;
    let output = Command::new("promtool").args(["check", "rules"]).arg(&file).output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    let mut refused = BTreeMap::new();
    for line in said.lines() {
        let Some((_, rest)) = line.split_once("group \"g") else {
            continue;
        };
        let Some((number, rest)) = rest.split_once('g') else {
            continue;
        };
        refused.insert(number.parse()?, rest.to_owned());
    }
    if refused.is_empty() && !output.status.success() {
        return Err(format!("promtool says: {}", said.chars().take(500).collect::<String>()).into());
    }
    Ok(refused)
}

/// The same numbers each time.
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % most
    }

    fn of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

const NAMES: &[&str] = &[
    "up",
    "a",
    "job:x:sum",
    "sum",
    "offset",
    "by",
    "node_cpu_seconds_total",
    "x_bucket",
    "on",
    "start",
    "bool",
];
const LABELS: &[&str] = &["job", "le", "by", "sum", "on", "a_b", "offset", "__name__"];
const RANGES: &[&str] = &["5m", "1h30m", "1d", "300s", "1w2d", "10ms"];
const OPS: &[&str] = &[
    "+", "-", "*", "/", "%", "^", "atan2", "==", "!=", ">", ">=", "<", "<=", "and", "or", "unless", "AND", "== bool",
    "> bool", "+ bool",
];

fn labels(random: &mut Random, out: &mut String) {
    out.push('(');
    for index in 0..random.below(3) {
        if index > 0 {
            out.push_str(", ");
        }
        out.push_str(random.of(LABELS));
    }
    out.push(')');
}

fn selector(random: &mut Random, out: &mut String) {
    if random.chance(90) {
        out.push_str(random.of(NAMES));
    }
    if random.chance(50) {
        out.push('{');
        for index in 0..random.below(3) {
            if index > 0 {
                out.push(',');
            }
            let value = random.of(&[
                "\"x\"",
                "'y'",
                "\"\"",
                "\".*\"",
                "\".+\"",
                "`z`",
                "\"a|b\"",
                "\"(\"",
                "\"\\\\d\"",
            ]);
            let _ = write!(
                out,
                "{}{}{value}",
                random.of(LABELS),
                random.of(&["=", "!=", "=~", "!~"])
            );
        }
        out.push('}');
    }
}

fn modifiers(random: &mut Random, out: &mut String) {
    if random.chance(15) {
        let _ = write!(out, " offset {}{}", random.of(&["", "-"]), random.of(RANGES));
    }
    if random.chance(8) {
        let _ = write!(
            out,
            " @ {}",
            random.of(&["start()", "end()", "1609746000", "-5.5", "x"])
        );
    }
}

fn range(random: &mut Random, depth: usize, out: &mut String) {
    if random.chance(75) {
        selector(random, out);
        let _ = write!(out, "[{}]", random.of(RANGES));
    } else {
        out.push('(');
        expression(random, depth, out);
        let _ = write!(out, ")[{}:{}]", random.of(RANGES), random.of(&["", "1m"]));
    }
    modifiers(random, out);
}

fn expression(random: &mut Random, depth: usize, out: &mut String) {
    let Some(depth) = depth.checked_sub(1) else {
        match random.below(6) {
            0 => out.push_str(random.of(&["1", "0.5", ".5", "1e3", "1e-3", "0x1F", "Inf", "NaN", "5.", "inf"])),
            _ => {
                selector(random, out);
                modifiers(random, out);
            }
        }
        return;
    };
    match random.below(11) {
        0..=2 => {
            expression(random, depth, out);
            let _ = write!(out, " {} ", random.of(OPS));
            if random.chance(20) {
                out.push_str(random.of(&["on ", "ignoring "]));
                labels(random, out);
                if random.chance(40) {
                    out.push_str(random.of(&[" group_left ", " group_right "]));
                    if random.chance(60) {
                        labels(random, out);
                    }
                }
                out.push(' ');
            }
            expression(random, depth, out);
        }
        3 | 4 => {
            let op = random.of(&[
                "sum",
                "avg",
                "MAX",
                "min",
                "count",
                "stddev",
                "group",
                "topk",
                "quantile",
                "count_values",
                "bottomk",
            ]);
            out.push_str(op);
            let before = random.chance(50);
            if before && random.chance(80) {
                out.push_str(random.of(&[" by ", " without "]));
                labels(random, out);
            }
            out.push_str(" (");
            match op {
                "topk" | "bottomk" | "quantile" => out.push_str("2, "),
                "count_values" => out.push_str("\"v\", "),
                _ => {}
            }
            expression(random, depth, out);
            out.push(')');
            if !before && random.chance(60) {
                out.push_str(random.of(&[" by ", " without "]));
                labels(random, out);
            }
        }
        5 | 6 => {
            let _ = write!(
                out,
                "{}(",
                random.of(&[
                    "rate",
                    "increase",
                    "delta",
                    "max_over_time",
                    "absent_over_time",
                    "changes",
                    "last_over_time"
                ])
            );
            range(random, depth, out);
            out.push(')');
        }
        7 => {
            let _ = write!(
                out,
                "{}(",
                random.of(&["abs", "absent", "ceil", "scalar", "sort", "timestamp", "round", "hour"])
            );
            expression(random, depth, out);
            out.push(')');
        }
        8 => match random.below(6) {
            0 => out.push_str(random.of(&["time()", "vector(1)", "pi()", "minute()", "time(1)", "vector(up)"])),
            1 => {
                out.push_str("histogram_quantile(0.9, ");
                expression(random, depth, out);
                out.push(')');
            }
            2 => {
                out.push_str("label_replace(");
                expression(random, depth, out);
                out.push_str(", \"d\", \"$1\", \"s\", \"(.*)\")");
            }
            3 => {
                out.push_str("clamp_max(");
                expression(random, depth, out);
                out.push_str(random.of(&[", 3)", ", up)", ")"]));
            }
            4 => {
                out.push_str("quantile_over_time(0.5, ");
                range(random, depth, out);
                out.push(')');
            }
            _ => {
                out.push_str("label_join(");
                expression(random, depth, out);
                out.push_str(", \"d\", \"-\", \"a\", \"b\")");
            }
        },
        9 => {
            out.push_str(random.of(&["-", "+", "- ", "(", "("]));
            let parenthesis = out.ends_with('(');
            expression(random, depth, out);
            if parenthesis {
                out.push(')');
            }
        }
        _ => {
            selector(random, out);
            modifiers(random, out);
        }
    }
}

/// An expression with a token taken out, doubled, exchanged or put in.
fn damaged(random: &mut Random, text: &str) -> String {
    let mut tokens: Vec<String> = Vec::new();
    for character in text.chars() {
        let word = |c: char| c.is_ascii_alphanumeric() || "_:.".contains(c);
        match tokens.last_mut() {
            Some(last) if word(character) && last.chars().all(word) => last.push(character),
            _ => tokens.push(character.to_string()),
        }
    }
    if tokens.is_empty() {
        return random.of(&["(", "}", "by", "offset 5m"]).to_owned();
    }
    for _ in 0..=random.below(2) {
        let (at, other) = (random.below(tokens.len()), random.below(tokens.len()));
        match random.below(4) {
            0 if tokens.len() > 1 => {
                tokens.remove(at);
            }
            1 => tokens.insert(at, tokens[other].clone()),
            2 => tokens.swap(at, other),
            _ => {
                let put = random.of(&[
                    "(", ")", "{", "}", "[", "]", ",", "by", "on", "bool", "5m", "1", "\"x\"", "offset", "@", "-",
                    "==", "=~", ":", "up", "rate", "sum", " ",
                ]);
                tokens.insert(at, put.to_owned());
            }
        }
    }
    tokens.concat()
}
