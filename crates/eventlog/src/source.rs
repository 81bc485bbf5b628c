//! Where the bytes of logs come from: a local directory, or an object store under a prefix.
//!
//! Reading blocks, because parsers are threads; see [`Objects`].

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

use stoke_storage::{Objects, StorageError, Verb};

use crate::layout::{self, Entry, IN_PROGRESS, Log, Part};

/// A place with event logs.
#[derive(Debug, Clone)]
pub struct Source(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Directory(PathBuf),
    Objects(Objects),
    Nothing,
}

impl Source {
    /// A local directory.
    pub fn directory(path: impl Into<PathBuf>) -> Self {
        Source(Kind::Directory(path.into()))
    }

    /// What an object store holds.
    pub fn objects(objects: Objects) -> Self {
        Source(Kind::Objects(objects))
    }

    /// No place: there are no logs, and there will be none.
    pub fn nothing() -> Self {
        Source(Kind::Nothing)
    }

    /// The URL of the place, for people and for keys of caches.
    pub fn place(&self) -> String {
        match &self.0 {
            Kind::Directory(path) => format!("file://{}", path.display()),
            Kind::Objects(objects) => objects.url().to_owned(),
            Kind::Nothing => "no history".to_owned(),
        }
    }

    /// The directory, when it is a local one.
    pub fn local(&self) -> Option<&std::path::Path> {
        match &self.0 {
            Kind::Directory(path) => Some(path),
            Kind::Objects(_) | Kind::Nothing => None,
        }
    }

    /// The logs there are now.
    ///
    /// # Errors
    /// When the place cannot be listed.
    pub fn logs(&self) -> Result<Vec<Log>, StorageError> {
        let entries = match &self.0 {
            Kind::Directory(path) => list_directory(path).map_err(|cause| self.failed(Verb::List, "", cause))?,
            Kind::Objects(objects) => objects.list()?,
            Kind::Nothing => Vec::new(),
        };
        Ok(layout::logs(entries))
    }

    /// The raw bytes of a file from `offset` on.
    ///
    /// # Errors
    /// When the file cannot be opened. Errors of a store come with the first read.
    pub fn open(&self, entry: &Entry, offset: u64) -> Result<Box<dyn Read + Send>, StorageError> {
        let failed = |cause: io::Error| self.failed(Verb::Read, &entry.path, cause);
        match &self.0 {
            Kind::Directory(path) => {
                let mut file = opened(path, &entry.path).map_err(failed)?;
                if offset > 0 {
                    file.seek(SeekFrom::Start(offset)).map_err(failed)?;
                }
                // What is written meanwhile belongs to the next time: size and content must agree.
                Ok(Box::new(file.take(entry.size.saturating_sub(offset))))
            }
            Kind::Objects(objects) => Ok(Box::new(objects.reader(&entry.path, offset, entry.size))),
            Kind::Nothing => Err(failed(io::ErrorKind::NotFound.into())),
        }
    }

    /// The text of a part from `offset` bytes of text on. A compressed part is decoded from its beginning.
    ///
    /// # Errors
    /// When the file cannot be opened or decoding cannot be set up.
    pub fn text(&self, part: &Part, offset: u64) -> Result<Box<dyn Read + Send>, StorageError> {
        if part.codec == crate::Codec::Plain {
            return self.open(&part.entry, offset);
        }
        let failed = |cause: io::Error| self.failed(Verb::Read, &part.entry.path, cause);
        let mut text = part.codec.decode(self.open(&part.entry, 0)?).map_err(failed)?;
        if offset > 0 {
            io::copy(&mut (&mut text).take(offset), &mut io::sink()).map_err(failed)?;
        }
        Ok(text)
    }

    /// Deletes a file; one that is gone already is deleted.
    ///
    /// # Errors
    /// When it cannot be deleted.
    pub fn delete(&self, path: &str) -> Result<(), StorageError> {
        match &self.0 {
            Kind::Directory(root) => match std::fs::remove_file(root.join(path)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                other => other.map_err(|cause| self.failed(Verb::Delete, path, cause)),
            },
            Kind::Objects(objects) => objects.delete(path),
            Kind::Nothing => Ok(()),
        }
    }

    /// Removes the directory of a rolling log, once it is empty. Stores have no directories.
    pub fn delete_directory(&self, path: &str) {
        if let Kind::Directory(root) = &self.0 {
            // What someone else put there stays, and the directory with it.
            let _ = std::fs::remove_dir(root.join(path));
        }
    }

    fn failed(&self, verb: Verb, file: &str, cause: io::Error) -> StorageError {
        let place = match (&self.0, file) {
            (Kind::Directory(root), "") => root.display().to_string(),
            (_, "") => self.place(),
            _ => file.to_owned(),
        };
        StorageError::new(verb, place, cause)
    }
}

