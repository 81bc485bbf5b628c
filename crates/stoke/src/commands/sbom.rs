//! `stoke sbom`: what is in an image or a directory.

use std::path::{Path, PathBuf};

use serde_json::Value;
use stoke_advisories::Database;
use stoke_model::units::people::counted;
use stoke_release::oci::{Cache, Manifest, Platform, Repository, unpack};
use stoke_release::sbom::{self, About, Inventory, SbomError, vulnerable};

use super::evidence::{Place, oci_failure};
use crate::cli::Context;
use crate::failure::{Failure, Outcome};
use crate::report_file::pretty;
use crate::terminal::{Format, table};

/// Form of a bill of materials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// CycloneDX 1.6, JSON
    Cyclonedx,
    /// SPDX 2.3, JSON
    Spdx,
}

/// Arguments of `stoke sbom`.
#[derive(clap::Args)]
pub struct Arguments {
    /// A directory, or an image: `registry/repository:tag`, `oci:DIR`, `archive:FILE`
    target: String,
    /// Form of the document
    #[arg(long, value_enum, default_value = "cyclonedx", value_name = "FORM")]
    format: Form,
    /// Write the document here; `--output json` prints it
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Look the packages up in the database of `stoke advisories`; fails on high and critical vulnerabilities
    #[arg(long)]
    scan: bool,
    /// Directory of the database of advisories [default: `advisories` in the home]
    #[arg(long, value_name = "DIR", requires = "scan")]
    advisories: Option<PathBuf>,
    /// Write the document although files that list packages cannot be read; it names them
    #[arg(long)]
    partial: bool,
    /// Which image of an index
    #[arg(long, value_name = "OS/ARCHITECTURE")]
    platform: Option<String>,
}

/// Runs the command.
pub async fn run(arguments: Arguments, context: &mut Context) -> Outcome<u8> {
    let (inventory, mut about) = inventory(&arguments.target, arguments.platform.as_deref(), context).await?;
    about.timestamp = source_date()?;
    if !inventory.unread.is_empty() && !arguments.partial {
        let shown: Vec<String> = inventory
            .unread
            .iter()
            .take(5)
            .map(|unread| format!("{}: {}", unread.place, unread.why))
            .collect();
        let count = counted(inventory.unread.len(), "file");
        return Err(Failure::environment(
            "sbom-unreadable",
            format!("{count} that list packages cannot be read: {}", shown.join("; ")),
        )
        .fix("repair or remove them; `--partial` writes the rest and names them in the document"));
    }
    let document = document(&inventory, &about, arguments.format);
    if let Some(file) = &arguments.file {
        std::fs::write(file, pretty(&document)).map_err(|error| {
            Failure::environment("stoke::report::write", format!("{}: {error}", file.display()))
                .fix("name a file that can be written")
        })?;
    }
    let scan = match arguments.scan {
        true => {
            let home = super::advisories::directory(&context.home);
            let directory = arguments.advisories.as_deref().unwrap_or(&home);
            Some(scan(&inventory, directory)?)
        }
        false => None,
    };
    let stops = scan
        .as_ref()
        .is_some_and(|scan| scan.vulnerable.iter().any(|known| known.stops));
    let terminal = &mut context.terminal;
    match (terminal.format(), &scan) {
        (Format::Json, None) => terminal.json(&document),
        (Format::Json, Some(scan)) => terminal.json(scan),
        (Format::Text, _) => show(&inventory, &about, scan.as_ref(), context),
    }
    Ok(u8::from(stops))
}

/// The document of an inventory.
pub fn document(inventory: &Inventory, about: &About, form: Form) -> Value {
    match form {
        Form::Cyclonedx => sbom::cyclonedx::document(inventory, about),
        Form::Spdx => sbom::spdx_document::document(inventory, about),
    }
}

fn refused(error: SbomError) -> Failure {
    Failure {
        diagnostic: Box::new(error.into()),
        exit: 2,
    }
}

async fn inventory(target: &str, platform: Option<&str>, context: &mut Context) -> Outcome<(Inventory, About)> {
    if Path::new(target).is_dir() {
        context.terminal.status(format!("reading {target}"));
        let inventory = sbom::directory(Path::new(target)).map_err(refused);
        context.terminal.end_status();
        let about = About {
            name: target.to_owned(),
            ..About::default()
        };
        return Ok((inventory?, about));
    }
    if target.starts_with(['/', '.']) {
        return Err(refused(SbomError::Target {
            place: target.to_owned(),
            why: match Path::new(target).exists() {
                true => "it is a file; an archive of an image is written archive:FILE".to_owned(),
                false => "there is no such directory".to_owned(),
            },
        }));
    }
    let place = Place::open(target, false, context)?;
    let platform = match platform {
        Some(text) => text.parse().map_err(oci_failure)?,
        None => Platform::here(),
    };
    let (fetched, manifest) = place
        .repository
        .image(place.name.as_deref(), &platform)
        .await
        .map_err(oci_failure)?;
    let inventory = of_image(&place.repository, &manifest, &place.cache, context).await?;
    let about = About {
        name: target.to_owned(),
        digest: Some(fetched.descriptor.digest.to_string()),
        timestamp: None,
    };
    Ok((inventory, about))
}

