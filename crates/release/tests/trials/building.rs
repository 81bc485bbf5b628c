//! Images built twice are the same; what changes in the code changes its layer only.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::{Failed, Trial};
use stoke_release::image::layer::{Item, Source, Tree};
use stoke_release::image::{BuildError, Builder, Built, Request, Target, build, spec};
use stoke_release::oci::copy::Quiet;
use stoke_release::oci::media::{self, Compression};
use stoke_release::oci::unpack::{Limits, Unpacking};
use stoke_release::oci::{
    Cache, Config, Descriptor, Execution, Fetched, Index, Kind, Layout, Location, Manifest, Parsed, Platform,
    Repository, RootFs, Settings, text,
};
use stoke_testkit::{Tier, trial};

use crate::block;

pub fn trials() -> Vec<Trial> {
    let pip = || stoke_testkit::program("python3", "apt-get install python3 python3-pip");
    vec![
        trial(
            "building: two builds have one digest",
            Tier::Default,
            || Ok(()),
            the_same_twice,
        ),
        trial(
            "building: a changed line changes one layer",
            Tier::Default,
            || Ok(()),
            one_line,
        ),
        trial(
            "building: an index of platforms stays one",
            Tier::Default,
            || Ok(()),
            platforms,
        ),
        trial(
            "building: wheels are locked and unpacked",
            Tier::Default,
            pip,
            dependencies,
        ),
        trial("building: archives are read again", Tier::Default, || Ok(()), archives),
        trial("building: what is wrong is said", Tier::Default, || Ok(()), wrong),
        trial(
            "building: a full disk leaves nothing half written",
            Tier::Default,
            small_disk,
            full_disk,
        ),
    ]
}

/// A base with a Python, in a layout; one image or one for each platform.
pub fn base(directory: &Path, platforms: &[&str]) -> PathBuf {
    let cache = Cache::open(&directory.join("base-cache"), 1 << 30).unwrap();
    let layout = Layout::create(&directory.join("base")).unwrap();
    let mut tree = Tree::owned_by(0);
    for (path, content) in [("usr/bin/python3.11", "a python"), ("etc/os-release", "ID=none\n")] {
        tree.put(
            path,
            Item::File {
                content: Source::Bytes(content.into()),
                executable: true,
            },
        );
    }
    let layer = tree.write(Compression::Gzip, 0, &cache, "base".into()).unwrap();
    layout
        .put_blob(&layer.descriptor, cache.get(&layer.descriptor).unwrap())
        .unwrap();
    let mut entries = Vec::new();
    for platform in platforms {
        let mut run = Execution::default();
        run.set_variable("SPARK_HOME", "/opt/spark");
        run.entrypoint = vec!["/opt/entrypoint.sh".into()];
        let config = Config {
            platform: platform.parse().unwrap(),
            config: run,
            rootfs: RootFs {
                kind: "layers".into(),
                diff_ids: vec![layer.diff_id.clone()],
            },
            history: vec![],
        };
        let bytes = text(&config).unwrap();
        let descriptor = Descriptor::of(media::CONFIG, &bytes);
        layout.put_blob(&descriptor, &bytes[..]).unwrap();
        let bytes = text(&Manifest::image(descriptor, vec![layer.descriptor.clone()])).unwrap();
        let mut descriptor = Descriptor::of(media::MANIFEST, &bytes);
        descriptor.platform = Some(platform.parse().unwrap());
        layout.put_blob(&descriptor, &bytes[..]).unwrap();
        entries.push(Fetched { descriptor, bytes });
    }
    match &entries[..] {
        [only] => layout.put_manifest(only.descriptor.clone(), &only.bytes, None).unwrap(),
        all => {
            let bytes = text(&Index::new(all.iter().map(|entry| entry.descriptor.clone()).collect())).unwrap();
            layout
                .put_manifest(Descriptor::of(media::INDEX, &bytes), &bytes, None)
                .unwrap();
        }
    }
    layout.directory().to_owned()
}

