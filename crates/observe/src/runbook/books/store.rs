//! An object store that is away or refuses.

use super::super::action::{Action, Change, Plan};
use super::super::book::{Does, Read, Runbook, Step};
use super::super::case::{Case, Held, Seen, Unknown};
use super::super::spark;
use super::shared::{ANY_APPLICATION, SETTLE, STORE, WITHIN, hold, on_edit, put_back, release, repair, runs_after};

const BROKEN: &[&str] = &["denied", "down"];

pub static BOOK: Runbook = Runbook {
    name: "object-store",
    title: "The object store is away or refuses",
    when: "Paths of an object store cannot be listed, read or written. Schedules begin no runs that can only fail until a probe with real requests succeeds again.",
    codes: &[
        "s3-access-denied",
        "s3-credentials-missing",
        "s3-bucket-missing",
        "s3-slow-down",
        "s3-wrong-region",
        "s3-endpoint-unreachable",
        "store-access-denied",
        "service-unreachable",
        "write-failed",
    ],
    parameters: &[STORE, ANY_APPLICATION, SETTLE, WITHIN],
    steps: &[
        Step {
            name: "list",
            what: "Can the place be listed, is access denied, or does no one answer?",
            only: &[],
            reads: &[Read::Store, Read::Application],
            does: Does::Check(check),
        },
        hold(BROKEN),
        Step {
            name: "repaired",
            what: "Repair the store, or its credentials (the runbook rotate-secrets), then go on.",
            only: BROKEN,
            reads: &[],
            does: Does::Pause,
        },
        Step {
            name: "lists",
            what: "The place can be listed.",
            only: BROKEN,
            reads: &[Read::Store],
            does: Does::Verify {
                holds: lists,
                within: 600,
            },
        },
        Step {
            name: "probe",
            what: "Write a small file there, read it and delete it.",
            only: &[],
            reads: &[Read::Store],
            does: Does::Act {
                rights: &[],
                plan: plan_probe,
                undo: "",
            },
        },
        release(BROKEN),
        repair(&[]),
        runs_after(&[]),
        put_back(&[]),
    ],
    limits: &[
        "The probe goes with the access of who runs the command, which may differ from an application's: `stoke doctor` tells what the application was answered.",
        "Tried with the embedded S3 store; Google Cloud Storage and Azure go the same way through the same client.",
    ],
};

fn check(case: &Case<'_>) -> Result<Seen, Unknown> {
    let application = case.one(Read::Application)?;
    let failed = application.is_some_and(|application| spark::state(application) == "FAILED");
    let seen = match case.tried(Read::Store)? {
        (true, says) if !failed => return Ok(Seen::go(format!("{says}; what remains is to write there")).on("lists")),
        (true, says) => Seen::go(format!("{says}; the application that failed of it may run again")).on("lists"),
        (false, says) => {
            let is_denied = [
                "403",
                "Forbidden",
                "Denied",
                "denied",
                "credentials",
                "Signature",
                "InvalidAccessKeyId",
            ]
            .iter()
            .any(|word| says.contains(word));
            Seen::go(says).on(if is_denied { "denied" } else { "down" })
        }
    };
    // What ended well is not run again.
    Ok(seen.keep("onEdit", application.map(on_edit).unwrap_or_default()))
}

fn lists(case: &Case<'_>) -> Result<Held, Unknown> {
    let (listed, says) = case.tried(Read::Store)?;
    Ok(Held::when(listed, says, says))
}

fn plan_probe(case: &Case<'_>) -> Result<Plan, Unknown> {
    let place = case.input.text("store").to_owned();
    let name = format!("_stoke-probe-{}", case.record);
    Ok(Plan::new(
        format!("one file of a few bytes at {place}, for a moment"),
        vec![Change::only(Action::Probe { place, name })],
    ))
}
