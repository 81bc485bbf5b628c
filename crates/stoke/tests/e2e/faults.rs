//! Fault tries: what is killed, cut, missing or broken ends in a clear message or a right result, and nothing is left behind.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};

use crate::common::{
    Context, VERSIONS, eventually, expect_code, expect_parts, full, processes_of, program, repository, stoke, text,
};
use crate::examples::nothing_left;

pub fn trials(context: &Context) -> Vec<Trial> {
    let spark = [context.spark(VERSIONS[0])];
    let long = [full(), context.spark(VERSIONS[0])];
    vec![
        context.trial(
            "fault: the executor is killed, another takes over, the result is right",
            &spark,
            executor_killed,
        ),
        context.trial("fault: the driver is killed", &long, driver_killed),
        context.trial("fault: Ctrl-C at ten moments leaves nothing", &long, |context| {
            ended_at_ten_moments(context, "INT", true)
        }),
        context.trial("fault: kill -9 at ten moments leaves no process", &long, |context| {
            ended_at_ten_moments(context, "KILL", false)
        }),
        context.trial("fault: two runs at once", &long, two_at_once),
        context.trial(
            "fault: no Java",
            &[
                context.spark(VERSIONS[0]),
                program("unshare", "apt-get install util-linux"),
            ],
            no_java,
        ),
        context.trial("fault: no Python and no cached runtime", &[], no_python),
        context.trial("fault: no network and no cached runtime", &[], no_network),
        context.trial("fault: a corrupt runtime", &spark, corrupt_runtime),
        context.trial("fault: an image that maps to nothing", &[], unmapped_image),
    ]
}

/// A private run of an example whose stderr is read line by line.
struct Run {
    child: Child,
    lines: std::sync::mpsc::Receiver<String>,
    seen: Vec<String>,
}

impl Run {
    fn start(home: &Path, example: &Path, options: &[&str]) -> Result<Self, Failed> {
        let mut child = stoke(home, ["run"])
            .arg(example)
            .args(options)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (sender, lines) = std::sync::mpsc::channel();
        let streams: [Box<dyn std::io::Read + Send>; 2] = [
            Box::new(child.stdout.take().ok_or("no stdout")?),
            Box::new(child.stderr.take().ok_or("no stderr")?),
        ];
        for stream in streams {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    let _ = sender.send(line);
                }
            });
        }
        Ok(Run {
            child,
            lines,
            seen: Vec::new(),
        })
    }

    fn wait_for(&mut self, part: &str, within: Duration) -> Result<(), Failed> {
        let deadline = Instant::now() + within;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    let found = line.contains(part);
                    self.seen.push(line);
                    if found {
                        return Ok(());
                    }
                }
                Err(_) => return Err(format!("`{part}` was not seen in:\n{}", self.seen.join("\n")).into()),
            }
        }
    }

    fn signal(&self, signal: &str) -> Result<(), Failed> {
        Command::new("kill")
            .arg(format!("-{signal}"))
            .arg(self.child.id().to_string())
            .status()?;
        Ok(())
    }

    fn end(mut self) -> Result<(Option<i32>, String), Failed> {
        let status = self.child.wait()?;
        while let Ok(line) = self.lines.recv_timeout(Duration::from_secs(2)) {
            self.seen.push(line);
        }
        Ok((status.code(), self.seen.join("\n")))
    }
}

/// Host processes of this home whose command line contains a word.
fn pids(home: &Path, word: &str) -> Vec<String> {
    let processes = processes_of(home).into_iter().filter(|process| process.contains(word));
    processes
        .filter_map(|process| process.split([':', '/']).nth(2).map(str::to_string))
        .collect()
}

/// A job of four tasks of three seconds each whose sum is checked.
fn slow_job(directory: &Path) -> Result<std::path::PathBuf, Failed> {
    let code = "import time\nfrom pyspark.sql import SparkSession\nsc = SparkSession.builder.getOrCreate().sparkContext\n\
                print('job begins', flush=True)\n\
                total = sc.parallelize(range(8), 8).map(lambda x: (time.sleep(2), x)[1]).map(lambda x: (x % 2, x)).reduceByKey(lambda a, b: a + b).values().sum()\n\
                assert total == 28, total\nprint('sum is right:', total)\n";
    std::fs::write(directory.join("slow.py"), code)?;
    let manifest = std::fs::read_to_string(repository().join("examples/pi.yaml"))?
        .replace("local:///opt/spark/examples/src/main/python/pi.py", "slow.py")
        .replace("name: pi", "name: slow");
    let path = directory.join("slow.yaml");
    std::fs::write(&path, manifest)?;
    Ok(path)
}

fn executor_killed(context: &Context) -> Result<(), Failed> {
    let home = context.private_home();
    let job = tempfile::tempdir()?;
    let mut run = Run::start(home.path(), &slow_job(job.path())?, &[])?;
    run.wait_for("job begins", Duration::from_secs(60))?;
    run.wait_for("Finished task", Duration::from_secs(60))?;
    let victims = pids(home.path(), "KubernetesExecutorBackend");
    let victim = victims.first().ok_or("no executor process found")?;
    Command::new("kill").args(["-9", victim]).status()?;
    let (code, output) = run.end()?;
    if code != Some(0) {
        return Err(format!("ended with {code:?}:\n{output}").into());
    }
    expect_parts(&output, &["sum is right: 28", "Error (137)"])?;
    nothing_left(home.path())
}