/// A job in a directory.
pub fn job(directory: &Path, files: &[(&str, &str)]) -> PathBuf {
    let job = directory.join("job");
    for (name, content) in files {
        let path = job.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    job
}

pub const CODE: [(&str, &str); 4] = [
    ("main.py", "print(1)\n"),
    ("lib/util.py", "x = 1\n"),
    ("jars/a.jar", "a jar"),
    ("data/b.txt", "b"),
];

pub fn request(job: &Path, base: &Path) -> Request {
    Request {
        directory: job.to_owned(),
        spec: None,
        base: Some(format!("oci:{}", base.display())),
        platform: None,
        update: false,
        locked: false,
        epoch: 0,
        compression: Compression::Gzip,
    }
}

pub fn builder(directory: &Path) -> Builder {
    Builder {
        cache: Cache::open(&directory.join("cache"), 1 << 30).unwrap(),
        settings: Settings::default(),
        runtimes: stoke_runtime::Runtimes::new(directory.join("home")),
        python: "python3".into(),
    }
}

pub fn built(request: &Request, targets: &[&str], builder: &Builder) -> Result<Built, BuildError> {
    let targets: Vec<Target> = targets
        .iter()
        .map(|target| Target::At(target.parse().unwrap()))
        .collect();
    block(build(request, &targets, builder, &Quiet))
}

fn the_same_twice() -> Result<(), Failed> {
    let mut digests = Vec::new();
    for (order, mode, compression) in [
        (false, 0o644, Compression::Gzip),
        (true, 0o600, Compression::Gzip),
        (false, 0o666, Compression::Zstd),
        (true, 0o640, Compression::Zstd),
    ] {
        let directory = tempfile::tempdir()?;
        let mut files = CODE.to_vec();
        if order {
            files.reverse();
        }
        let job = job(&directory.path().join(if order { "ä b" } else { "x" }), &files);
        for (name, _) in CODE {
            std::fs::set_permissions(job.join(name), std::fs::Permissions::from_mode(mode))?;
            let time = std::time::SystemTime::now() - std::time::Duration::from_secs(u64::from(mode) * 1000);
            File::options()
                .append(true)
                .open(job.join(name))?
                .set_times(std::fs::FileTimes::new().set_modified(time))?;
        }
        let base = base(directory.path(), &["linux/amd64"]);
        let request = Request {
            compression,
            ..request(&job, &base)
        };
        let out = format!("oci:{}:v1", directory.path().join("out").display());
        digests.push(built(&request, &[&out], &builder(directory.path()))?.digest);
    }
    assert_eq!(digests[0], digests[1]);
    assert_eq!(digests[2], digests[3]);
    assert_ne!(digests[0], digests[2]);
    Ok(())
}

fn one_line() -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let job = job(directory.path(), &CODE);
    let base = base(directory.path(), &["linux/amd64"]);
    let builder = builder(directory.path());
    let out = format!("oci:{}:v1", directory.path().join("out").display());
    let first = built(&request(&job, &base), &[&out], &builder)?;
    std::fs::write(job.join("main.py"), "print(2)\n")?;
    let second = built(&request(&job, &base), &[&out], &builder)?;
    assert_ne!(first.digest, second.digest);
    assert_eq!(first.layers.len(), 2);
    assert_eq!(first.layers[0].digest, second.layers[0].digest, "jars are the same");
    assert_ne!(first.layers[1].digest, second.layers[1].digest);
    // The base, and the jars, were there.
    assert!(
        second.written[0].bytes < 5_000 && second.written[0].found == 2,
        "{:?}",
        second.written
    );
    // What is in it, as a container would see it.
    let repository = Repository::open(&out.parse()?, &Settings::default())?;
    let root = tempfile::tempdir()?;
    let config = block(async {
        let (_, manifest) = repository.image(Some("v1"), &Platform::linux("amd64")).await.unwrap();
        let (_, config) = repository.config(&manifest, &builder.cache).await.unwrap();
        let mut unpacking = Unpacking::into(root.path(), Limits::default()).unwrap();
        for (layer, diff_id) in manifest.layers.iter().zip(&config.rootfs.diff_ids) {
            let blob = repository.blob(layer, &builder.cache, &|_| {}).await.unwrap();
            unpacking
                .layer(&layer.media_type, blob.reader(), Some(diff_id), "layer")
                .unwrap();
        }
        unpacking.finish().unwrap();
        config
    });
    for (path, content) in [
        ("opt/app/main.py", "print(2)\n"),
        ("opt/spark/jars/a.jar", "a jar"),
        ("opt/app/lib/util.py", "x = 1\n"),
        ("usr/bin/python3.11", "a python"),
    ] {
        assert_eq!(std::fs::read_to_string(root.path().join(path))?, content, "{path}");
    }
    assert!(!root.path().join("opt/app/jars").exists());
    assert_eq!(config.config.variable("PYTHONPATH"), Some("/opt/app"));
    assert_eq!(
        (config.config.user.as_str(), &config.config.entrypoint[..]),
        ("185", &["/opt/entrypoint.sh".to_owned()][..])
    );
    assert_eq!(config.platform.other["created"], "1970-01-01T00:00:00Z");
    Ok(())
}

