//! Presets and golden paths: what `stoke new` makes is checked, tested and run on real Spark; what a preset claims is done to a run.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::admission::apply;
use crate::common::{Context, Need, eventually, expect_code, expect_parts, full, program, text};
use crate::up::Up;

/// Each path with a line that its run prints; the server and what needs a GPU are run by themselves.
const RUNS: [(&str, &str); 6] = [
    ("cost-optimized", "42 rows of counts written"),
    ("etl", "35 rows of revenue written"),
    (
        "data-engineering",
        "1000 customers written to /data/customers, 62 changes set aside",
    ),
    (
        "ml",
        "2000 scores written to /data/scores; not recorded: MLFLOW_TRACKING_URI is not set",
    ),
    ("streaming", "rows of counts written"),
    ("sql", "region-3"),
];

pub fn trials(context: &Context) -> Vec<Trial> {
    let spark = || context.spark("4.1.4");
    let kubectl = || program("kubectl", "see the Kubernetes documentation, `Install kubectl`");
    let mut trials = vec![
        context.trial("preset: list, show, explain, diff and apply", &[], presets),
        context.trial("preset: locked keys and deprecated versions in a check", &[], locked),
        context.trial("new: every path passes its check", &[spark()], checked),
        context.trial(
            "new: nothing is overwritten, and wrong names make nothing",
            &[],
            refused,
        ),
        context.trial(
            "preset: cost-optimized survives the loss of executors",
            &[full(), spark(), kubectl()],
            survives,
        ),
        context.trial("new: gpu says what is missing", &[full(), spark()], gpu),
        context.trial(
            "new: interactive answers queries",
            &[full(), spark(), kubectl()],
            interactive,
        ),
        context.trial("convert: Helm values, without their secrets", &[], helm),
        context.trial("convert: Helm values as a platform", &[], helm_platform),
    ];
    for (index, (path, line)) in RUNS.into_iter().enumerate() {
        // One of them by default.
        let needs: &[Need] = &[full(), spark()];
        let needs = &needs[usize::from(index == 0)..];
        trials.push(context.trial(&format!("new: {path} runs"), needs, move |context| {
            runs(context, path, line)
        }));
    }
    for (path, _) in RUNS.into_iter().chain([("gpu", ""), ("interactive", "")]) {
        trials.push(context.trial(
            &format!("new: the tests of {path}"),
            &[full(), spark()],
            move |context| tests(context, path),
        ));
    }
    trials
}

fn new(context: &Context, directory: &Path, path: &str) -> Result<(), Failed> {
    let output = context
        .stoke(["new", "mine", "--path", path])
        .current_dir(directory)
        .output()?;
    expect_code(&output, 0)
}

fn in_job(context: &Context, directory: &Path, arguments: &[&str]) -> Result<Output, Failed> {
    Ok(context.stoke(arguments).current_dir(directory.join("mine")).output()?)
}

fn checked(context: &Context) -> Result<(), Failed> {
    for path in [
        "etl",
        "data-engineering",
        "ml",
        "gpu",
        "streaming",
        "interactive",
        "cost-optimized",
        "sql",
    ] {
        let directory = tempfile::tempdir()?;
        new(context, directory.path(), path)?;
        let output = in_job(
            context,
            directory.path(),
            &["check", ".", "--strict", "--advisories", "none"],
        )?;
        expect_code(&output, 0).map_err(|failed| format!("{path}: {failed:?}"))?;
        for file in [
            "README.md",
            "app.yaml",
            ".github/workflows/stoke.yaml",
            "requirements.txt",
        ] {
            if !directory.path().join("mine").join(file).is_file() {
                return Err(format!("{path}: no {file}").into());
            }
        }
    }
    Ok(())
}

fn runs(context: &Context, path: &str, line: &str) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    new(context, directory.path(), path)?;
    // As large as a laptop, whatever this machine is.
    let output = in_job(
        context,
        directory.path(),
        &["run", "app.yaml", "--quiet", "--cpus", "4", "--timeout", "8m"],
    )?;
    expect_code(&output, 0)?;
    let contract: &[&str] = &["QualityAfter: Passed: 1 of 1 contract passed", "COMPLETED"];
    expect_parts(&text(&output), &[&[line], contract].concat())
}

fn tests(context: &Context, path: &str) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    new(context, directory.path(), path)?;
    let output = in_job(
        context,
        directory.path(),
        &["check", ".", "--gate", "tests", "--strict"],
    )?;
    expect_code(&output, 0)?;
    expect_parts(&text(&output), &["pass           tests"])
}

