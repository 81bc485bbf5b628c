//! Manifests, configurations and an index over a base's; written to a place, the name last.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use super::build::{Base, Builder, OfPlatform, PACKAGES, Request, Written, of_base};
use super::error::BuildError;
use super::layer::{Layer, OWNER};
use super::spec::Spec;
use crate::oci::copy::Watch;
use crate::oci::media::{self, Compression};
use crate::oci::registry::{Content, Pushed};
use crate::oci::{
    Cache, Config, Descriptor, Digest, Fetched, History, Index, Layout, Location, Manifest, OciError, Platform,
    Repository, text, write_archive,
};

/// An image in the making: manifests and what they name.
pub(super) struct Image {
    pub root: Fetched,
    entries: Vec<Fetched>,
    /// Blobs that are the job's own.
    own: BTreeMap<Digest, (Descriptor, Content)>,
    /// Blobs of the base.
    of_base: Vec<Descriptor>,
}

/// Manifests, configurations and an index over the base's.
pub(super) async fn assemble(
    spec: &Spec,
    base: &Base,
    all: &[OfPlatform],
    layers: &[Layer],
    packages: bool,
    request: &Request,
    cache: &Cache,
) -> Result<Image, BuildError> {
    let mut image = Image {
        root: base.root.clone(),
        entries: Vec::new(),
        own: BTreeMap::new(),
        of_base: Vec::new(),
    };
    for layer in layers {
        let path = cache.path(&layer.descriptor.digest);
        let content = File::open(&path)
            .and_then(Content::of)
            .map_err(|error| OciError::io(&path, &error))?;
        image
            .own
            .insert(layer.descriptor.digest.clone(), (layer.descriptor.clone(), content));
    }
    let mut index = Vec::new();
    for (_, entry) in all {
        let (manifest, config) = of_base(base, entry.as_ref(), cache).await?;
        let config = configured(config, spec, base, layers, packages, request.epoch)?;
        let platform = Platform {
            other: serde_json::Map::new(),
            ..config.platform.clone()
        };
        let bytes = text(&config)?;
        let descriptor = Descriptor::of(media::CONFIG, &bytes);
        let mut stack: Vec<Descriptor> = manifest.layers.iter().map(as_oci).collect();
        image.of_base.extend(stack.iter().cloned());
        stack.extend(layers.iter().map(|layer| layer.descriptor.clone()));
        image.own.insert(
            descriptor.digest.clone(),
            (descriptor.clone(), Content::Bytes(bytes.into())),
        );
        let mut manifest = Manifest::image(descriptor, stack);
        manifest.annotations.extend(about_base(base));
        let bytes = text(&manifest)?;
        let mut descriptor = Descriptor::of(media::MANIFEST, &bytes);
        descriptor.platform = Some(platform);
        index.push(descriptor.clone());
        image.entries.push(Fetched { descriptor, bytes });
    }
    image.of_base.sort_by(|a, b| a.digest.cmp(&b.digest));
    image.of_base.dedup_by(|a, b| a.digest == b.digest);
    let single = image.entries.len() == 1 && (all[0].1.is_none() || request.platform.is_some());
    match image.entries.pop() {
        Some(only) if single => image.root = only,
        last => {
            image.entries.extend(last);
            let mut index = Index::new(index);
            index.annotations.extend(about_base(base));
            let bytes = text(&index)?;
            image.root = Fetched {
                descriptor: Descriptor::of(media::INDEX, &bytes),
                bytes,
            };
        }
    }
    Ok(image)
}

/// The same blob by the name that OCI has for its kind.
fn as_oci(layer: &Descriptor) -> Descriptor {
    let media_type = match media::compression(&layer.media_type) {
        Some(Compression::None) => media::LAYER_TAR,
        Some(Compression::Gzip) => media::LAYER_GZIP,
        Some(Compression::Zstd) => media::LAYER_ZSTD,
        None => layer.media_type.as_str(),
    };
    Descriptor {
        media_type: media_type.to_owned(),
        ..layer.clone()
    }
}

fn about_base(base: &Base) -> [(String, String); 2] {
    // A path says where it was built; what it was built on is in the digest.
    let name = match base.name.starts_with("oci:") || base.name.starts_with("archive:") {
        true => base.name.split(':').next().unwrap_or_default().to_owned(),
        false => base.name.clone(),
    };
    [
        ("org.opencontainers.image.base.name".to_owned(), name),
        (
            "org.opencontainers.image.base.digest".to_owned(),
            base.root.descriptor.digest.to_string(),
        ),
    ]
}