fn platforms() -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let job = job(directory.path(), &CODE);
    let base = base(directory.path(), &["linux/amd64", "linux/arm64"]);
    let builder = builder(directory.path());
    let out = directory.path().join("out");
    let target = format!("oci:{}:v1", out.display());
    let both = built(&request(&job, &base), &[&target], &builder)?;
    assert_eq!(both.platforms, ["linux/amd64", "linux/arm64"]);
    let layout = Layout::open(&out)?;
    let root = layout.manifest(&layout.find(Some("v1"))?)?;
    let Parsed::Index(index) = root.parse("out")? else {
        panic!("not an index")
    };
    assert_eq!(index.manifests.len(), 2);
    let one = Request {
        platform: Some("linux/arm64".parse()?),
        ..request(&job, &base)
    };
    let one = built(&one, &[&target], &builder)?;
    assert_eq!(one.platforms, ["linux/arm64"]);
    assert_eq!(one.digest, index.manifests[1].digest, "the same image alone");
    let none = Request {
        platform: Some("linux/s390x".parse()?),
        ..request(&job, &base)
    };
    let error = built(&none, &[&target], &builder).unwrap_err();
    assert!(error.to_string().contains("linux/amd64, linux/arm64"), "{error}");
    Ok(())
}

fn wheel(path: &Path, version: &str) {
    let mut zip = zip::ZipWriter::new(File::create(path).unwrap());
    let options = zip::write::SimpleFileOptions::default();
    let metadata = format!("Metadata-Version: 2.1\nName: stoke-tiny\nVersion: {version}\n");
    for (name, content) in [
        ("stoke_tiny.py", format!("VERSION = '{version}'\n")),
        (&format!("stoke_tiny-{version}.dist-info/METADATA"), metadata),
        (
            &format!("stoke_tiny-{version}.dist-info/WHEEL"),
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n".into(),
        ),
        (&format!("stoke_tiny-{version}.dist-info/RECORD"), String::new()),
    ] {
        zip.start_file(name, options).unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    zip.finish().unwrap();
}

fn dependencies() -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let job = job(
        directory.path(),
        &[
            ("main.py", "import stoke_tiny\n"),
            ("requirements.txt", "--no-index\n--find-links wheels\nstoke-tiny\n"),
        ],
    );
    std::fs::create_dir_all(job.join("wheels"))?;
    wheel(&job.join("wheels/stoke_tiny-1.0-py3-none-any.whl"), "1.0");
    let base = base(directory.path(), &["linux/amd64"]);
    let builder = builder(directory.path());
    let out = format!("oci:{}:v1", directory.path().join("out").display());
    let ask = request(&job, &base);
    // Without a lock there is nothing to be held to.
    let error = built(
        &Request {
            locked: true,
            ..ask.clone()
        },
        &[&out],
        &builder,
    )
    .unwrap_err();
    assert_eq!(error.diagnostics[0].code, "stoke::build::lock");
    let first = built(&ask, &[&out], &builder)?;
    assert_eq!(first.wheels[0].file, "stoke_tiny-1.0-py3-none-any.whl");
    assert_eq!(first.layers.len(), 2);
    // A newer version changes nothing until it is asked for.
    wheel(&job.join("wheels/stoke_tiny-2.0-py3-none-any.whl"), "2.0");
    let exclude = [(
        "stoke-image.yaml",
        "base: x\nrequirements: requirements.txt\nfiles: [{from: main.py}]\n",
    )];
    crate::building::job(directory.path(), &exclude);
    let source = stoke_diagnostics::Source::new("stoke-image.yaml", exclude[0].1);
    let with_spec = Request {
        spec: Some(spec::parse(&source).unwrap()),
        ..ask.clone()
    };
    let second = built(
        &Request {
            locked: true,
            ..with_spec.clone()
        },
        &[&out],
        &builder,
    )?;
    assert_eq!(second.wheels, first.wheels);
    assert_eq!(second.layers[0].digest, first.layers[0].digest);
    let third = built(
        &Request {
            update: true,
            ..with_spec.clone()
        },
        &[&out],
        &builder,
    )?;
    assert_eq!(third.wheels[0].file, "stoke_tiny-2.0-py3-none-any.whl");
    // Other requirements are resolved again; a lock for others is refused when nothing may be.
    std::fs::write(
        job.join("requirements.txt"),
        "--no-index\n--find-links wheels\nstoke-tiny<2\n",
    )?;
    let error = built(
        &Request {
            locked: true,
            ..with_spec.clone()
        },
        &[&out],
        &builder,
    )
    .unwrap_err();
    assert_eq!(error.diagnostics[0].code, "stoke::build::lock");
    assert_eq!(built(&with_spec, &[&out], &builder)?.wheels, first.wheels);
    std::fs::write(
        job.join("requirements.txt"),
        "--no-index\n--find-links wheels\nstoke-none\n",
    )?;
    let error = built(&with_spec, &[&out], &builder).unwrap_err();
    assert_eq!(error.diagnostics[0].code, "stoke::build::dependencies");
    assert!(
        error.to_string().contains("for Python 3.11 on linux/amd64") && error.to_string().contains("stoke-none"),
        "{error}"
    );
    Ok(())
}

