//! What `stoke check` runs when it is asked: the job's tests, a dry run of the API server, a start of Spark. All of them with the real thing.

use std::path::Path;
use std::process::Output;

use libtest_mimic::{Failed, Trial};

use crate::common::{Context, expect_code, expect_parts, full, program, reached, text};
use crate::up::Up;

pub fn trials(context: &Context) -> Vec<Trial> {
    let spark = || context.spark("4.1.4");
    let maven = || program("mvn", "apt-get install maven");
    vec![
        context.trial("check: pytest with the job's Spark", &[full(), spark()], pytest),
        context.trial(
            "check: Maven's tests",
            &[full(), maven(), reached("repo1.maven.org:443")],
            maven_tests,
        ),
        context.trial(
            "check: sbt's tests",
            &[
                full(),
                program("sbt", "see https://www.scala-sbt.org/download"),
                reached("repo1.maven.org:443"),
            ],
            sbt_tests,
        ),
        context.trial("check: a dry run of the API server", &[], dry_run),
        context.trial("check: a start of the job's Spark", &[full(), spark()], spark_dry_run),
    ]
}

const APP: &str = "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nmetadata: {name: daily}\nspec:\n  type: Python\n  mode: cluster\n  sparkVersion: 4.1.4\n  image: apache/spark:4.1.4\n  mainApplicationFile: main.py\n  sparkConf:\n    spark.serializer: org.apache.spark.serializer.KryoSerializer\n  driver: {cores: 1, memory: 1g}\n  executor: {instances: 1, cores: 1, memory: 1g}\n";
const MAIN: &str = "def double(frame):\n    return frame.selectExpr(\"id * 2 AS id\")\n";

fn write(job: &Path, files: &[(&str, &str)]) -> Result<(), Failed> {
    for (name, content) in files {
        let path = job.join(name);
        std::fs::create_dir_all(path.parent().ok_or("no parent")?)?;
        std::fs::write(path, content)?;
    }
    Ok(())
}

fn check(context: &Context, job: &Path, arguments: &[&str]) -> Result<Output, Failed> {
    let mut command = context.stoke(["check"]);
    Ok(command.args(arguments).current_dir(job).output()?)
}

fn expect(output: &Output, code: i32, parts: &[&str]) -> Result<(), Failed> {
    expect_code(output, code)?;
    expect_parts(&text(output), parts)
}

