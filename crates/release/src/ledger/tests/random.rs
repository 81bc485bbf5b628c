//! Random ledgers, held against an oracle that shares no code with what it judges.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use stoke_testkit::Tier;

use super::super::entry::{check_chain, head};
use super::super::*;
use super::{Chain, World, at, digest, world};
use crate::oci::Digest;

/// A generator of numbers that are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// What allows a promotion, asked of the entries one by one, without the code under test.
fn allowed(
    entries: &[Entry],
    world: &World,
    release: &Digest,
    target: &str,
    now: Timestamp,
    approvals: &[(Digest, usize, bool)],
) -> bool {
    let mut spans: BTreeMap<(String, Digest), i64> = BTreeMap::new();
    let mut current: BTreeMap<String, (Digest, Timestamp)> = BTreeMap::new();
    let mut intents: BTreeMap<u64, (Digest, String, bool)> = BTreeMap::new();
    let mut bad: BTreeMap<(String, Digest), bool> = BTreeMap::new();
    let mut verdicts: BTreeMap<(Digest, String), Verdict> = BTreeMap::new();
    let mut created = Vec::new();
    for entry in entries {
        match &entry.event {
            Event::Created { release, .. } => created.push(release.clone()),
            Event::Verified {
                release, gate, verdict, ..
            } => {
                verdicts.insert((release.clone(), gate.clone()), *verdict);
            }
            Event::Intended {
                release,
                environment,
                step,
                ..
            } => {
                intents.insert(
                    entry.sequence,
                    (release.clone(), environment.clone(), *step == decide::Step::Rollback),
                );
            }
            Event::Abandoned { intent, .. } => {
                intents.remove(intent);
            }
            Event::Deployed { intent, .. } => {
                let Some((release, environment, back)) = intents.remove(intent) else {
                    continue;
                };
                if current.get(&environment).is_some_and(|(is, _)| *is == release) {
                    continue;
                }
                if let Some((old, since)) = current.insert(environment.clone(), (release.clone(), entry.time)) {
                    *spans.entry((environment.clone(), old.clone())).or_default() +=
                        entry.time.as_second() - since.as_second();
                    bad.insert((environment.clone(), old), back);
                }
                bad.insert((environment.clone(), release), false);
            }
            Event::Approved { .. }
            | Event::DataAudited { .. }
            | Event::DataMoving { .. }
            | Event::DataMoved { .. }
            | Event::DataAbandoned { .. } => {}
        }
    }
    let here = |environment: &str| {
        let now = match current.get(environment) {
            Some((is, since)) if is == release => now.as_second() - since.as_second(),
            _ => 0,
        };
        spans
            .get(&(environment.to_owned(), release.clone()))
            .copied()
            .unwrap_or(0)
            + now
    };
    let was = |environment: &str| bad.get(&(environment.to_owned(), release.clone())) == Some(&false);
    let not_bad = bad.get(&(target.to_owned(), release.clone())) != Some(&true);
    let passes = |gate: &str| verdicts.get(&(release.clone(), gate.to_owned())) == Some(&Verdict::Pass);
    let mut agreed = BTreeMap::new();
    for (of, key, skip) in approvals {
        if of == release {
            agreed.insert(*key, *skip);
        }
    }
    let skip = agreed.values().filter(|skip| **skip).count() >= 2;
    let hour = now.as_second().rem_euclid(86_400) / 3600;
    let _ = world;
    created.contains(release)
        && not_bad
        && match target {
            "dev" => true,
            "staging" => was("dev") && here("dev") >= 3600 && passes("check"),
            _ => {
                was("staging")
                    && agreed.len() >= 2
                    && hour < 18
                    && (skip || (here("staging") >= 7200 && passes("check") && passes("shadow")))
            }
        }
}

/// What was drawn.
#[derive(Default)]
struct Drawn {
    /// To dev, staging and prod.
    promoted: [u64; 3],
    refused: u64,
    back: u64,
    entries: u64,
}

impl Drawn {
    fn add(mut self, other: Self) -> Self {
        for (sum, more) in self.promoted.iter_mut().zip(other.promoted) {
            *sum += more;
        }
        self.refused += other.refused;
        self.back += other.back;
        self.entries += other.entries;
        self
    }
}

/// How many ledgers are drawn: what `STOKE_LEDGERS` says, else what the tier has.
fn many() -> u64 {
    match (std::env::var("STOKE_LEDGERS"), Tier::Full.need()) {
        (Ok(text), _) => text.parse().unwrap(),
        (Err(_), Ok(())) => 100_000,
        (Err(_), Err(_)) => 1000,
    }
}

