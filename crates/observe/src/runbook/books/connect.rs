//! A Spark Connect server that does not serve.

use serde_json::json;

use super::super::action::{Change, Plan};
use super::super::book::{Does, Form, Kind, Need, Parameter, Read, Runbook, Step};
use super::super::case::{Case, Held, Seen, Unknown};
use super::super::spark;
use super::shared::WITHIN;

pub const CONNECT: Parameter = Parameter {
    name: "connect",
    what: "The SparkConnect",
    found: "`kubectl get sparkconnects`",
    form: Form::Name,
    need: Need::Always,
};

pub static BOOK: Runbook = Runbook {
    name: "connect-trouble",
    title: "A Spark Connect server does not answer",
    when: "Clients of a SparkConnect time out or are refused. A server that was stopped because no one used it is started; one that is there and does not answer a real client is replaced.",
    codes: &["connect-failed"],
    parameters: &[CONNECT, WITHIN],
    steps: &[
        Step {
            name: "answer",
            what: "Does a client get an answer, and if not: is the server stopped, waiting or hanging?",
            only: &[],
            reads: &[Read::Connect, Read::ConnectPod, Read::Handshake],
            does: Does::Check(check),
        },
        Step {
            name: "wake",
            what: "Ask the operator for the server.",
            only: &["idle"],
            reads: &[Read::Connect],
            does: Does::Act {
                rights: &[("patch", Kind::SparkConnect)],
                plan: plan_wake,
                undo: "The wish is taken back; the server stops again after its idle timeout.",
            },
        },
        Step {
            name: "replace",
            what: "Delete the server's pod; the operator makes another.",
            only: &["hangs"],
            reads: &[Read::Connect, Read::ConnectPod],
            does: Does::Act {
                rights: &[("delete", Kind::Pod)],
                plan: plan_replace,
                undo: "",
            },
        },
        Step {
            name: "answers",
            what: "A client opens a session and gets Spark's version.",
            only: &[],
            reads: &[Read::Connect, Read::Handshake],
            does: Does::Verify {
                holds: answers,
                within: 300,
            },
        },
    ],
    limits: &[
        "Sessions of the old server are lost with it: temporary views and cached data are made again by their clients.",
        "Its drills run a program that answers the one call of a client's greeting; real servers of Spark 3.5 to 4.1 are greeted by the operator and by `stoke connect` in the end-to-end tests.",
    ],
};

fn check(case: &Case<'_>) -> Result<Seen, Unknown> {
    let connect = case.the(Read::Connect)?;
    let conditions = connect["status"]["conditions"].as_array();
    let is_idle = conditions
        .into_iter()
        .flatten()
        .any(|one| one["reason"] == stoke_model::names::REASON_IDLE);
    let state = spark::text(&connect["status"]["state"]);
    if is_idle && state != "Ready" {
        return Ok(Seen::go("it was stopped because no one used it").on("idle"));
    }
    let pod = case.one(Read::ConnectPod)?;
    if let Some(pod) = pod.filter(|pod| spark::phase(pod) == "Pending") {
        let why = spark::waiting(pod).map_or_else(
            || "it has no node".to_owned(),
            |(reason, message)| format!("{reason} {message}"),
        );
        return Ok(Seen::other("pending-pods", format!("the server's pod waits: {why}")));
    }
    let (answered, says) = case.tried(Read::Handshake)?;
    match (answered, pod) {
        (true, _) => Ok(Seen::nothing(says)),
        (false, Some(_)) => Ok(Seen::go(format!("its pod is there, and a client gets no answer: {says}")).on("hangs")),
        (false, None) => Ok(Seen::go(format!("it is {state} without a pod: {says}")).on("gone")),
    }
}

fn plan_wake(case: &Case<'_>) -> Result<Plan, Unknown> {
    let connect = case.the(Read::Connect)?;
    let patch = json!({"metadata": {"annotations": {"stoke.dev/wake": case.opened.to_string()}}});
    let change = Change::patch(Kind::SparkConnect, connect, patch);
    Ok(Plan::new(
        format!("Connect server {} is started", spark::name(connect)),
        vec![change],
    ))
}

fn plan_replace(case: &Case<'_>) -> Result<Plan, Unknown> {
    let connect = case.the(Read::Connect)?;
    let Some(pod) = case.one(Read::ConnectPod)? else {
        return Ok(Plan::nothing("its pod is gone"));
    };
    Ok(Plan::new(
        format!(
            "the pod of Connect server {} and every session in it end",
            spark::name(connect)
        ),
        vec![Change::delete(Kind::Pod, pod)],
    ))
}

fn answers(case: &Case<'_>) -> Result<Held, Unknown> {
    let connect = case.the(Read::Connect)?;
    let (answered, says) = case.tried(Read::Handshake)?;
    let state = spark::text(&connect["status"]["state"]);
    if state == "Failed" {
        return Ok(Held::Never(format!("the server failed: {says}")));
    }
    Ok(Held::when(answered, says, format!("it is {state}: {says}")))
}
