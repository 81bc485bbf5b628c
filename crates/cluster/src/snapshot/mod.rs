//! A cluster's state in one file: a gzip-compressed tar of its directory, to be put back here or on another machine.
//!
//! In: the cluster's directory and those that belong with it ([`Beside`], such as the object store's). Out: the file, or the directories
//! as they were. What belongs to running processes stays out (their scratch space, logs of the program itself, the addresses of a running
//! server); databases are copied as SQLite itself copies them, so a cluster may be up while it is saved. Restoring goes to directories
//! beside the old ones, which take their place only when all is whole: a damaged file or an interruption before that changes nothing.
//!
//! Cost: one pass over the files, memory independent of their size.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};

use crate::api::{self, DATABASE};
use crate::error::ClusterError;
use crate::store::{self, DiskError};

/// Layout of the file. A newer one is refused.
const FORMAT: u32 = 1;
/// Name of the description, the first entry of the file.
const DESCRIPTION: &str = "snapshot.json";
/// What belongs to a running cluster and not to its state.
const LEFT_OUT: [&str; 8] = [
    "pods",
    "kubeconfig",
    crate::place::FILE,
    "pid",
    "stoke.log",
    "lock",
    "in-use",
    "object-store",
];
/// Directory of the file with what belongs beside the cluster.
const BESIDE: &str = "beside";
/// Ending of SQLite's files.
const DATABASES: &str = ".db";

/// A directory that is saved and put back with the cluster. It holds files that are written once (and removed no sooner than a minute after
/// nothing names them), databases that name them (`*.db`), and a file `lock` that its users hold.
#[derive(Clone, Debug)]
pub struct Beside {
    /// Its name within the snapshot.
    pub name: &'static str,
    /// Where it is. It need not exist.
    pub directory: PathBuf,
}

/// What a snapshot says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    /// Layout of the file.
    pub format: u32,
    /// Version of the program that wrote it.
    pub stoke: String,
    /// When, RFC 3339.
    pub saved_at: String,
}

/// How far the work has come.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Files so far.
    pub files: u64,
    /// Their bytes before compression.
    pub bytes: u64,
}

/// Why a snapshot is not made or not put back.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// There is nothing to save.
    #[error("there is no cluster in {0}: start one with `stoke up`")]
    NoCluster(String),
    /// The file exists.
    #[error("{0} is there already: choose another name, or remove it")]
    Exists(String),
    /// The cluster that would be replaced exists.
    #[error("{0} holds a cluster: end it with `stoke down --wipe` first, or say --replace")]
    Occupied(String),
    /// The cluster that would be replaced runs.
    #[error(transparent)]
    Running(#[from] ClusterError),
    /// What would be replaced is in use.
    #[error("{0} is in use: end what uses it first (`stoke down`, or the `stoke run` that is still going)")]
    InUse(String),
    /// Reading or writing failed.
    #[error("{path}: {cause}")]
    File {
        /// Where.
        path: String,
        /// The system's message.
        cause: io::Error,
    },
    /// Not a snapshot, or damaged.
    #[error("{path} is not a whole snapshot: {cause}; nothing was changed")]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong.
        cause: String,
    },
    /// Written by a newer program.
    #[error(
        "{path} was written by stoke {stoke}, in layout {found}; this program knows up to {FORMAT}: use the newer stoke"
    )]
    Newer {
        /// The file.
        path: String,
        /// Its program.
        stoke: String,
        /// Its layout.
        found: u32,
    },
    /// The database in it cannot be opened.
    #[error(transparent)]
    Database(#[from] DiskError),
}

fn file_error(path: &Path) -> impl Fn(io::Error) -> SnapshotError + '_ {
    move |cause| SnapshotError::File {
        path: path.display().to_string(),
        cause,
    }
}

