//! `stoke keygen`, `sign`, `attest`, `verify`: who made an image, and what was shown of it.

mod attest;
mod keygen;
mod sign;
mod verify;

use std::path::Path;

use stoke_release::evidence::{EvidenceError, PrivateKey};
use stoke_release::oci::{Cache, Location, OciError, Repository, Settings};

use crate::cli::Context;
use crate::failure::{Failure, Outcome};

/// Blobs that are kept at most, in bytes.
const CACHE: u64 = 20 << 30;
/// Largest file of a key, a policy or a predicate that is read, in bytes.
const MOST_BYTES: u64 = 64 << 20;

/// What can be asked for.
pub enum Command {
    Keygen(keygen::Arguments),
    Sign(sign::Arguments),
    Attest(attest::Arguments),
    Verify(verify::Arguments),
}

pub use attest::Arguments as AttestArguments;
pub use keygen::Arguments as KeygenArguments;
pub use sign::Arguments as SignArguments;
pub use verify::Arguments as VerifyArguments;

/// Runs the command.
pub async fn run(command: Command, context: &mut Context) -> Outcome<u8> {
    match command {
        Command::Keygen(arguments) => keygen::run(&arguments, context),
        Command::Sign(arguments) => sign::run(arguments, context).await,
        Command::Attest(arguments) => attest::run(arguments, context).await,
        Command::Verify(arguments) => verify::run(arguments, context).await,
    }
}

/// An image's place, open.
pub struct Place {
    pub repository: Repository,
    pub cache: Cache,
    /// The tag or digest that is meant.
    pub name: Option<String>,
    /// The name without tag and digest.
    pub bare: String,
}

impl Place {
    /// Opens the place of an image.
    pub fn open(text: &str, write: bool, context: &Context) -> Outcome<Place> {
        let location: Location = text.parse().map_err(oci_failure)?;
        let settings = Settings::of_this_machine();
        let repository = match write {
            true => Repository::create(&location, &settings),
            false => Repository::open(&location, &settings),
        };
        let cache = Cache::open(&context.home.root().join("blobs"), CACHE).map_err(oci_failure)?;
        let repository = repository.map_err(oci_failure)?;
        Ok(Place {
            bare: repository.place(),
            repository,
            cache,
            name: location.name(),
        })
    }
}

/// A failure with images.
pub fn oci_failure(error: OciError) -> Failure {
    Failure {
        exit: if error.is_input() { 2 } else { 3 },
        diagnostic: Box::new(error.to_diagnostic()),
    }
}

/// A failure with evidence: 1 for what was refused, 2 for keys and files that cannot be used.
fn evidence_failure(error: EvidenceError) -> Failure {
    let input = ["evidence-key", "evidence-password", "evidence-trust-root"].contains(&error.code);
    Failure {
        exit: if input { 2 } else { 1 },
        diagnostic: Box::new(error.into()),
    }
}

/// A file that is named on the command line.
fn read(path: &Path) -> Outcome<Vec<u8>> {
    let failed = |why: String| {
        Failure::input("stoke::evidence::file", format!("{}: {why}", path.display()))
            .fix("name a file that can be read")
    };
    let size = std::fs::metadata(path)
        .map_err(|error| failed(error.to_string()))?
        .len();
    if size > MOST_BYTES {
        return Err(failed(format!("it has {size} bytes, more than {MOST_BYTES}")));
    }
    std::fs::read(path).map_err(|error| failed(error.to_string()))
}

/// The password of private keys, where one is set; an empty one is one.
fn password() -> Option<Vec<u8>> {
    use std::os::unix::ffi::OsStringExt;
    std::env::var_os("COSIGN_PASSWORD").map(OsStringExt::into_vec)
}

fn private_key(path: &Path) -> Outcome<PrivateKey> {
    let text = String::from_utf8_lossy(&read(path)?).into_owned();
    PrivateKey::from_pem(&text, password().as_deref()).map_err(evidence_failure)
}
