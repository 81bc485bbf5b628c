//! Rules in SQL, answered by one local Spark.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use stoke_laptop::home::Home;
use stoke_laptop::local_spark::{self, private};
use stoke_laptop::process::{self, Ended};
use stoke_model::units::people::counted;
use stoke_quality::sql::{Answer, Request};
use stoke_runtime::Runtimes;

use crate::failure::Outcome;
use crate::terminal::Terminal;

/// What answers, in the driver's own Python.
const PROGRAM: &str = include_str!("answer.py");

/// The Spark that is wanted, and how long it may take.
pub struct Wanted {
    /// The version; the newest at hand when none.
    pub version: Option<String>,
    /// For all queries together, the start included.
    pub limit: Duration,
}

/// One line of the program.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(default)]
    number: Option<String>,
    #[serde(default)]
    problem: Option<String>,
}

/// Answers the queries of a request.
///
/// # Errors
/// Interrupted, or there is no place for scratch files; what Spark cannot do is an answer.
pub async fn answers(request: &Request, wanted: &Wanted, home: &Home, terminal: &mut Terminal) -> Outcome<Vec<Answer>> {
    let all = |reason: String| vec![Err(reason); request.queries.len()];
    let runtimes = Runtimes::new(home.root());
    let newest = || runtimes.list().last().map(|runtime| runtime.version.to_string());
    let Some(version) = wanted.version.clone().or_else(newest) else {
        return Ok(all(
            "the rule is SQL, and no Spark is at hand to run it: `stoke runtime install 4.1.4`".into(),
        ));
    };
    let spark = match local_spark::at_hand(&runtimes, &version, terminal) {
        Ok(spark) => spark,
        Err((why, fix)) => {
            let why = format!("the rule is SQL, and Spark {version} cannot be had to run it: {why}; {fix}");
            return Ok(all(why));
        }
    };
    let scratch = private(home)?;
    let at = |name: &str| scratch.path().join(name);
    for name in ["conf", "work", "local", "warehouse"] {
        std::fs::create_dir(at(name))?;
    }
    let mut properties: BTreeMap<String, String> = BTreeMap::new();
    let mut set = |key: &str, value: &str| properties.insert(key.to_owned(), value.to_owned());
    set("spark.app.name", "stoke-quality");
    // Texts that are of another type than their column break a query rather than being null in it.
    set("spark.sql.ansi.enabled", "true");
    set("spark.sql.session.timeZone", "UTC");
    // Rows with more or fewer fields than columns are found also by queries that read few of the columns.
    set("spark.sql.csv.parser.columnPruning.enabled", "false");
    set("spark.ui.showConsoleProgress", "false");
    local_spark::keep_apart(&mut properties, scratch.path());
    local_spark::write_properties(&at("properties"), &properties)?;
    local_spark::configure(&spark, &at("conf"))?;
    let plan =
        json!({ "names": request.names, "table": request.table, "queries": request.queries, "answers": at("answers") });
    std::fs::write(at("plan.json"), plan.to_string())?;
    std::fs::write(at("answer.py"), PROGRAM)?;

    let mut command = local_spark::submit(&spark, "local[*]", &at("properties"), &at("conf"));
    command
        .arg(at("answer.py"))
        .arg(at("plan.json"))
        .current_dir(at("work"));
    let queries = counted(request.queries.len(), "query");
    let doing = format!("running {queries} in Spark {version}");
    let end = match process::run(command, &at("log"), wanted.limit, &doing, terminal).await? {
        Ended::Exited { code: Some(0), .. } => "Spark did not answer the query".to_owned(),
        Ended::Exited { output, .. } => format!("Spark {version} ended before it answered: {}", last(&output)),
        Ended::TooLong { .. } => format!(
            "the query was not answered within {} s; say --sql-timeout, or make it cheaper",
            wanted.limit.as_secs()
        ),
        Ended::NotThere(error) => format!("spark-submit cannot be started: {error}; `stoke runtime install {version}`"),
    };
    let written = std::fs::read_to_string(at("answers")).unwrap_or_default();
    Ok(read(&written, request.queries.len(), &end))
}

/// The answers of the program; those that are missing are not told for the reason given.
fn read(written: &str, count: usize, end: &str) -> Vec<Answer> {
    let mut lines = written.lines();
    let one = |line: &str| match serde_json::from_str(line) {
        Ok(Line {
            number: Some(number),
            problem: None,
        }) => number
            .parse()
            .map_err(|_| format!("Spark gave {number:?}, which is not a number")),
        Ok(Line {
            problem: Some(problem), ..
        }) => Err(problem),
        // A line that the end of time cut off.
        _ => Err(end.to_owned()),
    };
    (0..count)
        .map(|_| lines.next().map_or_else(|| Err(end.to_owned()), one))
        .collect()
}

/// The last line of a log that says something.
fn last(output: &str) -> String {
    let line = output.lines().rev().find(|line| !line.trim().is_empty());
    let line: String = line.unwrap_or("it said nothing").trim().chars().take(300).collect();
    line.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn answers_are_read_as_far_as_they_go() {
        let written =
            "{\"number\": \"3\"}\n{\"problem\": \"no\"}\n{\"number\": \"1.50\"}\n{\"number\": \"x\"}\n{\"numb";
        let found = read(written, 6, "late");
        assert_eq!(
            (&found[0], &found[1], &found[2]),
            (&Ok(3.0), &Err("no".into()), &Ok(1.5))
        );
        assert!(found[3].as_ref().unwrap_err().contains("not a number"));
        assert_eq!((&found[4], &found[5]), (&Err("late".into()), &Err("late".into())));
    }
}
