//! RPM's packages: the database as SQLite (Fedora, RHEL 9 and later) and as `ndb` (SUSE). The older Berkeley DB is refused in words.
//!
//! Each row or blob is a header: counts, an index of tags, and their data, all big-endian. Source: rpm's `docs/manual/hregions.md` and `lib/backend/ndb`.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::package::{Kind, Package};

const NAME: u32 = 1000;
const VERSION: u32 = 1001;
const RELEASE: u32 = 1002;
const EPOCH: u32 = 1003;
const LICENSE: u32 = 1014;
const ARCH: u32 = 1022;
const INT32: u32 = 4;

/// The packages of a database in SQLite, in a file of its own.
pub(super) fn sqlite(file: &Path, place: &str) -> Result<Vec<Package>, String> {
    let failed = |error: rusqlite::Error| error.to_string();
    // A database that was written with a log beside it cannot be opened to read without one; the file is a copy.
    let database = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed)?;
    let mut rows = database
        .prepare("SELECT blob FROM Packages ORDER BY hnum")
        .map_err(failed)?;
    let blobs = rows.query_map([], |row| row.get::<_, Vec<u8>>(0)).map_err(failed)?;
    let mut packages = Vec::new();
    for blob in blobs {
        packages.extend(header(&blob.map_err(failed)?, place)?);
    }
    Ok(packages)
}

/// The packages of a database of `ndb`: pages of slots, each of which names a blob.
pub(super) fn ndb(bytes: &[u8], place: &str) -> Result<Vec<Package>, String> {
    let damaged = || "the database of rpm (ndb) is damaged".to_owned();
    let little = |at: usize| {
        let four = bytes.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_le_bytes(four) as usize)
    };
    if bytes.get(..4) != Some(b"RpmP") {
        return Err(damaged());
    }
    let pages = little(12).ok_or_else(damaged)?;
    let end = pages
        .checked_mul(4096)
        .filter(|end| *end <= bytes.len())
        .ok_or_else(damaged)?;
    let mut packages = Vec::new();
    // The header takes the place of the first two slots.
    for slot in (32..end).step_by(16) {
        if bytes.get(slot..slot + 4) != Some(b"Slot") {
            return Err(damaged());
        }
        let offset = little(slot + 8).ok_or_else(damaged)?;
        if offset == 0 {
            continue;
        }
        let blob = offset.checked_mul(16).ok_or_else(damaged)?;
        if bytes.get(blob..blob + 4) != Some(b"BlbS") {
            return Err(damaged());
        }
        let length = little(blob + 12).ok_or_else(damaged)?;
        let content = bytes
            .get(blob + 16..)
            .and_then(|rest| rest.get(..length))
            .ok_or_else(damaged)?;
        packages.extend(header(content, place)?);
    }
    Ok(packages)
}

/// The package of a header; none for keys, which rpm keeps as packages without files.
fn header(blob: &[u8], place: &str) -> Result<Option<Package>, String> {
    let damaged = || "a header of rpm is damaged".to_owned();
    let big = |at: usize| {
        let four = blob.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_be_bytes(four))
    };
    let count = big(0).ok_or_else(damaged)? as usize;
    let size = big(4).ok_or_else(damaged)? as usize;
    let data = count
        .checked_mul(16)
        .and_then(|index| index.checked_add(8))
        .ok_or_else(damaged)?;
    let data = blob.get(data..).filter(|data| data.len() >= size).ok_or_else(damaged)?;
    let find = |wanted: u32| {
        let entries = (0..count).map(|index| 8 + index * 16);
        let entry = entries.clone().find(|at| big(*at) == Some(wanted))?;
        Some((big(entry + 4)?, big(entry + 8)? as usize))
    };
    let text = |tag: u32| {
        let (_, offset) = find(tag)?;
        let rest = data.get(offset..)?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        Some(String::from_utf8_lossy(&rest[..end]).into_owned())
    };
    let name = text(NAME).ok_or_else(damaged)?;
    if name == "gpg-pubkey" {
        return Ok(None);
    }
    let (version, release) = (text(VERSION).ok_or_else(damaged)?, text(RELEASE).ok_or_else(damaged)?);
    let mut package = Package::new(Kind::Rpm, name, format!("{version}-{release}"), place);
    if let Some(architecture) = text(ARCH) {
        package.qualifiers.push(("arch".to_owned(), architecture));
    }
    if let Some((INT32, offset)) = find(EPOCH) {
        let four = data
            .get(offset..offset + 4)
            .and_then(|four| four.try_into().ok())
            .ok_or_else(damaged)?;
        package
            .qualifiers
            .push(("epoch".to_owned(), u32::from_be_bytes(four).to_string()));
    }
    package.licence = text(LICENSE).filter(|text| !text.is_empty());
    Ok(Some(package))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(name: &str) -> Vec<u8> {
        let mut data = Vec::new();
        let mut index = Vec::new();
        for (tag, text) in [
            (NAME, name),
            (VERSION, "5.2"),
            (RELEASE, "1.fc40"),
            (ARCH, "x86_64"),
            (LICENSE, "MIT"),
        ] {
            for number in [tag, 6, data.len() as u32, 1] {
                index.extend(number.to_be_bytes());
            }
            data.extend(text.as_bytes());
            data.push(0);
        }
        for number in [EPOCH, INT32, data.len() as u32, 1] {
            index.extend(number.to_be_bytes());
        }
        data.extend(2_u32.to_be_bytes());
        [
            &6_u32.to_be_bytes()[..],
            &(data.len() as u32).to_be_bytes(),
            &index,
            &data,
        ]
        .concat()
    }

    #[test]
    fn headers_are_packages_and_damage_is_said() {
        let good = blob("bash");
        let package = header(&good, "p").unwrap().unwrap();
        assert_eq!(package.purl().unwrap(), "pkg:rpm/bash@5.2-1.fc40?arch=x86_64&epoch=2");
        assert_eq!(header(&blob("gpg-pubkey"), "p").unwrap(), None);
        for end in 0..good.len() {
            assert!(header(&good[..end], "p").is_err(), "{end}");
        }
        let mut huge = good;
        huge[..4].copy_from_slice(&u32::MAX.to_be_bytes());
        assert!(header(&huge, "p").is_err());
    }

    #[test]
    fn ndb_is_pages_of_slots() {
        let header = blob("zypper");
        let mut bytes = vec![0; 4096];
        bytes[..4].copy_from_slice(b"RpmP");
        bytes[12] = 1;
        for slot in (32..4096).step_by(16) {
            bytes[slot..slot + 4].copy_from_slice(b"Slot");
        }
        bytes[40..44].copy_from_slice(&256_u32.to_le_bytes());
        bytes.extend(b"BlbS\x01\0\0\0\x01\0\0\0");
        bytes.extend((header.len() as u32).to_le_bytes());
        bytes.extend(header);
        assert_eq!(ndb(&bytes, "p").unwrap()[0].name, "zypper");
        assert!(ndb(&bytes[..5000.min(bytes.len() - 1)], "p").is_err());
        assert!(ndb(b"RpmP", "p").is_err() && ndb(b"", "p").is_err());
    }
}
