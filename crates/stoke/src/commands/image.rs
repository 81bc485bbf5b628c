//! `stoke image`: images built, looked at and moved, without Docker.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;

use serde_json::json;
use stoke_diagnostics::{Diagnostic, Source, render};
use stoke_laptop::pod_images;
use stoke_model::quantity::Quantity;
use stoke_model::units::people::{self, counted};
use stoke_release::here::{Known, Machine, Pruned, Unpacked};
use stoke_release::image::{self, BuildError, Builder, Built, Request, Spec, Target};
use stoke_release::oci::copy::{self, Watch};
use stoke_release::oci::media::Compression;
use stoke_release::oci::{
    Cache, Copied, Descriptor, Digest, Location, OciError, Parsed, Platform, Platforms, Repository, Settings, Swept,
};
use stoke_runtime::Runtimes;

use crate::cli::Context;
use crate::failure::{Failure, Outcome};
use crate::terminal::{Format, Terminal, table};

/// What can be done with images.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Build an image of a directory: a base, its dependencies, its code; the same bits each time
    Build(BuildArguments),
    /// Tell what an image is: layers, platforms, how it is started
    Inspect {
        /// REGISTRY/REPOSITORY:TAG, oci:DIRECTORY[:TAG], archive:FILE[:TAG] or local:NAME
        image: String,
        #[command(flatten)]
        places: Places,
    },
    /// Fetch an image, by default into Stoke's own store
    Pull {
        /// The image at its registry
        image: String,
        /// Where to: oci:DIRECTORY[:TAG] or archive:FILE[:TAG]
        #[arg(long, value_name = "PLACE")]
        to: Option<String>,
        #[command(flatten)]
        places: Places,
    },
    /// Send an image to a registry
    Push {
        /// The image: local:NAME, oci:DIRECTORY[:TAG] or archive:FILE[:TAG]
        image: String,
        /// The name it gets: REGISTRY/REPOSITORY:TAG
        target: String,
        #[command(flatten)]
        places: Places,
    },
    /// Copy an image from any place to any other; blobs that are there are not moved
    Copy {
        source: String,
        target: String,
        #[command(flatten)]
        places: Places,
    },
    /// List images of a place, or of this machine: Stoke's own store, and what was fetched and unpacked for pods
    List {
        /// REGISTRY/REPOSITORY, oci:DIRECTORY or archive:FILE
        place: Option<String>,
        #[command(flatten)]
        places: Places,
    },
    /// Take a name away from an image of Stoke's own store, or of those that were fetched for pods
    Remove {
        /// local:NAME, or the name that it was fetched by
        image: String,
    },
    /// Remove what was used longest ago: fetched blobs, images unpacked for pods that no pod uses; and what no image of the store has
    Prune {
        /// How much stays, for example 5Gi [default: the limit of the cache]
        #[arg(long, value_name = "SIZE")]
        keep: Option<String>,
        /// Remove all of them; images of the store stay
        #[arg(long, conflicts_with = "keep")]
        all: bool,
    },
}

/// What commands that reach registries understand.
#[derive(clap::Args, Clone)]
pub struct Places {
    /// One platform of an image for several, for example linux/arm64
    #[arg(long, value_name = "OS/ARCHITECTURE")]
    platform: Option<String>,
    /// A file with certificates of authorities that the registry's is signed by
    #[arg(long, value_name = "FILE")]
    ca: Vec<PathBuf>,
}

