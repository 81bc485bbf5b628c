//! The file advisories are kept in.
//!
//! ```text
//! "stoke-advisories"  16 bytes
//! format              u32, little-endian as all numbers: 1
//! length of the head  u32
//! SHA-256 of the head and the table
//! head                JSON: what it is made of, when, how many rows, the size of the file
//! table               a row a package, sorted: 16 bytes of the SHA-256 of `ecosystem NUL name`, offset u64, length u32, 4 bytes of the record's SHA-256
//! records             postcard: the package, and its advisories
//! ```
//!
//! Opening reads head and table (32 bytes a package), a lookup one record. A file that was cut off or changed is refused as a whole, a record by
//! itself. An update writes beside the file and renames: whoever reads meanwhile has the earlier or the later one.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::gather::Gathered;
use crate::lookup::{self, Answer};
use crate::osv::Advisory;
use crate::version::Ecosystem;

/// Name of the file.
pub const FILE: &str = "advisories.db";
const MAGIC: &[u8; 16] = b"stoke-advisories";
const FORMAT: u32 = 1;
const FIXED: usize = 16 + 4 + 4 + 32;
const ROW: usize = 32;
/// Largest head and table that are read: 256 MiB would be eight million packages.
const MOST_TABLE: u64 = 256 << 20;

/// What a database is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct About {
    /// When it was written.
    pub written: jiff::Timestamp,
    /// What it was made of, as it was named.
    pub sources: Vec<String>,
    /// The ecosystems it is for, by their names in OSV.
    pub ecosystems: BTreeMap<String, Covered>,
    /// Advisories that were taken back and concern nothing.
    pub withdrawn: usize,
}

/// What it has of an ecosystem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Covered {
    /// How many advisories.
    pub advisories: usize,
    /// How many packages they concern.
    pub packages: usize,
    /// When the newest of them was changed.
    pub newest: jiff::Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Head {
    about: About,
    rows: u64,
    /// Bytes of all records.
    records: u64,
}

/// Why there is no database.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// None was ever made here.
    #[error("{path}: there is no database of advisories")]
    Missing {
        /// The file.
        path: String,
    },
    /// It cannot be read or written.
    #[error("{path}: {cause}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        cause: io::Error,
    },
    /// It is not what was written.
    #[error("{path}: the database of advisories is damaged: {what}")]
    Damaged {
        /// The file.
        path: String,
        /// In what way.
        what: String,
    },
    /// Another version of the program wrote it.
    #[error("{path}: the database of advisories has format {format}, this program reads {FORMAT}")]
    Format {
        /// The file.
        path: String,
        format: u32,
    },
}

/// An open database.
#[derive(Debug)]
pub struct Database {
    path: PathBuf,
    file: File,
    about: About,
    table: Vec<u8>,
    /// Where the records begin.
    records: u64,
}

impl Database {
    /// Opens the database of a directory.
    ///
    /// # Errors
    /// When there is none, or it is not as it was written.
    pub fn open(directory: &Path) -> Result<Database, DatabaseError> {
        let path = directory.join(FILE);
        let shown = path.display().to_string();
        let failed = |cause: io::Error| match cause.kind() {
            io::ErrorKind::NotFound => DatabaseError::Missing { path: shown.clone() },
            _ => DatabaseError::Unreadable {
                path: shown.clone(),
                cause,
            },
        };
        let damaged = |what: &str| DatabaseError::Damaged {
            path: shown.clone(),
            what: what.to_owned(),
        };
        let mut file = File::open(&path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        let mut fixed = [0; FIXED];
        file.read_exact(&mut fixed).map_err(|_| damaged("it is cut off"))?;
        if fixed[..16] != MAGIC[..] {
            return Err(damaged("it does not begin as one"));
        }
        let format = u32::from_le_bytes(array(&fixed[16..20]));
        if format != FORMAT {
            return Err(DatabaseError::Format { path: shown, format });
        }
        let head_size = u64::from(u32::from_le_bytes(array(&fixed[20..24])));
        if head_size > size.min(MOST_TABLE) {
            return Err(damaged("it is cut off"));
        }
        let mut head_bytes = vec![0; usize::try_from(head_size).unwrap_or(0)];
        file.read_exact(&mut head_bytes).map_err(|_| damaged("it is cut off"))?;
        let head: Head = serde_json::from_slice(&head_bytes).map_err(|_| damaged("its head cannot be read"))?;
        let table_size = head.rows.saturating_mul(ROW as u64);
        let records = FIXED as u64 + head_size + table_size;
        if table_size > MOST_TABLE || records.checked_add(head.records) != Some(size) {
            return Err(damaged("it has another size than it had"));
        }
        let mut table = vec![0; usize::try_from(table_size).unwrap_or(0)];
        file.read_exact(&mut table).map_err(|_| damaged("it is cut off"))?;
        let sum = Sha256::new().chain_update(&head_bytes).chain_update(&table).finalize();
        if sum[..] != fixed[24..] {
            return Err(damaged("its checksum is another one"));
        }
        Ok(Database {
            path,
            file,
            about: head.about,
            table,
            records,
        })
    }

    /// What it is made of.
    #[must_use]
    pub fn about(&self) -> &About {
        &self.about
    }

    /// True when it is for an ecosystem; else a package of it being absent means nothing.
    #[must_use]
    pub fn covers(&self, ecosystem: Ecosystem) -> bool {
        self.about.ecosystems.contains_key(ecosystem.name())
    }

    /// What is known of a version of a package. `Ok(Err(…))` is a version that is none.
    ///
    /// # Errors
    /// A record that cannot be read or is damaged.
    pub fn look_up(
        &self,
        ecosystem: Ecosystem,
        name: &str,
        version: &str,
    ) -> Result<Result<Answer, String>, DatabaseError> {
        let advisories = self.advisories(ecosystem, name)?;
        Ok(lookup::answer(ecosystem, version, &advisories))
    }

    /// All advisories of a package.
    ///
    /// # Errors
    /// A record that cannot be read or is damaged.
    pub fn advisories(&self, ecosystem: Ecosystem, name: &str) -> Result<Vec<Advisory>, DatabaseError> {
        let name = ecosystem.normal(name);
        let key = key(ecosystem, &name);
        let rows: &[[u8; ROW]] = self.table.as_chunks::<ROW>().0;
        let Ok(at) = rows.binary_search_by(|row| row[..16].cmp(&key)) else {
            return Ok(Vec::new());
        };
        let row = &rows[at];
        let damaged = || DatabaseError::Damaged {
            path: self.path.display().to_string(),
            what: format!("the record of {name}"),
        };
        let offset = u64::from_le_bytes(array(&row[16..24]));
        let length = u32::from_le_bytes(array(&row[24..28]));
        let mut bytes = vec![0; length as usize];
        self.file
            .read_exact_at(&mut bytes, self.records + offset)
            .map_err(|cause| DatabaseError::Unreadable {
                path: self.path.display().to_string(),
                cause,
            })?;
        if Sha256::digest(&bytes)[..4] != row[28..] {
            return Err(damaged());
        }
        let (found, advisories): (String, Vec<Advisory>) = postcard::from_bytes(&bytes).map_err(|_| damaged())?;
        if found != name {
            return Err(damaged());
        }
        Ok(advisories)
    }
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[..N]);
    array
}

