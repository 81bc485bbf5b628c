//! A quota that refuses pods.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stoke_model::quantity::Quantity;

use super::super::action::{Change, Plan};
use super::super::book::{Does, Kind, Read, Runbook, Step};
use super::super::case::{Case, Seen, Unknown};
use super::super::spark;
use super::shared::{APPLICATION, SETTLE, WITHIN, on_edit, put_back, repair, runs_after};

pub static BOOK: Runbook = Runbook {
    name: "quota",
    title: "A quota refuses pods",
    when: "The driver or executors of an application are refused with `exceeded quota`. The quota is raised by what is missing, if the nodes have that room.",
    codes: &["quota-exceeded", "limit-range-exceeded"],
    parameters: &[APPLICATION, SETTLE, WITHIN],
    steps: &[
        Step {
            name: "missing",
            what: "Which quota refuses which request, and how much is missing?",
            only: &[],
            reads: &[
                Read::Application,
                Read::ApplicationPods,
                Read::Quotas,
                Read::Findings,
                Read::Events,
            ],
            does: Does::Check(check),
        },
        Step {
            name: "room",
            what: "Do the nodes have that room?",
            only: &[],
            reads: &[Read::Nodes, Read::Placed],
            does: Does::Check(check_room),
        },
        Step {
            name: "raise",
            what: "Raise the quota by what is missing.",
            only: &[],
            reads: &[Read::Quotas],
            does: Does::Act {
                rights: &[("patch", Kind::ResourceQuota)],
                plan: plan_raise,
                undo: "The quota gets its earlier limits; pods that run stay.",
            },
        },
        repair(&[]),
        runs_after(&[]),
        put_back(&[]),
    ],
    limits: &["A quota is an agreement: who pays for the namespace is asked before it is raised."],
};

/// What a refusal says: the pod, the quota, and what was requested of it.
fn refusal(text: &str) -> Option<(&str, String, BTreeMap<String, String>)> {
    let (before, rest) = text.split_once("exceeded quota: ")?;
    let pod = before
        .split_once("pods \"")
        .and_then(|(_, rest)| rest.split('"').next());
    let (name, rest) = rest.split_once(", requested: ")?;
    let requested = rest.split(", used: ").next()?;
    let pairs = requested.split(',').filter_map(|pair| pair.split_once('='));
    let pairs = pairs.map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()));
    Some((pod.unwrap_or_default(), name.to_owned(), pairs.collect()))
}

fn check(case: &Case<'_>) -> Result<Seen, Unknown> {
    let application = case.the(Read::Application)?;
    if matches!(spark::state(application), "COMPLETED") {
        return Ok(Seen::nothing("it has completed"));
    }
    let findings = case.all(Read::Findings).unwrap_or_default();
    let of_finding = spark::finding(findings, BOOK.codes)
        .into_iter()
        .flat_map(|finding| finding["evidence"].as_array().into_iter().flatten());
    let name = spark::name(application);
    let of_events = case
        .all(Read::Events)?
        .iter()
        .filter(|event| spark::text(&event["involvedObject"]["name"]).starts_with(name));
    let texts = std::iter::once(spark::message(application))
        .chain(of_finding.map(|evidence| spark::text(&evidence["seen"])))
        .chain(of_events.map(|event| spark::text(&event["message"])));
    // A pod that is there now is refused no longer.
    let pods = case.all(Read::ApplicationPods)?;
    let is_refused = |pod: &str| !pods.iter().any(|one| spark::name(one) == pod);
    let mut refusals = texts.filter_map(refusal).filter(|(pod, ..)| is_refused(pod));
    let Some((_, quota, requested)) = refusals.next() else {
        return Ok(Seen::nothing("no quota refuses it"));
    };
    let found = case.all(Read::Quotas)?.iter().find(|one| spark::name(one) == quota);
    let Some(found) = found else {
        return Ok(Seen::nothing(format!("quota {quota} is gone")));
    };
    let mut hard = serde_json::Map::new();
    let mut missing = Vec::new();
    for (resource, wanted) in &requested {
        let of = |value: &Value| -> Option<Quantity> { value.as_str()?.parse().ok() };
        let (Some(limit), Ok(wanted)) = (of(&found["spec"]["hard"][resource]), wanted.parse::<Quantity>()) else {
            continue;
        };
        let used = of(&found["status"]["used"][resource]).map_or(0, |used| used.millis());
        let needed = used.saturating_add(wanted.millis());
        if needed > limit.millis() {
            let more = match needed % 1000 {
                0 => Quantity::from_units(needed / 1000),
                _ => Quantity::from_millis(needed),
            };
            hard.insert(resource.clone(), more.to_string().into());
            missing.push(format!("{resource} {limit} to {more}"));
        }
    }
    if hard.is_empty() {
        return match spark::is_in_progress(application) {
            true => Ok(Seen::nothing(format!("quota {quota} has room again"))),
            false => Ok(
                Seen::go(format!("quota {quota} has room again; the application has ended"))
                    .keep("onEdit", on_edit(application)),
            ),
        };
    }
    Ok(Seen::go(format!("quota {quota}: {}", missing.join(", ")))
        .keep("quota", quota)
        .keep("hard", Value::Object(hard))
        .keep("requested", json!(requested))
        .keep("onEdit", on_edit(application)))
}

fn check_room(case: &Case<'_>) -> Result<Seen, Unknown> {
    let requested = case.kept.get("requested").cloned().unwrap_or_default();
    let of = |names: [&str; 2]| {
        names
            .iter()
            .find_map(|name| requested.get(*name))
            .map_or((0, 0), spark::amount)
    };
    let (cores, memory) = (of(["requests.cpu", "cpu"]).0, of(["requests.memory", "memory"]).1);
    let placed = case.all(Read::Placed)?;
    let fits = case.all(Read::Nodes)?.iter().any(|node| {
        let (_, free) = spark::room(node, placed);
        spark::is_schedulable(node) && free.0 >= cores && free.1 >= memory
    });
    match fits {
        true => Ok(Seen::go("a node has the room")),
        false => Ok(Seen::other(
            "capacity",
            "no node has the room: with a larger quota the pod would wait for one",
        )),
    }
}

fn plan_raise(case: &Case<'_>) -> Result<Plan, Unknown> {
    let name = case.kept_text("quota");
    let hard = case.kept.get("hard").cloned().unwrap_or_default();
    if name.is_empty() {
        return Ok(Plan::nothing("it has room"));
    }
    let quota = case.all(Read::Quotas)?.iter().find(|quota| spark::name(quota) == name);
    let quota = quota.ok_or_else(|| format!("quota {name} is gone"))?;
    let change = Change::patch(Kind::ResourceQuota, quota, json!({"spec": {"hard": hard}}));
    Ok(Plan::new(
        format!("quota {name} of namespace {}: {hard}", case.input.namespace),
        vec![change],
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_quota_and_what_was_requested() {
        let text = "pods \"etl-driver\" is forbidden: exceeded quota: team, requested: requests.cpu=1,requests.memory=1408Mi, used: requests.cpu=3, limited: requests.cpu=3";
        let (pod, name, requested) = refusal(text).unwrap();
        assert_eq!((pod, name.as_str()), ("etl-driver", "team"));
        assert_eq!(requested["requests.memory"], "1408Mi");
        assert_eq!(requested.len(), 2);
        assert!(refusal("pods is forbidden").is_none());
    }
}
