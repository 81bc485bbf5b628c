//! What objects of Spark on Kubernetes say, for the steps of all runbooks.

use jiff::Timestamp;
use serde_json::{Value, json};
use stoke_model::names;
use stoke_model::quantity::Quantity;
use stoke_model::units::people::counted;

use super::action::{Change, stands};
use super::book::{Kind, Read};
use super::case::{Case, Held, Unknown};

/// States in which something runs or will run without being asked.
pub const IN_PROGRESS: [&str; 9] = [
    "",
    "SUBMITTED",
    "RUNNING",
    "PENDING_RERUN",
    "FAILING",
    "SUCCEEDING",
    "INVALIDATING",
    "RESUMING",
    "UNKNOWN",
];

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

pub fn name(object: &Value) -> &str {
    text(&object["metadata"]["name"])
}

pub fn label<'a>(object: &'a Value, label: &str) -> &'a str {
    text(&object["metadata"]["labels"][label])
}

pub fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

pub fn state(application: &Value) -> &str {
    text(&application["status"]["applicationState"]["state"])
}

pub fn message(application: &Value) -> &str {
    text(&application["status"]["applicationState"]["errorMessage"])
}

pub fn attempts(application: &Value) -> i64 {
    application["status"]["executionAttempts"].as_i64().unwrap_or_default()
}

/// Whether it goes on without being asked.
pub fn is_in_progress(application: &Value) -> bool {
    IN_PROGRESS.contains(&state(application))
}

/// When its state was entered.
pub fn entered(application: &Value) -> Option<Timestamp> {
    time(&application["status"]["transitions"].as_array()?.last()?["time"])
}

/// When it was submitted last.
pub fn submitted(application: &Value) -> Option<Timestamp> {
    time(&application["status"]["lastSubmissionAttemptTime"])
}

/// How often it failed since it was begun, edited or resumed last, as far as its transitions go back.
pub fn failures(application: &Value) -> usize {
    let transitions = application["status"]["transitions"].as_array();
    let states = transitions
        .into_iter()
        .flatten()
        .rev()
        .map(|transition| text(&transition["state"]));
    let of_this_life = states.take_while(|state| !matches!(*state, "INVALIDATING" | "SUSPENDED" | "RESUMING"));
    of_this_life.filter(|state| *state == "FAILING").count()
}

pub fn is_executor(pod: &Value) -> bool {
    label(pod, names::LABEL_SPARK_ROLE) == names::ROLE_EXECUTOR
}

pub fn is_driver(pod: &Value) -> bool {
    label(pod, names::LABEL_SPARK_ROLE) == names::ROLE_DRIVER
}

pub fn phase(pod: &Value) -> &str {
    text(&pod["status"]["phase"])
}

/// Whether it has not ended.
pub fn is_live(pod: &Value) -> bool {
    !matches!(phase(pod), "Succeeded" | "Failed")
}

pub fn is_ready(pod: &Value) -> bool {
    condition(pod, "Ready") == Some("True")
}

/// The status of a condition.
pub fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a str> {
    let conditions = object["status"]["conditions"].as_array()?;
    conditions.iter().find(|one| one["type"] == kind)?["status"].as_str()
}

/// Reason and exit code of the first container that ended badly, now or before its last start.
pub fn bad_end(pod: &Value) -> Option<(&str, i64)> {
    let statuses = pod["status"]["containerStatuses"].as_array()?;
    let ends = statuses
        .iter()
        .flat_map(|status| [&status["state"]["terminated"], &status["lastState"]["terminated"]]);
    let code = |end: &Value| end["exitCode"].as_i64().filter(|code| *code != 0);
    ends.filter_map(|end| Some((text(&end["reason"]), code(end)?))).next()
}

/// Why a container waits.
pub fn waiting(pod: &Value) -> Option<(&str, &str)> {
    let of = |list: &str| pod["status"][list].as_array().into_iter().flatten();
    let waits = of("initContainerStatuses")
        .chain(of("containerStatuses"))
        .map(|status| &status["state"]["waiting"]);
    let mut known = waits.map(|wait| (text(&wait["reason"]), text(&wait["message"])));
    known.find(|(reason, _)| !reason.is_empty())
}

/// The first finding with one of these codes.
pub fn finding<'a>(findings: &'a [Value], codes: &[&str]) -> Option<&'a Value> {
    findings.iter().find(|finding| codes.contains(&text(&finding["code"])))
}

/// The change of the manifest that a finding proposes.
pub fn patch_of(finding: &Value) -> Option<&Value> {
    Some(&finding["fix"]["patch"]).filter(|patch| patch.is_object())
}

/// The objects that carry a spec of an application: itself, and the schedule that begins its like.
pub fn repair(case: &Case<'_>, application: &Value, patch: &Value) -> Result<Vec<Change>, Unknown> {
    let mut patch = patch.clone();
    if !is_in_progress(application) && state(application) != "SUSPENDED" {
        // What has ended runs again only when that is asked for.
        patch["metadata"]["annotations"]["stoke.dev/on-edit"] = "Restart".into();
        patch["spec"]["driver"]["annotations"]["runbook.stoke.dev/rerun"] = case.record.into();
    }
    let mut changes = vec![Change::patch(Kind::SparkApplication, application, patch.clone())];
    if let Some(schedule) = case.one(Read::Schedule)? {
        changes.extend(repair_schedule(schedule, &patch));
    }
    Ok(changes)
}

