//! `stoke runtime`: local Sparks and programs that container images map to.

use serde_json::json;
use stoke_laptop::images::{install, install_failure, install_java, install_program};
use stoke_runtime::programs::PROGRAMS;
use stoke_runtime::{JAVAS, Origin, PrivateJava, Program, Programs, Runtime, Runtimes, Version};

use crate::cli::Context;
use crate::failure::{Failure, Outcome};
use crate::terminal::{Format, Terminal, table};

/// What can be done with runtimes.
#[derive(clap::Subcommand)]
pub enum Command {
    /// List the Sparks there are, and the programs that images of platform components mean
    List,
    /// Install Spark of a version, or the program of a platform component
    Install {
        /// The version of a Spark, for example 4.1.4, or the name of a program, for example kafka
        #[arg(value_name = "VERSION|PROGRAM")]
        version: String,
        /// Install again what is there, for instance when it is damaged
        #[arg(long)]
        force: bool,
    },
    /// Remove an installed Spark or program
    Remove {
        /// The version of a Spark, or the name of a program
        #[arg(value_name = "VERSION|PROGRAM")]
        version: String,
    },
    /// Check every file of an installed Spark or program against its SHA-256
    Verify {
        /// The version of a Spark, or the name of a program
        #[arg(value_name = "VERSION|PROGRAM")]
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
        Command::Install { version, force } if Programs::named(&version).is_some() => {
            let program = named(&version)?;
            install_program(&runtimes, program, force, terminal)?;
            match terminal.format() {
                Format::Text => terminal.out(format!("{} is what {} runs", program.full_name(), program.image())),
                Format::Json => terminal.json(&describe_program(&runtimes, program)),
            }
        }
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
        Command::Remove { version } if Programs::named(&version).is_some() => {
            let program = named(&version)?;
            if !runtimes.programs().remove(program).map_err(install_failure)? {
                return Err(not_installed(&program.full_name()));
            }
            terminal.out(format!("removed {}", program.full_name()));
        }
        Command::Verify { version } if Programs::named(&version).is_some() => {
            let program = named(&version)?;
            let programs = runtimes.programs();
            if !programs.installed(program) {
                return Err(not_installed(&program.full_name()));
            }
            programs
                .verify(program, true)
                .map_err(|corruption| Failure::environment("stoke::runtime::corrupt", corruption))?;
            terminal.out(format!("{} is whole", program.full_name()));
        }
        Command::Remove { version } => {
            let version = parse(&version)?;
            if !runtimes.remove(&version).map_err(install_failure)? {
                return Err(not_installed(&format!("Spark {version}")));
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
            let home = install_java(&runtimes, java, terminal)?;
            terminal.out(format!("Java is in {}", home.display()));
        }
    }
    Ok(0)
}

fn not_installed(what: &str) -> Failure {
    Failure::input("stoke::runtime::not-installed", format!("{what} is not installed"))
        .fix("`stoke runtime list` lists what is")
}

fn named(name: &str) -> Outcome<&'static Program> {
    Programs::named(name)
        .ok_or_else(|| Failure::input("stoke::runtime::version", format!("there is no program {name}")))
}

fn parse(text: &str) -> Outcome<Version> {
    text.parse().map_err(|error| {
        let names: Vec<String> = PROGRAMS.iter().map(Program::call_name).collect();
        Failure::input("stoke::runtime::version", format!("{error}"))
            .fix(format!("give a version like 4.1.4, or one of {}", names.join(", ")))
    })
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

fn describe_program(runtimes: &Runtimes, program: &'static Program) -> serde_json::Value {
    let programs = runtimes.programs();
    json!({
        "program": program.name, "version": program.version, "image": program.image(), "installed": programs.installed(program),
        "download": program.download(), "directory": programs.directory(program),
    })
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
        Format::Json => {
            let sparks = found.iter().map(|runtime| describe_with_java(runtimes, runtime));
            let programs = PROGRAMS.iter().map(|program| describe_program(runtimes, program));
            terminal.json(&json!(sparks.chain(programs).collect::<Vec<_>>()));
        }
        Format::Text if found.is_empty() => {
            terminal
                .note("no Spark; `stoke runtime install 4.1.4` installs one, and `stoke run` installs what it needs");
            list_programs(runtimes, terminal);
        }
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
            terminal.out("");
            list_programs(runtimes, terminal);
        }
    }
}

fn list_programs(runtimes: &Runtimes, terminal: &mut Terminal) {
    let programs = runtimes.programs();
    let mut rows = vec![
        ["PROGRAM", "VERSION", "IMAGE", "INSTALLED", "DOWNLOAD"]
            .map(String::from)
            .to_vec(),
    ];
    rows.extend(PROGRAMS.iter().map(|program| {
        vec![
            program.call_name(),
            program.version.into(),
            program.image().into(),
            if programs.installed(program) { "yes" } else { "no" }.into(),
            program.download().map_or_else(
                || "not for this machine".into(),
                |bytes| format!("{} MB", bytes / 1_000_000),
            ),
        ]
    }));
    for line in table(&rows) {
        terminal.out(line);
    }
}
