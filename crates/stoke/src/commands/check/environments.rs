//! The reader of files of environments that the room `gate` is given.

use std::path::Path;

use stoke_diagnostics::{Diagnostic, Source};
use stoke_release::environment;

/// What is wrong with a file of environments, whose keys lie beside it.
pub fn complaints(source: &Source, path: &Path) -> Vec<Diagnostic> {
    let beside = path.parent().map(Path::to_path_buf).unwrap_or_default();
    let key = |file: &str| std::fs::read_to_string(beside.join(file)).map_err(|error| error.to_string());
    environment::read(source, &key).err().unwrap_or_default()
}
