//! `stoke platform diff` and `status`: what is there, against what is wanted.

use serde_json::{Value, json};
use stoke_model::units::people::counted;
use stoke_platform::plan::{Action, Id, Readiness, Step, readiness};

use super::Placed;
use super::cluster::Cluster;
use crate::cli::Context;
use crate::failure::Outcome;
use crate::terminal::{Format, table};

/// Shows what `apply` would change; exit code 1 when it would.
pub async fn diff(placed: &Placed, context: &mut Context) -> Outcome<u8> {
    let (resolved, client) = placed.open(context).await?;
    let look = Cluster::new(client).look(&resolved.scope()).await?;
    let steps: Vec<&Step> = look.steps.iter().filter(|step| step.action != Action::Keep).collect();
    match context.terminal.format() {
        Format::Json => context
            .terminal
            .json(&json!({"environment": resolved.environment, "steps": steps})),
        Format::Text => {
            for step in &steps {
                shown(step).into_iter().for_each(|line| context.terminal.out(line));
            }
            if steps.is_empty() {
                context.terminal.out("the cluster is as the file says");
            }
        }
    }
    Ok(u8::from(!steps.is_empty()))
}

/// A step in lines.
pub fn shown(step: &Step) -> Vec<String> {
    let id = step.id.text();
    match &step.action {
        Action::Create => vec![format!("+ {id}")],
        Action::Keep => Vec::new(),
        Action::Remove => vec![format!("- {id}")],
        Action::Leave => vec![format!("  {id} is no longer named and keeps data: it stays")],
        Action::Foreign => vec![format!("! {id} is there and not this platform's")],
        Action::Change { changes } => {
            let side = |value: &Value| match value {
                Value::Null => "nothing".to_owned(),
                value => stoke_diagnostics::printable(&value.to_string())
                    .chars()
                    .take(100)
                    .collect(),
            };
            let lines = changes
                .iter()
                .map(|change| format!("    {}: {} -> {}", change.path, side(&change.from), side(&change.to)));
            std::iter::once(format!("~ {id}")).chain(lines).collect()
        }
    }
}

/// Shows whether components work, and drift; exit code 1 unless all is well.
pub async fn status(placed: &Placed, context: &mut Context) -> Outcome<u8> {
    let (resolved, client) = placed.open(context).await?;
    let scope = resolved.scope();
    let look = Cluster::new(client).look(&scope).await?;
    let mut rows = Vec::new();
    let mut all = Vec::new();
    let (mut waiting, mut drifted) = (0, 0);
    for step in &look.steps {
        let object = look.compared.iter().find(|one| Id::of(&one.wanted) == step.id);
        let there = object.and_then(|one| one.there.as_ref());
        let state = match (&step.action, there.map(readiness)) {
            (Action::Create, _) => "missing".to_owned(),
            (Action::Remove, _) => "no longer named".to_owned(),
            (Action::Leave, _) => "keeps data, no longer named".to_owned(),
            (Action::Foreign, _) => "not this platform's".to_owned(),
            (_, Some(Readiness::Coming(why))) => why,
            (_, Some(Readiness::Failed(why))) => format!("failed: {why}"),
            _ => "ready".to_owned(),
        };
        let drift: Vec<&str> = match &step.action {
            Action::Change { changes } => changes.iter().map(|change| change.path.as_str()).collect(),
            _ => Vec::new(),
        };
        waiting += usize::from(state != "ready");
        drifted += usize::from(!drift.is_empty());
        all.push(json!({"kind": step.id.kind, "name": step.id.name, "state": state, "drift": drift}));
        if state != "ready" || !drift.is_empty() || there.is_some_and(|there| there["spec"]["template"].is_object()) {
            let drift = drift.join(", ");
            rows.push(vec![step.id.kind.clone(), step.id.name.clone(), state, drift]);
        }
    }
    let is_well = waiting == 0 && drifted == 0;
    match context.terminal.format() {
        Format::Json => context
            .terminal
            .json(&json!({"name": scope.platform.name, "environment": scope.environment,
            "namespace": scope.namespace(), "ready": waiting == 0, "drifted": drifted, "objects": all})),
        Format::Text => {
            if !rows.is_empty() {
                rows.insert(
                    0,
                    ["KIND", "NAME", "STATE", "CHANGED BY OTHERS"]
                        .map(str::to_owned)
                        .to_vec(),
                );
                table(&rows).into_iter().for_each(|line| context.terminal.out(line));
            }
            let of = counted(look.steps.len(), "object");
            context.terminal.out(match is_well {
                true => format!("{of}: all ready, as the file says"),
                false => format!("{of}: {waiting} not ready, {drifted} changed by others"),
            });
        }
    }
    Ok(u8::from(!is_well))
}
