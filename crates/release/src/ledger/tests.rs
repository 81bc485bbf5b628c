use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Mutex;
use std::task::Poll;

use jiff::{SignedDuration, Timestamp};
use stoke_diagnostics::{Diagnostic, Source};
use stoke_storage::{Access, Address};

use super::act::{Deliver, Stopped, carry_out};
use super::entry::{check_chain, head};
use super::*;
use crate::environment::{self, Environments};
use crate::evidence::{Algorithm, PrivateKey};
use crate::oci::Digest;

fn digest(number: u64) -> Digest {
    Digest::of(&number.to_le_bytes())
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + seconds).unwrap()
}

struct World {
    environments: Environments,
    keys: Vec<PrivateKey>,
}

fn world() -> World {
    let keys: Vec<PrivateKey> = (0..3).map(|_| PrivateKey::generate(Algorithm::Ed25519).unwrap()).collect();
    let names = ["anna", "boris", "carla"];
    let of = |(name, key): (&&str, &PrivateKey)| {
        let pem = key.public().to_pem();
        format!("    - name: {name}\n      publicKey: |\n{}", pem.lines().map(|line| format!("        {line}\n")).collect::<String>())
    };
    let keys_text: String = names.iter().zip(&keys).map(of).collect();
    let text = format!(
        "environments:
- {{name: dev, namespace: dev, cluster: {{context: ''}}}}
- {{name: staging, from: dev, namespace: staging, cluster: {{context: ''}}, soak: 1h, gates: [check]}}
- name: prod
  from: staging
  namespace: prod
  cluster: {{context: ''}}
  soak: 2h
  gates: [check, shadow]
  approvals:
    needed: 2
    maySkipVerification: true
    keys:
{keys_text}  freezes:
  - {{name: evening, schedule: '0 18 * * *', lasts: 6h, zone: UTC}}
"
    );
    let environments = environment::read(&Source::new("environments.yaml", &text), &|_| Err("none".into())).unwrap();
    World { environments, keys }
}

/// Entries in memory.
#[derive(Default)]
struct Chain(Vec<Entry>);

impl Chain {
    fn add(&mut self, event: Event, time: Timestamp) -> u64 {
        let end = head(&self.0);
        let entry = Entry { sequence: end.sequence + 1, previous: end.digest, time, by: "test".into(), event };
        self.0.push(entry);
        end.sequence + 1
    }

    fn texts(&self) -> Vec<(u64, Vec<u8>)> {
        self.0.iter().map(|entry| (entry.sequence, entry.text().into_bytes())).collect()
    }

    fn history(&self) -> History {
        History::of(&self.0)
    }

    /// Does what a plan says; `whole` leaves out its end otherwise.
    fn carry_out(&mut self, plan: &Plan, whole: bool) {
        let intent = match &plan.standing {
            Standing::Done => return,
            Standing::Resume { intent } => *intent,
            Standing::New { abandon } => {
                if let Some(intent) = abandon {
                    self.add(Event::Abandoned { environment: plan.environment.clone(), intent: *intent, why: String::new() }, plan.now);
                }
                let event = Event::Intended {
                    release: plan.release.clone(),
                    environment: plan.environment.clone(),
                    step: plan.step,
                    replaces: plan.replaces.clone(),
                    until: plan.now + act::LEASE,
                };
                self.add(event, plan.now)
            }
        };
        if whole {
            self.add(Event::Deployed { release: plan.release.clone(), environment: plan.environment.clone(), intent }, plan.now);
        }
    }

    fn created(&mut self, release: &Digest, time: Timestamp) {
        self.add(Event::Created { release: release.clone(), name: "etl".into() }, time);
    }

    fn judged(&mut self, release: &Digest, gate: &str, verdict: Verdict, time: Timestamp) {
        self.add(Event::Verified { release: release.clone(), gate: gate.into(), verdict, evidence: None }, time);
    }

    fn approved(&mut self, world: &World, release: &Digest, key: usize, skip: bool, time: Timestamp) {
        let environment = world.environments.get("prod").unwrap();
        let bundle = approval::sign(release, environment, skip, &world.keys[key]).unwrap().to_json().unwrap();
        self.add(Event::Approved { release: release.clone(), environment: "prod".into(), bundle }, time);
    }