fn key(ecosystem: Ecosystem, name: &str) -> [u8; 16] {
    array(&Sha256::digest(format!("{}\0{name}", ecosystem.name()))[..16])
}

/// Writes what was gathered as the database of a directory, in place of what was there. Two that write at the same time take turns.
///
/// # Errors
/// Those of the file system; then the earlier database is as it was.
pub fn write(directory: &Path, gathered: &Gathered, now: jiff::Timestamp) -> Result<About, DatabaseError> {
    let path = directory.join(FILE);
    write_file(directory, &path, gathered, now).map_err(|cause| DatabaseError::Unreadable {
        path: path.display().to_string(),
        cause,
    })
}

fn write_file(directory: &Path, path: &Path, gathered: &Gathered, now: jiff::Timestamp) -> io::Result<About> {
    std::fs::create_dir_all(directory)?;
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(directory.join(".lock"))?;
    lock.lock()?;
    let mut packages: BTreeMap<(Ecosystem, &str), Vec<&Advisory>> = BTreeMap::new();
    let mut ecosystems: BTreeMap<String, Covered> = BTreeMap::new();
    for read in gathered.advisories.values() {
        let mut counted: Vec<Ecosystem> = Vec::new();
        for (ecosystem, name, advisory) in &read.packages {
            packages.entry((*ecosystem, name)).or_default().push(advisory);
            let covered = ecosystems.entry(ecosystem.name().to_owned()).or_insert(Covered {
                advisories: 0,
                packages: 0,
                newest: jiff::Timestamp::MIN,
            });
            covered.newest = covered.newest.max(read.modified);
            if !counted.contains(ecosystem) {
                covered.advisories += 1;
                counted.push(*ecosystem);
            }
        }
    }
    for (ecosystem, _) in packages.keys() {
        if let Some(covered) = ecosystems.get_mut(ecosystem.name()) {
            covered.packages += 1;
        }
    }
    let mut rows = Vec::new();
    let mut records = Vec::new();
    for ((ecosystem, name), advisories) in &packages {
        let bytes = postcard::to_stdvec(&(name, advisories)).map_err(io::Error::other)?;
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        let mut row = Vec::with_capacity(ROW);
        row.extend(key(*ecosystem, name));
        row.extend((records.len() as u64).to_le_bytes());
        row.extend(length.to_le_bytes());
        row.extend(&Sha256::digest(&bytes)[..4]);
        rows.push(row);
        records.extend(bytes);
    }
    rows.sort();
    let head = Head {
        about: About {
            written: now,
            sources: gathered.sources.clone(),
            ecosystems,
            withdrawn: gathered.advisories.values().filter(|read| read.withdrawn).count(),
        },
        rows: rows.len() as u64,
        records: records.len() as u64,
    };
    let head_bytes = serde_json::to_vec(&head).map_err(io::Error::other)?;
    let table: Vec<u8> = rows.concat();
    let sum = Sha256::new().chain_update(&head_bytes).chain_update(&table).finalize();
    // The lock is held, so what an interrupted update left can only be its own.
    let part = directory.join(format!("{FILE}.part"));
    let mut out = BufWriter::new(File::create(&part)?);
    out.write_all(MAGIC)?;
    out.write_all(&FORMAT.to_le_bytes())?;
    let head_size = u32::try_from(head_bytes.len()).map_err(io::Error::other)?;
    out.write_all(&head_size.to_le_bytes())?;
    for bytes in [&sum[..], &head_bytes, &table, &records] {
        out.write_all(bytes)?;
    }
    out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    std::fs::rename(&part, path)?;
    File::open(directory)?.sync_all()?;
    Ok(head.about)
}