fn refused(context: &Context) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let run = |arguments: &[&str]| context.stoke(arguments).current_dir(directory.path()).output();
    for (arguments, code, part) in [
        (&["new", "Orders", "--path", "etl"][..], 2, "error[path-name]"),
        (&["new", "../x", "--path", "etl"], 2, "error[path-name]"),
        (&["new", "orders", "--path", "etk"], 2, "did you mean etl?"),
        (
            &["new", "orders", "--path", "etl", "--spark", "2.4"],
            2,
            "error[preset-spark]",
        ),
        (
            &["new", "orders", "--path", "etl", "--ci", "gitlab"],
            0,
            ".gitlab-ci.yml",
        ),
        (&["new", "orders", "--path", "sql"], 2, "stoke::new::there"),
        (
            &[
                "new",
                "other",
                "--path",
                "sql",
                "--dir",
                "deep/er/other",
                "--spark",
                "3.5",
            ],
            0,
            "deep/er/other/report.sql",
        ),
    ] {
        let output = run(arguments)?;
        expect_code(&output, code)?;
        expect_parts(&text(&output), &[part])?;
    }
    let manifest = std::fs::read_to_string(directory.path().join("orders/app.yaml"))?;
    expect_parts(&manifest, &["stoke.dev/preset: etl@1", "image: apache/spark:4.1"])?;
    std::fs::write(directory.path().join("file"), "mine")?;
    let output = run(&["new", "file", "--path", "etl"])?;
    expect_code(&output, 2)?;
    if std::fs::read_to_string(directory.path().join("file"))? != "mine" {
        return Err("the file was changed".into());
    }
    let mut left: Vec<String> = std::fs::read_dir(directory.path())?
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    left.sort();
    match left == ["deep", "file", "orders"] {
        true => Ok(()),
        false => Err(format!("left behind: {left:?}").into()),
    }
}

const APP: &str = "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nmetadata:\n  name: orders\nspec:\n  type: Python\n  mode: cluster\n  image: apache/spark:4.1.4\n  sparkVersion: 4.1.4\n  mainApplicationFile: local:///opt/spark/examples/src/main/python/pi.py\n  driver:\n    cores: 1\n    memory: 512m # small\n    serviceAccount: spark-operator-spark\n  executor:\n    cores: 1\n    memory: 512m\n";

fn presets(context: &Context) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    std::fs::write(directory.path().join("app.yaml"), APP)?;
    let run = |arguments: &[&str]| -> Result<(Output, Value), Failed> {
        let plain = context.stoke(arguments).current_dir(directory.path()).output()?;
        let json = context
            .stoke(arguments)
            .args(["--output", "json"])
            .current_dir(directory.path())
            .output()?;
        Ok((plain, serde_json::from_slice(&json.stdout)?))
    };
    let (plain, json) = run(&["preset", "list"])?;
    expect_parts(&text(&plain), &["cost-optimized@1", "interactive@1"])?;
    same(json.as_array().map(Vec::len), Some(8))?;
    let (plain, json) = run(&[
        "preset",
        "show",
        "etl",
        "--spark",
        "4.1",
        "--with",
        "eventLog=s3a://logs/",
    ])?;
    expect_parts(
        &text(&plain),
        &[
            "spark.eventLog.dir: s3a://logs/",
            "stoke.dev/preset: etl@1",
            "memory: 8g",
        ],
    )?;
    same(json["spark"].as_str(), Some("4.1"))?;
    let (plain, json) = run(&["preset", "explain", "etl", "executor.memory"])?;
    expect_parts(
        &text(&plain),
        &["why:     2 GiB of heap for a task", "executor pod", "1024m -> 8192m"],
    )?;
    same(
        json["keys"][0]["effects"]
            .as_array()
            .is_some_and(|effects| !effects.is_empty()),
        true,
    )?;
    let (plain, json) = run(&["preset", "diff", "etl", "--spark", "3.5", "--to-spark", "4.1"])?;
    expect_parts(
        &text(&plain),
        &["spark.ui.prometheus.enabled", "executor.terminationGracePeriodSeconds"],
    )?;
    same(json["differences"].as_array().map(Vec::len), Some(2))?;
    let (plain, json) = run(&["preset", "diff", "etl", "-f", "app.yaml"])?;
    expect_parts(&text(&plain), &["orders in app.yaml", "8g"])?;
    same(json["left"].as_str(), Some("etl@1, Spark 4.1"))?;
    let (plain, _) = run(&["preset", "apply", "etl", "-f", "app.yaml"])?;
    expect_parts(
        &text(&plain),
        &["memory: 512m # small", "kept executor.memory = 512m; the preset has 8g"],
    )?;
    same(
        std::fs::read_to_string(directory.path().join("app.yaml"))?.as_str(),
        APP,
    )?;
    for (arguments, part) in [
        (&["preset", "show", "etll"][..], "did you mean `etl`?"),
        (&["preset", "show", "etl@9"], "there is etl@1"),
        (&["preset", "show", "Etl!"], "stoke::preset::name"),
        (&["preset", "show", "etl", "--spark", "9.9"], "error[preset-spark]"),
        (
            &["preset", "show", "etl", "--with", "eventLog"],
            "stoke::preset::parameter",
        ),
        (
            &["preset", "show", "etl", "--with", "eventlog=x"],
            "did you mean `eventLog`?",
        ),
        (
            &["preset", "explain", "etl", "executor.memori"],
            "did you mean executor.memory?",
        ),
        (
            &["preset", "apply", "etl", "-f", "none.yaml"],
            "stoke::preset::unreadable",
        ),
        (
            &["preset", "apply", "interactive", "-f", "app.yaml"],
            "error[preset-kind]",
        ),
        (&["preset", "list", "--presets", "app.yaml"], "error[unknown-field]"),
    ] {
        let output = context.stoke(arguments).current_dir(directory.path()).output()?;
        expect_code(&output, 2)?;
        expect_parts(&text(&output), &[part])?;
    }
    Ok(())
}

