//! Answers beside each other.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use stoke_history::index::Index;
use stoke_history::rest::Library;

use crate::recorded::Answers;
use crate::server::{Answered, ask};
use crate::urls;

/// What a secret is shown as.
const HIDDEN: &str = "*********(redacted)";

/// A place in an answer and how it differs.
pub struct Difference {
    pub url: String,
    pub place: String,
    pub what: String,
}

/// What Spark's server says to a question: it is asked, or what it said is kept.
pub type Real<'a> = dyn Fn(&str) -> Result<Answered, String> + 'a;

/// Asks both servers everything that is wanted.
pub fn all(
    real: &Real<'_>,
    ours: &Arc<Index>,
    name: &str,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<Vec<Difference>, String> {
    let mut differences = Vec::new();
    let mut asked = 0;
    let mut compare = |url: &str, unfinished: bool| -> Result<(), String> {
        if !wanted(url) {
            return Ok(());
        }
        asked += 1;
        answers(url, unfinished, &real(url)?, &ask(ours, url), &mut differences);
        Ok(())
    };
    for url in urls::of_list() {
        compare(&url, false)?;
    }
    // Without an answer fewer questions would follow.
    let unanswered = RefCell::new(None);
    let question = |url: &str| match real(url) {
        Ok(answered) if answered.status == 200 => serde_json::from_slice(&answered.body).ok(),
        Ok(_) => None,
        Err(why) => {
            unanswered.replace(Some(why));
            None
        }
    };
    for listed in ours.listed().iter() {
        let id = &listed.id;
        compare(&format!("applications/{id}"), false)?;
        compare(&format!("applications/{id}/nothing"), false)?;
        for attempt in &listed.attempts {
            let base = match &attempt.id {
                Some(attempt) => format!("applications/{id}/{attempt}"),
                None => format!("applications/{id}"),
            };
            if attempt.id.is_some() {
                compare(&base, false)?;
                compare(&format!("applications/{id}/jobs"), false)?;
            }
            for url in urls::of_attempt(&base, &question) {
                compare(&url, !attempt.completed)?;
            }
        }
    }
    if let Some(why) = unanswered.into_inner() {
        return Err(why);
    }
    eprintln!("{name}: {asked} questions, {} differences", differences.len());
    Ok(differences)
}

/// How what is recorded differs from what is answered now. Of applications that have not ended more depends on when they are asked about.
pub fn drift(recorded: &Answers, live: &Answers) -> Vec<Difference> {
    let mut differences = Vec::new();
    for (url, live) in live {
        match recorded.get(url) {
            Some(recorded) => answers(url, true, live, recorded, &mut differences),
            None => differences.push(Difference {
                url: url.clone(),
                place: "question".to_owned(),
                what: "not in the record".to_owned(),
            }),
        }
    }
    differences
}

fn answers(url: &str, unfinished: bool, real: &Answered, ours: &Answered, out: &mut Vec<Difference>) {
    let mut differ = |place: &str, what: String| {
        out.push(Difference {
            url: url.to_owned(),
            place: place.to_owned(),
            what,
        });
    };
    if real.status != ours.status {
        return differ(
            "status",
            format!(
                "{} is {} here: {}",
                real.status,
                ours.status,
                String::from_utf8_lossy(&real.body)
                    .chars()
                    .take(200)
                    .collect::<String>()
            ),
        );
    }
    let kind = |answered: &Answered| answered.kind.split(';').next().unwrap_or_default().to_owned();
    if kind(real) != kind(ours) {
        return differ("content type", format!("{} is {} here", real.kind, ours.kind));
    }
    match kind(real).as_str() {
        "application/json" => {
            let parsed = |body: &[u8]| serde_json::from_slice::<Value>(body);
            match (parsed(&real.body), parsed(&ours.body)) {
                (Ok(mut real), Ok(mut ours)) => {
                    for answer in [&mut real, &mut ours] {
                        mask(answer);
                        if unfinished {
                            mask_driver(answer);
                        }
                    }
                    values("", &real, &ours, &mut differ);
                }
                (Err(_), _) if real.body == ours.body => {}
                (_, Err(error)) => differ("", format!("not JSON here: {error}")),
                (Err(error), _) => differ("", format!("not JSON there: {error}")),
            }
        }
        // Of a zip its entries are listed.
        "text/plain" | "application/octet-stream" if real.body != ours.body => differ(
            "text",
            format!(
                "{} is {} here",
                String::from_utf8_lossy(&real.body),
                String::from_utf8_lossy(&ours.body)
            ),
        ),
        // The page of an error names an object of the server.
        _ => {}
    }
}

/// What depends on when a server was asked or looked at a log: how long what still runs has run, and when an application that has not
/// ended was updated last (Spark takes the moment it looked).
fn mask(value: &mut Value) {
    match value {
        Value::Array(all) => all.iter_mut().for_each(mask),
        Value::Object(fields) => {
            let status = fields.get("status").and_then(Value::as_str).unwrap_or_default();
            let running = matches!(status, "RUNNING" | "GET RESULT");
            let of_time = ["planDescription", "taskId", "rootExecutionId"];
            if running && of_time.iter().any(|field| fields.contains_key(*field)) {
                fields.remove("duration");
                // Of a running task this is what is left of its duration.
                fields.remove("schedulerDelay");
                fields.remove("gettingResultTime");
            }
            if fields.get("completed") == Some(&Value::Bool(false)) {
                fields.remove("lastUpdated");
                fields.remove("lastUpdatedEpoch");
            }
            if fields.get("runningQueries").is_some_and(|running| *running != 0) {
                fields.remove("averageDuration");
            }
            fields.values_mut().for_each(mask);
        }
        _ => {}
    }
}

/// The driver of an application that has not ended has run until now.
fn mask_driver(value: &mut Value) {
    for executor in value.as_array_mut().into_iter().flatten() {
        if executor["id"] == "driver"
            && let Some(fields) = executor.as_object_mut()
        {
            fields.remove("totalDuration");
        }
    }
}

fn values(place: &str, real: &Value, ours: &Value, differ: &mut dyn FnMut(&str, String)) {
    match (real, ours) {
        (Value::Object(a), Value::Object(b)) => {
            for (key, value) in a {
                let inner = format!("{place}.{key}");
                match b.get(key) {
                    Some(other) => values(&inner, value, other, differ),
                    None => differ(&inner, format!("{} is missing here", short(value))),
                }
            }
            for (key, value) in b.iter().filter(|(key, _)| !a.contains_key(*key)) {
                differ(&format!("{place}.{key}"), format!("{} is not there", short(value)));
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (at, (a, b)) in a.iter().zip(b).enumerate() {
                values(&format!("{place}[{at}]"), a, b, differ);
            }
        }
        (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() && a.is_f64() == b.is_f64() => {}
        // More is hidden here than an older Spark hides.
        (Value::String(_), Value::String(hidden)) if hidden == HIDDEN && place.contains("Properties") => {}
        (a, b) if a == b => {}
        (a, b) => differ(place, format!("{} is {} here", short(a), short(b))),
    }
}

/// A value for people; of a long list of things with ids, the ids.
fn short(value: &Value) -> String {
    let id = |one: &Value| {
        let fields = ["id", "jobId", "stageId", "taskId", "blockName"];
        fields.iter().find_map(|field| one.get(field).map(Value::to_string))
    };
    let ids: Option<Vec<String>> = value.as_array().and_then(|all| all.iter().map(id).collect());
    let text = match ids {
        Some(ids) if !ids.is_empty() => format!("those of {}", ids.join(" ")),
        _ => value.to_string(),
    };
    match text.chars().count() > 300 {
        true => format!("{}…", text.chars().take(300).collect::<String>()),
        false => text,
    }
}

/// Differences by place, each with its first example.
pub fn report(differences: &[Difference]) -> String {
    let mut by_place: BTreeMap<String, (usize, &Difference)> = BTreeMap::new();
    for one in differences {
        let place: String = one
            .place
            .split('.')
            .map(|part| part.split('[').next().unwrap_or(part))
            .filter(|part| part.parse::<i64>().is_err())
            .collect::<Vec<_>>()
            .join(".");
        by_place.entry(place).or_insert((0, one)).0 += 1;
    }
    let mut out = format!("{} differences\n", differences.len());
    for (place, (count, first)) in by_place {
        out.push_str(&format!(
            "{count} x {place}\n    {} {}\n    {}\n",
            first.url, first.place, first.what
        ));
    }
    out
}
