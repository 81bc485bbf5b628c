//! Writing a volume of files so that a reader sees either all old or all new ones: the layout of Kubernetes.
//!
//! `key -> ..data/key`, `..data -> ..<time>`: a change makes a new directory and then moves one link.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::payload::Payload;

/// The link that is moved.
const DATA: &str = "..data";

/// Makes the volume at `directory` show `payload`; true when something changed.
pub(crate) fn write(directory: &Path, payload: &Payload) -> io::Result<bool> {
    fs::create_dir_all(directory)?;
    let data = directory.join(DATA);
    if data.exists() && same(&data, payload)? {
        return Ok(false);
    }
    let old = fs::read_link(&data).ok();
    let stamp = format!("..{}", crate::clock::now().strftime("%Y_%m_%d_%H_%M_%S.%9f"));
    let fresh = directory.join(&stamp);
    for (path, entry) in payload {
        let file = fresh.join(path);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&file, &entry.content)?;
        fs::set_permissions(&file, Permissions::from_mode(entry.mode))?;
    }
    fs::create_dir_all(&fresh)?;
    let next = directory.join("..data_tmp");
    let _ = fs::remove_file(&next);
    symlink(&stamp, &next)?;
    fs::rename(&next, &data)?;

    let wanted: BTreeSet<&str> = payload.keys().filter_map(|path| path.split('/').next()).collect();
    for name in &wanted {
        let link = directory.join(name);
        if fs::symlink_metadata(&link).is_err() {
            symlink(Path::new(DATA).join(name), &link)?;
        }
    }
    for entry in fs::read_dir(directory)?.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !name.starts_with("..") && !wanted.contains(&*name) {
            fs::remove_file(entry.path())?;
        }
    }
    if let Some(old) = old {
        let _ = fs::remove_dir_all(directory.join(old));
    }
    Ok(true)
}

/// Whether the files below `data` are exactly `payload`.
fn same(data: &Path, payload: &Payload) -> io::Result<bool> {
    let mut found = 0;
    let mut pending = vec![data.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                pending.push(entry.path());
            } else {
                found += 1;
            }
        }
    }
    if found != payload.len() {
        return Ok(false);
    }
    for (path, entry) in payload {
        let file = data.join(path);
        match fs::metadata(&file) {
            Ok(metadata) if metadata.permissions().mode() & 0o777 == entry.mode => {}
            _ => return Ok(false),
        }
        if fs::read(&file).ok().as_ref() != Some(&entry.content) {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::super::payload::Entry;
    use super::*;

    fn payload(files: &[(&str, &str)]) -> Payload {
        files
            .iter()
            .map(|(path, text)| {
                (
                    (*path).to_owned(),
                    Entry {
                        content: text.as_bytes().to_vec(),
                        mode: 0o640,
                    },
                )
            })
            .collect()
    }

    #[test]
    fn a_change_is_one_moved_link_and_old_files_go() {
        let directory = tempfile::tempdir().unwrap();
        let volume = directory.path().join("volume");
        assert!(write(&volume, &payload(&[("a", "1"), ("deep/b", "2")])).unwrap());
        assert!(
            !write(&volume, &payload(&[("a", "1"), ("deep/b", "2")])).unwrap(),
            "nothing changed"
        );
        assert_eq!(fs::read_link(volume.join("a")).unwrap(), Path::new("..data/a"));
        assert_eq!(fs::read_to_string(volume.join("deep/b")).unwrap(), "2");
        assert_eq!(
            fs::metadata(volume.join("a")).unwrap().permissions().mode() & 0o777,
            0o640
        );

        assert!(write(&volume, &payload(&[("a", "3"), ("c", "4")])).unwrap());
        assert_eq!(fs::read_to_string(volume.join("a")).unwrap(), "3");
        assert!(!volume.join("deep").exists());
        let stamped = fs::read_dir(&volume)
            .unwrap()
            .flatten()
            .filter(|e| e.file_name().to_string_lossy().starts_with("..2"));
        assert_eq!(stamped.count(), 1, "the old directory is gone");
        assert!(write(&volume, &payload(&[])).unwrap());
        assert!(!volume.join("a").exists());
    }
}