#[test]
fn random_ledgers_let_nothing_through_and_lose_nothing() {
    let (many, world) = (many(), world());
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let drawn = std::thread::scope(|scope| {
        let world = &world;
        let all: Vec<_> = (0..threads)
            .map(|first| {
                scope.spawn(move || {
                    let mut bundles = BTreeMap::new();
                    let seeds = (first..many).step_by(threads as usize);
                    seeds.fold(Drawn::default(), |sum, seed| sum.add(draw(seed, world, &mut bundles)))
                })
            })
            .collect();
        let all = all.into_iter().map(|thread| thread.join().unwrap());
        all.fold(Drawn::default(), Drawn::add)
    });
    let Drawn {
        promoted,
        refused,
        back,
        entries,
    } = drawn;
    let shown = format!("{many} ledgers, {entries} entries: promoted {promoted:?}, refused {refused}, back {back}");
    assert!(
        promoted.iter().all(|count| *count > many / 100) && refused > many && back > many / 10,
        "{shown}"
    );
    if let Some(file) = std::env::var_os("STOKE_LEDGERS_REPORT") {
        std::fs::write(file, shown).unwrap();
    }
}

/// Draws a ledger, step by step, and holds every decision against the oracle.
fn draw(seed: u64, world: &World, bundles: &mut BTreeMap<(u64, usize, bool), String>) -> Drawn {
    let mut drawn = Drawn::default();
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) + 1);
    let mut chain = Chain::default();
    let mut approvals = Vec::new();
    let mut now = at(dice.roll(86_400) as i64);
    for _ in 0..24 + dice.roll(60) {
        now += SignedDuration::from_secs([0, 1, 600, 3600, 7200][dice.roll(5) as usize]);
        let number = 1 + dice.roll(3);
        let release = digest(number);
        let target = ["dev", "staging", "prod"][dice.roll(3) as usize];
        match dice.roll(12) {
            0..=1 => chain.created(&release, now),
            2..=3 => {
                let gate = ["check", "shadow"][dice.roll(2) as usize];
                let verdict = [Verdict::Pass, Verdict::Pass, Verdict::Fail][dice.roll(3) as usize];
                chain.judged(&release, gate, verdict, now);
            }
            4..=5 => {
                let (key, skip) = (dice.roll(3) as usize, dice.roll(3) == 0);
                let bundle = bundles.entry((number, key, skip)).or_insert_with(|| {
                    approval::sign(
                        &release,
                        world.environments.get("prod").unwrap(),
                        skip,
                        &world.keys[key],
                    )
                    .unwrap()
                    .to_json()
                    .unwrap()
                });
                chain.add(
                    Event::Approved {
                        release: release.clone(),
                        environment: "prod".into(),
                        bundle: bundle.clone(),
                    },
                    now,
                );
                approvals.push((release, key, skip));
            }
            6 => {
                let before = chain.history();
                if let Ok(plan) = rollback(&before, &world.environments, target, now) {
                    chain.carry_out(&plan, true);
                    let after = chain.history();
                    assert_eq!(
                        after.place(target).unwrap().current(),
                        Some(&plan.release),
                        "seed {seed}: a rollback was lost"
                    );
                    assert!(
                        before.place(target).unwrap().was_here(&plan.release),
                        "seed {seed}: back to what never was there"
                    );
                    drawn.back += 1;
                } else {
                    let place = before.place(target);
                    assert!(
                        place.and_then(|place| place.last_good()).is_none(),
                        "seed {seed}: a rollback was refused"
                    );
                }
            }
            _ => {
                let history = chain.history();
                match promote(&history, &world.environments, &release, target, now, &Facts::default()) {
                    Ok(plan) => {
                        if matches!(plan.standing, Standing::New { .. }) {
                            assert!(
                                allowed(&chain.0, world, &release, target, now, &approvals),
                                "seed {seed}: {target} {number}"
                            );
                            drawn.promoted[["dev", "staging", "prod"]
                                .iter()
                                .position(|name| *name == target)
                                .unwrap()] += 1;
                        }
                        // One in eight dies between intent and end.
                        chain.carry_out(&plan, dice.roll(8) != 0);
                    }
                    Err(reasons) => {
                        drawn.refused += 1;
                        let busy = reasons.iter().any(|reason| reason.code == "release-busy");
                        assert!(
                            busy || !allowed(&chain.0, world, &release, target, now, &approvals),
                            "seed {seed}: {target} {number}: {reasons:?}"
                        );
                    }
                }
            }
        }
    }
    let again = check_chain(&chain.texts(), Some(&head(&chain.0))).unwrap();
    assert_eq!(
        History::of(&again),
        chain.history(),
        "seed {seed}: another history of the same entries"
    );
    drawn.entries = chain.0.len() as u64;
    drawn
}
