//! Fifty healthy runs of many kinds: `stoke doctor` finds nothing in any.

use std::process::Command;
use std::sync::Arc;

use libtest_mimic::{Failed, Trial};
use serde_json::json;

use crate::behaviours::application;
use crate::behaviours::ground::{Shared, Stage};
use crate::common::{Context, Need};

/// Healthy programs, run by one driver after the other in local mode: what each writes is a run of its own.
const PROGRAMS: &str = include_str!("healthy.py");

/// Healthy applications in the cluster.
const IN_CLUSTER: [(&str, &str); 6] = [
    ("pi", "print(sc.parallelize(range(1000), 4).map(lambda x: x * x).sum())"),
    (
        "shuffle",
        "print(spark.range(100000).selectExpr('id % 100 k', 'id').groupBy('k').sum('id').collect()[:3])",
    ),
    ("caches", "d = spark.range(50000).cache()\nprint(d.count(), d.count())"),
    (
        "handled",
        "try:\n    spark.read.parquet('/no/such').show()\nexcept Exception as error:\n    print('as expected', type(error))\nprint(spark.range(10).count())",
    ),
    (
        "retries",
        "def once(part):\n    from pyspark import TaskContext\n    if TaskContext.get().attemptNumber() == 0 and TaskContext.get().partitionId() == 0:\n        raise ValueError('the first time only')\n    return part\n\
         print(sc.parallelize(range(10), 4).mapPartitions(once).count())",
    ),
    (
        "joins",
        "a, b = spark.range(10000), spark.range(100)\nprint(a.join(b, 'id').count(), a.join(b, 'id', 'left').count())",
    ),
];

pub fn trials(context: &Context, needs: &[Need], shared: &Arc<Shared>) -> Vec<Trial> {
    let mut trials: Vec<Trial> = IN_CLUSTER
        .into_iter()
        .map(|(name, code)| {
            let shared = Arc::clone(shared);
            context.trial(
                &format!("doctor: nothing is found in the healthy {name}"),
                needs,
                move |context| in_cluster(&shared.get(context)?.stage()?, name, code),
            )
        })
        .collect();
    trials.push(context.trial(
        "doctor: nothing is found in 44 healthy event logs of three Sparks",
        &[context.spark("4.1.4"), context.spark("3.5.9"), context.spark("4.3.0")],
        event_logs,
    ));
    trials
}

fn in_cluster(stage: &Stage<'_>, name: &str, code: &str) -> Result<(), Failed> {
    let code = format!(
        "from pyspark.sql import SparkSession\nspark = SparkSession.builder.getOrCreate()\nsc = spark.sparkContext\n{code}\nspark.stop()\n"
    );
    stage.apply(&application(stage, name, &code, json!({}))?)?;
    stage.until_state(name, "COMPLETED")?;
    nothing(&stage.doctor(name)?, name)
}

fn nothing(answer: &serde_json::Value, of: &str) -> Result<(), Failed> {
    match answer["findings"].as_array().map(Vec::len) {
        Some(0) => Ok(()),
        _ => Err(format!("{of} is healthy, and yet:\n{answer:#}").into()),
    }
}

fn event_logs(context: &Context) -> Result<(), Failed> {
    let mut looked_at = 0;
    for version in crate::common::VERSIONS {
        let spark = context.spark_home(version).ok_or("no Spark")?;
        let directory = tempfile::tempdir()?;
        let (logs, program) = (directory.path().join("logs"), directory.path().join("healthy.py"));
        std::fs::create_dir(&logs)?;
        std::fs::write(&program, PROGRAMS)?;
        // Spark is a package of a virtual environment: <environment>/lib/python3.x/site-packages/pyspark.
        let python = spark.ancestors().nth(4).ok_or("no environment")?.join("bin/python3");
        let output = Command::new(spark.join("bin/spark-submit"))
            .env("SPARK_HOME", &spark)
            .env("PYSPARK_PYTHON", python)
            .arg(&program)
            .arg(&logs)
            .arg(directory.path())
            .output()?;
        crate::common::expect_code(&output, 0)?;
        for entry in std::fs::read_dir(&logs)? {
            let path = entry?.path();
            if path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with('.'))
            {
                continue;
            }
            let home = tempfile::tempdir()?;
            let output = crate::common::stoke(home.path(), ["doctor", "-o", "json", "--event-log"])
                .arg(&path)
                .output()?;
            crate::common::expect_code(&output, 0)?;
            nothing(&serde_json::from_slice(&output.stdout)?, &path.display().to_string())?;
            looked_at += 1;
        }
    }
    match looked_at {
        44.. => Ok(()),
        few => Err(format!("{few} event logs only").into()),
    }
}
