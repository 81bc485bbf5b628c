//! An image out of a base and a directory.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use stoke_runtime::Runtimes;

use super::assemble::{assemble, write};
use super::error::BuildError;
use super::layer::{GZIP_LEVEL, Layer, Tree};
use super::lock::{self, Lock};
use super::sources::{Directory, Exclude};
use super::spec::Spec;
use super::wheels::{self, Interpreter, Wheels};
use super::{detect, runtime_base, spec};
use crate::oci::copy::Watch;
use crate::oci::media::{self, Compression};
use crate::oci::unpack::decompressed;
use crate::oci::{
    Cache, Config, Descriptor, Digest, Fetched, Hashing, Kind, Location, Manifest, OciError, Parsed, Platform,
    Repository, Settings,
};

/// Where packages of Python go, below where code goes.
pub(super) const PACKAGES: &str = "site-packages";

/// What is wanted.
#[derive(Debug, Clone)]
pub struct Request {
    pub directory: PathBuf,
    /// What it is made of; found out when there is none.
    pub spec: Option<Spec>,
    /// The base, where there is no specification, or instead of its own.
    pub base: Option<String>,
    /// One platform of a base with several.
    pub platform: Option<Platform>,
    /// Names and ranges are resolved again.
    pub update: bool,
    /// Nothing is resolved: the lock has it all, or it is an error.
    pub locked: bool,
    /// Seconds since 1970 that files and the image say they are from.
    pub epoch: u64,
    pub compression: Compression,
}

/// Where it is written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A registry, a layout, or an archive, with the name it gets.
    At(Location),
}

/// What builds stand on.
#[derive(Debug, Clone)]
pub struct Builder {
    pub cache: Cache,
    pub settings: Settings,
    /// Local Sparks, for bases of `runtime:`.
    pub runtimes: Runtimes,
    /// The Python that runs pip.
    pub python: PathBuf,
}

/// What was built.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Built {
    pub digest: Digest,
    pub base: String,
    pub base_digest: Digest,
    pub platforms: Vec<String>,
    pub layers: Vec<BuiltLayer>,
    /// Wheels of the layer of dependencies.
    pub wheels: Vec<lock::Wheel>,
    pub written: Vec<Written>,
}

/// A layer of the job's own.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BuiltLayer {
    pub digest: Digest,
    pub diff_id: Digest,
    /// In bytes, compressed.
    pub size: u64,
    pub made_by: String,
}

/// What writing it to one place took.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Written {
    pub place: String,
    /// Blobs that were there, were mounted from another repository, were sent.
    pub found: u64,
    pub mounted: u64,
    pub sent: u64,
    /// Bytes of blobs that were sent.
    pub bytes: u64,
}

/// A base, with what is asked of it.
#[derive(Debug)]
pub struct Base {
    pub(super) name: String,
    pub(super) repository: Repository,
    pub(super) root: Fetched,
}