    fn promote(&mut self, world: &World, release: &Digest, target: &str, time: Timestamp) -> Result<Plan, Vec<String>> {
        let plan = promote(&self.history(), &world.environments, release, target, time, &Facts::default()).map_err(codes)?;
        self.carry_out(&plan, true);
        Ok(plan)
    }
}

fn codes(reasons: Vec<Diagnostic>) -> Vec<String> {
    reasons.into_iter().map(|reason| reason.code.into_owned()).collect()
}

#[test]
fn a_release_goes_through_all_its_gates() {
    let world = world();
    let (one, two) = (digest(1), digest(2));
    let mut chain = Chain::default();
    assert_eq!(chain.promote(&world, &one, "dev", at(0)).unwrap_err(), ["release-origin"]);
    chain.created(&one, at(0));
    chain.created(&two, at(0));
    chain.promote(&world, &one, "dev", at(10)).unwrap();
    assert_eq!(chain.promote(&world, &one, "dev", at(11)).unwrap().standing, Standing::Done);
    assert_eq!(chain.promote(&world, &one, "staging", at(20)).unwrap_err(), ["release-soak", "release-gate"]);
    chain.judged(&one, "check", Verdict::Pass, at(30));
    chain.judged(&one, "shadow", Verdict::Fail, at(30));
    // Half an hour, another release, then half an hour again: intervals add up.
    chain.promote(&world, &two, "dev", at(1810)).unwrap();
    assert_eq!(chain.promote(&world, &one, "staging", at(7200)).unwrap_err(), ["release-soak"]);
    chain.promote(&world, &one, "dev", at(7200)).unwrap();
    assert_eq!(chain.promote(&world, &one, "staging", at(8999)).unwrap_err(), ["release-soak"]);
    chain.promote(&world, &one, "staging", at(9000)).unwrap();
    // An older release stays promotable after it was replaced.
    chain.promote(&world, &two, "dev", at(9001)).unwrap();
    let later = at(9000 + 7200);
    assert_eq!(chain.promote(&world, &one, "prod", later).unwrap_err(), ["release-gate", "release-approvals"]);
    chain.judged(&one, "shadow", Verdict::Pass, later);
    chain.approved(&world, &one, 0, false, later);
    chain.approved(&world, &one, 0, false, later);
    assert_eq!(chain.promote(&world, &one, "prod", later).unwrap_err(), ["release-approvals"]);
    chain.approved(&world, &one, 2, false, later);
    // Rules that changed end approvals.
    let mut changed = World { environments: world.environments.clone(), keys: Vec::new() };
    changed.environments.environments[2].soak_seconds = 7199;
    assert_eq!(chain.promote(&changed, &one, "prod", later).unwrap_err(), ["release-approvals"]);
    chain.promote(&world, &one, "prod", later).unwrap();
    assert_eq!(chain.history().place("prod").unwrap().current(), Some(&one));
    assert!(check_chain(&chain.texts(), None).is_ok());
}

#[test]
fn an_approval_skips_verification_and_never_origin() {
    let world = world();
    let (one, two) = (digest(1), digest(2));
    let mut chain = Chain::default();
    for release in [&one, &two] {
        chain.created(release, at(0));
    }
    chain.judged(&one, "check", Verdict::Pass, at(0));
    chain.approved(&world, &one, 0, true, at(0));
    chain.approved(&world, &one, 1, true, at(0));
    assert_eq!(chain.promote(&world, &one, "prod", at(0)).unwrap_err(), ["release-origin"]);
    chain.promote(&world, &one, "dev", at(0)).unwrap();
    chain.promote(&world, &one, "staging", at(3600)).unwrap();
    // Approvals of one release are not of another, whatever the ledger's entry says.
    let Event::Approved { bundle, .. } = chain.0[3].event.clone() else { panic!() };
    chain.add(Event::Approved { release: two.clone(), environment: "prod".into(), bundle }, at(3600));
    assert!(chain.promote(&world, &two, "prod", at(3600)).unwrap_err().contains(&"release-approvals".to_owned()));
    chain.promote(&world, &one, "prod", at(3600)).unwrap();
}

