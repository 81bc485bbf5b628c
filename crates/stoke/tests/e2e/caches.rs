//! Ahead-of-time caches of Java 25: recorded once, fit for driver and executor, left where another Java is wanted.

use std::path::Path;
use std::process::Output;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::common::{Context, VERSIONS, expect_code, expect_parts, full, reached, stoke, text};
use crate::examples::nothing_left;

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
        &[full(), context.spark(VERSIONS[0]), reached("pypi.org:443")],
        recorded,
    )]
}

fn recorded(context: &Context) -> Result<(), Failed> {
    // Runtimes of its own, so that the other tests keep the machine's Java; the Spark is shared.
    let home = tempfile::tempdir()?;
    std::fs::create_dir(home.path().join("runtimes"))?;
    let spark = Path::new("runtimes").join(VERSIONS[0]);
    std::os::unix::fs::symlink(context.home().join(&spark), home.path().join(&spark))?;
    std::fs::write(home.path().join("javas.py"), JOB)?;
    let manifest = MANIFEST.replace("VERSION", VERSIONS[0]);
    let run = |name: &str, manifest: &str| -> Result<Output, Failed> {
        let file = home.path().join(name);
        std::fs::write(&file, manifest)?;
        let output = stoke(home.path(), ["run"]).arg(&file).output()?;
        expect_code(&output, 0)?;
        Ok(output)
    };
    let (of_the_machine, _) = java(home.path())?;

    let installed = stoke(home.path(), ["runtime", "install-java", "25"]).output()?;
    expect_code(&installed, 0)?;
    let nonsense = stoke(home.path(), ["runtime", "install-java", "19"]).output()?;
    expect_code(&nonsense, 2)?;
    // Nothing changes before the caches are there.
    if java(home.path())? != (of_the_machine.clone(), false) {
        return Err(format!("{:?} without caches", java(home.path())?).into());
    }

    let first = text(&run("first.yaml", &manifest)?);
    let (version, fast) = java(home.path())?;
    if !version.starts_with("25.") || !fast {
        return Err(format!("Java {version}, ready: {fast}, after a run:\n{first}").into());
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
        VERSIONS[0]
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

/// The Java that pods get, and whether they start fast on it.
fn java(home: &Path) -> Result<(String, bool), Failed> {
    let output = stoke(home, ["runtime", "list", "--output", "json"]).output()?;
    let listed: Vec<Value> = serde_json::from_slice(&output.stdout)?;
    let java = &listed.first().ok_or("no runtime is listed")?["java"];
    Ok((
        java["version"].as_str().unwrap_or_default().to_owned(),
        java["startsFast"] == true,
    ))
}