/// Builds an image and writes it to each of the places.
///
/// # Errors
/// What is wrong with the specification, the files, the dependencies, the base or a place; nothing has a name then that is not whole.
pub async fn build(
    request: &Request,
    targets: &[Target],
    builder: &Builder,
    watch: &dyn Watch,
) -> Result<Built, BuildError> {
    let (spec, directory) = specification(request)?;
    let mut lock = match request.update {
        true => Lock::default(),
        false => Lock::read(&request.directory)?,
    };
    let base = base(&spec.base, &mut lock, request, builder, watch).await?;
    let cache = &builder.cache;

    let mut layers = Vec::new();
    let all = platforms(&base, request.platform.as_ref())?;
    let mut gathered: Option<Wheels> = None;
    if let Some(file) = &spec.requirements {
        let (wheels, layer) = dependencies(&spec, file, &all, &base, &mut lock, request, builder, watch).await?;
        layers.extend(layer);
        gathered = Some(wheels);
    }
    let (jars, code) = trees(&spec, &directory, spark_home(&base, &all, cache).await?)?;
    let described = |what: &str, tree: &Tree| {
        format!(
            "stoke image build: {what}, {} files; {}",
            tree.len(),
            told(request.compression)
        )
    };
    if !jars.is_empty() {
        layers.push(jars.write(request.compression, request.epoch, cache, described("jars", &jars))?);
    }
    if !code.is_empty() {
        layers.push(code.write(request.compression, request.epoch, cache, described("code", &code))?);
    }

    let neutral = gathered
        .as_ref()
        .is_none_or(|wheels| wheels.locked.wheels.iter().all(lock::Wheel::is_neutral));
    if all.len() > 1 && !neutral {
        let list: Vec<String> = all.iter().map(|(platform, _)| platform.to_string()).collect();
        let message = format!(
            "{} has images for {}, and some wheels are for one of them only",
            spec.base,
            list.join(", ")
        );
        return Err(BuildError::input(
            "stoke::build::platform",
            message,
            format!("name one with --platform, such as {}", Platform::here()),
        ));
    }
    let image = assemble(&spec, &base, &all, &layers, gathered.is_some(), request, cache).await?;
    if !request.locked {
        lock.write(&request.directory)?;
    }

    let mut written = Vec::new();
    for Target::At(location) in targets {
        written.push(write(&image, &base, location, builder, watch).await?);
    }
    cache.fit()?;
    Ok(Built {
        digest: image.root.descriptor.digest.clone(),
        base: spec.base.clone(),
        base_digest: base.root.descriptor.digest.clone(),
        platforms: all.iter().map(|(platform, _)| platform.to_string()).collect(),
        layers: layers
            .into_iter()
            .map(|layer| BuiltLayer {
                digest: layer.descriptor.digest,
                diff_id: layer.diff_id,
                size: layer.descriptor.size,
                made_by: layer.made_by,
            })
            .collect(),
        wheels: gathered.map(|wheels| wheels.locked.wheels).unwrap_or_default(),
        written,
    })
}

fn told(compression: Compression) -> String {
    match compression {
        Compression::None => "tar".to_owned(),
        // Another library or level gives other bytes.
        Compression::Gzip => format!("gzip by zlib-rs at {GZIP_LEVEL}"),
        Compression::Zstd => "zstd at 3".to_owned(),
    }
}

