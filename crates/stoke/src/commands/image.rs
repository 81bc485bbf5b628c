//! `stoke image`: images built, looked at and moved, without Docker.

mod build;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;

use serde_json::json;
use stoke_laptop::pod_images;
use stoke_model::quantity::Quantity;
use stoke_model::units::people::{self, counted};
use stoke_release::here::{Known, Machine, Pruned, Unpacked};
use stoke_release::oci::copy::{self, Watch};
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
    Build(build::Arguments),
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
            let runtimes = Runtimes::new(context.home.root());
            build::build(&arguments, cache, &store, runtimes, terminal).await
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
