//! Files of a data set: which are damaged, and moving them.

use serde_json::{Value, json};
use stoke_observe::runbook::Answer;
use stoke_storage::{Address, Entry, Objects, Place};
use tokio::runtime::Handle;

use super::outside::{Deed, Edge};
use super::probes::whole;

/// More are not looked at.
const MOST: usize = 20_000;

/// What a file of a format begins and ends with.
const MARKS: [(&str, &[u8], &[u8]); 4] = [
    (".parquet", b"PAR1", b"PAR1"),
    (".orc", b"ORC", b""),
    (".avro", b"Obj\x01", b""),
    (".gz", b"\x1f\x8b", b""),
];

fn open(edge: &Edge<'_>, place: &str) -> Result<Place, String> {
    let address = Address::parse(place).map_err(|error| error.to_string())?;
    if let Address::Local(directory) = &address
        && !directory.is_dir()
    {
        return Err(format!("{place} is not a directory"));
    }
    stoke_storage::open(&address, &edge.access).map_err(|error| whole(&error))
}

/// Whether readers look at a file: none of its folders, nor itself, is hidden.
fn is_read(path: &str) -> bool {
    !path
        .split('/')
        .any(|part| part.starts_with(['_', '.']) && part != "_delta_log" && part != ".hoodie")
}

/// The files there, each with why it is damaged, when it is.
pub async fn damaged(edge: &Edge<'_>, place: &str) -> Answer {
    let opened = open(edge, place)?;
    let mut entries = opened.list("").await.map_err(|error| whole(&error))?;
    entries.retain(|entry| is_read(&entry.path));
    if entries.len() > MOST {
        return Err(format!(
            "{} files; at most {MOST} are looked at: name a partition",
            entries.len()
        ));
    }
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    let objects = opened.on(Handle::current());
    let looking = tokio::task::spawn_blocking(move || {
        let look = |entry: &Entry| {
            let why = why(&objects, entry)?;
            Ok(json!({"name": entry.path, "size": entry.size, "damaged": why}))
        };
        entries.iter().map(look).collect::<Result<Vec<Value>, String>>()
    });
    looking.await.map_err(|error| error.to_string())?
}

fn why(objects: &Objects, entry: &Entry) -> Result<Option<String>, String> {
    let Some((ending, first, last)) = MARKS.iter().find(|(ending, ..)| entry.path.ends_with(ending)) else {
        return Ok(None);
    };
    if entry.size == 0 {
        return Ok(Some("it is empty".to_owned()));
    }
    let least = u64::try_from(first.len() + last.len()).unwrap_or(8);
    if entry.size < least {
        return Ok(Some(format!("it has {} bytes", entry.size)));
    }
    let range = |start: u64, mark: &[u8]| {
        objects
            .range(&entry.path, start, mark.len())
            .map_err(|error| whole(&error))
    };
    if range(0, first)? != *first {
        return Ok(Some(format!("it does not begin as a {} file", &ending[1..])));
    }
    if !last.is_empty() && range(entry.size - u64::try_from(last.len()).unwrap_or(0), last)? != *last {
        return Ok(Some("it is cut off".to_owned()));
    }
    Ok(None)
}

/// Moves files; those that are there already are moved.
pub async fn shift(edge: &Edge<'_>, from: &str, to: &str, files: &[String], dry: bool) -> Result<Deed, String> {
    let source = open(edge, from)?;
    if dry {
        return Ok(Deed::done(format!("would move {} files to {to}", files.len())));
    }
    let address = Address::parse(to).map_err(|error| error.to_string())?;
    let target = stoke_storage::open(&address, &edge.access).map_err(|error| whole(&error))?;
    let mut moved = 0;
    for file in files {
        if !is_there(&source, file).await? {
            if is_there(&target, file).await? {
                continue;
            }
            return Err(format!("{from}/{file} is gone"));
        }
        copy(&source, &target, file).await?;
        source.delete(file).await.map_err(|error| whole(&error))?;
        moved += 1;
    }
    Ok(match moved {
        0 => Deed::already(format!("all are at {to}")),
        moved => Deed::done(format!("{moved} moved to {to}")),
    })
}

async fn is_there(place: &Place, file: &str) -> Result<bool, String> {
    let found = place.list("").await.map_err(|error| whole(&error))?;
    Ok(found.iter().any(|entry| entry.path == file))
}

async fn copy(source: &Place, target: &Place, file: &str) -> Result<(), String> {
    use futures::TryStreamExt;

    let mut bytes = source.read(file).await.map_err(|error| whole(&error))?;
    let mut upload = target.upload(file);
    loop {
        match bytes.try_next().await {
            Ok(Some(piece)) => {
                if let Err(error) = upload.write(&piece).await {
                    upload.give_up().await;
                    return Err(whole(&error));
                }
            }
            Ok(None) => break,
            Err(error) => {
                upload.give_up().await;
                return Err(whole(&error));
            }
        }
    }
    upload.finish().await.map(drop).map_err(|error| whole(&error))
}

/// Writes, reads and deletes a small file.
pub async fn probe(edge: &Edge<'_>, place: &str, name: &str, dry: bool) -> Result<Deed, String> {
    if dry {
        return Ok(Deed::done("would write, read and delete a file"));
    }
    let address = Address::parse(place).map_err(|error| error.to_string())?;
    let opened = stoke_storage::open(&address, &edge.access).map_err(|error| whole(&error))?;
    let begun = std::time::Instant::now();
    opened
        .write(name, name.as_bytes().to_vec())
        .await
        .map_err(|error| whole(&error))?;
    let read = async {
        use futures::TryStreamExt;
        let stream = opened.read(name).await?;
        stream
            .try_fold(Vec::new(), |mut all, piece| async move {
                all.extend_from_slice(&piece);
                Ok(all)
            })
            .await
    };
    let read = read.await.map_err(|error| whole(&error));
    opened.delete(name).await.map_err(|error| whole(&error))?;
    match read? == name.as_bytes() {
        true => Ok(Deed::done(format!(
            "a file was written, read and deleted in {} ms",
            begun.elapsed().as_millis()
        ))),
        false => Err("what was read is not what was written".to_owned()),
    }
}