fn same<T: PartialEq + std::fmt::Debug>(found: T, wanted: T) -> Result<(), Failed> {
    match found == wanted {
        true => Ok(()),
        false => Err(format!("{found:?} instead of {wanted:?}").into()),
    }
}

const TEAM: &str = "presets:\n  - name: finance\n    about: Batch jobs of finance\n    extends: etl@1\n    keys:\n      - {key: spark.sql.session.timeZone, value: UTC, why: books are kept in UTC, locked: true}\n  - name: ledger\n    about: Before finance\n    extends: etl@1\n    deprecated: {use: finance@1, because: it has no time zone}\n";

fn locked(context: &Context) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let file = |name: &str| directory.path().join(name);
    std::fs::write(file("stoke-presets.yaml"), TEAM)?;
    std::fs::write(file("app.yaml"), APP)?;
    let run = |arguments: &[&str]| context.stoke(arguments).current_dir(directory.path()).output();
    let check = || run(&["check", ".", "--advisories", "none"]);
    expect_code(&run(&["preset", "apply", "finance", "-f", "app.yaml", "--write"])?, 0)?;
    let written = std::fs::read_to_string(file("app.yaml"))?;
    expect_parts(
        &written,
        &[
            "stoke.dev/preset: finance@1",
            "spark.sql.session.timeZone: UTC",
            "memory: 512m # small",
        ],
    )?;
    expect_code(&run(&["check", ".", "--strict", "--advisories", "none"])?, 0)?;
    std::fs::write(file("app.yaml"), written.replace("timeZone: UTC", "timeZone: CET"))?;
    let output = check()?;
    expect_code(&output, 1)?;
    let line = written
        .lines()
        .position(|line| line.contains("timeZone"))
        .unwrap_or_default()
        + 1;
    let place = format!("app.yaml:{line}:5");
    expect_parts(
        &text(&output),
        &[
            "error[preset-locked]",
            "is locked by finance@1 to UTC, and is CET",
            &place,
        ],
    )?;
    std::fs::write(file("app.yaml"), written.replace("finance@1", "ledger@1"))?;
    let output = check()?;
    expect_code(&output, 0)?;
    expect_parts(
        &text(&output),
        &[
            "warning[preset-deprecated]",
            "ledger@1 is deprecated: it has no time zone",
        ],
    )?;
    // Without the team's file it is not known what is locked: that does not pass.
    std::fs::write(file("app.yaml"), &written)?;
    std::fs::remove_file(file("stoke-presets.yaml"))?;
    let output = check()?;
    expect_code(&output, 1)?;
    expect_parts(
        &text(&output),
        &["error[preset-unknown]", "there is no preset `finance@1`"],
    )?;
    std::fs::write(file("stoke-presets.yaml"), "presets: 1\n")?;
    let output = check()?;
    expect_parts(&text(&output), &["preset-unread"])?;
    same(output.status.success(), false)?;
    // What contradicts itself.
    std::fs::remove_file(file("stoke-presets.yaml"))?;
    let fixed = written
        .replace("finance@1", "etl@1")
        .replace("  executor:\n", "  executor:\n    instances: 5\n");
    std::fs::write(file("app.yaml"), fixed)?;
    expect_parts(
        &text(&check()?),
        &[
            "instances-with-dynamic-allocation",
            "`instances: 5` is not the number of executors",
        ],
    )
}