/// Saves the cluster in `home` and what lies `beside` it to `file`, which must not exist and appears only when it is whole.
///
/// # Errors
/// No cluster, the file exists, or reading or writing fails; then no file is left.
pub fn save(
    home: &Path,
    beside: &[Beside],
    file: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Description, SnapshotError> {
    if !home.join(DATABASE).exists() {
        return Err(SnapshotError::NoCluster(home.display().to_string()));
    }
    if file.exists() {
        return Err(SnapshotError::Exists(file.display().to_string()));
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let temporary = |what: &str| file.with_file_name(format!(".{name}.{}.{what}", std::process::id()));
    let (partial, copy) = (Removed(temporary("partial")), Removed(temporary("db")));
    let description = Description {
        format: FORMAT,
        stoke: env!("CARGO_PKG_VERSION").to_owned(),
        saved_at: jiff::Timestamp::now().to_string(),
    };
    let unwritable = file_error(&partial.0);
    let out = File::options()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(&partial.0)
        .map_err(&unwritable)?;
    let mut tar = tar::Builder::new(GzEncoder::new(BufWriter::new(out), Compression::fast()));
    tar.follow_symlinks(false);
    let text = serde_json::to_vec(&description).unwrap_or_default();
    let mut header = tar::Header::new_gnu();
    header.set_size(text.len() as u64);
    header.set_mode(0o600);
    tar.append_data(&mut header, DESCRIPTION, &text[..])
        .map_err(&unwritable)?;
    let mut done = Progress::default();
    append_directory(&mut tar, home, home, Path::new(""), &copy, &mut done, progress)?;
    for beside in beside.iter().filter(|beside| beside.directory.is_dir()) {
        let name = format!(".{}.{}.links", beside.name, std::process::id());
        let links = Removed(beside.directory.with_file_name(name));
        let within = Path::new(BESIDE).join(beside.name);
        append_directory(
            &mut tar,
            &beside.directory,
            &links.0,
            &within,
            &copy,
            &mut done,
            progress,
        )?;
    }
    let finish = || -> io::Result<()> {
        let mut out = tar.into_inner()?.finish()?;
        out.flush()?;
        out.get_ref().sync_all()?;
        fs::rename(&partial.0, file)?;
        sync_directory(file)
    };
    finish().map_err(&unwritable)?;
    Ok(description)
}

/// Adds a directory: its databases first, as they are at one moment; then its files, by way of links made right after, so that one that
/// is removed meanwhile is saved nevertheless. Where `links` is the directory itself, files are read as they come.
fn append_directory(
    tar: &mut tar::Builder<impl Write>,
    directory: &Path,
    links: &Path,
    within: &Path,
    copy: &Removed,
    done: &mut Progress,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), SnapshotError> {
    for path in sorted(directory)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.ends_with(DATABASES) {
            let _ = fs::remove_file(&copy.0);
            copy_database(&path, &copy.0)?;
            tar.append_path_with_name(&copy.0, within.join(&name))
                .map_err(file_error(&copy.0))?;
        }
    }
    if links != directory {
        link(directory, links)?;
    }
    for path in sorted(links)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // `x.db-wal` and `x.db-shm` are part of the copy.
        let of_database = name
            .rsplit_once('-')
            .map_or(name.as_str(), |(start, _)| start)
            .ends_with(DATABASES);
        if !of_database && !LEFT_OUT.contains(&name.as_str()) {
            append(tar, &path, &within.join(&name), done, progress)?;
        }
    }
    Ok(())
}

/// The same tree, its files linked.
fn link(from: &Path, to: &Path) -> Result<(), SnapshotError> {
    fs::create_dir_all(to).map_err(file_error(to))?;
    for path in sorted(from)? {
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            link(&path, &target)?;
            continue;
        }
        match fs::hard_link(&path, &target) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(file_error(&path)(error)),
            _ => {}
        }
    }
    Ok(())
}

fn append(
    tar: &mut tar::Builder<impl Write>,
    path: &Path,
    name: &Path,
    done: &mut Progress,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), SnapshotError> {
    let metadata = match fs::symlink_metadata(path) {
        // A file of a running cluster may go while it is saved.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        metadata => metadata.map_err(file_error(path))?,
    };
    if metadata.is_dir() {
        tar.append_dir(name, path).map_err(file_error(path))?;
        for entry in sorted(path)? {
            let below = name.join(entry.file_name().unwrap_or_default());
            append(tar, &entry, &below, done, progress)?;
        }
        return Ok(());
    }
    if metadata.is_file() {
        let file = File::open(path).map_err(file_error(path))?;
        let mut header = tar::Header::new_gnu();
        header.set_metadata(&metadata);
        // The size was said; a file that grows meanwhile is cut there, one that shrinks is filled up.
        let exact = file.take(metadata.len()).chain(io::repeat(0)).take(metadata.len());
        tar.append_data(&mut header, name, exact).map_err(file_error(path))?;
        done.bytes += metadata.len();
    } else if metadata.is_symlink() {
        tar.append_path_with_name(path, name).map_err(file_error(path))?;
    }
    // Sockets and pipes mean nothing without their process.
    done.files += 1;
    progress(*done);
    Ok(())
}