#[test]
fn clocks_freezes_and_budgets_hold() {
    let mut world = world();
    let one = digest(1);
    let mut chain = Chain::default();
    chain.created(&one, at(100));
    assert_eq!(chain.promote(&world, &one, "dev", at(89)).unwrap_err(), ["release-clock"]);
    // A little behind: the ledger's time holds.
    assert_eq!(chain.promote(&world, &one, "dev", at(95)).unwrap().now, at(100));
    world.environments.environments[0].freezes = world.environments.environments[2].freezes.clone();
    let two = digest(2);
    chain.created(&two, at(200));
    let evening = "2027-01-04T19:00:00Z".parse().unwrap();
    assert_eq!(chain.promote(&world, &two, "dev", evening).unwrap_err(), ["release-freeze"]);
    world.environments.environments[0].freezes.clear();
    world.environments.environments[0].error_budget = true;
    assert_eq!(chain.promote(&world, &two, "dev", at(300)).unwrap_err(), ["release-budget"]);
    let spent = Facts { budget: Some(vec![Diagnostic::new(stoke_diagnostics::Severity::Error, "slo-budget-spent", "spent")]), repair: false };
    let ask = |facts: &Facts| promote(&chain.history(), &world.environments, &two, "dev", at(300), facts);
    assert_eq!(codes(ask(&spent).unwrap_err()), ["slo-budget-spent"]);
    assert!(ask(&Facts { repair: true, ..spent }).is_ok());
    assert!(ask(&Facts { budget: Some(Vec::new()), repair: false }).is_ok());
}

#[test]
fn the_way_back_is_the_last_good() {
    let world = world();
    let mut chain = Chain::default();
    let back = |chain: &mut Chain, time| {
        let plan = rollback(&chain.history(), &world.environments, "dev", time).map_err(codes)?;
        chain.carry_out(&plan, true);
        Ok::<_, Vec<String>>(plan.release)
    };
    assert_eq!(back(&mut chain, at(0)).unwrap_err(), ["release-no-good"]);
    for number in 1..=3 {
        chain.created(&digest(number), at(0));
        chain.promote(&world, &digest(number), "dev", at(number as i64)).unwrap();
    }
    assert_eq!(back(&mut chain, at(10)).unwrap(), digest(2));
    assert_eq!(chain.promote(&world, &digest(3), "dev", at(11)).unwrap_err(), ["release-rolled-back"]);
    assert_eq!(back(&mut chain, at(12)).unwrap(), digest(1));
    assert_eq!(back(&mut chain, at(13)).unwrap_err(), ["release-no-good"]);
    // A promotion that hangs does not hold up the way back, nor does it leave anything.
    chain.created(&digest(4), at(14));
    let hanging = promote(&chain.history(), &world.environments, &digest(4), "dev", at(14), &Facts::default()).unwrap();
    chain.carry_out(&hanging, false);
    chain.created(&digest(5), at(15));
    assert_eq!(chain.promote(&world, &digest(5), "dev", at(15)).unwrap_err(), ["release-busy"]);
    assert_eq!(back(&mut chain, at(16)).unwrap(), digest(1));
    chain.promote(&world, &digest(5), "dev", at(17)).unwrap();
    // An intent that ran out holds up no one.
    let hanging = promote(&chain.history(), &world.environments, &digest(4), "dev", at(18), &Facts::default()).unwrap();
    chain.carry_out(&hanging, false);
    chain.created(&digest(6), at(19));
    chain.promote(&world, &digest(6), "dev", at(18 + 600)).unwrap();
    assert_eq!(chain.history().place("dev").unwrap().current(), Some(&digest(6)));
}