fn pytest(context: &Context) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let job = directory.path();
    let session = "from pyspark.sql import SparkSession\nfrom main import double\n\nspark = SparkSession.builder.master(\"local[1]\").config(\"spark.ui.enabled\", \"false\").getOrCreate()\n";
    let right = format!(
        "{session}\ndef test_double():\n    assert spark.version == \"4.1.4\"\n    assert [row.id for row in double(spark.range(3)).collect()] == [0, 2, 4]\n"
    );
    // The list names pyspark, and nothing is downloaded for it: the job's Spark is there.
    write(
        job,
        &[
            ("app.yaml", APP),
            ("main.py", MAIN),
            ("conftest.py", ""),
            ("requirements.txt", "pyspark==4.1.4\n"),
            ("tests/test_main.py", &right),
        ],
    )?;
    // No one asked: nothing runs, and it is said.
    expect(
        &check(context, job, &["--advisories", "none"])?,
        0,
        &["not asked      --tests, --dry-run, --spark-dry-run"],
    )?;
    expect(
        &check(context, job, &["--advisories", "none", "--tests"])?,
        0,
        &["pass           tests         1 test"],
    )?;
    if job.join("spark-warehouse").exists() || job.join("tests/__pycache__").exists() {
        return Err("something was left in the job's directory".into());
    }
    let wrong = format!("{right}\n\ndef test_wrong():\n    assert double(spark.range(3)).count() == 4\n");
    write(job, &[("tests/test_main.py", &wrong)])?;
    let parts = [
        "error[test-failed]: test `tests.test_main.test_wrong` fails with Spark 4.1.4: assert 3 == 4",
        "--> tests/test_main.py:12:5",
        "fail           tests         2 tests, 1 error",
    ];
    expect(&check(context, job, &["--gate", "tests"])?, 1, &parts)?;
    // A mistake in the job's own code is shown there, not in the test.
    write(
        job,
        &[(
            "main.py",
            "def double(frame):\n    return frame.selectExpr(\"idd * 2 AS id\")\n",
        )],
    )?;
    expect(
        &check(context, job, &["--gate", "tests"])?,
        1,
        &["UNRESOLVED_COLUMN", "--> main.py:2:5"],
    )?;
    write(
        job,
        &[
            ("main.py", MAIN),
            (
                "tests/test_main.py",
                "import nothing_like_it\n\ndef test_x():\n    pass\n",
            ),
        ],
    )?;
    expect(
        &check(context, job, &["--gate", "tests"])?,
        1,
        &[
            "error[test-broken]",
            "No module named 'nothing_like_it'",
            "--> tests/test_main.py:1:1",
        ],
    )?;
    // What tests nothing does not pass.
    write(
        job,
        &[(
            "tests/test_main.py",
            "import pytest\n\n@pytest.mark.skip(reason=\"later\")\ndef test_x():\n    assert False\n",
        )],
    )?;
    expect(
        &check(context, job, &["--gate", "tests"])?,
        3,
        &["cannot tell[tests-none]"],
    )?;
    write(
        job,
        &[(
            "tests/test_main.py",
            "import time\n\ndef test_x():\n    time.sleep(600)\n",
        )],
    )?;
    expect(
        &check(context, job, &["--gate", "tests", "--test-timeout", "3"])?,
        3,
        &["cannot tell[tests-not-run]", "did not end in 3 s"],
    )?;
    write(job, &[("requirements.txt", "stoke-has-no-such-package==1\n")])?;
    expect(
        &check(context, job, &["--gate", "tests"])?,
        3,
        &["cannot tell[tests-not-run]", "stoke-has-no-such-package"],
    )
}

const POM: &str = "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion><groupId>org.acme</groupId><artifactId>job</artifactId><version>1</version>\n<properties><maven.compiler.source>17</maven.compiler.source><maven.compiler.target>17</maven.compiler.target><project.build.sourceEncoding>UTF-8</project.build.sourceEncoding></properties>\n<dependencies><dependency><groupId>junit</groupId><artifactId>junit</artifactId><version>4.13.2</version><scope>test</scope></dependency></dependencies></project>\n";

fn maven_tests(context: &Context) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let job = directory.path();
    let test = "package org.acme;\n\nimport static org.junit.Assert.assertEquals;\nimport org.junit.Test;\n\npublic class SumTest {\n  @Test public void adds() {\n    assertEquals(4, 1 + 2);\n  }\n\n  @Test public void holds() {}\n}\n";
    write(job, &[("pom.xml", POM), ("src/test/java/org/acme/SumTest.java", test)])?;
    let parts = [
        "error[test-failed]: test `org.acme.SumTest.adds` fails",
        "expected:<4> but was:<3>",
        "--> src/test/java/org/acme/SumTest.java:8:5",
        "2 tests, 1 error",
    ];
    expect(&check(context, job, &["--gate", "tests"])?, 1, &parts)?;
    write(
        job,
        &[("src/test/java/org/acme/SumTest.java", &test.replace("1 + 2", "2 + 2"))],
    )?;
    expect(
        &check(context, job, &["--gate", "tests"])?,
        0,
        &["pass           tests         2 tests"],
    )?;
    if job.join("target").exists() {
        return Err("something was left in the job's directory".into());
    }
    // A build that breaks names no test.
    write(job, &[("src/test/java/org/acme/SumTest.java", "class {")])?;
    expect(
        &check(context, job, &["--gate", "tests"])?,
        3,
        &["cannot tell[tests-not-run]", "Maven ended with exit code 1"],
    )
}