/// What a snapshot says of itself.
///
/// # Errors
/// The file cannot be read, is not a snapshot, or is of a newer program.
pub fn describe(file: &Path) -> Result<Description, SnapshotError> {
    let mut archive = open(file)?;
    let mut entries = archive.entries().map_err(damaged(file))?;
    read_description(file, entries.next())
}

/// Puts the cluster in `file` into `home`, and what lies beside it into its places; what is there is replaced only when `replace` says so.
///
/// # Errors
/// The cluster in `home` runs, or exists and may not be replaced; the file is damaged or of a newer program. Then all is as it was.
pub fn restore(
    file: &Path,
    home: &Path,
    beside: &[Beside],
    replace: bool,
    progress: &mut dyn FnMut(Progress),
) -> Result<Description, SnapshotError> {
    let cluster = Place::new(home);
    let places: Vec<Place> = beside.iter().map(|beside| Place::new(&beside.directory)).collect();
    for place in places.iter().chain([&cluster]) {
        place.tidy()?;
    }
    let _running = match home.is_dir() {
        true => Some(api::lock(home)?),
        false => None,
    };
    let mut locks = Vec::new();
    for beside in beside {
        locks.extend(lock(&beside.directory)?);
    }
    if !replace && home.join(DATABASE).exists() {
        return Err(SnapshotError::Occupied(home.display().to_string()));
    }
    let description = unpack(file, &cluster.fresh, progress).inspect_err(|_| {
        let _ = fs::remove_dir_all(&cluster.fresh);
    })?;
    let within = cluster.fresh.join(BESIDE);
    let mut found = Vec::new();
    for (beside, place) in beside.iter().zip(&places) {
        let unpacked = within.join(beside.name);
        if unpacked.is_dir() {
            fs::rename(&unpacked, &place.fresh).map_err(file_error(&unpacked))?;
            found.push(place);
        }
    }
    if within.exists() {
        fs::remove_dir_all(&within).map_err(file_error(&within))?;
    }
    for place in found.into_iter().chain([&cluster]) {
        place.swap()?;
    }
    Ok(description)
}

/// A directory that is replaced: the new one is made beside it, the old one is put beside it before it is removed.
struct Place {
    directory: PathBuf,
    fresh: PathBuf,
    old: PathBuf,
}

impl Place {
    fn new(directory: &Path) -> Place {
        let name = directory.file_name().unwrap_or_default().to_string_lossy();
        Place {
            directory: directory.to_path_buf(),
            fresh: directory.with_file_name(format!(".{name}.restoring")),
            old: directory.with_file_name(format!(".{name}.replaced")),
        }
    }

    /// Removes what an interrupted restore left; one that was cut between its two renames is taken back.
    fn tidy(&self) -> Result<(), SnapshotError> {
        if self.old.exists() && !self.directory.exists() {
            fs::rename(&self.old, &self.directory).map_err(file_error(&self.old))?;
        }
        for leftover in [&self.fresh, &self.old] {
            if leftover.exists() {
                fs::remove_dir_all(leftover).map_err(file_error(leftover))?;
            }
        }
        Ok(())
    }

    fn swap(&self) -> Result<(), SnapshotError> {
        let swap = || -> io::Result<()> {
            if self.directory.exists() {
                fs::rename(&self.directory, &self.old)?;
            }
            fs::rename(&self.fresh, &self.directory)?;
            sync_directory(&self.directory)?;
            if self.old.exists() {
                fs::remove_dir_all(&self.old)?;
            }
            Ok(())
        };
        swap().map_err(file_error(&self.directory))
    }
}

