//! `platform.yaml` as a whole: mistakes at their lines, objects that are valid everywhere, keys that all have an effect.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod mistakes;
mod mutations;
mod trees;
mod valid;
mod wiring;

use stoke_diagnostics::{Diagnostic, Source};
use stoke_platform::environment::Resolved;
use stoke_platform::spec::{self, File};

pub const FULL: &str = include_str!("full.yaml");

pub fn read(text: &str) -> Result<File, Vec<Diagnostic>> {
    spec::read(&Source::new("platform.yaml", text))
}

/// A file that is right.
pub fn right(text: &str) -> File {
    read(text).unwrap_or_else(|found| {
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        panic!("{}", found.join("\n"))
    })
}

/// It as it stands, and in each of its environments.
pub fn environments(file: &File) -> Vec<Resolved> {
    let names = std::iter::once(None).chain(file.platform.environments.keys().map(|name| Some(name.as_str())));
    names.map(|name| file.in_environment(name).unwrap()).collect()
}

#[test]
fn the_generated_schema_is_that_of_the_types() {
    let schema = serde_json::to_string_pretty(&spec::schema::editors()).unwrap() + "\n";
    assert_eq!(
        stoke_testkit::generated::file("docs/reference/platform.schema.json", &schema),
        Ok(())
    );
}

#[test]
fn the_file_to_begin_with_is_right() {
    assert_eq!(right(spec::BEGIN).warnings, []);
}