#[test]
fn what_was_done_to_a_chain_is_found() {
    let world = world();
    let mut chain = Chain::default();
    for number in 1..=4 {
        chain.created(&digest(number), at(number as i64));
        chain.promote(&world, &digest(number), "dev", at(number as i64)).unwrap();
    }
    let texts = chain.texts();
    let end = head(&chain.0);
    assert!(check_chain(&texts, Some(&end)).is_ok());
    let broken = |texts: &[(u64, Vec<u8>)]| check_chain(texts, Some(&end)).unwrap_err().sequence;
    // Every bit of every entry.
    for (index, (_, text)) in texts.iter().enumerate() {
        for byte in 0..text.len() {
            let mut altered = texts.clone();
            altered[index].1[byte] ^= 1;
            let found = broken(&altered);
            assert!(found == index as u64 + 1 || found == index as u64 + 2, "entry {} byte {byte}: {found}", index + 1);
        }
        let mut without = texts.clone();
        without.remove(index);
        assert_eq!(broken(&without), index as u64 + 1);
        assert_eq!(broken(&texts[..index]), index as u64 + 1);
    }
    // Written again as a whole: right in itself, and not what was known.
    let mut other = Chain::default();
    for number in 5..=8 {
        other.created(&digest(number), at(number as i64));
        other.promote(&world, &digest(number), "dev", at(number as i64)).unwrap();
    }
    assert!(check_chain(&other.texts(), None).is_ok());
    assert_eq!(broken(&other.texts()), end.sequence);
}

/// A generator of numbers that are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// What allows a promotion, asked of the entries one by one, without the code under test.
fn allowed(entries: &[Entry], world: &World, release: &Digest, target: &str, now: Timestamp, approvals: &[(Digest, usize, bool)]) -> bool {
    let mut spans: BTreeMap<(String, Digest), i64> = BTreeMap::new();
    let mut current: BTreeMap<String, (Digest, Timestamp)> = BTreeMap::new();
    let mut intents: BTreeMap<u64, (Digest, String, bool)> = BTreeMap::new();
    let mut bad: BTreeMap<(String, Digest), bool> = BTreeMap::new();
    let mut verdicts: BTreeMap<(Digest, String), Verdict> = BTreeMap::new();
    let mut created = Vec::new();
    for entry in entries {
        match &entry.event {
            Event::Created { release, .. } => created.push(release.clone()),
            Event::Verified { release, gate, verdict, .. } => {
                verdicts.insert((release.clone(), gate.clone()), *verdict);
            }
            Event::Intended { release, environment, step, .. } => {
                intents.insert(entry.sequence, (release.clone(), environment.clone(), *step == decide::Step::Rollback));
            }
            Event::Abandoned { intent, .. } => {
                intents.remove(intent);
            }
            Event::Deployed { intent, .. } => {
                let Some((release, environment, back)) = intents.remove(intent) else { continue };
                if current.get(&environment).is_some_and(|(is, _)| *is == release) {
                    continue;
                }
                if let Some((old, since)) = current.insert(environment.clone(), (release.clone(), entry.time)) {
                    *spans.entry((environment.clone(), old.clone())).or_default() += entry.time.as_second() - since.as_second();
                    bad.insert((environment.clone(), old), back);
                }
                bad.insert((environment.clone(), release), false);
            }
            Event::Approved { .. } => {}
        }
    }
    let here = |environment: &str| {
        let now = match current.get(environment) {
            Some((is, since)) if is == release => now.as_second() - since.as_second(),
            _ => 0,
        };
        spans.get(&(environment.to_owned(), release.clone())).copied().unwrap_or(0) + now
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
    created.contains(release) && not_bad && match target {
        "dev" => true,
        "staging" => was("dev") && here("dev") >= 3600 && passes("check"),
        _ => was("staging") && agreed.len() >= 2 && hour < 18 && (skip || (here("staging") >= 7200 && passes("check") && passes("shadow"))),
    }
}

/// `STOKE_LEDGERS` says how many.
#[test]
fn random_ledgers_let_nothing_through_and_lose_nothing() {
    let many: u64 = std::env::var("STOKE_LEDGERS").ok().and_then(|text| text.parse().ok()).unwrap_or(1500);
    let world = world();
    let mut bundles: BTreeMap<(u64, usize, bool), String> = BTreeMap::new();
    let (mut promoted, mut refused, mut back) = ([0u64; 3], 0u64, 0u64);
    for seed in 0..many {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) + 1);
        let mut chain = Chain::default();
        let mut approvals = Vec::new();
        let mut now = at(dice.roll(86_400) as i64);
        for _ in 0..12 + dice.roll(40) {
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
                        approval::sign(&release, world.environments.get("prod").unwrap(), skip, &world.keys[key]).unwrap().to_json().unwrap()
                    });
                    chain.add(Event::Approved { release: release.clone(), environment: "prod".into(), bundle: bundle.clone() }, now);
                    approvals.push((release, key, skip));
                }
                6 => {
                    let before = chain.history();
                    if let Ok(plan) = rollback(&before, &world.environments, target, now) {
                        chain.carry_out(&plan, true);
                        let after = chain.history();
                        assert_eq!(after.place(target).unwrap().current(), Some(&plan.release), "seed {seed}: a rollback was lost");
                        assert!(before.place(target).unwrap().was_here(&plan.release), "seed {seed}: back to what never was there");
                        back += 1;
                    } else {
                        let place = before.place(target);
                        assert!(place.and_then(|place| place.last_good()).is_none(), "seed {seed}: a rollback was refused");
                    }
                }
                _ => {
                    let history = chain.history();
                    match promote(&history, &world.environments, &release, target, now, &Facts::default()) {
                        Ok(plan) => {
                            if matches!(plan.standing, Standing::New { .. }) {
                                assert!(allowed(&chain.0, &world, &release, target, now, &approvals), "seed {seed}: {target} {number}");
                                promoted[["dev", "staging", "prod"].iter().position(|name| *name == target).unwrap()] += 1;
                            }
                            // One in eight dies between intent and end.
                            chain.carry_out(&plan, dice.roll(8) != 0);
                        }
                        Err(reasons) => {
                            refused += 1;
                            let busy = reasons.iter().any(|reason| reason.code == "release-busy");
                            assert!(busy || !allowed(&chain.0, &world, &release, target, now, &approvals), "seed {seed}: {target} {number}: {reasons:?}");
                        }
                    }
                }
            }
        }
        let again = check_chain(&chain.texts(), Some(&head(&chain.0))).unwrap();
        assert_eq!(History::of(&again), chain.history(), "seed {seed}: another history of the same entries");
    }
    let shown = format!("{many} ledgers: promoted {promoted:?}, refused {refused}, back {back}");
    assert!(promoted.iter().all(|count| *count > many / 100) && refused > many && back > many / 10, "{shown}");
    if let Some(file) = std::env::var_os("STOKE_LEDGERS_REPORT") {
        std::fs::write(file, shown).unwrap();
    }
}

