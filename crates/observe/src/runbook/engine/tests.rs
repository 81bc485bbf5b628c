//! Runs of a small runbook in a world that may be cut off at every point.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::action::{Change, Plan, merged};
use super::super::book::{Form, Kind, Need, Parameter};
use super::super::case::Input;
use super::*;

const READS: &[Read] = &[Read::Application, Read::Nodes];

static BOOK: Runbook = Runbook {
    name: "toy",
    title: "A toy",
    when: "For tests.",
    codes: &[],
    parameters: &[Parameter {
        name: "application",
        what: "x",
        found: "x",
        form: Form::Name,
        need: Need::Always,
    }],
    steps: &[
        Step {
            name: "look",
            what: "Looks.",
            only: &[],
            reads: READS,
            does: Does::Check(|case| {
                let app = case.the(Read::Application)?;
                if app["spec"]["size"] == 3 {
                    return Ok(Seen::nothing("large enough"));
                }
                let branch = if app["spec"]["left"] == true { "left" } else { "right" };
                Ok(Seen::go("small").on(branch).keep("size", 3))
            }),
        },
        Step {
            name: "left",
            what: "Of the left.",
            only: &["left"],
            reads: READS,
            does: Does::Act {
                rights: &[],
                plan: |case| {
                    Ok(Plan::new(
                        "b",
                        vec![Change::patch(
                            Kind::SparkApplication,
                            case.the(Read::Application)?,
                            json!({"spec": {"turned": true}}),
                        )],
                    ))
                },
                undo: "",
            },
        },
        Step {
            name: "grow",
            what: "Grows.",
            only: &[],
            reads: READS,
            does: Does::Act {
                rights: &[],
                plan: |case| {
                    let app = case.the(Read::Application)?;
                    let patch = json!({"spec": {"size": case.kept["size"], "mark": case.record}});
                    let nodes = case.all(Read::Nodes)?.iter();
                    let mut changes = vec![Change::patch(Kind::SparkApplication, app, patch)];
                    changes.extend(nodes.map(|node| Change::delete(Kind::Node, node)));
                    Ok(Plan::new("b", changes))
                },
                undo: "",
            },
        },
        Step {
            name: "pause",
            what: "Waits.",
            only: &[],
            reads: &[],
            does: Does::Pause,
        },
        Step {
            name: "large",
            what: "Is large.",
            only: &[],
            reads: READS,
            does: Does::Verify {
                holds: |case| {
                    let size = case.the(Read::Application)?["spec"]["size"].clone();
                    Ok(Held::when(size == 3, "large", "small"))
                },
                within: 10,
            },
        },
    ],
    limits: &[],
};

/// The world: objects, and how often each was changed in fact.
#[derive(Clone, Debug)]
struct World {
    app: Value,
    nodes: Vec<Value>,
    changes: BTreeMap<String, usize>,
}

impl World {
    fn new(left: bool) -> World {
        World {
            app: json!({"metadata": {"name": "etl", "namespace": "d", "uid": "1"}, "spec": {"size": 1, "left": left}}),
            nodes: (0..2)
                .map(|n| json!({"metadata": {"name": format!("n{n}"), "uid": format!("u{n}")}}))
                .collect(),
            changes: BTreeMap::new(),
        }
    }

    fn read(&self) -> Facts {
        Facts::from([
            (Read::Application, Ok(vec![self.app.clone()])),
            (Read::Nodes, Ok(self.nodes.clone())),
        ])
    }

    /// Does it; says whether it was done already.
    fn act(&mut self, action: &Action) -> bool {
        let done = match action {
            Action::Patch { patch, .. } => {
                let after = merged(&self.app, patch);
                std::mem::replace(&mut self.app, after.clone()) == after
            }
            Action::PutBack { to, .. } => {
                let after = merged(&self.app, to);
                std::mem::replace(&mut self.app, after.clone()) == after
            }
            Action::Delete { uid, .. } => {
                let before = self.nodes.len();
                let gone = uid.clone().unwrap_or_default();
                self.nodes.retain(|node| node["metadata"]["uid"] != gone);
                self.nodes.len() == before
            }
            other => panic!("{other:?}"),
        };
        if !done {
            *self.changes.entry(action.words()).or_default() += 1;
        }
        done
    }
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + seconds).unwrap()
}

fn opened() -> Record {
    Record {
        entries: vec![Entry::Opened {
            time: time(0),
            record: "toy-1".into(),
            runbook: "toy".into(),
            input: Input {
                namespace: "d".into(),
                parameters: BTreeMap::from([("application".into(), "etl".into())]),
                secrets: Vec::new(),
            },
            cluster: "c".into(),
            who: "w".into(),
            version: "0".into(),
            dry_run: false,
        }],
    }
}

