//! The table of states and events in `decide/table.md` is what `decide` does: every state and every event is walked.

use super::*;

/// All states, in the order of the table.
const STATES: [State; 14] = [
    State::New,
    State::Submitted,
    State::Running,
    State::Unknown,
    State::Succeeding,
    State::Failing,
    State::SubmissionFailed,
    State::PendingRerun,
    State::Invalidating,
    State::Suspending,
    State::Suspended,
    State::Resuming,
    State::Completed,
    State::Failed,
];

/// What happens to an application in a state, by the name of its column.
const EVENTS: [&str; 11] = [
    "nothing",
    "accepted",
    "refused",
    "runs",
    "succeeded",
    "failed",
    "gone",
    "retry due",
    "edited",
    "suspend",
    "deadline",
];

/// Seconds between the tries of the application of the table; it is looked at before they are over.
const INTERVAL: i64 = 30;

/// An application in this state with one retry of each kind, restarted by edits; its driver is as it is when the state is entered.
fn in_state(state: State) -> Facts {
    let spec = on_failure(1, INTERVAL);
    let mut facts = match state {
        State::New | State::Resuming | State::PendingRerun => fresh(spec),
        State::SubmissionFailed => {
            let mut facts = fresh(spec);
            round(&mut facts, at(0));
            facts.submission = Some(refused());
            round(&mut facts, at(0));
            facts
        }
        State::Submitted => submitted(spec),
        _ => running(spec),
    };
    annotate(&mut facts, stoke_model::annotations::ON_EDIT, "Restart");
    match state {
        State::Failing | State::Failed => facts.driver = driver(&facts, failed()),
        State::Succeeding | State::Completed => facts.driver = driver(&facts, succeeded()),
        State::Unknown => facts.driver = driver(&facts, Progress::Unknown),
        State::Suspended => {
            facts.driver = Driver::Gone;
            facts.app.status.as_mut().unwrap().driver_info.pod_name = None;
        }
        _ => {}
    }
    facts.app.spec.suspend = Some(matches!(state, State::Suspending | State::Suspended));
    if facts.app.status.is_some() || state != State::New {
        set_state(&mut facts, state);
        let status = facts.app.status.as_mut().unwrap();
        status.observed_generation = facts.app.metadata.generation;
        if matches!(
            state,
            State::Succeeding | State::Failing | State::Completed | State::Failed
        ) {
            status.termination_time = time(10);
        }
    }
    facts
}

/// The facts after an event, and when they are looked at; none where the event cannot happen.
fn after(state: State, event: &str) -> Option<(Facts, i64)> {
    let mut facts = in_state(state);
    let mut now = 11;
    let has_driver = matches!(facts.driver, Driver::Present(_));
    match event {
        "nothing" => {}
        // The answer to a submission that is on record.
        "accepted" | "refused" => {
            if has_driver {
                return None;
            }
            if facts
                .app
                .status
                .as_ref()
                .is_none_or(|status| status.driver_info.pod_name.is_none())
            {
                let intent = decide(&facts, at(now + INTERVAL));
                if asked(&intent) != [Action::Submit] {
                    return None;
                }
                now += INTERVAL;
                write(&mut facts, &intent);
            }
            facts.submission = Some(if event == "accepted" { accepted() } else { refused() });
        }
        "runs" if has_driver => facts.driver = driver(&facts, Progress::Running),
        "succeeded" if has_driver => facts.driver = driver(&facts, succeeded()),
        "failed" if has_driver => facts.driver = driver(&facts, failed()),
        "gone" if has_driver => facts.driver = Driver::Gone,
        "retry due" => now += INTERVAL,
        "edited" => edit(&mut facts),
        "suspend" => {
            let now = facts.app.spec.suspend == Some(true);
            suspend(&mut facts, !now);
        }
        "deadline" => {
            facts.limits.active = Some(SignedDuration::from_secs(1));
            facts.app.status.as_mut()?.start_time.get_or_insert(time(0)?);
        }
        _ => return None,
    }
    Some((facts, now))
}

/// A state and an event: the state entered last, and what is asked for.
fn cell(state: State, event: &str) -> Option<String> {
    let (facts, now) = after(state, event)?;
    let decision = decide(&facts, at(now));
    let entered = path(&facts, &decision).last().map(|state| format!("{state:?}"));
    let asks = asked(&decision).into_iter().map(|action| {
        let word = match action {
            Action::Submit => "submit",
            Action::DeleteDriver(_) => "delete",
            Action::ConfirmDriver(_) => "confirm",
            other => panic!("{state:?} after {event}: {other:?}"),
        };
        word.to_owned()
    });
    let words: Vec<String> = entered.into_iter().chain(asks).collect();
    Some(if words.is_empty() { "-".into() } else { words.join(" ") })
}

fn table() -> String {
    let mut rows = vec![std::iter::once("").chain(EVENTS).map(str::to_owned).collect::<Vec<_>>()];
    for state in STATES {
        let usual = cell(state, EVENTS[0]).unwrap();
        let cells = EVENTS.iter().map(|event| match cell(state, event) {
            Some(cell) if *event == EVENTS[0] || cell != usual => cell,
            Some(_) => "=".to_owned(),
            None => String::new(),
        });
        rows.push(std::iter::once(format!("{state:?}")).chain(cells).collect());
    }
    let widths: Vec<usize> = (0..=EVENTS.len())
        .map(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0))
        .collect();
    let lines = rows.iter().map(|row| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join(" ").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_generated_table_is_what_decide_does() {
    let path = "crates/operator/src/application/decide/table.md";
    assert_eq!(
        stoke_testkit::generated::part(path, "```text\n", "\n```", &table()),
        Ok(())
    );
}
