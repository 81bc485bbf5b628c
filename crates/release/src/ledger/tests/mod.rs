pub(crate) mod interrupted;
mod random;
mod shadow;

use jiff::Timestamp;
use stoke_diagnostics::{Diagnostic, Source};

use super::entry::{check_chain, head};
use super::*;
use crate::environment::{self, Environments};
use crate::evidence::{Algorithm, PrivateKey};
use crate::oci::Digest;

fn digest(number: u64) -> Digest {
    Digest::of(&number.to_le_bytes())
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_789_950_000 + seconds).unwrap()
}

struct World {
    environments: Environments,
    keys: Vec<PrivateKey>,
}

fn world() -> World {
    let keys: Vec<PrivateKey> = (0..3)
        .map(|_| PrivateKey::generate(Algorithm::Ed25519).unwrap())
        .collect();
    let names = ["anna", "boris", "carla"];
    let of = |(name, key): (&&str, &PrivateKey)| {
        let pem = key.public().to_pem();
        format!(
            "    - name: {name}\n      publicKey: |\n{}",
            pem.lines().map(|line| format!("        {line}\n")).collect::<String>()
        )
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
        let entry = Entry {
            sequence: end.sequence + 1,
            previous: end.digest,
            time,
            by: "test".into(),
            event,
        };
        self.0.push(entry);
        end.sequence + 1
    }

    fn texts(&self) -> Vec<(u64, Vec<u8>)> {
        self.0
            .iter()
            .map(|entry| (entry.sequence, entry.text().into_bytes()))
            .collect()
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
                    self.add(
                        Event::Abandoned {
                            environment: plan.environment.clone(),
                            intent: *intent,
                            why: String::new(),
                        },
                        plan.now,
                    );
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
            self.add(
                Event::Deployed {
                    release: plan.release.clone(),
                    environment: plan.environment.clone(),
                    intent,
                },
                plan.now,
            );
        }
    }

    fn created(&mut self, release: &Digest, time: Timestamp) {
        self.add(
            Event::Created {
                release: release.clone(),
                name: "etl".into(),
            },
            time,
        );
    }

    fn judged(&mut self, release: &Digest, gate: &str, verdict: Verdict, time: Timestamp) {
        self.add(
            Event::Verified {
                release: release.clone(),
                gate: gate.into(),
                verdict,
                evidence: None,
                against: None,
            },
            time,
        );
    }

    fn compared(&mut self, release: &Digest, against: &Digest, verdict: Verdict, time: Timestamp) {
        self.compared_by(crate::shadow::GATE, release, against, verdict, time);
    }

    fn compared_by(&mut self, gate: &str, release: &Digest, against: &Digest, verdict: Verdict, time: Timestamp) {
        self.add(
            Event::Verified {
                release: release.clone(),
                gate: gate.into(),
                verdict,
                evidence: Some(digest(99)),
                against: Some(against.clone()),
            },
            time,
        );
    }

    fn approved(&mut self, world: &World, release: &Digest, key: usize, skip: bool, time: Timestamp) {
        let environment = world.environments.get("prod").unwrap();
        let bundle = approval::sign(release, environment, skip, &world.keys[key])
            .unwrap()
            .to_json()
            .unwrap();
        self.add(
            Event::Approved {
                release: release.clone(),
                environment: "prod".into(),
                bundle,
            },
            time,
        );
    }

    fn promote(&mut self, world: &World, release: &Digest, target: &str, time: Timestamp) -> Result<Plan, Vec<String>> {
        let plan = promote(
            &self.history(),
            &world.environments,
            release,
            target,
            time,
            &Facts::default(),
        )
        .map_err(codes)?;
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
    assert_eq!(
        chain.promote(&world, &one, "dev", at(0)).unwrap_err(),
        ["release-origin"]
    );
    chain.created(&one, at(0));
    chain.created(&two, at(0));
    chain.promote(&world, &one, "dev", at(10)).unwrap();
    assert_eq!(
        chain.promote(&world, &one, "dev", at(11)).unwrap().standing,
        Standing::Done
    );
    assert_eq!(
        chain.promote(&world, &one, "staging", at(20)).unwrap_err(),
        ["release-soak", "release-gate"]
    );
    chain.judged(&one, "check", Verdict::Pass, at(30));
    chain.judged(&one, "shadow", Verdict::Fail, at(30));
    // Half an hour, another release, then half an hour again: intervals add up.
    chain.promote(&world, &two, "dev", at(1810)).unwrap();
    assert_eq!(
        chain.promote(&world, &one, "staging", at(7200)).unwrap_err(),
        ["release-soak"]
    );
    chain.promote(&world, &one, "dev", at(7200)).unwrap();
    assert_eq!(
        chain.promote(&world, &one, "staging", at(8999)).unwrap_err(),
        ["release-soak"]
    );
    chain.promote(&world, &one, "staging", at(9000)).unwrap();
    // An older release stays promotable after it was replaced.
    chain.promote(&world, &two, "dev", at(9001)).unwrap();
    let later = at(9000 + 7200);
    assert_eq!(
        chain.promote(&world, &one, "prod", later).unwrap_err(),
        ["release-gate", "release-approvals"]
    );
    chain.judged(&one, "shadow", Verdict::Pass, later);
    chain.approved(&world, &one, 0, false, later);
    chain.approved(&world, &one, 0, false, later);
    assert_eq!(
        chain.promote(&world, &one, "prod", later).unwrap_err(),
        ["release-approvals"]
    );
    chain.approved(&world, &one, 2, false, later);
    // Rules that changed end approvals.
    let mut changed = World {
        environments: world.environments.clone(),
        keys: Vec::new(),
    };
    changed.environments.environments[2].soak_seconds = 7199;
    assert_eq!(
        chain.promote(&changed, &one, "prod", later).unwrap_err(),
        ["release-approvals"]
    );
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
    assert_eq!(
        chain.promote(&world, &one, "prod", at(0)).unwrap_err(),
        ["release-origin"]
    );
    chain.promote(&world, &one, "dev", at(0)).unwrap();
    chain.promote(&world, &one, "staging", at(3600)).unwrap();
    // Approvals of one release are not of another, whatever the ledger's entry says.
    let Event::Approved { bundle, .. } = chain.0[3].event.clone() else {
        panic!()
    };
    chain.add(
        Event::Approved {
            release: two.clone(),
            environment: "prod".into(),
            bundle,
        },
        at(3600),
    );
    assert!(
        chain
            .promote(&world, &two, "prod", at(3600))
            .unwrap_err()
            .contains(&"release-approvals".to_owned())
    );
    chain.promote(&world, &one, "prod", at(3600)).unwrap();
}

