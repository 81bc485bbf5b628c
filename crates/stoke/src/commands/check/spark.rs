//! A start of the job's Spark with nothing to do: `local[1]`, its configuration, its packages and jars, then the classes that it names.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use stoke_gate::runs::spark::{Output, Start, Started, Tried, starts};
use stoke_gate::{Job, Settings};
use stoke_laptop::home::Home;
use stoke_laptop::local_spark::{AtHand, at_hand, keep_apart, private, submit, write_properties};
use stoke_laptop::process::{self, Ended};
use stoke_runtime::Runtimes;

use crate::failure::Outcome;
use crate::terminal::Terminal;

/// What is tried, in the driver's own Python: it runs nothing of the job.
const PROBE: &str = include_str!("probe.py");
/// How long a start may take, packages included.
const LIMIT: Duration = Duration::from_secs(300);

/// Starts a Spark for every application of a job.
///
/// # Errors
/// Interrupted; everything else is what came of a start.
pub async fn run(job: &Job, settings: &Settings, home: &Home, terminal: &mut Terminal) -> Outcome<Vec<Started>> {
    let runtimes = Runtimes::new(home.root());
    let mut all = Vec::new();
    for start in starts(job, settings) {
        let end = match at_hand(&runtimes, &start.version, terminal) {
            Ok(spark) => one(&start, &spark, home, terminal).await?,
            Err(refusal) => Err(refusal),
        };
        all.push(Started { start, end });
    }
    Ok(all)
}

async fn one(
    start: &Start,
    spark: &AtHand,
    home: &Home,
    terminal: &mut Terminal,
) -> Outcome<Result<Output, (String, String)>> {
    let scratch = private(home)?;
    let at = |name: &str| scratch.path().join(name);
    for name in ["conf", "work", "local", "warehouse"] {
        std::fs::create_dir(at(name))?;
    }
    let spark_home = spark.runtime.spark_home.display().to_string();
    let mut properties: BTreeMap<String, String> = start.properties.clone();
    let mut set = |key: &str, value: String| properties.insert(key.to_owned(), value);
    set("spark.app.name", "stoke-dry-run".to_owned());
    if !start.jars.is_empty() {
        let mut jars = Vec::new();
        for jar in &start.jars {
            let placed = jar.replace("$SPARK_HOME", &spark_home);
            let remote = placed.contains("://");
            let absolute = if remote {
                placed
            } else {
                std::path::absolute(placed)?.display().to_string()
            };
            if !remote && !Path::new(&absolute).exists() {
                let why = format!("{jar} is not there");
                return Ok(Err((why, "put it there, or write its path right".to_owned())));
            }
            jars.push(absolute);
        }
        set("spark.jars", jars.join(","));
    }
    if let Some(packages) = &start.packages {
        let ivy = home.root().join("dry-run-ivy");
        std::fs::create_dir_all(&ivy)?;
        set("spark.jars.packages", packages.clone());
        set("spark.jars.ivy", ivy.display().to_string());
    }
    keep_apart(&mut properties, scratch.path());
    write_properties(&at("job.conf"), &properties)?;
    let python: Vec<String> = start
        .python
        .iter()
        .map(|file| file.display().to_string().replace("$SPARK_HOME", &spark_home))
        .collect();
    let plan = json!({ "classes": start.classes, "main": start.class, "python": python, "answers": at("answers") });
    std::fs::write(at("plan.json"), plan.to_string())?;
    std::fs::write(at("probe.py"), PROBE)?;

    let mut command = submit(spark, "local[1]", &at("job.conf"), &at("conf"));
    command.arg(at("probe.py")).arg(at("plan.json"));
    let doing = format!(
        "starting Spark {} with the configuration of {}",
        start.version, start.file
    );
    Ok(
        match process::run(command, &at("log"), LIMIT, &doing, terminal).await? {
            Ended::Exited { code, output } => {
                let answers = std::fs::read_to_string(at("answers")).unwrap_or_default();
                let tried = answers
                    .lines()
                    .filter_map(|line| serde_json::from_str::<Tried>(line).ok());
                Ok(Output {
                    code,
                    tried: tried.collect(),
                    log: output,
                })
            }
            Ended::TooLong { .. } => Err((
                format!("it did not start within {} s", LIMIT.as_secs()),
                "see to it that what it waits for can be reached from here".to_owned(),
            )),
            Ended::NotThere(error) => Err((
                format!("spark-submit cannot be started: {error}"),
                format!("`stoke runtime install {}`", start.version),
            )),
        },
    )
}