/// A build of Scala whose Spark is provided, in the version that the build is told.
const SBT: &str = "scalaVersion := \"2.12.20\"\nval sparkVersion = sys.props.getOrElse(\"spark.version\", \"3.5.9\")\nlibraryDependencies += \"org.apache.spark\" %% \"spark-catalyst\" % sparkVersion % Provided\nlibraryDependencies += \"org.scalatest\" %% \"scalatest\" % \"3.2.19\" % Test\n";

fn sbt_tests(context: &Context) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let job = directory.path();
    // Its file is not in a directory of its package, as Scala allows.
    let test = "package team\n\nimport org.apache.spark.sql.types.StructType\nimport org.scalatest.funsuite.AnyFunSuite\n\nclass FieldsSuite extends AnyFunSuite {\n  private val fields = StructType.fromDDL(\"a INT, b STRING\")\n\n  test(\"both are there\") {\n    assert(fields.length == 3)\n  }\n\n  test(\"a is the first\") {\n    assert(fields.head.name == \"a\")\n  }\n}\n";
    write(job, &[("build.sbt", SBT), ("src/test/scala/FieldsSuite.scala", test)])?;
    let parts = [
        "error[test-failed]: test `team.FieldsSuite.both are there` fails",
        "--> src/test/scala/FieldsSuite.scala:10:5",
        "2 tests, 1 error",
    ];
    expect(&check(context, job, &["--gate", "tests"])?, 1, &parts)?;
    if job.join("target").exists() {
        return Err("something was left in the job's directory".into());
    }
    write(
        job,
        &[("src/test/scala/FieldsSuite.scala", &test.replace("== 3", "== 2"))],
    )?;
    expect(
        &check(context, job, &["--gate", "tests"])?,
        0,
        &["pass           tests         2 tests"],
    )
}

fn dry_run(context: &Context) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let job = directory.path();
    write(job, &[("app.yaml", APP), ("main.py", MAIN)])?;
    let up = Up::start(context)?;
    let ask = |arguments: &[&str]| -> Result<Output, Failed> {
        let mut command = up.stoke(&["check", "--gate", "manifest,dry-run"]);
        Ok(command.args(arguments).current_dir(job).output()?)
    };
    expect(
        &ask(&[])?,
        0,
        &["pass           dry-run       3 objects and pods, by the embedded cluster"],
    )?;
    // Nothing was stored.
    let left = up.stoke(&["ps", "--output", "json"]).output()?;
    if text(&left).contains("daily") {
        return Err(text(&left).into());
    }
    let others = "apiVersion: acme.org/v1\nkind: Thing\nmetadata: {name: x}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: nowhere}\n";
    write(job, &[("others.yaml", others)])?;
    expect(
        &ask(&[])?,
        1,
        &[
            "error[dry-run-no-kind]",
            "--> others.yaml:2:1",
            "error[dry-run-no-namespace]",
            "--> others.yaml:7:",
        ],
    )?;
    let namespace = "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: nowhere}\n";
    write(
        job,
        &[(
            "others.yaml",
            &format!("{others}{namespace}")
                .replace("apiVersion: acme.org/v1\nkind: Thing\nmetadata: {name: x}\n---\n", ""),
        )],
    )?;
    expect(
        &ask(&[])?,
        3,
        &["cannot tell[dry-run-depends]", "apply the namespace first"],
    )?;
    std::fs::remove_file(job.join("others.yaml"))?;
    // A quota of the cluster: each pod fits, both do not.
    let quota = "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: team}\nspec: {hard: {requests.cpu: \"1\"}}\n";
    let client = up.kubeconfig();
    let applied = kubectl_apply(&client, quota)?;
    expect_code(&applied, 0)?;
    expect(
        &ask(&[])?,
        1,
        &[
            "error[above-quota]: the driver and one executor have requests.cpu 2",
            "--> app.yaml:13:",
        ],
    )?;
    // One that none fits into is refused by the server itself.
    expect_code(&kubectl_apply(&client, &quota.replace("\"1\"", "100m"))?, 0)?;
    expect(
        &ask(&[])?,
        1,
        &[
            "error[dry-run-refused]: the embedded cluster would refuse the driver pod",
            "exceeded quota: team",
        ],
    )?;
    up.down()?;
    // No one there cannot tell.
    let home = context.private_home();
    let mut alone = crate::common::stoke(home.path(), ["check", "--gate", "dry-run"]);
    expect(
        &alone.current_dir(job).output()?,
        3,
        &["cannot tell[dry-run-not-asked]", "stoke up --detach"],
    )
}