/// Maps once, waits for executors to go, then reduces what was mapped.
const WORK: &str = "import time\nfrom pyspark.sql import SparkSession\nspark = SparkSession.builder.getOrCreate()\nsc = spark.sparkContext\nran = sc.accumulator(0)\n\
    def mapped(x):\n    ran.add(1)\n    time.sleep(0.05)\n    return x % 4, x\n\
    pairs = sc.parallelize(range(64), 8).map(mapped).partitionBy(4)\npairs.count()\nprint('MAPPED', ran.value, flush=True)\n\
    time.sleep(45)\nprint('REDUCED', pairs.values().sum(), ran.value, flush=True)\n\
    time.sleep(15)\n\
    slow = sc.parallelize(range(24), 12).map(lambda x: (time.sleep(2), x)[1])\nprint('AGAIN', slow.sum(), pairs.values().sum(), flush=True)\nspark.stop()\n";

/// What the preset claims: an executor whose node is drained hands over its shuffle files, so that nothing is computed again; one that is killed costs
/// time and no failed run.
fn survives(context: &Context) -> Result<(), Failed> {
    let up = Up::start(context)?;
    let file = up.home().join("app.yaml");
    let code: String = WORK.lines().map(|line| format!("    {line}\n")).collect();
    let app = APP
        .replace(
            "local:///opt/spark/examples/src/main/python/pi.py",
            "local:///opt/app/main.py",
        )
        .replace(
            "    serviceAccount: spark-operator-spark\n",
            "    serviceAccount: spark-operator-spark\n    configMaps:\n      - {name: code, path: /opt/app}\n",
        );
    let sizes = "  sparkConf:\n    spark.dynamicAllocation.minExecutors: \"2\"\n    spark.dynamicAllocation.maxExecutors: \"2\"\n";
    std::fs::write(
        &file,
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: code}}\ndata:\n  main.py: |\n{code}---\n{app}{sizes}"
        ),
    )?;
    let output = up
        .stoke(&["preset", "apply", "cost-optimized", "--write", "-f"])
        .arg(&file)
        .output()?;
    expect_code(&output, 0)?;
    let written = std::fs::read_to_string(&file)?;
    expect_code(&apply(&up, &[], &written)?, 0)?;
    let log = || {
        up.kubectl(&["logs", "orders-driver"])
            .output()
            .map(|output| text(&output))
            .unwrap_or_default()
    };
    let executors = || -> Vec<String> {
        let output = up
            .kubectl(&[
                "get",
                "pods",
                "-l",
                "spark-role=executor",
                "--field-selector=status.phase=Running",
                "-o",
                "name",
            ])
            .output();
        output
            .map(|output| text(&output).lines().map(str::to_owned).collect())
            .unwrap_or_default()
    };
    eventually("the map side is done", Duration::from_secs(180), || {
        log().contains("MAPPED 64")
    })?;
    eventually("two executors", Duration::from_secs(60), || executors().len() == 2)?;
    // As a drain does it: the pre-stop hook runs, and the pod has its time.
    let first = executors().first().cloned().ok_or("no executor")?;
    expect_code(&up.kubectl(&["delete", "--wait=false", &first]).output()?, 0)?;
    eventually("the result after a drain", Duration::from_secs(180), || {
        log().contains("REDUCED")
    })?;
    // Every map task ran once: nothing of what the executor held was computed again.
    expect_parts(&log(), &["REDUCED 2016 64"])?;
    // As a node that is gone.
    eventually("an executor that can be killed", Duration::from_secs(60), || {
        !executors().is_empty()
    })?;
    let second = executors().first().cloned().ok_or("no executor")?;
    expect_code(
        &up.kubectl(&["delete", "--wait=false", "--grace-period=0", "--force", &second])
            .output()?,
        0,
    )?;
    let state = || {
        up.kubectl(&[
            "get",
            "sparkapplication",
            "orders",
            "-o",
            "jsonpath={.status.applicationState.state}",
        ])
        .output()
        .map(|output| text(&output))
        .unwrap_or_default()
    };
    eventually("the end", Duration::from_secs(300), || {
        matches!(state().as_str(), "COMPLETED" | "FAILED")
    })?;
    same(state().as_str(), "COMPLETED")?;
    expect_parts(&log(), &["AGAIN 276 2016"])?;
    up.down()
}