/// The specification, and the files of the directory.
fn specification(request: &Request) -> Result<(Spec, Directory), BuildError> {
    let root = &request.directory;
    if !root.is_dir() {
        return Err(BuildError::input(
            "stoke::build::path",
            format!("{} is not a directory", root.display()),
            "name the directory of the job",
        ));
    }
    let mut ignored = String::new();
    for name in [".containerignore", ".dockerignore"] {
        match std::fs::read_to_string(root.join(name)) {
            Ok(text) => {
                ignored = text;
                break;
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(super::sources::unreadable(&root.join(name), &error)),
        }
    }
    let listed = Directory::read(root, &Exclude::new(ignored.lines())?)?;
    let given = request.base.as_deref();
    let mut spec = match &request.spec {
        Some(spec) => spec.clone(),
        None => {
            let Some(base) = given else {
                let message = format!("{} has no {}, and no base is named", root.display(), spec::FILE);
                return Err(BuildError::input(
                    "stoke::build::spec",
                    message,
                    "name one with --base, such as apache/spark:4.1.4 or runtime:4.1.4",
                ));
            };
            detect::detect(&listed, base)?
        }
    };
    if let Some(base) = given {
        base.clone_into(&mut spec.base);
    }
    if spec.files.is_empty() && request.spec.is_some() {
        // Without a list it is everything, as when it is found out.
        spec.files.push(spec::Files {
            from: ".".to_owned(),
            to: "./".to_owned(),
        });
        spec.exclude.extend(spec.jars.clone());
    }
    Ok((spec, listed))
}

/// The tree of jars and the tree of code.
fn trees(spec: &Spec, listed: &Directory, spark: String) -> Result<(Tree, Tree), BuildError> {
    let mut jars = Tree::default();
    for pattern in &spec.jars {
        let (found, _) = listed.meant(pattern)?;
        for (file, _) in found {
            let name = file.rsplit('/').next().unwrap_or(file);
            let target = format!("{}/jars/{name}", spark.trim_start_matches('/'));
            if jars.contains(&target) {
                let message = format!("two jars are called {name}");
                return Err(BuildError::input("stoke::build::path", message, "keep one of them"));
            }
            listed.put_one(&mut jars, file, &target, "/")?;
        }
    }
    let exclude = Exclude::new(spec.exclude.iter().map(String::as_str))?;
    let kept = listed.without(&exclude);
    let mut code = Tree::default();
    for files in &spec.files {
        kept.put(&mut code, files, &spec.app)?;
    }
    Ok((jars, code))
}

/// The base: by its digest in the lock, by what its name means now, or made here.
async fn base(
    name: &str,
    lock: &mut Lock,
    request: &Request,
    builder: &Builder,
    watch: &dyn Watch,
) -> Result<Base, BuildError> {
    if let Some(version) = name.strip_prefix("runtime:") {
        let layout = runtime_base::make(version, &builder.runtimes, &builder.cache, watch)?;
        let root = layout.manifest(&layout.find(None)?)?;
        return Ok(Base {
            name: name.to_owned(),
            repository: Repository::Layout(layout),
            root,
        });
    }
    let mut location: Location = name.parse()?;
    // Paths are those of the directory.
    if let Location::Layout(path, _) | Location::Archive(path, _) = &mut location
        && path.is_relative()
    {
        *path = request.directory.join(&*path);
    }
    let repository = Repository::open(&location, &builder.settings)?;
    let locked = lock
        .base
        .as_ref()
        .filter(|base| base.name == name)
        .map(|base| base.digest.clone());
    let is_registry = matches!(location, Location::Registry(_));
    if locked.is_none() && request.locked && is_registry {
        let message = format!("stoke-image.lock does not say which image {name} is");
        return Err(BuildError::input(
            "stoke::build::lock",
            message,
            "build without --locked once, and keep the lock that it writes",
        ));
    }
    let root = match (&locked, is_registry) {
        (Some(digest), true) => by_digest(&repository, digest, &builder.cache).await?,
        _ => {
            let fetched = repository.fetch(location.name().as_deref()).await?;
            builder.cache.put(&fetched.descriptor, &fetched.bytes[..], name)?;
            fetched
        }
    };
    // A layout or archive on this machine is what it is now.
    if lock
        .base
        .as_ref()
        .is_none_or(|base| base.name != name || base.digest != root.descriptor.digest)
    {
        lock.base = Some(lock::Base {
            name: name.to_owned(),
            digest: root.descriptor.digest.clone(),
            python: None,
        });
    }
    Ok(Base {
        name: name.to_owned(),
        repository,
        root,
    })
}

/// A manifest that was fetched before is not asked for again: builds of a locked base need no registry.
async fn by_digest(repository: &Repository, digest: &Digest, cache: &Cache) -> Result<Fetched, BuildError> {
    let path = cache.path(digest);
    if let Ok(bytes) = std::fs::read(&path)
        && Digest::of(&bytes) == *digest
        && let Some(media_type) = own_type(&bytes)
    {
        return Ok(Fetched {
            descriptor: Descriptor::of(&media_type, &bytes),
            bytes,
        });
    }
    let fetched = repository.fetch(Some(digest.as_str())).await?;
    cache.put(&fetched.descriptor, &fetched.bytes[..], &repository.place())?;
    Ok(fetched)
}

/// What a manifest says of itself.
fn own_type(bytes: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Own {
        media_type: Option<String>,
        manifests: Option<serde::de::IgnoredAny>,
    }
    let own: Own = serde_json::from_slice(bytes).ok()?;
    Some(own.media_type.unwrap_or_else(|| {
        if own.manifests.is_some() {
            media::INDEX
        } else {
            media::MANIFEST
        }
        .to_owned()
    }))
}

pub(super) type OfPlatform = (Platform, Option<Descriptor>);

/// The platforms of the base that are built for, each with its entry of the index.
fn platforms(base: &Base, wanted: Option<&Platform>) -> Result<Vec<OfPlatform>, BuildError> {
    let place = base.name.as_str();
    match base.root.parse(place)? {
        Parsed::Manifest(_) => Ok(vec![(wanted.cloned().unwrap_or_else(Platform::here), None)]),
        Parsed::Index(index) => {
            if let Some(wanted) = wanted {
                let entry = index.choose(wanted, place)?.clone();
                let platform = entry.platform.clone().unwrap_or_else(|| wanted.clone());
                return Ok(vec![(platform, Some(entry))]);
            }
            let linux = index
                .images()
                .filter(|entry| entry.platform.as_ref().is_none_or(|platform| platform.os == "linux"));
            let all: Vec<OfPlatform> = linux
                .map(|entry| {
                    (
                        entry.platform.clone().unwrap_or_else(Platform::here),
                        Some(entry.clone()),
                    )
                })
                .collect();
            if all.is_empty() {
                return Err(BuildError::input(
                    "stoke::build::platform",
                    format!("{place} has no image for Linux"),
                    "name another base",
                ));
            }
            Ok(all)
        }
    }
}

/// The image of the base for one platform, and its configuration.
pub(super) async fn of_base(
    base: &Base,
    entry: Option<&Descriptor>,
    cache: &Cache,
) -> Result<(Manifest, Config), BuildError> {
    let place = &base.name;
    let fetched = match entry {
        None => base.root.clone(),
        Some(entry) => match by_digest(&base.repository, &entry.digest, cache).await {
            Ok(fetched) => fetched,
            Err(_) => base.repository.fetch_entry(entry).await?,
        },
    };
    let Parsed::Manifest(manifest) = fetched.parse(place)? else {
        return Err(OciError::new(Kind::Unsupported, format!("{place}: an index of indexes")).into());
    };
    let (_, config) = base.repository.config(&manifest, cache).await?;
    Ok((*manifest, config))
}

async fn spark_home(base: &Base, all: &[OfPlatform], cache: &Cache) -> Result<String, BuildError> {
    let entry = all.first().and_then(|(_, entry)| entry.as_ref());
    let (_, config) = of_base(base, entry, cache).await?;
    Ok(config
        .config
        .variable("SPARK_HOME")
        .unwrap_or(stoke_runtime::image::SPARK_HOME)
        .to_owned())
}

/// The layer of Python packages. The same wheels give the same layer, which is not made twice.
#[allow(clippy::too_many_arguments)]
async fn dependencies(
    spec: &Spec,
    file: &str,
    all: &[OfPlatform],
    base: &Base,
    lock: &mut Lock,
    request: &Request,
    builder: &Builder,
    watch: &dyn Watch,
) -> Result<(Wheels, Option<Layer>), BuildError> {
    let cache = &builder.cache;
    let (platform, entry) = &all[0];
    let platform = match entry {
        Some(_) => platform.clone(),
        None => {
            let (_, config) = of_base(base, None, cache).await?;
            Platform {
                other: serde_json::Map::new(),
                ..config.platform
            }
        }
    };
    let known = lock.base.as_ref().and_then(|base| base.python.clone());
    let version = match spec.python.clone().or(known) {
        Some(version) => version,
        None => {
            let (manifest, config) = of_base(base, entry.as_ref(), cache).await?;
            let found = python_of(base, &manifest, &config, cache, watch).await?;
            if let Some(base) = &mut lock.base {
                base.python = Some(found.clone());
            }
            found
        }
    };
    let interpreter = Interpreter { version, platform };
    let requirements = request.directory.join(file);
    let locked = lock.python.clone();
    let wheels = wheels::gather(
        &requirements,
        &interpreter,
        locked.as_ref(),
        request.locked,
        &builder.python,
        cache,
    )
    .await?;
    lock.python = Some(wheels.locked.clone());
    if wheels.locked.wheels.is_empty() {
        return Ok((wheels, None));
    }
    let to = format!("{}/{PACKAGES}", spec.app.trim_end_matches('/'));
    let made_by = format!(
        "stoke image build: {} Python packages; {}",
        wheels.locked.wheels.len(),
        told(request.compression)
    );
    let layer = remembered(
        cache,
        &format!("wheels\n{}{to}\n{}\n{made_by}", wheels.identity(), request.epoch),
        || {
            Ok(wheels
                .tree(&to)?
                .write(request.compression, request.epoch, cache, made_by.clone())?)
        },
    )?;
    Ok((wheels, Some(layer)))
}

/// A layer that was made of the same before, or is made now.
pub(super) fn remembered(
    cache: &Cache,
    made_of: &str,
    make: impl FnOnce() -> Result<Layer, BuildError>,
) -> Result<Layer, BuildError> {
    #[derive(Serialize, Deserialize)]
    struct Record {
        descriptor: Descriptor,
        diff_id: Digest,
        made_by: String,
    }
    let folder = cache.directory().join("layers");
    std::fs::create_dir_all(&folder).map_err(|error| OciError::io(&folder, &error))?;
    let mut sum = Hashing::new();
    sum.update(concat!(env!("CARGO_PKG_VERSION"), "\n").as_bytes());
    sum.update(made_of.as_bytes());
    let path = folder.join(sum.end().hex());
    let record: Option<Record> = std::fs::read(&path)
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok());
    if let Some(Record {
        descriptor,
        diff_id,
        made_by,
    }) = record
        && cache.get(&descriptor).is_some()
    {
        return Ok(Layer {
            descriptor,
            diff_id,
            made_by,
        });
    }
    let layer = make()?;
    let record = Record {
        descriptor: layer.descriptor.clone(),
        diff_id: layer.diff_id.clone(),
        made_by: layer.made_by.clone(),
    };
    let text = serde_json::to_vec(&record).map_err(|error| OciError::new(Kind::Malformed, error.to_string()))?;
    let file = tempfile::NamedTempFile::new_in(&folder).map_err(|error| OciError::io(&folder, &error))?;
    std::fs::write(file.path(), text).map_err(|error| OciError::io(&path, &error))?;
    file.persist(&path).map_err(|error| OciError::io(&path, &error.error))?;
    Ok(layer)
}

