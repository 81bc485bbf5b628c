//! Images made ready to run here: their Spark installed, a run recorded, archives and caches made; once each.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use stoke_model::units::people::elapsed;
use stoke_runtime::java::Java;
use stoke_runtime::{Image, ImageError, PrivateJava, Program, Progress, Runtime, Runtimes, Stage, Version};
use stoke_sandbox::{Input, Launcher, Mount, Root, Spec};

use crate::error::{LaptopError, Outcome};
use crate::home::Home;
use crate::pod_images;
use crate::rehearsal;
use crate::report::{Reporter, say};

/// Sees to it that an image can be run here: installs its Spark or its program when that is missing, checks it when it is there. One that is
/// neither is fetched and unpacked.
///
/// # Errors
/// When its Spark, its program or a Java for it cannot be had, or the image.
pub async fn ensure(home: &Home, image: &str, reporter: &mut dyn Reporter) -> Outcome<()> {
    let runtimes = Runtimes::new(home.root()).with_program(std::env::current_exe()?);
    if runtimes.own_image(image).map_err(image_failure)?.is_some() {
        return Ok(());
    }
    if let Some(program) = runtimes.program_of(image).map_err(image_failure)? {
        return tokio::task::block_in_place(|| {
            install_program(&runtimes, program, false, reporter)?;
            let checked = runtimes.programs().image(image, program);
            checked.map(drop).map_err(|error| image_failure(error.into()))
        });
    }
    if !pod_images::is_local_spark(&runtimes, image) {
        return pod_images::ensure(home, &runtimes, image, reporter).await;
    }
    tokio::task::block_in_place(|| {
        match runtimes.resolve(image) {
            Err(ImageError::NotInstalled(version)) => {
                // Java is looked for first: there is no use in half a gigabyte that cannot run.
                runtimes.java(&version, None).map_err(image_failure)?;
                install(&runtimes, &version, false, reporter)?;
                runtimes.resolve(image)
            }
            found => found,
        }
        .map_err(image_failure)
    })?;
    record(home, &runtimes, image, reporter).await;
    tokio::task::block_in_place(|| {
        // Caches of a recording, and archives for the Java that the image has now.
        let recorder = runtimes.clone().recording();
        for runtimes in [&recorder, &runtimes] {
            let image_now = runtimes.resolve(image).map_err(image_failure)?;
            prepare(runtimes, image, &image_now, reporter);
        }
        Ok(())
    })
}

/// Records a run for ahead-of-time caches, where this machine has a Java for them and there is none. Until they are there the image has its
/// own Java, and keeps it when they cannot be made; so a failure is a warning, not an error.
async fn record(home: &Home, runtimes: &Runtimes, image: &str, reporter: &mut dyn Reporter) {
    let wanted = || runtimes.recording_of(image).ok().flatten();
    let Some(recording) = wanted() else {
        return;
    };
    let Some(_alone) = tokio::task::block_in_place(|| alone(recording.directory(), reporter)) else {
        return;
    };
    // Whoever had the lock before may have recorded it.
    let Some(recording) = wanted() else {
        reporter.ends();
        return;
    };
    say(
        &format!("{image}: recording a run for ahead-of-time caches, once, for faster starts"),
        reporter,
    );
    let recorded = rehearsal::record(home, image, &recording).await;
    reporter.ends();
    if let Err(why) = recorded {
        reporter.warns(&format!("warning: {image} keeps its own Java and starts slower: {why}"));
    }
}

