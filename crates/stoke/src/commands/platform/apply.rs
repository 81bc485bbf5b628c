//! `stoke platform apply`: the cluster becomes what the file says, or stays what it was.
//!
//! First all is written as a dry run, so that what the API server refuses changes nothing. Then objects are written wave by wave, each waited for; what is no
//! longer named goes; and the record of what works is kept. When a step fails, what was done is undone by the record. Killed at any point, it is begun again.

use std::time::Duration;

use kube::api::DeleteParams;
use serde_json::{Value, json};
use stoke_model::units::people::elapsed;
use stoke_platform::plan::{Action, Id, wave};
use stoke_platform::render::{Scope, objects};

use super::cluster::{Cluster, Look};
use super::{Placed, wait};
use crate::cli::Context;
use crate::failure::{Failure, Outcome};
use crate::terminal::Format;

/// What is applied, and how long it is waited for.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    placed: Placed,
    /// Take over objects that are there and not this platform's
    #[arg(long)]
    adopt: bool,
    /// Do not wait until components work
    #[arg(long)]
    no_wait: bool,
    /// Leave what was done when a step fails
    #[arg(long)]
    no_undo: bool,
    /// How long each component is waited for
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = super::super::history::span)]
    timeout: Duration,
}

/// How objects are brought into a cluster.
pub struct How {
    /// How long each wave is waited for; none: not at all.
    pub wait: Option<Duration>,
    /// Whether each object is printed; else only components that are ready.
    pub told: bool,
}

/// What was done, for undoing it.
#[derive(Default)]
pub struct Done {
    created: Vec<Value>,
    changed: Vec<Value>,
    removed: Vec<Value>,
    /// Components that were waited for, by name, and how long.
    pub ready: Vec<(String, Duration)>,
}

pub async fn run(arguments: &Arguments, context: &mut Context) -> Outcome<u8> {
    let (resolved, client) = arguments.placed.open(context).await?;
    let scope = resolved.scope();
    let mut cluster = Cluster::new(client);
    let look = cluster.look(&scope).await?;
    if !arguments.adopt {
        refuse_foreign(&look)?;
    }
    let before = cluster.record(&scope).await?;
    let mut done = Done::default();
    let how = How {
        wait: (!arguments.no_wait).then_some(arguments.timeout),
        told: true,
    };
    let applied = carry_out(&how, &mut cluster, &look, &mut done, context).await;
    let Err(failure) = applied else {
        cluster.keep_record(&scope, &objects(&scope)).await?;
        tell_end(&scope, &look, context);
        return Ok(0);
    };
    context.terminal.end_status();
    if arguments.no_undo {
        return Err(failure);
    }
    let undone = undo(&mut cluster, &done, before.as_deref(), context).await;
    let mut failure = failure;
    let message = &failure.diagnostic.message;
    failure.diagnostic.message = match undone {
        Ok(()) if done.created.is_empty() && done.changed.is_empty() && done.removed.is_empty() => {
            format!("{message}; nothing was changed")
        }
        Ok(()) => format!("{message}; what was done is undone"),
        Err(why) => format!("{message}; undoing it failed too: {}", why.diagnostic.message),
    };
    Err(failure)
}

/// Objects of the platform's names that are others'.
pub fn refuse_foreign(look: &Look) -> Outcome<()> {
    let foreign = look.steps.iter().filter(|step| step.action == Action::Foreign);
    let foreign: Vec<String> = foreign.map(|step| step.id.text()).collect();
    if foreign.is_empty() {
        return Ok(());
    }
    Err(Failure::input(
        "stoke::platform::foreign",
        format!("there already, and not this platform's: {}", foreign.join(", ")),
    )
    .fix("rename the components, choose another namespace, or take them over with `stoke platform apply --adopt`"))
}

fn tell_end(scope: &Scope<'_>, look: &Look, context: &mut Context) {
    let [created, changed, removed, kept] = look.counts();
    match context.terminal.format() {
        Format::Json => context
            .terminal
            .json(&json!({"name": scope.platform.name, "environment": scope.environment,
            "created": created, "changed": changed, "removed": removed, "kept": kept})),
        Format::Text => context.terminal.out(format!(
            "{} in {}: {created} created, {changed} changed, {removed} removed, {kept} as they were",
            scope.platform.name,
            scope.namespace()
        )),
    }
}

