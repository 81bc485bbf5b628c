//! Ahead-of-time caches of Java 25: recorded once, fit for driver and executor, left where another Java is wanted.

use std::path::Path;
use std::process::Output;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::common::{Context, VERSIONS, expect_code, expect_parts, full, reached, stoke, text};
use crate::examples::nothing_left;

/// One that runs on Java 25.
const SPARK: &str = VERSIONS[2];
/// One that does not, however short of other Javas the machine is.
const OLDER: &str = VERSIONS[0];
const MANIFEST: &str = include_str!("caches.yaml");
/// Says the Java of the driver, and that of the executor.
const JOB: &str = r#"
from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
print("driver:", spark._jvm.java.lang.System.getProperty("java.version"))
rows = spark.range(4).selectExpr("java_method('java.lang.System', 'getProperty', 'java.version') as java").distinct().collect()
print("executor:", ",".join(row.java for row in rows))
spark.stop()
"#;

pub fn trials(context: &Context) -> Vec<Trial> {
    vec![context.trial(
        "caches: recorded once, used by driver and executor, not where another Java is named",
        &[
            full(),
            context.spark(SPARK),
            context.spark(OLDER),
            reached("pypi.org:443"),
        ],
        recorded,
    )]
}

fn recorded(context: &Context) -> Result<(), Failed> {
    // Runtimes of its own, so that the other tests keep the machine's Java; the Spark is shared.
    let home = tempfile::tempdir()?;
    std::fs::create_dir(home.path().join("runtimes"))?;
    for version in [SPARK, OLDER] {
        let spark = Path::new("runtimes").join(version);
        std::os::unix::fs::symlink(context.home().join(&spark), home.path().join(&spark))?;
    }
    // So are the archives of the machine's own Java that other tests have made.
    let launch = Path::new("runtimes/launch");
    std::fs::create_dir(home.path().join(launch))?;
    for entry in std::fs::read_dir(context.home().join(launch)).into_iter().flatten() {
        let entry = entry?;
        std::os::unix::fs::symlink(entry.path(), home.path().join(launch).join(entry.file_name()))?;
    }
    std::fs::write(home.path().join("javas.py"), JOB)?;
    let manifest = MANIFEST.replace("VERSION", SPARK);
    let run = |name: &str, manifest: &str| -> Result<Output, Failed> {
        let file = home.path().join(name);
        std::fs::write(&file, manifest)?;
        let output = stoke(home.path(), ["run"]).arg(&file).output()?;
        expect_code(&output, 0)?;
        Ok(output)
    };
    let before = java(home.path(), SPARK)?;
    let of_the_machine = before.0.clone();

    let installed = stoke(home.path(), ["runtime", "install-java", "25"]).output()?;
    expect_code(&installed, 0)?;
    let nonsense = stoke(home.path(), ["runtime", "install-java", "19"]).output()?;
    expect_code(&nonsense, 2)?;
    // Nothing changes before the caches are there.
    if java(home.path(), SPARK)? != before {
        return Err(format!("{:?} without caches", java(home.path(), SPARK)?).into());
    }

    let first = text(&run("first.yaml", &manifest)?);
    let (version, fast) = java(home.path(), SPARK)?;
    if !version.starts_with("25.") || !fast {
        return Err(format!("Java {version}, ready: {fast}, after a run:\n{first}").into());
    }
    if java(home.path(), OLDER)?.0.starts_with("25.") {
        return Err(format!("Spark {OLDER} is given Java 25, on which its Hadoop does not work").into());
    }
    expect_parts(
        &first,
        &[
            "recording a run for ahead-of-time caches",
            "making ahead-of-time caches",
            &format!("driver: {version}"),
            &format!("executor: {version}"),
        ],
    )?;

    // With these options a JVM that cannot use its cache does not start.
    let strict = ["driver", "executor"].iter().fold(manifest.clone(), |manifest, role| {
        let options = format!("{role}:\n    javaOptions: -XX:AOTMode=on -XX:AOTCache=/opt/stoke/launch/{role}.aot\n");
        manifest.replace(&format!("{role}:\n"), &options)
    });
    let second = text(&run("second.yaml", &strict)?);
    expect_parts(
        &second,
        &[&format!("driver: {version}"), &format!("executor: {version}")],
    )?;
    if second.contains("recording a run") {
        return Err(format!("recorded twice:\n{second}").into());
    }

    let major = of_the_machine.split('.').next().unwrap_or_default();
    let rule = format!(
        "images:\n  - image: apache/spark:*\n    spark: \"{}\"\n    java: {major}\n",
        SPARK
    );
    std::fs::write(home.path().join("images.yaml"), rule)?;
    let third = text(&run("third.yaml", &manifest)?);
    let own = [
        format!("driver: {of_the_machine}"),
        format!("executor: {of_the_machine}"),
    ];
    expect_parts(&third, &[&own[0], &own[1]])?;
    nothing_left(home.path())
}

/// The Java that pods of a Spark get, and whether they start fast on it.
fn java(home: &Path, spark: &str) -> Result<(String, bool), Failed> {
    let output = stoke(home, ["runtime", "list", "--output", "json"]).output()?;
    let listed: Vec<Value> = serde_json::from_slice(&output.stdout)?;
    let runtime = listed.iter().find(|runtime| runtime["version"] == spark);
    let java = &runtime.ok_or("the runtime is not listed")?["java"];
    Ok((
        java["version"].as_str().unwrap_or_default().to_owned(),
        java["startsFast"] == true,
    ))
}
