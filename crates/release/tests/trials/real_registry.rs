//! Beside programs that others wrote: Debian's `docker-registry`, and `skopeo` as a reader.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use stoke_release::oci::copy::{Quiet, copy};
use stoke_release::oci::registry::{Content, Credentials, Pushed};
use stoke_release::oci::{Cache, Descriptor, Digest, Kind, Manifest, Platforms, Registry, Repository, Settings, media};
use stoke_testkit::{Tier, trial};

use crate::block;
use crate::building::{CODE, base, builder, built, job, request};

pub fn trials() -> Vec<Trial> {
    let registry = || stoke_testkit::program("docker-registry", "apt-get install docker-registry");
    let both = || registry().and_then(|()| stoke_testkit::program("skopeo", "apt-get install skopeo"));
    vec![
        trial(
            "docker-registry: an image is pushed, and skopeo reads it",
            Tier::Default,
            both,
            pushed,
        ),
        trial(
            "docker-registry: blobs are mounted, found and sent in pieces",
            Tier::Default,
            registry,
            blobs,
        ),
        trial("docker-registry: referrers by tag", Tier::Default, registry, referrers),
        trial(
            "docker-registry: a password is asked for",
            Tier::Default,
            registry,
            password,
        ),
        trial(
            "docker-registry: what skopeo pushed is read",
            Tier::Default,
            both,
            foreign,
        ),
    ]
}

/// A registry with its data in a directory of its own.
pub struct Running {
    child: Child,
    pub address: String,
    directory: tempfile::TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    pub fn start(auth: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let address = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .to_string();
        let config = directory.path().join("config.yml");
        let data = directory.path().join("data");
        let passwords = directory.path().join("htpasswd");
        // me:very-secret
        std::fs::write(
            &passwords,
            "me:$2b$12$Fnx9omjLMTUOkOjHbrErheUbuwUugtSBxgNSxy3x7qcDehLAtVBe2\n",
        )
        .unwrap();
        let auth = auth.replace("HTPASSWD", &passwords.display().to_string());
        let text = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {address}\n{auth}",
            data.display()
        );
        std::fs::write(&config, text).unwrap();
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while std::net::TcpStream::connect(&address).is_err() {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "docker-registry does not start"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Self {
            child,
            address,
            directory,
        }
    }

    /// The file that it keeps a blob in.
    pub fn blob(&self, digest: &Digest) -> PathBuf {
        let below = format!(
            "data/docker/registry/v2/blobs/sha256/{}/{}/data",
            &digest.hex()[..2],
            digest.hex()
        );
        self.directory.path().join(below)
    }
}

