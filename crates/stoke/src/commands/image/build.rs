//! `stoke image build`: what is asked for, and what became of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::json;
use stoke_diagnostics::{Diagnostic, Source, render};
use stoke_model::units::people;
use stoke_release::image::{self, BuildError, Builder, Built, Request, Spec, Target};
use stoke_release::oci::media::Compression;
use stoke_release::oci::{Cache, Location};
use stoke_runtime::Runtimes;

use super::{Places, Shown, location, settings, told_written};
use crate::failure::{Failure, Outcome};
use crate::terminal::{Format, Terminal};

#[derive(clap::Args)]
#[command(after_help = "\
The directory's stoke-image.yaml says what the image is made of; `--schema` prints what may stand there. Without one, --base names the base, and
requirements.txt (or requirements.lock), jars/ and lib/, and all other files of the directory make the layers. What names and ranges meant is kept in
stoke-image.lock: keep it with the code. SOURCE_DATE_EPOCH, when set, is the time that files and image have; else it is 1970.")]
pub struct Arguments {
    /// The directory of the job
    #[arg(default_value = ".")]
    directory: PathBuf,
    /// A stoke-image.yaml or a Containerfile elsewhere
    #[arg(long, short = 'f', value_name = "FILE")]
    file: Option<PathBuf>,
    /// The base: REGISTRY/REPOSITORY:TAG, oci:DIRECTORY, archive:FILE, or runtime:VERSION for one made of a local Spark
    #[arg(long, value_name = "IMAGE")]
    base: Option<String>,
    /// Send it to a registry under this name; may be given several times
    #[arg(long, value_name = "IMAGE")]
    push: Vec<String>,
    /// Write it to oci:DIRECTORY[:TAG] or archive:FILE[:TAG]; may be given several times
    #[arg(long, value_name = "PLACE")]
    to: Vec<String>,
    /// Its name in Stoke's own store, when it is written nowhere else [default: the directory's]
    #[arg(long, value_name = "NAME")]
    tag: Option<String>,
    /// Resolve the base and the requirements again
    #[arg(long, conflicts_with = "locked")]
    update: bool,
    /// Fail when stoke-image.lock does not have it all
    #[arg(long)]
    locked: bool,
    /// How layers are compressed
    #[arg(long, value_enum, default_value = "gzip")]
    compression: Compress,
    /// A value of an ARG of the Containerfile
    #[arg(long, value_name = "NAME=VALUE")]
    build_arg: Vec<String>,
    /// Print the JSON schema of stoke-image.yaml
    #[arg(long)]
    schema: bool,
    #[command(flatten)]
    places: Places,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Compress {
    Gzip,
    Zstd,
    None,
}

pub async fn build(
    arguments: &Arguments,
    cache: Cache,
    store: &Path,
    runtimes: Runtimes,
    terminal: &mut Terminal,
) -> Outcome<u8> {
    if arguments.schema {
        terminal.json(&image::schema());
        return Ok(0);
    }
    let spec = match specification(arguments) {
        Ok(spec) => spec,
        Err(Unread::Found(found)) => return refused(found, 2, terminal),
        Err(Unread::Failed(failed)) => return Err(failed),
    };
    let mut targets = Vec::new();
    for text in &arguments.push {
        let location = location(text, store)?;
        if !matches!(location, Location::Registry(_)) {
            let failed = Failure::input("stoke::oci::reference", format!("--push {text}: not at a registry"));
            return Err(failed.fix("write --to for layouts and archives"));
        }
        targets.push(Target::At(location));
    }
    for text in &arguments.to {
        let location = location(text, store)?;
        if matches!(location, Location::Registry(_)) {
            let failed = Failure::input("stoke::oci::reference", format!("--to {text}: a registry"));
            return Err(failed.fix("write --push for registries"));
        }
        targets.push(Target::At(location));
    }
    if targets.is_empty() || arguments.tag.is_some() {
        let name = match &arguments.tag {
            Some(tag) => tag.clone(),
            None => name_of(&arguments.directory)?,
        };
        targets.push(Target::At(Location::Layout(store.to_owned(), Some(name))));
    }
    let request = Request {
        directory: arguments.directory.clone(),
        spec,
        base: arguments.base.clone(),
        platform: arguments.places.platform()?,
        update: arguments.update,
        locked: arguments.locked,
        epoch: epoch()?,
        compression: match arguments.compression {
            Compress::Gzip => Compression::Gzip,
            Compress::Zstd => Compression::Zstd,
            Compress::None => Compression::None,
        },
    };
    let builder = Builder {
        cache,
        settings: settings(&arguments.places),
        runtimes,
        python: std::env::var_os("STOKE_PYTHON")
            .filter(|name| !name.is_empty())
            .map_or_else(|| PathBuf::from("python3"), PathBuf::from),
    };
    let built = image::build(&request, &targets, &builder, &Shown::on(terminal)).await;
    terminal.end_status();
    match built {
        Ok(built) => tell(&built, terminal),
        Err(BuildError { diagnostics, is_input }) => refused(diagnostics, if is_input { 2 } else { 3 }, terminal),
    }
}

/// Why there is no specification.
enum Unread {
    Found(Vec<Diagnostic>),
    Failed(Failure),
}

impl From<Failure> for Unread {
    fn from(failed: Failure) -> Self {
        Self::Failed(failed)
    }
}

/// The file that is named, or that of the directory; none where there is none.
fn specification(arguments: &Arguments) -> Result<Option<Spec>, Unread> {
    let (path, named) = match &arguments.file {
        Some(file) => (file.clone(), true),
        None => (arguments.directory.join(image::spec::FILE), false),
    };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !named => return Ok(None),
        Err(error) => {
            let failed = Failure::input("stoke::build::spec", format!("{}: {error}", path.display()));
            return Err(failed
                .fix("name a stoke-image.yaml or a Containerfile that can be read")
                .into());
        }
    };
    let source = Source::new(&path.display().to_string(), &text);
    let is_yaml = path
        .extension()
        .is_some_and(|extension| extension == "yaml" || extension == "yml");
    if is_yaml {
        return image::spec::parse(&source).map(Some).map_err(Unread::Found);
    }
    let mut given = BTreeMap::new();
    for text in &arguments.build_arg {
        let Some((name, value)) = text.split_once('=') else {
            let failed = Failure::input("stoke::cli::assignment", format!("--build-arg {text}"));
            return Err(failed.fix("write NAME=VALUE").into());
        };
        given.insert(name.to_owned(), value.to_owned());
    }
    image::containerfile::parse(&source, &given)
        .map(Some)
        .map_err(Unread::Found)
}

