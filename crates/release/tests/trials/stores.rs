//! A registry as the store of releases: Debian's `docker-registry`, cut off at every point, altered behind its back; and registries that take what they do not keep.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use stoke_release::bundle::{Part, Release, ReleaseError, Releases, Role, repository_of};
use stoke_release::oci::registry::Credentials;
use stoke_release::oci::{Descriptor, Digest, Manifest, Registry, Settings, media};
use stoke_testkit::{Tier, trial};

use crate::block;
use crate::real_registry::Running;
use crate::server::{Reply, Server, ok, status};

pub fn trials() -> Vec<Trial> {
    let registry = || stoke_testkit::program("docker-registry", "apt-get install docker-registry");
    let beside = |name: &str, test: fn() -> Result<(), Failed>| {
        trial(
            &format!("store of releases: docker-registry: {name}"),
            Tier::Default,
            registry,
            test,
        )
    };
    vec![
        beside("releases are kept, once", kept),
        beside("what was altered there is refused, and put back", altered),
        beside("cut off anywhere, a release is whole or not there", cut_off),
        beside("who may not write has written nothing", no_rights),
        trial(
            "store of releases: registries that lie or fail",
            Tier::Default,
            || Ok(()),
            lies,
        ),
    ]
}

fn settings() -> Settings {
    Settings {
        tries: 2,
        wait: Duration::from_millis(5),
        idle: Duration::from_secs(5),
        ..Settings::default()
    }
}

fn open(address: &str, settings: &Settings) -> Releases {
    let location = repository_of(&format!("oci://{address}/team/releases"))
        .unwrap()
        .unwrap();
    Releases::in_registry(&location, settings).unwrap()
}

type Contents = Vec<(Digest, Vec<u8>)>;

/// Three files: two of them are the same, one is empty.
fn release(name: &str) -> (Release, Contents) {
    let mut contents = Vec::new();
    let mut parts = Vec::new();
    for (path, text) in [("a/__init__.py", ""), ("a/job.py", name), ("b/job.py", name)] {
        let digest = Digest::of(text.as_bytes());
        parts.push(Part {
            path: path.to_owned(),
            role: Role::File,
            digest: digest.clone(),
            size: text.len() as u64,
        });
        contents.push((digest, text.as_bytes().to_vec()));
    }
    let release = Release {
        format: 1,
        name: name.to_owned(),
        parts,
        images: [("lake/etl:1".to_owned(), Digest::of(b"image"))].into(),
        gates: Vec::new(),
        source: None,
    };
    (release, contents)
}

fn tag(release: &Release) -> String {
    format!("release-{}", release.digest().hex())
}

/// The release as it is read by who has nothing yet.
fn fetched(address: &str, digest: &Digest) -> Result<(Release, usize), ReleaseError> {
    let store = open(address, &settings());
    block(async {
        let release = store.get(digest).await?;
        let parts = store.parts(&release).await?;
        Ok((release, parts.len()))
    })
}

fn code<T>(result: Result<T, ReleaseError>) -> &'static str {
    result.map_or_else(|error| error.code(), |_| "none")
}

fn kept() -> Result<(), Failed> {
    let running = Running::start("");
    let store = open(&running.address, &settings());
    let (release, contents) = release("etl");
    let listed = || block(store.listed()).unwrap().unwrap();
    assert!(listed().is_empty(), "before the first push");
    assert_eq!(code(block(store.get(&release.digest()))), "release-missing");
    let digest = block(store.put(&release, &contents))?;
    let registry = Registry::new(&running.address, &settings())?;
    let manifest = || block(registry.manifest("team/releases", &tag(&release)));
    let first = manifest()?;
    assert_eq!(block(store.put(&release, &contents))?, digest);
    assert_eq!(manifest()?, first, "the same release is another manifest");
    assert_eq!(fetched(&running.address, &digest)?, (release.clone(), 3));
    // As tools for artifacts see it.
    let seen: serde_json::Value = serde_json::from_slice(&first.bytes)?;
    assert_eq!(seen["mediaType"], media::MANIFEST);
    assert_eq!(seen["artifactType"], "application/vnd.dev.stoke.release.v1");
    assert_eq!(seen["layers"][0]["digest"], digest.as_str());
    assert_eq!(
        seen["layers"][2]["annotations"]["org.opencontainers.image.title"],
        "a/job.py"
    );
    // Evidence is named as well, since registries remove what nothing names.
    let shown = Digest::of(b"compared");
    assert_eq!(code(block(store.evidence(&shown))), "release-missing");
    block(store.put_evidence(&shown, b"compared"))?;
    block(store.put_evidence(&shown, b"compared"))?;
    assert_eq!(block(store.evidence(&shown))?, b"compared");
    let (other, others) = crate::stores::release("other");
    block(store.put(&other, &others))?;
    assert_eq!(listed(), [digest, other.digest()].into());
    // Two at once agree.
    let (third, thirds) = crate::stores::release("third");
    let again = open(&running.address, &settings());
    let (one, two) = block(async { tokio::join!(store.put(&third, &thirds), again.put(&third, &thirds)) });
    assert_eq!(one?, two?);
    assert_eq!(fetched(&running.address, &third.digest())?.1, 3);
    Ok(())
}