/// Makes an image's class-data archives or ahead-of-time caches if they are missing, in a container as the image's own, so that it starts
/// fast from then on. Without them it runs as well, only slower; so a failure is a warning, not an error.
fn prepare(runtimes: &Runtimes, name: &str, image: &Image, reporter: &mut dyn Reporter) {
    let Some(preparation) = runtimes.prepare(image) else {
        return;
    };
    let Some(_alone) = alone(&preparation.mount.host, reporter) else {
        return;
    };
    // Whoever had the lock before may have made them.
    let Some(preparation) = runtimes.resolve(name).ok().and_then(|image| runtimes.prepare(&image)) else {
        reporter.ends();
        return;
    };
    let what = match image.java.major < Java::AHEAD_OF_TIME {
        true => "class-data archives",
        false => "ahead-of-time caches",
    };
    say(
        &format!(
            "Spark {}: making {what}, once, for faster starts",
            image.runtime.version
        ),
        reporter,
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
        root: Root::Memory { size: 1 << 30 },
        mounts,
        read_only_root: false,
        memory_limit: None,
        input: Input::Closed,
        log: log.clone(),
    };
    let exit = Launcher::default().start(&spec, |_| {}).map(|sandbox| sandbox.wait());
    reporter.ends();
    if !matches!(&exit, Ok(exit) if exit.container_code() == 0) {
        let told = std::fs::read_to_string(&log).unwrap_or_default();
        let why = exit.map_or_else(
            |error| error.to_string(),
            |_| told.lines().last().unwrap_or_default().to_string(),
        );
        reporter.warns(&format!(
            "warning: Spark {} has no {what} and starts slower: {why}",
            image.runtime.version
        ));
    }
    let _ = std::fs::remove_file(log);
}

/// A lock on making archives in this directory, waited for; none when there cannot be one.
fn alone(directory: &Path, reporter: &mut dyn Reporter) -> Option<File> {
    let lock = File::create(directory.join("preparing")).ok()?;
    if lock.try_lock().is_err() {
        say("another stoke is making what starts need; waiting for it", reporter);
        lock.lock().ok()?;
    }
    Some(lock)
}

/// Installs Spark of a version, with progress; finds it done when it is.
///
/// # Errors
/// When it cannot be installed.
pub fn install(runtimes: &Runtimes, version: &Version, force: bool, reporter: &mut dyn Reporter) -> Outcome<Runtime> {
    let mut shown = Shown::new(&format!("Spark {version}"));
    let runtime = runtimes.install(version, force, &mut |progress| shown.show(progress, reporter));
    reporter.ends();
    runtime.map_err(install_failure)
}

/// Installs the program of a platform component, with its size and progress; finds it done when it is. Gives its directory.
///
/// # Errors
/// When it cannot be installed, or there is no Java for it.
pub fn install_program(
    runtimes: &Runtimes,
    program: &'static Program,
    force: bool,
    reporter: &mut dyn Reporter,
) -> Outcome<PathBuf> {
    let programs = runtimes.programs();
    // Java is looked for first: there is no use in a download that cannot run.
    programs.java(program).map_err(|error| image_failure(error.into()))?;
    if let Some(bytes) = program.download().filter(|_| force || !programs.installed(program)) {
        let text = format!("{}: {} MB to download, once", program.full_name(), bytes / 1_000_000);
        say(&text, reporter);
    }
    let mut shown = Shown::new(&program.full_name());
    let directory = programs.install(program, force, &mut |progress| shown.show(progress, reporter));
    reporter.ends();
    directory.map_err(install_failure)
}

/// Installs a Java of our own, with progress.
///
/// # Errors
/// When it cannot be installed.
pub fn install_java(runtimes: &Runtimes, java: &PrivateJava, reporter: &mut dyn Reporter) -> Outcome<PathBuf> {
    let mut shown = Shown::new(&format!("Java {}", java.release));
    let home = runtimes.install_java(java, &mut |progress| shown.show(progress, reporter));
    reporter.ends();
    home.map_err(install_failure)
}

/// A failure of an installation.
pub fn install_failure(error: stoke_runtime::InstallError) -> LaptopError {
    remedy(error.code(), error.to_string())
}

/// A failure about an image.
pub fn image_failure(error: ImageError) -> LaptopError {
    remedy(error.code(), error.to_string())
}

/// The rooms below say cause and fix in one text, the fix in its last part.
pub fn remedy(code: &'static str, text: String) -> LaptopError {
    let mut error = LaptopError::environment(code, text);
    error.diagnostic = Box::new(error.diagnostic.divided());
    error
}

/// Progress of an installation: a status line on a reporter, a line per stage elsewhere.
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

    fn show(&mut self, progress: Progress, reporter: &mut dyn Reporter) {
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
            reporter.begins(&format!("{}: {doing}", self.what));
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
            format!("  {}", elapsed(seconds))
        };
        reporter.status(&format!("{}: {doing}{amount}{time}", self.what));
    }
}