/// The lock of a directory beside the cluster; none when the directory is not there.
fn lock(directory: &Path) -> Result<Option<File>, SnapshotError> {
    let path = directory.join("lock");
    let file = match File::options().write(true).open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(file_error(&path))?,
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(_) => Err(SnapshotError::InUse(directory.display().to_string())),
    }
}

fn unpack(file: &Path, fresh: &Path, progress: &mut dyn FnMut(Progress)) -> Result<Description, SnapshotError> {
    use std::os::unix::fs::DirBuilderExt;
    let mut archive = open(file)?;
    let mut entries = archive.entries().map_err(damaged(file))?;
    let description = read_description(file, entries.next())?;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(fresh)
        .map_err(file_error(fresh))?;
    let mut done = Progress::default();
    // Directories get their permissions last, or a read-only one could not be filled.
    let mut directories = Vec::new();
    for entry in entries {
        let mut entry = entry.map_err(damaged(file))?;
        entry.set_preserve_permissions(true);
        entry.set_preserve_mtime(true);
        if entry.header().entry_type().is_dir() {
            directories.push(entry);
            continue;
        }
        done.bytes += entry.size();
        done.files += 1;
        if !entry.unpack_in(fresh).map_err(damaged(file))? {
            let path = entry.path().map(|path| path.display().to_string()).unwrap_or_default();
            return Err(damaged(file)(io::Error::other(format!(
                "the entry {path:?} leads out of it"
            ))));
        }
        progress(done);
    }
    for mut directory in directories.into_iter().rev() {
        directory.unpack_in(fresh).map_err(damaged(file))?;
    }
    // To its very end, where its checksum is.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(damaged(file))?;
    store::check(&fresh.join(DATABASE))?;
    Ok(description)
}

fn open(file: &Path) -> Result<tar::Archive<impl Read>, SnapshotError> {
    let read = File::open(file).map_err(file_error(file))?;
    Ok(tar::Archive::new(GzDecoder::new(BufReader::new(read))))
}

fn read_description<R: Read>(
    file: &Path,
    first: Option<io::Result<tar::Entry<'_, R>>>,
) -> Result<Description, SnapshotError> {
    let mut first = first
        .ok_or_else(|| damaged(file)(io::Error::other("it is empty")))?
        .map_err(damaged(file))?;
    if first.path().map_err(damaged(file))?.as_os_str() != DESCRIPTION {
        return Err(damaged(file)(io::Error::other(format!(
            "it does not begin with {DESCRIPTION}"
        ))));
    }
    let mut text = Vec::new();
    first
        .by_ref()
        .take(1 << 16)
        .read_to_end(&mut text)
        .map_err(damaged(file))?;
    let description: Description = serde_json::from_slice(&text).map_err(|error| damaged(file)(error.into()))?;
    if description.format > FORMAT {
        return Err(SnapshotError::Newer {
            path: file.display().to_string(),
            stoke: description.stoke,
            found: description.format,
        });
    }
    Ok(description)
}

fn damaged(file: &Path) -> impl Fn(io::Error) -> SnapshotError + '_ {
    move |cause| SnapshotError::Damaged {
        path: file.display().to_string(),
        cause: cause.to_string(),
    }
}

/// A consistent copy of a database that may be in use.
fn copy_database(database: &Path, copy: &Path) -> Result<(), SnapshotError> {
    let complain = |cause: rusqlite::Error| SnapshotError::File {
        path: database.display().to_string(),
        cause: io::Error::other(cause.to_string()),
    };
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(complain)?;
    connection
        .execute("VACUUM INTO ?1", [copy.display().to_string()])
        .map_err(complain)?;
    Ok(())
}

/// The entries of a directory by name, so that the same state gives the same order.
fn sorted(directory: &Path) -> Result<Vec<PathBuf>, SnapshotError> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(file_error(directory))?,
    };
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<_>>()
        .map_err(file_error(directory))?;
    paths.sort();
    Ok(paths)
}

/// Makes a rename in the directory of `path` durable.
fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

/// A file or directory that is gone when the value is.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = match self.0.is_dir() {
            true => fs::remove_dir_all(&self.0),
            false => fs::remove_file(&self.0),
        };
    }
}

#[cfg(test)]
mod tests;