#[test]
fn clocks_freezes_and_budgets_hold() {
    let mut world = world();
    let one = digest(1);
    let mut chain = Chain::default();
    chain.created(&one, at(100));
    assert_eq!(
        chain.promote(&world, &one, "dev", at(89)).unwrap_err(),
        ["release-clock"]
    );
    // A little behind: the ledger's time holds.
    assert_eq!(chain.promote(&world, &one, "dev", at(95)).unwrap().now, at(100));
    world.environments.environments[0].freezes = world.environments.environments[2].freezes.clone();
    let two = digest(2);
    chain.created(&two, at(200));
    let evening = "2027-01-04T19:00:00Z".parse().unwrap();
    assert_eq!(
        chain.promote(&world, &two, "dev", evening).unwrap_err(),
        ["release-freeze"]
    );
    world.environments.environments[0].freezes.clear();
    world.environments.environments[0].error_budget = true;
    assert_eq!(
        chain.promote(&world, &two, "dev", at(300)).unwrap_err(),
        ["release-budget"]
    );
    let spent = Facts {
        budget: Some(vec![Diagnostic::new(
            stoke_diagnostics::Severity::Error,
            "slo-budget-spent",
            "spent",
        )]),
        repair: false,
    };
    let ask = |facts: &Facts| promote(&chain.history(), &world.environments, &two, "dev", at(300), facts);
    assert_eq!(codes(ask(&spent).unwrap_err()), ["slo-budget-spent"]);
    assert!(ask(&Facts { repair: true, ..spent }).is_ok());
    assert!(
        ask(&Facts {
            budget: Some(Vec::new()),
            repair: false
        })
        .is_ok()
    );
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
        chain
            .promote(&world, &digest(number), "dev", at(number as i64))
            .unwrap();
    }
    assert_eq!(back(&mut chain, at(10)).unwrap(), digest(2));
    assert_eq!(
        chain.promote(&world, &digest(3), "dev", at(11)).unwrap_err(),
        ["release-rolled-back"]
    );
    assert_eq!(back(&mut chain, at(12)).unwrap(), digest(1));
    assert_eq!(back(&mut chain, at(13)).unwrap_err(), ["release-no-good"]);
    // A promotion that hangs does not hold up the way back, nor does it leave anything.
    chain.created(&digest(4), at(14));
    let hanging = promote(
        &chain.history(),
        &world.environments,
        &digest(4),
        "dev",
        at(14),
        &Facts::default(),
    )
    .unwrap();
    chain.carry_out(&hanging, false);
    chain.created(&digest(5), at(15));
    assert_eq!(
        chain.promote(&world, &digest(5), "dev", at(15)).unwrap_err(),
        ["release-busy"]
    );
    assert_eq!(back(&mut chain, at(16)).unwrap(), digest(1));
    chain.promote(&world, &digest(5), "dev", at(17)).unwrap();
    // An intent that ran out holds up no one.
    let hanging = promote(
        &chain.history(),
        &world.environments,
        &digest(4),
        "dev",
        at(18),
        &Facts::default(),
    )
    .unwrap();
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
        chain
            .promote(&world, &digest(number), "dev", at(number as i64))
            .unwrap();
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
            assert!(
                found == index as u64 + 1 || found == index as u64 + 2,
                "entry {} byte {byte}: {found}",
                index + 1
            );
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
        other
            .promote(&world, &digest(number), "dev", at(number as i64))
            .unwrap();
    }
    assert!(check_chain(&other.texts(), None).is_ok());
    assert_eq!(broken(&other.texts()), end.sequence);
}
