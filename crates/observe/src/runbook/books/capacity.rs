//! Room on the nodes.

use serde_json::Value;
use stoke_model::units::people::{counted, memory};

use super::super::book::{Does, Form, Kind, Need, Parameter, Read, Runbook, Step};
use super::super::case::{Case, Held, Seen, Unknown};
use super::super::spark;
use super::pending::plan_uncordon;
use super::shared::WITHIN;

const LOOK: &[Read] = &[Read::Nodes, Read::Placed, Read::Pods];

pub static BOOK: Runbook = Runbook {
    name: "capacity",
    title: "The nodes have too little room",
    when: "Pods wait for room, or less of the nodes is free than you want in reserve. Nodes that were left cordoned are used again; for the rest it says how much is missing and waits for nodes.",
    codes: &[],
    parameters: &[
        Parameter {
            name: "reserve",
            what: "Percent of the nodes' cores and memory that shall be free",
            found: "Your plan; what the largest application asks for",
            form: Form::Count,
            need: Need::Else("10"),
        },
        WITHIN,
    ],
    steps: &[
        Step {
            name: "headroom",
            what: "How much of the nodes is free, and who waits?",
            only: &[],
            reads: LOOK,
            does: Does::Check(check),
        },
        Step {
            name: "uncordon",
            what: "Nodes that are ready and were left cordoned take pods again.",
            only: &["cordoned"],
            reads: &[Read::Nodes],
            does: Does::Act {
                rights: &[("patch", Kind::Node)],
                plan: plan_uncordon,
                undo: "The nodes are cordoned again.",
            },
        },
        Step {
            name: "more-nodes",
            what: "Add the nodes that are missing, or end what is not needed, then go on.",
            only: &["full"],
            reads: &[],
            does: Does::Pause,
        },
        Step {
            name: "has-room",
            what: "The reserve is free, and no pod waits for room.",
            only: &[],
            reads: LOOK,
            does: Does::Verify {
                holds: has_room,
                within: 900,
            },
        },
    ],
    limits: &[
        "Nodes are added by who provides them, or by an autoscaler. What an application really needs: `stoke size NAME`.",
    ],
};

struct Headroom {
    /// Percent that is free, of cores and of memory.
    free: (i64, i64),
    /// What is missing until the reserve is free: thousandths of a core and bytes.
    missing: spark::Room,
    waiting: usize,
}

fn headroom(case: &Case<'_>) -> Result<Headroom, Unknown> {
    let placed = case.all(Read::Placed)?;
    let nodes = case.all(Read::Nodes)?.iter().filter(|node| spark::is_schedulable(node));
    let sums =
        nodes
            .map(|node| spark::room(node, placed))
            .fold(((0, 0), (0, 0)), |sum: (spark::Room, spark::Room), one| {
                (
                    (sum.0.0 + one.0.0, sum.0.1 + one.0.1),
                    (sum.1.0 + one.1.0, sum.1.1 + one.1.1),
                )
            });
    let reserve = case.input.count("reserve").unwrap_or(10);
    let ((cores, bytes), (free_cores, free_bytes)) = sums;
    let percent = |free: i64, all: i64| if all == 0 { 0 } else { free.saturating_mul(100) / all };
    let missing = |free: i64, all: i64| (all / 100 * reserve - free).max(0);
    let is_unplaced = |pod: &&Value| spark::phase(pod) == "Pending" && spark::text(&pod["spec"]["nodeName"]).is_empty();
    Ok(Headroom {
        free: (percent(free_cores, cores), percent(free_bytes, bytes)),
        missing: (missing(free_cores, cores), missing(free_bytes, bytes)),
        waiting: case.all(Read::Pods)?.iter().filter(is_unplaced).count(),
    })
}

impl Headroom {
    fn is_enough(&self) -> bool {
        self.missing == (0, 0) && self.waiting == 0
    }

    fn says(&self) -> String {
        format!(
            "{} % of the cores and {} % of the memory are free; {} wait for a node",
            self.free.0,
            self.free.1,
            counted(self.waiting, "pod")
        )
    }
}

fn check(case: &Case<'_>) -> Result<Seen, Unknown> {
    let headroom = headroom(case)?;
    if headroom.is_enough() {
        return Ok(Seen::nothing(headroom.says()));
    }
    let nodes = case.all(Read::Nodes)?.iter();
    let cordoned: Vec<&str> = nodes
        .filter(|node| node["spec"]["unschedulable"] == true && spark::condition(node, "Ready") == Some("True"))
        .map(spark::name)
        .collect();
    if !cordoned.is_empty() {
        return Ok(
            Seen::go(format!("{}; cordoned: {}", headroom.says(), cordoned.join(", ")))
                .on("cordoned")
                .keep("nodes", cordoned),
        );
    }
    let (cores, bytes) = headroom.missing;
    Ok(Seen::go(format!(
        "{}; for the reserve {} cores and {} are missing",
        headroom.says(),
        (cores + 999) / 1000,
        memory(bytes.unsigned_abs())
    ))
    .on("full"))
}

fn has_room(case: &Case<'_>) -> Result<Held, Unknown> {
    let headroom = headroom(case)?;
    Ok(Held::when(headroom.is_enough(), headroom.says(), headroom.says()))
}
