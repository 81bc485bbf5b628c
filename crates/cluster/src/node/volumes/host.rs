//! hostPath volumes: the directory or file of the machine, checked against the type asked for.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// Checks, and where the type says so makes, a hostPath.
///
/// # Errors
/// The kubelet's message.
pub(crate) fn check(path: &Path, kind: &str) -> Result<(), String> {
    if !path.is_absolute() {
        return Err(format!("hostPath {} is not absolute", path.display()));
    }
    let failed = |what: &str| Err(format!("hostPath type check failed: {} {what}", path.display()));
    let metadata = fs::metadata(path);
    let metadata = metadata.as_ref();
    match kind {
        "" => metadata
            .map(|_| ())
            .map_err(|error| format!("hostPath {}: {error}", path.display())),
        "Directory" if !metadata.is_ok_and(|metadata| metadata.is_dir()) => failed("is not a directory"),
        "File" if !metadata.is_ok_and(|metadata| metadata.is_file()) => failed("is not a file"),
        "Socket" if !metadata.is_ok_and(|metadata| metadata.file_type().is_socket()) => failed("is not a socket file"),
        "CharDevice" if !metadata.is_ok_and(|metadata| metadata.file_type().is_char_device()) => {
            failed("is not a character device")
        }
        "BlockDevice" if !metadata.is_ok_and(|metadata| metadata.file_type().is_block_device()) => {
            failed("is not a block device")
        }
        "DirectoryOrCreate" => match metadata {
            Ok(metadata) if metadata.is_dir() => Ok(()),
            Ok(_) => failed("is not a directory"),
            Err(_) => fs::create_dir_all(path).map_err(|error| format!("mkdir {}: {error}", path.display())),
        },
        "FileOrCreate" => match metadata {
            Ok(metadata) if metadata.is_file() => Ok(()),
            Ok(_) => failed("is not a file"),
            Err(_) => fs::write(path, "").map_err(|error| format!("create {}: {error}", path.display())),
        },
        "Directory" | "File" | "Socket" | "CharDevice" | "BlockDevice" => Ok(()),
        other => Err(format!("{other} is an invalid volume type")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_checked_and_made() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        fs::write(path.join("file"), "").unwrap();
        assert!(
            check(path, "").is_ok() && check(path, "Directory").is_ok() && check(&path.join("file"), "File").is_ok()
        );
        assert!(check(&path.join("none"), "").is_err());
        assert_eq!(
            check(&path.join("file"), "Directory").unwrap_err(),
            format!("hostPath type check failed: {}/file is not a directory", path.display())
        );
        check(&path.join("new/deep"), "DirectoryOrCreate").unwrap();
        check(&path.join("new/file"), "FileOrCreate").unwrap();
        assert!(path.join("new/deep").is_dir() && path.join("new/file").is_file());
        assert!(check(Path::new("/dev/null"), "CharDevice").is_ok() && check(path, "Socket").is_err());
        assert!(check(path, "Nonsense").unwrap_err().contains("invalid volume type"));
    }
}
