//! Waits for logs: what is decided before an end and before a deletion, by how far the copies are.

use super::*;

const FILE: &str = "pi-driver.log.gz";

/// An application whose driver has failed and whose logs are kept; its log is this far, and it has waited so many seconds.
fn ended(copy: Option<LogCopy>, waited: Option<i64>) -> Facts {
    let mut facts = running(never());
    facts.driver = driver(&facts, failed());
    let status = facts.app.status.as_ref().unwrap();
    let submission = status.submission_id.clone().unwrap();
    facts.logs = Some(Logs {
        hold: SignedDuration::from_secs(20),
        place: "s3://logs/default/pi".into(),
        run: format!("1-{}", crate::names::trace_id(&submission)),
        any_kept: matches!(copy, Some(LogCopy::Kept { .. })),
        copies: copy.into_iter().map(|copy| (FILE.to_owned(), copy)).collect(),
        waited: waited.map(SignedDuration::from_secs),
        ..Logs::default()
    });
    facts
}

#[test]
fn an_end_waits_for_its_logs_and_not_for_ever() {
    let under_way = || Some(LogCopy::UnderWay(None));
    for (copy, waited, left, reported) in [
        (None, None, Some(20), false),
        (under_way(), Some(5), Some(15), false),
        (under_way(), Some(20), None, true),
        (Some(LogCopy::Kept { removed: false }), Some(1), None, false),
        (Some(LogCopy::Absent), Some(1), None, false),
        (Some(LogCopy::Failed("denied".into())), Some(1), None, true),
    ] {
        let facts = ended(copy.clone(), waited);
        let decision = decide(&facts, at(60));
        let ends = decision.status.app_state.state == State::Failed;
        assert_eq!(ends, left.is_none(), "{copy:?} {waited:?}");
        if let Some(left) = left {
            assert_eq!(decision.requeue_at, wait(60 + left), "{copy:?}");
            assert!(!decision.actions.contains(&Action::Write), "{copy:?}");
        }
        let reports = |action: &Action| matches!(action, Action::ReportMissingLogs { .. });
        assert_eq!(decision.actions.iter().any(reports), reported, "{copy:?} {waited:?}");
    }
}

#[test]
fn the_list_has_the_order_in_which_an_end_is_done() {
    let begun = decide(&ended(None, None), at(60)).actions;
    assert!(
        matches!(&begun[..], [Action::CopyLogs { logs, .. }, Action::HoldForLogs { last: false, .. }] if logs[0].file == FILE),
        "{begun:?}"
    );
    let kept = decide(&ended(Some(LogCopy::Kept { removed: false }), Some(1)), at(60));
    assert_eq!(
        kept.actions,
        [
            Action::RemoveCompanions,
            Action::Write,
            Action::Publish,
            Action::ForgetLogs
        ]
    );
    let place = kept.status.kept_logs.unwrap();
    assert!(place.starts_with("s3://logs/default/pi/1-"), "{place}");
}

#[test]
fn a_driver_is_deleted_after_its_log_is_kept() {
    for (copy, deletes) in [(None, false), (Some(LogCopy::Kept { removed: false }), true)] {
        let mut facts = ended(copy.clone(), None);
        facts.driver = driver(&facts, Progress::Running);
        suspend(&mut facts, true);
        let decision = decide(&facts, at(60));
        // That it is being suspended is on record before.
        assert!(decision.actions.contains(&Action::Write), "{copy:?}");
        assert_eq!(asked(&decision) == delete_driver(), deletes, "{copy:?}");
    }
}

#[test]
fn policies_are_asked_before_a_submission() {
    let mut facts = fresh(never());
    facts.unjudged = true;
    assert_eq!(asked(&round(&mut facts, at(0))), [Action::Judge]);
    facts.unjudged = false;
    assert_eq!(asked(&decide(&facts, at(0))), [Action::Submit]);
    facts.submission = Some(refused());
    assert_eq!(state(&decide(&facts, at(0))), State::Failed);
}
