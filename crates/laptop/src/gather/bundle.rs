//! What was gathered as one file.

use std::fs::File;
use std::io::{BufWriter, Read};
use std::path::{Path, PathBuf};

use stoke_insight::bundle::{self, Contents, Index};

use super::Gathered;
use crate::error::{LaptopError, Outcome};

/// Writes what was gathered as a bundle: beside the file and renames, so that an interrupted bundle is none.
///
/// # Errors
/// When the event log cannot be read, or the file not written.
pub fn write(gathered: &Gathered, to: &Path) -> Outcome<Index> {
    let failed =
        |error: std::io::Error| LaptopError::environment("stoke::bundle::write", format!("{}: {error}", to.display()));
    let mut partial = to.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let mut event_log: Vec<Box<dyn Read>> = Vec::new();
    if let Some((source, log)) = &gathered.event_log {
        for part in &log.parts {
            let text = source.text(part, 0);
            event_log.push(text.map_err(|error| LaptopError::environment(error.code(), error))?);
        }
    }
    let contents = Contents {
        application: gathered.name.clone(),
        stoke: env!("CARGO_PKG_VERSION").to_owned(),
        gathered: gathered.now.as_millisecond(),
        notes: gathered.notes.clone(),
        objects: gathered.objects.clone(),
        logs: gathered.logs.clone(),
        event_log,
    };
    let file = File::create(&partial).map_err(failed)?;
    let written = bundle::write(contents, BufWriter::new(file)).and_then(|index| {
        std::fs::rename(&partial, to)?;
        Ok(index)
    });
    written.map_err(|error| {
        let _ = std::fs::remove_file(&partial);
        failed(error)
    })
}
