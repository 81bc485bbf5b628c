//! A cluster's state in one file: a gzip-compressed tar of its directory, to be put back here or on another machine.
//!
//! In: the cluster's directory. Out: the file, or the directory as it was. What belongs to running processes stays out (their
//! scratch space, logs of the program itself, the addresses of a running server); the database is copied as SQLite itself copies it, so a
//! cluster may be up while it is saved. Restoring goes to a directory beside the old one and takes its place only when it is whole:
//! a damaged file or an interruption changes nothing.
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

use crate::api::{self, ClusterError, DATABASE};
use crate::store::{self, DiskError};

/// Layout of the file. A newer one is refused.
const FORMAT: u32 = 1;
/// Name of the description, the first entry of the file.
const DESCRIPTION: &str = "snapshot.json";
/// What belongs to a running cluster and not to its state.
const LEFT_OUT: [&str; 6] = ["pods", "kubeconfig", "pid", "stoke.log", "lock", "in-use"];

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

/// Saves the cluster in `home` to `file`, which must not exist and appears only when it is whole.
///
/// # Errors
/// No cluster, the file exists, or reading or writing fails; then no file is left.
pub fn save(home: &Path, file: &Path, progress: &mut dyn FnMut(Progress)) -> Result<Description, SnapshotError> {
    let database = home.join(DATABASE);
    if !database.exists() {
        return Err(SnapshotError::NoCluster(home.display().to_string()));
    }
    if file.exists() {
        return Err(SnapshotError::Exists(file.display().to_string()));
    }
    let beside = |what: &str| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        Removed(file.with_file_name(format!(".{name}.{}.{what}", std::process::id())))
    };
    let (partial, copy) = (beside("partial"), beside("db"));
    copy_database(&database, &copy.0)?;
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
    tar.append_path_with_name(&copy.0, DATABASE)
        .map_err(file_error(&copy.0))?;
    let mut done = Progress::default();
    for entry in sorted(home)? {
        let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !name.starts_with(DATABASE) && !LEFT_OUT.contains(&name.as_str()) {
            append(&mut tar, &entry, Path::new(&name), &mut done, progress)?;
        }
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
/// The file cannot be read, is no snapshot, or is of a newer program.
pub fn describe(file: &Path) -> Result<Description, SnapshotError> {
    let mut archive = open(file)?;
    let mut entries = archive.entries().map_err(damaged(file))?;
    read_description(file, entries.next())
}

/// Puts the cluster in `file` into `home`; an existing cluster there is replaced only when `replace` says so.
///
/// # Errors
/// The cluster in `home` runs, or exists and may not be replaced; the file is damaged or of a newer program. Then `home` is as it was.
pub fn restore(
    file: &Path,
    home: &Path,
    replace: bool,
    progress: &mut dyn FnMut(Progress),
) -> Result<Description, SnapshotError> {
    let occupied = home.join(DATABASE).exists();
    let _lock = match home.is_dir() {
        true => Some(api::lock(home)?),
        false => None,
    };
    if occupied && !replace {
        return Err(SnapshotError::Occupied(home.display().to_string()));
    }
    let name = home.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (fresh, old) = (
        home.with_file_name(format!(".{name}.restoring")),
        home.with_file_name(format!(".{name}.replaced")),
    );
    // One that was interrupted after the first of the two renames below left the old cluster there.
    if old.exists() && !home.exists() {
        fs::rename(&old, home).map_err(file_error(&old))?;
    }
    for leftover in [&fresh, &old] {
        if leftover.exists() {
            fs::remove_dir_all(leftover).map_err(file_error(leftover))?;
        }
    }
    let description = unpack(file, &fresh, progress).inspect_err(|_| {
        let _ = fs::remove_dir_all(&fresh);
    })?;
    let swap = || -> io::Result<()> {
        if home.exists() {
            fs::rename(home, &old)?;
        }
        fs::rename(&fresh, home)?;
        sync_directory(home)?;
        if old.exists() {
            fs::remove_dir_all(&old)?;
        }
        Ok(())
    };
    swap().map_err(file_error(home))?;
    Ok(description)
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

/// A file that is gone when the value is.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    use crate::store::{Key, Store, Write, WriteKind};

    fn cluster(directory: &Path) -> PathBuf {
        let home = directory.join("default");
        fs::create_dir_all(home.join("volumes/v")).unwrap();
        fs::create_dir_all(home.join("pods/p")).unwrap();
        fs::write(home.join("volumes/v/data"), b"bytes").unwrap();
        fs::write(home.join("pods/p/scratch"), b"of a process").unwrap();
        fs::write(home.join("pid"), b"1").unwrap();
        std::os::unix::fs::symlink("data", home.join("volumes/v/link")).unwrap();
        drop(Store::open(&home.join(DATABASE)).unwrap());
        home
    }

    #[test]
    fn a_cluster_comes_back_as_it_was_without_what_belongs_to_processes() {
        let directory = tempfile::tempdir().unwrap();
        let home = cluster(directory.path());
        let file = directory.path().join("s.tar.gz");
        let saved = save(&home, &file, &mut |_| {}).unwrap();
        assert_eq!(describe(&file).unwrap(), saved);
        fs::write(home.join("volumes/v/data"), b"changed").unwrap();
        let refused = restore(&file, &home, false, &mut |_| {}).unwrap_err();
        assert!(matches!(refused, SnapshotError::Occupied(_)), "{refused}");
        let mut last = Progress::default();
        restore(&file, &home, true, &mut |progress| last = progress).unwrap();
        assert_eq!(fs::read(home.join("volumes/v/data")).unwrap(), b"bytes");
        assert_eq!(fs::read_link(home.join("volumes/v/link")).unwrap(), Path::new("data"));
        assert!(!home.join("pods").exists() && !home.join("pid").exists());
        assert_eq!(last.files, 3);
        let names: Vec<_> = fs::read_dir(directory.path())
            .unwrap()
            .flatten()
            .map(|e| e.file_name())
            .collect();
        assert_eq!(names.len(), 2, "nothing is left beside them: {names:?}");
    }

    #[test]
    fn a_damaged_file_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let home = cluster(directory.path());
        let file = directory.path().join("s.tar.gz");
        save(&home, &file, &mut |_| {}).unwrap();
        let whole = fs::read(&file).unwrap();
        let bad = directory.path().join("bad");
        let mut flipped = whole.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 0xff;
        for bytes in [
            &whole[..whole.len() - 5],
            &whole[..whole.len() / 2],
            &[],
            b"text",
            &flipped,
        ] {
            fs::write(&bad, bytes).unwrap();
            let error = restore(&bad, &home, true, &mut |_| {}).unwrap_err();
            assert!(
                matches!(error, SnapshotError::Damaged { .. } | SnapshotError::Database(_)),
                "{error}"
            );
            assert_eq!(fs::read(home.join("volumes/v/data")).unwrap(), b"bytes");
            assert!(!directory.path().join(".default.restoring").exists());
        }
    }

    #[test]
    fn a_restore_that_was_cut_between_its_renames_is_taken_back_first() {
        let directory = tempfile::tempdir().unwrap();
        let home = cluster(directory.path());
        let file = directory.path().join("s.tar.gz");
        save(&home, &file, &mut |_| {}).unwrap();
        fs::rename(&home, directory.path().join(".default.replaced")).unwrap();
        let bad = directory.path().join("bad");
        fs::write(&bad, b"text").unwrap();
        restore(&bad, &home, true, &mut |_| {}).unwrap_err();
        assert_eq!(fs::read(home.join("volumes/v/data")).unwrap(), b"bytes");
    }

    #[test]
    fn what_cannot_be_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("s.tar.gz");
        let none = save(&directory.path().join("none"), &file, &mut |_| {}).unwrap_err();
        assert!(matches!(none, SnapshotError::NoCluster(_)), "{none}");
        let home = cluster(directory.path());
        let lock = api::lock(&home).unwrap();
        save(&home, &file, &mut |_| {}).unwrap();
        let running = restore(&file, &home, true, &mut |_| {}).unwrap_err();
        assert!(matches!(running, SnapshotError::Running(_)), "{running}");
        drop(lock);
        let twice = save(&home, &file, &mut |_| {}).unwrap_err();
        assert!(matches!(twice, SnapshotError::Exists(_)), "{twice}");

        let newer = directory.path().join("newer");
        let out = GzEncoder::new(File::create(&newer).unwrap(), Compression::fast());
        let mut tar = tar::Builder::new(out);
        let text = br#"{"format": 2, "stoke": "9.0", "savedAt": ""}"#;
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        tar.append_data(&mut header, DESCRIPTION, &text[..]).unwrap();
        tar.into_inner().unwrap().finish().unwrap();
        let refused = restore(&newer, &home, true, &mut |_| {}).unwrap_err();
        assert!(refused.to_string().contains("stoke 9.0"), "{refused}");
    }

    #[tokio::test]
    async fn a_cluster_that_is_being_written_is_saved_at_one_moment() {
        let directory = tempfile::tempdir().unwrap();
        let home = cluster(directory.path());
        let store = Store::open(&home.join(DATABASE)).unwrap();
        let write = |number: usize| {
            let name = format!("m{number:03}");
            let key = Key::new(&"configmaps".into(), "default", &name);
            Write::new(key, WriteKind::Create, &mut json!({"metadata": {"name": name}}))
        };
        let saving = tokio::task::spawn_blocking({
            let (home, file) = (home.clone(), directory.path().join("s.tar.gz"));
            move || save(&home, &file, &mut |_| {}).map(|_| file)
        });
        for number in 0..200 {
            store.write(write(number)).await.unwrap();
        }
        let file = saving.await.unwrap().unwrap();
        let other = directory.path().join("other");
        restore(&file, &other, false, &mut |_| {}).unwrap();
        let copy = Store::open(&other.join(DATABASE)).unwrap();
        let page = copy.list(&"configmaps".into(), None, None, usize::MAX, |_| true);
        let expected: Vec<String> = (0..page.items.len()).map(|number| format!("m{number:03}")).collect();
        let found: Vec<String> = page.items.iter().map(|object| object.key.name.to_string()).collect();
        assert_eq!(found, expected, "the first writes and no others");
    }
}