/// The base's configuration with what the job adds.
fn configured(
    mut config: Config,
    spec: &Spec,
    base: &Base,
    layers: &[Layer],
    packages: bool,
    epoch: u64,
) -> Result<Config, BuildError> {
    let created = jiff::Timestamp::from_second(i64::try_from(epoch).unwrap_or(0));
    let created = created
        .map_err(|error| {
            BuildError::input(
                "stoke::build::spec",
                format!("SOURCE_DATE_EPOCH: {error}"),
                "write seconds since 1970",
            )
        })?
        .to_string();
    config
        .platform
        .other
        .insert("created".to_owned(), created.clone().into());
    // Who built the base did not build this.
    config.platform.other.shift_remove("author");
    for layer in layers {
        config.rootfs.diff_ids.push(layer.diff_id.clone());
        config.history.push(History {
            created: Some(created.clone()),
            created_by: Some(layer.made_by.clone()),
            ..History::default()
        });
    }
    let run = &mut config.config;
    for (name, value) in &spec.env {
        run.set_variable(name, value);
    }
    let app = match spec.app.as_str() {
        "/" => "",
        app => app,
    };
    let mut paths: Vec<String> = Vec::new();
    if packages {
        paths.push(format!("{app}/{PACKAGES}"));
    }
    if !app.is_empty() {
        paths.push(app.to_owned());
    }
    if !spec.env.contains_key("PYTHONPATH") && !paths.is_empty() {
        paths.extend(
            run.variable("PYTHONPATH")
                .filter(|known| !known.is_empty())
                .map(str::to_owned),
        );
        run.set_variable("PYTHONPATH", &paths.join(":"));
    }
    run.labels.extend(about_base(base));
    run.labels.extend(spec.labels.clone());
    if let Some(workdir) = &spec.workdir {
        run.working_dir.clone_from(workdir);
    }
    if let Some(user) = &spec.user {
        run.user.clone_from(user);
    } else if run.user.is_empty() {
        run.user = OWNER.to_string();
    }
    if let Some(entrypoint) = &spec.entrypoint {
        run.entrypoint.clone_from(entrypoint);
    }
    if let Some(cmd) = &spec.cmd {
        run.cmd.clone_from(cmd);
    }
    Ok(config)
}

/// Writes an image to a place: blobs, manifests of platforms, the name last.
pub(super) async fn write(
    image: &Image,
    base: &Base,
    location: &Location,
    builder: &Builder,
    watch: &dyn Watch,
) -> Result<Written, BuildError> {
    let place = location.to_string();
    if let Location::Archive(path, name) = location {
        let directory = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        std::fs::create_dir_all(directory).map_err(|error| OciError::io(directory, &error))?;
        let staging = tempfile::Builder::new()
            .prefix(".image-")
            .tempdir_in(directory)
            .map_err(|error| OciError::io(directory, &error))?;
        let layout = Layout::create(staging.path())?;
        let written = write_to(
            image,
            base,
            &Repository::Layout(layout.clone()),
            name.as_deref(),
            place,
            builder,
            watch,
        )
        .await?;
        write_archive(&layout, path)?;
        return Ok(written);
    }
    let target = Repository::create(location, &builder.settings)?;
    let tag = location.name();
    if tag.as_deref().is_some_and(|tag| tag.starts_with("sha256:")) {
        let message = format!("`{place}` has a digest, which the image will have by what is in it");
        return Err(BuildError::input("stoke::build::path", message, "name a tag"));
    }
    write_to(image, base, &target, tag.as_deref(), place, builder, watch).await
}

async fn write_to(
    image: &Image,
    base: &Base,
    target: &Repository,
    tag: Option<&str>,
    place: String,
    builder: &Builder,
    watch: &dyn Watch,
) -> Result<Written, BuildError> {
    let mut written = Written {
        place,
        found: 0,
        mounted: 0,
        sent: 0,
        bytes: 0,
    };
    let mut count = |pushed: Pushed, size: u64| match pushed {
        Pushed::Found => written.found += 1,
        Pushed::Mounted => written.mounted += 1,
        Pushed::Sent => {
            written.sent += 1;
            written.bytes += size;
        }
    };
    for blob in &image.of_base {
        watch.begins(blob);
        let pushed = target
            .put_from(&base.repository, blob, &builder.cache, &|bytes| watch.moved(bytes))
            .await?;
        count(pushed, blob.size);
    }
    for (descriptor, content) in image.own.values() {
        watch.begins(descriptor);
        count(target.put_content(descriptor, content.clone()).await?, descriptor.size);
    }
    for entry in &image.entries {
        target.put_entry(entry).await?;
    }
    target.put_manifest(&image.root, tag).await?;
    Ok(written)
}