#[derive(clap::Args)]
#[command(after_help = "\
The directory's stoke-image.yaml says what the image is made of; `--schema` prints what may stand there. Without one, --base names the base, and
requirements.txt (or requirements.lock), jars/ and lib/, and all other files of the directory make the layers. What names and ranges meant is kept in
stoke-image.lock: keep it with the code. SOURCE_DATE_EPOCH, when set, is the time that files and image have; else it is 1970.")]
pub struct BuildArguments {
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

/// Runs the command. What is interrupted leaves nothing with a name that is not whole.
pub async fn run(command: Command, context: &mut Context) -> Outcome<u8> {
    let work = work(command, context);
    tokio::select! {
        result = work => result,
        _ = tokio::signal::ctrl_c() => Err(Failure::new("stoke::image::interrupted", "interrupted; what has arrived is kept for the next time", 130)),
    }
}

async fn work(command: Command, context: &mut Context) -> Outcome<u8> {
    let root = context.home.root().join("images");
    let machine = pod_images::machine(&context.home)?;
    let cache = machine.cache().clone();
    let store = root.join("store");
    let terminal = &mut context.terminal;
    match command {
        Command::Build(arguments) => {
            if arguments.schema {
                terminal.json(&image::schema());
                return Ok(0);
            }
            let runtimes = Runtimes::new(context.home.root());
            build(&arguments, cache, &store, runtimes, terminal).await
        }
        Command::Inspect { image, places } => inspect(&location(&image, &store)?, &places, &cache, terminal).await,
        Command::Pull { image, to, places } => {
            let source = location(&image, &store)?;
            let target = match to {
                Some(to) => location(&to, &store)?,
                None => Location::Layout(store.clone(), Some(image.clone())),
            };
            moved(&source, &target, &places, &cache, terminal).await
        }
        Command::Push { image, target, places } => {
            let (source, target) = (location(&image, &store)?, location(&target, &store)?);
            if !matches!(target, Location::Registry(_)) {
                let failed = Failure::input("stoke::oci::reference", format!("`{target}` is not at a registry"));
                return Err(failed.fix("write REGISTRY/REPOSITORY:TAG, or use `stoke image copy`"));
            }
            moved(&source, &target, &places, &cache, terminal).await
        }
        Command::Copy { source, target, places } => {
            let (source, target) = (location(&source, &store)?, location(&target, &store)?);
            moved(&source, &target, &places, &cache, terminal).await
        }
        Command::List { place: None, .. } => list_here(&machine, terminal),
        Command::List {
            place: Some(place),
            places,
        } => list(&place, &store, &places, terminal).await,
        Command::Remove { image } => {
            machine.forget(&image).map_err(failure)?;
            match terminal.format() {
                Format::Json => terminal.json(&json!({ "removed": image })),
                Format::Text => terminal.out(format!(
                    "{image} is removed; `stoke image prune` frees what no other image has"
                )),
            }
            Ok(0)
        }
        Command::Prune { keep, all } => {
            let most = match (&keep, all) {
                (_, true) => 0,
                (Some(text), _) => size("--keep", text)?,
                (None, _) => pod_images::limit()?,
            };
            let pruned = machine.prune(most, SystemTime::now()).map_err(failure)?;
            tell_pruned(&pruned, terminal);
            Ok(0)
        }
    }
}

fn tell_pruned(pruned: &Pruned, terminal: &mut Terminal) {
    let parts = [
        ("fetched", "blob", &pruned.cache),
        ("store", "blob", &pruned.store),
        ("unpacked", "tree", &pruned.trees),
    ];
    if terminal.format() == Format::Json {
        let part = |swept: &Swept| json!({ "removed": swept.blobs, "freed": swept.freed, "kept": swept.kept });
        let all: serde_json::Map<_, _> = parts
            .iter()
            .map(|(name, _, swept)| ((*name).to_owned(), part(swept)))
            .collect();
        return terminal.json(&all);
    }
    for (name, what, swept) in parts {
        terminal.out(format!(
            "{name}: removed {} of {}; {} stay",
            counted(swept.blobs, what),
            people::bytes(swept.freed),
            people::bytes(swept.kept)
        ));
    }
}

/// Images of this machine: their names, and how often and for whom they are unpacked.
fn list_here(machine: &Machine, terminal: &mut Terminal) -> Outcome<u8> {
    let trees = machine.trees().map_err(failure)?;
    let mut named = Vec::new();
    for Known { name, digest } in machine.list().map_err(failure)? {
        let manifest = machine.manifest_of(&digest).map_err(failure)?;
        named.push((Some(name), manifest.unwrap_or_else(|| digest.clone()), digest));
    }
    // What a digest was asked for by, or lost its name.
    let mut others: Vec<_> = trees.iter().map(|tree| tree.digest.clone()).collect();
    others.retain(|digest| named.iter().all(|(_, manifest, _)| manifest != digest));
    others.dedup();
    named.extend(others.into_iter().map(|digest| (None, digest.clone(), digest)));
    let of = |manifest: &Digest| -> Vec<&Unpacked> { trees.iter().filter(|tree| tree.digest == *manifest).collect() };
    if terminal.format() == Format::Json {
        let tree = |tree: &&Unpacked| json!({ "rights": tree.viewer, "bytes": tree.size, "inUse": tree.is_in_use });
        let image = |(name, manifest, digest): &(Option<String>, Digest, Digest)| {
            let trees: Vec<_> = of(manifest).iter().map(tree).collect();
            json!({ "name": name, "digest": digest, "unpacked": trees })
        };
        terminal.json(&named.iter().map(image).collect::<Vec<_>>());
        return Ok(0);
    }
    if named.is_empty() {
        terminal.note("no images; `stoke image build` makes one and keeps it here unless --to or --push is given");
        return Ok(0);
    }
    let mut rows = vec![["IMAGE", "DIGEST", "UNPACKED", "IN USE"].map(str::to_owned).to_vec()];
    for (name, manifest, digest) in &named {
        let trees = of(manifest);
        let size = trees.iter().map(|tree| tree.size).sum::<u64>();
        rows.push(vec![
            name.clone().unwrap_or_else(|| "-".to_owned()),
            digest.short().to_owned(),
            if trees.is_empty() {
                "-".to_owned()
            } else {
                people::bytes(size)
            },
            if trees.iter().any(|tree| tree.is_in_use) {
                "yes"
            } else {
                "no"
            }
            .to_owned(),
        ]);
    }
    for line in table(&rows) {
        terminal.out(line);
    }
    Ok(0)
}

fn size(what: &str, text: &str) -> Outcome<u64> {
    let quantity: Result<Quantity, _> = text.parse();
    quantity
        .map(|quantity| quantity.bytes())
        .map_err(|error| Failure::input("stoke::cli::memory", format!("{what} {text}: {error}")))
}

/// A place as people write it; `local:NAME` is in Stoke's own store.
fn location(text: &str, store: &Path) -> Outcome<Location> {
    match text.strip_prefix("local:") {
        Some(name) if !name.is_empty() => Ok(Location::Layout(store.to_owned(), Some(name.to_owned()))),
        _ => text.parse().map_err(failure),
    }
}

fn failure(error: OciError) -> Failure {
    Failure {
        exit: if error.is_input() { 2 } else { 3 },
        diagnostic: Box::new(error.to_diagnostic()),
    }
}

fn settings(places: &Places) -> Settings {
    Settings {
        authorities: places.ca.clone(),
        ..Settings::of_this_machine()
    }
}

impl Places {
    fn platform(&self) -> Outcome<Option<Platform>> {
        let parsed = self.platform.as_ref().map(|text| text.parse()).transpose();
        parsed.map_err(failure)
    }

