//! Waiting until what was applied works. What to make of what is seen is decided in [`stoke_operator::install::progress`].

use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{Api, DynamicObject, ListParams, LogParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use stoke_model::crd;
use stoke_operator::install::Options;
use stoke_operator::install::progress::{Progress, Trouble, progress};
use tokio::time::Instant;

use crate::cli::Context;
use crate::failure::{Failure, Outcome};
use crate::terminal::Format;

/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(500);
/// How long trouble that waiting does not fix is looked at, before it is believed: it may be of a moment ago.
const DOUBT: Duration = Duration::from_secs(10);
/// Lines of a log that are shown.
const LINES: i64 = 10;

/// How long is waited.
#[derive(clap::Args, Clone)]
pub struct Patience {
    /// Do not wait
    #[arg(long, overrides_with = "wait")]
    no_wait: bool,
    /// Wait until it is done [default]
    #[arg(long, overrides_with = "no_wait")]
    wait: bool,
    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "3m", value_parser = super::super::run::time)]
    timeout: Duration,
}

impl Patience {
    /// When it ends; none when nothing is waited for.
    pub fn deadline(&self) -> Option<Instant> {
        (!self.no_wait).then(|| Instant::now() + self.timeout)
    }

    /// As people say it.
    pub fn text(&self) -> String {
        stoke_model::units::people::elapsed(self.timeout)
    }
}

fn api(client: &Client, group: &str, kind: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk(group, "v1", kind);
    Api::all_with(client.clone(), &ApiResource::from_gvk(&kind))
}

/// Until the API server serves the kinds.
pub async fn definitions(client: &Client, patience: &Patience, context: &mut Context) -> Outcome<()> {
    let Some(deadline) = patience.deadline() else {
        return Ok(());
    };
    let api = api(client, "apiextensions.k8s.io", "CustomResourceDefinition");
    for definition in crd::definitions() {
        let name = definition["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        loop {
            let stored = api.get(&name).await?;
            let condition = |kind: &str| {
                let all = stored.data["status"]["conditions"].as_array().into_iter().flatten();
                all.clone()
                    .find(|condition| condition["type"] == kind)
                    .cloned()
                    .unwrap_or_default()
            };
            if condition("Established")["status"] == "True" {
                break;
            }
            let names = condition("NamesAccepted");
            let refused = names["status"] == "False" && names["message"].is_string();
            if refused || Instant::now() > deadline {
                let said = names["message"].as_str().unwrap_or("the API server gave no reason");
                return Err(Failure::environment(
                    "stoke::install::definition",
                    format!("the definition {name} is not served: {said}"),
                )
                .fix(format!(
                    "`kubectl get crd {name} -o yaml` shows its conditions; a name can be taken by another definition"
                )));
            }
            context.terminal.status(format!("waiting for {name}"));
            tokio::time::sleep(PAUSE).await;
        }
    }
    context.terminal.end_status();
    Ok(())
}

/// Until the operator's pods answer and its webhook is trusted.
pub async fn operator(client: &Client, options: &Options, patience: &Patience, context: &mut Context) -> Outcome<()> {
    let Some(deadline) = patience.deadline() else {
        return Ok(());
    };
    let mut doubted: Option<(Trouble, Instant)> = None;
    loop {
        let trouble = match look(client, options).await? {
            Progress::Available => break,
            Progress::Coming { ready, of, trouble } => {
                let why = trouble
                    .as_ref()
                    .map(|trouble| format!(": {}", trouble.message))
                    .unwrap_or_default();
                context
                    .terminal
                    .status(format!("{ready} of {of} operators answer{why}"));
                trouble
            }
        };
        doubted = match (trouble, doubted) {
            (Some(new), Some((old, since))) if new.code == old.code => Some((new, since)),
            (new, _) => new.map(|new| (new, Instant::now())),
        };
        let is_certain = |(trouble, since): &(Trouble, Instant)| trouble.lasting && since.elapsed() > DOUBT;
        if Instant::now() > deadline || doubted.as_ref().is_some_and(is_certain) {
            context.terminal.end_status();
            return Err(failure(client, options, patience, doubted.map(|(trouble, _)| trouble)).await);
        }
        tokio::time::sleep(PAUSE).await;
    }
    webhook(client, options, deadline, context).await?;
    context.terminal.end_status();
    match context.terminal.format() {
        Format::Json => context
            .terminal
            .json(&json!({"kind": "Deployment", "namespace": options.namespace,
            "name": options.controller(), "result": "available"})),
        Format::Text => context.terminal.out(format!(
            "deployment {} in {} available",
            options.controller(),
            options.namespace
        )),
    }
    Ok(())
}