fn archives() -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let job = job(directory.path(), &CODE);
    let base = base(directory.path(), &["linux/amd64"]);
    let builder = builder(directory.path());
    let path = directory.path().join("out.tar");
    let archive = format!("archive:{}:acme/job:v1", path.display());
    let layout = format!("oci:{}:v1", directory.path().join("out").display());
    let location = Location::Archive(path.clone(), Some("acme/job:v1".into()));
    let targets = [Target::At(location), Target::At(layout.parse()?)];
    let first = block(build(&request(&job, &base), &targets, &builder, &Quiet))?;
    let bytes = std::fs::read(&path)?;
    block(build(&request(&job, &base), &targets[..1], &builder, &Quiet))?;
    assert!(bytes == std::fs::read(&path)?, "{archive} has other bytes");
    let repository = Repository::open(&format!("archive:{}", path.display()).parse()?, &Settings::default())?;
    let fetched = block(repository.fetch(None))?;
    assert_eq!(fetched.descriptor.digest, first.digest);
    assert_eq!(block(repository.tags())?, ["acme/job:v1"]);
    // An image of `docker save` of old: layers are not compressed, and named by folders.
    let saved = directory.path().join("saved.tar");
    let layout = Layout::open(&directory.path().join("out"))?;
    let manifest: Manifest = serde_json::from_slice(&fetched.bytes)?;
    let mut tar = tar::Builder::new(File::create(&saved)?);
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, bytes).unwrap();
    };
    let mut names = Vec::new();
    for (at, layer) in manifest.layers.iter().enumerate() {
        let mut plain = Vec::new();
        std::io::Read::read_to_end(
            &mut flate2::read::GzDecoder::new(layout.blob(&layer.digest)?),
            &mut plain,
        )?;
        add(&format!("{at}/layer.tar"), &plain);
        names.push(format!("{at}/layer.tar"));
    }
    let mut config = Vec::new();
    std::io::Read::read_to_end(&mut layout.blob(&manifest.config.digest)?, &mut config)?;
    add("config.json", &config);
    add(
        "manifest.json",
        &serde_json::to_vec(
            &serde_json::json!([{ "Config": "config.json", "RepoTags": ["acme/job:v1"], "Layers": names }]),
        )?,
    );
    tar.finish()?;
    let repository = Repository::open(
        &format!("archive:{}:v1", saved.display()).parse()?,
        &Settings::default(),
    )?;
    let (_, image) = block(repository.image(Some("v1"), &Platform::linux("amd64")))?;
    assert_eq!(image.config.digest, manifest.config.digest);
    for layer in &image.layers {
        let blob = block(repository.blob(layer, &builder.cache, &|_| {}))?;
        std::io::copy(&mut blob.reader(), &mut std::io::sink())?;
    }
    // Cut off, compressed, not an archive.
    let whole = std::fs::read(&saved)?;
    for (bytes, kind) in [
        (whole[..whole.len() / 2].to_vec(), Kind::Size),
        (vec![0x1f, 0x8b, 8, 0], Kind::Unsupported),
        (b"x".repeat(2000), Kind::Malformed),
        (vec![], Kind::Malformed),
    ] {
        std::fs::write(&saved, bytes)?;
        let error = Repository::open(&Location::Archive(saved.clone(), None), &Settings::default()).unwrap_err();
        // Where the cut is decides what is missing.
        let cut = kind == Kind::Size && error.kind() == Kind::Malformed;
        assert!(cut || error.kind() == kind, "{error}");
    }
    Ok(())
}

