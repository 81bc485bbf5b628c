//! A/B: real Sparks in turn, a planted slowdown, an equal release, and everything that must not be counted in silence.

use std::process::{Command, Output};
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::common::{Context, Need, expect_code, expect_parts, full, once_said, text};
use crate::shadow::{OLD, World};

pub fn trials(context: &Context) -> Vec<Trial> {
    let of_tier_full = || -> Vec<Need> {
        vec![
            full(),
            context.spark("4.1.4"),
            context.package("org.apache.hadoop:hadoop-aws:3.4.2"),
        ]
    };
    vec![
        context.trial("ab: a planted slowdown is found", &of_tier_full(), slower),
        context.trial("ab: an equal release raises no alarm", &of_tier_full(), equal),
        context.trial(
            "ab: what must not be counted is not, and an interruption keeps its pairs",
            &of_tier_full(),
            kept,
        ),
        context.trial("ab: recorded pairs are judged", &[], recorded),
        context.trial(
            "ab: what makes no sense is refused first",
            &[context.spark("4.1.4")],
            refused,
        ),
    ]
}

fn arguments<'a>(world: &'a World, new: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let fixed = [
        "release",
        "ab",
        new,
        "--against",
        &world.old,
        "--reads",
        "s3a://spark/orders",
        "--writes",
        "s3a://spark/report",
        "--key",
        "country",
    ];
    [&fixed[..], more].concat()
}

/// Runs an A/B; gives its record.
fn ab(world: &World, new: &str, more: &[&str]) -> Result<(Output, Value), Failed> {
    let output = world.stoke(&[&arguments(world, new, more)[..], &["--output", "json"]].concat())?;
    world.untouched()?;
    let record = serde_json::from_slice(&output.stdout).map_err(|error| format!("{error}: {}", text(&output)))?;
    if let Some(directory) = std::env::var_os("STOKE_AB_RECORDS") {
        let name = format!("{}.json", new.trim_start_matches("sha256:"));
        std::fs::write(std::path::Path::new(&directory).join(name), &output.stdout)?;
    }
    Ok((output, record))
}

fn environments(world: &World) -> Result<(), Failed> {
    let text = "environments:\n- name: prod\n  namespace: prod\n  git: {repository: deploy.git, path: apps/prod}\n  ab: {maxAge: 1h}\n";
    std::fs::write(world.work.path().join("environments.yaml"), text)?;
    let made = Command::new("git")
        .args(["init", "-q", "--bare", "-b", "main"])
        .arg(world.work.path().join("deploy.git"))
        .output()?;
    expect_code(&made, 0)?;
    expect_code(&world.stoke(&["release", "promote", &world.old, "--to", "prod"])?, 0)
}

fn counted(record: &Value) -> usize {
    let pairs = record["pairs"].as_array().into_iter().flatten();
    pairs.filter(|pair| pair["leftOut"].is_null()).count()
}

fn slower(context: &Context) -> Result<(), Failed> {
    let world = World::new(context)?;
    environments(&world)?;
    let bad = world.release(&format!("import time; time.sleep(8)\n{OLD}"))?;
    let promote = || world.stoke(&["release", "promote", &bad, "--to", "prod"]);
    let output = promote()?;
    expect_code(&output, 3)?;
    expect_parts(
        &text(&output),
        &["release-ab", "asks for an A/B of", "and there is none"],
    )?;

    let (output, record) = ab(&world, &bad, &["--alpha", "0.1", "--effect", "10%", "--seed", "3"])?;
    expect_code(&output, 1)?;
    let metric = &record["metrics"][0];
    let pairs = counted(&record);
    let holds = record["verdict"] == "worse"
        && metric["found"] == "more"
        && metric["low"].as_f64().is_some_and(|low| low > 1.0)
        && (5..=15).contains(&pairs)
        && record["outputs"][0]["compared"]["equal"] == true
        && record["comparison"]["explanations"].is_array()
        && record["reasons"][0]["code"] == "release-ab-slower";
    if !holds {
        return Err(format!("{record:#}").into());
    }
    // Both orders were run, and the warm-up is not among the pairs.
    let first = |which: &str| {
        record["pairs"]
            .as_array()
            .is_some_and(|all| all.iter().any(|pair| pair["first"] == which))
    };
    if !(first("old") && first("new") && record["warmUp"]["old"]["milliseconds"].is_number()) {
        return Err(format!("{record:#}").into());
    }
    expect_parts(
        &text(&world.stoke(&["release", "show", &bad])?),
        &["gate  ab  fail  against"],
    )?;
    let output = promote()?;
    expect_code(&output, 1)?;
    expect_parts(&text(&output), &["release-ab", "says that it is worse"])?;
    // The record stands as evidence for no other verdict and no other release.
    let file = world.work.path().join("record.json");
    std::fs::write(&file, record.to_string())?;
    let file = file.to_string_lossy().into_owned();
    let entry = |release: &str, verdict: &str| {
        let arguments = [
            "release",
            "record",
            release,
            "--gate",
            "ab",
            "--verdict",
            verdict,
            "--evidence",
            &file,
        ];
        world.stoke(&arguments)
    };
    expect_code(&entry(&world.old, "fail")?, 2)?;
    let contrary = entry(&bad, "pass")?;
    expect_code(&contrary, 2)?;
    expect_parts(&text(&contrary), &["release-ab-record", "the record says `worse`"])?;
    expect_code(&entry(&bad, "fail")?, 0)?;
    expect_code(&world.stoke(&["release", "verify"])?, 0)
}

