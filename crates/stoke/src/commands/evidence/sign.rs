//! `stoke sign`: signs an image's digest.

use std::path::PathBuf;

use serde_json::json;
use stoke_release::evidence::{Statement, attach, attest, simple, store};

use super::{Place, evidence_failure, oci_failure, private_key};
use crate::cli::Context;
use crate::failure::Outcome;
use crate::terminal::Format;

/// Arguments of `stoke sign`.
#[derive(clap::Args)]
pub struct Arguments {
    /// `registry/repository:tag`, `…@sha256:…`, `oci:DIR`; a tag is resolved to its digest, which is signed
    image: String,
    /// The private key: of `stoke keygen`, of cosign, or PKCS#8; COSIGN_PASSWORD opens it
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Sign in cosign's older form, at the tag `sha256-….sig`, besides
    #[arg(long)]
    legacy: bool,
}

pub async fn run(arguments: Arguments, context: &mut Context) -> Outcome<u8> {
    let key = private_key(&arguments.key)?;
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