fn gpu(context: &Context) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let output = context
        .stoke(["new", "mine", "--path", "gpu"])
        .current_dir(directory.path())
        .output()?;
    expect_code(&output, 0)?;
    expect_parts(&text(&output), &["it needs nodes that offer nvidia.com/gpu"])?;
    let output = in_job(
        context,
        directory.path(),
        &["run", "app.yaml", "--quiet", "--cpus", "8", "--timeout", "60s"],
    )?;
    expect_code(&output, 124)?;
    expect_parts(&text(&output), &["Insufficient nvidia.com/gpu"])
}

fn interactive(context: &Context) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    new(context, directory.path(), "interactive")?;
    let output = in_job(context, directory.path(), &["run", "app.yaml"])?;
    expect_code(&output, 2)?;
    expect_parts(
        &text(&output),
        &["is a server and does not end", "stoke sql --server mine"],
    )?;
    let up = Up::start(context)?;
    let manifest = std::fs::read_to_string(directory.path().join("mine/app.yaml"))?;
    expect_code(&apply(&up, &[], &manifest)?, 0)?;
    let output = up
        .stoke(&["sql", "--server", "mine", "SELECT sum(id) AS total FROM range(10)"])
        .output()?;
    expect_code(&output, 0)?;
    expect_parts(&text(&output), &["45"])?;
    up.down()
}

fn helm(context: &Context) -> Result<(), Failed> {
    let values = crate::common::repository().join("examples/migrate/helm-values.yaml");
    let secret = "minioadmin";
    expect_parts(&std::fs::read_to_string(&values)?, &[secret])?;
    for form in ["text", "json"] {
        let output = context.stoke(["convert", "--output", form]).arg(&values).output()?;
        expect_code(&output, 0)?;
        let all = text(&output);
        expect_parts(
            &all,
            &[
                "SparkConnect",
                "connect-s3",
                "helm-values.yaml:27:5",
                "did nothing in the kit",
            ],
        )?;
        if all.contains(secret) {
            return Err(format!("a secret is shown:\n{all}").into());
        }
    }
    Ok(())
}

fn helm_platform(context: &Context) -> Result<(), Failed> {
    let home = context.private_home();
    let work = tempfile::tempdir()?;
    let kit = crate::common::repository().join("examples/migrate/helm-platform.yaml");
    let run = |arguments: &[&str]| {
        crate::common::stoke(home.path(), arguments)
            .current_dir(work.path())
            .output()
    };
    let name = kit.display().to_string();
    let made = run(&["convert", &name, "--platform", "--write", "platform.yaml"])?;
    expect_code(&made, 0)?;
    expect_parts(
        &text(&made),
        &["helm-platform.yaml:27:5", "store-keys", "do not share sessions"],
    )?;
    assert!(!text(&made).contains("minioadmin") && !text(&made).contains("open-sesame"));
    expect_code(&run(&["platform", "check"])?, 0)?;
    let prod = run(&["platform", "render", "-e", "prod"])?;
    expect_parts(
        &text(&prod),
        &["namespace: spark-prod", "maxExecutors: 50", "kind: ExternalSecret"],
    )?;
    // What the check says is said with the line of the values.
    let celeborn = std::fs::read_to_string(&kit)? + "celeborn: {enabled: true, masters: 3}\n";
    std::fs::write(work.path().join("values.yaml"), celeborn)?;
    let refused = run(&["convert", "values.yaml", "--platform"])?;
    expect_code(&refused, 2)?;
    expect_parts(
        &text(&refused),
        &["Celeborn 0.5.4 has no client for Spark 4.1", "not convertible"],
    )?;
    let json = run(&["convert", &name, "--platform", "--output", "json"])?;
    expect_code(&json, 0)?;
    let file: serde_json::Value = serde_json::from_slice(&json.stdout)?;
    assert_eq!(file["components"]["connect"]["executors"]["max"], 10, "{file}");
    Ok(())
}
