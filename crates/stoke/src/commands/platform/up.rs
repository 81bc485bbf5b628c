//! `stoke platform up`: a whole platform on this machine, by one command.
//!
//! Images are made ready, the embedded cluster is started or found, Secrets and buckets that the platform needs are made, objects are applied wave by wave and
//! waited for, and every component is asked at the address that is then shown. Given again, it takes up what is there.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Node;
use kube::Client;
use kube::api::{Api, ListParams};
use serde_json::{Value, json};
use stoke_laptop::images::ensure;
use stoke_laptop::interrupt::{interrupted, listen};
use stoke_laptop::object_store;
use stoke_laptop::platform::reached;
use stoke_laptop::platform::secrets::{self, Made, Own};
use stoke_laptop::session::connect;
use stoke_model::quantity::Quantity;
use stoke_model::units::people;
use stoke_objectstore::Credentials;
use stoke_platform::environment::Resolved;
use stoke_platform::local::{self, Room};
use stoke_platform::plan::{Readiness, readiness};
use stoke_platform::reach::reach;
use stoke_platform::render::{Scope, objects};
use stoke_platform::spec::File;

use super::apply::{Done, How, carry_out, refuse_foreign};
use super::cluster::{Cluster, Look};
use super::{Given, decryptable, down, in_environment, own_store};
use crate::cli::{Context, Size};
use crate::commands::up;
use crate::failure::{Failure, Outcome};
use crate::terminal::{Format, table};

/// How long a component that is ready may take to answer at its address.
const ANSWERS: Duration = Duration::from_secs(90);
/// Time between two questions.
const PAUSE: Duration = Duration::from_secs(1);
/// Cores that a node has for applications, beside what the platform asks for.
const SPARE_CORES: u64 = 4;

/// The file, how long it is waited for, and the cluster when it is not up.
#[derive(clap::Args)]
#[group(skip)]
#[command(after_help = "\
The embedded cluster is started when it is not up, as `stoke up` does and with its options, and ends with this command; with --detach, or when it was up before, it stays until `stoke down`. \
`stoke platform down -e local` removes the platform and leaves the cluster.")]
pub struct Arguments {
    #[command(flatten)]
    given: Given,
    /// The environment, one of the file's [default: `local`, where the file has environments]
    #[arg(long, short = 'e', value_name = "NAME")]
    environment: Option<String>,
    /// How long components that start together are waited for
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = super::super::history::span)]
    timeout: Duration,
    #[command(flatten)]
    cluster: up::Arguments,
}

/// The cluster that is used.
enum Where {
    /// In this process, ended with it.
    Here(Box<up::Running>),
    /// It was up before.
    Before,
    /// Started in the background.
    Detached,
}

pub async fn run(mut arguments: Arguments, context: &mut Context) -> Outcome<u8> {
    let started = Instant::now();
    let file = arguments.given.read(context)?;
    // The programs that images mean here have what projects' own images lack.
    for warning in file
        .warnings
        .iter()
        .filter(|warning| warning.code != "platform-image-lacks")
    {
        context.terminal.note(warning.render());
    }
    let mut resolved = in_environment(&file, environment(&file, arguments.environment.as_deref()))?;
    decryptable(&resolved)?;
    let wanted = objects(&resolved.scope());
    can_run(&resolved.scope())?;
    let ready = up::prepare(&arguments.cluster, context).await?;
    // Before the cluster: each has its own progress, and no pod waits for it.
    for (image, component) in local::images(&wanted) {
        let ensured = ensure(&context.home, &image, &mut context.terminal).await;
        ensured.map_err(|error| {
            let mut failure = Failure::from(error);
            let why = &failure.diagnostic.message;
            failure.diagnostic.message = format!("component {component}, image {image}: {why}");
            failure
        })?;
    }
    let room = local::room(&wanted);
    let directory = context.home.default_cluster();
    let (place, client) = match connect(&directory).await {
        Some(client) => (Where::Before, client),
        None => {
            enlarge(&mut arguments.cluster.size, room);
            let place = if arguments.cluster.detach {
                up::detach(&arguments.cluster, context).await?;
                Where::Detached
            } else {
                Where::Here(Box::new(up::start(&arguments.cluster, ready, context).await?))
            };
            let client = connect(&directory).await.ok_or_else(|| {
                Failure::environment(
                    "stoke::cluster::not-running",
                    "the cluster that was started does not answer",
                )
                .fix("give the command again; `stoke status` shows whether it is up")
            })?;
            (place, client)
        }
    };
    listen()?;
    let brought = tokio::select! {
        brought = bring(&mut resolved, &client, room, arguments.timeout, context) => brought,
        _ = interrupted() => Err(Failure::new(
            "stoke::platform::interrupted",
            "interrupted before every component answered; what was applied stays",
            130,
        )
        .fix("give the command again: it goes on where it ended")),
    };
    context.terminal.end_status();
    let told = brought.map(|brought| tell(&resolved.scope(), &brought, &place, started.elapsed(), context));
    let Where::Here(running) = place else {
        return told.map(|()| 0);
    };
    let exit = match told {
        Ok(()) => 0,
        // Someone may want to look at what does not work.
        Err(failure) if failure.exit != 130 && std::io::stdin().is_terminal() => {
            context.terminal.failure(&failure);
            context.terminal.note("the cluster stays up to look at; Ctrl-C ends it");
            failure.exit
        }
        Err(failure) => {
            running.end(&mut context.terminal).await;
            return Err(failure);
        }
    };
    let result = interrupted().await;
    running.end(&mut context.terminal).await;
    result?;
    Ok(exit)
}

