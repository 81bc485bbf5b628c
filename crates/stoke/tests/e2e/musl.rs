//! A machine with musl beside its own C library: snappy-java sees musl's loader in `/lib` and takes the machine for one of musl. Local Sparks must work all the same.

use std::process::Command;

use libtest_mimic::{Failed, Trial};

use crate::common::{Context, Need, expect_code, expect_parts, full, program, repository, text};

pub fn trials(context: &Context) -> Vec<Trial> {
    let needs = [
        full(),
        context.spark("4.1.4"),
        program("unshare", "apt-get install util-linux"),
        Need::Found(layered("true").and_then(|mut command| match command.output() {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(format!(
                "/usr/lib cannot be changed for one process: {}",
                text(&output).trim()
            )),
            Err(error) => Err(error.to_string()),
        })),
    ];
    vec![
        context.trial("musl beside glibc: snappy in pods", &needs, pods),
        context.trial("musl beside glibc: snappy in queries of contracts", &needs, queries),
    ]
}

/// A command in a mount namespace of its own, in which `/lib` has musl's loader. Nothing is installed on this machine.
fn layered(program: &str) -> Result<Command, String> {
    let planted = stoke_testkit::target_directory().join("tmp/musl");
    let made = std::fs::create_dir_all(&planted).and_then(|()| std::fs::write(planted.join("ld-musl-x86_64.so.1"), ""));
    made.map_err(|error| error.to_string())?;
    let script = "mount -t overlay -o lowerdir=\"$1\":/usr/lib overlay /usr/lib && test -e /lib/ld-musl-x86_64.so.1 && shift && exec \"$@\"";
    let mut command = Command::new("unshare");
    command
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"])
        .arg(planted)
        .arg(program);
    Ok(command)
}

fn pods(context: &Context) -> Result<(), Failed> {
    let home = context.private_home();
    let manifest = std::fs::read_to_string(repository().join("examples/pi.yaml"))?;
    // What the driver sends to executors is compressed with it, so both load its library.
    let manifest = manifest.replace(
        "  restartPolicy:",
        "  sparkConf: {spark.io.compression.codec: snappy}\n  restartPolicy:",
    );
    let file = home.path().join("pi.yaml");
    std::fs::write(&file, manifest)?;
    let output = layered(env!("CARGO_BIN_EXE_stoke"))?
        .arg("run")
        .arg(&file)
        .env("STOKE_HOME", home.path())
        .env_remove("KUBECONFIG")
        .output()?;
    expect_code(&output, 0)?;
    expect_parts(&text(&output), &["Pi is roughly 3.1"])
}

/// Parquet compressed with snappy, read by the Spark that answers queries, which runs in no container.
fn queries(context: &Context) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let at = |name: &str| directory.path().join(name);
    let spark = context.spark_home("4.1.4").ok_or("no Spark")?;
    let job = "import sys\nfrom pyspark.sql import SparkSession\nSparkSession.builder.master('local[1]').getOrCreate().range(3).write.option('compression', 'snappy').parquet(sys.argv[1])\n";
    std::fs::write(at("job.py"), job)?;
    let mut write = Command::new(spark.join("bin/spark-submit"));
    let written = write
        .arg(at("job.py"))
        .arg(at("ids"))
        .env_remove("SPARK_HOME")
        .output()?;
    expect_code(&written, 0)?;
    let contract =
        "name: ids\ncolumns:\n  id: {type: bigint}\nsql:\n- {name: sum, query: 'SELECT SUM(id) FROM ids', mustBe: 3}\n";
    std::fs::write(at("ids.yaml"), contract)?;
    let output = layered(env!("CARGO_BIN_EXE_stoke"))?
        .args(["quality", "run", "ids.yaml", "--data", "ids", "--spark", "4.1.4"])
        .current_dir(directory.path())
        .env("STOKE_HOME", context.home())
        .env_remove("SPARK_HOME")
        .output()?;
    expect_code(&output, 0)
}
