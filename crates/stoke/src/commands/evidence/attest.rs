//! `stoke attest`: says something of an image, signed.

use std::path::PathBuf;

use serde_json::{Value, json};
use stoke_release::evidence::{Statement, Subject, attach, attest, statement, store, verdicts};
use stoke_release::oci::Parsed;
use stoke_release::sbom::About;

use super::{Place, evidence_failure, oci_failure, private_key, read};
use crate::cli::Context;
use crate::commands::sbom::{self, Form};
use crate::failure::{Failure, Outcome};
use crate::terminal::Format;

/// Arguments of `stoke attest`.
#[derive(clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["predicate", "sbom", "checks"])))]
pub struct Arguments {
    /// `registry/repository:tag`, `…@sha256:…`, `oci:DIR`; a tag is resolved to its digest
    image: String,
    /// The private key: of `stoke keygen`, of cosign, or PKCS#8; COSIGN_PASSWORD opens it
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// A JSON file that is the predicate
    #[arg(long, value_name = "FILE", requires = "kind")]
    predicate: Option<PathBuf>,
    /// What the predicate is: its address, or slsaprovenance1, cyclonedx, spdxjson, test-result
    #[arg(long = "type", value_name = "TYPE", conflicts_with_all = ["sbom", "checks"])]
    kind: Option<String>,
    /// A bill of materials of the image, made now
    #[arg(long, value_enum, value_name = "FORM")]
    sbom: Option<Form>,
    /// A report of `stoke check --output json`: what the gates said
    #[arg(long, value_name = "FILE")]
    checks: Option<PathBuf>,
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
    let (kind, predicate) = match (&arguments.predicate, arguments.sbom, &arguments.checks) {
        (_, Some(form), _) => {
            let Parsed::Manifest(manifest) = image.parse(&place.bare).map_err(oci_failure)? else {
                return Err(Failure::input(
                    "stoke::attest::index",
                    format!(
                        "{} is an index of images for several platforms, and each holds other packages",
                        arguments.image
                    ),
                )
                .fix("name the image of a platform by its digest"));
            };
            let inventory = sbom::of_image(&place.repository, &manifest, &place.cache, context).await?;
            let about = About {
                name: place.bare.clone(),
                digest: Some(digest.to_string()),
                timestamp: None,
            };
            if let Some(unread) = inventory.unread.first() {
                return Err(Failure::environment(
                    "sbom-unreadable",
                    format!(
                        "a file that lists packages cannot be read: {}: {}",
                        unread.place, unread.why
                    ),
                )
                .fix("repair or remove it; an incomplete bill of materials is not attested"));
            }
            let kind = match form {
                Form::Cyclonedx => statement::CYCLONEDX,
                Form::Spdx => statement::SPDX,
            };
            (kind.to_owned(), sbom::document(&inventory, &about, form))
        }
        (_, _, Some(report)) => {
            let predicate = verdicts::predicate(&read(report)?).map_err(evidence_failure)?;
            (statement::TEST_RESULT.to_owned(), predicate)
        }
        (Some(file), _, _) => {
            let kind = statement::predicate_type(arguments.kind.as_deref().unwrap_or_default());
            let predicate: Value = serde_json::from_slice(&read(file)?).map_err(|error| {
                Failure::input("stoke::evidence::file", format!("{}: {error}", file.display()))
                    .fix("name a file with JSON")
            })?;
            (kind.map_err(evidence_failure)?, predicate)
        }
        (None, None, None) => {
            return Err(Failure::input("stoke::attest::nothing", "there is nothing to attest")
                .fix("name --predicate, --sbom or --checks"));
        }
    };
    let said = Statement::new(vec![Subject::new(&*place.bare, &digest)], kind.clone(), predicate);
    let bundle = attest(&said, &key).map_err(evidence_failure)?;
    let artifact = attach::referrer(&bundle, image.descriptor, None).map_err(evidence_failure)?;
    let attached = store::put(&place.repository, &artifact).await.map_err(oci_failure)?;
    let name = format!("{}@{digest}", place.bare);
    match context.terminal.format() {
        Format::Json => context.terminal.json(&json!({
            "image": name,
            "predicateType": kind,
            "key": key.public().id(),
            "artifact": attached.digest,
        })),
        Format::Text => {
            context.terminal.out(&name);
            context
                .terminal
                .note(format!("{kind} by key {}, in {}", key.public().id(), attached.digest));
        }
    }
    Ok(0)
}
