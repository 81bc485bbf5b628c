//! `stoke sign`: signs an image's digest, or the bytes of a file.

use std::path::{Path, PathBuf};

use serde_json::json;
use stoke_release::evidence::{Statement, attach, attest, sign_bytes, simple, store};
use stoke_release::oci::Digest;

use super::{Place, evidence_failure, oci_failure, private_key, read};
use crate::cli::Context;
use crate::failure::{Failure, Outcome};
use crate::terminal::Format;

/// Arguments of `stoke sign`.
#[derive(clap::Args)]
pub struct Arguments {
    /// `registry/repository:tag`, `…@sha256:…`, `oci:DIR`; a tag is resolved to its digest, which is signed. With --bundle a file
    image: String,
    /// The private key: of `stoke keygen`, of cosign, or PKCS#8; COSIGN_PASSWORD opens it
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Sign in cosign's older form, at the tag `sha256-….sig`, besides
    #[arg(long)]
    legacy: bool,
    /// Sign a file instead, and write its bundle here
    #[arg(long, value_name = "FILE", conflicts_with = "legacy")]
    bundle: Option<PathBuf>,
}

pub async fn run(arguments: Arguments, context: &mut Context) -> Outcome<u8> {
    let key = private_key(&arguments.key)?;
    if let Some(to) = &arguments.bundle {
        let bytes = read(Path::new(&arguments.image))?;
        let bundle = sign_bytes(&bytes, &key)
            .and_then(|bundle| bundle.to_json())
            .map_err(evidence_failure)?;
        std::fs::write(to, bundle + "\n").map_err(|error| {
            Failure::input("stoke::evidence::file", format!("{}: {error}", to.display()))
                .fix("name a file that can be written with --bundle")
        })?;
        match context.terminal.format() {
            Format::Json => context.terminal.json(&json!({
                "file": arguments.image, "digest": Digest::of(&bytes), "key": key.public().id(), "bundle": to,
            })),
            Format::Text => {
                context.terminal.out(to.display());
                context.terminal.note(format!("signed by key {}", key.public().id()));
            }
        }
        return Ok(0);
    }
    let place = Place::open(&arguments.image, true, context)?;
    let image = place
        .repository
        .fetch(place.name.as_deref())
        .await
        .map_err(oci_failure)?;
    let digest = image.descriptor.digest.clone();
    let bundle = attest(&Statement::signature(&digest), &key).map_err(evidence_failure)?;
    let artifact = attach::referrer(&bundle, image.descriptor, None).map_err(evidence_failure)?;
    let attached = store::put(&place.repository, &artifact).await.map_err(oci_failure)?;
    if arguments.legacy {
        let one = simple::sign(&digest, &place.bare, &key).map_err(evidence_failure)?;
        store::put_simple(&place.repository, &digest, &one)
            .await
            .map_err(oci_failure)?;
    }
    let name = format!("{}@{digest}", place.bare);
    match context.terminal.format() {
        Format::Json => context.terminal.json(&json!({
            "image": name,
            "key": key.public().id(),
            "artifact": attached.digest,
        })),
        Format::Text => {
            context.terminal.out(name.to_string());
            context
                .terminal
                .note(format!("signed by key {}, in {}", key.public().id(), attached.digest));
        }
    }
    Ok(0)
}
