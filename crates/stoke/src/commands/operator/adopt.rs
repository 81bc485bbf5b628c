//! `stoke operator adopt`: takes over what another operator left running.

use std::path::PathBuf;

use jiff::Timestamp;
use kube::Client;
use serde_json::json;
use stoke_model::crd::ApplicationStateType as State;
use stoke_operator::adopt::{Carried, Intent, Plan, carry_out, judge, look, rivals};

use super::run::kube_config;
use crate::cli::Context;
use crate::failure::{Failure, Outcome};
use crate::terminal::{Format, table};

/// How often an application that changes meanwhile is looked at again.
const LOOKS: usize = 5;

/// What is adopted, and whether at all.
#[derive(clap::Args)]
#[command(after_help = "\
Nothing is restarted: driver and executors go on, and the operator that is started next follows them. Without --yes nothing is written.
Done again, it does what is missing. The other operator must not run: its Deployment is to be scaled to 0 first.")]
pub struct Arguments {
    /// Do it, instead of telling what would be done
    #[arg(long)]
    yes: bool,
    /// Do it even if an operator seems to be at work
    #[arg(long)]
    force: bool,
    /// Namespace of the applications [default: all of them]
    #[arg(long, short = 'n', value_name = "NAME")]
    namespace: Option<String>,
    /// Context of your kubeconfig [default: the current one]
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Path of a kubeconfig [default: the pod's service account, else $KUBECONFIG, else ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
}

/// Runs the command.
pub async fn run(arguments: &Arguments, context: &mut Context) -> Outcome<u8> {
    let config = kube_config(arguments.kubeconfig.as_ref(), arguments.context.as_ref()).await?;
    let client = Client::try_from(config)?;
    let rivals = rivals(&client, Timestamp::now()).await?;
    for rival in &rivals {
        context.terminal.note(format!("{}\n  fix: {}", rival.what, rival.fix));
    }
    if arguments.yes && !arguments.force && !rivals.is_empty() {
        return Err(Failure::input(
            "stoke::operator::adopt::rival",
            "an operator seems to be at work, and two of them on one application can start its driver twice; nothing was written",
        )
        .fix("do what is listed above, or pass --force"));
    }
    let plans = plans(&client, arguments.namespace.as_deref()).await?;
    let adopted = if arguments.yes {
        let mut failed = 0_usize;
        for plan in plans.iter().filter(|plan| plan.intent == Intent::Adopt) {
            if let Err(failure) = adopt(&client, plan.clone()).await {
                failed += 1;
                context.terminal.note(format!(
                    "{}/{}: {}",
                    plan.namespace, plan.name, failure.diagnostic.message
                ));
            }
        }
        if failed > 0 {
            return Err(Failure::environment(
                "stoke::operator::adopt::incomplete",
                format!("{failed} of the applications could not be adopted"),
            )
            .fix("give the same command again: what was done is found done"));
        }
        true
    } else {
        false
    };
    tell(&plans, adopted, context);
    Ok(0)
}

async fn plans(client: &Client, namespace: Option<&str>) -> Outcome<Vec<Plan>> {
    let found = look(client, namespace).await.map_err(|error| match error {
        kube::Error::Api(status) if status.code == 404 => Failure::input(
            "stoke::operator::adopt::no-definitions",
            "the cluster has no SparkApplications: its definition is not installed",
        ),
        other => other.into(),
    })?;
    Ok(found.iter().map(judge).collect())
}

/// Takes the steps; an application that changed meanwhile is judged again.
async fn adopt(client: &Client, mut plan: Plan) -> Outcome<()> {
    for _ in 0..LOOKS {
        let Carried::Changed(_) = carry_out(client, &plan).await? else {
            return Ok(());
        };
        let name = plan.name.clone();
        let again = plans(client, Some(&plan.namespace)).await?;
        match again.into_iter().find(|plan| plan.name == name) {
            Some(next) if next.intent == Intent::Adopt => plan = next,
            _ => return Ok(()),
        }
    }
    Err(Failure::environment(
        "stoke::operator::adopt::changing",
        "it changes all the time; someone else is at work on it",
    ))
}

fn tell(plans: &[Plan], adopted: bool, context: &mut Context) {
    let terminal = &mut context.terminal;
    if terminal.format() == Format::Json {
        let plans: Vec<_> = plans
            .iter()
            .map(|plan| {
                let steps: Vec<String> = plan.steps.iter().map(stoke_operator::adopt::Step::describe).collect();
                json!({
                    "namespace": plan.namespace, "name": plan.name, "state": plan.state, "driver": plan.driver, "submissionID": plan.submission_id,
                    "intent": intent(plan, adopted), "why": plan.why, "steps": steps,
                })
            })
            .collect();
        terminal.json(&json!({ "applications": plans }));
        return;
    }
    let heading = ["NAMESPACE", "NAME", "STATE", "DRIVER", "SUBMISSION", "DOES", "WHY"]
        .map(str::to_owned)
        .to_vec();
    let mut rows = vec![heading];
    for plan in plans {
        let id = plan.submission_id.as_deref().unwrap_or("-");
        rows.push(vec![
            plan.namespace.clone(),
            plan.name.clone(),
            state(plan.state),
            plan.driver.clone().unwrap_or_else(|| "-".to_owned()),
            id.get(..8).unwrap_or(id).to_owned(),
            intent(plan, adopted).to_owned(),
            plan.why.clone(),
        ]);
    }
    if plans.is_empty() {
        terminal.out("there are no applications");
        return;
    }
    for row in table(&rows) {
        terminal.out(row);
    }
    let count = plans.iter().filter(|plan| plan.intent == Intent::Adopt).count();
    match (adopted, count) {
        (_, 0) => terminal.note("nothing is to be adopted"),
        (false, count) => terminal.note(format!("{count} to adopt; nothing was written: give --yes to do it")),
        (true, count) => terminal.note(format!("{count} adopted; start the operator now")),
    }
}

fn intent(plan: &Plan, adopted: bool) -> &'static str {
    match plan.intent {
        Intent::Adopt if adopted => "adopted",
        Intent::Adopt => "adopt",
        Intent::Adopted => "nothing",
        Intent::Leave => "leave",
    }
}

/// The published word; a dash for an application without one.
fn state(state: State) -> String {
    let word = serde_json::to_value(state).unwrap_or_default();
    word.as_str().filter(|word| !word.is_empty()).unwrap_or("-").to_owned()
}
