//! `stoke check` as people and CI servers call it: exit codes, forms, waivers, policies.

use std::path::Path;
use std::process::Command;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::common::{Context, expect_code, expect_parts, repository, stoke, text};

pub fn trials(context: &Context) -> Vec<Trial> {
    let spark = [context.spark("4.1.4")];
    vec![
        context.trial("check: our examples pass", &spark, examples),
        context.trial("check: exit codes, forms and waivers", &spark, forms),
        context.trial("check: what cannot be determined does not pass", &[], cannot_tell),
        context.trial("check: policies and Pod Security", &[], policies),
        context.trial("check: wrong input is refused", &[], wrong_input),
        context.trial("quality: data against a contract", &[], quality),
    ]
}

const APP: &str = "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nmetadata: {name: daily, namespace: sales}\nspec:\n  type: Python\n  mode: cluster\n  sparkVersion: 4.1.4\n  image: apache/spark:4.1.4\n  mainApplicationFile: local:///opt/app/main.py\n  driver: {cores: 1, memory: 1g}\n  executor: {instances: 1, cores: 1, memory: 1g}\n";

/// `stoke check` in a directory.
fn check(context: &Context, directory: &Path, arguments: &[&str]) -> Command {
    let mut command = context.stoke(["check"]);
    command.args(arguments).current_dir(directory);
    command
}

fn examples(context: &Context) -> Result<(), Failed> {
    let all = std::fs::read_dir(repository().join("examples"))?;
    let mut files: Vec<String> = all
        .filter_map(|entry| entry.ok()?.path().to_str().map(str::to_owned))
        .collect();
    files.retain(|file| file.ends_with(".yaml"));
    files.sort();
    // One has a package, and there is no database of advisories here.
    let mut files: Vec<&str> = files.iter().map(String::as_str).collect();
    files.extend(["--advisories", "none"]);
    let checked = check(context, &repository(), &files).output()?;
    expect_code(&checked, 0)?;
    let warned = text(&checked).contains("warning");
    if warned {
        Err(Failed::from(text(&checked)))
    } else {
        Ok(())
    }
}

fn forms(context: &Context) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let job = directory.path();
    std::fs::write(job.join("app.yaml"), APP)?;
    std::fs::write(job.join("etl.sql"), "SELECT 1;\nSELEC 2;\n")?;
    let failed = check(
        context,
        job,
        &[
            "--report",
            "sarif=check.sarif",
            "--report",
            "junit=check.xml",
            "--report",
            "json=check.json",
        ],
    )
    .output()?;
    expect_code(&failed, 1)?;
    expect_parts(
        &text(&failed),
        &[
            "error[sql-syntax]",
            "--> etl.sql:2:1",
            "2 | SELEC 2;",
            "Spark 4.1.4",
            "pass           manifest",
            "fail           sql",
            "stoke check --explain sql-syntax",
        ],
    )?;
    let sarif: Value = serde_json::from_slice(&std::fs::read(job.join("check.sarif"))?)?;
    let result = &sarif["runs"][0]["results"][0];
    let region = &result["locations"][0]["physicalLocation"];
    if result["ruleId"] != "sql-syntax"
        || region["artifactLocation"]["uri"] != "etl.sql"
        || region["region"]["startLine"] != 2
    {
        return Err(Failed::from(sarif.to_string()));
    }
    let junit = std::fs::read_to_string(job.join("check.xml"))?;
    expect_parts(
        &junit,
        &[
            "<testsuite name=\"sql\" tests=\"1\" failures=\"1\"",
            "name=\"sql-syntax etl.sql:2:1\"",
        ],
    )?;
    let report: Value = serde_json::from_slice(&std::fs::read(job.join("check.json"))?)?;
    if report["verdict"] != "fail" {
        return Err(Failed::from(report.to_string()));
    }
    // One gate of those.
    expect_code(&check(context, job, &["--gate", "manifest,conf"]).output()?, 0)?;
    // A waiver holds until its day, and says who answers.
    let waivers = job.join("stoke-waivers.yaml");
    let waiver = |until: &str| {
        format!(
            "waivers:\n- code: sql-syntax\n  file: etl.sql\n  owner: sales@example.com\n  reason: moves to the new parser\n  expires: {until}\n"
        )
    };
    std::fs::write(&waivers, waiver("2999-12-31"))?;
    let waived = check(context, job, &[]).output()?;
    expect_code(&waived, 0)?;
    expect_parts(
        &text(&waived),
        &[
            "waived         sql",
            "moves to the new parser (until 2999-12-31, sales@example.com)",
        ],
    )?;
    std::fs::write(&waivers, waiver("2020-01-01"))?;
    let expired = check(context, job, &[]).output()?;
    expect_code(&expired, 1)?;
    expect_parts(
        &text(&expired),
        &["error[waiver-expired]", "stoke-waivers.yaml:2:", "error[sql-syntax]"],
    )?;
    std::fs::write(&waivers, "waivers:\n- code: sql-syntax\n  ownr: me\n")?;
    let unread = check(context, job, &[]).output()?;
    expect_code(&unread, 2)?;
    expect_parts(&text(&unread), &["did you mean `owner`?", "nothing was checked"])?;
    // A pipe is not a terminal: no colour.
    if text(&failed).contains('\u{1b}') {
        return Err(Failed::from("colours in a pipe"));
    }
    let explained = context
        .stoke(["check", "--explain", "kubernetes-removed-api"])
        .output()?;
    expect_code(&explained, 0)?;
    expect_parts(&text(&explained), &["what", "why", "fix"])
}

