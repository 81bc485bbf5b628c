//! `stoke operator manifests`, `install` and `uninstall`: the same objects printed, applied, deleted.
//!
//! - [`arguments`]: flags and values files to what is installed
//! - [`wait`]: until what was applied works, or why it does not
//! - [`uninstall`]: until nothing is left

mod arguments;
mod uninstall;
mod wait;

use kube::Client;
use kube::api::DynamicObject;
use serde_json::{Value, json};
use stoke_laptop::apply;
use stoke_model::crd;
use stoke_operator::install::{Options, objects};

use super::run::kube_config;
use crate::cli::Context;
use crate::failure::{Failure, Outcome};
use crate::terminal::Format;

pub use arguments::Arguments;
pub use uninstall::{Uninstall, uninstall};
use wait::Patience;

/// Of a namespace that an installation made, and that goes with it.
const MADE_HERE: &str = "stoke.dev/made-by-install";

/// What is installed, and how long it is waited for.
#[derive(clap::Args, Clone)]
pub struct Install {
    #[command(flatten)]
    installed: Arguments,
    /// Apply the definitions and nothing else
    #[arg(long, conflicts_with = "no_crds")]
    crds_only: bool,
    #[command(flatten)]
    patience: Patience,
}

async fn client(arguments: &Arguments) -> Outcome<Client> {
    Ok(Client::try_from(kube_config(None, arguments.context.as_ref()).await?)?)
}

/// Prints the objects: a YAML stream, or a JSON List with `--output json`.
pub fn manifests(arguments: &Arguments, context: &mut Context) -> Outcome<u8> {
    let options = arguments.options(&mut context.terminal)?;
    let mut all = if arguments.no_crds {
        Vec::new()
    } else {
        crd::definitions()
    };
    all.extend(objects(&options));
    match context.terminal.format() {
        Format::Json => {
            context
                .terminal
                .json(&json!({"apiVersion": "v1", "kind": "List", "items": all}));
        }
        Format::Text => {
            for object in all {
                let yaml = serde_saphyr::to_string(&object)
                    .map_err(|error| Failure::environment("stoke::operator::yaml", error))?;
                context.terminal.out(format!("---\n{}", yaml.trim_end()));
            }
        }
    }
    Ok(0)
}

/// Applies the objects and waits until they work; done again, it brings what is there up to date.
pub async fn install(arguments: &Install, context: &mut Context) -> Outcome<u8> {
    let options = arguments.installed.options(&mut context.terminal)?;
    if context.terminal.format() == Format::Json {
        for warning in options.values.without_effect() {
            context.terminal.json(&json!({ "warning": warning }));
        }
    }
    let client = client(&arguments.installed).await?;
    if !arguments.installed.no_crds {
        for definition in crd::definitions() {
            apply_one(&client, &definition, context).await?;
        }
        wait::definitions(&client, &arguments.patience, context).await?;
    }
    if arguments.crds_only {
        return Ok(0);
    }
    make_namespace(&client, &options, context).await?;
    for object in objects(&options).iter().filter(|object| object["kind"] != "Namespace") {
        apply_one(&client, object, context).await?;
    }
    wait::operator(&client, &options, &arguments.patience, context).await?;
    Ok(0)
}

/// Makes the operator's namespace when it is not there, and marks it as made here: it goes with the operator.
async fn make_namespace(client: &Client, options: &Options, context: &mut Context) -> Outcome<()> {
    let object = json!({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": options.namespace, "annotations": {MADE_HERE: options.prefix()}}});
    if let Some(made) = apply::create_new(client, &object).await? {
        tell(&made, "created", context);
    }
    Ok(())
}

async fn apply_one(client: &Client, object: &Value, context: &mut Context) -> Outcome<()> {
    let applied = apply::apply_whole(client, object).await?;
    tell(&applied, "applied", context);
    Ok(())
}

fn tell(object: &DynamicObject, what: &str, context: &mut Context) {
    let kind = object
        .types
        .as_ref()
        .map(|types| types.kind.clone())
        .unwrap_or_default();
    let name = object.metadata.name.clone().unwrap_or_default();
    let namespace = object.metadata.namespace.clone();
    match context.terminal.format() {
        Format::Json => context
            .terminal
            .json(&json!({"kind": kind, "namespace": namespace, "name": name, "result": what})),
        Format::Text => {
            let place = namespace
                .map(|namespace| format!(" in {namespace}"))
                .unwrap_or_default();
            context
                .terminal
                .out(format!("{} {name}{place} {what}", kind.to_lowercase()));
        }
    }
}