fn kubectl_apply(kubeconfig: &Path, text: &str) -> Result<Output, Failed> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), text)?;
    let mut command = std::process::Command::new("kubectl");
    command
        .args(["apply", "-f"])
        .arg(file.path())
        .env("KUBECONFIG", kubeconfig);
    Ok(command.output()?)
}

fn spark_dry_run(context: &Context) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let job = directory.path();
    let ask = |app: &str, main: &str| -> Result<Output, Failed> {
        write(job, &[("app.yaml", app), ("main.py", main)])?;
        check(context, job, &["--gate", "manifest,conf,spark-dry-run"])
    };
    // The application itself is never run.
    expect(
        &ask(APP, "raise SystemExit(9)\n")?,
        0,
        &["pass           spark-dry-run 1 start"],
    )?;
    expect(
        &ask(APP, "x = 1\ny = (\n")?,
        1,
        &["error[spark-no-python]", "--> main.py:2:"],
    )?;
    let missing = APP.replace("org.apache.spark.serializer.KryoSerializer", "org.acme.Serializer");
    expect(
        &ask(&missing, MAIN)?,
        1,
        &[
            "error[spark-no-class]: `spark.serializer`: Spark 4.1.4 does not find `org.acme.Serializer`",
            "--> app.yaml:11:5",
        ],
    )?;
    // What is elsewhere may have it.
    let elsewhere = missing.replace(
        "  sparkConf:\n",
        "  deps: {jars: ['s3a://lib/acme.jar']}\n  sparkConf:\n",
    );
    expect(
        &ask(&elsewhere, MAIN)?,
        3,
        &["cannot tell[spark-no-class]", "it may be in s3a://lib/acme.jar"],
    )?;
    let options = APP.replace(
        "spark.serializer: org.apache.spark.serializer.KryoSerializer",
        "spark.driver.extraJavaOptions: -Xmx1g",
    );
    expect(
        &ask(&options, MAIN)?,
        1,
        &["error[spark-refuses]", "Not allowed to specify max heap"],
    )?;
    // A class with a `main` that every Spark has.
    let jvm = APP.replace(
        "type: Python",
        "type: Scala\n  mainClass: org.apache.spark.deploy.history.HistoryServer",
    );
    let jvm = jvm.replace(
        "mainApplicationFile: main.py",
        "mainApplicationFile: local:///opt/spark/jars/spark-core_2.13-4.1.4.jar",
    );
    expect(&ask(&jvm, MAIN)?, 0, &["pass           spark-dry-run"])?;
    let parts = [
        "error[spark-no-main]: `org.apache.spark.deploy.history.HistorySever` cannot be run: java.lang.ClassNotFoundException",
        "--> app.yaml:6:3",
    ];
    expect(&ask(&jvm.replace("HistoryServer", "HistorySever"), MAIN)?, 1, &parts)?;
    // Spark itself refuses what no catalogue knows.
    let refused = APP.replace(
        "spark.serializer: org.apache.spark.serializer.KryoSerializer",
        "spark.plugins: org.apache.spark.SparkContext",
    );
    expect(&ask(&refused, MAIN)?, 1, &["error[spark-refuses]"])
}