fn driver_killed(context: &Context) -> Result<(), Failed> {
    let home = context.private_home();
    let job = tempfile::tempdir()?;
    let mut run = Run::start(home.path(), &slow_job(job.path())?, &[])?;
    run.wait_for("job begins", Duration::from_secs(60))?;
    let victims = pids(home.path(), "org.apache.spark.deploy.SparkSubmit");
    let victim = victims.first().ok_or("no driver process found")?;
    Command::new("kill").args(["-9", victim]).status()?;
    let (code, output) = run.end()?;
    if code != Some(137) {
        return Err(format!("ended with {code:?}:\n{output}").into());
    }
    expect_parts(&output, &["driver container failed with ExitCode: 137", "FAILED"])?;
    nothing_left(home.path())
}

fn ended_at_ten_moments(context: &Context, signal: &str, clean: bool) -> Result<(), Failed> {
    let home = context.private_home();
    let job = tempfile::tempdir()?;
    let manifest = slow_job(job.path())?;
    for moment in 0..10u64 {
        let mut run = Run::start(home.path(), &manifest, &[])?;
        // The first two moments come before the application exists: there the signal may end the process by itself.
        let begun = moment > 1;
        if begun {
            run.wait_for("SUBMITTED", Duration::from_secs(60))?;
            std::thread::sleep(Duration::from_millis((moment - 2) * (moment - 2) * 80));
        } else {
            std::thread::sleep(Duration::from_millis(moment * 60));
        }
        run.signal(signal)?;
        let (code, output) = run.end()?;
        if clean && begun && code != Some(130) {
            return Err(format!("moment {moment}: ended with {code:?} instead of 130:\n{output}").into());
        }
        eventually(
            &format!("no process is left after {signal} at moment {moment}"),
            Duration::from_secs(5),
            || processes_of(home.path()).is_empty(),
        )?;
        if clean && begun {
            nothing_left(home.path())?;
        }
    }
    // The next run removes the directories that killed ones could not.
    let output = stoke(home.path(), ["run"])
        .arg(repository().join("examples/pi.yaml"))
        .output()?;
    expect_code(&output, 0)?;
    nothing_left(home.path())
}

fn two_at_once(context: &Context) -> Result<(), Failed> {
    let home = context.private_home();
    let pi = repository().join("examples/pi.yaml");
    let runs = [Run::start(home.path(), &pi, &[])?, Run::start(home.path(), &pi, &[])?];
    for run in runs {
        let (code, output) = run.end()?;
        if code != Some(0) {
            return Err(format!("ended with {code:?}:\n{output}").into());
        }
        expect_parts(&output, &["Pi is roughly 3.1", "COMPLETED"])?;
    }
    nothing_left(home.path())
}

/// Hides every Java of this machine from one process, in a mount namespace of its own.
fn no_java(context: &Context) -> Result<(), Failed> {
    let home = context.private_home();
    let hide = "mount -t tmpfs none /usr/lib/jvm 2>/dev/null; for d in /opt /root/.sdkman /root/.jdks; do \
                [ -d $d ] && mount -t tmpfs none $d; done; exec \"$@\"";
    let output = Command::new("unshare")
        .args([
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            hide,
            "sh",
            env!("CARGO_BIN_EXE_stoke"),
            "run",
        ])
        .arg(repository().join("examples/pi.yaml"))
        .env("STOKE_HOME", home.path())
        .env("HOME", home.path())
        .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
        .env_remove("JAVA_HOME")
        .output()?;
    expect_code(&output, 3)?;
    expect_parts(&text(&output), &["Java", "help:"])?;
    nothing_left(home.path())
}

fn no_python(_: &Context) -> Result<(), Failed> {
    let home = tempfile::tempdir()?;
    let output = stoke(home.path(), ["runtime", "install", "4.1.4"])
        .env("PATH", "/nonexistent")
        .output()?;
    expect_code(&output, 3)?;
    expect_parts(&text(&output), &["Python", "help:"])
}

fn no_network(_: &Context) -> Result<(), Failed> {
    let home = tempfile::tempdir()?;
    let output = stoke(home.path(), ["run"])
        .arg(repository().join("examples/pi.yaml"))
        .env("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
        .env("PIP_RETRIES", "1")
        .env("PIP_CONFIG_FILE", "/dev/null")
        .output()?;
    expect_code(&output, 3)?;
    expect_parts(&text(&output), &["4.1.4", "help:"])?;
    nothing_left(home.path())
}

fn corrupt_runtime(context: &Context) -> Result<(), Failed> {
    let home = tempfile::tempdir()?;
    let from = context.home().join("runtimes/4.1.4");
    let to = home.path().join("runtimes/4.1.4");
    std::fs::create_dir_all(home.path().join("runtimes"))?;
    let copied = Command::new("cp")
        .args(["-a", "--reflink=auto"])
        .arg(&from)
        .arg(&to)
        .output()?;
    expect_code(&copied, 0)?;
    let find = Command::new("find")
        .arg(&to)
        .args(["-name", "spark-core_*.jar"])
        .output()?;
    let jar = String::from_utf8_lossy(&find.stdout).trim().to_string();
    std::fs::write(&jar, b"not a jar")?;
    let output = stoke(home.path(), ["run"])
        .arg(repository().join("examples/pi.yaml"))
        .output()?;
    expect_code(&output, 3)?;
    expect_parts(&text(&output), &["spark-core", "stoke runtime install 4.1.4 --force"])?;
    nothing_left(home.path())
}

fn unmapped_image(_: &Context) -> Result<(), Failed> {
    let home = tempfile::tempdir()?;
    let output = stoke(home.path(), ["run"])
        .arg(repository().join("examples/pi.yaml"))
        .args(["--set", "spec.image=127.0.0.1:1/team/etl:7"])
        .output()?;
    expect_code(&output, 3)?;
    expect_parts(
        &text(&output),
        &["127.0.0.1:1", "stoke::oci::unavailable", "images.yaml"],
    )?;
    nothing_left(home.path())
}