    fn platforms(&self) -> Outcome<Platforms> {
        Ok(self.platform()?.map_or(Platforms::All, Platforms::One))
    }
}

/// Shows how far it is.
struct Shown<'a> {
    terminal: Mutex<&'a mut Terminal>,
    at: Mutex<(u64, u64, String)>,
}

impl<'a> Shown<'a> {
    fn on(terminal: &'a mut Terminal) -> Self {
        Self {
            terminal: Mutex::new(terminal),
            at: Mutex::new((0, 0, String::new())),
        }
    }
}

impl Watch for Shown<'_> {
    fn moved(&self, bytes: u64) {
        let (Ok(mut at), Ok(mut terminal)) = (self.at.lock(), self.terminal.lock()) else {
            return;
        };
        at.0 += bytes;
        let line = format!("{}: {} of {}", at.2, people::bytes(at.0), people::bytes(at.1));
        terminal.status(line);
    }

    fn begins(&self, descriptor: &Descriptor) {
        let (Ok(mut at), Ok(mut terminal)) = (self.at.lock(), self.terminal.lock()) else {
            return;
        };
        *at = (0, descriptor.size, descriptor.digest.short().to_owned());
        terminal.status(format!("{}: {}", at.2, people::bytes(at.1)));
    }
}

async fn build(
    arguments: &BuildArguments,
    cache: Cache,
    store: &Path,
    runtimes: Runtimes,
    terminal: &mut Terminal,
) -> Outcome<u8> {
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
fn specification(arguments: &BuildArguments) -> Result<Option<Spec>, Unread> {
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

fn told_written(place: &str, found: u64, mounted: u64, sent: u64, bytes: u64) -> String {
    format!(
        "{place}: {} were there, {mounted} mounted, {sent} sent ({})",
        counted(found, "blob"),
        people::bytes(bytes)
    )
}

async fn moved(
    source: &Location,
    target: &Location,
    places: &Places,
    cache: &Cache,
    terminal: &mut Terminal,
) -> Outcome<u8> {
    let settings = settings(places);
    let from = Repository::open(source, &settings).map_err(failure)?;
    let (name, tag, platforms) = (source.name(), target.name(), places.platforms()?);
    let copied = {
        let shown = Shown::on(terminal);
        match target {
            Location::Archive(path, tag) => {
                copy::copy_to_archive(&from, name.as_deref(), path, tag.as_deref(), &platforms, cache, &shown).await
            }
            _ => match Repository::create(target, &settings) {
                Ok(to) => copy::copy(&from, name.as_deref(), &to, tag.as_deref(), &platforms, cache, &shown).await,
                Err(error) => Err(error),
            },
        }
    };
    terminal.end_status();
    let copied: Copied = copied.map_err(failure)?;
    cache.fit().map_err(failure)?;
    match terminal.format() {
        Format::Json => terminal.json(&json!({
            "digest": copied.digest, "place": target.to_string(), "found": copied.found, "mounted": copied.mounted, "sent": copied.sent, "bytes": copied.bytes,
        })),
        Format::Text => {
            terminal.out(&copied.digest);
            terminal.note(told_written(&target.to_string(), copied.found, copied.mounted, copied.sent, copied.bytes));
        }
    }
    Ok(0)
}

async fn list(place: &str, store: &Path, places: &Places, terminal: &mut Terminal) -> Outcome<u8> {
    let repository = Repository::open(&location(place, store)?, &settings(places)).map_err(failure)?;
    let names = repository.tags().await.map_err(failure)?;
    match terminal.format() {
        Format::Json => terminal.json(&names),
        Format::Text if names.is_empty() => terminal.note("no tags"),
        Format::Text => names.iter().for_each(|name| terminal.out(name)),
    }
    Ok(0)
}

async fn inspect(image: &Location, places: &Places, cache: &Cache, terminal: &mut Terminal) -> Outcome<u8> {
    let repository = Repository::open(image, &settings(places)).map_err(failure)?;
    let name = image.name();
    let root = repository.fetch(name.as_deref()).await.map_err(failure)?;
    let platforms: Vec<String> = match root.parse(&repository.place()).map_err(failure)? {
        Parsed::Index(index) => index
            .images()
            .filter_map(|entry| entry.platform.as_ref())
            .map(ToString::to_string)
            .collect(),
        Parsed::Manifest(_) => Vec::new(),
    };
    let wanted = places.platform()?.unwrap_or_else(Platform::here);
    let (fetched, manifest) = repository.image(name.as_deref(), &wanted).await.map_err(failure)?;
    let (_, config) = repository.config(&manifest, cache).await.map_err(failure)?;
    let about = repository.referrers(&root.descriptor.digest).await.map_err(failure)?;
    if terminal.format() == Format::Json {
        terminal.json(&json!({
            "image": image.to_string(), "digest": root.descriptor.digest, "mediaType": root.descriptor.media_type, "platforms": platforms,
            "manifestDigest": fetched.descriptor.digest, "manifest": manifest, "config": config, "referrers": about,
        }));
        return Ok(0);
    }
    terminal.out(format!("{image}"));
    let mut rows = vec![vec!["digest".to_owned(), root.descriptor.digest.to_string()]];
    let mut row = |name: &str, value: String| {
        if !value.is_empty() {
            rows.push(vec![name.to_owned(), value]);
        }
    };
    row("platforms", platforms.join(", "));
    row("platform", config.platform.to_string());
    row("user", config.config.user.clone());
    row("directory", config.config.working_dir.clone());
    row("entrypoint", config.config.entrypoint.join(" "));
    row("arguments", config.config.cmd.join(" "));
    for (name, value) in &config.config.labels {
        row("label", format!("{name}={value}"));
    }
    for entry in &about {
        row(
            "about it",
            format!(
                "{} {}",
                entry.artifact_type.as_deref().unwrap_or_default(),
                entry.digest
            ),
        );
    }
    let mut made = config
        .history
        .iter()
        .filter(|entry| !entry.empty_layer)
        .map(|entry| entry.created_by.clone().unwrap_or_default());
    for layer in &manifest.layers {
        let by: String = made.next().unwrap_or_default().chars().take(80).collect();
        row(
            "layer",
            format!("{} {} {by}", layer.digest.short(), people::bytes(layer.size)),
        );
    }
    for line in table(&rows) {
        terminal.out(line);
    }
    Ok(0)
}