/// The environment that is meant.
fn environment<'a>(file: &File, named: Option<&'a str>) -> Option<&'a str> {
    named.or_else(|| (!file.platform.environments.is_empty()).then_some(local::ENVIRONMENT))
}

fn can_run(scope: &Scope<'_>) -> Outcome<()> {
    let unable: Vec<String> = local::unable(scope)
        .iter()
        .map(|(name, why)| format!("{name} ({why})"))
        .collect();
    if let Some((name, other, port)) = local::shared_ports(scope).first() {
        return Err(Failure::input(
            "stoke::platform::embedded",
            format!("{name} takes port {port} at all addresses of this machine, and {other} wants it too: pods share the machine's network"),
        )
        .fix(format!(
            "give {name} another one in the environment {}: of a Spark Connect server `sparkConf: {{spark.connect.grpc.binding.port: \"15035\"}}`; of two metastores leave one out with `without`",
            scope.environment
        )));
    }
    if unable.is_empty() {
        return Ok(());
    }
    Err(Failure::input(
        "stoke::platform::embedded",
        format!("the embedded cluster does not run {}", unable.join(", ")),
    )
    .fix(format!(
        "leave it out there: `environments: {{{}: {{without: [NAME]}}}}`",
        scope.environment
    )))
}

/// A node on which all pods find a place: cores are shared, and asking for them keeps no one else from using them.
fn enlarge(size: &mut Size, room: Room) {
    if size.cpus.is_none() {
        let here = std::thread::available_parallelism().map_or(1, usize::from) as u64;
        let wanted = room.millicores.div_ceil(1000) + SPARE_CORES;
        size.cpus = u32::try_from(here.max(wanted)).ok();
    }
}

/// What was brought up.
struct Brought {
    made: Vec<Made>,
    done: Done,
    counts: [usize; 4],
    components: Vec<Component>,
}

/// A component that answered.
struct Component {
    name: String,
    kind: &'static str,
    url: String,
    how: String,
}

async fn bring(
    resolved: &mut Resolved,
    client: &Client,
    room: Room,
    timeout: Duration,
    context: &mut Context,
) -> Outcome<Brought> {
    has_room(client, room, resolved).await?;
    let own = own_store(&context.home).await?;
    local::place(resolved, &own);
    let scope = resolved.scope();
    let store = object_store::directory(&context.home);
    let (buckets, folders) = local::buckets(&scope, &own);
    stoke_objectstore::provide(&store, buckets, folders)
        .await
        .map_err(|error| Failure::environment("stoke::object-store::start", error))?;
    let credentials = Credentials::load(&store.join("credentials"))?;
    let mut cluster = Cluster::new(client.clone());
    // Secrets are in it, and everything else needs them.
    let look = cluster.look(&scope).await?;
    refuse_foreign(&look)?;
    if let Some(namespace) = look
        .compared
        .iter()
        .find(|one| one.wanted["kind"] == "Namespace" && one.there.is_none())
    {
        cluster.write(&namespace.wanted, false).await?;
    }
    begin_again(&mut cluster, &look, timeout, context).await?;
    let made = secrets::provide(
        client,
        &scope,
        &Own {
            store: &own,
            credentials: &credentials,
        },
    )
    .await?;
    for Made { secret, keys } in &made {
        note(context, format!("Secret {secret} made: {}", keys.join(", ")));
    }
    let look = cluster.look(&scope).await?;
    let mut done = Done::default();
    let how = How {
        wait: Some(timeout),
        told: false,
    };
    carry_out(&how, &mut cluster, &look, &mut done, context).await?;
    cluster.keep_record(&scope, &objects(&scope)).await?;
    let components = answers(client, &scope, context).await?;
    Ok(Brought {
        made,
        done,
        counts: look.counts(),
        components,
    })
}

/// A Connect server that has failed stays so until its object is another one: it is removed here, and made again with the rest.
async fn begin_again(cluster: &mut Cluster, look: &Look, timeout: Duration, context: &mut Context) -> Outcome<()> {
    let failed = look
        .compared
        .iter()
        .filter_map(|one| one.there.as_ref())
        .filter(|there| there["kind"] == "SparkConnect" && matches!(readiness(there), Readiness::Failed(_)));
    for there in failed {
        down::delete(cluster, there, context).await?;
        let deadline = tokio::time::Instant::now() + timeout;
        down::gone(cluster, there, deadline, timeout, context).await?;
    }
    context.terminal.end_status();
    Ok(())
}

fn note(context: &mut Context, text: String) {
    match context.terminal.format() {
        Format::Text => context.terminal.out(text),
        Format::Json => {}
    }
}

