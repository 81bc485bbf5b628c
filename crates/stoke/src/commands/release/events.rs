//! `stoke release events`: CDEvents of the ledger, as JSON lines, or sent over HTTP.

use std::collections::BTreeMap;

use http::Request;
use serde_json::Value;
use stoke_release::events;
use stoke_release::ledger::History;
use stoke_release::oci::Digest;
use stoke_storage::HttpClient;

use super::Kept;
use crate::cli::Context;
use crate::failure::{Failure, Outcome};

/// Arguments of `stoke release events`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Only what the ledger has after this entry
    #[arg(long, value_name = "SEQUENCE", default_value_t = 0)]
    after: u64,
    /// Send each as a CloudEvent to this URL instead of printing it
    #[arg(long, value_name = "URL")]
    send: Option<String>,
    /// Send in binary mode: attributes as headers
    #[arg(long, requires = "send")]
    binary: bool,
    #[command(flatten)]
    kept: Kept,
}

/// Runs the command.
pub async fn run(arguments: &Arguments, context: &mut Context) -> Outcome<u8> {
    let store = arguments.kept.open(context)?;
    let entries = store.entries().await?;
    let history = History::of(&entries);
    let names: BTreeMap<Digest, String> = history.releases.into_iter().collect();
    let name = |digest: &Digest| names.get(digest).cloned().unwrap_or_else(|| "release".to_owned());
    let all = events::all(&entries, store.ledger.url(), arguments.after, &name);
    let Some(url) = &arguments.send else {
        for event in &all {
            context.terminal.out(events::cloud_event(event));
        }
        return Ok(0);
    };
    let client = stoke_storage::https().map_err(|error| {
        Failure::environment("stoke::release::events", error).fix("check the certificates of this machine")
    })?;
    for event in &all {
        send(&client, url, &events::cloud_event(event), arguments.binary).await?;
    }
    context.terminal.out(format!(
        "{} sent to {url}",
        stoke_model::units::people::counted(all.len(), "event")
    ));
    Ok(0)
}

async fn send(client: &HttpClient, url: &str, event: &Value, binary: bool) -> Outcome<()> {
    let failed = |why: String| {
        Failure::environment("stoke::release::events", format!("{url}: {why}"))
            .fix("check the address and the receiver, and give the command again: an event that arrives twice has the same id")
    };
    let mut request = Request::post(url);
    let body = match binary {
        false => {
            request = request.header("content-type", "application/cloudevents+json");
            event.to_string()
        }
        true => {
            request = request.header("content-type", "application/json");
            let attributes = event.as_object().into_iter().flatten();
            for (name, value) in attributes.filter(|(name, _)| *name != "data" && *name != "datacontenttype") {
                request = request.header(format!("ce-{name}"), value.as_str().unwrap_or_default());
            }
            event["data"].to_string()
        }
    };
    let request = request.body(body.into()).map_err(|error| failed(error.to_string()))?;
    let answer = client
        .execute(request)
        .await
        .map_err(|error| failed(error.to_string()))?;
    match answer.status().is_success() {
        true => Ok(()),
        false => Err(failed(format!("it answers {}", answer.status()))),
    }
}
