//! `stoke release drift`: how a repository or a cluster differs from what was released to it.

use kube::api::{Api, DynamicObject};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use serde_json::{Value, json};
use stoke_laptop::session;
use stoke_release::environment::{Delivery, Environment};
use stoke_release::gitops;
use stoke_release::ledger::History;

use super::deliver::{Checkout, cluster, objects};
use super::{Kept, Places};
use crate::cli::Context;
use crate::failure::{Failure, Outcome};
use crate::terminal::Format;

/// Arguments of `stoke release drift`.
#[derive(clap::Args)]
#[command(after_help = "The exit code is 1 when something differs.")]
pub struct Arguments {
    /// Only this environment
    #[arg(long = "in", value_name = "ENVIRONMENT")]
    environment: Option<String>,
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    kept: Kept,
}

/// Runs the command.
pub async fn run(arguments: &Arguments, context: &mut Context) -> Outcome<u8> {
    let environments = arguments.places.read(&mut context.terminal)?;
    if let Some(name) = arguments
        .environment
        .as_ref()
        .filter(|name| environments.get(name).is_none())
    {
        let names: Vec<&str> = environments.names().collect();
        return Err(Failure::input(
            "stoke::release::environments",
            format!("there is no environment `{name}`"),
        )
        .fix(format!("there are {}", names.join(", "))));
    }
    let store = arguments.kept.open(context)?;
    let history = History::of(&store.entries().await?);
    let mut all = Vec::new();
    for environment in &environments.environments {
        if arguments
            .environment
            .as_ref()
            .is_some_and(|name| *name != environment.name)
        {
            continue;
        }
        let Some(release) = history.place(&environment.name).and_then(|place| place.current()) else {
            continue;
        };
        let (_, wanted) = objects(&store, environment, release).await?;
        for (what, how) in differences(environment, &wanted, context).await? {
            all.push(json!({"environment": environment.name, "what": what, "how": how}));
        }
    }
    let terminal = &mut context.terminal;
    match terminal.format() {
        Format::Json => terminal.json(&all),
        Format::Text if all.is_empty() => terminal.out("nothing differs from what was released"),
        Format::Text => {
            for one in &all {
                let text = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
                terminal.out(format!("{}: {}: {}", text("environment"), text("what"), text("how")));
            }
        }
    }
    Ok(u8::from(!all.is_empty()))
}

async fn differences(environment: &Environment, wanted: &[Value], context: &Context) -> Outcome<Vec<(String, String)>> {
    match &environment.delivery {
        Delivery::Git {
            repository,
            branch,
            path,
        } => {
            let tree = gitops::tree(wanted).map_err(|why| {
                Failure::input("stoke::release::manifest", why).fix("check the manifests of the release")
            })?;
            let found = Checkout::of(repository, branch).await?.files(path)?;
            let differences = gitops::drift(&tree, &found);
            Ok(differences
                .into_iter()
                .map(|(name, how)| (format!("{path}/{name}"), how.to_owned()))
                .collect())
        }
        Delivery::Cluster { context: name } => {
            let session = session::open(&context.home, &cluster(name, &environment.namespace)).await?;
            let mut all = Vec::new();
            for object in wanted {
                let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
                let (group, version) = text("/apiVersion").split_once('/').unwrap_or(("", text("/apiVersion")));
                let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, text("/kind")));
                let api: Api<DynamicObject> =
                    Api::namespaced_with(session.client.clone(), &environment.namespace, &resource);
                let shown = format!("{} {}", text("/kind"), text("/metadata/name"));
                match api.get_opt(text("/metadata/name")).await? {
                    None => all.push((shown, "missing".to_owned())),
                    Some(found) => {
                        let found = serde_json::to_value(found).map_err(std::io::Error::from)?;
                        all.extend(
                            gitops::object_drift(object, &found)
                                .into_iter()
                                .map(|field| (shown.clone(), format!("{field} changed"))),
                        );
                    }
                }
            }
            Ok(all)
        }
    }
}