/// Whether the node is large enough for all pods.
async fn has_room(client: &Client, room: Room, resolved: &Resolved) -> Outcome<()> {
    let nodes: Api<Node> = Api::all(client.clone());
    let mut there = Room::default();
    for node in nodes.list(&ListParams::default()).await? {
        let allocatable = node.status.and_then(|status| status.allocatable).unwrap_or_default();
        let amount = |what: &str| {
            allocatable
                .get(what)
                .and_then(|amount| amount.0.parse::<Quantity>().ok())
        };
        there.millicores += amount("cpu").map_or(0, |amount| amount.millicores());
        there.memory += amount("memory").map_or(0, |amount| amount.bytes());
    }
    let (mut lacks, mut fixes) = (Vec::new(), Vec::new());
    if room.memory > there.memory {
        lacks.push(format!(
            "{} of memory of {}",
            people::bytes(room.memory),
            people::bytes(there.memory)
        ));
        fixes.push(format!(
            "give components less in the environment {}, leave some out with `without`, or say --memory when the cluster is started",
            resolved.environment
        ));
    }
    if room.millicores > there.millicores {
        lacks.push(format!(
            "{} cores of {}",
            room.millicores.div_ceil(1000),
            there.millicores / 1000
        ));
        fixes.push("`stoke down`, then `stoke platform up`: it starts a node that has them".to_owned());
    }
    match lacks.is_empty() {
        true => Ok(()),
        false => Err(Failure::environment(
            "stoke::platform::room",
            format!("the pods of the platform ask the node for {}", lacks.join(", and for ")),
        )
        .fix(fixes.join("; "))),
    }
}

/// Asks every component that runs, until each has answered.
async fn answers(client: &Client, scope: &Scope<'_>, context: &mut Context) -> Outcome<Vec<Component>> {
    let mut all = Vec::new();
    for (_, name) in scope.in_order() {
        let (Some(reach), Some(component)) = (reach(scope, name), scope.component(name)) else {
            continue;
        };
        let begun = Instant::now();
        let answered = loop {
            context.terminal.status(format!("asking {name} at its address"));
            match reached::ask(client, scope, name, &reach).await? {
                Ok(answered) => break answered,
                Err(why) if begun.elapsed() > ANSWERS => {
                    let waited = people::elapsed(begun.elapsed());
                    return Err(Failure::environment(
                        "stoke::platform::silent",
                        format!("component {name} is ready and does not answer this machine after {waited}: {why}"),
                    )
                    .fix("see its log with `kubectl logs`; another program of this machine may have its port (`ss -ltnp`)"));
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        };
        all.push(Component {
            name: name.to_owned(),
            kind: component.about().kind,
            url: answered.url,
            how: reach.how,
        });
    }
    context.terminal.end_status();
    Ok(all)
}

fn tell(scope: &Scope<'_>, brought: &Brought, place: &Where, elapsed: Duration, context: &mut Context) {
    let kubeconfig = context.home.default_cluster().join("kubeconfig");
    let [created, changed, removed, kept] = brought.counts;
    if context.terminal.format() == Format::Json {
        let ready = |name: &str| {
            let found = brought.done.ready.iter().find(|(known, _)| known == name);
            found.map(|(_, taken)| taken.as_secs())
        };
        let components: Vec<Value> = brought
            .components
            .iter()
            .map(|one| {
                json!({"name": one.name, "kind": one.kind, "url": one.url, "how": one.how,
                    "readyAfterSeconds": ready(&one.name)})
            })
            .collect();
        let secrets: Vec<Value> = brought
            .made
            .iter()
            .map(|made| json!({"secret": made.secret, "keys": made.keys}))
            .collect();
        context
            .terminal
            .json(&json!({"name": scope.platform.name, "environment": scope.environment,
            "namespace": scope.namespace(), "kubeconfig": kubeconfig, "seconds": elapsed.as_secs(),
            "created": created, "changed": changed, "removed": removed, "kept": kept,
            "components": components, "secretsMade": secrets}));
        return;
    }
    let count = people::counted(brought.components.len(), "component");
    context.terminal.out(format!(
        "{} in {}: {count} answer after {}; objects: {created} created, {changed} changed, {removed} removed, {kept} as they were",
        scope.platform.name,
        scope.namespace(),
        people::elapsed(elapsed)
    ));
    let rows: Vec<Vec<String>> = brought
        .components
        .iter()
        .map(|one| vec![one.name.clone(), one.url.clone(), one.how.clone()])
        .collect();
    table(&rows).into_iter().for_each(|line| context.terminal.out(line));
    context.terminal.out(format!(
        "use it      export KUBECONFIG={}; kubectl get pods -n {}",
        kubeconfig.display(),
        scope.namespace()
    ));
    let end = match place {
        Where::Here(_) => "Ctrl-C; the platform and its data are there again with the next `stoke platform up`",
        Where::Detached => "stoke down",
        Where::Before => "the cluster was up before, and stays until `stoke down`",
    };
    context.terminal.out(format!("end it      {end}"));
}
