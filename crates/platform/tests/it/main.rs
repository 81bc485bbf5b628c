//! `platform.yaml` as a whole: mistakes at their lines, objects that are valid everywhere, keys that all have an effect.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod cloud_keys;
mod external;
mod mistakes;
mod mutations;
mod plans;
mod probes;
mod stores;
mod trees;
mod valid;
mod values;
mod wiring;

use stoke_diagnostics::{Diagnostic, Source};
use stoke_platform::environment::Resolved;
use stoke_platform::spec::{self, File};

pub const FULL: &str = include_str!("full.yaml");

/// Files beside the one that is read.
fn beside(name: &str) -> Result<String, String> {
    match name {
        "sealed.yaml" => Ok(include_str!("sealed.yaml").to_owned()),
        "prod/sealed.yaml" => Ok(include_str!("sealed.yaml").replace("whole", "whole-prod")),
        "bound.yaml" => Ok(include_str!("sealed.yaml").replace("cluster-wide", "managed")),
        "login.sops.yaml" => Ok(include_str!("login.sops.yaml").to_owned()),
        _ => Err("No such file or directory".to_owned()),
    }
}

pub fn read(text: &str) -> Result<File, Vec<Diagnostic>> {
    spec::read(&Source::new("platform.yaml", text), &beside)
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

#[test]
fn the_generated_page_has_every_kind_and_key() {
    assert_eq!(
        stoke_testkit::generated::file("docs/reference/platform.md", &page()),
        Ok(())
    );
}

fn page() -> String {
    use std::fmt::Write;
    use stoke_platform::component::{CATALOGUE, Embedded};
    use stoke_platform::spec::schema;

    let mut text = "# platform.yaml\n\nEvery key of the file and of each kind of component. How it is used: [how-to/platform.md](../how-to/platform.md). Written by a test: `scripts/generate`.\n\n## The file\n".to_owned();
    keys(&mut text, schema::root(), false);
    text.push_str("\n## Components\n");
    for about in &CATALOGUE {
        let _ = writeln!(
            text,
            "\n### {}\n\n{}{}.\n",
            about.kind,
            about.title[..1].to_uppercase(),
            &about.title[1..]
        );
        let mut fact = |name: &str, value: String| {
            if !value.is_empty() {
                let _ = writeln!(text, "- {name}: {value}");
            }
        };
        fact(
            "gives",
            about
                .gives
                .iter()
                .map(|gives| gives.text())
                .collect::<Vec<_>>()
                .join(", "),
        );
        fact(
            "versions",
            about
                .versions
                .iter()
                .map(|version| format!("`{version}`"))
                .collect::<Vec<_>>()
                .join(", "),
        );
        if about.embedded != Embedded::Outside {
            fact("port", about.port.to_string());
            fact(
                "each pod, unless said",
                format!("{} CPU, {}", about.usual.0, about.usual.1),
            );
        }
        fact("ready when it answers", about.health.to_owned());
        fact(
            "embedded cluster",
            match about.embedded {
                Embedded::Runs => "runs".to_owned(),
                Embedded::Outside => "nothing runs; it is outside".to_owned(),
                Embedded::Not(why) => format!("does not run: {why}"),
            },
        );
        keys(&mut text, schema::of_kind(about.kind).unwrap(), true);
    }
    text
}

fn keys(text: &mut String, schema: &serde_json::Value, of_component: bool) {
    use std::fmt::Write;
    use stoke_platform::spec::schema::OVERLAID;

    text.push_str(if of_component {
        "\n| key | meaning | by environment |\n|---|---|---|\n"
    } else {
        "\n| key | meaning |\n|---|---|\n"
    });
    let mut rows = Vec::new();
    walk("", schema, &mut rows);
    for (key, meaning) in rows {
        let top = key.split('.').next().unwrap();
        let _ = match of_component {
            true if key == "kind" => Ok(()),
            true => writeln!(
                text,
                "| `{key}` | {meaning} | {} |",
                if OVERLAID.contains(&top) { "yes" } else { "" }
            ),
            false => writeln!(text, "| `{key}` | {meaning} |"),
        };
    }
}

fn walk(path: &str, schema: &serde_json::Value, rows: &mut Vec<(String, String)>) {
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|key| key.as_str())
        .collect();
    for (key, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        let mut meaning = property["description"]
            .as_str()
            .unwrap_or_default()
            .trim_end_matches('.')
            .replace('|', "or")
            .replace('\n', " ");
        if let Some(words) = property["enum"].as_array() {
            let words: Vec<String> = words
                .iter()
                .filter_map(|word| word.as_str())
                .map(|word| format!("`{word}`"))
                .collect();
            meaning = format!("{meaning}: {}", words.join(", "));
        }
        if required.contains(&key.as_str()) {
            meaning.push_str(" (required)");
        }
        rows.push((path.clone(), meaning));
        walk(&path, property, rows);
        if property["additionalProperties"]["properties"].is_object() {
            walk(&format!("{path}.NAME"), &property["additionalProperties"], rows);
        }
    }
}
