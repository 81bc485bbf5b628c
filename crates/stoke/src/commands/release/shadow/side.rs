//! One run in the shadow: the keys of its shadow are put where the operator takes them, the application runs, and its result is returned.

use std::time::Duration;

use kube::ResourceExt;
use kube::api::Api;
use stoke_insight::cost::{self, Amounts, Prices};
use stoke_insight::doctor::examine;
use stoke_insight::facts::Run;
use stoke_laptop::follow::{Seen, follow};
use stoke_laptop::session::Session;
use stoke_laptop::{Kind, apply, gather, object_store};
use stoke_model::crd::{ApplicationStateType, SparkApplication};
use stoke_objectstore::REGION;
use stoke_objectstore::shadow::Shadow;
use stoke_release::shadow::Side;

use super::NAMESPACE;
use super::job::Job;
use crate::cli::Context;
use crate::failure::{Failure, Outcome};
use crate::shown::Shown;

/// What both runs have in common.
pub struct Making<'a> {
    pub session: &'a Session,
    /// Where the object store listens.
    pub endpoint: String,
    pub prices: Option<&'a Prices>,
    pub timeout: Option<Duration>,
}

/// What became of a run.
pub struct Ran {
    pub side: Side,
    /// What its event log says.
    pub run: Option<Run>,
    /// What it took, without the rounding of [`Side`].
    pub amounts: Option<Amounts>,
}

/// Runs a job to its end. A job that fails is a result, not an error.
pub async fn run(making: &Making<'_>, job: &Job, shadow: &Shadow, context: &mut Context) -> Outcome<Ran> {
    let session = making.session;
    let access = object_store::access(&making.endpoint, REGION, shadow.credentials());
    object_store::put_secret(&session.client, NAMESPACE, &object_store::variables(&access)).await;
    let mut manifest = job.manifest.clone();
    manifest.upload(session.uploads(&context.home).as_deref())?;
    let mut application = None;
    for document in &manifest.documents {
        if document.kind == "SparkApplication" {
            application = Some(apply::create_application(&session.client, NAMESPACE, &document.value).await?);
        } else {
            apply::apply(&session.client, NAMESPACE, &document.value).await?;
        }
    }
    let Some(application) = application else {
        return Err(Failure::input("stoke::run::no-application", "no SparkApplication"));
    };
    let name = application.name_any();
    let applications: Api<SparkApplication> = Api::namespaced(session.client.clone(), NAMESPACE);
    let mut shown = Shown::beside(&name, &mut context.terminal);
    let followed = follow(&session.client, &application, making.timeout, &mut shown).await;
    context.terminal.end_status();
    let failed = match followed {
        Ok(seen) => why(&seen),
        Err(error) if error.kind == Kind::TimedOut => Some(error.diagnostic.message.clone()),
        Err(error) => {
            // Nothing of it may write any more when what it wrote is removed.
            apply::delete(&applications, &name).await?;
            return Err(error.into());
        }
    };
    let facts = match gather::of_namespace(session, NAMESPACE, &name, &context.home).await? {
        Some(gathered) => Some(gathered.facts().await?),
        None => None,
    };
    apply::delete(&applications, &name).await?;
    let mut side = Side {
        failed,
        ..Side::default()
    };
    let mut amounts = None;
    if let Some(facts) = &facts {
        if let (Some(failed), Some(finding)) = (&mut side.failed, examine(facts).first()) {
            *failed = format!("{failed}; {}", finding.message);
        }
        if let Some(run) = &facts.run {
            side.application.clone_from(&run.id);
            side.milliseconds = Some(run.duration());
            let bill = cost::of(run, facts.cluster.as_ref(), making.prices)
                .map_err(|error| Failure::input(error.code(), error))?;
            side.core_seconds = i64::try_from(bill.total.core_seconds()).ok();
            side.gib_seconds = i64::try_from(bill.total.gib_seconds()).ok();
            side.cost = bill
                .currency
                .as_ref()
                .map(|currency| format!("{} {currency}", bill.total.cost));
            amounts = Some(bill.total);
        }
    }
    requests(&mut side, shadow);
    Ok(Ran {
        side,
        run: facts.and_then(|facts| facts.run),
        amounts,
    })
}

/// Why it did not complete, if it did not.
fn why(seen: &Seen) -> Option<String> {
    let status = seen.application.status.as_ref();
    let state = status.map(|status| &status.app_state);
    match state {
        Some(state) if state.state == ApplicationStateType::Completed => None,
        Some(state) if !state.error_message.is_empty() => Some(state.error_message.clone()),
        _ => Some("it did not complete".to_owned()),
    }
}

/// What its access log says.
fn requests(side: &mut Side, shadow: &Shadow) {
    let seen = shadow.log().seen();
    side.reads = seen.reads;
    side.writes = seen.writes;
    side.changed = seen.changed;
    side.strays = seen.strays;
    side.log_broken = seen.broken;
    for refusal in seen.refusals {
        let is_read = ["Get", "Head", "List"]
            .iter()
            .any(|verb| refusal.operation.starts_with(verb));
        let text = format!("{} {}", refusal.operation, refusal.object);
        match is_read {
            true => side.refused_reads.insert(text),
            false => side.refused_writes.insert(text),
        };
    }
}