/// The same change in the template of a schedule, so that the next run has it too.
pub fn repair_schedule(schedule: &Value, patch: &Value) -> Option<Change> {
    let mut spec = patch["spec"].as_object()?.clone();
    if let Some(driver) = spec.get_mut("driver").and_then(Value::as_object_mut) {
        driver.remove("annotations");
        if driver.is_empty() {
            spec.remove("driver");
        }
    }
    let template = json!({"spec": {"template": spec}});
    if spec.is_empty() || stands(schedule, &template) {
        return None;
    }
    Some(Change::patch(Kind::ScheduledSparkApplication, schedule, template))
}

/// What a change of an application touches, counted now.
pub fn blast(application: &Value, pods: &[Value]) -> String {
    let live = |is: fn(&Value) -> bool| pods.iter().filter(|pod| is(pod) && is_live(pod)).count();
    let (drivers, executors) = (live(is_driver), live(is_executor));
    let name = name(application);
    match is_in_progress(application) && drivers + executors > 0 {
        true => format!(
            "application {name}: its run is begun again; {} and {} end",
            counted(drivers, "driver"),
            counted(executors, "executor")
        ),
        false => format!("application {name}, which has no live pods, is begun again"),
    }
}

/// Seconds after which the operator has begun what a change of an application asks for.
const OPERATOR_ACTS: i64 = 3;

/// Whether an application runs again, was submitted after the last action and stays so for a while, or has completed since.
pub fn runs_again(case: &Case<'_>, application: &Value) -> Held {
    let settle = case.input.count("settle").unwrap_or(0);
    let since = submitted(application);
    // Times of a status have whole seconds.
    let is_new = since.is_some_and(|since| since.as_second() >= case.decided.as_second());
    // An end within the second of the action may be the one before it, until the operator had time to act.
    let is_after = since.is_some_and(|since| since.as_second() > case.decided.as_second())
        || is_new && case.since(case.decided).as_secs() >= OPERATOR_ACTS;
    let (name, state) = (name(application), state(application));
    let long = entered(application).map_or(0, |at| case.since(at).as_secs());
    match state {
        "COMPLETED" if is_after => Held::Yes(format!("{name} was submitted again and completed")),
        "RUNNING" if is_new && long >= settle => Held::Yes(format!("{name} was submitted again and runs for {long} s")),
        "RUNNING" if is_new => Held::NotYet(format!("{name} runs for {long} s of {settle} s")),
        "FAILED" if is_after => Held::Never(format!("{name} failed again: {}", message(application))),
        _ => Held::NotYet(
            format!("{name} is {} {}", word(state), message(application))
                .trim()
                .to_owned(),
        ),
    }
}

/// A state for people.
pub fn word(state: &str) -> &str {
    if state.is_empty() { "NEW" } else { state }
}

/// Thousandths of a core and bytes.
pub type Room = (i64, i64);

/// What a pod asks for.
pub fn requests(pod: &Value) -> Room {
    let containers = pod["spec"]["containers"].as_array();
    let of = |container: &Value| {
        let requests = &container["resources"]["requests"];
        (amount(&requests["cpu"]).0, amount(&requests["memory"]).1)
    };
    let all = containers.into_iter().flatten().map(of);
    all.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}

/// A quantity in thousandths and in wholes; zero for none.
pub fn amount(quantity: &Value) -> Room {
    let text = match quantity {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return (0, 0),
    };
    let parsed: Result<Quantity, _> = text.parse();
    parsed.map_or((0, 0), |quantity| (quantity.millis(), quantity.units()))
}

/// Whether new pods may be placed on a node.
pub fn is_schedulable(node: &Value) -> bool {
    node["spec"]["unschedulable"] != true && condition(node, "Ready") == Some("True")
}

/// What a node has in all, and what of it no pod asks for.
pub fn room(node: &Value, placed: &[Value]) -> (Room, Room) {
    let on = |pod: &&Value| text(&pod["spec"]["nodeName"]) == name(node) && is_live(pod);
    let used = placed
        .iter()
        .filter(on)
        .map(requests)
        .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    let allocatable = &node["status"]["allocatable"];
    let all = (amount(&allocatable["cpu"]).0, amount(&allocatable["memory"]).1);
    (all, (all.0 - used.0, all.1 - used.1))
}

/// A Deployment or StatefulSet: replicas wanted and ready, and whether its status speaks of its spec.
pub fn replicas(workload: &Value) -> (i64, i64, bool) {
    let wanted = workload["spec"]["replicas"].as_i64().unwrap_or(1);
    let status = &workload["status"];
    let ready = status["readyReplicas"].as_i64().unwrap_or(0);
    let updated = status["updatedReplicas"].as_i64().unwrap_or(0);
    let all = status["replicas"].as_i64().unwrap_or(0);
    let is_current = status["observedGeneration"].as_i64() >= workload["metadata"]["generation"].as_i64()
        && updated == wanted
        && all == wanted;
    (wanted, ready, is_current)
}

/// The annotation by which `kubectl rollout restart` and this begin new pods; of one value for one run.
pub fn restart(case: &Case<'_>) -> Value {
    json!({"spec": {"template": {"metadata": {"annotations": {"runbook.stoke.dev/restarted-by": case.record}}}}})
}

/// Whether a workload is whole and its pods are of its last template.
pub fn is_rolled_out(workload: &Value) -> Held {
    let (wanted, ready, is_current) = replicas(workload);
    let what = name(workload);
    Held::when(
        is_current && ready == wanted,
        format!("{what}: {} ready", counted(ready.unsigned_abs(), "pod")),
        format!(
            "{what}: {ready} of {wanted} pods ready, {}",
            if is_current {
                "all of the last template"
            } else {
                "not all of the last template"
            }
        ),
    )
}
