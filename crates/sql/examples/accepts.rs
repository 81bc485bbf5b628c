//! Says of each statement whether a Spark's parser takes it.
//!
//! `cargo run --release -p stoke-sql --features examples --example accepts -- SPARK_HOME < statements`: statements as a JSON list of texts; out comes a list of `null` or the error.

use std::io::Write;
use std::path::Path;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let home = std::env::args()
        .nth(1)
        .ok_or("usage: accepts SPARK_HOME < statements.json")?;
    let begun = Instant::now();
    let grammar = stoke_sql::Grammar::of_spark(Path::new(&home))?;
    let read = begun.elapsed();
    let statements: Vec<String> = serde_json::from_reader(std::io::stdin().lock())?;
    let begun = Instant::now();
    let answers: Vec<Option<String>> = statements
        .iter()
        .map(|sql| grammar.check(sql).err().map(|error| error.to_string()))
        .collect();
    let checked = begun.elapsed();
    serde_json::to_writer(std::io::stdout().lock(), &answers)?;
    writeln!(
        std::io::stderr(),
        "grammar {read:?}, {} statements {checked:?}",
        statements.len()
    )?;
    Ok(())
}
