//! Cosign verifies what we sign, and we verify what it signs: files, images in a registry, identities; keys are read by both.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};
use stoke_release::evidence::policy::{Policy, Raw};
use stoke_release::evidence::{
    Algorithm, Bundle, Identity, Pattern, PrivateKey, PublicKey, Signer, Statement, Subject, TrustRoot, attach, attest,
    check, sign_bytes, simple, statement, store,
};
use stoke_release::oci::{Cache, Descriptor, Digest, Fetched, Location, Manifest, Repository, Settings, media};
use stoke_testkit::{Tier, program, target_directory, trial};

use crate::world::{Ask, World};

const VERSION: &str = "v3.1.3";
const PASSWORD: &str = "a word";

/// Cosign on the PATH, or made once by Go, which takes minutes.
fn cosign() -> Result<PathBuf, String> {
    if program("cosign", "").is_ok() {
        return Ok("cosign".into());
    }
    let directory = target_directory().join("tmp/cosign");
    let made = directory.join("cosign");
    if made.is_file() {
        return Ok(made);
    }
    program("go", "go.dev/dl; it makes cosign")?;
    let mut install = Command::new("go");
    install.args([
        "install",
        &format!("github.com/sigstore/cosign/v3/cmd/cosign@{VERSION}"),
    ]);
    let output = install
        .env("GOBIN", &directory)
        .output()
        .map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(made),
        false => Err(format!(
            "go install cosign: {}",
            String::from_utf8_lossy(&output.stderr)
                .lines()
                .last()
                .unwrap_or_default()
        )),
    }
}

pub fn trials() -> Vec<Trial> {
    let needs = || cosign().map(drop);
    let registry = || needs().and_then(|()| program("docker-registry", "apt-get install docker-registry"));
    vec![
        trial("cosign: keys are read by both", Tier::Full, needs, keys),
        trial("cosign: attestations of files, both ways", Tier::Full, needs, files),
        trial(
            "cosign: bundles of files, both ways, and what both refuse",
            Tier::Full,
            needs,
            bundles,
        ),
        trial(
            "cosign: an identity's bundle and trust root",
            Tier::Full,
            needs,
            identities,
        ),
        trial(
            "cosign: images in a registry, both ways and both forms",
            Tier::Full,
            registry,
            images,
        ),
    ]
}

struct Work(tempfile::TempDir);

impl Work {
    fn new() -> Result<Work, Failed> {
        Ok(Work(tempfile::tempdir()?))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> Result<PathBuf, Failed> {
        std::fs::write(self.path(name), bytes)?;
        Ok(self.path(name))
    }

    fn run(&self, arguments: &[&str]) -> Result<Output, Failed> {
        let mut command = Command::new(cosign()?);
        command
            .args(arguments)
            .current_dir(self.0.path())
            .env("COSIGN_PASSWORD", PASSWORD)
            .env("COSIGN_YES", "true");
        Ok(command.output()?)
    }

    fn cosign(&self, arguments: &[&str]) -> Result<String, Failed> {
        let output = self.run(arguments)?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(format!("cosign {arguments:?}: {}", String::from_utf8_lossy(&output.stderr)).into()),
        }
    }

    fn refuses(&self, arguments: &[&str]) -> Result<(), Failed> {
        match self.run(arguments)?.status.success() {
            true => Err(format!("cosign {arguments:?} should have been refused").into()),
            false => Ok(()),
        }
    }

    /// Cosign's own pair, read by us.
    fn pair(&self) -> Result<PrivateKey, Failed> {
        self.cosign(&["generate-key-pair"])?;
        let text = std::fs::read_to_string(self.path("cosign.key"))?;
        let key = PrivateKey::from_pem(&text, Some(PASSWORD.as_bytes()))?;
        let public = PublicKey::from_pem(&std::fs::read_to_string(self.path("cosign.pub"))?)?;
        if *key.public() != public {
            return Err("the private key of cosign has another public half".into());
        }
        Ok(key)
    }
}

const QUIET: [&str; 2] = ["--tlog-upload=false", "--use-signing-config=false"];

