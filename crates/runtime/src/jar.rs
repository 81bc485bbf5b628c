//! The directory of a jar (a zip file), read only as far as needed: the names at its root.
//!
//! The layout is that of PKWARE's APPNOTE, sections 4.3.12 (central directory header) and 4.3.16 (end of central directory).

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

const END: [u8; 4] = *b"PK\x05\x06";
const HEADER: [u8; 4] = *b"PK\x01\x02";
const END_SIZE: usize = 22;
const HEADER_SIZE: usize = 46;

/// The names at the root of a jar, those of directories included, without duplicates.
///
/// Errors: not a zip file, a damaged one, or one above 4 GiB.
pub(crate) fn root_names(jar: &Path) -> io::Result<BTreeSet<String>> {
    let file = File::open(jar)?;
    let size = file.metadata()?.len();
    let tail_size = size.min(END_SIZE as u64 + u64::from(u16::MAX));
    let mut tail = vec![0; usize::try_from(tail_size).map_err(io::Error::other)?];
    file.read_exact_at(&mut tail, size - tail_size)?;
    let end = tail
        .windows(END.len())
        .rposition(|window| window == END)
        .ok_or_else(|| damaged(jar))?;
    let directory_size = number(&tail, end + 12, 4).ok_or_else(|| damaged(jar))?;
    let directory_offset = number(&tail, end + 16, 4).ok_or_else(|| damaged(jar))?;
    if directory_offset + directory_size > size || end + END_SIZE > tail.len() {
        return Err(damaged(jar));
    }
    let mut directory = vec![0; usize::try_from(directory_size).map_err(io::Error::other)?];
    file.read_exact_at(&mut directory, directory_offset)?;
    names(&directory).ok_or_else(|| damaged(jar))
}

fn names(directory: &[u8]) -> Option<BTreeSet<String>> {
    let mut roots = BTreeSet::new();
    let mut at = 0;
    while at < directory.len() {
        if directory.get(at..at + HEADER.len())? != HEADER {
            return None;
        }
        let name_size = usize::try_from(number(directory, at + 28, 2)?).ok()?;
        let extra_size = usize::try_from(number(directory, at + 30, 2)? + number(directory, at + 32, 2)?).ok()?;
        let name = String::from_utf8_lossy(directory.get(at + HEADER_SIZE..at + HEADER_SIZE + name_size)?);
        let root = name.split('/').next().unwrap_or_default();
        if !root.is_empty() && !roots.contains(root) {
            roots.insert(root.to_owned());
        }
        at += HEADER_SIZE + name_size + extra_size;
    }
    Some(roots)
}

/// A little-endian number of `width` bytes.
fn number(bytes: &[u8], at: usize, width: usize) -> Option<u64> {
    Some(
        bytes
            .get(at..at + width)?
            .iter()
            .rev()
            .fold(0, |value, byte| value << 8 | u64::from(*byte)),
    )
}

fn damaged(jar: &Path) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("{} is not a readable jar", jar.display()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A zip file with empty, stored entries.
    fn zip(names: &[&str]) -> Vec<u8> {
        let mut directory = Vec::new();
        for name in names {
            let mut header = [0u8; HEADER_SIZE];
            header[..4].copy_from_slice(&HEADER);
            header[28] = u8::try_from(name.len()).unwrap();
            directory.extend(header);
            directory.extend(name.as_bytes());
        }
        let mut end = [0u8; END_SIZE];
        end[..4].copy_from_slice(&END);
        end[12..16].copy_from_slice(&u32::try_from(directory.len()).unwrap().to_le_bytes());
        directory.extend(end);
        directory
    }

    #[test]
    fn names_at_the_root_are_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(
            file.path(),
            zip(&[
                "META-INF/MANIFEST.MF",
                "org/apache/A.class",
                "org/B.class",
                "log4j2.properties",
            ]),
        )
        .unwrap();
        let names: Vec<String> = root_names(file.path()).unwrap().into_iter().collect();
        assert_eq!(names, ["META-INF", "log4j2.properties", "org"]);
    }

    #[test]
    fn damage_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let good = zip(&["a/b"]);
        for length in 0..good.len() {
            std::fs::write(file.path(), &good[..length]).unwrap();
            assert!(root_names(file.path()).is_err(), "{length}");
        }
        let mut wrong = good.clone();
        wrong[28] = 200;
        std::fs::write(file.path(), wrong).unwrap();
        assert!(root_names(file.path()).is_err());
    }
}