async fn look(client: &Client, options: &Options) -> Outcome<Progress> {
    let namespace = &options.namespace;
    let deployment = Api::<Deployment>::namespaced(client.clone(), namespace)
        .get(&options.controller())
        .await?;
    if progress(&deployment, &[], &[], &[]) == Progress::Available {
        return Ok(Progress::Available);
    }
    let labels = deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.selector.match_labels.clone())
        .unwrap_or_default();
    let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let of_operator = ListParams::default().labels(&labels.join(","));
    let (sets, pods) = (
        Api::<ReplicaSet>::namespaced(client.clone(), namespace)
            .list(&of_operator)
            .await?,
        Api::<Pod>::namespaced(client.clone(), namespace)
            .list(&of_operator)
            .await?,
    );
    let of_pods = ListParams::default().fields("involvedObject.kind=Pod");
    // Events only explain; someone who may not read them is told the rest.
    let events = Api::<Event>::namespaced(client.clone(), namespace).list(&of_pods).await;
    let events = events.map(|events| events.items).unwrap_or_default();
    Ok(progress(&deployment, &sets.items, &pods.items, &events))
}

async fn failure(client: &Client, options: &Options, patience: &Patience, trouble: Option<Trouble>) -> Failure {
    let (name, namespace) = (options.controller(), &options.namespace);
    let Some(trouble) = trouble else {
        let message = format!(
            "the operator {name} in {namespace} is not ready after {}, and neither its pods nor their events give a cause",
            patience.text()
        );
        return Failure::environment("stoke::install::slow", message).fix(format!(
            "`kubectl describe deployment {name} -n {namespace}`; --timeout waits longer"
        ));
    };
    let mut message = format!(
        "the operator {name} in {namespace} does not come up: {}",
        trouble.message
    );
    if let Some((pod, container, previous)) = &trouble.log_of {
        let log = last_lines(client, namespace, pod, container, *previous).await;
        if !log.is_empty() {
            message.push_str("\n  its log ends with:");
            log.lines().for_each(|line| message.push_str(&format!("\n    {line}")));
        }
    }
    Failure::environment(trouble.code, message).fix(format!("{}; then install again", trouble.fix))
}

async fn last_lines(client: &Client, namespace: &str, pod: &str, container: &str, previous: bool) -> String {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let parameters = |previous: bool| LogParams {
        container: Some(container.to_owned()),
        tail_lines: Some(LINES),
        previous,
        ..LogParams::default()
    };
    match pods.logs(pod, &parameters(previous)).await {
        Ok(log) => log,
        // The container before this one may be gone.
        Err(_) => pods.logs(pod, &parameters(!previous)).await.unwrap_or_default(),
    }
}

/// Until the operator has written into its configurations whom to trust.
async fn webhook(client: &Client, options: &Options, deadline: Instant, context: &mut Context) -> Outcome<()> {
    if !options.values.is("webhook.enable") || options.replicas() == 0 {
        return Ok(());
    }
    for kind in ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"] {
        let api = api(client, "admissionregistration.k8s.io", kind);
        let name = options.webhook_name();
        while !api.get_opt(&name).await?.is_some_and(|stored| is_trusted(&stored.data)) {
            if Instant::now() > deadline {
                let message =
                    format!("the operator answers, and has not written its certificates into the {kind} {name}");
                return Err(Failure::environment("stoke::install::webhook", message).fix(format!(
                    "`kubectl logs deployment/{} -n {}` says why",
                    options.controller(),
                    options.namespace
                )));
            }
            context
                .terminal
                .status(format!("waiting for the certificates of {name}"));
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(())
}

fn is_trusted(configuration: &Value) -> bool {
    let entries = configuration["webhooks"].as_array();
    let has_bundle = |entry: &Value| {
        entry["clientConfig"]["caBundle"]
            .as_str()
            .is_some_and(|bundle| !bundle.is_empty())
    };
    entries.is_some_and(|entries| entries.iter().all(has_bundle))
}

/// Until none of these are there.
pub async fn gone(
    left: Vec<(Api<DynamicObject>, DynamicObject)>,
    deadline: Instant,
    context: &mut Context,
) -> Outcome<()> {
    let mut left = left;
    while let Some((api, object)) = left.last() {
        let name = object.name_any();
        let kind = object
            .types
            .as_ref()
            .map(|types| types.kind.to_lowercase())
            .unwrap_or_default();
        // Another of the same name is not the one that was deleted.
        let there = api
            .get_opt(&name)
            .await?
            .filter(|there| there.metadata.uid == object.metadata.uid || object.metadata.uid.is_none());
        let Some(there) = there else {
            left.pop();
            continue;
        };
        if Instant::now() > deadline {
            let finalizers = there.metadata.finalizers.unwrap_or_default().join(", ");
            let held = match finalizers.is_empty() {
                true => "what belongs to it is still there".to_owned(),
                false => format!("it is held by {finalizers}"),
            };
            context.terminal.end_status();
            return Err(Failure::environment(
                "stoke::uninstall::slow",
                format!("{kind} {name} is still being deleted: {held}"),
            )
            .fix(format!(
                "`kubectl get {kind} {name} -o yaml` shows what holds it; uninstall again afterwards"
            )));
        }
        context.terminal.status(format!("waiting until {kind} {name} is gone"));
        tokio::time::sleep(PAUSE).await;
    }
    context.terminal.end_status();
    Ok(())
}