fn keys() -> Result<(), Failed> {
    let work = Work::new()?;
    work.pair()?;
    work.write("file", "content")?;
    for algorithm in [Algorithm::EcdsaP256, Algorithm::Ed25519] {
        let ours = PrivateKey::generate(algorithm)?;
        work.write("ours.key", ours.to_pem(Some(PASSWORD.as_bytes()))?)?;
        work.write("ours.pub", ours.public().to_pem())?;
        let public = work.cosign(&["public-key", "--key", "ours.key"])?;
        if PublicKey::from_pem(&public)? != *ours.public() {
            return Err(format!("cosign reads another key: {public}").into());
        }
        work.cosign(
            &[
                &["sign-blob", "--key", "ours.key", "--bundle", "b.json", "file"][..],
                &QUIET,
            ]
            .concat(),
        )?;
        let bundle = Bundle::read(&std::fs::read(work.path("b.json"))?)?;
        let signer = Signer::Key(ours.public().clone(), None);
        check::check_bytes(&bundle, b"content", &signer)?;
        if check::check_bytes(&bundle, b"Content", &signer).is_ok() {
            return Err("a changed file was verified".into());
        }
        // And the other way round.
        work.write("ours.json", sign_bytes(b"content", &ours)?.to_json()?)?;
        let verify = [
            "verify-blob",
            "--key",
            "ours.pub",
            "--bundle",
            "ours.json",
            "--insecure-ignore-tlog",
        ];
        work.cosign(&[&verify[..], &["file"]].concat())?;
        work.write("changed", "Content")?;
        work.refuses(&[&verify[..], &["changed"]].concat())?;
    }
    // A key that anyone can make.
    for (name, arguments) in [
        (
            "ec",
            &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"][..],
        ),
        ("ed", &["genpkey", "-algorithm", "ed25519"]),
    ] {
        let made = Command::new("openssl").args(arguments).output()?;
        PrivateKey::from_pem(&String::from_utf8_lossy(&made.stdout), None)
            .map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(())
}

fn files() -> Result<(), Failed> {
    let work = Work::new()?;
    let key = work.pair()?;
    let file = b"content";
    work.write("file", file)?;
    work.write("other", "other")?;
    work.write("predicate.json", json!({"result": "PASSED"}).to_string())?;
    let kind = statement::TEST_RESULT;
    // Cosign's by us.
    let arguments = [
        "attest-blob",
        "--key",
        "cosign.key",
        "--predicate",
        "predicate.json",
        "--type",
        kind,
        "--bundle",
        "theirs.json",
        "file",
    ];
    work.cosign(&[&arguments[..], &QUIET].concat())?;
    let theirs = Bundle::read(&std::fs::read(work.path("theirs.json"))?)?;
    let signer = Signer::Key(key.public().clone(), None);
    let found = check::check(&theirs, &Digest::of(file), &signer)?;
    if found.predicate_type != kind || found.predicate["result"] != "PASSED" {
        return Err(format!("{found:?}").into());
    }
    // Ours by cosign.
    let said = Statement::new(
        vec![Subject::new("file", &Digest::of(file))],
        kind,
        json!({"result": "PASSED"}),
    );
    work.write("ours.json", attest(&said, &key)?.to_json()?)?;
    let verify = |bundle, subject| {
        [
            "verify-blob-attestation",
            "--key",
            "cosign.pub",
            "--bundle",
            bundle,
            "--type",
            kind,
            "--insecure-ignore-tlog",
            subject,
        ]
    };
    work.cosign(&verify("ours.json", "file"))?;
    work.refuses(&verify("ours.json", "other"))?;
    let tampered = changed(
        &std::fs::read(work.path("ours.json"))?,
        "/dsseEnvelope/signatures/0/sig",
    )?;
    work.write("tampered.json", tampered)?;
    work.refuses(&verify("tampered.json", "file"))
}

/// A bundle in which the last bit of what a place has in base64 is another one.
fn changed(bundle: &[u8], place: &str) -> Result<String, Failed> {
    let mut bundle: Value = serde_json::from_slice(bundle)?;
    let found = bundle
        .pointer_mut(place)
        .ok_or_else(|| format!("{place} is not there"))?;
    let mut bytes = STANDARD.decode(found.as_str().unwrap_or_default())?;
    *bytes.last_mut().ok_or("nothing is there")? ^= 1;
    *found = STANDARD.encode(bytes).into();
    Ok(bundle.to_string())
}

/// What `stoke sign FILE --bundle` and `cosign sign-blob` write: each is verified by both, and neither takes another file, another key, or a bundle that was
/// changed.
fn bundles() -> Result<(), Failed> {
    const FILE: &[u8] = b"content";
    const DIGEST: &str = "/messageSignature/messageDigest/digest";
    let work = Work::new()?;
    work.write("file", FILE)?;
    work.write("other", "Content")?;
    let stranger = PrivateKey::generate(Algorithm::EcdsaP256)?;
    work.write("stranger.pub", stranger.public().to_pem())?;
    for algorithm in [Algorithm::EcdsaP256, Algorithm::Ed25519] {
        let key = PrivateKey::generate(algorithm)?;
        work.write("signer.key", key.to_pem(Some(PASSWORD.as_bytes()))?)?;
        work.write("signer.pub", key.public().to_pem())?;
        let sign = ["sign-blob", "--key", "signer.key", "--bundle", "theirs.json", "file"];
        work.cosign(&[&sign[..], &QUIET].concat())?;
        work.write("ours.json", sign_bytes(FILE, &key)?.to_json()? + "\n")?;
        for bundle in ["theirs.json", "ours.json"] {
            let whole = std::fs::read(work.path(bundle))?;
            // Cosign names the digest with keys that sign one, and not with Ed25519.
            let digest = changed(&whole, DIGEST);
            let names_one = digest.is_ok();
            if names_one == (bundle == "theirs.json" && algorithm == Algorithm::Ed25519) {
                return Err(format!("{bundle} of {algorithm:?}: a digest is named: {names_one}").into());
            }
            work.write("digest.json", digest.unwrap_or_default())?;
            work.write("signature.json", changed(&whole, "/messageSignature/signature")?)?;
            // The bundle, the file, the key, and the code of why we refuse it.
            for (bundle, file, public, refused) in [
                (bundle, "file", "signer.pub", None),
                (bundle, "other", "signer.pub", Some("evidence-signature")),
                (bundle, "file", "stranger.pub", Some("evidence-signature")),
                ("digest.json", "file", "signer.pub", Some("evidence-subject")),
                ("signature.json", "file", "signer.pub", Some("evidence-signature")),
            ] {
                if bundle == "digest.json" && !names_one {
                    continue;
                }
                let read = |name: &str| std::fs::read(work.path(name));
                let by = PublicKey::from_pem(&String::from_utf8_lossy(&read(public)?))?;
                let found = check::check_bytes(&Bundle::read(&read(bundle)?)?, &read(file)?, &Signer::Key(by, None));
                let code = found.as_ref().err().map(|error| error.code);
                if code != refused {
                    return Err(format!("{bundle}, {file}, {public}: {found:?}").into());
                }
                let verify = [
                    "verify-blob",
                    "--key",
                    public,
                    "--bundle",
                    bundle,
                    "--insecure-ignore-tlog",
                    file,
                ];
                // A bundle without a digest: cosign 3.1.3 refuses what it wrote itself.
                match refused.is_none() && names_one {
                    true => drop(work.cosign(&verify)?),
                    false => work.refuses(&verify)?,
                }
            }
        }
    }
    Ok(())
}

fn identities() -> Result<(), Failed> {
    let work = Work::new()?;
    let world = World::new();
    let file = b"content";
    let digest = Digest::of(file);
    work.write("file", file)?;
    work.write("root.json", world.trust_root().to_string())?;
    let said = Statement::new(vec![Subject::new("file", &digest)], statement::PROVENANCE, json!({}));
    let bundle = world.sign(&said, &Ask::default());
    work.write("bundle.json", bundle.to_string())?;
    let verify = |name| {
        [
            "verify-blob-attestation",
            "--bundle",
            "bundle.json",
            "--trusted-root",
            "root.json",
            "--certificate-identity",
            name,
            "--certificate-oidc-issuer",
            "https://accounts.example.com",
            "--type",
            statement::PROVENANCE,
            "file",
        ]
    };
    work.cosign(&verify("ada@example.com"))?;
    work.refuses(&verify("eve@example.com"))?;
    let root = TrustRoot::read(&std::fs::read(work.path("root.json"))?)?;
    let signer = Signer::Identity(Identity {
        root,
        name: Pattern::Exact("ada@example.com".to_owned()),
        issuer: Pattern::Exact("https://accounts.example.com".to_owned()),
    });
    check::check(&Bundle::read(bundle.to_string().as_bytes())?, &digest, &signer)?;
    Ok(())
}

/// Debian's registry at a port of its own, ended with the test.
struct Running(Child, String);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn registry(directory: &Path) -> Result<Running, Failed> {
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let host = format!("127.0.0.1:{port}");
    let configuration = directory.join("registry.yml");
    let text = json!({
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": directory.join("registry")}},
        "http": {"addr": host},
    });
    std::fs::write(&configuration, text.to_string())?;
    let mut serve = Command::new("docker-registry");
    let child = serve
        .arg("serve")
        .arg(&configuration)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let running = Running(child, host.clone());
    let start = Instant::now();
    while std::net::TcpStream::connect(&host).is_err() {
        if start.elapsed() > Duration::from_secs(30) {
            return Err("the registry does not listen".into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(running)
}

fn images() -> Result<(), Failed> {
    let work = Work::new()?;
    let running = registry(work.0.path())?;
    let key = work.pair()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(both_ways(&work, &running.1, &key))
}

async fn both_ways(work: &Work, host: &str, key: &PrivateKey) -> Result<(), Failed> {
    let signer = Signer::Key(key.public().clone(), None);
    let cache = Cache::open(&work.path("cache"), 1 << 30)?;
    for (name, ours, legacy) in [
        ("ours", true, false),
        ("ours-legacy", true, true),
        ("theirs", false, false),
        ("theirs-legacy", false, true),
    ] {
        let location: Location = format!("{host}/{name}:v1").parse()?;
        let repository = Repository::create(&location, &Settings::default())?;
        let image = push(&repository, name).await?;
        let digest = image.digest.clone();
        let reference = format!("{host}/{name}@{digest}");
        let mode = if legacy {
            "--new-bundle-format=false"
        } else {
            "--new-bundle-format=true"
        };
        let sign = [&["sign", "--key", "cosign.key", mode, reference.as_str()][..], &QUIET].concat();
        match (ours, legacy) {
            (true, false) => {
                let bundle = attest(&Statement::signature(&digest), key)?;
                store::put(&repository, &attach::referrer(&bundle, image.clone(), None)?).await?;
            }
            (true, true) => {
                let one = simple::sign(&digest, &format!("{host}/{name}"), key)?;
                store::put_simple(&repository, &digest, &one).await?;
            }
            (false, _) => drop(work.cosign(&sign)?),
        }
        let verify = [
            "verify",
            "--key",
            "cosign.pub",
            "--insecure-ignore-tlog",
            mode,
            reference.as_str(),
        ];
        work.cosign(&verify)?;
        let found = Policy::of(signer.clone()).examine(&digest, &store::gather(&repository, &digest, &cache).await?);
        let good = found
            .iter()
            .filter(|found| found.attestation.as_ref().is_some_and(|one| one.is_signature()))
            .count();
        if good != 1 || found.len() != 1 {
            return Err(format!("{name}: {found:?}").into());
        }
        // Another key, by both.
        let stranger = PrivateKey::generate(Algorithm::EcdsaP256)?;
        work.write("stranger.pub", stranger.public().to_pem())?;
        work.refuses(&[
            "verify",
            "--key",
            "stranger.pub",
            "--insecure-ignore-tlog",
            mode,
            reference.as_str(),
        ])?;
        let by = Signer::Key(stranger.public().clone(), None);
        let found = Policy::of(by).examine(&digest, &store::gather(&repository, &digest, &cache).await?);
        if found.iter().any(|found| found.attestation.is_some()) || found[0].code != Some("evidence-signature") {
            return Err(format!("{name}: {found:?}").into());
        }
        // An attestation, ours by cosign and cosign's by us.
        let said = Statement::new(
            vec![Subject::new(name, &digest)],
            statement::PROVENANCE,
            json!({"buildDefinition": {}, "runDetails": {}}),
        );
        if ours && !legacy {
            store::put(&repository, &attach::referrer(&attest(&said, key)?, image, None)?).await?;
        } else {
            work.write(
                "predicate.json",
                json!({"buildDefinition": {}, "runDetails": {}}).to_string(),
            )?;
            let arguments = [
                "attest",
                "--key",
                "cosign.key",
                mode,
                "--type",
                "slsaprovenance1",
                "--predicate",
                "predicate.json",
                &reference,
            ];
            work.cosign(&[&arguments[..], &QUIET].concat())?;
        }
        if !(ours && legacy) {
            work.cosign(&[
                "verify-attestation",
                "--key",
                "cosign.pub",
                "--insecure-ignore-tlog",
                mode,
                "--type",
                "slsaprovenance1",
                &reference,
            ])?;
        }
        let pieces: Vec<Raw> = store::gather(&repository, &digest, &cache).await?;
        let found = Policy::of(signer.clone()).examine(&digest, &pieces);
        let kinds: Vec<&str> = found
            .iter()
            .filter_map(|found| Some(found.attestation.as_ref()?.predicate_type.as_str()))
            .collect();
        if !kinds.contains(&statement::PROVENANCE) || kinds.len() != 2 {
            return Err(format!("{name}: {kinds:?}: {found:?}").into());
        }
        // Fetched for one image and held against another: replayed, and refused.
        let found = Policy::of(signer.clone()).examine(&Digest::of(b"another image"), &pieces);
        if found.iter().any(|found| found.code != Some("evidence-subject")) {
            return Err(format!("{name}: {found:?}").into());
        }
    }
    Ok(())
}

/// A small image.
async fn push(repository: &Repository, name: &str) -> Result<Descriptor, Failed> {
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": {"Labels": {"name": name}},
        "rootfs": {"type": "layers", "diff_ids": []},
    });
    let config = config.to_string().into_bytes();
    let descriptor = Descriptor::of(media::CONFIG, &config);
    repository.put_bytes(&descriptor, &config).await?;
    let bytes = serde_json::to_vec(&Manifest::image(descriptor, Vec::new())).map_err(|error| error.to_string())?;
    let fetched = Fetched {
        descriptor: Descriptor::of(media::MANIFEST, &bytes),
        bytes,
    };
    repository.put_manifest(&fetched, Some("v1")).await?;
    Ok(fetched.descriptor)
}