fn cannot_tell(_: &Context) -> Result<(), Failed> {
    // A home without any Spark.
    let home = tempfile::tempdir()?;
    let directory = tempfile::tempdir()?;
    let job = directory.path();
    std::fs::write(job.join("etl.sql"), "SELECT 1;\n")?;
    let untold = stoke(home.path(), ["check", "--spark", "4.1.4"])
        .current_dir(job)
        .output()?;
    expect_code(&untold, 3)?;
    expect_parts(
        &text(&untold),
        &[
            "cannot tell[sql-no-grammar]",
            "stoke runtime install 4.1.4",
            "cannot tell    sql",
        ],
    )?;
    // What no Spark takes is found all the same.
    std::fs::write(job.join("etl.sql"), "SELECT (1;\n")?;
    let wrong = stoke(home.path(), ["check"]).current_dir(job).output()?;
    expect_code(&wrong, 1)?;
    expect_parts(&text(&wrong), &["`(` is not closed"])?;
    std::fs::write(job.join("etl.sql"), "")?;
    std::fs::write(
        job.join("app.yaml"),
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Values.name }}\n",
    )?;
    let template = stoke(home.path(), ["check"]).current_dir(job).output()?;
    expect_code(&template, 3)?;
    expect_parts(&text(&template), &["manifest-template", "helm template"])
}

fn policies(context: &Context) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let job = directory.path();
    std::fs::write(job.join("app.yaml"), APP)?;
    expect_code(&check(context, job, &[]).output()?, 0)?;
    let denied = check(context, job, &["--pack", "labels,image-digest"]).output()?;
    expect_code(&denied, 1)?;
    expect_parts(
        &text(&denied),
        &["error[policy/", "fail           policy", "--> app.yaml:"],
    )?;
    std::fs::create_dir(job.join("policies"))?;
    std::fs::write(
        job.join("policies/team.rego"),
        "package team\ndeny[msg] {\n  input.kind == \"SparkApplication\"\n  input.spec.executor.instances < 2\n  msg := \"spec.executor.instances: at least two\"\n}\n",
    )?;
    let old_syntax = check(context, job, &[]).output()?;
    expect_code(&old_syntax, 1)?;
    expect_parts(
        &text(&old_syntax),
        &["error[policy/team.deny]", "at least two", "app.yaml:11:"],
    )?;
    // A rule that no one has seen firing is not a rule.
    let untested = context.stoke(["policy", "test"]).current_dir(job).output()?;
    expect_code(&untested, 1)?;
    expect_parts(&text(&untested), &["never seen firing"])?;
    std::fs::write(job.join("policies/team.rego"), "package team\ndeny[msg] {\n")?;
    let broken = check(context, job, &[]).output()?;
    expect_code(&broken, 3)?;
    expect_parts(&text(&broken), &["cannot tell[rego-syntax]", "team.rego:"])?;
    std::fs::remove_dir_all(job.join("policies"))?;
    let ours = context.stoke(["policy", "init"]).current_dir(job).output()?;
    expect_code(&ours, 0)?;
    let tested = context.stoke(["policy", "test"]).current_dir(job).output()?;
    expect_code(&tested, 0)?;
    std::fs::remove_dir_all(job.join("policies"))?;
    std::fs::write(
        job.join("app.yaml"),
        APP.replace("driver: {", "driver: {hostNetwork: true, "),
    )?;
    let secured = check(context, job, &["--pod-security", "baseline"]).output()?;
    expect_code(&secured, 1)?;
    expect_parts(
        &text(&secured),
        &["error[pod-security/hostNamespaces]", "hostNetwork=true"],
    )
}