fn altered() -> Result<(), Failed> {
    let running = Running::start("");
    let store = open(&running.address, &settings());
    let (etl, contents) = release("etl");
    let (other, others) = release("other");
    block(store.put(&etl, &contents))?;
    block(store.put(&other, &others))?;
    // A tag that was moved to another release, and to something else.
    let registry = Registry::new(&running.address, &settings())?;
    let theirs = block(registry.manifest("team/releases", &tag(&other)))?;
    let image = serde_json::to_vec(&Manifest::artifact("a/b", vec![], None))?;
    for (descriptor, bytes) in [
        (theirs.descriptor, theirs.bytes),
        (Descriptor::of(media::MANIFEST, &image), image),
    ] {
        block(registry.put_manifest("team/releases", &tag(&etl), &descriptor, &bytes))?;
        let error = fetched(&running.address, &etl.digest()).unwrap_err();
        assert_eq!(error.code(), "release-moved", "{error}");
        block(store.put(&etl, &contents))?;
        assert_eq!(fetched(&running.address, &etl.digest())?.0, etl);
    }
    // A blob that is gone, and one of other bytes: a file, and the release itself.
    for digest in [Digest::of(b"etl"), etl.digest()] {
        let file = running.blob(&digest);
        let bytes = std::fs::read(&file)?;
        std::fs::remove_file(&file)?;
        assert_eq!(code(fetched(&running.address, &digest_of(&etl))), "release-missing");
        block(store.put(&etl, &contents))?;
        assert_eq!(fetched(&running.address, &etl.digest())?.0, etl);
        let mut wrong = bytes.clone();
        wrong[0] ^= 1;
        std::fs::write(&file, wrong)?;
        let error = fetched(&running.address, &etl.digest()).unwrap_err();
        assert_eq!(error.code(), "stoke::oci::digest", "{error}");
        std::fs::write(&file, bytes)?;
    }
    assert_eq!(fetched(&running.address, &etl.digest())?.0, etl);
    Ok(())
}

fn digest_of(release: &Release) -> Digest {
    release.digest()
}

/// Passes a number of bytes on, and nothing after them.
fn narrow(to: String, budget: i64) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let left = Arc::new(AtomicI64::new(budget));
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect(&to) else { return };
            let both = || (client.try_clone().unwrap(), server.try_clone().unwrap());
            let (mut from, mut into) = both();
            let left = Arc::clone(&left);
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = from.read(&mut buffer) {
                    let had = left.fetch_sub(count as i64, Ordering::SeqCst);
                    let count = usize::try_from(had).unwrap_or(0).min(count);
                    if into.write_all(&buffer[..count]).is_err() || had <= count as i64 {
                        break;
                    }
                }
                let _ = (from.shutdown(Shutdown::Both), into.shutdown(Shutdown::Both));
            });
            let (mut into, mut from) = both();
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut from, &mut into);
                let _ = into.shutdown(Shutdown::Both);
            });
        }
    });
    address
}

fn cut_off() -> Result<(), Failed> {
    let running = Running::start("");
    let quick = Settings { tries: 1, ..settings() };
    let (mut failed, mut whole) = (0, 0);
    let step = if Tier::Full.need().is_ok() { 97 } else { 389 };
    // Each round has a release that the registry does not know; what it costs grows with the budget until all of it goes through.
    for round in 0.. {
        let (release, contents) = release(&format!("etl {round}"));
        let address = narrow(running.address.clone(), 60 + step * round);
        let result = block(open(&address, &quick).put(&release, &contents));
        match fetched(&running.address, &release.digest()) {
            Ok((there, 3)) => assert_eq!(there, release),
            Ok(other) => panic!("round {round}: {other:?}"),
            Err(error) => {
                assert_eq!(error.code(), "release-missing", "round {round}: {error}");
                assert!(result.is_err(), "round {round}: said to be kept, and is not there");
            }
        }
        match result {
            Ok(_) => whole += 1,
            Err(error) => {
                assert_eq!(error.code(), "stoke::oci::unavailable", "round {round}: {error}");
                failed += 1;
                block(open(&running.address, &settings()).put(&release, &contents))?;
                assert_eq!(fetched(&running.address, &release.digest())?.1, 3);
            }
        }
        if whole == 3 {
            break;
        }
    }
    assert!(failed > 10, "{failed} rounds were cut off");
    Ok(())
}