/// One command: goes on until the run ends or `life` points were passed. A line that is being written when life ends is cut off half the time.
fn command(world: &mut World, record: &mut Record, mut life: usize, clock: &mut i64) -> Option<Ending> {
    let mut alive = || {
        life = life.checked_sub(1)?;
        Some(())
    };
    if record.entries.len() > 1 {
        alive()?;
        record.entries.push(Entry::Resumed {
            time: time(*clock),
            who: "w".into(),
        });
    }
    if record.is_paused() {
        alive()?;
        record.entries.push(Entry::Continued {
            time: time(*clock),
            step: "pause".into(),
        });
    }
    let mut facts = None;
    loop {
        *clock += 1;
        alive()?;
        match next(&BOOK, record, facts.as_ref(), time(*clock)) {
            Decision::Read(_) => facts = Some(world.read()),
            Decision::Write(entry) => {
                record.entries.push(entry);
                facts = None;
            }
            Decision::Ask(step) => record.entries.push(Entry::Agreed {
                time: time(*clock),
                step: step.into(),
                by: "test".into(),
            }),
            Decision::Do { step, number, action } => {
                // Killed after the deed and before it is written down.
                let already = world.act(&action);
                alive()?;
                record.entries.push(Entry::Did {
                    time: time(*clock),
                    step: step.into(),
                    action: number,
                    already,
                    says: String::new(),
                });
            }
            Decision::Wait { .. } => facts = None,
            Decision::Paused(_) => return None,
            Decision::End(ending) => return Some(ending),
        }
    }
}

proptest! {
    /// Killed anywhere, any number of times: it ends the same, and nothing is done twice.
    #[test]
    fn killed_anywhere_it_goes_on_and_does_nothing_twice(left: bool, lives in prop::collection::vec(1_usize..12, 0..12)) {
        let (mut world, mut record, mut clock) = (World::new(left), opened(), 0);
        let mut ending = None;
        for life in lives.into_iter().chain(std::iter::repeat_n(1000, 4)) {
            if ending.is_none() {
                ending = command(&mut world, &mut record, life, &mut clock);
            }
        }
        prop_assert_eq!(ending, Some(Ending::Resolved));
        prop_assert_eq!(&world.app["spec"]["size"], 3);
        prop_assert_eq!(world.app["spec"]["turned"] == true, left);
        prop_assert_eq!(&world.app["spec"]["mark"], "toy-1");
        prop_assert!(world.nodes.is_empty());
        prop_assert!(world.changes.values().all(|count| *count == 1), "{:?}", world.changes);
        // Every line can be written and read again.
        let lines: String = record.entries.iter().map(|entry| serde_json::to_string(entry).unwrap() + "\n").collect();
        prop_assert_eq!(Record::parse(&lines).unwrap(), record);
    }
}

#[test]
fn a_second_run_finds_nothing_to_do() {
    let (mut world, mut clock) = (World::new(true), 0);
    let mut record = opened();
    assert_eq!(command(&mut world, &mut record, 1000, &mut clock), None);
    assert!(record.is_paused());
    assert_eq!(
        command(&mut world, &mut record, 1000, &mut clock),
        Some(Ending::Resolved)
    );
    let before = world.changes.clone();
    let mut again = opened();
    assert_eq!(
        command(&mut world, &mut again, 1000, &mut clock),
        Some(Ending::NothingToDo)
    );
    assert_eq!(world.changes, before);
}

#[test]
fn undoing_goes_backwards_and_leaves_out_what_has_no_way_back() {
    let (mut world, mut clock) = (World::new(true), 0);
    let mut record = opened();
    command(&mut world, &mut record, 1000, &mut clock);
    command(&mut world, &mut record, 1000, &mut clock);
    let mut undone = Vec::new();
    while let Some((step, action, way_back)) = undo(&BOOK, &record) {
        world.act(&way_back);
        undone.push((step, action));
        record.entries.push(Entry::Undid {
            time: time(clock),
            step: step.into(),
            action,
            says: String::new(),
        });
    }
    assert_eq!(undone, [("grow", 0), ("left", 0)]);
    assert_eq!(world.app["spec"], json!({"size": 1, "left": true}));
}

#[test]
fn what_is_waited_for_in_vain_ends_the_run_and_can_be_gone_on_with() {
    let (mut world, mut clock) = (World::new(false), 0);
    let mut record = opened();
    command(&mut world, &mut record, 1000, &mut clock);
    world.app["spec"]["size"] = json!(2);
    assert_eq!(
        command(&mut world, &mut record, 1000, &mut clock),
        Some(Ending::Unresolved)
    );
    world.app["spec"]["size"] = json!(3);
    assert_eq!(
        command(&mut world, &mut record, 1000, &mut clock),
        Some(Ending::Resolved)
    );
}

#[test]
fn facts_that_cannot_be_read_end_the_run_and_are_read_again_later() {
    let mut record = opened();
    let unread = Facts::from([(Read::Application, Err("403 Forbidden".to_owned()))]);
    for _ in 0..2 {
        let Decision::Write(entry) = next(&BOOK, &record, Some(&unread), time(1)) else {
            panic!()
        };
        record.entries.push(entry);
    }
    assert_eq!(record.ending(), Some((Ending::CannotTell, "look: 403 Forbidden")));
    record.entries.push(Entry::Resumed {
        time: time(2),
        who: "w".into(),
    });
    assert_eq!(next(&BOOK, &record, None, time(3)), Decision::Read(READS));
}

#[test]
fn a_dry_run_waits_for_nothing_and_no_one() {
    let (mut world, mut clock) = (World::new(false), 0);
    let mut record = opened();
    if let Entry::Opened { dry_run, .. } = &mut record.entries[0] {
        *dry_run = true;
    }
    // The actions of a dry run are done by no one; here the world stays as it is because it is a copy.
    assert_eq!(
        command(&mut world.clone(), &mut record, 1000, &mut clock),
        Some(Ending::Resolved)
    );
    assert_eq!(command(&mut world, &mut opened(), 1, &mut clock), None);
    assert_eq!(world.app["spec"]["size"], 1);
}