/// What is in an image: its layers are fetched, and read from the highest to the lowest.
pub async fn of_image(
    repository: &Repository,
    manifest: &Manifest,
    cache: &Cache,
    context: &mut Context,
) -> Outcome<Inventory> {
    let mut blobs = Vec::new();
    let count = manifest.layers.len();
    for (index, layer) in manifest.layers.iter().enumerate() {
        context
            .terminal
            .status(format!("fetching layer {} of {count}", index + 1));
        blobs.push(repository.blob(layer, cache, &|_| {}).await.map_err(oci_failure)?);
    }
    context.terminal.status(format!("reading {}", counted(count, "layer")));
    let read = sbom::layers(blobs.len(), &mut |index| {
        let kind = &manifest.layers[index].media_type;
        let content = unpack::decompressed(kind, blobs[index].reader())?;
        content.ok_or_else(|| std::io::Error::other(format!("`{kind}` is not a layer of files")))
    });
    context.terminal.end_status();
    read.map_err(refused)
}

/// `SOURCE_DATE_EPOCH`, where it is set.
fn source_date() -> Outcome<Option<jiff::Timestamp>> {
    let Some(text) = std::env::var("SOURCE_DATE_EPOCH").ok().filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let time = text
        .parse()
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    time.map(Some).ok_or_else(|| {
        Failure::input(
            "stoke::sbom::time",
            format!("SOURCE_DATE_EPOCH is `{text}`, which is not a number of seconds since 1970"),
        )
        .fix("set it to a number, or unset it")
    })
}

fn scan(inventory: &Inventory, directory: &Path) -> Outcome<vulnerable::Scan> {
    let unusable = |error: stoke_advisories::DatabaseError| {
        Failure::environment("stoke::advisories::database", error).fix("`stoke advisories update` makes it again")
    };
    let database = Database::open(directory).map_err(unusable)?;
    vulnerable::scan(inventory, &database).map_err(unusable)
}

fn show(inventory: &Inventory, about: &About, scan: Option<&vulnerable::Scan>, context: &mut Context) {
    let terminal = &mut context.terminal;
    let mut rows: Vec<Vec<String>> = Vec::new();
    match scan {
        Some(scan) => {
            rows.push(
                ["PACKAGE", "VERSION", "SEVERITY", "VULNERABILITY", "FIXED IN"]
                    .map(String::from)
                    .to_vec(),
            );
            rows.extend(scan.vulnerable.iter().map(|known| {
                vec![
                    known.package.clone(),
                    known.version.clone(),
                    known.severity.clone(),
                    known.ids.first().cloned().unwrap_or_default(),
                    known.fixed.clone().unwrap_or_else(|| "none".to_owned()),
                ]
            }));
        }
        None => {
            rows.push(["KIND", "NAME", "VERSION", "LICENCE"].map(String::from).to_vec());
            rows.extend(inventory.packages.iter().map(|package| {
                let name = match package.group.as_str() {
                    group if package.kind == sbom::Kind::Maven && !group.is_empty() => {
                        format!("{group}:{}", package.name)
                    }
                    _ => package.name.clone(),
                };
                let licence = package.licence.clone().unwrap_or_default();
                vec![package.kind.name().to_owned(), name, package.version.clone(), licence]
            }));
        }
    }
    for line in table(&rows) {
        terminal.out(line);
    }
    let os = inventory
        .os
        .as_ref()
        .map_or("no operating system", |os| os.name.as_str());
    terminal.note(format!(
        "{}: {}, {os}",
        about.name,
        counted(inventory.packages.len(), "package")
    ));
    if let Some(scan) = scan {
        terminal.note(format!(
            "{} looked up, {} of kinds without advisories, {} undecided",
            scan.looked_up,
            scan.not_covered,
            scan.undecided.len()
        ));
        scan.undecided.iter().for_each(|undecided| terminal.note(undecided));
    }
    for unread in &inventory.unread {
        terminal.note(format!("not read: {}: {}", unread.place, unread.why));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_forms_say_what_they_are() {
        let about = About::default();
        let of = |form| document(&Inventory::default(), &about, form);
        assert_eq!(of(Form::Cyclonedx)["specVersion"], json!("1.6"));
        assert_eq!(of(Form::Spdx)["spdxVersion"], json!("SPDX-2.3"));
    }
}