fn no_rights() -> Result<(), Failed> {
    let running = Running::start("auth:\n  htpasswd:\n    realm: test\n    path: HTPASSWD\n");
    let (release, contents) = release("etl");
    let directory = tempfile::tempdir()?;
    for (auth, wanted) in [
        (None, "stoke::oci::unauthorized"),
        (Some("bWU6b3RoZXI="), "stoke::oci::unauthorized"),
        (Some("bWU6dmVyeS1zZWNyZXQ="), "none"),
    ] {
        let file = directory.path().join("config.json");
        let text = auth.map_or("{}".to_owned(), |auth| {
            format!("{{\"auths\":{{\"{}\":{{\"auth\":\"{auth}\"}}}}}}", running.address)
        });
        std::fs::write(&file, text)?;
        let settings = Settings {
            credentials: Credentials::of(vec![file]),
            ..settings()
        };
        let store = open(&running.address, &settings);
        assert_eq!(code(block(store.put(&release, &contents))), wanted);
        assert_eq!(code(block(store.get(&release.digest()))), wanted);
        assert_eq!(code(block(store.listed())), wanted);
    }
    Ok(())
}

fn lies() -> Result<(), Failed> {
    let (release, contents) = release("etl");
    let created = |headers: Vec<(&'static str, String)>| Reply::Answer("201 Created", headers, Vec::new());
    // Nothing listens.
    let gone = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
    let store = open(&gone, &settings());
    assert_eq!(code(block(store.put(&release, &contents))), "stoke::oci::unavailable");
    assert_eq!(code(block(store.get(&release.digest()))), "stoke::oci::unavailable");
    // It has all blobs, takes the manifest, and does not keep it.
    let forgets = Server::start(move |asked, _| match asked.method.as_str() {
        "PUT" => created(Vec::new()),
        _ if asked.path.contains("/manifests/") => status("404 Not Found"),
        _ => ok("{}"),
    });
    let error = block(open(&forgets.address, &settings()).put(&release, &contents)).unwrap_err();
    assert_eq!(error.code(), "release-moved", "{error}");
    // It keeps something else under the name.
    let other = Digest::of(b"other").to_string();
    let renames = Server::start(move |asked, _| match asked.method.as_str() {
        "PUT" => created(vec![("Docker-Content-Digest", other.clone())]),
        _ if asked.path.contains("/manifests/") => status("404 Not Found"),
        _ => ok("{}"),
    });
    let error = block(open(&renames.address, &settings()).put(&release, &contents)).unwrap_err();
    assert_eq!(error.code(), "stoke::oci::digest", "{error}");
    // It takes blobs, and no manifest.
    for (answer, wanted) in [
        ("403 Forbidden", "stoke::oci::denied"),
        ("500 Internal Server Error", "stoke::oci::unavailable"),
    ] {
        let refuses = Server::start(move |asked, _| match asked.method.as_str() {
            "PUT" => status(answer),
            _ if asked.path.contains("/manifests/") => status("404 Not Found"),
            _ => ok("{}"),
        });
        let error = block(open(&refuses.address, &settings()).put(&release, &contents)).unwrap_err();
        assert_eq!(error.code(), wanted, "{error}");
    }
    // Its manifest is right, and its blobs are others.
    let layer = Descriptor::new("a/b", release.digest(), release.text().len() as u64);
    let manifest = serde_json::to_vec(&Manifest::artifact("a/b", vec![layer], None))?;
    for (blob, wanted) in [
        (release.text().replace("etl", "elt"), "stoke::oci::digest"),
        (release.text() + " ", "stoke::oci::size"),
    ] {
        let manifest = manifest.clone();
        let lies = Server::start(move |asked, _| match asked.path.contains("/manifests/") {
            true => Reply::Answer(
                "200 OK",
                vec![("Content-Type", media::MANIFEST.to_owned())],
                manifest.clone(),
            ),
            false => ok(blob.clone()),
        });
        let error = block(open(&lies.address, &settings()).get(&release.digest())).unwrap_err();
        assert_eq!(error.code(), wanted, "{error}");
    }
    // Texts that name no repository.
    for text in [
        "oci://registry.example",
        "oci://registry.example/team/etl:v1",
        "oci://UPPER.example/UPPER",
    ] {
        let error = repository_of(text).unwrap().unwrap_err();
        assert_eq!(error.code(), "stoke::oci::reference", "{text}");
    }
    for text in ["releases", "s3://bucket/releases", "oci:directory"] {
        assert!(repository_of(text).is_none(), "{text}");
    }
    Ok(())
}
