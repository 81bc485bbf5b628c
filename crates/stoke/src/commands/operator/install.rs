//! `stoke operator manifests`, `install` and `uninstall`: the same objects printed, applied, deleted.

use clap::builder::PossibleValuesParser;
use kube::Client;
use kube::api::{DeleteParams, DynamicObject};
use kube::config::KubeConfigOptions;
use serde_json::Value;
use stoke_model::crd;
use stoke_operator::install::{Options, Policies, Webhook, objects};

use crate::apply;
use crate::cli::Context;
use crate::failure::{Failure, Outcome};
use crate::terminal::Format;

/// What is installed.
#[derive(clap::Args, Clone)]
pub struct Arguments {
    /// Prefix of all names
    #[arg(long, value_name = "NAME", default_value = "spark-operator")]
    name: String,
    /// Namespace of the operator
    #[arg(long, short = 'n', value_name = "NAME", default_value = "spark-operator")]
    namespace: String,
    /// Image of the operator
    #[arg(long, value_name = "IMAGE", default_value = concat!("stoke:", env!("CARGO_PKG_VERSION")))]
    image: String,
    /// Operators side by side
    #[arg(long, value_name = "N", default_value_t = 1)]
    replicas: u16,
    /// Parts into which applications are divided among the operators
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    shards: u16,
    /// Namespaces of applications, comma-separated; '' for all of them
    #[arg(long, value_delimiter = ',', value_name = "NAMES", default_value = "default")]
    job_namespaces: Vec<String>,
    /// Namespaces of applications by their labels
    #[arg(long, value_name = "LABELS")]
    job_namespace_selector: Option<String>,
    /// Review applications before they are stored; needs a right to two named objects of the cluster
    #[arg(long, value_name = "BOOL", default_value_t = true, num_args = 0..=1, default_missing_value = "true", action = clap::ArgAction::Set)]
    webhook: bool,
    /// Port of the webhook in the operator's pod
    #[arg(long, value_name = "PORT", default_value_t = 9443, value_parser = clap::value_parser!(u16).range(1..))]
    webhook_port: u16,
    /// What happens to applications while the webhook cannot be reached: Ignore stores them, Fail refuses them
    #[arg(long, value_name = "POLICY", default_value = "Ignore", value_parser = ["Ignore", "Fail"])]
    webhook_failure_policy: String,
    /// Seconds that the API server waits for the webhook
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u8).range(1..=30))]
    webhook_timeout_seconds: u8,
    /// Keep logs of drivers at s3://bucket/prefix after their pods are gone; credentials are the operator pod's
    #[arg(long, value_name = "URL")]
    keep_logs: Option<String>,
    /// Ask the policies in ConfigMaps of the operator's namespace with the label stoke.dev/policy=true
    #[arg(long, value_name = "BOOL", default_value_t = true, num_args = 0..=1, default_missing_value = "true", action = clap::ArgAction::Set)]
    policy_config_maps: bool,
    /// Ask policies of the starter pack, comma-separated; `stoke policy list` names them
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = PossibleValuesParser::new(stoke_policy::pack::names()))]
    policy_pack: Vec<String>,
    /// Leave out the CRDs
    #[arg(long)]
    no_crds: bool,
    /// Context of your kubeconfig [default: the current one]
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
}

/// What is removed.
#[derive(clap::Args, Clone)]
pub struct Uninstall {
    #[command(flatten)]
    installed: Arguments,
    /// Delete the CRDs too, and with them every SparkApplication of the cluster
    #[arg(long)]
    delete_crds: bool,
}

impl Arguments {
    fn options(&self) -> Options {
        let all = self.job_namespaces.iter().any(String::is_empty);
        Options {
            name: self.name.clone(),
            namespace: self.namespace.clone(),
            image: self.image.clone(),
            replicas: self.replicas,
            shards: self.shards,
            job_namespaces: if all { Vec::new() } else { self.job_namespaces.clone() },
            namespace_selector: self
                .job_namespace_selector
                .clone()
                .filter(|selector| !selector.is_empty()),
            keep_logs: self.keep_logs.clone().filter(|url| !url.is_empty()),
            webhook: self.webhook.then(|| Webhook {
                port: self.webhook_port,
                failure_policy: self.webhook_failure_policy.clone(),
                timeout_seconds: self.webhook_timeout_seconds,
            }),
            policies: Policies {
                config_maps: self.policy_config_maps,
                packs: self.policy_pack.clone(),
                directories: Vec::new(),
            },
        }
    }

    fn objects(&self) -> Vec<Value> {
        objects(&self.options())
    }

    async fn client(&self) -> Outcome<Client> {
        let options = KubeConfigOptions {
            context: self.context.clone(),
            ..KubeConfigOptions::default()
        };
        let config = match &self.context {
            Some(_) => kube::Config::from_kubeconfig(&options)
                .await
                .map_err(|error| error.to_string()),
            None => kube::Config::infer().await.map_err(|error| error.to_string()),
        };
        let config = config.map_err(|error| {
            Failure::input(
                "stoke::operator::kubeconfig",
                format!("no cluster to install in: {error}"),
            )
            .fix("`kubectl config get-contexts` lists the contexts there are")
        })?;
        Ok(Client::try_from(config)?)
    }
}

/// Prints the objects: a YAML stream, or a JSON List with `--output json`.
pub fn manifests(arguments: &Arguments, context: &mut Context) -> Outcome<u8> {
    let mut all = if arguments.no_crds {
        Vec::new()
    } else {
        crd::definitions()
    };
    all.extend(arguments.objects());
    match context.terminal.format() {
        Format::Json => {
            context
                .terminal
                .json(&serde_json::json!({"apiVersion": "v1", "kind": "List", "items": all}));
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

/// Applies the objects; done again, it brings what is there up to date.
pub async fn install(arguments: &Arguments, context: &mut Context) -> Outcome<u8> {
    let client = arguments.client().await?;
    if !arguments.no_crds {
        for definition in crd::definitions() {
            apply_one(&client, &definition, context).await?;
        }
    }
    for object in arguments.objects() {
        apply_one(&client, &object, context).await?;
    }
    Ok(0)
}

async fn apply_one(client: &Client, object: &Value, context: &mut Context) -> Outcome<()> {
    let applied = apply::apply(client, "default", object).await?;
    tell(&applied, "applied", context);
    Ok(())
}

/// Deletes the objects; what is gone already is passed over. The namespace stays when it is `default`.
pub async fn uninstall(arguments: &Uninstall, context: &mut Context) -> Outcome<u8> {
    let client = arguments.installed.client().await?;
    let mut all = arguments.installed.objects();
    let options = arguments.installed.options();
    // The operator made it.
    let secret = serde_json::json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": options.webhook_secret(), "namespace": options.namespace}});
    all.insert(1, secret);
    if arguments.delete_crds {
        all.splice(0..0, crd::definitions());
    }
    for object in all.iter().rev() {
        if object["kind"] == "Namespace" && object["metadata"]["name"] == "default" {
            continue;
        }
        if let Some(deleted) = apply::delete_any(&client, object, &DeleteParams::background()).await? {
            tell(&deleted, "deleted", context);
        }
    }
    Ok(0)
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
            .json(&serde_json::json!({"kind": kind, "namespace": namespace, "name": name, "result": what})),
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
