//! `stoke snapshot`: the state of the embedded cluster in one file, and back.

use std::path::{Path, PathBuf};

use serde_json::json;
use stoke_cluster::snapshot::{self, Beside, Progress, SnapshotError};
use stoke_laptop::home::{Home, create_private};
use stoke_model::units::people::counted;

use crate::cli::Context;
use crate::commands::down::process_of;
use crate::failure::{Failure, Outcome};
use crate::terminal::{Format, Terminal, table};

/// What can be done with snapshots.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Save the embedded cluster (objects, volumes, logs, uploads) and the object store; it may be up
    Save {
        /// A name (kept below Stoke's directory) or a path with a slash
        name: String,
    },
    /// Put a saved state back; the cluster must be down
    Restore {
        /// The name or path it was saved under
        name: String,
        /// Replace the cluster there is
        #[arg(long)]
        replace: bool,
    },
    /// List the snapshots below Stoke's directory
    List,
    /// Remove a snapshot
    Remove {
        /// Its name
        name: String,
    },
}

/// Ending of a snapshot's file.
const ENDING: &str = ".tar.gz";

/// Runs the command.
pub fn run(command: Command, context: &mut Context) -> Outcome<u8> {
    let cluster = context.home.default_cluster();
    let beside = [Beside {
        name: "object-store",
        directory: context.home.root().join("object-store"),
    }];
    match command {
        Command::Save { name } => {
            let file = file(&context.home, &name)?;
            if process_of(&cluster).is_some() {
                let caution = "the cluster is up: files that pods are writing are saved as they are at that moment";
                context.terminal.note(caution);
            }
            let mut last = Progress::default();
            let saved = snapshot::save(&cluster, &beside, &file, &mut |progress| {
                last = progress;
                show("saving", progress, &mut context.terminal);
            });
            context.terminal.end_status();
            saved.map_err(failure)?;
            tell("saved", &file, last, &mut context.terminal);
        }
        Command::Restore { name, replace } => {
            let file = file(&context.home, &name)?;
            if !file.exists() {
                return Err(missing(&name, &file));
            }
            create_private(&context.home.clusters())?;
            let mut last = Progress::default();
            let restored = snapshot::restore(&file, &cluster, &beside, replace, &mut |progress| {
                last = progress;
                show("restoring", progress, &mut context.terminal);
            });
            context.terminal.end_status();
            restored.map_err(failure)?;
            tell("restored", &file, last, &mut context.terminal);
        }
        Command::List => list(context)?,
        Command::Remove { name } => {
            let file = file(&context.home, &name)?;
            std::fs::remove_file(&file).map_err(|_| missing(&name, &file))?;
            context.terminal.out(format!("removed {}", file.display()));
        }
    }
    Ok(0)
}

fn show(doing: &str, progress: Progress, terminal: &mut Terminal) {
    // Often enough to be seen moving, seldom enough to cost nothing.
    if progress.files.is_multiple_of(64) {
        terminal.status(format!(
            "{doing}: {}, {} MiB",
            counted(progress.files, "file"),
            progress.bytes >> 20
        ));
    }
}

fn tell(done: &str, file: &Path, progress: Progress, terminal: &mut Terminal) {
    let size = std::fs::metadata(file).map_or(0, |metadata| metadata.len());
    match terminal.format() {
        Format::Json => terminal.json(&json!({ "file": file, "files": progress.files, "bytes": size })),
        Format::Text => terminal.out(format!(
            "{done} {} ({}, {} KiB)",
            file.display(),
            counted(progress.files, "file"),
            size.div_ceil(1024)
        )),
    }
}

/// Where a snapshot of that name lies: a name below the home, a path with a slash as it stands.
fn file(home: &Home, name: &str) -> Outcome<PathBuf> {
    if name.contains('/') {
        return Ok(PathBuf::from(name));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
        return Err(Failure::input(
            "stoke::snapshot::name",
            format!("`{name}` is not a name for a snapshot"),
        )
        .fix("use letters, digits, `-`, `_` and `.`, or a path with a slash"));
    }
    let directory = home.root().join("snapshots");
    create_private(&directory)?;
    Ok(directory.join(format!("{}{ENDING}", name.strip_suffix(ENDING).unwrap_or(name))))
}

fn list(context: &mut Context) -> Outcome<()> {
    let directory = context.home.root().join("snapshots");
    let entries = std::fs::read_dir(&directory).into_iter().flatten().flatten();
    let mut found: Vec<(String, PathBuf)> = entries
        .filter_map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let name = name.strip_suffix(ENDING).filter(|name| !name.starts_with('.'))?;
            Some((name.to_owned(), entry.path()))
        })
        .collect();
    found.sort();
    let described: Vec<_> = found
        .iter()
        .map(|(name, path)| {
            let size = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
            let saved = snapshot::describe(path).map_or_else(
                |error| format!("unreadable: {error}"),
                |description| description.saved_at,
            );
            (name, path, size, saved)
        })
        .collect();
    match context.terminal.format() {
        Format::Json => {
            let rows = described.iter().map(
                |(name, path, size, saved)| json!({ "name": name, "file": path, "bytes": size, "savedAt": saved }),
            );
            context.terminal.json(&rows.collect::<Vec<_>>());
        }
        Format::Text if described.is_empty() => context
            .terminal
            .note("no snapshots; `stoke snapshot save NAME` makes one"),
        Format::Text => {
            let mut rows = vec![["NAME", "SAVED", "KIB"].map(String::from).to_vec()];
            rows.extend(
                described.iter().map(|(name, _, size, saved)| {
                    vec![(*name).clone(), saved.clone(), size.div_ceil(1024).to_string()]
                }),
            );
            for line in table(&rows) {
                context.terminal.out(line);
            }
        }
    }
    Ok(())
}

fn missing(name: &str, file: &Path) -> Failure {
    Failure::input(
        "stoke::snapshot::missing",
        format!("there is no snapshot `{name}`: {} is not there", file.display()),
    )
    .fix("`stoke snapshot list` lists what there is")
}

fn failure(error: SnapshotError) -> Failure {
    let code = match &error {
        SnapshotError::NoCluster(_) => "stoke::snapshot::no-cluster",
        SnapshotError::Exists(_) => "stoke::snapshot::exists",
        SnapshotError::Occupied(_) => "stoke::snapshot::occupied",
        SnapshotError::Running(_) | SnapshotError::InUse(_) => "stoke::snapshot::running",
        SnapshotError::File { .. } => "stoke::snapshot::file",
        SnapshotError::Damaged { .. } | SnapshotError::Database(_) => "stoke::snapshot::damaged",
        SnapshotError::Newer { .. } => "stoke::snapshot::newer",
    };
    match error {
        SnapshotError::File { .. } => Failure::environment(code, error),
        error => Failure::input(code, error.to_string()),
    }
}
