//! The list of applications, their attempts, and the logs of them.

use super::{Answer, Failure, Library, Query, json, known_attempt, show};
use crate::listing::{Attempt, Listed};

pub(super) fn one_attempt(library: &dyn Library, id: &str, attempt: &str) -> Result<Answer, Failure> {
    match known_attempt(library, id, Some(attempt)) {
        Some(found) => {
            let version = library.version();
            json(move |json| show::attempt(json, &found, &version))
        }
        None => Err(Failure::NotFound(format!("unknown app {id}, attempt {attempt}"))),
    }
}

pub(super) fn logs(library: &dyn Library, id: &str, attempt: Option<&str>) -> Result<Answer, Failure> {
    let listed = library.listed();
    let attempts: Vec<Attempt> = listed
        .iter()
        .filter(|listed| listed.id == id)
        .flat_map(|listed| &listed.attempts)
        .filter(|known| attempt.is_none() || known.id.as_deref() == attempt)
        .cloned()
        .collect();
    // Without an attempt Spark looks for the application, then for its first attempt.
    let there = attempts
        .iter()
        .any(|known| attempt.is_some() || matches!(known.id.as_deref(), None | Some("1")));
    match there {
        true => Ok(Answer::Logs {
            name: match attempt {
                Some(attempt) => format!("eventLogs-{id}-{attempt}.zip"),
                None => format!("eventLogs-{id}.zip"),
            },
            attempts,
        }),
        false => {
            let name = attempt.map_or_else(|| format!("{id}/1"), |attempt| format!("{id}/{attempt}"));
            Err(Failure::NotFound(format!("no such app: {name}")))
        }
    }
}

pub(super) fn applications(library: &dyn Library, query: &Query) -> Result<Answer, Failure> {
    let statuses = query.names("status", &["COMPLETED", "RUNNING"])?;
    let limit = match query.first("limit") {
        None | Some("") => usize::MAX,
        Some(limit) => usize::try_from(limit.parse::<i32>().map_err(|_| Failure::NoPage)?).unwrap_or(0),
    };
    // 2010-01-01 and 3000-01-01
    let (earliest, latest) = (1_262_304_000_000, 32_503_680_000_000);
    let (start, until) = (query.date("minDate", earliest)?, query.date("maxDate", latest)?);
    let (min_end, max_end) = (query.date("minEndDate", earliest)?, query.date("maxEndDate", latest)?);
    let (listed, now) = (library.listed(), library.now());
    let wanted = move |one: &Listed| {
        let running = one.attempts.first().is_none_or(|attempt| !attempt.completed);
        let name = if running { "RUNNING" } else { "COMPLETED" };
        let in_range = |attempt: &Attempt| {
            let end = match running {
                true => max_end > now,
                false => (min_end..=max_end).contains(&attempt.end),
            };
            (start..=until).contains(&attempt.start) && end
        };
        (statuses.is_empty() || statuses.contains(&name)) && one.attempts.iter().any(in_range)
    };
    let version = library.version();
    json(move |json| {
        let page = listed.iter().filter(|one| wanted(one)).take(limit);
        json.list(page, |json, one| show::application(json, one, &version));
    })
}