fn wrong() -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let job = job(directory.path(), &CODE);
    let base = base(directory.path(), &["linux/amd64"]);
    let builder = builder(directory.path());
    let out = format!("oci:{}:v1", directory.path().join("out").display());
    let good = request(&job, &base);
    let cases: BTreeMap<&str, Request> = BTreeMap::from([
        (
            "stoke::build::path",
            Request {
                directory: directory.path().join("none"),
                ..good.clone()
            },
        ),
        (
            "stoke::build::spec",
            Request {
                base: None,
                ..good.clone()
            },
        ),
        (
            "stoke::oci::not-found",
            Request {
                base: Some("oci:nowhere".into()),
                ..good.clone()
            },
        ),
        (
            "stoke::oci::reference",
            Request {
                base: Some("UPPER".into()),
                ..good.clone()
            },
        ),
        (
            "stoke::build::base",
            Request {
                base: Some("runtime:9.9.9".into()),
                ..good.clone()
            },
        ),
    ]);
    for (code, request) in cases {
        let error = built(&request, &[&out], &builder).unwrap_err();
        assert_eq!(error.diagnostics[0].code, code, "{error}");
        assert!(error.diagnostics[0].fix.is_some(), "{error}");
    }
    // A directory that is something else is not written to.
    let error = built(&good, &[&format!("oci:{}", job.display())], &builder).unwrap_err();
    assert_eq!(error.diagnostics[0].code, "stoke::oci::disk");
    // A base whose layer was altered.
    let blobs = base.join("blobs/sha256");
    for entry in std::fs::read_dir(&blobs)? {
        let path = entry?.path();
        let bytes = std::fs::read(&path)?;
        if bytes.starts_with(&[0x1f, 0x8b]) {
            std::fs::write(
                &path,
                [&bytes[..bytes.len() - 1], &[bytes[bytes.len() - 1] ^ 1]].concat(),
            )?;
        }
    }
    let error = built(&good, &[&out], &builder).unwrap_err();
    assert_eq!(error.diagnostics[0].code, "stoke::oci::digest");
    assert!(Layout::open(&directory.path().join("out"))?.tags()?.is_empty());
    Ok(())
}

/// A file system of two megabytes, where this user may make one.
struct Small(tempfile::TempDir);

impl Small {
    fn new() -> Result<Self, String> {
        let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=2m", "none"])
            .arg(directory.path())
            .output();
        match mounted {
            Ok(output) if output.status.success() => Ok(Self(directory)),
            Ok(output) => Err(format!(
                "no file system can be mounted: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            )),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

fn small_disk() -> Result<(), String> {
    Small::new().map(drop)
}

fn full_disk() -> Result<(), Failed> {
    let small = Small::new()?;
    let directory = tempfile::tempdir()?;
    let job = job(directory.path(), &CODE);
    // What does not get smaller.
    let mut noise = vec![0u8; 4 << 20];
    let mut state = 1u64;
    for byte in &mut noise {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        *byte = (state >> 33) as u8;
    }
    std::fs::write(job.join("data/noise.bin"), noise)?;
    let base = base(directory.path(), &["linux/amd64"]);
    // A cache on a full disk.
    let tight = Builder {
        cache: Cache::open(&small.0.path().join("cache"), 1 << 30)?,
        ..builder(directory.path())
    };
    let out = format!("oci:{}:v1", directory.path().join("out").display());
    let error = built(&request(&job, &base), &[&out], &tight).unwrap_err();
    assert_eq!(error.diagnostics[0].code, "stoke::oci::disk-full", "{error}");
    assert!(tight.cache.list()?.iter().all(|blob| blob.size < 1 << 20));
    // A layout and an archive on one.
    let builder = builder(directory.path());
    for target in [
        format!("oci:{}:v1", small.0.path().join("out").display()),
        format!("archive:{}:v1", small.0.path().join("out.tar").display()),
    ] {
        let error = built(&request(&job, &base), &[&target], &builder).unwrap_err();
        assert_eq!(error.diagnostics[0].code, "stoke::oci::disk-full", "{target}: {error}");
    }
    assert!(Layout::open(&small.0.path().join("out"))?.tags()?.is_empty());
    assert!(!small.0.path().join("out.tar").exists());
    Ok(())
}