/// The version of the base's Python: what its variables say, else the newest `python3.N` of its programs.
async fn python_of(
    base: &Base,
    manifest: &Manifest,
    config: &Config,
    cache: &Cache,
    watch: &dyn Watch,
) -> Result<String, BuildError> {
    let minor = |version: &str| {
        let mut parts = version.split('.');
        Some(format!("{}.{}", parts.next()?, parts.next()?)).filter(|version| spec::is_python(version))
    };
    if let Some(version) = config.config.variable("PYTHON_VERSION").and_then(minor) {
        return Ok(version);
    }
    let mut found: Option<u32> = None;
    for layer in manifest.layers.iter().rev() {
        watch.begins(layer);
        let blob = base.repository.blob(layer, cache, &|bytes| watch.moved(bytes)).await?;
        let Some(tar) = decompressed(&layer.media_type, blob.reader())? else {
            continue;
        };
        let mut archive = tar::Archive::new(tar);
        let failed = |error: std::io::Error| OciError::at(Path::new(&base.name))(error);
        for entry in archive.entries().map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = entry.path_bytes();
            let path = String::from_utf8_lossy(&path);
            let Some((folder, name)) = path.rsplit_once('/') else {
                continue;
            };
            let number = name
                .strip_prefix("python3.")
                .and_then(|minor| minor.parse::<u32>().ok());
            if folder.ends_with("bin") {
                found = found.max(number);
            }
        }
        if found.is_some() {
            break;
        }
    }
    match found {
        Some(minor) => Ok(format!("3.{minor}")),
        None => Err(BuildError::input(
            "stoke::build::base",
            format!("{} has no Python, and the job has requirements", base.name),
            "name a base with Python, or say which with `python: \"3.10\"` in stoke-image.yaml",
        )),
    }
}
