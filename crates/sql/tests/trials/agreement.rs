//! What this room says of statements, beside what the parser of the same Spark says: statements people write, statements drawn from the grammar, and the same
//! with a word too many, too few, or in another place.
//!
//! What each Spark's parser says is recorded in `recorded/`. By default the record of one version is replayed; `STOKE_TESTS=full` asks all of them live and fails
//! where a record has drifted. `STOKE_WRITE_RECORDS=1` beside it writes the records.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use libtest_mimic::{Failed, Trial};
use sha2::{Digest, Sha256};
use stoke_sql::Grammar;
use stoke_sql::generate::Random;
use stoke_testkit::{Tier, trial};

const VERSIONS: [&str; 3] = ["3.5.9", "4.1.4", "4.3.0"];
/// The version whose record is replayed by default: only its grammar is needed then.
const RECORDED: &str = "4.1.4";
/// Statements drawn from each grammar, and as many changed ones.
const DRAWN: usize = 400;
/// Of a hundred statements of `lines.sql`, so many are taken or refused as Spark does, at least.
const AGREE: usize = 99;
/// What is wrong with a statement for Spark's grammar, and not for what it builds of it.
const SYNTAX: [&str; 5] = [
    "PARSE_SYNTAX_ERROR",
    "PARSE_EMPTY_STATEMENT",
    "UNCLOSED_BRACKETED_COMMENT",
    "INVALID_IDENTIFIER",
    "UNRECOGNIZED_CHARACTER",
];

struct Spark {
    version: &'static str,
    home: PathBuf,
    python: PathBuf,
}

fn spark(version: &'static str) -> Result<Spark, String> {
    let runtime = stoke_testkit::spark::spark(version)?;
    let python = runtime.python.ok_or("its Python environment is not known")?;
    Ok(Spark {
        version,
        home: runtime.spark_home,
        python: python.environment.join("bin/python3"),
    })
}

pub fn all() -> Vec<Trial> {
    let trials = VERSIONS.into_iter().map(|version| {
        let tier = if version == RECORDED { Tier::Default } else { Tier::Full };
        let name = format!("Spark {version} takes and refuses the same statements");
        let needs = move || spark(version).map(|_| ());
        trial(&name, tier, needs, move || agrees(&spark(version)?))
    });
    trials.collect()
}

/// Takes away a word, puts one in, or changes one, or two places.
fn changed(statement: &str, others: &[String], random: &mut Random) -> String {
    let mut words: Vec<&str> = statement.split_whitespace().collect();
    let other = || others[0].as_str();
    let donor = others
        .get(random.below(others.len()))
        .map_or_else(other, String::as_str);
    let donated: Vec<&str> = donor.split_whitespace().collect();
    let donated = donated.get(random.below(donated.len())).copied().unwrap_or(",");
    if words.is_empty() {
        return donated.to_owned();
    }
    let place = random.below(words.len());
    match random.below(4) {
        0 => {
            words.remove(place);
        }
        1 => words.insert(place, donated),
        2 => words[place] = donated,
        _ => {
            let other = random.below(words.len());
            words.swap(place, other);
        }
    }
    words.join(" ")
}