/// Opens a file, also when its application has ended since it was listed: Spark takes the end off its name then.
fn opened(root: &std::path::Path, path: &str) -> io::Result<File> {
    let file = File::open(root.join(path));
    match (&file, path.strip_suffix(IN_PROGRESS)) {
        (Err(error), Some(ended)) if error.kind() == io::ErrorKind::NotFound => File::open(root.join(ended)).or(file),
        _ => file,
    }
}

/// A listing is repeated when a file was renamed meanwhile, because it may have missed both names. This is how often at most.
const LISTINGS: usize = 5;

fn list_directory(root: &std::path::Path) -> io::Result<Vec<Entry>> {
    for _ in 1..LISTINGS {
        let (entries, vanished) = list_once(root)?;
        if !vanished {
            return Ok(entries);
        }
    }
    list_once(root).map(|(entries, _)| entries)
}

/// What is there, and whether an unfinished log vanished while it was listed.
fn list_once(root: &std::path::Path) -> io::Result<(Vec<Entry>, bool)> {
    let mut entries = Vec::new();
    let mut vanished = false;
    for file in std::fs::read_dir(root)? {
        let file = file?;
        let Ok(name) = file.file_name().into_string() else {
            continue;
        };
        // Symbolic links are followed; what vanishes meanwhile is not there, unless it has another name now.
        let Ok(meta) = std::fs::metadata(file.path()) else {
            vanished |= name.ends_with(IN_PROGRESS);
            continue;
        };
        if meta.is_file() {
            entries.push(Entry::of_file(name, &meta));
        } else if meta.is_dir() {
            let Ok(inner) = std::fs::read_dir(file.path()) else {
                continue;
            };
            for below in inner.flatten() {
                if let (Ok(inner), Ok(meta)) = (below.file_name().into_string(), std::fs::metadata(below.path()))
                    && meta.is_file()
                {
                    entries.push(Entry::of_file(format!("{name}/{inner}"), &meta));
                }
            }
        }
    }
    Ok((entries, vanished))
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::memory::InMemory;
    use object_store::path::Path;
    use object_store::{ObjectStore, ObjectStoreExt};
    use std::sync::Arc;
    use stoke_storage::Place;

    #[test]
    fn where_nothing_is_nothing_is_found() {
        let source = Source::nothing();
        assert!(source.logs().unwrap().is_empty());
        let entry = Entry {
            path: "a".to_owned(),
            size: 1,
            modified: 0,
            tag: None,
        };
        assert!(source.open(&entry, 0).is_err());
        assert_eq!((source.place().as_str(), source.local()), ("no history", None));
    }

    #[test]
    fn a_store_and_a_directory_give_the_same() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("eventlog_v2_a")).unwrap();
        let long: Vec<u8> = (0..20_000_000u32).map(|i| (i % 251) as u8).collect();
        for (name, content) in [
            ("one", &long[..]),
            ("eventlog_v2_a/events_1_a", b"x"),
            ("eventlog_v2_a/appstatus_a", b""),
        ] {
            std::fs::write(directory.path().join(name), content).unwrap();
            let path = Path::from(format!("deep/er/{name}"));
            runtime.block_on(store.put(&path, content.to_vec().into())).unwrap();
        }
        let here = Source::directory(directory.path());
        let there = Place::over(store, Path::from("deep/er"), "s3://logs/deep/er".to_owned());
        let there = Source::objects(there.on(runtime.handle().clone()));
        let (near, far) = (here.logs().unwrap(), there.logs().unwrap());
        assert_eq!(near.len(), 2);
        for (near, far) in near.iter().zip(&far) {
            assert_eq!((&near.path, near.size()), (&far.path, far.size()));
            for offset in [0, 1, 9_000_000] {
                let (mut a, mut b) = (Vec::new(), Vec::new());
                here.text(&near.parts[0], offset).unwrap().read_to_end(&mut a).unwrap();
                there.text(&far.parts[0], offset).unwrap().read_to_end(&mut b).unwrap();
                assert_eq!(a.len() as u64, near.size().saturating_sub(offset));
                assert!(a == b);
            }
        }
        there.delete("one").unwrap();
        there.delete("one").unwrap();
        here.delete("one").unwrap();
        assert_eq!((here.logs().unwrap().len(), there.logs().unwrap().len()), (1, 1));
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let error = Source::directory("/no/such/directory").logs().unwrap_err();
        assert_eq!(error.code(), "stoke::storage::list");
        assert!(error.to_string().contains("/no/such/directory"));
    }
}
