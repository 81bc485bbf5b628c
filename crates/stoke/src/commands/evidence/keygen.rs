//! `stoke keygen`: a pair of keys, as cosign reads them.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;
use stoke_release::evidence::{self, PrivateKey};

use super::{evidence_failure, password};
use crate::cli::Context;
use crate::failure::{Failure, Outcome};
use crate::terminal::Format;

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Algorithm {
    /// What every tool of sigstore verifies
    EcdsaP256,
    Ed25519,
}

/// Arguments of `stoke keygen`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Writes NAME.key, which stays secret, and NAME.pub; files that are there are not touched
    #[arg(default_value = "stoke", value_name = "NAME")]
    name: PathBuf,
    #[arg(long, value_enum, default_value = "ecdsa-p256", value_name = "ALGORITHM")]
    algorithm: Algorithm,
    /// Write the private key without encryption, for machines that keep it in a store of secrets
    #[arg(long)]
    unencrypted: bool,
}

pub fn run(arguments: &Arguments, context: &mut Context) -> Outcome<u8> {
    let password = password();
    if password.is_none() && !arguments.unencrypted {
        return Err(
            Failure::input("stoke::keygen::password", "no password for the private key was given")
                .fix("set COSIGN_PASSWORD, or write the key as it is with --unencrypted"),
        );
    }
    let algorithm = match arguments.algorithm {
        Algorithm::EcdsaP256 => evidence::Algorithm::EcdsaP256,
        Algorithm::Ed25519 => evidence::Algorithm::Ed25519,
    };
    let key = PrivateKey::generate(algorithm).map_err(evidence_failure)?;
    let sealed = password.filter(|_| !arguments.unencrypted);
    let private = key.to_pem(sealed.as_deref()).map_err(evidence_failure)?;
    let file = |end: &str| {
        let mut name = arguments.name.clone().into_os_string();
        name.push(end);
        PathBuf::from(name)
    };
    let (secret, public) = (file(".key"), file(".pub"));
    write(&secret, &private, 0o600)?;
    if let Err(failure) = write(&public, &key.public().to_pem(), 0o644) {
        // Half a pair is of no use.
        let _ = std::fs::remove_file(&secret);
        return Err(failure);
    }
    match context.terminal.format() {
        Format::Json => {
            let made = json!({"privateKey": secret, "publicKey": public, "id": key.public().id()});
            context.terminal.json(&made);
        }
        Format::Text => {
            context.terminal.out(format!("{}  keep it secret", secret.display()));
            context
                .terminal
                .out(format!("{}  {}", public.display(), key.public().id()));
        }
    }
    Ok(0)
}

fn write(path: &Path, text: &str, mode: u32) -> Outcome<()> {
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(mode).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| {
            Failure::input("stoke::keygen::file", format!("{}: {error}", path.display()))
                .fix("name another pair; keys that are there are never written over")
        })
}