fn agrees(spark: &Spark) -> Result<(), Failed> {
    let grammar = Grammar::of_spark(&spark.home)?;
    let written: Vec<String> = include_str!("../statements.sql")
        .split("\n;;\n")
        .map(str::to_owned)
        .collect();
    let lines = include_str!("../lines.sql")
        .lines()
        .filter(|line| !line.starts_with("# "));
    let lines: Vec<String> = lines.map(str::to_owned).collect();
    let mut random = Random::new(2026);
    let drawn: Vec<String> = (0..DRAWN)
        .map(|number| grammar.draw(3 + number % 28, &mut random))
        .collect();
    let wrong: Vec<String> = drawn
        .iter()
        .map(|statement| changed(statement, &drawn, &mut random))
        .collect();
    let all: Vec<&String> = written.iter().chain(&lines).chain(&drawn).chain(&wrong).collect();
    let of_lines = written.len()..written.len() + lines.len();

    let answers = answers(spark, &all)?;
    assert_eq!(answers.len(), all.len());

    let (mut wrong, mut accepted, mut refused, mut missed, mut slipped) = (Vec::new(), 0, 0, 0, Vec::new());
    for (number, (statement, answer)) in all.iter().zip(&answers).enumerate() {
        let ours = grammar.check(statement);
        match (answer, ours) {
            (None, Ok(())) => accepted += 1,
            (None, Err(error)) => wrong.push(format!("{statement}\n    Spark takes it; here {error}")),
            (Some(_), Err(_)) => refused += 1,
            // What is drawn may be wrong beyond its grammar in ways no one writes; what people write may not be missed.
            (Some(condition), Ok(())) => {
                if of_lines.contains(&number) {
                    slipped.push(format!("{condition}: {statement}"));
                } else {
                    missed += usize::from(SYNTAX.contains(&condition.as_str()));
                }
                if number < written.len() && SYNTAX.contains(&condition.as_str()) {
                    wrong.push(format!("{statement}\n    Spark says {condition}; here it is taken"));
                }
            }
        }
    }
    println!(
        "{accepted} taken by both, {refused} refused by both, {missed} syntax errors missed, of {}",
        all.len()
    );
    println!(
        "{} of {} lines refused by Spark alone:\n{}",
        slipped.len(),
        lines.len(),
        slipped.join("\n")
    );
    if slipped.len() * 100 > lines.len() * (100 - AGREE) {
        return Err("too many of the lines are refused by Spark alone".into());
    }
    // Of the syntax errors in statements that were drawn and changed, nearly all are found.
    if !wrong.is_empty() || missed * 10 > refused {
        return Err(format!(
            "{} of {} differ, {missed} syntax errors missed:\n{}",
            wrong.len(),
            all.len(),
            wrong.join("\n")
        )
        .into());
    }
    Ok(())
}

/// What Spark says of each statement: nothing, or the condition it refuses it with.
///
/// A record is a line for each answer, below the fingerprint of the statements, so that it is not taken for an answer to others.
fn answers(spark: &Spark, all: &[&String]) -> Result<Vec<Option<String>>, Failed> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/recorded/{}.txt", spark.version));
    let mut hasher = Sha256::new();
    all.iter()
        .for_each(|statement| hasher.update([statement.as_bytes(), b"\0"].concat()));
    let fingerprint: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let renew = "STOKE_TESTS=full STOKE_WRITE_RECORDS=1 cargo test -p stoke-sql --test agreement";
    if Tier::Full.need().is_err() {
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let mut lines = text.lines();
        if lines.next() != Some(fingerprint.as_str()) {
            return Err(format!("{} answers other statements; {renew} writes it", path.display()).into());
        }
        return Ok(lines.map(|line| (line != "-").then(|| line.to_owned())).collect());
    }
    let live = asked(spark, all)?;
    let lines = live.iter().map(|answer| answer.as_deref().unwrap_or("-"));
    let record = lines.fold(fingerprint + "\n", |text, line| text + line + "\n");
    if std::env::var_os("STOKE_WRITE_RECORDS").is_some() {
        std::fs::write(&path, &record)?;
    }
    if std::fs::read_to_string(&path)? != record {
        return Err(format!("{} is not what Spark says; {renew} writes it", path.display()).into());
    }
    Ok(live)
}

/// Asks the parser of a real Spark.
fn asked(spark: &Spark, all: &[&String]) -> Result<Vec<Option<String>>, Failed> {
    let directory = tempfile::tempdir()?;
    let (statements, answers) = (
        directory.path().join("statements.json"),
        directory.path().join("answers.json"),
    );
    serde_json::to_writer(std::fs::File::create(&statements)?, all)?;
    let output = Command::new(&spark.python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle.py"))
        .args([&statements, &answers])
        .env("SPARK_HOME", &spark.home)
        .env("SPARK_LOCAL_IP", "127.0.0.1")
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(serde_json::from_slice(&std::fs::read(&answers)?)?)
}
