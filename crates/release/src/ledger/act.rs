//! The steps of a promotion: the intent is written, the release is brought there, its end is written. Given again after any interruption, it goes on where it
//! stopped; bringing the release there twice must change nothing, which is asked of [`Deliver`].

use jiff::{SignedDuration, Timestamp};
use stoke_diagnostics::Diagnostic;

use super::decide::{Plan, Standing};
use super::entry::{Entry, Event, Head};
use super::history::History;
use super::keep::{Ledger, LedgerError};

/// How long an intent holds others up.
pub const LEASE: SignedDuration = SignedDuration::from_mins(10);

/// Brings a release to an environment; a second time changes nothing.
pub trait Deliver {
    fn deliver(&mut self, plan: &Plan) -> impl Future<Output = Result<(), Diagnostic>>;
}

/// Why it did not come to its end.
#[derive(Debug)]
pub enum Stopped {
    /// What speaks against it; nothing was done.
    Refused(Vec<Diagnostic>),
    /// It was not brought there; the intent is open, and the command given again goes on.
    NotDelivered(Box<Diagnostic>),
    Ledger(LedgerError),
}

impl From<LedgerError> for Stopped {
    fn from(error: LedgerError) -> Self {
        Stopped::Ledger(error)
    }
}

/// Does what `decide` says of the history. `clock` gives the time.
///
/// # Errors
/// See [`Stopped`].
pub async fn carry_out(
    ledger: &Ledger,
    known: Option<&Head>,
    clock: &dyn Fn() -> Timestamp,
    mut decide: impl FnMut(&History) -> Result<Plan, Vec<Diagnostic>>,
    deliver: &mut impl Deliver,
) -> Result<(Plan, Vec<Entry>), Stopped> {
    for _ in 0..20 {
        let mut entries = ledger.read(known).await?;
        let plan = decide(&History::of(&entries)).map_err(Stopped::Refused)?;
        match begin(ledger, &mut entries, &plan).await {
            Ok(None) => return Ok((plan, entries)),
            Ok(Some(intent)) => {
                deliver
                    .deliver(&plan)
                    .await
                    .map_err(|why| Stopped::NotDelivered(Box::new(why)))?;
                let entries = end(ledger, known, &plan, intent, clock).await?;
                return Ok((plan, entries));
            }
            Err(LedgerError::Taken(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(LedgerError::Busy(ledger.url().to_owned()).into())
}

async fn begin(ledger: &Ledger, entries: &mut Vec<Entry>, plan: &Plan) -> Result<Option<u64>, LedgerError> {
    let abandon = match &plan.standing {
        Standing::Done => return Ok(None),
        Standing::Resume { intent } => return Ok(Some(*intent)),
        Standing::New { abandon } => abandon,
    };
    if let Some(intent) = abandon {
        let event = Event::Abandoned {
            environment: plan.environment.clone(),
            intent: *intent,
            why: "another one took its place".to_owned(),
        };
        ledger.add(entries, event, plan.now).await?;
    }
    let event = Event::Intended {
        release: plan.release.clone(),
        environment: plan.environment.clone(),
        step: plan.step,
        replaces: plan.replaces.clone(),
        until: plan.now.checked_add(LEASE).unwrap_or(plan.now),
    };
    ledger.add(entries, event, plan.now).await.map(Some)
}

async fn end(
    ledger: &Ledger,
    known: Option<&Head>,
    plan: &Plan,
    intent: u64,
    clock: &dyn Fn() -> Timestamp,
) -> Result<Vec<Entry>, Stopped> {
    ledger
        .record(known, |history| {
            let open = history.place(&plan.environment).and_then(|place| place.open.as_ref());
            if open.is_none_or(|open| open.sequence != intent) {
                let place = history.place(&plan.environment);
                return match place.and_then(|place| place.current()) == Some(&plan.release) {
                    true => Ok(None),
                    false => Err(Stopped::NotDelivered(Box::new(
                        Diagnostic::new(
                            stoke_diagnostics::Severity::Error,
                            "release-overtaken",
                            format!(
                                "{}: another one took the place of this step while it ran",
                                plan.environment
                            ),
                        )
                        .with_fix("see `stoke release status`, and give the command again if it is still wanted"),
                    ))),
                };
            }
            let event = Event::Deployed {
                release: plan.release.clone(),
                environment: plan.environment.clone(),
                intent,
            };
            Ok(Some((event, clock())))
        })
        .await
}