/// What an environment has, and how often it changed.
#[derive(Default)]
struct Cluster {
    has: Mutex<BTreeMap<String, Vec<Digest>>>,
}

struct Hand<'a>(&'a Cluster);

impl Deliver for Hand<'_> {
    async fn deliver(&mut self, plan: &Plan) -> Result<(), Diagnostic> {
        tokio::task::yield_now().await;
        {
            let mut has = self.0.has.lock().unwrap();
            let there = has.entry(plan.environment.clone()).or_default();
            if there.last() != Some(&plan.release) {
                there.push(plan.release.clone());
            }
        }
        tokio::task::yield_now().await;
        Ok(())
    }
}

fn ledger(directory: &std::path::Path, by: &str) -> Ledger {
    Ledger::new(stoke_storage::open(&Address::Local(directory.into()), &Access::default()).unwrap(), by.into())
}

/// Lets a future run for so many turns, then drops it, as a kill would. True when it ended before.
async fn cut<T>(future: impl Future<Output = T>, turns: usize) -> Option<T> {
    let mut future = pin!(future);
    let mut left = turns;
    std::future::poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn cut_off_at_every_point_nothing_is_lost_or_doubled() {
    let world = world();
    let mut points = 0;
    for turns in 0.. {
        let directory = tempfile::tempdir().unwrap();
        let cluster = Cluster::default();
        let whole = runtime().block_on(async {
            let clock = || at(10);
            let ledger = ledger(directory.path(), "one");
            for number in [1, 2] {
                let event = Event::Created { release: digest(number), name: "etl".into() };
                ledger.record::<LedgerErrorOf>(None, |_| Ok(Some((event.clone(), at(0))))).await.unwrap();
            }
            let to = |number: u64| {
                let environments = &world.environments;
                move |history: &History| promote(history, environments, &digest(number), "dev", at(10), &Facts::default())
            };
            carry_out(&ledger, None, &clock, to(1), &mut Hand(&cluster)).await.unwrap();
            let ended = cut(carry_out(&ledger, None, &clock, to(2), &mut Hand(&cluster)), turns).await.is_some();
            // What was on its way to the disk arrives.
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            let (_, entries) = carry_out(&ledger, None, &clock, to(2), &mut Hand(&cluster)).await.unwrap();
            let of = |wanted: &dyn Fn(&Event) -> bool| entries.iter().filter(|entry| wanted(&entry.event)).count();
            assert_eq!(of(&|event| matches!(event, Event::Intended { release, .. } if *release == digest(2))), 1, "after {turns} turns");
            assert_eq!(of(&|event| matches!(event, Event::Deployed { release, .. } if *release == digest(2))), 1, "after {turns} turns");
            assert_eq!(cluster.has.lock().unwrap()["dev"], [digest(1), digest(2)]);
            // Back, cut off as well.
            let back = |history: &History| rollback(history, &world.environments, "dev", at(20));
            let _ = cut(carry_out(&ledger, None, &clock, back, &mut Hand(&cluster)), turns).await;
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            let read = ledger.read(None).await.unwrap();
            if History::of(&read).place("dev").unwrap().current() != Some(&digest(1)) {
                carry_out(&ledger, None, &clock, back, &mut Hand(&cluster)).await.unwrap();
            }
            let read = ledger.read(None).await.unwrap();
            assert_eq!(History::of(&read).place("dev").unwrap().current(), Some(&digest(1)), "after {turns} turns");
            assert_eq!(cluster.has.lock().unwrap()["dev"], [digest(1), digest(2), digest(1)]);
            ended
        });
        points = turns;
        if whole {
            break;
        }
    }
    assert!(points > 10, "{points}");
}

type LedgerErrorOf = super::keep::LedgerError;

#[test]
fn promotions_at_the_same_time_are_one_after_the_other() {
    let world = world();
    let directory = tempfile::tempdir().unwrap();
    let cluster = Cluster::default();
    tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap().block_on(async {
        let created = (1..=8u64).map(|number| {
            let ledger = ledger(directory.path(), &format!("maker {number}"));
            async move {
                let event = Event::Created { release: digest(number), name: "etl".into() };
                ledger.record::<LedgerErrorOf>(None, |_| Ok(Some((event.clone(), at(0))))).await.unwrap();
            }
        });
        futures::future::join_all(created).await;
        let promoted = (1..=8u64).map(|number| {
            let ledger = ledger(directory.path(), &format!("promoter {number}"));
            let (environments, cluster) = (&world.environments, &cluster);
            async move {
                let decide = |history: &History| promote(history, environments, &digest(number), "dev", at(10), &Facts::default());
                match carry_out(&ledger, None, &|| at(10), decide, &mut Hand(cluster)).await {
                    Ok(_) => true,
                    Err(Stopped::Refused(reasons)) => {
                        assert_eq!(codes(reasons), ["release-busy"]);
                        false
                    }
                    Err(other) => panic!("{other:?}"),
                }
            }
        });
        let done = futures::future::join_all(promoted).await.into_iter().filter(|done| *done).count();
        let entries = ledger(directory.path(), "reader").read(None).await.unwrap();
        let deployed = entries.iter().filter(|entry| matches!(entry.event, Event::Deployed { .. })).count();
        assert!(done >= 1 && deployed == done, "{done} {deployed}");
        assert_eq!(entries.iter().filter(|entry| matches!(entry.event, Event::Created { .. })).count(), 8);
        let current = History::of(&entries).place("dev").unwrap().current().cloned();
        assert_eq!(cluster.has.lock().unwrap()["dev"].last().cloned(), current);
    });
}
