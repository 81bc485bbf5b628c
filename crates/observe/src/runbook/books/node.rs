//! A node that is worked on.

use serde_json::{Value, json};
use stoke_model::units::people::counted;

use super::super::action::{Action, Change, Object, Plan};
use super::super::book::{Does, Form, Kind, Need, Parameter, Read, Runbook, Step};
use super::super::case::{Case, Held, Seen, Unknown};
use super::super::spark;
use super::shared::WITHIN;

pub static BOOK: Runbook = Runbook {
    name: "node-maintenance",
    title: "Take a node out for maintenance, and back",
    when: "A node is to be repaired, upgraded or replaced. It takes no new pods, its pods are evicted as far as disruption budgets allow, and it takes pods again when the work is done.",
    codes: &[],
    parameters: &[
        Parameter {
            name: "node",
            what: "The node",
            found: "`kubectl get nodes`",
            form: Form::Name,
            need: Need::Always,
        },
        WITHIN,
    ],
    steps: &[
        Step {
            name: "node",
            what: "What runs on it, and can others take that?",
            only: &[],
            reads: &[Read::Nodes, Read::NodePods],
            does: Does::Check(check),
        },
        Step {
            name: "cordon",
            what: "It takes no new pods.",
            only: &[],
            reads: &[Read::Nodes],
            does: Does::Act {
                rights: &[("patch", Kind::Node)],
                plan: plan_cordon,
                undo: "It takes pods again.",
            },
        },
        Step {
            name: "drain",
            what: "Evict its pods, executors before drivers; pods of DaemonSets stay.",
            only: &[],
            reads: &[Read::NodePods],
            does: Does::Act {
                rights: &[("create", Kind::Pod)],
                plan: plan_drain,
                undo: "",
            },
        },
        Step {
            name: "empty",
            what: "Nothing but pods of DaemonSets is on it.",
            only: &[],
            reads: &[Read::NodePods],
            does: Does::Verify {
                holds: empty,
                within: 900,
            },
        },
        Step {
            name: "maintained",
            what: "Do the work on the node, then go on.",
            only: &[],
            reads: &[],
            does: Does::Pause,
        },
        Step {
            name: "back",
            what: "The node is ready.",
            only: &[],
            reads: &[Read::Nodes],
            does: Does::Verify {
                holds: back,
                within: 900,
            },
        },
        Step {
            name: "uncordon",
            what: "It takes pods again.",
            only: &[],
            reads: &[Read::Nodes],
            does: Does::Act {
                rights: &[("patch", Kind::Node)],
                plan: plan_uncordon,
                undo: "It is cordoned again.",
            },
        },
        Step {
            name: "takes-pods",
            what: "It is ready and takes pods.",
            only: &[],
            reads: &[Read::Nodes],
            does: Does::Verify {
                holds: takes_pods,
                within: 60,
            },
        },
    ],
    limits: &[
        "A driver that is evicted ends its attempt: its restart policy says whether another follows. `minAvailable: 1` in a disruption budget keeps it; the drain is refused then, and can be gone on with later.",
    ],
};

fn node<'a>(case: &Case<'a>) -> Result<&'a Value, Unknown> {
    let name = case.input.text("node");
    let found = case.all(Read::Nodes)?.iter().find(|node| spark::name(node) == name);
    found.ok_or_else(|| Unknown(format!("there is no node {name}")))
}

/// Pods that a drain takes: not those of DaemonSets, of the node itself, or that have ended.
fn movable(pods: &[Value]) -> Vec<&Value> {
    let stays = |pod: &Value| {
        let owners = pod["metadata"]["ownerReferences"].as_array();
        let daemon = owners
            .into_iter()
            .flatten()
            .any(|owner| owner["kind"] == "DaemonSet" || owner["kind"] == "Node");
        daemon || !pod["metadata"]["annotations"]["kubernetes.io/config.mirror"].is_null()
    };
    let mut found: Vec<&Value> = pods.iter().filter(|pod| spark::is_live(pod) && !stays(pod)).collect();
    found.sort_by_key(|pod| (!spark::is_executor(pod), spark::is_driver(pod)));
    found
}

fn check(case: &Case<'_>) -> Result<Seen, Unknown> {
    let node = node(case)?;
    let pods = movable(case.all(Read::NodePods)?);
    let others = case
        .all(Read::Nodes)?
        .iter()
        .filter(|one| spark::name(one) != spark::name(node) && spark::is_schedulable(one))
        .count();
    let of = |is: fn(&Value) -> bool| pods.iter().filter(|pod| is(pod)).count();
    let says = format!(
        "{} on it: {}, {}; {} can take them",
        counted(pods.len(), "pod"),
        counted(of(spark::is_driver), "driver"),
        counted(of(spark::is_executor), "executor"),
        counted(others, "other node")
    );
    if others == 0 && !pods.is_empty() {
        return Ok(Seen::other("capacity", format!("{says}: what is evicted would wait")));
    }
    Ok(Seen::go(says))
}

fn plan_cordon(case: &Case<'_>) -> Result<Plan, Unknown> {
    set(case, true)
}

fn plan_uncordon(case: &Case<'_>) -> Result<Plan, Unknown> {
    set(case, false)
}

fn set(case: &Case<'_>, cordoned: bool) -> Result<Plan, Unknown> {
    let node = node(case)?;
    // An API server keeps no `false` here.
    let unschedulable = cordoned.then_some(true);
    if (node["spec"]["unschedulable"] == true) == cordoned {
        return Ok(Plan::nothing(if cordoned {
            "it takes no pods already"
        } else {
            "it takes pods already"
        }));
    }
    let change = Change::patch(Kind::Node, node, json!({"spec": {"unschedulable": unschedulable}}));
    let what = if cordoned {
        "takes no new pods; those on it stay"
    } else {
        "takes new pods"
    };
    Ok(Plan::new(format!("node {} {what}", spark::name(node)), vec![change]))
}

fn plan_drain(case: &Case<'_>) -> Result<Plan, Unknown> {
    let pods = movable(case.all(Read::NodePods)?);
    if pods.is_empty() {
        return Ok(Plan::nothing("nothing is on it that moves"));
    }
    let of = |is: fn(&Value) -> bool| pods.iter().filter(|pod| is(pod)).count();
    let (drivers, executors) = (of(spark::is_driver), of(spark::is_executor));
    let changes = pods.iter().map(|pod| {
        Change::only(Action::Evict {
            object: Object::of(Kind::Pod, pod),
            uid: spark::text(&pod["metadata"]["uid"]).to_owned(),
        })
    });
    Ok(Plan::new(
        format!(
            "{} end and are asked for elsewhere; {} end with their attempts; {} of others move",
            counted(executors, "executor"),
            counted(drivers, "driver"),
            counted(pods.len() - drivers - executors, "pod")
        ),
        changes.collect(),
    ))
}

fn empty(case: &Case<'_>) -> Result<Held, Unknown> {
    let left = movable(case.all(Read::NodePods)?).len();
    Ok(Held::when(
        left == 0,
        "nothing is left on it",
        format!("{} on it", counted(left, "pod")),
    ))
}

fn back(case: &Case<'_>) -> Result<Held, Unknown> {
    let ready = spark::condition(node(case)?, "Ready");
    Ok(Held::when(
        ready == Some("True"),
        "it is ready",
        format!("its condition Ready is {}", ready.unwrap_or("not there")),
    ))
}

fn takes_pods(case: &Case<'_>) -> Result<Held, Unknown> {
    Ok(Held::when(
        spark::is_schedulable(node(case)?),
        "it takes pods",
        "it takes none",
    ))
}