fn equal(context: &Context) -> Result<(), Failed> {
    let world = World::new(context)?;
    environments(&world)?;
    let same = world.release(&format!("{OLD}\nprint(1)"))?;
    let asked = ["--alpha", "0.1", "--effect", "40%", "--seed", "5", "--max-pairs", "10"];
    let (output, record) = ab(&world, &same, &asked)?;
    let said = record["verdict"].as_str().unwrap_or_default();
    match (output.status.code(), said) {
        (Some(0), "no-difference" | "better") => {
            expect_code(&world.stoke(&["release", "promote", &same, "--to", "prod"])?, 0)
        }
        (Some(3), "cannot-tell") => expect_parts(&text(&output), &["release-ab-open", "no verdict after 10 pairs"]),
        _ => Err(format!("{:?}: {record:#}", output.status).into()),
    }
}

/// Other data, a new release that fails once, an input that changes, an interruption after which it goes on.
fn kept(context: &Context) -> Result<(), Failed> {
    let world = World::new(context)?;
    let other = world.release(&format!("report = report.where(\"country <> 'IT'\")\n{OLD}"))?;
    let (output, record) = ab(&world, &other, &[])?;
    expect_code(&output, 1)?;
    if record["reasons"][0]["code"] != "release-shadow-data" || counted(&record) != 0 {
        return Err(format!("{record:#}").into());
    }

    let same = world.release(&format!("{OLD}\nprint(2)"))?;
    let asked = arguments(&world, &same, &["--alpha", "0.1", "--effect", "40%", "--seed", "11"]);
    let interrupt = |id: u32| -> Result<(), Failed> {
        std::thread::sleep(Duration::from_secs(3));
        expect_code(&Command::new("kill").args(["-INT", &id.to_string()]).output()?, 0)
    };
    let (code, seen) = once_said(&mut world.command(&asked), "pair 2: the", &interrupt)?;
    if code != 130 {
        return Err(format!("{code}: {seen}").into());
    }
    expect_parts(
        &seen,
        &["release-ab-interrupted", "interrupted after 1 pair", "pairs  1 counted"],
    )?;
    world.untouched()?;
    let evidence = seen
        .split("--resume sha256:")
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next());
    let evidence = format!("sha256:{}", evidence.ok_or_else(|| seen.clone())?);

    // It goes on with what it had; then an input changes, and nothing is concluded.
    let again = arguments(&world, &same, &["--resume", &evidence]);
    let change = |_: u32| world.put("orders/part-1.csv", "id,country,amount\n1,DE,1.0\n");
    let (code, seen) = once_said(&mut world.command(&again), "pair 2: the", &change)?;
    if code != 3 {
        return Err(format!("{code}: {seen}").into());
    }
    expect_parts(
        &seen,
        &[
            "it goes on after 1 pair of an A/B before",
            "release-shadow-input",
            "s3://spark/orders/part-1.csv (replaced)",
            "pairs  1 counted, 1 left out",
        ],
    )?;
    world.untouched()?;
    // On other inputs it does not go on.
    let output = world.stoke(&again)?;
    expect_code(&output, 2)?;
    expect_parts(&text(&output), &["release-ab-resume", "the inputs are not those"])?;
    let other_pair = arguments(&world, &other, &["--resume", &evidence]);
    let output = world.stoke(&other_pair)?;
    expect_code(&output, 2)?;
    expect_parts(&text(&output), &["release-ab-record", "is about"])
}

