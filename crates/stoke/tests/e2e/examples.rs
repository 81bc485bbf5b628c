//! Every example runs on real Spark and ends as its first line says.

use std::process::Command;

use libtest_mimic::{Failed, Trial};

use crate::common::{Context, VERSIONS, expect_code, expect_parts, full, processes_of, program, repository, text};

pub fn trials(context: &Context) -> Vec<Trial> {
    let spark = [context.spark(VERSIONS[0])];
    let long = [full(), context.spark(VERSIONS[0])];
    let mut trials = vec![
        context.trial("example: pi", &spark, |context| {
            run(context, "pi.yaml", &[], 0, &["Pi is roughly 3.1", "COMPLETED"])
        }),
        context.trial("example: etl", &spark, |context| {
            run(
                context,
                "etl.yaml",
                &[],
                0,
                &["ETL checked: 10 countries, 200000 orders", "COMPLETED"],
            )
        }),
        context.trial("example: dynamic allocation", &spark, |context| {
            run(
                context,
                "dynamic-allocation.yaml",
                &[],
                0,
                &["Dynamic allocation checked", "COMPLETED"],
            )
        }),
        context.trial("example: streaming", &long, |context| {
            run(context, "streaming.yaml", &[], 0, &["Streaming checked", "COMPLETED"])
        }),
        context.trial("example: quality", &spark, |context| {
            run(
                context,
                "quality.yaml",
                &[],
                0,
                &[
                    "3000 prices written",
                    "QualityBefore: Passed: 1 of 1 contract passed",
                    "QualityAfter: Warned: 1 of 2 contracts passed",
                    "FAIL: price.max (<= 500)",
                    "COMPLETED",
                ],
            )
        }),
        context.trial("example: fails in user code", &spark, |context| {
            run(
                context,
                "fails.yaml",
                &[],
                1,
                &[
                    "FAILED",
                    "ValueError: invalid literal for int() with base 10: 'three'",
                    "main.py\", line 7",
                ],
            )
        }),
        context.trial("example: out of memory", &spark, |context| {
            run(context, "out-of-memory.yaml", &[], 1, &["FAILED", "OOMKilled (137)"])
        }),
        context.trial("example: never fits", &spark, |context| {
            run(
                context,
                "never-fits.yaml",
                &["--timeout", "5s"],
                124,
                &["0/1 nodes are available: 1 Insufficient cpu"],
            )
        }),
    ];
    trials.push(context.trial(
        "example: java",
        &[
            full(),
            context.spark(VERSIONS[0]),
            program("javac", "apt-get install openjdk-17-jdk-headless"),
        ],
        java,
    ));
    for version in &VERSIONS[1..] {
        trials.push(context.trial(
            &format!("example: pi on Spark {version}"),
            &[context.spark(version)],
            move |context| {
                let image = format!("spec.image=apache/spark:{version}");
                let spark = format!("spec.sparkVersion={version}");
                run(
                    context,
                    "pi.yaml",
                    &["--set", &image, "--set", &spark],
                    0,
                    &["Pi is roughly 3.1", "COMPLETED"],
                )
            },
        ));
    }
    trials
}

fn run(context: &Context, example: &str, options: &[&str], code: i32, parts: &[&str]) -> Result<(), Failed> {
    let home = context.private_home();
    let file = repository().join("examples").join(example);
    let output = crate::common::stoke(home.path(), ["run"])
        .arg(file)
        .args(options)
        .output()?;
    expect_code(&output, code)?;
    expect_parts(&text(&output), parts)?;
    nothing_left(home.path())
}

/// After a private run no process of it lives and no file of it lies about.
pub fn nothing_left(home: &std::path::Path) -> Result<(), Failed> {
    let processes = processes_of(home);
    if !processes.is_empty() {
        return Err(format!("processes left: {processes:#?}").into());
    }
    let clusters: Vec<_> = std::fs::read_dir(home.join("clusters"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    if clusters.is_empty() {
        Ok(())
    } else {
        Err(format!("directories left: {clusters:?}").into())
    }
}

/// Compiles the Java example as its manifest says and runs it from a directory of its own.
fn java(context: &Context) -> Result<(), Failed> {
    let spark = context.spark_home(VERSIONS[0]).ok_or("no Spark")?;
    let directory = tempfile::tempdir()?;
    let source = repository().join("examples/java");
    let classes = directory.path().join("classes");
    let class_path = format!("{}/*", spark.join("jars").display());
    let compiled = Command::new("javac")
        .arg("-cp")
        .arg(class_path)
        .arg("-d")
        .arg(&classes)
        .arg(source.join("WordCount.java"))
        .output()?;
    expect_code(&compiled, 0)?;
    let packed = Command::new("jar")
        .arg("cf")
        .arg(directory.path().join("word-count.jar"))
        .arg("-C")
        .arg(&classes)
        .arg(".")
        .output()?;
    expect_code(&packed, 0)?;
    let manifest = directory.path().join("word-count.yaml");
    std::fs::copy(source.join("word-count.yaml"), &manifest)?;
    let home = context.private_home();
    let output = crate::common::stoke(home.path(), ["run"]).arg(manifest).output()?;
    expect_code(&output, 0)?;
    expect_parts(
        &text(&output),
        &["Words counted: {be=2, not=1, or=1, to=2}", "COMPLETED"],
    )?;
    nothing_left(home.path())
}