fn wrong_input(context: &Context) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let empty = directory.path();
    for (arguments, said) in [
        (vec![], "there is nothing to check"),
        (vec!["nowhere"], "nowhere: No such file"),
        (vec!["--gate", "manifests"], "did you mean manifest?"),
        (vec!["--kubernetes", "1.99"], "1.15 to 1.37"),
        (vec!["--kubernetes", "newest"], "not a version of Kubernetes"),
        (vec!["--report", "sarif"], "FORM=FILE"),
        (vec!["--report", "html=x"], "there is no form `html`"),
        (vec!["--explain", "unknown-feild"], "did you mean `unknown-field`?"),
        (vec!["--waivers", "none.yaml"], "none.yaml: No such file"),
        (vec!["--pod-security", "strict"], "privileged, baseline, restricted"),
        (vec!["--pack", "registris"], "did you mean registries?"),
    ] {
        std::fs::write(empty.join("x"), "x")?;
        if arguments.is_empty() {
            std::fs::remove_file(empty.join("x"))?;
        }
        let refused = check(context, empty, &arguments).output()?;
        expect_code(&refused, 2)?;
        expect_parts(&text(&refused), &[said])?;
    }
    Ok(())
}

fn quality(context: &Context) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let here = directory.path();
    std::fs::write(here.join("orders.csv"), "id,status\n1,new\n2,paid\n2,lost\n")?;
    let contract =
        "name: orders\nrows: {min: 1}\ncolumns:\n  id: {required: true, unique: true}\n  status: {in: [new, paid]}\n";
    std::fs::write(here.join("orders.yaml"), contract)?;
    let run = |arguments: &[&str]| {
        context
            .stoke(["quality", "run"])
            .args(arguments)
            .current_dir(here)
            .output()
    };
    let failed = run(&[
        "orders.yaml",
        "--data",
        "orders.csv",
        "--quarantine",
        "aside",
        "--output",
        "json",
    ])?;
    expect_code(&failed, 1)?;
    let report: Value = serde_json::from_slice(&failed.stdout)?;
    if report["verdict"] != "fail" {
        return Err(Failed::from(report.to_string()));
    }
    std::fs::write(here.join("good.csv"), "id,status\n1,new\n2,paid\n")?;
    expect_code(&run(&["orders.yaml", "--data", "good.csv"])?, 0)?;
    // Data or contracts that are not there do not pass.
    let nothing = run(&["orders.yaml", "--data", "nowhere"])?;
    expect_code(&nothing, 3)?;
    expect_parts(&text(&nothing), &["nowhere"])?;
    expect_code(&run(&["none.yaml", "--data", "good.csv"])?, 2)?;
    std::fs::write(here.join("orders.yaml"), contract.replace("unique", "uniqe"))?;
    let misspelt = run(&["orders.yaml", "--data", "good.csv"])?;
    expect_code(&misspelt, 2)?;
    expect_parts(&text(&misspelt), &["orders.yaml:4:", "unique"])
}