fn recorded(context: &Context) -> Result<(), Failed> {
    let work = tempfile::tempdir()?;
    let home = context.private_home();
    let run = |rows: &str, more: &[&str]| -> Result<Output, Failed> {
        std::fs::write(work.path().join("runs.csv"), rows)?;
        let arguments = [&["release", "ab", "--runs", "runs.csv"][..], more].concat();
        let mut command = crate::common::stoke(home.path(), arguments);
        Ok(command.current_dir(work.path()).output()?)
    };
    let pairs = |ratio: f64, count: usize| -> String {
        let rows = (0..count).map(|at| {
            let old = 60.0 + (at * 7 % 5) as f64;
            format!("{at},{old},{:.3}\n", old * ratio * (1.0 + 0.004 * (at % 3) as f64))
        });
        std::iter::once("day,old,new\n".to_owned()).chain(rows).collect()
    };
    for (rows, more, code, parts) in [
        (
            pairs(1.2, 12),
            vec![],
            1,
            vec!["slower", "+2", "% to +", "were not looked at", "no coin of Stoke"],
        ),
        (pairs(1.2, 12), vec!["--metric", "cost"], 1, vec!["dearer"]),
        (pairs(0.7, 12), vec![], 0, vec!["faster"]),
        (pairs(0.7, 12), vec!["--metric", "core-seconds"], 0, vec!["cheaper"]),
        (pairs(0.996, 12), vec![], 0, vec!["no difference that matters"]),
        (
            pairs(1.2, 4),
            vec![],
            3,
            vec!["cannot tell", "no bounds yet", "pairs more would decide"],
        ),
        (pairs(1.2, 6), vec!["--alpha", "0.000001"], 3, vec!["cannot tell"]),
        (
            "old,new\n1,2\n3\n".to_owned(),
            vec![],
            2,
            vec!["runs.csv:3:1", "release-ab-runs"],
        ),
        (
            "old,new\n1,NaN\n".to_owned(),
            vec![],
            2,
            vec!["runs.csv:2:3", "`NaN` is not a positive number"],
        ),
        (String::new(), vec![], 2, vec!["no runs in the file"]),
        (
            pairs(1.2, 9),
            vec!["--effect", "0"],
            2,
            vec!["release-ab-design", "--effect: 0 %"],
        ),
        (pairs(1.2, 9), vec!["--effect", "-5%"], 2, vec!["--effect: -5 %"]),
        (
            pairs(1.2, 9),
            vec!["--alpha", "2"],
            2,
            vec!["release-ab-design", "--alpha: 2 "],
        ),
        (pairs(1.2, 9), vec!["--alpha", "NaN"], 2, vec!["--alpha: NaN"]),
        (
            pairs(1.2, 9),
            vec!["--metric", "time,cost"],
            2,
            vec!["release-ab-runs", "of one metric"],
        ),
        (
            pairs(1.2, 9),
            vec!["--metric", "cpu"],
            2,
            vec!["it is one of time, core-seconds, cost"],
        ),
    ] {
        let output = run(&rows, &more)?;
        expect_code(&output, code)?;
        expect_parts(&text(&output), &parts)?;
    }
    let output = run(&pairs(1.2, 12), &["--output", "json"])?;
    let answer: Value = serde_json::from_slice(&output.stdout)?;
    if answer["verdict"] != "worse" || answer["metrics"][0]["found"] != "more" || answer["pairs"] != 12 {
        return Err(format!("{answer:#}").into());
    }
    std::fs::remove_file(work.path().join("runs.csv"))?;
    let mut command = crate::common::stoke(home.path(), ["release", "ab", "--runs", "runs.csv"]);
    let output = command.current_dir(work.path()).output()?;
    expect_code(&output, 2)?;
    expect_parts(&text(&output), &["release-ab-runs", "name a CSV file"])
}

/// Nothing is started for what could give no verdict.
fn refused(context: &Context) -> Result<(), Failed> {
    let world = World::new(context)?;
    let good = world.release(&format!("{OLD} "))?;
    let file = world.work.path().join("record.json");
    std::fs::write(&file, "{}")?;
    let file = file.to_string_lossy().into_owned();
    for (arguments, code, part) in [
        (arguments(&world, &world.old, &[]), "release-ab-same", "are one release"),
        (arguments(&world, "nothing", &[]), "stoke::release::unknown", "nothing"),
        (
            arguments(&world, &good, &["--max-pairs", "1"]),
            "release-ab-design",
            "no verdict comes before pair 6",
        ),
        (
            arguments(&world, &good, &["--max-time", "0s"]),
            "release-ab-design",
            "--max-time",
        ),
        (
            arguments(&world, &good, &["--metric", "cost"]),
            "release-ab-design",
            "name a price table",
        ),
        (
            arguments(&world, &good, &["--metric", "time,time"]),
            "release-ab-design",
            "one twice",
        ),
        (
            arguments(&world, &good, &["--resume", &file]),
            "release-ab-record",
            "not a record of an A/B",
        ),
        (
            arguments(&world, &good, &["--resume", "nothing.json"]),
            "release-ab-resume",
            "--resume nothing.json",
        ),
        (
            arguments(&world, &good, &["--writes", "file:///srv/out"]),
            "release-shadow-places",
            "is not redirected",
        ),
    ] {
        let output = world.stoke(&arguments)?;
        expect_code(&output, 2)?;
        expect_parts(&text(&output), &[code, part])?;
    }
    // What an environment asks for is read by `stoke check`, too.
    let environments = "environments:\n- {name: prod, namespace: prod, cluster: {context: ''}, ab: {maxage: 24h}}\n";
    std::fs::write(world.work.path().join("job/environments.yaml"), environments)?;
    let checked = world.stoke(&["check", "job", "--gate", "manifest"])?;
    expect_code(&checked, 1)?;
    expect_parts(
        &text(&checked),
        &["unknown-field", "environments.yaml:2:", "did you mean `maxAge`?"],
    )
}