/// Brings the cluster to what a look found wanted, wave by wave.
pub async fn carry_out(
    how: &How,
    cluster: &mut Cluster,
    look: &Look,
    done: &mut Done,
    context: &mut Context,
) -> Outcome<()> {
    let mut todo: Vec<&Value> = Vec::new();
    for (one, step) in look.compared.iter().zip(&look.steps) {
        if step.action == Action::Keep {
            continue;
        }
        let object = &one.wanted;
        if object["kind"] == "Namespace" {
            // Without it not even a dry run of the rest is possible.
            write(how, cluster, object, &step.action, done, context).await?;
        } else {
            todo.push(object);
        }
    }
    for object in &todo {
        cluster.write(object, true).await?;
    }
    let action_of = |object: &Value| {
        let id = Id::of(object);
        look.steps.iter().find(|step| step.id == id).map(|step| &step.action)
    };
    let mut waves: Vec<usize> = look.compared.iter().map(|one| wave(&one.wanted)).collect();
    waves.sort_unstable();
    waves.dedup();
    for number in waves {
        for object in todo.iter().filter(|object| wave(object) == number) {
            if let Some(action) = action_of(object) {
                write(how, cluster, object, action, done, context).await?;
            }
        }
        if let Some(timeout) = how.wait {
            let of_wave = look.compared.iter().map(|one| &one.wanted);
            let objects: Vec<&Value> = of_wave.filter(|object| wave(object) == number).collect();
            let ready = &mut done.ready;
            wait::all(cluster, &objects, timeout, context, |object, taken, context| {
                if !runs(object) {
                    return;
                }
                ready.push((Id::of(object).name, taken));
                if !how.told {
                    tell(object, &format!("ready after {}", elapsed(taken)), context);
                }
            })
            .await?;
        }
    }
    for step in look.steps.iter().filter(|step| step.action == Action::Remove) {
        let object = look.owned.iter().find(|object| Id::of(object) == step.id);
        if let Some(object) = object {
            done.removed.push(object.clone());
            delete(cluster, object, context).await?;
        }
    }
    Ok(())
}

/// Whether an object is something that runs.
fn runs(object: &Value) -> bool {
    matches!(
        object["kind"].as_str(),
        Some("Deployment" | "StatefulSet" | "SparkConnect")
    )
}

async fn write(
    how: &How,
    cluster: &mut Cluster,
    object: &Value,
    action: &Action,
    done: &mut Done,
    context: &mut Context,
) -> Outcome<()> {
    // Written down first: what fails half-way may have happened.
    match action {
        Action::Create => done.created.push(object.clone()),
        _ => done.changed.push(object.clone()),
    }
    cluster.write(object, false).await?;
    let what = match action {
        Action::Create => "created",
        _ => "changed",
    };
    if how.told {
        tell(object, what, context);
    }
    Ok(())
}

/// Says what became of an object; in JSON the end says it all.
pub fn tell(object: &Value, what: &str, context: &mut Context) {
    if context.terminal.format() == Format::Text {
        context.terminal.out(format!("{} {what}", Id::of(object).text()));
    }
}

async fn delete(cluster: &mut Cluster, object: &Value, context: &mut Context) -> Outcome<()> {
    let api = cluster.api(object).await?;
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    match api.delete(name, &DeleteParams::background()).await {
        Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
        other => drop(other?),
    }
    tell(object, "removed", context);
    Ok(())
}

/// What was created goes, the last first; what was changed or removed becomes what the record says of it.
async fn undo(cluster: &mut Cluster, done: &Done, before: Option<&[Value]>, context: &mut Context) -> Outcome<()> {
    let mut left = Vec::new();
    for object in done.removed.iter().chain(&done.changed) {
        let id = Id::of(object);
        match before.and_then(|before| before.iter().find(|object| Id::of(object) == id)) {
            Some(old) => {
                cluster.write(old, false).await?;
                tell(old, "as it was", context);
            }
            None => left.push(id.text()),
        }
    }
    for object in done.created.iter().rev() {
        delete(cluster, object, context).await?;
    }
    match left.is_empty() {
        true => Ok(()),
        false => Err(Failure::environment(
            "stoke::platform::undo",
            format!("what these were before is not recorded: {}", left.join(", ")),
        )),
    }
}