fn skopeo(arguments: &[&str]) -> String {
    let output = Command::new("skopeo")
        .args(["--insecure-policy"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "skopeo {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn pushed() -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let registry = Running::start("");
    let job = job(directory.path(), &CODE);
    let base = base(directory.path(), &["linux/amd64"]);
    let builder = builder(directory.path());
    let target = format!("{}/acme/job:v1", registry.address);
    let archive = directory.path().join("job.tar");
    let first = built(
        &request(&job, &base),
        &[&target, &format!("archive:{}:v1", archive.display())],
        &builder,
    )?;
    let remote = format!("docker://{target}");
    let seen: serde_json::Value = serde_json::from_str(&skopeo(&["inspect", "--tls-verify=false", &remote]))?;
    assert_eq!(seen["Digest"], first.digest.as_str());
    assert_eq!(seen["Labels"]["org.opencontainers.image.base.name"], "oci");
    // It checks every digest as it copies, into its own layout and into Docker's form.
    let copied = directory.path().join("copied");
    skopeo(&[
        "copy",
        "--src-tls-verify=false",
        &remote,
        &format!("oci:{}:v1", copied.display()),
    ]);
    let layout = stoke_release::oci::Layout::open(&copied)?;
    assert_eq!(layout.find(Some("v1"))?.digest, first.digest);
    let seen: serde_json::Value =
        serde_json::from_str(&skopeo(&["inspect", &format!("oci-archive:{}", archive.display())]))?;
    assert_eq!(seen["Digest"], first.digest.as_str());
    // What changes in one line is little to send.
    std::fs::write(job.join("main.py"), "print(2)\n")?;
    let second = built(&request(&job, &base), &[&target], &builder)?;
    let written = &second.written[0];
    assert!(
        written.bytes < 100_000 && written.sent == 2 && written.found == 2,
        "{written:?}"
    );
    // Once more is nothing.
    let third = built(&request(&job, &base), &[&target], &builder)?;
    assert_eq!((third.digest, third.written[0].sent), (second.digest, 0));
    // A base from the registry is mounted, and built upon without asking for its layers.
    let upon = stoke_release::image::Request {
        base: Some(target.clone()),
        ..request(&job, &base)
    };
    let over = built(&upon, &[&format!("{}/acme/other:v1", registry.address)], &builder)?;
    assert_eq!(over.written[0].mounted, 3, "{:?}", over.written);
    Ok(())
}

fn noise(size: usize) -> Vec<u8> {
    let mut state = 7u64;
    let mut bytes = vec![0; size];
    for block in bytes.chunks_mut(8) {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        block.copy_from_slice(&state.to_le_bytes()[..block.len()]);
    }
    bytes
}

fn blobs() -> Result<(), Failed> {
    let running = Running::start("");
    let directory = tempfile::tempdir()?;
    let cache = Cache::open(directory.path(), 1 << 30)?;
    let registry = Registry::new(&running.address, &Settings::default())?;
    // Larger than what goes up at once.
    let bytes = noise((64 << 20) + 12_345);
    let file = directory.path().join("large");
    std::fs::write(&file, &bytes)?;
    let large = Descriptor::of(media::LAYER_TAR, &bytes);
    block(async {
        let content = async || Ok(Content::of(std::fs::File::open(&file).unwrap()).unwrap());
        assert_eq!(
            registry.put_blob("a/b", &large, None, content).await.unwrap(),
            Pushed::Sent
        );
        assert_eq!(
            registry.put_blob("a/b", &large, None, content).await.unwrap(),
            Pushed::Found
        );
        assert_eq!(
            registry.put_blob("c/d", &large, Some("a/b"), content).await.unwrap(),
            Pushed::Mounted
        );
        assert!(!registry.has_blob("e/f", &large.digest).await.unwrap());
        let mut back = Vec::new();
        registry
            .blob("c/d", &large, &cache, &|_| {})
            .await
            .unwrap()
            .read_to_end(&mut back)
            .unwrap();
        assert!(back == bytes);
        // What was fetched in part goes on in the next call.
        cache.prune(0, std::time::SystemTime::now()).unwrap();
        let mut ingest = cache.ingest(&large, false).unwrap();
        ingest.write(&bytes[..10_000_000], "here").unwrap();
        drop(ingest);
        let moved = std::sync::atomic::AtomicU64::new(0);
        let count = |more| {
            moved.fetch_add(more, std::sync::atomic::Ordering::Relaxed);
        };
        registry.blob("c/d", &large, &cache, &count).await.unwrap();
        assert_eq!(moved.into_inner(), large.size - 10_000_000);
        // The registry refuses what is not what it is said to be.
        let other = Descriptor {
            digest: stoke_release::oci::Digest::of(b"other"),
            size: 3,
            ..large.clone()
        };
        let lie = registry
            .put_blob("a/b", &other, None, async || Ok(Content::Bytes("abc".into())))
            .await;
        assert_eq!(lie.unwrap_err().kind(), Kind::Malformed);
        let gone = registry.manifest("a/b", "none").await.unwrap_err();
        assert!(
            gone.kind() == Kind::NotFound && gone.message().contains("a/b:none"),
            "{gone}"
        );
    });
    Ok(())
}

fn referrers() -> Result<(), Failed> {
    let running = Running::start("");
    let directory = tempfile::tempdir()?;
    let job = job(directory.path(), &CODE);
    let base = base(directory.path(), &["linux/amd64"]);
    let builder = builder(directory.path());
    let layout = format!("oci:{}:v1", directory.path().join("out").display());
    let remote = format!("{}/acme/job:v1", running.address);
    let built = built(&request(&job, &base), &[&remote, &layout], &builder)?;
    for place in [remote, layout] {
        let repository = Repository::open(&place.parse()?, &Settings::default())?;
        block(async {
            assert!(repository.referrers(&built.digest).await.unwrap().is_empty());
            let subject = repository.fetch(Some("v1")).await.unwrap().descriptor;
            for (at, kind) in [
                "application/vnd.cyclonedx+json",
                "application/vnd.dev.sigstore.bundle.v0.3+json",
            ]
            .into_iter()
            .enumerate()
            {
                let content = format!("{{\"number\":{at}}}");
                let layers = vec![Descriptor::of(kind, content.as_bytes())];
                let artifact = Manifest::artifact(kind, layers, Some(subject.clone()));
                let one = repository.attach(&artifact, &[content.as_bytes()]).await.unwrap();
                // Again is the same.
                assert_eq!(repository.attach(&artifact, &[content.as_bytes()]).await.unwrap(), one);
                let found = repository.referrers(&built.digest).await.unwrap();
                assert_eq!(found.len(), at + 1, "{place}");
                assert_eq!(found[at].artifact_type.as_deref(), Some(kind));
                assert_eq!(found[at].digest, one.digest);
                let fetched = repository.fetch_entry(&found[at]).await.unwrap();
                let manifest: Manifest = serde_json::from_slice(&fetched.bytes).unwrap();
                let bytes = repository
                    .small(&manifest.layers[0], 1000, &builder.cache)
                    .await
                    .unwrap();
                assert_eq!(bytes, content.as_bytes());
            }
            let other = repository.attach(&Manifest::artifact("a/b", vec![], None), &[]).await;
            assert_eq!(other.unwrap_err().kind(), Kind::Malformed);
        });
    }
    Ok(())
}

fn password() -> Result<(), Failed> {
    let running = Running::start("auth:\n  htpasswd:\n    realm: test\n    path: HTPASSWD\n");
    let directory = tempfile::tempdir()?;
    let base = base(directory.path(), &["linux/amd64"]);
    let source = Repository::open(&format!("oci:{}", base.display()).parse()?, &Settings::default())?;
    let cache = Cache::open(&directory.path().join("cache"), 1 << 30)?;
    let auth = "bWU6dmVyeS1zZWNyZXQ=";
    for (text, wanted) in [
        ("{}".to_owned(), Some(Kind::Unauthorized)),
        (
            format!("{{\"auths\":{{\"{}\":{{\"auth\":\"{auth}\"}}}}}}", running.address),
            None,
        ),
        (
            format!(
                "{{\"auths\":{{\"{}\":{{\"auth\":\"bWU6b3RoZXI=\"}}}}}}",
                running.address
            ),
            Some(Kind::Unauthorized),
        ),
    ] {
        let file = directory.path().join("config.json");
        std::fs::write(&file, text)?;
        let settings = Settings {
            credentials: Credentials::of(vec![file]),
            ..Settings::default()
        };
        let target = Repository::open(&format!("{}/x:v1", running.address).parse()?, &settings)?;
        let result = block(copy(
            &source,
            None,
            &target,
            Some("v1"),
            &Platforms::All,
            &cache,
            &Quiet,
        ));
        assert_eq!(
            result.as_ref().err().map(stoke_release::oci::OciError::kind),
            wanted,
            "{result:?}"
        );
        if let Err(error) = result {
            assert!(
                !error.message().contains("b3RoZXI") && !error.message().contains("other"),
                "{error}"
            );
        }
    }
    Ok(())
}

fn foreign() -> Result<(), Failed> {
    let running = Running::start("");
    let directory = tempfile::tempdir()?;
    let base = base(directory.path(), &["linux/amd64"]);
    let cache = Cache::open(&directory.path().join("cache"), 1 << 30)?;
    let copied = |form: &str, tag: &str| {
        let target = format!("docker://{}/x:{tag}", running.address);
        skopeo(&[
            "copy",
            "--dest-tls-verify=false",
            "--format",
            form,
            &format!("oci:{}", base.display()),
            &target,
        ]);
        format!("{}/x:{tag}", running.address)
    };
    for (form, kind) in [("oci", media::MANIFEST), ("v2s2", media::DOCKER_MANIFEST)] {
        let place = copied(form, form);
        let repository = Repository::open(&place.parse()?, &Settings::default())?;
        let target = directory.path().join(form);
        block(async {
            let fetched = repository.fetch(Some(form)).await.unwrap();
            assert_eq!(fetched.descriptor.media_type, kind);
            let layout = Repository::create(
                &format!("oci:{}", target.display()).parse().unwrap(),
                &Settings::default(),
            )
            .unwrap();
            let copied = copy(
                &repository,
                Some(form),
                &layout,
                Some("v1"),
                &Platforms::All,
                &cache,
                &Quiet,
            )
            .await
            .unwrap();
            assert_eq!(copied.digest, fetched.descriptor.digest);
        });
        check_job_on(&place, kind, directory.path())?;
        let mut tags = block(repository.tags())?;
        tags.sort();
        assert!(tags.contains(&form.to_owned()), "{tags:?}");
    }
    // Of `docker save`, as skopeo writes it.
    let saved = directory.path().join("saved.tar");
    skopeo(&[
        "copy",
        &format!("oci:{}", base.display()),
        &format!("docker-archive:{}:acme/x:v1", saved.display()),
    ]);
    let archive = Repository::open(&format!("archive:{}", saved.display()).parse()?, &Settings::default())?;
    let target = Repository::create(&format!("{}/saved:v1", running.address).parse()?, &Settings::default())?;
    block(copy(
        &archive,
        None,
        &target,
        Some("v1"),
        &Platforms::All,
        &cache,
        &Quiet,
    ))?;
    skopeo(&[
        "inspect",
        "--tls-verify=false",
        &format!("docker://{}/saved:v1", running.address),
    ]);
    Ok(())
}

/// A base in Docker's form becomes an OCI image of the same blobs.
fn check_job_on(place: &str, kind: &str, directory: &Path) -> Result<(), Failed> {
    let own = directory.join(format!("job-{}", kind.len()));
    let job = job(&own, &CODE);
    let builder = builder(&own);
    let request = stoke_release::image::Request {
        base: Some(place.to_owned()),
        ..request(&job, directory)
    };
    let target = format!("{}-job:v1", place.rsplit_once(':').map_or(place, |(before, _)| before));
    built(&request, &[&target], &builder)?;
    let seen: serde_json::Value = serde_json::from_str(&skopeo(&[
        "inspect",
        "--raw",
        "--tls-verify=false",
        &format!("docker://{target}"),
    ]))?;
    assert_eq!(seen["mediaType"], media::MANIFEST);
    let layers = seen["layers"].as_array().unwrap();
    assert!(
        layers.iter().all(|layer| layer["mediaType"] == media::LAYER_GZIP),
        "{layers:?}"
    );
    Ok(())
}