/// The directory's name as the name of an image.
fn name_of(directory: &Path) -> Outcome<String> {
    let whole = directory.canonicalize().map_err(|error| {
        Failure::input("stoke::build::path", format!("{}: {error}", directory.display()))
            .fix("name the directory of the job")
    })?;
    let name = whole.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let name: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    Ok(format!("{}:latest", name.trim_matches('-')))
}

/// Seconds since 1970 (https://reproducible-builds.org/specs/source-date-epoch/).
fn epoch() -> Outcome<u64> {
    match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) if !text.is_empty() => text
            .parse()
            .ok()
            .filter(|epoch| *epoch < 253_402_300_800)
            .ok_or_else(|| {
                Failure::input("stoke::build::spec", format!("SOURCE_DATE_EPOCH is `{text}`"))
                    .fix("write seconds since 1970")
            }),
        _ => Ok(0),
    }
}

/// Prints what is wrong: all of it.
fn refused(diagnostics: Vec<Diagnostic>, exit: u8, terminal: &mut Terminal) -> Outcome<u8> {
    let mut all = diagnostics.into_iter();
    match (all.next(), terminal.format()) {
        (Some(first), Format::Json) => {
            let rest: Vec<Diagnostic> = all.collect();
            terminal.json(&json!({ "error": first, "others": rest }));
        }
        (Some(first), Format::Text) => {
            for found in std::iter::once(first).chain(all) {
                terminal.note(render::text(&found, render::Style::Coloured));
            }
        }
        (None, _) => {}
    }
    Ok(exit)
}

fn tell(built: &Built, terminal: &mut Terminal) -> Outcome<u8> {
    if terminal.format() == Format::Json {
        terminal.json(built);
        return Ok(0);
    }
    terminal.out(&built.digest);
    for layer in &built.layers {
        terminal.note(format!(
            "layer {} {:>10}  {}",
            layer.digest.short(),
            people::bytes(layer.size),
            layer.made_by
        ));
    }
    for written in &built.written {
        terminal.note(told_written(
            &written.place,
            written.found,
            written.mounted,
            written.sent,
            written.bytes,
        ));
    }
    Ok(0)
}
