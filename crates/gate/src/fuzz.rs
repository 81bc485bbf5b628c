//! What fuzzing drives: no promise to anybody else.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::gates::dependencies;

/// An archive beside a job, as a jar and as a wheel.
pub fn archive(bytes: &[u8]) {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    for name in ["fuzz.jar", "fuzz-1.0-py3-none-any.whl"] {
        let path = std::env::temp_dir().join(format!("stoke-{}-{number}-{name}", std::process::id()));
        if std::fs::write(&path, bytes).is_err() {
            return;
        }
        let mut file = crate::job::of_bytes(name, b"");
        file.path.clone_from(&path);
        dependencies::read_archive(&file);
        let _ = std::fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn damaged_archives_are_read_or_reported() {
        stoke_testkit::damage::damaged("jar", 300, super::archive);
    }
}
